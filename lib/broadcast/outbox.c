/*
 * How an outbox sends. Its thread removes what the broadcaster has accepted, hands over the rows behind the last one that
 * it has read, up to max_under_way, and sleeps until it is woken, or poll_ms have passed. The broadcaster keeps the order
 * of each channel, and tries for as long as it exists. A row is removed only after the event was accepted; a process that
 * ends in between sends the event again, with the key of the row.
 */
#include <pusherc/outbox.h>

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/options.h"
#include "broadcast/broadcaster.h"
#include "broadcast/outbox_table.h"
#include "broadcast/sender.h"

#define COUNT_EVERY_MS 1000

/* What the outbox and the events under way share; counted, because the broadcaster may answer after the outbox. */
struct shared {
    struct pc_mem mem; /* a copy */
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    uint32_t refs;
    bool closed; /* the outbox is gone: no thread looks at `ended` */
    bool woken, stopping;
    uint32_t under_way;
    struct pc_list ended; /* items with a result */
    pusherc_outbox_stats stats;
    uint64_t oldest_unix_ms;
};

/* One row that the broadcaster has. */
struct item {
    struct pc_list of_ended;
    struct shared *shared; /* counted */
    int64_t id;
    int code, status;
    uint32_t attempts;
    char reason[160];
    struct pc_broadcast_event *copy; /* owned, for on_refused; NULL = it is not wanted */
};

struct pusherc_outbox {
    struct shared *shared;
    struct pc_outbox_table *table;
    pusherc_broadcaster *broadcaster;
    pusherc_broadcast_failed_fn on_refused;
    void *user_data;
    uint32_t poll_ms, max_under_way;
    int64_t last_id; /* of the rows read */
    bool said_broken;
    pthread_t thread;
};

static void shared_unref(struct shared *s)
{
    pthread_mutex_lock(&s->mutex);
    bool last = --s->refs == 0;
    pthread_mutex_unlock(&s->mutex);
    if (last) {
        const struct pc_mem mem = s->mem;
        pthread_mutex_destroy(&s->mutex);
        pthread_cond_destroy(&s->cond);
        pc_free(&mem, s);
    }
}

static void item_free(struct item *item)
{
    struct shared *s = item->shared;
    pc_broadcast_event_free(&s->mem, item->copy);
    pc_free(&s->mem, item);
    shared_unref(s);
}

static struct pc_log *log_of(const pusherc_outbox *o)
{
    return &o->broadcaster->home.log;
}

/* -- answers -- */

/* On the broadcaster's thread. */
static void on_sent(const pusherc_broadcast_result *result, void *user_data)
{
    struct item *item = user_data;
    struct shared *s = item->shared;
    pusherc_slice reason = pc_utf8_cut(result->reason, sizeof item->reason - 1);
    item->code = result->code;
    item->status = result->status;
    item->attempts = result->attempts;
    if (reason.len)
        memcpy(item->reason, reason.ptr, reason.len);
    item->reason[reason.len] = '\0';
    pthread_mutex_lock(&s->mutex);
    bool closed = s->closed;
    s->under_way--;
    if (!closed) {
        pc_list_push_back(&s->ended, &item->of_ended);
        s->woken = true;
    }
    pthread_cond_signal(&s->cond);
    pthread_mutex_unlock(&s->mutex);
    if (closed)
        item_free(item);
}

static bool is_refused(const struct item *item)
{
    return item->code && item->code != PUSHERC_ETIMEDOUT && item->code != PUSHERC_ECANCELED;
}

static void say_broken(pusherc_outbox *o)
{
    if (!o->said_broken)
        PC_LOG(log_of(o), WARN, ((struct pc_log_about){.subject = "outbox"}),
               "the database has to wait: %s", pc_outbox_table_error(o->table));
    o->said_broken = true;
}

/* Writes the results down; false: not now. */
static bool settle_rows(pusherc_outbox *o, const struct pc_list *ended)
{
    int err = pc_outbox_table_begin(o->table);
    if (err == 0) {
        PC_LIST_EACH(l, ended) {
            const struct item *item = PC_CONTAINER(l, struct item, of_ended);
            if (err == 0 && item->code == 0)
                err = pc_outbox_table_remove(o->table, item->id);
            else if (err == 0 && is_refused(item))
                err = pc_outbox_table_refuse(o->table, item->id, pc_slice_of(item->reason));
        }
        bool keep = err == 0;
        int ended_with = pc_outbox_table_end(o->table, keep);
        err = err ? err : ended_with;
    }
    if (err)
        say_broken(o);
    return err == 0;
}

static void tell_refused(pusherc_outbox *o, const struct item *item)
{
    const pusherc_broadcast_result result = {.struct_size = sizeof result,
                                             .code = item->code,
                                             .status = item->status,
                                             .attempts = item->attempts,
                                             .reason = pc_slice_of(item->reason)};
    PC_LOG(log_of(o), WARN, ((struct pc_log_about){.subject = "outbox"}),
           "row %lld was refused: %s", (long long)item->id, item->reason);
    if (item->copy)
        o->on_refused(&item->copy->event, &result, o->user_data);
}

