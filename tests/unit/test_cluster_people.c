/* Watchlists over several nodes: see cluster/twin.h for what is checked all the time, also at random in test_cluster.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster/twin.h"

#define ALL 15u /* users */

/* Time passes on fast connections. */
static void pass(struct twin *t, unsigned units)
{
    for (unsigned u = 0; u < units; u++) {
        twin_pass(t, 1);
        twin_drain(t);
    }
}

static int set_up(void **state)
{
    struct twin *t = *state = calloc(1, sizeof *t);
    assert_non_null(t);
    twin_open(t, 3, 100);
    pass(t, 60); /* it has settled */
    return 0;
}

static int tear_down(void **state)
{
    twin_close(*state);
    free(*state);
    return 0;
}

static struct twin_client *person(struct twin *t, size_t node, size_t user)
{
    size_t i = 0;
    while (i < TWIN_CLIENTS &&
           !(t->clients[i].used && t->clients[i].node == node && t->clients[i].user == user))
        i++;
    REQUIRE(i < TWIN_CLIENTS);
    return &t->clients[i];
}

static void sign_in(struct twin *t, size_t node, size_t user, unsigned list)
{
    twin_sign_in(t, node, user, list);
    twin_drain(t);
}

static void leave(struct twin *t, size_t node, size_t user)
{
    twin_part(t, person(t, node, user));
    twin_settle(t, node);
}

static void lose(struct twin *t, size_t node)
{
    t->faulty = true;
    hub_lose(&t->hub, node, false);
    twin_settle(t, node);
}

static void connect_again(struct twin *t, size_t node)
{
    hub_connect(&t->hub, node);
    twin_settle(t, node);
    twin_drain(t);
}

/* The app of a node from now on. */
static void set_delay(struct twin *t, size_t node, uint32_t delay_ms, bool watchlists)
{
    pusherc_app_options app = fx_app();
    app.watchlist_events = watchlists;
    app.offline_delay_ms = delay_ms;
    REQUIRE(fx_try_put(&t->nodes[node].fx, &app) == 0);
}

static void the_first_list_is_the_truth_over_all_nodes(void **state)
{
    struct twin *t = *state;
    sign_in(t, 0, 0, 0);
    sign_in(t, 1, 3, 0);
    twin_sign_in(t, 2, 2, ALL);
    assert_false(person(t, 2, 2)->subscribed); /* it is being asked */
    twin_drain(t);
    assert_true(person(t, 2, 2)->subscribed);
    assert_int_equal(person(t, 2, 2)->roster, 13);
    /* what is followed here is known at once */
    twin_sign_in(t, 2, 2, 3);
    for (size_t i = 0; i < TWIN_CLIENTS; i++)
        assert_true(!t->clients[i].used || t->clients[i].subscribed || t->clients[i].list == 0);
    assert_int_equal(t->online + t->offline, 0);
}

static void a_user_is_online_until_the_last_connection_of_all_nodes_is_gone(void **state)
{
    struct twin *t = *state;
    sign_in(t, 0, 0, ALL);
    sign_in(t, 1, 1, ALL);
    sign_in(t, 2, 2, 0);
    sign_in(t, 0, 2, 0);
    assert_int_equal(t->online, 3); /* 1 to the first, 2 to both */
    pass(t, 2);
    leave(t, 2, 2);
    pass(t, 2);
    assert_int_equal(t->offline, 0);
    leave(t, 0, 2); /* where a watcher is */
    pass(t, 2);
    assert_int_equal(t->offline, 2);
    assert_int_equal(person(t, 0, 0)->roster, 3);
    assert_int_equal(person(t, 1, 1)->roster, 3);
    twin_finish(t);
}

static void a_user_who_leaves_before_the_authority_has_heard_of_it_is_told_once(void **state)
{
    struct twin *t = *state;
    sign_in(t, 0, 0, ALL);
    twin_sign_in(t, 0, 3, 0);
    assert_int_equal(t->online, 1);
    for (unsigned u = 0; u < 3; u++)
        twin_pass(t, 1); /* nothing that is under way moves */
    leave(t, 0, 3);
    for (unsigned u = 0; u < 2; u++)
        twin_pass(t, 1);
    twin_drain(t);
    pass(t, 3);
    assert_int_equal(t->online, 1);
    assert_int_equal(t->offline, 1);
}

