/*
 * The teller: one node of each partition tells webhooks and the host's hook on_channel what becomes of channels, for all
 * nodes. The authority writes edges down (a channel is occupied or vacated, a member added or removed) and totals, in the
 * order in which they happened; the teller reads them (TELL), notes them with the observer, and takes them off the list
 * (TOLD) when no endpoint waits for them any more. So another teller goes on where this one ended. A list that is empty is
 * not read: the first edge is told of by the partition's topic.
 *
 * Edges of an app that it does not know it leaves in the list, and gives the office up: another node may know the app. What
 * no node has known for some time is taken off the list.
 *
 * It tells nothing that it asked for too long ago, because another node may be the teller since. It remembers what it has
 * told last of each channel and member: when the data has gone back, it skips what repeats that, and looks whether what it
 * told is still so (CHECK). Who is not the teller any more forgets.
 */
#ifndef PC_CLUSTER_TELLER_H
#define PC_CLUSTER_TELLER_H

#include "cluster/remote.h"

/* All on the node's thread, without the mutex. */

void pc_tellers_init(struct pusherc_link *node);
void pc_tellers_free(struct pusherc_link *node);

/* `wants` of the steps about a channel: 0 = its edges have no reader, 1 = edges, 2 = totals as well. */
uint64_t pc_teller_wants(const struct pc_remote *remote);
/* Also of what a dead node held: its apps may be others. */
#define PC_TELLER_WANTS_ALL 2

/* For RENEW: 1 = takes the office if it is vacant, or keeps it; 0 = gives it up, and tells nothing from now on. */
uint64_t pc_teller_office(struct pc_node_part *part);
/* The lease was renewed. `is`: this node is the teller. */
void pc_teller_renewed(struct pc_node_part *part, bool is);
/* Other data than before. */
void pc_teller_doubts(struct pc_node_part *part);
/* What this incarnation held was taken away, and perhaps its office. */
void pc_teller_fenced(struct pc_node_part *part);
/* All is settled: looks whether what was told is so, if that is in doubt. */
void pc_teller_settled(struct pc_node_part *part);
/* There may be something to tell. */
void pc_teller_called(struct pc_node_part *part);
/* On the partition's topic. False: it is not about tellers. */
bool pc_teller_hears(struct pc_node_part *part, pusherc_slice message);
void pc_teller_tick(struct pc_node_part *part);
/* Takes leave: tells what there is, without waiting for endpoints. True: there is nothing left to do. */
bool pc_teller_leave(struct pc_node_part *part);

#endif
