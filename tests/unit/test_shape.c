/* Shaping of one channel by one rule, with a clock of the test: docs/shaping.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "shape_model.h"

static const uint64_t seed[2] = {3, 4};

struct fixture {
    struct failing_alloc alloc;
    struct pc_mem mem;
    struct pc_shape_rules rules;
    struct pc_shape_rule *rule;
    struct pc_shape shape;
    char out[4000]; /* what has come out: "name data; " */
};

static void open_with(struct fixture *f, const char *text)
{
    memset(f, 0, sizeof *f);
    pusherc_allocator allocator = failing_alloc_init(&f->alloc, 0);
    f->mem = pc_mem_make(&allocator);
    assert_int_equal(pc_shape_rules_check(pc_slice_of(text), "", NULL), 0);
    assert_int_equal(pc_shape_rules_read(&f->rules, &f->mem, pc_slice_of(text)), 0);
    f->rule = f->rules.items[0];
    pc_shape_init(&f->shape, &f->mem, seed, f->rule, 1000);
}

static void close_it(struct fixture *f)
{
    pc_shape_free(&f->shape);
    pc_shape_rules_free(&f->rules, &f->mem);
    assert_int_equal(failing_alloc_live(&f->alloc), 0);
}

static enum pc_shape_result put_from(struct fixture *f, uint64_t now_ms, const char *name,
                                     const char *data, const char *user, uint64_t except)
{
    char stack[100];
    struct pc_buf scratch;
    pusherc_slice key;
    const struct pc_shape_event event = {.name = pc_slice_of(name),
                                         .data = pc_slice_of(data),
                                         .user_id = pc_slice_of(user),
                                         .except = {except, except}};
    pc_buf_init_in(&scratch, &f->mem, SIZE_MAX, stack, sizeof stack);
    assert_true(pc_json_key(event.data, f->rule->key, &scratch, &key));
    enum pc_shape_result result = pc_shape_put(&f->shape, &event, key, now_ms);
    pc_buf_free(&scratch);
    return result;
}

static void put(struct fixture *f, uint64_t now_ms, const char *data)
{
    assert_int_equal(put_from(f, now_ms, "e", data, NULL, 0), PC_SHAPE_KEPT);
}

/* What comes out at that time. */
static const char *at(struct fixture *f, uint64_t now_ms)
{
    struct pc_shape_event event;
    f->out[0] = '\0';
    while (pc_shape_next(&f->shape, now_ms, &event)) {
        size_t len = strlen(f->out);
        snprintf(f->out + len, sizeof f->out - len, "%.*s %.*s; ", (int)event.name.len,
                 event.name.ptr, (int)event.data.len, event.data.len ? event.data.ptr : "");
        pc_shape_sent(&f->shape, true, now_ms);
    }
    return f->out;
}

static void expect_counts(const struct fixture *f, uint64_t in, uint64_t merged, uint64_t out)
{
    assert_int_equal(f->rule->counts.in, in);
    assert_int_equal(f->rule->counts.merged, merged);
    assert_int_equal(f->rule->counts.out, out);
}

static void conflation_sends_the_first_at_once_and_then_the_newest_of_each_window(void **state)
{
    struct fixture f;
    (void)state;
    open_with(&f, "c key=k window_ms=100");
    put(&f, 0, "{\"k\":1,\"v\":1}");
    put(&f, 0, "{\"k\":2,\"v\":1}");
    assert_int_equal(pc_shape_due(&f.shape, 0), 0);
    assert_string_equal(at(&f, 0), "e {\"k\":1,\"v\":1}; e {\"k\":2,\"v\":1}; ");
    assert_int_equal(pc_shape_due(&f.shape, 0), 100);
    for (int i = 10; i < 90; i += 10)
        put(&f, (uint64_t)i, "{\"k\":1,\"v\":2}");
    put(&f, 90, "{\"k\":1,\"v\":3}");
    assert_string_equal(at(&f, 99), "");
    assert_string_equal(at(&f, 100), "e {\"k\":1,\"v\":3}; ");
    put(&f, 150, "{\"k\":1,\"v\":4}");
    assert_string_equal(at(&f, 199), "");
    assert_string_equal(at(&f, 200), "e {\"k\":1,\"v\":4}; ");
    assert_string_equal(at(&f, 300), "");
    assert_true(pc_shape_is_empty(&f.shape)); /* two windows without an event */
    assert_int_equal(f.shape.bytes, 0);
    assert_int_equal(pc_shape_due(&f.shape, 300), UINT64_MAX);
    put(&f, 300, "{\"k\":1,\"v\":5}");
    assert_string_equal(at(&f, 300), "e {\"k\":1,\"v\":5}; ");
    expect_counts(&f, 13, 8, 5);
    close_it(&f);
}

