/*
 * How a broadcaster works. Calls on any thread put events into the queue and, if the loop sleeps longer than it should
 * now, wake it. pump(), on the loop's thread, ends what is too late, hands batches to the carrier as long as the queue
 * gives some, and sets the timer. Each answer goes to the queue, and leads back to pump(). Callbacks of the host run on
 * this thread, without a lock.
 *
 * How it ends. The queue refuses new events and gives what rests an attempt. When it is empty or the grace period is
 * over, the carrier answers what is under way and closes its handles, the queue ends what is left, and the loop's two
 * handles are closed.
 */
#include "broadcast/sender.h"

#include <signal.h>

#include <pusherc/error.h>

#include "base/clock.h"
#include "codec/crypto.h"

#define BATCHES_PER_TURN 256 /* of a carrier that answers at once: the loop has other work */

static void pump(pusherc_broadcaster *b);
static void go_on(pusherc_broadcaster *b);

static uint64_t now_ms(void)
{
    return pc_clock_us() / 1000;
}

/* -- telling -- */

static void ended_init(struct pc_broadcast_ended *ended)
{
    pc_list_init(&ended->events);
    pc_list_init(&ended->calls);
}

static void tell_failed(pusherc_broadcaster *b, const struct pc_broadcast_event *e,
                        pusherc_slice reason)
{
    const pusherc_broadcast_result result = {.struct_size = sizeof result,
                                             .code = e->code,
                                             .status = e->status,
                                             .attempts = e->attempts,
                                             .reason = reason};
    PC_LOG(&b->home.log, WARN, ((struct pc_log_about){.subject = "broadcast"}),
           "event \"%.*s\" on \"%.*s\" was not sent, after %u attempts: %s%s%.*s",
           (int)e->event.name.len, e->event.name.ptr, (int)e->event.channels[0].len,
           e->event.channels[0].ptr, e->attempts, pusherc_strerror(e->code), reason.len ? ": " : "",
           (int)reason.len, reason.ptr);
    if (b->on_failed)
        b->on_failed(&e->event, &result, b->user_data);
}

/* Tells the host what has ended, and frees it. */
static void tell(pusherc_broadcaster *b, struct pc_broadcast_ended *ended)
{
    char reason[160] = "";
    if (!pc_list_empty(&ended->calls) || !pc_list_empty(&ended->events))
        pc_broadcast_queue_reason(b->queue, reason, sizeof reason);
    while (!pc_list_empty(&ended->calls)) {
        struct pc_broadcast_call *call =
            PC_CONTAINER(ended->calls.next, struct pc_broadcast_call, of_ended);
        const pusherc_broadcast_result result = {.struct_size = sizeof result,
                                                 .code = call->code,
                                                 .status = call->status,
                                                 .attempts = call->attempts,
                                                 .reason = pc_slice_of(call->code ? reason : "")};
        pc_list_remove(&call->of_ended);
        call->done(&result, call->user_data);
        pc_free(&b->home.mem, call);
    }
    while (!pc_list_empty(&ended->events)) {
        struct pc_broadcast_event *e =
            PC_CONTAINER(ended->events.next, struct pc_broadcast_event, of_queue);
        pc_list_remove(&e->of_queue);
        if (e->code && !e->told)
            tell_failed(b, e, pc_slice_of(reason));
        pc_broadcast_event_free(&b->home.mem, e);
    }
}

/* -- the loop -- */

void pc_broadcaster_wake(pusherc_broadcaster *b)
{
    pthread_mutex_lock(&b->mutex);
    if (!b->deaf)
        uv_async_send(&b->async);
    pthread_mutex_unlock(&b->mutex);
}

bool pc_broadcaster_is_own_thread(pusherc_broadcaster *b)
{
    pthread_mutex_lock(&b->mutex);
    bool own = b->has_runner && pthread_equal(b->runner, pthread_self());
    pthread_mutex_unlock(&b->mutex);
    return own;
}

static void wake(void *ctx)
{
    pc_broadcaster_wake(ctx);
}

