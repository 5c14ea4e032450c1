/* The inspector without sockets: who may see it, what it shows, and that all of it is bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>

#include <pusherc/error.h>

#include "api/api.h"
#include "codec/json.h"
#include "fanout/publish.h"
#include "fanout/subscription.h"
#include "inspect/happened.h"
#include "require.h"
#include "server/inspector.h"
#include "unit/failing_alloc.h"

#define TOKEN      "0123456789abcdef"
#define RIGHT      "Bearer " TOKEN
#define MAX_JOINED 1000

struct fixture {
    struct failing_alloc alloc;
    pusherc_server *server;
    struct pc_engine *engine;
    struct pc_outq queues[MAX_JOINED]; /* each is a client */
    struct pc_subscription *joined[MAX_JOINED];
    size_t count;
    struct pc_api_reply reply;
    struct pc_buf text; /* a body made by the test */
};

static struct fixture f;

static void no_overflow(struct pc_outq *q)
{
    (void)q;
}

/* The loops do not run: mail is run by hand. */
static void no_wake(void *ctx)
{
    (void)ctx;
}

static int make(const char *token, size_t fail_at, const pusherc_app_options *app)
{
    memset(&f, 0, sizeof f);
    pusherc_allocator allocator = failing_alloc_init(&f.alloc, fail_at);
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    options.allocator = &allocator;
    options.worker_count = 2;
    options.inspector_token = token;
    int err = pusherc_server_new(&f.server, &options, NULL);
    if (err)
        return err;
    f.engine = &f.server->engine;
    pc_api_reply_init(&f.reply, &f.engine->mem);
    for (uint32_t i = 0; i < f.engine->worker_count; i++)
        f.engine->workers[i].mailbox->wake = no_wake;
    return pusherc_server_put_apps(f.server, app, 1, NULL);
}

static pusherc_app_options app_options(void)
{
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    app.id = "app-id";
    app.key = "app-key";
    app.secret = "app-secret";
    app.max_presence_members = MAX_JOINED;
    return app;
}

static void open_server(const char *token)
{
    pusherc_app_options app = app_options();
    assert_int_equal(make(token, 0, &app), 0);
}

static struct pc_app *the_app(void)
{
    return pc_apps_by_id(&f.engine->apps, PC_S("app-id"));
}

static void close_server(void)
{
    struct pc_channel_change change;
    struct pc_app *app = the_app();
    while (f.count) {
        f.count--;
        pc_leave(f.queues[f.count].worker, app, f.joined[f.count], true, NULL, &change);
    }
    pc_app_unref(app);
    for (uint32_t i = 0; i < f.engine->worker_count; i++)
        while (pc_mailbox_run(f.engine->workers[i].mailbox, &f.engine->workers[i]))
            ;
    for (size_t i = 0; i < MAX_JOINED && f.queues[i].worker; i++)
        pc_outq_free(&f.queues[i]);
    pc_api_reply_free(&f.reply);
    pusherc_server_free(f.server);
    assert_int_equal(failing_alloc_live(&f.alloc), 0);
}

/* One more client that joins this channel. */
static void join(const char *channel, const char *user_id)
{
    struct pc_outq *q = &f.queues[f.count];
    struct pc_app *app = the_app();
    struct pc_channel_change change;
    struct pc_buf roster;
    struct pc_join join = {.app = app,
                           .q = q,
                           .channel = pc_slice_of(channel),
                           .user_id = pc_slice_of(user_id),
                           .user_info = PC_S("{\"secret\":1}")};
    assert_true(f.count < MAX_JOINED);
    pc_outq_init(q, &f.engine->workers[f.count % 2], no_overflow);
    q->owner = (pusherc_socket_id){1000 + f.count, 2000};
    assert_true(pc_channel_name_valid(join.channel, 200, &join.class));
    pc_buf_init(&roster, &f.engine->mem, 1 << 20);
    assert_int_equal(pc_join_finish(q->worker, &join, &roster, &f.joined[f.count], &change), 0);
    f.count++;
    pc_buf_free(&roster);
    pc_app_unref(app);
}

