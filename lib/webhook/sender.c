/*
 * How the sender works. note() puts events into the queues, on any thread; if one is due earlier than expected, the
 * engine calls wake() after it has released its locks. run(), on the sender's loop, begins a request for each batch
 * that is due, up to MAX_UNDER_WAY, and sets a timer for the next. The end of a request reports to the queue, which
 * frees the batch, keeps it for a retry or gives it up, and leads back to run().
 *
 * How it ends. stop() gives every batch one more attempt. ended() waits until the other loops have ended (`alone`) and
 * all queues are empty, for at most the grace period and close_timeout_ms. Then close_all() gives up what is left.
 */
#include "webhook/sender.h"

#include <uv.h>

#include <pusherc/error.h>

#include "base/clock.h"
#include "net/fetch.h"
#include "webhook/queue.h"

#define MAX_UNDER_WAY 256 /* requests at a time: the host needs descriptors as well */

struct pc_sender {
    struct pc_companion companion;
    struct pc_loop *loop;
    struct pc_engine *engine;
    struct pc_webhooks *webhooks;
    struct pc_fetcher *fetcher;
    uv_async_t async;      /* wakes the loop after a notice */
    uv_timer_t due_timer;  /* the next batch that is due */
    uint32_t open_handles; /* of `async` and `due_timer` */
    uint64_t stop_ms;      /* what is left then is given up; UINT64_MAX = not stopping */
    struct pc_mail last;   /* sets `alone` */
    bool alone;            /* no other loop of the server runs */
    bool last_call;        /* the loop has no connection, and `stop_ms` is final */
    bool closing;
};

static void run(struct pc_sender *s);

static uint64_t now_ms(const struct pc_sender *s)
{
    return uv_now(s->loop->uv);
}

/* -- the observer -- */

/* Runs on any thread, under a shard's lock. */
static bool note(void *ctx, const struct pc_notice *notice)
{
    struct pc_sender *s = ctx;
    return pc_webhooks_note(s->webhooks, notice, uv_hrtime() / 1000000);
}

static void wake(void *ctx)
{
    struct pc_sender *s = ctx;
    uv_async_send(&s->async);
}

/* -- requests -- */

/* Begins the request. False: out of memory, or the fetcher takes no request now. */
static bool begin(struct pc_sender *s, struct pc_webhook_batch *batch)
{
    const struct pc_endpoint *e = batch->endpoint;
    struct pc_pair fields[PC_ENDPOINT_MAX_FIELDS + 4] = {
        {PC_S("Content-Type"), PC_S("application/json")},
        {PC_S("X-Pusher-Key"), batch->endpoints->app_key},
        {PC_S("X-Pusher-Signature"), pc_slice(batch->signature, sizeof batch->signature)},
    };
    size_t count = 3;
    if (!pc_pair_find(e->fields, e->field_count, PC_S("Accept")))
        fields[count++] = (struct pc_pair){PC_S("Accept"), PC_S("application/json")};
    for (size_t i = 0; i < e->field_count; i++)
        fields[count++] = e->fields[i];
    const struct pc_fetch_request request = {
        .method = "POST",
        .url = e->url,
        .fields = fields,
        .field_count = count,
        .body = batch->body,
        .timeout_ms = s->engine->options.webhook_timeout_ms,
        .on_new_connection = batch->attempts > 1,
        .ctx = batch,
    };
    return pc_fetch_begin(s->fetcher, &request) != NULL;
}

/* -- results -- */

static void give_up(struct pc_sender *s, struct pc_webhook_batch *batch)
{
    const pusherc_hooks *hooks = s->engine->workers[0].hooks; /* it runs on the first loop */
    pusherc_slice url = pc_slice_of(batch->endpoint->url), host = pc_url_host(url);
    pusherc_webhook_failure failure = {
        .struct_size = sizeof failure,
        .app_id = batch->endpoints->app_id,
        .url = url,
        .body = batch->body,
        .event_count = batch->event_count,
        .attempts = batch->attempts,
        .last_status = batch->status,
        .reason = pc_slice_of(batch->attempts ? batch->reason : "the server was stopped"),
    };
    PC_LOG(&s->engine->log, WARN,
           ((struct pc_log_about){.subject = "webhook", .app_id = failure.app_id}),
           "gave up %u events for %.*s after %u attempts: %.*s", batch->event_count, (int)host.len,
           host.ptr, batch->attempts, (int)failure.reason.len, failure.reason.ptr);
    if (hooks->on_webhook_failed)
        hooks->on_webhook_failed(&failure, hooks->user_data);
    pc_webhook_batch_free(s->webhooks, batch);
}

