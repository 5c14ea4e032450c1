/*
 * Prints the settings in force, for --check: a config file with every setting, but no secret.
 */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include "apps.h"
#include "settings.h"

void cli_show(FILE *file, const struct cli_settings *settings, const struct cli_apps *apps);

#endif
