/*
 * How a turn works. libuv calls back for sockets, timers and the wake-up of other threads. These callbacks only change
 * state and queue bytes; a queue that got something is linked in the worker's list `dirty`. finish_turn() does the rest:
 * it serves the clients whose input had to wait (budget.h), finishes long joins (session/joining.h), empties the mailbox,
 * hands new questions to the host, lets companions send and writes every dirty queue once. Since this may make new mail,
 * questions and bytes, it repeats from the mailbox on, up to MAIL_ROUNDS times; then other sockets get their turn. Finally
 * it sets the timer to the next deadline. So what a turn produces for one client mostly goes out with one system call.
 *
 * finish_turn() runs in on_prepare(), the last callback before libuv waits for sockets, and a second time at the end of
 * pc_loop_poll(). Between a turn's first callback and its end the idle handle `unfinished` is active, and so is it if
 * there is more to do: libuv, and a host that asks uv_backend_timeout(), then do not sleep.
 */
#include "net/loop.h"

#include <limits.h>
#include <poll.h>

#include <pusherc/error.h>

#include "fanout/channel_timer.h"
#include "fanout/flush.h"
#include "fanout/people.h"
#include "net/conn.h"
#include "net/fallback.h"
#include "net/listener.h"
#include "session/decision.h"
#include "session/joining.h"

/* Rounds of mail, questions and writing in one turn; the rest waits until sockets have been served. */
#define MAIL_ROUNDS 8
/* Defaults of max_unestablished: a quarter of the descriptors, between these. */
#define UNESTABLISHED_MIN 64
#define UNESTABLISHED_MAX 4096
/* The least that max_unestablished_per_ip is in a worker by default: more than one turn accepts before it serves. */
#define PER_IP_MIN 256
/* Turns in one pc_loop_poll(): accepting, reading and closing a connection are one each. The rest is left to the next
 * call, so that clients which never pause do not keep the host from its own work. */
#define POLL_TURNS 4
/* Connections that a stop closes in a millisecond. */
#define GOODBYES_PER_MS 20
/* Connections that are written to between two looks at the clock, if each has little to write. */
#define FLUSHES_PER_LOOK 16
/* A queue with more bytes than that is bulk, which may wait for all others of its kind: more than a client gets that was not
 * served for some seconds. */
#define BULK_BYTES 65536
/* Events in the mailbox; with more, publishing fails with PUSHERC_EBACKLOG. */
#define MAILBOX_MAX_EVENTS 65536

static void on_async(uv_async_t *async)
{
    pc_loop_enter(async->data); /* finish_turn() does the work */
}

static void on_timer(uv_timer_t *timer)
{
    struct pc_loop *loop = timer->data;
    pc_loop_enter(loop);
    loop->timer_due_ms = UINT64_MAX;
    pc_timers_run(&loop->worker->timers, loop->worker->now_ms);
}

static void wake(void *ctx)
{
    struct pc_loop *loop = ctx;
    uv_async_send(&loop->async); /* cannot fail: the handle is open as long as the mailbox is */
}

/* Writes to the connections in the list, until ends_ns; to those with much to write only if it is the bulk. False: some are
 * left. */
static bool write_each(struct pc_worker *worker, struct pc_list *list, struct pc_flush *pass,
                       uint64_t ends_ns)
{
    const bool is_bulk = list == &worker->bulk;
    struct pc_list dirty;
    pc_list_take(&dirty, list);
    for (uint32_t n = 1; !pc_list_empty(&dirty); n++) {
        struct pc_outq *q = PC_CONTAINER(dirty.next, struct pc_outq, dirty);
        pc_list_remove(&q->dirty);
        if (!is_bulk && q->held > BULK_BYTES)
            pc_outq_mark_bulk(q);
        else
            q->flush(q, pass);
        if ((is_bulk || n % FLUSHES_PER_LOOK == 0) && uv_hrtime() >= ends_ns)
            break;
    }
    bool all = pc_list_empty(&dirty);
    pc_list_put_back(list, &dirty); /* before those that were marked meanwhile */
    return all;
}

/* Writes to the connections that are marked, until ends_ns, and the bulk last, which has a share of the time in any case.
 * False: some are left. */
static bool flush(struct pc_loop *loop, uint64_t ends_ns)
{
    struct pc_worker *worker = loop->worker;
    struct pc_flush pass;
    pc_flush_begin(&pass, loop->write_buffers);
    uint64_t bulk_ns = pc_list_empty(&worker->bulk) ? 0 : PC_BULK_NS;
    bool all = write_each(worker, &worker->dirty, &pass, ends_ns - bulk_ns);
    all &= write_each(worker, &worker->bulk, &pass, ends_ns);
    pc_flush_end(&pass);
    return all;
}

