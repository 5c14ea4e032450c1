/* What a broadcaster sends together, and when: order, batches, retries, deadlines, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broadcast_model.h"

struct fixture {
    struct failing_alloc alloc;
    struct pc_mem mem;
    struct pc_broadcast_queue *queue;
    struct pc_broadcast_ended ended;
    uint64_t now_ms;
    bool wake;
};

static const struct pc_broadcast_settings settings = {.max_events = 100,
                                                      .max_bytes = 1 << 20,
                                                      .batch_bytes = 65536,
                                                      .batch_events = 10,
                                                      .max_under_way = 4,
                                                      .retry_ms = 60000};

static int try_open(struct fixture *f, const struct pc_broadcast_settings *s, size_t fail_at)
{
    static const uint64_t seed[3] = {5, 6, 7};
    *f = (struct fixture){.now_ms = 1000000};
    pusherc_allocator allocator = failing_alloc_init(&f->alloc, fail_at);
    f->mem = pc_mem_make(&allocator);
    pc_list_init(&f->ended.events);
    pc_list_init(&f->ended.calls);
    return pc_broadcast_queue_new(&f->queue, &f->mem, s, seed, f->now_ms);
}

static void open_queue(struct fixture *f)
{
    assert_int_equal(try_open(f, &settings, 0), 0);
}

/* What has ended since the last look, as "data:code ..."; calls as "call:code ...". */
static const char *ended(struct fixture *f)
{
    static char text[1024];
    size_t len = 0;
    text[0] = '\0';
    while (!pc_list_empty(&f->ended.events)) {
        struct pc_broadcast_event *e =
            PC_CONTAINER(f->ended.events.next, struct pc_broadcast_event, of_queue);
        pc_list_remove(&e->of_queue);
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%.*s:%s", len ? " " : "",
                                (int)pc_slice_first(e->event.data, 4).len, e->event.data.ptr,
                                pusherc_err_name(e->code));
        pc_broadcast_event_free(&f->mem, e);
    }
    while (!pc_list_empty(&f->ended.calls)) {
        struct pc_broadcast_call *call =
            PC_CONTAINER(f->ended.calls.next, struct pc_broadcast_call, of_ended);
        pc_list_remove(&call->of_ended);
        len += (size_t)snprintf(text + len, sizeof text - len, "%scall:%s", len ? " " : "",
                                pusherc_err_name(call->code));
        pc_free(&f->mem, call);
    }
    return text;
}

static void close_queue(struct fixture *f)
{
    pc_broadcast_queue_cancel(f->queue, &f->ended);
    ended(f);
    pc_broadcast_queue_free(f->queue);
    assert_int_equal(failing_alloc_live(&f->alloc), 0);
}

/* `channels` "a" or "a,b"; each is one letter. */
static int try_put_key(struct fixture *f, const char *channels, const char *data, const char *key,
                       struct pc_broadcast_call *call, uint32_t timeout_ms)
{
    pusherc_slice names[8];
    pusherc_event event = PUSHERC_EVENT_INIT;
    for (const char *c = channels; *c; c += c[1] ? 2 : 1)
        names[event.channel_count++] = pc_slice(c, 1);
    event.name = PC_S("event");
    event.channels = names;
    event.data = pc_slice_of(data);
    struct pc_broadcast_event *e =
        pc_broadcast_event_new(&f->mem, &event, PC_S("k"), pc_slice_of(key));
    if (!e)
        return PUSHERC_ENOMEM;
    int err = pc_broadcast_queue_put(f->queue, &e, 1, call, timeout_ms, f->now_ms, &f->wake);
    if (err)
        pc_broadcast_event_free(&f->mem, e);
    return err;
}

static int try_put(struct fixture *f, const char *channels, const char *data,
                   struct pc_broadcast_call *call, uint32_t timeout_ms)
{
    return try_put_key(f, channels, data, "", call, timeout_ms);
}

/* An event that a newer one of the same channels and key replaces. */
static void put_key(struct fixture *f, const char *channels, const char *data, const char *key)
{
    assert_int_equal(try_put_key(f, channels, data, key, NULL, settings.retry_ms), 0);
}

