/*
 * The registry of the current apps, by id and by key. It hands out counted snapshots.
 */
#ifndef PC_CHANNEL_APPS_H
#define PC_CHANNEL_APPS_H

#include "channel/app.h"

struct pc_apps {
    struct pc_mem mem;
    /* first in the lock order; not held while shards or mailboxes are locked or host code runs */
    pthread_mutex_t mutex;
    struct pc_map by_id, by_key;
    uint64_t next_uid;
    uint32_t worker_count;
    /* The server has a webhook sender; otherwise apps with webhooks are refused. Set before the first put. */
    bool webhooks;
    /* What one message and one request may have to hold, by the largest limits that any app has had. */
    _Atomic uint64_t message_bytes, request_bytes;
};

/* Which of the server's limits follow the apps' as long as they are not set. */
size_t pc_apps_message_bytes(const struct pc_apps *apps);
size_t pc_apps_request_bytes(const struct pc_apps *apps);

void pc_apps_init(struct pc_apps *apps, const struct pc_mem *mem, const uint64_t seed[2],
                  uint32_t worker_count);
void pc_apps_free(struct pc_apps *apps);

/* As pusherc_server_put_apps(). */
PC_CHECKED int pc_apps_put(struct pc_apps *apps, const pusherc_app_options *options, size_t count,
                           pusherc_errinfo *info);
/* Removes the app and returns its snapshot, counted for the caller; NULL if there was none. */
struct pc_app *pc_apps_remove(struct pc_apps *apps, pusherc_slice id);

/* All current apps in no order, each counted, in an array that the caller frees. *out is NULL if there are none, and on
 * PUSHERC_ENOMEM. */
PC_CHECKED int pc_apps_list(struct pc_apps *apps, struct pc_app ***out, size_t *count);
/* Up to `max` current apps in no order, each counted for the caller. */
size_t pc_apps_some(struct pc_apps *apps, struct pc_app **out, size_t max);
/* The app if there is exactly one, counted for the caller; otherwise NULL. */
struct pc_app *pc_apps_only(struct pc_apps *apps);
/* True if an app allows every origin. */
bool pc_apps_any_origin(struct pc_apps *apps);
/* Counted for the caller; NULL if unknown. Thread: any. */
struct pc_app *pc_apps_by_id(struct pc_apps *apps, pusherc_slice id);
struct pc_app *pc_apps_by_key(struct pc_apps *apps, pusherc_slice key);

#endif
