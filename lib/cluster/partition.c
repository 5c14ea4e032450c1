#include "cluster/partition.h"

#include <pusherc/error.h>

#include "base/pack.h"

void pc_partition_init(struct pc_partition *p, const struct pc_mem *mem, const uint64_t seed[2])
{
    *p = (struct pc_partition){.mem = *mem};
    memcpy(p->seed, seed, sizeof p->seed);
    pc_map_init(&p->incarnations, &p->mem, seed);
    pc_map_init(&p->channels, &p->mem, seed);
    pc_map_init(&p->kept, &p->mem, seed);
    pc_map_init(&p->once, &p->mem, seed);
    pc_list_init(&p->by_name);
    pc_list_init(&p->by_number);
    pc_list_init(&p->edges);
    pc_list_init(&p->kept_by_look);
    pc_list_init(&p->once_by_look);
    pc_list_init(&p->orders);
}

static void incarnation_free(struct pc_partition *p, struct pc_incarnation *inc)
{
    PC_LIST_EACH_SAFE(l, next, &inc->held_in_order) {
        struct pc_held *held = PC_CONTAINER(l, struct pc_held, in_order);
        struct pc_entry *entry = held->entry;
        struct pc_occupied *channel = entry->channel;
        pc_held_free(p, inc, held);
        entry->holders--;
        pc_entry_settle(p, entry);
        pc_occupied_settle(p, channel);
    }
    PC_LIST_EACH_SAFE(l, next, &inc->counted_in_order) {
        struct pc_counted *counted = PC_CONTAINER(l, struct pc_counted, in_order);
        struct pc_occupied *channel = counted->channel;
        channel->total -= counted->count;
        counted->count = 0;
        pc_counted_settle(p, inc, counted);
        pc_occupied_settle(p, channel);
    }
    pc_map_remove(&p->incarnations, &inc->node);
    pc_list_remove(&inc->by_name);
    pc_map_free(&inc->held);
    pc_map_free(&inc->counted);
    pc_free(&p->mem, inc);
}

void pc_partition_free(struct pc_partition *p)
{
    PC_LIST_EACH_SAFE(l, next, &p->by_name) {
        incarnation_free(p, PC_CONTAINER(l, struct pc_incarnation, by_name));
    }
    while (!pc_list_empty(&p->edges))
        pc_edge_free(p, PC_CONTAINER(p->edges.next, struct pc_edge, in_order));
    pc_map_free(&p->incarnations);
    pc_map_free(&p->channels);
    pc_map_free(&p->kept);
    pc_map_free(&p->once);
    pc_free(&p->mem, p->epoch);
    pc_free(&p->mem, p->run);
    pc_free(&p->mem, p->teller);
}

bool pc_partition_is_epoch(const struct pc_partition *p, pusherc_slice epoch)
{
    return p->epoch && pc_slice_eq(pc_slice_of(p->epoch), epoch);
}

/* -- incarnations -- */

struct pc_incarnation *pc_incarnation_find(const struct pc_partition *p, pusherc_slice name)
{
    struct pc_map_node *node = pc_map_find(&p->incarnations, name);
    return node ? PC_CONTAINER(node, struct pc_incarnation, node) : NULL;
}

static bool is_before(pusherc_slice a, pusherc_slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len ? memcmp(a.ptr, b.ptr, len) : 0;
    return order ? order < 0 : a.len < b.len;
}

static void insert_by_name(struct pc_partition *p, struct pc_incarnation *inc)
{
    struct pc_list *at = p->by_name.next;
    while (at != &p->by_name &&
           is_before(PC_CONTAINER(at, struct pc_incarnation, by_name)->node.key, inc->node.key))
        at = at->next;
    pc_list_push_back(at, &inc->by_name); /* in front of that one */
}

struct pc_incarnation *pc_incarnation_get(struct pc_partition *p, pusherc_slice name)
{
    struct pc_incarnation *inc = pc_incarnation_find(p, name);
    if (inc)
        return inc;
    inc = pc_alloc_zero(&p->mem, sizeof *inc + name.len);
    if (!inc)
        return NULL;
    char *at = (char *)(inc + 1);
    inc->node.key = pc_pack(&at, name);
    if (pc_map_insert(&p->incarnations, &inc->node)) {
        pc_free(&p->mem, inc);
        return NULL;
    }
    pc_map_init(&inc->held, &p->mem, p->seed);
    pc_map_init(&inc->counted, &p->mem, p->seed);
    pc_list_init(&inc->held_in_order);
    pc_list_init(&inc->counted_in_order);
    insert_by_name(p, inc);
    return inc;
}

