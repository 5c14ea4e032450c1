/* Receipts in the engine (docs/receipts.md): whom the host is told of, when, and that it is once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "auth_fixture.h"

#define ROOM "private-chat.1"
#define RULES                                                                                      \
    "private-chat.{x} event=said id=/m/id shown=client-read ; presence-team id=id "                \
    "shown=client-read ; private-cache-top id=id ; news id=id shown=client-seen ; private-t.{x} "  \
    "id=id shown=client-read"

#define CLIENTS 5 /* ann, bob, ann again, without user, cid; on the workers in turn */

static struct fx fx;
static struct fx_client clients[CLIENTS];
static uint32_t worker_count;
static char told[65536]; /* what the host was told: a line each, "written said 7 ann" */
static size_t told_len;
static pthread_mutex_t told_mutex = PTHREAD_MUTEX_INITIALIZER;

static void on_receipt(const pusherc_receipt *r, void *user_data)
{
    (void)user_data;
    REQUIRE(pc_slice_eq(r->app_id, PC_S("app-id")) && r->at_ms > 1600000000000 &&
            (r->socket_id.a | r->socket_id.b) && r->struct_size == sizeof *r);
    pthread_mutex_lock(&told_mutex);
    int n = snprintf(told + told_len, sizeof told - told_len, "%s %.*s %.*s %.*s\n",
                     r->kind == PUSHERC_RECEIPT_WRITTEN ? "written" : "shown", (int)r->event.len,
                     r->event.ptr, (int)r->id.len, r->id.ptr, (int)r->user_id.len, r->user_id.ptr);
    REQUIRE(n > 0 && told_len + (size_t)n < sizeof told);
    told_len += (size_t)n;
    pthread_mutex_unlock(&told_mutex);
}

/* What the host was told since the last call. */
static const char *host_was_told(void)
{
    static char text[sizeof told];
    memcpy(text, told, told_len);
    text[told_len] = '\0';
    told_len = 0;
    return text;
}

#define TOLD(text)   assert_string_equal(host_was_told(), text)
#define TOLD_NOTHING TOLD("")

static const pusherc_hooks hooks = {.struct_size = sizeof hooks, .on_receipt = on_receipt};

static pusherc_app_options app_options(void)
{
    static const pusherc_history_pattern history[] = {
        {.struct_size = sizeof history[0], .pattern = "private-chat.9"}};
    pusherc_app_options app = fx_app();
    app.receipts = RULES;
    app.client_events = false;
    app.max_client_events_per_s = PUSHERC_NO_LIMIT;
    app.max_client_messages_per_s = PUSHERC_NO_LIMIT;
    app.history = history;
    app.history_count = 1;
    return app;
}

static void connect_all(const char *channel)
{
    static const char *const users[] = {"ann", "bob", "ann", NULL, "cid"};
    for (uint32_t i = 0; i < CLIENTS; i++) {
        if (users[i])
            fx_connect_as(&fx, &clients[i], i % worker_count, users[i]);
        else
            fx_connect(&fx, &clients[i], i % worker_count);
        fx_subscribe(&clients[i], channel);
        fx_settle(&fx);
    }
    for (uint32_t i = 0; i < CLIENTS; i++)
        fx_heard(&clients[i]), fx_forget(&clients[i]);
}

static void set_up_on(uint32_t workers)
{
    const pusherc_server_options limits = fx_limits();
    const pusherc_app_options app = app_options();
    worker_count = workers;
    told_len = 0;
    assert_int_equal(fx_try_open(&fx, &limits, &hooks, workers, 0), 0);
    assert_int_equal(fx_try_put(&fx, &app), 0);
    connect_all(ROOM);
}

static int set_up(void **state)
{
    (void)state;
    set_up_on(2);
    return 0;
}

static int set_up_alone(void **state)
{
    (void)state;
    set_up_on(1);
    return 0;
}

static int set_up_four(void **state)
{
    (void)state;
    set_up_on(4);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLIENTS; i++)
        fx_disconnect(&clients[i]);
    fx_close(&fx);
    return failing_alloc_live(&fx.alloc) == 0 ? 0 : -1;
}

