/**
 * @file app.h
 * Apps: tenants with an id, a key, a secret and limits of their own.
 */
#ifndef PUSHERC_APP_H
#define PUSHERC_APP_H

#include <stdbool.h>

#include <pusherc/error.h>
#include <pusherc/types.h>
#include <pusherc/webhook.h>

PUSHERC_BEGIN_DECLS

/** What happens to a connection that cannot keep up. */
typedef enum pusherc_slow_policy {
    PUSHERC_SLOW_CLOSE = 0, /**< close it with 4100 */
    PUSHERC_SLOW_DROP       /**< keep it, skip events for it, count them */
} pusherc_slow_policy;

/**
 * What decides about private, presence and encrypted channels. Public names are free unless a rule guards them;
 * such a name asks its rule in any mode.
 */
typedef enum pusherc_auth_mode {
    PUSHERC_AUTH_SIGNATURE = 0, /**< a signature of the app's secret: Pusher's own way */
    PUSHERC_AUTH_RULES,         /**< only the host's rules; signatures count for nothing */
    PUSHERC_AUTH_EITHER         /**< a signature if one is sent, else a rule */
} pusherc_auth_mode;

/** Switches a limit off. Zero in a field means its documented default. */
#define PUSHERC_NO_LIMIT UINT32_MAX
/** Switches a delay off. Zero in a field means its documented default. */
#define PUSHERC_NO_DELAY UINT32_MAX

/**
 * An app's settings. Begin with PUSHERC_APP_OPTIONS_INIT; zero in a field means its default. Everything is
 * borrowed until the call returns.
 */
typedef struct pusherc_app_options {
    size_t struct_size; /**< sizeof(pusherc_app_options) */
    const char *id;     /**< 1..200 bytes of UTF-8, no '/': part of the HTTP API's paths */
    const char *key;    /**< 1..200 bytes of UTF-8, no ':' or '/': part of the clients' URL */
    const char *secret; /**< 1 byte or more: what signatures are made with; never logged */
    /** Base64 of 32 bytes: lets the auth endpoint hand out the shared secrets of private-encrypted- channels, and
     *  pusherc_publish() encrypt for them; NULL = the one refuses, the other relays. */
    const char *encryption_master_key;
    pusherc_auth_mode auth_mode;     /**< default PUSHERC_AUTH_SIGNATURE */
    pusherc_slow_policy slow_policy; /**< default PUSHERC_SLOW_CLOSE */
    bool disabled;                   /**< clients get 4003, the HTTP API 403; default false */
    bool tls_only;                   /**< clients without TLS get 4000; default false */
    bool client_events;              /**< let clients send client-* events; default false */
    bool strict_user_info;           /**< refuse a user_info that is no object; default false */
    bool allow_missing_protocol;     /**< without ?protocol= it is 7, not 4008; default false */
    /** Close with 4009 a client that has neither signed in nor got a private or presence channel (or a public one
     *  that a rule guards) within user_authentication_timeout_ms, unless `identify` named its user; default
     *  false. */
    bool user_authentication;
    bool subscription_count_events; /**< tell subscribers how many they are; default false */
    bool
        watchlist_events; /**< tell clients which users of their watchlist are online; default false */
    /** Terminating a user's connections also closes those that only carry the id in a presence channel, as
     *  Reverb does; default false. */
    bool terminate_matches_presence;
    bool jsonp; /**< the auth endpoints answer GET with ?callback= as a script; default false */
    uint32_t activity_timeout_ms;     /**< silence until a ping; 1000 or more, default 120000 */
    uint32_t max_connections;         /**< established clients; default no limit; above it 4004 */
    uint32_t max_channel_name_bytes;  /**< 1..200, default 200 */
    uint32_t max_event_name_bytes;    /**< default 200 */
    uint32_t max_event_payload_bytes; /**< default 10240 */
    uint32_t max_event_channels;      /**< of one event; 1..100, default 100 */
    uint32_t max_batch_events;        /**< of one batch over HTTP; 1..10, default 10 */
    uint32_t max_presence_members;    /**< distinct users of one channel; default 100 */
    uint32_t max_user_info_bytes;     /**< of one user, as JSON; default 2048 */
    /** What one client may make the server remember; default 1000. */
    uint32_t max_channels_per_connection;
    uint32_t max_client_events_per_s;  /**< of one connection; default 10; above it error 4301 */
    uint32_t max_backend_events_per_s; /**< over HTTP; default no limit; above it 429 */
    uint32_t max_read_requests_per_s;  /**< GET of the HTTP API; default no limit; above it 429 */
    /** Of one user id: connections that signed in as the user and those whose identity, the answer to `identify`,
     *  has the id; default no limit. Above it a client that was identified is closed with 4004, and a sign-in is
     *  refused with error 4004: the connection stays, and is nobody's. Connections from before there was a limit
     *  are not counted. */
    uint32_t max_connections_per_user;
    /** Of one client address (see pusherc_server_options.proxy_count); a /64 of IPv6 counts as one, and clients
     *  without an address are not counted; default no limit, above it 4004. Connections from before there was a
     *  limit are not counted. */
    uint32_t max_connections_per_ip;
    uint32_t
        max_watchlist_users; /**< of one sign-in; 1..100, default 100; more are left out, with error 4302 */
    uint32_t user_authentication_timeout_ms; /**< default 30000 */
    uint32_t cache_ttl_s; /**< how long a cache channel keeps its last event; default 1800 */
    /** From a user's last connection to "offline" for those who watch, so that a page may be loaded again
     *  quietly; default 3000, PUSHERC_NO_DELAY = at once. */
    uint32_t offline_delay_ms;
    const struct pusherc_webhook
        *webhooks;        /**< webhook_count of them, see webhook.h; NULL = none */
    size_t webhook_count; /**< 0..PUSHERC_MAX_WEBHOOKS */
    /** Patterns, the last one NULL; '*' is any run of characters, case does not matter. A pattern is held against
     *  the host in "Origin"; one with "://" in it against the whole. Others are closed with 4009, as are clients
     *  that send no Origin unless a pattern is "*". NULL = any. */
    const char *const *allowed_origins;
} pusherc_app_options;

