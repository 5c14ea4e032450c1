/**
 * @file hooks.h
 * What the server asks and tells its host: functions of the host, and the request objects they answer.
 *
 * All hooks run on the connection's worker thread (attached: on the host's loop), with no lock held.
 * Their arguments die on return. They may call any function marked "In callbacks: yes" and must not
 * block: a worker serves its other connections only after the hook has returned.
 *
 * A request object belongs to the host from the hook until it is answered, which has to happen exactly
 * once: in the hook or later, from any thread, also after the client has gone or the server was freed.
 * One thread at a time may use it.
 */
#ifndef PUSHERC_HOOKS_H
#define PUSHERC_HOOKS_H

#include <pusherc/app.h>
#include <pusherc/auth.h>
#include <pusherc/error.h>
#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/** Frees what the host attached. Called once, on any thread; must not block. */
typedef void (*pusherc_free_fn)(void *ptr);

/** Who a connection is, as the host sees it. Begin with PUSHERC_IDENTITY_INIT; copied on accept. */
typedef struct pusherc_identity {
    size_t struct_size;           /**< sizeof(pusherc_identity) */
    pusherc_slice user_id;        /**< UTF-8, 0..200 bytes; len 0 = anonymous */
    pusherc_slice user_info_json; /**< JSON text, at most max_user_info_bytes; len 0 = none */
    void *data;                   /**< the host's own, see pusherc_conn_data() */
    /** For `data`, also if that is NULL: when the connection is gone and with it every question about it, or
     *  when the identity was not taken. NULL = there is nothing to free. */
    pusherc_free_fn free_data;
    uint32_t expires_in_ms; /**< then every grant of the connection is asked again; 0 = never */
    uint32_t reserved_;     /**< zero */
} pusherc_identity;

/* clang-format off */
/** Initialiser of a pusherc_identity. */
#define PUSHERC_IDENTITY_INIT { .struct_size = sizeof(pusherc_identity) }
/* clang-format on */

/**
 * PUSHERC_IDENTITY_INIT as a function, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_identity) as the caller knows it
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API void pusherc_identity_init(pusherc_identity *out, size_t struct_size);

/**
 * What has become of a channel. One change may be several of these: OCCUPIED, MEMBER_ADDED, SUBSCRIPTION_COUNT
 * in this order when somebody comes, MEMBER_REMOVED, SUBSCRIPTION_COUNT, VACATED when somebody goes.
 */
typedef enum pusherc_channel_event_type {
    PUSHERC_CHANNEL_OCCUPIED = 1, /**< first subscription */
    PUSHERC_CHANNEL_VACATED,      /**< last subscription gone */
    PUSHERC_MEMBER_ADDED,         /**< a user's first subscription of a presence channel */
    PUSHERC_MEMBER_REMOVED,       /**< a user's last one gone */
    PUSHERC_SUBSCRIPTION_COUNT    /**< the number of subscriptions changed */
} pusherc_channel_event_type;

/** For the hook on_channel. User channels are not told about. */
typedef struct pusherc_channel_event {
    size_t struct_size;              /**< bytes of this struct as the library knows it */
    pusherc_channel_event_type type; /**< what happened */
    uint32_t reserved_;              /**< zero */
    pusherc_slice app_id;            /**< the channel's app */
    pusherc_slice channel;           /**< with its prefix */
    pusherc_slice user_id;           /**< MEMBER_ADDED and MEMBER_REMOVED, else len 0 */
    uint64_t subscription_count;     /**< after the change */
    /** Grows with every change of one channel: two workers may report at the same moment, and this tells
     *  which was later. What is told about one change has one number. */
    uint64_t sequence;
} pusherc_channel_event;

/** For the hook on_client_event: permitted, well-formed, within the app's limits. */
typedef struct pusherc_client_event {
    size_t struct_size;    /**< bytes of this struct as the library knows it */
    pusherc_slice channel; /**< a private or presence channel that the sender is subscribed to */
    pusherc_slice event;   /**< with its "client-" */
    pusherc_slice data;    /**< what subscribers get as the string "data" */
    pusherc_slice user_id; /**< presence channels, else len 0 */
} pusherc_client_event;

