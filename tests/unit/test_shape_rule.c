/* The text of shaping rules: docs/shaping.md. */
#include "channel/shape_rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/slice.h"
#include "unit/failing_alloc.h"

static void read(struct pc_shape_rules *rules, const struct pc_mem *mem, const char *text)
{
    assert_int_equal(pc_shape_rules_check(pc_slice_of(text), "", NULL), 0);
    assert_int_equal(pc_shape_rules_read(rules, mem, pc_slice_of(text)), 0);
}

static void rules_are_read_with_their_defaults(void **state)
{
    const struct pc_mem mem = pc_mem_make(NULL);
    struct pc_shape_rules rules;
    (void)state;
    read(&rules, &mem,
         "a.{id} key=/x/y window_ms=50 ; b debounce event=moved window_ms=10 leading=yes\n"
         "\n ; c.{rest...}  batch window_ms=5 max_wait_ms=7 max_events=9 max_keys=2 max_bytes=3\r\n"
         "d max_per_s=4 leading=no");
    assert_int_equal(rules.count, 4);
    const struct pc_shape_rule *r = rules.items[0];
    assert_true(pc_slice_eq(r->pattern, PC_S("a.{id}")) && pc_slice_eq(r->key, PC_S("/x/y")));
    assert_true(r->mode == PC_SHAPE_CONFLATE && r->leading && r->event.len == 0);
    assert_true(r->window_ms == 50 && r->max_wait_ms == PC_SHAPE_NO_WAIT && r->max_per_s == 0);
    assert_true(r->max_keys == 1000 && r->max_bytes == 1048576 && r->max_events == 100);
    r = rules.items[1];
    assert_true(r->mode == PC_SHAPE_DEBOUNCE && r->leading && r->max_wait_ms == 100);
    assert_true(pc_slice_eq(r->event, PC_S("moved")));
    r = rules.items[2];
    assert_true(pc_slice_eq(r->pattern, PC_S("c.{rest...}")));
    assert_true(r->mode == PC_SHAPE_BATCH && !r->leading && r->max_wait_ms == 7);
    assert_true(r->max_events == 9 && r->max_keys == 2 && r->max_bytes == 3);
    r = rules.items[3];
    assert_true(r->window_ms == 0 && r->max_per_s == 4 && !r->leading);

    assert_int_equal(pc_shape_rules_covering(&rules, PC_S("a.1")), 1);
    assert_int_equal(pc_shape_rules_covering(&rules, PC_S("a.1.2")), 0);
    assert_int_equal(pc_shape_rules_covering(&rules, PC_S("c.1.2")), 4);
    assert_ptr_equal(pc_shape_rules_pick(&rules, 2, PC_S("moved")), rules.items[1]);
    assert_null(pc_shape_rules_pick(&rules, 2, PC_S("other")));
    pc_shape_rules_free(&rules, &mem);
    read(&rules, &mem, " ;\n; ");
    assert_int_equal(rules.count, 0);
    pc_shape_rules_free(&rules, &mem);
}

