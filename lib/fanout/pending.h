/*
 * An answer that comes later, from any thread, perhaps after the waiting client or the whole server has gone: a
 * question to the host, a request to another process.
 *
 * Two objects share it. The answering side owns `struct pc_pending` from pc_pending_begin() until it calls
 * pc_pending_answer(), once. `struct pc_await` is a part of the waiting object on a worker, and borrows the
 * pc_pending. The answer travels to the worker as a mail and resumes the waiting object there; if that object has
 * stopped waiting, the answer is only freed. Neither side touches the other's memory from another thread, except for
 * `state`.
 *
 * A question to the host has a place in a quota (quota.h), which it gives back when the answer arrives. So a question
 * that nothing waits for any more counts until the host has answered it. It also has a number, by which the host is told
 * that nothing waits any more: by the hook on_abandoned if it was asked by a call, else by a letter (inbox.h). The
 * request itself may be gone by then, because another thread may answer at the same time.
 */
#ifndef PC_FANOUT_PENDING_H
#define PC_FANOUT_PENDING_H

#include "fanout/inbox.h"
#include "fanout/quota.h"
#include "fanout/worker.h"

struct pc_pending;

/* The waiting side; embed it. */
struct pc_await {
    struct pc_pending *pending; /* borrowed; NULL = does not wait */
    /* Called on the worker when the answer has arrived; `silent`: there is none, as if the time were over. The answer is
     * freed when this returns. May begin to wait again. */
    void (*resume)(struct pc_await *await, struct pc_pending *answer);
};

enum pc_pending_state {
    PC_PENDING_OPEN = 0, /* not answered */
    PC_PENDING_ANSWERED, /* the answer is on its way or has arrived */
    PC_PENDING_LATE,     /* the wait timed out; the answering side still owns it */
    PC_PENDING_LEFT      /* nothing waits any more; the answering side still owns it */
};

/* The answering side: the first member of an object from pc_alloc_zero() that holds the question and the answer. */
struct pc_pending {
    struct pc_mail mail; /* brings the answer to the worker */
    struct pc_mem mem;
    struct pc_mailbox *box;   /* counted */
    struct pc_await *await;   /* worker only; NULL = nothing waits any more */
    struct pc_worker *worker; /* borrowed: as long as something waits */
    uint64_t number;          /* of a question to the host, unique in the server; otherwise 0 */
    struct pc_letter letter;  /* of a question to a host that has an inbox */
    bool silent;              /* the answer is none: the host did not get the question */
    /* Worker only: its place, given back on arrival; NULL = it does not count. */
    struct pc_quota *quota;
    _Atomic int state; /* enum pc_pending_state */
    /* Called on the worker when the answer has arrived, also if nothing waits for it, perhaps after `dispose`, but not if
     * it is silent. NULL = not needed. */
    void (*arrived)(struct pc_pending *pending, struct pc_worker *worker);
    /* Called at the end, on any thread: frees what the object owns, but not the object. NULL = it owns nothing. */
    void (*dispose)(struct pc_pending *pending);
};

/* Worker. From now on `await` waits for this answer. An await waits for one answer at a time. Takes over the place in
 * `quota`; NULL = it does not count. */
void pc_pending_begin(struct pc_pending *pending, struct pc_worker *worker, struct pc_await *await,
                      struct pc_quota *quota);
/* Any thread. Consumes `pending`. 0; PUSHERC_ETIMEDOUT: the wait timed out before; PUSHERC_ECANCELED: the client or the
 * server does not wait any more; PUSHERC_ESTATE: this process was forked from the server's. */
int pc_pending_answer(struct pc_pending *pending);
/* Any thread. Consumes `pending`, whose question the host will not get: what waits for it gets a silent answer. */
void pc_pending_silence(struct pc_pending *pending);
/* Worker. Stops waiting: `resume` is not called. Harmless if `await` does not wait. */
void pc_await_abandon(struct pc_await *await);
/* The same when the answer did not come in time. */
void pc_await_expire(struct pc_await *await);
/* Worker. Stops waiting and frees `pending`, which has not been handed to an answering side. */
void pc_pending_cancel(struct pc_pending *pending, struct pc_worker *worker);

#endif
