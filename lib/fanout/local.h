/*
 * Who of this worker is in a channel: the dense list that fan-out walks, with what each is due. Changed with the
 * channel's shard locked, read by its worker without.
 */
#ifndef PC_FANOUT_LOCAL_H
#define PC_FANOUT_LOCAL_H

#include "fanout/engine.h"

struct pc_subscription;

struct pc_target {
    struct pc_outq *q;
    /* Events with smaller numbers are not for this one; UINT64_MAX: none is, for the channel has views and the
     * subscription has none. */
    uint64_t since;
    struct pc_subscription *subscription;
    uint32_t view; /* which of an event's variants; 0 where all get the same */
};
struct pc_local {
    struct pc_channel *channel; /* alive while count > 0 */
    struct pc_app_state *state; /* the app's, as long */
    uint32_t count, cap;
    uint32_t held; /* subscriptions whose events wait: hold.h */
    struct pc_target *targets;
};

/* Locked. This worker's list, with room for one more; NULL = out of memory. Then, and when the room is not used,
 * pc_local_settle() follows. */
struct pc_local *pc_local_reserve(struct pc_worker *worker, struct pc_channel *channel,
                                  struct pc_app_state *state);
/* Locked. Takes the room; events from `since` on are for it. Its q and view are set. */
void pc_local_add(struct pc_worker *worker, struct pc_local *local, struct pc_subscription *s,
                  uint64_t since);
/* Locked. Its view has changed; events from `since` on are for it, if it has one. */
void pc_local_set_view(struct pc_subscription *s, uint64_t since);
/* Locked. pc_local_shrink() follows, with the lock or without. */
void pc_local_remove(struct pc_worker *worker, struct pc_subscription *s);
/* Locked. A list that is still empty goes. */
void pc_local_settle(struct pc_worker *worker, struct pc_channel *channel);
/* An empty list goes; one that has become sparse gives memory back. */
void pc_local_shrink(struct pc_worker *worker, struct pc_local *local);

/* This worker's subscriptions of a channel, or NULL. */
static inline struct pc_local *pc_local_of(const struct pc_channel *channel,
                                           const struct pc_worker *worker)
{
    return channel->local[worker->index];
}

static inline bool pc_same_id(pusherc_socket_id a, pusherc_socket_id b)
{
    return a.a == b.a && a.b == b.b;
}

/* The mail of an event (struct pc_slot): pushes the event into the queues of this worker's subscribers. */
void pc_local_deliver(struct pc_mail *mail, struct pc_worker *worker);

#endif
