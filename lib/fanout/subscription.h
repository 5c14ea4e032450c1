/*
 * One connection's place in one channel, and a worker's own list of them per channel. Joining and
 * leaving change the directory under the shard's lock and announce presence members from there, so that
 * a newcomer's snapshot and the events that follow it fit together exactly.
 */
#ifndef PC_FANOUT_SUBSCRIPTION_H
#define PC_FANOUT_SUBSCRIPTION_H

#include "fanout/local.h"

struct pc_cached;

#define PC_NO_VIEW UINT32_MAX

struct pc_subscription {
    struct pc_list of_session;
    struct pc_outq *q;      /* the connection's */
    struct pc_local *local; /* this worker's list of the channel's subscriptions */
    uint32_t index;         /* in it */
    uint32_t view;          /* in the channel's table, or PC_NO_VIEW */
    /* owned; views that follow this one, the next first: see pc_change_view() */
    struct pc_view_change *view_changes;
    struct pc_hold *hold; /* owned; its events wait: hold.h. NULL = they do not */
    /* presence channels: counted in the roster; the id may be read without lock */
    struct pc_roster_member *member;
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

#define PC_MAX_CHANGES 3 /* of one join or leave */

/* What joining or leaving changed, see occupancy.h. */
struct pc_channel_change {
    struct pc_cached
        *cached; /* joined: what a cache channel keeps, counted for the caller; NULL = nothing */
    uint64_t subscriptions;
    uint64_t sequence;
    bool views_full; /* joining failed with PUSHERC_ELIMIT because of the channel's views */
    pusherc_channel_event_type types[PC_MAX_CHANGES]; /* in the order in which they are told */
    uint32_t count;
};

/* A join that has begun: joining has two halves, for the engine's decider may take its time between them. */
struct pc_joining {
    struct pc_worker *worker;
    struct pc_join join; /* what it points to stays until it is finished or abandoned */
    int result;          /* of the decision: 0, PC_JOIN_WAITS, or PUSHERC_E... */
    /* The decision has come, later than pc_join_begin() returned. */
    void (*decided)(struct pc_joining *joining);
};

/* Asks the decider, if there is one. The result: 0: pc_join_finish() or pc_join_abandon() follows; PC_JOIN_WAITS: the
 * same once `decided` was called, or pc_join_abandon() before; PUSHERC_ELIMIT, PUSHERC_ENOMEM: that was all. */
int pc_join_begin(struct pc_joining *joining);
/* The decider's answer to PC_JOIN_WAITS. */
void pc_join_decide(struct pc_joining *joining, int result);
void pc_join_abandon(struct pc_joining *joining); /* harmless if it was refused */

/* Subscribes. On success *out is the caller's until pc_leave(), and for a presence channel `roster` (initialised
 * by the caller) has received the roster's JSON. The caller answers the client before it returns to its loop;
 * events that follow reach the queue later. 0; PUSHERC_ELIMIT: the channel has its maximum of members, or of views
 * (change->views_full); PUSHERC_ENOMEM. Without a decider it may be called without pc_join_begin(). */
PC_CHECKED int pc_join_finish(struct pc_worker *worker, const struct pc_join *join,
                              struct pc_buf *roster, struct pc_subscription **out,
                              struct pc_channel_change *change);

/* Unsubscribes and frees. `user_id` receives the member's id if its last subscription went; may be NULL. */
void pc_leave(struct pc_worker *worker, struct pc_app *app, struct pc_subscription *subscription,
              struct pc_buf *user_id, struct pc_channel_change *change);

/* Events that are numbered from now on reach the subscription as this audience sees them; those on their way, as
 * the audience of before does. Every event comes in exactly one of the two forms. 0, also on channels without views;
 * PUSHERC_ELIMIT: the channel has its maximum of views; PUSHERC_ENOMEM. On failure nothing has changed. */
PC_CHECKED int pc_change_view(struct pc_subscription *subscription, pusherc_slice view);

/* The channel's rule says for each audience what it sees. */
static inline bool pc_join_rendered(const struct pc_join *join)
{
    return join->match && join->match->rule && join->match->rule->options.render;
}

static inline pusherc_slice pc_subscription_channel(const struct pc_subscription *s)
{
    return s->local->channel->name;
}

#endif
