#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "linking.h"
#include "names.h"

/* The limit of pusherc_apps_from_json(). */
#define MAX_FILE_BYTES 1048576
#define MAX_NAMES      128
#define MAX_KEY_BYTES  CLI_PLAIN_NAME_SIZE
#define APPS           "apps"
#define SOKETI_APPS    "appManager.array.apps"
#define RULES          "rules"

struct reading {
    const char *path;
    struct cli_settings *settings;
    struct cli_apps *apps;
    FILE *warnings;
    struct cli_error *error;
    const void
        *seen[MAX_NAMES]; /* what the file has set: entries of a table of settings, or `apps` */
    size_t seen_count;
    struct cli_linking_keys linking;
};

/* Returns the text of the file, NUL-terminated and owned by the caller, or NULL with `error`. */
static char *read_file(const char *path, size_t *len, struct cli_error *error)
{
    char *text = malloc(MAX_FILE_BYTES + 1);

    if (!text) {
        (void)cli_fail_no_memory(error);
        return NULL;
    }
    FILE *file = fopen(path, "rb");
    *len = file ? fread(text, 1, MAX_FILE_BYTES + 1, file) : 0;
    bool unread = !file || ferror(file);
    if (unread)
        (void)cli_fail(error, "cannot read %s: %s", path, strerror(errno));
    else if (*len > MAX_FILE_BYTES)
        (void)cli_fail(error, "%s is longer than %d bytes", path, MAX_FILE_BYTES);
    if (file)
        (void)fclose(file);
    if (!unread && *len <= MAX_FILE_BYTES) {
        text[*len] = '\0';
        return text;
    }
    free(text);
    return NULL;
}

static cJSON *parse(const char *path, const char *text, size_t len, struct cli_error *error)
{
    const char *stopped = text;
    /* Not cJSON_ParseWithLength(): released versions read past the end of some broken texts. */
    cJSON *root = cJSON_ParseWithOpts(text, &stopped, 0);
    const char *end = text + len;
    int line = 1;

    for (const char *at = stopped; root && at < end; at++) {
        /* cJSON stops after the value; anything but white space after it is a mistake in the file. */
        if (!strchr(" \t\r\n", *at) || !*at) {
            stopped = at;
            cJSON_Delete(root);
            root = NULL;
        }
    }
    if (root)
        return root;
    for (const char *at = text; at < stopped; at++)
        line += *at == '\n';
    (void)cli_fail(error, "%s is not valid JSON: look at line %d", path, line);
    return NULL;
}

static int unknown_key(const struct reading *reading, const char *key)
{
    const char *known[MAX_NAMES] = {APPS, SOKETI_APPS, RULES};
    size_t count = 3;

    for (size_t i = 0; i < cli_server_setting_count && count < MAX_NAMES; i++)
        known[count++] = cli_server_settings[i].name;
    for (size_t i = 0; i < cli_name_count && count < MAX_NAMES; i++) {
        if (cli_names[i].key)
            known[count++] = cli_names[i].key;
    }

    const char *nearest = cli_nearest(key, known, count);
    return nearest
               ? cli_fail(reading->error, "%s: unknown setting \"%.100s\"; did you mean \"%s\"?",
                          reading->path, key, nearest)
               : cli_fail(reading->error, "%s: unknown setting \"%.100s\"", reading->path, key);
}

/* Remembers that a setting is in the file. Fails if it was there before, perhaps in another spelling. */
static int note(struct reading *reading, const char *key, const void *what)
{
    for (size_t i = 0; i < reading->seen_count; i++) {
        if (reading->seen[i] == what)
            return cli_fail(reading->error, "%s: %.100s is given twice", reading->path, key);
    }
    if (reading->seen_count < MAX_NAMES)
        reading->seen[reading->seen_count++] = what;
    return 0;
}

/* Returns a value as text, as the environment would have it; NULL: an array or an object. */
static const char *text_of(const cJSON *item, char number[64])
{
    if (cJSON_IsString(item))
        return item->valuestring;
    if (cJSON_IsBool(item))
        return cJSON_IsTrue(item) ? "true" : "false";
    if (!cJSON_IsNumber(item))
        return NULL;
    /* A fraction, a sign or an exponent fails later, when the text is read as a number. */
    (void)snprintf(number, 64, "%.15g", item->valuedouble);
    return number;
}

