#include "client.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pusherc/version.h>

#define MAX_QUERY 4096

/* -- links -- */

static int look_up_instead(struct cli_link *link, const char *address, struct cli_error *error)
{
    struct cli_target other;
    char url[400];

    (void)snprintf(url, sizeof url, "http://%.300s", address);
    if (cli_target_parse(&other, url, error))
        return cli_fail(error, "--address must be HOST:PORT, not \"%.100s\"", address);
    if (cli_wire_look_up(&link->api, other.api.host, other.api.port, error))
        return -1;
    link->ws = link->api;
    return 0;
}

/* Puts the address that takes a connection first: "localhost" may be ::1, at which nothing listens, and 127.0.0.1. */
static void choose(struct cli_wire_addresses *to, int64_t timeout_us)
{
    struct cli_wire wire;

    for (size_t i = 0; to->count > 1 && i < to->count; i++) {
        cli_wire_connect(&wire, to, i, NULL, "");
        bool open = cli_wire_open(&wire, cli_wire_now_us() + timeout_us) == 0;
        cli_wire_close(&wire);
        if (!open)
            continue;
        const struct sockaddr_storage first = to->items[0];
        const socklen_t first_len = to->lens[0];
        to->items[0] = to->items[i];
        to->lens[0] = to->lens[i];
        to->items[i] = first;
        to->lens[i] = first_len;
        return;
    }
}

int cli_link_open(struct cli_link *link, const char *ca_file, bool insecure, const char *address,
                  struct cli_error *error)
{
    const struct cli_target *t = &link->target;

    link->tls = NULL;
    if (address ? look_up_instead(link, address, error)
                : cli_wire_look_up(&link->api, t->api.host, t->api.port, error) ||
                      cli_wire_look_up(&link->ws, t->ws.host, t->ws.port, error))
        return -1;
    choose(&link->api, link->timeout_us);
    choose(&link->ws, link->timeout_us);
    if (!t->api.tls && !t->ws.tls)
        return 0;
    return cli_wire_tls_new(&link->tls, ca_file, !insecure, error);
}

void cli_link_free(struct cli_link *link)
{
    cli_wire_tls_free(link->tls);
    link->tls = NULL;
}

/* -- the HTTP API -- */

static int open_any(struct cli_wire *wire, const struct cli_link *link, int64_t deadline_us,
                    struct cli_error *error)
{
    const struct cli_address *api = &link->target.api;

    for (size_t i = 0; i < link->api.count; i++) {
        cli_wire_connect(wire, &link->api, i, api->tls ? link->tls : NULL, api->host);
        if (cli_wire_open(wire, deadline_us) == 0)
            return 0;
        *error = wire->error;
        cli_wire_close(wire);
    }
    return -1;
}

int cli_link_ask(const struct cli_link *link, const struct cli_http_request *request,
                 struct cli_http_answer *answer, struct cli_error *error)
{
    int64_t deadline_us = cli_wire_now_us() + link->timeout_us;
    struct cli_wire wire = {.fd = -1};

    *answer = (struct cli_http_answer){0};
    int status = open_any(&wire, link, deadline_us, error);
    if (status == 0)
        status = cli_http_ask(&wire, &link->target.api, request, deadline_us, answer, error);
    cli_wire_close(&wire);
    return status;
}

void cli_put_percent(char *out, size_t cap, const char *text)
{
    size_t len = 0;

    for (; *text && len + 4 < cap; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr("-_.~=,;:@", c);
        len += (size_t)snprintf(out + len, cap - len, plain ? "%c" : "%%%02X", c);
    }
    out[len] = '\0';
}

void cli_api_path(const struct cli_target *target, const char *what, char out[CLI_PATH_TEXT])
{
    char id[640];

    cli_put_percent(id, sizeof id, target->id);
    (void)snprintf(out, CLI_PATH_TEXT, "%s/apps/%s%s", target->api.prefix, id, what);
}

int cli_link_api_as(const struct cli_link *link, const char *method, const char *path,
                    const char *signed_path, uint64_t unix_time_s, const pusherc_http_param *params,
                    size_t param_count, const char *body, struct cli_http_answer *answer,
                    struct cli_error *error)
{
    pusherc_credentials credentials = cli_target_credentials(&link->target);
    char query[MAX_QUERY], target[CLI_PATH_TEXT + MAX_QUERY];
    const struct cli_http_request request = {
        .method = method, .target = target, .body = body, .content_type = "application/json"};

