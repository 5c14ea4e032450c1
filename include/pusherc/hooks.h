/**
 * @file hooks.h
 * What the server asks its host and tells it: functions of the host, and the request objects that they answer.
 *
 * All hooks run on the connection's worker thread (in attach mode on the thread of the host's loop), with no lock
 * held. Their arguments are valid until they return. They may call any function marked "In callbacks: yes". They
 * must not block: the worker serves its other connections only after the hook has returned.
 *
 * A request object belongs to the host from the hook until the host answers it. The host must answer it exactly
 * once: in the hook or later, from any thread, also after the client has left or the server was freed. Only one
 * thread at a time may use it. A request counts against the limits of pusherc_server_options (max_questions_per_ip and
 * the like) until it is answered, also when its client has left.
 *
 * Unless said otherwise: Thread: any. Blocks: no. In callbacks: yes. Owns: nothing. Since: 0.1.
 */
#ifndef PUSHERC_HOOKS_H
#define PUSHERC_HOOKS_H

#include <pusherc/app.h>
#include <pusherc/auth.h>
#include <pusherc/ephemeral.h>
#include <pusherc/error.h>
#include <pusherc/receipt.h>
#include <pusherc/types.h>
#include <pusherc/users.h>

PUSHERC_BEGIN_DECLS

/** Who a connection is, for the host. Begin with PUSHERC_IDENTITY_INIT; copied on accept. */
typedef struct pusherc_identity {
    size_t struct_size;           /**< sizeof(pusherc_identity) */
    pusherc_slice user_id;        /**< UTF-8, 0..200 bytes; len 0 = anonymous */
    pusherc_slice user_info_json; /**< JSON text, at most max_user_info_bytes; len 0 = none */
    void *data;                   /**< the host's own, see pusherc_conn_data() */
    /** Called with `data`, even if that is NULL, when the connection and all questions about it are gone, or when the
     *  identity was refused. NULL = nothing to free. */
    pusherc_free_fn free_data;
    uint32_t
        expires_in_ms; /**< after that all grants of the connection are asked for again; 0 = never */
    uint32_t reserved_; /**< zero */
} pusherc_identity;

/* clang-format off */
/** Initialiser of a pusherc_identity. */
#define PUSHERC_IDENTITY_INIT { .struct_size = sizeof(pusherc_identity) }
/* clang-format on */

/**
 * Do what PUSHERC_IDENTITY_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_identity) as the caller knows it
 */
PUSHERC_API void pusherc_identity_init(pusherc_identity *out, size_t struct_size);

/**
 * What happened to a channel. One change can be several of these. A join is told as OCCUPIED, MEMBER_ADDED,
 * SUBSCRIPTION_COUNT, in this order; a leave as MEMBER_REMOVED, SUBSCRIPTION_COUNT, VACATED. The leave of a member that
 * may come back (pusherc_app_options.presence_grace_ms) is told when its time is over, on any worker's thread; nothing is
 * told of one who is back before.
 */
typedef enum pusherc_channel_event_type {
    PUSHERC_CHANNEL_OCCUPIED = 1, /**< the first subscription was added */
    PUSHERC_CHANNEL_VACATED,      /**< the last subscription ended */
    PUSHERC_MEMBER_ADDED,      /**< a user's first subscription of a presence channel was added */
    PUSHERC_MEMBER_REMOVED,    /**< a user's last subscription of a presence channel ended */
    PUSHERC_SUBSCRIPTION_COUNT /**< the number of subscriptions changed */
} pusherc_channel_event_type;

/** Whose change it is. */
typedef enum pusherc_scope {
    PUSHERC_SCOPE_PROCESS = 0, /**< of what this process has: what its clients did */
    /** Of the channel on all servers that are linked (pusherc/cluster.h): told by one of them, at least once, some time
     *  after it has happened. Without a link there is none. */
    PUSHERC_SCOPE_CLUSTER
} pusherc_scope;

