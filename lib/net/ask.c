#include "net/ask.h"

#include <pusherc/error.h>

static void arrive(struct pc_mail *mail, struct pc_worker *worker)
{
    struct pc_ask *ask = PC_CONTAINER(mail, struct pc_ask, mail);
    struct pc_conn *conn = worker ? ask->conn : NULL;
    if (conn) {
        conn->ask = NULL;
        ask->conn = NULL;
        ask->answered(conn, ask);
    }
    pc_ask_free(ask);
}

void pc_ask_init(struct pc_ask *ask, struct pc_conn *conn, const struct pc_http_message *message,
                 void (*answered)(struct pc_conn *conn, struct pc_ask *ask),
                 void (*dispose)(struct pc_ask *ask))
{
    ask->mem = *conn->loop->worker->mem;
    ask->box = conn->loop->worker->mailbox;
    pc_mailbox_ref(ask->box);
    ask->mail.run = arrive;
    ask->conn = conn;
    ask->answered = answered;
    ask->dispose = dispose;
    ask->message = message;
    pc_buf_init(&ask->decoded, &ask->mem, SIZE_MAX);
    pc_peer_describe(conn->fd, ask->peer, sizeof ask->peer);
    struct pc_address client =
        pc_client_address(conn->fd, message, conn->loop->engine->options.proxy_count);
    pc_address_format(&client, ask->client);
    conn->ask = ask;
    conn->state = PC_CONN_HOST;
    pc_conn_watch(conn);
}

void pc_ask_abandon(struct pc_ask *ask)
{
    struct pc_conn *conn = ask->conn;
    ask->parser = conn->http; /* what the host may be reading right now lives there */
    conn->http = NULL;
    conn->ask = NULL;
    ask->conn = NULL;
    atomic_store_explicit(&ask->gone, true, memory_order_release);
}

int pc_ask_answer(struct pc_ask *ask)
{
    if (atomic_load_explicit(&ask->gone, memory_order_acquire) ||
        pc_mailbox_send(ask->box, &ask->mail, PC_MAIL_CONTROL)) {
        pc_ask_free(ask);
        return PUSHERC_ECANCELED;
    }
    return 0;
}

void pc_ask_free(struct pc_ask *ask)
{
    struct pc_mem mem = ask->mem;
    ask->dispose(ask);
    pc_http_parser_free(ask->parser);
    pc_buf_free(&ask->decoded);
    pc_mailbox_unref(ask->box);
    pc_free(&mem, ask);
}

/* Once, on the first question about it. */
static void decode(struct pc_ask *ask)
{
    if (ask->is_decoded)
        return;
    ask->is_decoded = true;
    const struct pc_http_message *m = ask->message;
    /* reserved at once, so that nothing decoded moves */
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
    return PC_S("");
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
    pc_buf_init(&r->form_text, &r->ask.mem, body.len);
    r->form = pc_alloc_array(&r->ask.mem, max, sizeof *r->form);
    if (!r->form || pc_http_params(body, r->form, max, &r->form_count, &r->form_text))
        r->form_count = 0;
}

pusherc_slice pc_ask_form(struct pusherc_http_request *r, const char *name)
{
    if (!r->form_read)
        read_form(r);
    return value_of(r->form, r->form_count, name);
}
