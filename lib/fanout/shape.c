#include "fanout/shape.h"

#include <assert.h>
#include <string.h>

#include "base/stat.h"
#include "base/timer.h"
#include "codec/json.h"

#define MAX_KEY 512 /* bytes of what tells events apart: name, key, sender */

/* A timer is late by that much at most, so the rate may be ahead by as much. */
#define BURST_US ((uint64_t)PC_TIMER_SLOT_MS * 1000)

enum entry_state {
    IN_WINDOW, /* in by_due */
    READY,     /* in ready: its window is over, and it has an event */
    SENDING    /* in neither: the channel's event on its way is of this entry */
};

struct pc_shape_entry {
    struct pc_map_node node;
    struct pc_list link;     /* of by_due or ready */
    struct pc_list of_first; /* of by_first, while it has an event */
    enum entry_state state;
    bool full;             /* a batch that takes no more: not in `keys` */
    bool cacheable;        /* of the event */
    bool is_everywhere;    /* the same */
    uint32_t events;       /* that came; 0 = it has none now */
    uint64_t due_ms;       /* the end of the window */
    uint64_t first_ms;     /* when the event began to wait */
    char *value;           /* owned: the user's id, then data */
    size_t cap, len, user; /* bytes of `value`: all, used, the user's id */
    size_t name;           /* bytes of the event's name, with which the key begins */
    pusherc_socket_id except;
    char key[];
};

#define OF_LINK(l)  PC_CONTAINER(l, struct pc_shape_entry, link)
#define OF_FIRST(l) PC_CONTAINER(l, struct pc_shape_entry, of_first)

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    pc_stat_add_shared(counter, n);
}

/* -- keys -- */

static char *put_bytes(char *at, const void *bytes, size_t len)
{
    if (len)
        memcpy(at, bytes, len);
    return at + len;
}

/* What tells the event apart from others; len 0: it is too long. Events of one batch have one sender. The last NUL stands
 * before the key, which has none. */
static pusherc_slice identify(const struct pc_shape *shape, const struct pc_shape_event *event,
                              pusherc_slice key, char room[MAX_KEY])
{
    const bool batch = shape->rule->mode == PC_SHAPE_BATCH;
    const uint32_t user = (uint32_t)event->user_id.len;
    const size_t sender = batch ? sizeof event->except + sizeof user + user : 0;
    char *at = room;
    if (event->name.len > MAX_KEY || key.len > MAX_KEY || event->user_id.len > MAX_KEY ||
        event->name.len + 1 + key.len + sender > MAX_KEY)
        return PC_S("");
    at = put_bytes(at, event->name.ptr, event->name.len);
    if (batch) {
        at = put_bytes(at, &user, sizeof user);
        at = put_bytes(at, &event->except, sizeof event->except);
        at = put_bytes(at, event->user_id.ptr, user);
    }
    *at++ = '\0';
    at = put_bytes(at, key.ptr, key.len);
    return pc_slice(room, (size_t)(at - room));
}

/* -- entries -- */

static bool has_room(const struct pc_shape *shape, size_t more)
{
    const size_t max = shape->rule->max_bytes;
    return shape->bytes <= max && more <= max - shape->bytes;
}

/* 0; PUSHERC_EBACKLOG: no room; PUSHERC_ENOMEM. `generous`: it will grow again. `beyond`: whether or not there is room. */
static int grow(struct pc_shape *shape, struct pc_shape_entry *e, size_t need, bool generous,
                bool beyond)
{
    if (need <= e->cap)
        return 0;
    size_t cap = generous && has_room(shape, e->cap) && e->cap * 2 > need ? e->cap * 2 : need;
    if (!beyond && !has_room(shape, cap - e->cap))
        return PUSHERC_EBACKLOG;
    char *value = pc_resize_array(shape->mem, e->value, cap, 1);
    if (!value)
        return PUSHERC_ENOMEM;
    shape->bytes += cap - e->cap;
    e->value = value;
    e->cap = cap;
    return 0;
}

