#include "fanout/publish.h"

#include "channel/history.h"
#include "channel/keep.h"
#include "fanout/ephemera.h"
#include "fanout/posting.h"
#include "fanout/receipt.h"
#include "fanout/shaping.h"
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
    bool through;             /* goes to the relay only, which brings it back */
    bool again;               /* the relay could not take it: it is counted and shaped already */
    struct pc_cached *cached; /* what the channel has to keep as its last event; NULL = nothing */
    struct pc_past *past;     /* what it has to keep as a part of its history; NULL = nothing */
    const struct pc_history_rule *history; /* set if `past` is */
    struct pc_tracked
        *tracked; /* counted: the host learns whom it has reached; NULL = it does not */
    const struct pc_rule_match *match; /* that covers the channel; set if it may have to be made */
};

/* -- other processes -- */

static bool is_relayed(const struct delivery *d)
{
    const struct pc_publication *p = d->publication;
    return d->engine->relay.prepare && !p->from_elsewhere && !p->is_everywhere;
}

/* NULL: the relay cannot take the event. */
static struct pc_relayed *prepare(const struct delivery *d)
{
    const struct pc_relay *relay = &d->engine->relay;
    return relay->prepare(relay->ctx, d->app, d->channel, d->publication, d->through);
}

/* Locked. Returns the workers to wake. */
static uint64_t send(const struct delivery *d, struct pc_relayed *event)
{
    return d->engine->relay.send(d->engine->relay.ctx, event);
}

/* Relays an event that has no subscriber here. */
static int relay_only(const struct delivery *d)
{
    struct pc_relayed *event = prepare(d);
    if (!event)
        return PUSHERC_EBACKLOG;
    struct pc_shard *shard =
        pc_directory_lock(&d->engine->directory, d->app->state->uid, d->channel);
    uint64_t wake = send(d, event);
    pc_shard_unlock(shard);
    pc_wake_workers(d->engine, wake);
    return 0;
}

/* -- this process -- */

/* Locked, in the same critical section as the numbering: a newcomer gets the event once, kept or delivered. True: the
 * caller calls make_room() after the unlock. */
static bool keep_event(const struct delivery *d, struct pc_channel *channel, uint64_t number)
{
    struct pc_directory *dir = &d->engine->directory;
    const uint64_t now_ms = d->publication->now_ms;
    bool full = d->cached && pc_channel_keep(dir, channel, d->cached, now_ms);
    if (d->past)
        full |= pc_history_keep(dir, channel, d->history, d->past, number, now_ms);
    else if (channel->history && d->publication->cacheable)
        pc_history_skip(dir, channel, number); /* the pattern is gone */
    return full;
}

static inline bool keep(const struct delivery *d, struct pc_channel *channel, uint64_t number)
{
    return !d->through && (d->match || channel->history) && keep_event(d, channel, number);
}

static void make_room(const struct delivery *d)
{
    pc_kept_make_room(&d->engine->directory, d->publication->now_ms);
    pc_history_make_room(&d->engine->directory, d->publication->now_ms);
}

/* Locked, in the critical section of the numbering as well. Makes the event's change of an ephemeral state. 0;
 * PUSHERC_ECANCELED: nothing has changed, and the event is not sent; PUSHERC_ELIMIT, PUSHERC_ENOMEM. */
static int change_state(const struct delivery *d, struct pc_channel *channel, uint64_t *wake)
{
    const struct pc_publication *p = d->publication;
    if (!p->ephemeral)
        return 0;
    int err = pc_ephemera_change(d->engine, d->app, channel, p->ephemeral, p->now_ms, wake);
    return err ? err : p->ephemeral->done ? 0 : PUSHERC_ECANCELED;
}

/* Locked. *out is the channel, or NULL. A missing channel is made if it has to keep the event. */
static int find_channel(const struct delivery *d, struct pc_shard *shard, struct pc_channel **out)
{
    uint64_t uid = d->app->state->uid;
    if (!d->match) {
        *out = pc_shard_find(shard, uid, d->channel);
        return 0;
    }
    *out =
        pc_shard_get(&d->engine->directory, shard, d->app->state, d->channel, d->class, d->match);
    if (!*out)
        return PUSHERC_ENOMEM;
    int err = d->past ? pc_history_make(&d->engine->directory, *out, d->history) : 0;
    if (err) {
        pc_channel_settle(&d->engine->directory, *out);
        *out = NULL;
    }
    return err;
}

