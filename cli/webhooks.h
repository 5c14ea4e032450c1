/*
 * The webhooks of an app: one block of memory for all, read from JSON in the library's form.
 */
#ifndef CLI_WEBHOOKS_H
#define CLI_WEBHOOKS_H

#include "apps.h"

/* Read a JSON array as in the field "webhooks" of an app. Returns 0, or -1 with `error`. */
int cli_webhooks_read(struct cli_app *app, const char *source, const char *text,
                      struct cli_error *error);

/* Add an endpoint that gets all events. Returns 0, or -1 with `error`. */
int cli_webhooks_add(struct cli_app *app, const char *url, struct cli_error *error);

/* Write the webhooks as JSON, without possible secrets: header values, and name and password in the URL. */
void cli_webhooks_print(FILE *file, const struct cli_app *app);

#endif
