/*
 * Limits of connections over all processes that serve the same apps: of an app, of a user, of an address. Each process
 * keeps its own connections within the limit at once. A seat is one connection as an optional party counts it over all
 * processes (a link to them); the connection works meanwhile, and hears later if it is one too many.
 */
#ifndef PC_FANOUT_SEAT_H
#define PC_FANOUT_SEAT_H

#include "channel/app.h"
#include "fanout/mailbox.h"

enum pc_seat_kind {
    PC_SEAT_APP = 0, /* max_connections */
    PC_SEAT_USER,    /* max_connections_per_user */
    PC_SEAT_ADDRESS  /* max_connections_per_ip */
};

/* From pc_alloc_zero() with `mem`; the party frees it after drop(). */
struct pc_seat {
    enum pc_seat_kind kind;
    struct pc_mem mem;
    struct pc_worker *worker; /* of the connection */
    /* Called on that worker's thread, not inside a call of the party, at most once: the connection is one too many. */
    void (*excess)(struct pc_seat *seat);
    void *holder;         /* for `excess` */
    struct pc_seat *next; /* the holder's */
    /* the party's */
    struct pc_list in_order;
    struct pc_mail mail;
    void *limit;
    uint64_t number;
    bool counted; /* it was within the limit once */
    bool flying;  /* that it is one too many is on its way */
};

struct pc_seats {
    /* Counts a seat of this user or address; of the app with len 0. On the connection's worker. 0 or PUSHERC_ENOMEM: the
     * seat is the caller's. NULL = there is no such party. */
    int (*take)(void *ctx, const struct pc_app *app, pusherc_slice name, struct pc_seat *seat);
    /* The connection has ended. On its worker. */
    void (*drop)(void *ctx, struct pc_seat *seat);
    void *ctx;
};

#endif
