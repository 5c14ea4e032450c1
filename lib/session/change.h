/*
 * A change of the host's facts on its way through the workers, in two rounds. The first makes it known: what was
 * thought up before does not count from then on, and what stands is asked for again. One thing may have slipped
 * through, an auth endpoint's answer on its way from its worker to that of the socket. Every such answer is older
 * than the end of the first round and arrives before the second, which asks for those.
 */
#ifndef PC_SESSION_CHANGE_H
#define PC_SESSION_CHANGE_H

#include "session/decision.h"

struct pc_session;

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
    _Atomic uint32_t unaware; /* workers that have not had the first round */
    _Atomic uint64_t open; /* workers that have not had the second, and grants without an answer */
    _Atomic uint64_t kept, revoked;
    struct pc_change_mail *mails; /* owned; one for each worker, or none */
    char text[];
};

/* Texts are copied. With one open. NULL = out of memory. */
struct pc_change *pc_change_new(struct pc_engine *engine, const struct pc_grant_filter *filter,
                                pusherc_slice channel, pusherc_slice reason);
/* Through all workers; it frees itself. 0 or PUSHERC_ENOMEM: nobody has heard of it, and it is freed. */
PC_CHECKED int pc_change_send(struct pc_change *change);
/* What the first round does on one worker. */
void pc_change_apply(struct pc_change *change, struct pc_worker *worker);
/* Closes one open report. The last one calls `done` and frees the change. */
void pc_change_report(struct pc_change *change);

/* Asks the host again about every grant of this session alone. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_change_recheck_session(struct pc_session *session);

#endif