static void put(struct fixture *f, const char *channels, const char *data)
{
    assert_int_equal(try_put(f, channels, data, NULL, settings.retry_ms), 0);
}

static struct pc_broadcast_batch *take(struct fixture *f)
{
    return pc_broadcast_queue_take(f->queue, f->now_ms);
}

/* The data of the batch's events, one after the other. */
static const char *text_of(const struct pc_broadcast_batch *batch)
{
    static char text[256];
    size_t len = 0;
    text[0] = '\0';
    if (!batch)
        return "nothing";
    PC_LIST_EACH(l, &batch->events) {
        const struct pc_broadcast_event *e = PC_CONTAINER(l, struct pc_broadcast_event, of_state);
        len += (size_t)snprintf(text + len, sizeof text - len, "%.*s", (int)e->event.data.len,
                                e->event.data.ptr);
    }
    return text;
}

static void answer_with(struct fixture *f, struct pc_broadcast_batch *batch,
                        const struct pc_broadcast_answer *answer)
{
    pc_broadcast_queue_answer(f->queue, batch, answer, f->now_ms, &f->ended);
}

static void answer(struct fixture *f, struct pc_broadcast_batch *batch,
                   enum pc_broadcast_outcome outcome)
{
    const struct pc_broadcast_answer answer = {.outcome = outcome,
                                               .code = outcome == PC_BROADCAST_ACCEPTED ? 0
                                                       : outcome == PC_BROADCAST_REFUSED
                                                           ? PUSHERC_EINVAL
                                                           : PUSHERC_EIO,
                                               .reason = PC_S("why")};
    answer_with(f, batch, &answer);
}

static void pass(struct fixture *f, uint64_t ms)
{
    f->now_ms += ms;
    pc_broadcast_queue_run(f->queue, f->now_ms, &f->ended);
}

/* The next batch, however long it takes; *waited in ms. */
static struct pc_broadcast_batch *wait_for(struct fixture *f, uint64_t *waited)
{
    const uint64_t since = f->now_ms;
    for (int i = 0; i < 10000; i++) {
        struct pc_broadcast_batch *batch = take(f);
        *waited = f->now_ms - since;
        if (batch)
            return batch;
        uint64_t wait = pc_broadcast_queue_next(f->queue, f->now_ms);
        assert_true(wait != UINT64_MAX);
        pass(f, wait ? wait : 1);
    }
    fail();
    return NULL;
}

static pusherc_broadcast_stats stats(struct fixture *f)
{
    pusherc_broadcast_stats s;
    pc_broadcast_queue_stats(f->queue, f->now_ms, &s);
    return s;
}

/* -- tests -- */

static void events_of_a_channel_wait_for_the_ones_before_them(void **state)
{
    struct fixture f;
    (void)state;
    open_queue(&f);
    put(&f, "a", "1");
    struct pc_broadcast_batch *first = take(&f);
    put(&f, "a", "2");
    put(&f, "b", "3");
    struct pc_broadcast_batch *other = take(&f);
    assert_string_equal(text_of(other), "3");
    assert_null(take(&f));
    answer(&f, first, PC_BROADCAST_ACCEPTED);
    struct pc_broadcast_batch *second = take(&f);
    assert_string_equal(text_of(second), "2");
    answer(&f, second, PC_BROADCAST_ACCEPTED);
    answer(&f, other, PC_BROADCAST_ACCEPTED);
    assert_string_equal(ended(&f), "1:OK 2:OK 3:OK");
    close_queue(&f);
}

static void an_event_of_several_channels_waits_for_all_of_them(void **state)
{
    struct fixture f;
    (void)state;
    open_queue(&f);
    put(&f, "a", "1");
    put(&f, "b", "2");
    put(&f, "a,b", "3");
    put(&f, "b", "4");
    struct pc_broadcast_batch *batch = take(&f);
    assert_string_equal(text_of(batch), "12");
    assert_null(take(&f));
    answer(&f, batch, PC_BROADCAST_ACCEPTED);
    batch = take(&f);
    assert_string_equal(text_of(batch), "3");
    assert_null(take(&f));
    answer(&f, batch, PC_BROADCAST_ACCEPTED);
    batch = take(&f);
    assert_string_equal(text_of(batch), "4");
    answer(&f, batch, PC_BROADCAST_ACCEPTED);
    close_queue(&f);
}

