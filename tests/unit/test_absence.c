/* Members who leave and come back: what others, the observer and the host are told, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine_fixture.h"
#include "fanout/absence.h"
#include "session/disconnect.h"
#include "session/grant.h"

#define ROOM    "presence-room"
#define CLIENTS 80
#define GRACE   3000

/* What the observer and the hook were told, a letter each: Occupied, Vacated, + and - members; counts are left out. */
struct ox {
    struct fx fx;
    pusherc_hooks hooks;
    pusherc_app_options app;
    struct fx_client clients[CLIENTS];
    char noted[512], hooked[512];
    uint64_t subscriptions; /* as the hook was told last */
};

static void add(char *told, char letter)
{
    size_t len = strlen(told);
    REQUIRE(len < 510);
    told[len] = letter;
    told[len + 1] = '\0';
}

static bool note(void *ctx, const struct pc_notice *notice)
{
    struct ox *ox = ctx;
    add(ox->noted, notice->kind == PUSHERC_WEBHOOK_CHANNEL_OCCUPIED  ? 'O'
                   : notice->kind == PUSHERC_WEBHOOK_CHANNEL_VACATED ? 'V'
                   : notice->kind == PUSHERC_WEBHOOK_MEMBER_ADDED    ? '+'
                                                                     : '-');
    return false;
}

static void wake(void *ctx)
{
    (void)ctx;
}

static void on_channel(const pusherc_channel_event *event, void *user_data)
{
    static const char letters[] = {[PUSHERC_CHANNEL_OCCUPIED] = 'O',
                                   [PUSHERC_CHANNEL_VACATED] = 'V',
                                   [PUSHERC_MEMBER_ADDED] = '+',
                                   [PUSHERC_MEMBER_REMOVED] = '-'};
    struct ox *ox = user_data;
    REQUIRE(pc_slice_eq(event->channel, PC_S(ROOM)));
    ox->subscriptions = event->subscription_count;
    if (event->type != PUSHERC_SUBSCRIPTION_COUNT)
        add(ox->hooked, letters[event->type]);
}

static struct ox *open_room(uint32_t grace_ms)
{
    struct ox *ox = calloc(1, sizeof *ox);
    pusherc_server_options limits = fx_limits();
    REQUIRE(ox);
    ox->hooks = (pusherc_hooks)PUSHERC_HOOKS_INIT;
    ox->hooks.on_channel = on_channel;
    ox->hooks.user_data = ox;
    ox->app = fx_app();
    ox->app.presence_grace_ms = grace_ms;
    ox->app.terminate_matches_presence = true;
    REQUIRE(fx_try_open(&ox->fx, &limits, &ox->hooks, 2, 0) == 0);
    REQUIRE(fx_try_put(&ox->fx, &ox->app) == 0);
    ox->fx.engine->observer = (struct pc_observer){note, wake, ox};
    struct pc_app *put = pc_apps_by_id(&ox->fx.engine->apps, PC_S("app-id"));
    atomic_store(&put->state->notices, UINT32_MAX & ~(uint32_t)PUSHERC_WEBHOOK_SUBSCRIPTION_COUNT);
    pc_app_unref(put);
    return ox;
}

static void close_room(struct ox *ox)
{
    for (size_t i = 0; i < CLIENTS; i++)
        fx_disconnect(&ox->clients[i]);
    fx_close(&ox->fx);
    assert_int_equal(failing_alloc_live(&ox->fx.alloc), 0);
    free(ox);
}

/* Client i on worker i % 2 is user `id`. */
static void enter(struct ox *ox, size_t i, const char *id)
{
    char data[96];
    if (!ox->clients[i].fx || ox->clients[i].over) {
        fx_disconnect(&ox->clients[i]);
        fx_connect(&ox->fx, &ox->clients[i], (uint32_t)i % 2);
    }
    snprintf(data, sizeof data, "{\"user_id\":\"%s\",\"user_info\":{\"by\":%zu}}", id, i);
    fx_join(&ox->clients[i], ROOM, data);
    fx_settle(&ox->fx);
}

static void leave(struct ox *ox, size_t i)
{
    fx_unsubscribe(&ox->clients[i], ROOM);
    fx_settle(&ox->fx);
}

static void pass(struct ox *ox, uint64_t ms)
{
    fx_pass(&ox->fx, ms);
    fx_settle(&ox->fx);
}