static void say_away(pusherc_broadcaster *b, const struct pc_broadcast_answer *answer)
{
    bool away = answer->outcome == PC_BROADCAST_AWAY;
    const struct pc_log_about about = {.subject = "broadcast"};
    if (away && !b->said_away && !b->closing)
        PC_LOG(&b->home.log, WARN, about, "events have to wait: %.*s", (int)answer->reason.len,
               answer->reason.len ? answer->reason.ptr : "");
    if (!away && b->said_away && answer->outcome == PC_BROADCAST_ACCEPTED)
        PC_LOG(&b->home.log, INFO, about, "events are accepted again");
    b->said_away = away || (b->said_away && answer->outcome != PC_BROADCAST_ACCEPTED);
}

static void on_answer(void *owner, struct pc_broadcast_batch *batch,
                      const struct pc_broadcast_answer *answer)
{
    pusherc_broadcaster *b = owner;
    struct pc_broadcast_ended ended;
    ended_init(&ended);
    say_away(b, answer);
    pc_broadcast_queue_answer(b->queue, batch, answer, now_ms(), &ended);
    tell(b, &ended);
    go_on(b);
}

static void on_async(uv_async_t *async)
{
    pump(async->data);
}

static void on_timer(uv_timer_t *timer)
{
    pump(timer->data);
}

static void send_due(pusherc_broadcaster *b)
{
    struct pc_broadcast_batch *batch;
    for (int i = 0; i < BATCHES_PER_TURN && (batch = pc_broadcast_queue_take(b->queue, now_ms()));
         i++)
        pc_carrier_send(b->carrier, batch);
}

/* -- the end -- */

static void on_closed(uv_handle_t *handle)
{
    pusherc_broadcaster *b = handle->data;
    if (--b->open_handles > 0)
        return;
    pthread_mutex_lock(&b->mutex);
    void (*stopped)(void *user_data) = b->stopped;
    void *user_data = b->stopped_user_data;
    pthread_mutex_unlock(&b->mutex);
    b->ended = true;
    if (stopped)
        stopped(user_data); /* may free it */
}

static uv_handle_t *handle_of(void *handle)
{
    return handle;
}

static void close_handles(pusherc_broadcaster *b)
{
    pthread_mutex_lock(&b->mutex);
    b->deaf = true;
    pthread_mutex_unlock(&b->mutex);
    uv_close(handle_of(&b->async), on_closed);
    uv_close(handle_of(&b->timer), on_closed);
}

static void begin_stop(pusherc_broadcaster *b)
{
    pthread_mutex_lock(&b->mutex);
    b->runner = pthread_self();
    b->has_runner = true;
    bool asked = b->stop_asked;
    uint64_t stop_ms = now_ms() + b->stop_grace_ms;
    pthread_mutex_unlock(&b->mutex);
    if (!asked)
        return;
    if (!b->stopping)
        pc_broadcast_queue_stop(b->queue, now_ms());
    if (!b->stopping || stop_ms < b->stop_ms)
        b->stop_ms = stop_ms;
    b->stopping = true;
}

/* True: the handles are closing, and pump() has nothing left to do. */
static bool finish(pusherc_broadcaster *b)
{
    struct pc_broadcast_ended ended;
    if (!b->stopping)
        return false;
    if (!b->closing && now_ms() < b->stop_ms && !pc_broadcast_queue_empty(b->queue))
        return false;
    b->closing = true;
    if (!pc_carrier_ended(b->carrier)) {
        uv_timer_start(&b->timer, on_timer, 1, 0); /* its handles close in the next turns */
        return true;
    }
    ended_init(&ended);
    pc_broadcast_queue_cancel(b->queue, &ended);
    tell(b, &ended);
    close_handles(b);
    return true;
}

static void set_timer(pusherc_broadcaster *b)
{
    uint64_t wait = pc_broadcast_queue_next(b->queue, now_ms());
    if (b->stopping) {
        uint64_t patience = b->stop_ms > now_ms() ? b->stop_ms - now_ms() : 0;
        wait = pc_broadcast_queue_empty(b->queue) ? 0 : patience < wait ? patience : wait;
    }
    if (wait == UINT64_MAX)
        uv_timer_stop(&b->timer);
    else /* at least 1: with 0 libuv calls back again before it looks at sockets */
        uv_timer_start(&b->timer, on_timer, wait ? wait : 1, 0);
}

