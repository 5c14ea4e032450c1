/* Users: the connections of a user and actions on all of them, watchers and online users, and closing clients that do
 * not authenticate in time. Numbers in comments are the checks of the protocol's appendix B. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "api/api.h"
#include "engine_fixture.h"
#include "session/disconnect.h"

#define CLIENTS 8
#define NOW     1700000000U

struct fixture {
    struct fx fx;
    struct fx_client clients[CLIENTS];
};

static void open_app(struct fixture *f, const pusherc_app_options *app)
{
    pusherc_server_options limits = fx_limits();
    limits.max_auth_skew_s = 600;
    limits.auth_timeout_ms = 10000;
    memset(f, 0, sizeof *f);
    assert_int_equal(fx_try_open(&f->fx, &limits, NULL, FX_WORKERS, 0), 0);
    assert_int_equal(fx_try_put(&f->fx, app), 0);
}

/* Nothing of any user is left. */
static int close_all(struct fixture *f)
{
    size_t users = 0;
    for (size_t i = 0; i < CLIENTS; i++)
        fx_disconnect(&f->clients[i]);
    fx_settle(&f->fx);
    for (uint32_t i = 0; i < FX_WORKERS; i++)
        users += f->fx.engine->workers[i].users.count;
    fx_close(&f->fx);
    return users == 0 && failing_alloc_live(&f->fx.alloc) == 0 ? 0 : -1;
}

static int set_up(void **state)
{
    static struct fixture fixture;
    pusherc_app_options app = fx_app();
    open_app(&fixture, &app);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    return close_all(*state);
}

#define users_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

static void sign_in_as(struct fx_client *client, const char *id)
{
    char user[300];
    snprintf(user, sizeof user, "{\"id\":\"%s\"}", id);
    fx_sign_in(client, user);
}

static void expect_closed(struct fixture *f, const char *wanted)
{
    char closed[CLIENTS + 1] = "";
    fx_settle(&f->fx);
    for (size_t i = 0; i < CLIENTS; i++)
        closed[i] = f->clients[i].fx && f->clients[i].over ? 'x' : '-';
    assert_string_equal(closed, wanted);
}

/* -- all connections of a user -- */

/* A signed request on the last worker; its status, and the body in `body`. */
static int post(struct fixture *f, const char *path, char body[256])
{
    char query[1024];
    struct pc_api_reply reply;
    pusherc_credentials credentials = fx_credentials();
    assert_int_equal(pusherc_sign_request(&credentials, "POST", path, NULL, 0, PC_S("{}"), NOW,
                                          query, sizeof query, NULL),
                     0);
    const struct pc_http_message message = {.method = PC_S("POST"),
                                            .path = pc_slice_of(path),
                                            .query = pc_slice_of(query),
                                            .body = PC_S("{}")};
    const struct pc_api_request request = {.engine = f->fx.engine,
                                           .worker = &f->fx.engine->workers[FX_WORKERS - 1],
                                           .message = &message,
                                           .unix_time_s = NOW};
    pc_api_reply_init(&reply, &f->fx.mem);
    assert_int_equal(pc_api_handle(&request, &reply, NULL), PC_API_REPLY);
    snprintf(body, 256, "%.*s", (int)reply.body.len, reply.body.ptr);
    int status = reply.status;
    pc_api_reply_free(&reply);
    return status;
}

static void expect_terminated(struct fixture *f, const char *path, const char *closed)
{
    char body[256];
    assert_int_equal(post(f, path, body), 200);
    assert_string_equal(body, "{}");
    expect_closed(f, closed);
}

/* Two of "7" that signed in, on two workers; one that the host says is; one that only is a member; one of "77". */
static void gather(struct fixture *f)
{
    for (uint32_t i = 0; i < 5; i++)
        if (i == 2)
            fx_connect_as(&f->fx, &f->clients[i], i % FX_WORKERS, "7");
        else
            fx_connect(&f->fx, &f->clients[i], i % FX_WORKERS);
    sign_in_as(&f->clients[0], "7");
    sign_in_as(&f->clients[1], "7");
    fx_join(&f->clients[3], "presence-room", "{\"user_id\":7}");
    sign_in_as(&f->clients[4], "77");
    expect_closed(f, "--------");
}

/* 127, 128 */
static void terminating_closes_only_connections_signed_in_as_the_user(void **state)
{
    struct fixture *f = *state;
    gather(f);
    expect_terminated(f, "/apps/app-id/users/7/terminate_connections", "xx------");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(f->clients[i].closed, 4009);
        assert_string_equal(f->clients[i].reason, "You got disconnected by the app.");
    }
}

/* 129, 130 */
static void a_terminated_user_may_come_again(void **state)
{
    struct fixture *f = *state;
    expect_terminated(f, "/apps/app-id/users/7/terminate_connections", "--------");
    gather(f);
    expect_terminated(f, "/apps/app-id/users/7/terminate_connections", "xx------");
    fx_connect(&f->fx, &f->clients[5], 0);
    sign_in_as(&f->clients[5], "7");
    assert_non_null(strstr(fx_heard(&f->clients[5]), "signin_success"));
    expect_closed(f, "xx------");
    expect_terminated(f, "/apps/app-id/users/7/terminate_connections", "xx---x--");
}

