/*
 * 12.1: what a forked child does to its parent's server is refused, and the parent's clients notice nothing. In each mode
 * a child makes every call that takes a server, answers questions and frees the server; then the parent serves on.
 * checks/headers holds the calls below against the public headers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <pusherc/pusherc.h>

#include "base/fork.h"

#define PATIENCE_MS 60000

enum mode {
    THREADS,
    ATTACHED,
    POLLED
};

struct family {
    enum mode mode;
    uv_loop_t loop;
    pusherc_server *server;
    pusherc_auth_request *_Atomic question; /* about the channel that waits */
    pusherc_http_request *_Atomic page;
    pusherc_app_request *_Atomic app;
    pusherc_identify_request *_Atomic who;
};

/* -- the parent -- */

static void keep_question(pusherc_auth_request *request, void *user_data)
{
    ((struct family *)user_data)->question = request;
}

static void keep_page(pusherc_http_request *request, void *user_data)
{
    ((struct family *)user_data)->page = request;
}

static void keep_app(pusherc_app_request *request, void *user_data)
{
    ((struct family *)user_data)->app = request;
}

static void keep_who(pusherc_identify_request *request, void *user_data)
{
    struct family *f = user_data;
    if (pusherc_identify_query(request, "wait").len)
        f->who = request;
    else
        (void)pusherc_identify_accept(request, NULL);
}

static void start(struct family *f, enum mode mode, uint16_t port)
{
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    pusherc_rule rule = PUSHERC_RULE_INIT;
    pusherc_listen_options address = PUSHERC_LISTEN_OPTIONS_INIT;
    pusherc_hooks hooks = PUSHERC_HOOKS_INIT;
    *f = (struct family){.mode = mode};
    hooks.user_data = f;
    hooks.on_http = keep_page;
    hooks.find_app = keep_app;
    hooks.identify = keep_who;
    o.hooks = &hooks;
    if (mode == ATTACHED) {
        assert_int_equal(uv_loop_init(&f->loop), 0);
        o.loop = &f->loop;
    } else {
        o.worker_count = mode == POLLED ? PUSHERC_WORKERS_NONE : 2;
    }
    app.id = "app-id", app.key = "app-key", app.secret = "app-secret";
    app.auth_mode = PUSHERC_AUTH_RULES;
    rule.pattern = "waits", rule.authorize = keep_question, rule.user_data = f;
    address.port = port;
    assert_int_equal(pusherc_server_new(&f->server, &o, NULL), 0);
    assert_int_equal(pusherc_server_put_app(f->server, &app, NULL), 0);
    assert_int_equal(pusherc_server_add_rule(f->server, &rule, NULL), 0);
    assert_int_equal(pusherc_server_listen(f->server, &address, NULL), 0);
    assert_int_equal(pusherc_server_start(f->server, NULL), 0);
}

static void turn(struct family *f)
{
    if (f->mode == ATTACHED)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    else if (f->mode == POLLED)
        assert_int_equal(pusherc_server_poll(f->server, 1), 1);
    usleep(1000);
}

static void end(struct family *f)
{
    if (f->mode == ATTACHED) {
        assert_int_equal(pusherc_server_stop(f->server, 0, NULL, NULL), 0);
        uv_run(&f->loop, UV_RUN_DEFAULT);
    }
    pusherc_server_free(f->server);
    if (f->mode == ATTACHED)
        assert_int_equal(uv_loop_close(&f->loop), 0);
}

/* -- its clients -- */

static int dial(const struct family *f, const char *request)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(pusherc_server_port(f->server, 0)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    return fd;
}

/* Reads until `text` has come. */
static void expect(struct family *f, int fd, const char *text)
{
    char got[8192];
    size_t len = 0;
    for (int i = 0; i < PATIENCE_MS; i++) {
        ssize_t n = recv(fd, got + len, sizeof got - 1 - len, MSG_DONTWAIT);
        if (n > 0) {
            len += (size_t)n;
            for (size_t k = 0; k < len; k++)
                got[k] = got[k] ? got[k] : ' ';
        }
        got[len] = '\0';
        if (strstr(got, text))
            return;
        assert_int_not_equal(n, 0);
        turn(f);
    }
    fail_msg("%s did not come; got: %s", text, got);
}

static int client(struct family *f, const char *query)
{
    char request[512];
    (void)snprintf(request, sizeof request,
                   "GET /app/app-key?protocol=7%s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
                   "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
                   query);
    return dial(f, request);
}