/* As the HTTP API and the host publish. */
static int try_publish(struct fx *to, const char *channel, const char *event, const char *data,
                       pusherc_socket_id except)
{
    pusherc_slice name = pc_slice_of(channel);
    struct pc_publication p = {.event = pc_slice_of(event),
                               .channels = &name,
                               .channel_count = 1,
                               .data = pc_slice_of(data),
                               .except = except,
                               .cacheable = true,
                               .now_ms = to->engine->workers[0].now_ms};
    struct pc_app *app = pc_apps_by_id(&to->engine->apps, PC_S("app-id"));
    int err = pc_publish(to->engine, app, &p);
    pc_app_unref(app);
    return err;
}

static void publish(const char *channel, const char *event, const char *data)
{
    assert_int_equal(try_publish(&fx, channel, event, data, (pusherc_socket_id){0}), 0);
}

#define SAID(id) publish(ROOM, "said", "{\"m\":{\"id\":" id "}}")

static void say(size_t i, const char *event, const char *channel, const char *data)
{
    char text[512];
    snprintf(text, sizeof text, "{\"event\":\"%s\",\"channel\":\"%s\",\"data\":%s}", event, channel,
             data);
    fx_say(&clients[i], text);
    fx_settle(&fx);
}

static struct pc_receipts *table_of(struct fx *of)
{
    struct pc_app *app = pc_apps_by_id(&of->engine->apps, PC_S("app-id"));
    struct pc_receipts *table = &app->state->receipts;
    pc_app_unref(app);
    return table;
}

/* -- written -- */

static void each_user_is_told_once_over_all_connections(void **state)
{
    (void)state;
    SAID("7");
    TOLD_NOTHING; /* it waits for the workers */
    fx_settle(&fx);
    const char *text = host_was_told();
    assert_int_equal(ax_count(text, "written said 7 ann\n"), 1);
    assert_int_equal(ax_count(text, "written said 7 bob\n"), 1);
    assert_int_equal(ax_count(text, "written said 7 cid\n"), 1);
    assert_int_equal(ax_count(text, "\n"), 3);
    for (size_t i = 0; i < CLIENTS; i++)
        assert_int_equal(ax_count(fx_heard(&clients[i]), "said"), 1);
    SAID("7"); /* the same event once more */
    fx_settle(&fx);
    TOLD_NOTHING;
    SAID("\"x8\"");
    fx_settle(&fx);
    assert_int_equal(ax_count(host_was_told(), "written said x8 "), 3);
    assert_int_equal(pc_stat_get(&table_of(&fx)->written), 6);
}

static void other_events_and_those_without_id_give_none(void **state)
{
    (void)state;
    publish(ROOM, "moved", "{\"m\":{\"id\":1}}");
    publish(ROOM, "said", "{\"m\":{}}");
    publish(ROOM, "said", "text");
    publish("private-other", "said", "{\"m\":{\"id\":1}}");
    fx_settle(&fx);
    TOLD_NOTHING;
    assert_int_equal(pc_stat_get(&table_of(&fx)->bytes), 0);
    assert_int_equal(ax_count(fx_heard(&clients[0]), "\"said\""), 2);
}

static void a_connection_that_the_publisher_excludes_gives_none(void **state)
{
    (void)state;
    assert_int_equal(try_publish(&fx, ROOM, "said", "{\"m\":{\"id\":1}}", clients[1].q.owner), 0);
    fx_settle(&fx);
    const char *text = host_was_told();
    assert_null(strstr(text, "bob"));
    assert_int_equal(ax_count(text, "\n"), 2);
}

static void it_is_told_when_the_client_has_been_written_to_and_not_before(void **state)
{
    (void)state;
    clients[0].stuck = clients[2].stuck = true;
    clients[1].untold = true; /* a record of TLS waits */
    SAID("1");
    SAID("2");
    fx_settle(&fx);
    TOLD("written said 1 cid\nwritten said 2 cid\n");
    clients[2].stuck = false;
    pc_outq_mark(&clients[2].q);
    fx_settle(&fx);
    TOLD("written said 1 ann\nwritten said 2 ann\n");
    clients[1].untold = false;
    pc_outq_mark(&clients[1].q);
    fx_settle(&fx);
    TOLD("written said 1 bob\nwritten said 2 bob\n");
    clients[0].stuck = false;
    pc_outq_mark(&clients[0].q);
    fx_settle(&fx);
    TOLD_NOTHING; /* the other tab was first */
}

