/*
 * F6: a server in a host's own loop (foreign.h), attached as libuv's manual describes it, and polled. Nothing but its
 * descriptor and the time that it names turns the server, so what a turn leaves undone would stay undone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <uv.h>

#include <pusherc/pusherc.h>

#include "loops/foreign.h"
#include "unit/ws_client.h"

#define ROUNDS 100

enum mode {
    ATTACHED,
    POLLED
};

struct host {
    struct foreign foreign;
    enum mode mode;
    uv_loop_t loop; /* of the host, if the server is attached */
    pusherc_server *server;
    pthread_t thread;
    sem_t started;
    _Atomic unsigned turns;
    bool stopped;
};

/* -- the two modes -- */

static uint32_t attached_wait_ms(struct foreign *f)
{
    int ms = uv_backend_timeout(&((struct host *)f)->loop);
    return ms < 0 ? UINT32_MAX : (uint32_t)ms;
}

static bool attached_turn(struct foreign *f)
{
    struct host *host = (struct host *)f;
    host->turns++;
    return uv_run(&host->loop, UV_RUN_NOWAIT);
}

static uint32_t polled_wait_ms(struct foreign *f)
{
    return pusherc_server_wait_ms(((struct host *)f)->server);
}

static bool polled_turn(struct foreign *f)
{
    struct host *host = (struct host *)f;
    host->turns++;
    return pusherc_server_poll(host->server, 0) == 1;
}

/* -- its server -- */

static void authorize(pusherc_auth_request *request, void *user_data)
{
    (void)user_data;
    (void)pusherc_auth_allow(request, NULL);
}

static void *answer(void *request)
{
    (void)pusherc_auth_allow(request, NULL);
    return NULL;
}

static void authorize_elsewhere(pusherc_auth_request *request, void *user_data)
{
    pthread_t thread;
    (void)user_data;
    assert_int_equal(pthread_create(&thread, NULL, answer, request), 0);
    assert_int_equal(pthread_detach(thread), 0);
}

static void add_rule(struct host *host, const char *pattern, pusherc_authorize_fn authorize_fn)
{
    pusherc_rule rule = PUSHERC_RULE_INIT;
    rule.pattern = pattern;
    rule.authorize = authorize_fn;
    assert_int_equal(pusherc_server_add_rule(host->server, &rule, NULL), 0);
}

static void make(struct host *host, enum mode mode)
{
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    memset(host, 0, sizeof *host);
    host->mode = mode;
    if (mode == ATTACHED) {
        assert_int_equal(uv_loop_init(&host->loop), 0);
        options.loop = &host->loop;
    } else {
        options.worker_count = PUSHERC_WORKERS_NONE;
    }
    options.close_timeout_ms = 200;
    app.id = "app-id", app.key = "app-key", app.secret = "app-secret";
    app.auth_mode = PUSHERC_AUTH_RULES;
    assert_int_equal(pusherc_server_new(&host->server, &options, NULL), 0);
    assert_int_equal(pusherc_server_put_app(host->server, &app, NULL), 0);
    add_rule(host, "now", authorize);
    add_rule(host, "later", authorize_elsewhere);
    assert_int_equal(pusherc_server_listen(host->server, NULL, NULL), 0);
}

static void *run(void *arg)
{
    struct host *host = arg;
    if (host->mode == ATTACHED)
        assert_int_equal(pusherc_server_start(host->server, NULL), 0);
    sem_post(&host->started);
    foreign_run(&host->foreign);
    return NULL;
}

static void start(struct host *host, enum mode mode)
{
    make(host, mode);
    if (mode == ATTACHED)
        host->foreign = (struct foreign){
            .fd = uv_backend_fd(&host->loop), .wait_ms = attached_wait_ms, .turn = attached_turn};
    else
        host->foreign = (struct foreign){
            .fd = pusherc_server_fd(host->server), .wait_ms = polled_wait_ms, .turn = polled_turn};
    assert_true(host->foreign.fd >= 0);
    if (mode == POLLED) /* may be started on another thread than the one that polls */
        assert_int_equal(pusherc_server_start(host->server, NULL), 0);
    foreign_open(&host->foreign);
    assert_int_equal(sem_init(&host->started, 0, 0), 0);
    assert_int_equal(pthread_create(&host->thread, NULL, run, host), 0);
    while (sem_wait(&host->started))
        continue;
}

static void on_stopped(pusherc_server *server, void *user_data)
{
    struct host *host = user_data;
    assert_ptr_equal(server, host->server);
    host->stopped = true;
}

static void destroy(struct host *host)
{
    pusherc_server_free(host->server);
    if (host->mode == ATTACHED)
        assert_int_equal(uv_loop_close(&host->loop), 0);
}

static void stop(struct host *host, uint32_t grace_ms)
{
    assert_int_equal(pusherc_server_stop(host->server, grace_ms, on_stopped, host), 0);
    assert_int_equal(pthread_join(host->thread, NULL), 0);
    assert_true(host->stopped);
    foreign_close(&host->foreign);
    sem_destroy(&host->started);
    destroy(host);
}

static void publish(struct host *host)
{
    pusherc_slice channel = PUSHERC_LIT("news");
    pusherc_event event = PUSHERC_EVENT_INIT;
    event.name = pusherc_slice_of("told");
    event.channels = &channel;
    event.channel_count = 1;
    event.data = pusherc_slice_of("{}");
    assert_int_equal(pusherc_publish(host->server, "app-id", &event), 0);
}

static void publish_here(struct foreign *f)
{
    publish((struct host *)f);
}

/* -- its clients -- */

