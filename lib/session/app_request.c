#include "session/app_request.h"

struct pusherc_app_request *pc_find_app_new(struct pc_worker *worker, struct pc_await *await,
                                            pusherc_slice id, pusherc_slice key)
{
    struct pusherc_app_request *r = NULL;
    pusherc_slice name = id.len ? id : key;
    if (worker->engine->hooks.find_app && name.len <= sizeof r->text)
        r = pc_alloc_zero(worker->mem, sizeof *r);
    if (!r)
        return NULL;
    r->engine = worker->engine;
    memcpy(r->text, name.ptr, name.len);
    *(id.len ? &r->id : &r->key) = pc_slice(r->text, name.len);
    pc_pending_begin(&r->pending, worker, await);
    return r;
}

void pc_find_app_ask(struct pusherc_app_request *request)
{
    const pusherc_hooks *hooks = &request->engine->hooks;
    hooks->find_app(request, hooks->user_data);
}
