/* What is counted, and how it is written for operators. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/api.h"
#include "base/process.h"
#include "codec/json.h"
#include "engine_fixture.h"
#include "server/metrics.h"

/* -- histograms -- */

static void a_histogram_sorts_into_buckets(void **state)
{
    struct pc_histogram h = {.sum_us = 0};
    const uint64_t last = pc_histogram_bounds_us[PC_HISTOGRAM_BOUNDS - 1];
    (void)state;
    pc_histogram_observe(&h, 0);
    pc_histogram_observe(&h, pc_histogram_bounds_us[0]);
    pc_histogram_observe(&h, pc_histogram_bounds_us[0] + 1);
    pc_histogram_observe(&h, last);
    pc_histogram_observe(&h, last + 1);
    assert_int_equal(h.buckets[0], 2);
    assert_int_equal(h.buckets[1], 1);
    assert_int_equal(h.buckets[PC_HISTOGRAM_BOUNDS - 1], 1);
    assert_int_equal(h.buckets[PC_HISTOGRAM_BOUNDS], 1);
    assert_int_equal(h.sum_us, 2 * pc_histogram_bounds_us[0] + 1 + 2 * last + 1);
    for (size_t i = 1; i < PC_HISTOGRAM_BOUNDS; i++)
        assert_true(pc_histogram_bounds_us[i] > pc_histogram_bounds_us[i - 1]);
}

/* -- counting -- */

static uint64_t now_ns = 1000000000;

static uint64_t fake_clock(void)
{
    return now_ns;
}

static struct fx fx;
static struct fx_client clients[4]; /* on the two workers in turn */

static int set_up(void **state)
{
    (void)state;
    fx_open(&fx, 2);
    fx.engine->clock_ns = fake_clock;
    for (uint32_t i = 0; i < 4; i++)
        fx_connect(&fx, &clients[i], i % 2);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++)
        fx_disconnect(&clients[i]);
    fx_close(&fx);
    return failing_alloc_live(&fx.alloc) == 0 ? 0 : -1;
}

/* Dies with its last connection, so only for looking. */
static struct pc_app *the_app(void)
{
    struct pc_app *app = pc_apps_by_id(&fx.engine->apps, PC_S("app-id"));
    assert_non_null(app);
    pc_app_unref(app);
    return app;
}

#define SUM(member) sum_of(offsetof(struct pc_app_stats, member))
static uint64_t sum_of(size_t offset)
{
    const struct pc_app_state *live = the_app()->state;
    uint64_t sum = 0;
    for (uint32_t i = 0; i <= live->worker_count; i++)
        sum += *(const _Atomic uint64_t *)(const void *)((const char *)&live->stats[i] + offset);
    return sum;
}

static void connections_and_subscriptions_are_counted(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++)
        fx_subscribe(&clients[i], "news");
    fx_subscribe(&clients[0], "private-a");
    fx_unsubscribe(&clients[1], "news");
    fx_disconnect(&clients[2]);
    fx_connect(&fx, &clients[2], 0);
    assert_int_equal(SUM(connected), 4);
    assert_int_equal(SUM(connections), 5);
    assert_int_equal(SUM(disconnections), 1);
    assert_int_equal(SUM(subscribed[PUSHERC_CHANNEL_PUBLIC]), 4);
    assert_int_equal(SUM(unsubscribed[PUSHERC_CHANNEL_PUBLIC]), 2);
    assert_int_equal(SUM(subscribed[PUSHERC_CHANNEL_PRIVATE]), 1);
    assert_int_equal(SUM(occupied[PUSHERC_CHANNEL_PUBLIC]), 1);
    assert_int_equal(SUM(messages_in), 6);
    /* the first on one worker, the last on the other */
    fx_unsubscribe(&clients[0], "news");
    fx_unsubscribe(&clients[3], "news");
    assert_int_equal(SUM(occupied[PUSHERC_CHANNEL_PUBLIC]), 0);
    assert_true(the_app()->state->stats[0].occupied[0] > 0);
}

