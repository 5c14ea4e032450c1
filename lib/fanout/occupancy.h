/*
 * What joins and leaves mean, in one place: the subscribers of a presence channel hear of members, those of other
 * channels how many they are, the observer (webhooks) and the host's hook what became of the channel. One list says
 * what happened, in the order in which it is told; it is made under the shard's lock, where subscribers and the
 * observer are told, and walked again without a lock for the host.
 */
#ifndef PC_FANOUT_OCCUPANCY_H
#define PC_FANOUT_OCCUPANCY_H

#include "fanout/view.h"

struct pc_roster_member;

/* One join or leave. */
struct pc_occupancy {
    bool joined;      /* false: left */
    bool edge;        /* the channel's first subscription came, or its last went */
    bool member_edge; /* the same for this user */
    pusherc_slice user_id;
};

/* Locked, after the change. Fills the list, tells the observer, and the subscribers how many they are. */
void pc_occupancy_changed(struct pc_worker *worker, struct pc_app *app, struct pc_channel *channel,
                          const struct pc_occupancy *what, struct pc_posting *posting,
                          struct pc_channel_change *change);
/* No lock is held. Tells the host's hook. */
void pc_occupancy_tell_host(struct pc_engine *engine, const struct pc_app *app,
                            pusherc_slice channel, pusherc_slice user_id,
                            const struct pc_channel_change *change);

/* Locked. The roster has one member more, or one less: subscribers hear of it. On a channel with views the
 * posting has the event that was rendered. 0; PUSHERC_EBACKLOG; PUSHERC_ENOMEM. */
PC_CHECKED int pc_occupancy_member_added(struct pc_engine *engine, struct pc_channel *channel,
                                         const struct pc_roster_member *member,
                                         struct pc_posting *posting);
PC_CHECKED int pc_occupancy_member_removed(struct pc_engine *engine, struct pc_channel *channel,
                                           pusherc_slice user_id, struct pc_posting *posting);

/* Another process has this member of a presence channel, or has it no more. Subscribers here hear of it if that changes
 * the roster, once. Of the join only app, channel, class, match and user count. No lock is held; any thread. 0;
 * PUSHERC_ENOENT: the channel, or the member to be removed, is not here; PUSHERC_ENOMEM: nothing was added, or the
 * removal was not told. */
PC_CHECKED int pc_occupancy_mirror(struct pc_engine *engine, const struct pc_join *who, bool there);

#endif
