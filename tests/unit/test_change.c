/* The host's facts change while an auth endpoint's answer is on its way from one worker to another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth_fixture.h"

#define ENDPOINT 0 /* the worker that was asked over HTTP */
#define SOCKETS  1 /* the one with the client */

/* What net/auth_conn.c sends to the socket's worker. */
struct answer {
    struct pc_mail mail;
    struct ax *ax;
    const char *user;
};

static void tell(struct pc_mail *mail, struct pc_worker *worker)
{
    const struct answer *answer = PC_CONTAINER(mail, struct answer, mail);
    struct pc_verdict verdict = {.allowed = true};
    struct pc_channel_class class;
    assert_true(pc_channel_name_valid(PC_S("private-t.1"), 200, &class));
    struct pc_identity *who =
        pc_identity_new(&answer->ax->fx.mem, pc_slice_of(answer->user), PC_S(""));
    assert_ptr_equal(worker, answer->ax->clients[0].session.worker);
    pc_grant_remember(&answer->ax->clients[0].session, PC_S("private-t.1"), class, who, &verdict);
    pc_identity_unref(who);
}

static void send_answer(struct answer *answer)
{
    struct pc_mailbox *box = answer->ax->fx.engine->workers[SOCKETS].mailbox;
    answer->mail.run = tell;
    assert_int_equal(pc_mailbox_send(box, &answer->mail, PC_MAIL_CONTROL), 0);
}

static int set_up(void **state)
{
    struct ax *ax = calloc(1, sizeof *ax);
    *state = ax;
    if (!ax)
        return -1;
    ax_open(ax, 2, PUSHERC_AUTH_SIGNATURE);
    pusherc_rule rule = ax_rule(ax, "t.{x}");
    ax_add(ax, &rule);
    ax_connect(ax, 0, SOCKETS, NULL);
    return 0;
}

static struct pc_change *change_of(struct ax *ax, const char *user, const char *taken)
{
    struct pc_grant_filter filter = {.app_uid = ax->clients[0].session.app->state->uid,
                                     .user_id = pc_slice_of(user),
                                     .pattern = taken ? pc_rule_subject(pc_slice_of(taken))
                                                      : PC_S("t.{any}")};
    struct pc_change *change =
        pc_change_new(ax->fx.engine, &filter, pc_slice_of(taken), PC_S("no more"));
    assert_non_null(change);
    change->done = ax_on_done;
    change->user_data = ax;
    return change;
}

/* The socket's worker hears of the change before the answer comes; the endpoint's has sent it before it hears. */
static void cross(struct ax *ax, struct answer *answer, struct pc_change *change)
{
    assert_int_equal(pc_change_send(change), 0);
    fx_round(&ax->fx, SOCKETS);
    send_answer(answer);
    ax_settle(ax);
}

static void an_answer_on_its_way_is_asked_for_again(void **state)
{
    struct ax *ax = *state;
    struct answer answer = {.ax = ax, .user = "7"};
    cross(ax, &answer, change_of(ax, "7", NULL));
    assert_int_equal(ax->asked_count, 1);
    assert_int_equal(ax->done, 0);
    pusherc_auth_request *r = ax_next(ax);
    assert_true(pc_slice_eq(pusherc_auth_user_id(r), PC_S("7")));
    assert_int_equal(pusherc_auth_deny(r, 0, "no"), 0);
    ax_settle(ax);
    assert_int_equal(ax->done, 1);
    assert_int_equal(ax->revoked, 1);
    /* the signature that the endpoint made meanwhile is of no use */
    fx_subscribe(&ax->clients[0], "private-t.1");
    assert_int_equal(ax_deny(ax), 0);
    assert_int_equal(ax->clients[0].session.subscription_count, 0);
}

