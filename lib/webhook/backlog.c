#include "webhook/backlog.h"

#include <assert.h>

#include "base/stat.h"

#define MAX_CHANNEL_KEY 256

void pc_backlog_init(struct pc_webhook_backlog *b, const struct pc_mem *mem,
                     const struct pc_webhook_settings *settings, struct pc_webhook_stats *stats,
                     const uint64_t seed[2])
{
    *b = (struct pc_webhook_backlog){.mem = mem, .settings = settings, .stats = stats};
    pc_list_init(&b->ready);
    pc_list_init(&b->delayed);
    pc_map_init(&b->ready_by_key, mem, seed);
    pc_map_init(&b->delayed_by_key, mem, seed);
}

void pc_backlog_free(struct pc_webhook_backlog *b)
{
    assert(b->count == 0);
    pc_map_free(&b->ready_by_key);
    pc_map_free(&b->delayed_by_key);
}

/* -- taking events out -- */

static struct pc_webhook_event *event_at(struct pc_list *link)
{
    return PC_CONTAINER(link, struct pc_webhook_event, link);
}

static void take_delayed(struct pc_webhook_backlog *b, struct pc_webhook_event *event)
{
    pc_list_remove(&event->link);
    pc_map_remove(&b->delayed_by_key, &event->node);
    b->delayed_count--;
}

static void take_from_map(struct pc_webhook_backlog *b, struct pc_webhook_event *event)
{
    if (event->in_map)
        pc_map_remove(&b->ready_by_key, &event->node);
    event->in_map = false;
}

static void take_ready(struct pc_webhook_backlog *b, struct pc_webhook_event *event)
{
    pc_list_remove(&event->link);
    take_from_map(b, event);
    b->ready_count -= !event->silent;
}

/* The caller owns the event, which is in no list. */
static void uncount(struct pc_webhook_backlog *b, const struct pc_webhook_event *event)
{
    b->count--;
    b->bytes -= event->size;
}

/* Frees an event that is in no list. */
static void forget(struct pc_webhook_backlog *b, struct pc_webhook_event *event)
{
    if (!event->silent)
        pc_stat_sub(&b->stats->queued, 1);
    uncount(b, event);
    pc_webhook_event_free(b->mem, event);
}

static struct pc_webhook_event *find(const struct pc_map *map, pusherc_slice key)
{
    struct pc_map_node *node = pc_map_find(map, key);
    return node ? PC_CONTAINER(node, struct pc_webhook_event, node) : NULL;
}

static bool forget_ready(struct pc_webhook_backlog *b, pusherc_slice key)
{
    struct pc_webhook_event *event = find(&b->ready_by_key, key);
    if (!event)
        return false;
    take_ready(b, event);
    forget(b, event);
    return true;
}

static bool forget_delayed(struct pc_webhook_backlog *b, pusherc_slice key)
{
    struct pc_webhook_event *event = find(&b->delayed_by_key, key);
    if (!event)
        return false;
    take_delayed(b, event);
    forget(b, event);
    return true;
}

static void skip_silent(struct pc_webhook_backlog *b)
{
    while (!pc_list_empty(&b->ready) && event_at(b->ready.next)->silent) {
        struct pc_webhook_event *event = event_at(b->ready.next);
        take_ready(b, event);
        forget(b, event);
    }
}

/* -- what cancels what -- */

bool pc_backlog_is_behind(const struct pc_webhook_backlog *b)
{
    return b->ready_count >= b->settings->behind_events;
}

/* Forgets what waits about a channel that is vacant now: who would fill its cache, who would be counted? */
static void forget_about_vacant(struct pc_webhook_backlog *b, pusherc_slice key)
{
    static const char types[] = {PC_WEBHOOK_KEY_MISS, PC_WEBHOOK_KEY_COUNT};
    char text[MAX_CHANNEL_KEY];
    if (key.len > sizeof text)
        return;
    memcpy(text, key.ptr, key.len);
    for (size_t i = 0; i < sizeof types; i++) {
        text[0] = types[i];
        forget_ready(b, pc_slice(text, key.len));
    }
}

/* A removal, for an endpoint that is behind. True: the endpoint has not been told of the addition, and will not be. */
static bool cancel_addition(struct pc_webhook_backlog *b, uint32_t kind, pusherc_slice key)
{
    if (kind == PUSHERC_WEBHOOK_CHANNEL_VACATED)
        forget_about_vacant(b, key);
    return forget_ready(b, key);
}

