/* A crowded channel: its events wait for those of others when the worker is behind, and keep their order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine_fixture.h"
#include "fanout/local.h"
#include "session/member.h"

#define CROWD (PC_CROWD + 1)

struct fixture {
    struct fx fx;
    struct pc_worker *worker;
    struct fx_client crowd[CROWD], other, late;
};

static int set_up(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof f);
    fx_open(&f.fx, 1);
    f.worker = &f.fx.engine->workers[0];
    for (size_t i = 0; i < CROWD; i++) {
        fx_connect(&f.fx, &f.crowd[i], 0);
        fx_subscribe(&f.crowd[i], "crowd");
        fx_heard(&f.crowd[i]);
    }
    fx_connect(&f.fx, &f.other, 0);
    fx_subscribe(&f.other, "few");
    fx_heard(&f.other);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < CROWD; i++)
        if (f->crowd[i].fx)
            fx_disconnect(&f->crowd[i]);
    fx_disconnect(&f->other);
    fx_settle(&f->fx);
    fx_close(&f->fx);
    return failing_alloc_live(&f->fx.alloc) == 0 ? 0 : -1;
}

static uint64_t now_ns;

static uint64_t clock_ns(void)
{
    return now_ns++; /* each look takes a nanosecond */
}

/* A turn that has time for so many looks at the clock. */
static void run_for(struct fixture *f, uint64_t looks)
{
    now_ns = 0;
    assert_true(pc_mailbox_run_until(f->worker->mailbox, f->worker, clock_ns, looks));
}

static void publish(struct fixture *f, const char *channel, const char *data)
{
    assert_int_equal(fx_publish(&f->fx, channel, "e", data), 0);
}

/* The worker is behind, and has "1" of four events for the crowd. */
static void fall_behind(struct fixture *f)
{
    static const char *const all[] = {"1", "2", "3", "4"};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        publish(f, "crowd", all[i]);
    run_for(f, 0);
    assert_true(f->worker->mailbox->behind);
    assert_int_equal(f->crowd[0].q.count, 1);
}

static void expect_order(struct fixture *f, size_t i)
{
    const char *at = fx_heard(&f->crowd[i]);
    for (char n = '1'; n <= '4'; n++) {
        const char data[] = {'"', 'd', 'a', 't', 'a', '"', ':', '"', n, '"', '\0'};
        at = strstr(at, data);
        assert_non_null(at);
    }
}

static void events_for_few_overtake_those_for_a_crowd(void **state)
{
    struct fixture *f = *state;
    fall_behind(f);
    run_for(f, 3); /* all are set aside, and one is delivered */
    assert_int_equal(f->crowd[0].q.count, 2);
    publish(f, "few", "5");
    for (int i = 0; i < 2; i++)
        run_for(f, 0); /* one of either kind */
    assert_int_equal(f->other.q.count, 1);
    assert_int_equal(f->crowd[0].q.count, 3);
    for (size_t i = 0; i < CROWD; i++)
        expect_order(f, i);
    assert_non_null(strstr(fx_heard(&f->other), "\"data\":\"5\""));
}

static void what_is_for_a_crowd_is_written_last(void **state)
{
    struct fixture *f = *state;
    publish(f, "crowd", "1");
    publish(f, "few", "2");
    while (pc_mailbox_run(f->worker->mailbox, f->worker))
        ;
    assert_ptr_equal(f->worker->dirty.next, &f->other.q.dirty);
    assert_ptr_equal(f->worker->dirty.prev, &f->other.q.dirty);
    assert_ptr_equal(f->worker->bulk.next->prev, &f->worker->bulk);
    assert_int_equal(f->crowd[0].q.count, 1);
    assert_false(pc_list_empty(&f->worker->bulk));
}

static void a_crowd_that_shrinks_keeps_its_order(void **state)
{
    struct fixture *f = *state;
    fall_behind(f);
    run_for(f, 3);
    for (size_t i = 2; i < CROWD; i++)
        fx_disconnect(&f->crowd[i]), f->crowd[i].fx = NULL;
    expect_order(f, 0);
    expect_order(f, 1);
}

