#include "cluster/orders.h"

#include <stdio.h>

#include <pusherc/error.h>

#include "base/pack.h"
#include "cluster/partition.h"
#include "session/everywhere.h"

#define ORDER_MS       5000 /* an answer is waited for so long */
#define MAX_KEPT       1000 /* orders in the log; also those of others that a node remembers */
#define MAX_OPEN       1000 /* own orders that were not given, or not answered */
#define READ_LIMIT     100  /* orders in one step */
#define MAX_KEY        (1 + PC_NODE_ID)
#define MAX_ANSWER     (2 + PC_U64_DIGITS + 1 + PC_NODE_ID + 2 * (1 + PC_U64_DIGITS))
#define MAX_FIRST_LINE (PC_NODE_ID + 1 + PC_U64_DIGITS + 3)

static const struct pc_log_about about = {.subject = "cluster"};

/* An order of this node: not given yet, or not answered by all. */
struct own_order {
    struct pc_outgoing out; /* in_order also links it in `open` */
    uint64_t number;
    bool asked;    /* ORDER is under way, or was answered */
    bool given;    /* it was answered: `missing` is known */
    bool extended; /* until_ms: it had to wait for data that was lost */
    uint64_t until_ms;
    struct pc_list answered; /* ids of nodes */
    struct pc_list missing;  /* incarnations */
    uint64_t untracked;      /* further ones, for which memory was missing */
    uint64_t kept, revoked;
    pc_everywhere_fn done; /* NULL = no answers are needed, or it was called */
    void *user_data;
    pusherc_slice body;
};

/* An order of another node. */
struct obeyed {
    struct pc_map_node node; /* key: "<origin> <number>" */
    struct pc_list in_order;
    struct pc_list carried; /* guarded by the mutex */
    struct pusherc_link *of;
    bool over;
    uint64_t kept, revoked;
};

static struct own_order *own_order_at(struct pc_list *link)
{
    return PC_CONTAINER(link, struct own_order, out.in_order);
}

static bool is_connected(const struct pc_node_part *part)
{
    return part->state != PC_LINK_DOWN;
}

/* -- own orders -- */

static void own_order_free(struct pusherc_link *node, struct own_order *order)
{
    pc_list_remove(&order->out.in_order);
    pc_names_free(node, &order->answered);
    pc_names_free(node, &order->missing);
    pc_free(&node->engine->mem, order);
}

static uint64_t count_of(const struct pc_list *list)
{
    uint64_t count = 0;
    PC_LIST_EACH(l, list) {
        count++;
    }
    return count;
}

/* What is known by now is the result. */
static void call_done(struct pusherc_link *node, struct own_order *order)
{
    pc_everywhere_fn done = order->done;
    uint64_t unanswered = order->given ? count_of(&order->missing) + order->untracked : 1;
    order->done = NULL;
    if (!done)
        return;
    pc_stat_add(&node->stats.unanswered, unanswered);
    if (unanswered)
        PC_LOG(
            &node->engine->log, WARN, about,
            "%llu of the other nodes did not say in time that they have asked their grants again",
            (unsigned long long)unanswered);
    done(order->kept, order->revoked, unanswered, order->user_data);
}

/* Frees it if it is over. */
static void look_at(struct pusherc_link *node, struct own_order *order)
{
    if (order->given && pc_list_empty(&order->missing))
        call_done(node, order);
    if (order->given && !order->done) {
        node->orders.open_count--;
        own_order_free(node, order);
    }
}

static struct own_order *find_own(struct pusherc_link *node, uint64_t number)
{
    PC_LIST_EACH(l, &node->orders.open) {
        if (own_order_at(l)->number == number)
            return own_order_at(l);
    }
    return NULL;
}

static pusherc_slice node_id_of(pusherc_slice incarnation)
{
    return pc_slice_first(incarnation, pc_slice_find(incarnation, '.'));
}

/* The authority knows all who are live: after its data was lost each node has to attach again first. */
static bool knows_all(const struct pc_node_part *part, const pusherc_slice *values, size_t count)
{
    bool has_own = false;
    for (size_t i = 2; i < count; i++)
        has_own |= pc_slice_eq(node_id_of(values[i]), pc_slice_of(part->node->id));
    return has_own && !part->unsettled;
}

