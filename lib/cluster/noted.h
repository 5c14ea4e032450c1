/*
 * Edges that the teller has noted with the observer, until no endpoint waits for them any more: then they are taken off the
 * list (TOLD). Those of a channel, and of a member, leave the list in their order: otherwise another teller would tell one
 * that is over.
 */
#ifndef PC_CLUSTER_NOTED_H
#define PC_CLUSTER_NOTED_H

#include "cluster/edge.h"

void pc_noted_init(struct pc_node_part *part);
void pc_noted_free(struct pc_node_part *part);

bool pc_noted_has(const struct pc_node_part *part, pusherc_slice id);
/* id, kind, channel, user; behind those of the same channel or user. Returns where what endpoints wait for is put (counted;
 * NULL = no endpoint can wait), or NULL: out of memory. */
struct pc_acceptance **pc_noted_add(struct pc_node_part *part, const struct pc_edge_kind *kind,
                                    const pusherc_slice *edge);
/* Takes what is done off the list. `all`: does not wait for endpoints. */
void pc_noted_acknowledge(struct pc_node_part *part, bool all);
/* They are read again. */
void pc_noted_forget(struct pc_node_part *part);

#endif
