/* Shaping on the publish path: who gets what, on which worker, and what becomes of it at the ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "engine_fixture.h"
#include "fanout/shaping.h"

#define RULES                                                                                      \
    "gateway.{id} key=k event=reading window_ms=100 ; gateway.{id} batch event=log window_ms=100 " \
    "; "                                                                                           \
    "private-room window_ms=100 key=k ; cache-c window_ms=100 ; plain batch window_ms=1000 "       \
    "max_keys=1 max_bytes=400 ; ticker max_per_s=10"

static struct fx fx;
static struct fx_client clients[4]; /* on the two workers in turn */

static void put_rules(const char *rules)
{
    pusherc_app_options app = fx_app();
    app.shaping = rules;
    assert_int_equal(fx_try_put(&fx, &app), 0);
}

static int set_up(void **state)
{
    (void)state;
    fx_open(&fx, 2);
    put_rules(RULES);
    for (uint32_t i = 0; i < 4; i++) {
        fx_connect(&fx, &clients[i], i % 2);
        fx_subscribe(&clients[i], "gateway.1");
        fx_heard(&clients[i]);
    }
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

static int publish_from(uint32_t worker, const char *channel, const char *event, const char *data)
{
    pusherc_slice name = pc_slice_of(channel);
    struct pc_app *app = pc_apps_by_id(&fx.engine->apps, PC_S("app-id"));
    struct pc_publication p = {.event = pc_slice_of(event),
                               .channels = &name,
                               .channel_count = 1,
                               .data = pc_slice_of(data),
                               .cacheable = true,
                               .worker = &fx.engine->workers[worker]};
    int err = pc_publish(fx.engine, app, &p);
    pc_app_unref(app);
    return err;
}

/* Publishes in a turn of its own: a first event has gone when the next one comes. */
static void publish(const char *channel, const char *event, const char *data)
{
    assert_int_equal(publish_from(0, channel, event, data), 0);
    fx_settle(&fx);
}

/* Time passes, and a wheel's timers are late by a slot at most. */
static void pass(uint64_t ms)
{
    fx_pass(&fx, ms);
    fx_settle(&fx);
    fx_pass(&fx, PC_TIMER_SLOT_MS);
    fx_settle(&fx);
}

/* The data of the events that the client has got since the last call. */
static const char *got(struct fx_client *client)
{
    static char text[4000];
    size_t len = 0;
    text[0] = '\0';
    for (const char *at = fx_heard(client); (at = strstr(at, "\"data\":\"")) != NULL;) {
        const char *end = strstr(at += 8, "\"}");
        if (end[2] == ',') /* there is more in the object */
            end = strstr(end + 1, "\"}");
        len += (size_t)snprintf(text + len, sizeof text - len, "%.*s ", (int)(end - at), at);
    }
    return text;
}

static struct pc_shape_counts *counts(uint32_t rule)
{
    struct pc_app *app = pc_apps_by_id(&fx.engine->apps, PC_S("app-id"));
    struct pc_shape_counts *found = &app->shaping.items[rule]->counts;
    pc_app_unref(app); /* the registry has it */
    return found;
}

static void expect(uint32_t rule, uint64_t in, uint64_t merged, uint64_t out)
{
    const struct pc_shape_counts *c = counts(rule);
    assert_int_equal(c->in, in);
    assert_int_equal(c->merged, merged);
    assert_int_equal(c->out, out);
}

static void every_worker_gets_the_newest_of_each_window(void **state)
{
    (void)state;
    publish("gateway.1", "reading", "{'k':1,'v':1}");
    assert_string_equal(got(&clients[0]), "{'k':1,'v':1} "); /* no JSON, so no key: it passes */
    assert_int_equal(counts(0)->passed, 1);
    for (int v = 1; v <= 50; v++) {
        char data[40];
        snprintf(data, sizeof data, "{\"k\":%d,\"v\":%d}", v % 2, v);
        assert_int_equal(publish_from((uint32_t)v % 2, "gateway.1", "reading", data), 0);
        fx_settle(&fx);
    }
    for (size_t i = 0; i < 4; i++)
        if (i)
            assert_string_equal(got(&clients[i]), "{'k':1,'v':1} {\\\"k\\\":1,\\\"v\\\":1} "
                                                  "{\\\"k\\\":0,\\\"v\\\":2} ");
        else
            assert_string_equal(got(&clients[i]),
                                "{\\\"k\\\":1,\\\"v\\\":1} {\\\"k\\\":0,\\\"v\\\":2} ");
    pass(50);
    assert_string_equal(got(&clients[1]), "");
    pass(50);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(got(&clients[i]),
                            "{\\\"k\\\":1,\\\"v\\\":49} {\\\"k\\\":0,\\\"v\\\":50} ");
    expect(0, 51, 46, 4);
    pass(200);
    assert_string_equal(got(&clients[1]), "");
}

static void other_events_and_channels_are_sent_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++)
        fx_subscribe(&clients[i], "other");
    fx_heard(&clients[0]);
    for (int i = 0; i < 3; i++) {
        publish("other", "reading", "{}");
        publish("gateway.1", "alarm", "now");
    }
    assert_string_equal(got(&clients[0]), "{} now {} now {} now ");
    for (uint32_t i = 0; i < 6; i++)
        expect(i, 0, 0, 0);
}

