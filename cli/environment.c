#include "environment.h"

#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "secret.h"
#include "webhooks.h"

extern char **environ;

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* NULL if unset; .env files often have NAME= for "not set", too. */
static const char *value_of(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

struct credentials {
    const char *id, *key, *secret; /* borrowed; NULL = not set */
    const char *secret_name;       /* the variable of `secret` */
    char *url;                     /* owned: what the three are parts of, if they come from one */
    char *file;                    /* owned: what is in the secret's file, if it has one */
};

static void credentials_free(struct credentials *credentials)
{
    free(credentials->url);
    free(credentials->file);
}

/* "%40" to "@", in place; false if there is a '%' without two digits. */
static bool unescape(char *text)
{
    char *out = text;

    for (; *text; text++) {
        unsigned byte = 0;

        if (*text != '%') {
            *out++ = *text;
        } else if (strspn(text + 1, "0123456789abcdefABCDEF") >= 2 &&
                   sscanf(text + 1, "%2x", &byte) == 1 && byte) {
            *out++ = (char)byte;
            text += 2;
        } else {
            return false;
        }
    }
    *out = '\0';
    return true;
}

/* https://KEY:SECRET@HOST/apps/ID, as Pusher shows it to its customers. */
static int read_url(const char *text, struct credentials *out, struct cli_error *error)
{
    char *url = strdup(text);

    if (!url)
        return cli_fail_no_memory(error);
    out->url = url;
    size_t scheme = strncmp(url, "http://", 7) == 0 ? 7 : strncmp(url, "https://", 8) == 0 ? 8 : 0;
    char *key = url + scheme;
    char *at = strrchr(url, '@');
    char *secret = strchr(key, ':');
    char *id = at ? strstr(at, "/apps/") : NULL;
    bool whole = scheme && id && id[6] && secret && secret > key && secret + 1 < at;

    if (whole) {
        *secret = *at = '\0';
        whole = unescape(key) && unescape(secret + 1) && unescape(id + 6);
    }
    if (!whole) /* not the text itself: it may hold a secret */
        return cli_fail(error, "PUSHER_URL must be http(s)://KEY:SECRET@HOST/apps/ID");
    out->key = key;
    out->secret = secret + 1;
    out->id = id + 6;
    return 0;
}

/* Many a .env has both Pusher's names and Reverb's, and says which of them it means. */
static bool means_pusher(void)
{
    const char *connection = value_of("BROADCAST_CONNECTION");

    if (!connection)
        connection = value_of("BROADCAST_DRIVER"); /* as older applications say */
    return connection && strcmp(connection, "pusher") == 0;
}

/* The variable of this name, or the file that NAME_FILE has the path of. */
static int read_secret(const char *name, struct credentials *out, struct cli_error *error)
{
    char file_name[64];

    (void)snprintf(file_name, sizeof file_name, "%s_FILE", name);
    const char *path = value_of(file_name);
    out->secret_name = name;
    out->secret = value_of(name);
    if (!path)
        return 0;
    if (out->secret)
        return cli_fail(error, "%s and %s are both set", name, file_name);
    out->secret = out->file = cli_secret_read(file_name, path, error);
    return out->secret ? 0 : -1;
}

/* To be freed, also after failure. */
static int read_credentials(struct credentials *found, struct cli_error *error)
{
    static const char *const families[][3] = {
        {"SOKETI_DEFAULT_APP_ID", "SOKETI_DEFAULT_APP_KEY", "SOKETI_DEFAULT_APP_SECRET"},
        {"REVERB_APP_ID", "REVERB_APP_KEY", "REVERB_APP_SECRET"},
        {"SOCKUDO_DEFAULT_APP_ID", "SOCKUDO_DEFAULT_APP_KEY", "SOCKUDO_DEFAULT_APP_SECRET"},
        {"PUSHER_APP_ID", "PUSHER_APP_KEY", "PUSHER_APP_SECRET"},
    };
    static const size_t orders[2][COUNT(families)] = {{0, 1, 2, 3}, {0, 3, 1, 2}};
    const size_t *order = orders[means_pusher()];
    const char *url = value_of("PUSHER_URL");

    *found = (struct credentials){0};
    for (size_t i = 0; i < COUNT(families); i++) {
        found->id = value_of(families[order[i]][0]);
        found->key = value_of(families[order[i]][1]);
        if (read_secret(families[order[i]][2], found, error))
            return -1;
        if (found->id || found->key || found->secret)
            return 0;
    }
    return url ? read_url(url, found, error) : 0;
}

static int put_credentials(struct cli_apps *apps, const struct credentials *found,
                           struct cli_error *error)
{
    size_t known = apps->count;
    struct cli_app *app;

    if (!found->id && !found->key && !found->secret)
        return 0;
    if (!found->id && apps->count > 0)
        app = &apps->items[0];
    else
        app = cli_apps_get(apps, found->id ? found->id : CLI_DEFAULT_APP_ID);
    if (!app || !cli_app_set_credentials(app, found->key, found->secret))
        return cli_fail_no_memory(error);
    if (apps->count > known && !found->secret)
        app->lacks = found->secret_name;
    return 0;
}

int cli_environment_credentials(struct cli_apps *apps, struct cli_error *error)
{
    struct credentials found;
    int status = read_credentials(&found, error);

    if (status == 0)
        status = put_credentials(apps, &found, error);
    credentials_free(&found);
    return status;
}

/* Is one of sockudo's own names set? Those it has without a prefix may be meant for anybody. */
static bool is_sockudo(void)
{
    for (char **entry = environ; *entry; entry++) {
        if (strncmp(*entry, "SOCKUDO_", 8) == 0)
            return true;
    }
    return false;
}

static bool is_on(const char *name)
{
    const char *text = value_of(name);
    bool on = false;

    return text && cli_parse_switch(text, &on) && on;
}

static bool counts(enum cli_when when)
{
    switch (when) {
    case CLI_ALWAYS:
        return true;
    case CLI_WITH_SOCKUDO:
        return is_sockudo();
    case CLI_WITH_SOCKUDO_TLS:
        return is_sockudo() && is_on("SSL_ENABLED");
    case CLI_WITH_SCALING:
        return is_on("REVERB_SCALING_ENABLED");
    }
    return false;
}

/* From the last name to the first, so that the first one counts. */
static int take_names(struct cli_settings *settings, struct cli_apps *apps, struct cli_app *app,
                      struct cli_error *error)
{
    for (size_t i = cli_name_count; i-- > 0;) {
        const struct cli_name *name = &cli_names[i];
        bool of_server = name->whose == CLI_OF_SERVER;
        const char *text = name->environment ? value_of(name->environment) : NULL;

        if (!text || of_server != (settings != NULL) || !counts(name->when))
            continue;
        if (cli_name_take(name, settings, apps, app, name->environment, text, error))
            return -1;
    }
    return 0;
}

int cli_environment_settings(struct cli_settings *settings, struct cli_error *error)
{
    return take_names(settings, NULL, NULL, error);
}

int cli_environment_limits(struct cli_apps *apps, struct cli_error *error)
{
    struct credentials found;
    const char *origins = value_of("SOCKUDO_DEFAULT_APP_ALLOWED_ORIGINS");
    const char *webhooks = value_of("SOKETI_DEFAULT_APP_WEBHOOKS");

    if (read_credentials(&found, error))
        return -1;
    struct cli_app *app = found.id ? cli_apps_find(apps, found.id) : NULL;
    if (!app)
        app = &apps->items[0];
    credentials_free(&found);
    if (origins && !cli_app_set_origins(app, origins))
        return cli_fail_no_memory(error);
    if (webhooks && cli_webhooks_read(app, "SOKETI_DEFAULT_APP_WEBHOOKS", webhooks, error))
        return -1;
    return take_names(NULL, apps, app, error);
}

void cli_environment_warn(FILE *file)
{
    const char *senders = value_of("REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM");

    for (char **entry = environ; *entry; entry++) {
        char name[128];
        size_t len = strcspn(*entry, "=");

        if (len >= sizeof name || (*entry)[len] != '=')
            continue;
        memcpy(name, *entry, len);
        name[len] = '\0';
        const struct cli_ignored_name *ignored = cli_ignored_environment(name);
        if (ignored && counts(ignored->when) && cli_ignored_asks(ignored, *entry + len + 1))
            cli_ignored_warn(file, ignored, name);
    }
    if (senders && strcmp(senders, "all") == 0)
        (void)fprintf(file, "pusherc: warning: REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM=all is taken "
                            "as \"members\"\n");
}
