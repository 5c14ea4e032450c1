/*
 * Random runs of broadcast/queue.c. The input bytes become a run: events of one or several channels are put, time
 * passes, batches are taken, and a carrier accepts, refuses, fails or is away. What must hold whatever happens: the
 * carrier accepts the events of a channel in the order in which they were put, each event ends once, a batch of several
 * has one channel for each event, no more requests than allowed are under way, and the counters add up. Of events with a
 * subject: those of one subject are accepted in order, at most one that may be replaced waits behind the last one with a
 * caller, and the newest one ends as any other, so its value is not lost.
 */
#ifndef TESTS_BROADCAST_MODEL_H
#define TESTS_BROADCAST_MODEL_H

#include <string.h>

#include "base/slice.h"
#include "broadcast/queue.h"
#include "require.h"
#include "unit/failing_alloc.h"

#define BM_CHANNELS  4
#define BM_UNDER_WAY 3
#define BM_EVENTS    4096
#define BM_KEYS      2
#define BM_SUBJECTS  (BM_CHANNELS * 3 * BM_KEYS) /* an event has 1 to 3 channels */

struct bm {
    struct failing_alloc alloc;
    struct pc_mem mem;
    struct pc_broadcast_queue *queue;
    struct pc_broadcast_batch *under_way[BM_UNDER_WAY];
    uint64_t now_ms;
    uint32_t put, ended, calls, calls_done;
    uint32_t merged;            /* as the queue has counted */
    uint32_t last[BM_CHANNELS]; /* number of the last accepted event of the channel, from 1 */
    uint32_t last_of[BM_SUBJECTS], newest[BM_SUBJECTS], with_caller[BM_SUBJECTS]; /* also from 1 */
    bool has_ended[BM_EVENTS], must_end[BM_EVENTS];
    bool stopped, can_fail;
};

static const pusherc_slice bm_channels[BM_CHANNELS] = {PUSHERC_LIT("a"), PUSHERC_LIT("b"),
                                                       PUSHERC_LIT("c"), PUSHERC_LIT("d")};
static const struct pc_broadcast_settings bm_settings = {.max_events = 40,
                                                         .max_bytes = 1 << 20,
                                                         .batch_bytes = 65536,
                                                         .batch_events = 5,
                                                         .max_under_way = BM_UNDER_WAY,
                                                         .retry_ms = 60000};

static inline uint32_t bm_number(const struct pc_broadcast_event *e)
{
    uint32_t n;
    REQUIRE(e->event.data.len == sizeof n);
    memcpy(&n, e->event.data.ptr, sizeof n);
    return n;
}

/* -1: it has none. */
static inline int bm_subject(const struct pc_broadcast_event *e)
{
    return e->subject.len ? e->subject.ptr[0] : -1;
}

static inline void bm_done(const pusherc_broadcast_result *result, void *user_data)
{
    (void)result;
    (void)user_data;
}

static inline void bm_take_ended(struct bm *m, struct pc_broadcast_ended *ended)
{
    while (!pc_list_empty(&ended->events)) {
        struct pc_broadcast_event *e =
            PC_CONTAINER(ended->events.next, struct pc_broadcast_event, of_queue);
        uint32_t n = bm_number(e);
        pc_list_remove(&e->of_queue);
        REQUIRE(!m->has_ended[n]);
        m->has_ended[n] = true;
        m->ended++;
        const int subject = bm_subject(e);
        if (e->code == 0 && subject >= 0) {
            REQUIRE(m->last_of[subject] < n + 1);
            m->last_of[subject] = n + 1;
        }
        for (size_t i = 0; subject < 0 && e->code == 0 && i < e->event.channel_count; i++) {
            uint32_t *last = &m->last[e->event.channels[i].ptr[0] - 'a'];
            REQUIRE(*last < n + 1);
            *last = n + 1;
        }
        pc_broadcast_event_free(&m->mem, e);
    }
    while (!pc_list_empty(&ended->calls)) {
        struct pc_broadcast_call *call =
            PC_CONTAINER(ended->calls.next, struct pc_broadcast_call, of_ended);
        pc_list_remove(&call->of_ended);
        REQUIRE(call->left == 0);
        m->calls_done++;
        pc_free(&m->mem, call);
    }
}

