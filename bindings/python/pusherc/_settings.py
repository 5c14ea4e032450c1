"""The settings of apps and servers, made from include/pusherc/settings.h by make_settings.py."""

from typing import Literal, TypedDict


class AppSettings(TypedDict, total=False):
    """Further settings of an app. A limit of None is no limit; a delay of 0 is none."""

    shaping: str
    """rules that make fewer events of those published on a channel, such as `gateway.{id} conflate key=/sensor window_ms=200`; `;` stands between rules"""
    ephemeral: str
    """rules that make states with a time to live of client events, such as `presence-chat.{id} event=client-typing ttl_ms=6000`; `;` stands between rules"""
    disabled: bool
    """close clients with 4003, and answer the HTTP API with 403"""
    tls_only: bool
    """close clients that come without TLS with 4000"""
    client_events: bool
    """clients may send `client-` events"""
    strict_user_info: bool
    """refuse a `user_info` that is not an object"""
    allow_missing_protocol: bool
    """a URL without `protocol` means version 7; otherwise such a client gets 4008"""
    user_authentication: bool
    """close a client with 4009 if it neither signs in nor joins a private or presence channel within `user_authentication_timeout_ms`"""
    user_authentication_timeout_ms: int
    """how long `user_authentication` lets a client stay without signing in or joining such a channel"""
    signin_wait_ms: int
    """how long a client may take to sign in before it is told of subscriptions that were refused for want of a user; a sign-in has them decided again, however late"""
    subscription_count_events: bool
    """tell subscribers how many subscriptions the channel has"""
    watchlist_events: bool
    """tell clients which users of their watchlist are online"""
    offline_delay_ms: int
    """how long to wait after a user's last connection closed before watchers are told that the user is offline"""
    terminate_matches_presence: bool
    """`terminate_connections` also closes clients that have the user's id only in a presence channel, as Reverb does"""
    jsonp: bool
    """the auth endpoints answer GET with `callback` as a script (JSONP)"""
    slow_policy: Literal["close", "drop"]
    """what happens to a client that cannot keep up: `close` it with 4100, or `drop` events for it"""
    activity_timeout_ms: int
    """how long a client may be silent before the server pings it; clients are told this time"""
    secret_grace_ms: int
    """how long `key` and `secret` remain valid in signatures after they were changed"""
    presence_grace_ms: int
    """how long a user may be gone from a presence channel before `member_removed` is told; one who is back in time has neither left nor joined, in frames, rosters, counts and webhooks alike"""
    cache_ttl_s: int
    """how long a cache channel keeps its last event"""
    max_connections: int | None
    """established clients of the app; above it new clients get 4004"""
    max_connections_per_user: int | None
    """connections of one user id; above it new clients and sign-ins of the user get 4004"""
    max_connections_per_ip: int | None
    """connections of one client address; above it new clients get 4004"""
    max_channels_per_connection: int | None
    """subscriptions of one client; above it a subscription is refused"""
    max_deferred_channels: int
    """subscriptions that rules have refused to one client without a user and that are decided again when it signs in; the rest is refused for good; at most 1000"""
    max_received_messages_per_s: int | None
    """messages of every kind that one client may send in a second, pings included; above it the client gets an error and is closed with 4100"""
    max_received_bytes_per_s: int | None
    """the same for the bytes of these messages"""
    max_client_messages_per_s: int | None
    """messages of one client in a second, besides client events, after a burst of as many as it may have channels; above it the server reads the client more slowly"""
    max_client_events_per_s: int | None
    """client events of one connection in a second; above it the sender gets error 4301"""
    max_backend_events_per_s: int | None
    """events published over HTTP in a second; above it 429"""
    max_read_requests_per_s: int | None
    """GET requests of the HTTP API in a second; above it 429"""
    max_channel_name_bytes: int
    """length of a channel's name; at most 200"""
    max_event_name_bytes: int | None
    """length of an event's name"""
    max_event_payload_bytes: int | None
    """length of an event's data"""
    max_event_channels: int
    """channels that one event may name; at most 100"""
    max_batch_events: int
    """events in one batch over HTTP; at most 10"""
    max_ephemeral_bytes: int
    """memory for the ephemeral states of all channels; above it a client that begins or renews one gets error 4301"""
    max_presence_members: int | None
    """distinct users in one presence channel"""
    max_user_info_bytes: int | None
    """length of one user's `user_info`, as JSON"""
    max_watchlist_users: int
    """users in one watchlist; at most 100; the rest of a longer list is left out, with error 4302"""
    receipts: str
    """rules that say of which events the host learns which users they have reached, such as `private-chat.{id} event=message id=/id shown=client-read`; `;` stands between rules"""
    receipt_keep_s: int
    """how long an event with receipts is remembered"""
    max_receipt_bytes: int
    """memory for the events that are remembered for receipts, and for their users; above it the oldest are forgotten before their time"""
    user_events: bool
    """tell the host which users are online"""
    max_users_seen: int
    """offline users for whom it is remembered when they were seen last"""


