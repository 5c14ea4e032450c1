#include "pages.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "services.h"
#include "session.h"
#include "site.h"
#include "store.h"
#include "template.h"
#include "text.h"

#define REDRAW_S 600

void page_send(struct site *site, pusherc_http_request *request, const char *name, cJSON *values,
               const struct http_answer *answer)
{
    (void)site;
    struct text page = {0};
    template_render(&page, name, values);
    cJSON_Delete(values);
    if (page.failed) {
        http_send(request, &(struct http_answer){.status = 500});
    } else {
        struct http_answer whole = *answer;
        whole.body = page.ptr;
        whole.body_bytes = page.len;
        http_send(request, &whole);
    }
    text_free(&page);
}

/* What scripts need to connect; they find it in the attributes of <html>. */
static void add_live(cJSON *organization)
{
    char channel[48];
    snprintf(channel, sizeof channel, "organization.%" PRId64, row_int(organization, "id"));
    cJSON_AddStringToObject(organization, "channel", channel);
    cJSON_AddStringToObject(organization, "key", SITE_APP_KEY);
}

void page_start(struct site *site, pusherc_http_request *request, const struct http_params *params)
{
    (void)params;
    cJSON *values = cJSON_CreateObject();
    cJSON *organizations = store_rows(
        site->store, "SELECT id, slug, name, tagline FROM organizations ORDER BY id", NULL, 0);
    cJSON *organization;
    cJSON_ArrayForEach(organization, organizations)
    {
        services_add(site, organization, VIEW_PUBLIC);
        if (!store_is_demo(site->store))
            continue;
        /* The passwords of sql/demo.sql follow a pattern. */
        cJSON_AddItemToObject(
            organization, "users",
            store_rows(site->store,
                       "SELECT u.email, m.role, o.slug || '-demo' password FROM memberships m"
                       " JOIN users u ON u.id = m.user_id JOIN organizations o"
                       " ON o.id = m.organization_id WHERE o.id = ? ORDER BY u.id",
                       STORE_VALUES(STORE_INT(row_int(organization, "id")))));
    }
    if (organizations)
        cJSON_AddItemToObject(values, "organizations", organizations);
    cJSON_AddStringToObject(values, "version", pusherc_version_string());
    page_send(site, request, "start", values, &(struct http_answer){.status = 200});
}

void page_status(struct site *site, pusherc_http_request *request, const struct http_params *params)
{
    cJSON *organization = organization_by_slug(site, params->value[0]);
    if (!organization) {
        http_send_error(request, 404, "There is no status page of that name.");
        return;
    }
    /* Bars and percentages move on without a change. */
    char etag[96];
    int64_t age = (int64_t)time(NULL) / REDRAW_S;
    snprintf(etag, sizeof etag, "\"%s-%" PRId64 "-%" PRId64 "\"", site->start_id, age,
             row_int(organization, "revision"));
    services_add(site, organization, VIEW_PUBLIC);
    add_live(organization);
    page_send(site, request, "status", organization, &(struct http_answer){.etag = etag});
}

void page_dashboard(struct site *site, pusherc_http_request *request,
                    const struct http_params *params)
{
    struct session session;
    char location[HTTP_PARAM_BYTES + 32];
    session_find(site, request, &session);
    cJSON *organization = organization_by_slug(site, params->value[0]);
    enum role role = session_role(site, &session, row_int(organization, "id"));
    if (session.user_id == 0) {
        snprintf(location, sizeof location, "/login?organization=%s", params->value[0]);
        http_redirect(request, location, NULL);
    } else if (role == ROLE_NONE) {
        /* Whether it exists is nobody else's business. */
        http_send_error(request, 404, "There is no dashboard of that name, or it is not yours.");
    } else {
        services_add(site, organization, role >= ROLE_ADMIN ? VIEW_EDITOR : VIEW_MEMBER);
        add_live(organization);
        cJSON_AddStringToObject(organization, "user", session.name);
        cJSON_AddStringToObject(organization, "csrf", session.csrf);
        cJSON_AddBoolToObject(organization, "editor", role >= ROLE_ADMIN);
        page_send(site, request, "dashboard", organization, &(struct http_answer){.status = 200});
        return;
    }
    cJSON_Delete(organization);
}