static void a_channel_that_is_named_twice_counts_once(void **state)
{
    struct fixture f;
    (void)state;
    open_queue(&f);
    put(&f, "a,a", "1");
    put(&f, "a", "2");
    struct pc_broadcast_batch *batch = take(&f);
    assert_string_equal(text_of(batch), "12");
    answer(&f, batch, PC_BROADCAST_ACCEPTED);
    close_queue(&f);
}

static void what_waits_goes_together_in_order(void **state)
{
    struct fixture f;
    char data[2] = "0";
    (void)state;
    open_queue(&f);
    for (int i = 0; i < 25; i++) {
        data[0] = (char)('a' + i);
        put(&f, i % 5 == 4 ? "b" : "a", data);
    }
    struct pc_broadcast_batch *batch = take(&f);
    assert_string_equal(text_of(batch), "abcdfghikl");
    struct pc_broadcast_batch *other = take(&f);
    assert_string_equal(text_of(other), "ejoty");
    answer(&f, batch, PC_BROADCAST_ACCEPTED);
    batch = take(&f);
    assert_string_equal(text_of(batch), "mnpqrsuvwx");
    answer(&f, batch, PC_BROADCAST_ACCEPTED);
    answer(&f, other, PC_BROADCAST_ACCEPTED);
    assert_int_equal(stats(&f).accepted, 25);
    assert_int_equal(stats(&f).requests, 3);
    close_queue(&f);
}

static void a_batch_is_not_larger_than_its_bytes(void **state)
{
    struct fixture f;
    static char large[40001];
    (void)state;
    memset(large, 'x', sizeof large - 1);
    open_queue(&f);
    put(&f, "a", large);
    put(&f, "b", large);
    struct pc_broadcast_batch *one = take(&f), *two = take(&f);
    assert_int_equal(one->count, 1);
    assert_int_equal(two->count, 1);
    answer(&f, one, PC_BROADCAST_ACCEPTED);
    answer(&f, two, PC_BROADCAST_ACCEPTED);
    ended(&f);
    /* a carrier that takes less than that: batches become smaller, and the events are not refused */
    large[3000] = '\0';
    for (int i = 0; i < 8; i++)
        put(&f, "a", large);
    one = take(&f);
    assert_int_equal(one->count, 8);
    const struct pc_broadcast_answer too_large = {
        .outcome = PC_BROADCAST_REFUSED, .code = PUSHERC_ELIMIT, .too_large = true};
    answer_with(&f, one, &too_large);
    one = take(&f);
    assert_int_equal(one->count, 4);
    answer_with(&f, one, &too_large);
    for (int left = 8; left > 0; left -= 2) {
        one = take(&f);
        assert_int_equal(one->count, 2);
        answer(&f, one, PC_BROADCAST_ACCEPTED);
    }
    assert_int_equal(stats(&f).refused, 0);
    close_queue(&f);
}

static void a_refused_batch_is_sent_one_by_one(void **state)
{
    struct fixture f;
    (void)state;
    open_queue(&f);
    put(&f, "a", "1");
    put(&f, "a", "2");
    put(&f, "b", "3");
    struct pc_broadcast_batch *batch = take(&f);
    assert_string_equal(text_of(batch), "123");
    answer(&f, batch, PC_BROADCAST_REFUSED);
    assert_string_equal(ended(&f), "");
    struct pc_broadcast_batch *one = take(&f), *three = take(&f);
    assert_string_equal(text_of(one), "1");
    assert_string_equal(text_of(three), "3");
    assert_null(take(&f));
    answer(&f, one, PC_BROADCAST_REFUSED);
    assert_string_equal(ended(&f), "1:EINVAL");
    batch = take(&f);
    assert_string_equal(text_of(batch), "2");
    answer(&f, batch, PC_BROADCAST_ACCEPTED);
    answer(&f, three, PC_BROADCAST_ACCEPTED);
    assert_string_equal(ended(&f), "2:OK 3:OK");
    assert_int_equal(stats(&f).refused, 1);
    close_queue(&f);
}

