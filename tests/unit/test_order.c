/* One order to all workers: every one of them gets it, or none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine_fixture.h"
#include "fanout/order.h"
#include "session/disconnect.h"

#define WORKERS FX_WORKERS

struct ox {
    struct fx fx;
    struct fx_client clients[WORKERS]; /* one of each worker */
    struct pc_order order;
    unsigned runs[WORKERS], done;
    unsigned again; /* rounds that done() adds */
};

static void run(struct pc_order *order, struct pc_worker *worker)
{
    struct ox *ox = PC_CONTAINER(order, struct ox, order);
    ox->runs[worker->index]++;
}

static void done(struct pc_order *order)
{
    struct ox *ox = PC_CONTAINER(order, struct ox, order);
    ox->done++;
    if (ox->again == 0)
        return;
    ox->again--;
    pc_order_send(order);
}

static int set_up(void **state)
{
    struct ox *ox = calloc(1, sizeof *ox);
    *state = ox;
    if (!ox)
        return -1;
    fx_open(&ox->fx, WORKERS);
    for (uint32_t i = 0; i < WORKERS; i++)
        fx_connect_as(&ox->fx, &ox->clients[i], i, "7");
    ox->order.run = run;
    ox->order.done = done;
    return 0;
}

static int tear_down(void **state)
{
    struct ox *ox = *state;
    pc_order_free(&ox->order);
    for (uint32_t i = 0; i < WORKERS; i++)
        fx_disconnect(&ox->clients[i]);
    fx_close(&ox->fx);
    size_t live = failing_alloc_live(&ox->fx.alloc);
    free(ox);
    return live == 0 ? 0 : -1;
}

static void each_worker_runs_it_once_and_done_follows(void **state)
{
    struct ox *ox = *state;
    assert_int_equal(pc_order_init(&ox->order, ox->fx.engine), 0);
    pc_order_send(&ox->order);
    for (uint32_t i = 0; i < WORKERS; i++) {
        assert_int_equal(ox->done, 0);
        assert_int_equal(ox->runs[i], 0);
        fx_round(&ox->fx, i);
        assert_int_equal(ox->runs[i], 1);
    }
    assert_int_equal(ox->done, 1);
}

static void done_may_send_it_again(void **state)
{
    struct ox *ox = *state;
    ox->again = 4;
    assert_int_equal(pc_order_init(&ox->order, ox->fx.engine), 0);
    pc_order_send(&ox->order);
    fx_settle(&ox->fx);
    assert_int_equal(ox->done, 5);
    for (uint32_t i = 0; i < WORKERS; i++)
        assert_int_equal(ox->runs[i], 5);
}

static void a_worker_that_has_ended_is_counted_and_not_run(void **state)
{
    struct ox *ox = *state;
    assert_int_equal(pc_order_init(&ox->order, ox->fx.engine), 0);
    pc_order_send(&ox->order);
    pc_mailbox_close(ox->fx.engine->workers[1].mailbox); /* with the order in it */
    fx_settle(&ox->fx);
    assert_int_equal(ox->done, 1);
    pc_order_send(&ox->order);
    fx_settle(&ox->fx);
    assert_int_equal(ox->done, 2);
    assert_int_equal(ox->runs[0], 2);
    assert_int_equal(ox->runs[1], 0);
    assert_int_equal(ox->runs[2], 2);
}

static void sending_needs_no_memory(void **state)
{
    struct ox *ox = *state;
    size_t live = failing_alloc_live(&ox->fx.alloc);
    ox->fx.alloc.fail_at = ox->fx.alloc.requests + 1;
    assert_int_equal(pc_order_init(&ox->order, ox->fx.engine), PUSHERC_ENOMEM);
    assert_int_equal(failing_alloc_live(&ox->fx.alloc), live);
    ox->fx.alloc.fail_at = 0;
    assert_int_equal(pc_order_init(&ox->order, ox->fx.engine), 0);
    size_t requests = ox->fx.alloc.requests;
    pc_order_send(&ox->order);
    fx_settle(&ox->fx);
    assert_int_equal(ox->fx.alloc.requests, requests);
}

static unsigned closed(const struct ox *ox)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < WORKERS; i++)
        n += ox->clients[i].closes;
    return n;
}

/* Connections on several workers are closed by one order: all of them, or with ENOMEM none. */
static void closing_a_user_reaches_all_workers_or_none(void **state)
{
    struct ox *ox = *state;
    struct pc_disconnect which = {.app_uid = ox->clients[0].session.app->state->uid,
                                  .user_id = PC_S("7"),
                                  .code = 4009,
                                  .reason = PC_S("Go")};
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        size_t live = failing_alloc_live(&ox->fx.alloc);
        ox->fx.alloc.fail_at = ox->fx.alloc.requests + n;
        int err = pc_disconnect(ox->fx.engine, &which);
        failed = failing_alloc_hit(&ox->fx.alloc);
        ox->fx.alloc.fail_at = 0;
        assert_int_equal(err, failed ? PUSHERC_ENOMEM : 0);
        if (failed)
            assert_int_equal(failing_alloc_live(&ox->fx.alloc), live);
        fx_settle(&ox->fx);
        assert_int_equal(closed(ox), failed ? 0 : WORKERS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_worker_runs_it_once_and_done_follows, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(done_may_send_it_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_worker_that_has_ended_is_counted_and_not_run, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(sending_needs_no_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(closing_a_user_reaches_all_workers_or_none, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
