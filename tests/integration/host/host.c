#include "host.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

#include "server/server.h"

/* -- JSON in and out -- */

void host_die(const char *what, const char *which)
{
    fprintf(stderr, "host: %s: %s\n", what, which);
    exit(2);
}

void host_say(cJSON *line)
{
    char *text = cJSON_PrintUnformatted(line);
    if (!text)
        host_die("out of memory", "printing");
    flockfile(stdout);
    fputs(text, stdout);
    putc('\n', stdout);
    fflush(stdout);
    funlockfile(stdout);
    free(text);
    cJSON_Delete(line);
}

cJSON *host_event(const char *name)
{
    cJSON *event = cJSON_CreateObject();
    cJSON_AddStringToObject(event, "event", name);
    return event;
}

void host_add_slice(cJSON *object, const char *name, pusherc_slice text)
{
    char *copy = calloc(1, text.len + 1);
    if (!copy)
        host_die("out of memory", name);
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    cJSON_AddStringToObject(object, name, copy);
    free(copy);
}

void host_add_socket_id(cJSON *object, pusherc_socket_id id)
{
    char text[PUSHERC_SOCKET_ID_STRLEN];
    pusherc_socket_id_format(id, text);
    cJSON_AddStringToObject(object, "socket_id", text);
}

void host_add_rc(cJSON *object, int err)
{
    cJSON_AddStringToObject(object, "rc", err == 0 ? "OK" : pusherc_err_name(err));
}

const char *host_string(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text ? text : "";
}

double host_number(const cJSON *object, const char *name, double otherwise)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

pusherc_slice host_slice(const cJSON *text)
{
    const char *s = cJSON_GetStringValue(text);
    return (pusherc_slice){s, s ? strlen(s) : 0};
}

/* -- option structs from JSON objects with the same names -- */

struct field {
    const char *name;
    size_t offset;
    enum {
        FIELD_UINT32,
        FIELD_BOOL,
        FIELD_STRING
    } type;
};

/* clang-format off */
#define UINT32(type, name) { #name, offsetof(type, name), FIELD_UINT32 }
#define BOOL(type, name)   { #name, offsetof(type, name), FIELD_BOOL }
#define STRING(type, name) { #name, offsetof(type, name), FIELD_STRING }
/* clang-format on */

static const struct field server_fields[] = {
    UINT32(pusherc_server_options, worker_count),
    STRING(pusherc_server_options, path_prefix),
    STRING(pusherc_server_options, inspector_token),
    UINT32(pusherc_server_options, max_connections),
    UINT32(pusherc_server_options, max_unestablished),
    UINT32(pusherc_server_options, max_unestablished_per_ip),
    UINT32(pusherc_server_options, max_frame_bytes),
    UINT32(pusherc_server_options, deflate_min_bytes),
    UINT32(pusherc_server_options, max_http_body_bytes),
    UINT32(pusherc_server_options, max_http_head_bytes),
    UINT32(pusherc_server_options, handshake_timeout_ms),
    UINT32(pusherc_server_options, identify_timeout_ms),
    UINT32(pusherc_server_options, auth_timeout_ms),
    STRING(pusherc_server_options, auth_path),
    STRING(pusherc_server_options, user_auth_path),
    UINT32(pusherc_server_options, pong_timeout_ms),
    UINT32(pusherc_server_options, close_timeout_ms),
    UINT32(pusherc_server_options, out_soft_bytes),
    UINT32(pusherc_server_options, out_soft_ms),
    UINT32(pusherc_server_options, out_hard_bytes),
    UINT32(pusherc_server_options, max_auth_skew_s),
    UINT32(pusherc_server_options, proxy_count),
    UINT32(pusherc_server_options, http_error_format),
    UINT32(pusherc_server_options, idempotency_ms),
    UINT32(pusherc_server_options, webhook_batch_ms),
    UINT32(pusherc_server_options, webhook_batch_events),
    UINT32(pusherc_server_options, webhook_delay_ms),
    UINT32(pusherc_server_options, webhook_timeout_ms),
    UINT32(pusherc_server_options, webhook_retry_ms),
    UINT32(pusherc_server_options, webhook_max_queued),
    UINT32(pusherc_server_options, max_questions_per_connection),
    UINT32(pusherc_server_options, max_questions_per_ip),
    UINT32(pusherc_server_options, max_questions_per_app),
    UINT32(pusherc_server_options, max_unknown_apps_per_ip),
    UINT32(pusherc_server_options, unknown_app_ms),
    STRING(pusherc_server_options, webhook_ca_file),
    {NULL, 0, FIELD_UINT32},
};

