/* The authority's calls: what they refuse, and that a step happens as a whole or not at all. That a step does what the
 * model does is for cluster/compare.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pusherc/pusherc.h>

#include "failing_alloc.h"

/* What a step published and answered, as one text. */
struct heard {
    char text[8192];
    size_t len, answers;
};

static void hear(struct heard *h, pusherc_slice s)
{
    h->len += (size_t)snprintf(h->text + h->len, sizeof h->text - h->len, "[%.*s]", (int)s.len,
                               s.ptr ? s.ptr : "");
    assert_true(h->len < sizeof h->text);
}

static void on_message(pusherc_topic topic, pusherc_slice key, pusherc_slice message,
                       void *user_data)
{
    char kind = (char)('0' + topic);
    hear(user_data, (pusherc_slice){&kind, 1});
    hear(user_data, key);
    hear(user_data, message);
}

static void on_answer(const pusherc_slice *values, size_t count, void *user_data)
{
    struct heard *h = user_data;
    h->answers++;
    for (size_t i = 0; i < count; i++)
        hear(h, values[i]);
}

#define MAX_ARGS 16

/* The arguments are separated by bars. */
static int execute(pusherc_authority *authority, uint64_t ms, pusherc_step step, const char *args,
                   struct heard *h)
{
    pusherc_slice list[MAX_ARGS];
    size_t count = 0;
    *h = (struct heard){.len = 0};
    for (const char *at = args; at;) {
        const char *bar = strchr(at, '|');
        assert_true(count < MAX_ARGS);
        list[count++] = (pusherc_slice){at, bar ? (size_t)(bar - at) : strlen(at)};
        at = bar ? bar + 1 : NULL;
    }
    return pusherc_authority_execute(authority, ms * 1000, step, list, count, on_message, on_answer,
                                     h);
}

static void expect(pusherc_authority *authority, uint64_t ms, pusherc_step step, const char *args,
                   const char *heard)
{
    struct heard h;
    assert_int_equal(execute(authority, ms, step, args, &h), 0);
    assert_string_equal(h.text, heard);
    assert_int_equal(h.answers, 1);
}

/* -- what is refused -- */

static void arguments_that_do_not_fit_are_refused_and_change_nothing(void **state)
{
    static const struct {
        int step;
        const char *args;
    } cases[] = {
        {PUSHERC_STEP_ATTACH, "a.0|r|100|50|e1"},
        {PUSHERC_STEP_ATTACH, "a.0|r|100|50|e1||more"},
        {PUSHERC_STEP_ATTACH, "a.0|r|-1|50|e1|"},
        {PUSHERC_STEP_ATTACH, "a.0|r|9007199254740993|50|e1|"},
        {PUSHERC_STEP_ATTACH, "a.0|r|1e3|50|e1|"},
        {PUSHERC_STEP_RENEW, "a.0|e1|r||1"},
        {PUSHERC_STEP_RENEW, "a.0|e1|r|100"},
        {PUSHERC_STEP_COUNT, "a.0|e1|1|index|app/c|1|"},
        {PUSHERC_STEP_COUNT, "a.0|e1|1|index|app/c|1|x|0"},
        {PUSHERC_STEP_VERIFY, "e1|app/c|1"},
        {PUSHERC_STEP_REAP, "a.0|e1|100|b.0|1|1|app/c"},
        {PUSHERC_STEP_REAP, "a.0|e1|100|b.0|1|1|app/c|u|2|app/c"},
        {PUSHERC_STEP_REAP, "a.0|e1|100|b.0|1|9007199254740992|app/c|u|0"},
        {PUSHERC_STEP_ORDERS, "now|10"},
        {PUSHERC_STEP_TELL, "a.0|e1|now|10"},
        {0, "a.0|e1"},
        {PUSHERC_STEP_TOTALS + 1, "a.0|e1"},
        {-1, "a.0|e1"},
    };
    pusherc_authority *authority;
    struct heard h;
    (void)state;
    assert_int_equal(pusherc_authority_new(&authority, NULL), 0);
    expect(authority, 1000, PUSHERC_STEP_ATTACH, "a.0|r|100|50|e1|", "[OK][e1][0][1]");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(execute(authority, 1000, (pusherc_step)cases[i].step, cases[i].args, &h),
                         PUSHERC_EINVAL);
        assert_int_equal(h.answers, 0);
        assert_int_equal(h.len, 0);
    }
    expect(authority, 1000, PUSHERC_STEP_MINE, "a.0|e1", "[OK][0][0]");
    pusherc_authority_free(authority);
}