/** For the hook on_channel. It does not tell about user channels. With a link it tells each OCCUPIED, VACATED, MEMBER_ADDED
 *  and MEMBER_REMOVED of the process as without one, and on one of the servers that of the cluster as well; so look at
 *  `scope`. */
typedef struct pusherc_channel_event {
    size_t struct_size;              /**< bytes of this struct, as the library knows it */
    pusherc_channel_event_type type; /**< what happened */
    pusherc_scope scope;             /**< of the process, or of the cluster */
    pusherc_slice app_id;            /**< of the channel */
    pusherc_slice channel;           /**< with its prefix */
    pusherc_slice user_id;           /**< MEMBER_ADDED and MEMBER_REMOVED; otherwise len 0 */
    uint64_t
        subscription_count; /**< of the process, after the change; 0 if the scope is the cluster's */
    /** Grows with every change of the channel. Two workers may report at the same time; the larger number is the later
     *  change. All reports of one change have the same number. */
    uint64_t sequence;
} pusherc_channel_event;

/** For the hook on_client_event. The event is permitted, well-formed, and within the app's limits. */
typedef struct pusherc_client_event {
    size_t struct_size;    /**< bytes of this struct, as the library knows it */
    pusherc_slice channel; /**< a private or presence channel that the sender is subscribed to */
    pusherc_slice event;   /**< the name, with "client-" */
    pusherc_slice data;    /**< subscribers receive it as the string "data" */
    pusherc_slice user_id; /**< on presence channels; otherwise len 0 */
} pusherc_client_event;

/** For the hook on_webhook_failed. */
typedef struct pusherc_webhook_failure {
    size_t struct_size;   /**< bytes of this struct, as the library knows it */
    pusherc_slice app_id; /**< of the webhook */
    pusherc_slice url;    /**< of the endpoint */
    pusherc_slice body;   /**< JSON, as in the last request; see pusherc_sign_webhook() */
    pusherc_slice
        reason; /**< of the last failure, in words: "answered 500", "Connection refused" ... */
    uint32_t event_count; /**< events in `body` */
    uint32_t attempts;    /**< requests made; 0 = the server was stopped before the first */
    uint16_t last_status; /**< of the answer to the last request; 0 = there was no answer */
    uint8_t reserved_[6]; /**< zero */
} pusherc_webhook_failure;

