/*
 * What pages say that they have shown, and what they are sent that has receipts (docs/receipts.md), in the session.
 */
#ifndef PC_SESSION_SHOWN_H
#define PC_SESSION_SHOWN_H

#include "session/session.h"

/* A client event with this data says that the page has shown the events with these ids. Each that is known, and that the
 * client may see, becomes a receipt. */
void pc_shown_take(struct pc_session *s, struct pc_subscription *sub,
                   const struct pc_receipt_rule *rule, pusherc_slice data);

/* As pc_session_say(), for a message with an event from before the client joined. */
void pc_shown_say_past(struct pc_session *s, const struct pc_join *join, pusherc_slice event,
                       pusherc_slice data, struct pc_buf *message);

#endif
