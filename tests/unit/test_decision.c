/* Questions to the host: each is asked once and answered once, for all clients that wait, early or late. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "auth_fixture.h"

static int set_up(void **state)
{
    struct ax *ax = malloc(sizeof *ax);
    REQUIRE(ax);
    ax_open(ax, 2, PUSHERC_AUTH_RULES);
    *state = ax;
    return 0;
}

static int tear_down(void **state)
{
    struct ax *ax = *state;
    while (ax->asked_count > 0)
        pusherc_auth_deny(ax->asked[--ax->asked_count], 0, NULL);
    ax_close(ax);
    size_t live = failing_alloc_live(&ax->fx.alloc);
    free(ax);
    return live == 0 ? 0 : -1;
}

#define with_host(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

static void add_rule(struct ax *ax, uint32_t cache_ms)
{
    pusherc_rule rule = ax_rule(ax, "tickets.{id}");
    rule.cache_ms = cache_ms;
    ax_add(ax, &rule);
}

static void expect_slice(pusherc_slice slice, const char *text)
{
    assert_int_equal(slice.len, strlen(text));
    assert_memory_equal(slice.ptr, text, slice.len);
}

/* -- asking -- */

static void a_request_tells_who_asks_for_what(void **state)
{
    struct ax *ax = *state;
    pusherc_rule rule = ax_rule(ax, "servers.{id}.{verb}");
    ax_add(ax, &rule);
    ax_connect(ax, 0, 1, "7");
    ax_subscribe(ax, 0, "private-servers.42.provision");
    pusherc_auth_request *r = ax_next(ax);
    expect_slice(pusherc_auth_app_id(r), "app-id");
    expect_slice(pusherc_auth_channel(r), "private-servers.42.provision");
    expect_slice(pusherc_auth_param(r, "id"), "42");
    expect_slice(pusherc_auth_param(r, "verb"), "provision");
    expect_slice(pusherc_auth_param(r, "other"), "");
    expect_slice(pusherc_auth_user_id(r), "7");
    assert_true(pc_same_id(pusherc_auth_socket_id(r), ax->clients[0].q.owner));
    assert_null(pusherc_auth_conn_data(r));
    assert_int_equal(pusherc_auth_allow(r, NULL), 0);
    assert_non_null(strstr(ax_heard(ax, 0), "subscription_succeeded"));
}

static void nothing_is_asked_before_the_turn_ends(void **state)
{
    struct ax *ax = *state;
    add_rule(ax, 0);
    ax_connect(ax, 0, 0, "7");
    ax_subscribe(ax, 0, "private-tickets.1");
    assert_int_equal(ax->calls, 0);
    ax_settle(ax);
    assert_int_equal(ax->calls, 1);
    assert_int_equal(ax_allow(ax), 0);
}

static void add_batch_rule(struct ax *ax, uint32_t gather_ms)
{
    pusherc_rule rule = ax_rule(ax, "tickets.{id}");
    rule.authorize = NULL;
    rule.authorize_batch = ax_authorize_batch;
    rule.gather_ms = gather_ms;
    ax_add(ax, &rule);
    ax->answer = AX_ALLOW;
    ax_connect(ax, 0, 0, "7");
}

static void subscribe_to_tickets(struct ax *ax, int from, int to)
{
    for (int i = from; i < to; i++) {
        char name[32];
        snprintf(name, sizeof name, "private-tickets.%d", i);
        ax_subscribe(ax, 0, name);
    }
}

static void forty_subscribes_of_a_turn_are_one_call(void **state)
{
    struct ax *ax = *state;
    add_batch_rule(ax, PUSHERC_NO_DELAY);
    subscribe_to_tickets(ax, 0, 40);
    const char *heard = ax_heard(ax, 0);
    assert_int_equal(ax->calls, 1);
    assert_int_equal(ax_count(heard, "subscription_succeeded"), 40);
}

