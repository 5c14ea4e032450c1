/*
 * How the order is kept. Each channel for which an event waits has a lane, a list of those events. An event has a link
 * in the lane of each of its channels, and leaves them when it has ended. `behind` counts the lanes in which others are
 * before it: at 0 it is ready. An event of one channel may also go in the batch of the one before it (follower()),
 * because a carrier takes the events of a batch in order; so a busy channel fills batches by itself. An event of
 * several channels goes alone: batches of the HTTP API have one channel for each event.
 *
 * A put, a take and an end cost the event's channels, whatever else waits.
 */
#include "broadcast/queue.h"

#include <assert.h>
#include <stdio.h>

#include "base/backoff.h"
#include "base/slice.h"

#define NEVER          UINT64_MAX
#define NO_MEMORY_MS   100
#define LEAST_BATCH    1024 /* bytes, for carriers that find batches too large */
#define FAILS_TOGETHER 2    /* attempts, before the events of a failing batch are sent alone */

/* -- lanes -- */

static void make_ready(struct pc_broadcast_event *e)
{
    e->state = PC_BROADCAST_READY;
    pc_list_push_back(&e->queue->ready, &e->of_state);
}

static struct pc_broadcast_lane *lane_get(struct pc_broadcast_queue *q, pusherc_slice channel)
{
    struct pc_map_node *node = pc_map_find(&q->lanes, channel);
    if (node)
        return PC_CONTAINER(node, struct pc_broadcast_lane, node);
    struct pc_broadcast_lane *lane = pc_alloc(q->mem, sizeof *lane + channel.len);
    if (!lane)
        return NULL;
    memcpy(lane->name, channel.ptr, channel.len);
    lane->node = (struct pc_map_node){.key = pc_slice(lane->name, channel.len)};
    pc_list_init(&lane->links);
    if (pc_map_insert(&q->lanes, &lane->node)) {
        pc_free(q->mem, lane);
        return NULL;
    }
    return lane;
}

static void leave_lane(struct pc_broadcast_queue *q, struct pc_broadcast_link *link)
{
    struct pc_broadcast_lane *lane = link->lane;
    bool was_first = lane->links.next == &link->of_lane;
    pc_list_remove(&link->of_lane);
    if (pc_list_empty(&lane->links)) {
        pc_map_remove(&q->lanes, &lane->node);
        pc_free(q->mem, lane);
    } else if (was_first) {
        struct pc_broadcast_event *next =
            PC_CONTAINER(lane->links.next, struct pc_broadcast_link, of_lane)->event;
        if (--next->behind == 0 && next->state == PC_BROADCAST_BEHIND)
            make_ready(next);
    }
}

static void leave_lanes(struct pc_broadcast_queue *q, struct pc_broadcast_event *e)
{
    while (e->link_count > 0)
        leave_lane(q, &e->links[--e->link_count]);
}

/* 0 or PUSHERC_ENOMEM: it is in no lane. */
static int enter_lanes(struct pc_broadcast_queue *q, struct pc_broadcast_event *e)
{
    for (size_t i = 0; i < e->event.channel_count; i++) {
        struct pc_broadcast_lane *lane = lane_get(q, e->event.channels[i]);
        if (!lane) {
            leave_lanes(q, e);
            e->behind = 0;
            return PUSHERC_ENOMEM;
        }
        e->behind += !pc_list_empty(&lane->links);
        e->links[i].lane = lane;
        pc_list_push_back(&lane->links, &e->links[i].of_lane);
        e->link_count++;
    }
    return 0;
}

/* -- ends -- */

static void count_end(struct pc_broadcast_queue *q, int code)
{
    if (code == 0)
        q->stats.accepted++;
    else if (code == PUSHERC_ETIMEDOUT)
        q->stats.expired++;
    else if (code == PUSHERC_ECANCELED)
        q->stats.canceled++;
    else
        q->stats.refused++;
}

/* The call has a result of one event more. */
static void tell_call(struct pc_broadcast_event *e, int code, struct pc_broadcast_ended *ended)
{
    struct pc_broadcast_call *call = e->call;
    e->call = NULL;
    e->told = true;
    if (code && !call->code) {
        call->code = code;
        call->status = e->status;
    }
    if (e->attempts > call->attempts)
        call->attempts = e->attempts;
    if (--call->left == 0)
        pc_list_push_back(&ended->calls, &call->of_ended);
}

static void leave_table(struct pc_broadcast_event *e)
{
    if (e->is_last)
        pc_map_remove(&e->queue->subjects, &e->of_subject);
    e->is_last = false;
}

