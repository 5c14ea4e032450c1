/*
 * The last event of a cache channel, kept until its time is over, also while nobody subscribes. It is raw, not
 * a message: each audience may get its own rendering of it. All kept events together have a maximum; what was
 * published longest ago goes first.
 */
#ifndef PC_CHANNEL_CACHED_H
#define PC_CHANNEL_CACHED_H

#include "channel/directory.h"

/* Immutable, counted, one allocation. */
struct pc_cached {
    _Atomic uint32_t refs;
    struct pc_mem mem;
    uint64_t until_ms;
    pusherc_slice event, data; /* in text */
    char text[];
};

/* Counted for the caller; NULL = out of memory. */
struct pc_cached *pc_cached_new(const struct pc_mem *mem, pusherc_slice event, pusherc_slice data,
                                uint64_t until_ms);
void pc_cached_unref(struct pc_cached *cached); /* NULL is harmless; any thread */

/* Locked. The channel keeps this instead of what it kept; counts it. May free other channels that nobody uses. */
void pc_channel_keep(struct pc_directory *dir, struct pc_channel *channel, struct pc_cached *cached,
                     uint64_t now_ms);
/* Locked. What the channel keeps, counted for the caller; NULL = nothing, or its time is over. */
struct pc_cached *pc_channel_cached(const struct pc_channel *channel, uint64_t now_ms);

#endif