static void the_path_without_an_app_is_that_of_the_key(void **state)
{
    struct fixture *f = *state;
    gather(f);
    expect_terminated(f, "/users/7/terminate_connections", "xx------");
}

static void ids_in_the_path_are_decoded_and_checked(void **state)
{
    struct fixture *f = *state;
    char body[256], path[512], id[202];
    fx_connect(&f->fx, &f->clients[0], 0);
    sign_in_as(&f->clients[0], "a=b@c,d;e");
    expect_terminated(f, "/apps/app-id/users/a%3Db%40c%2Cd%3Be/terminate_connections", "x-------");

    static const char *const bad[] = {"a%20b", "%00", "a%2Fb", "%C3%A4", "a%", "a*b"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(path, sizeof path, "/apps/app-id/users/%s/terminate_connections", bad[i]);
        assert_int_equal(post(f, path, body), 400);
        assert_memory_equal(body, "Invalid user id: \"", 18);
    }
    memset(id, 'x', 201);
    id[201] = '\0';
    snprintf(path, sizeof path, "/apps/app-id/users/%s/terminate_connections", id);
    assert_int_equal(post(f, path, body), 400);
    snprintf(path, sizeof path, "/apps/app-id/users/%s/terminate_connections", id + 1);
    assert_int_equal(post(f, path, body), 200);
}

static void members_are_closed_too_if_the_app_wants_it(void **state)
{
    struct fixture *f = *state;
    pusherc_app_options app = fx_app();
    app.terminate_matches_presence = true;
    assert_int_equal(fx_try_put(&f->fx, &app), 0);
    gather(f);
    expect_terminated(f, "/apps/app-id/users/7/terminate_connections", "xx-x----");
}

static void the_host_closes_all_of_a_user(void **state)
{
    struct fixture *f = *state;
    gather(f);
    /* a second name for the same connection: found under both */
    sign_in_as(&f->clients[2], "8");
    struct pc_app *app = pc_apps_by_id(&f->fx.engine->apps, PC_S("app-id"));
    struct pc_disconnect which = {
        .app_uid = app->state->uid, .user_id = PC_S("7"), .code = 4321, .reason = PC_S("Good bye")};
    assert_int_equal(pc_disconnect(f->fx.engine, &which), 0);
    expect_closed(f, "xxx-----");
    assert_int_equal(f->clients[2].closed, 4321);
    which.user_id = PC_S("nobody");
    assert_int_equal(pc_disconnect(f->fx.engine, &which), 0);
    expect_closed(f, "xxx-----");
    pc_app_unref(app);
}

static void users_of_another_app_are_others(void **state)
{
    struct fixture *f = *state;
    pusherc_app_options other = fx_app();
    other.id = "other";
    other.key = "other-key";
    assert_int_equal(fx_try_put(&f->fx, &other), 0);
    gather(f);
    struct pc_identity *seven = pc_identity_new(&f->fx.mem, PC_S("7"), PC_S(""));
    assert_int_equal(fx_try_connect_to(&f->fx, &f->clients[5], 0, 7, "other-key", seven), 0);
    struct pc_app *app = pc_apps_by_id(&f->fx.engine->apps, PC_S("other"));
    struct pc_disconnect which = {.app_uid = app->state->uid, .user_id = PC_S("7"), .code = 4000};
    assert_int_equal(pc_disconnect(f->fx.engine, &which), 0);
    expect_closed(f, "-----x--");
    pc_app_unref(app);
}

/* -- watchlists -- */

static void open_watching(struct fixture *f, uint32_t offline_delay_ms)
{
    pusherc_app_options app = fx_app();
    app.watchlist_events = true;
    app.offline_delay_ms = offline_delay_ms;
    app.max_connections_per_user = CLIENTS;
    open_app(f, &app);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        fx_connect(&f->fx, &f->clients[i], i % FX_WORKERS);
        fx_settle(&f->fx);
        fx_forget(&f->clients[i]);
    }
}

/* What it has heard of others since the last look, e.g. "+8,9-10;" for each frame; errors as "!4302;". */
static const char *news(struct fx_client *client)
{
    static char text[8192];
    size_t len = 0;
    const char *rest = fx_heard(client);
    text[0] = '\0';
    for (const char *end; (end = strchr(rest, '\n')); rest = end + 1) {
        pusherc_slice line = pc_slice(rest, (size_t)(end - rest));
        if (pc_slice_starts(line, PC_S("{\"event\":\"pusher:error\""))) {
            const char *code = strstr(rest, "\"code\":") + 7;
            len += (size_t)sprintf(text + len, "!%.*s;", (int)strcspn(code, ","), code);
        }
        if (!pc_slice_starts(line, PC_S("{\"event\":\"pusher_internal:watchlist_events\"")))
            continue;
        for (const char *at = rest; at < end; at++) {
            static const char name[] = "\\\"name\\\":\\\"", id[] = "\\\"user_ids\\\":[";
            if (strncmp(at, name, sizeof name - 1) == 0)
                text[len++] = strncmp(at + sizeof name - 1, "online", 6) == 0 ? '+' : '-';
            if (strncmp(at, id, sizeof id - 1) == 0)
                for (at += sizeof id - 1; *at != ']'; at++)
                    if (*at != '"' && *at != '\\')
                        text[len++] = *at;
        }
        text[len++] = ';';
        text[len] = '\0';
    }
    return text;
}

