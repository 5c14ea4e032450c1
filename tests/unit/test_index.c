/*
 * Sessions with many channels, and users among many: what a call costs does not grow with them (A7, F9). Costs are
 * compared as processor time within one process, with a margin that only a walk over a list exceeds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <time.h>

#include "auth_fixture.h"
#include "fanout/decider.h"
#include "session/index.h"
#include "session/member.h"

#define FEW    100
#define MANY   10000
#define MARGIN 8 /* a walk costs MANY / FEW times as much */
#define ROUNDS 5
#define CALLS  200

static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* What the calls cost at best. */
static uint64_t cost_of(void (*calls)(struct ax *ax), struct ax *ax)
{
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t begin = cpu_ns();
        calls(ax);
        uint64_t took = cpu_ns() - begin;
        best = took < best ? took : best;
        ax_settle(ax);
        for (size_t k = 0; k < AX_CLIENTS; k++)
            fx_forget(&ax->clients[k]);
    }
    return best;
}

static const char *name(const char *prefix, int i)
{
    static char text[64];
    snprintf(text, sizeof text, "%s%d", prefix, i);
    return text;
}

/* Opens an engine with the default limits, and a rule for "private-t.". */
static void open_world(struct ax *ax, enum ax_answer answer, pusherc_auth_mode mode)
{
    ax_open(ax, 1, mode);
    ax->fx.engine->hooks.on_denied = NULL; /* the fixture has no room for so many lines */
    ax->answer = answer;
    pusherc_rule rule = ax_rule(ax, "t.{n}");
    ax_add(ax, &rule);
}

static void subscribe_to(struct ax *ax, const char *prefix, int first, int end)
{
    for (int i = first; i < end; i++) {
        fx_subscribe(&ax->clients[0], name(prefix, i));
        if (i % 100 == 0)
            ax_settle(ax);
    }
    ax_settle(ax);
    fx_forget(&ax->clients[0]);
}

static void come_and_go(struct ax *ax, const char *channel)
{
    for (int i = 0; i < CALLS; i++) {
        ax_subscribe(ax, 0, channel);
        fx_unsubscribe(&ax->clients[0], channel);
    }
}

/* Holds the costs with few channels against the costs with many. */
static void compare(struct ax *ax, const char *prefix, void (*calls)(struct ax *ax))
{
    subscribe_to(ax, prefix, 0, FEW);
    uint64_t few = cost_of(calls, ax);
    subscribe_to(ax, prefix, FEW, MANY - 1);
    assert_int_equal(ax->clients[0].session.subscription_count, MANY - 1);
    uint64_t many = cost_of(calls, ax);
    fprintf(stderr, "# %d calls: %llu us with %d channels, %llu us with %d\n", CALLS,
            (unsigned long long)few / 1000, FEW, (unsigned long long)many / 1000, MANY - 1);
    assert_true(many < few * MARGIN);
}

/* -- subscriptions -- */

static void public_calls(struct ax *ax)
{
    come_and_go(ax, "news");
}

static void subscribing_costs_the_same_with_many_channels(void **state)
{
    struct ax *ax = *state;
    open_world(ax, AX_ALLOW, PUSHERC_AUTH_SIGNATURE);
    ax_connect(ax, 0, 0, NULL);
    compare(ax, "room-", public_calls);
    fx_subscribe(&ax->clients[0], "last");
    assert_non_null(strstr(ax_heard(ax, 0), "subscription_succeeded"));
    fx_subscribe(&ax->clients[0], "too-many");
    assert_non_null(strstr(ax_heard(ax, 0), "Too many channels on one connection"));
    ax_close(ax);
}

static void client_events(struct ax *ax)
{
    int count = (int)ax->clients[0].session.subscription_count;
    for (int i = 0; i < CALLS; i++) {
        char text[128];
        snprintf(text, sizeof text,
                 "{\"event\":\"client-x\",\"channel\":\"private-room-%d\",\"data\":1}",
                 i * 7919 % count);
        fx_say(&ax->clients[0], text);
    }
}

