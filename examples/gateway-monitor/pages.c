#include "pages.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerts.h"
#include "audience.h"
#include "fleet.h"
#include "health.h"
#include "replay.h"
#include "writes.h"

#define MAX_LINE 2000 /* points of one line */

static int64_t query(const pusherc_http_request *request, const char *name, int64_t otherwise)
{
    char text[24];
    http_copy(text, sizeof text, pusherc_http_query(request, name));
    return *text ? strtoll(text, NULL, 10) : otherwise;
}

/* -- pages -- */

/* What each page has; NULL: the visitor is asked to sign in. */
static cJSON *begin_page(struct program *program, pusherc_http_request *request,
                         struct audience *audience)
{
    struct session session;
    size_t active, inactive;
    audience_of(program, request, &session, audience);
    if (!audience->user_id) {
        login_ask(program, request, &(struct login_wanted){0});
        return NULL;
    }
    cJSON *values = cJSON_CreateObject();
    fleet_count(monitor_of(program), audience->sites, &active, &inactive);
    cJSON_AddNumberToObject(values, "active_count", (double)active);
    cJSON_AddNumberToObject(values, "inactive_count", (double)inactive);
    cJSON_AddStringToObject(values, "key", program->app_key);
    cJSON_AddStringToObject(values, "csrf", session.csrf);
    cJSON_AddStringToObject(values, "user", session.name);
    cJSON_AddNumberToObject(values, "user_id", (double)session.user_id);
    cJSON_AddBoolToObject(values, "simulated", monitor_of(program)->simulation != NULL);
    return values;
}

static void page_dashboard(struct program *program, pusherc_http_request *request,
                           const struct http_params *params)
{
    (void)params;
    struct audience audience;
    cJSON *values = begin_page(program, request, &audience);
    if (!values)
        return;
    cJSON_AddItemToObject(values, "sites", fleet_sites(monitor_of(program), audience.sites));
    http_send_page(request, "dashboard", values, &(struct http_answer){.status = 200});
}

static void page_gateway(struct program *program, pusherc_http_request *request,
                         const struct http_params *params)
{
    struct audience audience;
    cJSON *values = begin_page(program, request, &audience);
    const struct gateway *gateway =
        values ? audience_gateway(program, request, params, &audience) : NULL;
    if (!gateway) {
        cJSON_Delete(values);
        return;
    }
    cJSON_AddItemToObject(values, "gateway",
                          fleet_describe(monitor_of(program), gateway, audience.admin));
    http_send_page(request, "gateway", values, &(struct http_answer){.status = 200});
}

static void page_alerts(struct program *program, pusherc_http_request *request,
                        const struct http_params *params)
{
    (void)params;
    struct audience audience;
    cJSON *values = begin_page(program, request, &audience);
    if (!values)
        return;
    cJSON_AddItemToObject(values, "alerts", alerts_list(program, audience.sites));
    http_send_page(request, "alerts", values, &(struct http_answer){.status = 200});
}

/* -- the API -- */

/* False, and the request is answered, if the client is not signed in. */
static bool is_user(struct program *program, pusherc_http_request *request,
                    struct audience *audience)
{
    struct session session;
    audience_of(program, request, &session, audience);
    if (!audience->user_id)
        http_send_error(request, 401, "Please sign in.");
    return audience->user_id != 0;
}

/* From memory. A page that is not live says so: it asks in place of hearing. */
static void get_dashboard(struct program *program, pusherc_http_request *request,
                          const struct http_params *params)
{
    (void)params;
    struct audience audience;
    size_t bytes = 0;
    if (!is_user(program, request, &audience))
        return;
    health_note_fallback(program, query(request, "page", 0), query(request, "fallback", 0));
    char *text = fleet_dashboard(monitor_of(program), audience.sites, query(request, "point", 0),
                                 query(request, "since", 0), &bytes);
    http_send(request, &(struct http_answer){.status = text ? 200 : 500,
                                             .type = "application/json",
                                             .body = text,
                                             .body_bytes = bytes});
    free(text);
}

