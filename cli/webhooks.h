/*
 * An app's webhooks as the program keeps them: one block of memory for all, read from JSON in the library's form.
 */
#ifndef CLI_WEBHOOKS_H
#define CLI_WEBHOOKS_H

#include "apps.h"

/* What the environment says: a JSON array as in the field "webhooks" of an app. Returns 0, or -1 with `error`. */
int cli_webhooks_read(struct cli_app *app, const char *source, const char *text,
                      struct cli_error *error);

/* One more endpoint, which gets everything. Returns 0, or -1 with `error`. */
int cli_webhooks_add(struct cli_app *app, const char *url, struct cli_error *error);

/* As JSON, without what may be secret: the values of headers, and a name and password in the URL. */
void cli_webhooks_print(FILE *file, const struct cli_app *app);

#endif
