/*
 * One worker's part of the engine, without its event loop: its time, timers, mailbox, sessions, dirty
 * queues and counters. Only the worker's thread uses them; other threads post to the mailbox.
 */
#ifndef PC_FANOUT_WORKER_H
#define PC_FANOUT_WORKER_H

#include <stdatomic.h>

#include "base/list.h"
#include "base/map.h"
#include "base/stat.h"
#include "base/timer.h"
#include "fanout/mailbox.h"
#include "fanout/outq.h"

struct pc_app_state;
struct pc_engine;
struct pc_decisions;

/* Only the worker writes them and any thread reads them: relaxed, no contention. */
struct pc_worker_stats {
    _Atomic uint64_t connections, connections_total, sockets, subscriptions;
    _Atomic uint64_t messages_in, messages_out, bytes_in, bytes_out, write_calls;
    _Atomic uint64_t http_requests, slow_closed, slow_dropped, out_queued_bytes, grants;
    struct pc_histogram lag;     /* of the loop's turns */
    struct pc_histogram latency; /* from an event's publishing until it is written */
};

/* Events of one turn that wait to be timed. When the table is full, its events are timed early, before they are
 * written. */
#define PC_WORKER_TIMED 256

struct pc_timed {
    uint64_t posted_ns;
    struct pc_app_state *state; /* counted once for a run of entries with the same state */
};

struct pc_worker {
    struct pc_engine *engine;
    void *runtime;            /* what runs the worker: net's loop, or a test */
    const struct pc_mem *mem; /* the engine's */
    uint32_t index;
    uint64_t now_ms; /* monotonic; set by the runtime at the start of each turn */
    struct pc_timers timers;
    struct pc_mailbox *mailbox;
    struct pc_list sessions; /* all established sessions: what is alive is reachable from here */
    struct pc_map by_id;     /* the same sessions by socket id */
    struct pc_map users;     /* the sessions that have a user, by user: see session/user.h */
    /* the session layer's questions to the host; owned by the runtime */
    struct pc_decisions *decisions;
    uint64_t endpoint_answers; /* how many auth endpoints have given sessions here: see grant.h */
    uint64_t
        changes; /* of the host's facts that this worker has heard of; each counts twice: session/change.c */
    struct pc_list channel_timers; /* see channel_timer.h */
    struct pc_list dirty;          /* queues with something to write */
    struct pc_chunk *spare_chunks; /* outq.c's pool */
    uint32_t spare_chunk_count;
    size_t queued_bytes; /* of all queues */
    struct pc_worker_stats stats;
    uint32_t timed_count;
    struct pc_timed timed[PC_WORKER_TIMED];
};

void pc_worker_init(struct pc_worker *worker, struct pc_engine *engine, uint32_t index,
                    uint64_t now_ms);
void pc_worker_free(struct pc_worker *worker); /* after the last session, queue and timer */

/* Counts an event that has just been put into the queues of `messages` subscribers. posted_ns 0: it is not timed. */
void pc_worker_delivered(struct pc_worker *worker, struct pc_app_state *state, uint64_t messages,
                         uint64_t bytes, uint64_t posted_ns);
/* Times the delivered events, which have now been written; reads the clock once for all. */
void pc_worker_written(struct pc_worker *worker);

#endif
