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
    uint64_t
        keep_ms; /* for how long the authority keeps it as the channel's last event; 0 = it does not */
    bool here; /* of one that is kept: clients here have it */
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

/* "E <origin> <number> <flags> <except> <bytes of the user id> <bytes of the name>\n", then user id, name and data. The
 * number is written with NUMBER_DIGITS. */
static void put_message(struct pc_buf *out, const struct pc_heard *h, size_t *number_at)
{
    char except[PUSHERC_SOCKET_ID_STRLEN], digits[PC_U64_DIGITS];
    pc_buf_put(out, PC_S("E "));
    pc_buf_put(out, h->origin);
    pc_buf_put_char(out, ' ');
    *number_at = out->len;
    size_t len = pc_format_u64(h->number, digits);
    for (size_t i = len; i < NUMBER_DIGITS; i++)
        pc_buf_put_char(out, '0');
    pc_buf_put(out, pc_slice(digits, len));
    pc_buf_put(out, h->cacheable ? PC_S(" k ") : PC_S(" c "));
    if (h->except.a) {
        len = pusherc_socket_id_format(h->except, except);
        pc_buf_put(out, pc_slice(except, len));
    } else {
        pc_buf_put_char(out, '-');
    }
    pc_buf_put_char(out, ' ');
    pc_buf_put_u64(out, h->user_id.len);
    pc_buf_put_char(out, ' ');
    pc_buf_put_u64(out, h->event.len);
    pc_buf_put_char(out, '\n');
    pc_buf_put(out, h->user_id);
    pc_buf_put(out, h->event);
    pc_buf_put(out, h->data);
}

static void take(struct pusherc_link *node, struct pc_outgoing *out);

static struct pc_relayed *prepare(void *ctx, const struct pc_app *app, pusherc_slice channel,
                                  const struct pc_publication *p, bool through)
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
    const struct pc_heard h = {.origin = pc_slice_of(node->id), /* the number comes later */
                               .cacheable = p->cacheable,
                               .except = p->except,
                               .user_id = p->user_id,
                               .event = p->event,
                               .data = p->data};
    put_message(&message, &h, &number_at);
    event->message = pc_buf_slice(&message);
    event->number = message.ptr + number_at;
    event->part = pc_node_part_of(node, event->key);
    event->since_ms = 0;
    event->keep_ms = through ? UINT64_C(1000) * app->options.cache_ttl_s : 0;
    event->here = false;
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

static void deliver_here(struct pc_relayed *event);

/* Publishes an event that is in no list. False: it was not taken. */
static bool publish(struct pc_node_part *part, struct pc_relayed *event)
{
    struct pc_request *r = pc_request_new(part->node, &publish_kind);
    if (r)
        r->event = event;
    return pc_request_publish(part, r, event->key, event->message);
}

/* If the authority cannot keep it now, because it has no memory left, it is published as other events are. */
static void on_keep_forgotten(struct pc_node_part *part, struct pc_request *r)
{
    if (r->put_off) {
        deliver_here(r->event);
        r->event->keep_ms = 0;
    }
    if (!r->put_off || !publish(part, r->event))
        on_publish_forgotten(part, r);
}

static const struct pc_request_kind keep_kind = {PUSHERC_STEP_KEEP, on_published,
                                                 on_keep_forgotten};

static bool keep(struct pc_node_part *part, struct pc_relayed *event)
{
    struct pc_values args;
    struct pc_request *r = pc_request_new(part->node, &keep_kind);
    if (r)
        r->event = event;
    pc_values_init(&args, &part->node->engine->mem);
    pc_values_put(&args, event->key);
    pc_values_put_u64(&args, event->keep_ms);
    pc_values_put(&args, event->message);
    return pc_request_send(part, r, &args);
}

void pc_relay_send(struct pc_node_part *part)
{
    while (pc_part_is_up(part) && !pc_list_empty(&part->outbox)) {
        struct pc_relayed *event = PC_CONTAINER(part->outbox.next, struct pc_relayed, out.in_order);
        if (!(event->keep_ms ? keep(part, event) : publish(part, event)))
            return;
        pc_list_remove(&event->out.in_order);
    }
}

