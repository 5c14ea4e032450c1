#include "net/ws_conn.h"

#include <pusherc/error.h>

#include "protocol/message_out.h"
#include "session/admit.h"
#include "session/pace.h"
#include "session/reply.h"
#include "session/seats.h"

#define SHOWN_BYTES 100 /* in log lines, of what a client sent */

#define WS_SPARE 16 /* idle WebSocket contexts kept by each loop, 4.6 KB each */

struct ws_conn {
    struct pc_conn *conn;
    struct pc_ws ws;
    struct pc_session session;
    struct pong *pong; /* owned: answers the newest PING of a slow client; NULL = none */
};

struct pong {
    size_t len;
    char frame[];
};

static const struct pc_conn_kind ws_kind;

static struct ws_conn *ws_of(const struct pc_conn *conn)
{
    return conn->self;
}

/* -- the session's transport -- */

/* Queues the server's Close frame. Nothing is sent after it, and the peer has close_timeout_ms to answer. */
static void begin_close(struct pc_conn *conn, uint16_t code, pusherc_slice reason)
{
    uint8_t frame[PC_WS_CLOSE_SIZE];
    size_t len = pc_ws_close_frame(frame, code, reason);
    pc_conn_send(conn, 0, pc_slice((const char *)frame, len));
    pc_outq_mark(&conn->out);
    conn->out.closed = true;
    pc_ws_closing(&ws_of(conn)->ws);
    if (conn->state < PC_CONN_CLOSING) {
        conn->state = PC_CONN_CLOSING;
        pc_conn_set_wait(conn, PC_WAIT_PEER_CLOSE, conn->loop->engine->options.close_timeout_ms);
    }
}

static void transport_close(struct pc_session *session, uint16_t code, pusherc_slice reason)
{
    begin_close(PC_CONTAINER(session, struct ws_conn, session)->conn, code, reason);
}

static void transport_ping(struct pc_session *session)
{
    pc_conn_send(PC_CONTAINER(session, struct ws_conn, session)->conn, PC_WS_PING, PC_S(""));
}

static const struct pc_transport transport = {transport_close, transport_ping};

static void on_overflow(struct pc_outq *q)
{
    struct pc_conn *conn = PC_CONTAINER(q, struct pc_conn, out);
    struct pc_session *session = &ws_of(conn)->session;
    if (conn->state != PC_CONN_OPEN)
        return;
    if (session->app->options.slow_policy == PUSHERC_SLOW_DROP) {
        pc_session_overflow(session);
        return;
    }
    /* one event may be too much for thousands: they are closed as many at once as a flush has time for */
    conn->overflowed = true;
    pc_outq_mark_bulk(q);
}

static void ws_overflowed(struct pc_conn *conn)
{
    if (conn->state == PC_CONN_OPEN)
        pc_session_overflow(&ws_of(conn)->session);
}

/* -- callbacks of the codec; none of them may destroy the connection -- */

static void note_message(struct pc_conn *conn)
{
    if (conn->state == PC_CONN_OPEN)
        pc_session_pay(&ws_of(conn)->session);
}

static void on_message(void *user, enum pc_ws_opcode opcode, pusherc_slice payload)
{
    struct pc_conn *conn = user;
    struct pc_session *session = &ws_of(conn)->session;
    if (conn->wait == PC_WAIT_MESSAGE)
        pc_conn_set_wait(conn, PC_WAIT_NOTHING, 0);
    note_message(conn);
    if (opcode == PC_WS_TEXT)
        pc_session_message(session, payload);
    else
        pc_session_close(session, PC_CLOSE_UNSUPPORTED_DATA,
                         pc_close_text(PC_CLOSE_UNSUPPORTED_DATA));
}