static void on_ordered(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                       size_t count)
{
    struct pusherc_link *node = part->node;
    struct own_order *order = find_own(node, r->number);
    if (!order)
        return;
    if (order->done && !knows_all(part, values, count)) {
        /* It is given again when it is settled, or this node has attached. */
        if (!order->extended)
            order->until_ms += node->options.settle_ms + node->options.renew_ms;
        order->extended = true;
        return;
    }
    pc_names_free(node, &order->missing);
    order->untracked = 0;
    order->given = true;
    for (size_t i = 2; i < count && order->done; i++) {
        pusherc_slice id = node_id_of(values[i]);
        if (!pc_slice_eq(id, pc_slice_of(node->id)) && !pc_names_have(&order->answered, id) &&
            !pc_names_add(node, &order->missing, values[i]))
            order->untracked++;
    }
    look_at(node, order);
}

static void on_order_forgotten(struct pc_node_part *part, struct pc_request *r)
{
    struct own_order *order = find_own(part->node, r->number);
    if (order)
        order->asked = false;
}

static const struct pc_request_kind order_kind = {PUSHERC_STEP_ORDER, on_ordered,
                                                  on_order_forgotten};

static void give(struct pc_node_part *part)
{
    struct pusherc_link *node = part->node;
    PC_LIST_EACH(l, &node->orders.open) {
        struct own_order *order = own_order_at(l);
        struct pc_values args;
        if (order->asked || !pc_part_is_up(part))
            continue;
        struct pc_request *r = pc_request_new(node, &order_kind);
        if (r)
            r->number = order->number;
        pc_values_init(&args, &node->engine->mem);
        pc_values_put(&args, order->body);
        pc_values_put_u64(&args, MAX_KEPT);
        order->asked = pc_request_send(part, r, &args);
        if (!order->asked)
            return; /* the order of orders stays */
    }
}

/* On the node's thread, in the order in which the host gave orders and published. */
static void take_own(struct pusherc_link *node, struct pc_outgoing *out)
{
    struct own_order *order = PC_CONTAINER(out, struct own_order, out);
    struct pc_orders *orders = &node->orders;
    order->until_ms = pc_node_now(node) + ORDER_MS;
    pc_list_push_back(&orders->open, &out->in_order);
    if (++orders->open_count > MAX_OPEN) {
        struct own_order *oldest = own_order_at(orders->open.next);
        pc_stat_add_shared(&node->stats.dropped, 1);
        call_done(node, oldest);
        orders->open_count--;
        own_order_free(node, oldest);
    }
    give(&node->parts[0]);
}

/* Any thread. */
static int tell(void *ctx, pusherc_slice text, pc_everywhere_fn done, void *user_data)
{
    struct pusherc_link *node = ctx;
    size_t most = MAX_FIRST_LINE + text.len;
    struct own_order *order = pc_alloc_zero(&node->engine->mem, sizeof *order + most);
    struct pc_buf body;
    if (!order)
        return PUSHERC_ENOMEM;
    order->out.take = take_own;
    order->done = done;
    order->user_data = user_data;
    pc_list_init(&order->out.in_order);
    pc_list_init(&order->answered);
    pc_list_init(&order->missing);
    order->number = 1 + atomic_fetch_add_explicit(&node->orders.number, 1, memory_order_relaxed);
    pc_buf_init_in(&body, &node->engine->mem, most, (char *)(order + 1), most);
    pc_buf_put(&body, pc_slice_of(node->id));
    pc_buf_put_char(&body, ' ');
    pc_buf_put_u64(&body, order->number);
    pc_buf_put(&body, done ? PC_S(" 1\n") : PC_S(" 0\n"));
    pc_buf_put(&body, text);
    order->body = pc_buf_slice(&body);
    pthread_mutex_lock(&node->mutex);
    pc_list_push_back(&node->outgoing, &order->out.in_order);
    uint64_t wake = pc_node_mark(node);
    pthread_mutex_unlock(&node->mutex);
    pc_wake_workers(node->engine, wake);
    return 0;
}

