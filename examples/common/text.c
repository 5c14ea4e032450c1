#include "common/text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void add_part(cJSON *parts, const char *name, const char *from, size_t bytes)
{
    char *copy = bytes ? strndup(from, bytes) : NULL;
    cJSON *part = copy ? cJSON_CreateObject() : NULL;
    if (part) {
        cJSON_AddStringToObject(part, name, copy);
        cJSON_AddItemToArray(parts, part);
    }
    free(copy);
}

/* Up to white space, and without what ends a sentence. */
static size_t url_bytes(const char *text)
{
    size_t bytes = strcspn(text, " \t\n<>\"");
    while (bytes > 0 && strchr(".,;:!?)'", text[bytes - 1]))
        bytes--;
    return bytes;
}

static const char *find_url(const char *text)
{
    const char *plain = strstr(text, "http://");
    const char *secure = strstr(text, "https://");
    return !plain || (secure && secure < plain) ? secure : plain;
}

static cJSON *split(const char *text)
{
    cJSON *parts = cJSON_CreateArray();
    const char *url;
    while ((url = find_url(text)) != NULL) {
        size_t bytes = url_bytes(url);
        add_part(parts, "text", text, (size_t)(url - text));
        add_part(parts, "url", url, bytes);
        text = url + bytes;
    }
    add_part(parts, "text", text, strlen(text));
    return parts;
}

static void find_in_member(cJSON *object, const char *name, const char *parts)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    if (text)
        cJSON_AddItemToObject(object, parts, split(text));
}

void text_find_links(cJSON *values)
{
    cJSON *value;
    cJSON_ArrayForEach(value, values) text_find_links(value);
    if (cJSON_IsObject(values)) {
        find_in_member(values, "message", "message_parts");
        find_in_member(values, "note", "note_parts");
    }
}
