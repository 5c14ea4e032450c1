#include "fanout/publish.h"

#include "channel/keep.h"
#include "fanout/posting.h"
#include "fanout/view.h"
#include "protocol/message_out.h"

#define STACK_MESSAGE 4096 /* most events are encoded here and copied once */
#define MAX_ROUNDS    64   /* tries while the recipients keep growing, then PUSHERC_EBACKLOG */

int pc_publication_check(const struct pc_engine *engine, const struct pc_app *app,
                         const struct pc_publication *p, pusherc_errinfo *info)
{
    const pusherc_app_options *o = &app->options;
    if (p->event.len == 0)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "The event name is missing");
    if (p->event.len > o->max_event_name_bytes) {
        pc_app_limited(app, PC_APP_max_event_name_bytes);
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
        pc_app_limited(app, PC_APP_max_event_channels);
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "Cannot broadcast to more than %u channels at once",
                          o->max_event_channels);
    }
    for (size_t i = 0; i < p->channel_count; i++) {
        struct pc_channel_class class;
        pusherc_slice name = p->channels[i];
        /* With its prefix the name of a user's channel may be longer than the app's limit. */
        bool user = name.len && name.ptr[0] == '#';
        size_t max = user ? PC_ANY_CHANNEL_NAME_MAX : o->max_channel_name_bytes;
        pusherc_slice shown = pc_utf8_cut(name, 64);
        if (name.len > max) {
            pc_app_limited(app, PC_APP_max_channel_name_bytes);
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
        pc_app_limited(app, PC_APP_max_event_payload_bytes);
        return pc_errinfo(info, PUSHERC_ELIMIT, 0,
                          "The data content of this event exceeds the allowed maximum (%u bytes): "
                          "it has %zu bytes, see max_event_payload_bytes",
                          o->max_event_payload_bytes, p->data.len);
    }
    if (p->data.len > engine->options.out_hard_bytes / 2)
        return pc_errinfo(info, PUSHERC_ELIMIT, 0,
                          "The data content of this event does not fit into a connection's queue "
                          "(%u bytes, see out_hard_bytes)",
                          engine->options.out_hard_bytes);
    if (!pc_utf8_valid(p->data))
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "The data is not UTF-8");
    return 0;
}

/* One publication to one channel. */
struct delivery {
    struct pc_engine *engine;
    const struct pc_app *app;
    const struct pc_publication *publication;
    uint64_t posted_ns; /* 0 = not timed */
    pusherc_slice channel;
    struct pc_channel_class class;
    struct pc_cached *cached;          /* what the channel has to keep; NULL = nothing */
    const struct pc_rule_match *match; /* the rule that covers the channel; set if `cached` is */
};

/* Locked, in the same critical section as the numbering: a newcomer gets the event once, kept or delivered. */
static void keep(const struct delivery *d, struct pc_channel *channel)
{
    if (d->cached)
        pc_channel_keep(&d->engine->directory, channel, d->cached, d->publication->now_ms);
}

/* Locked. *out is the channel, or NULL. A missing channel is made if it has to keep the event. */
static int find_channel(const struct delivery *d, struct pc_shard *shard, struct pc_channel **out)
{
    uint64_t uid = d->app->state->uid;
    if (!d->cached) {
        *out = pc_shard_find(shard, uid, d->channel);
        return 0;
    }
    *out = pc_shard_get(&d->engine->directory, shard, uid, d->channel, d->class, d->match);
    return *out ? 0 : PUSHERC_ENOMEM;
}

/* Finds the recipients of the event. If there are none, the channel has kept the event and nothing is left to do. */
static int find_recipients(const struct delivery *d, struct pc_recipients *out)
{
    struct pc_channel *channel;
    struct pc_shard *shard =
        pc_directory_lock(&d->engine->directory, d->app->state->uid, d->channel);
    int err = find_channel(d, shard, &channel);
    out->workers = 0;
    if (channel) {
        pc_recipients_read(channel, out);
        if (out->workers == 0) {
            keep(d, channel);
            pc_channel_settle(&d->engine->directory, channel);
        }
    }
    pc_shard_unlock(shard);
    return err;
}

static int encode(const struct delivery *d, const struct pc_recipients *recipients,
                  struct pc_frame **out)
{
    const struct pc_publication *p = d->publication;
    char stack[STACK_MESSAGE];
    struct pc_buf message;
    pc_buf_init_in(&message, &d->engine->mem, SIZE_MAX, stack, sizeof stack);
    pc_out_event(&message, p->event, d->channel, p->data, p->user_id);
    int err = pc_buf_status(&message);
    if (err == 0) {
        *out = pc_event_new(d->engine, recipients->workers, pc_buf_slice(&message));
        err = *out ? 0 : PUSHERC_ENOMEM;
    }
    pc_buf_free(&message);
    return err;
}

