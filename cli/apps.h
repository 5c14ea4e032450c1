/*
 * The list of the server's apps, gathered from the config file, the environment and the options. It owns all its
 * strings.
 */
#ifndef CLI_APPS_H
#define CLI_APPS_H

#include <pusherc/app.h>

#include "text.h"

#define CLI_DEFAULT_APP_ID     "app-id"
#define CLI_DEFAULT_APP_KEY    "app-key"
#define CLI_DEFAULT_APP_SECRET "app-secret"

struct cli_app {
    pusherc_app_options options; /* its strings point to the members below */
    char *id, *key, *secret;     /* owned */
    const char *lacks;           /* where its secret should have come from; NULL = it has one */
    char *master_key, *shaping, *ephemeral; /* owned, or NULL */
    char **origins;                         /* owned, NULL-terminated; NULL = any */
    pusherc_webhook *webhooks;              /* owned, one block of memory; NULL = none */
    pusherc_history_pattern *history;       /* the same */
};

struct cli_apps {
    struct cli_app *items; /* owned */
    size_t count;
    pusherc_app_options common; /* numbers for apps that do not set them; 0 = not set */
};

void cli_apps_init(struct cli_apps *apps);
void cli_apps_free(struct cli_apps *apps);

/* Returns the app with that id, borrowed until the list changes; or NULL. */
struct cli_app *cli_apps_find(const struct cli_apps *apps, const char *id);

/* Append a copy. Returns 0, or -1 with `error`: out of memory, or the list has an app with this id. */
int cli_apps_add(struct cli_apps *apps, const pusherc_app_options *options,
                 struct cli_error *error);

/* Return the app with that id; if it is new, it gets the default key and secret. NULL: out of memory. */
struct cli_app *cli_apps_get(struct cli_apps *apps, const char *id);

/* Checks that each app has a secret of its own, unless its id and key are the default, too. 0, or -1 with `error`. */
int cli_apps_check_secrets(const struct cli_apps *apps, struct cli_error *error);
/* True if id, key and secret are the default ones, which are public. */
bool cli_app_is_default(const struct cli_app *app);

/* Change the arguments that are not NULL; false: out of memory. */
bool cli_app_set_credentials(struct cli_app *app, const char *key, const char *secret);

/* Replace the allowed origins by a list of patterns separated by commas; false: out of memory. */
bool cli_app_set_origins(struct cli_app *app, const char *text);

/* Replace the endpoints by copies; false: out of memory. */
bool cli_app_set_webhooks(struct cli_app *app, const pusherc_webhook *webhooks, size_t count);

/* Replace the patterns of channels with a history by copies; false: out of memory. */
bool cli_app_set_history(struct cli_app *app, const pusherc_history_pattern *patterns,
                         size_t count);

/* Set the numbers in `common` in each app that does not set them. */
void cli_apps_share(struct cli_apps *apps);

/* Take "ID:KEY:SECRET"; the secret may hold colons. Returns 0, or -1 with `error`. */
int cli_apps_put_text(struct cli_apps *apps, const char *text, struct cli_error *error);

#endif
