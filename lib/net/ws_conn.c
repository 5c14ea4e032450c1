/* A connection that speaks WebSocket: the way in, messages to and from its session, the two-sided close. */
#include <stdio.h>

#include <pusherc/error.h>

#include "net/ask.h"
#include "net/auth_conn.h"
#include "net/conn.h"
#include "protocol/message_out.h"
#include "session/admit.h"
#include "session/reply.h"

/* -- the session's transport -- */

static void transport_close(struct pc_session *session, uint16_t code, pusherc_slice reason)
{
    struct pc_conn *conn = PC_CONTAINER(session, struct pc_conn, session);
    uint8_t frame[PC_WS_CLOSE_SIZE];
    size_t len = pc_ws_close_frame(frame, code, reason);
    pc_conn_send(conn, 0, pc_slice((const char *)frame, len));
    pc_outq_mark(&conn->out);
    conn->out.closed = true;
    pc_ws_closing(&conn->ws);
    if (conn->state < PC_CONN_CLOSING) {
        conn->state = PC_CONN_CLOSING;
        pc_conn_set_wait(conn, PC_WAIT_PEER_CLOSE, conn->loop->engine->options.close_timeout_ms);
    }
}

static void transport_ping(struct pc_session *session)
{
    struct pc_conn *conn = PC_CONTAINER(session, struct pc_conn, session);
    pc_conn_send(conn, PC_WS_PING, PC_S(""));
}

static const struct pc_transport transport = {transport_close, transport_ping};

/* -- what the codec hands over; none of these may destroy the connection -- */

void pc_conn_ws_message(void *user, enum pc_ws_opcode opcode, pusherc_slice payload)
{
    struct pc_conn *conn = user;
    if (opcode == PC_WS_TEXT)
        pc_session_message(&conn->session, payload);
    else
        pc_session_close(&conn->session, PC_CLOSE_UNSUPPORTED_DATA,
                         pc_close_text(PC_CLOSE_UNSUPPORTED_DATA));
}

void pc_conn_ws_ping(void *user)
{
    pc_session_seen(&((struct pc_conn *)user)->session);
}

void pc_conn_ws_pong(void *user)
{
    pc_session_seen(&((struct pc_conn *)user)->session);
}

void pc_conn_ws_send(void *user, pusherc_slice frame)
{
    struct pc_conn *conn = user;
    /* Somebody who pings and never reads is a slow client like any other. */
    if (conn->out.bytes > conn->loop->engine->options.out_hard_bytes)
        pc_session_overflow(&conn->session);
    else
        pc_conn_send(conn, 0, frame);
}

/* The session is over for a reason of the peer's; it leaves its channels at the next flush. */
static void end_session(struct pc_conn *conn, uint16_t code)
{
    if (conn->session.state == PC_SESSION_OPEN) {
        conn->session.state = PC_SESSION_CLOSING;
        conn->session.close_code = code;
    }
    pc_conn_finish(conn);
}

void pc_conn_ws_close(void *user, uint16_t code, pusherc_slice reason)
{
    (void)reason;
    end_session(user, code);
}

void pc_conn_ws_input(struct pc_conn *conn, pusherc_slice bytes)
{
    uint16_t code = PC_CLOSE_ABNORMAL;
    if (conn->ws.ended)
        return;
    if (conn->state == PC_CONN_WEBSOCKET)
        pc_session_seen(&conn->session); /* part of a message is a sign of life, too */
    int rc = pc_ws_feed(&conn->ws, conn->loop->ws_pool, conn, bytes, &code);
    if (rc == PUSHERC_EPROTO)
        end_session(conn, code);
    else if (rc)
        pc_conn_destroy(conn);
}

/* -- the way in -- */

