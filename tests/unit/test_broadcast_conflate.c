/* The setting `conflate` of a broadcaster: what is accepted, and which events replace each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/slice.h"
#include "broadcast/conflate.h"
#include "unit/failing_alloc.h"

static struct failing_alloc alloc;
static struct pc_mem mem;

static int begin(void **state)
{
    (void)state;
    pusherc_allocator allocator = failing_alloc_init(&alloc, 0);
    mem = pc_mem_make(&allocator);
    return 0;
}

static int end(void **state)
{
    (void)state;
    return failing_alloc_live(&alloc) ? -1 : 0;
}

/* `channels` with one space between. */
static pusherc_slice subject(const struct pc_conflate *rules, const char *channels,
                             const char *name, const char *data,
                             char room[PC_CONFLATE_SUBJECT_BYTES])
{
    pusherc_slice names[8], rest = pc_slice_of(channels);
    pusherc_event event = PUSHERC_EVENT_INIT;
    while (rest.len) {
        names[event.channel_count++] = pc_slice_first(rest, pc_slice_find(rest, ' '));
        rest = pc_slice_skip(rest, pc_slice_find(rest, ' '));
        rest = rest.len ? pc_slice_skip(rest, 1) : rest;
    }
    event.name = pc_slice_of(name);
    event.channels = names;
    event.data = pc_slice_of(data);
    return pc_conflate_subject(rules, &mem, &event, room);
}

static bool replace_each_other(const char *text, const char *const a[3], const char *const b[3])
{
    struct pc_conflate rules;
    char room_a[PC_CONFLATE_SUBJECT_BYTES], room_b[PC_CONFLATE_SUBJECT_BYTES];
    assert_int_equal(pc_conflate_read(&rules, &mem, text, NULL), 0);
    const pusherc_slice one = subject(&rules, a[0], a[1], a[2], room_a),
                        other = subject(&rules, b[0], b[1], b[2], room_b);
    pc_conflate_free(&rules, &mem);
    return one.len && pc_slice_eq(one, other);
}

static void events_with_the_same_channels_name_and_key_replace_each_other(void **state)
{
    static const char rule[] = "g.{id} event=reading key=/point/id ; {all...} event=state";
    static const struct {
        bool same;
        const char *a[3], *b[3];
    } cases[] = {
        {true,
         {"g.1", "reading", "{\"point\":{\"id\":1},\"v\":1}"},
         {"g.1", "reading", "{\"v\":2,\"point\":{\"id\":1}}"}},
        {true,
         {"g.1", "reading", "{\"point\":{\"id\":\"a\"}}"},
         {"g.1", "reading", "{\"point\":{\"id\":\"\\u0061\"}}"}},
        {false,
         {"g.1", "reading", "{\"point\":{\"id\":1}}"},
         {"g.1", "reading", "{\"point\":{\"id\":2}}"}},
        {false,
         {"g.1", "reading", "{\"point\":{\"id\":1}}"},
         {"g.1", "reading", "{\"point\":{\"id\":\"1\"}}"}},
        {false,
         {"g.1", "reading", "{\"point\":{\"id\":1}}"},
         {"g.2", "reading", "{\"point\":{\"id\":1}}"}},
        {false,
         {"g.1", "reading", "{\"point\":{\"id\":1}}"},
         {"g.1 g.2", "reading", "{\"point\":{\"id\":1}}"}},
        {true,
         {"g.1 g.2", "reading", "{\"point\":{\"id\":1}}"},
         {"g.1 g.2", "reading", "{\"point\":{\"id\":1}}"}},
        {false,
         {"g.1 other", "reading", "{\"point\":{\"id\":1}}"},
         {"g.1 other", "reading", "{\"point\":{\"id\":1}}"}},
        {false, {"g.1", "reading", "{}"}, {"g.1", "reading", "{}"}},
        {false, {"g.1", "reading", "no JSON"}, {"g.1", "reading", "no JSON"}},
        {false,
         {"g.1", "other", "{\"point\":{\"id\":1}}"},
         {"g.1", "other", "{\"point\":{\"id\":1}}"}},
        {true, {"g.1", "state", "no JSON"}, {"g.1", "state", "[]"}},
        {true, {"x other", "state", "1"}, {"x other", "state", "2"}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (replace_each_other(rule, cases[i].a, cases[i].b) != cases[i].same)
            fail_msg("case %zu", i);
}

static void a_subject_that_is_too_long_is_none(void **state)
{
    static char data[PC_CONFLATE_SUBJECT_BYTES + 100];
    struct pc_conflate rules;
    char room[PC_CONFLATE_SUBJECT_BYTES];
    (void)state;
    assert_int_equal(pc_conflate_read(&rules, &mem, "{all...} key=k", NULL), 0);
    for (int digits = 900; digits <= 1100; digits += 200) {
        snprintf(data, sizeof data, "{\"k\":%0*d}", digits, 0);
        data[5] = '1'; /* a number does not begin with 0 */
        const size_t len = subject(&rules, "a", "e", data, room).len;
        assert_true(digits < 1000 ? len > (size_t)digits : len == 0);
    }
    pc_conflate_free(&rules, &mem);
}

static void a_rule_that_breaks_the_grammar_is_refused_with_its_reason(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"a.{b", "conflate: rule 1: \"a.{b\" is no pattern of channel names"},
        {"a window_ms=3", "conflate: rule 1: \"window_ms=3\" is not known"},
        {"a key=", "conflate: rule 1: \"key=\" is not known"},
        {"a ; b conflate", "conflate: rule 2: \"conflate\" is not known"},
        {"a.{x} key=k ; a.{y} key=l", "conflate: rule 2: an earlier rule is about the same events"},
    };
    struct pc_conflate rules;
    pusherc_errinfo info;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(pc_conflate_read(&rules, &mem, cases[i].text, &info), PUSHERC_EINVAL);
        assert_string_equal(info.text, cases[i].why);
    }
    assert_int_equal(pc_conflate_read(&rules, &mem, NULL, &info), 0);
    assert_int_equal(rules.count, 0);
    assert_int_equal(pc_conflate_read(&rules, &mem, "\n", &info), 0);
    assert_int_equal(rules.count, 0);
    alloc.every = 1;
    assert_int_equal(pc_conflate_read(&rules, &mem, "a", &info), PUSHERC_ENOMEM);
    alloc.every = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            events_with_the_same_channels_name_and_key_replace_each_other, begin, end),
        cmocka_unit_test_setup_teardown(a_subject_that_is_too_long_is_none, begin, end),
        cmocka_unit_test_setup_teardown(a_rule_that_breaks_the_grammar_is_refused_with_its_reason,
                                        begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
