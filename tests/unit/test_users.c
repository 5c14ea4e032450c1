/* Users: whose connections there are, and what is done to all of a user's at once. */
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
    struct pc_limits limits = fx_limits();
    limits.max_auth_skew_s = 600;
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
    pusherc_slice id, key;
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
    assert_int_equal(pc_api_handle(&request, &reply, &id, &key), PC_API_REPLY);
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
static void terminating_closes_who_signed_in_and_nobody_else(void **state)
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
        .app_uid = app->live->uid, .user_id = PC_S("7"), .code = 4321, .reason = PC_S("Good bye")};
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
    struct pc_disconnect which = {.app_uid = app->live->uid, .user_id = PC_S("7"), .code = 4000};
    assert_int_equal(pc_disconnect(f->fx.engine, &which), 0);
    expect_closed(f, "-----x--");
    pc_app_unref(app);
}

static void without_memory_a_sign_in_is_refused(void **state)
{
    (void)state;
    struct pc_limits limits = fx_limits();
    pusherc_app_options options = fx_app();
    bool done = false;
    for (size_t n = 1; !done; n++) {
        struct fixture f = {.clients = {{.over = true}}};
        assert_int_equal(fx_try_open(&f.fx, &limits, NULL, FX_WORKERS, 0), 0);
        assert_int_equal(fx_try_put(&f.fx, &options), 0);
        fx_connect(&f.fx, &f.clients[0], 0);
        fx_settle(&f.fx);
        f.fx.alloc.fail_at = f.fx.alloc.requests + n;
        sign_in_as(&f.clients[0], "7");
        done = f.fx.alloc.fail_at > f.fx.alloc.requests;
        f.fx.alloc.fail_at = 0;
        const char *heard = fx_heard(&f.clients[0]);
        bool in = strstr(heard, "signin_success") != NULL;
        if (!f.clients[0].over)
            assert_true(in == (f.clients[0].session.user != NULL));
        assert_true(in == done);
        assert_int_equal(f.fx.engine->workers[0].users.count, f.clients[0].session.user ? 1 : 0);
        assert_int_equal(close_all(&f), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        users_test(terminating_closes_who_signed_in_and_nobody_else),
        users_test(a_terminated_user_may_come_again),
        users_test(the_path_without_an_app_is_that_of_the_key),
        users_test(ids_in_the_path_are_decoded_and_checked),
        users_test(members_are_closed_too_if_the_app_wants_it),
        users_test(the_host_closes_all_of_a_user),
        users_test(users_of_another_app_are_others),
        cmocka_unit_test(without_memory_a_sign_in_is_refused),
    };
    return cmocka_run_group_tests_name("users", tests, NULL, NULL);
}