static void expect_news(struct fixture *f, size_t client, const char *wanted)
{
    assert_string_equal(news(&f->clients[client]), wanted);
}

static void watch(struct fixture *f, size_t client, const char *id, const char *ids)
{
    char user[8192];
    snprintf(user, sizeof user, "{\"id\":\"%s\",\"watchlist\":[%s]}", id, ids);
    fx_sign_in(&f->clients[client], user);
}

/* 123, 124 */
static void watchers_are_told_the_state_and_each_change(void **state)
{
    struct fixture f;
    (void)state;
    open_watching(&f, PUSHERC_NO_DELAY);
    sign_in_as(&f.clients[1], "8");
    watch(&f, 0, "7", "\"8\",\"9\",\"8\",\"7\"");
    assert_string_equal(
        strchr(fx_heard(&f.clients[0]), '\n') + 1,
        "{\"event\":\"pusher_internal:watchlist_events\",\"data\":\"{\\\"events\\\":["
        "{\\\"name\\\":\\\"online\\\",\\\"user_ids\\\":[\\\"8\\\",\\\"7\\\"]},"
        "{\\\"name\\\":\\\"offline\\\",\\\"user_ids\\\":[\\\"9\\\"]}]}\"}\n");
    sign_in_as(&f.clients[2], "9");
    assert_string_equal(
        fx_heard(&f.clients[0]),
        "{\"event\":\"pusher_internal:watchlist_events\",\"data\":\"{\\\"events\\\":["
        "{\\\"name\\\":\\\"online\\\",\\\"user_ids\\\":[\\\"9\\\"]}]}\"}\n");
    fx_wait(&f.fx);
    fx_disconnect(&f.clients[1]);
    expect_news(&f, 0, "-8;");
    fx_disconnect(&f.clients[2]);
    expect_news(&f, 0, "-9;");
    fx_connect(&f.fx, &f.clients[2], 1);
    sign_in_as(&f.clients[2], "9");
    expect_news(&f, 0, "+9;");
    /* a client without a watchlist is told nothing */
    expect_news(&f, 2, "");
    assert_int_equal(close_all(&f), 0);
}

/* 125 */
static void further_connections_say_nothing(void **state)
{
    struct fixture f;
    (void)state;
    open_watching(&f, PUSHERC_NO_DELAY);
    watch(&f, 0, "7", "\"8\"");
    expect_news(&f, 0, "-8;");
    for (size_t i = 1; i < 5; i++)
        sign_in_as(&f.clients[i], "8");
    expect_news(&f, 0, "+8;");
    sign_in_as(&f.clients[1], "8"); /* again */
    for (size_t i = 1; i < 4; i++)
        fx_disconnect(&f.clients[i]);
    expect_news(&f, 0, "");
    fx_wait(&f.fx);
    fx_disconnect(&f.clients[4]);
    expect_news(&f, 0, "-8;");
    assert_int_equal(close_all(&f), 0);
}

/* A3: a user comes and goes as fast as it can, once in two milliseconds, for two seconds. */
static void a3_who_comes_and_goes_costs_watchers_what_time_allows(void **state)
{
    struct fixture f;
    size_t told = 0;
    (void)state;
    open_watching(&f, PUSHERC_NO_DELAY);
    watch(&f, 0, "7", "\"8\"");
    expect_news(&f, 0, "-8;");
    for (int i = 0; i < 1000; i++) {
        sign_in_as(&f.clients[1], "8");
        fx_pass(&f.fx, 1);
        fx_disconnect(&f.clients[1]);
        fx_connect(&f.fx, &f.clients[1], (uint32_t)i % FX_WORKERS);
        fx_pass(&f.fx, 1);
        told += strlen(news(&f.clients[0])) / strlen("+8;");
    }
    fx_wait(&f.fx);
    const char *last = news(&f.clients[0]);
    told += strlen(last) / strlen("+8;");
    assert_true(told >= 20 && told <= 2 * 20 + 2);
    assert_true(told % 2 == 0); /* it is offline */
    assert_int_equal(close_all(&f), 0);
}

static void a_page_that_is_loaded_again_is_quiet(void **state)
{
    struct fixture f;
    (void)state;
    open_watching(&f, 3000);
    watch(&f, 0, "7", "\"8\"");
    sign_in_as(&f.clients[1], "8");
    expect_news(&f, 0, "-8;+8;");
    for (int i = 0; i < 5; i++) { /* on another worker each time */
        fx_disconnect(&f.clients[1]);
        fx_pass(&f.fx, 2900);
        fx_connect(&f.fx, &f.clients[1], (uint32_t)i % FX_WORKERS);
        sign_in_as(&f.clients[1], "8");
        expect_news(&f, 0, "");
    }
    fx_disconnect(&f.clients[1]);
    fx_pass(&f.fx, 2900);
    expect_news(&f, 0, "");
    /* watchers still see the user as online */
    watch(&f, 2, "6", "\"8\"");
    expect_news(&f, 2, "+8;");
    fx_pass(&f.fx, 132);
    expect_news(&f, 0, "-8;");
    expect_news(&f, 2, "-8;");
    fx_pass(&f.fx, 10000);
    expect_news(&f, 0, "");
    assert_int_equal(close_all(&f), 0);
}

