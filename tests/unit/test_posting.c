/* Posting: one number for an event and all its variants, and for each subscriber the variant of its view and of
 * its queue's encoding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth_fixture.h"
#include "fanout/posting.h"
#include "fanout/subscription.h"

#define CHANNEL "private-t.1"
#define CLIENTS 4 /* on two workers */

static const char *const views[CLIENTS] = {"agent", "customer", "agent", NULL};

static pusherc_render_verdict render(pusherc_render *r, void *user_data)
{
    (void)r;
    (void)user_data;
    return PUSHERC_RENDER_NOTHING;
}

/* Two views on two workers, and a subscriber without one. */
static int set_up(void **state)
{
    struct ax *ax = malloc(sizeof *ax);
    REQUIRE(ax);
    ax_open(ax, 2, PUSHERC_AUTH_RULES);
    pusherc_rule rule = ax_rule(ax, "t.{x}");
    rule.render = render;
    ax_add(ax, &rule);
    ax->answer = AX_ALLOW;
    for (size_t i = 0; i < CLIENTS; i++) {
        char user[] = {'u', (char)('0' + i), '\0'};
        ax_connect(ax, i, (uint32_t)(i % 2), user);
        ax->grant.view = pc_slice_of(views[i]);
        ax_subscribe(ax, i, CHANNEL);
        ax_heard(ax, i);
    }
    *state = ax;
    return 0;
}

#define with_views(function) cmocka_unit_test_setup_teardown(function, set_up, ax_tear_down)

static struct pc_subscription *subscription_of(struct ax *ax, size_t i)
{
    return PC_CONTAINER(ax->clients[i].session.subscriptions.next, struct pc_subscription,
                        of_session);
}

static struct pc_channel *channel_of(struct ax *ax)
{
    return subscription_of(ax, 0)->local->channel;
}

static void expect(struct ax *ax, size_t i, const char *heard)
{
    const char *text = ax_heard(ax, i);
    if (strcmp(text, heard) != 0)
        fail_msg("client %zu heard %s instead of %s", i, text, heard);
}

/* For each view its message, NULL = nothing; for views with the same message one variant. */
static struct pc_frame *make(struct ax *ax, const char *agent, const char *customer)
{
    struct pc_recipients recipients;
    struct pc_channel *channel = channel_of(ax);
    pc_recipients_read(ax->fx.engine, channel, &recipients);
    channel->holders--; /* the subscribers stay */
    struct pc_frame *event = pc_event_new_rendered(&recipients);
    if (!event)
        return NULL;
    int err = 0;
    for (uint32_t i = 0; err == 0 && i < PC_VIEW_PLACES; i++) {
        const struct pc_view *view = &recipients.views.items[i];
        const char *text = view->uses == 0 ? NULL : view->name[0] == 'a' ? agent : customer;
        if (text)
            err = pc_event_add(event, &recipients, pc_slice_of(text), event->variants->index[i]);
    }
    if (err == 0)
        return event;
    pc_frame_done(event);
    return NULL;
}

static int post(struct ax *ax, struct pc_frame *event)
{
    struct pc_posting posting = {.event = event};
    struct pc_channel *channel = channel_of(ax);
    pthread_mutex_lock(&channel->shard->mutex);
    assert_true(pc_event_fits(event, channel));
    int err = pc_post(ax->fx.engine, channel, &posting);
    pc_shard_unlock(channel->shard);
    pc_posting_finish(ax->fx.engine, &posting);
    return err;
}

static int post_message(struct ax *ax, const char *text)
{
    struct pc_posting posting = {0};
    struct pc_channel *channel = channel_of(ax);
    pthread_mutex_lock(&channel->shard->mutex);
    int err = pc_post_message(ax->fx.engine, channel, pc_slice_of(text), &posting);
    pc_shard_unlock(channel->shard);
    pc_posting_finish(ax->fx.engine, &posting);
    return err;
}

static void a_queue_takes_websocket_messages_at_first(void **state)
{
    struct ax *ax = *state;
    for (size_t i = 0; i < CLIENTS; i++)
        assert_int_equal(ax->clients[i].q.encoding, PC_ENCODING_WS);
}

static void each_queue_gets_the_variant_of_its_view_and_encoding(void **state)
{
    struct ax *ax = *state;
    assert_int_equal(post(ax, make(ax, "for agents", "for customers")), 0);
    assert_int_equal(post(ax, make(ax, NULL, "more for customers")), 0);
    expect(ax, 0, "for agents\n");
    expect(ax, 1, "for customers\nmore for customers\n");
    expect(ax, 2, "for agents\n");
    expect(ax, 3, "");
}

