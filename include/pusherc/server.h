/**
 * @file server.h
 * The life of a server: make, listen, start, stop, free; and the three ways to run it.
 *
 * | mode    | options                              | what runs it                                 |
 * |---------|--------------------------------------|----------------------------------------------|
 * | threads | worker_count 1..64 (default 1)       | that many threads of the library             |
 * | attach  | loop = your uv_loop_t                | your uv_run()                                |
 * | poll    | worker_count = PUSHERC_WORKERS_NONE  | your calls of pusherc_server_poll()          |
 *
 * Make calls marked "setup" from one thread, before the start. Calls marked "any" may come from any thread between
 * pusherc_server_new() and pusherc_server_free().
 *
 * A server belongs to the process that made it. In a process that was forked from it, each call that takes a server
 * returns PUSHERC_ESTATE and changes nothing in the parent; pusherc_server_port() works.
 *
 * Unless said otherwise: Thread: any. Blocks: no. In callbacks: yes. Owns: nothing. Since: 0.1.
 */
#ifndef PUSHERC_SERVER_H
#define PUSHERC_SERVER_H

#include <pusherc/alloc.h>
#include <pusherc/error.h>
#include <pusherc/hooks.h>
#include <pusherc/inbox.h>
#include <pusherc/log.h>
#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/** One worker thread for each processor that this process may use. */
#define PUSHERC_WORKERS_PER_CPU UINT32_MAX
/** No thread: the host calls pusherc_server_poll(). */
#define PUSHERC_WORKERS_NONE (UINT32_MAX - 1)

/** Limits of a server. */
enum {
    PUSHERC_WORKERS_MAX = 64 /**< the most worker threads */
};

/** The body of an HTTP error. */
typedef enum pusherc_http_error_format {
    PUSHERC_HTTP_ERRORS_TEXT = 0, /**< one line of text, as Pusher's */
    PUSHERC_HTTP_ERRORS_JSON      /**< {"error":"the line","code":401}, as soketi's */
} pusherc_http_error_format;

/**
 * Settings of a server. Begin with PUSHERC_SERVER_OPTIONS_INIT; zero in a field means its default. All of it but
 * `loop` is borrowed until the call returns.
 */