static void a_client_event_costs_the_same_with_many_channels(void **state)
{
    struct ax *ax = *state;
    open_world(ax, AX_ALLOW, PUSHERC_AUTH_SIGNATURE);
    ax_connect(ax, 0, 0, NULL);
    ax->clients[0].session.app->options.max_client_events_per_s = PUSHERC_NO_LIMIT;
    compare(ax, "private-room-", client_events);
    ax_close(ax);
}

/* -- grants -- */

static void calls_by_rule(struct ax *ax)
{
    come_and_go(ax, "private-t.news");
}

static void a_rule_s_channel_costs_the_same_with_many_channels(void **state)
{
    struct ax *ax = *state;
    open_world(ax, AX_ALLOW, PUSHERC_AUTH_RULES);
    ax_connect(ax, 0, 0, "7");
    compare(ax, "private-t.", calls_by_rule);
    ax_close(ax);
}

static void refused_calls(struct ax *ax)
{
    for (int i = 0; i < CALLS; i++)
        ax_subscribe(ax, 0, "private-t.news");
}

/* Above the limit, each subscribe forgets what auth endpoints have left. */
static void a_refusal_costs_the_same_with_many_grants(void **state)
{
    struct ax *ax = *state;
    uint64_t cost[2];
    open_world(ax, AX_ALLOW, PUSHERC_AUTH_EITHER);
    for (int i = 0; i < 2; i++) {
        int count = i ? MANY : FEW;
        ax_connect(ax, 0, 0, "7");
        ax->clients[0].session.app->options.max_channels_per_connection = MANY;
        subscribe_to(ax, "private-t.", 0, count);
        for (int n = 0; n < count; n++) { /* they remain, so that signatures are refused */
            pusherc_slice channel = pc_slice_of(name("private-t.", n));
            assert_true(pc_grant_revoke(&ax->clients[0].session, channel, PC_S("gone")));
            if (n % 100 == 0)
                ax_settle(ax);
        }
        ax_settle(ax);
        ax->clients[0].session.app->options.max_channels_per_connection = (uint32_t)count - 1;
        cost[i] = cost_of(refused_calls, ax);
        fx_disconnect(&ax->clients[0]);
    }
    ax_close(ax);
    assert_true(cost[1] < cost[0] * MARGIN);
}

/* -- joins that wait for a decider -- */

static int never(void *ctx, struct pc_joining *joining)
{
    (void)ctx, (void)joining;
    return PC_JOIN_WAITS;
}

static void abandoned(void *ctx, struct pc_joining *joining)
{
    (void)ctx, (void)joining;
}

static uint64_t left(void *ctx, const struct pc_app *app, pusherc_slice channel,
                     pusherc_slice user_id)
{
    (void)ctx, (void)app, (void)channel, (void)user_id;
    return 0;
}

static void a_join_that_waits_costs_the_same_behind_many(void **state)
{
    struct ax *ax = *state;
    open_world(ax, AX_ALLOW, PUSHERC_AUTH_SIGNATURE);
    ax->fx.engine->decider =
        (struct pc_decider){.begin = never, .abandon = abandoned, .left = left};
    ax_connect(ax, 0, 0, NULL);
    compare(ax, "room-", public_calls);
    ax_close(ax);
}

/* -- users -- */

static void asked_again(struct ax *ax)
{
    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(ax_reauthorize(ax, "one", ""), 0);
        ax_settle(ax);
    }
}

static void no_fact(void *ctx, enum pc_recheck_result result)
{
    (void)ctx, (void)result;
}

static void asking_again_about_a_user_costs_the_same_among_many(void **state)
{
    struct ax *ax = *state;
    struct fx_client *others = calloc(MANY, sizeof *others);
    uint64_t cost[2];
    int count = 0;
    open_world(ax, AX_ALLOW, PUSHERC_AUTH_RULES);
    ax_connect(ax, 0, 0, "one");
    subscribe_to(ax, "private-t.", 0, 1);
    for (int i = 0; i < 2; i++) {
        for (; count < (i ? MANY : FEW); count++) {
            fx_connect_as(&ax->fx, &others[count], 0, name("u", count));
            fx_subscribe(&others[count], name("private-t.", count));
            ax_settle(ax);
            fx_forget(&others[count]);
        }
        cost[i] = cost_of(asked_again, ax);
        assert_int_equal(ax->kept, 1);
    }
    fprintf(stderr, "# asked again about one user: %llu us among %d, %llu us among %d\n",
            (unsigned long long)cost[0] / 1000 / CALLS, FEW,
            (unsigned long long)cost[1] / 1000 / CALLS, MANY);
    while (count > 0)
        fx_disconnect(&others[--count]);
    ax_close(ax);
    free(others);
    assert_true(cost[1] < cost[0] * MARGIN);
}

