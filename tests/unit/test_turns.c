/* The order of the requests of a client over HTTP, by their numbers. */
#include "net/turns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define PATIENCE_MS 200
#define OPENED      10 /* the number of the request that opened the session */

static void open_session(struct pc_turns *turns)
{
    pc_turns_init(turns, PATIENCE_MS);
    assert_true(pc_turns_come(turns, OPENED));
    pc_turns_pass(turns, OPENED);
}

/* As the transport does it: a request that has its turn passes, another one waits. True: it has its turn. */
static bool come(struct pc_turns *turns, struct pc_turn *turn, uint64_t number)
{
    bool due = pc_turns_come(turns, number);
    turn->number = number;
    if (due)
        pc_turns_pass(turns, number);
    else
        pc_turns_wait(turns, turn);
    return due;
}

/* Serves the first that waits, which must have its turn. Returns its number. */
static uint64_t serve(struct pc_turns *turns)
{
    assert_true(pc_turns_ready(turns));
    struct pc_turn *turn = pc_turns_first(turns);
    pc_list_remove(&turn->of_turns);
    pc_turns_pass(turns, turn->number);
    return turn->number;
}

static void numbers_in_order_never_wait(void **state)
{
    struct pc_turns turns;
    struct pc_turn turn;
    (void)state;
    pc_turns_init(&turns, PATIENCE_MS);
    for (uint64_t n = OPENED; n < OPENED + 1000; n++)
        assert_true(come(&turns, &turn, n));
    assert_false(pc_turns_ready(&turns));
    assert_null(pc_turns_first(&turns));
}

static void numbers_in_any_order_are_served_in_theirs(void **state)
{
    static const uint64_t order[] = {14, 12, 15, 13, 11};
    struct pc_turn turn[5];
    (void)state;
    struct pc_turns turns;
    open_session(&turns);
    for (int i = 0; i < 4; i++) {
        assert_false(come(&turns, &turn[i], order[i]));
        assert_false(pc_turns_ready(&turns));
    }
    assert_true(come(&turns, &turn[4], order[4]));
    for (uint64_t n = 12; n <= 15; n++)
        assert_int_equal(serve(&turns), n);
    assert_true(come(&turns, &turn[0], 16));
}

static void one_that_waits_behind_another_waits_when_its_turn_would_come(void **state)
{
    struct pc_turn turn[3];
    (void)state;
    struct pc_turns turns;
    open_session(&turns);
    /* 11 has its turn, and has to wait for another reason: the client has sent too much */
    turn[0].number = 11;
    assert_true(pc_turns_come(&turns, 11));
    pc_turns_wait(&turns, &turn[0]);
    assert_true(pc_turns_ready(&turns));
    assert_false(come(&turns, &turn[1], 12));
    assert_false(come(&turns, &turn[2], 11));
    assert_int_equal(serve(&turns), 11);
    assert_ptr_equal(pc_turns_first(&turns), &turn[2]);
    assert_int_equal(serve(&turns), 11);
    assert_int_equal(serve(&turns), 12);
}

static void a_request_that_need_not_wait_fills_its_gap_ahead(void **state)
{
    struct pc_turn turn;
    (void)state;
    struct pc_turns turns;
    open_session(&turns);
    pc_turns_pass(&turns, 12);
    pc_turns_pass(&turns, 13);
    assert_false(come(&turns, &turn, 14));
    struct pc_turn filler;
    assert_true(come(&turns, &filler, 11));
    assert_int_equal(serve(&turns), 14);
}

static void requests_without_a_number_and_repeated_ones_do_not_wait(void **state)
{
    struct pc_turn turn, waits;
    (void)state;
    struct pc_turns turns;
    open_session(&turns);
    assert_false(come(&turns, &waits, 12));
    assert_true(come(&turns, &turn, 0));
    assert_true(come(&turns, &turn, OPENED));
    assert_true(come(&turns, &turn, 1));
    assert_false(pc_turns_ready(&turns));
    assert_true(come(&turns, &turn, 11));
    assert_int_equal(serve(&turns), 12);
}

static void a_session_without_numbers_begins_with_any(void **state)
{
    struct pc_turns turns;
    struct pc_turn turn;
    (void)state;
    pc_turns_init(&turns, PATIENCE_MS);
    for (int i = 0; i < 3; i++)
        assert_true(come(&turns, &turn, 0));
    assert_true(come(&turns, &turn, 70));
    assert_false(come(&turns, &turn, 72));
}

