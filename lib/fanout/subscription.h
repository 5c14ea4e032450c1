/*
 * One connection's place in one channel, and a worker's own list of them per channel. Joining and
 * leaving change the directory under the shard's lock and announce presence members from there, so that
 * a newcomer's snapshot and the events that follow it fit together exactly.
 */
#ifndef PC_FANOUT_SUBSCRIPTION_H
#define PC_FANOUT_SUBSCRIPTION_H

#include "fanout/engine.h"

struct pc_local;

struct pc_subscription {
    struct pc_list of_session;
    struct pc_outq *q;       /* the connection's */
    struct pc_local *local;  /* this worker's list of the channel's subscriptions */
    uint32_t index;          /* in it */
    struct pc_roster_member *member; /* presence channels: counted in the roster; the id may be read without lock */
};

/* A worker's subscriptions of one channel, dense: fan-out walks this and nothing else. */
struct pc_target {
    struct pc_outq *q;
    uint64_t since; /* events with smaller numbers are not for this one */
    struct pc_subscription *subscription;
};
struct pc_local {
    struct pc_channel *channel; /* alive while count > 0 */
    uint32_t count, cap;
    struct pc_target *targets;
};

struct pc_join {
    const struct pc_app *app;
    struct pc_outq *q;
    pusherc_slice channel;
    struct pc_channel_class class;
    pusherc_slice user_id, user_info; /* presence */
};

/* What joining or leaving changed, for hooks. */
struct pc_channel_change {
    bool edge;        /* the first subscription came, or the last went */
    bool member_edge; /* the same for this user */
    uint64_t subscriptions;
    uint64_t sequence;
};

/* Subscribes. On success *out is the caller's until pc_leave(), and for a presence channel `roster` (initialised
 * by the caller) has received the roster's JSON. The caller answers the client before it returns to its loop;
 * events that follow reach the queue later. 0; PUSHERC_ELIMIT: the channel has its maximum of members; PUSHERC_ENOMEM. */
PC_CHECKED int pc_join(struct pc_worker *worker, const struct pc_join *join, struct pc_buf *roster,
                       struct pc_subscription **out, struct pc_channel_change *change);

/* Unsubscribes and frees. `user_id` receives the member's id if its last subscription went; may be NULL. */
void pc_leave(struct pc_worker *worker, const struct pc_app *app, struct pc_subscription *subscription,
              struct pc_buf *user_id, struct pc_channel_change *change);

static inline pusherc_slice pc_subscription_channel(const struct pc_subscription *s)
{
    return s->local->channel->name;
}

/* One event to this worker's subscribers. */
void pc_local_deliver(struct pc_worker *worker, struct pc_slot *slot);

#endif
