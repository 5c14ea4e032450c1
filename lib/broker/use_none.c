/* A build without hiredis. */
#include <pusherc/cluster.h>

#include "base/log.h"
#include "server/server.h"

int pusherc_server_use_redis(pusherc_server *server, const pusherc_redis_options *redis,
                             const pusherc_cluster_options *options, pusherc_errinfo *info)
{
    (void)options;
    if (!server || !redis)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "an argument is NULL");
    if (pc_server_is_copy(server))
        return pc_errinfo(info, PUSHERC_ESTATE, 0, PC_IS_COPY);
    return pc_errinfo(info, PUSHERC_ENOSYS, 0, "built without hiredis");
}
