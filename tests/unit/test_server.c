/* A server's life: every order of making, starting, stopping and freeing, in each mode, and without memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include <pusherc/pusherc.h>

#include "server/server.h"
#include "session/session.h"
#include "unit/certificate.h"
#include "unit/failing_alloc.h"
#include "unit/ws_client.h"

enum mode {
    THREADS,
    ATTACHED,
    POLLED
};

/* One server of one mode, and what is needed to run it. */
struct life {
    enum mode mode;
    uv_loop_t loop;
    struct failing_alloc alloc;
    pusherc_allocator allocator;
    pusherc_server *server;
    _Atomic int stopped; /* calls */
};

static void on_stopped(pusherc_server *server, void *user_data)
{
    struct life *life = user_data;
    assert_ptr_equal(server, life->server);
    life->stopped++;
}

static int make_with_hooks(struct life *life, enum mode mode, size_t fail_at,
                           const pusherc_hooks *hooks)
{
    memset(life, 0, sizeof *life);
    life->mode = mode;
    life->allocator = failing_alloc_init(&life->alloc, fail_at);
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    o.allocator = &life->allocator;
    o.hooks = hooks;
    o.close_timeout_ms = 200;
    if (mode == ATTACHED) {
        assert_int_equal(uv_loop_init(&life->loop), 0);
        o.loop = &life->loop;
    } else {
        o.worker_count = mode == POLLED ? PUSHERC_WORKERS_NONE : 2;
    }
    return pusherc_server_new(&life->server, &o, NULL);
}

static int make(struct life *life, enum mode mode, size_t fail_at)
{
    return make_with_hooks(life, mode, fail_at, NULL);
}

static int put_app(struct life *life, const pusherc_webhook *hook)
{
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    app.id = "app-id";
    app.key = "app-key";
    app.secret = "app-secret";
    app.webhooks = hook;
    app.webhook_count = hook != NULL;
    return pusherc_server_put_app(life->server, &app, NULL);
}

static int furnish(struct life *life)
{
    int err = put_app(life, NULL);
    return err ? err : pusherc_server_listen(life->server, NULL, NULL);
}

/* Until the stop has ended. */
static void run_to_the_end(struct life *life)
{
    if (life->mode == ATTACHED)
        uv_run(&life->loop, UV_RUN_DEFAULT);
    while (life->mode == POLLED && pusherc_server_poll(life->server, 20) == 1)
        continue;
    while (life->mode == THREADS && !life->stopped)
        usleep(1000);
}

static void leave(struct life *life)
{
    pusherc_server_free(life->server);
    if (life->mode == ATTACHED) {
        uv_run(&life->loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&life->loop),
                         0); /* no handle of the library is left in the host's loop */
    }
    assert_int_equal(failing_alloc_live(&life->alloc), 0);
}

/* Runs the server a little, for what it has to do by itself. */
static void turn(struct life *life)
{
    if (life->mode == ATTACHED)
        uv_run(&life->loop, UV_RUN_NOWAIT);
    else if (life->mode == POLLED)
        assert_int_equal(pusherc_server_poll(life->server, 5), 1);
    else
        usleep(2000);
}

static int dial(const struct life *life)
{
    return ws_client_dial(pusherc_server_port(life->server, 0));
}

/* The same for a server that may have stopped meanwhile. */
static void turn_if_it_runs(struct life *life)
{
    if (life->mode == POLLED)
        (void)pusherc_server_poll(life->server, 5);
    else
        turn(life);
}

/* A client that is established, in the middle of nothing. */
static int establish(struct life *life)
{
    char answer[1024];
    int fd = dial(life);
    ws_client_send(fd, ws_client_upgrade);
    for (ssize_t n = 0; n <= 0; turn(life)) {
        n = recv(fd, answer, sizeof answer - 1, MSG_DONTWAIT);
        assert_int_not_equal(n, 0);
    }
    return fd;
}

static uint64_t count_of(struct life *life, const char *channel)
{
    pusherc_channel_info info = {.struct_size = sizeof info};
    assert_int_equal(pusherc_get_channel(life->server, "app-id", pusherc_slice_of(channel), &info),
                     0);
    return info.subscription_count;
}

