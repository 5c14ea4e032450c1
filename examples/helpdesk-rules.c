/*
 * A help desk. The program decides which user may have which channel, for three roles and three kinds of channels:
 *
 *   private-tickets.{uuid}     customers: their own tickets; agents: the tickets of their office, and those that are
 *                              assigned to them or that they created; admins: all tickets
 *   private-office.{officeId}  the agents of the office, and admins
 *   private-user.{id}          the user with this id
 *
 *   helpdesk-rules [PORT [WORKERS]]    port 0, the default: the system picks one; 1 worker
 *
 * A user's token is "token-" and the user's id. Laravel Echo (option bearerToken) sends it to the built-in
 * /broadcasting/auth once for each channel. A connection with an identity needs no HTTP request to subscribe: it has
 * one after pusher.signin(), or if the WebSocket's Authorization field or query holds the token.
 *
 *   curl -X POST -H 'Authorization: Bearer token-admin-1' 'http://HOST:PORT/move?user=agent-1&office=2'
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include <pusherc/pusherc.h>

#define USERS   6
#define TICKETS 4

struct user {
    const char *id;
    enum {
        CUSTOMER,
        AGENT,
        ADMIN
    } role;
    int office; /* of agents; changes while the program runs */
};

struct ticket {
    const char *uuid;
    int office;
    const char *customer, *assigned, *created; /* user ids */
};

/* These tables stand for a database. Rules run on worker threads, so a lock protects the offices. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct user users[USERS] = {{"customer-1", CUSTOMER, 0}, {"customer-2", CUSTOMER, 0},
                                   {"agent-1", AGENT, 1},       {"agent-2", AGENT, 2},
                                   {"agent-3", AGENT, 2},       {"admin-1", ADMIN, 0}};
static const struct ticket tickets[TICKETS] = {{"ticket-a", 1, "customer-1", "", ""},
                                               {"ticket-b", 2, "customer-2", "", ""},
                                               {"ticket-c", 2, "customer-2", "agent-1", ""},
                                               {"ticket-d", 2, "customer-2", "agent-3", "agent-1"}};
/* The ticket that every other uuid names. */
static const struct ticket backlog = {"", 1, "customer-2", "", ""};
static pusherc_server *server;

static bool is(pusherc_slice text, const char *expected)
{
    return pusherc_slice_equal(text, pusherc_slice_of(expected));
}

static struct user *find_user(pusherc_slice id)
{
    size_t i = 0;
    while (i < USERS && !is(id, users[i].id))
        i++;
    return i < USERS ? &users[i] : NULL;
}

static const struct ticket *find_ticket(pusherc_slice uuid)
{
    size_t i = 0;
    while (i < TICKETS && !is(uuid, tickets[i].uuid))
        i++;
    return i < TICKETS ? &tickets[i] : &backlog;
}

/* The server asks who a client is: for every WebSocket, and for every request to an auth endpoint. */
static void identify(pusherc_identify_request *request, void *user_data)
{
    pusherc_identity identity = PUSHERC_IDENTITY_INIT;
    pusherc_slice token = pusherc_identify_bearer(request), prefix = PUSHERC_LIT("token-");

    (void)user_data;
    if (token.len == 0)
        token = pusherc_identify_query(request, "token"); /* for the demo: URLs end up in logs */
    if (token.len > prefix.len && memcmp(token.ptr, prefix.ptr, prefix.len) == 0)
        identity.user_id = (pusherc_slice){token.ptr + prefix.len, token.len - prefix.len};
    /* Clients without a token may connect. They are anonymous, and the rules deny them everything. */
    if (token.len > 0 && !find_user(identity.user_id))
        (void)pusherc_identify_reject(request, 4009, "Unknown token");
    else
        (void)pusherc_identify_accept(request, &identity);
}

/* The audience to which the user belongs on this ticket; NULL = the user may not have the ticket. */
static const char *audience(const struct user *user, const struct ticket *ticket)
{
    if (!user)
        return NULL;
    if (user->role == CUSTOMER)
        return strcmp(ticket->customer, user->id) == 0 ? "customer" : NULL;
    bool theirs = user->role == ADMIN || ticket->office == user->office ||
                  strcmp(ticket->assigned, user->id) == 0 || strcmp(ticket->created, user->id) == 0;
    return theirs ? "agent" : NULL;
}

/* A page with forty tickets asks forty questions. One call has them all, so one query can answer. */
static void may_have_tickets(pusherc_auth_request *const *requests, size_t count, void *user_data)
{
    (void)user_data;
    pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < count; i++) {
        pusherc_grant grant = PUSHERC_GRANT_INIT;
        const char *view = audience(find_user(pusherc_auth_user_id(requests[i])),
                                    find_ticket(pusherc_auth_param(requests[i], "uuid")));
        grant.view = pusherc_slice_of(view);
        if (view)
            (void)pusherc_auth_allow(requests[i], &grant);
        else
            (void)pusherc_auth_deny(requests[i], 403, "Not your ticket");
    }
    pthread_mutex_unlock(&mutex);
}

/* Called once for each event and audience. Customers do not get the event "note.internal". In other
 * events the member "internal" is removed. An event that is not a JSON object is not sent to them. */
