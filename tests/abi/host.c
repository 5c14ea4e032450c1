/*
 * A host that is compiled with one release's headers and runs with another's library: a server in poll mode, a client
 * on loopback, an app, a rule, a publish, lists, counters. Says what failed and exits with 1.
 *
 * With -DNEWER the headers are those of a later release: each struct with struct_size has a further member, `newer`.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pusherc/pusherc.h>

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static int opened, listed, members;

static void on_open(const pusherc_conn *conn, void *user_data)
{
    MUST(pusherc_conn_socket_id(conn).a != 0 && user_data == &opened);
    opened++;
}

static void authorize(pusherc_auth_request *request, void *user_data)
{
    pusherc_grant grant = PUSHERC_GRANT_INIT;
    (void)user_data;
    grant.user_id = pusherc_slice_of("ann");
    MUST(pusherc_auth_allow(request, &grant) == 0);
}

static void on_channels(const pusherc_channel_info *items, size_t count, void *user_data)
{
    (void)user_data;
    for (size_t i = 0; i < count; i++) {
        const pusherc_channel_info *item = PUSHERC_AT(items, i);
        MUST(item->name.len > 5 && item->subscription_count == 1);
        listed++;
    }
}

static void on_members(const pusherc_member *items, size_t count, uint64_t sequence,
                       void *user_data)
{
    (void)user_data;
    MUST(sequence > 0);
    for (size_t i = 0; i < count; i++) {
        MUST(pusherc_slice_equal(PUSHERC_AT(items, i)->user_id, pusherc_slice_of("ann")));
        members++;
    }
}

/* The server works in these calls only, so the client reads without waiting in between. */
static void expect(pusherc_server *server, int client, const char *text)
{
    static char seen[16384];
    static size_t len;
    for (int i = 0; i < 500 && !(len && strstr(seen, text)); i++) {
        MUST(pusherc_server_poll(server, 10) == 1);
        ssize_t n = recv(client, seen + len, sizeof seen - 1 - len, MSG_DONTWAIT);
        for (ssize_t k = 0; k < n; k++)
            if (!seen[len + (size_t)k])
                seen[len + (size_t)k] = '?';
        len += n > 0 ? (size_t)n : 0;
    }
    MUST(strstr(seen, text));
}

static void send_all(int client, const char *bytes, size_t len)
{
    MUST(send(client, bytes, len, 0) == (ssize_t)len);
}

/* A masked text message of less than 126 bytes; the mask is zero. */
static void say(int client, const char *json)
{
    char frame[6 + 125] = {'\x81', (char)(0x80 | strlen(json))};
    MUST(strlen(json) <= 125);
    memcpy(frame + 6, json, strlen(json));
    send_all(client, frame, 6 + strlen(json));
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    MUST(client >= 0 && connect(client, (struct sockaddr *)&address, sizeof address) == 0);
    static const char request[] = "GET /app/key-1?protocol=7 HTTP/1.1\r\nHost: localhost\r\n"
                                  "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    send_all(client, request, sizeof request - 1);
    return client;
}

static pusherc_server *make(void)
{
    pusherc_server *server;
    pusherc_errinfo info = {0};
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_hooks hooks = PUSHERC_HOOKS_INIT;
    hooks.on_open = on_open;
    hooks.user_data = &opened;
    options.worker_count = PUSHERC_WORKERS_NONE;
    options.hooks = &hooks;
    MUST(pusherc_server_new(&server, &options, &info) == 0);

    pusherc_app_options apps[2] = {PUSHERC_APP_OPTIONS_INIT, PUSHERC_APP_OPTIONS_INIT};
    apps[0].id = "1", apps[0].key = "key-1", apps[0].secret = "secret-1";
    apps[1].id = "2", apps[1].key = "key-2", apps[1].secret = "secret-2";
    apps[0].auth_mode = PUSHERC_AUTH_RULES;
    MUST(pusherc_server_put_apps(server, apps, 2, &info) == 0);

    if (strstr(pusherc_features(), "webhooks")) {
        pusherc_webhook endpoints[2] = {PUSHERC_WEBHOOK_INIT, PUSHERC_WEBHOOK_INIT};
        endpoints[0].url = endpoints[1].url = "http://127.0.0.1:1/";
        apps[1].webhooks = endpoints;
        apps[1].webhook_count = 2;
        MUST(pusherc_server_put_app(server, &apps[1], &info) == 0);
        endpoints[1].url = "no url";
        MUST(pusherc_server_put_app(server, &apps[1], &info) == PUSHERC_EINVAL);
        MUST(strstr(info.text, "webhook 2: url"));
        apps[1].webhook_count = 0;
    }

    pusherc_rule rule = PUSHERC_RULE_INIT;
    rule.pattern = "room";
    rule.authorize = authorize;
    MUST(pusherc_server_add_rule(server, &rule, &info) == 0);
    MUST(pusherc_server_listen(server, NULL, &info) == 0);
    MUST(pusherc_server_start(server, &info) == 0);
#ifdef NEWER
    pusherc_server *none;
    options.newer = 1;
    MUST(pusherc_server_new(&none, &options, &info) == PUSHERC_EINVAL && !none);
    MUST(strstr(info.text, "pusherc_server_options: a newer member is set"));
    apps[1].newer = 1;
    MUST(pusherc_server_put_apps(server, apps, 2, &info) == PUSHERC_EINVAL);
    MUST(strstr(info.text, "pusherc_app_options: a newer member is set"));
#endif
    return server;
}

