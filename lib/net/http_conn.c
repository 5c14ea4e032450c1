/*
 * How input is read. http_input() feeds the parser until it has a request. While a request has to wait (PC_CONN_WAITING)
 * or too many answers are queued (`throttled`), the input behind it waits in the connection, so requests are answered in
 * their order; pc_conn_go_on() follows the answer. A request may turn the connection into a WebSocket, which gets the
 * rest.
 */
#include "net/http_conn.h"

#include <unistd.h>

#define SHOWN_BYTES 100 /* in log lines, of what a client sent */

struct http_conn {
    struct pc_conn *conn;
    pc_http_serve_fn serve;
    struct pc_http_parser *parser; /* owned; NULL while struct pc_ask has the request */
    struct pc_await await;
    const struct pc_http_waiting *waiting; /* of the current request; NULL = it does not wait */
    void *of;                              /* for the functions in `waiting` */
    const struct pc_http_message *message; /* the request that waits */
};

static const struct pc_conn_kind http_kind;

static struct http_conn *http_of(const struct pc_conn *conn)
{
    return conn->self;
}

static bool stopping(const struct pc_conn *conn)
{
    return conn->loop->stopping;
}

const struct pc_http_message *pc_http_message(const struct pc_conn *conn)
{
    return pc_http_parser_message(http_of(conn)->parser);
}

int pc_http_retarget(struct pc_conn *conn, pusherc_slice target)
{
    return pc_http_parser_retarget(http_of(conn)->parser, target);
}

/* -- answers -- */

/* The connection may bring another request. Not while a question that came too late still has the memory of this one. */
static bool may_go_on(const struct pc_conn *conn)
{
    return !stopping(conn) && http_of(conn)->parser;
}

/* The current request has been answered: waits for the next one, or ends the connection. */
static void answered(struct pc_conn *conn, bool keep_alive)
{
    if (!keep_alive || !may_go_on(conn)) {
        pc_conn_finish(conn);
        return;
    }
    pc_http_parser_next(http_of(conn)->parser);
    pc_conn_set_wait(conn, PC_WAIT_NEXT, conn->loop->engine->constants.keep_alive_ms);
}

void pc_http_reply(struct pc_conn *conn, struct pc_api_reply *reply,
                   const struct pc_http_message *m)
{
    char stack[2048];
    struct pc_buf out;
    bool keep_alive = m && m->keep_alive && may_go_on(conn);
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
    if (pc_buf_status(&out))
        pc_conn_break(conn);
    else
        pc_conn_send(conn, 0, pc_buf_slice(&out));
    pc_buf_free(&out);
    answered(conn, keep_alive);
}

void pc_http_reply_text(struct pc_conn *conn, int status, const char *text,
                        const struct pc_http_message *message)
{
    struct pc_api_reply reply;
    pc_api_reply_init(&reply, conn->loop->worker->mem);
    pc_api_plain(&reply, status, text);
    pc_http_reply(conn, &reply, message);
    pc_api_reply_free(&reply);
}

void pc_http_reply_bytes(struct pc_conn *conn, pusherc_slice response, bool keep_alive)
{
    if (response.len == 0)
        pc_conn_break(conn);
    else
        pc_conn_send(conn, 0, response);
    answered(conn, keep_alive && response.len > 0);
}

void pc_http_end_stream(struct pc_conn *conn, pusherc_slice tail, bool keep_alive)
{
    if (tail.len)
        pc_conn_send(conn, 0, tail);
    answered(conn, keep_alive);
}

/* -- waiting -- */

struct pc_await *pc_http_await(struct pc_conn *conn)
{
    return &http_of(conn)->await;
}

void pc_http_wait(struct pc_conn *conn, const struct pc_http_waiting *how, void *of,
                  const struct pc_http_message *message, uint64_t ms)
{
    struct http_conn *h = http_of(conn);
    h->waiting = how;
    h->of = of;
    h->message = message;
    conn->state = PC_CONN_WAITING;
    pc_conn_set_wait(conn, ms ? PC_WAIT_ANSWER : PC_WAIT_NOTHING, ms);
    pc_conn_watch(conn);
}

void pc_http_stop_waiting(struct pc_conn *conn)
{
    http_of(conn)->waiting = NULL;
    conn->state = PC_CONN_OPEN;
}

