/*
 * What has happened lately, for the inspector: events with the way they came, refusals, events whose channel has no
 * subscriber but a name like one that has, and webhook requests that failed. The last PC_HAPPENED_KEPT of each kind are
 * kept, as copies whose texts are cut; payloads are not among them.
 *
 * A worker notes events in a ring of its own, so that workers do not wait for each other; all other threads share one
 * ring, and so do all workers for what is rare. A reader copies one ring after another and sorts. Built with
 * -Dinspector=enabled, the default; without it pc_happened_new() returns PUSHERC_ENOSYS. Any thread.
 */
#ifndef PC_INSPECT_HAPPENED_H
#define PC_INSPECT_HAPPENED_H

#include <stdint.h>

#include <pusherc/error.h>
#include <pusherc/types.h>

#include "base/mem.h"

#define PC_HAPPENED_KEPT 100

enum pc_happened_kind {
    PC_HAPPENED_EVENT = 0,
    PC_HAPPENED_DENIAL,
    PC_HAPPENED_NEAR_MISS,
    PC_HAPPENED_WEBHOOK /* a request that failed */
};
#define PC_HAPPENED_KINDS 4

/* How an event came. */
enum pc_way {
    PC_WAY_HOST = 0,
    PC_WAY_HTTP_API,
    PC_WAY_CLIENT,
    PC_WAY_ELSEWHERE,
    PC_WAY_INSPECTOR,
    PC_WAY_LARAVEL_REDIS
};
#define PC_WAY_MAP(X)                                                                              \
    X(HOST, "host")                                                                                \
    X(HTTP_API, "http_api")                                                                        \
    X(CLIENT, "client")                                                                            \
    X(ELSEWHERE, "other_node")                                                                     \
    X(INSPECTOR, "inspector")                                                                      \
    X(LARAVEL_REDIS, "laravel_redis")

struct pc_happening {
    enum pc_happened_kind kind;
    enum pc_way way;   /* of an event */
    bool matched;      /* an event: its channel has a subscriber in this process */
    int status;        /* the status or close code that a client or publisher got; of a webhook */
    uint32_t attempts; /* of a webhook request */
    uint64_t count;    /* bytes of an event's data; events of a webhook request */
    pusherc_socket_id socket_id; /* of the client that was refused; zero = none */
    pusherc_slice app_id, channel;
    pusherc_slice name;   /* of the event; the reason of a refusal; the host of a webhook */
    pusherc_slice detail; /* a sentence; the names like the channel's */
    uint64_t number;      /* set when it is noted: in that order */
    uint64_t unix_ms;     /* set when it is noted */
};

struct pc_happened;
typedef void (*pc_happened_fn)(const struct pc_happening *what, void *ctx);

#define PC_HAPPENED_OTHER_THREAD UINT32_MAX /* in place of a worker's index */

#ifdef PC_WITH_INSPECTOR

#    define PC_HAS_INSPECTOR true

/* 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_happened_new(struct pc_happened **out, const struct pc_mem *mem,
                               uint32_t worker_count);
void pc_happened_free(struct pc_happened *happened); /* NULL is harmless */
/* `worker`: the index of the worker whose thread this is. Allocates nothing. */
void pc_happened_note(struct pc_happened *happened, uint32_t worker,
                      const struct pc_happening *what);
/* Visits the latest of one kind, the last one first, without a lock. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_happened_latest(struct pc_happened *happened, enum pc_happened_kind kind,
                                  pc_happened_fn visit, void *ctx);

#else

#    define PC_HAS_INSPECTOR false

static inline int pc_happened_new(struct pc_happened **out, const struct pc_mem *mem,
                                  uint32_t worker_count)
{
    (void)mem, (void)worker_count;
    *out = NULL;
    return PUSHERC_ENOSYS;
}

static inline void pc_happened_free(struct pc_happened *happened)
{
    (void)happened;
}

static inline void pc_happened_note(struct pc_happened *happened, uint32_t worker,
                                    const struct pc_happening *what)
{
    (void)happened, (void)worker, (void)what;
}

#endif

#endif