/* A session may be a user's twice over, and a grant may be another user's than its session: each grant is asked about
 * once, and taken away once. */
static void a_user_s_grants_are_asked_about_once_each(void **state)
{
    struct ax *ax = *state;
    struct pc_verdict yes = {.allowed = true};
    open_world(ax, AX_ALLOW, PUSHERC_AUTH_EITHER);
    struct pc_session *both = &ax_connect(ax, 0, 0, "one")->session;
    struct pc_session *asker = &ax_connect(ax, 1, 0, NULL)->session;
    struct pc_identity *one = pc_identity_new(&ax->fx.mem, PC_S("one"), PC_S(""));
    struct pc_channel_class private = {PUSHERC_CHANNEL_PRIVATE, false};
    fx_sign_in(&ax->clients[0], "{\"id\":\"one\"}");
    assert_non_null(one);
    pc_grant_remember(both, PC_S("private-t.1"), private, one, &yes);
    pc_grant_remember(both, PC_S("private-t.2"), private, one, &yes);
    pc_grant_remember(asker, PC_S("private-t.1"), private, one, &yes);
    fx_sign_in(&ax->clients[1], "{\"id\":\"one\"}"); /* the same user, now both ways */
    pc_grant_recheck(pc_grant_find(both, PC_S("private-t.2")), 0, no_fact, NULL);
    for (size_t i = 0; i < 2; i++)
        fx_subscribe(&ax->clients[i], "private-t.1");
    ax_settle(ax);
    assert_int_equal(ax_reauthorize(ax, "one", ""), 0);
    ax_settle(ax);
    assert_int_equal(ax->kept, 3);
    assert_int_equal(ax_reauthorize(ax, "two", ""), 0);
    ax_settle(ax);
    assert_int_equal(ax->kept + ax->revoked, 0);
    pc_identity_unref(one);
    ax_close(ax);
}

static void a_grant_of_another_user_than_its_session_is_found(void **state)
{
    struct ax *ax = *state;
    struct pc_verdict yes = {.allowed = true};
    open_world(ax, AX_ALLOW, PUSHERC_AUTH_EITHER);
    struct pc_session *s = &ax_connect(ax, 0, 0, NULL)->session;
    struct pc_identity *one = pc_identity_new(&ax->fx.mem, PC_S("one"), PC_S(""));
    struct pc_channel_class private = {PUSHERC_CHANNEL_PRIVATE, false};
    assert_non_null(one);
    for (int i = 1; i <= 2; i++)
        pc_grant_remember(s, pc_slice_of(name("private-t.", i)), private, one, &yes);
    for (int i = 1; i <= 2; i++)
        fx_subscribe(&ax->clients[0], name("private-t.", i));
    fx_sign_in(&ax->clients[0], "{\"id\":\"two\"}");
    ax_settle(ax);
    assert_int_equal(ax_reauthorize(ax, "one", ""), 0);
    ax_settle(ax);
    assert_int_equal(ax->kept, 2);
    assert_int_equal(ax_reauthorize(ax, "two", "t.2"), 0);
    ax_settle(ax);
    assert_int_equal(ax->kept, 1);
    ax->answer = AX_DENY;
    assert_int_equal(ax_reauthorize(ax, "one", "t.1"), 0);
    ax_settle(ax);
    assert_int_equal(ax->revoked, 1);
    assert_int_equal(s->subscription_count, 1);
    pc_identity_unref(one);
    ax_close(ax);
}