class ServerSettings(TypedDict, total=False):
    """Further settings of a server; None and 0 as in AppSettings."""

    path_prefix: str
    """serve below this path, such as `/ws`"""
    max_connections: int | None
    """clients of all apps; above it new clients get 4100"""
    max_unestablished: int | None
    """sockets that are not established clients: silent ones, TLS handshakes, HTTP, closing ones; above it the one that is idle longest makes room; none follows the descriptors that the process may have: a quarter of them, 64 to 4096"""
    max_unestablished_per_ip: int | None
    """the same for one address of TCP peers, or one /64 of IPv6; none is a quarter of `max_unestablished`, at least 256 for each worker, or without a limit behind proxies (`proxy_count`)"""
    max_frame_bytes: int
    """one message of a client; above it 1009; none follows the apps: 3 times the largest `max_event_payload_bytes` and 4096 more, at least 65536 and at most 64 MiB"""
    deflate_min_bytes: int
    """compress WebSocket messages of this length and longer, for clients that offer permessage-deflate; none does not take up the offer"""
    max_http_body_bytes: int
    """body of an HTTP request; above it 413; none follows the apps: enough for their largest batch, at least 1 MiB and at most 64 MiB"""
    max_http_head_bytes: int
    """length of request line and header fields of an HTTP request; above it 431 or 414"""
    handshake_timeout_ms: int
    """how long the head of a request may take to arrive; after that 408"""
    pong_timeout_ms: int
    """how long a client may take to answer a ping; after that it is closed with 4201"""
    close_timeout_ms: int
    """how long a client may take to answer a close; after that it is cut off"""
    out_soft_bytes: int
    """memory that waits for one client, in which each message counts 192 bytes more than it is long; above it the server reads nothing from the client"""
    out_soft_ms: int
    """how long a client may stay above `out_soft_bytes`; after that it is closed with 4100 if `slow_policy` is `close`"""
    out_hard_bytes: int
    """the most memory that may wait for one client, counted in the same way; above it `slow_policy` applies"""
    max_cache_bytes: int
    """memory for the events that cache channels of all apps keep; above it the app that holds most loses its oldest events first"""
    max_history_bytes: int
    """memory for the histories of channels of all apps; above it the app that holds most loses the history of the channel that has been quiet longest"""
    http_error_format: Literal["text", "json"]
    """body of errors of the HTTP API: one line of `text`, or `json` as soketi's, `{"error":"...","code":401}`"""
    idempotency_ms: int
    """how long an event with a known idempotency key is not published again"""
    max_auth_skew_s: int
    """largest difference between the clock and the time of a signed HTTP request; above it 401"""
    proxy_count: int
    """number of reverse proxies in front that append to `X-Forwarded-For`; `X-Forwarded-Proto` counts as well; only safe if clients cannot reach the port directly"""
    metrics_prefix: str
    """prefix of metrics: `pusherc_`, or `soketi_` for dashboards of soketi"""
    metrics_names: str
    """public names that the pages for operators are asked for by, with commas between; addresses, `localhost` and private names need not be there"""
    inspector_token: str
    """16 to 200 printable characters without spaces: the port for operators serves `/inspector`, a page that shows what happens, to who has this token"""
    accept_traffic_percent: int
    """percentage of the memory that the process may use; above it `/accept-traffic` answers 500"""
    webhook_batch_ms: int
    """how long events for one webhook endpoint are gathered before they are sent together"""
    webhook_batch_events: int
    """events with which a webhook batch is sent before `webhook_batch_ms` has passed, 1 to 1000"""
    webhook_delay_ms: int
    """how long to wait after the last one left before sending `member_removed` or `channel_vacated`; a return within that time cancels it"""
    webhook_timeout_ms: int
    """how long one webhook request may take"""
    webhook_retry_ms: int
    """how long a failed webhook request is repeated, from its first attempt on"""
    webhook_max_queued: int
    """events that wait for one webhook endpoint; above it they are dropped and counted"""
    webhook_max_bytes: int
    """memory for the webhook events of all apps that wait; above it the app that holds most loses its latest events first"""
    webhook_ca_file: str
    """PEM file of the authorities that webhooks with `https://` trust; by default the system's"""
    auth_path: str
    """path of the auth endpoint for channels, or several with commas between; by default `/broadcasting/auth`"""
    user_auth_path: str
    """path of the auth endpoint for users, or several with commas between; by default `/broadcasting/user-auth`"""
    identify_timeout_ms: int
    """how long the host may take to answer identify and find_app; after that 4009, or 503 over HTTP"""
    auth_timeout_ms: int
    """how long the host may take to answer a rule; after that the channel is denied"""
    max_questions_per_connection: int | None
    """questions to rules for one WebSocket that the host has not answered, also for channels that the client has left; above it a subscription waits, at most `auth_timeout_ms`"""
    max_questions_per_ip: int | None
    """questions that one worker has asked for clients of one address and that the host has not answered; above it subscriptions wait, new clients get 4100 and HTTP requests 503"""
    max_questions_per_app: int | None
    """the same for all clients of one app"""
    max_unknown_apps_per_ip: int | None
    """apps that the host does not know and clients of one address ask for within `unknown_app_ms`; above it 4100, or 503 over HTTP"""
    unknown_app_ms: int
    """how long the host is not asked again about an app that it did not know"""


