/*
 * Shaping rules of an app: which channels get fewer events than are published, and how. They are read from one text, the
 * app's setting `shaping` (docs/shaping.md has the grammar):
 *
 *     gateway.{id} conflate key=/sensor window_ms=200
 *     log.{name...} batch window_ms=500 ; ticker max_per_s=10
 *
 * A rule is immutable and counted. It counts what it has done. A rule whose text is the same in the app's next settings
 * is the same object, so its counters go on.
 */
#ifndef PC_CHANNEL_SHAPE_RULE_H
#define PC_CHANNEL_SHAPE_RULE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <pusherc/error.h>
#include <pusherc/types.h>

#include "base/mem.h"

#define PC_SHAPE_MAX_RULES 32 /* of an app: a channel keeps a bit for each */
#define PC_SHAPE_NO_WAIT   UINT32_MAX

enum pc_shape_mode {
    PC_SHAPE_CONFLATE, /* the newest event of each key within a window */
    PC_SHAPE_DEBOUNCE, /* the newest event of each key after a silence */
    PC_SHAPE_BATCH     /* all events of a window in one */
};

/* Events of all channels that a rule covers. Each event that comes in is later counted once in one of the others, or
 * still waits. Any thread. */
struct pc_shape_counts {
    _Atomic uint64_t in;
    _Atomic uint64_t out;     /* events sent; a batch is one */
    _Atomic uint64_t merged;  /* replaced by a newer one, or beyond the first of a batch */
    _Atomic uint64_t passed;  /* sent at once: no key, no room, no memory */
    _Atomic uint64_t refused; /* no room in a batch; the publisher was told */
    _Atomic uint64_t dropped; /* the channel lost its last subscriber, or sending failed */
};

struct pc_shape_rule {
    _Atomic uint32_t refs;
    struct pc_mem mem;
    enum pc_shape_mode mode;
    bool leading; /* the first event after a silence is sent at once */
    uint32_t window_ms;
    uint32_t max_wait_ms;              /* PC_SHAPE_NO_WAIT = any time */
    uint32_t max_per_s;                /* events sent on one channel; 0 = no limit */
    uint32_t max_keys;                 /* of one channel; a full batch counts as one */
    uint32_t max_bytes;                /* that one channel's keys and events take */
    uint32_t max_events;               /* of a batch */
    pusherc_slice text;                /* all of the rule; behind the struct */
    pusherc_slice pattern, event, key; /* in `text`; len 0 = every event; no key */
    struct pc_shape_counts counts;
};

/* The rules of an app's settings, in the order in which they are asked. */
struct pc_shape_rules {
    uint32_t count;
    uint64_t
        serial; /* differs from that of the app's other settings, unless the rules are the same */
    struct pc_shape_rule **items; /* owned, each counted */
};

/* Checks a text. 0, or PUSHERC_EINVAL with a sentence about the rule. `about` stands before it. */
PC_CHECKED int pc_shape_rules_check(pusherc_slice text, const char *about, pusherc_errinfo *info);
/* Reads a checked text. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_shape_rules_read(struct pc_shape_rules *out, const struct pc_mem *mem,
                                   pusherc_slice text);
/* Takes over from the app's settings before (NULL = none) the rules that are the same. */
void pc_shape_rules_keep(struct pc_shape_rules *rules, const struct pc_shape_rules *before);
void pc_shape_rules_free(struct pc_shape_rules *rules, const struct pc_mem *mem);

void pc_shape_rule_ref(struct pc_shape_rule *rule);
void pc_shape_rule_unref(struct pc_shape_rule *rule);

/* The rules that cover a channel, a bit for each. */
uint32_t pc_shape_rules_covering(const struct pc_shape_rules *rules, pusherc_slice channel);
/* The first of these rules that is about the event; NULL = none is. */
struct pc_shape_rule *pc_shape_rules_pick(const struct pc_shape_rules *rules, uint32_t covering,
                                          pusherc_slice event);
/* How many events wait: what has come in and is in no other counter. */
uint64_t pc_shape_waiting(const struct pc_shape_counts *counts);

#endif
