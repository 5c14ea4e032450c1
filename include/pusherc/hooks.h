/**
 * @file hooks.h
 * What the server asks and tells its host: functions of the host, and the request objects they answer.
 *
 * All hooks run on the connection's worker thread (attached: on the host's loop), with no lock held.
 * Their arguments die on return. They may call any function marked "In callbacks: yes" and must not
 * block: a worker serves its other connections only after the hook has returned.
 */
#ifndef PUSHERC_HOOKS_H
#define PUSHERC_HOOKS_H

#include <pusherc/app.h>
#include <pusherc/auth.h>
#include <pusherc/error.h>
#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/** Frees what the host attached. */
typedef void (*pusherc_free_fn)(void *ptr);

/** Who a connection is, as the host sees it. Copied on accept. */
typedef struct pusherc_identity {
    size_t struct_size;
    pusherc_slice user_id;        /**< 0..200 bytes; len 0 = anonymous */
    pusherc_slice user_info_json; /**< JSON text, at most max_user_info_bytes, or len 0 */
    uint32_t expires_in_ms;       /**< then every grant of the connection is asked again; 0 = never */
    void *data;                   /**< host's own, see pusherc_conn_data() */
    pusherc_free_fn free_data;    /**< called once for data, when the connection or the request is gone; may be NULL */
} pusherc_identity;

/* clang-format off */
#define PUSHERC_IDENTITY_INIT { .struct_size = sizeof(pusherc_identity) }
/* clang-format on */

typedef enum pusherc_channel_event_type {
    PUSHERC_CHANNEL_OCCUPIED = 1,   /**< first subscription */
    PUSHERC_CHANNEL_VACATED,        /**< last subscription gone */
    PUSHERC_MEMBER_ADDED,           /**< a user's first subscription of a presence channel */
    PUSHERC_MEMBER_REMOVED,         /**< a user's last one gone */
    PUSHERC_SUBSCRIPTION_COUNT      /**< the number of subscriptions changed */
} pusherc_channel_event_type;

typedef struct pusherc_channel_event {
    size_t struct_size;
    pusherc_channel_event_type type;
    pusherc_slice app_id;
    pusherc_slice channel;
    pusherc_slice user_id; /**< MEMBER_ADDED and MEMBER_REMOVED, else len 0 */
    uint64_t subscription_count; /**< after this event */
    /** Grows with every event of one channel: two workers may report at the same moment. */
    uint64_t sequence;
} pusherc_channel_event;

typedef struct pusherc_client_event {
    size_t struct_size;
    pusherc_slice channel;
    pusherc_slice event;   /**< with its "client-" */
    pusherc_slice data;    /**< what subscribers get as the string "data" */
    pusherc_slice user_id; /**< presence channels, else len 0 */
} pusherc_client_event;

/** The host's functions. A NULL function is not wanted. */
typedef struct pusherc_hooks {
    size_t struct_size;
    void *user_data; /**< handed to each */
    /** "Who is this?", for every WebSocket upgrade of a known app. To be answered exactly once, now
     *  or later, from any thread, by pusherc_identify_accept() or _reject(). NULL = all anonymous. */
    void (*identify)(pusherc_identify_request *request, void *user_data);
    /** "Which app has this id or key?", when no app put so far has it. To be answered exactly once,
     *  now or later, from any thread, by pusherc_app_answer(). NULL = there is none. */
    void (*find_app)(pusherc_app_request *request, void *user_data);
    /** An HTTP request that is none of the library's. To be answered exactly once, now or later, from
     *  any thread, by pusherc_http_respond(). NULL = 404. */
    void (*on_http)(pusherc_http_request *request, void *user_data);
    /** A connection was established: its client has been told its socket id. */
    void (*on_open)(const pusherc_conn *conn, void *user_data);
    /** That connection is gone. `close_code` is the one sent or received; 1006 if there was none. */
    void (*on_close)(const pusherc_conn *conn, uint16_t close_code, void *user_data);
    /** Something about a channel changed. */
    void (*on_channel)(const pusherc_channel_event *event, void *user_data);
    /** A valid client event is about to be relayed. Return 0 to relay it, anything else to refuse:
     *  the sender gets error 4301. */
    int (*on_client_event)(const pusherc_conn *conn, const pusherc_client_event *event,
                           void *user_data);
    /** A subscription, sign-in or connection was refused, or a grant was lost. */
    void (*on_denied)(const pusherc_denial *denial, void *user_data);
} pusherc_hooks;

/* clang-format off */
#define PUSHERC_HOOKS_INIT { .struct_size = sizeof(pusherc_hooks) }
/* clang-format on */

/** @name Connections
 * `conn` is valid only inside the callback that received it; keep the socket id instead.
 * Slices die with the callback. Thread: the callback's. Since: 0.1.
 * @{ */
PUSHERC_API pusherc_socket_id pusherc_conn_socket_id(const pusherc_conn *conn);
PUSHERC_API pusherc_slice pusherc_conn_app_id(const pusherc_conn *conn);
/** The user id of the identity; len 0 = anonymous. */
PUSHERC_API pusherc_slice pusherc_conn_user_id(const pusherc_conn *conn);
/** The identity's `data`, or NULL. */
PUSHERC_API void *pusherc_conn_data(const pusherc_conn *conn);
/** @} */

/** For what an identity is wanted. */
typedef enum pusherc_identify_purpose {
    PUSHERC_IDENTIFY_CONNECT = 0,  /**< a WebSocket upgrade */
    PUSHERC_IDENTIFY_CHANNEL_AUTH, /**< a request to the channel auth endpoint */
    PUSHERC_IDENTIFY_USER_AUTH     /**< a request to the user auth endpoint */
} pusherc_identify_purpose;

