/**
 * @file app.h
 * Apps: tenants with an id, a key, a secret and limits of their own.
 */
#ifndef PUSHERC_APP_H
#define PUSHERC_APP_H

#include <stdbool.h>

#include <pusherc/error.h>
#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/** What happens to a connection that cannot keep up. */
typedef enum pusherc_slow_policy {
    PUSHERC_SLOW_CLOSE = 0, /**< close it with 4100 */
    PUSHERC_SLOW_DROP       /**< keep it, skip events for it, count them */
} pusherc_slow_policy;

/** What decides about private, presence and encrypted channels. Guarded public names ask their rule in any mode. */
typedef enum pusherc_auth_mode {
    PUSHERC_AUTH_SIGNATURE = 0, /**< a signature of the app's secret: Pusher's own way */
    PUSHERC_AUTH_RULES,         /**< only the host's rules; signatures count for nothing */
    PUSHERC_AUTH_EITHER         /**< a signature if one is sent, else a rule */
} pusherc_auth_mode;

/** Switches a limit off. Zero in a field means its documented default. */
#define PUSHERC_NO_LIMIT UINT32_MAX

typedef struct pusherc_app_options {
    size_t struct_size;
    const char *id;     /**< 1..200 bytes, URL path characters */
    const char *key;    /**< 1..200 bytes, no ':' */
    const char *secret; /**< 1 byte or more */
    /** Base64 of 32 bytes: lets the auth endpoint hand out the shared secrets of private-encrypted- channels;
     *  NULL = it refuses them. */
    const char *encryption_master_key;
    pusherc_auth_mode auth_mode; /**< default PUSHERC_AUTH_SIGNATURE */
    pusherc_slow_policy slow_policy;
    bool disabled;                      /**< clients get 4003, the HTTP API 403 */
    bool tls_only;                      /**< plaintext clients get 4000 */
    bool client_events;                 /**< allow client-* events; default false */
    bool strict_user_info;              /**< refuse a user_info that is not an object */
    bool allow_missing_protocol;        /**< treat a missing ?protocol= as 7 instead of 4008 */
    uint32_t activity_timeout_ms;       /**< 1000 or more, whole seconds to clients; default 120000 */
    uint32_t max_connections;           /**< default no limit; above it 4004 */
    uint32_t max_channel_name_bytes;    /**< 1..200; default 200 */
    uint32_t max_event_name_bytes;      /**< default 200 */
    uint32_t max_event_payload_bytes;   /**< default 10240 */
    uint32_t max_event_channels;        /**< per publish; 1..100, default 100 */
    uint32_t max_batch_events;          /**< 1..10, default 10 */
    uint32_t max_presence_members;      /**< distinct users of one channel; default 100 */
    uint32_t max_user_info_bytes;       /**< default 2048 */
    uint32_t max_channels_per_connection; /**< default 1000: what one client may make us remember */
    uint32_t max_client_events_per_s;   /**< per connection; default 10 */
    uint32_t max_backend_events_per_s;  /**< events published over HTTP; default no limit; above it 429 */
    uint32_t max_read_requests_per_s;   /**< GET requests of the HTTP API; default no limit; above it 429 */
    const char *const *allowed_origins; /**< NULL-terminated host patterns, '*' = any run of characters; NULL = any */
} pusherc_app_options;

/* clang-format off */
#define PUSHERC_APP_OPTIONS_INIT { .struct_size = sizeof(pusherc_app_options) }
/* clang-format on */

/** Fill in PUSHERC_APP_OPTIONS_INIT, for bindings. Thread: any. Since: 0.1. */
PUSHERC_API void pusherc_app_options_init(pusherc_app_options *options);

/**
 * Add an app, or replace the settings of the one with the same id.
 *
 * Replaced settings hold for new connections and HTTP requests at once; open connections keep the
 * settings they were opened under. Counters (connections, rates) carry over.
 *
 * @param server   the server, started or not
 * @param options  copied
 * @param info     filled on failure; may be NULL
 * @return 0, or
 *         PUSHERC_EINVAL  a field breaks its rule; `info` names it
 *         PUSHERC_EEXIST  the key belongs to another app
 *         PUSHERC_ENOMEM
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_server_put_app(pusherc_server *server, const pusherc_app_options *options,
                                       pusherc_errinfo *info);

/**
 * Forget an app. New clients get 4001; its open connections are closed with 4001.
 *
 * @param server  the server
 * @param app_id  NUL-terminated
 * @return 0, PUSHERC_EINVAL (NULL argument) or PUSHERC_ENOENT
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_server_remove_app(pusherc_server *server, const char *app_id);

/** Receives one app read from JSON; `options` and its strings die on return. Non-zero stops reading. */
typedef int (*pusherc_app_fn)(const pusherc_app_options *options, void *user_data);

/**
 * Read app settings from JSON text: one object, or an array of objects. Field names may be written
 * as in pusherc_app_options or as soketi writes them (maxConnections, enableClientMessages, AppKey ...).
 *
 * @param json       UTF-8 text, at most 1 MiB
 * @param each       called once per app, in order, before this call returns
 * @param user_data  for `each`
 * @param info       filled on failure, with the name of the offending field and the nearest known one; may be NULL
 * @return 0, what `each` returned if that was not 0, or
 *         PUSHERC_EINVAL  not JSON, an unknown field, or a value of the wrong type
 *         PUSHERC_ELIMIT  text too long
 *         PUSHERC_ENOMEM
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.  Source: soketi's application fields.
 */
PUSHERC_API int pusherc_apps_from_json(pusherc_slice json, pusherc_app_fn each, void *user_data,
                                       pusherc_errinfo *info);

PUSHERC_END_DECLS

#endif /* PUSHERC_APP_H */
