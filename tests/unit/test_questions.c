/* A4: what a client may have the host work on at once, whatever it cancels, and how often it comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth_fixture.h"

static int set_up(void **state)
{
    struct ax *ax = malloc(sizeof *ax);
    REQUIRE(ax);
    ax_open(ax, 1, PUSHERC_AUTH_RULES);
    pusherc_rule rule = ax_rule(ax, "tickets.{id}");
    ax_add(ax, &rule);
    *state = ax;
    return 0;
}

static size_t parties(struct ax *ax)
{
    return ax->fx.engine->workers[0].quotas.by_party.count;
}

static uint64_t open_questions(struct ax *ax)
{
    return pc_stat_get(&ax->fx.engine->workers[0].stats.questions);
}

static uint64_t refused(struct ax *ax)
{
    return pc_stat_get(&ax->fx.engine->workers[0].stats.questions_refused);
}

static int tear_down(void **state)
{
    struct ax *ax = *state;
    ax->answer = AX_DENY;
    while (ax->asked_count > 0)
        ax_deny(ax);
    ax_settle(ax);
    REQUIRE(parties(ax) == 0 && open_questions(ax) == 0);
    ax_close(ax);
    size_t live = failing_alloc_live(&ax->fx.alloc);
    free(ax);
    return live == 0 ? 0 : -1;
}

#define with_host(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

static pusherc_server_options *limits(struct ax *ax)
{
    return &ax->fx.engine->options;
}

static void subscribe(struct ax *ax, size_t client, const char *kind, unsigned number)
{
    char name[64];
    snprintf(name, sizeof name, "%s-tickets.%u", kind, number);
    ax_subscribe(ax, client, name);
}

static void unsubscribe(struct ax *ax, size_t client, unsigned number)
{
    char name[64];
    snprintf(name, sizeof name, "private-tickets.%u", number);
    fx_unsubscribe(&ax->clients[client], name);
}

static void comes_from(struct ax *ax, size_t client, uint8_t address)
{
    ax->clients[client].session.address = (struct pc_address){4, {10, 0, 0, address}};
}

static void one_that_subscribes_and_unsubscribes_has_only_its_share_asked(void **state)
{
    struct ax *ax = *state;
    limits(ax)->max_questions_per_connection = 3;
    ax_connect(ax, 0, 0, NULL);
    ax_connect(ax, 1, 0, "7");
    for (unsigned i = 0; i < 1000; i++) {
        subscribe(ax, 0, "private", i % 20);
        ax_settle(ax);
        unsubscribe(ax, 0, i % 20);
        ax_settle(ax);
        if (i % 100 == 50) { /* an honest one is asked about and answered in the same turn */
            ax->answer = AX_ALLOW;
            subscribe(ax, 1, "private", i);
            assert_non_null(strstr(ax_heard(ax, 1), "subscription_succeeded"));
            ax->answer = AX_LATER;
        }
    }
    assert_int_equal(ax->asked_count, 3);
    assert_int_equal(ax->calls, 3 + 10);
    assert_int_equal(open_questions(ax), 3);
    assert_int_equal(refused(ax), 0);
    /* the host has answered one: it is free for the next */
    subscribe(ax, 0, "private", 1);
    ax_settle(ax);
    assert_int_equal(ax->asked_count, 3);
    assert_int_equal(pusherc_auth_allow(ax_next(ax), NULL), PUSHERC_ECANCELED);
    ax_settle(ax);
    assert_int_equal(ax->asked_count, 3);
    assert_int_equal(ax_deny(ax), PUSHERC_ECANCELED);
    assert_int_equal(ax_deny(ax), PUSHERC_ECANCELED);
    assert_int_equal(ax_allow(ax), 0);
    assert_non_null(strstr(ax_heard(ax, 0), "subscription_succeeded"));
}

static void many_channels_are_asked_about_as_answers_come(void **state)
{
    struct ax *ax = *state;
    limits(ax)->max_questions_per_connection = 3;
    ax_connect(ax, 0, 0, "7");
    for (unsigned i = 0; i < 40; i++)
        subscribe(ax, 0, "private", i);
    for (unsigned i = 0; i < 40; i++) {
        ax_settle(ax);
        assert_true(ax->asked_count == 3 || ax->asked_count == 40 - i);
        pusherc_auth_request *r = ax_next(ax);
        char name[64];
        snprintf(name, sizeof name, "private-tickets.%u", i);
        assert_true(pc_slice_eq(pusherc_auth_channel(r), pc_slice_of(name)));
        assert_int_equal(pusherc_auth_allow(r, NULL), 0);
    }
    assert_int_equal(ax_count(ax_heard(ax, 0), "subscription_succeeded"), 40);
    assert_int_equal(refused(ax), 0);
}