/* Delivery reads the row of the target's view and in it the column of its queue. */
static void a_column_without_a_variant_is_nothing(void **state)
{
    struct ax *ax = *state;
    struct pc_frame *event = make(ax, "for agents", "for customers");
    event->variants->index[subscription_of(ax, 0)->view][ax->clients[0].q.encoding] = PC_NO_VARIANT;
    assert_int_equal(post(ax, event), 0);
    expect(ax, 0, "");
    expect(ax, 1, "for customers\n");
    expect(ax, 2, "");
}

static void a_message_for_all_is_as_a_variant_for_each(void **state)
{
    struct ax *ax = *state;
    for (int by_variants = 0; by_variants < 2; by_variants++) {
        uint64_t number = channel_of(ax)->shard->number;
        assert_int_equal(
            by_variants ? post(ax, make(ax, "ours", "ours")) : post_message(ax, "ours"), 0);
        assert_int_equal(channel_of(ax)->shard->number, number + 1);
        for (size_t i = 0; i < CLIENTS; i++)
            expect(ax, i, views[i] ? "ours\n" : "");
        assert_int_equal(channel_of(ax)->holders, 0);
    }
}

static void a_client_that_loses_its_view_gets_nothing_until_it_has_one(void **state)
{
    struct ax *ax = *state;
    assert_int_equal(pc_change_view(subscription_of(ax, 0), PC_S("")), 0);
    assert_int_equal(post_message(ax, "one"), 0);
    assert_int_equal(post(ax, make(ax, "two", "two")), 0);
    expect(ax, 0, "");
    assert_int_equal(pc_change_view(subscription_of(ax, 0), PC_S("customer")), 0);
    assert_int_equal(post_message(ax, "three"), 0);
    assert_int_equal(post(ax, make(ax, "four", "five")), 0);
    expect(ax, 0, "three\nfive\n");
}

static void an_event_comes_in_the_view_that_it_found(void **state)
{
    struct ax *ax = *state;
    assert_int_equal(post(ax, make(ax, "one", "other")), 0);
    assert_int_equal(pc_change_view(subscription_of(ax, 0), PC_S("customer")), 0);
    assert_int_equal(post(ax, make(ax, "other", "two")), 0);
    assert_int_equal(pc_change_view(subscription_of(ax, 0), PC_S("")), 0);
    assert_int_equal(post(ax, make(ax, "other", "other")), 0);
    assert_int_equal(pc_change_view(subscription_of(ax, 0), PC_S("agent")), 0);
    assert_int_equal(post(ax, make(ax, "three", "other")), 0);
    assert_int_equal(pc_change_view(subscription_of(ax, 0), PC_S("agent")), 0);
    assert_int_equal(post(ax, make(ax, "four", "other")), 0);
    expect(ax, 0, "one\ntwo\nthree\nfour\n");
}

static void a_view_that_is_left_gives_its_place_back(void **state)
{
    struct ax *ax = *state;
    const struct pc_view *items = channel_of(ax)->views->items;
    uint32_t agents = items[subscription_of(ax, 0)->view].uses;
    uint32_t place = subscription_of(ax, 0)->view;
    assert_int_equal(pc_change_view(subscription_of(ax, 0), PC_S("customer")), 0);
    assert_int_equal(pc_change_view(subscription_of(ax, 0), PC_S("agent")), 0);
    fx_unsubscribe(&ax->clients[0], CHANNEL);
    assert_int_equal(items[place].uses, agents - 1);
    expect(ax, 0, "");
    assert_int_equal(items[place].uses, agents - 1);
}

static void an_event_without_a_variant_lets_go_of_its_channel(void **state)
{
    struct ax *ax = *state;
    assert_int_equal(post(ax, make(ax, NULL, NULL)), 0);
    for (size_t i = 0; i < CLIENTS; i++)
        expect(ax, i, "");
    assert_int_equal(channel_of(ax)->holders, 0);
}

static void a_variant_outlives_its_event_in_a_queue(void **state)
{
    struct ax *ax = *state;
    ax->clients[1].stuck = true;
    assert_int_equal(post(ax, make(ax, "for agents", "for customers")), 0);
    expect(ax, 0, "for agents\n");
    expect(ax, 1, "");
    assert_int_equal(channel_of(ax)->holders, 0); /* the event is gone */
    ax->clients[1].stuck = false;
    pc_outq_mark(&ax->clients[1].q);
    expect(ax, 1, "for customers\n");
}

