#include "net/fallback.h"

#include <assert.h>
#include <stdio.h>

#include <pusherc/error.h>

#include "api/call.h"
#include "codec/json.h"
#include "codec/xhr.h"
#include "net/absent.h"
#include "net/entrance.h"
#include "net/fallback_path.h"
#include "net/hand_over.h"
#include "net/turns.h"
#include "protocol/message_out.h"
#include "session/pace.h"
#include "session/reply.h"

#define MAX_MESSAGES 100 /* in one request */
#define ECHO_MS      500
/* Requests of one client that have waited for another and are handled in one go; the other clients wait meanwhile. */
#define TURNS_AT_ONCE 32

/*
 * pusher-js asks again when an answer has more characters (UTF-16) than this and it has read all of them, and gives the
 * old answer up. What is sent to it meanwhile would be lost, so nothing is sent until it has asked. A client that does not
 * ask within REOPEN_MS never does.
 */
#define REOPEN_CHARACTERS (256 * 1024)
#define REOPEN_MS         2000

#define CONTENT_TYPE "application/javascript; charset=UTF-8"

static const struct pc_pair uncached[] = {
    {PUSHERC_LIT("Cache-Control"), PUSHERC_LIT("no-store, no-cache, no-transform, must-revalidate, "
                                               "max-age=0")},
    {PUSHERC_LIT("X-Accel-Buffering"), PUSHERC_LIT("no")}, /* nginx */
};

struct pc_fallbacks {
    struct pc_loop *loop;
    struct pc_map by_name;
    struct pc_list all; /* struct fallback */
    struct pc_absentees absentees;
    struct pc_companion companion;
};

/* A session over HTTP. */
struct fallback {
    struct pc_map_node
        by_name; /* key: the app's key and the session's name, as in the path; behind the struct */
    struct pc_list of_all;
    struct pc_absentee absentee; /* absent: without a receiver */
    struct pc_loop *loop;
    struct pc_session session;
    struct pc_outq out;       /* what the client has to get */
    struct pc_conn *receiver; /* a request of the client waits here for frames; NULL = none */
    struct pc_timer timer;    /* without receiver: until it has left; otherwise until a heartbeat */
    struct pc_timer goodbye;
    uint16_t close_code; /* 0 = open */
    char close_reason[124];
    uint64_t sent_ms;       /* when the receiver last got something */
    size_t sent_characters; /* of its answer */
    bool never_reopens;
    bool streams;          /* the receiver's answer has no end */
    bool in_chunks;        /* false: the receiver speaks HTTP/1.0 */
    bool keep_alive;       /* the receiver's connection, after the answer */
    bool greeted;          /* it has been told that the session is open */
    bool counted;          /* in pc_engine.clients */
    struct pc_turns turns; /* of the requests that send */
    struct pc_timer turn;  /* for the first that waits in `turns` */
};

/* -- sending to the receiver -- */

/* The client will ask for another answer before it can get more. */
static bool will_reopen(const struct fallback *f)
{
    return f->streams && !f->never_reopens && f->sent_characters > REOPEN_CHARACTERS;
}

static void send_line(struct fallback *f, struct pc_conn *conn, pusherc_slice line)
{
    char stack[256];
    struct pc_buf chunk;
    pc_buf_init_in(&chunk, conn->loop->worker->mem, SIZE_MAX, stack, sizeof stack);
    if (f->in_chunks)
        pc_xhr_put_chunk(&chunk, line);
    else
        pc_buf_put(&chunk, line);
    if (pc_buf_status(&chunk))
        pc_conn_break(conn);
    else
        pc_conn_send(conn, 0, pc_buf_slice(&chunk));
    pc_buf_free(&chunk);
    f->sent_ms = conn->loop->worker->now_ms;
    f->sent_characters += pc_xhr_characters(line);
}

static void arm(struct fallback *f)
{
    struct pc_worker *worker = f->loop->worker;
    const struct pc_constants *constants = &f->loop->engine->constants;
    uint64_t now_ms = worker->now_ms;
    uint64_t due_ms = now_ms + constants->fallback_absence_ms;
    if (f->receiver)
        due_ms =
            will_reopen(f) ? now_ms + REOPEN_MS : f->sent_ms + constants->fallback_heartbeat_ms;
    else if (f->close_code)
        due_ms = now_ms + constants->fallback_absence_ms / 2;
    pc_timer_arm(&worker->timers, &f->timer, due_ms);
}

