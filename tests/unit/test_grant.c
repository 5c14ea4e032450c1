/* Grants: who decides, what a subscription gets by it, and what happens when the host changes its mind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/denial.h"
#include "auth_fixture.h"

static struct ax *open_mode(pusherc_auth_mode mode)
{
    struct ax *ax = malloc(sizeof *ax);
    REQUIRE(ax);
    ax_open(ax, 2, mode);
    return ax;
}

static int rules_only(void **state)
{
    return (*state = open_mode(PUSHERC_AUTH_RULES)) ? 0 : -1;
}

static int signatures_only(void **state)
{
    return (*state = open_mode(PUSHERC_AUTH_SIGNATURE)) ? 0 : -1;
}

static int either(void **state)
{
    return (*state = open_mode(PUSHERC_AUTH_EITHER)) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct ax *ax = *state;
    while (ax->asked_count > 0)
        pusherc_auth_deny(ax->asked[--ax->asked_count], 0, NULL);
    return ax_tear_down(state);
}

static void add_rule(struct ax *ax, const char *pattern, uint32_t kinds)
{
    pusherc_rule rule = ax_rule(ax, pattern);
    rule.kinds = kinds;
    ax_add(ax, &rule);
}

/* What most tests begin with: the rule t.{x}, and client 0 on worker 0. user NULL = anonymous. */
static struct ax *begin(void **state, const char *user)
{
    struct ax *ax = *state;
    add_rule(ax, "t.{x}", 0);
    ax_connect(ax, 0, 0, user);
    return ax;
}

static void heard(struct ax *ax, size_t i, const char *needle)
{
    const char *text = ax_heard(ax, i);
    if (!strstr(text, needle))
        fail_msg("client %zu: no %s in \"%s\"", i, needle, text);
}

static void heard_nothing(struct ax *ax, size_t i)
{
    assert_string_equal(ax_heard(ax, i), "");
}

static void denied(struct ax *ax, const char *line)
{
    ax_settle(ax);
    assert_string_equal(ax_denied(ax), line);
}

/* Client i has the channel without a token. */
static void enter(struct ax *ax, size_t i, const char *channel)
{
    enum ax_answer before = ax->answer;
    ax->answer = AX_ALLOW;
    ax_subscribe(ax, i, channel);
    heard(ax, i, "subscription_succeeded");
    ax->answer = before;
}

static void publish(struct ax *ax, const char *channel)
{
    assert_int_equal(fx_publish(&ax->fx, channel, "news", "{}"), 0);
}

/* What the endpoint does once it has allowed. */
static void remember(struct ax *ax, size_t i, const char *channel, const char *user,
                     const char *view, uint32_t expires_in_ms)
{
    struct pc_session *s = &ax->clients[i].session;
    struct pc_channel_class class;
    struct pc_identity *who =
        user ? pc_identity_new(&ax->fx.mem, pc_slice_of(user), PC_S("")) : NULL;
    struct pc_verdict verdict = {
        .allowed = true, .view = pc_slice_of(view), .expires_in_ms = expires_in_ms};
    assert_true(pc_channel_name_valid(pc_slice_of(channel), 200, &class));
    pc_grant_remember(s, pc_slice_of(channel), class, who, &verdict);
    pc_identity_unref(who);
}

/* -- who decides -- */

enum by {
    SIGNED = 0,
    FORGED,
    BARE /* no token */
};

static void subscribe_as(struct ax *ax, size_t i, const char *channel, enum by by)
{
    char text[1024];
    const char *member = strncmp(channel, "presence-", 9) == 0 ? "{\"user_id\":\"7\"}" : NULL;
    switch (by) {
    case SIGNED:
        fx_join(&ax->clients[i], channel, member);
        break;
    case FORGED:
        snprintf(text, sizeof text,
                 "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"%s\",\"auth\":"
                 "\"app-key:0123456789012345678901234567890123456789012345678901234567890123\"}}",
                 channel);
        fx_say(&ax->clients[i], text);
        break;
    case BARE:
        ax_subscribe(ax, i, channel);
        break;
    }
}

/* What a subscribe leads to: a success, a question to the rule, or a reason. */
static void expect_decider(struct ax *ax, const char *channel, enum by by, const char *what)
{
    unsigned before = ax->calls;
    ax->answer = AX_ALLOW;
    ax_connect(ax, 0, 0, "7");
    subscribe_as(ax, 0, channel, by);
    const char *text = ax_heard(ax, 0);
    const char *reason = ax_denied(ax);
    bool asked = ax->calls > before, in = strstr(text, "subscription_succeeded") != NULL;
    const char *found = asked && in ? "rule" : in ? "in" : asked ? "rule refused" : reason;
    if (strncmp(found, what, strlen(what)) != 0)
        fail_msg("%s %d: %s instead of %s", channel, by, found, what);
    assert_int_equal(strstr(text, "subscription_error") == NULL, in);
    fx_disconnect(&ax->clients[0]);
    ax->clients[0].fx = NULL;
}

static void add_deciders(struct ax *ax)
{
    add_rule(ax, "ruled.{x}", 0);
    add_rule(ax, "guarded.{x}", PUSHERC_RULE_PUBLIC);
}

static void signatures_decide_where_the_app_says_so(void **state)
{
    struct ax *ax = *state;
    add_deciders(ax);
    expect_decider(ax, "private-ruled.1", SIGNED, "in");
    expect_decider(ax, "private-ruled.1", BARE, "NO_SIGNATURE");
    expect_decider(ax, "private-ruled.1", FORGED, "BAD_SIGNATURE");
    expect_decider(ax, "private-other", SIGNED, "in");
    expect_decider(ax, "presence-ruled.1", SIGNED, "in");
    expect_decider(ax, "presence-ruled.1", BARE, "NO_SIGNATURE");
    expect_decider(ax, "private-encrypted-ruled.1", SIGNED, "in");
    expect_decider(ax, "guarded.1", BARE, "rule");
    expect_decider(ax, "cache-guarded.1", BARE, "rule");
    expect_decider(ax, "private-guarded.1", SIGNED, "in");
    expect_decider(ax, "ruled.1", BARE, "in");
    expect_decider(ax, "other", BARE, "in");
}

static void rules_decide_where_the_app_says_so(void **state)
{
    struct ax *ax = *state;
    add_deciders(ax);
    expect_decider(ax, "private-ruled.1", SIGNED, "rule");
    expect_decider(ax, "private-ruled.1", FORGED, "rule");
    expect_decider(ax, "private-ruled.1", BARE, "rule");
    expect_decider(ax, "private-other", SIGNED, "NO_RULE");
    expect_decider(ax, "presence-ruled.1", BARE, "rule");
    expect_decider(ax, "presence-ruled.1", SIGNED, "rule");
    expect_decider(ax, "private-encrypted-ruled.1", BARE, "rule");
    expect_decider(ax, "private-cache-ruled.1", BARE, "rule");
    expect_decider(ax, "guarded.1", BARE, "rule");
    expect_decider(ax, "private-guarded.1", SIGNED, "NO_RULE");
    expect_decider(ax, "ruled.1", BARE, "in");
}

static void either_may_decide(void **state)
{
    struct ax *ax = *state;
    add_deciders(ax);
    expect_decider(ax, "private-ruled.1", SIGNED, "in");
    expect_decider(ax, "private-ruled.1", FORGED, "BAD_SIGNATURE");
    expect_decider(ax, "private-ruled.1", BARE, "rule");
    expect_decider(ax, "private-other", SIGNED, "in");
    expect_decider(ax, "private-other", BARE, "NO_SIGNATURE");
    expect_decider(ax, "presence-ruled.1", BARE, "rule");
    expect_decider(ax, "guarded.1", BARE, "rule");
    expect_decider(ax, "other", BARE, "in");
}