/* It is in nothing of the queue any more. */
static void leave(struct pc_broadcast_event *e)
{
    struct pc_broadcast_queue *q = e->queue;
    e->state = PC_BROADCAST_ENDED;
    leave_lanes(q, e);
    leave_table(e);
    pc_timer_stop(&q->timers, &e->timer);
    pc_timer_stop(&q->timers, &e->deadline);
    pc_list_remove(&e->of_state);
    pc_list_remove(&e->of_queue);
    q->count--;
    q->bytes -= e->size;
}

static void end(struct pc_broadcast_event *e, int code, struct pc_broadcast_ended *ended)
{
    struct pc_broadcast_queue *q = e->queue;
    leave(e);
    e->code = code;
    count_end(q, code);
    if (e->call)
        tell_call(e, code, ended);
    pc_list_push_back(&ended->events, &e->of_queue);
}

/* Runs under the lock, from pc_broadcast_queue_run(). */
static void on_deadline(struct pc_timer *timer, uint64_t now_ms)
{
    struct pc_broadcast_event *e = PC_CONTAINER(timer, struct pc_broadcast_event, deadline);
    (void)now_ms;
    e->expired = true;
    if (e->state != PC_BROADCAST_UNDER_WAY)
        end(e, PUSHERC_ETIMEDOUT, e->queue->ended);
    else if (e->call)
        tell_call(e, PUSHERC_ETIMEDOUT, e->queue->ended);
}

static void on_rested(struct pc_timer *timer, uint64_t now_ms)
{
    (void)now_ms;
    make_ready(PC_CONTAINER(timer, struct pc_broadcast_event, timer));
}

/*
 * -- conflation --
 *
 * The queue has a table of the last event of each subject (conflate.h). A newer event takes over the place of the last
 * one, so a key that changes all the time is sent as soon as one that does not. It does not if the last one
 * - is under way: the newer one goes behind it, and if the older one is not accepted it is dropped instead of repeated;
 * - has a caller who waits for its result: those are all sent. Nor does a newer event with a caller: it goes behind, and
 *   what comes after it as well, so that the order of the key is kept.
 */

static bool waits(const struct pc_broadcast_event *e)
{
    return e->state == PC_BROADCAST_BEHIND || e->state == PC_BROADCAST_READY ||
           e->state == PC_BROADCAST_RESTING;
}

static struct pc_broadcast_event *last_of(const struct pc_broadcast_queue *q, pusherc_slice subject)
{
    struct pc_map_node *node = subject.len ? pc_map_find(&q->subjects, subject) : NULL;
    return node ? PC_CONTAINER(node, struct pc_broadcast_event, of_subject) : NULL;
}

/* The event whose place the new one takes; NULL: it goes behind all. */
static struct pc_broadcast_event *replaced_by(const struct pc_broadcast_queue *q,
                                              const struct pc_broadcast_event *e,
                                              const struct pc_broadcast_call *call)
{
    struct pc_broadcast_event *last = call ? NULL : last_of(q, e->subject);
    return last && waits(last) ? last : NULL;
}

static void count_merged(struct pc_broadcast_queue *q, struct pc_broadcast_event *e)
{
    q->stats.merged++;
    pc_broadcast_event_free(q->mem, e);
}

/* `to` stands where `from` stood. */
static void swap_in(struct pc_list *from, struct pc_list *to)
{
    pc_list_push_back(from, to); /* before it */
    pc_list_remove(from);
}

/* Both have the same channels in the same order: that is a part of the subject. */
static void take_place(struct pc_broadcast_event *old, struct pc_broadcast_event *e)
{
    struct pc_broadcast_queue *q = e->queue;
    for (size_t i = 0; i < old->link_count; i++) {
        e->links[i].lane = old->links[i].lane;
        swap_in(&old->links[i].of_lane, &e->links[i].of_lane);
    }
    e->link_count = old->link_count;
    old->link_count = 0;
    e->behind = old->behind;
    e->before = old->before + old->attempts;
    e->alone = old->alone;
    e->state = old->state;
    if (old->state == PC_BROADCAST_READY)
        swap_in(&old->of_state, &e->of_state);
    if (old->state == PC_BROADCAST_RESTING)
        pc_timer_arm(&q->timers, &e->timer, old->timer.due_ms);
    leave(old);
    count_merged(q, old);
}