static void messages_and_bytes_are_counted_per_subscriber(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++)
        fx_subscribe(&clients[i], "news");
    fx_settle(&fx);
    uint64_t messages = SUM(messages_out), bytes = SUM(bytes_out);
    fx_forget(&clients[0]);
    assert_int_equal(fx_publish(&fx, "news", "e", "x"), 0);
    const char *heard = fx_heard(&clients[0]);
    assert_int_equal(SUM(messages_out) - messages, 3);
    assert_int_equal(SUM(bytes_out) - bytes, 3 * (strlen(heard) - 1));
    assert_int_equal(fx_publish(&fx, "elsewhere", "e", "x"), 0);
    assert_int_equal(SUM(publishes), 2);
    assert_int_equal(SUM(unmatched), 1);
}

static void an_event_is_timed_once_per_worker_after_it_was_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++)
        fx_subscribe(&clients[i], "news");
    fx_settle(&fx);
    assert_int_equal(fx_publish(&fx, "news", "e", "x"), 0);
    assert_int_equal(fx_publish(&fx, "news", "e", "y"), 0);
    fx_settle(&fx);
    struct pc_worker *worker = &fx.engine->workers[0];
    assert_int_equal(worker->timed_count, 2);
    assert_int_equal(worker->stats.latency.sum_us, 0);
    now_ns += 300 * 1000;
    pc_worker_written(worker);
    pc_worker_written(worker);
    assert_int_equal(worker->stats.latency.sum_us, 600);
    assert_int_equal(worker->stats.latency.buckets[2], 2);
    assert_int_equal(the_app()->state->stats[0].latency.buckets[2], 2);
    assert_int_equal(the_app()->state->stats[1].latency.sum_us, 0);
    pc_worker_written(&fx.engine->workers[1]);
    assert_int_equal(the_app()->state->stats[1].latency.sum_us, 600);
}

static void more_events_than_a_turn_remembers_are_all_timed(void **state)
{
    (void)state;
    fx_subscribe(&clients[0], "news");
    fx_settle(&fx);
    for (int i = 0; i < PC_WORKER_TIMED + 10; i++)
        assert_int_equal(fx_publish(&fx, "news", "e", "x"), 0);
    fx_settle(&fx);
    pc_worker_written(&fx.engine->workers[0]);
    assert_int_equal(fx.engine->workers[0].stats.latency.buckets[0], PC_WORKER_TIMED + 10);
}

static void an_app_may_go_before_its_events_are_timed(void **state)
{
    pusherc_app_options other = fx_app();
    (void)state;
    for (size_t i = 0; i < 4; i++)
        fx_disconnect(&clients[i]);
    fx_connect(&fx, &clients[0], 0);
    fx_subscribe(&clients[0], "news");
    fx_settle(&fx);
    assert_int_equal(fx_publish(&fx, "news", "e", "x"), 0);
    assert_int_equal(fx_publish(&fx, "news", "e", "y"), 0);
    fx_settle(&fx);
    pc_app_unref(pc_apps_remove(&fx.engine->apps, PC_S("app-id")));
    fx_disconnect(&clients[0]);
    now_ns += 1000;
    pc_worker_written(&fx.engine->workers[0]);
    assert_int_equal(fx.engine->workers[0].stats.latency.sum_us, 2);
    assert_int_equal(fx_try_put(&fx, &other), 0);
}

static void client_events_and_their_refusals_are_counted(void **state)
{
    static const char event[] = "{\"event\":\"client-x\",\"channel\":\"private-a\",\"data\":\"d\"}";
    (void)state;
    fx_subscribe(&clients[0], "private-a");
    fx_say(&clients[1], event);
    for (int i = 0; i < 12; i++)
        fx_say(&clients[0], event);
    const struct pc_app_refusals *refusals = &the_app()->state->refusals;
    assert_int_equal(SUM(client_events), 10);
    assert_int_equal(SUM(client_events_refused), 3);
    assert_int_equal(SUM(rate_checks[0]), 12);
    assert_int_equal(refusals->limits[PC_APP_max_client_events_per_s], 2);
    assert_int_equal(SUM(publishes), 10);
}

static void denials_are_counted_by_reason_and_limit(void **state)
{
    char name[300];
    (void)state;
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    fx_say(
        &clients[0],
        "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"private-a\",\"auth\":\"x:y\"}}");
    fx_subscribe(&clients[0], name);
    const struct pc_app_refusals *refusals = &the_app()->state->refusals;
    assert_int_equal(refusals->denials[PUSHERC_DENIED_BAD_SIGNATURE], 1);
    assert_int_equal(refusals->denials[PUSHERC_DENIED_BAD_NAME], 1);
    assert_int_equal(refusals->limits[PC_APP_max_channel_name_bytes], 1);
}

