/* Broadcasters: each carrier, now and queued, callbacks, threads, stopping, forking, memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <pusherc/pusherc.h>

#include "unit/failing_alloc.h"

#define PATIENCE_MS 60000
#define TEXT_BYTES  4096

/* What the host's driver, the log and the callbacks have seen. */
struct seen {
    pthread_mutex_t mutex;
    char text[TEXT_BYTES];
    size_t len;
    _Atomic int count;  /* lines */
    _Atomic int answer; /* how the driver answers: a code; 1 = not at all */
    pusherc_broadcast_request *_Atomic kept;
    _Atomic int closed;
};

static void seen_init(struct seen *seen)
{
    memset(seen, 0, sizeof *seen);
    pthread_mutex_init(&seen->mutex, NULL);
}

static void note(struct seen *seen, const char *what, pusherc_slice text)
{
    pthread_mutex_lock(&seen->mutex);
    if (seen->len + strlen(what) + text.len + 2 < TEXT_BYTES)
        seen->len += (size_t)snprintf(seen->text + seen->len, TEXT_BYTES - seen->len, "%s%.*s ",
                                      what, (int)text.len, text.len ? text.ptr : "");
    pthread_mutex_unlock(&seen->mutex);
    seen->count++;
}

static void wait_for(const struct seen *seen, int count)
{
    for (int ms = 0; seen->count < count && ms < PATIENCE_MS; ms++)
        usleep(1000);
    assert_true(seen->count >= count);
}

static void expect_text(struct seen *seen, const char *text)
{
    pthread_mutex_lock(&seen->mutex);
    assert_string_equal(seen->text, text);
    pthread_mutex_unlock(&seen->mutex);
}

/* -- the host's functions -- */

static void send_events(pusherc_broadcast_request *request, void *user_data)
{
    struct seen *seen = user_data;
    size_t count;
    const pusherc_event *events = pusherc_broadcast_request_events(request, &count);
    int code = seen->answer;
    for (size_t i = 0; i < count; i++)
        note(seen, "", PUSHERC_AT(events, i)->data);
    if (code == 1)
        seen->kept = request;
    else
        pusherc_broadcast_answer(request, code, 0, NULL);
}

static void close_driver(void *user_data)
{
    ((struct seen *)user_data)->closed++;
}

static void on_failed(const pusherc_event *event, const pusherc_broadcast_result *result,
                      void *user_data)
{
    char text[64];
    snprintf(text, sizeof text, "failed:%s:", pusherc_err_name(result->code));
    note(user_data, text, event->data);
}

static void on_done(const pusherc_broadcast_result *result, void *user_data)
{
    note(user_data, "done:", pusherc_slice_of(pusherc_err_name(result->code)));
}

static void on_log(const pusherc_log_entry *entry, void *user_data)
{
    if (strcmp(entry->subject, "broadcast") == 0)
        note(user_data, "", entry->message);
}

static void on_stopped(void *user_data)
{
    ++*(_Atomic int *)user_data;
}

static pusherc_broadcaster_options options_of(const char *url, struct seen *seen)
{
    pusherc_broadcaster_options o = PUSHERC_BROADCASTER_OPTIONS_INIT;
    o.url = url;
    o.on_failed = on_failed;
    o.user_data = seen;
    return o;
}

static pusherc_broadcast_driver driver_of(struct seen *seen)
{
    pusherc_broadcast_driver driver = PUSHERC_BROADCAST_DRIVER_INIT;
    driver.send = send_events;
    driver.close = close_driver;
    driver.user_data = seen;
    return driver;
}

static pusherc_broadcaster *make(const pusherc_broadcaster_options *o)
{
    pusherc_broadcaster *b;
    pusherc_errinfo info = {0};
    int err = pusherc_broadcaster_new(&b, o, &info);
    if (err)
        print_error("%s\n", info.text);
    assert_int_equal(err, 0);
    return b;
}

static pusherc_event event_of(const pusherc_slice *channel, const char *data)
{
    pusherc_event event = PUSHERC_EVENT_INIT;
    event.name = pusherc_slice_of("event");
    event.channels = channel;
    event.channel_count = 1;
    event.data = pusherc_slice_of(data);
    return event;
}

