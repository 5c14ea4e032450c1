#include "net/serve.h"

#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <pusherc/error.h>

#include "net/ask.h"
#include "net/auth_conn.h"
#include "net/entrance.h"
#include "net/fallback.h"
#include "net/reclaim.h"
#include "net/ws_conn.h"
#include "session/admit.h"

/* -- the host's pages -- */

static void page_answered(struct pc_conn *conn, void *of, struct pc_pending *answer)
{
    struct pusherc_http_request *r = pc_page_of(answer);
    (void)of;
    pc_ask_give_back(&r->ask, conn);
    if (answer->silent)
        pc_http_reply_text(conn, 503, "The application did not answer in time", r->ask.message);
    else
        pc_http_reply_bytes(conn, pc_buf_slice(&r->reply), r->keep_alive);
}

static void ask_for_page(struct pc_conn *conn, const struct pc_http_message *m)
{
    static const struct pc_http_waiting waiting = {.resume = page_answered};
    const pusherc_hooks *hooks = conn->loop->worker->hooks;
    struct pusherc_http_request *r;
    int err = pc_page_new(&r, conn, m);
    if (err) {
        pc_http_reply_text(conn, err == PUSHERC_ELIMIT ? 503 : 500,
                           err == PUSHERC_ELIMIT ? PC_ASK_TOO_MANY : "Out of memory", m);
        return;
    }
    pc_http_wait(conn, &waiting, NULL, m, 0);
    hooks->on_http(r, hooks->user_data);
}

/* -- the API -- */

static void log_nothing(struct pc_conn *conn, const struct pc_http_message *m,
                        const struct pc_api_reply *reply)
{
    pusherc_slice path = pc_slice_first(m->path, 200);
    struct pc_log_about about = {.subject = "api", .topic = 1};
    PC_LOG(&conn->loop->engine->log, INFO, about, "%.*s %.*s: %d %.*s", (int)m->method.len,
           m->method.ptr, (int)path.len, path.ptr, reply->status, (int)reply->body.len,
           reply->body.len ? reply->body.ptr : "");
}

/* What belongs to no route of the API; the reply is the 404. */
static void serve_rest(struct pc_conn *conn, const struct pc_http_message *m,
                       struct pc_api_reply *reply)
{
    struct pc_engine *engine = conn->loop->engine;
    if (pc_admit_path(engine, m->path))
        pc_ws_conn_refuse_plain(conn, m);
    else if (engine->hooks.on_http)
        ask_for_page(conn, m);
    else {
        log_nothing(conn, m, reply);
        pc_http_reply(conn, reply, m);
    }
}

static void call_resume(struct pc_conn *conn, void *of, struct pc_pending *answer);

static void call_is_late(struct pc_conn *conn, void *of)
{
    pc_api_call_free(of);
    pc_http_refuse(conn, 503, "The application did not answer in time");
}

static void call_abandon(struct pc_conn *conn, void *of)
{
    (void)conn;
    pc_api_call_free(of);
}

static void call_wait(struct pc_conn *conn, struct pc_api_call *call,
                      const struct pc_http_message *m)
{
    static const struct pc_http_waiting waiting = {
        .resume = call_resume, .too_late = call_is_late, .abandon = call_abandon};
    pc_http_wait(conn, &waiting, call, m, pc_api_patience_ms(call));
}

static void call_resume(struct pc_conn *conn, void *of, struct pc_pending *answer)
{
    struct pc_api_call *call = of;
    const struct pc_http_message *m = pc_http_message(conn);
    struct pc_api_reply reply;
    pc_api_reply_init(&reply, &conn->loop->engine->mem);
    if (pc_api_resume(&call, answer, &reply) == PC_API_PENDING)
        call_wait(conn, call, m);
    else
        pc_http_reply(conn, &reply, m);
    pc_api_reply_free(&reply);
}

static void serve_api(struct pc_conn *conn, const struct pc_http_message *m)
{
    struct pc_engine *engine = conn->loop->engine;
    struct pc_api_request request = {.engine = engine,
                                     .worker = conn->loop->worker,
                                     .message = m,
                                     .unix_time_s = (uint64_t)time(NULL),
                                     .host_has_pages = engine->hooks.on_http != NULL,
                                     .await = pc_http_await(conn)};
    struct pc_api_reply reply;
    struct pc_api_call *call;
    if (engine->hooks.find_app) /* only then it counts from where a request comes */
        request.address = pc_client_address(conn->fd, m, engine->options.proxy_count);
    pc_api_reply_init(&reply, &engine->mem);
    switch (pc_api_handle(&request, &reply, &call)) {
    case PC_API_REPLY:
        pc_http_reply(conn, &reply, m);
        break;
    case PC_API_NOT_OURS:
        serve_rest(conn, m, &reply);
        break;
    case PC_API_PENDING:
        call_wait(conn, call, m);
        break;
    }
    pc_api_reply_free(&reply);
}

/* -- routes -- */

static void serve(struct pc_conn *conn, const struct pc_http_message *m)
{
    static const struct pc_entrance websocket = {pc_ws_conn_open, pc_ws_conn_turn_away};
    if (m->upgrade)
        pc_enter(conn, m, pc_admit_key(conn->loop->engine, m->path), &websocket);
    else if (!pc_fallback_serve(conn, m) && !pc_conn_auth(conn, m))
        serve_api(conn, m);
}

static void serve_operations(struct pc_conn *conn, const struct pc_http_message *m)
{
    struct pc_engine *engine = conn->loop->engine;
    struct pc_api_request request = {.engine = engine, .worker = conn->loop->worker, .message = m};
    struct pc_api_reply reply;
    pc_api_reply_init(&reply, &engine->mem);
    pc_api_operations(&request, &reply);
    pc_http_reply(conn, &reply, m->upgrade ? NULL : m); /* after an upgrade request HTTP ends */
    pc_api_reply_free(&reply);
}

/* Closes a socket that nothing was read from or written to. By a reset, after which the system keeps nothing of it. */
static void refuse_socket(int fd)
{
    struct linger reset = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
}

struct pc_conn *pc_serve_conn_new(struct pc_loop *loop, int fd, struct pc_tls_config *tls,
                                  pusherc_listen_purpose purpose)
{
    struct pc_places *places = &loop->places[purpose];
    struct pc_address peer = pc_peer_address(fd);
    if (!pc_make_room(loop, places, &peer)) {
        refuse_socket(fd);
        return NULL;
    }
    bool operations = purpose == PUSHERC_LISTEN_METRICS;
    struct pc_conn *conn = pc_http_conn_new(loop, fd, tls, operations ? serve_operations : serve);
    if (conn && pc_conn_take_place(conn, places)) {
        pc_conn_destroy(conn);
        return NULL;
    }
    return conn;
}
