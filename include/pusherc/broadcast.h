/**
 * @file broadcast.h
 * Publishing from anywhere, whatever carries the event: a server in this process, the HTTP API of another one, Redis, a
 * log. No server of ours has to be in the process.
 *
 * A broadcaster is one way to publish, named by a setting that looks like a URL:
 *
 * | setting                                             | what carries an event                                        |
 * |-----------------------------------------------------|--------------------------------------------------------------|
 * | local:APP-ID                                        | `server` of the options, a server in this process            |
 * | pusher://KEY:SECRET\@HOST[:PORT]/APP-ID[?...]       | the HTTP API of any Pusher-compatible server                 |
 * | https://KEY:SECRET\@HOST[:PORT]/apps/APP-ID[?...]   | the same, as Pusher's SDKs write it                          |
 * | redis://[[USER]:PASSWORD\@]HOST[:PORT][/DB][?...]   | Redis, in the form of Laravel's broadcaster                  |
 * | log:                                                | `log_fn` of the options                                      |
 * | null:                                               | nothing: events are checked and dropped                      |
 * | host:                                               | `driver` of the options, functions of the host               |
 * | failover:FIRST,SECOND[,...]                         | the first of them that takes the event                       |
 *
 * docs/broadcasting.md lists what may follow the question mark, and the names of the environment.
 *
 * *Now or queued.* pusherc_broadcast() hands events over and returns. pusherc_broadcast_now() calls back when the
 * carrier has accepted them, and pusherc_broadcast_wait() waits for that, both with a deadline. All three use one
 * queue, which keeps the order of the events of one channel, sends what waits in batches, and repeats what failed: with
 * growing, varied pauses, and not before a server that says Retry-After wants it. local:, log: and null: take an event
 * at once, on the calling thread, unless others wait already.
 *
 * Nothing is dropped silently. What finds no room is refused to the caller; what could not be sent in time is given to
 * `on_failed`, or to the callback of pusherc_broadcast_now(); and everything is counted. An event may arrive twice if a
 * carrier took it and its answer was lost; servers of ours drop the second one by its idempotency key.
 *
 * In a process that was forked from the one that made a broadcaster, each call returns PUSHERC_ESTATE.
 *
 * Unless said otherwise: Thread: any. Blocks: no. In callbacks: yes. Owns: nothing. Since: 0.1.
 */
#ifndef PUSHERC_BROADCAST_H
#define PUSHERC_BROADCAST_H

#include <pusherc/alloc.h>
#include <pusherc/error.h>
#include <pusherc/log.h>
#include <pusherc/publish.h>
#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/** A way to publish, with its queue. */
typedef struct pusherc_broadcaster pusherc_broadcaster;
/** Some events for a driver of the host. The host answers it once. */
typedef struct pusherc_broadcast_request pusherc_broadcast_request;

/** How an event ended. All of it is valid until the function that received it returns. */
typedef struct pusherc_broadcast_result {
    size_t struct_size; /**< bytes of this struct, as the library knows it */
    /**
     * 0: the carrier has accepted the event; or
     * PUSHERC_EINVAL, PUSHERC_EAUTH, PUSHERC_ENOENT, PUSHERC_ELIMIT, PUSHERC_EPROTO: the carrier refuses it, and would
     * again;
     * PUSHERC_ETIMEDOUT: it was not accepted in time. One that was under way may arrive yet;
     * PUSHERC_ECANCELED: the broadcaster was stopped before. The same holds.
     */
    int code;
    int status;           /**< of the last HTTP answer; 0 = there was none */
    uint32_t attempts;    /**< requests that carried the event */
    uint32_t reserved_;   /**< zero */
    pusherc_slice reason; /**< of the last failure, one line; without secrets */
} pusherc_broadcast_result;

/** Receives the result of pusherc_broadcast_now(). */
typedef void (*pusherc_broadcast_fn)(const pusherc_broadcast_result *result, void *user_data);

/**
 * Receives an event of pusherc_broadcast() that could not be sent. Called once for each, on the broadcaster's thread.
 * Must not block.
 */
typedef void (*pusherc_broadcast_failed_fn)(const pusherc_event *event,
                                            const pusherc_broadcast_result *result,
                                            void *user_data);

/**
 * Functions of the host that carry events ("host:"). They are called on the broadcaster's thread, must not block, and
 * may call functions marked "In callbacks: yes".
 */
