/*
 * A status page: the program links libpusherc, and serves its pages, its JSON API and the WebSocket of
 * pusher-js on one port. examples/common/ has what it shares with the other examples.
 */
#include <stdio.h>
#include <stdlib.h>

#include "api.h"
#include "audience.h"
#include "common/program.h"
#include "maintenances.h"
#include "pages.h"
#include "setup.h"
#include "signin.h"
#include "site.h"

static const struct http_route routes[] = {
    {"GET", "/", page_start, NULL},
    {"GET", "/status/{slug}", page_status, NULL},
    {"GET", "/status/{slug}/history", page_history, NULL},
    {"GET", "/status/{slug}/incidents/{id}", page_notice, "incident"},
    {"GET", "/status/{slug}/maintenances/{id}", page_notice, "maintenance"},
    {"GET", "/dashboard/{slug}", page_dashboard, NULL},
};

static bool on_http(struct program *program, pusherc_http_request *request)
{
    return http_dispatch(routes, sizeof routes / sizeof routes[0], program, request) ||
           api_dispatch(program, request);
}

static void greet(struct program *program)
{
    if (!store_has(program->store, "SELECT 1 FROM settings WHERE name = 'demo'", NO_VALUES))
        return;
    printf("\nDemo users:\n");
    cJSON *users = store_rows(program->store,
                              "SELECT u.email, o.slug, m.role FROM users u"
                              " JOIN memberships m ON m.user_id = u.id"
                              " JOIN organizations o ON o.id = m.organization_id ORDER BY u.id",
                              NO_VALUES);
    const cJSON *user;
    cJSON_ArrayForEach(user, users)
        printf("  %-28s %s-demo   (%s of %s)\n", row_text(user, "email"), row_text(user, "slug"),
               row_text(user, "role"), row_text(user, "slug"));
    cJSON_Delete(users);
}

static const struct script_source scripts[] = {
    {"static/pusher.js", "pusher-js/dist/web/pusher.min.js"},
    {"static/echo.js", "laravel-echo/dist/echo.iife.js"},
    {0},
};

int main(int argc, char **argv)
{
    struct site site = {0};
    const struct program_option options[] = {
        {"add-organization", &site.setup.add_organization, NULL},
        {"add-user", &site.setup.add_user, NULL},
        {"name", &site.setup.name, NULL},
        {"organization", &site.setup.organization, NULL},
        {"role", &site.setup.role, NULL},
        {0},
    };
    const struct program_spec spec = {
        .id = "status-page",
        .cookies = "status",
        .summary = "Serve a status page that is live through libpusherc.",
        .port = 8080,
        .schema = {.steps = {"sql/accounts.sql", "sql/schema.sql"},
                   .always = "sql/views.sql",
                   .demo = "sql/demo.sql"},
        .scripts = scripts,
        .options = options,
        .usage = setup_usage,
        /* Pages that know another one load themselves again. 2: "service", "incident" and "maintenance" are
         * objects; the fields of version 1, "id" among them, stay beside them until version 3. */
        .payload_version = 2,
        .event_id_name = "event_id",
        .login_names = SIGNIN_NAMES,
        .sets_up = setup_wanted,
        .set_up = setup_run,
        .prepare = audience_add_rule,
        .on_http = on_http,
        .each_second = maintenance_tick,
        .greet = greet,
        .login_target = signin_target,
        .login_fill = signin_fill,
    };
    int status = program_main(argc, argv, &spec, &site);
    free(site.drawn.page);
    return status;
}
