#include "net/fallback.h"

#include <pusherc/error.h>

#include "api/call.h"
#include "codec/xhr.h"
#include "net/entrance.h"
#include "net/fallback_path.h"
#include "net/fallback_session.h"
#include "net/hand_over.h"
#include "net/peer.h"
#include "net/sockjs.h"
#include "protocol/message_out.h"
#include "session/reply.h"
#include "session/seats.h"

#define CONTENT_TYPE "application/javascript; charset=UTF-8"

static const struct pc_pair uncached[] = {
    {PUSHERC_LIT("Cache-Control"), PUSHERC_LIT("no-store, no-cache, no-transform, must-revalidate, "
                                               "max-age=0")},
    {PUSHERC_LIT("X-Accel-Buffering"), PUSHERC_LIT("no")}, /* nginx */
};

/* -- receiving requests -- */

/* The connection of the receiver ends: what it has not written yet is kept for the next one. */
static void receiver_left(struct pc_conn *conn, void *of)
{
    struct pc_fallback *f = of;
    f->receiver = NULL;
    pc_absentee_set(&f->absentee, true);
    if (!f->in_chunks || f->close_code || conn->out.count == 0)
        ;               /* nothing to keep */
    else if (!f->alone) /* answers before it, perhaps of other sessions, were not written either */
        pc_fallback_close(f, PC_CLOSE_RECONNECT, pc_close_text(PC_CLOSE_RECONNECT));
    else if (pc_outq_take_back(&f->out, &conn->out))
        pc_fallback_close(f, PC_CLOSE_INTERNAL, pc_close_text(PC_CLOSE_INTERNAL));
    pc_fallback_arm(f);
}

static void receiver_flushed(struct pc_conn *conn, void *of)
{
    struct pc_fallback *f = of;
    (void)conn;
    if (f->out.count > 0)
        pc_outq_mark(&f->out);
}

static void put_head(struct pc_fallback *f, struct pc_conn *conn, const struct pc_http_message *m,
                     struct pc_buf *out)
{
    struct pc_pair fields[5] = {
        {PUSHERC_LIT("Access-Control-Allow-Origin"), PUSHERC_LIT("*")}, uncached[0], uncached[1]};
    size_t count = 3;
    pusherc_slice origin = pc_http_field(m, PC_S("Origin"));
    if (f->sockjs && origin.len) {
        fields[0].value = origin;
        fields[count++] = (struct pc_pair){PC_S("Access-Control-Allow-Credentials"), PC_S("true")};
    }
    if (f->in_chunks)
        fields[count++] = (struct pc_pair){PC_S("Transfer-Encoding"), PC_S("chunked")};
    struct pc_http_reply reply = {.status = 200,
                                  .date = pc_loop_date(conn->loop),
                                  .content_type = CONTENT_TYPE,
                                  .fields = fields,
                                  .field_count = count,
                                  .streamed = true,
                                  .keep_alive = f->keep_alive};
    pc_http_put_reply(out, &reply);
}

/* The request receives from now on. The one before, if there is one, ends. */
static void receive(struct pc_fallback *f, struct pc_conn *conn, const struct pc_http_message *m,
                    const struct pc_fallback_path *path)
{
    static const struct pc_http_waiting waiting = {
        .abandon = receiver_left, .flushed = receiver_flushed, .ends_with_peer = true};
    char stack[1024];
    struct pc_buf head;
    if (f->receiver)
        pc_fallback_end_answer(f);
    pc_absentee_set(&f->absentee, false);
    f->receiver = conn;
    f->never_reopens = f->sockjs;
    f->streams = path->action == PC_FALLBACK_STREAM;
    f->in_chunks = !m->http10;
    f->alone = conn->out.count == 0;
    f->keep_alive = f->in_chunks && m->keep_alive;
    f->sent_ms = conn->loop->worker->now_ms;
    f->sent_characters = 0;
    if (f->open)
        pc_session_seen(&f->session);
    pc_buf_init_in(&head, conn->loop->worker->mem, SIZE_MAX, stack, sizeof stack);
    put_head(f, conn, m, &head);
    pc_http_wait(conn, &waiting, f, m, 0);
    if (f->open)
        pc_conn_leave_place(conn);
    else
        pc_conn_change_wait(conn, PC_WAIT_APP);
    if (pc_buf_status(&head))
        pc_conn_break(conn);
    else
        pc_conn_send(conn, 0, pc_buf_slice(&head));
    pc_buf_free(&head);
    if (!f->greeted)
        pc_fallback_send_line(f, conn, PC_S("o\n"));
    bool polls_first = !f->greeted && !f->open && !f->streams;
    f->greeted = true;
    if (polls_first) { /* the client says then what it wants */
        pc_fallback_end_answer(f);
        return;
    }
    pc_fallback_arm(f);
    pc_outq_mark(&f->out);
    (void)pc_turns_come(&f->turns, path->number); /* it need not wait for others */
    pc_turns_pass(&f->turns, path->number);
    pc_fallback_serve_waiting(f);
}

/* -- the entrance -- */