static int broadcast(pusherc_broadcaster *b, const char *channel, const char *data)
{
    const pusherc_slice name = pusherc_slice_of(channel);
    const pusherc_event event = event_of(&name, data);
    return pusherc_broadcast(b, &event, 1);
}

static int broadcast_now(pusherc_broadcaster *b, const char *channel, const char *data,
                         uint32_t timeout_ms, struct seen *seen)
{
    const pusherc_slice name = pusherc_slice_of(channel);
    const pusherc_event event = event_of(&name, data);
    return pusherc_broadcast_now(b, &event, 1, timeout_ms, on_done, seen);
}

static int broadcast_wait(pusherc_broadcaster *b, const char *channel, const char *data,
                          uint32_t timeout_ms, pusherc_errinfo *info)
{
    const pusherc_slice name = pusherc_slice_of(channel);
    const pusherc_event event = event_of(&name, data);
    return pusherc_broadcast_wait(b, &event, 1, timeout_ms, info);
}

/* -- tests -- */

static void null_takes_everything_that_is_valid(void **state)
{
    struct seen seen;
    pusherc_broadcast_stats stats = PUSHERC_BROADCAST_STATS_INIT;
    (void)state;
    seen_init(&seen);
    pusherc_broadcaster_options o = options_of("null:", &seen);
    pusherc_broadcaster *b = make(&o);
    assert_int_equal(broadcast(b, "a", "1"), 0);
    assert_int_equal(broadcast(b, "a b", "1"), PUSHERC_EINVAL);
    assert_int_equal(broadcast_now(b, "a", "1", 0, &seen), 0);
    assert_int_equal(broadcast_wait(b, "a", "1", 0, NULL), 0);
    expect_text(&seen, "done:OK ");
    assert_int_equal(pusherc_broadcaster_stats(b, &stats), 0);
    assert_int_equal(stats.accepted, 3);
    pusherc_broadcaster_free(b);
}

static void log_writes_a_line_for_each_event_and_channel(void **state)
{
    struct seen seen;
    static char data[401];
    (void)state;
    seen_init(&seen);
    memset(data, 'x', sizeof data - 1);
    pusherc_broadcaster_options o = options_of("log:", &seen);
    pusherc_broadcaster *b;
    assert_int_equal(pusherc_broadcaster_new(&b, &o, NULL), PUSHERC_EINVAL);
    assert_null(b);
    o.log_fn = on_log;
    o.log_user_data = &seen;
    b = make(&o);
    for (int i = 0; i < 100; i++) /* more than other lines may be in a second */
        assert_int_equal(broadcast(b, "a", "1\n2"), 0);
    assert_int_equal(seen.count, 100);
    assert_memory_equal(seen.text, "event on a: 1?2 ", 16);
    assert_int_equal(broadcast(b, "a", data), 0);
    assert_int_equal(seen.count, 101);
    pusherc_broadcaster_free(b);
}

static pusherc_server *start_server(uint16_t *port)
{
    pusherc_server *server;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    pusherc_listen_options address = PUSHERC_LISTEN_OPTIONS_INIT;
    app.id = "app-id", app.key = "app-key", app.secret = "app-secret";
    assert_int_equal(pusherc_server_new(&server, NULL, NULL), 0);
    assert_int_equal(pusherc_server_put_app(server, &app, NULL), 0);
    assert_int_equal(pusherc_server_listen(server, &address, NULL), 0);
    assert_int_equal(pusherc_server_start(server, NULL), 0);
    *port = pusherc_server_port(server, 0);
    return server;
}

static uint64_t published(pusherc_server *server)
{
    pusherc_stats stats = {.struct_size = sizeof stats};
    assert_int_equal(pusherc_server_stats(server, &stats), 0);
    return stats.publishes_total;
}

static void local_publishes_on_a_server_of_the_process(void **state)
{
    struct seen seen;
    uint16_t port;
    (void)state;
    seen_init(&seen);
    pusherc_server *server = start_server(&port);
    pusherc_broadcaster_options o = options_of("local:app-id", &seen);
    pusherc_broadcaster *b;
    assert_int_equal(pusherc_broadcaster_new(&b, &o, NULL), PUSHERC_EINVAL);
    o.server = server;
    b = make(&o);
    assert_int_equal(broadcast(b, "a", "1"), 0);
    assert_int_equal(broadcast_wait(b, "a", "1", 1000, NULL), 0);
    assert_int_equal(published(server), 2);
    pusherc_broadcaster_free(b);
    o.url = "local:another";
    b = make(&o);
    assert_int_equal(broadcast(b, "a", "1"), PUSHERC_ENOENT);
    pusherc_broadcaster_free(b);
    pusherc_server_free(server);
}