static void each_mode(void (*test)(struct life *life))
{
    for (int mode = THREADS; mode <= POLLED; mode++) {
        struct life life;
        assert_int_equal(make(&life, (enum mode)mode, 0), 0);
        test(&life);
        leave(&life);
    }
}

/* -- orders -- */

static void nothing(struct life *life)
{
    assert_int_equal(pusherc_server_poll(life->server, 0), PUSHERC_ESTATE);
}

static void listens_only(struct life *life)
{
    assert_int_equal(furnish(life), 0);
    assert_int_not_equal(pusherc_server_port(life->server, 0), 0);
    assert_int_equal(pusherc_server_port(life->server, 1), 0);
}

static void stops_before_it_starts(struct life *life)
{
    assert_int_equal(furnish(life), 0);
    assert_int_equal(pusherc_server_stop(life->server, 100, on_stopped, life), 0);
    assert_int_equal(life->stopped, 1);
    assert_int_equal(pusherc_server_stop(life->server, 0, on_stopped, life), PUSHERC_ESTATE);
    assert_int_equal(pusherc_server_start(life->server, NULL), PUSHERC_ESTATE);
    assert_int_equal(life->stopped, 1);
}

static void starts_and_stops(struct life *life)
{
    assert_int_equal(furnish(life), 0);
    assert_int_equal(pusherc_server_start(life->server, NULL), 0);
    assert_int_equal(pusherc_server_start(life->server, NULL), PUSHERC_ESTATE);
    assert_int_equal(pusherc_server_listen(life->server, NULL, NULL), PUSHERC_ESTATE);
    assert_int_equal(pusherc_server_stop(life->server, 0, on_stopped, life), 0);
    run_to_the_end(life);
    assert_int_equal(life->stopped, 1);
    assert_int_equal(pusherc_server_stop(life->server, 0, on_stopped, life), PUSHERC_ESTATE);
    assert_int_equal(life->stopped, 1);
}

static void stops_with_clients(struct life *life)
{
    assert_int_equal(furnish(life), 0);
    assert_int_equal(pusherc_server_start(life->server, NULL), 0);
    int fds[] = {establish(life), establish(life), dial(life)};
    turn(life);
    assert_int_equal(pusherc_server_stop(life->server, 60000, on_stopped, life), 0);
    /* the shorter grace counts, although the stop has begun */
    assert_int_equal(pusherc_server_stop(life->server, 10, NULL, NULL), PUSHERC_ESTATE);
    run_to_the_end(life);
    assert_int_equal(life->stopped, 1);
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        close(fds[i]);
}

static void every_order_leaves_nothing(void **state)
{
    (void)state;
    static void (*const tests[])(struct life *) = {nothing, listens_only, stops_before_it_starts,
                                                   starts_and_stops, stops_with_clients};
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        each_mode(tests[i]);
    pusherc_server_free(NULL);
}

static void freeing_stops_a_running_server(void **state)
{
    (void)state;
    static const enum mode modes[] = {THREADS, POLLED};
    for (size_t i = 0; i < 2; i++) {
        struct life life;
        assert_int_equal(make(&life, modes[i], 0), 0);
        assert_int_equal(furnish(&life), 0);
        assert_int_equal(pusherc_server_start(life.server, NULL), 0);
        int fd = establish(&life);
        leave(&life);
        close(fd);
    }
}

static void free_in_stopped(pusherc_server *server, void *user_data)
{
    struct life *life = user_data;
    pusherc_server_free(server);
    life->server = NULL;
}

static void stopped_may_free_an_attached_server(void **state)
{
    (void)state;
    struct life life;
    assert_int_equal(make(&life, ATTACHED, 0), 0);
    assert_int_equal(furnish(&life), 0);
    assert_int_equal(pusherc_server_start(life.server, NULL), 0);
    int fd = establish(&life);
    assert_int_equal(pusherc_server_stop(life.server, 0, free_in_stopped, &life), 0);
    uv_run(&life.loop, UV_RUN_DEFAULT);
    assert_null(life.server);
    leave(&life);
    close(fd);
}

static void many_lives_in_a_row(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++)
        each_mode(starts_and_stops);
}

