/* The inbox: questions and notices as messages, in each mode, at its limits, abandoned, and freed in any order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <uv.h>

#include <pusherc/pusherc.h>

#include "fanout/inbox.h"
#include "unit/failing_alloc.h"
#include "unit/ws_client.h"

/* The descriptor of systems that have no eventfd. */
#define PC_DOORBELL_PIPE
#define pc_doorbell_open  pipe_bell_open
#define pc_doorbell_close pipe_bell_close
#define pc_doorbell_ring  pipe_bell_ring
#define pc_doorbell_hush  pipe_bell_hush
bool pc_doorbell_open(struct pc_doorbell *bell);
void pc_doorbell_close(struct pc_doorbell *bell);
void pc_doorbell_ring(const struct pc_doorbell *bell);
void pc_doorbell_hush(const struct pc_doorbell *bell);
#include "base/doorbell.c"
#undef pc_doorbell_open
#undef pc_doorbell_close
#undef pc_doorbell_ring
#undef pc_doorbell_hush

enum mode {
    THREADS,
    ATTACHED,
    POLLED
};

#define BIT(type)   (1u << PUSHERC_MESSAGE_##type)
#define PATIENCE_MS 60000

/* A host with an inbox, and its server. */
struct host {
    enum mode mode;
    uv_loop_t loop;
    struct failing_alloc alloc;
    pusherc_allocator allocator;
    pusherc_inbox *inbox;
    pusherc_server *server;
    pusherc_hooks hooks;
    _Atomic bool stopped;
    int rule; /* its address is the rule's user_data */
};

static void on_stopped(pusherc_server *server, void *user_data)
{
    (void)server;
    ((struct host *)user_data)->stopped = true;
}

static const pusherc_server_options usual = {
    .struct_size = sizeof usual,
    .auth_timeout_ms = PATIENCE_MS,
    .identify_timeout_ms = PATIENCE_MS,
    .close_timeout_ms = 200,
    .inbox_messages = BIT(ABANDONED),
};

/* Returns what the first call that fails returns. */
static int try_open(struct host *h, enum mode mode, const pusherc_server_options *options,
                    uint32_t max_messages)
{
    pusherc_inbox_options i = PUSHERC_INBOX_OPTIONS_INIT;
    pusherc_server_options o = *options;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    pusherc_rule rule = PUSHERC_RULE_INIT;
    h->mode = mode;
    i.allocator = &h->allocator;
    i.max_messages = max_messages;
    int err = pusherc_inbox_new(&h->inbox, &i);
    if (err)
        return err;
    o.allocator = &h->allocator;
    o.inbox = h->inbox;
    if (mode == ATTACHED) {
        assert_int_equal(uv_loop_init(&h->loop), 0);
        o.loop = &h->loop;
    } else {
        o.worker_count = mode == POLLED ? PUSHERC_WORKERS_NONE : 2;
    }
    app.id = "app-id";
    app.key = "app-key";
    app.secret = "app-secret";
    app.auth_mode = PUSHERC_AUTH_RULES;
    app.client_events = true;
    rule.pattern = "{name...}";
    rule.inbox = true;
    rule.user_data = &h->rule;
    if ((err = pusherc_server_new(&h->server, &o, NULL)) ||
        (err = pusherc_server_put_app(h->server, &app, NULL)) ||
        (err = pusherc_server_add_rule(h->server, &rule, NULL)) ||
        (err = pusherc_server_listen(h->server, NULL, NULL)) ||
        (err = pusherc_server_start(h->server, NULL)))
        return err;
    return 0;
}

static void open_host(struct host *h, enum mode mode, const pusherc_server_options *options,
                      uint32_t max_messages)
{
    memset(h, 0, sizeof *h);
    h->allocator = failing_alloc_init(&h->alloc, 0);
    assert_int_equal(try_open(h, mode, options, max_messages), 0);
}

/* Lets the server work for a moment, if it needs the host for that. */
static void turn(struct host *h)
{
    if (h->mode == ATTACHED)
        uv_run(&h->loop, UV_RUN_NOWAIT);
    if (h->mode == POLLED && h->server)
        (void)pusherc_server_poll(h->server, 1);
    else
        usleep(500);
}

static void stop(struct host *h)
{
    pusherc_server_stop(h->server, 0, on_stopped, h);
    while (!h->stopped)
        turn(h);
}

static void free_server(struct host *h)
{
    if (h->mode == ATTACHED && h->server)
        stop(h);
    pusherc_server_free(h->server);
    h->server = NULL;
    if (h->mode == ATTACHED) {
        uv_run(&h->loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&h->loop), 0);
        h->mode = POLLED;
    }
}

static void close_host(struct host *h)
{
    free_server(h);
    pusherc_inbox_free(h->inbox);
    assert_int_equal(failing_alloc_live(&h->alloc), 0);
}

static bool readable(struct host *h)
{
    struct pollfd bell = {.fd = pusherc_inbox_fd(h->inbox), .events = POLLIN};
    return poll(&bell, 1, 0) == 1;
}

/* The next message, whatever it is. */
static pusherc_message next(struct host *h)
{
    pusherc_message message;
    for (int i = 0; i < PATIENCE_MS; i++) {
        if (pusherc_inbox_take(h->inbox, &message, sizeof message, 1, h->mode == THREADS) == 1) {
            assert_int_equal(message.struct_size, sizeof message);
            assert_ptr_equal(message.server, h->server);
            return message;
        }
        turn(h);
    }
    fail_msg("no message came");
    return message;
}

static pusherc_message next_is(struct host *h, pusherc_message_type type)
{
    pusherc_message message = next(h);
    assert_int_equal(message.type, type);
    return message;
}

static void nothing_comes(struct host *h)
{
    pusherc_message message;
    for (int i = 0; i < 20; i++)
        turn(h);
    assert_int_equal(pusherc_inbox_take(h->inbox, &message, sizeof message, 1, 0), 0);
    assert_false(readable(h));
}

static pusherc_stats stats(struct host *h)
{
    pusherc_stats out = PUSHERC_STATS_INIT;
    assert_int_equal(pusherc_server_stats(h->server, &out), 0);
    return out;
}

static void wait_for_questions(struct host *h, uint64_t count)
{
    for (int i = 0; i < PATIENCE_MS && stats(h).questions != count; i++)
        turn(h);
    assert_int_equal(stats(h).questions, count);
}

/* -- clients -- */

static int dial(struct host *h)
{
    return ws_client_dial(pusherc_server_port(h->server, 0));
}