static void a_subscribe_waits_no_longer_than_the_host_may_take(void **state)
{
    struct ax *ax = *state;
    limits(ax)->max_questions_per_connection = 1;
    ax_connect(ax, 0, 0, "7");
    subscribe(ax, 0, "private", 1);
    ax_settle(ax);
    ax_pass(ax, 1000);
    subscribe(ax, 0, "private", 2);
    subscribe(ax, 0, "private", 3);
    ax_pass(ax, AX_TIMEOUT_MS - 1000);
    ax_denied(ax);
    ax_heard(ax, 0);
    ax_pass(ax, 1000);
    assert_string_equal(ax_denied(ax), "LIMIT private-tickets.2 (tickets.{id}) 7 503 "
                                       "Too many questions wait for the application's answer\n"
                                       "LIMIT private-tickets.3 (tickets.{id}) 7 503 "
                                       "Too many questions wait for the application's answer\n");
    const char *heard = ax_heard(ax, 0);
    assert_int_equal(ax_count(heard, "pusher:subscription_error"), 2);
    assert_int_equal(ax_count(heard, "LimitReached"), 2);
    assert_int_equal(refused(ax), 2);
    assert_int_equal(ax->asked_count, 1); /* the first, timed out and not answered */
    assert_int_equal(open_questions(ax), 1);
    assert_int_equal(ax_allow(ax), PUSHERC_ETIMEDOUT);
    assert_int_equal(open_questions(ax), 0);
    assert_int_equal(ax->calls, 1);
}

/* What has waited for its place has the whole time for its answer. */
static void the_host_has_its_time_from_when_it_is_asked(void **state)
{
    struct ax *ax = *state;
    limits(ax)->max_questions_per_connection = 1;
    ax_connect(ax, 0, 0, "7");
    subscribe(ax, 0, "private", 1);
    subscribe(ax, 0, "private", 2);
    ax_settle(ax);
    ax_pass(ax, AX_TIMEOUT_MS - 1);
    assert_int_equal(ax_allow(ax), 0);
    ax_settle(ax);
    assert_int_equal(ax->asked_count, 1);
    ax_pass(ax, AX_TIMEOUT_MS - 1);
    assert_int_equal(ax_allow(ax), 0);
    assert_int_equal(ax_count(ax_heard(ax, 0), "subscription_succeeded"), 2);
}

static void one_that_comes_back_has_no_more_asked(void **state)
{
    struct ax *ax = *state;
    limits(ax)->max_questions_per_connection = 3;
    limits(ax)->max_questions_per_ip = 5;
    for (unsigned i = 0; i < 50; i++) {
        ax_connect(ax, 0, 0, NULL);
        comes_from(ax, 0, 1);
        for (unsigned k = 0; k < 10; k++)
            subscribe(ax, 0, "private", k);
        ax_settle(ax);
        fx_disconnect(&ax->clients[0]);
        ax->clients[0].fx = NULL;
    }
    assert_int_equal(ax->asked_count, 5);
    assert_int_equal(open_questions(ax), 5);
    ax_connect(ax, 1, 0, "7"); /* from the same address: waits, and then is asked about */
    comes_from(ax, 1, 1);
    subscribe(ax, 1, "private", 1);
    ax_connect(ax, 2, 0, "7"); /* the same user from another address does not wait for that */
    comes_from(ax, 2, 2);
    subscribe(ax, 2, "private", 2);
    ax_settle(ax);
    assert_int_equal(ax->asked_count, 6);
    assert_int_equal(ax_deny(ax), PUSHERC_ECANCELED);
    assert_int_equal(ax->asked_count, 6);
    ax->answer = AX_ALLOW;
    for (unsigned i = 0; i < 6; i++)
        ax_allow(ax);
    assert_non_null(strstr(ax_heard(ax, 1), "subscription_succeeded"));
    assert_non_null(strstr(ax_heard(ax, 2), "subscription_succeeded"));
}

static void an_app_has_its_share_whatever_the_addresses(void **state)
{
    struct ax *ax = *state;
    limits(ax)->max_questions_per_app = 4;
    for (size_t i = 0; i < 6; i++) {
        ax_connect(ax, i, 0, NULL);
        comes_from(ax, i, (uint8_t)(i + 1));
        subscribe(ax, i, "private", 1);
    }
    ax_settle(ax);
    assert_int_equal(ax->asked_count, 4);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(ax_allow(ax), 0);
}

