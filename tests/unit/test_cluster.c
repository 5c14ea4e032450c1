/* Nodes that share channels: see cluster/twin.h for what is checked all the time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster/twin.h"

/* xorshift64*: a seed gives the same schedule everywhere. */
static uint32_t next(void *ctx, uint32_t below)
{
    uint64_t *x = ctx;
    *x ^= *x >> 12;
    *x ^= *x << 25;
    *x ^= *x >> 27;
    return (uint32_t)((*x * UINT64_C(2685821657736338717) >> 33) % below);
}

static void run(uint64_t seed, unsigned steps, bool faults)
{
    static struct twin t;
    uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    twin_open(&t, 2 + seed % 2, seed % 3 ? 100 : 3);
    for (unsigned i = 0; i < steps; i++)
        twin_step(&t, faults, next, &x);
    twin_finish(&t);
    twin_close(&t);
}

#define SCHEDULES 300
#define STEPS     400

static void run_all(uint64_t first, uint64_t count, bool faults)
{
    for (uint64_t seed = first; seed < first + count; seed++) {
        if (getenv("TWIN_SEEDS"))
            fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
        run(seed, STEPS, faults);
    }
}

static uint64_t first_seed(void)
{
    const char *seed = getenv("TWIN_SEED");
    return seed ? strtoull(seed, NULL, 10) : 1;
}

static uint64_t schedules(void)
{
    const char *count = getenv("TWIN_SCHEDULES");
    return count ? strtoull(count, NULL, 10) : SCHEDULES;
}

static void without_faults_nothing_is_lost(void **state)
{
    (void)state;
    run_all(first_seed(), schedules(), false);
}

static void with_faults_nothing_is_told_twice_and_all_comes_to_rest(void **state)
{
    (void)state;
    run_all(first_seed(), schedules(), true);
}

/* Each so many-th request for memory fails, in all nodes. */
static void without_memory_nothing_ends_and_nothing_leaks(void **state)
{
    static struct twin t;
    (void)state;
    for (uint64_t seed = first_seed(); seed < first_seed() + schedules() / 3; seed++) {
        uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
        twin_open(&t, 2, 100);
        t.poor = t.faulty = true;
        for (unsigned i = 0; i < STEPS; i++) {
            for (size_t node = 0; node < HUB_NODES; node++)
                if (twin_exists(&t, node))
                    t.nodes[node].fx.alloc.every = i % 8 < 4 ? 2 + seed % 20 : 0;
            if (i % 100 == 99 && twin_exists(&t, 0)) {
                hub_lose(&t.hub, 0, i % 200 == 99);
                twin_settle(&t, 0);
            }
            if (twin_exists(&t, 0) && !t.hub.ends[0].connected && i % 10 == 0)
                hub_connect(&t.hub, 0);
            twin_step(&t, false, next, &x);
        }
        for (size_t node = 0; node < HUB_NODES; node++)
            t.nodes[node].fx.alloc.every = 0;
        twin_finish(&t);
        twin_close(&t);
    }
}

/* -- what the model found, one by one -- */

struct pair {
    struct twin t;
};

static int set_up(void **state)
{
    struct pair *p = *state = calloc(1, sizeof *p);
    assert_non_null(p);
    twin_open(&p->t, 2, 100);
    twin_drain(&p->t);
    return 0;
}

static int tear_down(void **state)
{
    struct pair *p = *state;
    twin_close(&p->t);
    free(p);
    return 0;
}

static const struct twin_client *client_of(const struct twin *t, size_t node, size_t user)
{
    size_t i = 0;
    while (i < TWIN_CLIENTS &&
           !(t->clients[i].used && t->clients[i].node == node && t->clients[i].user == user))
        i++;
    REQUIRE(i < TWIN_CLIENTS);
    return &t->clients[i];
}

static void leave(struct twin *t, size_t node, size_t user)
{
    for (size_t i = 0; i < TWIN_CLIENTS; i++)
        if (t->clients[i].used && t->clients[i].node == node && t->clients[i].user == user)
            twin_part(t, &t->clients[i]);
    twin_settle(t, node);
}

