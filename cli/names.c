#include "names.h"

#include <fnmatch.h>
#include <string.h>

#define KIB    1024
#define MIB    1048576
#define SECOND 1000

/* Reverb's "all" accepts client events from clients outside the channel; here they must be members. */
static const char *senders(const char *text)
{
    return strcmp(text, "members") == 0 || strcmp(text, "all") == 0 ? "true" : "false";
}

static const char * not(const char *text)
{
    bool value;
    return cli_parse_switch(text, &value) ? (value ? "false" : "true") : NULL;
}

static const char *debug(const char *text)
{
    bool value;
    return cli_parse_switch(text, &value) ? (value ? "debug" : "") : NULL;
}

static const char *trace(const char *text)
{
    bool value;
    return cli_parse_switch(text, &value) ? (value ? "trace" : "") : NULL;
}

/* Sockudo's own path, unless another name says a path. */
static const char *socket_path(const char *text)
{
    bool value;
    return cli_parse_switch(text, &value) ? (value ? "/var/run/sockudo/sockudo.sock" : "") : NULL;
}

/* clang-format off */
#define SERVER(setting, unit) CLI_OF_SERVER, setting, unit
#define APP(setting, unit)    CLI_OF_APP, setting, unit
#define EVERY(setting, unit)  CLI_OF_EVERY_APP, setting, unit
#define PLAIN                 CLI_ALWAYS, CLI_SETS, NULL
#define SOCKUDO               CLI_WITH_SOCKUDO, CLI_SETS, NULL

