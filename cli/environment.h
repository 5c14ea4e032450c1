/*
 * What the environment says, under the names of soketi, Reverb, sockudo and Laravel (names.h); and which names it
 * uses without effect.
 */
#ifndef CLI_ENVIRONMENT_H
#define CLI_ENVIRONMENT_H

#include <stdio.h>

#include "apps.h"
#include "settings.h"

/* The server's settings. Returns 0, or -1 with `error`. */
int cli_environment_settings(struct cli_settings *settings, struct cli_error *error);

/*
 * The environment speaks of one app: the one whose id it names, else the first. Id, key and secret
 * are taken from one family of names, the first of SOKETI_, REVERB_, SOCKUDO_, PUSHER_APP_ that sets any of them
 * (PUSHER_APP_ before REVERB_ if BROADCAST_CONNECTION is "pusher"), else from PUSHER_URL. Returns 0, or -1 with `error`.
 */
int cli_environment_credentials(struct cli_apps *apps, struct cli_error *error);

/* The other settings of that app, and those of every app that has none of its own. To be called
 * when the list is complete and not empty. Returns 0, or -1 with `error`. */
int cli_environment_limits(struct cli_apps *apps, struct cli_error *error);

/* One line for each name that is set, that another server would heed, and that means nothing here. */
void cli_environment_warn(FILE *file);

#endif
