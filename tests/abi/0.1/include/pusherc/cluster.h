/**
 * @file cluster.h
 * Several processes that serve one set of apps. Experimental: this may change in any release before 1.0.
 *
 * Each process is a node: one server with a link. Clients of all nodes share channels, members and events. Apps are the
 * host's to configure alike on all nodes; an app is the same app by its id. docs/scaling.md says what is shared and what
 * is promised.
 *
 * Whether a channel is occupied, who its members are, and the order of all changes is decided in one place, the
 * authority. Its state is split into partitions, each with a state of its own. This header has the table of functions by
 * which a server reaches the authority and the other nodes, which the host fills for its transport; and the authority as
 * a state machine in memory, for transports that have none: one process, the leader of a partition, executes the steps
 * of all and publishes what they say.
 *
 * A process is known to the authority as an incarnation, a name that no other process has, and that is not used again
 * after it was declared dead. It has a lease, which it renews. It holds users in channels, and counts subscriptions.
 * An epoch names the data: a new one begins when the data moves to another place and may be older than what processes
 * know. Then each process says again what it holds, and until all have done so the partition is unsettled.
 *
 * Unless said otherwise: Thread: any, one at a time for each authority. Blocks: no. In callbacks: no. Owns: nothing.
 * Since: 0.1.
 */
#ifndef PUSHERC_CLUSTER_H
#define PUSHERC_CLUSTER_H

#include <pusherc/alloc.h>
#include <pusherc/error.h>
#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/**
 * The steps of an authority. Each has its arguments as byte strings, in the order given here, and answers byte strings.
 * Numbers are decimal, 0..2^53; yes and no are 1 and 0. In parentheses with a star stands what comes any number of
 * times. `inc` is the incarnation that asks, `epoch` the one it believes in, `channel` the id of an app, a slash, and a
 * name. `wants`: edges are kept for TELL if it is 1, and new totals as well if it is 2.
 *
 * The first answered string is OK, or why nothing was done: EPOCH (it is another), FENCED (the incarnation was declared
 * dead), or what the step names.
 */
