#include <pusherc/settings.h>

#include <assert.h>
#include <float.h>
#include <stdio.h>

#include <cjson/cJSON.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/setting.h"
#include "base/slice.h"
#include "codec/history_json.h"
#include "codec/json.h"
#include "codec/webhook_json.h"

/* The maximum in app.h: enough for a thousand apps, and small enough for a file that was given by mistake. */
#define MAX_TEXT_BYTES (1024 * 1024)

/* Names are cut to this in messages and comparisons; the known ones are shorter. */
#define MAX_NAME_BYTES 40

#define SECRET_DEPTH 6 /* array, app, webhooks, webhook, headers, value */

#define KB 1024 /* as soketi counts */

#define MAX_EXPONENT 1000 /* beyond a double's */

#define MAX_EXACT   9007199254740991.0 /* whole numbers up to here are exact in a double */
#define NUMBER_SIZE 24

enum kind {
    KIND_TEXT,
    KIND_SECRET,
    KIND_FLAG,
    KIND_NOT_FLAG, /* true clears the option */
    KIND_CHOICE,
    KIND_NUMBER,
    KIND_DELAY,    /* a number, 0 for none */
    KIND_LIMIT,    /* a number, or -1 for none */
    KIND_LIMIT_KB, /* the same, the option is in bytes; may have a fraction */
    KIND_ORIGINS,
    KIND_WEBHOOKS,
    KIND_HISTORY
};

/* Names are matched without '_' and case, which covers camelCase and PascalCase as well. */
struct field {
    const char *name;
    enum kind kind;
    size_t offset;     /* in pusherc_app_options */
    const char *words; /* of a choice */
};

#define AT(member)                                          offsetof(pusherc_app_options, member)
#define ROW(kind, name, min, max, fallback, words, meaning) {#name, KIND_##kind, AT(name), words},

/* clang-format off */
static const struct field fields[] = {
    PUSHERC_APP_SETTING_MAP(ROW)
    {"allowed_origins", KIND_ORIGINS, AT(allowed_origins), NULL},
    {"webhooks", KIND_WEBHOOKS, AT(webhooks), NULL},
    {"history", KIND_HISTORY, AT(history), NULL},

    /* soketi's names, where they differ */
    {"app_id", KIND_TEXT, AT(id), NULL},
    {"app_key", KIND_TEXT, AT(key), NULL},
    {"app_secret", KIND_TEXT, AT(secret), NULL},
    {"enabled", KIND_NOT_FLAG, AT(disabled), NULL},
    {"enable_client_messages", KIND_FLAG, AT(client_events), NULL},
    {"max_channel_name_length", KIND_NUMBER, AT(max_channel_name_bytes), NULL},
    {"max_event_name_length", KIND_LIMIT, AT(max_event_name_bytes), NULL},
    {"max_event_payload_in_kb", KIND_LIMIT_KB, AT(max_event_payload_bytes), NULL},
    {"max_event_channels_at_once", KIND_NUMBER, AT(max_event_channels), NULL},
    {"max_event_batch_size", KIND_NUMBER, AT(max_batch_events), NULL},
    {"max_presence_members_per_channel", KIND_LIMIT, AT(max_presence_members), NULL},
    {"max_presence_member_size_in_kb", KIND_LIMIT_KB, AT(max_user_info_bytes), NULL},
    {"max_client_events_per_second", KIND_LIMIT, AT(max_client_events_per_s), NULL},
    {"max_client_events_per_sec", KIND_LIMIT, AT(max_client_events_per_s), NULL},
    {"max_backend_events_per_second", KIND_LIMIT, AT(max_backend_events_per_s), NULL},
    {"max_backend_events_per_sec", KIND_LIMIT, AT(max_backend_events_per_s), NULL},
    {"max_read_requests_per_second", KIND_LIMIT, AT(max_read_requests_per_s), NULL},
    {"max_read_req_per_sec", KIND_LIMIT, AT(max_read_requests_per_s), NULL},
    {"enable_user_authentication", KIND_FLAG, AT(user_authentication), NULL},
    {"enable_watchlist_events", KIND_FLAG, AT(watchlist_events), NULL}, /* sockudo's */
};
/* clang-format on */

#define FIELD_COUNT (sizeof fields / sizeof fields[0])

/* One app being read. */
struct reading {
    pusherc_app_options options;
    const char **origins;             /* owned; options.allowed_origins points to it */
    struct pc_webhooks_read webhooks; /* the same for options.webhooks */
    struct pc_history_read history;   /* the same for options.history */
    size_t number;                    /* of the app in its array, from 1; 0 = no array */
    bool seen[FIELD_COUNT]; /* options given: at the first row of `fields` that sets the option */
    pusherc_errinfo *info;
};