    *answer = (struct cli_http_answer){0};
    int err = pusherc_sign_request(&credentials, method, signed_path ? signed_path : path, params,
                                   param_count, pusherc_slice_of(body ? body : ""), unix_time_s,
                                   query, sizeof query, NULL);
    if (err)
        return cli_fail(error, "the request cannot be signed: %s: key and secret are needed",
                        pusherc_strerror(err));
    (void)snprintf(target, sizeof target, "%s?%s", path, query);
    return cli_link_ask(link, &request, answer, error);
}

int cli_link_api(const struct cli_link *link, const char *method, const char *what,
                 const pusherc_http_param *params, size_t param_count, const char *body,
                 struct cli_http_answer *answer, struct cli_error *error)
{
    char path[CLI_PATH_TEXT], plain[CLI_PATH_TEXT];

    /* Servers take the prefix off before they look at the signature. */
    cli_api_path(&link->target, what, path);
    (void)snprintf(plain, sizeof plain, "%s", path + strlen(link->target.api.prefix));
    return cli_link_api_as(link, method, path, plain, (uint64_t)time(NULL), params, param_count,
                           body, answer, error);
}

/* -- messages -- */

static const char *text_of(const cJSON *json, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
    return text ? text : "";
}

void cli_message_free(struct cli_message *message)
{
    if (message) {
        cJSON_Delete(message->json);
        free(message);
    }
}

/* Some servers send "data" as an object in place of a text. */
static void make_text_of_data(cJSON *json)
{
    cJSON *data = cJSON_GetObjectItemCaseSensitive(json, "data");

    if (!data || cJSON_IsString(data))
        return;
    char *text = cJSON_PrintUnformatted(data);
    cJSON *string = text ? cJSON_CreateString(text) : NULL;
    cJSON_free(text);
    if (string)
        cJSON_ReplaceItemInObjectCaseSensitive(json, "data", string);
}

static void note_error(struct cli_client *client, const struct cli_message *message)
{
    cJSON *data = cJSON_Parse(message->data);
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(data, "code");

    client->error_code = cJSON_IsNumber(code) ? code->valueint : 0;
    (void)snprintf(client->error_text, sizeof client->error_text, "%s", text_of(data, "message"));
    cli_make_plain(client->error_text);
    cJSON_Delete(data);
}

static void note_established(struct cli_client *client, const struct cli_message *message)
{
    cJSON *data = cJSON_Parse(message->data);

    (void)snprintf(client->socket_id, sizeof client->socket_id, "%s", text_of(data, "socket_id"));
    client->established_us = message->came_us;
    cJSON_Delete(data);
}

static void on_text(void *user, const char *text, size_t len)
{
    static const char pong[] = "{\"event\":\"pusher:pong\",\"data\":{}}";
    struct cli_client *client = user;
    struct cli_message *message = calloc(1, sizeof *message);
    cJSON *json = cJSON_ParseWithLength(text, len);

    if (!message || !json) {
        cJSON_Delete(json);
        free(message);
        return;
    }
    make_text_of_data(json);
    *message = (struct cli_message){.json = json,
                                    .event = text_of(json, "event"),
                                    .channel = text_of(json, "channel"),
                                    .data = text_of(json, "data"),
                                    .came_us = cli_wire_now_us()};
    if (strcmp(message->event, "pusher:ping") == 0) {
        (void)cli_ws_send(&client->ws, pong, sizeof pong - 1);
        cli_message_free(message);
        return;
    }
    if (strcmp(message->event, "pusher:error") == 0)
        note_error(client, message);
    if (strcmp(message->event, "pusher:connection_established") == 0)
        note_established(client, message);
    *client->last = message;
    client->last = &message->next;
}

/* -- connections -- */

void cli_ws_path(const struct cli_target *target, char out[CLI_PATH_TEXT])
{
    char key[640];

    cli_put_percent(key, sizeof key, target->key);
    (void)snprintf(out, CLI_PATH_TEXT, "%s/app/%s?protocol=7&client=pusherc&version=%s",
                   target->ws.prefix, key, pusherc_version_string());
}

