/* The host's functions. What a client asks for decides what they do, so that one host serves many tests. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host.h"

static bool is(pusherc_slice text, const char *other)
{
    return text.len == strlen(other) && memcmp(text.ptr, other, text.len) == 0;
}

/* -- questions that wait -- */

void hooks_ask(struct host *host, enum question kind, void *request, cJSON *event)
{
    struct asked *asked = malloc(sizeof *asked);
    if (!asked)
        host_die("out of memory", "asking");
    pthread_mutex_lock(&host->lock);
    *asked = (struct asked){host->asked, ++host->last_asked, kind, request};
    host->asked = asked;
    unsigned number = asked->number;
    pthread_mutex_unlock(&host->lock);
    cJSON_AddNumberToObject(event, "request", number);
    host_say(event);
}

void *hooks_take(struct host *host, enum question kind, const cJSON *line)
{
    double number = host_number(line, "request", 0);
    void *request = NULL;
    pthread_mutex_lock(&host->lock);
    for (struct asked **p = &host->asked; *p; p = &(*p)->next) {
        struct asked *asked = *p;
        if (asked->number == number && asked->kind == kind) {
            *p = asked->next;
            request = asked->request;
            free(asked);
            break;
        }
    }
    pthread_mutex_unlock(&host->lock);
    if (!request)
        host_die("no such request", host_string(line, "do"));
    return request;
}

void hooks_answer_rest(struct host *host)
{
    while (host->asked) {
        struct asked *asked = host->asked;
        int err = 0;
        switch (asked->kind) {
        case QUESTION_IDENTIFY:
            err = pusherc_identify_accept(asked->request, NULL);
            break;
        case QUESTION_FIND_APP:
            err = pusherc_app_answer(asked->request, NULL);
            break;
        case QUESTION_HTTP:
            err = pusherc_http_respond(asked->request, 200, NULL, 0, (pusherc_slice){0});
            break;
        case QUESTION_AUTHORIZE:
            err = pusherc_auth_allow(asked->request, NULL);
            break;
        }
        cJSON *event = host_event("late");
        host_add_rc(event, err);
        host_say(event);
        host->asked = asked->next;
        free(asked);
    }
}

/* -- who is this? -- */

/* Counts what was handed over, so that the end can tell whether all of it came back. */
struct handed_over {
    struct host *host;
    char name[32];
};

static void free_handed_over(void *ptr)
{
    struct handed_over *data = ptr;
    atomic_fetch_sub(&data->host->identities, 1);
    free(data);
}

static int accept_as(struct host *host, pusherc_identify_request *request, pusherc_slice user_id,
                     pusherc_slice user_info)
{
    struct handed_over *data = malloc(sizeof *data);
    if (!data)
        host_die("out of memory", "identity");
    data->host = host;
    snprintf(data->name, sizeof data->name, "data of %.*s", (int)user_id.len,
             user_id.len ? user_id.ptr : "");
    atomic_fetch_add(&host->identities, 1);
    pusherc_identity identity = PUSHERC_IDENTITY_INIT;
    identity.user_id = user_id;
    identity.user_info_json = user_info;
    identity.data = data;
    identity.free_data = free_handed_over;
    return pusherc_identify_accept(request, &identity);
}

static bool has_password(const pusherc_identify_request *request)
{
    pusherc_slice value = pusherc_identify_header(request, "Authorization");
    return value.len > 6 && strncasecmp(value.ptr, "basic ", 6) == 0;
}

/* ?ask=1 asks the test, ?reject=4123 refuses, ?user=7 lets in as 7, as do the token "user-7" and then the cookie
 * "user"; any password lets in as 7; everything else is anonymous. */
