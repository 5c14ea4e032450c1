/*
 * Two whole servers, each with threads of its own, linked in the test's process: the authority is executed by the thread
 * that asks, under a lock. What the link's table asks for (pusherc/cluster.h) is all that the servers share.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include <pusherc/pusherc.h>

#include "unit/ws_client.h"

#define SERVERS    2
#define PARTITIONS 4
#define TOPICS     64

#define CONNECTIONS 5 /* of the app */

struct topic {
    bool used;
    uint32_t partition;
    pusherc_topic topic;
    char key[300];
    size_t key_len;
};

struct bus;

/* A server's end of the bus. */
struct end {
    struct bus *bus;
    pusherc_link *link;
    uint64_t session; /* 0 = not connected */
    struct topic topics[TOPICS];
};

struct bus {
    pthread_mutex_t mutex;
    pusherc_authority *parts[PARTITIONS];
    struct end ends[SERVERS];
    struct end *asking;
    uint32_t partition; /* of the step that is executed */
};

static bool is_topic(const struct topic *t, uint32_t partition, pusherc_topic topic,
                     pusherc_slice key)
{
    return t->used && t->partition == partition && t->topic == topic && t->key_len == key.len &&
           memcmp(t->key, key.ptr, key.len) == 0;
}

static void deliver(struct bus *bus, uint32_t partition, pusherc_topic topic, pusherc_slice key,
                    pusherc_slice message)
{
    for (size_t i = 0; i < SERVERS; i++)
        for (size_t t = 0; t < TOPICS && bus->ends[i].session; t++)
            if (is_topic(&bus->ends[i].topics[t], partition, topic, key))
                assert_int_equal(
                    pusherc_link_message(bus->ends[i].link, partition, topic, key, message), 0);
}

static void on_message(pusherc_topic topic, pusherc_slice key, pusherc_slice message,
                       void *user_data)
{
    struct bus *bus = user_data;
    deliver(bus, bus->partition, topic, key, message);
}

static void on_answer(const pusherc_slice *values, size_t count, void *user_data)
{
    struct bus *bus = user_data;
    assert_int_equal(pusherc_link_answer(bus->asking->link, bus->partition, values, count), 0);
}

static uint64_t unix_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void connect_end(struct end *end)
{
    pthread_mutex_lock(&end->bus->mutex);
    end->session++;
    for (uint32_t p = 0; p < PARTITIONS; p++)
        assert_int_equal(pusherc_link_up(end->link, p, end->session, (pusherc_slice){"r", 1}), 0);
    pthread_mutex_unlock(&end->bus->mutex);
}

static void cut_end(struct end *end)
{
    pthread_mutex_lock(&end->bus->mutex);
    end->session = 0;
    memset(end->topics, 0, sizeof end->topics);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        pusherc_link_lost(end->link, p, false);
    pthread_mutex_unlock(&end->bus->mutex);
}

static int start(void *self, pusherc_link *link)
{
    struct end *end = self;
    end->link = link;
    connect_end(end);
    return 0;
}

static void stop(void *self)
{
    struct end *end = self;
    pthread_mutex_lock(&end->bus->mutex);
    end->session = 0;
    pthread_mutex_unlock(&end->bus->mutex);
}

/* Locks the bus. False: the call is of an earlier session. */
static bool enter(struct end *end, uint64_t session)
{
    pthread_mutex_lock(&end->bus->mutex);
    if (end->session == session)
        return true;
    pthread_mutex_unlock(&end->bus->mutex);
    return false;
}

static int leave(struct end *end)
{
    pthread_mutex_unlock(&end->bus->mutex);
    return 0;
}

static int subscribe(void *self, uint32_t partition, uint64_t session, pusherc_topic topic,
                     pusherc_slice key)
{
    struct end *end = self;
    struct topic *t = end->topics;
    if (!enter(end, session))
        return PUSHERC_ECANCELED;
    while (t->used && !is_topic(t, partition, topic, key))
        t++;
    assert_true(t < end->topics + TOPICS && key.len <= sizeof t->key);
    *t = (struct topic){.used = true, .partition = partition, .topic = topic, .key_len = key.len};
    if (key.len)
        memcpy(t->key, key.ptr, key.len);
    assert_int_equal(pusherc_link_subscribed(end->link, partition, topic, key), 0);
    return leave(end);
}

static int unsubscribe(void *self, uint32_t partition, uint64_t session, pusherc_topic topic,
                       pusherc_slice key)
{
    struct end *end = self;
    if (!enter(end, session))
        return PUSHERC_ECANCELED;
    for (size_t t = 0; t < TOPICS; t++)
        if (is_topic(&end->topics[t], partition, topic, key))
            end->topics[t].used = false;
    return leave(end);
}

static int publish(void *self, uint32_t partition, uint64_t session, pusherc_slice key,
                   pusherc_slice message)
{
    struct end *end = self;
    if (!enter(end, session))
        return PUSHERC_ECANCELED;
    deliver(end->bus, partition, PUSHERC_TOPIC_CHANNEL, key, message);
    assert_int_equal(pusherc_link_answer(end->link, partition, NULL, 0), 0);
    return leave(end);
}