/* A server that is not started yet takes nothing; what was queued meanwhile arrives. */
static void local_waits_for_the_start_of_its_server(void **state)
{
    struct seen seen;
    pusherc_server *server;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    (void)state;
    seen_init(&seen);
    app.id = "app-id", app.key = "app-key", app.secret = "app-secret";
    assert_int_equal(pusherc_server_new(&server, NULL, NULL), 0);
    assert_int_equal(pusherc_server_put_app(server, &app, NULL), 0);
    pusherc_broadcaster_options o = options_of("local:app-id", &seen);
    o.server = server;
    pusherc_broadcaster *b = make(&o);
    assert_int_equal(broadcast(b, "a", "1"), 0);
    assert_int_equal(broadcast_now(b, "a", "2", 0, &seen), 0);
    assert_int_equal(seen.count, 0);
    assert_int_equal(pusherc_server_start(server, NULL), 0);
    wait_for(&seen, 1);
    expect_text(&seen, "done:OK ");
    assert_int_equal(published(server), 2);
    pusherc_broadcaster_free(b);
    pusherc_server_free(server);
}

static void http_publishes_on_a_server_elsewhere(void **state)
{
    struct seen seen;
    uint16_t port;
    char url[128];
    pusherc_errinfo info = {0};
    (void)state;
    seen_init(&seen);
    pusherc_server *server = start_server(&port);
    snprintf(url, sizeof url, "pusher://app-key:app-secret@127.0.0.1:%u/app-id?scheme=http", port);
    pusherc_broadcaster_options o = options_of(url, &seen);
    pusherc_broadcaster *b = make(&o);
    assert_int_equal(broadcast_wait(b, "a", "1", PATIENCE_MS, &info), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(broadcast(b, i % 3 ? "a" : "b", "1"), 0);
    pusherc_broadcaster_free(b); /* sends what waits */
    assert_int_equal(published(server), 101);
    assert_int_equal(seen.count, 0);
    /* what is refused is told with its reason */
    snprintf(url, sizeof url, "pusher://app-key:wrong@127.0.0.1:%u/app-id?scheme=http", port);
    b = make(&o);
    assert_int_equal(broadcast_wait(b, "a", "1", PATIENCE_MS, &info), PUSHERC_EAUTH);
    assert_non_null(strstr(info.text, "answered 401"));
    assert_int_equal(broadcast(b, "a", "2"), 0);
    wait_for(&seen, 1);
    expect_text(&seen, "failed:EAUTH:2 ");
    pusherc_broadcaster_free(b);
    pusherc_server_free(server);
}

/* A port where nothing listens, then the server: the second host takes over at once. */
static void http_asks_the_next_host_if_one_does_not_answer(void **state)
{
    struct seen seen;
    uint16_t port;
    char url[128];
    (void)state;
    seen_init(&seen);
    pusherc_server *server = start_server(&port);
    snprintf(url, sizeof url,
             "pusher://app-key:app-secret@127.0.0.1:1,127.0.0.1:%u/app-id?scheme=http", port);
    pusherc_broadcaster_options o = options_of(url, &seen);
    pusherc_broadcaster *b = make(&o);
    pusherc_broadcast_stats stats = PUSHERC_BROADCAST_STATS_INIT;
    assert_int_equal(broadcast_wait(b, "a", "1", PATIENCE_MS, NULL), 0);
    assert_int_equal(broadcast_wait(b, "a", "2", PATIENCE_MS, NULL), 0);
    assert_int_equal(pusherc_broadcaster_stats(b, &stats), 0);
    assert_int_equal(stats.failures, 0);
    pusherc_broadcaster_free(b);
    assert_int_equal(published(server), 2);
    pusherc_server_free(server);
}

static void a_deadline_ends_the_wait_for_a_carrier_that_is_away(void **state)
{
    struct seen seen;
    pusherc_errinfo info = {0};
    (void)state;
    seen_init(&seen);
    pusherc_broadcaster_options o = options_of("pusher://k:s@127.0.0.1:1/a?scheme=http", &seen);
    o.retry_ms = 300;
    pusherc_broadcaster *b = make(&o);
    assert_int_equal(broadcast_wait(b, "a", "1", 300, &info), PUSHERC_ETIMEDOUT);
    assert_true(strlen(info.text) > strlen(pusherc_strerror(PUSHERC_ETIMEDOUT)));
    assert_int_equal(broadcast(b, "a", "2"), 0);
    wait_for(&seen, 1);
    expect_text(&seen, "failed:ETIMEDOUT:2 ");
    assert_int_equal(broadcast(b, "a", "3"), 0);
    pusherc_broadcaster_stop(b, 0, NULL, NULL);
    pusherc_broadcaster_free(b);
    expect_text(&seen, "failed:ETIMEDOUT:2 failed:ECANCELED:3 ");
}

static void the_hosts_functions_carry_events_in_order(void **state)
{
    struct seen seen;
    (void)state;
    seen_init(&seen);
    pusherc_broadcast_driver driver = driver_of(&seen);
    pusherc_broadcaster_options o = options_of("host:", &seen);
    pusherc_broadcaster *b;
    assert_int_equal(pusherc_broadcaster_new(&b, &o, NULL), PUSHERC_EINVAL);
    o.driver = &driver;
    b = make(&o);
    for (int i = 0; i < 9; i++) {
        char data[2] = {(char)('1' + i), '\0'};
        assert_int_equal(broadcast(b, "a", data), 0);
    }
    wait_for(&seen, 9);
    expect_text(&seen, "1 2 3 4 5 6 7 8 9 ");
    seen.answer = PUSHERC_EINVAL;
    assert_int_equal(broadcast_wait(b, "a", "x", PATIENCE_MS, NULL), PUSHERC_EINVAL);
    pusherc_broadcaster_free(b);
    assert_int_equal(seen.closed, 1);
}

/* EBACKLOG and EIO are tried again. */
static void what_the_host_could_not_send_is_sent_again(void **state)
{
    static const int codes[] = {PUSHERC_EBACKLOG, PUSHERC_EIO};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct seen seen;
        seen_init(&seen);
        pusherc_broadcast_driver driver = driver_of(&seen);
        pusherc_broadcaster_options o = options_of("host:", &seen);
        o.driver = &driver;
        seen.answer = codes[i];
        pusherc_broadcaster *b = make(&o);
        assert_int_equal(broadcast(b, "a", "1"), 0);
        wait_for(&seen, 1);
        seen.answer = 0;
        wait_for(&seen, 2);
        expect_text(&seen, "1 1 ");
        pusherc_broadcaster_free(b);
        expect_text(&seen, "1 1 ");
    }
}

