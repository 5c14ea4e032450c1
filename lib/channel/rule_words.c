#include "channel/rule_words.h"

#include <string.h>

#include "auth/pattern.h"
#include "base/log.h"
#include "base/slice.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

pusherc_slice pc_words_cut(pusherc_slice *text)
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

pusherc_slice pc_words_cut_rule(pusherc_slice *text)
{
    const char *start = NULL, *end = NULL;
    for (;;) {
        pusherc_slice word = pc_words_cut(text);
        if (word.len && !is_end(word)) {
            start = start ? start : word.ptr;
            end = word.ptr + word.len;
        } else if (word.len == 0 || start) {
            return start ? pc_slice(start, (size_t)(end - start)) : PC_S("");
        }
    }
}

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

uint32_t pc_words_count_rules(pusherc_slice text)
{
    uint32_t count = 0;
    while (pc_words_cut_rule(&text).len)
        count++;
    return count;
}

bool pc_rule_wrong(struct pc_rule_mistake *mistake, pusherc_slice word, const char *why)
{
    *mistake = (struct pc_rule_mistake){word, why};
    return false;
}

int pc_rule_refuse(pusherc_errinfo *info, const char *about, const char *setting, uint32_t number,
                   const struct pc_rule_mistake *mistake)
{
    pusherc_slice word = pc_utf8_cut(mistake->word, 60);
    if (word.len == 0)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "%s%s: rule %u: %s", about, setting, number,
                          mistake->why);
    return pc_errinfo(info, PUSHERC_EINVAL, 0, "%s%s: rule %u: \"%.*s\" %s", about, setting, number,
                      (int)word.len, word.ptr, mistake->why);
}

bool pc_rule_pattern(pusherc_slice *text, pusherc_slice *out, struct pc_rule_mistake *mistake)
{
    *out = pc_words_cut(text);
    if (out->len > PC_PATTERN_MAX || !pc_pattern_valid(*out, NULL, NULL))
        return pc_rule_wrong(mistake, *out, "is no pattern of channel names");
    return true;
}

void pc_rule_split(pusherc_slice word, pusherc_slice *name, pusherc_slice *value)
{
    size_t at = pc_slice_find(word, '=');
    *name = pc_slice_first(word, at);
    *value = pc_slice_skip(word, at < word.len ? at + 1 : at);
}

bool pc_rule_take_number(void *rule, const struct pc_rule_number *numbers, size_t count,
                         pusherc_slice word, struct pc_rule_mistake *mistake)
{
    pusherc_slice name, value;
    pc_rule_split(word, &name, &value);
    for (size_t i = 0; i < count; i++) {
        const struct pc_rule_number *n = &numbers[i];
        uint32_t *out = (uint32_t *)(void *)((char *)rule + n->offset), number;
        if (!pc_slice_eq(name, pc_slice_of(n->name)))
            continue;
        if (!read_number(value, &number) || number < n->min || number > n->max)
            return pc_rule_wrong(mistake, word, "must be a number in its range");
        *out = number;
        return true;
    }
    return pc_rule_wrong(mistake, word, "is not known");
}

static void *rule_at(const struct pc_rule_form *form, void *rules, uint32_t index)
{
    return (char *)rules + index * form->size;
}

int pc_rules_text_check(const struct pc_rule_form *form, void *rules, pusherc_slice text,
                        const char *about, pusherc_errinfo *info)
{
    struct pc_rule_mistake mistake;
    uint32_t count = 0;
    if (!pc_utf8_valid(text))
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "%s%s: is not UTF-8", about, form->setting);
    for (pusherc_slice one = pc_words_cut_rule(&text); one.len;
         one = pc_words_cut_rule(&text), count++) {
        if (count == form->max)
            return pc_errinfo(info, PUSHERC_EINVAL, 0, "%s%s: there are more than %u rules", about,
                              form->setting, form->max);
        memset(rule_at(form, rules, count), 0, form->size);
        bool right = form->read(one, rule_at(form, rules, count), &mistake);
        const char *hidden = right ? form->hidden(rules, count) : NULL;
        if (hidden)
            right = pc_rule_wrong(&mistake, PC_S(""), hidden);
        if (!right)
            return pc_rule_refuse(info, about, form->setting, count + 1, &mistake);
    }
    return 0;
}

int pc_rules_text_read(const struct pc_rule_form *form, const struct pc_mem *mem,
                       pusherc_slice text, void **rules, uint32_t *count)
{
    struct pc_rule_mistake mistake;
    *rules = NULL;
    *count = pc_words_count_rules(text);
    if (*count == 0)
        return 0;
    const size_t size = *count * form->size;
    char *items = pc_alloc(mem, size + text.len);
    if (!items) {
        *count = 0;
        return PUSHERC_ENOMEM;
    }
    memset(items, 0, size);
    memcpy(items + size, text.ptr, text.len);
    text.ptr = items + size;
    for (uint32_t i = 0; i < *count; i++)
        (void)form->read(pc_words_cut_rule(&text), rule_at(form, items, i), &mistake);
    *rules = items;
    return 0;
}