typedef enum pusherc_step {
    /** inc run lease_ms settle_ms fresh have -> epoch changes unsettled. An incarnation begins, or comes back. `run` names
     *  the place where the data lives: if it is another one than before, the epoch `fresh` begins, unsettled for
     *  settle_ms at least. `have`: the epoch under which this incarnation has said what it holds; empty = it holds
     *  nothing. */
    PUSHERC_STEP_ATTACH = 1,
    /** inc epoch -> nothing. The incarnation ends; what it still holds is taken away as from a dead one. */
    PUSHERC_STEP_DETACH = 2,
    /** inc epoch run lease_ms office -> unsettled teller alive (gone)*. `teller`: this incarnation is the one that tells
     *  edges. With `office` 1 it becomes that if no other is; with 0 it gives it up.
     *  `alive`: how many there are. `gone`: those that REAP should bury: some are late only, so bury who was named in two
     *  renewals in a row. */
    PUSHERC_STEP_RENEW = 3,
    /** inc epoch -> unsettled. All that it holds is said. */
    PUSHERC_STEP_SYNCED = 4,
    /** inc epoch -> n (channel user){n} m (channel count){m}. What it holds and counts. */
    PUSHERC_STEP_MINE = 5,
    /** inc epoch channel user info most force wants -> number first. It holds the user from now on. `number`: of the last
     *  change of the roster. FULL: the user is new, the roster has `most` members, and `force` is 0. */
    PUSHERC_STEP_JOIN = 6,
    /** inc epoch channel user wants -> last. It does not hold the user any more. */
    PUSHERC_STEP_LEAVE = 7,
    /** inc epoch wants (index channel count most publish)* -> (granted total)*. How many subscriptions it has; with
     *  `most`, not empty, no more is granted than fits. `index`: the list that CHANNELS shows the channel in. `publish`:
     *  the total goes to the channel's topic. */
    PUSHERC_STEP_COUNT = 8,
    /** epoch channel -> number unsettled (user number info)*. The roster, and the number of its last change. */
    PUSHERC_STEP_FETCH = 9,
    /** epoch (channel number members)* -> (channel)*. Those whose roster is another. */
    PUSHERC_STEP_VERIFY = 10,
    /** dead limit -> n (channel user){n} m (channel){m}. What to name in REAP. */
    PUSHERC_STEP_PEEK = 11,
    /** inc epoch lease_ms dead wants n (channel user){n} m (channel){m} -> left. Declares an incarnation dead and takes
     *  away what is named; again until nothing is left. If `wants` is 2, new totals are published as by COUNT. ALIVE: its lease has not lapsed. DENIED: the incarnation that
     *  asks was itself away. */
    PUSHERC_STEP_REAP = 12,
    /** inc epoch since limit -> now_ms (id kind channel user)*. The oldest edges after the id `since`, "0-0" at first;
     *  kind: occupied, vacated, added, removed; or counted, with the total in place of the user. `now_ms`: the time by
     *  which ids are made. NOT_OWNER: another one tells them. */
    PUSHERC_STEP_TELL = 13,
    /** inc epoch (id)* -> nothing. They were told. NOT_OWNER as in TELL. */
    PUSHERC_STEP_TOLD = 14,
    /** epoch (channel user)* -> (there waiting)*. What is true now; an empty user asks for the channel. `waiting`: an edge
     *  is not told yet. */
    PUSHERC_STEP_CHECK = 15,
    /** index prefix cursor limit -> (channel subscriptions members)* cursor. Occupied channels whose name, with the app's
     *  id, begins with `prefix`. Begin with cursor 0; answered 0: these were the last. */
    PUSHERC_STEP_CHANNELS = 16,
    /** channel ttl_ms body -> stamp. Publishes "<stamp> <stamp before> \n<body>" and keeps the body. */
    PUSHERC_STEP_KEEP = 17,
    /** channel stamp ttl_ms body -> newer. Keeps the body if it is newer than what is kept. */
    PUSHERC_STEP_REKEEP = 18,
    /** channel -> stamp body ttl_ms, or nothing. */
    PUSHERC_STEP_KEPT = 19,
    /** key content token ttl_ms -> nothing. The first word is FIRST; REPEAT, then the answer of the first; RUNNING; or
     *  OTHER: the content differs. */
    PUSHERC_STEP_ONCE_BEGIN = 20,
    /** key token answer ttl_ms -> nothing. LOST: the key has expired meanwhile. */
    PUSHERC_STEP_ONCE_DONE = 21,
    /** key token -> nothing. The key is forgotten. LOST as above. */
    PUSHERC_STEP_ONCE_UNDO = 22,
    /** body keep -> id (inc)*. Publishes "<id> <id before>\n<body>" as an order, and keeps the last `keep` of them. The
     *  incarnations are those that have to carry it out. */
    PUSHERC_STEP_ORDER = 23,
    /** since limit -> found newest (id body)*. The orders after that id, the oldest first; all that are kept if it is not
     *  found. `newest`: the id of the last one, 0-0 if there was none. */
    PUSHERC_STEP_ORDERS = 24,
    /** (channel)* -> (subscriptions members)*. */
    PUSHERC_STEP_TOTALS = 25
} pusherc_step;

/** What is published, and to whom. */
typedef enum pusherc_topic {
    /** To the processes with subscribers of a channel, which is the key. Changes of the roster: "<number> <number before>
     *  <epoch>\n", then "+<length>:<user><info>" or "-<length>:<user>". Totals: "C <subscriptions>". Kept events: as in
     *  KEEP. */
    PUSHERC_TOPIC_CHANNEL = 1,
    /** To all: "S <epoch>", it is settled; "T", the first edge is there to tell; "V", none tells edges now. The key is empty */
    PUSHERC_TOPIC_PARTITION = 2,
    PUSHERC_TOPIC_ORDERS = 3 /**< to all: orders. The key is empty */
} pusherc_topic;

/** The state of one partition, in memory. It grows with what processes hold; their limits are its limits. */
typedef struct pusherc_authority pusherc_authority;

/** A step publishes: 0 or more times, in order, before the answer. The slices are valid during the call. Must not call
 *  the same authority. */
