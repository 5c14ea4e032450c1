/* Users as the host sees them: when it is told that one is online or offline, and what it can ask. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine_fixture.h"
#include "session/disconnect.h"
#include "session/grant.h"

#define CLIENTS 6
#define DELAY   3000
#define SLOT_MS PC_TIMER_SLOT_MS

struct px {
    struct fx fx;
    pusherc_hooks hooks;
    pusherc_app_options app;
    struct fx_client clients[CLIENTS];
    char told[1024]; /* "+7 -7 ", with the time away in brackets if there is one */
    uint64_t sequence;
};

static void on_user(const pusherc_user_event *event, void *user_data)
{
    struct px *px = user_data;
    size_t len = strlen(px->told);
    REQUIRE(event->sequence == ++px->sequence); /* one thread: in order, without a gap */
    REQUIRE(pc_slice_eq(event->app_id, PC_S("app-id")));
    REQUIRE(!event->online || event->away_ms == 0);
    int n = snprintf(px->told + len, sizeof px->told - len, "%c%.*s", event->online ? '+' : '-',
                     (int)event->user_id.len, event->user_id.ptr);
    REQUIRE(n > 0 && len + (size_t)n + 32 < sizeof px->told);
    len += (size_t)n;
    snprintf(px->told + len, sizeof px->told - len, event->away_ms >= DELAY ? "(late) " : " ");
}

static int open_workers(void **state, uint32_t workers, bool user_events, uint32_t delay_ms)
{
    struct px *px = calloc(1, sizeof *px);
    pusherc_server_options limits = fx_limits();
    REQUIRE(px);
    px->hooks = (pusherc_hooks)PUSHERC_HOOKS_INIT;
    px->hooks.on_user = on_user;
    px->hooks.user_data = px;
    px->app = fx_app();
    px->app.user_events = user_events;
    px->app.offline_delay_ms = delay_ms;
    px->app.max_users_seen = 3;
    px->app.terminate_matches_presence = true;
    REQUIRE(fx_try_open(&px->fx, &limits, &px->hooks, workers, 0) == 0);
    REQUIRE(fx_try_put(&px->fx, &px->app) == 0);
    *state = px;
    return 0;
}

static int set_up(void **state)
{
    return open_workers(state, 2, true, 0);
}

static int at_once(void **state)
{
    return open_workers(state, 2, true, PUSHERC_NO_DELAY);
}

static int switched_off(void **state)
{
    return open_workers(state, 2, false, 0);
}

static int tear_down(void **state)
{
    struct px *px = *state;
    for (int i = 0; i < CLIENTS; i++)
        fx_disconnect(&px->clients[i]);
    fx_close(&px->fx);
    size_t live = failing_alloc_live(&px->fx.alloc);
    free(px);
    return live == 0 ? 0 : -1;
}

/* What was told since the last look. */
static void told(struct px *px, const char *text)
{
    fx_settle(&px->fx);
    assert_string_equal(px->told, text);
    px->told[0] = '\0';
}

/* Client i, on worker i % 2, is the user by identity; "" = anonymous. */
static void come(struct px *px, int i, const char *id)
{
    uint32_t worker = (uint32_t)i % px->fx.engine->worker_count;
    fx_disconnect(&px->clients[i]);
    if (*id)
        fx_connect_as(&px->fx, &px->clients[i], worker, id);
    else
        fx_connect(&px->fx, &px->clients[i], worker);
    fx_settle(&px->fx);
}

static void go(struct px *px, int i)
{
    fx_disconnect(&px->clients[i]);
    px->clients[i].fx = NULL;
    fx_settle(&px->fx);
}

static void sign_in(struct px *px, int i, const char *id)
{
    char user[64];
    snprintf(user, sizeof user, "{\"id\":\"%s\"}", id);
    fx_sign_in(&px->clients[i], user);
}

static void join(struct px *px, int i, const char *channel, const char *id)
{
    char data[64];
    snprintf(data, sizeof data, "{\"user_id\":\"%s\"}", id);
    fx_join(&px->clients[i], channel, data);
    fx_settle(&px->fx);
}

static void pass(struct px *px, uint64_t ms)
{
    fx_pass(&px->fx, ms);
    fx_settle(&px->fx);
}

static struct pc_people *people(struct px *px)
{
    struct pc_app *app = pc_apps_by_id(&px->fx.engine->apps, PC_S("app-id"));
    struct pc_people *all = &app->state->people;
    pc_app_unref(app);
    return all;
}

