/*
 * The command line of `pusherc serve`, and the settings that result from it, the environment and the config file.
 */
#ifndef CLI_ARGUMENTS_H
#define CLI_ARGUMENTS_H

#include "apps.h"
#include "options.h"
#include "settings.h"

/* The options; without a text: that of the setting with the name. */
#define CLI_SERVE_OPTION_COUNT 28
extern const struct cli_option cli_serve_options[CLI_SERVE_OPTION_COUNT];

/* The text of an option of any command: its own, or the meaning of the setting, in which `...` marks names. */
const char *cli_option_help(const struct cli_option *option);

/* Borrows the words it was read from. */
struct cli_arguments {
    const char *values
        [CLI_SERVE_OPTION_COUNT];  /* of each option; "" if it has no argument, NULL if not given */
    const char **apps, **webhooks; /* owned arrays: the values of options that may be repeated */
    size_t app_count, webhook_count;
};

/* Read the NULL-terminated words. Returns 0, or -1 with `error`. Free `arguments` in either case. */
int cli_arguments_read(struct cli_arguments *arguments, char **words, struct cli_error *error);
void cli_arguments_free(struct cli_arguments *arguments);

/* The value of an option, as in `values`. */
const char *cli_given(const struct cli_arguments *arguments, const char *name);

/* Print the options, for --help. */
void cli_arguments_print(FILE *file);

/*
 * Gather the settings and apps of the server: from the config file, then the environment, then the options.
 *
 * settings  NULL: gathers only the apps, for a reload; the file's settings are checked but not taken
 * apps      empty
 * warnings  as for cli_config_read()
 *
 * Returns 0, or -1 with `error`.
 */
int cli_gather(const struct cli_arguments *arguments, struct cli_settings *settings,
               struct cli_apps *apps, FILE *warnings, struct cli_error *error);

#endif