static void what_is_dropped_or_left_unwritten_is_not_told(void **state)
{
    (void)state;
    clients[0].stuck = clients[2].stuck = true;
    clients[1].untold = true;
    SAID("1");
    fx_settle(&fx);
    TOLD("written said 1 cid\n");
    pc_outq_drop(&clients[0].q);
    fx_disconnect(&clients[2]);
    fx_disconnect(&clients[1]);
    clients[0].stuck = false;
    pc_outq_mark(&clients[0].q);
    fx_settle(&fx);
    TOLD_NOTHING;
    fx_connect(&fx, &clients[1], 0);
    fx_connect(&fx, &clients[2], 0);
}

static void a_member_or_else_the_signed_in_user_is_the_user(void **state)
{
    (void)state;
    fx_join(&clients[0], "presence-team", "{\"user_id\":\"m1\"}");
    fx_join(&clients[3], "presence-team", "{\"user_id\":\"m2\"}");
    fx_subscribe(&clients[1], "news");
    fx_sign_in(&clients[1], "{\"id\":\"robert\"}");
    fx_subscribe(&clients[3], "news");
    fx_settle(&fx);
    publish("presence-team", "e", "{\"id\":1}");
    fx_settle(&fx);
    const char *text = host_was_told();
    assert_int_equal(ax_count(text, "written e 1 m1\n") + ax_count(text, "written e 1 m2\n"), 2);
    publish("news", "e", "{\"id\":1}");
    fx_settle(&fx);
    TOLD("written e 1 robert\n");
}

static void what_was_missed_and_what_a_cache_keeps_is_told_when_it_is_sent(void **state)
{
    char text[300];
    (void)state;
    fx_subscribe(&clients[1], "private-chat.9"); /* with a history */
    fx_settle(&fx);
    const char *id = strstr(fx_heard(&clients[1]), "\"event_id\":\"");
    assert_non_null(id);
    snprintf(text, sizeof text,
             "{\"event\":\"pusher:resume\",\"data\":{\"channels\":{\"private-chat.9\":\"%.*s\"}}}",
             PC_POSITION_LEN, id + 12);
    fx_disconnect(&clients[1]);
    publish("private-chat.9", "said", "{\"m\":{\"id\":5}}");
    publish("private-cache-top", "e", "{\"id\":6}");
    fx_settle(&fx);
    TOLD_NOTHING;
    fx_connect_as(&fx, &clients[1], 0, "bob");
    fx_say(&clients[1], text);
    fx_subscribe(&clients[1], "private-chat.9");
    fx_subscribe(&clients[1], "private-cache-top");
    TOLD_NOTHING;
    fx_settle(&fx);
    TOLD("written said 5 bob\nwritten e 6 bob\n");
    const char *heard = fx_heard(&clients[1]);
    assert_true(strstr(heard, "{\\\"m\\\":{\\\"id\\\":5}}") && strstr(heard, "pusher:resumed"));
    fx_unsubscribe(&clients[1], "private-cache-top");
    fx_subscribe(&clients[1], "private-cache-top");
    fx_settle(&fx);
    TOLD_NOTHING;
}

static void when_its_time_is_over_nothing_is_told_any_more(void **state)
{
    (void)state;
    clients[1].stuck = true;
    SAID("1");
    fx_settle(&fx);
    assert_int_equal(ax_count(host_was_told(), "\n"), 2);
    fx_pass(&fx, UINT64_C(86400000));
    clients[1].stuck = false;
    pc_outq_mark(&clients[1].q);
    fx_settle(&fx);
    TOLD_NOTHING;
    say(1, "client-read", ROOM, "{\"id\":1}");
    TOLD_NOTHING;
}

/* -- shown -- */

