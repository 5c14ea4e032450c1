/*
 * How an event gets to its endpoint. pc_webhooks_note() finds the endpoints of the app that want it, and puts a copy
 * into the queue of each. In a queue an event is in the backlog (webhook/backlog.h), delayed or ready, or in the
 * batch: written as one JSON body, signed, sent, and sent again until it is accepted or given up.
 *
 * settle() follows every change of a queue. It moves due removals and counts what the app holds. Then due_of() says
 * what the queue waits for: a time (its timer is armed), the sender (the queue is among the app's `runnable`, and the
 * app among those that have some), the answer to its batch (`in_flight`), or nothing (the queue is freed).
 *
 * pc_webhooks_take() takes the first runnable queue of the first app that may have another request, makes its batch if
 * it has none, and returns the batch; the app's turn comes again after the others. The queue is then in flight: events
 * are added to it, but nothing else changes in it until pc_webhooks_answer(). The caller has the batch to itself
 * meanwhile, so writing and signing need no lock. A batch that was not accepted stays in its queue, with a time for
 * the next attempt, and later events wait behind it; hence an endpoint gets all events in order.
 */
#include "webhook/queue.h"

#include <assert.h>

#include "base/backoff.h"
#include "base/stat.h"
#include "protocol/names.h"

#define NEVER        UINT64_MAX
#define NO_MEMORY_MS 1000 /* until the next try, if memory ran out while making a batch */
#define KEY_ON_STACK 512
#define TIME_ROOM    64 /* bytes before the events; {"time_ms":N, is written into their end */

struct pc_webhook_queue {
    struct pc_webhooks *hooks;
    struct pc_list of_all, of_app, runnable;
    struct pc_app_state *state;         /* counted */
    struct pc_endpoints *endpoints;     /* counted: the latest settings that have this endpoint */
    const struct pc_endpoint *endpoint; /* in `endpoints` */
    struct pc_webhook_backlog backlog;
    uint64_t shared_bytes;  /* of them, those in the app's share */
    uint64_t not_before_ms; /* the next try after memory ran out */
    struct pc_timer timer;
    struct pc_webhook_batch *batch; /* owned; under way, or waits for its next attempt; or NULL */
    bool in_flight;                 /* the caller has `batch`, or it is being made */
};

/* -- queues; the caller holds the lock, unless a function says otherwise -- */

static void on_timer(struct pc_timer *timer, uint64_t now_ms);

static void set_now(struct pc_webhooks *hooks, uint64_t now_ms)
{
    if (now_ms > hooks->now_ms)
        hooks->now_ms = now_ms;
}

static struct pc_webhook_queue *queue_find(const struct pc_app_state *state,
                                           const struct pc_endpoint *endpoint)
{
    PC_LIST_EACH(l, &state->webhooks.queues) {
        struct pc_webhook_queue *q = PC_CONTAINER(l, struct pc_webhook_queue, of_app);
        if (q->endpoint->nth == endpoint->nth && strcmp(q->endpoint->url, endpoint->url) == 0)
            return q;
    }
    return NULL;
}

static struct pc_webhook_queue *queue_new(struct pc_webhooks *hooks, struct pc_app_state *state,
                                          struct pc_endpoints *endpoints,
                                          const struct pc_endpoint *endpoint)
{
    struct pc_webhook_queue *q = pc_alloc_zero(hooks->mem, sizeof *q);
    if (!q)
        return NULL;
    pc_app_state_ref(state);
    q->hooks = hooks;
    q->state = state;
    q->endpoints = pc_endpoints_ref(endpoints);
    q->endpoint = endpoint;
    pc_list_init(&q->runnable);
    pc_backlog_init(&q->backlog, hooks->mem, &hooks->settings, hooks->stats, hooks->seed);
    pc_timer_init(&q->timer, on_timer);
    pc_list_push_back(&hooks->queues, &q->of_all);
    pc_list_push_back(&state->webhooks.queues, &q->of_app);
    return q;
}

static void not_runnable(struct pc_webhook_queue *q)
{
    pc_list_remove(&q->runnable);
    if (pc_list_empty(&q->state->webhooks.runnable))
        pc_list_remove(&q->state->webhooks.of_runnable);
}

