/* Cache channels: the last published event, for newcomers only, until its time is over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth_fixture.h"
#include "channel/keep.h"

#define CLIENTS 4

struct cx {
    struct fx fx;
    struct fx_client clients[CLIENTS];
    struct pc_app *app;
};

static int set_up(void **state)
{
    struct cx *cx = calloc(1, sizeof *cx);
    REQUIRE(cx);
    fx_open(&cx->fx, 2);
    for (size_t i = 0; i < CLIENTS; i++) {
        fx_connect(&cx->fx, &cx->clients[i], (uint32_t)(i % 2));
        fx_heard(&cx->clients[i]);
    }
    cx->app = pc_apps_by_id(&cx->fx.engine->apps, PC_S("app-id"));
    *state = cx;
    return 0;
}

static int tear_down(void **state)
{
    struct cx *cx = *state;
    for (size_t i = 0; i < CLIENTS; i++)
        fx_disconnect(&cx->clients[i]);
    pc_app_unref(cx->app);
    fx_close(&cx->fx);
    size_t live = failing_alloc_live(&cx->fx.alloc);
    free(cx);
    return live == 0 ? 0 : -1;
}

#define with_clients(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

/* As the HTTP API and the host publish. */
static int publish_as(struct cx *cx, struct pc_app *app, const char *channel, const char *event,
                      const char *data)
{
    pusherc_slice name = pc_slice_of(channel);
    struct pc_publication p = {.event = pc_slice_of(event),
                               .channels = &name,
                               .channel_count = 1,
                               .data = pc_slice_of(data),
                               .cacheable = true,
                               .now_ms = cx->fx.engine->workers[0].now_ms};
    return pc_publish(cx->fx.engine, app, &p);
}

static int publish(struct cx *cx, const char *channel, const char *event, const char *data)
{
    return publish_as(cx, cx->app, channel, event, data);
}

static void subscribes(struct cx *cx, size_t i, const char *channel, const char *then)
{
    char expected[512];
    fx_subscribe(&cx->clients[i], channel);
    snprintf(expected, sizeof expected,
             "{\"event\":\"pusher_internal:subscription_succeeded\",\"channel\":\"%s\","
             "\"data\":\"{}\"}\n%s",
             channel, then);
    assert_string_equal(fx_heard(&cx->clients[i]), expected);
}

#define TICK(data) "{\"event\":\"tick\",\"channel\":\"cache-x\",\"data\":\"" data "\"}\n"
#define MISS       "{\"event\":\"pusher:cache_miss\",\"channel\":\"cache-x\",\"data\":\"{}\"}\n"

static void newcomers_hear_the_last_event(void **state)
{
    struct cx *cx = *state;
    subscribes(cx, 0, "cache-x", MISS);
    assert_int_equal(publish(cx, "cache-x", "first", "0"), 0);
    assert_int_equal(publish(cx, "cache-x", "tick", "1"), 0);
    fx_heard(&cx->clients[0]);
    subscribes(cx, 1, "cache-x", TICK("1"));
    assert_string_equal(fx_heard(&cx->clients[0]), ""); /* who was there hears nothing again */
    publish(cx, "cache-x", "tick", "2");
    assert_string_equal(fx_heard(&cx->clients[0]), TICK("2"));
    assert_string_equal(fx_heard(&cx->clients[1]), TICK("2"));
    /* left out of the event by its socket id, but not of what is kept */
    subscribes(cx, 2, "cache-x", TICK("2"));
}

/* A client that was silent for so long would be closed. */
static void comes_back(struct cx *cx, size_t i)
{
    fx_disconnect(&cx->clients[i]);
    fx_connect(&cx->fx, &cx->clients[i], (uint32_t)(i % 2));
    fx_heard(&cx->clients[i]);
}