static void each_rule_of_a_channel_shapes_its_own_events(void **state)
{
    (void)state;
    publish("gateway.1", "log", "1");
    publish("gateway.1", "reading", "{\"k\":1}");
    publish("gateway.1", "log", "two");
    assert_string_equal(got(&clients[1]), "{\\\"k\\\":1} ");
    pass(100);
    assert_string_equal(got(&clients[1]), "[1,\\\"two\\\"] ");
    expect(0, 1, 0, 1);
    expect(1, 2, 1, 1);
}

static void a_channel_without_subscribers_shapes_nothing_and_forgets(void **state)
{
    (void)state;
    publish("gateway.2", "reading", "{\"k\":1}");
    expect(0, 0, 0, 0);
    publish("gateway.1", "log", "1");
    publish("gateway.1", "log", "2");
    for (size_t i = 0; i < 4; i++)
        fx_unsubscribe(&clients[i], "gateway.1");
    assert_int_equal(counts(1)->dropped, 2);
    assert_int_equal(pc_shape_waiting(counts(1)), 0);
    fx_subscribe(&clients[0], "gateway.1");
    fx_heard(&clients[0]);
    publish("gateway.1", "log", "3");
    pass(100);
    assert_string_equal(got(&clients[0]), "[3] "); /* nothing of before */
    pass(200);
    const uint64_t uid = fx.engine->apps.next_uid - 1;
    struct pc_shard *shard = pc_directory_lock(&fx.engine->directory, uid, PC_S("gateway.1"));
    const struct pc_channel *channel = pc_shard_find(shard, uid, PC_S("gateway.1"));
    assert_non_null(channel);
    assert_null(channel->shaper); /* and nothing is left of it */
    pc_shard_unlock(shard);
}

static void a_rate_holds_though_nothing_waits_in_between(void **state)
{
    char data[30];
    (void)state;
    fx_subscribe(&clients[0], "ticker");
    fx_heard(&clients[0]);
    for (int n = 1; n <= 10; n++) { /* in 160 ms, slower than the worker's turns */
        snprintf(data, sizeof data, "%d", n);
        publish("ticker", "e", data);
        fx_pass(&fx, 16);
        fx_settle(&fx);
    }
    assert_string_equal(got(&clients[0]), "1 5 "); /* ten a second, and a timer's step */
    pass(100);
    assert_string_equal(got(&clients[0]), "10 ");
    pass(200);
    publish("ticker", "e", "11");
    assert_string_equal(got(&clients[0]), "11 ");
}

