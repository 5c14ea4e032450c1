#include "channel/receipts.h"

#include <assert.h>

#include <pusherc/error.h>

#include "base/pack.h"
#include "base/stat.h"
#include "channel/receipt_rule.h"
#include "protocol/names.h"

/* A user whom an event has reached. */
struct reached {
    struct pc_map_node node; /* key: the user's id, behind the struct */
    uint32_t kinds;          /* 1u << pusherc_receipt_kind */
};

/* Two lengths, so that no two names have one key, and the three texts. */
#define KEY_HEAD 4
#define MAX_KEY  (KEY_HEAD + PC_ANY_CHANNEL_NAME_MAX + PC_RECEIPT_EVENT_MAX + PC_RECEIPT_ID_MAX)

_Static_assert(PC_ANY_CHANNEL_NAME_MAX < 1 << 16 && PC_RECEIPT_EVENT_MAX < 1 << 16,
               "a length has two bytes");

void pc_receipts_init(struct pc_receipts *receipts, const struct pc_mem *mem,
                      const uint64_t seed[2])
{
    receipts->mem = *mem;
    receipts->seed[0] = seed[0];
    receipts->seed[1] = seed[1];
    pthread_mutex_init(&receipts->mutex, NULL);
    pc_map_init(&receipts->by_key, &receipts->mem, seed);
    pc_list_init(&receipts->in_order);
}

/* -- what it takes -- */

static size_t size_of_event(const struct pc_tracked *event)
{
    return sizeof *event + event->node.key.len + event->app_id.len + event->event.len +
           event->data.len;
}

/* With its place in the table. */
static size_t size_of_user(pusherc_slice user_id)
{
    return sizeof(struct reached) + user_id.len + 2 * sizeof(void *);
}

static void take(struct pc_tracked *event, size_t bytes)
{
    event->bytes += bytes;
    pc_stat_add(&event->of->bytes, bytes);
}

/* -- forgetting -- */

static void free_user(struct pc_map_node *node, void *ctx)
{
    struct pc_tracked *event = ctx;
    pc_map_remove(&event->users, node);
    pc_free(event->users.mem, PC_CONTAINER(node, struct reached, node));
}

static void forget(struct pc_tracked *event)
{
    struct pc_receipts *receipts = event->of;
    pc_map_each(&event->users, free_user, event);
    pc_map_free(&event->users);
    pc_map_remove(&receipts->by_key, &event->node);
    pc_list_remove(&event->in_order);
    pc_stat_sub(&receipts->bytes, event->bytes);
    event->bytes = 0;
    event->known = false;
    pc_tracked_unref(event);
}

void pc_receipts_free(struct pc_receipts *receipts)
{
    while (!pc_list_empty(&receipts->in_order))
        forget(PC_CONTAINER(receipts->in_order.next, struct pc_tracked, in_order));
    pc_map_free(&receipts->by_key);
    pthread_mutex_destroy(&receipts->mutex);
}

/* Forgets what is over, and the oldest until `more` bytes fit, all but `kept`, which may be NULL. False: they would not fit
 * beside it. */
static bool make_room(struct pc_receipts *receipts, size_t more, const struct pc_tracked *kept,
                      uint64_t now_ms)
{
    if (more + (kept ? kept->bytes : 0) > receipts->max_bytes)
        return false;
    PC_LIST_EACH_SAFE(link, next, &receipts->in_order) {
        struct pc_tracked *event = PC_CONTAINER(link, struct pc_tracked, in_order);
        const bool over = event->ends_ms <= now_ms;
        if (!over && pc_stat_get(&receipts->bytes) + more <= receipts->max_bytes)
            break;
        if (event == kept)
            continue;
        pc_stat_add_shared(&receipts->forgotten, !over);
        forget(event);
    }
    return true;
}

/* -- events -- */

static size_t key_len(const struct pc_receipt_name *name)
{
    return KEY_HEAD + name->channel.len + name->rule_event.len + name->id.len;
}

static pusherc_slice key_of(const struct pc_receipt_name *name, char *room)
{
    char *at = room;
    *at++ = (char)(name->channel.len >> 8);
    *at++ = (char)name->channel.len;
    *at++ = (char)(name->rule_event.len >> 8);
    *at++ = (char)name->rule_event.len;
    pc_pack(&at, name->channel);
    pc_pack(&at, name->rule_event);
    pc_pack(&at, name->id);
    return pc_slice(room, (size_t)(at - room));
}

static struct pc_tracked *tracked_new(struct pc_receipts *receipts,
                                      const struct pc_receipt_name *name, pusherc_slice app_id,
                                      pusherc_slice event_name, pusherc_slice data)
{
    struct pc_tracked *event =
        pc_alloc_zero(&receipts->mem, sizeof *event + key_len(name) + app_id.len + event_name.len +
                                          (data.ptr ? data.len : 0));
    if (!event)
        return NULL;
    char *at = (char *)(event + 1);
    event->node.key = key_of(name, at);
    event->channel = pc_slice(at + KEY_HEAD, name->channel.len);
    event->id = pc_slice(at + event->node.key.len - name->id.len, name->id.len);
    at += event->node.key.len;
    event->app_id = pc_pack(&at, app_id);
    event->event = pc_pack(&at, event_name);
    if (data.ptr)
        event->data = pc_pack(&at, data);
    event->mem = receipts->mem;
    event->of = receipts;
    atomic_init(&event->refs, 1); /* the table's */
    pc_map_init(&event->users, &receipts->mem, receipts->seed);
    return event;
}