/* The receiver's answer is complete; its connection may bring the next request. */
static void end_answer(struct fallback *f)
{
    struct pc_conn *conn = f->receiver;
    f->receiver = NULL;
    pc_absentee_set(&f->absentee, true);
    pc_http_stop_waiting(conn);
    if (pc_conn_take_place(conn, &conn->loop->places[PUSHERC_LISTEN_CLIENTS]))
        pc_conn_break(conn);
    pc_http_end_stream(conn, f->in_chunks ? PC_S(PC_XHR_END) : PC_S(""), f->keep_alive);
    pc_outq_mark(&conn->out);
    pc_conn_go_on(conn);
    arm(f);
}

static void heartbeat(struct fallback *f)
{
    send_line(f, f->receiver, PC_S("h\n"));
    if (f->streams)
        arm(f);
    else
        end_answer(f);
}

/* Sends the line of a chunk. */
static void send_bare(struct pc_conn *conn, struct pc_slot *slot)
{
    const size_t head = slot->frame->header_len;
    const pusherc_slice line = pc_slice(slot->bytes + head, slot->len - head - PC_XHR_CHUNK_TAIL);
    if (!slot->frame->due) {
        pc_conn_send(conn, 0, line);
        return;
    }
    slot->bytes = line.ptr; /* it is in no other queue */
    slot->len = (uint32_t)line.len;
    slot->frame->header_len = 0;
    if (pc_outq_push(&conn->out, slot))
        pc_conn_break(conn);
}

/* Moves what waits to the connection of the receiver. HTTP/1.0 gets the lines without their chunks. */
static void move_frames(struct fallback *f)
{
    struct pc_conn *conn = f->receiver;
    while (f->out.count > 0) {
        struct pc_slot *slot = pc_outq_take(&f->out);
        f->sent_characters += slot->frame->characters;
        if (!f->in_chunks)
            send_bare(conn, slot);
        else if (pc_outq_push(&conn->out, slot))
            pc_conn_break(conn);
        pc_slot_unref(slot);
    }
}

/* Hands on what waits, if the connection of the receiver takes it, and the end. */
static void hand_on(struct fallback *f)
{
    struct pc_conn *conn = f->receiver;
    if (!conn || conn->write_blocked)
        return;
    if (will_reopen(f) && f->out.held > f->loop->engine->options.out_hard_bytes / 2)
        f->never_reopens = true; /* rather than that the queue overflows */
    if (will_reopen(f) && !f->close_code)
        return;
    bool any = f->out.count > 0;
    if (any) {
        move_frames(f);
        f->sent_ms = f->loop->worker->now_ms;
    }
    if (f->close_code) {
        char stack[256];
        struct pc_buf line;
        pc_buf_init_in(&line, f->loop->worker->mem, SIZE_MAX, stack, sizeof stack);
        pc_xhr_put_close(&line, f->close_code, pc_slice_of(f->close_reason));
        send_line(f, conn, pc_buf_slice(&line));
        pc_buf_free(&line);
    }
    if (f->close_code || (any && !f->streams))
        end_answer(f);
    else if (any)
        arm(f);
}

/* -- requests that send -- */

static void reply_to_send(struct pc_conn *conn, const struct pc_http_message *m, int status,
                          const char *text)
{
    struct pc_api_reply reply;
    pc_api_reply_init(&reply, conn->loop->worker->mem);
    pc_api_plain(&reply, status, text);
    pc_http_reply(conn, &reply, m);
    pc_api_reply_free(&reply);
    pc_outq_mark(&conn->out);
    pc_conn_go_on(conn);
}

/* An empty list asks for a sign of life, or answers one: a client that streams answers each, so that not all of its lists
 * may be answered. */
