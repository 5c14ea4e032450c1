/* Ephemeral states on the publish path: who is told what, in which order, and what becomes of it at the ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "auth_fixture.h"
#include "fanout/ephemera.h"

#define ROOM "presence-room"
#define RULES                                                                                      \
    ROOM                                                                                           \
        " event=client-typing ttl_ms=5000 ; " ROOM " event=client-cell ttl_ms=2000 key=/cell "     \
        "max_keys=2 ; private-chat event=client-typing ttl_ms=1000 max_states=2 ; presence-t.{x} " \
        "event=client-typing ttl_ms=1000"

#define WHISPER(name, channel, data)                                                               \
    "{\"event\":\"" name "\",\"channel\":\"" channel "\",\"data\":" data "}"
#define TYPING(data) WHISPER("client-typing", ROOM, data)

static struct fx fx;
static struct fx_client clients[4]; /* on the workers in turn */
static uint32_t worker_count;

static void put(uint32_t max_bytes, uint32_t grace_ms)
{
    pusherc_app_options app = fx_app();
    app.ephemeral = RULES;
    app.max_client_events_per_s = PUSHERC_NO_LIMIT;
    app.max_client_messages_per_s = PUSHERC_NO_LIMIT;
    app.max_ephemeral_bytes = max_bytes;
    app.presence_grace_ms = grace_ms;
    assert_int_equal(fx_try_put(&fx, &app), 0);
}

static void join(size_t i, const char *user)
{
    char data[100];
    snprintf(data, sizeof data, "{\"user_id\":\"%s\"}", user);
    fx_join(&clients[i], ROOM, data);
    fx_settle(&fx);
}

static void connect_all(void)
{
    static const char *const users[] = {"ann", "bob", "cid", "ann"};
    for (uint32_t i = 0; i < 4; i++) {
        fx_connect(&fx, &clients[i], i % worker_count);
        join(i, users[i]);
    }
    for (uint32_t i = 0; i < 4; i++)
        fx_heard(&clients[i]), fx_forget(&clients[i]);
}

static char
    host_heard[4096]; /* what the host was told, a line each: "time client-typing ann {...}" */
static size_t ends_len;
static _Atomic uint64_t end_count;

static void on_ephemeral_end(const pusherc_ephemeral_end *end, void *user_data)
{
    (void)user_data;
    REQUIRE(pc_slice_eq(end->app_id, PC_S("app-id")) && end->struct_size == sizeof *end);
    end_count++;
    if (pc_slice_eq(end->channel, PC_S(ROOM)) && end->user_id.len && ends_len < 3000)
        ends_len += (size_t)snprintf(host_heard + ends_len, sizeof host_heard - ends_len,
                                     "%s %.*s %.*s %.*s\n",
                                     end->reason == PUSHERC_EPHEMERAL_LEFT ? "left" : "time",
                                     (int)end->event.len, end->event.ptr, (int)end->user_id.len,
                                     end->user_id.ptr, (int)end->data.len, end->data.ptr);
}

#define HOST_HEARD(text)                                                                           \
    do {                                                                                           \
        host_heard[ends_len] = '\0', ends_len = 0;                                                 \
        assert_string_equal(host_heard, text);                                                     \
    } while (0)

static int set_up_on(uint32_t workers)
{
    worker_count = workers;
    ends_len = 0, end_count = 0;
    fx_open(&fx, workers);
    fx.engine->hooks.on_ephemeral_end = on_ephemeral_end;
    put(0, 0);
    connect_all();
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return set_up_on(2);
}

static int set_up_alone(void **state)
{
    (void)state;
    return set_up_on(1);
}

static int set_up_four(void **state)
{
    (void)state;
    return set_up_on(4);
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++)
        fx_disconnect(&clients[i]);
    fx_close(&fx);
    return failing_alloc_live(&fx.alloc) == 0 ? 0 : -1;
}

/* Time passes, and a wheel's timers are late by a slot at most. */
static void pass(uint64_t ms)
{
    fx_settle(&fx);
    fx_pass(&fx, ms);
    fx_settle(&fx);
    fx_pass(&fx, PC_TIMER_SLOT_MS);
    fx_settle(&fx);
}

static void say(size_t i, const char *text)
{
    fx_say(&clients[i], text);
    fx_settle(&fx);
}

