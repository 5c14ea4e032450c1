/* How much a client may send in a second before it is closed: messages of every kind, and their bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "engine_fixture.h"

#define PING "{\"event\":\"pusher:ping\"}"
#define TOLD(setting)                                                                              \
    "{\"event\":\"pusher:error\",\"data\":{\"code\":4100,\"message\":\"Too many " setting ")\"}}"  \
    "\n"
#define TOO_MANY  TOLD("messages (max_received_messages_per_s")
#define TOO_LARGE TOLD("bytes (max_received_bytes_per_s")

#define CLIENTS 2

struct fixture {
    struct fx fx;
    struct fx_client clients[CLIENTS];
};

static void open_with(struct fixture *f, uint32_t workers, uint32_t messages, uint32_t bytes)
{
    pusherc_server_options limits = fx_limits();
    pusherc_app_options app = fx_app();
    app.max_received_messages_per_s = messages;
    app.max_received_bytes_per_s = bytes;
    *f = (struct fixture){.fx = {.engine = NULL}};
    REQUIRE(fx_try_open(&f->fx, &limits, NULL, workers, 0) == 0);
    REQUIRE(fx_try_put(&f->fx, &app) == 0);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        fx_connect(&f->fx, &f->clients[i], i % workers);
        fx_heard(&f->clients[i]);
    }
}

static void end(struct fixture *f)
{
    for (int i = 0; i < CLIENTS; i++)
        fx_disconnect(&f->clients[i]);
    fx_close(&f->fx);
    assert_int_equal(failing_alloc_live(&f->fx.alloc), 0);
}

static void say(struct fixture *f, int client, const char *text, unsigned times)
{
    while (times-- > 0)
        fx_say(&f->clients[client], text);
}

static unsigned count(const char *text, const char *needle)
{
    unsigned n = 0;
    for (; (text = strstr(text, needle)); text += strlen(needle))
        n++;
    return n;
}

static uint64_t counted(struct fixture *f, enum pc_app_setting limit)
{
    struct pc_app *app = pc_apps_by_id(&f->fx.engine->apps, PC_S("app-id"));
    uint64_t n = atomic_load(&app->state->refusals.limits[limit]);
    pc_app_unref(app);
    return n;
}

static void what_is_one_message_too_many_is_told_and_ends_the_connection(void **state)
{
    struct fixture f;
    (void)state;
    open_with(&f, 1, 5, 0);
    say(&f, 0, PING, 5);
    assert_int_equal(count(fx_heard(&f.clients[0]), "pusher:pong"), 5);
    say(&f, 0, PING, 3);
    assert_string_equal(fx_heard(&f.clients[0]), TOO_MANY); /* and no pong */
    assert_int_equal(f.clients[0].closed, 4100);
    assert_int_equal(f.clients[0].closes, 1);
    assert_string_equal(f.clients[0].reason, "Too many messages (max_received_messages_per_s)");
    assert_int_equal(counted(&f, PC_APP_max_received_messages_per_s), 1);
    say(&f, 1, PING, 5); /* another client has its own */
    assert_int_equal(count(fx_heard(&f.clients[1]), "pusher:pong"), 5);
    assert_int_equal(f.clients[1].closed, 0);
    end(&f);
}

static void each_second_has_its_own(void **state)
{
    struct fixture f;
    (void)state;
    open_with(&f, 1, 5, 0);
    for (int second = 0; second < 4; second++) {
        say(&f, 0, PING, 5);
        fx_pass(&f.fx, 1000);
    }
    assert_int_equal(count(fx_heard(&f.clients[0]), "pusher:pong"), 20);
    fx_pass(&f.fx, 999);
    say(&f, 0, PING, 5);
    fx_pass(&f.fx, 999);
    say(&f, 0, PING, 1);
    assert_int_equal(f.clients[0].closed, 4100);
    end(&f);
}