typedef struct pusherc_server_options {
    size_t struct_size; /**< sizeof(pusherc_server_options) */

    /** @name Host, workers, log
     * @{ */
    const pusherc_hooks *hooks;  /**< NULL = none */
    struct uv_loop_s *loop;      /**< attach to this loop; borrowed until the server is freed */
    uint32_t worker_count;       /**< without `loop`: 1..64 or PUSHERC_WORKERS_*; default 1 */
    pusherc_log_level log_level; /**< default PUSHERC_LOG_INFO */
    pusherc_log_fn log_fn;       /**< NULL = silent */
    void *log_user_data;         /**< passed to log_fn */
    const pusherc_allocator *allocator; /**< NULL = the C library's */
    /** @} */

    /** @name Paths, files and names
     * @{ */
    /** Serve below this path, e.g. "/ws": begins with '/', does not end with it, has no ' ?#%'; NULL = "". */
    const char *path_prefix;
    /** Path of the built-in auth endpoint for channels, below path_prefix; NULL = "/broadcasting/auth", "" = none.
     *  Several, with commas between, are the same endpoint. It is served if there is a rule or an identify hook. */
    const char *auth_path;
    /** As auth_path, for users; NULL = "/broadcasting/user-auth", "" = none. */
    const char *user_auth_path;
    /** Begins the names of metrics: 0..64 of [a-zA-Z0-9_:], no digit first; NULL = "pusherc_". With "soketi_"
     *  dashboards made for soketi work. */
    const char *metrics_prefix;
    /** PEM: authorities that webhooks with https:// trust; NULL = the system's. */
    const char *webhook_ca_file;
    /** @} */

    /** @name Limits
     * @{ */
    /** Memory for the events that cache channels of all apps keep; default 67108864. Above it the app that holds most
     *  loses the events that it published longest ago. */
    uint64_t max_cache_bytes;
    /** Clients, those that are being admitted included; default no limit; above it new clients get 4100. Other sockets
     *  have a limit of their own, max_unestablished. If the process may open fewer descriptors (RLIMIT_NOFILE), the
     *  start logs a warning. */
    uint32_t max_connections;
    /** One message of a client; above it 1009. 0 follows the apps: 3 times the largest max_event_payload_bytes that any
     *  of them has had and 4096 more, at least 65536 and at most 64 MiB. */
    uint32_t max_frame_bytes;
    /** Of an HTTP request; above it 413. 0 follows the apps: that much for each event of their largest batch, at least
     *  1 MiB and at most 64 MiB. */
    uint32_t max_http_body_bytes;
    uint32_t max_http_head_bytes; /**< request line and fields; default 16384; above it 431, 414 */
    /** @} */

    /** @name HTTP
     * @{ */
    /** Number of reverse proxies in front, each of which appends its peer's address to X-Forwarded-For. The client's
     *  address is the entry at that position from the right. Only safe if clients cannot reach the port directly.
     *  Default 0: the address of the TCP peer, which also counts if the field is absent, shorter, or has no address
     *  at that position. X-Forwarded-Proto is read in the same way, for the origin of pages: see
     *  pusherc_identify_accept(). */
    uint32_t proxy_count;
    uint32_t max_auth_skew_s; /**< age of a signed request; default 600; above it 401 */
    pusherc_http_error_format http_error_format; /**< default PUSHERC_HTTP_ERRORS_TEXT */
    /** How long an event that was published with an idempotency key is not published again; default 120000. */
    uint32_t idempotency_ms;
    /** /accept-traffic answers 500 while this process uses more than this percentage of the memory that it may
     *  use; 1..100, default 85. */
    uint32_t accept_traffic_percent;
    /** @} */

    /** @name Webhooks
     * @{ */
    /** Events for one endpoint are gathered this long before they are sent together; default 250;
     *  PUSHERC_NO_DELAY = each event is sent at once in its own request. */
    uint32_t webhook_batch_ms;
    /** A batch is sent earlier if it has this many events; 1..1000, default 20. */
    uint32_t webhook_batch_events;
    /** How long to wait after the last one left before sending member_removed or channel_vacated. A return within
     *  that time cancels it; default 3000, PUSHERC_NO_DELAY = send at once. */
    uint32_t webhook_delay_ms;
    uint32_t webhook_timeout_ms; /**< for one request; default 10000 */
    /** From a batch's first request to its last; default 300000, PUSHERC_NO_DELAY = one request only. */
    uint32_t webhook_retry_ms;
    /** Events that wait for one endpoint; default 10000; above it they are dropped and counted. */
    uint32_t webhook_max_queued;
    /** @} */

    /** @name Queues
     * @{ */
    /** Bytes that wait for one client; default 262144. Above it the server reads nothing from the client. */
    uint32_t out_soft_bytes;
    /** How long a client may stay above out_soft_bytes before PUSHERC_SLOW_CLOSE closes it; default 10000. */
    uint32_t out_soft_ms;
    /** The most that may wait for one client; default 1048576; above it the app's slow_policy applies. */
    uint32_t out_hard_bytes;
    /** @} */

    /** @name Timeouts
     * @{ */
    /** From accept, or from the first byte of a later request, to a complete head; default 10000, then 408. */
    uint32_t handshake_timeout_ms;
    /** For the host's answer to identify and find_app; default 10000, then 4009, or 503 over HTTP. */
    uint32_t identify_timeout_ms;
    uint32_t auth_timeout_ms; /**< for the host's answer to a rule; default 10000, then denied */
    uint32_t pong_timeout_ms; /**< for the answer to a ping; default 30000, then 4201 */
    /** For the peer's half of a close; default 3000. Then the client is cut off: with a reset if it has not taken what
     *  was queued for it; otherwise the kernel goes on with the rest as long as the client takes some of it within
     *  this time. */
    uint32_t close_timeout_ms;
    /** @} */
    uint32_t reserved_; /**< zero */
    /** Names with commas between, beside addresses and private names, that listeners for PUSHERC_LISTEN_METRICS answer
     *  to; NULL = none. Another name in "Host" may be that of a web site which has turned its name to this listener's
     *  address, so that a visitor's browser reads the page for it. */
    const char *metrics_names;
    /** Sockets that are not established clients: silent ones, TLS handshakes, HTTP connections, closing ones. Listeners
     *  for clients have this many, and listeners for PUSHERC_LISTEN_METRICS as many again; each worker has an equal
     *  part. Above it a new socket closes one that is idle: of those that have waited for a second first one that has
     *  sent nothing, then one that is closing, then an HTTP connection between two requests, then one that has sent a
     *  part of a request; if none has waited so long, the one that has waited longest. If none is idle, new clients
     *  wait in the kernel. PUSHERC_NO_LIMIT = any number; 0 = a quarter of the descriptors that the process may have,
     *  and no more than max_connections leaves of them, but 64..4096. */
    uint32_t max_unestablished;
    /** The same for one address of TCP peers, or one /64 of IPv6, from accept on. Above it a new socket closes an idle
     *  one of the same address; if none is idle, the new one is reset. 0 = a quarter of max_unestablished and at least
     *  256 for each worker, or PUSHERC_NO_LIMIT if proxy_count is set: then all peers are proxies. */
    uint32_t max_unestablished_per_ip;
    /** Memory for the webhook events of all apps that wait; default 67108864. Above it the app that holds most loses
     *  its latest events; they count as dropped. */
    uint64_t webhook_max_bytes;

    /** @name Questions
     * What the host has been asked and has not answered: rules, identify, find_app, on_http. A question counts until
     * it is answered, also when its client has unsubscribed or left. Each worker counts its own. Above a limit a
     * question to a rule waits, for at most auth_timeout_ms, and is then denied (LIMIT). Any other is refused at once:
     * a WebSocket with 4100, an HTTP request with 503. PUSHERC_NO_LIMIT = no limit.
     * @{ */
    uint32_t max_questions_per_connection; /**< to rules, for one WebSocket; default 100 */
    /** For clients of one address (or /64 of IPv6) in one app, or for pages; default 1000. Behind proxies that is the
     *  proxy's address unless proxy_count is set. */
    uint32_t max_questions_per_ip;
    uint32_t max_questions_per_app; /**< for clients of one app, or for pages; default 10000 */
    /** Apps that find_app does not know: how many of them clients of one address may ask for in unknown_app_ms, those
     *  included that find_app has not answered; default 100. */
    uint32_t max_unknown_apps_per_ip;
    /** How long find_app is not asked again about an app that it did not know; default 3000, PUSHERC_NO_DELAY = it is
     *  asked each time. An app that is put is there at once. */
    uint32_t unknown_app_ms;
    uint32_t reserved2_; /**< zero */
    /** @} */

    /** @name Messages instead of calls: inbox.h
     * @{ */
    /** Where messages are put; stays usable for other servers; NULL = none. The server uses it until it is freed. */
    pusherc_inbox *inbox;
    /** Which messages, besides questions to rules: bits 1u << pusherc_message_type. A hook, or log_fn, cannot be set at
     *  the same time as the bit of its message. */
    uint32_t inbox_messages;
    /** @} */
    /** Messages of this many bytes and more are sent compressed (RFC 7692, permessage-deflate) to clients that offer
     *  it, and clients may send theirs compressed. An event is compressed once, for all of them. 0 = not at all. Where a
     *  message carries both a secret and what a stranger wrote, its compressed length tells the stranger something about
     *  the secret. PUSHERC_ENOSYS without zlib. */
    uint32_t deflate_min_bytes;
    /** Memory for the histories of channels of all apps, see history.h; default 67108864. Above it the app that holds
     *  most loses the history of the channel that has been quiet longest. */
    uint64_t max_history_bytes;
    /** Listeners for PUSHERC_LISTEN_METRICS serve the inspector, /inspector, to who has this token: a page that shows
     *  connections, channels, members, the last events and refusals, and that can publish. 16 to 200 printable ASCII
     *  characters without spaces; NULL or "" = there is no such page. PUSHERC_ENOSYS in a build without it. */
    const char *inspector_token;
} pusherc_server_options;

