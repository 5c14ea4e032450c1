/*
 * Events that a subscription is not to get yet: while the host is asked again whether its client may have the channel,
 * what arrives for it waits in order. The answer lets it through or drops it. One worker's thread.
 */
#ifndef PC_FANOUT_HOLD_H
#define PC_FANOUT_HOLD_H

#include "fanout/engine.h"

struct pc_subscription;

/* From now on its events wait; harmless if they do already. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_hold(struct pc_subscription *subscription);
/* They go into the connection's queue, in their order. Harmless if none is held. */
void pc_hold_release(struct pc_subscription *subscription);
/* They are dropped. Harmless if none is held. */
void pc_hold_drop(struct pc_subscription *subscription);

/* For delivery: keeps this frame. What waits for one connection, and what
 * its queue has, is bounded by out_hard_bytes; beyond that the connection is slow. */
void pc_hold_push(struct pc_subscription *subscription, struct pc_slot *slot);

#endif
