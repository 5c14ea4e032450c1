#include "channel/directory.h"

#include <assert.h>

#include "channel/cached.h"
#include "channel/past.h"

#define MAX_KEY (sizeof(uint64_t) + PC_ANY_CHANNEL_NAME_MAX) /* the app's uid and a name */

struct key_bytes {
    char bytes[MAX_KEY];
};

static pusherc_slice make_key(struct key_bytes *out, uint64_t app_uid, pusherc_slice name)
{
    /* callers have checked the name */
    assert(name.len <= sizeof out->bytes - sizeof app_uid);
    memcpy(out->bytes, &app_uid, sizeof app_uid);
    memcpy(out->bytes + sizeof app_uid, name.ptr, name.len);
    return pc_slice(out->bytes, sizeof app_uid + name.len);
}

void pc_directory_init(struct pc_directory *dir, const struct pc_mem *mem, const uint64_t seed[2],
                       uint32_t worker_count)
{
    dir->mem = mem;
    dir->worker_count = worker_count;
    memcpy(dir->seed, seed, sizeof dir->seed);
    for (size_t i = 0; i < PC_SHARDS; i++) {
        pthread_mutex_init(&dir->shards[i].mutex, NULL);
        pc_map_init(&dir->shards[i].channels, mem, seed);
        dir->shards[i].number = 0;
    }
    dir->kept = (struct pc_kept_events){.max_bytes = 0};
    pthread_mutex_init(&dir->kept.mutex, NULL);
    pc_list_init(&dir->kept.by_age);
    dir->histories = (struct pc_histories){.epoch = (uint32_t)pc_hash(seed, PC_S("history"))};
    pthread_mutex_init(&dir->histories.mutex, NULL);
    pc_list_init(&dir->histories.by_age);
}

static void free_channel(struct pc_directory *dir, struct pc_channel *channel)
{
    pc_roster_free(&channel->roster);
    pc_free(dir->mem, channel->views);
    pc_cached_unref(channel->kept.event);
    if (channel->history)
        pc_past_unref(channel->history->first);
    pc_free(dir->mem, channel->history);
    pc_list_remove(&channel->of_app);
    pc_app_state_unref(channel->app);
    pc_free(dir->mem, channel);
}

static void free_node(struct pc_map_node *node, void *ctx)
{
    free_channel(ctx, PC_CONTAINER(node, struct pc_channel, node));
}

void pc_directory_free(struct pc_directory *dir)
{
    for (size_t i = 0; i < PC_SHARDS; i++) {
        pc_map_each(&dir->shards[i].channels, free_node, dir);
        pc_map_free(&dir->shards[i].channels);
        pthread_mutex_destroy(&dir->shards[i].mutex);
    }
    pthread_mutex_destroy(&dir->kept.mutex);
    pthread_mutex_destroy(&dir->histories.mutex);
}

struct pc_shard *pc_directory_lock(struct pc_directory *dir, uint64_t app_uid, pusherc_slice name)
{
    struct key_bytes bytes;
    uint64_t hash = pc_hash(dir->seed, make_key(&bytes, app_uid, name));
    /* the high bits, because the tables use the low ones */
    struct pc_shard *shard = &dir->shards[(hash >> 48) % PC_SHARDS];
    pthread_mutex_lock(&shard->mutex);
    return shard;
}

void pc_shard_unlock(struct pc_shard *shard)
{
    pthread_mutex_unlock(&shard->mutex);
}

struct pc_channel *pc_shard_find(struct pc_shard *shard, uint64_t app_uid, pusherc_slice name)
{
    struct key_bytes bytes;
    struct pc_map_node *node = pc_map_find(&shard->channels, make_key(&bytes, app_uid, name));
    return node ? PC_CONTAINER(node, struct pc_channel, node) : NULL;
}

static bool make_views(struct pc_directory *dir, struct pc_channel *channel, pusherc_slice name,
                       const struct pc_rule_match *match)
{
    channel->views = pc_alloc_zero(dir->mem, sizeof *channel->views);
    if (!channel->views)
        return false;
    channel->views->match = pc_rule_match_in(match, name, channel->name);
    return true;
}

