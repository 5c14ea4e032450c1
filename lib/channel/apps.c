#include "channel/apps.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/options.h"

void pc_apps_init(struct pc_apps *apps, const struct pc_mem *mem, const uint64_t seed[2],
                  uint32_t worker_count)
{
    apps->mem = *mem;
    apps->next_uid = 1;
    apps->worker_count = worker_count;
    apps->webhooks = false;
    pthread_mutex_init(&apps->mutex, NULL);
    pc_map_init(&apps->by_id, &apps->mem, seed);
    pc_map_init(&apps->by_key, &apps->mem, seed);
}

static void forget(struct pc_map_node *node, void *ctx)
{
    (void)ctx;
    pc_app_unref(PC_CONTAINER(node, struct pc_app, by_id));
}

void pc_apps_free(struct pc_apps *apps)
{
    pc_map_each(&apps->by_id, forget, NULL);
    pc_map_free(&apps->by_id);
    pc_map_free(&apps->by_key);
    pthread_mutex_destroy(&apps->mutex);
}

static struct pc_app *find(struct pc_map *map, pusherc_slice key, bool by_id)
{
    struct pc_map_node *node = pc_map_find(map, key);
    if (!node)
        return NULL;
    return by_id ? PC_CONTAINER(node, struct pc_app, by_id)
                 : PC_CONTAINER(node, struct pc_app, by_key);
}

/* One app of a batch: its new snapshot, and the one that it replaces. */
struct change {
    struct pc_app *app, *old;
    struct pc_endpoints *endpoints; /* counted; the new ones, then the old ones */
};

static void take_out(struct pc_apps *apps, struct pc_app *app)
{
    pc_map_remove(&apps->by_id, &app->by_id);
    pc_map_remove(&apps->by_key, &app->by_key);
}

/* Fails only as the first insert into a table (base/map.h); then there was no old app to lose. */
static int put_in(struct pc_apps *apps, struct pc_app *app)
{
    int err = pc_map_insert(&apps->by_id, &app->by_id);
    if (err == 0) {
        err = pc_map_insert(&apps->by_key, &app->by_key);
        if (err)
            pc_map_remove(&apps->by_id, &app->by_id);
    }
    return err;
}

/* The old snapshots of the batch have been taken out: a snapshot found here is of another app, or of the same batch. */
static int insert_new(struct pc_apps *apps, struct change *change, pusherc_errinfo *info)
{
    struct pc_app *app = change->app;
    struct pc_app *holder = find(&apps->by_key, app->key, false);
    if (find(&apps->by_id, app->id, true))
        return pc_errinfo(info, PUSHERC_EEXIST, 0, "app %s is given twice", app->id.ptr);
    if (holder)
        return pc_errinfo(info, PUSHERC_EEXIST, 0, "app %s: the key belongs to app %s", app->id.ptr,
                          holder->id.ptr);
    app->state = change->old ? change->old->state
                             : pc_app_state_new(&apps->mem, apps->next_uid, apps->worker_count,
                                                apps->by_id.seed);
    if (change->old) {
        pc_app_state_ref(app->state);
        pc_shape_rules_keep(&app->shaping, &change->old->shaping);
    } else {
        apps->next_uid++;
    }
    if (!app->state ||
        (change->old && pc_app_keep_credentials(app, change->old, pc_clock_us() / 1000)) ||
        put_in(apps, app))
        return pc_errinfo(info, PUSHERC_ENOMEM, 0, "app %s: out of memory", app->id.ptr);
    return 0;
}

/*
 * Replaces a batch of snapshots, all or none, under one lock. First all old snapshots are taken out, so
 * that two apps of the batch may exchange their keys; then the new ones are inserted one by one. If one
 * cannot be inserted, the new ones are taken out again and the old ones put back.
 */