static void what_is_wrong_is_said_with_its_rule_and_word(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"a{ window_ms=1", "rule 1: \"a{\" is no pattern of channel names"},
        {"a window_ms=1; b", "rule 1: \"window_ms=1;\" must be a number in its range"},
        {"a window_ms=1 ; b", "rule 2: window_ms is missing"},
        {"a debounce max_per_s=1", "rule 1: window_ms is missing"},
        {"a window_ms=0", "rule 1: \"window_ms=0\" must be a number in its range"},
        {"a window_ms=3600001", "rule 1: \"window_ms=3600001\" must be a number in its range"},
        {"a window_ms=99999999999",
         "rule 1: \"window_ms=99999999999\" must be a number in its range"},
        {"a window_ms=-1", "rule 1: \"window_ms=-1\" must be a number in its range"},
        {"a window_ms=", "rule 1: \"window_ms=\" is not known"},
        {"a window=5", "rule 1: \"window=5\" is not known"},
        {"a throttle", "rule 1: \"throttle\" is not known"},
        {"a window_ms=5 leading=maybe", "rule 1: \"leading=maybe\" must be yes or no"},
        {"a batch window_ms=5 leading=yes", "rule 1: \"leading=yes\" does not fit to a batch"},
        {"a window_ms=5 max_events=3", "rule 1: \"max_events\" is for a batch"},
        {"a window_ms=5 max_wait_ms=4", "rule 1: \"max_wait_ms\" is shorter than window_ms"},
        {"a.{x} window_ms=1\na.{y} window_ms=2",
         "rule 2: an earlier rule is about the same events"},
        {"\xff", "is not UTF-8"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pusherc_errinfo info = {0};
        char expected[200];
        snprintf(expected, sizeof expected, "app x: shaping: %s", cases[i].why);
        assert_int_equal(pc_shape_rules_check(pc_slice_of(cases[i].text), "app x: ", &info),
                         PUSHERC_EINVAL);
        assert_string_equal(info.text, expected);
    }
    char long_key[600];
    snprintf(long_key, sizeof long_key, "a window_ms=1 key=/~1%0511d", 0);
    assert_int_equal(pc_shape_rules_check(pc_slice_of(long_key), "", NULL), PUSHERC_EINVAL);
    long_key[strlen(long_key) - 2] = '\0';
    assert_int_equal(pc_shape_rules_check(pc_slice_of(long_key), "", NULL), 0);
    char many[33 * 20] = "";
    for (int i = 0; i < 33; i++)
        snprintf(many + strlen(many), 20, "c%d window_ms=1\n", i);
    pusherc_errinfo info = {0};
    assert_int_equal(pc_shape_rules_check(pc_slice_of(many), "", &info), PUSHERC_EINVAL);
    assert_string_equal(info.text, "shaping: there are more than 32 rules");
}

static void a_rule_that_stays_keeps_its_counters(void **state)
{
    const struct pc_mem mem = pc_mem_make(NULL);
    struct pc_shape_rules before, after, same;
    (void)state;
    read(&before, &mem, "a window_ms=1 ; b window_ms=2");
    before.items[1]->counts.in = 5;
    read(&after, &mem, "b window_ms=2 ; a window_ms=3");
    pc_shape_rules_keep(&after, &before);
    assert_ptr_equal(after.items[0], before.items[1]);
    assert_ptr_not_equal(after.items[1], before.items[0]);
    assert_true(after.serial > before.serial);
    read(&same, &mem, "b window_ms=2\na window_ms=3");
    pc_shape_rules_keep(&same, &after);
    assert_int_equal(same.serial, after.serial);
    pc_shape_rules_free(&before, &mem);
    pc_shape_rules_free(&after, &mem);
    assert_int_equal(same.items[0]->counts.in, 5);
    pc_shape_rules_free(&same, &mem);
}

static void without_memory_no_rule_is_read(void **state)
{
    bool failed = true;
    (void)state;
    for (size_t n = 1; failed; n++) {
        struct failing_alloc alloc;
        pusherc_allocator allocator = failing_alloc_init(&alloc, n);
        struct pc_mem mem = pc_mem_make(&allocator);
        struct pc_shape_rules rules;
        int err = pc_shape_rules_read(&rules, &mem, PC_S("a window_ms=1 ; b window_ms=2"));
        failed = failing_alloc_hit(&alloc);
        assert_int_equal(err, failed ? PUSHERC_ENOMEM : 0);
        pc_shape_rules_free(&rules, &mem);
        assert_int_equal(failing_alloc_live(&alloc), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_are_read_with_their_defaults),
        cmocka_unit_test(what_is_wrong_is_said_with_its_rule_and_word),
        cmocka_unit_test(a_rule_that_stays_keeps_its_counters),
        cmocka_unit_test(without_memory_no_rule_is_read),
    };
    return cmocka_run_group_tests_name("shape_rule", tests, NULL, NULL);
}
