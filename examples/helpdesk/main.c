/*
 * A help desk: customers, agents of offices, admins; tickets that are live through libpusherc, which sends each audience
 * what it may see. examples/common/ has what it shares with the other examples.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audience.h"
#include "common/fields.h"
#include "common/self_test.h"
#include "connections.h"
#include "events.h"
#include "marks.h"
#include "pages.h"
#include "people.h"
#include "replies.h"
#include "tickets.h"

/* A form with files is in memory while it is read. */
#define MAX_FORM (FILE_BYTES + 1024 * 1024)

static void demo_pace(struct program *program, pusherc_http_request *request,
                      const struct http_params *params)
{
    static const char *const paces[] = {"calm", "busy", "storm"};
    struct desk *desk = desk_of(program);
    struct session session;
    struct person person;
    char pace[FIELD_LINE_BYTES];
    if (params->extra) {
        if (!person_needed(program, request, PERSON_WRITES, &session, &person))
            return;
        field_line(pace, sizeof pace, request, "pace");
        for (size_t i = 0; i < sizeof paces / sizeof paces[0]; i++)
            desk->pace = strcmp(pace, paces[i]) == 0 ? paces[i] : desk->pace;
    }
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddStringToObject(answer, "pace", desk->pace);
    http_send_json(request, 200, answer);
    cJSON_Delete(answer);
}

static const struct http_route routes[] = {
    {"GET", "/", page_start, NULL},
    {"GET", "/tickets", page_tickets, NULL},
    {"GET", "/tickets/{uuid}", page_ticket, NULL},
    {"GET", "/admin", page_admin, NULL},
    {"GET", "/demo/{who}/tickets", page_demo, NULL},
    {"GET", "/demo/{who}/tickets/{uuid}", page_demo, NULL},
    {"GET", "/tickets/{uuid}/files/{file}", replies_file, NULL},
    /* For programs, and the forms of pages. */
    {"GET", "/api/v1/tickets", tickets_list, NULL},
    {"POST", "/api/v1/tickets", tickets_create, NULL},
    {"PATCH", "/api/v1/tickets", tickets_change_many, NULL},
    {"POST", "/tickets", tickets_create, NULL},
    {"GET", "/api/v1/tickets/{uuid}", replies_get, NULL},
    {"PATCH", "/api/v1/tickets/{uuid}", tickets_change, NULL},
    {"POST", "/tickets/{uuid}", tickets_change, NULL},
    {"POST", "/api/v1/tickets/{uuid}/replies", replies_add, NULL},
    {"POST", "/tickets/{uuid}/replies", replies_add, NULL},
    {"POST", "/api/v1/tickets/{uuid}/read", marks_post, "read"},
    {"POST", "/api/v1/tickets/{uuid}/delivered", marks_post, "delivered"},
    {"GET", "/api/v1/tickets/{uuid}/files/{file}", replies_file, NULL},
    {"GET", "/api/v1/users", people_list, NULL},
    {"PUT", "/api/v1/users/{id}/offices", people_set_offices, NULL},
    {"PUT", "/api/v1/users/{id}/role", people_set_role, NULL},
    {"PUT", "/api/v1/users/{id}/privacy", people_set_privacy, NULL},
    {"GET", "/api/v1/connections", connections_get, NULL},
    {"POST", "/api/v1/connections/echo", connections_echo, NULL},
    {"POST", "/api/v1/demo/move-me", people_move_me, NULL},
    {"GET", "/api/v1/demo/pace", demo_pace, NULL},
    {"POST", "/api/v1/demo/pace", demo_pace, "write"},
};

static bool on_http(struct program *program, pusherc_http_request *request)
{
    return http_dispatch(routes, sizeof routes / sizeof routes[0], program, request);
}

static void configure(struct program *program, pusherc_server_options *server, pusherc_hooks *hooks,
                      pusherc_app_options *app)
{
    (void)program;
    marks_watch(hooks);
    server->max_http_body_bytes = MAX_FORM;
    events_configure(app);
}

static int prepare(struct program *program, pusherc_errinfo *info)
{
    return audience_add_rules(program, info);
}

static bool wants_set_up(struct program *program)
{
    return desk_of(program)->self_test || desk_of(program)->trigger;
}