/* -- what the host hears -- */

static void a_bad_signature_tells_what_had_to_be_signed(void **state)
{
    struct ax *ax = *state;
    char id[PUSHERC_SOCKET_ID_STRLEN], expected[256];
    ax_connect(ax, 0, 0, NULL);
    size_t len = pusherc_socket_id_format(ax->clients[0].q.owner, id);
    fx_say(&ax->clients[0],
           "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"presence-a\","
           "\"auth\":\"app-key:00\",\"channel_data\":\"{\\\"user_id\\\":\\\"7\\\"}\"}}");
    snprintf(expected, sizeof expected,
             "BAD_SIGNATURE presence-a ()  401 %.*s:presence-a:{\"user_id\":\"7\"}\n", (int)len,
             id);
    denied(ax, expected);
    heard(ax, 0, "\"code\":null");
}

static void every_refusal_has_its_reason(void **state)
{
    struct ax *ax = *state;
    add_rule(ax, "t.{x}", 0);
    ax->answer = AX_DENY;
    ax_connect(ax, 0, 0, "7");
    ax_connect(ax, 1, 0, NULL);
    ax_subscribe(ax, 0, "private-t.1");
    denied(ax, "BY_RULE private-t.1 (t.{x}) 7 403 no\n");
    ax_subscribe(ax, 0, "private-no");
    denied(ax, "NO_RULE private-no () 7 403 No rule covers this channel\n");
    ax_subscribe(ax, 0, "private-n o");
    denied(ax, "BAD_NAME private-n o () 7 400 Invalid channel name\n");
    ax_subscribe(ax, 0, "#server-to-user-8");
    denied(ax,
           "NO_USER #server-to-user-8 () 7 403 Only that user may subscribe, after signing in\n");
    ax->answer = AX_ALLOW;
    ax_subscribe(ax, 1, "presence-t.1");
    denied(ax, "NO_USER presence-t.1 (t.{x})  403 A presence channel needs a user id\n");
    assert_int_equal(ax->clients[1].session.grant_count, 0);
}

/* Arrays of PC_DENIAL_COUNT are indexed by reason, and docs/metrics.md promises names in lower case. */
static void every_reason_has_its_place_and_its_label(void **state)
{
    static const struct {
        const char *name, *label;
    } reasons[PC_DENIAL_COUNT] = {
#define REASON(name, value, label, type, text) [PUSHERC_DENIED_##name] = {#name, label},
        PUSHERC_DENIAL_MAP(REASON)
#undef REASON
    };
    (void)state;
    for (size_t i = 1; i < PC_DENIAL_COUNT; i++) {
        assert_string_equal(pusherc_denial_name((pusherc_denial_reason)i), reasons[i].name);
        assert_int_equal(strlen(reasons[i].name), strlen(reasons[i].label));
        for (size_t k = 0; reasons[i].name[k]; k++)
            assert_int_equal(pc_ascii_lower(reasons[i].name[k]), reasons[i].label[k]);
    }
    assert_string_equal(pusherc_denial_name((pusherc_denial_reason)PC_DENIAL_COUNT), "UNKNOWN");
}

static void types_of_reasons(void **state)
{
    (void)state;
    assert_string_equal(pc_denial_type(PUSHERC_DENIED_REVOKED), "AuthError");
    assert_string_equal(pc_denial_type(PUSHERC_DENIED_LIMIT), "LimitReached");
    assert_string_equal(pc_denial_type(PUSHERC_DENIED_BAD_MEMBER), "SubscriptionError");
    assert_string_equal(pc_denial_type((pusherc_denial_reason)0), "SubscriptionError");
}

static void names_of_reasons(void **state)
{
    (void)state;
    assert_string_equal(pusherc_denial_name(PUSHERC_DENIED_BY_RULE), "BY_RULE");
    assert_string_equal(pusherc_denial_name(PUSHERC_DENIED_INTERNAL), "INTERNAL");
    assert_string_equal(pusherc_denial_name((pusherc_denial_reason)0), "UNKNOWN");
    assert_string_equal(pusherc_denial_name((pusherc_denial_reason)99), "UNKNOWN");
}

static void a_refused_sign_in_is_told(void **state)
{
    struct ax *ax = *state;
    ax_connect(ax, 0, 0, NULL);
    fx_say(&ax->clients[0], "{\"event\":\"pusher:signin\",\"data\":{\"auth\":\"app-key:00\","
                            "\"user_data\":\"{\\\"id\\\":\\\"7\\\"}\"}}");
    ax_settle(ax);
    const char *line = ax_denied(ax);
    assert_ptr_equal(strstr(line, "BAD_SIGNATURE  ()  "), line);
    assert_non_null(strstr(line, "::user::{\"id\":\"7\"}"));
    fx_say(&ax->clients[0], "{\"event\":\"pusher:signin\",\"data\":{}}");
    ax_settle(ax);
    line = ax_denied(ax);
    assert_ptr_equal(strstr(line, "NO_SIGNATURE  ()  "), line);
}

/* -- who joins -- */

static void the_grant_says_who_joins_or_else_the_identity(void **state)
{
    struct ax *ax = begin(state, "7");
    ax_connect(ax, 1, 1, "8");
    enter(ax, 0, "presence-t.1");
    ax->grant.user_id = PC_S("nine");
    ax->grant.user_info_json = PC_S("{\"role\":1}");
    ax->answer = AX_ALLOW;
    ax_subscribe(ax, 1, "presence-t.1");
    const char *text = ax_heard(ax, 1);
    assert_non_null(strstr(text, "\\\"ids\\\":[\\\"7\\\",\\\"nine\\\"]"));
    assert_non_null(strstr(text, "\\\"7\\\":{\\\"name\\\":\\\"x\\\"}"));
    assert_non_null(strstr(text, "\\\"nine\\\":{\\\"role\\\":1}"));
    heard(ax, 0, "nine");
}

static void a_sign_in_sets_the_user_of_questions(void **state)
{
    struct ax *ax = begin(state, "7");
    fx_sign_in(&ax->clients[0], "{\"id\":\"signed\"}");
    heard(ax, 0, "signin_success");
    ax_subscribe(ax, 0, "private-t.1");
    pusherc_auth_request *r = ax_next(ax);
    assert_true(pc_slice_eq(pusherc_auth_user_id(r), PC_S("signed")));
    assert_int_equal(pusherc_auth_allow(r, NULL), 0);
}

/* -- a connection that is two users -- */

static void sign_in(struct ax *ax, size_t i, const char *user_data)
{
    fx_sign_in(&ax->clients[i], user_data);
    heard(ax, i, "signin_success");
}

static void each_of_its_users_has_the_grants_of_a_connection_asked_again(void **state)
{
    static const char *const users[] = {"7", "signed", "signed"};
    struct ax *ax = begin(state, "7");
    enter(ax, 0, "private-t.1");
    sign_in(ax, 0, "{\"id\":\"signed\"}");
    remember(ax, 0, "private-t.2", "signed", "", 0);
    fx_subscribe(&ax->clients[0], "private-t.2");
    heard(ax, 0, "subscription_succeeded");
    for (unsigned i = 0; i < 3; i++) {
        ax->done = 0;
        assert_int_equal(ax_reauthorize(ax, users[i], i < 2 ? "t.1" : "t.2"), 0);
        assert_int_equal(ax_allow(ax), 0);
        assert_int_equal(ax->done, 1);
        assert_int_equal(ax->kept, 1);
    }
    ax_reauthorize(ax, "third", "t.1"); /* not a user of this connection */
    assert_int_equal(ax->kept, 0);
    ax_reauthorize(ax, "7", NULL);
    ax_deny(ax);
    ax_deny(ax);
    assert_int_equal(ax->revoked, 2);
    assert_int_equal(ax->clients[0].session.subscription_count, 0);
}

