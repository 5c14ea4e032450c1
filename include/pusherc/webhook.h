/**
 * @file webhook.h
 * Telling other programs over HTTP what happens in an app's channels.
 *
 * An app lists its endpoints in pusherc_app_options.webhooks. Each gets what it asks for in batches, signed
 * with the app's secret, in the order in which it happened on a channel. What an endpoint does not accept with
 * a status of 2xx is sent again for five minutes; then pusherc_hooks.on_webhook_failed gets it. Times and sizes
 * are in pusherc_server_options.
 *
 * The settings in force are those put last, also for connections that were opened before. What waits for an
 * endpoint that is not among them any more is still sent, as the settings before said.
 */
#ifndef PUSHERC_WEBHOOK_H
#define PUSHERC_WEBHOOK_H

#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/** @name What an endpoint is told
 * For the names see Pusher Channels, "webhooks".
 * @{ */
#define PUSHERC_WEBHOOK_CHANNEL_OCCUPIED 0x01u /**< "channel_occupied" */
#define PUSHERC_WEBHOOK_CHANNEL_VACATED  0x02u /**< "channel_vacated" */
#define PUSHERC_WEBHOOK_MEMBER_ADDED     0x04u /**< "member_added" */
#define PUSHERC_WEBHOOK_MEMBER_REMOVED   0x08u /**< "member_removed" */
#define PUSHERC_WEBHOOK_CLIENT_EVENT     0x10u /**< "client_event" */
#define PUSHERC_WEBHOOK_CACHE_MISS       0x20u /**< "cache_miss" */
#define PUSHERC_WEBHOOK_SUBSCRIPTION_COUNT                                                         \
    0x40u                         /**< "subscription_count": needs subscription_count_events */
#define PUSHERC_WEBHOOK_ALL 0x7fu /**< each of them */
/** @} */

/** Endpoints that one app may have. */
#define PUSHERC_MAX_WEBHOOKS 16
/** The most events of one request that may be asked for. */
#define PUSHERC_MAX_WEBHOOK_EVENTS 1000

/** A header field of the host's own. */
typedef struct pusherc_webhook_header {
    /** A token of RFC 9110. Host, Connection, Content-*, X-Pusher-* and what frames a request are refused. */
    const char *name;
    const char *value; /**< without control characters, at most 4096 bytes */
} pusherc_webhook_header;

/** One endpoint. Everything is borrowed until the call that takes it returns. */
typedef struct pusherc_webhook {
    size_t struct_size; /**< sizeof(pusherc_webhook) */
    /** "http://..." or "https://...", at most 2048 bytes. Redirects are not followed. Of several with one URL
     *  each is an endpoint of its own. */
    const char *url;
    const char *channel_prefix;            /**< only of channels that begin so; NULL = any */
    const char *channel_suffix;            /**< only of channels that end so; NULL = any */
    const pusherc_webhook_header *headers; /**< header_count of them */
    size_t header_count;                   /**< 0..16 */
    uint32_t events;                       /**< PUSHERC_WEBHOOK_*; 0 = PUSHERC_WEBHOOK_ALL */
    uint32_t reserved_;                    /**< zero */
} pusherc_webhook;

/* clang-format off */
/** Initialiser of a pusherc_webhook. */
#define PUSHERC_WEBHOOK_INIT { .struct_size = sizeof(pusherc_webhook) }
/* clang-format on */

/**
 * PUSHERC_WEBHOOK_INIT as a function, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_webhook) as the caller knows it
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API void pusherc_webhook_init(pusherc_webhook *out, size_t struct_size);

PUSHERC_END_DECLS

#endif /* PUSHERC_WEBHOOK_H */