static pusherc_render_verdict render_ticket(pusherc_render *render, void *user_data)
{
    pusherc_render_verdict verdict = PUSHERC_RENDER_NOTHING;
    pusherc_slice data = pusherc_render_data(render);

    (void)user_data;
    if (is(pusherc_render_view(render), "agent"))
        return PUSHERC_RENDER_SAME;
    if (is(pusherc_render_event(render), "note.internal"))
        return PUSHERC_RENDER_NOTHING;
    cJSON *json = cJSON_ParseWithLength(data.ptr, data.len);
    while (cJSON_GetObjectItem(json, "internal")) /* a key can occur twice */
        cJSON_DeleteItemFromObject(json, "internal");
    char *text = cJSON_IsObject(json) ? cJSON_PrintUnformatted(json) : NULL;
    if (text && pusherc_render_payload(render, pusherc_slice_of(text)) == 0)
        verdict = PUSHERC_RENDER_REPLACED;
    cJSON_free(text);
    cJSON_Delete(json);
    return verdict;
}

static void decide(pusherc_auth_request *request, bool allowed)
{
    (void)(allowed ? pusherc_auth_allow(request, NULL) : pusherc_auth_deny(request, 403, NULL));
}

static void may_have_office(pusherc_auth_request *request, void *user_data)
{
    const struct user *user = find_user(pusherc_auth_user_id(request));
    char office[12] = "";

    (void)user_data;
    pthread_mutex_lock(&mutex);
    if (user && user->role == AGENT)
        (void)snprintf(office, sizeof office, "%d", user->office);
    pthread_mutex_unlock(&mutex);
    decide(request,
           user && (user->role == ADMIN || is(pusherc_auth_param(request, "officeId"), office)));
}

static void may_have_user(pusherc_auth_request *request, void *user_data)
{
    (void)user_data; /* an anonymous client has no id, and a parameter is never empty: denied */
    decide(request,
           pusherc_slice_equal(pusherc_auth_user_id(request), pusherc_auth_param(request, "id")));
}

static void respond(pusherc_http_request *request, int status, const char *text)
{
    (void)pusherc_http_respond(request, status, NULL, 0, pusherc_slice_of(text));
}

/* The rules have decided all channels of the user again. No later event reaches a revoked one. */
static void moved(uint64_t kept, uint64_t revoked, void *request)
{
    char text[80];
    (void)snprintf(text, sizeof text, "kept %u, revoked %u\n", (unsigned)kept, (unsigned)revoked);
    respond(request, 200, text);
}

/* Receives the HTTP requests that the library does not serve itself. This host serves POST /move. */
static void on_http(pusherc_http_request *request, void *user_data)
{
    pusherc_slice office = pusherc_http_query(request, "office");
    struct user *user = find_user(pusherc_http_query(request, "user"));
    pusherc_grant_match match = PUSHERC_GRANT_MATCH_INIT;

    (void)user_data;
    if (!is(pusherc_http_path(request), "/move") || !is(pusherc_http_method(request), "POST")) {
        respond(request, 404, "");
    } else if (!is(pusherc_http_header(request, "Authorization"), "Bearer token-admin-1") ||
               !user || office.len != 1) {
        respond(request, 403, "");
    } else {
        pthread_mutex_lock(&mutex);
        user->office = office.ptr[0] - '0';
        pthread_mutex_unlock(&mutex);
        /* Change the fact first, then call. moved() answers the admin when the rules have decided. */
        match.user_id = pusherc_slice_of(user->id);
        if (pusherc_reauthorize(server, "app-id", &match, moved, request))
            respond(request, 500, "");
    }
}

/* Without .kinds the rules would also cover presence and encrypted channels of these names. */
#define PRIVATE .struct_size = sizeof(pusherc_rule), .kinds = PUSHERC_RULE_PRIVATE

static const pusherc_rule rules[] = {
    {PRIVATE, .pattern = "tickets.{uuid}", .authorize_batch = may_have_tickets,
     .render = render_ticket},
    {PRIVATE, .pattern = "office.{officeId}", .authorize = may_have_office},
    {PRIVATE, .pattern = "user.{id}", .authorize = may_have_user},
};

int main(int argc, char **argv)
{
    pusherc_hooks hooks = {.struct_size = sizeof hooks, .identify = identify, .on_http = on_http};
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    pusherc_listen_options listen = PUSHERC_LISTEN_OPTIONS_INIT;
    pusherc_errinfo why = {0};
    sigset_t signals;
    int number;

    sigemptyset(&signals); /* block them before the workers start: these inherit the mask */
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    options.hooks = &hooks;
    options.log_fn = pusherc_log_to_stderr;
    options.worker_count = (uint32_t)(argc > 2 ? atoi(argv[2]) : 1);
    app.id = "app-id", app.key = "app-key", app.secret = "app-secret";
    app.auth_mode = PUSHERC_AUTH_RULES; /* signatures have no effect */
    listen.port = (uint16_t)(argc > 1 ? atoi(argv[1]) : 0);
    int status = pusherc_server_new(&server, &options, &why);
    for (size_t i = 0; status == 0 && i < sizeof rules / sizeof rules[0]; i++)
        status = pusherc_server_add_rule(server, &rules[i], &why);
    if (status || pusherc_server_put_app(server, &app, &why) ||
        pusherc_server_listen(server, &listen, &why) || pusherc_server_start(server, &why)) {
        (void)fprintf(stderr, "%s\n", why.text);
        status = 1;
    } else {
        printf("listening on http://127.0.0.1:%d\n", pusherc_server_port(server, 0));
        (void)fflush(stdout);
        (void)sigwait(&signals, &number);
    }
    pusherc_server_free(server);
    return status ? 1 : 0;
}
