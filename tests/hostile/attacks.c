#include "hostile/attacks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hostile/clients.h"

#define ADDRESSES  100
#define UNREAD     "unread" /* the channel of NEVER_READ */
#define UNREAD_LEN 8192
#define PAST       "past.1" /* the channel of RESUME */
#define PAST_COUNT 50
#define FLOODERS   100 /* that many connections send as much as the server takes */

const char *const attack_names[ATTACKS] = {
    [NOTHING] = "nothing",
    [CONNECT] = "all connect",
    [SUBSCRIBE] = "all subscribe",
    [SUBSCRIBE_AGAIN] = "all subscribe, again and again",
    [JOIN] = "all join one presence channel",
    [ONE_MORE] = "the roster for one more",
    [VANISH] = "all members vanish at once",
    [RESETS] = "they connect and reset",
    [HALF_OPEN] = "half-open connections",
    [SLOW] = "slow heads and bodies",
    [RESUME] = "all are sent a history",
    [PINGS] = "PINGs",
    [FRAGMENTS] = "fragments",
    [GARBAGE] = "pipelined garbage",
    [ABUSE_OF_API] = "signed and forged API requests",
    [NEVER_READ] = "they never read",
    [STOP] = "all are closed by a stop",
    [AFTERWARDS] = "nothing, afterwards",
};

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* -- the clients -- */

/* The last one is for ONE_MORE. */
struct crowd {
    struct client *clients;
    size_t count;
    double seconds;
    uint16_t port;
};

static void all_subscribe(const struct crowd *c, unsigned round)
{
    char text[128];
    for (size_t i = 0; i < c->count; i++) {
        if (round > 0) {
            snprintf(text, sizeof text,
                     "{\"event\":\"pusher:unsubscribe\",\"data\":{\"channel\":\"news-%u\"}}",
                     round - 1);
            client_say(&c->clients[i], text);
        }
        snprintf(text, sizeof text,
                 "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"news-%u\"}}", round);
        client_say(&c->clients[i], text);
    }
    clients_hear(c->clients, c->count, c->count, "subscription_succeeded");
}

/* A storm: as many as there are, and again. Every other one has asked for a WebSocket before it resets. */
static void reset_again_and_again(const struct crowd *c, double over)
{
    for (size_t i = 0; i < c->count || now_s() < over; i++) {
        struct client *client = &c->clients[i % c->count];
        client_dial(client);
        if (i % 2)
            client_send_upgrade(client, SIZE_MAX);
        client_leave(client, true);
    }
}

/* Silent, or with half a head. What the server closes is opened again. */
static void stay_half_open(const struct crowd *c, double over)
{
    struct client *closed[256];
    for (size_t i = 0; i < c->count; i++) {
        client_dial(&c->clients[i]);
        if (i % 2)
            client_send_upgrade(&c->clients[i], sizeof CLIENTS_UPGRADE / 2);
    }
    while (now_s() < over) {
        int n = clients_wait(closed, 20);
        for (int i = 0; i < n; i++) {
            client_leave(closed[i], false);
            client_dial(closed[i]);
            if (i % 2)
                client_send_upgrade(closed[i], sizeof CLIENTS_UPGRADE / 2);
        }
    }
    clients_vanish(c->clients, c->count);
}

/* Sends what fits of a text that repeats, from *at on. False: the connection has ended. */
static bool send_some(const struct client *client, pusherc_slice text, size_t *at, size_t most)
{
    size_t len = text.len - *at < most ? text.len - *at : most;
    ssize_t n = send(client->fd, text.ptr + *at, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0)
        *at = (*at + (size_t)n) % text.len;
    return n > 0 || client_waits();
}

/*
 * The first `count` clients send the text again and again, at most so many bytes at once, and read what comes. One that is
 * closed connects again; after a handshake, if the text is for a WebSocket.
 */