/* Puts the event in place of what the entry has. */
static int replace(struct pc_shape *shape, struct pc_shape_entry *e,
                   const struct pc_shape_event *event)
{
    /* The entry's event before is on its way, so this one cannot pass. There is one such entry in a channel. */
    const bool beyond = e->state == SENDING;
    int err = grow(shape, e, event->user_id.len + event->data.len, false, beyond);
    if (err)
        return err;
    if (event->user_id.len)
        memcpy(e->value, event->user_id.ptr, event->user_id.len);
    if (event->data.len)
        memcpy(e->value + event->user_id.len, event->data.ptr, event->data.len);
    e->user = event->user_id.len;
    e->len = event->user_id.len + event->data.len;
    e->except = event->except;
    e->cacheable = event->cacheable;
    e->is_everywhere = event->is_everywhere;
    e->events = 1;
    return 0;
}

/* Appends the event to the entry's array, for whose end there is room always. `item`: its data as JSON. */
static int append(struct pc_shape *shape, struct pc_shape_entry *e,
                  const struct pc_shape_event *event, pusherc_slice item)
{
    const size_t start = e->events ? e->len : event->user_id.len;
    int err = grow(shape, e, start + item.len + 2, true, false);
    if (err)
        return err;
    if (e->events == 0 && event->user_id.len)
        memcpy(e->value, event->user_id.ptr, event->user_id.len);
    e->value[start] = e->events ? ',' : '[';
    memcpy(e->value + start + 1, item.ptr, item.len);
    e->user = event->user_id.len;
    e->len = start + 1 + item.len;
    e->except = event->except;
    e->cacheable = event->cacheable;
    e->is_everywhere = event->is_everywhere;
    e->events++;
    return 0;
}

static void begin_window(struct pc_shape *shape, struct pc_shape_entry *e, uint64_t due_ms)
{
    pc_list_remove(&e->link);
    e->state = IN_WINDOW;
    e->due_ms = due_ms;
    pc_list_push_back(&shape->by_due, &e->link);
}

static void make_ready(struct pc_shape *shape, struct pc_shape_entry *e)
{
    pc_list_remove(&e->link);
    e->state = READY;
    pc_list_push_back(&shape->ready, &e->link);
}

static size_t size_of(const struct pc_shape_entry *e)
{
    return sizeof *e + e->node.key.len + e->cap;
}

static void free_entry(struct pc_shape *shape, struct pc_shape_entry *e)
{
    if (!e->full)
        pc_map_remove(&shape->keys, &e->node);
    pc_list_remove(&e->link);
    pc_list_remove(&e->of_first);
    shape->bytes -= size_of(e);
    shape->count--;
    pc_free(shape->mem, e->value);
    pc_free(shape->mem, e);
}

/* An entry for a new key, without an event, in no list. NULL: no room or no memory. */
static struct pc_shape_entry *new_entry(struct pc_shape *shape, pusherc_slice id, size_t name)
{
    if (shape->count >= shape->rule->max_keys ||
        !has_room(shape, sizeof(struct pc_shape_entry) + id.len))
        return NULL;
    struct pc_shape_entry *e = pc_alloc_zero(shape->mem, sizeof *e + id.len);
    if (!e)
        return NULL;
    memcpy(e->key, id.ptr, id.len);
    e->node.key = pc_slice(e->key, id.len);
    e->name = name;
    pc_list_init(&e->link);
    pc_list_init(&e->of_first);
    if (pc_map_insert(&shape->keys, &e->node)) {
        pc_free(shape->mem, e);
        return NULL;
    }
    shape->bytes += size_of(e);
    shape->count++;
    return e;
}

/* -- events that come in -- */

