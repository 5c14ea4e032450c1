/*
 * One worker's share of the engine, without its event loop: its time, timers, mailbox, sessions, dirty
 * queues and counters. Everything here belongs to the worker's thread; others post to the mailbox.
 */
#ifndef PC_FANOUT_WORKER_H
#define PC_FANOUT_WORKER_H

#include <stdatomic.h>

#include "base/list.h"
#include "base/map.h"
#include "base/timer.h"
#include "fanout/mailbox.h"
#include "fanout/outq.h"

struct pc_engine;
struct pc_decisions;

/* Written by the worker only, read by anybody: relaxed, no contention. */
struct pc_worker_stats {
    _Atomic uint64_t connections, connections_total, sockets, subscriptions;
    _Atomic uint64_t messages_in, messages_out, bytes_in, bytes_out, write_calls;
    _Atomic uint64_t http_requests, slow_closed, slow_dropped, out_queued_bytes;
};

static inline void pc_stat_add(_Atomic uint64_t *counter, uint64_t n)
{
    /* one writer: a load and a store, no locked instruction */
    uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, now + n, memory_order_relaxed);
}

static inline void pc_stat_sub(_Atomic uint64_t *counter, uint64_t n)
{
    pc_stat_add(counter, (uint64_t)0 - n);
}

#define PC_WORKER_SPARE_CHUNKS 4096 /* 1 MiB of empty queue chunks kept for the next burst */

struct pc_worker {
    struct pc_engine *engine;
    void *runtime;            /* whatever runs it: net's loop, or a test */
    const struct pc_mem *mem; /* the engine's */
    uint32_t index;
    uint64_t now_ms; /* monotonic; set by the runtime at the start of each turn */
    struct pc_timers timers;
    struct pc_mailbox *mailbox;
    struct pc_list sessions; /* every established one: the root of what is alive */
    struct pc_map by_id;     /* the same by socket id */
    struct pc_map users;     /* those that are somebody's, by user: see session/user.h */
    /* the session layer's questions to the host; owned by the runtime */
    struct pc_decisions *decisions;
    struct pc_list laters; /* see later.h */
    struct pc_list dirty;  /* queues with something to write */
    struct pc_chunk *spare_chunks;
    uint32_t spare_chunk_count;
    size_t queued_bytes; /* of all queues */
    struct pc_worker_stats stats;
};

void pc_worker_init(struct pc_worker *worker, struct pc_engine *engine, uint32_t index,
                    uint64_t now_ms);
void pc_worker_free(struct pc_worker *worker); /* after the last session and queue */

struct pc_chunk *pc_worker_take_chunk(struct pc_worker *worker); /* NULL: out of memory */
void pc_worker_give_chunk(struct pc_worker *worker, struct pc_chunk *chunk);

/* Makes a frame for one queue and pushes it. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_worker_send(struct pc_outq *q, int opcode, pusherc_slice payload);

#endif