static void send_again_and_again(const struct crowd *c, size_t count, pusherc_slice text,
                                 size_t most, bool websocket, double over)
{
    struct client *ready[256];
    size_t *at = calloc(count, sizeof *at);
    must(at, "memory");
    for (size_t i = 0; i < count; i++)
        c->clients[i].fd = -1;
    while (now_s() < over) {
        for (size_t i = 0; i < count; i++) {
            struct client *client = &c->clients[i];
            if (client->fd < 0) {
                client_dial(client);
                at[i] = 0;
                if (websocket)
                    client_send_upgrade(client, SIZE_MAX);
            }
            if (!send_some(client, text, &at[i], most))
                client_leave(client, false);
        }
        int n = clients_wait(ready, 0);
        for (int i = 0; i < n; i++)
            if (ready[i]->fd >= 0 && !client_drains(ready[i]))
                client_leave(ready[i], false);
    }
    for (size_t i = 0; i < count; i++)
        if (c->clients[i].fd >= 0)
            client_leave(&c->clients[i], i % 2);
    free(at);
}

/* The piece as often as 64 KiB hold it; to be freed. */
static pusherc_slice many(pusherc_slice piece)
{
    size_t count = piece.len < 65536 ? 65536 / piece.len : 1;
    char *text = malloc(count * piece.len);
    must(text, "memory");
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * piece.len, piece.ptr, piece.len);
    return (pusherc_slice){text, count * piece.len};
}

static void flood(const struct crowd *c, pusherc_slice piece, bool websocket, double over)
{
    pusherc_slice text = many(piece);
    send_again_and_again(c, c->count < FLOODERS ? c->count : FLOODERS, text, text.len, websocket,
                         over);
    free((char *)text.ptr);
}

/* A request of the API, signed. */
static pusherc_slice request(const struct crowd *c, const char *method, const char *path,
                             pusherc_slice body, char *out, size_t size)
{
    pusherc_credentials who = PUSHERC_CREDENTIALS_INIT;
    char query[512];
    who.key = pusherc_slice_of(CLIENTS_KEY), who.secret = pusherc_slice_of(CLIENTS_SECRET);
    must(pusherc_sign_request(&who, method, path, NULL, 0, body, (uint64_t)time(NULL), query,
                              sizeof query, NULL) == 0,
         "sign");
    int n = snprintf(out, size,
                     "%s %s?%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Length: %zu\r\n\r\n%.*s",
                     method, path, query, c->port, body.len, (int)body.len, body.ptr);
    must(n > 0 && (size_t)n < size, "a request");
    return (pusherc_slice){out, (size_t)n};
}

#define PUBLISH_PAST "{\"name\":\"e\",\"channel\":\"" PAST "\",\"data\":\"%01000d\"}"

static void publish_past(const struct crowd *c)
{
    char body[2048], text[4096];
    struct client client;
    int len = snprintf(body, sizeof body, PUBLISH_PAST, 0);
    pusherc_slice post = request(c, "POST", "/apps/app-id/events",
                                 (pusherc_slice){body, (size_t)len}, text, sizeof text);
    client_dial(&client);
    for (int i = 0; i < PAST_COUNT; i++) {
        char answer[1024];
        must(send(client.fd, post.ptr, post.len, MSG_NOSIGNAL) == (ssize_t)post.len &&
                 recv(client.fd, answer, sizeof answer, 0) > 12 &&
                 memcmp(answer, "HTTP/1.1 200", 12) == 0,
             "publish");
    }
    client_leave(&client, false);
}

/* The first one learns a position, events follow, and all say that this is what they have seen. */
static void all_resume(const struct crowd *c)
{
    char position[64], text[256];
    clients_enter(c->clients, c->count);
    client_say(&c->clients[0],
               "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"" PAST "\"}}");
    clients_hear_value(&c->clients[0], "\"event_id\":\"", position, sizeof position);
    publish_past(c);
    for (size_t i = 1; i < c->count; i++) {
        snprintf(text, sizeof text,
                 "{\"event\":\"pusher:resume\",\"data\":{\"channels\":{\"" PAST "\":\"%s\"}}}",
                 position);
        client_say(&c->clients[i], text);
        client_say(&c->clients[i],
                   "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"" PAST "\"}}");
    }
    clients_hear(c->clients, c->count, c->count - 1, "pusher:resumed");
    clients_vanish(c->clients, c->count);
}

