#include "limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/say.h"
#include "environment.h" /* of cli/ */

#define MEMBERS       1000 /* the default of 100 would refuse the 101st colleague */
#define CLIENT_EVENTS 10

extern char **environ;

/* As an application has called soketi's names. */
static const struct {
    const char *name, *setting;
} aliases[] = {
    {"SOKETI_DEFAULT_APP_MAX_CONNECTIONS", "max_connections"},
    {"SOKETI_DEFAULT_APP_MAX_BACKEND_EVENTS_PER_SECOND", "max_backend_events_per_s"},
    {"SOKETI_DEFAULT_APP_MAX_CLIENT_EVENTS_PER_SECOND", "max_client_events_per_s"},
    {"SOKETI_DEFAULT_APP_MAX_READ_REQUEST_PER_SECOND", "max_read_requests_per_s"},
};

static bool is_alias(const char *name)
{
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++) {
        if (strcmp(aliases[i].name, name) == 0)
            return true;
    }
    return false;
}

static void say_unknown(void)
{
    char name[128];
    for (char **entry = environ; *entry; entry++) {
        const char *nearest;
        snprintf(name, sizeof name, "%.*s", (int)strcspn(*entry, "="), *entry);
        if (!is_alias(name) && cli_environment_is_unknown(name, &nearest))
            say("%s is not known, and has no effect%s%s%s", name, nearest ? "; did you mean " : "",
                nearest ? nearest : "", nearest ? "?" : "");
    }
    const char *connection = getenv("BROADCAST_CONNECTION");
    const char *driver = getenv("BROADCAST_DRIVER");
    if (connection && driver && strcmp(connection, driver) != 0)
        say("BROADCAST_CONNECTION=%s counts, and BROADCAST_DRIVER=%s does not", connection, driver);
}

/* 0, or -1 with `error`. */
static int read_limits(struct cli_apps *apps, struct cli_error *error)
{
    if (!cli_apps_get(apps, CLI_DEFAULT_APP_ID))
        return cli_fail_no_memory(error);
    pusherc_app_options *app = &apps->items[0].options;
    app->max_presence_members = MEMBERS;
    app->max_client_events_per_s = CLIENT_EVENTS;
    app->client_events = true;
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++) {
        const char *value = getenv(aliases[i].name);
        if (value && *value &&
            cli_setting_set(app, cli_app_setting(aliases[i].setting), aliases[i].name, 1, value,
                            error) != 0)
            return -1;
    }
    if (cli_environment_limits(apps, error) != 0)
        return -1;
    cli_apps_share(apps);
    return 0;
}

void limits_read(struct program *program, pusherc_app_options *app)
{
    struct cli_apps apps;
    struct cli_error error = {0};
    (void)program;
    cli_apps_init(&apps);
    say_unknown();
    if (read_limits(&apps, &error) == 0) {
        const pusherc_app_options *read = &apps.items[0].options;
#define TAKE(member) app->member = read->member
        TAKE(max_connections);
        TAKE(max_connections_per_user);
        TAKE(max_connections_per_ip);
        TAKE(max_presence_members);
        TAKE(max_user_info_bytes);
        TAKE(max_client_events_per_s);
        TAKE(max_backend_events_per_s);
        TAKE(max_read_requests_per_s);
        TAKE(max_event_payload_bytes);
        TAKE(activity_timeout_ms);
        TAKE(client_events);
#undef TAKE
    } else {
        say("%s", error.text);
    }
    cli_apps_free(&apps);
}

static int link_servers(struct pbx *pbx, const struct cli_settings *settings, pusherc_errinfo *info)
{
    pusherc_redis_options options = PUSHERC_REDIS_OPTIONS_INIT;
    options.url = pbx->redis ? pbx->redis : settings->redis;
    options.prefix = pbx->redis ? NULL : settings->redis_prefix;
    options.timeout_ms = settings->redis_timeout_ms;
    if (!options.url)
        return 0;
    pbx->linked = true;
    pusherc_cluster_options cluster = settings->cluster;
    if (pbx->lease_text) {
        cluster.lease_ms = (uint32_t)strtoul(pbx->lease_text, NULL, 10);
        cluster.renew_ms = cluster.lease_ms / 6;
        cluster.settle_ms = cluster.lease_ms / 2;
    }
    return pusherc_server_use_redis(pbx->program->server, &options, &cluster, info);
}

static int hear_laravel(struct pbx *pbx, const struct cli_settings *settings, pusherc_errinfo *info)
{
    pusherc_laravel_redis_options options = PUSHERC_LARAVEL_REDIS_OPTIONS_INIT;
    options.url = pbx->laravel_redis ? pbx->laravel_redis : settings->laravel_redis;
    options.prefix = pbx->laravel_redis ? NULL : settings->laravel_redis_prefix;
    options.app_name = settings->laravel_app_name;
    options.timeout_ms = settings->redis_timeout_ms;
    options.app_id = pbx->program->app_id;
    return options.url ? pusherc_server_use_laravel_redis(pbx->program->server, &options, info) : 0;
}

int limits_use_redis(struct program *program, pusherc_errinfo *info)
{
    struct cli_settings settings;
    struct cli_error error = {0};
    cli_settings_init(&settings);
    int status = cli_environment_settings(&settings, &error) == 0 ? 0 : PUSHERC_EINVAL;
    if (status != 0)
        snprintf(info->text, sizeof info->text, "%.190s", error.text);
    if (status == 0)
        status = link_servers(pbx_of(program), &settings, info);
    if (status == 0)
        status = hear_laravel(pbx_of(program), &settings, info);
    cli_settings_free(&settings);
    return status;
}
