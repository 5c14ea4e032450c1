#include "environment.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

#define KIB      1024
#define MAX_SIZE (1024 * KIB)

/* How a value is written there and kept here. */
struct number {
    const char *name;
    size_t offset; /* of a uint32_t in pusherc_app_options */
    uint32_t unit; /* what 1 means */
    uint32_t max;  /* in that unit; 0 = any, and -1 stands for "no limit" */
};

#define AT(member) offsetof(pusherc_app_options, member)

static const struct number app_numbers[] = {
    {"REVERB_APP_MAX_CONNECTIONS", AT(max_connections), 1, 0},
    {"SOKETI_DEFAULT_APP_MAX_CONNS", AT(max_connections), 1, 0},
    {"SOKETI_DEFAULT_APP_MAX_BACKEND_EVENTS_PER_SEC", AT(max_backend_events_per_s), 1, 0},
    {"SOKETI_DEFAULT_APP_MAX_CLIENT_EVENTS_PER_SEC", AT(max_client_events_per_s), 1, 0},
    {"SOKETI_DEFAULT_APP_MAX_READ_REQ_PER_SEC", AT(max_read_requests_per_s), 1, 0},
    {"REVERB_APP_ACTIVITY_TIMEOUT", AT(activity_timeout_ms), 1000, 86400},
};

static const struct number limit_numbers[] = {
    {"SOKETI_CHANNEL_LIMITS_MAX_NAME_LENGTH", AT(max_channel_name_bytes), 1, 200},
    {"SOKETI_EVENT_MAX_BATCH_SIZE", AT(max_batch_events), 1, 10},
    {"SOKETI_EVENT_MAX_CHANNELS_AT_ONCE", AT(max_event_channels), 1, 100},
    {"SOKETI_EVENT_MAX_NAME_LENGTH", AT(max_event_name_bytes), 1, MAX_SIZE},
    {"SOKETI_EVENT_MAX_SIZE_IN_KB", AT(max_event_payload_bytes), KIB, MAX_SIZE / KIB},
    {"SOKETI_PRESENCE_MAX_MEMBERS", AT(max_presence_members), 1, MAX_SIZE},
    {"SOKETI_PRESENCE_MAX_MEMBER_SIZE", AT(max_user_info_bytes), KIB, MAX_SIZE / KIB},
};

