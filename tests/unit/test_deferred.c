/* Subscribes that lack a user: what the client is told, and that a sign-in has them decided again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth_fixture.h"

#define WAIT_MS 10000 /* signin_wait_ms */
#define SLOT_MS PC_TIMER_SLOT_MS

#define SUCCEEDED "subscription_succeeded"
#define ERROR     "pusher:subscription_error"

struct d {
    struct ax ax; /* the first member: ax_tear_down() frees it */
    bool says_401;
};

/* Lets users in; says 401 or 403 to clients without one. */
static void authorize(pusherc_auth_request *request, void *user_data)
{
    struct d *d = user_data;
    d->ax.calls++;
    if (pusherc_auth_user_id(request).len == 0)
        pusherc_auth_deny(request, d->says_401 ? 401 : 403, "Members only");
    else if (pc_slice_eq(pusherc_auth_user_id(request), PC_S("banned")))
        pusherc_auth_deny(request, 401, "Not you");
    else
        pusherc_auth_allow(request, NULL);
}

static void put_app(struct d *d, pusherc_auth_mode mode, uint32_t wait_ms, uint32_t max)
{
    pusherc_app_options app = fx_app();
    app.auth_mode = mode;
    app.signin_wait_ms = wait_ms;
    app.max_deferred_channels = max;
    REQUIRE(fx_try_put(&d->ax.fx, &app) == 0);
}

static void add_rule(struct d *d)
{
    pusherc_rule rule = PUSHERC_RULE_INIT;
    rule.pattern = "t.{x}";
    rule.kinds = PUSHERC_RULE_PUBLIC | PUSHERC_RULE_PRIVATE | PUSHERC_RULE_PRESENCE;
    rule.authorize = authorize;
    rule.user_data = d;
    ax_add(&d->ax, &rule);
}

static int open_workers(void **state, uint32_t workers)
{
    struct d *d = calloc(1, sizeof *d);
    REQUIRE(d);
    ax_open(&d->ax, workers, PUSHERC_AUTH_SIGNATURE);
    add_rule(d);
    d->says_401 = true;
    *state = d;
    return 0;
}

static int set_up(void **state)
{
    return open_workers(state, 1);
}

static struct d *begin(void **state)
{
    struct d *d = *state;
    ax_connect(&d->ax, 0, 0, NULL);
    return d;
}

static void heard(struct d *d, size_t i, const char *needle)
{
    const char *text = ax_heard(&d->ax, i);
    if (!strstr(text, needle))
        fail_msg("client %zu: no %s in \"%s\"", i, needle, text);
}

static void heard_nothing(struct d *d, size_t i)
{
    assert_string_equal(ax_heard(&d->ax, i), "");
}

static void sign_in(struct d *d, size_t i, const char *id)
{
    char user[64];
    snprintf(user, sizeof user, "{\"id\":\"%s\"}", id);
    fx_sign_in(&d->ax.clients[i], user);
}

/* Fills a subscribe by number. */
static void subscribe_number(struct d *d, size_t i, unsigned number)
{
    char name[32];
    snprintf(name, sizeof name, "t.%u", number);
    ax_subscribe(&d->ax, i, name);
}

static void a_client_without_a_user_is_told_to_sign_in_first(void **state)
{
    struct d *d = begin(state);
    ax_subscribe(&d->ax, 0, "t.1");
    assert_string_equal(ax_heard(&d->ax, 0),
                        "{\"event\":\"pusher:error\",\"data\":{\"code\":null,\"message\":"
                        "\"Sign in first: Members only: t.1\"}}\n");
    assert_string_equal(ax_denied(&d->ax), "NO_USER t.1 (t.{x})  401 Members only\n");
}

static void its_sign_in_subscribes_it(void **state)
{
    struct d *d = begin(state);
    ax_subscribe(&d->ax, 0, "t.1");
    ax_subscribe(&d->ax, 0, "t.2");
    ax_heard(&d->ax, 0);
    sign_in(d, 0, "7");
    const char *text = ax_heard(&d->ax, 0);
    const char *user = strstr(text, "signin_success"), *one = strstr(text, "\"t.1\""),
               *two = strstr(text, "\"t.2\"");
    assert_true(user && one && two && user < one && one < two);
    assert_int_equal(ax_count(text, SUCCEEDED), 2);
    fx_publish(&d->ax.fx, "t.1", "news", "{}");
    heard(d, 0, "news");
    assert_null(d->ax.clients[0].session.deferred);
    ax_pass(&d->ax, 2 * WAIT_MS);
    heard_nothing(d, 0);
}

