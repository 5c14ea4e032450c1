/**
 * @file settings.h
 * The settings of apps and of servers as lists with one row for each. The library makes its defaults, its checks and its
 * reading of JSON from these rows, `pusherc serve` its config file, its help and its pages. Bindings can do the same.
 *
 * A row is X(kind, name, min, max, fallback, words, meaning). `name` is the field of pusherc_app_options or
 * pusherc_server_options; `meaning` is one line, complete by itself, in which backticks mark names. The kinds:
 *
 * | kind   | type         | values                                          | 0 or NULL stands for      |
 * |--------|--------------|-------------------------------------------------|---------------------------|
 * | TEXT   | const char * | any text                                        | none                      |
 * | PATH   | const char * | path of a URL: "/a/b"                           | see the field             |
 * | SECRET | const char * | text that must not be shown                     | none                      |
 * | FLAG   | bool         | true, false                                     | false                     |
 * | CHOICE | an enum      | 0, 1, ... for the words in `words`, split by '\|' | the first word          |
 * | NUMBER | uint32_t     | min..max                                        | fallback                  |
 * | LIMIT  | uint32_t     | min..max, or PUSHERC_NO_LIMIT                   | fallback                  |
 * | DELAY  | uint32_t     | min..max, or PUSHERC_NO_DELAY, written as 0     | fallback                  |
 * | BIG    | uint64_t     | min..max                                        | fallback                  |
 *
 * These fields have no row: arrays (allowed_origins, webhooks), and fields with rules of their own (allocator, log_*,
 * loop, worker_count, hooks).
 */
#ifndef PUSHERC_SETTINGS_H
#define PUSHERC_SETTINGS_H

#include <pusherc/app.h>
#include <pusherc/server.h>

/** The largest values of settings of an app. */
enum {
    /** Of max_channel_name_bytes: the length that every client library lets through. */
    PUSHERC_MAX_CHANNEL_NAME_BYTES = 200,
    PUSHERC_MAX_WATCHLIST_USERS = 100 /**< of max_watchlist_users */
};

/* clang-format off */

