/*
 * Decides what to send to which endpoint, and when: filters, delayed removals, batches and their signatures, times of
 * retries. It has no socket and reads no clock: webhook/sender.c passes the time and sends.
 *
 * Each endpoint with events to send has one queue. A notice about an app goes into the queues of the endpoints of that
 * app only, and a batch is made of the events of one queue. A queue has one batch under way at a time, so an endpoint
 * gets all events in order.
 *
 * Apps share the memory for events that wait, and the requests that are under way at a time. Of the memory the app that
 * holds most loses first: its event that would be sent last. A request cannot be taken back, so an app gets another one
 * only while more are free than it has; apps with something to send take turns.
 *
 * Call pc_webhooks_note() from any thread, all other functions from one.
 */
#ifndef PC_WEBHOOK_QUEUE_H
#define PC_WEBHOOK_QUEUE_H

#include <pthread.h>

#include "base/timer.h"
#include "webhook/backlog.h"

#define PC_WEBHOOK_FIRST_RETRY_MS 1000
#define PC_WEBHOOK_LAST_RETRY_MS  60000
/* An older batch gets a new time_ms before it is sent again: SDKs refuse batches older than five minutes. */
#define PC_WEBHOOK_FRESH_MS 240000
/* A batch of several events is not larger than this: some web frameworks refuse bodies above 100 KB. */
#define PC_WEBHOOK_BODY_BYTES 65536

struct pc_webhook_queue;

/* One request with some events, until the endpoint accepts it or it is given up. */
struct pc_webhook_batch {
    struct pc_webhook_queue *queue;
    struct pc_endpoints *endpoints; /* counted: has the secret and the app's id and key */
    const struct pc_endpoint *endpoint;
    pusherc_slice body; /* in `text` */
    char signature[PC_SHA256_HEX];
    uint32_t event_count, attempts;
    uint64_t first_ms;     /* of the first attempt */
    uint64_t made_ms;      /* when the time_ms in it was set */
    uint64_t due_ms;       /* of the next attempt */
    uint16_t status;       /* set by the caller: the answer to the last attempt, 0 = no answer */
    char reason[160];      /* set by the caller: the same in words, or why there was no answer */
    bool last_chance;      /* the attempt under way began after pc_webhooks_stop() */
    size_t event_bytes;    /* of `events` */
    struct pc_list events; /* until `text` has been written */
    struct pc_buf text;    /* room for the time, then the events as JSON */
    struct pc_buf acceptances; /* of the events, struct pc_acceptance *; counted */
};

struct pc_webhooks {
    const struct pc_mem *mem; /* borrowed */
    struct pc_webhook_settings settings;
    struct pc_webhook_stats *stats; /* borrowed */
    uint64_t seed[2];               /* of the hash tables */
    pthread_mutex_t mutex;          /* guards what follows; leaf lock, taken under a shard's */
    uint64_t random;
    uint64_t now_ms;      /* the latest time that any thread has passed */
    uint64_t expected_ms; /* the sender calls pc_webhooks_take() again at this time */
    bool stopping, closed;
    struct pc_list queues;
    struct pc_list runnable; /* the apps with queues that have a batch to send now, in turn */
    uint32_t under_way;      /* requests of all apps */
    struct pc_shares bytes;  /* of the events that wait, of each app */
    struct pc_timers timers;
};

/* 0 or PUSHERC_ENOMEM. `seed` are four random words. */
PC_CHECKED int pc_webhooks_new(struct pc_webhooks **out, const struct pc_mem *mem,
                               const struct pc_webhook_settings *settings,
                               struct pc_webhook_stats *stats, const uint64_t seed[4],
                               uint64_t now_ms);
void pc_webhooks_free(struct pc_webhooks *hooks); /* after the last batch; NULL is harmless */

/* Puts the event into the queues of the endpoints that want it. True: wake the sender, because an event is due before
 * the time that pc_webhooks_next() returned. */
bool pc_webhooks_note(struct pc_webhooks *hooks, const struct pc_notice *notice, uint64_t now_ms);

/* Milliseconds until pc_webhooks_take() may return a batch; UINT64_MAX = not before pc_webhooks_note() adds an event.
 * */
uint64_t pc_webhooks_next(struct pc_webhooks *hooks, uint64_t now_ms);
/* Returns a signed batch to send now; call pc_webhooks_answer() when the attempt is over. NULL: no batch is due. */
struct pc_webhook_batch *pc_webhooks_take(struct pc_webhooks *hooks, uint64_t now_ms,
                                          uint64_t unix_ms);
/* Reports the result of an attempt. True: the batch is given up, and the caller frees it. */
bool pc_webhooks_answer(struct pc_webhooks *hooks, struct pc_webhook_batch *batch, bool accepted,
                        uint64_t now_ms);
void pc_webhook_batch_free(struct pc_webhooks *hooks, struct pc_webhook_batch *batch);

/* The server stops: all delays end, and every batch gets one more attempt at once. */
void pc_webhooks_stop(struct pc_webhooks *hooks, uint64_t now_ms);
bool pc_webhooks_empty(struct pc_webhooks *hooks);
/* Gives up the events that are left: returns them one batch after the other, with `attempts` 0 if it was never sent;
 * NULL at the end. Call it when every batch taken has been answered; later notices are ignored. Events for which there
 * is no memory count as dropped. */
struct pc_webhook_batch *pc_webhooks_take_rest(struct pc_webhooks *hooks, uint64_t unix_ms);

#endif
