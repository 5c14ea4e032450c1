#include "cluster/relay.h"

#include <pusherc/error.h>

#include "base/pack.h"
#include "fanout/publish.h"

#define NUMBER_DIGITS PC_U64_DIGITS /* written when the order is known */
#define MAX_HEAD      160           /* bytes of a message's first line */
#define MAX_ORIGINS                                                                                \
    4096 /* nodes whose last number is known; the one heard longest ago is forgotten */
#define MAX_EVENT 1024 /* bytes of an event's name */
#define MAX_ID    512  /* bytes of a user id */

struct pc_relayed {
    struct pc_outgoing out;
    struct pc_node_part *part;
    uint64_t since_ms;
    pusherc_slice key, message;
    char *number; /* its digits in the message */
};

/* The last number that came from a node. */
struct origin {
    struct pc_map_node node;
    struct pc_list in_order;
    uint64_t number;
};

static size_t size_of(const struct pc_relayed *event)
{
    return sizeof *event + event->key.len + event->message.len;
}

static void relayed_free(struct pusherc_link *node, struct pc_relayed *event)
{
    pthread_mutex_lock(&node->mutex);
    node->outbox_bytes -= size_of(event);
    pthread_mutex_unlock(&node->mutex);
    pc_list_remove(&event->out.in_order);
    pc_free(&node->engine->mem, event);
}

static void drop_counted(struct pusherc_link *node, struct pc_relayed *event)
{
    pc_stat_add_shared(&node->stats.dropped, 1);
    relayed_free(node, event);
}

/* -- on any thread -- */

/* "E <origin> <number> <flags> <except> <bytes of the user id> <bytes of the name>\n", then user id, name and data. */
static void put_message(struct pusherc_link *node, const struct pc_publication *p,
                        struct pc_buf *out, size_t *number_at)
{
    char except[PUSHERC_SOCKET_ID_STRLEN];
    pc_buf_put(out, PC_S("E "));
    pc_buf_put(out, pc_slice_of(node->id));
    pc_buf_put_char(out, ' ');
    *number_at = out->len;
    for (int i = 0; i < NUMBER_DIGITS; i++)
        pc_buf_put_char(out, '0');
    pc_buf_put(out, p->cacheable ? PC_S(" k ") : PC_S(" c "));
    if (p->except.a) {
        size_t len = pusherc_socket_id_format(p->except, except);
        pc_buf_put(out, pc_slice(except, len));
    } else {
        pc_buf_put_char(out, '-');
    }
    pc_buf_put_char(out, ' ');
    pc_buf_put_u64(out, p->user_id.len);
    pc_buf_put_char(out, ' ');
    pc_buf_put_u64(out, p->event.len);
    pc_buf_put_char(out, '\n');
    pc_buf_put(out, p->user_id);
    pc_buf_put(out, p->event);
    pc_buf_put(out, p->data);
}

static void take(struct pusherc_link *node, struct pc_outgoing *out);

static struct pc_relayed *prepare(void *ctx, const struct pc_app *app, pusherc_slice channel,
                                  const struct pc_publication *p)
{
    struct pusherc_link *node = ctx;
    pusherc_slice id = app->id;
    size_t key_len = id.len + 1 + channel.len;
    size_t most = MAX_HEAD + p->user_id.len + p->event.len + p->data.len, number_at;
    struct pc_relayed *event = pc_alloc(&node->engine->mem, sizeof *event + key_len + most);
    if (!event)
        return NULL;
    char *at = (char *)(event + 1), *key = at;
    struct pc_buf message;
    pc_pack(&at, id);
    *at++ = '/';
    pc_pack(&at, channel);
    event->key = pc_slice(key, key_len);
    pc_buf_init_in(&message, &node->engine->mem, most, at, most);
    put_message(node, p, &message, &number_at);
    event->message = pc_buf_slice(&message);
    event->number = message.ptr + number_at;
    event->part = pc_node_part_of(node, event->key);
    event->since_ms = 0;
    event->out.take = take;
    pc_list_init(&event->out.in_order);
    pthread_mutex_lock(&node->mutex);
    bool fits = node->outbox_bytes + size_of(event) <= node->options.outbox_bytes;
    node->outbox_bytes += fits ? size_of(event) : 0;
    pthread_mutex_unlock(&node->mutex);
    if (fits)
        return event;
    pc_stat_add_shared(&node->stats.dropped, 1);
    pc_free(&node->engine->mem, event);
    return NULL;
}

