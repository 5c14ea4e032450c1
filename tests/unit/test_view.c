/* Views: an event is rendered once for each audience, and no client sees the rendering of another audience. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth_fixture.h"
#include "fanout/occupancy.h"
#include "fanout/view.h"

/* Agents see everything; customers what is redacted, no "note"; "odd" what is against the rules. */
static pusherc_render_verdict render(pusherc_render *r, void *user_data)
{
    struct ax *ax = user_data;
    pusherc_slice view = pusherc_render_view(r);
    ax->renders++;
    REQUIRE(pc_slice_eq(pusherc_render_app_id(r), PC_S("app-id")));
    REQUIRE(pc_slice_eq(pusherc_render_param(r, "x"), PC_S("1")));
    REQUIRE(pusherc_render_param(r, "other").len == 0);
    REQUIRE(pc_slice_ends(pusherc_render_channel(r), PC_S("-t.1")));
    if (pc_slice_eq(view, PC_S("odd"))) {
        REQUIRE(pusherc_render_payload(r, PC_S("\xff")) == PUSHERC_EINVAL);
        return PUSHERC_RENDER_REPLACED;
    }
    if (pc_slice_eq(view, PC_S("broken"))) {
        REQUIRE(pusherc_render_payload(r, PC_S("{")) == 0);
        return PUSHERC_RENDER_REPLACED;
    }
    if (pc_slice_eq(view, PC_S("nonsense")))
        return (pusherc_render_verdict)77;
    if (!pc_slice_eq(view, PC_S("customer")))
        return PUSHERC_RENDER_SAME;
    if (pc_slice_eq(pusherc_render_event(r), PC_S("note")))
        return PUSHERC_RENDER_NOTHING;
    pusherc_render_payload(r, PC_S("{\"first\":1}"));
    pusherc_render_payload(r, PC_S("{\"redacted\":1}"));
    return PUSHERC_RENDER_REPLACED;
}

static int set_up(void **state)
{
    struct ax *ax = malloc(sizeof *ax);
    REQUIRE(ax);
    ax_open(ax, 2, PUSHERC_AUTH_RULES);
    pusherc_rule rule = ax_rule(ax, "t.{x}");
    rule.render = render;
    ax_add(ax, &rule);
    ax->answer = AX_ALLOW;
    *state = ax;
    return 0;
}

#define with_views(function) cmocka_unit_test_setup_teardown(function, set_up, ax_tear_down)

static const char *enter(struct ax *ax, size_t i, const char *channel, const char *view)
{
    char user[4];
    snprintf(user, sizeof user, "u%zu", i);
    if (!ax->clients[i].fx)
        ax_connect(ax, i, (uint32_t)(i % 2), user);
    ax->grant.view = pc_slice_of(view);
    ax_subscribe(ax, i, channel);
    return ax_heard(ax, i);
}

static void expect(struct ax *ax, size_t i, const char *heard)
{
    const char *text = ax_heard(ax, i);
    if (strcmp(text, heard) != 0)
        fail_msg("client %zu heard %s instead of %s", i, text, heard);
}

static char *event(const char *name, const char *data)
{
    static char text[4][256];
    static unsigned at;
    at = (at + 1) % 4;
    snprintf(text[at], sizeof text[at],
             "{\"event\":\"%s\",\"channel\":\"private-t.1\",\"data\":\"%s\"}\n", name, data);
    return text[at];
}

static void merged_events_are_not_rendered(void **state)
{
    struct ax *ax = *state;
    pusherc_slice name = PC_S("private-t.1");
    pusherc_app_options options = fx_app();
    options.auth_mode = PUSHERC_AUTH_RULES;
    options.shaping = "private-t.{x} window_ms=100";
    REQUIRE(fx_try_put(&ax->fx, &options) == 0);
    enter(ax, 0, "private-t.1", "agent");
    enter(ax, 1, "private-t.1", "customer");
    struct pc_app *app = pc_apps_by_id(&ax->fx.engine->apps, PC_S("app-id"));
    for (int i = 0; i < 20; i++) {
        const struct pc_publication p = {.event = PC_S("news"),
                                         .channels = &name,
                                         .channel_count = 1,
                                         .data = i < 19 ? PC_S("all") : PC_S("last"),
                                         .worker = &ax->fx.engine->workers[0]};
        REQUIRE(pc_publish(ax->fx.engine, app, &p) == 0);
        ax_settle(ax);
    }
    pc_app_unref(app);
    assert_int_equal(ax->renders, 2); /* the first, for two audiences */
    ax_pass(ax, 100 + PC_TIMER_SLOT_MS);
    ax_settle(ax);
    assert_int_equal(ax->renders, 4); /* and the newest */
    assert_non_null(strstr(ax_heard(ax, 0), "last"));
    assert_null(strstr(ax_heard(ax, 1), "last"));
}