static void without_leading_a_window_begins_with_its_first_event(void **state)
{
    struct fixture f;
    (void)state;
    open_with(&f, "c key=k window_ms=100 leading=no");
    put(&f, 0, "{\"k\":1,\"v\":1}");
    put(&f, 50, "{\"k\":1,\"v\":2}");
    assert_string_equal(at(&f, 99), "");
    assert_string_equal(at(&f, 100), "e {\"k\":1,\"v\":2}; ");
    assert_true(pc_shape_is_empty(&f.shape));
    close_it(&f);
}

static void debounce_waits_for_silence_but_not_for_ever(void **state)
{
    struct fixture f;
    (void)state;
    open_with(&f, "c debounce window_ms=100 max_wait_ms=350");
    for (uint64_t now = 0; now < 340; now += 50) {
        put(&f, now, "1");
        assert_string_equal(at(&f, now), "");
    }
    assert_int_equal(pc_shape_due(&f.shape, 300), 350);
    put(&f, 340, "2");
    assert_string_equal(at(&f, 349), "");
    assert_string_equal(at(&f, 350), "e 2; "); /* the longest wait, without any silence */
    put(&f, 360, "3");
    put(&f, 380, "4");
    assert_string_equal(at(&f, 479), "");
    assert_string_equal(at(&f, 480), "e 4; ");
    expect_counts(&f, 10, 8, 2);
    close_it(&f);
}

static void debounce_with_a_leading_edge_sends_first_and_last_of_a_burst(void **state)
{
    struct fixture f;
    (void)state;
    open_with(&f, "c debounce window_ms=100 leading=yes");
    put(&f, 0, "1");
    assert_string_equal(at(&f, 0), "e 1; ");
    put(&f, 50, "2");
    put(&f, 120, "3");
    assert_string_equal(at(&f, 219), "");
    assert_string_equal(at(&f, 220), "e 3; ");
    put(&f, 300, "4"); /* still within the silence that has to pass */
    assert_string_equal(at(&f, 399), "");
    assert_string_equal(at(&f, 400), "e 4; ");
    assert_string_equal(at(&f, 500), "");
    put(&f, 600, "5"); /* a burst of one is sent once */
    assert_string_equal(at(&f, 600), "e 5; ");
    assert_string_equal(at(&f, 1000), "");
    assert_true(pc_shape_is_empty(&f.shape));
    close_it(&f);
}

static void without_a_longest_wait_debounce_has_ten_windows(void **state)
{
    struct fixture f;
    (void)state;
    open_with(&f, "c debounce window_ms=10");
    for (uint64_t now = 0; now < 100; now += 5) {
        put(&f, now, "1");
        assert_string_equal(at(&f, now), "");
    }
    assert_string_equal(at(&f, 100), "e 1; ");
    close_it(&f);
}

static void a_batch_is_one_event_with_an_array(void **state)
{
    struct fixture f;
    (void)state;
    open_with(&f, "c batch window_ms=100 max_events=3");
    put(&f, 0, "{\"a\":1}");
    put(&f, 10, " [2] ");
    assert_int_equal(put_from(&f, 20, "other", "x", NULL, 0), PC_SHAPE_KEPT);
    assert_string_equal(at(&f, 99), "");
    assert_string_equal(at(&f, 100), "e [{\"a\":1},[2]]; ");
    assert_string_equal(at(&f, 120), "other [\"x\"]; ");
    /* what is no JSON is a string; the fourth begins another batch, and the first three go at once */
    put(&f, 200, "say \"hi\"");
    put(&f, 200, "");
    put(&f, 200, "3");
    assert_string_equal(at(&f, 200), "");
    put(&f, 200, "4");
    assert_string_equal(at(&f, 200), "e [\"say \\\"hi\\\"\",\"\",3]; ");
    assert_string_equal(at(&f, 300), "e [4]; ");
    expect_counts(&f, 7, 3, 4);
    close_it(&f);
}