typedef void (*pusherc_authority_publish_fn)(pusherc_topic topic, pusherc_slice key,
                                             pusherc_slice message, void *user_data);
/** A step answers: once. As above. */
typedef void (*pusherc_authority_answer_fn)(const pusherc_slice *values, size_t count,
                                            void *user_data);

/**
 * Make an empty partition.
 *
 * @param out        the authority, NULL on failure
 * @param allocator  copied; NULL = the C library's
 * @return 0, or
 *         PUSHERC_EINVAL  `out` is NULL
 *         PUSHERC_ENOMEM
 *         PUSHERC_EIO     the system gave no random bytes
 *
 * Owns: the authority, until pusherc_authority_free().
 */
PUSHERC_API int pusherc_authority_new(pusherc_authority **out, const pusherc_allocator *allocator);

/**
 * Free a partition with all its data.
 *
 * @param authority  NULL does nothing
 *
 * Owns: the authority is gone.
 */
PUSHERC_API void pusherc_authority_free(pusherc_authority *authority);

/**
 * Execute one step, as a whole or not at all. The same steps at the same times give the same answers everywhere, so a copy
 * can follow by executing the steps that were executed elsewhere.
 *
 * @param authority  any
 * @param unix_us    the time; the caller's clock is the partition's. It should not go back
 * @param step       what to do
 * @param args       as the step says
 * @param arg_count  how many they are
 * @param publish    called for what the step publishes
 * @param answer     called once on success, before this call returns
 * @param user_data  for both
 * @return 0, or (then nothing has happened, and neither function was called)
 *         PUSHERC_EINVAL  an argument is NULL, the step is unknown, or its arguments are not as it says
 *         PUSHERC_ENOMEM
 */
PUSHERC_API int pusherc_authority_execute(pusherc_authority *authority, uint64_t unix_us,
                                          pusherc_step step, const pusherc_slice *args,
                                          size_t arg_count, pusherc_authority_publish_fn publish,
                                          pusherc_authority_answer_fn answer, void *user_data);

/** @name A link
 * @{ */

/** The server's side of a link. It may be reported to from any thread. Valid from pusherc_link_ops.start until pusherc_link_ops.stop has returned. */
typedef struct pusherc_link pusherc_link;

/** Begin with PUSHERC_CLUSTER_OPTIONS_INIT. Zero in a field means its default. Nodes of one cluster should have the same
 *  times. */
typedef struct pusherc_cluster_options {
    size_t struct_size; /**< sizeof(pusherc_cluster_options) */
    uint32_t
        lease_ms; /**< without a renewal for so long a node is dead; default 10000, 3 * renew_ms at least */
    uint32_t renew_ms; /**< default 3000 */
    uint32_t
        settle_ms; /**< after data was lost no member is removed for so long; default 5000, more than renew_ms */
    uint32_t
        join_wait_ms; /**< without a link a newcomer waits so long, and is then served by what is known here; default
                                2000 */
    uint32_t count_ms; /**< changes of counts are gathered for so long; default 100 */
    uint32_t sweep_ms; /**< mirrors of rosters are compared so often; default 30000 */
    uint32_t
        linger_ms; /**< a topic stays subscribed so long after the last subscriber; default 10000 */
    uint32_t outbox_ms; /**< without a link events wait no longer than this; default 10000 */
    uint32_t
        outbox_bytes; /**< events that are not answered; default 8388608. Above it publishing fails with
                                PUSHERC_EBACKLOG, and only this node's subscribers get the event */
    bool stale_reads; /**< without a link the HTTP API answers what this node knows; default: 503 */
    uint8_t reserved_[3]; /**< zero */
    /** Without a link for so long the node closes its clients with 4200, so that they connect to another one, and refuses
     *  new ones with 4100 until the link is back; default: never. For apps whose revocations must hold: without a link a
     *  node hears of none */
    uint32_t close_after_ms;
    bool
        ready_needs_link; /**< without a link `/ready` answers 503; default: 200, and says `degraded` */
    uint8_t reserved2_[3]; /**< zero */
} pusherc_cluster_options;