/** Settings of an app: fields of pusherc_app_options. */
#define PUSHERC_APP_SETTING_MAP(X) \
    X(TEXT, id, 0, 0, 0, "", "1 to 200 bytes without `/`") \
    X(TEXT, key, 0, 0, 0, "", "1 to 200 bytes without `:` and `/`") \
    X(SECRET, secret, 0, 0, 0, "", "the key that signatures are made with") \
    X(SECRET, encryption_master_key, 0, 0, 0, "", "base64 of 32 bytes: encrypts events of `private-encrypted-` channels") \
    X(TEXT, shaping, 0, 0, 0, "", "rules that make fewer events of those published on a channel, such as `gateway.{id} conflate key=/sensor window_ms=200`; `;` stands between rules") \
    X(TEXT, ephemeral, 0, 0, 0, "", "rules that make states with a time to live of client events, such as `presence-chat.{id} event=client-typing ttl_ms=6000`; `;` stands between rules") \
    X(FLAG, disabled, 0, 1, 0, "", "close clients with 4003, and answer the HTTP API with 403") \
    X(FLAG, tls_only, 0, 1, 0, "", "close clients that come without TLS with 4000") \
    X(FLAG, client_events, 0, 1, 0, "", "clients may send `client-` events") \
    X(FLAG, strict_user_info, 0, 1, 0, "", "refuse a `user_info` that is not an object") \
    X(FLAG, allow_missing_protocol, 0, 1, 0, "", "a URL without `protocol` means version 7; otherwise such a client gets 4008") \
    X(FLAG, user_authentication, 0, 1, 0, "", "close a client with 4009 if it neither signs in nor joins a private or presence channel within `user_authentication_timeout_ms`") \
    X(NUMBER, user_authentication_timeout_ms, 1, UINT32_MAX, 30000, "", "how long `user_authentication` lets a client stay without signing in or joining such a channel") \
    X(DELAY, signin_wait_ms, 0, UINT32_MAX - 1, 10000, "", "how long a client may take to sign in before it is told of subscriptions that were refused for want of a user; a sign-in has them decided again, however late") \
    X(FLAG, subscription_count_events, 0, 1, 0, "", "tell subscribers how many subscriptions the channel has") \
    X(FLAG, watchlist_events, 0, 1, 0, "", "tell clients which users of their watchlist are online") \
    X(DELAY, offline_delay_ms, 0, UINT32_MAX - 1, 3000, "", "how long to wait after a user's last connection closed before watchers are told that the user is offline") \
    X(FLAG, terminate_matches_presence, 0, 1, 0, "", "`terminate_connections` also closes clients that have the user's id only in a presence channel, as Reverb does") \
    X(FLAG, jsonp, 0, 1, 0, "", "the auth endpoints answer GET with `callback` as a script (JSONP)") \
    X(CHOICE, auth_mode, 0, 2, 0, "signature|rules|either", "what decides about private, presence and encrypted channels: signatures, rules, or either") \
    X(CHOICE, slow_policy, 0, 1, 0, "close|drop", "what happens to a client that cannot keep up: `close` it with 4100, or `drop` events for it") \
    X(NUMBER, activity_timeout_ms, 1000, UINT32_MAX, 30000, "", "how long a client may be silent before the server pings it; clients are told this time") \
    X(DELAY, secret_grace_ms, 0, UINT32_MAX - 1, 0, "", "how long `key` and `secret` remain valid in signatures after they were changed") \
    X(DELAY, presence_grace_ms, 0, UINT32_MAX - 1, 0, "", "how long a user may be gone from a presence channel before `member_removed` is told; one who is back in time has neither left nor joined, in frames, rosters, counts and webhooks alike") \
    X(NUMBER, cache_ttl_s, 1, UINT32_MAX, 1800, "", "how long a cache channel keeps its last event") \
    X(LIMIT, max_connections, 1, UINT32_MAX - 1, PUSHERC_NO_LIMIT, "", "established clients of the app; above it new clients get 4004") \
    X(LIMIT, max_connections_per_user, 1, UINT32_MAX - 1, PUSHERC_NO_LIMIT, "", "connections of one user id; above it new clients and sign-ins of the user get 4004") \
    X(LIMIT, max_connections_per_ip, 1, UINT32_MAX - 1, PUSHERC_NO_LIMIT, "", "connections of one client address; above it new clients get 4004") \
    X(LIMIT, max_channels_per_connection, 1, UINT32_MAX - 1, 10000, "", "subscriptions of one client; above it a subscription is refused") \
    X(NUMBER, max_deferred_channels, 1, 1000, 100, "", "subscriptions that rules have refused to one client without a user and that are decided again when it signs in; the rest is refused for good; at most 1000") \
    X(LIMIT, max_received_messages_per_s, 1, UINT32_MAX - 1, PUSHERC_NO_LIMIT, "", "messages of every kind that one client may send in a second, pings included; above it the client gets an error and is closed with 4100") \
    X(LIMIT, max_received_bytes_per_s, 1, UINT32_MAX - 1, PUSHERC_NO_LIMIT, "", "the same for the bytes of these messages") \
    X(LIMIT, max_client_messages_per_s, 1, UINT32_MAX - 1, 200, "", "messages of one client in a second, besides client events, after a burst of as many as it may have channels; above it the server reads the client more slowly") \
    X(LIMIT, max_client_events_per_s, 1, UINT32_MAX - 1, 10, "", "client events of one connection in a second; above it the sender gets error 4301") \
    X(LIMIT, max_backend_events_per_s, 1, UINT32_MAX - 1, PUSHERC_NO_LIMIT, "", "events published over HTTP in a second; above it 429") \
    X(LIMIT, max_read_requests_per_s, 1, UINT32_MAX - 1, PUSHERC_NO_LIMIT, "", "GET requests of the HTTP API in a second; above it 429") \
    X(NUMBER, max_channel_name_bytes, 1, PUSHERC_MAX_CHANNEL_NAME_BYTES, 200, "", "length of a channel's name; at most 200") \
    X(LIMIT, max_event_name_bytes, 1, 1073741824, 200, "", "length of an event's name") \
    X(LIMIT, max_event_payload_bytes, 1, 1073741824, 10240, "", "length of an event's data") \
    X(NUMBER, max_event_channels, 1, 100, 100, "", "channels that one event may name; at most 100") \
    X(NUMBER, max_batch_events, 1, 10, 10, "", "events in one batch over HTTP; at most 10") \
    X(NUMBER, max_ephemeral_bytes, 1, UINT32_MAX - 1, 16777216, "", "memory for the ephemeral states of all channels; above it a client that begins or renews one gets error 4301") \
    X(LIMIT, max_presence_members, 1, UINT32_MAX - 1, 100, "", "distinct users in one presence channel") \
    X(LIMIT, max_user_info_bytes, 1, 1073741824, 2048, "", "length of one user's `user_info`, as JSON") \
    X(NUMBER, max_watchlist_users, 1, PUSHERC_MAX_WATCHLIST_USERS, 100, "", "users in one watchlist; at most 100; the rest of a longer list is left out, with error 4302")