static void answers_may_overtake_what_is_told_of_a_user(void **state)
{
    struct twin *t = *state;
    sign_in(t, 0, 0, ALL);
    twin_sign_in(t, 0, 3, 0);
    twin_pass(t, 2);
    leave(t, 0, 3);
    twin_pass(t, 1);
    for (int n = 0; n < 8; n++) { /* JOIN and LEAVE, without their messages */
        while (hub_can_move(&t->hub, 0, HUB_ASKED))
            twin_move(t, 0, HUB_ASKED);
        while (hub_can_move(&t->hub, 0, HUB_ANSWERS))
            twin_move(t, 0, HUB_ANSWERS);
    }
    twin_drain(t);
    assert_int_equal(t->online, 1);
    assert_int_equal(t->offline, 1);
}

static void a_user_who_left_while_there_was_no_link_is_told_once(void **state)
{
    struct twin *t = *state;
    sign_in(t, 0, 0, ALL);
    sign_in(t, 1, 1, ALL);
    sign_in(t, 0, 3, 0);
    pass(t, 2);
    lose(t, 0);
    leave(t, 0, 3);
    pass(t, 30);
    assert_int_equal(person(t, 0, 0)->roster, 11); /* as last known: others may have the user */
    assert_int_equal(person(t, 1, 1)->roster, 11);
    pass(t, 40);
    assert_int_equal(person(t, 0, 0)->roster, 3); /* it is isolated */
    assert_int_equal(t->offline, 1);
    /* the topics are there before the node has attached, as they may be if another partition was the first */
    hub_connect(&t->hub, 0);
    t->nodes[0].link->orders.in_step = true;
    twin_settle(t, 0);
    while (hub_can_move(&t->hub, 0, HUB_TOPICS))
        twin_move(t, 0, HUB_TOPICS);
    while (hub_can_move(&t->hub, 0, HUB_DELIVERIES))
        twin_move(t, 0, HUB_DELIVERIES);
    twin_finish(t);
    assert_int_equal(person(t, 0, 0)->roster, 3);
    assert_int_equal(person(t, 1, 1)->roster, 3);
    assert_int_equal(t->offline, 2);
}

static void without_a_link_a_watcher_is_told_what_is_known_here(void **state)
{
    struct twin *t = *state;
    sign_in(t, 1, 1, 0);
    lose(t, 0);
    sign_in(t, 0, 3, 0);
    twin_sign_in(t, 0, 0, ALL);
    pass(t, 15);
    assert_false(person(t, 0, 0)->subscribed);
    pass(t, 10);
    assert_true(person(t, 0, 0)->subscribed);
    assert_int_equal(person(t, 0, 0)->roster, 9);
    sign_in(t, 0, 2, 0);
    assert_int_equal(person(t, 0, 0)->roster, 13);
    pass(t, 2);
    leave(t, 0, 2); /* of whom no other node has heard */
    pass(t, 2);
    assert_int_equal(person(t, 0, 0)->roster, 9);
    connect_again(t, 0);
    assert_int_equal(person(t, 0, 0)->roster, 11);
    assert_int_equal(t->offline, 1);
}

static void users_of_a_dead_node_are_offline_once_after_its_lease(void **state)
{
    struct twin *t = *state;
    sign_in(t, 0, 0, ALL);
    sign_in(t, 1, 1, 0);
    sign_in(t, 1, 2, 0);
    sign_in(t, 2, 2, 0);
    t->faulty = true;
    twin_kill(t, 1);
    pass(t, 50);
    assert_int_equal(person(t, 0, 0)->roster, 7);
    pass(t, 60);
    assert_int_equal(person(t, 0, 0)->roster, 5);
    assert_int_equal(t->offline, 1);
}

static void after_a_failover_no_user_who_stayed_is_told_to_be_offline(void **state)
{
    struct twin *t = *state;
    for (size_t node = 0; node < 3; node++)
        sign_in(t, node, node, ALL);
    uint64_t online = t->online;
    hub_fail_over(&t->hub, t->hub.log_count);
    for (size_t node = 0; node < 3; node++) {
        lose(t, node);
        hub_connect(&t->hub, node);
        twin_settle(t, node);
    }
    twin_finish(t);
    assert_int_equal(t->offline, 0);
    assert_int_equal(t->online, online);
}

