#include "channel/shape_rule.h"

#include <string.h>

#include "auth/pattern.h"
#include "base/log.h"
#include "base/stat.h"
#include "channel/rule_words.h"
#include "codec/json_at.h"

#define DEFAULT_MAX_KEYS   1000
#define DEFAULT_MAX_BYTES  1048576
#define DEFAULT_MAX_EVENTS 100
#define DEBOUNCE_WAIT      10 /* windows, where no longest wait is given */

/* -- reading -- */

#define AT(member) offsetof(struct pc_shape_rule, member)

static const struct pc_rule_number numbers[] = {
    {"window_ms", AT(window_ms), 1, 3600000},    {"max_wait_ms", AT(max_wait_ms), 1, 3600000},
    {"max_per_s", AT(max_per_s), 1, 100000},     {"max_keys", AT(max_keys), 1, 1000000},
    {"max_bytes", AT(max_bytes), 1, 1073741824}, {"max_events", AT(max_events), 1, 10000},
};

static bool take_word(struct pc_shape_rule *rule, pusherc_slice word, bool *edges,
                      struct pc_rule_mistake *mistake)
{
    static const char *const modes[] = {"conflate", "debounce", "batch"};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (pc_slice_eq(word, pc_slice_of(modes[i]))) {
            rule->mode = (enum pc_shape_mode)i;
            return true;
        }
    }
    pusherc_slice name, value;
    pc_rule_split(word, &name, &value);
    if (value.len == 0)
        return pc_rule_wrong(mistake, word, "is not known");
    if (pc_slice_eq(name, PC_S("leading"))) {
        *edges = true;
        rule->leading = pc_slice_eq(value, PC_S("yes"));
        return rule->leading || pc_slice_eq(value, PC_S("no")) ||
               pc_rule_wrong(mistake, word, "must be yes or no");
    }
    if (pc_slice_eq(name, PC_S("event")))
        rule->event = value;
    else if (pc_slice_eq(name, PC_S("key")) && value.len > PC_JSON_PLACE_MAX)
        return pc_rule_wrong(mistake, word, "is too long");
    else if (pc_slice_eq(name, PC_S("key")))
        rule->key = value;
    else
        return pc_rule_take_number(rule, numbers, sizeof numbers / sizeof numbers[0], word,
                                   mistake);
    return true;
}

/* Puts defaults in and checks what depends on each other. */
static bool complete(struct pc_shape_rule *rule, bool edges, struct pc_rule_mistake *mistake)
{
    if (!edges)
        rule->leading = rule->mode == PC_SHAPE_CONFLATE;
    if (rule->mode == PC_SHAPE_BATCH && rule->leading)
        return pc_rule_wrong(mistake, PC_S("leading=yes"), "does not fit to a batch");
    if (rule->window_ms == 0 && (rule->mode != PC_SHAPE_CONFLATE || rule->max_per_s == 0))
        return pc_rule_wrong(mistake, PC_S(""), "window_ms is missing");
    if (rule->max_events && rule->mode != PC_SHAPE_BATCH)
        return pc_rule_wrong(mistake, PC_S("max_events"), "is for a batch");
    if (rule->max_wait_ms && rule->max_wait_ms < rule->window_ms)
        return pc_rule_wrong(mistake, PC_S("max_wait_ms"), "is shorter than window_ms");
    if (rule->max_wait_ms == 0)
        rule->max_wait_ms =
            rule->mode == PC_SHAPE_DEBOUNCE ? rule->window_ms * DEBOUNCE_WAIT : PC_SHAPE_NO_WAIT;
    if (rule->max_keys == 0)
        rule->max_keys = DEFAULT_MAX_KEYS;
    if (rule->max_bytes == 0)
        rule->max_bytes = DEFAULT_MAX_BYTES;
    if (rule->max_events == 0)
        rule->max_events = DEFAULT_MAX_EVENTS;
    return true;
}

/* Reads one rule; its slices point into `text`. */
static bool read_rule(pusherc_slice text, void *zeroed, struct pc_rule_mistake *mistake)
{
    struct pc_shape_rule *rule = zeroed;
    bool edges = false;
    if (!pc_rule_pattern(&text, &rule->pattern, mistake))
        return false;
    for (pusherc_slice word = pc_words_cut(&text); word.len; word = pc_words_cut(&text))
        if (!take_word(rule, word, &edges, mistake))
            return false;
    return complete(rule, edges, mistake);
}

/* -- checking -- */

/* A rule with the same channels and events would never be asked. */
static const char *hidden(const void *all, uint32_t count)
{
    const struct pc_shape_rule *rules = all;
    const struct pc_shape_rule *last = &rules[count];
    for (uint32_t i = 0; i < count; i++)
        if (pc_slice_eq(rules[i].event, last->event) &&
            pc_patterns_same(rules[i].pattern, last->pattern))
            return "an earlier rule is about the same events";
    return NULL;
}

