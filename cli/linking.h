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

#endif
