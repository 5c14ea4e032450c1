/* The public call that gives a server the events of Laravel's Redis broadcaster. */
#include <pusherc/laravel.h>

#include "base/options.h"
#include "broadcast/laravel.h"
#include "broadcast/redis_format.h"
#include "feed/feed.h"

#define DEFAULT_TIMEOUT_MS 5000
#define MIN_TIMEOUT_MS     100

static int check(pusherc_server *server, const pusherc_laravel_redis_options *o,
                 const struct pc_broadcast_url *url, pusherc_errinfo *info)
{
    struct pc_app *app;
    int err;
    if (url->kind != PC_CARRIER_REDIS)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "url: begins with redis:// or rediss://");
    if (o->timeout_ms && o->timeout_ms < MIN_TIMEOUT_MS)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "timeout_ms: at least %d", MIN_TIMEOUT_MS);
    app = pc_server_app(server, o->app_id, &err);
    if (!app)
        return pc_errinfo(info, err, 0, "app_id: %s", pusherc_strerror(err));
    pc_app_unref(app);
    return 0;
}

/* Takes over the URL on success. */
static int add_feed(pusherc_server *server, const pusherc_laravel_redis_options *o,
                    struct pc_broadcast_url *url, pusherc_errinfo *info)
{
    struct pc_feed_options options = {.app_id = pc_slice_of(o->app_id),
                                      .timeout_ms =
                                          o->timeout_ms ? o->timeout_ms : DEFAULT_TIMEOUT_MS};
    struct pc_buf made[2];
    int err = check(server, o, url, info);
    if (err)
        return err;
    pc_buf_init(&made[0], &server->engine.mem, SIZE_MAX);
    pc_buf_init(&made[1], &server->engine.mem, SIZE_MAX);
    if (o->prefix || url->prefix.ptr) {
        options.prefixes[options.prefix_count++] = o->prefix ? pc_slice_of(o->prefix) : url->prefix;
    } else {
        for (size_t i = 0; i < 2; i++) {
            pc_laravel_put_prefix(&made[i], pc_slice_of(o->app_name), "-_"[i]);
            err = err ? err : pc_buf_status(&made[i]);
            options.prefixes[options.prefix_count++] = pc_buf_slice(&made[i]);
        }
    }
    for (size_t i = 0; i < options.prefix_count && err == 0; i++)
        if (options.prefixes[i].len > PC_FEED_MAX_PREFIX)
            err =
                pc_errinfo(info, PUSHERC_EINVAL, 0, "prefix: at most %d bytes", PC_FEED_MAX_PREFIX);
    err = err ? err : pc_redis_trust(&options.trust, &server->engine.mem, url, o->ca_file, info);
    err = err ? err : pc_feed_new(server, url, &options);
    if (err)
        pc_tls_trust_free(options.trust);
    pc_buf_free(&made[0]);
    pc_buf_free(&made[1]);
    return err && !(info && info->text[0]) ? pc_errinfo(info, err, 0, "%s", pusherc_strerror(err))
                                           : err;
}

int pusherc_server_use_laravel_redis(pusherc_server *server,
                                     const pusherc_laravel_redis_options *from,
                                     pusherc_errinfo *info)
{
    pusherc_laravel_redis_options taken;
    struct pc_broadcast_url url;
    const char *why = NULL;
    if (!server || !from)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "an argument is NULL");
    if (pc_server_is_copy(server))
        return pc_errinfo(info, PUSHERC_ESTATE, 0, PC_IS_COPY);
    if (atomic_load(&server->state) != PC_SERVER_NEW)
        return pc_errinfo(info, PUSHERC_ESTATE, 0, "the server was started before");
    int err = PC_TAKE(laravel_redis_options, &taken, from, info);
    if (err)
        return err;
    if (!taken.url || !taken.app_id)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "%s: is NULL", taken.url ? "app_id" : "url");
    err = pc_broadcast_url_parse(&url, &server->engine.mem, pc_slice_of(taken.url), &why);
    if (err)
        return pc_errinfo(info, err, 0, "url: %s", why ? why : pusherc_strerror(err));
    err = add_feed(server, &taken, &url, info);
    pc_broadcast_url_free(&url); /* zero, if the feed has it */
    return err;
}
