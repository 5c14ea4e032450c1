/*
 * How a turn works. libuv calls back for sockets, timers and the wake-up of other threads. These callbacks only change
 * state and queue bytes; a queue that got something is linked in the worker's list `dirty`. on_prepare() runs last,
 * before libuv sleeps, and does the rest: it empties the mailbox, hands new questions to the host and writes every
 * dirty queue once. Since this may make new mail, questions and bytes, it repeats, up to MAIL_ROUNDS times; then other
 * sockets get their turn, and a wake-up brings the loop back at once. Finally it sets the timer to the next deadline.
 * So what a turn produces for one client mostly goes out with one system call.
 */
#include "net/loop.h"

#include <pusherc/error.h>

#include "net/conn.h"
#include "net/listener.h"
#include "session/decision.h"

/* Rounds of mail, questions and writing in one turn; the rest waits until sockets have been served. */
#define MAIL_ROUNDS 8
/* Events in the mailbox; with more, publishing fails with PUSHERC_EBACKLOG. */
#define MAILBOX_MAX_EVENTS 65536

static void on_async(uv_async_t *async)
{
    pc_loop_enter(async->data); /* on_prepare() does the work */
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

static void flush(struct pc_loop *loop)
{
    struct pc_list dirty;
    struct pc_flush pass;
    for (uint32_t i = 0; i < PC_WRITE_BUFFERS; i++)
        pass.kept[i].len = 0; /* the other members are written before they are read */
    pass.last = 0;
    pc_list_take(&dirty, &loop->worker->dirty);
    while (!pc_list_empty(&dirty)) {
        struct pc_outq *q = PC_CONTAINER(dirty.next, struct pc_outq, dirty);
        pc_list_remove(&q->dirty);
        q->flush(q, &pass);
    }
}

static void set_timer(struct pc_loop *loop)
{
    uint64_t now_ms = loop->worker->now_ms;
    uint64_t wait_ms = pc_timers_next(&loop->worker->timers, now_ms);
    uint64_t due_ms = wait_ms == UINT64_MAX ? UINT64_MAX : now_ms + wait_ms;
    if (due_ms == loop->timer_due_ms)
        return;
    loop->timer_due_ms = due_ms;
    if (due_ms == UINT64_MAX)
        uv_timer_stop(&loop->timer);
    else
        uv_timer_start(&loop->timer, on_timer, wait_ms, 0);
}

static void finish_if_empty(struct pc_loop *loop);

/* Runs last in each turn, before the loop sleeps. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct pc_loop *loop = prepare->data;
    struct pc_worker *worker = loop->worker;
    bool more = true;
    pc_loop_enter(loop);
    loop->handshakes = 0;
    for (int round = 0; more && round < MAIL_ROUNDS; round++) {
        more = pc_mailbox_run(worker->mailbox, worker);
        more |= pc_decisions_ask(worker);
        more |= !pc_list_empty(&worker->dirty);
        flush(loop);
        pc_worker_written(worker);
    }
    atomic_store_explicit(&worker->stats.out_queued_bytes, worker->queued_bytes,
                          memory_order_relaxed);
    set_timer(loop);
    /* From here on every post must wake the loop, also one from a prepare callback of the host that runs later. */
    worker->mailbox->owner_will_look = false;
    if (more)
        uv_async_send(&loop->async);
    pc_histogram_observe(&worker->stats.lag, (uv_hrtime() - loop->turn_ns) / 1000);
    loop->turn_ns = 0;
    finish_if_empty(loop);
}