/* clang-format off */
/** Initialiser of a pusherc_server_options. */
#define PUSHERC_SERVER_OPTIONS_INIT { .struct_size = sizeof(pusherc_server_options) }
/* clang-format on */

/**
 * Do what PUSHERC_SERVER_OPTIONS_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_server_options) as the caller knows it
 */
PUSHERC_API void pusherc_server_options_init(pusherc_server_options *out, size_t struct_size);

#define PUSHERC_TLS_MAX_CERTIFICATES 100 /**< of one listener */

/**
 * TLS for one listener: versions 1.2 and 1.3, with forward secrecy and session tickets. The files are read during
 * pusherc_server_listen() or pusherc_server_reload_tls().
 */
typedef struct pusherc_tls_options {
    size_t struct_size;    /**< sizeof(pusherc_tls_options) */
    const char *cert_file; /**< PEM: the server's own certificate, then the chain */
    /** PEM: the certificate's key. A connection costs half as much with ECDSA as with RSA. */
    const char *key_file;
    const char *key_password; /**< NULL = none */
    /** Another certificate with its key, and so on, for hosts with several names; NULL = none. A client that asks for a
     *  name (SNI) gets the certificates whose alternative names have it, also by "*."; other clients get the first. */
    const struct pusherc_tls_options *next;
} pusherc_tls_options;

