/* A session's life: how it begins, stays alive, is closed and ends; what it makes of messages and of slow readers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "engine_fixture.h"

#define CLIENTS 3

struct fixture {
    struct fx fx;
    struct fx_client clients[CLIENTS];
    char log[8192]; /* what hooks were told */
};

/* -- hooks -- */

__attribute__((format(printf, 2, 3))) static void note(struct fixture *f, const char *format, ...)
{
    size_t len = strlen(f->log);
    va_list args;
    va_start(args, format);
    vsnprintf(f->log + len, sizeof f->log - len, format, args);
    va_end(args);
}

static size_t index_of(struct fixture *f, const pusherc_conn *conn)
{
    const struct fx_client *client =
        PC_CONTAINER((struct pc_session *)(uintptr_t)conn, struct fx_client, session);
    return (size_t)(client - f->clients);
}

static void on_open(const pusherc_conn *conn, void *user_data)
{
    note(user_data, "open %zu;", index_of(user_data, conn));
}

static void on_close(const pusherc_conn *conn, uint16_t code, void *user_data)
{
    note(user_data, "close %zu %u;", index_of(user_data, conn), code);
}

static void on_channel(const pusherc_channel_event *event, void *user_data)
{
    static const char *const names[] = {"?", "occupied", "vacated", "added", "removed", "count"};
    struct fixture *f = user_data;
    note(f, "%s %.*s", names[event->type], (int)event->channel.len, event->channel.ptr);
    if (event->user_id.len)
        note(f, " %.*s", (int)event->user_id.len, event->user_id.ptr);
    note(f, " %llu;", (unsigned long long)event->subscription_count);
}

static void expect_log(struct fixture *f, const char *text)
{
    assert_string_equal(f->log, text);
    f->log[0] = '\0';
}

/* -- set-up -- */

static void open_with(struct fixture *f, const pusherc_server_options *limits,
                      const pusherc_app_options *app)
{
    pusherc_hooks hooks = PUSHERC_HOOKS_INIT;
    hooks.user_data = f;
    hooks.on_open = on_open;
    hooks.on_close = on_close;
    hooks.on_channel = on_channel;
    memset(f, 0, sizeof *f);
    assert_int_equal(fx_try_open(&f->fx, limits, &hooks, 2, 0), 0);
    assert_int_equal(fx_try_put(&f->fx, app), 0);
}

static void open_app(struct fixture *f, const pusherc_app_options *app)
{
    pusherc_server_options limits = fx_limits();
    open_with(f, &limits, app);
}

static int close_all(struct fixture *f)
{
    for (size_t i = 0; i < CLIENTS; i++)
        fx_disconnect(&f->clients[i]);
    fx_settle(&f->fx);
    bool clean = pc_directory_occupied(&f->fx.engine->directory) == 0;
    for (uint32_t i = 0; i < f->fx.engine->worker_count; i++) {
        struct pc_worker *worker = &f->fx.engine->workers[i];
        clean &= worker->by_id.count == 0 && worker->timers.count == 0 &&
                 worker->queued_bytes == 0 && pc_list_empty(&worker->sessions) &&
                 !pc_worker_marked(worker) && worker->stats.connections == 0 &&
                 worker->stats.subscriptions == 0;
    }
    fx_close(&f->fx);
    return clean && failing_alloc_live(&f->fx.alloc) == 0 ? 0 : -1;
}

/* Three clients, all established; the last on the second worker. */
static void connect_all(struct fixture *f)
{
    for (uint32_t i = 0; i < CLIENTS; i++) {
        fx_connect(&f->fx, &f->clients[i], i / 2);
        fx_heard(&f->clients[i]);
    }
    f->log[0] = '\0';
}

static int set_up(void **state)
{
    static struct fixture f;
    pusherc_app_options app = fx_app();
    open_app(&f, &app);
    connect_all(&f);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    return close_all(*state);
}

static void expect_heard(struct fixture *f, size_t client, const char *text)
{
    assert_string_equal(fx_heard(&f->clients[client]), text);
}

/* -- beginning and end -- */

