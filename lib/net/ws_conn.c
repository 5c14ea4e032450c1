#include "net/ws_conn.h"

#include <pusherc/error.h>

#include "protocol/message_out.h"
#include "session/admit.h"
#include "session/reply.h"

#define SHOWN_BYTES 100 /* in log lines, of what a client sent */

#define WS_SPARE 16 /* idle WebSocket contexts kept by each loop, 4.6 KB each */

struct ws_conn {
    struct pc_conn *conn;
    struct pc_ws ws;
    struct pc_session session;
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
    if (conn->state == PC_CONN_OPEN)
        pc_session_overflow(&ws_of(conn)->session);
}

/* -- callbacks of the codec; none of them may destroy the connection -- */

static void on_message(void *user, enum pc_ws_opcode opcode, pusherc_slice payload)
{
    struct pc_session *session = &ws_of(user)->session;
    if (opcode == PC_WS_TEXT)
        pc_session_message(session, payload);
    else
        pc_session_close(session, PC_CLOSE_UNSUPPORTED_DATA,
                         pc_close_text(PC_CLOSE_UNSUPPORTED_DATA));
}

static void on_ping_or_pong(void *user)
{
    pc_session_seen(&ws_of(user)->session);
}

static void on_send(void *user, pusherc_slice frame)
{
    struct pc_conn *conn = user;
    /* a client that pings and does not read the pongs counts as a slow client */
    if (conn->out.bytes > conn->loop->engine->options.out_hard_bytes)
        pc_session_overflow(&ws_of(conn)->session);
    else
        pc_conn_send(conn, 0, frame);
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

const struct pc_ws_events pc_ws_conn_events = {on_message, on_ping_or_pong, on_ping_or_pong,
                                               on_close, on_send};

/* -- the kind of connection -- */

static void ws_input(struct pc_conn *conn, pusherc_slice bytes)
{
    struct ws_conn *w = ws_of(conn);
    uint16_t code = PC_CLOSE_ABNORMAL;
    if (w->ws.ended)
        return;
    if (conn->state == PC_CONN_OPEN)
        pc_session_seen(&w->session); /* part of a message is a sign of life as well */
    int err = pc_ws_feed(&w->ws, conn->loop->ws_pool, conn, bytes, &code);
    if (err == PUSHERC_EPROTO)
        end_session(conn, code);
    else if (err)
        pc_conn_destroy(conn);
}

/* The timer of a WebSocket is only set for PC_WAIT_GOODBYE. */
static void ws_timeout(struct pc_conn *conn, enum pc_conn_wait wait)
{
    (void)wait;
    pc_session_close(&ws_of(conn)->session, PC_CLOSE_RECONNECT, pc_close_text(PC_CLOSE_RECONNECT));
}

static void ws_flushed(struct pc_conn *conn)
{
    struct pc_session *session = &ws_of(conn)->session;
    if (session->state == PC_SESSION_CLOSING)
        pc_session_end(session);
    if (conn->state == PC_CONN_OPEN)
        conn->throttled = conn->out.bytes > 0 && pc_session_slow(session);
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
    pc_ws_free(&w->ws, conn->loop->ws_pool);
}

static const struct pc_conn_kind ws_kind = {
    .input = ws_input,
    .timeout = ws_timeout,
    .flushed = ws_flushed,
    .peer_ended = pc_conn_destroy,
    .goodbye = ws_goodbye,
    .closed = ws_closed,
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
static bool shake_hands(struct pc_conn *conn, const struct pc_http_message *request)
{
    char stack[512];
    struct pc_buf out;
    int status = 0;
    const char *text = NULL;
    pc_buf_init_in(&out, conn->loop->worker->mem, SIZE_MAX, stack, sizeof stack);
    int err = pc_ws_handshake(request, &out, &status, &text);
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
    if (!shake_hands(conn, request))
        return PUSHERC_EPROTO;
    struct ws_conn *w = ws_conn_new(conn->loop);
    if (!w) {
        pc_conn_break(conn);
        pc_conn_finish(conn);
        return PUSHERC_ENOMEM;
    }
    w->conn = conn;
    pc_ws_init(&w->ws, (uint32_t)pc_engine_max_frame_bytes(conn->loop->engine));
    pc_conn_become(conn, &ws_kind, w);
    conn->out.overflow = on_overflow;
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

/* The operator may have to set something: a proxy's path, allowed_origins, a limit. Not while the server
 * stops: then nothing has to be set. */
static void log_refusal(struct pc_conn *conn, const struct pc_http_message *request,
                        const struct pc_app *app, uint16_t code, pusherc_slice reason)
{
    struct pc_engine *engine = conn->loop->engine;
    pusherc_slice path = pc_slice_first(request->path, SHOWN_BYTES), below;
    pusherc_slice origin = pc_slice_first(pc_http_field(request, PC_S("Origin")), SHOWN_BYTES);
    pusherc_slice version =
        pc_slice_first(pc_query_value(request->query, PC_S("protocol")), SHOWN_BYTES);
    bool versioned = code == PC_CLOSE_BAD_VERSION || code == PC_CLOSE_UNSUPPORTED_VERSION;
    bool doubled = code == PC_CLOSE_PATH_NOT_FOUND &&
                   pc_strip_prefix(engine, request->path, &below) &&
                   pc_slice_starts(below, PC_S("/app/app/"));
    struct pc_log_about about = {.subject = "ws", .topic = code};
    if (app)
        about.app_id = app->id;
    if (code == PC_CLOSE_RECONNECT && !pc_log_wants(&engine->log, PUSHERC_LOG_DEBUG))
        return;
    PC_LOG(&engine->log, INFO, about, "connection to \"%.*s\" refused, %u %.*s%s%.*s%s%s%.*s%s%s",
           (int)path.len, path.ptr, code, (int)reason.len, reason.ptr,
           versioned ? "; it asked for version \"" : "", versioned ? (int)version.len : 0,
           version.len ? version.ptr : "", versioned ? "\"" : "",
           origin.len ? "; its Origin is \"" : "; it has no Origin", (int)origin.len,
           origin.len ? origin.ptr : "", origin.len ? "\"" : "",
           doubled ? "; the client's wsPath is to be set without \"/app\"" : "");
}

void pc_ws_conn_turn_away(struct pc_conn *conn, const struct pc_http_message *request,
                          const struct pc_app *app, uint16_t code, pusherc_slice reason)
{
    log_refusal(conn, request, app, code, reason);
    if (become_websocket(conn, request) == 0)
        close_refused(conn, app, code, reason);
}

int pc_ws_conn_open(struct pc_conn *conn, const struct pc_http_message *request,
                    struct pc_newcomer *newcomer)
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
    else if (conn->loop->stopping)
        pc_conn_say_goodbye(conn, conn->loop->stop_grace_ms);
    return err;
}

void pc_ws_conn_expire_identity(struct pc_conn *conn, uint32_t expires_in_ms)
{
    pc_session_expire_identity(&ws_of(conn)->session, expires_in_ms);
}

void pc_ws_conn_refuse_plain(struct pc_conn *conn, const struct pc_http_message *request)
{
    (void)shake_hands(conn, request); /* always sends an error, because `upgrade` is not set */
}
