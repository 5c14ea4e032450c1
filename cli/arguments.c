#include "arguments.h"

#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "environment.h"
#include "options.h"
#include "webhooks.h"

/* clang-format off */
/* An option without a text gets the meaning of the setting with that name. */
const struct cli_option cli_serve_options[] = {
    {"config", "FILE", "settings and apps, in JSON"},
    {"host", "H", NULL},
    {"port", "N", NULL},
    {"unix-socket", "PATH", NULL},
    {"unix-socket-mode", "MODE", NULL},
    {"path-prefix", "PATH", NULL},
    {"app", "ID:KEY:SECRET", "an app; may be repeated (default app-id:app-key:app-secret)"},
    {"client-events", NULL, "client_events of every app"},
    {"user-authentication", NULL, "user_authentication of every app"},
    {"subscription-count", NULL, "subscription_count_events of every app"},
    {"webhook", "URL", "an endpoint that is told everything, of every app; may be repeated"},
    {"forward", "URL", NULL},
    {"workers", "N", NULL},
    {"max-connections", "N", NULL},
    {"tls-cert", "FILE", NULL},
    {"tls-key", "FILE", NULL},
    {"redis", "URL", "link servers over Redis: redis://[user:password@]host[:port][/db]"},
    {"redis-prefix", "TEXT", NULL},
    {"laravel-redis", "URL", "publish what Laravel writes in that Redis (?prefix=TEXT: its prefix)"},
    {"metrics", "on|off", NULL},
    {"metrics-host", "H", NULL},
    {"metrics-port", "N", NULL},
    {"metrics-prefix", "TEXT", NULL},
    {"grace-ms", "N", NULL},
    {"log-level", "LEVEL", NULL},
    {"log-format", "FORMAT", NULL},
    {"check", NULL, "print what would be used, and exit"},
    {"help", NULL, "print the options, and exit"},
};
/* clang-format on */
_Static_assert(sizeof cli_serve_options == CLI_SERVE_OPTION_COUNT * sizeof cli_serve_options[0],
               "the header says how many");

static size_t index_of(const char *name)
{
    size_t i = 0;
    while (strcmp(cli_serve_options[i].name, name) != 0)
        i++;
    return i;
}

const char *cli_given(const struct cli_arguments *arguments, const char *name)
{
    return arguments->values[index_of(name)];
}

int cli_arguments_read(struct cli_arguments *arguments, char **words, struct cli_error *error)
{
    struct cli_option_reader reader = {
        .options = cli_serve_options, .option_count = CLI_SERVE_OPTION_COUNT, .arguments = words};
    size_t word_count = 0, index, app = index_of("app"), webhook = index_of("webhook");
    const char *value;
    int status;

    *arguments = (struct cli_arguments){0};
    while (words[word_count])
        word_count++;
    arguments->apps = calloc(word_count + 1, sizeof *arguments->apps);
    arguments->webhooks = calloc(word_count + 1, sizeof *arguments->webhooks);
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

/* The setting that an option names: "log-level" is "log_level". NULL: the option names no setting. */
static const struct cli_setting *setting_of(const char *option_name)
{
    char name[32];

    (void)snprintf(name, sizeof name, "%s", option_name);
    for (char *at = name; (at = strchr(at, '-')) != NULL;)
        *at = '_';
    return cli_server_setting(name);
}

const char *cli_option_help(const struct cli_option *option)
{
    return option->help ? option->help : setting_of(option->name)->meaning;
}

/* Writes a default for --help: "127.0.0.1" without quotes, -1 as a word, null not at all. */
static void print_default(FILE *file, const struct cli_setting *setting,
                          const struct cli_settings *defaults)
{
    char *text = NULL;
    size_t len = 0;
    FILE *memory = open_memstream(&text, &len);

    if (!memory)
        return;
    cli_setting_print(memory, defaults, setting);
    if (fclose(memory) == 0 && strcmp(text, "null") != 0) {
        size_t quote = text[0] == '"';
        if (setting->kind == CLI_SETTING_LIMIT && strcmp(text, "-1") == 0)
            (void)fputs(" (default no limit)", file);
        else
            (void)fprintf(file, " (default %.*s)", (int)(len - 2 * quote), text + quote);
    }
    free(text);
}

/* Writes a text without the `...` around names. */
static void print_meaning(FILE *file, const struct cli_setting *setting)
{
    for (const char *at = setting->meaning; *at; at++) {
        if (*at != '`')
            (void)fputc(*at, file);
    }
}

void cli_arguments_print(FILE *file)
{
    struct cli_settings defaults;
    struct cli_error error;

    cli_settings_init(&defaults);
    if (cli_settings_complete(&defaults, &error))
        (void)fprintf(file, "  (%s)\n", error.text);
    for (size_t i = 0; i < CLI_SERVE_OPTION_COUNT; i++) {
        cli_option_print(file, &cli_serve_options[i]);
        if (!cli_serve_options[i].help) {
            const struct cli_setting *setting = setting_of(cli_serve_options[i].name);
            print_meaning(file, setting);
            print_default(file, setting, &defaults);
        }
        (void)fputc('\n', file);
    }
    cli_settings_free(&defaults);
}

/* Applies the options that concern apps. */
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
    if (cli_apps_check_secrets(apps, error))
        return -1;
    if (apps->count == 0 && !cli_apps_get(apps, CLI_DEFAULT_APP_ID))
        return cli_fail_no_memory(error);
    if (cli_environment_limits(apps, error))
        return -1;
    cli_apps_share(apps);
    return touch_apps(arguments, apps, error);
}

static int gather_settings(const struct cli_arguments *arguments, struct cli_settings *settings,
                           struct cli_error *error)
{
    if (cli_environment_settings(settings, error))
        return -1;
    for (size_t i = 0; i < CLI_SERVE_OPTION_COUNT; i++) {
        const struct cli_setting *setting = setting_of(cli_serve_options[i].name);
        char source[34];

        if (!setting || !arguments->values[i])
            continue;
        (void)snprintf(source, sizeof source, "--%s", cli_serve_options[i].name);
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
