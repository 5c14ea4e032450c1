/*
 * One worker's part of the engine, without its event loop: its time, timers, mailbox, sessions, dirty
 * queues and counters. Only the worker's thread uses them; other threads post to the mailbox.
 */
#ifndef PC_FANOUT_WORKER_H
#define PC_FANOUT_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include <pusherc/hooks.h>

#include "base/address.h"
#include "base/list.h"
#include "base/map.h"
#include "base/stat.h"
#include "base/timer.h"
#include "fanout/mailbox.h"
#include "fanout/outq.h"
#include "fanout/quota.h"
#include "fanout/unknown_apps.h"

struct pc_app_state;
struct pc_engine;
struct pc_decisions;
struct pc_lane;

/* Only the worker writes them and any thread reads them: relaxed, no contention. */
struct pc_worker_stats {
    _Atomic uint64_t connections, connections_total, sockets, subscriptions;
    _Atomic uint64_t unestablished, sockets_reclaimed, sockets_refused;
    _Atomic uint64_t messages_in, messages_out, bytes_in, bytes_out, write_calls;
    _Atomic uint64_t http_requests, slow_closed, slow_dropped, out_queued_bytes, grants;
    _Atomic uint64_t questions, questions_refused;    /* to the host, not answered; by a limit */
    _Atomic uint64_t resumes, replayed, history_lost; /* of channels with a history: resume.h */
    struct pc_histogram lag;                          /* of the loop's turns */
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
    const pusherc_hooks
        *hooks;           /* the engine's; or the worker's own, which put letters into `lane` */
    struct pc_lane *lane; /* NULL = the host has no inbox */
    uint32_t index;
    uint64_t now_ms; /* monotonic; set by the runtime at the start of each turn */
    struct pc_timers timers;
    struct pc_mailbox *mailbox;
    struct pc_list sessions; /* all established sessions: what is alive is reachable from here */
    struct pc_map by_id;     /* the same sessions by socket id */
    struct pc_map users;     /* the sessions that have a user, by user: see session/user.h */
    struct pc_map owners;    /* the grants that have a user of their own, by user: there, too */
    /* guards what queries of the host read, on any thread: `users`, and `listed`, the same sessions once more. Only the
     * worker changes them, so it reads them without the lock. Leaf: see session/listing.h */
    pthread_mutex_t listing;
    struct pc_list listed;
    char client_ip[PC_ADDRESS_STRLEN]; /* pusherc_conn_client_ip() of the hook that runs */
    struct pc_quotas quotas;           /* of the questions to the host */
    struct pc_unknown_apps unknown_apps;
    /* the session layer's questions to the host; owned by the runtime */
    struct pc_decisions *decisions;
    uint64_t endpoint_answers; /* how many auth endpoints have given sessions here: see grant.h */
    uint64_t
        changes; /* of the host's facts that this worker has heard of; each counts twice: session/change.c */
    struct pc_list joins;          /* the long ones that wait: session/joining.h */
    struct pc_list channel_timers; /* see channel_timer.h */
    struct pc_list people_timers;  /* see people.c */
    struct pc_list dirty;          /* queues with something to write */
    /* the same, and written after those: what they have got is for a crowd, or of a long join, or is much, or they end */
    struct pc_list bulk;
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

/* There is a queue to be written. */
static inline bool pc_worker_marked(const struct pc_worker *worker)
{
    return !pc_list_empty(&worker->dirty) || !pc_list_empty(&worker->bulk);
}

/* The queues that are marked in between go to the end of the bulk. `others` is the caller's. */
void pc_worker_begin_bulk(struct pc_worker *worker, struct pc_list *others);
void pc_worker_end_bulk(struct pc_worker *worker, struct pc_list *others);

/* Counts an event that has just been put into the queues of `messages` subscribers. */
void pc_worker_delivered(struct pc_worker *worker, struct pc_app_state *state, uint64_t messages,
                         uint64_t bytes);
/* An event has been put into the last queue: it is timed when it is written. posted_ns 0: it is not. */
void pc_worker_time(struct pc_worker *worker, struct pc_app_state *state, uint64_t posted_ns);
/* Times the delivered events, which have now been written; reads the clock once for all. */
void pc_worker_written(struct pc_worker *worker);

#endif
