/*
 * Reads the environment, under the names of soketi, Reverb, sockudo and Laravel (names.h), and warns about known names
 * that have no effect here.
 */
#ifndef CLI_ENVIRONMENT_H
#define CLI_ENVIRONMENT_H

#include <stdio.h>

#include "apps.h"
#include "settings.h"

/* Take the server's settings. Returns 0, or -1 with `error`. */
int cli_environment_settings(struct cli_settings *settings, struct cli_error *error);

/*
 * Take the credentials of one app: the one whose id the environment names, else the first. Id, key and secret are taken
 * from one family of names, the first of SOKETI_, REVERB_, SOCKUDO_, PUSHER_APP_ that sets any of them (PUSHER_APP_
 * before REVERB_ if BROADCAST_CONNECTION is "pusher"), else from PUSHER_URL. Returns 0, or -1 with `error`.
 */
int cli_environment_credentials(struct cli_apps *apps, struct cli_error *error);

/* Take the other settings of that app, and the settings for all apps that do not set them. Call it when the list is
 * complete and not empty. Returns 0, or -1 with `error`. */
int cli_environment_limits(struct cli_apps *apps, struct cli_error *error);

/* Take quotes and white space off around values, which files of the environment often have and programs that read such
 * files often leave on; one line for each. To be called before all others, while there is one thread. */
void cli_environment_unquote(FILE *warnings);

/* One line for each name that is set and has no effect: another server would heed it, or it looks like a name that is
 * known. And for what sends applications elsewhere than to `port`. */
void cli_environment_warn(FILE *file, uint32_t port);

/* Write one line with all names that are set and have an effect, and what they set; nothing without such names. */
void cli_environment_tell(FILE *file);

/* Does the name look like one of this server, and is none? *nearest is the name that was probably meant, or NULL. */
bool cli_environment_is_unknown(const char *name, const char **nearest);

#endif