/* The new event becomes the last one of its subject. The table's first insert may fail: then nothing replaces it. */
static void become_last(struct pc_broadcast_event *e)
{
    struct pc_broadcast_event *last = last_of(e->queue, e->subject);
    if (last) {
        last->outdated = !e->call;
        leave_table(last);
    }
    if (e->subject.len && !e->call)
        e->is_last = pc_map_insert(&e->queue->subjects, &e->of_subject) == 0;
}

/* It was not accepted, and what is behind it is newer. */
static void drop_outdated(struct pc_broadcast_event *e)
{
    leave(e);
    count_merged(e->queue, e);
}

/* True if a later event of the same call replaces events[nth]. */
static bool is_replaced_at_once(struct pc_broadcast_event *const *events, size_t count, size_t nth,
                                const struct pc_broadcast_call *call)
{
    for (size_t i = nth + 1; !call && events[nth]->subject.len && i < count; i++)
        if (pc_slice_eq(events[i]->subject, events[nth]->subject))
            return true;
    return false;
}

/* -- putting -- */

static void set_now(struct pc_broadcast_queue *q, uint64_t now_ms)
{
    if (now_ms > q->now_ms)
        q->now_ms = now_ms;
}

static bool has_free_request(const struct pc_broadcast_queue *q)
{
    return q->under_way < (q->away ? 1 : q->settings.max_under_way);
}

/* When a batch can be taken; NEVER = not before something changes. */
static uint64_t due_of(const struct pc_broadcast_queue *q)
{
    if (pc_list_empty(&q->ready) || !has_free_request(q))
        return NEVER;
    return q->pause_ms > q->now_ms ? q->pause_ms : q->now_ms;
}

static void put(struct pc_broadcast_queue *q, struct pc_broadcast_event *e,
                struct pc_broadcast_call *call, uint64_t deadline_ms)
{
    struct pc_broadcast_event *old = replaced_by(q, e, call);
    e->call = call;
    e->since_ms = q->now_ms;
    pc_timer_init(&e->timer, on_rested);
    pc_timer_init(&e->deadline, on_deadline);
    pc_timer_arm(&q->timers, &e->deadline, deadline_ms);
    pc_list_push_back(&q->all, &e->of_queue);
    q->count++;
    q->bytes += e->size;
    if (old) {
        take_place(old, e);
    } else {
        e->state = PC_BROADCAST_BEHIND;
        if (e->behind == 0)
            make_ready(e);
    }
    become_last(e);
}

/* Without the events that are replaced at once, and with the room of those that are replaced. */
static bool has_room(const struct pc_broadcast_queue *q, struct pc_broadcast_event *const *events,
                     size_t count, const struct pc_broadcast_call *call)
{
    uint64_t bytes = q->bytes, more = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_replaced_at_once(events, count, i, call))
            continue;
        const struct pc_broadcast_event *old = replaced_by(q, events[i], call);
        more += !old;
        bytes += events[i]->size;
        bytes -= old ? old->size : 0;
    }
    return q->count + more <= q->settings.max_events && bytes <= q->settings.max_bytes;
}

/* Locked. 0, or why there is no room. */
static int enter_all(struct pc_broadcast_queue *q, struct pc_broadcast_event *const *events,
                     size_t count, const struct pc_broadcast_call *call)
{
    if (q->stopping)
        return PUSHERC_ESTATE;
    if (!has_room(q, events, count, call)) {
        q->stats.rejected += count;
        return PUSHERC_EBACKLOG;
    }
    for (size_t i = 0; i < count; i++) {
        events[i]->queue = q;
        if (is_replaced_at_once(events, count, i, call) || replaced_by(q, events[i], call))
            continue;
        if (enter_lanes(q, events[i])) {
            while (i-- > 0)
                leave_lanes(q, events[i]);
            return PUSHERC_ENOMEM;
        }
    }
    return 0;
}

int pc_broadcast_queue_put(struct pc_broadcast_queue *q, struct pc_broadcast_event *const *events,
                           size_t count, struct pc_broadcast_call *call, uint32_t timeout_ms,
                           uint64_t now_ms, bool *wake)
{
    *wake = false;
    pthread_mutex_lock(&q->mutex);
    set_now(q, now_ms);
    int err = enter_all(q, events, count, call);
    if (err == 0) {
        const uint64_t deadline_ms = q->now_ms + timeout_ms;
        if (call)
            call->left = count;
        q->stats.in += count;
        for (size_t i = 0; i < count; i++)
            if (is_replaced_at_once(events, count, i, call))
                count_merged(q, events[i]);
            else
                put(q, events[i], call, deadline_ms);
        *wake = due_of(q) < q->expected_ms || deadline_ms < q->expected_ms;
        if (*wake)
            q->expected_ms = 0; /* no further wake-ups until the thread has looked */
    }
    pthread_mutex_unlock(&q->mutex);
    return err;
}