static void identify(pusherc_identify_request *request, void *user_data)
{
    struct host *host = user_data;
    pusherc_slice reject = pusherc_identify_query(request, "reject");
    pusherc_slice user = pusherc_identify_query(request, "user");
    pusherc_slice token = pusherc_identify_bearer(request);
    if (!user.len && token.len > 5 && memcmp(token.ptr, "user-", 5) == 0)
        user = (pusherc_slice){token.ptr + 5, token.len - 5};
    if (pusherc_identify_query(request, "ask").len) {
        cJSON *event = host_event("identify");
        cJSON_AddNumberToObject(event, "purpose", pusherc_identify_purpose_of(request));
        host_add_slice(event, "app", pusherc_identify_app_id(request));
        host_add_slice(event, "path", pusherc_identify_path(request));
        host_add_slice(event, "peer", pusherc_identify_peer(request));
        host_add_slice(event, "client_ip", pusherc_identify_client_ip(request));
        host_add_slice(event, "header", pusherc_identify_header(request, "x-test"));
        host_add_slice(event, "cookie", pusherc_identify_cookie(request, "session"));
        host_add_slice(event, "query", pusherc_identify_query(request, "token"));
        host_add_slice(event, "absent", pusherc_identify_header(request, "x-absent"));
        hooks_ask(host, QUESTION_IDENTIFY, request, event);
        return;
    }
    if (reject.len) {
        char code[8] = "";
        memcpy(code, reject.ptr, reject.len < sizeof code ? reject.len : sizeof code - 1);
        pusherc_identify_reject(request, (uint16_t)strtoul(code, NULL, 10), "rejected by the host");
        return;
    }
    if (!user.len)
        user = pusherc_identify_cookie(request, "user");
    if (!user.len && has_password(request))
        user = pusherc_slice_of("7");
    if (user.len)
        accept_as(host, request, user, pusherc_identify_query(request, "info"));
    else
        pusherc_identify_accept(request, NULL);
}

static int answer_identify(struct host *host, const cJSON *line)
{
    pusherc_identify_request *request = hooks_take(host, QUESTION_IDENTIFY, line);
    double code = host_number(line, "reject", 0);
    if (code > 0)
        return pusherc_identify_reject(request, (uint16_t)code, host_string(line, "reason"));
    const cJSON *user = cJSON_GetObjectItemCaseSensitive(line, "user");
    if (!user)
        return pusherc_identify_accept(request, NULL);
    return accept_as(host, request, host_slice(user),
                     host_slice(cJSON_GetObjectItemCaseSensitive(line, "info")));
}

/* -- which app is this? -- */

/* The app in "find_apps" whose field has this value. */
static const cJSON *known_app(const struct host *host, const char *field, pusherc_slice value)
{
    const cJSON *app;
    cJSON_ArrayForEach(app, cJSON_GetObjectItemCaseSensitive(host->config, "find_apps"))
    {
        if (is(value, host_string(app, field)))
            return app;
    }
    return NULL;
}

static int answer_app(pusherc_app_request *request, const cJSON *app)
{
    if (!cJSON_IsObject(app))
        return pusherc_app_answer(request, NULL);
    pusherc_app_options options;
    struct app_memory memory;
    host_read_app(app, &options, &memory);
    int err = pusherc_app_answer(request, &options);
    host_free_app(&memory);
    return err;
}

/* Apps in "find_apps" are known at once; about keys that begin with "ask-" the test is asked. */
static void find_app(pusherc_app_request *request, void *user_data)
{
    struct host *host = user_data;
    pusherc_slice id = pusherc_app_request_id(request), key = pusherc_app_request_key(request);
    pusherc_slice either = key.len ? key : id;
    if (either.len > 4 && memcmp(either.ptr, "ask-", 4) == 0) {
        cJSON *event = host_event("find_app");
        host_add_slice(event, "id", id);
        host_add_slice(event, "key", key);
        hooks_ask(host, QUESTION_FIND_APP, request, event);
    } else {
        answer_app(request, key.len ? known_app(host, "key", key) : known_app(host, "id", id));
    }
}

/* -- pages of the host -- */

static pusherc_http_field field(const char *name, const char *value)
{
    return (pusherc_http_field){{name, strlen(name)}, {value, strlen(value)}};
}