static const struct field app_fields[] = {
    STRING(pusherc_app_options, id),
    STRING(pusherc_app_options, key),
    STRING(pusherc_app_options, secret),
    STRING(pusherc_app_options, encryption_master_key),
    STRING(pusherc_app_options, shaping),
    STRING(pusherc_app_options, ephemeral),
    STRING(pusherc_app_options, receipts),
    UINT32(pusherc_app_options, receipt_keep_s),
    UINT32(pusherc_app_options, max_receipt_bytes),
    UINT32(pusherc_app_options, auth_mode),
    UINT32(pusherc_app_options, slow_policy),
    BOOL(pusherc_app_options, disabled),
    BOOL(pusherc_app_options, tls_only),
    BOOL(pusherc_app_options, client_events),
    BOOL(pusherc_app_options, strict_user_info),
    BOOL(pusherc_app_options, allow_missing_protocol),
    BOOL(pusherc_app_options, user_authentication),
    BOOL(pusherc_app_options, subscription_count_events),
    BOOL(pusherc_app_options, watchlist_events),
    BOOL(pusherc_app_options, user_events),
    BOOL(pusherc_app_options, terminate_matches_presence),
    BOOL(pusherc_app_options, jsonp),
    UINT32(pusherc_app_options, activity_timeout_ms),
    UINT32(pusherc_app_options, max_connections),
    UINT32(pusherc_app_options, max_channel_name_bytes),
    UINT32(pusherc_app_options, max_event_name_bytes),
    UINT32(pusherc_app_options, max_event_payload_bytes),
    UINT32(pusherc_app_options, max_event_channels),
    UINT32(pusherc_app_options, max_batch_events),
    UINT32(pusherc_app_options, max_presence_members),
    UINT32(pusherc_app_options, max_user_info_bytes),
    UINT32(pusherc_app_options, max_channels_per_connection),
    UINT32(pusherc_app_options, max_client_messages_per_s),
    UINT32(pusherc_app_options, max_client_events_per_s),
    UINT32(pusherc_app_options, max_backend_events_per_s),
    UINT32(pusherc_app_options, max_read_requests_per_s),
    UINT32(pusherc_app_options, max_connections_per_user),
    UINT32(pusherc_app_options, max_connections_per_ip),
    UINT32(pusherc_app_options, max_watchlist_users),
    UINT32(pusherc_app_options, user_authentication_timeout_ms),
    UINT32(pusherc_app_options, cache_ttl_s),
    UINT32(pusherc_app_options, secret_grace_ms),
    UINT32(pusherc_app_options, offline_delay_ms),
    UINT32(pusherc_app_options, presence_grace_ms),
    UINT32(pusherc_app_options, signin_wait_ms),
    UINT32(pusherc_app_options, max_deferred_channels),
    UINT32(pusherc_app_options, max_received_messages_per_s),
    UINT32(pusherc_app_options, max_received_bytes_per_s),
    UINT32(pusherc_app_options, max_users_seen),
    {NULL, 0, FIELD_UINT32},
};

static const struct field tls_fields[] = {
    STRING(pusherc_tls_options, cert_file),
    STRING(pusherc_tls_options, key_file),
    STRING(pusherc_tls_options, key_password),
    {NULL, 0, FIELD_UINT32},
};