static void the_first_word_is_established(void **state)
{
    struct fixture f;
    char expected[256], id[PUSHERC_SOCKET_ID_STRLEN];
    pusherc_app_options app = fx_app();
    (void)state;
    app.activity_timeout_ms = 31500;
    open_app(&f, &app);
    fx_connect(&f.fx, &f.clients[0], 0);
    expect_log(&f, "open 0;");
    pusherc_socket_id_format(f.clients[0].q.owner, id);
    /* whole seconds, rounded up: the client must not ping before we look */
    snprintf(
        expected, sizeof expected,
        "{\"event\":\"pusher:connection_established\",\"data\":\"{\\\"socket_id\\\":\\\"%s\\\","
        "\\\"activity_timeout\\\":32}\"}\n",
        id);
    expect_heard(&f, 0, expected);
    assert_int_equal(close_all(&f), 0);
}

static void a_session_is_found_by_its_id_on_its_worker(void **state)
{
    struct fixture *f = *state;
    struct pc_worker *workers = f->fx.engine->workers;
    pusherc_socket_id id = f->clients[0].q.owner;
    assert_ptr_equal(pc_session_find(&workers[0], id), &f->clients[0].session);
    assert_null(pc_session_find(&workers[1], id));
    assert_null(pc_session_find(&workers[0], (pusherc_socket_id){id.a, id.b + 1}));
    fx_disconnect(&f->clients[0]);
    assert_null(pc_session_find(&workers[0], id));
}

static void an_end_leaves_everything_once(void **state)
{
    struct fixture *f = *state;
    struct pc_session never = {.worker = NULL};
    struct pc_app *app = f->clients[0].session.app;
    fx_subscribe(&f->clients[0], "news");
    fx_subscribe(&f->clients[0], "sport");
    expect_log(f, "occupied news 1;count news 1;occupied sport 1;count sport 1;");
    assert_int_equal(app->state->connections, 3);
    pc_session_end(&f->clients[0].session);
    assert_int_equal(app->state->connections, 2);
    /* the latest first, and before the connection itself */
    expect_log(f, "count sport 0;vacated sport 0;count news 0;vacated news 0;close 0 1006;");
    pc_session_end(&f->clients[0].session);
    expect_log(f, "");
    pc_session_end(&never);
}

static void an_ended_session_hears_and_says_nothing(void **state)
{
    struct fixture *f = *state;
    pc_session_end(&f->clients[0].session);
    f->log[0] = '\0';
    fx_say(&f->clients[0], "{\"event\":\"pusher:ping\",\"data\":{}}");
    fx_subscribe(&f->clients[0], "news");
    pc_session_close(&f->clients[0].session, 4200, PC_S("x"));
    pc_session_overflow(&f->clients[0].session);
    expect_heard(f, 0, "");
    expect_log(f, "");
    assert_int_equal(f->clients[0].closes, 0);
}

/* -- closing -- */

static void the_first_close_counts(void **state)
{
    struct fixture *f = *state;
    struct fx_client *client = &f->clients[0];
    fx_subscribe(client, "news");
    fx_heard(client);
    f->log[0] = '\0';
    pc_session_close(&client->session, 4009, PC_S("first"));
    pc_session_close(&client->session, 4200, PC_S("second"));
    assert_int_equal(client->closes, 1);
    assert_int_equal(client->closed, 4009);
    assert_string_equal(client->reason, "first");
    /* it leaves its channels at the next flush, when no list of subscribers is being walked */
    expect_log(f, "");
    fx_say(client, "{\"event\":\"pusher:ping\",\"data\":{}}");
    expect_heard(f, 0, "");
    expect_log(f, "count news 0;vacated news 0;close 0 4009;");
}

static void old_clients_get_the_reason_as_an_error_first(void **state)
{
    static const struct {
        uint8_t protocol;
        uint16_t code;
        const char *heard;
    } cases[] = {
        {4, 4201, "{\"event\":\"pusher:error\",\"data\":{\"code\":4201,\"message\":\"why\"}}\n"},
        {5, 4200, "{\"event\":\"pusher:error\",\"data\":{\"code\":4200,\"message\":\"why\"}}\n"},
        {5, 1003, ""},
        {6, 4200, ""},
        {7, 4200, ""},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fx_client client;
        assert_int_equal(fx_try_connect(&f->fx, &client, 0, cases[i].protocol), 0);
        fx_heard(&client);
        pc_session_close(&client.session, cases[i].code, PC_S("why"));
        assert_string_equal(fx_heard(&client), cases[i].heard);
        assert_int_equal(client.closed, cases[i].code);
        fx_disconnect(&client);
    }
}

