/* Newcomers of a crowded presence channel: they wait for their turn, and hold up no other client meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth_fixture.h"
#include "fanout/decider.h"
#include "fanout/local.h"
#include "session/member.h"

#define ROOM      "presence-room"
#define MEMBERS   (PC_CROWD + 1)
#define NEWCOMERS 3

struct fixture {
    struct fx fx;
    struct pc_worker *worker;
    struct fx_client members[MEMBERS], newcomers[NEWCOMERS], other;
};

static uint64_t now_ns;

static uint64_t clock_ns(void)
{
    return now_ns++; /* each look takes a nanosecond */
}

/* A turn that has time for so many looks at the clock. */
static bool serve_for(struct fixture *f, uint64_t looks)
{
    now_ns = 0;
    return pc_session_serve_joins(f->worker, clock_ns, looks);
}

static void join(struct fx_client *client, unsigned user)
{
    char data[1024]; /* with MEMBERS of them a roster is longer than PC_JOINS_LEAST */
    snprintf(data, sizeof data, "{\"user_id\":\"%u\",\"user_info\":\"%0800u\"}", user, user);
    fx_join(client, ROOM, data);
}

static void newcomer_joins(struct fixture *f, size_t i)
{
    join(&f->newcomers[i], MEMBERS + (unsigned)i);
}

static bool is_in(struct fx_client *client, const char *channel)
{
    return pc_session_subscription(&client->session, pc_slice_of(channel)) != NULL;
}

static bool has_joined(struct fixture *f, size_t i)
{
    return is_in(&f->newcomers[i], ROOM);
}

static bool waits(struct fixture *f, size_t i)
{
    return pc_session_join_waits(&f->newcomers[i].session, PC_S(ROOM));
}

static int open_with(void **state, unsigned members)
{
    struct fixture *f = calloc(1, sizeof *f);
    pusherc_app_options app = fx_app();
    *state = f;
    if (!f)
        return -1;
    fx_open(&f->fx, 1);
    app.max_presence_members = MEMBERS + NEWCOMERS - 1;
    assert_int_equal(fx_try_put(&f->fx, &app), 0);
    f->worker = &f->fx.engine->workers[0];
    for (unsigned i = 0; i < members; i++) {
        fx_connect(&f->fx, &f->members[i], 0);
        join(&f->members[i], i);
    }
    for (size_t i = 0; i < NEWCOMERS; i++)
        fx_connect(&f->fx, &f->newcomers[i], 0);
    fx_connect(&f->fx, &f->other, 0);
    fx_settle(&f->fx);
    for (unsigned i = 0; i < members; i++)
        fx_forget(&f->members[i]);
    for (size_t i = 0; i < NEWCOMERS; i++)
        fx_forget(&f->newcomers[i]);
    fx_forget(&f->other);
    return 0;
}

static int set_up(void **state)
{
    return open_with(state, MEMBERS);
}

static int set_up_few(void **state)
{
    return open_with(state, PC_CROWD);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < MEMBERS; i++)
        if (f->members[i].fx)
            fx_disconnect(&f->members[i]);
    for (size_t i = 0; i < NEWCOMERS; i++)
        if (!f->newcomers[i].over)
            fx_disconnect(&f->newcomers[i]);
    fx_disconnect(&f->other);
    bool waits = !pc_list_empty(&f->worker->joins);
    fx_settle(&f->fx);
    fx_close(&f->fx);
    bool clean = failing_alloc_live(&f->fx.alloc) == 0 && !waits;
    free(f);
    return clean ? 0 : -1;
}

static void a_hundred_members_are_no_crowd(void **state)
{
    struct fixture *f = *state;
    newcomer_joins(f, 0);
    assert_true(has_joined(f, 0));
    newcomer_joins(f, 1); /* of a hundred and one */
    assert_false(has_joined(f, 1));
    assert_true(serve_for(f, 0));
    assert_true(has_joined(f, 1));
    assert_false(serve_for(f, 0));
}

static void newcomers_wait_and_others_do_not(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 2; i++)
        newcomer_joins(f, i);
    fx_subscribe(&f->other, "news");
    fx_subscribe(&f->newcomers[2], ROOM "-2"); /* another channel, and refused */
    assert_true(is_in(&f->other, "news"));
    assert_int_equal(f->newcomers[2].q.count, 2);
    assert_int_equal(f->newcomers[0].q.count, 0);
    assert_true(serve_for(f, 0)); /* one in any case, who came first */
    assert_true(has_joined(f, 0));
    assert_false(has_joined(f, 1));
    assert_true(serve_for(f, 0));
    assert_true(has_joined(f, 1));
    assert_int_equal(ax_count(fx_heard(&f->newcomers[0]), "subscription_succeeded"), 1);
    assert_int_equal(ax_count(fx_heard(&f->members[0]), "member_added"), 2);
}

