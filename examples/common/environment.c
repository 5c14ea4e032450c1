#include "common/environment.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/say.h"

#define MAX_LINE 4096

static const char name_characters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";

/* The value of ${NAME} at *at, which is moved behind it; NULL if there is no such thing. */
static const char *read_reference(const char **at)
{
    char name[128];
    size_t len = strncmp(*at, "${", 2) == 0 ? strspn(*at + 2, name_characters) : 0;
    if (len == 0 || len >= sizeof name || (*at)[2 + len] != '}')
        return NULL;
    memcpy(name, *at + 2, len);
    name[len] = '\0';
    *at += len + 3;
    const char *value = getenv(name);
    return value ? value : "";
}

static bool append(char *out, size_t *len, const char *text, size_t bytes)
{
    if (*len + bytes >= MAX_LINE)
        return false;
    memcpy(out + *len, text, bytes);
    *len += bytes;
    out[*len] = '\0';
    return true;
}

/* True if the rest of a line is nothing but white space and a comment. */
static bool is_over(const char *rest)
{
    rest += strspn(rest, " \t");
    return *rest == '\0' || *rest == '#';
}

/* False if a quote is not closed, or it is too long. */
static bool read_value(char *out, const char *at)
{
    size_t len = 0;
    char quote = *at == '"' || *at == '\'' ? *at++ : '\0';
    out[0] = '\0';
    if (!quote && (*at == ' ' || *at == '\t') && !is_over(at))
        return false; /* other readers of such files do not agree what that means */
    while (*at && (quote ? *at != quote : !(strchr(" \t", *at) && is_over(at)))) {
        const char *value = quote != '\'' ? read_reference(&at) : NULL;
        if (!value && quote == '"' && *at == '\\' && at[1])
            at++;
        if (value ? !append(out, &len, value, strlen(value)) : !append(out, &len, at++, 1))
            return false;
    }
    return !quote || (*at == quote && is_over(at + 1));
}

static bool read_line(char *line)
{
    char value[MAX_LINE];
    char *at = line + strspn(line, " \t");
    line[strcspn(line, "\r\n")] = '\0';
    if (is_over(at))
        return true;
    if (strncmp(at, "export ", 7) == 0)
        at += 7;
    char *name = at;
    at += strspn(at, name_characters);
    if (at == name || *at != '=')
        return false;
    *at++ = '\0';
    return read_value(value, at) && setenv(name, value, 0) == 0;
}

int environment_read(const char *path)
{
    char line[MAX_LINE];
    FILE *file = fopen(path, "r");
    if (!file) {
        say("cannot read %s: %s", path, strerror(errno));
        return -1;
    }
    int status = 0;
    for (unsigned number = 1; status == 0 && fgets(line, sizeof line, file); number++) {
        if (!read_line(line)) {
            say("%s, line %u: this is not NAME=VALUE", path, number); /* values may be secrets */
            status = -1;
        }
    }
    fclose(file);
    return status;
}