static void client_events_are_shaped_as_others(void **state)
{
    char text[200];
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        fx_subscribe(&clients[i], "private-room");
        fx_heard(&clients[i]);
    }
    for (int v = 1; v < 6; v++) {
        snprintf(text, sizeof text,
                 "{\"event\":\"client-moved\",\"channel\":\"private-room\",\"data\":{\"k\":7,"
                 "\"v\":%d}}",
                 v);
        fx_say(&clients[0], text);
        fx_settle(&fx);
    }
    pass(100);
    assert_string_equal(got(&clients[0]), "");
    for (size_t i = 1; i < 3; i++)
        assert_string_equal(got(&clients[i]),
                            "{\\\"k\\\":7,\\\"v\\\":1} {\\\"k\\\":7,\\\"v\\\":5} ");
    expect(2, 5, 3, 2);
}

static void a_cache_channel_keeps_what_was_sent(void **state)
{
    (void)state;
    publish("cache-c", "e", "kept without subscribers");
    fx_subscribe(&clients[0], "cache-c");
    assert_string_equal(got(&clients[0]), "{} kept without subscribers ");
    publish("cache-c", "e", "1");
    publish("cache-c", "e", "2");
    publish("cache-c", "e", "3");
    assert_string_equal(got(&clients[0]), "1 ");
    fx_subscribe(&clients[1], "cache-c");
    assert_string_equal(got(&clients[1]), "{} 1 ");
    pass(100);
    for (size_t i = 0; i < 2; i++)
        assert_string_equal(got(&clients[i]), "3 "); /* each once */
}

static void when_rules_change_what_waits_goes_first(void **state)
{
    (void)state;
    publish("gateway.1", "reading", "{\"k\":1,\"v\":1}");
    publish("gateway.1", "reading", "{\"k\":1,\"v\":2}");
    assert_string_equal(got(&clients[0]), "{\\\"k\\\":1,\\\"v\\\":1} ");
    put_rules("gateway.{id} key=k event=reading window_ms=50"); /* another one */
    publish("gateway.1", "reading", "{\"k\":1,\"v\":3}");
    assert_string_equal(got(&clients[0]), "{\\\"k\\\":1,\\\"v\\\":2} {\\\"k\\\":1,\\\"v\\\":3} ");
    publish("gateway.1", "reading", "{\"k\":1,\"v\":4}");
    put_rules(NULL); /* none: what comes joins what waits, which goes at once */
    publish("gateway.1", "reading", "{\"k\":1,\"v\":5}");
    pass(50);
    assert_string_equal(got(&clients[0]), "{\\\"k\\\":1,\\\"v\\\":5} ");
    publish("gateway.1", "reading", "{\"k\":1,\"v\":6}");
    publish("gateway.1", "reading", "{\"k\":1,\"v\":7}");
    assert_string_equal(got(&clients[0]), "{\\\"k\\\":1,\\\"v\\\":6} {\\\"k\\\":1,\\\"v\\\":7} ");
}

static void a_stop_sends_what_waits(void **state)
{
    (void)state;
    publish("gateway.1", "log", "1");
    publish("gateway.1", "reading", "{\"k\":1}");
    publish("gateway.1", "reading", "{\"k\":2}");
    assert_string_equal(got(&clients[1]), "{\\\"k\\\":1} {\\\"k\\\":2} ");
    publish("gateway.1", "reading", "{\"k\":2,\"v\":2}");
    publish("gateway.1", "log", "2");
    fx.engine->draining = true;
    for (uint32_t i = 0; i < 2; i++)
        pc_shaping_flush(&fx.engine->workers[i]);
    for (size_t i = 0; i < 4; i++)
        assert_non_null(strstr(got(&clients[i]), "[1,2] {\\\"k\\\":2,\\\"v\\\":2} "));
    publish("gateway.1", "reading", "{\"k\":2,\"v\":3}"); /* nothing waits any more */
    publish("gateway.1", "reading", "{\"k\":2,\"v\":4}");
    assert_string_equal(got(&clients[1]), "{\\\"k\\\":2,\\\"v\\\":3} {\\\"k\\\":2,\\\"v\\\":4} ");
}

