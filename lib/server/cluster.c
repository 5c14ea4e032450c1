/* A server's link with others. */
#include "server/cluster.h"

#include <string.h>

#include <pusherc/cluster.h>

#include "base/options.h"
#include "cluster/node.h"
#include "server/server.h"

static int check_options(const pusherc_cluster_options *o, pusherc_errinfo *info)
{
    uint32_t lease_ms = o->lease_ms ? o->lease_ms : PC_LEASE_MS;
    uint32_t renew_ms = o->renew_ms ? o->renew_ms : PC_RENEW_MS;
    uint32_t settle_ms = o->settle_ms ? o->settle_ms : PC_SETTLE_MS;
    if (lease_ms / 3 < renew_ms)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "lease_ms: less than 3 * renew_ms");
    if (settle_ms <= renew_ms)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "settle_ms: not more than renew_ms");
    return 0;
}

static int check_ops(const pusherc_link_ops *ops, pusherc_errinfo *info)
{
    if (ops->partitions == 0 || ops->partitions > PC_MAX_PARTITIONS)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "partitions: 1..%d", PC_MAX_PARTITIONS);
    if (!ops->start || !ops->stop || !ops->subscribe || !ops->unsubscribe || !ops->publish ||
        !ops->execute || !ops->reset)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "ops: a function is missing");
    return 0;
}

int pusherc_server_use_link(pusherc_server *server, const pusherc_link_ops *ops, void *self,
                            const pusherc_cluster_options *options, pusherc_errinfo *info)
{
    const pusherc_cluster_options defaults = PUSHERC_CLUSTER_OPTIONS_INIT;
    pusherc_cluster_options taken;
    pusherc_link_ops functions;
    if (!server || !ops)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "an argument is NULL");
    if (pc_server_is_copy(server))
        return pc_errinfo(info, PUSHERC_ESTATE, 0, PC_IS_COPY);
    if (atomic_load(&server->state) != PC_SERVER_NEW)
        return pc_errinfo(info, PUSHERC_ESTATE, 0, "the server was started before");
    if (server->node)
        return pc_errinfo(info, PUSHERC_ESTATE, 0, "the server has a link already");
    int err = PC_TAKE(cluster_options, &taken, options ? options : &defaults, info);
    err = err ? err : PC_TAKE(link_ops, &functions, ops, info);
    err = err ? err : check_options(&taken, info);
    err = err ? err : check_ops(&functions, info);
    if (err)
        return err;
    err = pc_node_new(&server->node, &server->engine, &functions, self, &taken);
    return err ? pc_errinfo(info, err, 0, "%s", pusherc_strerror(err)) : 0;
}

int pusherc_server_cluster(pusherc_server *server, pusherc_cluster_info *out)
{
    pusherc_cluster_info info = PUSHERC_CLUSTER_INFO_INIT;
    if (!server || !out || !pc_can_give(out, &pc_sized_cluster_info))
        return PUSHERC_EINVAL;
    if (pc_server_is_copy(server))
        return PUSHERC_ESTATE;
    if (server->node)
        pc_node_info(server->node, &info);
    pc_give(out, &info, &pc_sized_cluster_info);
    return 0;
}

/* -- life -- */

/* Called in each turn while the first loop stops and has no connection left. */
static bool ended(struct pc_companion *companion)
{
    pusherc_server *server = PC_CONTAINER(companion, pusherc_server, cluster.companion);
    struct pc_server_cluster *c = &server->cluster;
    uint64_t now_ms = server->loops[0].worker->now_ms;
    pthread_mutex_lock(&server->mutex);
    bool alone = server->running == 1;
    pthread_mutex_unlock(&server->mutex);
    if (!alone)
        return false; /* clients of other workers have to leave first */
    if (!c->leaving) {
        c->leaving = true;
        c->give_up_ms = now_ms + server->engine.options.close_timeout_ms;
    }
    /* The node's own timer keeps the loop turning. */
    bool over = pc_node_leave(server->node) || now_ms >= c->give_up_ms;
    server->engine.told_by_link &= !over;
    return over;
}

void pc_server_cluster_stop(pusherc_server *server)
{
    if (!server->node)
        return;
    pc_node_stop(server->node);
    if (server->cluster.companion.ended)
        pc_loop_leave(&server->cluster.companion);
}

int pc_server_cluster_start(pusherc_server *server)
{
    if (!server->node)
        return 0;
    int err = pc_node_start(server->node);
    if (err == 0) {
        server->cluster.companion.ended = ended;
        pc_list_init(&server->cluster.companion.of_loop);
        pc_loop_join(&server->loops[0], &server->cluster.companion);
    }
    return err;
}
