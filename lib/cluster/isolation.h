/*
 * What a node without a link does with its clients: it keeps them, or closes them after a time, and says on health pages
 * which of both. It is without a link while one partition has none.
 */
#ifndef PC_CLUSTER_ISOLATION_H
#define PC_CLUSTER_ISOLATION_H

#include "cluster/node.h"

/* The node's thread; before the link starts, when the state of a partition has changed, and in each tick. */
void pc_isolation_start(struct pusherc_link *node);
void pc_isolation_look(struct pusherc_link *node);
void pc_isolation_tick(struct pusherc_link *node, uint64_t now_ms);

#endif
