#include "rules.h"

#include <stdlib.h>
#include <string.h>

#include <pusherc/settings.h>

#define MAX_MS 86400000

/* One rule being read. */
struct reading {
    struct cli_rule *rule;
    struct cli_error *error;
};

/* -- members -- */

static int set_text(const struct reading *reading, char **out, const char *name, const cJSON *item)
{
    if (!cJSON_IsString(item) || !*item->valuestring)
        return cli_fail(reading->error, "%s must be a text", name);
    return cli_set_text(out, item->valuestring) ? 0 : cli_fail_no_memory(reading->error);
}

static int take_app_id(const struct reading *reading, const cJSON *item)
{
    int status = set_text(reading, &reading->rule->app_id, "app_id", item);
    reading->rule->options.app_id = reading->rule->app_id;
    return status;
}

static int take_pattern(const struct reading *reading, const cJSON *item)
{
    int status = set_text(reading, &reading->rule->pattern, "pattern", item);
    reading->rule->options.pattern = reading->rule->pattern;
    return status;
}

static int take_url(const struct reading *reading, const cJSON *item)
{
    if (set_text(reading, &reading->rule->url, "url", item))
        return -1;
    if (strncmp(reading->rule->url, "http://", 7) == 0 ||
        strncmp(reading->rule->url, "https://", 8) == 0)
        return 0;
    return cli_fail(reading->error, "url must begin with http:// or https://, not \"%.100s\"",
                    reading->rule->url);
}

static int take_view_field(const struct reading *reading, const cJSON *item)
{
    return set_text(reading, &reading->rule->view_field, "view_field", item);
}

static int take_kinds(const struct reading *reading, const cJSON *item)
{
    static const struct {
        const char *word;
        uint32_t kind;
    } kinds[] = {{"public", PUSHERC_RULE_PUBLIC},
                 {"private", PUSHERC_RULE_PRIVATE},
                 {"presence", PUSHERC_RULE_PRESENCE}};
    const cJSON *word;
    uint32_t all = 0;

    cJSON_ArrayForEach(word, item)
    {
        uint32_t kind = 0;

        for (size_t i = 0; cJSON_IsString(word) && i < sizeof kinds / sizeof kinds[0]; i++)
            kind |= strcmp(word->valuestring, kinds[i].word) == 0 ? kinds[i].kind : 0;
        if (!kind)
            all = 0, item = NULL;
        if (!item)
            break;
        all |= kind;
    }
    reading->rule->options.kinds = all;
    return all ? 0
               : cli_fail(reading->error,
                          "kinds must be an array of \"public\", \"private\", \"presence\"");
}

static int take_ms(const struct reading *reading, const char *name, const cJSON *item, uint32_t min,
                   uint32_t *out)
{
    double value = cJSON_IsNumber(item) ? item->valuedouble : -1;

    if (value < min || value > MAX_MS || value != (uint32_t)value)
        return cli_fail(reading->error, "%s must be a number from %u to %d", name, (unsigned)min,
                        MAX_MS);
    *out = (uint32_t)value;
    return 0;
}

static int take_cache(const struct reading *reading, const cJSON *item)
{
    return take_ms(reading, "cache_ms", item, 0, &reading->rule->options.cache_ms);
}

static int take_timeout(const struct reading *reading, const cJSON *item)
{
    return take_ms(reading, "timeout_ms", item, 1, &reading->rule->timeout_ms);
}

static int take_expiry(const struct reading *reading, const cJSON *item)
{
    return take_ms(reading, "expires_ms", item, 0, &reading->rule->expires_ms);
}

static int take_grace(const struct reading *reading, const cJSON *item)
{
    uint32_t *grace_ms = &reading->rule->options.presence_grace_ms;
    int status = take_ms(reading, "presence_grace_ms", item, 0, grace_ms);

    if (*grace_ms == 0)
        *grace_ms = PUSHERC_NO_DELAY;
    return status;
}

static bool is_token(const char *text)
{
    static const char marks[] = "!#$%&'*+-.^_`|~0123456789"
                                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return *text && strspn(text, marks) == strlen(text);
}

static int take_headers(const struct reading *reading, const cJSON *item)
{
    struct cli_rule *rule = reading->rule;
    const cJSON *field;

    if (!cJSON_IsObject(item))
        return cli_fail(reading->error, "headers must be an object");
    rule->fields = calloc((size_t)cJSON_GetArraySize(item) + 1, sizeof *rule->fields);
    if (!rule->fields)
        return cli_fail_no_memory(reading->error);
    cJSON_ArrayForEach(field, item)
    {
        if (!is_token(field->string) || !cJSON_IsString(field) ||
            strpbrk(field->valuestring, "\r\n"))
            return cli_fail(reading->error, "headers: \"%.100s\" must be one line of text",
                            field->string);
        size_t size = strlen(field->string) + strlen(field->valuestring) + 3;
        char *line = malloc(size);
        if (!line)
            return cli_fail_no_memory(reading->error);
        (void)snprintf(line, size, "%s: %s", field->string, field->valuestring);
        rule->fields[rule->field_count++] = line;
    }
    return 0;
}

