/**
 * @file metrics.h
 * What a server has counted.
 */
#ifndef PUSHERC_METRICS_H
#define PUSHERC_METRICS_H

#include <pusherc/error.h>
#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/** Sums over all workers. "now" values may be a moment old; _total values only grow. */
typedef struct pusherc_stats {
    size_t struct_size;
    uint64_t connections;           /**< now, established clients */
    uint64_t connections_total;
    uint64_t sockets;               /**< now, every accepted TCP connection */
    uint64_t subscriptions;         /**< now */
    uint64_t channels;              /**< now, occupied */
    uint64_t messages_in_total;     /**< WebSocket messages from clients */
    uint64_t messages_out_total;    /**< one per subscriber and event, replies included */
    uint64_t bytes_in_total;
    uint64_t bytes_out_total;
    uint64_t write_calls_total;     /**< writev-like system calls; messages_out / write_calls = batching */
    uint64_t http_requests_total;
    uint64_t publishes_total;       /**< (event, channel) pairs accepted */
    uint64_t publishes_unmatched_total; /**< of those, pairs without a subscriber */
    uint64_t slow_closed_total;
    uint64_t slow_dropped_total;    /**< events skipped for slow connections */
    uint64_t out_queued_bytes;      /**< now, all connections */
    uint64_t mailbox_refused_total; /**< posts refused with EBACKLOG */
} pusherc_stats;

/* clang-format off */
#define PUSHERC_STATS_INIT { .struct_size = sizeof(pusherc_stats) }
/* clang-format on */

/**
 * Read the counters.
 *
 * @param server  any state
 * @param out     struct_size set by the caller; filled
 * @return 0 or PUSHERC_EINVAL
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_server_stats(pusherc_server *server, pusherc_stats *out);

PUSHERC_END_DECLS

#endif /* PUSHERC_METRICS_H */
