/* Which kind of setting makes which carrier. */
#include <pusherc/error.h>

#include "broadcast/carrier.h"

#ifdef PC_WITH_REDIS
#    define NEW_REDIS pc_carrier_new_redis
#else
#    define NEW_REDIS new_nothing
#endif

#ifndef PC_WITH_REDIS
static int new_nothing(struct pc_carrier **out, struct pc_carrier_home *home,
                       struct pc_broadcast_url *url, const char **why)
{
    (void)out;
    (void)home;
    (void)url;
    *why = "this library was built without hiredis";
    return PUSHERC_ENOSYS;
}
#endif

static pc_carrier_new_fn new_of(enum pc_carrier_kind kind)
{
    switch (kind) {
    case PC_CARRIER_HTTP:
        return pc_carrier_new_http;
    case PC_CARRIER_REDIS:
        return NEW_REDIS;
    case PC_CARRIER_LOCAL:
        return pc_carrier_new_local;
    case PC_CARRIER_LOG:
        return pc_carrier_new_log;
    case PC_CARRIER_NULL:
        return pc_carrier_new_null;
    case PC_CARRIER_HOST:
        return pc_carrier_new_host;
    case PC_CARRIER_FAILOVER:
        return pc_carrier_new_failover;
    }
    return NULL;
}

int pc_carrier_make(struct pc_carrier **out, struct pc_carrier_home *home, pusherc_slice setting,
                    bool nested, const char **why)
{
    struct pc_broadcast_url url;
    *out = NULL;
    int err = pc_broadcast_url_parse(&url, &home->mem, setting, why);
    if (err)
        return err;
    if (nested && url.kind == PC_CARRIER_FAILOVER) {
        *why = "failover: does not take another failover:";
        err = PUSHERC_EINVAL;
    } else {
        err = new_of(url.kind)(out, home, &url, why);
    }
    pc_broadcast_url_free(&url);
    return err;
}