/* Time passes on fast connections. */
static void pass(struct twin *t, unsigned units)
{
    for (unsigned u = 0; u < units; u++) {
        twin_pass(t, 1);
        twin_drain(t);
    }
}

static void join_both(struct twin *t)
{
    twin_join(t, 0, 0, 0);
    twin_join(t, 1, 0, 1);
    twin_drain(t);
    assert_int_equal(client_of(t, 0, 0)->roster, 3);
    assert_int_equal(client_of(t, 1, 1)->roster, 3);
}

static void a_newcomer_waits_for_its_own_join_and_no_longer(void **state)
{
    struct twin *t = &((struct pair *)*state)->t;
    twin_join(t, 0, 0, 0);
    assert_false(client_of(t, 0, 0)->subscribed);
    twin_drain(t);
    assert_true(client_of(t, 0, 0)->subscribed);
    /* a further connection of the user waits for nothing */
    twin_join(t, 0, 0, 0);
    for (size_t i = 0; i < TWIN_CLIENTS; i++)
        assert_true(!t->clients[i].used || t->clients[i].subscribed);
}

static void leaving_takes_a_waiting_join_back(void **state)
{
    struct twin *t = &((struct pair *)*state)->t;
    twin_join(t, 0, 0, 0);
    leave(t, 0, 0);
    twin_drain(t);
    twin_finish(t); /* the authority has nothing of it */
}

static void without_a_link_a_newcomer_is_served_after_a_while(void **state)
{
    struct twin *t = &((struct pair *)*state)->t;
    join_both(t);
    t->faulty = true;
    hub_lose(&t->hub, 0, false);
    twin_settle(t, 0);
    twin_join(t, 0, 0, 2);
    pass(t, 15);
    assert_false(client_of(t, 0, 2)->subscribed);
    pass(t, 10);
    assert_true(client_of(t, 0, 2)->subscribed);
    assert_int_equal(client_of(t, 0, 2)->roster, 7); /* the others as last known */
    assert_int_equal(client_of(t, 1, 1)->roster, 3);
    hub_connect(&t->hub, 0);
    twin_settle(t, 0);
    twin_drain(t);
    assert_int_equal(client_of(t, 1, 1)->roster, 7);
}

static void members_of_a_dead_node_leave_once_after_its_lease(void **state)
{
    struct twin *t = &((struct pair *)*state)->t;
    join_both(t);
    twin_join(t, 1, 0, 2);
    twin_drain(t);
    t->faulty = true;
    twin_kill(t, 1);
    pass(t, 50);
    assert_int_equal(client_of(t, 0, 0)->roster, 7);
    pass(t, 60);
    assert_int_equal(client_of(t, 0, 0)->roster, 1);
    assert_int_equal(t->removed, 2);
}

static void a_node_that_was_declared_dead_begins_anew(void **state)
{
    struct twin *t = &((struct pair *)*state)->t;
    join_both(t);
    t->faulty = true;
    hub_lose(&t->hub, 1, false);
    twin_settle(t, 1);
    pass(t, 120);
    assert_int_equal(client_of(t, 0, 0)->roster, 1);
    assert_int_equal(client_of(t, 1, 1)->roster, 3); /* has seen neither leave */
    hub_connect(&t->hub, 1);
    twin_finish(t);
    assert_int_equal(client_of(t, 0, 0)->roster, 3);
    assert_int_equal(t->nodes[1].link->parts[0].incarnation, 1);
}

static void after_a_failover_no_member_who_stayed_is_removed(void **state)
{
    struct twin *t = &((struct pair *)*state)->t;
    join_both(t);
    uint64_t added = t->added;
    t->faulty = true;
    hub_fail_over(&t->hub, t->hub.log_count);
    for (size_t node = 0; node < 2; node++) {
        hub_lose(&t->hub, node, false);
        twin_settle(t, node);
        hub_connect(&t->hub, node);
        twin_settle(t, node);
    }
    twin_finish(t);
    assert_int_equal(t->removed, 0);
    assert_int_equal(t->added, added);
}