static void *answer_kept(void *arg)
{
    struct seen *seen = arg;
    for (int ms = 0; !seen->kept && ms < PATIENCE_MS; ms++)
        usleep(1000);
    pusherc_broadcast_answer(atomic_exchange(&seen->kept, NULL), 0, 0, NULL);
    return NULL;
}

static void the_host_may_answer_from_another_thread_and_after_the_end(void **state)
{
    struct seen seen;
    pthread_t thread;
    size_t count;
    (void)state;
    seen_init(&seen);
    pusherc_broadcast_driver driver = driver_of(&seen);
    pusherc_broadcaster_options o = options_of("host:", &seen);
    o.driver = &driver;
    seen.answer = 1;
    pusherc_broadcaster *b = make(&o);
    assert_int_equal(pthread_create(&thread, NULL, answer_kept, &seen), 0);
    assert_int_equal(broadcast_wait(b, "a", "1", PATIENCE_MS, NULL), 0);
    pthread_join(thread, NULL);
    assert_int_equal(broadcast(b, "a", "2"), 0);
    wait_for(&seen, 2);
    pusherc_broadcaster_stop(b, 0, NULL, NULL);
    pusherc_broadcaster_free(b);
    expect_text(&seen, "1 2 failed:ECANCELED:2 ");
    pusherc_broadcast_request *kept = seen.kept;
    assert_int_equal(PUSHERC_AT(pusherc_broadcast_request_events(kept, &count), 0)->data.ptr[0],
                     '2');
    assert_int_equal(count, 1);
    assert_int_equal(pusherc_broadcast_request_key(kept, 0).len, 18);
    pusherc_broadcast_answer(kept, 0, 0, NULL);
}

