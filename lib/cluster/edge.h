/* The kinds of edges: a channel is occupied or vacated, a member added or removed, a channel has another total. */
#ifndef PC_CLUSTER_EDGE_H
#define PC_CLUSTER_EDGE_H

#include "cluster/remote.h"

struct pc_edge_kind; /* one row of the table of kinds */

/* By its word in the list of edges. NULL: there is none. */
const struct pc_edge_kind *pc_edge_kind_of(pusherc_slice word);
/* What says that a channel is occupied or vacant, or that a member is there or not. */
const struct pc_edge_kind *pc_edge_kind_that(bool of_member, bool there);
bool pc_edge_is_total(const struct pc_edge_kind *kind);
/* A channel or member is there after it. */
bool pc_edge_is_there(const struct pc_edge_kind *kind);

/* Tells the observer and the host. `user`: of a total, the total. `acceptance`: may be NULL. */
void pc_edge_tell(const struct pc_node_part *part, const struct pc_edge_kind *kind,
                  pusherc_slice key, pusherc_slice user, struct pc_log_id id,
                  struct pc_acceptance *acceptance);

/* Identifies a channel, or a member of it (`user`), in a table. */
void pc_edge_put_key(struct pc_buf *key, pusherc_slice channel, pusherc_slice user);
#define PC_EDGE_KEY_BYTES 1024 /* room on the stack for most */

#endif