static void a_member_who_left_while_data_was_lost_is_removed_when_all_have_spoken(void **state)
{
    struct twin *t = &((struct pair *)*state)->t;
    join_both(t);
    t->faulty = true;
    hub_lose(&t->hub, 1, false);
    twin_settle(t, 1);
    leave(t, 1, 1);
    hub_fail_over(&t->hub, 0);
    hub_lose(&t->hub, 0, false);
    twin_settle(t, 0);
    hub_connect(&t->hub, 0);
    twin_settle(t, 0);
    twin_drain(t);
    pass(t, 30);
    assert_int_equal(client_of(t, 0, 0)->roster, 3); /* node 1 has not said what it holds */
    hub_connect(&t->hub, 1);
    twin_finish(t);
    assert_int_equal(client_of(t, 0, 0)->roster, 1);
}

static void the_last_change_that_is_lost_is_found_by_comparing(void **state)
{
    struct twin *t = &((struct pair *)*state)->t;
    join_both(t);
    t->faulty = true;
    twin_join(t, 1, 0, 2);
    while (!hub_vanish(&t->hub, 0)) {
        assert_true(hub_can_move(&t->hub, 1, HUB_ASKED));
        twin_move(t, 1, HUB_ASKED);
    }
    twin_drain(t);
    assert_int_equal(client_of(t, 0, 0)->roster, 3);
    pass(t, 120);
    assert_int_equal(client_of(t, 0, 0)->roster, 7);
    assert_int_equal(t->nodes[0].link->stats.swept, 1);
}

static void a_change_that_is_missed_is_noticed_with_the_next(void **state)
{
    struct twin *t = &((struct pair *)*state)->t;
    join_both(t);
    t->faulty = true;
    twin_join(t, 1, 0, 2);
    while (!hub_vanish(&t->hub, 0))
        twin_move(t, 1, HUB_ASKED);
    twin_join(t, 1, 0, 3);
    twin_drain(t);
    pass(t, 2);
    twin_drain(t);
    assert_int_equal(client_of(t, 0, 0)->roster, 15);
    assert_int_equal(t->nodes[0].link->stats.gaps, 1);
}

static void an_event_that_was_not_answered_is_sent_again_and_heard_once(void **state)
{
    struct twin *t = &((struct pair *)*state)->t;
    join_both(t);
    t->faulty = true;
    twin_publish(t, 0, 0);
    twin_move(t, 0, HUB_ASKED); /* published, and the answer is lost */
    twin_publish(t, 0, 0);      /* asked, and lost on its way */
    hub_lose(&t->hub, 0, false);
    twin_settle(t, 0);
    twin_publish(t, 0, 0); /* waits for the link */
    hub_connect(&t->hub, 0);
    twin_settle(t, 0);
    twin_drain(t);
    assert_int_equal(client_of(t, 1, 1)->last[0], 1); /* others may be coming back as well */
    pass(t, 8);
    assert_int_equal(client_of(t, 1, 1)->last[0], 3);
    assert_int_equal(t->delivered, 6); /* three events, here and there */
}

static void events_that_waited_reach_a_node_that_comes_back_a_little_later(void **state)
{
    struct twin *t = &((struct pair *)*state)->t;
    join_both(t);
    t->faulty = true;
    for (unsigned i = 0; i < 2; i++) {
        hub_lose(&t->hub, i, false);
        twin_settle(t, i);
    }
    twin_publish(t, 0, 0);
    for (unsigned i = 0; i < 2; i++) {
        hub_connect(&t->hub, i);
        pass(t, 1);
    }
    pass(t, 8);
    assert_int_equal(client_of(t, 1, 1)->last[0], 1);
    assert_int_equal(t->delivered, 2);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(t->nodes[i].link->stats.gaps,
                         1); /* neither can know that it missed nothing */
}

static void events_wait_for_a_link_only_so_long(void **state)
{
    struct twin *t = &((struct pair *)*state)->t;
    pusherc_cluster_info info = PUSHERC_CLUSTER_INFO_INIT;
    join_both(t);
    t->faulty = true;
    hub_lose(&t->hub, 0, false);
    twin_settle(t, 0);
    twin_publish(t, 0, 0);
    assert_true(t->nodes[0].link->outbox_bytes > 0);
    pass(t, 45);
    assert_int_equal(t->nodes[0].link->outbox_bytes, 0);
    pc_node_info(t->nodes[0].link, &info);
    assert_int_equal(info.dropped, 1);
    assert_int_equal(client_of(t, 0, 0)->last[0], 1); /* local subscribers have it */
}