static void the_event_is_kept_without_subscribers(void **state)
{
    struct cx *cx = *state;
    assert_int_equal(publish(cx, "cache-x", "tick", "1"), 0);
    subscribes(cx, 0, "cache-x", TICK("1"));
    fx_unsubscribe(&cx->clients[0], "cache-x");
    fx_pass(&cx->fx, 1799 * 1000);
    comes_back(cx, 0);
    subscribes(cx, 0, "cache-x", TICK("1"));
    fx_unsubscribe(&cx->clients[0], "cache-x");
    fx_pass(&cx->fx, 1000);
    subscribes(cx, 0, "cache-x", MISS);
    publish(cx, "cache-x", "tick", "2");
    assert_string_equal(fx_heard(&cx->clients[0]), TICK("2"));
    comes_back(cx, 1);
    subscribes(cx, 1, "cache-x", TICK("2"));
}

static void only_what_publishers_send_is_kept(void **state)
{
    struct cx *cx = *state;
    static const char miss[] =
        "{\"event\":\"pusher:cache_miss\",\"channel\":\"private-cache-x\",\"data\":\"{}\"}\n";
    subscribes(cx, 0, "private-cache-x", miss);
    fx_say(&cx->clients[0],
           "{\"event\":\"client-x\",\"channel\":\"private-cache-x\",\"data\":\"1\"}");
    subscribes(cx, 1, "private-cache-x", miss);
    publish(cx, "private-x", "tick", "1"); /* no cache channel */
    subscribes(cx, 2, "private-x", "");

    fx_join(&cx->clients[0], "presence-cache-x", "{\"user_id\":\"7\"}");
    fx_join(&cx->clients[1], "presence-cache-x", "{\"user_id\":\"8\"}");
    fx_unsubscribe(&cx->clients[0], "presence-cache-x");
    fx_heard(&cx->clients[2]);
    fx_join(&cx->clients[2], "presence-cache-x", "{\"user_id\":\"9\"}");
    const char *text = fx_heard(&cx->clients[2]);
    assert_non_null(strstr(text, "}\n{\"event\":\"pusher:cache_miss\""));
}

static void the_oldest_event_is_removed_first(void **state)
{
    struct cx *cx = *state;
    struct pc_directory *dir = &cx->fx.engine->directory;
    char data[4001], name[32];
    memset(data, 'x', 4000);
    data[4000] = '\0';
    for (int i = 0; i < 2000; i++) { /* 8 MB into 1 MB */
        snprintf(name, sizeof name, "cache-%d", i);
        assert_int_equal(publish(cx, name, "tick", data), 0);
        assert_true(dir->kept.bytes.held <= dir->kept.max_bytes);
    }
    fx_subscribe(&cx->clients[0], "cache-0");
    assert_non_null(strstr(fx_heard(&cx->clients[0]), "cache_miss"));
    fx_subscribe(&cx->clients[0], "cache-1999");
    assert_non_null(strstr(fx_heard(&cx->clients[0]), "\"tick\""));
    /* time alone empties it, with the events that follow */
    fx_pass(&cx->fx, 1801 * 1000);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "cache-%d", i);
        publish(cx, name, "tick", "");
    }
    assert_true(dir->kept.bytes.held < 1000 * 1000);
}

/* The last event stays, however large: there is nothing to make room with. */
static void one_event_is_kept_whatever_its_size(void **state)
{
    struct cx *cx = *state;
    cx->fx.engine->directory.kept.max_bytes = 1;
    publish(cx, "cache-x", "tick", "1");
    subscribes(cx, 0, "cache-x", TICK("1"));
}

/* -- between apps -- */

static bool is_kept(struct cx *cx, const struct pc_app *app, const char *name)
{
    struct pc_directory *dir = &cx->fx.engine->directory;
    struct pc_shard *shard = pc_directory_lock(dir, app->state->uid, pc_slice_of(name));
    const struct pc_channel *channel = pc_shard_find(shard, app->state->uid, pc_slice_of(name));
    bool kept = channel && channel->kept.event;
    pc_shard_unlock(shard);
    return kept;
}

static int count_kept(struct cx *cx, const struct pc_app *app, int first, int end)
{
    int count = 0;
    for (int i = first; i < end; i++) {
        char name[32];
        snprintf(name, sizeof name, "cache-%d", i);
        count += is_kept(cx, app, name);
    }
    return count;
}