static void questions_of_many_turns_are_gathered(void **state)
{
    struct ax *ax = *state;
    struct pc_worker *worker = &ax->fx.engine->workers[0];
    add_batch_rule(ax, 5);
    for (int i = 0; i < 40; i++) {
        subscribe_to_tickets(ax, i, i + 1);
        ax_settle(ax);
        if (i % 10 == 9)
            ax_pass(ax, 1);
    }
    assert_int_equal(ax->calls, 0);
    assert_int_equal(pc_decisions_next(worker), 1);
    ax_pass(ax, 1); /* the first is 5 ms old */
    assert_int_equal(ax->calls, 1);
    assert_int_equal(ax_count(ax_heard(ax, 0), "subscription_succeeded"), 40);
    assert_int_equal(pc_decisions_next(worker), UINT64_MAX);
}

static void a_full_batch_waits_no_longer(void **state)
{
    struct ax *ax = *state;
    add_batch_rule(ax, 1000);
    subscribe_to_tickets(ax, 0, 100);
    assert_int_equal(ax_count(ax_heard(ax, 0), "subscription_succeeded"), 64);
    assert_int_equal(ax->calls, 1);
    ax_pass(ax, 1000);
    assert_int_equal(ax_count(ax_heard(ax, 0), "subscription_succeeded"), 36);
    assert_int_equal(ax->calls, 2);
}

static void only_batches_wait(void **state)
{
    struct ax *ax = *state;
    pusherc_rule single = ax_rule(ax, "orders.{id}");
    ax_add(ax, &single);
    add_batch_rule(ax, 0); /* the default */
    subscribe_to_tickets(ax, 0, 2);
    ax_subscribe(ax, 0, "private-orders.1");
    assert_int_equal(ax_count(ax_heard(ax, 0), "subscription_succeeded"), 1);
    ax_pass(ax, 2);
    assert_int_equal(ax_count(ax_heard(ax, 0), "subscription_succeeded"), 2);
    assert_int_equal(ax->calls, 2);
}

static void who_leaves_while_questions_are_gathered_is_not_asked_about(void **state)
{
    struct ax *ax = *state;
    struct pc_worker *worker = &ax->fx.engine->workers[0];
    add_batch_rule(ax, 5);
    subscribe_to_tickets(ax, 0, 3);
    ax_settle(ax);
    fx_disconnect(&ax->clients[0]);
    ax_settle(ax);
    assert_int_equal(pc_decisions_next(worker), UINT64_MAX);
    ax_pass(ax, 10);
    assert_int_equal(ax->calls, 0);
}

static void the_same_question_is_asked_once(void **state)
{
    struct ax *ax = *state;
    add_rule(ax, 0);
    ax_connect(ax, 0, 0, "7");
    ax_connect(ax, 1, 0, "7");
    ax_connect(ax, 2, 0, "8");
    ax_connect(ax, 3, 0, NULL);
    ax_connect(ax, 4, 0, NULL);
    for (size_t i = 0; i < 5; i++)
        ax_subscribe(ax, i, "private-tickets.1");
    ax_settle(ax);
    assert_int_equal(ax->asked_count, 4); /* 7 once, 8, and each anonymous connection */
    assert_int_equal(ax_allow(ax), 0);
    assert_non_null(strstr(ax_heard(ax, 0), "subscription_succeeded"));
    assert_non_null(strstr(ax_heard(ax, 1), "subscription_succeeded"));
    assert_string_equal(ax_heard(ax, 2), "");
    assert_int_equal(ax_deny(ax), 0);
    assert_non_null(strstr(ax_heard(ax, 2), "subscription_error"));
    assert_string_equal(ax_heard(ax, 3), "");
    assert_int_equal(ax_allow(ax), 0);
    assert_non_null(strstr(ax_heard(ax, 3), "subscription_succeeded"));
    assert_string_equal(ax_heard(ax, 4), "");
}

static void a_user_named_like_a_socket_shares_nothing_with_it(void **state)
{
    struct ax *ax = *state;
    add_rule(ax, 0);
    ax_connect(ax, 0, 0, NULL);
    pusherc_socket_id id = ax->clients[0].q.owner;
    ax_connect(ax, 1, 0, NULL);
    ax->clients[1].session.identity =
        pc_identity_new(&ax->fx.mem, pc_slice((const char *)&id, sizeof id), PC_S(""));
    ax_subscribe(ax, 0, "private-tickets.1");
    ax_subscribe(ax, 1, "private-tickets.1");
    ax_settle(ax);
    assert_int_equal(ax->asked_count, 2);
}