/* What the client has heard since the last call, without escapes and what all these events have in common. */
static const char *heard(size_t i)
{
    static char text[8192];
    size_t len = 0;
    for (const char *at = fx_heard(&clients[i]); *at; at++)
        if (*at != '\\' && len < sizeof text - 1)
            text[len++] = *at;
    text[len] = '\0';
    return text;
}

#define HEARS(i, data, user)                                                                       \
    assert_string_equal(heard(i), "{\"event\":\"client-typing\",\"channel\":\"" ROOM               \
                                  "\",\"data\":\"" data "\",\"user_id\":\"" user "\"}\n")
#define HEARS_NOTHING(i) assert_string_equal(heard(i), "")

static struct pc_ephemeral_share *share(void)
{
    struct pc_app *app = pc_apps_by_id(&fx.engine->apps, PC_S("app-id"));
    struct pc_app_state *app_state = app->state;
    pc_app_unref(app);
    return &app_state->ephemeral;
}

static void a_state_ends_once_when_its_time_is_over(void **state)
{
    (void)state;
    say(0, TYPING("{\"name\":\"Ann\"}"));
    HEARS(1, "{\"name\":\"Ann\"}", "ann");
    HEARS(3, "{\"name\":\"Ann\"}", "ann");
    pass(4000);
    say(0, TYPING("{\"name\":\"A.\"}")); /* renewed */
    HEARS(1, "{\"name\":\"A.\"}", "ann");
    HEARS(3, "{\"name\":\"A.\"}", "ann");
    pass(4000);
    HEARS_NOTHING(1);
    pass(1000);
    for (size_t i = 1; i < 4; i++)
        if (i != 2)
            HEARS(i, "{\"name\":\"A.\",\"ended\":true}", "ann");
    HEARS_NOTHING(0); /* it has not got the begin either */
    pass(10000);
    HEARS_NOTHING(1);
    HOST_HEARD("time client-typing ann {\"name\":\"A.\"}\n");
    assert_int_equal(share()->begun, 1);
    assert_int_equal(share()->ended, 1);
    assert_int_equal(share()->bytes, 0);
}

static void the_client_says_the_end_and_it_is_told_once(void **state)
{
    (void)state;
    say(0, TYPING("{\"n\":1}"));
    HEARS(1, "{\"n\":1}", "ann");
    say(0, TYPING("{\"ended\":true}"));
    HEARS(1, "{\"ended\":true}", "ann");
    say(0, TYPING("{\"ended\":true}")); /* it has ended */
    HEARS_NOTHING(1);
    pass(10000);
    HEARS_NOTHING(1);
    HOST_HEARD(""); /* it knows by on_client_event */
    say(0, TYPING("{\"n\":2}"));
    HEARS(1, "{\"n\":2}", "ann");
    pass(6000);
    HOST_HEARD("time client-typing ann {\"n\":2}\n");
    HEARS(1, "{\"n\":2,\"ended\":true}", "ann");
    say(0, TYPING("{\"ended\":true}")); /* too late */
    HEARS_NOTHING(1);
}

static void the_last_connection_that_has_said_it_ends_it_by_leaving(void **state)
{
    (void)state;
    say(0, TYPING("{\"tab\":1}"));
    say(3, TYPING("{\"tab\":2}")); /* the same user */
    heard(0), heard(3), heard(1);
    fx_unsubscribe(&clients[3], ROOM);
    fx_settle(&fx);
    HEARS_NOTHING(1);
    pass(1000);
    fx_disconnect(&clients[0]);
    const char *text = heard(1); /* before the member is removed */
    const char *end = strstr(text, "{\"tab\":2,\"ended\":true}");
    const char *removed = strstr(text, "member_removed");
    assert_true(end && removed && end < removed);
    assert_null(strstr(removed, "ended"));
    HOST_HEARD("left client-typing ann {\"tab\":2}\n");
    pass(10000);
    HEARS_NOTHING(1);
    fx_connect(&fx, &clients[0], 0);
}

static void grace_does_not_prolong_what_a_page_did(void **state)
{
    (void)state;
    put(0, 3000);
    fx_disconnect(&clients[1]);
    fx_connect(&fx, &clients[1], 1 % worker_count);
    join(1, "bob");
    heard(0), heard(2);
    say(1, TYPING("{}"));
    heard(0);
    fx_disconnect(&clients[1]);
    HEARS(0, "{\"ended\":true}", "bob"); /* and he is a member still */
    fx_connect(&fx, &clients[1], 1 % worker_count);
    join(1, "bob");
    HEARS_NOTHING(0);
}

