#include "broadcast/conflate.h"

#include "auth/pattern.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/slice.h"
#include "channel/rule_words.h"
#include "codec/json_at.h"

/* -- rules -- */

static bool read_rule(pusherc_slice text, void *zeroed, struct pc_rule_mistake *mistake)
{
    struct pc_conflate_rule *rule = zeroed;
    if (!pc_rule_pattern(&text, &rule->pattern, mistake))
        return false;
    for (pusherc_slice word = pc_words_cut(&text); word.len; word = pc_words_cut(&text)) {
        pusherc_slice name, value;
        pc_rule_split(word, &name, &value);
        if (value.len && pc_slice_eq(name, PC_S("event")))
            rule->event = value;
        else if (value.len && pc_slice_eq(name, PC_S("key")))
            rule->key = value;
        else
            return pc_rule_wrong(mistake, word, "is not known");
        if (rule->key.len > PC_JSON_PLACE_MAX)
            return pc_rule_wrong(mistake, word, "is too long");
    }
    return true;
}

static const char *hidden(const void *all, uint32_t count)
{
    const struct pc_conflate_rule *rules = all;
    const struct pc_conflate_rule *last = &rules[count];
    for (uint32_t i = 0; i < count; i++)
        if (pc_slice_eq(rules[i].event, last->event) &&
            pc_patterns_same(rules[i].pattern, last->pattern))
            return "an earlier rule is about the same events";
    return NULL;
}

static const struct pc_rule_form form = {"conflate", PC_CONFLATE_MAX_RULES,
                                         sizeof(struct pc_conflate_rule), read_rule, hidden};

int pc_conflate_read(struct pc_conflate *out, const struct pc_mem *mem, const char *text,
                     pusherc_errinfo *info)
{
    struct pc_conflate_rule checked[PC_CONFLATE_MAX_RULES];
    void *rules = NULL;
    *out = (struct pc_conflate){0};
    if (!text)
        return 0;
    int err = pc_rules_text_check(&form, checked, pc_slice_of(text), "", info);
    if (err)
        return err;
    err = pc_rules_text_read(&form, mem, pc_slice_of(text), &rules, &out->count);
    out->rules = rules;
    return err ? pc_errinfo(info, err, 0, "%s", pusherc_strerror(err)) : 0;
}

void pc_conflate_free(struct pc_conflate *conflate, const struct pc_mem *mem)
{
    pc_free(mem, conflate->rules);
    *conflate = (struct pc_conflate){0};
}

/* -- subjects -- */

static bool covers(const struct pc_conflate_rule *rule, const pusherc_event *event)
{
    if (rule->event.len && !pc_slice_eq(rule->event, event->name))
        return false;
    for (size_t i = 0; i < event->channel_count; i++)
        if (!pc_pattern_matches(rule->pattern, event->channels[i], NULL))
            return false;
    return true;
}

static const struct pc_conflate_rule *find(const struct pc_conflate *conflate,
                                           const pusherc_event *event)
{
    for (uint32_t i = 0; i < conflate->count; i++)
        if (covers(&conflate->rules[i], event))
            return &conflate->rules[i];
    return NULL;
}

/* Channels, each before a line feed, which no name of a channel has; the length of the event's name; the name; the key. So
 * no two events have the same bytes unless all of it is equal. */
pusherc_slice pc_conflate_subject(const struct pc_conflate *conflate, const struct pc_mem *mem,
                                  const pusherc_event *event, char room[PC_CONFLATE_SUBJECT_BYTES])
{
    const struct pc_conflate_rule *rule = find(conflate, event);
    struct pc_buf subject, scratch;
    pusherc_slice key;
    if (!rule)
        return PC_S("");
    pc_buf_init_in(&subject, mem, PC_CONFLATE_SUBJECT_BYTES, room, PC_CONFLATE_SUBJECT_BYTES);
    pc_buf_init(&scratch, mem, SIZE_MAX);
    const bool found = pc_json_key(event->data, rule->key, &scratch, &key);
    for (size_t i = 0; found && i < event->channel_count; i++) {
        pc_buf_put(&subject, event->channels[i]);
        pc_buf_put_char(&subject, '\n');
    }
    if (found) {
        pc_buf_put_char(&subject, '\n');
        pc_buf_put_u64(&subject, event->name.len);
        pc_buf_put_char(&subject, ':');
        pc_buf_put(&subject, event->name);
        pc_buf_put(&subject, key);
    }
    pc_buf_free(&scratch);
    return found && pc_buf_status(&subject) == 0 ? pc_buf_slice(&subject) : PC_S("");
}