/* "connections channels online" of a user; "?" = not known. */
static void counts(struct px *px, const char *id, const char *expected)
{
    char text[64] = "?";
    const struct pc_person *p = pc_people_find(people(px), pc_slice_of(id));
    if (p)
        snprintf(text, sizeof text, "%u %u %d", p->connections, p->channels, p->online);
    assert_string_equal(text, expected);
    uint32_t online = 0;
    PC_LIST_EACH(link, &people(px)->here)
        online += PC_CONTAINER(link, struct pc_person, link)->online;
    assert_int_equal(people(px)->online_count, online);
}

static void the_first_connection_and_the_last_are_told(void **state)
{
    struct px *px = *state;
    come(px, 0, "7");
    told(px, "+7 ");
    come(px, 1, "7"); /* on the other worker */
    come(px, 2, "");
    told(px, "");
    counts(px, "7", "2 0 1");
    go(px, 0);
    pass(px, 10 * DELAY);
    told(px, "");
    go(px, 1);
    pass(px, DELAY - SLOT_MS);
    told(px, "");
    pass(px, 2 * SLOT_MS);
    told(px, "-7(late) ");
    counts(px, "7", "0 0 0");
}

static void who_is_back_in_time_has_not_been_away(void **state)
{
    struct px *px = *state;
    come(px, 0, "7");
    for (int i = 1; i < 10; i++) {
        go(px, (i - 1) % 2);
        pass(px, DELAY / 2);
        come(px, i % 2, "7");
    }
    told(px, "+7 ");
    go(px, 1);
    pass(px, DELAY + SLOT_MS);
    told(px, "-7(late) ");
    come(px, 0, "7");
    told(px, "+7 ");
}

static void a_sign_in_counts_and_the_same_user_once(void **state)
{
    struct px *px = *state;
    come(px, 0, "");
    told(px, "");
    sign_in(px, 0, "7");
    told(px, "+7 ");
    sign_in(px, 0, "7"); /* with other data */
    counts(px, "7", "1 0 1");
    come(px, 1, "7");
    sign_in(px, 1, "7"); /* is the user already */
    counts(px, "7", "2 0 1");
    come(px, 2, "8");
    sign_in(px, 2, "9"); /* is two users */
    told(px, "+8 +9 ");
    go(px, 2);
    pass(px, DELAY + SLOT_MS);
    told(px, "-9(late) -8(late) ");
}

static void a_member_by_a_signature_counts(void **state)
{
    struct px *px = *state;
    come(px, 0, "");
    come(px, 1, "");
    join(px, 0, "presence-a", "7");
    told(px, "+7 ");
    join(px, 1, "presence-a", "7");
    join(px, 1, "presence-b", "7");
    counts(px, "7", "0 2 1");
    fx_unsubscribe(&px->clients[0], "presence-a");
    pass(px, 1000);
    counts(px, "7", "0 2 1"); /* the other one is there */
    go(px, 1);
    pass(px, 1000);
    counts(px, "7", "0 0 1");
    pass(px, DELAY);
    told(px, "-7(late) ");
}

static void an_absent_member_is_online(void **state)
{
    struct px *px = *state;
    px->app.presence_grace_ms = 20000;
    REQUIRE(fx_try_put(&px->fx, &px->app) == 0);
    come(px, 0, "7");
    join(px, 0, "presence-a", "7");
    go(px, 0);
    pass(px, 10000);
    counts(px, "7", "0 1 1");
    pass(px, 10000 + SLOT_MS);
    counts(px, "7", "0 0 1");
    told(px, "+7 ");
    pass(px, DELAY + SLOT_MS);
    told(px, "-7(late) ");
}

static void who_is_terminated_is_offline_at_once(void **state)
{
    struct px *px = *state;
    px->app.presence_grace_ms = 20000;
    REQUIRE(fx_try_put(&px->fx, &px->app) == 0);
    come(px, 0, "7");
    come(px, 1, "");
    come(px, 3, "");
    join(px, 0, "presence-a", "7");
    join(px, 3, "presence-b", "7");
    sign_in(px, 1, "7");
    told(px, "+7 ");
    go(px, 3); /* absent from presence-b */
    struct pc_app *app = pc_apps_by_id(&px->fx.engine->apps, PC_S("app-id"));
    struct pc_disconnect which = {
        .app_uid = app->state->uid, .user_id = PC_S("7"), .members = true, .code = 4009};
    pc_app_unref(app);
    REQUIRE(pc_disconnect(px->fx.engine, &which) == 0);
    told(px, "-7 ");
}

static void by_default_nothing_is_told_or_kept(void **state)
{
    struct px *px = *state;
    come(px, 0, "7");
    sign_in(px, 0, "7");
    join(px, 0, "presence-a", "7");
    go(px, 0);
    pass(px, 2 * DELAY);
    told(px, "");
    assert_int_equal(people(px)->by_id.count, 0);
}

