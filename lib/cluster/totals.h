/*
 * Totals: how many subscriptions a channel has on all nodes, for subscription_count events. Each change of a node's count is
 * answered with the total, and publishes it. What the other nodes have is the last total without what this one has, so a
 * change here is told at once. A message may be older than an answer; then a later one follows, because the step that was
 * answered has published as well.
 */
#ifndef PC_CLUSTER_TOTALS_H
#define PC_CLUSTER_TOTALS_H

#include "cluster/remote.h"

/* All on the node's thread, without the mutex. */

/* Subscribers here are told how many there are: of an app that wants it. */
bool pc_totals_wanted(struct pc_remote *remote);
/* The authority has `own` subscriptions of this node. */
void pc_totals_counted(struct pc_remote *remote, uint64_t own, uint64_t total);
/* Asks again: the last message may be lost. */
void pc_totals_sweep(struct pc_node_part *part);
/* "C <total>". False: it makes no sense. */
bool pc_totals_hears(struct pc_node_part *part, pusherc_slice key, pusherc_slice message);

#endif