static void a_newcomer_is_told_what_the_others_do(void **state)
{
    (void)state;
    say(0, TYPING("{\"n\":1}"));
    say(1, TYPING("{\"n\":2}"));
    say(1, WHISPER("client-cell", ROOM, "{\"cell\":\"B2\"}"));
    say(1, WHISPER("client-other", ROOM, "{\"n\":3}"));
    fx_unsubscribe(&clients[2], ROOM);
    heard(2);
    join(2, "ann");
    const char *text = heard(2);
    const char *joined = strstr(text, "subscription_succeeded");
    assert_non_null(joined);
    const char *typing = strstr(joined, "\"client-typing\",\"channel\":\"" ROOM
                                        "\",\"data\":\"{\"n\":2}\",\"user_id\":\"bob\"}");
    const char *cell = strstr(joined, "{\"cell\":\"B2\"}");
    assert_true(typing && cell);
    assert_null(strstr(text, "{\"n\":1}")); /* its own user */
    assert_null(strstr(text, "{\"n\":3}"));
    pass(10000); /* and the ends, once each */
    text = heard(2);
    assert_non_null(strstr(text, "{\"n\":2,\"ended\":true}"));
    assert_non_null(strstr(text, "{\"cell\":\"B2\",\"ended\":true}"));
}

static void each_key_is_a_state_of_its_own(void **state)
{
    (void)state;
    say(0, WHISPER("client-cell", ROOM, "{\"cell\":1}"));
    say(0, WHISPER("client-cell", ROOM, "{\"cell\":2}"));
    heard(1);
    say(0, WHISPER("client-cell", ROOM, "{\"cell\":3}")); /* max_keys=2 */
    assert_non_null(strstr(heard(0), "\"code\":4301,\"message\":\"There are too many such states "
                                     "(max_keys)\""));
    HEARS_NOTHING(1);
    say(0, WHISPER("client-cell", ROOM, "{\"cell\":1,\"ended\":true}"));
    assert_non_null(strstr(heard(1), "{\"cell\":1,\"ended\":true}"));
    say(0, WHISPER("client-cell", ROOM, "{\"cell\":3}"));
    assert_non_null(strstr(heard(1), "{\"cell\":3}"));
    say(0, WHISPER("client-cell", ROOM, "{\"row\":3}")); /* no key: an event and nothing else */
    assert_non_null(strstr(heard(1), "{\"row\":3}"));
    pass(3000);
    const char *text = heard(1);
    assert_non_null(strstr(text, "{\"cell\":2,\"ended\":true}"));
    assert_non_null(strstr(text, "{\"cell\":3,\"ended\":true}"));
    assert_null(strstr(text, "row"));
    assert_int_equal(share()->refused, 1);
}

static void states_of_a_channel_and_of_an_app_are_bounded(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        fx_subscribe(&clients[i], "private-chat");
        fx_settle(&fx);
        heard(i);
        say(i, WHISPER("client-typing", "private-chat", "{}"));
    }
    assert_non_null(strstr(heard(2), "(max_states)"));
    pass(2000);
    put(600, 0); /* room for one */
    fx_disconnect(&clients[0]);
    fx_disconnect(&clients[1]);
    for (uint32_t i = 0; i < 2; i++) {
        fx_connect(&fx, &clients[i], i % worker_count);
        fx_subscribe(&clients[i], "private-chat");
        fx_settle(&fx);
        heard(i);
        say(i, WHISPER("client-typing", "private-chat", "{}"));
    }
    HEARS_NOTHING(0);
    assert_non_null(strstr(heard(1), "(max_ephemeral_bytes)"));
    assert_true(share()->bytes <= 600);
}

static void a_client_without_user_is_its_connection(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        fx_subscribe(&clients[i], "private-chat");
        fx_settle(&fx);
        heard(i);
    }
    say(0, WHISPER("client-typing", "private-chat", "{\"n\":1}"));
    say(1, WHISPER("client-typing", "private-chat", "{\"n\":2}"));
    heard(2);
    fx_disconnect(&clients[0]);
    const char *text = heard(2);
    assert_non_null(strstr(text, "\"data\":\"{\"n\":1,\"ended\":true}\"}")); /* no user_id */
    assert_null(strstr(text, "{\"n\":2"));
    fx_connect(&fx, &clients[0], 0);
}

