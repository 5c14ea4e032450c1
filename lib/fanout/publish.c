#include "fanout/publish.h"

#include "channel/keep.h"
#include "fanout/near_miss.h"
#include "fanout/subscription.h"
#include "fanout/view.h"
#include "protocol/message_out.h"

#define STACK_MESSAGE 4096 /* most events are encoded here and copied once */

int pc_publication_check(const struct pc_engine *engine, const struct pc_app *app,
                         const struct pc_publication *p, pusherc_errinfo *info)
{
    const pusherc_app_options *o = &app->options;
    if (p->event.len == 0)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "The event name is missing");
    if (p->event.len > o->max_event_name_bytes) {
        pc_app_limited(app, PC_LIMIT_EVENT_NAME);
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "The event name is too long: %zu bytes, the maximum is %u", p->event.len,
                          o->max_event_name_bytes);
    }
    if (!pc_utf8_valid(p->event))
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "The event name is not UTF-8");
    if (pc_event_is_reserved(p->event))
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "The event name starts with a prefix reserved for the protocol");
    if (p->channel_count == 0)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "The event names no channel");
    if (p->channel_count > o->max_event_channels) {
        pc_app_limited(app, PC_LIMIT_EVENT_CHANNELS);
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "Cannot broadcast to more than %u channels at once",
                          o->max_event_channels);
    }
    for (size_t i = 0; i < p->channel_count; i++) {
        struct pc_channel_class class;
        pusherc_slice name = p->channels[i];
        /* user channels are longer than any app's limit by their prefix */
        bool user = name.len && name.ptr[0] == '#';
        size_t max = user ? PC_ANY_CHANNEL_NAME_MAX : o->max_channel_name_bytes;
        pusherc_slice shown = pc_utf8_cut(name, 64);
        if (name.len > max) {
            pc_app_limited(app, PC_LIMIT_CHANNEL_NAME);
            return pc_errinfo(
                info, PUSHERC_EINVAL, 0,
                "The channel name is too long: %zu bytes, the maximum is %zu: %.*s...", name.len,
                max, (int)shown.len, shown.ptr);
        }
        if (!pc_channel_name_valid(name, max, &class)) {
            return pc_errinfo(info, PUSHERC_EINVAL, 0,
                              "Invalid channel name: %.*s%s (" PC_CHANNEL_NAME_RULE ")",
                              (int)shown.len, shown.ptr, shown.len < name.len ? "..." : "");
        }
    }
    if (p->data.len > o->max_event_payload_bytes) {
        pc_app_limited(app, PC_LIMIT_EVENT_PAYLOAD);
        return pc_errinfo(info, PUSHERC_ELIMIT, 0,
                          "The data content of this event exceeds the allowed maximum (%u bytes): "
                          "it has %zu bytes",
                          o->max_event_payload_bytes, p->data.len);
    }
    if (p->data.len > engine->limits.out_hard_bytes / 2)
        return pc_errinfo(
            info, PUSHERC_ELIMIT, 0,
            "The data content of this event does not fit into a connection's queue (%u bytes)",
            engine->limits.out_hard_bytes);
    if (!pc_utf8_valid(p->data))
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "The data is not UTF-8");
    return 0;
}

/* On the worker: one reference for each subscriber who joined before the event. */
static void deliver(struct pc_mail *mail, struct pc_worker *worker)
{
    struct pc_slot *slot = PC_CONTAINER(mail, struct pc_slot, mail);
    if (worker)
        pc_local_deliver(worker, slot);
    pc_slot_unref(slot);
}

