/* Steps about what is written down for later: edges that webhooks tell, kept events, idempotency keys, orders. */
#include "cluster/step.h"

#include <pusherc/error.h>

#include "base/pack.h"

#define LOOK_AT 4 /* older records that each step looks at, to forget what has expired */

/* A kept event, or the state of an idempotency key. */
struct record {
    struct pc_map_node node;
    struct pc_list by_look;
    uint64_t until_ms;
    uint64_t stamp;               /* of a kept event */
    pusherc_slice content, token; /* of an idempotency key */
    char *text;                   /* owned; the event, or the answer; NULL = not done */
    size_t text_len;
};

struct order {
    struct pc_list in_order;
    struct pc_log_id id;
    pusherc_slice body;
};

static void put_text(struct pc_values *values, const char *text)
{
    pc_values_put(values, pc_slice_of(text));
}

/* -- records that expire -- */

static struct record *record_of(struct pc_map_node *node)
{
    return PC_CONTAINER(node, struct record, node);
}

static void record_free(struct pc_partition *p, struct pc_map *map, struct record *r)
{
    pc_map_remove(map, &r->node);
    pc_list_remove(&r->by_look);
    pc_free(&p->mem, r->text);
    pc_free(&p->mem, r);
}

/* Forgets what has expired, a few records at a time: each is looked at again and again. */
static void look(struct pc_partition *p, struct pc_map *map, struct pc_list *list, uint64_t now_ms)
{
    for (int i = 0; i < LOOK_AT && !pc_list_empty(list); i++) {
        struct record *r = PC_CONTAINER(list->next, struct record, by_look);
        pc_list_remove(&r->by_look);
        pc_list_push_back(list, &r->by_look);
        if (r->until_ms <= now_ms)
            record_free(p, map, r);
    }
}

/* NULL: there is none, or it has expired. */
static struct record *find(struct pc_partition *p, struct pc_map *map, struct pc_list *list,
                           pusherc_slice key, uint64_t now_ms)
{
    look(p, map, list, now_ms);
    struct pc_map_node *node = pc_map_find(map, key);
    if (!node)
        return NULL;
    if (record_of(node)->until_ms > now_ms)
        return record_of(node);
    record_free(p, map, record_of(node));
    return NULL;
}

static struct record *record_new(struct pc_partition *p, struct pc_map *map, struct pc_list *list,
                                 pusherc_slice key, pusherc_slice content, pusherc_slice token)
{
    struct record *r = pc_alloc_zero(&p->mem, sizeof *r + key.len + content.len + token.len);
    if (!r)
        return NULL;
    char *at = (char *)(r + 1);
    r->node.key = pc_pack(&at, key);
    r->content = pc_pack(&at, content);
    r->token = pc_pack(&at, token);
    if (pc_map_insert(map, &r->node)) {
        pc_free(&p->mem, r);
        return NULL;
    }
    pc_list_push_back(list, &r->by_look);
    return r;
}

static void set_text(struct pc_partition *p, struct record *r, char *text, pusherc_slice from)
{
    pc_free(&p->mem, r->text);
    r->text = text;
    r->text_len = from.len;
}

static pusherc_slice text_of(const struct record *r)
{
    return pc_slice(r->text, r->text_len);
}

static void free_records(struct pc_partition *p, struct pc_map *map, struct pc_list *list)
{
    while (!pc_list_empty(list))
        record_free(p, map, PC_CONTAINER(list->next, struct record, by_look));
}

/* -- what cache channels keep -- */

/* The channel's record with the new event. NULL: out of memory. */
static struct record *kept_with(struct pc_step *s, uint64_t stamp, uint64_t ttl_ms,
                                pusherc_slice body)
{
    struct pc_partition *p = s->partition;
    char *copy = pc_dup(&p->mem, body);
    struct record *r = copy ? find(p, &p->kept, &p->kept_by_look, s->args[0], s->now_ms) : NULL;
    if (copy && !r)
        r = record_new(p, &p->kept, &p->kept_by_look, s->args[0], PC_S(""), PC_S(""));
    if (!r) {
        pc_free(&p->mem, copy);
        return NULL;
    }
    set_text(p, r, copy, body);
    r->stamp = stamp;
    r->until_ms = s->now_ms + ttl_ms;
    return r;
}

