#include "channel/cached.h"

#include "base/pack.h"

struct pc_cached *pc_cached_new(const struct pc_mem *mem, pusherc_slice event, pusherc_slice data,
                                uint64_t until_ms)
{
    struct pc_cached *cached = pc_alloc(mem, sizeof *cached + event.len + data.len);
    if (!cached)
        return NULL;
    cached->mem = *mem;
    cached->until_ms = until_ms;
    char *at = cached->text;
    cached->event = pc_pack(&at, event);
    cached->data = pc_pack(&at, data);
    atomic_init(&cached->refs, 1);
    return cached;
}

struct pc_cached *pc_cached_ref(struct pc_cached *cached)
{
    atomic_fetch_add_explicit(&cached->refs, 1, memory_order_relaxed);
    return cached;
}

void pc_cached_unref(struct pc_cached *cached)
{
    if (!cached || atomic_fetch_sub_explicit(&cached->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct pc_mem mem = cached->mem;
    pc_free(&mem, cached);
}
