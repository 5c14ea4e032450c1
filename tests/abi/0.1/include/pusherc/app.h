/**
 * @file app.h
 * Apps: tenants with an id, a key, a secret and limits of their own.
 *
 * Unless said otherwise: Thread: any. Blocks: no. In callbacks: yes. Owns: nothing. Since: 0.1.
 */
#ifndef PUSHERC_APP_H
#define PUSHERC_APP_H

#include <pusherc/error.h>
#include <pusherc/history.h>
#include <pusherc/types.h>
#include <pusherc/webhook.h>

PUSHERC_BEGIN_DECLS

/** What happens to a client that cannot keep up with its events. */
typedef enum pusherc_slow_policy {
    PUSHERC_SLOW_CLOSE = 0, /**< the server closes it with 4100 */
    PUSHERC_SLOW_DROP       /**< the server keeps it, skips events for it, and counts them */
} pusherc_slow_policy;

/**
 * Who decides about private, presence and encrypted channels. Public channels are open to all, unless a rule covers
 * the name: then the rule is asked in every mode.
 */
typedef enum pusherc_auth_mode {
    PUSHERC_AUTH_SIGNATURE = 0, /**< a signature made with the app's secret, as at Pusher */
    PUSHERC_AUTH_RULES,         /**< only the host's rules; signatures have no effect */
    PUSHERC_AUTH_EITHER         /**< a signature if the client sends one, otherwise a rule */
} pusherc_auth_mode;

/** Switches a limit off. Zero in a field means its default. */
#define PUSHERC_NO_LIMIT UINT32_MAX
/** Switches a delay off. Zero in a field means its default. */
#define PUSHERC_NO_DELAY UINT32_MAX

/**
 * Settings of an app. Begin with PUSHERC_APP_OPTIONS_INIT; zero in a field means its default. All of it is borrowed
 * until the call returns.
 */
