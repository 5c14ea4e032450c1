#include "codec/history_json.h"

#include <stdio.h>

#include "base/slice.h"

#define SHOWN_BYTES 40 /* of an unknown name */

static int refuse_pattern(char *why, size_t number, const char *name, const char *text)
{
    pusherc_slice cut = pc_utf8_cut(pc_slice_of(name), SHOWN_BYTES);
    (void)snprintf(why, PC_HISTORY_JSON_WHY, "%zu: %.*s%s%s", number, (int)cut.len, cut.ptr,
                   name ? ": " : "", text);
    return PUSHERC_EINVAL;
}

/* The bound of that name; NULL: there is none. */
static uint32_t *bound_of(pusherc_history_pattern *pattern, const char *name)
{
    if (strcmp(name, "max_events") == 0)
        return &pattern->max_events;
    if (strcmp(name, "max_bytes") == 0)
        return &pattern->max_bytes;
    return strcmp(name, "max_age_s") == 0 ? &pattern->max_age_s : NULL;
}

static int take_member(pusherc_history_pattern *pattern, size_t number, const cJSON *item,
                       char *why)
{
    uint32_t *bound = bound_of(pattern, item->string);
    if (strcmp(item->string, "pattern") == 0) {
        if (!cJSON_IsString(item))
            return refuse_pattern(why, number, item->string, "must be a string");
        pattern->pattern = item->valuestring;
        return 0;
    }
    if (!bound)
        return refuse_pattern(why, number, item->string,
                              "unknown; there are pattern, max_events, max_bytes, max_age_s");
    const double value = item->valuedouble;
    if (!cJSON_IsNumber(item) || !(value >= 1 && value <= UINT32_MAX) || (uint32_t)value < value)
        return refuse_pattern(why, number, item->string, "must be a whole number, 1 or more");
    *bound = (uint32_t)value;
    return 0;
}

static int read_one(pusherc_history_pattern *pattern, size_t number, const cJSON *object, char *why)
{
    const cJSON *item;
    *pattern = (pusherc_history_pattern)PUSHERC_HISTORY_PATTERN_INIT;
    if (!cJSON_IsObject(object))
        return refuse_pattern(why, number, NULL, "must be an object");
    cJSON_ArrayForEach(item, object)
    {
        int err = cJSON_IsNull(item) ? 0 : take_member(pattern, number, item, why);
        if (err)
            return err;
    }
    return pattern->pattern ? 0 : refuse_pattern(why, number, NULL, "pattern is missing");
}

int pc_history_json_read(struct pc_history_read *out, const cJSON *array,
                         char why[PC_HISTORY_JSON_WHY])
{
    const cJSON *object;
    size_t size = (size_t)cJSON_GetArraySize(array);
    *out = (struct pc_history_read){NULL, 0};
    if (!cJSON_IsArray(array) || size > PUSHERC_MAX_HISTORY_PATTERNS) {
        (void)snprintf(why, PC_HISTORY_JSON_WHY, "must be an array of at most %d objects",
                       PUSHERC_MAX_HISTORY_PATTERNS);
        return PUSHERC_EINVAL;
    }
    if (size == 0)
        return 0;
    out->items = cJSON_malloc(size * sizeof *out->items);
    if (!out->items)
        return PUSHERC_ENOMEM;
    cJSON_ArrayForEach(object, array)
    {
        int err = read_one(&out->items[out->count], out->count + 1, object, why);
        if (err)
            return err;
        out->count++;
    }
    return 0;
}

void pc_history_read_free(struct pc_history_read *read)
{
    cJSON_free(read->items);
    *read = (struct pc_history_read){NULL, 0};
}