/* clang-format off */
/** Initialiser of a pusherc_cluster_options. */
#define PUSHERC_CLUSTER_OPTIONS_INIT { .struct_size = sizeof(pusherc_cluster_options) }
/* clang-format on */

/**
 * Do what PUSHERC_CLUSTER_OPTIONS_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_cluster_options) as the caller knows it
 */
PUSHERC_API void pusherc_cluster_options_init(pusherc_cluster_options *out, size_t struct_size);

/**
 * The functions of a link, filled by the host. For each partition by itself a link has to give:
 *
 *  1. steps and publications take effect in the order in which they are handed in, each at most once;
 *  2. each is answered once, in that order, by pusherc_link_answer(); or the link is reported lost, and then nothing is
 *     known of those that were not answered;
 *  3. a step is atomic, and what it publishes is published with it;
 *  4. a subscriber gets the messages of a topic and partition in the order in which they were published, each at most
 *     once, and misses none as long as nothing is reported lost;
 *  5. pusherc_link_subscribed() means that everything published from then on will come;
 *  6. the place given to pusherc_link_up() names where the data lives, and is another one whenever the data may have gone
 *     back.
 *
 * All but start and stop are called on one thread, that of the server's first worker, which they must not block. They
 * may report, also from inside. Slices are valid during the call. The server may not have heard of the latest reports
 * when it calls: `session` is that of the last pusherc_link_up() that it knows, and a call of another session than the
 * current one is refused with PUSHERC_ECANCELED.
 */
typedef struct pusherc_link_ops {
    size_t struct_size;  /**< sizeof(pusherc_link_ops) */
    uint32_t partitions; /**< how many there are, 1..1024; the same on all nodes */
    uint32_t reserved_;  /**< zero */
    /** The server starts, on the thread that starts it. 0, or an error with which the start fails. */
    int (*start)(void *self, pusherc_link *link);
    /** The server is freed, on the thread that frees it; called if start was called and returned 0. No report may be made
     *  after it has returned. */
    void (*stop)(void *self);
    /** The result comes by pusherc_link_subscribed(), once for each call. */
    int (*subscribe)(void *self, uint32_t partition, uint64_t session, pusherc_topic topic,
                     pusherc_slice key);
    /** Nothing is reported. */
    int (*unsubscribe)(void *self, uint32_t partition, uint64_t session, pusherc_topic topic,
                       pusherc_slice key);
    /** To a channel's topic; the key is the channel with its app. The answer has no values that matter. */
    int (*publish)(void *self, uint32_t partition, uint64_t session, pusherc_slice key,
                   pusherc_slice message);
    /** A step. These four return 0; PUSHERC_ECANCELED: see above; PUSHERC_EBACKLOG or PUSHERC_ENOMEM: nothing was taken, the
     *  server tries again soon; anything else: as if the link were reported lost. */
    int (*execute)(void *self, uint32_t partition, uint64_t session, pusherc_step step,
                   const pusherc_slice *args, size_t arg_count);
    /** The server does not understand what the session answered, and gives it up. The link reports it lost, and up again
     *  with another one. Nothing is returned that matters. */
    int (*reset)(void *self, uint32_t partition, uint64_t session);
} pusherc_link_ops;

/* clang-format off */
/** Initialiser of a pusherc_link_ops. */
#define PUSHERC_LINK_OPS_INIT { .struct_size = sizeof(pusherc_link_ops) }
/* clang-format on */

/**
 * Do what PUSHERC_LINK_OPS_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_link_ops) as the caller knows it
 */
PUSHERC_API void pusherc_link_ops_init(pusherc_link_ops *out, size_t struct_size);

/**
 * Link this server with others, before it starts.
 *
 * @param server   not started, and not linked
 * @param ops      copied; `partitions` and all functions are set
 * @param self     first argument of the functions; lives until `stop` has returned
 * @param options  copied; NULL = defaults
 * @param info     filled on failure; may be NULL
 * @return 0, or
 *         PUSHERC_EINVAL  an argument is NULL, or a field breaks its rule
 *         PUSHERC_ESTATE  the server was started, or is linked, or belongs to another process
 *         PUSHERC_ENOMEM
 *         PUSHERC_EIO     the system gave no random bytes
 *
 * Thread: setup.
 */
