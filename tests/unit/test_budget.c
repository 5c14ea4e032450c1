/*
 * What one connection may use (net/budget.h) and hold (docs/operations.md, "What one connection may use"). A server
 * that is polled in this thread, and raw sockets. The allocator counts bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pusherc/pusherc.h>

#include "net/conn.h"
#include "server/server.h"
#include "session/joining.h"

#define FRAME_HEAD 4096 /* what wslay keeps of an incomplete message, beside the allocator */

/* -- memory -- */

struct block {
    size_t size;
    max_align_t bytes[];
};

static size_t held_bytes;

static void *counted_realloc(void *ptr, size_t size, void *user_data)
{
    struct block *block = ptr ? (void *)((char *)ptr - offsetof(struct block, bytes)) : NULL;
    size_t before = block ? block->size : 0;
    (void)user_data;
    block = realloc(block, sizeof *block + size);
    if (!block)
        return NULL;
    block->size = size;
    held_bytes += size - before;
    return block->bytes;
}

static void *counted_malloc(size_t size, void *user_data)
{
    return counted_realloc(NULL, size, user_data);
}

static void counted_free(void *ptr, void *user_data)
{
    (void)user_data;
    if (!ptr)
        return;
    struct block *block = (void *)((char *)ptr - offsetof(struct block, bytes));
    held_bytes -= block->size;
    free(block);
}

static const pusherc_allocator counted = {
    .malloc_fn = counted_malloc, .realloc_fn = counted_realloc, .free_fn = counted_free};

/* -- a server and its clients -- */

static pusherc_server *server;
static int receive_buffer; /* of the clients, in bytes; 0 = the system's */

static void start(const pusherc_server_options *options, const pusherc_app_options *app)
{
    pusherc_server_options o = *options;
    o.worker_count = PUSHERC_WORKERS_NONE;
    o.allocator = &counted;
    o.log_level = PUSHERC_LOG_OFF;
    assert_int_equal(pusherc_server_new(&server, &o, NULL), 0);
    assert_int_equal(pusherc_server_put_app(server, app, NULL), 0);
    assert_int_equal(pusherc_server_listen(server, NULL, NULL), 0);
    assert_int_equal(pusherc_server_start(server, NULL), 0);
}

static pusherc_app_options app_options(void)
{
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    app.id = app.key = app.secret = "a";
    return app;
}

static int stop(void **state)
{
    (void)state;
    pusherc_server_free(server);
    server = NULL;
    receive_buffer = 0;
    return held_bytes != 0;
}

static void turn(void)
{
    assert_true(pusherc_server_poll(server, 0) >= 0);
}

static int dial(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    to.sin_port = htons(pusherc_server_port(server, 0));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* All of it, while the server reads. */
static void put(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        } else if (errno != EAGAIN) {
            return; /* the server has ended the connection */
        } else {
            turn();
        }
    }
}

/* Appends what is there to `text`; returns how many bytes came. */
static size_t get(int fd, char *text, size_t size)
{
    size_t len = strlen(text);
    ssize_t n = recv(fd, text + len, size - 1 - len, MSG_DONTWAIT);
    if (n > 0)
        text[len + (size_t)n] = '\0';
    for (ssize_t i = 0; i < n; i++) /* a header of a frame may have zeros */
        if (text[len + (size_t)i] == '\0')
            text[len + (size_t)i] = '0';
    return n > 0 ? (size_t)n : 0;
}

/* Reads until the text comes. Returns how often the letter stood before its end. */
static size_t wait_and_count(int fd, const char *what, char letter)
{
    char text[65536] = "";
    size_t count = 0;
    for (int i = 0; i < 5000 && !strstr(text, what); i++) {
        pusherc_server_poll(server, 1);
        if (strlen(text) > 60000)
            memmove(text, text + 30000, strlen(text + 30000) + 1);
        size_t n = get(fd, text, sizeof text);
        for (const char *c = text + strlen(text) - n; *c; c++)
            count += *c == letter;
    }
    if (!strstr(text, what))
        fail_msg("no \"%s\" in \"%.300s\"", what, text);
    return count;
}