/* `authorization` NULL: without the field. */
static void ask(const char *method, const char *path, const char *query, const char *authorization,
                pusherc_slice body)
{
    const struct pc_pair fields[] = {{PC_S("Host"), PC_S("127.0.0.1:9601")},
                                     {PC_S("Authorization"), pc_slice_of(authorization)}};
    struct pc_http_message message = {.method = pc_slice_of(method),
                                      .path = pc_slice_of(path),
                                      .query = pc_slice_of(query),
                                      .fields = fields,
                                      .field_count = authorization ? 2 : 1,
                                      .body = body};
    struct pc_api_request request = {
        .engine = f.engine, .worker = &f.engine->workers[0], .message = &message};
    pc_api_reply_free(&f.reply);
    pc_api_reply_init(&f.reply, &f.engine->mem);
    pc_api_operations(&request, &f.reply);
}

static pusherc_slice field(const char *name)
{
    const pusherc_slice *value =
        pc_pair_find(f.reply.fields, f.reply.field_count, pc_slice_of(name));
    return value ? *value : PC_S("");
}

/* The state, as valid JSON. */
static struct pc_json state_of(const char *query)
{
    ask("GET", "/inspector/state", query, RIGHT, PC_S(""));
    assert_int_equal(f.reply.status, 200);
    assert_string_equal(f.reply.content_type, "application/json");
    struct pc_json json = pc_json_parse(pc_buf_slice(&f.reply.body));
    assert_int_equal(json.type, PC_JSON_OBJECT);
    return json;
}

static size_t length(struct pc_json list)
{
    size_t count = 0;
    assert_int_equal(list.type, PC_JSON_ARRAY);
    for (struct pc_json_iter i = pc_json_iter_of(list); pc_json_next(&i);)
        count++;
    return count;
}

static struct pc_json item(struct pc_json list, size_t at)
{
    struct pc_json_iter i = pc_json_iter_of(list);
    for (size_t n = 0; pc_json_next(&i); n++)
        if (n == at)
            return i.value;
    fail_msg("the list has no item %zu", at);
    return list;
}

static struct pc_json get(struct pc_json object, const char *name)
{
    return pc_json_get(object, pc_slice_of(name));
}

static int64_t number(struct pc_json object, const char *name)
{
    int64_t out;
    assert_true(pc_json_i64(get(object, name), &out));
    return out;
}

static void expect_text(struct pc_json object, const char *name, const char *text)
{
    char decoded[1024];
    struct pc_buf scratch;
    pusherc_slice found;
    pc_buf_init_in(&scratch, &f.engine->mem, sizeof decoded, decoded, sizeof decoded);
    assert_int_equal(pc_json_string(get(object, name), &scratch, &found), 0);
    if (!pc_slice_eq(found, pc_slice_of(text)))
        fail_msg("%s: \"%.*s\" instead of \"%s\"", name, (int)found.len, found.ptr, text);
}

static void publish(struct pc_worker *worker, const char *channel, const char *event,
                    enum pc_way way)
{
    struct pc_app *app = the_app();
    pusherc_slice to = pc_slice_of(channel);
    const struct pc_publication p = {.event = pc_slice_of(event),
                                     .channels = &to,
                                     .channel_count = 1,
                                     .data = PC_S("{}"),
                                     .way = way,
                                     .worker = worker};
    REQUIRE(pc_publish(f.engine, app, &p) == 0);
    pc_app_unref(app);
}

/* -- who may -- */

static const char *const paths[] = {"/inspector", "/inspector/page.css", "/inspector/page.js",
                                    "/inspector/state", "/inspector/event"};

static void without_a_token_there_is_no_such_page(void **state)
{
    static const char *const none[] = {NULL, ""};
    (void)state;
    for (size_t n = 0; n < 2; n++) {
        open_server(none[n]);
        assert_null(f.engine->happened);
        for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
            ask("GET", paths[i], "", "Bearer ", PC_S(""));
            assert_int_equal(f.reply.status, 404);
        }
        publish(NULL, "a", "b", PC_WAY_HOST);
        close_server();
    }
}

