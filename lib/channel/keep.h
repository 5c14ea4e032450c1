/*
 * Which channels keep an event. A cache channel keeps its last one until its time is over, also while it has no
 * subscriber. All kept events together have a maximum: each shard lists its channels that keep one by age, and
 * adding an event removes from the same shard the events whose time is over, and the oldest ones while all shards
 * together hold too much.
 */
#ifndef PC_CHANNEL_KEEP_H
#define PC_CHANNEL_KEEP_H

#include "channel/cached.h"
#include "channel/directory.h"

/* Locked. Replaces the event that the channel keeps; counts `cached`. May free other channels of the shard that existed
 * only for their event. */
void pc_channel_keep(struct pc_directory *dir, struct pc_channel *channel, struct pc_cached *cached,
                     uint64_t now_ms);
/* Locked. The event that the channel keeps, counted for the caller; NULL: none, or its time is over. */
struct pc_cached *pc_channel_kept(const struct pc_channel *channel, uint64_t now_ms);

#endif
