#include "dotenv.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINE  8192
#define MAX_VALUE 4096

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.';
}

static void append(char *out, size_t *len, const char *text, size_t count)
{
    if (*len + count >= MAX_VALUE)
        count = MAX_VALUE - 1 - *len;
    memcpy(out + *len, text, count);
    *len += count;
    out[*len] = '\0';
}

/* Writes `raw` with ${NAME} replaced, and with what \ stands for if it was in double quotes. */
static void expand(struct cli_dotenv *env, const char *raw, size_t raw_len, char quote, char *out)
{
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < raw_len; i++) {
        const char *end;
        if (quote == '"' && raw[i] == '\\' && i + 1 < raw_len) {
            i++;
            append(out, &len, raw[i] == 'n' ? "\n" : raw[i] == 't' ? "\t" : raw + i, 1);
        } else if (quote != '\'' && raw[i] == '$' && i + 1 < raw_len && raw[i + 1] == '{' &&
                   (end = memchr(raw + i, '}', raw_len - i)) && end - raw - (ptrdiff_t)i < 128) {
            char name[128];
            (void)snprintf(name, sizeof name, "%.*s", (int)(end - raw - (ptrdiff_t)i - 2),
                           raw + i + 2);
            const char *value = cli_dotenv_get(name, env);
            if (value)
                append(out, &len, value, strlen(value));
            i = (size_t)(end - raw);
        } else {
            append(out, &len, raw + i, 1);
        }
    }
}

static bool is_quote(char c)
{
    return c == '"' || c == '\'';
}

/* Finds the value in what stands behind "=": without quotes, without a comment. */
static void read_value(struct cli_dotenv *env, struct cli_dotenv_entry *entry, const char *text,
                       char *out)
{
    size_t len;
    char quote = 0;

    text += strspn(text, " \t");
    if (is_quote(*text)) {
        quote = *text++;
        for (len = 0; text[len] && text[len] != quote; len++)
            len += quote == '"' && text[len] == '\\' && text[len + 1];
        entry->open_quote = text[len] != quote;
        entry->inner_quote = len > 1 && is_quote(text[0]) && text[len - 1] == text[0];
    } else {
        /* a '#' begins a comment only behind white space */
        for (len = 0; text[len] && !(text[len] == '#' && (len == 0 || isspace(text[len - 1])));)
            len++;
        while (len > 0 && isspace((unsigned char)text[len - 1]))
            len--;
        entry->open_quote = len > 0 && is_quote(text[len - 1]);
    }
    expand(env, text, len, quote, out);
}

static int read_line(struct cli_dotenv *env, char *line, unsigned number, struct cli_error *error)
{
    char value[MAX_VALUE];
    struct cli_dotenv_entry entry = {.line = number};

    line[strcspn(line, "\r\n")] = '\0';
    line += strspn(line, " \t");
    if (strncmp(line, "export ", 7) == 0)
        line += 7 + strspn(line + 7, " \t");
    size_t name_len = 0;
    while (is_name(line[name_len]))
        name_len++;
    char *equals = line + name_len + strspn(line + name_len, " \t");
    if (name_len == 0 || *equals != '=' || env->count == CLI_DOTENV_MAX)
        return 0;
    read_value(env, &entry, equals + 1, value);
    line[name_len] = '\0';
    const char *before = cli_dotenv_get(line, env);
    entry.repeated = before && strcmp(before, value) != 0;
    entry.name = strdup(line);
    entry.value = strdup(value);
    if (!entry.name || !entry.value) {
        free(entry.name);
        free(entry.value);
        return cli_fail_no_memory(error);
    }
    env->entries[env->count++] = entry;
    return 0;
}

int cli_dotenv_read(struct cli_dotenv *env, const char *path, struct cli_error *error)
{
    char line[MAX_LINE];
    int status = 0;
    FILE *file = fopen(path, "r");

    env->count = 0;
    if (!file)
        return cli_fail(error, "cannot read %.300s: %s", path, strerror(errno));
    for (unsigned number = 1; status == 0 && fgets(line, sizeof line, file); number++)
        status = read_line(env, line, number, error);
    if (ferror(file) && status == 0)
        status = cli_fail(error, "cannot read %.300s: %s", path, strerror(errno));
    (void)fclose(file);
    return status;
}

void cli_dotenv_free(struct cli_dotenv *env)
{
    for (unsigned i = 0; i < env->count; i++) {
        free(env->entries[i].name);
        free(env->entries[i].value);
    }
    env->count = 0;
}

const char *cli_dotenv_get(const char *name, void *env)
{
    struct cli_dotenv *file = env;

    for (unsigned i = file->count; i > 0; i--) {
        if (strcmp(file->entries[i - 1].name, name) == 0)
            return file->entries[i - 1].value;
    }
    return NULL;
}

const char *cli_dotenv_value(struct cli_dotenv *env, const char *name)
{
    const char *value = cli_dotenv_get(name, env);
    return value && *value ? value : NULL;
}