typedef struct pusherc_broadcast_driver {
    size_t struct_size;     /**< sizeof(pusherc_broadcast_driver) */
    void *user_data;        /**< passed to each function */
    uint32_t max_events;    /**< of one request, 1..10; default 1 */
    uint32_t max_under_way; /**< requests that are not answered yet; default 1 */
    /** Sends the events of a request, and answers it by pusherc_broadcast_answer(), now or later, from any thread. */
    void (*send)(pusherc_broadcast_request *request, void *user_data);
    /** The broadcaster has stopped and sends no more. Called once; requests may still have to be answered. NULL = not
     *  used. */
    void (*close)(void *user_data);
} pusherc_broadcast_driver;

/* clang-format off */
/** Initialiser of a pusherc_broadcast_driver. */
#define PUSHERC_BROADCAST_DRIVER_INIT { .struct_size = sizeof(pusherc_broadcast_driver) }
/* clang-format on */

/**
 * Do what PUSHERC_BROADCAST_DRIVER_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_broadcast_driver) as the caller knows it
 */
PUSHERC_API void pusherc_broadcast_driver_init(pusherc_broadcast_driver *out, size_t struct_size);

/** Settings of a broadcaster. All of it but `server` and `loop` is borrowed until the call returns. */
typedef struct pusherc_broadcaster_options {
    size_t struct_size; /**< sizeof(pusherc_broadcaster_options) */
    const char *url;    /**< the setting, see the top of this file; NUL-terminated */
    pusherc_server
        *server; /**< for local: ; outlives the broadcaster, which sends once it has started */
    const pusherc_broadcast_driver *driver; /**< for host: ; copied */
    struct uv_loop_s
        *loop; /**< run on this loop; borrowed until `stopped`. NULL = a thread of its own */
    const pusherc_allocator *allocator; /**< copied; NULL = the C library's */
    pusherc_log_fn log_fn;              /**< NULL = silent; log: needs it */
    void *log_user_data;                /**< passed to log_fn */
    pusherc_log_level log_level;        /**< default PUSHERC_LOG_INFO */
    uint32_t max_queued;                /**< events that may wait; default 10000 */
    uint64_t max_bytes;                 /**< memory of those; default 64 MiB */
    uint32_t batch_bytes;   /**< of the events of one request of several; default 65536 */
    uint32_t batch_events;  /**< of one request, 1..10; default 10 */
    uint32_t max_under_way; /**< requests at a time, 1..256; default 8 */
    uint32_t timeout_ms;    /**< of one request; default 10000 */
    uint32_t retry_ms;      /**< how long an event is tried; default 300000 */
    uint32_t grace_ms;      /**< of pusherc_broadcaster_free(); default 3000 */
    const char *ca_file;    /**< PEM, copied; NULL = the system's authorities */
    pusherc_broadcast_failed_fn on_failed; /**< NULL = failures are logged and counted only */
    void *user_data;                       /**< for on_failed */
    bool no_idempotency_keys;              /**< do not send keys with events; default false */
    uint8_t reserved_[7];                  /**< zero */
    /** Which events a newer one replaces while they wait: rules as docs/broadcasting.md has them, such as
     *  "gateway.{id} event=reading.new key=/data_point/id"; copied, NUL-terminated. NULL = each event is sent. */
    const char *conflate;
} pusherc_broadcaster_options;

/* clang-format off */
/** Initialiser of a pusherc_broadcaster_options. */
#define PUSHERC_BROADCASTER_OPTIONS_INIT { .struct_size = sizeof(pusherc_broadcaster_options) }
/* clang-format on */

/**
 * Do what PUSHERC_BROADCASTER_OPTIONS_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_broadcaster_options) as the caller knows it
 */
PUSHERC_API void pusherc_broadcaster_options_init(pusherc_broadcaster_options *out,
                                                  size_t struct_size);

/**
 * Make a broadcaster. Nothing is connected before the first event.
 *
 * @param out      the broadcaster; NULL after a failure
 * @param options  see pusherc_broadcaster_options
 * @param info     why it failed; may be NULL
 * @return 0, or
 *         PUSHERC_EINVAL  a setting breaks a rule
 *         PUSHERC_ENOSYS  this library was built without that driver
 *         PUSHERC_ENOMEM
 *         PUSHERC_EIO     the system gives no loop or no thread, or no random bytes
 *
 * In callbacks: no.
 */
PUSHERC_API PUSHERC_NODISCARD int
pusherc_broadcaster_new(pusherc_broadcaster **out, const pusherc_broadcaster_options *options,
                        pusherc_errinfo *info);