struct claimed {
    struct pc_waiter waiter;
    unsigned allowed, denied;
};

static void on_claimed(struct pc_waiter *waiter, const struct pc_question *question,
                       const struct pc_verdict *verdict)
{
    (void)question;
    struct claimed *c = PC_CONTAINER(waiter, struct claimed, waiter);
    c->allowed += verdict->allowed;
    c->denied += !verdict->allowed;
}

/* As an auth endpoint asks: an anonymous request may name the socket of any client. */
static void a_request_that_only_names_a_socket_is_asked_separately(void **state)
{
    struct ax *ax = *state;
    static const char name[] = "private-tickets.1";
    struct pc_worker *worker = &ax->fx.engine->workers[0];
    struct claimed claimed[3] = {0};
    struct pc_verdict now;
    add_rule(ax, 100000);
    ax_connect(ax, 0, 0, NULL);
    struct pc_app *app = ax->clients[0].session.app;
    struct pc_rule_match match =
        pc_rules_find(&ax->fx.engine->rules, app->id, pc_slice_of(name), PUSHERC_CHANNEL_PRIVATE);
    struct pc_question question = {.app = app,
                                   .match = &match,
                                   .channel = pc_slice_of(name),
                                   .socket_id = ax->clients[0].q.owner,
                                   .unshared = true};
    ax_subscribe(ax, 0, name);
    for (size_t i = 0; i < 3; i++) {
        pc_waiter_init(&claimed[i].waiter, on_claimed);
        if (i == 2)
            ax_allow(ax); /* the connection's own, now cached for it */
        assert_false(pc_decide(worker, &question, &claimed[i].waiter, &now));
    }
    ax_settle(ax);
    assert_int_equal(ax->asked_count, 3);
    ax_deny(ax);
    ax_deny(ax);
    ax_allow(ax);
    assert_int_equal(claimed[0].denied, 1);
    assert_int_equal(claimed[1].denied, 1);
    assert_int_equal(claimed[2].allowed, 1);
    assert_non_null(strstr(ax_heard(ax, 0), "subscription_succeeded"));
}

/* F9: a client may ask before its worker has been told that there are other rules. */
static void the_rule_of_now_is_asked_whatever_another_has_answered(void **state)
{
    struct ax *ax = *state;
    pusherc_rule special = ax_rule(ax, "tickets.1");
    add_rule(ax, 100000);
    for (size_t i = 0; i < 3; i++)
        ax_connect(ax, i, 0, "7");
    ax_subscribe(ax, 0, "private-tickets.1");
    ax_settle(ax);
    ax_allow(ax); /* kept */
    ax_subscribe(ax, 1, "private-tickets.1");
    assert_non_null(strstr(ax_heard(ax, 1), "subscription_succeeded"));
    ax_subscribe(ax, 2, "private-tickets.2");
    ax_settle(ax);
    assert_int_equal(ax->asked_count, 1); /* under way */
    ax_add(ax, &special);
    special.pattern = "tickets.2";
    ax_add(ax, &special);
    ax_subscribe(ax, 2, "private-tickets.1");
    ax_subscribe(ax, 0, "private-tickets.2");
    ax_settle(ax);
    assert_int_equal(ax->asked_count, 2);
    ax_allow(ax); /* of the rule of before: asked again */
    ax_settle(ax);
    assert_int_equal(ax->asked_count, 2);
    ax_deny(ax);
    ax_deny(ax);
    ax_settle(ax);
    assert_null(strstr(ax_heard(ax, 2), "subscription_succeeded"));
    const char *denied = ax_denied(ax);
    assert_non_null(strstr(denied, "private-tickets.1 (tickets.1)"));
    assert_non_null(strstr(denied, "private-tickets.2 (tickets.2)"));
}

/* -- answering -- */