/* -- messages -- */

static void a_ping_is_answered_and_a_pong_is_not(void **state)
{
    struct fixture *f = *state;
    fx_say(&f->clients[0], "{\"event\":\"pusher:ping\",\"data\":{}}");
    expect_heard(f, 0, "{\"event\":\"pusher:pong\",\"data\":\"{}\"}\n");
    fx_say(&f->clients[0], "{\"event\":\"pusher:pong\"}");
    expect_heard(f, 0, "");
}

static void what_makes_no_sense_is_an_error(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "Invalid message format"},
        {"[]", "Invalid message format"},
        {"{\"event\":1}", "Invalid message format"},
        {"{\"event\":\"pusher:subscribe\"}",
         "Invalid message format: data must be a JSON object, or the text of one"},
        {"{\"event\":\"client-a\",\"data\":1}", "Invalid message format: a client event must have "
                                                "\\\"channel\\\" beside \\\"event\\\" and "
                                                "\\\"data\\\", a string"},
        {"{\"event\":\"hello\",\"channel\":\"news\"}", "Unknown event"},
        {"{\"event\":\"pusher_internal:member_added\"}", "Unknown event"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char expected[256];
        snprintf(expected, sizeof expected,
                 "{\"event\":\"pusher:error\",\"data\":{\"code\":null,\"message\":\"%s\"}}\n",
                 cases[i].message);
        fx_say(&f->clients[0], cases[i].text);
        expect_heard(f, 0, expected);
    }
    assert_int_equal(f->clients[0].closes, 0);
}

static void a_hundred_such_in_a_row_are_enough(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 99; i++)
        fx_say(&f->clients[0], "{");
    fx_say(&f->clients[0], "{\"event\":\"pusher:ping\",\"data\":{}}"); /* starts the row again */
    for (int i = 0; i < 99; i++)
        fx_say(&f->clients[0], "{");
    assert_int_equal(f->clients[0].closes, 0);
    fx_say(&f->clients[0], "{");
    assert_int_equal(f->clients[0].closed, 4100);
    assert_string_equal(f->clients[0].reason, "Too many invalid messages");
}

/* -- liveness -- */

#define PING "{\"event\":\"pusher:ping\",\"data\":\"{}\"}\n"

/* In steps as a loop takes them. */
static void wait_ms(struct fixture *f, uint64_t ms)
{
    for (uint64_t passed = 0; passed < ms; passed += 100)
        fx_pass(&f->fx, 100);
}

static void silence_is_asked_about_and_then_ends(void **state)
{
    struct fixture *f = *state;
    struct fx_client *client = &f->clients[0];
    wait_ms(f, 119000);
    expect_heard(f, 0, "");
    wait_ms(f, 1100);
    expect_heard(f, 0, PING);
    assert_int_equal(client->pings, 1);
    wait_ms(f, 29000);
    assert_int_equal(client->closes, 0);
    wait_ms(f, 1100);
    assert_int_equal(client->closed, 4201);
    assert_string_equal(client->reason, "Pong reply not received");
    expect_heard(f, 0, "");
    wait_ms(f, 300000);
    assert_int_equal(client->closes, 1);
    assert_int_equal(client->pings, 1);
}

static void any_word_is_a_sign_of_life(void **state)
{
    struct fixture *f = *state;
    struct fx_client *client = &f->clients[0];
    wait_ms(f, 100000);
    fx_say(client, "nonsense");
    fx_heard(client);
    wait_ms(f, 119000);
    expect_heard(f, 0, "");
    wait_ms(f, 1100);
    expect_heard(f, 0, PING);
    /* in answer to the ping, a frame below the protocol will do */
    wait_ms(f, 20000);
    pc_session_seen(&client->session);
    wait_ms(f, 119000);
    expect_heard(f, 0, "");
    assert_int_equal(client->closes, 0);
    wait_ms(f, 1200);
    expect_heard(f, 0, PING);
    assert_int_equal(client->pings, 2);
}

