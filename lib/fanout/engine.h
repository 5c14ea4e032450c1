/*
 * The engine: one server without its event loops. It owns all state; there is none outside of it, so two engines in
 * one process are independent.
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
#include "base/recent.h"
#include "channel/apps.h"
#include "channel/directory.h"
#include "fanout/decider.h"
#include "fanout/elsewhere.h"
#include "fanout/everywhere.h"
#include "fanout/notice.h"
#include "fanout/once.h"
#include "fanout/pending.h"
#include "fanout/relay.h"
#include "fanout/seat.h"
#include "fanout/worker.h"
#include "inspect/happened.h"
#include "why/ended.h"
#include "why/why.h"

/* Values that a host cannot set. They are members of the engine and not macros, so that a test can set them between
 * pc_engine_init() and the start. */
struct pc_constants {
    uint32_t request_timeout_ms; /* from a request's head to its complete body, then 408 */
    uint32_t keep_alive_ms;      /* an HTTP connection between two requests */
    uint32_t
        fallback_absence_ms; /* a client over HTTP without a receiving request; then it has left */
    uint32_t fallback_heartbeat_ms; /* after which such a client is sent a line */
    uint32_t fallback_patience_ms;  /* how long its messages wait for those before them */
    /* of one app's answers that are kept; the oldest are dropped first */
    uint32_t idempotency_max_bytes;
};

/* Writes all metrics for the API's listeners, in the form of pusherc_server_metrics() or as JSON. */
struct pc_metrics_page {
    int (*write)(void *ctx, bool json, pusherc_write_fn write, void *user_data);
    void *ctx;
};

/* The answer to the question whether an app may have one more connection. */
struct pc_permit {
    struct pc_pending pending;
    uint16_t code;      /* 0 = the app may; else the code to close the client with */
    const char *reason; /* static; set with a code */
};

/* A party outside this process that also decides about connections, such as a limit that several servers share. */
struct pc_permits {
    /* Called once for each client that this server's own limits admit. `address` is what counts as one client; len 0 =
     * unknown. 0: the client may connect; 1: a struct pc_permit will answer to `await`; PUSHERC_ENOMEM. NULL = there is
     * no such party. */
    int (*ask)(void *ctx, struct pc_worker *worker, struct pc_app *app, pusherc_slice address,
               struct pc_await *await);
    void *ctx;
};

/* What the page of the inspector asks for; every text may be empty. */
struct pc_inspector_query {
    pusherc_slice app_id;  /* the app whose channels and connections are listed */
    pusherc_slice prefix;  /* of the channels */
    pusherc_slice channel; /* whose members are listed */
};

/* Writes the state of the server for the inspector, as JSON. 0, PUSHERC_ENOMEM. */
struct pc_inspector_page {
    int (*write)(void *ctx, const struct pc_inspector_query *query, struct pc_buf *out);
    void *ctx;
};

/* What pages for operators show. Strangers may ask for some of them, so no request computes it by itself. */
struct pc_operator_figures {
    struct pc_recent process;       /* a struct pc_process */
    struct pc_recent metrics, json; /* the page, and the same as JSON */
};

/* Whether this server should get clients, as a link with other servers sees it. */
enum pc_health {
    PC_HEALTH_OK = 0,
    PC_HEALTH_DEGRADED, /* it serves without the others */
    PC_HEALTH_UNREADY,  /* the same, and balancers are to choose another server */
    PC_HEALTH_APART     /* it takes no clients */
};