static void set_timer(struct pc_loop *loop)
{
    uint64_t now_ms = loop->worker->now_ms;
    uint64_t wait_ms = pc_timers_next(&loop->worker->timers, now_ms);
    uint64_t ask_ms = pc_decisions_next(loop->worker);
    wait_ms = ask_ms < wait_ms ? ask_ms : wait_ms;
    if (!pc_list_empty(&loop->worker->joins) && wait_ms > PC_JOINS_MS)
        wait_ms = PC_JOINS_MS;
    uint64_t due_ms = wait_ms == UINT64_MAX ? UINT64_MAX : now_ms + wait_ms;
    if (due_ms == loop->timer_due_ms)
        return;
    loop->timer_due_ms = due_ms;
    if (due_ms == UINT64_MAX)
        uv_timer_stop(&loop->timer);
    else
        uv_timer_start(&loop->timer, on_timer, wait_ms, 0);
}

/* False: none had anything to send. */
static bool flush_companions(struct pc_loop *loop)
{
    bool any = false;
    PC_LIST_EACH(l, &loop->companions) {
        struct pc_companion *companion = PC_CONTAINER(l, struct pc_companion, of_loop);
        any |= companion->flush && companion->flush(companion);
    }
    return any;
}

static void finish_if_empty(struct pc_loop *loop);

static void finish_turn(struct pc_loop *loop)
{
    struct pc_worker *worker = loop->worker;
    bool more = true, flushed = true;
    pc_budget_serve(loop);
    pc_session_serve_joins(worker, uv_hrtime, PC_JOINS_NS);
    const uint64_t mail_ends_ns = uv_hrtime() + PC_MAIL_NS, ends_ns = mail_ends_ns + PC_FLUSH_NS;
    for (int round = 0; more && flushed && round < MAIL_ROUNDS; round++) {
        more = pc_mailbox_run_until(worker->mailbox, worker, uv_hrtime, mail_ends_ns);
        more |= pc_decisions_ask(worker);
        more |= worker->lane && pc_lane_flush(worker->lane);
        more |= pc_worker_marked(worker);
        more |= flush_companions(loop); /* other servers before the clients here, who may be many */
        flushed = flush(loop, ends_ns);
        if (flushed)
            pc_worker_written(worker);
    }
    more |= !flushed || pc_budget_waits(&loop->budget) || pc_session_has_joins(worker);
    atomic_store_explicit(&worker->stats.out_queued_bytes, worker->queued_bytes,
                          memory_order_relaxed);
    set_timer(loop);
    /* From here on every post must wake the loop, also one from a prepare callback of the host that runs later. */
    worker->mailbox->owner_will_look = false;
    if (!more)
        uv_idle_stop(&loop->unfinished);
    pc_histogram_observe(&worker->stats.lag, (uv_hrtime() - loop->turn_ns) / 1000);
    loop->turn_ns = 0;
    finish_if_empty(loop);
}

static void on_prepare(uv_prepare_t *prepare)
{
    pc_loop_enter(prepare->data);
    finish_turn(prepare->data);
}

/* The worker's part of a limit, at least 1. */
static uint32_t part_of(const struct pc_loop *loop, uint32_t limit)
{
    uint32_t workers = loop->engine->worker_count;
    return limit == PUSHERC_NO_LIMIT ? limit : limit / workers + (limit % workers > 0);
}

static uint32_t default_unestablished(uint32_t max_connections)
{
    uint32_t descriptors = pc_descriptor_limit(), max = descriptors / 4;
    uint32_t left = descriptors > max_connections ? descriptors - max_connections : 0;
    if (max_connections != PUSHERC_NO_LIMIT && max > left)
        max = left;
    return max < UNESTABLISHED_MIN   ? UNESTABLISHED_MIN
           : max > UNESTABLISHED_MAX ? UNESTABLISHED_MAX
                                     : max;
}

/* The limit of one address in a worker that has `places`. Behind proxies all sockets have the addresses of proxies. */
static uint32_t per_address(const struct pc_loop *loop, uint32_t places)
{
    const pusherc_server_options *o = &loop->engine->options;
    if (o->max_unestablished_per_ip)
        return part_of(loop, o->max_unestablished_per_ip);
    if (o->proxy_count || places == PUSHERC_NO_LIMIT)
        return PUSHERC_NO_LIMIT;
    return places / 4 > PER_IP_MIN ? places / 4 : PER_IP_MIN;
}

/* Operators' pages have places of their own: clients cannot keep operators out, nor the other way round. */
static void set_places(struct pc_loop *loop)
{
    const pusherc_server_options *o = &loop->engine->options;
    uint32_t max =
        o->max_unestablished ? o->max_unestablished : default_unestablished(o->max_connections);
    for (size_t i = 0; i < PC_PURPOSES; i++) {
        loop->places[i].max = part_of(loop, max);
        loop->places[i].max_per_address = per_address(loop, loop->places[i].max);
    }
}