static void say_failed(struct pc_sender *s, const struct pc_webhook_batch *batch)
{
    pusherc_slice host = pc_url_host(pc_slice_of(batch->endpoint->url));
    struct pc_log_about about = {.subject = "webhook", .app_id = batch->endpoints->app_id};
    pc_engine_note(s->engine, &s->engine->workers[0],
                   &(struct pc_happening){.kind = PC_HAPPENED_WEBHOOK,
                                          .app_id = about.app_id,
                                          .status = batch->status,
                                          .attempts = batch->attempts,
                                          .count = batch->event_count,
                                          .name = host,
                                          .detail = pc_slice_of(batch->reason)});
    if (batch->attempts == 1)
        PC_LOG(&s->engine->log, WARN, about, "%.*s did not accept %u events: %s", (int)host.len,
               host.ptr, batch->event_count, batch->reason);
    else
        PC_LOG(&s->engine->log, DEBUG, about, "%.*s did not accept %u events, attempt %u: %s",
               (int)host.len, host.ptr, batch->event_count, batch->attempts, batch->reason);
}

static void answer(struct pc_sender *s, struct pc_webhook_batch *batch, bool accepted)
{
    if (!accepted)
        say_failed(s, batch);
    if (pc_webhooks_answer(s->webhooks, batch, accepted, now_ms(s)))
        give_up(s, batch);
}

static void set_reason(struct pc_webhook_batch *batch, const char *text)
{
    pusherc_slice cut = pc_utf8_cut(pc_slice_of(text), sizeof batch->reason - 1);
    memcpy(batch->reason, cut.ptr, cut.len);
    batch->reason[cut.len] = '\0';
}

/* A status of 2xx counts as accepted, even if the rest of the answer fails. */
static void on_done(void *user, void *ctx, const struct pc_fetch_result *result)
{
    struct pc_sender *s = user;
    struct pc_webhook_batch *batch = ctx;
    bool accepted = result->status >= 200 && result->status <= 299;
    batch->status = (uint16_t)result->status;
    if (!accepted && result->status >= 200) {
        char text[32];
        (void)snprintf(text, sizeof text, "answered %d", result->status);
        set_reason(batch, text);
    } else if (!accepted) {
        set_reason(batch, result->error ? result->error : "no answer");
    }
    answer(s, batch, accepted);
    run(s);
}

/* -- turns -- */

static void on_due(uv_timer_t *timer)
{
    struct pc_sender *s = timer->data;
    pc_loop_enter(s->loop);
    run(s);
}

static void on_async(uv_async_t *async)
{
    struct pc_sender *s = async->data;
    pc_loop_enter(s->loop);
    run(s);
}

/* Sends what is due and sets the timer for what is not. */
static void run(struct pc_sender *s)
{
    struct pc_webhook_batch *batch;
    if (s->closing)
        return;
    while (pc_fetcher_has_room(s->fetcher) &&
           (batch = pc_webhooks_take(s->webhooks, now_ms(s), pc_clock_unix_ms()))) {
        if (begin(s, batch))
            continue;
        batch->status = 0;
        set_reason(batch, "out of memory");
        answer(s, batch, false);
    }
    /* without room for a request no timer is needed: on_done() calls run() again */
    uint64_t wait =
        pc_fetcher_has_room(s->fetcher) ? pc_webhooks_next(s->webhooks, now_ms(s)) : UINT64_MAX;
    if (s->last_call) {
        uint64_t patience = s->stop_ms > now_ms(s) ? s->stop_ms - now_ms(s) : 0;
        wait = patience < wait ? patience : wait;
    }
    if (wait == UINT64_MAX)
        uv_timer_stop(&s->due_timer);
    else /* at least 1: with 0 libuv calls back again before it looks at sockets */
        uv_timer_start(&s->due_timer, on_due, wait ? wait : 1, 0);
}

/* -- life -- */

static void stop(struct pc_companion *companion, uint64_t grace_ms);
static bool ended(struct pc_companion *companion);

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