typedef struct pusherc_app_options {
    size_t struct_size; /**< sizeof(pusherc_app_options) */

    /** @name Identity
     * @{ */
    const char *id;     /**< 1..200 bytes of UTF-8, no '/': part of the HTTP API's paths */
    const char *key;    /**< 1..200 bytes of UTF-8, no ':' or '/': part of the clients' URL */
    const char *secret; /**< 1 byte or more: the key of signatures; never logged */
    /** Base64 of 32 bytes. With it the auth endpoint hands out the shared secrets of private-encrypted- channels, and
     *  pusherc_publish() encrypts for them. NULL = the endpoint refuses, and pusherc_publish() relays. */
    const char *encryption_master_key;
    /** @} */

    /** @name Origins and webhooks
     * @{ */
    /** Patterns, the last one NULL; '*' stands for any characters, upper and lower case are the same. A pattern is
     *  compared with the host in "Origin", a pattern with "://" with all of it; an app with a pattern that no Origin
     *  can fit is refused. Other clients are closed with 4009, as are clients without Origin unless a pattern is "*".
     *  NULL = any origin. */
    const char *const *allowed_origins;
    const pusherc_webhook *webhooks; /**< webhook_count of them, see webhook.h; NULL = none */
    size_t webhook_count;            /**< 0..PUSHERC_MAX_WEBHOOKS */
    /** @} */

    /** @name Policies
     * @{ */
    pusherc_auth_mode auth_mode;     /**< default PUSHERC_AUTH_SIGNATURE */
    pusherc_slow_policy slow_policy; /**< default PUSHERC_SLOW_CLOSE */
    /** @} */

    /** @name Limits of connections
     * Connections that were opened while there was no limit are not counted.
     * @{ */
    uint32_t max_connections; /**< established clients; default no limit; above it 4004 */
    /** Connections of one user id: those signed in as the user, and those whose identity (the answer to `identify`)
     *  has the id; default no limit. Above it a client with an identity is closed with 4004. A sign-in is refused,
     *  and the connection stays open without a user. */
    uint32_t max_connections_per_user;
    /** Connections of one client address (see pusherc_server_options.proxy_count); default no limit; above it 4004.
     *  A /64 of IPv6 counts as one address. Clients without an address are not counted. */
    uint32_t max_connections_per_ip;
    uint32_t max_channels_per_connection; /**< subscriptions of one client; default 10000 */
    /** @} */

    /** @name Limits of names, payloads and members
     * @{ */
    uint32_t max_channel_name_bytes;  /**< 1..200, default 200 */
    uint32_t max_event_name_bytes;    /**< default 200 */
    uint32_t max_event_payload_bytes; /**< default 10240 */
    uint32_t max_event_channels;      /**< of one event; 1..100, default 100 */
    uint32_t max_batch_events;        /**< of one batch over HTTP; 1..10, default 10 */
    uint32_t max_presence_members;    /**< distinct users of one channel; default 100 */
    uint32_t max_user_info_bytes;     /**< of one user, as JSON; default 2048 */
    /** Of one sign-in; 1..100, default 100. The rest of a longer list is left out, with error 4302. */
    uint32_t max_watchlist_users;
    /** @} */

    /** @name Limits per second
     * @{ */
    uint32_t max_client_events_per_s;  /**< of one connection; default 10; above it error 4301 */
    uint32_t max_backend_events_per_s; /**< over HTTP; default no limit; above it 429 */
    uint32_t max_read_requests_per_s;  /**< GET of the HTTP API; default no limit; above it 429 */
    /** All messages of one connection, besides as many as it may send client events; default 200. It may send
     *  max_channels_per_connection more at once, so that a page subscribes without waiting. Above it the server reads
     *  the connection more slowly; nothing is lost. No limit, too, if client events have none. */
    uint32_t max_client_messages_per_s;
    /** @} */

    /** @name Times
     * @{ */
    uint32_t activity_timeout_ms; /**< silence before a ping; 1000 or more, default 30000 */
    uint32_t user_authentication_timeout_ms; /**< see user_authentication; default 30000 */
    uint32_t cache_ttl_s; /**< how long a cache channel keeps its last event; default 1800 */
    /** How long to wait after a user's last connection closed before telling watchers "offline", so that reloading a
     *  page is not seen; default 3000, PUSHERC_NO_DELAY = tell at once. */
    uint32_t offline_delay_ms;
    /** @} */

    /** @name Switches
     * The default of each is false.
     * @{ */
    bool disabled;               /**< clients are closed with 4003, the HTTP API answers 403 */
    bool tls_only;               /**< clients without TLS get 4000 */
    bool client_events;          /**< clients may send client-* events */
    bool strict_user_info;       /**< refuse a user_info that is not an object */
    bool allow_missing_protocol; /**< a URL without ?protocol= means 7 instead of 4008 */
    /** Close a client with 4009 if it neither signs in nor joins a private or presence channel, or a public one that
     *  a rule covers, within user_authentication_timeout_ms. A client with a user id from `identify` stays. */
    bool user_authentication;
    bool subscription_count_events; /**< tell subscribers how many subscriptions the channel has */
    bool watchlist_events;          /**< tell clients which users of their watchlist are online */
    /** Terminating a user's connections also closes those that have the user's id only in a presence channel, as
     *  Reverb does. */
    bool terminate_matches_presence;
    bool jsonp;           /**< the auth endpoints answer GET with ?callback= as a script */
    uint8_t reserved_[2]; /**< zero */
    /** @} */

    /** @name Rotation
     * @{ */
    /** How long the key and secret that a later call replaces are accepted in signatures beside the new ones, of
     *  clients and of the HTTP API; the later call's value counts. Default 0. */
    uint32_t secret_grace_ms;
    /** @} */

    /** @name Presence
     * @{ */
    /** How long a user may be gone from a presence channel, without a subscription, and still be a member to all:
     *  in frames, rosters, counts, hooks and webhooks alike. The user who comes back within that time has neither left
     *  nor joined, so that reloading a page is not seen; one who does not is removed when it is over. A user whose
     *  connections are closed by the host, or whose grant is revoked, is removed at once. A rule may have a time of its
     *  own. Default 0: a leave is told at once, though not sooner than 100 ms after the join. */
    uint32_t presence_grace_ms;
    uint32_t reserved2_; /**< zero */
    /** @} */

    /** @name Signing in after subscribing
     * @{ */
    /** How long a client may take to sign in before it gets pusher:subscription_error for what a rule has refused for
     *  want of a user (pusherc_auth_deny() with 401); until then it is told to sign in first. A sign-in has it decided
     *  again, however late; default 10000, PUSHERC_NO_DELAY = told at once. */
    uint32_t signin_wait_ms;
    /** Subscriptions that rules have refused to one client without a user, with whatever status, and that are decided
     *  again when it signs in; 1..1000, default 100. The rest is refused for good. */
    uint32_t max_deferred_channels;
    /** @} */

    /** @name Limits per second above which a client is closed
     * What exceeds one is told by pusher:error with code 4100, and not acted on; the client is closed with 4100.
     * @{ */
    /** Messages of every kind from one connection, pings and pongs included; default no limit. Where
     *  max_client_messages_per_s slows the client down first, only its burst can get so far. */
    uint32_t max_received_messages_per_s;
    uint32_t max_received_bytes_per_s; /**< their bytes, uncompressed; default no limit */
    /** @} */

    /** @name Shaping
     * @{ */
    /** Rules that make fewer events of those that are published on a channel, at most 32: docs/shaping.md has the
     *  grammar. Clients notice nothing but fewer events. NULL = none: each event is sent. */
    const char *shaping;
    /** @} */

    /** @name History
     * @{ */
    const pusherc_history_pattern
        *history;         /**< history_count of them, see history.h; NULL = none */
    size_t history_count; /**< 0..PUSHERC_MAX_HISTORY_PATTERNS */
    /** @} */

    /** @name Users as the host sees them
     * See users.h.
     * @{ */
    uint32_t max_users_seen; /**< offline users who are remembered; 1 or more, default 10000 */
    bool user_events;        /**< tell the host which users are online; default false */
    uint8_t reserved3_[3];   /**< zero */
    /** @} */

    /** @name Ephemeral states
     * See ephemeral.h.
     * @{ */
    /** Rules that make states with a time to live of client events, such as typing, at most 32: docs/typing.md has the
     *  grammar. NULL = none: client events are events and nothing else. */
    const char *ephemeral;
    /** Memory of the states of all channels, in which each counts some 300 bytes more than its texts; default 16777216.
     *  Above it a client that begins or renews one gets error 4301. */
    uint32_t max_ephemeral_bytes;
    uint32_t reserved4_; /**< zero */
    /** @} */

    /** @name Receipts
     * See receipt.h.
     * @{ */
    /** Rules that say of which events the host learns whom they have reached, at most 32: docs/receipts.md has the
     *  grammar. NULL = none. */
    const char *receipts;
    uint32_t receipt_keep_s; /**< how long an event is remembered; 1 or more, default 86400 */
    /** Memory of the events that are remembered and of their users; default 16777216. Above it the oldest are forgotten
     *  before their time. */
    uint32_t max_receipt_bytes;
    /** @} */
} pusherc_app_options;

