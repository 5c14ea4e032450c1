/*
 * A channel as a node shares it with others: what clients here want of it (claims.h), what the authority is known to
 * hold (wants.h), and, of a presence channel, a mirror of the roster (mirror.h).
 *
 * A user of an app with watchlists is such a channel as well (fanout/watch.h). Its roster has the user, or is empty. A
 * node with connections that are signed in holds the user there, a node with watchers follows the roster, and either may
 * be without the other. It is not counted, so no list has it, and no edge of it is told.
 *
 * The node's own fields are used by its thread only. Channels and users are found by all threads, so the tables are
 * guarded by the node's mutex, and only the node's thread removes from them.
 */
#ifndef PC_CLUSTER_REMOTE_H
#define PC_CLUSTER_REMOTE_H

#include "channel/directory.h"
#include "cluster/node.h"
#include "fanout/seat.h"

enum pc_known {
    PC_KNOWN_NO = 0,
    PC_KNOWN_YES,
    PC_NOT_KNOWN
};

/* A user of a presence channel, who is here, in the mirror, or both. */
struct pc_remote_user {
    struct pc_map_node node; /* key: the user id; of the channel's table, guarded by the mutex */
    struct pc_list in_order;
    struct pc_list todo;   /* guarded: what is wanted and what is held may differ */
    struct pc_list differ; /* in the mirror and shown are not the same */
    uint64_t claims;       /* guarded: joins of clients here, waiting ones included */
    bool let_in;           /* guarded: a client of the user has joined */
    bool came;             /* guarded: has signed in, and the node has not looked since */
    char *info;            /* guarded; owned: of the first client here */
    enum pc_known held;    /* by this incarnation */
    bool asked;            /* a join or leave is under way */
    bool has_number;       /* `number` is of this epoch and subscription */
    uint64_t number;       /* of the roster, when it was held */
    bool mirrored;         /* the authority has the user */
    bool shown;            /* and so has the channel's roster */
    uint64_t fetched;      /* number of the fetch that had it */
    char *mirror_info;     /* owned; until it is shown */
};

enum pc_topic_state {
    PC_TOPIC_NONE = 0,
    PC_TOPIC_ASKED,
    PC_TOPIC_THERE
};

/* A change that came while the roster was being fetched. */
struct pc_remote_change {
    struct pc_list in_order;
    uint64_t number, before;
    bool added;
    pusherc_slice epoch, user, info;
};

/* Where a channel is here, when its app was removed and added again. */
struct pc_remote_home {
    struct pc_list in_order;
    struct pc_app *app;         /* counted */
    struct pc_channel *channel; /* held; NULL as below */
};

struct pc_remote {
    struct pc_map_node node; /* key: "app/channel"; of the node's table, guarded */
    struct pc_list of_part;
    struct pc_node_part *part;
    struct pc_channel_class class;
    /* guarded by the mutex */
    struct pc_app
        *app; /* counted; NULL = no client here has asked: the authority believes that one has */
    struct pc_channel
        *channel; /* held: of presence, or whose subscribers hear how many there are; or NULL */
    struct pc_list homes; /* take the place of both, on the node's thread; the last one counts */
    uint64_t claims;
    uint64_t follows; /* claims that want the topic, and the roster if there is one */
    bool open;        /* a newcomer need not wait, except for a user who is new */
    struct pc_list marked, waits;
    struct pc_map users;
    struct pc_list users_todo;
    bool is_limit;        /* of connections (seats.h), and no channel: its claims are seats */
    bool is_user;         /* and no channel: a user who is signed in or watched */
    struct pc_list seats; /* the newest last */
    uint64_t seat_number; /* of the newest */
    /* the node's thread */
    struct pc_list users_in_order;
    struct pc_list todo; /* of the partition: to be looked at in the next tick, */
    struct pc_list soon; /* or when the report is done that is being looked at */
    uint32_t requests;   /* under way that point here */
    uint32_t busy;       /* users who are held, may be held, or asked for */
    enum pc_topic_state topic;
    uint32_t topic_pending; /* subscriptions that were not reported */
    bool counted;           /* subscriptions are counted */
    enum pc_known sent_known;
    uint64_t sent; /* count that the authority has, if known */
    bool count_asked;
    uint64_t count_wanted; /* what was asked last */
    uint64_t seat_asked;   /* seats up to this one are being counted */
    bool uncapped;         /* more are counted than fit, and they stay */
    bool recount;          /* totals may have been missed */
    bool total_came;       /* a message, since the count was asked: */
    uint64_t total;
    uint32_t joins;       /* under way */
    uint64_t count_at_ms; /* when a change of the count is sent; 0 = there is none */
    bool live;            /* the mirror follows */
    bool fetching;
    uint64_t fetch_number;
    bool
        hold_back; /* it is settled, but the mirror may not have caught up: removals wait for a fetch */
    uint64_t last; /* number of the mirror */
    uint64_t mirror_count;
    char mirror_epoch[PC_MAX_EPOCH + 1];
    struct pc_list kept; /* changes that came while fetching */
    uint32_t kept_count;
    bool spoilt; /* too many came */
    /* of a cache channel: what is kept in the directory */
    bool kept_known;     /* is what the authority keeps, and follows it */
    bool kept_asked;     /* KEPT is under way */
    bool kept_owed;      /* the data has gone back: the authority may have something older */
    bool kept_brought;   /* REKEEP is under way */
    uint64_t kept_fetch; /* number of the latest fetch; 0 = its answer does not count */
    uint64_t kept_stamp; /* of the event; 0 = not known, or none */
    char kept_origin[PC_NODE_ID];     /* the node that published it, */
    uint64_t kept_number;             /* and its number there */
    uint64_t kept_suspect;            /* stamp of another one that the last sweep found */
    uint64_t swept_last, swept_count; /* what the last comparison said */
    bool suspect;                     /* one has found a difference, with these: */
    uint64_t suspect_last, suspect_count;
    struct pc_list differ;
    uint64_t unused_since_ms; /* 0 = used */
};

