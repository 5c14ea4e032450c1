#include "session/index.h"

#include "session/grant.h"

#define KINDS 2 /* of enum pc_indexed */

struct entry {
    struct pc_map_node node; /* key: the channel's name in the object */
    struct pc_list *link;
};

struct pc_session_index {
    struct pc_map tables[KINDS]; /* count 0 = the list is short */
};

static struct pc_list *list_of(struct pc_session *s, enum pc_indexed what)
{
    return what == PC_INDEXED_GRANT ? &s->grants : &s->subscriptions;
}

static pusherc_slice channel_of(const struct pc_list *link, enum pc_indexed what)
{
    return what == PC_INDEXED_GRANT
               ? pc_grant_channel(PC_CONTAINER(link, struct pc_grant, of_session))
               : pc_subscription_channel(PC_CONTAINER(link, struct pc_subscription, of_session));
}

/* NULL: the list has none. */
static struct pc_map *table_of(const struct pc_session *s, enum pc_indexed what)
{
    return s->index && s->index->tables[what].count ? &s->index->tables[what] : NULL;
}

static bool is_long(const struct pc_list *list)
{
    size_t n = 0;
    PC_LIST_EACH(l, list)
        if (++n > PC_WALKED)
            return true;
    return false;
}

static void entry_free(struct pc_map_node *node, void *ctx)
{
    pc_free(ctx, PC_CONTAINER(node, struct entry, node));
}

static void table_free(struct pc_session *s, enum pc_indexed what)
{
    struct pc_map *table = &s->index->tables[what];
    pc_map_each(table, entry_free, (void *)s->worker->mem);
    pc_map_free(table);
}

/* Gives the table back, and the index with its last one. */
static void drop(struct pc_session *s, enum pc_indexed what)
{
    table_free(s, what);
    for (int i = 0; i < KINDS; i++)
        if (s->index->tables[i].count)
            return;
    pc_free(s->worker->mem, s->index);
    s->index = NULL;
}

/* False: out of memory. */
static bool put(struct pc_session *s, enum pc_indexed what, struct pc_list *link)
{
    struct entry *entry = pc_alloc(s->worker->mem, sizeof *entry);
    if (!entry)
        return false;
    entry->link = link;
    entry->node.key = channel_of(link, what);
    if (pc_map_insert(&s->index->tables[what], &entry->node) == 0)
        return true;
    pc_free(s->worker->mem, entry);
    return false;
}

/* Makes the table of a list that has become long. */
static void build(struct pc_session *s, enum pc_indexed what)
{
    const struct pc_mem *mem = s->worker->mem;
    if (!s->index) {
        s->index = pc_alloc(mem, sizeof *s->index);
        for (int i = 0; s->index && i < KINDS; i++)
            pc_map_init(&s->index->tables[i], mem, s->worker->engine->seed);
    }
    bool complete = s->index != NULL;
    for (struct pc_list *l = list_of(s, what)->next; complete && l != list_of(s, what); l = l->next)
        complete = put(s, what, l);
    if (!complete && s->index)
        drop(s, what);
}

struct pc_list *pc_index_find(const struct pc_session *s, enum pc_indexed what,
                              pusherc_slice channel)
{
    const struct pc_map *table = table_of(s, what);
    const struct pc_list *list = list_of((struct pc_session *)s, what);
    if (table) {
        struct pc_map_node *node = pc_map_find(table, channel);
        return node ? PC_CONTAINER(node, struct entry, node)->link : NULL;
    }
    PC_LIST_EACH(l, list)
        if (pc_slice_eq(channel_of(l, what), channel))
            return l;
    return NULL;
}

void pc_index_add(struct pc_session *s, enum pc_indexed what, struct pc_list *link)
{
    if (!table_of(s, what)) {
        if (is_long(list_of(s, what)))
            build(s, what);
    } else if (!put(s, what, link)) {
        drop(s, what);
    }
}

void pc_index_remove(struct pc_session *s, enum pc_indexed what, struct pc_list *link)
{
    struct pc_map *table = table_of(s, what);
    if (!table)
        return;
    struct pc_map_node *node = pc_map_find(table, channel_of(link, what));
    pc_map_remove(table, node);
    entry_free(node, (void *)s->worker->mem);
    if (table->count <= PC_WALKED / 2)
        drop(s, what);
}

void pc_index_free(struct pc_session *s)
{
    for (int i = 0; s->index && i < KINDS; i++)
        table_free(s, (enum pc_indexed)i);
    pc_free(s->worker->mem, s->index);
    s->index = NULL;
}
