/*
 * The channels of the whole process: for each (app, channel) the number of subscriptions, the workers that have some,
 * and the roster of a presence channel.
 *
 * The channels are spread over 64 shards (as many as there can be workers, so two rarely meet) by the hash of app and
 * name. Each shard has a lock, a table and a counter, so threads that use different channels rarely meet. A channel
 * stays in its shard; no thread holds two shard locks. Joins and events of a channel take the next number of its shard
 * under the lock, and delivery compares the numbers: that orders them without a lock that spans workers
 * (docs/architecture.md, "Numbering"). To find a channel costs one lock and one look-up; to visit the channels of an app
 * costs the locks of all shards, one after the other, and no channel of another app.
 *
 * The caller of functions named pc_shard_* and pc_channel_* holds the shard's lock, except for pc_channel_release().
 */
#ifndef PC_CHANNEL_DIRECTORY_H
#define PC_CHANNEL_DIRECTORY_H

#include <pthread.h>
#include <stdatomic.h>

#include "auth/rules.h"
#include "base/map.h"
#include "channel/app.h"
#include "channel/roster.h"
#include "protocol/names.h"

struct pc_shard {
    /* second in the lock order: taken before mailboxes, while no other lock is held */
    pthread_mutex_t mutex;
    struct pc_map channels;
    uint64_t number; /* the last number given to a join or an event */
};

/* The events that cache channels keep: see channel/keep.h. */
struct pc_kept_events {
    pthread_mutex_t mutex;  /* a leaf, taken under a shard's */
    struct pc_list by_age;  /* channels that keep an event, the one published longest ago first */
    struct pc_shares bytes; /* of each app */
    uint64_t max_bytes;     /* set before the first event is kept */
    uint64_t number;        /* the last one given to a kept event */
};

struct pc_past;

/* The past of one channel: see channel/history.h. Changed with the shard locked. */
struct pc_history {
    struct pc_channel *channel;
    struct pc_past *first; /* counted; NULL = no event is kept */
    struct pc_past *last;  /* counted by the one before it */
    uint32_t count;        /* of events */
    uint64_t bytes;        /* of events */
    uint64_t floor;        /* events up to this number may be missing */
    uint64_t keep_ms;      /* how long an event is kept */
    /* With the histories locked as well; the lists are empty while it is not listed. */
    struct pc_list of_all, of_app;
    uint64_t until_ms;     /* when the channel has been quiet long enough */
    uint64_t turn;         /* a new one whenever it is put into the lists */
    uint64_t listed_bytes; /* what it counts in its app's share */
};

/* Those of all channels. */
struct pc_histories {
    pthread_mutex_t mutex;  /* a leaf, taken under a shard's */
    struct pc_list by_age;  /* the one that has been quiet longest first */
    struct pc_shares bytes; /* of each app */
    uint64_t max_bytes;     /* set before the first event is kept */
    uint64_t turn;          /* the last one given */
    uint32_t epoch;         /* of the ids of events; differs between processes */
};

#define PC_MAX_VIEWS     PUSHERC_RULE_MAX_VIEWS /* audiences of one channel */
#define PC_VIEW_PLACES   (PC_MAX_VIEWS + 8) /* and those that their last subscriptions are leaving */
#define PC_MAX_VIEW_NAME 64

/* The audiences that a channel's subscribers belong to, for a rule that renders. */
struct pc_view {
    char name[PC_MAX_VIEW_NAME];
    uint32_t name_len;
    uint32_t uses;    /* subscriptions; 0 = the place is free */
    uint32_t leaving; /* of them: get what is on its way, and then have another view */
};
struct pc_views {
    struct pc_rule_match match; /* values point into the channel's name */
    /* a number of the shard, new whenever a view appears; 0 = no view has appeared */
    uint64_t generation;
    struct pc_view items[PC_VIEW_PLACES];
};

struct pc_local;
struct pc_shaper;
struct pc_ephemera;

#define PC_ENCODINGS 3 /* as many as enum pc_encoding has */