static void subscribe(int fd, const char *channel)
{
    char frame[128] = {(char)0x81};
    int len = snprintf(frame + 6, sizeof frame - 6,
                       "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"%s\"}}", channel);
    frame[1] = (char)(0x80 | len); /* under a mask of zeros */
    assert_int_equal(send(fd, frame, (size_t)len + 6, MSG_NOSIGNAL), len + 6);
}

static pusherc_event event_for(const pusherc_slice *channel)
{
    pusherc_event event = PUSHERC_EVENT_INIT;
    event.name = pusherc_slice_of("e");
    event.channels = channel, event.channel_count = 1;
    event.data = pusherc_slice_of("still-here");
    return event;
}

/* The client that was there before and a new one get what is published now. */
static void serves_on(struct family *f, int fd)
{
    pusherc_slice channel = PUSHERC_LIT("news");
    pusherc_event event = event_for(&channel);
    int other = client(f, "");
    expect(f, other, "connection_established");
    subscribe(other, "news");
    expect(f, other, "subscription_succeeded");
    assert_int_equal(pusherc_publish(f->server, "app-id", &event), 0);
    expect(f, fd, "still-here");
    expect(f, other, "still-here");
    close(other);
}

/* -- the child -- */

static void never(void)
{
    abort();
}

#define REFUSED(call)                                                                              \
    do {                                                                                           \
        int was = (call);                                                                          \
        if (was != PUSHERC_ESTATE) {                                                               \
            fprintf(stderr, "# %s: %s\n", #call, pusherc_err_name(was));                           \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static void try_setup(pusherc_server *server)
{
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    pusherc_rule rule = PUSHERC_RULE_INIT;
    pusherc_tls_options tls = PUSHERC_TLS_OPTIONS_INIT;
    pusherc_errinfo why = {0};
    const pusherc_link_ops link = PUSHERC_LINK_OPS_INIT;
    const pusherc_redis_options redis = PUSHERC_REDIS_OPTIONS_INIT;
    const pusherc_laravel_redis_options laravel = PUSHERC_LARAVEL_REDIS_OPTIONS_INIT;
    pusherc_cluster_info cluster = PUSHERC_CLUSTER_INFO_INIT;
    app.id = "b", app.key = "b", app.secret = "b";
    rule.pattern = "b", rule.authorize = keep_question;
    tls.cert_file = tls.key_file = "none";
    REFUSED(pusherc_server_put_app(server, &app, NULL));
    REFUSED(pusherc_server_put_apps(server, &app, 1, NULL));
    REFUSED(pusherc_server_remove_app(server, "app-id"));
    REFUSED(pusherc_server_add_rule(server, &rule, NULL));
    REFUSED(pusherc_server_remove_rule(server, NULL, "waits", NULL));
    REFUSED(pusherc_server_listen(server, NULL, NULL));
    REFUSED(pusherc_server_reload_tls(server, 0, &tls, NULL));
    REFUSED(pusherc_server_use_link(server, &link, NULL, NULL, NULL));
    REFUSED(pusherc_server_use_redis(server, &redis, NULL, NULL));
    REFUSED(pusherc_server_use_laravel_redis(server, &laravel, NULL));
    REFUSED(pusherc_server_cluster(server, &cluster));
    REFUSED(pusherc_server_start(server, &why));
    REFUSED(strstr(why.text, "forked") ? why.code : 0);
    REFUSED(pusherc_server_poll(server, 0));
    REFUSED(pusherc_server_fd(server));
    REFUSED(pusherc_server_wait_ms(server) == UINT32_MAX ? PUSHERC_ESTATE : 0);
    REFUSED(pusherc_server_stop(server, 0, NULL, NULL));
    REFUSED(pusherc_server_wait(server, 0));
    REFUSED(pusherc_server_mute(server, 0));
}

static void try_clients(pusherc_server *server)
{
    const pusherc_slice channel = PUSHERC_LIT("presence-x"), who = PUSHERC_LIT("u");
    const pusherc_slice none = {0};
    const pusherc_socket_id id = {1, 1};
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    pusherc_event event = event_for(&channel);
    REFUSED(pusherc_server_adopt(server, fd, none));
    REFUSED(pusherc_server_disconnect(server, "app-id", id, 4000, NULL));
    REFUSED(pusherc_server_disconnect_user(server, "app-id", who, 4009, NULL));
    REFUSED(pusherc_server_unsubscribe(server, "app-id", id, none, channel, NULL));
    REFUSED(pusherc_reauthorize(server, "app-id", NULL, NULL, NULL));
    REFUSED(pusherc_reauthorize_wait(server, "app-id", NULL, 0, NULL, NULL));
    REFUSED(pusherc_publish(server, "app-id", &event));
    REFUSED(pusherc_publish_batch(server, "app-id", &event, 1));
    REFUSED(pusherc_publish_to(server, "app-id", "news", 4, "e", 1, "", 0, NULL));
    REFUSED(pusherc_send_to_user(server, "app-id", who, who, who));
}

static void try_queries(pusherc_server *server)
{
    const pusherc_slice channel = PUSHERC_LIT("presence-x"), none = {0};
    const pusherc_slice cache = PUSHERC_LIT("cache-x");
    pusherc_channel_info info = PUSHERC_CHANNEL_INFO_INIT;
    pusherc_user_info user = PUSHERC_USER_INFO_INIT;
    const pusherc_slice who = PUSHERC_LIT("u");
    pusherc_stats stats = PUSHERC_STATS_INIT;
    REFUSED(pusherc_server_stats(server, &stats));
    REFUSED(pusherc_server_metrics(server, (pusherc_write_fn)never, NULL));
    REFUSED(pusherc_list_channels(server, "app-id", none, (pusherc_channels_fn)never, NULL));
    REFUSED(pusherc_list_members(server, "app-id", channel, (pusherc_members_fn)never, NULL));
    REFUSED(pusherc_list_connections(server, "app-id", none, (pusherc_connections_fn)never, NULL));
    REFUSED(pusherc_list_users(server, "app-id", false, (pusherc_users_fn)never, NULL));
    REFUSED(pusherc_get_user(server, "app-id", who, &user));
    REFUSED(pusherc_get_channel(server, "app-id", channel, &info));
    REFUSED(
        pusherc_get_cached_event(server, "app-id", cache, (pusherc_cached_event_fn)never, NULL));
    pusherc_ephemeral typing = PUSHERC_EPHEMERAL_INIT;
    typing.channel = channel;
    typing.event = who;
    REFUSED(pusherc_set_ephemeral(server, "app-id", &typing));
    REFUSED(pusherc_end_ephemeral(server, "app-id", &typing));
    REFUSED(pusherc_list_ephemeral(server, "app-id", channel, (pusherc_ephemeral_fn)never, NULL));
    REFUSED(pusherc_history(server, "app-id", cache, none, (pusherc_history_fn)never, NULL));
    REFUSED(pusherc_explain(server, "app-id", channel, none, (pusherc_explain_fn)never, NULL));
}

static void try_answers(struct family *f)
{
    const pusherc_slice body = PUSHERC_LIT("from the child");
    REFUSED(pusherc_auth_deny(f->question, 403, NULL));
    REFUSED(pusherc_http_respond(f->page, 200, NULL, 0, body));
    REFUSED(pusherc_app_answer(f->app, NULL));
    REFUSED(pusherc_identify_reject(f->who, 4009, "from the child"));
}

/* Waits until `door` is closed, then the child ends. */
static pid_t bear(struct family *f, void (*do_more)(struct family *f), int door[2])
{
    assert_int_equal(pipe2(door, O_CLOEXEC), 0);
    int done[2];
    assert_int_equal(pipe2(done, O_CLOEXEC), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char byte;
        alarm(60); /* it must not wait for locks that its parent's threads held */
        close(door[1]);
        try_setup(f->server);
        try_clients(f->server);
        try_queries(f->server);
        if (f->question)
            try_answers(f);
        do_more(f);
        if (write(done[1], "", 1) != 1 || read(door[0], &byte, 1) != 0)
            _exit(2);
        _exit(0);
    }
    close(door[0]);
    close(done[1]);
    char byte;
    ssize_t n = read(done[0], &byte, 1); /* the child has done all, or has ended */
    close(done[0]);
    assert_int_equal(n, 1);
    return child;
}

static void leave(pid_t child, int door[2])
{
    int status;
    close(door[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void free_it(struct family *f)
{
    pusherc_server_free(f->server);
}

static void keep_it(struct family *f)
{
    (void)f;
}

/* Gives the numbers of all sockets to another one, as a daemon may that has closed what it inherited. */
static void reuse_descriptors(struct family *f)
{
    bool taken[200] = {false};
    struct stat is;
    int other = socket(AF_UNIX, SOCK_STREAM, 0);
    for (int fd = 3; fd < 200; fd++)
        taken[fd] = fstat(fd, &is) == 0 && S_ISSOCK(is.st_mode) && dup2(other, fd) == fd;
    pusherc_server_free(f->server);
    for (int fd = 3; fd < 200; fd++)
        if (taken[fd] && fcntl(fd, F_GETFD) < 0)
            _exit(3);
}

/* -- tests -- */

static void each_mode(void (*test)(struct family *f, int fd))
{
    for (int mode = THREADS; mode <= POLLED; mode++) {
        struct family f;
        start(&f, (enum mode)mode, 0);
        int fd = client(&f, "");
        expect(&f, fd, "connection_established");
        subscribe(fd, "news");
        expect(&f, fd, "subscription_succeeded");
        test(&f, fd);
        serves_on(&f, fd);
        close(fd);
        end(&f);
    }
}

static void each_call(struct family *f, int fd)
{
    int door[2];
    for (int i = 0; i < 2; i++) {
        pid_t child = bear(f, i ? free_it : keep_it, door);
        serves_on(f, fd);
        leave(child, door);
        serves_on(f, fd);
    }
}

static void every_call_in_a_child_is_refused_and_harmless(void **state)
{
    (void)state;
    each_mode(each_call);
}

static void answers(struct family *f, int fd)
{
    const pusherc_slice body = PUSHERC_LIT("from the parent");
    int door[2], page = dial(f, "GET /page HTTP/1.1\r\nHost: x\r\n\r\n");
    int app = dial(f, "GET /app/other?protocol=7 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
                      "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n");
    int who = client(f, "&wait=1");
    subscribe(fd, "private-waits");
    for (int i = 0; i < PATIENCE_MS && !(f->question && f->page && f->app && f->who); i++)
        turn(f);
    assert_true(f->question && f->page && f->app && f->who);
    pid_t child = bear(f, free_it, door);
    leave(child, door);
    assert_int_equal(pusherc_auth_allow(f->question, NULL), 0);
    assert_int_equal(pusherc_http_respond(f->page, 200, NULL, 0, body), 0);
    assert_int_equal(pusherc_app_answer(f->app, NULL), 0);
    assert_int_equal(pusherc_identify_accept(f->who, NULL), 0);
    expect(f, fd, "private-waits");
    expect(f, page, "from the parent");
    expect(f, app, "4001");
    expect(f, who, "connection_established");
    close(page);
    close(app);
    close(who);
}

static void answers_in_a_child_are_refused_and_the_parents_arrive(void **state)
{
    (void)state;
    each_mode(answers);
}

static void other_files(struct family *f, int fd)
{
    (void)fd;
    int door[2];
    pid_t child = bear(f, reuse_descriptors, door);
    leave(child, door);
}

static void free_in_a_child_leaves_descriptors_that_are_something_else(void **state)
{
    (void)state;
    each_mode(other_files);
}

static void a_child_that_has_freed_holds_no_address(void **state)
{
    (void)state;
    for (int mode = THREADS; mode <= POLLED; mode++) {
        struct family f;
        int door[2];
        start(&f, (enum mode)mode, 0);
        uint16_t port = pusherc_server_port(f.server, 0);
        pid_t child = bear(&f, free_it, door);
        end(&f);
        start(&f, (enum mode)mode, port); /* while the child lives */
        int fd = client(&f, "");
        expect(&f, fd, "connection_established");
        close(fd);
        end(&f);
        leave(child, door);
    }
}

static void a_child_may_have_a_server_of_its_own(void **state)
{
    (void)state;
    struct family f;
    start(&f, THREADS, 0);
    pid_t child = fork();
    if (child == 0) {
        pusherc_server *own = NULL;
        pusherc_stats stats = PUSHERC_STATS_INIT;
        int err = pusherc_server_new(&own, NULL, NULL);
        err = err ? err : pusherc_server_stats(own, &stats);
        pusherc_server_free(own);
        pusherc_server_free(f.server);
        _exit(err != 0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    end(&f);
}

static void where_the_kernel_does_not_help_the_process_is_asked(void **state)
{
    (void)state;
    struct pc_fork_mark mark = {.pid = getpid()};
    int status;
    assert_false(pc_forked(&mark));
    pid_t child = fork();
    if (child == 0)
        _exit(pc_forked(&mark) ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_false(pc_forked(NULL));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_in_a_child_is_refused_and_harmless),
        cmocka_unit_test(answers_in_a_child_are_refused_and_the_parents_arrive),
        cmocka_unit_test(free_in_a_child_leaves_descriptors_that_are_something_else),
        cmocka_unit_test(a_child_that_has_freed_holds_no_address),
        cmocka_unit_test(a_child_may_have_a_server_of_its_own),
        cmocka_unit_test(where_the_kernel_does_not_help_the_process_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