static cJSON *describe(const pusherc_http_request *request)
{
    cJSON *event = host_event("http");
    host_add_slice(event, "method", pusherc_http_method(request));
    host_add_slice(event, "path", pusherc_http_path(request));
    host_add_slice(event, "query", pusherc_http_query(request, "q"));
    host_add_slice(event, "header", pusherc_http_header(request, "x-test"));
    host_add_slice(event, "cookie", pusherc_http_cookie(request, "session"));
    host_add_slice(event, "body", pusherc_http_body(request));
    host_add_slice(event, "peer", pusherc_http_peer(request));
    return event;
}

/* /ask asks the test, /bad answers against the rules, /none is not there, all others show what came. */
static void on_http(pusherc_http_request *request, void *user_data)
{
    pusherc_slice path = pusherc_http_path(request);
    if (is(path, "/ask")) {
        hooks_ask(user_data, QUESTION_HTTP, request, describe(request));
    } else if (is(path, "/bad")) {
        pusherc_http_field split = field("X-Split", "a\r\nX-Forged: b");
        pusherc_http_respond(request, 200, &split, 1, (pusherc_slice)PUSHERC_LIT("no"));
    } else if (is(path, "/none")) {
        pusherc_http_respond(request, 404, NULL, 0, (pusherc_slice)PUSHERC_LIT("not here"));
    } else {
        pusherc_http_field json = field("Content-Type", "application/json");
        cJSON *shown = describe(request);
        char *text = cJSON_PrintUnformatted(shown);
        pusherc_http_respond(request, 200, &json, 1, (pusherc_slice){text, strlen(text)});
        free(text);
        cJSON_Delete(shown);
    }
}

static int answer_http(struct host *host, const cJSON *line)
{
    pusherc_http_request *request = hooks_take(host, QUESTION_HTTP, line);
    pusherc_http_field fields[8];
    size_t n = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(line, "fields")) if (n < 8)
        fields[n++] = field(item->string, cJSON_GetStringValue(item));
    return pusherc_http_respond(request, (int)host_number(line, "status", 200), fields, n,
                                host_slice(cJSON_GetObjectItemCaseSensitive(line, "body")));
}

bool hooks_answer(struct host *host, const char *command, const cJSON *line, cJSON *reply)
{
    if (strcmp(command, "identify") == 0)
        host_add_rc(reply, answer_identify(host, line));
    else if (strcmp(command, "app_answer") == 0)
        host_add_rc(reply, answer_app(hooks_take(host, QUESTION_FIND_APP, line),
                                      cJSON_GetObjectItemCaseSensitive(line, "app")));
    else if (strcmp(command, "http_answer") == 0)
        host_add_rc(reply, answer_http(host, line));
    else
        return false;
    return true;
}

/* -- what happens -- */

static cJSON *about(const char *name, const pusherc_conn *conn)
{
    cJSON *event = host_event(name);
    const struct handed_over *data = pusherc_conn_data(conn);
    host_add_socket_id(event, pusherc_conn_socket_id(conn));
    host_add_slice(event, "app", pusherc_conn_app_id(conn));
    host_add_slice(event, "user", pusherc_conn_user_id(conn));
    host_add_slice(event, "client_ip", pusherc_conn_client_ip(conn));
    cJSON_AddStringToObject(event, "attached", data ? data->name : "");
    return event;
}

static void on_open(const pusherc_conn *conn, void *user_data)
{
    (void)user_data;
    host_say(about("open", conn));
}

static void on_signin(const pusherc_conn *conn, void *user_data)
{
    (void)user_data;
    host_say(about("signin", conn));
}

static void on_user(const pusherc_user_event *user, void *user_data)
{
    (void)user_data;
    cJSON *event = host_event("user");
    host_add_slice(event, "app", user->app_id);
    host_add_slice(event, "user", user->user_id);
    cJSON_AddBoolToObject(event, "online", user->online);
    cJSON_AddNumberToObject(event, "sequence", (double)user->sequence);
    host_say(event);
}

