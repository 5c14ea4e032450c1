/*
 * Work whose instructions tests/bench/instructions counts: a server in poll mode and its clients in one process, on
 * one thread, through public calls only, so that the same file compiles with any version of the library.
 *
 *   instructions WHAT N
 *
 * WHAT is one of the kinds of work in main(); it is done N times. The script counts inside functions of the library
 * only, so the clients do not count.
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <pusherc/pusherc.h>

#define MAX_CLIENTS 200
#define DATA                                                                                       \
    "{\"symbol\":\"ABC\",\"price\":12.5,\"at\":\"2024-01-01T00:00:00Z\",\"text\":\"some text to "  \
    "carry\"}"

static pusherc_server *server;
static int clients[MAX_CLIENTS];
static long told; /* receipts */

static void must(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "failed: %s\n", what);
    exit(1);
}

/* Turns until the client has got something that contains the text; what it gets is forgotten. */
static void wait_for(int fd, const char *text)
{
    static char input[1 << 16];
    size_t len = 0;
    for (int turn = 0; turn < 1000; turn++) {
        if (turn > 0)
            pusherc_server_poll(server, 1);
        ssize_t n = recv(fd, input + len, sizeof input - len, MSG_DONTWAIT);
        if (n > 0)
            len += (size_t)n;
        if (n > 0 && memmem(input, len, text, strlen(text)))
            return;
    }
    must(false, text);
}

static void send_message(int fd, const char *message)
{
    size_t len = strlen(message), head = len < 126 ? 6 : 8;
    char frame[8 + 1024] = {(char)0x81}; /* masked with zeros */
    must(len <= 1024, "message");
    frame[1] = (char)(0x80 | (len < 126 ? len : 126));
    if (len >= 126) {
        frame[2] = (char)(len >> 8);
        frame[3] = (char)len;
    }
    memcpy(frame + head, message, len);
    must(write(fd, frame, head + len) == (ssize_t)(head + len), "write");
}

static int client_new(uint16_t port)
{
    static const char handshake[] = "GET /app/app-key?protocol=7 HTTP/1.1\r\nHost: localhost\r\n"
                                    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                    "Sec-WebSocket-Version: 13\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    const void *to = &address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    must(connect(fd, to, sizeof address) == 0, "connect");
    must(write(fd, handshake, sizeof handshake - 1) == (ssize_t)sizeof handshake - 1, "handshake");
    wait_for(fd, "connection_established");
    return fd;
}

static void subscribe(int fd, const char *channel, const char *more)
{
    char message[512];
    snprintf(message, sizeof message,
             "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"%s\"%s}}", channel, more);
    send_message(fd, message);
    wait_for(fd, "subscription_succeeded");
}

static void unsubscribe(int fd, const char *channel)
{
    char message[256];
    snprintf(message, sizeof message,
             "{\"event\":\"pusher:unsubscribe\",\"data\":{\"channel\":\"%s\"}}", channel);
    send_message(fd, message);
    for (int turn = 0; turn < 3; turn++)
        pusherc_server_poll(server, 0);
}

static void publish(const char *channel)
{
    pusherc_slice names[1] = {{channel, strlen(channel)}};
    pusherc_event event = {.struct_size = sizeof event,
                           .name = PUSHERC_LIT("price-changed"),
                           .channels = names,
                           .channel_count = 1,
                           .data = PUSHERC_LIT(DATA)};
    must(pusherc_publish(server, "app-id", &event) == 0, "publish");
}

/* A rule that lets everybody in as a member. */
static void allow(pusherc_auth_request *request, void *user_data)
{
    pusherc_grant grant = PUSHERC_GRANT_INIT;
    (void)user_data;
    grant.user_id = (pusherc_slice)PUSHERC_LIT("7");
    (void)!pusherc_auth_allow(request, &grant);
}