static void signing_in_again_replaces_the_list(void **state)
{
    struct fixture f;
    (void)state;
    open_watching(&f, PUSHERC_NO_DELAY);
    sign_in_as(&f.clients[1], "8");
    watch(&f, 0, "7", "\"8\",\"9\"");
    expect_news(&f, 0, "+8-9;");
    watch(&f, 0, "7", "\"9\",\"10\"");
    expect_news(&f, 0, "-9,10;");
    fx_disconnect(&f.clients[1]);
    sign_in_as(&f.clients[2], "10");
    expect_news(&f, 0, "+10;");
    sign_in_as(&f.clients[0], "7");
    sign_in_as(&f.clients[3], "9");
    fx_disconnect(&f.clients[2]);
    expect_news(&f, 0, "");
    /* refused: nothing of it counts */
    watch(&f, 0, "6", "\"9\"");
    expect_news(&f, 0, "!null;");
    fx_disconnect(&f.clients[3]);
    expect_news(&f, 0, "");
    assert_int_equal(close_all(&f), 0);
}

/* 126 */
static void the_first_hundred_are_kept(void **state)
{
    struct fixture f;
    char ids[4096] = "", wanted[4096] = "!4302;-", error[256];
    (void)state;
    open_watching(&f, PUSHERC_NO_DELAY);
    for (int i = 0; i <= 100; i++) {
        sprintf(ids + strlen(ids), "%s\"u%d\",\"u0\"", i ? "," : "", i);
        if (i < 100)
            sprintf(wanted + strlen(wanted), "%su%d", i ? "," : "", i);
    }
    strcat(wanted, ";");
    watch(&f, 0, "7", ids);
    expect_news(&f, 0, wanted);
    sign_in_as(&f.clients[1], "u100");
    sign_in_as(&f.clients[2], "u99");
    expect_news(&f, 0, "+u99;");
    /* the order of the answers, and what the error says */
    watch(&f, 3, "6", ids);
    const char *heard = fx_heard(&f.clients[3]);
    const char *success = strstr(heard, "signin_success");
    const char *limit = strstr(heard, "pusher:error");
    const char *list = strstr(heard, "watchlist_events");
    assert_true(success && limit && list && success < limit && limit < list);
    snprintf(error, sizeof error, "%.*s", (int)strcspn(limit, "\n"), limit);
    assert_string_equal(error,
                        "pusher:error\",\"data\":{\"code\":4302,\"message\":\"The watchlist is "
                        "limited to 100 users: the first 100 are kept\"}}");
    assert_int_equal(close_all(&f), 0);

    pusherc_app_options app = fx_app();
    app.watchlist_events = true;
    app.max_watchlist_users = 2;
    open_app(&f, &app);
    fx_connect(&f.fx, &f.clients[0], 0);
    watch(&f, 0, "7", "\"1\",\"2\",\"2\",\"1\"");
    expect_news(&f, 0, "-1,2;");
    watch(&f, 0, "7", "\"1\",\"2\",\"3\"");
    expect_news(&f, 0, "!4302;-1,2;");
    assert_int_equal(close_all(&f), 0);
}

static void a_malformed_watchlist_is_an_error(void **state)
{
    static const struct {
        const char *list, *news;
    } cases[] = {
        {"[]", ""},
        {"null", ""},
        {"{}", "!null;"},
        {"\"8\"", "!null;"},
        {"[8,-0,\"9\",null]", "!null;-8,0,9;"},
        {"[\"\",\"a b\",1.5,[\"8\"],{},true]", "!null;"},
        {"[\"\\u0038\",\"\\u0000\",\"\\ud800\"]", "!null;-8;"},
    };
    struct fixture f;
    char user[512], id[300] = "", list[512];
    (void)state;
    open_watching(&f, PUSHERC_NO_DELAY);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(user, sizeof user, "{\"id\":\"7\",\"watchlist\":%s}", cases[i].list);
        fx_sign_in(&f.clients[0], user);
        expect_news(&f, 0, cases[i].news);
        assert_non_null(f.clients[0].session.user);
    }
    memset(id, 'x', 200);
    snprintf(list, sizeof list, "\"%s\"", id);
    watch(&f, 0, id, list); /* the connection has signed in as another user */
    expect_news(&f, 0, "!null;");
    watch(&f, 1, id, list);
    snprintf(list, sizeof list, "+%s;", id);
    expect_news(&f, 1, list);
    memset(id, 'x', 201);
    snprintf(list, sizeof list, "\"%s\",\"\\u0078%s\"", id, id + 1);
    watch(&f, 1, id + 1, list);
    expect_news(&f, 1, "!null;");
    assert_int_equal(close_all(&f), 0);
}