const struct cli_name cli_names[] = {
    {"SOKETI_HOST", "host", SERVER("host", 1), PLAIN},
    {"SOKETI_PORT", "port", SERVER("port", 1), PLAIN},
    {"SOKETI_PATH_PREFIX", "pathPrefix", SERVER("path_prefix", 1), PLAIN},
    {"SOKETI_DEBUG", "debug", SERVER("log_level", 1), CLI_ALWAYS, CLI_SETS, debug},
    {"BROADCAST_DEBUG", NULL, SERVER("log_level", 1), CLI_ALWAYS, CLI_SETS, trace},
    {"SOKETI_SHUTDOWN_GRACE_PERIOD", "shutdownGracePeriod", SERVER("grace_ms", 1), PLAIN},
    {"SOKETI_SSL_CERT", "ssl.certPath", SERVER("tls_cert", 1), PLAIN},
    {"SOKETI_SSL_KEY", "ssl.keyPath", SERVER("tls_key", 1), PLAIN},
    {"SOKETI_SSL_PASS", "ssl.passphrase", SERVER("tls_password", 1), PLAIN},
    {"SOKETI_METRICS_ENABLED", "metrics.enabled", SERVER("metrics", 1), PLAIN},
    {"SOKETI_METRICS_HOST", "metrics.host", SERVER("metrics_host", 1), PLAIN},
    {"SOKETI_METRICS_SERVER_PORT", "metrics.port", SERVER("metrics_port", 1), PLAIN},
    {"SOKETI_METRICS_PROMETHEUS_PREFIX", "metrics.prometheus.prefix", SERVER("metrics_prefix", 1), PLAIN},
    {"SOKETI_HTTP_ACCEPT_TRAFFIC_MEMORY_THRESHOLD", "httpApi.acceptTraffic.memoryThreshold", SERVER("accept_traffic_percent", 1), PLAIN},
    {"SOKETI_WEBHOOKS_BATCHING", "webhooks.batching.enabled", SERVER("webhook_batching", 1), PLAIN},
    {"SOKETI_WEBHOOKS_BATCHING_DURATION", "webhooks.batching.duration", SERVER("webhook_batch_ms", 1), PLAIN},
    {NULL, "httpApi.requestLimitInMb", SERVER("max_http_body_bytes", MIB), PLAIN},

    {"SOKETI_DEFAULT_APP_ENABLED", NULL, APP("disabled", 1), CLI_ALWAYS, CLI_SETS, not},
    {"SOKETI_DEFAULT_APP_ENABLE_CLIENT_MESSAGES", NULL, APP("client_events", 1), PLAIN},
    {"SOKETI_DEFAULT_APP_USER_AUTHENTICATION", NULL, APP("user_authentication", 1), PLAIN},
    {"SOKETI_DEFAULT_APP_MAX_CONNS", NULL, APP("max_connections", 1), PLAIN},
    {"SOKETI_DEFAULT_APP_MAX_BACKEND_EVENTS_PER_SEC", NULL, APP("max_backend_events_per_s", 1), PLAIN},
    {"SOKETI_DEFAULT_APP_MAX_CLIENT_EVENTS_PER_SEC", NULL, APP("max_client_events_per_s", 1), PLAIN},
    {"SOKETI_DEFAULT_APP_MAX_READ_REQ_PER_SEC", NULL, APP("max_read_requests_per_s", 1), PLAIN},

    {"SOKETI_USER_AUTHENTICATION_TIMEOUT", "userAuthenticationTimeout", EVERY("user_authentication_timeout_ms", 1), PLAIN},
    {"SOKETI_CHANNEL_LIMITS_MAX_NAME_LENGTH", "channelLimits.maxNameLength", EVERY("max_channel_name_bytes", 1), PLAIN},
    {"SOKETI_CHANNEL_CACHE_TTL", "channelLimits.cacheTtl", EVERY("cache_ttl_s", 1), PLAIN},
    {"SOKETI_EVENT_MAX_BATCH_SIZE", "eventLimits.maxBatchSize", EVERY("max_batch_events", 1), PLAIN},
    {"SOKETI_EVENT_MAX_CHANNELS_AT_ONCE", "eventLimits.maxChannelsAtOnce", EVERY("max_event_channels", 1), PLAIN},
    {"SOKETI_EVENT_MAX_NAME_LENGTH", "eventLimits.maxNameLength", EVERY("max_event_name_bytes", 1), PLAIN},
    {"SOKETI_EVENT_MAX_SIZE_IN_KB", "eventLimits.maxPayloadInKb", EVERY("max_event_payload_bytes", KIB), PLAIN},
    {"SOKETI_PRESENCE_MAX_MEMBERS", "presence.maxMembersPerChannel", EVERY("max_presence_members", 1), PLAIN},
    {"SOKETI_PRESENCE_MAX_MEMBER_SIZE", "presence.maxMemberSizeInKb", EVERY("max_user_info_bytes", KIB), PLAIN},

    {"REVERB_SERVER_HOST", NULL, SERVER("host", 1), PLAIN},
    {"REVERB_SERVER_PORT", NULL, SERVER("port", 1), PLAIN},
    {"REVERB_SERVER_PATH", NULL, SERVER("path_prefix", 1), PLAIN},
    {"REVERB_MAX_REQUEST_SIZE", NULL, SERVER("max_http_body_bytes", 1), PLAIN},
    {"REVERB_APP_MAX_MESSAGE_SIZE", NULL, SERVER("max_frame_bytes", 1), PLAIN},
    /* Over HTTP Reverb has no other limit of an event than that of the request. */
    {"REVERB_MAX_REQUEST_SIZE", NULL, APP("max_event_payload_bytes", 1), CLI_ALWAYS, CLI_RAISES, NULL},
    {"REVERB_APP_MAX_MESSAGE_SIZE", NULL, APP("max_event_payload_bytes", 1), CLI_ALWAYS, CLI_RAISES, NULL},
    {"REVERB_APP_MAX_CONNECTIONS", NULL, APP("max_connections", 1), PLAIN},
    /* There: who has been silent so long is pinged. Here: the same, and clients are told the number. */
    {"REVERB_APP_PING_INTERVAL", NULL, APP("activity_timeout_ms", SECOND), CLI_ALWAYS, CLI_LOWERS, NULL},
    {"REVERB_APP_ACTIVITY_TIMEOUT", NULL, APP("activity_timeout_ms", SECOND), PLAIN},
    {"REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM", NULL, APP("client_events", 1), CLI_ALWAYS, CLI_SETS, senders},

    {"HOST", NULL, SERVER("host", 1), SOCKUDO},
    {"PORT", NULL, SERVER("port", 1), SOCKUDO},
    {"SHUTDOWN_GRACE_PERIOD", NULL, SERVER("grace_ms", SECOND), SOCKUDO},
    {"METRICS_PORT", NULL, SERVER("metrics_port", 1), SOCKUDO},
    {"WEBSOCKET_MAX_PAYLOAD_KB", NULL, SERVER("max_frame_bytes", KIB), SOCKUDO},
    {"SSL_CERT_PATH", NULL, SERVER("tls_cert", 1), CLI_WITH_SOCKUDO_TLS, CLI_SETS, NULL},
    {"SSL_KEY_PATH", NULL, SERVER("tls_key", 1), CLI_WITH_SOCKUDO_TLS, CLI_SETS, NULL},
    {"UNIX_SOCKET_PATH", NULL, SERVER("unix_socket", 1), CLI_WITH_SOCKUDO_UNIX, CLI_SETS, NULL},
    {"UNIX_SOCKET_ENABLED", NULL, SERVER("unix_socket", 1), CLI_WITH_SOCKUDO, CLI_SETS, socket_path},
    {"UNIX_SOCKET_PERMISSION_MODE", NULL, SERVER("unix_socket_mode", 1), CLI_WITH_SOCKUDO_UNIX, CLI_SETS, NULL},
    {"ACTIVITY_TIMEOUT", NULL, EVERY("activity_timeout_ms", SECOND), SOCKUDO},
    {"USER_AUTHENTICATION_TIMEOUT", NULL, EVERY("user_authentication_timeout_ms", SECOND), SOCKUDO},
    {"SOCKUDO_DEFAULT_APP_ENABLED", NULL, APP("disabled", 1), CLI_ALWAYS, CLI_SETS, not},
    {"SOCKUDO_DEFAULT_APP_ENABLE_CLIENT_MESSAGES", NULL, APP("client_events", 1), PLAIN},
    {"SOCKUDO_ENABLE_CLIENT_MESSAGES", NULL, APP("client_events", 1), PLAIN},
    {"SOCKUDO_DEFAULT_APP_ENABLE_USER_AUTHENTICATION", NULL, APP("user_authentication", 1), PLAIN},
    {"SOCKUDO_DEFAULT_APP_ENABLE_WATCHLIST_EVENTS", NULL, APP("watchlist_events", 1), PLAIN},
    {"SOCKUDO_DEFAULT_APP_MAX_CONNECTIONS", NULL, APP("max_connections", 1), PLAIN},
    {"SOCKUDO_DEFAULT_APP_MAX_BACKEND_EVENTS_PER_SECOND", NULL, APP("max_backend_events_per_s", 1), PLAIN},
    {"SOCKUDO_DEFAULT_APP_MAX_CLIENT_EVENTS_PER_SECOND", NULL, APP("max_client_events_per_s", 1), PLAIN},
    {"SOCKUDO_DEFAULT_APP_MAX_READ_REQUESTS_PER_SECOND", NULL, APP("max_read_requests_per_s", 1), PLAIN},
    {"SOCKUDO_DEFAULT_APP_MAX_PRESENCE_MEMBERS_PER_CHANNEL", NULL, APP("max_presence_members", 1), PLAIN},
    {"SOCKUDO_DEFAULT_APP_MAX_PRESENCE_MEMBER_SIZE_IN_KB", NULL, APP("max_user_info_bytes", KIB), PLAIN},
    {"SOCKUDO_DEFAULT_APP_MAX_CHANNEL_NAME_LENGTH", NULL, APP("max_channel_name_bytes", 1), PLAIN},
    {"SOCKUDO_DEFAULT_APP_MAX_EVENT_CHANNELS_AT_ONCE", NULL, APP("max_event_channels", 1), PLAIN},
    {"SOCKUDO_DEFAULT_APP_MAX_EVENT_NAME_LENGTH", NULL, APP("max_event_name_bytes", 1), PLAIN},
    {"SOCKUDO_DEFAULT_APP_MAX_EVENT_PAYLOAD_IN_KB", NULL, APP("max_event_payload_bytes", KIB), PLAIN},
    {"SOCKUDO_DEFAULT_APP_MAX_EVENT_BATCH_SIZE", NULL, APP("max_batch_events", 1), PLAIN},
};