/* Which of server, settings, permission and script is the cause. */
static int self_test(struct program *program)
{
    static const char cause[] = "%s  %-10s %s\n";
    program->json = desk_of(program)->json;
    int status = self_test_run(program, "private-tickets.00000000-0000-4000-8000-000000000001");
    bool scripts = scripts_load(&program->scripts, program->spec->scripts,
                                program->options->node_modules) == 0;
    if (!program->json)
        printf(cause, scripts ? "ok  " : "fail", "script",
               scripts ? "pusher-js and laravel-echo are where pages get them from"
                       : "pages have no pusher-js and laravel-echo: --node-modules");
    return scripts ? status : -1;
}

static int set_up(struct program *program)
{
    return desk_of(program)->trigger ? event_trigger(program) : self_test(program);
}

static void login_target(char out[LOGIN_TARGET_BYTES], struct program *program, int64_t user_id,
                         const struct login_wanted *wanted)
{
    (void)program;
    (void)user_id;
    bool ticket = strlen(wanted->value[0]) == UUID_BYTES - 1 &&
                  wanted->value[0][strspn(wanted->value[0], "0123456789abcdef-")] == '\0';
    snprintf(out, LOGIN_TARGET_BYTES, "/tickets%s%.36s", ticket ? "/" : "",
             ticket ? wanted->value[0] : "");
}

static void login_fill(struct program *program, cJSON *values, const struct login_wanted *wanted)
{
    (void)wanted;
    cJSON_AddItemToObject(
        values, "users",
        store_rows(program->store,
                   "SELECT u.email, lower(u.name) || '-demo' password, u.name || ', ' || p.role ||"
                   " coalesce((SELECT ' in ' || group_concat(o.name, ' and ') FROM offices o JOIN"
                   "  office_people m ON m.office_id = o.id WHERE m.user_id = u.id), '') label"
                   " FROM users u JOIN people p ON p.user_id = u.id WHERE u.id <= 8"
                   " AND EXISTS (SELECT 1 FROM settings WHERE name = 'demo')",
                   NO_VALUES));
}

static void describe_user(struct program *program, cJSON *user)
{
    cJSON *person = person_describe(program, strtoll(row_text(user, "id"), NULL, 10));
    cJSON_AddStringToObject(user, "role", row_text(person, "role"));
    cJSON_Delete(person);
}

static const char usage[] =
    "  --trigger EVENT      publish ticket.reply.created, ticket.updated or ticket.status.changed\n"
    "                       as the program would, by what BROADCAST_CONNECTION says, and exit\n"
    "  --ticket UUID        ... of this ticket of --data FILE\n"
    "  --self-test          check the server that the environment or --env names, and exit: 0 if "
    "nothing fails\n"
    "  --json               ... with one JSON object\n";

int main(int argc, char **argv)
{
    static const struct script_source scripts[] = {
        {"static/pusher.js", "pusher-js/dist/web/pusher.min.js"},
        {"static/echo.js", "laravel-echo/dist/echo.iife.js"},
        {0},
    };
    struct desk desk = {.pace = "busy"};
    const struct program_option options[] = {
        {"trigger", &desk.trigger, NULL},
        {"ticket", &desk.ticket, NULL},
        {"self-test", NULL, &desk.self_test},
        {"json", NULL, &desk.json},
        {0},
    };
    const struct program_spec spec = {
        .id = "helpdesk",
        .cookies = "helpdesk",
        .summary = "Serve a help desk that is live through libpusherc.",
        .port = 8082,
        .schema = {.steps = {"sql/accounts.sql", "sql/desk.sql"},
                   .always = "sql/views.sql",
                   .demo = "sql/demo.sql"},
        .scripts = scripts,
        .options = options,
        .usage = usage,
        .payload_version = 1,
        .login_names = {"ticket"},
        .tokens = true,
        .sets_up = wants_set_up,
        .set_up = set_up,
        .configure = configure,
        .prepare = prepare,
        .begin = marks_begin,
        .end = marks_end,
        .on_http = on_http,
        .on_denied = connections_note_denial,
        .login_target = login_target,
        .login_fill = login_fill,
        .describe_user = describe_user,
    };
    return program_main(argc, argv, &spec, &desk);
}