static void what_does_not_fit_into_the_outbox_is_refused(void **state)
{
    struct twin *t = &((struct pair *)*state)->t;
    join_both(t);
    t->nodes[0].link->options.outbox_bytes = 1000;
    int err = 0;
    for (int i = 0; i < 20 && err == 0; i++)
        err =
            fx_publish(&t->nodes[0].fx, "presence-a", "big", "\"..............................\"");
    assert_int_equal(err, PUSHERC_EBACKLOG);
    assert_true(t->nodes[0].link->outbox_bytes <= 1000);
}

static void what_comes_from_the_link_is_not_trusted(void **state)
{
    static const char *const messages[] = {
        "",
        "x",
        "E",
        "E \n",
        "E 0123456789abcdef 1 c - 0 99\nname",
        "1 0",
        "1 0 e\n",
        "1 0 e\n+9:u",
        "1 0 e\n+1:u{",
        "1 0 e\n*1:u{}",
        "99999999999999999999 0 e\n+1:u{}",
        "E 0123456789abcdef 1 c - 0 8\npusher:x",
        "E short 1 c - 0 1\nxy",
        "E 0123456789abcdef 1 z - 0 1\nxy",
        "E 0123456789abcdef 1 c 1 0 1\nxy",
        "E 0123456789abcdef -1 c - 0 1\nxy",
        "1 0 e\n+0:{}",
        "1 0 e\n-1:\xff",
    };
    struct twin *t = &((struct pair *)*state)->t;
    pusherc_cluster_info info = PUSHERC_CLUSTER_INFO_INIT;
    join_both(t);
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        assert_int_equal(pusherc_link_message(t->nodes[0].link, 0, PUSHERC_TOPIC_CHANNEL,
                                              PC_S("app-id/presence-a"), pc_slice_of(messages[i])),
                         0);
        twin_settle(t, 0);
        pc_node_info(t->nodes[0].link, &info);
        assert_int_equal(info.refused, i + 1);
    }
    assert_int_equal(client_of(t, 0, 0)->roster, 3);
    /* to an answer without a question, and one that is none */
    assert_int_equal(pusherc_link_answer(t->nodes[0].link, 0, NULL, 0), 0);
    twin_settle(t, 0);
    pc_node_info(t->nodes[0].link, &info);
    assert_true(info.refused > sizeof messages / sizeof messages[0]);
    twin_drain(t);
}