/**
 * Stop. New events are refused. What waits gets an attempt at once, and is given to its callback or to on_failed when
 * the grace period is over.
 *
 * @param broadcaster  a second call with a smaller grace shortens it
 * @param grace_ms     how long to go on sending; 0 = end at once
 * @param stopped      called once, on the broadcaster's thread, when nothing is left; the last call's counts. May be
 *                     NULL. With a `loop` it may free the broadcaster
 * @param user_data    for `stopped`
 */
PUSHERC_API void pusherc_broadcaster_stop(pusherc_broadcaster *broadcaster, uint32_t grace_ms,
                                          void (*stopped)(void *user_data), void *user_data);

/**
 * Stop, within grace_ms of the options unless it was stopped before, wait for the end, and free.
 *
 * With a `loop`: call it in `stopped` or after. Earlier it runs the loop until the broadcaster has ended, so no other
 * code may run the loop meanwhile.
 *
 * @param broadcaster  no other thread uses it; NULL is harmless
 *
 * Blocks: for the grace period at most. In callbacks: only in `stopped`, with a `loop`.
 */
PUSHERC_API void pusherc_broadcaster_free(pusherc_broadcaster *broadcaster);

/**
 * Hand events over. They are checked and copied; the result of sending them is told to on_failed only.
 *
 * @param broadcaster  not stopped
 * @param events  count events; `data` must be UTF-8, limits of its length are the carrier's
 * @param count   1..PUSHERC_MAX_EVENTS_PER_BATCH
 * @return 0 when all are handed over, or (then none is, but see below)
 *         PUSHERC_EINVAL    an event breaks a rule of pusherc_event
 *         PUSHERC_EBACKLOG  as many wait as may; counted
 *         PUSHERC_ESTATE    stopped
 *         PUSHERC_ENOMEM
 *         what pusherc_publish() returns, if local: carries the event: those before it have been sent
 */
PUSHERC_API PUSHERC_NODISCARD int pusherc_broadcast(pusherc_broadcaster *broadcaster,
                                                    const pusherc_event *events, size_t count);

/**
 * Hand events over, and hear when the carrier has accepted all of them, or that it has not by the deadline.
 *
 * @param broadcaster  not stopped
 * @param events      as for pusherc_broadcast()
 * @param count       as for pusherc_broadcast()
 * @param timeout_ms  from now on; 0 = retry_ms of the options
 * @param done        called exactly once if 0 is returned, on the broadcaster's thread or inside this call. If several
 *                    events failed it hears of the first. Must not block
 * @param user_data   for `done`
 * @return as pusherc_broadcast(); PUSHERC_EINVAL also if `done` is NULL
 */
PUSHERC_API PUSHERC_NODISCARD int pusherc_broadcast_now(pusherc_broadcaster *broadcaster,
                                                        const pusherc_event *events, size_t count,
                                                        uint32_t timeout_ms,
                                                        pusherc_broadcast_fn done, void *user_data);

/**
 * Do what pusherc_broadcast_now() does, and wait for the result.
 *
 * @param broadcaster  not stopped
 * @param events      as for pusherc_broadcast()
 * @param count       as for pusherc_broadcast()
 * @param timeout_ms  as for pusherc_broadcast_now()
 * @param info        why it failed; may be NULL
 * @return 0: accepted; what pusherc_broadcast() returns; pusherc_broadcast_result.code; or
 *         PUSHERC_ESTATE  also: called on the broadcaster's own thread
 *
 * Blocks: until the result is there. In callbacks: no.
 */
PUSHERC_API PUSHERC_NODISCARD int pusherc_broadcast_wait(pusherc_broadcaster *broadcaster,
                                                         const pusherc_event *events, size_t count,
                                                         uint32_t timeout_ms,
                                                         pusherc_errinfo *info);

/**
 * The events of a request.
 *
 * @param request  not answered yet
 * @param count    how many; may be NULL
 * @return them, in the order in which they have to arrive; valid until the answer. Take them with PUSHERC_AT()
 */
PUSHERC_API const pusherc_event *
pusherc_broadcast_request_events(const pusherc_broadcast_request *request, size_t *count);

/**
 * The key of one of the events, the same in each attempt: a receiver that knows it already has the event.
 *
 * @param request  not answered yet
 * @param nth      below the number of its events
 * @return at most 128 characters of ASCII; valid until the answer
 */
PUSHERC_API pusherc_slice pusherc_broadcast_request_key(const pusherc_broadcast_request *request,
                                                        size_t nth);

