/**
 * @file server.h
 * A server's life: make, listen, start, stop, free; and the three ways to run it.
 *
 * | mode    | options                              | who runs it                                  |
 * |---------|--------------------------------------|----------------------------------------------|
 * | threads | worker_count 1..64 (default 1)       | as many threads of ours, one loop each       |
 * | attach  | loop = your uv_loop_t                | your uv_run()                                |
 * | poll    | worker_count = PUSHERC_WORKERS_NONE  | your calls of pusherc_server_poll()          |
 *
 * Calls marked "setup" come from one thread, before start. Calls marked "any" may come from any
 * thread between new and free.
 */
#ifndef PUSHERC_SERVER_H
#define PUSHERC_SERVER_H

#include <stdbool.h>

#include <pusherc/alloc.h>
#include <pusherc/error.h>
#include <pusherc/hooks.h>
#include <pusherc/log.h>
#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/** One worker thread for each processor that this process may use. */
#define PUSHERC_WORKERS_PER_CPU UINT32_MAX
/** No thread: the host calls pusherc_server_poll(). */
#define PUSHERC_WORKERS_NONE (UINT32_MAX - 1)
/** The most worker threads of one server. */
#define PUSHERC_WORKERS_MAX 64

/** The body of an error over HTTP. */
typedef enum pusherc_http_error_format {
    PUSHERC_HTTP_ERRORS_TEXT = 0, /**< one line of text, as Pusher's */
    PUSHERC_HTTP_ERRORS_JSON      /**< {"error":"the line","code":401}, as soketi's */
} pusherc_http_error_format;

/**
 * How a server works. Begin with PUSHERC_SERVER_OPTIONS_INIT; zero in a field means its default. Everything but
 * `loop` is borrowed until the call returns.
 */
typedef struct pusherc_server_options {
    size_t struct_size;                 /**< sizeof(pusherc_server_options) */
    const pusherc_allocator *allocator; /**< NULL = the C library's */
    pusherc_log_fn log_fn;              /**< NULL = silent */
    void *log_user_data;                /**< handed to log_fn */
    pusherc_log_level log_level;        /**< default PUSHERC_LOG_INFO */

    struct uv_loop_s *loop; /**< attach to this loop; borrowed until the server is freed */
    uint32_t worker_count;  /**< without `loop`: 1..64 or PUSHERC_WORKERS_*; default 1 */

    const pusherc_hooks *hooks; /**< NULL = none */
    /** Path of the built-in auth endpoint for channels, below path_prefix; NULL = "/broadcasting/auth",
     *  "" = none. It is served when there is a rule or an identify hook. */
    const char *auth_path;
    /** The same for users; NULL = "/broadcasting/user-auth", "" = none. */
    const char *user_auth_path;
    /** Serve below this path, e.g. "/ws": begins with '/', does not end with one, has no ' ?#%'; NULL = "". */
    const char *path_prefix;

    /** Sockets, those that speak HTTP included; default no limit; above it new clients get 4100. A start with
     *  fewer descriptors than that (RLIMIT_NOFILE) logs a warning. */
    uint32_t max_connections;
    uint32_t max_frame_bytes;     /**< one message of a client; default 65536; above it 1009 */
    uint32_t max_http_body_bytes; /**< default 1048576; above it 413 */
    uint32_t max_http_head_bytes; /**< request line and fields; default 16384; above it 431, 414 */
    /** From accept, or a later request's first byte, to a complete head; default 10000, then 408. */
    uint32_t handshake_timeout_ms;
    uint32_t request_timeout_ms; /**< from the head to a complete body; default 30000, then 408 */
    uint32_t keep_alive_ms;      /**< HTTP between two requests; default 75000, then closed */
    /** For the host's answer to identify and find_app; default 10000, then 4009, or 503 over HTTP. */
    uint32_t identify_timeout_ms;
    uint32_t auth_timeout_ms;  /**< for the host's answer to a rule; default 10000, then denied */
    uint32_t pong_timeout_ms;  /**< for the answer to a ping; default 30000, then 4201 */
    uint32_t close_timeout_ms; /**< for the peer's half of a close; default 3000, then cut off */
    /** Waiting for one client; default 262144. Above it nothing is read from the client, ... */
    uint32_t out_soft_bytes;
    uint32_t out_soft_ms; /**< ... after this long PUSHERC_SLOW_CLOSE closes it; default 10000 */
    /** What may wait for one client at most; default 1048576, then the app's slow_policy. */
    uint32_t out_hard_bytes;
    /** Events on their way to one worker; default 65536; above it PUSHERC_EBACKLOG. */
    uint32_t mailbox_max_messages;
    uint32_t max_auth_skew_s; /**< age of a signed HTTP request; default 600; above it 401 */
    /** What cache channels of all apps may keep; default 67108864. Above it the events that were published longest
     *  ago are forgotten. */
    uint64_t max_cache_bytes;
    pusherc_http_error_format http_error_format; /**< default PUSHERC_HTTP_ERRORS_TEXT */
    /** How long an event that was published over HTTP with an idempotency key is not published again; default
     *  120000. */
    uint32_t idempotency_ms;
    /** What is remembered of such events for each app; default 4194304; above it the oldest goes first. */
    uint32_t idempotency_max_bytes;
    /** Begins the names of metrics: 0..64 of [a-zA-Z0-9_:], no digit first; NULL = "pusherc_". With "soketi_"
     *  dashboards made for soketi go on. */
    const char *metrics_prefix;
    /** Percent of the memory that this process may have: above it /accept-traffic answers 500; 1..100,
     *  default 85. */
    uint32_t accept_traffic_percent;
    /** Reverse proxies in front, each of which appends the address of its own peer to X-Forwarded-For: a client's
     *  address is the one at this place from the right there. It is believed, so nobody but the proxies may reach
     *  the port. Default 0: the TCP peer, as when the field is absent, shorter, or holds no address there. */
    uint32_t proxy_count;
    /** Events for one webhook endpoint are gathered so long, ... default 250; PUSHERC_NO_DELAY = each is sent
     *  at once and by itself. */
    uint32_t webhook_batch_ms;
    uint32_t webhook_batch_events; /**< ... or until there are so many; 1..1000, default 20 */
    /** From the last member or subscription to member_removed or channel_vacated, which are not sent if it
     *  returns meanwhile; default 3000, PUSHERC_NO_DELAY = at once. */
    uint32_t webhook_delay_ms;
    uint32_t webhook_timeout_ms; /**< for one webhook request; default 10000 */
    /** From a webhook's first request to its last; default 300000, PUSHERC_NO_DELAY = there is only one. */
    uint32_t webhook_retry_ms;
    /** Events that wait for one endpoint; default 10000; above it they are dropped and counted. */
    uint32_t webhook_max_queued;
    const char *webhook_ca_file; /**< PEM: whom to trust with https://; NULL = the system's own */
} pusherc_server_options;