/* Locked. The rule that shapes the event, counted for the caller; NULL = none does. */
static struct pc_shape_rule *find_rule(const struct delivery *d, struct pc_channel *channel)
{
    const struct pc_publication *p = d->publication;
    if (!pc_shaping_covers(d->app, channel) || p->shaped || p->from_elsewhere || p->ephemeral)
        return NULL;
    return pc_shaping_rule(d->app, channel, p->event);
}

/* Finds the recipients of the event, and the rule that shapes it. Without recipients there is a rule only if the event
 * goes to other processes and `shapes` asks for it: then the channel is held, too. If there are neither, the channel has
 * kept the event and nothing is left to do here. */
static int find_recipients(const struct delivery *d, bool shapes, struct pc_recipients *out,
                           struct pc_shape_rule **rule)
{
    struct pc_channel *channel;
    struct pc_shard *shard =
        pc_directory_lock(&d->engine->directory, d->app->state->uid, d->channel);
    int err = find_channel(d, shard, &channel);
    bool full = false;
    uint64_t wake = 0;
    out->workers = 0;
    *rule = NULL;
    if (!channel && err == 0)
        err = change_state(d, NULL, &wake);
    if (channel) {
        pc_recipients_read(d->engine, channel, out);
        if (d->past)
            pc_recipients_number(out);
        if (out->workers > 0 || (shapes && is_relayed(d)))
            *rule = find_rule(d, channel);
        if (out->workers == 0 && *rule) {
            channel->holders++;
        } else if (out->workers == 0) {
            err = change_state(d, channel, &wake);
            full = keep(d, channel, d->past ? ++shard->number : shard->number);
            pc_channel_settle(&d->engine->directory, channel);
        }
    }
    pc_shard_unlock(shard);
    if (wake)
        pc_wake_workers(d->engine, wake);
    if (full)
        make_room(d);
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
    pc_event_id(&message, recipients);
    int err = pc_buf_status(&message);
    if (err == 0) {
        *out = pc_event_new(recipients, pc_buf_slice(&message));
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
    (*out)->numbered = recipients->numbered;
    (*out)->posted_ns = d->posted_ns;
    if (d->tracked)
        pc_tracked_ref((*out)->tracked = d->tracked);
    return 0;
}

/* Posts the event, relays it in the same critical section, and releases the channel: other processes get the events of a
 * channel in the order in which it has them here. *fits false: the recipients have grown since they were read, and
 * nothing was posted. An event that the relay cannot take is posted all the same. */
static int post_event(const struct delivery *d, struct pc_channel *channel, struct pc_frame *event,
                      bool *fits)
{
    struct pc_shard *shard = channel->shard;
    struct pc_posting posting = {.event = event};
    const bool relayed = is_relayed(d);
    struct pc_relayed *out = relayed ? prepare(d) : NULL;
    int err = relayed && !out ? PUSHERC_EBACKLOG : 0;
    bool full = false;
    pthread_mutex_lock(&shard->mutex);
    *fits = pc_event_fits(event, channel);
    const int changed = *fits ? change_state(d, channel, &posting.wake) : 0;
    if (changed) {
        err = changed;
    } else if (*fits) {
        int posted = pc_post(d->engine, channel, &posting);
        err = posted ? posted : err;
        if (out)
            pc_wake_add(d->engine, &posting.wake, send(d, out));
        out = NULL;
        full = keep(d, channel, event->number);
    }
    channel->holders--;
    pc_channel_settle(&d->engine->directory, channel);
    pc_shard_unlock(shard);
    pc_posting_finish(d->engine, &posting);
    if (out)
        d->engine->relay.drop(d->engine->relay.ctx, out);
    if (full)
        make_room(d);
    return err;
}

static int send_shaped(struct pc_worker *worker, const struct pc_app *app,
                       const struct pc_channel *channel, const struct pc_shape_event *event);

/* The channel is held. 0: the event waits, and the channel was released; PC_SHAPING_PASSES: it is to be sent now. */
static int shape(const struct delivery *d, struct pc_channel *channel, struct pc_shape_rule *rule)
{
    const struct pc_publication *p = d->publication;
    const struct pc_shape_event event = {.name = p->event,
                                         .data = p->data,
                                         .user_id = p->user_id,
                                         .except = p->except,
                                         .cacheable = p->cacheable,
                                         .is_everywhere = p->is_everywhere};
    int result = pc_shaping_take(d->engine, d->app, channel, rule, &event,
                                 p->worker ? p->worker->now_ms : p->now_ms, send_shaped);
    pc_shape_rule_unref(rule);
    return result;
}

static void note(const struct delivery *d, bool matched)
{
    const struct pc_publication *p = d->publication;
    pc_happened_note(d->engine->happened, p->worker ? p->worker->index : PC_HAPPENED_OTHER_THREAD,
                     &(struct pc_happening){.kind = PC_HAPPENED_EVENT,
                                            .way = p->from_elsewhere ? PC_WAY_ELSEWHERE : p->way,
                                            .matched = matched,
                                            .count = p->data.len,
                                            .app_id = d->app->id,
                                            .channel = d->channel,
                                            .name = p->event});
}

/* Counts the publication. If no subscriber matched, the log and the inspector may say why. */
static void count(const struct delivery *d, bool matched)
{
    const struct pc_worker *worker = d->publication->worker;
    struct pc_app_state *state = d->app->state;
    void (*add)(_Atomic uint64_t *, uint64_t) = worker ? pc_stat_add : pc_stat_add_shared;
    if (d->publication->shaped || d->publication->returns) /* counted when it came in */
        return;
    struct pc_app_stats *stats = &state->stats[worker ? worker->index : state->worker_count];
    pc_stat_add_shared(&d->engine->publishes, 1);
    add(&stats->publishes, 1);
    if (d->engine->happened)
        note(d, matched);
    if (matched || d->engine->relay.prepare) /* it may match elsewhere */
        return;
    pc_stat_add_shared(&d->engine->unmatched, 1);
    add(&stats->unmatched, 1);
    if (d->engine->happened || pc_log_wants(&d->engine->log, PUSHERC_LOG_DEBUG)) {
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
    bool passed = d->again; /* shaping has seen the event, and counts it once */
    for (int round = 0; round < MAX_ROUNDS; round++) {
        struct pc_recipients recipients;
        struct pc_frame *event;
        struct pc_shape_rule *rule;
        bool fits;
        int err = find_recipients(d, !passed, &recipients, &rule);
        if (round == 0 && !d->again)
            count(d, recipients.workers > 0);
        if (err || (recipients.workers == 0 && !rule))
            return err == 0 && is_relayed(d) ? relay_only(d) : err;
        if (rule && passed)
            pc_shape_rule_unref(rule);
        else if (rule && (err = shape(d, recipients.channel, rule)) != PC_SHAPING_PASSES)
            return err;
        passed |= rule != NULL;
        if (d->through || recipients.workers == 0)
            pc_channel_release(&d->engine->directory, recipients.channel);
        if (d->through)
            return relay_only(d);
        if (recipients.workers == 0) /* it goes to the others as it is */
            continue;
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

/* The last event of a cache channel is one for all processes. */
static bool goes_through(const struct delivery *d)
{
    return d->class.cache && d->publication->cacheable && is_relayed(d);
}

/* An event that goes to other processes is shaped before, also if this one has no subscriber. */
static bool is_shaped_for_others(const struct delivery *d)
{
    const struct pc_publication *p = d->publication;
    const struct pc_shape_rules *rules = &d->app->shaping;
    return is_relayed(d) && rules->count > 0 && !p->shaped && !p->ephemeral &&
           pc_shape_rules_pick(rules, pc_shape_rules_covering(rules, d->channel), p->event);
}

/* Delivers, and lets the channel keep the event. */
static int deliver_kept(struct delivery *d)
{
    const struct pc_publication *p = d->publication;
    if (d->class.cache && p->cacheable)
        d->cached = pc_cached_new(&d->engine->mem, p->event, p->data,
                                  p->now_ms + UINT64_C(1000) * d->app->options.cache_ttl_s);
    if (d->history)
        d->past = pc_past_new(&d->engine->mem, p->event, p->data, p->except);
    bool made = (d->cached || !d->class.cache || !p->cacheable) && (d->past || !d->history);
    int err = made ? deliver(d) : PUSHERC_ENOMEM;
    pc_cached_unref(d->cached);
    pc_past_unref(d->past);
    return err;
}

/* Delivers on a channel that is made if it is missing: it keeps the event or a state that begins, or shapes the event. */
static int deliver_made(const struct delivery *without_match)
{
    struct delivery d = *without_match;
    struct pc_rule_table *rules = pc_rules_take(&d.engine->rules); /* on any thread */
    struct pc_rule_match match = pc_rule_table_find(rules, d.app->id, d.channel, d.class.kind);
    int err = PUSHERC_EBACKLOG;
    d.match = &match;
    d.through = goes_through(&d);
    if (d.through) {
        err = deliver(&d);
        d.through = false;
        d.again = true;
    }
    if (err == PUSHERC_EBACKLOG) /* clients here get it all the same */
        err = deliver_kept(&d);
    pc_rule_table_unref(rules);
    return err;
}

static int deliver_or_keep(struct delivery *d)
{
    const struct pc_publication *p = d->publication;
    d->history = p->cacheable ? pc_app_history(d->app, d->channel) : NULL;
    const bool kept = d->history || (p->cacheable && d->class.cache) ||
                      (p->ephemeral && p->ephemeral->step == PC_EPHEMERAL_SAID);
    return kept || is_shaped_for_others(d) ? deliver_made(d) : deliver(d);
}

/* The event becomes known before a client can have it, also if shaping puts it off. */
static int deliver_tracked(struct delivery *d, const struct pc_receipt_rule *rule)
{
    const struct pc_publication *p = d->publication;
    int err = pc_receipt_track(d->engine, d->app, d->channel, rule, p->event, p->data, p->now_ms,
                               &d->tracked);
    err = err ? err : deliver_or_keep(d);
    pc_tracked_unref(d->tracked);
    d->tracked = NULL;
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
        if (repeated)
            continue;
        const struct pc_receipt_rule *receipt =
            p->cacheable ? pc_app_receipt(app, d.channel, p->event) : NULL;
        err = receipt ? deliver_tracked(&d, receipt) : deliver_or_keep(&d);
    }
    return err == PUSHERC_ECANCELED ? 0 : err; /* it had nothing to say */
}

/* An event that has waited for its time. */
static int send_shaped(struct pc_worker *worker, const struct pc_app *app,
                       const struct pc_channel *channel, const struct pc_shape_event *event)
{
    const struct pc_publication p = {.event = event->name,
                                     .channels = &channel->name,
                                     .channel_count = 1,
                                     .data = event->data,
                                     .user_id = event->user_id,
                                     .except = event->except,
                                     .cacheable = event->cacheable,
                                     .is_everywhere = event->is_everywhere,
                                     .shaped = true,
                                     .now_ms = worker->now_ms,
                                     .worker = worker};
    return pc_publish(worker->engine, app, &p);
}

/* -- ends of ephemeral states -- */

int pc_publish_ended(struct pc_engine *engine, const struct pc_app *app, pusherc_slice channel,
                     struct pc_ephemeral_change *change, pusherc_socket_id except,
                     struct pc_worker *worker, uint64_t now_ms)
{
    const struct pc_said *said = change->said;
    char stack[1024];
    struct pc_buf data;
    pc_buf_init_in(&data, &engine->mem, SIZE_MAX, stack, sizeof stack);
    pc_ephemeral_put_ended(&data, said->data);
    int err = pc_buf_status(&data);
    const struct pc_publication p = {.event = said->event,
                                     .channels = &channel,
                                     .channel_count = 1,
                                     .data = pc_buf_slice(&data),
                                     .user_id = said->shows_user ? pc_said_user_id(said) : PC_S(""),
                                     .except = except,
                                     .way = PC_WAY_CLIENT,
                                     .ephemeral = change,
                                     .now_ms = now_ms,
                                     .worker = worker};
    if (err == 0)
        err = pc_publish(engine, app, &p);
    pc_buf_free(&data);
    return err;
}

static void tell_host(struct pc_worker *worker, const struct pc_app *app, pusherc_slice channel,
                      const struct pc_ephemeral_change *change)
{
    const pusherc_hooks *hooks = worker->hooks;
    const struct pc_said *said = change->said;
    if (!hooks->on_ephemeral_end)
        return;
    const pusherc_ephemeral_end end = {.struct_size = sizeof end,
                                       .reason = change->left ? PUSHERC_EPHEMERAL_LEFT
                                                              : PUSHERC_EPHEMERAL_TIME,
                                       .app_id = app->id,
                                       .channel = channel,
                                       .event = said->event,
                                       .user_id = pc_said_user_id(said),
                                       .key = said->key,
                                       .data = said->data};
    hooks->on_ephemeral_end(&end, hooks->user_data);
}

int pc_publish_over(struct pc_worker *worker, const struct pc_app *app, pusherc_slice channel,
                    struct pc_said *said, pusherc_socket_id except)
{
    struct pc_ephemeral_change change = {.step = PC_EPHEMERAL_OVER, .said = said};
    int err =
        pc_publish_ended(worker->engine, app, channel, &change, except, worker, worker->now_ms);
    if (change.done)
        tell_host(worker, app, channel, &change);
    return err;
}