static void null_is_refused_or_harmless(void **state)
{
    pusherc_authority *authority;
    pusherc_slice arg = {"app/c", 5};
    struct heard h = {.len = 0};
    (void)state;
    pusherc_authority_free(NULL);
    assert_int_equal(pusherc_authority_new(NULL, NULL), PUSHERC_EINVAL);
    assert_int_equal(pusherc_authority_new(&authority, NULL), 0);
    assert_int_equal(
        pusherc_authority_execute(NULL, 1, PUSHERC_STEP_KEPT, &arg, 1, on_message, on_answer, &h),
        PUSHERC_EINVAL);
    assert_int_equal(
        pusherc_authority_execute(authority, 1, PUSHERC_STEP_KEPT, &arg, 1, NULL, on_answer, &h),
        PUSHERC_EINVAL);
    assert_int_equal(
        pusherc_authority_execute(authority, 1, PUSHERC_STEP_KEPT, &arg, 1, on_message, NULL, &h),
        PUSHERC_EINVAL);
    pusherc_authority_free(authority);
}

/* -- a story -- */

static void a_member_of_two_processes_is_told_once_and_leaves_with_the_last(void **state)
{
    pusherc_authority *a;
    (void)state;
    assert_int_equal(pusherc_authority_new(&a, NULL), 0);
    expect(a, 1000, PUSHERC_STEP_ATTACH, "a.0|r|100|50|e1|", "[OK][e1][0][1]");
    expect(a, 1001, PUSHERC_STEP_ATTACH, "b.0|r|100|50|e2|", "[OK][e1][0][1]");
    expect(a, 1002, PUSHERC_STEP_JOIN, "a.0|e1|app/c|u|{}|100|0|1",
           "[1][app/c][1 0 e1\n+1:u{}][2][][T][OK][1][1]");
    expect(a, 1003, PUSHERC_STEP_JOIN, "b.0|e1|app/c|u|{}|100|0|1", "[OK][1][0]");
    expect(a, 1003, PUSHERC_STEP_JOIN, "b.0|e1|app/c|v|{}|1|0|1", "[FULL]");
    expect(a, 1004, PUSHERC_STEP_FETCH, "e1|app/c", "[OK][1][1][u][1][{}]");
    expect(a, 1005, PUSHERC_STEP_LEAVE, "a.0|e1|app/c|u|1", "[OK][0]");
    /* b dies; a, whose own lease has been renewed, buries it */
    expect(a, 1090, PUSHERC_STEP_RENEW, "a.0|e1|r|100|1", "[2][][S e1][OK][0][1][2]");
    expect(a, 1150, PUSHERC_STEP_REAP, "a.0|e1|100|b.0|1|1|app/c|u|0",
           "[1][app/c][2 1 e1\n-1:u][OK][0]");
    expect(a, 1150, PUSHERC_STEP_JOIN, "b.0|e1|app/c|u|{}|100|0|1", "[FENCED]");
    expect(a, 1151, PUSHERC_STEP_TELL, "a.0|e1|0-0|10",
           "[OK][1151][1002-0][added][app/c][u][1150-0][removed][app/c][u]");
    /* it gives the office up, and takes it again as no other has */
    expect(a, 1152, PUSHERC_STEP_RENEW, "a.0|e1|r|100|0", "[2][][V][OK][0][0][1]");
    expect(a, 1153, PUSHERC_STEP_TELL, "a.0|e1|0-0|10", "[NOT_OWNER]");
    expect(a, 1154, PUSHERC_STEP_RENEW, "a.0|e1|r|100|0", "[OK][0][0][1]");
    expect(a, 1155, PUSHERC_STEP_RENEW, "a.0|e1|r|100|1", "[OK][0][1][1]");
    pusherc_authority_free(a);
}

/* -- out of memory -- */

#define TEN  "0123456789"
#define LONG TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