/* clang-format off */
/** Initialiser of a pusherc_server_options. */
#define PUSHERC_SERVER_OPTIONS_INIT { .struct_size = sizeof(pusherc_server_options) }
/* clang-format on */

/**
 * Fill in PUSHERC_SERVER_OPTIONS_INIT, for bindings.
 *
 * @param options  overwritten
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API void pusherc_server_options_init(pusherc_server_options *options);

/**
 * TLS for one listener: 1.2 and 1.3, with forward secrecy and session tickets. The files are read while
 * pusherc_server_listen() or pusherc_server_reload_tls() runs.
 */
typedef struct pusherc_tls_options {
    size_t struct_size;    /**< sizeof(pusherc_tls_options) */
    const char *cert_file; /**< PEM: the server's own certificate, then the chain */
    /** PEM: its key; a connection costs half as much with ECDSA as with RSA. */
    const char *key_file;
    const char *key_password; /**< NULL = none */
} pusherc_tls_options;

/** What a listener serves. */
typedef enum pusherc_listen_purpose {
    PUSHERC_LISTEN_CLIENTS = 0, /**< WebSocket, the HTTP API, auth endpoints, the host's pages */
    /** Pages for operators and nothing else: /metrics (with ?json=1 as JSON), /usage, /ready, /up, /live and /.
     *  Not for strangers. */
    PUSHERC_LISTEN_METRICS
} pusherc_listen_purpose;

/** Where to listen. Everything is borrowed until the call returns. */
typedef struct pusherc_listen_options {
    size_t struct_size; /**< sizeof(pusherc_listen_options) */
    /** A numeric address, IPv6 without brackets: "0.0.0.0", "::" (both families) ... NULL = "127.0.0.1". */
    const char *host;
    uint16_t port;    /**< 0 = the system picks; read it back with pusherc_server_port() */
    uint32_t backlog; /**< connections that wait to be accepted; default 1024 */
    const pusherc_tls_options *tls; /**< NULL = plain */
    pusherc_listen_purpose purpose; /**< default PUSHERC_LISTEN_CLIENTS */
} pusherc_listen_options;

/* clang-format off */
/** Initialiser of a pusherc_listen_options. */
#define PUSHERC_LISTEN_OPTIONS_INIT { .struct_size = sizeof(pusherc_listen_options) }
/** Initialiser of a pusherc_tls_options. */
#define PUSHERC_TLS_OPTIONS_INIT { .struct_size = sizeof(pusherc_tls_options) }
/* clang-format on */

