#include "cluster/told.h"

#include "base/pack.h"

#define CHECK_LIMIT   100    /* of what was told, in one question */
#define REMEMBERED    100000 /* of all partitions */
#define REMEMBERED_MS 600000

/* What was told last of a channel or a member. */
struct remembered {
    struct pc_map_node node; /* key: "<bytes of the channel>:<channel><user>" */
    struct pc_list in_order; /* told longest ago first */
    bool there;
    uint64_t told_ms;
    pusherc_slice channel, user; /* in the key */
};

static void remembered_free(struct pc_node_part *part, struct remembered *r)
{
    pc_map_remove(&part->teller.told.by_key, &r->node);
    pc_list_remove(&r->in_order);
    pc_free(&part->node->engine->mem, r);
}

static void forget_old(struct pc_node_part *part, size_t most)
{
    struct pc_told *t = &part->teller.told;
    uint64_t now_ms = pc_node_now(part->node);
    while (!pc_list_empty(&t->in_order)) {
        struct remembered *r = PC_CONTAINER(t->in_order.next, struct remembered, in_order);
        if (t->by_key.count <= most && now_ms - r->told_ms < REMEMBERED_MS)
            return;
        remembered_free(part, r);
    }
}

static struct remembered *remembered_find(struct pc_node_part *part, pusherc_slice key)
{
    struct pc_map_node *found = pc_map_find(&part->teller.told.by_key, key);
    return found ? PC_CONTAINER(found, struct remembered, node) : NULL;
}

/* NULL: out of memory. */
static struct remembered *remembered_new(struct pc_node_part *part, pusherc_slice key,
                                         pusherc_slice channel, pusherc_slice user)
{
    struct remembered *r = pc_alloc_zero(&part->node->engine->mem, sizeof *r + key.len);
    if (!r)
        return NULL;
    char *at = (char *)(r + 1);
    r->node.key = pc_pack(&at, key);
    r->user = pc_slice_skip(r->node.key, key.len - user.len);
    r->channel = pc_slice(r->user.ptr - channel.len, channel.len);
    pc_list_init(&r->in_order);
    if (pc_map_insert(&part->teller.told.by_key, &r->node) == 0)
        return r;
    pc_free(&part->node->engine->mem, r);
    return NULL;
}

bool pc_told_remember(struct pc_node_part *part, pusherc_slice channel, pusherc_slice user,
                      bool there)
{
    struct pc_told *t = &part->teller.told;
    char stack[PC_EDGE_KEY_BYTES];
    struct pc_buf key;
    pc_buf_init_in(&key, &part->node->engine->mem, SIZE_MAX, stack, sizeof stack);
    pc_edge_put_key(&key, channel, user);
    bool known = pc_buf_status(&key) == 0;
    struct remembered *r = known ? remembered_find(part, pc_buf_slice(&key)) : NULL;
    bool same = r && r->there == there;
    if (!r && known)
        r = remembered_new(part, pc_buf_slice(&key), channel, user);
    pc_buf_free(&key);
    if (!r)
        return true;
    r->there = there;
    r->told_ms = pc_node_now(part->node);
    pc_list_remove(&r->in_order);
    pc_list_push_back(&t->in_order, &r->in_order);
    forget_old(part, REMEMBERED / part->node->part_count + 1);
    return !same;
}

void pc_told_forget_old(struct pc_node_part *part)
{
    forget_old(part, SIZE_MAX);
}

void pc_told_forget(struct pc_node_part *part)
{
    struct pc_told *t = &part->teller.told;
    while (!pc_list_empty(&t->in_order))
        remembered_free(part, PC_CONTAINER(t->in_order.next, struct remembered, in_order));
}

void pc_told_doubt(struct pc_node_part *part)
{
    part->teller.told.doubtful = true;
}

/* -- looking whether it is so -- */

static void check_over(struct pc_node_part *part, bool lost)
{
    struct pc_told *t = &part->teller.told;
    t->unchecked |= lost;
    if (--t->checks == 0)
        t->doubtful = t->unchecked;
}