static void at_its_bound_a_batch_refuses_and_the_publisher_hears(void **state)
{
    char data[400];
    (void)state;
    memset(data, '1', sizeof data - 1);
    data[sizeof data - 1] = '\0';
    fx_subscribe(&clients[0], "plain");
    fx_heard(&clients[0]);
    publish("plain", "e", "1");
    assert_int_equal(publish_from(0, "plain", "e", data), PUSHERC_EBACKLOG);
    assert_int_equal(publish_from(0, "plain", "another", "2"), PUSHERC_EBACKLOG);
    pass(1000);
    assert_string_equal(got(&clients[0]), "[1] ");
    assert_int_equal(counts(4)->refused, 2);
}

static void what_no_worker_takes_is_counted_as_dropped(void **state)
{
    (void)state;
    publish("gateway.1", "log", "1");
    fx_settle(&fx);
    for (uint32_t i = 0; i < 2; i++)
        fx.engine->workers[i].mailbox->max = 0;
    fx_pass(&fx, 100 + PC_TIMER_SLOT_MS);
    for (uint32_t i = 0; i < 2; i++)
        fx.engine->workers[i].mailbox->max = 1000;
    assert_string_equal(got(&clients[0]), "");
    assert_int_equal(counts(1)->dropped, 1);
    expect(1, 1, 0, 0);
}

/* -- memory -- */

static void without_memory_events_are_sent_or_refused(void **state)
{
    bool failed = true;
    (void)state;
    for (size_t n = 1; failed; n++) {
        pusherc_server_options limits = fx_limits();
        pusherc_app_options app = fx_app();
        app.shaping = RULES;
        unsigned refused = 0;
        REQUIRE(fx_try_open(&fx, &limits, NULL, 2, 0) == 0);
        REQUIRE(fx_try_put(&fx, &app) == 0);
        fx_connect(&fx, &clients[0], 1);
        fx_subscribe(&clients[0], "gateway.1");
        fx_heard(&clients[0]);
        size_t before = fx.alloc.requests;
        fx.alloc.fail_at = before + n;
        refused += publish_from(0, "gateway.1", "reading", "{\"k\":1}") != 0;
        refused += publish_from(0, "gateway.1", "log", "1") != 0;
        fx_settle(&fx);
        refused += publish_from(0, "gateway.1", "reading", "{\"k\":1,\"more\":2}") != 0;
        refused += publish_from(0, "gateway.1", "log", "twenty") != 0;
        pass(100);
        failed = fx.alloc.requests >= before + n;
        fx.alloc.fail_at = 0;
        for (uint32_t i = 0; i < 2; i++) {
            const struct pc_shape_counts *c = counts(i);
            assert_int_equal(c->in, c->out + c->merged + c->passed + c->refused + c->dropped);
            assert_int_equal(c->in, 2);
        }
        assert_true(refused <= 1);
        fx_disconnect(&clients[0]);
        fx_close(&fx);
        assert_int_equal(failing_alloc_live(&fx.alloc), 0);
    }
}

/* -- threads -- */

#define PUBLISHERS 4
#define EVENTS     5000 /* of a publisher */
#define KEYS       5    /* of a publisher */

static _Atomic unsigned publishing;
static _Atomic bool over;

