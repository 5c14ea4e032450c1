/*
 * Reading the options of one subcommand against a table of what there is. Not getopt_long(): it
 * prints its own sentences, takes abbreviations, and cannot name the option that was meant.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdio.h>

#include "text.h"

struct cli_option {
    const char *name;     /* without "--" */
    const char *argument; /* its name in --help; NULL = the option takes none */
    const char *help;     /* NULL = the caller has more to say */
};

struct cli_option_reader {
    const struct cli_option *options;
    size_t option_count;
    char **arguments; /* NULL-terminated; what is still to be read */
};

/*
 * Take the next option: "--name", "--name value" or "--name=value". "-h" is "--help".
 * Returns 1 with *index (in the table) and *value (NULL for an option without argument, else
 * borrowed from the arguments), 0 at the end, -1 with `error`.
 */
int cli_options_next(struct cli_option_reader *reader, size_t *index, const char **value,
                     struct cli_error *error);

/* What --help says, without the end of the line. */
void cli_option_print(FILE *file, const struct cli_option *option);

#endif