/** For the hook on_webhook_failed. */
typedef struct pusherc_webhook_failure {
    size_t struct_size;   /**< bytes of this struct as the library knows it */
    pusherc_slice app_id; /**< whose webhook it is */
    pusherc_slice url;    /**< of the endpoint */
    pusherc_slice body;   /**< JSON, as the last request had it; see pusherc_sign_webhook() */
    pusherc_slice
        reason; /**< of the last failure, in words: "answered 500", "Connection refused" ... */
    uint32_t event_count; /**< in it */
    uint32_t attempts;    /**< requests made; 0 = the server was stopped before there was one */
    uint16_t last_status; /**< what the last one was answered with; 0 = there was no answer */
    uint8_t reserved_[6]; /**< zero */
} pusherc_webhook_failure;

/** The host's functions. Begin with PUSHERC_HOOKS_INIT; a NULL function is not wanted. */
typedef struct pusherc_hooks {
    size_t struct_size; /**< sizeof(pusherc_hooks) */
    void *user_data;    /**< handed to each */
    /** "Who is this?", for every WebSocket of a known app that passed the app's own checks, and for requests
     *  to the built-in auth endpoints. Answered by pusherc_identify_accept() or pusherc_identify_reject();
     *  after identify_timeout_ms the client is closed with 4009, an HTTP client gets 503. NULL = all are
     *  anonymous. */
    void (*identify)(pusherc_identify_request *request, void *user_data);
    /** "Which app has this id or key?", when no app put so far has it; once for each request or WebSocket.
     *  Answered by pusherc_app_answer(); after identify_timeout_ms as for identify. NULL = there is none. */
    void (*find_app)(pusherc_app_request *request, void *user_data);
    /** An HTTP request that is none of the library's, whole. Answered by pusherc_http_respond(); there is no
     *  time limit. NULL = 404. */
    void (*on_http)(pusherc_http_request *request, void *user_data);
    /** A connection is established: its client has been told its socket id. */
    void (*on_open)(const pusherc_conn *conn, void *user_data);
    /** That connection is gone and has left its channels; once for each on_open. `close_code` is the one sent
     *  or received, 1006 if there was none. */
    void (*on_close)(const pusherc_conn *conn, uint16_t close_code, void *user_data);
    /** Something about a channel changed. */
    void (*on_channel)(const pusherc_channel_event *event, void *user_data);
    /** A valid client event is about to be relayed. Return 0 to relay it, anything else to refuse it: the
     *  sender gets error 4301. */
    int (*on_client_event)(const pusherc_conn *conn, const pusherc_client_event *event,
                           void *user_data);
    /** A subscription, a sign-in or a request to an auth endpoint was refused, a connection by `identify`, or
     *  a grant was lost. */
    void (*on_denied)(const pusherc_denial *denial, void *user_data);
    /** A batch of webhook events was not accepted until webhook_retry_ms were over, or the server stopped. Runs
     *  on the first worker's thread; before `stopped` is called, everything has been accepted or told here. */
    void (*on_webhook_failed)(const pusherc_webhook_failure *failure, void *user_data);
} pusherc_hooks;

/* clang-format off */
/** Initialiser of a pusherc_hooks. */
#define PUSHERC_HOOKS_INIT { .struct_size = sizeof(pusherc_hooks) }
/* clang-format on */

/**
 * PUSHERC_HOOKS_INIT as a function, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_hooks) as the caller knows it
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API void pusherc_hooks_init(pusherc_hooks *out, size_t struct_size);

/** @name Connections
 * A pusherc_conn is valid only inside the callback that received it; keep the socket id instead. Slices die
 * with the callback.
 *
 * Thread: the callback's. Blocks: no. In callbacks: only there. Owns: nothing.
 * Since: 0.1.
 * @{ */

/**
 * Its name, for pusherc_server_disconnect() and pusherc_event.except.
 *
 * @param conn  the callback's
 * @return never zero
 */
PUSHERC_API pusherc_socket_id pusherc_conn_socket_id(const pusherc_conn *conn);

/**
 * Its app.
 *
 * @param conn  the callback's
 * @return the id, 1 byte or more
 */
PUSHERC_API pusherc_slice pusherc_conn_app_id(const pusherc_conn *conn);

/**
 * Who it is: the user that it signed in as (pusher:signin), or else that of the identity.
 *
 * @param conn  the callback's
 * @return the user id; len 0 = anonymous
 */
PUSHERC_API pusherc_slice pusherc_conn_user_id(const pusherc_conn *conn);

/**
 * What the host attached to its identity.
 *
 * @param conn  the callback's
 * @return pusherc_identity.data, or NULL
 */
PUSHERC_API void *pusherc_conn_data(const pusherc_conn *conn);
/** @} */

