/**
 * @file ephemeral.h
 * Ephemeral states: what users are doing now, such as typing. Each has a time to live, and its end is told once.
 *
 * The app's rules (pusherc_app_options.ephemeral, docs/typing.md) say which client events are states of which channels.
 * A client that sends such an event begins the state of its user, or renews it. The state ends when its time is over,
 * when the client says so, or when the last connection that has said it leaves the channel. The host can begin, end and
 * read states as well. Each server has the states of its own clients.
 *
 * Unless said otherwise: Thread: any. Blocks: no. In callbacks: yes. Owns: nothing. Since: 0.1.
 */
#ifndef PUSHERC_EPHEMERAL_H
#define PUSHERC_EPHEMERAL_H

#include <pusherc/error.h>
#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/** A state. Begin with PUSHERC_EPHEMERAL_INIT; borrowed until the call that takes it returns. */
typedef struct pusherc_ephemeral {
    size_t struct_size;    /**< sizeof(pusherc_ephemeral) */
    pusherc_slice channel; /**< a valid name */
    pusherc_slice event;   /**< the name of the client event: "client-typing" */
    /** Whose it is: of a member or signed-in user, 0..128 characters; len 0 = of no user, or of a client without user. */
    pusherc_slice user_id;
    pusherc_slice key; /**< the value of the rule's key, 0..200 bytes of UTF-8; len 0 = none */
    pusherc_slice
        data; /**< what was said last, as of an event; not read by pusherc_end_ephemeral() */
    uint64_t ends_in_ms; /**< written by pusherc_list_ephemeral(); otherwise not read */
} pusherc_ephemeral;

/* clang-format off */
/** Initialiser of a pusherc_ephemeral. */
#define PUSHERC_EPHEMERAL_INIT { .struct_size = sizeof(pusherc_ephemeral) }
/* clang-format on */

/**
 * Do what PUSHERC_EPHEMERAL_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_ephemeral) as the caller knows it
 */
PUSHERC_API void pusherc_ephemeral_init(pusherc_ephemeral *out, size_t struct_size);

/**
 * Begin a state, or renew it, for the time of its rule, as a client event of the user would; the channel may be empty.
 * Subscribers get the event, on presence channels with the user's id.
 *
 * @param server  started server
 * @param app_id  known app; NUL-terminated
 * @param state   channel, event, user_id, key and data
 * @return 0, or (then nothing has changed, but with EBACKLOG)
 *         PUSHERC_EINVAL    an argument is NULL or breaks a rule above, or the channel is encrypted
 *         PUSHERC_ENOENT    unknown app, or no rule of the app is about the event on the channel
 *         PUSHERC_ELIMIT    data is longer than max_event_payload_bytes; or there are too many states: max_states of
 *                           the rule, or max_ephemeral_bytes
 *         PUSHERC_ESTATE    the server is not started, or has stopped
 *         PUSHERC_EBACKLOG  the state has begun, and some subscribers do not get the event
 *         PUSHERC_ENOMEM
 */
PUSHERC_API int pusherc_set_ephemeral(pusherc_server *server, const char *app_id,
                                      const pusherc_ephemeral *state);

/**
 * End a state now, and tell the subscribers.
 *
 * @param server  started server
 * @param app_id  known app; NUL-terminated
 * @param state   channel, event, user_id and key
 * @return 0, or
 *         PUSHERC_EINVAL    an argument is NULL or breaks a rule above
 *         PUSHERC_ENOENT    unknown app, or there is no such state
 *         PUSHERC_ESTATE    the server is not started, or has stopped
 *         PUSHERC_EBACKLOG  it has ended, and some subscribers do not get the event
 *         PUSHERC_ENOMEM    nothing has changed
 */
PUSHERC_API int pusherc_end_ephemeral(pusherc_server *server, const char *app_id,
                                      const pusherc_ephemeral *state);

/** Why the server has ended a state. */
typedef enum pusherc_ephemeral_reason {
    PUSHERC_EPHEMERAL_TIME = 1, /**< its time was over */
    PUSHERC_EPHEMERAL_LEFT      /**< the last connection that had said it has left the channel */
} pusherc_ephemeral_reason;

/** For the hook on_ephemeral_end. */
typedef struct pusherc_ephemeral_end {
    size_t struct_size;              /**< bytes of this struct, as the library knows it */
    pusherc_ephemeral_reason reason; /**< why it has ended */
    uint32_t reserved_;              /**< zero */
    pusherc_slice app_id;            /**< of the channel */
    pusherc_slice channel;           /**< as in pusherc_ephemeral, like the next three */
    pusherc_slice event;             /**< the client event that had begun it */
    pusherc_slice user_id;           /**< whose it was; len 0 = no user's */
    pusherc_slice key;               /**< len 0 = none */
    pusherc_slice data;              /**< what was said last */
} pusherc_ephemeral_end;

/**
 * Receives the states of a channel: `count` items, in no order. Take each by PUSHERC_AT(items, i). Called exactly once
 * for each query that returns 0, before it returns, on its thread and with no lock held; everything is valid until it
 * returns. May call whatever the caller of the query may call.
 */
typedef void (*pusherc_ephemeral_fn)(const pusherc_ephemeral *items, size_t count, void *user_data);

/**
 * Read the states of a channel.
 *
 * @param server     any state
 * @param app_id     known app; NUL-terminated
 * @param channel    a valid name
 * @param done       called once on success
 * @param user_data  for `done`
 * @return 0, or (then `done` was not called)
 *         PUSHERC_EINVAL  an argument is NULL, or the name is not valid
 *         PUSHERC_ENOENT  unknown app
 *         PUSHERC_ENOMEM
 */
PUSHERC_API int pusherc_list_ephemeral(pusherc_server *server, const char *app_id,
                                       pusherc_slice channel, pusherc_ephemeral_fn done,
                                       void *user_data);

PUSHERC_END_DECLS

#endif /* PUSHERC_EPHEMERAL_H */