static struct pc_tracked *find(struct pc_receipts *receipts, pusherc_slice key, uint64_t now_ms)
{
    struct pc_map_node *node = pc_map_find(&receipts->by_key, key);
    struct pc_tracked *event = node ? PC_CONTAINER(node, struct pc_tracked, node) : NULL;
    if (event && event->ends_ms <= now_ms) {
        forget(event);
        return NULL;
    }
    return event;
}

/* Locked. The event is added, or freed. */
static int add(struct pc_receipts *receipts, const struct pc_receipt_bounds *bounds,
               struct pc_tracked *event, uint64_t now_ms)
{
    event->ends_ms = now_ms + bounds->keep_ms;
    receipts->max_bytes = bounds->max_bytes;
    if (!make_room(receipts, size_of_event(event), NULL, now_ms)) {
        event->ends_ms = now_ms; /* it is not remembered, and gives no receipt */
        pc_stat_add_shared(&receipts->forgotten, 1);
        return 0;
    }
    int err = pc_map_insert(&receipts->by_key, &event->node);
    if (err)
        return err;
    pc_list_push_back(&receipts->in_order, &event->in_order);
    take(event, size_of_event(event));
    event->known = true;
    pc_tracked_ref(event);
    return 0;
}

int pc_receipts_add(struct pc_receipts *receipts, const struct pc_receipt_bounds *bounds,
                    const struct pc_receipt_name *name, pusherc_slice app_id, pusherc_slice event,
                    pusherc_slice data, uint64_t now_ms, struct pc_tracked **out)
{
    struct pc_tracked *new = tracked_new(receipts, name, app_id, event, data);
    *out = NULL;
    if (!new)
        return PUSHERC_ENOMEM;
    pthread_mutex_lock(&receipts->mutex);
    struct pc_tracked *known = find(receipts, new->node.key, now_ms);
    int err = 0;
    if (known)
        pc_tracked_ref(known);
    else
        err = add(receipts, bounds, new, now_ms);
    pthread_mutex_unlock(&receipts->mutex);
    *out = known ? known : err ? NULL : new;
    if (*out != new)
        pc_tracked_unref(new);
    return err;
}

struct pc_tracked *pc_receipts_find(struct pc_receipts *receipts,
                                    const struct pc_receipt_name *name, uint64_t now_ms)
{
    char room[MAX_KEY];
    assert(key_len(name) <= sizeof room);
    pthread_mutex_lock(&receipts->mutex);
    struct pc_tracked *event = find(receipts, key_of(name, room), now_ms);
    if (event)
        pc_tracked_ref(event);
    pthread_mutex_unlock(&receipts->mutex);
    return event;
}

void pc_tracked_ref(struct pc_tracked *event)
{
    atomic_fetch_add_explicit(&event->refs, 1, memory_order_relaxed);
}

void pc_tracked_unref(struct pc_tracked *event)
{
    /* acquire: the thread that frees sees everything the other holders did */
    if (!event || atomic_fetch_sub_explicit(&event->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct pc_mem mem = event->mem;
    pc_free(&mem, event);
}

/* -- users -- */

/* Locked. NULL: no memory, or no room. */
static struct reached *user_of(struct pc_tracked *event, pusherc_slice user_id, uint64_t now_ms)
{
    struct pc_map_node *node = pc_map_find(&event->users, user_id);
    if (node)
        return PC_CONTAINER(node, struct reached, node);
    if (!make_room(event->of, size_of_user(user_id), event, now_ms))
        return NULL;
    struct reached *user = pc_alloc_zero(event->users.mem, sizeof *user + user_id.len);
    if (!user)
        return NULL;
    char *at = (char *)(user + 1);
    user->node.key = pc_pack(&at, user_id);
    if (pc_map_insert(&event->users, &user->node)) {
        pc_free(event->users.mem, user);
        return NULL;
    }
    take(event, size_of_user(user_id));
    return user;
}

/* Locked. */
static bool reached(struct pc_tracked *event, pusherc_slice user_id, pusherc_receipt_kind kind,
                    uint64_t now_ms)
{
    struct pc_receipts *receipts = event->of;
    if (!event->known || event->ends_ms <= now_ms)
        return false;
    struct reached *user = user_of(event, user_id, now_ms);
    if (!user) {
        pc_stat_add_shared(&receipts->lost, 1);
        return false;
    }
    const bool first = !(user->kinds & (1u << kind));
    user->kinds |= 1u << kind;
    pc_stat_add_shared(kind == PUSHERC_RECEIPT_SHOWN ? &receipts->shown : &receipts->written,
                       first);
    return first;
}

bool pc_tracked_reached(struct pc_tracked *event, pusherc_slice user_id, pusherc_receipt_kind kind,
                        uint64_t now_ms)
{
    pthread_mutex_lock(&event->of->mutex);
    const bool first = reached(event, user_id, kind, now_ms);
    pthread_mutex_unlock(&event->of->mutex);
    return first;
}
