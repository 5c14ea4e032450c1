/*
 * What the environment says about apps, under the names of soketi, Reverb and Laravel; and which
 * names it uses in vain. (Names for the server as a whole are in the table of settings.c.)
 */
#ifndef CLI_ENVIRONMENT_H
#define CLI_ENVIRONMENT_H

#include <stdio.h>

#include "apps.h"

/*
 * The environment speaks of one app: the one whose id it names, else the first. Id, key and secret
 * are taken from one family of names, the first of SOKETI_, REVERB_, PUSHER_ that sets any of them.
 * Returns 0, or -1 with `error`.
 */
int cli_environment_credentials(struct cli_apps *apps, struct cli_error *error);

/* The other settings of that app, and limits of every app that has none of its own. To be called
 * when the list is complete and not empty. Returns 0, or -1 with `error`. */
int cli_environment_limits(struct cli_apps *apps, struct cli_error *error);

/* One line for each name that is set, that another server would heed, and that means nothing here. */
void cli_environment_warn(FILE *file);

#endif
