/* Places of sockets that are not established clients: limits, and which place has to make room. */
#include "net/places.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "net/peer.h"

static const uint64_t seed[2] = {1, 2};

/* Stands for a connection, which the places only point to. */
static struct pc_conn *socket_number(size_t n)
{
    return (struct pc_conn *)(uintptr_t)(n + 1);
}

struct fx {
    struct failing_alloc alloc;
    pusherc_allocator allocator;
    struct pc_mem mem;
    struct pc_worker_stats stats;
    struct pc_places places;
};

static int setup(void **state)
{
    struct fx *fx = test_calloc(1, sizeof *fx);
    fx->allocator = failing_alloc_init(&fx->alloc, 0);
    fx->mem = pc_mem_make(&fx->allocator);
    pc_places_init(&fx->places, &fx->mem, seed, &fx->stats);
    *state = fx;
    return 0;
}

static int teardown(void **state)
{
    struct fx *fx = *state;
    pc_places_free(&fx->places);
    assert_int_equal(fx->alloc.live, 0);
    test_free(fx);
    return 0;
}

static struct pc_place *take(struct fx *fx, const char *network, enum pc_idle idle, uint64_t now_ms)
{
    struct pc_place *place =
        pc_place_new(&fx->places, pc_slice_of(network), socket_number(fx->places.count));
    assert_non_null(place);
    pc_place_set(place, idle, now_ms);
    return place;
}

static void a5_those_that_wait_for_a_second_go_first_by_kind_then_by_age(void **state)
{
    struct fx *fx = *state;
    static const enum pc_idle order[] = {PC_IDLE_MUTE, PC_IDLE_CLOSING, PC_IDLE_KEPT, PC_IDLE_BEGUN,
                                         PC_IDLE_LEFT};
    struct pc_place *old[5][2], *young, *busy = take(fx, "a", PC_NOT_IDLE, 0);
    for (size_t i = 5; i-- > 0;)
        for (size_t n = 0; n < 2; n++)
            old[i][n] = take(fx, "a", order[i], 10 * (5 - i) + n);
    pc_place_set(old[0][0], PC_IDLE_MUTE, 55); /* waits anew, and comes behind the other */
    assert_ptr_equal(pc_places_oldest(&fx->places, NULL, 6000), old[0][1]);
    pc_place_set(old[0][1], PC_IDLE_MUTE, 60);
    struct pc_place *younger = take(fx, "a", PC_IDLE_MUTE, 5001);
    young = take(fx, "a", PC_IDLE_KEPT, 5000);
    for (size_t i = 0; i < 5; i++)
        for (size_t n = 0; n < 2; n++) {
            uint64_t now_ms = 5000 + PC_IDLE_MS - 1;
            assert_ptr_equal(pc_places_oldest(&fx->places, NULL, now_ms), old[i][n]);
            pc_place_free(old[i][n]);
        }
    assert_ptr_equal(pc_places_oldest(&fx->places, NULL, 5001), young);
    pc_place_free(young);
    assert_ptr_equal(pc_places_oldest(&fx->places, NULL, 5001), younger);
    pc_place_free(younger);
    assert_null(pc_places_oldest(&fx->places, NULL, UINT64_MAX));
    pc_place_free(busy);
    pc_place_free(NULL);
}

static void a5_an_address_makes_room_for_itself(void **state)
{
    struct fx *fx = *state;
    fx->places.max = 5;
    fx->places.max_per_address = 2;
    struct pc_place *a1 = take(fx, "a", PC_IDLE_KEPT, 1), *b1 = take(fx, "b", PC_IDLE_MUTE, 2);
    struct pc_place *unknown = take(fx, "", PC_IDLE_MUTE, 3);
    assert_null(pc_places_full_address(&fx->places, PC_S("a")));
    struct pc_place *a2 = take(fx, "a", PC_IDLE_KEPT, 4);
    struct pc_address_places *a = pc_places_full_address(&fx->places, PC_S("a"));
    assert_non_null(a);
    assert_null(pc_places_full_address(&fx->places, PC_S("b")));
    assert_null(pc_places_full_address(&fx->places, PC_S("c")));
    assert_null(pc_places_full_address(&fx->places, PC_S("")));
    assert_ptr_equal(pc_places_oldest(&fx->places, a, 5000), a1);
    assert_ptr_equal(pc_places_oldest(&fx->places, NULL, 5000), b1);
    assert_false(pc_places_full(&fx->places));
    struct pc_place *unknown2 = take(fx, "", PC_IDLE_MUTE, 5);
    assert_true(pc_places_full(&fx->places));
    assert_int_equal(fx->stats.unestablished, 5);
    pc_place_free(a1);
    assert_null(pc_places_full_address(&fx->places, PC_S("a")));
    assert_false(pc_places_full(&fx->places));
    pc_place_free(a2);
    pc_place_free(b1);
    pc_place_free(unknown);
    pc_place_free(unknown2);
    assert_int_equal(fx->stats.unestablished, 0);
    assert_int_equal(fx->places.by_address.count, 0);
}

static void a5_a_64_of_ipv6_is_one_address(void **state)
{
    struct fx *fx = *state;
    struct pc_address one = {.len = 16, .bytes = {0x20, 1, 0xd, 0xb8, 0, 1, 0, 2, 1}};
    struct pc_address two = {.len = 16, .bytes = {0x20, 1, 0xd, 0xb8, 0, 1, 0, 2, 9, 9}};
    struct pc_address other = {.len = 16, .bytes = {0x20, 1, 0xd, 0xb8, 0, 1, 0, 3, 1}};
    fx->places.max_per_address = 1;
    struct pc_place *place = pc_place_new(&fx->places, pc_address_network(&one), socket_number(0));
    assert_non_null(place);
    assert_non_null(pc_places_full_address(&fx->places, pc_address_network(&two)));
    assert_null(pc_places_full_address(&fx->places, pc_address_network(&other)));
    pc_place_free(place);
}

static void without_memory_there_is_no_place(void **state)
{
    struct fx *fx = *state;
    struct pc_place *place = NULL;
    for (size_t nth = 1; !place; nth++) {
        fx->alloc.fail_at = fx->alloc.requests + nth;
        place = pc_place_new(&fx->places, PC_S("a"), socket_number(0));
        assert_int_equal(fx->places.count, place ? 1 : 0);
        assert_true(nth < 10);
    }
    fx->alloc.fail_at = 0;
    pc_place_free(place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a5_those_that_wait_for_a_second_go_first_by_kind_then_by_age, setup, teardown),
        cmocka_unit_test_setup_teardown(a5_an_address_makes_room_for_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(a5_a_64_of_ipv6_is_one_address, setup, teardown),
        cmocka_unit_test_setup_teardown(without_memory_there_is_no_place, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
