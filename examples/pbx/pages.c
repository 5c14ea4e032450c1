#include "pages.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "audience.h"
#include "calls.h"
#include "members.h"
#include "people.h"
#include "simulate.h"
#include "webhook.h"

/* What each page has; NULL: the visitor is asked to sign in, or told why there is nothing. */
static cJSON *begin_page(struct program *program, pusherc_http_request *request,
                         struct person *person, const char *page)
{
    struct session session;
    person_of(program, request, &session, person);
    if (!session.user_id) {
        struct login_wanted wanted = {0};
        snprintf(wanted.value[0], sizeof wanted.value[0], "%s", page);
        login_ask(program, request, &wanted);
        return NULL;
    }
    if (!person->active || !person->organization_id) {
        http_send_error(request, 403,
                        person->active ? "You are in no organization."
                                       : "Your account is not active any more.");
        return NULL;
    }
    cJSON *values = store_row(program->store,
                              "SELECT id organization_id, name organization FROM organizations"
                              " WHERE id = ?",
                              VALUES(INT(person->organization_id)));
    cJSON_AddStringToObject(values, "key", program->app_key);
    cJSON_AddStringToObject(values, "csrf", session.csrf);
    cJSON_AddStringToObject(values, "user", session.name);
    cJSON_AddNumberToObject(values, "user_id", (double)session.user_id);
    cJSON_AddBoolToObject(values, "simulated", pbx_of(program)->simulation != NULL);
    return values;
}

static void page_panel(struct program *program, pusherc_http_request *request,
                       const struct http_params *params)
{
    (void)params;
    struct person person;
    cJSON *values = begin_page(program, request, &person, "");
    if (values)
        http_send_page(request, "panel", values, &(struct http_answer){.status = 200});
}

/* Without a script it is as good: pages are links. */
static void page_history(struct program *program, pusherc_http_request *request,
                         const struct http_params *params)
{
    (void)params;
    struct person person;
    char number[24];
    cJSON *values = begin_page(program, request, &person, "history");
    if (!values)
        return;
    http_copy(number, sizeof number, pusherc_http_query(request, "number"));
    cJSON *calls = calls_before(program, person.organization_id,
                                api_query(request, "before", INT64_MAX), 50, number);
    int count = cJSON_GetArraySize(calls);
    cJSON_AddStringToObject(values, "number", number);
    if (count == 50)
        cJSON_AddStringToObject(values, "next", row_text(cJSON_GetArrayItem(calls, 49), "id"));
    cJSON_AddItemToObject(values, "calls", calls);
    http_send_page(request, "history", values, &(struct http_answer){.status = 200});
}

static void demo(struct program *program, pusherc_http_request *request,
                 const struct http_params *params)
{
    struct session session;
    struct person person;
    person_of(program, request, &session, &person);
    if (!session_may_write(&session, request) || !person.active)
        http_send_error(request, session.user_id ? 403 : 401, "Please sign in.");
    else if (!simulate_do(pbx_of(program), params->value[0]))
        http_send_error(request, 404, "There is nothing to simulate here.");
    else if (http_wants_json(request))
        http_send(request, &(struct http_answer){.status = 204});
    else
        http_redirect(request, "/", NULL);
}

bool pages_dispatch(struct program *program, pusherc_http_request *request)
{
    static const struct http_route routes[] = {
        {"GET", "/", page_panel, NULL},
        {"GET", "/history", page_history, NULL},
        {"POST", "/demo/{what}", demo, NULL},
        {"POST", "/logout", people_logout, NULL},
        {"POST", "/api/v1/webhooks/voice", webhook_post, NULL},
        {"GET", "/api/v1/calls", api_calls, NULL},
        {"GET", "/api/v1/members", members_get, NULL},
        {"POST", "/api/v1/people/{id}", people_change, NULL},
        {"POST", "/api/v1/token", people_token, NULL},
        {"GET", "/api/v1/health", api_health, NULL},
        {"GET", "/api/v1/websocket/health", api_websocket_health, NULL},
        {"GET", "/api/v1/websocket/metrics", api_metrics, NULL},
    };
    return http_dispatch(routes, sizeof routes / sizeof routes[0], program, request);
}