int pc_loop_init(struct pc_loop *loop, struct pc_worker *worker, uv_loop_t *host_loop, int *sys)
{
    const struct pc_mem *mem = worker->mem;
    *loop =
        (struct pc_loop){.worker = worker, .engine = worker->engine, .timer_due_ms = UINT64_MAX};
    worker->runtime = loop;
    pc_list_init(&loop->conns);
    for (size_t i = 0; i < PC_PURPOSES; i++)
        pc_places_init(&loop->places[i], mem, worker->engine->seed, &worker->stats);
    pc_list_init(&loop->companions);
    pc_budget_init(&loop->budget);
    loop->uv = host_loop ? host_loop : &loop->own;
    loop->read_buffer = pc_alloc(mem, PC_READ_BUFFER);
    loop->write_buffers = pc_alloc_array(mem, PC_WRITE_BUFFERS, PC_WRITE_BUFFER);
    int err = loop->read_buffer && loop->write_buffers ? 0 : PUSHERC_ENOMEM;
    if (err == 0)
        err = pc_mailbox_new(&worker->mailbox, mem, MAILBOX_MAX_EVENTS, wake, loop);
    if (err)
        goto fail;
    worker->mailbox->mark = pc_fork_mark_ref(worker->engine->mark);
    if ((err = pc_decisions_new(&worker->decisions, worker)))
        goto fail;
    *sys = host_loop ? 0 : uv_loop_init(&loop->own);
    if (*sys == 0)
        return 0;
    err = PUSHERC_EIO;
fail:
    pc_decisions_free(worker->decisions);
    worker->decisions = NULL;
    pc_mailbox_unref(worker->mailbox);
    worker->mailbox = NULL;
    pc_free(mem, loop->read_buffer);
    pc_free(mem, loop->write_buffers);
    loop->worker = NULL;
    return err;
}

int pc_loop_start(struct pc_loop *loop, int *sys)
{
    struct pc_worker *worker = loop->worker;
    *sys = uv_async_init(loop->uv, &loop->async, on_async);
    if (*sys)
        return PUSHERC_EIO;
    uv_prepare_init(loop->uv, &loop->prepare); /* these three cannot fail */
    uv_idle_init(loop->uv, &loop->unfinished);
    uv_timer_init(loop->uv, &loop->timer);
    loop->async.data = loop->prepare.data = loop->unfinished.data = loop->timer.data = loop;
    loop->open_handles = 4;
    uv_update_time(loop->uv);
    worker->now_ms = uv_now(loop->uv);
    pc_timers_init(&worker->timers, worker->now_ms);
    set_places(loop);
    uv_prepare_start(&loop->prepare, on_prepare);
    *sys = pc_listeners_start(loop);
    return *sys ? PUSHERC_EIO : 0;
}

void pc_loop_own(struct pc_loop *loop)
{
    pc_mailbox_own(loop->worker->mailbox);
}

void pc_loop_run(struct pc_loop *loop)
{
    uv_run(loop->uv, UV_RUN_DEFAULT);
}

int pc_loop_fd(const struct pc_loop *loop)
{
    return uv_backend_fd(loop->uv);
}

uint32_t pc_loop_wait_ms(struct pc_loop *loop)
{
    uv_update_time(loop->uv);
    int wait_ms = uv_backend_timeout(loop->uv);
    return wait_ms < 0 ? UINT32_MAX : (uint32_t)wait_ms;
}

/* libuv itself never waits here: a timer that is to end its wait may fire before the wait begins. */
static void wait_for_work(struct pc_loop *loop, uint32_t timeout_ms)
{
    struct pollfd work = {.fd = pc_loop_fd(loop), .events = POLLIN};
    uint32_t due_ms = pc_loop_wait_ms(loop);
    uint32_t wait_ms = due_ms < timeout_ms ? due_ms : timeout_ms;
    (void)poll(&work, 1, wait_ms < INT_MAX ? (int)wait_ms : INT_MAX);
}

void pc_loop_poll(struct pc_loop *loop, uint32_t timeout_ms)
{
    int turns = 0;
    if (timeout_ms > 0)
        wait_for_work(loop, timeout_ms);
    do {
        uv_run(loop->uv, UV_RUN_NOWAIT);
        if (loop->turn_ns)
            finish_turn(loop);
        /* a turn with work left ends the call: the clients that wait for their shares must not keep the host */
    } while (!loop->ended && !uv_is_active(pc_handle(&loop->unfinished)) && ++turns < POLL_TURNS &&
             pc_loop_wait_ms(loop) == 0);
}

