/*
 * What to send to which endpoint, and when: filters, delays and what takes a removal back, batches and their
 * signatures, the clock of retries. No socket and no clock of its own: webhook/sender.c brings both.
 *
 * There is a queue for each endpoint that has something to be told, and no other way from an event to a request:
 * what is noted about an app goes into the queues of that app's own endpoints, and a batch is made of one queue.
 * A queue has one batch under way at a time, so an endpoint hears everything in order.
 *
 * pc_webhooks_note() may come from any thread, the rest from one.
 */
#ifndef PC_WEBHOOK_QUEUE_H
#define PC_WEBHOOK_QUEUE_H

#include <pthread.h>

#include "base/timer.h"
#include "channel/app.h"
#include "webhook/event.h"

#define PC_WEBHOOK_FIRST_RETRY_MS 1000
#define PC_WEBHOOK_LAST_RETRY_MS  60000
/* SDKs refuse what is older than five minutes. */
#define PC_WEBHOOK_FRESH_MS 240000
/* A batch takes no further event from here on: web frameworks refuse bodies above 100 KB and more. */
#define PC_WEBHOOK_BODY_BYTES 65536
/* Of one endpoint, beside the number of its events: client events may be large. */
#define PC_WEBHOOK_QUEUE_BYTES (64u << 20)

struct pc_webhook_settings {
    uint32_t batch_ms, batch_events; /* 0 and 1: each event by itself */
    uint32_t delay_ms;               /* of removals */
    uint32_t retry_ms;               /* from the first request to the last */
    uint32_t max_queued;             /* events of one endpoint */
};

struct pc_webhook_queue;

/* One request, until it was accepted or given up. */
struct pc_webhook_batch {
    struct pc_webhook_queue *queue;
    struct pc_endpoints *endpoints; /* counted: what signs it, and whose app it is */
    const struct pc_endpoint *endpoint;
    pusherc_slice body; /* in `text` */
    char signature[PC_SHA256_HEX];
    uint32_t event_count, attempts;
    uint64_t first_ms;  /* of the first attempt */
    uint64_t made_ms;   /* when its time_ms was set */
    uint64_t due_ms;    /* of the next attempt */
    uint16_t status;    /* the caller's: what the last attempt was answered with, 0 = not at all */
    char reason[160];   /* the same in words, or why there was no answer */
    bool last_chance;   /* the attempt under way began while stopping */
    size_t event_bytes; /* of `events` */
    struct pc_list events; /* until `text` is made of them */
    struct pc_buf text;    /* room for the time, then the events as JSON */
};

struct pc_webhooks {
    const struct pc_mem *mem; /* borrowed */
    struct pc_webhook_settings settings;
    struct pc_webhook_stats *stats; /* borrowed */
    uint64_t seed[2];               /* of tables */
    pthread_mutex_t mutex;          /* guards what follows; leaf lock, taken under a shard's */
    uint64_t random;
    uint64_t now_ms;      /* never goes back: threads may bring their times in another order */
    uint64_t expected_ms; /* the caller of pc_webhooks_next() looks here again by then */
    bool stopping, closed;
    struct pc_list queues;
    struct pc_list runnable; /* have something that may be sent now */
    struct pc_timers timers;
};

/* 0 or PUSHERC_ENOMEM. `seed` are four random words. */
PC_CHECKED int pc_webhooks_new(struct pc_webhooks **out, const struct pc_mem *mem,
                               const struct pc_webhook_settings *settings,
                               struct pc_webhook_stats *stats, const uint64_t seed[4],
                               uint64_t now_ms);
void pc_webhooks_free(struct pc_webhooks *hooks); /* after the last batch; NULL is harmless */

/* Takes note for the endpoints that want it. True: something is due before the time that pc_webhooks_next() told. */
bool pc_webhooks_note(struct pc_webhooks *hooks, const struct pc_notice *notice, uint64_t now_ms);

/* Milliseconds until pc_webhooks_take() may have something; UINT64_MAX = only after a note. */
uint64_t pc_webhooks_next(struct pc_webhooks *hooks, uint64_t now_ms);
/* A batch to be sent now, signed, with pc_webhooks_answer() to follow; NULL if there is none. */
struct pc_webhook_batch *pc_webhooks_take(struct pc_webhooks *hooks, uint64_t now_ms,
                                          uint64_t unix_ms);
/* What became of it. True: it was given up, and the caller frees it. */
bool pc_webhooks_answer(struct pc_webhooks *hooks, struct pc_webhook_batch *batch, bool accepted,
                        uint64_t now_ms);
void pc_webhook_batch_free(struct pc_webhooks *hooks, struct pc_webhook_batch *batch);

/* The server stops: nothing waits for its time any more, and everything gets one more attempt. */
void pc_webhooks_stop(struct pc_webhooks *hooks, uint64_t now_ms);
bool pc_webhooks_empty(struct pc_webhooks *hooks);
/* Nothing is noted any more. Gives up what is left, one batch after the other, those that were never sent with
 * attempts 0; all that were taken have been answered. NULL: that was all. What there is no memory for counts as
 * dropped. */
struct pc_webhook_batch *pc_webhooks_take_rest(struct pc_webhooks *hooks, uint64_t unix_ms);

#endif
