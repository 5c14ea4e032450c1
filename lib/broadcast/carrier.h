/*
 * What carries events: a table of functions for each kind. The broadcaster, or failover:, owns a carrier, hands it batches
 * and hears what became of each.
 *
 * All functions but `direct` are called on the loop's thread.
 */
#ifndef PC_BROADCAST_CARRIER_H
#define PC_BROADCAST_CARRIER_H

#include <uv.h>

#include <pusherc/broadcast.h>

#include "base/log.h"
#include "broadcast/batch.h"
#include "broadcast/url.h"

struct pc_carrier;
struct pc_carrier_home;

/* Makes the carrier that a setting names. `nested`: in a failover:, which takes no other. 0 with *out; PUSHERC_EINVAL,
 * PUSHERC_ENOSYS: *why is a static sentence; PUSHERC_ENOMEM. */
typedef int (*pc_carrier_make_fn)(struct pc_carrier **out, struct pc_carrier_home *home,
                                  pusherc_slice setting, bool nested, const char **why);
int pc_carrier_make(struct pc_carrier **out, struct pc_carrier_home *home, pusherc_slice setting,
                    bool nested, const char **why);

struct pc_carrier_kind_ops {
    /* Sends one event on the calling thread, any thread. NULL = it needs the loop. */
    void (*direct)(struct pc_carrier *carrier, const pusherc_event *event,
                   struct pc_broadcast_answer *answer);
    /* Sends a batch, and calls pc_carrier_answer() once, now or later. NULL: `direct` does everything. */
    void (*send)(struct pc_carrier *carrier, struct pc_broadcast_batch *batch);
    /* The broadcaster was woken. NULL = nothing to do. */
    void (*turn)(struct pc_carrier *carrier);
    /* Answers every batch that is under way (AWAY), and closes its handles. True: they are closed; called in each turn
     * until then. NULL = there are none. */
    bool (*ended)(struct pc_carrier *carrier);
    /* It has ended, or the loop was never run. */
    void (*free)(struct pc_carrier *carrier);
};

/* What a carrier works with; it outlives the carrier. */
struct pc_carrier_home {
    uv_loop_t *uv;
    struct pc_mem mem;
    struct pc_log log;
    const char *ca_file; /* NULL = the system's */
    char why[200];       /* why a carrier could not be made, if no static text says it */
    uint32_t timeout_ms, max_under_way;
    bool no_keys;
    pusherc_server *server;
    pusherc_broadcast_driver driver; /* `send` NULL = none */
    void (*wake)(void *ctx); /* makes the broadcaster call `turn`; any thread, until `closed` */
    void *wake_ctx;
    pc_carrier_make_fn make; /* for failover:, which stands below pc_carrier_make() */
};

struct pc_carrier {
    const struct pc_carrier_kind_ops *ops;
    struct pc_carrier_home *home; /* borrowed */
    void (*answered)(void *owner, struct pc_broadcast_batch *batch,
                     const struct pc_broadcast_answer *answer);
    void *owner;
    uint32_t max_events, max_under_way; /* of a request; requests; 0 = as the options say */
};

static inline void pc_carrier_answer(struct pc_carrier *carrier, struct pc_broadcast_batch *batch,
                                     const struct pc_broadcast_answer *answer)
{
    carrier->answered(carrier->owner, batch, answer);
}

/* Sends a batch by `send`, or its events by `direct`. */
void pc_carrier_send(struct pc_carrier *carrier, struct pc_broadcast_batch *batch);

static inline bool pc_carrier_ended(struct pc_carrier *carrier)
{
    return !carrier->ops->ended || carrier->ops->ended(carrier);
}

/* The makers, one for each kind. A maker that keeps the URL takes it over and leaves zeros; it is the caller's
 * otherwise. 0 with *out; PUSHERC_EINVAL, PUSHERC_ENOSYS: *why is a static sentence; PUSHERC_ENOMEM. */
typedef int (*pc_carrier_new_fn)(struct pc_carrier **out, struct pc_carrier_home *home,
                                 struct pc_broadcast_url *url, const char **why);
int pc_carrier_new_local(struct pc_carrier **out, struct pc_carrier_home *home,
                         struct pc_broadcast_url *url, const char **why);
int pc_carrier_new_log(struct pc_carrier **out, struct pc_carrier_home *home,
                       struct pc_broadcast_url *url, const char **why);
int pc_carrier_new_null(struct pc_carrier **out, struct pc_carrier_home *home,
                        struct pc_broadcast_url *url, const char **why);
int pc_carrier_new_host(struct pc_carrier **out, struct pc_carrier_home *home,
                        struct pc_broadcast_url *url, const char **why);
int pc_carrier_new_http(struct pc_carrier **out, struct pc_carrier_home *home,
                        struct pc_broadcast_url *url, const char **why);
int pc_carrier_new_redis(struct pc_carrier **out, struct pc_carrier_home *home,
                         struct pc_broadcast_url *url, const char **why);
int pc_carrier_new_failover(struct pc_carrier **out, struct pc_carrier_home *home,
                            struct pc_broadcast_url *url, const char **why);

#endif