/* -- names -- */

struct plain_name {
    char text[MAX_NAME_BYTES];
    size_t len;
};

/* Lower case, without '_', cut. */
static struct plain_name plain(const char *name)
{
    struct plain_name result = {.len = 0};
    for (; *name && result.len < sizeof result.text; name++) {
        if (*name != '_')
            result.text[result.len++] = pc_ascii_lower(*name);
    }
    return result;
}

static size_t least(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* The number of letters to insert, delete or replace that turns one name into the other (Levenshtein). */
static size_t edit_distance(const struct plain_name *a, const struct plain_name *b)
{
    size_t row[MAX_NAME_BYTES + 1];
    for (size_t j = 0; j <= b->len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a->len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b->len; j++) {
            size_t replaced = diagonal + (a->text[i - 1] != b->text[j - 1]);
            diagonal = row[j];
            row[j] = least(row[j] + 1, row[j - 1] + 1, replaced);
        }
    }
    return row[b->len];
}

/* The known field with the least distance; *distance 0 = it is that field. */
static const struct field *nearest_field(const char *name, size_t *distance)
{
    const struct field *nearest = NULL;
    struct plain_name wanted = plain(name);
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        struct plain_name known = plain(fields[i].name);
        size_t d = edit_distance(&wanted, &known);
        if (!nearest || d < *distance) {
            nearest = &fields[i];
            *distance = d;
        }
    }
    return nearest;
}

/* -- values -- */

/* EINVAL with "app 2: maxConnections: must be ...". */
static int refuse_field(const struct reading *reading, const cJSON *item, const char *why)
{
    char where[32] = "";
    char name[MAX_NAME_BYTES + 1];
    pusherc_slice shown = pc_utf8_cut(pc_slice_of(item->string), MAX_NAME_BYTES);

    for (size_t i = 0; i < shown.len; i++)
        name[i] = (unsigned char)shown.ptr[i] < 0x20 ? '?' : shown.ptr[i];
    name[shown.len] = '\0';
    if (reading->number)
        (void)snprintf(where, sizeof where, "app %zu: ", reading->number);
    return pc_errinfo(reading->info, PUSHERC_EINVAL, 0, "%s%s: %s", where, name, why);
}

static void *option_at(struct reading *reading, const struct field *field)
{
    return (char *)&reading->options + field->offset;
}

/* Ids are numbers in many a file of soketi's. The text is kept in the item, which the second reading finds it in. */
static int number_to_text(const struct reading *reading, cJSON *item)
{
    double number = item->valuedouble;

    if (item->valuestring)
        return 0;
    if (!(number >= 0 && number <= MAX_EXACT) || (double)(uint64_t)number < number)
        return refuse_field(reading, item, "must be a string or a whole number");
    item->valuestring = cJSON_malloc(NUMBER_SIZE);
    if (!item->valuestring)
        return pc_errinfo(reading->info, PUSHERC_ENOMEM, 0, "out of memory");
    (void)snprintf(item->valuestring, NUMBER_SIZE, "%llu", (unsigned long long)number);
    return 0;
}

static int take_text(struct reading *reading, const struct field *field, cJSON *item)
{
    int err = cJSON_IsNumber(item) ? number_to_text(reading, item) : 0;

    if (err)
        return err;
    if (!cJSON_IsString(item) && !cJSON_IsNumber(item))
        return refuse_field(reading, item, "must be a string");
    *(const char **)option_at(reading, field) = item->valuestring;
    return 0;
}

static int take_flag(struct reading *reading, const struct field *field, const cJSON *item)
{
    if (!cJSON_IsBool(item))
        return refuse_field(reading, item, "must be true or false");
    *(bool *)option_at(reading, field) = cJSON_IsTrue(item) == (field->kind == KIND_FLAG);
    return 0;
}

static int take_number(struct reading *reading, const struct field *field, const cJSON *item)
{
    uint32_t *option = option_at(reading, field);
    bool limit = field->kind != KIND_NUMBER;
    double number = item->valuedouble;

    if (limit && cJSON_IsNumber(item) && number >= -1 && number <= -1) {
        *option = PUSHERC_NO_LIMIT;
        return 0;
    }
    if (field->kind == KIND_LIMIT_KB)
        number *= KB;
    /* Zero would become the default, which is not what its author means. */
    if (!cJSON_IsNumber(item) || !(number >= 1 && number < PUSHERC_NO_LIMIT))
        return refuse_field(reading, item,
                            limit ? "must be a number, 1 or more, or -1 for no limit"
                                  : "must be a number, 1 or more");
    *option = (uint32_t)number;
    if (field->kind != KIND_LIMIT_KB && *option < number)
        return refuse_field(reading, item, "must be a whole number");
    return 0;
}

