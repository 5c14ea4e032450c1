/*
 * The relay: an optional party that takes each publication to other processes that serve the same channels. What comes
 * from there is published with pc_publication.from_elsewhere, and not relayed. Without a relay nothing is copied.
 */
#ifndef PC_FANOUT_RELAY_H
#define PC_FANOUT_RELAY_H

#include "channel/app.h"

struct pc_publication;
struct pc_relayed; /* a publication to one channel; the relay's own */

struct pc_relay {
    /* Called on the publishing thread, without a lock. `through`: the event is kept for all processes, and is delivered
     * here when it comes back (pc_publication.returns), so that all have one order. NULL: out of memory, or the event
     * does not fit into the relay's queue. NULL in place of the function = there is no relay. */
    struct pc_relayed *(*prepare)(void *ctx, const struct pc_app *app, pusherc_slice channel,
                                  const struct pc_publication *publication, bool through);
    /* The channel's shard is locked: leaf locks only. Consumes the event, which is sent in the order of these calls.
     * Returns the workers that the caller has to wake after the unlock, a bit for each. */
    uint64_t (*send)(void *ctx, struct pc_relayed *event);
    /* In place of send(). */
    void (*drop)(void *ctx, struct pc_relayed *event);
    void *ctx;
};

#endif