static void gaps_that_stay_open_are_waited_for_ever_shorter(void **state)
{
    struct pc_turn turn;
    (void)state;
    struct pc_turns turns;
    open_session(&turns);
    uint64_t waited_ms = 0, number = OPENED;
    /* each second number belongs to another session of the page */
    while (!come(&turns, &turn, number += 2)) {
        waited_ms += turns.patience_ms;
        pc_turns_give_up(&turns);
        assert_int_equal(serve(&turns), number);
    }
    assert_true(waited_ms > PATIENCE_MS && waited_ms < 2 * PATIENCE_MS);
    for (int i = 0; i < 100; i++)
        assert_true(come(&turns, &turn, number += 2));
}

static void a_request_that_was_late_restores_the_patience(void **state)
{
    struct pc_turn turn, late;
    (void)state;
    struct pc_turns turns;
    open_session(&turns);
    assert_false(come(&turns, &turn, 12));
    pc_turns_give_up(&turns);
    assert_int_equal(serve(&turns), 12);
    assert_int_equal(turns.patience_ms, PATIENCE_MS / 2);
    assert_true(come(&turns, &late, 11));
    assert_int_equal(turns.patience_ms, PATIENCE_MS);
    assert_true(come(&turns, &turn, 13));

    assert_false(come(&turns, &turn, 15));
    pc_turns_give_up(&turns);
    assert_int_equal(serve(&turns), 15);
    assert_false(come(&turns, &turn, 17));
    assert_int_equal(turns.patience_ms, PATIENCE_MS / 2);
    assert_true(come(&turns, &late, 16)); /* in time */
    assert_int_equal(turns.patience_ms, PATIENCE_MS);
    assert_int_equal(serve(&turns), 17);
}

static void far_numbers_and_the_last_one_are_numbers_too(void **state)
{
    struct pc_turn turn[3];
    (void)state;
    struct pc_turns turns;
    open_session(&turns);
    pc_turns_pass(&turns, OPENED + 1000); /* too far to be remembered */
    assert_false(come(&turns, &turn[0], UINT64_MAX));
    assert_false(come(&turns, &turn[1], OPENED + 500));
    pc_turns_give_up(&turns);
    assert_int_equal(serve(&turns), OPENED + 500);
    pc_turns_give_up(&turns);
    assert_int_equal(serve(&turns), UINT64_MAX);
    assert_true(come(&turns, &turn[0], 5));
}

static void numbers_at_random_are_served_in_order(void **state)
{
    enum {
        COUNT = 300,
        SPREAD = 20
    };
    struct pc_turn turn[COUNT];
    uint64_t order[COUNT];
    (void)state;
    srand(1);
    for (int round = 0; round < 200; round++) {
        for (uint64_t i = 0; i < COUNT; i++)
            order[i] = OPENED + 1 + i;
        for (int i = 0; i < COUNT - SPREAD; i++) {
            int j = i + rand() % SPREAD;
            uint64_t was = order[i];
            order[i] = order[j];
            order[j] = was;
        }
        struct pc_turns turns;
        open_session(&turns);
        uint64_t last = OPENED;
        for (int i = 0; i < COUNT; i++) {
            if (come(&turns, &turn[i], order[i]))
                assert_int_equal(order[i], ++last);
            while (pc_turns_ready(&turns))
                assert_int_equal(serve(&turns), ++last);
        }
        assert_int_equal(last, OPENED + COUNT);
        assert_null(pc_turns_first(&turns));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_in_order_never_wait),
        cmocka_unit_test(numbers_in_any_order_are_served_in_theirs),
        cmocka_unit_test(one_that_waits_behind_another_waits_when_its_turn_would_come),
        cmocka_unit_test(a_request_that_need_not_wait_fills_its_gap_ahead),
        cmocka_unit_test(requests_without_a_number_and_repeated_ones_do_not_wait),
        cmocka_unit_test(a_session_without_numbers_begins_with_any),
        cmocka_unit_test(gaps_that_stay_open_are_waited_for_ever_shorter),
        cmocka_unit_test(a_request_that_was_late_restores_the_patience),
        cmocka_unit_test(far_numbers_and_the_last_one_are_numbers_too),
        cmocka_unit_test(numbers_at_random_are_served_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
