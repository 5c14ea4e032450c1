/* The publish path: what may be published, who gets it, once and in order, and what stands in its way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "engine_fixture.h"
#include "fanout/posting.h"

#define CLIENTS 4
#define HELLO   "{\"event\":\"hello\",\"channel\":\"news\",\"data\":\"1\"}\n"

struct fixture {
    struct fx fx;
    struct fx_client clients[CLIENTS]; /* the first two on worker 0, the others on worker 1 */
    struct pc_app *app;
};

static struct fixture *current; /* for the allocator below */

static int set_up(void **state)
{
    static struct fixture f;
    fx_open(&f.fx, 2);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        fx_connect(&f.fx, &f.clients[i], i / 2);
        fx_heard(&f.clients[i]);
    }
    f.app = pc_apps_by_id(&f.fx.engine->apps, PC_S("app-id"));
    current = &f;
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    for (uint32_t i = 0; i < CLIENTS; i++)
        fx_disconnect(&f->clients[i]);
    fx_wait(&f->fx);
    pc_app_unref(f->app);
    bool clean = pc_directory_occupied(&f->fx.engine->directory) == 0;
    for (size_t i = 0; i < PC_SHARDS; i++)
        clean &= f->fx.engine->directory.shards[i].channels.count == 0;
    fx_close(&f->fx);
    return clean && failing_alloc_live(&f->fx.alloc) == 0 ? 0 : -1;
}

/* Subscribed, and told so. */
static void listen_to(struct fixture *f, size_t client, const char *channel)
{
    fx_subscribe(&f->clients[client], channel);
    fx_heard(&f->clients[client]);
}

static void expect_heard(struct fixture *f, size_t client, const char *text)
{
    assert_string_equal(fx_heard(&f->clients[client]), text);
}

static int publish(struct fixture *f, const char *channel)
{
    return fx_publish(&f->fx, channel, "hello", "1");
}

/* -- what may be published -- */

