#include "session/app_request.h"

#include <pusherc/error.h>

/* The host has answered. If it has not put the app, it is not asked about it again for a while. */
static void arrived(struct pc_pending *pending, struct pc_worker *worker)
{
    struct pusherc_app_request *r = PC_CONTAINER(pending, struct pusherc_app_request, pending);
    struct pc_apps *apps = &worker->engine->apps;
    struct pc_app *app = r->id.len ? pc_apps_by_id(apps, r->id) : pc_apps_by_key(apps, r->key);
    if (app) {
        pc_app_unref(app);
        return;
    }
    pc_unknown_apps_add(&worker->unknown_apps, r->id, r->key, pending->quota);
    pending->quota = NULL;
}

int pc_find_app_new(struct pusherc_app_request **out, struct pc_worker *worker,
                    struct pc_await *await, struct pc_address address, pusherc_slice id,
                    pusherc_slice key)
{
    struct pc_source source = {.app_uid = PC_QUOTA_UNKNOWN_APPS, .address = address};
    struct pc_quota *quota;
    pusherc_slice name = id.len ? id : key;
    *out = NULL;
    if (!worker->engine->hooks.find_app || name.len > PC_APP_ID_MAX ||
        pc_unknown_apps_has(&worker->unknown_apps, id, key))
        return PUSHERC_ENOENT;
    int err = pc_quota_take(worker, &source, &quota);
    if (err)
        return err;
    struct pusherc_app_request *r = pc_alloc_zero(worker->mem, sizeof *r);
    if (!r) {
        pc_quota_drop(quota);
        return PUSHERC_ENOMEM;
    }
    r->engine = worker->engine;
    memcpy(r->text, name.ptr, name.len);
    *(id.len ? &r->id : &r->key) = pc_slice(r->text, name.len);
    r->pending.arrived = arrived;
    pc_pending_begin(&r->pending, worker, await, quota);
    *out = r;
    return 0;
}

void pc_find_app_ask(struct pusherc_app_request *request)
{
    const pusherc_hooks *hooks = request->pending.worker->hooks;
    hooks->find_app(request, hooks->user_data);
}