static void on_receipt(const pusherc_receipt *receipt, void *user_data)
{
    char socket_id[PUSHERC_SOCKET_ID_STRLEN];
    (void)user_data;
    pusherc_socket_id_format(receipt->socket_id, socket_id);
    cJSON *event = host_event("receipt");
    cJSON_AddStringToObject(event, "kind",
                            receipt->kind == PUSHERC_RECEIPT_SHOWN ? "shown" : "written");
    host_add_slice(event, "app", receipt->app_id);
    host_add_slice(event, "channel", receipt->channel);
    host_add_slice(event, "name", receipt->event);
    host_add_slice(event, "id", receipt->id);
    host_add_slice(event, "user", receipt->user_id);
    cJSON_AddStringToObject(event, "socket_id", socket_id);
    cJSON_AddNumberToObject(event, "at_ms", (double)receipt->at_ms);
    host_say(event);
}

static void on_ephemeral_end(const pusherc_ephemeral_end *end, void *user_data)
{
    (void)user_data;
    cJSON *event = host_event("ephemeral_end");
    cJSON_AddStringToObject(event, "reason",
                            end->reason == PUSHERC_EPHEMERAL_LEFT ? "left" : "time");
    host_add_slice(event, "app", end->app_id);
    host_add_slice(event, "channel", end->channel);
    host_add_slice(event, "name", end->event);
    host_add_slice(event, "user", end->user_id);
    host_add_slice(event, "key", end->key);
    host_add_slice(event, "data", end->data);
    host_say(event);
}

static void on_close(const pusherc_conn *conn, uint16_t close_code, void *user_data)
{
    (void)user_data;
    cJSON *event = about("close", conn);
    cJSON_AddNumberToObject(event, "code", close_code);
    host_say(event);
}

static const char *type_name(pusherc_channel_event_type type)
{
    switch (type) {
    case PUSHERC_CHANNEL_OCCUPIED:
        return "occupied";
    case PUSHERC_CHANNEL_VACATED:
        return "vacated";
    case PUSHERC_MEMBER_ADDED:
        return "member_added";
    case PUSHERC_MEMBER_REMOVED:
        return "member_removed";
    case PUSHERC_SUBSCRIPTION_COUNT:
        return "subscription_count";
    }
    return "unknown";
}

static void on_channel(const pusherc_channel_event *event, void *user_data)
{
    (void)user_data;
    cJSON *line = host_event("channel");
    cJSON_AddStringToObject(line, "type", type_name(event->type));
    host_add_slice(line, "app", event->app_id);
    host_add_slice(line, "channel", event->channel);
    host_add_slice(line, "user", event->user_id);
    cJSON_AddNumberToObject(line, "subscriptions", (double)event->subscription_count);
    cJSON_AddNumberToObject(line, "sequence", (double)event->sequence);
    host_say(line);
}

/* client-refused is refused; client-answered is answered from inside this call; others are relayed. */
static int on_client_event(const pusherc_conn *conn, const pusherc_client_event *event,
                           void *user_data)
{
    struct host *host = user_data;
    cJSON *line = about("client_event", conn);
    host_add_slice(line, "channel", event->channel);
    host_add_slice(line, "name", event->event);
    host_add_slice(line, "data", event->data);
    host_add_slice(line, "member", event->user_id);
    host_say(line);
    if (is(event->event, "client-refused"))
        return 1;
    if (is(event->event, "client-answered")) {
        char app_id[64] = "";
        pusherc_slice id = pusherc_conn_app_id(conn);
        memcpy(app_id, id.ptr, id.len < sizeof app_id ? id.len : sizeof app_id - 1);
        pusherc_event answer = PUSHERC_EVENT_INIT;
        answer.name = (pusherc_slice)PUSHERC_LIT("answer");
        answer.channels = &event->channel;
        answer.channel_count = 1;
        answer.data = event->data;
        if (pusherc_publish(host->servers[0], app_id, &answer))
            host_die("pusherc_publish", "from inside a callback");
    }
    return 0;
}

/* Refuses "refused", renames "old" to "new", gives "secret" other data, copies what goes to "orders" to "audit" too, and
 * says nothing about why it refuses "silent". */