static void what_breaks_a_rule_is_refused_with_a_sentence(void **state)
{
    static char long_name[202], long_data[10242], many[101][8];
    struct fixture *f = *state;
    pusherc_slice news[] = {PUSHERC_LIT("news")}, hundred_and_one[101];
    memset(long_name, 'n', 201);
    memset(long_data, 'd', 10241);
    for (int i = 0; i < 101; i++) {
        snprintf(many[i], sizeof many[i], "c%d", i);
        hundred_and_one[i] = pc_slice_of(many[i]);
    }
    pusherc_slice bad[] = {PUSHERC_LIT("news"), PUSHERC_LIT("a b")};
    pusherc_slice empty[] = {PUSHERC_LIT("")};
    pusherc_slice endless[] = {pc_slice(long_name, 201)};
    pusherc_slice nobody[] = {PUSHERC_LIT("#server-to-user-")};
    const struct {
        struct pc_publication p;
        int code;
        const char *text;
    } cases[] = {
        {{.channels = news, .channel_count = 1}, PUSHERC_EINVAL, "The event name is missing"},
        {{.event = pc_slice(long_name, 201), .channels = news, .channel_count = 1},
         PUSHERC_EINVAL,
         "The event name is too long: 201 bytes, the maximum is 200"},
        {{.event = PC_S("\xc3("), .channels = news, .channel_count = 1},
         PUSHERC_EINVAL,
         "The event name is not UTF-8"},
        {{.event = PC_S("pusher:x"), .channels = news, .channel_count = 1},
         PUSHERC_EINVAL,
         "The event name starts with a prefix reserved for the protocol"},
        {{.event = PC_S("pusher_internal:x"), .channels = news, .channel_count = 1},
         PUSHERC_EINVAL,
         "The event name starts with a prefix reserved for the protocol"},
        {{.event = PC_S("e")}, PUSHERC_EINVAL, "The event names no channel"},
        {{.event = PC_S("e"), .channels = hundred_and_one, .channel_count = 101},
         PUSHERC_EINVAL,
         "Cannot broadcast to more than 100 channels at once"},
        {{.event = PC_S("e"), .channels = bad, .channel_count = 2},
         PUSHERC_EINVAL,
         "Invalid channel name: a b (allowed are A-Z a-z 0-9 _ - = @ , . ;)"},
        {{.event = PC_S("e"), .channels = empty, .channel_count = 1},
         PUSHERC_EINVAL,
         "Invalid channel name:  (allowed are A-Z a-z 0-9 _ - = @ , . ;)"},
        {{.event = PC_S("e"), .channels = endless, .channel_count = 1},
         PUSHERC_EINVAL,
         "The channel name is too long: 201 bytes, the maximum is 200: "
         "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn..."},
        {{.event = PC_S("e"), .channels = nobody, .channel_count = 1},
         PUSHERC_EINVAL,
         "Invalid channel name: #server-to-user- (allowed are A-Z a-z 0-9 _ - = @ , . ;)"},
        {{.event = PC_S("e"),
          .channels = news,
          .channel_count = 1,
          .data = pc_slice(long_data, 10241)},
         PUSHERC_ELIMIT,
         "The data content of this event exceeds the allowed maximum (10240 bytes): it has 10241 "
         "bytes, see max_event_payload_bytes"},
        {{.event = PC_S("e"), .channels = news, .channel_count = 1, .data = PC_S("\xff")},
         PUSHERC_EINVAL,
         "The data is not UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pusherc_errinfo info = {0};
        assert_int_equal(pc_publication_check(f->fx.engine, f->app, &cases[i].p, &info),
                         cases[i].code);
        assert_string_equal(info.text, cases[i].text);
    }
}

static void what_keeps_the_rules_passes(void **state)
{
    static char name[216], data[10240], names[100][8];
    struct fixture *f = *state;
    pusherc_slice hundred[100];
    memset(name, 'n', sizeof name);
    memset(data, 'd', sizeof data);
    for (int i = 0; i < 100; i++) {
        snprintf(names[i], sizeof names[i], "c%d", i);
        hundred[i] = pc_slice_of(names[i]);
    }
    pusherc_slice long_channel[] = {pc_slice(name, 200)};
    struct pc_publication p = {.event = pc_slice(name, 200),
                               .channels = long_channel,
                               .channel_count = 1,
                               .data = pc_slice(data, sizeof data)};
    assert_int_equal(pc_publication_check(f->fx.engine, f->app, &p, NULL), 0);
    p = (struct pc_publication){.event = PC_S("e"), .channels = hundred, .channel_count = 100};
    assert_int_equal(pc_publication_check(f->fx.engine, f->app, &p, NULL), 0);
    /* a user's channel may be longer than any other by its prefix */
    memcpy(name, "#server-to-user-", 16);
    long_channel[0] = pc_slice(name, 216);
    p = (struct pc_publication){.event = PC_S("e"), .channels = long_channel, .channel_count = 1};
    assert_int_equal(pc_publication_check(f->fx.engine, f->app, &p, NULL), 0);
}

static void an_event_larger_than_every_queue_is_refused_when_published(void **state)
{
    struct fixture *f = *state;
    pusherc_slice news[] = {PUSHERC_LIT("news")};
    static char data[2048];
    struct pc_publication p = {
        .event = PC_S("e"), .channels = news, .channel_count = 1, .data = pc_slice(data, 1025)};
    pusherc_errinfo info = {0};
    memset(data, 'd', sizeof data);
    f->fx.engine->options.out_hard_bytes = 2048;
    assert_int_equal(pc_publication_check(f->fx.engine, f->app, &p, &info), PUSHERC_ELIMIT);
    assert_string_equal(info.text, "The data content of this event does not fit into a "
                                   "connection's queue (2048 bytes, see out_hard_bytes)");
    p.data.len = 1024;
    assert_int_equal(pc_publication_check(f->fx.engine, f->app, &p, &info), 0);
}

/* -- who gets it -- */

static void an_event_reaches_the_subscribers_of_every_worker_once(void **state)
{
    struct fixture *f = *state;
    listen_to(f, 0, "news");
    listen_to(f, 1, "other");
    listen_to(f, 2, "news");
    listen_to(f, 3, "news");
    assert_int_equal(publish(f, "news"), 0);
    expect_heard(f, 0, HELLO);
    expect_heard(f, 1, "");
    expect_heard(f, 2, HELLO);
    expect_heard(f, 3, HELLO);
    assert_int_equal(f->fx.engine->publishes, 1);
    assert_int_equal(f->fx.engine->unmatched, 0);
}

static void an_event_without_subscribers_is_counted_and_dropped(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(publish(f, "news"), 0);
    assert_int_equal(f->fx.engine->publishes, 1);
    assert_int_equal(f->fx.engine->unmatched, 1);
    listen_to(f, 0, "news");
    expect_heard(f, 0, "");
}

static void apps_do_not_hear_each_other(void **state)
{
    struct fixture *f = *state;
    pusherc_app_options other = fx_app();
    other.id = "other-id";
    other.key = "other-key";
    assert_int_equal(fx_try_put(&f->fx, &other), 0);
    struct pc_app *app = pc_apps_by_id(&f->fx.engine->apps, PC_S("other-id"));
    pusherc_slice news[] = {PUSHERC_LIT("news")};
    struct pc_publication p = {.event = PC_S("hello"), .channels = news, .channel_count = 1};
    listen_to(f, 0, "news");
    assert_int_equal(pc_publish(f->fx.engine, app, &p), 0);
    pc_app_unref(app);
    expect_heard(f, 0, "");
}

static void a_repeated_channel_counts_once(void **state)
{
    struct fixture *f = *state;
    pusherc_slice names[] = {PUSHERC_LIT("news"), PUSHERC_LIT("sport"), PUSHERC_LIT("news"),
                             PUSHERC_LIT("sport"), PUSHERC_LIT("news")};
    struct pc_publication p = {
        .event = PC_S("hello"), .channels = names, .channel_count = 5, .data = PC_S("1")};
    listen_to(f, 0, "news");
    listen_to(f, 3, "sport");
    listen_to(f, 3, "news");
    assert_int_equal(pc_publish(f->fx.engine, f->app, &p), 0);
    expect_heard(f, 0, HELLO);
    expect_heard(f, 3, HELLO "{\"event\":\"hello\",\"channel\":\"sport\",\"data\":\"1\"}\n");
}

static void one_socket_may_be_left_out(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < CLIENTS; i++)
        listen_to(f, i, "news");
    assert_int_equal(fx_publish_except(&f->fx, "news", "hello", "1", f->clients[2].q.owner), 0);
    expect_heard(f, 0, HELLO);
    expect_heard(f, 1, HELLO);
    expect_heard(f, 2, "");
    expect_heard(f, 3, HELLO);
    /* only one half of the id matches: no connection is left out */
    pusherc_socket_id half = f->clients[2].q.owner;
    half.b++;
    assert_int_equal(fx_publish_except(&f->fx, "news", "hello", "1", half), 0);
    expect_heard(f, 2, HELLO);
}

