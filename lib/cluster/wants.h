/*
 * Wants: what is wanted of a channel is compared with what the authority is known to hold, and the difference is asked
 * for. What was asked and not answered is not known; it is asked again.
 */
#ifndef PC_CLUSTER_WANTS_H
#define PC_CLUSTER_WANTS_H

#include "cluster/remote.h"

/* All on the node's thread, without the mutex. */

void pc_wants_init(struct pusherc_link *node);
void pc_wants_free(struct pusherc_link *node);

/* Asks for what is wanted and not there, and lets clients in. May free the channel. */
void pc_wants_look(struct pc_remote *remote);
/* At all channels of a partition; at those that a report has changed; at those that have to wait for the tick. */
void pc_wants_look_all(struct pc_node_part *part);
void pc_wants_look_soon(struct pc_node_part *part);
void pc_wants_tick(struct pc_node_part *part);

/* The topic of this channel is subscribed. */
void pc_wants_subscribed(struct pusherc_link *node, pusherc_slice key);
/* The link's subscriptions are gone. */
void pc_wants_unsubscribed(struct pc_node_part *part);
/* What the authority holds of this incarnation is not known any more. */
void pc_wants_unknown(struct pc_node_part *part);
/* The answer to MINE, without its first word. False: it makes no sense, or memory ran out. */
bool pc_wants_mine(struct pc_node_part *part, const pusherc_slice *values, size_t count);

#endif