/* A queue that is runnable already keeps its place. */
static void make_runnable(struct pc_webhook_queue *q)
{
    struct pc_app_state *state = q->state;
    if (pc_list_empty(&q->runnable))
        pc_list_push_back(&state->webhooks.runnable, &q->runnable);
    if (pc_list_empty(&state->webhooks.of_runnable))
        pc_list_push_back(&q->hooks->runnable, &state->webhooks.of_runnable);
}

/* Brings the app's share up to date with what the queue holds. */
static void share(struct pc_webhook_queue *q)
{
    uint64_t bytes = q->backlog.bytes + (q->batch ? q->batch->event_bytes : 0);
    struct pc_share *app = &q->state->webhooks.bytes;
    if (bytes != q->shared_bytes)
        pc_shares_set(&q->hooks->bytes, app, app->held - q->shared_bytes + bytes);
    q->shared_bytes = bytes;
}

static void queue_free(struct pc_webhook_queue *q)
{
    struct pc_webhooks *hooks = q->hooks;
    share(q);
    pc_timer_stop(&hooks->timers, &q->timer);
    pc_list_remove(&q->of_all);
    pc_list_remove(&q->of_app);
    not_runnable(q);
    pc_backlog_free(&q->backlog);
    pc_endpoints_unref(q->endpoints);
    pc_app_state_unref(q->state);
    pc_free(hooks->mem, q);
}

static void advance(struct pc_webhook_queue *q)
{
    pc_backlog_advance(&q->backlog, q->hooks->now_ms, q->hooks->stopping);
}

/* The time at which the queue can be sent or has a removal to move; NEVER = not before it changes. */
static uint64_t due_of(const struct pc_webhook_queue *q)
{
    const struct pc_webhook_settings *s = &q->hooks->settings;
    const struct pc_webhook_backlog *b = &q->backlog;
    const struct pc_webhook_event *first = pc_backlog_first(b), *removal = pc_backlog_removal(b);
    uint64_t due = NEVER;
    bool now = q->hooks->stopping || (!q->batch && b->ready_count >= s->batch_events);
    if (q->in_flight)
        return NEVER;
    if (q->batch || first) {
        due = now ? 0 : q->batch ? q->batch->due_ms : first->ready_ms + s->batch_ms;
        if (due < q->not_before_ms)
            due = q->not_before_ms;
    }
    if (!q->batch && removal && removal->ready_ms < due)
        due = removal->ready_ms;
    return due;
}

/* Call it after every change: makes the queue runnable, sets its timer, or frees it if it is empty. */
static void settle(struct pc_webhook_queue *q)
{
    struct pc_webhooks *hooks = q->hooks;
    advance(q);
    if (!q->batch && !q->in_flight && q->backlog.count == 0) {
        queue_free(q);
        return;
    }
    share(q);
    uint64_t due = due_of(q);
    pc_timer_stop(&hooks->timers, &q->timer);
    if (due <= hooks->now_ms) {
        make_runnable(q);
        return;
    }
    not_runnable(q);
    if (due != NEVER)
        pc_timer_arm(&hooks->timers, &q->timer, due);
}

static void on_timer(struct pc_timer *timer, uint64_t now_ms)
{
    (void)now_ms;
    settle(PC_CONTAINER(timer, struct pc_webhook_queue, timer));
}

/* -- adding events -- */

static bool has_room(const struct pc_webhook_queue *q)
{
    uint32_t sent = q->batch ? q->batch->event_count : 0;
    return q->backlog.count + sent < q->hooks->settings.max_queued;
}

/* Adds the event, to a new queue if `q` is NULL. NULL: there is no room or no memory for it. */
static struct pc_webhook_queue *add(struct pc_webhooks *hooks, struct pc_webhook_queue *q,
                                    struct pc_endpoints *endpoints,
                                    const struct pc_endpoint *endpoint,
                                    const struct pc_notice *notice, bool delayed)
{
    struct pc_webhook_queue *to = q;
    struct pc_webhook_event *event =
        q && !has_room(q) ? NULL : pc_webhook_event_new(hooks->mem, notice);
    if (event && !q)
        to = queue_new(hooks, notice->app->state, endpoints, endpoint);
    if (event) {
        event->silent = !(endpoint->kinds & notice->kind);
        event->ready_ms = hooks->now_ms + (delayed ? hooks->settings.delay_ms : 0);
    }
    if (event && to && pc_backlog_add(&to->backlog, event, delayed) == 0)
        return to;
    pc_webhook_event_free(hooks->mem, event);
    if (to && !q)
        queue_free(to);
    return NULL;
}