/* The client's messages about members since the last look, "+7-8". */
static const char *news(struct fx_client *client)
{
    static char text[4096];
    size_t len = 0;
    text[0] = '\0';
    for (const char *at = fx_heard(client); (at = strstr(at, ":member_")); at++) {
        const char *id = strstr(at, "user_id\\\":\\\"") + strlen("user_id\\\":\\\"");
        REQUIRE(len + 16 < sizeof text);
        len += (size_t)snprintf(text + len, 16, "%c%.*s", at[8] == 'a' ? '+' : '-',
                                (int)strcspn(id, "\\"), id);
    }
    return text;
}

static bool has_roster(struct fx_client *client, const char *ids)
{
    return strstr(fx_heard(client), ids) != NULL;
}

/* Members, and what the channel counts. */
static void expect_counts(struct ox *ox, size_t members, uint64_t subscriptions)
{
    uint64_t uid = ox->clients[0].session.app->state->uid;
    struct pc_shard *shard = pc_directory_lock(&ox->fx.engine->directory, uid, PC_S(ROOM));
    const struct pc_channel *channel = pc_shard_find(shard, uid, PC_S(ROOM));
    size_t there = channel ? pc_roster_count(&channel->roster) : 0;
    uint64_t counted = channel ? channel->subscriptions : 0;
    pc_shard_unlock(shard);
    assert_int_equal(there, members);
    assert_int_equal(counted, subscriptions);
}

static void grace_who_is_back_in_time_has_not_been_away(void **state)
{
    struct ox *ox = open_room(GRACE);
    (void)state;
    enter(ox, 0, "ann");
    enter(ox, 1, "bob");
    pass(ox, 1000);
    assert_string_equal(news(&ox->clients[0]), "+bob");
    for (size_t n = 0; n < 5; n++) { /* as bob's page is loaded again, on either worker */
        if (n % 2)
            leave(ox, 1 + n);
        else
            fx_disconnect(&ox->clients[1 + n]);
        pass(ox, GRACE - 100);
        expect_counts(ox, 2, 2);
        enter(ox, 20, "zoe"); /* a newcomer sees both */
        assert_true(has_roster(&ox->clients[20], "[\\\"ann\\\",\\\"bob\\\",\\\"zoe\\\"]"));
        leave(ox, 20);
        pass(ox, 99);
        enter(ox, 2 + n, "bob");
        assert_true(has_roster(&ox->clients[2 + n], "\\\"bob\\\":{\\\"by\\\":1}"));
        pass(ox, GRACE + 200);
        assert_string_equal(news(&ox->clients[0]), "+zoe-zoe");
    }
    assert_string_equal(ox->noted, "O+++-+-+-+-+-");
    assert_string_equal(ox->hooked, ox->noted);
    assert_int_equal(ox->subscriptions, 2);
    close_room(ox);
}

static void grace_who_stays_away_is_removed_once_and_then_the_channel_is_vacated(void **state)
{
    struct ox *ox = open_room(GRACE);
    (void)state;
    enter(ox, 0, "ann");
    enter(ox, 1, "bob");
    enter(ox, 3, "bob");
    pass(ox, 500);
    leave(ox, 1);
    leave(ox, 3); /* the last one counts */
    pass(ox, GRACE - 1);
    assert_string_equal(news(&ox->clients[0]), "+bob");
    pass(ox, 1);
    assert_string_equal(news(&ox->clients[0]), "-bob");
    expect_counts(ox, 1, 1);
    assert_int_equal(ox->subscriptions, 1);
    leave(ox, 0);
    pass(ox, GRACE);
    assert_string_equal(ox->noted, "O++--V");
    assert_string_equal(ox->hooked, "O++--V");
    expect_counts(ox, 0, 0);
    enter(ox, 0, "ann"); /* and all begins anew */
    assert_string_equal(ox->noted, "O++--VO+");
    close_room(ox);
}

/* The last of several who left is removed after its own time, although one timer serves all. */
static void grace_runs_for_each_from_when_it_left_last(void **state)
{
    struct ox *ox = open_room(GRACE);
    static const char *const ids[] = {"ann", "bob", "cat", "dan"};
    (void)state;
    for (size_t i = 0; i < 4; i++)
        enter(ox, i, ids[i]);
    news(&ox->clients[0]);
    leave(ox, 1);
    pass(ox, 1000);
    leave(ox, 2);
    pass(ox, 1000);
    leave(ox, 3);
    enter(ox, 1, "bob");
    leave(ox, 1);
    pass(ox, GRACE - 1000);
    assert_string_equal(news(&ox->clients[0]), "-cat");
    pass(ox, 1000);
    assert_string_equal(news(&ox->clients[0]), "-dan-bob");
    close_room(ox);
}