static void nor_is_it_kept_if_it_was_used_at_once(void **state)
{
    struct ax *ax = *state;
    struct answer answer = {.ax = ax, .user = "7"};
    assert_int_equal(pc_change_send(change_of(ax, "7", NULL)), 0);
    fx_round(&ax->fx, SOCKETS);
    send_answer(&answer);
    fx_round(&ax->fx, SOCKETS);
    fx_subscribe(&ax->clients[0], "private-t.1");
    assert_int_equal(ax->clients[0].session.subscription_count, 1);
    ax_settle(ax);
    assert_int_equal(ax_deny(ax), 0);
    assert_int_equal(ax->clients[0].session.subscription_count, 0);
    assert_int_equal(ax->done, 1);
}

/* The client uses it before the change has reached the endpoint's worker; what is published is not for it yet. */
static void nor_does_what_is_published_reach_it(void **state)
{
    struct ax *ax = *state;
    for (int allow = 0; allow < 2; allow++) {
        struct answer answer = {.ax = ax, .user = "7"};
        ax_heard(ax, 0);
        assert_int_equal(pc_change_send(change_of(ax, "7", NULL)), 0);
        fx_round(&ax->fx, SOCKETS);
        send_answer(&answer);
        fx_round(&ax->fx, SOCKETS);
        fx_subscribe(&ax->clients[0], "private-t.1");
        assert_int_equal(fx_publish(&ax->fx, "private-t.1", "news", "{}"), 0);
        fx_round(&ax->fx, SOCKETS);
        fx_round(&ax->fx, SOCKETS);
        assert_int_equal(ax->clients[0].session.subscription_count, 1);
        assert_null(strstr(ax->clients[0].heard, "news"));
        while (ax->asked_count >
               0) /* perhaps also about what was refused before; that counts no more */
            (void)(allow ? ax_allow(ax) : ax_deny(ax));
        bool came = strstr(ax_heard(ax, 0), "news");
        assert_int_equal(came, allow);
        fx_unsubscribe(&ax->clients[0], "private-t.1");
        ax_settle(ax);
    }
}

static void an_answer_to_the_same_worker_too(void **state)
{
    struct ax *ax = *state;
    struct answer answer = {.ax = ax, .user = "7"};
    /* the question was answered before the change, but its mail was sent after: one mailbox has both */
    assert_int_equal(pc_change_send(change_of(ax, "7", NULL)), 0);
    send_answer(&answer);
    ax_settle(ax);
    assert_int_equal(ax_deny(ax), 0);
    assert_int_equal(ax->revoked, 1);
}

static void others_are_left_alone(void **state)
{
    struct ax *ax = *state;
    struct answer answer = {.ax = ax, .user = "8"};
    cross(ax, &answer, change_of(ax, "7", NULL));
    assert_int_equal(ax->asked_count, 0);
    assert_int_equal(ax->done, 1);
    fx_subscribe(&ax->clients[0], "private-t.1");
    assert_int_equal(ax->clients[0].session.subscription_count, 1);
}

static void what_was_there_before_is_asked_for_once(void **state)
{
    struct ax *ax = *state;
    struct answer answer = {.ax = ax, .user = "7"};
    send_answer(&answer);
    ax_settle(ax);
    assert_int_equal(pc_change_send(change_of(ax, "7", NULL)), 0);
    ax_allow(ax);
    assert_int_equal(ax->calls, 1);
    assert_int_equal(ax->kept, 1);
    assert_int_equal(ax->done, 1);
}

/* Taking a channel away is a change, too: what was granted before is asked for, what is granted after stands. */
static void an_answer_from_before_the_channel_was_taken_is_asked_for(void **state)
{
    struct ax *ax = *state;
    struct answer answer = {.ax = ax, .user = "7"};
    cross(ax, &answer, change_of(ax, "7", "private-t.1"));
    assert_int_equal(ax_deny(ax), 0);
    fx_subscribe(&ax->clients[0], "private-t.1");
    assert_int_equal(ax_deny(ax), 0);
    assert_int_equal(ax->clients[0].session.subscription_count, 0);
}

