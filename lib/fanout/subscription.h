/*
 * One connection's place in one channel, and a worker's own list of them per channel. Joining and
 * leaving change the directory under the shard's lock and announce presence members from there, so that
 * a newcomer's snapshot and the events that follow it fit together exactly.
 */
#ifndef PC_FANOUT_SUBSCRIPTION_H
#define PC_FANOUT_SUBSCRIPTION_H

#include "fanout/engine.h"

struct pc_local;
struct pc_cached;
struct pc_grant;

#define PC_NO_VIEW UINT32_MAX

struct pc_subscription {
    struct pc_list of_session;
    struct pc_outq *q;      /* the connection's */
    struct pc_local *local; /* this worker's list of the channel's subscriptions */
    uint32_t index;         /* in it */
    uint32_t view;          /* in the channel's table, or PC_NO_VIEW */
    /* presence channels: counted in the roster; the id may be read without lock */
    struct pc_roster_member *member;
    /* the session's: what the host said; NULL = a signature or nothing was asked for */
    struct pc_grant *grant;
};

/* A worker's subscriptions of one channel, dense: fan-out walks this and nothing else. */
struct pc_target {
    struct pc_outq *q;
    uint64_t since; /* events with smaller numbers are not for this one */
    struct pc_subscription *subscription;
    uint32_t view; /* a copy */
};
struct pc_local {
    struct pc_channel *channel; /* alive while count > 0 */
    uint32_t count, cap;
    struct pc_target *targets;
};

struct pc_join {
    struct pc_app *app;
    struct pc_outq *q;
    pusherc_slice channel;
    struct pc_channel_class class;
    pusherc_slice user_id, user_info;  /* presence */
    const struct pc_rule_match *match; /* the rule that covers the channel; rule NULL = none */
    pusherc_slice view;                /* len 0 = none */
};

/* What joining or leaving changed. */
struct pc_channel_change {
    struct pc_cached
        *cached; /* joined: what a cache channel keeps, counted for the caller; NULL = nothing */
    bool edge;   /* the first subscription came, or the last went */
    bool member_edge; /* the same for this user */
    uint64_t subscriptions;
    uint64_t sequence;
};

/* Subscribes. On success *out is the caller's until pc_leave(), and for a presence channel `roster` (initialised
 * by the caller) has received the roster's JSON. The caller answers the client before it returns to its loop;
 * events that follow reach the queue later. 0; PUSHERC_ELIMIT: the channel has its maximum of members or views; PUSHERC_ENOMEM. */
PC_CHECKED int pc_join(struct pc_worker *worker, const struct pc_join *join, struct pc_buf *roster,
                       struct pc_subscription **out, struct pc_channel_change *change);

/* Unsubscribes and frees. `user_id` receives the member's id if its last subscription went; may be NULL. */
void pc_leave(struct pc_worker *worker, struct pc_app *app, struct pc_subscription *subscription,
              struct pc_buf *user_id, struct pc_channel_change *change);

/* From now on the subscription belongs to this audience. Without a free place in the channel's table it
 * belongs to none, and gets nothing. Events on their way were rendered for the audiences of before: it gets
 * none of them. Harmless on channels without views. */
void pc_change_view(struct pc_subscription *subscription, pusherc_slice view);

/* The channel's rule says for each audience what it sees. */
static inline bool pc_join_rendered(const struct pc_join *join)
{
    return join->match && join->match->rule && join->match->rule->options.render;
}

static inline pusherc_slice pc_subscription_channel(const struct pc_subscription *s)
{
    return s->local->channel->name;
}

/* This worker's subscriptions of a channel, or NULL. */
static inline struct pc_local *pc_local_of(const struct pc_channel *channel,
                                           const struct pc_worker *worker)
{
    return channel->local[worker->index];
}

/* Puts a frame into a subscriber's queue, if there is room; true if it did. `room`: see pc_local_room(). */
static inline bool pc_target_push(const struct pc_target *t, struct pc_slot *slot, size_t room)
{
    if (t->q->bytes <= room && pc_outq_push(t->q, slot) == 0)
        return true;
    /* closes or skips; either way it leaves the list alone until the turn's end */
    t->q->overflow(t->q);
    return false;
}
/* How full a queue may be and still take `len` bytes more. */
static inline size_t pc_local_room(const struct pc_worker *worker, size_t len)
{
    size_t hard = worker->engine->limits.out_hard_bytes;
    return hard > len ? hard - len : 0;
}
static inline bool pc_same_id(pusherc_socket_id a, pusherc_socket_id b)
{
    return a.a == b.a && a.b == b.b;
}

/* One event to this worker's subscribers. */
void pc_local_deliver(struct pc_worker *worker, struct pc_slot *slot);

#endif