/** For what an identity is wanted. */
typedef enum pusherc_identify_purpose {
    PUSHERC_IDENTIFY_CONNECT = 0,  /**< a WebSocket upgrade */
    PUSHERC_IDENTIFY_CHANNEL_AUTH, /**< a request to the channel auth endpoint */
    PUSHERC_IDENTIFY_USER_AUTH     /**< a request to the user auth endpoint */
} pusherc_identify_purpose;

/** @name Reading an identify request
 * Slices are borrowed until the request is answered; len 0 = absent or empty. Of several values of one name
 * the first counts.
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 * @{ */

/**
 * For what the answer is wanted.
 *
 * @param request  not answered yet
 * @return the purpose
 */
PUSHERC_API pusherc_identify_purpose
pusherc_identify_purpose_of(const pusherc_identify_request *request);

/**
 * The app that is asked for.
 *
 * @param request  not answered yet
 * @return the id of a known app
 */
PUSHERC_API pusherc_slice pusherc_identify_app_id(const pusherc_identify_request *request);

/**
 * A header field of the HTTP request.
 *
 * @param request  not answered yet
 * @param name     in any case; NUL-terminated
 * @return the value as sent, without white space around it
 */
PUSHERC_API pusherc_slice pusherc_identify_header(const pusherc_identify_request *request,
                                                  const char *name);

/**
 * A cookie. Reading one that is there makes the answer depend on it: see PUSHERC_EAUTH of
 * pusherc_identify_accept().
 *
 * @param request  not answered yet
 * @param name     case matters; NUL-terminated
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
 * @param name     decoded; case matters; NUL-terminated
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
 * The TCP peer: with a proxy in front that is the proxy.
 *
 * @param request  not answered yet
 * @return "address:port", IPv6 in brackets; absent for a socket that is neither
 */
PUSHERC_API pusherc_slice pusherc_identify_peer(const pusherc_identify_request *request);

/**
 * The client: the TCP peer, or the address that the proxies in front name, see pusherc_server_options.proxy_count.
 *
 * @param request  not answered yet
 * @return an address without port or brackets; absent for a socket that has none
 */
PUSHERC_API pusherc_slice pusherc_identify_client_ip(const pusherc_identify_request *request);
/** @} */

/**
 * Say who it is, and let it in.
 *
 * @param request   consumed, whatever is returned
 * @param identity  copied; NULL = anonymous
 * @return 0, or (then free_data has been called; an auth endpoint answers 403 where a client is refused)
 *         PUSHERC_EINVAL     a field breaks its rule; the client is refused with 1011
 *         PUSHERC_EAUTH      a cookie was read, the request comes from a page of another origin, and the app
 *                            has no allowed_origins: any site could connect as this user (cross-site
 *                            WebSocket hijacking); the client is refused with 4009
 *                            (or, whatever the app allows, from a page of another site and without Origin, as
 *                            its links and images come)
 *         PUSHERC_ECANCELED  the peer has gone, the answer came too late, or the server was stopped
 *         PUSHERC_ENOMEM     the client is refused with 1011
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: the request; identity->data on every path.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_identify_accept(pusherc_identify_request *request,
                                        const pusherc_identity *identity);

/**
 * Turn it away: a client with a close code and reason, and no connection_established; a request to an auth
 * endpoint with 403 and the reason.
 *
 * @param request     consumed, whatever is returned
 * @param close_code  4000..4999; pusher-js retries after 4100..4299 only
 * @param reason      UTF-8, cut at 123 bytes; NUL-terminated; NULL = ""
 * @return 0, or
 *         PUSHERC_EINVAL     bad code, or no UTF-8; the client is refused with 4009 and no reason
 *         PUSHERC_ECANCELED  the peer has gone, the answer came too late, or the server was stopped
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: the request.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_identify_reject(pusherc_identify_request *request, uint16_t close_code,
                                        const char *reason);

/** @name Reading an app request
 * Exactly one of the two is set: clients know the key, the HTTP API the id. Slices are borrowed until the
 * request is answered.
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 * @{ */

/**
 * The id that was asked for.
 *
 * @param request  not answered yet
 * @return decoded; len 0 = a key was
 */
PUSHERC_API pusherc_slice pusherc_app_request_id(const pusherc_app_request *request);

/**
 * The key that was asked for.
 *
 * @param request  not answered yet
 * @return decoded; len 0 = an id was
 */
PUSHERC_API pusherc_slice pusherc_app_request_key(const pusherc_app_request *request);
/** @} */