static void a_crowd_that_leaves_gets_nothing_and_who_comes_then_nothing_of_before(void **state)
{
    struct fixture *f = *state;
    fall_behind(f);
    run_for(f, 3);
    assert_true(f->worker->mailbox->behind);
    for (size_t i = 0; i < CROWD; i++)
        fx_disconnect(&f->crowd[i]), f->crowd[i].fx = NULL;
    fx_connect(&f->fx, &f->late, 0);
    fx_subscribe(&f->late, "crowd");
    publish(f, "crowd", "6");
    const char *heard = fx_heard(&f->late);
    for (char n = '2'; n <= '4'; n++) {
        const char data[] = {'"', ':', '"', n, '"', '\0'};
        assert_null(strstr(heard, data));
    }
    assert_non_null(strstr(heard, "\"data\":\"6\""));
    assert_false(f->worker->mailbox->behind);
    fx_disconnect(&f->late);
}

static void a_worker_that_ends_lets_go_of_what_waits(void **state)
{
    struct fixture *f = *state;
    fall_behind(f);
    run_for(f, 3);
    pc_mailbox_close(f->worker->mailbox);
}

/* -- an event in slices -- */

#define MANY (5 * PC_CROWD_SLICE / 2)

struct many {
    struct fx fx;
    struct pc_worker *worker;
    struct fx_client clients[MANY], other;
    unsigned from[MANY]; /* the client gets the events from this one on; 0 = has left */
};

/* All but the last `absent` clients are in the channel. */
static struct many *open_many(size_t absent)
{
    struct many *m = calloc(1, sizeof *m);
    assert_non_null(m);
    fx_open(&m->fx, 1);
    m->worker = &m->fx.engine->workers[0];
    for (size_t i = 0; i < MANY; i++)
        fx_connect(&m->fx, &m->clients[i], 0);
    for (size_t i = 0; i < MANY - absent; i++)
        fx_subscribe(&m->clients[i], "crowd"), m->from[i] = 1;
    fx_connect(&m->fx, &m->other, 0);
    fx_subscribe(&m->other, "few");
    fx_settle(&m->fx);
    for (size_t i = 0; i < MANY; i++)
        fx_forget(&m->clients[i]);
    return m;
}

static void close_many(struct many *m)
{
    for (size_t i = 0; i < MANY; i++)
        fx_disconnect(&m->clients[i]);
    fx_disconnect(&m->other);
    fx_settle(&m->fx);
    fx_close(&m->fx);
    assert_int_equal(failing_alloc_live(&m->fx.alloc), 0);
    free(m);
}

/* A turn without time: what runs in any case. */
static void run_least(struct many *m)
{
    now_ns = 0;
    pc_mailbox_run_until(m->worker->mailbox, m->worker, clock_ns, 0);
}

static size_t with_queue(const struct many *m)
{
    size_t n = 0;
    for (size_t i = 0; i < MANY; i++)
        n += m->clients[i].q.count > 0;
    return n;
}

static void an_event_for_thousands_does_not_hold_up_others(void **state)
{
    struct many *m = open_many(0);
    (void)state;
    m->fx.engine->clock_ns = clock_ns;
    assert_int_equal(fx_publish(&m->fx, "crowd", "e", "1"), 0);
    run_least(m);
    assert_int_equal(with_queue(m), PC_CROWD_SLICE);
    assert_int_equal(m->worker->timed_count, 0);
    uint32_t waits = 0, most = 0;
    pc_mailbox_depth(m->worker->mailbox, &waits, &most);
    assert_int_equal(waits, 1);
    assert_int_equal(fx_publish(&m->fx, "few", "e", "2"), 0);
    for (int i = 0; i < 2; i++)
        run_least(m);
    assert_int_equal(with_queue(m), 2 * PC_CROWD_SLICE);
    assert_int_equal(m->other.q.count, 1);
    assert_int_equal(m->worker->timed_count, 1); /* the other one */
    run_least(m);
    assert_int_equal(with_queue(m), MANY);
    assert_int_equal(m->worker->timed_count, 2);
    assert_false(m->worker->mailbox->behind);
    close_many(m);
}

static void an_event_for_thousands_is_one_piece_while_there_is_time(void **state)
{
    struct many *m = open_many(0);
    (void)state;
    assert_int_equal(fx_publish(&m->fx, "crowd", "e", "1"), 0);
    now_ns = 0;
    pc_mailbox_run_until(m->worker->mailbox, m->worker, clock_ns, 100);
    assert_int_equal(with_queue(m), MANY);
    close_many(m);
}