static struct pc_app *another_app(struct cx *cx, const char *id)
{
    pusherc_app_options options = fx_app();
    options.id = options.key = id;
    assert_int_equal(fx_try_put(&cx->fx, &options), 0);
    return pc_apps_by_id(&cx->fx.engine->apps, pc_slice_of(id));
}

/* One app fills its cache channels a hundred times over. Another has 50 events, some of them older, some younger. */
static void an_app_that_fills_the_cache_loses_its_own_events_only(void **state)
{
    struct cx *cx = *state;
    struct pc_kept_events *kept = &cx->fx.engine->directory.kept;
    struct pc_app *attacker = another_app(cx, "attacker");
    char data[2001], name[32];
    int honest = 0;
    memset(data, 'x', 2000);
    data[2000] = '\0';
    kept->max_bytes = 100000;
    for (int i = 0; i < 5000; i++) {
        if (i % 100 == 0) {
            snprintf(name, sizeof name, "cache-%d", honest++);
            assert_int_equal(publish(cx, name, "tick", "1"), 0);
        }
        snprintf(name, sizeof name, "cache-%d", i);
        assert_int_equal(publish_as(cx, attacker, name, "tick", data), 0);
        assert_true(kept->bytes.held <= kept->max_bytes);
        assert_true(i % 50 > 0 || count_kept(cx, cx->app, 0, honest) == honest);
    }
    assert_int_equal(count_kept(cx, cx->app, 0, 50), 50);
    int left = count_kept(cx, attacker, 0, 5000); /* what is left of it is the youngest */
    assert_true(left > 10);
    assert_int_equal(count_kept(cx, attacker, 5000 - left, 5000), left);
    uint64_t of_attacker = attacker->state->kept.bytes.held;
    assert_int_equal(kept->bytes.held, of_attacker + cx->app->state->kept.bytes.held);
    pc_kept_forget(&cx->fx.engine->directory, attacker->state);
    assert_int_equal(count_kept(cx, attacker, 0, 5000), 0);
    assert_int_equal(kept->bytes.held, cx->app->state->kept.bytes.held);
    assert_int_equal(count_kept(cx, cx->app, 0, 50), 50);
    pc_app_unref(attacker);
}

/* -- audiences -- */

static pusherc_render_verdict render(pusherc_render *r, void *user_data)
{
    (void)user_data;
    if (pc_slice_eq(pusherc_render_view(r), PC_S("agent")))
        return PUSHERC_RENDER_SAME;
    if (pc_slice_eq(pusherc_render_event(r), PC_S("note")))
        return PUSHERC_RENDER_NOTHING;
    pusherc_render_payload(r, PC_S("{}"));
    return PUSHERC_RENDER_REPLACED;
}

static void each_audience_gets_its_own_of_what_is_kept(void **state)
{
    struct ax *ax = calloc(1, sizeof *ax);
    (void)state;
    REQUIRE(ax);
    ax_open(ax, 2, PUSHERC_AUTH_RULES);
    pusherc_rule rule = ax_rule(ax, "x");
    rule.render = render;
    ax_add(ax, &rule);
    ax->answer = AX_ALLOW;
    struct pc_app *app = pc_apps_by_id(&ax->fx.engine->apps, PC_S("app-id"));
    pusherc_slice name = PC_S("private-cache-x");
    struct pc_publication p = {.event = PC_S("tick"),
                               .channels = &name,
                               .channel_count = 1,
                               .data = PC_S("secret"),
                               .cacheable = true,
                               .now_ms = FX_START_MS};
    static const char *const views[] = {"agent", "customer", NULL, "agent", "customer"};
    for (size_t i = 0; i < 5; i++)
        ax_connect(ax, i, (uint32_t)(i % 2), "u");
    assert_int_equal(pc_publish(ax->fx.engine, app, &p), 0); /* without subscribers */
    for (size_t i = 0; i < 5; i++) {
        if (i == 3) { /* from now on with subscribers; not for customers */
            p.event = PC_S("note");
            assert_int_equal(pc_publish(ax->fx.engine, app, &p), 0);
        }
        ax->grant.view = pc_slice_of(views[i]);
        ax_heard(ax, i);
        ax_subscribe(ax, i, "private-cache-x");
        const char *text = ax_heard(ax, i);
        assert_non_null(strstr(text, "subscription_succeeded"));
        assert_null(strstr(text, "cache_miss"));
        const char *kept = strchr(text, '\n') + 1;
        assert_string_equal(
            kept,
            i == 0   ? "{\"event\":\"tick\",\"channel\":\"private-cache-x\",\"data\":\"secret\"}\n"
            : i == 1 ? "{\"event\":\"tick\",\"channel\":\"private-cache-x\",\"data\":\"{}\"}\n"
            : i == 3 ? "{\"event\":\"note\",\"channel\":\"private-cache-x\",\"data\":\"secret\"}\n"
                     : "");
    }
    pc_app_unref(app);
    ax_close(ax);
    assert_int_equal(failing_alloc_live(&ax->fx.alloc), 0);
    free(ax);
}

