/* The members of a presence channel, and their JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <pusherc/error.h>

#include "channel/roster.h"
#include "codec/json.h"
#include "unit/failing_alloc.h"

static const uint64_t seed[2] = {1, 2};

struct fixture {
    struct failing_alloc alloc;
    struct pc_mem mem;
    struct pc_roster roster;
};

static void open_at(struct fixture *f, size_t fail_at)
{
    pusherc_allocator allocator = failing_alloc_init(&f->alloc, fail_at);
    f->mem = pc_mem_make(&allocator);
    pc_roster_init(&f->roster, &f->mem, seed);
}

static int set_up(void **state)
{
    static struct fixture f;
    open_at(&f, 0);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    pc_roster_free(&f->roster);
    return failing_alloc_live(&f->alloc) == 0 ? 0 : -1;
}

static struct pc_roster_member *join(struct fixture *f, const char *id, const char *info)
{
    struct pc_roster_member *member;
    assert_int_equal(pc_roster_join(&f->roster, pc_slice_of(id), pc_slice_of(info), 100, &member),
                     0);
    return member;
}

static void leave(struct fixture *f, struct pc_roster_member *member, bool last)
{
    assert_int_equal(pc_roster_leave(&f->roster, member), last);
    if (last)
        pc_roster_member_free(&f->roster, member);
}

/* A message takes it as a part of its string. */
static void expect_json(struct fixture *f, const char *expected)
{
    char message_text[1024], escaped_text[1024];
    struct pc_buf message, escaped;
    pc_buf_init_in(&message, &f->mem, sizeof message_text, message_text, sizeof message_text);
    pc_buf_init_in(&escaped, &f->mem, sizeof escaped_text, escaped_text, sizeof escaped_text);
    assert_int_equal(pc_roster_put(&f->roster, &message), 0);
    pc_json_put_escaped(&escaped, pc_slice_of(expected));
    pc_buf_put_char(&message, '\0');
    pc_buf_put_char(&escaped, '\0');
    assert_string_equal(message.ptr, escaped.ptr);
}

static void an_empty_roster_has_its_json(void **state)
{
    expect_json(*state, "{\"presence\":{\"ids\":[],\"hash\":{},\"count\":0}}");
}

static void members_stand_in_the_order_they_came(void **state)
{
    struct fixture *f = *state;
    join(f, "zoe", "{\"n\":1}");
    join(f, "7", "null");
    join(f, "\"\\", "[]");
    expect_json(f, "{\"presence\":{\"ids\":[\"zoe\",\"7\",\"\\\"\\\\\"],"
                   "\"hash\":{\"zoe\":{\"n\":1},\"7\":null,\"\\\"\\\\\":[]},\"count\":3}}");
}

static void a_user_is_a_member_until_the_last_subscription_goes(void **state)
{
    struct fixture *f = *state;
    struct pc_roster_member *first = join(f, "ann", "{\"n\":1}");
    struct pc_roster_member *again = join(f, "ann", "{\"n\":2}");
    assert_ptr_equal(first, again);
    assert_int_equal(pc_roster_count(&f->roster), 1);
    expect_json(f, "{\"presence\":{\"ids\":[\"ann\"],\"hash\":{\"ann\":{\"n\":1}},\"count\":1}}");
    leave(f, first, false);
    assert_int_equal(pc_roster_count(&f->roster), 1);
    leave(f, first, true);
    assert_int_equal(pc_roster_count(&f->roster), 0);
    expect_json(f, "{\"presence\":{\"ids\":[],\"hash\":{},\"count\":0}}");
    /* with what they say the next time */
    join(f, "ann", "{\"n\":3}");
    expect_json(f, "{\"presence\":{\"ids\":[\"ann\"],\"hash\":{\"ann\":{\"n\":3}},\"count\":1}}");
}

static void a_mirrored_user_is_a_member_for_as_long(void **state)
{
    struct fixture *f = *state;
    struct pc_roster_member *far;
    bool added;
    assert_int_equal(pc_roster_mirror(&f->roster, PC_S("ann"), PC_S("1"), &far, &added), 0);
    assert_true(added);
    assert_ptr_equal(join(f, "ann", "2"), far); /* here as well */
    assert_int_equal(pc_roster_mirror(&f->roster, PC_S("ann"), PC_S("3"), &far, &added), 0);
    assert_false(added);
    expect_json(f, "{\"presence\":{\"ids\":[\"ann\"],\"hash\":{\"ann\":1},\"count\":1}}");
    leave(f, far, false);
    assert_ptr_equal(pc_roster_find(&f->roster, PC_S("ann")), far);
    assert_true(pc_roster_unmirror(&f->roster, far));
    pc_roster_member_free(&f->roster, far);
    assert_null(pc_roster_find(&f->roster, PC_S("ann")));
    expect_json(f, "{\"presence\":{\"ids\":[],\"hash\":{},\"count\":0}}");
    assert_int_equal(pc_roster_mirror(&f->roster, PC_S("bob"), PC_S("1"), &far, &added), 0);
    join(f, "bob", "2");
    assert_false(pc_roster_unmirror(&f->roster, far));
    leave(f, far, true);
}

