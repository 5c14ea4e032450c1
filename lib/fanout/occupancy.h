/*
 * Who is told about a join or leave. The subscribers of a presence channel are told of members, those of other channels
 * how many there are. The observer (webhooks) and the host's hook are told what changed in the channel. One list
 * (struct pc_channel_change) holds what happened, in the order in which it is told. It is made under the shard's lock,
 * where subscribers and the observer are told, and is walked again without a lock to tell the host.
 */
#ifndef PC_FANOUT_OCCUPANCY_H
#define PC_FANOUT_OCCUPANCY_H

#include "fanout/view.h"

struct pc_roster_member;

/* One join or leave. */
struct pc_occupancy {
    bool joined;      /* false: left */
    bool edge;        /* it is the channel's first subscription, or was its last */
    bool member_edge; /* the same for this user */
    pusherc_slice user_id;
};

/* Locked, after the change. Fills the list, and tells the observer and the subscribers. */
void pc_occupancy_changed(struct pc_worker *worker, struct pc_app *app, struct pc_channel *channel,
                          const struct pc_occupancy *what, struct pc_posting *posting,
                          struct pc_channel_change *change);
/* Locked. A subscription has ended that the channel counts, and its member's, if it had one. Takes it off both counts,
 * and tells those who are told. `user_id`, which may be NULL, receives the member's id if this was its last
 * subscription. 0, or why member_removed was lost: for pc_occupancy_note_lost(). */
PC_CHECKED int pc_occupancy_left(struct pc_worker *worker, struct pc_app *app,
                                 struct pc_channel *channel, struct pc_roster_member *member,
                                 struct pc_buf *user_id, struct pc_posting *posting,
                                 struct pc_channel_change *change);
/* Logs that subscribers were not told of a leave. `err` 0: they were. The caller holds no lock. */
void pc_occupancy_note_lost(struct pc_engine *engine, const struct pc_app *app, int err);
/* Tells the host's hook. The caller holds no lock. */
void pc_occupancy_tell_host(struct pc_worker *worker, const struct pc_app *app,
                            pusherc_slice channel, pusherc_slice user_id,
                            const struct pc_channel_change *change);

/* Locked. Tells the subscribers that the roster has one member more, or one less. On a channel with views, the posting
 * holds the rendered event. 0; PUSHERC_EBACKLOG; PUSHERC_ENOMEM. */
PC_CHECKED int pc_occupancy_member_added(struct pc_engine *engine, struct pc_channel *channel,
                                         const struct pc_roster_member *member,
                                         struct pc_posting *posting);
PC_CHECKED int pc_occupancy_member_removed(struct pc_engine *engine, struct pc_channel *channel,
                                           pusherc_slice user_id, struct pc_posting *posting);

/* Adds (`there`) or removes a member of a presence channel that another process has. Subscribers here are told once, if
 * the roster changes. Only app, channel, class, match and user of the join are used. Any thread; the caller holds no
 * lock. 0; PUSHERC_ENOENT: the channel, or the member to be removed, is not here; PUSHERC_ENOMEM: the member was not
 * added, or the subscribers were not told of the removal. */
PC_CHECKED int pc_occupancy_mirror(struct pc_engine *engine, const struct pc_join *who, bool there);

#endif