/* -- writing -- */

struct page {
    char text[200000];
    size_t len, longest;
    unsigned chunks, stop_at;
};

static int take(pusherc_slice chunk, void *user_data)
{
    struct page *page = user_data;
    assert_true(chunk.len > 0 && page->len + chunk.len < sizeof page->text);
    memcpy(page->text + page->len, chunk.ptr, chunk.len);
    page->len += chunk.len;
    page->text[page->len] = '\0';
    if (chunk.len > page->longest)
        page->longest = chunk.len;
    return ++page->chunks == page->stop_at ? 77 : 0;
}

static void forget(struct page *page)
{
    page->len = page->longest = page->chunks = page->stop_at = 0;
    page->text[0] = '\0';
}

static pusherc_server *server_with(const char *id, const char *prefix)
{
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = fx_app();
    pusherc_server *server;
    options.worker_count = 2;
    options.metrics_prefix = prefix;
    app.id = id;
    assert_int_equal(pusherc_server_new(&server, &options, NULL), 0);
    assert_int_equal(pusherc_server_put_app(server, &app, NULL), 0);
    return server;
}

static void expect_line(const struct page *page, const char *line)
{
    char whole[600];
    snprintf(whole, sizeof whole, "\n%s\n", line);
    if (!strstr(page->text, whole))
        fail_msg("not there: %s", line);
}

static void text_has_families_with_escaped_labels(void **state)
{
    struct page *page = *state;
    pusherc_server *server = server_with("a\"b\\c\nd", NULL);
    struct pc_app *app = pc_apps_only(&server->engine.apps);
    server->port = 6001;
    app->state->stats[0].connected = 2;
    app->state->stats[1].connected = 3;
    app->state->stats[2].publishes = 7; /* of no worker */
    app->state->refusals.limits[PC_APP_max_connections] = 4;
    server->engine.unknown_app.connects[PC_CONNECT_UNKNOWN_APP] = 1;
    pc_histogram_observe(&app->state->stats[0].latency, 1500);
    pc_histogram_observe(&app->state->stats[1].latency, 6000001);
    pc_histogram_observe(&server->engine.workers[1].stats.latency, 1500);
    assert_int_equal(pusherc_server_metrics(server, take, page), 0);
    expect_line(page, "# TYPE pusherc_new_connections_total counter");
    expect_line(page, "pusherc_connected{app_id=\"a\\\"b\\\\c\\nd\",port=\"6001\"} 5");
    expect_line(page, "pusherc_publishes_total{app_id=\"a\\\"b\\\\c\\nd\",port=\"6001\"} 7");
    expect_line(page, "pusherc_limit_refusals_total{app_id=\"a\\\"b\\\\c\\nd\",port=\"6001\","
                      "limit=\"max_connections\"} 4");
    expect_line(page, "pusherc_connection_errors_total{app_id=\"\",port=\"6001\","
                      "error_type=\"unknown_app\"} 1");
    expect_line(page, "pusherc_broadcast_latency_ms_bucket{le=\"0.25\",app_id=\"a\\\"b\\\\c\\nd\","
                      "port=\"6001\"} 0");
    expect_line(page, "pusherc_broadcast_latency_ms_bucket{le=\"2.5\",app_id=\"a\\\"b\\\\c\\nd\","
                      "port=\"6001\"} 1");
    expect_line(page, "pusherc_broadcast_latency_ms_bucket{le=\"+Inf\",app_id=\"a\\\"b\\\\c\\nd\","
                      "port=\"6001\"} 2");
    expect_line(page, "pusherc_broadcast_latency_ms_sum{app_id=\"a\\\"b\\\\c\\nd\",port=\"6001\"} "
                      "6001.501");
    expect_line(
        page,
        "pusherc_publish_to_write_seconds_bucket{le=\"0.0025\",port=\"6001\",worker=\"1\"} 1");
    expect_line(page, "pusherc_publish_to_write_seconds_sum{port=\"6001\",worker=\"1\"} 0.0015");
    assert_true(page->longest <= 4096 && page->chunks > 3);
    assert_int_equal(page->text[page->len - 1], '\n');
    pc_app_unref(app);
    pusherc_server_free(server);
}