static void a_failed_request_rests_longer_each_time_and_others_do_not_wait(void **state)
{
    struct fixture f;
    uint64_t waited, expected = PC_BROADCAST_FIRST_RETRY_MS;
    (void)state;
    open_queue(&f);
    put(&f, "a", "1");
    struct pc_broadcast_batch *batch = take(&f);
    answer(&f, batch, PC_BROADCAST_FAILED);
    put(&f, "a", "2");
    put(&f, "b", "3");
    batch = take(&f);
    assert_string_equal(text_of(batch), "3");
    answer(&f, batch, PC_BROADCAST_ACCEPTED);
    for (int i = 0; i < 5; i++) {
        batch = wait_for(&f, &waited);
        assert_in_range(waited, expected - expected / 4,
                        expected + expected / 4 + PC_TIMER_SLOT_MS);
        assert_int_equal(text_of(batch)[0], '1');
        assert_true(batch->again);
        answer(&f, batch, PC_BROADCAST_FAILED);
        expected *= 2;
    }
    batch = wait_for(&f, &waited);
    answer(&f, batch, PC_BROADCAST_ACCEPTED);
    if (batch = take(&f), batch)
        answer(&f, batch, PC_BROADCAST_ACCEPTED);
    assert_int_equal(stats(&f).accepted, 3);
    assert_int_equal(stats(&f).failures, 6);
    close_queue(&f);
}

static void events_that_fail_together_twice_are_sent_alone(void **state)
{
    struct fixture f;
    uint64_t waited;
    (void)state;
    open_queue(&f);
    put(&f, "a", "1");
    put(&f, "b", "2");
    answer(&f, take(&f), PC_BROADCAST_FAILED);
    struct pc_broadcast_batch *batch = wait_for(&f, &waited);
    assert_string_equal(text_of(batch), "12");
    answer(&f, batch, PC_BROADCAST_FAILED);
    batch = wait_for(&f, &waited);
    assert_int_equal(batch->count, 1);
    answer(&f, batch, PC_BROADCAST_ACCEPTED);
    batch = wait_for(&f, &waited);
    assert_int_equal(batch->count, 1);
    answer(&f, batch, PC_BROADCAST_ACCEPTED);
    close_queue(&f);
}

static void a_carrier_that_is_away_is_asked_by_one_request_at_a_time(void **state)
{
    struct fixture f;
    uint64_t waited;
    (void)state;
    open_queue(&f);
    put(&f, "a,b", "1");
    put(&f, "c,d", "2");
    struct pc_broadcast_batch *one = take(&f), *two = take(&f);
    answer(&f, one, PC_BROADCAST_AWAY);
    answer(&f, two, PC_BROADCAST_AWAY);
    put(&f, "e", "3");
    assert_null(take(&f));
    assert_true(stats(&f).paused_ms > 0);
    one = wait_for(&f, &waited);
    assert_true(waited >= PC_BROADCAST_FIRST_RETRY_MS / 2);
    assert_null(take(&f));
    answer(&f, one, PC_BROADCAST_ACCEPTED);
    one = take(&f), two = take(&f);
    assert_non_null(one);
    assert_non_null(two);
    answer(&f, one, PC_BROADCAST_ACCEPTED);
    answer(&f, two, PC_BROADCAST_ACCEPTED);
    close_queue(&f);
}