static void read_fields(const struct field *fields, const cJSON *object, void *options)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        const struct field *f = fields;
        while (f->name && strcmp(f->name, item->string) != 0)
            f++;
        if (!f->name) {
            if (strcmp(item->string, "allowed_origins") != 0 &&
                strcmp(item->string, "webhooks") != 0 && strcmp(item->string, "history") != 0)
                host_die("unknown option", item->string);
            continue;
        }
        char *target = (char *)options + f->offset;
        switch (f->type) {
        case FIELD_UINT32:
            *(uint32_t *)(void *)target = (uint32_t)item->valuedouble;
            break;
        case FIELD_BOOL:
            *(bool *)(void *)target = cJSON_IsTrue(item);
            break;
        case FIELD_STRING:
            *(const char **)(void *)target = cJSON_GetStringValue(item);
            break;
        }
    }
}

static const char **read_origins(const cJSON *list, pusherc_app_options *options)
{
    size_t n = 0;
    const cJSON *item;
    const char **origins =
        list ? calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *origins) : NULL;
    if (list && !origins)
        host_die("out of memory", "allowed_origins");
    cJSON_ArrayForEach(item, list) origins[n++] = cJSON_GetStringValue(item);
    options->allowed_origins = origins;
    return origins;
}

struct webhooks {
    pusherc_webhook items[PUSHERC_MAX_WEBHOOKS];
    pusherc_webhook_header headers[PUSHERC_MAX_WEBHOOKS][16];
};

static const char *text_of(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

/* [{"url", "events", "channel_prefix", "channel_suffix", "headers": {}}] */
static struct webhooks *read_webhooks(const cJSON *list, pusherc_app_options *options)
{
    const cJSON *item, *header;
    struct webhooks *hooks = list ? calloc(1, sizeof *hooks) : NULL;
    if (list && !hooks)
        host_die("out of memory", "webhooks");
    cJSON_ArrayForEach(item, list)
    {
        size_t i = options->webhook_count++, n = 0;
        pusherc_webhook *hook = &hooks->items[i];
        *hook = (pusherc_webhook)PUSHERC_WEBHOOK_INIT;
        hook->url = text_of(item, "url");
        hook->events = (uint32_t)host_number(item, "events", 0);
        hook->channel_prefix = text_of(item, "channel_prefix");
        hook->channel_suffix = text_of(item, "channel_suffix");
        cJSON_ArrayForEach(header, cJSON_GetObjectItemCaseSensitive(item, "headers"))
            hooks->headers[i][n++] =
            (pusherc_webhook_header){header->string, cJSON_GetStringValue(header)};
        hook->headers = n ? hooks->headers[i] : NULL;
        hook->header_count = n;
    }
    options->webhooks = hooks ? hooks->items : NULL;
    return hooks;
}

static const struct field history_fields[] = {
    STRING(pusherc_history_pattern, pattern),
    UINT32(pusherc_history_pattern, max_events),
    UINT32(pusherc_history_pattern, max_bytes),
    UINT32(pusherc_history_pattern, max_age_s),
    {NULL, 0, FIELD_UINT32},
};

static pusherc_history_pattern *read_history(const cJSON *list, pusherc_app_options *options)
{
    const cJSON *item;
    pusherc_history_pattern *patterns =
        list ? calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *patterns) : NULL;
    if (list && !patterns)
        host_die("out of memory", "history");
    cJSON_ArrayForEach(item, list)
    {
        pusherc_history_pattern *pattern = &patterns[options->history_count++];
        *pattern = (pusherc_history_pattern)PUSHERC_HISTORY_PATTERN_INIT;
        read_fields(history_fields, item, pattern);
    }
    options->history = patterns;
    return patterns;
}

