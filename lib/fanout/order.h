/*
 * An order to all workers: run() is called on the thread of each worker, then done() is called once.
 *
 * Each worker gets a control mail, and an atomic counter finds the last run(). pc_order_init() allocates all mails,
 * before the first one is sent, so an order reaches every worker or none.
 */
#ifndef PC_FANOUT_ORDER_H
#define PC_FANOUT_ORDER_H

#include "fanout/engine.h"

/* Lives inside the object that the order is about. */
struct pc_order {
    struct pc_engine *engine;
    /* Called once for each worker that still runs, on its thread. A worker whose loop has ended is left out. */
    void (*run)(struct pc_order *order, struct pc_worker *worker);
    /* Called once, after every run(), on the thread of the last worker, or on the sender's if no worker runs any more.
     * May send the order again, or free the object that holds it. */
    void (*done)(struct pc_order *order);
    _Atomic uint32_t left;       /* workers that have not run it */
    struct pc_order_mail *mails; /* owned; one for each worker */
};

/* 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_order_init(struct pc_order *order, struct pc_engine *engine);
/* Not between send and done(). Harmless on a zero order. */
void pc_order_free(struct pc_order *order);
/* Cannot fail. Not between an earlier send and its done(). Thread: any, once the workers have mailboxes; the caller
 * holds no lock. */
void pc_order_send(struct pc_order *order);

#endif