/* Whether the endpoint's queue has to get the event. A silent one is kept only if it can cancel its counterpart. */
static bool is_needed(const struct pc_webhook_queue *q, const struct pc_endpoint *endpoint,
                      uint32_t kind, bool delayed)
{
    if (endpoint->kinds & kind)
        return true;
    if (pc_webhook_is_addition(kind))
        return q && pc_backlog_is_behind(&q->backlog);
    return delayed && (endpoint->kinds & pc_webhook_addition_of(kind));
}

/* Adds the event for one endpoint. True: wake the sender, because the queue is due earlier than it expects. */
static bool note_for(struct pc_webhooks *hooks, struct pc_endpoints *endpoints,
                     const struct pc_endpoint *endpoint, const struct pc_notice *notice,
                     pusherc_slice key)
{
    struct pc_webhook_queue *q = queue_find(notice->app->state, endpoint), *added = NULL;
    const bool delayed =
        pc_webhook_is_removal(notice->kind) && hooks->settings.delay_ms > 0 && !hooks->stopping;
    uint64_t before = q ? due_of(q) : NEVER;
    if (q)
        advance(q);
    bool absorbed = q && pc_backlog_absorb(&q->backlog, notice, key);
    if (!absorbed && is_needed(q, endpoint, notice->kind, delayed)) {
        added = add(hooks, q, endpoints, endpoint, notice, delayed);
        if (!added && (endpoint->kinds & notice->kind))
            pc_stat_add(&hooks->stats->dropped, 1);
    }
    q = added ? added : q;
    if (!q)
        return false;
    advance(q);
    uint64_t due = due_of(q);
    settle(q); /* may free it */
    return added && due < before && due < hooks->expected_ms;
}

/* The queue of the app that holds most; NULL: none has an event that could be dropped. */
static struct pc_webhook_queue *largest_of(const struct pc_app_state *state)
{
    struct pc_webhook_queue *largest = NULL;
    PC_LIST_EACH(l, &state->webhooks.queues) {
        struct pc_webhook_queue *q = PC_CONTAINER(l, struct pc_webhook_queue, of_app);
        if (q->backlog.count > 0 && (!largest || q->backlog.bytes > largest->backlog.bytes))
            largest = q;
    }
    return largest;
}

/* Drops events of the app that holds most until all apps together are within the maximum. */
static void make_room(struct pc_webhooks *hooks)
{
    while (hooks->bytes.held > hooks->settings.max_bytes) {
        struct pc_webhook_queue *q =
            largest_of(PC_CONTAINER(hooks->bytes.largest, struct pc_app_state, webhooks.bytes));
        if (!q) /* all of it is under way */
            return;
        pc_backlog_drop_last(&q->backlog);
        settle(q);
    }
}

bool pc_webhooks_note(struct pc_webhooks *hooks, const struct pc_notice *notice, uint64_t now_ms)
{
    if (pc_slice_starts(notice->channel, PC_S(PUSHERC_USER_CHANNEL_PREFIX)))
        return false;
    struct pc_endpoints *endpoints = pc_app_endpoints(notice->app->state);
    if (!endpoints)
        return false;
    char stack[KEY_ON_STACK];
    struct pc_buf key;
    bool wake = false;
    pc_buf_init_in(&key, hooks->mem, SIZE_MAX, stack, sizeof stack);
    pc_webhook_put_key(&key, notice);
    pusherc_slice known = pc_buf_status(&key) ? PC_S("") : pc_buf_slice(&key);

    pthread_mutex_lock(&hooks->mutex);
    set_now(hooks, now_ms);
    for (size_t i = 0; i < endpoints->count && !hooks->closed; i++) {
        const struct pc_endpoint *e = &endpoints->items[i];
        if ((pc_kinds_with_pairs(e->kinds) & notice->kind) &&
            pc_endpoint_wants_channel(e, notice->channel))
            wake |= note_for(hooks, endpoints, e, notice, known);
    }
    make_room(hooks);
    if (wake)
        hooks->expected_ms = 0; /* no further wake-ups until the sender has looked */
    pthread_mutex_unlock(&hooks->mutex);
    pc_buf_free(&key);
    pc_endpoints_unref(endpoints);
    return wake;
}

