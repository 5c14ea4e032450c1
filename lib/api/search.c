/* Handlers that ask another party about channels (fanout/elsewhere.h) before they answer. */
#include "api/call.h"

#include <pusherc/error.h>

static void dispose(struct pc_pending *pending)
{
    struct pc_search *search = PC_CONTAINER(pending, struct pc_search, pending);
    pc_buf_free(&search->app_id);
    pc_buf_free(&search->text);
    pc_buf_free(&search->found);
}

/* Begins to wait. NULL: out of memory. */
static struct pc_search *search_new(struct pc_api_call *call, enum pc_search_kind kind,
                                    pusherc_slice text)
{
    struct pc_worker *worker = call->request->worker;
    struct pc_search *search = pc_alloc_zero(worker->mem, sizeof *search);
    if (!search)
        return NULL;
    pc_pending_begin(&search->pending, worker, call->request->await, NULL);
    search->pending.dispose = dispose;
    search->kind = kind;
    pc_buf_init(&search->app_id, &search->pending.mem, SIZE_MAX);
    pc_buf_init(&search->text, &search->pending.mem, SIZE_MAX);
    pc_buf_init(&search->found, &search->pending.mem, SIZE_MAX);
    pc_buf_put(&search->app_id, call->app->id);
    pc_buf_put(&search->text, text);
    if (pc_buf_status(&search->app_id) == 0 && pc_buf_status(&search->text) == 0)
        return search;
    pc_pending_cancel(&search->pending, worker);
    return NULL;
}

static void refuse(struct pc_api_call *call, int err)
{
    if (err == PUSHERC_ENOMEM)
        pc_api_out_of_memory(call->reply);
    else
        pc_api_unavailable(call->reply, "The link to the other servers is down.");
}

/* The answer has come: the handler begins again. */
static void go_on(struct pc_api_call *call)
{
    const struct pc_search *search = PC_CONTAINER(call->answer, struct pc_search, pending);
    if (search->err) {
        refuse(call, search->err);
        return;
    }
    call->found = search;
    call->once = NULL; /* it is gone */
    call->handler(call);
}

bool pc_api_search(struct pc_api_call *call, enum pc_search_kind kind, pusherc_slice text,
                   void (*handler)(struct pc_api_call *call))
{
    const struct pc_elsewhere *elsewhere = &call->request->engine->elsewhere;
    if (!elsewhere->ask || call->found || !call->request->await)
        return false;
    struct pc_search *search = search_new(call, kind, text);
    int asked = search ? elsewhere->ask(elsewhere->ctx, search) : PUSHERC_ENOMEM;
    if (asked == PC_SEARCH_ASKED) {
        call->handler = handler;
        if (!pc_api_wait(call, go_on))
            pc_await_abandon(call->request->await); /* the reply is the 500 */
        return true;
    }
    if (search)
        pc_pending_cancel(&search->pending, call->request->worker);
    if (asked)
        refuse(call, asked);
    return asked != 0;
}