/* -- stopping -- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct pc_loop *loop = handle->data;
    if (--loop->open_handles > 0)
        return;
    loop->ended = true;
    if (loop->worker->lane)
        pc_lane_flush(loop->worker->lane);
    if (loop->on_ended)
        loop->on_ended(loop, loop->on_ended_ctx); /* may free the loop */
}

static void close_handles(struct pc_loop *loop)
{
    pc_mailbox_close(loop->worker->mailbox);
    uv_close(pc_handle(&loop->async), on_handle_closed);
    uv_close(pc_handle(&loop->prepare), on_handle_closed);
    uv_close(pc_handle(&loop->unfinished), on_handle_closed);
    uv_close(pc_handle(&loop->timer), on_handle_closed);
}

static bool companions_ended(struct pc_loop *loop)
{
    while (!pc_list_empty(&loop->companions)) {
        struct pc_companion *last =
            PC_CONTAINER(loop->companions.prev, struct pc_companion, of_loop);
        if (!last->ended(last))
            return false;
        pc_loop_leave(last);
    }
    return true;
}

static void finish_if_empty(struct pc_loop *loop)
{
    if (!loop->stopping || loop->conn_count > 0 || loop->listeners ||
        uv_is_closing(pc_handle(&loop->prepare)))
        return;
    if (!companions_ended(loop))
        return;
    pc_timer_stop(&loop->worker->timers, &loop->stop_timer);
    close_handles(loop);
}

static void cut_off(struct pc_timer *timer, uint64_t now_ms)
{
    struct pc_loop *loop = PC_CONTAINER(timer, struct pc_loop, stop_timer);
    (void)now_ms;
    PC_LIST_EACH(link, &loop->conns)
        pc_conn_break(PC_CONTAINER(link, struct pc_conn, of_loop));
}

/* All goodbyes are due. The time limit begins now and not with the stop: a worker that was held up for as long sends them
 * only after this, and would otherwise close the clients before. */
static void end_grace(struct pc_timer *timer, uint64_t now_ms)
{
    struct pc_loop *loop = PC_CONTAINER(timer, struct pc_loop, stop_timer);
    timer->fire = cut_off;
    pc_timer_arm(&loop->worker->timers, timer, now_ms + loop->engine->options.close_timeout_ms);
}

void pc_loop_stop(struct pc_loop *loop, uint64_t grace_ms)
{
    struct pc_worker *worker = loop->worker;
    if (loop->stopping && grace_ms >= loop->stop_grace_ms)
        return;
    if (!loop->stopping) {
        loop->stopping = true;
        pc_timer_init(&loop->stop_timer, end_grace);
        pc_listeners_close(loop);
        pc_channel_timers_hurry(worker, NULL, NULL);
        pc_people_hurry(worker);
    }
    loop->stop_grace_ms = grace_ms;
    /* also a stop at once is not one long turn */
    const uint32_t paced_ms = loop->conn_count / GOODBYES_PER_MS;
    const uint64_t spread_ms = grace_ms > paced_ms ? grace_ms : paced_ms;
    for (struct pc_list *l = loop->conns.next, *next; l != &loop->conns; l = next) {
        next = l->next;
        pc_conn_say_goodbye(PC_CONTAINER(l, struct pc_conn, of_loop), spread_ms);
    }
    loop->stop_timer.fire = end_grace; /* also after a longer grace */
    pc_timer_arm(&worker->timers, &loop->stop_timer, worker->now_ms + spread_ms);
    for (struct pc_list *l = loop->companions.prev; l != &loop->companions; l = l->prev) {
        struct pc_companion *companion = PC_CONTAINER(l, struct pc_companion, of_loop);
        if (companion->stop)
            companion->stop(companion, grace_ms);
    }
}

void pc_loop_free(struct pc_loop *loop)
{
    struct pc_worker *worker = loop->worker;
    if (!worker)
        return;
    pc_listeners_close(loop);
    if (loop->open_handles > 0) { /* starting failed half-way: no other code runs the loop */
        loop->on_ended = NULL;
        close_handles(loop);
        while (!loop->ended || loop->conn_count > 0)
            uv_run(loop->uv, UV_RUN_ONCE);
    } else if (!loop->ended) {
        pc_mailbox_close(worker->mailbox);
    }
    if (loop->uv == &loop->own)
        uv_loop_close(&loop->own);
    pc_decisions_free(worker->decisions);
    pc_mailbox_unref(worker->mailbox);
    pc_ws_pool_free(loop->ws_pool);
    pc_fallbacks_free(loop->fallbacks);
    pc_tls_spare_free(&loop->tls_spare);
    for (size_t i = 0; i < PC_PURPOSES; i++)
        pc_places_free(&loop->places[i]);
    pc_free(worker->mem, loop->read_buffer);
    pc_free(worker->mem, loop->write_buffers);
    loop->worker = NULL;
}
