#include "cluster/noted.h"

#include "base/pack.h"
#include "fanout/notice.h"

#define ACKNOWLEDGED 200 /* at most, in one command */

/* An edge that was noted, and is not off the list yet. */
struct pc_noted {
    struct pc_map_node node; /* key: its id */
    struct pc_map_node
        last; /* key: as of what is remembered; the last of its channel or user is in the table */
    struct pc_noted *before, *after; /* of the same; NULL = none */
    struct pc_list in_order;
    struct pc_acceptance *acceptance; /* counted; NULL = no endpoint can wait */
    bool asked;                       /* TOLD is under way */
};

static void drop(struct pc_node_part *part, struct pc_noted *noted)
{
    if (noted->before)
        noted->before->after = noted->after;
    if (noted->after)
        noted->after->before = noted->before;
    else
        pc_map_remove(&part->teller.noted.last, &noted->last);
    pc_map_remove(&part->teller.noted.by_id, &noted->node);
    pc_list_remove(&noted->in_order);
    pc_acceptance_unref(noted->acceptance);
    pc_free(&part->node->engine->mem, noted);
}

/* NULL: out of memory. */
static struct pc_noted *add(struct pc_node_part *part, pusherc_slice id, pusherc_slice key)
{
    struct pc_noted_edges *t = &part->teller.noted;
    struct pc_mem *mem = &part->node->engine->mem;
    struct pc_noted *noted = pc_alloc_zero(mem, sizeof *noted + id.len + key.len);
    if (!noted)
        return NULL;
    char *at = (char *)(noted + 1);
    noted->node.key = pc_pack(&at, id);
    noted->last.key = pc_pack(&at, key);
    if (pc_map_insert(&t->by_id, &noted->node)) {
        pc_free(mem, noted);
        return NULL;
    }
    struct pc_map_node *found = pc_map_find(&t->last, key);
    if (found)
        pc_map_remove(&t->last, found);
    if (pc_map_insert(&t->last, &noted->last)) { /* it was empty before as well */
        pc_map_remove(&t->by_id, &noted->node);
        pc_free(mem, noted);
        return NULL;
    }
    noted->before = found ? PC_CONTAINER(found, struct pc_noted, last) : NULL;
    if (noted->before)
        noted->before->after = noted;
    pc_list_push_back(&t->in_order, &noted->in_order);
    return noted;
}

static bool is_done(const struct pc_noted *noted, bool all)
{
    if (noted->before && !noted->before->asked)
        return false;
    return all || !noted->acceptance || pc_acceptance_is_done(noted->acceptance);
}

static void on_told(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                    size_t count)
{
    (void)r;
    (void)values;
    (void)count;
    part->teller.noted.acknowledging = false;
    PC_LIST_EACH_SAFE(l, next, &part->teller.noted.in_order) {
        struct pc_noted *noted = PC_CONTAINER(l, struct pc_noted, in_order);
        if (noted->asked)
            drop(part, noted);
    }
}

static void on_told_forgotten(struct pc_node_part *part, struct pc_request *r)
{
    (void)r;
    part->teller.noted.acknowledging = false;
    PC_LIST_EACH(l, &part->teller.noted.in_order) {
        PC_CONTAINER(l, struct pc_noted, in_order)->asked = false;
    }
}

static const struct pc_request_kind told_kind = {PUSHERC_STEP_TOLD, on_told, on_told_forgotten};

void pc_noted_acknowledge(struct pc_node_part *part, bool all)
{
    struct pc_noted_edges *t = &part->teller.noted;
    struct pc_values args;
    size_t count = 0;
    if (t->acknowledging || pc_list_empty(&t->in_order))
        return;
    pc_values_init(&args, &part->node->engine->mem);
    pc_part_put_guard(part, &args);
    PC_LIST_EACH(l, &t->in_order) {
        struct pc_noted *noted = PC_CONTAINER(l, struct pc_noted, in_order);
        if (count == ACKNOWLEDGED)
            break;
        if (!is_done(noted, all))
            continue;
        noted->asked = true;
        count++;
        pc_values_put(&args, noted->node.key);
    }
    if (count == 0)
        pc_values_free(&args);
    else if (pc_request_send(part, pc_request_new(part->node, &told_kind), &args))
        t->acknowledging = true;
    else
        on_told_forgotten(part, NULL);
}

bool pc_noted_has(const struct pc_node_part *part, pusherc_slice id)
{
    return pc_map_find(&part->teller.noted.by_id, id) != NULL;
}

struct pc_acceptance **pc_noted_add(struct pc_node_part *part, const struct pc_edge_kind *kind,
                                    const pusherc_slice *edge)
{
    char stack[PC_EDGE_KEY_BYTES];
    struct pc_buf key;
    pc_buf_init_in(&key, &part->node->engine->mem, SIZE_MAX, stack, sizeof stack);
    if (pc_edge_is_total(kind))
        pc_buf_put_char(&key, '#');
    pc_edge_put_key(&key, edge[2], pc_edge_is_total(kind) ? PC_S("") : edge[3]);
    struct pc_noted *noted = pc_buf_status(&key) ? NULL : add(part, edge[0], pc_buf_slice(&key));
    pc_buf_free(&key);
    return noted ? &noted->acceptance : NULL;
}

void pc_noted_forget(struct pc_node_part *part)
{
    struct pc_noted_edges *t = &part->teller.noted;
    while (!pc_list_empty(&t->in_order))
        drop(part, PC_CONTAINER(t->in_order.next, struct pc_noted, in_order));
}

void pc_noted_init(struct pc_node_part *part)
{
    struct pc_noted_edges *t = &part->teller.noted;
    struct pc_engine *engine = part->node->engine;
    pc_map_init(&t->by_id, &engine->mem, engine->seed);
    pc_map_init(&t->last, &engine->mem, engine->seed);
    pc_list_init(&t->in_order);
}

void pc_noted_free(struct pc_node_part *part)
{
    pc_noted_forget(part);
    pc_map_free(&part->teller.noted.by_id);
    pc_map_free(&part->teller.noted.last);
}