int pc_channel_use_view(struct pc_channel *channel, pusherc_slice name, uint32_t *index)
{
    struct pc_view *free_item = NULL, *found = NULL;
    uint32_t others = 0;
    for (uint32_t i = 0; i < PC_VIEW_PLACES; i++) {
        struct pc_view *v = &channel->views->items[i];
        if (v->uses > 0 && pc_slice_eq(pc_slice(v->name, v->name_len), name))
            found = v;
        else if (v->uses > v->leaving)
            others++;
        else if (v->uses == 0 && !free_item)
            free_item = v;
    }
    if (others >= PC_MAX_VIEWS || (!found && !free_item) || name.len > PC_MAX_VIEW_NAME)
        return PUSHERC_ELIMIT;
    if (found) {
        found->uses++;
        *index = (uint32_t)(found - channel->views->items);
        return 0;
    }
    memcpy(free_item->name, name.ptr, name.len);
    free_item->name_len = (uint32_t)name.len;
    free_item->uses = 1;
    /* a number that no view of any channel of the shard has had */
    channel->views->generation = ++channel->shard->number;
    *index = (uint32_t)(free_item - channel->views->items);
    return 0;
}

void pc_channel_drop_view(struct pc_channel *channel, uint32_t index)
{
    channel->views->items[index].uses--;
}

struct pc_channel *pc_shard_get(struct pc_directory *dir, struct pc_shard *shard,
                                struct pc_app_state *app, pusherc_slice name,
                                struct pc_channel_class class, const struct pc_rule_match *match)
{
    const uint64_t app_uid = app->uid;
    struct pc_channel *channel = pc_shard_find(shard, app_uid, name);
    if (channel)
        return channel;
    size_t fixed = sizeof *channel + dir->worker_count * sizeof channel->local[0];
    size_t key_len = sizeof app_uid + name.len;
    channel = pc_alloc_zero(dir->mem, fixed + key_len);
    if (!channel)
        return NULL;
    char *key = (char *)channel + fixed;
    memcpy(key, &app_uid, sizeof app_uid);
    memcpy(key + sizeof app_uid, name.ptr, name.len);
    channel->node.key = pc_slice(key, key_len);
    channel->name = pc_slice(key + sizeof app_uid, name.len);
    channel->app = app;
    pc_app_state_ref(app);
    pc_list_push_back(&app->channels[shard - dir->shards], &channel->of_app);
    channel->shard = shard;
    channel->class = class;
    pc_list_init(&channel->kept.of_all);
    pc_list_init(&channel->kept.of_app);
    pc_roster_init(&channel->roster, dir->mem, dir->seed);
    if (match && match->rule && pc_rule_renders(match->rule) &&
        !make_views(dir, channel, name, match)) {
        free_channel(dir, channel);
        return NULL;
    }
    if (pc_map_insert(&shard->channels, &channel->node)) {
        free_channel(dir, channel);
        return NULL;
    }
    return channel;
}

void pc_channel_settle(struct pc_directory *dir, struct pc_channel *channel)
{
    if (channel->subscriptions || channel->holders || channel->kept.event ||
        (channel->history && !pc_list_empty(&channel->history->of_all)))
        return;
    pc_map_remove(&channel->shard->channels, &channel->node);
    free_channel(dir, channel);
}

void pc_channel_release(struct pc_directory *dir, struct pc_channel *channel)
{
    struct pc_shard *shard = channel->shard;
    pthread_mutex_lock(&shard->mutex);
    channel->holders--;
    pc_channel_settle(dir, channel);
    pthread_mutex_unlock(&shard->mutex);
}

void pc_directory_each(struct pc_directory *dir, const struct pc_app_state *app,
                       pusherc_slice prefix, pc_channel_visit_fn visit, void *ctx)
{
    for (size_t i = 0; i < PC_SHARDS; i++) {
        pthread_mutex_lock(&dir->shards[i].mutex);
        PC_LIST_EACH(l, &app->channels[i]) {
            const struct pc_channel *channel = PC_CONTAINER(l, struct pc_channel, of_app);
            if (channel->subscriptions > 0 && pc_slice_starts(channel->name, prefix))
                visit(channel, ctx);
        }
        pthread_mutex_unlock(&dir->shards[i].mutex);
    }
}

static void count_node(struct pc_map_node *node, void *ctx)
{
    uint64_t *count = ctx;
    *count += PC_CONTAINER(node, struct pc_channel, node)->subscriptions > 0;
}

uint64_t pc_directory_occupied(struct pc_directory *dir)
{
    uint64_t count = 0;
    for (size_t i = 0; i < PC_SHARDS; i++) {
        pthread_mutex_lock(&dir->shards[i].mutex);
        pc_map_each(&dir->shards[i].channels, count_node, &count);
        pthread_mutex_unlock(&dir->shards[i].mutex);
    }
    return count;
}
