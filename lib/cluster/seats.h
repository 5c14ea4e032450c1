/*
 * Limits of connections over all nodes (fanout/seat.h). Each limit is a channel that no client can name, with the
 * connections of this node as its count: COUNT grants as many as fit. The newest of those that do not fit are closed;
 * a connection that fitted once is not, so one that was counted again after data was lost, or after a time without a
 * link, may be above the limit.
 */
#ifndef PC_CLUSTER_SEATS_H
#define PC_CLUSTER_SEATS_H

#include "cluster/remote.h"

/* Sets the engine's `seats`. */
void pc_seats_init(struct pusherc_link *node);
void pc_seats_free(struct pusherc_link *node);

/* The rest on the node's thread, without the mutex. */

/* Appends the limit, as COUNT wants it; nothing: there is none. Notes which seats are being counted, and how many. */
uint64_t pc_seats_put_most(struct pc_remote *remote, struct pc_values *args);
/* The authority has granted so many of them. */
void pc_seats_counted(struct pc_remote *remote, uint64_t granted);
/* There are as many as the authority has counted: what came while another connection ended fits in its place. */
void pc_seats_fit(struct pc_remote *remote);

#endif