static void an_answer_on_its_way_is_outdated_by_either_user(void **state)
{
    struct ax *ax = begin(state, "7");
    ax_connect(ax, 1, 0, "8");
    for (size_t i = 0; i < 2; i++) {
        sign_in(ax, i, "{\"id\":\"signed\"}");
        ax_subscribe(ax, i, "private-t.1"); /* one question for both, with the data of 7 */
    }
    pusherc_auth_request *r = ax_next(ax);
    ax_reauthorize(ax, "8", NULL);
    assert_int_equal(pusherc_auth_allow(r, NULL), 0);
    ax_settle(ax);
    for (size_t i = 0; i < 2; i++)
        heard_nothing(ax, i); /* it was asked before the change */
    ax_deny(ax);
    heard(ax, 1, "subscription_error");
}

static void a_cached_answer_is_forgotten_for_either_user(void **state)
{
    struct ax *ax = *state;
    pusherc_rule rule = ax_rule(ax, "t.{x}");
    rule.cache_ms = 1000;
    ax_add(ax, &rule);
    ax_connect(ax, 0, 0, "7");
    sign_in(ax, 0, "{\"id\":\"signed\"}");
    ax->answer = AX_ALLOW;
    for (unsigned i = 0; i < 3; i++) {
        ax_subscribe(ax, 0, "private-t.1");
        heard(ax, 0, "subscription_succeeded");
        fx_unsubscribe(&ax->clients[0], "private-t.1");
        assert_int_equal(ax->calls, i < 2 ? 1 : 2);
        if (i == 1)
            ax_reauthorize(ax, "7", NULL);
    }
}

/* -- changes of mind -- */

static void a_lost_grant_gets_nothing_more(void **state)
{
    struct ax *ax = begin(state, "7");
    ax_connect(ax, 1, 1, "8");
    enter(ax, 0, "private-t.1");
    enter(ax, 1, "private-t.1");
    enter(ax, 0, "private-t.2");
    assert_int_equal(ax_reauthorize(ax, "7", "t.1"), 0);
    publish(ax, "private-t.1"); /* it waits for the answer */
    heard_nothing(ax, 0);
    heard(ax, 1, "news");
    assert_int_equal(ax->done, 0);
    assert_int_equal(ax_deny(ax), 0);
    assert_int_equal(ax->asked_count, 0);
    assert_int_equal(ax->done, 1);
    assert_int_equal(ax->kept, 0);
    assert_int_equal(ax->revoked, 1);
    const char *text = ax_heard(ax, 0);
    assert_string_equal(
        text, "{\"event\":\"pusher:subscription_error\",\"channel\":\"private-t.1\","
              "\"data\":\"{\\\"type\\\":\\\"AuthError\\\",\\\"error\\\":\\\"no: private-t.1\\\","
              "\\\"status\\\":403}\"}\n");
    denied(ax, "REVOKED private-t.1 (t.{x}) 7 403 no\n");
    publish(ax, "private-t.1");
    publish(ax, "private-t.2");
    text = ax_heard(ax, 0);
    assert_int_equal(ax_count(text, "news"), 1);
    assert_non_null(strstr(text, "private-t.2"));
    heard(ax, 1, "news");
}

/* -- what arrives while the host is asked again -- */

static void publish_number(struct ax *ax, const char *channel, int number)
{
    char event[16];
    snprintf(event, sizeof event, "n%d", number);
    assert_int_equal(fx_publish(&ax->fx, channel, event, "{}"), 0);
}

/* Events n0, n1 ... and nothing else. */
static void heard_numbers(struct ax *ax, size_t i, int from, int to)
{
    const char *at = ax_heard(ax, i);
    for (int n = from; n < to; n++) {
        char text[32];
        snprintf(text, sizeof text, "{\"event\":\"n%d\",", n);
        if (strncmp(at, text, strlen(text)) != 0)
            fail_msg("n%d, not %s", n, at);
        at = strchr(at, '\n') + 1;
    }
    assert_string_equal(at, "");
}

static void a_kept_grant_misses_nothing(void **state)
{
    struct ax *ax = begin(state, "7");
    ax_connect(ax, 1, 0, "8");
    enter(ax, 0, "private-t.1");
    enter(ax, 1, "private-t.1");
    publish_number(ax, "private-t.1", 0); /* in the mailbox, before the order */
    heard_numbers(ax, 0, 0, 1);
    ax_reauthorize(ax, "7", NULL);
    for (int n = 1; n < 100; n++) {
        publish_number(ax, "private-t.1", n);
        if (n % 7 == 0)
            heard_nothing(ax, 0);
    }
    heard_numbers(ax, 1, 0, 100); /* others wait for nothing */
    assert_true(ax->clients[0].q.held_bytes > 0);
    ax_reauthorize(ax, "7", NULL); /* a second change meanwhile */
    pusherc_auth_request *r = ax_next(ax);
    assert_int_equal(pusherc_auth_allow(r, NULL), 0);
    publish_number(ax, "private-t.1", 100); /* behind an answer that does not count any more */
    heard_nothing(ax, 0);
    r = ax_next(ax);
    assert_int_equal(pusherc_auth_allow(r, NULL), 0);
    publish_number(ax, "private-t.1", 101);
    heard_numbers(ax, 0, 1, 102);
    assert_int_equal(ax->clients[0].q.held_bytes, 0);
    assert_int_equal(ax->done, 2);
}

static void what_was_held_goes_with_a_lost_grant(void **state)
{
    struct ax *ax = begin(state, "7");
    enter(ax, 0, "private-t.1");
    enter(ax, 0, "private-t.2");
    ax_reauthorize(ax, "7", "t.1");
    publish_number(ax, "private-t.1", 0);
    publish_number(ax, "private-t.2", 0); /* another channel of the same connection */
    heard_numbers(ax, 0, 0, 1);
    ax_deny(ax);
    const char *text = ax_heard(ax, 0);
    assert_null(strstr(text, "n0"));
    assert_non_null(strstr(text, "subscription_error"));
    assert_int_equal(ax->clients[0].q.held_bytes, 0);
    ax_reauthorize(ax, "7", "t.1");
    publish_number(ax, "private-t.1", 1);
    ax_allow(ax);
    assert_null(strstr(ax_heard(ax, 0), "n1")); /* it had no grant */
    publish_number(ax, "private-t.1", 2);
    heard_numbers(ax, 0, 2, 3);
}

static void who_leaves_meanwhile_gets_none_of_it(void **state)
{
    struct ax *ax = begin(state, "7");
    ax_connect(ax, 1, 0, "7");
    enter(ax, 0, "private-t.1");
    enter(ax, 1, "private-t.1");
    ax_reauthorize(ax, NULL, NULL);
    publish_number(ax, "private-t.1", 0);
    ax_settle(ax);
    fx_unsubscribe(&ax->clients[0], "private-t.1");
    heard_nothing(ax, 0);
    assert_int_equal(ax->clients[0].q.held_bytes, 0);
    fx_disconnect(&ax->clients[1]);
    assert_int_equal(ax->clients[0].session.worker->queued_bytes, 0);
}

#define SMALL_QUEUE (400 + 6 * PC_FRAME_COST) /* six events */

