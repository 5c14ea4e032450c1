/*
 * Notices: what happens in channels, told to one observer outside the engine (webhooks). The observer is called with
 * the channel's shard locked, so the notices of one channel have the order in which things happened. It must only copy
 * the notice and return.
 */
#ifndef PC_FANOUT_NOTICE_H
#define PC_FANOUT_NOTICE_H

#include <stdatomic.h>

#include <pusherc/webhook.h>

#include "channel/app.h"

/* Shared by the copies of a notice that wait for endpoints, and by the party that gave the notice, which learns from it when
 * none waits any more. Counted, on any thread. */
struct pc_acceptance {
    _Atomic uint32_t refs;
    struct pc_mem mem;
};

/* NULL: out of memory. */
static inline struct pc_acceptance *pc_acceptance_new(const struct pc_mem *mem)
{
    struct pc_acceptance *acceptance = pc_alloc(mem, sizeof *acceptance);
    if (acceptance) {
        acceptance->mem = *mem;
        atomic_init(&acceptance->refs, 1);
    }
    return acceptance;
}

static inline struct pc_acceptance *pc_acceptance_ref(struct pc_acceptance *acceptance)
{
    if (acceptance) /* relaxed: the caller has a reference */
        atomic_fetch_add_explicit(&acceptance->refs, 1, memory_order_relaxed);
    return acceptance;
}

static inline void pc_acceptance_unref(struct pc_acceptance *acceptance)
{
    if (!acceptance || atomic_fetch_sub_explicit(&acceptance->refs, 1, memory_order_acq_rel) > 1)
        return;
    struct pc_mem mem = acceptance->mem;
    pc_free(&mem, acceptance);
}

/* The caller's is the only reference. */
static inline bool pc_acceptance_is_done(struct pc_acceptance *acceptance)
{
    return atomic_load_explicit(&acceptance->refs, memory_order_acquire) == 1;
}

struct pc_notice {
    uint32_t kind; /* one PUSHERC_WEBHOOK_* */
    struct pc_app *app;
    struct pc_acceptance *acceptance; /* borrowed; NULL = none is wanted */
    pusherc_slice channel;
    pusherc_slice user_id;       /* members; client events on presence channels; else len 0 */
    pusherc_slice event, data;   /* client events */
    pusherc_socket_id socket_id; /* client events: the sender */
    uint64_t subscription_count; /* subscription counts */
};

struct pc_observer {
    /* True: the caller must call wake() after it has released all locks. Takes leaf locks only. NULL = there is no
     * observer. */
    bool (*note)(void *ctx, const struct pc_notice *notice);
    void (*wake)(void *ctx);
    void *ctx;
};

/* The observer's counters. It writes them under its lock and any thread reads them: relaxed. */
struct pc_webhook_stats {
    _Atomic uint64_t requests;  /* sent, repeated ones included */
    _Atomic uint64_t failures;  /* requests without an answer of 2xx */
    _Atomic uint64_t retries;   /* requests that repeat an earlier one */
    _Atomic uint64_t delivered; /* events that an endpoint has accepted */
    _Atomic uint64_t dropped;   /* events dropped because the queue was full or memory ran out */
    _Atomic uint64_t given_up;  /* events that no endpoint accepted in time */
    _Atomic uint64_t queued;    /* now: events that wait, those under way included */
};

/* True if the observer wants this kind of notice about the app. */
static inline bool pc_noticed(const struct pc_observer *observer, const struct pc_app *app,
                              uint32_t kind)
{
    return observer->note &&
           (atomic_load_explicit(&app->state->notices, memory_order_relaxed) & kind);
}

#endif