/* Several filters may fit a grant: by its user, by its socket, by all. */
static void a_list_asks_about_each_grant_once(void **state)
{
    struct ax *ax = *state;
    open_world(ax, AX_ALLOW, PUSHERC_AUTH_RULES);
    pusherc_socket_id socket = ax_connect(ax, 0, 0, "one")->q.owner;
    uint64_t uid = ax->clients[0].session.app->state->uid;
    ax_connect(ax, 1, 0, "one");
    ax_connect(ax, 2, 0, "two");
    for (size_t i = 0; i < 3; i++)
        ax_subscribe(ax, i, "private-t.1");
    ax_settle(ax);
    struct pc_grant_filter all = {.app_uid = uid};
    struct pc_grant_filter user = {.app_uid = uid, .user_id = PC_S("one")};
    struct pc_grant_filter by_socket = {.app_uid = uid, .socket_id = socket, .next = &user};
    struct pc_grant_filter pattern = {
        .app_uid = uid, .user_id = PC_S("one"), .pattern = PC_S("t.2"), .next = &by_socket};
    const uint64_t expected[] = {2, 3};
    for (int i = 0; i < 2; i++) {
        user.next = i ? &all : NULL;
        struct pc_change *change = pc_change_new(ax->fx.engine, &pattern, PC_S(""), PC_S(""));
        assert_non_null(change);
        change->done = ax_on_done;
        change->user_data = ax;
        assert_int_equal(pc_change_send(change), 0);
        ax_settle(ax);
        assert_int_equal(ax->kept, expected[i]);
    }
    ax_close(ax);
}

static void a_user_loses_a_channel_as_its_member_alone(void **state)
{
    struct ax *ax = *state;
    open_world(ax, AX_ALLOW, PUSHERC_AUTH_SIGNATURE);
    for (size_t i = 0; i < 4; i++) {
        ax_connect(ax, i, 0, NULL);
        fx_join(&ax->clients[i], "presence-x",
                i < 3 ? "{\"user_id\":\"one\"}" : "{\"user_id\":\"two\"}");
    }
    struct pc_grant_filter filter = {.app_uid = ax->clients[0].session.app->state->uid,
                                     .user_id = PC_S("one")};
    struct pc_change *change =
        pc_change_new(ax->fx.engine, &filter, PC_S("presence-x"), PC_S("gone"));
    assert_non_null(change);
    assert_int_equal(pc_change_send(change), 0);
    ax_settle(ax);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(ax->clients[i].session.subscription_count, i == 3);
    ax_close(ax);
}

/* -- the table -- */

static void few_channels_have_no_table(void **state)
{
    struct ax *ax = *state;
    open_world(ax, AX_ALLOW, PUSHERC_AUTH_RULES);
    struct pc_session *s = &ax_connect(ax, 0, 0, "7")->session;
    subscribe_to(ax, "private-t.", 0, PC_WALKED);
    assert_null(s->index);
    subscribe_to(ax, "private-t.", PC_WALKED, PC_WALKED + 1);
    assert_non_null(s->index);
    for (int i = PC_WALKED; i >= 0; i--) {
        fx_unsubscribe(&ax->clients[0], name("private-t.", i));
        assert_int_equal(s->index != NULL, i > PC_WALKED / 2);
    }
    ax_close(ax);
}

/* Against a model, with every list around the length where its table comes and goes, and with memory that fails. */
static void a_table_finds_what_a_walk_finds(void **state)
{
    struct ax *ax = *state;
    enum {
        NAMES = 3 * PC_WALKED
    };
    bool has[NAMES] = {false};
    uint64_t random = 1;
    open_world(ax, AX_ALLOW, PUSHERC_AUTH_RULES);
    struct pc_session *s = &ax_connect(ax, 0, 0, "7")->session;
    for (int step = 0; step < 20000; step++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407U;
        int i = (int)((random >> 33) % NAMES);
        bool is_public = i % 3 == 0, wants = (random >> 20 & 1023) < (step / 1000 % 2 ? 300 : 700);
        if (step % 7 == 0)
            ax->fx.alloc.fail_at = ax->fx.alloc.requests + 1 + (random >> 50) % 16;
        if (wants && !has[i])
            ax_subscribe(ax, 0, name(is_public ? "room-" : "private-t.", i));
        else if (!wants && has[i])
            fx_unsubscribe(&ax->clients[0], name(is_public ? "room-" : "private-t.", i));
        ax_settle(ax);
        ax_pass(ax, 1); /* without memory a question ends by its deadline */
        fx_forget(&ax->clients[0]);
        if (s->state != PC_SESSION_OPEN) { /* without memory for an answer it is closed */
            fx_disconnect(&ax->clients[0]);
            memset(has, 0, sizeof has);
            ax->fx.alloc.fail_at = 0;
            ax_connect(ax, 0, 0, "7");
        }
        size_t count = 0;
        PC_LIST_EACH(l, &s->subscriptions)
            count++;
        for (int k = 0; k < NAMES; k++) {
            pusherc_slice channel = pc_slice_of(name(k % 3 == 0 ? "room-" : "private-t.", k));
            bool found = pc_session_subscription(s, channel) != NULL;
            assert_true(k == i || found == has[k]);
            assert_int_equal(pc_grant_find(s, channel) != NULL, found && k % 3 != 0);
            has[k] = found;
            count -= found;
        }
        assert_int_equal(count, 0);
        assert_int_equal(s->wanted_count, 0);
    }
    ax->fx.alloc.fail_at = 0;
    ax_close(ax);
}