static void a_channel_is_taken_from_each_user_of_a_connection(void **state)
{
    static const char *const users[] = {"7", "8", "signed"};
    struct ax *ax = *state;
    ax_connect(ax, 1, SOCKETS, "7");
    fx_sign_in(&ax->clients[1], "{\"id\":\"signed\"}");
    for (size_t i = 0; i < 3; i++) {
        struct answer answer = {.ax = ax, .user = "8"}; /* to the first client */
        send_answer(&answer);
        ax_settle(ax);
        for (size_t k = 0; k < 2; k++) {
            fx_subscribe(&ax->clients[k], "private-t.1");
            ax_settle(ax);
            if (ax->asked_count > 0)
                ax_allow(ax); /* it was taken before */
            assert_int_equal(ax->clients[k].session.subscription_count, 1);
        }
        assert_int_equal(pc_change_send(change_of(ax, users[i], "private-t.1")), 0);
        ax_settle(ax);
        assert_int_equal(ax->clients[0].session.subscription_count, users[i][0] != '8');
        assert_int_equal(ax->clients[1].session.subscription_count, users[i][0] == '8');
        for (size_t k = 0; k < 2; k++)
            fx_unsubscribe(&ax->clients[k], "private-t.1");
        ax_settle(ax);
    }
}

static void a_worker_that_has_ended_is_not_waited_for(void **state)
{
    struct ax *ax = *state;
    struct answer answer = {.ax = ax, .user = "7"};
    send_answer(&answer);
    pc_mailbox_close(ax->fx.engine->workers[ENDPOINT].mailbox);
    assert_int_equal(pc_change_send(change_of(ax, "7", NULL)), 0);
    ax_allow(ax);
    assert_int_equal(ax->done, 1);
    assert_int_equal(ax->kept, 1);
}

/* It closes while the change lies in its mailbox. */
static void a_worker_that_ends_meanwhile_is_not_waited_for(void **state)
{
    struct ax *ax = *state;
    struct answer answer = {.ax = ax, .user = "7"};
    send_answer(&answer);
    ax_settle(ax);
    assert_int_equal(pc_change_send(change_of(ax, "7", NULL)), 0);
    fx_round(&ax->fx, SOCKETS);
    pc_mailbox_close(ax->fx.engine->workers[ENDPOINT].mailbox);
    ax_allow(ax);
    assert_int_equal(ax->done, 1);
}

static void without_memory_no_worker_gets_the_change(void **state)
{
    struct ax *ax = *state;
    struct answer answer = {.ax = ax, .user = "7"};
    struct pc_change *change = change_of(ax, "7", NULL);
    send_answer(&answer);
    ax_settle(ax);
    size_t live = failing_alloc_live(&ax->fx.alloc);
    ax->fx.alloc.fail_at = ax->fx.alloc.requests + 1;
    assert_int_equal(pc_change_send(change), PUSHERC_ENOMEM);
    ax->fx.alloc.fail_at = 0;
    assert_int_equal(failing_alloc_live(&ax->fx.alloc), live - 1);
    ax_settle(ax);
    assert_int_equal(ax->calls, 0);
    assert_int_equal(ax->done, 0);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, ax_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(an_answer_on_its_way_is_asked_for_again),
        WITH(nor_is_it_kept_if_it_was_used_at_once),
        WITH(nor_does_what_is_published_reach_it),
        WITH(an_answer_to_the_same_worker_too),
        WITH(others_are_left_alone),
        WITH(what_was_there_before_is_asked_for_once),
        WITH(an_answer_from_before_the_channel_was_taken_is_asked_for),
        WITH(a_channel_is_taken_from_each_user_of_a_connection),
        WITH(a_worker_that_has_ended_is_not_waited_for),
        WITH(a_worker_that_ends_meanwhile_is_not_waited_for),
        WITH(without_memory_no_worker_gets_the_change),
    };
    return cmocka_run_group_tests_name("change", tests, NULL, NULL);
}