static void what_a_page_shows_is_told_once_and_relayed_to_none(void **state)
{
    (void)state;
    SAID("7");
    SAID("8");
    fx_settle(&fx);
    host_was_told();
    for (size_t i = 0; i < CLIENTS; i++)
        fx_heard(&clients[i]);
    say(0, "client-read", ROOM, "{\"id\":7}"); /* client events are off for this app */
    TOLD("shown said 7 ann\n");
    say(2, "client-read", ROOM, "{\"id\":7}"); /* her other tab */
    TOLD_NOTHING;
    say(2, "client-read", ROOM, "{\"id\":[7,\"8\",9]}");
    TOLD("shown said 8 ann\n");
    assert_int_equal(pc_stat_get(&table_of(&fx)->unknown), 1);
    say(1, "client-read", ROOM, "\"{\\\"id\\\":7}\""); /* as a text */
    TOLD("shown said 7 bob\n");
    say(3, "client-read", ROOM, "{\"id\":7}"); /* without user */
    TOLD_NOTHING;
    for (size_t i = 0; i < CLIENTS; i++)
        assert_string_equal(fx_heard(&clients[i]), "");
    say(1, "client-other", ROOM, "{\"id\":7}");
    assert_non_null(strstr(fx_heard(&clients[1]), "4301"));
}

static void what_is_no_id_is_nothing(void **state)
{
    static const char *const data[] = {
        "{}",           "null",           "{\"id\":null}", "{\"id\":{\"a\":7}}",
        "{\"id\":[]}",  "{\"id\":[[7]]}", "[7]",           "7",
        "\"\"",         "\"{\"",          "{\"id\":true}", "{\"id\":\"\"}",
        "{\"ids\":[7]}"};
    (void)state;
    SAID("7");
    fx_settle(&fx);
    host_was_told();
    for (size_t i = 0; i < sizeof data / sizeof data[0]; i++)
        say(0, "client-read", ROOM, data[i]);
    TOLD_NOTHING;
    say(0, "client-read", ROOM, "{\"id\":7}");
    TOLD("shown said 7 ann\n");
}

static void one_message_says_a_hundred_ids_at_most(void **state)
{
    char data[2000] = "{\"id\":[";
    (void)state;
    SAID("7");
    fx_settle(&fx);
    host_was_told();
    for (int i = 0; i < PC_RECEIPT_IDS_MAX; i++)
        strcat(data, "1000,");
    strcat(data, "7]}");
    char text[2200];
    snprintf(text, sizeof text, "{\"event\":\"client-read\",\"channel\":\"" ROOM "\",\"data\":%s}",
             data);
    fx_say(&clients[0], text);
    TOLD_NOTHING;
    assert_int_equal(pc_stat_get(&table_of(&fx)->unknown), PC_RECEIPT_IDS_MAX);
}

static void only_subscribers_of_the_channel_are_believed(void **state)
{
    (void)state;
    SAID("7");
    publish("news", "e", "{\"id\":7}");
    fx_settle(&fx);
    host_was_told();
    fx_unsubscribe(&clients[1], ROOM);
    say(1, "client-read", ROOM, "{\"id\":7}");
    assert_non_null(strstr(fx_heard(&clients[1]), "subscribed"));
    TOLD_NOTHING;
    fx_subscribe(&clients[0], "news");
    fx_settle(&fx);
    say(0, "client-seen", "news", "{\"id\":7}"); /* a public channel */
    TOLD("shown e 7 ann\n");
    say(0, "client-seen", ROOM, "{\"id\":7}"); /* another rule's word */
    TOLD_NOTHING;
}

/* -- memory -- */

static void without_memory_an_event_arrives_or_fails_and_nothing_is_told_twice(void **state)
{
    (void)state;
    for (size_t n = 1; n < 30; n++) {
        char data[64];
        snprintf(data, sizeof data, "{\"m\":{\"id\":%zu}}", n);
        fx.alloc.fail_at = fx.alloc.requests + n;
        int err = try_publish(&fx, ROOM, "said", data, (pusherc_socket_id){0});
        fx_settle(&fx);
        fx.alloc.fail_at = 0;
        const char *text = host_was_told();
        assert_true(err == 0 || (err == PUSHERC_ENOMEM && !*text));
        assert_true(ax_count(text, "ann\n") <= 1 && ax_count(text, "bob\n") <= 1);
        assert_true(ax_count(text, "\n") + pc_stat_get(&table_of(&fx)->lost) >= (err ? 0 : 3));
        for (size_t i = 0; i < CLIENTS; i++)
            if (!clients[i].closed && !clients[i].over)
                assert_int_equal(ax_count(fx_heard(&clients[i]), "\"said\""), err == 0);
        say(0, "client-read", ROOM, "{\"id\":1}");
        host_was_told();
    }
    assert_true(pc_stat_get(&table_of(&fx)->lost) > 0);
}

