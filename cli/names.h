/*
 * The names of settings in soketi, Laravel Reverb, Laravel and sockudo: in the environment, and in soketi's config
 * file. A second table has the names without a counterpart here. environment.c has the names of credentials.
 */
#ifndef CLI_NAMES_H
#define CLI_NAMES_H

#include "apps.h"
#include "settings.h"

enum cli_whose {
    CLI_OF_SERVER,
    CLI_OF_APP,       /* the app of cli_environment_credentials() */
    CLI_OF_EVERY_APP, /* each app that does not set the value */
};

/* The condition under which a name counts. */
enum cli_when {
    CLI_ALWAYS,
    CLI_WITH_SOCKUDO, /* a general name: only if a name that begins with SOCKUDO_ is set as well */
    CLI_WITH_SOCKUDO_TLS,  /* the same, and only if SSL_ENABLED is true */
    CLI_WITH_SOCKUDO_UNIX, /* the same, and only if UNIX_SOCKET_ENABLED is true */
    CLI_WITH_SCALING       /* only if REVERB_SCALING_ENABLED is true */
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
    const char *setting; /* the name here */
    uint32_t unit;       /* 1 in their unit, in the setting's unit */
    enum cli_when when;
    enum cli_how how;
    /* Translates their value to the one here; "" = no change; NULL = an invalid value. NULL: the values are equal. */
    const char *(*translate)(const char *text);
};

/* If several names are set, the first one counts. */
extern const struct cli_name cli_names[];
extern const size_t cli_name_count;

/* A name without a counterpart here. */
struct cli_ignored_name {
    const char *environment; /* pattern of fnmatch(), or NULL */
    const char *key;         /* the same */
    const char *harmless;    /* the value that needs no warning, or NULL */
    enum cli_when when;
    const char *instead; /* end of the warning, or NULL */
};

/* The first that matches counts. */
extern const struct cli_ignored_name cli_ignored_names[];
extern const size_t cli_ignored_name_count;

/* Find a name by its key in the config file, in any case and with or without '_'; NULL: unknown. */
const struct cli_name *cli_name_of_key(const char *key);

/*
 * Set the setting of this name to a value in the other server's form.
 *
 * settings  NULL: the value is checked, but not taken
 * app       of cli_environment_credentials(); NULL if CLI_OF_APP cannot occur
 * source    the name, for `error`
 *
 * Returns 0, or -1 with `error`.
 */
int cli_name_take(const struct cli_name *name, struct cli_settings *settings, struct cli_apps *apps,
                  struct cli_app *app, const char *source, const char *text,
                  struct cli_error *error);

/* Return the entry for a name of the environment, or for a key of the config file; NULL: no such entry. */
const struct cli_ignored_name *cli_ignored_environment(const char *name);
const struct cli_ignored_name *cli_ignored_key(const char *key);
/* True if the value would have an effect in the other server. */
bool cli_ignored_asks(const struct cli_ignored_name *ignored, const char *value);
/* Write the warning about a name that has no effect. */
void cli_ignored_warn(FILE *file, const struct cli_ignored_name *ignored, const char *source);

#endif
