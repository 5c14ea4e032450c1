/*
 * One app. struct pc_app is an immutable, counted snapshot of the settings of one put; struct pc_app_state is shared by
 * all snapshots and keeps counters, rates and endpoints. An open connection keeps the snapshot it began with.
 */
#ifndef PC_CHANNEL_APP_H
#define PC_CHANNEL_APP_H

#include <pthread.h>
#include <stdatomic.h>

#include <pusherc/app.h>
#include <pusherc/settings.h>

#include "auth/denial.h"
#include "base/list.h"
#include "base/map.h"
#include "base/rate.h"
#include "base/share.h"
#include "base/stat.h"
#include "channel/counts.h"
#include "channel/endpoint.h"
#include "channel/ephemeral_rule.h"
#include "channel/idempotency.h"
#include "channel/origin.h"
#include "channel/people.h"
#include "channel/receipt_rule.h"
#include "channel/receipts.h"
#include "channel/shape_rule.h"
#include "codec/crypto.h"
#include "protocol/close.h"
#include "protocol/names.h"

#define PC_APP_ID_MAX 200 /* bytes of an id, and of a key */
#define PC_SHARDS     64  /* of the channel directory */

/* The settings of an app by the names of their fields. Refusals by a limit are counted under its number. */
enum pc_app_setting {
#define PC_APP_SETTING_(kind, name, min, max, fallback, words, meaning) PC_APP_##name,
    PUSHERC_APP_SETTING_MAP(PC_APP_SETTING_)
#undef PC_APP_SETTING_
    PC_APP_SETTING_COUNT
};

/* Three settings in a row are rates. */
#define PC_RATE_COUNT 3
_Static_assert(PC_APP_max_read_requests_per_s - PC_APP_max_client_events_per_s + 1 == PC_RATE_COUNT,
               "rates are counted from max_client_events_per_s on");

/* What one worker counts for one app; written by that worker only. */
struct pc_app_stats {
    _Atomic uint64_t connected; /* now */
    _Atomic uint64_t connections, disconnections;
    _Atomic uint64_t messages_in, messages_out, bytes_in, bytes_out; /* WebSocket, payloads */
    _Atomic uint64_t http_calls, http_bytes_in, http_bytes_out;      /* bodies */
    _Atomic uint64_t publishes,
        unmatched; /* (event, channel) pairs, and those without subscriber */
    _Atomic uint64_t client_events, client_events_refused;
    _Atomic uint64_t incoming_refused, incoming_changed; /* by the host's on_publish */
    _Atomic uint64_t slow_closed, slow_dropped;
    _Atomic uint64_t rate_checks[PC_RATE_COUNT]; /* from max_client_events_per_s on */
    _Atomic uint64_t subscribed[PC_KIND_COUNT], unsubscribed[PC_KIND_COUNT];
    /* Channels now. One may be occupied on this worker and vacated on another: only the sum means anything. */
    _Atomic uint64_t occupied[PC_KIND_COUNT];
    struct pc_histogram latency; /* from publishing to written, per event and worker */
} __attribute__((aligned(64)));

/* Refusals. They are rare, so all threads count them in one place. */
struct pc_app_refusals {
    _Atomic uint64_t limits[PC_APP_SETTING_COUNT]; /* of the settings that are limits */
    _Atomic uint64_t denials[PC_DENIAL_COUNT];     /* by pusherc_denial_reason */
    _Atomic uint64_t connects[PC_CONNECT_ERROR_COUNT];
};