static int take_delay(struct reading *reading, const struct field *field, const cJSON *item)
{
    uint32_t *option = option_at(reading, field);
    double number = item->valuedouble;

    if (!cJSON_IsNumber(item) || !(number >= 0 && number < PUSHERC_NO_DELAY) ||
        (uint32_t)number < number)
        return refuse_field(reading, item, "must be a whole number, 0 or more");
    *option = number > 0 ? (uint32_t)number : PUSHERC_NO_DELAY;
    return 0;
}

static int refuse_word(const struct reading *reading, const struct field *field, const cJSON *item)
{
    char why[100];
    size_t len = 0;
    pusherc_slice rest = pc_slice_of(field->words);

    while (rest.len > 0) {
        size_t end = pc_slice_find(rest, '|');
        bool last = end == rest.len;
        const char *before = len == 0 ? "must be " : last ? " or " : ", ";
        len +=
            (size_t)snprintf(why + len, sizeof why - len, "%s\"%.*s\"", before, (int)end, rest.ptr);
        assert(len < sizeof why);
        rest = pc_slice_skip(rest, last ? end : end + 1);
    }
    return refuse_field(reading, item, why);
}

static int take_choice(struct reading *reading, const struct field *field, const cJSON *item)
{
    int choice = pc_setting_word(field->words, pc_slice_of(cJSON_GetStringValue(item)));

    if (choice < 0)
        return refuse_word(reading, field, item);
    *(int *)option_at(reading, field) = choice; /* an enum: as large as an int */
    return 0;
}

static int take_origins(struct reading *reading, const cJSON *item)
{
    const cJSON *origin;
    size_t count = 0;
    size_t size = (size_t)cJSON_GetArraySize(item);

    /* An empty list may mean "none" or "any"; guessing "any" would be dangerous. */
    if (!cJSON_IsArray(item) || size == 0)
        return refuse_field(reading, item,
                            "must be an array of strings; leave it out to allow any");
    reading->origins = cJSON_malloc((size + 1) * sizeof *reading->origins);
    if (!reading->origins)
        return pc_errinfo(reading->info, PUSHERC_ENOMEM, 0, "out of memory");
    reading->options.allowed_origins = reading->origins;
    cJSON_ArrayForEach(origin, item)
    {
        if (!cJSON_IsString(origin))
            return refuse_field(reading, item,
                                "must be an array of strings; leave it out to allow any");
        reading->origins[count++] = origin->valuestring;
    }
    reading->origins[count] = NULL;
    return 0;
}

static int take_webhooks(struct reading *reading, const cJSON *item)
{
    char why[PC_WEBHOOK_JSON_WHY];
    int err = pc_webhooks_read(&reading->webhooks, item, why);
    if (err == PUSHERC_EINVAL)
        return refuse_field(reading, item, why);
    if (err)
        return pc_errinfo(reading->info, err, 0, "out of memory");
    reading->options.webhooks = reading->webhooks.items;
    reading->options.webhook_count = reading->webhooks.count;
    return 0;
}

static int take_history(struct reading *reading, const cJSON *item)
{
    char why[PC_HISTORY_JSON_WHY];
    int err = pc_history_json_read(&reading->history, item, why);
    if (err == PUSHERC_EINVAL)
        return refuse_field(reading, item, why);
    if (err)
        return pc_errinfo(reading->info, err, 0, "out of memory");
    reading->options.history = reading->history.items;
    reading->options.history_count = reading->history.count;
    return 0;
}

static int take_value(struct reading *reading, const struct field *field, cJSON *item)
{
    switch (field->kind) {
    case KIND_TEXT:
    case KIND_SECRET:
        return take_text(reading, field, item);
    case KIND_FLAG:
    case KIND_NOT_FLAG:
        return take_flag(reading, field, item);
    case KIND_DELAY:
        return take_delay(reading, field, item);
    case KIND_NUMBER:
    case KIND_LIMIT:
    case KIND_LIMIT_KB:
        return take_number(reading, field, item);
    case KIND_CHOICE:
        return take_choice(reading, field, item);
    case KIND_ORIGINS:
        return take_origins(reading, item);
    case KIND_WEBHOOKS:
        return take_webhooks(reading, item);
    case KIND_HISTORY:
        return take_history(reading, item);
    }
    return PUSHERC_EINVAL;
}