int pc_step_keep(struct pc_step *s)
{
    struct pc_partition *p = s->partition;
    pusherc_slice channel = s->args[0], body = s->args[2];
    const struct record *r = find(p, &p->kept, &p->kept_by_look, channel, s->now_ms);
    uint64_t before = r ? r->stamp : 0, stamp = s->now_us > before ? s->now_us : before + 1;
    if (pc_step_reserve(s, 1, channel.len + body.len) ||
        !kept_with(s, stamp, pc_step_number(s, 1), body))
        return PUSHERC_ENOMEM;
    char topic = PUSHERC_TOPIC_CHANNEL;
    pc_values_put(&s->messages, pc_slice(&topic, 1));
    pc_values_put(&s->messages, channel);
    size_t begin = s->messages.bytes.len;
    pc_buf_put_u64(&s->messages.bytes, stamp);
    pc_buf_put_char(&s->messages.bytes, ' ');
    pc_buf_put_u64(&s->messages.bytes, before);
    pc_buf_put(&s->messages.bytes, PC_S(" \n"));
    pc_buf_put(&s->messages.bytes, body);
    pc_values_end(&s->messages, begin);
    put_text(&s->answer, "OK");
    pc_values_put_u64(&s->answer, stamp);
    return 0;
}

int pc_step_rekeep(struct pc_step *s)
{
    struct pc_partition *p = s->partition;
    const struct record *r = find(p, &p->kept, &p->kept_by_look, s->args[0], s->now_ms);
    uint64_t stamp = pc_step_number(s, 1);
    bool newer = stamp > (r ? r->stamp : 0);
    if (newer && !kept_with(s, stamp, pc_step_number(s, 2), s->args[3]))
        return PUSHERC_ENOMEM;
    put_text(&s->answer, "OK");
    put_text(&s->answer, newer ? "1" : "0");
    return 0;
}

int pc_step_kept(struct pc_step *s)
{
    struct pc_partition *p = s->partition;
    const struct record *r = find(p, &p->kept, &p->kept_by_look, s->args[0], s->now_ms);
    put_text(&s->answer, "OK");
    if (!r)
        return 0;
    pc_values_put_u64(&s->answer, r->stamp);
    pc_values_put(&s->answer, text_of(r));
    pc_values_put_u64(&s->answer, r->until_ms - s->now_ms);
    return 0;
}

/* -- idempotency keys -- */

static struct record *once_find(struct pc_step *s)
{
    struct pc_partition *p = s->partition;
    return find(p, &p->once, &p->once_by_look, s->args[0], s->now_ms);
}

int pc_step_once_begin(struct pc_step *s)
{
    struct pc_partition *p = s->partition;
    struct record *r = once_find(s);
    if (!r) {
        r = record_new(p, &p->once, &p->once_by_look, s->args[0], s->args[1], s->args[2]);
        if (!r)
            return PUSHERC_ENOMEM;
        r->until_ms = s->now_ms + pc_step_number(s, 3);
        put_text(&s->answer, "FIRST");
        return 0;
    }
    if (!pc_slice_eq(r->content, s->args[1])) {
        put_text(&s->answer, "OTHER");
    } else if (!r->text) {
        put_text(&s->answer, "RUNNING");
    } else {
        put_text(&s->answer, "REPEAT");
        pc_values_put(&s->answer, text_of(r));
    }
    return 0;
}

/* The record that args[1] has begun. NULL: the answer says that it is lost. */
static struct record *once_begun(struct pc_step *s)
{
    struct record *r = once_find(s);
    if (r && pc_slice_eq(r->token, s->args[1]))
        return r;
    put_text(&s->answer, "LOST");
    return NULL;
}