/** The host's functions. Begin with PUSHERC_HOOKS_INIT; NULL = not used. */
typedef struct pusherc_hooks {
    size_t struct_size; /**< sizeof(pusherc_hooks) */
    void *user_data;    /**< passed to each function */

    /** @name Questions
     * @{ */
    /** "Who is this?" Asked for every WebSocket of a known app that passed the app's own checks, and for requests to
     *  the built-in auth endpoints. Answer with pusherc_identify_accept() or pusherc_identify_reject(). After
     *  identify_timeout_ms the client is closed with 4009, and an HTTP client gets 503. NULL = all are anonymous. */
    void (*identify)(pusherc_identify_request *request, void *user_data);
    /** "Which app has this id or key?" Asked once for each request or WebSocket whose app has not been put, unless
     *  the host has said within unknown_app_ms that it does not know it. Answer with pusherc_app_answer(). After
     *  identify_timeout_ms the same happens as for identify. NULL = there is no such app. */
    void (*find_app)(pusherc_app_request *request, void *user_data);
    /** A complete HTTP request for a path that is not the library's. Answer with pusherc_http_respond(). There is no
     *  time limit. NULL = 404. */
    void (*on_http)(pusherc_http_request *request, void *user_data);
    /** The server is about to relay a valid client event. Return 0 to relay it. Anything else refuses it, and the
     *  sender gets error 4301. */
    int (*on_client_event)(const pusherc_conn *conn, const pusherc_client_event *event,
                           void *user_data);
    /** @} */

    /** @name Reports
     * @{ */
    /** A connection is established: its client was told its socket id. */
    void (*on_open)(const pusherc_conn *conn, void *user_data);
    /** A connection has left its channels and is gone; once for each on_open. `close_code` was sent or received;
     *  1006 = there was none. */
    void (*on_close)(const pusherc_conn *conn, uint16_t close_code, void *user_data);
    /** A channel has changed. */
    void (*on_channel)(const pusherc_channel_event *event, void *user_data);
    /** A subscription, a sign-in or a request to an auth endpoint was refused, `identify` refused a connection, or a
     *  grant was revoked. */
    void (*on_denied)(const pusherc_denial *denial, void *user_data);
    /** An endpoint did not accept a batch of webhook events within webhook_retry_ms, or before the server stopped.
     *  Runs on the first worker's thread. Before `stopped` is called, every event was accepted or reported here. */
    void (*on_webhook_failed)(const pusherc_webhook_failure *failure, void *user_data);
    /** A connection has signed in (pusher:signin): pusherc_conn_user_id() is the user from now on. Its client was told.
     *  A client may sign in again as the same user, for example with another watchlist. */
    void (*on_signin)(const pusherc_conn *conn, void *user_data);
    /** Nothing waits any more for the answer to a question that a hook or a rule has asked by a call: the client is gone
     *  or has unsubscribed, the answer is too late, or the server stops. Work for it may be cancelled, but the question
     *  still has to be answered. `question` is the number that pusherc_auth_question() and the like return. It is no
     *  pointer, because another thread may answer, which frees the request, at the same time. */
    void (*on_abandoned)(uint64_t question, void *user_data);
    /** A user of an app with `user_events` is online or offline now: see users.h. The user's connection may not have been
     *  told to on_open yet. */
    void (*on_user)(const pusherc_user_event *event, void *user_data);
    /** @} */

    /** An event from outside is about to be published: each one of a request of the HTTP API that is well-formed, within
     *  the app's limits, and no repeat. Return 0 to publish it as it is, or as the hook has changed it by
     *  pusherc_incoming_set_data() and the like. Anything else refuses the event: the publisher gets 403 with the reason
     *  of pusherc_incoming_refuse(), and no event of the same request is published.
     *
     *  The hook answers before it returns, because the publisher's answer and the order of the channel's events depend
     *  on it: events that wait for a slow answer would hold all later ones of their channels. A host that has to ask
     *  elsewhere takes the request by on_http, and publishes when it knows. Events of pusherc_publish() and client
     *  events do not come here. */
    int (*on_publish)(pusherc_incoming *event, void *user_data);

    /** An event has reached a user, see receipt.h: of apps with `receipts`. It runs on the thread of the worker that has
     *  the user's connection. */
    void (*on_receipt)(const pusherc_receipt *receipt, void *user_data);
    /** The server has ended an ephemeral state (ephemeral.h) and tells the subscribers, on any worker's thread. What
     *  clients say, begins and ends included, is told by on_client_event; what the host has ended by a call is not
     *  told. */
    void (*on_ephemeral_end)(const pusherc_ephemeral_end *end, void *user_data);
} pusherc_hooks;

/* clang-format off */
/** Initialiser of a pusherc_hooks. */
#define PUSHERC_HOOKS_INIT { .struct_size = sizeof(pusherc_hooks) }
/* clang-format on */

/**
 * Do what PUSHERC_HOOKS_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_hooks) as the caller knows it
 */
PUSHERC_API void pusherc_hooks_init(pusherc_hooks *out, size_t struct_size);

/** @name Connections
 * A pusherc_conn is valid only inside the callback that received it; keep its socket id instead. Slices are valid
 * until the callback returns.
 *
 * Thread: the callback's. In callbacks: only there.
 * @{ */

/**
 * The socket id, for pusherc_server_disconnect() and pusherc_event.except.
 *
 * @param conn  the callback's
 * @return never zero
 */
PUSHERC_API pusherc_socket_id pusherc_conn_socket_id(const pusherc_conn *conn);

/**
 * The app.
 *
 * @param conn  the callback's
 * @return the id, 1 byte or more
 */
PUSHERC_API pusherc_slice pusherc_conn_app_id(const pusherc_conn *conn);

/**
 * The user: the one that the connection signed in as (pusher:signin), otherwise the one of its identity.
 *
 * @param conn  the callback's
 * @return the user id; len 0 = anonymous
 */