#define ONE_PROCESS "pusherc is one process"
#define ONLY_REDIS  "servers are linked over Redis, by --redis, or redis in the config file"

const struct cli_ignored_name cli_ignored_names[] = {
    {"SOKETI_MODE", "mode", "full", CLI_ALWAYS, NULL},
    {"SOKETI_METRICS_DRIVER", "metrics.driver", "prometheus", CLI_ALWAYS, NULL},
    {"SOKETI_APP_MANAGER_DRIVER", "appManager.driver", "array", CLI_ALWAYS, "apps are in the config file"},
    {"SOKETI_APP_MANAGER_CACHE_ENABLED", "appManager.cache.enabled", "false", CLI_ALWAYS, NULL},
    {"SOKETI_APP_MANAGER_CACHE_TTL", "appManager.cache.ttl", "-1", CLI_ALWAYS, NULL},
    {"SOKETI_APP_MANAGER_*", "appManager.*", NULL, CLI_ALWAYS, NULL},
    {"SOKETI_SSL_CA", "ssl.caPath", NULL, CLI_ALWAYS, "the chain belongs into the certificate's file"},
    {"SOKETI_ADAPTER_DRIVER", "adapter.driver", "local", CLI_ALWAYS, ONLY_REDIS},
    {"SOKETI_ADAPTER_*", "adapter.*", NULL, CLI_ALWAYS, NULL},
    {"SOKETI_CLUSTER_*", "cluster.*", NULL, CLI_ALWAYS, NULL},
    {"SOKETI_DB_POOLING_ENABLED", "databasePooling.enabled", "false", CLI_ALWAYS, NULL},
    {"SOKETI_DB_*", "databasePooling.*", NULL, CLI_ALWAYS, NULL},
    {NULL, "database.*", NULL, CLI_ALWAYS, NULL},
    {"SOKETI_CACHE_DRIVER", "cache.driver", "memory", CLI_ALWAYS, ONE_PROCESS},
    {"SOKETI_CACHE_*", "cache.*", NULL, CLI_ALWAYS, NULL},
    {"SOKETI_QUEUE_DRIVER", "queue.driver", "sync", CLI_ALWAYS, ONE_PROCESS},
    {"SOKETI_QUEUE_*", "queue.*", NULL, CLI_ALWAYS, NULL},
    {"SOKETI_RATE_LIMITER_DRIVER", "rateLimiter.driver", "local", CLI_ALWAYS, ONE_PROCESS},
    {"SOKETI_RATE_LIMITER_*", "rateLimiter.*", NULL, CLI_ALWAYS, NULL},
    {NULL, "cors.*", NULL, CLI_ALWAYS, NULL},
    {NULL, "instance.*", NULL, CLI_ALWAYS, NULL},

    {"REVERB_SERVER", NULL, "reverb", CLI_ALWAYS, NULL},
    {"REVERB_APP_RATE_LIMITING_ENABLED", NULL, "false", CLI_ALWAYS, "client events have a limit of their own, max_client_events_per_s"},
    {"REVERB_APP_RATE_LIMIT_TERMINATE", NULL, "false", CLI_ALWAYS, NULL},
    {"REVERB_APP_RATE_LIMIT_*", NULL, NULL, CLI_ALWAYS, NULL},
    {"REVERB_SCALING_ENABLED", NULL, "false", CLI_ALWAYS, NULL},
    {"REVERB_SCALING_*", NULL, NULL, CLI_ALWAYS, NULL},
    {"REVERB_PULSE_INGEST_INTERVAL", NULL, NULL, CLI_ALWAYS, NULL},
    {"REVERB_TELESCOPE_INGEST_INTERVAL", NULL, NULL, CLI_ALWAYS, NULL},
    /* in the .env of every Laravel application, mostly for other purposes */
    {"REDIS_*", NULL, NULL, CLI_WITH_SCALING, NULL},

    {"ADAPTER_DRIVER", NULL, "local", CLI_WITH_SOCKUDO, ONLY_REDIS},
    {"CACHE_DRIVER", NULL, "memory", CLI_WITH_SOCKUDO, ONE_PROCESS},
    {"QUEUE_DRIVER", NULL, "memory", CLI_WITH_SOCKUDO, ONE_PROCESS},
    {"APP_MANAGER_DRIVER", NULL, "memory", CLI_WITH_SOCKUDO, "apps are in the config file"},
    {"RATE_LIMITER_DRIVER", NULL, "memory", CLI_WITH_SOCKUDO, ONE_PROCESS},
    {"DATABASE_*", NULL, NULL, CLI_WITH_SOCKUDO, NULL},
};
/* clang-format on */
const size_t cli_name_count = sizeof cli_names / sizeof cli_names[0];
const size_t cli_ignored_name_count = sizeof cli_ignored_names / sizeof cli_ignored_names[0];