static void a_late_answer_is_in_time_until_the_end(void **state)
{
    struct fixture *f = *state;
    struct fx_client *client = &f->clients[0];
    for (int i = 0; i < 5; i++) {
        wait_ms(f, 120100);
        expect_heard(f, 0, PING);
        wait_ms(f, 29800);
        fx_say(client, "{\"event\":\"pusher:pong\",\"data\":{}}");
    }
    assert_int_equal(client->closes, 0);
}

static void protocol_4_is_pinged_below_the_protocol_only(void **state)
{
    struct fixture *f = *state;
    struct fx_client client;
    assert_int_equal(fx_try_connect(&f->fx, &client, 0, 4), 0);
    fx_heard(&client);
    wait_ms(f, 120100);
    assert_string_equal(fx_heard(&client), "");
    assert_int_equal(client.pings, 1);
    wait_ms(f, 30100);
    assert_int_equal(client.closed, 4201);
    fx_disconnect(&client);
}

static void sending_does_not_count_as_activity_of_the_client(void **state)
{
    struct fixture *f = *state;
    fx_subscribe(&f->clients[0], "news");
    fx_heard(&f->clients[0]);
    for (int i = 0; i < 121; i++) {
        wait_ms(f, 1000);
        fx_publish(&f->fx, "news", "e", "1");
        fx_settle(&f->fx);
    }
    assert_non_null(strstr(fx_heard(&f->clients[0]), PING));
}

/* -- slow readers -- */

static void open_small(struct fixture *f, pusherc_slow_policy policy)
{
    pusherc_server_options limits = fx_limits();
    pusherc_app_options app = fx_app();
    limits.out_soft_bytes = 1000 + 9 * PC_FRAME_COST;
    limits.out_hard_bytes = 2000 + 18 * PC_FRAME_COST;
    limits.out_soft_ms = 5000;
    app.slow_policy = policy;
    open_with(f, &limits, &app);
    connect_all(f);
}

/* An event that takes 108 bytes of a queue. */
static void publish_100(struct fixture *f)
{
    char data[101];
    memset(data, 'd', 100);
    data[100 - 38] = '\0';
    assert_int_equal(fx_publish(&f->fx, "news", "e", data), 0);
    fx_settle(&f->fx);
}

static void a_client_that_reads_nothing_is_closed_when_its_queue_is_full(void **state)
{
    struct fixture f;
    struct fx_client *stuck = &f.clients[0];
    (void)state;
    open_small(&f, PUSHERC_SLOW_CLOSE);
    fx_subscribe(&f.clients[0], "news");
    fx_subscribe(&f.clients[1], "news");
    fx_heard(&f.clients[1]);
    fx_heard(stuck);
    f.log[0] = '\0';
    stuck->stuck = true;
    size_t before = 0;
    while (!stuck->closes) {
        before = pc_outq_bytes(&stuck->q);
        publish_100(&f);
        assert_true(pc_outq_bytes(&stuck->q) <= 2000);
    }
    assert_true(before > 1800); /* not before it had to be */
    assert_int_equal(stuck->closed, 4100);
    assert_string_equal(stuck->reason, "Too slow: the send buffer is full");
    assert_int_equal(pc_outq_bytes(&stuck->q),
                     0); /* what waited is dropped: the close comes soon */
    assert_int_equal(f.fx.engine->workers[0].stats.slow_closed, 1);
    expect_log(&f, "count news 1;close 0 4100;");
    /* the others notice nothing */
    publish_100(&f);
    assert_int_equal(f.clients[1].closes, 0);
    assert_true(strlen(fx_heard(&f.clients[1])) > 1900);
    assert_int_equal(close_all(&f), 0);
}

