/*
 * The config file: one JSON object with the names of the settings tables, and "apps". soketi's keys are understood as
 * well (names.h), joined with dots or as objects in objects.
 */
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H

#include "apps.h"
#include "settings.h"

/*
 * Read `path` and take what it says. An unknown name is refused, with the nearest known one.
 *
 * settings  changed on success only in what the file sets; on failure in part. NULL: the settings in
 *           the file are checked, but not taken
 * apps      the file's apps are appended
 * warnings  gets one line for each of soketi's keys that means nothing here; NULL = none
 *
 * Returns 0, or -1 with `error`.
 */
int cli_config_read(const char *path, struct cli_settings *settings, struct cli_apps *apps,
                    FILE *warnings, struct cli_error *error);

#endif