static void servers_know_nothing_of_each_other(void **state)
{
    (void)state;
    struct life a, b;
    pusherc_channel_info info = {.struct_size = sizeof info};
    assert_int_equal(make(&a, THREADS, 0), 0);
    assert_int_equal(make(&b, THREADS, 0), 0);
    assert_int_equal(furnish(&a), 0);
    assert_int_equal(pusherc_server_listen(b.server, NULL, NULL), 0);
    assert_int_equal(pusherc_server_start(a.server, NULL), 0);
    assert_int_equal(pusherc_server_start(b.server, NULL), 0);
    pusherc_slice channel = PUSHERC_LIT("orders");
    assert_int_equal(pusherc_get_channel(a.server, "app-id", channel, &info), 0);
    assert_int_equal(pusherc_get_channel(b.server, "app-id", channel, &info), PUSHERC_ENOENT);
    int fd = establish(&a);
    leave(&b);
    pusherc_stats stats = PUSHERC_STATS_INIT;
    assert_int_equal(pusherc_server_stats(a.server, &stats), 0);
    assert_int_equal(stats.connections, 1);
    leave(&a);
    close(fd);
}

static void two_servers_share_a_hosts_loop(void **state)
{
    (void)state;
    struct life a;
    pusherc_server *b;
    assert_int_equal(make(&a, ATTACHED, 0), 0);
    assert_int_equal(furnish(&a), 0);
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    o.loop = &a.loop;
    assert_int_equal(pusherc_server_new(&b, &o, NULL), 0);
    assert_int_equal(pusherc_server_listen(b, NULL, NULL), 0);
    assert_int_equal(pusherc_server_start(a.server, NULL), 0);
    assert_int_equal(pusherc_server_start(b, NULL), 0);
    int fd = establish(&a);
    assert_int_equal(pusherc_server_stop(b, 0, NULL, NULL), 0);
    for (int i = 0; i < 20; i++)
        uv_run(&a.loop, UV_RUN_NOWAIT);
    pusherc_server_free(b);
    int other = establish(&a); /* it goes on */
    assert_int_equal(pusherc_server_stop(a.server, 0, on_stopped, &a), 0);
    run_to_the_end(&a);
    leave(&a);
    close(fd);
    close(other);
}

static void a_port_in_use_is_said_so(void **state)
{
    (void)state;
    struct life a, b;
    pusherc_errinfo info = {0};
    pusherc_listen_options o = PUSHERC_LISTEN_OPTIONS_INIT;
    assert_int_equal(make(&a, THREADS, 0), 0);
    assert_int_equal(furnish(&a), 0);
    assert_int_equal(pusherc_server_start(a.server, NULL), 0);
    assert_int_equal(make(&b, THREADS, 0), 0); /* two workers: SO_REUSEPORT must not hide it */
    o.port = pusherc_server_port(a.server, 0);
    assert_int_equal(pusherc_server_listen(b.server, &o, &info), PUSHERC_EIO);
    assert_non_null(strstr(info.text, "address in use"));
    leave(&b);
    leave(&a);
}

/* -- what is said at the start -- */

static void count_warnings(const pusherc_log_entry *entry, void *user_data)
{
    *(int *)user_data += entry->level == PUSHERC_LOG_WARN && strcmp(entry->subject, "auth") == 0;
}

static void identify_as_anonymous(pusherc_identify_request *request, void *user_data)
{
    (void)user_data;
    assert_int_equal(pusherc_identify_accept(request, NULL), 0);
}

static void allow(pusherc_auth_request *request, void *user_data)
{
    (void)user_data;
    assert_int_equal(pusherc_auth_allow(request, NULL), 0);
}

static int warnings_of(uint32_t kinds, bool identify, const char *const *origins)
{
    int warnings = 0;
    pusherc_hooks hooks = PUSHERC_HOOKS_INIT;
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    pusherc_rule rule = PUSHERC_RULE_INIT;
    pusherc_server *server;
    hooks.identify = identify ? identify_as_anonymous : NULL;
    o.hooks = &hooks;
    o.log_fn = count_warnings;
    o.log_user_data = &warnings;
    app.id = app.key = app.secret = "a";
    app.allowed_origins = origins;
    rule.pattern = "organization.{id}";
    rule.kinds = kinds;
    rule.authorize = allow;
    assert_int_equal(pusherc_server_new(&server, &o, NULL), 0);
    assert_int_equal(pusherc_server_put_app(server, &app, NULL), 0);
    assert_int_equal(pusherc_server_add_rule(server, &rule, NULL), 0);
    assert_int_equal(pusherc_server_start(server, NULL), 0);
    pusherc_server_free(server);
    return warnings;
}

