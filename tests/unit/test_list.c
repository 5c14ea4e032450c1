/*
 * Walks over lists whose heads lie in a flexible array member. gcc before 12.3 forgets, when it optimizes by types, that
 * the links of such a head can change, and makes an endless loop of the walk; meson.build turns that optimization off
 * for those versions. The fault needs -O2, so this program has it in every build.
 */
#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define EVENTS   3
#define TOO_MANY 1000 /* walks give up */

struct queue {
    struct pc_list ready;
    size_t count;
};

/* The header is smaller than an element: the fault needs that, too. */
struct queues {
    size_t count;
    struct queue items[];
};

/* Moves everything from the queue to the end of `to`. Returns how many links that were. */
static __attribute__((noinline)) int move_all(struct queues *queues, size_t i, struct pc_list *to)
{
    int moved = 0;
    while (queues->items[i].ready.next != &queues->items[i].ready && moved < TOO_MANY) {
        struct pc_list *link = queues->items[i].ready.next;
        pc_list_remove(link);
        pc_list_push_back(to, link);
        moved++;
    }
    return moved;
}

static void a_walk_that_empties_a_list_in_a_flexible_array_ends(void **state)
{
    struct queues *queues = malloc(sizeof *queues + sizeof queues->items[0]);
    struct pc_list links[EVENTS], to;
    (void)state;
    assert_non_null(queues);
    pc_list_init(&queues->items[0].ready);
    pc_list_init(&to);
    for (int i = 0; i < EVENTS; i++)
        pc_list_push_back(&queues->items[0].ready, &links[i]);
    assert_int_equal(move_all(queues, 0, &to), EVENTS);
    free(queues);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_walk_that_empties_a_list_in_a_flexible_array_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
