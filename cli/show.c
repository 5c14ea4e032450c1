#include "show.h"

#include "history.h"
#include "webhooks.h"

static void name(FILE *file, const char *indent, const char *text)
{
    (void)fprintf(file, "%s", indent);
    cli_print_json_text(file, text);
    (void)fputs(": ", file);
}

static void secret(FILE *file, const char *text)
{
    cli_print_json_text(file, text ? "(not shown)" : NULL);
}

static void origins(FILE *file, char *const *list)
{
    if (!list) {
        (void)fputs("null", file);
        return;
    }
    (void)fputc('[', file);
    for (char *const *one = list; *one; one++) {
        (void)fputs(one == list ? "" : ", ", file);
        cli_print_json_text(file, *one);
    }
    (void)fputc(']', file);
}

static void show_app(FILE *file, const struct cli_app *app)
{
    static const char indent[] = "      ";

    (void)fprintf(file, "    {\n");
    name(file, indent, "id");
    cli_print_json_text(file, app->id);
    (void)fputs(",\n", file);
    name(file, indent, "key");
    cli_print_json_text(file, app->key);
    (void)fputs(",\n", file);
    name(file, indent, "secret");
    secret(file, app->secret);
    (void)fputs(",\n", file);
    name(file, indent, "encryption_master_key");
    secret(file, app->master_key);
    (void)fputs(",\n", file);
    name(file, indent, "shaping");
    cli_print_json_text(file, app->shaping);
    (void)fputs(",\n", file);
    name(file, indent, "ephemeral");
    cli_print_json_text(file, app->ephemeral);
    (void)fputs(",\n", file);
    name(file, indent, "allowed_origins");
    origins(file, app->origins);
    (void)fputs(",\n", file);
    name(file, indent, "webhooks");
    cli_webhooks_print(file, app);
    (void)fputs(",\n", file);
    name(file, indent, "history");
    cli_history_print(file, app);
    for (size_t i = 0; i < cli_app_setting_count; i++) {
        (void)fputs(",\n", file);
        name(file, indent, cli_app_settings[i].name);
        cli_setting_print(file, &app->options, &cli_app_settings[i]);
    }
    (void)fprintf(file, "\n    }");
}

void cli_show(FILE *file, const struct cli_settings *settings, const struct cli_apps *apps)
{
    (void)fprintf(file, "{\n");
    for (size_t i = 0; i < cli_server_setting_count; i++) {
        name(file, "  ", cli_server_settings[i].name);
        cli_setting_print(file, settings, &cli_server_settings[i]);
        (void)fputs(",\n", file);
    }
    (void)fprintf(file, "  \"apps\": [\n");
    for (size_t i = 0; i < apps->count; i++) {
        show_app(file, &apps->items[i]);
        (void)fputs(i + 1 < apps->count ? ",\n" : "\n", file);
    }
    (void)fprintf(file, "  ],\n  \"rules\": ");
    cli_rules_print(file, &settings->rules);
    (void)fprintf(file, "\n}\n");
}