static void guarded_public_names_and_open_origins_are_warned_of(void **state)
{
    (void)state;
    static const char *const own[] = {"example.org", NULL}, *const any[] = {"*", NULL};
    assert_int_equal(warnings_of(PUSHERC_RULE_PUBLIC, true, NULL), 1);
    assert_int_equal(warnings_of(PUSHERC_RULE_PUBLIC, true, any), 1);
    assert_int_equal(warnings_of(PUSHERC_RULE_PUBLIC, true, own), 0);
    assert_int_equal(warnings_of(PUSHERC_RULE_PUBLIC, false, NULL), 0);
    assert_int_equal(warnings_of(PUSHERC_RULE_PRIVATE, true, NULL), 0);
}

/* -- slow readers -- */

#define PAGE_BYTES (24u << 20) /* more than the kernel keeps of a connection */

static void big_page(pusherc_http_request *request, void *user_data)
{
    char *page = user_data;
    assert_int_equal(pusherc_http_respond(request, 200, NULL, 0, (pusherc_slice){page, PAGE_BYTES}),
                     0);
}

static void a_slow_reader_gets_the_whole_page(void **state)
{
    (void)state;
    static const char get[] = "GET /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    static char room[1 << 18];
    char *page = calloc(1, PAGE_BYTES);
    pusherc_hooks hooks = PUSHERC_HOOKS_INIT;
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    struct life life = {0};
    size_t got = 0;
    hooks.on_http = big_page;
    hooks.user_data = page;
    o.hooks = &hooks;
    o.close_timeout_ms = 1000; /* far less than the reading takes */
    assert_int_equal(pusherc_server_new(&life.server, &o, NULL), 0);
    assert_int_equal(furnish(&life), 0);
    assert_int_equal(pusherc_server_start(life.server, NULL), 0);
    int fd = dial(&life);
    assert_int_equal(send(fd, get, sizeof get - 1, MSG_NOSIGNAL), sizeof get - 1);
    for (ssize_t n; (n = recv(fd, room, sizeof room, 0)) > 0; got += (size_t)n)
        usleep(30000);
    assert_true(got > PAGE_BYTES);
    close(fd);
    pusherc_server_free(life.server);
    free(page);
}

/* -- without memory -- */

static void without_memory_a_call_fails_and_nothing_leaks(void **state)
{
    (void)state;
    for (int mode = THREADS; mode <= POLLED; mode++) {
        bool failed = true;
        for (size_t n = 1; failed; n++) {
            struct life life;
            int err = make(&life, (enum mode)mode, n);
            if (err == 0)
                err = furnish(&life);
            if (err == 0)
                err = pusherc_server_start(life.server, NULL);
            failed = failing_alloc_hit(&life.alloc);
            assert_true(err == 0 || failed);
            if (err == 0 && mode == ATTACHED) {
                assert_int_equal(pusherc_server_stop(life.server, 0, on_stopped, &life), 0);
                run_to_the_end(&life);
            }
            leave(&life);
        }
    }
}

static void on_identify(pusherc_identify_request *request, void *user_data)
{
    pusherc_identity identity = PUSHERC_IDENTITY_INIT;
    (void)user_data;
    identity.user_id = PC_S("7");
    pusherc_identify_accept(request, &identity);
}

/* The only session of a polled server: its one worker runs on this thread. */
static struct pc_session *only_session(struct life *life)
{
    struct pc_list *sessions = &life->server->engine.workers[0].sessions;
    return pc_list_empty(sessions) ? NULL
                                   : PC_CONTAINER(sessions->next, struct pc_session, of_worker);
}

static int disconnect_it(struct life *life)
{
    struct pc_session *session = only_session(life);
    return session
               ? pusherc_server_disconnect(life->server, "app-id", session->q->owner, 4000, "Go")
               : PUSHERC_EINVAL;
}