static int execute(void *self, uint32_t partition, uint64_t session, pusherc_step step,
                   const pusherc_slice *args, size_t count)
{
    struct end *end = self;
    if (!enter(end, session))
        return PUSHERC_ECANCELED;
    end->bus->asking = end;
    end->bus->partition = partition;
    int err = pusherc_authority_execute(end->bus->parts[partition], unix_us(), step, args, count,
                                        on_message, on_answer, end->bus);
    (void)leave(end);
    return err;
}

/* The bus does not answer what a server could not understand. */
static int reset(void *self, uint32_t partition, uint64_t session)
{
    (void)self;
    (void)partition;
    (void)session;
    fail();
    return 0;
}

/* -- the servers -- */

/* What on_channel has told of the cluster, on all servers. */
struct reports {
    pthread_mutex_t mutex;
    size_t count, of_process;
    struct {
        pusherc_channel_event_type type;
        char user[16];
        uint64_t sequence;
    } items[16];
};

static void on_channel(const pusherc_channel_event *event, void *user_data)
{
    struct reports *r = user_data;
    pthread_mutex_lock(&r->mutex);
    if (event->scope == PUSHERC_SCOPE_CLUSTER) {
        assert_true(r->count < 16);
        r->items[r->count].type = event->type;
        r->items[r->count].sequence = event->sequence;
        snprintf(r->items[r->count++].user, 16, "%.*s", (int)event->user_id.len,
                 event->user_id.ptr);
    } else {
        r->of_process++;
    }
    pthread_mutex_unlock(&r->mutex);
}

static size_t reported(struct reports *r)
{
    pthread_mutex_lock(&r->mutex);
    size_t count = r->count;
    pthread_mutex_unlock(&r->mutex);
    return count;
}

struct fixture {
    struct bus bus;
    struct reports reports;
    pusherc_server *servers[SERVERS];
    uint16_t ports[SERVERS];
};

static pusherc_app_options app_options(void)
{
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    app.id = "app-id", app.key = "app-key", app.secret = "app-secret";
    app.max_presence_members = 3;
    app.max_connections = CONNECTIONS;
    app.shaping = "sums batch window_ms=500";
    return app;
}

static void start_server(struct fixture *f, size_t i, bool stale_reads)
{
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_cluster_options cluster = PUSHERC_CLUSTER_OPTIONS_INIT;
    pusherc_app_options app = app_options();
    pusherc_listen_options address = PUSHERC_LISTEN_OPTIONS_INIT;
    pusherc_link_ops ops = PUSHERC_LINK_OPS_INIT;
    pusherc_errinfo why = {0};
    ops.partitions = PARTITIONS;
    ops.start = start, ops.stop = stop;
    ops.subscribe = subscribe, ops.unsubscribe = unsubscribe;
    ops.publish = publish, ops.execute = execute;
    ops.reset = reset;
    pusherc_hooks hooks = PUSHERC_HOOKS_INIT;
    hooks.user_data = &f->reports;
    hooks.on_channel = on_channel;
    options.hooks = &hooks;
    options.worker_count = 2;
    options.close_timeout_ms = 200;
    cluster.join_wait_ms = 300;
    cluster.renew_ms = 200; /* a new cluster settles soon */
    cluster.settle_ms = 300;
    cluster.stale_reads = stale_reads;
    f->bus.ends[i].bus = &f->bus;
    assert_int_equal(pusherc_server_new(&f->servers[i], &options, &why), 0);
    assert_int_equal(pusherc_server_put_app(f->servers[i], &app, &why), 0);
    assert_int_equal(pusherc_server_listen(f->servers[i], &address, &why), 0);
    assert_int_equal(pusherc_server_use_link(f->servers[i], &ops, &f->bus.ends[i], &cluster, &why),
                     0);
    assert_int_equal(pusherc_server_use_link(f->servers[i], &ops, &f->bus.ends[i], &cluster, &why),
                     PUSHERC_ESTATE);
    assert_int_equal(pusherc_server_start(f->servers[i], &why), 0);
    f->ports[i] = pusherc_server_port(f->servers[i], 0);
}

static int set_up(void **state)
{
    struct fixture *f = *state = calloc(1, sizeof *f);
    assert_non_null(f);
    pthread_mutex_init(&f->bus.mutex, NULL);
    pthread_mutex_init(&f->reports.mutex, NULL);
    for (size_t i = 0; i < PARTITIONS; i++)
        assert_int_equal(pusherc_authority_new(&f->bus.parts[i], NULL), 0);
    for (size_t i = 0; i < SERVERS; i++)
        start_server(f, i, i == 1);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < SERVERS; i++)
        pusherc_server_free(f->servers[i]);
    for (size_t i = 0; i < PARTITIONS; i++)
        pusherc_authority_free(f->bus.parts[i]);
    pthread_mutex_destroy(&f->bus.mutex);
    pthread_mutex_destroy(&f->reports.mutex);
    free(f);
    return 0;
}