static void without_the_switch_no_user_is_watched(void **state)
{
    struct fixture *f = *state;
    for (uint32_t i = 0; i < 2; i++)
        fx_connect(&f->fx, &f->clients[i], i);
    watch(f, 0, "7", "\"8\",\"9\"");
    sign_in_as(&f->clients[1], "8");
    expect_news(f, 0, "");
    for (size_t i = 0; i < PC_SHARDS; i++)
        assert_int_equal(f->fx.engine->directory.shards[i].channels.count, 0);
}

static void count_visit(const struct pc_channel *channel, void *ctx)
{
    (void)channel;
    ++*(size_t *)ctx;
}

/* 122, for what watching needs */
static void watched_users_are_no_channels(void **state)
{
    struct fixture f;
    size_t visited = 0;
    (void)state;
    open_watching(&f, 3000);
    watch(&f, 0, "7", "\"8\"");
    sign_in_as(&f.clients[1], "8");
    struct pc_app *app = pc_apps_by_id(&f.fx.engine->apps, PC_S("app-id"));
    pc_directory_each(&f.fx.engine->directory, app->state, PC_S(""), count_visit, &visited);
    assert_int_equal(visited, 0);
    assert_int_equal(pc_directory_occupied(&f.fx.engine->directory), 0);
    assert_int_equal(f.fx.engine->workers[0].stats.subscriptions, 0);
    assert_int_equal(f.clients[0].session.subscription_count, 0);
    expect_news(&f, 0, "-8;+8;");
    fx_subscribe(&f.clients[2], "#user-8");
    expect_news(&f, 2, "!null;");
    /* users that have left and are not watched use no memory */
    for (size_t i = 0; i < CLIENTS; i++)
        fx_disconnect(&f.clients[i]);
    fx_settle(&f.fx);
    fx_pass(&f.fx, 4000);
    fx_settle(&f.fx);
    for (size_t i = 0; i < PC_SHARDS; i++)
        assert_int_equal(f.fx.engine->directory.shards[i].channels.count, 0);
    pc_app_unref(app);
    assert_int_equal(close_all(&f), 0);
}

/*
 * Three workers, clients that sign in, sign in again, leave and come back, time that passes: against a model that
 * knows no workers, and with everything that is heard held against what was heard before.
 */

#define PEOPLE   5
#define DELAY_MS 500
#define STEP_MS  100
#define STEPS    20000

enum known {
    UNKNOWN, /* not watched */
    OFFLINE,
    ONLINE
};

struct model_user {
    int present;
    bool online, leaving;
    uint64_t offline_at_ms, timer_ms;
};
struct model_client {
    bool connected;
    int user; /* -1 = not signed in */
    bool watches[PEOPLE];
    bool fresh; /* it has heard of its sign-in, and of no user yet */
    enum known known[PEOPLE];
};
struct model {
    struct model_user users[PEOPLE];
    struct model_client clients[CLIENTS];
    uint64_t now_ms;
};

static uint32_t roll(uint64_t *dice, uint32_t below)
{
    *dice = *dice * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)(*dice >> 33) % below;
}

static bool user_is_watched(const struct model *m, int user)
{
    for (size_t i = 0; i < CLIENTS; i++)
        if (m->clients[i].watches[user])
            return true;
    return false;
}

static void model_leave(struct model *m, size_t client)
{
    struct model_client *c = &m->clients[client];
    int user = c->user;
    *c = (struct model_client){.user = -1};
    if (user < 0 || --m->users[user].present > 0)
        return;
    struct model_user *u = &m->users[user];
    u->offline_at_ms = m->now_ms + DELAY_MS;
    if (!u->leaving && user_is_watched(m, user)) {
        u->leaving = true;
        u->timer_ms = u->offline_at_ms;
    }
    if (!u->leaving)
        u->online = false;
}

static void model_sign_in(struct model *m, size_t client, int user, const bool list[PEOPLE])
{
    struct model_client *c = &m->clients[client];
    if (c->user < 0) {
        c->user = user;
        m->users[user].present++;
        m->users[user].online = true;
    }
    memcpy(c->watches, list, sizeof c->watches);
}

static void model_pass(struct model *m)
{
    m->now_ms += STEP_MS;
    for (int i = 0; i < PEOPLE; i++) {
        struct model_user *u = &m->users[i];
        if (!u->leaving || u->timer_ms > m->now_ms)
            continue;
        u->leaving = u->present == 0 && u->online && u->offline_at_ms > m->now_ms;
        u->timer_ms = u->offline_at_ms;
        if (!u->leaving && u->present == 0)
            u->online = false;
    }
}

