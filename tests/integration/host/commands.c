/* Commands: one JSON object a line, {"id": 7, "do": "publish", ...}, answered by {"id": 7, "rc": "OK", ...}. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "host.h"

static pusherc_server *server_of(struct host *host, const cJSON *line)
{
    size_t index = (size_t)host_number(line, "server", 0);
    return host->servers[index < host->server_count ? index : 0];
}

static pusherc_slice text(const cJSON *line, const char *name)
{
    return host_slice(cJSON_GetObjectItemCaseSensitive(line, name));
}

/* -- publishing -- */

/* Bytes that JSON cannot carry come as "data_hex". The caller frees it. */
static char *from_hex(const char *hex, size_t *len)
{
    *len = strlen(hex) / 2;
    char *bytes = calloc(1, *len + 1);
    for (size_t i = 0; bytes && i < *len; i++) {
        char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        bytes[i] = (char)strtoul(digits, NULL, 16);
    }
    return bytes;
}

struct event {
    pusherc_event event;
    pusherc_slice channels[128];
    char *bytes; /* owned */
};

static void read_event(const cJSON *line, struct event *out)
{
    *out = (struct event){.event = PUSHERC_EVENT_INIT};
    const cJSON *item;
    out->event.name = text(line, "name");
    out->event.data = text(line, "data");
    out->event.channels = out->channels;
    out->event.encrypted = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(line, "encrypted"));
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(line, "channels"))
    {
        if (out->event.channel_count < sizeof out->channels / sizeof *out->channels)
            out->channels[out->event.channel_count++] = host_slice(item);
    }
    if (host_string(line, "data_hex")[0]) {
        out->bytes = from_hex(host_string(line, "data_hex"), &out->event.data.len);
        out->event.data.ptr = out->bytes;
    }
    if (host_string(line, "except")[0] &&
        pusherc_socket_id_parse(text(line, "except"), &out->event.except))
        host_die("not a socket id", host_string(line, "except"));
}

static int publish(struct host *host, const cJSON *line)
{
    struct event event;
    read_event(line, &event);
    int err = pusherc_publish(server_of(host, line), host_string(line, "app"), &event.event);
    free(event.bytes);
    return err;
}

/* Without a struct. */
static int publish_to(struct host *host, const cJSON *line)
{
    pusherc_slice channel = text(line, "channel"), event = text(line, "event");
    pusherc_slice data = text(line, "data");
    const char *except = host_string(line, "except");
    return pusherc_publish_to(server_of(host, line), host_string(line, "app"), channel.ptr,
                              channel.len, event.ptr, event.len, data.ptr, data.len,
                              except[0] ? except : NULL);
}

static int publish_batch(struct host *host, const cJSON *line)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(line, "batch"), *item;
    struct event *events = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *events);
    pusherc_event *flat = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *flat);
    size_t count = 0;
    if (!events || !flat)
        host_die("out of memory", "batch");
    cJSON_ArrayForEach(item, list)
    {
        read_event(item, &events[count]);
        flat[count] = events[count].event;
        flat[count].channels = events[count].channels;
        count++;
    }
    int err = pusherc_publish_batch(server_of(host, line), host_string(line, "app"), flat, count);
    for (size_t i = 0; i < count; i++)
        free(events[i].bytes);
    free(events);
    free(flat);
    return err;
}

/* -- asking -- */

static void add_channel(cJSON *object, const pusherc_channel_info *info)
{
    cJSON_AddNumberToObject(object, "kind", info->kind);
    cJSON_AddBoolToObject(object, "cache", info->cache);
    cJSON_AddNumberToObject(object, "subscriptions", (double)info->subscription_count);
    cJSON_AddNumberToObject(object, "users", (double)info->user_count);
}

static void take_channels(const pusherc_channel_info *items, size_t count, void *user_data)
{
    cJSON *channels = cJSON_AddArrayToObject(user_data, "channels");
    for (size_t i = 0; i < count; i++) {
        const pusherc_channel_info *item = PUSHERC_AT(items, i);
        cJSON *channel = cJSON_CreateObject();
        host_add_slice(channel, "name", item->name);
        add_channel(channel, item);
        cJSON_AddItemToArray(channels, channel);
    }
}

