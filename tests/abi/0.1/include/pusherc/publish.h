/**
 * @file publish.h
 * Sending events from the host's own code.
 *
 * Unless said otherwise: Thread: any. Blocks: no. In callbacks: yes. Owns: nothing. Since: 0.1.
 */
#ifndef PUSHERC_PUBLISH_H
#define PUSHERC_PUBLISH_H

#include <pusherc/error.h>
#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/** Limits of one call. */
enum {
    PUSHERC_MAX_CHANNELS_PER_EVENT = 100, /**< channels that one event may name */
    PUSHERC_MAX_EVENTS_PER_BATCH = 10     /**< events that one batch may hold */
};

/** One event. All of it is borrowed until the call returns. */
typedef struct pusherc_event {
    size_t struct_size; /**< sizeof(pusherc_event) */
    /** UTF-8, 1..max_event_name_bytes; must not begin with "pusher:" or "pusher_internal:". */
    pusherc_slice name;
    const pusherc_slice *channels; /**< channel_count valid names */
    /** 1..max_event_channels, which is at most PUSHERC_MAX_CHANNELS_PER_EVENT; repeated names count once. */
    size_t channel_count;
    pusherc_slice data; /**< UTF-8, 0..max_event_payload_bytes; clients receive it as a string */
    pusherc_socket_id except; /**< this connection does not get the event; zero = none */
    /** `data` is already encrypted by pusherc_encrypt_event(): relay it as it is; default false. */
    bool encrypted;
    uint8_t reserved_[7]; /**< zero */
} pusherc_event;

/* clang-format off */
/** Initialiser of a pusherc_event. */
#define PUSHERC_EVENT_INIT { .struct_size = sizeof(pusherc_event) }
/* clang-format on */

/**
 * Do what PUSHERC_EVENT_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_event) as the caller knows it
 */
PUSHERC_API void pusherc_event_init(pusherc_event *out, size_t struct_size);

/**
 * Send one event to the subscribers of its channels.
 *
 * The event is encoded on the calling thread, once for each channel, and handed to the workers that have
 * subscribers. The library uses nothing that the event points to after the call returns. Each subscriber gets the
 * event at most once. Events that one thread sends to one channel keep their order. A channel without subscribers
 * costs a look-up and is no error. If a rule renders the channel (auth.h), its render function is called here, on
 * the calling thread.
 *
 * On a private-encrypted- channel of an app with an encryption_master_key the library encrypts the data, unless
 * `encrypted` says that it is encrypted already. Such a channel must be the only one of its event, and
 * max_event_payload_bytes applies to the encrypted text. Without a master key the data is relayed as it is: the
 * host has encrypted it.
 *
 * @param server  started server
 * @param app_id  known app; NUL-terminated
 * @param event   see pusherc_event
 * @return 0 when handed to the workers, or
 *         PUSHERC_EINVAL    an argument is NULL; a name, a count or the UTF-8 of data breaks a rule; the event needs
 *                           encryption and names several channels; nothing was sent
 *         PUSHERC_ENOENT    unknown app; nothing was sent
 *         PUSHERC_ELIMIT    data is longer than max_event_payload_bytes, or than half of out_hard_bytes, which no
 *                           client's queue could hold; nothing was sent
 *         PUSHERC_ENOSYS    data needs encryption and the library was built without (pusherc_features()): encrypt
 *                           it yourself, or put the app without its master key; nothing was sent
 *         PUSHERC_EIO       data needs encryption and the crypto library failed; nothing was sent
 *         PUSHERC_ESTATE    the server is not started, or has stopped; nothing was sent
 *         PUSHERC_EBACKLOG  a worker's mailbox is full: its subscribers of that channel do not get the event. The
 *                           channels before it have been served, those after it have not
 *         PUSHERC_ENOMEM    that channel and those after it have not been served; if data needs encryption, nothing
 *                           was sent
 *
 * Source: Pusher Channels HTTP API, "POST event".
 */
PUSHERC_API PUSHERC_NODISCARD int pusherc_publish(pusherc_server *server, const char *app_id,
                                                  const pusherc_event *event);

/**
 * Do what pusherc_publish() does for one event and one channel, without a struct: for other languages, and for calls
 * that fit on a line.
 *
 * @param server  started server
 * @param app_id  known app; NUL-terminated
 * @param channel a valid name, channel_len bytes
 * @param channel_len  bytes
 * @param name    as pusherc_event.name, name_len bytes
 * @param name_len     bytes
 * @param data    as pusherc_event.data, data_len bytes; NULL if data_len is 0
 * @param data_len     bytes
 * @param except  the socket id of a connection that does not get the event, as text; NUL-terminated; NULL = none
 * @return as pusherc_publish(); PUSHERC_EINVAL also if `except` is no socket id
 */
PUSHERC_API PUSHERC_NODISCARD int pusherc_publish_to(pusherc_server *server, const char *app_id,
                                                     const char *channel, size_t channel_len,
                                                     const char *name, size_t name_len,
                                                     const char *data, size_t data_len,
                                                     const char *except);

/**
 * Send up to PUSHERC_MAX_EVENTS_PER_BATCH events in order, each as pusherc_publish() does. All events are checked
 * before the first is sent.
 *
 * @param server  started server
 * @param app_id  known app; NUL-terminated
 * @param events  count events
 * @param count   1..PUSHERC_MAX_EVENTS_PER_BATCH
 * @return as pusherc_publish(); after EBACKLOG and ENOMEM earlier events have been sent, later ones have not
 *
 * Source: Pusher Channels HTTP API, "POST batch events".
 */
PUSHERC_API PUSHERC_NODISCARD int pusherc_publish_batch(pusherc_server *server, const char *app_id,
                                                        const pusherc_event *events, size_t count);

/**
 * Send one event to every connection that is signed in as `user_id` and subscribed to its user channel.
 *
 * @param server   started server
 * @param app_id   known app; NUL-terminated
 * @param user_id  1..200 characters of the channel alphabet, see pusherc_channel_classify()
 * @param name     as pusherc_event.name
 * @param data     as pusherc_event.data
 * @return as pusherc_publish()
 *
 * Source: Pusher Channels, "send events to authenticated users".
 */
PUSHERC_API PUSHERC_NODISCARD int pusherc_send_to_user(pusherc_server *server, const char *app_id,
                                                       pusherc_slice user_id, pusherc_slice name,
                                                       pusherc_slice data);

PUSHERC_END_DECLS

#endif /* PUSHERC_PUBLISH_H */
