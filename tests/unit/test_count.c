/* subscription_count: the first change at once, then one message in an interval, the last value always. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine_fixture.h"

#define MANY 130

struct nx {
    struct fx fx;
    struct fx_client clients[MANY];
};

static int set_up(void **state)
{
    struct nx *nx = calloc(1, sizeof *nx);
    pusherc_server_options limits = fx_limits();
    pusherc_app_options app = fx_app();
    REQUIRE(nx);
    app.subscription_count_events = true;
    REQUIRE(fx_try_open(&nx->fx, &limits, NULL, 2, 0) == 0);
    REQUIRE(fx_try_put(&nx->fx, &app) == 0);
    for (size_t i = 0; i < MANY; i++) {
        fx_connect(&nx->fx, &nx->clients[i], (uint32_t)(i % 2));
        fx_heard(&nx->clients[i]);
    }
    *state = nx;
    return 0;
}

static int tear_down(void **state)
{
    struct nx *nx = *state;
    for (size_t i = 0; i < MANY; i++)
        fx_disconnect(&nx->clients[i]);
    fx_close(&nx->fx);
    size_t live = failing_alloc_live(&nx->fx.alloc);
    free(nx);
    return live == 0 ? 0 : -1;
}

#define with_clients(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

/* The numbers a client heard, with spaces between; what else it heard is left out. */
static const char *counts(struct fx_client *client)
{
    static char text[4096];
    size_t len = 0;
    text[0] = '\0';
    for (const char *at = fx_heard(client); (at = strstr(at, "subscription_count\\\":")); at++) {
        REQUIRE(len + 16 < sizeof text);
        len += (size_t)snprintf(text + len, 16, "%s%d", len ? " " : "", atoi(at + 21));
    }
    return text;
}

static void every_change_is_sent_to_all_subscribers(void **state)
{
    struct nx *nx = *state;
    fx_subscribe(&nx->clients[0], "orders");
    assert_string_equal(fx_heard(&nx->clients[0]),
                        "{\"event\":\"pusher_internal:subscription_succeeded\",\"channel\":"
                        "\"orders\",\"data\":\"{}\"}\n"
                        "{\"event\":\"pusher_internal:subscription_count\",\"channel\":\"orders\","
                        "\"data\":\"{\\\"subscription_count\\\":1}\"}\n");
    fx_wait(&nx->fx);
    fx_subscribe(&nx->clients[1], "orders");
    assert_string_equal(counts(&nx->clients[0]), "2");
    fx_wait(&nx->fx);
    fx_subscribe(&nx->clients[2], "orders");
    assert_string_equal(counts(&nx->clients[0]), "3");
    assert_string_equal(counts(&nx->clients[1]), "2 3");
    assert_string_equal(counts(&nx->clients[2]), "3");
    fx_wait(&nx->fx);
    fx_unsubscribe(&nx->clients[1], "orders");
    assert_string_equal(counts(&nx->clients[0]), "2");
    assert_string_equal(counts(&nx->clients[1]), "");
    fx_wait(&nx->fx);
    pc_session_end(&nx->clients[2].session);
    assert_string_equal(counts(&nx->clients[0]), "1");
}

static void presence_and_user_channels_are_not_counted(void **state)
{
    struct nx *nx = *state;
    fx_join(&nx->clients[0], "presence-x", "{\"user_id\":\"7\"}");
    fx_join(&nx->clients[1], "presence-x", "{\"user_id\":\"8\"}");
    fx_sign_in(&nx->clients[0], "{\"id\":\"7\"}");
    fx_subscribe(&nx->clients[0], "#server-to-user-7");
    assert_null(strstr(fx_heard(&nx->clients[0]), "subscription_count"));
    fx_subscribe(&nx->clients[0], "private-x");
    fx_subscribe(&nx->clients[0], "private-encrypted-x");
    fx_subscribe(&nx->clients[0], "cache-x");
    assert_string_equal(counts(&nx->clients[0]), "1 1 1");
}

static void a_large_channel_gets_some_values_and_always_the_last(void **state)
{
    struct nx *nx = *state;
    for (size_t i = 0; i < 100; i++)
        fx_subscribe(&nx->clients[i], "orders");
    fx_wait(&nx->fx);
    assert_string_equal(counts(&nx->clients[0]), "1 100");
    for (size_t i = 100; i < 120; i++)
        fx_subscribe(&nx->clients[i], "orders");
    assert_string_equal(counts(&nx->clients[0]), ""); /* the 100th was told a moment ago */
    fx_pass(&nx->fx, 4900);
    assert_string_equal(counts(&nx->clients[0]), "");
    fx_pass(&nx->fx, 200);
    assert_string_equal(counts(&nx->clients[0]), "120");
    fx_pass(&nx->fx, 60000); /* nothing changes, nothing is said */
    assert_string_equal(counts(&nx->clients[0]), "");
    fx_subscribe(&nx->clients[120], "orders"); /* after the silence at once */
    assert_string_equal(counts(&nx->clients[0]), "121");
    fx_subscribe(&nx->clients[121], "orders");
    fx_unsubscribe(&nx->clients[121], "orders");
    fx_pass(&nx->fx, 5100); /* a client that has joined since might not know it */
    assert_string_equal(counts(&nx->clients[0]), "121");
    fx_pass(&nx->fx, 5100);
    for (size_t i = 120; i >= 100; i--)
        fx_unsubscribe(&nx->clients[i], "orders");
    assert_string_equal(counts(&nx->clients[0]), "120"); /* the first after a silence at once */
    fx_pass(&nx->fx, 5100);
    assert_string_equal(counts(&nx->clients[0]), "100");
    fx_pass(&nx->fx, 60000);
    assert_string_equal(counts(&nx->clients[0]), "");
}

