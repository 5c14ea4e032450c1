#include "apps.h"

#include <stdlib.h>
#include <string.h>

#include "settings.h"

void cli_apps_init(struct cli_apps *apps)
{
    *apps = (struct cli_apps){0};
}

static void origins_free(struct cli_app *app)
{
    for (char **origin = app->origins; origin && *origin; origin++)
        free(*origin);
    free(app->origins);
    app->origins = NULL;
    app->options.allowed_origins = NULL;
}

static void app_free(struct cli_app *app)
{
    origins_free(app);
    free(app->webhooks);
    free(app->shaping);
    free(app->ephemeral);
    free(app->history);
    free(app->master_key);
    free(app->secret);
    free(app->key);
    free(app->id);
}

void cli_apps_free(struct cli_apps *apps)
{
    for (size_t i = 0; i < apps->count; i++)
        app_free(&apps->items[i]);
    free(apps->items);
    cli_apps_init(apps);
}

struct cli_app *cli_apps_find(const struct cli_apps *apps, const char *id)
{
    for (size_t i = 0; i < apps->count; i++) {
        if (strcmp(apps->items[i].id, id) == 0)
            return &apps->items[i];
    }
    return NULL;
}

/* Copies a text. A text that is not set becomes "", so that the library reports the missing field. */
static bool set_own_text(char **own, const char **option, const char *text)
{
    if (!cli_set_text(own, text ? text : ""))
        return false;
    *option = *own;
    return true;
}

static bool copy_origins(struct cli_app *app, const char *const *origins)
{
    size_t count = 0;

    app->options.allowed_origins = NULL;
    if (!origins)
        return true;
    while (origins[count])
        count++;
    app->origins = calloc(count + 1, sizeof *app->origins);
    if (!app->origins)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!cli_set_text(&app->origins[i], origins[i]))
            return false;
    }
    app->options.allowed_origins = (const char *const *)app->origins;
    return true;
}

int cli_apps_add(struct cli_apps *apps, const pusherc_app_options *options, struct cli_error *error)
{
    struct cli_app app = {.options = *options};
    const char *id = options->id ? options->id : "";

    if (cli_apps_find(apps, id))
        return cli_fail(error, "there are two apps with the id \"%.200s\"", id);

    struct cli_app *items = realloc(apps->items, (apps->count + 1) * sizeof *items);
    if (!items)
        return cli_fail_no_memory(error);
    apps->items = items;
    if (!set_own_text(&app.id, &app.options.id, id) ||
        !set_own_text(&app.key, &app.options.key, options->key) ||
        !set_own_text(&app.secret, &app.options.secret, options->secret) ||
        (options->encryption_master_key &&
         !set_own_text(&app.master_key, &app.options.encryption_master_key,
                       options->encryption_master_key)) ||
        (options->shaping && !set_own_text(&app.shaping, &app.options.shaping, options->shaping)) ||
        (options->ephemeral &&
         !set_own_text(&app.ephemeral, &app.options.ephemeral, options->ephemeral)) ||
        !copy_origins(&app, options->allowed_origins) ||
        !cli_app_set_webhooks(&app, options->webhooks, options->webhook_count) ||
        !cli_app_set_history(&app, options->history, options->history_count)) {
        app_free(&app);
        return cli_fail_no_memory(error);
    }
    apps->items[apps->count++] = app;
    return 0;
}

struct cli_app *cli_apps_get(struct cli_apps *apps, const char *id)
{
    struct cli_app *app = cli_apps_find(apps, id);
    pusherc_app_options options;
    struct cli_error ignored;

    if (app)
        return app;
    pusherc_app_options_init(&options, sizeof options);
    options.id = id;
    options.key = CLI_DEFAULT_APP_KEY;
    options.secret = CLI_DEFAULT_APP_SECRET;
    return cli_apps_add(apps, &options, &ignored) ? NULL : &apps->items[apps->count - 1];
}

static bool has_default_name(const struct cli_app *app)
{
    return strcmp(app->id, CLI_DEFAULT_APP_ID) == 0 && strcmp(app->key, CLI_DEFAULT_APP_KEY) == 0;
}

bool cli_app_is_default(const struct cli_app *app)
{
    return has_default_name(app) && strcmp(app->secret, CLI_DEFAULT_APP_SECRET) == 0;
}

int cli_apps_check_secrets(const struct cli_apps *apps, struct cli_error *error)
{
    for (size_t i = 0; i < apps->count; i++) {
        const struct cli_app *app = &apps->items[i];

        if (app->lacks && !has_default_name(app))
            return cli_fail(error, "app \"%.200s\" has no secret: set %s or %s_FILE", app->id,
                            app->lacks, app->lacks);
    }
    return 0;
}

bool cli_app_set_credentials(struct cli_app *app, const char *key, const char *secret)
{
    if (secret)
        app->lacks = NULL;
    return (!key || set_own_text(&app->key, &app->options.key, key)) &&
           (!secret || set_own_text(&app->secret, &app->options.secret, secret));
}

bool cli_app_set_origins(struct cli_app *app, const char *text)
{
    char *copy = strdup(text), *rest = NULL;
    char **origins = calloc(strlen(text) + 1, sizeof *origins);
    size_t count = 0;
    bool whole = copy && origins;

    for (char *one = whole ? strtok_r(copy, ", ", &rest) : NULL; one && whole;
         one = strtok_r(NULL, ", ", &rest))
        whole = cli_set_text(&origins[count++], one);
    free(copy);
    if (whole && count > 0) { /* an empty list restricts no origin, so it counts as not set */
        origins_free(app);
        app->origins = origins;
        app->options.allowed_origins = (const char *const *)origins;
        return true;
    }
    for (size_t i = 0; origins && i < count; i++)
        free(origins[i]);
    free(origins);
    return whole;
}

void cli_apps_share(struct cli_apps *apps)
{
    for (size_t i = 0; i < apps->count; i++) {
        for (size_t j = 0; j < cli_app_setting_count; j++) {
            const struct cli_setting *setting = &cli_app_settings[j];

            if (!cli_setting_is_number(setting))
                continue;
            void *own = (char *)&apps->items[i].options + setting->offset;
            if (*(uint32_t *)own == 0)
                *(uint32_t *)own = *(uint32_t *)(void *)((char *)&apps->common + setting->offset);
        }
    }
}

int cli_apps_put_text(struct cli_apps *apps, const char *text, struct cli_error *error)
{
    char *id = strdup(text);
    char *key = id ? strchr(id, ':') : NULL;
    char *secret = key ? strchr(key + 1, ':') : NULL;
    int status = 0;

    if (!id)
        return cli_fail_no_memory(error);
    if (!secret || key == id || secret == key + 1 || !secret[1]) {
        /* Without the text, which may hold a secret: standard error is often kept. */
        status = cli_fail(error, "--app must be ID:KEY:SECRET, three parts with a colon between");
    } else {
        *key++ = *secret++ = '\0';
        struct cli_app *app = cli_apps_get(apps, id);
        if (!app || !cli_app_set_credentials(app, key, secret))
            status = cli_fail_no_memory(error);
    }
    free(id);
    return status;
}
