/**
 * @file inbox.h
 * Questions and notices as messages instead of calls.
 *
 * Hooks and rules run on the server's threads. Some hosts cannot be called there (PHP), make a worker's clients wait
 * when they are (Python's lock), or have a loop of their own that everything should pass (Asio, GLib, Qt). Such a host
 * gives the server an inbox. What would have been a call is put there, and the host takes it out, on a thread of its
 * own, when the inbox's descriptor is readable. No worker ever waits for the host.
 *
 * What is answered by returning cannot be a message: pusherc_rule.render, and refusing a client event.
 *
 * In a forked child there is nothing to take, and pusherc_inbox_free() only frees.
 *
 * Unless said otherwise: Thread: any. Blocks: no. In callbacks: yes. Owns: nothing. Since: 0.1.
 */
#ifndef PUSHERC_INBOX_H
#define PUSHERC_INBOX_H

#include <pusherc/alloc.h>
#include <pusherc/error.h>
#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/** Messages of one or several servers. */
typedef struct pusherc_inbox pusherc_inbox;

/**
 * What a message is about. The first four are questions: each is answered exactly once, from any thread, as the hook of
 * the same name says. pusherc_server_options.inbox_messages says by bits, 1u << type, which of them a server puts; for
 * questions to rules pusherc_rule.inbox says it, and their bit is ignored.
 */
typedef enum pusherc_message_type {
    PUSHERC_MESSAGE_IDENTIFY = 1, /**< `request` is a pusherc_identify_request */
    PUSHERC_MESSAGE_FIND_APP,     /**< `request` is a pusherc_app_request */
    PUSHERC_MESSAGE_HTTP,         /**< `request` is a pusherc_http_request */
    /** `request` is a pusherc_auth_request. app_id, channel, user_id and socket_id are those of the request, and live as
     *  long as it; user_data is the rule's. The value of the pattern's first parameter is the b bytes of `channel` that
     *  begin at a; b 0 = the pattern has none. */
    PUSHERC_MESSAGE_AUTHORIZE,
    /** Nothing waits for the answer to question `id` any more: the client is gone or has unsubscribed, the answer is too
     *  late, or the server stops. The question still has to be answered; work for it may be cancelled. Only questions
     *  that were taken are reported. Never taken after the answer was given. */
    PUSHERC_MESSAGE_ABANDONED,
    PUSHERC_MESSAGE_OPEN,   /**< as on_open; data: the client's address */
    PUSHERC_MESSAGE_CLOSE,  /**< as on_close; number: the close code; data: the client's address */
    PUSHERC_MESSAGE_SIGNIN, /**< as on_signin; data: the client's address */
    /** As on_channel; number: the pusherc_channel_event_type, a: subscription_count, b: sequence, name: "cluster" if that is
     *  the scope. */
    PUSHERC_MESSAGE_CHANNEL,
    PUSHERC_MESSAGE_CLIENT_EVENT, /**< a client event is relayed; name: of the event, data */
    /** As on_denied; number: the pusherc_denial_reason, a: status, name: pattern, data: detail. */
    PUSHERC_MESSAGE_DENIED,
    /** As on_webhook_failed; number: last_status, a: event_count, b: attempts, name: url, data: body. */
    PUSHERC_MESSAGE_WEBHOOK_FAILED,
    PUSHERC_MESSAGE_LOG, /**< number: the level, name: subject, data: the line; user_data: log_user_data */
    /** The result of a pusherc_reauthorize() whose `done` was NULL; a: kept, b: revoked; user_data: the call's. */
    PUSHERC_MESSAGE_REAUTHORIZED,
    PUSHERC_MESSAGE_STOPPED, /**< the server has stopped; only log lines may follow */
    PUSHERC_MESSAGE_USER, /**< as on_user; number: 1 = online, 0 = offline, a: away_ms, b: sequence */
    /** As on_receipt; number: the pusherc_receipt_kind, name: event, data: id, a: at_ms. */
    PUSHERC_MESSAGE_RECEIPT,
    /** As on_ephemeral_end; number: the pusherc_ephemeral_reason, name: event, data; its key is in the data. */
    PUSHERC_MESSAGE_EPHEMERAL_END
} pusherc_message_type;