/* Names the JSON type that a setting must have under its name here, if `item` has another; NULL: the type is right. */
static const char *wrong_type(const struct cli_setting *setting, const cJSON *item)
{
    switch (setting->kind) {
    case CLI_SETTING_NUMBER:
    case CLI_SETTING_LIMIT:
    case CLI_SETTING_DELAY:
    case CLI_SETTING_BIG:
        return cJSON_IsNumber(item) ? NULL : "a number";
    case CLI_SETTING_MODE:
    case CLI_SETTING_WORKERS:
        return cJSON_IsNumber(item) || cJSON_IsString(item) ? NULL : "a number";
    case CLI_SETTING_FLAG:
        return cJSON_IsBool(item) ? NULL : "true or false";
    case CLI_SETTING_TEXT:
    case CLI_SETTING_SECRET:
    case CLI_SETTING_PATH:
    case CLI_SETTING_CHOICE:
        break;
    }
    return cJSON_IsString(item) ? NULL : "a string";
}

static int take_setting(struct reading *reading, const struct cli_setting *setting,
                        const cJSON *item)
{
    const char *wanted = wrong_type(setting, item);
    struct cli_settings ignored;
    struct cli_error error;
    char number[64];

    if (note(reading, setting->name, setting))
        return -1;
    if (cJSON_IsNull(item)) /* the same as a missing member */
        return 0;
    if (wanted)
        return cli_fail(reading->error, "%s: %s must be %s", reading->path, setting->name, wanted);
    cli_settings_init(&ignored);
    int status = cli_setting_set(reading->settings ? reading->settings : &ignored, setting,
                                 setting->name, 1, text_of(item, number), &error);
    cli_settings_free(&ignored);
    return status ? cli_fail(reading->error, "%s: %s", reading->path, error.text) : 0;
}

/* Takes a setting under soketi's key. Numbers may be strings: soketi accepts "6001" for 6001. */
static int take_name(struct reading *reading, const struct cli_name *name, const cJSON *item)
{
    char number[64];
    const char *text = text_of(item, number);
    const void *setting = name->whose == CLI_OF_SERVER ? cli_server_setting(name->setting)
                                                       : cli_app_setting(name->setting);
    struct cli_error error;

    if (note(reading, name->key, setting))
        return -1;
    if (cJSON_IsNull(item) || (text && !*text))
        return 0;
    if (!text)
        return cli_fail(reading->error, "%s: %s must not be an array or an object", reading->path,
                        name->key);
    return cli_name_take(name, reading->settings, reading->apps, NULL, name->key, text, &error)
               ? cli_fail(reading->error, "%s: %s", reading->path, error.text)
               : 0;
}

static void take_ignored(const struct reading *reading, const struct cli_ignored_name *ignored,
                         const char *key, const cJSON *item)
{
    char number[64];
    const char *text = cJSON_IsNull(item) || cJSON_IsFalse(item) ? "" : text_of(item, number);

    /* a list or an object counts as set unless it is empty */
    if (!text)
        text = item->child ? "..." : "";
    if (reading->warnings && cli_ignored_asks(ignored, text))
        cli_ignored_warn(reading->warnings, ignored, key);
}

static int take_app(const pusherc_app_options *options, void *user_data)
{
    const struct reading *reading = user_data;
    struct cli_error error;

    return cli_apps_add(reading->apps, options, &error)
               ? cli_fail(reading->error, "%s: %s", reading->path, error.text)
               : 0;
}

static int take_apps(struct reading *reading, const char *key, const cJSON *item)
{
    pusherc_errinfo info = {0};

    if (note(reading, key, reading->apps))
        return -1;
    if (cJSON_IsNull(item))
        return 0;
    if (!cJSON_IsArray(item))
        return cli_fail(reading->error, "%s: %s must be an array", reading->path, key);

    char *text = cJSON_PrintUnformatted(item);
    if (!text)
        return cli_fail_no_memory(reading->error);
    int status = pusherc_apps_from_json(pusherc_slice_of(text), take_app, reading, &info);
    cJSON_free(text);
    /* -1 comes from take_app(), which has filled `error`. */
    if (status == 0 || status == -1)
        return status;
    return cli_fail(reading->error, "%s: apps: %s", reading->path,
                    info.text[0] ? info.text : pusherc_strerror(status));
}

static int take_rules(struct reading *reading, const cJSON *item)
{
    struct cli_rules ignored = {0},
                     *rules = reading->settings ? &reading->settings->rules : &ignored;
    struct cli_error error;

    if (note(reading, RULES, RULES))
        return -1;
    if (cJSON_IsNull(item))
        return 0;
    int status = cli_rules_read(rules, item, &error);
    cli_rules_free(&ignored);
    return status ? cli_fail(reading->error, "%s: %s", reading->path, error.text) : 0;
}

static bool same(const char *a, const char *b)
{
    char plain_a[CLI_PLAIN_NAME_SIZE], plain_b[CLI_PLAIN_NAME_SIZE];

    cli_plain_name(plain_a, a);
    cli_plain_name(plain_b, b);
    return strcmp(plain_a, plain_b) == 0;
}