PUSHERC_API int pusherc_server_use_link(pusherc_server *server, const pusherc_link_ops *ops,
                                        void *self, const pusherc_cluster_options *options,
                                        pusherc_errinfo *info);

/** Begin with PUSHERC_REDIS_OPTIONS_INIT, then set `url`. NULL or zero in a field means its default. */
typedef struct pusherc_redis_options {
    size_t struct_size; /**< sizeof(pusherc_redis_options) */
    /** redis://[[USER]:PASSWORD\@]HOST[:PORT][/DB][?prefix=PREFIX]; what is between the separators may be percent-encoded.
     *  Of several hosts with commas between them, the master is looked for in turn. rediss:// is Redis over TLS: its
     *  certificate has to be for HOST, and of an authority that is trusted; more parameters are ca_file, and cert_file
     *  with key_file, by which Redis knows this client, paths of PEM files. redis+sentinel://HOST[:PORT]/MASTER[/DB], with
     *  several hosts as well, and rediss+sentinel:// ask Sentinels for the master; parameters are sentinel_user and
     *  sentinel_password. A host that is part of a Redis Cluster (7.0 or later) says so, and names the others. */
    const char *url;
    const char *
        prefix; /**< what names of keys and topics begin with; default: that of the URL, or "pusherc:". Without
                              braces; at most 100 bytes. Clusters with different prefixes share nothing */
    uint32_t
        timeout_ms; /**< without an answer for so long a connection is given up; default 5000, at least 100 */
    uint32_t reserved_; /**< zero */
    /** PEM file of the authorities that Redis is trusted by, with rediss://; default: that of the URL, or the system's */
    const char *ca_file;
} pusherc_redis_options;

/* clang-format off */
/** Initialiser of a pusherc_redis_options. */
#define PUSHERC_REDIS_OPTIONS_INIT { .struct_size = sizeof(pusherc_redis_options) }
/* clang-format on */

/**
 * Do what PUSHERC_REDIS_OPTIONS_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_redis_options) as the caller knows it
 */
PUSHERC_API void pusherc_redis_options_init(pusherc_redis_options *out, size_t struct_size);

/**
 * Link this server over Redis 6.2 or later, or a Redis Cluster, with those that use the same one and the same prefix, before it
 * starts.
 *
 * The link is on the loop of the first worker. It connects when the server starts and again whenever a connection is lost;
 * the start does not wait for it. The log tells what is wrong with Redis. All data that servers share is in Redis, and none has to outlive
 * it: an empty Redis is filled again.
 *
 * @param server   not started, and not linked
 * @param redis    copied
 * @param options  copied; NULL = defaults
 * @param info     filled on failure; may be NULL
 * @return 0, or
 *         PUSHERC_EINVAL  an argument is NULL, or a field breaks its rule
 *         PUSHERC_ESTATE  the server was started, or is linked, or belongs to another process
 *         PUSHERC_ENOSYS  the library was built without hiredis, or the URL asks for TLS and it was built without
 *         PUSHERC_ETLS    a file that the URL or ca_file names is unusable
 *         PUSHERC_ENOMEM
 *         PUSHERC_EIO     the system gave no random bytes
 *
 * Thread: setup.
 */
PUSHERC_API int pusherc_server_use_redis(pusherc_server *server, const pusherc_redis_options *redis,
                                         const pusherc_cluster_options *options,
                                         pusherc_errinfo *info);

/**
 * The link of a partition is connected. Nothing is subscribed, and nothing is under way.
 *
 * @param link       from start
 * @param partition  below pusherc_link_ops.partitions
 * @param session    a number that this partition has not had
 * @param run        1..200 bytes, the place where the data lives; see the sixth promise of pusherc_link_ops
 * @return 0; PUSHERC_EINVAL; PUSHERC_ENOMEM: report the link lost
 */
PUSHERC_API int pusherc_link_up(pusherc_link *link, uint32_t partition, uint64_t session,
                                pusherc_slice run);