static void retry_after_is_heeded(void **state)
{
    struct fixture f;
    uint64_t waited;
    (void)state;
    open_queue(&f);
    put(&f, "a", "1");
    const struct pc_broadcast_answer later = {.outcome = PC_BROADCAST_AWAY,
                                              .code = PUSHERC_ELIMIT,
                                              .status = 429,
                                              .retry_after_ms = 7000,
                                              .reason = PC_S("answered 429")};
    answer_with(&f, take(&f), &later);
    put(&f, "b", "2"); /* neither it nor a new event is sent earlier */
    struct pc_broadcast_batch *batch = wait_for(&f, &waited);
    assert_in_range(waited, 7000, 7000 + 7000 / 8 + PC_TIMER_SLOT_MS);
    assert_string_equal(text_of(batch), "12");
    answer(&f, batch, PC_BROADCAST_ACCEPTED);
    close_queue(&f);
}

static void an_event_that_is_too_late_ends_and_lets_the_next_one_go(void **state)
{
    struct fixture f;
    (void)state;
    open_queue(&f);
    assert_int_equal(try_put(&f, "a", "1", NULL, 1000), 0);
    answer(&f, take(&f), PC_BROADCAST_AWAY);
    const struct pc_broadcast_answer away = {.outcome = PC_BROADCAST_AWAY, .retry_after_ms = 5000};
    put(&f, "a", "2");
    pass(&f, 500);
    struct pc_broadcast_batch *batch = take(&f);
    assert_string_equal(text_of(batch), "12");
    answer_with(&f, batch, &away);
    pass(&f, 600);
    assert_string_equal(ended(&f), "1:ETIMEDOUT");
    assert_int_equal(stats(&f).expired, 1);
    pass(&f, 6000);
    batch = take(&f);
    assert_string_equal(text_of(batch), "2");
    /* the time of one that is under way passes: it counts if it is accepted after all */
    pass(&f, settings.retry_ms);
    assert_string_equal(ended(&f), "");
    answer(&f, batch, PC_BROADCAST_ACCEPTED);
    assert_string_equal(ended(&f), "2:OK");
    put(&f, "a", "3");
    batch = take(&f);
    pass(&f, settings.retry_ms + 100);
    answer(&f, batch, PC_BROADCAST_FAILED);
    assert_string_equal(ended(&f), "3:ETIMEDOUT");
    close_queue(&f);
}

static struct pc_broadcast_call *call_new(struct fixture *f)
{
    struct pc_broadcast_call *call = pc_alloc_zero(&f->mem, sizeof *call);
    assert_non_null(call);
    pc_list_init(&call->of_ended);
    return call;
}

static void a_call_hears_once_at_its_deadline_at_the_latest(void **state)
{
    struct fixture f;
    (void)state;
    open_queue(&f);
    assert_int_equal(try_put(&f, "a", "1", call_new(&f), 1000), 0);
    struct pc_broadcast_batch *batch = take(&f);
    answer(&f, batch, PC_BROADCAST_ACCEPTED);
    assert_string_equal(ended(&f), "1:OK call:OK");
    assert_int_equal(try_put(&f, "a", "2", call_new(&f), 1000), 0);
    batch = take(&f);
    pass(&f, 1100); /* under way: the caller hears, the event goes on */
    assert_string_equal(ended(&f), "call:ETIMEDOUT");
    answer(&f, batch, PC_BROADCAST_ACCEPTED);
    assert_string_equal(ended(&f), "2:OK");
    assert_int_equal(try_put(&f, "a", "3", call_new(&f), 1000), 0);
    answer(&f, take(&f), PC_BROADCAST_REFUSED);
    assert_string_equal(ended(&f), "3:EINVAL call:EINVAL");
    close_queue(&f);
}

static void limits_of_events_and_bytes_refuse_to_the_caller(void **state)
{
    struct fixture f;
    const struct pc_broadcast_settings few = {.max_events = 2,
                                              .max_bytes = 1500,
                                              .batch_bytes = 65536,
                                              .batch_events = 10,
                                              .max_under_way = 4};
    static char large[1401];
    (void)state;
    memset(large, 'x', sizeof large - 1);
    assert_int_equal(try_open(&f, &few, 0), 0);
    assert_int_equal(try_put(&f, "a", large, NULL, 1000), PUSHERC_EBACKLOG);
    put(&f, "a", "1");
    put(&f, "b", "2");
    assert_int_equal(try_put(&f, "c", "3", NULL, 1000), PUSHERC_EBACKLOG);
    assert_int_equal(stats(&f).rejected, 2);
    assert_int_equal(stats(&f).queued, 2);
    answer(&f, take(&f), PC_BROADCAST_ACCEPTED);
    put(&f, "c", "3");
    pass(&f, 250);
    assert_int_equal(stats(&f).oldest_ms, 250);
    close_queue(&f);
}

