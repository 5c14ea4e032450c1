/**
 * @file metrics.h
 * What a server counts: as numbers, and as a page for Prometheus. docs/metrics.md describes each metric.
 *
 * Unless said otherwise: Thread: any. Blocks: no. In callbacks: yes. Owns: nothing. Since: 0.1.
 */
#ifndef PUSHERC_METRICS_H
#define PUSHERC_METRICS_H

#include <pusherc/error.h>
#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/**
 * Sums over all workers since the server was made. Values marked "now" go up and down and may be slightly old.
 * Values named _total only grow. Each value is read separately, so that two of them may not fit together exactly.
 */
typedef struct pusherc_stats {
    size_t struct_size; /**< sizeof(pusherc_stats), set by the caller */

    /** @name Connections and channels
     * @{ */
    uint64_t connections;       /**< now: established clients */
    uint64_t connections_total; /**< established clients */
    uint64_t sockets;           /**< now: accepted and adopted TCP connections */
    uint64_t subscriptions;     /**< now */
    uint64_t channels;          /**< now: occupied channels of all apps */
    uint64_t grants;            /**< now: stored answers about channels */
    /** @} */

    /** @name Traffic
     * @{ */
    uint64_t messages_in_total; /**< WebSocket text messages from clients */
    /** Messages put into clients' queues: one for each subscriber and event, and the replies. */
    uint64_t messages_out_total;
    uint64_t bytes_in_total;  /**< read from sockets; with TLS: ciphertext */
    uint64_t bytes_out_total; /**< written to sockets; with TLS: ciphertext */
    /** Writing system calls. messages_out_total / write_calls_total shows how well writes are gathered. */
    uint64_t write_calls_total;
    uint64_t http_requests_total; /**< complete requests, WebSocket upgrades included */
    uint64_t publishes_total;     /**< accepted (event, channel) pairs, client events included */
    uint64_t publishes_unmatched_total; /**< of those, pairs without a subscriber */
    /** @} */

    /** @name Queues
     * @{ */
    uint64_t slow_closed_total;  /**< clients closed with 4100 because they did not keep up */
    uint64_t slow_dropped_total; /**< events skipped for clients that did not keep up */
    uint64_t out_queued_bytes;   /**< now: waiting for all clients */
    uint64_t
        mailbox_refused_total; /**< events refused because a worker's mailbox was full (EBACKLOG) */
    uint64_t mailbox_depth;    /**< now: waiting in the workers' mailboxes */
    uint64_t mailbox_depth_max; /**< the most that ever waited in one mailbox */
    /** @} */

    /** @name Webhooks
     * @{ */
    uint64_t webhook_requests_total; /**< sent to endpoints, repeated ones included */
    uint64_t webhook_failures_total; /**< of those, not answered with 2xx */
    uint64_t webhook_retries_total;  /**< requests that were repetitions */
    /** Events that an endpoint accepted; an event for two endpoints counts twice. */
    uint64_t webhook_delivered_total;
    uint64_t
        webhook_dropped_total; /**< events dropped because a queue was full or memory ran out */
    uint64_t webhook_given_up_total; /**< events handed to on_webhook_failed */
    uint64_t webhook_queued;         /**< now: events not accepted yet */
    /** @} */

    /** @name Sockets that are not established clients: see max_unestablished
     * @{ */
    uint64_t sockets_unestablished;   /**< now; a part of `sockets` */
    uint64_t sockets_reclaimed_total; /**< idle ones that were closed to make room */
    uint64_t sockets_refused_total;   /**< new ones that were reset, because none was idle */
    /** @} */

    /** @name Questions
     * @{ */
    uint64_t questions; /**< now: asked of the host and not answered */
    /** Questions that a limit refused: see pusherc_server_options.max_questions_per_connection. */
    uint64_t questions_refused_total;
    /** @} */

    /** @name Messages: see pusherc_inbox_options.max_messages
     * @{ */
    uint64_t inbox_depth; /**< now: wait in the server's inbox, those of other servers included */
    uint64_t inbox_refused_total; /**< questions that found it full: answered as silence would */
    uint64_t inbox_dropped_total; /**< notices that found it full, or no memory */
    /** @} */

    /** @name Compressed messages: see pusherc_server_options.deflate_min_bytes
     * @{ */
    uint64_t compressed_total; /**< messages compressed; an event for many subscribers once */
    uint64_t compressed_from_bytes_total; /**< how long they were */
    uint64_t compressed_to_bytes_total;   /**< how long they became */
    /** @} */

    /** @name Histories of channels: see history.h
     * @{ */
    uint64_t history_bytes; /**< now: memory that they hold */
    uint64_t
        history_resumes_total; /**< subscriptions whose client named the last event it had seen */
    uint64_t history_replayed_total; /**< events that they were sent again */
    uint64_t history_lost_total;     /**< times that such a client was told of missing events */
    /** @} */
} pusherc_stats;

/* clang-format off */
/** Initialiser of a pusherc_stats that pusherc_server_stats() fills. */
#define PUSHERC_STATS_INIT { .struct_size = sizeof(pusherc_stats) }
/* clang-format on */

/**
 * Do what PUSHERC_STATS_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_stats) as the caller knows it
 */
PUSHERC_API void pusherc_stats_init(pusherc_stats *out, size_t struct_size);

/**
 * Read the counters. To count `channels` it walks the table of all channels once.
 *
 * @param server  any state
 * @param out     begins as PUSHERC_STATS_INIT; filled on success
 * @return 0, or PUSHERC_EINVAL: an argument is NULL, or out->struct_size is wrong; nothing is filled
 */
PUSHERC_API int pusherc_server_stats(pusherc_server *server, pusherc_stats *out);

/**
 * Receives at most 4096 bytes of text: one or several whole lines, valid until the function returns. May call
 * functions marked "In callbacks: yes". If it does not return 0, the text ends there, and the call that asked for
 * the text returns the same value.
 */
typedef int (*pusherc_write_fn)(pusherc_slice chunk, void *user_data);

/**
 * Write all metrics in Prometheus' text format, version 0.0.4. Its media type is
 * "text/plain; version=0.0.4; charset=utf-8". Use it to serve the page yourself; a listener with
 * PUSHERC_LISTEN_METRICS serves it without the host.
 *
 * No lock is held while `write` runs. The numbers about the process are read from /proc at most once a second.
 *
 * @param server     any state
 * @param write      called several times, before this call returns, on its thread
 * @param user_data  for `write`
 * @return 0, what `write` returned if that was not 0, or
 *         PUSHERC_EINVAL  an argument is NULL; `write` was not called
 *         PUSHERC_ENOMEM  `write` was not called
 *
 * Blocks: for files in /proc.
 * Source: Prometheus, "Exposition formats"; the names are those of soketi and sockudo.
 */
PUSHERC_API int pusherc_server_metrics(pusherc_server *server, pusherc_write_fn write,
                                       void *user_data);

PUSHERC_END_DECLS

#endif /* PUSHERC_METRICS_H */