/* Two names of one option count as the same option. */
static bool seen_before(struct reading *reading, const struct field *field)
{
    size_t first = 0;
    while (fields[first].offset != field->offset)
        first++;
    bool seen = reading->seen[first];
    reading->seen[first] = true;
    return seen;
}

static int take_field(struct reading *reading, cJSON *item)
{
    size_t distance = 0;
    const struct field *field = nearest_field(item->string, &distance);

    if (distance > 0) {
        char why[64 + MAX_NAME_BYTES];
        if (distance > strlen(field->name) / 3)
            return refuse_field(reading, item, "unknown field");
        (void)snprintf(why, sizeof why, "unknown field; did you mean %s?", field->name);
        return refuse_field(reading, item, why);
    }
    if (seen_before(reading, field))
        return refuse_field(reading, item, "given twice");
    return cJSON_IsNull(item) ? 0 : take_value(reading, field, item);
}

/* -- apps -- */

static int read_app(struct reading *reading, cJSON *app)
{
    cJSON *item;
    if (!cJSON_IsObject(app))
        return pc_errinfo(reading->info, PUSHERC_EINVAL, 0, "an app must be an object");
    cJSON_ArrayForEach(item, app)
    {
        int err = take_field(reading, item);
        if (err)
            return err;
    }
    return 0;
}

/* Reads every app and hands it to `each`, if that is not NULL. */
static int walk_apps(cJSON *root, pusherc_app_fn each, void *user_data, pusherc_errinfo *info)
{
    assert(root);
    bool array = cJSON_IsArray(root);
    cJSON *app = array ? root->child : root;
    int err = 0;

    for (size_t number = 1; app && err == 0; number++, app = app->next) {
        struct reading reading = {
            .options = PUSHERC_APP_OPTIONS_INIT,
            .number = array ? number : 0,
            .info = info,
        };
        err = read_app(&reading, app);
        if (err == 0 && each)
            err = each(&reading.options, user_data);
        cJSON_free(reading.origins);
        pc_webhooks_read_free(&reading.webhooks);
        pc_history_read_free(&reading.history);
    }
    return err;
}

/* Wipes the texts, so that no secret stays in freed memory; those in headers of webhooks are deepest. It does not go
 * deeper, because the text may come from anywhere. */
static void wipe_texts(const cJSON *item, int depth)
{
    const cJSON *child;
    if (item && item->valuestring)
        pc_wipe(item->valuestring, strlen(item->valuestring));
    if (depth > 0)
        cJSON_ArrayForEach(child, item) wipe_texts(child, depth - 1);
}

static void free_apps(cJSON *root)
{
    wipe_texts(root, SECRET_DEPTH);
    cJSON_Delete(root);
}

static size_t line_of(pusherc_slice text, size_t offset)
{
    size_t line = 1;
    for (size_t i = 0; i < offset; i++)
        line += text.ptr[i] == '\n';
    return line;
}

/* A C string would end at the NUL, and "admin\u0000x" would become "admin". */
static bool has_nul_escape(pusherc_slice text)
{
    for (size_t i = 0; i + 1 < text.len; i++) {
        if (text.ptr[i] != '\\')
            continue;
        if (pc_slice_starts(pc_slice_skip(text, i), PC_S("\\u0000")))
            return true;
        i++; /* the escaped character, which may be a backslash */
    }
    return false;
}

/*
 * cJSON's tree is built with the cursor of codec/json.h. cJSON_ParseWithLengthOpts() is not used, for these reasons:
 *
 * - It keeps one error pointer for the whole process. A host that follows cJSON's manual reads cJSON_GetErrorPtr()
 *   after its own parsing has failed. If this library parses in another thread, the host gets a pointer made of two
 *   errors, and may crash. A lock of this library cannot keep the host's threads out.
 * - If memory runs out inside a text, it frees what it has read, secrets included, without wiping them.
 * - It reports lack of memory and a text that it refuses (half a surrogate pair) in the same way.
 * - It accepts invalid JSON (01, 1., control characters in strings), and reads past the end of some broken texts. So
 *   the cursor has to validate the text anyway.
 */

/* NUL-terminated, in cJSON's memory. */
static int take_string(struct pc_json string, char **out)
{
    /* Not used: the decoded string fits into the room of the quoted one. */
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_buf decoded;
    pusherc_slice text;
    *out = cJSON_malloc(string.raw.len);
    if (!*out)
        return PUSHERC_ENOMEM;
    pc_buf_init_in(&decoded, &mem, string.raw.len, *out, string.raw.len);
    int err = pc_json_string(string, &decoded, &text);
    if (err) {
        cJSON_free(*out);
        *out = NULL;
        return err;
    }
    if (text.len)
        memmove(*out, text.ptr, text.len);
    (*out)[text.len] = '\0';
    return 0;
}

