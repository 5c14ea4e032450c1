/* A connection that speaks HTTP: API requests are answered at once, the host's pages when it answers. */
#include <stdio.h>
#include <time.h>

#include <pusherc/error.h>

#include "api/api.h"
#include "net/ask.h"
#include "net/auth_conn.h"
#include "net/conn.h"
#include "session/admit.h"

static bool stopping(const struct pc_conn *conn)
{
    return conn->loop->stopping;
}

/* The request has been answered: the next one, or the end. */
static void answered(struct pc_conn *conn, bool keep_alive)
{
    conn->state = PC_CONN_HTTP;
    conn->app_asked = false;
    if (!keep_alive || stopping(conn)) {
        pc_conn_finish(conn);
        return;
    }
    pc_http_parser_next(conn->http);
    pc_conn_set_wait(conn, PC_WAIT_NEXT, conn->loop->engine->constants.keep_alive_ms);
}

static void put_reply(struct pc_conn *conn, struct pc_api_reply *reply,
                      const struct pc_http_message *m)
{
    char stack[2048];
    struct pc_buf out;
    bool keep_alive = m && m->keep_alive && !stopping(conn);
    if (conn->loop->engine->options.http_error_format == PUSHERC_HTTP_ERRORS_JSON)
        pc_api_error_as_json(reply);
    struct pc_http_reply http = {.status = reply->status,
                                 .date = pc_loop_date(conn->loop),
                                 .content_type = reply->content_type,
                                 .fields = reply->fields,
                                 .field_count = reply->field_count,
                                 .body = pc_buf_slice(&reply->body),
                                 .keep_alive = keep_alive,
                                 .head_only = m && pc_slice_eq(m->method, PC_S("HEAD"))};
    pc_buf_init_in(&out, conn->loop->worker->mem, SIZE_MAX, stack, sizeof stack);
    pc_http_put_reply(&out, &http);
    if (pc_buf_status(&out)) {
        conn->broken = true;
        pc_outq_mark(&conn->out);
    } else {
        pc_conn_send(conn, 0, pc_buf_slice(&out));
    }
    pc_buf_free(&out);
    answered(conn, keep_alive);
}

/* An answer of our own making, after which the connection ends when `m` is NULL. */
static void plain(struct pc_conn *conn, int status, const char *text,
                  const struct pc_http_message *m)
{
    struct pc_api_reply reply;
    pc_api_reply_init(&reply, conn->loop->worker->mem);
    pc_api_plain(&reply, status, text);
    put_reply(conn, &reply, m);
    pc_api_reply_free(&reply);
}

void pc_conn_http_reply(struct pc_conn *conn, struct pc_api_reply *reply)
{
    put_reply(conn, reply, pc_http_parser_message(conn->http));
}

/* -- the host's pages -- */

static void page_answered(struct pc_conn *conn, struct pc_ask *ask)
{
    struct pusherc_http_request *r = PC_CONTAINER(ask, struct pusherc_http_request, ask);
    if (r->reply.len == 0)
        conn->broken = true;
    else
        pc_conn_send(conn, 0, pc_buf_slice(&r->reply));
    answered(conn, r->keep_alive && r->reply.len > 0);
    pc_outq_mark(&conn->out);
    pc_conn_watch(conn);
    pc_conn_resume(conn);
}

static void page_dispose(struct pc_ask *ask)
{
    struct pusherc_http_request *r = PC_CONTAINER(ask, struct pusherc_http_request, ask);
    pc_buf_free(&r->reply);
    pc_buf_free(&r->form_text);
    pc_free(&ask->mem, r->form);
}

static void ask_for_page(struct pc_conn *conn, const struct pc_http_message *m)
{
    const pusherc_hooks *hooks = &conn->loop->engine->hooks;
    struct pusherc_http_request *r = pc_alloc_zero(conn->loop->worker->mem, sizeof *r);
    if (!r) {
        plain(conn, 500, "Out of memory", m);
        return;
    }
    pc_conn_set_wait(conn, PC_WAIT_NOTHING, 0);
    pc_ask_init(&r->ask, conn, m, page_answered, page_dispose);
    r->head_only = pc_slice_eq(m->method, PC_S("HEAD"));
    r->keep_alive = m->keep_alive && !stopping(conn);
    pc_buf_init(&r->reply, &r->ask.mem, SIZE_MAX);
    hooks->on_http(r, hooks->user_data);
}

/* -- the API -- */

static void serve(struct pc_conn *conn, const struct pc_http_message *m);

static void app_answered(struct pc_conn *conn, struct pc_ask *ask)
{
    const struct pc_http_message *m = ask->message;
    conn->state = PC_CONN_HTTP;
    conn->app_asked = true;
    if (m->upgrade)
        pc_conn_upgrade(conn, m);
    else
        serve(conn, m);
    pc_outq_mark(&conn->out);
    pc_conn_watch(conn);
    if (conn->state != PC_CONN_HOST)
        pc_conn_resume(conn);
}

static void app_dispose(struct pc_ask *ask)
{
    (void)ask;
}