PUSHERC_API pusherc_slice pusherc_conn_user_id(const pusherc_conn *conn);

/**
 * The client's address: the TCP peer, or the one that proxies report, see pusherc_server_options.proxy_count.
 *
 * @param conn  the callback's
 * @return an address without port or brackets; len 0 = the socket has none, as a unix socket
 */
PUSHERC_API pusherc_slice pusherc_conn_client_ip(const pusherc_conn *conn);

/**
 * What the host attached to the connection's identity.
 *
 * @param conn  the callback's
 * @return pusherc_identity.data, or NULL
 */
PUSHERC_API void *pusherc_conn_data(const pusherc_conn *conn);
/** @} */

/** Where an event from outside comes from. */
typedef enum pusherc_event_source {
    PUSHERC_SOURCE_HTTP = 1,         /**< a request of the HTTP API */
    PUSHERC_SOURCE_LARAVEL_REDIS = 2 /**< Laravel's Redis broadcaster, see laravel.h */
} pusherc_event_source;

/** @name Events from outside
 * For the hook on_publish. A pusherc_incoming is valid only inside the hook that received it. Slices are valid until the
 * hook returns or changes what they hold.
 *
 * Thread: the hook's. In callbacks: only there.
 * @{ */

/**
 * Where the event comes from.
 *
 * @param event  the hook's
 * @return the way in
 */
PUSHERC_API pusherc_event_source pusherc_incoming_source(const pusherc_incoming *event);

/**
 * The app that the event is published in.
 *
 * @param event  the hook's
 * @return the id, 1 byte or more
 */
PUSHERC_API pusherc_slice pusherc_incoming_app_id(const pusherc_incoming *event);

/**
 * The event's name.
 *
 * @param event  the hook's
 * @return 1 byte or more, as the hook may have set it
 */
PUSHERC_API pusherc_slice pusherc_incoming_name(const pusherc_incoming *event);

/**
 * The event's data. On an encrypted channel it is what the publisher has encrypted.
 *
 * @param event  the hook's
 * @return UTF-8, as the hook may have set it
 */
PUSHERC_API pusherc_slice pusherc_incoming_data(const pusherc_incoming *event);

/**
 * The number of channels, those included that the hook has added.
 *
 * @param event  the hook's
 * @return 1 or more
 */
PUSHERC_API size_t pusherc_incoming_channel_count(const pusherc_incoming *event);

/**
 * One of the channels.
 *
 * @param event  the hook's
 * @param index  0 for the first
 * @return its name; len 0 = there are not so many
 */
PUSHERC_API pusherc_slice pusherc_incoming_channel(const pusherc_incoming *event, size_t index);

/**
 * The connection that does not get the event.
 *
 * @param event  the hook's
 * @return a socket id; zero = none
 */
PUSHERC_API pusherc_socket_id pusherc_incoming_except(const pusherc_incoming *event);

/**
 * Publish the event under another name.
 *
 * @param event  the hook's
 * @param name   copied; as pusherc_event.name
 * @return 0, or (then nothing has changed)
 *         PUSHERC_EINVAL  the name breaks a rule
 *         PUSHERC_ENOMEM
 */
PUSHERC_API int pusherc_incoming_set_name(pusherc_incoming *event, pusherc_slice name);

/**
 * Publish the event with other data.
 *
 * @param event  the hook's
 * @param data   copied; as pusherc_event.data
 * @return 0, or (then nothing has changed)
 *         PUSHERC_EINVAL  it is not UTF-8
 *         PUSHERC_ELIMIT  it is longer than max_event_payload_bytes, or than half of out_hard_bytes
 *         PUSHERC_ENOMEM
 */
PUSHERC_API int pusherc_incoming_set_data(pusherc_incoming *event, pusherc_slice data);

/**
 * Publish the event to one more channel. The publisher's answer does not name it.
 *
 * @param event    the hook's
 * @param channel  copied; a valid name; one that the event has already counts once
 * @return 0, or (then nothing has changed)
 *         PUSHERC_EINVAL  the name breaks a rule, or the event has max_event_channels channels
 *         PUSHERC_ENOMEM
 */
