/*
 * The Redis that links several servers, as soketi, Laravel Reverb and sockudo name it in the environment, and the one that
 * has the events of a Laravel application, as Laravel names it: one name that says that there is one, and names for the
 * parts of its address.
 */
#ifndef CLI_LINKING_H
#define CLI_LINKING_H

#include "settings.h"

/* Set `redis` and `redis_prefix`, `laravel_redis` and what belongs to it if the environment asks for it. `sockudo`: names of sockudo's that other programs use as
 * well count. Returns 0, or -1 with `error`. */
int cli_linking_settings(struct cli_settings *settings, bool sockudo, struct cli_error *error);

/* The setting that the name sets now; NULL: none. */
const char *cli_linking_setting(const char *name, bool sockudo);

/* The nth name that counts now; NULL: there are no more. */
const char *cli_linking_name(size_t nth, bool sockudo);

/* What soketi's config file says about it, key by key; zero = nothing. */
#define CLI_LINKING_PARTS 15
struct cli_linking_keys {
    char *values[CLI_LINKING_PARTS]; /* owned; as text, an array as JSON */
};
const char *cli_linking_key(size_t nth);      /* NULL: this part has none */
size_t cli_linking_find_key(const char *key); /* CLI_LINKING_PARTS: it is none of them */
/* True if the file asks for Redis; if not, its keys have no effect. */
bool cli_linking_keys_ask(const struct cli_linking_keys *keys);
/* Sets `redis` and `redis_prefix`. Returns 0, or -1 with `error`. */
int cli_linking_take_keys(const struct cli_linking_keys *keys, struct cli_settings *settings,
                          struct cli_error *error);
void cli_linking_keys_free(struct cli_linking_keys *keys);

#endif
