/* A4: questions count until the host has answered them; what is above a limit is refused, or waits in line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine_fixture.h"

static void open_with(struct fx *fx, uint32_t connection, uint32_t address, uint32_t app)
{
    pusherc_server_options limits = fx_limits();
    limits.max_questions_per_connection = connection;
    limits.max_questions_per_ip = address;
    limits.max_questions_per_app = app;
    limits.max_unknown_apps_per_ip = 2;
    limits.unknown_app_ms = 3000;
    assert_int_equal(fx_try_open(fx, &limits, NULL, 1, 0), 0);
}

static void close_empty(struct fx *fx)
{
    assert_int_equal(fx->engine->workers[0].quotas.by_party.count, 0);
    fx_close(fx);
    assert_int_equal(failing_alloc_live(&fx->alloc), 0);
}

static struct pc_worker *worker_of(struct fx *fx)
{
    return &fx->engine->workers[0];
}

static uint64_t refused(struct fx *fx)
{
    return pc_stat_get(&worker_of(fx)->stats.questions_refused);
}

/* connection 0 = none, address 0 = unknown */
static struct pc_source source(uint64_t connection, uint8_t address, uint64_t app)
{
    return (struct pc_source){.app_uid = app,
                              .socket_id = {connection, connection},
                              .address = {address ? 4 : 0, {10, 0, 0, address}}};
}

static int take(struct fx *fx, struct pc_source from, struct pc_quota **out)
{
    return pc_quota_take(worker_of(fx), &from, out);
}