/* One frame: the state of everybody it watches, or a change of one. */
static void hear_frame(struct model_client *c, const char *frame)
{
    static const char id[] = "\\\"user_ids\\\":[";
    size_t people = 0;
    for (const char *at = strstr(frame, "\\\"name\\\":\\\""); at;
         at = strstr(at, "\\\"name\\\":\\\"")) {
        at += strlen("\\\"name\\\":\\\"");
        enum known now = strncmp(at, "online", 6) == 0 ? ONLINE : OFFLINE;
        for (at = strstr(at, id) + strlen(id); *at != ']'; at++) {
            if (*at < '0' || *at > '9')
                continue;
            int user = *at - '0';
            assert_in_range(user, 0, PEOPLE - 1);
            assert_true(c->fresh ? c->known[user] == UNKNOWN
                                 : c->known[user] == (now == ONLINE ? OFFLINE : ONLINE));
            c->known[user] = now;
            people++;
        }
    }
    assert_true(people > 0 && (c->fresh || people == 1));
    c->fresh = false;
}

static void hear(struct model_client *c, struct fx_client *client)
{
    char *rest = client->heard;
    for (char *end; rest && (end = strchr(rest, '\n')); rest = end + 1) {
        *end = '\0';
        assert_null(strstr(rest, "pusher:error"));
        if (strstr(rest, "signin_success")) {
            memset(c->known, 0, sizeof c->known);
            c->fresh = true;
        } else if (strstr(rest, "watchlist_events")) {
            hear_frame(c, rest);
        }
    }
    fx_forget(client);
}

static void compare(struct fixture *f, struct model *m)
{
    fx_settle(&f->fx);
    for (size_t i = 0; i < CLIENTS; i++) {
        struct model_client *c = &m->clients[i];
        if (!c->connected)
            continue;
        hear(c, &f->clients[i]);
        for (int u = 0; u < PEOPLE; u++)
            assert_int_equal(c->known[u], !c->watches[u]       ? UNKNOWN
                                          : m->users[u].online ? ONLINE
                                                               : OFFLINE);
    }
}

static void step(struct fixture *f, struct model *m, uint64_t *dice)
{
    size_t i = roll(dice, CLIENTS);
    struct model_client *c = &m->clients[i];
    if (roll(dice, 5) == 0) {
        fx_pass(&f->fx, STEP_MS);
        model_pass(m);
    } else if (!c->connected) {
        fx_connect(&f->fx, &f->clients[i], roll(dice, FX_WORKERS));
        c->connected = true;
    } else if (roll(dice, 3) == 0) {
        /* what it has read already must fit, too */
        hear(c, &f->clients[i]);
        fx_disconnect(&f->clients[i]);
        model_leave(m, i);
    } else {
        char ids[64] = "",
             id[2] = {(char)('0' + (c->user < 0 ? (int)roll(dice, PEOPLE) : c->user)), 0};
        bool list[PEOPLE];
        for (int u = 0; u < PEOPLE; u++) {
            list[u] = roll(dice, 2);
            if (list[u])
                sprintf(ids + strlen(ids), "%s\"%d\"", *ids ? "," : "", u);
        }
        watch(f, i, id, ids);
        model_sign_in(m, i, *id - '0', list);
    }
}

static void watchers_know_what_a_model_knows(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct fixture f;
        struct model m = {.now_ms = FX_START_MS};
        uint64_t dice = seed;
        bool at_once = seed % 2; /* else what was posted is still under way when more happens */
        pusherc_app_options app = fx_app();
        app.watchlist_events = true;
        app.offline_delay_ms = DELAY_MS;
        open_app(&f, &app);
        for (size_t i = 0; i < CLIENTS; i++)
            m.clients[i].user = -1;
        for (int n = 0; n < STEPS; n++) {
            step(&f, &m, &dice);
            if (at_once || roll(&dice, 7) == 0)
                compare(&f, &m);
            else if (roll(&dice, 2))
                fx_round(&f.fx, roll(&dice, FX_WORKERS));
        }
        compare(&f, &m);
        assert_int_equal(close_all(&f), 0);
    }
}

/* -- how many connections a user may have -- */

static size_t counted_users(struct fixture *f)
{
    struct pc_app *app = pc_apps_by_id(&f->fx.engine->apps, PC_S("app-id"));
    size_t n = app->state->per_user.by_key.count;
    pc_app_unref(app);
    return n;
}

static int connect_as(struct fixture *f, size_t i, const char *user_id)
{
    struct pc_identity *identity = pc_identity_new(&f->fx.mem, pc_slice_of(user_id), PC_S(""));
    return fx_try_connect_to(&f->fx, &f->clients[i], (uint32_t)i % FX_WORKERS, 7, "app-key",
                             identity);
}

