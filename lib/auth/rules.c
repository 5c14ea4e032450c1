#include "auth/rules.h"

#include <pusherc/app.h>

#include "base/log.h"
#include "base/options.h"
#include "base/pack.h"
#include "protocol/names.h"

/*
 * How the table changes while it is read. A table never changes: a thread that adds or removes a rule makes another table, and
 * puts it in the place of the one before. Rules are counted, by tables and by what keeps one for longer (a question
 * under way). Workers read the table that is in place without a lock and without counting; so the table before is given
 * to the caller, who frees it when each worker has begun to read the new one. Other threads count the table.
 */

/* Stock pusher-js sends forty subscribes within it: docs/authorization.md, "Decisions". */
#define GATHER_MS     2
#define MAX_GATHER_MS 1000

void pc_rules_init(struct pc_rules *rules, const struct pc_mem *mem)
{
    rules->mem = mem;
    pthread_mutex_init(&rules->mutex, NULL);
    atomic_init(&rules->now, NULL);
}

void pc_rule_ref(const struct pc_rule *rule)
{
    if (rule)
        atomic_fetch_add_explicit(&((struct pc_rule *)rule)->refs, 1, memory_order_relaxed);
}

void pc_rule_unref(const struct pc_rule *counted)
{
    struct pc_rule *rule = (struct pc_rule *)counted;
    if (!rule || atomic_fetch_sub_explicit(&rule->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct pc_mem mem = rule->mem;
    if (rule->options.free_user_data)
        rule->options.free_user_data(rule->options.user_data);
    pc_free(&mem, rule->text);
    pc_free(&mem, rule->redactions);
    pc_free(&mem, rule);
}

/* Room for `count` rules. */
static struct pc_rule_table *table_new(const struct pc_mem *mem, size_t count)
{
    struct pc_rule_table *table =
        pc_alloc_zero(mem, sizeof *table + count * sizeof table->rules[0]);
    if (!table)
        return NULL;
    atomic_init(&table->refs, 1);
    table->mem = *mem;
    return table;
}

void pc_rule_table_unref(struct pc_rule_table *table)
{
    if (!table || atomic_fetch_sub_explicit(&table->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < table->count; i++)
        pc_rule_unref(table->rules[i]);
    struct pc_mem mem = table->mem;
    pc_free(&mem, table);
}

void pc_rules_free(struct pc_rules *rules)
{
    pc_rule_table_unref(atomic_load(&rules->now));
    atomic_store(&rules->now, NULL);
    pthread_mutex_destroy(&rules->mutex);
}

struct pc_rule_table *pc_rules_take(struct pc_rules *rules)
{
    pthread_mutex_lock(&rules->mutex);
    struct pc_rule_table *table = atomic_load_explicit(&rules->now, memory_order_relaxed);
    if (table)
        atomic_fetch_add_explicit(&table->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&rules->mutex);
    return table;
}

/* -- names -- */

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

static bool takes_rest(const struct pc_rule *rule)
{
    return pc_pattern_front(rule->pattern).len < rule->pattern.len;
}

/* Positive if `a` stands before `b` in the table. */
static int more_specific(const struct pc_rule *a, const struct pc_rule *b)
{
    if ((a->app_id.len > 0) != (b->app_id.len > 0))
        return a->app_id.len > 0 ? 1 : -1;
    if (takes_rest(a) != takes_rest(b))
        return takes_rest(a) ? -1 : 1;
    if (a->param_count != b->param_count)
        return a->param_count < b->param_count ? 1 : -1;
    if (a->literal_bytes != b->literal_bytes)
        return a->literal_bytes > b->literal_bytes ? 1 : -1;
    /* The pattern whose first parameter comes later fixes more of the name's beginning. */
    if (first_param(a) != first_param(b))
        return first_param(a) > first_param(b) ? 1 : -1;
    return 0;
}

/* Refuses a pattern that no channel can match, in most cases because it begins with "private-". */
static int check_reach(pusherc_slice pattern, pusherc_errinfo *info)
{
    char name[PC_PATTERN_MAX];
    struct pc_channel_class is;
    for (size_t i = 0; i < pattern.len; i++)
        name[i] = pattern.ptr[i] == '{' || pattern.ptr[i] == '}' ? '_' : pattern.ptr[i];
    bool valid = pc_channel_name_valid(pc_slice(name, pattern.len), PC_PATTERN_MAX, &is);
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
            "pattern %s: must be 1 to %d characters, with parameters as {name}, at most %d of "
            "them, or one {name...} at its end",
            shown, PC_PATTERN_MAX, PUSHERC_RULE_MAX_PARAMS);
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
                          "pattern %s: needs authorize, authorize_batch or inbox, and not two",
                          shown);
    if (rule->options.kinds & ~(uint32_t)(PUSHERC_RULE_DEFAULT | PUSHERC_RULE_PUBLIC))
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "pattern %s: unknown kind", shown);
    if (o->render && o->redaction_count)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "pattern %s: render or redactions, not both",
                          shown);
    if ((o->render || o->redaction_count) && (rule->options.kinds & PUSHERC_RULE_ENCRYPTED))
        return pc_errinfo(
            info, PUSHERC_EINVAL, 0,
            "pattern %s: encrypted payloads cannot be rendered; leave PUSHERC_RULE_ENCRYPTED out",
            shown);
    return 0;
}

