/**
 * @file laravel.h
 * Events that a Laravel application publishes in Redis, with BROADCAST_CONNECTION=redis (BROADCAST_DRIVER up to Laravel
 * 10). docs/laravel.md says what of such an application works, and what needs a rule.
 *
 * Unless said otherwise: Thread: any. Blocks: no. In callbacks: no. Owns: nothing. Since: 0.1.
 */
#ifndef PUSHERC_LARAVEL_H
#define PUSHERC_LARAVEL_H

#include <pusherc/error.h>
#include <pusherc/server.h>
#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/** Begin with PUSHERC_LARAVEL_REDIS_OPTIONS_INIT, then set `url` and `app_id`. NULL or zero in a field means its
 *  default. */
typedef struct pusherc_laravel_redis_options {
    size_t struct_size; /**< sizeof(pusherc_laravel_redis_options) */
    /** redis://[[USER]:PASSWORD\@]HOST[:PORT][?prefix=PREFIX], as pusherc_redis_options.url. rediss:// is as there.
     *  Channels of Redis belong to no database: one in the URL is ignored. */
    const char *url;
    const char *app_id; /**< the app that the events are published in */
    const char *
        prefix; /**< what Laravel puts before the names of channels (REDIS_PREFIX), at most 200 bytes; empty = nothing.
                              Default: that of the URL, or both that Laravel makes of app_name */
    const char *
        app_name; /**< APP_NAME of the application; default "laravel". "My App" has the prefixes my-app-database- and,
                              in releases before, my_app_database_ */
    uint32_t
        timeout_ms; /**< without an answer for so long the connection is given up; default 5000, at least 100 */
    uint32_t reserved_; /**< zero */
    /** PEM file of the authorities that Redis is trusted by, with rediss://; default: that of the URL, or the system's */
    const char *ca_file;
} pusherc_laravel_redis_options;

/* clang-format off */
/** Initialiser of a pusherc_laravel_redis_options. */
#define PUSHERC_LARAVEL_REDIS_OPTIONS_INIT { .struct_size = sizeof(pusherc_laravel_redis_options) }
/* clang-format on */

/**
 * Do what PUSHERC_LARAVEL_REDIS_OPTIONS_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_laravel_redis_options) as the caller knows it
 */
PUSHERC_API void pusherc_laravel_redis_options_init(pusherc_laravel_redis_options *out,
                                                    size_t struct_size);

/**
 * Publish what Laravel's Redis broadcaster writes, before the server starts. May be called for several apps or Redis
 * servers.
 *
 * The server's first loop has a connection to Redis, which subscribes to all channels with the prefix, and is made again
 * with growing pauses when it is lost. What is published meanwhile is lost: Redis keeps nothing for those who come later.
 * Each event passes the hook on_publish (PUSHERC_SOURCE_LARAVEL_REDIS) on the first worker and is published in the app,
 * with its `socket` as the exception. Data is what Laravel's drivers for Pusher send. The data of an encrypted channel is
 * encrypted with the app's master key unless it is already; without a key the event is refused. What is no such event is
 * ignored, and said in the log at most once in 10 seconds. A message longer than 8 MiB ends the connection.
 *
 * Each of several linked servers has to be given the same: what comes from Redis is not passed on to other servers.
 *
 * @param server   not started
 * @param options  copied
 * @param info     filled on failure; may be NULL
 * @return 0, or
 *         PUSHERC_EINVAL  an argument is NULL, or a field breaks its rule
 *         PUSHERC_ENOENT  there is no app with this id
 *         PUSHERC_ESTATE  the server was started, or belongs to another process
 *         PUSHERC_ENOSYS  the library was built without hiredis, or the URL asks for TLS and it was built without
 *         PUSHERC_ETLS    a file that the URL or ca_file names is unusable
 *         PUSHERC_ENOMEM
 *
 * Thread: setup.
 */
PUSHERC_API int pusherc_server_use_laravel_redis(pusherc_server *server,
                                                 const pusherc_laravel_redis_options *options,
                                                 pusherc_errinfo *info);

PUSHERC_END_DECLS

#endif /* PUSHERC_LARAVEL_H */
