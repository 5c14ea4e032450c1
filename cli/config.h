/*
 * The config file: one JSON object whose members are settings, and "apps". soketi's keys work as well (names.h), joined
 * with dots or as nested objects.
 */
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H

#include "apps.h"
#include "settings.h"

/*
 * Read the file `path`. Refuses an unknown name, and suggests the nearest known one.
 *
 * settings  on success changed in what the file sets; on failure changed in part. NULL: the file's settings are
 *           checked, but not taken
 * apps      the file's apps are appended
 * warnings  gets one line for each of soketi's keys that has no effect here; NULL = no warnings
 *
 * Returns 0, or -1 with `error`.
 */
int cli_config_read(const char *path, struct cli_settings *settings, struct cli_apps *apps,
                    FILE *warnings, struct cli_error *error);

#endif