/* clang-format off */
/** Initialiser of a pusherc_tls_options. */
#define PUSHERC_TLS_OPTIONS_INIT { .struct_size = sizeof(pusherc_tls_options) }
/* clang-format on */

/**
 * Do what PUSHERC_TLS_OPTIONS_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_tls_options) as the caller knows it
 */
PUSHERC_API void pusherc_tls_options_init(pusherc_tls_options *out, size_t struct_size);

/** What a listener serves. */
typedef enum pusherc_listen_purpose {
    PUSHERC_LISTEN_CLIENTS = 0, /**< WebSocket, the HTTP API, auth endpoints, the host's pages */
    /** Only pages for operators: /metrics (with ?json=1 as JSON), /usage, /ready, /up, /live and /, and /inspector
     *  (see inspector_token). Keep it away from
     *  the public. */
    PUSHERC_LISTEN_METRICS
} pusherc_listen_purpose;

/** Where to listen. All of it is borrowed until the call returns. */
typedef struct pusherc_listen_options {
    size_t struct_size; /**< sizeof(pusherc_listen_options) */
    /** A numeric address, IPv6 without brackets: "0.0.0.0", "::" (both families) ... NULL = "127.0.0.1". Or a unix
     *  socket, "unix:/run/pusherc.sock": the path begins with '/' and has at most 107 bytes. The socket file of a server
     *  that has gone is replaced. The file is removed when the listener closes. Clients may connect from this call on,
     *  and are accepted from the start on. */
    const char *host;
    const pusherc_tls_options *tls; /**< NULL = plain */
    uint32_t backlog;               /**< connections that wait for accept; default 1024 */
    pusherc_listen_purpose purpose; /**< default PUSHERC_LISTEN_CLIENTS */
    uint16_t port; /**< 0 = the system chooses; read it with pusherc_server_port() */
    /** Permissions of a unix socket: 1..0777, default 0660. Who may write to the file may connect. */
    uint16_t unix_mode;
    uint8_t reserved_[4]; /**< zero */
} pusherc_listen_options;

