#include "history.h"

#include <stdlib.h>
#include <string.h>

/* Copies the patterns into one block: first the structs, then all texts. NULL: out of memory. */
static pusherc_history_pattern *copy(const pusherc_history_pattern *patterns, size_t count)
{
    size_t size = count * sizeof *patterns;

    for (size_t i = 0; i < count; i++)
        size += strlen(patterns[i].pattern) + 1;
    pusherc_history_pattern *copies = malloc(size);
    if (!copies)
        return NULL;
    char *at = (char *)(copies + count);
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(patterns[i].pattern) + 1;
        copies[i] = patterns[i];
        copies[i].pattern = memcpy(at, patterns[i].pattern, len);
        at += len;
    }
    return copies;
}

bool cli_app_set_history(struct cli_app *app, const pusherc_history_pattern *patterns, size_t count)
{
    pusherc_history_pattern *copies = count ? copy(patterns, count) : NULL;

    if (count && !copies)
        return false;
    free(app->history);
    app->history = copies;
    app->options.history = copies;
    app->options.history_count = count;
    return true;
}

static void print_bound(FILE *file, const char *name, uint32_t value)
{
    if (value)
        (void)fprintf(file, ", \"%s\": %u", name, value);
}

void cli_history_print(FILE *file, const struct cli_app *app)
{
    (void)fputc('[', file);
    for (size_t i = 0; i < app->options.history_count; i++) {
        const pusherc_history_pattern *one = &app->options.history[i];
        (void)fputs(i ? ", {\"pattern\": " : "{\"pattern\": ", file);
        cli_print_json_text(file, one->pattern);
        print_bound(file, "max_events", one->max_events);
        print_bound(file, "max_bytes", one->max_bytes);
        print_bound(file, "max_age_s", one->max_age_s);
        (void)fputc('}', file);
    }
    (void)fputc(']', file);
}