static void without_a_sign_in_it_is_refused_in_the_end(void **state)
{
    struct d *d = begin(state);
    ax_subscribe(&d->ax, 0, "t.1");
    ax_settle(&d->ax);
    ax_pass(&d->ax, WAIT_MS / 2);
    ax_subscribe(&d->ax, 0, "t.2");
    ax_heard(&d->ax, 0);
    ax_denied(&d->ax);
    ax_pass(&d->ax, WAIT_MS / 2 - SLOT_MS);
    heard_nothing(d, 0);
    ax_pass(&d->ax, 2 * SLOT_MS);
    assert_string_equal(ax_heard(&d->ax, 0),
                        "{\"event\":\"pusher:error\",\"data\":{\"code\":null,\"message\":"
                        "\"Members only: t.1\"}}\n"
                        "{\"event\":\"pusher:subscription_error\",\"channel\":\"t.1\",\"data\":"
                        "\"{\\\"type\\\":\\\"AuthError\\\",\\\"error\\\":\\\"Members only: t.1"
                        "\\\",\\\"status\\\":401}\"}\n");
    ax_pass(&d->ax, WAIT_MS / 2);
    heard(d, 0, "Members only: t.2");
    assert_string_equal(ax_denied(&d->ax), ""); /* the host has been told */
    sign_in(d, 0, "7");
    assert_int_equal(ax_count(ax_heard(&d->ax, 0), SUCCEEDED), 2);
}

static void another_refusal_is_told_at_once_and_decided_again_as_well(void **state)
{
    struct d *d = begin(state);
    d->says_401 = false;
    ax_subscribe(&d->ax, 0, "t.1");
    heard(d, 0, ERROR);
    ax_pass(&d->ax, 2 * WAIT_MS);
    heard_nothing(d, 0);
    sign_in(d, 0, "7");
    heard(d, 0, SUCCEEDED);
}

static void an_app_may_have_it_told_at_once(void **state)
{
    struct d *d = *state;
    put_app(d, PUSHERC_AUTH_SIGNATURE, PUSHERC_NO_DELAY, 0);
    begin(state);
    ax_subscribe(&d->ax, 0, "t.1");
    heard(d, 0, ERROR);
    sign_in(d, 0, "7");
    heard(d, 0, SUCCEEDED);
}

static void a_user_whom_the_rule_refuses_is_told_at_once(void **state)
{
    struct d *d = begin(state);
    ax_subscribe(&d->ax, 0, "t.1");
    heard(d, 0, "Sign in first");
    sign_in(d, 0, "banned");
    heard(d, 0, ERROR);
    ax_subscribe(&d->ax, 0, "t.2");
    heard(d, 0, ERROR);
    ax_denied(&d->ax);
    ax_connect(&d->ax, 1, 0, "banned"); /* by identify */
    ax_subscribe(&d->ax, 1, "t.1");
    heard(d, 1, ERROR);
    assert_string_equal(ax_denied(&d->ax), "BY_RULE t.1 (t.{x}) banned 401 Not you\n");
    assert_null(d->ax.clients[0].session.deferred);
    assert_null(d->ax.clients[1].session.deferred);
}

static void a_member_joins_with_the_sign_in(void **state)
{
    struct d *d = begin(state);
    put_app(d, PUSHERC_AUTH_RULES, 0, 0);
    ax_connect(&d->ax, 1, 0, NULL);
    ax_subscribe(&d->ax, 1, "presence-t.1");
    heard(d, 1, "Sign in first");
    sign_in(d, 1, "7");
    heard(d, 1, "\\\"ids\\\":[\\\"7\\\"]");
}

/* The client may say the same again after its sign-in, as stock clients do. */
static void what_no_rule_decides_is_refused_for_good(void **state)
{
    struct d *d = begin(state);
    fx_subscribe(&d->ax.clients[0], "presence-room"); /* signed, without channel_data */
    heard(d, 0, ERROR);
    ax_subscribe(&d->ax, 0, "#server-to-user-7");
    heard(d, 0, ERROR);
    sign_in(d, 0, "7");
    assert_int_equal(ax_count(ax_heard(&d->ax, 0), "\"channel\":"), 0);
}