/* Patterns of fnmatch(), and the value (if any) that asks for nothing. */
static const struct in_vain {
    const char *pattern;
    const char *harmless;
} in_vain[] = {
    {"SOKETI_MODE", "full"},
    {"SOKETI_USER_AUTHENTICATION_TIMEOUT", NULL},
    {"SOKETI_DEFAULT_APP_USER_AUTHENTICATION", "false"},
    {"SOKETI_DEFAULT_APP_WEBHOOKS", "[]"},
    {"SOKETI_APP_MANAGER_DRIVER", "array"},
    {"SOKETI_APP_MANAGER_CACHE_ENABLED", "false"},
    {"SOKETI_APP_MANAGER_*", NULL},
    {"SOKETI_CHANNEL_CACHE_TTL", NULL},
    {"SOKETI_HTTP_ACCEPT_TRAFFIC_MEMORY_THRESHOLD", NULL},
    {"SOKETI_METRICS_ENABLED", "false"},
    {"SOKETI_METRICS_*", NULL},
    {"SOKETI_SSL_CA", NULL},
    {"SOKETI_ADAPTER_DRIVER", "local"},
    {"SOKETI_ADAPTER_*", NULL},
    {"SOKETI_CLUSTER_*", NULL},
    {"SOKETI_DB_*", NULL},
    {"SOKETI_CACHE_DRIVER", "memory"},
    {"SOKETI_CACHE_*", NULL},
    {"SOKETI_QUEUE_DRIVER", "sync"},
    {"SOKETI_QUEUE_*", NULL},
    {"SOKETI_RATE_LIMITER_DRIVER", "local"},
    {"SOKETI_RATE_LIMITER_*", NULL},
    {"SOKETI_WEBHOOKS_BATCHING", "false"},
    {"SOKETI_WEBHOOKS_*", NULL},
    {"REVERB_SERVER", "reverb"},
    {"REVERB_APP_PING_INTERVAL", NULL},
    {"REVERB_APP_RATE_LIMITING_ENABLED", "false"},
    {"REVERB_APP_RATE_LIMIT_*", NULL},
    {"REVERB_SCALING_ENABLED", "false"},
    {"REVERB_SCALING_*", NULL},
    {"REVERB_PULSE_INGEST_INTERVAL", NULL},
    {"REVERB_TELESCOPE_INGEST_INTERVAL", NULL},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* NULL if unset; .env files often have NAME= for "not set", too. */
static const char *value_of(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

struct credentials {
    const char *id, *key, *secret; /* borrowed; NULL = not set */
};

static struct credentials read_credentials(void)
{
    static const char *const families[][3] = {
        {"SOKETI_DEFAULT_APP_ID", "SOKETI_DEFAULT_APP_KEY", "SOKETI_DEFAULT_APP_SECRET"},
        {"REVERB_APP_ID", "REVERB_APP_KEY", "REVERB_APP_SECRET"},
        {"PUSHER_APP_ID", "PUSHER_APP_KEY", "PUSHER_APP_SECRET"},
    };
    struct credentials found = {0};

    for (size_t i = 0; i < COUNT(families); i++) {
        found.id = value_of(families[i][0]);
        found.key = value_of(families[i][1]);
        found.secret = value_of(families[i][2]);
        if (found.id || found.key || found.secret)
            break;
    }
    return found;
}

int cli_environment_credentials(struct cli_apps *apps, struct cli_error *error)
{
    struct credentials found = read_credentials();
    struct cli_app *app;

    if (!found.id && !found.key && !found.secret)
        return 0;
    if (!found.id && apps->count > 0)
        app = &apps->items[0];
    else
        app = cli_apps_get(apps, found.id ? found.id : CLI_DEFAULT_APP_ID);
    if (!app || !cli_app_set_credentials(app, found.key, found.secret))
        return cli_fail_no_memory(error);
    return 0;
}

/* Returns 0 with *out untouched if the name is not set, or -1 with `error`. */
static int read_number(const struct number *number, uint32_t *out, struct cli_error *error)
{
    const char *text = value_of(number->name);
    uint32_t value = 0;

    if (!text)
        return 0;
    if (number->max == 0 && strcmp(text, "-1") == 0) {
        *out = PUSHERC_NO_LIMIT;
        return 0;
    }
    if (cli_parse_u32(text, &value) && value > 0 && (number->max == 0 || value <= number->max)) {
        *out = value * number->unit;
        return 0;
    }
    if (number->max == 0)
        return cli_fail(error, "%s must be a number from 1, or -1 for no limit, not \"%.100s\"",
                        number->name, text);
    return cli_fail(error, "%s must be a number from 1 to %u, not \"%.100s\"", number->name,
                    number->max, text);
}

/* As read_number(). */
static int read_switch(const char *name, bool *out, struct cli_error *error)
{
    const char *text = value_of(name);

    if (text && !cli_parse_switch(text, out))
        return cli_fail(error, "%s must be true or false, not \"%.100s\"", name, text);
    return 0;
}

static int read_app_switches(pusherc_app_options *options, struct cli_error *error)
{
    const char *senders = value_of("REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM");
    bool enabled = !options->disabled;

    /* Reverb's "all" lets in events of clients outside the channel; here they must be members. */
    if (senders)
        options->client_events = strcmp(senders, "members") == 0 || strcmp(senders, "all") == 0;
    if (read_switch("SOKETI_DEFAULT_APP_ENABLE_CLIENT_MESSAGES", &options->client_events, error) ||
        read_switch("SOKETI_DEFAULT_APP_ENABLED", &enabled, error))
        return -1;
    options->disabled = !enabled;
    return 0;
}

int cli_environment_limits(struct cli_apps *apps, struct cli_error *error)
{
    struct credentials found = read_credentials();
    struct cli_app *app = found.id ? cli_apps_find(apps, found.id) : &apps->items[0];

    if (!app)
        app = &apps->items[0];
    for (size_t i = 0; i < COUNT(app_numbers); i++) {
        char *target = (char *)&app->options + app_numbers[i].offset;
        if (read_number(&app_numbers[i], (uint32_t *)(void *)target, error))
            return -1;
    }
    if (read_app_switches(&app->options, error))
        return -1;

    for (size_t i = 0; i < COUNT(limit_numbers); i++) {
        uint32_t limit = 0;

        if (read_number(&limit_numbers[i], &limit, error))
            return -1;
        for (size_t j = 0; j < apps->count; j++) {
            char *bytes = (char *)&apps->items[j].options + limit_numbers[i].offset;
            uint32_t *own = (uint32_t *)(void *)bytes;
            if (*own == 0)
                *own = limit;
        }
    }
    return 0;
}

static bool is_in_vain(const char *name, const char *value)
{
    for (size_t i = 0; i < COUNT(in_vain); i++) {
        if (fnmatch(in_vain[i].pattern, name, 0) == 0)
            return *value && (!in_vain[i].harmless || strcmp(value, in_vain[i].harmless) != 0);
    }
    return false;
}

void cli_environment_warn(FILE *file)
{
    const char *senders = value_of("REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM");

    for (char **entry = environ; *entry; entry++) {
        char name[128];
        size_t len = strcspn(*entry, "=");

        if (len >= sizeof(name) || (*entry)[len] != '=')
            continue;
        memcpy(name, *entry, len);
        name[len] = '\0';
        if (is_in_vain(name, *entry + len + 1))
            (void)fprintf(file, "pusherc: warning: %s is set, but not supported\n", name);
    }
    if (senders && strcmp(senders, "all") == 0)
        (void)fprintf(file, "pusherc: warning: REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM=all is taken "
                            "as \"members\"\n");
}
