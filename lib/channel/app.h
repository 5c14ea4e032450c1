/*
 * Apps: one immutable, counted snapshot of settings per put, and what outlives a change of settings
 * (counters). The registry hands out counted snapshots; an open connection keeps the one it began with.
 */
#ifndef PC_CHANNEL_APP_H
#define PC_CHANNEL_APP_H

#include <pthread.h>
#include <stdatomic.h>

#include <pusherc/app.h>

#include "base/map.h"
#include "base/rate.h"
#include "channel/idempotency.h"
#include "codec/crypto.h"

#define PC_APP_ID_MAX    200 /* bytes of an id, and of a key */
#define PC_WATCHLIST_MAX 100 /* users that one sign-in may watch (protocol section 2.13) */

/* Shared by all snapshots of one app. */
struct pc_app_live {
    _Atomic uint32_t refs;
    _Atomic uint32_t connections;
    _Atomic bool removed;
    uint64_t uid;          /* distinguishes apps in the channel directory; never used again */
    pthread_mutex_t mutex; /* guards the rates; leaf lock */
    struct pc_rate backend_events, read_requests;
    struct pc_idempotency idempotency;
};

struct pc_app {
    _Atomic uint32_t refs;
    struct pc_mem mem;
    struct pc_app_live *live;         /* counted */
    struct pc_map_node by_id, by_key; /* the registry's, while this is the current snapshot */
    pusherc_slice id, key;
    struct pc_hmac_key *secret; /* owned */
    /* id, key, secret, allowed_origins and webhooks of `options` are not kept; numbers are never 0
     * (delays may be) */
    pusherc_app_options options;
    uint32_t notices; /* PUSHERC_WEBHOOK_*: what some endpoint of it wants to know */
    bool has_master_key;
    uint8_t master_key[32]; /* of encrypted channels */
    char **origins;         /* owned, NULL-terminated, lower case; NULL = any */
};

struct pc_apps {
    struct pc_mem mem;
    pthread_mutex_t mutex; /* first in the lock order; never held over other locks or host code */
    struct pc_map by_id, by_key;
    uint64_t next_uid;
};

void pc_apps_init(struct pc_apps *apps, const struct pc_mem *mem, const uint64_t seed[2]);
void pc_apps_free(struct pc_apps *apps);

/* As pusherc_server_put_apps(). */
PC_CHECKED int pc_apps_put(struct pc_apps *apps, const pusherc_app_options *options, size_t count,
                           pusherc_errinfo *info);
/* The snapshot removed, counted for the caller; NULL if there was none. */
struct pc_app *pc_apps_remove(struct pc_apps *apps, pusherc_slice id);

/* The only app there is, counted; NULL if there are none or several. */
struct pc_app *pc_apps_only(struct pc_apps *apps);
/* Some app keeps no origin out. */
bool pc_apps_any_origin(struct pc_apps *apps);
/* Counted for the caller; NULL if unknown. Thread: any. */
struct pc_app *pc_apps_by_id(struct pc_apps *apps, pusherc_slice id);
struct pc_app *pc_apps_by_key(struct pc_apps *apps, pusherc_slice key);

void pc_app_ref(struct pc_app *app);
void pc_app_unref(struct pc_app *app); /* NULL is harmless */

/* One more connection if the quota allows; each success is undone by pc_app_disconnect(). */
bool pc_app_connect(struct pc_app *app);
void pc_app_disconnect(struct pc_app *app);

bool pc_app_take_events(struct pc_app *app, uint32_t count, uint64_t now_ms);
bool pc_app_take_read(struct pc_app *app, uint64_t now_ms);

/* No origin is kept out: allowed_origins is absent or has "*". */
bool pc_app_any_origin(const struct pc_app *app);
/* Origin header against the app's host patterns. An absent header passes only when any origin does. */
bool pc_app_allows_origin(const struct pc_app *app, pusherc_slice origin);

#endif