/* -- batches -- */

static void batch_free(const struct pc_mem *mem, struct pc_webhook_batch *batch)
{
    struct pc_acceptance *acceptance;
    for (size_t at = 0; at < batch->acceptances.len; at += sizeof acceptance) {
        memcpy(&acceptance, batch->acceptances.ptr + at, sizeof acceptance);
        pc_acceptance_unref(acceptance);
    }
    pc_endpoints_unref(batch->endpoints);
    pc_buf_free(&batch->acceptances);
    pc_buf_free(&batch->text);
    pc_free(mem, batch);
}

void pc_webhook_batch_free(struct pc_webhooks *hooks, struct pc_webhook_batch *batch)
{
    batch_free(hooks->mem, batch);
}

/* Moves events from the front of the queue into the batch, up to the limits. Locked. */
static void take_events(struct pc_webhook_queue *q, struct pc_webhook_batch *batch)
{
    struct pc_webhook_event *event;
    while ((event = pc_backlog_first(&q->backlog)) &&
           batch->event_count < q->hooks->settings.batch_events) {
        if (batch->event_count > 0 && batch->event_bytes + event->size > PC_WEBHOOK_BODY_BYTES)
            break;
        pc_list_push_back(&batch->events, &pc_backlog_take(&q->backlog)->link);
        batch->event_count++;
        batch->event_bytes += event->size;
    }
}

static void write_events(struct pc_webhook_batch *batch)
{
    struct pc_buf *text = &batch->text;
    const char *comma = "";
    if (pc_buf_reserve(text, TIME_ROOM))
        pc_buf_advance(text, TIME_ROOM);
    pc_buf_put(text, PC_S("\"events\":["));
    PC_LIST_EACH(l, &batch->events) {
        pc_buf_put(text, pc_slice_of(comma));
        pc_webhook_event_put(text, PC_CONTAINER(l, struct pc_webhook_event, link));
        comma = ",";
    }
    pc_buf_put(text, PC_S("]}"));
}

/* Writes the time into the room before the events. */
static void stamp(struct pc_webhook_batch *batch, uint64_t now_ms, uint64_t unix_ms)
{
    static const pusherc_slice begin = PUSHERC_LIT("{\"time_ms\":");
    char digits[PC_U64_DIGITS];
    size_t len = pc_format_u64(unix_ms, digits);
    char *to = batch->text.ptr + TIME_ROOM - 1 - len - begin.len;
    batch->body = pc_slice(to, (size_t)(batch->text.ptr + batch->text.len - to));
    memcpy(to, begin.ptr, begin.len);
    memcpy(to + begin.len, digits, len);
    to[begin.len + len] = ',';
    batch->made_ms = now_ms;
}

/* The batch holds the acceptances of its events until it is over. False: out of memory, it holds none. */
static bool take_acceptances(struct pc_webhook_batch *batch)
{
    struct pc_buf *acceptances = &batch->acceptances;
    PC_LIST_EACH(l, &batch->events) {
        struct pc_acceptance *acceptance =
            PC_CONTAINER(l, struct pc_webhook_event, link)->acceptance;
        if (acceptance)
            pc_buf_put(acceptances, pc_slice((const char *)&acceptance, sizeof acceptance));
    }
    if (pc_buf_status(acceptances)) {
        pc_buf_free(acceptances);
        acceptances->len = 0;
        return false;
    }
    PC_LIST_EACH(l, &batch->events) {
        pc_acceptance_ref(PC_CONTAINER(l, struct pc_webhook_event, link)->acceptance);
    }
    return true;
}