/* clang-format off */
/** Initialiser of a pusherc_listen_options. */
#define PUSHERC_LISTEN_OPTIONS_INIT { .struct_size = sizeof(pusherc_listen_options) }
/* clang-format on */

/**
 * Do what PUSHERC_LISTEN_OPTIONS_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_listen_options) as the caller knows it
 */
PUSHERC_API void pusherc_listen_options_init(pusherc_listen_options *out, size_t struct_size);

/**
 * Make a server. It does not listen yet, and no thread runs.
 *
 * @param out      the server, NULL on failure
 * @param options  copied; NULL = defaults
 * @param info     filled on failure; may be NULL
 * @return 0, or
 *         PUSHERC_EINVAL  `out` is NULL, or a field breaks its rule; `info` names it
 *         PUSHERC_ENOMEM
 *         PUSHERC_EIO     the event loop or the random generator failed
 *
 * Thread: setup. Owns: the server, until pusherc_server_free().
 */
PUSHERC_API int pusherc_server_new(pusherc_server **out, const pusherc_server_options *options,
                                   pusherc_errinfo *info);

/**
 * Add a listener and bind it. It accepts connections once the server is started.
 *
 * @param server   not started
 * @param options  copied; NULL = 127.0.0.1 and a port that the system chooses
 * @param info     filled on failure, e.g. "address in use: 0.0.0.0:6001"; may be NULL
 * @return 0, or
 *         PUSHERC_EINVAL  server is NULL, the address is not numeric, a path is too long or does not begin with '/',
 *                         unix_mode or port does not fit to the address, tls lacks a file name or has
 *                         more than PUSHERC_TLS_MAX_CERTIFICATES certificates, the purpose is unknown,
 *                         or there are 16 listeners already
 *         PUSHERC_EIO     bind failed; info->sys has the UV_E* code. At a path: another process listens there, or there
 *                         is a file that is no socket
 *         PUSHERC_ETLS    the certificate or key cannot be used, `info` says why; info->sys has Mbed TLS's code
 *         PUSHERC_ENOSYS  the library was built without TLS
 *         PUSHERC_ESTATE  already started
 *         PUSHERC_ENOMEM  only some workers may have the listener: free the server. After the other errors the server
 *                         is unchanged, and you may try another address
 *
 * Thread: setup. Blocks: for files. In callbacks: no.
 */
PUSHERC_API int pusherc_server_listen(pusherc_server *server, const pusherc_listen_options *options,
                                      pusherc_errinfo *info);

/**
 * The port that a listener is bound to.
 *
 * @param server    any state
 * @param listener  0 for the first pusherc_server_listen(), 1 for the second, ...
 * @return the port, 0 if there is no such listener, or it is a unix socket
 */
PUSHERC_API uint16_t pusherc_server_port(const pusherc_server *server, size_t listener);

/**
 * Give a TLS listener another certificate and key. New connections use them; open connections keep theirs. Session
 * tickets from before become useless, so that their clients make a full handshake.
 *
 * @param server    started
 * @param listener  0 for the first pusherc_server_listen(), 1 for the second, ...
 * @param tls       read before this call returns
 * @param info      filled on failure; may be NULL
 * @return 0 when handed to the workers, or (then nothing has changed)
 *         PUSHERC_EINVAL  an argument is NULL, the listener does not exist or has no TLS, a file name is missing,
 *                         or there are more than PUSHERC_TLS_MAX_CERTIFICATES
 *         PUSHERC_ETLS    the certificate or key cannot be used, `info` says why; info->sys has Mbed TLS's code
 *         PUSHERC_ESTATE  not started, or stopping
 *         PUSHERC_ENOMEM
 *
 * Blocks: for files.
 */
PUSHERC_API int pusherc_server_reload_tls(pusherc_server *server, size_t listener,
                                          const pusherc_tls_options *tls, pusherc_errinfo *info);