static int disconnect_its_user(struct life *life)
{
    return pusherc_server_disconnect_user(life->server, "app-id", PC_S("7"), 4000, "Go");
}

static int remove_its_app(struct life *life)
{
    return pusherc_server_remove_app(life->server, "app-id");
}

static int unsubscribe_it(struct life *life)
{
    return pusherc_server_unsubscribe(life->server, "app-id", (pusherc_socket_id){0}, PC_S("7"),
                                      PC_S("news"), "Go");
}

static bool has_its_app(struct life *life)
{
    struct pc_app *app = pc_apps_by_id(&life->server->engine.apps, PC_S("app-id"));
    if (app)
        pc_app_unref(app);
    return app != NULL;
}

/* A call that closes connections or revokes channels does all of it, or fails with ENOMEM and does nothing. */
static void calls_that_close_do_all_or_without_memory_nothing(void **state)
{
    static const struct {
        int (*call)(struct life *life);
        bool closes, removes;
    } rows[] = {{disconnect_it, true, false},
                {disconnect_its_user, true, false},
                {remove_its_app, true, true},
                {unsubscribe_it, false, false}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct life life;
        bool failed = true;
        pusherc_hooks hooks = PUSHERC_HOOKS_INIT;
        hooks.identify = on_identify;
        assert_int_equal(make_with_hooks(&life, POLLED, 0, &hooks), 0);
        assert_int_equal(furnish(&life), 0);
        assert_int_equal(pusherc_server_start(life.server, NULL), 0);
        int fd = establish(&life);
        pc_session_message(
            only_session(&life),
            PC_S("{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"news\"}}"));
        for (size_t n = 1; failed; n++) {
            size_t live = failing_alloc_live(&life.alloc);
            life.alloc.fail_at = life.alloc.requests + n;
            int err = rows[i].call(&life);
            failed = failing_alloc_hit(&life.alloc);
            life.alloc.fail_at = 0;
            assert_int_equal(err, failed ? PUSHERC_ENOMEM : 0);
            if (failed)
                assert_int_equal(failing_alloc_live(&life.alloc), live);
            turn(&life);
            struct pc_session *session = only_session(&life);
            bool open = session && session->state == PC_SESSION_OPEN;
            assert_int_equal(open, failed || !rows[i].closes);
            assert_int_equal(session ? session->subscription_count : 0, failed ? 1 : 0);
            assert_int_equal(has_its_app(&life), failed || !rows[i].removes);
        }
        leave(&life);
        close(fd);
    }
}

static void stopping_needs_no_memory(struct life *life)
{
    assert_int_equal(furnish(life), 0);
    assert_int_equal(pusherc_server_start(life->server, NULL), 0);
    size_t requests = life->alloc.requests;
    life->alloc.fail_at = requests + 1;
    assert_int_equal(pusherc_server_stop(life->server, 60000, on_stopped, life), 0);
    /* the order may be under way: it goes round once more, with the shorter grace */
    assert_int_equal(pusherc_server_stop(life->server, 0, NULL, NULL), PUSHERC_ESTATE);
    run_to_the_end(life);
    assert_int_equal(life->alloc.requests, requests);
    assert_int_equal(life->stopped, 1);
}

static void a_server_stops_without_memory(void **state)
{
    (void)state;
    each_mode(stopping_needs_no_memory);
}

/* A shorter grace reaches every client, also of a stop that has been ordered and not yet heard of. */
static void a_shorter_grace_takes_effect_at_any_time(struct life *life)
{
    assert_int_equal(furnish(life), 0);
    assert_int_equal(pusherc_server_start(life->server, NULL), 0);
    int fd = establish(life);
    assert_int_equal(pusherc_server_stop(life->server, 3600000, on_stopped, life), 0);
    assert_int_equal(pusherc_server_stop(life->server, 0, NULL, NULL), PUSHERC_ESTATE);
    run_to_the_end(life);
    assert_int_equal(life->stopped, 1);
    close(fd);
}

static void a_stop_may_be_shortened(void **state)
{
    (void)state;
    each_mode(a_shorter_grace_takes_effect_at_any_time);
}

/* -- F5: without memory, and with a processor that is busy -- */

static void *spin(void *arg)
{
    const _Atomic bool *over = arg;
    while (!*over)
        continue;
    return NULL;
}

