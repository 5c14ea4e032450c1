/*
 * Rules of an app's setting `ephemeral` (docs/typing.md has the grammar): which client events say that a user is doing
 * something for a while, such as typing.
 *
 *     presence-chat.{id} event=client-typing ttl_ms=6000
 *     private-doc.{id} event=client-editing ttl_ms=10000 key=/paragraph max_keys=3
 */
#ifndef PC_CHANNEL_EPHEMERAL_RULE_H
#define PC_CHANNEL_EPHEMERAL_RULE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <pusherc/error.h>
#include <pusherc/types.h>

#include "base/buf.h"

#define PC_EPHEMERAL_MAX_RULES 32  /* of an app */
#define PC_EPHEMERAL_KEY_MAX   200 /* bytes of the value that is the key */

struct pc_ephemeral_rule {
    pusherc_slice pattern, event, key; /* borrowed of the rules' text; key.len 0 = there is none */
    uint32_t ttl_ms;
    uint32_t max_states; /* of one channel */
    uint32_t max_keys;   /* that one connection has said, of one channel */
};

/* The rules of an app's settings, in the order in which they are asked. */
struct pc_ephemeral_rules {
    uint32_t count;
    struct pc_ephemeral_rule *items; /* owned, with the text behind them */
};

/* What the states of an app take together, and counters. Any thread. */
struct pc_ephemeral_share {
    _Atomic uint64_t bytes;
    _Atomic uint64_t begun, ended, refused;
};

/* Checks a text. 0, or PUSHERC_EINVAL with a sentence about the rule. `about` stands before it. */
PC_CHECKED int pc_ephemeral_rules_check(pusherc_slice text, const char *about,
                                        pusherc_errinfo *info);
/* Reads a checked text. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_ephemeral_rules_read(struct pc_ephemeral_rules *out, const struct pc_mem *mem,
                                       pusherc_slice text);
void pc_ephemeral_rules_free(struct pc_ephemeral_rules *rules, const struct pc_mem *mem);

/* The first rule that is about the event on the channel; NULL = none is. */
const struct pc_ephemeral_rule *pc_ephemeral_rules_find(const struct pc_ephemeral_rules *rules,
                                                        pusherc_slice channel, pusherc_slice event);

/* Finds the value of the rule's key in an event's data: a text, or another value as it is written. `key` points into the
 * data or into `scratch`. False: the data has none, or it is too long. */
bool pc_ephemeral_key(const struct pc_ephemeral_rule *rule, pusherc_slice data,
                      struct pc_buf *scratch, pusherc_slice *key);
/* True if the data says that the state has ended: it is an object with "ended": true. */
bool pc_ephemeral_says_ended(pusherc_slice data);
/* Appends the data of the end: the members of the data before, if it is an object, and "ended": true. */
void pc_ephemeral_put_ended(struct pc_buf *out, pusherc_slice data);

#endif