static void what_they_are_sent_is_written_last(void **state)
{
    struct fixture *f = *state;
    newcomer_joins(f, 0);
    fx_subscribe(&f->other, "news");
    assert_true(serve_for(f, 0));
    assert_ptr_equal(f->worker->dirty.next, &f->other.q.dirty);
    assert_ptr_equal(f->worker->dirty.prev, &f->other.q.dirty);
    assert_ptr_equal(f->worker->bulk.next, &f->newcomers[0].q.dirty);
}

static void as_many_join_as_there_is_time_for(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < NEWCOMERS; i++)
        newcomer_joins(f, i);
    assert_true(serve_for(f, 2));
    assert_true(has_joined(f, 0) && has_joined(f, 1) && waits(f, 2));
}

static void while_much_is_unread_one_joins_at_a_time(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 2; i++)
        newcomer_joins(f, i);
    f->worker->queued_bytes += PC_JOINS_BYTES;
    assert_false(pc_session_has_joins(f->worker));
    assert_true(serve_for(f, 1000));
    assert_true(has_joined(f, 0) && waits(f, 1));
    f->worker->queued_bytes -= PC_JOINS_BYTES;
    assert_true(pc_session_has_joins(f->worker));
    assert_true(serve_for(f, 1000));
    assert_true(has_joined(f, 1));
}

/* They subscribe again to a channel of which they have missed nothing. */
static void what_is_short_after_all_need_not_wait_for_readers(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < NEWCOMERS; i++) {
        fx_say(&f->newcomers[i],
               "{\"event\":\"pusher:resume\",\"data\":{\"channels\":{\"news\":\"\"}}}");
        fx_subscribe(&f->newcomers[i], "news");
        assert_false(is_in(&f->newcomers[i], "news"));
    }
    f->worker->queued_bytes += PC_JOINS_BYTES;
    assert_true(serve_for(f, 1000));
    f->worker->queued_bytes -= PC_JOINS_BYTES;
    for (size_t i = 0; i < NEWCOMERS; i++)
        assert_true(is_in(&f->newcomers[i], "news"));
}

/* What the limit leaves is given in the order of turns. */
static void the_limit_counts_when_it_is_their_turn(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < NEWCOMERS; i++)
        newcomer_joins(f, i);
    fx_settle(&f->fx);
    assert_true(has_joined(f, 0) && has_joined(f, 1) && !has_joined(f, 2));
    assert_int_equal(ax_count(fx_heard(&f->newcomers[2]), "maximum of members"), 2);
    assert_int_equal(f->newcomers[2].session.subscription_count, 0);
}

static void a_clients_answers_keep_the_order_of_its_requests(void **state)
{
    struct fixture *f = *state;
    newcomer_joins(f, 0);
    fx_subscribe(&f->newcomers[0], "news");
    newcomer_joins(f, 0);
    assert_int_equal(f->newcomers[0].session.subscription_count, 2);
    assert_false(is_in(&f->newcomers[0], "news"));
    const char *text = fx_heard(&f->newcomers[0]);
    const char *in_progress = strstr(text, "Subscription in progress to channel " ROOM);
    const char *room = strstr(text, "\"channel\":\"" ROOM),
               *news = strstr(text, "\"channel\":\"news");
    assert_true(in_progress && room && news && in_progress < room && room < news);
    assert_int_equal(ax_count(text, "subscription_succeeded"), 2);
}

static void unsubscribing_takes_it_back(void **state)
{
    struct fixture *f = *state;
    newcomer_joins(f, 0);
    newcomer_joins(f, 1);
    fx_subscribe(&f->newcomers[0], "news");
    fx_unsubscribe(&f->newcomers[0], ROOM);
    assert_true(serve_for(f, 0));
    assert_true(has_joined(f, 1));
    assert_false(serve_for(f, 0));
    fx_pass(&f->fx, 1); /* what waited behind it */
    assert_true(is_in(&f->newcomers[0], "news"));
    assert_int_equal(ax_count(fx_heard(&f->newcomers[0]), ROOM), 0);
    assert_int_equal(ax_count(fx_heard(&f->members[0]), "member_added"), 1);
    newcomer_joins(f, 0); /* anew */
    assert_true(serve_for(f, 0));
    assert_true(has_joined(f, 0));
}