/** One message. Members that its type does not name are zero. */
typedef struct pusherc_message {
    size_t struct_size;        /**< bytes of this struct that the library has written */
    pusherc_message_type type; /**< what it is about */
    int number;                /**< see the type */
    /** Questions and ABANDONED: the question's number, unique in this inbox; the same as pusherc_auth_question() and the
     *  like. Otherwise 0. */
    uint64_t id;
    void *request;          /**< questions: until the host answers; otherwise NULL */
    void *user_data;        /**< of the hooks, unless the type says otherwise */
    pusherc_server *server; /**< which server; may have been freed meanwhile */
    /** The connection. All slices live until the next pusherc_inbox_take(), or pusherc_inbox_free(). */
    pusherc_socket_id socket_id;
    pusherc_slice app_id;  /**< len 0 = none */
    pusherc_slice channel; /**< len 0 = none */
    pusherc_slice user_id; /**< len 0 = anonymous */
    pusherc_slice name;    /**< see the type */
    pusherc_slice data;    /**< see the type */
    uint64_t a;            /**< see the type */
    uint64_t b;            /**< see the type */
} pusherc_message;

/** Begin with PUSHERC_INBOX_OPTIONS_INIT. */
typedef struct pusherc_inbox_options {
    size_t struct_size; /**< sizeof(pusherc_inbox_options) */
    const pusherc_allocator
        *allocator; /**< NULL = the C library's; lives as long as the inbox and its servers */
    /** What may wait; default 65536. Above it questions are answered at once as if the host had been silent for too
     *  long, and notices are dropped; pusherc_stats counts both. ABANDONED and STOPPED come even then: of each question
     *  that was taken there is one at most. */
    uint32_t max_messages;
    uint32_t reserved_; /**< zero */
} pusherc_inbox_options;

/* clang-format off */
/** Initialiser of a pusherc_inbox_options. */
#define PUSHERC_INBOX_OPTIONS_INIT { .struct_size = sizeof(pusherc_inbox_options) }
/* clang-format on */

/**
 * Do what PUSHERC_INBOX_OPTIONS_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_inbox_options) as the caller knows it
 */
PUSHERC_API void pusherc_inbox_options_init(pusherc_inbox_options *out, size_t struct_size);

/**
 * Make an inbox, to be named in pusherc_server_options.inbox.
 *
 * @param out      the inbox, NULL on failure
 * @param options  copied; NULL = defaults
 * @return 0, or
 *         PUSHERC_EINVAL  `out` is NULL, or a field breaks its rule
 *         PUSHERC_ENOMEM
 *         PUSHERC_EIO     the system gave no descriptor
 *
 * Owns: the inbox, until pusherc_inbox_free().
 */
PUSHERC_API int pusherc_inbox_new(pusherc_inbox **out, const pusherc_inbox_options *options);

/**
 * A descriptor that is readable as long as there is something to take.
 *
 * @param inbox  any
 * @return the inbox's own descriptor: do not read, write or close it; duplicate it for a loop that wants to own what it
 *         watches
 */
PUSHERC_API int pusherc_inbox_fd(const pusherc_inbox *inbox);

/**
 * Take messages, the oldest first; those of one connection and of one worker keep their order. The questions among them
 * are then the host's, who answers each exactly once, also those that were abandoned.
 *
 * @param inbox         any
 * @param out           overwritten: `capacity` messages of message_size bytes each
 * @param message_size  sizeof(pusherc_message) as the caller knows it
 * @param capacity      1 or more
 * @param timeout_ms    how long to wait for the first one; 0 = not at all, UINT32_MAX = as long as it takes. A signal
 *                      handler that runs meanwhile ends the wait
 * @return how many; 0 = there was none
 *
 * Thread: any, one at a time. Blocks: at most timeout_ms. In callbacks: no. Owns: the questions taken.
 */
PUSHERC_API size_t pusherc_inbox_take(pusherc_inbox *inbox, pusherc_message *out,
                                      size_t message_size, size_t capacity, uint32_t timeout_ms);

/**
 * Free an inbox. Questions that the host has not taken are answered as if it had been silent for too long. So are all
 * later ones, if a server still uses the inbox. Questions that were taken can still be answered.
 *
 * @param inbox  NULL does nothing
 *
 * Thread: any, while none takes. In callbacks: no. Owns: the inbox and its descriptor are gone.
 */
PUSHERC_API void pusherc_inbox_free(pusherc_inbox *inbox);

PUSHERC_END_DECLS

#endif /* PUSHERC_INBOX_H */
