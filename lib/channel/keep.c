#include "channel/keep.h"

#define EXPIRED_AT_ONCE                                                                            \
    64 /* events whose time is over; a publisher does not remove more of them in one call */

/* Bytes. Includes the channel, which may exist only to hold the cached event. */
static uint64_t cost_of(const struct pc_channel *channel)
{
    const struct pc_cached *cached = channel->kept.event;
    return sizeof *channel + channel->node.key.len + sizeof *cached + cached->event.len +
           cached->data.len;
}

/* The shard and the kept events are locked. `event` NULL = none from now on. Returns what the caller unrefs. */
static struct pc_cached *replace(struct pc_kept_events *kept, struct pc_channel *channel,
                                 struct pc_cached *event)
{
    struct pc_cached *before = channel->kept.event;
    struct pc_share *share = &channel->app->kept.bytes;
    uint64_t held = share->held - (before ? cost_of(channel) : 0);
    pc_list_remove(&channel->kept.of_all);
    pc_list_remove(&channel->kept.of_app);
    channel->kept.event = event;
    if (event) {
        held += cost_of(channel);
        channel->kept.number = ++kept->number;
        pc_list_push_back(&kept->by_age, &channel->kept.of_all);
        pc_list_push_back(&channel->app->kept.channels, &channel->kept.of_app);
    }
    pc_shares_set(&kept->bytes, share, held);
    return before;
}

/* -- what has to go -- */

/* An event that has to be removed, by what finds it again when its shard is locked. */
struct victim {
    uint64_t app_uid, number;
    size_t name_len;
    char name[PC_ANY_CHANNEL_NAME_MAX];
};

/* The kept events are locked, here and below. NULL: there is none. */
static struct pc_channel *oldest_of_app(const struct pc_app_state *app)
{
    const struct pc_list *channels = &app->kept.channels;
    return pc_list_empty(channels) ? NULL
                                   : PC_CONTAINER(channels->next, struct pc_channel, kept.of_app);
}

/* The oldest event of all if its time is over; else NULL. */
static struct pc_channel *expired(const struct pc_kept_events *kept, uint64_t now_ms)
{
    if (pc_list_empty(&kept->by_age))
        return NULL;
    struct pc_channel *oldest = PC_CONTAINER(kept->by_age.next, struct pc_channel, kept.of_all);
    return oldest->kept.event->until_ms <= now_ms ? oldest : NULL;
}

/* The oldest event of the app that holds most; NULL: there is room, or it is the last one published. */
static struct pc_channel *too_much(const struct pc_kept_events *kept)
{
    if (kept->bytes.held <= kept->max_bytes)
        return NULL;
    struct pc_channel *oldest =
        oldest_of_app(PC_CONTAINER(kept->bytes.largest, struct pc_app_state, kept.bytes));
    return !oldest || oldest->kept.number == kept->number ? NULL : oldest;
}

static bool describe(const struct pc_channel *channel, struct victim *out)
{
    if (!channel)
        return false;
    out->app_uid = channel->app->uid;
    out->number = channel->kept.number;
    out->name_len = channel->name.len;
    memcpy(out->name, channel->name.ptr, channel->name.len);
    return true;
}

/* If the channel has another event by now, that one stays. */
static void drop(struct pc_directory *dir, const struct victim *victim)
{
    struct pc_cached *event = NULL;
    pusherc_slice name = pc_slice(victim->name, victim->name_len);
    struct pc_shard *shard = pc_directory_lock(dir, victim->app_uid, name);
    struct pc_channel *channel = pc_shard_find(shard, victim->app_uid, name);
    if (channel && channel->kept.event && channel->kept.number == victim->number) {
        pthread_mutex_lock(&dir->kept.mutex);
        event = replace(&dir->kept, channel, NULL);
        pthread_mutex_unlock(&dir->kept.mutex);
        pc_channel_settle(dir, channel);
    }
    pc_shard_unlock(shard);
    pc_cached_unref(event);
}

bool pc_channel_keep(struct pc_directory *dir, struct pc_channel *channel, struct pc_cached *cached,
                     uint64_t now_ms)
{
    struct pc_kept_events *kept = &dir->kept;
    pthread_mutex_lock(&kept->mutex);
    struct pc_cached *before = replace(kept, channel, pc_cached_ref(cached));
    bool full = expired(kept, now_ms) || too_much(kept);
    pthread_mutex_unlock(&kept->mutex);
    pc_cached_unref(before);
    return full;
}

void pc_kept_make_room(struct pc_directory *dir, uint64_t now_ms)
{
    struct pc_kept_events *kept = &dir->kept;
    struct victim victim;
    bool more = true;
    for (unsigned n = 0; more; n++) {
        pthread_mutex_lock(&kept->mutex);
        struct pc_channel *old = n < EXPIRED_AT_ONCE ? expired(kept, now_ms) : NULL;
        more = describe(old ? old : too_much(kept), &victim);
        pthread_mutex_unlock(&kept->mutex);
        if (more)
            drop(dir, &victim);
    }
}

void pc_kept_forget(struct pc_directory *dir, const struct pc_app_state *app)
{
    struct victim victim;
    bool more = true;
    while (more) {
        pthread_mutex_lock(&dir->kept.mutex);
        more = describe(oldest_of_app(app), &victim);
        pthread_mutex_unlock(&dir->kept.mutex);
        if (more)
            drop(dir, &victim);
    }
}

struct pc_cached *pc_channel_kept(const struct pc_channel *channel, uint64_t now_ms)
{
    struct pc_cached *cached = channel->kept.event;
    return cached && cached->until_ms > now_ms ? pc_cached_ref(cached) : NULL;
}