PUSHERC_API int pusherc_incoming_add_channel(pusherc_incoming *event, pusherc_slice channel);

/**
 * Say why the event is refused: `return pusherc_incoming_refuse(event, "not in the night");`.
 *
 * @param event   the hook's
 * @param reason  for the publisher: UTF-8, cut at 255 bytes; NUL-terminated; NULL = ""
 * @return PUSHERC_EAUTH, for the hook to return
 */
PUSHERC_API int pusherc_incoming_refuse(pusherc_incoming *event, const char *reason);
/** @} */

/** What the identity is needed for. */
typedef enum pusherc_identify_purpose {
    PUSHERC_IDENTIFY_CONNECT = 0,  /**< a WebSocket upgrade */
    PUSHERC_IDENTIFY_CHANNEL_AUTH, /**< a request to the auth endpoint for channels */
    PUSHERC_IDENTIFY_USER_AUTH     /**< a request to the auth endpoint for users */
} pusherc_identify_purpose;

/** @name Reading an identify request
 * Slices are borrowed until the request is answered; len 0 = absent or empty, and ptr NULL = absent. If a name has several
 * values, the first one is returned.
 * @{ */

/**
 * What the identity is needed for.
 *
 * @param request  not answered yet
 * @return the purpose
 */
PUSHERC_API pusherc_identify_purpose
pusherc_identify_purpose_of(const pusherc_identify_request *request);

/**
 * The app that the client wants.
 *
 * @param request  not answered yet
 * @return the id of a known app
 */
PUSHERC_API pusherc_slice pusherc_identify_app_id(const pusherc_identify_request *request);

/**
 * The question's number, for pusherc_hooks.on_abandoned.
 *
 * @param request  not answered yet
 * @return 1 or more, unique among the questions of the server, or of its inbox
 */
PUSHERC_API uint64_t pusherc_identify_question(const pusherc_identify_request *request);

/**
 * A header field of the HTTP request.
 *
 * @param request  not answered yet
 * @param name     upper and lower case are the same; NUL-terminated
 * @return the value as sent, without white space around it
 */
PUSHERC_API pusherc_slice pusherc_identify_header(const pusherc_identify_request *request,
                                                  const char *name);

/**
 * A cookie. If there is such a cookie, reading it makes the answer depend on it: see PUSHERC_EAUTH of
 * pusherc_identify_accept().
 *
 * @param request  not answered yet
 * @param name     upper and lower case differ; NUL-terminated
 * @return the value as sent
 */
PUSHERC_API pusherc_slice pusherc_identify_cookie(const pusherc_identify_request *request,
                                                  const char *name);

/**
 * The token of "Authorization: Bearer ...".
 *
 * @param request  not answered yet
 * @return the token
 */
PUSHERC_API pusherc_slice pusherc_identify_bearer(const pusherc_identify_request *request);

/**
 * A parameter of the query.
 *
 * @param request  not answered yet
 * @param name     decoded; upper and lower case differ; NUL-terminated
 * @return the value, decoded; absent if the query has more than 64 parameters
 */
PUSHERC_API pusherc_slice pusherc_identify_query(const pusherc_identify_request *request,
                                                 const char *name);

/**
 * The path.
 *
 * @param request  not answered yet
 * @return as sent, without the query
 */
PUSHERC_API pusherc_slice pusherc_identify_path(const pusherc_identify_request *request);

/**
 * The peer of the socket. Behind a proxy that is the proxy.
 *
 * @param request  not answered yet
 * @return "address:port", IPv6 in brackets, or "unix:" for a unix socket; absent for other sockets
 */
PUSHERC_API pusherc_slice pusherc_identify_peer(const pusherc_identify_request *request);

/**
 * The client: the TCP peer, or the address that the proxies report, see pusherc_server_options.proxy_count.
 *
 * @param request  not answered yet
 * @return an address without port or brackets; absent if the socket has none, as a unix socket
 */