int pc_loop_init(struct pc_loop *loop, struct pc_worker *worker, uv_loop_t *host_loop, int *sys)
{
    const struct pc_mem *mem = worker->mem;
    *loop =
        (struct pc_loop){.worker = worker, .engine = worker->engine, .timer_due_ms = UINT64_MAX};
    worker->runtime = loop;
    pc_list_init(&loop->conns);
    pc_list_init(&loop->companions);
    loop->uv = host_loop ? host_loop : &loop->own;
    loop->read_buffer = pc_alloc(mem, PC_READ_BUFFER);
    loop->write_buffers = pc_alloc_array(mem, PC_WRITE_BUFFERS, PC_WRITE_BUFFER);
    int err = loop->read_buffer && loop->write_buffers ? 0 : PUSHERC_ENOMEM;
    if (err == 0)
        err = pc_mailbox_new(&worker->mailbox, mem, MAILBOX_MAX_EVENTS, wake, loop);
    if (err)
        goto fail;
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
    uv_prepare_init(loop->uv, &loop->prepare); /* these two cannot fail */
    uv_timer_init(loop->uv, &loop->timer);
    loop->async.data = loop->prepare.data = loop->timer.data = loop;
    loop->open_handles = 3;
    uv_update_time(loop->uv);
    worker->now_ms = uv_now(loop->uv);
    pc_timers_init(&worker->timers, worker->now_ms);
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

static void poll_is_over(uv_timer_t *timer)
{
    (void)timer; /* the timer only ends the wait of uv_run() */
}

void pc_loop_poll(struct pc_loop *loop, uint32_t timeout_ms)
{
    if (timeout_ms == 0) {
        uv_run(loop->uv, UV_RUN_NOWAIT);
        return;
    }
    uv_timer_t limit;
    uv_timer_init(loop->uv, &limit);
    uv_update_time(loop->uv);
    /* The timer repeats, because uv_run() also runs timers before it waits, and must not wait without one. */
    uv_timer_start(&limit, poll_is_over, timeout_ms, 1);
    uv_run(loop->uv, UV_RUN_ONCE);
    uv_close(pc_handle(&limit), NULL);
    uv_run(loop->uv,
           UV_RUN_NOWAIT); /* closes `limit`, and writes what the turn has left to write */
}

/* -- stopping -- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct pc_loop *loop = handle->data;
    if (--loop->open_handles > 0)
        return;
    loop->ended = true;
    if (loop->on_ended)
        loop->on_ended(loop, loop->on_ended_ctx); /* may free the loop */
}

static void close_handles(struct pc_loop *loop)
{
    pc_mailbox_close(loop->worker->mailbox);
    uv_close(pc_handle(&loop->async), on_handle_closed);
    uv_close(pc_handle(&loop->prepare), on_handle_closed);
    uv_close(pc_handle(&loop->timer), on_handle_closed);
}

void pc_loop_join(struct pc_loop *loop, struct pc_companion *companion)
{
    pc_list_push_back(&loop->companions, &companion->of_loop);
}

void pc_loop_leave(struct pc_companion *companion)
{
    pc_list_remove(&companion->of_loop);
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
    while (!pc_list_empty(&loop->conns))
        pc_conn_destroy(PC_CONTAINER(loop->conns.next, struct pc_conn, of_loop));
}

void pc_loop_stop(struct pc_loop *loop, uint64_t grace_ms)
{
    struct pc_worker *worker = loop->worker;
    if (loop->stopping && grace_ms >= loop->stop_grace_ms)
        return;
    if (!loop->stopping) {
        loop->stopping = true;
        pc_timer_init(&loop->stop_timer, cut_off);
        pc_listeners_close(loop);
    }
    loop->stop_grace_ms = grace_ms;
    for (struct pc_list *l = loop->conns.next, *next; l != &loop->conns; l = next) {
        next = l->next;
        pc_conn_say_goodbye(PC_CONTAINER(l, struct pc_conn, of_loop), grace_ms);
    }
    pc_timer_arm(&worker->timers, &loop->stop_timer,
                 worker->now_ms + grace_ms + loop->engine->options.close_timeout_ms);
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
    pc_free(worker->mem, loop->read_buffer);
    pc_free(worker->mem, loop->write_buffers);
    loop->worker = NULL;
}