static void a_batch_is_no_longer_than_an_event_may_be(void **state)
{
    struct fixture f;
    char data[600];
    (void)state;
    memset(data, '1', sizeof data - 1);
    data[sizeof data - 1] = '\0';
    open_with(&f, "c batch window_ms=100");
    put(&f, 0, data);
    put(&f, 0, data);
    assert_int_equal(strlen(at(&f, 0)), 599 + strlen("e []; "));
    assert_int_equal(strlen(at(&f, 100)), 599 + strlen("e []; "));
    close_it(&f);
}

static void batches_that_fill_while_one_is_on_its_way_keep_their_order(void **state)
{
    struct fixture f;
    struct pc_shape_event event;
    (void)state;
    open_with(&f, "c batch window_ms=100 max_events=2");
    put(&f, 0, "1");
    assert_true(pc_shape_next(&f.shape, 100, &event));
    for (int i = 2; i < 7; i++) {
        char data[4];
        snprintf(data, sizeof data, "%d", i);
        put(&f, 100, data);
    }
    pc_shape_sent(&f.shape, true, 100);
    assert_string_equal(at(&f, 100), "e [2,3]; e [4,5]; ");
    assert_string_equal(at(&f, 200), "e [6]; ");
    close_it(&f);
}

static void events_of_a_batch_have_one_sender(void **state)
{
    struct fixture f;
    struct pc_shape_event event;
    (void)state;
    open_with(&f, "c batch window_ms=100");
    assert_int_equal(put_from(&f, 0, "e", "1", "ann", 7), PC_SHAPE_KEPT);
    assert_int_equal(put_from(&f, 0, "e", "2", "bob", 8), PC_SHAPE_KEPT);
    assert_int_equal(put_from(&f, 0, "e", "3", "ann", 7), PC_SHAPE_KEPT);
    assert_true(pc_shape_next(&f.shape, 100, &event));
    assert_true(pc_slice_eq(event.user_id, PC_S("ann")) && event.except.a == 7);
    assert_true(pc_slice_eq(event.data, PC_S("[1,3]")));
    pc_shape_sent(&f.shape, true, 100);
    assert_true(pc_shape_next(&f.shape, 100, &event));
    assert_true(pc_slice_eq(event.user_id, PC_S("bob")) && event.except.a == 8);
    pc_shape_sent(&f.shape, true, 100);
    close_it(&f);
}

static void the_newest_event_brings_its_own_sender(void **state)
{
    struct fixture f;
    struct pc_shape_event event;
    (void)state;
    open_with(&f, "c window_ms=100 leading=no");
    assert_int_equal(put_from(&f, 0, "e", "a longer text", "ann", 7), PC_SHAPE_KEPT);
    assert_int_equal(put_from(&f, 0, "e", "2", "bo", 8), PC_SHAPE_KEPT);
    assert_true(pc_shape_next(&f.shape, 100, &event));
    assert_true(pc_slice_eq(event.user_id, PC_S("bo")) && event.except.a == 8);
    assert_true(pc_slice_eq(event.data, PC_S("2")));
    pc_shape_sent(&f.shape, true, 100);
    close_it(&f);
}

static void the_rate_of_a_channel_is_kept_and_keys_take_turns(void **state)
{
    struct fixture f;
    char data[30];
    uint64_t out = 0;
    (void)state;
    open_with(&f, "c key=k max_per_s=20");
    for (uint64_t now = 0; now < 5000; now++) {
        snprintf(data, sizeof data, "{\"k\":%u,\"v\":%u}", (unsigned)(now % 10), (unsigned)now);
        put(&f, now, data);
        if (now % 32 == 0) /* as the worker's timers */
            for (const char *text = at(&f, now); *text; text++)
                out += *text == ';';
    }
    assert_in_range(out, 98, 102); /* 5 s */
    uint64_t last = 5000;
    for (; !pc_shape_is_empty(&f.shape); last++)
        at(&f, last);
    assert_in_range(last, 5400, 5600); /* the ten that wait */
    assert_int_equal(f.rule->counts.out + f.rule->counts.merged, 5000);
    close_it(&f);
}