/* Keeps one pong, the newest: RFC 6455, section 5.5.3. */
static void keep_pong(struct pc_conn *conn, pusherc_slice frame)
{
    struct ws_conn *w = ws_of(conn);
    const struct pc_mem *mem = conn->loop->worker->mem;
    struct pong *pong = pc_resize_array(mem, w->pong, sizeof *pong + frame.len, 1);
    if (!pong) {
        pc_conn_break(conn);
        return;
    }
    pong->len = frame.len;
    memcpy(pong->frame, frame.ptr, frame.len);
    w->pong = pong;
}

static void send_kept_pong(struct pc_conn *conn)
{
    struct ws_conn *w = ws_of(conn);
    struct pong *pong = w->pong;
    w->pong = NULL;
    if (conn->state == PC_CONN_OPEN)
        pc_conn_send(conn, 0, pc_slice(pong->frame, pong->len));
    pc_free(conn->loop->worker->mem, pong);
}

/* False: it was too much, and the connection is being closed. */
static bool note_control(struct pc_conn *conn)
{
    if (conn->state != PC_CONN_OPEN)
        return true;
    note_message(conn);
    return pc_session_control(&ws_of(conn)->session);
}

static void on_ping(void *user, pusherc_slice pong)
{
    struct pc_conn *conn = user;
    if (!note_control(conn))
        return;
    if (conn->write_blocked || ws_of(conn)->pong)
        keep_pong(conn, pong);
    else
        pc_conn_send(conn, 0, pong);
}

static void on_pong(void *user)
{
    (void)note_control(user);
}

static void on_send(void *user, pusherc_slice frame)
{
    pc_conn_send(user, 0, frame);
}

/* Ends the session because of the peer. The session leaves its channels at the next flush. */
static void end_session(struct pc_conn *conn, uint16_t code)
{
    struct pc_session *session = &ws_of(conn)->session;
    if (session->state == PC_SESSION_OPEN) {
        session->state = PC_SESSION_CLOSING;
        session->close_code = code;
    }
    pc_conn_finish(conn);
}

static void on_close(void *user, uint16_t code, pusherc_slice reason)
{
    (void)reason;
    end_session(user, code);
}

const struct pc_ws_events pc_ws_conn_events = {on_message, on_ping, on_pong, on_close, on_send};

/* -- the kind of connection -- */

static bool ws_input(struct pc_conn *conn, pusherc_slice *bytes)
{
    struct ws_conn *w = ws_of(conn);
    uint16_t code = PC_CLOSE_ABNORMAL;
    if (w->ws.ended) {
        *bytes = PC_S("");
        return false;
    }
    if (conn->state == PC_CONN_OPEN) {
        pc_session_seen(&w->session); /* part of a message is a sign of life as well */
        if (!pc_session_may_send(&w->session)) {
            pc_app_limited(w->session.app, PC_APP_max_client_messages_per_s);
            pc_conn_pace(conn);
            return w->ws.more;
        }
        /* its answers first: input may come faster than the flush has time for them */
        if (conn->out.held > conn->loop->engine->options.out_soft_bytes) {
            conn->throttled = true;
            pc_outq_mark(&conn->out);
            return w->ws.more;
        }
    }
    int err = pc_ws_feed(&w->ws, conn->loop->ws_pool, conn, bytes, &code);
    if (err == PUSHERC_EPROTO)
        end_session(conn, code);
    else if (err)
        pc_conn_destroy(conn);
    else if (w->ws.context && conn->state == PC_CONN_OPEN && conn->wait == PC_WAIT_NOTHING)
        pc_conn_set_wait(conn, PC_WAIT_MESSAGE, conn->loop->engine->constants.request_timeout_ms);
    return w->ws.more;
}

static void ws_timeout(struct pc_conn *conn, enum pc_conn_wait wait)
{
    struct ws_conn *w = ws_of(conn);
    if (wait == PC_WAIT_GOODBYE)
        pc_session_close(&w->session, PC_CLOSE_RECONNECT, pc_close_text(PC_CLOSE_RECONNECT));
    else if (w->ws.context && pc_conn_is_our_turn(conn)) /* the rest may have come */
        pc_conn_set_wait(conn, wait, conn->loop->engine->constants.request_timeout_ms);
    else if (w->ws.context)
        pc_session_close(&w->session, PC_CLOSE_OVER_CAPACITY, PC_S("The message took too long"));
}