static void each_audience_is_rendered_for_once(void **state)
{
    struct ax *ax = *state;
    static const char *const views[] = {"agent", "customer", "agent", "customer", "admin", NULL};
    for (size_t i = 0; i < 6; i++)
        enter(ax, i, "private-t.1", views[i]);
    assert_int_equal(ax->renders, 0);
    fx_publish(&ax->fx, "private-t.1", "news", "all");
    assert_int_equal(ax->renders, 3);
    for (size_t i = 0; i < 6; i++)
        expect(ax, i,
               i == 5  ? ""
               : i % 2 ? event("news", "{\\\"redacted\\\":1}")
                       : event("news", "all"));
    fx_publish(&ax->fx, "private-t.1", "note", "all");
    assert_int_equal(ax->renders, 6);
    for (size_t i = 0; i < 6; i++)
        expect(ax, i, i % 2 ? "" : event("note", "all"));
    fx_publish_except(&ax->fx, "private-t.1", "note", "all", ax->clients[0].q.owner);
    expect(ax, 0, "");
    expect(ax, 2, event("note", "all"));
}

static void a_mistake_shows_nothing(void **state)
{
    struct ax *ax = *state;
    enter(ax, 0, "private-t.1", "odd");
    enter(ax, 1, "private-t.1", "nonsense");
    fx_publish(&ax->fx, "private-t.1", "news", "all");
    assert_int_equal(ax->renders, 2);
    expect(ax, 0, "");
    expect(ax, 1, "");
}

static void client_events_are_rendered(void **state)
{
    struct ax *ax = *state;
    for (size_t i = 0; i < 4; i++)
        enter(ax, i, "private-t.1", i == 3 ? NULL : i ? "customer" : "agent");
    fx_say(&ax->clients[1],
           "{\"event\":\"client-x\",\"channel\":\"private-t.1\",\"data\":\"all\"}");
    expect(ax, 0, event("client-x", "all"));
    expect(ax, 1, "");
    expect(ax, 2, event("client-x", "{\\\"redacted\\\":1}"));
    expect(ax, 3, "");
}

static void members_are_rendered(void **state)
{
    struct ax *ax = *state;
    const char *text = enter(ax, 0, "presence-t.1", "agent");
    assert_non_null(strstr(text, "{\\\"u0\\\":{\\\"name\\\":\\\"x\\\"}}"));
    text = enter(ax, 1, "presence-t.1", "customer");
    assert_non_null(strstr(text, "\\\"u0\\\":{\\\"redacted\\\":1}"));
    assert_null(strstr(text, "name"));
    assert_non_null(strstr(ax_heard(ax, 0), "\\\"user_info\\\":{\\\"name\\\":\\\"x\\\"}"));
    text = enter(ax, 2, "presence-t.1", NULL); /* itself, which client libraries need */
    assert_non_null(strstr(text, "\\\"ids\\\":[\\\"u2\\\"],\\\"hash\\\":{\\\"u2\\\":{}}"));
    text = ax_heard(ax, 1);
    assert_non_null(strstr(text, "member_added"));
    assert_non_null(strstr(text, "{\\\"redacted\\\":1}"));
    text = enter(ax, 3, "presence-t.1", "broken"); /* what is not JSON is nothing */
    assert_non_null(strstr(text, "\\\"u0\\\":{}"));
    assert_null(strstr(text, "name"));
    expect(ax, 2, "");
    ax_heard(ax, 0);
    fx_wait(&ax->fx);
    fx_unsubscribe(&ax->clients[3], "presence-t.1");
    assert_non_null(strstr(ax_heard(ax, 0), "member_removed"));
    assert_non_null(strstr(ax_heard(ax, 1), "member_removed"));
    expect(ax, 2, "");
}

static void members_of_other_processes_are_rendered(void **state)
{
    struct ax *ax = *state;
    enter(ax, 0, "presence-t.1", "agent");
    enter(ax, 1, "presence-t.1", "customer");
    ax_heard(ax, 0);
    struct pc_session *s = &ax->clients[0].session;
    struct pc_rule_match match = pc_rules_find(&ax->fx.engine->rules, s->app->id,
                                               PC_S("presence-t.1"), PUSHERC_CHANNEL_PRESENCE);
    struct pc_join who = {.app = s->app,
                          .channel = PC_S("presence-t.1"),
                          .match = &match,
                          .user_id = PC_S("far"),
                          .user_info = PC_S("{\"secret\":1}")};
    assert_int_equal(pc_occupancy_mirror(ax->fx.engine, &who, true), 0);
    assert_non_null(strstr(ax_heard(ax, 0), "secret"));
    const char *text = ax_heard(ax, 1);
    assert_non_null(strstr(text, "member_added"));
    assert_null(strstr(text, "secret"));
    assert_int_equal(pc_occupancy_mirror(ax->fx.engine, &who, false), 0);
    assert_non_null(strstr(ax_heard(ax, 0), "member_removed"));
    assert_non_null(strstr(ax_heard(ax, 1), "member_removed"));
}