static void the_longest_wait_outranks_the_rate(void **state)
{
    struct fixture f;
    char data[30];
    (void)state;
    open_with(&f, "c key=k max_per_s=1 max_wait_ms=500");
    for (unsigned k = 0; k < 5; k++) {
        snprintf(data, sizeof data, "{\"k\":%u}", k);
        put(&f, 0, data);
    }
    assert_string_equal(at(&f, 0), "e {\"k\":0}; ");
    assert_string_equal(at(&f, 499), "");
    assert_string_equal(at(&f, 500), "e {\"k\":1}; e {\"k\":2}; e {\"k\":3}; e {\"k\":4}; ");
    close_it(&f);
}

static void what_comes_while_its_key_is_on_its_way_waits(void **state)
{
    struct fixture f;
    struct pc_shape_event event, none;
    (void)state;
    open_with(&f, "c key=k window_ms=100");
    put(&f, 0, "{\"k\":1,\"v\":1}");
    assert_true(pc_shape_next(&f.shape, 0, &event));
    put(&f, 1, "{\"k\":1,\"v\":2}");
    put(&f, 2, "{\"k\":1,\"v\":3}");
    put(&f, 2, "{\"k\":2,\"v\":1}");
    assert_false(pc_shape_next(&f.shape, 500, &none));
    assert_true(pc_slice_eq(event.data, PC_S("{\"k\":1,\"v\":1}")));
    pc_shape_sent(&f.shape, true, 5);
    assert_string_equal(at(&f, 104), "e {\"k\":2,\"v\":1}; ");
    assert_string_equal(at(&f, 105), "e {\"k\":1,\"v\":3}; ");
    close_it(&f);
}

static void at_the_bound_of_keys_new_ones_pass_and_known_ones_merge(void **state)
{
    struct fixture f;
    (void)state;
    open_with(&f, "c key=k window_ms=100 max_keys=2");
    put(&f, 0, "{\"k\":1}");
    put(&f, 0, "{\"k\":2}");
    assert_int_equal(put_from(&f, 0, "e", "{\"k\":3}", NULL, 0), PC_SHAPE_PASSED);
    put(&f, 0, "{\"k\":2}");
    assert_string_equal(at(&f, 0), "e {\"k\":1}; e {\"k\":2}; ");
    assert_int_equal(f.rule->counts.passed, 1);
    expect_counts(&f, 4, 1, 2);
    close_it(&f);
}

static void at_the_bound_of_bytes_the_newest_passes_and_what_waits_is_superseded(void **state)
{
    struct fixture f;
    char data[900];
    (void)state;
    memset(data, '1', sizeof data - 1);
    data[sizeof data - 1] = '\0';
    open_with(&f, "c window_ms=100 max_bytes=800");
    put(&f, 0, "1");
    assert_string_equal(at(&f, 0), "e 1; ");
    put(&f, 1, "2");
    assert_int_equal(put_from(&f, 2, "e", data, NULL, 0), PC_SHAPE_PASSED);
    put(&f, 3, "4");
    assert_string_equal(at(&f, 100),
                        "e 4; "); /* and never 2, which is older than what has passed */
    assert_true(f.shape.bytes <= 800);
    expect_counts(&f, 4, 1, 2);
    /* while the key's event is on its way a newer one cannot pass: it is one more than the bound */
    struct pc_shape_event event;
    put(&f, 110, "5");
    assert_true(pc_shape_next(&f.shape, 200, &event));
    put(&f, 200, data);
    assert_true(f.shape.bytes > 800);
    pc_shape_sent(&f.shape, true, 200);
    assert_int_equal(strlen(at(&f, 300)), 899 + strlen("e ; "));
    close_it(&f);
}

