/*
 * Orders to all nodes (fanout/everywhere.h): a log in the first partition, a topic, and answers.
 *
 * A node gives an order with the step ORDER, which appends it to the log, publishes it, and says which nodes are live.
 * Each node knows the order of the log that it has seen last. One that does not follow it, and each new subscription of
 * the topic, make the node read from there on. A node carries an order out once, by its origin and number, and answers
 * the origin on the origin's own topic. The origin gives an order again, with each renewal and each new connection,
 * until all have answered, and waits for no node that is dead then, nor longer than PC_ORDER_MS.
 *
 * A node that cannot know what it has missed asks all its grants again: its last order is not in the log any more, or it
 * was away for a lease and finds other data. No channel's topic is subscribed before the log was read (`in_step`), so
 * nothing of other nodes reaches a client that an order has not reached.
 */
#ifndef PC_CLUSTER_ORDERS_H
#define PC_CLUSTER_ORDERS_H

#include "cluster/node.h"

/* Sets the engine's `everywhere`. */
void pc_orders_init(struct pusherc_link *node);
/* Those who wait hear how it stands. */
void pc_orders_free(struct pusherc_link *node);

/* All on the node's thread. `part` is the first partition, which the caller has checked. */

/* The topics are gone. */
void pc_orders_lost(struct pusherc_link *node);
/* Both topics of the node in this partition; false: not all were taken. */
bool pc_orders_subscribe(struct pc_node_part *part);
/* The topic of orders is subscribed. */
void pc_orders_subscribed(struct pc_node_part *part);
/* The incarnation begins or goes on. `other_data`: orders that were given may be lost; `away`: and this node may not
 * have been waited for. */
void pc_orders_attached(struct pc_node_part *part, bool other_data, bool away);
/* The link is up, or the partition has settled: gives what is open. */
void pc_orders_up(struct pc_node_part *part);
/* Goes on with what could not be asked, and looks at the time. */
void pc_orders_tick(struct pc_node_part *part);
/* The lease was renewed: orders that are not answered by all are given again, so that the authority says who is live
 * now. One that is not cannot go on without attaching again. */
void pc_orders_renewed(struct pc_node_part *part);
/* What other threads have carried out. */
void pc_orders_take(struct pusherc_link *node, struct pc_list *carried);

/* An order, or an answer on this node's own topic. False: it makes no sense. */
bool pc_orders_hears(struct pc_node_part *part, pusherc_slice message);
bool pc_orders_hears_own(struct pc_node_part *part, pusherc_slice key, pusherc_slice message);

/* True once after each time that the node has come into step. */
bool pc_orders_came_into_step(struct pusherc_link *node);

#endif