static void take_members(const pusherc_member *items, size_t count, uint64_t sequence,
                         void *user_data)
{
    cJSON *members = cJSON_AddArrayToObject(user_data, "members");
    cJSON_AddNumberToObject(user_data, "sequence", (double)sequence);
    for (size_t i = 0; i < count; i++) {
        const pusherc_member *item = PUSHERC_AT(items, i);
        cJSON *member = cJSON_CreateObject();
        host_add_slice(member, "user", item->user_id);
        host_add_slice(member, "info", item->info_json);
        cJSON_AddItemToArray(members, member);
    }
}

static void add_user(cJSON *user, const pusherc_user_info *info)
{
    host_add_slice(user, "user", info->user_id);
    cJSON_AddBoolToObject(user, "online", info->online);
    cJSON_AddNumberToObject(user, "connections", info->connections);
    cJSON_AddNumberToObject(user, "channels", info->channels);
    cJSON_AddNumberToObject(user, "away_ms", (double)info->away_ms);
    cJSON_AddNumberToObject(user, "number", (double)info->sequence);
}

static void take_users(const pusherc_user_info *items, size_t count, uint64_t sequence,
                       void *user_data)
{
    cJSON *users = cJSON_AddArrayToObject(user_data, "users");
    cJSON_AddNumberToObject(user_data, "sequence", (double)sequence);
    for (size_t i = 0; i < count; i++) {
        cJSON *user = cJSON_CreateObject();
        add_user(user, PUSHERC_AT(items, i));
        cJSON_AddItemToArray(users, user);
    }
}

static int one_user(struct host *host, const cJSON *line, cJSON *reply)
{
    pusherc_user_info info = PUSHERC_USER_INFO_INIT;
    int err = pusherc_get_user(server_of(host, line), host_string(line, "app"), text(line, "user"),
                               &info);
    if (err == 0)
        add_user(reply, &info);
    return err;
}

static void take_states(const pusherc_ephemeral *items, size_t count, void *user_data)
{
    cJSON *states = cJSON_AddArrayToObject(user_data, "states");
    for (size_t i = 0; i < count; i++) {
        const pusherc_ephemeral *item = PUSHERC_AT(items, i);
        cJSON *state = cJSON_CreateObject();
        host_add_slice(state, "event", item->event);
        host_add_slice(state, "user", item->user_id);
        host_add_slice(state, "key", item->key);
        host_add_slice(state, "data", item->data);
        cJSON_AddNumberToObject(state, "ends_in_ms", (double)item->ends_in_ms);
        cJSON_AddItemToArray(states, state);
    }
}

static pusherc_ephemeral state_of(const cJSON *line)
{
    pusherc_ephemeral state = PUSHERC_EPHEMERAL_INIT;
    state.channel = text(line, "channel");
    state.event = text(line, "event");
    state.user_id = text(line, "user");
    state.key = text(line, "key");
    state.data = text(line, "data");
    return state;
}

static int set_state(struct host *host, const cJSON *line)
{
    const pusherc_ephemeral state = state_of(line);
    return pusherc_set_ephemeral(server_of(host, line), host_string(line, "app"), &state);
}

static int end_state(struct host *host, const cJSON *line)
{
    const pusherc_ephemeral state = state_of(line);
    return pusherc_end_ephemeral(server_of(host, line), host_string(line, "app"), &state);
}

static void take_connections(const pusherc_connection *items, size_t count, void *user_data)
{
    cJSON *connections = cJSON_AddArrayToObject(user_data, "connections");
    for (size_t i = 0; i < count; i++) {
        const pusherc_connection *item = PUSHERC_AT(items, i);
        cJSON *connection = cJSON_CreateObject();
        host_add_socket_id(connection, item->socket_id);
        host_add_slice(connection, "user", item->user_id);
        host_add_slice(connection, "signed_in_as", item->signed_in_as);
        host_add_slice(connection, "client_ip", item->client_ip);
        cJSON_AddItemToArray(connections, connection);
    }
}

static int one_channel(struct host *host, const cJSON *line, cJSON *reply)
{
    pusherc_channel_info info = {.struct_size = sizeof info};
    int err = pusherc_get_channel(server_of(host, line), host_string(line, "app"),
                                  text(line, "channel"), &info);
    if (err == 0)
        add_channel(reply, &info);
    return err;
}

