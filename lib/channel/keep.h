/*
 * Which channels keep an event. A cache channel keeps its last one until its time is over, also while it has no
 * subscriber. All kept events together have a maximum, which the apps share: above it the app that holds most loses its
 * oldest event, so an app loses nothing to another one that holds more.
 *
 * The channels that keep an event are listed by age, all of them and those of each app, under a lock of their own that
 * is taken under a shard's. Keeping an event costs that lock and a change in a heap of apps. Events are removed after
 * the publisher has released its shard, one after the other, each under the lock of its own shard.
 */
#ifndef PC_CHANNEL_KEEP_H
#define PC_CHANNEL_KEEP_H

#include "channel/cached.h"
#include "channel/directory.h"

/* Locked. Replaces the event that the channel keeps; counts `cached`. True: the caller calls pc_kept_make_room() when it
 * has released the shard. */
PC_CHECKED bool pc_channel_keep(struct pc_directory *dir, struct pc_channel *channel,
                                struct pc_cached *cached, uint64_t now_ms);
/* Removes events whose time is over, and others until the rest is within the maximum; the one published last stays,
 * however large. Frees channels that existed only for their event. The caller holds no lock. */
void pc_kept_make_room(struct pc_directory *dir, uint64_t now_ms);
/* Removes all events of an app that has been removed. The caller holds no lock. */
void pc_kept_forget(struct pc_directory *dir, const struct pc_app_state *app);
/* Locked. The event that the channel keeps, counted for the caller; NULL: none, or its time is over. */
struct pc_cached *pc_channel_kept(const struct pc_channel *channel, uint64_t now_ms);

#endif
