#include "fanout/unknown_apps.h"

#include "fanout/engine.h"

struct pc_unknown_app {
    struct pc_map_node node;
    struct pc_list by_age;
    struct pc_quota *quota;
    uint64_t until_ms;
    char name[]; /* see name_of() */
};

#define MAX_NAME (1 + PC_APP_ID_MAX)

void pc_unknown_apps_init(struct pc_unknown_apps *apps, struct pc_worker *worker)
{
    apps->worker = worker;
    pc_map_init(&apps->by_name, worker->mem, worker->engine->seed);
    pc_list_init(&apps->by_age);
}

static struct pc_unknown_app *oldest(struct pc_unknown_apps *apps)
{
    return PC_CONTAINER(apps->by_age.next, struct pc_unknown_app, by_age);
}

static void forget(struct pc_unknown_apps *apps, struct pc_unknown_app *app)
{
    pc_map_remove(&apps->by_name, &app->node);
    pc_list_remove(&app->by_age);
    pc_quota_drop(app->quota);
    pc_free(apps->worker->mem, app);
}

/* All are remembered for the same time, so those that are over stand first. */
static void forget_old(struct pc_unknown_apps *apps)
{
    while (!pc_list_empty(&apps->by_age) && oldest(apps)->until_ms <= apps->worker->now_ms)
        forget(apps, oldest(apps));
}

void pc_unknown_apps_free(struct pc_unknown_apps *apps)
{
    while (!pc_list_empty(&apps->by_age))
        forget(apps, oldest(apps));
    pc_map_free(&apps->by_name);
}

/* A byte that keeps ids apart from keys, and the id or the key. */
static pusherc_slice name_of(pusherc_slice id, pusherc_slice key, char out[MAX_NAME])
{
    pusherc_slice name = pc_slice_first(id.len ? id : key, PC_APP_ID_MAX);
    out[0] = id.len ? 'i' : 'k';
    memcpy(out + 1, name.ptr, name.len);
    return pc_slice(out, 1 + name.len);
}

bool pc_unknown_apps_has(struct pc_unknown_apps *apps, pusherc_slice id, pusherc_slice key)
{
    char text[MAX_NAME];
    forget_old(apps);
    return pc_map_find(&apps->by_name, name_of(id, key, text)) != NULL;
}

void pc_unknown_apps_add(struct pc_unknown_apps *apps, pusherc_slice id, pusherc_slice key,
                         struct pc_quota *quota)
{
    const struct pc_mem *mem = apps->worker->mem;
    uint32_t ms = apps->worker->engine->options.unknown_app_ms;
    char text[MAX_NAME];
    pusherc_slice name = name_of(id, key, text);
    bool known = pc_unknown_apps_has(apps, id, key);
    struct pc_unknown_app *app =
        known || ms == PUSHERC_NO_DELAY ? NULL : pc_alloc(mem, sizeof *app + name.len);
    if (!app) {
        pc_quota_drop(quota);
        return;
    }
    memcpy(app->name, name.ptr, name.len);
    app->node.key = pc_slice(app->name, name.len);
    if (pc_map_insert(&apps->by_name, &app->node)) {
        pc_free(mem, app);
        pc_quota_drop(quota);
        return;
    }
    app->quota = quota;
    app->until_ms = apps->worker->now_ms + ms;
    pc_list_push_back(&apps->by_age, &app->by_age);
}