/* -- views, and grants that end -- */

static pusherc_render_verdict render(pusherc_render *r, void *user_data)
{
    (void)user_data;
    return pc_slice_eq(pusherc_render_view(r), PC_S("agent")) ||
                   pc_slice_eq(pusherc_render_event(r), PC_S("public"))
               ? PUSHERC_RENDER_SAME
               : PUSHERC_RENDER_NOTHING;
}

static void open_with_views(struct ax *ax)
{
    pusherc_app_options app = app_options();
    told_len = 0;
    ax_open(ax, 2, PUSHERC_AUTH_RULES);
    ax->hooks.on_receipt = on_receipt;
    for (uint32_t i = 0; i < 2; i++)
        ax->fx.engine->workers[i].hooks = &ax->hooks;
    app.auth_mode = PUSHERC_AUTH_RULES;
    assert_int_equal(fx_try_put(&ax->fx, &app), 0);
    pusherc_rule rule = ax_rule(ax, "t.{x}");
    rule.render = render;
    ax_add(ax, &rule);
    ax->answer = AX_ALLOW;
    static const char *const who[][2] = {{"mina", "agent"}, {"theo", "customer"}};
    for (size_t i = 0; i < 2; i++) {
        ax_connect(ax, i, (uint32_t)i, who[i][0]);
        ax->grant.view = pc_slice_of(who[i][1]);
        ax_subscribe(ax, i, "private-t.1");
        ax_settle(ax);
        ax_heard(ax, i);
    }
}

static void ax_publish(struct ax *ax, const char *event, const char *data)
{
    assert_int_equal(try_publish(&ax->fx, "private-t.1", event, data, (pusherc_socket_id){0}), 0);
    ax_settle(ax);
}

static void ax_say(struct ax *ax, size_t i, const char *data)
{
    char text[200];
    snprintf(text, sizeof text,
             "{\"event\":\"client-read\",\"channel\":\"private-t.1\",\"data\":%s}", data);
    fx_say(&ax->clients[i], text);
    ax_settle(ax);
}

static void an_audience_that_does_not_get_the_event_gives_no_receipt(void **state)
{
    static struct ax ax;
    (void)state;
    open_with_views(&ax);
    ax_publish(&ax, "note", "{\"id\":1}");
    TOLD("written note 1 mina\n");
    ax_publish(&ax, "public", "{\"id\":2}");
    const char *text = host_was_told();
    assert_true(strstr(text, "written public 2 mina\n") && strstr(text, "written public 2 theo\n"));
    ax_say(&ax, 1, "{\"id\":[1,2]}"); /* the customer guesses */
    TOLD("shown public 2 theo\n");
    ax_say(&ax, 0, "{\"id\":[1,2]}");
    TOLD("shown note 1 mina\nshown public 2 mina\n");
    ax_close(&ax);
    assert_int_equal(failing_alloc_live(&ax.fx.alloc), 0);
}

static void an_event_that_waits_for_the_host_is_told_if_it_is_let_through(void **state)
{
    static struct ax ax;
    (void)state;
    for (int lets = 0; lets < 2; lets++) {
        open_with_views(&ax);
        ax.answer = AX_LATER;
        ax.grant.view = PC_S("agent");
        assert_int_equal(ax_reauthorize(&ax, "mina", NULL), 0);
        ax_publish(&ax, "note", "{\"id\":1}");
        TOLD_NOTHING;
        while (ax.asked_count)
            assert_int_equal(lets ? ax_allow(&ax) : ax_deny(&ax), 0);
        TOLD(lets ? "written note 1 mina\n" : "");
        ax_close(&ax);
        assert_int_equal(failing_alloc_live(&ax.fx.alloc), 0);
    }
}

