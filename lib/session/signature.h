/* The signatures that clients send with SUBSCRIBE and SIGNIN. */
#ifndef PC_SESSION_SIGNATURE_H
#define PC_SESSION_SIGNATURE_H

#include "session/member.h"

/* Is the message signed, by the app, for this connection? No log, no reason. */
bool pc_session_is_signed(const struct pc_session *session, const struct pc_message_in *in);

/* The same for a message that has a signature. False: *why says what to refuse with, with this
 * status; why->detail, for the host, is the string that had to be signed and points into `scratch`.
 * The log may get the cause. */
bool pc_session_check_signature(struct pc_session *session, const struct pc_message_in *in,
                                int status, struct pc_buf *scratch, struct pc_refusal *why);

#endif