static void orders_from_the_link_are_not_trusted(void **state)
{
    static const char *const orders[] = {
        "",
        "x",
        "1-0 0-0",
        "1-0\n0123456789abcdef 1 1\nR6:app-id0:0:0:0:",
        "1-0 x\n0123456789abcdef 1 1\nR6:app-id0:0:0:0:",
        "1-0 0-0\n0123456789abcdef 1 1",
        "2-0 1-0\n0123456789abcdef 1 2\nR6:app-id0:0:0:0:",
        "3-0 2-0\n0123456789abcdef x 1\nR6:app-id0:0:0:0:",
        "4-0 3-0\nshort 1 1\nR6:app-id0:0:0:0:",
        "5-0 4-0\n0123456789abcdef 1 1\n",
        "6-0 5-0\n0123456789abcdef 1 1\nX6:app-id",
        "7-0 6-0\n0123456789abcdef 1 1\nR6:app-id0:0:0:",
        "8-0 7-0\n0123456789abcdef 1 1\nR6:app-id1:u0:0:1:1",
        "9-0 8-0\n0123456789abcdef 1 1\nR6:app-id999:u",
        "10-0 9-0\n0123456789abcdef 1 1\nR6:app-id0:2:{x0:0:",
        "11-0 10-0\n0123456789abcdef 1 1\nD6:app-id0:0:0:4:40000:",
        "12-0 11-0\n0123456789abcdef 1 1\nD6:app-id3:1.12:u00:4:40000:",
        "13-0 12-0\n0123456789abcdef 1 1\nD6:app-id0:2:u00:1:70:",
        "14-0 13-0\n0123456789abcdef 1 1\nD6:app-id0:2:u00:4:40000:x",
        "15-0 14-0\n0123456789abcdef 1 1\nU6:app-id0:2:u02:a b0:",
        "16-0 15-0\n0123456789abcdef 1 1\nU6:app-id0:0:1:a0:",
    };
    struct twin *t = &((struct pair *)*state)->t;
    pusherc_cluster_info info = PUSHERC_CLUSTER_INFO_INIT;
    pusherc_link *link = t->nodes[0].link;
    char own[32];
    snprintf(own, sizeof own, "/%s", link->id);
    join_both(t);
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        assert_int_equal(
            pusherc_link_message(link, 0, PUSHERC_TOPIC_ORDERS, PC_S(""), pc_slice_of(orders[i])),
            0);
        twin_settle(t, 0);
        pc_node_info(link, &info);
        assert_int_equal(info.refused, i + 1);
    }
    static const char *const letters[] = {"",
                                          "x",
                                          "A 1",
                                          "A 1 0123456789abcdef",
                                          "A 1 0123456789abcdef 1",
                                          "A x 0123456789abcdef 1 1",
                                          "A 1 short 1 1"};
    uint64_t before = info.refused;
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++) {
        assert_int_equal(pusherc_link_message(link, 0, PUSHERC_TOPIC_CHANNEL, pc_slice_of(own),
                                              pc_slice_of(letters[i])),
                         0);
        twin_settle(t, 0);
        pc_node_info(link, &info);
        assert_int_equal(info.refused, before + i + 1);
    }
    assert_int_equal(client_of(t, 0, 0)->roster, 3);
}

/* -- orders -- */

static void an_order_is_over_when_all_have_carried_it_out(void **state)
{
    struct twin *t = &((struct pair *)*state)->t;
    pass(t, 80); /* it has settled */
    twin_give_order(t, 0);
    twin_settle(t, 0);
    assert_false(t->orders[0].over);
    twin_drain(t);
    assert_true(t->orders[0].over && t->orders[0].complete);
    assert_non_null(pc_map_find(&t->nodes[1].link->orders.obeyed, pc_slice_of(t->orders[0].key)));
}

static void an_order_that_a_node_did_not_hear_is_given_again(void **state)
{
    struct twin *t = &((struct pair *)*state)->t;
    pass(t, 80);
    twin_give_order(t, 0);
    twin_settle(t, 0);
    twin_move(t, 0, HUB_ASKED);
    t->faulty = true;
    assert_true(hub_vanish(&t->hub, 1));
    twin_drain(t);
    assert_false(t->orders[0].over);
    pass(t, 22); /* a renewal */
    assert_true(t->orders[0].over && t->orders[0].complete);
}

static void a_node_without_a_link_hangs_no_order_and_carries_it_out_when_it_is_back(void **state)
{
    struct twin *t = &((struct pair *)*state)->t;
    pass(t, 80);
    t->faulty = true;
    hub_lose(&t->hub, 1, false);
    twin_settle(t, 1);
    twin_give_order(t, 0);
    twin_settle(t, 0);
    pass(t, 49);
    assert_false(t->orders[0].over);
    pass(t, 2);
    assert_true(t->orders[0].over && !t->orders[0].complete);
    hub_connect(&t->hub, 1);
    twin_settle(t, 1);
    twin_drain(t);
    assert_true(t->nodes[1].link->orders.in_step);
    assert_non_null(pc_map_find(&t->nodes[1].link->orders.obeyed, pc_slice_of(t->orders[0].key)));
}

static void a_node_that_leaves_is_not_waited_for(void **state)
{
    struct twin *t = &((struct pair *)*state)->t;
    pass(t, 80);
    twin_give_order(t, 0);
    twin_settle(t, 0);
    twin_move(t, 0, HUB_ASKED); /* node 1 is among those who have to answer */
    t->faulty = true;
    assert_true(hub_vanish(&t->hub, 1));
    assert_false(pc_node_leave(t->nodes[1].link));
    twin_drain(t);
    twin_kill(t, 1);
    pass(t, 22); /* a renewal */
    assert_true(t->orders[0].over && t->orders[0].complete);
}