/* True: there is nothing left to settle. */
static bool settle(pusherc_outbox *o)
{
    struct shared *s = o->shared;
    struct pc_list ended;
    uint64_t sent = 0;
    pthread_mutex_lock(&s->mutex);
    pc_list_take(&ended, &s->ended);
    pthread_mutex_unlock(&s->mutex);
    if (pc_list_empty(&ended))
        return true;
    if (!settle_rows(o, &ended)) {
        pthread_mutex_lock(&s->mutex);
        pc_list_put_back(&s->ended, &ended);
        pthread_mutex_unlock(&s->mutex);
        return false;
    }
    while (!pc_list_empty(&ended)) {
        struct item *item = PC_CONTAINER(ended.next, struct item, of_ended);
        pc_list_remove(&item->of_ended);
        sent += item->code == 0;
        if (is_refused(item))
            tell_refused(o, item);
        else if (item->code && o->last_id >= item->id)
            o->last_id = item->id - 1; /* reads it again */
        item_free(item);
    }
    pthread_mutex_lock(&s->mutex);
    s->stats.sent += sent;
    pthread_mutex_unlock(&s->mutex);
    return true;
}

/* -- handing over -- */

/* False: the broadcaster takes no more now. */
static bool hand_over(void *ctx, int64_t id, const pusherc_event *event, pusherc_slice key)
{
    pusherc_outbox *o = ctx;
    struct shared *s = o->shared;
    struct item *item = pc_alloc_zero(&s->mem, sizeof *item);
    if (!item)
        return false;
    pc_list_init(&item->of_ended);
    item->shared = s;
    item->id = id;
    pthread_mutex_lock(&s->mutex);
    s->refs++;
    s->under_way++;
    pthread_mutex_unlock(&s->mutex);
    int err = PUSHERC_ENOMEM;
    if (!o->on_refused || (item->copy = pc_broadcast_event_new(&s->mem, event, key, PC_S(""))))
        err = pc_broadcast_keyed(o->broadcaster, event, key, on_sent, item);
    if (err == PUSHERC_EINVAL) { /* a row that another program wrote */
        on_sent(&(pusherc_broadcast_result){.struct_size = sizeof(pusherc_broadcast_result),
                                            .code = err,
                                            .reason = PUSHERC_LIT("it breaks a rule of events")},
                item);
    } else if (err) {
        pthread_mutex_lock(&s->mutex);
        s->under_way--;
        pthread_mutex_unlock(&s->mutex);
        item_free(item);
        return false;
    }
    o->last_id = id;
    return true;
}

/* False: the database does not answer. */
static bool read_new(pusherc_outbox *o)
{
    struct shared *s = o->shared;
    pthread_mutex_lock(&s->mutex);
    uint32_t room = s->under_way < o->max_under_way ? o->max_under_way - s->under_way : 0;
    pthread_mutex_unlock(&s->mutex);
    if (room == 0 || pc_outbox_table_read(o->table, o->last_id, room, hand_over, o) == 0)
        return true;
    say_broken(o);
    return false;
}

static void count_rows(pusherc_outbox *o)
{
    struct shared *s = o->shared;
    uint64_t waiting, refused, oldest;
    if (pc_outbox_table_count(o->table, &waiting, &refused, &oldest))
        return;
    pthread_mutex_lock(&s->mutex);
    s->stats.waiting = waiting;
    s->stats.refused = refused;
    s->oldest_unix_ms = oldest;
    pthread_mutex_unlock(&s->mutex);
}

/* -- the thread -- */

static struct timespec time_after(uint32_t ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_nsec -= 1000000000;
        at.tv_sec++;
    }
    return at;
}

/* Sleeps until it is woken. False: stop. */
static bool wait_for_more(pusherc_outbox *o)
{
    struct shared *s = o->shared;
    const struct timespec at = time_after(o->poll_ms);
    pthread_mutex_lock(&s->mutex);
    while (!s->woken && !s->stopping && pthread_cond_timedwait(&s->cond, &s->mutex, &at) == 0)
        ;
    s->woken = false;
    bool go_on = !s->stopping;
    pthread_mutex_unlock(&s->mutex);
    return go_on;
}

/* Waits for the answers to what is under way, so that it is not sent again. */
static void wait_for_answers(pusherc_outbox *o)
{
    struct shared *s = o->shared;
    const struct timespec at = time_after(o->broadcaster->grace_ms);
    pthread_mutex_lock(&s->mutex);
    while (s->under_way > 0 && pthread_cond_timedwait(&s->cond, &s->mutex, &at) == 0)
        ;
    pthread_mutex_unlock(&s->mutex);
}

