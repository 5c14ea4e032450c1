/* What was asked of Redis and is not answered yet, in order. It grows up to a limit. */
#ifndef PC_BROKER_ASKED_H
#define PC_BROKER_ASKED_H

#include <pusherc/error.h>

#include "base/mem.h"

#define PC_ASKED_MAX 65536 /* a power of 2 */

enum pc_asked_kind {
    PC_ASKED_STEP,
    PC_ASKED_PUBLICATION,
    PC_ASKED_WHO,  /* which process has the data */
    PC_ASKED_PROBE /* a publication to the link itself */
};

struct pc_asked {
    uint8_t kind; /* enum pc_asked_kind */
    uint8_t step;
    uint16_t partition;
    uint32_t session; /* the end of its number */
};

/* A ring: `count` from `first` on. */
struct pc_asked_list {
    const struct pc_mem *mem;
    struct pc_asked *ring; /* owned */
    size_t first, count, cap;
};

static inline void pc_asked_init(struct pc_asked_list *list, const struct pc_mem *mem)
{
    *list = (struct pc_asked_list){.mem = mem};
}

static inline void pc_asked_free(struct pc_asked_list *list)
{
    pc_free(list->mem, list->ring);
    pc_asked_init(list, list->mem);
}

/* Makes room for one more. 0, PUSHERC_EBACKLOG, PUSHERC_ENOMEM. */
PC_CHECKED static inline int pc_asked_reserve(struct pc_asked_list *list)
{
    if (list->count < list->cap)
        return 0;
    if (list->cap == PC_ASKED_MAX)
        return PUSHERC_EBACKLOG;
    size_t cap = list->cap ? 2 * list->cap : 256;
    struct pc_asked *ring = pc_alloc_array(list->mem, cap, sizeof *ring);
    if (!ring)
        return PUSHERC_ENOMEM;
    for (size_t i = 0; i < list->count; i++)
        ring[i] = list->ring[(list->first + i) & (list->cap - 1)];
    pc_free(list->mem, list->ring);
    list->ring = ring;
    list->first = 0;
    list->cap = cap;
    return 0;
}

/* There is room. */
static inline void pc_asked_push(struct pc_asked_list *list, struct pc_asked asked)
{
    list->ring[(list->first + list->count++) & (list->cap - 1)] = asked;
}

/* False: nothing was asked. */
static inline bool pc_asked_take(struct pc_asked_list *list, struct pc_asked *out)
{
    if (list->count == 0)
        return false;
    *out = list->ring[list->first];
    list->first = (list->first + 1) & (list->cap - 1);
    list->count--;
    return true;
}

#endif
