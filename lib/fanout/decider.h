/*
 * An optional party that decides about joins beside the engine: a link to other processes that serve the same
 * channels. It may need time before a client joins, and counts the joins of this process. Without one no join waits.
 */
#ifndef PC_FANOUT_DECIDER_H
#define PC_FANOUT_DECIDER_H

#include "channel/app.h"

struct pc_joining;

#define PC_JOIN_WAITS 1

/* Each begin() that did not refuse is followed by one abandon() or left(). All are called on the worker's thread. */
struct pc_decider {
    /* A client wants to join. 0: it may; PC_JOIN_WAITS: pc_join_decide() follows on this thread, not from inside this
     * call; PUSHERC_ELIMIT, PUSHERC_ENOMEM: it may not. NULL = there is no decider. */
    int (*begin)(void *ctx, struct pc_joining *joining);
    /* It does not want to any more; no answer must follow. */
    void (*abandon)(void *ctx, struct pc_joining *joining);
    /* It had joined and has left, or joining failed. The channel's shard may be locked: leaf locks only. user_id len 0:
     * not a presence channel. */
    void (*left)(void *ctx, const struct pc_app *app, pusherc_slice channel, pusherc_slice user_id);
    void *ctx;
};

#endif
