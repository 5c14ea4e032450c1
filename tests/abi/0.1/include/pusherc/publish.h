/**
 * @file publish.h
 * Sending events from the host's own code.
 */
#ifndef PUSHERC_PUBLISH_H
#define PUSHERC_PUBLISH_H

#include <stdbool.h>

#include <pusherc/error.h>
#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/** Channels that one event may name. */
#define PUSHERC_MAX_CHANNELS_PER_EVENT 100
/** Events that one batch may hold. */
#define PUSHERC_MAX_EVENTS_PER_BATCH 10

/** One event. Everything is borrowed until the call returns. */
typedef struct pusherc_event {
    size_t struct_size; /**< sizeof(pusherc_event) */
    /** UTF-8, 1..max_event_name_bytes; does not begin with "pusher:" or "pusher_internal:". */
    pusherc_slice name;
    const pusherc_slice *channels; /**< channel_count valid names */
    /** 1..max_event_channels, which is at most PUSHERC_MAX_CHANNELS_PER_EVENT; repeated names count once. */
    size_t channel_count;
    pusherc_slice data;       /**< UTF-8, 0..max_event_payload_bytes; clients get it as a string */
    pusherc_socket_id except; /**< this connection gets no copy; zero = none */
    /** `data` is already what pusherc_encrypt_event() makes: relay it as it is; default false. */
    bool encrypted;
    uint8_t reserved_[7]; /**< zero */
} pusherc_event;

/* clang-format off */
/** Initialiser of a pusherc_event. */
#define PUSHERC_EVENT_INIT { .struct_size = sizeof(pusherc_event) }
/* clang-format on */

/**
 * PUSHERC_EVENT_INIT as a function, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_event) as the caller knows it
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API void pusherc_event_init(pusherc_event *out, size_t struct_size);

/**
 * Send one event to the subscribers of its channels.
 *
 * The event is encoded on the calling thread, once per channel, and handed to the workers that have
 * subscribers; nothing it points to is used after return. Delivery is at most once; events from one
 * thread to one channel keep their order. A channel without subscribers costs a look-up and is no error.
 * Where a rule renders (auth.h), its function is called here, on the calling thread.
 *
 * On a private-encrypted- channel of an app with an encryption_master_key the data is encrypted first, unless
 * `encrypted` says that it is; such a channel is the event's only one, and max_event_payload_bytes counts the
 * encrypted text. Without a master key the data is relayed as it is: whoever has the key encrypted it.
 *
 * @param server  started server
 * @param app_id  known app; NUL-terminated
 * @param event   see pusherc_event
 * @return 0 when handed over, or
 *         PUSHERC_EINVAL    a NULL argument, a name, count or the UTF-8 of data breaks a rule; data that has to
 *                           be encrypted, for several channels; nothing was sent
 *         PUSHERC_ENOENT    unknown app; nothing was sent
 *         PUSHERC_ELIMIT    data longer than max_event_payload_bytes, or than half of out_hard_bytes, which
 *                           no client's queue could take; nothing was sent
 *         PUSHERC_ENOSYS    data has to be encrypted and the library was compiled without (pusherc_features()):
 *                           encrypt it yourself, or put the app without its master key; nothing was sent
 *         PUSHERC_EIO       data has to be encrypted and the crypto library refused; nothing was sent
 *         PUSHERC_ESTATE    server not started, or stopped; nothing was sent
 *         PUSHERC_EBACKLOG  a worker's mailbox is full: its subscribers of that channel get nothing. The
 *                           channels before have been served, those behind have not
 *         PUSHERC_ENOMEM    that channel and those behind have not been served; data that has to be encrypted:
 *                           nothing was sent
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.  Source: Pusher Channels HTTP API, "POST event".
 */
PUSHERC_API PUSHERC_NODISCARD int pusherc_publish(pusherc_server *server, const char *app_id,
                                                  const pusherc_event *event);

/**
 * Send up to PUSHERC_MAX_EVENTS_PER_BATCH events in order, each as by pusherc_publish(). All are checked before
 * the first is sent.
 *
 * @param server  started server
 * @param app_id  known app; NUL-terminated
 * @param events  count events
 * @param count   1..PUSHERC_MAX_EVENTS_PER_BATCH
 * @return as pusherc_publish(); EBACKLOG and ENOMEM: earlier events have been sent, later ones have not
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.  Source: Pusher Channels HTTP API, "POST batch events".
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
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.  Source: Pusher Channels, "send events to authenticated users".
 */
PUSHERC_API PUSHERC_NODISCARD int pusherc_send_to_user(pusherc_server *server, const char *app_id,
                                                       pusherc_slice user_id, pusherc_slice name,
                                                       pusherc_slice data);

PUSHERC_END_DECLS

#endif /* PUSHERC_PUBLISH_H */