/* As much as a queue may have, of all its channels together. */
static void who_is_sent_too_much_meanwhile_is_slow(void **state)
{
    struct ax *ax = begin(state, "7");
    ax_connect(ax, 1, 0, "8");
    ax->fx.engine->options.out_hard_bytes = SMALL_QUEUE;
    for (size_t i = 0; i < 2; i++) {
        enter(ax, i, "private-t.1");
        enter(ax, i, "private-t.2");
    }
    ax_reauthorize(ax, "7", NULL);
    int n = 0;
    for (; ax->clients[0].closes == 0 && n < 20; n++) {
        publish_number(ax, n % 2 ? "private-t.1" : "private-t.2", n);
        ax_settle(ax);
        assert_true(ax->clients[0].q.held_bytes <= SMALL_QUEUE);
    }
    assert_in_range(n, 4, 12);
    assert_int_equal(ax->clients[0].closed, 4100);
    heard_numbers(ax, 1, 0, n);
    assert_int_equal(ax->clients[0].session.worker->queued_bytes, 0);
}

static void or_loses_what_is_too_much(void **state)
{
    struct ax *ax = begin(state, "7");
    pusherc_app_options app = fx_app();
    app.auth_mode = PUSHERC_AUTH_RULES;
    app.slow_policy = PUSHERC_SLOW_DROP;
    assert_int_equal(fx_try_put(&ax->fx, &app), 0);
    ax_connect(ax, 1, 0, "8");
    ax->fx.engine->options.out_hard_bytes = SMALL_QUEUE;
    enter(ax, 1, "private-t.1");
    enter(ax, 1, "private-t.2");
    ax_reauthorize(ax, "8", "t.1");
    for (int n = 0; n < 20; n++)
        publish_number(ax, "private-t.1", n);
    heard_nothing(ax, 1);
    assert_in_range(ax->clients[1].session.worker->stats.slow_dropped, 10, 19);
    ax_allow(ax);
    const char *text = ax_heard(ax, 1);
    assert_int_equal(
        ax_count(text, "\"event\"") + ax->clients[1].session.worker->stats.slow_dropped, 20);
    ax_reauthorize(ax, "8", "t.1");
    publish_number(ax, "private-t.1", 0);
    ax_settle(ax);
    ax->clients[1].stuck = true; /* and its queue fills by the other channel */
    for (int n = 0; n < 20; n++)
        publish_number(ax, "private-t.2", n);
    uint64_t dropped = ax->clients[1].session.worker->stats.slow_dropped;
    ax_allow(ax);
    assert_true(ax->clients[1].session.worker->stats.slow_dropped > dropped);
    assert_int_equal(ax->clients[1].q.held_bytes, 0);
    assert_true(ax->clients[1].q.held <= SMALL_QUEUE);
}

static void the_end_of_an_identity_holds_nothing(void **state)
{
    struct ax *ax = begin(state, "7");
    enter(ax, 0, "private-t.1");
    pc_session_expire_identity(&ax->clients[0].session, 10);
    ax_pass(ax, 10);
    assert_int_equal(ax->asked_count, 1);
    publish_number(ax, "private-t.1", 0);
    heard_numbers(ax, 0, 0, 1);
    ax_allow(ax);
}

static void an_event_on_its_way_does_not_overtake_the_loss(void **state)
{
    struct ax *ax = begin(state, "7");
    enter(ax, 0, "private-t.1");
    ax_reauthorize(ax, NULL, NULL);
    pusherc_auth_request *r = ax_next(ax);
    assert_int_equal(pusherc_auth_deny(r, 0, NULL), 0);
    publish(ax, "private-t.1"); /* behind the answer in the mailbox */
    const char *text = ax_heard(ax, 0);
    assert_null(strstr(text, "news"));
    assert_non_null(strstr(text, "subscription_error"));
}

/* What the host sees from inside `done`: the loss has happened. */
struct look {
    struct ax *ax;
    bool lost;
};

static void look(uint64_t kept, uint64_t revoked, void *user_data)
{
    struct look *l = user_data;
    (void)kept;
    (void)revoked;
    l->lost = l->ax->clients[0].session.subscription_count == 0;
}

static void done_is_called_after_the_loss(void **state)
{
    struct ax *ax = begin(state, "7");
    struct look l = {ax, false};
    enter(ax, 0, "presence-t.1");
    struct pc_grant_filter filter = {.app_uid = ax->clients[0].session.app->state->uid};
    struct pc_change *change = pc_change_new(ax->fx.engine, &filter, PC_S(""), PC_S(""));
    change->done = look;
    change->user_data = &l;
    pc_change_apply(change, ax->clients[0].session.worker);
    pc_change_report(change);
    ax_deny(ax);
    assert_true(l.lost);
}

static void without_memory_a_recheck_revokes_and_is_counted(void **state)
{
    struct ax *ax = begin(state, "7");
    enter(ax, 0, "presence-t.1");
    ax->fx.alloc.fail_at = ax->fx.alloc.requests + 2; /* the change itself is made */
    assert_int_equal(ax_reauthorize(ax, "7", NULL), 0);
    ax->fx.alloc.fail_at = 0;
    assert_int_equal(ax->done, 1);
    assert_int_equal(ax->kept, 0);
    assert_int_equal(ax->revoked, 1);
    heard(ax, 0, "subscription_error");
}

static void a_denial_names_who_asked_the_auth_endpoint(void **state)
{
    struct ax *ax = begin(state, NULL);
    remember(ax, 0, "private-t.1", "7", "", 0);
    fx_subscribe(&ax->clients[0], "private-t.1");
    heard(ax, 0, "subscription_succeeded");
    ax_reauthorize(ax, "7", NULL);
    ax_deny(ax);
    assert_string_equal(ax_denied(ax), "REVOKED private-t.1 (t.{x}) 7 403 no\n");
    ax_reauthorize(ax, "7", NULL);
    ax_allow(ax); /* it is subscribed again */
    assert_true(pc_grant_revoke(&ax->clients[0].session, PC_S("private-t.1"), PC_S("gone")));
    assert_string_equal(ax_denied(ax), "REVOKED private-t.1 () 7 403 gone\n");
}

static void a_first_refusal_has_another_reason_than_a_loss(void **state)
{
    struct ax *ax = begin(state, "7");
    ax_subscribe(ax, 0, "private-t.1");
    ax_deny(ax);
    denied(ax, "BY_RULE private-t.1 (t.{x}) 7 403 no\n");
    enter(ax, 0, "private-t.1");
    ax_reauthorize(ax, NULL, NULL);
    ax_settle(ax);
    ax_pass(ax, AX_TIMEOUT_MS);
    denied(ax, "REVOKED private-t.1 (t.{x}) 7 403 The application did not answer in time\n");
    fx_unsubscribe(&ax->clients[0], "private-t.1");
    ax_subscribe(ax, 0, "private-t.1");
    ax_settle(ax);
    ax_pass(ax, AX_TIMEOUT_MS);
    denied(ax, "TIMEOUT private-t.1 (t.{x}) 7 403 The application did not answer in time\n");
}

/* Characters, not bytes. */
static void a_grant_for_a_user_id_that_is_too_long_is_not_taken(void **state)
{
    struct ax *ax = begin(state, "7");
    char id[2 * 129];
    for (size_t i = 0; i < sizeof id; i += 2)
        memcpy(id + i, "\xc3\xbc", 2);
    for (size_t characters = 128; characters <= 129; characters++) {
        ax->grant.user_id = pc_slice(id, 2 * characters);
        ax_subscribe(ax, 0, "presence-t.1");
        assert_int_equal(ax_allow(ax), characters == 128 ? 0 : PUSHERC_EINVAL);
        heard(ax, 0, characters == 128 ? "subscription_succeeded" : "subscription_error");
        fx_unsubscribe(&ax->clients[0], "presence-t.1");
    }
}

