/*
 * A change of the host's facts (pusherc_reauthorize(), pusherc_server_unsubscribe()) on its way
 * through all workers. change.c explains the two rounds.
 */
#ifndef PC_SESSION_CHANGE_H
#define PC_SESSION_CHANGE_H

#include "fanout/order.h"
#include "session/decision.h"

struct pc_session;

struct pc_change {
    struct pc_mem mem;
    struct pc_engine *engine;
    struct pc_grant_filter filter; /* the first one; slices in the text */
    pusherc_reauthorized_fn done;  /* NULL = the host does not ask for the result */
    void *user_data;
    uint64_t *unanswered; /* NULL, or set before `done`: other processes that did not report */
    /* len > 0: the host takes this channel away, from one socket or, if that is zero, from the
     * filter's user. len 0: grants are rechecked instead. */
    pusherc_slice channel, reason; /* in the text */
    pusherc_socket_id socket_id;
    /* reports to come: the two rounds together, each recheck, the other processes together */
    _Atomic uint64_t open;
    _Atomic uint64_t kept, revoked;
    struct pc_order order;            /* the round under way */
    struct pc_change_worker *workers; /* owned; what each worker keeps between the rounds */
    uint32_t how;                     /* PC_RECHECK_* of the first round */
    struct pc_grant_filter more[];    /* those behind `filter`; the text is behind them */
};

/* Copies the filters and texts. The caller holds one open report; see pc_change_report(). NULL = out of
 * memory. */
struct pc_change *pc_change_new(struct pc_engine *engine, const struct pc_grant_filter *filter,
                                pusherc_slice channel, pusherc_slice reason);
/* Sends the change to all workers. The change frees itself when all reports are closed. 0; or PUSHERC_ENOMEM: no worker
 * was told, and the change has been freed. */
PC_CHECKED int pc_change_send(struct pc_change *change);
/* The same in two steps, for a caller that must not fail in between: the change is passed to go() or to drop(), which does
 * not call `done`. PUSHERC_ENOMEM: it has been freed. */
PC_CHECKED int pc_change_prepare(struct pc_change *change);
void pc_change_go(struct pc_change *change);
void pc_change_drop(struct pc_change *change);
/* What the first round does on one worker. */
void pc_change_apply(struct pc_change *change, struct pc_worker *worker);
/* Closes one open report. The last one calls `done` and frees the change. */
void pc_change_report(struct pc_change *change);

/* Asks the host again about every grant of this session alone. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_change_recheck_session(struct pc_session *session);

#endif
