#include "channel/shape_rule.h"

#include <stdio.h>
#include <string.h>

#include "auth/pattern.h"
#include "base/log.h"
#include "base/stat.h"

#define DEFAULT_MAX_KEYS   1000
#define DEFAULT_MAX_BYTES  1048576
#define DEFAULT_MAX_EVENTS 100
#define DEBOUNCE_WAIT      10 /* windows, where no longest wait is given */

/* -- reading -- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Cuts the next word off; len 0: the text is over. A line feed is a word, as ";" is. */
static pusherc_slice cut_word(pusherc_slice *text)
{
    size_t len = 0;
    while (text->len && is_space(text->ptr[0]))
        *text = pc_slice_skip(*text, 1);
    if (text->len == 0)
        return PC_S("");
    if (text->ptr[0] == '\n')
        len = 1;
    else
        while (len < text->len && !is_space(text->ptr[len]) && text->ptr[len] != '\n')
            len++;
    pusherc_slice word = pc_slice_first(*text, len);
    *text = pc_slice_skip(*text, len);
    return word;
}

static bool is_end(pusherc_slice word)
{
    return pc_slice_eq(word, PC_S(";")) || pc_slice_eq(word, PC_S("\n"));
}

/* Cuts the words of the next rule off; len 0: there is none. */
static pusherc_slice cut_rule(pusherc_slice *text)
{
    const char *start = NULL, *end = NULL;
    for (;;) {
        pusherc_slice word = cut_word(text);
        if (word.len && !is_end(word)) {
            start = start ? start : word.ptr;
            end = word.ptr + word.len;
        } else if (word.len == 0 || start) {
            return start ? pc_slice(start, (size_t)(end - start)) : PC_S("");
        }
    }
}

/* A number of a rule. */
struct number {
    const char *name;
    size_t offset; /* of a uint32_t in struct pc_shape_rule */
    uint32_t min, max;
};

#define AT(member) offsetof(struct pc_shape_rule, member)

static const struct number numbers[] = {
    {"window_ms", AT(window_ms), 1, 3600000},    {"max_wait_ms", AT(max_wait_ms), 1, 3600000},
    {"max_per_s", AT(max_per_s), 1, 100000},     {"max_keys", AT(max_keys), 1, 1000000},
    {"max_bytes", AT(max_bytes), 1, 1073741824}, {"max_events", AT(max_events), 1, 10000},
};

static bool read_number(pusherc_slice text, uint32_t *out)
{
    uint64_t value = 0;
    if (text.len == 0 || text.len > 10)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    *out = value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
    return true;
}

/* What is wrong with a rule; `what` and `why` are static. */
struct mistake {
    pusherc_slice word; /* len 0 = it is about the whole rule */
    const char *why;
};

static bool wrong(struct mistake *mistake, pusherc_slice word, const char *why)
{
    *mistake = (struct mistake){word, why};
    return false;
}

static bool take_number(struct pc_shape_rule *rule, pusherc_slice name, pusherc_slice value,
                        pusherc_slice word, struct mistake *mistake)
{
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const struct number *n = &numbers[i];
        uint32_t *out = (uint32_t *)(void *)((char *)rule + n->offset), number;
        if (!pc_slice_eq(name, pc_slice_of(n->name)))
            continue;
        if (!read_number(value, &number) || number < n->min || number > n->max)
            return wrong(mistake, word, "must be a number in its range");
        *out = number;
        return true;
    }
    return wrong(mistake, word, "is not known");
}

static bool take_word(struct pc_shape_rule *rule, pusherc_slice word, bool *edges,
                      struct mistake *mistake)
{
    static const char *const modes[] = {"conflate", "debounce", "batch"};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (pc_slice_eq(word, pc_slice_of(modes[i]))) {
            rule->mode = (enum pc_shape_mode)i;
            return true;
        }
    }
    size_t at = pc_slice_find(word, '=');
    pusherc_slice name = pc_slice_first(word, at);
    pusherc_slice value = pc_slice_skip(word, at < word.len ? at + 1 : at);
    if (value.len == 0)
        return wrong(mistake, word, "is not known");
    if (pc_slice_eq(name, PC_S("leading"))) {
        *edges = true;
        rule->leading = pc_slice_eq(value, PC_S("yes"));
        return rule->leading || pc_slice_eq(value, PC_S("no")) ||
               wrong(mistake, word, "must be yes or no");
    }
    if (pc_slice_eq(name, PC_S("event")))
        rule->event = value;
    else if (pc_slice_eq(name, PC_S("key")))
        rule->key = value;
    else
        return take_number(rule, name, value, word, mistake);
    return true;
}

