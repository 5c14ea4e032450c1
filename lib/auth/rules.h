/*
 * Rules: a rule has a pattern such as "orders.{id}", and the host's functions that decide about the channels whose
 * names match. The table is an array, the most specific rule first, and a look-up takes the first rule that matches: it
 * costs one comparison per rule, with names of 200 bytes at most. The table is filled before the server starts and only
 * read afterwards, so a look-up takes no lock. These functions call none of the host's functions.
 */
#ifndef PC_AUTH_RULES_H
#define PC_AUTH_RULES_H

#include <pusherc/auth.h>

#include "base/mem.h"
#include "base/slice.h"
#include "protocol/names.h"

struct pc_rule {
    pusherc_rule options; /* app_id and pattern point into `text` */
    pusherc_slice app_id; /* len 0 = all apps */
    pusherc_slice pattern;
    pusherc_slice param_names[PUSHERC_RULE_MAX_PARAMS];
    size_t param_count;
    size_t literal_bytes;
    char *text; /* owned */
};

struct pc_rules {
    const struct pc_mem *mem; /* borrowed */
    struct pc_rule **rules;   /* owned; most specific first */
    size_t count;
    bool any_public; /* at least one rule covers public names */
};

/* A rule that covers a name, and the values of its pattern's parameters. */
struct pc_rule_match {
    const struct pc_rule *rule;                    /* NULL = no rule covers the name */
    pusherc_slice values[PUSHERC_RULE_MAX_PARAMS]; /* slices of the name */
};

void pc_rules_init(struct pc_rules *rules, const struct pc_mem *mem);
void pc_rules_free(struct pc_rules *rules);
/* As pusherc_server_add_rule(). */
PC_CHECKED int pc_rules_add(struct pc_rules *rules, const pusherc_rule *rule,
                            pusherc_errinfo *info);

/* The text that patterns are matched against: the channel's name without its prefix. The name of a user's channel keeps
 * its prefix, because no rule covers it. */
pusherc_slice pc_rule_subject(pusherc_slice channel);
uint32_t pc_rule_kind(pusherc_channel_kind kind); /* PUSHERC_RULE_*; 0 = no rule covers the kind */

/* Finds the rule that decides about this channel. */
struct pc_rule_match pc_rules_find(const struct pc_rules *rules, pusherc_slice app_id,
                                   pusherc_slice channel, pusherc_channel_kind kind);

/* The same match for a copy of the name: its values are slices of `copy`. */
struct pc_rule_match pc_rule_match_in(const struct pc_rule_match *match, pusherc_slice name,
                                      pusherc_slice copy);

/* The value of a parameter; len 0 = the rule has no parameter of this name. */
pusherc_slice pc_rule_param(const struct pc_rule_match *match, pusherc_slice name);

/* True if the whole of `subject` matches. `values` may be NULL. */
bool pc_pattern_matches(pusherc_slice pattern, pusherc_slice subject, pusherc_slice *values);
/* True if all braces in the pattern are parameters "{name}", with names of letters, digits and '_', and there are at
 * most PUSHERC_RULE_MAX_PARAMS of them. Fills `names` and `count`, which may be NULL. */
bool pc_pattern_valid(pusherc_slice pattern, pusherc_slice *names, size_t *count);

#endif