static int exchange(struct pc_apps *apps, struct change *changes, size_t count,
                    pusherc_errinfo *info)
{
    int err = 0;
    size_t done = 0;
    pthread_mutex_lock(&apps->mutex);
    for (size_t i = 0; i < count; i++) {
        changes[i].old = find(&apps->by_id, changes[i].app->id, true);
        if (changes[i].old)
            take_out(apps, changes[i].old);
    }
    while (done < count && err == 0) {
        err = insert_new(apps, &changes[done], info);
        done += err == 0;
    }
    while (err && done > 0)
        take_out(apps, changes[--done].app);
    for (size_t i = 0; i < count && err; i++) {
        /* cannot fail: it was in these tables before */
        if (changes[i].old && put_in(apps, changes[i].old) == 0)
            changes[i].old = NULL;
    }
    /* here, so that of two puts the same one is last in all places */
    for (size_t i = 0; i < count && err == 0; i++) {
        struct pc_app *app = changes[i].app;
        changes[i].endpoints = pc_app_set_endpoints(app->state, changes[i].endpoints);
        atomic_store_explicit(&app->state->disabled, app->options.disabled, memory_order_release);
    }
    pthread_mutex_unlock(&apps->mutex);
    return err;
}

/* The host's struct may be of another release, so it is copied first. */
static int check_app(const struct pc_apps *apps, const pusherc_app_options *options,
                     pusherc_errinfo *info)
{
    pusherc_app_options copied;
    int err = PC_TAKE(app_options, &copied, options, info);
    return err ? err : pc_app_check(&copied, apps->webhooks, info);
}

static int prepare_change(struct pc_apps *apps, const pusherc_app_options *options,
                          struct change *change, pusherc_errinfo *info)
{
    pusherc_app_options copied;
    int err = PC_TAKE(app_options, &copied, options, info);
    err = err ? err : pc_app_new(&change->app, &apps->mem, &copied);
    if (err == 0 && copied.webhook_count)
        err = pc_endpoints_new(&change->endpoints, &apps->mem, &copied);
    return err ? pc_errinfo(info, err, 0, "app %s: %s", options->id, pusherc_strerror(err)) : 0;
}

/* -- limits that follow the apps' -- */

#define MIN_MESSAGE_BYTES 65536
#define MIN_REQUEST_BYTES 1048576
#define MAX_FOLLOWED      67108864

static void raise_to(_Atomic uint64_t *limit, uint64_t wanted)
{
    uint64_t now = atomic_load_explicit(limit, memory_order_relaxed);
    while (now < wanted && !atomic_compare_exchange_weak_explicit(
                               limit, &now, wanted, memory_order_relaxed, memory_order_relaxed))
        ;
}

/* An event's data may come with an escape of six bytes for each two, in an envelope. */
static void fit(struct pc_apps *apps, const struct pc_app *app)
{
    uint64_t event = 3 * (uint64_t)app->options.max_event_payload_bytes + 4096;
    raise_to(&apps->message_bytes, event);
    raise_to(&apps->request_bytes, event * app->options.max_batch_events);
}

static size_t followed(const _Atomic uint64_t *limit, uint64_t min)
{
    uint64_t bytes = atomic_load_explicit(limit, memory_order_relaxed);
    return (size_t)(bytes < min ? min : bytes > MAX_FOLLOWED ? MAX_FOLLOWED : bytes);
}

size_t pc_apps_message_bytes(const struct pc_apps *apps)
{
    return followed(&apps->message_bytes, MIN_MESSAGE_BYTES);
}

size_t pc_apps_request_bytes(const struct pc_apps *apps)
{
    return followed(&apps->request_bytes, MIN_REQUEST_BYTES);
}

/* -- changes -- */

int pc_apps_put(struct pc_apps *apps, const pusherc_app_options *options, size_t count,
                pusherc_errinfo *info)
{
    int err = 0;
    for (size_t i = 0; i < count && err == 0; i++)
        err = check_app(apps, PUSHERC_AT(options, i), info);
    if (err || count == 0)
        return err;
    struct change *changes = pc_alloc_array(&apps->mem, count, sizeof *changes);
    if (!changes)
        return pc_errinfo(info, PUSHERC_ENOMEM, 0, "app %s: out of memory", options->id);
    for (size_t i = 0; i < count && err == 0; i++)
        err = prepare_change(apps, PUSHERC_AT(options, i), &changes[i], info);
    if (err == 0)
        err = exchange(apps, changes, count, info);
    for (size_t i = 0; i < count && err == 0; i++)
        fit(apps, changes[i].app);
    for (size_t i = 0; i < count; i++) {
        pc_endpoints_unref(changes[i].endpoints);
        pc_app_unref(err ? changes[i].app : changes[i].old);
    }
    pc_free(&apps->mem, changes);
    return err;
}

