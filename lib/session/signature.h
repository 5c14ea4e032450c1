/* The signatures that clients send with SUBSCRIBE and SIGNIN. */
#ifndef PC_SESSION_SIGNATURE_H
#define PC_SESSION_SIGNATURE_H

#include "session/member.h"

/* True if the message has the app's signature for this connection. Logs nothing and gives no reason. */
bool pc_session_is_signed(const struct pc_session *session, const struct pc_message_in *in);

/* Checks the signature of a message that has one. False: *why says what to refuse with, with this status; why->detail,
 * for the host, is the string that should have been signed and points into `scratch`. May log the cause. */
bool pc_session_check_signature(struct pc_session *session, const struct pc_message_in *in,
                                int status, struct pc_buf *scratch, struct pc_refusal *why);

#endif
