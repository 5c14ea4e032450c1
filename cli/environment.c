#include "environment.h"

#include <stdlib.h>
#include <string.h>

#include "linking.h"
#include "names.h"
#include "secret.h"
#include "webhooks.h"

extern char **environ;

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* NULL if the variable is unset or empty: .env files often have NAME= for "not set". */
static const char *value_of(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* Id, key, secret, and a file with the secret, of one app, as each of the other servers calls them. */
enum {
    ID,
    KEY,
    SECRET,
    SECRET_FILE,
    NAME_COUNT
};
static const char *const families[][NAME_COUNT] = {
    {"SOKETI_DEFAULT_APP_ID", "SOKETI_DEFAULT_APP_KEY", "SOKETI_DEFAULT_APP_SECRET",
     "SOKETI_DEFAULT_APP_SECRET_FILE"},
    {"REVERB_APP_ID", "REVERB_APP_KEY", "REVERB_APP_SECRET", "REVERB_APP_SECRET_FILE"},
    {"SOCKUDO_DEFAULT_APP_ID", "SOCKUDO_DEFAULT_APP_KEY", "SOCKUDO_DEFAULT_APP_SECRET",
     "SOCKUDO_DEFAULT_APP_SECRET_FILE"},
    {"PUSHER_APP_ID", "PUSHER_APP_KEY", "PUSHER_APP_SECRET", "PUSHER_APP_SECRET_FILE"},
};

struct credentials {
    const char *id, *key, *secret; /* borrowed; NULL = not set */
    const char *secret_name;       /* the variable of `secret` */
    char *url;                     /* owned: the three point into it if they come from a URL */
    char *file;                    /* owned: the content of the secret's file, if it has one */
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

/* Reads https://KEY:SECRET@HOST/apps/ID, the form in Pusher's dashboard. */
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
    if (!whole) /* without the text, which may hold a secret */
        return cli_fail(error, "PUSHER_URL must be http(s)://KEY:SECRET@HOST/apps/ID");
    out->key = key;
    out->secret = secret + 1;
    out->id = id + 6;
    return 0;
}

/* What an application calls its connection to the server; NULL = it does not say. */
static const char *broadcast_connection(void)
{
    const char *connection = value_of("BROADCAST_CONNECTION");
    return connection ? connection : value_of("BROADCAST_DRIVER"); /* as older applications say */
}

static bool means(const char *connection)
{
    const char *set = broadcast_connection();
    return set && strcmp(set, connection) == 0;
}

/* The names that credentials are taken from; NULL: none of them is set. Many a .env has both Pusher's and Reverb's, and
 * says which of them it means. */
static const char *const *chosen_family(void)
{
    static const size_t orders[2][COUNT(families)] = {{0, 1, 2, 3}, {0, 3, 1, 2}};
    const size_t *order = orders[means("pusher")];

    for (size_t i = 0; i < COUNT(families); i++) {
        const char *const *names = families[order[i]];
        for (size_t n = 0; n < NAME_COUNT; n++)
            if (value_of(names[n]))
                return names;
    }
    return NULL;
}

/* Takes the secret from its variable, or from the file that the other variable names. */
static int read_secret(const char *const *names, struct credentials *out, struct cli_error *error)
{
    const char *path = value_of(names[SECRET_FILE]);

    out->secret_name = names[SECRET];
    out->secret = value_of(names[SECRET]);
    if (!path)
        return 0;
    if (out->secret)
        return cli_fail(error, "%s and %s are both set", names[SECRET], names[SECRET_FILE]);
    out->secret = out->file = cli_secret_read(names[SECRET_FILE], path, error);
    return out->secret ? 0 : -1;
}

/* Finds the credentials. Free `found` also after a failure. */
static int read_credentials(struct credentials *found, struct cli_error *error)
{
    const char *const *names = chosen_family();
    const char *url = value_of("PUSHER_URL");

    *found = (struct credentials){0};
    if (names) {
        found->id = value_of(names[ID]);
        found->key = value_of(names[KEY]);
        return read_secret(names, found, error);
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

/* True if a name with sockudo's prefix is set. Its names without a prefix count only then, because other programs use
 * them as well. */
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
    case CLI_WITH_SOCKUDO_UNIX:
        return is_sockudo() && is_on("UNIX_SOCKET_ENABLED");
    case CLI_WITH_SCALING:
        return is_on("REVERB_SCALING_ENABLED");
    }
    return false;
}

/* Goes from the last name to the first, so that the first one wins. */
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
    if (cli_linking_settings(settings, is_sockudo(), error))
        return -1;
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

/* -- what is said of it -- */

#define MAX_NAME  128
#define MAX_KNOWN 192

/* Beside the names of the table and of the families. */
static const struct {
    const char *name, *sets;
} more_names[] = {
    {"PUSHER_URL", "id, key, secret"},
    {"SOKETI_DEFAULT_APP_WEBHOOKS", "webhooks"},
    {"SOCKUDO_DEFAULT_APP_ALLOWED_ORIGINS", "allowed_origins"},
};

/* They tell applications and pages where the server is. */
static const char *const of_applications[] = {
    "REVERB_HOST", "REVERB_PORT",   "REVERB_SCHEME",      "PUSHER_HOST",
    "PUSHER_PORT", "PUSHER_SCHEME", "PUSHER_APP_CLUSTER",
};

/* Who sets a name that begins so means this server; the last one is what soketi's names were before they had a prefix. */
static const char *const prefixes[] = {"SOKETI_", "REVERB_", "PUSHER_", "SOCKUDO_", "DEFAULT_APP_"};

static const char *prefix_of(const char *name)
{
    for (size_t i = 0; i < COUNT(prefixes); i++) {
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return prefixes[i];
    }
    return NULL;
}

/* All names that set something and begin so. */
static size_t known_names(const char *out[MAX_KNOWN], const char *prefix)
{
    const char *all[MAX_KNOWN];
    size_t count = 0, kept = 0;

    for (size_t i = 0; i < cli_name_count; i++) {
        if (cli_names[i].environment)
            all[count++] = cli_names[i].environment;
    }
    for (size_t i = 0; i < COUNT(families); i++) {
        for (size_t j = 0; j < NAME_COUNT; j++)
            all[count++] = families[i][j];
    }
    for (size_t i = 0; i < COUNT(more_names); i++)
        all[count++] = more_names[i].name;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(all[i], prefix, strlen(prefix)) == 0)
            out[kept++] = all[i];
    }
    return kept;
}