static void text_arrives_as_it_was_published(void **state)
{
    struct fixture *f = *state;
    struct pc_publication p = {.event = PC_S("a\"b"),
                               .channel_count = 1,
                               .user_id = PC_S("u\\1"),
                               .data = PC_S("{\"x\":\"\n\xc3\xa9\x7f\"}")};
    pusherc_slice news = PC_S("news");
    p.channels = &news;
    listen_to(f, 0, "news");
    assert_int_equal(pc_publish(f->fx.engine, f->app, &p), 0);
    expect_heard(f, 0,
                 "{\"event\":\"a\\\"b\",\"channel\":\"news\",\"data\":\"{\\\"x\\\":\\\"\\n\xc3\xa9"
                 "\x7f\\\"}\",\"user_id\":\"u\\\\1\"}\n");
}

static void long_events_arrive_whole(void **state)
{
    static char data[100001], expected[100100];
    struct fixture *f = *state;
    memset(data, 'd', sizeof data - 1);
    listen_to(f, 0, "news");
    listen_to(f, 2, "news");
    snprintf(expected, sizeof expected,
             "{\"event\":\"hello\",\"channel\":\"news\",\"data\":\"%s\"}\n", data);
    assert_int_equal(fx_publish(&f->fx, "news", "hello", data), 0);
    expect_heard(f, 0, expected);
    expect_heard(f, 2, expected);
}

/* -- numbers -- */