static void answer_heartbeat(struct fallback *f)
{
    uint64_t now_ms = f->loop->worker->now_ms;
    bool lately = now_ms - f->sent_ms < ECHO_MS;
    if (f->receiver && !(f->streams && lately))
        heartbeat(f);
}

static void take_messages(struct fallback *f, struct pc_json_iter items)
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

static void serve_send(struct fallback *f, struct pc_conn *conn, const struct pc_http_message *m,
                       uint64_t number)
{
    struct pc_json_iter items;
    size_t count;
    pc_turns_pass(&f->turns, number);
    if (m->body.len == 0) {
        reply_to_send(conn, m, 500, "Payload expected.");
    } else if (pc_xhr_read(m->body, &items, &count)) {
        reply_to_send(conn, m, 500, "Broken JSON encoding.");
    } else if (count > MAX_MESSAGES) {
        reply_to_send(conn, m, 413, "At most 100 messages in one request");
    } else {
        pc_session_seen(&f->session);
        if (count == 0 && pc_session_control(&f->session))
            answer_heartbeat(f);
        take_messages(f, items);
        reply_to_send(conn, m, 204, "");
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
static void arm_turn(struct fallback *f)
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

/* Serves the requests that wait, as far as their turns have come and the client may send. */
static void serve_waiting(struct fallback *f)
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

static void on_turn(struct pc_timer *timer, uint64_t now_ms)
{
    struct fallback *f = PC_CONTAINER(timer, struct fallback, turn);
    (void)now_ms;
    pc_turns_give_up(&f->turns);
    serve_waiting(f);
}

/* The connection of a request that waits ends. */
static void turn_left(struct pc_conn *conn, void *of)
{
    struct pc_turn *turn = of;
    pc_list_remove(&turn->of_turns);
    pc_free(conn->loop->worker->mem, turn);
}

static void wait_for_turn(struct fallback *f, struct pc_conn *conn, const struct pc_http_message *m,
                          uint64_t number)
{
    static const struct pc_http_waiting waiting = {.abandon = turn_left};
    struct pc_turn *turn = pc_alloc_zero(conn->loop->worker->mem, sizeof *turn);
    if (!turn) {
        reply_to_send(conn, m, 500, "Out of memory");
        return;
    }
    turn->number = number;
    turn->conn = conn;
    pc_turns_wait(&f->turns, turn);
    pc_http_wait(conn, &waiting, turn, m, 0);
    if (!pc_timer_armed(&f->turn))
        arm_turn(f);
}

static void take_send(struct fallback *f, struct pc_conn *conn, const struct pc_http_message *m,
                      uint64_t number)
{
    bool may_send = pc_session_may_send(&f->session);
    if (!may_send)
        pc_app_limited(f->session.app, PC_APP_max_client_messages_per_s);
    if (pc_turns_come(&f->turns, number) && may_send) {
        serve_send(f, conn, m, number);
        serve_waiting(f);
    } else {
        wait_for_turn(f, conn, m, number);
    }
}

static void refuse_send(struct pc_conn *conn, const struct pc_http_message *m)
{
    reply_to_send(conn, m, 404, "There is no such session");
}

/* The session has closed. */
static void refuse_waiting(struct fallback *f)
{
    struct pc_turn *turn;
    while ((turn = pc_turns_first(&f->turns))) {
        struct pc_conn *conn = end_turn(turn);
        refuse_send(conn, pc_http_message(conn));
    }
    pc_timer_stop(&f->loop->worker->timers, &f->turn);
}

/* -- the session's transport -- */

static void uncount(struct fallback *f)
{
    if (f->counted)
        atomic_fetch_sub_explicit(&f->loop->engine->clients, 1, memory_order_relaxed);
    f->counted = false;
}

static void transport_close(struct pc_session *session, uint16_t code, pusherc_slice reason)
{
    struct fallback *f = PC_CONTAINER(session, struct fallback, session);
    reason = pc_utf8_cut(reason, sizeof f->close_reason - 1);
    f->close_code = code;
    snprintf(f->close_reason, sizeof f->close_reason, "%.*s", (int)reason.len, reason.ptr);
    pc_outq_mark(&f->out);
    f->out.closed = true;
    uncount(f);
}

static void transport_ping(struct pc_session *session)
{
    struct fallback *f = PC_CONTAINER(session, struct fallback, session);
    if (f->receiver)
        heartbeat(f);
}

static const struct pc_transport transport = {transport_close, transport_ping};

static void on_overflow(struct pc_outq *q)
{
    struct fallback *f = PC_CONTAINER(q, struct fallback, out);
    if (!f->close_code)
        pc_session_overflow(&f->session);
}

static void on_flush(struct pc_outq *q, struct pc_flush *pass)
{
    struct fallback *f = PC_CONTAINER(q, struct fallback, out);
    (void)pass;
    if (f->session.state == PC_SESSION_CLOSING)
        pc_session_end(&f->session);
    if (f->close_code)
        refuse_waiting(f);
    hand_on(f);
    if (f->session.state == PC_SESSION_OPEN && f->out.count > 0)
        (void)pc_session_slow(&f->session);
}

/* -- life -- */

static void fallback_free(struct fallback *f)
{
    struct pc_worker *worker = f->loop->worker;
    assert(!f->receiver);
    pc_session_end(&f->session);
    refuse_waiting(f);
    uncount(f);
    pc_timer_stop(&worker->timers, &f->timer);
    pc_timer_stop(&worker->timers, &f->goodbye);
    pc_outq_free(&f->out);
    pc_absentee_drop(&f->absentee);
    pc_map_remove(&f->loop->fallbacks->by_name, &f->by_name);
    pc_list_remove(&f->of_all);
    pc_free(worker->mem, f);
}

static void on_timer(struct pc_timer *timer, uint64_t now_ms)
{
    struct fallback *f = PC_CONTAINER(timer, struct fallback, timer);
    if (!f->receiver) {
        fallback_free(f);
        return;
    }
    if (will_reopen(f) && f->out.count > 0) {
        f->never_reopens = true;
        pc_outq_mark(&f->out);
    }
    if (now_ms >= f->sent_ms + f->loop->engine->constants.fallback_heartbeat_ms)
        heartbeat(f);
    else
        arm(f);
}

static void on_goodbye(struct pc_timer *timer, uint64_t now_ms)
{
    struct fallback *f = PC_CONTAINER(timer, struct fallback, goodbye);
    (void)now_ms;
    pc_session_close(&f->session, PC_CLOSE_RECONNECT, pc_close_text(PC_CLOSE_RECONNECT));
}

static void say_goodbye(struct fallback *f, uint64_t grace_ms)
{
    struct pc_worker *worker = f->loop->worker;
    uint64_t dice = pc_hash(f->loop->engine->seed, f->session.by_id.key);
    if (!f->close_code)
        pc_timer_arm(&worker->timers, &f->goodbye,
                     worker->now_ms + (grace_ms ? dice % grace_ms : 0));
}

static void stop_all(struct pc_companion *companion, uint64_t grace_ms)
{
    struct pc_fallbacks *all = PC_CONTAINER(companion, struct pc_fallbacks, companion);
    PC_LIST_EACH(link, &all->all)
        say_goodbye(PC_CONTAINER(link, struct fallback, of_all), grace_ms);
}

/* No connection is left, and with it no receiver. */
static bool all_ended(struct pc_companion *companion)
{
    struct pc_fallbacks *all = PC_CONTAINER(companion, struct pc_fallbacks, companion);
    while (!pc_list_empty(&all->all))
        fallback_free(PC_CONTAINER(all->all.next, struct fallback, of_all));
    return true;
}

static struct pc_fallbacks *fallbacks_of(struct pc_loop *loop)
{
    const struct pc_mem *mem = loop->worker->mem;
    struct pc_fallbacks *all = loop->fallbacks;
    if (all)
        return all;
    all = pc_alloc_zero(mem, sizeof *all);
    if (!all)
        return NULL;
    all->loop = loop;
    all->companion = (struct pc_companion){.stop = stop_all, .ended = all_ended};
    pc_list_init(&all->companion.of_loop);
    pc_list_init(&all->all);
    pc_absentees_init(&all->absentees, mem, loop->engine->seed);
    pc_map_init(&all->by_name, mem, loop->engine->seed);
    pc_loop_join(loop, &all->companion);
    loop->fallbacks = all;
    return all;
}

void pc_fallbacks_free(struct pc_fallbacks *all)
{
    if (!all)
        return;
    const struct pc_mem *mem = all->loop->worker->mem;
    pc_map_free(&all->by_name);
    pc_absentees_free(&all->absentees);
    pc_free(mem, all);
}

static struct fallback *find(const struct pc_loop *loop, pusherc_slice name)
{
    struct pc_map_node *node =
        loop->fallbacks ? pc_map_find(&loop->fallbacks->by_name, name) : NULL;
    return node ? PC_CONTAINER(node, struct fallback, by_name) : NULL;
}

/* Sessions without a receiver have as many places as sockets that are not established clients, also those of an address.
 */
static void make_room(struct pc_fallbacks *all, pusherc_slice network)
{
    const struct pc_places *places = &all->loop->places[PUSHERC_LISTEN_CLIENTS];
    struct pc_absentee *first;
    while ((first = pc_absentees_first_above(&all->absentees, network, places->max,
                                             places->max_per_address)))
        fallback_free(PC_CONTAINER(first, struct fallback, absentee));
}

/* A session without its client. NULL: out of memory. */
static struct fallback *fallback_new(struct pc_loop *loop, pusherc_slice name,
                                     pusherc_slice network)
{
    struct pc_fallbacks *all = fallbacks_of(loop);
    struct fallback *f = all ? pc_alloc_zero(loop->worker->mem, sizeof *f + name.len) : NULL;
    if (!f)
        return NULL;
    make_room(all, network);
    char *key = (char *)(f + 1);
    memcpy(key, name.ptr, name.len);
    f->loop = loop;
    pc_outq_init(&f->out, loop->worker, on_overflow);
    f->out.encoding = PC_ENCODING_XHR;
    f->out.flush = on_flush;
    pc_timer_init(&f->timer, on_timer);
    pc_timer_init(&f->goodbye, on_goodbye);
    pc_timer_init(&f->turn, on_turn);
    pc_turns_init(&f->turns, loop->engine->constants.fallback_patience_ms);
    if (pc_absentee_init(&f->absentee, &all->absentees, network)) {
        pc_free(loop->worker->mem, f);
        return NULL;
    }
    f->by_name.key = pc_slice(key, name.len);
    if (pc_map_insert(&all->by_name, &f->by_name)) {
        pc_absentee_drop(&f->absentee);
        pc_free(loop->worker->mem, f);
        return NULL;
    }
    pc_list_push_back(&all->all, &f->of_all);
    return f;
}

/* -- receiving requests -- */

/* The connection of the receiver ends: what it has not written yet is kept for the next one. */
static void receiver_left(struct pc_conn *conn, void *of)
{
    struct fallback *f = of;
    f->receiver = NULL;
    pc_absentee_set(&f->absentee, true);
    if (f->in_chunks && !f->close_code && pc_outq_take_back(&f->out, &conn->out))
        pc_session_close(&f->session, PC_CLOSE_INTERNAL, pc_close_text(PC_CLOSE_INTERNAL));
    arm(f);
}

static void receiver_flushed(struct pc_conn *conn, void *of)
{
    struct fallback *f = of;
    (void)conn;
    if (f->out.count > 0)
        pc_outq_mark(&f->out);
}

static void put_head(struct fallback *f, struct pc_conn *conn, struct pc_buf *out)
{
    struct pc_pair fields[5] = {
        {PUSHERC_LIT("Access-Control-Allow-Origin"), PUSHERC_LIT("*")},
        uncached[0],
        uncached[1],
        {PUSHERC_LIT("Transfer-Encoding"), PUSHERC_LIT("chunked")},
    };
    struct pc_http_reply reply = {.status = 200,
                                  .date = pc_loop_date(conn->loop),
                                  .content_type = CONTENT_TYPE,
                                  .fields = fields,
                                  .field_count = f->in_chunks ? 4 : 3,
                                  .streamed = true,
                                  .keep_alive = f->keep_alive};
    pc_http_put_reply(out, &reply);
}

/* The request receives from now on. The one before, if there is one, ends. */
static void receive(struct fallback *f, struct pc_conn *conn, const struct pc_http_message *m,
                    const struct pc_fallback_path *path)
{
    static const struct pc_http_waiting waiting = {
        .abandon = receiver_left, .flushed = receiver_flushed, .ends_with_peer = true};
    char stack[1024];
    struct pc_buf head;
    if (f->receiver)
        end_answer(f);
    pc_absentee_set(&f->absentee, false);
    f->receiver = conn;
    f->never_reopens = false;
    f->streams = path->action == PC_FALLBACK_STREAM;
    f->in_chunks = !m->http10;
    f->keep_alive = f->in_chunks && m->keep_alive;
    f->sent_ms = conn->loop->worker->now_ms;
    f->sent_characters = 0;
    pc_session_seen(&f->session);
    pc_buf_init_in(&head, conn->loop->worker->mem, SIZE_MAX, stack, sizeof stack);
    put_head(f, conn, &head);
    pc_http_wait(conn, &waiting, f, m, 0);
    pc_conn_leave_place(conn);
    if (pc_buf_status(&head))
        pc_conn_break(conn);
    else
        pc_conn_send(conn, 0, pc_buf_slice(&head));
    pc_buf_free(&head);
    if (!f->greeted)
        send_line(f, conn, PC_S("o\n"));
    f->greeted = true;
    arm(f);
    pc_outq_mark(&f->out);
    (void)pc_turns_come(&f->turns, path->number); /* it need not wait for others */
    pc_turns_pass(&f->turns, path->number);
    serve_waiting(f);
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
    struct fallback *f = find(loop, path.name);
    if (f) { /* two requests have asked for the same session */
        pc_conn_uncount_client(conn);
        pc_newcomer_free(newcomer);
        receive(f, conn, request, &path);
        return 0;
    }
    f = fallback_new(loop, path.name, pc_address_network(&newcomer->address));
    int err = f ? pc_session_open(&f->session, loop->worker, &f->out, &transport, newcomer)
                : PUSHERC_ENOMEM;
    if (err) {
        struct pc_app *app = newcomer->app;
        uint16_t code = err == PUSHERC_ELIMIT ? PC_CLOSE_OVER_QUOTA : PC_CLOSE_INTERNAL;
        if (f)
            fallback_free(f);
        turn_away(conn, request, app, code,
                  err == PUSHERC_ELIMIT ? PC_S(PC_USER_OVER_QUOTA) : pc_close_text(code));
        pc_newcomer_free(newcomer);
        return err;
    }
    f->counted = conn->counted;
    conn->counted = false;
    pc_session_expire_identity(&f->session, expires_in_ms);
    receive(f, conn, request, &path);
    if (loop->stopping)
        say_goodbye(f, loop->stop_grace_ms);
    return 0;
}

static const struct pc_entrance entrance = {enter, turn_away};

/* -- the way in -- */

static void serve_request(struct pc_conn *conn, const struct pc_http_message *m,
                          const struct pc_fallback_path *path)
{
    struct fallback *f = find(conn->loop, path->name);
    if (path->action != PC_FALLBACK_SEND) {
        if (f)
            receive(f, conn, m, path);
        else
            pc_enter(conn, m, path->key, &entrance);
    } else if (f && !f->close_code) {
        take_send(f, conn, m, path->number);
    } else {
        refuse_send(conn, m);
    }
}

static void serve_preflight(struct pc_conn *conn, const struct pc_http_message *m)
{
    struct pc_api_reply reply;
    pc_api_reply_init(&reply, conn->loop->worker->mem);
    pc_api_begin(&reply, 204, NULL);
    pc_api_field(&reply, PC_S("Access-Control-Max-Age"), PC_S("31536000"));
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
        serve_preflight(conn, m);
    else if (!pc_slice_eq(m->method, PC_S("POST")))
        pc_http_reply_text(conn, 405, "These addresses are asked with POST", m);
    else if (home != conn->loop->worker->index)
        pc_hand_over(conn, m, &engine->workers[home]);
    else
        serve_request(conn, m, &path);
    return true;
}
