/* Public structs of another release than the library's (base/options.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/options.h"
#include "base/slice.h"

/* One struct in three releases. The second uses what the first had reserved, and appends. */
struct first {
    size_t struct_size;
    uint32_t limit;
    uint32_t reserved_;
};
struct second {
    size_t struct_size;
    uint32_t limit;
    uint32_t timeout_ms;
    const char *name;
};
struct third {
    size_t struct_size;
    uint32_t limit;
    uint32_t timeout_ms;
    const char *name;
    uint64_t budget;
};

static const struct pc_sized_struct as_first = {"pusherc_thing", sizeof(struct first),
                                                sizeof(struct first), sizeof(uint32_t)};
static const struct pc_sized_struct as_second = {"pusherc_thing", sizeof(struct second),
                                                 sizeof(struct first), 0};

static void an_older_hosts_struct_is_taken_and_what_it_lacks_is_zero(void **state)
{
    (void)state;
    struct first in = {.struct_size = sizeof in, .limit = 7};
    struct second out;
    memset(&out, 0xaa, sizeof out);
    assert_int_equal(pc_take_options(&out, &in, &as_second, NULL), 0);
    assert_int_equal(out.struct_size, sizeof out);
    assert_int_equal(out.limit, 7);
    assert_int_equal(out.timeout_ms, 0);
    assert_null(out.name);
}

static void a_newer_hosts_struct_is_taken_if_it_sets_nothing_new(void **state)
{
    (void)state;
    struct third in = {.struct_size = sizeof in, .limit = 7, .timeout_ms = 8, .name = "x"};
    struct second out[2] = {{0}};
    assert_int_equal(pc_take_options(out, &in, &as_second, NULL), 0);
    assert_int_equal(out->struct_size, sizeof *out);
    assert_int_equal(out->timeout_ms, 8);
    assert_string_equal(out->name, "x");
    assert_int_equal(out[1].struct_size, 0);
}

static void refused(const void *in, const struct pc_sized_struct *kind, const char *why)
{
    unsigned char out[64], before[sizeof out];
    pusherc_errinfo info = {0};
    memset(out, 0xaa, sizeof out);
    memcpy(before, out, sizeof out);
    assert_int_equal(pc_take_options(out, in, kind, &info), PUSHERC_EINVAL);
    assert_int_equal(info.code, PUSHERC_EINVAL);
    assert_non_null(strstr(info.text, kind->name));
    if (!strstr(info.text, why))
        fail_msg("\"%s\"", info.text);
    assert_memory_equal(out, before, sizeof out);
}

static void what_the_library_does_not_know_is_refused_by_name(void **state)
{
    (void)state;
    for (size_t byte = 0; byte < sizeof(uint64_t); byte++) {
        struct third in = {.struct_size = sizeof in, .limit = 7};
        ((char *)&in.budget)[byte] = 1;
        refused(&in, &as_second, "a newer member is set that this library (");
    }
    struct second in = {.struct_size = sizeof in, .timeout_ms = 8};
    refused(&in, &as_first, "reserved_ must be zero");
}

static void a_struct_size_that_no_release_had_is_refused(void **state)
{
    (void)state;
    const size_t sizes[] = {0, sizeof(struct first) - 1, 1u << 20, SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct second in = {.struct_size = sizes[i]};
        refused(&in, &as_second, "_INIT");
        assert_false(pc_can_give(&in, &as_second));
    }
}

static void nothing_is_written_behind_the_callers_struct(void **state)
{
    (void)state;
    struct second from = {.struct_size = 99, .limit = 7, .timeout_ms = 8, .name = "x"};
    struct first older[2] = {{.struct_size = sizeof *older}, {.limit = 1}};
    struct third newer[2] = {{.struct_size = sizeof *newer, .budget = 5}, {.budget = 6}};
    assert_true(pc_can_give(older, &as_second));
    pc_give(older, &from, &as_second);
    assert_int_equal(older[0].struct_size, sizeof *older);
    assert_int_equal(older[0].limit, 7);
    assert_int_equal(older[1].limit, 1);
    pc_give(newer, &from, &as_second);
    assert_int_equal(newer[0].struct_size, sizeof *newer);
    assert_string_equal(newer[0].name, "x");
    assert_int_equal(newer[0].budget, 0);
    assert_int_equal(newer[1].budget, 6);
}

static void items_of_another_size_are_found_by_the_first_ones_struct_size(void **state)
{
    (void)state;
    const struct third items[] = {{.struct_size = sizeof items[0], .limit = 1},
                                  {.struct_size = sizeof items[0], .limit = 2},
                                  {.struct_size = sizeof items[0], .limit = 3}};
    const struct first *seen = (const struct first *)(const void *)items;
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(PUSHERC_AT(seen, i)->limit, i + 1);
}

/* What holds for each of the public structs. */

#define CHECK_INIT(name, last, reserved)                                                           \
    do {                                                                                           \
        static const pusherc_##name zero;                                                          \
        pusherc_##name made, shorter;                                                              \
        const pusherc_##name macro = PUSHERC_INIT_OF_##name;                                       \
        memset(&made, 0xaa, sizeof made);                                                          \
        memset(&shorter, 0xaa, sizeof shorter);                                                    \
        pusherc_##name##_init(&made, sizeof made);                                                 \
        assert_memory_equal(&made, &macro, sizeof made);                                           \
        assert_int_equal(made.struct_size, sizeof made);                                           \
        made.struct_size = 0;                                                                      \
        assert_memory_equal(&made, &zero, sizeof made);                                            \
        pusherc_##name##_init(&shorter, sizeof shorter - 1);                                       \
        assert_int_equal(((unsigned char *)&shorter)[sizeof shorter - 1], 0xaa);                   \
    } while (0);