static void only_the_token_opens_it(void **state)
{
    static const char *const wrong[] = {NULL,
                                        "",
                                        "Bearer",
                                        "Bearer ",
                                        "Bearer 0123456789abcde",
                                        "Bearer 0123456789abcdef0",
                                        "Bearer 0123456789ABCDEF",
                                        "Bearer  0123456789abcdef",
                                        "Basic 0123456789abcdef",
                                        TOKEN};
    (void)state;
    open_server(TOKEN);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ask("GET", "/inspector/state", "token=" TOKEN, wrong[i], PC_S(""));
        assert_int_equal(f.reply.status, 401);
        assert_true(pc_slice_eq(field("WWW-Authenticate"), PC_S("Bearer")));
        assert_int_equal(f.reply.body.len, strlen("This needs the server's inspector_token."));
        ask("POST", "/inspector/event", "", wrong[i],
            PC_S("{\"app\":\"app-id\",\"channel\":\"a\",\"event\":\"b\",\"data\":\"c\"}"));
        assert_int_equal(f.reply.status, 401);
    }
    assert_int_equal(f.engine->publishes, 0);
    (void)state_of("");
    ask("GET", "/inspector/state", "", "bearer " TOKEN, PC_S(""));
    assert_int_equal(f.reply.status, 200); /* a scheme's case does not count */
    close_server();
}

static void every_answer_keeps_browsers_out(void **state)
{
    static const struct {
        const char *method, *path, *authorization;
        int status;
    } cases[] = {
        {"GET", "/inspector", NULL, 200},           {"GET", "/inspector/page.js", NULL, 200},
        {"GET", "/inspector/page.css", NULL, 200},  {"HEAD", "/inspector", NULL, 200},
        {"GET", "/inspector/state", RIGHT, 200},    {"GET", "/inspector/state", NULL, 401},
        {"POST", "/inspector/event", RIGHT, 400},   {"GET", "/inspector/event", RIGHT, 405},
        {"POST", "/inspector", NULL, 405},          {"OPTIONS", "/inspector/event", NULL, 405},
        {"DELETE", "/inspector/state", RIGHT, 405},
    };
    (void)state;
    open_server(TOKEN);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ask(cases[i].method, cases[i].path, "", cases[i].authorization, PC_S("{"));
        if (f.reply.status != cases[i].status)
            fail_msg("%s %s: %d", cases[i].method, cases[i].path, f.reply.status);
        assert_true(pc_slice_eq(field("Cache-Control"), PC_S("no-store")));
        assert_true(pc_slice_eq(field("X-Frame-Options"), PC_S("DENY")));
        assert_true(
            pc_slice_starts(field("Content-Security-Policy"), PC_S("default-src 'none'; ")));
        assert_int_equal(field("Access-Control-Allow-Origin").len, 0);
    }
    ask("GET", "/inspector/", "", RIGHT, PC_S(""));
    assert_int_equal(f.reply.status, 404);
    close_server();
}

static void a_flood_of_wrong_tokens_leaves_nothing(void **state)
{
    (void)state;
    open_server(TOKEN);
    ask("GET", "/inspector/state", "", "Bearer x", PC_S(""));
    size_t live = failing_alloc_live(&f.alloc), requests = f.alloc.requests;
    for (int i = 0; i < 20000; i++)
        ask("GET", "/inspector/state", "", "Bearer 0123456789abcdee", PC_S(""));
    assert_int_equal(failing_alloc_live(&f.alloc), live);
    assert_int_equal(f.alloc.requests, requests); /* and costs no memory while it lasts */
    (void)state_of("");
    close_server();
}

static void a_token_is_checked_when_the_server_is_made(void **state)
{
    char longest[202];
    const pusherc_app_options app = app_options();
    (void)state;
    memset(longest, 'x', sizeof longest - 1);
    longest[201] = '\0';
    const char *const wrong[] = {"x",
                                 "0123456789abcde",
                                 "0123456789 abcdef",
                                 "0123456789abcdef\n",
                                 "0123456789abcd\xc3\xa9",
                                 longest};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(make(wrong[i], 0, &app), PUSHERC_EINVAL);
        assert_int_equal(failing_alloc_live(&f.alloc), 0);
    }
    open_server(longest + 1);
    close_server();
}

