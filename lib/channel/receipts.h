/*
 * The events of one app that have receipts, and which users they have reached: what makes each receipt one. Independent of
 * connections. Any thread; time is a parameter.
 *
 * An event is known by its channel, the event of its rule and its id, from pc_receipts_add() until its time is over, or
 * until it makes room for others: the oldest are forgotten first. A user is told of an event once for each kind, as long
 * as the event is known; of a forgotten event nothing is told any more. So nothing is ever told twice, and what is
 * remembered is bounded.
 */
#ifndef PC_CHANNEL_RECEIPTS_H
#define PC_CHANNEL_RECEIPTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <pusherc/receipt.h>

#include "base/list.h"
#include "base/map.h"

struct pc_receipts {
    struct pc_mem mem; /* a copy: an app may outlive its server */
    uint64_t seed[2];
    pthread_mutex_t mutex; /* leaf lock; guards the next four, and the users of each event */
    size_t max_bytes;      /* by the settings of the event that was added last */
    struct pc_map by_key;
    struct pc_list in_order; /* the one that was added first is the first */
    _Atomic uint64_t bytes;  /* of all events; written with the lock, read without */
    /* Any thread. */
    _Atomic uint64_t written, shown; /* receipts */
    _Atomic uint64_t unknown;        /* ids that pages have said and no known event has */
    _Atomic uint64_t forgotten;      /* events that made room before their time was over */
    _Atomic uint64_t lost;           /* receipts that there was no memory for */
};

struct pc_receipt_bounds {
    size_t max_bytes;
    uint64_t keep_ms;
};

/* An event that has receipts. Counted; what is here does not change. */
struct pc_tracked {
    struct pc_map_node node; /* key: channel, rule's event, id */
    struct pc_list in_order;
    struct pc_mem mem;
    struct pc_receipts *of; /* the app's: who uses it counts the app's state */
    _Atomic uint32_t refs;
    bool known;          /* locked */
    struct pc_map users; /* locked; struct reached */
    size_t bytes;        /* locked; of itself and its users */
    uint64_t ends_ms;
    pusherc_slice app_id, channel, event, id;
    /* Of channels whose rule renders: the event's data, to see whether a view may have it. ptr NULL: the channel had no such
     * rule when the event was published. */
    pusherc_slice data;
};

void pc_receipts_init(struct pc_receipts *receipts, const struct pc_mem *mem,
                      const uint64_t seed[2]);
void pc_receipts_free(struct pc_receipts *receipts); /* no event is counted by others any more */

/* What an event is known by. All of it is borrowed. */
struct pc_receipt_name {
    pusherc_slice channel;
    pusherc_slice rule_event; /* struct pc_receipt_rule.event */
    pusherc_slice id;
};

/* Makes the event known, or finds it if it is. *out is counted for the caller. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_receipts_add(struct pc_receipts *receipts, const struct pc_receipt_bounds *bounds,
                               const struct pc_receipt_name *name, pusherc_slice app_id,
                               pusherc_slice event, pusherc_slice data, uint64_t now_ms,
                               struct pc_tracked **out);
/* Counted for the caller; NULL: it is not known. */
struct pc_tracked *pc_receipts_find(struct pc_receipts *receipts,
                                    const struct pc_receipt_name *name, uint64_t now_ms);

void pc_tracked_ref(struct pc_tracked *event);
void pc_tracked_unref(struct pc_tracked *event); /* NULL is harmless; takes no lock */

/* Notes that the event has reached the user. True: the host is to be told, for it is the first time. The caller counts
 * the app's state. */
bool pc_tracked_reached(struct pc_tracked *event, pusherc_slice user_id, pusherc_receipt_kind kind,
                        uint64_t now_ms);

#endif