static void each_party_has_its_limit_until_the_host_has_answered(void **state)
{
    static const struct {
        struct pc_source fits, other;
    } cases[] = {
        {{.app_uid = 1, .socket_id = {1, 1}}, {.app_uid = 1, .socket_id = {2, 1}}},
        {{.app_uid = 1, .address = {4, {10, 0, 0, 1}}},
         {.app_uid = 1, .address = {4, {10, 0, 0, 2}}}},
        {{.app_uid = 1, .address = {4, {10, 0, 0, 1}}},
         {.app_uid = 2, .address = {4, {10, 0, 0, 1}}}},
        {{.app_uid = 1, .address = {16, {32, 1, 0, 0, 0, 0, 0, 1}}},
         {.app_uid = 1, .address = {16, {32, 1, 0, 0, 0, 0, 0, 2}}}},
        {{.app_uid = 1}, {.app_uid = 2}},
        {{.app_uid = PC_QUOTA_PAGES}, {.app_uid = 1}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fx fx;
        struct pc_quota *first, *second, *third, *other;
        open_with(&fx, i == 0 ? 2 : 9, i >= 1 && i <= 3 ? 2 : 9, i >= 4 ? 2 : 9);
        assert_int_equal(take(&fx, cases[i].fits, &first), 0);
        assert_int_equal(take(&fx, cases[i].fits, &second), 0);
        assert_int_equal(take(&fx, cases[i].fits, &third), PUSHERC_ELIMIT);
        assert_null(third);
        assert_int_equal(refused(&fx), 1);
        assert_int_equal(take(&fx, cases[i].other, &other), 0);
        pc_quota_drop(first);
        assert_int_equal(take(&fx, cases[i].fits, &third), 0);
        pc_quota_drop(second);
        pc_quota_drop(third);
        pc_quota_drop(other);
        close_empty(&fx);
    }
}

static void a_refused_question_takes_no_place_anywhere(void **state)
{
    struct fx fx;
    struct pc_quota *first, *second, *other;
    (void)state;
    open_with(&fx, 2, 2, 2);
    assert_int_equal(take(&fx, source(1, 1, 1), &first), 0);
    assert_int_equal(take(&fx, source(2, 2, 1), &second), 0);
    for (int i = 0; i < 10; i++) /* the app is full; connection and address are not */
        assert_int_equal(take(&fx, source(1, 1, 1), &other), PUSHERC_ELIMIT);
    pc_quota_drop(second);
    assert_int_equal(take(&fx, source(1, 1, 1), &second), 0);
    pc_quota_drop(first);
    pc_quota_drop(second);
    close_empty(&fx);
}

/* -- claims -- */

struct asked {
    struct pc_claim claim;
    unsigned granted;
};

static void granted(struct pc_claim *claim)
{
    PC_CONTAINER(claim, struct asked, claim)->granted++;
}

static void make(struct fx *fx, struct asked *a, struct pc_source from, bool must)
{
    a->granted = 0;
    pc_claim_init(&a->claim, granted);
    assert_int_equal(pc_claim_make(&a->claim, worker_of(fx), &from, must), 0);
}

static void what_waits_is_granted_in_order_as_answers_come(void **state)
{
    struct fx fx;
    struct asked a[5];
    (void)state;
    open_with(&fx, 2, 9, 9);
    for (size_t i = 0; i < 5; i++)
        make(&fx, &a[i], source(1, 1, 1), false);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(pc_claim_waits(&a[i].claim), i >= 2);
    pc_quota_drop(pc_claim_use(&a[1].claim));
    assert_int_equal(a[2].granted, 1);
    assert_int_equal(a[3].granted, 0);
    pc_claim_cancel(&a[3].claim); /* unsubscribed before it was asked */
    pc_claim_cancel(&a[0].claim);
    assert_int_equal(a[3].granted, 0);
    assert_int_equal(a[4].granted, 1);
    assert_int_equal(a[0].granted, 0); /* it has not waited */
    assert_int_equal(refused(&fx), 0);
    pc_claim_cancel(&a[2].claim);
    pc_claim_cancel(&a[4].claim);
    pc_claim_cancel(&a[4].claim); /* harmless */
    close_empty(&fx);
}

/* An address has two places. One connection has a long line; another one asks once. */
static void a_long_line_of_one_connection_does_not_overtake_others(void **state)
{
    struct fx fx;
    struct asked a[8], probe;
    (void)state;
    open_with(&fx, 2, 2, 9);
    for (size_t i = 0; i < 8; i++)
        make(&fx, &a[i], source(1, 1, 1), false);
    make(&fx, &probe, source(2, 1, 1), false);
    assert_true(pc_claim_waits(&probe.claim));
    pc_claim_cancel(&a[0].claim);
    assert_int_equal(probe.granted, 1);
    assert_int_equal(a[2].granted, 0);
    pc_claim_cancel(&probe.claim);
    assert_int_equal(a[2].granted, 1);
    for (size_t i = 1; i < 8; i++)
        pc_claim_cancel(&a[i].claim);
    close_empty(&fx);
}

static void what_must_be_asked_counts_and_does_not_wait(void **state)
{
    struct fx fx;
    struct asked a, b, c;
    (void)state;
    open_with(&fx, 1, 1, 1);
    make(&fx, &a, source(1, 1, 1), false);
    make(&fx, &b, source(1, 1, 1), true);
    assert_false(pc_claim_waits(&b.claim));
    make(&fx, &c, source(1, 1, 1), false);
    pc_claim_cancel(&a.claim);
    assert_true(pc_claim_waits(&c.claim)); /* b has the place */
    pc_claim_cancel(&b.claim);
    assert_int_equal(c.granted, 1);
    pc_claim_cancel(&c.claim);
    close_empty(&fx);
}

static void a_claim_moves_to_a_source_with_room(void **state)
{
    struct fx fx;
    struct asked a, b, later;
    struct pc_source full = source(1, 1, 1), also_full = source(2, 2, 1),
                     free_one = source(3, 3, 1);
    (void)state;
    open_with(&fx, 1, 9, 9);
    make(&fx, &a, full, false);
    make(&fx, &b, also_full, false);
    make(&fx, &later, full, false);
    assert_false(pc_claim_move(&later.claim, worker_of(&fx), &also_full));
    assert_true(pc_claim_waits(&later.claim));
    assert_true(pc_claim_move(&later.claim, worker_of(&fx), &free_one));
    assert_false(pc_claim_waits(&later.claim));
    assert_int_equal(later.granted, 0); /* the caller knows */
    assert_int_equal(refused(&fx), 0);
    pc_claim_cancel(&a.claim);
    pc_claim_cancel(&b.claim);
    pc_claim_cancel(&later.claim);
    close_empty(&fx);
}

static void a_claim_that_has_waited_too_long_is_counted_as_refused(void **state)
{
    struct fx fx;
    struct asked a, b;
    (void)state;
    open_with(&fx, 1, 9, 9);
    make(&fx, &a, source(1, 1, 1), false);
    make(&fx, &b, source(1, 1, 1), false);
    pc_claim_expire(&b.claim);
    assert_int_equal(refused(&fx), 1);
    pc_claim_expire(&a.claim); /* has a place: nothing was refused */
    assert_int_equal(refused(&fx), 1);
    assert_int_equal(b.granted, 0);
    close_empty(&fx);
}

/* -- at random, against the rules -- */

#define CLAIMS 64
#define ROUNDS 20000

struct model {
    struct asked asked[CLAIMS];
    struct pc_source from[CLAIMS];
    bool used[CLAIMS];
};

static bool same_party(const struct pc_source *a, const struct pc_source *b, int level)
{
    return level == 0 ? a->app_uid == b->app_uid && a->address.bytes[3] == b->address.bytes[3] &&
                            a->socket_id.a == b->socket_id.a
           : level == 1 ? a->app_uid == b->app_uid && a->address.bytes[3] == b->address.bytes[3]
                        : a->app_uid == b->app_uid;
}

/* How many granted claims the party of claim `i` has. */
static unsigned granted_of(const struct model *m, size_t i, int level)
{
    unsigned n = 0;
    for (size_t k = 0; k < CLAIMS; k++)
        n += m->used[k] && !pc_claim_waits(&m->asked[k].claim) &&
             same_party(&m->from[i], &m->from[k], level);
    return n;
}

/* No party has more than its limit, and nothing waits that could be asked. */
static void check(const struct model *m, const uint32_t limits[3])
{
    for (size_t i = 0; i < CLAIMS; i++) {
        bool fits = true;
        for (int level = 0; m->used[i] && level < 3; level++) {
            unsigned n = granted_of(m, i, level);
            assert_true(n <= limits[level]);
            fits &= n < limits[level];
        }
        if (m->used[i] && fits)
            assert_false(pc_claim_waits(&m->asked[i].claim));
    }
}

static void at_random_no_limit_is_passed_and_nothing_waits_in_vain(void **state)
{
    static const uint32_t limits[3] = {3, 6, 11};
    struct fx fx;
    struct model m = {.used = {false}};
    uint32_t seed = 4711;
    (void)state;
    open_with(&fx, limits[0], limits[1], limits[2]);
    for (unsigned round = 0; round < ROUNDS; round++) {
        seed = seed * 1664525 + 1013904223;
        size_t i = (seed >> 8) % CLAIMS;
        uint8_t address = (uint8_t)(1 + (seed >> 16) % 3);
        if (m.used[i]) {
            pc_claim_cancel(&m.asked[i].claim);
            m.used[i] = false;
        } else {
            m.from[i] = source(address * 10U + (seed >> 20) % 4, address, 1 + (seed >> 24) % 2);
            make(&fx, &m.asked[i], m.from[i], false);
            m.used[i] = true;
        }
        if (round % 16 == 0)
            check(&m, limits);
    }
    for (size_t i = 0; i < CLAIMS; i++)
        if (m.used[i])
            pc_claim_cancel(&m.asked[i].claim);
    close_empty(&fx);
}

/* -- memory -- */

static void without_memory_nothing_is_counted(void **state)
{
    int err = PUSHERC_ENOMEM;
    (void)state;
    for (size_t n = 1; err; n++) {
        struct fx fx;
        struct pc_quota *quota;
        struct asked a;
        struct pc_source from = source(1, 1, 1);
        open_with(&fx, 1, 1, 1);
        fx.alloc.fail_at = fx.alloc.requests + n;
        err = take(&fx, from, &quota);
        assert_true(err == 0 || err == PUSHERC_ENOMEM);
        if (err) {
            assert_null(quota);
            pc_claim_init(&a.claim, granted);
            fx.alloc.fail_at = fx.alloc.requests + 1;
            assert_int_equal(pc_claim_make(&a.claim, worker_of(&fx), &from, true), PUSHERC_ENOMEM);
            assert_false(pc_claim_waits(&a.claim));
            pc_claim_cancel(&a.claim);
        }
        pc_quota_drop(quota);
        assert_true(n < 20);
        close_empty(&fx);
    }
}

/* -- unknown apps -- */

static void ask_for(struct fx *fx, const char *key, int expected)
{
    struct pc_unknown_apps *apps = &worker_of(fx)->unknown_apps;
    struct pc_quota *quota;
    assert_false(pc_unknown_apps_has(apps, PC_S(""), pc_slice_of(key)));
    assert_int_equal(take(fx, source(0, 1, PC_QUOTA_UNKNOWN_APPS), &quota), expected);
    if (expected == 0)
        pc_unknown_apps_add(apps, PC_S(""), pc_slice_of(key), quota);
}

static void an_unknown_app_keeps_its_place_for_a_while(void **state)
{
    struct fx fx;
    struct pc_quota *other;
    (void)state;
    open_with(&fx, 9, 9, 9);
    struct pc_unknown_apps *apps = &worker_of(&fx)->unknown_apps;
    ask_for(&fx, "one", 0);
    fx_pass(&fx, 1000);
    ask_for(&fx, "two", 0);
    ask_for(&fx, "three", PUSHERC_ELIMIT);
    assert_true(pc_unknown_apps_has(apps, PC_S(""), PC_S("one")));
    assert_false(pc_unknown_apps_has(apps, PC_S("one"), PC_S(""))); /* that is an id */
    assert_int_equal(take(&fx, source(0, 2, PC_QUOTA_UNKNOWN_APPS), &other), 0);
    pc_quota_drop(other);
    fx_pass(&fx, 2000);
    assert_false(pc_unknown_apps_has(apps, PC_S(""), PC_S("one")));
    assert_true(pc_unknown_apps_has(apps, PC_S(""), PC_S("two")));
    ask_for(&fx, "three", 0);
    ask_for(&fx, "four", PUSHERC_ELIMIT);
    fx_pass(&fx, 10000);
    ask_for(&fx, "one", 0);
    fx_close(&fx); /* forgets what it remembers */
    assert_int_equal(failing_alloc_live(&fx.alloc), 0);
}

static void without_memory_an_unknown_app_is_not_remembered(void **state)
{
    bool remembered = false;
    (void)state;
    for (size_t n = 1; !remembered; n++) {
        struct fx fx;
        struct pc_quota *quota;
        open_with(&fx, 9, 9, 9);
        struct pc_unknown_apps *apps = &worker_of(&fx)->unknown_apps;
        assert_int_equal(take(&fx, source(0, 1, PC_QUOTA_UNKNOWN_APPS), &quota), 0);
        fx.alloc.fail_at = fx.alloc.requests + n;
        pc_unknown_apps_add(apps, PC_S(""), PC_S("key"), quota);
        remembered = pc_unknown_apps_has(apps, PC_S(""), PC_S("key"));
        assert_int_equal(worker_of(&fx)->quotas.by_party.count, remembered ? 2 : 0);
        assert_true(n < 20);
        fx_close(&fx);
        assert_int_equal(failing_alloc_live(&fx.alloc), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_party_has_its_limit_until_the_host_has_answered),
        cmocka_unit_test(a_refused_question_takes_no_place_anywhere),
        cmocka_unit_test(what_waits_is_granted_in_order_as_answers_come),
        cmocka_unit_test(a_long_line_of_one_connection_does_not_overtake_others),
        cmocka_unit_test(what_must_be_asked_counts_and_does_not_wait),
        cmocka_unit_test(a_claim_moves_to_a_source_with_room),
        cmocka_unit_test(a_claim_that_has_waited_too_long_is_counted_as_refused),
        cmocka_unit_test(at_random_no_limit_is_passed_and_nothing_waits_in_vain),
        cmocka_unit_test(without_memory_nothing_is_counted),
        cmocka_unit_test(an_unknown_app_keeps_its_place_for_a_while),
        cmocka_unit_test(without_memory_an_unknown_app_is_not_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