static void a_new_answer_is_a_new_audience(void **state)
{
    struct ax *ax = *state;
    enter(ax, 0, "private-t.1", "agent");
    enter(ax, 1, "private-t.1", "agent");
    ax->grant.view = PC_S("customer");
    ax_reauthorize(ax, "u0", NULL);
    ax_settle(ax);
    assert_int_equal(ax->kept, 1);
    fx_publish(&ax->fx, "private-t.1", "news", "all");
    expect(ax, 0, event("news", "{\\\"redacted\\\":1}"));
    expect(ax, 1, event("news", "all"));
    ax->grant.view = PC_S("");
    ax_reauthorize(ax, NULL, NULL);
    ax_settle(ax);
    fx_publish(&ax->fx, "private-t.1", "news", "all");
    expect(ax, 0, "");
    expect(ax, 1, "");
}

/* Numbered before the change, so it comes as the audience of before sees it; what follows does not. */
static void an_event_on_its_way_comes_to_the_audience_of_before(void **state)
{
    struct ax *ax = *state;
    enter(ax, 0, "private-t.1", "agent");
    ax->grant.view = PC_S("customer");
    ax_reauthorize(ax, NULL, NULL);
    pc_decisions_ask(&ax->fx.engine->workers[0]); /* the answer is in the mailbox */
    fx_publish(&ax->fx, "private-t.1", "note", "all");
    expect(ax, 0, event("note", "all"));
    fx_publish(&ax->fx, "private-t.1", "note", "all");
    expect(ax, 0, "");
}

static void places_of_audiences_are_used_again(void **state)
{
    struct ax *ax = *state;
    enter(ax, 0, "private-t.1", "agent");
    enter(ax, 1, "private-t.1", "customer");
    for (int i = 0; i < 200; i++) { /* far more than there are places */
        char view[16];
        snprintf(view, sizeof view, "view %d", i);
        enter(ax, 2, "private-t.1", view);
        fx_publish(&ax->fx, "private-t.1", "note", "all");
        expect(ax, 2, event("note", "all"));
        expect(ax, 1, "");
        fx_unsubscribe(&ax->clients[2], "private-t.1");
        ax_settle(ax);
    }
    assert_int_equal(ax->renders, 600);
}

static void there_are_as_many_audiences_as_promised(void **state)
{
    struct ax *ax = *state;
    static struct fx_client more[PC_MAX_VIEWS + 1];
    char view[16];
    for (size_t i = 0; i <= PC_MAX_VIEWS; i++) {
        fx_connect(&ax->fx, &more[i], 0);
        snprintf(view, sizeof view, "view %zu", i);
        ax->grant.view = pc_slice_of(view);
        fx_say(&more[i], "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"private-t.1\"}}");
        ax_settle(ax);
        const char *text = fx_heard(&more[i]);
        bool in = strstr(text, "subscription_succeeded") != NULL;
        if (in != (i < PC_MAX_VIEWS) ||
            (!in && !strstr(text, "maximum of 32 views (PUSHERC_RULE_MAX_VIEWS)")))
            fail_msg("view %zu: %s", i, text);
    }
    fx_publish(&ax->fx, "private-t.1", "news", "all");
    assert_int_equal(ax->renders, PC_MAX_VIEWS);
    ax_settle(ax);
    for (size_t i = 0; i <= PC_MAX_VIEWS; i++)
        fx_disconnect(&more[i]);
}