/* The event's data as an item of an array: as it is if it is JSON, else as a string. */
static pusherc_slice item_from(pusherc_slice data, struct pc_buf *scratch)
{
    struct pc_json value = pc_json_parse(data);
    if (value.type != PC_JSON_NONE)
        return value.raw;
    pc_json_put_string(scratch, data);
    return pc_buf_slice(scratch);
}

static bool batch_fits(const struct pc_shape *shape, const struct pc_shape_entry *e,
                       pusherc_slice item)
{
    return e->events == 0 || (e->events < shape->rule->max_events &&
                              e->len - e->user + item.len + 2 <= shape->max_data);
}

/* The batch takes no more, and may go; the key's next event begins another one. */
static void close_batch(struct pc_shape *shape, struct pc_shape_entry *e)
{
    pc_map_remove(&shape->keys, &e->node);
    e->full = true;
    if (e->state != SENDING) /* else when the batch before has been sent */
        make_ready(shape, e);
}

/* The entry has no room for a newer event, which passes: what it has is superseded. */
static void supersede(struct pc_shape *shape, struct pc_shape_entry *e)
{
    add(&shape->rule->counts.merged, e->events);
    e->events = 0;
    pc_list_remove(&e->of_first);
    if (e->state == READY)
        free_entry(shape, e);
}

static enum pc_shape_result not_kept(struct pc_shape *shape, struct pc_shape_entry *e, int err)
{
    struct pc_shape_counts *counts = &shape->rule->counts;
    if (shape->rule->mode == PC_SHAPE_BATCH || (e && e->state == SENDING)) {
        add(&counts->refused, 1);
        return err == PUSHERC_ENOMEM ? PC_SHAPE_NOMEM : PC_SHAPE_FULL;
    }
    if (e)
        supersede(shape, e);
    add(&counts->passed, 1);
    return PC_SHAPE_PASSED;
}

/* The entry has taken an event in, where it had `before` already. */
static void taken_in(struct pc_shape *shape, struct pc_shape_entry *e, uint32_t before,
                     uint64_t now_ms)
{
    const struct pc_shape_rule *rule = shape->rule;
    if (before == 0) {
        e->first_ms = now_ms;
        pc_list_push_back(&shape->by_first, &e->of_first);
    } else if (rule->mode != PC_SHAPE_BATCH) {
        add(&shape->rule->counts.merged, 1);
    }
    if (rule->mode == PC_SHAPE_DEBOUNCE && e->state == IN_WINDOW)
        begin_window(shape, e, now_ms + rule->window_ms);
    else if (e->state == SENDING)
        e->due_ms = now_ms + rule->window_ms;
}

/* The key's first event. */
static enum pc_shape_result put_new(struct pc_shape *shape, const struct pc_shape_event *event,
                                    pusherc_slice id, pusherc_slice item, uint64_t now_ms)
{
    const struct pc_shape_rule *rule = shape->rule;
    struct pc_shape_entry *e = new_entry(shape, id, event->name.len);
    int err = PUSHERC_EBACKLOG;
    if (e)
        err = item.ptr ? append(shape, e, event, item) : replace(shape, e, event);
    if (err) {
        if (e)
            free_entry(shape, e);
        return not_kept(shape, NULL, err);
    }
    if (rule->leading || rule->window_ms == 0)
        make_ready(shape, e);
    else
        begin_window(shape, e, now_ms + rule->window_ms);
    taken_in(shape, e, 0, now_ms);
    return PC_SHAPE_KEPT;
}

static enum pc_shape_result put(struct pc_shape *shape, const struct pc_shape_event *event,
                                pusherc_slice id, pusherc_slice item, uint64_t now_ms)
{
    struct pc_map_node *node = pc_map_find(&shape->keys, id);
    struct pc_shape_entry *e = node ? PC_CONTAINER(node, struct pc_shape_entry, node) : NULL;
    if (e && item.ptr && !batch_fits(shape, e, item)) {
        close_batch(shape, e);
        e = NULL;
    }
    if (!e)
        return put_new(shape, event, id, item, now_ms);
    const uint32_t before = e->events;
    int err = item.ptr ? append(shape, e, event, item) : replace(shape, e, event);
    if (err)
        return not_kept(shape, e, err);
    taken_in(shape, e, before, now_ms);
    return PC_SHAPE_KEPT;
}

