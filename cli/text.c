#include "text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_WORD 63

/* Bytes of a character at `text` that could steer a terminal: a control character of ASCII or C1, the end of a line or
 * paragraph, or one that turns the direction of text; 0 = it is another one. */
static size_t control(const unsigned char *text)
{
    if (text[0] < 0x20 || text[0] == 0x7f)
        return 1;
    if ((text[0] == 0xc2 && text[1] >= 0x80 && text[1] < 0xa0) ||
        (text[0] == 0xd8 && text[1] == 0x9c))
        return 2;
    if (text[0] == 0xe2 && text[1] == 0x80 &&
        (text[2] == 0x8e || text[2] == 0x8f || (text[2] >= 0xa8 && text[2] <= 0xae)))
        return 3;
    return text[0] == 0xe2 && text[1] == 0x81 && text[2] >= 0xa6 && text[2] <= 0xa9 ? 3 : 0;
}

void cli_make_plain(char *text)
{
    char *out = text;

    while (*text) {
        size_t len = control((const unsigned char *)text);
        *out++ = len ? '?' : *text;
        text += len ? len : 1;
    }
    *out = '\0';
}

int cli_fail(struct cli_error *error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    cli_make_plain(error->text);
    return -1;
}

int cli_fail_no_memory(struct cli_error *error)
{
    return cli_fail(error, "out of memory");
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edit distance: counts insertions, deletions, replacements and swaps of neighbours. '-' equals '_'. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][MAX_WORD + 1];
    size_t len_a = strlen(a), len_b = strlen(b);
    size_t *before = rows[0], *above = rows[1], *row = rows[2];

    for (size_t j = 0; j <= len_b; j++)
        above[j] = before[j] = j;
    for (size_t i = 1; i <= len_a; i++) {
        row[0] = i;
        for (size_t j = 1; j <= len_b; j++) {
            char x = a[i - 1] == '_' ? '-' : a[i - 1];
            char y = b[j - 1] == '_' ? '-' : b[j - 1];

            row[j] = smaller(smaller(above[j], row[j - 1]) + 1, above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x != y && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = smaller(row[j], before[j - 2] + 1);
        }
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[len_b];
}

const char *cli_nearest(const char *word, const char *const known[], size_t count)
{
    size_t len = strlen(word);
    /* One error for each three letters is a typing error; with more it is another word. */
    size_t best = len / 3 + 2;
    const char *nearest = NULL;

    if (len == 0 || len > MAX_WORD)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        if (strlen(known[i]) > MAX_WORD)
            continue;
        size_t slips = distance(word, known[i]);
        if (slips < best) {
            best = slips;
            nearest = known[i];
        }
    }
    return nearest;
}

bool cli_parse_number(const char *text, uint64_t *out)
{
    uint64_t value = 0;

    if (!*text)
        return false;
    for (; *text; text++) {
        unsigned digit = (unsigned)(unsigned char)*text - '0';
        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

bool cli_parse_switch(const char *text, bool *out)
{
    static const char *const words[][2] = {
        {"false", "true"}, {"0", "1"}, {"no", "yes"}, {"off", "on"}};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        for (int value = 0; value < 2; value++) {
            if (strcasecmp(text, words[i][value]) == 0) {
                *out = value;
                return true;
            }
        }
    }
    return false;
}

bool cli_set_text(char **out, const char *text)
{
    char *copy = strdup(text);

    if (!copy)
        return false;
    free(*out);
    *out = copy;
    return true;
}

void cli_plain_name(char out[CLI_PLAIN_NAME_SIZE], const char *name)
{
    size_t len = 0;

    for (; *name && len < CLI_PLAIN_NAME_SIZE - 1; name++) {
        if (*name != '_')
            out[len++] = *name >= 'A' && *name <= 'Z' ? (char)(*name - 'A' + 'a') : *name;
    }
    out[len] = '\0';
}

void cli_print_json_text(FILE *file, const char *text)
{
    if (!text) {
        (void)fputs("null", file);
        return;
    }
    (void)fputc('"', file);
    while (*text) {
        const unsigned char *c = (const unsigned char *)text;
        size_t len = control(c);
        unsigned number = len == 3   ? (c[0] & 15u) << 12 | (c[1] & 63u) << 6 | (c[2] & 63u)
                          : len == 2 ? (c[0] & 31u) << 6 | (c[1] & 63u)
                                     : c[0];
        if (len > 0)
            (void)fprintf(file, "\\u%04x", number);
        else
            (void)fprintf(file, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
        text += len > 0 ? len : 1;
    }
    (void)fputc('"', file);
}

void cli_print_url(FILE *file, const char *url)
{
    const char *scheme = strstr(url, "://");
    const char *host = scheme ? scheme + 3 : url;
    const char *at = memchr(host, '@', strcspn(host, "/?#"));
    const char *rest = at ? at : host;
    size_t shown = strcspn(rest, "?#");
    char *text = malloc(strlen(url) + 2 * sizeof "(not shown)" + 1);

    if (text)
        (void)sprintf(text, "%.*s%s%.*s%s", (int)(host - url), url, at ? "(not shown)" : "",
                      (int)shown, rest, rest[shown] ? "?(not shown)" : "");
    cli_print_json_text(file, text);
    free(text);
}