/* Makes q->batch of the first events. Not locked: the queue is in flight, or no other thread is left. 0;
 * PUSHERC_ENOMEM: nothing has changed. */
static int make_batch(struct pc_webhook_queue *q)
{
    struct pc_webhooks *hooks = q->hooks;
    struct pc_webhook_batch *batch = pc_alloc_zero(hooks->mem, sizeof *batch);
    if (!batch)
        return PUSHERC_ENOMEM;
    batch->queue = q;
    pc_list_init(&batch->events);
    pc_buf_init(&batch->text, hooks->mem, SIZE_MAX);
    pc_buf_init(&batch->acceptances, hooks->mem, SIZE_MAX);
    pthread_mutex_lock(&hooks->mutex);
    take_events(q, batch);
    pthread_mutex_unlock(&hooks->mutex);
    write_events(batch);
    if (pc_buf_status(&batch->text) || !take_acceptances(batch)) {
        pthread_mutex_lock(&hooks->mutex);
        pc_backlog_put_back(&q->backlog, &batch->events);
        pthread_mutex_unlock(&hooks->mutex);
        batch_free(hooks->mem, batch);
        return PUSHERC_ENOMEM;
    }
    while (!pc_list_empty(&batch->events)) {
        struct pc_webhook_event *event =
            PC_CONTAINER(batch->events.next, struct pc_webhook_event, link);
        pc_list_remove(&event->link);
        pc_webhook_event_free(hooks->mem, event);
    }
    pthread_mutex_lock(&hooks->mutex);
    q->batch = batch;
    pthread_mutex_unlock(&hooks->mutex);
    return 0;
}

/* The app's settings may have been replaced since the queue was made. Uses the current ones if they still have the
 * endpoint; otherwise the queue keeps the last that had it. Not locked. */
static void use_current_settings(struct pc_webhook_queue *q)
{
    struct pc_endpoints *current = pc_app_endpoints(q->state);
    const struct pc_endpoint *endpoint = pc_endpoints_find(current, q->endpoint);
    if (endpoint) {
        struct pc_endpoints *before = q->endpoints;
        pthread_mutex_lock(&q->hooks->mutex);
        q->endpoints = current;
        q->endpoint = endpoint;
        pthread_mutex_unlock(&q->hooks->mutex);
        current = before;
    }
    pc_endpoints_unref(current);
}

/* Signs with the secret of the queue's current settings. */
static int sign_batch(struct pc_webhook_queue *q, struct pc_webhook_batch *batch)
{
    struct pc_endpoints *before = batch->endpoints;
    batch->endpoints = pc_endpoints_ref(q->endpoints);
    batch->endpoint = q->endpoint;
    pc_endpoints_unref(before);
    return pc_hmac_hex(batch->endpoints->secret, &batch->body, 1, batch->signature);
}

static int prepare(struct pc_webhook_queue *q, uint64_t now_ms, uint64_t unix_ms)
{
    use_current_settings(q);
    int err = q->batch ? 0 : make_batch(q);
    if (err)
        return err;
    if (!q->batch->body.ptr || now_ms - q->batch->made_ms > PC_WEBHOOK_FRESH_MS)
        stamp(q->batch, now_ms, unix_ms);
    return sign_batch(q, q->batch);
}

/* Locked. The first app with a runnable queue that may have another request; NULL = none. */
static struct pc_app_state *next_app(const struct pc_webhooks *hooks)
{
    uint32_t free = hooks->settings.max_under_way - hooks->under_way;
    PC_LIST_EACH(l, &hooks->runnable) {
        struct pc_app_state *state = PC_CONTAINER(l, struct pc_app_state, webhooks.of_runnable);
        if (state->webhooks.under_way < free)
            return state;
    }
    return NULL;
}

/* Locked. */
static void begin_flight(struct pc_webhook_queue *q)
{
    struct pc_list *turn = &q->state->webhooks.of_runnable;
    not_runnable(q);
    if (!pc_list_empty(turn)) { /* it has more: after the other apps */
        pc_list_remove(turn);
        pc_list_push_back(&q->hooks->runnable, turn);
    }
    q->in_flight = true;
    q->state->webhooks.under_way++;
    q->hooks->under_way++;
}