static void take(struct pusherc_link *node, struct pc_outgoing *out)
{
    struct pc_relayed *event = PC_CONTAINER(out, struct pc_relayed, out);
    event->since_ms = pc_node_now(node);
    pc_list_push_back(&event->part->outbox, &out->in_order);
    if (!pc_part_is_up(event->part))
        deliver_here(event);
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

/* The next word of the first line. */
static bool next_word(pusherc_slice *line, pusherc_slice *word)
{
    size_t space = pc_slice_find(*line, ' ');
    *word = pc_slice_first(*line, space);
    *line = pc_slice_skip(*line, space < line->len ? space + 1 : space);
    return word->len > 0;
}

static bool parse_head(pusherc_slice line, struct pc_heard *h, uint64_t *user_len,
                       uint64_t *event_len)
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

bool pc_relay_parse(const struct pusherc_link *node, pusherc_slice text, struct pc_heard *h)
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

bool pc_relay_would_be_news(const struct pc_node_part *part, const struct pc_heard *heard)
{
    struct pc_map_node *found = pc_map_find(&part->origins, heard->origin);
    return !found || heard->number > PC_CONTAINER(found, struct origin, node)->number;
}

bool pc_relay_is_news(struct pc_node_part *part, const struct pc_heard *heard)
{
    struct origin *origin = origin_of(part, heard->origin);
    if (!origin || heard->number <= origin->number)
        return false;
    origin->number = heard->number;
    return true;
}

void pc_relay_deliver(struct pusherc_link *node, const struct pc_app *app, pusherc_slice channel,
                      const struct pc_heard *heard)
{
    const struct pc_publication p = {
        .event = heard->event,
        .channels = &channel,
        .channel_count = 1,
        .data = heard->data,
        .user_id = heard->user_id,
        .except = heard->except,
        .cacheable = heard->cacheable,
        .from_elsewhere = true,
        .returns = pc_slice_eq(heard->origin, pc_slice_of(node->id)),
        .now_ms = pc_node_now(node),
        .worker = node->worker,
    };
    /* A full mailbox of a worker is counted there. */
    (void)!pc_publish(node->engine, app, &p);
}

/* The channel of a key. False: it is none. */
static bool split(pusherc_slice key, pusherc_slice *app_id, pusherc_slice *channel)
{
    struct pc_channel_class class;
    size_t slash = pc_slice_find(key, '/');
    *app_id = pc_slice_first(key, slash);
    *channel = pc_slice_skip(key, slash < key.len ? slash + 1 : slash);
    return slash < key.len && pc_channel_name_valid(*channel, PC_CHANNEL_NAME_MAX, &class);
}

bool pc_relay_hears(struct pc_node_part *part, pusherc_slice key, pusherc_slice text)
{
    struct pusherc_link *node = part->node;
    struct pc_heard h;
    pusherc_slice id, channel;
    if (pc_slice_find(key, '/') == key.len || !pc_relay_parse(node, text, &h))
        return false;
    if (pc_slice_eq(h.origin, pc_slice_of(node->id)))
        return true; /* clients here have it already */
    bool is_channel = split(key, &id, &channel);
    struct pc_app *app = is_channel ? pc_apps_by_id(&node->engine->apps, id) : NULL;
    if (app && pc_relay_is_news(part, &h))
        pc_relay_deliver(node, app, channel, &h);
    pc_app_unref(app);
    return app != NULL;
}

/* -- what is kept -- */

void pc_relay_put_kept(struct pc_buf *out, const struct pc_heard *kept)
{
    size_t number_at;
    put_message(out, kept, &number_at);
}

static void deliver_here(struct pc_relayed *event)
{
    struct pusherc_link *node = event->part->node;
    struct pc_heard h;
    pusherc_slice id, channel;
    if (event->keep_ms == 0 || event->here)
        return;
    event->here = true;
    /* what the host gave was checked before */
    if (!pc_relay_parse(node, event->message, &h) || !split(event->key, &id, &channel))
        return;
    struct pc_app *app = pc_apps_by_id(&node->engine->apps, id);
    if (app && pc_relay_is_news(event->part, &h)) /* otherwise it has come back */
        pc_relay_deliver(node, app, channel, &h);
    pc_app_unref(app);
}

void pc_relay_lost(struct pc_node_part *part)
{
    PC_LIST_EACH(l, &part->outbox) {
        deliver_here(PC_CONTAINER(l, struct pc_relayed, out.in_order));
    }
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