static void a_batch_without_room_is_refused(void **state)
{
    struct fixture f;
    char data[900];
    (void)state;
    memset(data, '1', sizeof data - 1);
    data[sizeof data - 1] = '\0';
    open_with(&f, "c batch window_ms=100 max_bytes=800");
    put(&f, 0, "1");
    assert_int_equal(put_from(&f, 0, "e", data, NULL, 0), PC_SHAPE_FULL);
    assert_string_equal(at(&f, 100), "e [1]; ");
    assert_int_equal(f.rule->counts.refused, 1);
    close_it(&f);
}

static void what_is_dropped_is_counted(void **state)
{
    struct fixture f;
    struct pc_shape_event event;
    (void)state;
    open_with(&f, "c batch key=k window_ms=100");
    put(&f, 0, "{\"k\":1}");
    put(&f, 0, "{\"k\":1}");
    put(&f, 0, "{\"k\":2}");
    assert_true(pc_shape_next(&f.shape, 100, &event)); /* on its way when the channel is vacated */
    put(&f, 100, "{\"k\":1}");
    assert_int_equal(pc_shape_waiting(&f.rule->counts), 4);
    pc_shape_drop(&f.shape);
    assert_int_equal(f.rule->counts.dropped, 2);
    pc_shape_sent(&f.shape, true, 100);
    assert_true(pc_shape_is_empty(&f.shape));
    expect_counts(&f, 4, 1, 1);
    assert_int_equal(pc_shape_waiting(&f.rule->counts), 0);
    put(&f, 200, "{\"k\":1}");
    assert_true(pc_shape_next(&f.shape, 300, &event));
    pc_shape_sent(&f.shape, false, 300); /* the workers did not take it */
    assert_int_equal(f.rule->counts.dropped, 3);
    close_it(&f);
}

static bool key_of(const char *rule_text, const char *data, char *out, size_t size)
{
    struct fixture f;
    char stack[100];
    struct pc_buf scratch;
    pusherc_slice key;
    open_with(&f, rule_text);
    pc_buf_init_in(&scratch, &f.mem, SIZE_MAX, stack, sizeof stack);
    bool found = pc_json_key(pc_slice_of(data), f.rule->key, &scratch, &key);
    snprintf(out, size, "%.*s", found ? (int)key.len : 0, found && key.len ? key.ptr : "");
    pc_buf_free(&scratch);
    close_it(&f);
    return found;
}