static void messages_of_every_kind_count(void **state)
{
    static const char *const texts[] = {
        PING,
        "{\"event\":\"pusher:pong\"}",
        "nonsense",
        "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"a\"}}",
        "{\"event\":\"pusher:unsubscribe\",\"data\":{\"channel\":\"a\"}}",
        "{\"event\":\"pusher:signin\",\"data\":{}}",
        "{\"event\":\"client-x\",\"channel\":\"private-x\",\"data\":1}",
    };
    struct fixture f;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        open_with(&f, 1, 3, 0);
        say(&f, 0, texts[i], 3);
        assert_int_equal(f.clients[0].closed, 0);
        say(&f, 0, texts[i], 1);
        assert_int_equal(f.clients[0].closed, 4100);
        end(&f);
    }
    open_with(&f, 1, 3, 0); /* a PING below the protocol */
    for (int i = 0; i < 3; i++)
        assert_true(pc_session_control(&f.clients[0].session));
    assert_false(pc_session_control(&f.clients[0].session));
    assert_int_equal(f.clients[0].closed, 4100);
    assert_true(pc_session_control(&f.clients[0].session)); /* it is closed already */
    assert_int_equal(f.clients[0].closes, 1);
    end(&f);
}

static void bytes_count_as_well(void **state)
{
    struct fixture f;
    uint32_t len = (uint32_t)strlen(PING);
    (void)state;
    open_with(&f, 1, 0, 10 * len);
    say(&f, 0, PING, 10);
    assert_int_equal(count(fx_heard(&f.clients[0]), "pusher:pong"), 10);
    assert_true(pc_session_control(&f.clients[0].session)); /* has no bytes of the protocol */
    say(&f, 0, "", 1);
    assert_int_equal(f.clients[0].closed, 0);
    say(&f, 0, PING, 1);
    assert_non_null(strstr(fx_heard(&f.clients[0]), TOO_LARGE));
    assert_int_equal(f.clients[0].closed, 4100);
    assert_int_equal(counted(&f, PC_APP_max_received_bytes_per_s), 1);
    char *large = malloc(11 * len + 1);
    REQUIRE(large);
    memset(large, 'x', 11 * len);
    large[11 * len] = '\0';
    say(&f, 1, large, 1); /* more than a second's in one message */
    assert_int_equal(f.clients[1].closed, 4100);
    free(large);
    end(&f);
}

static void old_clients_are_told_once(void **state)
{
    struct fixture f;
    (void)state;
    open_with(&f, 1, 1, 0);
    fx_disconnect(&f.clients[0]);
    REQUIRE(fx_try_connect(&f.fx, &f.clients[0], 0, 5) == 0);
    fx_heard(&f.clients[0]);
    say(&f, 0, PING, 2);
    assert_int_equal(count(fx_heard(&f.clients[0]), "pusher:error"), 1);
    assert_int_equal(f.clients[0].closed, 4100);
    end(&f);
}

static void by_default_there_is_no_such_limit(void **state)
{
    struct fixture f;
    (void)state;
    open_with(&f, 1, 0, 0);
    say(&f, 0, PING, 3000);
    assert_int_equal(f.clients[0].closed, 0);
    end(&f);
}

static void on_several_workers_each_connection_has_its_own(void **state)
{
    struct fixture f;
    (void)state;
    for (uint32_t workers = 2; workers <= 4; workers *= 2) {
        open_with(&f, workers, 5, 0);
        say(&f, 0, PING, 6);
        say(&f, 1, PING, 5);
        assert_int_equal(f.clients[0].closed, 4100);
        assert_int_equal(f.clients[1].closed, 0);
        end(&f);
    }
}

static void without_memory_it_is_closed_all_the_same(void **state)
{
    struct fixture f;
    bool failed = true;
    (void)state;
    for (size_t n = 1; failed; n++) {
        open_with(&f, 1, 2, 0);
        f.fx.alloc.requests = 0;
        f.fx.alloc.fail_at = n;
        say(&f, 0, PING, 3);
        failed = f.fx.alloc.requests >= n;
        assert_true(f.clients[0].closed == 4100 || (failed && f.clients[0].closed == 1011));
        end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_one_message_too_many_is_told_and_ends_the_connection),
        cmocka_unit_test(each_second_has_its_own),
        cmocka_unit_test(messages_of_every_kind_count),
        cmocka_unit_test(bytes_count_as_well),
        cmocka_unit_test(old_clients_are_told_once),
        cmocka_unit_test(by_default_there_is_no_such_limit),
        cmocka_unit_test(on_several_workers_each_connection_has_its_own),
        cmocka_unit_test(without_memory_it_is_closed_all_the_same),
    };
    return cmocka_run_group_tests_name("received", tests, NULL, NULL);
}