static void pump(pusherc_broadcaster *b)
{
    struct pc_broadcast_ended ended;
    if (b->pumping || b->deaf)
        return;
    b->pumping = true;
    uv_update_time(b->home.uv);
    begin_stop(b);
    ended_init(&ended);
    if (b->carrier->ops->turn && !b->closing)
        b->carrier->ops->turn(b->carrier);
    pc_broadcast_queue_run(b->queue, now_ms(), &ended);
    tell(b, &ended);
    if (!b->closing)
        send_due(b);
    bool finished = finish(b);
    b->pumping = false;
    if (!finished)
        set_timer(b);
}

/* After an answer. The carrier is calling: it is not ended here. */
static void go_on(pusherc_broadcaster *b)
{
    if (b->pumping || b->closing)
        return;
    b->pumping = true;
    send_due(b);
    b->pumping = false;
    set_timer(b);
}

void pc_broadcaster_ask_stop(pusherc_broadcaster *b, uint32_t grace_ms, bool change,
                             void (*stopped)(void *user_data), void *user_data)
{
    pthread_mutex_lock(&b->mutex);
    if (!b->stop_asked || grace_ms < b->stop_grace_ms)
        b->stop_grace_ms = grace_ms;
    b->stop_asked = true;
    if (change) {
        b->stopped = stopped;
        b->stopped_user_data = user_data;
    }
    if (!b->deaf)
        uv_async_send(&b->async);
    pthread_mutex_unlock(&b->mutex);
}

/* -- life -- */

static void *run_thread(void *arg)
{
    pusherc_broadcaster *b = arg;
    uv_run(b->home.uv, UV_RUN_DEFAULT);
    return NULL;
}

/* Blocks all signals in the thread, so that the host's threads handle them. */
static int start_thread(pusherc_broadcaster *b, pusherc_errinfo *info)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&b->thread, NULL, run_thread, b);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    b->has_thread = err == 0;
    return err ? pc_errinfo(info, PUSHERC_EIO, -err, "cannot start a thread") : 0;
}

static int open_loop(pusherc_broadcaster *b, uv_loop_t *loop, pusherc_errinfo *info)
{
    b->attached = b->has_runner = loop != NULL; /* a host makes it where its loop runs */
    b->runner = pthread_self();
    int sys = loop ? 0 : uv_loop_init(&b->own);
    if (sys)
        return pc_errinfo(info, PUSHERC_EIO, sys, "event loop: %s", uv_err_name(sys));
    b->home.uv = loop ? loop : &b->own;
    return 0;
}

static int open_handles(pusherc_broadcaster *b, pusherc_errinfo *info)
{
    int sys = uv_async_init(b->home.uv, &b->async, on_async);
    if (sys)
        return pc_errinfo(info, PUSHERC_EIO, sys, "event loop: %s", uv_err_name(sys));
    uv_timer_init(b->home.uv, &b->timer); /* cannot fail */
    b->async.data = b->timer.data = b;
    b->open_handles = 2;
    b->deaf = false;
    return 0;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return b && b < a ? b : a;
}

static int make_queue(pusherc_broadcaster *b, const pusherc_broadcaster_options *o,
                      pusherc_errinfo *info)
{
    const struct pc_broadcast_settings settings = {
        .max_events = o->max_queued,
        .max_bytes = o->max_bytes,
        .batch_bytes = o->batch_bytes,
        .batch_events = smaller(o->batch_events, b->carrier->max_events),
        .max_under_way = smaller(o->max_under_way, b->carrier->max_under_way),
        .retry_ms = o->retry_ms,
    };
    uint64_t random[4];
    int err = pc_random(random, sizeof random);
    if (err == 0)
        err = pc_broadcast_queue_new(&b->queue, &b->home.mem, &settings, random, now_ms());
    pc_hex((const uint8_t *)&random[3], PC_BROADCAST_KEY_PREFIX / 2, b->key_prefix);
    pc_wipe(random, sizeof random);
    return err ? pc_errinfo(info, err, 0, "%s", pusherc_strerror(err)) : 0;
}