static void events_of_before_a_join_are_not_for_the_newcomer(void **state)
{
    struct fixture *f = *state;
    listen_to(f, 0, "news");
    assert_int_equal(fx_publish(&f->fx, "news", "hello", "1"), 0);
    /* under way to worker 0 when the newcomer subscribes there */
    fx_subscribe(&f->clients[1], "news");
    assert_int_equal(fx_publish(&f->fx, "news", "hello", "2"), 0);
    expect_heard(f, 0, HELLO "{\"event\":\"hello\",\"channel\":\"news\",\"data\":\"2\"}\n");
    expect_heard(
        f, 1,
        "{\"event\":\"pusher_internal:subscription_succeeded\",\"channel\":\"news\",\"data\":"
        "\"{}\"}\n"
        "{\"event\":\"hello\",\"channel\":\"news\",\"data\":\"2\"}\n");
}

static void events_do_not_reach_clients_that_have_left(void **state)
{
    struct fixture *f = *state;
    listen_to(f, 0, "news");
    listen_to(f, 1, "news");
    assert_int_equal(publish(f, "news"), 0);
    fx_unsubscribe(&f->clients[0], "news");
    expect_heard(f, 0, "");
    expect_heard(f, 1, HELLO);
}

static void a_client_that_rejoins_starts_anew(void **state)
{
    struct fixture *f = *state;
    listen_to(f, 0, "news");
    assert_int_equal(publish(f, "news"), 0);
    /* the event on its way keeps the channel; it is not for the second subscription */
    fx_unsubscribe(&f->clients[0], "news");
    assert_int_equal(pc_directory_occupied(&f->fx.engine->directory), 0);
    fx_subscribe(&f->clients[0], "news");
    assert_null(strstr(fx_heard(&f->clients[0]), "hello"));
    assert_int_equal(publish(f, "news"), 0);
    expect_heard(f, 0, HELLO);
}

static void leaving_in_any_order_keeps_the_others(void **state)
{
    enum {
        MANY = 150
    };
    struct fixture *f = *state;
    static struct fx_client many[MANY];
    bool there[MANY];
    uint32_t random = 12345;
    for (size_t i = 0; i < MANY; i++) {
        fx_connect(&f->fx, &many[i], i % 2);
        fx_subscribe(&many[i], "news");
        there[i] = true;
    }
    for (size_t left = MANY; left > 0; left--) {
        size_t who;
        fx_settle(&f->fx);
        for (size_t i = 0; i < MANY; i++)
            fx_forget(&many[i]);
        assert_int_equal(publish(f, "news"), 0);
        fx_settle(&f->fx);
        for (size_t i = 0; i < MANY; i++)
            assert_string_equal(many[i].heard, there[i] ? HELLO : "");
        do {
            random = random * 1664525 + 1013904223;
            who = (random >> 16) % MANY;
        } while (!there[who]);
        there[who] = false;
        fx_unsubscribe(&many[who], "news");
        /* some come back: their place is at the end again */
        if (left % 3 == 0) {
            fx_subscribe(&many[who], "news");
            fx_unsubscribe(&many[who], "news");
        }
    }
    for (size_t i = 0; i < MANY; i++)
        fx_disconnect(&many[i]);
}

/* -- what stands in its way -- */

static void a_full_mailbox_refuses_and_the_others_are_served(void **state)
{
    struct fixture *f = *state;
    listen_to(f, 0, "news");
    listen_to(f, 2, "news");
    f->fx.engine->workers[0].mailbox->max = 3;
    for (int i = 0; i < 3; i++)
        assert_int_equal(publish(f, "news"), 0);
    assert_int_equal(publish(f, "news"), PUSHERC_EBACKLOG);
    assert_int_equal(f->fx.engine->mailbox_refused, 1);
    expect_heard(f, 0, HELLO HELLO HELLO);
    expect_heard(f, 2, HELLO HELLO HELLO HELLO);
    assert_int_equal(publish(f, "news"), 0);
    expect_heard(f, 0, HELLO);
}

static void channels_before_the_one_that_fails_have_been_served(void **state)
{
    struct fixture *f = *state;
    pusherc_slice names[] = {PUSHERC_LIT("sport"), PUSHERC_LIT("news"), PUSHERC_LIT("late")};
    struct pc_publication p = {
        .event = PC_S("hello"), .channels = names, .channel_count = 3, .data = PC_S("1")};
    listen_to(f, 0, "news");
    listen_to(f, 2, "sport");
    listen_to(f, 2, "late");
    f->fx.engine->workers[0].mailbox->max = 0;
    assert_int_equal(pc_publish(f->fx.engine, f->app, &p), PUSHERC_EBACKLOG);
    expect_heard(f, 0, "");
    expect_heard(f, 2, "{\"event\":\"hello\",\"channel\":\"sport\",\"data\":\"1\"}\n");
}

