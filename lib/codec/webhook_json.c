#include "codec/webhook_json.h"

#include <stdio.h>

#include <pusherc/error.h>

#include "base/slice.h"

#define SHOWN_BYTES 40 /* of an unknown name */

struct reading {
    pusherc_webhook *hook;
    pusherc_webhook_header *headers; /* room for as many as the object has */
    size_t number;                   /* of the webhook, from 1 */
    char *why;
};

static const struct {
    const char *name;
    uint32_t kind;
} kinds[] = {
    {"channel_occupied", PUSHERC_WEBHOOK_CHANNEL_OCCUPIED},
    {"channel_vacated", PUSHERC_WEBHOOK_CHANNEL_VACATED},
    {"member_added", PUSHERC_WEBHOOK_MEMBER_ADDED},
    {"member_removed", PUSHERC_WEBHOOK_MEMBER_REMOVED},
    {"client_event", PUSHERC_WEBHOOK_CLIENT_EVENT},
    {"cache_miss", PUSHERC_WEBHOOK_CACHE_MISS},
    {"subscription_count", PUSHERC_WEBHOOK_SUBSCRIPTION_COUNT},
};

/* EINVAL with "2: url: ...". `name` is text of the JSON and is cut; NULL: the error is about the whole webhook. */
static int refuse_webhook(const struct reading *reading, const char *name, const char *why)
{
    char shown[SHOWN_BYTES + 1];
    pusherc_slice cut = pc_utf8_cut(pc_slice_of(name), SHOWN_BYTES);
    for (size_t i = 0; i < cut.len; i++)
        shown[i] = (unsigned char)cut.ptr[i] < 0x20 ? '?' : cut.ptr[i];
    shown[cut.len] = '\0';
    (void)snprintf(reading->why, PC_WEBHOOK_JSON_WHY, "%zu: %s%s%s", reading->number, shown,
                   name ? ": " : "", why);
    return PUSHERC_EINVAL;
}

/* Compares without '_' and case, as for an app's fields. */
static bool is(const char *name, const char *known)
{
    for (;; name++, known++) {
        while (*name == '_')
            name++;
        while (*known == '_')
            known++;
        if (pc_ascii_lower(*name) != pc_ascii_lower(*known))
            return false;
        if (!*name)
            return true;
    }
}

static int take_text(const struct reading *reading, const cJSON *item, const char **out)
{
    if (*out)
        return refuse_webhook(reading, item->string, "given twice");
    if (!cJSON_IsString(item))
        return refuse_webhook(reading, item->string, "must be a string");
    *out = item->valuestring;
    return 0;
}

static int take_kind(const struct reading *reading, const cJSON *item)
{
    const char *name = cJSON_GetStringValue(item);
    for (size_t i = 0; name && i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            reading->hook->events |= kinds[i].kind;
            return 0;
        }
    }
    return refuse_webhook(
        reading, name ? name : "event_types",
        "no such event; there are channel_occupied, channel_vacated, member_added, "
        "member_removed, client_event, cache_miss, subscription_count");
}

static int take_kinds(const struct reading *reading, const cJSON *item)
{
    const cJSON *kind;
    /* An empty list is refused: an endpoint that is sent nothing has no use, and the author may mean "all". */
    if (!cJSON_IsArray(item) || cJSON_GetArraySize(item) == 0)
        return refuse_webhook(reading, item->string,
                              "must be an array of names; leave it out for all");
    if (reading->hook->events)
        return refuse_webhook(reading, item->string, "given twice");
    cJSON_ArrayForEach(kind, item)
    {
        int err = take_kind(reading, kind);
        if (err)
            return err;
    }
    return 0;
}

static int take_filter(const struct reading *reading, const cJSON *filter)
{
    const cJSON *item;
    int err =
        cJSON_IsObject(filter) ? 0 : refuse_webhook(reading, filter->string, "must be an object");
    for (item = filter->child; item && err == 0; item = item->next) {
        if (cJSON_IsNull(item))
            continue;
        if (is(item->string, "channel_name_starts_with"))
            err = take_text(reading, item, &reading->hook->channel_prefix);
        else if (is(item->string, "channel_name_ends_with"))
            err = take_text(reading, item, &reading->hook->channel_suffix);
        else
            err = refuse_webhook(
                reading, item->string,
                "unknown; a filter has channel_name_starts_with and channel_name_ends_with");
    }
    return err;
}