static void wait_for(int fd, const char *what)
{
    (void)wait_and_count(fd, what, '\0');
}

static int websocket(void)
{
    static const char head[] = "GET /app/a?protocol=7 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                               "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    int fd = dial();
    put(fd, head, strlen(head));
    wait_for(fd, "connection_established");
    return fd;
}

/* A client's frame with a mask of zeros; returns its length. */
static size_t frame(char *out, unsigned first, const char *payload, size_t len)
{
    size_t n = 2;
    out[0] = (char)first;
    out[1] = (char)(0x80 | (len < 126 ? len : len < 65536 ? 126 : 127));
    for (int bytes = len < 126 ? 0 : len < 65536 ? 2 : 8; bytes > 0; bytes--)
        out[n++] = (char)((uint64_t)len >> (8 * (bytes - 1)));
    memset(out + n, 0, 4);
    memcpy(out + n + 4, payload, len);
    return n + 4 + len;
}

static void say(int fd, const char *text)
{
    char bytes[1024];
    put(fd, bytes, frame(bytes, 0x81, text, strlen(text)));
}

static char *many(const char *one, size_t len, size_t count)
{
    char *all = malloc(len * count);
    assert_non_null(all);
    for (size_t i = 0; i < count; i++)
        memcpy(all + i * len, one, len);
    return all;
}

static uint64_t messages_in(void)
{
    return atomic_load(&server->engine.workers[0].stats.messages_in);
}

/* The setup "jumps" of the unit tests. */
static bool clock_jumps(void)
{
    const char *preloaded = getenv("LD_PRELOAD");
    return preloaded && strstr(preloaded, "clock_jumps");
}

/* -- time -- */

/* Writes as much as fits in the sockets' buffers. */
static size_t flood(int fd, const char *bytes, size_t len)
{
    ssize_t n = send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n > 0 ? (size_t)n : 0;
}

/* Two messages: the client subscribes, and leaves again. Returns their length. */
static size_t coming_and_going(char out[256])
{
    size_t len =
        frame(out, 0x81, "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"a\"}}", 51);
    return len + frame(out + len, 0x81,
                       "{\"event\":\"pusher:unsubscribe\",\"data\":{\"channel\":\"a\"}}", 53);
}

static void a_flood_of_messages_waits_for_its_next_share(void **state)
{
    enum {
        COUNT = 20000
    };
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = app_options();
    char one[256], ping[64];
    (void)state;
    app.max_client_messages_per_s = PUSHERC_NO_LIMIT;
    start(&o, &app);
    int hostile = websocket(), honest = websocket();
    size_t len = coming_and_going(one);
    char *all = many(one, len, COUNT);
    size_t sent = 2 * (flood(hostile, all, len * COUNT) / len);
    assert_true(sent > 1500);
    put(honest, ping, frame(ping, 0x81, "{\"event\":\"pusher:ping\"}", 23));
    uint64_t before = messages_in();
    wait_for(honest, "pusher:pong");
    /* two shares were handled before it, not the read buffer's 1,150 messages */
    assert_in_range(messages_in() - before, 2, 800);
    for (int i = 0; i < 10000 && messages_in() - before < sent + 1; i++)
        turn();
    assert_int_equal(messages_in() - before, sent + 1); /* and none of them is lost */
    free(all);
    close(hostile);
    close(honest);
}

static void a_flood_of_requests_waits_for_its_next_share(void **state)
{
    static const char request[] = "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n";
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = app_options();
    int hostile[20];
    char ping[64];
    (void)state;
    start(&o, &app);
    int honest = websocket();
    char *all = many(request, strlen(request), 1000);
    for (size_t i = 0; i < 20; i++)
        hostile[i] = dial();
    for (size_t i = 0; i < 20; i++)
        flood(hostile[i], all, 1000 * strlen(request));
    put(honest, ping, frame(ping, 0x81, "{\"event\":\"pusher:ping\"}", 23));
    const _Atomic uint64_t *requests = &server->engine.workers[0].stats.http_requests;
    wait_for(honest, "pusher:pong");
    assert_in_range(*requests, 1, 5000); /* two shares for all of them together */
    free(all);
    for (size_t i = 0; i < 20; i++)
        close(hostile[i]);
    close(honest);
}

