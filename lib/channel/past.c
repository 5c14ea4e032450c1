#include "channel/past.h"

#include "base/pack.h"

struct pc_past *pc_past_new(const struct pc_mem *mem, pusherc_slice event, pusherc_slice data,
                            pusherc_socket_id except)
{
    struct pc_past *past = pc_alloc(mem, sizeof *past + event.len + data.len);
    if (!past)
        return NULL;
    past->mem = *mem;
    past->next = NULL;
    past->number = past->at_ms = 0;
    past->except = except;
    char *at = past->text;
    past->event = pc_pack(&at, event);
    past->data = pc_pack(&at, data);
    atomic_init(&past->refs, 1);
    return past;
}

struct pc_past *pc_past_ref(struct pc_past *past)
{
    if (past)
        atomic_fetch_add_explicit(&past->refs, 1, memory_order_relaxed);
    return past;
}

void pc_past_unref(struct pc_past *past)
{
    while (past && atomic_fetch_sub_explicit(&past->refs, 1, memory_order_acq_rel) == 1) {
        struct pc_mem mem = past->mem;
        struct pc_past *next = past->next;
        pc_free(&mem, past);
        past = next;
    }
}