static void the_json_is_added_to_and_written_again_after_a_member_has_left(void **state)
{
    struct fixture *f = *state;
    struct pc_roster_member *ann = join(f, "ann", "{}");
    expect_json(f, "{\"presence\":{\"ids\":[\"ann\"],\"hash\":{\"ann\":{}},\"count\":1}}");
    join(f, "ann", "{}");
    leave(f, ann, false);
    size_t requests = f->alloc.requests, len = f->roster.ids.len;
    expect_json(f, "{\"presence\":{\"ids\":[\"ann\"],\"hash\":{\"ann\":{}},\"count\":1}}");
    assert_int_equal(f->alloc.requests, requests);
    join(f, "b\"b\\\n", "{\"a\":\"\\n\"}");
    assert_true(f->roster.ids.len > len && len > 0); /* not from the beginning */
    static const char both[] =
        "{\"presence\":{\"ids\":[\"ann\",\"b\\\"b\\\\\\n\"],\"hash\":{\"ann\":{},"
        "\"b\\\"b\\\\\\n\":{\"a\":\"\\n\"}},\"count\":2}}";
    expect_json(f, both);
    leave(f, ann, true);
    expect_json(f, "{\"presence\":{\"ids\":[\"b\\\"b\\\\\\n\"],"
                   "\"hash\":{\"b\\\"b\\\\\\n\":{\"a\":\"\\n\"}},\"count\":1}}");
}

static void only_new_users_count_against_the_limit(void **state)
{
    struct fixture *f = *state;
    struct pc_roster_member *member = NULL;
    join(f, "ann", "{}");
    join(f, "bob", "{}");
    assert_int_equal(pc_roster_join(&f->roster, PC_S("cid"), PC_S("{}"), 2, &member),
                     PUSHERC_ELIMIT);
    assert_null(member);
    assert_int_equal(pc_roster_join(&f->roster, PC_S("ann"), PC_S("{}"), 2, &member), 0);
    assert_int_equal(member->subscriptions, 2);
    assert_int_equal(pc_roster_join(&f->roster, PC_S("ann"), PC_S("{}"), 0, &member), 0);
}

static void without_memory_nothing_has_changed(void **state)
{
    bool failed = true;
    (void)state;
    for (size_t n = 1; failed; n++) {
        struct fixture f;
        struct pc_roster_member *members[3] = {NULL};
        const char *const ids[] = {"ann", "bob", "ann"};
        size_t users = 0;
        open_at(&f, n);
        for (size_t i = 0; i < 3; i++) {
            int err = pc_roster_join(&f.roster, pc_slice_of(ids[i]), PC_S("{}"), 100, &members[i]);
            assert_true(err == 0 || err == PUSHERC_ENOMEM);
            assert_true((err == 0) == (members[i] != NULL));
            users += err == 0 && members[i]->subscriptions == 1;
            assert_int_equal(pc_roster_count(&f.roster), users);
            char text[512];
            struct pc_buf out;
            pc_buf_init_in(&out, &f.mem, sizeof text, text, sizeof text);
            err = pc_roster_put(&f.roster, &out);
            assert_true(err == 0 || err == PUSHERC_ENOMEM);
        }
        failed = failing_alloc_hit(&f.alloc);
        f.alloc.fail_at = 0;
        char text[512];
        struct pc_buf out;
        pc_buf_init_in(&out, &f.mem, sizeof text, text, sizeof text);
        assert_int_equal(pc_roster_put(&f.roster, &out), 0); /* a failure is not remembered */
        assert_int_equal(out.ptr[out.len - 3] - '0', (int)users);
        for (size_t i = 0; i < 3; i++) {
            if (members[i] && pc_roster_leave(&f.roster, members[i]))
                pc_roster_member_free(&f.roster, members[i]);
        }
        assert_int_equal(pc_roster_count(&f.roster), 0);
        pc_roster_free(&f.roster);
        assert_int_equal(failing_alloc_live(&f.alloc), 0);
    }
}

#define roster_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        roster_test(an_empty_roster_has_its_json),
        roster_test(members_stand_in_the_order_they_came),
        roster_test(a_user_is_a_member_until_the_last_subscription_goes),
        roster_test(a_mirrored_user_is_a_member_for_as_long),
        roster_test(the_json_is_added_to_and_written_again_after_a_member_has_left),
        roster_test(only_new_users_count_against_the_limit),
        cmocka_unit_test(without_memory_nothing_has_changed),
    };
    return cmocka_run_group_tests_name("roster", tests, NULL, NULL);
}