/**
 * Answer a request.
 *
 * @param request  consumed
 * @param code     0: all events were accepted;
 *                 PUSHERC_EBACKLOG: the carrier takes nothing now, send them later;
 *                 PUSHERC_EIO: this request failed, send its events again;
 *                 any other: the events are refused. Those of a request of several are sent once more, each alone
 * @param retry_after_ms  of EBACKLOG: how long to wait; 0 = the library decides
 * @param reason   one line for logs and results; NUL-terminated; copied; NULL = the text of the code
 *
 * Owns: the request.
 */
PUSHERC_API void pusherc_broadcast_answer(pusherc_broadcast_request *request, int code,
                                          uint32_t retry_after_ms, const char *reason);

/** What a broadcaster has done, since it was made. */
typedef struct pusherc_broadcast_stats {
    size_t struct_size;    /**< sizeof(pusherc_broadcast_stats) */
    uint64_t queued;       /**< events that wait or are under way now */
    uint64_t queued_bytes; /**< memory of those */
    uint64_t oldest_ms;    /**< how long the oldest of those has been there */
    uint64_t accepted;     /**< events that the carrier has accepted */
    uint64_t refused;      /**< events that the carrier refused for good */
    uint64_t expired;      /**< events that were not accepted in time */
    uint64_t canceled;     /**< events that were left when the broadcaster stopped */
    uint64_t rejected;     /**< events that found no room: PUSHERC_EBACKLOG */
    uint64_t requests;     /**< attempts to send one or more events */
    uint64_t failures;     /**< attempts that were not accepted */
    uint64_t retries;      /**< attempts of events that were not the first */
    uint64_t under_way;    /**< requests without an answer yet */
    uint64_t
        paused_ms; /**< nothing is sent for so long, because the carrier is away; 0 = it is not */
    uint64_t
        in; /**< events handed over: accepted + refused + expired + canceled + merged + queued */
    uint64_t merged; /**< events that a newer one has replaced, by a rule of `conflate` */
} pusherc_broadcast_stats;

/* clang-format off */
/** Initialiser of a pusherc_broadcast_stats. */
#define PUSHERC_BROADCAST_STATS_INIT { .struct_size = sizeof(pusherc_broadcast_stats) }
/* clang-format on */

/**
 * Do what PUSHERC_BROADCAST_STATS_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_broadcast_stats) as the caller knows it
 */
PUSHERC_API void pusherc_broadcast_stats_init(pusherc_broadcast_stats *out, size_t struct_size);

/**
 * Read the counters.
 *
 * @param broadcaster  any
 * @param out          filled up to its struct_size
 * @return 0, PUSHERC_EINVAL or PUSHERC_ESTATE
 */
PUSHERC_API int pusherc_broadcaster_stats(pusherc_broadcaster *broadcaster,
                                          pusherc_broadcast_stats *out);

/** Returns the value of a name in an environment; NULL = not set. Valid until the next call. */
typedef const char *(*pusherc_lookup_fn)(const char *name, void *user_data);

/**
 * Find the setting in an environment of Laravel, Pusher, Reverb or soketi. The library reads no environment itself.
 *
 * BROADCAST_URL is the setting itself. Without it BROADCAST_CONNECTION (or BROADCAST_DRIVER, as older applications say)
 * chooses: "pusher", "reverb", "redis", "log", "null", or a setting. Without that, the first of REVERB_APP_KEY,
 * PUSHER_APP_KEY, PUSHER_URL and SOKETI_DEFAULT_APP_KEY that is set. docs/broadcasting.md lists all names.
 *
 * @param lookup     called for each name, on the calling thread
 * @param user_data  for `lookup`
 * @param out        cap bytes; gets the setting and a NUL. It may hold a secret
 * @param cap        bytes at `out`
 * @param len        the length without NUL, or the capacity needed; may be NULL
 * @param info       why it failed; may be NULL
 * @return 0, or
 *         PUSHERC_ENOENT   the environment names no way to publish
 *         PUSHERC_EINVAL   it lacks something, or names a driver that is unknown
 *         PUSHERC_ENOBUFS  see the top of sign.h
 *         PUSHERC_ENOMEM
 *
 * Source: Laravel, "broadcasting"; config/broadcasting.php.
 */
PUSHERC_API PUSHERC_NODISCARD int pusherc_broadcast_url(pusherc_lookup_fn lookup, void *user_data,
                                                        char *out, size_t cap, size_t *len,
                                                        pusherc_errinfo *info);

PUSHERC_END_DECLS

#endif /* PUSHERC_BROADCAST_H */