/**
 * Begin to accept connections. In threads mode it starts the threads. In attach mode call it on the loop's thread.
 *
 * @param server  not started; a server without a listener can still adopt sockets
 * @param info    filled on failure; may be NULL
 * @return 0, or
 *         PUSHERC_EINVAL  server is NULL
 *         PUSHERC_ESTATE  started or stopped before; nothing has changed
 *         PUSHERC_EIO     listening or starting a thread failed; info->sys has the UV_E* code; free the server
 *
 * Thread: setup. In callbacks: no.
 */
PUSHERC_API int pusherc_server_start(pusherc_server *server, pusherc_errinfo *info);

/**
 * Poll mode: do the work that is due. If no work is due, wait for work, timeout_ms at most. A signal handler that runs
 * meanwhile ends the wait. When clients keep the server busy it returns with work left; pusherc_server_wait_ms() is then
 * 0.
 *
 * @param server      started, with worker_count = PUSHERC_WORKERS_NONE
 * @param timeout_ms  0 = do not wait
 * @return 1 = call again; 0 = stopped, all work is done; or
 *         PUSHERC_ESTATE  not in poll mode, not started, or called from a callback
 *
 * Thread: always the same one. Blocks: at most timeout_ms. In callbacks: no.
 */
PUSHERC_API int pusherc_server_poll(pusherc_server *server, uint32_t timeout_ms);

/**
 * Poll mode in a loop of another kind: a descriptor that becomes readable when pusherc_server_poll(server, 0) has
 * something to do. It stays readable until that call has been made.
 *
 * @param server  with worker_count = PUSHERC_WORKERS_NONE, from pusherc_server_new() to pusherc_server_free()
 * @return the server's own descriptor: do not read, write or close it; duplicate it for a loop that wants to own what it
 *         watches; or
 *         PUSHERC_ESTATE  not in poll mode, or server is NULL
 *
 * Thread: the one that polls.
 */
PUSHERC_API int pusherc_server_fd(const pusherc_server *server);

/**
 * Poll mode in a loop of another kind: how long the loop may wait if the descriptor stays quiet. Ask after each
 * pusherc_server_poll(), and call that when the time is over.
 *
 * @param server  started, with worker_count = PUSHERC_WORKERS_NONE
 * @return milliseconds; 0 = poll again at once, also when the server has stopped; UINT32_MAX = for as long as it likes,
 *         also when the server was not started, is not in poll mode, is NULL, or belongs to a parent process
 *
 * Thread: the one that polls.
 */
PUSHERC_API uint32_t pusherc_server_wait_ms(pusherc_server *server);

/**
 * Take over an accepted TCP socket. This is for hosts whose own server owns the port. The workers receive such
 * sockets in turn. The socket speaks plain HTTP and WebSocket, and becomes non-blocking.
 *
 * @param server     started
 * @param os_socket  connected stream socket
 * @param head       what the host has read from it already, from the request line on; copied; at most
 *                   max_http_head_bytes + max_http_body_bytes
 * @return 0: the socket belongs to the library; or (then it still belongs to the caller)
 *         PUSHERC_EINVAL    server is NULL, it is not a stream socket, or `head` is too long
 *         PUSHERC_ESTATE    not started, or stopping
 *         PUSHERC_EBACKLOG  the next worker's mailbox is full; the next call tries another worker
 *         PUSHERC_ENOMEM
 *
 * Owns: the socket, on success.
 */
PUSHERC_API int pusherc_server_adopt(pusherc_server *server, intptr_t os_socket,
                                     pusherc_slice head);

/**
 * Called once when the stop has ended: all connections are gone, and no hook will be called again. It runs on the
 * loop's thread in attach and poll mode, otherwise on a thread of the library. For a server that was not started it
 * runs on the thread that calls pusherc_server_stop(), before that returns. It may call functions marked
 * "In callbacks: yes", in attach mode also pusherc_server_free().
 */