static void a_lost_member_leaves_and_comes_back(void **state)
{
    struct ax *ax = begin(state, "7");
    ax_connect(ax, 1, 1, "8");
    enter(ax, 0, "presence-t.1");
    enter(ax, 1, "presence-t.1");
    ax_heard(ax, 0);
    ax_reauthorize(ax, "7", NULL);
    ax_deny(ax);
    heard(ax, 1, "member_removed");
    heard(ax, 0, "subscription_error");
    ax_reauthorize(ax, "8", NULL); /* not theirs */
    ax_allow(ax);
    assert_int_equal(ax->kept, 1);
    heard_nothing(ax, 0);
    ax_reauthorize(ax, NULL, "t.{any}");
    ax_allow(ax);
    ax_allow(ax);
    heard(ax, 0, "subscription_succeeded");
    heard(ax, 1, "member_added");
    assert_int_equal(ax->done, 3);
    assert_int_equal(ax->kept, 2);
}

static void a_lost_grant_is_forgotten_with_the_wish(void **state)
{
    struct ax *ax = begin(state, "7");
    enter(ax, 0, "private-t.1");
    ax_reauthorize(ax, NULL, NULL);
    ax_deny(ax);
    heard(ax, 0, "subscription_error");
    fx_unsubscribe(&ax->clients[0], "private-t.1");
    heard_nothing(ax, 0);
    ax_reauthorize(ax, NULL, NULL);
    ax_settle(ax);
    assert_int_equal(ax->asked_count, 0);
    assert_int_equal(ax->done, 2);
    fx_unsubscribe(&ax->clients[0], "private-t.1");
    heard(ax, 0, "No current subscription");
}

static void a_lost_grant_may_be_asked_for_again_by_the_client(void **state)
{
    struct ax *ax = begin(state, "7");
    enter(ax, 0, "private-t.1");
    ax_reauthorize(ax, NULL, NULL);
    ax_deny(ax);
    ax_heard(ax, 0);
    enter(ax, 0, "private-t.1");
    assert_int_equal(ax->clients[0].session.grant_count, 1);
    assert_int_equal(ax->clients[0].session.subscription_count, 1);
}

static void a_second_change_while_the_first_is_asked_counts_as_well(void **state)
{
    struct ax *ax = begin(state, "7");
    enter(ax, 0, "private-t.1");
    ax_reauthorize(ax, NULL, NULL);
    pusherc_auth_request *r = ax_next(ax);
    ax_reauthorize(ax, NULL, NULL);
    assert_int_equal(pusherc_auth_allow(r, NULL), 0); /* older than the second change */
    ax_settle(ax);
    assert_int_equal(ax->done, 0);
    ax_deny(ax);
    assert_int_equal(ax->done, 2);
    assert_int_equal(ax->revoked, 1);
    heard(ax, 0, "subscription_error");
}

static void leaving_ends_a_re_authorization(void **state)
{
    struct ax *ax = begin(state, "7");
    ax_connect(ax, 1, 1, "8");
    enter(ax, 0, "private-t.1");
    enter(ax, 1, "private-t.1");
    ax_reauthorize(ax, NULL, NULL);
    pusherc_auth_request *first = ax_next(ax), *second = ax_next(ax);
    fx_unsubscribe(&ax->clients[0], "private-t.1");
    assert_int_equal(ax->done, 0);
    fx_disconnect(&ax->clients[1]);
    ax->clients[1].fx = NULL;
    assert_int_equal(ax->done, 1);
    assert_int_equal(pusherc_auth_allow(first, NULL), PUSHERC_ECANCELED);
    assert_int_equal(pusherc_auth_allow(second, NULL), PUSHERC_ECANCELED);
}

static void silence_loses_a_grant(void **state)
{
    struct ax *ax = begin(state, "7");
    enter(ax, 0, "private-t.1");
    ax_reauthorize(ax, NULL, NULL);
    pusherc_auth_request *r = ax_next(ax);
    ax_pass(ax, AX_TIMEOUT_MS);
    heard(ax, 0, "did not answer in time");
    assert_int_equal(ax->revoked, 1);
    assert_int_equal(pusherc_auth_allow(r, NULL), PUSHERC_ETIMEDOUT);
    ax_settle(ax);
    assert_int_equal(ax->clients[0].session.subscription_count, 0);
}

static void a_grant_with_an_end_is_asked_again(void **state)
{
    struct ax *ax = begin(state, "7");
    ax->grant.expires_in_ms = 5000;
    enter(ax, 0, "private-t.1");
    ax_pass(ax, 4999);
    assert_int_equal(ax->asked_count, 0);
    ax_pass(ax, 1);
    assert_int_equal(ax_allow(ax), 0);
    ax_pass(ax, 5000);
    assert_int_equal(ax_deny(ax), 0);
    heard(ax, 0, "subscription_error");
    ax_pass(ax, 20000);
    assert_int_equal(ax->asked_count, 0);
}

static void an_identity_with_an_end_has_all_grants_asked_again(void **state)
{
    struct ax *ax = begin(state, "7");
    enter(ax, 0, "private-t.1");
    enter(ax, 0, "private-t.2");
    pc_session_expire_identity(&ax->clients[0].session, 1000);
    ax_pass(ax, 999);
    assert_int_equal(ax->asked_count, 0);
    ax_pass(ax, 1);
    assert_int_equal(ax->asked_count, 2);
    ax_allow(ax);
    ax_deny(ax);
    heard(ax, 0, "subscription_error");
    assert_int_equal(ax->clients[0].session.subscription_count, 1);
}

static void the_host_takes_a_channel_away(void **state)
{
    struct ax *ax = begin(state, "7");
    enter(ax, 0, "private-t.1");
    struct pc_session *s = &ax->clients[0].session;
    assert_true(pc_grant_revoke(s, PC_S("private-t.1"), PC_S("enough")));
    heard(ax, 0, "enough");
    denied(ax, "REVOKED private-t.1 () 7 403 enough\n");
    assert_false(pc_grant_revoke(s, PC_S("private-t.1"), PC_S("enough")));
    assert_int_equal(s->grant_count + s->subscription_count, 0);
    ax_subscribe(ax, 0, "private-t.1");
    pusherc_auth_request *r = ax_next(ax);
    assert_true(pc_grant_revoke(s, PC_S("private-t.1"), PC_S("enough"))); /* asked for */
    assert_int_equal(pusherc_auth_allow(r, NULL), PUSHERC_ECANCELED);
    ax_subscribe(ax, 0, "open"); /* without a rule */
    assert_true(pc_grant_revoke(s, PC_S("open"), PC_S("enough")));
    publish(ax, "open");
    assert_null(strstr(ax_heard(ax, 0), "news"));
}

/* -- what an auth endpoint has granted -- */

static void a_signed_subscribe_has_the_grant_made_for_it(void **state)
{
    struct ax *ax = begin(state, NULL);
    remember(ax, 0, "private-t.1", "7", "agent", 5000);
    fx_subscribe(&ax->clients[0], "private-t.1");
    heard(ax, 0, "subscription_succeeded");
    assert_int_equal(ax->calls, 0);
    /* its user is known, and it ends */
    ax_reauthorize(ax, "7", NULL);
    pusherc_auth_request *r = ax_next(ax);
    assert_true(pc_slice_eq(pusherc_auth_user_id(r), PC_S("7")));
    assert_int_equal(pusherc_auth_allow(r, &(pusherc_grant)PUSHERC_GRANT_INIT), 0);
    ax_settle(ax);
    remember(ax, 0, "private-t.2", "7", "agent", 5000);
    fx_subscribe(&ax->clients[0], "private-t.2");
    ax_pass(ax, 5000);
    assert_int_equal(ax->asked_count, 1);
    ax_deny(ax);
    heard(ax, 0, "\"channel\":\"private-t.2\",\"data\":\"{\\\"type\\\":\\\"AuthError");
}