static void on_answer(struct pc_await *await, struct pc_pending *answer)
{
    struct http_conn *h = PC_CONTAINER(await, struct http_conn, await);
    struct pc_conn *conn = h->conn;
    const struct pc_http_waiting *how = h->waiting;
    pc_http_stop_waiting(conn);
    if (answer->silent && how->too_late)
        how->too_late(conn, h->of);
    else
        how->resume(conn, h->of, answer);
    /* the connection may be a WebSocket now, and `h` freed */
    pc_outq_mark(&conn->out);
    pc_conn_go_on(conn);
}

struct pc_http_parser *pc_http_take_request(struct pc_conn *conn)
{
    struct http_conn *h = http_of(conn);
    struct pc_http_parser *parser = h->parser;
    h->parser = NULL;
    return parser;
}

void pc_http_give_request(struct pc_conn *conn, struct pc_http_parser *parser)
{
    http_of(conn)->parser = parser;
}

/* -- reading -- */

/* Starts the deadline for the head or for the body when each begins. Further bytes do not extend it. */
static void note_progress(struct pc_conn *conn)
{
    const struct pc_engine *engine = conn->loop->engine;
    const struct pc_http_parser *parser = http_of(conn)->parser;
    if (pc_http_parser_idle(parser))
        return;
    if (pc_http_parser_in_body(parser)) {
        if (conn->wait != PC_WAIT_BODY)
            pc_conn_set_wait(conn, PC_WAIT_BODY, engine->constants.request_timeout_ms);
    } else if (conn->wait == PC_WAIT_FIRST) {
        pc_conn_change_wait(conn, PC_WAIT_HEAD);
    } else if (conn->wait != PC_WAIT_HEAD) {
        pc_conn_set_wait(conn, PC_WAIT_HEAD, engine->options.handshake_timeout_ms);
    }
}

/* Before anything knows what it is about: the method and the path, if they could be read. */
static void log_broken(struct pc_conn *conn, const struct pc_http_message *m,
                       const struct pc_http_error *error)
{
    pusherc_slice path = pc_slice_first(m->path, SHOWN_BYTES);
    struct pc_log_about about = {.subject = "net", .topic = (unsigned)error->status};
    PC_LOG(&conn->loop->engine->log, INFO, about, "%.*s%s%.*s%srefused, %d %s", (int)m->method.len,
           m->method.len ? m->method.ptr : "", path.len ? " \"" : "", (int)path.len,
           path.len ? path.ptr : "",
           path.len        ? "\" "
           : m->method.len ? " "
                           : "a request was ",
           error->status, error->text);
}

static void act_on(struct pc_conn *conn, enum pc_http_result result)
{
    struct http_conn *h = http_of(conn);
    switch (result) {
    case PC_HTTP_CONTINUE:
        pc_conn_send(conn, 0, PC_S("HTTP/1.1 100 Continue\r\n\r\n"));
        note_progress(conn);
        break;
    case PC_HTTP_MORE:
        note_progress(conn);
        break;
    case PC_HTTP_REQUEST:
        pc_stat_add(&conn->loop->worker->stats.http_requests, 1);
        h->serve(conn, pc_http_parser_message(h->parser));
        break;
    case PC_HTTP_ERROR: {
        struct pc_http_error error = pc_http_parser_error(h->parser);
        log_broken(conn, pc_http_parser_message(h->parser), &error);
        pc_http_refuse(conn, error.status, error.text);
        break;
    }
    }
}

static bool http_input(struct pc_conn *conn, pusherc_slice *bytes)
{
    /* a client that does not read the answers has to read before its next request is handled */
    if (conn->out.held > conn->loop->engine->options.out_soft_bytes) {
        conn->throttled = true;
        pc_outq_mark(&conn->out);
        return false;
    }
    size_t used = 0;
    enum pc_http_result result = pc_http_parser_feed(http_of(conn)->parser, *bytes, &used);
    *bytes = pc_slice_skip(*bytes, used);
    act_on(conn, result);
    return false;
}

static void answer_is_late(struct pc_conn *conn)
{
    struct http_conn *h = http_of(conn);
    const struct pc_http_waiting *how = h->waiting;
    pc_http_stop_waiting(conn);
    how->too_late(conn, h->of);
    if (conn->kind == &http_kind) /* otherwise http_closed() has abandoned it */
        pc_await_abandon(&h->await);
}

static void http_timeout(struct pc_conn *conn, enum pc_conn_wait wait)
{
    struct http_conn *h = http_of(conn);
    if (wait == PC_WAIT_ANSWER)
        answer_is_late(conn);
    else if (pc_conn_is_our_turn(conn)) /* what it waits for may have come */
        pc_conn_set_wait(conn, wait, conn->loop->engine->constants.request_timeout_ms);
    else if (wait == PC_WAIT_NEXT || pc_http_parser_idle(h->parser))
        pc_conn_finish(conn); /* no request has begun, so there is nothing to answer */
    else
        pc_http_refuse(conn, 408, "The request took too long");
}