bool pc_broadcast_queue_idle(struct pc_broadcast_queue *q)
{
    pthread_mutex_lock(&q->mutex);
    bool idle = q->count == 0 && !q->stopping;
    pthread_mutex_unlock(&q->mutex);
    return idle;
}

bool pc_broadcast_queue_empty(struct pc_broadcast_queue *q)
{
    pthread_mutex_lock(&q->mutex);
    bool empty = q->count == 0;
    pthread_mutex_unlock(&q->mutex);
    return empty;
}

void pc_broadcast_queue_count_direct(struct pc_broadcast_queue *q, bool accepted)
{
    pthread_mutex_lock(&q->mutex);
    q->stats.requests++;
    q->stats.in++;
    if (accepted) {
        q->stats.accepted++;
    } else {
        q->stats.failures++;
        q->stats.refused++;
    }
    pthread_mutex_unlock(&q->mutex);
}

/* -- taking -- */

static void take(struct pc_broadcast_batch *batch, struct pc_broadcast_event *e)
{
    pc_list_remove(&e->of_state);
    pc_list_push_back(&batch->events, &e->of_state);
    batch->count++;
    batch->again |= e->attempts > 0;
    e->queue->stats.retries += e->attempts > 0;
    e->attempts++;
    e->state = PC_BROADCAST_UNDER_WAY;
}

static bool can_share(const struct pc_broadcast_event *e)
{
    return e->event.channel_count == 1 && !e->alone;
}

/* The event of one channel behind `e` in its lane; NULL: none that could go in the same batch. */
static struct pc_broadcast_event *follower(const struct pc_broadcast_event *e)
{
    const struct pc_list *next = e->links[0].of_lane.next;
    if (next == &e->links[0].lane->links)
        return NULL;
    struct pc_broadcast_event *event = PC_CONTAINER(next, struct pc_broadcast_link, of_lane)->event;
    return can_share(event) ? event : NULL;
}

static size_t bytes_of(const struct pc_broadcast_event *e)
{
    return e->event.data.len + e->event.name.len + e->event.channels[0].len;
}

/* Adds events to a batch of one. The next is the follower of the last, or else the first that is ready. */
static void fill(struct pc_broadcast_queue *q, struct pc_broadcast_batch *batch)
{
    struct pc_broadcast_event *last = pc_broadcast_first(batch);
    size_t bytes = bytes_of(last);
    if (!can_share(last))
        return;
    while (batch->count < q->settings.batch_events) {
        struct pc_broadcast_event *next = follower(last);
        if (!next && !pc_list_empty(&q->ready))
            next = PC_CONTAINER(q->ready.next, struct pc_broadcast_event, of_state);
        if (!next || !can_share(next) || bytes + bytes_of(next) > q->batch_bytes)
            return;
        bytes += bytes_of(next);
        take(batch, next);
        last = next;
    }
}

struct pc_broadcast_batch *pc_broadcast_queue_take(struct pc_broadcast_queue *q, uint64_t now_ms)
{
    struct pc_broadcast_batch *batch = NULL;
    pthread_mutex_lock(&q->mutex);
    set_now(q, now_ms);
    bool due = due_of(q) <= q->now_ms;
    if (due)
        batch = pc_alloc_zero(q->mem, sizeof *batch);
    if (due && !batch)
        q->pause_ms = q->now_ms + NO_MEMORY_MS;
    if (batch) {
        pc_list_init(&batch->events);
        take(batch, PC_CONTAINER(q->ready.next, struct pc_broadcast_event, of_state));
        fill(q, batch);
        q->under_way++;
        q->stats.requests++;
    }
    pthread_mutex_unlock(&q->mutex);
    return batch;
}

void pc_broadcast_queue_run(struct pc_broadcast_queue *q, uint64_t now_ms,
                            struct pc_broadcast_ended *ended)
{
    pthread_mutex_lock(&q->mutex);
    set_now(q, now_ms);
    q->ended = ended;
    pc_timers_run(&q->timers, q->now_ms);
    q->ended = NULL;
    pthread_mutex_unlock(&q->mutex);
}