static void abuse_the_api(const struct crowd *c, double over)
{
    char get[1024], post[1024], both[2048];
    pusherc_slice channels =
        request(c, "GET", "/apps/app-id/channels", (pusherc_slice){"", 0}, get, sizeof get);
    pusherc_slice forged = request(c, "POST", "/apps/app-id/events", pusherc_slice_of("{\"name\":"),
                                   post, sizeof post);
    post[forged.len - 1] = '!'; /* not what was signed */
    int n = snprintf(both, sizeof both, "%.*s%.*s", (int)channels.len, channels.ptr,
                     (int)forged.len, forged.ptr);
    flood(c, (pusherc_slice){both, (size_t)n}, false, over);
}

static void attack_with(const struct crowd *c, enum attack attack)
{
    static const char ping[] = "\x89\x81\0\0\0\0x";
    static const char fragments[] =
        "\x01\x81\0\0\0\0 \x00\x81\0\0\0\0 \x00\x81\0\0\0\0 \x80\x80\0\0\0\0";
    static const char garbage[] = "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
                                  "GET /accept-traffic HTTP/1.1\r\nHost: x\r\n\r\n";
    static const char slow[] =
        "POST /apps/app-id/events?auth_key=app-key HTTP/1.1\r\nHost: x\r\n"
        "Content-Length: 1000\r\n\r\n{\"name\":\"                             ";
    const double over = now_s() + c->seconds;
    switch (attack) {
    case NOTHING:
    case AFTERWARDS:
        usleep((useconds_t)(c->seconds * 1e6));
        break;
    case CONNECT:
        clients_enter(c->clients, c->count + 1);
        break;
    case SUBSCRIBE:
        all_subscribe(c, 0);
        break;
    case SUBSCRIBE_AGAIN:
        for (unsigned round = 1; round == 1 || now_s() < over; round++)
            all_subscribe(c, round);
        break;
    case JOIN:
        clients_join(c->clients, c->count, 0);
        clients_hear(c->clients, c->count, c->count, "subscription_succeeded");
        clients_drain();
        break;
    case ONE_MORE:
        clients_join(c->clients + c->count, 1, c->count);
        clients_hear(c->clients, c->count + 1, 1, "subscription_succeeded");
        clients_drain();
        break;
    case VANISH:
        clients_vanish(c->clients, c->count + 1);
        break;
    case RESETS:
        reset_again_and_again(c, over);
        break;
    case HALF_OPEN:
        stay_half_open(c, over);
        break;
    case SLOW:
        send_again_and_again(c, c->count, pusherc_slice_of(slow), 1, false, over);
        break;
    case RESUME:
        all_resume(c);
        break;
    case PINGS:
        flood(c, (pusherc_slice){ping, sizeof ping - 1}, true, over);
        break;
    case FRAGMENTS:
        flood(c, (pusherc_slice){fragments, sizeof fragments - 1}, true, over);
        break;
    case GARBAGE:
        flood(c, pusherc_slice_of(garbage), false, over);
        break;
    case ABUSE_OF_API:
        abuse_the_api(c, over);
        break;
    case NEVER_READ:
        clients_enter(c->clients, c->count);
        for (size_t i = 0; i < c->count; i++)
            client_say(&c->clients[i],
                       "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"" UNREAD "\"}}");
        break;
    case STOP:
        clients_drain();
        break;
    case ATTACKS:
        break;
    }
}

