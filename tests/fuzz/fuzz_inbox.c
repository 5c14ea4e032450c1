/*
 * A host with an inbox, by public calls only: servers in poll mode that share it, their clients, and a host that takes,
 * answers, forgets, stops and frees in any order, while allocations fail. Compared with what inbox.h promises: each
 * question is taken once; ABANDONED names a question that was taken and not answered, once; STOPPED comes once for each
 * server at most; the descriptor is readable exactly if a message waits; and at the end, when everything was freed and
 * answered, no memory is left, so each question was answered exactly once.
 *
 * fuzz_letters.c does the same for the letters inside, in far more steps.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pusherc/pusherc.h>

#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SERVERS   2
#define CLIENTS   6
#define QUESTIONS 256
#define STEPS     400
#define MAX       6
#define TAKEN     10

struct question {
    uint64_t id;
    pusherc_message_type type;
    void *request; /* NULL = answered */
    bool abandoned;
};

static struct world {
    pusherc_inbox *inbox;
    pusherc_server *servers[SERVERS];
    int clients[CLIENTS]; /* -1 = none */
    struct question questions[QUESTIONS];
    size_t question_count, made, stopped;
    long blocks;      /* allocated now */
    unsigned fail_in; /* this many allocations from now; 0 = none */
} world;

/* -- memory -- */

static bool fails(void)
{
    return world.fail_in > 0 && --world.fail_in == 0;
}

static void *allocate(size_t size, void *user_data)
{
    void *ptr = fails() ? NULL : malloc(size);
    (void)user_data;
    world.blocks += ptr != NULL;
    return ptr;
}

static void *resize(void *before, size_t size, void *user_data)
{
    void *ptr = fails() ? NULL : realloc(before, size);
    (void)user_data;
    world.blocks += ptr && !before;
    return ptr;
}

static void release(void *ptr, void *user_data)
{
    (void)user_data;
    world.blocks -= ptr != NULL;
    free(ptr);
}

static const pusherc_allocator memory = {allocate, resize, release, NULL};

/* -- servers -- */

static void hang_up(size_t i)
{
    if (world.clients[i] >= 0)
        close(world.clients[i]);
    world.clients[i] = -1;
}

static void make_server(size_t i, bool all_messages)
{
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    pusherc_rule rule = PUSHERC_RULE_INIT;
    options.worker_count = PUSHERC_WORKERS_NONE;
    options.allocator = &memory;
    options.inbox = world.inbox;
    options.close_timeout_ms = 1; /* a client that does not read keeps a server so long */
    options.inbox_messages = 1u << PUSHERC_MESSAGE_IDENTIFY | 1u << PUSHERC_MESSAGE_FIND_APP |
                             1u << PUSHERC_MESSAGE_HTTP | 1u << PUSHERC_MESSAGE_ABANDONED |
                             1u << PUSHERC_MESSAGE_STOPPED | 1u << PUSHERC_MESSAGE_REAUTHORIZED;
    if (all_messages)
        options.inbox_messages |= 1u << PUSHERC_MESSAGE_OPEN | 1u << PUSHERC_MESSAGE_CLOSE |
                                  1u << PUSHERC_MESSAGE_CHANNEL |
                                  1u << PUSHERC_MESSAGE_CLIENT_EVENT |
                                  1u << PUSHERC_MESSAGE_DENIED | 1u << PUSHERC_MESSAGE_LOG;
    app.id = "app-id", app.key = "app-key", app.secret = "app-secret";
    app.auth_mode = PUSHERC_AUTH_RULES;
    app.client_events = true;
    rule.pattern = "room.{n}";
    rule.inbox = true;
    pusherc_server **server = &world.servers[i];
    if (pusherc_server_new(server, &options, NULL)) {
        REQUIRE(!*server);
        return;
    }
    world.made++;
    if (pusherc_server_put_app(*server, &app, NULL) ||
        pusherc_server_add_rule(*server, &rule, NULL) || pusherc_server_start(*server, NULL)) {
        pusherc_server_free(*server);
        *server = NULL;
    }
}

/* Without `patient` its clients have gone: a free waits for those that are there, some milliseconds. */
static void free_server(size_t i, bool patient)
{
    for (size_t c = i; c < CLIENTS && !patient; c += SERVERS)
        hang_up(c);
    pusherc_server_free(world.servers[i]);
    world.servers[i] = NULL;
}

/* -- clients -- */