#define PC_MAX_REMOTE_KEY (PC_APP_ID_MAX + 1 + PC_ANY_CHANNEL_NAME_MAX)

struct pc_remote_key {
    char bytes[PC_MAX_REMOTE_KEY];
};
/* "app/channel", in `key`. */
pusherc_slice pc_remote_key(struct pc_remote_key *key, pusherc_slice app_id, pusherc_slice channel);
/* The channel of a key; len 0: it is no key. */
pusherc_slice pc_key_channel(pusherc_slice key);
/* The app of a key, counted; NULL: it is not known here. */
struct pc_app *pc_key_app(struct pusherc_link *node, pusherc_slice key);

static inline struct pusherc_link *pc_remote_node(const struct pc_remote *remote)
{
    return remote->part->node;
}

static inline bool pc_remote_is_presence(const struct pc_remote *remote)
{
    return remote->class.kind == PUSHERC_CHANNEL_PRESENCE;
}

/* The authority has a roster of it, which a mirror follows. */
static inline bool pc_remote_has_roster(const struct pc_remote *remote)
{
    return remote->is_user || pc_remote_is_presence(remote);
}

static inline void pc_node_lock(struct pusherc_link *node)
{
    pthread_mutex_lock(&node->mutex);
}

static inline void pc_node_unlock(struct pusherc_link *node)
{
    pthread_mutex_unlock(&node->mutex);
}

/* -- any thread, with the mutex held. NULL from a function that makes: out of memory -- */

struct pc_remote *pc_remote_find(struct pusherc_link *node, pusherc_slice key);
/* The node's thread puts a new one into its partition. */
struct pc_remote *pc_remote_get(struct pusherc_link *node, pusherc_slice key);
/* The node shall look at it. Returns the workers to wake. */
uint64_t pc_remote_mark(struct pusherc_link *node, struct pc_remote *remote);
struct pc_remote_user *pc_remote_find_user(const struct pc_remote *remote, pusherc_slice id);
struct pc_remote_user *pc_remote_get_user(struct pc_remote *remote, pusherc_slice id);
void pc_remote_user_todo(struct pc_remote *remote, struct pc_remote_user *user);

/* -- the node's thread, without the mutex -- */

/* The channel of this key, in its partition. NULL: also if it is of another partition. */
struct pc_remote *pc_remote_get_here(struct pc_node_part *part, pusherc_slice key);
struct pc_remote_user *pc_remote_get_user_here(struct pc_remote *remote, pusherc_slice id);
void pc_remote_set_user(struct pc_remote *remote, struct pc_remote_user *user, enum pc_known held,
                        bool asked);
void pc_remote_set_topic(struct pc_remote *remote, enum pc_topic_state topic);
/* Frees the user if nothing is known of it and nothing is wanted. */
void pc_remote_user_settle(struct pc_remote *remote, struct pc_remote_user *user);
/* The user is out of the table. */
void pc_remote_user_free(struct pc_remote *remote, struct pc_remote_user *user);
/* The channel in the directory and its app. Both are set by the first client that joins, and changed on this thread if
 * the app was removed and added again. */
struct pc_channel *pc_remote_channel(struct pc_remote *remote, struct pc_app **app);
/* It is looked at in the next tick. */
void pc_remote_again(struct pc_remote *remote);
/* It is looked at when the report is done that is being looked at. */
void pc_remote_soon(struct pc_remote *remote);

#endif
