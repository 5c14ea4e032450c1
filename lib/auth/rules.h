/*
 * Rules: which pattern decides about a channel name. The table is filled before the server starts and only
 * read afterwards, so looking up takes no lock. Pure but for the host's function pointers it carries.
 */
#ifndef PC_AUTH_RULES_H
#define PC_AUTH_RULES_H

#include <pusherc/auth.h>

#include "base/mem.h"
#include "base/slice.h"
#include "protocol/names.h"

struct pc_rule {
    pusherc_rule options; /* app_id and pattern point into `text` */
    pusherc_slice app_id; /* len 0 = every app */
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
    bool any_public; /* some rule guards public names */
};

/* What a name put into a pattern's parameters; slices of the name. */
struct pc_rule_match {
    const struct pc_rule *rule; /* NULL = none covers the name */
    pusherc_slice values[PUSHERC_RULE_MAX_PARAMS];
};

void pc_rules_init(struct pc_rules *rules, const struct pc_mem *mem);
void pc_rules_free(struct pc_rules *rules);
/* As pusherc_server_add_rule(). */
PC_CHECKED int pc_rules_add(struct pc_rules *rules, const pusherc_rule *rule,
                            pusherc_errinfo *info);

/* What patterns are matched against: the name without its prefix. A user's own channel keeps it, since no rule covers
 * such a name. */
pusherc_slice pc_rule_subject(pusherc_slice channel);
uint32_t pc_rule_kind(pusherc_channel_kind kind); /* PUSHERC_RULE_*; 0: rules cannot cover it */

/* The rule that decides about this channel. */
struct pc_rule_match pc_rules_find(const struct pc_rules *rules, pusherc_slice app_id,
                                   pusherc_slice channel, pusherc_channel_kind kind);

/* The value of a parameter; len 0 = the rule has no such name. */
pusherc_slice pc_rule_param(const struct pc_rule_match *match, pusherc_slice name);

/* Does the whole of `subject` match? values may be NULL. */
bool pc_pattern_matches(pusherc_slice pattern, pusherc_slice subject, pusherc_slice *values);
/* "{name}" with a name of letters, digits and '_'; nothing else in braces; params at most
 * PUSHERC_RULE_MAX_PARAMS. Fills names and count, which may be NULL. */
bool pc_pattern_valid(pusherc_slice pattern, pusherc_slice *names, size_t *count);

#endif