struct page {
    char *text; /* owned */
    size_t len;
};

static int take_chunk(pusherc_slice chunk, void *user_data)
{
    struct page *page = user_data;
    char *text = realloc(page->text, page->len + chunk.len + 1);
    if (!text)
        host_die("out of memory", "metrics");
    memcpy(text + page->len, chunk.ptr, chunk.len);
    page->text = text;
    page->len += chunk.len;
    text[page->len] = '\0';
    return 0;
}

static int metrics(struct host *host, const cJSON *line, cJSON *reply)
{
    struct page page = {0};
    int err = pusherc_server_metrics(server_of(host, line), take_chunk, &page);
    cJSON_AddNumberToObject(reply, "port", pusherc_server_port(server_of(host, line), 1));
    cJSON_AddStringToObject(reply, "text", page.text ? page.text : "");
    free(page.text);
    return err;
}

static int stats(struct host *host, const cJSON *line, cJSON *reply)
{
    pusherc_stats s = PUSHERC_STATS_INIT;
    int err = pusherc_server_stats(server_of(host, line), &s);
    const struct {
        const char *name;
        uint64_t value;
    } all[] = {
        {"connections", s.connections},
        {"connections_total", s.connections_total},
        {"sockets", s.sockets},
        {"subscriptions", s.subscriptions},
        {"channels", s.channels},
        {"messages_in_total", s.messages_in_total},
        {"messages_out_total", s.messages_out_total},
        {"bytes_in_total", s.bytes_in_total},
        {"bytes_out_total", s.bytes_out_total},
        {"write_calls_total", s.write_calls_total},
        {"http_requests_total", s.http_requests_total},
        {"publishes_total", s.publishes_total},
        {"publishes_unmatched_total", s.publishes_unmatched_total},
        {"slow_closed_total", s.slow_closed_total},
        {"sockets_unestablished", s.sockets_unestablished},
        {"sockets_reclaimed_total", s.sockets_reclaimed_total},
        {"sockets_refused_total", s.sockets_refused_total},
        {"slow_dropped_total", s.slow_dropped_total},
        {"out_queued_bytes", s.out_queued_bytes},
        {"mailbox_refused_total", s.mailbox_refused_total},
        {"mailbox_depth", s.mailbox_depth},
        {"mailbox_depth_max", s.mailbox_depth_max},
        {"grants", s.grants},
        {"questions", s.questions},
        {"questions_refused_total", s.questions_refused_total},
        {"webhook_requests_total", s.webhook_requests_total},
        {"webhook_failures_total", s.webhook_failures_total},
        {"webhook_retries_total", s.webhook_retries_total},
        {"webhook_delivered_total", s.webhook_delivered_total},
        {"webhook_dropped_total", s.webhook_dropped_total},
        {"webhook_given_up_total", s.webhook_given_up_total},
        {"webhook_queued", s.webhook_queued},
        {"compressed_total", s.compressed_total},
        {"compressed_from_bytes_total", s.compressed_from_bytes_total},
        {"compressed_to_bytes_total", s.compressed_to_bytes_total},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        cJSON_AddNumberToObject(reply, all[i].name, (double)all[i].value);
    cJSON_AddNumberToObject(reply, "identities", atomic_load(&host->identities));
    cJSON_AddNumberToObject(reply, "rendered", atomic_load(&host->rendered));
    pthread_mutex_lock(&host->lock);
    cJSON_AddNumberToObject(reply, "authorized", host->authorized);
    pthread_mutex_unlock(&host->lock);
    return err;
}

/* -- commands that take their time: on a thread of their own, answered when done -- */

struct job {
    struct host *host;
    cJSON *line;  /* owned */
    cJSON *reply; /* owned until it is said */
    int (*run)(struct host *host, const cJSON *line, cJSON *reply);
};

static void *run_job(void *arg)
{
    struct job *job = arg;
    struct host *host = job->host;
    host_add_rc(job->reply, job->run(host, job->line, job->reply));
    host_say(job->reply);
    cJSON_Delete(job->line);
    free(job);
    pthread_mutex_lock(&host->lock);
    host->jobs--;
    pthread_cond_broadcast(&host->changed);
    pthread_mutex_unlock(&host->lock);
    return NULL;
}

static void start_job(struct host *host, cJSON *line, cJSON *reply,
                      int (*run)(struct host *, const cJSON *, cJSON *))
{
    pthread_t thread;
    struct job *job = malloc(sizeof *job);
    if (!job)
        host_die("out of memory", "job");
    *job = (struct job){host, line, reply, run};
    pthread_mutex_lock(&host->lock);
    host->jobs++;
    pthread_mutex_unlock(&host->lock);
    if (pthread_create(&thread, NULL, run_job, job) || pthread_detach(thread))
        host_die("pthread_create", "job");
}

static void sleep_us(long us)
{
    struct timespec t = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&t, NULL);
}