/**
 * Fill in PUSHERC_LISTEN_OPTIONS_INIT, for bindings.
 *
 * @param options  overwritten
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API void pusherc_listen_options_init(pusherc_listen_options *options);

/**
 * Fill in PUSHERC_TLS_OPTIONS_INIT, for bindings.
 *
 * @param options  overwritten
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API void pusherc_tls_options_init(pusherc_tls_options *options);

/**
 * Make a server. Nothing listens and no thread runs yet.
 *
 * @param out      the server, NULL on failure
 * @param options  copied; NULL = defaults
 * @param info     filled on failure; may be NULL
 * @return 0, or
 *         PUSHERC_EINVAL  `out` is NULL, or a field breaks its rule; `info` names it
 *         PUSHERC_ENOMEM
 *         PUSHERC_EIO     the loop or the random generator could not be set up
 *
 * Thread: setup. Blocks: no. In callbacks: yes. Owns: the server, until pusherc_server_free().
 * Since: 0.1.
 */
PUSHERC_API int pusherc_server_new(pusherc_server **out, const pusherc_server_options *options,
                                   pusherc_errinfo *info);

/**
 * Add a listener and bind it. Connections are accepted from start on.
 *
 * @param server   not started
 * @param options  copied; NULL = 127.0.0.1 and a port that the system picks
 * @param info     filled on failure, e.g. "address in use: 0.0.0.0:6001"; may be NULL
 * @return 0, or
 *         PUSHERC_EINVAL  a NULL server, no numeric address, a file is not named in tls, an unknown purpose, or
 *                         more than 16 listeners
 *         PUSHERC_EIO     bind failed; info->sys has the UV_E* code
 *         PUSHERC_ETLS    certificate or key unusable, `info` says why; info->sys has Mbed TLS's code
 *         PUSHERC_ENOSYS  TLS was not compiled in
 *         PUSHERC_ESTATE  already started
 *         PUSHERC_ENOMEM  some workers may have it and others not: only to be freed. After the other
 *                         errors the server is as before, and another address may be tried
 *
 * Thread: setup. Blocks: for files. In callbacks: no. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_server_listen(pusherc_server *server, const pusherc_listen_options *options,
                                      pusherc_errinfo *info);

/**
 * The port a listener is bound to.
 *
 * @param server    any state
 * @param listener  0 for the first pusherc_server_listen(), 1 for the second, ...
 * @return the port, 0 if there is no such listener
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API uint16_t pusherc_server_port(const pusherc_server *server, size_t listener);

/**
 * Give a listener that speaks TLS another certificate and key. New connections get them; those that are open keep
 * theirs. Session tickets handed out before are of no use any more, which costs their holders a whole handshake.
 *
 * @param server    started
 * @param listener  0 for the first pusherc_server_listen(), 1 for the second, ...
 * @param tls       read before this call returns
 * @param info      filled on failure; may be NULL
 * @return 0 when handed over to the workers, or (then nothing has changed)
 *         PUSHERC_EINVAL  a NULL argument, no such listener or one without TLS, or a file is not named
 *         PUSHERC_ETLS    certificate or key unusable, `info` says why; info->sys has Mbed TLS's code
 *         PUSHERC_ESTATE  not started, or stopping
 *         PUSHERC_ENOMEM
 *
 * Thread: any. Blocks: for files. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_server_reload_tls(pusherc_server *server, size_t listener,
                                          const pusherc_tls_options *tls, pusherc_errinfo *info);

/**
 * Begin to accept. Threads mode: starts the threads. Attach mode: call it on the loop's thread.
 *
 * @param server  not started; a server without a listener may still adopt
 * @param info    filled on failure; may be NULL
 * @return 0, or
 *         PUSHERC_EINVAL  a NULL server
 *         PUSHERC_ESTATE  it was started or stopped before; nothing has changed
 *         PUSHERC_EIO     listening or making a thread failed, info->sys has the UV_E* code; the server can
 *                         only be freed
 *
 * Thread: setup. Blocks: no. In callbacks: no. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_server_start(pusherc_server *server, pusherc_errinfo *info);

/**
 * Poll mode: do everything that is due, waiting at most timeout_ms for something to do.
 *
 * @param server      started, with worker_count = PUSHERC_WORKERS_NONE
 * @param timeout_ms  0 = do not wait
 * @return 1 = call again; 0 = stopped, there is nothing left to do; or
 *         PUSHERC_ESTATE  not in poll mode, not started, or called from a callback
 *
 * Thread: always the same one. Blocks: at most timeout_ms. In callbacks: no. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_server_poll(pusherc_server *server, uint32_t timeout_ms);

/**
 * Take over an accepted TCP socket, for hosts whose own server owns the port. Workers get them in turn. It
 * speaks plain HTTP and WebSocket, and becomes non-blocking.
 *
 * @param server     started
 * @param os_socket  connected stream socket
 * @param head       what the host has already read of it, from the request line on; copied; at most
 *                   max_http_head_bytes + max_http_body_bytes
 * @return 0: the socket is the library's; or (then it still is the caller's)
 *         PUSHERC_EINVAL    a NULL server, no stream socket, or `head` is too long
 *         PUSHERC_ESTATE    not started, or stopping
 *         PUSHERC_EBACKLOG  the worker whose turn it is has too much to do; the next call asks another one
 *         PUSHERC_ENOMEM
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: the socket, on success.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_server_adopt(pusherc_server *server, intptr_t os_socket,
                                     pusherc_slice head);

/**
 * Called once, when a stop has ended: every connection is gone and no hook will be called any more. On the loop's
 * thread in attach and poll mode, on one of the library's otherwise; for a server that was not started on the
 * thread that stops it, before pusherc_server_stop() returns. May call what is marked "In callbacks: yes"; in
 * attach mode also pusherc_server_free().
 */
