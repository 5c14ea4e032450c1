#include "cluster/remote.h"

#include <assert.h>

#include "base/pack.h"
#include "fanout/watch.h"

pusherc_slice pc_remote_key(struct pc_remote_key *key, pusherc_slice id, pusherc_slice channel)
{
    char *at = key->bytes;
    assert(id.len + 1 + channel.len <= sizeof key->bytes); /* names were checked */
    pc_pack(&at, id);
    *at++ = '/';
    pc_pack(&at, channel);
    return pc_slice(key->bytes, (size_t)(at - key->bytes));
}

pusherc_slice pc_key_channel(pusherc_slice key)
{
    size_t slash = pc_slice_find(key, '/');
    return pc_slice_skip(key, slash < key.len ? slash + 1 : key.len);
}

struct pc_app *pc_key_app(struct pusherc_link *node, pusherc_slice key)
{
    return pc_apps_by_id(&node->engine->apps, pc_slice_first(key, pc_slice_find(key, '/')));
}

/* -- the tables; the mutex is held -- */

struct pc_remote *pc_remote_find(struct pusherc_link *node, pusherc_slice key)
{
    struct pc_map_node *found = pc_map_find(&node->remotes, key);
    return found ? PC_CONTAINER(found, struct pc_remote, node) : NULL;
}

uint64_t pc_remote_mark(struct pusherc_link *node, struct pc_remote *remote)
{
    if (pc_list_empty(&remote->marked))
        pc_list_push_back(&node->marked, &remote->marked);
    return pc_node_mark(node);
}

struct pc_remote *pc_remote_get(struct pusherc_link *node, pusherc_slice key)
{
    struct pc_remote *remote = pc_remote_find(node, key);
    if (remote)
        return remote;
    remote = pc_alloc_zero(&node->engine->mem, sizeof *remote + key.len);
    if (!remote)
        return NULL;
    char *at = (char *)(remote + 1);
    remote->node.key = pc_pack(&at, key);
    if (pc_map_insert(&node->remotes, &remote->node)) {
        pc_free(&node->engine->mem, remote);
        return NULL;
    }
    remote->part = pc_node_part_of(node, key);
    remote->class = pc_channel_classify(pc_key_channel(key));
    remote->is_user = pc_watched_user(pc_key_channel(key)).len > 0;
    if (remote->is_user)
        remote->class.kind = PUSHERC_CHANNEL_USER;
    remote->counted = remote->class.kind != PUSHERC_CHANNEL_USER;
    remote->is_limit = remote->counted && pc_slice_starts(pc_key_channel(key), PC_S("#"));
    remote->sent_known = PC_KNOWN_YES;
    pc_list_init(&remote->of_part);
    pc_list_init(&remote->marked);
    pc_list_init(&remote->waits);
    pc_list_init(&remote->users_todo);
    pc_list_init(&remote->seats);
    pc_list_init(&remote->homes);
    pc_list_init(&remote->users_in_order);
    pc_list_init(&remote->todo);
    pc_list_init(&remote->soon);
    pc_list_init(&remote->kept);
    pc_list_init(&remote->differ);
    pc_map_init(&remote->users, &node->engine->mem, node->engine->seed);
    return remote;
}

struct pc_remote_user *pc_remote_find_user(const struct pc_remote *remote, pusherc_slice id)
{
    struct pc_map_node *found = pc_map_find(&remote->users, id);
    return found ? PC_CONTAINER(found, struct pc_remote_user, node) : NULL;
}

struct pc_remote_user *pc_remote_get_user(struct pc_remote *remote, pusherc_slice id)
{
    struct pc_remote_user *user = pc_remote_find_user(remote, id);
    if (user)
        return user;
    user = pc_alloc_zero(remote->users.mem, sizeof *user + id.len);
    if (!user)
        return NULL;
    char *at = (char *)(user + 1);
    user->node.key = pc_pack(&at, id);
    if (pc_map_insert(&remote->users, &user->node)) {
        pc_free(remote->users.mem, user);
        return NULL;
    }
    pc_list_init(&user->in_order);
    pc_list_init(&user->todo);
    pc_list_init(&user->differ);
    return user;
}