void host_read_app(const cJSON *object, pusherc_app_options *options, struct app_memory *memory)
{
    pusherc_app_options_init(options, sizeof *options);
    read_fields(app_fields, object, options);
    memory->origins =
        read_origins(cJSON_GetObjectItemCaseSensitive(object, "allowed_origins"), options);
    memory->webhooks = read_webhooks(cJSON_GetObjectItemCaseSensitive(object, "webhooks"), options);
    memory->history = read_history(cJSON_GetObjectItemCaseSensitive(object, "history"), options);
}

void host_free_app(struct app_memory *memory)
{
    free(memory->origins);
    free(memory->webhooks);
    free(memory->history);
}

/* -- life -- */

/* "attach" and "poll" run the server by libuv and by waiting calls, "attach-epoll" and "poll-epoll" as loops of another
 * kind do: by its descriptor and the time that it names. */
static bool mode_is(const struct host *host, const char *kind)
{
    return strncmp(host_string(host->config, "mode"), kind, strlen(kind)) == 0;
}

/* What no option sets, so that a test need not wait for it. */
static void set_constants(struct pc_engine *engine, const cJSON *values)
{
    struct pc_constants *constants = &engine->constants;
    constants->request_timeout_ms =
        (uint32_t)host_number(values, "request_timeout_ms", constants->request_timeout_ms);
    constants->fallback_absence_ms =
        (uint32_t)host_number(values, "fallback_absence_ms", constants->fallback_absence_ms);
    constants->fallback_heartbeat_ms =
        (uint32_t)host_number(values, "fallback_heartbeat_ms", constants->fallback_heartbeat_ms);
    constants->fallback_patience_ms =
        (uint32_t)host_number(values, "fallback_patience_ms", constants->fallback_patience_ms);
    constants->keep_alive_ms =
        (uint32_t)host_number(values, "keep_alive_ms", constants->keep_alive_ms);
    for (uint32_t i = 0; i < engine->worker_count; i++) {
        struct pc_mailbox *box = engine->workers[i].mailbox;
        box->max = (uint32_t)host_number(values, "mailbox_max_events", box->max);
    }
}

/* "laravel_redis": {"url":..., "app_id":...} */
static void hear_laravel(struct host *host, pusherc_server *server)
{
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(host->config, "laravel_redis");
    pusherc_laravel_redis_options laravel = PUSHERC_LARAVEL_REDIS_OPTIONS_INIT;
    pusherc_errinfo info = {0};
    if (!config)
        return;
    laravel.url = cJSON_GetObjectItemCaseSensitive(config, "url")->valuestring;
    laravel.app_id = cJSON_GetObjectItemCaseSensitive(config, "app_id")->valuestring;
    if (pusherc_server_use_laravel_redis(server, &laravel, &info))
        host_die("pusherc_server_use_laravel_redis", info.text);
}

/* "redis": {"url":..., "prefix":...} */
static void link_with_others(struct host *host, pusherc_server *server)
{
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(host->config, "redis");
    pusherc_redis_options redis = PUSHERC_REDIS_OPTIONS_INIT;
    pusherc_errinfo info = {0};
    if (!config)
        return;
    redis.url = cJSON_GetObjectItemCaseSensitive(config, "url")->valuestring;
    redis.prefix = cJSON_GetObjectItemCaseSensitive(config, "prefix")->valuestring;
    if (pusherc_server_use_redis(server, &redis, NULL, &info))
        host_die("pusherc_server_use_redis", info.text);
}