/** @name Reading an identify request
 * Slices are borrowed until the request is answered; len 0 = absent. Names of headers are compared
 * without regard to case. A value is the first one of its name. Thread: any. Since: 0.1.
 * @{ */
PUSHERC_API pusherc_identify_purpose
pusherc_identify_purpose_of(const pusherc_identify_request *request);
PUSHERC_API pusherc_slice pusherc_identify_app_id(const pusherc_identify_request *request);
PUSHERC_API pusherc_slice pusherc_identify_header(const pusherc_identify_request *request,
                                                  const char *name);
PUSHERC_API pusherc_slice pusherc_identify_cookie(const pusherc_identify_request *request,
                                                  const char *name);
/** The token of "Authorization: Bearer ...". */
PUSHERC_API pusherc_slice pusherc_identify_bearer(const pusherc_identify_request *request);
/** Decoded. */
PUSHERC_API pusherc_slice pusherc_identify_query(const pusherc_identify_request *request,
                                                 const char *name);
/** As sent, without the query. */
PUSHERC_API pusherc_slice pusherc_identify_path(const pusherc_identify_request *request);
/** "address:port" of the TCP peer, IPv6 in brackets. */
PUSHERC_API pusherc_slice pusherc_identify_peer(const pusherc_identify_request *request);
/** @} */

/**
 * Let the connection in.
 *
 * @param request   consumed, whatever is returned
 * @param identity  copied; NULL = anonymous
 * @return 0, or (then free_data has been called)
 *         PUSHERC_EINVAL     a field breaks its rule; the client is refused with 1011
 *         PUSHERC_EAUTH      a cookie was read, the request comes from a page of another origin, and the app
 *                            has no allowed_origins: any site could connect as this user (cross-site WebSocket
 *                            hijacking); the client is refused with 4009
 *         PUSHERC_ECANCELED  the peer has gone, the answer came too late, or the server was stopped
 *         PUSHERC_ENOMEM     the client is refused with 1011
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: the request; identity->data on every path.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_identify_accept(pusherc_identify_request *request,
                                        const pusherc_identity *identity);

/**
 * Turn the connection away with a close code and reason; no connection_established is sent.
 *
 * @param request     consumed
 * @param close_code  4000..4999; pusher-js retries after 4100..4299 only
 * @param reason      UTF-8, cut at 123 bytes; NUL-terminated; NULL = ""
 * @return 0 or PUSHERC_ECANCELED as above; PUSHERC_EINVAL: bad code, 4009 was used
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: the request.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_identify_reject(pusherc_identify_request *request, uint16_t close_code,
                                        const char *reason);

/** @name Reading an app request
 * Exactly one of the two is set. Borrowed until the request is answered. Thread: any. Since: 0.1.
 * @{ */
PUSHERC_API pusherc_slice pusherc_app_request_id(const pusherc_app_request *request);
PUSHERC_API pusherc_slice pusherc_app_request_key(const pusherc_app_request *request);
/** @} */

/**
 * Answer "which app is this?". The app is put as by pusherc_server_put_app() before whoever waits goes on.
 *
 * @param request  consumed, whatever is returned
 * @param options  copied; NULL = there is no such app
 * @return 0, what pusherc_server_put_app() returns, or PUSHERC_ECANCELED: the server was stopped
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: the request.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_app_answer(pusherc_app_request *request,
                                   const pusherc_app_options *options);

/** @name Reading an HTTP request
 * Slices are borrowed until the request is answered; len 0 = absent. Thread: any. Since: 0.1.
 * @{ */
/** Upper case, e.g. "GET". */
PUSHERC_API pusherc_slice pusherc_http_method(const pusherc_http_request *request);
/** Percent-decoded, without the query; starts with '/'. */
PUSHERC_API pusherc_slice pusherc_http_path(const pusherc_http_request *request);
/** Decoded value of the first parameter of that name. */
PUSHERC_API pusherc_slice pusherc_http_query(const pusherc_http_request *request, const char *name);
PUSHERC_API pusherc_slice pusherc_http_header(const pusherc_http_request *request,
                                              const char *name);
PUSHERC_API pusherc_slice pusherc_http_cookie(const pusherc_http_request *request,
                                              const char *name);
PUSHERC_API pusherc_slice pusherc_http_body(const pusherc_http_request *request);
/** Decoded value of the first field of that name, if the body is a form as browsers send it by default
 *  (application/x-www-form-urlencoded) and has at most 1000 fields. */
PUSHERC_API pusherc_slice pusherc_http_form(const pusherc_http_request *request, const char *name);
/** "address:port" of the TCP peer. */
PUSHERC_API pusherc_slice pusherc_http_peer(const pusherc_http_request *request);
/** @} */

typedef struct pusherc_http_field {
    pusherc_slice name;
    pusherc_slice value;
} pusherc_http_field;

/**
 * Answer an HTTP request. Date, Content-Length and Connection are added; a body is left out for HEAD,
 * 204 and 304.
 *
 * @param request  consumed, whatever is returned
 * @param status   200..599
 * @param fields   field_count header fields: names are tokens, values without CR, LF or NUL; none that is
 *                 added, and no Transfer-Encoding
 * @param field_count  0..64
 * @param body     copied
 * @return 0, or
 *         PUSHERC_EINVAL     a rule above is broken; the client gets 500
 *         PUSHERC_ECANCELED  the peer has gone or the server was stopped
 *         PUSHERC_ENOMEM     the connection is closed
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: the request.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_http_respond(pusherc_http_request *request, int status,
                                     const pusherc_http_field *fields, size_t field_count,
                                     pusherc_slice body);

PUSHERC_END_DECLS

#endif /* PUSHERC_HOOKS_H */