static void silence_is_a_no_after_the_deadline(void **state)
{
    struct ax *ax = *state;
    add_rule(ax, 0);
    ax_connect(ax, 0, 0, "7");
    ax_subscribe(ax, 0, "private-tickets.1");
    pusherc_auth_request *r = ax_next(ax);
    ax_pass(ax, AX_TIMEOUT_MS - 1);
    assert_string_equal(ax_heard(ax, 0), "");
    ax_pass(ax, 1);
    const char *heard = ax_heard(ax, 0);
    assert_non_null(strstr(heard, "pusher:subscription_error"));
    assert_non_null(strstr(heard, "403"));
    assert_string_equal(ax_denied(ax), "TIMEOUT private-tickets.1 (tickets.{id}) 7 403 "
                                       "The application did not answer in time\n");
    /* the question can be asked again, and the late answer has no effect */
    ax_subscribe(ax, 0, "private-tickets.1");
    pusherc_auth_request *second = ax_next(ax);
    assert_int_equal(pusherc_auth_allow(r, NULL), PUSHERC_ETIMEDOUT);
    assert_string_equal(ax_heard(ax, 0), "");
    assert_int_equal(pusherc_auth_allow(second, NULL), 0);
    assert_non_null(strstr(ax_heard(ax, 0), "subscription_succeeded"));
}

static void unsubscribing_takes_the_question_back(void **state)
{
    struct ax *ax = *state;
    add_rule(ax, 0);
    ax_connect(ax, 0, 0, "7");
    ax_subscribe(ax, 0, "private-tickets.1");
    pusherc_auth_request *r = ax_next(ax);
    fx_unsubscribe(&ax->clients[0], "private-tickets.1");
    assert_int_equal(pusherc_auth_allow(r, NULL), PUSHERC_ECANCELED);
    assert_string_equal(ax_heard(ax, 0), "");
    assert_int_equal(ax->clients[0].session.subscription_count, 0);
    assert_int_equal(ax->clients[0].session.grant_count, 0);
}

static void unsubscribing_within_the_turn_asks_nothing(void **state)
{
    struct ax *ax = *state;
    add_rule(ax, 0);
    ax_connect(ax, 0, 0, "7");
    ax_subscribe(ax, 0, "private-tickets.1");
    fx_unsubscribe(&ax->clients[0], "private-tickets.1");
    ax_settle(ax);
    assert_int_equal(ax->calls, 0);
}

static void an_answer_after_the_end_of_the_connection_is_discarded(void **state)
{
    struct ax *ax = *state;
    add_rule(ax, 0);
    ax_connect(ax, 0, 0, "7");
    ax_connect(ax, 1, 0, "7");
    ax_subscribe(ax, 0, "private-tickets.1");
    ax_subscribe(ax, 1, "private-tickets.1");
    ax_subscribe(ax, 0, "private-tickets.2");
    pusherc_auth_request *first = ax_next(ax), *second = ax_next(ax);
    fx_disconnect(&ax->clients[0]);
    ax->clients[0].fx = NULL;
    assert_int_equal(pusherc_auth_allow(second, NULL), PUSHERC_ECANCELED);
    assert_int_equal(pusherc_auth_allow(first, NULL), 0); /* another one waits */
    assert_non_null(strstr(ax_heard(ax, 1), "subscription_succeeded"));
}

static void an_answer_consumes_its_request(void **state)
{
    struct ax *ax = *state;
    size_t blocks = 0;
    add_rule(ax, 0);
    ax_connect(ax, 0, 0, "7");
    for (int i = 0; i < 20; i++) {
        ax_subscribe(ax, 0, "private-tickets.1");
        ax_deny(ax);
        ax_heard(ax, 0);
        if (i == 2) /* what is made once is there now */
            blocks = failing_alloc_live(&ax->fx.alloc);
    }
    assert_int_equal(failing_alloc_live(&ax->fx.alloc), blocks);
}