/** Settings of an app that only hosts have: they need the host's rules and hooks. */
#define PUSHERC_APP_HOST_SETTING_MAP(X) \
    X(TEXT, receipts, 0, 0, 0, "", "rules that say of which events the host learns which users they have reached, such as `private-chat.{id} event=message id=/id shown=client-read`; `;` stands between rules") \
    X(NUMBER, receipt_keep_s, 1, UINT32_MAX, 86400, "", "how long an event with receipts is remembered") \
    X(NUMBER, max_receipt_bytes, 1, UINT32_MAX, 16777216, "", "memory for the events that are remembered for receipts, and for their users; above it the oldest are forgotten before their time") \
    X(FLAG, user_events, 0, 1, 0, "", "tell the host which users are online") \
    X(NUMBER, max_users_seen, 1, UINT32_MAX, 10000, "", "offline users for whom it is remembered when they were seen last")

/** Settings of a server: fields of pusherc_server_options. */
#define PUSHERC_SERVER_SETTING_MAP(X) \
    X(PATH, path_prefix, 0, 0, 0, "", "serve below this path, such as `/ws`") \
    X(LIMIT, max_connections, 1, UINT32_MAX - 1, PUSHERC_NO_LIMIT, "", "clients of all apps; above it new clients get 4100") \
    X(LIMIT, max_unestablished, 1, UINT32_MAX - 1, 0, "", "sockets that are not established clients: silent ones, TLS handshakes, HTTP, closing ones; above it the one that is idle longest makes room; none follows the descriptors that the process may have: a quarter of them, 64 to 4096") \
    X(LIMIT, max_unestablished_per_ip, 1, UINT32_MAX - 1, 0, "", "the same for one address of TCP peers, or one /64 of IPv6; none is a quarter of `max_unestablished`, at least 256 for each worker, or without a limit behind proxies (`proxy_count`)") \
    X(NUMBER, max_frame_bytes, 1, 1073741824, 0, "", "one message of a client; above it 1009; none follows the apps: 3 times the largest `max_event_payload_bytes` and 4096 more, at least 65536 and at most 64 MiB") \
    X(NUMBER, deflate_min_bytes, 1, 1073741824, 0, "", "compress WebSocket messages of this length and longer, for clients that offer permessage-deflate; none does not take up the offer") \
    X(NUMBER, max_http_body_bytes, 1, 1073741824, 0, "", "body of an HTTP request; above it 413; none follows the apps: enough for their largest batch, at least 1 MiB and at most 64 MiB") \
    X(NUMBER, max_http_head_bytes, 1, 67108864, 16384, "", "length of request line and header fields of an HTTP request; above it 431 or 414") \
    X(NUMBER, handshake_timeout_ms, 1, UINT32_MAX, 10000, "", "how long the head of a request may take to arrive; after that 408") \
    X(NUMBER, pong_timeout_ms, 1, UINT32_MAX, 30000, "", "how long a client may take to answer a ping; after that it is closed with 4201") \
    X(NUMBER, close_timeout_ms, 1, UINT32_MAX, 3000, "", "how long a client may take to answer a close; after that it is cut off") \
    X(NUMBER, out_soft_bytes, 1, UINT32_MAX, 262144, "", "memory that waits for one client, in which each message counts 192 bytes more than it is long; above it the server reads nothing from the client") \
    X(NUMBER, out_soft_ms, 1, UINT32_MAX, 10000, "", "how long a client may stay above `out_soft_bytes`; after that it is closed with 4100 if `slow_policy` is `close`") \
    X(NUMBER, out_hard_bytes, 1, UINT32_MAX, 1048576, "", "the most memory that may wait for one client, counted in the same way; above it `slow_policy` applies") \
    X(BIG, max_cache_bytes, 1, UINT64_MAX, 67108864, "", "memory for the events that cache channels of all apps keep; above it the app that holds most loses its oldest events first") \
    X(BIG, max_history_bytes, 1, UINT64_MAX, 67108864, "", "memory for the histories of channels of all apps; above it the app that holds most loses the history of the channel that has been quiet longest") \
    X(CHOICE, http_error_format, 0, 1, 0, "text|json", "body of errors of the HTTP API: one line of `text`, or `json` as soketi's, `{\"error\":\"...\",\"code\":401}`") \
    X(NUMBER, idempotency_ms, 1, UINT32_MAX, 120000, "", "how long an event with a known idempotency key is not published again") \
    X(NUMBER, max_auth_skew_s, 1, UINT32_MAX, 600, "", "largest difference between the clock and the time of a signed HTTP request; above it 401") \
    X(NUMBER, proxy_count, 0, UINT32_MAX, 0, "", "number of reverse proxies in front that append to `X-Forwarded-For`; `X-Forwarded-Proto` counts as well; only safe if clients cannot reach the port directly") \
    X(TEXT, metrics_prefix, 0, 0, 0, "", "prefix of metrics: `pusherc_`, or `soketi_` for dashboards of soketi") \
    X(TEXT, metrics_names, 0, 0, 0, "", "public names that the pages for operators are asked for by, with commas between; addresses, `localhost` and private names need not be there") \
    X(SECRET, inspector_token, 0, 0, 0, "", "16 to 200 printable characters without spaces: the port for operators serves `/inspector`, a page that shows what happens, to who has this token") \
    X(NUMBER, accept_traffic_percent, 1, 100, 85, "", "percentage of the memory that the process may use; above it `/accept-traffic` answers 500") \
    X(DELAY, webhook_batch_ms, 0, UINT32_MAX - 1, 250, "", "how long events for one webhook endpoint are gathered before they are sent together") \
    X(NUMBER, webhook_batch_events, 1, PUSHERC_MAX_WEBHOOK_EVENTS, 20, "", "events with which a webhook batch is sent before `webhook_batch_ms` has passed, 1 to 1000") \
    X(DELAY, webhook_delay_ms, 0, UINT32_MAX - 1, 3000, "", "how long to wait after the last one left before sending `member_removed` or `channel_vacated`; a return within that time cancels it") \
    X(NUMBER, webhook_timeout_ms, 1, UINT32_MAX, 10000, "", "how long one webhook request may take") \
    X(DELAY, webhook_retry_ms, 0, UINT32_MAX - 1, 300000, "", "how long a failed webhook request is repeated, from its first attempt on") \
    X(NUMBER, webhook_max_queued, 1, UINT32_MAX, 10000, "", "events that wait for one webhook endpoint; above it they are dropped and counted") \
    X(BIG, webhook_max_bytes, 1, UINT64_MAX, 67108864, "", "memory for the webhook events of all apps that wait; above it the app that holds most loses its latest events first") \
    X(TEXT, webhook_ca_file, 0, 0, 0, "", "PEM file of the authorities that webhooks with `https://` trust; by default the system's")