static int make_parts(pusherc_broadcaster *b, const pusherc_broadcaster_options *o,
                      pusherc_errinfo *info)
{
    const char *why = NULL;
    int err = pc_crypto_init();
    if (err == 0 && o->ca_file && !(b->ca_file = pc_dup(&b->home.mem, pc_slice_of(o->ca_file))))
        err = PUSHERC_ENOMEM;
    if (err == 0 && !(b->mark = pc_fork_mark_new()))
        err = PUSHERC_ENOMEM;
    if (err)
        return pc_errinfo(info, err, 0, "%s", pusherc_strerror(err));
    b->home.ca_file = b->ca_file;
    err = pc_conflate_read(&b->conflate, &b->home.mem, o->conflate, info);
    if (err == 0)
        err = open_loop(b, o->loop, info);
    if (err)
        return err;
    err = pc_carrier_make(&b->carrier, &b->home, pc_slice_of(o->url), false, &why);
    if (err)
        return pc_errinfo(info, err, 0, "%s",
                          err == PUSHERC_ENOMEM || !why ? pusherc_strerror(err) : why);
    b->carrier->answered = on_answer;
    b->carrier->owner = b;
    err = make_queue(b, o, info);
    return err ? err : open_handles(b, info);
}

int pc_broadcaster_new(pusherc_broadcaster **out, const pusherc_broadcaster_options *o,
                       pusherc_errinfo *info)
{
    const struct pc_mem mem = pc_mem_make(o->allocator);
    pusherc_broadcaster *b = pc_alloc_zero(&mem, sizeof *b);
    if (!b)
        return pc_errinfo(info, PUSHERC_ENOMEM, 0, "out of memory");
    b->home = (struct pc_carrier_home){.mem = mem,
                                       .timeout_ms = o->timeout_ms,
                                       .max_under_way = o->max_under_way,
                                       .no_keys = o->no_idempotency_keys,
                                       .server = o->server,
                                       .wake = wake,
                                       .wake_ctx = b,
                                       .make = pc_carrier_make};
    if (o->driver)
        b->home.driver = *o->driver;
    pc_log_init(&b->home.log, o->log_fn, o->log_user_data, o->log_level);
    pthread_mutex_init(&b->mutex, NULL);
    b->deaf = true;
    b->on_failed = o->on_failed;
    b->user_data = o->user_data;
    b->retry_ms = o->retry_ms;
    b->grace_ms = o->grace_ms;
    int err = make_parts(b, o, info);
    if (err == 0 && !b->attached)
        err = start_thread(b, info);
    if (err) {
        pc_broadcaster_free(b);
        return err;
    }
    *out = b;
    return 0;
}

/* Runs the loop until the handles are closed, if no other code does. */
static void end_loop(pusherc_broadcaster *b)
{
    if (b->has_thread) {
        pthread_join(b->thread, NULL);
    } else if (b->open_handles > 0) {
        while (b->open_handles > 0)
            uv_run(b->home.uv, UV_RUN_ONCE);
    }
    if (b->carrier)
        b->carrier->ops->free(b->carrier);
    if (b->home.uv && !b->attached)
        (void)uv_loop_close(&b->own);
}

void pc_broadcaster_free(pusherc_broadcaster *b)
{
    const struct pc_mem mem = b->home.mem;
    pthread_mutex_lock(&b->mutex);
    bool asked = b->stop_asked;
    pthread_mutex_unlock(&b->mutex);
    if (!asked && (b->has_thread || b->open_handles > 0))
        pc_broadcaster_ask_stop(b, b->grace_ms, false, NULL, NULL);
    end_loop(b);
    pc_broadcast_queue_free(b->queue);
    pc_fork_mark_unref(b->mark);
    pc_log_free(&b->home.log);
    pthread_mutex_destroy(&b->mutex);
    pc_conflate_free(&b->conflate, &mem);
    pc_free(&mem, b->ca_file);
    pc_free(&mem, b);
}