/* 101 first, so that the client can see the close code; false: it was no proper handshake, and is answered. */
static bool shake_hands(struct pc_conn *conn, const struct pc_http_message *request)
{
    char stack[512];
    struct pc_buf out;
    int status = 0;
    const char *text = NULL;
    pc_buf_init_in(&out, conn->loop->worker->mem, SIZE_MAX, stack, sizeof stack);
    int rc = pc_ws_handshake(request, &out, &status, &text);
    if (rc == PUSHERC_EPROTO) {
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
    if (pc_buf_status(&out)) {
        conn->broken = true;
        pc_outq_mark(&conn->out);
    } else {
        pc_conn_send(conn, 0, pc_buf_slice(&out));
    }
    pc_buf_free(&out);
    if (rc)
        pc_conn_finish(conn);
    return rc == 0;
}

/* From here on it is a WebSocket; the request is forgotten. */
static void become_websocket(struct pc_conn *conn)
{
    pc_http_parser_free(conn->http);
    conn->http = NULL;
    conn->app_asked = false;
    conn->state = PC_CONN_WEBSOCKET;
    pc_ws_init(&conn->ws, conn->loop->engine->options.max_frame_bytes);
    pc_conn_set_wait(conn, PC_WAIT_NOTHING, 0);
}

/* A WebSocket that was never established: the error first, for what looks at no close codes (section 1.7). */
static void say_no(struct pc_conn *conn, const struct pc_app *app, uint16_t code,
                   pusherc_slice reason)
{
    char stack[256];
    struct pc_buf error;
    uint8_t frame[PC_WS_CLOSE_SIZE];
    pc_admit_count_error(conn->loop->engine, app, code);
    pc_buf_init_in(&error, conn->loop->worker->mem, 1024, stack, sizeof stack);
    pc_out_error(&error, code, reason);
    if (pc_buf_status(&error) == 0)
        pc_conn_send(conn, PC_WS_TEXT, pc_buf_slice(&error));
    pc_buf_free(&error);
    pc_conn_send(conn, 0, pc_slice((const char *)frame, pc_ws_close_frame(frame, code, reason)));
    conn->out.closed = true;
    pc_ws_closing(&conn->ws);
    conn->state = PC_CONN_CLOSING;
    pc_conn_set_wait(conn, PC_WAIT_PEER_CLOSE, conn->loop->engine->options.close_timeout_ms);
    PC_LOG(&conn->loop->engine->log, DEBUG, ((struct pc_log_about){.subject = "ws"}),
           "connection refused, %u %.*s", code, (int)reason.len, reason.ptr);
}

static void turn_away(struct pc_conn *conn, const struct pc_http_message *request,
                      const struct pc_app *app, uint16_t code, pusherc_slice reason)
{
    if (!shake_hands(conn, request))
        return;
    become_websocket(conn);
    say_no(conn, app, code, reason);
}

/* Takes over the newcomer. 0, or why there is no session; the client has been told what can be told. */
static int establish(struct pc_conn *conn, const struct pc_http_message *request,
                     struct pc_newcomer *newcomer)
{
    int rc = PUSHERC_EPROTO;
    if (shake_hands(conn, request)) {
        become_websocket(conn);
        rc = pc_session_open(&conn->session, conn->loop->worker, &conn->out, &transport, newcomer);
        if (rc == PUSHERC_ELIMIT) {
            say_no(conn, newcomer->app, PC_CLOSE_OVER_QUOTA, PC_S(PC_USER_OVER_QUOTA));
        } else if (rc) {
            conn->broken = true;
            pc_outq_mark(&conn->out);
        }
    }
    if (rc)
        pc_newcomer_free(newcomer);
    else if (conn->loop->stopping)
        pc_conn_say_goodbye(conn, conn->loop->stop_grace_ms);
    return rc;
}

/* The host's own decision about a connection, for its hook. */
static void tell_denied(struct pc_conn *conn, const struct pusherc_identify_request *r,
                        pusherc_denial_reason reason, uint16_t code, pusherc_slice text)
{
    const pusherc_hooks *hooks = &conn->loop->engine->hooks;
    pusherc_denial denial = {.struct_size = sizeof denial,
                             .reason = reason,
                             .app_id = r->app->id,
                             .status = code,
                             .detail = text};
    pc_stat_add_shared(&r->app->live->refusals.denials[reason], 1);
    if (hooks->on_denied)
        hooks->on_denied(&denial, hooks->user_data);
}

static void identified(struct pc_conn *conn, struct pc_ask *ask)
{
    struct pusherc_identify_request *r = PC_CONTAINER(ask, struct pusherc_identify_request, ask);
    conn->state = PC_CONN_HTTP;
    if (r->reject_code) {
        pusherc_slice reason = pc_slice_of(r->reject_reason);
        turn_away(conn, ask->message, r->app, r->reject_code, reason);
        tell_denied(conn, r,
                    r->cookie_refused ? PUSHERC_DENIED_COOKIE_IDENTITY : PUSHERC_DENIED_BY_RULE,
                    r->reject_code, reason);
    } else {
        struct pc_newcomer newcomer = r->newcomer;
        newcomer.identity = r->identity;
        r->newcomer.app = NULL;
        r->identity = NULL;
        int rc = establish(conn, ask->message, &newcomer);
        if (rc == 0)
            pc_session_expire_identity(&conn->session, r->expires_in_ms);
        else if (rc == PUSHERC_ELIMIT)
            tell_denied(conn, r, PUSHERC_DENIED_LIMIT, PC_CLOSE_OVER_QUOTA,
                        PC_S(PC_USER_OVER_QUOTA));
    }
    pc_conn_watch(conn);
    pc_conn_resume(conn);
}

void pc_identify_dispose(struct pc_ask *ask)
{
    struct pusherc_identify_request *r = PC_CONTAINER(ask, struct pusherc_identify_request, ask);
    pc_identity_unref(r->identity);
    pc_newcomer_free(&r->newcomer);
    pc_app_unref(r->app);
}

static void admitted(struct pc_conn *conn, const struct pc_http_message *request,
                     struct pc_newcomer *newcomer)
{
    const pusherc_hooks *hooks = &conn->loop->engine->hooks;
    if (!hooks->identify) {
        (void)establish(conn, request, newcomer); /* which has told whoever can be told */
        return;
    }
    struct pusherc_identify_request *r = pc_alloc_zero(conn->loop->worker->mem, sizeof *r);
    if (!r) {
        turn_away(conn, request, newcomer->app, PC_CLOSE_INTERNAL,
                  pc_close_text(PC_CLOSE_INTERNAL));
        pc_newcomer_free(newcomer);
        return;
    }
    pc_conn_set_wait(conn, PC_WAIT_HOST, conn->loop->engine->options.identify_timeout_ms);
    pc_ask_init(&r->ask, conn, request, identified, pc_identify_dispose);
    r->newcomer = *newcomer;
    r->app = newcomer->app;
    pc_app_ref(r->app);
    hooks->identify(r, hooks->user_data);
}

void pc_conn_upgrade(struct pc_conn *conn, const struct pc_http_message *request)
{
    struct pc_admission admission;
    struct pc_engine *engine = conn->loop->engine;
    struct pc_address client = pc_client_address(conn->fd, request, engine->options.proxy_count);
    enum pc_admit_result result = pc_admit_request(engine, request, &admission);
    if (result == PC_ADMIT_OK)
        result = pc_admit_app(engine, request, conn->tls != NULL, pc_address_network(&client),
                              &admission);
    if (result == PC_ADMIT_UNKNOWN_APP &&
        pc_conn_ask_for_app(conn, request, PC_S(""), pc_slice(admission.key, admission.key_len)))
        return;
    if (result == PC_ADMIT_OK) {
        admitted(conn, request, &admission.newcomer);
        return;
    }
    turn_away(conn, request, admission.refused_by, admission.code, pc_slice_of(admission.reason));
    pc_app_unref(admission.refused_by);
}

void pc_conn_refuse_plain(struct pc_conn *conn, const struct pc_http_message *request)
{
    (void)shake_hands(conn, request); /* which fails: `upgrade` is not set */
}

void pc_conn_host_timeout(struct pc_conn *conn)
{
    struct pc_ask *ask = conn->ask;
    /* The host may be reading the request right now: answer first, then leave its memory to the question. */
    struct pc_http_parser *parser = conn->http;
    conn->http = NULL;
    conn->state = PC_CONN_HTTP;
    if (ask->message->upgrade) {
        pusherc_slice text = PC_S("The application did not answer in time");
        const struct pusherc_identify_request *r =
            ask->answered == identified ? PC_CONTAINER(ask, struct pusherc_identify_request, ask)
                                        : NULL;
        turn_away(conn, ask->message, r ? r->app : NULL, PC_CLOSE_UNAUTHORIZED, text);
        if (r)
            tell_denied(conn, r, PUSHERC_DENIED_TIMEOUT, PC_CLOSE_UNAUTHORIZED, text);
    } else {
        pc_conn_http_no_answer(conn);
    }
    conn->http = parser;
    pc_ask_abandon(ask);
    if (conn->auth)
        pc_auth_call_abandon(conn->auth);
}
