/*
 * Subscribes that a rule has refused while the client had no user. They are remembered until the client signs in, and
 * then made again (signin.c), because stock clients subscribe as soon as they are connected, before their sign-in is
 * through, and do not subscribe twice.
 */
#ifndef PC_SESSION_DEFERRED_H
#define PC_SESSION_DEFERRED_H

#include "session/session.h"

struct pc_refusal;

/* Refuses a subscribe that a rule was asked about, and remembers it if a sign-in may change the answer. If the answer
 * was that a user is what is missing, the client is told to sign in first, and gets pusher:subscription_error only if
 * it has not signed in after signin_wait_ms. */
void pc_deferred_refuse(struct pc_session *session, pusherc_slice channel, struct pc_refusal why);
/* The client no longer wants the channel, or subscribes again. False: no such subscribe is remembered. */
bool pc_deferred_forget(struct pc_session *session, pusherc_slice channel);
bool pc_deferred_has(const struct pc_session *session, pusherc_slice channel);
/* Takes them all out of the session, then calls `again` for each, the oldest first. */
void pc_deferred_repeat(struct pc_session *session,
                        void (*again)(struct pc_session *session, const struct pc_message_in *in));
void pc_deferred_free(struct pc_session *session); /* all of them; nothing is told */

#endif
