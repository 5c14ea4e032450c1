/* Joins that a decider beside the engine decides: at once, later, in any order, or never. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth_fixture.h"
#include "fanout/decider.h"
#include "session/joining.h"
#include "session/member.h"

#define MAX_ASKED 32

/* A decider that does what the test says, and counts: each join it let go on must be taken back or leave. */
struct jx {
    struct ax ax;
    int answer; /* of begin() */
    struct pc_joining *asked[MAX_ASKED];
    size_t asked_count;
    unsigned begun, abandoned, left;
};

static int begin(void *ctx, struct pc_joining *joining)
{
    struct jx *jx = ctx;
    if (jx->answer == PC_JOIN_WAITS) {
        REQUIRE(jx->asked_count < MAX_ASKED);
        jx->asked[jx->asked_count++] = joining;
    }
    jx->begun += jx->answer >= 0;
    return jx->answer;
}

static void forget(struct jx *jx, const struct pc_joining *joining)
{
    for (size_t i = 0; i < jx->asked_count; i++) {
        if (jx->asked[i] != joining)
            continue;
        memmove(&jx->asked[i], &jx->asked[i + 1], (--jx->asked_count - i) * sizeof jx->asked[0]);
        return;
    }
}

static void abandon(void *ctx, struct pc_joining *joining)
{
    struct jx *jx = ctx;
    forget(jx, joining);
    jx->abandoned++;
}

static uint64_t left(void *ctx, const struct pc_app *app, pusherc_slice channel,
                     pusherc_slice user_id)
{
    struct jx *jx = ctx;
    REQUIRE(app && channel.len > 0);
    REQUIRE((user_id.len > 0) == pc_slice_starts(channel, PC_S("presence-")));
    jx->left++;
    return 0;
}

/* The answer to the join of this channel that was asked for first. */
static void decide(struct jx *jx, const char *channel, int result)
{
    for (size_t i = 0; i < jx->asked_count; i++) {
        struct pc_joining *joining = jx->asked[i];
        if (!pc_slice_eq(joining->join.channel, pc_slice_of(channel)))
            continue;
        forget(jx, joining);
        jx->begun -= result < 0;
        pc_join_decide(joining, result);
        return;
    }
    REQUIRE(false); /* it was not asked for */
}

static void decider_open(struct jx *jx)
{
    jx->answer = PC_JOIN_WAITS;
    jx->ax.fx.engine->decider =
        (struct pc_decider){.begin = begin, .abandon = abandon, .left = left, .ctx = jx};
}

static int set_up_mode(void **state, pusherc_auth_mode mode)
{
    struct jx *jx = calloc(1, sizeof *jx);
    *state = jx;
    if (!jx)
        return -1;
    ax_open(&jx->ax, 2, mode);
    decider_open(jx);
    pusherc_rule rule = ax_rule(&jx->ax, "t.{x}");
    ax_add(&jx->ax, &rule);
    ax_connect(&jx->ax, 0, 0, "7");
    ax_connect(&jx->ax, 1, 1, "8");
    return 0;
}

static int set_up(void **state)
{
    return set_up_mode(state, PUSHERC_AUTH_SIGNATURE);
}

static int set_up_rules(void **state)
{
    return set_up_mode(state, PUSHERC_AUTH_RULES);
}

static int tear_down(void **state)
{
    struct jx *jx = *state;
    ax_close(&jx->ax);
    bool clean = failing_alloc_live(&jx->ax.fx.alloc) == 0 && jx->asked_count == 0 &&
                 jx->begun == jx->abandoned + jx->left;
    free(jx);
    return clean ? 0 : -1;
}

#define heard(jx, i) ax_heard(&(jx)->ax, i)

static bool is_in(const struct jx *jx, size_t i, const char *channel)
{
    return pc_session_subscription((struct pc_session *)&jx->ax.clients[i].session,
                                   pc_slice_of(channel)) != NULL;
}

