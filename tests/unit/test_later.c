/*
 * Connections that wait for an answer which comes later, from any thread, or never: an API request for its app, a
 * WebSocket for its permit and for the host's word, a page. And what else runs on a loop and ends before it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pusherc/pusherc.h>

#include "fanout/pending.h"
#include "server/server.h"
#include "unit/failing_alloc.h"

#define UPGRADE                                                                                    \
    "GET /app/app-key?protocol=7 HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n"                   \
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"                                          \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define SWITCHED "HTTP/1.1 101 Switching Protocols\r\n"

/* A server in the test's thread, one client, and what its host was asked. */
struct fixture {
    struct failing_alloc alloc;
    pusherc_allocator allocator;
    pusherc_hooks hooks;
    pusherc_server *server;
    int client; /* -1 = has left */
    char heard[8192];
    size_t heard_len;
    pusherc_app_request *app;
    pusherc_identify_request *identify;
    pusherc_http_request *page;
    struct pc_permit *permit;
    unsigned opened;
    uint16_t denied; /* status the host was told of */
    bool permit_at_once;
};

static void find_app(pusherc_app_request *request, void *user_data)
{
    ((struct fixture *)user_data)->app = request;
}

static void identify(pusherc_identify_request *request, void *user_data)
{
    ((struct fixture *)user_data)->identify = request;
}

static void on_http(pusherc_http_request *request, void *user_data)
{
    ((struct fixture *)user_data)->page = request;
}

static void on_open(const pusherc_conn *conn, void *user_data)
{
    (void)conn;
    ((struct fixture *)user_data)->opened++;
}

static void on_denied(const pusherc_denial *denial, void *user_data)
{
    ((struct fixture *)user_data)->denied = (uint16_t)denial->status;
}

static int ask_for_permit(void *ctx, struct pc_worker *worker, struct pc_app *app,
                          pusherc_slice address, struct pc_await *await)
{
    struct fixture *f = ctx;
    (void)address;
    assert_true(pc_slice_eq(app->id, PC_S("app-id")));
    if (f->permit_at_once)
        return 0;
    f->permit = pc_alloc_zero(worker->mem, sizeof *f->permit);
    if (!f->permit)
        return PUSHERC_ENOMEM;
    pc_pending_begin(&f->permit->pending, worker, await, NULL);
    return 1;
}

enum {
    FIND_APP = 1,
    IDENTIFY = 2,
    ON_HTTP = 4,
    PERMITS = 8,
    HURRY = 16 /* waits are short */
};

/* False: memory ran out. */
static bool start(struct fixture *f, unsigned what, size_t fail_at)
{
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    pusherc_hooks hooks = PUSHERC_HOOKS_INIT;
    memset(f, 0, sizeof *f);
    f->client = -1;
    f->allocator = failing_alloc_init(&f->alloc, 0);
    f->hooks = hooks;
    f->hooks.user_data = f;
    f->hooks.find_app = what & FIND_APP ? find_app : NULL;
    f->hooks.identify = what & IDENTIFY ? identify : NULL;
    f->hooks.on_http = what & ON_HTTP ? on_http : NULL;
    f->hooks.on_open = on_open;
    f->hooks.on_denied = on_denied;
    o.allocator = &f->allocator;
    o.hooks = &f->hooks;
    o.worker_count = PUSHERC_WORKERS_NONE;
    o.identify_timeout_ms = what & HURRY ? 20 : 60000;
    o.close_timeout_ms = 100;
    app.id = "app-id";
    app.key = "app-key";
    app.secret = "app-secret";
    assert_int_equal(pusherc_server_new(&f->server, &o, NULL), 0);
    assert_int_equal(pusherc_server_put_app(f->server, &app, NULL), 0);
    if (what & PERMITS)
        f->server->engine.permits = (struct pc_permits){ask_for_permit, f};
    assert_int_equal(pusherc_server_start(f->server, NULL), 0);
    f->alloc.fail_at = fail_at ? f->alloc.requests + fail_at : 0;

    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    f->client = ends[1];
    if (pusherc_server_adopt(f->server, ends[0], PC_S("")) == 0)
        return true;
    close(ends[0]);
    return false;
}

