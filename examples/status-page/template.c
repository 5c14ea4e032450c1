#include "template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assets.h"

#define MAX_NAME     32
#define MAX_INCLUDES 4

/* Where names are looked up: the innermost value first. */
struct scope {
    const cJSON *values;
    const struct scope *outer;
};

struct source {
    const char *ptr;
    const char *end;
    int depth; /* of {{>file}} */
};

static void render_file(struct text *out, const char *name, const struct scope *scope, int depth);

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

static void print(struct text *out, const cJSON *value)
{
    char number[32];
    if (cJSON_IsString(value))
        text_add_html(out, value->valuestring);
    else if (cJSON_IsNumber(value)) {
        snprintf(number, sizeof number, "%.0f", value->valuedouble);
        text_add_html(out, number);
    }
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
static void render(struct text *out, struct source *source, const struct scope *scope);

static void render_section(struct text *out, struct source *source, const struct scope *scope,
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

static void render(struct text *out, struct source *source, const struct scope *scope)
{
    char name[MAX_NAME];
    while (source->ptr < source->end) {
        const char *tag = source->ptr;
        while (tag < source->end && !(tag[0] == '{' && tag + 1 < source->end && tag[1] == '{'))
            tag++;
        if (out)
            text_add(out, source->ptr, (size_t)(tag - source->ptr));
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
                render_file(out, name, scope, source->depth + 1);
            break;
        default:
            if (out)
                print(out, look_up(scope, name));
            break;
        }
    }
}

static void render_file(struct text *out, const char *name, const struct scope *scope, int depth)
{
    char file[MAX_NAME + 16];
    snprintf(file, sizeof file, "pages/%s.html", name);
    const struct asset *page = asset_find(file);
    if (!page || depth > MAX_INCLUDES) {
        out->failed = true;
        return;
    }
    struct source source = {page->data, page->data + page->size, depth};
    render(out, &source, scope);
}

void template_render(struct text *out, const char *name, const cJSON *values)
{
    struct scope scope = {values, NULL};
    render_file(out, name, &scope, 0);
}