static void *run_thread(void *arg)
{
    pusherc_outbox *o = arg;
    uint64_t counted_ms = 0;
    do {
        uint64_t now_ms = pc_clock_us() / 1000;
        if (settle(o) && read_new(o))
            o->said_broken = false;
        if (now_ms - counted_ms >= COUNT_EVERY_MS) {
            count_rows(o);
            counted_ms = now_ms;
        }
    } while (wait_for_more(o));
    wait_for_answers(o);
    (void)settle(o);
    return NULL;
}

/* -- life -- */

static int start_thread(pusherc_outbox *o, pusherc_errinfo *info)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&o->thread, NULL, run_thread, o);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err ? pc_errinfo(info, PUSHERC_EIO, -err, "cannot start a thread") : 0;
}

static struct shared *shared_new(const struct pc_mem *mem)
{
    pthread_condattr_t monotonic;
    struct shared *s = pc_alloc_zero(mem, sizeof *s);
    if (!s)
        return NULL;
    s->mem = *mem;
    s->refs = 1;
    pc_list_init(&s->ended);
    pthread_mutex_init(&s->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return s;
}

static int open_outbox(pusherc_outbox **out, const pusherc_outbox_options *options,
                       pusherc_errinfo *info)
{
    const struct pc_mem *mem = &options->broadcaster->home.mem;
    pusherc_outbox *o = pc_alloc_zero(mem, sizeof *o);
    if (!o || !(o->shared = shared_new(mem))) {
        pc_free(mem, o);
        return pc_errinfo(info, PUSHERC_ENOMEM, 0, "out of memory");
    }
    o->broadcaster = options->broadcaster;
    o->on_refused = options->on_refused;
    o->user_data = options->user_data;
    o->poll_ms = options->poll_ms ? options->poll_ms : 1000;
    o->max_under_way = options->max_under_way ? options->max_under_way : 500;
    int err = pc_outbox_table_new(&o->table, mem, options->path, info);
    if (err == 0)
        err = start_thread(o, info);
    if (err) {
        pc_outbox_table_free(o->table);
        shared_unref(o->shared);
        pc_free(mem, o);
        return err;
    }
    *out = o;
    return 0;
}

int pusherc_outbox_new(pusherc_outbox **out, const pusherc_outbox_options *options,
                       pusherc_errinfo *info)
{
    pusherc_outbox_options taken;
    if (!out || !options)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "an argument is NULL");
    *out = NULL;
    int err = PC_TAKE(outbox_options, &taken, options, info);
    if (err)
        return err;
    if (!taken.path || !taken.broadcaster)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "path or broadcaster is missing");
    return open_outbox(out, &taken, info);
}

/* In a forked child there is no thread, and SQLite's connection belongs to the parent. */
static bool is_forked(const pusherc_outbox *o)
{
    return pc_forked(o->broadcaster->mark);
}

void pusherc_outbox_wake(pusherc_outbox *o)
{
    if (is_forked(o))
        return;
    pthread_mutex_lock(&o->shared->mutex);
    o->shared->woken = true;
    pthread_cond_signal(&o->shared->cond);
    pthread_mutex_unlock(&o->shared->mutex);
}

void pusherc_outbox_free(pusherc_outbox *o)
{
    struct pc_list left;
    if (!o || is_forked(o))
        return;
    const struct pc_mem mem = o->shared->mem;
    pthread_mutex_lock(&o->shared->mutex);
    o->shared->stopping = true;
    pthread_cond_signal(&o->shared->cond);
    pthread_mutex_unlock(&o->shared->mutex);
    pthread_join(o->thread, NULL);
    pthread_mutex_lock(&o->shared->mutex);
    o->shared->closed = true;
    pc_list_take(&left, &o->shared->ended);
    pthread_mutex_unlock(&o->shared->mutex);
    while (!pc_list_empty(&left)) { /* the database did not take them */
        struct item *item = PC_CONTAINER(left.next, struct item, of_ended);
        pc_list_remove(&item->of_ended);
        item_free(item);
    }
    pc_outbox_table_free(o->table);
    shared_unref(o->shared);
    pc_free(&mem, o);
}

int pusherc_outbox_read_stats(pusherc_outbox *o, pusherc_outbox_stats *out)
{
    struct timespec now;
    if (!o || !out || !pc_can_give(out, &pc_sized_outbox_stats))
        return PUSHERC_EINVAL;
    if (is_forked(o))
        return PUSHERC_ESTATE;
    clock_gettime(CLOCK_REALTIME, &now);
    const uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    pthread_mutex_lock(&o->shared->mutex);
    pusherc_outbox_stats stats = o->shared->stats;
    stats.under_way = o->shared->under_way;
    if (stats.waiting > 0 && now_ms > o->shared->oldest_unix_ms)
        stats.oldest_ms = now_ms - o->shared->oldest_unix_ms;
    pthread_mutex_unlock(&o->shared->mutex);
    stats.struct_size = sizeof stats;
    pc_give(out, &stats, &pc_sized_outbox_stats);
    return 0;
}