/* One user id for all visitors, say: the question of one must not wait for the place of another. */
static void a_shared_question_takes_the_first_place_that_is_free(void **state)
{
    struct ax *ax = *state;
    limits(ax)->max_questions_per_connection = 1;
    ax_connect(ax, 0, 0, "guest");
    ax_connect(ax, 1, 0, "guest");
    subscribe(ax, 0, "private", 1);
    subscribe(ax, 0, "private", 2);
    ax_settle(ax);
    assert_int_equal(ax->asked_count, 1);
    subscribe(ax, 1, "private", 2);
    ax_settle(ax);
    assert_int_equal(ax->asked_count, 2);
    assert_int_equal(ax_deny(ax), 0);
    assert_int_equal(ax_allow(ax), 0);
    assert_non_null(strstr(ax_heard(ax, 0), "subscription_succeeded"));
    assert_non_null(strstr(ax_heard(ax, 1), "subscription_succeeded"));
}

/* The host has asked for it, and what arrives for the client is held until then. */
static void what_the_host_wants_asked_again_does_not_wait(void **state)
{
    struct ax *ax = *state;
    limits(ax)->max_questions_per_connection = 2;
    ax_connect(ax, 0, 0, "7");
    for (unsigned i = 0; i < 2; i++) {
        subscribe(ax, 0, "private", i);
        assert_int_equal(ax_allow(ax), 0);
    }
    for (unsigned i = 2; i < 5; i++)
        subscribe(ax, 0, "private", i);
    ax_settle(ax);
    assert_int_equal(ax->asked_count, 2);
    assert_int_equal(ax_reauthorize(ax, "", ""), 0);
    ax_settle(ax);
    assert_int_equal(ax->asked_count, 4); /* the two that stand */
    assert_int_equal(open_questions(ax), 4);
    subscribe(ax, 0, "private", 6);
    ax_settle(ax);
    assert_int_equal(ax->asked_count, 4);
    ax->answer = AX_ALLOW;
    while (ax->asked_count > 0)
        assert_int_equal(ax_allow(ax), 0);
    assert_int_equal(ax->done, 1);
    assert_int_equal(ax->clients[0].session.subscription_count, 6);
}

static void without_memory_nothing_is_lost(void **state)
{
    bool failed = true;
    (void)state;
    for (size_t n = 1; failed; n++) {
        static struct ax ax;
        assert_true(n < 400);
        int err = ax_try_open(&ax, 1, PUSHERC_AUTH_RULES, 0);
        assert_int_equal(err, 0);
        pusherc_rule rule = ax_rule(&ax, "tickets.{id}");
        ax_add(&ax, &rule);
        limits(&ax)->max_questions_per_connection = 1;
        ax_connect(&ax, 0, 0, "7");
        comes_from(&ax, 0, 1);
        ax.fx.alloc.fail_at = ax.fx.alloc.requests + n;
        for (unsigned i = 0; i < 3; i++)
            subscribe(&ax, 0, "private", i);
        ax_settle(&ax);
        ax_reauthorize(&ax, "", "");
        unsubscribe(&ax, 0, 1);
        for (int turns = 0; turns < 2; turns++) {
            while (ax.asked_count > 0)
                ax_allow(&ax);
            ax_pass(&ax, PC_TIMER_SLOT_MS);
        }
        failed = failing_alloc_hit(&ax.fx.alloc);
        if (!failed)
            assert_int_equal(ax.clients[0].session.subscription_count, 2);
        fx_disconnect(&ax.clients[0]);
        ax.clients[0].fx = NULL;
        ax_settle(&ax);
        assert_int_equal(parties(&ax), 0);
        assert_int_equal(open_questions(&ax), 0);
        ax_close(&ax);
        assert_int_equal(failing_alloc_live(&ax.fx.alloc), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_host(one_that_subscribes_and_unsubscribes_has_only_its_share_asked),
        with_host(many_channels_are_asked_about_as_answers_come),
        with_host(a_subscribe_waits_no_longer_than_the_host_may_take),
        with_host(the_host_has_its_time_from_when_it_is_asked),
        with_host(one_that_comes_back_has_no_more_asked),
        with_host(an_app_has_its_share_whatever_the_addresses),
        with_host(a_shared_question_takes_the_first_place_that_is_free),
        with_host(what_the_host_wants_asked_again_does_not_wait),
        cmocka_unit_test(without_memory_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
