#include "channel/ephemeral_rule.h"

#include "auth/pattern.h"
#include "base/log.h"
#include "base/slice.h"
#include "channel/rule_words.h"
#include "codec/json_at.h"

#define DEFAULT_MAX_STATES 1000
#define DEFAULT_MAX_KEYS   10

/* -- reading -- */

#define AT(member) offsetof(struct pc_ephemeral_rule, member)

static const struct pc_rule_number numbers[] = {
    {"ttl_ms", AT(ttl_ms), 100, 3600000},
    {"max_states", AT(max_states), 1, 100000},
    {"max_keys", AT(max_keys), 1, 1000},
};

static bool take_word(struct pc_ephemeral_rule *rule, pusherc_slice word,
                      struct pc_rule_mistake *mistake)
{
    pusherc_slice name, value;
    pc_rule_split(word, &name, &value);
    if (value.len == 0)
        return pc_rule_wrong(mistake, word, "is not known");
    if (pc_slice_eq(name, PC_S("event"))) {
        rule->event = value;
        return pc_slice_starts(value, PC_S("client-")) ||
               pc_rule_wrong(mistake, word, "must be a client event: client-...");
    }
    if (pc_slice_eq(name, PC_S("key"))) {
        rule->key = value;
        return value.len <= PC_JSON_PLACE_MAX || pc_rule_wrong(mistake, word, "is too long");
    }
    return pc_rule_take_number(rule, numbers, sizeof numbers / sizeof numbers[0], word, mistake);
}

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value ? value : fallback;
}

/* Reads one rule; its slices point into `text`. */
static bool read_rule(pusherc_slice text, void *zeroed, struct pc_rule_mistake *mistake)
{
    struct pc_ephemeral_rule *rule = zeroed;
    if (!pc_rule_pattern(&text, &rule->pattern, mistake))
        return false;
    for (pusherc_slice word = pc_words_cut(&text); word.len; word = pc_words_cut(&text))
        if (!take_word(rule, word, mistake))
            return false;
    if (rule->event.len == 0)
        return pc_rule_wrong(mistake, PC_S(""), "event is missing");
    if (rule->ttl_ms == 0)
        return pc_rule_wrong(mistake, PC_S(""), "ttl_ms is missing");
    rule->max_states = or_default(rule->max_states, DEFAULT_MAX_STATES);
    rule->max_keys = or_default(rule->max_keys, DEFAULT_MAX_KEYS);
    return true;
}

/* A rule with the same channels and event would never be asked. */
static const char *hidden(const void *all, uint32_t count)
{
    const struct pc_ephemeral_rule *rules = all;
    const struct pc_ephemeral_rule *last = &rules[count];
    for (uint32_t i = 0; i < count; i++)
        if (pc_slice_eq(rules[i].event, last->event) &&
            pc_patterns_same(rules[i].pattern, last->pattern))
            return "an earlier rule is about the same channels and event";
    return NULL;
}

static const struct pc_rule_form form = {"ephemeral", PC_EPHEMERAL_MAX_RULES,
                                         sizeof(struct pc_ephemeral_rule), read_rule, hidden};

int pc_ephemeral_rules_check(pusherc_slice text, const char *about, pusherc_errinfo *info)
{
    struct pc_ephemeral_rule rules[PC_EPHEMERAL_MAX_RULES];
    return pc_rules_text_check(&form, rules, text, about, info);
}

/* -- rules of an app -- */

int pc_ephemeral_rules_read(struct pc_ephemeral_rules *out, const struct pc_mem *mem,
                            pusherc_slice text)
{
    void *items;
    int err = pc_rules_text_read(&form, mem, text, &items, &out->count);
    out->items = items;
    return err;
}

void pc_ephemeral_rules_free(struct pc_ephemeral_rules *rules, const struct pc_mem *mem)
{
    pc_free(mem, rules->items);
    *rules = (struct pc_ephemeral_rules){.count = 0};
}

const struct pc_ephemeral_rule *pc_ephemeral_rules_find(const struct pc_ephemeral_rules *rules,
                                                        pusherc_slice channel, pusherc_slice event)
{
    for (uint32_t i = 0; i < rules->count; i++)
        if (pc_slice_eq(rules->items[i].event, event) &&
            pc_pattern_matches(rules->items[i].pattern, channel, NULL))
            return &rules->items[i];
    return NULL;
}

/* -- data -- */

bool pc_ephemeral_key(const struct pc_ephemeral_rule *rule, pusherc_slice data,
                      struct pc_buf *scratch, pusherc_slice *key)
{
    *key = PC_S("");
    if (rule->key.len == 0)
        return true;
    struct pc_json value = pc_json_at(data, rule->key);
    *key = value.raw;
    if (value.type == PC_JSON_STRING && pc_json_string(value, scratch, key))
        return false;
    return value.type != PC_JSON_NONE && key->len <= PC_EPHEMERAL_KEY_MAX;
}

bool pc_ephemeral_says_ended(pusherc_slice data)
{
    return pc_slice_eq(pc_json_get(pc_json_parse(data), PC_S("ended")).raw, PC_S("true"));
}

void pc_ephemeral_put_ended(struct pc_buf *out, pusherc_slice data)
{
    struct pc_json_iter member = pc_json_iter_of(pc_json_parse(data));
    pc_buf_put_char(out, '{');
    while (pc_json_next(&member)) {
        if (member.key.type != PC_JSON_STRING || pc_json_name_is(member.key, PC_S("ended")))
            continue; /* of an array, or ours */
        pc_buf_put(out, member.key.raw);
        pc_buf_put_char(out, ':');
        pc_buf_put(out, member.value.raw);
        pc_buf_put_char(out, ',');
    }
    pc_buf_put(out, PC_S("\"ended\":true}"));
}