/* All places are taken: who changes to another view loses the channel and hears why, unless it leaves a place. */
static void there_is_a_limit_for_a_changed_view_too(void **state)
{
    struct ax *ax = *state;
    static struct fx_client more[PC_MAX_VIEWS];
    char view[16];
    for (size_t i = 0; i < PC_MAX_VIEWS; i++) {
        fx_connect(&ax->fx, &more[i], 0);
        snprintf(view, sizeof view, "view %zu", i);
        ax->grant.view = pc_slice_of(view);
        fx_say(&more[i], "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"private-t.1\"}}");
        ax_settle(ax);
        fx_heard(&more[i]);
    }
    enter(ax, 0, "private-t.1", "view 0");
    ax->grant.view = PC_S("another");
    ax_reauthorize(ax, "u0", NULL);
    ax_settle(ax);
    assert_int_equal(ax->kept, 0);
    assert_int_equal(ax->revoked, 1);
    assert_non_null(strstr(ax_heard(ax, 0), "maximum of 32 views (PUSHERC_RULE_MAX_VIEWS)"));
    assert_int_equal(ax->clients[0].session.subscription_count, 0);
    assert_non_null(strstr(ax_denied(ax), "The channel has its maximum of 32 views"));
    fx_disconnect(&more[1]);
    ax_reauthorize(ax, "u0", NULL);
    assert_non_null(strstr(ax_heard(ax, 0), "subscription_succeeded"));
    for (int i = 0; i < 100; i++) { /* it leaves a place each time */
        snprintf(view, sizeof view, "%d", i);
        ax->grant.view = pc_slice_of(view);
        ax_reauthorize(ax, "u0", NULL);
        ax_settle(ax);
        assert_int_equal(ax->clients[0].session.subscription_count, 1);
    }
    fx_publish(&ax->fx, "private-t.1", "news", "all");
    expect(ax, 0, event("news", "all"));
    for (size_t i = 0; i < PC_MAX_VIEWS; i++)
        if (i != 1)
            fx_disconnect(&more[i]);
}

static void a_channel_that_comes_again_has_its_own_audiences(void **state)
{
    struct ax *ax = *state;
    struct pc_frame *event = NULL;
    enter(ax, 0, "presence-t.1", "agent");
    struct pc_session *s = &ax->clients[0].session;
    struct pc_rule_match match = pc_rules_find(&ax->fx.engine->rules, s->app->id,
                                               PC_S("presence-t.1"), PUSHERC_CHANNEL_PRESENCE);
    struct pc_join join = {.app = s->app,
                           .channel = PC_S("presence-t.1"),
                           .match = &match,
                           .user_id = PC_S("u"),
                           .user_info = PC_S("{\"secret\":1}")};
    assert_int_equal(pc_view_member_added(ax->fx.engine, &join, &event), 0);
    fx_unsubscribe(&ax->clients[0], "presence-t.1");
    ax_heard(ax, 0);
    enter(ax, 0, "presence-t.1", "customer"); /* at the same place */
    struct pc_channel *channel =
        PC_CONTAINER(s->subscriptions.next, struct pc_subscription, of_session)->local->channel;
    assert_false(pc_event_fits(event, channel));
    pc_frame_done(event);
}

static void without_memory_no_client_sees_another_audience(void **state)
{
    static struct ax ax;
    (void)state;
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        int err = ax_try_open(&ax, 2, PUSHERC_AUTH_RULES, n);
        if (err == 0) {
            pusherc_rule rule = ax_rule(&ax, "t.{x}");
            rule.render = render;
            err = pc_rules_add(&ax.fx.engine->rules, &rule, NULL);
            ax.answer = AX_ALLOW;
        }
        for (size_t i = 0; i < 3 && err == 0; i++)
            err = ax_try_connect(&ax, i, i % 2, i == 0 ? "u0" : i == 1 ? "u1" : "u2");
        if (err == 0) {
            for (size_t i = 0; i < 3; i++) {
                ax.grant.view = i == 1 ? PC_S("customer") : PC_S("agent");
                ax_subscribe(&ax, i, "presence-t.1");
                ax_settle(&ax);
            }
            (void)fx_publish(&ax.fx, "presence-t.1", "news", "all");
            ax.grant.view = PC_S("customer");
            (void)ax_reauthorize(&ax, "u0", NULL);
            ax_settle(&ax);
            ax_pass(&ax, 1);
            const char *text = ax.clients[1].heard;
            if (text && (strstr(text, "\"all\"") || strstr(text, "name")))
                fail_msg("request %zu: %s", n, text);
        }
        failed = failing_alloc_hit(&ax.fx.alloc);
        if (ax.fx.engine)
            ax_close(&ax);
        if (failing_alloc_live(&ax.fx.alloc))
            fail_msg("request %zu: %zu blocks left", n, failing_alloc_live(&ax.fx.alloc));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_views(each_audience_is_rendered_for_once),
        with_views(merged_events_are_not_rendered),
        with_views(a_mistake_shows_nothing),
        with_views(client_events_are_rendered),
        with_views(members_are_rendered),
        with_views(members_of_other_processes_are_rendered),
        with_views(a_new_answer_is_a_new_audience),
        with_views(an_event_on_its_way_comes_to_the_audience_of_before),
        with_views(places_of_audiences_are_used_again),
        with_views(there_are_as_many_audiences_as_promised),
        with_views(there_is_a_limit_for_a_changed_view_too),
        with_views(a_channel_that_comes_again_has_its_own_audiences),
        cmocka_unit_test(without_memory_no_client_sees_another_audience),
    };
    return cmocka_run_group_tests_name("view", tests, NULL, NULL);
}