static void an_idle_queue_wakes_its_thread_once(void **state)
{
    struct fixture f;
    (void)state;
    open_queue(&f);
    assert_true(pc_broadcast_queue_next(f.queue, f.now_ms) == UINT64_MAX);
    put(&f, "a", "1");
    assert_true(f.wake);
    put(&f, "b", "2");
    assert_false(f.wake);
    answer(&f, take(&f), PC_BROADCAST_ACCEPTED);
    assert_true(pc_broadcast_queue_next(f.queue, f.now_ms) == UINT64_MAX);
    put(&f, "a", "3");
    assert_true(f.wake);
    close_queue(&f);
}

static void a_stop_refuses_new_events_and_sends_what_rests_at_once(void **state)
{
    struct fixture f;
    (void)state;
    open_queue(&f);
    put(&f, "a,b", "1");
    put(&f, "c,d", "2");
    struct pc_broadcast_batch *one = take(&f), *two = take(&f);
    answer(&f, one, PC_BROADCAST_FAILED);
    answer(&f, two, PC_BROADCAST_AWAY);
    assert_null(take(&f));
    pc_broadcast_queue_stop(f.queue, f.now_ms);
    assert_int_equal(try_put(&f, "e", "3", NULL, 1000), PUSHERC_ESTATE);
    one = take(&f), two = take(&f);
    answer(&f, one, PC_BROADCAST_ACCEPTED);
    answer(&f, two, PC_BROADCAST_FAILED);
    pc_broadcast_queue_cancel(f.queue, &f.ended);
    const char *text = ended(&f);
    assert_true(strcmp(text, "1:OK 2:ECANCELED") == 0 || strcmp(text, "2:OK 1:ECANCELED") == 0);
    close_queue(&f);
}

static void memory_that_runs_out_fails_one_call(void **state)
{
    bool failed = true;
    (void)state;
    for (size_t n = 1; failed; n++) {
        struct fixture f;
        int err = try_open(&f, &settings, n);
        if (err == 0) {
            static const char *const channels[] = {"a", "a,b,c", "d"};
            size_t accepted = 0;
            for (size_t i = 0; i < 3; i++)
                accepted += try_put(&f, channels[i], "1", NULL, 60000) == 0;
            for (size_t ended_count = 0; ended_count < accepted;) {
                uint64_t waited;
                struct pc_broadcast_batch *batch = wait_for(&f, &waited);
                ended_count += batch->count;
                answer(&f, batch, PC_BROADCAST_ACCEPTED);
            }
            failed = failing_alloc_hit(&f.alloc);
            assert_true(failed || accepted == 3);
            close_queue(&f);
        }
        assert_int_equal(failing_alloc_live(&f.alloc), 0);
    }
}

/* -- conflation -- */

static void a_newer_event_takes_the_place_of_the_one_that_waits(void **state)
{
    struct fixture f;
    (void)state;
    open_queue(&f);
    put_key(&f, "a", "1", "k");
    put(&f, "a", "2");
    put_key(&f, "a", "3", "l");
    put_key(&f, "b", "4", "k of b");
    const uint64_t bytes = stats(&f).queued_bytes;
    put_key(&f, "a", "5", "k");
    put_key(&f, "a", "6", "k");
    assert_int_equal(stats(&f).queued_bytes, bytes);
    struct pc_broadcast_batch *batch = take(&f);
    assert_string_equal(text_of(batch), "6234");
    answer(&f, batch, PC_BROADCAST_ACCEPTED);
    const pusherc_broadcast_stats s = stats(&f);
    assert_int_equal(s.in, 6);
    assert_int_equal(s.merged, 2);
    assert_int_equal(s.accepted, 4);
    assert_int_equal(s.queued, 0);
    close_queue(&f);
}