struct publisher {
    struct host *host;
    const cJSON *line;
    unsigned number;
    unsigned long backlogs;
    int err;
};

/* Publishes {"t":thread,"n":0..} to each channel in turn. A full mailbox is tried again. */
static void *publish_many(void *arg)
{
    struct publisher *p = arg;
    const cJSON *channels = cJSON_GetObjectItemCaseSensitive(p->line, "channels"), *item;
    unsigned count = (unsigned)host_number(p->line, "count", 1);
    long pause_us = (long)host_number(p->line, "pause_us", 0);
    char data[128];
    pusherc_event event = PUSHERC_EVENT_INIT;
    event.name = text(p->line, "name");
    event.channel_count = 1;
    for (unsigned n = 0; n < count && p->err == 0; n++) {
        int len = snprintf(data, sizeof data, "{\"t\":%u,\"n\":%u}", p->number, n);
        event.data = (pusherc_slice){data, (size_t)len};
        cJSON_ArrayForEach(item, channels)
        {
            pusherc_slice channel = host_slice(item);
            event.channels = &channel;
            while ((p->err = pusherc_publish(server_of(p->host, p->line),
                                             host_string(p->line, "app"), &event)) ==
                   PUSHERC_EBACKLOG) {
                p->backlogs++;
                sleep_us(1000);
            }
        }
        if (pause_us)
            sleep_us(pause_us);
    }
    return NULL;
}

static int burst(struct host *host, const cJSON *line, cJSON *reply)
{
    enum {
        MAX = 8
    };
    unsigned threads = (unsigned)host_number(line, "threads", 1);
    struct publisher publishers[MAX];
    pthread_t ids[MAX];
    unsigned long backlogs = 0;
    int err = 0;
    if (threads > MAX)
        host_die("too many", "threads");
    for (unsigned i = 0; i < threads; i++) {
        publishers[i] = (struct publisher){.host = host, .line = line, .number = i};
        if (pthread_create(&ids[i], NULL, publish_many, &publishers[i]))
            host_die("pthread_create", "publisher");
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        err = err ? err : publishers[i].err;
        backlogs += publishers[i].backlogs;
    }
    cJSON_AddNumberToObject(reply, "backlogs", (double)backlogs);
    return err;
}

/* A host with a port of its own: accepts one connection, reads some of it, and hands it over. */
static int adopt(struct host *host, const cJSON *line, cJSON *reply)
{
    (void)reply;
    char head[4096];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    size_t want = (size_t)host_number(line, "read", 0);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) || listen(listener, 1) ||
        getsockname(listener, (struct sockaddr *)&address, &size))
        host_die("cannot listen", strerror(errno));
    cJSON *event = host_event("adopting");
    cJSON_AddNumberToObject(event, "port", ntohs(address.sin_port));
    host_say(event);
    int fd = accept(listener, NULL, NULL);
    if (fd < 0)
        host_die("accept", strerror(errno));
    size_t got = 0;
    while (got < want && got < sizeof head) {
        size_t room = want < sizeof head ? want : sizeof head;
        ssize_t n = recv(fd, head + got, room - got, 0);
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    int err = pusherc_server_adopt(server_of(host, line), fd, (pusherc_slice){head, got});
    if (err)
        close(fd);
    close(listener);
    return err;
}

/* -- life -- */

static void stopped(pusherc_server *server, void *user_data)
{
    struct host *host = user_data;
    size_t index = 0;
    while (index < host->server_count && host->servers[index] != server)
        index++;
    cJSON *event = host_event("stopped");
    cJSON_AddNumberToObject(event, "server", (double)index);
    host_say(event);
}