/* As ws_client_hears(), while the server gets its turns. */
static bool hears(struct host *h, int fd, const char *text)
{
    char got[8192];
    size_t len = 0;
    for (int i = 0; i < PATIENCE_MS; i++) {
        ssize_t n = recv(fd, got + len, sizeof got - len, MSG_DONTWAIT);
        if (n == 0)
            return false;
        if (n < 0) {
            turn(h);
            continue;
        }
        len += (size_t)n;
        if (memmem(got, len, text, strlen(text)))
            return true;
        assert_true(len < sizeof got);
    }
    return false;
}

static int establish(struct host *h)
{
    int fd = dial(h);
    ws_client_send(fd, ws_client_upgrade);
    assert_true(hears(h, fd, "connection_established"));
    return fd;
}

static void subscribe(int fd, const char *channel)
{
    char text[126];
    snprintf(text, sizeof text, "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"%s\"}}",
             channel);
    ws_client_say(fd, text);
}

static void unsubscribe(int fd, const char *channel)
{
    char text[126];
    snprintf(text, sizeof text, "{\"event\":\"pusher:unsubscribe\",\"data\":{\"channel\":\"%s\"}}",
             channel);
    ws_client_say(fd, text);
}

static bool is(pusherc_slice slice, const char *text)
{
    return slice.len == strlen(text) && memcmp(slice.ptr, text, slice.len) == 0;
}

/* -- what a host sees -- */

static void every_call_can_be_a_message(struct host *h)
{
    pusherc_identity who = PUSHERC_IDENTITY_INIT;
    who.user_id = pusherc_slice_of("ann");
    int fd = dial(h);
    ws_client_send(fd, ws_client_upgrade);
    pusherc_message m = next_is(h, PUSHERC_MESSAGE_IDENTIFY);
    assert_int_equal(m.id, pusherc_identify_question(m.request));
    assert_true(m.id > 0);
    assert_ptr_equal(m.user_data, h);
    assert_int_equal(pusherc_identify_accept(m.request, &who), 0);
    m = next_is(h, PUSHERC_MESSAGE_OPEN);
    assert_true(is(m.user_id, "ann") && is(m.app_id, "app-id") && is(m.data, "127.0.0.1"));
    pusherc_socket_id socket_id = m.socket_id;
    assert_true(hears(h, fd, "connection_established"));

    subscribe(fd, "private-x");
    m = next_is(h, PUSHERC_MESSAGE_AUTHORIZE);
    assert_true(is(m.channel, "private-x") && is(m.user_id, "ann") && is(m.app_id, "app-id"));
    assert_true(m.a == strlen("private-") && m.b == 1); /* "x" stands for {name...} */
    assert_int_equal(m.id, pusherc_auth_question(m.request));
    assert_memory_equal(&m.socket_id, &socket_id, sizeof socket_id);
    assert_ptr_equal(m.user_data, &h->rule);
    assert_int_equal(pusherc_auth_allow(m.request, NULL), 0);
    m = next_is(h, PUSHERC_MESSAGE_CHANNEL);
    assert_int_equal(m.number, PUSHERC_CHANNEL_OCCUPIED);
    assert_true(is(m.channel, "private-x") && m.a == 1 && m.b > 0);
    assert_int_equal(next_is(h, PUSHERC_MESSAGE_CHANNEL).number, PUSHERC_SUBSCRIPTION_COUNT);
    assert_true(hears(h, fd, "subscription_succeeded"));

    ws_client_say(fd, "{\"event\":\"client-a\",\"channel\":\"private-x\",\"data\":\"hello\"}");
    m = next_is(h, PUSHERC_MESSAGE_CLIENT_EVENT);
    assert_true(is(m.name, "client-a") && is(m.data, "hello") && is(m.channel, "private-x"));

    subscribe(fd, "private-y");
    m = next_is(h, PUSHERC_MESSAGE_AUTHORIZE);
    assert_int_equal(pusherc_auth_deny(m.request, 0, "no"), 0);
    m = next_is(h, PUSHERC_MESSAGE_DENIED);
    assert_int_equal(m.number, PUSHERC_DENIED_BY_RULE);
    assert_true(is(m.name, "{name...}") && is(m.data, "no") && m.a == 403);

    int mark;
    assert_int_equal(pusherc_reauthorize(h->server, "app-id", NULL, NULL, &mark), 0);
    m = next_is(h, PUSHERC_MESSAGE_AUTHORIZE);
    assert_int_equal(pusherc_auth_allow(m.request, NULL), 0);
    m = next(h);
    if (m.type == PUSHERC_MESSAGE_AUTHORIZE) { /* what was refused is asked again as well */
        assert_int_equal(pusherc_auth_deny(m.request, 0, "no"), 0);
        m = next(h);
    }
    assert_int_equal(m.type, PUSHERC_MESSAGE_REAUTHORIZED);
    assert_true(m.a == 1 && m.b == 0);
    assert_ptr_equal(m.user_data, &mark);

    int web = dial(h);
    ws_client_send(web, "GET /page HTTP/1.1\r\nHost: x\r\n\r\n");
    m = next_is(h, PUSHERC_MESSAGE_HTTP);
    assert_int_equal(m.id, pusherc_http_question(m.request));
    assert_true(is(pusherc_http_path(m.request), "/page"));
    pusherc_http_respond(m.request, 200, NULL, 0, pusherc_slice_of("by message"));
    assert_true(hears(h, web, "by message"));
    ws_client_send(web, "GET /apps/other/channels HTTP/1.1\r\nHost: x\r\n\r\n");
    m = next_is(h, PUSHERC_MESSAGE_FIND_APP);
    assert_int_equal(m.id, pusherc_app_request_question(m.request));
    assert_int_equal(pusherc_app_answer(m.request, NULL), 0);
    assert_true(hears(h, web, "404"));
    close(web);

    close(fd);
    while ((m = next(h)).type == PUSHERC_MESSAGE_CHANNEL)
        continue;
    assert_int_equal(m.type, PUSHERC_MESSAGE_CLOSE);
    assert_int_equal(m.number, 1006);
    assert_memory_equal(&m.socket_id, &socket_id, sizeof socket_id);
    stop(h);
    next_is(h, PUSHERC_MESSAGE_STOPPED);
    nothing_comes(h);
}