static bool is_known(const char *name)
{
    const char *known[MAX_KNOWN];
    size_t count = known_names(known, name);

    for (size_t i = 0; i < count; i++) {
        if (strcmp(known[i], name) == 0)
            return true;
    }
    for (size_t i = 0; i < COUNT(of_applications); i++) {
        if (strcmp(of_applications[i], name) == 0)
            return true;
    }
    return cli_ignored_environment(name) != NULL;
}

/* Do the words of `name` stand in `known`, in this order? SOKETI_METRICS_PORT's in SOKETI_METRICS_SERVER_PORT do. */
static bool has_words_of(const char *known, const char *name)
{
    while (*name) {
        size_t len = strcspn(name, "_");
        while (*known && (strncmp(known, name, len) != 0 || (known[len] && known[len] != '_'))) {
            known += strcspn(known, "_");
            known += *known == '_';
        }
        if (!*known)
            return false;
        known += len + (known[len] == '_');
        name += len + (name[len] == '_');
    }
    return true;
}

/* The name that was probably meant, or NULL. */
static const char *nearest_name(const char *name, const char *prefix)
{
    const char *known[MAX_KNOWN], *best = NULL;
    bool bare = strcmp(prefix, "DEFAULT_APP_") == 0;
    char whole[MAX_NAME + 8];
    size_t count = known_names(known, bare ? "SOKETI_" : prefix);

    for (size_t i = 0; i < count; i++) {
        if (has_words_of(known[i], name) && (!best || strlen(known[i]) < strlen(best)))
            best = known[i];
    }
    (void)snprintf(whole, sizeof whole, "%s%s", bare ? "SOKETI_" : "", name);
    return best ? best : cli_nearest(whole, known, count);
}

bool cli_environment_is_unknown(const char *name, const char **nearest)
{
    const char *prefix = prefix_of(name);

    if (!prefix || is_known(name))
        return false;
    *nearest = nearest_name(name, prefix);
    return true;
}

