#include "api.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "audience.h"
#include "common/accounts.h"
#include "common/change.h"
#include "common/fields.h"
#include "common/program.h"
#include "counters.h"
#include "incidents.h"
#include "maintenances.h"
#include "organization.h"
#include "services.h"

static void get_organization(struct program *program, pusherc_http_request *request,
                             const struct http_params *params)
{
    struct session session;
    accounts_find(program, request, &session);
    cJSON *organization = organization_by_slug(program, params->value[0]);
    enum role role = organization_role(program, &session, row_int(organization, "id"));
    if (organization && organization_may_see(organization, role)) {
        organization_fill(program, organization, role < ROLE_MEMBER ? VIEW_PUBLIC : VIEW_MEMBER);
        http_send_json(request, 200, organization);
    } else {
        http_send_error(request, 404,
                        "There is no organization of that name, or it is not public.");
    }
    cJSON_Delete(organization);
}

/* A write: how to find out whose it is, who may do it, and what does it. */
struct write {
    const char *organization; /* "id" and "slug" by the first parameter of the path */
    enum role least;
    /* NULL, or why these fields cannot be a change; `id` is the last parameter of the path */
    const char *(*run)(struct change *change, int64_t id, const pusherc_http_request *request);
    void (*then)(struct program *program, int64_t organization_id); /* NULL: nothing */
};

static void send_done(pusherc_http_request *request, const char *slug, bool changed)
{
    char location[HTTP_PARAM_BYTES + 16];
    cJSON *done = cJSON_CreateObject();
    cJSON_AddBoolToObject(done, "ok", true);
    cJSON_AddBoolToObject(done, "changed", changed);
    snprintf(location, sizeof location, "/dashboard/%s", slug);
    if (http_wants_json(request))
        http_send_json(request, 200, done);
    else
        http_redirect(request, location, NULL);
    cJSON_Delete(done);
}

static void run_write(struct program *program, pusherc_http_request *request,
                      const struct http_params *params, const struct session *session,
                      const cJSON *organization)
{
    const struct write *write = params->extra;
    int64_t organization_id = row_int(organization, "id");
    int64_t id = strtoll(params->value[params->value[1][0] != '\0'], NULL, 10);
    struct change change;
    organization_begin(&change, program, organization_id, session->user_id, request);
    const char *error = write->run(&change, id, request);
    change.failed = change.failed || error;
    if (change_end(&change) == 0) {
        if (write->then && !change.nothing)
            write->then(program, organization_id);
        send_done(request, row_text(organization, "slug"), !change.nothing);
    } else if (error) {
        http_send_error(request, 422, error);
    } else {
        http_send_error(request, 500, "It could not be written. Nothing was changed.");
    }
}

static void post(struct program *program, pusherc_http_request *request,
                 const struct http_params *params)
{
    const struct write *write = params->extra;
    struct session session;
    accounts_find(program, request, &session);
    cJSON *organization =
        store_row(program->store, write->organization, VALUES(TEXT(params->value[0])));
    enum role role = organization_role(program, &session, row_int(organization, "id"));
    if (session.user_id == 0)
        http_send_error(request, 401, "Please sign in.");
    else if (!session_may_write(&session, request))
        http_send_error(request, 403, "The page was too old. Please load it again.");
    else if (role == ROLE_NONE)
        http_send_error(request, 404, "There is no such thing, or it is not yours.");
    else if (role < write->least)
        http_send_error(request, 403, "This is not for everybody: your role is not enough.");
    else
        run_write(program, request, params, &session, organization);
    cJSON_Delete(organization);
}

#define BY_ID "SELECT id, slug FROM organizations WHERE id = ?"
#define BY_SERVICE                                                                                 \
    "SELECT o.id, o.slug FROM services s JOIN organizations o ON o.id = s.organization_id"         \
    " WHERE s.id = ?"
#define BY_NOTICE(kind)                                                                            \
    "SELECT o.id, o.slug FROM notices n JOIN organizations o ON o.id = n.organization_id"          \
    " WHERE n.kind = '" kind "' AND n.id = ?"

/* POST /incidents does not say whose: that of organization_id, or the first that is the user's own. */
static void post_own(struct program *program, pusherc_http_request *request,
                     const struct http_params *params)
{
    struct http_params own = *params;
    struct session session;
    char wanted[24];
    accounts_find(program, request, &session);
    field_line(wanted, sizeof wanted, request, "organization_id");
    cJSON *found = store_row(program->store,
                             "SELECT organization_id FROM memberships WHERE user_id = ?1"
                             " AND (?2 = '' OR organization_id = ?2)"
                             " ORDER BY role = 'member', organization_id LIMIT 1",
                             VALUES(INT(session.user_id), TEXT(wanted)));
    snprintf(own.value[0], sizeof own.value[0], "%" PRId64, row_int(found, "organization_id"));
    cJSON_Delete(found);
    post(program, request, &own);
}

static const struct write change_service = {BY_SERVICE, ROLE_ADMIN, service_change, NULL};
static const struct write open_incident = {BY_ID, ROLE_ADMIN, incident_open, NULL};

static const struct http_route routes[] = {
    {"GET", "/api/v1/organizations/{slug}", get_organization, NULL},
    {"GET", "/api/v1/websocket/metrics", counters_send, NULL},
    {"POST", "/api/v1/services/{id}/status", post, &change_service},
    {"PATCH", "/api/v1/services/{id}/status", post, &change_service},
    {"PATCH", "/services/{id}/status", post, &change_service},
    {"POST", "/api/v1/organizations/{id}/services", post,
     &(struct write){BY_ID, ROLE_ADMIN, service_add, NULL}},
    {"POST", "/api/v1/organizations/{id}/incidents", post, &open_incident},
    {"POST", "/api/v1/incidents", post_own, &open_incident},
    {"POST", "/incidents", post_own, &open_incident},
    {"POST", "/api/v1/incidents/{id}", post,
     &(struct write){BY_NOTICE("incident"), ROLE_ADMIN, incident_edit, NULL}},
    {"POST", "/api/v1/incidents/{id}/updates", post,
     &(struct write){BY_NOTICE("incident"), ROLE_ADMIN, incident_update, NULL}},
    {"POST", "/api/v1/organizations/{id}/maintenances", post,
     &(struct write){BY_ID, ROLE_ADMIN, maintenance_schedule, NULL}},
    {"POST", "/api/v1/maintenances/{id}", post,
     &(struct write){BY_NOTICE("maintenance"), ROLE_ADMIN, maintenance_edit, NULL}},
    {"POST", "/api/v1/maintenances/{id}/updates", post,
     &(struct write){BY_NOTICE("maintenance"), ROLE_ADMIN, maintenance_update, NULL}},
    {"POST", "/api/v1/maintenances/{id}/state", post,
     &(struct write){BY_NOTICE("maintenance"), ROLE_ADMIN, maintenance_move, NULL}},
    {"POST", "/api/v1/organizations/{id}/members", post,
     &(struct write){BY_ID, ROLE_OWNER, organization_add_member, audience_changed}},
    {"POST", "/api/v1/organizations/{id}/members/{id}/remove", post,
     &(struct write){BY_ID, ROLE_OWNER, organization_remove_member, audience_changed}},
    {"POST", "/api/v1/organizations/{id}/visibility", post,
     &(struct write){BY_ID, ROLE_OWNER, organization_show, audience_changed}},
};

bool api_dispatch(struct program *program, pusherc_http_request *request)
{
    return http_dispatch(routes, sizeof routes / sizeof routes[0], program, request);
}
