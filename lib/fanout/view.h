/*
 * Events on channels whose views see different things: the rule's render function is called once per view that has
 * subscribers, on the publishing thread and without a lock. Each outcome is encoded once and becomes a variant of
 * one event.
 */
#ifndef PC_FANOUT_VIEW_H
#define PC_FANOUT_VIEW_H

#include "fanout/posting.h"
#include "fanout/publish.h"
#include "fanout/subscription.h"

/* What is published, as the recipients' views may see it. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_view_event(struct pc_engine *engine, const struct pc_app *app,
                             const struct pc_publication *p, const struct pc_recipients *recipients,
                             struct pc_frame **out);

/* member_added of a newcomer, as the views that are there now may see it. 0 or PUSHERC_ENOMEM. *out is NULL if
 * there is no subscriber to tell. */
PC_CHECKED int pc_view_member_added(struct pc_engine *engine, const struct pc_join *join,
                                    struct pc_frame **out);

/* What a newcomer may see of the event that its cache channel keeps: appends the message to `out`, or nothing
 * if that is not for this view. */
void pc_render_cached(struct pc_engine *engine, const struct pc_join *join,
                      const struct pc_cached *cached, struct pc_buf *out);

#endif
