/*
 * Which events replace each other while they wait: a broadcaster's setting `conflate`, in the form of shaping rules
 * (docs/broadcasting.md):
 *
 *     gateway.{id} event=reading.new key=/data_point/id ; ticker key=symbol
 *
 * A rule covers an event if it covers all its channels. What tells the event apart from others is its subject, made here
 * on the calling thread; the queue only compares subjects.
 */
#ifndef PC_BROADCAST_CONFLATE_H
#define PC_BROADCAST_CONFLATE_H

#include <pusherc/publish.h>

#include "base/mem.h"

#define PC_CONFLATE_MAX_RULES     32
#define PC_CONFLATE_SUBJECT_BYTES 1024 /* an event whose subject is longer replaces none */

struct pc_conflate_rule {
    pusherc_slice pattern, event, key; /* len 0 = every event; no key */
};

struct pc_conflate {
    struct pc_conflate_rule *rules; /* owned */
    uint32_t count;
};

/* `text` NULL: no rule. 0, PUSHERC_EINVAL with a sentence about the rule, or PUSHERC_ENOMEM. */
PC_CHECKED int pc_conflate_read(struct pc_conflate *out, const struct pc_mem *mem, const char *text,
                                pusherc_errinfo *info);
void pc_conflate_free(struct pc_conflate *conflate, const struct pc_mem *mem);

/* The subject of a valid event, in `room`; len 0: no rule covers it, it has no key, or there is no memory. */
pusherc_slice pc_conflate_subject(const struct pc_conflate *conflate, const struct pc_mem *mem,
                                  const pusherc_event *event, char room[PC_CONFLATE_SUBJECT_BYTES]);

#endif