static const struct pc_rule_form form = {"shaping", PC_SHAPE_MAX_RULES,
                                         sizeof(struct pc_shape_rule), read_rule, hidden};

int pc_shape_rules_check(pusherc_slice text, const char *about, pusherc_errinfo *info)
{
    struct pc_shape_rule rules[PC_SHAPE_MAX_RULES];
    return pc_rules_text_check(&form, rules, text, about, info);
}

/* -- rules of an app -- */

static struct pc_shape_rule *rule_new(const struct pc_mem *mem, pusherc_slice text)
{
    struct pc_rule_mistake mistake;
    struct pc_shape_rule *rule = pc_alloc_zero(mem, sizeof *rule + text.len);
    if (!rule)
        return NULL;
    memcpy(rule + 1, text.ptr, text.len);
    rule->text = pc_slice((const char *)(rule + 1), text.len);
    rule->mem = *mem;
    atomic_init(&rule->refs, 1);
    (void)read_rule(rule->text, rule, &mistake);
    return rule;
}

void pc_shape_rule_ref(struct pc_shape_rule *rule)
{
    atomic_fetch_add_explicit(&rule->refs, 1, memory_order_relaxed);
}

void pc_shape_rule_unref(struct pc_shape_rule *rule)
{
    /* acquire: the thread that frees sees everything the other holders did */
    if (atomic_fetch_sub_explicit(&rule->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct pc_mem mem = rule->mem;
    pc_free(&mem, rule);
}

int pc_shape_rules_read(struct pc_shape_rules *out, const struct pc_mem *mem, pusherc_slice text)
{
    const uint32_t count = pc_words_count_rules(text);
    *out = (struct pc_shape_rules){.serial = 1};
    if (count == 0)
        return 0;
    out->items = pc_alloc_array(mem, count, sizeof *out->items);
    if (!out->items)
        return PUSHERC_ENOMEM;
    for (; out->count < count; out->count++) {
        out->items[out->count] = rule_new(mem, pc_words_cut_rule(&text));
        if (!out->items[out->count]) {
            pc_shape_rules_free(out, mem);
            return PUSHERC_ENOMEM;
        }
    }
    return 0;
}

static struct pc_shape_rule *find_same(const struct pc_shape_rules *rules,
                                       const struct pc_shape_rule *like)
{
    for (uint32_t i = 0; i < rules->count; i++)
        if (pc_slice_eq(rules->items[i]->text, like->text))
            return rules->items[i];
    return NULL;
}

void pc_shape_rules_keep(struct pc_shape_rules *rules, const struct pc_shape_rules *before)
{
    bool all = before && before->count == rules->count;
    if (!before)
        return;
    for (uint32_t i = 0; i < rules->count; i++) {
        struct pc_shape_rule *same = find_same(before, rules->items[i]);
        if (same) {
            pc_shape_rule_ref(same);
            pc_shape_rule_unref(rules->items[i]);
            rules->items[i] = same;
        }
        all = all && same == before->items[i];
    }
    rules->serial = before->serial + !all;
}

void pc_shape_rules_free(struct pc_shape_rules *rules, const struct pc_mem *mem)
{
    for (uint32_t i = 0; i < rules->count; i++)
        pc_shape_rule_unref(rules->items[i]);
    pc_free(mem, rules->items);
    *rules = (struct pc_shape_rules){0};
}

uint32_t pc_shape_rules_covering(const struct pc_shape_rules *rules, pusherc_slice channel)
{
    uint32_t covering = 0;
    for (uint32_t i = 0; i < rules->count; i++)
        covering |= (uint32_t)pc_pattern_matches(rules->items[i]->pattern, channel, NULL) << i;
    return covering;
}

struct pc_shape_rule *pc_shape_rules_pick(const struct pc_shape_rules *rules, uint32_t covering,
                                          pusherc_slice event)
{
    for (; covering; covering &= covering - 1) {
        struct pc_shape_rule *rule = rules->items[__builtin_ctz(covering)];
        if (rule->event.len == 0 || pc_slice_eq(rule->event, event))
            return rule;
    }
    return NULL;
}

uint64_t pc_shape_waiting(const struct pc_shape_counts *counts)
{
    uint64_t gone = pc_stat_get(&counts->out) + pc_stat_get(&counts->merged) +
                    pc_stat_get(&counts->passed) + pc_stat_get(&counts->refused) +
                    pc_stat_get(&counts->dropped);
    uint64_t in = pc_stat_get(&counts->in);
    return in > gone ? in - gone : 0;
}
