/*
 * The environment of the program, and an .env file with the same text: any names and values are taken, or refused with a
 * reason of one line that shows no secret.
 *
 * The input is entries with a NUL or a line feed between. An entry is NAME=VALUE, or one byte from 0x80 on, which stands
 * for a known name, and the value.
 */
#include <ctype.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arguments.h"
#include "dotenv.h"
#include "environment.h"
#include "names.h"
#include "require.h"
#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern char **environ;

enum {
    MAX_ENTRIES = 24,
    MAX_TEXT = 4096
};

/* Beside those of names.h: credentials, and what links servers or publishes. */
static const char *const more[] = {
    "SOKETI_DEFAULT_APP_ID",
    "SOKETI_DEFAULT_APP_KEY",
    "SOKETI_DEFAULT_APP_SECRET",
    "REVERB_APP_ID",
    "REVERB_APP_KEY",
    "REVERB_APP_SECRET",
    "PUSHER_APP_ID",
    "PUSHER_APP_KEY",
    "PUSHER_APP_SECRET",
    "PUSHER_URL",
    "PUSHER_HOST",
    "PUSHER_PORT",
    "PUSHER_APP_CLUSTER",
    "SOKETI_DEFAULT_APP_WEBHOOKS",
    "SOCKUDO_DEFAULT_APP_ALLOWED_ORIGINS",
    "BROADCAST_CONNECTION",
    "BROADCAST_URL",
    "REVERB_SCALING_ENABLED",
    "REVERB_HOST",
    "REVERB_PORT",
    "REVERB_SCHEME",
    "REDIS_URL",
    "REDIS_HOST",
    "REDIS_PASSWORD",
    "REDIS_PREFIX",
    "APP_NAME",
    "SOKETI_ADAPTER_DRIVER",
    "ADAPTER_DRIVER",
    "DATABASE_REDIS_SENTINELS",
    "SOKETI_DB_REDIS_SENTINELS",
    "SOKETI_DB_REDIS_CLUSTER_NODES",
    "SOKETI_ADAPTER_REDIS_CLUSTER_MODE",
    "DATABASE_REDIS_CLUSTER_NODES",
};
#define MORE (sizeof more / sizeof more[0])

static const char *known_name(size_t i)
{
    i %= MORE + cli_name_count;
    return i < MORE ? more[i] : cli_names[i - MORE].environment;
}

/* The program's own memory, in which the entries stand. */
struct set {
    char text[MAX_TEXT + 64 * MAX_ENTRIES];
    char *entries[MAX_ENTRIES + 1];
    size_t count;
};

static bool names_a_file(const char *entry)
{
    size_t len = strcspn(entry, "=");
    return len >= 5 && strncmp(entry + len - 5, "_FILE", 5) == 0;
}

static void read_input(struct set *set, const uint8_t *data, size_t size)
{
    char *at = set->text;
    set->count = 0;
    for (size_t i = 0; i < size && set->count < MAX_ENTRIES; i++) {
        char *entry = at;
        if (data[i] >= 0x80) {
            const char *name = known_name(data[i] & 0x7f);
            at += snprintf(at, 64, "%s=", name ? name : "NONE");
            i++;
        }
        while (i < size && data[i] != '\0' && data[i] != '\n')
            *at++ = (char)data[i++];
        *at++ = '\0';
        if (!names_a_file(entry)) /* which the input shall not open */
            set->entries[set->count++] = entry;
    }
    set->entries[set->count] = NULL;
}

/* Of a name that keeps a secret, if it begins so that no other text does by chance; NULL = it is none. */
static const char *secret_of(const char *entry)
{
    static const char begin[] = "a-long-";
    size_t len = strcspn(entry, "=");
    bool keeps = (len >= 7 && strncmp(entry + len - 7, "_SECRET", 7) == 0) ||
                 (len >= 9 && strncmp(entry + len - 9, "_PASSWORD", 9) == 0);
    return keeps && entry[len] && strncmp(entry + len + 1, begin, sizeof begin - 1) == 0
               ? entry + len + 1
               : NULL;
}