/* Whom the host or an operator removes is removed at once; also who is away already. */
static void grace_is_not_for_those_whom_the_host_removes(void **state)
{
    struct ox *ox = open_room(GRACE);
    (void)state;
    enter(ox, 0, "ann");
    enter(ox, 1, "bob");
    enter(ox, 2, "bob");
    enter(ox, 3, "cat");
    enter(ox, 4, "dan");
    leave(ox, 3);
    leave(ox, 4);
    news(&ox->clients[0]);
    struct pc_disconnect which = {.app_uid = ox->clients[0].session.app->state->uid,
                                  .user_id = PC_S("bob"),
                                  .members = true,
                                  .code = 4009};
    assert_int_equal(pc_disconnect(ox->fx.engine, &which), 0);
    assert_string_equal(news(&ox->clients[0]), "-bob");
    which.user_id = PC_S("dan");
    assert_int_equal(pc_disconnect(ox->fx.engine, &which), 0);
    assert_string_equal(news(&ox->clients[0]), "-dan");
    enter(ox, 5, "eve");
    which.user_id = PC_S("");
    which.socket_id = ox->clients[5].q.owner;
    assert_int_equal(pc_disconnect(ox->fx.engine, &which), 0);
    assert_string_equal(news(&ox->clients[0]), "+eve-eve");
    enter(ox, 6, "fay");
    assert_true(pc_grant_revoke(&ox->clients[6].session, PC_S(ROOM), PC_S("Out")));
    assert_string_equal(news(&ox->clients[0]), "+fay-fay");
    pass(ox, GRACE);
    assert_string_equal(news(&ox->clients[0]), "-cat");
    close_room(ox);
}

static void grace_ends_with_the_server(void **state)
{
    struct ox *ox = open_room(GRACE);
    (void)state;
    enter(ox, 0, "ann");
    enter(ox, 1, "bob");
    leave(ox, 1);
    assert_string_equal(ox->hooked, "O++");
    ox->fx.engine->draining = true;
    pc_channel_timers_hurry(&ox->fx.engine->workers[1], NULL, NULL);
    assert_string_equal(ox->hooked, "O++-");
    fx_disconnect(&ox->clients[0]);
    assert_string_equal(ox->hooked, "O++--V");
    assert_string_equal(ox->noted, ox->hooked);
    close_room(ox);
}

static void refuse(pusherc_auth_request *request, void *user_data)
{
    (void)request;
    (void)user_data;
    abort(); /* the subscriptions are signed */
}

static void grace_of_a_rule_comes_before_the_apps(void **state)
{
    static const struct {
        uint32_t app_ms, rule_ms, is_ms;
    } cases[] = {{0, 2000, 2000},
                 {GRACE, 2000, 2000},
                 {GRACE, 0, GRACE},
                 {GRACE, PUSHERC_NO_DELAY, 0},
                 {PUSHERC_NO_DELAY, 0, 0}};
    (void)state;
    for (size_t n = 0; n < sizeof cases / sizeof cases[0]; n++) {
        struct ox *ox = open_room(cases[n].app_ms);
        pusherc_rule rule = PUSHERC_RULE_INIT;
        rule.pattern = "{name}";
        rule.authorize = refuse;
        rule.presence_grace_ms = cases[n].rule_ms;
        assert_int_equal(pc_rules_add(&ox->fx.engine->rules, &rule, NULL), 0);
        enter(ox, 0, "ann");
        enter(ox, 1, "bob");
        pass(ox, PC_GATHER_MS);
        leave(ox, 1);
        if (cases[n].is_ms) {
            pass(ox, cases[n].is_ms - 1);
            assert_string_equal(news(&ox->clients[0]), "+bob");
            pass(ox, 1);
            assert_string_equal(news(&ox->clients[0]), "-bob");
        }
        assert_string_equal(ox->hooked, "O++-");
        close_room(ox);
    }
}

static void grace_keeps_the_place_of_a_member(void **state)
{
    struct ox *ox = open_room(GRACE);
    (void)state;
    ox->app.max_presence_members = 2;
    assert_int_equal(fx_try_put(&ox->fx, &ox->app), 0);
    enter(ox, 0, "ann");
    enter(ox, 1, "bob");
    leave(ox, 1);
    enter(ox, 2, "cat");
    assert_non_null(strstr(fx_heard(&ox->clients[2]), "LimitReached"));
    expect_counts(ox, 2, 2);
    enter(ox, 3, "bob");
    assert_true(has_roster(&ox->clients[3], "[\\\"ann\\\",\\\"bob\\\"]"));
    leave(ox, 3);
    pass(ox, GRACE);
    enter(ox, 2, "cat");
    assert_true(has_roster(&ox->clients[2], "[\\\"ann\\\",\\\"cat\\\"]"));
    close_room(ox);
}