static void what_is_under_way_is_not_replaced_but_not_repeated_either(void **state)
{
    struct fixture f;
    (void)state;
    open_queue(&f);
    put_key(&f, "a", "1", "k");
    struct pc_broadcast_batch *batch = take(&f);
    put_key(&f, "a", "2", "k");
    put_key(&f, "a", "3", "k");
    assert_int_equal(stats(&f).queued, 2);
    answer(&f, batch, PC_BROADCAST_FAILED);
    batch = take(&f); /* the older one is gone, so nothing has to rest */
    assert_string_equal(text_of(batch), "3");
    answer(&f, batch, PC_BROADCAST_ACCEPTED);
    assert_string_equal(ended(&f), "3:OK");
    put_key(&f, "a", "4", "k");
    batch = take(&f);
    put_key(&f, "a", "5", "k");
    answer(&f, batch, PC_BROADCAST_ACCEPTED);
    answer(&f, take(&f), PC_BROADCAST_REFUSED);
    assert_string_equal(ended(&f), "4:OK 5:EINVAL");
    assert_int_equal(stats(&f).merged, 2);
    close_queue(&f);
}

static void an_event_whose_caller_waits_is_sent_and_keeps_its_place(void **state)
{
    struct fixture f;
    (void)state;
    open_queue(&f);
    put_key(&f, "a", "1", "k");
    assert_int_equal(try_put_key(&f, "a", "2", "k", call_new(&f), 1000), 0);
    put_key(&f, "a", "3", "k");
    put_key(&f, "a", "4", "k");
    struct pc_broadcast_batch *batch = take(&f);
    assert_string_equal(text_of(batch), "124");
    answer(&f, batch, PC_BROADCAST_ACCEPTED);
    assert_string_equal(ended(&f), "1:OK 2:OK 4:OK call:OK");
    close_queue(&f);
}

/* A key that changes all the time rests as long as one that does not, and longer each time. */
static void a_newer_event_rests_as_long_as_the_one_before_it(void **state)
{
    struct fixture f;
    uint64_t waited, before = 0;
    (void)state;
    open_queue(&f);
    put_key(&f, "a", "0", "k");
    for (int i = 0; i < 6; i++) {
        struct pc_broadcast_batch *batch = wait_for(&f, &waited);
        assert_int_equal(batch->count, 1);
        if (i == 5)
            assert_true(waited > 2000 && before > 1000);
        before = waited;
        answer(&f, batch, PC_BROADCAST_FAILED);
        put_key(&f, "a", "1", "k");
        assert_null(take(&f));
    }
    assert_int_equal(stats(&f).merged, 6);
    close_queue(&f);
}

static void a_full_queue_takes_newer_values_of_what_waits(void **state)
{
    struct fixture f;
    const struct pc_broadcast_settings few = {.max_events = 2,
                                              .max_bytes = 1000,
                                              .batch_bytes = 65536,
                                              .batch_events = 10,
                                              .max_under_way = 4};
    static char large[1401];
    (void)state;
    memset(large, 'x', sizeof large - 1);
    assert_int_equal(try_open(&f, &few, 0), 0);
    put_key(&f, "a", "1", "k");
    put_key(&f, "a", "2", "l");
    assert_int_equal(try_put_key(&f, "a", "3", "m", NULL, 1000), PUSHERC_EBACKLOG);
    for (int i = 0; i < 1000; i++)
        put_key(&f, "a", "4", i % 2 ? "k" : "l");
    assert_int_equal(try_put_key(&f, "a", large, "k", NULL, 1000), PUSHERC_EBACKLOG);
    assert_int_equal(stats(&f).queued, 2);
    assert_int_equal(stats(&f).merged, 1000);
    assert_int_equal(stats(&f).rejected, 2);
    close_queue(&f);
}

