/*
 * An answer that comes later, from any thread, perhaps after the waiting client or the whole server has gone: a
 * question to the host, a request to another process.
 *
 * Two objects share it. `struct pc_pending` belongs to the answering side from pc_pending_begin() until it calls
 * pc_pending_answer(), once. `struct pc_await` is part of what waits, on a worker, and only borrows the other. The
 * answer travels to the worker as a mail and wakes the waiting side there; if that has stopped waiting, the answer is
 * only freed. Neither side touches the other's memory from another thread, except for the one flag `gone`.
 */
#ifndef PC_FANOUT_PENDING_H
#define PC_FANOUT_PENDING_H

#include "fanout/worker.h"

struct pc_pending;

/* The waiting side; embed it. */
struct pc_await {
    struct pc_pending *pending; /* borrowed; NULL = waits for nothing */
    /* Worker: the answer is there, and lives until this returns. May begin to wait again. */
    void (*resume)(struct pc_await *await, struct pc_pending *answer);
};

/* The answering side: the first member of an object from pc_alloc_zero() that carries question and answer. */
struct pc_pending {
    struct pc_mail mail; /* brings the answer to the worker */
    struct pc_mem mem;
    struct pc_mailbox *box; /* counted */
    struct pc_await *await; /* worker only; NULL = the client left, or the wait timed out */
    _Atomic bool gone;      /* the same, readable by the answering thread */
    /* Any thread, in the end: frees what the object owns, but not the object. NULL = it owns nothing. */
    void (*dispose)(struct pc_pending *pending);
};

/* Worker. From here on `await` waits for it; nothing else may be waited for by the same. */
void pc_pending_begin(struct pc_pending *pending, struct pc_worker *worker, struct pc_await *await);
/* Any thread. Consumes it. 0; PUSHERC_ECANCELED: nothing waits any more. */
int pc_pending_answer(struct pc_pending *pending);
/* Worker. Stops waiting: `resume` is not called. Harmless if nothing is waited for. */
void pc_await_abandon(struct pc_await *await);
/* Worker. It was not handed to anything that answers: stops waiting and frees it. */
void pc_pending_cancel(struct pc_pending *pending);

#endif