/* The line of docs/metrics.md that lists the values of this label. */
static const char *documented(const char *label)
{
    static char line[2048];
    char start[64];
    FILE *file = fopen("docs/metrics.md", "r");
    assert_non_null(file);
    snprintf(start, sizeof start, "- `%s`: ", label);
    while (fgets(line, sizeof line, file))
        if (strncmp(line, start, strlen(start)) == 0) {
            fclose(file);
            return line + strlen(start);
        }
    fail_msg("docs/metrics.md has no line for %s", label);
    return NULL;
}

/* Values of labels cannot all be made to happen from outside. */
static void every_value_of_a_label_is_documented(void **state)
{
    static const char *const labels[] = {"channel_type", "limiter_type", "error_type", "reason"};
    struct page *page = *state;
    pusherc_server *server = server_with("app-id", NULL);
    struct pc_app *app = pc_apps_only(&server->engine.apps);
    struct pc_app_refusals *refusals = &app->state->refusals;
    for (size_t i = 0; i < PC_APP_SETTING_COUNT; i++)
        refusals->limits[i] = 1;
    for (size_t i = 0; i < PC_DENIAL_COUNT; i++)
        refusals->denials[i] = 1;
    for (size_t i = 0; i < PC_CONNECT_ERROR_COUNT; i++)
        refusals->connects[i] = 1;
    for (size_t i = 0; i < PC_KIND_COUNT; i++)
        app->state->stats[0].subscribed[i] = 1;
    assert_int_equal(pusherc_server_metrics(server, take, page), 0);
    pc_app_unref(app);
    pusherc_server_free(server);
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        char start[64], quoted[64], value[64];
        const char *docs = documented(labels[i]);
        snprintf(start, sizeof start, "%s=\"", labels[i]);
        for (const char *at = page->text; (at = strstr(at, start));) {
            at += strlen(start);
            snprintf(quoted, sizeof quoted, "`%.*s`", (int)strcspn(at, "\""), at);
            if (!strstr(docs, quoted))
                fail_msg("%s: %s is not documented", labels[i], quoted);
        }
        /* "`a` (of `b`), `c`": what is in parentheses explains */
        for (const char *at = docs; *at && *at != '.'; at++) {
            if (*at == '(')
                at += strcspn(at, ")");
            if (*at != '`' || strcspn(at + 1, "`") >= sizeof value)
                continue;
            snprintf(value, sizeof value, "%.*s", (int)strcspn(at + 1, "`"), at + 1);
            at += strlen(value) + 1;
            snprintf(quoted, sizeof quoted, "%.20s=\"%.40s\"", labels[i], value);
            if (!strstr(page->text, quoted) && strncmp(value, "pusherc_", 8) != 0)
                fail_msg("%s does not occur", quoted);
        }
    }
}

static void the_prefix_is_the_hosts(void **state)
{
    struct page *page = *state;
    pusherc_server *server = server_with("app-id", "soketi_");
    assert_int_equal(pusherc_server_metrics(server, take, page), 0);
    expect_line(page, "soketi_connected{app_id=\"app-id\",port=\"0\"} 0");
    assert_null(strstr(page->text, "pusherc_"));
    pusherc_server_free(server);
}

static void a_prefix_that_is_no_name_is_refused(void **state)
{
    static const char *const bad[] = {
        "9a", "a-b", "a b", "\xc3\xa4",
        "a2345678901234567890123456789012345678901234567890123456789012345"};
    static const char *const good[] = {"", "_", "a:b_9", "SOKETI_"};
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_errinfo info;
    pusherc_server *server;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        options.metrics_prefix = bad[i];
        assert_int_equal(pusherc_server_new(&server, &options, &info), PUSHERC_EINVAL);
        assert_non_null(strstr(info.text, "metrics_prefix"));
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        options.metrics_prefix = good[i];
        assert_int_equal(pusherc_server_new(&server, &options, &info), 0);
        pusherc_server_free(server);
    }
    options.accept_traffic_percent = 101;
    assert_int_equal(pusherc_server_new(&server, &options, &info), PUSHERC_EINVAL);
}

