#include <pusherc/error.h>

#include "api/call.h"
#include "codec/json.h"
#include "codec/xhr.h"
#include "net/fallback_path.h"
#include "net/fallback_session.h"
#include "session/pace.h"
#include "session/reply.h"

#define ECHO_MS 500
/* Requests of one client that have waited for another and are handled in one go; the other clients wait meanwhile. */
#define TURNS_AT_ONCE 32

void pc_fallback_name_origin(struct pc_api_reply *reply, const struct pc_http_message *m)
{
    pusherc_slice origin = pc_http_field(m, PC_S("Origin"));
    if (origin.len)
        pc_api_allow_origin(reply, origin);
}

void pc_fallback_reply(struct pc_conn *conn, const struct pc_http_message *m, int status,
                       const char *text, bool named)
{
    struct pc_api_reply reply;
    pc_api_reply_init(&reply, conn->loop->worker->mem);
    pc_api_plain(&reply, status, text);
    if (named)
        pc_fallback_name_origin(&reply, m);
    pc_http_reply(conn, &reply, m);
    pc_api_reply_free(&reply);
    pc_outq_mark(&conn->out);
    pc_conn_go_on(conn);
}

/* An empty list asks for a sign of life, or answers one: a client that streams answers each, so that not all of its lists
 * may be answered. */
static void answer_heartbeat(struct pc_fallback *f)
{
    uint64_t now_ms = f->loop->worker->now_ms;
    bool lately = now_ms - f->sent_ms < ECHO_MS;
    if (f->receiver && !(f->streams && lately))
        pc_fallback_heartbeat(f);
}

void pc_fallback_take_messages(struct pc_fallback *f, struct pc_json_iter items)
{
    struct pc_worker *worker = f->loop->worker;
    size_t max = pc_engine_max_frame_bytes(f->loop->engine);
    struct pc_buf scratch;
    pc_buf_init(&scratch, worker->mem, SIZE_MAX);
    while (f->session.state == PC_SESSION_OPEN && pc_json_next(&items)) {
        pusherc_slice message;
        pc_buf_clear(&scratch);
        int err = pc_json_string(items.value, &scratch, &message);
        pc_session_pay(&f->session);
        if (err == PUSHERC_ENOMEM)
            pc_session_close(&f->session, PC_CLOSE_INTERNAL, pc_close_text(PC_CLOSE_INTERNAL));
        else if (err == 0 && message.len > max)
            pc_session_close(&f->session, 1009, PC_S("Message too large (max_frame_bytes)"));
        else
            pc_session_message(&f->session, err ? PC_S("") : message);
    }
    pc_buf_free(&scratch);
}

static void serve_send(struct pc_fallback *f, struct pc_conn *conn, const struct pc_http_message *m,
                       uint64_t number)
{
    struct pc_json_iter items;
    size_t count;
    pc_turns_pass(&f->turns, number);
    if (m->body.len == 0) {
        pc_fallback_reply(conn, m, 500, "Payload expected.", f->sockjs);
    } else if (pc_xhr_read(m->body, &items, &count)) {
        pc_fallback_reply(conn, m, 500, "Broken JSON encoding.", f->sockjs);
    } else if (count > PC_FALLBACK_MAX_MESSAGES) {
        pc_fallback_reply(conn, m, 413, "At most 100 messages in one request", f->sockjs);
    } else {
        pc_session_seen(&f->session);
        if (count == 0 && pc_session_control(&f->session))
            answer_heartbeat(f);
        pc_fallback_take_messages(f, items);
        pc_fallback_reply(conn, m, 204, "", f->sockjs);
    }
}

/* The request waits no longer. Returns its connection. */
static struct pc_conn *end_turn(struct pc_turn *turn)
{
    struct pc_conn *conn = turn->conn;
    pc_list_remove(&turn->of_turns);
    pc_free(conn->loop->worker->mem, turn);
    pc_http_stop_waiting(conn);
    return conn;
}

/* When to look at the first that waits, if nothing happens before. */
static void arm_turn(struct pc_fallback *f)
{
    struct pc_worker *worker = f->loop->worker;
    uint64_t ms = f->turns.patience_ms;
    if (pc_turns_ready(&f->turns))
        ms = pc_session_may_send(&f->session) ? 0 : PC_PACE_MS;
    if (pc_turns_first(&f->turns))
        pc_timer_arm(&worker->timers, &f->turn, worker->now_ms + ms);
    else
        pc_timer_stop(&worker->timers, &f->turn);
}

void pc_fallback_serve_waiting(struct pc_fallback *f)
{
    for (int i = 0; i < TURNS_AT_ONCE; i++) {
        if (!pc_turns_ready(&f->turns) || !pc_session_may_send(&f->session))
            break;
        struct pc_turn *turn = pc_turns_first(&f->turns);
        uint64_t number = turn->number;
        struct pc_conn *conn = end_turn(turn);
        serve_send(f, conn, pc_http_message(conn), number);
    }
    arm_turn(f);
}

void pc_fallback_on_turn(struct pc_timer *timer, uint64_t now_ms)
{
    struct pc_fallback *f = PC_CONTAINER(timer, struct pc_fallback, turn);
    (void)now_ms;
    pc_turns_give_up(&f->turns);
    pc_fallback_serve_waiting(f);
}

/* The connection of a request that waits ends. */
static void turn_left(struct pc_conn *conn, void *of)
{
    struct pc_turn *turn = of;
    pc_list_remove(&turn->of_turns);
    pc_free(conn->loop->worker->mem, turn);
}

static void wait_for_turn(struct pc_fallback *f, struct pc_conn *conn,
                          const struct pc_http_message *m, uint64_t number)
{
    static const struct pc_http_waiting waiting = {.abandon = turn_left};
    struct pc_turn *turn = pc_alloc_zero(conn->loop->worker->mem, sizeof *turn);
    if (!turn) {
        pc_fallback_reply(conn, m, 500, "Out of memory", f->sockjs);
        return;
    }
    turn->number = number;
    turn->conn = conn;
    pc_turns_wait(&f->turns, turn);
    pc_http_wait(conn, &waiting, turn, m, 0);
    if (!pc_timer_armed(&f->turn))
        arm_turn(f);
}

void pc_fallback_take_send(struct pc_fallback *f, struct pc_conn *conn,
                           const struct pc_http_message *m, uint64_t number)
{
    bool may_send = pc_session_may_send(&f->session);
    if (!may_send)
        pc_app_limited(f->session.app, PC_APP_max_client_messages_per_s);
    if (pc_turns_come(&f->turns, number) && may_send) {
        serve_send(f, conn, m, number);
        pc_fallback_serve_waiting(f);
    } else {
        wait_for_turn(f, conn, m, number);
    }
}

void pc_fallback_refuse_send(struct pc_conn *conn, const struct pc_http_message *m, bool named)
{
    pc_fallback_reply(conn, m, 404, "There is no such session", named);
}

void pc_fallback_refuse_waiting(struct pc_fallback *f)
{
    struct pc_turn *turn;
    while ((turn = pc_turns_first(&f->turns))) {
        struct pc_conn *conn = end_turn(turn);
        pc_fallback_refuse_send(conn, pc_http_message(conn), f->sockjs);
    }
    pc_timer_stop(&f->loop->worker->timers, &f->turn);
}
