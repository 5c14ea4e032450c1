#include "session/identity.h"

#include "base/slice.h"

struct pc_identity *pc_identity_new(const struct pc_mem *mem, pusherc_slice user_id,
                                    pusherc_slice user_info)
{
    struct pc_identity *identity =
        pc_alloc_zero(mem, sizeof *identity + user_id.len + user_info.len);
    if (!identity)
        return NULL;
    char *text = (char *)(identity + 1);
    if (user_id.len)
        memcpy(text, user_id.ptr, user_id.len);
    if (user_info.len)
        memcpy(text + user_id.len, user_info.ptr, user_info.len);
    atomic_init(&identity->refs, 1);
    identity->mem = *mem;
    identity->user_id = pc_slice(text, user_id.len);
    identity->user_info = pc_slice(text + user_id.len, user_info.len);
    return identity;
}

void pc_identity_ref(struct pc_identity *identity)
{
    if (identity)
        atomic_fetch_add_explicit(&identity->refs, 1, memory_order_relaxed);
}

void pc_identity_unref(struct pc_identity *identity)
{
    if (!identity || atomic_fetch_sub_explicit(&identity->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (identity->free_data)
        identity->free_data(identity->data);
    pc_identity_unref(identity->base); /* one level deep: a base has none */
    struct pc_mem mem = identity->mem;
    pc_free(&mem, identity);
}
