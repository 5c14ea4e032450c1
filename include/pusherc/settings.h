/**
 * @file settings.h
 * The settings of apps and of servers as lists with one row for each. The library makes its defaults, its checks and its
 * reading of JSON from these rows, `pusherc serve` its config file, its help and its pages; bindings can do the same.
 *
 * A row is X(kind, name, min, max, fallback, words, meaning). `name` is the field of pusherc_app_options or
 * pusherc_server_options; `meaning` is one sentence, in which `...` marks names. The kinds:
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
 * Not in the lists: lists (allowed_origins, webhooks), and what has rules of its own (allocator, log_*, loop,
 * worker_count, hooks).
 */
#ifndef PUSHERC_SETTINGS_H
#define PUSHERC_SETTINGS_H

#include <pusherc/app.h>
#include <pusherc/server.h>

/** The most of an app's max_channel_name_bytes: what every client library lets through. */
#define PUSHERC_MAX_CHANNEL_NAME_BYTES 200
/** The most of an app's max_watchlist_users. */
#define PUSHERC_MAX_WATCHLIST_USERS 100

/* clang-format off */

/** Settings of an app: fields of pusherc_app_options. */
#define PUSHERC_APP_SETTING_MAP(X) \
    X(TEXT, id, 0, 0, 0, "", "1 to 200 bytes without `/`") \
    X(TEXT, key, 0, 0, 0, "", "1 to 200 bytes without `:` and `/`") \
    X(SECRET, secret, 0, 0, 0, "", "what signatures are made with") \
    X(SECRET, encryption_master_key, 0, 0, 0, "", "base64 of 32 bytes, for encrypted channels") \
    X(FLAG, disabled, 0, 1, 0, "", "clients get 4003, the HTTP API 403") \
    X(FLAG, tls_only, 0, 1, 0, "", "clients without TLS get 4000") \
    X(FLAG, client_events, 0, 1, 0, "", "clients may send `client-` events") \
    X(FLAG, strict_user_info, 0, 1, 0, "", "refuse a `user_info` that is no object") \
    X(FLAG, allow_missing_protocol, 0, 1, 0, "", "no `protocol` in the URL is 7, not 4008") \
    X(FLAG, user_authentication, 0, 1, 0, "", "close with 4009 clients that have neither signed in nor got a private or presence channel within ...") \
    X(NUMBER, user_authentication_timeout_ms, 1, UINT32_MAX, 30000, "", "... so long") \
    X(FLAG, subscription_count_events, 0, 1, 0, "", "tell subscribers how many they are") \
    X(FLAG, watchlist_events, 0, 1, 0, "", "tell clients which users of their watchlist are online") \
    X(DELAY, offline_delay_ms, 0, UINT32_MAX - 1, 3000, "", "from a user's last connection to \"offline\"") \
    X(FLAG, terminate_matches_presence, 0, 1, 0, "", "`terminate_connections` also closes clients that only have the id in a presence channel, as Reverb does") \
    X(FLAG, jsonp, 0, 1, 0, "", "the auth endpoints answer JSONP") \
    X(CHOICE, slow_policy, 0, 1, 0, "close|drop", "a client that cannot keep up: `close` it with 4100, or `drop` events for it") \
    X(NUMBER, activity_timeout_ms, 1000, UINT32_MAX, 30000, "", "silence until a ping; clients are told it, too") \
    X(DELAY, secret_grace_ms, 0, UINT32_MAX - 1, 0, "", "how long `key` and `secret` remain valid in signatures after they were changed") \
    X(NUMBER, cache_ttl_s, 1, UINT32_MAX, 1800, "", "how long a cache channel keeps its last event") \
    X(LIMIT, max_connections, 1, UINT32_MAX - 1, PUSHERC_NO_LIMIT, "", "established clients; above it 4004") \
    X(LIMIT, max_connections_per_user, 1, UINT32_MAX - 1, PUSHERC_NO_LIMIT, "", "the same for one user id") \
    X(LIMIT, max_connections_per_ip, 1, UINT32_MAX - 1, PUSHERC_NO_LIMIT, "", "the same for one address") \
    X(LIMIT, max_channels_per_connection, 1, UINT32_MAX - 1, 1000, "", "subscriptions of one client") \
    X(LIMIT, max_client_events_per_s, 1, UINT32_MAX - 1, 10, "", "client events of one connection; above it error 4301") \
    X(LIMIT, max_backend_events_per_s, 1, UINT32_MAX - 1, PUSHERC_NO_LIMIT, "", "events over HTTP; above it 429") \
    X(LIMIT, max_read_requests_per_s, 1, UINT32_MAX - 1, PUSHERC_NO_LIMIT, "", "GET requests of the HTTP API; above it 429") \
    X(NUMBER, max_channel_name_bytes, 1, PUSHERC_MAX_CHANNEL_NAME_BYTES, 200, "", "of a channel's name; at most 200") \
    X(LIMIT, max_event_name_bytes, 1, 1073741824, 200, "", "of an event's name") \
    X(LIMIT, max_event_payload_bytes, 1, 1073741824, 10240, "", "of an event's data") \
    X(NUMBER, max_event_channels, 1, 100, 100, "", "channels of one event; at most 100") \
    X(NUMBER, max_batch_events, 1, 10, 10, "", "events of one batch; at most 10") \
    X(LIMIT, max_presence_members, 1, UINT32_MAX - 1, 100, "", "distinct users of one channel") \
    X(LIMIT, max_user_info_bytes, 1, 1073741824, 2048, "", "of one user, as JSON") \
    X(NUMBER, max_watchlist_users, 1, PUSHERC_MAX_WATCHLIST_USERS, 100, "", "users of one watchlist; at most 100; more are left out, with error 4302")