static void a_stop_and_removed_rules_leave_nothing_behind(void **state)
{
    (void)state;
    say(0, TYPING("{}"));
    pusherc_app_options app = fx_app();
    assert_int_equal(fx_try_put(&fx, &app), 0);
    say(1, TYPING("{}")); /* its connection has the settings of before */
    fx.engine->draining = true;
    say(2, TYPING("{}"));
    heard(1);
}

static void without_memory_a_state_begins_and_ends_or_is_refused(void **state)
{
    (void)state;
    for (size_t n = 1; n < 18; n++) {
        fx.alloc.fail_at = fx.alloc.requests + n;
        say(1, TYPING("{\"n\":\"a text that is longer than what was said before\"}"));
        pass(6000);
        fx.alloc.fail_at = 0;
        pass(1000); /* it is told when there is memory */
        const char *text = heard(0);
        const char *begin = strstr(text, "before\"}");
        const char *end = strstr(text, "\"ended\":true");
        assert_true(end ? begin && begin < end : !begin);
        assert_null(end ? strstr(end + 8, "ended") : NULL);
        heard(1), heard(2), heard(3);
        assert_int_equal(share()->bytes, 0);
        assert_int_equal(share()->begun, share()->ended);
        assert_int_equal(share()->ended, end_count);
    }
}

/* -- views -- */

/* Agents see all, customers no names, the blind nothing. */
static pusherc_render_verdict render(pusherc_render *r, void *user_data)
{
    const bool ended = pc_ephemeral_says_ended(pusherc_render_data(r));
    (void)user_data;
    if (pc_slice_eq(pusherc_render_view(r), PC_S("agent")))
        return PUSHERC_RENDER_SAME;
    if (!pc_slice_eq(pusherc_render_view(r), PC_S("customer")) ||
        pusherc_render_payload(r, ended ? PC_S("{\"ended\":true}") : PC_S("{}")))
        return PUSHERC_RENDER_NOTHING;
    return PUSHERC_RENDER_REPLACED;
}

static void enter(struct ax *ax, size_t i, const char *view)
{
    char user[4];
    snprintf(user, sizeof user, "u%zu", i);
    if (!ax->clients[i].fx)
        ax_connect(ax, i, (uint32_t)(i % 2), user);
    ax->grant.view = pc_slice_of(view);
    fx_say(&ax->clients[i], "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":"
                            "\"presence-t.1\"}}");
    ax_settle(ax);
}

static void view_hears(struct ax *ax, size_t i, const char *data)
{
    char expected[300] = "";
    if (data)
        snprintf(expected, sizeof expected,
                 "{\"event\":\"client-typing\",\"channel\":\"presence-t.1\",\"data\":\"%s\","
                 "\"user_id\":\"u0\"}\n",
                 data);
    assert_string_equal(ax_heard(ax, i), expected);
}

static void each_view_sees_begin_end_and_what_there_is_as_its_rule_says(void **state)
{
    static const char *const views[] = {"agent", "agent", "customer", "blind"};
    static struct ax ax;
    (void)state;
    ax_open(&ax, 2, PUSHERC_AUTH_RULES);
    pusherc_app_options app = fx_app();
    app.auth_mode = PUSHERC_AUTH_RULES;
    app.ephemeral = RULES;
    assert_int_equal(fx_try_put(&ax.fx, &app), 0);
    pusherc_rule rule = ax_rule(&ax, "t.{x}");
    rule.render = render;
    ax_add(&ax, &rule);
    ax.answer = AX_ALLOW;
    for (size_t i = 0; i < 4; i++)
        enter(&ax, i, views[i]);
    for (size_t i = 0; i < 4; i++)
        ax_heard(&ax, i);
    fx_say(&ax.clients[0], WHISPER("client-typing", "presence-t.1", "{\"name\":\"Ann\"}"));
    view_hears(&ax, 1, "{\\\"name\\\":\\\"Ann\\\"}");
    view_hears(&ax, 2, "{}");
    view_hears(&ax, 3, NULL);
    for (size_t i = 4; i < 7; i++) { /* newcomers */
        enter(&ax, i, views[i - 3]);
        const char *text = ax_heard(&ax, i);
        const char *typing = strstr(text, "client-typing");
        assert_true(i == 6 ? !typing : typing && typing > strstr(text, "subscription_succeeded"));
        assert_true(i == 6 || (strstr(typing, "Ann") != NULL) == (i == 4));
    }
    for (size_t i = 0; i < 7; i++)
        ax_heard(&ax, i);
    for (int step = 0; step < 2; step++)
        ax_pass(&ax, 1000);
    view_hears(&ax, 1, "{\\\"name\\\":\\\"Ann\\\",\\\"ended\\\":true}");
    view_hears(&ax, 2, "{\\\"ended\\\":true}");
    view_hears(&ax, 3, NULL);
    ax_close(&ax);
    assert_int_equal(failing_alloc_live(&ax.fx.alloc), 0);
}

