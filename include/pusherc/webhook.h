/**
 * @file webhook.h
 * Webhooks: telling other programs over HTTP what happens in an app's channels.
 *
 * An app lists its endpoints in pusherc_app_options.webhooks. Each endpoint receives the kinds of events that it
 * asks for, in batches signed with the app's secret. Events of one channel arrive in the order in which they
 * happened. A batch that the endpoint does not answer with a status of 2xx is sent again for five minutes; after
 * that pusherc_hooks.on_webhook_failed receives it. pusherc_server_options holds the times and sizes.
 *
 * The settings that were put last apply, also for connections that were opened before. Events that wait for an
 * endpoint which is no longer listed are still sent, with the settings from before.
 *
 * Unless said otherwise: Thread: any. Blocks: no. In callbacks: yes. Owns: nothing. Since: 0.1.
 */
#ifndef PUSHERC_WEBHOOK_H
#define PUSHERC_WEBHOOK_H

#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/** Kinds of webhook events: bits of pusherc_webhook.events. Pusher Channels, "webhooks", explains the names. */
enum {
    PUSHERC_WEBHOOK_CHANNEL_OCCUPIED = 0x01, /**< "channel_occupied" */
    PUSHERC_WEBHOOK_CHANNEL_VACATED = 0x02,  /**< "channel_vacated" */
    PUSHERC_WEBHOOK_MEMBER_ADDED = 0x04,     /**< "member_added" */
    PUSHERC_WEBHOOK_MEMBER_REMOVED = 0x08,   /**< "member_removed" */
    PUSHERC_WEBHOOK_CLIENT_EVENT = 0x10,     /**< "client_event" */
    PUSHERC_WEBHOOK_CACHE_MISS = 0x20,       /**< "cache_miss" */
    /** "subscription_count": needs subscription_count_events */
    PUSHERC_WEBHOOK_SUBSCRIPTION_COUNT = 0x40,
    PUSHERC_WEBHOOK_ALL = 0x7f /**< each of them */
};

/** Limits of webhooks. */
enum {
    PUSHERC_MAX_WEBHOOKS = 16,        /**< endpoints of one app */
    PUSHERC_MAX_WEBHOOK_EVENTS = 1000 /**< the largest webhook_batch_events */
};

/** A header field that the host adds to webhook requests. */
typedef struct pusherc_webhook_header {
    /** A token of RFC 9110. Host, Connection, Content-*, X-Pusher-* and the fields that frame a request are
     *  refused. */
    const char *name;
    const char *value; /**< without control characters, at most 4096 bytes */
} pusherc_webhook_header;

/** One endpoint. All of it is borrowed until the call that takes it returns. */
typedef struct pusherc_webhook {
    size_t struct_size; /**< sizeof(pusherc_webhook) */
    /** "http://..." or "https://...", at most 2048 bytes. Redirects are not followed. Several endpoints may have
     *  the same URL. */
    const char *url;
    const char *channel_prefix;            /**< only channels that begin with it; NULL = any */
    const char *channel_suffix;            /**< only channels that end with it; NULL = any */
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
 * Do what PUSHERC_WEBHOOK_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_webhook) as the caller knows it
 */
PUSHERC_API void pusherc_webhook_init(pusherc_webhook *out, size_t struct_size);

PUSHERC_END_DECLS

#endif /* PUSHERC_WEBHOOK_H */