static void an_answer_after_the_end_of_the_server_is_discarded(void **state)
{
    struct ax *ax = *state;
    add_rule(ax, 0);
    ax_connect(ax, 0, 0, "7");
    ax_connect(ax, 1, 1, "8");
    ax_subscribe(ax, 0, "private-tickets.1");
    ax_subscribe(ax, 1, "private-tickets.1");
    pusherc_auth_request *posted = ax_next(ax), *held = ax_next(ax);
    assert_int_equal(pusherc_auth_allow(posted, NULL), 0); /* arrives at a closed mailbox */
    ax_close(ax);
    assert_int_equal(pusherc_auth_allow(held, NULL), PUSHERC_ECANCELED);
}

static void every_answer_is_checked_before_it_counts(void **state)
{
    struct ax *ax = *state;
    char text[600];
    memset(text, 'x', sizeof text);
    static const struct {
        size_t user, view;
        const char *info;
        size_t struct_size;
        int err;
    } cases[] = {
        {128, 64, "{}", sizeof(pusherc_grant), 0},
        {0, 65, "", sizeof(pusherc_grant), PUSHERC_EINVAL},
        {513, 0, "", sizeof(pusherc_grant), PUSHERC_EINVAL},
        {0, 0, "{", sizeof(pusherc_grant), PUSHERC_EINVAL},
        {0, 0, "{} x", sizeof(pusherc_grant), PUSHERC_EINVAL},
        {0, 0, "\xff", sizeof(pusherc_grant), PUSHERC_EINVAL},
        {0, 0, "", sizeof(pusherc_grant) - 1, PUSHERC_EINVAL},
    };
    add_rule(ax, 0);
    ax_connect(ax, 0, 0, "7");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pusherc_grant grant = PUSHERC_GRANT_INIT;
        grant.struct_size = cases[i].struct_size;
        grant.user_id = pc_slice(text, cases[i].user);
        grant.view = pc_slice(text, cases[i].view);
        grant.user_info_json = pc_slice_of(cases[i].info);
        ax_subscribe(ax, 0, "presence-tickets.1");
        assert_int_equal(pusherc_auth_allow(ax_next(ax), &grant), cases[i].err);
        const char *heard = ax_heard(ax, 0);
        if (!strstr(heard, cases[i].err ? "subscription_error" : "subscription_succeeded"))
            fail_msg("case %zu: %s", i, heard);
        fx_unsubscribe(&ax->clients[0], "presence-tickets.1");
        ax_heard(ax, 0);
    }
    static const struct {
        int status;
        const char *reason;
        int err;
        const char *heard;
    } denials[] = {
        {0, NULL, 0, "status\\\":403"},    {402, "Pay", 0, "status\\\":402"},
        {399, "x", PUSHERC_EINVAL, "403"}, {500, "x", PUSHERC_EINVAL, "403"},
        {-1, "x", PUSHERC_EINVAL, "403"},  {0, "\xff", PUSHERC_EINVAL, "Forbidden"},
        {0, "so \"it\" is", 0, "so \\"},
    };
    for (size_t i = 0; i < sizeof denials / sizeof *denials; i++) {
        ax_subscribe(ax, 0, "private-tickets.1");
        assert_int_equal(pusherc_auth_deny(ax_next(ax), denials[i].status, denials[i].reason),
                         denials[i].err);
        const char *heard = ax_heard(ax, 0);
        if (!strstr(heard, denials[i].heard))
            fail_msg("denial %zu: %s", i, heard);
    }
    memset(text, 'r', sizeof text);
    text[sizeof text - 1] = '\0';
    ax_subscribe(ax, 0, "private-tickets.1");
    assert_int_equal(pusherc_auth_deny(ax_next(ax), 0, text), 0);
    assert_int_equal(ax_count(ax_heard(ax, 0), "rrrrrrrrrrrr"), 2 * 120 / 12);
}

static void count_free(void *data)
{
    ++*(unsigned *)data;
}

