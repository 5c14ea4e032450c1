/* Room for new sockets: which sockets count as idle, over real ones. */
#include "net/reclaim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine_fixture.h"
#include "failing_alloc.h"
#include "net/serve.h"

#define SOCKETS 3

struct fixture {
    struct failing_alloc alloc;
    pusherc_allocator allocator;
    struct pc_mem mem;
    struct pc_engine engine;
    struct pc_loop loop;
    struct pc_places *places;
    int peers[SOCKETS];
    struct pc_conn *conns[SOCKETS];
};

/* Opens sockets, one a millisecond, that begin to wait for their first request. */
static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof *f);
    pusherc_server_options limits = fx_limits();
    int sys, pair[2];
    limits.max_http_head_bytes = 16384, limits.max_http_body_bytes = 16384;
    limits.handshake_timeout_ms = limits.close_timeout_ms = 10000;
    f->allocator = failing_alloc_init(&f->alloc, 0);
    f->mem = pc_mem_make(&f->allocator);
    assert_int_equal(pc_engine_init(&f->engine, &f->mem, &limits, 1, FX_START_MS), 0);
    assert_int_equal(pc_loop_init(&f->loop, &f->engine.workers[0], NULL, &sys), 0);
    assert_int_equal(pc_loop_start(&f->loop, &sys), 0);
    f->places = &f->loop.places[PUSHERC_LISTEN_CLIENTS];
    for (size_t i = 0; i < SOCKETS; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
                         0);
        f->peers[i] = pair[0];
        f->loop.worker->now_ms++;
        f->conns[i] = pc_serve_conn_new(&f->loop, pair[1], NULL, PUSHERC_LISTEN_CLIENTS);
        assert_non_null(f->conns[i]);
    }
    f->places->max = SOCKETS;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < SOCKETS; i++)
        close(f->peers[i]);
    pc_loop_stop(&f->loop, 0);
    pc_loop_run(&f->loop);
    pc_loop_free(&f->loop);
    pc_engine_free(&f->engine);
    assert_int_equal(failing_alloc_live(&f->alloc), 0);
    test_free(f);
    return 0;
}

static bool make_room(struct fixture *f)
{
    const struct pc_address unknown = {0};
    return pc_make_room(&f->loop, f->places, &unknown);
}

static bool is_closed(const struct fixture *f, size_t i)
{
    return f->conns[i]->state == PC_CONN_DEAD;
}

static void a5_a_client_that_waits_for_the_server_is_not_idle(void **state)
{
    struct fixture *f = *state;
    f->loop.worker->now_ms += 5000;
    for (size_t i = 0; i < SOCKETS; i++)
        if (i != 1)
            assert_int_equal(write(f->peers[i], "G", 1), 1); /* not read yet */
    assert_true(pc_has_room(&f->loop, f->places));
    assert_false(is_closed(f, 1)); /* a look closes nothing */
    assert_true(make_room(f));
    assert_true(is_closed(f, 1));
    f->places->max--;
    assert_false(pc_has_room(&f->loop, f->places));
    assert_false(make_room(f));
    assert_false(is_closed(f, 0) || is_closed(f, 2));
    assert_int_equal(f->loop.worker->stats.sockets_reclaimed, 1);
    assert_int_equal(f->loop.worker->stats.sockets_refused, 1);
}

static void a5_clients_that_have_just_come_do_not_push_each_other_out(void **state)
{
    struct fixture *f = *state;
    f->loop.worker->now_ms += 90;
    assert_false(pc_has_room(&f->loop, f->places));
    assert_false(make_room(f));
    f->loop.worker->now_ms += 10;
    assert_true(make_room(f));
    assert_true(is_closed(f, 0));
    assert_false(is_closed(f, 1) || is_closed(f, 2));
}

static void a5_descriptors_come_from_sockets_that_were_idle_for_a_second(void **state)
{
    struct fixture *f = *state;
    f->loop.worker->now_ms += PC_IDLE_MS - 10;
    assert_false(pc_free_descriptor(&f->loop));
    f->loop.worker->now_ms += 10;
    assert_true(pc_free_descriptor(&f->loop));
    assert_true(is_closed(f, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a5_a_client_that_waits_for_the_server_is_not_idle, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a5_clients_that_have_just_come_do_not_push_each_other_out,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            a5_descriptors_come_from_sockets_that_were_idle_for_a_second, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
