#include "arguments.h"

#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "environment.h"
#include "options.h"
#include "webhooks.h"

/* clang-format off */
static const struct cli_option options[] = {
    {"config", "FILE", "settings and apps, in JSON"},
    {"host", "H", "address to listen on (default 127.0.0.1)"},
    {"port", "N", "port to listen on (default 6001); 0: the system picks one"},
    {"path-prefix", "PATH", "serve below this path"},
    {"app", "ID:KEY:SECRET", "an app; may be repeated (default app-id:app-key:app-secret)"},
    {"client-events", NULL, "allow client events in all apps"},
    {"user-authentication", NULL, "close who has neither signed in nor got a private channel in time"},
    {"subscription-count", NULL, "tell subscribers how many they are"},
    {"webhook", "URL", "tell this endpoint what happens in all apps; may be repeated"},
    {"workers", "N", "threads, 1 to 64, or \"auto\": one for each processor (default 1)"},
    {"max-connections", "N", "sockets of all apps (default no limit)"},
    {"tls-cert", "FILE", "certificate chain, PEM; serves TLS only"},
    {"tls-key", "FILE", "private key, PEM"},
    {"metrics", "on|off", "serve metrics (default on)"},
    {"metrics-host", "H", "address to serve metrics on (default 127.0.0.1)"},
    {"metrics-port", "N", "port to serve metrics on (default 9601); 0: the system picks one"},
    {"metrics-prefix", "TEXT", "begins the names of metrics (default pusherc_)"},
    {"grace-ms", "N", "how long a stop may take (default 3000)"},
    {"log-level", "LEVEL", "off, error, warn, info, debug or trace (default info)"},
    {"check", NULL, "read everything, print what would be used, and exit"},
    {"help", NULL, "print this and exit"},
};
/* clang-format on */
#define OPTION_COUNT (sizeof(options) / sizeof(options[0]))
_Static_assert(OPTION_COUNT <= CLI_MAX_OPTIONS, "there is a value for each option");

static size_t index_of(const char *name)
{
    size_t i = 0;
    while (strcmp(options[i].name, name) != 0)
        i++;
    return i;
}

const char *cli_given(const struct cli_arguments *arguments, const char *name)
{
    return arguments->values[index_of(name)];
}

int cli_arguments_read(struct cli_arguments *arguments, char **words, struct cli_error *error)
{
    struct cli_option_reader reader = {options, OPTION_COUNT, words};
    size_t word_count = 0, index, app = index_of("app"), webhook = index_of("webhook");
    const char *value;
    int status;

    *arguments = (struct cli_arguments){0};
    while (words[word_count])
        word_count++;
    arguments->apps = calloc(word_count + 1, sizeof(*arguments->apps));
    arguments->webhooks = calloc(word_count + 1, sizeof(*arguments->webhooks));
    if (!arguments->apps || !arguments->webhooks)
        return cli_fail_no_memory(error);
    while ((status = cli_options_next(&reader, &index, &value, error)) > 0) {
        if (index == app)
            arguments->apps[arguments->app_count++] = value;
        if (index == webhook)
            arguments->webhooks[arguments->webhook_count++] = value;
        arguments->values[index] = value ? value : "";
    }
    return status;
}

void cli_arguments_free(struct cli_arguments *arguments)
{
    free(arguments->apps);
    free(arguments->webhooks);
}

void cli_arguments_print(FILE *file)
{
    cli_options_print(file, options, OPTION_COUNT);
}

/* What options say about every app. */
static int touch_apps(const struct cli_arguments *arguments, struct cli_apps *apps,
                      struct cli_error *error)
{
    for (size_t i = 0; i < apps->count; i++) {
        pusherc_app_options *app = &apps->items[i].options;

        app->client_events |= cli_given(arguments, "client-events") != NULL;
        app->user_authentication |= cli_given(arguments, "user-authentication") != NULL;
        app->subscription_count_events |= cli_given(arguments, "subscription-count") != NULL;
        for (size_t j = 0; j < arguments->webhook_count; j++) {
            if (cli_webhooks_add(&apps->items[i], arguments->webhooks[j], error))
                return -1;
        }
    }
    return 0;
}

/* Later sources win, except that the apps' parts interlock: see cli_environment_credentials(). */
static int gather_apps(const struct cli_arguments *arguments, struct cli_apps *apps,
                       struct cli_error *error)
{
    if (cli_environment_credentials(apps, error))
        return -1;
    for (size_t i = 0; i < arguments->app_count; i++) {
        if (cli_apps_put_text(apps, arguments->apps[i], error))
            return -1;
    }
    if (apps->count == 0 && !cli_apps_get(apps, CLI_DEFAULT_APP_ID))
        return cli_fail_no_memory(error);
    if (cli_environment_limits(apps, error))
        return -1;
    cli_apps_share(apps);
    return touch_apps(arguments, apps, error);
}

/* The setting that an option names: "log-level" is "log_level". NULL: it is none. */
static const struct cli_setting *setting_of(const char *option_name)
{
    char name[32];

    (void)snprintf(name, sizeof(name), "%s", option_name);
    for (char *at = name; (at = strchr(at, '-')) != NULL;)
        *at = '_';
    return cli_server_setting(name);
}

static int gather_settings(const struct cli_arguments *arguments, struct cli_settings *settings,
                           struct cli_error *error)
{
    if (cli_environment_settings(settings, error))
        return -1;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct cli_setting *setting = setting_of(options[i].name);
        char source[34];

        if (!setting || !arguments->values[i])
            continue;
        (void)snprintf(source, sizeof(source), "--%s", options[i].name);
        if (cli_setting_set(settings, setting, source, 1, arguments->values[i], error))
            return -1;
    }
    return cli_settings_complete(settings, error);
}

int cli_gather(const struct cli_arguments *arguments, struct cli_settings *settings,
               struct cli_apps *apps, FILE *warnings, struct cli_error *error)
{
    const char *file = cli_given(arguments, "config");

    if (file && cli_config_read(file, settings, apps, warnings, error))
        return -1;
    if (settings && gather_settings(arguments, settings, error))
        return -1;
    return gather_apps(arguments, apps, error);
}