static void with_the_drop_policy_events_are_skipped(void **state)
{
    struct fixture f;
    struct fx_client *stuck = &f.clients[0];
    (void)state;
    open_small(&f, PUSHERC_SLOW_DROP);
    fx_subscribe(stuck, "news");
    fx_heard(stuck);
    stuck->stuck = true;
    for (int i = 0; i < 100; i++)
        publish_100(&f);
    uint64_t dropped = f.fx.engine->workers[0].stats.slow_dropped;
    assert_in_range(dropped, 70, 90);
    assert_int_equal(stuck->q.count, 100 - dropped);
    wait_ms(&f, 60000); /* also above the soft limit for ever */
    publish_100(&f);
    assert_int_equal(stuck->closes, 0);
    /* it wakes up: what was kept arrives, and what comes now */
    stuck->stuck = false;
    pc_outq_mark(&stuck->q);
    fx_heard(stuck);
    publish_100(&f);
    assert_true(strlen(fx_heard(stuck)) > 90);
    assert_int_equal(close_all(&f), 0);
}

static void above_the_soft_limit_it_has_some_seconds(void **state)
{
    struct fixture f;
    struct fx_client *slow = &f.clients[0];
    (void)state;
    open_small(&f, PUSHERC_SLOW_CLOSE);
    fx_subscribe(slow, "news");
    fx_heard(slow);
    slow->stuck = true;
    for (int i = 0; i < 8; i++)
        publish_100(&f);
    assert_false(slow->slow);
    for (int i = 0; i < 4; i++)
        publish_100(&f);
    assert_true(slow->slow); /* not read from now */
    wait_ms(&f, 4900);
    publish_100(&f);
    assert_int_equal(slow->closes, 0);
    /* below for a moment, and the clock starts anew */
    slow->stuck = false;
    pc_outq_mark(&slow->q);
    fx_settle(&f.fx);
    slow->stuck = true;
    assert_false(slow->slow);
    for (int i = 0; i < 12; i++)
        publish_100(&f);
    wait_ms(&f, 4900);
    publish_100(&f);
    assert_int_equal(slow->closes, 0);
    wait_ms(&f, 200);
    publish_100(&f);
    assert_int_equal(slow->closed, 4100);
    assert_int_equal(close_all(&f), 0);
}

static void a_client_that_asks_and_does_not_read_is_slow_too(void **state)
{
    struct fixture f;
    struct fx_client *stuck = &f.clients[0];
    (void)state;
    open_small(&f, PUSHERC_SLOW_CLOSE);
    stuck->stuck = true;
    for (int i = 0; i < 100 && !stuck->closes; i++)
        fx_say(stuck, "{\"event\":\"pusher:ping\",\"data\":{}}");
    assert_int_equal(stuck->closed, 4100);
    assert_true(pc_outq_bytes(&stuck->q) <= 2000);
    assert_int_equal(close_all(&f), 0);
}

static void the_soft_limit_is_looked_at_without_new_events(void **state)
{
    struct fixture f;
    struct fx_client *slow = &f.clients[0];
    (void)state;
    open_small(&f, PUSHERC_SLOW_CLOSE);
    fx_subscribe(slow, "news");
    fx_heard(slow);
    slow->stuck = true;
    for (int i = 0; i < 12; i++)
        publish_100(&f);
    for (int i = 0; i < 100 && !slow->closes; i++) {
        wait_ms(&f, 3000);
        fx_say(slow, "{\"event\":\"pusher:pong\",\"data\":{}}"); /* it lives, and does not read */
    }
    assert_int_equal(slow->closed, 4100);
    assert_int_equal(close_all(&f), 0);
}

/* -- without memory -- */

/* Connects, subscribes in every way, publishes, leaves; whatever fails, the rest goes on. */
static void scenario(struct fixture *f)
{
    struct fx_client *clients = f->clients;
    for (uint32_t i = 0; i < CLIENTS; i++)
        if (fx_try_connect(&f->fx, &clients[i], i / 2, (uint8_t)(5 + i)))
            clients[i].fx = NULL;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        char member[64];
        if (!clients[i].fx)
            continue;
        snprintf(member, sizeof member, "{\"user_id\":\"u%u\",\"user_info\":{\"n\":%u}}", i / 2, i);
        fx_subscribe(&clients[i], "news");
        fx_subscribe(&clients[i], "private-room");
        fx_join(&clients[i], "presence-room", member);
        fx_sign_in(&clients[i], "{\"id\":\"7\"}");
        fx_subscribe(&clients[i], "#server-to-user-7");
        fx_say(
            &clients[i],
            "{\"event\":\"client-typing\",\"channel\":\"private-room\",\"data\":{\"x\":\"\\n\"}}");
        fx_say(&clients[i], "nonsense");
        fx_settle(&f->fx);
        int err = fx_publish(&f->fx, "news", "e", "1");
        assert_true(err == 0 || err == PUSHERC_ENOMEM);
    }
    for (uint32_t i = 0; i < CLIENTS; i++) {
        if (!clients[i].fx)
            continue;
        fx_unsubscribe(&clients[i], "presence-room");
        fx_unsubscribe(&clients[i], "news");
        fx_settle(&f->fx);
    }
    wait_ms(f, 121000);
    fx_settle(&f->fx);
}