static void ws_flushed(struct pc_conn *conn)
{
    struct pc_session *session = &ws_of(conn)->session;
    bool was_throttled = conn->throttled;
    if (session->state == PC_SESSION_CLOSING)
        pc_session_end(session);
    if (conn->state == PC_CONN_OPEN)
        conn->throttled = conn->out.count > 0 && pc_session_slow(session);
    if (ws_of(conn)->pong && !conn->write_blocked)
        send_kept_pong(conn);
    if (was_throttled && !conn->throttled)
        pc_conn_go_on(conn);
}

static void ws_goodbye(struct pc_conn *conn, uint64_t grace_ms)
{
    /* spread over the grace period, so that the clients do not all reconnect at once */
    uint64_t dice = pc_hash(conn->loop->engine->seed, ws_of(conn)->session.by_id.key);
    pc_conn_set_wait(conn, PC_WAIT_GOODBYE, grace_ms ? dice % grace_ms : 0);
}

static void ws_closed(struct pc_conn *conn)
{
    struct ws_conn *w = ws_of(conn);
    pc_session_end(&w->session);
    pc_free(conn->loop->worker->mem, w->pong);
    pc_ws_free(&w->ws, conn->loop->ws_pool);
}

static const struct pc_conn_kind ws_kind = {
    .input = ws_input,
    .timeout = ws_timeout,
    .overflowed = ws_overflowed,
    .flushed = ws_flushed,
    .peer_ended = pc_conn_destroy,
    .goodbye = ws_goodbye,
    .closed = ws_closed,
    .established = true,
};

/* -- the way in -- */

/* Proxies take these fields away unless they are told to pass them on. Only a WebSocket client sends a key. */
static void log_no_handshake(struct pc_conn *conn, const struct pc_http_message *request,
                             int status, const char *text)
{
    pusherc_slice path = pc_slice_first(request->path, SHOWN_BYTES);
    bool upgrade = pc_http_field_has(request, PC_S("Upgrade"), PC_S("websocket")) &&
                   pc_http_field_has(request, PC_S("Connection"), PC_S("upgrade"));
    bool websocket = pc_http_field(request, PC_S("Sec-WebSocket-Key")).len > 0;
    struct pc_log_about about = {.subject = "ws", .topic = websocket ? 1 : 2};
    PC_LOG(&conn->loop->engine->log, INFO, about, "%.*s \"%.*s\" refused, %d %s%s",
           (int)request->method.len, request->method.ptr, (int)path.len, path.ptr, status, text,
           !websocket ? ""
           : !upgrade
               ? " It is one, but a proxy in front does not pass \"Upgrade\" and \"Connection\" on"
           : request->http10 ? " A proxy in front speaks HTTP/1.0"
                             : "");
}

/* 101, or the HTTP error that refuses an improper handshake; false after the second. */
static bool shake_hands(struct pc_conn *conn, const struct pc_http_message *request,
                        struct pc_ws_deflate *deflate)
{
    char stack[512];
    struct pc_buf out;
    int status = 0;
    const char *text = NULL;
    pc_buf_init_in(&out, conn->loop->worker->mem, SIZE_MAX, stack, sizeof stack);
    int err = pc_ws_handshake(request, &out, conn->loop->engine->deflaters ? deflate : NULL,
                              &status, &text);
    if (err == PUSHERC_EPROTO) {
        log_no_handshake(conn, request, status, text);
        struct pc_http_reply reply = {
            .status = status,
            .date = pc_loop_date(conn->loop),
            .content_type = "text/plain; charset=utf-8",
            .body = pc_slice_of(text),
            .head_only = pc_slice_eq(request->method, PC_S("HEAD")),
        };
        reply.fields = pc_ws_refusal_fields(status, &reply.field_count);
        pc_buf_clear(&out);
        pc_http_put_reply(&out, &reply);
    }
    if (pc_buf_status(&out))
        pc_conn_break(conn);
    else
        pc_conn_send(conn, 0, pc_buf_slice(&out));
    pc_buf_free(&out);
    if (err)
        pc_conn_finish(conn);
    return err == 0;
}