static inline void bm_note_put(struct bm *m, int subject, bool has_caller)
{
    m->must_end[m->put] = subject < 0 || has_caller;
    m->put++;
    if (subject >= 0)
        m->newest[subject] = m->put;
    if (subject >= 0 && has_caller)
        m->with_caller[subject] = m->put;
}

static inline void bm_put(struct bm *m, uint8_t byte)
{
    struct pc_broadcast_event *events[3];
    int subjects[3];
    struct pc_broadcast_call *call = NULL;
    const size_t count = 1 + byte % 3;
    size_t made = 0;
    bool wake;
    int err = 0;
    if (m->put + count > BM_EVENTS)
        return;
    for (; made < count && err == 0; made += err == 0) {
        pusherc_slice channels[3];
        size_t channel_count = byte & 0x10 ? 1 + (byte >> 5) % 3 : 1;
        uint32_t n = m->put + (uint32_t)made;
        for (size_t i = 0; i < channel_count; i++)
            channels[i] = bm_channels[((byte >> 2) + made + i) % BM_CHANNELS];
        const pusherc_event event = {.struct_size = sizeof event,
                                     .name = PUSHERC_LIT("n"),
                                     .channels = channels,
                                     .channel_count = channel_count,
                                     .data = {(const char *)&n, sizeof n}};
        const uint32_t key = n % (BM_KEYS + 1);
        const char subject =
            (char)((((byte >> 2) + made) % BM_CHANNELS * 3 + channel_count - 1) * BM_KEYS + key);
        events[made] =
            pc_broadcast_event_new(&m->mem, &event, PC_S("key"), pc_slice(&subject, key < BM_KEYS));
        err = events[made] ? 0 : PUSHERC_ENOMEM;
        subjects[made] = err ? -1 : bm_subject(events[made]);
    }
    if (err == 0 && byte & 0x80) {
        call = pc_alloc_zero(&m->mem, sizeof *call);
        err = call ? 0 : PUSHERC_ENOMEM;
        if (call) {
            pc_list_init(&call->of_ended);
            call->done = bm_done;
        }
    }
    if (err == 0)
        err = pc_broadcast_queue_put(m->queue, events, count, call, call ? 3000 : 60000, m->now_ms,
                                     &wake);
    REQUIRE(err == 0 || err == PUSHERC_ENOMEM || err == PUSHERC_EBACKLOG ||
            (err == PUSHERC_ESTATE && m->stopped));
    if (err == 0) {
        for (size_t i = 0; i < count; i++)
            bm_note_put(m, subjects[i], call != NULL);
        m->calls += call != NULL;
        return;
    }
    for (size_t i = 0; i < made; i++)
        pc_broadcast_event_free(&m->mem, events[i]);
    pc_free(&m->mem, call);
}

static inline void bm_take(struct bm *m)
{
    struct pc_broadcast_batch *batch = pc_broadcast_queue_take(m->queue, m->now_ms);
    size_t free = 0, count = 0;
    if (!batch)
        return;
    while (free < BM_UNDER_WAY && m->under_way[free])
        free++;
    REQUIRE(free < BM_UNDER_WAY);
    m->under_way[free] = batch;
    PC_LIST_EACH(l, &batch->events) {
        const struct pc_broadcast_event *e = PC_CONTAINER(l, struct pc_broadcast_event, of_state);
        REQUIRE(e->state == PC_BROADCAST_UNDER_WAY);
        REQUIRE(batch->count == 1 || e->event.channel_count == 1);
        count++;
    }
    REQUIRE(count == batch->count && count > 0 && count <= bm_settings.batch_events);
}

static inline void bm_answer(struct bm *m, size_t nth, uint8_t byte)
{
    struct pc_broadcast_ended ended;
    const struct pc_broadcast_answer answer = {
        .outcome = (enum pc_broadcast_outcome)(byte & 3),
        .code = byte & 3 ? (byte & 3) == PC_BROADCAST_REFUSED ? PUSHERC_EINVAL : PUSHERC_EIO : 0,
        .retry_after_ms = byte & 4 ? (uint32_t)(byte >> 3) * 100 : 0,
        .too_large = byte & 8,
        .reason = PC_S("a reason")};
    if (!m->under_way[nth])
        return;
    pc_list_init(&ended.events);
    pc_list_init(&ended.calls);
    pc_broadcast_queue_answer(m->queue, m->under_way[nth], &answer, m->now_ms, &ended);
    m->under_way[nth] = NULL;
    bm_take_ended(m, &ended);
}

