#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "audience.h"
#include "calls.h"
#include "common/health.h"

#define MAX_LIMIT 200

int64_t api_query(const pusherc_http_request *request, const char *name, int64_t otherwise)
{
    char text[24], *end;
    http_copy(text, sizeof text, pusherc_http_query(request, name));
    int64_t value = strtoll(text, &end, 10);
    return *text && !*end ? value : otherwise;
}

/* -- calls -- */

static void send_history(struct program *program, pusherc_http_request *request,
                         const struct person *person)
{
    char number[24];
    int64_t limit = api_query(request, "limit", 50);
    int64_t before = api_query(request, "before", INT64_MAX);
    http_copy(number, sizeof number, pusherc_http_query(request, "number"));
    if (limit < 1 || limit > MAX_LIMIT || before < 1) {
        http_send_error(request, 422, "limit is 1 to 200, before is the id of a call.");
        return;
    }
    cJSON *calls = calls_before(program, person->organization_id, before, limit, number);
    cJSON *answer = cJSON_CreateObject();
    int count = cJSON_GetArraySize(calls);
    cJSON_AddStringToObject(
        answer, "next", count == limit ? row_text(cJSON_GetArrayItem(calls, count - 1), "id") : "");
    cJSON_AddItemToObject(answer, "calls", calls);
    http_send_json(request, calls ? 200 : 500, answer);
    cJSON_Delete(answer);
}

void api_calls(struct program *program, pusherc_http_request *request,
               const struct http_params *params)
{
    (void)params;
    struct session session;
    struct person person;
    if (!person_is_in(program, request, &session, &person))
        return;
    if (!pusherc_slice_equal(pusherc_http_query(request, "state"), pusherc_slice_of("active"))) {
        send_history(program, request, &person);
        return;
    }
    cJSON *answer = calls_active(program, person.organization_id);
    http_send_json(request, answer ? 200 : 500, answer);
    cJSON_Delete(answer);
}

/* -- health -- */

/* Other servers' pages would miss what is published here. */
static bool is_linked(struct program *program)
{
    pusherc_cluster_info info = PUSHERC_CLUSTER_INFO_INIT;
    return !pbx_of(program)->linked ||
           (pusherc_server_cluster(program->server, &info) == 0 && info.state == PUSHERC_LINK_UP);
}

static void add_time(cJSON *answer)
{
    char text[32] = "";
    time_t now = time(NULL);
    struct tm parts;
    if (gmtime_r(&now, &parts))
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S+00:00", &parts);
    cJSON_AddStringToObject(answer, "timestamp", text);
}

static void send(pusherc_http_request *request, cJSON *answer, bool works)
{
    add_time(answer);
    http_send_json(request, works ? 200 : 503, answer);
    cJSON_Delete(answer);
}

void api_health(struct program *program, pusherc_http_request *request,
                const struct http_params *params)
{
    (void)params;
    bool database = health_database(program);
    bool works = database && program_publishes(program) && is_linked(program);
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddStringToObject(answer, "status", works ? "ok" : "degraded");
    cJSON_AddStringToObject(answer, "database", database ? "ok" : "failed");
    send(request, answer, works);
}

void api_websocket_health(struct program *program, pusherc_http_request *request,
                          const struct http_params *params)
{
    (void)params;
    bool works = program_publishes(program) && is_linked(program);
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddStringToObject(answer, "status", works ? "ok" : "degraded");
    cJSON_AddStringToObject(answer, "websocket", works ? "connected" : "disconnected");
    cJSON_AddStringToObject(answer, "driver", program->driver);
    cJSON_AddStringToObject(answer, "host", program->options->host);
    cJSON_AddNumberToObject(answer, "port", program->port);
    send(request, answer, works);
}

/* -- figures -- */

static cJSON *describe_queue(struct program *program)
{
    pusherc_broadcast_stats stats = PUSHERC_BROADCAST_STATS_INIT;
    cJSON *queue = cJSON_CreateObject();
    if (program->broadcaster)
        pusherc_broadcaster_stats(program->broadcaster, &stats);
#define ADD(name) cJSON_AddNumberToObject(queue, #name, (double)stats.name)
    ADD(queued);
    ADD(oldest_ms);
    ADD(accepted);
    ADD(refused);
    ADD(expired);
    ADD(rejected);
    ADD(retries);
    ADD(under_way);
    ADD(paused_ms);
#undef ADD
    return queue;
}

static cJSON *describe_link(struct program *program)
{
    pusherc_cluster_info info = PUSHERC_CLUSTER_INFO_INIT;
    cJSON *link = cJSON_CreateObject();
    pusherc_server_cluster(program->server, &info);
    cJSON_AddBoolToObject(link, "up", info.state == PUSHERC_LINK_UP);
    cJSON_AddNumberToObject(link, "nodes", info.nodes);
    return link;
}

void api_metrics(struct program *program, pusherc_http_request *request,
                 const struct http_params *params)
{
    (void)params;
    struct session session;
    struct person person;
    person_of(program, request, &session, &person);
    if (!person.active || (!person.admin && !person.operator)) {
        http_send_error(request, person.user_id ? 403 : 401, "This is for admins.");
        return;
    }
    pusherc_stats stats = PUSHERC_STATS_INIT;
    pusherc_server_stats(program->server, &stats);
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddItemToObject(answer, "queue", describe_queue(program));
    if (pbx_of(program)->linked)
        cJSON_AddItemToObject(answer, "link", describe_link(program));
    cJSON_AddNumberToObject(answer, "connections", (double)stats.connections);
    cJSON_AddNumberToObject(answer, "publishes_total", (double)stats.publishes_total);
    http_send_json(request, 200, answer);
    cJSON_Delete(answer);
}
