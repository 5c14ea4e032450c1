/* The rules of receipts (docs/receipts.md), the ids of events, and the events of one app that have receipts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "channel/receipt_rule.h"
#include "codec/json_at.h"
#include "receipt_model.h"

static void the_first_rule_about_the_event_or_the_client_event_counts(void **state)
{
    const struct pc_mem mem = pc_mem_make(NULL);
    const pusherc_slice text =
        PC_S("private-chat.{id} event=said id=/message/id shown=client-read\n"
             "private-chat.{id} id=id ; news.{rest...} id=/n shown=client-seen");
    struct pc_receipt_rules rules;
    (void)state;
    assert_int_equal(pc_receipt_rules_check(text, "", NULL), 0);
    assert_int_equal(pc_receipt_rules_read(&rules, &mem, text), 0);
    assert_int_equal(rules.count, 3);
    assert_ptr_equal(pc_receipt_rules_find(&rules, PC_S("private-chat.7"), PC_S("said")),
                     &rules.items[0]);
    assert_ptr_equal(pc_receipt_rules_find(&rules, PC_S("private-chat.7"), PC_S("other")),
                     &rules.items[1]);
    assert_ptr_equal(pc_receipt_rules_find(&rules, PC_S("news.a.b"), PC_S("said")),
                     &rules.items[2]);
    assert_null(pc_receipt_rules_find(&rules, PC_S("private-chat.7.8"), PC_S("said")));
    assert_ptr_equal(pc_receipt_rules_shown(&rules, PC_S("private-chat.7"), PC_S("client-read")),
                     &rules.items[0]);
    assert_null(pc_receipt_rules_shown(&rules, PC_S("private-chat.7"), PC_S("client-seen")));
    assert_null(pc_receipt_rules_shown(&rules, PC_S("private-chat.7"), PC_S("")));
    pc_receipt_rules_free(&rules, &mem);
}

static void a_rule_that_cannot_be_is_refused_with_its_reason(void **state)
{
    static const char *const wrong[][2] = {
        {"news", "id is missing"},
        {"news id=/id event=client-a",
         "\"event=client-a\" must be no client event: clients choose their ids"},
        {"news id=/id shown=read", "\"shown=read\" must be a client event: client-..."},
        {"news id= shown=client-read", "\"id=\" is not known"},
        {"news id=/id key=/k", "\"key=/k\" is not known"},
    };
    pusherc_errinfo info;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char expected[200];
        snprintf(expected, sizeof expected, "app: receipts: rule 1: %s", wrong[i][1]);
        assert_int_equal(pc_receipt_rules_check(pc_slice_of(wrong[i][0]), "app: ", &info),
                         PUSHERC_EINVAL);
        assert_string_equal(info.text, expected);
    }
    static const char *const doubles[] = {
        "news id=/a ; news id=/b",
        "n.{a} id=/a event=x shown=client-read ; n.{b} id=/b event=y shown=client-read",
    };
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pc_receipt_rules_check(pc_slice_of(doubles[i]), "", &info),
                         PUSHERC_EINVAL);
        assert_non_null(strstr(info.text, "rule 2: an earlier rule"));
    }
    assert_int_equal(pc_receipt_rules_check(PC_S("\xff"), "", &info), PUSHERC_EINVAL);
}

static void an_id_is_a_text_or_a_number(void **state)
{
    static const char *const rows[][3] = {
        {"/r/id", "{\"r\":{\"id\":42}}", "42"},
        {"id", "{\"id\":\"a\\u0062\"}", "ab"},
        {"id", "{\"id\":\"\"}", NULL},
        {"id", "{\"id\":null}", NULL},
        {"id", "{\"id\":{}}", NULL},
        {"id", "{\"id\":true}", NULL},
        {"id", "{}", NULL},
        {"id", "no JSON", NULL},
        {"id", "{\"id\":\"\\ud800\"}", NULL},
        {"/0", "[7]", "7"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct pc_mem mem = pc_mem_make(NULL);
        char room[PC_RECEIPT_ID_MAX];
        struct pc_buf scratch;
        pusherc_slice id;
        pc_buf_init_in(&scratch, &mem, sizeof room, room, sizeof room);
        const bool is = pc_receipt_id(pc_json_at(pc_slice_of(rows[i][1]), pc_slice_of(rows[i][0])),
                                      &scratch, &id);
        assert_int_equal(is, rows[i][2] != NULL);
        assert_true(!is || pc_slice_eq(id, pc_slice_of(rows[i][2])));
        pc_buf_free(&scratch);
    }
    char text[PC_RECEIPT_ID_MAX + 8];
    pusherc_slice id;
    snprintf(text, sizeof text, "\"%0*d\"", PC_RECEIPT_ID_MAX + 1, 7);
    assert_false(pc_receipt_id(pc_json_parse(pc_slice_of(text)), NULL, &id));
    snprintf(text, sizeof text, "\"%0*d\"", PC_RECEIPT_ID_MAX, 7);
    assert_true(pc_receipt_id(pc_json_parse(pc_slice_of(text)), NULL, &id));
}

static void names_that_have_the_same_texts_in_other_places_are_different(void **state)
{
    static const uint64_t seed[2] = {1, 2};
    const struct pc_mem mem = pc_mem_make(NULL);
    const struct pc_receipt_bounds bounds = {10000, 1000};
    const struct pc_receipt_name names[] = {{PC_S("ab"), PC_S("c"), PC_S("d")},
                                            {PC_S("a"), PC_S("bc"), PC_S("d")},
                                            {PC_S("a"), PC_S("b"), PC_S("cd")}};
    struct pc_receipts table = {.bytes = 0};
    struct pc_tracked *event[3];
    (void)state;
    pc_receipts_init(&table, &mem, seed);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pc_receipts_add(&table, &bounds, &names[i], PC_S("app"), PC_S("said"),
                                         (pusherc_slice){NULL, 0}, 1, &event[i]),
                         0);
        assert_true(i == 0 || event[i] != event[i - 1]);
        assert_true(pc_tracked_reached(event[i], PC_S("ann"), PUSHERC_RECEIPT_WRITTEN, 1));
        assert_false(pc_tracked_reached(event[i], PC_S("ann"), PUSHERC_RECEIPT_WRITTEN, 1));
        assert_true(pc_slice_eq(event[i]->id, names[i].id));
        assert_null(event[i]->data.ptr);
    }
    for (size_t i = 0; i < 3; i++)
        pc_tracked_unref(event[i]);
    pc_receipts_free(&table);
}

static void an_event_that_is_too_large_pushes_none_out(void **state)
{
    static const uint64_t seed[2] = {1, 2};
    static char big[4000];
    const struct pc_mem mem = pc_mem_make(NULL);
    const struct pc_receipt_bounds bounds = {2000, 1000};
    const struct pc_receipt_name small = {PC_S("a"), PC_S(""), PC_S("1")};
    const struct pc_receipt_name large = {PC_S("a"), PC_S(""), PC_S("2")};
    struct pc_receipts table = {.bytes = 0};
    struct pc_tracked *a, *b;
    (void)state;
    pc_receipts_init(&table, &mem, seed);
    assert_int_equal(
        pc_receipts_add(&table, &bounds, &small, PC_S("app"), PC_S("e"), PC_S(""), 1, &a), 0);
    assert_int_equal(pc_receipts_add(&table, &bounds, &large, PC_S("app"), PC_S("e"),
                                     pc_slice(big, sizeof big), 1, &b),
                     0);
    assert_false(pc_tracked_reached(b, PC_S("ann"), PUSHERC_RECEIPT_WRITTEN, 1));
    assert_true(pc_tracked_reached(a, PC_S("ann"), PUSHERC_RECEIPT_WRITTEN, 1));
    assert_int_equal(pc_stat_get(&table.forgotten), 1);
    /* a user that does not fit beside the event is not told, and pushes nothing out either */
    assert_false(pc_tracked_reached(a, pc_slice(big, sizeof big), PUSHERC_RECEIPT_WRITTEN, 1));
    assert_int_equal(pc_stat_get(&table.lost), 1);
    assert_true(pc_tracked_reached(a, PC_S("ann"), PUSHERC_RECEIPT_SHOWN, 1));
    pc_tracked_unref(a);
    pc_tracked_unref(b);
    pc_receipts_free(&table);
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
        receipt_model_run(data, 200 + (size_t)(x % 3800));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_rule_about_the_event_or_the_client_event_counts),
        cmocka_unit_test(a_rule_that_cannot_be_is_refused_with_its_reason),
        cmocka_unit_test(an_id_is_a_text_or_a_number),
        cmocka_unit_test(names_that_have_the_same_texts_in_other_places_are_different),
        cmocka_unit_test(an_event_that_is_too_large_pushes_none_out),
        cmocka_unit_test(random_histories_agree_with_a_plain_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