struct pc_app *pc_apps_remove(struct pc_apps *apps, pusherc_slice id)
{
    pthread_mutex_lock(&apps->mutex);
    struct pc_app *app = find(&apps->by_id, id, true);
    if (app) {
        pc_map_remove(&apps->by_id, &app->by_id);
        pc_map_remove(&apps->by_key, &app->by_key);
        atomic_store_explicit(&app->state->removed, true, memory_order_release);
    }
    pthread_mutex_unlock(&apps->mutex);
    return app;
}

static struct pc_app *get(struct pc_apps *apps, pusherc_slice key, bool by_id)
{
    pthread_mutex_lock(&apps->mutex);
    struct pc_app *app = find(by_id ? &apps->by_id : &apps->by_key, key, by_id);
    if (app)
        pc_app_ref(app);
    pthread_mutex_unlock(&apps->mutex);
    return app;
}

static void append(struct pc_map_node *node, void *ctx)
{
    struct pc_app ***end = ctx;
    struct pc_app *app = PC_CONTAINER(node, struct pc_app, by_id);
    pc_app_ref(app);
    *(*end)++ = app;
}

int pc_apps_list(struct pc_apps *apps, struct pc_app ***out, size_t *count)
{
    pthread_mutex_lock(&apps->mutex);
    *count = apps->by_id.count;
    *out = *count ? pc_alloc_array(&apps->mem, *count, sizeof **out) : NULL;
    struct pc_app **end = *out;
    if (end)
        pc_map_each(&apps->by_id, append, &end);
    pthread_mutex_unlock(&apps->mutex);
    return *out || *count == 0 ? 0 : PUSHERC_ENOMEM;
}

struct some {
    struct pc_app **out;
    size_t count, max;
};

static void take_some(struct pc_map_node *node, void *ctx)
{
    struct some *some = ctx;
    if (some->count == some->max)
        return;
    some->out[some->count] = PC_CONTAINER(node, struct pc_app, by_id);
    pc_app_ref(some->out[some->count++]);
}

size_t pc_apps_some(struct pc_apps *apps, struct pc_app **out, size_t max)
{
    struct some some = {out, 0, max};
    pthread_mutex_lock(&apps->mutex);
    pc_map_each(&apps->by_id, take_some, &some);
    pthread_mutex_unlock(&apps->mutex);
    return some.count;
}

static void take_any(struct pc_map_node *node, void *ctx)
{
    *(struct pc_app **)ctx = PC_CONTAINER(node, struct pc_app, by_id);
}

struct pc_app *pc_apps_only(struct pc_apps *apps)
{
    struct pc_app *app = NULL;
    pthread_mutex_lock(&apps->mutex);
    if (apps->by_id.count == 1)
        pc_map_each(&apps->by_id, take_any, &app);
    if (app)
        pc_app_ref(app);
    pthread_mutex_unlock(&apps->mutex);
    return app;
}

struct pc_app *pc_apps_by_id(struct pc_apps *apps, pusherc_slice id)
{
    return get(apps, id, true);
}

struct pc_app *pc_apps_by_key(struct pc_apps *apps, pusherc_slice key)
{
    return get(apps, key, false);
}

static void note_any_origin(struct pc_map_node *node, void *ctx)
{
    *(bool *)ctx |= pc_app_any_origin(PC_CONTAINER(node, struct pc_app, by_id));
}

bool pc_apps_any_origin(struct pc_apps *apps)
{
    bool any = false;
    pthread_mutex_lock(&apps->mutex);
    pc_map_each(&apps->by_id, note_any_origin, &any);
    pthread_mutex_unlock(&apps->mutex);
    return any;
}