struct pc_engine {
    struct pc_mem mem;
    struct pc_log log;
    /* The host's, with defaults applied. Texts are owned and not NULL. Allocator, log, loop, hooks and
     * webhook_ca_file are kept elsewhere. */
    pusherc_server_options options;
    struct pc_constants constants;
    pusherc_hooks hooks; /* workers call their own: worker->hooks */
    /* number of the latest question to the host; an inbox's, or the next member */
    _Atomic uint64_t *last_question;
    _Atomic uint64_t own_last_question;
    struct pc_observer observer;     /* set before start */
    struct pc_decider decider;       /* set before start */
    struct pc_relay relay;           /* set before start */
    struct pc_elsewhere elsewhere;   /* set before start */
    struct pc_everywhere everywhere; /* set before start */
    struct pc_once_party once;       /* set before start */
    struct pc_seats seats;           /* set before start */
    /* set before start: edges and counts of channels are noted by a link for all processes (cluster/teller.h), and not by
     * this one for itself; cleared when the link gives no more notices */
    bool told_by_link;
    struct pc_webhook_stats webhooks;   /* the observer's */
    struct pc_permits permits;          /* set before start */
    struct pc_metrics_page metrics;     /* the server's */
    struct pc_inspector_page inspector; /* the server's; NULL = none */
    struct pc_happened *happened;       /* NULL = there is no inspector */
    struct pc_operator_figures figures;
    uint64_t seed[2]; /* of all hash tables with keys that clients choose */
    struct pc_idgen ids;
    struct pc_apps apps;
    struct pc_rules rules;
    struct pc_directory directory;
    struct pc_why_ended ended;
    uint32_t worker_count;
    struct pc_worker *workers; /* worker_count of them */
    _Atomic bool draining;     /* a stop has begun */
    _Atomic int health;        /* enum pc_health */
    /* of all workers, with those that are being admitted, against options.max_connections */
    _Atomic uint32_t clients;
    _Atomic uint64_t publishes, unmatched, mailbox_refused;
    struct pc_deflaters *deflaters; /* NULL = messages are not compressed */
    _Atomic uint64_t compressed, compressed_from_bytes, compressed_to_bytes;
    struct pc_app_refusals unknown_app; /* refusals without an app that they could be counted for */
    uint64_t (*clock_ns)(void); /* monotonic; given by the runtime. NULL: nothing is timed */
    struct pc_fork_mark *mark;  /* the runtime's: of the process that runs the workers; counted */
};

static inline struct pc_why pc_engine_why(struct pc_engine *engine)
{
    return (struct pc_why){&engine->mem, &engine->log, &engine->apps, &engine->directory,
                           engine->happened};
}

/* Notes what the inspector shows. `worker`: whose thread this is; NULL = no worker's. Without an inspector it does
 * nothing. */
static inline void pc_engine_note(const struct pc_engine *engine, const struct pc_worker *worker,
                                  const struct pc_happening *what)
{
    if (engine->happened)
        pc_happened_note(engine->happened, worker ? worker->index : PC_HAPPENED_OTHER_THREAD, what);
}

/* Makes everything but the mailboxes, which are made with the event loops. `options` have their defaults; their texts
 * are copied. 0; PUSHERC_ENOMEM; PUSHERC_ENOSYS: messages cannot be compressed. */
PC_CHECKED int pc_engine_init(struct pc_engine *engine, const struct pc_mem *mem,
                              const pusherc_server_options *options, uint32_t worker_count,
                              uint64_t now_ms);
void pc_engine_free(struct pc_engine *engine);

/* The host's limits, or what the apps need. */
static inline size_t pc_engine_max_frame_bytes(const struct pc_engine *engine)
{
    size_t set = engine->options.max_frame_bytes;
    return set ? set : pc_apps_message_bytes(&engine->apps);
}

static inline size_t pc_engine_max_body_bytes(const struct pc_engine *engine)
{
    size_t set = engine->options.max_http_body_bytes;
    return set ? set : pc_apps_request_bytes(&engine->apps);
}

static inline bool pc_engine_is_draining(const struct pc_engine *engine)
{
    /* relaxed: a thread may see the stop a little later */
    return atomic_load_explicit(&engine->draining, memory_order_relaxed);
}

static inline enum pc_health pc_engine_health(const struct pc_engine *engine)
{
    return (enum pc_health)atomic_load_explicit(&engine->health,
                                                memory_order_relaxed); /* as above */
}

#endif