static int take_headers(const struct reading *reading, const cJSON *object)
{
    const cJSON *item;
    if (!cJSON_IsObject(object))
        return refuse_webhook(reading, object->string, "must be an object");
    if (reading->hook->headers)
        return refuse_webhook(reading, object->string, "given twice");
    reading->hook->headers = reading->headers;
    cJSON_ArrayForEach(item, object)
    {
        if (!cJSON_IsString(item))
            return refuse_webhook(reading, item->string, "a header's value must be a string");
        reading->headers[reading->hook->header_count++] =
            (pusherc_webhook_header){item->string, item->valuestring};
    }
    return 0;
}

static int take_field(const struct reading *reading, const cJSON *item)
{
    const char *name = item->string;
    pusherc_webhook *hook = reading->hook;
    if (cJSON_IsNull(item))
        return 0;
    if (is(name, "url"))
        return take_text(reading, item, &hook->url);
    if (is(name, "event_types") || is(name, "events"))
        return take_kinds(reading, item);
    if (is(name, "filter"))
        return take_filter(reading, item);
    if (is(name, "channel_prefix"))
        return take_text(reading, item, &hook->channel_prefix);
    if (is(name, "channel_suffix"))
        return take_text(reading, item, &hook->channel_suffix);
    if (is(name, "headers"))
        return take_headers(reading, item);
    if (is(name, "lambda_function") || is(name, "lambda"))
        return refuse_webhook(reading, name,
                              "AWS Lambda is not supported; give the function a URL");
    return refuse_webhook(reading, name,
                          "unknown; a webhook has url, event_types, filter, channel_prefix, "
                          "channel_suffix, headers");
}

static int read_one(const struct reading *reading, const cJSON *object)
{
    const cJSON *item;
    if (!cJSON_IsObject(object))
        return refuse_webhook(reading, NULL, "a webhook must be an object");
    *reading->hook = (pusherc_webhook)PUSHERC_WEBHOOK_INIT;
    cJSON_ArrayForEach(item, object)
    {
        int err = take_field(reading, item);
        if (err)
            return err;
    }
    return reading->hook->url ? 0 : refuse_webhook(reading, NULL, "url is missing");
}

/* An upper bound of the number of headers: the members of all values of the webhooks. */
static size_t count_members(const cJSON *array)
{
    const cJSON *object, *item;
    size_t count = 0;
    cJSON_ArrayForEach(object, array)
    {
        cJSON_ArrayForEach(item, object) count += (size_t)cJSON_GetArraySize(item);
    }
    return count;
}

int pc_webhooks_read(struct pc_webhooks_read *out, const cJSON *array,
                     char why[PC_WEBHOOK_JSON_WHY])
{
    *out = (struct pc_webhooks_read){NULL, 0};
    size_t size = (size_t)cJSON_GetArraySize(array), members = count_members(array);
    if (!cJSON_IsArray(array) || size > PUSHERC_MAX_WEBHOOKS) {
        (void)snprintf(why, PC_WEBHOOK_JSON_WHY, "must be an array of at most %d objects",
                       PUSHERC_MAX_WEBHOOKS);
        return PUSHERC_EINVAL;
    }
    if (size == 0)
        return 0;
    out->items = cJSON_malloc(size * sizeof *out->items + members * sizeof(pusherc_webhook_header));
    if (!out->items)
        return PUSHERC_ENOMEM;
    struct reading reading = {.why = why,
                              .headers = (pusherc_webhook_header *)(void *)(out->items + size)};
    const cJSON *object;
    cJSON_ArrayForEach(object, array)
    {
        reading.hook = &out->items[out->count];
        reading.number = ++out->count;
        int err = read_one(&reading, object);
        if (err)
            return err;
        reading.headers += reading.hook->header_count;
    }
    return 0;
}

void pc_webhooks_read_free(struct pc_webhooks_read *read)
{
    cJSON_free(read->items);
    *read = (struct pc_webhooks_read){NULL, 0};
}