static void a_page_that_is_loaded_again_on_another_node_is_not_seen(void **state)
{
    struct twin *t = *state;
    for (size_t node = 0; node < 3; node++)
        set_delay(t, node, 1000, true);
    sign_in(t, 0, 0, ALL);
    sign_in(t, 1, 1, 0);
    assert_int_equal(t->online, 1);
    leave(t, 1, 1);
    pass(t, 8);
    sign_in(t, 2, 1, 0);
    pass(t, 30);
    assert_int_equal(t->offline, 0);
    leave(t, 2, 1);
    pass(t, 9);
    assert_int_equal(t->offline, 0);
    pass(t, 3);
    assert_int_equal(t->offline, 1);
}

static void a_list_is_replaced_while_the_first_is_asked_for(void **state)
{
    struct twin *t = *state;
    sign_in(t, 1, 1, 0);
    twin_sign_in(t, 0, 0, 3);
    twin_sign_in_again(t, person(t, 0, 0), 14);
    twin_drain(t);
    assert_int_equal(person(t, 0, 0)->roster, 2);
    twin_sign_in_again(t, person(t, 0, 0), 0);
    twin_sign_in(t, 0, 2, 8);
    leave(t, 0, 2);
    twin_drain(t);
    twin_finish(t);
}

static void an_app_that_is_added_again_has_the_users_of_all_nodes(void **state)
{
    struct twin *t = *state;
    sign_in(t, 0, 0, ALL);
    sign_in(t, 1, 1, ALL);
    pc_app_unref(pc_apps_remove(&t->nodes[0].fx.engine->apps, PC_S("app-id")));
    twin_part(t, person(t, 0, 0)); /* as the server closes it */
    set_delay(t, 0, PUSHERC_NO_DELAY, true);
    sign_in(t, 0, 2, ALL);
    assert_int_equal(person(t, 0, 2)->roster, 7); /* the first one's leave is to come */
    pass(t, 2);
    assert_int_equal(person(t, 0, 2)->roster, 6);
    assert_int_equal(person(t, 1, 1)->roster, 6);
    leave(t, 1, 1);
    pass(t, 2);
    assert_int_equal(person(t, 0, 2)->roster, 4);
}

static void without_watchlists_the_link_is_told_nothing(void **state)
{
    struct twin *t = *state;
    set_delay(t, 0, PUSHERC_NO_DELAY, false);
    twin_sign_in(t, 0, 0, 0);
    twin_settle(t, 0);
    assert_int_equal(t->nodes[0].link->remotes.count, 0);
}

static void what_the_link_says_of_a_user_is_not_trusted(void **state)
{
    static const char *const messages[] = {"1 0 e\n-2:u1", "C 7", "1 0 \n",
                                           "E 0123456789abcdef 1 - - 0 1\nxy"};
    struct twin *t = *state;
    sign_in(t, 0, 0, ALL);
    sign_in(t, 1, 1, 0);
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        assert_int_equal(pusherc_link_message(t->nodes[0].link, 0, PUSHERC_TOPIC_CHANNEL,
                                              PC_S("app-id/#user-u1"), pc_slice_of(messages[i])),
                         0);
        twin_settle(t, 0);
        assert_string_equal(fx_heard(&person(t, 0, 0)->fx), "");
    }
    assert_int_equal(person(t, 0, 0)->roster, 3);
}

#define OVER(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OVER(the_first_list_is_the_truth_over_all_nodes),
        OVER(a_user_is_online_until_the_last_connection_of_all_nodes_is_gone),
        OVER(a_user_who_leaves_before_the_authority_has_heard_of_it_is_told_once),
        OVER(answers_may_overtake_what_is_told_of_a_user),
        OVER(a_user_who_left_while_there_was_no_link_is_told_once),
        OVER(without_a_link_a_watcher_is_told_what_is_known_here),
        OVER(users_of_a_dead_node_are_offline_once_after_its_lease),
        OVER(after_a_failover_no_user_who_stayed_is_told_to_be_offline),
        OVER(a_page_that_is_loaded_again_on_another_node_is_not_seen),
        OVER(a_list_is_replaced_while_the_first_is_asked_for),
        OVER(an_app_that_is_added_again_has_the_users_of_all_nodes),
        OVER(without_watchlists_the_link_is_told_nothing),
        OVER(what_the_link_says_of_a_user_is_not_trusted),
    };
    return cmocka_run_group_tests_name("cluster_people", tests, NULL, NULL);
}