/* Numbers the frame and posts it to every interested worker; it has a slot for each. */
static int post(struct pc_engine *engine, struct pc_channel *channel, struct pc_posting *posting)
{
    struct pc_frame *frame = posting->frame;
    struct pc_slot *slot = frame->slots;
    int rc = 0;
    frame->number = ++channel->shard->number;
    frame->directory = &engine->directory;
    frame->channel = channel;
    channel->holders++;
    for (uint64_t rest = channel->interested; rest; rest &= rest - 1) {
        uint32_t w = (uint32_t)__builtin_ctzll(rest);
        bool wake;
        pc_slot_begin(slot);
        slot->mail.run = deliver;
        int posted = pc_mailbox_post(engine->workers[w].mailbox, &slot->mail, PC_MAIL_EVENT, &wake);
        if (posted == 0) {
            posting->wake |= (uint64_t)wake << w;
            slot++;
            continue;
        }
        /* The slot serves the next worker. A closed mailbox: that worker's subscribers are gone. */
        atomic_fetch_sub_explicit(&frame->workers, 1, memory_order_relaxed);
        if (posted == PUSHERC_EBACKLOG) {
            atomic_fetch_add_explicit(&engine->mailbox_refused, 1, memory_order_relaxed);
            rc = posted;
        }
    }
    if (slot == frame->slots) { /* nobody took it: the last holder must not want the lock we hold */
        channel->holders--;
        frame->channel = NULL;
    }
    return rc;
}

int pc_publish_locked(struct pc_engine *engine, struct pc_channel *channel, pusherc_slice message,
                      struct pc_posting *posting)
{
    uint32_t workers = (uint32_t)__builtin_popcountll(channel->interested);
    if (workers == 0)
        return 0;
    posting->frame = pc_frame_new(&engine->mem, workers, PC_WS_TEXT, message);
    return posting->frame ? post(engine, channel, posting) : PUSHERC_ENOMEM;
}

void pc_posting_note(struct pc_engine *engine, const struct pc_notice *notice,
                     struct pc_posting *posting)
{
    const struct pc_observer *observer = &engine->observer;
    if (pc_noticed(observer, notice->app, notice->kind))
        posting->noted |= observer->note(observer->ctx, notice);
}

void pc_posting_finish(struct pc_engine *engine, struct pc_posting *posting)
{
    if (posting->noted)
        engine->observer.wake(engine->observer.ctx);
    for (uint64_t rest = posting->wake; rest; rest &= rest - 1)
        pc_mailbox_wake(engine->workers[__builtin_ctzll(rest)].mailbox);
    pc_frame_done(posting->frame);
    pc_bundle_release(posting->bundle);
}

/* How many workers want this channel now, and whether audiences see different things on it. */
static uint32_t interested_workers(struct pc_engine *engine, const struct pc_app *app,
                                   pusherc_slice name, bool *rendered)
{
    struct pc_shard *shard = pc_directory_lock(&engine->directory, app->live->uid, name);
    struct pc_channel *channel = pc_shard_find(shard, app->live->uid, name);
    uint32_t n = channel ? (uint32_t)__builtin_popcountll(channel->interested) : 0;
    *rendered = channel && channel->views;
    pc_shard_unlock(shard);
    return n;
}

/* Locked. The channel, made if it is not there and has an event to keep; *rc tells if that failed. */
static struct pc_channel *find_target(struct pc_engine *engine, struct pc_shard *shard,
                                      const struct pc_app *app, pusherc_slice name,
                                      const struct pc_keeping *keeping, int *rc)
{
    if (!keeping->cached)
        return pc_shard_find(shard, app->live->uid, name);
    struct pc_channel *channel = pc_shard_get(&engine->directory, shard, app->live->uid, name,
                                              keeping->class, &keeping->match);
    *rc = channel ? 0 : PUSHERC_ENOMEM;
    return channel;
}

void pc_keep(struct pc_engine *engine, struct pc_channel *channel, const struct pc_keeping *keeping)
{
    if (!keeping->cached)
        return;
    pc_channel_keep(&engine->directory, channel, keeping->cached, keeping->now_ms);
}