static void an_order_waits_for_a_link_and_is_given_then(void **state)
{
    struct twin *t = &((struct pair *)*state)->t;
    pass(t, 80);
    t->faulty = true;
    hub_lose(&t->hub, 0, false);
    twin_settle(t, 0);
    twin_give_order(t, 0);
    pass(t, 51);
    assert_true(t->orders[0].over && !t->orders[0].complete);
    hub_connect(&t->hub, 0);
    twin_settle(t, 0);
    twin_drain(t);
    assert_non_null(pc_map_find(&t->nodes[1].link->orders.obeyed, pc_slice_of(t->orders[0].key)));
    assert_int_equal(t->nodes[0].link->orders.open_count, 0);
}

static void who_may_have_missed_an_order_asks_all_grants_again(void **state)
{
    struct twin *t = &((struct pair *)*state)->t;
    pass(t, 80);
    twin_give_order(t, 0);
    twin_settle(t, 0);
    twin_drain(t);
    uint64_t missed = pc_stat_get(&t->nodes[1].link->stats.missed);
    t->faulty = true;
    hub_fail_over(&t->hub, 20); /* with the order */
    for (size_t i = 0; i < 2; i++) {
        hub_lose(&t->hub, i, false);
        hub_connect(&t->hub, i);
        twin_settle(t, i);
    }
    twin_drain(t);
    pass(t, 2);
    assert_int_equal(pc_stat_get(&t->nodes[1].link->stats.missed), missed + 1);
}

static void a_session_whose_answers_make_no_sense_is_given_up(void **state)
{
    static const char *const words[] = {"", "OK", "nothing"};
    struct twin *t = &((struct pair *)*state)->t;
    join_both(t);
    t->faulty = true;
    for (size_t i = 0; i < 3; i++) {
        const pusherc_slice word = pc_slice_of(words[i]);
        hub_lose(&t->hub, 0, false);
        hub_connect(&t->hub, 0);
        twin_settle(t, 0); /* it attaches */
        assert_int_equal(pusherc_link_answer(t->nodes[0].link, 0, &word, i > 0), 0);
        twin_settle(t, 0);
        assert_false(t->hub.ends[0].connected);
    }
    hub_connect(&t->hub, 0);
    twin_settle(t, 0);
    pass(t, 30);
    assert_true(twin_in_touch(t, 0));
    assert_int_equal(client_of(t, 0, 0)->roster, 3);
}

static void reports_of_wrong_partitions_are_refused(void **state)
{
    struct twin *t = &((struct pair *)*state)->t;
    pusherc_link *link = t->nodes[0].link;
    pusherc_slice text = PC_S("x");
    char longest[201] = {0};
    memset(longest, 'r', sizeof longest);
    assert_int_equal(pusherc_link_up(link, 1, 9, text), PUSHERC_EINVAL);
    assert_int_equal(pusherc_link_up(NULL, 0, 9, text), PUSHERC_EINVAL);
    assert_int_equal(pusherc_link_up(link, 0, 9, PC_S("")), PUSHERC_EINVAL);
    assert_int_equal(pusherc_link_up(link, 0, 9, pc_slice(longest, sizeof longest)),
                     PUSHERC_EINVAL);
    assert_int_equal(pusherc_link_subscribed(link, 1, PUSHERC_TOPIC_CHANNEL, text), PUSHERC_EINVAL);
    assert_int_equal(pusherc_link_message(link, 1, PUSHERC_TOPIC_CHANNEL, text, text),
                     PUSHERC_EINVAL);
    assert_int_equal(pusherc_link_answer(link, 1, &text, 1), PUSHERC_EINVAL);
    pusherc_link_lost(link, 1, false);
    pusherc_link_lost(NULL, 0, false);
}

/* -- webhooks -- */

static size_t times_asked(const struct twin *t, pusherc_step step)
{
    size_t count = 0;
    for (size_t i = 0; i < t->hub.log_count; i++)
        count += t->hub.log[i].step == step;
    return count;
}