int pc_sender_new(struct pc_sender **out, struct pc_loop *loop, const char *ca_file)
{
    struct pc_engine *engine = loop->engine;
    const pusherc_server_options *l = &engine->options;
    const struct pc_webhook_settings settings = {
        .batch_ms = l->webhook_batch_ms,
        .batch_events = l->webhook_batch_events,
        .delay_ms = l->webhook_delay_ms,
        .retry_ms = l->webhook_retry_ms,
        .behind_events = least(l->webhook_batch_events, (l->webhook_max_queued + 1) / 2),
        .max_queued = l->webhook_max_queued,
        .max_bytes = l->webhook_max_bytes,
        .max_under_way = MAX_UNDER_WAY,
    };
    uint64_t seed[4];
    *out = NULL;
    int err = pc_random(seed, sizeof seed);
    if (err)
        return err;
    struct pc_sender *s = pc_alloc_zero(&engine->mem, sizeof *s);
    if (!s)
        return PUSHERC_ENOMEM;
    s->companion = (struct pc_companion){.stop = stop, .ended = ended};
    pc_list_init(&s->companion.of_loop);
    s->loop = loop;
    s->engine = engine;
    s->stop_ms = UINT64_MAX;
    const struct pc_fetcher_home home = {loop->uv, &engine->mem, &engine->log, loop};
    const struct pc_fetcher_options fetching = {
        .ca_file = ca_file, .max_under_way = MAX_UNDER_WAY, .done = on_done, .user = s};
    err = pc_webhooks_new(&s->webhooks, &engine->mem, &settings, &engine->webhooks, seed,
                          uv_hrtime() / 1000000);
    pc_wipe(seed, sizeof seed);
    if (err == 0)
        err = pc_fetcher_new(&s->fetcher, &home, &fetching);
    if (err) {
        pc_sender_free(s);
        return err == PUSHERC_ENOSYS ? 0 : err;
    }
    engine->observer = (struct pc_observer){note, wake, s};
    engine->apps.webhooks = true;
    *out = s;
    return 0;
}

int pc_sender_start(struct pc_sender *s, bool alone, int *sys)
{
    *sys = 0;
    if (!s)
        return 0;
    *sys = uv_async_init(s->loop->uv, &s->async, on_async);
    if (*sys)
        return PUSHERC_EIO;
    uv_timer_init(s->loop->uv, &s->due_timer); /* cannot fail */
    s->async.data = s->due_timer.data = s;
    s->open_handles = 2;
    pc_loop_join(s->loop, &s->companion);
    s->alone = alone;
    return 0;
}

/* Gives every batch one more attempt, at once. */
static void stop(struct pc_companion *companion, uint64_t grace_ms)
{
    struct pc_sender *s = PC_CONTAINER(companion, struct pc_sender, companion);
    if (s->closing)
        return;
    uint64_t stop_ms = now_ms(s) + grace_ms + s->engine->options.close_timeout_ms;
    if (stop_ms < s->stop_ms)
        s->stop_ms = stop_ms;
    pc_webhooks_stop(s->webhooks, now_ms(s));
    run(s);
}

/* Needs no wake-up: the loop calls ended() at the end of the same turn. */
static void on_last(struct pc_mail *mail, struct pc_worker *worker)
{
    (void)worker;
    PC_CONTAINER(mail, struct pc_sender, last)->alone = true;
}

/* Sets `alone` by mail. With a flag and `async`, the loop could see the flag and close `async` before the wake-up. */
void pc_sender_last(struct pc_sender *s)
{
    if (!s)
        return;
    s->last.run = on_last;
    if (pc_mailbox_send(s->loop->worker->mailbox, &s->last, PC_MAIL_CONTROL))
        on_last(&s->last, NULL); /* closed: the loop has ended, and its sender was not started */
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct pc_sender *s = handle->data;
    pc_loop_enter(s->loop);
    s->open_handles--;
}

/* Ends all requests under way, gives up all events, and closes the handles. */
static void close_all(struct pc_sender *s)
{
    struct pc_webhook_batch *batch;
    s->closing = true;
    pc_fetcher_stop(s->fetcher);
    while ((batch = pc_webhooks_take_rest(s->webhooks, pc_clock_unix_ms())))
        give_up(s, batch);
    uv_close(pc_handle(&s->async), on_handle_closed);
    uv_close(pc_handle(&s->due_timer), on_handle_closed);
}

/* Called in each turn while the loop stops and has no connection left. */
static bool ended(struct pc_companion *companion)
{
    struct pc_sender *s = PC_CONTAINER(companion, struct pc_sender, companion);
    if (s->closing)
        return s->open_handles == 0;
    if (!s->alone || s->engine->told_by_link)
        return false;
    if (!s->last_call) {
        /* the last connections may have been closed at the end of the grace period: their events get an attempt as well
         * */
        uint64_t least_ms = now_ms(s) + s->engine->options.close_timeout_ms;
        s->last_call = true;
        s->stop_ms = s->stop_ms > least_ms ? s->stop_ms : least_ms;
        run(s);
    }
    if (!pc_webhooks_empty(s->webhooks) && now_ms(s) < s->stop_ms)
        return false;
    close_all(s);
    return false;
}

void pc_sender_free(struct pc_sender *s)
{
    if (!s)
        return;
    struct pc_mem mem = s->engine->mem;
    if (s->open_handles > 0) { /* starting the loop failed half-way: no other code runs it */
        close_all(s);
        while (s->open_handles > 0)
            uv_run(s->loop->uv, UV_RUN_ONCE);
    }
    pc_loop_leave(&s->companion);
    pc_fetcher_free(s->fetcher);
    pc_webhooks_free(s->webhooks);
    pc_free(&mem, s);
}
