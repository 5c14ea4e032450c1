/* The patterns of channels with a history of an app: one block of memory for all. */
#ifndef CLI_HISTORY_H
#define CLI_HISTORY_H

#include "apps.h"

/* Write the patterns as JSON. */
void cli_history_print(FILE *file, const struct cli_app *app);

#endif
