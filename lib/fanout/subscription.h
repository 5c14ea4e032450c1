/*
 * Subscriptions: a connection's membership in a channel. Joining and leaving change the directory and post the
 * announcements of presence members in one critical section of the shard's lock. The roster that a newcomer gets and
 * the events that follow therefore fit together exactly: no member is missing and none is announced twice.
 */
#ifndef PC_FANOUT_SUBSCRIPTION_H
#define PC_FANOUT_SUBSCRIPTION_H

#include "channel/history.h"
#include "fanout/ephemera.h"
#include "fanout/local.h"
#include "fanout/people.h"

struct pc_cached;

#define PC_NO_VIEW UINT32_MAX

struct pc_subscription {
    struct pc_list of_session;
    struct pc_local *local; /* this worker's list of the channel's subscriptions */
    uint32_t index;         /* in that list */
    uint32_t view;          /* in the channel's table, or PC_NO_VIEW */
    /* owned; views that follow this one, the next first: see pc_change_view() */
    struct pc_view_change *view_changes;
    struct pc_hold *hold;                /* owned; its events wait: hold.h. NULL = they do not */
    struct pc_ephemeral_hold *ephemeral; /* on states that it has said: ephemeral.h; locked */
    /* presence channels: counted in the roster; the id may be read without lock */
    struct pc_roster_member *member;
};

/* Its connection's. On its worker, or with the channel's shard locked. */
static inline struct pc_outq *pc_queue_of(const struct pc_subscription *s)
{
    return s->local->targets[s->index].q;
}

struct pc_join {
    struct pc_app *app;
    struct pc_outq *q;
    pusherc_slice channel;
    struct pc_channel_class class;
    pusherc_slice user_id, user_info; /* presence */
    /* the rule that covers the channel; its rule is NULL if none does */
    const struct pc_rule_match *match;
    pusherc_slice view; /* len 0 = none */
};

#define PC_MAX_CHANGES 3 /* of one join or leave */

/* What joining or leaving changed, see occupancy.h. */
struct pc_channel_change {
    /* joined: the event that a cache channel keeps, counted for the caller; NULL = none */
    struct pc_cached *cached;
    struct pc_said_list ephemeral; /* joined: what users do; the caller frees it */
    struct pc_past_events
        past; /* joined: the channel's history up to `sequence`; the caller frees it */
    uint64_t subscriptions;
    uint64_t sequence;
    bool at_once;               /* leaving: the user's last place ends without a delay */
    struct pc_user_change user; /* of the member, for the host */
    bool views_full; /* joining failed with PUSHERC_ELIMIT because of the channel's views */
    pusherc_channel_event_type types[PC_MAX_CHANGES]; /* in the order in which they are told */
    uint32_t count;
};

/* A join that has begun. Joining has two halves, because the engine's decider may need time between them. */
struct pc_joining {
    struct pc_worker *worker;
    /* the caller keeps what it points to until the join is finished or abandoned */
    struct pc_join join;
    int result;       /* of the decision: 0, PC_JOIN_WAITS, or PUSHERC_E... */
    void *of_decider; /* the decider's own */
    /* Called after PC_JOIN_WAITS, when the decider has decided. */
    void (*decided)(struct pc_joining *joining);
};

/* Asks the decider, if there is one. 0: the caller calls pc_join_finish() or pc_join_abandon(); PC_JOIN_WAITS: it does
 * so when `decided` has been called, or calls pc_join_abandon() before; PUSHERC_ELIMIT, PUSHERC_ENOMEM: the join is
 * refused and has ended. */
int pc_join_begin(struct pc_joining *joining);
/* The decider calls it with its decision, after PC_JOIN_WAITS. */
void pc_join_decide(struct pc_joining *joining, int result);
void pc_join_abandon(struct pc_joining *joining); /* harmless if the join was refused */

/* Subscribes. On success *out is the caller's until pc_leave(), and for a presence channel `roster` (initialised
 * by the caller) has received the roster's JSON. The caller answers the client before it returns to its loop;
 * events that follow reach the queue later. 0; PUSHERC_ELIMIT: the channel has its maximum of members, or of views
 * (change->views_full); PUSHERC_ENOMEM. Without a decider it may be called without pc_join_begin(). */
PC_CHECKED int pc_join_finish(struct pc_worker *worker, const struct pc_join *join,
                              struct pc_buf *roster, struct pc_subscription **out,
                              struct pc_channel_change *change);

/* Unsubscribes and frees. A member whose last subscription this was may be absent for a while, and nothing has changed
 * yet (absence.h), unless it leaves `at_once`. `user_id`, which may be NULL, receives the member's id if it has left. */
void pc_leave(struct pc_worker *worker, struct pc_app *app, struct pc_subscription *subscription,
              bool at_once, struct pc_buf *user_id, struct pc_channel_change *change);

/* Events that are numbered from now on reach the subscription as this audience sees them; those on their way, as
 * the audience of before does. Every event comes in exactly one of the two forms. 0, also on channels without views;
 * PUSHERC_ELIMIT: the channel has its maximum of views; PUSHERC_ENOMEM. On failure nothing has changed. */
PC_CHECKED int pc_change_view(struct pc_subscription *subscription, pusherc_slice view);

/* True if the channel's rule renders: views may see different data. */
static inline bool pc_join_rendered(const struct pc_join *join)
{
    return join->match && join->match->rule && pc_rule_renders(join->match->rule);
}

static inline pusherc_slice pc_subscription_channel(const struct pc_subscription *s)
{
    return s->local->channel->name;
}

#endif