/* Connections that wait in the kernel's set, without events; all, or those that were reset. */
static size_t muted(bool were_reset)
{
    size_t n = 0;
    PC_LIST_EACH(l, &server->loops[0].conns) {
        const struct pc_conn *conn = PC_CONTAINER(l, struct pc_conn, of_loop);
        struct sockaddr_in peer;
        socklen_t size = sizeof peer;
        if (!were_reset || getpeername(conn->fd, (struct sockaddr *)&peer, &size) != 0)
            n += conn->muted;
    }
    return n;
}

/* The loop has more to do, whether something happens or not. */
static bool may_not_sleep(void)
{
    return uv_is_active((uv_handle_t *)&server->loops[0].unfinished);
}

static uint64_t connections(void)
{
    pusherc_stats stats = PUSHERC_STATS_INIT;
    assert_int_equal(pusherc_server_stats(server, &stats), 0);
    return stats.connections;
}

static void reset(int fd)
{
    const struct linger now = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

static void clients_that_wait_for_their_shares_may_end(void **state)
{
    enum {
        CLIENTS = 90
    };
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = app_options();
    char one[256], ping[64];
    int clients[CLIENTS];
    const size_t count = clock_jumps() ? 10 : 200; /* there a share is one message */
    (void)state;
    app.max_client_messages_per_s = PUSHERC_NO_LIMIT;
    start(&o, &app);
    for (size_t i = 0; i < CLIENTS; i++)
        clients[i] = websocket();
    size_t len = coming_and_going(one);
    char *all = many(one, len, count);
    for (size_t i = 0; i < CLIENTS; i++)
        assert_int_equal(flood(clients[i], all, len * count), len * count);
    turn();
    assert_true(muted(false) >= CLIENTS / 3);
    for (size_t i = 0; i < CLIENTS; i += 3) {
        reset(clients[i]);
        shutdown(clients[i + 1], SHUT_WR);
    }
    turn();
    assert_int_equal(muted(true), 0); /* their errors are not reported again and again */
    size_t ping_len = frame(ping, 0x81, "{\"event\":\"pusher:ping\"}", 23);
    for (size_t i = 2; i < CLIENTS; i += 3) {
        put(clients[i], ping, ping_len);
        wait_for(clients[i], "pusher:pong");
    }
    for (int i = 0; i < 5000 && connections() > CLIENTS / 3; i++)
        pusherc_server_poll(server, 1);
    assert_int_equal(connections(), CLIENTS / 3);
    assert_int_equal(muted(false), 0);
    assert_false(may_not_sleep());
    free(all);
    for (size_t i = 0; i < CLIENTS; i++)
        if (i % 3)
            close(clients[i]);
}

static uint64_t subscriptions(void)
{
    return atomic_load(&server->engine.workers[0].stats.subscriptions);
}

static void clients_that_come_back_at_once_hold_up_no_other(void **state)
{
    enum {
        CLIENTS = 90,
        EVENTS = 400
    };
    static const char resume[] =
        "{\"event\":\"pusher:resume\",\"data\":{\"channels\":{\"a\":\"\"}}}";
    static const char subscribe[] = "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"a\"}}";
    const pusherc_history_pattern history = {
        .struct_size = sizeof history, .pattern = "a", .max_events = EVENTS};
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = app_options();
    char data[1000], both[256], ping[64];
    int clients[CLIENTS];
    (void)state;
    app.history = &history;
    app.history_count = 1;
    start(&o, &app);
    memset(data, 'x', sizeof data);
    for (int i = 0; i < EVENTS; i++)
        assert_int_equal(pusherc_publish_to(server, "a", "a", 1, "e", 1, data, sizeof data, NULL),
                         0);
    int honest = websocket();
    size_t len = frame(both, 0x81, resume, strlen(resume));
    len += frame(both + len, 0x81, subscribe, strlen(subscribe));
    for (size_t i = 0; i < CLIENTS; i++)
        clients[i] = websocket();
    for (size_t i = 0; i < CLIENTS; i++)
        assert_int_equal(flood(clients[i], both, len), len);
    put(honest, ping, frame(ping, 0x81, "{\"event\":\"pusher:ping\"}", 23));
    wait_for(honest, "pusher:pong");
    if (!clock_jumps()) /* there a turn has time for one message */
        assert_true(subscriptions() < CLIENTS / 2);
    assert_true(subscriptions() == CLIENTS || may_not_sleep());
    server->engine.workers[0].queued_bytes += PC_JOINS_BYTES; /* as if clients did not read */
    for (int i = 0; i < 20000 && subscriptions() < CLIENTS; i++) {
        assert_in_range(pusherc_server_wait_ms(server), 0, PC_JOINS_MS);
        pusherc_server_poll(server, PC_JOINS_MS);
    }
    server->engine.workers[0].queued_bytes -= PC_JOINS_BYTES;
    assert_int_equal(subscriptions(), CLIENTS);
    for (int i = 0; i < 20000 && may_not_sleep(); i++)
        turn();
    assert_false(may_not_sleep());
    for (size_t i = 0; i < CLIENTS; i++)
        close(clients[i]);
    close(honest);
}

/* -- rate -- */

static void who_sends_too_much_is_read_more_slowly_and_loses_nothing(void **state)
{
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = app_options();
    char one[64];
    (void)state;
    app.max_client_messages_per_s = 500;
    app.max_channels_per_connection = 90;
    start(&o, &app);
    int hostile = websocket(), honest = websocket();
    size_t len = frame(one, 0x81, "{\"event\":\"pusher:ping\"}", 23);
    char *all = many(one, len, 800);
    uint64_t before = messages_in();
    assert_int_equal(flood(hostile, all, 800 * len), 800 * len);
    for (int i = 0; i < 2000 && messages_in() - before < 600; i++)
        turn();
    for (int i = 0; i < 20 && !getenv("LD_PRELOAD");
         i++) /* where the clock jumps, it has paid again */
        turn();
    /* a second's worth, and as many as it may have channels; a loaded machine gives it more time */
    uint64_t at_once = messages_in() - before;
    assert_in_range(at_once, 600, 799);
    put(honest, one, len);
    wait_for(honest, "pusher:pong");
    for (int i = 0; i < 5000 && messages_in() - before < 801; i++)
        pusherc_server_poll(server, 1);
    assert_int_equal(messages_in() - before, 801);
    free(all);
    close(hostile);
    close(honest);
}

/* -- memory -- */

/* What a client sends that does not read, and the most that the server held for it, above what it held at first. */
struct push {
    const char *bytes;
    size_t len, sent, before, most;
};

static struct push push_begin(const char *bytes, size_t len)
{
    return (struct push){.bytes = bytes, .len = len, .before = held_bytes};
}

static void push(struct push *p, int fd)
{
    p->sent += flood(fd, p->bytes + p->sent, p->len - p->sent);
    pusherc_server_poll(server, 1);
    if (held_bytes > p->before + p->most)
        p->most = held_bytes - p->before;
}

static size_t most_held(int fd, const char *bytes, size_t len, int turns)
{
    struct push p = push_begin(bytes, len);
    while (turns-- > 0)
        push(&p, fd);
    return p.most;
}

#define SMALL_HARD 1000000

static void small_queue(pusherc_server_options *o)
{
    o->out_soft_bytes = 100000;
    o->out_hard_bytes = SMALL_HARD; /* more than one turn's answers, also on a fast processor */
}

static void who_does_not_read_holds_its_queue_and_no_more(void **state)
{
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = app_options();
    char one[256];
    (void)state;
    app.max_client_messages_per_s = PUSHERC_NO_LIMIT;
    small_queue(&o);
    start(&o, &app);
    receive_buffer = 4096; /* the kernel takes little */
    int fd = websocket();
    size_t len = frame(one, 0x81, "{\"event\":\"pusher:ping\"}", 23);
    char *all = many(one, len, 400000);
    struct push p = push_begin(all, 400000 * len);
    for (int i = 0, full = 0; i < 100000 && full < 300; i++) {
        push(&p, fd);
        full += p.most > 60000;
    }
    /* the queue, one turn's answers, the input behind them, and the queue's chunks, of which the worker keeps some */
    if (p.most < 50000 || p.most > SMALL_HARD + 65536 + 64 * 1024)
        fail_msg("%zu bytes", p.most);
    free(all);
    close(fd);
}

/* However much it may ask in its share of the time. */
static void answers_that_wait_hold_up_the_input_behind_them(void **state)
{
    enum {
        PINGS = 2000,
        SOFT = 8192, /* forty answers */
    };
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = app_options();
    char one[64];
    (void)state;
    app.max_client_messages_per_s = PUSHERC_NO_LIMIT;
    o.out_soft_bytes = SOFT;
    start(&o, &app);
    int fd = websocket();
    size_t len = frame(one, 0x81, "{\"event\":\"pusher:ping\"}", 23);
    char *all = many(one, len, PINGS);
    assert_int_equal(flood(fd, all, PINGS * len), PINGS * len);
    uint64_t before = messages_in();
    turn(); /* as many as poll mode does in one go */
    assert_in_range(messages_in() - before, 1, 5 * SOFT / 200);
    say(fd, "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"a\"}}");
    assert_int_equal(wait_and_count(fd, "subscription_succeeded", 'g'), PINGS);
    free(all);
    close(fd);
}

static void only_the_newest_ping_waits_for_its_answer(void **state)
{
    enum {
        PINGS = 100000 /* several times what the kernel takes of their answers */
    };
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = app_options();
    char one[256], payload[126];
    (void)state;
    app.max_client_messages_per_s = PUSHERC_NO_LIMIT;
    start(&o, &app);
    receive_buffer = 4096;
    int fd = websocket();
    memset(payload, 'p', sizeof payload);
    size_t len = frame(one, 0x89, payload, 125);
    char *all = many(one, len, PINGS);
    struct push p = push_begin(all, PINGS * len);
    for (int i = 0; i < 3000 && p.sent < p.len; i++)
        push(&p, fd);
    if (p.most > 300000) /* a turn's pongs, before the kernel takes no more */
        fail_msg("%zu bytes", p.most);
    /* The newest is answered when the client reads again. Where the clock jumps, the client may have been too late. */
    if (!clock_jumps()) {
        char last[64];
        put(fd, all + p.sent, PINGS * len - p.sent);
        put(fd, last, frame(last, 0x89, "the last one", 12));
        size_t pongs = wait_and_count(fd, "the last one", 'p') / 125;
        if (pongs > PINGS / 2) /* those before it are not */
            fail_msg("%zu pongs", pongs);
    }
    free(all);
    close(fd);
}

static void half_a_message_holds_its_bytes_and_ends(void **state)
{
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = app_options();
    (void)state;
    start(&o, &app);
    server->engine.constants.request_timeout_ms = 200;
    int fd = websocket();
    size_t max = pc_engine_max_frame_bytes(&server->engine);
    char *payload = many("x", 1, max), *bytes = malloc(max + 14), one[64];
    assert_non_null(bytes);
    size_t len = frame(bytes, 0x01, payload, max - 1000);
    size_t most = most_held(fd, bytes, len, 20);
    if (most < max / 2 || most > 2 * max + FRAME_HEAD)
        fail_msg("%zu bytes of %zu", most, max);
    /* also if it comes piece by piece, with other frames between the pieces */
    for (int i = 0; i < 100; i++) {
        put(fd, one, frame(one, i % 2 ? 0x00 : 0x89, "y", 1));
        pusherc_server_poll(server, 10);
    }
    wait_for(fd, "The message took too long");
    close(fd);
    free(payload);
    free(bytes);
}

/* Each client sends what takes many turns, and the turns of all take longer than a message may. */
static void messages_that_the_server_has_not_read_yet_are_not_too_long(void **state)
{
    enum {
        CLIENTS = 20,
        MESSAGES = 1000
    };
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = app_options();
    int fds[CLIENTS];
    char one[64];
    (void)state;
    app.max_client_messages_per_s = PUSHERC_NO_LIMIT;
    start(&o, &app);
    size_t len = frame(one, 0x81, "{\"event\":\"pusher:ping\"}", 23);
    char *all = many(one, len, MESSAGES);
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = websocket();
    server->engine.constants.request_timeout_ms = 1;
    for (int i = 0; i < CLIENTS; i++)
        put(fds[i], all, len * MESSAGES);
    for (int i = 0; i < CLIENTS; i++) {
        for (size_t pongs = 0; pongs < MESSAGES;) {
            char got[4096];
            pusherc_server_poll(server, 1);
            ssize_t n = recv(fds[i], got, sizeof got, MSG_DONTWAIT);
            assert_true(n > 0 || (n < 0 && errno == EAGAIN));
            for (ssize_t at = 0; at < n; at++) {
                assert_true(got[at] != (char)0x88); /* a close */
                pongs += got[at] == (char)0x81;
            }
        }
        close(fds[i]);
    }
    free(all);
}

/* The same with requests. */
static void requests_that_the_server_has_not_read_yet_are_not_too_late(void **state)
{
    enum {
        CLIENTS = 20,
        REQUESTS = 500
    };
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = app_options();
    static const char one[] = "GET /ready HTTP/1.1\r\nHost: a\r\n\r\n";
    int fds[CLIENTS];
    (void)state;
    start(&o, &app);
    char *all = many(one, sizeof one - 1, REQUESTS);
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = dial();
    pusherc_server_poll(server, 1);
    server->engine.constants.request_timeout_ms = 1;
    server->engine.constants.keep_alive_ms = 1;
    server->engine.options.handshake_timeout_ms = 1;
    for (int i = 0; i < CLIENTS; i++)
        put(fds[i], all, (sizeof one - 1) * REQUESTS);
    for (int i = 0; i < CLIENTS; i++) {
        for (size_t answers = 0, seen = 0; answers < REQUESTS;) {
            char got[4096];
            pusherc_server_poll(server, 1);
            ssize_t n = recv(fds[i], got, sizeof got, MSG_DONTWAIT);
            assert_true(n > 0 || (n < 0 && errno == EAGAIN)); /* no end */
            for (ssize_t at = 0; at < n; at++)
                if ((seen = got[at] == "HTTP/1.1 200"[seen] ? seen + 1 : 0) == 12)
                    answers++, seen = 0;
        }
        close(fds[i]);
    }
    free(all);
}

static void messages_that_end_have_all_the_time_again(void **state)
{
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = app_options();
    char bytes[512], half[256];
    (void)state;
    start(&o, &app);
    server->engine.constants.request_timeout_ms = 1000;
    int fd = websocket();
    size_t len = frame(bytes, 0x81, "{\"event\":\"pusher:ping\"}", 23);
    /* it always sends the end of one message and half of the next */
    memcpy(half, bytes + 10, len - 10);
    memcpy(half + len - 10, bytes, 10);
    put(fd, bytes, 10);
    for (int i = 0; i < 150; i++) {
        put(fd, half, len);
        pusherc_server_poll(server, 10);
    }
    uint64_t before = messages_in();
    put(fd, half, len);
    for (int i = 0; i < 1000 && messages_in() == before; i++)
        pusherc_server_poll(server, 1);
    assert_int_equal(messages_in(), before + 1);
    close(fd);
}

static void input_behind_a_request_is_one_buffer(void **state)
{
    static const char request[] = "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n";
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = app_options();
    (void)state;
    small_queue(&o);
    start(&o, &app);
    int fd = dial();
    turn();
    char *all = many(request, strlen(request), 200000);
    size_t most = most_held(fd, all, 200000 * strlen(request), 500);
    if (most > 400000 + 2 * PC_READ_BUFFER)
        fail_msg("%zu bytes", most);
    free(all);
    close(fd);
}

/* What a request holds that never ends; `len` bytes of it are sent. */
static size_t held_by_half_a_request(const char *head, size_t len)
{
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = app_options();
    o.max_http_head_bytes = 16384;
    o.max_http_body_bytes = 1048576;
    start(&o, &app);
    int fd = dial();
    turn();
    size_t before = held_bytes, most = 0;
    char *rest = many("x", 1, len);
    put(fd, head, strlen(head));
    for (size_t at = 0; at < len; at += 4096) {
        put(fd, rest + at, len - at < 4096 ? len - at : 4096);
        turn();
        most = held_bytes > before + most ? held_bytes - before : most;
    }
    free(rest);
    close(fd);
    return most;
}

static void a_head_holds_its_bytes(void **state)
{
    (void)state;
    size_t most = held_by_half_a_request("GET / HTTP/1.1\r\nHost: a\r\nX: ", 16000);
    if (most < 8000 || most > 2 * 16384 + 4096)
        fail_msg("%zu bytes", most);
}

static void a_body_holds_its_bytes(void **state)
{
    (void)state;
    size_t most = held_by_half_a_request(
        "POST /apps/a/events HTTP/1.1\r\nHost: a\r\nContent-Length: 1048000\r\n\r\n", 1040000);
    if (most < 1000000 || most > 2 * 1048576 + 65536)
        fail_msg("%zu bytes", most);
}

static void a_channel_costs_what_the_page_says(void **state)
{
    enum {
        CHANNELS = 1000
    };
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = app_options();
    char text[400];
    (void)state;
    app.max_channels_per_connection = CHANNELS;
    start(&o, &app);
    int fd = websocket();
    size_t before = held_bytes;
    for (int i = 0; i <= CHANNELS; i++) {
        (void)snprintf(text, sizeof text,
                       "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"%0200d\"}}", i);
        say(fd, text);
        turn();
    }
    wait_for(fd, "pusher:subscription_error"); /* the one above the limit */
    size_t each = (held_bytes - before) / CHANNELS;
    if (each > 1024)
        fail_msg("%zu bytes for each channel", each);
    close(fd);
    for (int i = 0; i < 200; i++)
        pusherc_server_poll(server, 1);
    /* all of it is given back; the tables of channels become smaller when they are used again */
    if (held_bytes > before + 16 * CHANNELS)
        fail_msg("%zu bytes of %zu are still held, each %zu", held_bytes - before, before, each);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_flood_of_messages_waits_for_its_next_share, stop),
        cmocka_unit_test_teardown(a_flood_of_requests_waits_for_its_next_share, stop),
        cmocka_unit_test_teardown(clients_that_wait_for_their_shares_may_end, stop),
        cmocka_unit_test_teardown(clients_that_come_back_at_once_hold_up_no_other, stop),
        cmocka_unit_test_teardown(who_sends_too_much_is_read_more_slowly_and_loses_nothing, stop),
        cmocka_unit_test_teardown(who_does_not_read_holds_its_queue_and_no_more, stop),
        cmocka_unit_test_teardown(answers_that_wait_hold_up_the_input_behind_them, stop),
        cmocka_unit_test_teardown(only_the_newest_ping_waits_for_its_answer, stop),
        cmocka_unit_test_teardown(half_a_message_holds_its_bytes_and_ends, stop),
        cmocka_unit_test_teardown(messages_that_end_have_all_the_time_again, stop),
        cmocka_unit_test_teardown(messages_that_the_server_has_not_read_yet_are_not_too_long, stop),
        cmocka_unit_test_teardown(requests_that_the_server_has_not_read_yet_are_not_too_late, stop),
        cmocka_unit_test_teardown(input_behind_a_request_is_one_buffer, stop),
        cmocka_unit_test_teardown(a_head_holds_its_bytes, stop),
        cmocka_unit_test_teardown(a_body_holds_its_bytes, stop),
        cmocka_unit_test_teardown(a_channel_costs_what_the_page_says, stop),
    };
    return cmocka_run_group_tests_name("budget", tests, NULL, NULL);
}