static void say(size_t i, const char *text)
{
    if (world.clients[i] >= 0)
        (void)!send(world.clients[i], text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* A text frame of up to 125 bytes, masked with zeros. */
static void say_message(size_t i, const char *json)
{
    char frame[6 + 125] = {(char)0x81};
    size_t len = strlen(json);
    REQUIRE(len <= 125);
    frame[1] = (char)(0x80 | len);
    memcpy(frame + 6, json, len);
    if (world.clients[i] >= 0)
        (void)!send(world.clients[i], frame, 6 + len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void hear_all(void)
{
    char rest[4096];
    for (size_t i = 0; i < CLIENTS; i++)
        while (world.clients[i] >= 0 && recv(world.clients[i], rest, sizeof rest, MSG_DONTWAIT) > 0)
            continue;
}

static void come(size_t i, pusherc_server *server, const char *request)
{
    int ends[2];
    hang_up(i);
    if (!server)
        return;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    if (pusherc_server_adopt(server, ends[0], (pusherc_slice){"", 0})) {
        close(ends[0]);
        close(ends[1]);
        return;
    }
    world.clients[i] = ends[1];
    say(i, request);
}

#define UPGRADE                                                                                    \
    " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"                        \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"

static void client_acts(size_t i, unsigned what, pusherc_server *server)
{
    static const char *const requests[] = {
        "GET /app/app-key?protocol=7" UPGRADE,
        "GET /app/other?protocol=7" UPGRADE,
        "GET /page HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /apps/other/channels HTTP/1.1\r\nHost: x\r\n\r\n",
    };
    static const char *const messages[] = {
        "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"private-room.1\"}}",
        "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"private-room.2\"}}",
        "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"presence-room.3\"}}",
        "{\"event\":\"pusher:unsubscribe\",\"data\":{\"channel\":\"private-room.1\"}}",
        "{\"event\":\"pusher:unsubscribe\",\"data\":{\"channel\":\"presence-room.3\"}}",
        "{\"event\":\"client-hi\",\"channel\":\"private-room.1\",\"data\":\"you\"}",
        "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"private-other\"}}",
    };
    if (what < 4)
        come(i, server, requests[what]);
    else if (what < 11)
        say_message(i, messages[what - 4]);
    else
        hang_up(i);
}

/* -- the host -- */

static struct question *find(uint64_t id)
{
    for (size_t i = 0; i < world.question_count; i++)
        if (world.questions[i].id == id)
            return &world.questions[i];
    return NULL;
}

static void took(const pusherc_message *m)
{
    struct question *asked = m->id ? find(m->id) : NULL;
    if (m->type == PUSHERC_MESSAGE_ABANDONED) {
        REQUIRE(asked && asked->request && !asked->abandoned && !m->request);
        asked->abandoned = true;
    } else if (m->type <= PUSHERC_MESSAGE_AUTHORIZE) {
        REQUIRE(m->id && m->request && !asked && world.question_count < QUESTIONS);
        world.questions[world.question_count++] =
            (struct question){m->id, m->type, m->request, false};
    } else {
        REQUIRE(!m->id && !m->request);
        world.stopped += m->type == PUSHERC_MESSAGE_STOPPED;
        REQUIRE(world.stopped <= world.made);
    }
    /* what the slices point to is there */
    const pusherc_slice texts[] = {m->app_id, m->channel, m->user_id, m->name, m->data};
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
        REQUIRE(texts[t].len == 0 || !memchr(texts[t].ptr, '\0', texts[t].len));
}

/* A host that was compiled with a longer struct than the library knows. */
struct later_message {
    pusherc_message known;
    uint64_t more;
};

static size_t take(size_t capacity)
{
    static struct later_message out[TAKEN + 1];
    if (!world.inbox || world.question_count + capacity > QUESTIONS)
        return 0;
    memset(out, 0xa5, sizeof out);
    size_t n = pusherc_inbox_take(world.inbox, &out[0].known, sizeof out[0], capacity, 0);
    REQUIRE(n <= capacity);
    for (size_t i = 0; i < n; i++) {
        REQUIRE(out[i].known.struct_size == sizeof out[i].known && out[i].more == 0);
        took(&out[i].known);
    }
    for (size_t i = n; i <= TAKEN; i++)
        REQUIRE(out[i].more == 0xa5a5a5a5a5a5a5a5);
    return n;
}

static int give(const struct question *q, bool yes)
{
    switch (q->type) {
    case PUSHERC_MESSAGE_IDENTIFY:
        return yes ? pusherc_identify_accept(q->request, NULL)
                   : pusherc_identify_reject(q->request, 4009, "no");
    case PUSHERC_MESSAGE_FIND_APP: {
        pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
        app.id = "other", app.key = "other", app.secret = "other-secret";
        return pusherc_app_answer(q->request, yes ? &app : NULL);
    }
    case PUSHERC_MESSAGE_HTTP:
        return pusherc_http_respond(q->request, yes ? 200 : 404, NULL, 0, pusherc_slice_of("ok"));
    default: {
        pusherc_grant grant = PUSHERC_GRANT_INIT;
        grant.user_id = pusherc_slice_of("anna");
        return yes ? pusherc_auth_allow(q->request, &grant)
                   : pusherc_auth_deny(q->request, 403, "no");
    }
    }
}

static void answer(struct question *q, bool yes)
{
    if (!q->request)
        return;
    int err = give(q, yes);
    q->request = NULL;
    REQUIRE(err == 0 || err == PUSHERC_ECANCELED || err == PUSHERC_ENOMEM);
    REQUIRE(!q->abandoned || err != 0 || q->type == PUSHERC_MESSAGE_AUTHORIZE);
}

/* -- a run -- */

static void check(void)
{
    pusherc_stats stats = {.struct_size = sizeof stats};
    pusherc_server *server = world.servers[0] ? world.servers[0] : world.servers[1];
    if (!world.inbox || !server)
        return;
    REQUIRE(pusherc_server_stats(server, &stats) == 0);
    struct pollfd bell = {.fd = pusherc_inbox_fd(world.inbox), .events = POLLIN};
    REQUIRE((poll(&bell, 1, 0) == 1) == (stats.inbox_depth > 0));
}

static void turn(size_t i)
{
    if (world.servers[i] && pusherc_server_poll(world.servers[i], 0) == 0)
        free_server(i, false);
    hear_all();
}

static void host_acts(unsigned what, unsigned more)
{
    pusherc_server *server = world.servers[more % SERVERS];
    switch (what) {
    case 0:
        if (server)
            (void)!pusherc_reauthorize(server, "app-id", NULL, NULL, NULL);
        break;
    case 1:
        if (server)
            (void)!pusherc_publish_to(server, "app-id", "private-room.1", 14, "told", 4, "{}", 2,
                                      NULL);
        break;
    case 2:
        if (server)
            (void)!pusherc_server_stop(server, 0, NULL, NULL);
        break;
    case 3:
        free_server(more % SERVERS, more == 15);
        break;
    case 4:
        if (!server && world.inbox)
            make_server(more % SERVERS, more & 2);
        break;
    case 5:
        world.fail_in = 1 + more * 3;
        break;
    case 6:
        if (more == 15) {
            pusherc_inbox_free(world.inbox);
            world.inbox = NULL;
        }
        break;
    default:
        take(1 + more % TAKEN);
        break;
    }
}

static void step(uint8_t byte)
{
    const unsigned what = byte >> 4, more = byte & 15;
    switch (what) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5: /* client `what` */
        client_acts(what, more < 12 ? more : 4, world.servers[what % SERVERS]);
        break;
    case 6:
    case 7:
        turn(what % SERVERS);
        break;
    case 8:
    case 9:
        take(1 + more % TAKEN);
        break;
    case 10:
    case 11: /* one of the latest 16 */
        if (world.question_count > more)
            answer(&world.questions[world.question_count - 1 - more], what == 10);
        break;
    default:
        host_acts((unsigned)(byte - 0xc0) >> 3, byte & 15);
        break;
    }
}

static void end(void)
{
    world.fail_in = 0;
    for (size_t i = 0; i < CLIENTS; i++)
        hang_up(i);
    for (size_t i = 0; i < SERVERS; i++)
        free_server(i, false);
    while (take(TAKEN) > 0)
        continue;
    for (size_t i = 0; i < world.question_count; i++)
        answer(&world.questions[i], false);
    pusherc_inbox_free(world.inbox);
    REQUIRE(world.blocks == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pusherc_inbox_options options = PUSHERC_INBOX_OPTIONS_INIT;
    memset(&world, 0, sizeof world);
    memset(world.clients, -1, sizeof world.clients);
    options.allocator = &memory;
    options.max_messages = MAX;
    REQUIRE(pusherc_inbox_new(&world.inbox, &options) == 0);
    for (size_t i = 0; i < SERVERS; i++)
        make_server(i, i > 0);
    for (size_t i = 0; i < size && i < STEPS; i++) {
        step(data[i]);
        check();
    }
    end();
    return 0;
}
