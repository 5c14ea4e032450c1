/*
 * Events on channels whose views see different data. An event is rendered once per view that has subscribers, on the
 * publishing thread and without a lock: the host's function may be called. Each result is encoded once and becomes a variant of one
 * event; views that see the data unchanged share one variant. So the cost grows with the number of views and not with
 * the number of subscribers.
 */
#ifndef PC_FANOUT_VIEW_H
#define PC_FANOUT_VIEW_H

#include "fanout/posting.h"
#include "fanout/publish.h"
#include "fanout/subscription.h"

/* Makes the event of a publication, as the recipients' views may see it. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_view_event(struct pc_engine *engine, const struct pc_app *app,
                             const struct pc_publication *p, const struct pc_recipients *recipients,
                             struct pc_frame **out);

/* Makes the event member_added of a newcomer, as the channel's views may see it now. 0 or PUSHERC_ENOMEM. *out is NULL
 * if the channel has no subscriber. */
PC_CHECKED int pc_view_member_added(struct pc_engine *engine, const struct pc_join *join,
                                    struct pc_frame **out);

/* Appends the message with what a newcomer may see of an event from before it joined. Appends nothing if its view may
 * not see the event. Without memory the buffer's status says so. `user_id`: of a client event on a presence channel, else
 * len 0. */
void pc_render_past(struct pc_engine *engine, const struct pc_join *join, pusherc_slice event,
                    pusherc_slice data, pusherc_slice user_id, struct pc_buf *out);

#endif