/**
 * The link of a partition is lost, or only its subscriptions are. Reports that were made before and have not been looked
 * at are ignored.
 *
 * @param link         from start
 * @param partition    below pusherc_link_ops.partitions; otherwise nothing happens
 * @param topics_only  steps go on, what was subscribed is gone
 */
PUSHERC_API void pusherc_link_lost(pusherc_link *link, uint32_t partition, bool topics_only);

/**
 * A call of pusherc_link_ops.subscribe has succeeded; in the order of the calls.
 *
 * @param link       from start
 * @param partition  as in the call
 * @param topic      as in the call
 * @param key        as in the call
 * @return 0; PUSHERC_EINVAL; PUSHERC_ENOMEM: report the subscriptions lost
 */
PUSHERC_API int pusherc_link_subscribed(pusherc_link *link, uint32_t partition, pusherc_topic topic,
                                        pusherc_slice key);

/**
 * A message on a topic that is subscribed.
 *
 * @param link       from start
 * @param partition  of the topic
 * @param topic      as subscribed
 * @param key        as subscribed
 * @param message    as it was published; copied
 * @return 0; PUSHERC_EINVAL; PUSHERC_ENOMEM: report the subscriptions lost
 */
PUSHERC_API int pusherc_link_message(pusherc_link *link, uint32_t partition, pusherc_topic topic,
                                     pusherc_slice key, pusherc_slice message);

/**
 * The answer to the step or publication of this partition that has waited longest.
 *
 * @param link       from start
 * @param partition  of the step
 * @param values     what the step answers; copied. LATER alone: it was not done, and shall be asked for again
 * @param count      0 only for a publication
 * @return 0; PUSHERC_EINVAL; PUSHERC_ENOMEM: report the link lost
 */
PUSHERC_API int pusherc_link_answer(pusherc_link *link, uint32_t partition,
                                    const pusherc_slice *values, size_t count);

/** The state of a link: the worst of all partitions. */
typedef enum pusherc_link_state {
    PUSHERC_LINK_NONE = 0,  /**< the server is not linked */
    PUSHERC_LINK_DOWN,      /**< not connected */
    PUSHERC_LINK_ATTACHING, /**< connected; says what it holds */
    PUSHERC_LINK_UP         /**< works */
} pusherc_link_state;

/** Begin with PUSHERC_CLUSTER_INFO_INIT. */
typedef struct pusherc_cluster_info {
    size_t struct_size;       /**< sizeof(pusherc_cluster_info) as the caller knows it */
    pusherc_link_state state; /**< now */
    uint32_t nodes;           /**< live ones with this one, by the last renewal; 0 = not known */
    char node_id[24];         /**< this server's, NUL-terminated; empty = not linked */
    uint64_t gaps;            /**< times that messages were missed, or may have been */
    uint64_t dropped;         /**< events that other nodes did not get from here */
    uint64_t refused;         /**< messages and answers that were not understood */
    uint64_t reaped;          /**< dead nodes that this one has buried */
    bool unsettled;           /**< data was lost, and not every node has said again what it holds */
    uint8_t reserved_[7];     /**< zero */
} pusherc_cluster_info;

/* clang-format off */
/** Initialiser of a pusherc_cluster_info. */
#define PUSHERC_CLUSTER_INFO_INIT { .struct_size = sizeof(pusherc_cluster_info) }
/* clang-format on */

/**
 * Do what PUSHERC_CLUSTER_INFO_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_cluster_info) as the caller knows it
 */
PUSHERC_API void pusherc_cluster_info_init(pusherc_cluster_info *out, size_t struct_size);

/**
 * How the link of a server is.
 *
 * @param server  any
 * @param out     begins as PUSHERC_CLUSTER_INFO_INIT; filled on success
 * @return 0, or
 *         PUSHERC_EINVAL  an argument is NULL, or out->struct_size is wrong
 *         PUSHERC_ESTATE  the server belongs to another process
 */
PUSHERC_API int pusherc_server_cluster(pusherc_server *server, pusherc_cluster_info *out);

/** @} */

PUSHERC_END_DECLS

#endif /* PUSHERC_CLUSTER_H */