static void an_answered_request_keeps_no_identity(void **state)
{
    struct ax *ax = *state;
    unsigned freed = 0;
    add_rule(ax, 0);
    ax_connect(ax, 0, 0, "7");
    ax->clients[0].session.identity->data = &freed;
    ax->clients[0].session.identity->free_data = count_free;
    ax_subscribe(ax, 0, "private-tickets.1");
    ax_subscribe(ax, 0, "private-tickets.2");
    pusherc_auth_request *r = ax_next(ax), *canceled = ax_next(ax);
    assert_ptr_equal(pusherc_auth_conn_data(r), &freed);
    assert_int_equal(pusherc_auth_allow(r, NULL), 0);
    ax_settle(ax);
    fx_disconnect(&ax->clients[0]);
    ax->clients[0].fx = NULL;
    assert_int_equal(freed, 0); /* a request that is out with the host does */
    assert_ptr_equal(pusherc_auth_conn_data(canceled), &freed);
    assert_int_equal(pusherc_auth_allow(canceled, NULL), PUSHERC_ECANCELED);
    ax_settle(ax);
    assert_int_equal(freed, 1);
}

/* -- answers of before -- */

static void answers_are_reused_where_the_rule_allows_it(void **state)
{
    struct ax *ax = *state;
    add_rule(ax, 1000);
    ax->grant.view = PC_S("agent");
    ax_connect(ax, 0, 0, "7");
    ax_connect(ax, 1, 0, "7");
    ax_connect(ax, 2, 0, "8");
    ax_subscribe(ax, 0, "private-tickets.1");
    assert_int_equal(ax_allow(ax), 0);
    ax_subscribe(ax, 1, "private-tickets.1");
    assert_non_null(strstr(ax_heard(ax, 1), "subscription_succeeded"));
    ax_subscribe(ax, 1, "private-tickets.2");
    assert_int_equal(ax_deny(ax), 0); /* another channel */
    ax_subscribe(ax, 2, "private-tickets.1");
    assert_int_equal(ax_deny(ax), 0); /* another user */
    assert_int_equal(ax->calls, 3);
    ax_subscribe(ax, 2, "private-tickets.1"); /* a no is remembered as well */
    ax_settle(ax);
    assert_int_equal(ax->calls, 3);
    assert_non_null(strstr(ax_heard(ax, 2), "subscription_error"));
    ax_pass(ax, 1000);
    ax_subscribe(ax, 2, "private-tickets.1");
    assert_int_equal(ax_allow(ax), 0);
    assert_non_null(strstr(ax_heard(ax, 2), "subscription_succeeded"));
}

static void a_grant_that_ends_sooner_is_not_reused(void **state)
{
    struct ax *ax = *state;
    add_rule(ax, 1000);
    ax->grant.expires_in_ms = 500;
    ax_connect(ax, 0, 0, "7");
    ax_connect(ax, 1, 0, "7");
    ax_subscribe(ax, 0, "private-tickets.1");
    assert_int_equal(ax_allow(ax), 0);
    ax_subscribe(ax, 1, "private-tickets.1");
    ax_settle(ax);
    assert_int_equal(ax->asked_count, 1);
}

static void a_change_purges_what_it_concerns(void **state)
{
    struct ax *ax = *state;
    static const struct {
        const char *user, *pattern;
        bool asks;
    } cases[] = {
        {NULL, NULL, true},        {"7", NULL, true},   {NULL, "tickets.{x}", true},
        {NULL, "tickets.1", true}, {"8", NULL, false},  {NULL, "tickets.2", false},
        {"7", "tickets.2", false}, {"7", "{x}", false}, {NULL, "private-tickets.1", false},
    };
    add_rule(ax, 1000000);
    ax_connect(ax, 0, 0, "7");
    ax->answer = AX_DENY;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ax_subscribe(ax, 0, "private-tickets.1");
        ax_settle(ax);
        unsigned before = ax->calls;
        assert_int_equal(ax_reauthorize(ax, cases[i].user, cases[i].pattern), 0);
        ax_subscribe(ax, 0, "private-tickets.1");
        ax_settle(ax);
        if ((ax->calls > before) != cases[i].asks)
            fail_msg("case %zu", i);
    }
    ax_heard(ax, 0);
    ax_denied(ax);
}

