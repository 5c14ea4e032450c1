/* The public calls of pusherc/broadcast.h. */
#include "broadcast/broadcaster.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/latch.h"
#include "base/options.h"
#include "broadcast/sender.h"

#define MAX_UNDER_WAY 256
#define KEY_ROOM      (PC_BROADCAST_KEY_PREFIX + 1 + PC_U64_DIGITS)

/* -- life -- */

static void set_default(uint32_t *value, uint32_t fallback)
{
    if (*value == 0)
        *value = fallback;
}

static int complete(pusherc_broadcaster_options *o, pusherc_broadcast_driver *driver,
                    pusherc_errinfo *info)
{
    set_default(&o->max_queued, 10000);
    set_default(&o->batch_events, PUSHERC_MAX_EVENTS_PER_BATCH);
    set_default(&o->batch_bytes, 65536);
    set_default(&o->max_under_way, 8);
    set_default(&o->timeout_ms, 10000);
    set_default(&o->retry_ms, 300000);
    set_default(&o->grace_ms, 3000);
    if (o->max_bytes == 0)
        o->max_bytes = UINT64_C(64) << 20;
    if (o->log_level == PUSHERC_LOG_OFF)
        o->log_level = PUSHERC_LOG_INFO;
    if (!o->url)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "url is missing");
    if (o->batch_events > PUSHERC_MAX_EVENTS_PER_BATCH)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "batch_events is above 10");
    if (o->max_under_way > MAX_UNDER_WAY)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "max_under_way is above 256");
    if (!o->driver)
        return 0;
    int err = PC_TAKE(broadcast_driver, driver, o->driver, info);
    o->driver = driver;
    return err;
}

int pusherc_broadcaster_new(pusherc_broadcaster **out, const pusherc_broadcaster_options *options,
                            pusherc_errinfo *info)
{
    pusherc_broadcaster_options taken;
    pusherc_broadcast_driver driver;
    if (!out || !options)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "an argument is NULL");
    *out = NULL;
    int err = PC_TAKE(broadcaster_options, &taken, options, info);
    if (err == 0)
        err = complete(&taken, &driver, info);
    return err ? err : pc_broadcaster_new(out, &taken, info);
}

void pusherc_broadcaster_stop(pusherc_broadcaster *b, uint32_t grace_ms,
                              void (*stopped)(void *user_data), void *user_data)
{
    if (!pc_forked(b->mark))
        pc_broadcaster_ask_stop(b, grace_ms, true, stopped, user_data);
}

/* In a forked child the memory stays: its loop and thread belong to the parent. */
void pusherc_broadcaster_free(pusherc_broadcaster *b)
{
    if (b && !pc_forked(b->mark))
        pc_broadcaster_free(b);
}

/* -- handing over -- */

/* Events on their way into the queue. */
struct handover {
    pusherc_event events[PUSHERC_MAX_EVENTS_PER_BATCH];
    struct pc_broadcast_event *copies[PUSHERC_MAX_EVENTS_PER_BATCH];
    size_t count;
    pusherc_slice key; /* the caller's, of a single event; len 0 = the library makes one for each */
};

static uint64_t now_ms(void)
{
    return pc_clock_us() / 1000;
}

static int check(const pusherc_broadcaster *b, struct handover *h, const pusherc_event *events,
                 size_t count)
{
    if (!events || count == 0 || count > PUSHERC_MAX_EVENTS_PER_BATCH)
        return PUSHERC_EINVAL;
    if (pc_forked(b->mark))
        return PUSHERC_ESTATE;
    h->count = count;
    h->key = pc_slice(NULL, 0);
    for (size_t i = 0; i < count; i++) {
        pusherc_event *event = &h->events[i];
        const pusherc_event *from = PUSHERC_AT(events, i);
        int err = PC_TAKE(event, event, from, NULL);
        if (err || !pc_broadcast_event_valid(event))
            return PUSHERC_EINVAL;
    }
    return 0;
}

static pusherc_slice make_key(pusherc_broadcaster *b, char room[KEY_ROOM])
{
    uint64_t nth = atomic_fetch_add_explicit(&b->keys, 1, memory_order_relaxed);
    memcpy(room, b->key_prefix, PC_BROADCAST_KEY_PREFIX);
    room[PC_BROADCAST_KEY_PREFIX] = '-';
    size_t digits = pc_format_u64(nth, room + PC_BROADCAST_KEY_PREFIX + 1);
    return pc_slice(room, PC_BROADCAST_KEY_PREFIX + 1 + digits);
}

/* Puts the events from `first` on into the queue. */
static int enqueue(pusherc_broadcaster *b, struct handover *h, size_t first,
                   struct pc_broadcast_call *call, uint32_t timeout_ms)
{
    char room[KEY_ROOM], subject_room[PC_CONFLATE_SUBJECT_BYTES];
    bool wake = false;
    size_t made = first;
    int err = 0;
    for (; made < h->count && err == 0; made++) {
        const pusherc_slice key = h->key.len ? h->key : make_key(b, room);
        const pusherc_slice subject =
            pc_conflate_subject(&b->conflate, &b->home.mem, &h->events[made], subject_room);
        h->copies[made] = pc_broadcast_event_new(&b->home.mem, &h->events[made], key, subject);
        err = h->copies[made] ? 0 : PUSHERC_ENOMEM;
    }
    if (err == 0)
        err = pc_broadcast_queue_put(b->queue, h->copies + first, h->count - first, call,
                                     timeout_ms, now_ms(), &wake);
    for (size_t i = first; err && i < made; i++)
        pc_broadcast_event_free(&b->home.mem, h->copies[i]);
    if (wake)
        pc_broadcaster_wake(b);
    return err;
}

