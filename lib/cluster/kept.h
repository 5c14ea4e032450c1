/*
 * What cache channels keep: one last event for all nodes. The authority keeps it with the step that publishes it (KEEP,
 * relay.c), under a stamp that grows, and each node with subscribers keeps it as well, in the directory. What a node has
 * not heard it reads (KEPT): when it subscribes to the topic, and now and then, because no later message shows that the
 * last one was lost. What is newer than what is kept here is told to the subscribers; what is older changes nothing. When
 * the data has gone back, each node brings what it has (REKEEP).
 *
 * tests/cluster/model/cached.py has the same rules in a form that can be run with faults.
 */
#ifndef PC_CLUSTER_KEPT_H
#define PC_CLUSTER_KEPT_H

#include "cluster/remote.h"

/* All on the node's thread, without the mutex. */

/* The link is up: brings and reads what is needed. `wanted`: clients here have the channel, or wait for it. */
void pc_kept_look(struct pc_remote *remote, bool wanted);
/* The topic is gone, or the data may be another: what is kept is read before newcomers are let in. */
void pc_kept_unknown(struct pc_remote *remote);
/* The data is another: what is kept here is brought. */
void pc_kept_other_data(struct pc_node_part *part);
/* Reads anew what channels keep. */
void pc_kept_sweep(struct pc_node_part *part);

/* "<stamp> <stamp before> \n<event>"; a change of a roster has an epoch before the end of its first line. */
bool pc_kept_is_event(pusherc_slice message);
/* An event that is kept. False: it makes no sense. */
bool pc_kept_hears(struct pc_node_part *part, pusherc_slice key, pusherc_slice message);

#endif