/* Cuts the server off, and waits until it knows. */
static void cut_server(struct fixture *f, size_t i)
{
    pusherc_cluster_info info = PUSHERC_CLUSTER_INFO_INIT;
    cut_end(&f->bus.ends[i]);
    do {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        assert_int_equal(pusherc_server_cluster(f->servers[i], &info), 0);
    } while (info.state != PUSHERC_LINK_DOWN);
}

static bool has_nodes(pusherc_server *server, uint32_t count)
{
    for (int i = 0; i < 6000; i++) { /* a minute */
        pusherc_cluster_info info = PUSHERC_CLUSTER_INFO_INIT;
        assert_int_equal(pusherc_server_cluster(server, &info), 0);
        if (info.nodes == count && info.state == PUSHERC_LINK_UP)
            return true;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return false;
}

/* -- clients -- */

/* A message of any length below 64 KiB, masked with zeros. */
static void say(int fd, const char *text)
{
    size_t len = strlen(text);
    char frame[8 + 1024] = {(char)0x81, (char)(0x80 | 126), (char)(len >> 8), (char)len};
    assert_true(len < 1024 && len > 125);
    memcpy(frame + 8, text, len);
    assert_int_equal(send(fd, frame, 8 + len, MSG_NOSIGNAL), (ssize_t)(8 + len));
}

/* Reads the first message and nothing behind it: a Close frame may follow at once. */
static int open_client(uint16_t port, char socket_id[64])
{
    char got[2048];
    size_t len = 0;
    int fd = ws_client_dial(port);
    ws_client_send(fd, ws_client_upgrade);
    const char *at = NULL;
    while (!at || !strchr(at, '}')) {
        assert_true(len < sizeof got - 1);
        ssize_t n = recv(fd, got + len, 1, 0);
        assert_true(n > 0);
        len += (size_t)n;
        got[len] = '\0';
        at = strstr(got, "socket_id\\\":\\\"");
    }
    assert_int_equal(sscanf(at, "socket_id\\\":\\\"%63[0-9.]", socket_id), 1);
    return fd;
}

static int join(uint16_t port, const char *user)
{
    char socket_id[64], data[64], auth[256], text[1024];
    int fd = open_client(port, socket_id);
    pusherc_socket_id id;
    pusherc_credentials credentials = PUSHERC_CREDENTIALS_INIT;
    credentials.key = (pusherc_slice)PUSHERC_LIT("app-key");
    credentials.secret = (pusherc_slice)PUSHERC_LIT("app-secret");
    snprintf(data, sizeof data, "{\"user_id\":\"%s\"}", user);
    assert_int_equal(pusherc_socket_id_parse(pusherc_slice_of(socket_id), &id), 0);
    assert_int_equal(pusherc_sign_channel(&credentials, id, pusherc_slice_of("presence-x"),
                                          pusherc_slice_of(data), auth, sizeof auth, NULL),
                     0);
    snprintf(text, sizeof text,
             "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"presence-x\",\"auth\":\"%s\","
             "\"channel_data\":\"{\\\"user_id\\\":\\\"%s\\\"}\"}}",
             auth, user);
    say(fd, text);
    return fd;
}

/* Reads the answer with its head. */
static void exchange(uint16_t port, const char *request, char *out, size_t size)
{
    size_t len = 0;
    int fd = ws_client_dial(port);
    ws_client_send(fd, request);
    for (ssize_t n; (n = recv(fd, out + len, size - 1 - len, 0)) > 0;)
        len += (size_t)n;
    out[len] = '\0';
    close(fd);
}

/* A signed GET. */
static void get(uint16_t port, const char *path, const char *info, char *out, size_t size)
{
    char query[1024], request[2048];
    pusherc_credentials credentials = PUSHERC_CREDENTIALS_INIT;
    const pusherc_http_param params[] = {
        {PUSHERC_LIT("info"), pusherc_slice_of(info)},
        {PUSHERC_LIT("filter_by_prefix"), PUSHERC_LIT("presence-")}};
    credentials.key = (pusherc_slice)PUSHERC_LIT("app-key");
    credentials.secret = (pusherc_slice)PUSHERC_LIT("app-secret");
    assert_int_equal(pusherc_sign_request(&credentials, "GET", path, params, 2,
                                          (pusherc_slice){NULL, 0}, (uint64_t)time(NULL), query,
                                          sizeof query, NULL),
                     0);
    snprintf(request, sizeof request, "GET %s?%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
             path, query);
    exchange(port, request, out, size);
}

/* A signed POST. */
static void post(uint16_t port, const char *path, const char *body, char *out, size_t size)
{
    char query[1024], request[4096];
    pusherc_credentials credentials = PUSHERC_CREDENTIALS_INIT;
    credentials.key = (pusherc_slice)PUSHERC_LIT("app-key");
    credentials.secret = (pusherc_slice)PUSHERC_LIT("app-secret");
    assert_int_equal(pusherc_sign_request(&credentials, "POST", path, NULL, 0,
                                          pusherc_slice_of(body), (uint64_t)time(NULL), query,
                                          sizeof query, NULL),
                     0);
    snprintf(request, sizeof request,
             "POST %s?%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
             "Content-Length: %zu\r\n\r\n%s",
             path, query, strlen(body), body);
    exchange(port, request, out, size);
}

/* Asks again until the answer has the text: counts travel. */
static void get_has(uint16_t port, const char *path, const char *info, const char *text)
{
    char answer[4096];
    for (int i = 0; i < 6000; i++) { /* a minute */
        get(port, path, info, answer, sizeof answer);
        if (strstr(answer, text))
            return;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    fail_msg("%s: %s", text, answer);
}

/* -- tests -- */

static void members_and_events_are_shared(void **state)
{
    struct fixture *f = *state;
    const pusherc_slice channel = PUSHERC_LIT("presence-x");
    pusherc_event event = PUSHERC_EVENT_INIT;
    event.name = (pusherc_slice)PUSHERC_LIT("hello");
    event.channels = &channel, event.channel_count = 1;
    event.data = (pusherc_slice)PUSHERC_LIT("\"from the other one\"");
    int a = join(f->ports[0], "anna");
    assert_true(ws_client_hears(a, "subscription_succeeded"));
    int b = join(f->ports[1], "bert");
    assert_true(ws_client_hears(b, "\\\"anna\\\":{}"));
    assert_true(ws_client_hears(a, "member_added"));
    assert_int_equal(pusherc_publish(f->servers[1], "app-id", &event), 0);
    assert_true(ws_client_hears(a, "from the other one"));
    close(b);
    assert_true(ws_client_hears(a, "member_removed"));
    close(a);
}

static void wait_for_reports(struct reports *r, size_t count)
{
    for (int i = 0; i < 6000 && reported(r) < count; i++) /* a minute */
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_int_equal(reported(r), count);
}

static void assert_report(const struct reports *r, size_t i, pusherc_channel_event_type type,
                          const char *user)
{
    assert_int_equal(r->items[i].type, type);
    assert_string_equal(r->items[i].user, user);
    assert_true(i == 0 || r->items[i].sequence > r->items[i - 1].sequence);
}

static void what_becomes_of_a_channel_is_told_once_for_all_servers(void **state)
{
    struct fixture *f = *state;
    struct reports *r = &f->reports;
    int a = join(f->ports[0], "anna");
    assert_true(ws_client_hears(a, "subscription_succeeded"));
    int b = join(f->ports[1], "bert");
    assert_true(ws_client_hears(b, "subscription_succeeded"));
    int again = join(f->ports[1], "anna");
    assert_true(ws_client_hears(again, "subscription_succeeded"));
    close(a);
    wait_for_reports(r, 3);
    close(b);
    wait_for_reports(r, 4);
    /* The server that tells ends, or another one does: what follows is told all the same, and once. */
    assert_int_equal(pusherc_server_stop(f->servers[0], 0, NULL, NULL), 0);
    close(again);
    wait_for_reports(r, 6);
    assert_int_equal(pusherc_server_stop(f->servers[1], 0, NULL, NULL), 0);
    pusherc_server_free(f->servers[1]);
    f->servers[1] = NULL;
    static const pusherc_channel_event_type types[] = {
        PUSHERC_CHANNEL_OCCUPIED, PUSHERC_MEMBER_ADDED,   PUSHERC_MEMBER_ADDED,
        PUSHERC_MEMBER_REMOVED,   PUSHERC_MEMBER_REMOVED, PUSHERC_CHANNEL_VACATED};
    static const char *const users[] = {"", "anna", "bert", "bert", "anna", ""};
    assert_int_equal(reported(r), 6);
    for (size_t i = 0; i < 6; i++)
        assert_report(r, i, types[i], users[i]);
    assert_true(r->of_process > 6); /* as without a link */
}

static void what_is_left_to_tell_is_told_before_the_last_server_ends(void **state)
{
    struct fixture *f = *state;
    int a = join(f->ports[0], "anna");
    assert_true(ws_client_hears(a, "subscription_succeeded"));
    wait_for_reports(&f->reports, 2);
    for (int i = SERVERS - 1; i >= 0; i--) {
        assert_int_equal(pusherc_server_stop(f->servers[i], 0, NULL, NULL), 0);
        pusherc_server_free(f->servers[i]);
        f->servers[i] = NULL;
    }
    assert_int_equal(reported(&f->reports), 4);
    close(a);
}

/* The server that it is published on has no subscriber. */
static void events_are_shaped_before_they_go_to_other_servers(void **state)
{
    struct fixture *f = *state;
    const pusherc_slice channel = PUSHERC_LIT("sums");
    pusherc_event event = PUSHERC_EVENT_INIT;
    char socket_id[64], text[200];
    event.name = (pusherc_slice)PUSHERC_LIT("sum");
    event.channels = &channel, event.channel_count = 1;
    int a = open_client(f->ports[0], socket_id);
    snprintf(text, sizeof text,
             "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"sums\"}%*s}", 80,
             ""); /* say() wants no short one */
    say(a, text);
    assert_true(ws_client_hears(a, "subscription_succeeded"));
    event.data = (pusherc_slice)PUSHERC_LIT("1111");
    assert_int_equal(pusherc_publish(f->servers[1], "app-id", &event), 0);
    event.data = (pusherc_slice)PUSHERC_LIT("2222");
    assert_int_equal(pusherc_publish(f->servers[1], "app-id", &event), 0);
    assert_true(ws_client_hears(a, "[1111,2222]"));
    close(a);
}

static void a_channel_is_full_for_all_servers(void **state)
{
    struct fixture *f = *state;
    int clients[4];
    static const char *const users[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 3; i++) {
        clients[i] = join(f->ports[i % 2], users[i]);
        assert_true(ws_client_hears(clients[i], "subscription_succeeded"));
    }
    clients[3] = join(f->ports[1], "d");
    assert_true(ws_client_hears(clients[3], "subscription_error"));
    for (int i = 0; i < 4; i++)
        close(clients[i]);
}

/* Reads what there is. True: the connection was closed for the limit. */
static bool is_over_quota(int fd)
{
    char got[4096];
    ssize_t n = recv(fd, got, sizeof got, MSG_DONTWAIT);
    return n > 0 && memmem(got, (size_t)n, "\x0f\xa4", 2); /* 4004 in a Close frame */
}

/* Waits until one of the connections is closed for the limit, and takes it out. */
static void one_is_too_many(int *clients, size_t count)
{
    for (int tries = 0; tries < 1000; tries++) { /* ten seconds */
        for (size_t i = 0; i < count; i++) {
            if (clients[i] < 0 || !is_over_quota(clients[i]))
                continue;
            close(clients[i]);
            clients[i] = -1;
            return;
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    fail_msg("none was closed");
}

static void all_are_alive(const int *clients, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (clients[i] < 0)
            continue;
        ws_client_say(clients[i], "{\"event\":\"pusher:ping\",\"data\":{}}");
        assert_true(ws_client_hears(clients[i], "pusher:pong"));
    }
}

static void the_connections_of_an_app_are_limited_over_all_servers(void **state)
{
    struct fixture *f = *state;
    char socket_id[64];
    int clients[CONNECTIONS + 1];
    for (int i = 0; i < SERVERS; i++)
        assert_true(has_nodes(f->servers[i], SERVERS));
    for (size_t i = 0; i <= CONNECTIONS; i++)
        clients[i] = open_client(f->ports[i % 2], socket_id);
    one_is_too_many(clients, CONNECTIONS + 1);
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    all_are_alive(clients, CONNECTIONS + 1);
    /* What a server that has lost its link has counted stays, and what it took meanwhile is above the limit. */
    cut_server(f, 1);
    int more = open_client(f->ports[1], socket_id);
    all_are_alive(&more, 1);
    connect_end(&f->bus.ends[1]);
    one_is_too_many(&more, 1);
    all_are_alive(clients, CONNECTIONS + 1);
    for (size_t i = 0; i <= CONNECTIONS; i++)
        close(clients[i]);
}

/* Its connections are given back. */
static void a_server_that_ends_leaves_room_for_others(void **state)
{
    struct fixture *f = *state;
    char socket_id[64];
    int clients[CONNECTIONS + 1];
    for (int i = 0; i < SERVERS; i++)
        assert_true(has_nodes(f->servers[i], SERVERS));
    for (size_t i = 0; i <= CONNECTIONS; i++)
        clients[i] = open_client(f->ports[i > 0], socket_id);
    one_is_too_many(clients, CONNECTIONS + 1);
    assert_int_equal(pusherc_server_stop(f->servers[1], 0, NULL, NULL), 0);
    for (size_t i = 1; i <= CONNECTIONS; i++)
        close(clients[i]);
    assert_int_equal(pusherc_server_wait(f->servers[1], UINT32_MAX), 0);
    assert_true(has_nodes(f->servers[0], SERVERS - 1));
    for (size_t i = clients[0] < 0 ? 0 : 1; i < CONNECTIONS; i++)
        clients[i] = open_client(f->ports[0], socket_id);
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    all_are_alive(clients, CONNECTIONS);
    for (size_t i = 0; i < CONNECTIONS; i++)
        close(clients[i]);
}

/* Its clients there have left, those of other servers have not; when it is added again all are there. */
static void an_app_is_removed_from_one_server_and_added_again(void **state)
{
    struct fixture *f = *state;
    struct reports *r = &f->reports;
    const pusherc_app_options app = app_options();
    int a = join(f->ports[1], "anna");
    assert_true(ws_client_hears(a, "subscription_succeeded"));
    int b = join(f->ports[0], "bert");
    assert_true(ws_client_hears(b, "\\\"anna\\\":{}"));
    wait_for_reports(r, 3);
    assert_int_equal(pusherc_server_remove_app(f->servers[0], "app-id"), 0);
    assert_true(ws_client_hears(b, "\x0f\xa1")); /* 4001 */
    assert_true(ws_client_hears(a, "member_removed"));
    close(b);
    get_has(f->ports[1], "/apps/app-id/channels/presence-x", "user_count", "\"user_count\":1");
    assert_int_equal(pusherc_server_put_app(f->servers[0], &app, NULL), 0);
    int c = join(f->ports[0], "carl");
    assert_true(ws_client_hears(c, "\\\"anna\\\":{}"));
    assert_true(ws_client_hears(a, "member_added"));
    close(a);
    assert_true(ws_client_hears(c, "member_removed"));
    close(c);
    get_has(f->ports[1], "/apps/app-id/channels", "", "{\"channels\":{}}");
    for (size_t i = 0; i < reported(r);
         i++) /* that it is vacated is told at the end, if at all by now */
        assert_true(r->items[i].type != PUSHERC_CHANNEL_VACATED || i == reported(r) - 1);
}

static void subscribe_to(int fd, const char *channel)
{
    char text[200];
    snprintf(text, sizeof text, "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"%s\"}%*s}",
             channel, 80, ""); /* say() wants no short one */
    say(fd, text);
    assert_true(ws_client_hears(fd, "subscription_succeeded"));
}

/* Each server lacks the app once: whichever was the teller of a channel's partition, in one of the two turns it does not know
 * what it reads. */
static void what_becomes_of_an_app_is_told_by_a_server_that_knows_it(void **state)
{
    struct fixture *f = *state;
    const pusherc_app_options app = app_options();
    char socket_id[64], name[16];
    for (size_t lacks = 0; lacks < SERVERS; lacks++) {
        assert_int_equal(pusherc_server_remove_app(f->servers[lacks], "app-id"), 0);
        assert_true(has_nodes(f->servers[lacks], SERVERS));
        int client = open_client(f->ports[1 - lacks], socket_id);
        for (unsigned i = 0; i < 4; i++) {
            snprintf(name, sizeof name, "c-%u", i);
            subscribe_to(client, name);
        }
        wait_for_reports(&f->reports, 8 * lacks + 4);
        close(client);
        wait_for_reports(&f->reports, 8 * lacks + 8);
        assert_int_equal(pusherc_server_put_app(f->servers[lacks], &app, NULL), 0);
    }
    for (size_t i = 0; i < 16; i++)
        assert_int_equal(f->reports.items[i].type,
                         i % 8 < 4 ? PUSHERC_CHANNEL_OCCUPIED : PUSHERC_CHANNEL_VACATED);
}

static void the_http_api_answers_for_all_servers(void **state)
{
    struct fixture *f = *state;
    int a = join(f->ports[0], "anna");
    assert_true(ws_client_hears(a, "subscription_succeeded"));
    int b = join(f->ports[1], "bert");
    assert_true(ws_client_hears(b, "subscription_succeeded"));
    for (int i = 0; i < SERVERS; i++) {
        get_has(f->ports[i], "/apps/app-id/channels", "user_count",
                "{\"channels\":{\"presence-x\":{\"user_count\":2}}}");
        get_has(f->ports[i], "/apps/app-id/channels/presence-x", "user_count,subscription_count",
                "{\"occupied\":true,\"user_count\":2,\"subscription_count\":2}");
        get_has(f->ports[i], "/apps/app-id/channels/presence-x/users", "",
                "{\"users\":[{\"id\":\"anna\"},{\"id\":\"bert\"}]}");
        get_has(f->ports[i], "/apps/app-id/channels/presence-x/stats", "",
                "\"connection_count\":2");
    }
    close(a);
    close(b);
}

/* Publishes one event, or a batch of it and another one; the answer's status and body. */
static void publish_once(uint16_t port, const char *key, const char *data, bool batch,
                         const char *status, const char *text)
{
    char body[512], answer[4096];
    snprintf(body, sizeof body,
             "%s{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"%s\",\"info\":"
             "\"subscription_count\",\"idempotency_key\":\"%s\"}%s",
             batch ? "{\"batch\":[" : "", data, key,
             batch ? ",{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"beside\"}]}" : "");
    do { /* 503: what became of the first one is on its way */
        post(port, batch ? "/apps/app-id/batch_events" : "/apps/app-id/events", body, answer,
             sizeof answer);
    } while (strstr(answer, "503 Service Unavailable"));
    if (!strstr(answer, status) || !strstr(answer, text))
        fail_msg("%s: %s", key, answer);
}

/* Reads until `end` has come, and counts `text`. */
static size_t count_until(int fd, const char *text, const char *end)
{
    static char got[65536];
    size_t len = 0, count = 0;
    for (got[0] = '\0'; !memmem(got, len, end, strlen(end));) {
        ssize_t n = recv(fd, got + len, sizeof got - len, 0);
        assert_true(n > 0 || errno == EINTR);
        len += n > 0 ? (size_t)n : 0;
    }
    for (const char *at = got; (at = memmem(at, len - (size_t)(at - got), text, strlen(text)));)
        count++, at += strlen(text);
    return count;
}

static void an_event_with_a_key_is_published_once_by_all_servers(void **state)
{
    struct fixture *f = *state;
    const char *ok = "200 OK", *one = "{\"channels\":{\"orders\":{\"subscription_count\":1}}}";
    char socket_id[64];
    for (int i = 0; i < SERVERS; i++)
        assert_true(has_nodes(f->servers[i], SERVERS));
    int a = open_client(f->ports[0], socket_id);
    subscribe_to(a, "orders");
    get_has(f->ports[0], "/apps/app-id/channels/orders", "subscription_count",
            "\"subscription_count\":1");
    publish_once(f->ports[1], "k1", "only", false, ok, one);
    int b = open_client(f->ports[1], socket_id);
    subscribe_to(b, "orders");
    publish_once(f->ports[1], "k1", "only", false, ok, one);
    for (int i = 0; i < SERVERS; i++) {
        publish_once(f->ports[i], "k1", "only", false, ok, one); /* the first one's answer */
        publish_once(f->ports[i], "k1", "other", false, "409 Conflict", "used for something else");
        publish_once(f->ports[i], "k2", "only", true, ok, "{\"batch\":[{\"subscription_count\":");
        publish_once(f->ports[i], "k2", "other", true, "409 Conflict", "used for something else");
    }
    publish_once(f->ports[0], "k3", "the end", false, ok, "{");
    assert_int_equal(count_until(a, "\"only\"", "the end"), 2);
    close(a);
    close(b);
}

/* A key whose event is not published is free again. */
static void a_key_of_a_refused_event_is_free_on_all_servers(void **state)
{
    static const char free_one[] = "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"1\","
                                   "\"idempotency_key\":\"free\"}";
    struct fixture *f = *state;
    char body[1024], answer[4096], socket_id[64];
    for (int i = 0; i < SERVERS; i++)
        assert_true(has_nodes(f->servers[i], SERVERS));
    publish_once(f->ports[0], "taken", "x", false, "200 OK", "{");
    int a = open_client(f->ports[0], socket_id);
    subscribe_to(a, "orders");
    /* The second event of the batch is refused, so the first one is not published either. */
    snprintf(body, sizeof body,
             "{\"batch\":[%s,{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"2\","
             "\"idempotency_key\":\"taken\"}]}",
             free_one);
    post(f->ports[0], "/apps/app-id/batch_events", body, answer, sizeof answer);
    assert_non_null(strstr(answer, "409 Conflict"));
    snprintf(body, sizeof body, "{\"batch\":[%s]}", free_one);
    do { /* 503: that it is free is on its way */
        post(f->ports[1], "/apps/app-id/batch_events", body, answer, sizeof answer);
    } while (strstr(answer, "503 Service Unavailable"));
    assert_non_null(strstr(answer, "200 OK"));
    assert_true(ws_client_hears(a, "\"data\":\"1\""));
    close(a);
}

static void without_its_link_a_server_knows_its_own_keys(void **state)
{
    struct fixture *f = *state;
    char socket_id[64];
    for (int i = 0; i < SERVERS; i++)
        assert_true(has_nodes(f->servers[i], SERVERS));
    int a = open_client(f->ports[1], socket_id);
    subscribe_to(a, "orders");
    publish_once(f->ports[1], "before", "only", false, "200 OK", "{");
    cut_server(f, 1); /* it answers with what it knows */
    publish_once(f->ports[1], "before", "only", false, "200 OK", "{");
    publish_once(f->ports[1], "while", "only", false, "200 OK", "{");
    connect_end(&f->bus.ends[1]);
    assert_true(has_nodes(f->servers[1], SERVERS));
    publish_once(f->ports[1], "while", "only", false, "200 OK", "{"); /* now the others know */
    publish_once(f->ports[0], "while", "only", false, "200 OK", "{");
    publish_once(f->ports[0], "before", "only", false, "200 OK", "{");
    publish_once(f->ports[1], "last", "the end", false, "200 OK", "{");
    assert_int_equal(count_until(a, "\"only\"", "the end"), 2);
    close(a);
}

static void without_its_link_a_server_serves_its_own_clients(void **state)
{
    struct fixture *f = *state;
    char answer[4096];
    for (int i = 0; i < SERVERS; i++)
        cut_end(&f->bus.ends[i]);
    int a = join(f->ports[0], "anna");
    assert_true(ws_client_hears(a, "subscription_succeeded"));
    get_has(f->ports[0], "/apps/app-id/channels", "", "503 Service Unavailable");
    get(f->ports[0], "/apps/app-id/channels", "", answer, sizeof answer);
    assert_non_null(strstr(answer, "Retry-After: 1"));
    get_has(f->ports[1], "/apps/app-id/channels", "", "{\"channels\":{}}");
    for (int i = 0; i < SERVERS; i++)
        connect_end(&f->bus.ends[i]);
    get_has(f->ports[1], "/apps/app-id/channels", "user_count", "\"user_count\":1");
    close(a);
}

static void a_server_that_stops_takes_its_members_with_it(void **state)
{
    struct fixture *f = *state;
    int a = join(f->ports[0], "anna");
    assert_true(ws_client_hears(a, "subscription_succeeded"));
    int b = join(f->ports[1], "bert");
    assert_true(ws_client_hears(a, "member_added"));
    assert_int_equal(pusherc_server_stop(f->servers[1], 0, NULL, NULL), 0);
    assert_true(ws_client_hears(a, "member_removed"));
    close(a);
    close(b);
}

static void each_server_knows_how_many_there_are(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < SERVERS; i++)
        assert_true(has_nodes(f->servers[i], SERVERS));
}

static void connections_of_all_servers_are_closed(void **state)
{
    struct fixture *f = *state;
    char socket_id[64];
    pusherc_socket_id id;
    for (int i = 0; i < SERVERS; i++)
        assert_true(has_nodes(f->servers[i], SERVERS)); /* an order is for those that are linked */
    int a = open_client(f->ports[1], socket_id);
    assert_int_equal(pusherc_socket_id_parse(pusherc_slice_of(socket_id), &id), 0);
    assert_int_equal(pusherc_server_disconnect(f->servers[0], "app-id", id, 4200, "from afar"), 0);
    assert_true(ws_client_hears(a, "from afar"));
    close(a);
}

static void a_reauthorization_ends_when_all_servers_have_asked_again(void **state)
{
    struct fixture *f = *state;
    uint64_t kept = 9, revoked = 9;
    assert_true(has_nodes(f->servers[0], SERVERS));
    assert_int_equal(
        pusherc_reauthorize_wait(f->servers[0], "app-id", NULL, 60000, &kept, &revoked), 0);
    assert_int_equal(kept, 0);
    assert_int_equal(revoked, 0);
    cut_end(&f->bus.ends[1]); /* it has a lease, and does not answer */
    assert_int_equal(
        pusherc_reauthorize_wait(f->servers[0], "app-id", NULL, 60000, &kept, &revoked),
        PUSHERC_ETIMEDOUT);
    connect_end(&f->bus.ends[1]);
    for (int tries = 0, err = -1; err; tries++) {
        err = pusherc_reauthorize_wait(f->servers[0], "app-id", NULL, 60000, &kept, &revoked);
        assert_true(tries < 10);
    }
}

/* -- setting up -- */

static void what_is_wrong_with_a_link_is_said(void **state)
{
    pusherc_server *server;
    pusherc_errinfo why = {0};
    pusherc_link_ops ops = PUSHERC_LINK_OPS_INIT;
    pusherc_cluster_options options = PUSHERC_CLUSTER_OPTIONS_INIT;
    pusherc_cluster_info info = PUSHERC_CLUSTER_INFO_INIT;
    (void)state;
    assert_int_equal(pusherc_server_new(&server, NULL, &why), 0);
    assert_int_equal(pusherc_server_use_link(NULL, &ops, NULL, NULL, &why), PUSHERC_EINVAL);
    assert_int_equal(pusherc_server_use_link(server, NULL, NULL, NULL, &why), PUSHERC_EINVAL);
    assert_int_equal(pusherc_server_use_link(server, &ops, NULL, NULL, &why), PUSHERC_EINVAL);
    assert_string_equal(why.text, "partitions: 1..1024");
    ops.partitions = 1;
    assert_int_equal(pusherc_server_use_link(server, &ops, NULL, NULL, &why), PUSHERC_EINVAL);
    assert_string_equal(why.text, "ops: a function is missing");
    options.lease_ms = 1000;
    assert_int_equal(pusherc_server_use_link(server, &ops, NULL, &options, &why), PUSHERC_EINVAL);
    assert_string_equal(why.text, "lease_ms: less than 3 * renew_ms");
    options.lease_ms = 0;
    options.settle_ms = 3000;
    assert_int_equal(pusherc_server_use_link(server, &ops, NULL, &options, &why), PUSHERC_EINVAL);
    assert_string_equal(why.text, "settle_ms: not more than renew_ms");
    assert_int_equal(pusherc_server_cluster(server, &info), 0);
    assert_int_equal(info.state, PUSHERC_LINK_NONE);
    assert_string_equal(info.node_id, "");
    info.struct_size = 1;
    assert_int_equal(pusherc_server_cluster(server, &info), PUSHERC_EINVAL);
    pusherc_server_free(server);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(members_and_events_are_shared),
        TEST(what_becomes_of_a_channel_is_told_once_for_all_servers),
        TEST(what_is_left_to_tell_is_told_before_the_last_server_ends),
        TEST(events_are_shaped_before_they_go_to_other_servers),
        TEST(a_channel_is_full_for_all_servers),
        TEST(the_connections_of_an_app_are_limited_over_all_servers),
        TEST(a_server_that_ends_leaves_room_for_others),
        TEST(an_app_is_removed_from_one_server_and_added_again),
        TEST(what_becomes_of_an_app_is_told_by_a_server_that_knows_it),
        TEST(the_http_api_answers_for_all_servers),
        TEST(an_event_with_a_key_is_published_once_by_all_servers),
        TEST(a_key_of_a_refused_event_is_free_on_all_servers),
        TEST(without_its_link_a_server_knows_its_own_keys),
        TEST(without_its_link_a_server_serves_its_own_clients),
        TEST(a_server_that_stops_takes_its_members_with_it),
        TEST(each_server_knows_how_many_there_are),
        TEST(connections_of_all_servers_are_closed),
        TEST(a_reauthorization_ends_when_all_servers_have_asked_again),
        cmocka_unit_test(what_is_wrong_with_a_link_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