static void an_unused_grant_is_removed(void **state)
{
    struct ax *ax = begin(state, NULL);
    remember(ax, 0, "private-t.1", "7", "agent", 0);
    assert_int_equal(ax->clients[0].session.grant_count, 1);
    ax_pass(ax, 59999);
    assert_int_equal(ax->clients[0].session.grant_count, 1);
    ax_pass(ax, 1);
    assert_int_equal(ax->clients[0].session.grant_count, 0);
}

static void a_remembered_grant_ends_when_the_host_said_so(void **state)
{
    struct ax *ax = begin(state, NULL);
    remember(ax, 0, "private-t.1", "7", "agent", 5000);
    ax_pass(ax, 4000);
    fx_subscribe(&ax->clients[0], "private-t.1");
    heard(ax, 0, "subscription_succeeded");
    ax_pass(ax, 1000);
    assert_int_equal(ax->asked_count, 1);
}

static void without_a_token_a_remembered_grant_is_asked_for_once(void **state)
{
    struct ax *ax = begin(state, NULL);
    remember(ax, 0, "private-t.1", "7", "agent", 0);
    ax_subscribe(ax, 0, "private-t.1");
    ax_subscribe(ax, 0, "private-t.1");
    heard(ax, 0, "Subscription in progress");
    assert_int_equal(ax_allow(ax), 0);
    heard(ax, 0, "subscription_succeeded");
    assert_int_equal(ax->asked_count, 0);
    assert_int_equal(ax->clients[0].session.subscription_count, 1);
    assert_int_equal(ax->clients[0].session.grant_count, 1);
    ax_pass(ax, 60000);
    assert_int_equal(ax->clients[0].session.grant_count, 1);
}

/* Any client may name a socket to the endpoint, or make another user's browser do it. */
static void only_a_client_that_presents_the_answer_uses_its_grant(void **state)
{
    struct ax *ax = begin(state, NULL);
    for (int round = 0; round < 3; round++) {
        remember(ax, 0, "private-t.1", "7", "agent", 0);
        if (round == 1) { /* while that is asked again */
            ax_reauthorize(ax, "7", NULL);
            pusherc_auth_request *stale = ax_next(ax);
            ax_subscribe(ax, 0, "private-t.1");
            assert_int_equal(pusherc_auth_allow(stale, NULL), PUSHERC_ECANCELED);
            ax_settle(ax);
        } else if (round == 2) { /* or has been refused meanwhile */
            ax_reauthorize(ax, "7", NULL);
            ax_deny(ax);
            ax_subscribe(ax, 0, "private-t.1");
        } else {
            ax_subscribe(ax, 0, "private-t.1");
        }
        pusherc_auth_request *r = ax_next(ax);
        assert_int_equal(pusherc_auth_user_id(r).len, 0);
        assert_int_equal(pusherc_auth_deny(r, 0, NULL), 0);
        ax_settle(ax);
        heard(ax, 0, "subscription_error");
        assert_int_equal(ax->clients[0].session.subscription_count, 0);
    }
    remember(ax, 0, "private-t.2", "7", "agent", 0);
    fx_subscribe(&ax->clients[0], "private-t.2");
    if (ax->clients[0].session.app->options.auth_mode == PUSHERC_AUTH_RULES) {
        pusherc_auth_request *r = ax_next(ax);
        assert_true(pc_slice_eq(pusherc_auth_user_id(r), PC_S("7")));
        assert_int_equal(pusherc_auth_allow(r, NULL), 0);
        ax_settle(ax);
    }
    heard(ax, 0, "subscription_succeeded");
}

/* A client has another user's browser ask for its own socket; or a stranger asks for a socket that it has heard of. */
static void two_users_ask(struct ax *ax, size_t i, const char *first, const char *second, bool used,
                          uint32_t later_ms)
{
    struct pc_session *s = &ax->clients[i].session;
    ax_connect(ax, i, 0, NULL);
    remember(ax, i, "private-t.1", first, "first", 0);
    if (used) { /* the signature remains valid */
        fx_subscribe(&ax->clients[i], "private-t.1");
        fx_unsubscribe(&ax->clients[i], "private-t.1");
    }
    ax_pass(ax, later_ms);
    remember(ax, i, "private-t.2", first, "first", 0);
    remember(ax, i, "private-t.1", second, "second", 0);
    assert_int_equal(s->grant_count, 0);
    remember(ax, i, "private-t.1", first, "first", 0);
    assert_int_equal(s->grant_count, 0);
    fx_heard(&ax->clients[i]);
    fx_subscribe(&ax->clients[i], "private-t.1");
    heard(ax, i, "subscription_succeeded");
    const struct pc_grant *grant = pc_grant_find(s, PC_S("private-t.1"));
    assert_null(pc_grant_identity(grant));
    assert_int_equal(grant->view_len, 0);
}

static void when_two_users_have_asked_the_view_of_neither_is_kept(void **state)
{
    static const char *const askers[][2] = {
        {"customer", "agent"}, {"agent", "customer"}, {NULL, "agent"}, {"agent", NULL}};
    struct ax *ax = *state;
    add_rule(ax, "t.{x}", 0);
    for (size_t i = 0; i < 4; i++)
        two_users_ask(ax, i, askers[i][0], askers[i][1], false, 0);
    two_users_ask(ax, 4, "customer", "agent", true, 0);
    /* the first answer has been forgotten */
    two_users_ask(ax, 5, "customer", "agent", false, 60000);
    two_users_ask(ax, 6, "customer", "agent", true, 60000);
}

static void a_socket_with_a_user_keeps_the_answers_to_that_user_only(void **state)
{
    struct ax *ax = *state;
    add_rule(ax, "t.{x}", 0);
    for (size_t i = 0; i < 3; i++) {
        struct pc_session *s = &ax->clients[i].session;
        ax_connect(ax, i, 0, i ? NULL : "customer");
        if (i == 1)
            fx_sign_in(&ax->clients[i], "{\"id\":\"customer\"}");
        if (i == 2) { /* after it was asked for as another user */
            remember(ax, i, "private-t.1", "agent", "agent", 0);
            assert_int_equal(s->grant_count, 1);
            fx_sign_in(&ax->clients[i], "{\"id\":\"customer\"}");
            assert_int_equal(s->grant_count, 0);
        }
        remember(ax, i, "private-t.1", "agent", "agent", 0);
        remember(ax, i, "private-t.1", NULL, "guest", 0);
        assert_int_equal(s->grant_count, 0);
        /* and strangers take nothing from it */
        remember(ax, i, "private-t.1", "customer", "customer", 0);
        remember(ax, i, "private-t.1", "agent", "agent", 0);
        assert_int_equal(s->grant_count, 1);
        fx_subscribe(&ax->clients[i], "private-t.1");
        assert_true(
            pc_slice_eq(pc_grant_view(pc_grant_find(s, PC_S("private-t.1"))), PC_S("customer")));
    }
}

static void a_revocation_outlasts_what_another_user_may(void **state)
{
    struct ax *ax = begin(state, NULL);
    remember(ax, 0, "private-t.1", "customer", "customer", 0);
    fx_subscribe(&ax->clients[0], "private-t.1");
    ax_reauthorize(ax, "customer", NULL);
    ax_deny(ax);
    fx_unsubscribe(&ax->clients[0], "private-t.1");
    remember(ax, 0, "private-t.1", "agent", "agent", 0);
    fx_heard(&ax->clients[0]);
    fx_subscribe(&ax->clients[0], "private-t.1");
    ax_deny(ax); /* the rule is asked, whatever the signature */
    heard(ax, 0, "subscription_error");
}