static void publish(pusherc_server *server)
{
    const pusherc_slice channel = PUSHERC_LIT("presence-room");
    pusherc_event events[2] = {PUSHERC_EVENT_INIT, PUSHERC_EVENT_INIT};
    events[0].name = pusherc_slice_of("first-event");
    events[1].name = pusherc_slice_of("second-event");
    for (int i = 0; i < 2; i++) {
        events[i].channels = &channel;
        events[i].channel_count = 1;
        events[i].data = pusherc_slice_of("{}");
    }
    MUST(pusherc_publish_batch(server, "1", events, 2) == 0);
#ifdef NEWER
    events[1].newer = 1;
    MUST(pusherc_publish_batch(server, "1", events, 2) == PUSHERC_EINVAL);
#endif
}

/* What is filled in ends where this host's structs end. */
static void look(pusherc_server *server)
{
    struct {
        pusherc_stats stats;
        uint64_t behind;
    } counted = {PUSHERC_STATS_INIT, 7};
    struct {
        pusherc_channel_info info;
        uint64_t behind;
    } found = {PUSHERC_CHANNEL_INFO_INIT, 7};
    MUST(pusherc_server_stats(server, &counted.stats) == 0 && counted.behind == 7);
    MUST(counted.stats.struct_size == sizeof counted.stats);
    MUST(counted.stats.connections == 1 && counted.stats.publishes_total >= 2);
    const pusherc_slice room = PUSHERC_LIT("presence-room");
    MUST(pusherc_get_channel(server, "1", room, &found.info) == 0 && found.behind == 7);
    MUST(found.info.kind == PUSHERC_CHANNEL_PRESENCE && found.info.user_count == 1);
    MUST(pusherc_list_channels(server, "1", pusherc_slice_of(""), on_channels, NULL) == 0);
    MUST(listed == 2);
    MUST(pusherc_list_members(server, "1", room, on_members, NULL) == 0 && members == 1);
}

static void sign(void)
{
    char hex[PUSHERC_HMAC_HEX_SIZE];
    pusherc_credentials credentials = PUSHERC_CREDENTIALS_INIT;
    credentials.key = pusherc_slice_of("key-1");
    credentials.secret = pusherc_slice_of("secret-1");
    MUST(pusherc_sign_webhook(&credentials, pusherc_slice_of("{}"), hex) == 0 && strlen(hex) == 64);
}

int main(void)
{
    pusherc_server *server = make();
    int client = connect_to(pusherc_server_port(server, 0));
    expect(server, client, "pusher:connection_established");
    say(client, "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"presence-room\"}}");
    say(client, "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"my-news\"}}");
    expect(server, client, "\"channel\":\"presence-room\"");
    expect(server, client, "\"channel\":\"my-news\"");
    publish(server);
    expect(server, client, "second-event");
    look(server);
    sign();
    MUST(opened == 1);
    close(client);
    MUST(pusherc_server_stop(server, 0, NULL, NULL) == 0);
    while (pusherc_server_poll(server, 10) == 1)
        continue;
    pusherc_server_free(server);
    return 0;
}