static void a_client_that_ends_does_not_join(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 2; i++)
        newcomer_joins(f, i);
    fx_disconnect(&f->newcomers[0]);
    assert_true(serve_for(f, 0));
    assert_true(has_joined(f, 1));
    assert_int_equal(ax_count(fx_heard(&f->members[0]), "member_added"), 1);
}

static void a_crowd_that_has_left_is_none(void **state)
{
    struct fixture *f = *state;
    newcomer_joins(f, 0);
    for (size_t i = 1; i < MEMBERS; i++)
        fx_disconnect(&f->members[i]), f->members[i].fx = NULL;
    assert_true(serve_for(f, 0));
    assert_true(has_joined(f, 0));
}

/* -- with a decider -- */

static struct pc_joining *asked;
static unsigned ended; /* joins that were allowed */

static int begin(void *ctx, struct pc_joining *joining)
{
    (void)ctx;
    asked = joining;
    return PC_JOIN_WAITS;
}

static void abandon(void *ctx, struct pc_joining *joining)
{
    (void)ctx, (void)joining;
    ended++;
}

static uint64_t left(void *ctx, const struct pc_app *app, pusherc_slice channel,
                     pusherc_slice user_id)
{
    (void)ctx, (void)app, (void)channel, (void)user_id;
    ended++;
    return 0;
}

static void what_a_decider_has_allowed_waits_as_well(void **state)
{
    struct fixture *f = *state;
    f->fx.engine->decider = (struct pc_decider){.begin = begin, .abandon = abandon, .left = left};
    ended = 0;
    newcomer_joins(f, 0);
    assert_false(serve_for(f, 0));
    pc_join_decide(asked, 0);
    assert_false(has_joined(f, 0));
    assert_true(serve_for(f, 0));
    assert_true(has_joined(f, 0));
    newcomer_joins(f, 1);
    pc_join_decide(asked, 0);
    fx_disconnect(&f->newcomers[1]);
    assert_int_equal(ended, 1);
    newcomer_joins(f, 2);
    pc_join_decide(asked, PUSHERC_ELIMIT);
    assert_false(waits(f, 2)); /* nothing of a refusal is long */
    assert_int_equal(ax_count(fx_heard(&f->newcomers[2]), "maximum of members"), 2);
}

/* -- memory -- */

static void without_memory_nothing_is_left_behind(void **state)
{
    bool failed = true;
    (void)state;
    for (size_t n = 1; failed; n++) {
        void *own = NULL;
        assert_int_equal(open_with(&own, MEMBERS), 0);
        struct fixture *f = own;
        f->fx.alloc.fail_at = f->fx.alloc.requests + n;
        newcomer_joins(f, 0);
        fx_subscribe(&f->newcomers[0], "news");
        serve_for(f, 0);
        failed = failing_alloc_hit(&f->fx.alloc);
        f->fx.alloc.fail_at = 0;
        fx_pass(&f->fx, 1);
        assert_int_equal(f->newcomers[0].session.subscription_count,
                         has_joined(f, 0) + is_in(&f->newcomers[0], "news"));
        if (!failed)
            assert_int_equal(f->newcomers[0].session.subscription_count, 2);
        assert_int_equal(tear_down(&own), 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_hundred_members_are_no_crowd, set_up_few, tear_down),
        TEST(newcomers_wait_and_others_do_not),
        TEST(what_they_are_sent_is_written_last),
        TEST(as_many_join_as_there_is_time_for),
        TEST(while_much_is_unread_one_joins_at_a_time),
        TEST(what_is_short_after_all_need_not_wait_for_readers),
        TEST(the_limit_counts_when_it_is_their_turn),
        TEST(a_clients_answers_keep_the_order_of_its_requests),
        TEST(unsubscribing_takes_it_back),
        TEST(a_client_that_ends_does_not_join),
        TEST(a_crowd_that_has_left_is_none),
        TEST(what_a_decider_has_allowed_waits_as_well),
        cmocka_unit_test(without_memory_nothing_is_left_behind),
    };
    return cmocka_run_group_tests_name("newcomers", tests, NULL, NULL);
}
