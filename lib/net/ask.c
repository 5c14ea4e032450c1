#include "net/ask.h"

#include <pusherc/error.h>

static void ask_dispose(struct pc_pending *pending)
{
    struct pc_ask *ask = PC_CONTAINER(pending, struct pc_ask, pending);
    ask->dispose(ask);
    pc_http_parser_free(ask->parser);
    pc_buf_free(&ask->decoded);
}

int pc_ask_begin(struct pc_ask *ask, struct pc_conn *conn, const struct pc_http_message *message,
                 uint64_t app_uid, void (*dispose)(struct pc_ask *ask))
{
    uint32_t proxy_count = conn->loop->engine->options.proxy_count;
    struct pc_address client = pc_client_address(conn->fd, message, proxy_count);
    struct pc_source source = {.app_uid = app_uid, .address = client};
    struct pc_quota *quota;
    int err = pc_quota_take(conn->loop->worker, &source, &quota);
    if (err)
        return err;
    pc_pending_begin(&ask->pending, conn->loop->worker, pc_http_await(conn), quota);
    ask->pending.dispose = ask_dispose;
    ask->dispose = dispose;
    ask->message = message;
    ask->parser = pc_http_take_request(conn);
    pc_buf_init(&ask->decoded, &ask->pending.mem, SIZE_MAX);
    pc_peer_describe(conn->fd, ask->peer, sizeof ask->peer);
    pc_address_format(&client, ask->client);
    ask->https = pc_client_speaks_tls(conn->tls != NULL, message, proxy_count);
    return 0;
}

void pc_ask_give_back(struct pc_ask *ask, struct pc_conn *conn)
{
    pc_http_give_request(conn, ask->parser);
    ask->parser = NULL;
}

static void identify_dispose(struct pc_ask *ask)
{
    struct pusherc_identify_request *r = PC_CONTAINER(ask, struct pusherc_identify_request, ask);
    pc_identity_unref(r->identity);
    pc_app_unref(r->app);
}

int pc_identify_new(struct pusherc_identify_request **out, struct pc_conn *conn,
                    const struct pc_http_message *message, struct pc_app *app)
{
    const struct pc_mem *mem = conn->loop->worker->mem;
    struct pusherc_identify_request *r = *out = pc_alloc_zero(mem, sizeof *r);
    int err = r ? pc_ask_begin(&r->ask, conn, message, app->state->uid, identify_dispose)
                : PUSHERC_ENOMEM;
    if (err) {
        pc_free(mem, r);
        *out = NULL;
        return err;
    }
    r->app = app;
    pc_app_ref(app);
    return 0;
}

void pc_identify_ask(struct pusherc_identify_request *request)
{
    const pusherc_hooks *hooks = request->ask.pending.worker->hooks;
    hooks->identify(request, hooks->user_data);
}

static void page_dispose(struct pc_ask *ask)
{
    struct pusherc_http_request *r = PC_CONTAINER(ask, struct pusherc_http_request, ask);
    pc_buf_free(&r->reply);
    pc_buf_free(&r->form_text);
    pc_free(&ask->pending.mem, r->form);
}

int pc_page_new(struct pusherc_http_request **out, struct pc_conn *conn,
                const struct pc_http_message *message)
{
    const struct pc_mem *mem = conn->loop->worker->mem;
    struct pusherc_http_request *r = *out = pc_alloc_zero(mem, sizeof *r);
    int err =
        r ? pc_ask_begin(&r->ask, conn, message, PC_QUOTA_PAGES, page_dispose) : PUSHERC_ENOMEM;
    if (err) {
        pc_free(mem, r);
        *out = NULL;
        return err;
    }
    r->head_only = pc_slice_eq(message->method, PC_S("HEAD"));
    r->keep_alive = message->keep_alive && !conn->loop->stopping;
    pc_buf_init(&r->reply, &r->ask.pending.mem, SIZE_MAX);
    return 0;
}

/* Decodes path and query when the host first reads one of them. */
static void decode(struct pc_ask *ask)
{
    if (ask->is_decoded)
        return;
    ask->is_decoded = true;
    const struct pc_http_message *m = ask->message;
    /* reserves all of it at the start, so that decoded slices stay valid while the buffer grows */
    if (!pc_buf_reserve(&ask->decoded, m->query.len + m->path.len))
        return;
    if (pc_http_decode(m->path, false, &ask->decoded, &ask->path))
        ask->path = PC_S("");
    if (pc_http_params(m->query, ask->params, PC_ASK_MAX_PARAMS, &ask->param_count, &ask->decoded))
        ask->param_count = 0;
}

static pusherc_slice value_of(const struct pc_pair *params, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (pc_slice_eq(params[i].name, pc_slice_of(name)))
            return params[i].value;
    return pc_slice(NULL, 0);
}

pusherc_slice pc_ask_query(struct pc_ask *ask, const char *name)
{
    decode(ask);
    return value_of(ask->params, ask->param_count, name);
}

pusherc_slice pc_ask_path(struct pc_ask *ask)
{
    decode(ask);
    return ask->path;
}

static void read_form(struct pusherc_http_request *r)
{
    pusherc_slice body = r->ask.message->body;
    size_t max = 1;
    r->form_read = true;
    if (!pc_http_has_form(r->ask.message))
        return;
    for (size_t i = 0; i < body.len && max < PC_ASK_MAX_FIELDS; i++)
        max += body.ptr[i] == '&';
    pc_buf_init(&r->form_text, &r->ask.pending.mem, body.len);
    r->form = pc_alloc_array(&r->ask.pending.mem, max, sizeof *r->form);
    if (!r->form || pc_http_params(body, r->form, max, &r->form_count, &r->form_text))
        r->form_count = 0;
}

pusherc_slice pc_ask_form(struct pusherc_http_request *r, const char *name)
{
    if (!r->form_read)
        read_form(r);
    return value_of(r->form, r->form_count, name);
}
