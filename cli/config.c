#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

/* As much as pusherc_apps_from_json() takes. */
#define MAX_FILE_BYTES 1048576
#define MAX_NAMES      64

struct reading {
    const char *path;
    struct cli_settings *settings;
    struct cli_apps *apps;
    struct cli_error *error;
};

/* The text with a NUL behind it, owned by the caller, or NULL with `error`. */
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
        /* cJSON stops behind the value; anything but white space there is a slip of the hand. */
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

static int unknown_name(const struct reading *reading, const char *name)
{
    const char *known[MAX_NAMES] = {"apps"};
    size_t count = 1;

    for (size_t i = 0; i < cli_settings_count && count < MAX_NAMES; i++)
        known[count++] = cli_settings_table[i].name;

    const char *nearest = cli_nearest(name, known, count);
    return nearest
               ? cli_fail(reading->error, "%s: unknown setting \"%.100s\"; did you mean \"%s\"?",
                          reading->path, name, nearest)
               : cli_fail(reading->error, "%s: unknown setting \"%.100s\"", reading->path, name);
}

static int take_setting(const struct reading *reading, const struct cli_setting *setting,
                        const cJSON *item)
{
    char number[64];
    const char *text = item->valuestring;

    if (cJSON_IsNull(item)) /* as if left out */
        return 0;
    bool wants_number = setting->kind == CLI_SETTING_NUMBER ||
                        (setting->kind == CLI_SETTING_WORKERS && !cJSON_IsString(item));

    if (wants_number) {
        if (!cJSON_IsNumber(item))
            return cli_fail(reading->error, "%s: %s must be a number", reading->path,
                            setting->name);
        /* A fraction, a sign or an exponent then fails as any other bad text does. */
        (void)snprintf(number, sizeof(number), "%.15g", item->valuedouble);
        text = number;
    } else if (!cJSON_IsString(item)) {
        return cli_fail(reading->error, "%s: %s must be a string", reading->path, setting->name);
    }

    struct cli_settings ignored;
    struct cli_error error;
    cli_settings_init(&ignored);
    int status = cli_settings_set(reading->settings ? reading->settings : &ignored, setting,
                                  setting->name, text, &error);
    cli_settings_free(&ignored);
    return status ? cli_fail(reading->error, "%s: %s", reading->path, error.text) : 0;
}

static int take_app(const pusherc_app_options *options, void *user_data)
{
    const struct reading *reading = user_data;
    struct cli_error error;

    return cli_apps_add(reading->apps, options, &error)
               ? cli_fail(reading->error, "%s: %s", reading->path, error.text)
               : 0;
}

static int take_apps(struct reading *reading, const cJSON *item)
{
    pusherc_errinfo info = {0};

    if (cJSON_IsNull(item))
        return 0;
    if (!cJSON_IsArray(item))
        return cli_fail(reading->error, "%s: apps must be an array", reading->path);

    char *text = cJSON_PrintUnformatted(item);
    if (!text)
        return cli_fail_no_memory(reading->error);
    int status = pusherc_apps_from_json(pusherc_slice_of(text), take_app, reading, &info);
    cJSON_free(text);
    /* -1 is take_app()'s, which has said why. */
    if (status == 0 || status == -1)
        return status;
    return cli_fail(reading->error, "%s: apps: %s", reading->path,
                    info.text[0] ? info.text : pusherc_strerror(status));
}

static int take_all(struct reading *reading, const cJSON *root)
{
    const cJSON *item;

    if (!cJSON_IsObject(root))
        return cli_fail(reading->error, "%s must hold one JSON object", reading->path);
    cJSON_ArrayForEach(item, root)
    {
        const struct cli_setting *setting = cli_setting_find(item->string);
        int status;

        if (strcmp(item->string, "apps") == 0)
            status = take_apps(reading, item);
        else if (setting)
            status = take_setting(reading, setting, item);
        else
            status = unknown_name(reading, item->string);
        if (status)
            return status;
    }
    return 0;
}

int cli_config_read(const char *path, struct cli_settings *settings, struct cli_apps *apps,
                    struct cli_error *error)
{
    struct reading reading = {path, settings, apps, error};
    size_t len;
    char *text = read_file(path, &len, error);
    cJSON *root = text ? parse(path, text, len, error) : NULL;
    int status = root ? take_all(&reading, root) : -1;

    cJSON_Delete(root);
    free(text);
    return status;
}