void pc_incarnation_settle(struct pc_partition *p, struct pc_incarnation *inc)
{
    if (!inc->alive && !inc->dying)
        incarnation_free(p, inc);
}

/* -- channels -- */

struct pc_occupied *pc_occupied_find(const struct pc_partition *p, pusherc_slice channel)
{
    struct pc_map_node *node = pc_map_find(&p->channels, channel);
    return node ? PC_CONTAINER(node, struct pc_occupied, node) : NULL;
}

struct pc_occupied *pc_occupied_get(struct pc_partition *p, pusherc_slice channel)
{
    struct pc_occupied *listed = pc_occupied_find(p, channel);
    if (listed)
        return listed;
    listed = pc_alloc_zero(&p->mem, sizeof *listed + channel.len);
    if (!listed)
        return NULL;
    char *at = (char *)(listed + 1);
    listed->node.key = pc_pack(&at, channel);
    if (pc_map_insert(&p->channels, &listed->node)) {
        pc_free(&p->mem, listed);
        return NULL;
    }
    pc_map_init(&listed->members, &p->mem, p->seed);
    pc_list_init(&listed->members_in_order);
    listed->number = ++p->number;
    pc_list_push_back(&p->by_number, &listed->by_number);
    return listed;
}

int pc_occupied_set_index(struct pc_partition *p, struct pc_occupied *channel, pusherc_slice index)
{
    if (!channel->index)
        channel->index = pc_dup(&p->mem, index);
    return channel->index ? 0 : PUSHERC_ENOMEM;
}

void pc_occupied_settle(struct pc_partition *p, struct pc_occupied *listed)
{
    if (listed->total || listed->members.count)
        return;
    pc_map_remove(&p->channels, &listed->node);
    pc_list_remove(&listed->by_number);
    pc_map_free(&listed->members);
    pc_free(&p->mem, listed->index);
    pc_free(&p->mem, listed);
}

/* -- members -- */

struct pc_entry *pc_entry_find(const struct pc_occupied *channel, pusherc_slice user)
{
    struct pc_map_node *node = pc_map_find(&channel->members, user);
    return node ? PC_CONTAINER(node, struct pc_entry, node) : NULL;
}

struct pc_entry *pc_entry_get(struct pc_partition *p, struct pc_occupied *channel,
                              pusherc_slice user, pusherc_slice info)
{
    struct pc_entry *entry = pc_entry_find(channel, user);
    if (entry)
        return entry;
    entry = pc_alloc_zero(&p->mem, sizeof *entry + user.len + info.len);
    if (!entry)
        return NULL;
    char *at = (char *)(entry + 1);
    entry->node.key = pc_pack(&at, user);
    entry->info = pc_pack(&at, info);
    entry->channel = channel;
    if (pc_map_insert(&channel->members, &entry->node)) {
        pc_free(&p->mem, entry);
        return NULL;
    }
    pc_list_push_back(&channel->members_in_order, &entry->in_order);
    return entry;
}

void pc_entry_settle(struct pc_partition *p, struct pc_entry *entry)
{
    if (entry->holders)
        return;
    pc_map_remove(&entry->channel->members, &entry->node);
    pc_list_remove(&entry->in_order);
    pc_free(&p->mem, entry);
}

/* -- what an incarnation has. The keys are the addresses of what it has: these stay as long as it has them -- */

struct pc_held *pc_held_find(const struct pc_incarnation *inc, const struct pc_entry *entry)
{
    struct pc_map_node *node =
        entry ? pc_map_find(&inc->held, pc_slice((const char *)&entry, sizeof entry)) : NULL;
    return node ? PC_CONTAINER(node, struct pc_held, node) : NULL;
}

struct pc_held *pc_held_new(struct pc_partition *p, struct pc_incarnation *inc,
                            struct pc_entry *entry)
{
    struct pc_held *held = pc_alloc(&p->mem, sizeof *held);
    if (!held)
        return NULL;
    held->entry = entry;
    held->node.key = pc_slice((const char *)&held->entry, sizeof held->entry);
    if (pc_map_insert(&inc->held, &held->node)) {
        pc_free(&p->mem, held);
        return NULL;
    }
    pc_list_push_back(&inc->held_in_order, &held->in_order);
    return held;
}