static void without_memory_one_session_fails_and_the_rest_goes_on(void **state)
{
    bool failed = true;
    size_t n = 0;
    (void)state;
    while (failed) {
        static struct fixture f;
        pusherc_server_options limits = fx_limits();
        pusherc_app_options app = fx_app();
        memset(&f, 0, sizeof f);
        assert_int_equal(fx_try_open(&f.fx, &limits, NULL, 2, 0), 0);
        assert_int_equal(fx_try_put(&f.fx, &app), 0);
        f.fx.alloc.fail_at = f.fx.alloc.requests + ++n;
        scenario(&f);
        failed = failing_alloc_hit(&f.fx.alloc);
        f.fx.alloc.fail_at = 0;
        /* who closed was told why; everybody else is whole */
        for (uint32_t i = 0; i < CLIENTS; i++)
            assert_true(f.clients[i].closes == 0 || f.clients[i].closed == PC_CLOSE_INTERNAL ||
                        f.clients[i].closed == PC_CLOSE_OVER_CAPACITY);
        for (uint32_t i = 0; i < CLIENTS; i++) {
            if (!f.clients[i].fx || f.clients[i].over)
                continue;
            fx_heard(&f.clients[i]);
            fx_subscribe(&f.clients[i], "later");
            assert_int_equal(fx_publish(&f.fx, "later", "e", "1"), 0);
            assert_non_null(
                strstr(fx_heard(&f.clients[i]), "\"channel\":\"later\",\"data\":\"1\""));
        }
        assert_int_equal(close_all(&f), 0);
    }
    assert_true(n > 50);
}

static void without_memory_there_is_no_engine(void **state)
{
    bool failed = true;
    (void)state;
    for (size_t n = 1; failed; n++) {
        struct fx fx;
        pusherc_server_options limits = fx_limits();
        int err = fx_try_open(&fx, &limits, NULL, 2, n);
        failed = failing_alloc_hit(&fx.alloc);
        assert_int_equal(err, failed ? PUSHERC_ENOMEM : 0);
        fx_close(&fx);
        assert_int_equal(failing_alloc_live(&fx.alloc), 0);
    }
}

#define session_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_word_is_established),
        session_test(a_session_is_found_by_its_id_on_its_worker),
        session_test(an_end_leaves_everything_once),
        session_test(an_ended_session_hears_and_says_nothing),
        session_test(the_first_close_counts),
        session_test(old_clients_get_the_reason_as_an_error_first),
        session_test(a_ping_is_answered_and_a_pong_is_not),
        session_test(what_makes_no_sense_is_an_error),
        session_test(a_hundred_such_in_a_row_are_enough),
        session_test(silence_is_asked_about_and_then_ends),
        session_test(any_word_is_a_sign_of_life),
        session_test(a_late_answer_is_in_time_until_the_end),
        session_test(protocol_4_is_pinged_below_the_protocol_only),
        session_test(sending_does_not_count_as_activity_of_the_client),
        cmocka_unit_test(a_client_that_reads_nothing_is_closed_when_its_queue_is_full),
        cmocka_unit_test(with_the_drop_policy_events_are_skipped),
        cmocka_unit_test(above_the_soft_limit_it_has_some_seconds),
        cmocka_unit_test(a_client_that_asks_and_does_not_read_is_slow_too),
        cmocka_unit_test(the_soft_limit_is_looked_at_without_new_events),
        cmocka_unit_test(without_memory_one_session_fails_and_the_rest_goes_on),
        cmocka_unit_test(without_memory_there_is_no_engine),
    };
    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
