/*
 * What the teller has told last of each channel and member. When the data has gone back, it skips what repeats that, and
 * looks whether what it told is still so (CHECK).
 */
#ifndef PC_CLUSTER_TOLD_H
#define PC_CLUSTER_TOLD_H

#include "cluster/edge.h"

void pc_told_init(struct pc_node_part *part);
void pc_told_free(struct pc_node_part *part);

/* False: the same was told last. What memory runs out for is told. */
bool pc_told_remember(struct pc_node_part *part, pusherc_slice channel, pusherc_slice user,
                      bool there);
void pc_told_forget(struct pc_node_part *part);
void pc_told_forget_old(struct pc_node_part *part);

/* The data may have gone back since. */
void pc_told_doubt(struct pc_node_part *part);
/* Asks whether it is so, if that is in doubt; tells what is so instead. */
void pc_told_check(struct pc_node_part *part);

#endif
