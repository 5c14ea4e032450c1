/*
 * An event that a cache channel keeps: name and data, not a rendered message, because each view of the channel may get
 * another rendering.
 */
#ifndef PC_CHANNEL_CACHED_H
#define PC_CHANNEL_CACHED_H

#include <stdatomic.h>

#include "base/mem.h"
#include "base/slice.h"

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
struct pc_cached *pc_cached_ref(struct pc_cached *cached);
void pc_cached_unref(struct pc_cached *cached); /* NULL is harmless; any thread */

#endif
