/*
 * Rules of an app's setting `receipts` (docs/receipts.md has the grammar): of which events the host learns whom they have
 * reached, where in their data their id is, and by which client event a page says that it has shown some.
 *
 *     private-chat.{id} event=message id=/id shown=client-read
 */
#ifndef PC_CHANNEL_RECEIPT_RULE_H
#define PC_CHANNEL_RECEIPT_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include <pusherc/error.h>
#include <pusherc/types.h>

#include "base/buf.h"
#include "codec/json.h"

#define PC_RECEIPT_MAX_RULES 32  /* of an app */
#define PC_RECEIPT_ID_MAX    200 /* bytes of an event's id */
#define PC_RECEIPT_EVENT_MAX 200 /* bytes of the name of a rule's event */
#define PC_RECEIPT_IDS_MAX   100 /* that one client event may say */

struct pc_receipt_rule {
    pusherc_slice pattern, id; /* borrowed of the rules' text, as the others */
    pusherc_slice event;       /* len 0 = every event but client events */
    pusherc_slice shown;       /* len 0 = pages say nothing */
};

/* The rules of an app's settings, in the order in which they are asked. */
struct pc_receipt_rules {
    uint32_t count;
    struct pc_receipt_rule *items; /* owned, with the text behind them */
};

/* Checks a text. 0, or PUSHERC_EINVAL with a sentence about the rule. `about` stands before it. */
PC_CHECKED int pc_receipt_rules_check(pusherc_slice text, const char *about, pusherc_errinfo *info);
/* Reads a checked text. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_receipt_rules_read(struct pc_receipt_rules *out, const struct pc_mem *mem,
                                     pusherc_slice text);
void pc_receipt_rules_free(struct pc_receipt_rules *rules, const struct pc_mem *mem);

/* The first rule that is about the event on the channel; NULL = none is. */
const struct pc_receipt_rule *pc_receipt_rules_find(const struct pc_receipt_rules *rules,
                                                    pusherc_slice channel, pusherc_slice event);
/* The first rule whose pages say by this client event on the channel what they have shown; NULL = none. */
const struct pc_receipt_rule *pc_receipt_rules_shown(const struct pc_receipt_rules *rules,
                                                     pusherc_slice channel, pusherc_slice event);

/* Reads an id: a text, or a number as it is written. `id` points into the JSON or into `scratch`. False: it is no id, or
 * too long, or empty. */
bool pc_receipt_id(struct pc_json value, struct pc_buf *scratch, pusherc_slice *id);

#endif