static void without_memory_an_event_is_kept_whole_or_not(void **state)
{
    (void)state;
    pusherc_server_options limits = fx_limits();
    pusherc_app_options options = fx_app();
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct cx cx = {0};
        int err = fx_try_open(&cx.fx, &limits, NULL, 1, n);
        if (err == 0)
            err = fx_try_put(&cx.fx, &options);
        if (err == 0) {
            cx.app = pc_apps_by_id(&cx.fx.engine->apps, PC_S("app-id"));
            err = fx_try_connect(&cx.fx, &cx.clients[0], 0, 7);
            int sent = publish(&cx, "cache-x", "tick", "1");
            assert_true(sent == 0 || sent == PUSHERC_ENOMEM);
            if (err == 0) {
                fx_subscribe(&cx.clients[0], "cache-x");
                const char *text = fx_heard(&cx.clients[0]);
                const char *said = strstr(text, "succeeded");
                if (said && cx.clients[0].closed == 0)
                    assert_non_null(strstr(said, sent == 0 ? "\"tick\"" : "cache_miss"));
            }
            fx_disconnect(&cx.clients[0]);
            pc_app_unref(cx.app);
        }
        failed = failing_alloc_hit(&cx.fx.alloc);
        if (cx.fx.engine)
            fx_close(&cx.fx);
        if (failing_alloc_live(&cx.fx.alloc))
            fail_msg("request %zu: %zu blocks left", n, failing_alloc_live(&cx.fx.alloc));
    }
}

static struct pc_relayed *takes_nothing(void *ctx, const struct pc_app *app, pusherc_slice channel,
                                        const struct pc_publication *publication, bool through)
{
    (void)ctx, (void)app, (void)channel, (void)publication, (void)through;
    return NULL;
}

/* Clients here get it all the same. */
static void an_event_that_the_relay_cannot_take_is_delivered_and_counted_once(void **state)
{
    struct cx *cx = *state;
    struct pc_engine *engine = cx->fx.engine;
    subscribes(cx, 0, "cache-x", MISS);
    engine->relay = (struct pc_relay){.prepare = takes_nothing};
    const uint64_t before = pc_stat_get(&engine->publishes);
    assert_int_equal(publish(cx, "cache-x", "tick", "1"), PUSHERC_EBACKLOG);
    assert_int_equal(pc_stat_get(&engine->publishes), before + 1);
    engine->relay = (struct pc_relay){.prepare = NULL};
    fx_settle(&cx->fx);
    assert_string_equal(fx_heard(&cx->clients[0]), TICK("1"));
    subscribes(cx, 1, "cache-x", TICK("1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_clients(newcomers_hear_the_last_event),
        with_clients(the_event_is_kept_without_subscribers),
        with_clients(only_what_publishers_send_is_kept),
        with_clients(the_oldest_event_is_removed_first),
        with_clients(one_event_is_kept_whatever_its_size),
        with_clients(an_event_that_the_relay_cannot_take_is_delivered_and_counted_once),
        {"A6: an app that fills the cache loses its own events only",
         an_app_that_fills_the_cache_loses_its_own_events_only, set_up, tear_down, NULL},
        cmocka_unit_test(each_audience_gets_its_own_of_what_is_kept),
        cmocka_unit_test(without_memory_an_event_is_kept_whole_or_not),
    };
    return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