uint64_t pc_broadcast_queue_next(struct pc_broadcast_queue *q, uint64_t now_ms)
{
    pthread_mutex_lock(&q->mutex);
    set_now(q, now_ms);
    uint64_t wait = pc_timers_next(&q->timers, q->now_ms), due = due_of(q);
    if (due != NEVER && due - q->now_ms < wait)
        wait = due - q->now_ms;
    q->expected_ms = wait == NEVER ? NEVER : q->now_ms + wait;
    pthread_mutex_unlock(&q->mutex);
    return wait;
}

/* -- answers; locked -- */

/* A failed event goes back to its place. `rest_ms` 0: it may be sent at once, before those that are ready already. */
static void put_back(struct pc_broadcast_event *e, uint64_t rest_ms, struct pc_list *front)
{
    struct pc_broadcast_queue *q = e->queue;
    if (e->behind > 0) {
        e->state = PC_BROADCAST_BEHIND;
    } else if (rest_ms == 0) {
        e->state = PC_BROADCAST_READY;
        pc_list_push_back(front, &e->of_state);
    } else {
        e->state = PC_BROADCAST_RESTING;
        pc_timer_arm(&q->timers, &e->timer, q->now_ms + rest_ms);
    }
}

static void accepted(struct pc_broadcast_queue *q, struct pc_broadcast_batch *batch,
                     struct pc_broadcast_ended *ended)
{
    q->away = 0;
    while (!pc_list_empty(&batch->events))
        end(pc_broadcast_first(batch), 0, ended);
}

/* How long nothing is sent. */
static void pause_after(struct pc_broadcast_queue *q, uint32_t retry_after_ms)
{
    uint64_t wait =
        pc_backoff(&q->random, PC_BROADCAST_FIRST_RETRY_MS, PC_BROADCAST_LAST_RETRY_MS, ++q->away);
    uint64_t asked =
        retry_after_ms < PC_BROADCAST_MAX_WAIT_MS ? retry_after_ms : PC_BROADCAST_MAX_WAIT_MS;
    asked += asked ? pc_backoff_random(&q->random) % (asked / 8 + 1) : 0;
    if (asked > wait)
        wait = asked;
    if (q->now_ms + wait > q->pause_ms)
        q->pause_ms = q->now_ms + wait;
}

/* A batch that is too large is sent in smaller ones; of another, each event alone. */
static void divide(struct pc_broadcast_queue *q, struct pc_broadcast_batch *batch, bool too_large)
{
    size_t bytes = 0;
    PC_LIST_EACH(l, &batch->events) {
        struct pc_broadcast_event *e = PC_CONTAINER(l, struct pc_broadcast_event, of_state);
        bytes += bytes_of(e);
        e->alone |= !too_large;
    }
    if (too_large && bytes / 2 < q->batch_bytes)
        q->batch_bytes = bytes / 2 > LEAST_BATCH ? bytes / 2 : LEAST_BATCH;
}

static void failed(struct pc_broadcast_queue *q, struct pc_broadcast_batch *batch,
                   const struct pc_broadcast_answer *answer, struct pc_broadcast_ended *ended)
{
    const bool refused = answer->outcome == PC_BROADCAST_REFUSED, single = batch->count == 1;
    const uint32_t attempts =
        pc_broadcast_first(batch)->attempts + pc_broadcast_first(batch)->before;
    uint64_t rest_ms = 0;
    struct pc_list front;
    pc_list_init(&front);
    if (answer->outcome == PC_BROADCAST_AWAY)
        pause_after(q, answer->retry_after_ms);
    if (answer->outcome == PC_BROADCAST_FAILED)
        rest_ms = pc_backoff(&q->random, PC_BROADCAST_FIRST_RETRY_MS, PC_BROADCAST_LAST_RETRY_MS,
                             attempts);
    if (!single && (refused || (rest_ms && attempts >= FAILS_TOGETHER)))
        divide(q, batch, answer->too_large && refused && q->batch_bytes > LEAST_BATCH);
    while (!pc_list_empty(&batch->events)) {
        struct pc_broadcast_event *e = pc_broadcast_first(batch);
        pc_list_remove(&e->of_state);
        e->status = answer->status;
        if (refused && single)
            end(e, answer->code, ended);
        else if (e->outdated)
            drop_outdated(e);
        else if (e->expired)
            end(e, PUSHERC_ETIMEDOUT, ended);
        else
            put_back(e, rest_ms, &front);
    }
    pc_list_put_back(&q->ready, &front);
}