static void json_is_an_array_of_families(void **state)
{
    struct page *page = *state;
    pusherc_server *server = server_with("a\"b\x01", NULL);
    struct pc_app *app = pc_apps_only(&server->engine.apps);
    app->state->refusals.limits[PC_APP_max_connections] = 4;
    app->state->refusals.limits[PC_APP_max_event_name_bytes] = 5;
    assert_int_equal(pc_server_write_metrics(server, true, take, page), 0);
    struct pc_json all = pc_json_parse(pc_slice(page->text, page->len));
    assert_int_equal(all.type, PC_JSON_ARRAY);
    struct pc_json_iter iter = pc_json_iter_of(all);
    size_t count = 0;
    for (; pc_json_next(&iter); count++) {
        assert_int_equal(pc_json_get(iter.value, PC_S("help")).type, PC_JSON_STRING);
        assert_int_equal(pc_json_get(iter.value, PC_S("name")).type, PC_JSON_STRING);
        assert_int_equal(pc_json_get(iter.value, PC_S("type")).type, PC_JSON_STRING);
        assert_int_equal(pc_json_get(iter.value, PC_S("values")).type, PC_JSON_ARRAY);
        assert_true(pc_slice_eq(pc_json_get(iter.value, PC_S("aggregator")).raw, PC_S("\"sum\"")));
    }
    assert_true(count > 30);
    assert_non_null(strstr(page->text,
                           "{\"value\":4,\"labels\":{\"app_id\":\"a\\\"b\\u0001\",\"port\":"
                           "\"0\",\"limit\":\"max_connections\"}},{\"value\":5,"));
    assert_non_null(strstr(page->text,
                           "{\"value\":0,\"labels\":{\"le\":0.0001,\"port\":\"0\",\"worker\":"
                           "\"0\"},\"metricName\":\"pusherc_loop_lag_seconds_bucket\"}"));
    assert_non_null(strstr(page->text, "\"le\":\"+Inf\""));
    pc_app_unref(app);
    pusherc_server_free(server);
}

static void the_receiver_of_the_text_may_stop_it(void **state)
{
    struct page *page = *state;
    pusherc_server *server = server_with("app-id", NULL);
    page->stop_at = 2;
    assert_int_equal(pusherc_server_metrics(server, take, page), 77);
    assert_int_equal(page->chunks, 2);
    assert_int_equal(pusherc_server_metrics(server, NULL, NULL), PUSHERC_EINVAL);
    assert_int_equal(pusherc_server_metrics(NULL, take, page), PUSHERC_EINVAL);
    pusherc_server_free(server);
}

static void without_memory_nothing_is_written(void **state)
{
    struct page *page = *state;
    struct failing_alloc alloc;
    pusherc_allocator allocator = failing_alloc_init(&alloc, 0);
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = fx_app();
    pusherc_server *server;
    options.allocator = &allocator;
    assert_int_equal(pusherc_server_new(&server, &options, NULL), 0);
    assert_int_equal(pusherc_server_metrics(server, take, page),
                     0); /* no app, nothing to allocate */
    assert_int_equal(pusherc_server_put_app(server, &app, NULL), 0);
    size_t live = alloc.live;
    forget(page);
    alloc.fail_at = alloc.requests + 1;
    assert_int_equal(pusherc_server_metrics(server, take, page), PUSHERC_ENOMEM);
    assert_int_equal(page->chunks, 0);
    assert_int_equal(pusherc_server_metrics(server, take, page), 0);
    assert_int_equal(alloc.live, live);
    pusherc_server_free(server);
    assert_int_equal(failing_alloc_live(&alloc), 0);
}

/* -- pages -- */

struct reply {
    struct pc_api_reply api;
    char body[200000];
};

static void get(pusherc_server *server, struct reply *reply, const char *method, const char *path,
                const char *query)
{
    struct pc_http_message message = {
        .method = pc_slice_of(method), .path = pc_slice_of(path), .query = pc_slice_of(query)};
    struct pc_api_request request = {
        .engine = &server->engine, .worker = &server->engine.workers[0], .message = &message};
    pc_api_reply_init(&reply->api, &server->engine.mem);
    pc_api_operations(&request, &reply->api);
    assert_true(reply->api.body.len < sizeof reply->body);
    memcpy(reply->body, reply->api.body.ptr, reply->api.body.len);
    reply->body[reply->api.body.len] = '\0';
    pc_api_reply_free(&reply->api);
}