/* Each client has heard each event since it came once, in order, up to `last`. */
static void expect_all(struct many *m, unsigned last)
{
    for (size_t i = 0; i < MANY; i++) {
        const char *at = m->from[i] ? fx_heard(&m->clients[i]) : "";
        for (unsigned n = m->from[i]; m->from[i] && n <= last; n++) {
            char data[32];
            snprintf(data, sizeof data, "\"data\":\"%u\"", n);
            at = strstr(at, "\"event\":\"e\"");
            assert_non_null(at);
            at = strstr(at, "\"data\"");
            assert_memory_equal(at, data, strlen(data));
        }
        assert_null(strstr(at, "\"event\":\"e\""));
    }
}

static void leave(struct many *m, size_t i)
{
    fx_unsubscribe(&m->clients[i], "crowd");
    m->from[i] = 0;
}

/* All that the event has not reached which is under way. */
static void the_others_leave(struct many *m)
{
    for (size_t i = 0; i < MANY; i++) {
        const struct pc_subscription *sub =
            pc_session_subscription(&m->clients[i].session, PC_S("crowd"));
        if (sub && sub->local->reached && sub->index >= sub->local->reached)
            leave(m, i);
    }
}

static void clients_come_and_leave_between_slices(void **state)
{
    struct many *m = open_many(MANY / 3);
    unsigned published = 0, seed = 7;
    (void)state;
    for (int turn = 0; turn < 200; turn++) {
        if (turn % 3 > 0) {
            char data[16];
            snprintf(data, sizeof data, "%u", ++published);
            assert_int_equal(fx_publish(&m->fx, "crowd", "e", data), 0);
        }
        if (turn % 10 == 9)
            the_others_leave(m);
        for (int n = 0; n < 40; n++) {
            seed = seed * 1103515245 + 12345;
            size_t i = (seed >> 8) % MANY;
            if (m->from[i]) {
                leave(m, i);
            } else {
                fx_disconnect(&m->clients[i]);
                fx_connect(&m->fx, &m->clients[i], 0);
                fx_subscribe(&m->clients[i], "crowd");
                m->from[i] = published + 1;
            }
        }
        run_least(m);
    }
    assert_true(m->worker->mailbox->behind);
    expect_all(m, published);
    close_many(m);
}

/* Of a crowd that an event has reached in part those leave that it has not reached, and then others. */
static void those_that_have_it_may_be_all_that_stay(void **state)
{
    struct many *m = open_many(0);
    (void)state;
    assert_int_equal(fx_publish(&m->fx, "crowd", "e", "1"), 0);
    run_least(m);
    for (size_t i = 0; i < MANY; i++)
        if (m->clients[i].q.count == 0)
            leave(m, i);
    for (size_t i = 0; i < MANY; i++)
        if (m->from[i] && i % 3 == 0)
            leave(m, i);
    assert_int_equal(fx_publish(&m->fx, "crowd", "e", "2"), 0);
    expect_all(m, 2);
    close_many(m);
}

static void a_slice_is_the_last_thing_that_some_get(void **state)
{
    struct many *m = open_many(0);
    (void)state;
    assert_int_equal(fx_publish(&m->fx, "crowd", "e", "1"), 0);
    run_least(m);
    for (size_t i = 0; i < MANY; i++)
        fx_unsubscribe(&m->clients[i], "crowd");
    fx_subscribe(&m->clients[0], "crowd");
    assert_int_equal(fx_publish(&m->fx, "crowd", "e", "2"), 0);
    for (size_t i = 1; i < MANY; i++)
        assert_int_equal(strstr(fx_heard(&m->clients[i]), "\"e\"") != NULL, i < PC_CROWD_SLICE);
    m->from[0] = 2;
    assert_non_null(strstr(fx_heard(&m->clients[0]), "\"data\":\"2\""));
    close_many(m);
}

#define crowd_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        crowd_test(events_for_few_overtake_those_for_a_crowd),
        crowd_test(what_is_for_a_crowd_is_written_last),
        crowd_test(a_crowd_that_shrinks_keeps_its_order),
        crowd_test(a_crowd_that_leaves_gets_nothing_and_who_comes_then_nothing_of_before),
        crowd_test(a_worker_that_ends_lets_go_of_what_waits),
        cmocka_unit_test(an_event_for_thousands_does_not_hold_up_others),
        cmocka_unit_test(an_event_for_thousands_is_one_piece_while_there_is_time),
        cmocka_unit_test(clients_come_and_leave_between_slices),
        cmocka_unit_test(those_that_have_it_may_be_all_that_stay),
        cmocka_unit_test(a_slice_is_the_last_thing_that_some_get),
    };
    return cmocka_run_group_tests_name("crowd", tests, NULL, NULL);
}