static bool begins(const char *known, const char *key)
{
    char plain_known[CLI_PLAIN_NAME_SIZE], plain_key[CLI_PLAIN_NAME_SIZE];

    if (!known)
        return false;
    cli_plain_name(plain_known, known);
    cli_plain_name(plain_key, key);
    size_t len = strlen(plain_key);
    return strncmp(plain_known, plain_key, len) == 0 && plain_known[len] == '.';
}

/* Keeps one of soketi's keys about Redis: what they mean is known when all are there. */
static int take_linking(struct reading *reading, size_t nth, const cJSON *item)
{
    const char *key = cli_linking_key(nth);
    char number[64], *copy;

    if (note(reading, key, key))
        return -1;
    if (cJSON_IsNull(item))
        return 0;
    const char *text = text_of(item, number);
    copy = text ? strdup(text) : cJSON_PrintUnformatted(item);
    if (!copy)
        return cli_fail_no_memory(reading->error);
    reading->linking.values[nth] = copy;
    return 0;
}

static bool is_seen(const struct reading *reading, const void *what)
{
    for (size_t i = 0; i < reading->seen_count; i++) {
        if (reading->seen[i] == what)
            return true;
    }
    return false;
}

/* The file's own `redis` goes before soketi's keys, which without Redis are as any that have no counterpart. */
static int finish_linking(struct reading *reading)
{
    struct cli_error error;

    if (cli_linking_keys_ask(&reading->linking)) {
        if (!reading->settings || is_seen(reading, cli_server_setting("redis")))
            return 0;
        return cli_linking_take_keys(&reading->linking, reading->settings, &error)
                   ? cli_fail(reading->error, "%s: %s", reading->path, error.text)
                   : 0;
    }
    for (size_t i = 0; i < CLI_LINKING_PARTS; i++) {
        const char *key = cli_linking_key(i), *value = reading->linking.values[i];
        const struct cli_ignored_name *ignored = value ? cli_ignored_key(key) : NULL;
        if (ignored && reading->warnings && cli_ignored_asks(ignored, value))
            cli_ignored_warn(reading->warnings, ignored, key);
    }
    return 0;
}

/* True if the name is the first part of one of soketi's keys. */
static bool is_group(const char *key)
{
    bool found = begins(SOKETI_APPS, key);

    for (size_t i = 0; i < cli_name_count; i++)
        found = found || begins(cli_names[i].key, key);
    for (size_t i = 0; i < cli_ignored_name_count; i++)
        found = found || begins(cli_ignored_names[i].key, key);
    for (size_t i = 0; i < CLI_LINKING_PARTS; i++)
        found = found || begins(cli_linking_key(i), key);
    return found;
}

static int take_all(struct reading *reading, const char *group, const cJSON *object);

static int take_item(struct reading *reading, const char *key, const cJSON *item)
{
    const struct cli_setting *setting = cli_server_setting(key);
    const struct cli_name *name = cli_name_of_key(key);
    const struct cli_ignored_name *ignored = cli_ignored_key(key);

    if (strcmp(key, APPS) == 0 || same(key, SOKETI_APPS))
        return take_apps(reading, key, item);
    if (strcmp(key, RULES) == 0)
        return take_rules(reading, item);
    if (cJSON_IsObject(item) &&
        is_group(key)) /* "metrics" is a group of soketi, and a setting here */
        return take_all(reading, key, item);
    if (setting)
        return take_setting(reading, setting, item);
    if (name)
        return take_name(reading, name, item);
    if (cli_linking_find_key(key) < CLI_LINKING_PARTS)
        return take_linking(reading, cli_linking_find_key(key), item);
    if (!ignored)
        return unknown_key(reading, key);
    take_ignored(reading, ignored, key, item);
    return 0;
}

/* Takes the members of an object. `group`: the part of the key before their names, such as "ssl"; or "". */
static int take_all(struct reading *reading, const char *group, const cJSON *object)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, object)
    {
        char key[MAX_KEY_BYTES];
        int len = snprintf(key, sizeof key, "%s%s%s", group, *group ? "." : "", item->string);

        if (len < 0 || (size_t)len >= sizeof key)
            return unknown_key(reading, item->string);
        int status = take_item(reading, key, item);
        if (status)
            return status;
    }
    return 0;
}

int cli_config_read(const char *path, struct cli_settings *settings, struct cli_apps *apps,
                    FILE *warnings, struct cli_error *error)
{
    struct reading reading = {path, settings, apps, warnings, error, {NULL}, 0, {{NULL}}};
    size_t len;
    char *text = read_file(path, &len, error);
    cJSON *root = text ? parse(path, text, len, error) : NULL;
    int status = -1;

    if (cJSON_IsObject(root))
        status = take_all(&reading, "", root);
    else if (root)
        (void)cli_fail(error, "%s must hold one JSON object", path);
    if (status == 0)
        status = finish_linking(&reading);
    cli_linking_keys_free(&reading.linking);
    cJSON_Delete(root);
    free(text);
    return status;
}
