/*
 * Server provisioning: users own servers that are set up step by step. The program says that something has changed, and the
 * page, made of React and useEcho, asks what.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloud.h"
#include "common/fields.h"
#include "common/program.h"
#include "common/self_test.h"
#include "logs.h"
#include "servers.h"
#include "steps.h"
#include "works.h"

#define TICK_MS  100
#define WORKS_AT 4 /* ticks */

/* Pages: the program says which one it is, React draws it. */
struct page {
    const char *name;
    const struct work_kind *site; /* whose {id} is no server's */
};

static cJSON *page_values(struct program *program, const struct session *session)
{
    cJSON *values = cJSON_CreateObject();
    cJSON_AddStringToObject(values, "user", session->name);
    cJSON_AddStringToObject(values, "csrf", session->csrf);
    cJSON_AddBoolToObject(values, "simulates", cloud_of(program)->factory.simulates);
    return values;
}

static void send_page(struct program *program, pusherc_http_request *request,
                      const struct http_params *params)
{
    const struct page *page = params->extra;
    struct session session;
    struct login_wanted wanted = {0};
    bool list = params->value[0][0] == '\0';
    int64_t id = strtoll(params->value[0], NULL, 10);
    int64_t server_id = list ? NO_SERVER : page->site ? work_server(program, page->site, id) : id;
    accounts_find(program, request, &session);
    if (session.user_id == 0) {
        snprintf(wanted.value[0], sizeof wanted.value[0], "%s", list ? "" : page->name);
        snprintf(wanted.value[1], sizeof wanted.value[1], "%s", params->value[0]);
        login_ask(program, request, &wanted);
        return;
    }
    if (!server_is_own(program, request, SERVER_READ, server_id, &session))
        return;
    cJSON *values = page_values(program, &session);
    cJSON_AddStringToObject(values, "key", program->app_key);
    cJSON_AddStringToObject(values, "page", page->name);
    cJSON_AddNumberToObject(values, "id", (double)(list ? session.user_id : id));
    cJSON_AddBoolToObject(values, "debug", pusherc_http_query(request, "debug").ptr != NULL);
    if (list) /* for browsers without scripts */
        cJSON_AddItemToObject(values, "servers",
                              store_rows(program->store,
                                         "SELECT id, name, provision_status FROM servers"
                                         " WHERE user_id = ? ORDER BY id DESC",
                                         VALUES(INT(session.user_id))));
    http_send_page(request, "app", values, &(struct http_answer){.status = 200});
}

static void send_start(struct program *program, pusherc_http_request *request,
                       const struct http_params *params)
{
    (void)params;
    struct session session;
    accounts_find(program, request, &session);
    cJSON *values = page_values(program, &session);
    cJSON_AddStringToObject(values, "version", pusherc_version_string());
    http_send_page(request, "start", values, &(struct http_answer){.status = 200});
}

/* The panel of the start page: what it asks for is done to the user's own servers. */
static void post_demo(struct program *program, pusherc_http_request *request,
                      const struct http_params *params)
{
    char server[24];
    struct session session;
    struct factory *factory = &cloud_of(program)->factory;
    if (!server_is_own(program, request, SERVER_WRITE, NO_SERVER, &session))
        return;
    field_line(server, sizeof server, request, "server");
    if (factory->simulates &&
        factory_do(factory, program, session.user_id, params->value[0], strtoll(server, NULL, 10)))
        server_done(request, 0, "/servers");
    else
        http_send_error(request, 404, "There is nothing to simulate here.");
}

#define PAGE(name, site) (&(const struct page){name, site})

static const struct http_route routes[] = {
    {"GET", "/", send_start, NULL},
    {"GET", "/servers", send_page, PAGE("servers", NULL)},
    {"GET", "/servers/{id}", send_page, PAGE("server", NULL)},
    {"GET", "/servers/{id}/provisioning", send_page, PAGE("provisioning", NULL)},
    {"GET", "/servers/{id}/packages", send_page, PAGE("packages", NULL)},
    {"GET", "/servers/{id}/databases", send_page, PAGE("databases", NULL)},
    {"GET", "/sites/{id}/deployment", send_page, PAGE("deployment", &work_deployment)},
    {"POST", "/demo/{what}", post_demo, NULL},
    {"POST", "/servers/{id}/provision/step", steps_callback, NULL},
    {"POST", "/servers/{id}/provision/log", steps_log, NULL},
    {"GET", "/api/v1/servers", servers_list, NULL},
    {"POST", "/api/v1/servers", servers_order, NULL},
    {"GET", "/api/v1/servers/{id}", servers_get, NULL},
    {"DELETE", "/api/v1/servers/{id}", servers_remove, NULL},
    {"POST", "/servers/{id}/remove", servers_remove, NULL},
    {"GET", "/api/v1/servers/{id}/log", logs_get, NULL},
    {"POST", "/api/v1/servers/{id}/retry", servers_retry, NULL},
    {"POST", "/servers/{id}/retry", servers_retry, NULL},
    {"POST", "/api/v1/servers/{id}/owner", servers_hand_over, NULL},
    {"POST", "/api/v1/servers/{id}/deploy", works_deploy, NULL},
    {"POST", "/servers/{id}/deploy", works_deploy, NULL},
    {"POST", "/api/v1/servers/{id}/tasks", tasks_add, NULL},
    {"GET", "/api/v1/servers/{id}/packages", works_get, &work_packages},
    {"POST", "/api/v1/servers/{id}/packages", works_add, &work_packages},
    {"GET", "/api/v1/servers/{id}/databases", works_get, &work_databases},
    {"POST", "/api/v1/servers/{id}/databases", works_add, &work_databases},
    {"GET", "/api/v1/sites/{id}/deployment", works_get, &work_deployment},
    {"POST", "/api/v1/sites/{id}/deployment", works_add, &work_deployment},
};