static void an_answer_older_than_the_change_is_asked_again(void **state)
{
    struct ax *ax = *state;
    add_rule(ax, 1000);
    ax_connect(ax, 0, 0, "7");
    ax_subscribe(ax, 0, "private-tickets.1");
    pusherc_auth_request *old = ax_next(ax);
    ax_reauthorize(ax, "7", NULL);
    assert_int_equal(ax->done, 0); /* it waits for that question */
    assert_int_equal(pusherc_auth_allow(old, NULL), 0);
    ax_settle(ax);
    assert_string_equal(ax_heard(ax, 0), "");
    assert_int_equal(ax->asked_count, 1);
    assert_int_equal(ax_deny(ax), 0);
    assert_non_null(strstr(ax_heard(ax, 0), "subscription_error"));
    assert_int_equal(ax->done, 1);
    assert_int_equal(ax->kept, 0);
}

static void an_answer_under_way_when_the_change_comes_is_asked_again(void **state)
{
    struct ax *ax = *state;
    add_rule(ax, 0);
    ax_connect(ax, 0, 0, "7");
    ax_subscribe(ax, 0, "private-tickets.1");
    assert_int_equal(pusherc_auth_allow(ax_next(ax), NULL), 0); /* in the mailbox */
    ax_reauthorize(ax, NULL, NULL);
    assert_string_equal(ax_heard(ax, 0), "");
    assert_int_equal(ax_allow(ax), 0);
    assert_non_null(strstr(ax_heard(ax, 0), "subscription_succeeded"));
    assert_int_equal(ax->done, 1);
    assert_int_equal(ax->kept, 1);
}

static void a_question_not_asked_yet_is_asked_once(void **state)
{
    struct ax *ax = *state;
    add_rule(ax, 0);
    ax_connect(ax, 0, 0, "7");
    ax_subscribe(ax, 0, "private-tickets.1");
    ax_reauthorize(ax, NULL, NULL);
    assert_int_equal(ax_allow(ax), 0);
    assert_int_equal(ax->calls, 1);
    assert_int_equal(ax->done, 1);
}

/* -- threads -- */

static void *answer_all(void *arg)
{
    struct ax *ax = arg;
    for (size_t i = 0; i < ax->asked_count; i++) {
        if (i % 3 == 0)
            pusherc_auth_deny(ax->asked[i], 0, "no");
        else
            pusherc_auth_allow(ax->asked[i], &ax->grant);
    }
    return NULL;
}

static void answers_come_from_any_thread(void **state)
{
    struct ax *ax = *state;
    pthread_t thread;
    unsigned allowed = 0, denied = 0;
    add_rule(ax, 0);
    ax_connect(ax, 0, 0, "7");
    ax_connect(ax, 1, 1, "8");
    for (int i = 0; i < 90; i++) {
        char name[32];
        snprintf(name, sizeof name, "private-tickets.%d", i);
        ax_subscribe(ax, i % 2 != 0, name);
    }
    ax_settle(ax);
    assert_int_equal(ax->asked_count, 90);
    assert_int_equal(pthread_create(&thread, NULL, answer_all, ax), 0);
    for (int tries = 0; allowed + denied < 90 && tries < 10000000; tries++) {
        for (size_t i = 0; i < 2; i++) {
            const char *heard = ax_heard(ax, i);
            allowed += ax_count(heard, "subscription_succeeded");
            denied += ax_count(heard, "subscription_error");
        }
    }
    pthread_join(thread, NULL);
    ax->asked_count = 0;
    assert_int_equal(allowed, 60);
    assert_int_equal(denied, 30);
}

/* -- without memory -- */

