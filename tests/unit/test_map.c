/* The hash table, and the numbers made with its hash: socket ids. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pusherc/error.h>

#include "base/idgen.h"
#include "base/map.h"
#include "base/slice.h"
#include "failing_alloc.h"

enum {
    ITEMS = 5000,
    IDS = 40000, /* per thread */
    THREADS = 4
};

struct item {
    struct pc_map_node node;
    char name[32];
    int visits;
};

static const uint64_t seed[2] = {0x0123456789abcdef, 0xfedcba9876543210};

/* From another implementation of SipHash-1-3 (CPython's bytes hash under a fixed key). */
static void the_hash_is_siphash_1_3(void **state)
{
    (void)state;
    static const uint64_t key[2] = {0xdc504fd368cd90af, 0xb920bb9ffe99e9c1};
    static const struct {
        const char *text;
        uint64_t hash;
    } cases[] = {
        {"a", 0xfe4a47335692551e},
        {"1234567", 0xf426c87f0d9890ae},
        {"12345678", 0x84eb586ab30cc7f5},
        {"private-foobar", 0x62e2b2f261c6df27},
        {"presence-organization.0123456789", 0xe3b994fd26ae5afc},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_true(pc_hash(key, pc_slice_of(cases[i].text)) == cases[i].hash);
    assert_true(pc_hash(key, pc_slice(NULL, 0)) != pc_hash(seed, pc_slice(NULL, 0)));
}

static struct item *make_items(void)
{
    struct item *items = calloc(ITEMS, sizeof *items);
    assert_non_null(items);
    for (unsigned i = 0; i < ITEMS; i++) {
        int len = snprintf(items[i].name, sizeof items[i].name, "private-%u", i);
        items[i].node.key = pc_slice(items[i].name, (size_t)len);
    }
    return items;
}

static void what_was_inserted_is_found_until_it_is_removed(void **state)
{
    (void)state;
    struct failing_alloc alloc;
    pusherc_allocator allocator = failing_alloc_init(&alloc, 0);
    struct pc_mem mem = pc_mem_make(&allocator);
    struct item *items = make_items();
    struct pc_map map;

    pc_map_init(&map, &mem, seed);
    assert_null(pc_map_find(&map, PC_S("private-0")));
    for (size_t i = 0; i < ITEMS; i++) {
        assert_null(pc_map_find(&map, items[i].node.key));
        assert_int_equal(pc_map_insert(&map, &items[i].node), 0);
    }
    assert_int_equal(map.count, ITEMS);
    for (size_t i = 0; i < ITEMS; i++)
        assert_ptr_equal(pc_map_find(&map, items[i].node.key), &items[i].node);
    assert_null(pc_map_find(&map, PC_S("private-x")));
    for (size_t i = 0; i < ITEMS; i += 2)
        pc_map_remove(&map, &items[i].node);
    for (size_t i = 0; i < ITEMS; i++)
        assert_ptr_equal(pc_map_find(&map, items[i].node.key), i % 2 ? &items[i].node : NULL);
    assert_int_equal(map.count, ITEMS / 2);
    pc_map_free(&map);
    assert_int_equal(failing_alloc_live(&alloc), 0);
    free(items);
}

static void keys_are_bytes_and_may_be_empty(void **state)
{
    (void)state;
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_map map;
    struct pc_map_node empty = {.key = {NULL, 0}}, nul = {.key = PC_S("a\0b")};

    pc_map_init(&map, &mem, seed);
    assert_int_equal(pc_map_insert(&map, &empty), 0);
    assert_int_equal(pc_map_insert(&map, &nul), 0);
    assert_ptr_equal(pc_map_find(&map, PC_S("")), &empty);
    assert_ptr_equal(pc_map_find(&map, PC_S("a\0b")), &nul);
    assert_null(pc_map_find(&map, PC_S("a")));
    assert_null(pc_map_find(&map, PC_S("a\0c")));
    pc_map_free(&map);
}

static void count_visit(struct pc_map_node *node, void *ctx)
{
    PC_CONTAINER(node, struct item, node)->visits++;
    *(size_t *)ctx += 1;
}

static void remove_odd(struct pc_map_node *node, void *ctx)
{
    struct item *item = PC_CONTAINER(node, struct item, node);
    if ((item->name[node->key.len - 1] - '0') % 2) {
        pc_map_remove(ctx, node);
        memset(node, 0xff, sizeof *node); /* as good as freed */
    }
}

static void each_visits_every_node_once_and_the_visitor_may_remove_it(void **state)
{
    (void)state;
    struct pc_mem mem = pc_mem_make(NULL);
    struct item *items = make_items();
    struct pc_map map;
    size_t visits = 0;

    pc_map_init(&map, &mem, seed);
    pc_map_each(&map, count_visit, &visits);
    assert_int_equal(visits, 0);
    for (size_t i = 0; i < ITEMS; i++)
        assert_int_equal(pc_map_insert(&map, &items[i].node), 0);
    pc_map_each(&map, count_visit, &visits);
    assert_int_equal(visits, ITEMS);
    for (size_t i = 0; i < ITEMS; i++)
        assert_int_equal(items[i].visits, 1);

    pc_map_each(&map, remove_odd, &map);
    assert_int_equal(map.count, ITEMS / 2);
    visits = 0;
    pc_map_each(&map, count_visit, &visits);
    assert_int_equal(visits, ITEMS / 2);
    pc_map_free(&map);
    free(items);
}

static void the_array_becomes_small_again(void **state)
{
    (void)state;
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_map map;
    struct item *items = make_items();
    pc_map_init(&map, &mem, seed);
    for (unsigned i = 0; i < ITEMS; i++)
        assert_int_equal(pc_map_insert(&map, &items[i].node), 0);
    size_t most = map.chain_count;
    for (unsigned i = 10; i < ITEMS; i++)
        pc_map_remove(&map, &items[i].node);
    for (unsigned i = 0; i < 20; i++) {
        pc_map_remove(&map, &items[9].node);
        assert_int_equal(pc_map_insert(&map, &items[9].node), 0);
    }
    assert_true(most >= ITEMS && map.chain_count <= 128);
    for (unsigned i = 0; i < ITEMS; i++)
        assert_ptr_equal(pc_map_find(&map, items[i].node.key), i < 10 ? &items[i].node : NULL);
    pc_map_free(&map);
    free(items);
}

static void only_the_first_insert_can_run_out_of_memory(void **state)
{
    (void)state;
    struct item *items = make_items();
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct failing_alloc alloc;
        pusherc_allocator allocator = failing_alloc_init(&alloc, n);
        struct pc_mem mem = pc_mem_make(&allocator);
        struct pc_map map;
        pc_map_init(&map, &mem, seed);
        for (size_t i = 0; i < ITEMS; i++) {
            int err = pc_map_insert(&map, &items[i].node);
            if (n == 1 && i == 0) {
                assert_int_equal(err, PUSHERC_ENOMEM);
                assert_int_equal(map.count, 0);
                err = pc_map_insert(&map, &items[i].node);
            }
            assert_int_equal(err, 0);
        }
        failed = failing_alloc_hit(&alloc);
        for (size_t i = 0; i < ITEMS; i++)
            assert_ptr_equal(pc_map_find(&map, items[i].node.key), &items[i].node);
        pc_map_free(&map);
        assert_int_equal(failing_alloc_live(&alloc), 0);
    }
    free(items);
}