/* The rule allows an anonymous client a presence channel, and names no member. */
static void a_rule_that_names_no_member_lacks_one(void **state)
{
    struct d *d = *state;
    put_app(d, PUSHERC_AUTH_RULES, 0, 0);
    pusherc_rule rule = ax_rule(&d->ax, "r.{x}");
    ax_add(&d->ax, &rule);
    d->ax.answer = AX_ALLOW;
    begin(state);
    ax_subscribe(&d->ax, 0, "presence-r.1");
    heard(d, 0, "Sign in first: A presence channel needs a user id: presence-r.1");
    sign_in(d, 0, "7");
    heard(d, 0, "\\\"ids\\\":[\\\"7\\\"]");
}

static void a_channel_that_is_left_is_forgotten(void **state)
{
    struct d *d = begin(state);
    ax_subscribe(&d->ax, 0, "t.1");
    ax_subscribe(&d->ax, 0, "t.2");
    ax_heard(&d->ax, 0);
    fx_unsubscribe(&d->ax.clients[0], "t.1");
    heard_nothing(d, 0);
    fx_unsubscribe(&d->ax.clients[0], "t.1");
    heard(d, 0, "No current subscription to channel t.1");
    sign_in(d, 0, "7");
    const char *text = ax_heard(&d->ax, 0);
    assert_int_equal(ax_count(text, SUCCEEDED), 1);
    assert_non_null(strstr(text, "\"t.2\""));
}

static void a_second_subscribe_takes_the_place_of_the_first(void **state)
{
    struct d *d = begin(state);
    ax_subscribe(&d->ax, 0, "t.1");
    heard(d, 0, "Sign in first");
    ax_pass(&d->ax, WAIT_MS / 2);
    ax_subscribe(&d->ax, 0, "t.1");
    heard(d, 0, "Sign in first");
    ax_pass(&d->ax, WAIT_MS / 2 + SLOT_MS);
    heard_nothing(d, 0); /* the time began anew */
    sign_in(d, 0, "7");
    assert_int_equal(ax_count(ax_heard(&d->ax, 0), SUCCEEDED), 1);
}

static void an_answer_that_the_sign_in_has_overtaken_is_asked_for_again(void **state)
{
    struct d *d = *state;
    pusherc_rule rule = ax_rule(&d->ax, "late.{x}");
    rule.kinds = PUSHERC_RULE_PUBLIC;
    ax_add(&d->ax, &rule);
    begin(state);
    ax_subscribe(&d->ax, 0, "late.1");
    pusherc_auth_request *request = ax_next(&d->ax);
    sign_in(d, 0, "7");
    heard(d, 0, "signin_success");
    assert_int_equal(pusherc_auth_deny(request, 401, NULL), 0);
    heard_nothing(d, 0);
    assert_int_equal(ax_denied(&d->ax)[0], '\0');
    request = ax_next(&d->ax);
    assert_true(pc_slice_eq(pusherc_auth_user_id(request), PC_S("7")));
    pusherc_auth_allow(request, NULL);
    heard(d, 0, SUCCEEDED);
}

static uint64_t over_limit(const struct d *d)
{
    struct pc_app *app = pc_apps_by_id(&d->ax.fx.engine->apps, PC_S("app-id"));
    uint64_t n = atomic_load(&app->state->refusals.limits[PC_APP_max_deferred_channels]);
    pc_app_unref(app);
    return n;
}

static void more_than_its_share_is_refused_for_good(void **state)
{
    struct d *d = *state;
    put_app(d, PUSHERC_AUTH_SIGNATURE, 0, 5);
    begin(state);
    for (unsigned n = 0; n < 8; n++)
        subscribe_number(d, 0, n);
    const char *text = ax_heard(&d->ax, 0);
    assert_int_equal(ax_count(text, "Sign in first"), 5);
    assert_int_equal(ax_count(text, ERROR), 3);
    assert_int_equal(over_limit(d), 3);
    fx_unsubscribe(&d->ax.clients[0], "t.0");
    subscribe_number(d, 0, 9);
    heard(d, 0, "Sign in first");
    sign_in(d, 0, "7");
    assert_int_equal(ax_count(ax_heard(&d->ax, 0), SUCCEEDED), 5);
}