static void warn_of_unknown(FILE *file, const char *name)
{
    const char *nearest;

    if (!cli_environment_is_unknown(name, &nearest))
        return;
    (void)fprintf(file, "pusherc: warning: %s is not known, and has no effect%s%s%s\n", name,
                  nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

/* `name` tells applications a port that nothing here listens on, and the server's own port was left at its default. */
static void warn_of_port(FILE *file, const char *name, const char *ours, uint32_t port)
{
    const char *text = value_of(name);
    uint64_t number = 0;

    if (!text || value_of(ours) || !cli_parse_number(text, &number) || number == port || port == 0)
        return;
    if (number == 443 || number == 80) /* of a proxy in front */
        return;
    (void)fprintf(file,
                  "pusherc: warning: %s=%llu tells applications where the server is, and this one "
                  "listens on %u: set %s or --port\n",
                  name, (unsigned long long)number, (unsigned)port, ours);
}

static void warn_of_elsewhere(FILE *file, uint32_t port)
{
    static const char *const others[] = {"log", "null", "ably"};

    for (size_t i = 0; i < COUNT(others); i++) {
        if (means(others[i]))
            (void)fprintf(file,
                          "pusherc: warning: BROADCAST_CONNECTION=%s: the application does not "
                          "publish to this server; \"reverb\" and \"pusher\" do\n",
                          others[i]);
    }
    if (!means("pusher"))
        warn_of_port(file, "REVERB_PORT", "REVERB_SERVER_PORT", port);
    if (!means("reverb"))
        warn_of_port(file, "PUSHER_PORT", "SOKETI_PORT", port);
}

/* Cuts the name off "NAME=value", with '?' for what a terminal might obey; NULL: there is no value. */
static const char *split(const char *entry, char name[MAX_NAME])
{
    size_t len = strcspn(entry, "=");

    if (len >= MAX_NAME || entry[len] != '=' || !entry[len + 1])
        return NULL;
    for (size_t i = 0; i < len; i++)
        name[i] = entry[i] > ' ' && entry[i] <= '~' ? entry[i] : '?';
    name[len] = '\0';
    return entry + len + 1;
}

void cli_environment_warn(FILE *file, uint32_t port)
{
    const char *senders = value_of("REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM");

    for (char **entry = environ; *entry; entry++) {
        char name[MAX_NAME];
        const char *value = split(*entry, name);

        if (!value)
            continue;
        const struct cli_ignored_name *ignored = cli_ignored_environment(name);
        if (ignored && counts(ignored->when) && cli_ignored_asks(ignored, value) &&
            !cli_linking_setting(name, is_sockudo()))
            cli_ignored_warn(file, ignored, name);
        warn_of_unknown(file, name);
    }
    if (senders && strcmp(senders, "all") == 0)
        (void)fprintf(file, "pusherc: warning: REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM=all is taken "
                            "as \"members\"\n");
    warn_of_elsewhere(file, port);
}

/* Is another name set that goes before this one? */
static bool is_outdone(const struct cli_name *name)
{
    for (const struct cli_name *other = cli_names; other < name; other++) {
        if (other->environment && other->whose == name->whose && name->how == CLI_SETS &&
            other->how == CLI_SETS && strcmp(other->setting, name->setting) == 0 &&
            value_of(other->environment) && counts(other->when))
            return true;
    }
    return false;
}

static void tell(FILE *file, const char *name, const char *sets, bool *any)
{
    if (!value_of(name))
        return;
    (void)fprintf(file, "%s%s (%s)", *any ? ", " : "pusherc: the environment sets ", name, sets);
    *any = true;
}

void cli_environment_tell(FILE *file)
{
    static const char *const parts[NAME_COUNT] = {"id", "key", "secret", "secret"};
    const char *const *family = chosen_family();
    const char *name;
    bool any = false;

    for (size_t i = 0; i < cli_name_count; i++) {
        const struct cli_name *known = &cli_names[i];
        if (known->environment && counts(known->when) && !is_outdone(known))
            tell(file, known->environment, known->setting, &any);
    }
    for (size_t i = 0; (name = cli_linking_name(i, is_sockudo())) != NULL; i++)
        tell(file, name, cli_linking_setting(name, is_sockudo()), &any);
    for (size_t i = 0; family && i < NAME_COUNT; i++)
        tell(file, family[i], parts[i], &any);
    for (size_t i = family ? 1 : 0; i < COUNT(more_names); i++)
        tell(file, more_names[i].name, more_names[i].sets, &any);
    if (any)
        (void)fputc('\n', file);
}

/* Take off what stands around the value; false: nothing does. */
static bool strip(char *value)
{
    size_t len = strlen(value), before = strspn(value, " \t\r\n");

    while (len > before && strchr(" \t\r\n", value[len - 1]))
        len--;
    if (len >= before + 2 && strchr("\"'", value[before]) && value[len - 1] == value[before]) {
        before++;
        len--;
    }
    if (before == 0 && !value[len])
        return false;
    memmove(value, value + before, len - before);
    value[len - before] = '\0';
    return true;
}

/* Does anything here read it? */
static bool is_read(const char *name)
{
    return prefix_of(name) || strncmp(name, "BROADCAST_", 10) == 0 ||
           cli_linking_setting(name, is_sockudo()) ||
           (is_sockudo() && (is_known(name) || strcmp(name, "SSL_ENABLED") == 0));
}

void cli_environment_unquote(FILE *warnings)
{
    for (char **entry = environ; *entry; entry++) {
        char name[MAX_NAME];

        if (split(*entry, name) && is_read(name) && strip(*entry + strlen(name) + 1))
            (void)fprintf(warnings,
                          "pusherc: warning: the value of %s has quotes or white space around it, "
                          "which are taken off\n",
                          name);
    }
}
