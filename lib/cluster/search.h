/* Questions about the channels of all nodes (fanout/elsewhere.h): one step after the other, in each partition that may
 * know. */
#ifndef PC_CLUSTER_SEARCH_H
#define PC_CLUSTER_SEARCH_H

#include "cluster/node.h"

/* Sets the engine's `elsewhere`. */
void pc_searches_init(struct pusherc_link *node);
/* All that are left are answered: there is no link. */
void pc_searches_free(struct pusherc_link *node);
/* The node's thread. Begins those that other threads have put. */
void pc_searches_take(struct pusherc_link *node, struct pc_list *put);
/* Goes on with those that could not ask. */
void pc_searches_go_on(struct pusherc_link *node);

#endif