static bool on_http(struct program *program, pusherc_http_request *request)
{
    return http_dispatch(routes, sizeof routes / sizeof routes[0], program, request);
}

static void configure(struct program *program, pusherc_server_options *server, pusherc_hooks *hooks,
                      pusherc_app_options *app)
{
    (void)program;
    (void)server;
    (void)hooks;
    app->shaping = events_shaping;
}

static int prepare(struct program *program, pusherc_errinfo *info)
{
    struct cloud *cloud = program->own;
    if (factory_start(&cloud->factory, program) != 0)
        return PUSHERC_EINVAL;
    return events_add_rules(program, cloud->audiences, info);
}

static void tick(uv_timer_t *clock)
{
    struct program *program = clock->data;
    struct cloud *cloud = program->own;
    if (program->ending)
        return;
    if (cloud->factory.simulates)
        factory_tick(&cloud->factory, program);
    if (++cloud->ticks % WORKS_AT == 0)
        works_tick(program);
}

static void begin(struct program *program)
{
    uv_timer_t *clock = &cloud_of(program)->clock;
    uv_timer_init(program->loop, clock);
    clock->data = program;
    uv_timer_start(clock, tick, 0, TICK_MS);
}

static void end(struct program *program)
{
    uv_close((uv_handle_t *)&cloud_of(program)->clock, NULL);
}

static bool wants_self_test(struct program *program)
{
    return cloud_of(program)->self_test;
}

/* useEcho() is told a class without its namespace, and listens to this one's. */
static int self_test(struct program *program)
{
    static const char space[] = "App\\Events\\";
    int status = self_test_run(program, "private-servers.1.provision");
    for (size_t i = 0; i < EVENT_KINDS; i++) {
        bool right = strncmp(events[i].name, space, sizeof space - 1) == 0;
        printf("%s  private-%s: %s\n", right ? "ok  " : "fail", events[i].pattern, events[i].name);
        status = right ? status : -1;
    }
    return status;
}

static void greet(struct program *program)
{
    if (store_has(program->store, "SELECT 1 FROM settings WHERE name = 'demo'", NO_VALUES))
        printf("\nDemo users:\n  iris@harbour.example  iris-demo\n  omar@quarry.example   "
               "omar-demo\n");
}

static void login_target(char out[LOGIN_TARGET_BYTES], struct program *program, int64_t user_id,
                         const struct login_wanted *wanted)
{
    (void)program;
    (void)user_id;
    const char *page = wanted->value[0];
    const char *id = wanted->value[1];
    bool server = strcmp(page, "server") == 0;
    bool known = server || strcmp(page, "provisioning") == 0 || strcmp(page, "packages") == 0 ||
                 strcmp(page, "databases") == 0 || strcmp(page, "deployment") == 0;
    if (!known || !*id || strspn(id, "0123456789") != strlen(id))
        snprintf(out, LOGIN_TARGET_BYTES, "/servers");
    else
        snprintf(out, LOGIN_TARGET_BYTES, "/%s/%.20s%s%s",
                 strcmp(page, "deployment") == 0 ? "sites" : "servers", id, server ? "" : "/",
                 server ? "" : page);
}

static void login_fill(struct program *program, cJSON *values, const struct login_wanted *wanted)
{
    (void)wanted;
    cJSON_AddItemToObject(
        values, "users",
        store_rows(program->store,
                   "SELECT email, name label, lower(name) || '-demo' password FROM users"
                   " WHERE id <= 2 AND EXISTS (SELECT 1 FROM settings WHERE name = 'demo')",
                   NO_VALUES));
}

int main(int argc, char **argv)
{
    static const struct script_source scripts[] = {
        {"static/pusher.js", "pusher-js/dist/web/pusher.min.js"},
        {"static/echo-react.js", "@laravel/echo-react/dist/echo-react.iife.js"},
        {"static/react.js", "react/umd/react.production.min.js"},
        {"static/react-dom.js", "react-dom/umd/react-dom.production.min.js"},
        {"static/react-debug.js", "react/umd/react.development.js"}, /* with ?debug */
        {"static/react-dom-debug.js", "react-dom/umd/react-dom.development.js"},
        {0},
    };
    struct cloud cloud = {.factory = {.speed = "1"}};
    const struct program_option options[] = {
        {"simulate", &cloud.factory.seed, &cloud.factory.simulates},
        {"speed", &cloud.factory.speed, NULL},
        {"self-test", NULL, &cloud.self_test},
        {0},
    };
    const struct program_spec spec = {
        .id = "provisioning",
        .cookies = "provisioning",
        .summary = "Serve server provisioning that is live through libpusherc.",
        .port = 8083,
        .schema = {.steps = {"sql/accounts.sql", "sql/schema.sql"},
                   .always = "sql/views.sql",
                   .demo = "sql/demo.sql"},
        .scripts = scripts,
        .options = options,
        .usage =
            "  --simulate[=SEED]    order servers and set them up, though there are no machines\n"
            "  --speed N            ... so many times as fast (default 1)\n"
            "  --self-test          check the server that the environment or --env names, and "
            "exit: 0 if nothing fails\n",
        .payload_version = 1,
        .login_names = {"page", "id"},
        .sets_up = wants_self_test,
        .set_up = self_test,
        .configure = configure,
        .prepare = prepare,
        .begin = begin,
        .end = end,
        .on_http = on_http,
        .greet = greet,
        .login_target = login_target,
        .login_fill = login_fill,
    };
    return program_main(argc, argv, &spec, &cloud);
}