static void the_teller_rests_while_there_is_nothing_to_tell(void **state)
{
    struct twin *t = &((struct pair *)*state)->t;
    join_both(t);
    pass(t, 30);
    uint64_t told = t->told;
    size_t asked = times_asked(t, PUSHERC_STEP_TELL);
    pass(t, 40); /* less than sweep_ms */
    assert_true(times_asked(t, PUSHERC_STEP_TELL) <= asked + 1);
    twin_join(t, 1, 0, 2);
    pass(t, 3);
    assert_true(t->told > told);
    pass(t, 10);
    told = t->told;
    t->faulty = true;
    twin_join(t, 1, 0, 3);
    while (hub_can_move(&t->hub, 1, HUB_ASKED))
        twin_move(t, 1, HUB_ASKED);
    for (size_t node = 0; node < 2; node++)
        while (hub_vanish(&t->hub, node)) /* also what calls the teller */
            continue;
    pass(t, 20);
    assert_int_equal(t->told, told);
    pass(t, 60);
    assert_true(t->told > told);
}

/* A member joins a channel of an app that no node knows. */
static void write_edge_of_an_unknown_app(struct twin *t)
{
    const struct pc_node_part *part = &t->nodes[1].link->parts[0];
    char incarnation[PC_NODE_ID + 16];
    snprintf(incarnation, sizeof incarnation, "%s.%u", t->nodes[1].link->id,
             (unsigned)part->incarnation);
    const pusherc_slice args[] = {pc_slice_of(incarnation),
                                  pc_slice_of(part->epoch),
                                  PC_S("ghost/c"),
                                  PC_S("u"),
                                  PC_S("{}"),
                                  PC_S("10"),
                                  PC_S("0"),
                                  PC_S("1")};
    assert_int_equal(pusherc_authority_execute(t->hub.authority, t->hub.now_ms * 1000,
                                               PUSHERC_STEP_JOIN, args, 8, hub_on_message,
                                               hub_nothing_answered, &t->hub),
                     0);
}

static void note_waiting(const pusherc_slice *values, size_t count, void *user_data)
{
    *(bool *)user_data = count == 3 && pc_slice_eq(values[2], PC_S("1"));
}

static bool edge_waits(struct twin *t)
{
    bool waits = false;
    const pusherc_slice args[] = {pc_slice_of(t->nodes[1].link->parts[0].epoch), PC_S("ghost/c"),
                                  PC_S("u")};
    assert_int_equal(pusherc_authority_execute(t->hub.authority, t->hub.now_ms * 1000,
                                               PUSHERC_STEP_CHECK, args, 3, hub_nothing_said,
                                               note_waiting, &waits),
                     0);
    return waits;
}

static void edges_of_an_app_that_no_node_knows_stay_for_a_time_and_hold_up_no_others(void **state)
{
    struct twin *t = &((struct pair *)*state)->t;
    bool had_it[2] = {false, false};
    join_both(t);
    pass(t, 30);
    t->faulty = true; /* the tellers change */
    write_edge_of_an_unknown_app(t);
    for (unsigned user = 2, i = 0; i < 220; i++) { /* 27 s with the passes below */
        pass(t, 1);
        for (size_t node = 0; node < 2; node++)
            had_it[node] |= t->nodes[node].link->parts[0].teller.is;
        if (i % 120 != 50)
            continue;
        uint64_t told = t->told;
        twin_join(t, 1, 0, user++);
        pass(t, 25); /* a renewal, if the office is vacant just then */
        assert_true(t->told > told);
    }
    assert_true(had_it[0] && had_it[1]);
    assert_true(edge_waits(t));
    pass(t, 80);
    assert_false(edge_waits(t));
}

/* -- limits of connections -- */

static void count_excess(struct pc_seat *seat)
{
    ++*(unsigned *)seat->holder;
}

/* Of the app, on this node. */
static struct pc_seat *take_seat(struct twin *t, size_t node, unsigned *closed)
{
    struct pc_engine *engine = t->nodes[node].fx.engine;
    struct pc_app *app = pc_apps_by_id(&engine->apps, PC_S("app-id"));
    struct pc_seat *seat = pc_alloc_zero(&engine->mem, sizeof *seat);
    assert_non_null(seat);
    seat->kind = PC_SEAT_APP;
    seat->mem = engine->mem;
    seat->worker = &engine->workers[0];
    seat->excess = count_excess;
    seat->holder = closed;
    assert_int_equal(engine->seats.take(engine->seats.ctx, app, PC_S(""), seat), 0);
    pc_app_unref(app);
    return seat;
}