/* Of "+12", "-3", "400". */
static int exponent_of(pusherc_slice text)
{
    bool negative = text.ptr[0] == '-';
    int value = 0;
    for (size_t i = negative || text.ptr[0] == '+'; i < text.len && value < MAX_EXPONENT; i++)
        value = value * 10 + (text.ptr[i] - '0');
    return negative ? -value : value;
}

/* Does not depend on the locale's decimal point. Exact for numbers of up to 15 digits. */
static double number_of(pusherc_slice text)
{
    double digits = 0, scale = 1;
    int exponent = 0, decimals = 0;
    bool fraction = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == 'e' || c == 'E') {
            exponent = exponent_of(pc_slice_skip(text, i + 1));
            break;
        }
        if (c == '.')
            fraction = true;
        if (c < '0' || c > '9')
            continue;
        digits = digits * 10 + (c - '0');
        decimals += fraction;
    }
    exponent -= decimals;
    for (int n = exponent < 0 ? -exponent : exponent; n > 0 && scale < DBL_MAX / 10; n--)
        scale *= 10;
    double value = exponent < 0 ? digits / scale : digits * scale;
    if (!(value <= DBL_MAX)) /* also for NaN */
        value = DBL_MAX;
    return text.ptr[0] == '-' ? -value : value;
}

static int tree_of(struct pc_json value, cJSON **out);

static int add_members(cJSON *parent, struct pc_json container)
{
    struct pc_json_iter iter = pc_json_iter_of(container);
    while (pc_json_next(&iter)) {
        cJSON *item;
        int err = tree_of(iter.value, &item);
        if (err)
            return err;
        if (container.type == PC_JSON_OBJECT)
            err = take_string(iter.key, &item->string);
        if (err) {
            free_apps(item);
            return err;
        }
        cJSON_AddItemToArray(parent, item); /* only links: the name is set */
    }
    return 0;
}

/* Builds the tree of a valid text. Recurses at most PC_JSON_MAX_DEPTH levels. 0; PUSHERC_ENOMEM; PUSHERC_EINVAL for a
 * string with half a surrogate pair. */
static int tree_of(struct pc_json value, cJSON **out)
{
    int err = 0;
    cJSON *item = cJSON_CreateNull();
    *out = NULL;
    if (!item)
        return PUSHERC_ENOMEM;
    switch (value.type) {
    case PC_JSON_NONE:
    case PC_JSON_NULL:
        break;
    case PC_JSON_BOOL:
        item->type = value.raw.ptr[0] == 't' ? cJSON_True : cJSON_False;
        break;
    case PC_JSON_NUMBER:
        item->type = cJSON_Number;
        cJSON_SetNumberHelper(item, number_of(value.raw));
        break;
    case PC_JSON_STRING:
        item->type = cJSON_String;
        err = take_string(value, &item->valuestring);
        break;
    case PC_JSON_OBJECT:
    case PC_JSON_ARRAY:
        item->type = value.type == PC_JSON_OBJECT ? cJSON_Object : cJSON_Array;
        err = add_members(item, value);
        break;
    }
    if (err)
        free_apps(item);
    else
        *out = item;
    return err;
}

static int parse(pusherc_slice text, cJSON **root, pusherc_errinfo *info)
{
    struct pc_json value = pc_json_parse(text);
    if (value.type == PC_JSON_NONE)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "not valid JSON near line %zu",
                          line_of(text, pc_json_error_offset(text)));
    if (has_nul_escape(text))
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "a string holds the character NUL");
    int err = tree_of(value, root);
    if (err == PUSHERC_ENOMEM)
        return pc_errinfo(info, err, 0, "out of memory");
    return err ? pc_errinfo(info, err, 0, "a string holds half a surrogate pair") : 0;
}

int pusherc_apps_from_json(pusherc_slice json, pusherc_app_fn each, void *user_data,
                           pusherc_errinfo *info)
{
    cJSON *root = NULL;

    if (!each || (json.len && !json.ptr))
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "NULL argument");
    if (json.len > MAX_TEXT_BYTES)
        return pc_errinfo(info, PUSHERC_ELIMIT, 0, "more than %d bytes", MAX_TEXT_BYTES);
    int err = parse(pc_json_without_mark(json), &root, info);
    /* Every app is read before the first is handed over, so that a mistake in the last changes nothing. */
    if (err == 0)
        err = walk_apps(root, NULL, NULL, info);
    if (err == 0)
        err = walk_apps(root, each, user_data, info);
    free_apps(root);
    return err;
}