static int make_event(const struct delivery *d, const struct pc_recipients *recipients,
                      struct pc_frame **out)
{
    const struct pc_publication *p = d->publication;
    int err = recipients->has_views ? pc_view_event(d->engine, d->app, p, recipients, out)
                                    : encode(d, recipients, out);
    if (err)
        return err;
    (*out)->except = p->except;
    (*out)->posted_ns = d->posted_ns;
    return 0;
}

/* Posts the event and releases the channel. *fits false: the recipients have grown since they were read, and nothing
 * was posted. */
static int post_event(const struct delivery *d, struct pc_channel *channel, struct pc_frame *event,
                      bool *fits)
{
    struct pc_shard *shard = channel->shard;
    struct pc_posting posting = {.event = event};
    int err = 0;
    pthread_mutex_lock(&shard->mutex);
    *fits = pc_event_fits(event, channel);
    if (*fits) {
        err = pc_post(d->engine, channel, &posting);
        keep(d, channel);
    }
    channel->holders--;
    pc_channel_settle(&d->engine->directory, channel);
    pc_shard_unlock(shard);
    pc_posting_finish(d->engine, &posting);
    return err;
}

/* Counts the publication. If no subscriber matched, the log may say why. */
static void count(const struct delivery *d, bool matched)
{
    const struct pc_worker *worker = d->publication->worker;
    struct pc_app_state *state = d->app->state;
    void (*add)(_Atomic uint64_t *, uint64_t) = worker ? pc_stat_add : pc_stat_add_shared;
    struct pc_app_stats *stats = &state->stats[worker ? worker->index : state->worker_count];
    pc_stat_add_shared(&d->engine->publishes, 1);
    add(&stats->publishes, 1);
    if (matched)
        return;
    pc_stat_add_shared(&d->engine->unmatched, 1);
    add(&stats->unmatched, 1);
    if (pc_log_wants(&d->engine->log, PUSHERC_LOG_DEBUG)) {
        const struct pc_why why = pc_engine_why(d->engine);
        pc_why_unmatched(&why, d->app, d->channel, d->publication->event);
    }
}

/*
 * The shard is locked twice, and is not locked while the event is encoded or the host renders. Under the first lock the
 * recipients are read: how many workers, which views. So an event without subscribers costs one look-up. Under the
 * second lock the event is numbered and posted. The channel is held in between. If the recipients have grown in
 * between, the event does not fit them and is made again.
 */
static int deliver(const struct delivery *d)
{
    for (int round = 0; round < MAX_ROUNDS; round++) {
        struct pc_recipients recipients;
        struct pc_frame *event;
        bool fits;
        int err = find_recipients(d, &recipients);
        if (round == 0)
            count(d, recipients.workers > 0);
        if (err || recipients.workers == 0)
            return err;
        err = make_event(d, &recipients, &event);
        if (err) {
            pc_channel_release(&d->engine->directory, recipients.channel);
            return err;
        }
        err = post_event(d, recipients.channel, event, &fits);
        if (fits)
            return err;
    }
    return PUSHERC_EBACKLOG;
}

/* Delivers, and lets the cache channel keep the event. */
static int deliver_cached(const struct delivery *uncached)
{
    struct delivery d = *uncached;
    const struct pc_publication *p = d.publication;
    struct pc_rule_match match =
        pc_rules_find(&d.engine->rules, d.app->id, d.channel, d.class.kind);
    d.match = &match;
    d.cached = pc_cached_new(&d.engine->mem, p->event, p->data,
                             p->now_ms + UINT64_C(1000) * d.app->options.cache_ttl_s);
    int err = d.cached ? deliver(&d) : PUSHERC_ENOMEM;
    pc_cached_unref(d.cached);
    return err;
}

int pc_publish(struct pc_engine *engine, const struct pc_app *app, const struct pc_publication *p)
{
    struct delivery d = {.engine = engine,
                         .app = app,
                         .publication = p,
                         .posted_ns = engine->clock_ns ? engine->clock_ns() : 0};
    int err = 0;
    for (size_t i = 0; i < p->channel_count && err == 0; i++) {
        bool repeated = false;
        d.channel = p->channels[i];
        d.class = pc_channel_classify(d.channel);
        for (size_t k = 0; k < i && !repeated; k++)
            repeated = pc_slice_eq(p->channels[k], d.channel);
        if (!repeated)
            err = p->cacheable && d.class.cache ? deliver_cached(&d) : deliver(&d);
    }
    return err;
}