static void failover_takes_the_next_and_comes_back(void **state)
{
    struct seen seen, log;
    pusherc_broadcast_stats stats = PUSHERC_BROADCAST_STATS_INIT;
    uint16_t port;
    char url[256];
    (void)state;
    seen_init(&seen);
    seen_init(&log);
    pusherc_server *server = start_server(&port);
    snprintf(url, sizeof url,
             "failover:host:,pusher://app-key:app-secret@127.0.0.1:%u/app-id?scheme=http", port);
    pusherc_broadcast_driver driver = driver_of(&seen);
    pusherc_broadcaster_options o = options_of(url, &seen);
    o.driver = &driver;
    o.log_fn = on_log;
    o.log_user_data = &log;
    pusherc_broadcaster *b = make(&o);
    assert_int_equal(broadcast_wait(b, "a", "1", PATIENCE_MS, NULL), 0);
    expect_text(&seen, "1 ");
    seen.answer = PUSHERC_EBACKLOG;
    assert_int_equal(broadcast_wait(b, "a", "2", PATIENCE_MS, NULL), 0);
    assert_int_equal(broadcast_wait(b, "a", "3", PATIENCE_MS, NULL), 0);
    expect_text(&seen, "1 2 "); /* it is not asked again so soon */
    assert_int_equal(published(server), 2);
    assert_int_equal(pusherc_broadcaster_stats(b, &stats), 0);
    assert_int_equal(stats.failures, 0); /* the next is asked at once, without a pause */
    assert_non_null(strstr(log.text, "carrier 1 of failover: takes nothing"));
    pusherc_broadcaster_free(b);
    pusherc_server_free(server);
}

static void settings_that_break_a_rule_are_refused_in_words(void **state)
{
    static const struct {
        const char *url;
        int code;
    } rows[] = {{NULL, PUSHERC_EINVAL},
                {"", PUSHERC_EINVAL},
                {"pusher://k:s@h", PUSHERC_EINVAL},
                {"host:", PUSHERC_EINVAL},
                {"failover:", PUSHERC_EINVAL},
                {"failover:null:,failover:null:", PUSHERC_EINVAL},
                {"failover:null:,null:,null:,null:,null:,null:,null:,null:,null:", PUSHERC_EINVAL},
                {"failover:null:,nothing", PUSHERC_EINVAL}};
    struct seen seen;
    (void)state;
    seen_init(&seen);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pusherc_errinfo info = {0};
        pusherc_broadcaster *b;
        pusherc_broadcaster_options o = options_of(rows[i].url, &seen);
        assert_int_equal(pusherc_broadcaster_new(&b, &o, &info), rows[i].code);
        assert_null(b);
        assert_true(info.text[0] != '\0');
    }
    pusherc_broadcaster_options o = options_of("null:", &seen);
    pusherc_broadcaster *b;
    o.batch_events = 11;
    assert_int_equal(pusherc_broadcaster_new(&b, &o, NULL), PUSHERC_EINVAL);
    o = options_of("null:", &seen);
    o.max_under_way = 257;
    assert_int_equal(pusherc_broadcaster_new(&b, &o, NULL), PUSHERC_EINVAL);
    pusherc_broadcaster_free(NULL);
}

static void a_full_queue_refuses_to_the_caller(void **state)
{
    struct seen seen;
    pusherc_broadcast_stats stats = PUSHERC_BROADCAST_STATS_INIT;
    (void)state;
    seen_init(&seen);
    pusherc_broadcast_driver driver = driver_of(&seen);
    pusherc_broadcaster_options o = options_of("host:", &seen);
    o.driver = &driver;
    o.max_queued = 2;
    seen.answer = 1;
    pusherc_broadcaster *b = make(&o);
    assert_int_equal(broadcast(b, "a", "1"), 0);
    assert_int_equal(broadcast(b, "a", "2"), 0);
    assert_int_equal(broadcast(b, "a", "3"), PUSHERC_EBACKLOG);
    assert_int_equal(pusherc_broadcaster_stats(b, &stats), 0);
    assert_int_equal(stats.queued, 2);
    assert_int_equal(stats.rejected, 1);
    wait_for(&seen, 1);
    seen.answer = 0;
    pusherc_broadcast_answer(seen.kept, 0, 0, NULL);
    pusherc_broadcaster_free(b);
    expect_text(&seen, "1 2 ");
}