static void a_worker_that_has_gone_is_passed_over(void **state)
{
    struct fixture *f = *state;
    listen_to(f, 0, "news");
    listen_to(f, 2, "news");
    listen_to(f, 1, "here");
    assert_int_equal(publish(f, "news"), 0);
    pc_mailbox_close(f->fx.engine->workers[0].mailbox); /* lets go of the one under way */
    assert_int_equal(publish(f, "news"), 0);
    assert_int_equal(publish(f, "here"), 0); /* no mailbox accepts it */
    expect_heard(f, 0, "");
    expect_heard(f, 1, "");
    expect_heard(f, 2, HELLO HELLO);
}

/* What happens inside the n-th allocation of the engine from now on. */
static void *(*real_malloc)(size_t size, void *user_data);
static void (*during)(struct fixture *f);
static int after_requests;

static void *interrupting_malloc(size_t size, void *user_data)
{
    if (--after_requests == 0) {
        current->fx.engine->mem.fns.malloc_fn = real_malloc;
        during(current);
    }
    return real_malloc(size, user_data);
}

static void interrupt(struct fixture *f, int n, void (*with)(struct fixture *f))
{
    real_malloc = f->fx.engine->mem.fns.malloc_fn;
    f->fx.engine->mem.fns.malloc_fn = interrupting_malloc;
    after_requests = n;
    during = with;
}

static void join_on_another_worker(struct fixture *f)
{
    fx_subscribe(&f->clients[2], "news");
}

static void leave_all(struct fixture *f)
{
    fx_unsubscribe(&f->clients[0], "news");
    fx_unsubscribe(&f->clients[2], "news");
}

static void workers_that_become_interested_meanwhile_get_it(void **state)
{
    struct fixture *f = *state;
    listen_to(f, 0, "news");
    interrupt(f, 1, join_on_another_worker);
    assert_int_equal(publish(f, "news"), 0);
    expect_heard(f, 0, HELLO);
    assert_non_null(strstr(fx_heard(&f->clients[2]), HELLO));
}

static void clients_that_leave_meanwhile_do_not_disturb(void **state)
{
    struct fixture *f = *state;
    listen_to(f, 0, "news");
    listen_to(f, 2, "news");
    interrupt(f, 1, leave_all);
    assert_int_equal(publish(f, "news"), 0);
    expect_heard(f, 0, "");
    expect_heard(f, 2, "");
}

static void without_memory_no_client_gets_half_an_event(void **state)
{
    static char data[8001]; /* encoded on the heap */
    struct fixture *f = *state;
    memset(data, 'd', sizeof data - 1);
    listen_to(f, 0, "news");
    listen_to(f, 2, "news");
    int failures = 0;
    for (size_t n = 1;; n++) {
        struct failing_alloc *alloc = &f->fx.alloc;
        alloc->fail_at = alloc->requests + n;
        int err = fx_publish(&f->fx, "news", "hello", data);
        bool failed = failing_alloc_hit(alloc);
        alloc->fail_at = 0;
        assert_int_equal(err, failed ? PUSHERC_ENOMEM : 0);
        size_t one = strlen(fx_heard(&f->clients[0])), two = strlen(fx_heard(&f->clients[2]));
        assert_int_equal(one, two);
        assert_true((one > 0) == (err == 0));
        if (!failed)
            break;
        failures++;
    }
    assert_int_equal(failures, 2); /* the text and the frame */
}

/* -- messages of the server itself -- */

static void a_message_of_the_server_is_sent_only_to_subscribers(void **state)
{
    struct fixture *f = *state;
    struct pc_engine *engine = f->fx.engine;
    for (int interested = 0; interested < 2; interested++) {
        struct pc_posting posting = {0};
        if (interested)
            listen_to(f, 2, "news");
        struct pc_shard *shard =
            pc_directory_lock(&engine->directory, f->app->state->uid, PC_S("news"));
        struct pc_channel *channel =
            pc_shard_get(&engine->directory, shard, f->app->state, PC_S("news"),
                         (struct pc_channel_class){PUSHERC_CHANNEL_PUBLIC, false}, NULL);
        assert_int_equal(pc_post_message(engine, channel, PC_S("ours"), &posting), 0);
        pc_channel_settle(&engine->directory, channel);
        pc_shard_unlock(shard);
        assert_true((posting.event != NULL) == interested);
        pc_posting_finish(engine, &posting);
    }
    expect_heard(f, 2, "ours\n");
}

