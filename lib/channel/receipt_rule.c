#include "channel/receipt_rule.h"

#include "auth/pattern.h"
#include "base/log.h"
#include "base/slice.h"
#include "channel/rule_words.h"
#include "codec/json_at.h"

/* -- reading -- */

static bool is_client_event(pusherc_slice event)
{
    return pc_slice_starts(event, PC_S("client-"));
}

static bool take_word(struct pc_receipt_rule *rule, pusherc_slice word,
                      struct pc_rule_mistake *mistake)
{
    pusherc_slice name, value;
    pc_rule_split(word, &name, &value);
    if (value.len && pc_slice_eq(name, PC_S("event"))) {
        rule->event = value;
        if (value.len > PC_RECEIPT_EVENT_MAX)
            return pc_rule_wrong(mistake, word, "is too long");
        return !is_client_event(value) ||
               pc_rule_wrong(mistake, word, "must be no client event: clients choose their ids");
    }
    if (value.len && pc_slice_eq(name, PC_S("id"))) {
        rule->id = value;
        return value.len <= PC_JSON_PLACE_MAX || pc_rule_wrong(mistake, word, "is too long");
    }
    if (value.len && pc_slice_eq(name, PC_S("shown"))) {
        rule->shown = value;
        return is_client_event(value) ||
               pc_rule_wrong(mistake, word, "must be a client event: client-...");
    }
    return pc_rule_wrong(mistake, word, "is not known");
}

/* Reads one rule; its slices point into `text`. */
static bool read_rule(pusherc_slice text, void *zeroed, struct pc_rule_mistake *mistake)
{
    struct pc_receipt_rule *rule = zeroed;
    if (!pc_rule_pattern(&text, &rule->pattern, mistake))
        return false;
    for (pusherc_slice word = pc_words_cut(&text); word.len; word = pc_words_cut(&text))
        if (!take_word(rule, word, mistake))
            return false;
    return rule->id.len || pc_rule_wrong(mistake, PC_S(""), "id is missing");
}

/* A rule with the same channels and event would never be asked, nor one with the same channels and client event. */
static const char *hidden(const void *all, uint32_t count)
{
    const struct pc_receipt_rule *rules = all;
    const struct pc_receipt_rule *last = &rules[count];
    for (uint32_t i = 0; i < count; i++)
        if (pc_patterns_same(rules[i].pattern, last->pattern) &&
            (pc_slice_eq(rules[i].event, last->event) ||
             (last->shown.len && pc_slice_eq(rules[i].shown, last->shown))))
            return "an earlier rule is about the same channels and the same event or client event";
    return NULL;
}

static const struct pc_rule_form form = {"receipts", PC_RECEIPT_MAX_RULES,
                                         sizeof(struct pc_receipt_rule), read_rule, hidden};

int pc_receipt_rules_check(pusherc_slice text, const char *about, pusherc_errinfo *info)
{
    struct pc_receipt_rule rules[PC_RECEIPT_MAX_RULES];
    return pc_rules_text_check(&form, rules, text, about, info);
}

/* -- rules of an app -- */

int pc_receipt_rules_read(struct pc_receipt_rules *out, const struct pc_mem *mem,
                          pusherc_slice text)
{
    void *items;
    int err = pc_rules_text_read(&form, mem, text, &items, &out->count);
    out->items = items;
    return err;
}

void pc_receipt_rules_free(struct pc_receipt_rules *rules, const struct pc_mem *mem)
{
    pc_free(mem, rules->items);
    *rules = (struct pc_receipt_rules){.count = 0};
}

const struct pc_receipt_rule *pc_receipt_rules_find(const struct pc_receipt_rules *rules,
                                                    pusherc_slice channel, pusherc_slice event)
{
    for (uint32_t i = 0; i < rules->count; i++)
        if ((rules->items[i].event.len == 0 || pc_slice_eq(rules->items[i].event, event)) &&
            pc_pattern_matches(rules->items[i].pattern, channel, NULL))
            return &rules->items[i];
    return NULL;
}

const struct pc_receipt_rule *pc_receipt_rules_shown(const struct pc_receipt_rules *rules,
                                                     pusherc_slice channel, pusherc_slice event)
{
    for (uint32_t i = 0; i < rules->count; i++)
        if (rules->items[i].shown.len && pc_slice_eq(rules->items[i].shown, event) &&
            pc_pattern_matches(rules->items[i].pattern, channel, NULL))
            return &rules->items[i];
    return NULL;
}

/* -- ids -- */

bool pc_receipt_id(struct pc_json value, struct pc_buf *scratch, pusherc_slice *id)
{
    *id = value.raw;
    if (value.type == PC_JSON_STRING && pc_json_string(value, scratch, id))
        return false;
    return (value.type == PC_JSON_STRING || value.type == PC_JSON_NUMBER) && id->len > 0 &&
           id->len <= PC_RECEIPT_ID_MAX;
}