static void a_user_has_so_many_connections_and_no_more(void **state)
{
    struct fixture *f = *state;
    pusherc_app_options app = fx_app();
    app.max_connections_per_user = 2;
    assert_int_equal(fx_try_put(&f->fx, &app), 0);
    for (uint32_t i = 0; i < 5; i++)
        fx_connect(&f->fx, &f->clients[i], i % FX_WORKERS);
    sign_in_as(&f->clients[0], "7");
    sign_in_as(&f->clients[1], "7");
    sign_in_as(&f->clients[1], "7"); /* again: still one */
    expect_closed(f, "--------");
    fx_heard(&f->clients[2]);
    sign_in_as(&f->clients[2], "7");
    assert_string_equal(
        fx_heard(&f->clients[2]),
        "{\"event\":\"pusher:error\",\"data\":{\"code\":null,\"message\":\"The user "
        "has too many connections: 7\"}}\n");
    /* it stays open without a user, and may sign in as another user */
    assert_null(f->clients[2].session.user);
    fx_subscribe(&f->clients[2], "#server-to-user-7");
    assert_non_null(strstr(fx_heard(&f->clients[2]), "\"status\\\":403"));
    sign_in_as(&f->clients[2], "8");
    assert_non_null(f->clients[2].session.user);

    /* connections with an identity of the user count as well; above the limit there is no session */
    assert_int_equal(connect_as(f, 5, "7"), PUSHERC_ELIMIT);
    assert_int_equal(connect_as(f, 5, "8"), 0);
    sign_in_as(&f->clients[3], "8");
    assert_null(f->clients[3].session.user);
    /* one that is the user's both ways is one */
    sign_in_as(&f->clients[5], "8");
    assert_non_null(f->clients[5].session.user);

    /* who goes makes room, and nothing is kept of who is gone */
    fx_disconnect(&f->clients[0]);
    sign_in_as(&f->clients[3], "7");
    assert_non_null(f->clients[3].session.user);
    assert_int_equal(counted_users(f), 2);
    for (size_t i = 0; i < CLIENTS; i++)
        fx_disconnect(&f->clients[i]);
    assert_int_equal(counted_users(f), 0);
}

/* A user whose sign-in is refused is not online, and watches no user. */
static void a_refused_sign_in_is_not_seen(void **state)
{
    struct fixture *f = *state;
    pusherc_app_options app = fx_app();
    app.max_connections_per_user = 1;
    app.watchlist_events = true;
    app.offline_delay_ms = PUSHERC_NO_DELAY;
    assert_int_equal(fx_try_put(&f->fx, &app), 0);
    for (uint32_t i = 0; i < 3; i++)
        fx_connect(&f->fx, &f->clients[i], i);
    watch(f, 0, "6", "\"7\"");
    sign_in_as(&f->clients[1], "7");
    watch(f, 2, "7", "\"6\"");
    expect_news(f, 2, "!null;");
    expect_news(f, 0, "-7;+7;");
    fx_wait(&f->fx);
    fx_disconnect(&f->clients[1]);
    expect_news(f, 0, "-7;");
    watch(f, 2, "7", "\"6\"");
    expect_news(f, 2, "+6;");
    expect_news(f, 0, "+7;");
}

/* After a change of settings only those are counted that came under a limit, and all give back what they took. */
static void a_limit_that_comes_later_counts_from_then_on(void **state)
{
    struct fixture *f = *state;
    pusherc_app_options app = fx_app();
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(connect_as(f, i, "7"), 0);
    app.max_connections_per_user = 1;
    assert_int_equal(fx_try_put(&f->fx, &app), 0);
    assert_int_equal(connect_as(f, 2, "7"), 0);
    assert_int_equal(connect_as(f, 3, "7"), PUSHERC_ELIMIT);
    for (size_t i = 0; i < 2; i++)
        fx_disconnect(&f->clients[i]);
    assert_int_equal(connect_as(f, 3, "7"), PUSHERC_ELIMIT);
    app.max_connections_per_user = 0;
    assert_int_equal(fx_try_put(&f->fx, &app), 0);
    assert_int_equal(connect_as(f, 3, "7"), 0);
    fx_disconnect(&f->clients[2]);
    assert_int_equal(counted_users(f), 0);
}

/* -- authorized connections -- */

static void allow(pusherc_auth_request *request, void *user_data)
{
    (void)user_data;
    pusherc_auth_allow(request, NULL);
}

/* 44, 45 */
static void clients_that_do_not_authenticate_are_closed_in_time(void **state)
{
    struct fixture f;
    pusherc_app_options app = fx_app();
    pusherc_rule rule = PUSHERC_RULE_INIT;
    (void)state;
    app.user_authentication = true;
    open_app(&f, &app);
    rule.pattern = "guarded.{name}";
    rule.kinds = PUSHERC_RULE_PUBLIC;
    rule.authorize = allow;
    assert_int_equal(pc_rules_add(&f.fx.engine->rules, &rule, NULL), 0);
    for (uint32_t i = 0; i < CLIENTS; i++)
        if (i == 3)
            fx_connect_as(&f.fx, &f.clients[i], i % FX_WORKERS, "7");
        else if (i == 7)
            fx_connect_as(&f.fx, &f.clients[i], i % FX_WORKERS, "");
        else
            fx_connect(&f.fx, &f.clients[i], i % FX_WORKERS);
    sign_in_as(&f.clients[0], "7");
    fx_join(&f.clients[1], "presence-room", "{\"user_id\":7}");
    fx_subscribe(&f.clients[2], "private-x");
    fx_unsubscribe(&f.clients[2], "private-x"); /* it has shown that it may */
    fx_subscribe(&f.clients[4], "guarded.x");
    /* none of these shows anything */
    fx_subscribe(&f.clients[5], "news");
    sign_in_as(&f.clients[6], "not an id");
    fx_say(&f.clients[6], "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"private-x\","
                          "\"auth\":\"app-key:wrong\"}}");
    fx_settle(&f.fx);
    fx_pass(&f.fx, 29900);
    expect_closed(&f, "--------");
    fx_pass(&f.fx, 132);
    expect_closed(&f, "-----xxx");
    assert_int_equal(f.clients[5].closed, 4009);
    assert_string_equal(f.clients[5].reason, "Connection not authorized within timeout");
    fx_pass(&f.fx, 60000);
    expect_closed(&f, "-----xxx");
    assert_int_equal(close_all(&f), 0);
}

