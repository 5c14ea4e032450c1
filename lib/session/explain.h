/* Logs why a signature was refused. */
#ifndef PC_SESSION_EXPLAIN_H
#define PC_SESSION_EXPLAIN_H

#include "session/session.h"

/* `in`: a SUBSCRIBE or SIGNIN; `to_sign`: what its signature had to be made of. Does nothing unless PC_WHY_AFFORDS(). */
void pc_session_explain(struct pc_session *s, const struct pc_app *app,
                        const struct pc_message_in *in, pusherc_slice to_sign);

#endif