static void make_server(struct host *host, size_t index, uv_loop_t *loop, bool poll)
{
    pusherc_hooks hooks;
    pusherc_errinfo info = {0};
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    options.log_fn = pusherc_log_to_stderr;
    options.log_level = (pusherc_log_level)host_number(host->config, "log_level", PUSHERC_LOG_WARN);
    options.loop = loop;
    read_fields(server_fields, cJSON_GetObjectItemCaseSensitive(host->config, "options"), &options);
    if (poll)
        options.worker_count = PUSHERC_WORKERS_NONE;
    hooks_fill(host, &hooks);
    options.hooks = &hooks;
    if (pusherc_server_new(&host->servers[index], &options, &info))
        host_die("pusherc_server_new", info.text);
    set_constants(&host->servers[index]->engine,
                  cJSON_GetObjectItemCaseSensitive(host->config, "constants"));
    rules_add(host, host->servers[index]);
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(host->config, "apps"))
    {
        pusherc_app_options app;
        struct app_memory memory;
        host_read_app(item, &app, &memory);
        if (pusherc_server_put_app(host->servers[index], &app, &info))
            host_die("pusherc_server_put_app", info.text);
        host_free_app(&memory);
    }
    link_with_others(host, host->servers[index]);
    hear_laravel(host, host->servers[index]);
    pusherc_listen_options listen = PUSHERC_LISTEN_OPTIONS_INIT;
    pusherc_tls_options tls = PUSHERC_TLS_OPTIONS_INIT;
    const cJSON *tls_config = cJSON_GetObjectItemCaseSensitive(host->config, "tls");
    read_fields(tls_fields, tls_config, &tls);
    listen.tls = tls_config ? &tls : NULL;
    if (pusherc_server_listen(host->servers[index], &listen, &info))
        host_die("pusherc_server_listen", info.text);
    pusherc_listen_options metrics = PUSHERC_LISTEN_OPTIONS_INIT;
    metrics.purpose = PUSHERC_LISTEN_METRICS;
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(host->config, "metrics")) &&
        pusherc_server_listen(host->servers[index], &metrics, &info))
        host_die("pusherc_server_listen", info.text);
    /* paths of unix sockets: for clients, for metrics */
    const cJSON *paths = cJSON_GetObjectItemCaseSensitive(host->config, "unix_sockets");
    for (int i = 0; i < cJSON_GetArraySize(paths); i++) {
        pusherc_listen_options path = PUSHERC_LISTEN_OPTIONS_INIT;
        path.host = cJSON_GetArrayItem(paths, i)->valuestring;
        path.purpose = i == 0 ? PUSHERC_LISTEN_CLIENTS : PUSHERC_LISTEN_METRICS;
        if (pusherc_server_listen(host->servers[index], &path, &info))
            host_die("pusherc_server_listen", info.text);
    }
    if (pusherc_server_start(host->servers[index], &info))
        host_die("pusherc_server_start", info.text);
}

static void *read_input(void *arg)
{
    struct host *host = arg;
    commands_run(host);
    /* An attached server may be freed only after it has stopped; the others are freed as they are. */
    if (mode_is(host, "attach"))
        for (size_t i = 0; i < host->server_count; i++)
            pusherc_server_stop(host->servers[i], 0, NULL, NULL);
    pthread_mutex_lock(&host->lock);
    host->input_ended = true;
    if (host->wake_fd >= 0 && write(host->wake_fd, &(uint64_t){1}, sizeof(uint64_t)) < 0)
        host_die("write", strerror(errno));
    pthread_cond_broadcast(&host->changed);
    pthread_mutex_unlock(&host->lock);
    return NULL;
}

static bool input_ended(struct host *host)
{
    pthread_mutex_lock(&host->lock);
    bool ended = host->input_ended;
    pthread_mutex_unlock(&host->lock);
    return ended;
}

static void poll_until_end(struct host *host)
{
    bool running = true;
    while (running && !input_ended(host)) {
        running = false;
        for (size_t i = 0; i < host->server_count; i++) {
            int err = pusherc_server_poll(host->servers[i], host->server_count > 1 ? 5 : 50);
            if (err < 0)
                host_die("pusherc_server_poll", pusherc_strerror(err));
            running |= err == 1;
        }
    }
}