/** Settings of a server that only hosts have: they need the host's rules and hooks. */
#define PUSHERC_SERVER_HOST_SETTING_MAP(X) \
    X(PATH, auth_path, 0, 0, 0, "", "path of the auth endpoint for channels, or several with commas between; by default `/broadcasting/auth`") \
    X(PATH, user_auth_path, 0, 0, 0, "", "path of the auth endpoint for users, or several with commas between; by default `/broadcasting/user-auth`") \
    X(NUMBER, identify_timeout_ms, 1, UINT32_MAX, 10000, "", "how long the host may take to answer identify and find_app; after that 4009, or 503 over HTTP") \
    X(NUMBER, auth_timeout_ms, 1, UINT32_MAX, 10000, "", "how long the host may take to answer a rule; after that the channel is denied") \
    X(LIMIT, max_questions_per_connection, 1, UINT32_MAX - 1, 100, "", "questions to rules for one WebSocket that the host has not answered, also for channels that the client has left; above it a subscription waits, at most `auth_timeout_ms`") \
    X(LIMIT, max_questions_per_ip, 1, UINT32_MAX - 1, 1000, "", "questions that one worker has asked for clients of one address and that the host has not answered; above it subscriptions wait, new clients get 4100 and HTTP requests 503") \
    X(LIMIT, max_questions_per_app, 1, UINT32_MAX - 1, 10000, "", "the same for all clients of one app") \
    X(LIMIT, max_unknown_apps_per_ip, 1, UINT32_MAX - 1, 100, "", "apps that the host does not know and clients of one address ask for within `unknown_app_ms`; above it 4100, or 503 over HTTP") \
    X(DELAY, unknown_app_ms, 0, UINT32_MAX - 1, 3000, "", "how long the host is not asked again about an app that it did not know")

/* clang-format on */

#endif /* PUSHERC_SETTINGS_H */
