/*
 * Decides which events are sent together, and when: order, batches, retries, deadlines, limits. It has no socket and
 * reads no clock: the broadcaster passes the time and hands batches to a carrier.
 *
 * Events of one channel are accepted by the carrier in the order in which they came: an event is sent when no earlier
 * one of its channels waits, or together with those before it. Other channels do not wait for it. A batch is made for
 * one attempt; after a failure its events go back to where they were.
 *
 * A carrier that takes nothing now (AWAY) pauses the whole queue, with one request at a time until one is accepted. A
 * request that failed by itself (FAILED) rests, with its channels. A refused batch of several events is sent again one
 * by one, because the carrier does not say which of them it refuses.
 *
 * Events of one subject (conflate.h) replace each other while they wait: a newer one takes the older one's place.
 *
 * Call pc_broadcast_queue_put(), _idle() and _stats() from any thread, all others from one.
 */
#ifndef PC_BROADCAST_QUEUE_H
#define PC_BROADCAST_QUEUE_H

#include <pthread.h>

#include <pusherc/broadcast.h>

#include "broadcast/batch.h"

#define PC_BROADCAST_FIRST_RETRY_MS 250
#define PC_BROADCAST_LAST_RETRY_MS  30000
#define PC_BROADCAST_MAX_WAIT_MS    600000 /* of a Retry-After */

struct pc_broadcast_settings {
    uint32_t max_events;
    uint64_t max_bytes;
    uint32_t batch_events, batch_bytes, max_under_way;
    uint32_t retry_ms;
};

/* What has ended, for the caller to tell and free. */
struct pc_broadcast_ended {
    struct pc_list
        events; /* by of_queue; `code`, `status`, `attempts`; those to be told have call NULL and !told */
    struct pc_list calls; /* by of_ended; no event refers to them */
};

struct pc_broadcast_queue {
    const struct pc_mem *mem; /* borrowed */
    struct pc_broadcast_settings settings;
    pthread_mutex_t mutex; /* guards what follows; leaf */
    struct pc_map lanes;
    struct pc_map subjects; /* the last event of each */
    struct pc_list all, ready;
    uint32_t count;
    uint64_t bytes;
    uint64_t now_ms;      /* the latest time that any thread has passed */
    uint64_t expected_ms; /* the caller looks again at this time */
    uint64_t pause_ms;    /* nothing is sent before */
    uint32_t away;        /* answers AWAY in a row; not 0: one request at a time */
    uint32_t under_way;
    uint64_t random;
    size_t batch_bytes; /* shrinks if batches are too large for the carrier */
    bool stopping;
    pusherc_broadcast_stats stats;
    char reason[160];                 /* of the last failure */
    struct pc_broadcast_ended *ended; /* where timers put what they end */
    struct pc_timers timers;
};

/* Room for a new object; 0 or PUSHERC_ENOMEM. `seed` are three random words. */
PC_CHECKED int pc_broadcast_queue_new(struct pc_broadcast_queue **out, const struct pc_mem *mem,
                                      const struct pc_broadcast_settings *settings,
                                      const uint64_t seed[3], uint64_t now_ms);
/* It is empty. NULL is harmless. */
void pc_broadcast_queue_free(struct pc_broadcast_queue *queue);

/* Takes over all events, or none: PUSHERC_EBACKLOG, PUSHERC_ESTATE (stopping), PUSHERC_ENOMEM. They share `call`, or it
 * is NULL. *wake: the caller's thread has something to do earlier than it expects. */
PC_CHECKED int pc_broadcast_queue_put(struct pc_broadcast_queue *queue,
                                      struct pc_broadcast_event *const *events, size_t count,
                                      struct pc_broadcast_call *call, uint32_t timeout_ms,
                                      uint64_t now_ms, bool *wake);
/* True: nothing waits and nothing is under way, and it is not stopped. */
bool pc_broadcast_queue_idle(struct pc_broadcast_queue *queue);
/* True: nothing waits, whether or not it was stopped. */
bool pc_broadcast_queue_empty(struct pc_broadcast_queue *queue);
/* Counts an event that was sent, or refused, on the caller's thread. */
void pc_broadcast_queue_count_direct(struct pc_broadcast_queue *queue, bool accepted);

/* Ends what is too late. To be called before the next two. */
void pc_broadcast_queue_run(struct pc_broadcast_queue *queue, uint64_t now_ms,
                            struct pc_broadcast_ended *ended);
/* The next batch to send; NULL: none now. */
struct pc_broadcast_batch *pc_broadcast_queue_take(struct pc_broadcast_queue *queue,
                                                   uint64_t now_ms);
/* Milliseconds until one of these two has something to do; UINT64_MAX = not before an event or an answer comes. */
uint64_t pc_broadcast_queue_next(struct pc_broadcast_queue *queue, uint64_t now_ms);

/* Frees the batch. */
void pc_broadcast_queue_answer(struct pc_broadcast_queue *queue, struct pc_broadcast_batch *batch,
                               const struct pc_broadcast_answer *answer, uint64_t now_ms,
                               struct pc_broadcast_ended *ended);

/* Refuses new events; what rests gets an attempt at once. */
void pc_broadcast_queue_stop(struct pc_broadcast_queue *queue, uint64_t now_ms);
/* Ends everything. No batch is under way. */
void pc_broadcast_queue_cancel(struct pc_broadcast_queue *queue, struct pc_broadcast_ended *ended);

void pc_broadcast_queue_stats(struct pc_broadcast_queue *queue, uint64_t now_ms,
                              pusherc_broadcast_stats *out);
/* The last failure in words; the text is cut to `cap`, NUL-terminated. */
void pc_broadcast_queue_reason(struct pc_broadcast_queue *queue, char *out, size_t cap);

#endif
