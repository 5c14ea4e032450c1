#include "channel/keep.h"

/* Bytes. Includes the channel, which may exist only to hold the cached event. */
static uint64_t cost_of(const struct pc_channel *channel)
{
    const struct pc_cached *cached = channel->kept.event;
    return sizeof *channel + channel->node.key.len + sizeof *cached + cached->event.len +
           cached->data.len;
}

static void drop_event(struct pc_directory *dir, struct pc_channel *channel)
{
    atomic_fetch_sub_explicit(&dir->cached_bytes, cost_of(channel), memory_order_relaxed);
    pc_list_remove(&channel->kept.of_shard);
    pc_cached_unref(channel->kept.event);
    channel->kept.event = NULL;
}

/* Removes from this shard the events whose time is over, and the oldest ones while all shards together hold too much.
 * The latest event stays, so each shard may keep one event above the maximum. */
static void make_room(struct pc_directory *dir, struct pc_shard *shard,
                      const struct pc_channel *latest, uint64_t now_ms)
{
    for (;;) {
        struct pc_channel *oldest =
            PC_CONTAINER(shard->kept.next, struct pc_channel, kept.of_shard);
        bool full =
            atomic_load_explicit(&dir->cached_bytes, memory_order_relaxed) > dir->max_cached_bytes;
        if (oldest == latest || (!full && oldest->kept.event->until_ms > now_ms))
            return;
        drop_event(dir, oldest);
        pc_channel_settle(dir, oldest);
    }
}

void pc_channel_keep(struct pc_directory *dir, struct pc_channel *channel, struct pc_cached *cached,
                     uint64_t now_ms)
{
    if (channel->kept.event)
        drop_event(dir, channel);
    channel->kept.event = pc_cached_ref(cached);
    pc_list_push_back(&channel->shard->kept, &channel->kept.of_shard);
    atomic_fetch_add_explicit(&dir->cached_bytes, cost_of(channel), memory_order_relaxed);
    make_room(dir, channel->shard, channel, now_ms);
}

struct pc_cached *pc_channel_kept(const struct pc_channel *channel, uint64_t now_ms)
{
    struct pc_cached *cached = channel->kept.event;
    return cached && cached->until_ms > now_ms ? pc_cached_ref(cached) : NULL;
}
