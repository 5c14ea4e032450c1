/* What the log says of an event that reached no subscriber. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "engine_fixture.h"

struct lines {
    size_t count;
    char app_id[20];
    char last[600];
};

static void on_log(const pusherc_log_entry *entry, void *user_data)
{
    struct lines *lines = user_data;
    if (strcmp(entry->subject, "fanout") != 0)
        return;
    assert_int_equal(entry->level, PUSHERC_LOG_DEBUG);
    lines->count++;
    snprintf(lines->app_id, sizeof lines->app_id, "%.*s", (int)entry->app_id.len,
             entry->app_id.ptr);
    snprintf(lines->last, sizeof lines->last, "%.*s", (int)entry->message.len, entry->message.ptr);
}

static void open(struct fx *fx, struct lines *lines, pusherc_log_level level)
{
    fx_open(fx, 1);
    *lines = (struct lines){.count = 0};
    pc_log_init(&fx->engine->log, on_log, lines, level);
}

/* A fixture for each case, because the log cuts a place that repeats itself. */
static void names_that_are_nearly_right_are_told(void **state)
{
    static const struct {
        const char *published;
        const char *subscribed[5];
        const char *told; /* NULL = nobody is near */
    } cases[] = {
        {"orders.42", {"private-orders.42"}, "\"private-orders.42\""},
        {"private-orders.42", {"orders.42"}, "\"orders.42\""},
        {"private-orders.42", {"presence-orders.42"}, "\"presence-orders.42\""},
        {"orders", {"private-encrypted-orders"}, "\"private-encrypted-orders\""},
        {"private-encrypted-orders", {"private-orders"}, "\"private-orders\""},
        {"orders", {"cache-orders"}, "\"cache-orders\""},
        {"private-orders", {"private-cache-orders"}, "\"private-cache-orders\""},
        {"private-private-orders", {"private-orders"}, "\"private-orders\""},
        {"private-orders", {"private-private-orders"}, "\"private-private-orders\""},
        {"orders.42", {"orders-42"}, "\"orders-42\""},
        {"orders_42", {"private-orders.42"}, "\"private-orders.42\""},
        {"presence.room", {"presence-room"}, "\"presence-room\""},
        {"presence-room", {"presence.room"}, "\"presence.room\""},
        {"Orders", {"orders"}, "\"orders\""},
        {"App.User.7", {"private-app-user-7"}, "\"private-app-user-7\""},
        {"PRIVATE-ORDERS", {"private-orders"}, "\"private-orders\""},
        {"orders",
         {"private-orders", "presence-orders"},
         "\"presence-orders\", \"private-orders\""},
        {"orders",
         {"private-orders", "presence-orders", "cache-orders", "private-cache-orders"},
         "\"cache-orders\", \"presence-orders\", \"private-orders\" and others"},
        {"orders.42", {"orders.43", "order.42", "orders.421", "xorders.42"}, NULL},
        {"orders", {NULL}, NULL},
        {"private-", {"presence-x"}, NULL},
        {"#server-to-user-7", {"private-7"}, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fx fx;
        struct fx_client client;
        struct lines lines;
        char expected[600];
        open(&fx, &lines, PUSHERC_LOG_DEBUG);
        fx_connect(&fx, &client, 0);
        for (size_t k = 0; cases[i].subscribed[k]; k++)
            fx_join(&client, cases[i].subscribed[k],
                    strncmp(cases[i].subscribed[k], "presence-", 9) ? NULL : "{\"user_id\":\"1\"}");
        fx_settle(&fx);
        lines.count = 0;
        assert_int_equal(fx_publish(&fx, cases[i].published, "order.paid", "{}"), 0);
        snprintf(expected, sizeof expected, "event \"order.paid\" on \"%s\" has no subscriber%s%s",
                 cases[i].published, cases[i].told ? "; subscribers are on " : "",
                 cases[i].told ? cases[i].told : "");
        assert_string_equal(lines.last, expected);
        assert_int_equal(lines.count, 1);
        assert_string_equal(lines.app_id, "app-id");
        fx_disconnect(&client);
        fx_close(&fx);
    }
}

static void whoever_reaches_somebody_is_not_told(void **state)
{
    struct fx fx;
    struct fx_client client;
    struct lines lines;
    (void)state;
    open(&fx, &lines, PUSHERC_LOG_DEBUG);
    fx_connect(&fx, &client, 0);
    fx_subscribe(&client, "orders");
    fx_subscribe(&client, "private-orders");
    fx_settle(&fx);
    lines.count = 0;
    assert_int_equal(fx_publish(&fx, "orders", "order.paid", "{}"), 0);
    assert_int_equal(lines.count, 0);
    fx_disconnect(&client);
    fx_close(&fx);
}

static void another_apps_channels_are_not_told(void **state)
{
    struct fx fx;
    struct fx_client client;
    struct lines lines;
    pusherc_slice name = PC_S("orders");
    struct pc_publication p = {
        .event = PC_S("e"), .channels = &name, .channel_count = 1, .data = PC_S("")};
    pusherc_app_options other = fx_app();
    (void)state;
    open(&fx, &lines, PUSHERC_LOG_DEBUG);
    other.id = "other";
    other.key = "other-key";
    assert_int_equal(fx_try_put(&fx, &other), 0);
    fx_connect(&fx, &client, 0);
    fx_subscribe(&client, "private-orders");
    fx_settle(&fx);
    lines.count = 0;
    struct pc_app *app = pc_apps_by_id(&fx.engine->apps, PC_S("other"));
    assert_non_null(app);
    assert_int_equal(pc_publish(fx.engine, app, &p), 0);
    assert_string_equal(lines.app_id, "other");
    assert_string_equal(lines.last, "event \"e\" on \"orders\" has no subscriber");
    pc_app_unref(app);
    fx_disconnect(&client);
    fx_close(&fx);
}

/* Neither lines nor work at other levels, and a bounded amount of both at this one. */
static void it_costs_what_the_level_allows(void **state)
{
    struct fx fx;
    struct lines lines;
    (void)state;
    open(&fx, &lines, PUSHERC_LOG_INFO);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(fx_publish(&fx, "orders", "e", "{}"), 0);
    assert_int_equal(lines.count, 0);
    fx_close(&fx);
    open(&fx, &lines, PUSHERC_LOG_DEBUG);
    uint64_t began_us = pc_clock_us();
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(fx_publish(&fx, "orders", "e", "{}"), 0);
    uint64_t seconds = (pc_clock_us() - began_us) / 1000000 + 2; /* that this took some of */
    assert_in_range(lines.count, 1, 20 * seconds);
    fx_close(&fx);
}

static void long_names_make_one_line(void **state)
{
    struct fx fx;
    struct fx_client client;
    struct lines lines;
    char name[201], near[201], event[201];
    (void)state;
    open(&fx, &lines, PUSHERC_LOG_DEBUG);
    memset(name, 'n', 200);
    memset(event, 'e', 200);
    name[200] = event[200] = '\0';
    snprintf(near, sizeof near, "%s", name);
    fx_connect(&fx, &client, 0);
    for (size_t i = 0; i < 5; i++) {
        near[100 + i] = 'N';
        fx_subscribe(&client, near);
    }
    fx_settle(&fx);
    assert_int_equal(fx_publish(&fx, name, event, "{}"), 0);
    assert_true(strlen(lines.last) < 512);
    assert_non_null(strstr(lines.last, "\" and others"));
    fx_disconnect(&client);
    fx_close(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_are_nearly_right_are_told),
        cmocka_unit_test(whoever_reaches_somebody_is_not_told),
        cmocka_unit_test(another_apps_channels_are_not_told),
        cmocka_unit_test(it_costs_what_the_level_allows),
        cmocka_unit_test(long_names_make_one_line),
    };
    return cmocka_run_group_tests_name("test_why_unmatched", tests, NULL, NULL);
}
