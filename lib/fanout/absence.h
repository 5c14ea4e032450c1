/*
 * Members of presence channels who are absent: their last subscription has ended, and they may come back. To all others
 * such a user is a member as before, in rosters, counts, frames, hooks and webhooks. The roster lists absent members
 * in the order in which they left, and each keeps the count of its last subscription, in the roster and in the channel.
 * A join of the user takes that count over, and nothing has happened. Otherwise one timer of the channel ends the
 * absence, which is when the user leaves. So an absence costs no memory of its own, and its begin and end a few
 * instructions.
 *
 * A user may be absent for the time that the app or the channel's rule grants (presence_grace_ms), and in any case until
 * PC_GATHER_MS have passed since the channel was told that the user is there: a client that comes and goes as fast as
 * it can costs the others two messages in that time.
 */
#ifndef PC_FANOUT_ABSENCE_H
#define PC_FANOUT_ABSENCE_H

#include "fanout/posting.h"
#include "fanout/subscription.h"

/* Locked. A client joins as this member; `added`: the channel is told that the member is there. True: the member was
 * absent and is back. The caller has counted the new subscription in the roster, and does not count it in the channel. */
bool pc_absence_over(struct pc_worker *worker, const struct pc_join *join,
                     struct pc_roster_member *member, bool added, struct pc_posting *posting);
/* Locked. The member's last subscription has ended. True: the member is absent, and the subscription stays counted.
 * False: it leaves now, because its time is up, the server stops, or memory is short. */
bool pc_absence_begin(struct pc_worker *worker, struct pc_app *app, struct pc_channel *channel,
                      struct pc_roster_member *member);
/* This user's absences in presence channels of this app end now, those whose timers this worker has. The caller holds no
 * lock. */
void pc_absence_expel(struct pc_worker *worker, uint64_t app_uid, pusherc_slice user_id);

#endif