/* *rendered: audiences have appeared, and nothing was sent. */
static int publish_encoded(struct pc_engine *engine, const struct pc_app *app, pusherc_slice name,
                           const struct pc_publication *p, const struct pc_keeping *keeping,
                           pusherc_slice message, uint32_t workers, bool *rendered)
{
    for (;;) {
        struct pc_posting posting = {0};
        if (workers > 0) {
            posting.frame = pc_frame_new(&engine->mem, workers, PC_WS_TEXT, message);
            if (!posting.frame)
                return PUSHERC_ENOMEM;
            posting.frame->except = p->except;
            posting.frame->posted_ns = p->posted_ns;
        }
        int rc = 0;
        struct pc_shard *shard = pc_directory_lock(&engine->directory, app->live->uid, name);
        struct pc_channel *channel = find_target(engine, shard, app, name, keeping, &rc);
        uint32_t now = channel ? (uint32_t)__builtin_popcountll(channel->interested) : 0;
        *rendered = now > 0 && channel->views;
        if (channel && now <= workers && !*rendered) {
            if (now > 0)
                rc = post(engine, channel, &posting);
            pc_keep(engine, channel, keeping);
        }
        if (channel)
            pc_channel_settle(&engine->directory, channel);
        pc_shard_unlock(shard);
        pc_posting_finish(engine, &posting);
        if (now <= workers || *rendered)
            return rc;
        workers = now; /* more workers became interested while we encoded */
    }
}

static int publish_plain(struct pc_engine *engine, const struct pc_app *app, pusherc_slice name,
                         const struct pc_publication *p, const struct pc_keeping *keeping,
                         uint32_t workers, bool *rendered)
{
    char stack[STACK_MESSAGE];
    struct pc_buf message;
    pc_buf_init_in(&message, &engine->mem, SIZE_MAX, stack, sizeof stack);
    pc_out_event(&message, p->event, name, p->data, p->user_id);
    int rc = pc_buf_status(&message);
    if (rc == 0)
        rc = publish_encoded(engine, app, name, p, keeping, pc_buf_slice(&message), workers,
                             rendered);
    pc_buf_free(&message);
    return rc;
}

/* What a cache channel will keep of this event, if it is one. */
static int prepare_keeping(struct pc_engine *engine, const struct pc_app *app, pusherc_slice name,
                           const struct pc_publication *p, struct pc_keeping *out)
{
    *out = (struct pc_keeping){.class = pc_channel_classify(name), .now_ms = p->now_ms};
    if (!p->cacheable || !out->class.cache)
        return 0;
    out->match = pc_rules_find(&engine->rules, app->id, name, out->class.kind);
    out->cached = pc_cached_new(&engine->mem, p->event, p->data,
                                p->now_ms + UINT64_C(1000) * app->options.cache_ttl_s);
    return out->cached ? 0 : PUSHERC_ENOMEM;
}

static void count(struct pc_engine *engine, const struct pc_app *app,
                  const struct pc_publication *p, bool matched)
{
    struct pc_app_live *live = app->live;
    void (*add)(_Atomic uint64_t *, uint64_t) = p->worker ? pc_stat_add : pc_stat_add_shared;
    struct pc_app_stats *stats = &live->stats[p->worker ? p->worker->index : live->worker_count];
    pc_stat_add_shared(&engine->publishes, 1);
    add(&stats->publishes, 1);
    if (matched)
        return;
    pc_stat_add_shared(&engine->unmatched, 1);
    add(&stats->unmatched, 1);
}

static int publish_one(struct pc_engine *engine, const struct pc_app *app, pusherc_slice name,
                       const struct pc_publication *p)
{
    struct pc_keeping keeping;
    bool rendered;
    int rc = prepare_keeping(engine, app, name, p, &keeping);
    if (rc)
        return rc;
    uint32_t workers = interested_workers(engine, app, name, &rendered);
    count(engine, app, p, workers > 0);
    if (workers == 0)
        pc_near_miss(engine, app, name, p->event);
    if (!rendered && (workers > 0 || keeping.cached))
        rc = publish_plain(engine, app, name, p, &keeping, workers, &rendered);
    if (rc == 0 && rendered)
        rc = pc_publish_rendered(engine, app, name, p, &keeping);
    pc_cached_unref(keeping.cached);
    return rc;
}

int pc_publish(struct pc_engine *engine, const struct pc_app *app, const struct pc_publication *p)
{
    struct pc_publication timed = *p;
    int rc = 0;
    timed.posted_ns = engine->clock_ns ? engine->clock_ns() : 0;
    for (size_t i = 0; i < p->channel_count && rc == 0; i++) {
        bool repeated = false;
        for (size_t k = 0; k < i && !repeated; k++)
            repeated = pc_slice_eq(p->channels[k], p->channels[i]);
        if (!repeated)
            rc = publish_one(engine, app, p->channels[i], &timed);
    }
    return rc;
}
