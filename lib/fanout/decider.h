/*
 * The decider: an optional party that decides about joins, such as a link to other processes that serve the same
 * channels. It may need time before a client joins, and counts the joins of this process. Without a decider no join
 * waits. To watch a user (watch.h) is a join of the user's channel, without a user_id.
 */
#ifndef PC_FANOUT_DECIDER_H
#define PC_FANOUT_DECIDER_H

#include "channel/app.h"

struct pc_channel;
struct pc_joining;

#define PC_JOIN_WAITS 1

/* Each begin() and came() that did not refuse is followed by one abandon() or left(). All are called on the worker's
 * thread. */
struct pc_decider {
    /* A client wants to join. 0: it may; PC_JOIN_WAITS: the decider will call pc_join_decide() on this thread, not from
     * inside this call; PUSHERC_ELIMIT, PUSHERC_ENOMEM: it may not. NULL = there is no decider. */
    int (*begin)(void *ctx, struct pc_joining *joining);
    /* The join has ended before the decision; the decider must not answer any more. */
    void (*abandon)(void *ctx, struct pc_joining *joining);
    /* A client that joined has left, or joining failed. The channel's shard may be locked: leaf locks only. user_id
     * len 0: not a presence channel. Returns the workers that the caller has to wake after the unlock, a bit for each. */
    uint64_t (*left)(void *ctx, const struct pc_app *app, pusherc_slice channel,
                     pusherc_slice user_id);
    /* A user has connections here that are signed in, until left() with the user's channel and id. From then on the
     * decider says when the user is offline: pc_user_elsewhere(). The channel's shard is locked. 0 or PUSHERC_ENOMEM.
     * `wake` gets the workers to wake, a bit for each. */
    int (*came)(void *ctx, struct pc_app *app, struct pc_channel *channel, pusherc_slice user_id,
                uint64_t *wake);
    void *ctx;
};

static inline uint64_t pc_decider_left(const struct pc_decider *decider, const struct pc_app *app,
                                       pusherc_slice channel, pusherc_slice user_id)
{
    return decider->begin ? decider->left(decider->ctx, app, channel, user_id) : 0;
}

#endif
