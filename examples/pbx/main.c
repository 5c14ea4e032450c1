/*
 * A PBX: calls of organizations come in by the webhook of a telephony provider, and all pages of the organization show them
 * as they run, with who is online. examples/common/ has what it shares with the other examples.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audience.h"
#include "common/publish.h"
#include "common/say.h"
#include "incoming.h"
#include "limits.h"
#include "pages.h"
#include "people.h"
#include "simulate.h"
#include "tools.h"
#include "webhook.h"

#define TOKEN_S 900
#define TIDY_S  600

static void configure(struct program *program, pusherc_server_options *server, pusherc_hooks *hooks,
                      pusherc_app_options *app)
{
    server->auth_path = "/broadcasting/auth,/api/v1/broadcasting/auth";
    hooks->identify = audience_identify;
    hooks->on_denied = audience_denied;
    hooks->on_publish = incoming_check;
    limits_read(program, app);
}

static int prepare(struct program *program, pusherc_errinfo *info)
{
    struct pbx *pbx = program->own;
    pbx->program = program;
    pbx->token_s = pbx->token_text ? (uint32_t)strtoul(pbx->token_text, NULL, 10) : TOKEN_S;
    if (webhook_read_secret(pbx) != 0)
        return PUSHERC_EIO;
    int status = limits_use_redis(program, info);
    if (status == 0)
        status = audience_add_rules(program, info);
    if (status != 0 || !pbx->linked)
        return status;
    publish_read_app(program, pbx->app_secret); /* the same again if the environment has it */
    if (getenv("REVERB_APP_SECRET") || getenv("PUSHER_APP_SECRET"))
        return 0;
    snprintf(info->text, sizeof info->text,
             "linked servers have the same app: set REVERB_APP_ID,"
             " REVERB_APP_KEY and REVERB_APP_SECRET");
    return PUSHERC_EINVAL;
}

static void begin(struct program *program)
{
    if (pbx_of(program)->simulate)
        simulate_begin(pbx_of(program));
}

static void end(struct program *program)
{
    simulate_end(pbx_of(program));
}

static void each_second(struct program *program)
{
    if (pbx_of(program)->seconds++ % TIDY_S == 0)
        webhook_tidy(program);
}

static void greet(struct program *program)
{
    if (store_has(program->store, "SELECT 1 FROM settings WHERE name = 'demo'", NO_VALUES))
        printf(
            "\nDemo users, with the password pbx-demo: ada@kestrel.example, iris@bluebird.example,"
            " quinn@granite.example\n");
}

static void login_target(char out[LOGIN_TARGET_BYTES], struct program *program, int64_t user_id,
                         const struct login_wanted *wanted)
{
    (void)program, (void)user_id;
    snprintf(out, LOGIN_TARGET_BYTES, "%s",
             strcmp(wanted->value[0], "history") == 0 ? "/history" : "/");
}

static void fill_login(struct program *program, cJSON *values, const struct login_wanted *wanted)
{
    (void)wanted;
    cJSON_AddItemToObject(
        values, "users",
        store_rows(program->store,
                   "SELECT u.email, 'pbx-demo' password, u.name || ', ' || o.name || ', ' || p.role"
                   " label FROM users u JOIN people p ON p.user_id = u.id JOIN organizations o ON"
                   " o.id = p.organization_id JOIN settings s ON s.name = 'demo'"
                   " WHERE (u.id - 1) % 8 < 2 ORDER BY u.id",
                   NO_VALUES));
}

static const char usage[] =
    "  --redis URL          link this server with others, over Redis (docs/scaling.md)\n"
    "  --lease-ms MS        ... so long a server may be silent before it counts as gone (10000)\n"
    "  --laravel-redis URL  hear what Laravel publishes there (docs/laravel.md)\n"
    "  --token-s SECONDS    how long the token of a page is good before it is renewed (900)\n"
    "  --simulate[=SEED]    simulated calls\n"
    "  --speed N            ... so many times as fast\n"
    "  --trigger EVENT      publish call.initiated, call.answered or call.ended of a test call\n"
    "  --organization N     ... of this organization (1)\n"
    "  --call ID            ... of this call\n"
    "  --self-test          check the server that the environment or --env names, and exit: 0 if "
    "nothing fails\n"
    "  --json               ... with one JSON object\n"
    "\n"
    "VOICE_WEBHOOK_SECRET is what the provider signs with; without it one is made up and kept in\n"
    "the database.\n";

int main(int argc, char **argv)
{
    static const struct script_source scripts[] = {
        {"static/pusher.js", "pusher-js/dist/web/pusher.min.js"},
        {"static/echo.js", "laravel-echo/dist/echo.iife.js"},
        {0},
    };
    struct pbx pbx = {0};
    const struct program_option options[] = {
        {"redis", &pbx.redis, NULL},
        {"lease-ms", &pbx.lease_text, NULL},
        {"laravel-redis", &pbx.laravel_redis, NULL},
        {"token-s", &pbx.token_text, NULL},
        {"simulate", &pbx.seed, &pbx.simulate},
        {"speed", &pbx.speed, NULL},
        {"trigger", &pbx.trigger, NULL},
        {"organization", &pbx.organization, NULL},
        {"call", &pbx.call_id, NULL},
        {"self-test", NULL, &pbx.self_test},
        {"json", NULL, &pbx.json},
        {0},
    };
    const struct program_spec spec = {
        .id = "pbx",
        .cookies = "pbx",
        .summary = "Serve a PBX whose calls are live through libpusherc.",
        .port = 8081,
        .schema = {.steps = {"sql/accounts.sql", "sql/pbx.sql"}, .demo = "sql/demo.sql"},
        .scripts = scripts,
        .options = options,
        .usage = usage,
        .payload_version = 1,
        .login_names = {"page"},
        .tokens = true,
        .sets_up = tools_wanted,
        .set_up = tools_run,
        .configure = configure,
        .prepare = prepare,
        .begin = begin,
        .end = end,
        .on_http = pages_dispatch,
        .each_second = each_second,
        .greet = greet,
        .login_target = login_target,
        .login_fill = fill_login,
        .describe_user = people_describe,
    };
    return program_main(argc, argv, &spec, &pbx);
}