/* -- turns -- */

static void peers_of_one_who_leaves_many_channels_are_not_slow(void **state)
{
    struct ax *ax = *state;
    char channel[128];
    open_world(ax, AX_ALLOW, PUSHERC_AUTH_SIGNATURE);
    for (size_t k = 0; k < 2; k++)
        ax_connect(ax, k, 0, NULL);
    for (int i = 0; i < MANY; i++) { /* names of 100 bytes: 2 MB of member_removed */
        snprintf(channel, sizeof channel, "presence-room-%086d", i);
        fx_join(&ax->clients[0], channel, "{\"user_id\":\"0\"}");
        fx_join(&ax->clients[1], channel, "{\"user_id\":\"1\"}");
        if (i % 50 == 0)
            ax_settle(ax);
    }
    ax_settle(ax);
    fx_forget(&ax->clients[1]);
    fx_disconnect(&ax->clients[0]);
    ax_settle(ax);
    fx_pass(&ax->fx, 1000);
    ax_settle(ax);
    assert_int_equal(ax->clients[1].closed, 0);
    assert_int_equal(ax_count(ax->clients[1].heard, "member_removed"), MANY);
    ax_close(ax);
}

static void losing_many_channels_at_once_makes_no_client_slow(void **state)
{
    struct ax *ax = *state;
    open_world(ax, AX_ALLOW, PUSHERC_AUTH_RULES);
    ax_connect(ax, 0, 0, "7");
    subscribe_to(ax, "private-t.a-name-that-is-longer-", 0, MANY);
    ax->answer = AX_DENY;
    assert_int_equal(ax_reauthorize(ax, "7", ""), 0);
    ax_settle(ax);
    assert_int_equal(ax->revoked, MANY);
    assert_int_equal(ax->clients[0].closed, 0);
    assert_int_equal(ax_count(ax->clients[0].heard, "subscription_error"), MANY);
    ax_close(ax);
}

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct ax));
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

#define A7(test)                                                                                   \
    {                                                                                              \
        "A7: " #test, test, setup, teardown, NULL                                                  \
    }
#define F9(test)                                                                                   \
    {                                                                                              \
        "F9: " #test, test, setup, teardown, NULL                                                  \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        A7(subscribing_costs_the_same_with_many_channels),
        A7(a_client_event_costs_the_same_with_many_channels),
        A7(a_rule_s_channel_costs_the_same_with_many_channels),
        A7(a_refusal_costs_the_same_with_many_grants),
        A7(a_join_that_waits_costs_the_same_behind_many),
        A7(few_channels_have_no_table),
        A7(a_table_finds_what_a_walk_finds),
        A7(peers_of_one_who_leaves_many_channels_are_not_slow),
        A7(losing_many_channels_at_once_makes_no_client_slow),
        F9(asking_again_about_a_user_costs_the_same_among_many),
        F9(a_user_s_grants_are_asked_about_once_each),
        F9(a_grant_of_another_user_than_its_session_is_found),
        F9(a_list_asks_about_each_grant_once),
        F9(a_user_loses_a_channel_as_its_member_alone),
    };
    return cmocka_run_group_tests_name("index", tests, NULL, NULL);
}
