#include "pages.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/accounts.h"
#include "common/assets.h"
#include "common/login.h"
#include "common/program.h"
#include "common/store.h"
#include "common/template.h"
#include "common/text.h"
#include "organization.h"
#include "site.h"

#define REDRAW_S 60

/* What scripts need to connect; they find it in the attributes of <html>. */
static void add_live(struct program *program, cJSON *organization)
{
    char channel[48];
    snprintf(channel, sizeof channel, "organization.%" PRId64, row_int(organization, "id"));
    cJSON_AddStringToObject(organization, "channel", channel);
    cJSON_AddStringToObject(organization, "key", program->app_key);
}

void page_start(struct program *program, pusherc_http_request *request,
                const struct http_params *params)
{
    (void)params;
    struct session session;
    accounts_find(program, request, &session);
    cJSON *values = cJSON_CreateObject();
    /* What is private is named to its members only. */
    cJSON *organizations =
        store_rows(program->store,
                   "SELECT o.id, o.slug, o.name, o.tagline, o.public, m.role FROM organizations o"
                   " LEFT JOIN memberships m ON m.organization_id = o.id AND m.user_id = ?"
                   " WHERE o.public OR m.user_id ORDER BY o.id",
                   VALUES(INT(session.user_id)));
    cJSON *organization;
    cJSON_ArrayForEach(organization, organizations)
        organization_fill(program, organization, VIEW_PUBLIC);
    if (organizations)
        cJSON_AddItemToObject(values, "organizations", organizations);
    cJSON_AddStringToObject(values, "user", session.name);
    cJSON_AddBoolToObject(values, "kept", program->kept);
    cJSON_AddBoolToObject(
        values, "demo",
        store_has(program->store, "SELECT 1 FROM settings WHERE name = 'demo'", NO_VALUES));
    cJSON_AddStringToObject(values, "version", pusherc_version_string());
    http_send_page(request, "start", values, &(struct http_answer){.status = 200});
}

static struct drawn_page *drawn_page(struct program *program)
{
    struct site *site = program->own;
    return &site->drawn;
}

/* Draw it unless it is there: after an event every open page asks for it at the same moment. */
static void draw_status(struct program *program, cJSON *organization, const char *etag)
{
    struct drawn_page *drawn = drawn_page(program);
    if (drawn->page && strcmp(drawn->etag, etag) == 0)
        return;
    organization_fill(program, organization, VIEW_PUBLIC);
    text_find_links(organization);
    add_live(program, organization);
    free(drawn->page);
    template_render(&drawn->page, &drawn->bytes, "status", organization);
    snprintf(drawn->etag, sizeof drawn->etag, "%s", etag);
}

/* A visitor is not told whether a page that is not open to him exists: he is asked to sign in, or gets 404. */
static void send_nothing(struct program *program, pusherc_http_request *request,
                         const struct session *session, const char *slug, const char *page,
                         const char *text)
{
    struct login_wanted wanted = {0}; /* signin.h */
    snprintf(wanted.value[0], sizeof wanted.value[0], "%s", slug);
    snprintf(wanted.value[1], sizeof wanted.value[1], "%s", page);
    if (session->user_id == 0)
        login_ask(program, request, &wanted);
    else
        http_send_error(request, 404, text);
}

void page_status(struct program *program, pusherc_http_request *request,
                 const struct http_params *params)
{
    struct session session;
    accounts_find(program, request, &session);
    cJSON *organization = organization_by_slug(program, params->value[0]);
    enum role role = organization_role(program, &session, row_int(organization, "id"));
    if (organization && organization_may_see(organization, role)) {
        /* Bars and percentages move on without a change. */
        char etag[160];
        snprintf(etag, sizeof etag, "\"%s-%s-%" PRId64 "-%" PRId64 "\"", program->start_id,
                 params->value[0], (int64_t)time(NULL) / REDRAW_S,
                 row_int(organization, "revision"));
        const struct drawn_page *drawn = drawn_page(program);
        draw_status(program, organization, etag);
        http_send(request, &(struct http_answer){.status = drawn->page ? 200 : 500,
                                                 .etag = etag,
                                                 .body = drawn->page,
                                                 .body_bytes = drawn->bytes});
    } else {
        send_nothing(program, request, &session, params->value[0], "status",
                     "There is no status page of that name, or it is not yours.");
    }
    cJSON_Delete(organization);
}

/* What is over, page by page; or one incident or maintenance at its own address. */
static void send_history(struct program *program, pusherc_http_request *request,
                         const struct http_params *params, int64_t notice_id, int64_t before)
{
    struct session session;
    accounts_find(program, request, &session);
    cJSON *organization = organization_by_slug(program, params->value[0]);
    enum role role = organization_role(program, &session, row_int(organization, "id"));
    cJSON *history = NULL;
    if (organization && organization_may_see(organization, role))
        history = store_row(program->store, asset_find("sql/history.sql")->data,
                            VALUES(INT(row_int(organization, "id")), INT(notice_id), INT(before)));
    const cJSON *first = cJSON_GetObjectItem(history, "notices");
    first = first ? first->child : NULL;
    if (!history) {
        send_nothing(program, request, &session, params->value[0], "status",
                     "There is no status page of that name, or it is not yours.");
    } else if (notice_id && (!first || strcmp(row_text(first, "kind"), params->extra) != 0)) {
        http_send_error(request, 404, "There is no incident or maintenance of that number.");
    } else {
        text_find_links(history);
        cJSON_AddStringToObject(history, "slug", row_text(organization, "slug"));
        cJSON_AddStringToObject(history, "name", row_text(organization, "name"));
        cJSON_AddBoolToObject(history, "one", notice_id != 0);
        cJSON_AddStringToObject(history, "heading",
                                notice_id ? row_text(first, "title") : "History");
        http_send_page(request, "history", history, &(struct http_answer){.status = 200});
        history = NULL;
    }
    cJSON_Delete(history);
    cJSON_Delete(organization);
}

void page_history(struct program *program, pusherc_http_request *request,
                  const struct http_params *params)
{
    char before[16];
    http_copy(before, sizeof before, pusherc_http_query(request, "before"));
    send_history(program, request, params, 0, strtoll(before, NULL, 10));
}

void page_notice(struct program *program, pusherc_http_request *request,
                 const struct http_params *params)
{
    send_history(program, request, params, strtoll(params->value[1], NULL, 10), 0);
}

void page_dashboard(struct program *program, pusherc_http_request *request,
                    const struct http_params *params)
{
    struct session session;
    accounts_find(program, request, &session);
    cJSON *organization = organization_by_slug(program, params->value[0]);
    enum role role = organization_role(program, &session, row_int(organization, "id"));
    if (role == ROLE_NONE) {
        send_nothing(program, request, &session, params->value[0], "",
                     "There is no dashboard of that name, or it is not yours.");
        cJSON_Delete(organization);
        return;
    }
    organization_fill(program, organization, role >= ROLE_ADMIN ? VIEW_EDITOR : VIEW_MEMBER);
    text_find_links(organization);
    add_live(program, organization);
    cJSON_AddBoolToObject(organization, "dashboard", true);
    cJSON_AddNumberToObject(organization, "user_id", (double)session.user_id);
    cJSON_AddStringToObject(organization, "user", session.name);
    cJSON_AddStringToObject(organization, "csrf", session.csrf);
    cJSON_AddBoolToObject(organization, "editor", role >= ROLE_ADMIN);
    cJSON_AddBoolToObject(organization, "owner", role >= ROLE_OWNER);
    http_send_page(request, "dashboard", organization, &(struct http_answer){.status = 200});
}