/* Opens a session and closes it, so that the client can see the code. */
static void turn_away(struct pc_conn *conn, const struct pc_http_message *request,
                      const struct pc_app *app, uint16_t code, pusherc_slice reason)
{
    char stack[512];
    struct pc_buf error;
    struct pc_api_reply reply;
    pc_admit_count_error(conn->loop->engine, app, code);
    pc_conn_uncount_client(conn);
    pc_buf_init_in(&error, conn->loop->worker->mem, SIZE_MAX, stack, sizeof stack);
    pc_out_error(&error, code, reason);
    pc_api_reply_init(&reply, conn->loop->worker->mem);
    pc_api_begin(&reply, 200, CONTENT_TYPE);
    pc_api_field(&reply, uncached[0].name, uncached[0].value);
    pc_buf_put(&reply.body, PC_S("o\n"));
    if (pc_buf_status(&error) == 0)
        pc_xhr_put_message(&reply.body, pc_buf_slice(&error));
    pc_xhr_put_close(&reply.body, code, reason);
    pc_http_reply(conn, &reply, request);
    pc_api_reply_free(&reply);
    pc_buf_free(&error);
    pc_outq_mark(&conn->out);
    pc_conn_go_on(conn);
}

static int enter(struct pc_conn *conn, const struct pc_http_message *request,
                 struct pc_newcomer *newcomer, uint32_t expires_in_ms)
{
    struct pc_loop *loop = conn->loop;
    struct pc_fallback_path path;
    (void)pc_fallback_path_read(loop->engine, request, &path);
    struct pc_fallback *f = pc_fallback_find(loop, path.name);
    if (f) { /* two requests have asked for the same session */
        pc_conn_uncount_client(conn);
        pc_newcomer_free(newcomer);
        receive(f, conn, request, &path);
        return 0;
    }
    f = pc_fallback_new(loop, path.name, pc_address_network(&newcomer->address));
    int err = f ? pc_fallback_open(f, conn, newcomer, expires_in_ms) : PUSHERC_ENOMEM;
    if (err) {
        struct pc_app *app = newcomer->app;
        uint16_t code = err == PUSHERC_ELIMIT ? PC_CLOSE_OVER_QUOTA : PC_CLOSE_INTERNAL;
        if (f)
            pc_fallback_free(f);
        turn_away(conn, request, app, code,
                  err == PUSHERC_ELIMIT ? PC_S(PC_USER_OVER_QUOTA) : pc_close_text(code));
        pc_newcomer_free(newcomer);
        return err;
    }
    receive(f, conn, request, &path);
    return 0;
}

static const struct pc_entrance entrance = {enter, turn_away};

/* -- the way in -- */

/* A client of SockJS's own library begins. */
static void begin_sockjs(struct pc_conn *conn, const struct pc_http_message *m,
                         const struct pc_fallback_path *path)
{
    struct pc_address client =
        pc_client_address(conn->fd, m, conn->loop->engine->options.proxy_count);
    struct pc_fallback *f = pc_fallback_new(conn->loop, path->name, pc_address_network(&client));
    if (f) {
        f->sockjs = true;
        receive(f, conn, m, path);
    } else {
        pc_fallback_reply(conn, m, 500, "Out of memory", true);
    }
}

static void serve_send(struct pc_fallback *f, struct pc_conn *conn, const struct pc_http_message *m,
                       const struct pc_fallback_path *path)
{
    if (!f || f->close_code)
        pc_fallback_refuse_send(conn, m, path->sockjs);
    else if (f->open)
        pc_fallback_take_send(f, conn, m, path->number);
    else
        pc_sockjs_take_first(f, conn, m);
}

static void serve_request(struct pc_conn *conn, const struct pc_http_message *m,
                          const struct pc_fallback_path *path)
{
    struct pc_fallback *f = pc_fallback_find(conn->loop, path->name);
    if (path->action == PC_FALLBACK_SEND)
        serve_send(f, conn, m, path);
    else if (f)
        receive(f, conn, m, path);
    else if (path->sockjs)
        begin_sockjs(conn, m, path);
    else
        pc_enter(conn, m, path->key, &entrance);
}

static void serve_preflight(struct pc_conn *conn, const struct pc_http_message *m,
                            const struct pc_fallback_path *path)
{
    struct pc_api_reply reply;
    pc_api_reply_init(&reply, conn->loop->worker->mem);
    pc_api_begin(&reply, 204, NULL);
    pc_api_field(&reply, PC_S("Access-Control-Max-Age"), PC_S("31536000"));
    if (path->sockjs)
        pc_fallback_name_origin(&reply, m);
    pc_http_reply(conn, &reply, m);
    pc_api_reply_free(&reply);
}

bool pc_fallback_serve(struct pc_conn *conn, const struct pc_http_message *m)
{
    struct pc_engine *engine = conn->loop->engine;
    struct pc_fallback_path path;
    if (!pc_fallback_path_read(engine, m, &path))
        return false;
    uint32_t home = (uint32_t)(pc_hash(engine->seed, path.name) % engine->worker_count);
    if (pc_slice_eq(m->method, PC_S("OPTIONS")))
        serve_preflight(conn, m, &path);
    else if (path.action == PC_FALLBACK_INFO)
        pc_sockjs_serve_info(conn, m);
    else if (!pc_slice_eq(m->method, PC_S("POST")))
        pc_http_reply_text(conn, 405, "These addresses are asked with POST", m);
    else if (home != conn->loop->worker->index)
        pc_hand_over(conn, m, &engine->workers[home]);
    else
        serve_request(conn, m, &path);
    return true;
}