static int dial(struct host *host)
{
    return ws_client_dial(pusherc_server_port(host->server, 0));
}

static int establish(struct host *host)
{
    int fd = dial(host);
    ws_client_send(fd, ws_client_upgrade);
    assert_true(ws_client_hears(fd, "connection_established"));
    return fd;
}

static void ask(int fd, const char *channel)
{
    char text[126];
    snprintf(text, sizeof text, "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"%s\"}}",
             channel);
    ws_client_say(fd, text);
}

static void subscribe(int fd, const char *channel)
{
    ask(fd, channel);
    assert_true(ws_client_hears(fd, "subscription_succeeded"));
}

static void each_mode(void (*test)(struct host *host))
{
    static const enum mode modes[] = {ATTACHED, POLLED};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        struct host host;
        start(&host, modes[i]);
        test(&host);
    }
}

/* -- tests -- */

static void requests_are_answered(struct host *host)
{
    int fd = dial(host);
    for (int i = 0; i < ROUNDS; i++) {
        ws_client_send(fd, "GET /ready HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_true(ws_client_hears(fd, " 200 OK\r\n"));
    }
    close(fd);
    stop(host, 0);
}

static void clients_and_rules_are_answered(struct host *host)
{
    int fd = establish(host);
    subscribe(fd, "news");
    subscribe(fd, "private-now");
    subscribe(fd, "private-later");
    for (int i = 0; i < ROUNDS; i++) {
        ws_client_say(fd, "{\"event\":\"pusher:ping\",\"data\":{}}");
        assert_true(ws_client_hears(fd, "pusher:pong"));
    }
    close(fd);
    stop(host, 0);
}

static void what_any_thread_publishes_arrives(struct host *host)
{
    int fd = establish(host);
    subscribe(fd, "news");
    for (int i = 0; i < ROUNDS; i++) {
        publish(host);
        assert_true(ws_client_hears(fd, "told"));
        foreign_post(&host->foreign, publish_here);
        assert_true(ws_client_hears(fd, "told"));
    }
    close(fd);
    stop(host, 0);
}

static void a_server_without_work_lets_its_host_sleep(struct host *host)
{
    int fd = establish(host);
    subscribe(fd, "news");
    unsigned turns, tries = 0;
    do { /* what it had to do may take a busy machine some time */
        unsigned before = host->turns;
        usleep(500000);
        turns = host->turns - before;
    } while (turns > 5 && ++tries < 40);
    assert_true(turns <= 5);
    close(fd);
    stop(host, 0);
}

static void a_stop_ends(struct host *host)
{
    int fds[] = {establish(host), establish(host), dial(host)};
    stop(host, 50);
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        close(fds[i]);
}

static void by_descriptor_and_timeout(void **state)
{
    static void (*const tests[])(struct host *) = {
        requests_are_answered, clients_and_rules_are_answered, what_any_thread_publishes_arrives,
        a_server_without_work_lets_its_host_sleep, a_stop_ends};
    (void)state;
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        each_mode(tests[i]);
}

/* One call after what it has to do has arrived. */
static void poll_once(pusherc_server *server)
{
    usleep(20000);
    assert_int_equal(pusherc_server_poll(server, 0), 1);
}

static void only_a_polled_server_names_descriptor_and_time(void **state)
{
    pusherc_server *server;
    (void)state;
    assert_int_equal(pusherc_server_new(&server, NULL, NULL), 0); /* has a thread */
    assert_int_equal(pusherc_server_fd(server), PUSHERC_ESTATE);
    assert_int_equal(pusherc_server_wait_ms(server), UINT32_MAX);
    pusherc_server_free(server);
    assert_int_equal(pusherc_server_fd(NULL), PUSHERC_ESTATE);
    assert_int_equal(pusherc_server_wait_ms(NULL), UINT32_MAX);

    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    options.worker_count = PUSHERC_WORKERS_NONE;
    assert_int_equal(pusherc_server_new(&server, &options, NULL), 0);
    assert_true(pusherc_server_fd(server) >= 0);
    assert_int_equal(pusherc_server_wait_ms(server), UINT32_MAX); /* not started */
    assert_int_equal(pusherc_server_stop(server, 0, NULL, NULL), 0);
    assert_int_equal(pusherc_server_wait_ms(server), 0); /* the next poll says that it is over */
    assert_int_equal(pusherc_server_poll(server, 0), 0);
    pusherc_server_free(server);
}

static void one_poll_does_everything_that_is_due(void **state)
{
    struct host host = {0};
    (void)state;
    make(&host, POLLED);
    assert_int_equal(pusherc_server_start(host.server, NULL), 0);
    int fd = dial(&host);
    ws_client_send(fd, "GET /ready HTTP/1.1\r\nHost: x\r\n\r\n"); /* accept, read, answer */
    poll_once(host.server);
    assert_true(ws_client_hears(fd, " 200 OK\r\n"));
    close(fd);

    fd = dial(&host);
    ws_client_send(fd, ws_client_upgrade);
    poll_once(host.server);
    assert_true(ws_client_hears(fd, "connection_established"));
    ask(fd, "private-now");
    poll_once(host.server);
    assert_true(ws_client_hears(fd, "subscription_succeeded"));
    ask(fd, "news");
    poll_once(host.server);
    assert_true(ws_client_hears(fd, "subscription_succeeded"));
    publish(&host);
    poll_once(host.server);
    assert_true(ws_client_hears(fd, "told"));
    close(fd);
    destroy(&host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_descriptor_and_timeout),
        cmocka_unit_test(only_a_polled_server_names_descriptor_and_time),
        cmocka_unit_test(one_poll_does_everything_that_is_due),
    };
    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