enum pc_shape_result pc_shape_put(struct pc_shape *shape, const struct pc_shape_event *event,
                                  pusherc_slice key, uint64_t now_ms)
{
    char room[MAX_KEY], stack[1024];
    struct pc_buf scratch;
    pusherc_slice id = identify(shape, event, key, room), item = {NULL, 0};
    add(&shape->rule->counts.in, 1);
    pc_buf_init_in(&scratch, shape->mem, SIZE_MAX, stack, sizeof stack);
    if (shape->rule->mode == PC_SHAPE_BATCH)
        item = item_from(event->data, &scratch);
    enum pc_shape_result result;
    if (id.len == 0 || pc_buf_status(&scratch))
        result = not_kept(shape, NULL, id.len ? PUSHERC_ENOMEM : PUSHERC_EBACKLOG);
    else
        result = put(shape, event, id, item, now_ms);
    pc_buf_free(&scratch);
    return result;
}

/* -- events that go -- */

static struct pc_list *head_of(const struct pc_list *list)
{
    return list->next == list ? NULL : list->next;
}

/* Ends the windows whose time is over. */
static void end_windows(struct pc_shape *shape, uint64_t now_ms)
{
    for (struct pc_list *l; (l = head_of(&shape->by_due)) && OF_LINK(l)->due_ms <= now_ms;) {
        if (OF_LINK(l)->events)
            make_ready(shape, OF_LINK(l));
        else
            free_entry(shape, OF_LINK(l));
    }
}

/* When the event that waits longest has to go; UINT64_MAX: no event waits, or it may wait for any time. */
static uint64_t overdue_ms(const struct pc_shape *shape)
{
    struct pc_list *l = head_of(&shape->by_first);
    if (!l || shape->rule->max_wait_ms == PC_SHAPE_NO_WAIT)
        return UINT64_MAX;
    return OF_FIRST(l)->first_ms + shape->rule->max_wait_ms;
}

static struct pc_shape_entry *choose(struct pc_shape *shape, uint64_t now_ms)
{
    struct pc_list *l;
    if (shape->closing || overdue_ms(shape) <= now_ms) {
        l = head_of(&shape->by_first);
        end_windows(shape,
                    l ? now_ms : UINT64_MAX); /* entries without an event have no use any more */
        return l ? OF_FIRST(l) : NULL;
    }
    end_windows(shape, now_ms);
    l = head_of(&shape->ready);
    bool on_time = shape->free_us <= now_ms * 1000 + BURST_US;
    return l && on_time ? OF_LINK(l) : NULL;
}

static void take_from_rate(struct pc_shape *shape, uint64_t now_ms)
{
    const uint64_t now_us = now_ms * 1000;
    if (shape->rule->max_per_s == 0)
        return;
    if (shape->free_us < now_us)
        shape->free_us = now_us;
    shape->free_us += 1000000 / shape->rule->max_per_s;
}

bool pc_shape_next(struct pc_shape *shape, uint64_t now_ms, struct pc_shape_event *out)
{
    struct pc_shape_entry *e = shape->sending ? NULL : choose(shape, now_ms);
    if (!e)
        return false;
    pc_list_remove(&e->link);
    pc_list_remove(&e->of_first);
    take_from_rate(shape, now_ms);
    if (shape->rule->mode == PC_SHAPE_BATCH)
        e->value[e->len++] = ']';
    e->state = SENDING;
    shape->sending = e;
    shape->under_way.value = e->value;
    shape->under_way.cap = e->cap;
    shape->under_way.events = e->events;
    *out = (struct pc_shape_event){.name = pc_slice(e->key, e->name),
                                   .data = e->value ? pc_slice(e->value + e->user, e->len - e->user)
                                                    : PC_S(""),
                                   .user_id = pc_slice(e->value, e->user),
                                   .except = e->except,
                                   .cacheable = e->cacheable,
                                   .is_everywhere = e->is_everywhere};
    e->value = NULL;
    e->cap = e->len = e->user = 0;
    e->events = 0;
    return true;
}