static void pages_for_operators_are_not_for_every_name(void **state)
{
    static const struct {
        const char *host, *names;
        int status;
    } cases[] = {
        {"127.0.0.1:9601", "", 200},
        {"[::1]:9601", "", 200},
        {"localhost:9601", "", 200},
        {"pusherc", "", 200},
        {"pusherc.default.svc.cluster.local:9601", "", 200},
        {"host.docker.internal", "", 200},
        {"", "", 200},
        {"evil.example", "", 403},
        {"evil.example.:9601", "", 403},
        {"127.0.0.1.evil.example", "", 403},
        {"local", "", 200},
        {"xlocal.example", "", 403},
        {"Metrics.Example.org:9601", "a.example, metrics.example.org", 200},
        {"b.example", "a.example, metrics.example.org", 403},
    };
    static struct reply reply;
    pusherc_server *server = server_with("app-id", NULL);
    const char *none = server->engine.options.metrics_names;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pc_pair host = {PC_S("Host"), pc_slice_of(cases[i].host)};
        struct pc_http_message message = {.method = PC_S("GET"),
                                          .path = PC_S("/metrics"),
                                          .query = PC_S(""),
                                          .fields = &host,
                                          .field_count = 1};
        struct pc_api_request request = {
            .engine = &server->engine, .worker = &server->engine.workers[0], .message = &message};
        server->engine.options.metrics_names = cases[i].names;
        pc_api_reply_init(&reply.api, &server->engine.mem);
        pc_api_operations(&request, &reply.api);
        if (reply.api.status != cases[i].status)
            fail_msg("%s: %d", cases[i].host, reply.api.status);
        assert_int_equal(reply.api.field_count, 0);
        pc_api_reply_free(&reply.api);
    }
    server->engine.options.metrics_names = none;
    pusherc_server_free(server);
}

static void a_listener_for_operators_has_their_pages_and_no_others(void **state)
{
    static struct reply reply;
    static const char *const none[] = {"/apps/app-id/events", "/app/app-key", "/metrics/", "", "/x",
                                       "/accept-traffic"};
    pusherc_server *server = server_with("app-id", NULL);
    (void)state;
    get(server, &reply, "GET", "/metrics", "");
    assert_int_equal(reply.api.status, 200);
    assert_string_equal(reply.api.content_type, "text/plain; version=0.0.4; charset=utf-8");
    assert_int_equal(strncmp(reply.body, "# HELP pusherc_", 15), 0);
    assert_int_equal(reply.api.field_count, 0); /* no other site's script may read it */
    get(server, &reply, "GET", "/metrics", "a=b&json=1");
    assert_string_equal(reply.api.content_type, "application/json");
    assert_int_equal(reply.body[0], '[');
    get(server, &reply, "GET", "/metrics", "json=");
    assert_int_equal(reply.body[0], '#');
    get(server, &reply, "GET", "/usage", "");
    assert_int_equal(strncmp(reply.body, "{\"memory\":{\"free\":", 18), 0);
    get(server, &reply, "GET", "/", "");
    assert_string_equal(reply.body, "OK");
    get(server, &reply, "GET", "/ready", "");
    assert_string_equal(reply.body, "OK");
    server->engine.draining = true;
    get(server, &reply, "GET", "/ready", "");
    assert_int_equal(reply.api.status, 503);
    get(server, &reply, "HEAD", "/live", "");
    assert_string_equal(reply.body, "{\"health\":\"OK\"}");
    get(server, &reply, "POST", "/metrics", "");
    assert_int_equal(reply.api.status, 405);
    assert_int_equal(reply.api.field_count, 1);
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        get(server, &reply, "GET", none[i], "");
        assert_int_equal(reply.api.status, 404);
    }
    pusherc_server_free(server);
}