static void what_strangers_have_asked_for_takes_no_room(void **state)
{
    struct ax *ax = begin(state, NULL);
    struct pc_session *s = &ax->clients[0].session;
    uint32_t max = s->app->options.max_channels_per_connection;
    char name[32];
    for (uint32_t i = 0; i < max + 10; i++) {
        snprintf(name, sizeof name, "private-t.%u", i);
        remember(ax, 0, name, "stranger", "guest", 0);
    }
    assert_int_equal(s->grant_count, max);
    for (uint32_t i = 0; i < max; i++) {
        snprintf(name, sizeof name, "private-t.%u", i + 20);
        fx_subscribe(&ax->clients[0], name);
        if (i % 100 == 0)
            fx_heard(&ax->clients[0]); /* it reads its answers */
    }
    assert_int_equal(s->subscription_count, max);
}

/* The client has a signature of the endpoint, and there is no grant that could be asked about. */
static void get_a_signature(struct ax *ax, size_t i, bool used)
{
    ax_connect(ax, i, 0, NULL);
    remember(ax, i, "private-t.1", "7", "agent", 0);
    if (used) {
        fx_subscribe(&ax->clients[i], "private-t.1");
        fx_unsubscribe(&ax->clients[i], "private-t.1");
    } else {
        ax_pass(ax, 60000);
    }
    assert_int_equal(ax->clients[i].session.grant_count, 0);
    fx_heard(&ax->clients[i]);
}

static void what_an_endpoint_signed_before_a_change_is_asked_again(void **state)
{
    struct ax *ax = *state;
    add_rule(ax, "t.{x}", 0);
    for (size_t i = 0; i < 2; i++) {
        get_a_signature(ax, i, i == 1);
        ax_reauthorize(ax, "7", NULL);
        for (int round = 0; round < 2; round++) { /* a no does not make the signature good */
            fx_subscribe(&ax->clients[i], "private-t.1");
            pusherc_auth_request *r = ax_next(ax);
            assert_true(pc_slice_eq(pusherc_auth_user_id(r), PC_S("7")));
            assert_int_equal(pusherc_auth_deny(r, 0, NULL), 0);
            ax_settle(ax);
            heard(ax, i, "subscription_error");
            assert_int_equal(ax->clients[i].session.grant_count, 0);
        }
        fx_subscribe(&ax->clients[i], "private-t.1");
        assert_int_equal(ax_allow(ax), 0);
        heard(ax, i, "subscription_succeeded");
        /* a forged one is refused as such */
        fx_say(&ax->clients[i],
               "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"private-t.2\","
               "\"auth\":\"app-key:00\"}}");
        assert_int_equal(ax->asked_count, 0);
        heard(ax, i, "Invalid signature");
    }
}

static void a_signature_is_asked_again_for_a_reason_only(void **state)
{
    struct ax *ax = *state;
    add_rule(ax, "t.{x}", 0);
    get_a_signature(ax, 0, false); /* nothing has changed */
    fx_subscribe(&ax->clients[0], "private-t.1");
    heard(ax, 0, "subscription_succeeded");
    ax_connect(ax, 1, 0, NULL); /* signed elsewhere */
    get_a_signature(ax, 2, true);
    ax_reauthorize(ax, "8", NULL);
    fx_subscribe(&ax->clients[1], "private-t.1");
    heard(ax, 1, "subscription_succeeded");
    remember(ax, 2, "private-t.1", "7", "agent", 0); /* signed anew */
    fx_subscribe(&ax->clients[2], "private-t.1");
    heard(ax, 2, "subscription_succeeded");
    get_a_signature(ax, 3, false); /* the change was before */
    fx_subscribe(&ax->clients[3], "private-t.1");
    heard(ax, 3, "subscription_succeeded");
    assert_int_equal(ax->asked_count, 0);
}

static void a_grant_that_goes_while_it_is_asked_about_leaves_an_outdated_signature(void **state)
{
    struct ax *ax = begin(state, NULL);
    remember(ax, 0, "private-t.1", "7", "agent", 0);
    fx_subscribe(&ax->clients[0], "private-t.1");
    ax_reauthorize(ax, "7", NULL);
    pusherc_auth_request *stale = ax_next(ax);
    fx_unsubscribe(&ax->clients[0], "private-t.1");
    ax_settle(ax);
    assert_int_equal(pusherc_auth_allow(stale, NULL), PUSHERC_ECANCELED);
    fx_heard(&ax->clients[0]);
    fx_subscribe(&ax->clients[0], "private-t.1");
    ax_deny(ax);
    heard(ax, 0, "subscription_error");
}

static void questions_under_way_count_as_channels(void **state)
{
    struct ax *ax = begin(state, "7");
    char name[32];
    struct pc_session *s = &ax->clients[0].session;
    uint32_t max = s->app->options.max_channels_per_connection;
    s->app->options.max_channels_per_connection = 3;
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "private-t.%d", i);
        ax_subscribe(ax, 0, name);
    }
    heard(ax, 0, "Too many channels");
    ax_subscribe(ax, 0, "open");
    heard(ax, 0, "Too many channels");
    assert_int_equal(ax->asked_count, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ax_allow(ax), 0);
    assert_int_equal(s->subscription_count, 3);
    ax_reauthorize(ax, NULL,
                   NULL); /* one that is lost may be asked for again, and keeps its place */
    for (int i = 0; i < 3; i++)
        ax_deny(ax);
    ax_heard(ax, 0);
    ax_subscribe(ax, 0, "open");
    heard(ax, 0, "Too many channels");
    ax_subscribe(ax, 0, "private-t.0");
    assert_int_equal(ax_allow(ax), 0);
    heard(ax, 0, "subscription_succeeded");
    s->app->options.max_channels_per_connection = max;
}

/* A client keeps what it has signed: it must not get by it what was taken away. */
static void a_signature_does_not_bring_back_a_lost_grant(void **state)
{
    struct ax *ax = begin(state, "7");
    fx_subscribe(&ax->clients[0], "private-t.1");
    heard(ax, 0, "subscription_succeeded");
    ax_reauthorize(ax, NULL, NULL);
    ax_deny(ax);
    heard(ax, 0, "subscription_error");
    for (int round = 0; round < 3; round++) {
        if (round > 0)
            fx_unsubscribe(&ax->clients[0], "private-t.1");
        fx_subscribe(&ax->clients[0], "private-t.1");
        assert_int_equal(ax_deny(ax), 0);
        heard(ax, 0, "subscription_error");
    }
    ax->answer = AX_ALLOW; /* the rule may change its mind */
    fx_subscribe(&ax->clients[0], "private-t.1");
    heard(ax, 0, "subscription_succeeded");
    fx_unsubscribe(&ax->clients[0], "private-t.1");
    ax->answer = AX_LATER;
    fx_subscribe(&ax->clients[0], "private-t.1");
    heard(ax, 0, "subscription_succeeded");
}

static void a_signature_does_not_bring_back_a_grant_lost_before_its_use(void **state)
{
    struct ax *ax = begin(state, NULL);
    remember(ax, 0, "private-t.1", "7", "agent", 0);
    ax_reauthorize(ax, "7", NULL);
    ax_deny(ax);
    assert_int_equal(ax->revoked, 1);
    fx_subscribe(&ax->clients[0], "private-t.1");
    assert_int_equal(ax_deny(ax), 0);
    heard(ax, 0, "subscription_error");
    ax_reauthorize(ax, "7", NULL);
    ax_allow(ax);
    heard_nothing(ax, 0); /* it does not wait any more */
    fx_subscribe(&ax->clients[0], "private-t.1");
    heard(ax, 0, "subscription_succeeded");
}