static int copy(pusherc_slice *out, const char *text, struct cli_error *error)
{
    char *whole = NULL;

    if (!cli_set_text(&whole, text))
        return cli_fail_no_memory(error);
    *out = pusherc_slice_of(whole);
    return 0;
}

/* What one view does not see: a list of members, or null for nothing at all. */
static int take_view(const struct reading *reading, pusherc_redaction *view, const cJSON *item)
{
    const cJSON *member;

    pusherc_redaction_init(view, sizeof *view);
    if (copy(&view->view, item->string, reading->error))
        return -1;
    view->nothing = cJSON_IsNull(item);
    if (view->nothing)
        return 0;
    if (!cJSON_IsArray(item))
        return cli_fail(reading->error, "views: \"%.100s\" must be an array of members, or null",
                        item->string);
    pusherc_slice *members = calloc((size_t)cJSON_GetArraySize(item) + 1, sizeof *members);
    if (!members)
        return cli_fail_no_memory(reading->error);
    view->members = members;
    cJSON_ArrayForEach(member, item)
    {
        if (!cJSON_IsString(member))
            return cli_fail(reading->error, "views: a member of \"%.100s\" is no text",
                            item->string);
        if (copy(&members[view->member_count], member->valuestring, reading->error))
            return -1;
        view->member_count++;
    }
    return 0;
}

static int take_views(const struct reading *reading, const cJSON *item)
{
    struct cli_rule *rule = reading->rule;
    const cJSON *view;

    if (!cJSON_IsObject(item) || !item->child)
        return cli_fail(reading->error, "views must be an object with a member for each view");
    rule->views = calloc((size_t)cJSON_GetArraySize(item), sizeof *rule->views);
    if (!rule->views)
        return cli_fail_no_memory(reading->error);
    cJSON_ArrayForEach(view, item)
    {
        if (take_view(reading, &rule->views[rule->view_count++], view))
            return -1;
    }
    rule->options.redactions = rule->views;
    rule->options.redaction_count = rule->view_count;
    return 0;
}

static const struct {
    const char *name;
    int (*take)(const struct reading *reading, const cJSON *item);
} members[] = {
    {"app_id", take_app_id},  {"pattern", take_pattern},         {"kinds", take_kinds},
    {"url", take_url},        {"headers", take_headers},         {"timeout_ms", take_timeout},
    {"cache_ms", take_cache}, {"expires_ms", take_expiry},       {"view_field", take_view_field},
    {"views", take_views},    {"presence_grace_ms", take_grace},
};
#define MEMBER_COUNT (sizeof members / sizeof members[0])

static int take_member(const struct reading *reading, const cJSON *item, uint32_t *seen)
{
    const char *names[MEMBER_COUNT];

    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        names[i] = members[i].name;
        if (strcmp(item->string, names[i]) != 0)
            continue;
        if (*seen & 1u << i)
            return cli_fail(reading->error, "%s is given twice", names[i]);
        *seen |= 1u << i;
        return members[i].take(reading, item);
    }
    const char *nearest = cli_nearest(item->string, names, MEMBER_COUNT);
    return cli_fail(reading->error, "unknown member \"%.100s\"%s%s%s", item->string,
                    nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                    nearest ? "\"?" : "");
}

/* -- rules -- */

static int read_rule(const struct reading *reading, const cJSON *object)
{
    struct cli_rule *rule = reading->rule;
    uint32_t seen = 0;
    const cJSON *item;

    pusherc_rule_init(&rule->options, sizeof rule->options);
    rule->options.kinds = PUSHERC_RULE_PRIVATE | PUSHERC_RULE_PRESENCE;
    rule->timeout_ms = CLI_RULE_TIMEOUT_MS;
    if (!cJSON_IsObject(object))
        return cli_fail(reading->error, "must be an object");
    cJSON_ArrayForEach(item, object)
    {
        if (take_member(reading, item, &seen))
            return -1;
    }
    if (!rule->pattern || !rule->url)
        return cli_fail(reading->error, "%s is missing", rule->pattern ? "url" : "pattern");
    if (rule->views && !rule->view_field)
        return cli_fail(reading->error, "views need a view_field");
    return 0;
}