typedef void (*pusherc_stopped_fn)(pusherc_server *server, void *user_data);

/**
 * Stop: /ready turns red, listeners close, clients are told (4200) in random order spread over
 * grace_ms, queues are flushed, what is left is cut off, `stopped` is called. Webhooks that wait are sent, for as
 * long as clients are left and close_timeout_ms more at most. Needs no memory.
 *
 * @param server    any state; a server that was not started stops at once
 * @param grace_ms  0 = tell everybody at once
 * @param stopped   may be NULL; not called by a repeated stop
 * @param user_data for `stopped`
 * @return 0, or
 *         PUSHERC_EINVAL  a NULL server
 *         PUSHERC_ESTATE  already stopping; a smaller grace_ms still takes effect
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_server_stop(pusherc_server *server, uint32_t grace_ms,
                                    pusherc_stopped_fn stopped, void *user_data);

/**
 * Free a server. Requests that the host has not answered yet may still be answered afterwards; the
 * answer is ECANCELED.
 *
 * @param server  threads and poll mode: any state, a running one is stopped without grace;
 *                attach mode: never started, or `stopped` has been called. NULL is a no-op
 *
 * Thread: none of ours; attach and poll: the loop's. Blocks: until the threads have ended. In callbacks: no,
 * but in attach mode `stopped` may free. Owns: the server is gone.
 * Since: 0.1.
 */
PUSHERC_API void pusherc_server_free(pusherc_server *server);

/**
 * Close one connection.
 *
 * @param server      started
 * @param app_id      known app; NUL-terminated
 * @param socket_id   a connection that is gone meanwhile is no error
 * @param close_code  1000 or 4000..4999
 * @param reason      UTF-8, cut at 123 bytes; NUL-terminated; NULL = ""
 * @return 0 when handed over, or
 *         PUSHERC_EINVAL  a NULL argument, the zero id, another close_code, or the reason is no UTF-8
 *         PUSHERC_ENOENT  unknown app
 *         PUSHERC_ESTATE  server not started, or stopped
 *         PUSHERC_ENOMEM  the connection stays open
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_server_disconnect(pusherc_server *server, const char *app_id,
                                          pusherc_socket_id socket_id, uint16_t close_code,
                                          const char *reason);

/**
 * Close every connection of a user: those that signed in as the user (pusher:signin) and those whose identity,
 * the answer to `identify`, has this id. Connections that only carry the id in a presence channel stay.
 * The user may connect again; to keep somebody out, let identify say no first.
 *
 * @param server      started
 * @param app_id      known app; NUL-terminated
 * @param user_id     1..200 bytes; a user who is not connected is no error
 * @param close_code  1000 or 4000..4999; Pusher's API uses 4009, after which pusher-js does not return
 * @param reason      UTF-8, cut at 123 bytes; NUL-terminated; NULL = ""
 * @return 0 when handed over, or
 *         PUSHERC_EINVAL  a NULL argument, another close_code, a user_id too long, or the reason is no UTF-8
 *         PUSHERC_ENOENT  unknown app
 *         PUSHERC_ESTATE  server not started, or stopped
 *         PUSHERC_ENOMEM  no connection is closed
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.  Source: Pusher Channels HTTP API, "POST terminate user connections", for signed-in users.
 */
PUSHERC_API int pusherc_server_disconnect_user(pusherc_server *server, const char *app_id,
                                               pusherc_slice user_id, uint16_t close_code,
                                               const char *reason);

PUSHERC_END_DECLS

#endif /* PUSHERC_SERVER_H */