PUSHERC_API pusherc_slice pusherc_identify_client_ip(const pusherc_identify_request *request);
/** @} */

/**
 * Accept the client, and say who it is.
 *
 * @param request   consumed, whatever is returned
 * @param identity  copied; NULL = anonymous
 * @return 0, or (then free_data has been called; where a client is refused, an auth endpoint answers 403)
 *         PUSHERC_EINVAL     a field breaks its rule; the client is refused with 1011
 *         PUSHERC_EAUTH      the client is refused with 4009, because any site could connect as this user (cross-site
 *                            WebSocket hijacking): a cookie was read, the request comes from a page of another
 *                            origin (scheme, host and port), and the app has no allowed_origins. If a cookie was read, a request without
 *                            Origin from another site, and a GET of an auth endpoint unless it is a known page's
 *                            JSONP, is refused even if the app has them. A password of HTTP, which browsers send by
 *                            themselves ("Authorization: Basic" and the like), is as a cookie
 *         PUSHERC_ECANCELED  the client is gone, the answer came too late, or the server was stopped
 *         PUSHERC_ENOMEM     the client is refused with 1011
 *
 * Owns: the request; identity->data on every path.
 */
PUSHERC_API int pusherc_identify_accept(pusherc_identify_request *request,
                                        const pusherc_identity *identity);

/**
 * Refuse the client. A WebSocket gets a close code and a reason, and no connection_established. A request to an auth
 * endpoint gets 403 and the reason.
 *
 * @param request     consumed, whatever is returned
 * @param close_code  4000..4999; pusher-js connects again only after 4100..4299
 * @param reason      UTF-8, cut at 123 bytes; NUL-terminated; NULL = ""
 * @return 0, or
 *         PUSHERC_EINVAL     close_code is another number, or reason is not UTF-8; the client is refused with 4009 and
 *                            no reason
 *         PUSHERC_ECANCELED  the client is gone, the answer came too late, or the server was stopped
 *
 * Owns: the request.
 */
PUSHERC_API int pusherc_identify_reject(pusherc_identify_request *request, uint16_t close_code,
                                        const char *reason);

/** @name Reading an app request
 * One of the two is set: clients send the key, requests of the HTTP API the id. Slices are borrowed until the request
 * is answered.
 * @{ */

/**
 * The id of the app that is wanted.
 *
 * @param request  not answered yet
 * @return decoded; len 0 = the request has the key
 */
PUSHERC_API pusherc_slice pusherc_app_request_id(const pusherc_app_request *request);

/**
 * The key of the app that is wanted.
 *
 * @param request  not answered yet
 * @return decoded; len 0 = the request has the id
 */
PUSHERC_API pusherc_slice pusherc_app_request_key(const pusherc_app_request *request);

/**
 * The question's number, for pusherc_hooks.on_abandoned.
 *
 * @param request  not answered yet
 * @return as pusherc_identify_question()
 */
PUSHERC_API uint64_t pusherc_app_request_question(const pusherc_app_request *request);
/** @} */

/**
 * Answer "which app is this?". The server puts the app as pusherc_server_put_app() does, and then serves the client.
 * It asks about an app only until the app is put. It asks about an unknown app again after unknown_app_ms.
 *
 * @param request  consumed, whatever is returned
 * @param options  copied; NULL = there is no such app
 * @return 0, or
 *         PUSHERC_EINVAL, PUSHERC_EEXIST, PUSHERC_ENOSYS, PUSHERC_ENOMEM  as pusherc_server_put_app();
 *                            the client is told that there is no such app
 *         PUSHERC_ECANCELED  the server was stopped; or the client is gone, and the app was put
 *
 * Owns: the request.
 */
PUSHERC_API int pusherc_app_answer(pusherc_app_request *request,
                                   const pusherc_app_options *options);

/** @name Reading an HTTP request
 * Slices are borrowed until the request is answered; len 0 = absent or empty, and ptr NULL = absent. If a name has several
 * values, the first one is returned.
 * @{ */