static void a_join_is_answered_when_it_is_decided(void **state)
{
    struct jx *jx = *state;
    struct fx_client *client = &jx->ax.clients[0];
    fx_subscribe(client, "news");
    assert_string_equal(heard(jx, 0), "");
    assert_false(is_in(jx, 0, "news"));
    /* an event before is not for it, one after it is */
    assert_int_equal(fx_publish(&jx->ax.fx, "news", "before", "{}"), 0);
    decide(jx, "news", 0);
    assert_int_equal(fx_publish(&jx->ax.fx, "news", "after", "{}"), 0);
    const char *text = heard(jx, 0);
    assert_int_equal(ax_count(text, "subscription_succeeded"), 1);
    assert_int_equal(ax_count(text, "before"), 0);
    assert_int_equal(ax_count(text, "after"), 1);
    assert_int_equal(client->session.subscription_count, 1);
}

static void what_is_decided_at_once_is_answered_at_once(void **state)
{
    struct jx *jx = *state;
    jx->answer = 0;
    fx_join(&jx->ax.clients[0], "presence-room", "{\"user_id\":\"7\"}");
    assert_true(is_in(jx, 0, "presence-room"));
    assert_int_equal(ax_count(heard(jx, 0), "\\\"count\\\":1"), 1);
    fx_unsubscribe(&jx->ax.clients[0], "presence-room");
    assert_int_equal(jx->left, 0); /* it may come back */
    fx_wait(&jx->ax.fx);
    assert_int_equal(jx->left, 1);
}

static void a_member_is_there_when_its_join_is_finished(void **state)
{
    struct jx *jx = *state;
    jx->answer = 0;
    fx_join(&jx->ax.clients[1], "presence-room", "{\"user_id\":\"8\"}");
    heard(jx, 1);
    jx->answer = PC_JOIN_WAITS;
    fx_join(&jx->ax.clients[0], "presence-room", "{\"user_id\":\"7\"}");
    assert_string_equal(heard(jx, 1), "");
    decide(jx, "presence-room", 0);
    assert_int_equal(ax_count(heard(jx, 1), "member_added"), 1);
    assert_int_equal(ax_count(heard(jx, 0), "\\\"count\\\":2"), 1);
}

static void answers_keep_the_order_of_requests(void **state)
{
    struct jx *jx = *state;
    fx_subscribe(&jx->ax.clients[0], "a");
    fx_subscribe(&jx->ax.clients[0], "b");
    fx_subscribe(&jx->ax.clients[0], "c");
    jx->answer = 0;
    fx_subscribe(&jx->ax.clients[0], "d");
    decide(jx, "c", 0);
    decide(jx, "b", PUSHERC_ELIMIT);
    assert_string_equal(heard(jx, 0), "");
    assert_false(is_in(jx, 0, "c"));
    decide(jx, "a", 0);
    const char *text = heard(jx, 0);
    const char *a = strstr(text, "\"channel\":\"a\""), *b = strstr(text, "\"channel\":\"b\""),
               *c = strstr(text, "\"channel\":\"c\""), *d = strstr(text, "\"channel\":\"d\"");
    assert_true(a && b && c && d && a < b && b < c && c < d);
    assert_int_equal(ax_count(text, "subscription_succeeded"), 3);
    assert_int_equal(ax_count(text, "LimitReached"), 1);
    assert_int_equal(jx->ax.clients[0].session.subscription_count, 3);
}

static void a_refusal_is_said(void **state)
{
    struct jx *jx = *state;
    jx->answer = PUSHERC_ELIMIT;
    fx_subscribe(&jx->ax.clients[0], "a");
    assert_int_equal(ax_count(heard(jx, 0), "LimitReached"), 1);
    jx->answer = PUSHERC_ENOMEM;
    fx_subscribe(&jx->ax.clients[0], "a");
    assert_int_equal(ax_count(heard(jx, 0), "Out of memory"), 2); /* in both messages */
    assert_int_equal(jx->ax.clients[0].session.subscription_count, 0);
}