/* -- threads -- */

#define ROUNDS 300

static _Atomic bool over;
static _Atomic uint32_t done;

/* A worker's thread: its client types and ends at random, and time passes. */
static void *work(void *arg)
{
    const uint32_t index = *(const uint32_t *)arg;
    struct pc_worker *worker = &fx.engine->workers[index];
    uint32_t x = index * 7919 + 1, round = 0;
    while (!over) {
        if (round < ROUNDS) {
            x = x * 1664525 + 1013904223;
            fx_say(&clients[index], x >> 28 < 9 ? TYPING("{\"n\":1}") : TYPING("{\"ended\":true}"));
            worker->now_ms += x >> 20 & 2047;
            pc_timers_run(&worker->timers, worker->now_ms);
            if (++round == ROUNDS)
                done++;
        }
        if (!fx_round(&fx, index))
            sched_yield();
    }
    return NULL;
}

static void on_four_threads_begin_and_end_alternate_for_every_subscriber(void **state)
{
    static const char *const users[] = {"\"ann\"}", "\"bob\"}", "\"cid\"}", "\"dan\"}"};
    static uint32_t numbers[] = {0, 1, 2, 3};
    pthread_t threads[4];
    (void)state;
    fx_disconnect(&clients[3]);
    fx_connect(&fx, &clients[3], 3);
    join(3, "dan");
    for (size_t i = 0; i < 4; i++)
        fx_heard(&clients[i]), fx_forget(&clients[i]);
    over = false;
    done = 0;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &numbers[i]), 0);
    while (done < 4)
        sched_yield();
    over = true;
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (uint32_t i = 0; i < 4; i++) /* all at the same time again */
        fx.engine->workers[i].now_ms =
            fx.engine->workers[0].now_ms > 4000000 ? fx.engine->workers[0].now_ms : 4000000;
    pass(6000);
    pass(6000);
    assert_int_equal(share()->begun, share()->ended);
    for (size_t i = 0; i < 4; i++) {
        uint64_t ends[4] = {0};
        bool on[4] = {false};
        for (char *line = strtok((char *)fx_heard(&clients[i]), "\n"); line;
             line = strtok(NULL, "\n")) {
            size_t u = 0;
            if (!strstr(line, "client-typing"))
                continue;
            while (!strstr(line, users[u]))
                u++;
            const bool ended = strstr(line, "ended");
            assert_true(u != i);
            assert_true(!ended || on[u]);
            ends[u] += ended;
            on[u] = !ended;
        }
        for (size_t u = 0; u < 4; u++)
            assert_false(on[u]);
        assert_true(ends[(i + 1) % 4] > 5);
    }
}

#define TEST(name)       cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define ALONE(name)      cmocka_unit_test_setup_teardown(name, set_up_alone, tear_down)
#define ON_FOUR(name)    cmocka_unit_test_setup_teardown(name, set_up_four, tear_down)
#define EVERYWHERE(name) ALONE(name), TEST(name), ON_FOUR(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EVERYWHERE(a_state_ends_once_when_its_time_is_over),
        EVERYWHERE(the_client_says_the_end_and_it_is_told_once),
        EVERYWHERE(the_last_connection_that_has_said_it_ends_it_by_leaving),
        EVERYWHERE(grace_does_not_prolong_what_a_page_did),
        EVERYWHERE(a_newcomer_is_told_what_the_others_do),
        TEST(each_key_is_a_state_of_its_own),
        TEST(states_of_a_channel_and_of_an_app_are_bounded),
        TEST(a_client_without_user_is_its_connection),
        TEST(a_stop_and_removed_rules_leave_nothing_behind),
        TEST(without_memory_a_state_begins_and_ends_or_is_refused),
        cmocka_unit_test(each_view_sees_begin_end_and_what_there_is_as_its_rule_says),
        ON_FOUR(on_four_threads_begin_and_end_alternate_for_every_subscriber),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