/* -- telling one node -- */

static void on_told(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                    size_t count)
{
    (void)part;
    (void)r;
    (void)values;
    (void)count;
}

/* The origin gives the order again, and is answered again. */
static void on_tell_forgotten(struct pc_node_part *part, struct pc_request *r)
{
    (void)part;
    (void)r;
}

static const struct pc_request_kind tell_kind = {(pusherc_step)0, on_told, on_tell_forgotten};

/* A node's own topic is that of the channel "/<id>", for no app's id is empty. */
static pusherc_slice own_key(char key[MAX_KEY], pusherc_slice node_id)
{
    key[0] = '/';
    size_t len = node_id.len < PC_NODE_ID ? node_id.len : PC_NODE_ID;
    memcpy(key + 1, node_id.ptr, len);
    return pc_slice(key, 1 + len);
}

static void tell_node(struct pc_node_part *part, pusherc_slice node_id, pusherc_slice message)
{
    char key[MAX_KEY];
    if (is_connected(part))
        (void)pc_request_publish(part, pc_request_new(part->node, &tell_kind),
                                 own_key(key, node_id), message);
}

static void look_at_times(struct pusherc_link *node)
{
    uint64_t now_ms = pc_node_now(node);
    PC_LIST_EACH_SAFE(l, next, &node->orders.open) {
        struct own_order *order = own_order_at(l);
        if (order->done && now_ms >= order->until_ms) {
            call_done(node, order);
            look_at(node, order);
        }
    }
}

void pc_orders_renewed(struct pc_node_part *part)
{
    PC_LIST_EACH(l, &part->node->orders.open) {
        struct own_order *order = own_order_at(l);
        order->asked &= !order->given;
    }
    give(part);
}

/* -- orders of others -- */

/* The first line of an order, taken apart. */
struct head {
    pusherc_slice key;    /* "<origin> <number>" */
    pusherc_slice origin; /* of these, */
    pusherc_slice number; /* and */
    bool awaited;         /* the origin wants an answer */
    pusherc_slice text;   /* what follows the line */
};

static bool parse_head(pusherc_slice body, struct head *out)
{
    uint64_t number;
    size_t end = pc_slice_find(body, '\n');
    if (end == body.len || end < PC_NODE_ID + 4)
        return false;
    pusherc_slice line = pc_slice_first(body, end);
    pusherc_slice flag = pc_slice_skip(line, end - 2);
    out->key = pc_slice_first(line, end - 2);
    out->origin = pc_slice_first(line, PC_NODE_ID);
    out->number = pc_slice_skip(out->key, PC_NODE_ID + 1);
    out->awaited = pc_slice_eq(flag, PC_S(" 1"));
    out->text = pc_slice_skip(body, end + 1);
    return line.ptr[PC_NODE_ID] == ' ' && pc_slice_to_u64(out->number, &number) &&
           (out->awaited || pc_slice_eq(flag, PC_S(" 0")));
}

static struct obeyed *obeyed_of(struct pc_map_node *found)
{
    return PC_CONTAINER(found, struct obeyed, node);
}

static void obeyed_free(struct pusherc_link *node, struct obeyed *o)
{
    pc_map_remove(&node->orders.obeyed, &o->node);
    pc_list_remove(&o->in_order);
    pc_free(&node->engine->mem, o);
}

/* Forgets the oldest one that is over. */
static void forget_one(struct pusherc_link *node)
{
    PC_LIST_EACH_SAFE(l, next, &node->orders.obeyed_in_order) {
        struct obeyed *o = PC_CONTAINER(l, struct obeyed, in_order);
        if (o->over) {
            obeyed_free(node, o);
            return;
        }
    }
}