static inline void bm_pass(struct bm *m, uint64_t ms)
{
    struct pc_broadcast_ended ended;
    m->now_ms += ms;
    pc_list_init(&ended.events);
    pc_list_init(&ended.calls);
    pc_broadcast_queue_run(m->queue, m->now_ms, &ended);
    bm_take_ended(m, &ended);
}

/* Events that may be replaced. The queue is not in use by another thread. */
static inline void bm_check_waiting(struct bm *m)
{
    uint32_t waiting[BM_SUBJECTS] = {0};
    PC_LIST_EACH(l, &m->queue->all) {
        const struct pc_broadcast_event *e = PC_CONTAINER(l, struct pc_broadcast_event, of_queue);
        const int subject = bm_subject(e);
        if (subject >= 0 && e->state != PC_BROADCAST_UNDER_WAY && !e->call &&
            bm_number(e) + 1 > m->with_caller[subject])
            waiting[subject]++;
    }
    for (size_t i = 0; i < BM_SUBJECTS && !m->can_fail; i++)
        REQUIRE(waiting[i] <= 1);
}

static inline void bm_check(struct bm *m)
{
    pusherc_broadcast_stats s;
    pc_broadcast_queue_stats(m->queue, m->now_ms, &s);
    m->merged = (uint32_t)s.merged;
    REQUIRE(s.in == m->put && s.queued == m->put - m->ended - m->merged);
    REQUIRE(s.queued <= bm_settings.max_events);
    bm_check_waiting(m);
    REQUIRE(s.accepted + s.refused + s.expired + s.canceled == m->ended);
    REQUIRE(s.under_way <= BM_UNDER_WAY && (s.queued > 0 || s.queued_bytes == 0));
}

static inline void bm_step(struct bm *m, uint8_t op, uint8_t byte)
{
    switch (op % 8) {
    case 0:
    case 1:
    case 2:
        bm_put(m, byte);
        break;
    case 3:
    case 4:
        bm_take(m);
        break;
    case 5:
    case 6:
        bm_answer(m, byte % BM_UNDER_WAY, (uint8_t)(op >> 3));
        break;
    case 7:
        if (op == 0xff && byte == 0xff) {
            pc_broadcast_queue_stop(m->queue, m->now_ms);
            m->stopped = true;
        } else {
            bm_pass(m, (uint64_t)byte * (op & 8 ? 100 : 1));
        }
        break;
    }
}

/* `fail_every`: of so many allocations one fails; 0 = none. */
static inline void bm_run(const uint8_t *data, size_t size, size_t fail_every)
{
    static const uint64_t seed[3] = {1, 2, 3};
    struct pc_broadcast_ended ended;
    struct bm *m = calloc(1, sizeof *m);
    REQUIRE(m);
    pusherc_allocator allocator = failing_alloc_init(&m->alloc, 0);
    m->mem = pc_mem_make(&allocator);
    m->now_ms = 1000000;
    REQUIRE(pc_broadcast_queue_new(&m->queue, &m->mem, &bm_settings, seed, m->now_ms) == 0);
    m->alloc.every = fail_every;
    m->can_fail = fail_every > 0;
    for (size_t i = 0; i + 1 < size; i += 2) {
        bm_step(m, data[i], data[i + 1]);
        bm_check(m);
    }
    for (size_t i = 0; i < BM_UNDER_WAY; i++)
        bm_answer(m, i, 0);
    pc_list_init(&ended.events);
    pc_list_init(&ended.calls);
    pc_broadcast_queue_cancel(m->queue, &ended);
    bm_take_ended(m, &ended);
    bm_check(m);
    REQUIRE(m->ended + m->merged == m->put && m->calls == m->calls_done);
    for (uint32_t i = 0; i < m->put; i++)
        REQUIRE(m->has_ended[i] || !m->must_end[i]);
    for (size_t i = 0; i < BM_SUBJECTS; i++)
        REQUIRE(m->newest[i] == 0 || m->has_ended[m->newest[i] - 1]);
    pc_broadcast_queue_free(m->queue);
    REQUIRE(failing_alloc_live(&m->alloc) == 0);
    free(m);
}

#endif