static void a_signed_subscribe_while_it_is_asked_again_is_decided_by_the_answer(void **state)
{
    struct ax *ax = begin(state, NULL);
    remember(ax, 0, "private-t.1", "7", "agent", 0);
    ax_reauthorize(ax, "7", NULL);
    fx_subscribe(&ax->clients[0], "private-t.1");
    ax_deny(ax);
    heard(ax, 0, "subscription_error");
    assert_int_equal(ax->clients[0].session.subscription_count, 0);
}

/* -- without memory -- */

static bool scenario(struct ax *ax, pusherc_auth_mode mode, size_t n)
{
    int err = ax_try_open(ax, 2, mode, n);
    if (err == 0) {
        pusherc_rule rule = ax_rule(ax, "t.{x}");
        err = pc_rules_add(&ax->fx.engine->rules, &rule, NULL);
    }
    for (size_t i = 0; i < 2 && err == 0; i++)
        err = ax_try_connect(ax, i, (uint32_t)i, "7");
    if (err == 0) {
        ax->answer = AX_ALLOW;
        ax->grant.expires_in_ms = 700;
        for (size_t i = 0; i < 2; i++) {
            fx_join(&ax->clients[i], "presence-t.1", "{\"user_id\":\"7\"}");
            fx_subscribe(&ax->clients[i], "private-t.2");
            ax_settle(ax);
        }
        (void)ax_reauthorize(ax, NULL, "t.1");
        ax_settle(ax);
        ax->answer = AX_DENY;
        bool asked = ax_reauthorize(ax, NULL, NULL) == 0;
        ax_settle(ax);
        ax_pass(ax, 1);
        /* everything was denied: no client is subscribed, with or without memory */
        for (size_t i = 0; i < 2 && asked; i++)
            if (!ax->clients[i].over && ax->clients[i].session.subscription_count)
                fail_msg("mode %d, request %zu: client %zu is still subscribed", mode, n, i);
        ax->answer = AX_ALLOW;
        (void)ax_reauthorize(ax, NULL, NULL);
        ax_pass(ax, 1000);
        ax_pass(ax, 1);
    } else {
        assert_int_equal(err, PUSHERC_ENOMEM);
    }
    bool failed = failing_alloc_hit(&ax->fx.alloc);
    if (ax->fx.engine)
        ax_close(ax);
    if (failing_alloc_live(&ax->fx.alloc))
        fail_msg("mode %d, request %zu: %zu blocks left", mode, n,
                 failing_alloc_live(&ax->fx.alloc));
    return failed;
}

static void without_memory_no_client_keeps_a_denied_channel(void **state)
{
    static struct ax ax;
    (void)state;
    for (size_t n = 1; scenario(&ax, PUSHERC_AUTH_RULES, n); n++)
        ;
    for (size_t n = 1; scenario(&ax, PUSHERC_AUTH_SIGNATURE, n); n++)
        ;
}

#define in_mode(mode, function) cmocka_unit_test_setup_teardown(function, mode, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_mode(signatures_only, signatures_decide_where_the_app_says_so),
        in_mode(rules_only, rules_decide_where_the_app_says_so),
        in_mode(either, either_may_decide),
        in_mode(signatures_only, a_bad_signature_tells_what_had_to_be_signed),
        in_mode(rules_only, every_refusal_has_its_reason),
        in_mode(rules_only, names_of_reasons),
        in_mode(rules_only, every_reason_has_its_place_and_its_label),
        in_mode(rules_only, types_of_reasons),
        in_mode(rules_only, a_refused_sign_in_is_told),
        in_mode(rules_only, the_grant_says_who_joins_or_else_the_identity),
        in_mode(rules_only, a_sign_in_sets_the_user_of_questions),
        in_mode(either, each_of_its_users_has_the_grants_of_a_connection_asked_again),
        in_mode(rules_only, an_answer_on_its_way_is_outdated_by_either_user),
        in_mode(rules_only, a_cached_answer_is_forgotten_for_either_user),
        in_mode(rules_only, a_lost_grant_gets_nothing_more),
        in_mode(rules_only, a_kept_grant_misses_nothing),
        in_mode(rules_only, what_was_held_goes_with_a_lost_grant),
        in_mode(rules_only, who_leaves_meanwhile_gets_none_of_it),
        in_mode(rules_only, who_is_sent_too_much_meanwhile_is_slow),
        in_mode(rules_only, or_loses_what_is_too_much),
        in_mode(rules_only, the_end_of_an_identity_holds_nothing),
        in_mode(rules_only, an_event_on_its_way_does_not_overtake_the_loss),
        in_mode(rules_only, done_is_called_after_the_loss),
        in_mode(either, a_denial_names_who_asked_the_auth_endpoint),
        in_mode(rules_only, without_memory_a_recheck_revokes_and_is_counted),
        in_mode(rules_only, a_first_refusal_has_another_reason_than_a_loss),
        in_mode(rules_only, a_grant_for_a_user_id_that_is_too_long_is_not_taken),
        in_mode(rules_only, a_lost_member_leaves_and_comes_back),
        in_mode(rules_only, a_lost_grant_is_forgotten_with_the_wish),
        in_mode(rules_only, a_lost_grant_may_be_asked_for_again_by_the_client),
        in_mode(rules_only, a_second_change_while_the_first_is_asked_counts_as_well),
        in_mode(rules_only, leaving_ends_a_re_authorization),
        in_mode(rules_only, silence_loses_a_grant),
        in_mode(rules_only, a_grant_with_an_end_is_asked_again),
        in_mode(rules_only, an_identity_with_an_end_has_all_grants_asked_again),
        in_mode(rules_only, the_host_takes_a_channel_away),
        in_mode(signatures_only, a_signed_subscribe_has_the_grant_made_for_it),
        in_mode(signatures_only, an_unused_grant_is_removed),
        in_mode(signatures_only, a_remembered_grant_ends_when_the_host_said_so),
        in_mode(signatures_only, when_two_users_have_asked_the_view_of_neither_is_kept),
        in_mode(either, a_socket_with_a_user_keeps_the_answers_to_that_user_only),
        in_mode(signatures_only, what_an_endpoint_signed_before_a_change_is_asked_again),
        in_mode(either, what_an_endpoint_signed_before_a_change_is_asked_again),
        in_mode(signatures_only, a_signature_is_asked_again_for_a_reason_only),
        in_mode(signatures_only,
                a_grant_that_goes_while_it_is_asked_about_leaves_an_outdated_signature),
        in_mode(signatures_only, a_revocation_outlasts_what_another_user_may),
        in_mode(signatures_only, what_strangers_have_asked_for_takes_no_room),
        in_mode(rules_only, without_a_token_a_remembered_grant_is_asked_for_once),
        in_mode(rules_only, only_a_client_that_presents_the_answer_uses_its_grant),
        in_mode(either, only_a_client_that_presents_the_answer_uses_its_grant),
        in_mode(rules_only, questions_under_way_count_as_channels),
        in_mode(signatures_only, a_signature_does_not_bring_back_a_lost_grant),
        in_mode(either, a_signature_does_not_bring_back_a_lost_grant),
        in_mode(signatures_only, a_signature_does_not_bring_back_a_grant_lost_before_its_use),
        in_mode(signatures_only,
                a_signed_subscribe_while_it_is_asked_again_is_decided_by_the_answer),
        cmocka_unit_test(without_memory_no_client_keeps_a_denied_channel),
    };
    return cmocka_run_group_tests_name("grant", tests, NULL, NULL);
}