bool pc_conn_ask_for_app(struct pc_conn *conn, const struct pc_http_message *m, pusherc_slice id,
                         pusherc_slice key)
{
    const pusherc_hooks *hooks = &conn->loop->engine->hooks;
    struct pusherc_app_request *r = NULL;
    if (hooks->find_app && !conn->app_asked && id.len + key.len <= sizeof r->text)
        r = pc_alloc_zero(conn->loop->worker->mem, sizeof *r);
    if (!r)
        return false;
    pc_conn_set_wait(conn, PC_WAIT_HOST, conn->loop->engine->options.identify_timeout_ms);
    pc_ask_init(&r->ask, conn, m, app_answered, app_dispose);
    r->engine = conn->loop->engine;
    pusherc_slice name = id.len ? id : key;
    memcpy(r->text, name.ptr, name.len);
    *(id.len ? &r->id : &r->key) = pc_slice(r->text, name.len);
    hooks->find_app(r, hooks->user_data);
    return true;
}

static void serve(struct pc_conn *conn, const struct pc_http_message *m)
{
    struct pc_engine *engine = conn->loop->engine;
    struct pc_api_request request = {.engine = engine,
                                     .worker = conn->loop->worker,
                                     .message = m,
                                     .unix_time_s = (uint64_t)time(NULL),
                                     .host_has_pages = engine->hooks.on_http != NULL,
                                     .app_asked = conn->app_asked};
    struct pc_api_reply reply;
    pusherc_slice id = {0}, key = {0};
    pc_api_reply_init(&reply, &engine->mem);
    enum pc_api_result result = pc_api_handle(&request, &reply, &id, &key);
    if (result == PC_API_UNKNOWN_APP && !pc_conn_ask_for_app(conn, m, id, key)) {
        pc_api_reply_free(&reply);
        pc_api_reply_init(&reply, &engine->mem);
        request.app_asked = true;
        result = pc_api_handle(&request, &reply, &id, &key);
    }
    if (result == PC_API_REPLY)
        put_reply(conn, &reply, m);
    else if (result == PC_API_NOT_OURS && pc_admit_path(engine, m->path))
        pc_conn_refuse_plain(conn, m);
    else if (result == PC_API_NOT_OURS && engine->hooks.on_http)
        ask_for_page(conn, m);
    else if (result == PC_API_NOT_OURS)
        put_reply(conn, &reply, m);
    pc_api_reply_free(&reply);
}

static void serve_operations(struct pc_conn *conn, const struct pc_http_message *m)
{
    struct pc_engine *engine = conn->loop->engine;
    struct pc_api_request request = {.engine = engine, .worker = conn->loop->worker, .message = m};
    struct pc_api_reply reply;
    pc_api_reply_init(&reply, &engine->mem);
    pc_api_operations(&request, &reply);
    put_reply(conn, &reply, m->upgrade ? NULL : m); /* what follows an upgrade is no request */
    pc_api_reply_free(&reply);
}

static void request_complete(struct pc_conn *conn)
{
    const struct pc_http_message *m = pc_http_parser_message(conn->http);
    pc_stat_add(&conn->loop->worker->stats.http_requests, 1);
    if (conn->operations)
        serve_operations(conn, m);
    else if (m->upgrade)
        pc_conn_upgrade(conn, m);
    else if (!pc_conn_auth(conn, m))
        serve(conn, m);
}

/* A slow sender gets one deadline for the head and one for the body, not one per byte. */
static void note_progress(struct pc_conn *conn)
{
    const struct pc_engine *engine = conn->loop->engine;
    if (pc_http_parser_idle(conn->http))
        return;
    if (pc_http_parser_in_body(conn->http)) {
        if (conn->wait != PC_WAIT_BODY)
            pc_conn_set_wait(conn, PC_WAIT_BODY, engine->constants.request_timeout_ms);
    } else if (conn->wait != PC_WAIT_HEAD) {
        pc_conn_set_wait(conn, PC_WAIT_HEAD, engine->options.handshake_timeout_ms);
    }
}

void pc_conn_http_input(struct pc_conn *conn, pusherc_slice bytes)
{
    while (bytes.len > 0 && conn->state == PC_CONN_HTTP) {
        /* Somebody sends requests and does not read the answers: they wait, and so do its next requests. */
        if (conn->out.bytes > conn->loop->engine->options.out_soft_bytes) {
            conn->throttled = true;
            pc_conn_save(conn, bytes);
            pc_outq_mark(&conn->out);
            pc_conn_watch(conn);
            return;
        }
        size_t used = 0;
        enum pc_http_result result = pc_http_parser_feed(conn->http, bytes, &used);
        bytes = pc_slice_skip(bytes, used);
        switch (result) {
        case PC_HTTP_CONTINUE:
            pc_conn_send(conn, 0, PC_S("HTTP/1.1 100 Continue\r\n\r\n"));
            note_progress(conn);
            break;
        case PC_HTTP_MORE:
            note_progress(conn);
            break;
        case PC_HTTP_REQUEST:
            request_complete(conn);
            break;
        case PC_HTTP_ERROR: {
            struct pc_http_error error = pc_http_parser_error(conn->http);
            plain(conn, error.status, error.text, NULL);
            break;
        }
        }
    }
    if (bytes.len > 0)
        pc_conn_input(conn, bytes); /* it speaks something else now, or waits */
}

void pc_conn_http_timeout(struct pc_conn *conn)
{
    if (pc_http_parser_idle(conn->http))
        pc_conn_finish(conn); /* said nothing at all: nothing to answer */
    else
        plain(conn, 408, "The request took too long", NULL);
}

void pc_conn_http_no_answer(struct pc_conn *conn)
{
    plain(conn, 503, "The application did not answer in time", NULL);
}

void pc_conn_http_wants_tls(struct pc_conn *conn)
{
    plain(conn, 400, "This port speaks TLS: use https:// or wss://", NULL);
}
