#include "cluster/kept.h"

#include <pusherc/error.h>

#include "channel/keep.h"
#include "cluster/relay.h"

bool pc_kept_is_event(pusherc_slice message)
{
    size_t end = pc_slice_find(message, '\n');
    return end < message.len && end > 0 && message.ptr[end - 1] == ' ';
}

static pusherc_slice name_of(const struct pc_remote *remote)
{
    return pc_key_channel(remote->node.key);
}

static struct pc_app *app_of(const struct pc_remote *remote)
{
    return pc_key_app(pc_remote_node(remote), remote->node.key);
}

/* -- the directory -- */

/* Lets the channel keep the event without telling subscribers. */
static void keep(struct pc_remote *remote, struct pc_app *app, const struct pc_heard *h,
                 uint64_t ttl_ms)
{
    struct pc_engine *engine = pc_remote_node(remote)->engine;
    struct pc_directory *directory = &engine->directory;
    pusherc_slice name = name_of(remote);
    uint64_t now_ms = pc_node_now(pc_remote_node(remote));
    struct pc_cached *cached = pc_cached_new(&engine->mem, h->event, h->data, now_ms + ttl_ms);
    if (!cached)
        return; /* newcomers get the one before, until the next sweep */
    struct pc_rule_table *rules = pc_rules_take(&engine->rules);
    struct pc_rule_match match = pc_rule_table_find(rules, app->id, name, remote->class.kind);
    struct pc_shard *shard = pc_directory_lock(directory, app->state->uid, name);
    struct pc_channel *channel =
        pc_shard_get(directory, shard, app->state, name, remote->class, &match);
    bool full = channel && pc_channel_keep(directory, channel, cached, now_ms);
    if (channel)
        pc_channel_settle(directory, channel);
    pc_shard_unlock(shard);
    pc_rule_table_unref(rules);
    pc_cached_unref(cached);
    if (full)
        pc_kept_make_room(directory, now_ms);
}

/* What is kept here, counted; NULL = nothing. */
static struct pc_cached *kept_here(const struct pc_remote *remote, const struct pc_app *app)
{
    struct pc_directory *directory = &pc_remote_node(remote)->engine->directory;
    pusherc_slice name = name_of(remote);
    struct pc_shard *shard = pc_directory_lock(directory, app->state->uid, name);
    const struct pc_channel *channel = pc_shard_find(shard, app->state->uid, name);
    struct pc_cached *cached =
        channel ? pc_channel_kept(channel, pc_node_now(pc_remote_node(remote))) : NULL;
    pc_shard_unlock(shard);
    return cached;
}

/* -- reading -- */

static void set_kept(struct pc_remote *remote, uint64_t stamp, const struct pc_heard *h)
{
    remote->kept_stamp = stamp;
    remote->kept_number = h->number;
    memcpy(remote->kept_origin, h->origin.ptr, sizeof remote->kept_origin);
}

/* Sent or brought again. */
static bool is_kept(const struct pc_remote *remote, const struct pc_heard *h)
{
    return remote->kept_stamp > 0 && h->number == remote->kept_number &&
           pc_slice_eq(h->origin, pc_slice(remote->kept_origin, sizeof remote->kept_origin));
}

/* What a sweep finds may be on its way on the topic, behind others: it is taken if the next one finds it as well. */
static bool is_late(struct pc_remote *remote, uint64_t stamp)
{
    bool late = !remote->kept_known || stamp != remote->kept_suspect;
    remote->kept_suspect = stamp;
    return late;
}

static void take_kept(struct pc_remote *remote, uint64_t stamp, const struct pc_heard *h,
                      uint64_t ttl_ms)
{
    struct pc_app *app = app_of(remote);
    if (app && stamp > remote->kept_stamp) {
        if (!is_kept(remote, h) && pc_relay_would_be_news(remote->part, h))
            pc_relay_deliver(pc_remote_node(remote), app, name_of(remote), h);
        keep(remote, app, h, ttl_ms); /* it is not as young as one that is delivered */
        set_kept(remote, stamp, h);
    }
    pc_app_unref(app);
}

static void on_kept(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                    size_t count)
{
    struct pc_remote *remote = r->remote;
    struct pc_heard h;
    uint64_t stamp = 0, ttl_ms;
    remote->requests--;
    remote->kept_asked = false;
    bool swept = r->number == 0;
    if (count == 4 && pc_slice_to_u64(values[1], &stamp) && pc_slice_to_u64(values[3], &ttl_ms) &&
        pc_relay_parse(part->node, values[2], &h) && h.cacheable) {
        if (!swept || !is_late(remote, stamp))
            take_kept(remote, stamp, &h, ttl_ms);
    } else if (count != 1) {
        pc_node_refuse(part->node, "what a channel keeps");
    }
    remote->kept_owed |=
        stamp < remote->kept_stamp; /* that was lost, or is younger than the answer */
    remote->kept_known |= !swept && r->number == remote->kept_fetch;
    pc_remote_soon(remote);
}

static void on_kept_forgotten(struct pc_node_part *part, struct pc_request *r)
{
    (void)part;
    r->remote->requests--;
    r->remote->kept_asked = false;
    pc_remote_again(r->remote);
}

static const struct pc_request_kind kept_kind = {PUSHERC_STEP_KEPT, on_kept, on_kept_forgotten};