static void everybody_may_leave_while_the_last_value_waits(void **state)
{
    struct nx *nx = *state;
    for (size_t i = 0; i < MANY; i++)
        fx_subscribe(&nx->clients[i], "orders");
    for (size_t i = 1; i < MANY; i++)
        fx_unsubscribe(&nx->clients[i], "orders");
    fx_unsubscribe(&nx->clients[0], "orders");
    fx_settle(&nx->fx);
    assert_int_equal(pc_directory_occupied(&nx->fx.engine->directory), 0);
    fx_pass(&nx->fx, 6000);
    fx_forget(&nx->clients[0]);
    fx_subscribe(&nx->clients[0], "orders");
    assert_string_equal(counts(&nx->clients[0]), "1");
    for (size_t i = 0; i < MANY; i++) /* a timer is armed when the engine goes */
        fx_subscribe(&nx->clients[i], "others");
}

static void changes_that_come_faster_are_told_together(void **state)
{
    struct nx *nx = *state;
    fx_subscribe(&nx->clients[0], "orders");
    assert_string_equal(counts(&nx->clients[0]), "1");
    fx_pass(&nx->fx, 10);
    for (size_t i = 1; i < 6; i++)
        fx_subscribe(&nx->clients[i], "orders");
    fx_unsubscribe(&nx->clients[5], "orders");
    fx_pass(&nx->fx, PC_GATHER_MS - 11);
    assert_string_equal(counts(&nx->clients[0]), "");
    fx_pass(&nx->fx, 1);
    assert_string_equal(counts(&nx->clients[0]), "5");
    assert_string_equal(counts(&nx->clients[4]), "5");
    assert_string_equal(counts(&nx->clients[5]), "");
    fx_pass(&nx->fx, 60000);
    assert_string_equal(counts(&nx->clients[0]), "");
    fx_unsubscribe(&nx->clients[4], "orders");
    fx_pass(&nx->fx, 10);
    fx_unsubscribe(&nx->clients[3], "orders");
    fx_subscribe(&nx->clients[3], "orders");
    fx_pass(&nx->fx, 1000);
    assert_string_equal(counts(&nx->clients[0]), "4 4");
    assert_string_equal(counts(&nx->clients[3]), "5 4"); /* the newcomer has to know it */
}

/* A3: one client subscribes and unsubscribes as fast as it can, once in a millisecond, for ten seconds. */
static void a3_toggling_costs_the_others_what_time_allows(void **state)
{
    struct nx *nx = *state;
    size_t told = 0;
    const char *last = "";
    fx_subscribe(&nx->clients[0], "orders");
    fx_subscribe(&nx->clients[2], "orders");
    fx_wait(&nx->fx);
    fx_heard(&nx->clients[0]);
    for (size_t n = 0; n < 10000; n++) {
        if (n % 2)
            fx_unsubscribe(&nx->clients[1], "orders");
        else
            fx_subscribe(&nx->clients[1], "orders");
        fx_pass(&nx->fx, 1);
        last = counts(&nx->clients[0]);
        told += strlen(last) > 0;
        fx_settle(&nx->fx);
        fx_forget(&nx->clients[1]);
    }
    assert_true(told >= 50 && told <= 10 * 10 + 1);
    fx_heard(&nx->clients[2]);
    fx_wait(&nx->fx);
    fx_subscribe(&nx->clients[1], "orders");
    fx_wait(&nx->fx);
    last = counts(&nx->clients[0]);
    assert_string_equal(last + strlen(last) - 1, "3");
}

static void a_count_that_was_lost_is_told_again(void **state)
{
    struct nx *nx = *state;
    struct pc_mailbox *box = nx->fx.engine->workers[0].mailbox;
    uint32_t max = box->max;
    fx_subscribe(&nx->clients[0], "orders");
    fx_wait(&nx->fx);
    fx_heard(&nx->clients[0]);
    box->max = 0; /* of its worker: full */
    fx_subscribe(&nx->clients[1], "orders");
    fx_pass(&nx->fx, PC_GATHER_MS); /* and still */
    box->max = max;
    assert_string_equal(counts(&nx->clients[0]), "");
    fx_wait(&nx->fx);
    assert_string_equal(counts(&nx->clients[0]), "2");
    fx_wait(&nx->fx);
    assert_string_equal(counts(&nx->clients[0]), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_clients(every_change_is_sent_to_all_subscribers),
        with_clients(presence_and_user_channels_are_not_counted),
        with_clients(changes_that_come_faster_are_told_together),
        with_clients(a3_toggling_costs_the_others_what_time_allows),
        with_clients(a_count_that_was_lost_is_told_again),
        with_clients(a_large_channel_gets_some_values_and_always_the_last),
        with_clients(everybody_may_leave_while_the_last_value_waits),
    };
    return cmocka_run_group_tests_name("count", tests, NULL, NULL);
}
