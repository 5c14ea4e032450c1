/* The timer wheel: never early, at most a slot late, whatever callbacks do. */
#include "base/timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROUND_MS ((uint64_t)PC_TIMER_SLOT_MS * PC_TIMER_SLOTS)

/* An object with a timer, as a connection is. */
struct thing {
    struct pc_timers *timers;
    struct pc_timer timer;
    uint64_t fired_at_ms;
    int fired;
    struct thing *victim; /* for callbacks that touch others */
};

static void note(struct pc_timer *timer, uint64_t now_ms)
{
    struct thing *thing = PC_CONTAINER(timer, struct thing, timer);
    assert_false(pc_timer_armed(timer));
    assert_true(timer->due_ms <= now_ms);
    thing->fired_at_ms = now_ms;
    thing->fired++;
}

static void make(struct thing *thing, struct pc_timers *timers, pc_timer_fn fire)
{
    *thing = (struct thing){.timers = timers};
    pc_timer_init(&thing->timer, fire);
}

static int setup(void **state)
{
    struct pc_timers *timers = malloc(sizeof *timers);
    if (!timers)
        return -1;
    pc_timers_init(timers, 1000);
    *state = timers;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void a_timer_fires_once_at_its_deadline_and_not_before(void **state)
{
    struct thing thing;
    make(&thing, *state, note);
    pc_timer_arm(*state, &thing.timer, 1500);
    assert_true(pc_timer_armed(&thing.timer));
    pc_timers_run(*state, 1400);
    pc_timers_run(*state, 1499);
    assert_int_equal(thing.fired, 0);
    pc_timers_run(*state, 1500);
    assert_int_equal(thing.fired, 1);
    assert_false(pc_timer_armed(&thing.timer));
    pc_timers_run(*state, 1501);
    pc_timers_run(*state, 1500 + 2 * ROUND_MS);
    assert_int_equal(thing.fired, 1);
    assert_true(pc_timers_next(*state, 5000000) == UINT64_MAX);
}

static void a_deadline_of_the_past_fires_in_the_next_run(void **state)
{
    struct thing old, now;
    make(&old, *state, note);
    make(&now, *state, note);
    pc_timers_run(*state, 777777);
    pc_timer_arm(*state, &old.timer, 3);
    pc_timer_arm(*state, &now.timer, 777777);
    assert_true(pc_timers_next(*state, 777777) <= PC_TIMER_SLOT_MS);
    pc_timers_run(*state, 777777);
    assert_int_equal(old.fired, 1);
    assert_int_equal(now.fired, 1);
}

static void deadlines_of_later_rounds_wait(void **state)
{
    struct thing thing;
    uint64_t due_ms = 1000 + 5 * ROUND_MS + 7;
    make(&thing, *state, note);
    pc_timer_arm(*state, &thing.timer, due_ms);
    for (uint64_t now_ms = 1000; now_ms < due_ms; now_ms += 500)
        pc_timers_run(*state, now_ms);
    assert_int_equal(thing.fired, 0);
    pc_timers_run(*state, due_ms);
    assert_int_equal(thing.fired, 1);
}

static void a_long_pause_fires_all_that_is_due(void **state)
{
    struct thing things[50];
    for (uint64_t i = 0; i < 50; i++) {
        make(&things[i], *state, note);
        pc_timer_arm(*state, &things[i].timer, 1000 + i * 20011);
    }
    pc_timers_run(*state, 1000 + 49 * 20011 - 1); /* seven rounds at once */
    for (size_t i = 0; i < 49; i++)
        assert_int_equal(things[i].fired, 1);
    assert_int_equal(things[49].fired, 0);
}

static void every_slot_of_the_wheel_is_seen(void **state)
{
    struct thing *things = calloc(PC_TIMER_SLOTS, sizeof *things);
    assert_non_null(things);
    for (uint64_t i = 0; i < PC_TIMER_SLOTS; i++) {
        make(&things[i], *state, note);
        pc_timer_arm(*state, &things[i].timer, 1000 + i * PC_TIMER_SLOT_MS);
    }
    pc_timers_run(*state, 1000 + 10 * ROUND_MS);
    for (size_t i = 0; i < PC_TIMER_SLOTS; i++)
        assert_int_equal(things[i].fired, 1);
    free(things);
}

static void a_stopped_timer_does_not_fire(void **state)
{
    struct thing thing;
    make(&thing, *state, note);
    pc_timer_stop(*state, &thing.timer); /* never armed */
    pc_timer_arm(*state, &thing.timer, 2000);
    pc_timer_stop(*state, &thing.timer);
    pc_timer_stop(*state, &thing.timer);
    assert_true(pc_timers_next(*state, 1000) == UINT64_MAX);
    pc_timers_run(*state, 3000);
    assert_int_equal(thing.fired, 0);
}

static void arming_again_moves_the_deadline_both_ways(void **state)
{
    struct thing later, sooner;
    make(&later, *state, note);
    make(&sooner, *state, note);
    pc_timer_arm(*state, &later.timer, 2000);
    pc_timer_arm(*state, &later.timer, 4000);
    pc_timer_arm(*state, &sooner.timer, 4000);
    pc_timer_arm(*state, &sooner.timer, 2000);
    pc_timers_run(*state, 2000);
    assert_int_equal(later.fired, 0);
    assert_int_equal(sooner.fired, 1);
    pc_timers_run(*state, 4000);
    assert_int_equal(later.fired, 1);
    assert_int_equal(sooner.fired, 1);
}

static void arm_now(struct pc_timer *timer, uint64_t now_ms)
{
    struct thing *thing = PC_CONTAINER(timer, struct thing, timer);
    note(timer, now_ms);
    pc_timer_arm(thing->timers, timer, now_ms);
}

static void a_callback_that_arms_now_waits_for_the_next_run(void **state)
{
    struct thing thing;
    make(&thing, *state, arm_now);
    pc_timer_arm(*state, &thing.timer, 1100);
    for (int run = 1; run <= 5; run++) {
        pc_timers_run(*state, 1100);
        assert_int_equal(thing.fired, run);
    }
}

static void free_victim(struct pc_timer *timer, uint64_t now_ms)
{
    struct thing *thing = PC_CONTAINER(timer, struct thing, timer);
    note(timer, now_ms);
    if (thing->victim) {
        pc_timer_stop(thing->timers, &thing->victim->timer);
        free(thing->victim);
    }
}

static void a_callback_may_free_what_is_due_in_the_same_run(void **state)
{
    struct thing first, *second = malloc(sizeof *second);
    assert_non_null(second);
    make(&first, *state, free_victim);
    make(second, *state, note);
    first.victim = second;
    pc_timer_arm(*state, &first.timer, 1500);
    pc_timer_arm(*state, &second->timer, 1500);
    pc_timers_run(*state, 1600);
    assert_int_equal(first.fired, 1);
    assert_true(pc_timers_next(*state, 1600) == UINT64_MAX);
}

static void postpone_victim(struct pc_timer *timer, uint64_t now_ms)
{
    struct thing *thing = PC_CONTAINER(timer, struct thing, timer);
    note(timer, now_ms);
    pc_timer_arm(thing->timers, &thing->victim->timer, now_ms + 100);
}

static void a_callback_may_postpone_what_is_due_in_the_same_run(void **state)
{
    struct thing first, second;
    make(&first, *state, postpone_victim);
    make(&second, *state, note);
    first.victim = &second;
    pc_timer_arm(*state, &first.timer, 1500);
    pc_timer_arm(*state, &second.timer, 1500);
    pc_timers_run(*state, 1500);
    assert_int_equal(second.fired, 0);
    pc_timers_run(*state, 1600);
    assert_int_equal(second.fired, 1);
}

static void a_clock_that_stands_or_goes_back_is_harmless(void **state)
{
    struct thing thing;
    make(&thing, *state, note);
    pc_timers_run(*state, 5000);
    pc_timer_arm(*state, &thing.timer, 5100);
    pc_timers_run(*state, 4000);
    assert_int_equal(thing.fired, 0);
    assert_true(pc_timers_next(*state, 4000) >= 1000);
    pc_timers_run(*state, 5000);
    pc_timers_run(*state, 5100);
    assert_int_equal(thing.fired, 1);
}

/* A loop that sleeps as told, against thousands of random timers that are moved and stopped. */
static void sleeping_as_told_is_never_early_and_at_most_one_slot_late(void **state)
{
    enum {
        COUNT = 3000,
        TURNS = 20000
    };
    struct thing *things = calloc(COUNT, sizeof *things);
    uint64_t now_ms = 1000;
    uint32_t random = 12345;
    int fired = 0, turns = 0;

    assert_non_null(things);
    for (size_t i = 0; i < COUNT; i++)
        make(&things[i], *state, note);
    for (; turns < TURNS; turns++) {
        random = random * 1664525 + 1013904223;
        struct thing *thing = &things[random % COUNT];
        uint64_t delay_ms = (random >> 8) % (turns % 3 ? 2000 : 3 * (uint32_t)ROUND_MS);
        if (turns % 5 == 0)
            pc_timer_stop(*state, &thing->timer);
        else
            pc_timer_arm(*state, &thing->timer, now_ms + delay_ms);

        uint64_t sleep_ms = pc_timers_next(*state, now_ms);
        if (turns % 4 && turns < TURNS / 2) /* traffic wakes us earlier */
            sleep_ms = sleep_ms > 3 ? 3 : sleep_ms;
        if (sleep_ms == UINT64_MAX)
            continue;
        now_ms += sleep_ms;
        pc_timers_run(*state, now_ms);
        for (size_t i = 0; i < COUNT; i++) {
            if (things[i].fired) {
                fired++;
                things[i].fired = 0;
                assert_true(now_ms - things[i].timer.due_ms <= PC_TIMER_SLOT_MS);
            }
            if (pc_timer_armed(&things[i].timer))
                assert_true(things[i].timer.due_ms > now_ms);
        }
    }
    assert_true(fired > COUNT);
    free(things);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_timer_fires_once_at_its_deadline_and_not_before),
        TEST(a_deadline_of_the_past_fires_in_the_next_run),
        TEST(deadlines_of_later_rounds_wait),
        TEST(a_long_pause_fires_all_that_is_due),
        TEST(every_slot_of_the_wheel_is_seen),
        TEST(a_stopped_timer_does_not_fire),
        TEST(arming_again_moves_the_deadline_both_ways),
        TEST(a_callback_that_arms_now_waits_for_the_next_run),
        TEST(a_callback_may_free_what_is_due_in_the_same_run),
        TEST(a_callback_may_postpone_what_is_due_in_the_same_run),
        TEST(a_clock_that_stands_or_goes_back_is_harmless),
        TEST(sleeping_as_told_is_never_early_and_at_most_one_slot_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
