/*
 * What soketi, Laravel Reverb, Laravel and sockudo call a setting, in the environment and in soketi's config file,
 * and what they know that has no counterpart here. Names of credentials are in environment.c.
 */
#ifndef CLI_NAMES_H
#define CLI_NAMES_H

#include "apps.h"
#include "settings.h"

enum cli_whose {
    CLI_OF_SERVER,
    CLI_OF_APP,       /* the one app that the environment speaks of */
    CLI_OF_EVERY_APP, /* each that has no value of its own */
};

/* When a name counts. */
enum cli_when {
    CLI_ALWAYS,
    CLI_WITH_SOCKUDO, /* a word that anybody may use: only beside a name that begins with SOCKUDO_ */
    CLI_WITH_SOCKUDO_TLS, /* the same, and only if SSL_ENABLED is true */
    CLI_WITH_SCALING      /* only if REVERB_SCALING_ENABLED is true */
};

enum cli_how {
    CLI_SETS,
    CLI_LOWERS, /* counts only if it makes the value smaller */
    CLI_RAISES  /* counts only if it makes the value larger than it is, or than the default */
};

struct cli_name {
    const char *environment; /* NULL = none */
    const char *key;         /* in soketi's config file; NULL = none */
    enum cli_whose whose;
    const char *setting; /* ours */
    uint32_t unit;       /* what 1 is there, in our unit */
    enum cli_when when;
    enum cli_how how;
    /* Our word for theirs, "" for one that asks for nothing, NULL if it is none; NULL = the same. */
    const char *(*translate)(const char *text);
};

/* If several names are set, the first one counts. */
extern const struct cli_name cli_names[];
extern const size_t cli_name_count;

/* What no counterpart here has. */
struct cli_ignored_name {
    const char *environment; /* pattern of fnmatch(), or NULL */
    const char *key;         /* the same */
    const char *harmless;    /* the value that asks for nothing, or NULL */
    enum cli_when when;
    const char *instead; /* end of the warning, or NULL */
};

/* The first that matches counts. */
extern const struct cli_ignored_name cli_ignored_names[];
extern const size_t cli_ignored_name_count;

/* By the key in the config file, however its words are joined; NULL if there is none. */
const struct cli_name *cli_name_of_key(const char *key);

/*
 * Give the setting the value that it has there.
 *
 * settings  NULL: the value is checked, but not taken
 * app       the environment's; NULL where CLI_OF_APP cannot occur
 * source    whose value it is, for `error`
 *
 * Returns 0, or -1 with `error`.
 */
int cli_name_take(const struct cli_name *name, struct cli_settings *settings, struct cli_apps *apps,
                  struct cli_app *app, const char *source, const char *text,
                  struct cli_error *error);

/* The entry for a name of the environment, or for a key of the config file; NULL if there is none. */
const struct cli_ignored_name *cli_ignored_environment(const char *name);
const struct cli_ignored_name *cli_ignored_key(const char *key);
/* Does that value ask for anything? */
bool cli_ignored_asks(const struct cli_ignored_name *ignored, const char *value);
/* One line for a name that has no effect. */
void cli_ignored_warn(FILE *file, const struct cli_ignored_name *ignored, const char *source);

#endif