/* Ends a server that has clients, subscriptions and webhooks for an endpoint that is not there, while each `failing`-th request for memory fails. */
static void end_without_memory(struct life *life, size_t failing, void (*end)(struct life *))
{
    static const char join[] = "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"news\"}}";
    pusherc_webhook hook = PUSHERC_WEBHOOK_INIT;
    int fds[8];
    hook.url = "http://127.0.0.1:1/";
    assert_int_equal(furnish(life), 0);
    if (life->server->sender) /* NULL: compiled without webhooks */
        assert_int_equal(put_app(life, &hook), 0);
    assert_int_equal(pusherc_server_start(life->server, NULL), 0);
    for (size_t i = 0; i < 8; i++) {
        fds[i] = establish(life);
        ws_client_say(fds[i], join);
    }
    while (count_of(life, "news") < 8)
        turn(life);
    life->alloc.every = failing;
    end(life);
    life->alloc.every = 0;
    for (size_t i = 0; i < 8; i++)
        close(fds[i]);
}

static void free_it(struct life *life)
{
    pusherc_server_free(life->server);
    life->server = NULL;
}

static void stop_it_again_and_again(struct life *life)
{
    assert_int_equal(pusherc_server_stop(life->server, 1000, on_stopped, life), 0);
    for (uint32_t grace_ms = 999; !life->stopped; grace_ms -= grace_ms > 0) {
        assert_int_equal(pusherc_server_stop(life->server, grace_ms, NULL, NULL), PUSHERC_ESTATE);
        turn_if_it_runs(life);
    }
}

static void freeing_and_stopping_need_no_memory_nor_a_free_processor(void **state)
{
    static const enum mode modes[] = {THREADS, POLLED};
    static void (*const ends[])(struct life *) = {free_it, stop_it_again_and_again};
    cpu_set_t before, one;
    pthread_t busy;
    _Atomic bool over = false;
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &before))
            CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0); /* later threads take it over */
    assert_int_equal(pthread_create(&busy, NULL, spin, &over), 0);
    for (size_t failing = 1; failing <= 2; failing++)
        for (size_t m = 0; m < 2; m++)
            for (size_t e = 0; e < 2; e++) {
                struct life life;
                assert_int_equal(make(&life, modes[m], 0), 0);
                end_without_memory(&life, failing, ends[e]);
                leave(&life);
            }
    over = true;
    pthread_join(busy, NULL);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

/* -- threads -- */

struct publisher {
    struct life *life;
    _Atomic bool *over;
};

static void write_file(char *path, const char *text)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void a_certificate_is_exchanged_by_all_workers_or_none(void **state)
{
    char cert[] = "/tmp/test_server_XXXXXX", key[] = "/tmp/test_server_XXXXXX";
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_listen_options plain = PUSHERC_LISTEN_OPTIONS_INIT, secure = plain;
    pusherc_tls_options tls = PUSHERC_TLS_OPTIONS_INIT;
    struct failing_alloc alloc;
    pusherc_allocator allocator = failing_alloc_init(&alloc, 0);
    pusherc_errinfo info = {0};
    pusherc_server *server;
    bool failed = true;
    (void)state;
    write_file(cert, test_certificate);
    write_file(key, test_certificate_key);
    tls.cert_file = cert, tls.key_file = key;
    secure.tls = &tls;
    options.allocator = &allocator;
    options.worker_count = 3;
    assert_int_equal(pusherc_server_new(&server, &options, &info), 0);
    assert_int_equal(pusherc_server_listen(server, &plain, &info), 0);
    int err = pusherc_server_listen(server, &secure, &info);
    if (err == PUSHERC_ENOSYS)
        goto out; /* compiled without TLS */
    assert_int_equal(err, 0);
    assert_int_equal(pusherc_server_reload_tls(server, 1, &tls, &info), PUSHERC_ESTATE);
    assert_int_equal(pusherc_server_start(server, &info), 0);
    assert_int_equal(pusherc_server_reload_tls(NULL, 1, &tls, NULL), PUSHERC_EINVAL);
    assert_int_equal(pusherc_server_reload_tls(server, 1, NULL, NULL), PUSHERC_EINVAL);
    assert_int_equal(pusherc_server_reload_tls(server, 0, &tls, &info), PUSHERC_EINVAL);
    assert_int_equal(pusherc_server_reload_tls(server, 2, &tls, &info), PUSHERC_EINVAL);
    tls.key_file = cert;
    assert_int_equal(pusherc_server_reload_tls(server, 1, &tls, &info), PUSHERC_ETLS);
    tls.key_file = key;
    for (size_t n = 1; failed; n++) {
        alloc.fail_at = alloc.requests + n;
        err = pusherc_server_reload_tls(server, 1, &tls, &info);
        failed = failing_alloc_hit(&alloc);
        assert_int_equal(err, failed ? PUSHERC_ENOMEM : 0);
    }
    alloc.fail_at = 0;
    for (int i = 0; i < 100; i++)
        assert_int_equal(pusherc_server_reload_tls(server, 1, &tls, &info), 0);
    assert_int_equal(pusherc_server_stop(server, 0, NULL, NULL), 0);
    /* on their way, or too late: nothing is left behind */
    err = pusherc_server_reload_tls(server, 1, &tls, &info);
    assert_int_equal(err, PUSHERC_ESTATE);
out:
    pusherc_server_free(server);
    assert_int_equal(failing_alloc_live(&alloc), 0);
    unlink(cert);
    unlink(key);
}