int cli_rules_read(struct cli_rules *rules, const cJSON *array, struct cli_error *error)
{
    const cJSON *object;

    if (!cJSON_IsArray(array))
        return cli_fail(error, "rules must be an array");
    rules->items = calloc((size_t)cJSON_GetArraySize(array) + 1, sizeof *rules->items);
    if (!rules->items)
        return cli_fail_no_memory(error);
    cJSON_ArrayForEach(object, array)
    {
        struct cli_error why;
        const struct reading reading = {&rules->items[rules->count++], &why};

        if (read_rule(&reading, object))
            return cli_fail(error, "rule %zu: %s", rules->count, why.text);
    }
    return 0;
}

static void rule_free(struct cli_rule *rule)
{
    for (size_t i = 0; i < rule->view_count; i++) {
        for (size_t j = 0; j < rule->views[i].member_count; j++)
            free((char *)rule->views[i].members[j].ptr);
        free((pusherc_slice *)rule->views[i].members);
        free((char *)rule->views[i].view.ptr);
    }
    for (size_t i = 0; i < rule->field_count; i++)
        free(rule->fields[i]);
    free(rule->views);
    free(rule->fields);
    free(rule->app_id);
    free(rule->pattern);
    free(rule->url);
    free(rule->view_field);
}

void cli_rules_free(struct cli_rules *rules)
{
    for (size_t i = 0; i < rules->count; i++)
        rule_free(&rules->items[i]);
    free(rules->items);
    *rules = (struct cli_rules){0};
}

/* -- showing -- */

static void print_member(FILE *file, const char *name, const char *text)
{
    (void)fprintf(file, ", \"%s\": ", name);
    cli_print_json_text(file, text);
}

static void print_ms(FILE *file, const char *name, uint32_t ms)
{
    (void)fprintf(file, ", \"%s\": %u", name, ms == PUSHERC_NO_DELAY ? 0 : (unsigned)ms);
}

static void print_kinds(FILE *file, uint32_t kinds)
{
    const char *comma = "";

    (void)fputs(", \"kinds\": [", file);
    if (kinds & PUSHERC_RULE_PUBLIC)
        (void)fprintf(file, "\"public\""), comma = ", ";
    if (kinds & PUSHERC_RULE_PRIVATE)
        (void)fprintf(file, "%s\"private\"", comma), comma = ", ";
    if (kinds & PUSHERC_RULE_PRESENCE)
        (void)fprintf(file, "%s\"presence\"", comma);
    (void)fputc(']', file);
}

static void print_headers(FILE *file, const struct cli_rule *rule)
{
    for (size_t i = 0; i < rule->field_count; i++) {
        (void)fputs(i ? ", " : ", \"headers\": {", file);
        (void)fprintf(file, "\"%.*s\": \"(not shown)\"", (int)strcspn(rule->fields[i], ":"),
                      rule->fields[i]);
    }
    (void)fputs(rule->field_count ? "}" : "", file);
}

static void print_view(FILE *file, const pusherc_redaction *view)
{
    cli_print_json_text(file, view->view.ptr);
    (void)fputs(view->nothing ? ": null" : ": [", file);
    for (size_t i = 0; i < view->member_count; i++) {
        (void)fputs(i ? ", " : "", file);
        cli_print_json_text(file, view->members[i].ptr);
    }
    (void)fputs(view->nothing ? "" : "]", file);
}

static void print_views(FILE *file, const struct cli_rule *rule)
{
    for (size_t i = 0; i < rule->view_count; i++) {
        (void)fputs(i ? ", " : ", \"views\": {", file);
        print_view(file, &rule->views[i]);
    }
    (void)fputs(rule->view_count ? "}" : "", file);
}

static void print_rule(FILE *file, const struct cli_rule *rule)
{
    (void)fputs("{\"pattern\": ", file);
    cli_print_json_text(file, rule->pattern);
    if (rule->app_id)
        print_member(file, "app_id", rule->app_id);
    print_kinds(file, rule->options.kinds);
    (void)fputs(", \"url\": ", file);
    cli_print_url(file, rule->url);
    print_headers(file, rule);
    print_ms(file, "timeout_ms", rule->timeout_ms);
    print_ms(file, "cache_ms", rule->options.cache_ms);
    print_ms(file, "expires_ms", rule->expires_ms);
    if (rule->view_field)
        print_member(file, "view_field", rule->view_field);
    print_views(file, rule);
    if (rule->options.presence_grace_ms)
        print_ms(file, "presence_grace_ms", rule->options.presence_grace_ms);
    (void)fputc('}', file);
}

void cli_rules_print(FILE *file, const struct cli_rules *rules)
{
    (void)fputc('[', file);
    for (size_t i = 0; i < rules->count; i++) {
        (void)fputs(i ? ", " : "", file);
        print_rule(file, &rules->items[i]);
    }
    (void)fputc(']', file);
}