static void the_time_for_it_can_be_set(void **state)
{
    struct fixture f;
    pusherc_app_options app = fx_app();
    (void)state;
    app.user_authentication = true;
    app.user_authentication_timeout_ms = 500;
    open_app(&f, &app);
    fx_connect(&f.fx, &f.clients[0], 0);
    fx_connect(&f.fx, &f.clients[1], 1);
    fx_pass(&f.fx, 400);
    sign_in_as(&f.clients[1], "7");
    expect_closed(&f, "--------");
    fx_pass(&f.fx, 132);
    expect_closed(&f, "x-------");
    fx_disconnect(&f.clients[1]);
    assert_int_equal(close_all(&f), 0);
}

/* One that cannot be timed must not stay. */
static void without_memory_an_unauthenticated_client_cannot_stay(void **state)
{
    pusherc_app_options app = fx_app();
    (void)state;
    app.user_authentication = true;
    bool done = false;
    for (size_t n = 1; !done; n++) {
        struct fixture f;
        open_app(&f, &app);
        f.fx.alloc.fail_at = f.fx.alloc.requests + n;
        int err = fx_try_connect(&f.fx, &f.clients[0], 0, 7);
        done = f.fx.alloc.fail_at > f.fx.alloc.requests;
        f.fx.alloc.fail_at = 0;
        fx_settle(&f.fx);
        assert_true(err == PUSHERC_ENOMEM || f.clients[0].over ||
                    f.clients[0].session.unauthorized);
        assert_true(done == (err == 0 && !f.clients[0].over));
        assert_int_equal(close_all(&f), 0);
    }
}

/* A watcher is told of a sign-in if and only if it succeeded. */
static void without_memory_a_sign_in_is_refused(void **state)
{
    (void)state;
    bool done = false;
    for (size_t n = 1; !done; n++) {
        struct fixture f;
        open_watching(&f, PUSHERC_NO_DELAY);
        watch(&f, 1, "8", "\"7\"");
        expect_news(&f, 1, "-7;");
        f.fx.alloc.fail_at = f.fx.alloc.requests + n;
        watch(&f, 0, "7", "\"8\",\"9\"");
        done = f.fx.alloc.fail_at > f.fx.alloc.requests;
        f.fx.alloc.fail_at = 0;
        bool user = f.clients[0].session.user != NULL;
        fx_settle(&f.fx);
        if (f.clients[0].over) {
            assert_int_equal(f.clients[0].closed, 1011);
            fx_wait(&f.fx);
            expect_news(&f, 1, user ? "+7;-7;" : "");
        } else if (user) {
            expect_news(&f, 0, "+8-9;");
            expect_news(&f, 1, "+7;");
        } else {
            expect_news(&f, 0, "!null;");
            expect_news(&f, 1, "");
        }
        assert_true(done == (user && !f.clients[0].over));
        assert_int_equal(close_all(&f), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        users_test(terminating_closes_only_connections_signed_in_as_the_user),
        users_test(a_terminated_user_may_come_again),
        users_test(the_path_without_an_app_is_that_of_the_key),
        users_test(ids_in_the_path_are_decoded_and_checked),
        users_test(members_are_closed_too_if_the_app_wants_it),
        users_test(the_host_closes_all_of_a_user),
        users_test(users_of_another_app_are_others),
        cmocka_unit_test(watchers_are_told_the_state_and_each_change),
        cmocka_unit_test(further_connections_say_nothing),
        cmocka_unit_test(a3_who_comes_and_goes_costs_watchers_what_time_allows),
        cmocka_unit_test(a_page_that_is_loaded_again_is_quiet),
        cmocka_unit_test(signing_in_again_replaces_the_list),
        cmocka_unit_test(the_first_hundred_are_kept),
        cmocka_unit_test(a_malformed_watchlist_is_an_error),
        users_test(without_the_switch_no_user_is_watched),
        cmocka_unit_test(watched_users_are_no_channels),
        cmocka_unit_test(watchers_know_what_a_model_knows),
        cmocka_unit_test(without_memory_a_sign_in_is_refused),
        users_test(a_user_has_so_many_connections_and_no_more),
        users_test(a_refused_sign_in_is_not_seen),
        users_test(a_limit_that_comes_later_counts_from_then_on),
        cmocka_unit_test(clients_that_do_not_authenticate_are_closed_in_time),
        cmocka_unit_test(the_time_for_it_can_be_set),
        cmocka_unit_test(without_memory_an_unauthenticated_client_cannot_stay),
    };
    return cmocka_run_group_tests_name("users", tests, NULL, NULL);
}