static void each_call_of_the_host_comes_as_a_message_in_every_mode(void **state)
{
    (void)state;
    for (enum mode mode = THREADS; mode <= POLLED; mode++) {
        struct host h;
        pusherc_hooks hooks = PUSHERC_HOOKS_INIT;
        pusherc_server_options o = usual;
        hooks.user_data = &h;
        o.hooks = &hooks;
        o.inbox_messages = (2u << PUSHERC_MESSAGE_STOPPED) - 2 - BIT(LOG);
        open_host(&h, mode, &o, 0);
        every_call_can_be_a_message(&h);
        close_host(&h);
    }
}

static void lines_of_the_log_are_messages(void **state)
{
    struct host h;
    pusherc_server_options o = usual;
    int mark;
    (void)state;
    o.inbox_messages = BIT(LOG);
    o.log_level = PUSHERC_LOG_WARN;
    o.log_user_data = &mark;
    o.max_connections = UINT32_MAX - 1; /* more than descriptors: the start warns */
    open_host(&h, POLLED, &o, 0);
    pusherc_message m = next_is(&h, PUSHERC_MESSAGE_LOG);
    assert_int_equal(m.number, PUSHERC_LOG_WARN);
    assert_true(is(m.name, "net"));
    assert_non_null(memmem(m.data.ptr, m.data.len, "max_connections", 15));
    assert_ptr_equal(m.user_data, &mark);
    close_host(&h);
}

/* -- the descriptor -- */

static void the_descriptor_is_readable_as_long_as_something_waits(void **state)
{
    (void)state;
    for (enum mode mode = THREADS; mode <= POLLED; mode++) {
        struct host h;
        open_host(&h, mode, &usual, 0);
        int fd = establish(&h);
        assert_false(readable(&h));
        subscribe(fd, "private-a");
        subscribe(fd, "private-b");
        while (stats(&h).inbox_depth < 2)
            turn(&h);
        assert_true(readable(&h));
        pusherc_message first = next_is(&h, PUSHERC_MESSAGE_AUTHORIZE);
        assert_true(readable(&h)); /* level-triggered: one is left */
        pusherc_message second = next_is(&h, PUSHERC_MESSAGE_AUTHORIZE);
        assert_false(readable(&h));
        assert_true(is(first.channel, "private-a") && is(second.channel, "private-b"));
        assert_true(first.id != second.id);
        assert_int_equal(pusherc_auth_allow(first.request, NULL), 0);
        assert_int_equal(pusherc_auth_allow(second.request, NULL), 0);
        assert_true(hears(&h, fd, "private-b"));
        close(fd);
        close_host(&h);
    }
}

static void a_bell_is_readable_from_ring_to_hush(void **state)
{
    struct pc_doorbell bell;
    (void)state;
    assert_true(pipe_bell_open(&bell));
    struct pollfd watched = {.fd = bell.fd, .events = POLLIN};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(poll(&watched, 1, 0), 0);
        pipe_bell_ring(&bell);
        assert_int_equal(poll(&watched, 1, 0), 1);
        pipe_bell_hush(&bell);
    }
    pipe_bell_hush(&bell); /* does not block */
    pipe_bell_close(&bell);
}

/* -- one worker's turn -- */

static unsigned unwanted_count;

static void count_unwanted(struct pc_letter *letter)
{
    (void)letter;
    unwanted_count++;
}