static void subscribing_again_meanwhile_is_in_progress(void **state)
{
    struct jx *jx = *state;
    fx_subscribe(&jx->ax.clients[0], "news");
    fx_subscribe(&jx->ax.clients[0], "news");
    assert_int_equal(ax_count(heard(jx, 0), "Subscription in progress to channel news"), 1);
    assert_int_equal(jx->asked_count, 1);
    decide(jx, "news", 0);
    assert_int_equal(ax_count(heard(jx, 0), "subscription_succeeded"), 1);
}

static void unsubscribing_takes_it_back(void **state)
{
    struct jx *jx = *state;
    fx_subscribe(&jx->ax.clients[0], "a");
    fx_subscribe(&jx->ax.clients[0], "b");
    fx_subscribe(&jx->ax.clients[0], "c");
    decide(jx, "b", 0);
    fx_unsubscribe(&jx->ax.clients[0], "a");
    assert_int_equal(jx->abandoned, 1);
    ax_pass(&jx->ax, 1); /* what waited behind it */
    const char *text = heard(jx, 0);
    assert_int_equal(ax_count(text, "\"channel\":\"a\""), 0);
    assert_int_equal(ax_count(text, "\"channel\":\"b\""), 1);
    fx_unsubscribe(&jx->ax.clients[0], "c");
    fx_unsubscribe(&jx->ax.clients[0], "c");
    assert_int_equal(ax_count(heard(jx, 0), "No current subscription to channel c"), 1);
    assert_int_equal(jx->ax.clients[0].session.subscription_count, 1);
    fx_subscribe(&jx->ax.clients[0], "a"); /* anew */
    decide(jx, "a", 0);
    assert_int_equal(ax_count(heard(jx, 0), "subscription_succeeded"), 1);
}

/* Decided and blocked is taken back, too. */
static void a_session_that_ends_takes_all_back(void **state)
{
    struct jx *jx = *state;
    fx_subscribe(&jx->ax.clients[0], "a");
    fx_subscribe(&jx->ax.clients[0], "private-b");
    fx_subscribe(&jx->ax.clients[0], "c");
    fx_join(&jx->ax.clients[0], "presence-t.1", "{\"user_id\":\"7\"}");
    decide(jx, "c", 0);
    fx_disconnect(&jx->ax.clients[0]);
    assert_int_equal(jx->abandoned, 4);
    assert_int_equal(jx->asked_count, 0);
}

static void waiting_joins_count_against_the_limit(void **state)
{
    struct jx *jx = *state;
    pusherc_app_options app = fx_app();
    app.max_channels_per_connection = 2;
    app.id = "small", app.key = "small-key";
    assert_int_equal(fx_try_put(&jx->ax.fx, &app), 0);
    struct fx_client *client = &jx->ax.clients[2];
    assert_int_equal(fx_try_connect_to(&jx->ax.fx, client, 0, 7, "small-key", NULL), 0);
    fx_subscribe(client, "a");
    fx_subscribe(client, "b");
    fx_subscribe(client, "c");
    assert_int_equal(ax_count(heard(jx, 2), "Too many channels"), 2);
    fx_unsubscribe(client, "a");
    fx_subscribe(client, "c");
    assert_int_equal(ax_count(heard(jx, 2), "Too many channels"), 0);
    assert_int_equal(jx->asked_count, 2);
}

/* What is decided may still not be possible: the decider hears that it has left. */
static void a_join_that_cannot_be_finished_is_refused(void **state)
{
    struct jx *jx = *state;
    pusherc_app_options app = fx_app();
    app.max_presence_members = 1;
    assert_int_equal(fx_try_put(&jx->ax.fx, &app), 0);
    for (size_t i = 2; i < 4; i++)
        ax_connect(&jx->ax, i, 0, NULL);
    fx_join(&jx->ax.clients[2], "presence-room", "{\"user_id\":\"7\"}");
    fx_join(&jx->ax.clients[3], "presence-room", "{\"user_id\":\"8\"}");
    decide(jx, "presence-room", 0);
    decide(jx, "presence-room", 0);
    assert_int_equal(ax_count(heard(jx, 3), "maximum of members"), 2);
    assert_int_equal(jx->left, 1);
}

