#include "command.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_TIMEOUT_MS 5000
#define MAX_TIMEOUT_MS     600000

const struct cli_command *const cli_commands[] = {
    &cli_serve_command,   &cli_publish_command,  &cli_trigger_command,    &cli_doctor_command,
    &cli_listen_command,  &cli_channels_command, &cli_members_command,    &cli_sign_command,
    &cli_explain_command, &cli_bench_command,    &cli_completion_command, NULL,
};

static void print_help(const struct cli_command *command)
{
    printf("usage: pusherc %s [OPTION]...%s%s\n\n%s\n\n", command->name, *command->words ? " " : "",
           command->words, command->about);
    for (size_t i = 0; i < command->option_count; i++) {
        cli_option_print(stdout, &command->options[i]);
        printf("\n");
    }
}

int cli_command_read(struct cli_given *given, const struct cli_command *command, char **arguments,
                     struct cli_error *error)
{
    struct cli_option_reader reader = {.options = command->options,
                                       .option_count = command->option_count,
                                       .arguments = arguments,
                                       .words = given->words,
                                       .word_max = CLI_COMMAND_MAX_WORDS};
    const char *value;
    size_t index;
    int status;

    *given = (struct cli_given){.command = command};
    while ((status = cli_options_next(&reader, &index, &value, error)) > 0)
        given->values[index] = value ? value : "";
    given->word_count = reader.word_count;
    if (status < 0)
        return -1;
    if (!cli_option_of(given, "help"))
        return 1;
    print_help(command);
    return 0;
}

const char *cli_option_of(const struct cli_given *given, const char *name)
{
    size_t i = 0;

    while (strcmp(given->command->options[i].name, name) != 0)
        i++;
    return given->values[i];
}

int cli_number_of(const struct cli_given *given, const char *name, uint64_t min, uint64_t max,
                  uint64_t fallback, uint64_t *out, struct cli_error *error)
{
    const char *text = cli_option_of(given, name);

    *out = fallback;
    if (!text || (cli_parse_number(text, out) && *out >= min && *out <= max))
        return 0;
    return cli_fail(error, "--%s must be a number from %llu to %llu, not \"%.100s\"", name,
                    (unsigned long long)min, (unsigned long long)max, text);
}

const char *cli_word_of(const struct cli_given *given, size_t index, char **input)
{
    const char *text = index < given->word_count ? given->words[index] : "";

    if (strcmp(text, "-") != 0)
        return text;
    free(*input);
    *input = calloc(1, CLI_MAX_INPUT + 2);
    size_t len = *input ? fread(*input, 1, CLI_MAX_INPUT + 1, stdin) : 0;
    return *input && len <= CLI_MAX_INPUT ? *input : NULL;
}

int cli_link_of(const struct cli_given *given, const char *url, struct cli_link *link,
                struct cli_error *error)
{
    uint64_t timeout_ms;

    link->tls = NULL;
    if (cli_number_of(given, "timeout-ms", 1, MAX_TIMEOUT_MS, DEFAULT_TIMEOUT_MS, &timeout_ms,
                      error) ||
        cli_target_find(&link->target, url, cli_option_of(given, "app"), error))
        return -1;
    const char *ws = cli_option_of(given, "ws");
    if (ws && cli_target_set_ws(&link->target, ws, error))
        return -1;
    link->timeout_us = (int64_t)timeout_ms * 1000;
    return cli_link_open(link, cli_option_of(given, "ca-file"), false,
                         cli_option_of(given, "address"), error);
}

int cli_complain(int status, const struct cli_error *error)
{
    (void)fprintf(stderr, "pusherc: %s\n", error->text);
    return status;
}

bool cli_has_colours(FILE *file)
{
    const char *none = getenv("NO_COLOR"), *terminal = getenv("TERM");

    return isatty(fileno(file)) && !(none && *none) && !(terminal && strcmp(terminal, "dumb") == 0);
}