/* Each server is polled when its descriptor is readable or the time that it named is over, and at no other time. */
static void poll_by_epoll(struct host *host)
{
    struct epoll_event events[HOST_MAX_SERVERS + 1];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    bool running[HOST_MAX_SERVERS] = {false};
    for (size_t i = 0; i <= host->server_count; i++) {
        bool server = i < host->server_count;
        int fd = server ? pusherc_server_fd(host->servers[i]) : host->wake_fd;
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = i};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
            host_die("epoll_ctl", strerror(errno));
        if (server)
            running[i] = true;
    }
    while (!input_ended(host)) {
        bool due[HOST_MAX_SERVERS + 1] = {false};
        uint32_t wait_ms = INT32_MAX;
        for (size_t i = 0; i < host->server_count; i++) {
            uint32_t ms = running[i] ? pusherc_server_wait_ms(host->servers[i]) : UINT32_MAX;
            wait_ms = ms < wait_ms ? ms : wait_ms;
        }
        int n = epoll_wait(epoll, events, HOST_MAX_SERVERS + 1, (int)wait_ms);
        for (int i = 0; i < n; i++)
            due[events[i].data.u64] = true;
        for (size_t i = 0; i < host->server_count; i++)
            if (running[i] && (due[i] || pusherc_server_wait_ms(host->servers[i]) == 0))
                running[i] = pusherc_server_poll(host->servers[i], 0) == 1;
    }
    close(epoll);
}

/* As libuv's manual says for a loop inside another one. */
static void run_by_epoll(uv_loop_t *loop)
{
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, uv_backend_fd(loop), &event))
        host_die("epoll", strerror(errno));
    while (uv_run(loop, UV_RUN_NOWAIT))
        (void)epoll_wait(epoll, &event, 1, uv_backend_timeout(loop));
    close(epoll);
}

int main(int argc, char **argv)
{
    struct host host = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    host.config = argc == 2 ? cJSON_Parse(argv[1]) : NULL;
    if (!host.config)
        host_die("usage", "host '{\"apps\": [...], ...}'");
    bool attach = mode_is(&host, "attach"), poll = mode_is(&host, "poll");
    bool epoll = mode_is(&host, "attach-epoll") || mode_is(&host, "poll-epoll");
    host.wake_fd = poll && epoll ? eventfd(0, EFD_CLOEXEC) : -1;
    uv_loop_t loop;
    if (attach && uv_loop_init(&loop))
        host_die("uv_loop_init", "failed");

    host.server_count = (size_t)host_number(host.config, "servers", 1);
    if (host.server_count > HOST_MAX_SERVERS)
        host_die("too many", "servers");
    for (size_t i = 0; i < host.server_count; i++) {
        make_server(&host, i, attach ? &loop : NULL, poll);
        printf("listening on 127.0.0.1:%u\n", pusherc_server_port(host.servers[i], 0));
    }
    fflush(stdout);

    pthread_t reader;
    if (pthread_create(&reader, NULL, read_input, &host))
        host_die("pthread_create", "failed");
    if (attach && epoll)
        run_by_epoll(&loop);
    else if (attach)
        uv_run(&loop, UV_RUN_DEFAULT);
    if (poll && epoll)
        poll_by_epoll(&host);
    else if (poll)
        poll_until_end(&host);
    pthread_join(reader, NULL);
    pthread_mutex_lock(&host.lock);
    while (host.jobs)
        pthread_cond_wait(&host.changed, &host.lock);
    pthread_mutex_unlock(&host.lock);

    for (size_t i = 0; i < host.server_count; i++)
        pusherc_server_free(host.servers[i]);
    hooks_answer_rest(&host);
    cJSON_Delete(host.config);
    cJSON_Delete(host.answers);
    if (attach && (uv_run(&loop, UV_RUN_DEFAULT) || uv_loop_close(&loop)))
        host_die("left on the loop", "a handle");
    if (atomic_load(&host.identities))
        host_die("not freed", "an identity");
    return 0;
}
