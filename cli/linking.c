#include "linking.h"

#include <stdlib.h>
#include <string.h>

enum {
    SWITCH, /* says that there is one */
    URL,    /* all parts but the prefix in one */
    HOST,
    PORT,
    USER,
    PASSWORD,
    DATABASE,
    PREFIX,
    APP_NAME, /* makes a prefix */
    PART_COUNT
};

enum purpose {
    LINK,    /* links servers */
    LARAVEL, /* has the events of a Laravel application */
    PURPOSE_COUNT
};

static const struct settings_of {
    const char *url, *prefix, *app_name;
} settings_of[PURPOSE_COUNT] = {
    [LINK] = {"redis", "redis_prefix", NULL},
    [LARAVEL] = {"laravel_redis", "laravel_redis_prefix", "laravel_app_name"},
};

static const struct family {
    enum purpose purpose;
    const char *value; /* of the switch */
    bool sockudo;
    const char *names[PART_COUNT]; /* NULL = it has none */
} families[] = {
    {LINK,
     "redis",
     false,
     {"SOKETI_ADAPTER_DRIVER", NULL, "SOKETI_DB_REDIS_HOST", "SOKETI_DB_REDIS_PORT",
      "SOKETI_DB_REDIS_USERNAME", "SOKETI_DB_REDIS_PASSWORD", "SOKETI_DB_REDIS_DB",
      "SOKETI_ADAPTER_REDIS_PREFIX"}},
    {LINK,
     "true",
     false,
     {"REVERB_SCALING_ENABLED", "REDIS_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_USERNAME",
      "REDIS_PASSWORD", "REDIS_DB", "REVERB_SCALING_CHANNEL"}},
    {LINK,
     "redis",
     true,
     {"ADAPTER_DRIVER", NULL, "DATABASE_REDIS_HOST", "DATABASE_REDIS_PORT",
      "DATABASE_REDIS_USERNAME", "DATABASE_REDIS_PASSWORD", "DATABASE_REDIS_DB",
      "DATABASE_REDIS_KEY_PREFIX"}},
    {LARAVEL,
     "redis",
     false,
     {"BROADCAST_CONNECTION", "REDIS_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_USERNAME",
      "REDIS_PASSWORD", "REDIS_DB", "REDIS_PREFIX", "APP_NAME"}},
    {LARAVEL,
     "redis",
     false,
     {"BROADCAST_DRIVER", "REDIS_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_USERNAME",
      "REDIS_PASSWORD", "REDIS_DB", "REDIS_PREFIX", "APP_NAME"}},
};
#define FAMILY_COUNT (sizeof families / sizeof families[0])

/* "null" is how Laravel's .env says that there is no password. */
static const char *value_of(const char *name)
{
    const char *value = name ? getenv(name) : NULL;
    return value && *value && strcmp(value, "null") != 0 ? value : NULL;
}

static bool is_on(const struct family *family)
{
    const char *value = value_of(family->names[SWITCH]);
    bool on = false;

    if (!value)
        return false;
    if (strcmp(family->value, "true") == 0)
        return cli_parse_switch(value, &on) && on;
    return strcmp(value, family->value) == 0;
}

/* Laravel looks at the second of these names where there is no first. */
static bool is_outdone(const struct family *family)
{
    return strcmp(family->names[SWITCH], "BROADCAST_DRIVER") == 0 &&
           value_of("BROADCAST_CONNECTION");
}

/* The first that asks for it; NULL: none does. */
static const struct family *chosen(enum purpose purpose, bool sockudo)
{
    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        if (families[i].purpose == purpose && (!families[i].sockudo || sockudo) &&
            is_on(&families[i]) && !is_outdone(&families[i]))
            return &families[i];
    }
    return NULL;
}

/* An application may have an empty prefix on purpose. */
static const char *prefix_of(const struct family *family)
{
    const char *name = family->names[PREFIX];
    return family->purpose == LARAVEL ? getenv(name) : value_of(name);
}