/* Steps that together make, change and remove everything that an authority holds. */
static const struct {
    pusherc_step step;
    const char *args;
} story[] = {
    {PUSHERC_STEP_ATTACH, "a.0|r|100|50|e1|"},
    {PUSHERC_STEP_ATTACH, "b.0|r|100|50|e2|"},
    {PUSHERC_STEP_RENEW, "a.0|e1|r|100|1"},
    {PUSHERC_STEP_JOIN, "a.0|e1|app/c|u|{}|100|0|1"},
    {PUSHERC_STEP_JOIN, "b.0|e1|app/c|u|{}|100|0|1"},
    {PUSHERC_STEP_JOIN, "b.0|e1|app/c|v|{\"name\":\"a long one, which takes room\"}|100|0|1"},
    {PUSHERC_STEP_COUNT, "a.0|e1|1|app:p|app/c|3||1|app:o|app/d|4|2|1"},
    {PUSHERC_STEP_COUNT, "b.0|e1|0|app:p|app/c|1||1"},
    {PUSHERC_STEP_FETCH, "e1|app/c"},
    {PUSHERC_STEP_MINE, "b.0|e1"},
    {PUSHERC_STEP_CHANNELS, "app:p|app/|0|10"},
    {PUSHERC_STEP_KEEP, "app/c|100|one"},
    {PUSHERC_STEP_KEEP, "app/c|100|two"},
    {PUSHERC_STEP_REKEEP, "app/d|5|100|three"},
    {PUSHERC_STEP_KEPT, "app/c"},
    {PUSHERC_STEP_ONCE_BEGIN, "key|content|token|100"},
    {PUSHERC_STEP_ONCE_DONE, "key|token|answer|100"},
    {PUSHERC_STEP_ONCE_BEGIN, "key|content|token|100"},
    {PUSHERC_STEP_ORDER, "one|2"},
    {PUSHERC_STEP_ORDER, "two|2"},
    {PUSHERC_STEP_ORDERS, "0-0|10"},
    {PUSHERC_STEP_LEAVE, "a.0|e1|app/c|u|1"},
    {PUSHERC_STEP_COUNT, "b.0|e1|2|app:p|app/c|5||1"},
    {PUSHERC_STEP_TELL, "a.0|e1|0-0|10"},
    {PUSHERC_STEP_CHECK, "e1|app/c|u|app/c|"},
    {PUSHERC_STEP_TOLD, "a.0|e1|1003-0"},
    {PUSHERC_STEP_DETACH, "b.0|e1"},
    {PUSHERC_STEP_RENEW, "a.0|e1|r|100|1"},
    {PUSHERC_STEP_REAP, "a.0|e1|10|b.0|2|2|app/c|u|app/c|v|1|app/c"},
    {PUSHERC_STEP_COUNT, "a.0|e1|1|app:p|app/c|0||1"},
    {PUSHERC_STEP_ATTACH, "a.0|elsewhere|100|50|e3|e1"},
    {PUSHERC_STEP_SYNCED, "a.0|e3"},
    /* more than fits into the space that a step begins with */
    {PUSHERC_STEP_ATTACH, "c.0|elsewhere|1|0|e4|"},
    {PUSHERC_STEP_JOIN, "c.0|e3|app/c|" LONG "1|{}|100|0|1"},
    {PUSHERC_STEP_JOIN, "c.0|e3|app/c|" LONG "2|{}|100|0|1"},
    {PUSHERC_STEP_JOIN, "c.0|e3|app/c|" LONG "3|{}|100|0|1"},
    {PUSHERC_STEP_RENEW, "a.0|e3|elsewhere|100|1"},
    {PUSHERC_STEP_REAP, "a.0|e3|1|c.0|1|3|app/c|" LONG "1|app/c|" LONG "2|app/c|" LONG "3|0"},
};

static void a_step_without_memory_changes_nothing(void **state)
{
    struct failing_alloc alloc;
    const pusherc_allocator allocator = failing_alloc_init(&alloc, 0);
    pusherc_authority *tried, *other;
    size_t refused = 0;
    (void)state;
    assert_int_equal(pusherc_authority_new(&tried, &allocator), 0);
    assert_int_equal(pusherc_authority_new(&other, NULL), 0);
    for (size_t i = 0; i < sizeof story / sizeof story[0]; i++) {
        struct heard got, want;
        int err = PUSHERC_ENOMEM;
        assert_int_equal(execute(other, 1000 + i, story[i].step, story[i].args, &want), 0);
        for (size_t n = 1; err; n++) {
            alloc.requests = 0;
            alloc.fail_at = n;
            err = execute(tried, 1000 + i, story[i].step, story[i].args, &got);
            if (err) {
                assert_int_equal(err, PUSHERC_ENOMEM);
                assert_int_equal(got.len, 0);
                refused++;
            }
        }
        alloc.fail_at = 0;
        assert_string_equal(got.text, want.text);
    }
    assert_true(refused > 30);
    pusherc_authority_free(other);
    pusherc_authority_free(tried);
    assert_int_equal(failing_alloc_live(&alloc), 0);
}

static void making_an_authority_needs_memory(void **state)
{
    struct failing_alloc alloc;
    const pusherc_allocator allocator = failing_alloc_init(&alloc, 1);
    pusherc_authority *authority = (pusherc_authority *)&alloc;
    (void)state;
    assert_int_equal(pusherc_authority_new(&authority, &allocator), PUSHERC_ENOMEM);
    assert_null(authority);
    assert_int_equal(failing_alloc_live(&alloc), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_that_do_not_fit_are_refused_and_change_nothing),
        cmocka_unit_test(null_is_refused_or_harmless),
        cmocka_unit_test(a_member_of_two_processes_is_told_once_and_leaves_with_the_last),
        cmocka_unit_test(a_step_without_memory_changes_nothing),
        cmocka_unit_test(making_an_authority_needs_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
