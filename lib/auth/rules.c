#include "auth/rules.h"

#include "base/log.h"
#include "base/options.h"
#include "base/pack.h"
#include "protocol/names.h"

#define MAX_PATTERN 200 /* the longest channel name */

void pc_rules_init(struct pc_rules *rules, const struct pc_mem *mem)
{
    *rules = (struct pc_rules){.mem = mem};
}

static void rule_free(const struct pc_mem *mem, struct pc_rule *rule)
{
    if (rule)
        pc_free(mem, rule->text);
    pc_free(mem, rule);
}

void pc_rules_free(struct pc_rules *rules)
{
    for (size_t i = 0; i < rules->count; i++)
        rule_free(rules->mem, rules->rules[i]);
    pc_free(rules->mem, rules->rules);
    *rules = (struct pc_rules){.mem = rules->mem};
}

/* -- patterns -- */

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool pc_pattern_valid(pusherc_slice pattern, pusherc_slice *names, size_t *count)
{
    size_t params = 0;
    if (pattern.len == 0 || pattern.len > MAX_PATTERN)
        return false;
    for (size_t i = 0; i < pattern.len; i++) {
        if (pattern.ptr[i] == '}')
            return false;
        if (pattern.ptr[i] != '{')
            continue;
        size_t from = ++i;
        while (i < pattern.len && name_char(pattern.ptr[i]))
            i++;
        if (i == from || i == pattern.len || pattern.ptr[i] != '}' ||
            params == PUSHERC_RULE_MAX_PARAMS)
            return false;
        if (names)
            names[params] = pc_slice(pattern.ptr + from, i - from);
        params++;
    }
    if (count)
        *count = params;
    return true;
}

/*
 * Matches from the right, and each parameter takes as few characters as possible. Then the parameters further left take
 * as many as possible, which is the result of Laravel's regular expression. A parameter has at least one character, and
 * no '.'.
 *
 * On a mismatch, only the parameter that was begun last takes one character more, and matching resumes to the left of
 * it. Going back to an older parameter would not help: it would only move the same literal further left within its
 * segment, and the newer parameter reaches those places too. So the work is at most the length of the name times the
 * length of the pattern, whatever a client sends.
 */
bool pc_pattern_matches(pusherc_slice p, pusherc_slice s, pusherc_slice *values)
{
    pusherc_slice found[PUSHERC_RULE_MAX_PARAMS];
    size_t depth = 0; /* parameters begun; the last one in the pattern is found[0] */
    size_t resume_at = 0;
    size_t i = p.len, k = s.len;
    while (i > 0 || k > 0) {
        bool param = i > 0 && p.ptr[i - 1] == '}';
        if (param && k > 0 && s.ptr[k - 1] != '.') {
            while (p.ptr[i - 1] != '{')
                i--;
            resume_at = --i;
            found[depth++] = pc_slice(s.ptr + --k, 1);
        } else if (!param && i > 0 && k > 0 && p.ptr[i - 1] == s.ptr[k - 1]) {
            i--;
            k--;
        } else {
            pusherc_slice *last = depth > 0 ? &found[depth - 1] : NULL;
            if (!last || last->ptr == s.ptr || last->ptr[-1] == '.')
                return false;
            last->ptr--;
            last->len++;
            i = resume_at;
            k = (size_t)(last->ptr - s.ptr);
        }
    }
    for (size_t n = 0; values && n < depth; n++)
        values[n] = found[depth - 1 - n];
    return true;
}

pusherc_slice pc_rule_subject(pusherc_slice channel)
{
    const struct pc_channel_prefix *prefix = pc_channel_prefix_of(channel);
    if (prefix->is.kind == PUSHERC_CHANNEL_USER)
        return channel;
    return pc_slice_skip(channel, prefix->text.len);
}

uint32_t pc_rule_kind(pusherc_channel_kind kind)
{
    switch (kind) {
    case PUSHERC_CHANNEL_PUBLIC:
        return PUSHERC_RULE_PUBLIC;
    case PUSHERC_CHANNEL_PRIVATE:
        return PUSHERC_RULE_PRIVATE;
    case PUSHERC_CHANNEL_PRIVATE_ENCRYPTED:
        return PUSHERC_RULE_ENCRYPTED;
    case PUSHERC_CHANNEL_PRESENCE:
        return PUSHERC_RULE_PRESENCE;
    case PUSHERC_CHANNEL_USER:
        break;
    }
    return 0;
}