/* -- what it shows -- */

static void lists_are_bounded_and_the_busiest_channels_are_in_them(void **state)
{
    char name[40], id[40];
    (void)state;
    open_server(TOKEN);
    for (int i = 0; i < 250; i++) {
        snprintf(name, sizeof name, "%s.%03d", i % 2 ? "odd" : "even", i);
        join(name, NULL);
    }
    for (int i = 0; i < 150; i++) {
        snprintf(id, sizeof id, "user-%d", i);
        join("presence-room", id);
    }
    for (int i = 240; i < 250; i++) /* late, so that they find the list full */
        for (int n = 0; n < i - 238; n++) {
            snprintf(name, sizeof name, "%s.%03d", i % 2 ? "odd" : "even", i);
            join(name, NULL);
        }
    struct pc_json s = state_of("channel=presence-room");
    assert_int_equal(number(s, "channel_count"), 251);
    struct pc_json channels = get(s, "channels");
    assert_int_equal(length(channels), PC_INSPECTOR_CHANNELS);
    expect_text(item(channels, 0), "name", "presence-room");
    assert_int_equal(number(item(channels, 0), "users"), 150);
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "%s.%03d", (249 - i) % 2 ? "odd" : "even", 249 - i);
        expect_text(item(channels, (size_t)i + 1), "name", name);
        assert_int_equal(number(item(channels, (size_t)i + 1), "subscriptions"), 12 - i);
    }
    struct pc_json one = get(s, "channel");
    assert_int_equal(number(one, "subscriptions"), 150);
    assert_int_equal(number(one, "users"), 150);
    assert_int_equal(length(get(one, "members")), PC_INSPECTOR_MEMBERS);
    assert_null(strstr(f.reply.body.ptr, "secret"));

    s = state_of("app=app-id&prefix=odd.");
    assert_int_equal(number(s, "channel_count"), 125);
    s = state_of("prefix=odd%2e24");
    assert_int_equal(number(s, "channel_count"), 5);
    s = state_of("app=other");
    assert_int_equal(get(s, "channels").type, PC_JSON_NONE);
    s = state_of("channel=%ff%22");
    expect_text(get(s, "channel"), "name", "?\"");
    close_server();
}

static void apps_are_bounded_and_keys_are_cut(void **state)
{
    char id[20], key[40];
    (void)state;
    open_server(TOKEN);
    for (int i = 0; i < 150; i++) {
        pusherc_app_options app = app_options();
        snprintf(id, sizeof id, "b%03d", i);
        snprintf(key, sizeof key, "0123456789-%d", i);
        app.id = id;
        app.key = key;
        assert_int_equal(pusherc_server_put_apps(f.server, &app, 1, NULL), 0);
    }
    struct pc_json s = state_of("app=b149");
    assert_int_equal(number(s, "app_count"), 151);
    assert_int_equal(length(get(s, "apps")), PC_INSPECTOR_APPS);
    expect_text(s, "app", "b149");
    expect_text(item(get(s, "apps"), 0), "key", "app\xe2\x80\xa6");
    expect_text(item(get(s, "apps"), 1), "key", "0123\xe2\x80\xa6");
    close_server();
}