bool pc_backlog_absorb(struct pc_webhook_backlog *b, const struct pc_notice *notice,
                       pusherc_slice key)
{
    if (key.len == 0)
        return false;
    if (pc_webhook_is_addition(notice->kind))
        return forget_delayed(b, key);
    if (!pc_backlog_is_behind(b))
        return false;
    if (pc_webhook_is_removal(notice->kind))
        return cancel_addition(b, notice->kind, key);
    struct pc_webhook_event *same = find(&b->ready_by_key, key);
    if (same)
        same->subscription_count = notice->subscription_count;
    return same;
}

/* -- adding -- */

/* Only the last event of its key may be cancelled: one before a removal that will be sent stays. An event that memory
 * ran out for is sent in any case. */
static void put_in_map(struct pc_webhook_backlog *b, struct pc_webhook_event *event)
{
    pusherc_slice key = event->node.key;
    struct pc_webhook_event *before = key.len ? find(&b->ready_by_key, key) : NULL;
    if (before)
        take_from_map(b, before);
    if (key.len && !pc_webhook_is_removal(event->kind))
        event->in_map = pc_map_insert(&b->ready_by_key, &event->node) == 0;
}

static void push_ready(struct pc_webhook_backlog *b, struct pc_webhook_event *event)
{
    put_in_map(b, event);
    pc_list_push_back(&b->ready, &event->link);
    b->ready_count += !event->silent;
}

int pc_backlog_add(struct pc_webhook_backlog *b, struct pc_webhook_event *event, bool delayed)
{
    if (delayed) {
        /* the same removal may still wait, if the addition in between was dropped for lack of room */
        forget_delayed(b, event->node.key);
        if (pc_map_insert(&b->delayed_by_key, &event->node))
            return PUSHERC_ENOMEM;
        pc_list_push_back(&b->delayed, &event->link);
        b->delayed_count++;
    } else {
        push_ready(b, event);
    }
    if (!event->silent)
        pc_stat_add(&b->stats->queued, 1);
    b->count++;
    b->bytes += event->size;
    return 0;
}

void pc_backlog_advance(struct pc_webhook_backlog *b, uint64_t now_ms, bool all)
{
    while (!pc_list_empty(&b->delayed)) {
        struct pc_webhook_event *event = event_at(b->delayed.next);
        bool many = b->delayed_count > b->settings->max_queued / 2;
        if (event->ready_ms > now_ms && !all && !many)
            break;
        take_delayed(b, event);
        if ((pc_backlog_is_behind(b) && cancel_addition(b, event->kind, event->node.key)) ||
            event->silent)
            forget(b, event);
        else
            push_ready(b, event);
    }
    skip_silent(b);
}

/* -- sending -- */

struct pc_webhook_event *pc_backlog_first(const struct pc_webhook_backlog *b)
{
    return pc_list_empty(&b->ready) ? NULL : event_at(b->ready.next);
}

struct pc_webhook_event *pc_backlog_removal(const struct pc_webhook_backlog *b)
{
    return pc_list_empty(&b->delayed) ? NULL : event_at(b->delayed.next);
}

struct pc_webhook_event *pc_backlog_take(struct pc_webhook_backlog *b)
{
    struct pc_webhook_event *event = event_at(b->ready.next);
    take_ready(b, event);
    uncount(b, event);
    skip_silent(b);
    return event;
}

void pc_backlog_put_back(struct pc_webhook_backlog *b, struct pc_list *events)
{
    PC_LIST_EACH(l, events) {
        struct pc_webhook_event *event = event_at(l);
        b->ready_count++;
        b->count++;
        b->bytes += event->size;
    }
    pc_list_put_back(&b->ready, events);
}

bool pc_backlog_drop_last(struct pc_webhook_backlog *b)
{
    struct pc_webhook_event *event;
    if (!pc_list_empty(&b->delayed))
        take_delayed(b, event = event_at(b->delayed.prev));
    else if (!pc_list_empty(&b->ready))
        take_ready(b, event = event_at(b->ready.prev));
    else
        return false;
    if (!event->silent)
        pc_stat_add(&b->stats->dropped, 1);
    forget(b, event);
    return true;
}
