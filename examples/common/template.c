#include "common/template.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/assets.h"
#include "common/say.h"

#define MAX_NAME 32

/* Where names are looked up: the innermost value first. */
struct scope {
    const cJSON *values;
    const struct scope *outer;
};

struct source {
    const char *ptr;
    const char *end;
};

static void render_file(FILE *out, const char *name, const struct scope *scope);

static const cJSON *look_up(const struct scope *scope, const char *name)
{
    for (; scope; scope = scope->outer) {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(scope->values, name);
        if (value)
            return value;
    }
    return NULL;
}

static bool is_something(const cJSON *value)
{
    if (!value || cJSON_IsNull(value) || cJSON_IsFalse(value))
        return false;
    if (cJSON_IsNumber(value))
        return value->valuedouble < 0 || value->valuedouble > 0;
    if (cJSON_IsString(value))
        return value->valuestring[0] != '\0';
    if (cJSON_IsArray(value))
        return value->child != NULL;
    return true;
}

/* With & < > " ' replaced: right between tags and inside quoted attributes. */
static void print_html(FILE *out, const char *string)
{
    for (; *string; string++) {
        const char *entity = *string == '&'    ? "&amp;"
                             : *string == '<'  ? "&lt;"
                             : *string == '>'  ? "&gt;"
                             : *string == '"'  ? "&quot;"
                             : *string == '\'' ? "&#39;"
                                               : NULL;
        if (entity)
            fputs(entity, out);
        else
            fputc(*string, out);
    }
}

static void print(FILE *out, const cJSON *value)
{
    if (cJSON_IsString(value))
        print_html(out, value->valuestring);
    else if (cJSON_IsNumber(value))
        fprintf(out, "%.0f", value->valuedouble);
}

/* Read {{...}} at source->ptr: its first character if it is one of # ^ / >, else 0; and its name. */
static char read_tag(struct source *source, char name[MAX_NAME])
{
    const char *from = source->ptr + 2;
    const char *to = from;
    while (to + 1 < source->end && !(to[0] == '}' && to[1] == '}'))
        to++;
    source->ptr = to + 2 <= source->end ? to + 2 : source->end;
    char kind = '\0';
    if (from < to && strchr("#^/>", *from))
        kind = *from++;
    size_t len = (size_t)(to - from);
    if (len >= MAX_NAME)
        len = MAX_NAME - 1;
    memcpy(name, from, len);
    name[len] = '\0';
    return kind;
}

/* Up to and with the tag that ends the section, or to the end. `out` NULL: only find the way there. */
static void render(FILE *out, struct source *source, const struct scope *scope);

static void render_section(FILE *out, struct source *source, const struct scope *scope,
                           const cJSON *value)
{
    struct scope inner = {value, scope};
    struct source start = *source;
    if (!is_something(value)) {
        render(NULL, source, scope);
    } else if (cJSON_IsArray(value)) {
        cJSON_ArrayForEach(inner.values, value)
        {
            *source = start;
            render(out, source, &inner);
        }
    } else {
        render(out, source, cJSON_IsObject(value) ? &inner : scope);
    }
}

static void render(FILE *out, struct source *source, const struct scope *scope)
{
    char name[MAX_NAME];
    while (source->ptr < source->end) {
        const char *tag = source->ptr;
        while (tag < source->end && !(tag[0] == '{' && tag + 1 < source->end && tag[1] == '{'))
            tag++;
        if (out)
            fwrite(source->ptr, 1, (size_t)(tag - source->ptr), out);
        source->ptr = tag;
        if (tag == source->end)
            return;
        switch (read_tag(source, name)) {
        case '/':
            return;
        case '#':
            render_section(out, source, scope, out ? look_up(scope, name) : NULL);
            break;
        case '^':
            render(out && !is_something(look_up(scope, name)) ? out : NULL, source, scope);
            break;
        case '>':
            if (out)
                render_file(out, name, scope);
            break;
        default:
            if (out)
                print(out, look_up(scope, name));
            break;
        }
    }
}

static void render_file(FILE *out, const char *name, const struct scope *scope)
{
    char file[MAX_NAME + 16];
    snprintf(file, sizeof file, "pages/%s.html", name);
    const struct asset *page = asset_find(file);
    if (!page) {
        say("%s: no such template", file);
        return;
    }
    struct source source = {page->data, page->data + page->size};
    render(out, &source, scope);
}

int template_render(char **out, size_t *bytes, const char *name, const cJSON *values)
{
    struct scope scope = {values, NULL};
    *out = NULL;
    FILE *stream = open_memstream(out, bytes);
    if (!stream)
        return -1;
    render_file(stream, name, &scope);
    bool failed = ferror(stream) != 0;
    if (fclose(stream) == 0 && !failed)
        return 0;
    free(*out);
    *out = NULL;
    return -1;
}