/* Puts defaults in and checks what depends on each other. */
static bool complete(struct pc_shape_rule *rule, bool edges, struct mistake *mistake)
{
    if (!edges)
        rule->leading = rule->mode == PC_SHAPE_CONFLATE;
    if (rule->mode == PC_SHAPE_BATCH && rule->leading)
        return wrong(mistake, PC_S("leading=yes"), "does not fit to a batch");
    if (rule->window_ms == 0 && (rule->mode != PC_SHAPE_CONFLATE || rule->max_per_s == 0))
        return wrong(mistake, PC_S(""), "window_ms is missing");
    if (rule->max_events && rule->mode != PC_SHAPE_BATCH)
        return wrong(mistake, PC_S("max_events"), "is for a batch");
    if (rule->max_wait_ms && rule->max_wait_ms < rule->window_ms)
        return wrong(mistake, PC_S("max_wait_ms"), "is shorter than window_ms");
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
static bool read_rule(pusherc_slice text, struct pc_shape_rule *rule, struct mistake *mistake)
{
    bool edges = false;
    rule->pattern = cut_word(&text);
    if (rule->pattern.len > PC_PATTERN_MAX || !pc_pattern_valid(rule->pattern, NULL, NULL))
        return wrong(mistake, rule->pattern, "is no pattern of channel names");
    for (pusherc_slice word = cut_word(&text); word.len; word = cut_word(&text))
        if (!take_word(rule, word, &edges, mistake))
            return false;
    return complete(rule, edges, mistake);
}

/* -- checking -- */

static int refuse(pusherc_errinfo *info, const char *about, uint32_t number,
                  const struct mistake *mistake)
{
    pusherc_slice word = pc_utf8_cut(mistake->word, 60);
    if (word.len == 0)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "%sshaping: rule %u: %s", about, number,
                          mistake->why);
    return pc_errinfo(info, PUSHERC_EINVAL, 0, "%sshaping: rule %u: \"%.*s\" %s", about, number,
                      (int)word.len, word.ptr, mistake->why);
}

/* A rule with the same channels and events would never be asked. */
static bool is_double(const struct pc_shape_rule *rules, uint32_t count)
{
    const struct pc_shape_rule *last = &rules[count];
    for (uint32_t i = 0; i < count; i++)
        if (pc_slice_eq(rules[i].event, last->event) &&
            pc_patterns_same(rules[i].pattern, last->pattern))
            return true;
    return false;
}

int pc_shape_rules_check(pusherc_slice text, const char *about, pusherc_errinfo *info)
{
    struct pc_shape_rule rules[PC_SHAPE_MAX_RULES] = {0};
    struct mistake mistake;
    uint32_t count = 0;
    if (!pc_utf8_valid(text))
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "%sshaping: is not UTF-8", about);
    for (pusherc_slice one = cut_rule(&text); one.len; one = cut_rule(&text), count++) {
        if (count == PC_SHAPE_MAX_RULES)
            return pc_errinfo(info, PUSHERC_EINVAL, 0, "%sshaping: there are more than %u rules",
                              about, PC_SHAPE_MAX_RULES);
        bool right = read_rule(one, &rules[count], &mistake);
        if (right && is_double(rules, count))
            right = wrong(&mistake, PC_S(""), "an earlier rule is about the same events");
        if (!right)
            return refuse(info, about, count + 1, &mistake);
    }
    return 0;
}

/* -- rules of an app -- */

static struct pc_shape_rule *rule_new(const struct pc_mem *mem, pusherc_slice text)
{
    struct mistake mistake;
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
    pusherc_slice rest = text;
    uint32_t count = 0;
    *out = (struct pc_shape_rules){.serial = 1};
    while (cut_rule(&rest).len)
        count++;
    if (count == 0)
        return 0;
    out->items = pc_alloc_array(mem, count, sizeof *out->items);
    if (!out->items)
        return PUSHERC_ENOMEM;
    for (; out->count < count; out->count++) {
        out->items[out->count] = rule_new(mem, cut_rule(&text));
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