static int on_publish(pusherc_incoming *event, void *user_data)
{
    (void)user_data;
    pusherc_slice name = pusherc_incoming_name(event);
    cJSON *line = host_event("incoming");
    cJSON_AddNumberToObject(line, "source", pusherc_incoming_source(event));
    host_add_slice(line, "app", pusherc_incoming_app_id(event));
    host_add_slice(line, "name", name);
    host_add_slice(line, "data", pusherc_incoming_data(event));
    host_add_slice(line, "channel", pusherc_incoming_channel(event, 0));
    cJSON_AddNumberToObject(line, "channels", (double)pusherc_incoming_channel_count(event));
    host_add_socket_id(line, pusherc_incoming_except(event));
    host_say(line);
    if (is(name, "silent"))
        return 1;
    if (is(name, "refused"))
        return pusherc_incoming_refuse(event, "not at this hour");
    int err = 0;
    if (is(name, "old"))
        err = pusherc_incoming_set_name(event, (pusherc_slice)PUSHERC_LIT("new"));
    if (err == 0 && is(name, "secret"))
        err = pusherc_incoming_set_data(event, (pusherc_slice)PUSHERC_LIT("***"));
    if (err == 0 && is(pusherc_incoming_channel(event, 0), "orders"))
        err = pusherc_incoming_add_channel(event, (pusherc_slice)PUSHERC_LIT("audit"));
    return err;
}

static void on_denied(const pusherc_denial *denial, void *user_data)
{
    (void)user_data;
    cJSON *line = host_event("denied");
    cJSON_AddStringToObject(line, "reason", pusherc_denial_name(denial->reason));
    host_add_slice(line, "app", denial->app_id);
    host_add_slice(line, "channel", denial->channel);
    host_add_slice(line, "pattern", denial->pattern);
    host_add_slice(line, "user", denial->user_id);
    cJSON_AddNumberToObject(line, "status", denial->status);
    host_add_slice(line, "detail", denial->detail);
    host_say(line);
}

static void on_webhook_failed(const pusherc_webhook_failure *failure, void *user_data)
{
    (void)user_data;
    cJSON *line = host_event("webhook_failed");
    host_add_slice(line, "app", failure->app_id);
    host_add_slice(line, "url", failure->url);
    host_add_slice(line, "body", failure->body);
    cJSON_AddNumberToObject(line, "events", failure->event_count);
    cJSON_AddNumberToObject(line, "attempts", failure->attempts);
    cJSON_AddNumberToObject(line, "status", failure->last_status);
    host_add_slice(line, "reason", failure->reason);
    host_say(line);
}

static bool wants(const struct host *host, const char *name)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(host->config, "hooks"))
    {
        if (is(host_slice(item), name))
            return true;
    }
    return false;
}

void hooks_fill(struct host *host, pusherc_hooks *hooks)
{
    *hooks = (pusherc_hooks)PUSHERC_HOOKS_INIT;
    hooks->user_data = host;
    hooks->identify = wants(host, "identify") ? identify : NULL;
    hooks->find_app = wants(host, "find_app") ? find_app : NULL;
    hooks->on_http = wants(host, "on_http") ? on_http : NULL;
    hooks->on_open = wants(host, "on_open") ? on_open : NULL;
    hooks->on_signin = wants(host, "on_signin") ? on_signin : NULL;
    hooks->on_user = wants(host, "on_user") ? on_user : NULL;
    hooks->on_ephemeral_end = wants(host, "on_ephemeral_end") ? on_ephemeral_end : NULL;
    hooks->on_receipt = wants(host, "on_receipt") ? on_receipt : NULL;
    hooks->on_close = wants(host, "on_close") ? on_close : NULL;
    hooks->on_channel = wants(host, "on_channel") ? on_channel : NULL;
    hooks->on_publish = wants(host, "on_publish") ? on_publish : NULL;
    hooks->on_client_event = wants(host, "on_client_event") ? on_client_event : NULL;
    hooks->on_denied = wants(host, "on_denied") ? on_denied : NULL;
    hooks->on_webhook_failed = wants(host, "on_webhook_failed") ? on_webhook_failed : NULL;
}