/* Each client is another user. */
static void identify(pusherc_identify_request *request, void *user_data)
{
    static int count;
    pusherc_identity identity = PUSHERC_IDENTITY_INIT;
    char user[24];
    (void)user_data;
    identity.user_id.ptr = user;
    identity.user_id.len = (size_t)snprintf(user, sizeof user, "%d", ++count);
    (void)!pusherc_identify_accept(request, &identity);
}

#ifdef PUSHERC_RECEIPT_H
static void on_receipt(const pusherc_receipt *receipt, void *user_data)
{
    (void)receipt, (void)user_data;
    told++;
}
#endif

static void take_hooks(pusherc_hooks *hooks)
{
    hooks->identify = identify;
#ifdef PUSHERC_RECEIPT_H
    hooks->on_receipt = on_receipt;
#endif
}

/* Rules that older releases do not have; NULL = none. */
static void take_rules(pusherc_app_options *app, const char *receipts, const char *ephemeral)
{
    (void)app, (void)receipts, (void)ephemeral;
#ifdef PUSHERC_RECEIPT_H
    app->receipts = receipts;
#endif
#ifdef PUSHERC_EPHEMERAL_H
    app->ephemeral = ephemeral;
#endif
}

static uint16_t start(const char *what)
{
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_listen_options listen = PUSHERC_LISTEN_OPTIONS_INIT;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    pusherc_rule rule = PUSHERC_RULE_INIT;
    pusherc_hooks hooks = PUSHERC_HOOKS_INIT;
    const bool receipts = strcmp(what, "receipts") == 0, states = strcmp(what, "state") == 0;
    options.worker_count = PUSHERC_WORKERS_NONE;
    if (receipts) {
        take_hooks(&hooks);
        options.hooks = &hooks;
    }
    app.id = "app-id", app.key = "app-key", app.secret = "app-secret";
    app.auth_mode = PUSHERC_AUTH_RULES;
    app.client_events = true;
    app.max_client_events_per_s = PUSHERC_NO_LIMIT;
    app.max_client_messages_per_s = PUSHERC_NO_LIMIT;
    take_rules(&app, receipts ? "news id=id" : NULL,
               states ? "presence-room.1 event=client-typing ttl_ms=3600000" : NULL);
    rule.pattern = "room.{id}";
    rule.authorize = allow;
    must(pusherc_server_new(&server, &options, NULL) == 0, "new");
    must(pusherc_server_put_app(server, &app, NULL) == 0, "put app");
    must(pusherc_server_add_rule(server, &rule, NULL) == 0, "add rule");
    must(pusherc_server_listen(server, &listen, NULL) == 0, "listen");
    must(pusherc_server_start(server, NULL) == 0, "start");
    return pusherc_server_port(server, 0);
}

/* Events that reach `count` subscribers; each is delivered before the next is published. */
static void run_events(long n, int count, const char *channel)
{
    for (long i = 0; i < n; i++) {
        publish(channel);
        pusherc_server_poll(server, 0);
        for (int c = 0; c < count; c++)
            wait_for(clients[c], "price-changed");
    }
}

/* The same, each with an id, and told for each client. */
static void run_receipts(long n, int count)
{
    pusherc_slice names[1] = {PUSHERC_LIT("news")};
    pusherc_event event = {.struct_size = sizeof event,
                           .name = PUSHERC_LIT("price-changed"),
                           .channels = names,
                           .channel_count = 1};
    char data[200];
    event.data.ptr = data;
    for (long i = 0; i < n; i++) {
        event.data.len =
            (size_t)snprintf(data, sizeof data, "{\"id\":%ld,\"text\":\"some text to carry\"}", i);
        must(pusherc_publish(server, "app-id", &event) == 0, "publish");
        pusherc_server_poll(server, 0);
        for (int c = 0; c < count; c++)
            wait_for(clients[c], "price-changed");
    }
    must(told == n * count, "receipts");
}

/* A user who types; the other one hears it. */
static void run_typing(long n)
{
    for (long i = 0; i < n; i++) {
        send_message(clients[0], "{\"event\":\"client-typing\",\"channel\":\"presence-room.1\","
                                 "\"data\":{\"name\":\"Ann\"}}");
        wait_for(clients[1], "client-typing");
    }
}