struct pc_channel {
    struct pc_map_node node; /* key: the app's uid, then the name */
    struct pc_shard *shard;
    struct pc_app_state *app; /* counted */
    struct pc_list of_app;
    pusherc_slice name;
    struct pc_channel_class class;
    uint32_t holders; /* what keeps it alive beside subscriptions, e.g. events being delivered */
    uint64_t subscriptions; /* of all workers, and one for each absent member */
    uint64_t elsewhere;     /* subscriptions in other processes, as far as it is known */
    uint64_t interested;    /* bit per worker with a subscription */
    uint32_t
        takers[PC_ENCODINGS]; /* subscriptions by the form in which their clients take events */
    struct pc_roster roster;  /* presence channels */
    struct pc_views *views;   /* owned; NULL = all subscribers see the same */
    struct {                  /* subscription_count, see fanout/count.h */
        uint64_t told; /* the count that subscribers were sent last; 0 = not all of them got it */
        uint64_t told_ms; /* when it was sent */
        bool newcomers;   /* clients have joined since */
        bool timer_set;
    } count;
    struct {                  /* of a user's channel, see fanout/watch.h */
        uint32_t connections; /* signed in as the user */
        bool online;          /* the status that watchers were sent last */
        bool held;            /* the engine's decider knows that the user is here */
        bool timer_set;
        uint64_t told_ms;       /* when they were sent "online" */
        uint64_t offline_at_ms; /* without a connection: when to send watchers "offline" */
    } user;
    struct pc_shaper *shaper; /* fanout/shaping.h; NULL = none of its events waits */
    uint32_t shaped_by;       /* the app's shaping rules that cover it, a bit for each */
    uint64_t shaped_serial;   /* of the rules that `shaped_by` is of; 0 = not looked up */
    /* Of a cache channel; changed under both locks, the shard's and that of kept events. */
    struct {
        struct pc_cached *event; /* counted; NULL = none */
        uint64_t number;         /* each event has a new one */
        struct pc_list of_all, of_app;
    } kept;
    struct pc_ephemera *ephemera; /* fanout/ephemera.h; NULL = no user of it does anything */
    struct pc_history *history;   /* owned; NULL = the channel has none, see channel/history.h */
    /* fanout/local.h; one per worker, which uses its item without the lock */
    struct pc_local *local[];
};

struct pc_directory {
    const struct pc_mem *mem; /* borrowed */
    uint32_t worker_count;
    uint64_t seed[2];
    struct pc_kept_events kept;
    struct pc_histories histories;
    struct pc_shard shards[PC_SHARDS];
};

void pc_directory_init(struct pc_directory *dir, const struct pc_mem *mem, const uint64_t seed[2],
                       uint32_t worker_count);
/* Frees the remaining channels, too. */
void pc_directory_free(struct pc_directory *dir);

/* Locks the shard where this channel is or would be. */
struct pc_shard *pc_directory_lock(struct pc_directory *dir, uint64_t app_uid, pusherc_slice name);
void pc_shard_unlock(struct pc_shard *shard);

struct pc_channel *pc_shard_find(struct pc_shard *shard, uint64_t app_uid, pusherc_slice name);
/* Finds the channel, or adds it without subscriptions; NULL = out of memory. Call pc_channel_settle() after use.
 * `match` is the rule that covers it, or NULL. */
struct pc_channel *pc_shard_get(struct pc_directory *dir, struct pc_shard *shard,
                                struct pc_app_state *app, pusherc_slice name,
                                struct pc_channel_class class, const struct pc_rule_match *match);
/* One more or one less subscription with this view. *index stays its name until the last use ends. 0;
 * PUSHERC_ELIMIT: PC_MAX_VIEWS others are in use, without those that all their subscriptions are leaving. */
PC_CHECKED int pc_channel_use_view(struct pc_channel *channel, pusherc_slice name, uint32_t *index);
void pc_channel_drop_view(struct pc_channel *channel, uint32_t index);
/* Frees the channel if it has no subscription and no holder, and keeps neither an event nor a history that is listed. */
void pc_channel_settle(struct pc_directory *dir, struct pc_channel *channel);
/* Undoes one `holders++` and settles the channel. Takes the shard's lock: the caller does not hold it. */
void pc_channel_release(struct pc_directory *dir, struct pc_channel *channel);

/* Visits the occupied channels of an app, a shard at a time, with that shard's lock held. The cost is that of the app's
 * channels; how many other apps have does not matter. */
typedef void (*pc_channel_visit_fn)(const struct pc_channel *channel, void *ctx);
void pc_directory_each(struct pc_directory *dir, const struct pc_app_state *app,
                       pusherc_slice prefix, pc_channel_visit_fn visit, void *ctx);
uint64_t pc_directory_occupied(struct pc_directory *dir); /* of all apps */

#endif