static void *publish_until_over(void *arg)
{
    const struct publisher *p = arg;
    pusherc_slice channel = PUSHERC_LIT("orders");
    pusherc_event event = PUSHERC_EVENT_INIT;
    event.name = (pusherc_slice)PUSHERC_LIT("paid");
    event.channels = &channel;
    event.channel_count = 1;
    event.data = (pusherc_slice)PUSHERC_LIT("{}");
    while (!*p->over) {
        int err = pusherc_publish(p->life->server, "app-id", &event);
        assert_true(err == 0 || err == PUSHERC_ESTATE || err == PUSHERC_EBACKLOG);
    }
    return NULL;
}

static void publishing_while_it_stops_is_harmless(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        struct life life;
        pthread_t threads[3];
        _Atomic bool over = false;
        struct publisher publisher = {&life, &over};
        assert_int_equal(make(&life, THREADS, 0), 0);
        assert_int_equal(furnish(&life), 0);
        assert_int_equal(pusherc_server_start(life.server, NULL), 0);
        int fd = establish(&life);
        for (size_t t = 0; t < 3; t++)
            assert_int_equal(pthread_create(&threads[t], NULL, publish_until_over, &publisher), 0);
        usleep(2000);
        assert_int_equal(pusherc_server_stop(life.server, 5, on_stopped, &life), 0);
        run_to_the_end(&life);
        over = true;
        for (size_t t = 0; t < 3; t++)
            pthread_join(threads[t], NULL);
        leave(&life);
        close(fd);
    }
}

/* -- waiting (F9) -- */

static void *wait_for_the_end(void *arg)
{
    struct life *life = arg;
    assert_int_equal(pusherc_server_wait(life->server, UINT32_MAX), 0);
    assert_int_equal(life->stopped, 1); /* the host was told before */
    return NULL;
}

static void a_host_without_a_loop_waits_for_the_end(void **state)
{
    struct life life;
    pthread_t waiters[3];
    (void)state;
    assert_int_equal(pusherc_server_wait(NULL, 0), PUSHERC_EINVAL);
    for (int started = 0; started <= 1; started++) {
        assert_int_equal(make(&life, THREADS, 0), 0);
        assert_int_equal(pusherc_server_wait(life.server, UINT32_MAX), PUSHERC_ESTATE);
        if (started) {
            assert_int_equal(furnish(&life), 0);
            assert_int_equal(pusherc_server_start(life.server, NULL), 0);
            assert_int_equal(pusherc_server_wait(life.server, 0), PUSHERC_ETIMEDOUT);
            assert_int_equal(pusherc_server_wait(life.server, 3), PUSHERC_ETIMEDOUT);
            for (size_t i = 0; i < 3; i++)
                assert_int_equal(pthread_create(&waiters[i], NULL, wait_for_the_end, &life), 0);
        }
        assert_int_equal(pusherc_server_stop(life.server, 20, on_stopped, &life), 0);
        wait_for_the_end(&life);
        for (size_t i = 0; started && i < 3; i++)
            pthread_join(waiters[i], NULL);
        assert_int_equal(pusherc_server_wait(life.server, 0), 0);
        leave(&life);
    }
}

