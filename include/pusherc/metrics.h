/**
 * @file metrics.h
 * What a server has counted.
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
    uint64_t slow_closed_total;     /**< clients closed with 4100 because they did not keep up */
    uint64_t slow_dropped_total;    /**< events skipped for clients that did not keep up */
    uint64_t out_queued_bytes;      /**< now: waiting for all clients */
    uint64_t mailbox_refused_total; /**< events that a worker's full mailbox refused (EBACKLOG) */
} pusherc_stats;

/* clang-format off */
/** Empty counters, to be filled in. */
#define PUSHERC_STATS_INIT { .struct_size = sizeof(pusherc_stats) }
/* clang-format on */

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

PUSHERC_END_DECLS

#endif /* PUSHERC_METRICS_H */
