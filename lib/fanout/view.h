/*
 * Events on channels whose audiences see different things: the rule's render function is called once per
 * view that has subscribers, on the publishing thread and without a lock; each outcome is encoded once. A
 * bundle takes all of them to the workers as one piece of mail with one number.
 */
#ifndef PC_FANOUT_VIEW_H
#define PC_FANOUT_VIEW_H

#include "fanout/publish.h"
#include "fanout/subscription.h"

struct pc_bundle;

/* pc_publish() to one channel that has views. */
PC_CHECKED int pc_publish_rendered(struct pc_engine *engine, const struct pc_app *app,
                                   pusherc_slice name, const struct pc_publication *p,
                                   const struct pc_keeping *keeping);

/* member_added of a newcomer, rendered for the audiences that are there now. *out is NULL when there is
 * nobody to tell. */
PC_CHECKED int pc_bundle_member_added(struct pc_engine *engine, const struct pc_join *join,
                                      struct pc_bundle **out);
/* Locked: the audiences are still those it was rendered for. */
bool pc_bundle_fits(const struct pc_bundle *bundle, const struct pc_channel *channel);
/* Locked: numbers it and posts it; the posting takes it over. */
PC_CHECKED int pc_bundle_post(struct pc_engine *engine, struct pc_channel *channel,
                              struct pc_bundle *bundle, struct pc_posting *posting);
/* Locked: one message to every audience, the same for all; who has no view gets nothing. */
PC_CHECKED int pc_publish_to_views(struct pc_engine *engine, struct pc_channel *channel,
                                   pusherc_slice message, struct pc_posting *posting);
void pc_bundle_release(struct pc_bundle *bundle); /* NULL is harmless; no lock is held */

/* What a newcomer may see of the event that its cache channel keeps: appends the message to `out`, or nothing
 * if that is not for this audience. */
void pc_render_cached(struct pc_engine *engine, const struct pc_join *join,
                      const struct pc_cached *cached, struct pc_buf *out);

/* A presence channel's members as the newcomer of this join may see them: `raw` is what
 * pc_copy_members() wrote under the lock. Appends the roster's JSON to `out`. */
void pc_copy_members(const struct pc_channel *channel, struct pc_buf *raw);
PC_CHECKED int pc_render_roster(struct pc_engine *engine, const struct pc_join *join,
                                pusherc_slice raw, struct pc_buf *out);

#endif
