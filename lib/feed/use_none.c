/* A build without hiredis. */
#include <pusherc/laravel.h>

#include "base/log.h"
#include "server/server.h"

int pusherc_server_use_laravel_redis(pusherc_server *server,
                                     const pusherc_laravel_redis_options *options,
                                     pusherc_errinfo *info)
{
    if (!server || !options)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "an argument is NULL");
    if (pc_server_is_copy(server))
        return pc_errinfo(info, PUSHERC_ESTATE, 0, PC_IS_COPY);
    return pc_errinfo(info, PUSHERC_ENOSYS, 0, "built without hiredis");
}
