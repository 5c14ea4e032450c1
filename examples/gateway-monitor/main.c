/*
 * A gateway monitor: the program polls gateways, keeps what they say, and shows it live through libpusherc, which makes few
 * events of many readings. examples/common/ has what it shares with the other examples.
 */
#include <stdio.h>
#include <stdlib.h>

#include "audience.h"
#include "common/say.h"
#include "common/self_test.h"
#include "fleet.h"
#include "follow.h"
#include "health.h"
#include "pages.h"
#include "poll.h"
#include "replay.h"
#include "simulate.h"

#define FULL_PICTURE_S 60
#define MAX_EVENT      (1024 * 1024) /* 200 ms of 10,000 readings a second are some 500 KB */

static bool wants_self_test(struct program *program)
{
    return monitor_of(program)->self_test;
}

static int run_self_test(struct program *program)
{
    program->json = monitor_of(program)->json;
    if (!program->json)
        printf("ok    fallback   pages ask every 5 s, 10 s and then 30 s while they cannot hear\n");
    return self_test_run(program, "readings");
}

/* Few events of many readings: a page draws no faster than five times a second. */
static void configure(struct program *program, pusherc_server_options *server, pusherc_hooks *hooks,
                      pusherc_app_options *app)
{
    (void)program;
    static const pusherc_history_pattern history[] = {{.struct_size = sizeof history[0],
                                                       .pattern = "gateways",
                                                       .max_events = 200,
                                                       .max_age_s = 600}};
    app->shaping =
        "readings event=reading.batch batch window_ms=200 max_events=5000 max_bytes=4000000\n"
        "readings event=reading.new conflate window_ms=200";
    app->max_event_payload_bytes = MAX_EVENT;
    app->history = history; /* who was away is told which gateways came and went */
    app->history_count = 1;
    server->deflate_min_bytes = 1024;
    server->out_soft_bytes = 4 * MAX_EVENT;
    server->out_hard_bytes = 8 * MAX_EVENT;
    health_watch(hooks);
}

/* Servers with one database: events, and orders to ask open pages again, reach the pages of all. */
static int link_servers(struct monitor *monitor, pusherc_errinfo *info)
{
    pusherc_redis_options redis = PUSHERC_REDIS_OPTIONS_INIT;
    redis.url = monitor->redis;
    int status = audience_add_rules(monitor->program, info);
    return status || !redis.url
               ? status
               : pusherc_server_use_redis(monitor->program->server, &redis, NULL, info);
}

static int prepare(struct program *program, pusherc_errinfo *info)
{
    struct monitor *monitor = monitor_of(program);
    int64_t wanted = monitor->gateways_text ? strtoll(monitor->gateways_text, NULL, 10) : 0;
    if (wanted <= 0 &&
        store_has(program->store, "SELECT 1 FROM settings WHERE name = 'demo'", NO_VALUES))
        wanted = 200;
    monitor->program = program;
    monitor->started_ms = now_ms();
    monitor->full_picture_ms =
        1000 * (monitor->full_picture_text ? strtoll(monitor->full_picture_text, NULL, 10)
                                           : FULL_PICTURE_S);
    monitor->last_reading_id = monitor->started_ms * 1000; /* above those of an earlier start */
    monitor->replays = calloc(1, replay_bytes());
    monitor->connections = calloc(1, health_bytes());
    if (!monitor->replays || !monitor->connections || fleet_load(monitor, wanted) != 0) {
        say("the gateways cannot be read");
        return PUSHERC_ENOMEM;
    }
    return link_servers(monitor, info);
}

static void begin(struct program *program)
{
    struct monitor *monitor = monitor_of(program);
    const struct writer_options options = {
        .file = program->options->data, .store = program->store, .loop = program->loop};
    replay_begin(monitor);
    if (writer_open(&monitor->writer, &options) == 0 && monitor->simulate)
        simulate_begin(monitor);
    if (monitor->redis)
        follow_begin(monitor);
}

static void end(struct program *program)
{
    struct monitor *monitor = monitor_of(program);
    simulate_end(monitor);
    follow_end(monitor);
    replay_end(monitor);
    fleet_save(monitor);
    writer_close(monitor->writer);
    monitor->writer = NULL;
}

static void each_second(struct program *program)
{
    poll_tick(monitor_of(program));
}

static bool on_http(struct program *program, pusherc_http_request *request)
{
    return pages_dispatch(program, request);
}

static void fill_login(struct program *program, cJSON *values, const struct login_wanted *wanted)
{
    (void)wanted;
    cJSON_AddItemToObject(
        values, "users",
        store_rows(
            program->store,
            "SELECT u.email, lower(u.name) || '-demo' password, u.name || iif(p.admin, ': all "
            "sites,"
            " with addresses', ': ' || (SELECT count(*) FROM permissions m WHERE m.user_id = u.id)"
            " || ' sites') label FROM users u JOIN people p ON p.user_id = u.id"
            " WHERE u.email LIKE '%@gateways.example'",
            NO_VALUES));
}

static const char usage[] =
    "  --gateways N         so many gateways at least (default: 200 in a demo)\n"
    "  --simulate[=SEED]    poll each of them once a second, though there are none\n"
    "  --every-value        tell pages of each reading, not of changes only\n"
    "  --full-picture SECONDS  tell pages of a value that stays after so long, too (default 60)\n"
    "  --redis URL          link with the other servers of the file of --data; one of them polls a "
    "gateway\n"
    "  --alert-url URL      post alerts there, as JSON\n"
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
    struct monitor monitor = {0};
    const struct program_option options[] = {
        {"gateways", &monitor.gateways_text, NULL},
        {"simulate", &monitor.seed, &monitor.simulate},
        {"full-picture", &monitor.full_picture_text, NULL},
        {"redis", &monitor.redis, NULL},
        {"alert-url", &monitor.alert_url, NULL},
        {"every-value", NULL, &monitor.every_value},
        {"self-test", NULL, &monitor.self_test},
        {"json", NULL, &monitor.json},
        {0},
    };
    const struct program_spec spec = {
        .id = "gateway-monitor",
        .cookies = "gateways",
        .summary = "Serve a monitor of gateways that is live through libpusherc.",
        .port = 8084,
        .schema = {.steps = {"sql/accounts.sql", "sql/monitor.sql"}, .demo = "sql/demo.sql"},
        .scripts = scripts,
        .options = options,
        .usage = usage,
        .payload_version = 1,
        .event_id_name = "event_id",
        .tokens = true,
        /* two for each point of 2,000 gateways, and changes of status */
        .max_queued = 25000,
        .conflate = "{all...} event=reading.batch key=/data_point/id\n"
                    "{all...} event=reading.new key=/data_point/id",
        .sets_up = wants_self_test,
        .set_up = run_self_test,
        .configure = configure,
        .prepare = prepare,
        .begin = begin,
        .end = end,
        .on_http = on_http,
        .each_second = each_second,
        .describe_health = health_describe,
        .login_fill = fill_login,
    };
    int status = program_main(argc, argv, &spec, &monitor);
    fleet_free(&monitor);
    free(monitor.replays);
    free(monitor.connections);
    return status;
}