/* The channel's shard is locked, so the order of the numbers is that of the events here. */
static uint64_t send(void *ctx, struct pc_relayed *event)
{
    struct pusherc_link *node = ctx;
    char digits[PC_U64_DIGITS];
    pthread_mutex_lock(&node->mutex);
    size_t len = pc_format_u64(++event->part->published, digits);
    memcpy(event->number + NUMBER_DIGITS - len, digits, len);
    pc_list_push_back(&node->outgoing, &event->out.in_order);
    uint64_t wake = pc_node_mark(node);
    pthread_mutex_unlock(&node->mutex);
    return wake;
}

static void drop(void *ctx, struct pc_relayed *event)
{
    relayed_free(ctx, event);
}

/* -- on the node's thread -- */

static void on_published(struct pc_node_part *part, struct pc_request *r,
                         const pusherc_slice *values, size_t count)
{
    (void)values;
    (void)count;
    relayed_free(part->node, r->event);
}

/* Whether it was published is not known: again, before what came later. */
static void on_publish_forgotten(struct pc_node_part *part, struct pc_request *r)
{
    pc_list_push_back(part->outbox.next, &r->event->out.in_order); /* in front */
}

static const struct pc_request_kind publish_kind = {(pusherc_step)0, on_published,
                                                    on_publish_forgotten};

void pc_relay_send(struct pc_node_part *part)
{
    while (pc_part_is_up(part) && !pc_list_empty(&part->outbox)) {
        struct pc_relayed *event = PC_CONTAINER(part->outbox.next, struct pc_relayed, out.in_order);
        struct pc_request *r = pc_request_new(part->node, &publish_kind);
        if (r)
            r->event = event;
        if (!pc_request_publish(part, r, event->key, event->message))
            return;
        pc_list_remove(&event->out.in_order);
    }
}

static void take(struct pusherc_link *node, struct pc_outgoing *out)
{
    struct pc_relayed *event = PC_CONTAINER(out, struct pc_relayed, out);
    event->since_ms = pc_node_now(node);
    pc_list_push_back(&event->part->outbox, &out->in_order);
    pc_relay_send(event->part);
}

void pc_relay_age(struct pc_node_part *part)
{
    struct pusherc_link *node = part->node;
    while (!pc_list_empty(&part->outbox)) {
        struct pc_relayed *event = PC_CONTAINER(part->outbox.next, struct pc_relayed, out.in_order);
        uint64_t now_ms = pc_node_now(node);
        if (now_ms < event->since_ms || now_ms - event->since_ms < node->options.outbox_ms)
            return;
        drop_counted(node, event);
    }
}

/* -- from other nodes -- */

/* A message, taken apart. */
struct heard {
    pusherc_slice origin;
    uint64_t number;
    bool cacheable;
    pusherc_socket_id except;
    pusherc_slice user_id, event, data;
};

/* The next word of the first line. */
static bool next_word(pusherc_slice *line, pusherc_slice *word)
{
    size_t space = pc_slice_find(*line, ' ');
    *word = pc_slice_first(*line, space);
    *line = pc_slice_skip(*line, space < line->len ? space + 1 : space);
    return word->len > 0;
}

static bool parse_head(pusherc_slice line, struct heard *h, uint64_t *user_len, uint64_t *event_len)
{
    pusherc_slice kind, number, flags, except, user, event;
    if (!next_word(&line, &kind) || !next_word(&line, &h->origin) || !next_word(&line, &number) ||
        !next_word(&line, &flags) || !next_word(&line, &except) || !next_word(&line, &user) ||
        !next_word(&line, &event) || line.len > 0)
        return false;
    h->cacheable = pc_slice_eq(flags, PC_S("k"));
    h->except = (pusherc_socket_id){0, 0};
    if (!pc_slice_eq(except, PC_S("-")) && pusherc_socket_id_parse(except, &h->except))
        return false;
    return pc_slice_eq(kind, PC_S("E")) && h->origin.len == PC_NODE_ID &&
           pc_slice_to_u64(number, &h->number) && (h->cacheable || pc_slice_eq(flags, PC_S("c"))) &&
           pc_slice_to_u64(user, user_len) && pc_slice_to_u64(event, event_len);
}