static void drop_seat(struct twin *t, size_t node, struct pc_seat *seat)
{
    const struct pc_seats *seats = &t->nodes[node].fx.engine->seats;
    seats->drop(seats->ctx, seat);
}

static void a_connection_that_took_the_place_of_one_that_ended_stays(void **state)
{
    struct twin *t = &((struct pair *)*state)->t;
    unsigned closed[2] = {0, 0};
    pusherc_app_options app = fx_app();
    app.max_connections = 2;
    t->faulty = true;
    for (size_t node = 0; node < 2; node++)
        assert_int_equal(fx_try_put(&t->nodes[node].fx, &app), 0);
    struct pc_seat *ends = take_seat(t, 0, &closed[0]);
    struct pc_seat *here[] = {take_seat(t, 0, &closed[0]), NULL};
    pass(t, 4);
    drop_seat(t, 0, ends);
    here[1] = take_seat(t, 0, &closed[0]); /* there are as many as before */
    pass(t, 4);
    hub_fail_over(&t->hub, t->hub.log_count);
    for (size_t node = 0; node < 2; node++) {
        hub_lose(&t->hub, node, false);
        twin_settle(t, node);
    }
    struct pc_seat *there[] = {take_seat(t, 1, &closed[1]), take_seat(t, 1, &closed[1])};
    for (size_t node = 2; node-- > 0;) {
        hub_connect(&t->hub, node); /* node 1 is the first: the limit is reached */
        pass(t, 8);
    }
    assert_int_equal(closed[0], 0);
    assert_int_equal(closed[1], 0);
    for (size_t i = 0; i < 2; i++) {
        drop_seat(t, 0, here[i]);
        drop_seat(t, 1, there[i]);
    }
    pass(t, 8);
}

#define PAIR(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_faults_nothing_is_lost),
        cmocka_unit_test(with_faults_nothing_is_told_twice_and_all_comes_to_rest),
        cmocka_unit_test(without_memory_nothing_ends_and_nothing_leaks),
        PAIR(a_newcomer_waits_for_its_own_join_and_no_longer),
        PAIR(leaving_takes_a_waiting_join_back),
        PAIR(without_a_link_a_newcomer_is_served_after_a_while),
        PAIR(members_of_a_dead_node_leave_once_after_its_lease),
        PAIR(a_node_that_was_declared_dead_begins_anew),
        PAIR(after_a_failover_no_member_who_stayed_is_removed),
        PAIR(a_member_who_left_while_data_was_lost_is_removed_when_all_have_spoken),
        PAIR(the_last_change_that_is_lost_is_found_by_comparing),
        PAIR(a_change_that_is_missed_is_noticed_with_the_next),
        PAIR(an_event_that_was_not_answered_is_sent_again_and_heard_once),
        PAIR(events_that_waited_reach_a_node_that_comes_back_a_little_later),
        PAIR(events_wait_for_a_link_only_so_long),
        PAIR(what_does_not_fit_into_the_outbox_is_refused),
        PAIR(what_comes_from_the_link_is_not_trusted),
        PAIR(orders_from_the_link_are_not_trusted),
        PAIR(an_order_is_over_when_all_have_carried_it_out),
        PAIR(an_order_that_a_node_did_not_hear_is_given_again),
        PAIR(a_node_without_a_link_hangs_no_order_and_carries_it_out_when_it_is_back),
        PAIR(a_node_that_leaves_is_not_waited_for),
        PAIR(an_order_waits_for_a_link_and_is_given_then),
        PAIR(who_may_have_missed_an_order_asks_all_grants_again),
        PAIR(a_session_whose_answers_make_no_sense_is_given_up),
        PAIR(reports_of_wrong_partitions_are_refused),
        PAIR(the_teller_rests_while_there_is_nothing_to_tell),
        PAIR(edges_of_an_app_that_no_node_knows_stay_for_a_time_and_hold_up_no_others),
        PAIR(a_connection_that_took_the_place_of_one_that_ended_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