/* Does each attack when it is told to, and says when it is done. */
static int be_the_crowd(uint16_t port, int control, void *ctx)
{
    struct crowd *c = ctx;
    char what;
    c->clients = calloc(c->count + 1, sizeof *c->clients);
    c->port = port;
    must(c->clients, "memory");
    clients_begin(port, ADDRESSES);
    while (read(control, &what, 1) == 1) {
        attack_with(c, (enum attack)what);
        if (write(control, &what, 1) != 1)
            break;
    }
    free(c->clients);
    return 0;
}

/* -- processes -- */

struct attackers attackers_fork(int (*run)(uint16_t port, int control, void *ctx), void *ctx,
                                int not_its)
{
    int ends[2];
    uint16_t port;
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair");
    struct attackers a = {fork(), ends[0]};
    must(a.pid >= 0, "fork");
    if (a.pid == 0) {
        close(ends[0]);
        if (not_its >= 0)
            close(not_its);
        must(read(ends[1], &port, sizeof port) == sizeof port, "port");
        _exit(run(port, ends[1], ctx));
    }
    close(ends[1]);
    return a;
}

struct attackers attackers_start(size_t clients, double seconds)
{
    struct crowd c = {.count = clients, .seconds = seconds};
    return attackers_fork(be_the_crowd, &c, -1);
}

void attackers_aim(const struct attackers *a, uint16_t port)
{
    must(write(a->control, &port, sizeof port) == sizeof port, "port");
}

void attackers_begin(const struct attackers *a, enum attack attack)
{
    char what = (char)attack;
    must(write(a->control, &what, 1) == 1, "the clients");
}

bool attackers_are_done(const struct attackers *a)
{
    char done;
    ssize_t n = recv(a->control, &done, 1, MSG_DONTWAIT);
    must(n != 0, "the clients have ended");
    return n == 1;
}

void attackers_end(const struct attackers *a)
{
    close(a->control);
    waitpid(a->pid, NULL, 0);
}

/* -- the server -- */

/* With PUSHERC_TEST_REDIS=URL the server is one of several: alone there, under a name of its own. */
static void link_with_others(pusherc_server *server)
{
    pusherc_redis_options redis = PUSHERC_REDIS_OPTIONS_INIT;
    char prefix[32];
    snprintf(prefix, sizeof prefix, "attacked-%ld:", (long)getpid());
    redis.url = getenv("PUSHERC_TEST_REDIS");
    redis.prefix = prefix;
    must(!redis.url || pusherc_server_use_redis(server, &redis, NULL, NULL) == 0, "redis");
}

pusherc_server *attacked_start(const pusherc_server_options *options, size_t clients)
{
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    pusherc_history_pattern past = PUSHERC_HISTORY_PATTERN_INIT;
    pusherc_server *server;
    past.pattern = "past.{n}";
    app.id = "app-id", app.key = CLIENTS_KEY, app.secret = CLIENTS_SECRET;
    app.activity_timeout_ms = 1000000; /* the clients do not answer */
    app.max_presence_members = (uint32_t)clients + 1;
    app.client_events = true;
    app.max_client_events_per_s = PUSHERC_NO_LIMIT;
    app.history = &past, app.history_count = 1;
    must(pusherc_server_new(&server, options, NULL) == 0 &&
             pusherc_server_put_app(server, &app, NULL) == 0 &&
             pusherc_server_listen(server, NULL, NULL) == 0,
         "server");
    link_with_others(server);
    must(pusherc_server_start(server, NULL) == 0, "start");
    return server;
}

uint64_t attacked_connections(pusherc_server *server)
{
    pusherc_stats stats = PUSHERC_STATS_INIT;
    (void)pusherc_server_stats(server, &stats);
    return stats.connections;
}

void attacked_flood(pusherc_server *server)
{
    static char data[UNREAD_LEN];
    memset(data, 'x', sizeof data);
    must(pusherc_publish_to(server, "app-id", UNREAD, strlen(UNREAD), "e", 1, data, sizeof data,
                            NULL) == 0,
         "publish");
}