/**
 * Answer "which app is this?". The app is put as by pusherc_server_put_app() before whoever waits goes on. So
 * each app is asked for until it is put; one that is not there is asked for again with every request.
 *
 * @param request  consumed, whatever is returned
 * @param options  copied; NULL = there is no such app
 * @return 0, or
 *         PUSHERC_EINVAL, PUSHERC_EEXIST, PUSHERC_ENOSYS, PUSHERC_ENOMEM  as pusherc_server_put_app();
 *                            whoever waits hears that there is no such app
 *         PUSHERC_ECANCELED  the server has been stopped; or nobody waits any more, then the app was put
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: the request.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_app_answer(pusherc_app_request *request,
                                   const pusherc_app_options *options);

/** @name Reading an HTTP request
 * Slices are borrowed until the request is answered; len 0 = absent or empty. Of several values of one name
 * the first counts.
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 * @{ */

/**
 * The method.
 *
 * @param request  not answered yet
 * @return "GET", "POST" ...
 */
PUSHERC_API pusherc_slice pusherc_http_method(const pusherc_http_request *request);

/**
 * The path.
 *
 * @param request  not answered yet
 * @return percent-decoded, so any bytes; without the query; starts with '/', or is "*" for OPTIONS. len 0: out of
 *         memory
 */
PUSHERC_API pusherc_slice pusherc_http_path(const pusherc_http_request *request);

/**
 * A parameter of the query.
 *
 * @param request  not answered yet
 * @param name     decoded; case matters; NUL-terminated
 * @return the value, decoded; absent if the query has more than 64 parameters
 */
PUSHERC_API pusherc_slice pusherc_http_query(const pusherc_http_request *request, const char *name);

/**
 * A header field.
 *
 * @param request  not answered yet
 * @param name     in any case; NUL-terminated
 * @return the value as sent, without white space around it
 */
PUSHERC_API pusherc_slice pusherc_http_header(const pusherc_http_request *request,
                                              const char *name);

/**
 * A cookie.
 *
 * @param request  not answered yet
 * @param name     case matters; NUL-terminated
 * @return the value as sent
 */
PUSHERC_API pusherc_slice pusherc_http_cookie(const pusherc_http_request *request,
                                              const char *name);

/**
 * The body, whole, whatever way it came.
 *
 * @param request  not answered yet
 * @return 0..max_http_body_bytes of any bytes
 */
PUSHERC_API pusherc_slice pusherc_http_body(const pusherc_http_request *request);

/**
 * A field of a form, if the body is one as browsers send it by default (application/x-www-form-urlencoded).
 *
 * @param request  not answered yet
 * @param name     decoded; case matters; NUL-terminated
 * @return the value, decoded: any bytes; absent if the form has more than 1000 fields, or without memory
 */
PUSHERC_API pusherc_slice pusherc_http_form(const pusherc_http_request *request, const char *name);

/**
 * The TCP peer: with a proxy in front that is the proxy.
 *
 * @param request  not answered yet
 * @return "address:port", IPv6 in brackets; absent for a socket that is neither
 */
PUSHERC_API pusherc_slice pusherc_http_peer(const pusherc_http_request *request);

/**
 * The client: as pusherc_identify_client_ip().
 *
 * @param request  not answered yet
 * @return an address without port or brackets; absent for a socket that has none
 */
PUSHERC_API pusherc_slice pusherc_http_client_ip(const pusherc_http_request *request);
/** @} */

/** One header field of an answer. */
typedef struct pusherc_http_field {
    pusherc_slice name;  /**< a token (RFC 9110, section 5.6.2): no space, no ':' */
    pusherc_slice value; /**< any bytes but CR, LF and NUL */
} pusherc_http_field;

/**
 * Answer an HTTP request. Date, Content-Length and Connection are added; a body is left out for HEAD,
 * 204 and 304.
 *
 * @param request  consumed, whatever is returned
 * @param status   200..599
 * @param fields   field_count header fields, none of those that are added, and no Transfer-Encoding
 * @param field_count  0..64
 * @param body     any bytes; copied
 * @return 0, or
 *         PUSHERC_EINVAL     a rule above is broken; the client gets 500
 *         PUSHERC_ECANCELED  the peer has gone or the server was stopped
 *         PUSHERC_ENOMEM     the connection is closed without an answer
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: the request.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_http_respond(pusherc_http_request *request, int status,
                                     const pusherc_http_field *fields, size_t field_count,
                                     pusherc_slice body);

PUSHERC_END_DECLS

#endif /* PUSHERC_HOOKS_H */