static void a_full_mailbox_gives_all_slots_back(void **state)
{
    struct ax *ax = *state;
    for (uint32_t full = 1; full <= 3; full++) { /* a bit per worker */
        uint64_t refused = ax->fx.engine->mailbox_refused;
        for (uint32_t w = 0; w < 2; w++)
            ax->fx.engine->workers[w].mailbox->max = full & 1u << w ? 0 : 100;
        assert_int_equal(post(ax, make(ax, "for agents", "for customers")), PUSHERC_EBACKLOG);
        expect(ax, 0, full & 1 ? "" : "for agents\n");
        expect(ax, 1, full & 2 ? "" : "for customers\n");
        assert_int_equal(channel_of(ax)->holders, 0);
        assert_int_equal(ax->fx.engine->mailbox_refused - refused, full == 3 ? 2 : 1);
    }
}

static void a_closed_mailbox_lets_go_of_all_slots(void **state)
{
    struct ax *ax = *state;
    assert_int_equal(post(ax, make(ax, "for agents", "for customers")), 0);
    pc_mailbox_close(ax->fx.engine->workers[1].mailbox);
    assert_int_equal(post(ax, make(ax, "more", "more")), 0);
    expect(ax, 0, "for agents\nmore\n");
    expect(ax, 1, "");
    assert_int_equal(channel_of(ax)->holders, 0);
}

static void without_memory_there_is_no_event_that_lacks_a_variant(void **state)
{
    struct ax *ax = *state;
    struct failing_alloc *alloc = &ax->fx.alloc;
    size_t live = failing_alloc_live(alloc), failures = 0;
    struct pc_frame *event = NULL;
    for (; !event; failures++) {
        alloc->fail_at = alloc->requests + failures + 1;
        event = make(ax, "for agents", "for customers");
        assert_true(event != NULL || failing_alloc_hit(alloc));
        alloc->fail_at = 0;
        if (!event)
            assert_int_equal(failing_alloc_live(alloc), live);
    }
    assert_int_equal(failures - 1, 4); /* the table, the event, two variants */
    assert_int_equal(post(ax, event), 0);
    expect(ax, 0, "for agents\n");
    expect(ax, 1, "for customers\n");
}

static uint32_t looks;

static void look(struct pc_mail *mail, struct pc_worker *worker)
{
    (void)mail;
    (void)worker;
    looks++;
}

/* It took the first mail before the second was posted, so that both posts found an empty mailbox. */
static void a_worker_that_both_of_two_posts_wake_is_woken_once(void **state)
{
    struct ax *ax = *state;
    struct pc_worker *worker = &ax->fx.engine->workers[1];
    struct pc_mail mails[2] = {{.run = look}, {.run = look}};
    const uint32_t wakes = ax->fx.wakes[1];
    uint64_t workers = 0;
    looks = 0;
    for (size_t i = 0; i < 2; i++) {
        bool wake;
        assert_int_equal(pc_mailbox_post(worker->mailbox, &mails[i], PC_MAIL_CONTROL, &wake), 0);
        assert_true(wake);
        pc_wake_add(ax->fx.engine, &workers, UINT64_C(1) << 1);
        assert_true(pc_mailbox_run(worker->mailbox, worker));
    }
    pc_wake_workers(ax->fx.engine, workers);
    assert_int_equal(ax->fx.wakes[1], wakes + 1);
    assert_int_equal(looks, 2);
    pc_mailbox_close(worker->mailbox); /* does not wait for a pin */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_views(a_queue_takes_websocket_messages_at_first),
        with_views(each_queue_gets_the_variant_of_its_view_and_encoding),
        with_views(a_column_without_a_variant_is_nothing),
        with_views(a_message_for_all_is_as_a_variant_for_each),
        with_views(a_client_that_loses_its_view_gets_nothing_until_it_has_one),
        with_views(an_event_comes_in_the_view_that_it_found),
        with_views(a_view_that_is_left_gives_its_place_back),
        with_views(an_event_without_a_variant_lets_go_of_its_channel),
        with_views(a_variant_outlives_its_event_in_a_queue),
        with_views(a_full_mailbox_gives_all_slots_back),
        with_views(a_closed_mailbox_lets_go_of_all_slots),
        with_views(a_worker_that_both_of_two_posts_wake_is_woken_once),
        with_views(without_memory_there_is_no_event_that_lacks_a_variant),
    };
    return cmocka_run_group_tests_name("posting", tests, NULL, NULL);
}
