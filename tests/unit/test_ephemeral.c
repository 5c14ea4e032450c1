/* The rules of ephemeral states (docs/typing.md), the data of their events, and the states of one channel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ephemeral_model.h"

static void rules_are_read_with_their_defaults(void **state)
{
    const struct pc_mem mem = pc_mem_make(NULL);
    struct pc_ephemeral_rules rules;
    pusherc_slice text = PC_S("presence-chat.{id} event=client-typing ttl_ms=6000 ;\n"
                              "private-doc.{id} event=client-edit ttl_ms=100 key=/a/b max_keys=3 "
                              "max_states=7\n");
    (void)state;
    assert_int_equal(pc_ephemeral_rules_check(text, "", NULL), 0);
    assert_int_equal(pc_ephemeral_rules_read(&rules, &mem, text), 0);
    assert_int_equal(rules.count, 2);
    assert_int_equal(rules.items[0].ttl_ms, 6000);
    assert_int_equal(rules.items[0].max_states, 1000);
    assert_int_equal(rules.items[0].max_keys, 10);
    assert_int_equal(rules.items[0].key.len, 0);
    assert_int_equal(rules.items[1].max_states, 7);
    assert_int_equal(rules.items[1].max_keys, 3);
    assert_true(pc_slice_eq(rules.items[1].key, PC_S("/a/b")));
    assert_ptr_equal(pc_ephemeral_rules_find(&rules, PC_S("private-doc.9"), PC_S("client-edit")),
                     &rules.items[1]);
    assert_null(pc_ephemeral_rules_find(&rules, PC_S("private-doc.9"), PC_S("client-typing")));
    assert_null(pc_ephemeral_rules_find(&rules, PC_S("presence-chat.1.2"), PC_S("client-typing")));
    pc_ephemeral_rules_free(&rules, &mem);
    assert_int_equal(pc_ephemeral_rules_read(&rules, &mem, PC_S(" ;\n")), 0);
    assert_int_equal(rules.count, 0);
    pc_ephemeral_rules_free(&rules, &mem);
}

static void a_rule_that_cannot_be_is_refused_with_its_reason(void **state)
{
    static const char *const wrong[][2] = {
        {"a.{ event=client-a ttl_ms=1000", "\"a.{\" is no pattern of channel names"},
        {"a ttl_ms=1000", "event is missing"},
        {"a event=client-a", "ttl_ms is missing"},
        {"a event=typing ttl_ms=1000", "\"event=typing\" must be a client event: client-..."},
        {"a event=client-a ttl_ms=99", "\"ttl_ms=99\" must be a number in its range"},
        {"a event=client-a ttl_ms=1000 max_key=1", "\"max_key=1\" is not known"},
        {"a event=client-a ttl_ms=1000 often", "\"often\" is not known"},
    };
    char text[600];
    pusherc_errinfo info;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char expected[200];
        snprintf(expected, sizeof expected, "app: ephemeral: rule 1: %s", wrong[i][1]);
        assert_int_equal(pc_ephemeral_rules_check(pc_slice_of(wrong[i][0]), "app: ", &info),
                         PUSHERC_EINVAL);
        assert_string_equal(info.text, expected);
    }
    snprintf(text, sizeof text, "a event=client-a ttl_ms=1000 key=%0520d", 1);
    assert_int_equal(pc_ephemeral_rules_check(pc_slice_of(text), "", &info), PUSHERC_EINVAL);
    assert_non_null(strstr(info.text, "is too long"));
    assert_int_equal(
        pc_ephemeral_rules_check(
            PC_S("a.{x} event=client-a ttl_ms=1000 ; a.{y} event=client-a ttl_ms=2000"), "", &info),
        PUSHERC_EINVAL);
    assert_non_null(strstr(info.text, "rule 2: an earlier rule is about the same"));
    assert_int_equal(pc_ephemeral_rules_check(PC_S("\xff"), "", &info), PUSHERC_EINVAL);
}

static void the_key_is_a_value_of_the_data(void **state)
{
    static const char *const rows[][3] = {
        {"id", "{\"id\":\"a\\u0062\"}", "ab"},
        {"id", "{\"id\":7}", "7"},
        {"/p/0", "{\"p\":[true]}", "true"},
        {"id", "{\"x\":1}", NULL},
        {"id", "typing", NULL},
        {"id", "null", NULL},
    };
    const struct pc_mem mem = pc_mem_make(NULL);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pc_ephemeral_rule rule = {.key = pc_slice_of(rows[i][0])};
        struct pc_buf scratch;
        pusherc_slice key;
        pc_buf_init(&scratch, &mem, 100);
        assert_int_equal(pc_ephemeral_key(&rule, pc_slice_of(rows[i][1]), &scratch, &key),
                         rows[i][2] != NULL);
        if (rows[i][2])
            assert_true(pc_slice_eq(key, pc_slice_of(rows[i][2])));
        pc_buf_free(&scratch);
    }
}

static void the_end_has_the_data_of_before_and_says_ended(void **state)
{
    static const char *const rows[][2] = {
        {"{\"id\":7, \"name\": \"Ann\"}", "{\"id\":7,\"name\":\"Ann\",\"ended\":true}"},
        {"{\"ended\":false,\"id\":7}", "{\"id\":7,\"ended\":true}"},
        {"{\"\\u0065nded\":0}", "{\"ended\":true}"},
        {"{}", "{\"ended\":true}"},
        {"null", "{\"ended\":true}"},
        {"[1,2]", "{\"ended\":true}"},
        {"no json", "{\"ended\":true}"},
    };
    const struct pc_mem mem = pc_mem_make(NULL);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pc_buf out;
        pc_buf_init(&out, &mem, SIZE_MAX);
        pc_ephemeral_put_ended(&out, pc_slice_of(rows[i][0]));
        assert_int_equal(pc_buf_status(&out), 0);
        assert_true(pc_slice_eq(pc_buf_slice(&out), pc_slice_of(rows[i][1])));
        assert_true(pc_ephemeral_says_ended(pc_buf_slice(&out)));
        assert_false(pc_ephemeral_says_ended(pc_slice_of(rows[i][0])));
        pc_buf_free(&out);
    }
}

static void random_histories_agree_with_a_plain_model(void **state)
{
    static uint8_t data[4000];
    uint64_t x = 88172645463325252ULL;
    (void)state;
    for (int run = 0; run < 300; run++) {
        for (size_t i = 0; i < sizeof data; i++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            data[i] = (uint8_t)(x >> 20);
        }
        ephemeral_model_run(data, 200 + (size_t)(x % 3800));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_are_read_with_their_defaults),
        cmocka_unit_test(a_rule_that_cannot_be_is_refused_with_its_reason),
        cmocka_unit_test(the_key_is_a_value_of_the_data),
        cmocka_unit_test(the_end_has_the_data_of_before_and_says_ended),
        cmocka_unit_test(random_histories_agree_with_a_plain_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