/* -- the table -- */

static size_t first_param(const struct pc_rule *rule)
{
    return pc_slice_find(rule->pattern, '{');
}

/* Positive if `a` stands before `b` in the table. */
static int more_specific(const struct pc_rule *a, const struct pc_rule *b)
{
    if ((a->app_id.len > 0) != (b->app_id.len > 0))
        return a->app_id.len > 0 ? 1 : -1;
    if (a->param_count != b->param_count)
        return a->param_count < b->param_count ? 1 : -1;
    if (a->literal_bytes != b->literal_bytes)
        return a->literal_bytes > b->literal_bytes ? 1 : -1;
    /* The pattern whose first parameter comes later fixes more of the name's beginning. */
    if (first_param(a) != first_param(b))
        return first_param(a) > first_param(b) ? 1 : -1;
    return 0;
}

/* True if both patterns match the same names: they differ at most in the names of parameters. */
static bool same_names(pusherc_slice a, pusherc_slice b)
{
    size_t i = 0, k = 0;
    while (i < a.len && k < b.len) {
        if (a.ptr[i] != b.ptr[k])
            return false;
        if (a.ptr[i] == '{') {
            i += pc_slice_find(pc_slice_skip(a, i), '}');
            k += pc_slice_find(pc_slice_skip(b, k), '}');
        }
        i++;
        k++;
    }
    return i == a.len && k == b.len;
}

/* Refuses a pattern that no channel can match, in most cases because it begins with "private-". */
static int check_reach(pusherc_slice pattern, pusherc_errinfo *info)
{
    char name[MAX_PATTERN];
    struct pc_channel_class is;
    for (size_t i = 0; i < pattern.len; i++)
        name[i] = pattern.ptr[i] == '{' || pattern.ptr[i] == '}' ? '_' : pattern.ptr[i];
    bool valid = pc_channel_name_valid(pc_slice(name, pattern.len), MAX_PATTERN, &is);
    if (is.kind != PUSHERC_CHANNEL_PUBLIC || is.cache)
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "pattern %s: leave the prefix out, the rule's kinds stand for it",
                          pattern.ptr);
    if (!valid)
        return pc_errinfo(
            info, PUSHERC_EINVAL, 0,
            "pattern %s: no channel has such a name; use letters, digits, -_=@,.; and "
            "{parameters}",
            pattern.ptr);
    return 0;
}

static int check(const pusherc_rule *o, struct pc_rule *rule, pusherc_errinfo *info)
{
    const char *shown = o->pattern ? o->pattern : "(none)";
    if (!pc_pattern_valid(pc_slice_of(o->pattern), rule->param_names, &rule->param_count))
        return pc_errinfo(
            info, PUSHERC_EINVAL, 0,
            "pattern %s: must be 1 to %d characters, with parameters as {name}, at most %d of them",
            shown, MAX_PATTERN, PUSHERC_RULE_MAX_PARAMS);
    for (size_t i = 0; i < rule->param_count; i++)
        for (size_t k = 0; k < i; k++)
            if (pc_slice_eq(rule->param_names[i], rule->param_names[k]))
                return pc_errinfo(info, PUSHERC_EINVAL, 0, "pattern %s: parameter {%.*s} twice",
                                  shown, (int)rule->param_names[i].len, rule->param_names[i].ptr);
    int err = check_reach(pc_slice_of(o->pattern), info);
    if (err)
        return err;
    if (!o->authorize == !o->authorize_batch)
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "pattern %s: needs authorize or authorize_batch, and not both", shown);
    if (rule->options.kinds & ~(PUSHERC_RULE_DEFAULT | PUSHERC_RULE_PUBLIC))
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "pattern %s: unknown kind", shown);
    if (o->render && (rule->options.kinds & PUSHERC_RULE_ENCRYPTED))
        return pc_errinfo(
            info, PUSHERC_EINVAL, 0,
            "pattern %s: encrypted payloads cannot be rendered; leave PUSHERC_RULE_ENCRYPTED out",
            shown);
    return 0;
}

static int check_duplicate(const struct pc_rules *rules, const struct pc_rule *rule,
                           pusherc_errinfo *info)
{
    for (size_t i = 0; i < rules->count; i++) {
        const struct pc_rule *other = rules->rules[i];
        if ((other->options.kinds & rule->options.kinds) &&
            pc_slice_eq(other->app_id, rule->app_id) && same_names(other->pattern, rule->pattern))
            return pc_errinfo(info, PUSHERC_EEXIST, 0, "pattern %s: covered already by %s",
                              rule->options.pattern, other->options.pattern);
    }
    return 0;
}