static int put_app(const pusherc_app_options *app, void *user_data)
{
    (void)user_data;
    return pusherc_server_put_app(server, app, NULL);
}

/* By JSON, because older releases have no shaping. */
static void set_shaping(const char *rule)
{
    char app[300];
    int len = snprintf(
        app, sizeof app,
        "{\"id\":\"app-id\",\"key\":\"app-key\",\"secret\":\"app-secret\",\"shaping\":\"%s\"}",
        rule);
    must(pusherc_apps_from_json((pusherc_slice){app, (size_t)len}, put_app, NULL, NULL) == 0,
         "shaping");
}

/* Events of a hundred keys that come much faster than they may go; all but a few are merged. Each differs in its value.
 * Prints the processor time of one. */
static void run_merges(long n)
{
    struct timespec from, to;
    char data[200];
    set_shaping("news key=symbol window_ms=1000");
    pusherc_slice names[1] = {PUSHERC_LIT("news")};
    pusherc_event event = {.struct_size = sizeof event,
                           .name = PUSHERC_LIT("price-changed"),
                           .channels = names,
                           .channel_count = 1};
    event.data.ptr = data;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    for (long i = 0; i < n; i++) {
        event.data.len =
            (size_t)snprintf(data, sizeof data,
                             "{\"symbol\":\"S%02ld\",\"price\":%ld,\"at\":\"2024-01-01T00:"
                             "00:00Z\",\"text\":\"some text to carry\"}",
                             i % 100, i);
        must(pusherc_publish(server, "app-id", &event) == 0, "publish");
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    printf("%.0f ns for each of %ld events, the making of their texts included\n",
           ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) /
               (double)n,
           n);
}

static void run_joins(long n, const char *channel)
{
    for (long i = 0; i < n; i++) {
        subscribe(clients[0], channel, "");
        unsubscribe(clients[0], channel);
    }
}

int main(int argc, char **argv)
{
    must(argc == 3, "instructions WHAT N");
    const char *what = argv[1];
    long n = atol(argv[2]); /* NOLINT: our own script's number */
    uint16_t port = start(what);
    bool types = strcmp(what, "typing") == 0 || strcmp(what, "state") == 0;
    bool many = strcmp(what, "fan-out") == 0 || strcmp(what, "receipts") == 0;
    int count = many ? MAX_CLIENTS : types ? 2 : 1;
    for (int i = 0; i < count; i++)
        clients[i] = client_new(port);
    if (strcmp(what, "fan-out") == 0 || strcmp(what, "publish") == 0) {
        for (int i = 0; i < count; i++)
            subscribe(clients[i], "news", "");
        run_events(n, count, "news");
    } else if (strcmp(what, "receipts") == 0) {
        for (int i = 0; i < count; i++)
            subscribe(clients[i], "news", "");
        run_receipts(n, count);
    } else if (types) {
        for (int i = 0; i < count; i++)
            subscribe(clients[i], "presence-room.1", "");
        run_typing(n);
    } else if (strcmp(what, "merge") == 0) {
        subscribe(clients[0], "news", "");
        run_merges(n);
    } else if (strcmp(what, "beside") == 0) {
        set_shaping("other.{id} key=symbol window_ms=1000");
        subscribe(clients[0], "news", "");
        run_events(n, 1, "news");
    } else if (strcmp(what, "unmatched") == 0) {
        run_events(n, 0, "nothing-here");
    } else if (strcmp(what, "subscribe") == 0) {
        run_joins(n, "news");
    } else if (strcmp(what, "rule") == 0) {
        run_joins(n, "private-room.1");
    } else {
        must(strcmp(what, "presence") == 0, "WHAT");
        run_joins(n, "presence-room.1");
    }
    fflush(stdout);
    _exit(0); /* what ends here is not counted */
}