/* New settings are for new connections, and a shorter grace counts from the next leave on. */
static void grace_is_that_of_the_last_who_came(void **state)
{
    struct ox *ox = open_room(GRACE * 10);
    (void)state;
    enter(ox, 0, "ann");
    enter(ox, 1, "bob");
    pass(ox, 500);
    leave(ox, 1);
    pass(ox, 500);
    ox->app.presence_grace_ms = 0;
    assert_int_equal(fx_try_put(&ox->fx, &ox->app), 0);
    enter(ox, 3, "bob");
    assert_string_equal(news(&ox->clients[0]), "+bob");
    leave(ox, 3);
    assert_string_equal(news(&ox->clients[0]), "-bob");
    close_room(ox);
}

/* A3: one client comes and goes as fast as it can, once in a millisecond, for ten seconds. */
static void a3_toggling_costs_the_others_what_time_allows(void **state)
{
    struct ox *ox = open_room(0);
    size_t told = 0;
    bool there = false;
    (void)state;
    enter(ox, 0, "ann");
    pass(ox, 1000);
    for (size_t n = 0; n < 10000; n++, there = !there) {
        if (there)
            leave(ox, 1);
        else
            enter(ox, 1, "bob");
        pass(ox, 1);
        if (n % 100 == 0)
            told += strlen(news(&ox->clients[0])) / 4;
        fx_forget(&ox->clients[1]);
    }
    told += strlen(news(&ox->clients[0])) / 4;
    assert_true(told >= 100 && told <= 10 * 20 + 2);
    assert_int_equal(strlen(ox->noted), told + 2);
    pass(ox, PC_GATHER_MS);
    expect_counts(ox, 1, 1);
    assert_true(ox->noted[strlen(ox->noted) - 1] == '-');
    assert_int_equal(ox->subscriptions, 1);
    enter(ox, 1, "bob");
    pass(ox, PC_GATHER_MS);
    expect_counts(ox, 2, 2);
    close_room(ox);
}

/* A network is cut, and all members are to be removed at the same time: a turn does a part of it. */
static void many_whose_time_is_up_together_are_removed_bit_by_bit(void **state)
{
    struct ox *ox = open_room(GRACE);
    char id[8];
    (void)state;
    enter(ox, 0, "ann");
    for (size_t i = 1; i < CLIENTS; i++) {
        snprintf(id, sizeof id, "u%zu", i);
        enter(ox, i, id);
    }
    pass(ox, 1000);
    news(&ox->clients[0]);
    for (size_t i = 1; i < CLIENTS; i++)
        leave(ox, i);
    expect_counts(ox, CLIENTS, CLIENTS);
    pass(ox, GRACE);
    expect_counts(ox, CLIENTS - 64, CLIENTS - 64);
    pass(ox, 1);
    expect_counts(ox, 1, 1);
    close_room(ox);
}

static size_t count_of(const char *text, char letter)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == letter;
    return n;
}

/* Whatever fails, nothing is lost: a member without memory for its absence leaves at once. */
static void without_memory_a_member_leaves_at_once(void **state)
{
    bool failed = true;
    (void)state;
    for (size_t n = 1; failed; n++) {
        struct ox *ox = open_room(GRACE);
        enter(ox, 0, "ann");
        enter(ox, 1, "bob");
        ox->fx.alloc.fail_at = ox->fx.alloc.requests + n;
        fx_unsubscribe(&ox->clients[1], ROOM);
        failed = failing_alloc_hit(&ox->fx.alloc);
        ox->fx.alloc.fail_at = 0;
        assert_int_equal(count_of(ox->hooked, '-'), failed);
        pass(ox, GRACE);
        assert_string_equal(ox->hooked, "O++-");
        assert_string_equal(ox->noted, "O++-");
        expect_counts(ox, 1, 1);
        close_room(ox);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grace_who_is_back_in_time_has_not_been_away),
        cmocka_unit_test(grace_who_stays_away_is_removed_once_and_then_the_channel_is_vacated),
        cmocka_unit_test(grace_runs_for_each_from_when_it_left_last),
        cmocka_unit_test(grace_is_not_for_those_whom_the_host_removes),
        cmocka_unit_test(grace_ends_with_the_server),
        cmocka_unit_test(grace_of_a_rule_comes_before_the_apps),
        cmocka_unit_test(grace_keeps_the_place_of_a_member),
        cmocka_unit_test(grace_is_that_of_the_last_who_came),
        cmocka_unit_test(a3_toggling_costs_the_others_what_time_allows),
        cmocka_unit_test(many_whose_time_is_up_together_are_removed_bit_by_bit),
        cmocka_unit_test(without_memory_a_member_leaves_at_once),
    };
    return cmocka_run_group_tests_name("absence", tests, NULL, NULL);
}
