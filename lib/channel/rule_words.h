/*
 * The form of rules in a setting of an app (docs/shaping.md, docs/typing.md): words with white space between them, the
 * first of which is a pattern of channels. A `;` that stands alone, or the end of a line, divides rules.
 */
#ifndef PC_CHANNEL_RULE_WORDS_H
#define PC_CHANNEL_RULE_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pusherc/error.h>
#include <pusherc/types.h>

#include "base/mem.h"

/* Cuts the next word off; len 0: the text is over. A line feed is a word, as ";" is. */
pusherc_slice pc_words_cut(pusherc_slice *text);
/* Cuts the words of the next rule off; len 0: there is none. */
pusherc_slice pc_words_cut_rule(pusherc_slice *text);
uint32_t pc_words_count_rules(pusherc_slice text);

/* What is wrong with a rule. */
struct pc_rule_mistake {
    pusherc_slice word; /* len 0 = it is about the whole rule */
    const char *why;    /* static */
};
/* Fills `mistake`; false. */
bool pc_rule_wrong(struct pc_rule_mistake *mistake, pusherc_slice word, const char *why);
/* PUSHERC_EINVAL, with a sentence about rule `number` of the setting. `about` stands before it. */
int pc_rule_refuse(pusherc_errinfo *info, const char *about, const char *setting, uint32_t number,
                   const struct pc_rule_mistake *mistake);

/* Reads the pattern that the rule begins with. */
bool pc_rule_pattern(pusherc_slice *text, pusherc_slice *out, struct pc_rule_mistake *mistake);
/* Divides NAME=VALUE; value->len 0: it is none. */
void pc_rule_split(pusherc_slice word, pusherc_slice *name, pusherc_slice *value);

/* A number of a rule. */
struct pc_rule_number {
    const char *name;
    size_t offset; /* of a uint32_t in the rule's struct */
    uint32_t min, max;
};
/* Reads NAME=NUMBER into the rule. */
bool pc_rule_take_number(void *rule, const struct pc_rule_number *numbers, size_t count,
                         pusherc_slice word, struct pc_rule_mistake *mistake);

/* The rules of one setting. */
struct pc_rule_form {
    const char *setting;
    uint32_t max; /* rules of an app */
    size_t size;  /* of a rule's struct */
    /* Reads one rule into a zeroed struct; its slices point into `text`. */
    bool (*read)(pusherc_slice text, void *rule, struct pc_rule_mistake *mistake);
    /* Why rules[last] would never be asked, after those before it; NULL = it would be. */
    const char *(*hidden)(const void *rules, uint32_t last);
};
/* Checks a text. 0, or PUSHERC_EINVAL with a sentence about the rule. `about` stands before it. `rules` has room for
 * form->max structs. */
PC_CHECKED int pc_rules_text_check(const struct pc_rule_form *form, void *rules, pusherc_slice text,
                                   const char *about, pusherc_errinfo *info);
/* Reads a checked text: *rules is an array, with a copy of the text behind it, the caller's to free; NULL: there is no
 * rule. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_rules_text_read(const struct pc_rule_form *form, const struct pc_mem *mem,
                                  pusherc_slice text, void **rules, uint32_t *count);

#endif
