/*
 * A change of the host's facts on its way through the workers, in two rounds. The first makes it known: what was
 * thought up before does not count from then on, and what stands is asked for again. One thing may have slipped
 * through, an auth endpoint's answer on its way from its worker to that of the socket. Every such answer is older
 * than the end of the first round and arrives before the second, which asks for those.
 */
#ifndef PC_SESSION_CHANGE_H
#define PC_SESSION_CHANGE_H

#include "fanout/order.h"
#include "session/decision.h"

struct pc_change {
    struct pc_mem mem;
    struct pc_engine *engine;
    struct pc_grant_filter filter; /* slices in text */
    pusherc_reauthorized_fn done;  /* NULL = nobody wants to know */
    void *user_data;
    /* The host takes `channel` away, from one socket or, if that is zero, from the filter's user. len 0: it does not,
     * it is asked. */
    pusherc_slice channel, reason; /* in text */
    pusherc_socket_id socket_id;
    _Atomic uint64_t open; /* the rounds, as one, and grants without an answer */
    _Atomic uint64_t kept, revoked;
    struct pc_order order; /* the round under way */
    uint64_t *remembered;  /* owned; of each worker, its count at the first round */
    char text[];
};

/* Texts are copied. With one open. NULL = out of memory. */
struct pc_change *pc_change_new(struct pc_engine *engine, const struct pc_grant_filter *filter,
                                pusherc_slice channel, pusherc_slice reason);
/* Through all workers; it frees itself. 0 or PUSHERC_ENOMEM: nobody has heard of it, and it is freed. */
PC_CHECKED int pc_change_send(struct pc_change *change);
/* One less is open; the last one calls done and frees. */
void pc_change_report(struct pc_change *change);

#endif