void pc_held_free(struct pc_partition *p, struct pc_incarnation *inc, struct pc_held *held)
{
    pc_map_remove(&inc->held, &held->node);
    pc_list_remove(&held->in_order);
    pc_free(&p->mem, held);
}

struct pc_counted *pc_counted_find(const struct pc_incarnation *inc,
                                   const struct pc_occupied *channel)
{
    struct pc_map_node *node =
        channel ? pc_map_find(&inc->counted, pc_slice((const char *)&channel, sizeof channel))
                : NULL;
    return node ? PC_CONTAINER(node, struct pc_counted, node) : NULL;
}

struct pc_counted *pc_counted_get(struct pc_partition *p, struct pc_incarnation *inc,
                                  struct pc_occupied *channel)
{
    struct pc_counted *counted = pc_counted_find(inc, channel);
    if (counted)
        return counted;
    counted = pc_alloc_zero(&p->mem, sizeof *counted);
    if (!counted)
        return NULL;
    counted->channel = channel;
    counted->node.key = pc_slice((const char *)&counted->channel, sizeof counted->channel);
    if (pc_map_insert(&inc->counted, &counted->node)) {
        pc_free(&p->mem, counted);
        return NULL;
    }
    pc_list_push_back(&inc->counted_in_order, &counted->in_order);
    return counted;
}

void pc_counted_settle(struct pc_partition *p, struct pc_incarnation *inc,
                       struct pc_counted *counted)
{
    if (counted->count)
        return;
    pc_map_remove(&inc->counted, &counted->node);
    pc_list_remove(&counted->in_order);
    pc_free(&p->mem, counted);
}

/* -- edges -- */

struct pc_log_id pc_log_id_next(struct pc_log_id last, uint64_t now_ms)
{
    if (now_ms > last.at_ms)
        return (struct pc_log_id){now_ms, 0};
    return (struct pc_log_id){last.at_ms, last.nth + 1};
}

void pc_log_id_put(struct pc_values *values, struct pc_log_id id)
{
    size_t begin = values->bytes.len;
    pc_buf_put_u64(&values->bytes, id.at_ms);
    pc_buf_put_char(&values->bytes, '-');
    pc_buf_put_u64(&values->bytes, id.nth);
    pc_values_end(values, begin);
}

bool pc_log_id_parse(pusherc_slice text, struct pc_log_id *out)
{
    size_t dash = pc_slice_find(text, '-');
    return dash < text.len && pc_slice_to_u64(pc_slice_first(text, dash), &out->at_ms) &&
           pc_slice_to_u64(pc_slice_skip(text, dash + 1), &out->nth);
}

struct pc_edge *pc_edge_new(struct pc_partition *p, pusherc_slice channel, pusherc_slice user)
{
    struct pc_edge *edge = pc_alloc(&p->mem, sizeof *edge + channel.len + user.len);
    if (!edge)
        return NULL;
    char *at = (char *)(edge + 1);
    edge->channel = pc_pack(&at, channel);
    edge->user = pc_pack(&at, user);
    edge->kind = "";
    pc_list_init(&edge->in_order);
    return edge;
}

void pc_edge_set_total(struct pc_edge *edge, uint64_t total)
{
    char *digits = (char *)(edge + 1) + edge->channel.len;
    edge->user = pc_slice(digits, pc_format_u64(total, digits));
}

/* A limit is counted as a channel is (seats.h), and is none. */
static bool is_limit(pusherc_slice key)
{
    size_t slash = pc_slice_find(key, '/');
    return pc_slice_starts(pc_slice_skip(key, slash), PC_S("/#"));
}

void pc_edge_push(struct pc_partition *p, struct pc_edge *edge, uint64_t now_ms, const char *kind)
{
    if (is_limit(edge->channel)) {
        pc_edge_free(p, edge);
        return;
    }
    p->edge_id = pc_log_id_next(p->edge_id, now_ms);
    edge->id = p->edge_id;
    edge->kind = kind;
    pc_list_push_back(&p->edges, &edge->in_order);
    if (++p->edge_count > PC_MAX_EDGES)
        pc_edge_free(p, PC_CONTAINER(p->edges.next, struct pc_edge, in_order));
}

void pc_edge_free(struct pc_partition *p, struct pc_edge *edge)
{
    if (!edge)
        return;
    p->edge_count -= !pc_list_empty(&edge->in_order);
    pc_list_remove(&edge->in_order);
    pc_free(&p->mem, edge);
}