static void traffic_is_refused_above_the_threshold(void **state)
{
    struct pc_http_message message = {.method = PC_S("GET"), .path = PC_S("/accept-traffic")};
    pusherc_server *server = server_with("app-id", NULL);
    struct pc_api_request request = {
        .engine = &server->engine, .worker = &server->engine.workers[0], .message = &message};
    struct pc_api_reply reply;
    (void)state;
    for (uint32_t percent = 0; percent <= 100; percent += 100) {
        server->engine.options.accept_traffic_percent =
            percent; /* 0: whatever is used is too much */
        pc_api_reply_init(&reply, &server->engine.mem);
        assert_int_equal(pc_api_handle(&request, &reply, NULL), PC_API_REPLY);
        assert_int_equal(reply.status, percent ? 200 : 500);
        assert_true(pc_slice_starts(pc_buf_slice(&reply.body), PC_S("{\"memory\":{\"usedSize\":")));
        pc_api_reply_free(&reply);
    }
    pusherc_server_free(server);
}

/* The bytes that `/accept-traffic` says are used. */
static uint64_t used_bytes(pusherc_server *server)
{
    struct pc_http_message message = {.method = PC_S("GET"), .path = PC_S("/accept-traffic")};
    struct pc_api_request request = {
        .engine = &server->engine, .worker = &server->engine.workers[0], .message = &message};
    struct pc_api_reply reply;
    pc_api_reply_init(&reply, &server->engine.mem);
    assert_int_equal(pc_api_handle(&request, &reply, NULL), PC_API_REPLY);
    struct pc_json memory = pc_json_get(pc_json_parse(pc_buf_slice(&reply.body)), PC_S("memory"));
    uint64_t used = 0;
    assert_true(pc_slice_to_u64(pc_json_get(memory, PC_S("usedSize")).raw, &used));
    pc_api_reply_free(&reply);
    return used;
}

static void figures_of_the_process_are_read_once_a_second(void **state)
{
    static const size_t size = 64 << 20;
    pusherc_server *server = server_with("app-id", NULL);
    struct pc_worker *worker = &server->engine.workers[0];
    (void)state;
    worker->now_ms = 1000;
    uint64_t used = used_bytes(server);
    char *more = malloc(size);
    assert_non_null(more);
    memset(more, 1, size);
    worker->now_ms += PC_RECENT_MS - 1;
    assert_int_equal(used_bytes(server), used);
    worker->now_ms++;
    assert_true(used_bytes(server) > used + size / 2);
    free(more);
    pusherc_server_free(server);
}

static void the_metrics_page_is_written_once_a_second(void **state)
{
    static struct reply before, reply;
    static const char *const queries[] = {"", "json=1"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        pusherc_server *server = server_with("app-id", NULL);
        struct pc_worker *worker = &server->engine.workers[0];
        worker->now_ms = 1000;
        get(server, &before, "GET", "/metrics", queries[i]);
        server->engine.mailbox_refused = 1234567;
        worker->now_ms += PC_RECENT_MS - 1;
        get(server, &reply, "GET", "/metrics", queries[i]);
        assert_string_equal(reply.api.content_type, before.api.content_type);
        assert_string_equal(reply.body, before.body);
        worker->now_ms++;
        get(server, &reply, "GET", "/metrics", queries[i]);
        assert_non_null(strstr(reply.body, "1234567"));
        pusherc_server_free(server);
    }
}

/* -- the process -- */

static char root[64];