#define PUSHERC_INIT_OF_app_options           PUSHERC_APP_OPTIONS_INIT
#define PUSHERC_INIT_OF_broadcast_driver      PUSHERC_BROADCAST_DRIVER_INIT
#define PUSHERC_INIT_OF_broadcast_stats       PUSHERC_BROADCAST_STATS_INIT
#define PUSHERC_INIT_OF_broadcaster_options   PUSHERC_BROADCASTER_OPTIONS_INIT
#define PUSHERC_INIT_OF_channel_info          PUSHERC_CHANNEL_INFO_INIT
#define PUSHERC_INIT_OF_cluster_info          PUSHERC_CLUSTER_INFO_INIT
#define PUSHERC_INIT_OF_cluster_options       PUSHERC_CLUSTER_OPTIONS_INIT
#define PUSHERC_INIT_OF_laravel_redis_options PUSHERC_LARAVEL_REDIS_OPTIONS_INIT
#define PUSHERC_INIT_OF_link_ops              PUSHERC_LINK_OPS_INIT
#define PUSHERC_INIT_OF_credentials           PUSHERC_CREDENTIALS_INIT
#define PUSHERC_INIT_OF_ephemeral             PUSHERC_EPHEMERAL_INIT
#define PUSHERC_INIT_OF_event                 PUSHERC_EVENT_INIT
#define PUSHERC_INIT_OF_grant                 PUSHERC_GRANT_INIT
#define PUSHERC_INIT_OF_grant_match           PUSHERC_GRANT_MATCH_INIT
#define PUSHERC_INIT_OF_history_pattern       PUSHERC_HISTORY_PATTERN_INIT
#define PUSHERC_INIT_OF_hooks                 PUSHERC_HOOKS_INIT
#define PUSHERC_INIT_OF_identity              PUSHERC_IDENTITY_INIT
#define PUSHERC_INIT_OF_inbox_options         PUSHERC_INBOX_OPTIONS_INIT
#define PUSHERC_INIT_OF_listen_options        PUSHERC_LISTEN_OPTIONS_INIT
#define PUSHERC_INIT_OF_outbox_options        PUSHERC_OUTBOX_OPTIONS_INIT
#define PUSHERC_INIT_OF_outbox_stats          PUSHERC_OUTBOX_STATS_INIT
#define PUSHERC_INIT_OF_redis_options         PUSHERC_REDIS_OPTIONS_INIT
#define PUSHERC_INIT_OF_redaction             PUSHERC_REDACTION_INIT
#define PUSHERC_INIT_OF_rule                  PUSHERC_RULE_INIT
#define PUSHERC_INIT_OF_server_options        PUSHERC_SERVER_OPTIONS_INIT
#define PUSHERC_INIT_OF_stats                 PUSHERC_STATS_INIT
#define PUSHERC_INIT_OF_tls_options           PUSHERC_TLS_OPTIONS_INIT
#define PUSHERC_INIT_OF_user_info             PUSHERC_USER_INFO_INIT
#define PUSHERC_INIT_OF_webhook               PUSHERC_WEBHOOK_INIT

static void each_init_function_makes_what_its_macro_makes(void **state)
{
    (void)state;
    PC_SIZED_STRUCTS(CHECK_INIT)
}

/* The table of base/options.h, for structs that are as large as in the first release. */
#define CHECK_TABLE(name, last, reserved)                                                          \
    do {                                                                                           \
        pusherc_##name in, out;                                                                    \
        pusherc_errinfo info = {0};                                                                \
        pusherc_##name##_init(&in, sizeof in);                                                     \
        assert_int_equal(PC_TAKE(name, &out, &in, &info), 0);                                      \
        assert_memory_equal(&out, &in, sizeof in);                                                 \
        assert_in_range(pc_sized_##name.first_size, sizeof(size_t), sizeof in);                    \
        in.struct_size = pc_sized_##name.first_size - 1;                                           \
        assert_int_equal(PC_TAKE(name, &out, &in, &info), PUSHERC_EINVAL);                         \
        assert_non_null(strstr(info.text, "pusherc_" #name ": struct_size"));                      \
        in.struct_size = sizeof in;                                                                \
        if (reserved) {                                                                            \
            ((char *)&in)[pc_sized_##name.first_size - 1] = 1;                                     \
            assert_int_equal(PC_TAKE(name, &out, &in, &info), PUSHERC_EINVAL);                     \
            assert_non_null(strstr(info.text, "pusherc_" #name ": reserved_"));                    \
        }                                                                                          \
    } while (0);

static void each_struct_is_taken_from_its_first_release_on(void **state)
{
    (void)state;
    PC_SIZED_STRUCTS(CHECK_TABLE)
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_older_hosts_struct_is_taken_and_what_it_lacks_is_zero),
        cmocka_unit_test(a_newer_hosts_struct_is_taken_if_it_sets_nothing_new),
        cmocka_unit_test(what_the_library_does_not_know_is_refused_by_name),
        cmocka_unit_test(a_struct_size_that_no_release_had_is_refused),
        cmocka_unit_test(nothing_is_written_behind_the_callers_struct),
        cmocka_unit_test(items_of_another_size_are_found_by_the_first_ones_struct_size),
        cmocka_unit_test(each_init_function_makes_what_its_macro_makes),
        cmocka_unit_test(each_struct_is_taken_from_its_first_release_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