static void events_of_one_call_replace_each_other_too(void **state)
{
    struct fixture f;
    struct pc_broadcast_event *events[3];
    const pusherc_slice channel = PC_S("a");
    pusherc_event event = PUSHERC_EVENT_INIT;
    (void)state;
    open_queue(&f);
    event.name = PC_S("event");
    event.channels = &channel, event.channel_count = 1;
    for (size_t i = 0; i < 3; i++) {
        event.data = pc_slice_of(&"1\0002\0003"[2 * i]);
        events[i] =
            pc_broadcast_event_new(&f.mem, &event, PC_S(""), i == 1 ? PC_S("l") : PC_S("k"));
        assert_non_null(events[i]);
    }
    assert_int_equal(pc_broadcast_queue_put(f.queue, events, 3, NULL, 1000, f.now_ms, &f.wake), 0);
    struct pc_broadcast_batch *batch = take(&f);
    assert_string_equal(text_of(batch), "23");
    answer(&f, batch, PC_BROADCAST_ACCEPTED);
    assert_int_equal(stats(&f).merged, 1);
    close_queue(&f);
}

static void a_value_that_is_too_late_does_not_bring_the_older_one_back(void **state)
{
    struct fixture f;
    (void)state;
    open_queue(&f);
    put_key(&f, "a", "1", "k");
    answer(&f, take(&f), PC_BROADCAST_AWAY);
    put_key(&f, "a", "2", "k");
    pass(&f, settings.retry_ms + 100);
    assert_string_equal(ended(&f), "2:ETIMEDOUT");
    put_key(&f, "a", "3", "k"); /* the table has forgotten it */
    assert_int_equal(stats(&f).queued, 1);
    close_queue(&f);
}

/* -- random runs -- */

static void random_runs_keep_the_promises(void **state)
{
    static uint8_t bytes[6000];
    uint64_t random = 88172645463325252u;
    (void)state;
    for (int run = 0; run < 150; run++) {
        for (size_t i = 0; i < sizeof bytes; i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            bytes[i] = (uint8_t)(random >> 33);
        }
        bm_run(bytes, sizeof bytes, run % 3 ? 0 : 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_of_a_channel_wait_for_the_ones_before_them),
        cmocka_unit_test(an_event_of_several_channels_waits_for_all_of_them),
        cmocka_unit_test(a_channel_that_is_named_twice_counts_once),
        cmocka_unit_test(what_waits_goes_together_in_order),
        cmocka_unit_test(a_batch_is_not_larger_than_its_bytes),
        cmocka_unit_test(a_refused_batch_is_sent_one_by_one),
        cmocka_unit_test(a_failed_request_rests_longer_each_time_and_others_do_not_wait),
        cmocka_unit_test(events_that_fail_together_twice_are_sent_alone),
        cmocka_unit_test(a_carrier_that_is_away_is_asked_by_one_request_at_a_time),
        cmocka_unit_test(retry_after_is_heeded),
        cmocka_unit_test(an_event_that_is_too_late_ends_and_lets_the_next_one_go),
        cmocka_unit_test(a_call_hears_once_at_its_deadline_at_the_latest),
        cmocka_unit_test(limits_of_events_and_bytes_refuse_to_the_caller),
        cmocka_unit_test(an_idle_queue_wakes_its_thread_once),
        cmocka_unit_test(a_stop_refuses_new_events_and_sends_what_rests_at_once),
        cmocka_unit_test(memory_that_runs_out_fails_one_call),
        cmocka_unit_test(a_newer_event_takes_the_place_of_the_one_that_waits),
        cmocka_unit_test(what_is_under_way_is_not_replaced_but_not_repeated_either),
        cmocka_unit_test(an_event_whose_caller_waits_is_sent_and_keeps_its_place),
        cmocka_unit_test(a_newer_event_rests_as_long_as_the_one_before_it),
        cmocka_unit_test(a_full_queue_takes_newer_values_of_what_waits),
        cmocka_unit_test(events_of_one_call_replace_each_other_too),
        cmocka_unit_test(a_value_that_is_too_late_does_not_bring_the_older_one_back),
        cmocka_unit_test(random_runs_keep_the_promises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
