/*
 * One app: an immutable, counted snapshot of its settings for each put, and what outlives a change of settings
 * (counters, rates, endpoints). An open connection keeps the snapshot it began with.
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
#include "base/stat.h"
#include "channel/counts.h"
#include "channel/endpoint.h"
#include "channel/idempotency.h"
#include "channel/origin.h"
#include "codec/crypto.h"
#include "protocol/close.h"
#include "protocol/names.h"

#define PC_APP_ID_MAX 200 /* bytes of an id, and of a key */

/* The settings of an app, each with the name of its field: what one has refused is counted under its number. */
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
    _Atomic uint64_t slow_closed, slow_dropped;
    _Atomic uint64_t rate_checks[PC_RATE_COUNT]; /* from max_client_events_per_s on */
    _Atomic uint64_t subscribed[PC_KIND_COUNT], unsubscribed[PC_KIND_COUNT];
    /* Channels now. One may be occupied on this worker and vacated on another: only the sum means anything. */
    _Atomic uint64_t occupied[PC_KIND_COUNT];
    struct pc_histogram latency; /* from publishing to written, per event and worker */
} __attribute__((aligned(64)));

/* What is rare enough to be counted by any thread in one place. */
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
    struct pc_app_refusals refusals;
    uint32_t worker_count;
    /* one for each worker, and one that all other threads write to, with pc_stat_add_shared() */
    struct pc_app_stats *stats;
    /* Webhooks are those of the current settings, also for what happens to connections that were opened under
     * earlier ones: an endpoint that has moved is told at its new place, and a new one is told at once. */
    struct pc_endpoints *endpoints; /* counted; NULL = none */
    _Atomic uint32_t notices;       /* their `kinds`: what somebody wants to know of this app */
    struct pc_list webhook_queues;  /* the webhook layer's, behind its lock */
};

struct pc_app {
    _Atomic uint32_t refs;
    struct pc_mem mem;
    struct pc_app_state *state;       /* counted */
    struct pc_map_node by_id, by_key; /* the registry's, while this is the current snapshot */
    pusherc_slice id, key;
    struct pc_hmac_key *secret; /* owned */
    /* owned, wiped; only why/signature.h reads it. Empty in a build without that. */
    pusherc_slice secret_text;
    /* The key and secret that a change has replaced; owned. They remain valid until old_until_ms. NULL = none. */
    struct pc_hmac_key *old_secret;
    pusherc_slice old_key;
    uint64_t old_until_ms;
    /* id, key, secret, allowed_origins and webhooks of `options` are not kept; numbers are never 0
     * (delays may be) */
    pusherc_app_options options;
    bool has_master_key;
    uint8_t master_key[32]; /* of encrypted channels */
    char **origins;         /* owned, NULL-terminated, lower case; NULL = any */
};

/* What a host can get wrong, said with the field's name; `webhooks`: somebody sends them. */
PC_CHECKED int pc_app_check(const pusherc_app_options *options, bool webhooks,
                            pusherc_errinfo *info);
/* A snapshot of options that were checked, without `state`, counted once. 0 or PUSHERC_ENOMEM. */
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

/* What this worker counts for the app. */
static inline struct pc_app_stats *pc_app_stats(const struct pc_app *app, uint32_t worker)
{
    return &app->state->stats[worker];
}
/* A limit of the app has refused something. */
static inline void pc_app_limited(const struct pc_app *app, enum pc_app_setting limit)
{
    pc_stat_add_shared(&app->state->refusals.limits[limit], 1);
}

/* Those of the current settings, counted for the caller; NULL if there are none. */
struct pc_endpoints *pc_app_endpoints(struct pc_app_state *state);
/* Takes over the caller's count; returns the one before, counted for the caller. */
struct pc_endpoints *pc_app_set_endpoints(struct pc_app_state *state,
                                          struct pc_endpoints *endpoints);

/* One more connection if the quota allows; each success is undone by pc_app_disconnect(). */
bool pc_app_connect(struct pc_app *app);
void pc_app_disconnect(struct pc_app *app);

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