static struct obeyed *obeyed_new(struct pusherc_link *node, pusherc_slice key)
{
    struct obeyed *o = pc_alloc_zero(&node->engine->mem, sizeof *o + key.len);
    if (!o)
        return NULL;
    char *at = (char *)(o + 1);
    o->node.key = pc_pack(&at, key);
    o->of = node;
    pc_list_init(&o->in_order);
    pc_list_init(&o->carried);
    if (pc_map_insert(&node->orders.obeyed, &o->node)) {
        pc_free(&node->engine->mem, o);
        return NULL;
    }
    pc_list_push_back(&node->orders.obeyed_in_order, &o->in_order);
    if (node->orders.obeyed.count > MAX_KEPT)
        forget_one(node);
    return o;
}

/* "A <number> <this node> <kept> <revoked>" */
static void answer(struct pc_node_part *part, const struct obeyed *o)
{
    char storage[MAX_ANSWER];
    struct pc_buf message;
    pc_buf_init_in(&message, &part->node->engine->mem, sizeof storage, storage, sizeof storage);
    pc_buf_put(&message, PC_S("A "));
    pc_buf_put(&message, pc_slice_skip(o->node.key, PC_NODE_ID + 1));
    pc_buf_put_char(&message, ' ');
    pc_buf_put(&message, pc_slice_of(part->node->id));
    pc_buf_put_char(&message, ' ');
    pc_buf_put_u64(&message, o->kept);
    pc_buf_put_char(&message, ' ');
    pc_buf_put_u64(&message, o->revoked);
    tell_node(part, pc_slice_first(o->node.key, PC_NODE_ID), pc_buf_slice(&message));
}

/* Any thread. */
static void on_carried_out(uint64_t kept, uint64_t revoked, void *user_data)
{
    struct obeyed *o = user_data;
    struct pusherc_link *node = o->of;
    pthread_mutex_lock(&node->mutex);
    o->kept = kept;
    o->revoked = revoked;
    pc_list_push_back(&node->orders.carried, &o->carried);
    uint64_t wake = pc_node_mark(node);
    pthread_mutex_unlock(&node->mutex);
    pc_wake_workers(node->engine, wake);
}

void pc_orders_take(struct pusherc_link *node, struct pc_list *carried)
{
    while (!pc_list_empty(carried)) {
        struct obeyed *o = PC_CONTAINER(carried->next, struct obeyed, carried);
        pc_list_remove(&o->carried);
        o->over = true;
        answer(&node->parts[0], o);
    }
}

/* Carries an order out if that was not done before. False: it makes no sense. */
static bool obey(struct pc_node_part *part, pusherc_slice body)
{
    struct pusherc_link *node = part->node;
    struct head head;
    if (!parse_head(body, &head))
        return false;
    if (pc_slice_eq(head.origin, pc_slice_of(node->id)))
        return true; /* was carried out when it was given */
    struct pc_map_node *found = pc_map_find(&node->orders.obeyed, head.key);
    if (found) {
        if (head.awaited && obeyed_of(found)->over)
            answer(part, obeyed_of(found));
        return true;
    }
    struct obeyed *o = obeyed_new(node, head.key);
    int err =
        o ? pc_everywhere_obey(node->engine, head.text, head.awaited ? on_carried_out : NULL, o)
          : PUSHERC_ENOMEM;
    if (err == 0) {
        o->over |= !head.awaited;
        return true;
    }
    if (err == PUSHERC_ENOENT) { /* no client of the app is here */
        o->over = true;
        if (head.awaited)
            answer(part, o);
        return true;
    }
    if (o)
        obeyed_free(node, o);
    node->orders.owes_all |= err == PUSHERC_ENOMEM;
    return err == PUSHERC_ENOMEM;
}

/* -- reading the log -- */

static void read_on(struct pc_node_part *part);

static bool is_same(struct pc_log_id a, struct pc_log_id b)
{
    return a.at_ms == b.at_ms && a.nth == b.nth;
}

static bool is_after(struct pc_log_id a, struct pc_log_id b)
{
    return a.at_ms > b.at_ms || (a.at_ms == b.at_ms && a.nth > b.nth);
}

/* False: an id is none. */
static bool obey_all(struct pc_node_part *part, const pusherc_slice *values, size_t count)
{
    for (size_t i = 0; i + 1 < count; i += 2) {
        if (!pc_log_id_parse(values[i], &part->node->orders.last))
            return false;
        if (!obey(part, values[i + 1]))
            pc_node_refuse(part->node, "an order");
    }
    return true;
}

