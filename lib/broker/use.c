/* The public call that links a server over Redis. */
#include <pusherc/cluster.h>

#include <stdio.h>

#include "base/options.h"
#include "broadcast/redis_format.h"
#include "broker/link.h"
#include "cluster/node.h"
#include "server/server.h"

#define DEFAULT_PREFIX     "pusherc:"
#define MAX_PREFIX         100
#define DEFAULT_TIMEOUT_MS 5000
#define MIN_TIMEOUT_MS     100

static int check_url(const struct pc_broadcast_url *url, pusherc_errinfo *info)
{
    if (url->kind != PC_CARRIER_REDIS)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "url: begins with redis:// or rediss://");
    return 0;
}

static int check_prefix(pusherc_slice prefix, pusherc_errinfo *info)
{
    if (prefix.len > MAX_PREFIX)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "prefix: at most %d bytes", MAX_PREFIX);
    if (pc_slice_find(prefix, '{') < prefix.len || pc_slice_find(prefix, '}') < prefix.len)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "prefix: has a brace");
    return 0;
}

/* Takes over the URL on success. */
static int link_with(pusherc_server *server, const pusherc_redis_options *redis,
                     struct pc_broadcast_url *url, const pusherc_cluster_options *options,
                     pusherc_errinfo *info)
{
    const pusherc_link_ops ops = pc_broker_ops();
    pusherc_slice prefix = redis->prefix ? pc_slice_of(redis->prefix) : url->prefix;
    uint32_t timeout_ms = redis->timeout_ms ? redis->timeout_ms : DEFAULT_TIMEOUT_MS;
    struct pc_tls_trust *trust;
    struct pc_broker *broker;
    if (prefix.len == 0)
        prefix = PC_S(DEFAULT_PREFIX);
    if (timeout_ms < MIN_TIMEOUT_MS)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "timeout_ms: at least %d", MIN_TIMEOUT_MS);
    int err = check_url(url, info);
    err = err ? err : check_prefix(prefix, info);
    err = err ? err : pc_redis_trust(&trust, &server->engine.mem, url, redis->ca_file, info);
    if (err)
        return err;
    err = pc_broker_new(&broker, &server->engine.mem, &server->engine.log, url, trust, prefix,
                        timeout_ms);
    if (err)
        return pc_errinfo(info, err, 0, "%s", pusherc_strerror(err));
    err = pusherc_server_use_link(server, &ops, broker, options, info);
    if (err) {
        pc_broker_free(broker);
        return err;
    }
    server->node->dispose = pc_broker_free;
    server->node->counts = pc_broker_counts(broker);
    return 0;
}

int pusherc_server_use_redis(pusherc_server *server, const pusherc_redis_options *redis,
                             const pusherc_cluster_options *options, pusherc_errinfo *info)
{
    pusherc_redis_options taken;
    struct pc_broadcast_url url;
    const char *why = NULL;
    if (!server || !redis)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "an argument is NULL");
    if (pc_server_is_copy(server))
        return pc_errinfo(info, PUSHERC_ESTATE, 0, PC_IS_COPY);
    int err = PC_TAKE(redis_options, &taken, redis, info);
    if (err)
        return err;
    if (!taken.url)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "url: is NULL");
    err = pc_broadcast_url_parse(&url, &server->engine.mem, pc_slice_of(taken.url), &why);
    if (err)
        return pc_errinfo(info, err, 0, "url: %s", why ? why : pusherc_strerror(err));
    err = link_with(server, &taken, &url, options, info);
    pc_broadcast_url_free(&url); /* zero, if the link has it */
    return err;
}
