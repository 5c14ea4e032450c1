/*
 * What Laravel's "redis" broadcaster publishes, taken from Redis and published in an app.
 *
 * How it works. One connection on the server's first loop subscribes to all channels that begin with the prefixes. Each
 * message is read, passes the hook on_publish as an event of the HTTP API does, and is published in the same callback:
 * there is no queue. A turn that has taken TURN_NS stops reading until the next one, so that Redis and the kernel hold
 * what clients would have to wait for. A connection that is lost, or that answers no PING, is made again with growing
 * pauses.
 */
#ifndef PC_FEED_FEED_H
#define PC_FEED_FEED_H

#include "broadcast/url.h"
#include "net/tls_client.h"
#include "server/server.h"

#define PC_FEED_MAX_PREFIX 200

struct pc_feed_options {
    pusherc_slice app_id;
    pusherc_slice prefixes[2];
    size_t prefix_count; /* 1 or 2, of which none is the beginning of another */
    uint32_t timeout_ms;
    struct pc_tls_trust *trust; /* NULL = in the clear */
};

/* Makes a feed of the server, which starts and frees it. Takes over the URL and `trust` on success. 0, PUSHERC_ENOMEM, PUSHERC_EIO. */
PC_CHECKED int pc_feed_new(pusherc_server *server, struct pc_broadcast_url *url,
                           const struct pc_feed_options *options);

/* Appends the pattern of Redis for all channels that begin with the prefix. */
void pc_feed_put_pattern(struct pc_buf *buf, pusherc_slice prefix);

#endif