/* Shared by all snapshots of one app. */
struct pc_app_state {
    _Atomic uint32_t refs;
    struct pc_mem mem;
    _Atomic uint32_t connections;
    _Atomic bool removed;
    _Atomic bool disabled; /* by the current settings */
    uint64_t uid;          /* distinguishes apps in the channel directory; never used again */
    pthread_mutex_t mutex; /* guards the rates and `endpoints`; leaf lock */
    struct pc_rate backend_events, read_requests;
    struct pc_idempotency idempotency;
    struct pc_counts per_user, per_address; /* connections, where there is a limit */
    struct pc_people people;                /* with user_events */
    struct pc_app_refusals refusals;
    struct pc_ephemeral_share ephemeral;
    struct pc_receipts receipts; /* of events that rules of `receipts` are about */
    uint32_t worker_count;
    /* one for each worker, and one for all other threads, which use pc_stat_add_shared() */
    struct pc_app_stats *stats;
    /* Of the current settings, also for events of connections that were opened under earlier settings: a changed
     * URL and a new endpoint are used at once. */
    struct pc_endpoints *endpoints; /* counted; NULL = none */
    _Atomic uint32_t notices;       /* their `kinds`: the events to observe in this app */
    struct {                        /* used by webhook/queue.c, under its lock */
        struct pc_list queues;      /* of the app's endpoints */
        struct pc_list runnable;    /* of them, those with a batch to send now */
        struct pc_list of_runnable; /* among the apps that have such queues */
        struct pc_share bytes;      /* of the events that wait */
        uint32_t under_way;         /* requests */
    } webhooks;
    /* The app's channels in each shard of the directory, under that shard's lock. */
    struct pc_list channels[PC_SHARDS];
    struct {                     /* used by channel/keep.h, under its lock */
        struct pc_list channels; /* that keep an event, the one published longest ago first */
        struct pc_share bytes;
    } kept;
    struct {                     /* used by channel/history.h, under its lock */
        struct pc_list channels; /* whose histories are listed, the one quiet longest first */
        struct pc_share bytes;
    } history;
};

/* A pattern of channels that have a history, and its bounds. */
struct pc_history_rule {
    pusherc_slice pattern; /* owned */
    uint32_t max_events, max_bytes;
    uint64_t keep_ms;
};

struct pc_app {
    _Atomic uint32_t refs;
    struct pc_mem mem;
    struct pc_app_state *state;       /* counted */
    struct pc_map_node by_id, by_key; /* the registry's, while this is the current snapshot */
    pusherc_slice id, key;
    struct pc_hmac_key *secret; /* owned */
    /* made of the secret: the same in all processes, and only who has the secret knows it */
    uint64_t content_seed[2];
    /* owned, wiped; only why/signature.h reads it. Empty in a build without explanations. */
    pusherc_slice secret_text;
    /* The key and secret that a change has replaced; owned. They remain valid until old_until_ms. NULL = none. */
    struct pc_hmac_key *old_secret;
    pusherc_slice old_key;
    uint64_t old_until_ms;
    /* id, key, secret, allowed_origins and webhooks of `options` are not kept; numbers are never 0
     * (delays may be) */
    pusherc_app_options options;
    struct pc_shape_rules shaping;
    struct pc_ephemeral_rules ephemeral;
    struct pc_receipt_rules receipts;
    /* What one message of a client costs of its time, and how far it may be in debt: max_client_messages_per_s, see
     * session/pace.h. 0 = nothing */
    uint32_t message_us;
    uint64_t burst_us;
    bool limits_received; /* max_received_messages_per_s, max_received_bytes_per_s: one is set */
    bool has_master_key;
    uint8_t master_key[32];          /* of encrypted channels */
    char **origins;                  /* owned, NULL-terminated, lower case; NULL = any */
    struct pc_history_rule *history; /* owned, options.history_count of them */
};

/* Checks what the host gave. `webhooks`: this server has a webhook sender. 0; PUSHERC_EINVAL; PUSHERC_ENOSYS: options
 * with webhooks, but no sender. `info` names the field. */
PC_CHECKED int pc_app_check(const pusherc_app_options *options, bool webhooks,
                            pusherc_errinfo *info);
/* Makes a snapshot of checked options, without `state`, counted once. 0, PUSHERC_ENOMEM, PUSHERC_EIO. */
PC_CHECKED int pc_app_new(struct pc_app **out, const struct pc_mem *mem,
                          const pusherc_app_options *options);
/* `app` takes the place of `old`: key and secret of that one remain valid for the app's secret_grace_ms. 0,
 * PUSHERC_ENOMEM, PUSHERC_EIO. */