/* The channels and users of the question stand in it as "<length>:<bytes>". */
static bool next_text(pusherc_slice *rest, pusherc_slice *out)
{
    uint64_t len;
    size_t colon = pc_slice_find(*rest, ':');
    if (!pc_slice_to_u64(pc_slice_first(*rest, colon), &len))
        return false;
    *out = pc_slice_first(pc_slice_skip(*rest, colon + 1), (size_t)len);
    *rest = pc_slice_skip(*rest, colon + 1 + (size_t)len);
    return true;
}

/* What was told and is not so any more: the data went back, and no other node will say it. */
static void on_checked(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                       size_t count)
{
    pusherc_slice rest = pc_buf_slice(&r->text), channel, user;
    for (size_t i = 1; i + 1 < count && next_text(&rest, &channel) && next_text(&rest, &user);
         i += 2) {
        bool there = pc_slice_eq(values[i], PC_S("1")),
             waits = pc_slice_eq(values[i + 1], PC_S("1"));
        char stack[PC_EDGE_KEY_BYTES];
        struct pc_buf key;
        pc_buf_init_in(&key, &part->node->engine->mem, SIZE_MAX, stack, sizeof stack);
        pc_edge_put_key(&key, channel, user);
        const struct remembered *told = remembered_find(part, pc_buf_slice(&key));
        pc_buf_free(&key);
        if (!waits && told && told->there != there && pc_told_remember(part, channel, user, there))
            pc_edge_tell(part, pc_edge_kind_that(user.len > 0, there), channel, user,
                         part->teller.read, NULL);
    }
    check_over(part, false);
}

static void on_check_forgotten(struct pc_node_part *part, struct pc_request *r)
{
    (void)r;
    check_over(part, true);
}

static const struct pc_request_kind check_kind = {PUSHERC_STEP_CHECK, on_checked,
                                                  on_check_forgotten};

static void put_text(struct pc_request *r, struct pc_values *args, pusherc_slice text)
{
    pc_values_put(args, text);
    if (!r)
        return;
    pc_buf_put_u64(&r->text, text.len);
    pc_buf_put_char(&r->text, ':');
    pc_buf_put(&r->text, text);
}

/* Asks for some, from *at on, which it moves. False: it could not be asked. */
static bool check_some(struct pc_node_part *part, struct pc_list **at)
{
    struct pc_told *t = &part->teller.told;
    struct pc_request *r = pc_request_new(part->node, &check_kind);
    struct pc_values args;
    pc_values_init(&args, &part->node->engine->mem);
    pc_values_put(&args, pc_slice_of(part->epoch));
    for (size_t i = 0; i < CHECK_LIMIT && *at != &t->in_order; i++, *at = (*at)->next) {
        const struct remembered *told = PC_CONTAINER(*at, struct remembered, in_order);
        put_text(r, &args, told->channel);
        put_text(r, &args, told->user);
    }
    if (r && pc_buf_status(&r->text)) {
        pc_request_free(part->node, r);
        r = NULL;
    }
    bool asked = pc_request_send(part, r, &args);
    t->checks += asked;
    return asked;
}

void pc_told_check(struct pc_node_part *part)
{
    struct pc_told *t = &part->teller.told;
    if (!t->doubtful || t->checks > 0 || !pc_part_is_up(part))
        return;
    struct pc_list *at = t->in_order.next;
    t->unchecked = false;
    while (at != &t->in_order && !t->unchecked)
        t->unchecked = !check_some(part, &at);
    if (t->checks == 0)
        t->doubtful = t->unchecked;
}

void pc_told_init(struct pc_node_part *part)
{
    struct pc_told *t = &part->teller.told;
    pc_map_init(&t->by_key, &part->node->engine->mem, part->node->engine->seed);
    pc_list_init(&t->in_order);
}

void pc_told_free(struct pc_node_part *part)
{
    pc_told_forget(part);
    pc_map_free(&part->teller.told.by_key);
}