static void keys_are_fields_or_json_pointers(void **state)
{
    static const struct {
        const char *key, *data, *found; /* NULL: it has none */
    } cases[] = {
        {"id", "{\"id\":7}", "7"},
        {"id", "{\"id\":\"7\"}", "\"7"},
        {"id", "{\"id\":\"\\u0061/\"}", "\"a/"},
        {"id", "{\"id\":null}", "null"},
        {"id", "{\"id\":[1,{}]}", "[1,{}]"},
        {"id", "{\"x\":7}", NULL},
        {"id", "[7]", NULL},
        {"id", "no JSON", NULL},
        {"id", "{\"id\":\"\\ud800\"}", NULL},
        {"/id", "{\"id\":7}", "7"},
        {"/a/b", "{\"a\":{\"b\":true}}", "true"},
        {"/a/1/b", "{\"a\":[0,{\"b\":3}]}", "3"},
        {"/a/2", "{\"a\":[0,1]}", NULL},
        {"/a/x", "{\"a\":[0,1]}", NULL},
        {"/a~1b/m~0n", "{\"a/b\":{\"m~n\":5}}", "5"},
        {"/", "{\"\":6}", "6"},
        {"/a/b", "{\"a\":1}", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char rule[100], key[100];
        snprintf(rule, sizeof rule, "c window_ms=1 key=%s", cases[i].key);
        bool found = key_of(rule, cases[i].data, key, sizeof key);
        if (found != (cases[i].found != NULL) || strcmp(key, found ? cases[i].found : "") != 0)
            fail_msg("%s in %s: %s", cases[i].key, cases[i].data, found ? key : "none");
    }
}

static void names_are_told_apart_and_long_keys_pass(void **state)
{
    struct fixture f;
    char data[700];
    (void)state;
    open_with(&f, "c key=k window_ms=100");
    assert_int_equal(put_from(&f, 0, "a", "{\"k\":1}", NULL, 0), PC_SHAPE_KEPT);
    assert_int_equal(put_from(&f, 0, "b", "{\"k\":1}", NULL, 0), PC_SHAPE_KEPT);
    assert_string_equal(at(&f, 0), "a {\"k\":1}; b {\"k\":1}; ");
    snprintf(data, sizeof data, "{\"k\":\"%600s\"}", "");
    assert_int_equal(put_from(&f, 0, "a", data, NULL, 0), PC_SHAPE_PASSED);
    close_it(&f);
}

/* Every allocation fails once: then an event passes or is refused, and nothing is lost without being counted. */
static void without_memory_events_pass_or_are_refused(void **state)
{
    static const char *const rules[] = {"c key=k window_ms=10", "c batch key=k window_ms=10"};
    (void)state;
    for (size_t r = 0; r < 2; r++) {
        bool failed = true;
        for (size_t n = 1; failed; n++) {
            struct fixture f;
            struct pc_shape_event event;
            open_with(&f, rules[r]);
            size_t before = f.alloc.requests;
            f.alloc.fail_at = before + n;
            put_from(&f, 0, "e", "{\"k\":1}", NULL, 0);
            bool sends = pc_shape_next(&f.shape, 10, &event);
            enum pc_shape_result during = put_from(&f, 10, "e", "{\"k\":1,\"more\":2}", NULL, 0);
            if (sends)
                pc_shape_sent(&f.shape, true, 10);
            put_from(&f, 11, "e", "{\"k\":1,\"more\":\"and more, and more\"}", NULL, 0);
            at(&f, 100);
            failed = f.alloc.requests >= before + n;
            f.alloc.fail_at = 0;
            const struct pc_shape_counts *c = &f.rule->counts;
            assert_true(during != PC_SHAPE_PASSED || !sends);
            assert_int_equal(c->in, c->out + c->merged + c->passed + c->refused + c->dropped);
            assert_int_equal(c->in, 3);
            close_it(&f);
        }
    }
}

static void random_histories_agree_with_a_plain_model(void **state)
{
    static uint8_t data[4000];
    uint64_t x = 88172645463325252ULL;
    (void)state;
    for (int run = 0; run < 400; run++) {
        for (size_t i = 0; i < sizeof data; i++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            data[i] = (uint8_t)x;
        }
        shape_model_run(data, 200 + (size_t)(x % 3800));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conflation_sends_the_first_at_once_and_then_the_newest_of_each_window),
        cmocka_unit_test(without_leading_a_window_begins_with_its_first_event),
        cmocka_unit_test(debounce_waits_for_silence_but_not_for_ever),
        cmocka_unit_test(debounce_with_a_leading_edge_sends_first_and_last_of_a_burst),
        cmocka_unit_test(without_a_longest_wait_debounce_has_ten_windows),
        cmocka_unit_test(a_batch_is_one_event_with_an_array),
        cmocka_unit_test(a_batch_is_no_longer_than_an_event_may_be),
        cmocka_unit_test(batches_that_fill_while_one_is_on_its_way_keep_their_order),
        cmocka_unit_test(events_of_a_batch_have_one_sender),
        cmocka_unit_test(the_newest_event_brings_its_own_sender),
        cmocka_unit_test(the_rate_of_a_channel_is_kept_and_keys_take_turns),
        cmocka_unit_test(the_longest_wait_outranks_the_rate),
        cmocka_unit_test(what_comes_while_its_key_is_on_its_way_waits),
        cmocka_unit_test(at_the_bound_of_keys_new_ones_pass_and_known_ones_merge),
        cmocka_unit_test(at_the_bound_of_bytes_the_newest_passes_and_what_waits_is_superseded),
        cmocka_unit_test(a_batch_without_room_is_refused),
        cmocka_unit_test(what_is_dropped_is_counted),
        cmocka_unit_test(keys_are_fields_or_json_pointers),
        cmocka_unit_test(names_are_told_apart_and_long_keys_pass),
        cmocka_unit_test(without_memory_events_pass_or_are_refused),
        cmocka_unit_test(random_histories_agree_with_a_plain_model),
    };
    return cmocka_run_group_tests_name("shape", tests, NULL, NULL);
}
