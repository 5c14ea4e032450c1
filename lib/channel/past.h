/*
 * An event in the history of a channel (channel/history.h): name and data, not a rendered message, because each view of
 * the channel may get another rendering.
 */
#ifndef PC_CHANNEL_PAST_H
#define PC_CHANNEL_PAST_H

#include <stdatomic.h>

#include <pusherc/types.h>

#include "base/mem.h"
#include "base/slice.h"

/* An event that is kept; immutable, but for `next`. One allocation. */
struct pc_past {
    _Atomic uint32_t refs;
    struct pc_mem mem;
    struct pc_past *next; /* counted; NULL until another event is kept, with the shard locked */
    uint64_t number;      /* in its shard */
    uint64_t at_ms;
    pusherc_socket_id except;  /* this client was not sent the event; zero = none */
    pusherc_slice event, data; /* in text */
    char text[];
};

/* Counted for the caller; NULL = out of memory. */
struct pc_past *pc_past_new(const struct pc_mem *mem, pusherc_slice event, pusherc_slice data,
                            pusherc_socket_id except);
struct pc_past *pc_past_ref(struct pc_past *past); /* NULL is harmless */
/* Frees the events of the chain that are counted by nothing else. */
void pc_past_unref(struct pc_past *past); /* NULL is harmless; any thread */
static inline uint64_t pc_past_bytes(const struct pc_past *past)
{
    return sizeof *past + past->event.len + past->data.len;
}

#endif
