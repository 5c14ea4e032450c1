#include "linking.h"

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "names.h"

#define DEFAULT_MASTER "mymaster" /* soketi's and sockudo's */

enum {
    SWITCH, /* says that there is one */
    URL,    /* all parts but the prefix in one */
    HOST,
    PORT,
    USER,
    PASSWORD,
    DATABASE,
    PREFIX,
    APP_NAME,  /* makes a prefix */
    SENTINELS, /* HOST:PORT,HOST:PORT, or an array of objects as JSON: then the hosts are theirs */
    SENTINEL_USER,
    SENTINEL_PASSWORD,
    MASTER,
    NODES,        /* of a Redis Cluster: as SENTINELS, also as URLs; then the host is theirs */
    CLUSTER_MODE, /* where it has a name: NODES count only if it is on */
    PART_COUNT
};
_Static_assert(PART_COUNT == CLI_LINKING_PARTS, "linking.h");

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
      "SOKETI_ADAPTER_REDIS_PREFIX", NULL, "SOKETI_DB_REDIS_SENTINELS", NULL,
      "SOKETI_DB_REDIS_SENTINEL_PASSWORD", "SOKETI_DB_REDIS_INSTANCE_NAME",
      "SOKETI_DB_REDIS_CLUSTER_NODES", "SOKETI_ADAPTER_REDIS_CLUSTER_MODE"}},
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
      "DATABASE_REDIS_KEY_PREFIX", NULL, "DATABASE_REDIS_SENTINELS",
      "DATABASE_REDIS_SENTINEL_USERNAME", "DATABASE_REDIS_SENTINEL_PASSWORD",
      "DATABASE_REDIS_SENTINEL_MASTER"}},
    {LINK,
     "redis-cluster",
     true,
     {[SWITCH] = "ADAPTER_DRIVER",
      [USER] = "DATABASE_REDIS_CLUSTER_USERNAME",
      [PASSWORD] = "DATABASE_REDIS_CLUSTER_PASSWORD",
      [PREFIX] = "DATABASE_REDIS_KEY_PREFIX",
      [NODES] = "DATABASE_REDIS_CLUSTER_NODES"}},
    {LINK,
     "redis-cluster",
     true,
     {[SWITCH] = "ADAPTER_DRIVER",
      [USER] = "DATABASE_REDIS_CLUSTER_USERNAME",
      [PASSWORD] = "DATABASE_REDIS_CLUSTER_PASSWORD",
      [PREFIX] = "DATABASE_REDIS_KEY_PREFIX",
      [NODES] = "REDIS_CLUSTER_NODES"}},
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

/* Laravel looks at the second of these names where there is no first, and so does sockudo of those of nodes. */
static bool is_outdone(const struct family *family)
{
    const char *nodes = family->names[NODES];
    if (nodes && strcmp(nodes, "DATABASE_REDIS_CLUSTER_NODES") == 0)
        return !value_of(nodes);
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
        if (strchr("%/?#@:[],& ", *text))
            (void)fprintf(file, "%%%02X", (unsigned)(unsigned char)*text);
        else
            (void)fputc(*text, file);
    }
    (void)fputs(behind, file);
}

static const char *const soketi_keys[PART_COUNT] = {
    "adapter.driver",
    NULL,
    "database.redis.host",
    "database.redis.port",
    "database.redis.username",
    "database.redis.password",
    "database.redis.db",
    "adapter.redis.prefix",
    NULL,
    "database.redis.sentinels",
    NULL,
    "database.redis.sentinelPassword",
    "database.redis.name",
    "database.redis.clusterNodes",
    "adapter.redis.clusterMode",
};

static void print_host(FILE *file, const char *host)
{
    if (strchr(host, ':') && host[0] != '[') /* IPv6 */
        (void)fprintf(file, "[%s]", host);
    else
        print_part(file, "", host, "");
}

/* False: they are not an array of objects with `host` and perhaps `port`. */
static bool print_json_hosts(FILE *file, const char *text)
{
    cJSON *list = cJSON_Parse(text), *item;
    bool good = cJSON_IsArray(list) && list->child;

    cJSON_ArrayForEach(item, list)
    {
        const cJSON *host = cJSON_GetObjectItem(item, "host"),
                    *port = cJSON_GetObjectItem(item, "port");
        good = good && cJSON_IsString(host) && *host->valuestring;
        if (!good)
            break;
        if (item != list->child)
            (void)fputc(',', file);
        print_host(file, host->valuestring);
        if (cJSON_IsNumber(port))
            (void)fprintf(file, ":%d", port->valueint);
        else if (cJSON_IsString(port))
            print_part(file, ":", port->valuestring, "");
    }
    cJSON_Delete(list);
    return good;
}

static bool print_hosts(FILE *file, const char *text)
{
    if (text[strspn(text, " ")] == '[' && strchr(text, '{'))
        return print_json_hosts(file, text);
    while (*text) { /* IPv6 is in brackets already */
        text += strncmp(text, "redis://", 8) == 0 ? 8 : strncmp(text, "rediss://", 9) == 0 ? 9 : 0;
        if (*text && *text != ' ')
            (void)fputc(*text, file);
        text += *text != '\0';
    }
    return true;
}