static void fetch(struct pc_remote *remote, bool sweep)
{
    struct pusherc_link *node = pc_remote_node(remote);
    struct pc_values args;
    struct pc_request *r = pc_request_new(node, &kept_kind);
    pc_values_init(&args, &node->engine->mem);
    pc_values_put(&args, remote->node.key);
    if (r)
        r->remote = remote;
    if (r && !sweep)
        r->number = remote->kept_fetch = ++node->fetches;
    remote->kept_asked = pc_request_send(remote->part, r, &args);
    remote->requests += remote->kept_asked;
    if (!remote->kept_asked)
        pc_remote_again(remote);
}

/* -- bringing -- */

static void on_brought(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                       size_t count)
{
    (void)part;
    (void)values;
    (void)count;
    r->remote->requests--;
    r->remote->kept_owed = r->remote->kept_brought = false;
    pc_remote_soon(r->remote);
}

static void on_bringing_forgotten(struct pc_node_part *part, struct pc_request *r)
{
    (void)part;
    r->remote->requests--;
    r->remote->kept_brought = false; /* it is still owed */
    pc_remote_again(r->remote);
}

static const struct pc_request_kind rekeep_kind = {PUSHERC_STEP_REKEEP, on_brought,
                                                   on_bringing_forgotten};

static void put_brought(struct pc_remote *remote, const struct pc_cached *cached,
                        struct pc_values *args)
{
    pc_values_put(args, remote->node.key);
    pc_values_put_u64(args, remote->kept_stamp);
    pc_values_put_u64(args, cached->until_ms - pc_node_now(pc_remote_node(remote)));
    size_t begin = args->bytes.len;
    const struct pc_heard kept = {.origin =
                                      pc_slice(remote->kept_origin, sizeof remote->kept_origin),
                                  .number = remote->kept_number,
                                  .cacheable = true,
                                  .event = cached->event,
                                  .data = cached->data};
    pc_relay_put_kept(&args->bytes, &kept);
    pc_values_end(args, begin);
}

static void bring(struct pc_remote *remote)
{
    struct pusherc_link *node = pc_remote_node(remote);
    struct pc_app *app = app_of(remote);
    struct pc_cached *cached = app ? kept_here(remote, app) : NULL;
    pc_app_unref(app);
    if (!cached || remote->kept_stamp == 0) { /* its time is over */
        remote->kept_owed = false;
        pc_cached_unref(cached);
        return;
    }
    struct pc_values args;
    struct pc_request *r = pc_request_new(node, &rekeep_kind);
    pc_values_init(&args, &node->engine->mem);
    put_brought(remote, cached, &args);
    pc_cached_unref(cached);
    if (r)
        r->remote = remote;
    remote->kept_brought = pc_request_send(remote->part, r, &args);
    remote->requests += remote->kept_brought;
    if (!remote->kept_brought)
        pc_remote_again(remote);
}

/* -- looking -- */

void pc_kept_look(struct pc_remote *remote, bool wanted)
{
    if (remote->kept_owed && !remote->kept_brought)
        bring(remote);
    if (wanted && remote->topic == PC_TOPIC_THERE && !remote->kept_known && !remote->kept_asked)
        fetch(remote, false);
}

void pc_kept_unknown(struct pc_remote *remote)
{
    remote->kept_known = false;
    remote->kept_fetch = 0;
}

void pc_kept_other_data(struct pc_node_part *part)
{
    PC_LIST_EACH(l, &part->remotes) {
        struct pc_remote *remote = PC_CONTAINER(l, struct pc_remote, of_part);
        remote->kept_owed |= remote->kept_stamp > 0;
    }
}

void pc_kept_sweep(struct pc_node_part *part)
{
    PC_LIST_EACH(l, &part->remotes) {
        struct pc_remote *remote = PC_CONTAINER(l, struct pc_remote, of_part);
        if (remote->class.cache && remote->kept_known && !remote->kept_asked)
            fetch(remote, true);
    }
}

/* -- from the topic -- */

static void hear(struct pc_remote *remote, uint64_t stamp, uint64_t before,
                 const struct pc_heard *h)
{
    struct pc_node_part *part = remote->part;
    struct pc_app *app = app_of(remote);
    if (app && stamp > remote->kept_stamp) {
        if (remote->kept_known && before > remote->kept_stamp)
            pc_stat_add(&part->node->stats.gaps, 1);
        if (pc_relay_is_news(part, h) && !is_kept(remote, h))
            pc_relay_deliver(part->node, app, name_of(remote), h);
        else /* sent again, after another one perhaps */
            keep(remote, app, h, UINT64_C(1000) * app->options.cache_ttl_s);
        set_kept(remote, stamp, h);
    }
    pc_app_unref(app);
}

bool pc_kept_hears(struct pc_node_part *part, pusherc_slice key, pusherc_slice message)
{
    struct pusherc_link *node = part->node;
    struct pc_heard h;
    uint64_t stamp, before;
    size_t end = pc_slice_find(message, '\n');
    pusherc_slice line = pc_slice_first(message, end - 1);
    size_t space = pc_slice_find(line, ' ');
    if (space == line.len || !pc_slice_to_u64(pc_slice_first(line, space), &stamp) ||
        !pc_slice_to_u64(pc_slice_skip(line, space + 1), &before) ||
        !pc_relay_parse(node, pc_slice_skip(message, end + 1), &h) || !h.cacheable)
        return false;
    pc_node_lock(node);
    struct pc_remote *remote = pc_remote_find(node, key);
    pc_node_unlock(node);
    if (remote && remote->class.cache)
        hear(remote, stamp, before, &h);
    return true;
}