static void a_newer_event_replaces_the_one_that_waits(void **state)
{
    struct seen seen;
    pusherc_broadcast_stats stats = PUSHERC_BROADCAST_STATS_INIT;
    (void)state;
    seen_init(&seen);
    pusherc_broadcast_driver driver = driver_of(&seen);
    pusherc_broadcaster_options o = options_of("host:", &seen);
    o.driver = &driver;
    o.conflate = "s.{id} key=k";
    seen.answer = 1;
    pusherc_broadcaster *b = make(&o);
    assert_int_equal(broadcast(b, "s.1", "{\"k\":1}"), 0);
    wait_for(&seen, 1); /* it is under way */
    assert_int_equal(broadcast(b, "s.1", "{\"k\":1,\"v\":2}"), 0);
    assert_int_equal(broadcast_now(b, "s.1", "{\"k\":2}", 0, &seen), 0);
    assert_int_equal(broadcast(b, "s.1", "{\"k\":1,\"v\":3}"), 0);
    assert_int_equal(broadcast(b, "t", "t"), 0);
    assert_int_equal(broadcast(b, "t", "t"), 0);
    assert_int_equal(pusherc_broadcaster_stats(b, &stats), 0);
    assert_int_equal(stats.in, 6);
    assert_int_equal(stats.merged, 1);
    assert_int_equal(stats.queued, 5);
    seen.answer = 0;
    while (!seen.kept)
        usleep(1000);
    pusherc_broadcast_answer(seen.kept, 0, 0, NULL);
    pusherc_broadcaster_free(b);
    expect_text(&seen, "{\"k\":1} t {\"k\":1,\"v\":3} t {\"k\":2} done:OK ");
}

static void wait_inside(pusherc_broadcast_request *request, void *user_data)
{
    pusherc_broadcaster *_Atomic *b = user_data;
    int code = broadcast_wait(*b, "a", "1", 1000, NULL);
    pusherc_broadcast_answer(request, code == PUSHERC_ESTATE ? 0 : PUSHERC_EINVAL, 0, NULL);
}

static void waiting_on_the_own_thread_is_refused(void **state)
{
    struct seen seen;
    pusherc_broadcaster *_Atomic b = NULL;
    (void)state;
    seen_init(&seen);
    pusherc_broadcast_driver driver = PUSHERC_BROADCAST_DRIVER_INIT;
    driver.send = wait_inside;
    driver.user_data = &b;
    pusherc_broadcaster_options o = options_of("host:", &seen);
    o.driver = &driver;
    b = make(&o);
    assert_int_equal(broadcast_wait(b, "a", "1", PATIENCE_MS, NULL), 0);
    pusherc_broadcaster_free(b);
}