static void leave(struct fixture *f)
{
    if (f->client >= 0)
        close(f->client);
    f->client = -1;
}

static void stop(struct fixture *f)
{
    leave(f);
    f->alloc.fail_at = 0;
    pusherc_server_free(f->server);
    f->server = NULL;
}

/* The server's turns, until nothing more happens or, if there is a `text`, the client has heard it. */
static void turns(struct fixture *f, const char *text)
{
    for (int quiet = 0; quiet < (text ? 5000 : 20); quiet++) {
        assert_int_equal(pusherc_server_poll(f->server, 1), 1);
        if (f->client < 0)
            continue;
        ssize_t n = recv(f->client, f->heard + f->heard_len, sizeof f->heard - f->heard_len - 1, 0);
        if (n > 0) {
            f->heard_len += (size_t)n;
            quiet = 0;
        }
        for (size_t i = 0; text && i + strlen(text) <= f->heard_len; i++)
            if (memcmp(f->heard + i, text, strlen(text)) == 0)
                return;
    }
    if (text)
        fail_msg("not heard: %s", text);
}

static void say(struct fixture *f, const char *text)
{
    assert_int_equal(send(f->client, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    turns(f, NULL);
}

static void forget(struct fixture *f)
{
    memset(f->heard, 0, sizeof f->heard);
    f->heard_len = 0;
}

static uint32_t connections(struct fixture *f)
{
    struct pc_app *app = pc_apps_by_id(&f->server->engine.apps, PC_S("app-id"));
    uint32_t count = atomic_load(&app->state->connections);
    pc_app_unref(app);
    return count;
}

/* Connections, addresses and apps that have questions which the host has not answered. */
static size_t asking(struct fixture *f)
{
    return f->server->engine.workers[0].quotas.by_party.count;
}

static void *answer_app(void *request)
{
    assert_int_equal(pusherc_app_answer(request, NULL), 0);
    return NULL;
}

/* Answers come from threads of the host's. */
static void on_another_thread(void *(*run)(void *), void *arg)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run, arg), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

#define ASKS_FOR_APP "GET /apps/nobody/channels HTTP/1.1\r\nHost: h\r\n\r\n"

static void an_api_request_waits_for_its_app_and_the_next_one_for_it(void **state)
{
    struct fixture f;
    (void)state;
    assert_true(start(&f, FIND_APP, 0));
    say(&f, ASKS_FOR_APP "GET /up HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_non_null(f.app);
    assert_int_equal(f.heard_len, 0);
    say(&f, "GET /ready HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(f.heard_len, 0);
    on_another_thread(answer_app, f.app);
    turns(&f, "\r\n\r\nOK");
    const char *missing = strstr(f.heard, "HTTP/1.1 404");
    const char *up = strstr(f.heard, "{\"health\":\"OK\"}");
    assert_non_null(missing);
    assert_true(up > missing);
    assert_true(strstr(f.heard, "\r\n\r\nOK") > up);
    stop(&f);
    assert_int_equal(failing_alloc_live(&f.alloc), 0);
}

static void a_client_that_has_left_or_waited_too_long_gets_no_answer(void **state)
{
    struct fixture f;
    (void)state;
    assert_true(start(&f, FIND_APP, 0));
    say(&f, "GET /app/other?protocol=7 HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    leave(&f);
    turns(&f, NULL);
    assert_int_equal(pusherc_app_answer(f.app, NULL), PUSHERC_ECANCELED);
    stop(&f);
    assert_int_equal(failing_alloc_live(&f.alloc), 0);

    assert_true(start(&f, FIND_APP | HURRY, 0));
    say(&f, ASKS_FOR_APP);
    turns(&f, "HTTP/1.1 503");
    assert_non_null(strstr(f.heard, "Connection: close"));
    assert_int_equal(pusherc_app_answer(f.app, NULL), PUSHERC_ECANCELED);
    stop(&f);
    assert_int_equal(failing_alloc_live(&f.alloc), 0);
}

/* The server is gone before the host answers. */
static void questions_outlive_the_server(void **state)
{
    struct fixture f;
    (void)state;
    assert_true(start(&f, FIND_APP | IDENTIFY, 0));
    say(&f, ASKS_FOR_APP);
    stop(&f);
    assert_int_equal(pusherc_app_answer(f.app, NULL), PUSHERC_ECANCELED);
    assert_int_equal(failing_alloc_live(&f.alloc), 0);

    assert_true(start(&f, IDENTIFY, 0));
    say(&f, UPGRADE "X-Name: Zoe\r\n\r\n");
    stop(&f);
    assert_true(pc_slice_eq(pusherc_identify_header(f.identify, "X-Name"), PC_S("Zoe")));
    assert_int_equal(pusherc_identify_accept(f.identify, NULL), PUSHERC_ECANCELED);
    assert_int_equal(failing_alloc_live(&f.alloc), 0);
}

static void what_the_host_reads_of_a_request_stays_when_its_client_does_not(void **state)
{
    struct fixture f;
    (void)state;
    assert_true(start(&f, IDENTIFY, 0));
    say(&f, UPGRADE "X-Name: Zoe\r\n\r\n");
    leave(&f);
    turns(&f, NULL);
    assert_int_equal(connections(&f), 0);
    assert_int_equal(asking(&f), 1); /* A4: it counts until the host has answered */
    assert_true(pc_slice_eq(pusherc_identify_header(f.identify, "X-Name"), PC_S("Zoe")));
    assert_int_equal(pusherc_identify_accept(f.identify, NULL), PUSHERC_ECANCELED);
    turns(&f, NULL);
    assert_int_equal(asking(&f), 0);
    stop(&f);
    assert_int_equal(failing_alloc_live(&f.alloc), 0);

    assert_true(start(&f, IDENTIFY | HURRY, 0));
    say(&f, UPGRADE "X-Name: Zoe\r\n\r\n");
    turns(&f, "did not answer in time");
    assert_int_equal(f.denied, 4009);
    assert_true(pc_slice_eq(pusherc_identify_header(f.identify, "X-Name"), PC_S("Zoe")));
    assert_int_equal(pusherc_identify_accept(f.identify, NULL), PUSHERC_ECANCELED);
    assert_int_equal(connections(&f), 0);
    stop(&f);
    assert_int_equal(failing_alloc_live(&f.alloc), 0);

    assert_true(start(&f, ON_HTTP, 0));
    say(&f, "POST /page HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
    leave(&f);
    turns(&f, NULL);
    assert_true(pc_slice_eq(pusherc_http_body(f.page), PC_S("hello")));
    assert_int_equal(asking(&f), 1);
    pusherc_http_respond(f.page, 200, NULL, 0, PC_S("late"));
    turns(&f, NULL);
    assert_int_equal(asking(&f), 0);
    stop(&f);
    assert_int_equal(failing_alloc_live(&f.alloc), 0);
}

static void a_connection_reads_on_after_a_page(void **state)
{
    struct fixture f;
    (void)state;
    assert_true(start(&f, ON_HTTP, 0));
    for (int i = 0; i < 3; i++) {
        forget(&f);
        say(&f, "POST /page HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
        assert_true(pc_slice_eq(pusherc_http_body(f.page), PC_S("hello")));
        assert_int_equal(pusherc_http_respond(f.page, 200, NULL, 0, PC_S("bye")), 0);
        turns(&f, "\r\n\r\nbye");
    }
    stop(&f);
    assert_int_equal(failing_alloc_live(&f.alloc), 0);
}

/* -- permits -- */

static void *grant(void *permit)
{
    assert_int_equal(pc_pending_answer(&((struct pc_permit *)permit)->pending), 0);
    return NULL;
}

static void a_client_is_admitted_when_its_permit_comes(void **state)
{
    struct fixture f;
    (void)state;
    assert_true(start(&f, PERMITS | IDENTIFY, 0));
    say(&f, UPGRADE "\r\n");
    assert_non_null(f.permit);
    assert_null(f.identify); /* the host is asked after that */
    assert_int_equal(f.heard_len, 0);
    assert_int_equal(connections(&f), 1);
    on_another_thread(grant, f.permit);
    turns(&f, NULL);
    assert_int_equal(f.heard_len, 0);
    assert_int_equal(pusherc_identify_accept(f.identify, NULL), 0);
    turns(&f, "connection_established");
    assert_memory_equal(f.heard, SWITCHED, strlen(SWITCHED));
    assert_int_equal(f.opened, 1);
    stop(&f);
    assert_int_equal(failing_alloc_live(&f.alloc), 0);

    assert_true(start(&f, PERMITS, 0));
    f.permit_at_once = true;
    say(&f, UPGRADE "\r\n");
    turns(&f, "connection_established");
    stop(&f);
    assert_int_equal(failing_alloc_live(&f.alloc), 0);
}

static void a_permit_may_be_refused_or_late_or_never_come(void **state)
{
    struct fixture f;
    (void)state;
    assert_true(start(&f, PERMITS, 0));
    say(&f, UPGRADE "\r\n");
    f.permit->code = 4004;
    f.permit->reason = "Too many everywhere";
    assert_int_equal(pc_pending_answer(&f.permit->pending), 0);
    turns(&f, "Too many everywhere");
    assert_non_null(strstr(f.heard, "4004"));
    assert_int_equal(connections(&f), 0);
    stop(&f);
    assert_int_equal(failing_alloc_live(&f.alloc), 0);

    assert_true(start(&f, PERMITS | HURRY, 0));
    say(&f, UPGRADE "\r\n");
    turns(&f, "4100");
    assert_int_equal(connections(&f), 0);
    assert_int_equal(pc_pending_answer(&f.permit->pending), PUSHERC_ECANCELED);
    stop(&f);
    assert_int_equal(failing_alloc_live(&f.alloc), 0);

    assert_true(start(&f, PERMITS, 0));
    say(&f, UPGRADE "\r\n");
    leave(&f);
    turns(&f, NULL);
    assert_int_equal(connections(&f), 0);
    assert_int_equal(pc_pending_answer(&f.permit->pending), PUSHERC_ECANCELED);
    assert_int_equal(f.opened, 0);
    stop(&f);
    assert_int_equal(failing_alloc_live(&f.alloc), 0);
}

/* Each request for memory in turn fails, from accepting to the session: nothing is lost, and nothing counted. */
static void without_memory_a_client_is_turned_away_wherever_it_stands(void **state)
{
    bool failed = true;
    (void)state;
    for (size_t n = 1; failed; n++) {
        struct fixture f;
        assert_true(n < 200);
        if (start(&f, FIND_APP | PERMITS | IDENTIFY, n)) {
            send(f.client, UPGRADE "\r\n", strlen(UPGRADE "\r\n"), MSG_NOSIGNAL);
            turns(&f, NULL);
            if (f.permit)
                pc_pending_answer(&f.permit->pending);
            turns(&f, NULL);
            if (f.identify)
                pusherc_identify_accept(f.identify, NULL);
            turns(&f, NULL);
            leave(&f);
            turns(&f, NULL);
            assert_int_equal(connections(&f), 0);
            assert_int_equal(asking(&f), 0);
        }
        failed = failing_alloc_hit(&f.alloc);
        assert_true(failed || f.opened == 1);
        stop(&f);
        assert_int_equal(failing_alloc_live(&f.alloc), 0);
    }
}

static void without_memory_an_api_request_that_waits_is_answered_or_cut_off(void **state)
{
    bool failed = true;
    (void)state;
    for (size_t n = 1; failed; n++) {
        struct fixture f;
        assert_true(n < 200);
        if (start(&f, FIND_APP, n)) {
            send(f.client, ASKS_FOR_APP, strlen(ASKS_FOR_APP), MSG_NOSIGNAL);
            turns(&f, NULL);
            if (f.app)
                pusherc_app_answer(f.app, NULL);
            turns(&f, NULL);
        }
        failed = failing_alloc_hit(&f.alloc);
        assert_true(failed || strstr(f.heard, "HTTP/1.1 404"));
        stop(&f);
        assert_int_equal(failing_alloc_live(&f.alloc), 0);
    }
}

/* -- companions of a loop -- */

struct other {
    struct pc_companion companion;
    struct fixture *f;
    uint64_t grace_ms; /* told */
    unsigned stops, asked;
    bool done, over;
    struct other *later; /* must have ended before this one is asked */
};

static void other_stop(struct pc_companion *companion, uint64_t grace_ms)
{
    struct other *o = PC_CONTAINER(companion, struct other, companion);
    o->stops++;
    o->grace_ms = grace_ms;
}

static bool other_ended(struct pc_companion *companion)
{
    struct other *o = PC_CONTAINER(companion, struct other, companion);
    assert_false(o->over); /* it is not asked again */
    assert_true(!o->later || o->later->over);
    o->asked++;
    o->over = o->done;
    return o->over;
}

static void a_loop_ends_after_its_companions_the_latest_of_them_first(void **state)
{
    struct fixture f;
    struct other first = {.companion = {.stop = other_stop, .ended = other_ended}};
    struct other last = {.companion = {.ended = other_ended}};
    (void)state;
    assert_true(start(&f, 0, 0));
    first.later = &last;
    pc_loop_join(&f.server->loops[0], &first.companion);
    pc_loop_join(&f.server->loops[0], &last.companion);
    turns(&f, NULL);
    assert_int_equal(first.asked + last.asked, 0);
    assert_int_equal(pusherc_server_stop(f.server, 7, NULL, NULL), 0);
    leave(&f);
    turns(&f, NULL);
    assert_int_equal(first.stops, 1);
    assert_int_equal(first.grace_ms, 7);
    assert_true(last.asked > 1);
    assert_int_equal(first.asked, 0);
    last.done = true;
    turns(&f, NULL);
    assert_true(last.over && first.asked > 1);
    assert_int_equal(pusherc_server_stop(f.server, 0, NULL, NULL), PUSHERC_ESTATE);
    turns(&f, NULL);
    assert_int_equal(first.stops, 2);
    assert_int_equal(first.grace_ms, 0);
    first.done = true;
    for (int i = 0; i < 100 && pusherc_server_poll(f.server, 1) == 1; i++)
        continue;
    assert_true(first.over);
    assert_int_equal(pusherc_server_poll(f.server, 1), 0);
    stop(&f);
    assert_int_equal(failing_alloc_live(&f.alloc), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_api_request_waits_for_its_app_and_the_next_one_for_it),
        cmocka_unit_test(a_client_that_has_left_or_waited_too_long_gets_no_answer),
        cmocka_unit_test(questions_outlive_the_server),
        cmocka_unit_test(what_the_host_reads_of_a_request_stays_when_its_client_does_not),
        cmocka_unit_test(a_connection_reads_on_after_a_page),
        cmocka_unit_test(a_client_is_admitted_when_its_permit_comes),
        cmocka_unit_test(a_permit_may_be_refused_or_late_or_never_come),
        cmocka_unit_test(without_memory_a_client_is_turned_away_wherever_it_stands),
        cmocka_unit_test(without_memory_an_api_request_that_waits_is_answered_or_cut_off),
        cmocka_unit_test(a_loop_ends_after_its_companions_the_latest_of_them_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