PC_CHECKED int pc_app_keep_credentials(struct pc_app *app, const struct pc_app *old,
                                       uint64_t now_ms);
static inline bool pc_app_has_old_credentials(const struct pc_app *app, uint64_t now_ms)
{
    return app->old_secret && now_ms < app->old_until_ms;
}
/* Counted once; NULL = out of memory. */
struct pc_app_state *pc_app_state_new(const struct pc_mem *mem, uint64_t uid, uint32_t worker_count,
                                      const uint64_t seed[2]);
void pc_app_ref(struct pc_app *app);
void pc_app_unref(struct pc_app *app); /* NULL is harmless */
void pc_app_state_ref(struct pc_app_state *state);
void pc_app_state_unref(struct pc_app_state *state); /* NULL is harmless */

/* The first pattern that covers the channel; NULL: it has no history. */
const struct pc_history_rule *pc_app_history_find(const struct pc_app *app, pusherc_slice channel);
static inline const struct pc_history_rule *pc_app_history(const struct pc_app *app,
                                                           pusherc_slice channel)
{
    return app->options.history_count ? pc_app_history_find(app, channel) : NULL;
}

/* The first rule that is about the client event; NULL: it is no ephemeral state. */
static inline const struct pc_ephemeral_rule *
pc_app_ephemeral(const struct pc_app *app, pusherc_slice channel, pusherc_slice event)
{
    return app->ephemeral.count ? pc_ephemeral_rules_find(&app->ephemeral, channel, event) : NULL;
}

/* The first rule that is about the event; NULL: it has no receipts. */
static inline const struct pc_receipt_rule *
pc_app_receipt(const struct pc_app *app, pusherc_slice channel, pusherc_slice event)
{
    return app->receipts.count ? pc_receipt_rules_find(&app->receipts, channel, event) : NULL;
}

/* The first rule whose pages say by this client event what they have shown; NULL: there is none. */
static inline const struct pc_receipt_rule *pc_app_shown(const struct pc_app *app,
                                                         pusherc_slice channel, pusherc_slice event)
{
    return app->receipts.count ? pc_receipt_rules_shown(&app->receipts, channel, event) : NULL;
}

static inline struct pc_receipt_bounds pc_app_receipt_bounds(const struct pc_app *app)
{
    return (struct pc_receipt_bounds){app->options.max_receipt_bytes,
                                      UINT64_C(1000) * app->options.receipt_keep_s};
}

/* The counters of this worker for the app. */
static inline struct pc_app_stats *pc_app_stats(const struct pc_app *app, uint32_t worker)
{
    return &app->state->stats[worker];
}
/* Counts one refusal by a limit of the app. */
static inline void pc_app_limited(const struct pc_app *app, enum pc_app_setting limit)
{
    pc_stat_add_shared(&app->state->refusals.limits[limit], 1);
}

/* The endpoints of the current settings, counted for the caller; NULL if there are none. */
struct pc_endpoints *pc_app_endpoints(struct pc_app_state *state);
/* Replaces the endpoints, and takes over the caller's count. Returns the earlier ones, counted for the caller. */
struct pc_endpoints *pc_app_set_endpoints(struct pc_app_state *state,
                                          struct pc_endpoints *endpoints);

/* Counts one more connection; false: the quota is used up. pc_app_disconnect() undoes each success. */
bool pc_app_connect(struct pc_app *app);
void pc_app_disconnect(struct pc_app *app);

/* Take `count` events, or one read, from the rate of this second; false: too little of it is left. */
bool pc_app_take_events(struct pc_app *app, uint32_t count, uint64_t now_ms);
bool pc_app_take_read(struct pc_app *app, uint64_t now_ms);

static inline bool pc_app_any_origin(const struct pc_app *app)
{
    return pc_origins_any(app->origins);
}
static inline bool pc_app_allows_origin(const struct pc_app *app, pusherc_slice origin)
{
    return pc_origins_allow(app->origins, origin);
}

#endif
