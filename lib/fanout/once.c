#include "fanout/once.h"

#include "base/pack.h"

struct pc_once_key *pc_once_key_new(const struct pc_mem *mem, pusherc_slice app_id,
                                    pusherc_slice key)
{
    struct pc_once_key *k = pc_alloc_zero(mem, sizeof *k + app_id.len + key.len);
    if (!k)
        return NULL;
    char *at = (char *)(k + 1);
    pc_list_init(&k->in_order);
    k->mem = *mem;
    k->app_id = pc_pack(&at, app_id);
    k->key = pc_pack(&at, key);
    pc_buf_init(&k->answer, &k->mem, SIZE_MAX);
    return k;
}

void pc_once_key_free(struct pc_once_key *key)
{
    struct pc_mem mem = key->mem;
    pc_list_remove(&key->in_order);
    pc_buf_free(&key->answer);
    pc_free(&mem, key);
}

void pc_once_keys_free(struct pc_once *once)
{
    PC_LIST_EACH_SAFE(l, next, &once->keys) {
        struct pc_once_key *key = PC_CONTAINER(l, struct pc_once_key, in_order);
        if (key->result == PC_ONCE_FIRST)
            once->party->end(once->party->ctx, key, false);
        else
            pc_once_key_free(key);
    }
}