/* False: `nodes`, or else the Sentinels, cannot be read. TLS stands before a host: Laravel's is tls://HOST. */
static bool print_url(FILE *file, const char *const parts[PART_COUNT], const char *nodes)
{
    const char *host = parts[HOST] ? parts[HOST] : "127.0.0.1";
    const bool tls = nodes ? strstr(nodes, "rediss://") != NULL : strncmp(host, "tls://", 6) == 0;
    const bool by_sentinel = parts[SENTINELS] && !nodes;
    bool good = true;

    if (parts[URL]) {
        (void)fputs(parts[URL], file);
        return true;
    }
    (void)fprintf(file, "redis%s%s://", tls ? "s" : "", by_sentinel ? "+sentinel" : "");
    if (parts[PASSWORD]) {
        print_part(file, "", parts[USER] ? parts[USER] : "", ":");
        print_part(file, "", parts[PASSWORD], "@");
    }
    if (by_sentinel) {
        good = print_hosts(file, parts[SENTINELS]);
        print_part(file, "/", parts[MASTER] ? parts[MASTER] : DEFAULT_MASTER, "");
    } else if (nodes) {
        return print_hosts(file, nodes); /* and database 0, the only one */
    } else {
        print_host(file, tls ? host + 6 : host);
        if (parts[PORT])
            print_part(file, ":", parts[PORT], "");
    }
    if (parts[DATABASE])
        print_part(file, "/", parts[DATABASE], "");
    if (by_sentinel && parts[SENTINEL_PASSWORD]) {
        print_part(file, "?sentinel_password=", parts[SENTINEL_PASSWORD], "");
        if (parts[SENTINEL_USER])
            print_part(file, "&sentinel_user=", parts[SENTINEL_USER], "");
    }
    return good;
}

static int check_number(const char *name, const char *value, uint64_t max, struct cli_error *error)
{
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

static int set_url(struct cli_settings *settings, const char *setting,
                   const char *const names[PART_COUNT], const char *const parts[PART_COUNT],
                   struct cli_error *error)
{
    char *url = NULL;
    size_t len = 0;
    bool counts = !names[CLUSTER_MODE];

    if (parts[CLUSTER_MODE] && !cli_parse_switch(parts[CLUSTER_MODE], &counts))
        return cli_fail(error, "%s must be true or false, not \"%.100s\"", names[CLUSTER_MODE],
                        parts[CLUSTER_MODE]);
    const char *nodes = counts ? parts[NODES] : NULL;
    if (check_number(names[PORT], parts[PORT], 65535, error) ||
        check_number(names[DATABASE], parts[DATABASE], 65535, error))
        return -1;
    FILE *file = open_memstream(&url, &len);
    if (!file)
        return cli_fail_no_memory(error);
    bool good = print_url(file, parts, nodes);
    int status = fclose(file) == 0 ? 0 : cli_fail_no_memory(error);
    if (status == 0 && !good)
        status =
            cli_fail(error, "%s must be a list such as [{\"host\":\"10.0.0.1\",\"port\":26379}]",
                     names[nodes ? NODES : SENTINELS]);
    if (status == 0)
        status = set(settings, setting, names[SWITCH], url, error);
    free(url);
    return status;
}

static int take(struct cli_settings *settings, const struct family *family, struct cli_error *error)
{
    const struct settings_of *names = &settings_of[family->purpose];
    const char *parts[PART_COUNT];

    for (size_t i = 0; i < PART_COUNT; i++)
        parts[i] = value_of(family->names[i]);
    int status = set_url(settings, names->url, family->names, parts, error);
    if (status == 0)
        status = set(settings, names->prefix, family->names[PREFIX], prefix_of(family), error);
    if (status == 0 && names->app_name)
        status = set(settings, names->app_name, family->names[APP_NAME], parts[APP_NAME], error);
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

/* -- soketi's config file -- */

const char *cli_linking_key(size_t nth)
{
    return soketi_keys[nth];
}

static bool is_same(const char *a, const char *b)
{
    char plain_a[CLI_PLAIN_NAME_SIZE], plain_b[CLI_PLAIN_NAME_SIZE];

    cli_plain_name(plain_a, a);
    cli_plain_name(plain_b, b);
    return strcmp(plain_a, plain_b) == 0;
}

size_t cli_linking_find_key(const char *key)
{
    for (size_t i = 0; i < PART_COUNT; i++) {
        if (soketi_keys[i] && is_same(soketi_keys[i], key))
            return i;
    }
    return PART_COUNT;
}

bool cli_linking_keys_ask(const struct cli_linking_keys *keys)
{
    return keys->values[SWITCH] && strcmp(keys->values[SWITCH], "redis") == 0;
}

int cli_linking_take_keys(const struct cli_linking_keys *keys, struct cli_settings *settings,
                          struct cli_error *error)
{
    const char *parts[PART_COUNT];

    for (size_t i = 0; i < PART_COUNT; i++)
        parts[i] = keys->values[i] && *keys->values[i] ? keys->values[i] : NULL;
    int status = set_url(settings, "redis", soketi_keys, parts, error);
    if (status == 0)
        status = set(settings, "redis_prefix", soketi_keys[PREFIX], parts[PREFIX], error);
    return status;
}

void cli_linking_keys_free(struct cli_linking_keys *keys)
{
    for (size_t i = 0; i < PART_COUNT; i++)
        free(keys->values[i]);
}