static void write_file(const char *path, const char *text)
{
    char whole[256];
    snprintf(whole, sizeof whole, "%s%s", root, path);
    for (char *at = strchr(whole + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = '\0';
        (void)mkdir(whole, 0700);
        *at = '/';
    }
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/pusherc-metrics-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", root);
    return system(command);
}

static void the_process_is_read_from_proc(void **state)
{
    struct pc_process p;
    char fds[128];
    (void)state;
    write_file("/proc/self/stat",
               "7 (a ) 9 b) S 1 7 7 0 -1 4194560 1 0 0 0 11 12 0 0 20 0 3 0 5000 8192000 "
               "250 18446744073709551615 1 1\n");
    write_file("/proc/stat", "cpu 1 2 3\nintr 1 2\nbtime 1700000000\nprocesses 1\n");
    write_file("/proc/self/status", "Name:\tx\nVmData:\t    123 kB\n");
    write_file("/proc/meminfo", "MemTotal:        2048 kB\nMemFree: 1 kB\n");
    for (int i = 0; i < 4; i++) {
        snprintf(fds, sizeof fds, "/proc/self/fd/%d", i);
        write_file(fds, "");
    }
    pc_process_read(&p, root);
    assert_int_equal(p.start_time_s, 1700000000 + 5000 / sysconf(_SC_CLK_TCK));
    assert_int_equal(p.virtual_bytes, 8192000);
    assert_int_equal(p.resident_bytes, 250 * sysconf(_SC_PAGESIZE));
    assert_int_equal(p.heap_bytes, 123 * 1024);
    assert_int_equal(p.open_fds, 3);
    assert_int_equal(p.memory_bytes, 2048 * 1024);
    assert_true(p.max_fds > 0);
}

static void a_control_groups_limit_counts_if_it_is_lower(void **state)
{
    struct pc_process p;
    (void)state;
    write_file("/proc/meminfo", "MemTotal: 2048 kB\n");
    write_file("/proc/self/cgroup", "0::/outer/inner\n");
    write_file("/sys/fs/cgroup/outer/inner/memory.max", "max\n");
    pc_process_read(&p, root);
    assert_int_equal(p.memory_bytes, 2048 * 1024);
    write_file("/sys/fs/cgroup/outer/memory.max", "1000000\n");
    pc_process_read(&p, root);
    assert_int_equal(p.memory_bytes, 1000000);
    write_file("/sys/fs/cgroup/outer/inner/memory.max", "500000\n");
    pc_process_read(&p, root);
    assert_int_equal(p.memory_bytes, 500000);
    write_file("/sys/fs/cgroup/outer/inner/memory.max", "99999999999\n");
    write_file("/sys/fs/cgroup/outer/memory.max", "99999999999\n");
    pc_process_read(&p, root);
    assert_int_equal(p.memory_bytes, 2048 * 1024);
    /* a container: its own group is mounted at the top, whatever path it is told */
    write_file("/sys/fs/cgroup/memory.max", "700000\n");
    write_file("/proc/self/cgroup", "0::/../elsewhere\n");
    pc_process_read(&p, root);
    assert_int_equal(p.memory_bytes, 700000);
    write_file("/proc/self/cgroup", "12:cpu,cpuacct:/x\n5:memory:/y\n");
    write_file("/sys/fs/cgroup/memory/y/memory.limit_in_bytes", "600000\n");
    pc_process_read(&p, root);
    assert_int_equal(p.memory_bytes, 600000);
}

static void a_system_without_proc_says_nothing(void **state)
{
    struct pc_process p;
    (void)state;
    pc_process_read(&p, root);
    assert_int_equal(p.resident_bytes + p.memory_bytes + p.open_fds + p.start_time_s, 0);
}

static int set_up_page(void **state)
{
    static struct page page;
    forget(&page);
    *state = &page;
    return pc_crypto_init();
}

#define COUNT(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define WRITE(name) cmocka_unit_test_setup(name, set_up_page)
#define READ(name)  cmocka_unit_test_setup_teardown(name, make_root, remove_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_histogram_sorts_into_buckets),
        COUNT(connections_and_subscriptions_are_counted),
        COUNT(messages_and_bytes_are_counted_per_subscriber),
        COUNT(an_event_is_timed_once_per_worker_after_it_was_written),
        COUNT(more_events_than_a_turn_remembers_are_all_timed),
        COUNT(an_app_may_go_before_its_events_are_timed),
        COUNT(client_events_and_their_refusals_are_counted),
        COUNT(denials_are_counted_by_reason_and_limit),
        WRITE(text_has_families_with_escaped_labels),
        WRITE(every_value_of_a_label_is_documented),
        WRITE(the_prefix_is_the_hosts),
        WRITE(a_prefix_that_is_no_name_is_refused),
        WRITE(json_is_an_array_of_families),
        WRITE(the_receiver_of_the_text_may_stop_it),
        WRITE(without_memory_nothing_is_written),
        WRITE(pages_for_operators_are_not_for_every_name),
        WRITE(a_listener_for_operators_has_their_pages_and_no_others),
        WRITE(traffic_is_refused_above_the_threshold),
        {"A1: figures of the process are read once a second",
         figures_of_the_process_are_read_once_a_second, NULL, NULL, NULL},
        {"A1: the metrics page is written once a second", the_metrics_page_is_written_once_a_second,
         NULL, NULL, NULL},
        READ(the_process_is_read_from_proc),
        READ(a_control_groups_limit_counts_if_it_is_lower),
        READ(a_system_without_proc_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