/* Locked. */
static void end_flight(struct pc_webhook_queue *q)
{
    q->in_flight = false;
    q->state->webhooks.under_way--;
    q->hooks->under_way--;
}

static struct pc_webhook_queue *next_runnable(struct pc_webhooks *hooks, uint64_t now_ms)
{
    struct pc_webhook_queue *q = NULL;
    pthread_mutex_lock(&hooks->mutex);
    set_now(hooks, now_ms);
    pc_timers_run(&hooks->timers, hooks->now_ms);
    const struct pc_app_state *state = next_app(hooks);
    if (state) {
        q = PC_CONTAINER(state->webhooks.runnable.next, struct pc_webhook_queue, runnable);
        begin_flight(q);
    }
    pthread_mutex_unlock(&hooks->mutex);
    return q;
}

/* Tries again later, because memory ran out while making or signing the batch. */
static void put_off(struct pc_webhook_queue *q)
{
    struct pc_webhooks *hooks = q->hooks;
    pthread_mutex_lock(&hooks->mutex);
    end_flight(q);
    q->not_before_ms = hooks->now_ms + NO_MEMORY_MS;
    settle(q);
    pthread_mutex_unlock(&hooks->mutex);
}

struct pc_webhook_batch *pc_webhooks_take(struct pc_webhooks *hooks, uint64_t now_ms,
                                          uint64_t unix_ms)
{
    struct pc_webhook_queue *q = next_runnable(hooks, now_ms);
    if (!q)
        return NULL;
    if (prepare(q, now_ms, unix_ms)) {
        put_off(q);
        return NULL;
    }
    struct pc_webhook_batch *batch = q->batch;
    pthread_mutex_lock(&hooks->mutex);
    if (batch->attempts++ == 0)
        batch->first_ms = hooks->now_ms;
    else
        pc_stat_add(&hooks->stats->retries, 1);
    pc_stat_add(&hooks->stats->requests, 1);
    batch->last_chance = hooks->stopping;
    pthread_mutex_unlock(&hooks->mutex);
    return batch;
}

/* Separates the batch from its queue and counts its events as delivered or given up. Locked. */
static void let_go(struct pc_webhook_queue *q, struct pc_webhook_batch *batch,
                   _Atomic uint64_t *counter)
{
    q->batch = NULL;
    batch->queue = NULL;
    pc_stat_add(counter, batch->event_count);
    pc_stat_sub(&q->hooks->stats->queued, batch->event_count);
}

bool pc_webhooks_answer(struct pc_webhooks *hooks, struct pc_webhook_batch *batch, bool accepted,
                        uint64_t now_ms)
{
    struct pc_webhook_queue *q = batch->queue;
    pthread_mutex_lock(&hooks->mutex);
    set_now(hooks, now_ms);
    uint64_t last_ms = batch->first_ms + hooks->settings.retry_ms;
    bool over = batch->last_chance || hooks->now_ms >= last_ms;
    end_flight(q);
    if (!accepted)
        pc_stat_add(&hooks->stats->failures, 1);
    if (accepted) {
        let_go(q, batch, &hooks->stats->delivered);
    } else if (over) {
        let_go(q, batch, &hooks->stats->given_up);
    } else {
        batch->due_ms = hooks->now_ms + pc_backoff(&hooks->random, PC_WEBHOOK_FIRST_RETRY_MS,
                                                   PC_WEBHOOK_LAST_RETRY_MS, batch->attempts);
        if (batch->due_ms > last_ms)
            batch->due_ms = last_ms;
    }
    settle(q);
    pthread_mutex_unlock(&hooks->mutex);
    if (accepted)
        batch_free(hooks->mem, batch);
    return !accepted && over;
}

/* -- life -- */

