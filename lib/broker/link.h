/*
 * The link of a server over Redis: pusherc_link_ops on one Redis server, or on those of a Redis Cluster.
 *
 * How it works. Each partition has a route: the server that has it (server.h). One Redis has all partitions. If it says of
 * itself that it is part of a Redis Cluster, the partitions are spread over servers as its slots are (shards.h), and each
 * server has connections of its own. A route is up as long as its server is open and says nothing else: what the server
 * answered MOVED is lost, and goes up where it was sent. What is lost with its server waits for an answer to the question
 * where it is now (locator.h). Each time a route goes up is a new session, of which the node makes no assumption but that
 * its topics and questions are gone.
 *
 * A promoted replica, or the new server of a slot, is another process, so for the node the data is another (its `run`): it
 * says again what it holds.
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
