/*
 * Local delivery: one worker's subscribers of one channel, and how an event reaches their queues.
 *
 * The list is a dense array. It holds next to each queue all that delivery has to know of the subscriber (`since`,
 * `view`), so a walk reads memory in sequence and touches a queue only to push. Removing moves the last entry into the
 * gap: the order of subscribers has no meaning, and joining and leaving cost the same however long the list is. Only those
 * that an event for a crowd has reached stay before the others. An event with a number below `since` was published before
 * the subscriber joined, and is skipped.
 *
 * Only the worker changes its list, with the channel's shard locked. The worker reads it without the lock.
 */
#ifndef PC_FANOUT_LOCAL_H
#define PC_FANOUT_LOCAL_H

#include "fanout/engine.h"

struct pc_subscription;

struct pc_target {
    struct pc_outq *q;
    /* The subscriber does not get events with smaller numbers. UINT64_MAX: it gets no event, because the channel has
     * views and the subscription has no view. */
    uint64_t since;
    struct pc_subscription *subscription;
    uint32_t view; /* selects one of an event's variants; 0 if all subscribers get the same */
};

/* More subscribers on one worker make a channel crowded there: what is for all of them waits for what is for few, in the
 * mailbox if that is behind, and when queues are written. */
#define PC_CROWD 100
/* An event for a crowd is pushed to so many of them between two looks at the clock. When the mail's time is over, the others
 * get it in a later run, before the channel's next event. */
#define PC_CROWD_SLICE 1000

struct pc_local {
    struct pc_channel *channel; /* alive while count > 0 */
    struct pc_app_state *state; /* the app's; alive while count > 0 */
    uint32_t count, cap;
    uint32_t held; /* subscriptions whose events wait: hold.h */
    struct pc_target *targets;
    struct pc_aside aside; /* mail of a crowded channel that waits */
    /* Of the event that is being delivered, the first in `aside` between two runs: the targets before this one have been
     * seen, and so many queues have got it. */
    uint32_t reached;
    uint64_t pushed;
};

/* Locked. Returns this worker's list, with room for one more; NULL = out of memory. After NULL, and when the room is
 * not used, the caller calls pc_local_settle(). */
struct pc_local *pc_local_reserve(struct pc_worker *worker, struct pc_channel *channel,
                                  struct pc_app_state *state);
/* Locked. Adds the subscription, whose view is set, in the reserved room. Its events go to `q` from `since` on. */
void pc_local_add(struct pc_worker *worker, struct pc_local *local, struct pc_subscription *s,
                  struct pc_outq *q, uint64_t since);
/* Locked. Its view has changed; events from `since` on are for it, if it has one. */
void pc_local_set_view(struct pc_subscription *s, uint64_t since);
/* Locked. The caller calls pc_local_shrink() afterwards, with the lock or without. */
void pc_local_remove(struct pc_worker *worker, struct pc_subscription *s);
/* Locked. Frees the list if it is still empty. */
void pc_local_settle(struct pc_worker *worker, struct pc_channel *channel);
/* Frees an empty list; gives memory back if the list has become sparse. */
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

/* Runs an event's mail (struct pc_slot), at once or when it is the channel's turn: pushes the event into the queues of this
 * worker's subscribers. */
void pc_local_deliver(struct pc_mail *mail, struct pc_worker *worker);

#endif
