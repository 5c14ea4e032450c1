/*
 * The channels of the whole process: for each (app, channel) the number of subscriptions, the workers that have some,
 * and the roster of a presence channel.
 *
 * The channels are spread over 64 shards by the hash of app and name. Each shard has a lock, a table and a counter, so
 * threads that use different channels rarely meet. A channel stays in its shard; no thread holds two shard locks. Joins
 * and events of a channel take the next number of its shard under the lock, and delivery compares the numbers: that
 * orders them without a lock that spans workers (docs/architecture.md, "Numbering"). To find a channel costs one lock
 * and one look-up; to visit all channels costs 64 locks, one after the other.
 *
 * The caller of functions named pc_shard_* and pc_channel_* holds the shard's lock, except for pc_channel_release().
 */
#ifndef PC_CHANNEL_DIRECTORY_H
#define PC_CHANNEL_DIRECTORY_H

#include <pthread.h>
#include <stdatomic.h>

#include "auth/rules.h"
#include "base/map.h"
#include "channel/roster.h"
#include "protocol/names.h"

#define PC_SHARDS 64 /* as many as there can be workers, so two rarely meet */

struct pc_shard {
    /* second in the lock order: taken before mailboxes, while no other lock is held */
    pthread_mutex_t mutex;
    struct pc_map channels;
    struct pc_list kept; /* channels that keep an event, the one published longest ago first */
    uint64_t number;     /* the last number given to a join or an event */
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

struct pc_channel {
    struct pc_map_node node; /* key: the app's uid, then the name */
    struct pc_shard *shard;
    uint64_t app_uid;
    pusherc_slice name;
    struct pc_channel_class class;
    uint32_t holders; /* what keeps it alive beside subscriptions, e.g. events being delivered */
    uint64_t subscriptions;  /* of all workers */
    uint64_t interested;     /* bit per worker with a subscription */
    struct pc_roster roster; /* presence channels */
    struct pc_views *views;  /* owned; NULL = all subscribers see the same */
    struct {                 /* subscription_count, see fanout/count.h */
        uint32_t told;       /* the count that subscribers were sent last */
        bool timer_set;
        uint64_t told_ms; /* when it was sent */
    } count;
    struct {                  /* of a user's channel, see fanout/watch.h */
        uint32_t connections; /* signed in as the user */
        bool online;          /* the status that watchers were sent last */
        bool timer_set;
        uint64_t offline_at_ms; /* without a connection: when to send watchers "offline" */
    } user;
    struct {                     /* of a cache channel, see channel/keep.h */
        struct pc_cached *event; /* counted; NULL = none */
        struct pc_list of_shard;
    } kept;
    /* fanout/local.h; one per worker, which uses its item without the lock */
    struct pc_local *local[];
};

struct pc_directory {
    const struct pc_mem *mem; /* borrowed */
    uint32_t worker_count;
    uint64_t seed[2];
    uint64_t max_cached_bytes;     /* set before the first event is kept */
    _Atomic uint64_t cached_bytes; /* of all shards */
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
struct pc_channel *pc_shard_get(struct pc_directory *dir, struct pc_shard *shard, uint64_t app_uid,
                                pusherc_slice name, struct pc_channel_class class,
                                const struct pc_rule_match *match);
/* One more or one less subscription with this view. *index stays its name until the last use ends. 0;
 * PUSHERC_ELIMIT: PC_MAX_VIEWS others are in use, without those that all their subscriptions are leaving. */
PC_CHECKED int pc_channel_use_view(struct pc_channel *channel, pusherc_slice name, uint32_t *index);
void pc_channel_drop_view(struct pc_channel *channel, uint32_t index);
/* Frees the channel if it has no subscription and no holder, and keeps no event. */
void pc_channel_settle(struct pc_directory *dir, struct pc_channel *channel);
/* Undoes one `holders++` and settles the channel. Takes the shard's lock: the caller does not hold it. */
void pc_channel_release(struct pc_directory *dir, struct pc_channel *channel);

/* Visits the occupied channels of an app, a shard at a time, with that shard's lock held. */
typedef void (*pc_channel_visit_fn)(const struct pc_channel *channel, void *ctx);
void pc_directory_each(struct pc_directory *dir, uint64_t app_uid, pusherc_slice prefix,
                       pc_channel_visit_fn visit, void *ctx);
uint64_t pc_directory_occupied(struct pc_directory *dir); /* of all apps */

#endif