/* Turns "default" and "not at all" into milliseconds. */
static int take_gathering(pusherc_rule *o, pusherc_errinfo *info)
{
    if (o->gather_ms && !o->authorize_batch)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "pattern %s: gather_ms needs authorize_batch",
                          o->pattern);
    if (o->gather_ms > MAX_GATHER_MS && o->gather_ms != PUSHERC_NO_DELAY)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "pattern %s: gather_ms: 0..%d, or no delay",
                          o->pattern, MAX_GATHER_MS);
    if (o->gather_ms == 0 && o->authorize_batch)
        o->gather_ms = GATHER_MS;
    else if (o->gather_ms == PUSHERC_NO_DELAY)
        o->gather_ms = 0;
    return 0;
}

static bool share_app(const struct pc_rule *a, const struct pc_rule *b)
{
    return a->app_id.len == 0 || b->app_id.len == 0 || pc_slice_eq(a->app_id, b->app_id);
}

/* While channels may exist, what renders their events stays: subscribers without a view would see what they must not. */
static int check_views(const struct pc_rule_table *table, const struct pc_rule *rule,
                       pusherc_errinfo *info)
{
    if (pc_rule_renders(rule))
        return pc_errinfo(info, PUSHERC_ESTATE, 0,
                          "pattern %s: rules that render are added before the start, and stay",
                          rule->options.pattern);
    for (size_t i = 0; table && i < table->count; i++) {
        const struct pc_rule *other = table->rules[i];
        if (pc_rule_renders(other) && (other->options.kinds & rule->options.kinds) &&
            share_app(other, rule) && pc_patterns_meet(other->pattern, rule->pattern))
            return pc_errinfo(info, PUSHERC_ESTATE, 0,
                              "pattern %s: %s renders, and covers some of the same names: what "
                              "renders a channel stays while the server runs",
                              rule->options.pattern, other->options.pattern);
    }
    return 0;
}

static bool is_rival(const struct pc_rule *a, const struct pc_rule *b)
{
    return (a->options.kinds & b->options.kinds) && pc_slice_eq(a->app_id, b->app_id) &&
           pc_patterns_same(a->pattern, b->pattern);
}

static int check_rivals(const struct pc_rule_table *table, const struct pc_rule *rule,
                        pusherc_errinfo *info)
{
    for (size_t i = 0; table && i < table->count && !rule->options.replaces; i++)
        if (is_rival(table->rules[i], rule))
            return pc_errinfo(info, PUSHERC_EEXIST, 0, "pattern %s: covered already by %s",
                              rule->options.pattern, table->rules[i]->options.pattern);
    return 0;
}

static void append(struct pc_rule_table *table, struct pc_rule *rule)
{
    table->rules[table->count++] = rule;
    table->any_public |= (rule->options.kinds & PUSHERC_RULE_PUBLIC) != 0;
    pc_rule_ref(rule);
}

/* The table without the rules whose place `rule` takes, and with it. NULL = out of memory. */
static struct pc_rule_table *table_with(const struct pc_mem *mem, const struct pc_rule_table *old,
                                        struct pc_rule *rule)
{
    size_t count = old ? old->count : 0, i = 0;
    struct pc_rule_table *table = table_new(mem, count + 1);
    bool added = false;
    while (table && (i < count || !added)) {
        if (!added && (i == count || more_specific(rule, old->rules[i]) > 0)) {
            append(table, rule);
            added = true;
        } else {
            if (!is_rival(old->rules[i], rule))
                append(table, old->rules[i]);
            i++;
        }
    }
    return table;
}