static void *publish_many(void *arg)
{
    unsigned publisher = *(unsigned *)arg;
    pusherc_slice name = PC_S("gateway.1");
    struct pc_app *app = pc_apps_by_id(&fx.engine->apps, PC_S("app-id"));
    for (unsigned i = 1; i <= EVENTS; i++) {
        char data[60];
        int n = snprintf(data, sizeof data, "{\"k\":%u,\"v\":%u}", publisher * KEYS + i % KEYS, i);
        struct pc_publication p = {.event = PC_S("reading"),
                                   .channels = &name,
                                   .channel_count = 1,
                                   .data = pc_slice(data, (size_t)n),
                                   .now_ms = FX_START_MS + i / 4};
        while (pc_publish(fx.engine, app, &p))
            sched_yield();
        if (i % 64 == 0)
            sched_yield();
    }
    pc_app_unref(app);
    publishing--;
    return NULL;
}

/* A worker, whose time goes on with its turns. */
static void *work(void *arg)
{
    unsigned index = *(unsigned *)arg;
    struct pc_worker *worker = &fx.engine->workers[index];
    pc_mailbox_own(worker->mailbox);
    while (!over) {
        worker->now_ms++;
        pc_timers_run(&worker->timers, worker->now_ms);
        if (!fx_round(&fx, index))
            sched_yield();
    }
    return NULL;
}

static void totals_are_exact_and_keys_in_order_whatever_the_threads_do(void **state)
{
    pthread_t publishers[PUBLISHERS], workers[2];
    static unsigned numbers[PUBLISHERS] = {0, 1, 2, 3};
    (void)state;
    publishing = PUBLISHERS;
    over = false;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&workers[i], NULL, work, &numbers[i]), 0);
    for (size_t i = 0; i < PUBLISHERS; i++)
        assert_int_equal(pthread_create(&publishers[i], NULL, publish_many, &numbers[i]), 0);
    for (size_t i = 0; i < PUBLISHERS; i++)
        pthread_join(publishers[i], NULL);
    const struct pc_shape_counts *c = counts(0);
    while (pc_shape_waiting(c) > 0)
        sched_yield();
    over = true;
    for (size_t i = 0; i < 2; i++)
        pthread_join(workers[i], NULL);
    fx_settle(&fx); /* what is counted as sent may be on its way */
    assert_int_equal(c->in, PUBLISHERS * EVENTS);
    assert_int_equal(c->in, c->out + c->merged);
    for (size_t i = 0; i < 4; i++) {
        unsigned last[PUBLISHERS * KEYS] = {0}, key, value;
        uint64_t heard = 0;
        for (const char *at = fx_heard(&clients[i]); (at = strstr(at, "{\\\"k\\\":")) != NULL;
             at++) {
            assert_int_equal(sscanf(at, "{\\\"k\\\":%u,\\\"v\\\":%u", &key, &value), 2);
            assert_true(key < PUBLISHERS * KEYS && value > last[key]);
            last[key] = value;
            heard++;
        }
        assert_int_equal(heard, c->out);
        for (unsigned k = 0; k < PUBLISHERS * KEYS; k++)
            assert_int_equal(last[k], k % KEYS == 0 ? EVENTS : EVENTS - KEYS + k % KEYS);
    }
}

#define shaping_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        shaping_test(every_worker_gets_the_newest_of_each_window),
        shaping_test(other_events_and_channels_are_sent_at_once),
        shaping_test(each_rule_of_a_channel_shapes_its_own_events),
        shaping_test(a_channel_without_subscribers_shapes_nothing_and_forgets),
        shaping_test(a_rate_holds_though_nothing_waits_in_between),
        shaping_test(client_events_are_shaped_as_others),
        shaping_test(a_cache_channel_keeps_what_was_sent),
        shaping_test(when_rules_change_what_waits_goes_first),
        shaping_test(a_stop_sends_what_waits),
        shaping_test(at_its_bound_a_batch_refuses_and_the_publisher_hears),
        shaping_test(what_no_worker_takes_is_counted_as_dropped),
        cmocka_unit_test(without_memory_events_are_sent_or_refused),
        shaping_test(totals_are_exact_and_keys_in_order_whatever_the_threads_do),
    };
    return cmocka_run_group_tests_name("shaping", tests, NULL, NULL);
}
