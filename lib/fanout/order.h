/*
 * One order to all workers: run() on the thread of each, then done() once. All memory is allocated by
 * pc_order_init(), before the first worker is told, so an order reaches every worker or none.
 */
#ifndef PC_FANOUT_ORDER_H
#define PC_FANOUT_ORDER_H

#include "fanout/engine.h"

/* Lives inside what it is about. */
struct pc_order {
    struct pc_engine *engine;
    /* Once for each worker that still runs, on its thread. One whose loop has ended needs no order. */
    void (*run)(struct pc_order *order, struct pc_worker *worker);
    /* Once, after every run(), on the thread of the last worker; on the sender's if no worker runs any more. May send
     * the order again or free what it lives in. */
    void (*done)(struct pc_order *order);
    _Atomic uint32_t left;       /* workers that have not run it */
    struct pc_order_mail *mails; /* owned; one for each worker */
};

/* 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_order_init(struct pc_order *order, struct pc_engine *engine);
void pc_order_free(struct pc_order *order); /* not under way; harmless on a zero order */
/* Not while it is under way. Never fails. Thread: any, once the workers have mailboxes; no lock is held. */
void pc_order_send(struct pc_order *order);

#endif
