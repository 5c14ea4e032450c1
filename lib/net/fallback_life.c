#include <assert.h>
#include <stdio.h>

#include "net/fallback.h"
#include "net/fallback_session.h"
#include "session/reply.h"

/* -- the session's transport -- */

static void uncount(struct pc_fallback *f)
{
    if (f->counted)
        atomic_fetch_sub_explicit(&f->loop->engine->clients, 1, memory_order_relaxed);
    f->counted = false;
}

/* The client will be told, with the next answer that it receives. */
static void say_close(struct pc_fallback *f, uint16_t code, pusherc_slice reason)
{
    reason = pc_utf8_cut(reason, sizeof f->close_reason - 1);
    f->close_code = code;
    snprintf(f->close_reason, sizeof f->close_reason, "%.*s", (int)reason.len, reason.ptr);
    pc_outq_mark(&f->out);
    f->out.closed = true;
    uncount(f);
}

static void transport_close(struct pc_session *session, uint16_t code, pusherc_slice reason)
{
    say_close(PC_CONTAINER(session, struct pc_fallback, session), code, reason);
}

void pc_fallback_close(struct pc_fallback *f, uint16_t code, pusherc_slice reason)
{
    if (f->open)
        pc_session_close(&f->session, code, reason);
    else if (!f->close_code)
        say_close(f, code, reason);
}

static void transport_ping(struct pc_session *session)
{
    struct pc_fallback *f = PC_CONTAINER(session, struct pc_fallback, session);
    if (f->receiver)
        pc_fallback_heartbeat(f);
}

const struct pc_transport pc_fallback_transport = {transport_close, transport_ping};

static void on_overflow(struct pc_outq *q)
{
    struct pc_fallback *f = PC_CONTAINER(q, struct pc_fallback, out);
    if (f->open && !f->close_code)
        pc_session_overflow(&f->session);
}

static void on_flush(struct pc_outq *q, struct pc_flush *pass)
{
    struct pc_fallback *f = PC_CONTAINER(q, struct pc_fallback, out);
    (void)pass;
    if (f->session.state == PC_SESSION_CLOSING)
        pc_session_end(&f->session);
    if (f->close_code)
        pc_fallback_refuse_waiting(f);
    pc_fallback_hand_on(f);
    if (f->open && f->session.state == PC_SESSION_OPEN && f->out.count > 0)
        (void)pc_session_slow(&f->session);
}

/* -- life -- */

int pc_fallback_open(struct pc_fallback *f, struct pc_conn *conn, struct pc_newcomer *newcomer,
                     uint32_t expires_in_ms)
{
    struct pc_loop *loop = f->loop;
    int err = pc_session_open(&f->session, loop->worker, &f->out, &pc_fallback_transport, newcomer);
    if (err)
        return err;
    f->open = true;
    f->counted = conn->counted;
    conn->counted = false;
    pc_session_expire_identity(&f->session, expires_in_ms);
    if (loop->stopping)
        pc_fallback_say_goodbye(f, loop->stop_grace_ms);
    return 0;
}

void pc_fallback_establish(struct pc_fallback *f)
{
    struct pc_conn *conn = f->receiver;
    if (!conn)
        return;
    pc_conn_set_wait(conn, PC_WAIT_NOTHING, 0);
    pc_conn_leave_place(conn);
    pc_fallback_arm(f);
}

void pc_fallback_free(struct pc_fallback *f)
{
    struct pc_worker *worker = f->loop->worker;
    assert(!f->receiver);
    pc_session_end(&f->session);
    pc_fallback_refuse_waiting(f);
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
    struct pc_fallback *f = PC_CONTAINER(timer, struct pc_fallback, timer);
    if (!f->receiver) {
        pc_fallback_free(f);
        return;
    }
    if (!f->open && !f->close_code) {
        pc_fallback_close(f, PC_CLOSE_PATH_NOT_FOUND, PC_S("No app was asked for in time"));
        return;
    }
    if (pc_fallback_will_reopen(f) && f->out.count > 0) {
        f->never_reopens = true;
        pc_outq_mark(&f->out);
    }
    if (now_ms >= f->sent_ms + f->loop->engine->constants.fallback_heartbeat_ms)
        pc_fallback_heartbeat(f);
    else
        pc_fallback_arm(f);
}

static void on_goodbye(struct pc_timer *timer, uint64_t now_ms)
{
    struct pc_fallback *f = PC_CONTAINER(timer, struct pc_fallback, goodbye);
    (void)now_ms;
    pc_fallback_close(f, PC_CLOSE_RECONNECT, pc_close_text(PC_CLOSE_RECONNECT));
}

void pc_fallback_say_goodbye(struct pc_fallback *f, uint64_t grace_ms)
{
    struct pc_worker *worker = f->loop->worker;
    uint64_t dice = pc_hash(f->loop->engine->seed, f->by_name.key);
    if (!f->close_code)
        pc_timer_arm(&worker->timers, &f->goodbye,
                     worker->now_ms + (grace_ms ? dice % grace_ms : 0));
}

static void stop_all(struct pc_companion *companion, uint64_t grace_ms)
{
    struct pc_fallbacks *all = PC_CONTAINER(companion, struct pc_fallbacks, companion);
    PC_LIST_EACH(link, &all->all)
        pc_fallback_say_goodbye(PC_CONTAINER(link, struct pc_fallback, of_all), grace_ms);
}

/* No connection is left, and with it no receiver. */
static bool all_ended(struct pc_companion *companion)
{
    struct pc_fallbacks *all = PC_CONTAINER(companion, struct pc_fallbacks, companion);
    while (!pc_list_empty(&all->all))
        pc_fallback_free(PC_CONTAINER(all->all.next, struct pc_fallback, of_all));
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

struct pc_fallback *pc_fallback_find(const struct pc_loop *loop, pusherc_slice name)
{
    struct pc_map_node *node =
        loop->fallbacks ? pc_map_find(&loop->fallbacks->by_name, name) : NULL;
    return node ? PC_CONTAINER(node, struct pc_fallback, by_name) : NULL;
}

/* Sessions without a receiver have as many places as sockets that are not established clients, also those of an address.
 */
static void make_room(struct pc_fallbacks *all, pusherc_slice network)
{
    const struct pc_places *places = &all->loop->places[PUSHERC_LISTEN_CLIENTS];
    struct pc_absentee *first;
    while ((first = pc_absentees_first_above(&all->absentees, network, places->max,
                                             places->max_per_address)))
        pc_fallback_free(PC_CONTAINER(first, struct pc_fallback, absentee));
}

struct pc_fallback *pc_fallback_new(struct pc_loop *loop, pusherc_slice name, pusherc_slice network)
{
    struct pc_fallbacks *all = fallbacks_of(loop);
    struct pc_fallback *f = all ? pc_alloc_zero(loop->worker->mem, sizeof *f + name.len) : NULL;
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
    pc_timer_init(&f->turn, pc_fallback_on_turn);
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
