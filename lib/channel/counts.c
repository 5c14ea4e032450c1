#include "channel/counts.h"

#include <assert.h>

#include <pusherc/error.h>

struct pc_count {
    struct pc_map_node node;
    uint32_t number; /* 1 or more */
    char key[];
};

void pc_counts_init(struct pc_counts *counts, const struct pc_mem *mem, const uint64_t seed[2])
{
    counts->mem = *mem;
    pthread_mutex_init(&counts->mutex, NULL);
    pc_map_init(&counts->by_key, &counts->mem, seed);
}

void pc_counts_free(struct pc_counts *counts)
{
    pc_map_free(&counts->by_key);
    pthread_mutex_destroy(&counts->mutex);
}

/* Locked. Adds the key with count 0; NULL = out of memory. */
static struct pc_count *add(struct pc_counts *counts, pusherc_slice key)
{
    struct pc_count *count = pc_alloc(&counts->mem, sizeof *count + key.len);
    if (!count)
        return NULL;
    memcpy(count->key, key.ptr, key.len);
    count->node.key = pc_slice(count->key, key.len);
    count->number = 0;
    if (pc_map_insert(&counts->by_key, &count->node)) {
        pc_free(&counts->mem, count);
        return NULL;
    }
    return count;
}

int pc_counts_take(struct pc_counts *counts, pusherc_slice key, uint32_t max, struct pc_count **out)
{
    int err = 0;
    *out = NULL;
    assert(key.len > 0 && key.len <= PC_COUNTS_MAX_KEY && max > 0);
    pthread_mutex_lock(&counts->mutex);
    struct pc_map_node *node = pc_map_find(&counts->by_key, key);
    struct pc_count *count = node ? PC_CONTAINER(node, struct pc_count, node) : add(counts, key);
    if (!count)
        err = PUSHERC_ENOMEM;
    else if (count->number >= max)
        err = PUSHERC_ELIMIT;
    else
        count->number++;
    pthread_mutex_unlock(&counts->mutex);
    if (err == 0)
        *out = count;
    return err;
}

void pc_counts_drop(struct pc_counts *counts, struct pc_count *count)
{
    if (!count)
        return;
    pthread_mutex_lock(&counts->mutex);
    bool last = --count->number == 0;
    if (last)
        pc_map_remove(&counts->by_key, &count->node);
    pthread_mutex_unlock(&counts->mutex);
    if (last)
        pc_free(&counts->mem, count);
}
