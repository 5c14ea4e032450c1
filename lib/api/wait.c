/* Calls that wait for an answer of the host or of another process. */
#include "api/call.h"
#include "base/pack.h"

/* The waiting copy of a call, in one allocation. After `params` follows the text that the call's slices point to,
 * except text of the message, which is borrowed. */
struct waiting {
    struct pc_api_call call;
    struct pc_api_request request;
    struct pc_pair params[];
};

static size_t text_size(const struct pc_api_call *call)
{
    size_t size = call->channel.len;
    for (size_t i = 0; i < call->param_count; i++)
        size += call->params[i].name.len + call->params[i].value.len;
    return size;
}

bool pc_api_wait(struct pc_api_call *call, void (*next)(struct pc_api_call *call))
{
    size_t params_size = call->param_count * sizeof call->params[0];
    struct waiting *w =
        pc_alloc(&call->request->engine->mem, sizeof *w + params_size + text_size(call));
    if (!w) {
        pc_api_out_of_memory(call->reply);
        return false;
    }
    char *room = (char *)w->params + params_size;
    w->request = *call->request;
    w->call = *call;
    w->call.request = &w->request;
    w->call.reply = NULL;
    w->call.next = next;
    w->call.patience_ms = call->request->engine->options.identify_timeout_ms;
    w->call.channel = pc_pack(&room, call->channel);
    w->call.params = w->params;
    for (size_t i = 0; i < call->param_count; i++)
        w->params[i] = (struct pc_pair){pc_pack(&room, call->params[i].name),
                                        pc_pack(&room, call->params[i].value)};
    if (call->app)
        pc_app_ref(call->app);
    call->copy = &w->call;
    return true;
}

uint32_t pc_api_patience_ms(const struct pc_api_call *waiting)
{
    return waiting->patience_ms;
}

void pc_api_call_free(struct pc_api_call *waiting)
{
    struct waiting *w = PC_CONTAINER(waiting, struct waiting, call);
    pc_app_unref(w->call.app);
    pc_free(&w->request.engine->mem, w);
}