static bool parse_message(const struct pusherc_link *node, pusherc_slice text, struct heard *h)
{
    uint64_t user_len, event_len;
    size_t end = pc_slice_find(text, '\n');
    if (end == text.len || !parse_head(pc_slice_first(text, end), h, &user_len, &event_len))
        return false;
    pusherc_slice rest = pc_slice_skip(text, end + 1);
    if (user_len > MAX_ID || event_len > MAX_EVENT || user_len + event_len > rest.len)
        return false;
    h->user_id = pc_slice_first(rest, (size_t)user_len);
    rest = pc_slice_skip(rest, h->user_id.len);
    h->event = pc_slice_first(rest, (size_t)event_len);
    h->data = pc_slice_skip(rest, h->event.len);
    return h->event.len > 0 && !pc_event_is_reserved(h->event) && pc_utf8_valid(h->user_id) &&
           pc_utf8_valid(h->event) && pc_utf8_valid(h->data) &&
           h->data.len <= node->engine->options.out_hard_bytes / 2;
}

static void origin_free(struct pc_node_part *part, struct origin *origin)
{
    pc_map_remove(&part->origins, &origin->node);
    pc_list_remove(&origin->in_order);
    pc_free(&part->node->engine->mem, origin);
}

/* The node that published, as the one heard last. NULL: out of memory. */
static struct origin *origin_of(struct pc_node_part *part, pusherc_slice id)
{
    struct pc_map_node *found = pc_map_find(&part->origins, id);
    struct origin *origin = found ? PC_CONTAINER(found, struct origin, node) : NULL;
    if (!origin) {
        origin = pc_alloc_zero(&part->node->engine->mem, sizeof *origin + id.len);
        if (!origin)
            return NULL;
        char *at = (char *)(origin + 1);
        origin->node.key = pc_pack(&at, id);
        pc_list_init(&origin->in_order);
        if (pc_map_insert(&part->origins, &origin->node)) {
            pc_free(&part->node->engine->mem, origin);
            return NULL;
        }
        if (part->origins.count > MAX_ORIGINS)
            origin_free(part, PC_CONTAINER(part->origins_in_order.next, struct origin, in_order));
    }
    pc_list_remove(&origin->in_order);
    pc_list_push_back(&part->origins_in_order, &origin->in_order);
    return origin;
}

bool pc_relay_hears(struct pc_node_part *part, pusherc_slice key, pusherc_slice text)
{
    struct pusherc_link *node = part->node;
    struct pc_channel_class class;
    struct heard h;
    size_t slash = pc_slice_find(key, '/');
    if (slash == key.len || !parse_message(node, text, &h))
        return false;
    if (pc_slice_eq(h.origin, pc_slice_of(node->id)))
        return true; /* clients here have it already */
    pusherc_slice channel = pc_slice_skip(key, slash + 1);
    struct pc_app *app = pc_apps_by_id(&node->engine->apps, pc_slice_first(key, slash));
    bool known = app && pc_channel_name_valid(channel, PC_CHANNEL_NAME_MAX, &class);
    struct origin *origin = known ? origin_of(part, h.origin) : NULL;
    if (origin && h.number > origin->number) {
        origin->number = h.number;
        const struct pc_publication p = {
            .event = h.event,
            .channels = &channel,
            .channel_count = 1,
            .data = h.data,
            .user_id = h.user_id,
            .except = h.except,
            .cacheable = h.cacheable,
            .from_elsewhere = true,
            .now_ms = pc_node_now(node),
            .worker = node->worker,
        };
        /* A full mailbox of a worker is counted there. */
        (void)!pc_publish(node->engine, app, &p);
    }
    pc_app_unref(app);
    return known;
}

/* -- life -- */

void pc_relay_init(struct pusherc_link *node)
{
    node->engine->relay = (struct pc_relay){prepare, send, drop, node};
}

void pc_relay_free(struct pusherc_link *node)
{
    for (uint32_t i = 0; i < node->part_count; i++) {
        struct pc_node_part *part = &node->parts[i];
        while (!pc_list_empty(&part->outbox))
            drop_counted(node, PC_CONTAINER(part->outbox.next, struct pc_relayed, out.in_order));
        while (!pc_list_empty(&part->origins_in_order))
            origin_free(part, PC_CONTAINER(part->origins_in_order.next, struct origin, in_order));
        pc_map_free(&part->origins);
    }
}
