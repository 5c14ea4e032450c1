#include "cluster/totals.h"

#include "fanout/count.h"

bool pc_totals_wanted(struct pc_remote *remote)
{
    struct pc_app *app;
    return !pc_remote_has_roster(remote) && pc_remote_channel(remote, &app) != NULL;
}

static void show(struct pc_remote *remote, uint64_t own, uint64_t total)
{
    struct pusherc_link *node = pc_remote_node(remote);
    struct pc_app *app;
    struct pc_channel *channel = pc_remote_channel(remote, &app);
    struct pc_posting posting = {0};
    if (!channel || pc_remote_has_roster(remote))
        return;
    pthread_mutex_lock(&channel->shard->mutex);
    pc_count_elsewhere(node->worker, app, channel, total > own ? total - own : 0, &posting);
    pc_shard_unlock(channel->shard);
    pc_posting_finish(node->engine, &posting);
}

void pc_totals_counted(struct pc_remote *remote, uint64_t own, uint64_t total)
{
    show(remote, own, remote->total_came ? remote->total : total);
    remote->total_came = false;
}

void pc_totals_sweep(struct pc_node_part *part)
{
    PC_LIST_EACH(l, &part->remotes) {
        struct pc_remote *remote = PC_CONTAINER(l, struct pc_remote, of_part);
        remote->recount |= remote->topic == PC_TOPIC_THERE && pc_totals_wanted(remote);
        if (remote->recount)
            pc_remote_again(remote);
    }
}

bool pc_totals_hears(struct pc_node_part *part, pusherc_slice key, pusherc_slice message)
{
    struct pusherc_link *node = part->node;
    uint64_t total;
    if (!pc_slice_to_u64(pc_slice_skip(message, 2), &total))
        return false;
    pc_node_lock(node);
    struct pc_remote *remote = pc_remote_find(node, key);
    pc_node_unlock(node);
    if (!remote)
        return true;
    remote->total = total;
    remote->total_came =
        remote->count_asked; /* what this node has of it is known with the answer */
    if (!remote->count_asked && remote->sent_known == PC_KNOWN_YES)
        show(remote, remote->sent, total);
    return true;
}
