/*
 * An answer that comes later, from any thread, perhaps after the waiting client or the whole server has gone: a
 * question to the host, a request to another process.
 *
 * Two objects share it. The answering side owns `struct pc_pending` from pc_pending_begin() until it calls
 * pc_pending_answer(), once. `struct pc_await` is a part of the waiting object on a worker, and borrows the
 * pc_pending. The answer travels to the worker as a mail and resumes the waiting object there; if that object has
 * stopped waiting, the answer is only freed. Neither side touches the other's memory from another thread, except for
 * the one flag `gone`.
 */
#ifndef PC_FANOUT_PENDING_H
#define PC_FANOUT_PENDING_H

#include "fanout/worker.h"

struct pc_pending;

/* The waiting side; embed it. */
struct pc_await {
    struct pc_pending *pending; /* borrowed; NULL = does not wait */
    /* Called on the worker when the answer has arrived. The answer is freed when this returns. May begin to wait
     * again. */
    void (*resume)(struct pc_await *await, struct pc_pending *answer);
};

/* The answering side: the first member of an object from pc_alloc_zero() that holds the question and the answer. */
struct pc_pending {
    struct pc_mail mail; /* brings the answer to the worker */
    struct pc_mem mem;
    struct pc_mailbox *box; /* counted */
    struct pc_await *await; /* worker only; NULL = the client left, or the wait timed out */
    _Atomic bool gone;      /* true once `await` is NULL; the answering thread may read it */
    /* Called at the end, on any thread: frees what the object owns, but not the object. NULL = it owns nothing. */
    void (*dispose)(struct pc_pending *pending);
};

/* Worker. From now on `await` waits for this answer. An await waits for one answer at a time. */
void pc_pending_begin(struct pc_pending *pending, struct pc_worker *worker, struct pc_await *await);
/* Any thread. Consumes `pending`. 0; PUSHERC_ECANCELED: the client or the server does not wait any more. */
int pc_pending_answer(struct pc_pending *pending);
/* Worker. Stops waiting: `resume` is not called. Harmless if `await` does not wait. */
void pc_await_abandon(struct pc_await *await);
/* Worker. Stops waiting and frees `pending`, which has not been handed to an answering side. */
void pc_pending_cancel(struct pc_pending *pending);

#endif
