/*
 * Receipts: telling the host whom an event has reached (docs/receipts.md). An event that a rule of the app is about is
 * known to the app (channel/receipts.h), and its frame says so. Delivery then gives each subscriber that has a user a slot
 * of its own, with the bytes that all have; when the kernel has them, the host is told. So events without receipts cost
 * delivery nothing, and a slot may wait, move to another queue or be dropped as any other.
 */
#ifndef PC_FANOUT_RECEIPT_H
#define PC_FANOUT_RECEIPT_H

#include "fanout/engine.h"

/* Makes an event known that the rule is about. *out is counted for the caller; NULL: its data has no id. 0 or
 * PUSHERC_ENOMEM. Any thread. */
PC_CHECKED int pc_receipt_track(struct pc_engine *engine, const struct pc_app *app,
                                pusherc_slice channel, const struct pc_receipt_rule *rule,
                                pusherc_slice event, pusherc_slice data, uint64_t now_ms,
                                struct pc_tracked **out);
/* Finds an event that was published before, for a client that is sent it now. The same, but PUSHERC_ENOMEM is NULL. */
struct pc_tracked *pc_receipt_find(const struct pc_app *app, pusherc_slice channel,
                                   pusherc_slice event, pusherc_slice data, uint64_t now_ms);

/* A slot with the bytes of `slot` that tells the host when the queue has written it, with a reference for the caller. NULL:
 * there is no user, or no memory, and then no receipt. */
struct pc_slot *pc_receipt_slot(const struct pc_outq *q, struct pc_app_state *state,
                                struct pc_tracked *event, struct pc_slot *slot,
                                pusherc_slice user_id);
/* Sends a message that carries the event to one client, as pc_outq_send() does. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_receipt_send(struct pc_outq *q, struct pc_app_state *state,
                               struct pc_tracked *event, pusherc_slice user_id,
                               pusherc_slice message);

/* Tells the host that the event has reached the user, if it has not been told before. The caller counts the app's state,
 * and holds no lock. */
void pc_receipt_tell(struct pc_worker *worker, struct pc_tracked *event, pusherc_receipt_kind kind,
                     pusherc_slice user_id, pusherc_socket_id socket_id);

#endif