typedef void (*pusherc_stopped_fn)(pusherc_server *server, void *user_data);

/**
 * Stop the server: /ready answers 503, the listeners close, clients are closed with 4200 at random moments within
 * grace_ms, their queues are flushed, remaining connections are cut off, and `stopped` is called. Waiting webhooks
 * are sent as long as clients are left, and for close_timeout_ms more at most. Stopping needs no memory.
 *
 * @param server    any state; a server that was not started stops at once
 * @param grace_ms  0 = close all clients at once
 * @param stopped   may be NULL; ignored if the server is already stopping
 * @param user_data for `stopped`
 * @return 0, or
 *         PUSHERC_EINVAL  server is NULL
 *         PUSHERC_ESTATE  already stopping; a smaller grace_ms still takes effect
 */
PUSHERC_API int pusherc_server_stop(pusherc_server *server, uint32_t grace_ms,
                                    pusherc_stopped_fn stopped, void *user_data);

/**
 * Wait until the server has stopped: all connections are gone, and `stopped` has returned. For a program without a loop
 * that serves until another thread, or a hook, calls pusherc_server_stop(); and after an own call of it. The start needs
 * no waiting: when pusherc_server_start() has returned, clients can connect.
 *
 * @param server      started, or stopped; own threads
 * @param timeout_ms  how long at most; UINT32_MAX = as long as it takes
 * @return 0 = it has stopped; or (then it runs or stops as before)
 *         PUSHERC_ETIMEDOUT  timeout_ms are over
 *         PUSHERC_EINVAL     server is NULL
 *         PUSHERC_ESTATE     not started, or not in threads mode; or called from a callback, which the stop waits for
 *
 * Blocks: at most timeout_ms. In callbacks: no.
 */
PUSHERC_API int pusherc_server_wait(pusherc_server *server, uint32_t timeout_ms);

/**
 * Free a server. Requests that the host has not answered yet may still be answered afterwards; the answer returns
 * ECANCELED.
 *
 * @param server  threads and poll mode: any state, a running server is stopped without grace;
 *                attach mode: never started, or `stopped` has been called. NULL does nothing. In a forked child: any
 *                state; the child's copies of the listening sockets are closed, and its memory stays as it is
 *
 * Thread: any thread of the host; in attach and poll mode the loop's. Blocks: until the threads have ended.
 * In callbacks: no, except in `stopped` in attach mode. Owns: the server is gone.
 */
PUSHERC_API void pusherc_server_free(pusherc_server *server);

/**
 * Choose which notices are not put into the inbox from now on. A host that wants some of them only at times names them in
 * pusherc_server_options.inbox_messages, and mutes them meanwhile: then they cost no memory and wake the host for nothing.
 *
 * A host that unmutes CHANNEL, and then asks pusherc_list_channels() or pusherc_list_members(), gets a message of every
 * change that the answer does not contain.
 *
 * @param server    with an inbox
 * @param messages  bits, 1u << pusherc_message_type, of OPEN, CLOSE, SIGNIN, CHANNEL, CLIENT_EVENT, DENIED,
 *                  WEBHOOK_FAILED, LOG, USER, RECEIPT and EPHEMERAL_END; 0 = none is muted, as in the beginning
 * @return 0, or (then nothing has changed)
 *         PUSHERC_EINVAL  server is NULL, or a bit is of another message
 *         PUSHERC_ESTATE  the server has no inbox
 */
PUSHERC_API int pusherc_server_mute(pusherc_server *server, uint32_t messages);

/** One connection at the time of a query. */
typedef struct pusherc_connection {
    size_t struct_size;          /**< bytes of this struct, as the library knows it */
    pusherc_socket_id socket_id; /**< for pusherc_server_disconnect() and others */
    pusherc_slice user_id;      /**< of its identity, the answer to `identify`; len 0 = anonymous */
    pusherc_slice signed_in_as; /**< the user of pusher:signin; len 0 = it has not signed in */
    /** The TCP peer, or the address that proxies report, without port or brackets; len 0 = unknown. */
    pusherc_slice client_ip;
} pusherc_connection;