/** More settings of an app, for hosts only: they need the host's rules. */
#define PUSHERC_APP_HOST_SETTING_MAP(X) \
    X(CHOICE, auth_mode, 0, 2, 0, "signature|rules|either", "what decides about private, presence and encrypted channels")

/** Settings of a server: fields of pusherc_server_options. */
#define PUSHERC_SERVER_SETTING_MAP(X) \
    X(PATH, path_prefix, 0, 0, 0, "", "serve below this path, such as `/ws`") \
    X(LIMIT, max_connections, 1, UINT32_MAX - 1, PUSHERC_NO_LIMIT, "", "sockets of all apps; above it new clients get 4100") \
    X(NUMBER, max_frame_bytes, 1, 1073741824, 65536, "", "one message of a client; above it 1009") \
    X(NUMBER, max_http_body_bytes, 1, 1073741824, 1048576, "", "body of an HTTP request; above it 413") \
    X(NUMBER, max_http_head_bytes, 1, 67108864, 16384, "", "request line and fields of an HTTP request; above it 431 or 414") \
    X(NUMBER, handshake_timeout_ms, 1, UINT32_MAX, 10000, "", "until a request's head is complete, then 408") \
    X(NUMBER, pong_timeout_ms, 1, UINT32_MAX, 30000, "", "for the answer to a ping, then 4201") \
    X(NUMBER, close_timeout_ms, 1, UINT32_MAX, 3000, "", "for the client's half of a close") \
    X(NUMBER, out_soft_bytes, 1, UINT32_MAX, 262144, "", "what waits for one client; above it nothing is read from the client, and ...") \
    X(NUMBER, out_soft_ms, 1, UINT32_MAX, 10000, "", "... after so long it is closed with 4100, if `slow_policy` is `close`") \
    X(NUMBER, out_hard_bytes, 1, UINT32_MAX, 1048576, "", "the most that waits for one client; then `slow_policy`") \
    X(BIG, max_cache_bytes, 1, UINT64_MAX, 67108864, "", "what cache channels of all apps may keep; the oldest event goes first") \
    X(CHOICE, http_error_format, 0, 1, 0, "text|json", "`json`: errors of the HTTP API as soketi's, `{\"error\":\"...\",\"code\":401}`") \
    X(NUMBER, idempotency_ms, 1, UINT32_MAX, 120000, "", "so long an event with a known idempotency key is not published again") \
    X(NUMBER, max_auth_skew_s, 1, UINT32_MAX, 600, "", "age of a signed HTTP request; above it 401") \
    X(NUMBER, proxy_count, 0, UINT32_MAX, 0, "", "reverse proxies in front that append to `X-Forwarded-For`; it and `X-Forwarded-Proto` are believed, so only they may reach the port") \
    X(TEXT, metrics_prefix, 0, 0, 0, "", "begins the names of metrics: `pusherc_`, or `soketi_` for soketi's dashboards") \
    X(NUMBER, accept_traffic_percent, 1, 100, 85, "", "of the memory the process may have: above it `/accept-traffic` answers 500") \
    X(DELAY, webhook_batch_ms, 0, UINT32_MAX - 1, 250, "", "events for one webhook endpoint are gathered so long, ...") \
    X(NUMBER, webhook_batch_events, 1, PUSHERC_MAX_WEBHOOK_EVENTS, 20, "", "... or until there are so many, 1 to 1000") \
    X(DELAY, webhook_delay_ms, 0, UINT32_MAX - 1, 3000, "", "`member_removed` and `channel_vacated` wait so long, and are not sent if all is as before by then") \
    X(NUMBER, webhook_timeout_ms, 1, UINT32_MAX, 10000, "", "for one webhook request") \
    X(DELAY, webhook_retry_ms, 0, UINT32_MAX - 1, 300000, "", "how long a webhook request that failed is sent again") \
    X(NUMBER, webhook_max_queued, 1, UINT32_MAX, 10000, "", "events that wait for one webhook endpoint; above it they are dropped and counted") \
    X(TEXT, webhook_ca_file, 0, 0, 0, "", "PEM: certificates to trust with `https://`; none is the system's own")

/** More settings of a server, for hosts only: they need the host's rules and hooks. */
#define PUSHERC_SERVER_HOST_SETTING_MAP(X) \
    X(PATH, auth_path, 0, 0, 0, "", "of the auth endpoint for channels; none is `/broadcasting/auth`") \
    X(PATH, user_auth_path, 0, 0, 0, "", "of the auth endpoint for users; none is `/broadcasting/user-auth`") \
    X(NUMBER, identify_timeout_ms, 1, UINT32_MAX, 10000, "", "for the host's answer to identify and find_app, then 4009, or 503 over HTTP") \
    X(NUMBER, auth_timeout_ms, 1, UINT32_MAX, 10000, "", "for the host's answer to a rule, then denied")

/* clang-format on */

#endif /* PUSHERC_SETTINGS_H */