/* -- joining -- */

static pusherc_render_verdict render_same(pusherc_render *render, void *user_data)
{
    (void)render;
    (void)user_data;
    return PUSHERC_RENDER_SAME;
}

static int granted; /* requests, and then none: but not for ever */

static void *stingy_malloc(size_t size, void *user_data)
{
    granted--;
    return granted < 0 && granted > -1000 ? NULL : real_malloc(size, user_data);
}

static void a_join_without_memory_gives_up(void **state)
{
    struct fixture *f = *state;
    struct pc_engine *engine = f->fx.engine;
    pusherc_rule rule = PUSHERC_RULE_INIT;
    rule.pattern = "room";
    /* the rule is not asked: the subscriptions are signed */
    rule.authorize = (pusherc_authorize_fn)abort;
    rule.render = render_same;
    assert_int_equal(pc_rules_add(&engine->rules, &rule, NULL), 0);
    fx_join(&f->clients[0], "presence-room", "{\"user_id\":\"ann\"}");
    fx_heard(&f->clients[0]);
    struct pc_rule_match match = pc_rules_find(&engine->rules, PC_S("app-id"),
                                               PC_S("presence-room"), PUSHERC_CHANNEL_PRESENCE);
    assert_non_null(match.rule);
    struct pc_join join = {.app = f->app,
                           .q = &f->clients[1].q,
                           .channel = PC_S("presence-room"),
                           .class = {PUSHERC_CHANNEL_PRESENCE, false},
                           .user_id = PC_S("bob"),
                           .user_info = PC_S("{}"),
                           .match = &match};
    struct pc_subscription *subscription;
    struct pc_channel_change change;
    struct pc_buf roster;
    pc_buf_init(&roster, &f->fx.mem, 65536);
    real_malloc = engine->mem.fns.malloc_fn;
    int err = PUSHERC_ENOMEM;
    for (int n = 0; err; n++) {
        assert_true(n < 20);
        granted = n;
        engine->mem.fns.malloc_fn = stingy_malloc;
        err = pc_join_finish(&engine->workers[0], &join, &roster, &subscription, &change);
        engine->mem.fns.malloc_fn = real_malloc;
        assert_true(granted > -100); /* it did not go on asking */
        assert_int_equal(err, subscription ? 0 : PUSHERC_ENOMEM);
    }
    pc_leave(&engine->workers[0], f->app, subscription, true, NULL, &change);
    pc_buf_free(&roster);
    expect_heard(f, 0, "");
}

#define publish_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        publish_test(what_breaks_a_rule_is_refused_with_a_sentence),
        publish_test(what_keeps_the_rules_passes),
        publish_test(an_event_larger_than_every_queue_is_refused_when_published),
        publish_test(an_event_reaches_the_subscribers_of_every_worker_once),
        publish_test(an_event_without_subscribers_is_counted_and_dropped),
        publish_test(apps_do_not_hear_each_other),
        publish_test(a_repeated_channel_counts_once),
        publish_test(one_socket_may_be_left_out),
        publish_test(text_arrives_as_it_was_published),
        publish_test(long_events_arrive_whole),
        publish_test(events_of_before_a_join_are_not_for_the_newcomer),
        publish_test(events_do_not_reach_clients_that_have_left),
        publish_test(a_client_that_rejoins_starts_anew),
        publish_test(leaving_in_any_order_keeps_the_others),
        publish_test(a_full_mailbox_refuses_and_the_others_are_served),
        publish_test(channels_before_the_one_that_fails_have_been_served),
        publish_test(a_worker_that_has_gone_is_passed_over),
        publish_test(workers_that_become_interested_meanwhile_get_it),
        publish_test(clients_that_leave_meanwhile_do_not_disturb),
        publish_test(without_memory_no_client_gets_half_an_event),
        publish_test(a_message_of_the_server_is_sent_only_to_subscribers),
        publish_test(a_join_without_memory_gives_up),
    };
    return cmocka_run_group_tests_name("publish", tests, NULL, NULL);
}