const struct cli_name *cli_name_of_key(const char *key)
{
    char wanted[CLI_PLAIN_NAME_SIZE], known[CLI_PLAIN_NAME_SIZE];

    cli_plain_name(wanted, key);
    for (size_t i = 0; i < cli_name_count; i++) {
        if (!cli_names[i].key)
            continue;
        cli_plain_name(known, cli_names[i].key);
        if (strcmp(wanted, known) == 0)
            return &cli_names[i];
    }
    return NULL;
}

/* Sets the first number (0 = the default) to the second if that is smaller. */
static void lower(uint32_t *target, uint32_t number)
{
    if (*target == 0 || number < *target)
        *target = number;
}

static int take_for_app(const struct cli_name *name, pusherc_app_options *options,
                        const char *source, const char *text, struct cli_error *error)
{
    const struct cli_setting *setting = cli_app_setting(name->setting);
    pusherc_app_options other = *options;

    if (cli_setting_set(&other, setting, source, name->unit, text, error))
        return -1;
    if (name->how == CLI_LOWERS) {
        uint32_t *target = (uint32_t *)(void *)((char *)options + setting->offset);
        lower(target, *(uint32_t *)(void *)((char *)&other + setting->offset));
    } else if (name->how == CLI_RAISES) {
        uint32_t *target = (uint32_t *)(void *)((char *)options + setting->offset);
        uint32_t wanted = *(uint32_t *)(void *)((char *)&other + setting->offset);
        if (wanted > (*target ? *target : setting->fallback))
            *target = wanted;
    } else {
        *options = other;
    }
    return 0;
}