static void on_read(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                    size_t count)
{
    struct pusherc_link *node = part->node;
    struct pc_orders *orders = &node->orders;
    struct pc_log_id newest;
    bool sound = count >= 3 && (count - 3) % 2 == 0 && pc_log_id_parse(values[2], &newest);
    bool found = sound && pc_slice_eq(values[1], PC_S("1"));
    bool was_empty = orders->known && is_same(orders->last, (struct pc_log_id){0, 0});
    (void)r;
    orders->reading = false;
    orders->owes_all |= sound && (!orders->known || !found);
    if (sound && (found || was_empty) &&
        orders->known) { /* what is kept is later than what was seen */
        sound = obey_all(part, values + 3, count - 3);
        orders->behind |= sound && count > 3 && is_after(newest, orders->last);
    } else if (sound) {
        orders->last = newest;
        orders->known = true;
    }
    if (!sound) {
        pc_node_refuse(node, "a list of orders");
        orders->behind = true; /* read again at the next tick */
        return;
    }
    orders->in_step |= orders->subscribed && !orders->behind;
    read_on(part);
}

static void on_read_forgotten(struct pc_node_part *part, struct pc_request *r)
{
    (void)r;
    part->node->orders.reading = false;
    part->node->orders.behind = true;
}

static const struct pc_request_kind read_kind = {PUSHERC_STEP_ORDERS, on_read, on_read_forgotten};

/* Once the topic is subscribed nothing can come between what is read and what is heard. */
static void read_on(struct pc_node_part *part)
{
    struct pusherc_link *node = part->node;
    struct pc_orders *orders = &node->orders;
    struct pc_values args;
    if (orders->reading || !orders->subscribed || !is_connected(part) ||
        (orders->in_step && !orders->behind))
        return;
    pc_values_init(&args, &node->engine->mem);
    pc_log_id_put(&args, orders->last);
    pc_values_put_u64(&args, orders->known ? READ_LIMIT : 0);
    orders->reading = pc_request_send(part, pc_request_new(node, &read_kind), &args);
    orders->behind = !orders->reading;
}

/* -- what the node hears -- */

bool pc_orders_hears(struct pc_node_part *part, pusherc_slice message)
{
    struct pc_orders *orders = &part->node->orders;
    struct pc_log_id id, before;
    size_t end = pc_slice_find(message, '\n');
    pusherc_slice line = pc_slice_first(message, end);
    size_t space = pc_slice_find(line, ' ');
    if (end == message.len || space == line.len ||
        !pc_log_id_parse(pc_slice_first(line, space), &id) ||
        !pc_log_id_parse(pc_slice_skip(line, space + 1), &before))
        return false;
    bool follows = orders->known && is_same(before, orders->last);
    if (follows) {
        orders->last = id;
    } else if (!orders->known || is_after(id, orders->last)) { /* what is between is read */
        orders->behind = true;
        read_on(part);
        return true;
    }
    return obey(part, pc_slice_skip(message, end + 1));
}

/* "A <number> <node> <kept> <revoked>", without the first two bytes. */
static bool hears_answer(struct pusherc_link *node, pusherc_slice text)
{
    uint64_t number, kept, revoked;
    size_t first = pc_slice_find(text, ' ');
    if (first == text.len || !pc_slice_to_u64(pc_slice_first(text, first), &number))
        return false;
    pusherc_slice rest = pc_slice_skip(text, first + 1);
    if (rest.len < PC_NODE_ID + 4 || rest.ptr[PC_NODE_ID] != ' ')
        return false;
    pusherc_slice id = pc_slice_first(rest, PC_NODE_ID);
    rest = pc_slice_skip(rest, PC_NODE_ID + 1);
    size_t space = pc_slice_find(rest, ' ');
    if (space == rest.len || !pc_slice_to_u64(pc_slice_first(rest, space), &kept) ||
        !pc_slice_to_u64(pc_slice_skip(rest, space + 1), &revoked))
        return false;
    struct own_order *order = find_own(node, number);
    if (!order || !order->done || pc_names_have(&order->answered, id) ||
        !pc_names_add(node, &order->answered, id))
        return true;
    order->kept += kept;
    order->revoked += revoked;
    PC_LIST_EACH_SAFE(l, next, &order->missing) {
        pusherc_slice incarnation = PC_CONTAINER(l, struct pc_name, in_order)->text;
        if (pc_slice_eq(node_id_of(incarnation), id))
            (void)pc_names_remove(node, &order->missing, incarnation);
    }
    look_at(node, order);
    return true;
}

