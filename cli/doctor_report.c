/* What the doctor says: the table of findings, as lines or as JSON. */
#include "doctor.h"

#include <stdarg.h>
#include <stdio.h>

enum level {
    OK,
    WARN,
    FAIL
};

static const struct row {
    enum level level;
    const char *cause, *check, *meaning, *advice;
} rows[] = {
#define ROW(name, level, check, meaning, advice) {level, #name, check, meaning, advice},
    CLI_FINDING_MAP(ROW)
#undef ROW
};
#define ROW_COUNT (sizeof rows / sizeof rows[0])

static const char *const level_words[] = {"ok", "warn", "fail"};
static const char *const level_colours[] = {"\033[32m", "\033[33m", "\033[31m"};

/* The name of a finding as programs see it: "tls-expired". */
static void put_cause(const struct row *row, char out[64])
{
    size_t i = 0;

    for (; row->cause[i] && i < 63; i++) {
        char c = row->cause[i];
        out[i] = c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    out[i] = '\0';
}

static cJSON *as_json(const struct row *row)
{
    char cause[64];
    cJSON *json = cJSON_CreateObject();

    put_cause(row, cause);
    cJSON_AddStringToObject(json, "check", row->check);
    cJSON_AddStringToObject(json, "cause", cause);
    cJSON_AddStringToObject(json, "level", level_words[row->level]);
    cJSON_AddStringToObject(json, "meaning", row->meaning);
    cJSON_AddStringToObject(json, "advice", row->advice);
    return json;
}

static void print_line(const struct cli_doctor *d, const struct row *row, const char *seen)
{
    const char *colour = d->colour ? level_colours[row->level] : "";

    printf("%s%-4s%s  %-9s  %s", colour, level_words[row->level], d->colour ? "\033[0m" : "",
           row->check, row->meaning);
    if (*seen)
        printf(": %s", seen);
    if (*row->advice)
        printf(" -> %s", row->advice);
    printf("\n");
    (void)fflush(stdout);
}

void cli_doctor_say(struct cli_doctor *d, enum cli_finding finding, const char *format, ...)
{
    const struct row *row = &rows[finding];
    char seen[1200];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(seen, sizeof seen, format, arguments);
    va_end(arguments);
    cli_make_plain(seen);
    d->counts[row->level]++;
    if (d->json) {
        cJSON *json = as_json(row);
        cJSON_AddStringToObject(json, "seen", seen);
        cJSON_AddItemToArray(d->findings, json);
    } else {
        print_line(d, row, seen);
    }
}

static void print_json(cJSON *json)
{
    char *text = cJSON_Print(json);

    if (text)
        printf("%s\n", text);
    cJSON_free(text);
    cJSON_Delete(json);
}

void cli_doctor_end(struct cli_doctor *d)
{
    if (!d->json) {
        printf("%u ok, %u warn, %u fail\n", d->counts[OK], d->counts[WARN], d->counts[FAIL]);
        return;
    }
    cJSON *json = cJSON_CreateObject();
    for (size_t i = 0; i < 3; i++)
        cJSON_AddNumberToObject(json, level_words[i], d->counts[i]);
    cJSON_AddItemToObject(json, "checks", d->findings);
    d->findings = NULL;
    print_json(json);
}

void cli_doctor_list(void)
{
    cJSON *json = cJSON_CreateArray();

    for (size_t i = 0; i < ROW_COUNT; i++)
        cJSON_AddItemToArray(json, as_json(&rows[i]));
    print_json(json);
}

bool cli_doctor_has_failed(const struct cli_doctor *d)
{
    return d->counts[FAIL] > 0;
}