static void who_flaps_is_told_ten_times_a_second_at_most(void **state)
{
    struct px *px = *state;
    for (int i = 0; i < 50; i++) {
        come(px, 0, "7");
        go(px, 0);
    }
    told(px, "+7 ");
    pass(px, 100 + SLOT_MS);
    told(px, "-7 ");
    come(px, 0, "7");
    pass(px, 1000);
    go(px, 0);
    told(px, "+7 -7 "); /* at once: it has been there for long enough */
}

static void so_many_are_remembered_and_no_more(void **state)
{
    struct px *px = *state;
    static const char *const ids[] = {"a", "b", "c", "d", "e"};
    for (int i = 0; i < 5; i++) {
        come(px, 0, ids[i]);
        go(px, 0);
        pass(px, DELAY + SLOT_MS);
    }
    counts(px, "a", "?");
    counts(px, "b", "?");
    counts(px, "c", "0 0 0");
    come(px, 0, "c"); /* and is the one seen last after that */
    come(px, 1, "f");
    go(px, 0);
    go(px, 1);
    pass(px, DELAY + SLOT_MS);
    counts(px, "d", "?");
    assert_int_equal(people(px)->by_id.count, 3);
}

static void when_the_server_stops_all_are_offline(void **state)
{
    struct px *px = *state;
    come(px, 0, "7");
    come(px, 1, "8");
    go(px, 0);
    told(px, "+7 +8 ");
    px->fx.engine->draining = true;
    pc_people_hurry(&px->fx.engine->workers[0]);
    told(px, "-7 ");
    go(px, 1);
    told(px, "-8 ");
}

static bool scenario(struct px *px, size_t n)
{
    pusherc_server_options limits = fx_limits();
    pusherc_app_options app = fx_app();
    *px = (struct px){.hooks = PUSHERC_HOOKS_INIT};
    px->hooks.on_user = on_user;
    px->hooks.user_data = px;
    app.user_events = true;
    REQUIRE(fx_try_open(&px->fx, &limits, &px->hooks, 1, 0) == 0);
    REQUIRE(fx_try_put(&px->fx, &app) == 0);
    if (fx_try_connect(&px->fx, &px->clients[0], 0, 7) == 0) {
        px->fx.alloc.requests = 0;
        px->fx.alloc.fail_at = n;
        sign_in(px, 0, "7");
        fx_join(&px->clients[0], "presence-a", "{\"user_id\":\"8\"}");
        fx_settle(&px->fx);
    }
    bool failed = px->fx.alloc.requests >= n;
    const struct pc_session *s = &px->clients[0].session;
    bool is_user = s->state == PC_SESSION_OPEN && s->user;
    assert_true(!is_user || strstr(px->told, "+7"));
    if (s->state == PC_SESSION_OPEN)
        if ((strstr(px->told, "+8") != NULL) != (s->subscription_count == 1))
            fail_msg("%zu: %s, %u", n, px->told, s->subscription_count);
    go(px, 0);       /* without memory for a timer, at once */
    pass(px, DELAY); /* the member is removed */
    pass(px, DELAY + SLOT_MS);
    const char *plus = px->told, *minus = px->told;
    unsigned up = 0, down = 0;
    while ((plus = strchr(plus, '+')))
        up++, plus++;
    while ((minus = strchr(minus, '-')))
        down++, minus++;
    if (up != down)
        fail_msg("%zu: %s", n, px->told);
    fx_close(&px->fx);
    assert_int_equal(failing_alloc_live(&px->fx.alloc), 0);
    return failed;
}

static void without_memory_none_is_online_for_ever(void **state)
{
    static struct px px;
    size_t n = 1;
    (void)state;
    while (scenario(&px, n))
        n++;
    assert_true(n > 5);
}

#define with(set_up, function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with(set_up, the_first_connection_and_the_last_are_told),
        with(set_up, who_is_back_in_time_has_not_been_away),
        with(set_up, a_sign_in_counts_and_the_same_user_once),
        with(set_up, a_member_by_a_signature_counts),
        with(set_up, an_absent_member_is_online),
        with(set_up, who_is_terminated_is_offline_at_once),
        with(switched_off, by_default_nothing_is_told_or_kept),
        with(at_once, who_flaps_is_told_ten_times_a_second_at_most),
        with(set_up, so_many_are_remembered_and_no_more),
        with(set_up, when_the_server_stops_all_are_offline),
        cmocka_unit_test(without_memory_none_is_online_for_ever),
    };
    return cmocka_run_group_tests_name("people", tests, NULL, NULL);
}