void pc_remote_user_todo(struct pc_remote *remote, struct pc_remote_user *user)
{
    if (pc_list_empty(&user->todo))
        pc_list_push_back(&remote->users_todo, &user->todo);
}

/* -- on the node's thread -- */

void pc_remote_set_user(struct pc_remote *remote, struct pc_remote_user *user, enum pc_known held,
                        bool asked)
{
    bool was = user->held != PC_KNOWN_NO || user->asked, is = held != PC_KNOWN_NO || asked;
    struct pc_node_stats *stats = &pc_remote_node(remote)->stats;
    pc_stat_add(&stats->holds,
                (uint64_t)(held == PC_KNOWN_YES) - (uint64_t)(user->held == PC_KNOWN_YES));
    user->held = held;
    user->asked = asked;
    remote->busy += (uint32_t)is - (uint32_t)was;
    if (pc_list_empty(&user->in_order))
        pc_list_push_back(&remote->users_in_order, &user->in_order);
}

void pc_remote_set_topic(struct pc_remote *remote, enum pc_topic_state topic)
{
    pc_stat_add(&pc_remote_node(remote)->stats.topics,
                (uint64_t)(topic != PC_TOPIC_NONE) - (uint64_t)(remote->topic != PC_TOPIC_NONE));
    remote->topic = topic;
}

void pc_remote_user_free(struct pc_remote *remote, struct pc_remote_user *user)
{
    pc_list_remove(&user->in_order);
    pc_list_remove(&user->differ);
    pc_free(remote->users.mem, user->info);
    pc_free(remote->users.mem, user->mirror_info);
    pc_free(remote->users.mem, user);
}

void pc_remote_user_settle(struct pc_remote *remote, struct pc_remote_user *user)
{
    struct pusherc_link *node = pc_remote_node(remote);
    if (user->held != PC_KNOWN_NO || user->asked || user->mirrored || user->shown)
        return;
    pc_node_lock(node);
    bool over = user->claims == 0;
    if (over) {
        pc_map_remove(&remote->users, &user->node);
        pc_list_remove(&user->todo);
    }
    pc_node_unlock(node);
    if (over)
        pc_remote_user_free(remote, user);
}

struct pc_remote_user *pc_remote_get_user_here(struct pc_remote *remote, pusherc_slice id)
{
    struct pusherc_link *node = pc_remote_node(remote);
    pc_node_lock(node);
    struct pc_remote_user *user = pc_remote_get_user(remote, id);
    pc_node_unlock(node);
    if (user && pc_list_empty(&user->in_order))
        pc_list_push_back(&remote->users_in_order, &user->in_order);
    return user;
}

struct pc_channel *pc_remote_channel(struct pc_remote *remote, struct pc_app **app)
{
    pc_node_lock(pc_remote_node(remote));
    struct pc_channel *channel = remote->channel;
    *app = remote->app;
    pc_node_unlock(pc_remote_node(remote));
    return channel;
}

void pc_remote_again(struct pc_remote *remote)
{
    if (pc_list_empty(&remote->todo))
        pc_list_push_back(&remote->part->todo, &remote->todo);
}

struct pc_remote *pc_remote_get_here(struct pc_node_part *part, pusherc_slice key)
{
    struct pusherc_link *node = part->node;
    if (key.len > PC_MAX_REMOTE_KEY || pc_node_part_of(node, key) != part)
        return NULL;
    pc_node_lock(node);
    struct pc_remote *remote = pc_remote_get(node, key);
    pc_node_unlock(node);
    if (remote && pc_list_empty(&remote->of_part))
        pc_list_push_back(&part->remotes, &remote->of_part);
    return remote;
}

void pc_remote_soon(struct pc_remote *remote)
{
    if (pc_list_empty(&remote->soon))
        pc_list_push_back(&remote->part->soon, &remote->soon);
}
