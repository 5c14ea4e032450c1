/**
 * @file metrics.h
 * What a server has counted: as numbers, and as a page for Prometheus. docs/metrics.md describes each metric.
 */
#ifndef PUSHERC_METRICS_H
#define PUSHERC_METRICS_H

#include <pusherc/error.h>
#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/**
 * Sums over all workers since the server was made. Values marked "now" go up and down and may be a moment
 * old; the _total ones only grow. Each is read by itself: they need not fit together exactly.
 */
typedef struct pusherc_stats {
    size_t struct_size;         /**< sizeof(pusherc_stats), set by the caller */
    uint64_t connections;       /**< now: established clients */
    uint64_t connections_total; /**< clients ever established */
    uint64_t sockets;           /**< now: every accepted or adopted TCP connection */
    uint64_t subscriptions;     /**< now */
    uint64_t channels;          /**< now: occupied, of all apps */
    uint64_t messages_in_total; /**< WebSocket text messages from clients */
    /** Messages put into clients' queues: one per subscriber and event, and the replies. */
    uint64_t messages_out_total;
    uint64_t bytes_in_total;  /**< read from sockets; with TLS: ciphertext */
    uint64_t bytes_out_total; /**< written to sockets; with TLS: ciphertext */
    /** Writing system calls; messages_out_total / write_calls_total tells how well writes are gathered. */
    uint64_t write_calls_total;
    uint64_t http_requests_total;       /**< whole requests, those for a WebSocket included */
    uint64_t publishes_total;           /**< (event, channel) pairs taken, client events included */
    uint64_t publishes_unmatched_total; /**< of those, pairs without a subscriber */
    uint64_t slow_closed_total;      /**< clients closed with 4100 because they did not keep up */
    uint64_t slow_dropped_total;     /**< events skipped for clients that did not keep up */
    uint64_t out_queued_bytes;       /**< now: waiting for all clients */
    uint64_t mailbox_refused_total;  /**< events that a worker's full mailbox refused (EBACKLOG) */
    uint64_t mailbox_depth;          /**< now: what waits in the workers' mailboxes */
    uint64_t mailbox_depth_max;      /**< the most that has ever waited in one of them */
    uint64_t grants;                 /**< now: answers about channels that are remembered */
    uint64_t webhook_requests_total; /**< sent to webhook endpoints, also those sent again */
    uint64_t webhook_failures_total; /**< of those, without an answer of 2xx */
    uint64_t webhook_retries_total;  /**< of those, sent again */
    uint64_t
        webhook_delivered_total; /**< webhook events that an endpoint accepted; each endpoint counts */
    uint64_t webhook_dropped_total;  /**< webhook events that found a full queue, or no memory */
    uint64_t webhook_given_up_total; /**< webhook events told to on_webhook_failed */
    uint64_t webhook_queued;         /**< now: webhook events not accepted yet */
} pusherc_stats;

/* clang-format off */
/** Empty counters, to be filled in. */
#define PUSHERC_STATS_INIT { .struct_size = sizeof(pusherc_stats) }
/* clang-format on */

/**
 * PUSHERC_STATS_INIT as a function, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_stats) as the caller knows it
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API void pusherc_stats_init(pusherc_stats *out, size_t struct_size);

/**
 * Read the counters. For `channels` the table of all channels is walked once.
 *
 * @param server  any state
 * @param out     begins as PUSHERC_STATS_INIT; filled on success
 * @return 0, or PUSHERC_EINVAL: a NULL argument, or a struct_size of another version; nothing is filled
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_server_stats(pusherc_server *server, pusherc_stats *out);

/**
 * Receives text, which dies on return: at most 4096 bytes, one or several whole lines. May call what is marked "In
 * callbacks: yes". Anything but 0 ends the text and is returned by the call that asked for it.
 */
typedef int (*pusherc_write_fn)(pusherc_slice chunk, void *user_data);

/**
 * Write all metrics in Prometheus' text format, version 0.0.4; its media type is
 * "text/plain; version=0.0.4; charset=utf-8". For hosts that serve such a page themselves; a listener with
 * PUSHERC_LISTEN_METRICS does it without the host.
 *
 * No lock is held while `write` runs. Some numbers are read from /proc.
 *
 * @param server     any state
 * @param write      called several times, before this call returns, on its thread
 * @param user_data  for `write`
 * @return 0, what `write` returned if that was not 0, or
 *         PUSHERC_EINVAL  a NULL argument; `write` was not called
 *         PUSHERC_ENOMEM  `write` was not called
 *
 * Thread: any. Blocks: for files in /proc. In callbacks: yes. Owns: nothing.
 * Since: 0.1.  Source: Prometheus, "Exposition formats"; the names are those of soketi and sockudo.
 */
PUSHERC_API int pusherc_server_metrics(pusherc_server *server, pusherc_write_fn write,
                                       void *user_data);

PUSHERC_END_DECLS

#endif /* PUSHERC_METRICS_H */