/**
 * The method.
 *
 * @param request  not answered yet
 * @return "GET", "POST" ...
 */
PUSHERC_API pusherc_slice pusherc_http_method(const pusherc_http_request *request);

/**
 * The question's number, for pusherc_hooks.on_abandoned.
 *
 * @param request  not answered yet
 * @return as pusherc_identify_question()
 */
PUSHERC_API uint64_t pusherc_http_question(const pusherc_http_request *request);

/**
 * The path.
 *
 * @param request  not answered yet
 * @return percent-decoded, so that it may hold any bytes; without the query; begins with '/', or is "*" for OPTIONS.
 *         len 0: out of memory
 */
PUSHERC_API pusherc_slice pusherc_http_path(const pusherc_http_request *request);

/**
 * A parameter of the query.
 *
 * @param request  not answered yet
 * @param name     decoded; upper and lower case differ; NUL-terminated
 * @return the value, decoded; absent if the query has more than 64 parameters
 */
PUSHERC_API pusherc_slice pusherc_http_query(const pusherc_http_request *request, const char *name);

/**
 * A header field.
 *
 * @param request  not answered yet
 * @param name     upper and lower case are the same; NUL-terminated
 * @return the value as sent, without white space around it
 */
PUSHERC_API pusherc_slice pusherc_http_header(const pusherc_http_request *request,
                                              const char *name);

/**
 * A cookie.
 *
 * @param request  not answered yet
 * @param name     upper and lower case differ; NUL-terminated
 * @return the value as sent
 */
PUSHERC_API pusherc_slice pusherc_http_cookie(const pusherc_http_request *request,
                                              const char *name);

/**
 * The complete body, also if it came in chunks.
 *
 * @param request  not answered yet
 * @return 0..max_http_body_bytes of any bytes
 */
PUSHERC_API pusherc_slice pusherc_http_body(const pusherc_http_request *request);

/**
 * A field of a form, if the body is one as browsers send it by default (application/x-www-form-urlencoded).
 *
 * @param request  not answered yet
 * @param name     decoded; upper and lower case differ; NUL-terminated
 * @return the value, decoded: any bytes; absent if the form has more than 1000 fields, or memory runs out
 */
PUSHERC_API pusherc_slice pusherc_http_form(const pusherc_http_request *request, const char *name);

/**
 * The peer of the socket. Behind a proxy that is the proxy.
 *
 * @param request  not answered yet
 * @return "address:port", IPv6 in brackets, or "unix:" for a unix socket; absent for other sockets
 */
PUSHERC_API pusherc_slice pusherc_http_peer(const pusherc_http_request *request);

/**
 * The client, as pusherc_identify_client_ip() returns it.
 *
 * @param request  not answered yet
 * @return an address without port or brackets; absent if the socket has none, as a unix socket
 */
PUSHERC_API pusherc_slice pusherc_http_client_ip(const pusherc_http_request *request);
/** @} */

/** One header field of an answer. */
typedef struct pusherc_http_field {
    pusherc_slice name;  /**< a token (RFC 9110, section 5.6.2): no space, no ':' */
    pusherc_slice value; /**< any bytes but CR, LF and NUL */
} pusherc_http_field;

/**
 * Answer an HTTP request. The server adds Date, Content-Length and Connection, and leaves the body out for HEAD, 204
 * and 304.
 *
 * @param request  consumed, whatever is returned
 * @param status   200..599
 * @param fields   field_count header fields, without the three above and Transfer-Encoding
 * @param field_count  0..64
 * @param body     any bytes; copied
 * @return 0, or
 *         PUSHERC_EINVAL     a rule above is broken; the client gets 500
 *         PUSHERC_ECANCELED  the client is gone, or the server was stopped
 *         PUSHERC_ENOMEM     the connection is closed without an answer
 *
 * Owns: the request.
 */
PUSHERC_API int pusherc_http_respond(pusherc_http_request *request, int status,
                                     const pusherc_http_field *fields, size_t field_count,
                                     pusherc_slice body);

PUSHERC_END_DECLS

#endif /* PUSHERC_HOOKS_H */