/**
 * Receives the result of pusherc_list_connections(): `count` connections, in no order. Take each by
 * PUSHERC_AT(items, i); valid until the function returns. Called exactly once for each query that returns 0, before the
 * query returns, on its thread and with no lock held. It may call whatever the caller of the query may call.
 */
typedef void (*pusherc_connections_fn)(const pusherc_connection *items, size_t count,
                                       void *user_data);

/**
 * List the established connections of an app, or those of one user: connected or not, how often, from where, signed in
 * or not. A connection whose identity and whose sign-in are two users is both users'. The list of a user is found by an
 * index; that of an app takes some 0.4 us of the calling thread for each connection of the server.
 *
 * @param server   any state
 * @param app_id   known app; NUL-terminated
 * @param user_id  0..200 bytes; len 0 = all connections of the app
 * @param done     called exactly once on success, before this call returns, on the calling thread
 * @param user_data  for `done`
 * @return 0, or (then `done` is not called)
 *         PUSHERC_EINVAL  server, app_id or `done` is NULL, or the user id is too long
 *         PUSHERC_ENOENT  unknown app
 *         PUSHERC_ENOMEM  no memory for the copy
 *
 * Blocks: no, but takes as long as the copy and `done` do.
 */
PUSHERC_API int pusherc_list_connections(pusherc_server *server, const char *app_id,
                                         pusherc_slice user_id, pusherc_connections_fn done,
                                         void *user_data);

/**
 * Close one connection, of this server or of one that is linked with it.
 *
 * @param server      started
 * @param app_id      known app; NUL-terminated
 * @param socket_id   if the connection is gone already, that is no error
 * @param close_code  1000 or 4000..4999
 * @param reason      UTF-8, cut at 123 bytes; NUL-terminated; NULL = ""
 * @return 0 when handed to the workers, or
 *         PUSHERC_EINVAL  an argument is NULL, the id is zero, close_code is another number, or the reason is not
 *                         UTF-8
 *         PUSHERC_ENOENT  unknown app
 *         PUSHERC_ESTATE  not started, or stopped
 *         PUSHERC_ENOMEM  the connection stays open
 */
PUSHERC_API int pusherc_server_disconnect(pusherc_server *server, const char *app_id,
                                          pusherc_socket_id socket_id, uint16_t close_code,
                                          const char *reason);

/**
 * Close all connections of a user: those that signed in as the user (pusher:signin), and those whose identity, the
 * answer to `identify`, has this id. Connections that have the id only in a presence channel stay. The user may
 * connect again; to prevent that, let `identify` refuse the user first. Linked servers close theirs as soon as they hear
 * of it.
 *
 * @param server      started
 * @param app_id      known app; NUL-terminated
 * @param user_id     1..200 bytes; if the user is not connected, that is no error
 * @param close_code  1000 or 4000..4999; Pusher's API uses 4009, after which pusher-js does not reconnect
 * @param reason      UTF-8, cut at 123 bytes; NUL-terminated; NULL = ""
 * @return 0 when handed to the workers, or
 *         PUSHERC_EINVAL  an argument is NULL, close_code is another number, the user_id is too long, or the reason is
 *                         not UTF-8
 *         PUSHERC_ENOENT  unknown app
 *         PUSHERC_ESTATE  not started, or stopped
 *         PUSHERC_ENOMEM  no connection is closed
 *
 * Source: Pusher Channels HTTP API, "POST terminate user connections", for signed-in users.
 */
PUSHERC_API int pusherc_server_disconnect_user(pusherc_server *server, const char *app_id,
                                               pusherc_slice user_id, uint16_t close_code,
                                               const char *reason);

PUSHERC_END_DECLS

#endif /* PUSHERC_SERVER_H */