/* In another entry, or in its own name. */
static bool stands_elsewhere(const struct set *set, const char *secret)
{
    for (size_t i = 0; i < set->count; i++) {
        const char *found = strstr(set->entries[i], secret);
        if (found && found != secret)
            return true;
    }
    return false;
}

static void check_hidden(const struct set *set, const char *shown)
{
    for (size_t i = 0; i < set->count; i++) {
        const char *secret = secret_of(set->entries[i]);
        REQUIRE(!secret || !strstr(shown, secret) || stands_elsewhere(set, secret));
    }
}

/* A refusal has its reason: one line, without what could steer a terminal. */
static void check_status(const struct set *set, int status, const struct cli_error *error)
{
    REQUIRE(status == 0 || (status == -1 && error->text[0]));
    if (status == 0)
        return;
    for (const char *c = error->text; *c; c++)
        REQUIRE(!iscntrl((unsigned char)*c));
    check_hidden(set, error->text);
}

static const char *from_environment(const char *name, void *user_data)
{
    (void)user_data;
    return getenv(name);
}

/* What the server takes, and what it says of that. */
static void serve(const struct set *set)
{
    static struct cli_arguments arguments;
    struct cli_settings settings;
    struct cli_apps apps;
    struct cli_error error = {""};
    char *shown = NULL, *none[] = {NULL};
    size_t shown_size;
    FILE *said = open_memstream(&shown, &shown_size);
    REQUIRE(said);
    cli_settings_init(&settings);
    cli_apps_init(&apps);
    cli_environment_unquote(said);
    REQUIRE(cli_arguments_read(&arguments, none, &error) == 0);
    int status = cli_gather(&arguments, &settings, &apps, said, &error);
    check_status(set, status, &error);
    if (status == 0) {
        REQUIRE(apps.count > 0);
        for (size_t i = 0; i < apps.count; i++)
            REQUIRE(apps.items[i].id && apps.items[i].key && apps.items[i].secret);
        for (size_t i = 0; i < cli_server_setting_count; i++)
            cli_setting_print(said, &settings, &cli_server_settings[i]);
        cli_environment_warn(said, settings.port);
        cli_environment_tell(said);
    }
    fclose(said);
    if (status == 0)
        check_hidden(set, shown);
    free(shown);
    cli_arguments_free(&arguments);
    cli_apps_free(&apps);
    cli_settings_free(&settings);
}

static void check_target(const struct set *set, pusherc_lookup_fn lookup, void *user_data)
{
    struct cli_target target = {0};
    struct cli_error error = {""};
    int found = cli_target_look_up(&target, lookup, user_data, &error);
    REQUIRE(found == -1 || found == 0 || found == 1);
    check_status(set, found == -1 ? -1 : 0, &error);
    REQUIRE(found != 1 || (target.api.host[0] && target.api.port));
}

static void read_file(const struct set *set)
{
    static struct cli_dotenv env;
    struct cli_error error = {""};
    char path[64];
    int fd = memfd_create("env", 0);
    REQUIRE(fd >= 0);
    for (size_t i = 0; i < set->count; i++)
        REQUIRE(dprintf(fd, "%s\n", set->entries[i]) > 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    REQUIRE(cli_dotenv_read(&env, path, &error) == 0);
    for (unsigned i = 0; i < env.count; i++)
        REQUIRE(env.entries[i].line <= set->count + 1 && cli_dotenv_get(env.entries[i].name, &env));
    check_target(set, cli_dotenv_get, &env);
    cli_dotenv_free(&env);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct set set;
    char **own = environ;
    if (size > MAX_TEXT)
        return 0;
    read_input(&set, data, size);
    environ = set.entries;
    read_file(&set); /* first, as the next takes quotes off */
    serve(&set);
    check_target(&set, from_environment, NULL);
    environ = own;
    return 0;
}
