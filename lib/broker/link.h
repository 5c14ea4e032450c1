/*
 * The link of a server over Redis: pusherc_link_ops on two connections, one that subscribes, and one for all else.
 *
 * How it works. The server's first worker writes commands into two buffers and notes what it asked; the link's own thread
 * sends the buffers, and reports what comes. Redis does what comes over one connection in order and answers in order, so
 * answers are matched by counting. When anything is wrong with one connection both are closed, all partitions are lost, and
 * new connections are made: a new session, of which the server makes no assumption but that its topics and questions are
 * gone. So there is one state and no half of it.
 */
#ifndef PC_BROKER_LINK_H
#define PC_BROKER_LINK_H

#include <pusherc/cluster.h>

#include "base/log.h"
#include "broadcast/url.h"
#include "cluster/node.h"
#include "net/tls_client.h"

struct pc_broker;

/* Takes over the URL and, also on failure, `trust` (NULL without TLS). `log` outlives it. 0, PUSHERC_ENOMEM, PUSHERC_EIO. */
PC_CHECKED int pc_broker_new(struct pc_broker **out, const struct pc_mem *mem, struct pc_log *log,
                             struct pc_broadcast_url *url, struct pc_tls_trust *trust,
                             pusherc_slice prefix, uint32_t timeout_ms);
/* Lives as long as the broker. */
const struct pc_link_counts *pc_broker_counts(const struct pc_broker *broker);
void pc_broker_free(void *broker);
pusherc_link_ops pc_broker_ops(void);

#endif