/* -- threads -- */

#define EVENTS 200

static _Atomic bool over;
static _Atomic uint32_t published;

/* A worker's thread: its client says at once that it has shown what it can have. */
static void *work(void *arg)
{
    const uint32_t index = *(const uint32_t *)arg;
    uint32_t seen = 0;
    while (!over) {
        char text[128];
        if (seen < published) {
            snprintf(text, sizeof text,
                     "{\"event\":\"client-read\",\"channel\":\"" ROOM "\",\"data\":{\"id\":%u}}",
                     (unsigned)seen++);
            fx_say(&clients[index], text);
        }
        if (!fx_round(&fx, index))
            sched_yield();
    }
    return NULL;
}

static void on_four_threads_every_receipt_is_one(void **state)
{
    static uint32_t numbers[] = {0, 1, 2, 3};
    pthread_t threads[4];
    (void)state;
    for (size_t i = 0; i < CLIENTS; i++)
        fx_disconnect(&clients[i]);
    for (uint32_t i = 0; i < 4; i++) {
        fx_connect_as(&fx, &clients[i], i, i < 3 ? "ann" : "bob"); /* three tabs, three workers */
        fx_subscribe(&clients[i], ROOM);
        fx_settle(&fx);
    }
    over = false;
    published = 0;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &numbers[i]), 0);
    for (uint32_t i = 0; i < EVENTS; i++) {
        char data[64];
        snprintf(data, sizeof data, "{\"m\":{\"id\":%u}}", (unsigned)i);
        publish(ROOM, "said", data);
        published++;
    }
    while (pc_stat_get(&table_of(&fx)->written) < 2 * EVENTS ||
           pc_stat_get(&table_of(&fx)->shown) < 2 * EVENTS)
        sched_yield();
    over = true;
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    fx_settle(&fx);
    const char *text = host_was_told();
    for (uint32_t i = 0; i < EVENTS; i++)
        for (int k = 0; k < 4; k++) {
            char line[64];
            snprintf(line, sizeof line, "%s said %u %s\n", k & 1 ? "written" : "shown", (unsigned)i,
                     k & 2 ? "ann" : "bob");
            assert_int_equal(ax_count(text, line), 1);
        }
    assert_int_equal(ax_count(text, "\n"), 4 * EVENTS);
    fx_connect(&fx, &clients[4], 0);
}

#define TEST(name)       cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define ALONE(name)      cmocka_unit_test_setup_teardown(name, set_up_alone, tear_down)
#define ON_FOUR(name)    cmocka_unit_test_setup_teardown(name, set_up_four, tear_down)
#define EVERYWHERE(name) ALONE(name), TEST(name), ON_FOUR(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EVERYWHERE(each_user_is_told_once_over_all_connections),
        EVERYWHERE(other_events_and_those_without_id_give_none),
        EVERYWHERE(a_connection_that_the_publisher_excludes_gives_none),
        EVERYWHERE(it_is_told_when_the_client_has_been_written_to_and_not_before),
        EVERYWHERE(what_is_dropped_or_left_unwritten_is_not_told),
        EVERYWHERE(a_member_or_else_the_signed_in_user_is_the_user),
        TEST(what_was_missed_and_what_a_cache_keeps_is_told_when_it_is_sent),
        TEST(when_its_time_is_over_nothing_is_told_any_more),
        EVERYWHERE(what_a_page_shows_is_told_once_and_relayed_to_none),
        TEST(what_is_no_id_is_nothing),
        TEST(one_message_says_a_hundred_ids_at_most),
        TEST(only_subscribers_of_the_channel_are_believed),
        TEST(without_memory_an_event_arrives_or_fails_and_nothing_is_told_twice),
        cmocka_unit_test(an_audience_that_does_not_get_the_event_gives_no_receipt),
        cmocka_unit_test(an_event_that_waits_for_the_host_is_told_if_it_is_let_through),
        ON_FOUR(on_four_threads_every_receipt_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