/* The memory of the event that was under way serves its entry again, or is freed. */
static void give_back(struct pc_shape *shape, struct pc_shape_entry *e)
{
    if (!e->value) {
        e->value = shape->under_way.value;
        e->cap = shape->under_way.cap;
    } else {
        shape->bytes -= shape->under_way.cap;
        pc_free(shape->mem, shape->under_way.value);
    }
    shape->under_way.value = NULL;
}

void pc_shape_sent(struct pc_shape *shape, bool ok, uint64_t now_ms)
{
    const struct pc_shape_rule *rule = shape->rule;
    struct pc_shape_counts *counts = &shape->rule->counts;
    struct pc_shape_entry *e = shape->sending;
    assert(e && e->state == SENDING);
    add(ok ? &counts->out : &counts->dropped, ok ? 1 : shape->under_way.events);
    if (ok)
        add(&counts->merged, shape->under_way.events - 1);
    shape->sending = NULL;
    give_back(shape, e);
    if (e->full && e->events) {
        /* before later batches of its key, which may be ready already */
        e->state = READY;
        pc_list_push_back(shape->ready.next, &e->link);
    } else if (e->events && rule->window_ms == 0) {
        make_ready(shape, e);
    } else if (rule->window_ms && rule->leading) {
        begin_window(shape, e, now_ms + rule->window_ms);
    } else if (e->events) {
        begin_window(shape, e, e->due_ms);
    } else {
        free_entry(shape, e);
    }
}

uint64_t pc_shape_due(const struct pc_shape *shape, uint64_t now_ms)
{
    if (shape->sending || pc_shape_is_over(shape, now_ms))
        return UINT64_MAX;
    if (shape->closing)
        return now_ms;
    if (shape->count == 0)
        return (shape->free_us + 999) / 1000; /* then it is over */
    uint64_t due = overdue_ms(shape);
    struct pc_list *l = head_of(&shape->by_due);
    if (l && OF_LINK(l)->due_ms < due)
        due = OF_LINK(l)->due_ms;
    if (head_of(&shape->ready)) {
        uint64_t free_ms = shape->free_us > BURST_US ? (shape->free_us - BURST_US + 999) / 1000 : 0;
        due = free_ms < due ? free_ms : due;
    }
    return due;
}

/* -- its life -- */

void pc_shape_init(struct pc_shape *shape, const struct pc_mem *mem, const uint64_t seed[2],
                   struct pc_shape_rule *rule, uint32_t max_data)
{
    *shape = (struct pc_shape){.mem = mem, .rule = rule, .max_data = max_data};
    pc_shape_rule_ref(rule);
    pc_map_init(&shape->keys, mem, seed);
    pc_list_init(&shape->by_due);
    pc_list_init(&shape->by_first);
    pc_list_init(&shape->ready);
}

void pc_shape_drop(struct pc_shape *shape)
{
    for (struct pc_list *l; (l = head_of(&shape->by_first));) {
        struct pc_shape_entry *e = OF_FIRST(l);
        add(&shape->rule->counts.dropped, e->events);
        e->events = 0;
        pc_list_remove(l);
        if (e->state != SENDING)
            free_entry(shape, e);
    }
    end_windows(shape, UINT64_MAX);
}

void pc_shape_free(struct pc_shape *shape)
{
    assert(!shape->sending);
    pc_shape_drop(shape);
    pc_map_free(&shape->keys);
    pc_shape_rule_unref(shape->rule);
}