static int rule_new(const struct pc_mem *mem, const pusherc_rule *from, struct pc_rule **out,
                    pusherc_errinfo *info)
{
    struct pc_rule checked = {0};
    pusherc_rule taken, *const options = &taken;
    int err = PC_TAKE(rule, options, from, info);
    if (err)
        return err;
    checked.options = taken;
    /* The default kinds of a rule that renders leave encrypted channels out. */
    bool renders = options->render || options->redaction_count;
    if (checked.options.kinds == 0)
        checked.options.kinds =
            PUSHERC_RULE_DEFAULT & (renders ? ~(uint32_t)PUSHERC_RULE_ENCRYPTED : ~0u);
    err = check(options, &checked, info);
    if (err == 0)
        err = take_gathering(&checked.options, info);
    if (err == 0 && options->redaction_count)
        err = pc_redactions_new(&checked.redactions, mem, options, info);
    if (err)
        return err;
    pusherc_slice app_id = pc_slice_of(options->app_id), pattern = pc_slice_of(options->pattern);
    struct pc_rule *rule = pc_alloc_zero(mem, sizeof *rule);
    char *text = pc_alloc_zero(mem, app_id.len + pattern.len + 2);
    if (!rule || !text) {
        pc_free(mem, rule);
        pc_free(mem, text);
        pc_free(mem, checked.redactions);
        return pc_errinfo(info, PUSHERC_ENOMEM, 0, "out of memory");
    }
    char *at = text;
    *rule = checked;
    atomic_init(&rule->refs, 1);
    rule->mem = *mem;
    rule->text = text;
    rule->pattern = pc_pack(&at, pattern);
    at++; /* the pattern's NUL */
    rule->app_id = pc_pack(&at, app_id);
    rule->options.pattern = text;
    rule->options.app_id = app_id.len ? rule->app_id.ptr : NULL;
    rule->options.redactions = NULL; /* the host's */
    /* Again, so that the names point into the rule's copy. */
    pc_pattern_valid(rule->pattern, rule->param_names, &rule->param_count);
    rule->literal_bytes = pattern.len;
    for (size_t i = 0; i < rule->param_count; i++)
        rule->literal_bytes -= rule->param_names[i].len + 2;
    if (takes_rest(rule))
        rule->literal_bytes -= 3; /* the dots */
    *out = rule;
    return 0;
}

/* Not accepted: its user_data stays the caller's. */
static void rule_drop(struct pc_rule *rule)
{
    rule->options.free_user_data = NULL;
    pc_rule_unref(rule);
}

int pc_rules_put(struct pc_rules *rules, const pusherc_rule *from, bool views_stay,
                 struct pc_rule_table **old, pusherc_errinfo *info)
{
    struct pc_rule *rule;
    *old = NULL;
    int err = rule_new(rules->mem, from, &rule, info);
    if (err)
        return err;
    pthread_mutex_lock(&rules->mutex);
    struct pc_rule_table *before = atomic_load_explicit(&rules->now, memory_order_relaxed);
    struct pc_rule_table *after = NULL;
    err = views_stay ? check_views(before, rule, info) : 0;
    err = err ? err : check_rivals(before, rule, info);
    if (err == 0 && !(after = table_with(rules->mem, before, rule)))
        err = pc_errinfo(info, PUSHERC_ENOMEM, 0, "out of memory");
    if (err == 0) {
        atomic_store_explicit(&rules->now, after, memory_order_release);
        *old = before;
    }
    pthread_mutex_unlock(&rules->mutex);
    if (err)
        rule_drop(rule);
    else
        pc_rule_unref(rule);
    return err;
}

int pc_rules_add(struct pc_rules *rules, const pusherc_rule *rule, pusherc_errinfo *info)
{
    struct pc_rule_table *old;
    int err = pc_rules_put(rules, rule, false, &old, info);
    pc_rule_table_unref(old);
    return err;
}

static bool is_named(const struct pc_rule *rule, pusherc_slice app_id, pusherc_slice pattern)
{
    return pc_slice_eq(rule->app_id, app_id) && pc_slice_eq(rule->pattern, pattern);
}

/* Locked. */
static int remove_locked(struct pc_rules *rules, pusherc_slice app_id, pusherc_slice pattern,
                         bool views_stay, struct pc_rule_table **old, pusherc_errinfo *info)
{
    struct pc_rule_table *before = atomic_load_explicit(&rules->now, memory_order_relaxed);
    size_t found = 0, count = before ? before->count : 0;
    int err = 0;
    for (size_t i = 0; i < count && err == 0; i++) {
        bool named = is_named(before->rules[i], app_id, pattern);
        found += named;
        err = named && views_stay ? check_views(before, before->rules[i], info) : 0;
    }
    if (err || found == 0)
        return err ? err : pc_errinfo(info, PUSHERC_ENOENT, 0, "there is no such rule");
    struct pc_rule_table *after = table_new(rules->mem, count - found);
    if (!after)
        return pc_errinfo(info, PUSHERC_ENOMEM, 0, "out of memory");
    for (size_t i = 0; i < count; i++)
        if (!is_named(before->rules[i], app_id, pattern))
            append(after, before->rules[i]);
    atomic_store_explicit(&rules->now, after, memory_order_release);
    *old = before;
    return 0;
}

int pc_rules_remove(struct pc_rules *rules, pusherc_slice app_id, pusherc_slice pattern,
                    bool views_stay, struct pc_rule_table **old, pusherc_errinfo *info)
{
    *old = NULL;
    pthread_mutex_lock(&rules->mutex);
    int err = remove_locked(rules, app_id, pattern, views_stay, old, info);
    pthread_mutex_unlock(&rules->mutex);
    return err;
}

struct pc_rule_match pc_rule_table_find(const struct pc_rule_table *table, pusherc_slice app_id,
                                        pusherc_slice channel, pusherc_channel_kind kind)
{
    struct pc_rule_match match = {0};
    uint32_t wanted = pc_rule_kind(kind);
    pusherc_slice subject = pc_rule_subject(channel);
    for (size_t i = 0; table && i < table->count; i++) {
        const struct pc_rule *rule = table->rules[i];
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