static void http_flushed(struct pc_conn *conn)
{
    struct http_conn *h = http_of(conn);
    bool was_throttled = conn->throttled;
    if (h->waiting && h->waiting->flushed)
        h->waiting->flushed(conn, h->of);
    if (conn->state != PC_CONN_OPEN)
        return;
    conn->throttled = conn->out.held > conn->loop->engine->options.out_soft_bytes;
    if (was_throttled && !conn->throttled)
        pc_conn_go_on(conn);
}

/* Keeps the connection if the client may still wait for an answer: it may shut its half after its request. */
static void http_peer_ended(struct pc_conn *conn)
{
    struct http_conn *h = http_of(conn);
    if (conn->state == PC_CONN_OPEN && conn->out.count > 0) {
        pc_conn_finish_for_reader(conn);
    } else if (conn->state == PC_CONN_WAITING && !h->message->upgrade &&
               !(h->waiting && h->waiting->ends_with_peer)) {
        pc_conn_peer_left(conn); /* otherwise libuv would report it in every turn */
    } else {
        pc_conn_destroy(conn);
    }
}

static void http_goodbye(struct pc_conn *conn, uint64_t grace_ms)
{
    (void)grace_ms;
    if (pc_http_parser_idle(http_of(conn)->parser) && conn->out.count == 0)
        pc_conn_finish(conn); /* otherwise the current answer says "Connection: close" */
}

static void http_closed(struct pc_conn *conn)
{
    struct http_conn *h = http_of(conn);
    pc_await_abandon(&h->await);
    if (h->waiting && h->waiting->abandon)
        h->waiting->abandon(conn, h->of);
    pc_http_parser_free(h->parser);
}

static void http_wants_tls(struct pc_conn *conn)
{
    static const struct pc_http_error error = {400, "This port speaks TLS: use https:// or wss://"};
    static const struct pc_http_message unread = {0};
    log_broken(conn, &unread, &error);
    pc_http_refuse(conn, error.status, error.text);
}

static const struct pc_conn_kind http_kind = {
    .input = http_input,
    .timeout = http_timeout,
    .flushed = http_flushed,
    .peer_ended = http_peer_ended,
    .goodbye = http_goodbye,
    .closed = http_closed,
    .wants_tls = http_wants_tls,
};

static struct http_conn *http_conn_new(const struct pc_mem *mem, struct pc_http_parser *parser,
                                       pc_http_serve_fn serve)
{
    struct http_conn *h = pc_alloc_zero(mem, sizeof *h);
    if (!h)
        return NULL;
    h->parser = parser;
    h->serve = serve;
    h->await.resume = on_answer;
    return h;
}

struct pc_conn *pc_http_conn_move_in(struct pc_loop *loop, const struct pc_moving *socket,
                                     struct pc_http_parser *parser, pc_http_serve_fn serve)
{
    const struct pc_mem *mem = loop->worker->mem;
    struct http_conn *h = http_conn_new(mem, parser, serve);
    if (!h) {
        pc_moving_free(socket, mem);
        return NULL;
    }
    struct pc_conn *conn = pc_conn_move_in(loop, socket, &http_kind, h);
    if (conn)
        h->conn = conn;
    else
        pc_free(mem, h);
    return conn;
}

struct pc_conn *pc_http_conn_new(struct pc_loop *loop, int fd, struct pc_tls_config *tls,
                                 pc_http_serve_fn serve)
{
    const struct pc_mem *mem = loop->worker->mem;
    struct pc_http_limits limits = {loop->engine->options.max_http_head_bytes,
                                    pc_engine_max_body_bytes(loop->engine)};
    struct pc_http_parser *parser;
    struct http_conn *h = NULL;
    if (pc_http_parser_new(&parser, mem, limits) || !(h = http_conn_new(mem, parser, serve))) {
        pc_http_parser_free(parser);
        close(fd);
        return NULL;
    }
    struct pc_conn *conn = pc_conn_new(loop, fd, tls, &http_kind, h);
    if (!conn) {
        pc_http_parser_free(parser);
        pc_free(mem, h);
        return NULL;
    }
    h->conn = conn;
    pc_conn_set_wait(conn, PC_WAIT_FIRST, loop->engine->options.handshake_timeout_ms);
    return conn;
}

pc_http_serve_fn pc_http_server_of(const struct pc_conn *conn)
{
    return http_of(conn)->serve;
}