int pc_step_once_done(struct pc_step *s)
{
    struct record *r = once_begun(s);
    if (!r)
        return 0;
    char *answer = pc_dup(&s->partition->mem, s->args[2]);
    if (!answer)
        return PUSHERC_ENOMEM;
    set_text(s->partition, r, answer, s->args[2]);
    r->until_ms = s->now_ms + pc_step_number(s, 3);
    put_text(&s->answer, "OK");
    return 0;
}

int pc_step_once_undo(struct pc_step *s)
{
    struct record *r = once_begun(s);
    if (!r)
        return 0;
    record_free(s->partition, &s->partition->once, r);
    put_text(&s->answer, "OK");
    return 0;
}

/* -- edges -- */

/* False: the answer says why not. */
static bool is_teller(struct pc_step *s)
{
    const struct pc_incarnation *inc = pc_step_guard(s);
    const char *teller = s->partition->teller;
    if (!inc)
        return false;
    bool is = teller && pc_slice_eq(pc_slice_of(teller), inc->node.key);
    put_text(&s->answer, is ? "OK" : "NOT_OWNER");
    return is;
}

int pc_step_tell(struct pc_step *s)
{
    struct pc_log_id since;
    uint64_t left = pc_step_number(s, 3);
    if (!pc_log_id_parse(s->args[2], &since))
        return PUSHERC_EINVAL;
    if (!is_teller(s))
        return 0;
    pc_values_put_u64(&s->answer, s->now_ms);
    PC_LIST_EACH(l, &s->partition->edges) {
        const struct pc_edge *edge = PC_CONTAINER(l, struct pc_edge, in_order);
        if (!pc_log_id_is_after(edge->id, since))
            continue;
        if (left-- == 0)
            break;
        pc_log_id_put(&s->answer, edge->id);
        put_text(&s->answer, edge->kind);
        pc_values_put(&s->answer, edge->channel);
        pc_values_put(&s->answer, edge->user);
    }
    return 0;
}

/* What is told are mostly the first edges. */
static void forget_edge(struct pc_partition *p, pusherc_slice text)
{
    struct pc_log_id id;
    if (!pc_log_id_parse(text, &id))
        return;
    PC_LIST_EACH(l, &p->edges) {
        struct pc_edge *edge = PC_CONTAINER(l, struct pc_edge, in_order);
        if (edge->id.at_ms == id.at_ms && edge->id.nth == id.nth) {
            pc_edge_free(p, edge);
            return;
        }
    }
}

int pc_step_told(struct pc_step *s)
{
    if (!is_teller(s))
        return 0;
    for (size_t i = 2; i < s->arg_count; i++)
        forget_edge(s->partition, s->args[i]);
    return 0;
}

static bool waits(const struct pc_partition *p, pusherc_slice channel, pusherc_slice user)
{
    PC_LIST_EACH(l, &p->edges) {
        const struct pc_edge *edge = PC_CONTAINER(l, struct pc_edge, in_order);
        if (pc_slice_eq(edge->channel, channel) && pc_slice_eq(edge->user, user))
            return true;
    }
    return false;
}

int pc_step_check(struct pc_step *s)
{
    const struct pc_partition *p = s->partition;
    if (!pc_step_reads(s))
        return 0;
    for (size_t i = 1; i < s->arg_count; i += 2) {
        pusherc_slice user = s->args[i + 1];
        const struct pc_occupied *channel = pc_occupied_find(p, s->args[i]);
        bool there =
            channel && (user.len ? pc_entry_find(channel, user) != NULL : channel->total > 0);
        put_text(&s->answer, there ? "1" : "0");
        put_text(&s->answer, waits(p, s->args[i], user) ? "1" : "0");
    }
    return 0;
}

/* -- orders -- */

static struct order *order_at(struct pc_list *link)
{
    return PC_CONTAINER(link, struct order, in_order);
}