/* clang-format off */
/** Initialiser of a pusherc_app_options. */
#define PUSHERC_APP_OPTIONS_INIT { .struct_size = sizeof(pusherc_app_options) }
/* clang-format on */

/**
 * Fill in PUSHERC_APP_OPTIONS_INIT, for bindings.
 *
 * @param options  overwritten
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API void pusherc_app_options_init(pusherc_app_options *options);

/**
 * Add an app, or replace the settings of the one with the same id.
 *
 * Replaced settings hold for new connections and HTTP requests at once; open connections keep the
 * settings they were opened under. Counters (connections, rates) carry over.
 *
 * @param server   any state
 * @param options  copied
 * @param info     filled on failure; may be NULL
 * @return 0, or (then nothing has changed)
 *         PUSHERC_EINVAL  a NULL argument, or a field breaks its rule; `info` names it
 *         PUSHERC_EEXIST  the key belongs to another app
 *         PUSHERC_ENOSYS  it has webhooks, and those were not compiled in
 *         PUSHERC_ENOMEM
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_server_put_app(pusherc_server *server, const pusherc_app_options *options,
                                       pusherc_errinfo *info);

/**
 * Add or replace several apps at once, all or none. A key may move from one of them to another, and two may swap
 * theirs.
 *
 * @param server   any state
 * @param options  count of them; copied
 * @param count    0 is no error
 * @param info     filled on failure; may be NULL
 * @return 0, or (then nothing has changed)
 *         PUSHERC_EINVAL  a NULL argument, or a field breaks its rule; `info` names it
 *         PUSHERC_EEXIST  an id is given twice, or a key belongs to another app
 *         PUSHERC_ENOSYS  one has webhooks, and those were not compiled in
 *         PUSHERC_ENOMEM
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_server_put_apps(pusherc_server *server, const pusherc_app_options *options,
                                        size_t count, pusherc_errinfo *info);

/**
 * Forget an app. New clients get 4001; its open connections are closed with 4001.
 *
 * @param server  any state
 * @param app_id  NUL-terminated
 * @return 0, or
 *         PUSHERC_EINVAL   a NULL argument
 *         PUSHERC_ENOENT   no such app
 *         PUSHERC_ENOMEM   nothing has changed
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_server_remove_app(pusherc_server *server, const char *app_id);

/**
 * Receives one app read from JSON; `options` and its strings die on return. Called on the reading thread, once
 * for each app, in order; may call what the reader may. Anything but 0 stops the reading and is returned by it.
 */
typedef int (*pusherc_app_fn)(const pusherc_app_options *options, void *user_data);

/**
 * Read app settings from JSON text: one object, or an array of objects. Field names may be written as in
 * pusherc_app_options or as soketi writes them (maxConnections, enableClientMessages, AppKey ...). All apps are
 * read before the first is handed over: a slip in the last one changes nothing.
 *
 * Memory is cJSON's, not the server's allocator's; what held secrets is wiped.
 *
 * @param json       UTF-8 text, at most 1 MiB
 * @param each       called for each app, before this call returns
 * @param user_data  for `each`
 * @param info       filled on failure, unless `each` failed; names the field, the app by its number, and a
 *                   known name like it; may be NULL
 * @return 0, what `each` returned if that was not 0, or
 *         PUSHERC_EINVAL  `each` is NULL; not JSON; an unknown field, one given twice, or a value of the wrong
 *                         type; `each` was not called
 *         PUSHERC_ELIMIT  text too long; `each` was not called
 *         PUSHERC_ENOMEM  perhaps after some apps have been handed over
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.  Source: soketi's application fields.
 */
PUSHERC_API int pusherc_apps_from_json(pusherc_slice json, pusherc_app_fn each, void *user_data,
                                       pusherc_errinfo *info);

PUSHERC_END_DECLS

#endif /* PUSHERC_APP_H */