static const struct gateway *wanted_gateway(struct program *program, pusherc_http_request *request,
                                            const struct http_params *params,
                                            struct audience *audience)
{
    return is_user(program, request, audience)
               ? audience_gateway(program, request, params, audience)
               : NULL;
}

static void get_gateway(struct program *program, pusherc_http_request *request,
                        const struct http_params *params)
{
    struct audience audience;
    const struct gateway *gateway = wanted_gateway(program, request, params, &audience);
    if (!gateway)
        return;
    health_note_fallback(program, query(request, "page", 0), query(request, "fallback", 0));
    cJSON *answer = fleet_describe(monitor_of(program), gateway, audience.admin);
    http_send_json(request, 200, answer);
    cJSON_Delete(answer);
}

/* Up to two hours from the readings, averaged to so many points; else from the minutes, of which as many are looked up. */
static void get_readings(struct program *program, pusherc_http_request *request,
                         const struct http_params *params)
{
    static const char raw[] =
        "SELECT point, json_group_array(json_array(at, v)) \"json:line\" FROM"
        " (SELECT data_point_id point, read_at_ms at, round(avg(scaled_value), 2) v FROM readings"
        " WHERE gateway_id = ?1 AND read_at_ms BETWEEN ?2 AND ?3"
        " GROUP BY data_point_id, (read_at_ms - ?2) / ?4 ORDER BY read_at_ms) GROUP BY point";
    static const char minutes[] =
        "WITH RECURSIVE t(at) AS (SELECT ?2 / 60000 * 60000 UNION ALL SELECT at + ?4 FROM t"
        " WHERE at + ?4 <= ?3) SELECT data_point_id point, json_group_array(json_array(at, "
        "round(mean, 2)))"
        " \"json:line\" FROM t JOIN minutes ON gateway_id = ?1 AND at_ms = at GROUP BY "
        "data_point_id";
    struct audience audience;
    const struct gateway *gateway = wanted_gateway(program, request, params, &audience);
    int64_t to = query(request, "to", now_ms());
    int64_t from = query(request, "from", to - 600000);
    int64_t points = query(request, "points", 600);
    if (!gateway)
        return;
    if (points < 1 || points > MAX_LINE || from >= to) {
        http_send_error(request, 422,
                        "Say from and to in milliseconds since 1970, and 1 to 2000 points.");
        return;
    }
    bool is_short = to - from <= 7200000;
    int64_t step = (to - from + points - 1) / points;
    if (!is_short)
        step = (step + 59999) / 60000 * 60000;
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddItemToObject(answer, "lines",
                          store_rows(program->store, is_short ? raw : minutes,
                                     VALUES(INT(gateway->id), INT(from), INT(to), INT(step))));
    http_send_json(request, 200, answer);
    cJSON_Delete(answer);
}

bool pages_dispatch(struct program *program, pusherc_http_request *request)
{
    static const struct http_route routes[] = {
        {"GET", "/", page_dashboard, NULL},
        {"GET", "/gateways/{id}", page_gateway, NULL},
        {"GET", "/alerts", page_alerts, NULL},
        {"GET", "/api/v1/dashboard", get_dashboard, NULL},
        {"GET", "/api/v1/gateways/{id}", get_gateway, NULL},
        {"GET", "/api/v1/gateways/{id}/readings", get_readings, NULL},
        {"POST", "/api/v1/gateways/{id}/poll", write_poll, NULL},
        {"POST", "/api/v1/gateways/{id}/replay", replay_start, NULL},
        {"DELETE", "/api/v1/gateways/{id}/replay", replay_stop, NULL},
        {"POST", "/api/v1/alerts/{id}/acknowledge", alerts_acknowledge, NULL},
        {"POST", "/api/v1/users/{id}/sites", write_permissions, NULL},
        {"POST", "/api/v1/demo/gateways", write_demo, "grow"},
        {"POST", "/api/v1/demo/lose-site", write_demo, NULL},
    };
    return http_dispatch(routes, sizeof routes / sizeof routes[0], program, request);
}
