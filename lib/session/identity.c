#include "session/identity.h"

#include "base/pack.h"

struct pc_identity *pc_identity_new(const struct pc_mem *mem, pusherc_slice user_id,
                                    pusherc_slice user_info)
{
    struct pc_identity *identity =
        pc_alloc_zero(mem, sizeof *identity + user_id.len + user_info.len);
    if (!identity)
        return NULL;
    char *at = (char *)(identity + 1);
    atomic_init(&identity->refs, 1);
    identity->mem = *mem;
    identity->user_id = pc_pack(&at, user_id);
    identity->user_info = pc_pack(&at, user_info);
    return identity;
}

bool pc_identity_is(const struct pc_identity *identity, pusherc_slice user_id)
{
    return identity && (pc_slice_eq(identity->user_id, user_id) ||
                        (identity->base && pc_slice_eq(identity->base->user_id, user_id)));
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