static void remember(struct pc_broadcast_queue *q, pusherc_slice reason)
{
    pusherc_slice text = pc_utf8_cut(reason, sizeof q->reason - 1);
    memcpy(q->reason, text.ptr ? text.ptr : "", text.len);
    q->reason[text.len] = '\0';
}

void pc_broadcast_queue_answer(struct pc_broadcast_queue *q, struct pc_broadcast_batch *batch,
                               const struct pc_broadcast_answer *answer, uint64_t now_ms,
                               struct pc_broadcast_ended *ended)
{
    pthread_mutex_lock(&q->mutex);
    set_now(q, now_ms);
    q->under_way--;
    if (answer->outcome == PC_BROADCAST_ACCEPTED) {
        accepted(q, batch, ended);
    } else {
        q->stats.failures++;
        remember(q, answer->reason);
        if (answer->outcome == PC_BROADCAST_REFUSED)
            q->away = 0;
        failed(q, batch, answer, ended);
    }
    pthread_mutex_unlock(&q->mutex);
    pc_free(q->mem, batch);
}

/* -- life -- */

int pc_broadcast_queue_new(struct pc_broadcast_queue **out, const struct pc_mem *mem,
                           const struct pc_broadcast_settings *settings, const uint64_t seed[3],
                           uint64_t now_ms)
{
    struct pc_broadcast_queue *q = *out = pc_alloc_zero(mem, sizeof *q);
    if (!q)
        return PUSHERC_ENOMEM;
    q->mem = mem;
    q->settings = *settings;
    q->random = seed[2] | 1; /* xorshift cannot leave zero */
    q->batch_bytes = settings->batch_bytes;
    q->now_ms = now_ms;
    q->expected_ms = NEVER;
    q->stats.struct_size = sizeof q->stats;
    pthread_mutex_init(&q->mutex, NULL);
    pc_map_init(&q->lanes, mem, seed);
    pc_map_init(&q->subjects, mem, seed);
    pc_list_init(&q->all);
    pc_list_init(&q->ready);
    pc_timers_init(&q->timers, now_ms);
    return 0;
}

void pc_broadcast_queue_free(struct pc_broadcast_queue *q)
{
    if (!q)
        return;
    assert(q->count == 0);
    pc_map_free(&q->lanes);
    pc_map_free(&q->subjects);
    pthread_mutex_destroy(&q->mutex);
    pc_free(q->mem, q);
}

void pc_broadcast_queue_stop(struct pc_broadcast_queue *q, uint64_t now_ms)
{
    pthread_mutex_lock(&q->mutex);
    set_now(q, now_ms);
    q->stopping = true;
    q->pause_ms = 0;
    q->away = 0;
    PC_LIST_EACH(l, &q->all) {
        struct pc_broadcast_event *e = PC_CONTAINER(l, struct pc_broadcast_event, of_queue);
        if (e->state == PC_BROADCAST_RESTING) {
            pc_timer_stop(&q->timers, &e->timer);
            make_ready(e);
        }
    }
    pthread_mutex_unlock(&q->mutex);
}

void pc_broadcast_queue_cancel(struct pc_broadcast_queue *q, struct pc_broadcast_ended *ended)
{
    pthread_mutex_lock(&q->mutex);
    assert(q->under_way == 0);
    q->stopping = true;
    while (!pc_list_empty(&q->all))
        end(PC_CONTAINER(q->all.next, struct pc_broadcast_event, of_queue), PUSHERC_ECANCELED,
            ended);
    pthread_mutex_unlock(&q->mutex);
}

void pc_broadcast_queue_stats(struct pc_broadcast_queue *q, uint64_t now_ms,
                              pusherc_broadcast_stats *out)
{
    pthread_mutex_lock(&q->mutex);
    set_now(q, now_ms);
    *out = q->stats;
    out->queued = q->count;
    out->queued_bytes = q->bytes;
    out->under_way = q->under_way;
    out->paused_ms = q->pause_ms > q->now_ms ? q->pause_ms - q->now_ms : 0;
    if (!pc_list_empty(&q->all))
        out->oldest_ms =
            q->now_ms - PC_CONTAINER(q->all.next, struct pc_broadcast_event, of_queue)->since_ms;
    pthread_mutex_unlock(&q->mutex);
}

void pc_broadcast_queue_reason(struct pc_broadcast_queue *q, char *out, size_t cap)
{
    pthread_mutex_lock(&q->mutex);
    (void)snprintf(out, cap, "%s", q->reason);
    pthread_mutex_unlock(&q->mutex);
}