bool pc_orders_hears_own(struct pc_node_part *part, pusherc_slice key, pusherc_slice message)
{
    if (!pc_slice_eq(pc_slice_skip(key, 1), pc_slice_of(part->node->id)))
        return false;
    return pc_slice_starts(message, PC_S("A ")) &&
           hears_answer(part->node, pc_slice_skip(message, 2));
}

/* -- the partition -- */

void pc_orders_lost(struct pusherc_link *node)
{
    struct pc_orders *orders = &node->orders;
    orders->subscribed = orders->in_step = orders->said_in_step = false;
    orders->behind = true; /* also if an answer is under way */
}

bool pc_orders_subscribe(struct pc_node_part *part)
{
    struct pusherc_link *node = part->node;
    char key[MAX_KEY];
    return pc_part_took(part, node->ops.subscribe(node->self, part->index, part->session,
                                                  PUSHERC_TOPIC_CHANNEL,
                                                  own_key(key, pc_slice_of(node->id)))) &&
           pc_part_took(part, node->ops.subscribe(node->self, part->index, part->session,
                                                  PUSHERC_TOPIC_ORDERS, PC_S("")));
}

void pc_orders_subscribed(struct pc_node_part *part)
{
    part->node->orders.subscribed = true;
    read_on(part);
}

void pc_orders_attached(struct pc_node_part *part, bool other_data, bool away)
{
    struct pc_orders *orders = &part->node->orders;
    orders->owes_all |= other_data && away;
    orders->in_step = orders->said_in_step = false;
    read_on(part);
}

void pc_orders_up(struct pc_node_part *part)
{
    PC_LIST_EACH(l, &part->node->orders.open) {
        own_order_at(l)->asked = false;
    }
    give(part);
}

void pc_orders_tick(struct pc_node_part *part)
{
    struct pc_orders *orders = &part->node->orders;
    look_at_times(part->node);
    if (orders->owes_all && pc_everywhere_missed(part->node->engine) == 0) {
        orders->owes_all = false;
        pc_stat_add(&part->node->stats.missed, 1);
        PC_LOG(&part->node->engine->log, INFO, about,
               "orders of other nodes may have been missed: all grants are asked again");
    }
    read_on(part);
    give(part);
}

bool pc_orders_came_into_step(struct pusherc_link *node)
{
    struct pc_orders *orders = &node->orders;
    bool came = orders->in_step && !orders->said_in_step;
    orders->said_in_step = orders->in_step;
    return came;
}

/* -- life -- */

void pc_orders_init(struct pusherc_link *node)
{
    struct pc_orders *orders = &node->orders;
    pc_list_init(&orders->open);
    pc_list_init(&orders->obeyed_in_order);
    pc_list_init(&orders->carried);
    pc_map_init(&orders->obeyed, &node->engine->mem, node->engine->seed);
    node->engine->everywhere = (struct pc_everywhere){tell, node};
}

void pc_orders_free(struct pusherc_link *node)
{
    struct pc_orders *orders = &node->orders;
    node->engine->everywhere = (struct pc_everywhere){.tell = NULL};
    while (!pc_list_empty(&orders->open)) {
        struct own_order *order = own_order_at(orders->open.next);
        call_done(node, order);
        own_order_free(node, order);
    }
    while (!pc_list_empty(&orders->obeyed_in_order))
        obeyed_free(node, PC_CONTAINER(orders->obeyed_in_order.next, struct obeyed, in_order));
    pc_map_free(&orders->obeyed);
}
