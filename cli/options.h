/*
 * Reads the options of one subcommand by a table. getopt_long() is not used, because it prints its messages itself,
 * accepts abbreviations, and cannot suggest the option that was probably meant.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdio.h>

#include "text.h"

struct cli_option {
    const char *name;     /* without "--" */
    const char *argument; /* its name in --help; NULL = the option takes none */
    const char *help;     /* NULL = the caller writes the text */
};

struct cli_option_reader {
    const struct cli_option *options;
    size_t option_count;
    char **arguments; /* NULL-terminated; the arguments not read yet */
    /* Room for word_max words that are no options; 0: such a word is an error. Words behind "--" are none either. */
    const char **words;
    size_t word_max, word_count;
};

/*
 * Take the next option: "--name", "--name value" or "--name=value". "-h" is "--help".
 * Returns 1 with *index (in the table) and *value (NULL for an option without argument, else
 * borrowed from the arguments), 0 at the end, -1 with `error`.
 */
int cli_options_next(struct cli_option_reader *reader, size_t *index, const char **value,
                     struct cli_error *error);

/* Print the line of --help, without its end. */
void cli_option_print(FILE *file, const struct cli_option *option);

#endif
