#include "session/auth_request.h"

#include "base/options.h"
#include "base/pack.h"
#include "codec/json.h"
#include "session/identity.h"

static pusherc_slice put_text(struct pc_buf *buf, pusherc_slice text)
{
    pusherc_slice copy = pc_slice(buf->ptr + buf->len, text.len);
    pc_buf_put(buf, text);
    return copy;
}

static void dispose(struct pc_pending *pending)
{
    pusherc_auth_request *r = pc_auth_request_of(pending);
    pc_identity_unref(r->identity);
    pc_free(&pending->mem, r->answer_text);
}

pusherc_auth_request *pc_auth_request_new(struct pc_worker *worker, const struct pc_question *q,
                                          struct pc_await *await, struct pc_quota *quota)
{
    const struct pc_rule *rule = q->match->rule;
    const struct pc_mem *mem = worker->mem;
    pusherc_slice user_id = q->identity ? q->identity->user_id : PC_S("");
    size_t len = q->app->id.len + q->channel.len + user_id.len;
    for (size_t i = 0; i < rule->param_count; i++)
        len += rule->param_names[i].len;
    pusherc_auth_request *r = pc_alloc_zero(mem, sizeof *r + len + 1);
    if (!r)
        return NULL;
    struct pc_buf text;
    pc_buf_init_in(&text, mem, len + 1, r->text, len + 1);
    r->app_id = put_text(&text, q->app->id);
    r->channel = put_text(&text, q->channel);
    r->user_id = put_text(&text, user_id);
    r->param_count = rule->param_count;
    for (size_t i = 0; i < rule->param_count; i++) {
        r->param_names[i] = put_text(&text, rule->param_names[i]);
        r->param_values[i] = pc_slice(r->channel.ptr + (q->match->values[i].ptr - q->channel.ptr),
                                      q->match->values[i].len);
    }
    pc_pending_begin(&r->pending, worker, await, quota);
    r->pending.dispose = dispose;
    r->identity = q->identity;
    pc_identity_ref(r->identity);
    r->socket_id = q->socket_id;
    r->max_user_info = q->app->options.max_user_info_bytes;
    return r;
}

/* -- the host reads -- */

pusherc_slice pusherc_auth_app_id(const pusherc_auth_request *request)
{
    return request->app_id;
}

uint64_t pusherc_auth_question(const pusherc_auth_request *request)
{
    return request->pending.number;
}

pusherc_slice pusherc_auth_channel(const pusherc_auth_request *request)
{
    return request->channel;
}

pusherc_slice pusherc_auth_param(const pusherc_auth_request *request, const char *name)
{
    for (size_t i = 0; i < request->param_count; i++)
        if (pc_slice_eq(request->param_names[i], pc_slice_of(name)))
            return request->param_values[i];
    return PC_S("");
}

pusherc_slice pusherc_auth_user_id(const pusherc_auth_request *request)
{
    return request->user_id;
}

pusherc_socket_id pusherc_auth_socket_id(const pusherc_auth_request *request)
{
    return request->socket_id;
}

void *pusherc_auth_conn_data(const pusherc_auth_request *request)
{
    return request->identity ? request->identity->data : NULL;
}

/* -- the host answers -- */

static void deny(pusherc_auth_request *r, pusherc_denial_reason reason, int status,
                 pusherc_slice text)
{
    text = pc_utf8_cut(text, PC_MAX_DENIAL);
    memcpy(r->reason, text.ptr, text.len);
    r->verdict = (struct pc_verdict){
        .reason = reason, .status = status, .text = pc_slice(r->reason, text.len)};
}

static int copy_grant(pusherc_auth_request *r, const pusherc_grant *from)
{
    pusherc_grant taken, *const g = &taken;
    if (PC_TAKE(grant, g, from, NULL) || !pc_utf8_valid(g->user_id) ||
        pc_utf8_length(g->user_id) > PC_MEMBER_ID_MAX || g->view.len > PC_MAX_VIEW_NAME ||
        !pc_utf8_valid(g->view) || g->user_info_json.len > r->max_user_info ||
        (g->user_info_json.len && pc_json_parse(g->user_info_json).type == PC_JSON_NONE))
        return PUSHERC_EINVAL;
    size_t len = g->user_id.len + g->user_info_json.len + g->view.len;
    r->answer_text = pc_alloc(&r->pending.mem, len + 1);
    if (!r->answer_text)
        return PUSHERC_ENOMEM;
    char *at = r->answer_text;
    r->verdict.user_id = pc_pack(&at, g->user_id);
    r->verdict.user_info = pc_pack(&at, g->user_info_json);
    r->verdict.view = pc_pack(&at, g->view);
    r->verdict.expires_in_ms = g->expires_in_ms;
    return 0;
}

int pusherc_auth_allow(pusherc_auth_request *request, const pusherc_grant *grant)
{
    int err = 0;
    request->verdict = (struct pc_verdict){.allowed = true};
    if (grant)
        err = copy_grant(request, grant);
    if (err)
        deny(request, PUSHERC_DENIED_INTERNAL, 500,
             PC_S("The application's answer was not usable"));
    int sent = pc_pending_answer(&request->pending);
    return err ? err : sent;
}

int pusherc_auth_deny(pusherc_auth_request *request, int status, const char *reason)
{
    int err = 0;
    bool wants_user = status == 401 && request->user_id.len == 0;
    pusherc_slice text = reason       ? pc_slice_of(reason)
                         : wants_user ? PC_S("A user is required")
                                      : PC_S("Forbidden");
    if ((status != 0 && (status < 400 || status > 499)) || !pc_utf8_valid(text)) {
        err = PUSHERC_EINVAL;
        status = 0;
        wants_user = false;
        text = PC_S("Forbidden");
    }
    deny(request, wants_user ? PUSHERC_DENIED_NO_USER : PUSHERC_DENIED_BY_RULE,
         status ? status : 403, text);
    int sent = pc_pending_answer(&request->pending);
    return err ? err : sent;
}
