/*
 * The subcommands: one row each, from which --help, the completion of shells and the check of the manual pages are made.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "client.h"
#include "options.h"

#define CLI_EXIT_CANNOT 1 /* it was tried, and failed */
#define CLI_EXIT_WRONG  2 /* wrong words */

struct cli_command {
    const char *name;
    const char *help;  /* one line, in the list of commands */
    const char *words; /* what stands behind the options, for the usage */
    const char *about; /* below the usage */
    const struct cli_option *options;
    size_t option_count;
    int (*run)(char **arguments); /* those behind the name; returns the exit status */
};

extern const struct cli_command cli_serve_command, cli_publish_command, cli_trigger_command,
    cli_doctor_command, cli_listen_command, cli_channels_command, cli_members_command,
    cli_sign_command, cli_explain_command, cli_bench_command, cli_completion_command;

/* All of them, in the order of the help; NULL at the end. */
extern const struct cli_command *const cli_commands[];

/* -- what the commands that are clients share -- */

/* clang-format off */
/* Options of each command that connects to a server. */
#define CLI_LINK_OPTIONS                                                                           \
    {"app", "ID:KEY:SECRET", "the app; by default that of the URL or the environment"},            \
    {"ws", "URL", "where the WebSocket is, if not at the address of the API"},                     \
    {"address", "HOST:PORT", "connect to this address in place of the URL's"},                     \
    {"ca-file", "FILE", "PEM file of the authorities to trust; by default the system's"},          \
    {"timeout-ms", "N", "how long one step may take; the default is 5000"}
/* clang-format on */

#define CLI_COMMAND_MAX_WORDS   8
#define CLI_COMMAND_MAX_OPTIONS 32

struct cli_given {
    const struct cli_command *command;
    const char
        *values[CLI_COMMAND_MAX_OPTIONS]; /* "" for those without argument; NULL = not given */
    const char *words[CLI_COMMAND_MAX_WORDS];
    size_t word_count;
};

/* Read the arguments of a command. Returns 1 to go on; 0 after --help, which was printed; -1 with `error`. */
int cli_command_read(struct cli_given *given, const struct cli_command *command, char **arguments,
                     struct cli_error *error);
/* The value of an option, which the command must have. */
const char *cli_option_of(const struct cli_given *given, const char *name);
/* Read a number of an option; `fallback` if it was not given. Returns 0, or -1 with `error`. */
int cli_number_of(const struct cli_given *given, const char *name, uint64_t min, uint64_t max,
                  uint64_t fallback, uint64_t *out, struct cli_error *error);
/* A word, "" if there are not so many, or what standard input has in place of "-"; that is kept in *input, which the
 * caller frees. NULL: it is longer than CLI_MAX_INPUT, or out of memory. */
#define CLI_MAX_INPUT (1024 * 1024)
const char *cli_word_of(const struct cli_given *given, size_t index, char **input);
/* Find and look up the server by CLI_LINK_OPTIONS and `url`, NULL = by the environment. Returns 0, or -1 with `error`.
 * Free the link in either case. */
int cli_link_of(const struct cli_given *given, const char *url, struct cli_link *link,
                struct cli_error *error);

/* Write "pusherc: ..." to standard error, and return `status`. */
int cli_complain(int status, const struct cli_error *error);

/* May colours be written to this file? Only to a terminal, and not if NO_COLOR is set. */
bool cli_has_colours(FILE *file);

#endif