/* -- with grants -- */

static void a_rules_yes_waits_for_the_decider(void **state)
{
    struct jx *jx = *state;
    ax_subscribe(&jx->ax, 0, "private-t.1");
    assert_int_equal(ax_allow(&jx->ax), 0);
    assert_string_equal(heard(jx, 0), "");
    ax_subscribe(&jx->ax, 0, "private-t.1");
    assert_int_equal(ax_count(heard(jx, 0), "Subscription in progress"), 1);
    decide(jx, "private-t.1", 0);
    assert_int_equal(ax_count(heard(jx, 0), "subscription_succeeded"), 1);
    assert_int_equal(pc_grant_find(&jx->ax.clients[0].session, PC_S("private-t.1"))->state,
                     PC_GRANT_STANDING);
}

static void a_grant_lost_while_its_join_waits_takes_it_back(void **state)
{
    struct jx *jx = *state;
    ax_subscribe(&jx->ax, 0, "private-t.1");
    assert_int_equal(ax_allow(&jx->ax), 0);
    assert_int_equal(ax_reauthorize(&jx->ax, NULL, NULL), 0);
    assert_int_equal(ax_deny(&jx->ax), 0);
    assert_int_equal(jx->abandoned, 1);
    assert_int_equal(ax_count(heard(jx, 0), "subscription_error"), 1);
    assert_int_equal(jx->ax.done, 1);
    assert_int_equal(jx->ax.clients[0].session.subscription_count, 0);
}

static void a_grant_confirmed_while_its_join_waits_stays(void **state)
{
    struct jx *jx = *state;
    ax_subscribe(&jx->ax, 0, "private-t.1");
    assert_int_equal(ax_allow(&jx->ax), 0);
    assert_int_equal(ax_reauthorize(&jx->ax, NULL, NULL), 0);
    jx->ax.grant.expires_in_ms = 5000;
    assert_int_equal(ax_allow(&jx->ax), 0);
    assert_int_equal(jx->asked_count, 1);
    decide(jx, "private-t.1", 0);
    assert_true(is_in(jx, 0, "private-t.1"));
    ax_pass(&jx->ax, 6000); /* the latest answer's time counts */
    assert_int_equal(jx->ax.asked_count, 1);
    assert_int_equal(ax_allow(&jx->ax), 0);
}

static void the_host_takes_back_a_join_that_waits(void **state)
{
    struct jx *jx = *state;
    struct pc_session *session = &jx->ax.clients[0].session;
    fx_subscribe(&jx->ax.clients[0], "news"); /* without a grant */
    ax_subscribe(&jx->ax, 0, "private-t.1");  /* with one */
    assert_int_equal(ax_allow(&jx->ax), 0);
    assert_true(pc_grant_revoke(session, PC_S("news"), PC_S("gone")));
    assert_true(pc_grant_revoke(session, PC_S("private-t.1"), PC_S("gone")));
    assert_false(pc_grant_revoke(session, PC_S("news"), PC_S("gone")));
    assert_int_equal(jx->abandoned, 2);
    assert_int_equal(ax_count(heard(jx, 0), "subscription_error"), 2);
    assert_int_equal(session->subscription_count, 0);
}

/* A join blocked behind another is finished later, and not from inside a walk over the session's grants. */
static void losing_one_grant_lets_the_next_join_go_on(void **state)
{
    struct jx *jx = *state;
    ax_subscribe(&jx->ax, 0, "private-t.1");
    ax_subscribe(&jx->ax, 0, "private-t.2");
    assert_int_equal(ax_allow(&jx->ax), 0);
    assert_int_equal(ax_allow(&jx->ax), 0);
    decide(jx, "private-t.2", 0);
    jx->ax.answer = AX_DENY;
    assert_int_equal(ax_reauthorize(&jx->ax, NULL, "t.1"), 0);
    ax_settle(&jx->ax);
    ax_pass(&jx->ax, 1);
    assert_true(is_in(jx, 0, "private-t.2"));
    assert_false(is_in(jx, 0, "private-t.1"));
    jx->ax.answer = AX_LATER;
}

