/*
 * Reads an .env file as Laravel and Vite do: NAME=value, quotes, comments, ${NAME}. Keeps how a value was written, for
 * `pusherc doctor`.
 */
#ifndef CLI_DOTENV_H
#define CLI_DOTENV_H

#include "text.h"

#define CLI_DOTENV_MAX 512 /* lines with a value */

struct cli_dotenv_entry {
    char *name, *value; /* owned */
    unsigned line;
    bool open_quote;  /* the value begins or ends with a quote that has no partner */
    bool inner_quote; /* ... or has quotes inside quotes: "'x'" */
    bool repeated;    /* a line before it sets the name to something else */
};

struct cli_dotenv {
    struct cli_dotenv_entry entries[CLI_DOTENV_MAX];
    unsigned count;
};

/* Read the file. Returns 0, or -1 with `error`. Free `env` in either case. */
int cli_dotenv_read(struct cli_dotenv *env, const char *path, struct cli_error *error);
void cli_dotenv_free(struct cli_dotenv *env);

/* The value that counts, which is that of the last line with the name; NULL = not set. `env` is a struct cli_dotenv;
 * the function is a pusherc_lookup_fn. */
const char *cli_dotenv_get(const char *name, void *env);

/* The same; NULL also for an empty value. */
const char *cli_dotenv_value(struct cli_dotenv *env, const char *name);

#endif