/* Socket ids from several threads */

struct maker {
    struct pc_idgen *gen;
    pusherc_socket_id *ids;
};

static void *make_ids(void *arg)
{
    const struct maker *maker = arg;
    for (size_t i = 0; i < IDS; i++)
        maker->ids[i] = pc_idgen_next(maker->gen);
    return NULL;
}

static int compare_ids(const void *left, const void *right)
{
    const pusherc_socket_id *l = left, *r = right;
    if (l->a != r->a)
        return l->a < r->a ? -1 : 1;
    return l->b < r->b ? -1 : l->b > r->b;
}

static void socket_ids_of_all_threads_differ(void **state)
{
    (void)state;
    struct pc_idgen gen;
    pthread_t threads[THREADS];
    struct maker makers[THREADS];
    pusherc_socket_id *ids = calloc(THREADS * IDS, sizeof *ids);

    assert_non_null(ids);
    pc_idgen_init(&gen, seed);
    for (size_t i = 0; i < THREADS; i++) {
        makers[i] = (struct maker){&gen, ids + i * IDS};
        assert_int_equal(pthread_create(&threads[i], NULL, make_ids, &makers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);

    qsort(ids, THREADS * IDS, sizeof *ids, compare_ids);
    for (size_t i = 0; i < THREADS * IDS; i++) {
        assert_true(ids[i].a >= 1 && ids[i].a <= UINT32_MAX);
        assert_true(ids[i].b >= 1 && ids[i].b <= UINT32_MAX);
        if (i)
            assert_int_not_equal(compare_ids(&ids[i - 1], &ids[i]), 0);
    }
    free(ids);
}

static void the_seed_decides_the_socket_ids(void **state)
{
    (void)state;
    static const uint64_t other_seed[2] = {0x0123456789abcdef, 0xfedcba9876543211};
    struct pc_idgen gen, same, other;
    unsigned high_bits = 0;

    pc_idgen_init(&gen, seed);
    pc_idgen_init(&same, seed);
    pc_idgen_init(&other, other_seed);
    for (int i = 0; i < 1000; i++) {
        pusherc_socket_id id = pc_idgen_next(&gen);
        pusherc_socket_id same_id = pc_idgen_next(&same), other_id = pc_idgen_next(&other);
        assert_int_equal(compare_ids(&id, &same_id), 0);
        assert_int_not_equal(compare_ids(&id, &other_id), 0);
        high_bits += (unsigned)(id.a >> 31) + (unsigned)(id.b >> 31);
    }
    /* 2000 tosses of a coin; 8 standard deviations */
    assert_in_range(high_bits, 1000 - 180, 1000 + 180);
}

/* Socket ids as text */

static void socket_ids_are_read_as_they_are_printed(void **state)
{
    (void)state;
    static const pusherc_socket_id ids[] = {
        {1, 1}, {1234, 5678}, {UINT32_MAX, UINT32_MAX}, {UINT64_MAX, UINT64_MAX}, {0, 7}, {0, 0},
    };
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        char text[PUSHERC_SOCKET_ID_STRLEN];
        pusherc_socket_id id = {1, 1};
        size_t len = pusherc_socket_id_format(ids[i], text);
        assert_int_equal(len, strlen(text));
        assert_int_equal(pusherc_socket_id_parse(pc_slice(text, len), &id), 0);
        assert_int_equal(compare_ids(&id, &ids[i]), 0);
    }
}

static void other_texts_are_no_socket_ids(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int err;
    } cases[] = {
        {"1234.5678", 0},
        {"18446744073709551615.18446744073709551615", 0},
        {"", PUSHERC_EINVAL},
        {".", PUSHERC_EINVAL},
        {"1.", PUSHERC_EINVAL},
        {".1", PUSHERC_EINVAL},
        {"12", PUSHERC_EINVAL},
        {"1.2.3", PUSHERC_EINVAL},
        {"1.2\n", PUSHERC_EINVAL},
        {" 1.2", PUSHERC_EINVAL},
        {"-1.2", PUSHERC_EINVAL},
        {"a.b", PUSHERC_EINVAL},
        {"1,2", PUSHERC_EINVAL},
        {"1.2:private-x", PUSHERC_EINVAL},
        {"18446744073709551616.1", PUSHERC_ELIMIT},
        {"1.18446744073709551616", PUSHERC_ELIMIT},
        {"01.2", PUSHERC_ELIMIT},
        {"1.02", PUSHERC_ELIMIT},
        {"1.00", PUSHERC_ELIMIT},
        {"1.000000000000000000000000000000000000000000001", PUSHERC_ELIMIT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pusherc_socket_id id = {9, 9};
        int err = pusherc_socket_id_parse(pc_slice_of(cases[i].text), &id);
        if (err != cases[i].err)
            fail_msg("\"%s\": %s", cases[i].text, pusherc_err_name(err));
        if (err)
            assert_true(id.a == 0 && id.b == 0);
    }
    assert_int_equal(pusherc_socket_id_parse(PC_S("1.2"), NULL), PUSHERC_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hash_is_siphash_1_3),
        cmocka_unit_test(what_was_inserted_is_found_until_it_is_removed),
        cmocka_unit_test(keys_are_bytes_and_may_be_empty),
        cmocka_unit_test(each_visits_every_node_once_and_the_visitor_may_remove_it),
        cmocka_unit_test(the_array_becomes_small_again),
        cmocka_unit_test(only_the_first_insert_can_run_out_of_memory),
        cmocka_unit_test(socket_ids_of_all_threads_differ),
        cmocka_unit_test(the_seed_decides_the_socket_ids),
        cmocka_unit_test(socket_ids_are_read_as_they_are_printed),
        cmocka_unit_test(other_texts_are_no_socket_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
