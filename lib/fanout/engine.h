/*
 * The object that owns everything: one server without its event loops. There is no other state; two
 * engines in one process know nothing of each other.
 */
#ifndef PC_FANOUT_ENGINE_H
#define PC_FANOUT_ENGINE_H

#include <stdatomic.h>

#include <pusherc/hooks.h>
#include <pusherc/metrics.h>
#include <pusherc/server.h>

#include "auth/rules.h"
#include "base/idgen.h"
#include "base/log.h"
#include "channel/apps.h"
#include "channel/directory.h"
#include "fanout/notice.h"
#include "fanout/pending.h"
#include "fanout/worker.h"

/* pusherc_server_options with defaults applied. */
struct pc_limits {
    uint32_t max_connections, max_frame_bytes, max_http_body_bytes, max_http_head_bytes;
    uint32_t handshake_timeout_ms, request_timeout_ms, keep_alive_ms, identify_timeout_ms,
        auth_timeout_ms;
    uint32_t pong_timeout_ms, close_timeout_ms;
    uint32_t out_soft_bytes, out_soft_ms, out_hard_bytes;
    uint32_t mailbox_max_messages, max_auth_skew_s, accept_traffic_percent, proxy_count;
    uint64_t max_cache_bytes;
    uint32_t idempotency_ms, idempotency_max_bytes;
    pusherc_http_error_format http_error_format;
    uint32_t webhook_batch_ms, webhook_batch_events, webhook_delay_ms, webhook_timeout_ms,
        webhook_retry_ms, webhook_max_queued;
};

/* The answer to whether an app may have one more connection. */
struct pc_permit {
    struct pc_pending pending;
    uint16_t code;      /* 0 = it may; else what to close the client with */
    const char *reason; /* static; with a code */
};

/* Something outside this process that has a say in it, such as a limit that several servers share. */
struct pc_permits {
    /* Asked once for each client that this server's own limits let in. `address` is what counts as one client; len 0 =
     * unknown. 0: it may; 1: a struct pc_permit will answer to `await`; PUSHERC_ENOMEM. NULL = nothing is asked. */
    int (*ask)(void *ctx, struct pc_worker *worker, struct pc_app *app, pusherc_slice address,
               struct pc_await *await);
    void *ctx;
};

struct pc_engine {
    struct pc_mem mem;
    struct pc_log log;
    struct pc_limits limits;
    pusherc_hooks hooks;
    struct pc_observer observer;      /* set before start */
    struct pc_webhook_stats webhooks; /* the observer's */
    struct pc_permits permits;        /* set before start */
    struct pusherc_server *server;    /* the facade's object; opaque here */
    char *auth_path, *user_auth_path; /* NULL = none; owned */
    char *path_prefix;                /* "" or "/..." without a slash at its end; owned */
    uint64_t seed[2];                 /* of every table keyed by strangers */
    struct pc_idgen ids;
    struct pc_apps apps;
    struct pc_rules rules; /* complete before start, only read afterwards */
    struct pc_directory directory;
    uint32_t worker_count;
    struct pc_worker *workers; /* worker_count of them */
    _Atomic bool draining;     /* a stop has begun */
    _Atomic uint32_t sockets;  /* of all workers, against limits.max_connections */
    _Atomic uint64_t publishes, unmatched, mailbox_refused;
    struct pc_app_refusals strangers; /* what could not be counted for an app */
    uint64_t (*clock_ns)(void);       /* monotonic; given by the runtime. NULL: nothing is timed */
    uint16_t port;                    /* of the first listener, a label of metrics */
    char *metrics_prefix;             /* owned */
    /* The facade's: writes all metrics, as pusherc_server_metrics() or as JSON. */
    int (*write_metrics)(struct pusherc_server *server, bool json, pusherc_write_fn write,
                         void *user_data);
};

/* Everything but the mailboxes, which come with their event loops. */
PC_CHECKED int pc_engine_init(struct pc_engine *engine, const struct pc_mem *mem,
                              const struct pc_limits *limits, const pusherc_hooks *hooks,
                              pusherc_slice path_prefix, uint32_t worker_count, uint64_t now_ms);
void pc_engine_free(struct pc_engine *engine);

#endif