# Name: kind of the setting, and its words if it is a choice.
APP: dict[str, tuple[str, str]] = {
    "shaping": ("TEXT", ""),
    "ephemeral": ("TEXT", ""),
    "disabled": ("FLAG", ""),
    "tls_only": ("FLAG", ""),
    "client_events": ("FLAG", ""),
    "strict_user_info": ("FLAG", ""),
    "allow_missing_protocol": ("FLAG", ""),
    "user_authentication": ("FLAG", ""),
    "user_authentication_timeout_ms": ("NUMBER", ""),
    "signin_wait_ms": ("DELAY", ""),
    "subscription_count_events": ("FLAG", ""),
    "watchlist_events": ("FLAG", ""),
    "offline_delay_ms": ("DELAY", ""),
    "terminate_matches_presence": ("FLAG", ""),
    "jsonp": ("FLAG", ""),
    "slow_policy": ("CHOICE", "close|drop"),
    "activity_timeout_ms": ("NUMBER", ""),
    "secret_grace_ms": ("DELAY", ""),
    "presence_grace_ms": ("DELAY", ""),
    "cache_ttl_s": ("NUMBER", ""),
    "max_connections": ("LIMIT", ""),
    "max_connections_per_user": ("LIMIT", ""),
    "max_connections_per_ip": ("LIMIT", ""),
    "max_channels_per_connection": ("LIMIT", ""),
    "max_deferred_channels": ("NUMBER", ""),
    "max_received_messages_per_s": ("LIMIT", ""),
    "max_received_bytes_per_s": ("LIMIT", ""),
    "max_client_messages_per_s": ("LIMIT", ""),
    "max_client_events_per_s": ("LIMIT", ""),
    "max_backend_events_per_s": ("LIMIT", ""),
    "max_read_requests_per_s": ("LIMIT", ""),
    "max_channel_name_bytes": ("NUMBER", ""),
    "max_event_name_bytes": ("LIMIT", ""),
    "max_event_payload_bytes": ("LIMIT", ""),
    "max_event_channels": ("NUMBER", ""),
    "max_batch_events": ("NUMBER", ""),
    "max_ephemeral_bytes": ("NUMBER", ""),
    "max_presence_members": ("LIMIT", ""),
    "max_user_info_bytes": ("LIMIT", ""),
    "max_watchlist_users": ("NUMBER", ""),
    "receipts": ("TEXT", ""),
    "receipt_keep_s": ("NUMBER", ""),
    "max_receipt_bytes": ("NUMBER", ""),
    "user_events": ("FLAG", ""),
    "max_users_seen": ("NUMBER", ""),
}

SERVER: dict[str, tuple[str, str]] = {
    "path_prefix": ("PATH", ""),
    "max_connections": ("LIMIT", ""),
    "max_unestablished": ("LIMIT", ""),
    "max_unestablished_per_ip": ("LIMIT", ""),
    "max_frame_bytes": ("NUMBER", ""),
    "deflate_min_bytes": ("NUMBER", ""),
    "max_http_body_bytes": ("NUMBER", ""),
    "max_http_head_bytes": ("NUMBER", ""),
    "handshake_timeout_ms": ("NUMBER", ""),
    "pong_timeout_ms": ("NUMBER", ""),
    "close_timeout_ms": ("NUMBER", ""),
    "out_soft_bytes": ("NUMBER", ""),
    "out_soft_ms": ("NUMBER", ""),
    "out_hard_bytes": ("NUMBER", ""),
    "max_cache_bytes": ("BIG", ""),
    "max_history_bytes": ("BIG", ""),
    "http_error_format": ("CHOICE", "text|json"),
    "idempotency_ms": ("NUMBER", ""),
    "max_auth_skew_s": ("NUMBER", ""),
    "proxy_count": ("NUMBER", ""),
    "metrics_prefix": ("TEXT", ""),
    "metrics_names": ("TEXT", ""),
    "inspector_token": ("SECRET", ""),
    "accept_traffic_percent": ("NUMBER", ""),
    "webhook_batch_ms": ("DELAY", ""),
    "webhook_batch_events": ("NUMBER", ""),
    "webhook_delay_ms": ("DELAY", ""),
    "webhook_timeout_ms": ("NUMBER", ""),
    "webhook_retry_ms": ("DELAY", ""),
    "webhook_max_queued": ("NUMBER", ""),
    "webhook_max_bytes": ("BIG", ""),
    "webhook_ca_file": ("TEXT", ""),
    "auth_path": ("PATH", ""),
    "user_auth_path": ("PATH", ""),
    "identify_timeout_ms": ("NUMBER", ""),
    "auth_timeout_ms": ("NUMBER", ""),
    "max_questions_per_connection": ("LIMIT", ""),
    "max_questions_per_ip": ("LIMIT", ""),
    "max_questions_per_app": ("LIMIT", ""),
    "max_unknown_apps_per_ip": ("LIMIT", ""),
    "unknown_app_ms": ("DELAY", ""),
}