static void they_are_decided_again_on_each_worker(void **state)
{
    struct d *d = *state;
    uint32_t workers = d->ax.fx.engine->worker_count;
    for (size_t i = 0; i < AX_CLIENTS; i++) {
        ax_connect(&d->ax, i, (uint32_t)i % workers, NULL);
        ax_subscribe(&d->ax, i, "t.1");
        ax_subscribe(&d->ax, i, "t.2");
        assert_int_equal(ax_count(ax_heard(&d->ax, i), "Sign in first"), 2);
    }
    for (size_t i = 0; i < AX_CLIENTS; i += 2) {
        char id[8];
        snprintf(id, sizeof id, "u%zu", i);
        sign_in(d, i, id);
        assert_int_equal(ax_count(ax_heard(&d->ax, i), SUCCEEDED), 2);
    }
    for (size_t i = 0; i < AX_CLIENTS; i++)
        ax_heard(&d->ax, i);
    fx_publish(&d->ax.fx, "t.2", "news", "{}");
    for (size_t i = 0; i < AX_CLIENTS; i++)
        assert_int_equal(ax_count(ax_heard(&d->ax, i), "news"), i % 2 == 0);
    ax_pass(&d->ax, WAIT_MS + SLOT_MS);
    for (size_t i = 0; i < AX_CLIENTS; i++)
        assert_int_equal(ax_count(ax_heard(&d->ax, i), ERROR), i % 2 == 0 ? 0 : 2);
}

static int two_workers(void **state)
{
    return open_workers(state, 2);
}

static int four_workers(void **state)
{
    return open_workers(state, 4);
}

/* Request number `n` of memory fails. False: there were fewer. */
static bool scenario(struct d *d, size_t n)
{
    *d = (struct d){.says_401 = true};
    if (ax_try_open(&d->ax, 1, PUSHERC_AUTH_SIGNATURE, 0))
        return true;
    add_rule(d);
    bool failed = false;
    if (ax_try_connect(&d->ax, 0, 0, NULL) == 0) {
        d->ax.fx.alloc.requests = 0;
        d->ax.fx.alloc.fail_at = n;
        ax_subscribe(&d->ax, 0, "t.1");
        ax_subscribe(&d->ax, 0, "t.2");
        ax_settle(&d->ax);
        sign_in(d, 0, "7");
        ax_settle(&d->ax);
        failed = d->ax.fx.alloc.requests >= n;
        ax_pass(&d->ax, AX_TIMEOUT_MS + SLOT_MS); /* the host may not have got a question */
        const char *text = ax_heard(&d->ax, 0);
        /* each channel is either subscribed, or the client was told that it is not */
        if (!d->ax.clients[0].closed && strstr(text, "signin_success"))
            if (ax_count(text, SUCCEEDED) + ax_count(text, ERROR) < 2)
                fail_msg("%zu: %s", n, text);
    }
    ax_close(&d->ax);
    assert_int_equal(failing_alloc_live(&d->ax.fx.alloc), 0);
    return failed;
}

static void without_memory_a_client_is_told_so(void **state)
{
    static struct d d;
    size_t n = 1;
    (void)state;
    while (scenario(&d, n))
        n++;
    assert_true(n > 5);
}

#define with(set_up, function) cmocka_unit_test_setup_teardown(function, set_up, ax_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with(set_up, a_client_without_a_user_is_told_to_sign_in_first),
        with(set_up, its_sign_in_subscribes_it),
        with(set_up, without_a_sign_in_it_is_refused_in_the_end),
        with(set_up, another_refusal_is_told_at_once_and_decided_again_as_well),
        with(set_up, an_app_may_have_it_told_at_once),
        with(set_up, a_user_whom_the_rule_refuses_is_told_at_once),
        with(set_up, a_member_joins_with_the_sign_in),
        with(set_up, a_rule_that_names_no_member_lacks_one),
        with(set_up, a_channel_that_is_left_is_forgotten),
        with(set_up, a_second_subscribe_takes_the_place_of_the_first),
        with(set_up, an_answer_that_the_sign_in_has_overtaken_is_asked_for_again),
        with(set_up, more_than_its_share_is_refused_for_good),
        with(set_up, what_no_rule_decides_is_refused_for_good),
        with(set_up, they_are_decided_again_on_each_worker),
        with(two_workers, they_are_decided_again_on_each_worker),
        with(four_workers, they_are_decided_again_on_each_worker),
        cmocka_unit_test(without_memory_a_client_is_told_so),
    };
    return cmocka_run_group_tests_name("deferred", tests, NULL, NULL);
}
