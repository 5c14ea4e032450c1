/*
 * The config file: one JSON object with the names of the settings table, and "apps".
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
 *
 * Returns 0, or -1 with `error`.
 */
int cli_config_read(const char *path, struct cli_settings *settings, struct cli_apps *apps,
                    struct cli_error *error);

#endif