static void the_last_events_of_all_threads_are_in_order_with_their_way(void **state)
{
    static const char *const ways[] = {"host", "http_api", "client", "other_node", "inspector"};
    char name[20];
    (void)state;
    open_server(TOKEN);
    join("private-news", NULL);
    for (int i = 0; i < 250; i++) {
        struct pc_worker *worker = i % 3 == 2 ? NULL : &f.engine->workers[i % 3];
        snprintf(name, sizeof name, "e%d", i);
        publish(worker, i % 2 ? "private-news" : "news", name, (enum pc_way)(i % 5));
        for (uint32_t w = 0; w < 2; w++)
            while (pc_mailbox_run(f.engine->workers[w].mailbox, &f.engine->workers[w]))
                ;
    }
    struct pc_json s = state_of(""), events = get(s, "events");
    assert_int_equal(length(events), PC_HAPPENED_KEPT);
    for (int i = 0; i < PC_HAPPENED_KEPT; i++) {
        struct pc_json e = item(events, (size_t)i);
        snprintf(name, sizeof name, "e%d", 249 - i);
        expect_text(e, "event", name);
        expect_text(e, "way", ways[(249 - i) % 5]);
        assert_int_equal(number(e, "bytes"), 2);
        assert_true(
            pc_slice_eq(get(e, "matched").raw, (249 - i) % 2 ? PC_S("true") : PC_S("false")));
    }
#ifdef PC_WITH_EXPLAIN
    struct pc_json misses = get(s, "near_misses");
    assert_true(length(misses) >= 1 && length(misses) <= PC_HAPPENED_KEPT);
    expect_text(item(misses, 0), "similar", "\"private-news\"");
#endif
    close_server();
}

static void what_strangers_send_is_cut_and_stays_json(void **state)
{
    char longest[400];
    (void)state;
    open_server(TOKEN);
    for (size_t i = 0; i + 3 < sizeof longest; i += 3)
        memcpy(longest + i, "\xe2\x82\xac", 3);
    const struct pc_happening what[] = {
        {.kind = PC_HAPPENED_DENIAL,
         .app_id = pc_slice(longest, 399),
         .channel = pc_slice(longest, 399),
         .name = pc_slice(longest, 399),
         .detail = pc_slice(longest, 399)},
        {.kind = PC_HAPPENED_DENIAL, .channel = PC_S("\xff\"\\\n\xc3"), .status = -1},
    };
    for (size_t i = 0; i < 2; i++)
        pc_engine_note(f.engine, NULL, &what[i]);
    struct pc_json denials = get(state_of(""), "denials");
    assert_int_equal(length(denials), 2);
    expect_text(item(denials, 0), "channel", "?\"\\\n?");
    assert_int_equal(number(item(denials, 0), "status"), 0);
    assert_true(get(item(denials, 1), "detail").raw.len <= 262);
    assert_true(get(item(denials, 1), "detail").raw.len % 3 == 2); /* whole characters and quotes */
    close_server();
}

/* -- a test event -- */

static void a_test_event_is_checked_as_any_other(void **state)
{
    static const struct {
        const char *body;
        int status;
    } cases[] = {
        {"", 400},
        {"{}", 400},
        {"[]", 400},
        {"{\"app\":1,\"channel\":\"a\",\"event\":\"b\",\"data\":\"\"}", 400},
        {"{\"app\":\"app-id\",\"channel\":[\"a\"],\"event\":\"b\",\"data\":\"\"}", 400},
        {"{\"app\":\"app-id\",\"channel\":\"a\",\"event\":\"b\"}", 400},
        {"{\"app\":\"app-id\",\"channel\":\"a b\",\"event\":\"b\",\"data\":\"\"}", 400},
        {"{\"app\":\"app-id\",\"channel\":\"\",\"event\":\"b\",\"data\":\"\"}", 400},
        {"{\"app\":\"app-id\",\"channel\":\"a\",\"event\":\"pusher:b\",\"data\":\"\"}", 400},
        {"{\"app\":\"app-id\",\"channel\":\"private-encrypted-a\",\"event\":\"b\",\"data\":\"\"}",
         400},
        {"{\"app\":\"\\ud800\",\"channel\":\"a\",\"event\":\"b\",\"data\":\"\"}", 400},
        {"{\"app\":\"none\",\"channel\":\"a\",\"event\":\"b\",\"data\":\"\"}", 404},
        {"{\"app\":\"\\u0061pp-id\",\"channel\":\"\\u0061\",\"event\":\"\\u0062\",\"data\":"
         "\"\\u0063\"}",
         204},
    };
    (void)state;
    open_server(TOKEN);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ask("POST", "/inspector/event", "", RIGHT, pc_slice_of(cases[i].body));
        if (f.reply.status != cases[i].status)
            fail_msg("%s: %d %.*s", cases[i].body, f.reply.status, (int)f.reply.body.len,
                     f.reply.body.ptr);
    }
    assert_int_equal(f.engine->publishes, 1);
    expect_text(item(get(state_of(""), "events"), 0), "way", "inspector");
    f.engine->draining = true;
    ask("POST", "/inspector/event", "", RIGHT, pc_slice_of(cases[12].body));
    assert_int_equal(f.reply.status, 503);
    close_server();
}