static void insert_sorted(struct pc_rules *rules, struct pc_rule *rule)
{
    size_t at = rules->count++;
    for (; at > 0 && more_specific(rule, rules->rules[at - 1]) > 0; at--)
        rules->rules[at] = rules->rules[at - 1];
    rules->rules[at] = rule;
}

int pc_rules_add(struct pc_rules *rules, const pusherc_rule *from, pusherc_errinfo *info)
{
    struct pc_rule checked = {0};
    pusherc_rule taken, *const options = &taken;
    int err = PC_TAKE(rule, options, from, info);
    if (err)
        return err;
    checked.options = taken;
    /* The default kinds of a rule with a render function leave encrypted channels out. */
    if (checked.options.kinds == 0)
        checked.options.kinds =
            PUSHERC_RULE_DEFAULT & ~(options->render ? PUSHERC_RULE_ENCRYPTED : 0u);
    err = check(options, &checked, info);
    if (err)
        return err;
    pusherc_slice app_id = pc_slice_of(options->app_id), pattern = pc_slice_of(options->pattern);
    struct pc_rule **grown =
        pc_resize_array(rules->mem, rules->rules, rules->count + 1, sizeof *rules->rules);
    if (!grown)
        return pc_errinfo(info, PUSHERC_ENOMEM, 0, "out of memory");
    rules->rules = grown;
    struct pc_rule *rule = pc_alloc_zero(rules->mem, sizeof *rule);
    char *text = pc_alloc_zero(rules->mem, app_id.len + pattern.len + 2);
    if (!rule || !text) {
        pc_free(rules->mem, rule);
        pc_free(rules->mem, text);
        return pc_errinfo(info, PUSHERC_ENOMEM, 0, "out of memory");
    }
    char *at = text;
    *rule = checked;
    rule->text = text;
    rule->pattern = pc_pack(&at, pattern);
    at++; /* the pattern's NUL */
    rule->app_id = pc_pack(&at, app_id);
    rule->options.pattern = text;
    rule->options.app_id = app_id.len ? rule->app_id.ptr : NULL;
    size_t braces = 0;
    /* Again, so that the names point into the rule's copy. */
    pc_pattern_valid(rule->pattern, rule->param_names, &rule->param_count);
    for (size_t i = 0; i < rule->param_count; i++)
        braces += rule->param_names[i].len + 2;
    rule->literal_bytes = pattern.len - braces;
    err = check_duplicate(rules, rule, info);
    if (err) {
        rule_free(rules->mem, rule);
        return err;
    }
    rules->any_public |= (rule->options.kinds & PUSHERC_RULE_PUBLIC) != 0;
    insert_sorted(rules, rule);
    return 0;
}

struct pc_rule_match pc_rules_find(const struct pc_rules *rules, pusherc_slice app_id,
                                   pusherc_slice channel, pusherc_channel_kind kind)
{
    struct pc_rule_match match = {0};
    uint32_t wanted = pc_rule_kind(kind);
    pusherc_slice subject = pc_rule_subject(channel);
    for (size_t i = 0; i < rules->count; i++) {
        const struct pc_rule *rule = rules->rules[i];
        if (!(rule->options.kinds & wanted) ||
            (rule->app_id.len && !pc_slice_eq(rule->app_id, app_id)))
            continue;
        if (pc_pattern_matches(rule->pattern, subject, match.values)) {
            match.rule = rule;
            return match;
        }
    }
    return match;
}

struct pc_rule_match pc_rule_match_in(const struct pc_rule_match *match, pusherc_slice name,
                                      pusherc_slice copy)
{
    struct pc_rule_match moved = *match;
    for (size_t i = 0; match->rule && i < match->rule->param_count; i++)
        moved.values[i].ptr = copy.ptr + (match->values[i].ptr - name.ptr);
    return moved;
}

pusherc_slice pc_rule_param(const struct pc_rule_match *match, pusherc_slice name)
{
    for (size_t i = 0; match->rule && i < match->rule->param_count; i++)
        if (pc_slice_eq(match->rule->param_names[i], name))
            return match->values[i];
    return PC_S("");
}