/* With escapes for what separates parts of a URL. */
static void print_part(FILE *file, const char *before, const char *text, const char *behind)
{
    (void)fputs(before, file);
    for (; *text; text++) {
        if (strchr("%/?#@:[], ", *text))
            (void)fprintf(file, "%%%02X", (unsigned)(unsigned char)*text);
        else
            (void)fputc(*text, file);
    }
    (void)fputs(behind, file);
}

static void print_url(FILE *file, const char *const names[PART_COUNT])
{
    const char *url = value_of(names[URL]), *host = value_of(names[HOST]);
    const char *user = value_of(names[USER]), *password = value_of(names[PASSWORD]);
    const char *port = value_of(names[PORT]), *database = value_of(names[DATABASE]);

    if (url) {
        (void)fputs(url, file);
        return;
    }
    (void)fputs("redis://", file);
    if (password) {
        print_part(file, "", user ? user : "", ":");
        print_part(file, "", password, "@");
    }
    if (host && strchr(host, ':')) /* IPv6 */
        (void)fprintf(file, "[%s]", host);
    else
        print_part(file, "", host ? host : "127.0.0.1", "");
    if (port)
        print_part(file, ":", port, "");
    if (database)
        print_part(file, "/", database, "");
}

static int check_number(const char *name, uint64_t max, struct cli_error *error)
{
    const char *value = value_of(name);
    uint64_t number;

    if (!value || (cli_parse_number(value, &number) && number <= max))
        return 0;
    return cli_fail(error, "%s must be a number from 0 to %u, not \"%.100s\"", name, (unsigned)max,
                    value);
}

static int set(struct cli_settings *settings, const char *setting, const char *source,
               const char *text, struct cli_error *error)
{
    return text ? cli_setting_set(settings, cli_server_setting(setting), source, 1, text, error)
                : 0;
}

static int take(struct cli_settings *settings, const struct family *family, struct cli_error *error)
{
    const struct settings_of *names = &settings_of[family->purpose];
    char *url = NULL;
    size_t len = 0;

    if (check_number(family->names[PORT], 65535, error) ||
        check_number(family->names[DATABASE], 65535, error))
        return -1;
    FILE *file = open_memstream(&url, &len);
    if (!file)
        return cli_fail_no_memory(error);
    print_url(file, family->names);
    int status = fclose(file) == 0 ? 0 : cli_fail_no_memory(error);
    if (status == 0)
        status = set(settings, names->url, family->names[SWITCH], url, error);
    if (status == 0)
        status = set(settings, names->prefix, family->names[PREFIX], prefix_of(family), error);
    if (status == 0 && names->app_name)
        status = set(settings, names->app_name, family->names[APP_NAME],
                     value_of(family->names[APP_NAME]), error);
    free(url);
    return status;
}

int cli_linking_settings(struct cli_settings *settings, bool sockudo, struct cli_error *error)
{
    const char *scaling = value_of("REVERB_SCALING_ENABLED");
    int status = 0;
    bool on;

    if (scaling && !cli_parse_switch(scaling, &on))
        return cli_fail(error, "REVERB_SCALING_ENABLED must be true or false, not \"%.100s\"",
                        scaling);
    for (unsigned purpose = 0; purpose < PURPOSE_COUNT && status == 0; purpose++) {
        const struct family *family = chosen(purpose, sockudo);
        if (family)
            status = take(settings, family, error);
    }
    return status;
}

const char *cli_linking_name(size_t nth, bool sockudo)
{
    for (unsigned purpose = 0; purpose < PURPOSE_COUNT; purpose++) {
        const struct family *family = chosen(purpose, sockudo);
        for (size_t i = 0; family && i < PART_COUNT; i++) {
            if (value_of(family->names[i]) && nth-- == 0)
                return family->names[i];
        }
    }
    return NULL;
}

const char *cli_linking_setting(const char *name, bool sockudo)
{
    for (unsigned purpose = 0; purpose < PURPOSE_COUNT; purpose++) {
        const struct family *family = chosen(purpose, sockudo);
        const struct settings_of *names = &settings_of[purpose];
        for (size_t i = 0; family && i < PART_COUNT; i++) {
            if (family->names[i] && strcmp(family->names[i], name) == 0)
                return i == PREFIX ? names->prefix : i == APP_NAME ? names->app_name : names->url;
        }
    }
    return NULL;
}
