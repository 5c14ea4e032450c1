/*
 * Publications on their way to other nodes and from them. One is sent again if the link was lost before it was answered:
 * each has a number among its node's publications in the partition, and a node drops what it has had.
 */
#ifndef PC_CLUSTER_RELAY_H
#define PC_CLUSTER_RELAY_H

#include "cluster/node.h"

/* Sets the engine's relay. */
void pc_relay_init(struct pusherc_link *node);
void pc_relay_free(struct pusherc_link *node);

/* The node's thread, like the rest. Sends what waits, as far as the link takes it. */
void pc_relay_send(struct pc_node_part *part);
/* Without a link: drops what has waited for too long. */
void pc_relay_age(struct pc_node_part *part);
/* A publication of another node, or one of ours that comes back. False: it makes no sense. */
bool pc_relay_hears(struct pc_node_part *part, pusherc_slice key, pusherc_slice text);

#endif