static void order_free(struct pc_partition *p, struct order *order)
{
    pc_list_remove(&order->in_order);
    p->order_count--;
    pc_free(&p->mem, order);
}

/* Publishes "<id> <id of the one before>\n<body>". */
static void publish_order(struct pc_step *s, const struct order *order, struct pc_log_id before)
{
    char topic = PUSHERC_TOPIC_ORDERS;
    pc_values_put(&s->messages, pc_slice(&topic, 1));
    pc_values_put(&s->messages, PC_S(""));
    struct pc_buf *text = &s->messages.bytes;
    size_t begin = text->len;
    pc_buf_put_u64(text, order->id.at_ms);
    pc_buf_put_char(text, '-');
    pc_buf_put_u64(text, order->id.nth);
    pc_buf_put_char(text, ' ');
    pc_buf_put_u64(text, before.at_ms);
    pc_buf_put_char(text, '-');
    pc_buf_put_u64(text, before.nth);
    pc_buf_put_char(text, '\n');
    pc_buf_put(text, order->body);
    pc_values_end(&s->messages, begin);
}

static int reserve_order(struct pc_step *s, pusherc_slice body)
{
    size_t names = 0;
    PC_LIST_EACH(l, &s->partition->by_name) {
        names += PC_CONTAINER(l, struct pc_incarnation, by_name)->node.key.len;
    }
    int err = pc_step_reserve(s, 1, body.len);
    return err ? err
               : pc_values_reserve(&s->answer, 2 + s->partition->incarnations.count, names + 64);
}

int pc_step_order(struct pc_step *s)
{
    struct pc_partition *p = s->partition;
    pusherc_slice body = s->args[0];
    struct order *order = pc_alloc(&p->mem, sizeof *order + body.len);
    if (!order || reserve_order(s, body)) {
        pc_free(&p->mem, order);
        return PUSHERC_ENOMEM;
    }
    char *at = (char *)(order + 1);
    struct pc_log_id before = p->order_id;
    order->body = pc_pack(&at, body);
    order->id = p->order_id = pc_log_id_next(before, s->now_ms);
    pc_list_push_back(&p->orders, &order->in_order);
    publish_order(s, order, before);
    for (p->order_count++; p->order_count > pc_step_number(s, 1);)
        order_free(p, order_at(p->orders.next));
    put_text(&s->answer, "OK");
    pc_log_id_put(&s->answer, p->order_id);
    PC_LIST_EACH(l, &p->by_name) {
        const struct pc_incarnation *inc = PC_CONTAINER(l, struct pc_incarnation, by_name);
        if (inc->alive)
            pc_values_put(&s->answer, inc->node.key);
    }
    return 0;
}

static bool is_same(struct pc_log_id a, struct pc_log_id b)
{
    return a.at_ms == b.at_ms && a.nth == b.nth;
}

int pc_step_orders(struct pc_step *s)
{
    struct pc_partition *p = s->partition;
    struct pc_log_id since = {0, 0};
    uint64_t left = pc_step_number(s, 1);
    if (!pc_log_id_parse(s->args[0], &since))
        return PUSHERC_EINVAL;
    bool found = is_same(p->order_id, since);
    PC_LIST_EACH(l, &p->orders) {
        found |= is_same(order_at(l)->id, since);
    }
    put_text(&s->answer, "OK");
    put_text(&s->answer, found ? "1" : "0");
    pc_log_id_put(&s->answer, p->order_id);
    PC_LIST_EACH(l, &p->orders) {
        if (found && !pc_log_id_is_after(order_at(l)->id, since))
            continue;
        if (left-- == 0)
            break;
        pc_log_id_put(&s->answer, order_at(l)->id);
        pc_values_put(&s->answer, order_at(l)->body);
    }
    return 0;
}

void pc_records_free(struct pc_partition *p)
{
    free_records(p, &p->kept, &p->kept_by_look);
    free_records(p, &p->once, &p->once_by_look);
    while (!pc_list_empty(&p->orders))
        order_free(p, order_at(p->orders.next));
}
