/**
 * @file webhook.h
 * Telling other programs over HTTP what happens in an app's channels.
 *
 * An app lists its endpoints in pusherc_app_options.webhooks. Each gets what it asks for in batches, signed
 * with the app's secret, in the order in which it happened on a channel. What an endpoint refuses is sent
 * again for five minutes; then pusherc_hooks.on_webhook_failed gets it.
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

/** A header field of the host's own. */
typedef struct pusherc_webhook_header {
    const char *name;  /**< a token of RFC 9110; none that the library sets itself */
    const char *value; /**< without CR, LF and NUL */
} pusherc_webhook_header;

/** One endpoint. Everything is borrowed until the call that takes it returns. */
typedef struct pusherc_webhook {
    size_t struct_size;                    /**< sizeof(pusherc_webhook) */
    const char *url;                       /**< "http://..." or "https://...", at most 2048 bytes */
    uint32_t events;                       /**< PUSHERC_WEBHOOK_*; 0 = PUSHERC_WEBHOOK_ALL */
    const char *channel_prefix;            /**< only of channels that begin so; NULL = any */
    const char *channel_suffix;            /**< only of channels that end so; NULL = any */
    const pusherc_webhook_header *headers; /**< header_count of them */
    size_t header_count;                   /**< 0..16 */
} pusherc_webhook;

/* clang-format off */
/** Initialiser of a pusherc_webhook. */
#define PUSHERC_WEBHOOK_INIT { .struct_size = sizeof(pusherc_webhook) }
/* clang-format on */

PUSHERC_END_DECLS

#endif /* PUSHERC_WEBHOOK_H */