int cli_name_take(const struct cli_name *name, struct cli_settings *settings, struct cli_apps *apps,
                  struct cli_app *app, const char *source, const char *text,
                  struct cli_error *error)
{
    struct cli_settings ignored;
    int status;

    if (name->translate) {
        const char *value = name->translate(text);
        if (!value)
            return cli_fail(error, "%s must be true or false, not \"%.100s\"", source, text);
        if (!*value)
            return 0;
        text = value;
    }
    if (name->whose == CLI_OF_APP)
        return take_for_app(name, &app->options, source, text, error);
    if (name->whose == CLI_OF_EVERY_APP)
        return take_for_app(name, &apps->common, source, text, error);
    cli_settings_init(&ignored);
    status = cli_setting_set(settings ? settings : &ignored, cli_server_setting(name->setting),
                             source, name->unit, text, error);
    cli_settings_free(&ignored);
    return status;
}

const struct cli_ignored_name *cli_ignored_environment(const char *name)
{
    for (size_t i = 0; i < cli_ignored_name_count; i++) {
        const char *pattern = cli_ignored_names[i].environment;
        if (pattern && fnmatch(pattern, name, 0) == 0)
            return &cli_ignored_names[i];
    }
    return NULL;
}

const struct cli_ignored_name *cli_ignored_key(const char *key)
{
    char wanted[CLI_PLAIN_NAME_SIZE], known[CLI_PLAIN_NAME_SIZE];

    cli_plain_name(wanted, key);
    for (size_t i = 0; i < cli_ignored_name_count; i++) {
        if (!cli_ignored_names[i].key)
            continue;
        cli_plain_name(known, cli_ignored_names[i].key);
        if (fnmatch(known, wanted, 0) == 0)
            return &cli_ignored_names[i];
    }
    return NULL;
}

bool cli_ignored_asks(const struct cli_ignored_name *ignored, const char *value)
{
    return *value && (!ignored->harmless || strcmp(value, ignored->harmless) != 0);
}

void cli_ignored_warn(FILE *file, const struct cli_ignored_name *ignored, const char *source)
{
    char shown[CLI_PLAIN_NAME_SIZE];

    (void)snprintf(shown, sizeof shown, "%s", source);
    cli_make_plain(shown);
    (void)fprintf(file, "pusherc: warning: %s is set, but not supported%s%s\n", shown,
                  ignored->instead ? ": " : "", ignored->instead ? ignored->instead : "");
}
