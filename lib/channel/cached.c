#include "channel/cached.h"

#include "base/pack.h"

struct pc_cached *pc_cached_new(const struct pc_mem *mem, pusherc_slice event, pusherc_slice data,
                                uint64_t until_ms)
{
    struct pc_cached *cached = pc_alloc(mem, sizeof *cached + event.len + data.len);
    if (!cached)
        return NULL;
    cached->mem = *mem;
    cached->until_ms = until_ms;
    char *at = cached->text;
    cached->event = pc_pack(&at, event);
    cached->data = pc_pack(&at, data);
    atomic_init(&cached->refs, 1);
    return cached;
}

static struct pc_cached *cached_ref(struct pc_cached *cached)
{
    atomic_fetch_add_explicit(&cached->refs, 1, memory_order_relaxed);
    return cached;
}

void pc_cached_unref(struct pc_cached *cached)
{
    if (!cached || atomic_fetch_sub_explicit(&cached->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct pc_mem mem = cached->mem;
    pc_free(&mem, cached);
}

/* What keeping it costs: the channel counts, too, for it may be there for nothing else. */
static uint64_t cost_of(const struct pc_channel *channel)
{
    const struct pc_cached *cached = channel->cached;
    return sizeof *channel + channel->node.key.len + sizeof *cached + cached->event.len +
           cached->data.len;
}

static void forget(struct pc_directory *dir, struct pc_channel *channel)
{
    atomic_fetch_sub_explicit(&dir->cached_bytes, cost_of(channel), memory_order_relaxed);
    pc_list_remove(&channel->of_cached);
    pc_cached_unref(channel->cached);
    channel->cached = NULL;
}

/* Makes room in this shard: what is over, and what is oldest while there is too much in all shards together.
 * Each shard may keep its latest event above the maximum. */
static void make_room(struct pc_directory *dir, struct pc_shard *shard,
                      const struct pc_channel *latest, uint64_t now_ms)
{
    for (;;) {
        struct pc_channel *oldest = PC_CONTAINER(shard->cached.next, struct pc_channel, of_cached);
        bool full =
            atomic_load_explicit(&dir->cached_bytes, memory_order_relaxed) > dir->max_cached_bytes;
        if (oldest == latest || (!full && oldest->cached->until_ms > now_ms))
            return;
        forget(dir, oldest);
        pc_channel_settle(dir, oldest);
    }
}

void pc_channel_keep(struct pc_directory *dir, struct pc_channel *channel, struct pc_cached *cached,
                     uint64_t now_ms)
{
    if (channel->cached)
        forget(dir, channel);
    channel->cached = cached_ref(cached);
    pc_list_push_back(&channel->shard->cached, &channel->of_cached);
    atomic_fetch_add_explicit(&dir->cached_bytes, cost_of(channel), memory_order_relaxed);
    make_room(dir, channel->shard, channel, now_ms);
}

struct pc_cached *pc_channel_cached(const struct pc_channel *channel, uint64_t now_ms)
{
    struct pc_cached *cached = channel->cached;
    return cached && cached->until_ms > now_ms ? cached_ref(cached) : NULL;
}