static void only_servers_with_own_threads_are_waited_for(struct life *life)
{
    assert_int_equal(furnish(life), 0);
    assert_int_equal(pusherc_server_start(life->server, NULL), 0);
    if (life->mode != THREADS) {
        assert_int_equal(pusherc_server_wait(life->server, UINT32_MAX), PUSHERC_ESTATE);
        assert_int_equal(
            pusherc_reauthorize_wait(life->server, "app-id", NULL, UINT32_MAX, NULL, NULL),
            PUSHERC_ESTATE);
    }
    pusherc_server_stop(life->server, 0, on_stopped, life);
    run_to_the_end(life);
}

struct waits {
    pusherc_server *server;
    int ended, asked;
    _Atomic bool opened;
};

static void wait_in_a_hook(const pusherc_conn *conn, void *user_data)
{
    struct waits *waits = user_data;
    (void)conn;
    waits->ended = pusherc_server_wait(waits->server, UINT32_MAX);
    waits->asked = pusherc_reauthorize_wait(waits->server, "app-id", NULL, UINT32_MAX, NULL, NULL);
    waits->opened = true;
}

static void no_thread_of_the_server_waits_for_it(void **state)
{
    struct life life;
    struct waits waits = {0};
    pusherc_hooks hooks = PUSHERC_HOOKS_INIT;
    uint64_t kept = 7, revoked = 7;
    (void)state;
    each_mode(only_servers_with_own_threads_are_waited_for);
    hooks.on_open = wait_in_a_hook;
    hooks.user_data = &waits;
    assert_int_equal(make_with_hooks(&life, THREADS, 0, &hooks), 0);
    waits.server = life.server;
    assert_int_equal(pusherc_reauthorize_wait(life.server, "app-id", NULL, 0, &kept, NULL),
                     PUSHERC_ENOENT);
    assert_int_equal(furnish(&life), 0);
    assert_int_equal(pusherc_reauthorize_wait(life.server, "app-id", NULL, 0, &kept, NULL),
                     PUSHERC_ESTATE);
    assert_int_equal(pusherc_server_start(life.server, NULL), 0);
    int fd = establish(&life);
    while (!waits.opened)
        usleep(1000);
    assert_int_equal(waits.ended, PUSHERC_ESTATE);
    assert_int_equal(waits.asked, PUSHERC_ESTATE);
    assert_int_equal(kept, 7);
    assert_int_equal(
        pusherc_reauthorize_wait(life.server, "app-id", NULL, UINT32_MAX, &kept, &revoked), 0);
    assert_int_equal(kept, 0);
    assert_int_equal(revoked, 0);
    close(fd);
    leave(&life);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_order_leaves_nothing),
        cmocka_unit_test(freeing_stops_a_running_server),
        cmocka_unit_test(stopped_may_free_an_attached_server),
        cmocka_unit_test(many_lives_in_a_row),
        cmocka_unit_test(servers_know_nothing_of_each_other),
        cmocka_unit_test(two_servers_share_a_hosts_loop),
        cmocka_unit_test(a_port_in_use_is_said_so),
        cmocka_unit_test(guarded_public_names_and_open_origins_are_warned_of),
        cmocka_unit_test(a_slow_reader_gets_the_whole_page),
        cmocka_unit_test(without_memory_a_call_fails_and_nothing_leaks),
        cmocka_unit_test(calls_that_close_do_all_or_without_memory_nothing),
        cmocka_unit_test(a_server_stops_without_memory),
        cmocka_unit_test(a_stop_may_be_shortened),
        cmocka_unit_test(freeing_and_stopping_need_no_memory_nor_a_free_processor),
        cmocka_unit_test(a_certificate_is_exchanged_by_all_workers_or_none),
        cmocka_unit_test(publishing_while_it_stops_is_harmless),
        cmocka_unit_test(a_host_without_a_loop_waits_for_the_end),
        cmocka_unit_test(no_thread_of_the_server_waits_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