static int put_app(struct host *host, const cJSON *line, cJSON *reply)
{
    pusherc_app_options options;
    pusherc_errinfo info = {0};
    struct app_memory memory;
    host_read_app(cJSON_GetObjectItemCaseSensitive(line, "app"), &options, &memory);
    int err = pusherc_server_put_app(server_of(host, line), &options, &info);
    cJSON_AddStringToObject(reply, "text", info.text);
    host_free_app(&memory);
    return err;
}

static int disconnect(struct host *host, const cJSON *line)
{
    pusherc_socket_id id;
    int err = pusherc_socket_id_parse(text(line, "socket_id"), &id);
    return err ? err
               : pusherc_server_disconnect(server_of(host, line), host_string(line, "app"), id,
                                           (uint16_t)host_number(line, "code", 1000),
                                           host_string(line, "reason"));
}

static int obey(struct host *host, const char *command, const cJSON *line, cJSON *reply)
{
    pusherc_server *server = server_of(host, line);
    const char *app = host_string(line, "app");
    if (strcmp(command, "publish") == 0)
        return publish(host, line);
    if (strcmp(command, "publish_to") == 0)
        return publish_to(host, line);
    if (strcmp(command, "batch") == 0)
        return publish_batch(host, line);
    if (strcmp(command, "send_to_user") == 0)
        return pusherc_send_to_user(server, app, text(line, "user"), text(line, "name"),
                                    text(line, "data"));
    if (strcmp(command, "channels") == 0)
        return pusherc_list_channels(server, app, text(line, "prefix"), take_channels, reply);
    if (strcmp(command, "channel") == 0)
        return one_channel(host, line, reply);
    if (strcmp(command, "members") == 0)
        return pusherc_list_members(server, app, text(line, "channel"), take_members, reply);
    if (strcmp(command, "connections") == 0)
        return pusherc_list_connections(server, app, text(line, "user"), take_connections, reply);
    if (strcmp(command, "states") == 0)
        return pusherc_list_ephemeral(server, app, text(line, "channel"), take_states, reply);
    if (strcmp(command, "set_state") == 0)
        return set_state(host, line);
    if (strcmp(command, "end_state") == 0)
        return end_state(host, line);
    if (strcmp(command, "users") == 0)
        return pusherc_list_users(server, app, host_number(line, "away_too", 0) != 0, take_users,
                                  reply);
    if (strcmp(command, "user") == 0)
        return one_user(host, line, reply);
    if (strcmp(command, "stats") == 0)
        return stats(host, line, reply);
    if (strcmp(command, "metrics") == 0)
        return metrics(host, line, reply);
    if (strcmp(command, "put_app") == 0)
        return put_app(host, line, reply);
    if (strcmp(command, "remove_app") == 0)
        return pusherc_server_remove_app(server, app);
    if (strcmp(command, "disconnect") == 0)
        return disconnect(host, line);
    if (strcmp(command, "disconnect_user") == 0)
        return pusherc_server_disconnect_user(server, app, text(line, "user"),
                                              (uint16_t)host_number(line, "code", 4009),
                                              host_string(line, "reason"));
    if (strcmp(command, "stop") == 0)
        return pusherc_server_stop(server, (uint32_t)host_number(line, "grace_ms", 0), stopped,
                                   host);
    host_die("unknown command", command);
    return 0;
}

void commands_run(struct host *host)
{
    char *input = NULL;
    size_t cap = 0;
    while (getline(&input, &cap, stdin) > 0) {
        cJSON *line = cJSON_Parse(input);
        const char *command = host_string(line, "do");
        cJSON *reply = cJSON_CreateObject();
        cJSON_AddNumberToObject(reply, "id", host_number(line, "id", 0));
        if (strcmp(command, "burst") == 0 || strcmp(command, "adopt") == 0) {
            start_job(host, line, reply, command[0] == 'b' ? burst : adopt);
            continue;
        }
        if (!hooks_answer(host, command, line, reply) &&
            !rules_obey(host, server_of(host, line), command, line, reply))
            host_add_rc(reply, obey(host, command, line, reply));
        host_say(reply);
        cJSON_Delete(line);
    }
    free(input);
}
