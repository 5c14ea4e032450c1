#include "channel/idempotency.h"

#include "base/pack.h"

struct pc_idempotency_entry {
    struct pc_map_node node; /* the key's bytes are behind the struct, then the answer's */
    struct pc_list in_order;
    uint64_t content, ends_ms;
    size_t answer_len;
    bool running;
};

void pc_idempotency_init(struct pc_idempotency *table, const struct pc_mem *mem,
                         const uint64_t seed[2])
{
    table->mem = *mem;
    pthread_mutex_init(&table->mutex, NULL);
    pc_map_init(&table->by_key, &table->mem, seed);
    pc_list_init(&table->in_order);
    table->bytes = 0;
}

static size_t size_of(size_t key_len, size_t answer_len)
{
    return sizeof(struct pc_idempotency_entry) + key_len + answer_len;
}

static void drop(struct pc_idempotency *table, struct pc_idempotency_entry *entry)
{
    pc_map_remove(&table->by_key, &entry->node);
    pc_list_remove(&entry->in_order);
    table->bytes -= size_of(entry->node.key.len, entry->answer_len);
    pc_free(&table->mem, entry);
}

void pc_idempotency_free(struct pc_idempotency *table)
{
    while (!pc_list_empty(&table->in_order))
        drop(table, PC_CONTAINER(table->in_order.next, struct pc_idempotency_entry, in_order));
    pc_map_free(&table->by_key);
    pthread_mutex_destroy(&table->mutex);
}

/* Removes expired entries, and the oldest ones until the rest fits. Running entries stay; their number is bounded by
 * the threads that publish, times the events of a batch. */
static void make_room(struct pc_idempotency *table, const struct pc_idempotency_limits *limits,
                      uint64_t now_ms)
{
    struct pc_list *next;
    for (struct pc_list *l = table->in_order.next; l != &table->in_order; l = next) {
        struct pc_idempotency_entry *entry = PC_CONTAINER(l, struct pc_idempotency_entry, in_order);
        next = l->next;
        if (table->bytes <= limits->max_bytes && now_ms < entry->ends_ms)
            return;
        if (!entry->running)
            drop(table, entry);
    }
}

static struct pc_idempotency_entry *find(const struct pc_idempotency *table, pusherc_slice key)
{
    struct pc_map_node *node = pc_map_find(&table->by_key, key);
    return node ? PC_CONTAINER(node, struct pc_idempotency_entry, node) : NULL;
}

static pusherc_slice answer_of(const struct pc_idempotency_entry *entry)
{
    return pc_slice(entry->node.key.ptr + entry->node.key.len, entry->answer_len);
}

static struct pc_idempotency_entry *add(struct pc_idempotency *table, pusherc_slice key,
                                        pusherc_slice answer)
{
    size_t size = size_of(key.len, answer.len);
    struct pc_idempotency_entry *entry = pc_alloc_zero(&table->mem, size);
    if (!entry)
        return NULL;
    char *at = (char *)(entry + 1);
    entry->node.key = pc_pack(&at, key);
    entry->answer_len = pc_pack(&at, answer).len;
    if (pc_map_insert(&table->by_key, &entry->node)) {
        pc_free(&table->mem, entry);
        return NULL;
    }
    pc_list_push_back(&table->in_order, &entry->in_order);
    table->bytes += size;
    return entry;
}

static enum pc_idempotency_result begin(struct pc_idempotency *table, pusherc_slice key,
                                        uint64_t content, pusherc_slice answer,
                                        struct pc_buf *stored, struct pc_idempotency_entry **entry)
{
    struct pc_idempotency_entry *known = find(table, key);
    if (known && known->content != content)
        return PC_IDEMPOTENCY_OTHER;
    if (known && known->running)
        return PC_IDEMPOTENCY_RUNNING;
    if (known) {
        pc_buf_put(stored, answer_of(known));
        return pc_buf_status(stored) ? PC_IDEMPOTENCY_NO_MEMORY : PC_IDEMPOTENCY_REPEAT;
    }
    *entry = add(table, key, answer);
    return *entry ? PC_IDEMPOTENCY_FIRST : PC_IDEMPOTENCY_NO_MEMORY;
}

enum pc_idempotency_result
pc_idempotency_begin(struct pc_idempotency *table, const struct pc_idempotency_limits *limits,
                     pusherc_slice key, uint64_t content, pusherc_slice answer, uint64_t now_ms,
                     struct pc_buf *stored, struct pc_idempotency_entry **entry)
{
    *entry = NULL;
    pthread_mutex_lock(&table->mutex);
    make_room(table, limits, now_ms);
    enum pc_idempotency_result result = begin(table, key, content, answer, stored, entry);
    if (*entry) {
        (*entry)->content = content;
        (*entry)->ends_ms = now_ms + limits->keep_ms;
        (*entry)->running = true;
        make_room(table, limits, now_ms); /* the new entry is running, so it stays */
    }
    pthread_mutex_unlock(&table->mutex);
    return result;
}

void pc_idempotency_end(struct pc_idempotency *table, struct pc_idempotency_entry *entry, bool done)
{
    pthread_mutex_lock(&table->mutex);
    entry->running = false;
    if (!done)
        drop(table, entry);
    pthread_mutex_unlock(&table->mutex);
}