/* The state of a WebSocket connection, with the loop's pool; NULL: out of memory. */
static struct ws_conn *ws_conn_new(struct pc_loop *loop)
{
    const struct pc_mem *mem = loop->worker->mem;
    if (!loop->ws_pool && pc_ws_pool_new(&loop->ws_pool, mem, WS_SPARE, &pc_ws_conn_events))
        return NULL;
    return pc_alloc_zero(mem, sizeof(struct ws_conn));
}

/* Makes the connection a WebSocket and frees the request. 0; PUSHERC_EPROTO: the handshake was refused; PUSHERC_ENOMEM:
 * the connection ends. */
static int become_websocket(struct pc_conn *conn, const struct pc_http_message *request)
{
    struct pc_ws_deflate deflate = {.agreed = false};
    if (!shake_hands(conn, request, &deflate))
        return PUSHERC_EPROTO;
    struct ws_conn *w = ws_conn_new(conn->loop);
    if (!w) {
        pc_conn_break(conn);
        pc_conn_finish(conn);
        return PUSHERC_ENOMEM;
    }
    w->conn = conn;
    pc_ws_init(&w->ws, (uint32_t)pc_engine_max_frame_bytes(conn->loop->engine));
    w->ws.inflates = deflate.agreed;
    pc_conn_become(conn, &ws_kind, w);
    conn->out.overflow = on_overflow;
    if (pc_ws_deflate_fits(&deflate))
        conn->out.encoding = PC_ENCODING_WS_DEFLATE;
    return 0;
}

/* Closes a WebSocket that has no session. Sends an error first, for clients that ignore close codes (section 1.7). */
static void close_refused(struct pc_conn *conn, const struct pc_app *app, uint16_t code,
                          pusherc_slice reason)
{
    char stack[256];
    struct pc_buf error;
    pc_admit_count_error(conn->loop->engine, app, code);
    pc_buf_init_in(&error, conn->loop->worker->mem, 1024, stack, sizeof stack);
    pc_out_error(&error, code, reason);
    if (pc_buf_status(&error) == 0)
        pc_conn_send(conn, PC_WS_TEXT, pc_buf_slice(&error));
    pc_buf_free(&error);
    begin_close(conn, code, reason);
}

void pc_ws_conn_turn_away(struct pc_conn *conn, const struct pc_http_message *request,
                          const struct pc_app *app, uint16_t code, pusherc_slice reason)
{
    if (become_websocket(conn, request) == 0)
        close_refused(conn, app, code, reason);
}

int pc_ws_conn_open(struct pc_conn *conn, const struct pc_http_message *request,
                    struct pc_newcomer *newcomer, uint32_t expires_in_ms)
{
    int err = become_websocket(conn, request);
    if (err == 0) {
        err = pc_session_open(&ws_of(conn)->session, conn->loop->worker, &conn->out, &transport,
                              newcomer);
        if (err == PUSHERC_ELIMIT)
            close_refused(conn, newcomer->app, PC_CLOSE_OVER_QUOTA, PC_S(PC_USER_OVER_QUOTA));
        else if (err)
            pc_conn_break(conn);
    }
    if (err)
        pc_newcomer_free(newcomer);
    else
        pc_conn_leave_place(conn);
    if (err == 0)
        pc_session_expire_identity(&ws_of(conn)->session, expires_in_ms);
    if (err == 0 && conn->loop->stopping)
        pc_conn_say_goodbye(conn, conn->loop->stop_grace_ms);
    return err;
}

void pc_ws_conn_refuse_plain(struct pc_conn *conn, const struct pc_http_message *request)
{
    (void)shake_hands(conn, request,
                      NULL); /* always sends an error, because `upgrade` is not set */
}