static void a_host_without_memory_refuses_and_goes_on(void **state)
{
    (void)state;
    static struct ax ax;
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        int err = ax_try_open(&ax, 1, PUSHERC_AUTH_RULES, n);
        if (err == 0) {
            pusherc_rule rule = ax_rule(&ax, "tickets.{id}");
            rule.cache_ms = 1000;
            err = pc_rules_add(&ax.fx.engine->rules, &rule, NULL);
        }
        for (size_t i = 0; i < 2 && err == 0; i++)
            err = ax_try_connect(&ax, i, 0, "7");
        if (err == 0) {
            ax_subscribe(&ax, 0, "private-tickets.1");
            ax_subscribe(&ax, 1, "private-tickets.1");
            ax_settle(&ax);
            while (ax.asked_count > 0)
                ax_allow(&ax);
            (void)ax_reauthorize(&ax, "7", NULL);
            ax_settle(&ax);
            while (ax.asked_count > 0)
                ax_deny(&ax);
            ax_pass(&ax, 1);
            ax_pass(&ax, AX_TIMEOUT_MS);
            for (size_t i = 0; i < 2; i++) {
                struct pc_session *s = &ax.clients[i].session;
                assert_true(ax.clients[i].over || s->subscription_count <= 1);
            }
        }
        failed = failing_alloc_hit(&ax.fx.alloc);
        if (err)
            assert_int_equal(err, PUSHERC_ENOMEM);
        if (ax.fx.engine)
            ax_close(&ax);
        if (failing_alloc_live(&ax.fx.alloc))
            fail_msg("request %zu: %zu blocks left", n, failing_alloc_live(&ax.fx.alloc));
    }
}

/* It would be silent otherwise: the rule is never asked. */
static void a_pattern_that_matches_no_channel_is_refused(void **state)
{
    static const struct {
        const char *pattern, *says;
    } cases[] = {
        {"private-tickets.{id}", "leave the prefix out"},
        {"private-encrypted-x", "leave the prefix out"},
        {"presence-{room}", "leave the prefix out"},
        {"cache-news", "leave the prefix out"},
        {"#server-to-user-{id}", "leave the prefix out"},
        {"tickets.*", "no channel has such a name"},
        {"my tickets", "no channel has such a name"},
    };
    struct ax *ax = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pusherc_rule rule = ax_rule(ax, cases[i].pattern);
        pusherc_errinfo info = {0};
        assert_int_equal(pc_rules_add(&ax->fx.engine->rules, &rule, &info), PUSHERC_EINVAL);
        if (!strstr(info.text, cases[i].says))
            fail_msg("\"%s\"", info.text);
    }
    pusherc_rule rule = ax_rule(ax, "presence.{room}-@=,;_");
    assert_int_equal(pc_rules_add(&ax->fx.engine->rules, &rule, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_host(a_request_tells_who_asks_for_what),
        with_host(nothing_is_asked_before_the_turn_ends),
        with_host(forty_subscribes_of_a_turn_are_one_call),
        with_host(questions_of_many_turns_are_gathered),
        with_host(a_full_batch_waits_no_longer),
        with_host(only_batches_wait),
        with_host(who_leaves_while_questions_are_gathered_is_not_asked_about),
        with_host(the_same_question_is_asked_once),
        with_host(a_user_named_like_a_socket_shares_nothing_with_it),
        with_host(a_request_that_only_names_a_socket_is_asked_separately),
        with_host(the_rule_of_now_is_asked_whatever_another_has_answered),
        with_host(silence_is_a_no_after_the_deadline),
        with_host(unsubscribing_takes_the_question_back),
        with_host(unsubscribing_within_the_turn_asks_nothing),
        with_host(an_answer_after_the_end_of_the_connection_is_discarded),
        with_host(an_answer_consumes_its_request),
        with_host(an_answer_after_the_end_of_the_server_is_discarded),
        with_host(every_answer_is_checked_before_it_counts),
        with_host(an_answered_request_keeps_no_identity),
        with_host(answers_are_reused_where_the_rule_allows_it),
        with_host(a_grant_that_ends_sooner_is_not_reused),
        with_host(a_change_purges_what_it_concerns),
        with_host(an_answer_older_than_the_change_is_asked_again),
        with_host(an_answer_under_way_when_the_change_comes_is_asked_again),
        with_host(a_question_not_asked_yet_is_asked_once),
        with_host(answers_come_from_any_thread),
        with_host(a_pattern_that_matches_no_channel_is_refused),
        cmocka_unit_test(a_host_without_memory_refuses_and_goes_on),
    };
    return cmocka_run_group_tests_name("decision", tests, NULL, NULL);
}
