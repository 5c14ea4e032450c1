#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "services.h"
#include "session.h"
#include "site.h"
#include "store.h"

void api_services(struct site *site, pusherc_http_request *request,
                  const struct http_params *params)
{
    cJSON *organization = organization_by_slug(site, params->value[0]);
    if (organization) {
        services_add(site, organization, VIEW_PUBLIC);
        http_send_json(request, 200, organization);
    } else {
        http_send_error(request, 404, "There is no organization of that name.");
    }
    cJSON_Delete(organization);
}

/* Why these fields cannot be a change; NULL if they can. */
static const char *change_error(const cJSON *fields)
{
    const char *status = row_text(fields, "status");
    if (!service_is_status(status))
        return "Choose a status.";
    if (strlen(row_text(fields, "message")) > SERVICE_MESSAGE_MAX)
        return "The message is too long.";
    return NULL;
}

static void send_changed(struct site *site, pusherc_http_request *request, int64_t organization_id)
{
    if (http_wants_json(request)) {
        cJSON *done = cJSON_CreateObject();
        cJSON_AddBoolToObject(done, "ok", true);
        http_send_json(request, 200, done);
        cJSON_Delete(done);
        return;
    }
    char location[HTTP_PARAM_BYTES + 16];
    cJSON *row = store_row(site->store, "SELECT slug FROM organizations WHERE id = ?",
                           STORE_VALUES(STORE_INT(organization_id)));
    snprintf(location, sizeof location, "/dashboard/%s", row_text(row, "slug"));
    cJSON_Delete(row);
    http_redirect(request, location, NULL);
}

void api_change_status(struct site *site, pusherc_http_request *request,
                       const struct http_params *params)
{
    struct session session;
    int64_t service_id = strtoll(params->value[0], NULL, 10);
    int64_t organization_id = service_organization(site, service_id);
    session_find(site, request, &session);
    enum role role = session_role(site, &session, organization_id);
    cJSON *fields = http_fields(request, (const char *[]){"status", "message", "csrf", NULL});
    const char *error = change_error(fields);
    if (session.user_id == 0)
        http_send_error(request, 401, "Please sign in.");
    else if (!session_may_write(&session, request, fields))
        http_send_error(request, 403, "The page was too old. Please load it again.");
    else if (role == ROLE_NONE)
        http_send_error(request, 404, "There is no such service, or it is not yours.");
    else if (role < ROLE_ADMIN)
        http_send_error(request, 403, "Members may look, but only admins and owners may change.");
    else if (error)
        http_send_error(request, 422, error);
    else if (service_change(site, service_id, session.user_id,
                            service_status(row_text(fields, "status")),
                            row_text(fields, "message")) != 0)
        http_send_error(request, 500, "It could not be written. Nothing was changed.");
    else
        send_changed(site, request, organization_id);
    cJSON_Delete(fields);
}

void api_health(struct site *site, pusherc_http_request *request, const struct http_params *params)
{
    (void)params;
    char timestamp[32] = "";
    time_t now = time(NULL);
    struct tm parts;
    if (gmtime_r(&now, &parts))
        strftime(timestamp, sizeof timestamp, "%Y-%m-%dT%H:%M:%SZ", &parts);
    pusherc_stats stats = PUSHERC_STATS_INIT;
    pusherc_server_stats(site->server, &stats);
    cJSON *health = cJSON_CreateObject();
    cJSON_AddStringToObject(health, "status", "ok");
    cJSON_AddBoolToObject(health, "websocket", true);
    cJSON_AddStringToObject(health, "driver", "local");
    cJSON_AddStringToObject(health, "host", site->host);
    cJSON_AddNumberToObject(health, "port", site->port);
    cJSON_AddNumberToObject(health, "connections", (double)stats.connections);
    cJSON_AddStringToObject(health, "timestamp", timestamp);
    http_send_json(request, 200, health);
    cJSON_Delete(health);
}