int pc_webhooks_new(struct pc_webhooks **out, const struct pc_mem *mem,
                    const struct pc_webhook_settings *settings, struct pc_webhook_stats *stats,
                    const uint64_t seed[4], uint64_t now_ms)
{
    struct pc_webhooks *hooks = *out = pc_alloc_zero(mem, sizeof *hooks);
    if (!hooks)
        return PUSHERC_ENOMEM;
    hooks->mem = mem;
    hooks->settings = *settings;
    hooks->stats = stats;
    memcpy(hooks->seed, seed, sizeof hooks->seed);
    hooks->random = seed[2] | 1; /* xorshift cannot leave zero */
    hooks->now_ms = now_ms;
    hooks->expected_ms = NEVER;
    pthread_mutex_init(&hooks->mutex, NULL);
    pc_list_init(&hooks->queues);
    pc_list_init(&hooks->runnable);
    pc_timers_init(&hooks->timers, now_ms);
    return 0;
}

void pc_webhooks_free(struct pc_webhooks *hooks)
{
    struct pc_webhook_batch *batch;
    if (!hooks)
        return;
    while ((batch = pc_webhooks_take_rest(hooks, 0)))
        batch_free(hooks->mem, batch);
    pthread_mutex_destroy(&hooks->mutex);
    pc_free(hooks->mem, hooks);
}

uint64_t pc_webhooks_next(struct pc_webhooks *hooks, uint64_t now_ms)
{
    pthread_mutex_lock(&hooks->mutex);
    set_now(hooks, now_ms);
    /* without an app that may have a request, the answer to one leads on */
    uint64_t wait = next_app(hooks) ? 0 : pc_timers_next(&hooks->timers, hooks->now_ms);
    hooks->expected_ms = wait == NEVER ? NEVER : hooks->now_ms + wait;
    pthread_mutex_unlock(&hooks->mutex);
    return wait;
}

void pc_webhooks_stop(struct pc_webhooks *hooks, uint64_t now_ms)
{
    pthread_mutex_lock(&hooks->mutex);
    set_now(hooks, now_ms);
    hooks->stopping = true;
    for (struct pc_list *l = hooks->queues.next, *next; l != &hooks->queues; l = next) {
        next = l->next;
        settle(PC_CONTAINER(l, struct pc_webhook_queue, of_all));
    }
    pthread_mutex_unlock(&hooks->mutex);
}

bool pc_webhooks_empty(struct pc_webhooks *hooks)
{
    pthread_mutex_lock(&hooks->mutex);
    bool empty = pc_list_empty(&hooks->queues);
    pthread_mutex_unlock(&hooks->mutex);
    return empty;
}

/* Returns the first queue that has events, with all of them in `ready`; frees empty ones. */
static struct pc_webhook_queue *first_left(struct pc_webhooks *hooks)
{
    pthread_mutex_lock(&hooks->mutex);
    hooks->closed = hooks->stopping = true;
    struct pc_webhook_queue *q = NULL;
    while (!q && !pc_list_empty(&hooks->queues)) {
        q = PC_CONTAINER(hooks->queues.next, struct pc_webhook_queue, of_all);
        assert(!q->in_flight);
        advance(q);
        if (!q->batch && q->backlog.count == 0) { /* it had silent events only */
            queue_free(q);
            q = NULL;
        }
    }
    pthread_mutex_unlock(&hooks->mutex);
    return q;
}

static void drop_rest(struct pc_webhook_queue *q)
{
    struct pc_webhooks *hooks = q->hooks;
    pthread_mutex_lock(&hooks->mutex);
    while (pc_backlog_drop_last(&q->backlog))
        ;
    settle(q);
    pthread_mutex_unlock(&hooks->mutex);
}

struct pc_webhook_batch *pc_webhooks_take_rest(struct pc_webhooks *hooks, uint64_t unix_ms)
{
    struct pc_webhook_queue *q;
    while ((q = first_left(hooks))) {
        if (!q->batch && make_batch(q)) {
            drop_rest(q);
            continue;
        }
        struct pc_webhook_batch *batch = q->batch;
        if (!batch->body.ptr)
            stamp(batch, hooks->now_ms, unix_ms);
        if (!batch->endpoints) {
            batch->endpoints = pc_endpoints_ref(q->endpoints);
            batch->endpoint = q->endpoint;
        }
        pthread_mutex_lock(&hooks->mutex);
        let_go(q, batch, &hooks->stats->given_up);
        settle(q);
        pthread_mutex_unlock(&hooks->mutex);
        return batch;
    }
    return NULL;
}