/* On the host's loop: callbacks run in its turns, and `stopped` may free it. */
static void a_broadcaster_runs_on_the_hosts_loop(void **state)
{
    struct seen seen;
    uv_loop_t loop;
    _Atomic int stopped = 0;
    (void)state;
    seen_init(&seen);
    assert_int_equal(uv_loop_init(&loop), 0);
    pusherc_broadcast_driver driver = driver_of(&seen);
    pusherc_broadcaster_options o = options_of("host:", &seen);
    o.driver = &driver;
    o.loop = &loop;
    pusherc_broadcaster *b = make(&o);
    assert_int_equal(broadcast_wait(b, "a", "0", 10, NULL), PUSHERC_ESTATE);
    assert_int_equal(broadcast_now(b, "a", "1", 0, &seen), 0);
    assert_int_equal(seen.count, 0);
    while (seen.count < 2)
        uv_run(&loop, UV_RUN_ONCE);
    expect_text(&seen, "1 done:OK ");
    pusherc_broadcaster_stop(b, 1000, on_stopped, &stopped);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(stopped, 1);
    pusherc_broadcaster_free(b);
    /* without a stop, free() turns the loop */
    b = make(&o);
    assert_int_equal(broadcast(b, "a", "2"), 0);
    pusherc_broadcaster_free(b);
    expect_text(&seen, "1 done:OK 2 ");
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* -- several threads -- */

enum {
    THREADS = 4,
    EACH = 500
};

struct publisher {
    pusherc_broadcaster *b;
    struct seen *seen;
    char channel[8];
};

static void *publish_many(void *arg)
{
    struct publisher *p = arg;
    for (int i = 0; i < EACH; i++) {
        char data[16];
        snprintf(data, sizeof data, "%d", i);
        int err = i % 10 ? broadcast(p->b, p->channel, data)
                         : broadcast_now(p->b, p->channel, data, 0, p->seen);
        assert_true(err == 0 || err == PUSHERC_ESTATE);
    }
    return NULL;
}

struct order {
    int next[THREADS];
    int broken;
    _Atomic int count;
};

static void check_order(pusherc_broadcast_request *request, void *user_data)
{
    struct order *order = user_data;
    size_t count;
    const pusherc_event *events = pusherc_broadcast_request_events(request, &count);
    for (size_t i = 0; i < count; i++) {
        const pusherc_event *e = PUSHERC_AT(events, i);
        char data[16];
        snprintf(data, sizeof data, "%.*s", (int)e->data.len, e->data.ptr);
        int thread = e->channels[0].ptr[0] - 'a';
        order->broken += order->next[thread]++ != atoi(data);
        order->count++;
    }
    pusherc_broadcast_answer(request, 0, 0, NULL);
}

static void events_of_each_thread_keep_their_order(void **state)
{
    struct seen seen;
    struct order order = {.broken = 0};
    struct publisher publishers[THREADS];
    pthread_t threads[THREADS];
    (void)state;
    seen_init(&seen);
    pusherc_broadcast_driver driver = PUSHERC_BROADCAST_DRIVER_INIT;
    driver.send = check_order;
    driver.user_data = &order;
    driver.max_events = 10;
    driver.max_under_way = 3;
    pusherc_broadcaster_options o = options_of("host:", &seen);
    o.driver = &driver;
    pusherc_broadcaster *b = make(&o);
    for (int i = 0; i < THREADS; i++) {
        publishers[i] = (struct publisher){b, &seen, {(char)('a' + i)}};
        assert_int_equal(pthread_create(&threads[i], NULL, publish_many, &publishers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pusherc_broadcaster_free(b);
    assert_int_equal(order.count, THREADS * EACH);
    assert_int_equal(order.broken, 0);
    assert_int_equal(seen.count, THREADS * EACH / 10);
}

static void a_stop_meets_publishers(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct seen seen;
        struct order order = {.broken = 0};
        struct publisher publishers[THREADS];
        pthread_t threads[THREADS];
        _Atomic int stopped = 0;
        seen_init(&seen);
        pusherc_broadcast_driver driver = PUSHERC_BROADCAST_DRIVER_INIT;
        driver.send = check_order;
        driver.user_data = &order;
        pusherc_broadcaster_options o = options_of("host:", &seen);
        o.driver = &driver;
        pusherc_broadcaster *b = make(&o);
        for (int i = 0; i < THREADS; i++) {
            publishers[i] = (struct publisher){b, &seen, {(char)('a' + i)}};
            assert_int_equal(pthread_create(&threads[i], NULL, publish_many, &publishers[i]), 0);
        }
        usleep((useconds_t)round * 100);
        pusherc_broadcaster_stop(b, round % 2 ? 0 : 1000, on_stopped, &stopped);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        pusherc_broadcast_stats stats = PUSHERC_BROADCAST_STATS_INIT;
        while (!stopped)
            usleep(1000);
        assert_int_equal(pusherc_broadcaster_stats(b, &stats), 0);
        assert_int_equal(stats.queued, 0);
        pusherc_broadcaster_free(b);
        assert_int_equal(order.broken, 0);
    }
}

static void a_forked_child_is_refused_and_the_parent_goes_on(void **state)
{
    struct seen seen;
    int status;
    (void)state;
    seen_init(&seen);
    pusherc_broadcast_driver driver = driver_of(&seen);
    pusherc_broadcaster_options o = options_of("host:", &seen);
    o.driver = &driver;
    pusherc_broadcaster *b = make(&o);
    assert_int_equal(broadcast_wait(b, "a", "1", PATIENCE_MS, NULL), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        pusherc_broadcast_stats stats = PUSHERC_BROADCAST_STATS_INIT;
        bool refused = broadcast(b, "a", "x") == PUSHERC_ESTATE &&
                       broadcast_now(b, "a", "x", 0, &seen) == PUSHERC_ESTATE &&
                       broadcast_wait(b, "a", "x", 10, NULL) == PUSHERC_ESTATE &&
                       pusherc_broadcaster_stats(b, &stats) == PUSHERC_ESTATE;
        pusherc_broadcaster_stop(b, 0, NULL, NULL);
        pusherc_broadcaster_free(b);
        _exit(refused ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(broadcast_wait(b, "a", "2", PATIENCE_MS, NULL), 0);
    pusherc_broadcaster_free(b);
    expect_text(&seen, "1 2 ");
}

static void memory_that_runs_out_fails_one_call(void **state)
{
    static const char *const urls[] = {
        "host:", "null:", "failover:host:,pusher://k:s@127.0.0.1:1/a?scheme=http"};
    (void)state;
    for (size_t u = 0; u < 3; u++) {
        bool failed = true;
        for (size_t n = 1; failed; n++) {
            struct failing_alloc alloc;
            struct seen seen;
            seen_init(&seen);
            const pusherc_allocator allocator = failing_alloc_init(&alloc, n);
            pusherc_broadcast_driver driver = driver_of(&seen);
            pusherc_broadcaster_options o = options_of(urls[u], &seen);
            o.driver = &driver;
            o.allocator = &allocator;
            o.ca_file = "/nowhere";
            pusherc_broadcaster *b;
            int err = pusherc_broadcaster_new(&b, &o, NULL);
            if (err == PUSHERC_ENOSYS)
                break;
            assert_true(err == 0 || err == PUSHERC_ENOMEM);
            if (err == 0) {
                err = broadcast_wait(b, "a", "1", PATIENCE_MS, NULL);
                assert_true(err == 0 || err == PUSHERC_ENOMEM);
                pusherc_broadcaster_free(b);
            }
            failed = failing_alloc_hit(&alloc);
            assert_int_equal(failing_alloc_live(&alloc), 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(null_takes_everything_that_is_valid),
        cmocka_unit_test(log_writes_a_line_for_each_event_and_channel),
        cmocka_unit_test(local_publishes_on_a_server_of_the_process),
        cmocka_unit_test(local_waits_for_the_start_of_its_server),
        cmocka_unit_test(the_hosts_functions_carry_events_in_order),
        cmocka_unit_test(what_the_host_could_not_send_is_sent_again),
        cmocka_unit_test(the_host_may_answer_from_another_thread_and_after_the_end),
        cmocka_unit_test(settings_that_break_a_rule_are_refused_in_words),
        cmocka_unit_test(a_full_queue_refuses_to_the_caller),
        cmocka_unit_test(a_newer_event_replaces_the_one_that_waits),
        cmocka_unit_test(waiting_on_the_own_thread_is_refused),
        cmocka_unit_test(a_broadcaster_runs_on_the_hosts_loop),
        cmocka_unit_test(events_of_each_thread_keep_their_order),
        cmocka_unit_test(a_stop_meets_publishers),
        cmocka_unit_test(a_forked_child_is_refused_and_the_parent_goes_on),
        cmocka_unit_test(memory_that_runs_out_fails_one_call),
        /* these need libcurl: */
        cmocka_unit_test(http_publishes_on_a_server_elsewhere),
        cmocka_unit_test(http_asks_the_next_host_if_one_does_not_answer),
        cmocka_unit_test(a_deadline_ends_the_wait_for_a_carrier_that_is_away),
        cmocka_unit_test(failover_takes_the_next_and_comes_back),
    };
    const size_t all = sizeof tests / sizeof tests[0], of_libcurl = 4;
    const bool has_libcurl = strstr(pusherc_features(), "webhooks") != NULL;
    return _cmocka_run_group_tests("broadcast", tests, has_libcurl ? all : all - of_libcurl, NULL,
                                   NULL);
}