static void what_an_endpoint_allowed_waits_as_long_as_it_takes(void **state)
{
    struct jx *jx = *state;
    struct pc_session *session = &jx->ax.clients[0].session;
    struct pc_channel_class class;
    struct pc_verdict verdict = {.allowed = true};
    assert_true(pc_channel_name_valid(PC_S("private-t.1"), 200, &class));
    pc_grant_remember(session, PC_S("private-t.1"), class, NULL, &verdict);
    fx_subscribe(&jx->ax.clients[0], "private-t.1");
    pc_grant_remember(session, PC_S("private-t.1"), class, NULL, &verdict); /* asked twice */
    jx->ax.clients[0].session.seen_ms += 200000;
    ax_pass(&jx->ax, 100000); /* longer than a client may take that does not subscribe */
    assert_int_equal(jx->abandoned, 0);
    decide(jx, "private-t.1", 0);
    assert_true(is_in(jx, 0, "private-t.1"));
}

/* -- memory -- */

static void script(struct jx *jx)
{
    if (ax_try_connect(&jx->ax, 0, 0, "7"))
        return;
    struct fx_client *client = &jx->ax.clients[0];
    fx_subscribe(client, "a");
    fx_join(client, "presence-room", "{\"user_id\":\"7\"}");
    ax_subscribe(&jx->ax, 0, "private-t.1");
    jx->ax.answer = AX_ALLOW;
    ax_settle(&jx->ax);
    while (jx->asked_count > 1) {
        struct pc_joining *last = jx->asked[--jx->asked_count];
        pc_join_decide(last, 0);
    }
    fx_unsubscribe(client, "a");
    if (jx->asked_count)
        pc_join_decide(jx->asked[--jx->asked_count], 0);
    ax_pass(&jx->ax, 1);
    fx_subscribe(client, "never-decided");
}

static void without_memory_nothing_is_left_behind(void **state)
{
    (void)state;
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct jx *jx = calloc(1, sizeof *jx);
        assert_non_null(jx);
        if (ax_try_open(&jx->ax, 1, PUSHERC_AUTH_EITHER, n) == 0) {
            decider_open(jx);
            pusherc_rule rule = ax_rule(&jx->ax, "t.{x}");
            pusherc_errinfo info;
            if (pc_rules_add(&jx->ax.fx.engine->rules, &rule, &info) == 0)
                script(jx);
            ax_close(&jx->ax);
        }
        failed = failing_alloc_hit(&jx->ax.fx.alloc);
        assert_int_equal(jx->begun, jx->abandoned + jx->left);
        assert_int_equal(jx->asked_count, 0);
        assert_int_equal(failing_alloc_live(&jx->ax.fx.alloc), 0);
        free(jx);
    }
}

#define TEST(name)       cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_RULES(name) cmocka_unit_test_setup_teardown(name, set_up_rules, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_join_is_answered_when_it_is_decided),
        TEST(what_is_decided_at_once_is_answered_at_once),
        TEST(a_member_is_there_when_its_join_is_finished),
        TEST(answers_keep_the_order_of_requests),
        TEST(a_refusal_is_said),
        TEST(subscribing_again_meanwhile_is_in_progress),
        TEST(unsubscribing_takes_it_back),
        TEST(a_session_that_ends_takes_all_back),
        TEST(waiting_joins_count_against_the_limit),
        TEST(a_join_that_cannot_be_finished_is_refused),
        TEST_RULES(a_rules_yes_waits_for_the_decider),
        TEST_RULES(a_grant_lost_while_its_join_waits_takes_it_back),
        TEST_RULES(a_grant_confirmed_while_its_join_waits_stays),
        TEST_RULES(the_host_takes_back_a_join_that_waits),
        TEST_RULES(losing_one_grant_lets_the_next_join_go_on),
        TEST(what_an_endpoint_allowed_waits_as_long_as_it_takes),
        cmocka_unit_test(without_memory_nothing_is_left_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