void cli_client_connect(struct cli_client *client, const struct cli_link *link, const char *fields)
{
    const struct cli_address *to = &link->target.ws;
    char path[CLI_PATH_TEXT];

    *client = (struct cli_client){.ws = {.on_text = on_text, .user = client}};
    client->last = &client->first;
    cli_ws_path(&link->target, path);
    cli_ws_connect(&client->ws, &link->ws, 0, to->tls ? link->tls : NULL, to, path, fields);
}

void cli_client_close(struct cli_client *client)
{
    cli_ws_close(&client->ws);
    while (client->first) {
        struct cli_message *message = client->first;
        client->first = message->next;
        cli_message_free(message);
    }
    client->last = &client->first;
}

struct cli_message *cli_client_next(struct cli_client *client, int64_t deadline_us)
{
    while (!client->first) {
        if (client->ws.state == CLI_WS_CLOSED || !cli_ws_wait(&client->ws, deadline_us))
            return NULL;
    }
    struct cli_message *message = client->first;
    client->first = message->next;
    if (!client->first)
        client->last = &client->first;
    return message;
}

int cli_client_establish(struct cli_client *client, int64_t deadline_us)
{
    while (!client->socket_id[0]) {
        struct cli_message *message = cli_client_next(client, deadline_us);
        if (!message)
            return -1;
        cli_message_free(message);
    }
    return 0;
}

bool cli_channel_is_presence(const char *channel)
{
    return strncmp(channel, "presence-", 9) == 0;
}

bool cli_channel_is_guarded(const char *channel)
{
    return strncmp(channel, "private-", 8) == 0 || cli_channel_is_presence(channel);
}

char *cli_subscribe_text(const struct cli_link *link, const char *text_id, const char *channel,
                         const char *channel_data, struct cli_error *error)
{
    pusherc_credentials credentials = cli_target_credentials(&link->target);
    pusherc_socket_id socket_id;
    char auth[320];
    int err = 0;

    cJSON *message = cJSON_CreateObject();
    cJSON *data = cJSON_AddObjectToObject(message, "data");
    cJSON_AddStringToObject(message, "event", "pusher:subscribe");
    cJSON_AddStringToObject(data, "channel", channel);
    if (cli_channel_is_guarded(channel)) {
        err = pusherc_socket_id_parse(pusherc_slice_of(text_id), &socket_id);
        if (err == 0)
            err = pusherc_sign_channel(&credentials, socket_id, pusherc_slice_of(channel),
                                       pusherc_slice_of(channel_data ? channel_data : ""), auth,
                                       sizeof auth, NULL);
        cJSON_AddStringToObject(data, "auth", err ? "" : auth);
        if (channel_data)
            cJSON_AddStringToObject(data, "channel_data", channel_data);
    }
    char *text = cJSON_PrintUnformatted(message);
    cJSON_Delete(message);
    if (err == 0 && text)
        return text;
    cJSON_free(text);
    if (err)
        (void)cli_fail(error, "%.100s cannot be signed: %s", channel,
                       link->target.secret[0] ? pusherc_strerror(err)
                                              : "the app's secret is not known");
    else
        (void)cli_fail_no_memory(error);
    return NULL;
}

int cli_client_subscribe(struct cli_client *client, const struct cli_link *link,
                         const char *channel, const char *channel_data, struct cli_error *error)
{
    char *text = cli_subscribe_text(link, client->socket_id, channel, channel_data, error);

    if (!text)
        return -1;
    int status = cli_ws_send(&client->ws, text, strlen(text));
    cJSON_free(text);
    if (status)
        cli_client_why(client, error);
    return status;
}

void cli_client_why(const struct cli_client *client, struct cli_error *error)
{
    const struct cli_ws *ws = &client->ws;

    if (client->error_code)
        (void)cli_fail(error, "the server closed the connection with %d: %s", client->error_code,
                       client->error_text);
    else if (ws->close_code)
        (void)cli_fail(error, "the server closed the connection with %u: %s",
                       (unsigned)ws->close_code, ws->close_reason);
    else if (ws->state == CLI_WS_CLOSED)
        *error = ws->error;
    else
        (void)cli_fail(error, "the server did not answer within the time");
}