/* clang-format off */
/** Initialiser of a pusherc_app_options. */
#define PUSHERC_APP_OPTIONS_INIT { .struct_size = sizeof(pusherc_app_options) }
/* clang-format on */

/**
 * Do what PUSHERC_APP_OPTIONS_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_app_options) as the caller knows it
 */
PUSHERC_API void pusherc_app_options_init(pusherc_app_options *out, size_t struct_size);

/**
 * Add an app, or replace the settings of the app with the same id.
 *
 * New settings apply at once to new connections and HTTP requests. Open connections keep the settings under which
 * they were opened, but for two: connections of an app that is `disabled` are closed with 4003, and signatures are
 * checked with the new key and secret. Counters (connections, rates) carry over.
 *
 * @param server   any state
 * @param options  copied
 * @param info     filled on failure; may be NULL
 * @return 0, or (then nothing has changed)
 *         PUSHERC_EINVAL  an argument is NULL, or a field breaks its rule; `info` names it
 *         PUSHERC_EEXIST  the key belongs to another app
 *         PUSHERC_ENOSYS  the app has webhooks, and the library was built without
 *         PUSHERC_ENOMEM
 */
PUSHERC_API int pusherc_server_put_app(pusherc_server *server, const pusherc_app_options *options,
                                       pusherc_errinfo *info);

/**
 * Add or replace several apps at once, all or none. A key may move from one of these apps to another, and two apps
 * may swap their keys.
 *
 * @param server   any state
 * @param options  count of them; copied
 * @param count    0 is no error
 * @param info     filled on failure; may be NULL
 * @return 0, or (then nothing has changed)
 *         PUSHERC_EINVAL  an argument is NULL, or a field breaks its rule; `info` names it
 *         PUSHERC_EEXIST  an id appears twice, or a key belongs to another app
 *         PUSHERC_ENOSYS  an app has webhooks, and the library was built without
 *         PUSHERC_ENOMEM
 */
PUSHERC_API int pusherc_server_put_apps(pusherc_server *server, const pusherc_app_options *options,
                                        size_t count, pusherc_errinfo *info);

/**
 * Remove an app. New clients get 4001, and its open connections are closed with 4001. Of linked servers, this one alone
 * removes it; the others serve it as before.
 *
 * @param server  any state
 * @param app_id  NUL-terminated
 * @return 0, or
 *         PUSHERC_EINVAL   an argument is NULL
 *         PUSHERC_ENOENT   unknown app
 *         PUSHERC_ENOMEM   nothing has changed
 */
PUSHERC_API int pusherc_server_remove_app(pusherc_server *server, const char *app_id);

/**
 * Receives one app that was read from JSON. `options` and its strings are valid until the function returns. It is
 * called on the reading thread, once for each app, in order, and may call whatever the reader may call. If it does
 * not return 0, the reading ends and returns the same value.
 */
typedef int (*pusherc_app_fn)(const pusherc_app_options *options, void *user_data);

/**
 * Read app settings from JSON text: one object, or an array of objects. Field names may be those of
 * pusherc_app_options or those of soketi (maxConnections, enableClientMessages, AppKey ...). All apps are read
 * before the first is handed over, so that an error in the last one changes nothing.
 *
 * Memory comes from cJSON's allocator, not from the server's. Memory that held secrets is wiped.
 *
 * @param json       UTF-8 text, at most 1 MiB
 * @param each       called for each app, before this call returns
 * @param user_data  for `each`
 * @param info       filled on failure, unless `each` failed; names the field, the number of the app, and a known
 *                   name that is similar; may be NULL
 * @return 0, what `each` returned if that was not 0, or
 *         PUSHERC_EINVAL  `each` is NULL; the text is not JSON; a field is unknown, appears twice, or has a value of
 *                         the wrong type; `each` was not called
 *         PUSHERC_ELIMIT  the text is too long; `each` was not called
 *         PUSHERC_ENOMEM  perhaps after some apps were handed over
 *
 * Source: soketi's application fields.
 */
PUSHERC_API int pusherc_apps_from_json(pusherc_slice json, pusherc_app_fn each, void *user_data,
                                       pusherc_errinfo *info);

PUSHERC_END_DECLS

#endif /* PUSHERC_APP_H */
