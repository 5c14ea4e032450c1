/*
 * Rules: a rule has a pattern such as "orders.{id}", and the host's functions that decide about the channels whose
 * names match. A table is an array, the most specific rule first, and a look-up takes the first rule that matches: it
 * costs one comparison per rule, with names of 200 bytes at most. Rules may be added and removed while others look them
 * up; rules.c says how. These functions call none of the host's but free_user_data.
 */
#ifndef PC_AUTH_RULES_H
#define PC_AUTH_RULES_H

#include <pthread.h>
#include <stdatomic.h>

#include <pusherc/auth.h>

#include "auth/pattern.h"
#include "auth/redaction.h"
#include "base/mem.h"
#include "base/slice.h"
#include "protocol/names.h"

struct pc_rule {
    _Atomic uint32_t refs;
    struct pc_mem mem;
    pusherc_rule options; /* app_id and pattern point into `text` */
    pusherc_slice app_id; /* len 0 = all apps */
    pusherc_slice pattern;
    pusherc_slice param_names[PUSHERC_RULE_MAX_PARAMS];
    size_t param_count;
    size_t literal_bytes;
    char *text;                       /* owned */
    struct pc_redactions *redactions; /* owned; NULL = none */
};

/* True if views may see different data. */
static inline bool pc_rule_renders(const struct pc_rule *rule)
{
    return rule->options.render || rule->redactions;
}

/* Immutable, counted. */
struct pc_rule_table {
    _Atomic uint32_t refs;
    struct pc_mem mem;
    bool any_public; /* at least one rule covers public names */
    size_t count;
    struct pc_rule *rules[]; /* counted; most specific first */
};

struct pc_rules {
    const struct pc_mem *mem; /* borrowed */
    pthread_mutex_t mutex;    /* of those that change the table, and of those that count it; leaf */
    struct pc_rule_table *_Atomic now; /* counted; NULL = there are no rules */
};

/* A rule that covers a name, and the values of its pattern's parameters. */
struct pc_rule_match {
    const struct pc_rule *rule;                    /* not counted; NULL = no rule covers the name */
    pusherc_slice values[PUSHERC_RULE_MAX_PARAMS]; /* slices of the name */
};

void pc_rules_init(struct pc_rules *rules, const struct pc_mem *mem);
void pc_rules_free(struct pc_rules *rules);
/* As pusherc_server_add_rule(). `views_stay`: refuses what would change how a channel is rendered. *old: the table
 * before, NULL on failure; pc_rule_table_unref() it when no worker reads it any more. */
PC_CHECKED int pc_rules_put(struct pc_rules *rules, const pusherc_rule *rule, bool views_stay,
                            struct pc_rule_table **old, pusherc_errinfo *info);
/* The same, while no other thread reads. */
PC_CHECKED int pc_rules_add(struct pc_rules *rules, const pusherc_rule *rule,
                            pusherc_errinfo *info);
/* As pusherc_server_remove_rule(); `old` as above. */
PC_CHECKED int pc_rules_remove(struct pc_rules *rules, pusherc_slice app_id, pusherc_slice pattern,
                               bool views_stay, struct pc_rule_table **old, pusherc_errinfo *info);

/* The table of now, for workers and before the start: stays until the worker takes its next mail. NULL: no rules. */
static inline const struct pc_rule_table *pc_rules_now(const struct pc_rules *rules)
{
    return atomic_load_explicit(&rules->now, memory_order_acquire);
}
/* The same, counted, for any thread. */
struct pc_rule_table *pc_rules_take(struct pc_rules *rules);
void pc_rule_table_unref(struct pc_rule_table *table); /* NULL is harmless */
/* For what keeps a rule longer than a worker's mail takes. NULL is harmless. */
void pc_rule_ref(const struct pc_rule *rule);
void pc_rule_unref(const struct pc_rule *rule);

/* The text that patterns are matched against: the channel's name without its prefix. The name of a user's channel keeps
 * its prefix, because no rule covers it. */
pusherc_slice pc_rule_subject(pusherc_slice channel);
uint32_t pc_rule_kind(pusherc_channel_kind kind); /* PUSHERC_RULE_*; 0 = no rule covers the kind */

/* Finds the rule that decides about this channel. `table` may be NULL. */
struct pc_rule_match pc_rule_table_find(const struct pc_rule_table *table, pusherc_slice app_id,
                                        pusherc_slice channel, pusherc_channel_kind kind);
/* The same in the table of now, for workers and before the start. */
static inline struct pc_rule_match pc_rules_find(const struct pc_rules *rules, pusherc_slice app_id,
                                                 pusherc_slice channel, pusherc_channel_kind kind)
{
    return pc_rule_table_find(pc_rules_now(rules), app_id, channel, kind);
}

/* The same match for a copy of the name: its values are slices of `copy`. */
struct pc_rule_match pc_rule_match_in(const struct pc_rule_match *match, pusherc_slice name,
                                      pusherc_slice copy);

/* The value of a parameter; len 0 = the rule has no parameter of this name. */
pusherc_slice pc_rule_param(const struct pc_rule_match *match, pusherc_slice name);

#endif