/* Sends on this thread as many as the carrier takes there now, if it does that at all and nothing waits. *sent: how
 * many. 0, or why the next one is refused. */
static int send_directly(pusherc_broadcaster *b, const struct handover *h, size_t *sent)
{
    *sent = 0;
    if (!b->carrier->ops->direct || !pc_broadcast_queue_idle(b->queue))
        return 0;
    for (; *sent < h->count; ++*sent) {
        struct pc_broadcast_answer answer;
        b->carrier->ops->direct(b->carrier, &h->events[*sent], &answer);
        if (answer.outcome == PC_BROADCAST_AWAY || answer.outcome == PC_BROADCAST_FAILED)
            return 0;
        pc_broadcast_queue_count_direct(b->queue, answer.outcome == PC_BROADCAST_ACCEPTED);
        if (answer.outcome == PC_BROADCAST_REFUSED)
            return answer.code;
    }
    return 0;
}

/* The same for events whose caller hears of the result. */
static int enqueue_call(pusherc_broadcaster *b, struct handover *h, size_t first,
                        pusherc_broadcast_fn done, void *user_data, uint32_t timeout_ms)
{
    struct pc_broadcast_call *call = pc_alloc_zero(&b->home.mem, sizeof *call);
    if (!call)
        return PUSHERC_ENOMEM;
    pc_list_init(&call->of_ended);
    call->done = done;
    call->user_data = user_data;
    int err = enqueue(b, h, first, call, timeout_ms);
    if (err)
        pc_free(&b->home.mem, call);
    return err;
}

int pusherc_broadcast(pusherc_broadcaster *b, const pusherc_event *events, size_t count)
{
    struct handover h;
    size_t sent;
    int err = check(b, &h, events, count);
    if (err == 0)
        err = send_directly(b, &h, &sent);
    if (err || sent == count)
        return err;
    return enqueue(b, &h, sent, NULL, b->retry_ms);
}

int pusherc_broadcast_now(pusherc_broadcaster *b, const pusherc_event *events, size_t count,
                          uint32_t timeout_ms, pusherc_broadcast_fn done, void *user_data)
{
    struct handover h;
    size_t sent;
    if (!done)
        return PUSHERC_EINVAL;
    int err = check(b, &h, events, count);
    if (err == 0)
        err = send_directly(b, &h, &sent);
    if (err)
        return err;
    if (sent == count) {
        const pusherc_broadcast_result result = {.struct_size = sizeof result, .attempts = 1};
        done(&result, user_data);
        return 0;
    }
    return enqueue_call(b, &h, sent, done, user_data, timeout_ms ? timeout_ms : b->retry_ms);
}

static bool key_valid(pusherc_slice key)
{
    bool valid = key.len > 0 && key.len <= PC_BROADCAST_KEY_BYTES;
    for (size_t i = 0; valid && i < key.len; i++)
        valid = key.ptr[i] > ' ' && key.ptr[i] <= '~';
    return valid;
}

int pc_broadcast_keyed(pusherc_broadcaster *b, const pusherc_event *event, pusherc_slice key,
                       pusherc_broadcast_fn done, void *user_data)
{
    struct handover h;
    int err = key_valid(key) ? check(b, &h, event, 1) : PUSHERC_EINVAL;
    if (err)
        return err;
    h.key = key;
    return enqueue_call(b, &h, 0, done, user_data, UINT32_MAX);
}

/* -- waiting -- */

struct waiter {
    struct pc_latch latch;
    int code;
    char reason[sizeof((pusherc_errinfo *)0)->text];
};

static void on_waited(const pusherc_broadcast_result *result, void *user_data)
{
    struct waiter *waiter = user_data;
    pusherc_slice reason = pc_utf8_cut(result->reason, sizeof waiter->reason - 1);
    waiter->code = result->code;
    if (reason.len)
        memcpy(waiter->reason, reason.ptr, reason.len);
    waiter->reason[reason.len] = '\0';
    pc_latch_open(&waiter->latch);
}

int pusherc_broadcast_wait(pusherc_broadcaster *b, const pusherc_event *events, size_t count,
                           uint32_t timeout_ms, pusherc_errinfo *info)
{
    struct waiter waiter = {.code = 0};
    if (pc_broadcaster_is_own_thread(b))
        return pc_errinfo(info, PUSHERC_ESTATE, 0, "called on the broadcaster's own thread");
    pc_latch_init(&waiter.latch);
    int err = pusherc_broadcast_now(b, events, count, timeout_ms, on_waited, &waiter);
    if (err == 0) { /* it is called: at the latest at the deadline */
        (void)pc_latch_wait(&waiter.latch, UINT32_MAX);
        err = waiter.code;
    }
    pc_latch_free(&waiter.latch);
    if (err == 0)
        return 0;
    return pc_errinfo(info, err, 0, "%s%s%s", pusherc_strerror(err), waiter.reason[0] ? ": " : "",
                      waiter.reason);
}

int pusherc_broadcaster_stats(pusherc_broadcaster *b, pusherc_broadcast_stats *out)
{
    pusherc_broadcast_stats now;
    if (!b || !out || !pc_can_give(out, &pc_sized_broadcast_stats))
        return PUSHERC_EINVAL;
    if (pc_forked(b->mark))
        return PUSHERC_ESTATE;
    pc_broadcast_queue_stats(b->queue, now_ms(), &now);
    pc_give(out, &now, &pc_sized_broadcast_stats);
    return 0;
}
