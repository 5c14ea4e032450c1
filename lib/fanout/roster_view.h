/*
 * The roster of a presence channel whose views see different data of its members. The host's function renders each
 * member and must not run under a lock, so the members are copied with the shard locked and rendered after the unlock.
 */
#ifndef PC_FANOUT_ROSTER_VIEW_H
#define PC_FANOUT_ROSTER_VIEW_H

#include "fanout/subscription.h"

/* Locked. Appends the members without rendering; an error stays in the buffer's status. */
void pc_copy_members(const struct pc_channel *channel, struct pc_buf *raw);
/* Appends the roster's JSON, as the newcomer of this join may see it, to `out`. `raw` comes from pc_copy_members().
 * 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_render_roster(struct pc_engine *engine, const struct pc_join *join,
                                pusherc_slice raw, struct pc_buf *out);

#endif
