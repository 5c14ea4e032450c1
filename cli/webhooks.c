#include "webhooks.h"

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

static size_t size_of(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static size_t block_size(const pusherc_webhook *webhooks, size_t count)
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++) {
        const pusherc_webhook *one = &webhooks[i];
        size += sizeof *one + one->header_count * sizeof *one->headers + size_of(one->url) +
                size_of(one->channel_prefix) + size_of(one->channel_suffix);
        for (size_t j = 0; j < one->header_count; j++)
            size += size_of(one->headers[j].name) + size_of(one->headers[j].value);
    }
    return size;
}

/* Copies the text to *at and advances *at. */
static const char *keep(char **at, const char *text)
{
    char *copy = *at;

    if (!text)
        return NULL;
    memcpy(copy, text, size_of(text));
    *at += size_of(text);
    return copy;
}

/* Copies the endpoints into one block: first the endpoints, then all headers, then all texts. NULL: out of memory. */
static pusherc_webhook *copy(const pusherc_webhook *webhooks, size_t count)
{
    pusherc_webhook *copies = malloc(block_size(webhooks, count));
    size_t header_count = 0;

    if (!copies)
        return NULL;
    for (size_t i = 0; i < count; i++)
        header_count += webhooks[i].header_count;
    pusherc_webhook_header *headers = (pusherc_webhook_header *)(void *)(copies + count);
    char *at = (char *)(headers + header_count);
    for (size_t i = 0; i < count; i++) {
        copies[i] = webhooks[i];
        copies[i].url = keep(&at, webhooks[i].url);
        copies[i].channel_prefix = keep(&at, webhooks[i].channel_prefix);
        copies[i].channel_suffix = keep(&at, webhooks[i].channel_suffix);
        copies[i].headers = webhooks[i].header_count ? headers : NULL;
        for (size_t j = 0; j < webhooks[i].header_count; j++, headers++) {
            headers->name = keep(&at, webhooks[i].headers[j].name);
            headers->value = keep(&at, webhooks[i].headers[j].value);
        }
    }
    return copies;
}

bool cli_app_set_webhooks(struct cli_app *app, const pusherc_webhook *webhooks, size_t count)
{
    pusherc_webhook *copies = count ? copy(webhooks, count) : NULL;

    if (count && !copies)
        return false;
    free(app->webhooks);
    app->webhooks = copies;
    app->options.webhooks = copies;
    app->options.webhook_count = count;
    return true;
}

static int take(const pusherc_app_options *options, void *user_data)
{
    return cli_app_set_webhooks(user_data, options->webhooks, options->webhook_count)
               ? 0
               : PUSHERC_ENOMEM;
}

int cli_webhooks_read(struct cli_app *app, const char *source, const char *text,
                      struct cli_error *error)
{
    static const char format[] = "{\"webhooks\":%s}";
    size_t size = sizeof format + strlen(text);
    pusherc_errinfo info = {0};

    /* Parsed alone first, so that text after the array cannot add members to the object below. */
    cJSON *root = cJSON_ParseWithOpts(text, NULL, 1);
    bool array = cJSON_IsArray(root);
    cJSON_Delete(root);
    if (!array)
        return cli_fail(error, "%s must be a JSON array", source);

    char *json = malloc(size);
    if (!json)
        return cli_fail_no_memory(error);
    int len = snprintf(json, size, format, text);
    int status = pusherc_apps_from_json((pusherc_slice){json, (size_t)len}, take, app, &info);
    free(json);
    return status ? cli_fail(error, "%s: %s", source,
                             info.text[0] ? info.text : pusherc_strerror(status))
                  : 0;
}

int cli_webhooks_add(struct cli_app *app, const char *url, struct cli_error *error)
{
    size_t count = app->options.webhook_count;
    pusherc_webhook *all = calloc(count + 1, sizeof *all);

    if (!all)
        return cli_fail_no_memory(error);
    for (size_t i = 0; i < count; i++)
        all[i] = app->options.webhooks[i];
    all[count] = (pusherc_webhook){.struct_size = sizeof *all, .url = url};
    bool whole = cli_app_set_webhooks(app, all, count + 1);
    free(all);
    return whole ? 0 : cli_fail_no_memory(error);
}

static void print_events(FILE *file, uint32_t events)
{
    static const char *const names[] = {"channel_occupied",  "channel_vacated", "member_added",
                                        "member_removed",    "client_event",    "cache_miss",
                                        "subscription_count"};
    const char *comma = "";

    (void)fputs(", \"event_types\": [", file);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (events & (1u << i)) {
            (void)fprintf(file, "%s\"%s\"", comma, names[i]);
            comma = ", ";
        }
    }
    (void)fputc(']', file);
}

static void print_filter(FILE *file, const pusherc_webhook *webhook)
{
    (void)fputs(", \"filter\": {", file);
    if (webhook->channel_prefix) {
        (void)fputs("\"channel_name_starts_with\": ", file);
        cli_print_json_text(file, webhook->channel_prefix);
    }
    if (webhook->channel_suffix) {
        (void)fprintf(file, "%s\"channel_name_ends_with\": ", webhook->channel_prefix ? ", " : "");
        cli_print_json_text(file, webhook->channel_suffix);
    }
    (void)fputc('}', file);
}

static void print_one(FILE *file, const pusherc_webhook *webhook)
{
    (void)fputs("{\"url\": ", file);
    cli_print_url(file, webhook->url);
    if (webhook->events)
        print_events(file, webhook->events);
    if (webhook->channel_prefix || webhook->channel_suffix)
        print_filter(file, webhook);
    for (size_t i = 0; i < webhook->header_count; i++) {
        (void)fputs(i == 0 ? ", \"headers\": {" : ", ", file);
        cli_print_json_text(file, webhook->headers[i].name);
        (void)fputs(": \"(not shown)\"", file);
    }
    (void)fputs(webhook->header_count ? "}}" : "}", file);
}

void cli_webhooks_print(FILE *file, const struct cli_app *app)
{
    (void)fputc('[', file);
    for (size_t i = 0; i < app->options.webhook_count; i++) {
        (void)fputs(i ? ", " : "", file);
        print_one(file, &app->options.webhooks[i]);
    }
    (void)fputc(']', file);
}
