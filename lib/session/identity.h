/* The user of a connection, by the host's answer or by sign-in. Immutable, counted, one
 * allocation. */
#ifndef PC_SESSION_IDENTITY_H
#define PC_SESSION_IDENTITY_H

#include <stdatomic.h>

#include <pusherc/hooks.h>

#include "base/mem.h"
#include "base/slice.h"

#define PC_IDENTITY_MAX_ID 200 /* bytes of a user id */

struct pc_identity {
    _Atomic uint32_t refs;
    struct pc_mem mem;
    pusherc_slice user_id, user_info;
    /* counted: the host's identity below a sign-in, for its data; or NULL */
    struct pc_identity *base;
    void *data;                /* the host's; set once before it is shared */
    pusherc_free_fn free_data; /* called for data with the last reference; NULL = nothing to free */
};

/* Counted for the caller; NULL = out of memory. */
struct pc_identity *pc_identity_new(const struct pc_mem *mem, pusherc_slice user_id,
                                    pusherc_slice user_info);
/* Is this its user, or the host's below a sign-in? False for NULL. */
bool pc_identity_is(const struct pc_identity *identity, pusherc_slice user_id);
void pc_identity_ref(struct pc_identity *identity);   /* NULL is harmless */
void pc_identity_unref(struct pc_identity *identity); /* NULL is harmless; any thread */

/* len 0 = anonymous */
static inline pusherc_slice pc_identity_user_id(const struct pc_identity *identity)
{
    return identity ? identity->user_id : PC_S("");
}

#endif