static void what_a_worker_gathers_in_a_turn_comes_in_one_go(void **state)
{
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_inbox_stats counts = {0};
    struct pc_letter letters[5] = {0};
    struct pc_lane lane;
    pusherc_inbox *inbox;
    pusherc_message out[8];
    uint64_t rung = 0;
    (void)state;
    unwanted_count = 0;
    assert_int_equal(pc_inbox_new(&inbox, &mem, 3), 0);
    pc_lane_init(&lane, inbox, &counts);
    for (int i = 0; i < 5; i++) {
        letters[i].message.number = i;
        letters[i].unwanted = count_unwanted;
        pc_lane_add(&lane, &letters[i]);
    }
    assert_int_equal(pc_inbox_depth(inbox), 0);
    assert_true(pc_lane_flush(&lane)); /* two found it full */
    assert_int_equal(pc_inbox_depth(inbox), 3);
    assert_int_equal(unwanted_count, 2);
    assert_int_equal(counts.dropped, 2);
    assert_int_equal(read(pusherc_inbox_fd(inbox), &rung, sizeof rung), sizeof rung);
    assert_int_equal(rung, 1); /* the host was woken once */
    assert_false(pc_lane_flush(&lane));
    assert_int_equal(pc_inbox_take(inbox, out, sizeof *out, 8), 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(out[i].number, i);
    pusherc_inbox_free(inbox);
    assert_int_equal(unwanted_count, 5); /* those taken were the host's until now */
}

static void a_host_with_older_headers_gets_what_it_knows(void **state)
{
    struct host h;
    struct {
        char bytes[offsetof(pusherc_message, socket_id)];
    } short_messages[2];
    (void)state;
    open_host(&h, POLLED, &usual, 0);
    memset(short_messages, 0x55, sizeof short_messages);
    int fd = establish(&h);
    subscribe(fd, "private-a");
    while (!readable(&h))
        turn(&h);
    assert_int_equal(pusherc_inbox_take(h.inbox, (pusherc_message *)(void *)short_messages,
                                        sizeof *short_messages, 2, 0),
                     1);
    pusherc_message seen = {0};
    memcpy(&seen, short_messages, sizeof *short_messages);
    assert_int_equal(seen.struct_size, sizeof *short_messages);
    assert_int_equal(short_messages[1].bytes[0], 0x55);
    assert_int_equal(pusherc_auth_deny(seen.request, 0, NULL), 0);
    close(fd);
    close_host(&h);
}

/* -- overload -- */

static void overload_answers_at_once_as_silence_would(void **state)
{
    (void)state;
    for (enum mode mode = THREADS; mode <= POLLED; mode++) {
        struct host h;
        pusherc_server_options o = usual;
        o.inbox_messages = BIT(HTTP) | BIT(FIND_APP) | BIT(OPEN);
        open_host(&h, mode, &o, 1);
        int fd = establish(&h); /* OPEN fills the inbox */
        while (!readable(&h))
            turn(&h);
        subscribe(fd, "private-a");
        assert_true(hears(&h, fd, "The application did not answer in time"));
        int web = dial(&h);
        ws_client_send(web, "GET /page HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_true(hears(&h, web, "503"));
        ws_client_send(web, "GET /page HTTP/1.1\r\nHost: x\r\n\r\n"); /* the connection stays */
        assert_true(hears(&h, web, "503"));
        ws_client_send(web, "GET /apps/other/channels HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_true(hears(&h, web, "503"));
        close(web);
        int second = establish(&h);
        for (int i = 0; i < PATIENCE_MS && stats(&h).inbox_dropped_total < 1; i++)
            turn(&h);
        assert_int_equal(stats(&h).inbox_refused_total, 4);
        assert_int_equal(stats(&h).inbox_dropped_total, 1);
        assert_int_equal(stats(&h).inbox_depth, 1);
        wait_for_questions(&h, 0);

        next_is(&h, PUSHERC_MESSAGE_OPEN); /* now there is room again */
        subscribe(fd, "private-b");
        pusherc_message m = next_is(&h, PUSHERC_MESSAGE_AUTHORIZE);
        assert_int_equal(pusherc_auth_allow(m.request, NULL), 0);
        assert_true(hears(&h, fd, "subscription_succeeded"));
        /* the host is asked again about the app that it could not be asked about */
        web = dial(&h);
        ws_client_send(web, "GET /apps/other/channels HTTP/1.1\r\nHost: x\r\n\r\n");
        m = next_is(&h, PUSHERC_MESSAGE_FIND_APP);
        assert_int_equal(pusherc_app_answer(m.request, NULL), 0);
        assert_true(hears(&h, web, "404"));
        close(web);
        close(second);
        close(fd);
        close_host(&h);
    }
}

static void a_client_that_cannot_be_identified_is_closed_as_after_silence(void **state)
{
    struct host h;
    pusherc_server_options o = usual;
    (void)state;
    o.inbox_messages = BIT(IDENTIFY);
    open_host(&h, THREADS, &o, 1);
    int first = dial(&h), second = dial(&h);
    ws_client_send(first, ws_client_upgrade);
    while (!readable(&h))
        turn(&h);
    ws_client_send(second, ws_client_upgrade);
    assert_true(hears(&h, second, "\x0f\xa9The application did not answer in time")); /* 4009 */
    pusherc_message m = next_is(&h, PUSHERC_MESSAGE_IDENTIFY);
    assert_int_equal(pusherc_identify_accept(m.request, NULL), 0);
    assert_true(hears(&h, first, "connection_established"));
    const char *form = "POST /broadcasting/auth HTTP/1.1\r\nHost: x\r\nContent-Length: 41\r\n"
                       "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
                       "socket_id=1.1&channel_name=private-abcdef";
    int web = dial(&h), blocker = dial(&h);
    ws_client_send(blocker, ws_client_upgrade);
    while (!readable(&h))
        turn(&h);
    ws_client_send(web, form);
    assert_true(hears(&h, web, "503"));
    close(web);
    close(blocker);
    close(second);
    close(first);
    close_host(&h);
}

/* -- abandonment -- */

enum ending {
    UNSUBSCRIBES,
    DISCONNECTS,
    TOO_LATE,
    SERVER_STOPS
};

static void end_wait(struct host *h, int fd, enum ending ending)
{
    switch (ending) {
    case UNSUBSCRIBES:
        unsubscribe(fd, "private-a");
        break;
    case DISCONNECTS:
        shutdown(fd, SHUT_RDWR);
        break;
    case TOO_LATE:
        break;
    case SERVER_STOPS:
        pusherc_server_stop(h->server, 0, on_stopped, h);
        break;
    }
}

static pusherc_server_options options_for(enum ending ending)
{
    pusherc_server_options o = usual;
    if (ending == TOO_LATE)
        o.auth_timeout_ms = 300;
    return o;
}

static void a_taken_question_is_abandoned_by_number(enum mode mode, enum ending ending)
{
    struct host h;
    pusherc_server_options o = options_for(ending);
    open_host(&h, mode, &o, 1); /* ABANDONED comes also above the maximum */
    int fd = establish(&h);
    subscribe(fd, "private-a");
    pusherc_message asked = next_is(&h, PUSHERC_MESSAGE_AUTHORIZE);
    end_wait(&h, fd, ending);
    pusherc_message told = next_is(&h, PUSHERC_MESSAGE_ABANDONED);
    assert_int_equal(told.id, asked.id);
    assert_null(told.request);
    assert_ptr_equal(told.user_data, &h.rule);
    int err = pusherc_auth_allow(asked.request, NULL); /* it still has to be answered */
    assert_int_equal(err, ending == TOO_LATE ? PUSHERC_ETIMEDOUT : PUSHERC_ECANCELED);
    nothing_comes(&h);
    close(fd);
    close_host(&h);
}

static void an_answered_question_is_not_abandoned_any_more(enum mode mode, enum ending ending)
{
    struct host h;
    pusherc_server_options o = options_for(ending);
    open_host(&h, mode, &o, 0);
    int fd = establish(&h);
    subscribe(fd, "private-a");
    pusherc_message asked = next_is(&h, PUSHERC_MESSAGE_AUTHORIZE);
    end_wait(&h, fd, ending);
    while (!readable(&h)) /* ABANDONED waits */
        turn(&h);
    assert_true(pusherc_auth_allow(asked.request, NULL) != 0);
    assert_false(readable(&h));
    nothing_comes(&h);
    close(fd);
    close_host(&h);
}

static void a_question_that_was_not_taken_is_taken_back(enum mode mode, enum ending ending)
{
    struct host h;
    pusherc_server_options o = options_for(ending);
    open_host(&h, mode, &o, 0);
    int fd = establish(&h);
    subscribe(fd, "private-a");
    while (!readable(&h))
        turn(&h);
    wait_for_questions(&h, 1);
    end_wait(&h, fd, ending);
    while (readable(&h))
        turn(&h);
    nothing_comes(&h);
    if (ending != SERVER_STOPS)
        wait_for_questions(&h, 0); /* its place is free again */
    assert_int_equal(stats(&h).inbox_refused_total, 0);
    close(fd);
    close_host(&h);
}

static void an_abandoned_question_is_told_by_its_number(void **state)
{
    (void)state;
    for (enum mode mode = THREADS; mode <= POLLED; mode++)
        for (enum ending ending = UNSUBSCRIBES; ending <= SERVER_STOPS; ending++)
            a_taken_question_is_abandoned_by_number(mode, ending);
}

static void nothing_is_told_of_a_question_after_its_answer(void **state)
{
    (void)state;
    for (enum mode mode = THREADS; mode <= POLLED; mode++)
        for (enum ending ending = UNSUBSCRIBES; ending <= SERVER_STOPS; ending++)
            an_answered_question_is_not_abandoned_any_more(mode, ending);
}

static void a_question_that_ends_before_it_is_taken_never_comes(void **state)
{
    (void)state;
    for (enum mode mode = THREADS; mode <= POLLED; mode++)
        for (enum ending ending = UNSUBSCRIBES; ending <= SERVER_STOPS; ending++)
            a_question_that_was_not_taken_is_taken_back(mode, ending);
}

/* -- the hook of hosts that are called -- */

static struct {
    pusherc_auth_request *_Atomic request;
    _Atomic uint64_t abandoned;
} called;

static void keep_request(pusherc_auth_request *request, void *user_data)
{
    (void)user_data;
    called.request = request;
}

static void note_abandoned(uint64_t question, void *user_data)
{
    assert_non_null(user_data);
    called.abandoned = question;
}

static void note_and_answer(uint64_t question, void *user_data)
{
    note_abandoned(question, user_data);
    assert_int_equal(pusherc_auth_question(called.request), question);
    assert_int_equal(pusherc_auth_deny(called.request, 0, NULL), PUSHERC_ECANCELED);
    called.request = NULL;
}

static void open_called(struct host *h, void (*hook)(uint64_t, void *), enum ending ending)
{
    pusherc_rule rule = PUSHERC_RULE_INIT;
    pusherc_hooks hooks = PUSHERC_HOOKS_INIT;
    pusherc_server_options o = options_for(ending);
    called.request = NULL;
    called.abandoned = 0;
    hooks.user_data = h;
    hooks.on_abandoned = hook;
    o.hooks = &hooks;
    open_host(h, THREADS, &o, 0);
    rule.pattern = "{name...}";
    rule.authorize = keep_request;
    rule.replaces = true;
    assert_int_equal(pusherc_server_add_rule(h->server, &rule, NULL), 0);
}

static void a_host_that_is_called_hears_which_question_nothing_waits_for(void **state)
{
    (void)state;
    for (enum ending ending = UNSUBSCRIBES; ending <= SERVER_STOPS; ending++) {
        struct host h;
        open_called(&h, note_abandoned, ending);
        int fd = establish(&h);
        subscribe(fd, "private-a");
        while (!called.request)
            turn(&h);
        uint64_t question = pusherc_auth_question(called.request);
        assert_true(question > 0 && !called.abandoned);
        end_wait(&h, fd, ending);
        while (!called.abandoned)
            turn(&h);
        assert_int_equal(called.abandoned, question);
        assert_true(pusherc_auth_allow(called.request, NULL) != 0);
        nothing_comes(&h); /* it was asked by a call, so its end is no message */
        close(fd);
        close_host(&h);
    }
}

static void the_hook_may_answer_what_was_abandoned(void **state)
{
    struct host h;
    (void)state;
    open_called(&h, note_and_answer, UNSUBSCRIBES);
    int fd = establish(&h);
    subscribe(fd, "private-a");
    while (!called.request)
        turn(&h);
    unsubscribe(fd, "private-a");
    wait_for_questions(&h, 0);
    assert_true(called.abandoned > 0);
    subscribe(fd, "private-a"); /* an answer in time ends without the hook */
    while (!called.request)
        turn(&h);
    called.abandoned = 0;
    assert_int_equal(pusherc_auth_allow(called.request, NULL), 0);
    assert_true(hears(&h, fd, "subscription_succeeded"));
    assert_int_equal(called.abandoned, 0);
    close(fd);
    close_host(&h);
}

/* -- options -- */

static void ignore_open(const pusherc_conn *conn, void *user_data)
{
    (void)conn;
    ++*(_Atomic int *)user_data;
}

static void a_host_calls_and_messages_side_by_side(void **state)
{
    struct host h;
    _Atomic int opened = 0;
    pusherc_hooks hooks = PUSHERC_HOOKS_INIT;
    pusherc_server_options o = usual;
    (void)state;
    hooks.user_data = &opened;
    hooks.on_open = ignore_open;
    o.hooks = &hooks;
    o.inbox_messages = BIT(CLOSE);
    open_host(&h, THREADS, &o, 0);
    close(establish(&h));
    next_is(&h, PUSHERC_MESSAGE_CLOSE);
    assert_int_equal(opened, 1);
    close_host(&h);
}

static int new_server(pusherc_server_options *o, const char *says)
{
    pusherc_errinfo info = {0};
    pusherc_server *server;
    int err = pusherc_server_new(&server, o, &info);
    pusherc_server_free(server);
    if (says)
        assert_non_null(strstr(info.text, says));
    return err;
}

static void who_is_online_can_be_a_message(void **state)
{
    struct host h;
    pusherc_server_options o = usual;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    (void)state;
    o.inbox_messages = BIT(USER) | BIT(IDENTIFY);
    open_host(&h, POLLED, &o, 0);
    app.id = "app-id", app.key = "app-key", app.secret = "app-secret";
    app.user_events = true;
    app.offline_delay_ms = PUSHERC_NO_DELAY;
    assert_int_equal(pusherc_server_put_app(h.server, &app, NULL), 0);
    pusherc_identity who = PUSHERC_IDENTITY_INIT;
    who.user_id = pusherc_slice_of("ann");
    int fd = dial(&h);
    ws_client_send(fd, ws_client_upgrade);
    assert_int_equal(pusherc_identify_accept(next_is(&h, PUSHERC_MESSAGE_IDENTIFY).request, &who),
                     0);
    pusherc_message m = next_is(&h, PUSHERC_MESSAGE_USER);
    assert_true(is(m.user_id, "ann") && is(m.app_id, "app-id") && m.number == 1 && m.b == 1);
    close(fd);
    m = next_is(&h, PUSHERC_MESSAGE_USER);
    assert_true(is(m.user_id, "ann") && m.number == 0 && m.b == 2);
    assert_int_equal(pusherc_server_mute(h.server, BIT(USER)), 0);
    close_host(&h);
}

static void a_receipt_can_be_a_message(void **state)
{
    struct host h;
    pusherc_server_options o = usual;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    pusherc_event event = PUSHERC_EVENT_INIT;
    pusherc_slice channel = pusherc_slice_of("news");
    (void)state;
    o.inbox_messages = BIT(RECEIPT) | BIT(IDENTIFY);
    open_host(&h, POLLED, &o, 0);
    app.id = "app-id", app.key = "app-key", app.secret = "app-secret";
    app.receipts = "news id=id shown=client-read";
    assert_int_equal(pusherc_server_put_app(h.server, &app, NULL), 0);
    pusherc_identity who = PUSHERC_IDENTITY_INIT;
    who.user_id = pusherc_slice_of("ann");
    int fd = dial(&h);
    ws_client_send(fd, ws_client_upgrade);
    assert_int_equal(pusherc_identify_accept(next_is(&h, PUSHERC_MESSAGE_IDENTIFY).request, &who),
                     0);
    assert_true(hears(&h, fd, "connection_established"));
    subscribe(fd, "news");
    assert_true(hears(&h, fd, "subscription_succeeded"));
    event.name = pusherc_slice_of("e");
    event.channels = &channel, event.channel_count = 1;
    event.data = pusherc_slice_of("{\"id\":7}");
    assert_int_equal(pusherc_publish(h.server, "app-id", &event), 0);
    pusherc_message m = next_is(&h, PUSHERC_MESSAGE_RECEIPT);
    assert_true(is(m.user_id, "ann") && is(m.app_id, "app-id") && is(m.channel, "news") &&
                is(m.name, "e") && is(m.data, "7") && m.a > 0 && m.socket_id.a);
    assert_int_equal(m.number, PUSHERC_RECEIPT_WRITTEN);
    ws_client_say(fd, "{\"event\":\"client-read\",\"channel\":\"news\",\"data\":{\"id\":7}}");
    assert_int_equal(next_is(&h, PUSHERC_MESSAGE_RECEIPT).number, PUSHERC_RECEIPT_SHOWN);
    close(fd);
    close_host(&h);
}

static void a_muted_notice_is_not_put(void **state)
{
    struct host h;
    pusherc_server_options o = usual;
    pusherc_server *without;
    (void)state;
    o.inbox_messages = BIT(OPEN) | BIT(CHANNEL);
    open_host(&h, POLLED, &o, 0);
    assert_int_equal(pusherc_server_mute(h.server, BIT(OPEN) | BIT(CHANNEL)), 0);
    int first = establish(&h);
    nothing_comes(&h);

    assert_int_equal(pusherc_server_mute(h.server, BIT(CHANNEL)), 0);
    int second = establish(&h);
    next_is(&h, PUSHERC_MESSAGE_OPEN);
    assert_int_equal(pusherc_server_mute(h.server, BIT(RECEIPT) | BIT(EPHEMERAL_END)), 0);
    assert_int_equal(pusherc_server_mute(h.server, BIT(STOPPED)), PUSHERC_EINVAL);
    assert_int_equal(pusherc_server_mute(h.server, BIT(AUTHORIZE)), PUSHERC_EINVAL);
    assert_int_equal(pusherc_server_mute(NULL, 0), PUSHERC_EINVAL);
    assert_int_equal(pusherc_server_mute(h.server, 0), 0);
    subscribe(first, "news");
    pusherc_message m = next_is(&h, PUSHERC_MESSAGE_CHANNEL);
    assert_int_equal(m.number, PUSHERC_CHANNEL_OCCUPIED);
    close(first);
    close(second);
    close_host(&h);

    assert_int_equal(pusherc_server_new(&without, NULL, NULL), 0);
    assert_int_equal(pusherc_server_mute(without, BIT(OPEN)), PUSHERC_ESTATE);
    pusherc_server_free(without);
}

static void a_hook_wanted_both_ways_is_refused(void **state)
{
    pusherc_inbox *inbox;
    pusherc_hooks hooks = PUSHERC_HOOKS_INIT;
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    (void)state;
    assert_int_equal(pusherc_inbox_new(&inbox, NULL), 0);
    hooks.on_open = ignore_open;
    o.hooks = &hooks;
    o.inbox_messages = BIT(CLOSE);
    assert_int_equal(new_server(&o, "there is no inbox"), PUSHERC_EINVAL);
    o.inbox = inbox;
    assert_int_equal(new_server(&o, NULL), 0);
    o.inbox_messages = BIT(OPEN);
    assert_int_equal(new_server(&o, "on_open"), PUSHERC_EINVAL);
    o.inbox_messages = 1;
    assert_int_equal(new_server(&o, "bit of no message type"), PUSHERC_EINVAL);
    o.inbox_messages = 2u << PUSHERC_MESSAGE_EPHEMERAL_END;
    assert_int_equal(new_server(&o, "bit of no message type"), PUSHERC_EINVAL);
    o.inbox_messages = BIT(LOG);
    assert_int_equal(new_server(&o, NULL), 0);
    o.log_fn = pusherc_log_to_stderr;
    assert_int_equal(new_server(&o, "log_fn"), PUSHERC_EINVAL);
    pusherc_inbox_free(inbox);
    pusherc_inbox_free(NULL);
    assert_int_equal(pusherc_inbox_new(NULL, NULL), PUSHERC_EINVAL);
    pusherc_allocator no_functions = {0};
    pusherc_inbox_options i = PUSHERC_INBOX_OPTIONS_INIT;
    i.allocator = &no_functions;
    assert_int_equal(pusherc_inbox_new(&inbox, &i), PUSHERC_EINVAL);
    assert_null(inbox);
}

static void a_rule_is_asked_in_one_way(void **state)
{
    pusherc_inbox *inbox;
    pusherc_server *server;
    pusherc_rule rule = PUSHERC_RULE_INIT;
    pusherc_errinfo info;
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    (void)state;
    rule.pattern = "a";
    rule.inbox = true;
    assert_int_equal(pusherc_server_new(&server, &o, NULL), 0);
    assert_int_equal(pusherc_server_add_rule(server, &rule, &info), PUSHERC_EINVAL);
    assert_non_null(strstr(info.text, "no inbox"));
    pusherc_server_free(server);
    assert_int_equal(pusherc_inbox_new(&inbox, NULL), 0);
    o.inbox = inbox;
    assert_int_equal(pusherc_server_new(&server, &o, NULL), 0);
    rule.authorize = keep_request;
    assert_int_equal(pusherc_server_add_rule(server, &rule, &info), PUSHERC_EINVAL);
    rule.authorize = NULL;
    rule.gather_ms = 5;
    assert_int_equal(pusherc_server_add_rule(server, &rule, &info), PUSHERC_EINVAL);
    rule.gather_ms = 0;
    assert_int_equal(pusherc_server_add_rule(server, &rule, &info), 0);
    rule.pattern = NULL;
    assert_int_equal(pusherc_server_add_rule(server, &rule, &info), PUSHERC_EINVAL);
    pusherc_server_free(server);
    pusherc_inbox_free(inbox);
}

/* -- the end, in any order -- */

static void an_inbox_may_be_freed_before_its_servers(void **state)
{
    (void)state;
    for (enum mode mode = THREADS; mode <= POLLED; mode++) {
        struct host h;
        open_host(&h, mode, &usual, 0);
        int fd = establish(&h);
        subscribe(fd, "private-a");
        pusherc_message taken = next_is(&h, PUSHERC_MESSAGE_AUTHORIZE);
        subscribe(fd, "private-b");
        while (!readable(&h))
            turn(&h);
        pusherc_inbox_free(h.inbox);
        /* what was not taken, and all that comes, is answered as silence would */
        assert_true(hears(&h, fd, "The application did not answer in time"));
        subscribe(fd, "private-c");
        assert_true(hears(&h, fd, "private-c"));
        assert_int_equal(pusherc_auth_allow(taken.request, NULL), 0);
        assert_true(hears(&h, fd, "subscription_succeeded"));
        close(fd);
        free_server(&h);
        assert_int_equal(failing_alloc_live(&h.alloc), 0);
    }
}

static void questions_outlive_inbox_and_server(void **state)
{
    (void)state;
    for (int order = 0; order < 4; order++) {
        struct host h;
        open_host(&h, POLLED, &usual, 0);
        int fd = establish(&h);
        subscribe(fd, "private-a");
        subscribe(fd, "private-b");
        pusherc_message taken = next_is(&h, PUSHERC_MESSAGE_AUTHORIZE);
        while (!readable(&h)) /* the other one waits */
            turn(&h);
        if (order == 0 || order == 3)
            free_server(&h);
        if (order == 3) /* ABANDONED waits as well */
            assert_int_equal(pusherc_auth_deny(taken.request, 0, NULL), PUSHERC_ECANCELED);
        pusherc_inbox_free(h.inbox);
        if (order == 1)
            free_server(&h);
        if (order < 3)
            assert_int_equal(pusherc_auth_allow(taken.request, NULL),
                             order == 2 ? 0 : PUSHERC_ECANCELED);
        if (order == 2)
            free_server(&h);
        close(fd);
        assert_int_equal(failing_alloc_live(&h.alloc), 0);
    }
}

/* Returns 0 if a child finds nothing, and can free everything. */
static int be_a_child(struct host *h, pusherc_auth_request *taken)
{
    pusherc_message message;
    if (pusherc_inbox_take(h->inbox, &message, sizeof message, 1, 0) != 0)
        return 1;
    if (pusherc_auth_allow(taken, NULL) != PUSHERC_ESTATE)
        return 2;
    pusherc_server_free(h->server);
    pusherc_inbox_free(h->inbox);
    return 0;
}

static void a_forked_child_takes_nothing_from_its_parent(void **state)
{
    struct host h;
    int status;
    (void)state;
    open_host(&h, THREADS, &usual, 0);
    int fd = establish(&h);
    subscribe(fd, "private-a");
    subscribe(fd, "private-b");
    pusherc_message first = next_is(&h, PUSHERC_MESSAGE_AUTHORIZE);
    while (!readable(&h))
        turn(&h);
    pid_t child = fork();
    if (child == 0)
        _exit(be_a_child(&h, first.request));
    assert_true(child > 0);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_true(readable(&h));
    assert_int_equal(pusherc_auth_allow(first.request, NULL), 0);
    pusherc_message second = next_is(&h, PUSHERC_MESSAGE_AUTHORIZE);
    assert_int_equal(pusherc_auth_allow(second.request, NULL), 0);
    assert_true(hears(&h, fd, "subscription_succeeded"));
    close(fd);
    close_host(&h);
}

static void servers_share_an_inbox(void **state)
{
    struct host a, b;
    pusherc_server_options o = usual;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    (void)state;
    o.inbox_messages = BIT(IDENTIFY) | BIT(STOPPED);
    open_host(&a, THREADS, &o, 0);
    memset(&b, 0, sizeof b);
    o.inbox = b.inbox = a.inbox;
    assert_int_equal(pusherc_server_new(&b.server, &o, NULL), 0);
    app.id = "app-id";
    app.key = "app-key";
    app.secret = "app-secret";
    assert_int_equal(pusherc_server_put_app(b.server, &app, NULL), 0);
    assert_int_equal(pusherc_server_listen(b.server, NULL, NULL), 0);
    assert_int_equal(pusherc_server_start(b.server, NULL), 0);
    int fd = dial(&a), other = dial(&b);
    ws_client_send(fd, ws_client_upgrade);
    pusherc_message first = next_is(&a, PUSHERC_MESSAGE_IDENTIFY);
    ws_client_send(other, ws_client_upgrade);
    pusherc_message second = next_is(&b, PUSHERC_MESSAGE_IDENTIFY);
    assert_true(first.id != second.id);
    assert_int_equal(pusherc_identify_accept(first.request, NULL), 0);
    assert_int_equal(pusherc_identify_accept(second.request, NULL), 0);
    assert_true(hears(&a, fd, "connection_established"));
    assert_true(hears(&b, other, "connection_established"));
    stop(&b);
    next_is(&b, PUSHERC_MESSAGE_STOPPED);
    pusherc_server_free(b.server);
    close(other);
    close(fd);
    close_host(&a);
}

/* -- without memory -- */

static void try_to_say(int fd, const char *event, const char *channel)
{
    char frame[6 + 125] = {(char)0x81};
    int len = snprintf(frame + 6, sizeof frame - 6,
                       "{\"event\":\"pusher:%s\",\"data\":{\"channel\":\"%s\"}}", event, channel);
    frame[1] = (char)(0x80 | len);
    (void)!send(fd, frame, 6 + (size_t)len, MSG_NOSIGNAL); /* the server may have closed it */
}

/* Runs a little of everything; whatever fails, it goes on. */
static void live_through(struct host *h)
{
    pusherc_message messages[4];
    int fd = dial(h);
    ws_client_send(fd, ws_client_upgrade);
    for (int round = 0; round < 16; round++) {
        pusherc_server_poll(h->server, 0);
        if (round == 5)
            (void)pusherc_reauthorize(h->server, "app-id", NULL, NULL, NULL);
        if (round == 8) {
            try_to_say(fd, "subscribe", "presence-b");
            try_to_say(fd, "unsubscribe", "presence-b");
        }
        if (round == 3)
            try_to_say(fd, "subscribe", "private-a");
        size_t n = pusherc_inbox_take(h->inbox, messages, sizeof *messages, 4, 0);
        for (size_t i = 0; i < n; i++) {
            if (messages[i].type == PUSHERC_MESSAGE_IDENTIFY)
                (void)pusherc_identify_accept(messages[i].request, NULL);
            if (messages[i].type == PUSHERC_MESSAGE_AUTHORIZE)
                (void)pusherc_auth_allow(messages[i].request, NULL);
        }
    }
    close(fd);
}

static void no_memory_costs_a_message_or_a_client_and_nothing_else(void **state)
{
    bool failed = true;
    (void)state;
    for (size_t n = 1; failed; n++) {
        struct host h;
        pusherc_server_options o = usual;
        o.inbox_messages = ((2u << PUSHERC_MESSAGE_STOPPED) - 2);
        o.log_level = PUSHERC_LOG_DEBUG;
        memset(&h, 0, sizeof h);
        h.allocator = failing_alloc_init(&h.alloc, n);
        if (try_open(&h, POLLED, &o, 0) == 0)
            live_through(&h);
        failed = failing_alloc_hit(&h.alloc);
        close_host(&h);
    }
}

/* -- threads -- */

#define CLIENTS 4
#define ROUNDS  60

struct answers {
    struct host *host;
    _Atomic bool over;
    _Atomic uint64_t taken, answered, abandoned;
    pusherc_message queue[4096];
    size_t head, tail;
    pthread_mutex_t mutex;
};

static bool pop(struct answers *a, pusherc_message *out)
{
    pthread_mutex_lock(&a->mutex);
    bool any = a->head < a->tail;
    if (any)
        *out = a->queue[a->head++ % 4096];
    pthread_mutex_unlock(&a->mutex);
    return any;
}

/* A thread that works on questions, while another one takes. */
static void *work(void *arg)
{
    struct answers *a = arg;
    pusherc_message m;
    while (!a->over || a->head < a->tail) {
        if (!pop(a, &m)) {
            usleep(100);
            continue;
        }
        if (m.id % 3 == 0)
            usleep(300);
        (void)pusherc_auth_allow(m.request, NULL);
        a->answered++;
    }
    return NULL;
}

static void *take_all(void *arg)
{
    struct answers *a = arg;
    pusherc_message messages[16];
    for (;;) {
        bool last = a->over;
        size_t n = pusherc_inbox_take(a->host->inbox, messages, sizeof *messages, 16, 5);
        for (size_t i = 0; i < n; i++) {
            if (messages[i].type != PUSHERC_MESSAGE_AUTHORIZE) {
                a->abandoned += messages[i].type == PUSHERC_MESSAGE_ABANDONED;
                continue;
            }
            a->taken++;
            pthread_mutex_lock(&a->mutex);
            a->queue[a->tail++ % 4096] = messages[i];
            pthread_mutex_unlock(&a->mutex);
        }
        if (last && n == 0)
            return NULL;
    }
}

static void *chat(void *arg)
{
    struct host *h = arg;
    int fd = establish(h);
    char channel[32];
    for (int i = 0; i < ROUNDS; i++) {
        snprintf(channel, sizeof channel, "private-%d", i);
        subscribe(fd, channel);
        if (i % 2)
            unsubscribe(fd, channel);
        if (i % 10 == 9) {
            close(fd);
            fd = establish(h);
        }
    }
    subscribe(fd, "private-last");
    assert_true(hears(h, fd, "private-last")); /* it is answered, after all the others */
    close(fd);
    return NULL;
}

static void questions_of_many_clients_are_answered_by_other_threads(void **state)
{
    struct host h;
    static struct answers a;
    pthread_t clients[CLIENTS], taker, workers[2];
    pusherc_server_options o = usual;
    (void)state;
    o.inbox_messages = BIT(ABANDONED) | BIT(OPEN) | BIT(CLOSE) | BIT(CHANNEL);
    open_host(&h, THREADS, &o, 64);
    a.host = &h;
    pthread_mutex_init(&a.mutex, NULL);
    pthread_create(&taker, NULL, take_all, &a);
    for (int i = 0; i < 2; i++)
        pthread_create(&workers[i], NULL, work, &a);
    for (int i = 0; i < CLIENTS; i++)
        pthread_create(&clients[i], NULL, chat, &h);
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(clients[i], NULL);
    wait_for_questions(&h, 0); /* each was answered, also those that were taken back */
    a.over = true;
    pthread_join(taker, NULL);
    for (int i = 0; i < 2; i++)
        pthread_join(workers[i], NULL);
    assert_true(a.taken > 0);
    assert_int_equal(a.answered, a.taken);
    assert_true(a.abandoned <= a.taken);
    pthread_mutex_destroy(&a.mutex);
    close_host(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_of_the_host_comes_as_a_message_in_every_mode),
        cmocka_unit_test(lines_of_the_log_are_messages),
        cmocka_unit_test(a_host_calls_and_messages_side_by_side),
        cmocka_unit_test(the_descriptor_is_readable_as_long_as_something_waits),
        cmocka_unit_test(a_bell_is_readable_from_ring_to_hush),
        cmocka_unit_test(what_a_worker_gathers_in_a_turn_comes_in_one_go),
        cmocka_unit_test(a_host_with_older_headers_gets_what_it_knows),
        cmocka_unit_test(overload_answers_at_once_as_silence_would),
        cmocka_unit_test(a_client_that_cannot_be_identified_is_closed_as_after_silence),
        cmocka_unit_test(an_abandoned_question_is_told_by_its_number),
        cmocka_unit_test(nothing_is_told_of_a_question_after_its_answer),
        cmocka_unit_test(a_question_that_ends_before_it_is_taken_never_comes),
        cmocka_unit_test(a_host_that_is_called_hears_which_question_nothing_waits_for),
        cmocka_unit_test(the_hook_may_answer_what_was_abandoned),
        cmocka_unit_test(who_is_online_can_be_a_message),
        cmocka_unit_test(a_receipt_can_be_a_message),
        cmocka_unit_test(a_muted_notice_is_not_put),
        cmocka_unit_test(a_hook_wanted_both_ways_is_refused),
        cmocka_unit_test(a_rule_is_asked_in_one_way),
        cmocka_unit_test(an_inbox_may_be_freed_before_its_servers),
        cmocka_unit_test(questions_outlive_inbox_and_server),
        cmocka_unit_test(a_forked_child_takes_nothing_from_its_parent),
        cmocka_unit_test(servers_share_an_inbox),
        cmocka_unit_test(no_memory_costs_a_message_or_a_client_and_nothing_else),
        cmocka_unit_test(questions_of_many_clients_are_answered_by_other_threads),
    };
    return cmocka_run_group_tests_name("inbox", tests, NULL, NULL);
}