/* -- memory and threads -- */

static void out_of_memory_fails_one_request(void **state)
{
    bool failed = true;
    (void)state;
    open_server(TOKEN);
    join("presence-room", "ada");
    publish(NULL, "presence-room", "e", PC_WAY_HOST);
    for (size_t n = 1; failed; n++) {
        size_t live = failing_alloc_live(&f.alloc);
        f.alloc.requests = 0;
        f.alloc.fail_at = n;
        ask("GET", "/inspector/state", "channel=presence-room", RIGHT, PC_S(""));
        failed = failing_alloc_hit(&f.alloc);
        assert_int_equal(f.reply.status, failed ? 500 : 200);
        assert_int_equal(field("Access-Control-Allow-Origin").len, 0);
        pc_api_reply_free(&f.reply);
        pc_api_reply_init(&f.reply, &f.engine->mem);
        assert_true(failing_alloc_live(&f.alloc) <= live);
    }
    f.alloc.fail_at = 0;
    close_server();
    const pusherc_app_options app = app_options();
    failed = true;
    for (size_t n = 1; failed; n++) {
        int err = make(TOKEN, n, &app);
        failed = failing_alloc_hit(&f.alloc);
        f.alloc.fail_at = 0;
        if (f.server)
            close_server();
        assert_true(failed ? err == PUSHERC_ENOMEM || err == 0 || err == PUSHERC_EIO : err == 0);
        assert_int_equal(failing_alloc_live(&f.alloc), 0);
    }
}

static void *publish_many(void *arg)
{
    uint32_t worker = *(uint32_t *)arg;
    for (int i = 0; i < 3000; i++)
        publish(worker < 2 ? &f.engine->workers[worker] : NULL, "nobody", "e", PC_WAY_HOST);
    return NULL;
}

static void threads_note_while_others_read(void **state)
{
    uint32_t indexes[] = {0, 1, 2, 3};
    pthread_t threads[4];
    (void)state;
    open_server(TOKEN);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, publish_many, &indexes[i]), 0);
    for (int i = 0; i < 30; i++) {
        struct pc_json events = get(state_of(""), "events");
        int64_t before = INT64_MAX;
        for (struct pc_json_iter e = pc_json_iter_of(events); pc_json_next(&e);) {
            assert_true(number(e.value, "number") < before); /* sorted, none twice */
            before = number(e.value, "number");
        }
    }
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    struct pc_json events = get(state_of(""), "events");
    assert_int_equal(number(item(events, 0), "number"), 12000);
    assert_int_equal(length(events), PC_HAPPENED_KEPT);
    close_server();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_token_there_is_no_such_page),
        cmocka_unit_test(only_the_token_opens_it),
        cmocka_unit_test(every_answer_keeps_browsers_out),
        cmocka_unit_test(a_flood_of_wrong_tokens_leaves_nothing),
        cmocka_unit_test(a_token_is_checked_when_the_server_is_made),
        cmocka_unit_test(lists_are_bounded_and_the_busiest_channels_are_in_them),
        cmocka_unit_test(apps_are_bounded_and_keys_are_cut),
        cmocka_unit_test(the_last_events_of_all_threads_are_in_order_with_their_way),
        cmocka_unit_test(what_strangers_send_is_cut_and_stays_json),
        cmocka_unit_test(a_test_event_is_checked_as_any_other),
        cmocka_unit_test(out_of_memory_fails_one_request),
        cmocka_unit_test(threads_note_while_others_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
