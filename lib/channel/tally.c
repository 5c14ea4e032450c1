#include "channel/tally.h"

#include <assert.h>

#include <pusherc/error.h>

struct pc_count {
    struct pc_map_node node;
    uint32_t number; /* 1 or more */
    char key[];
};

void pc_tally_init(struct pc_tally *tally, const struct pc_mem *mem, const uint64_t seed[2])
{
    tally->mem = *mem;
    pthread_mutex_init(&tally->mutex, NULL);
    pc_map_init(&tally->counts, &tally->mem, seed);
}

void pc_tally_free(struct pc_tally *tally)
{
    pc_map_free(&tally->counts);
    pthread_mutex_destroy(&tally->mutex);
}

/* Locked. Counts nothing yet. */
static struct pc_count *add(struct pc_tally *tally, pusherc_slice key)
{
    struct pc_count *count = pc_alloc(&tally->mem, sizeof *count + key.len);
    if (!count)
        return NULL;
    memcpy(count->key, key.ptr, key.len);
    count->node.key = pc_slice(count->key, key.len);
    count->number = 0;
    if (pc_map_insert(&tally->counts, &count->node)) {
        pc_free(&tally->mem, count);
        return NULL;
    }
    return count;
}

int pc_tally_take(struct pc_tally *tally, pusherc_slice key, uint32_t max, struct pc_count **out)
{
    int rc = 0;
    *out = NULL;
    assert(key.len > 0 && key.len <= PC_TALLY_MAX_KEY && max > 0);
    pthread_mutex_lock(&tally->mutex);
    struct pc_map_node *node = pc_map_find(&tally->counts, key);
    struct pc_count *count = node ? PC_CONTAINER(node, struct pc_count, node) : add(tally, key);
    if (!count)
        rc = PUSHERC_ENOMEM;
    else if (count->number >= max)
        rc = PUSHERC_ELIMIT;
    else
        count->number++;
    pthread_mutex_unlock(&tally->mutex);
    if (rc == 0)
        *out = count;
    return rc;
}

void pc_tally_drop(struct pc_tally *tally, struct pc_count *count)
{
    if (!count)
        return;
    pthread_mutex_lock(&tally->mutex);
    bool last = --count->number == 0;
    if (last)
        pc_map_remove(&tally->counts, &count->node);
    pthread_mutex_unlock(&tally->mutex);
    if (last)
        pc_free(&tally->mem, count);
}
