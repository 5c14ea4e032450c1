/*
 * Tells watchers which users are online (protocol section 2.13).
 *
 * A user who is signed in or watched is a channel under a name that no client can ask for. The channel counts the
 * user's signed-in connections, and its lists of subscribers hold the watchers. Both keep the channel alive as holders
 * and not as subscriptions, so the channel is never occupied, and neither the API nor webhooks report it. Each change
 * is made and numbered under the shard's lock, so the state that a watcher is told first and the events that follow fit
 * together exactly.
 */
#ifndef PC_FANOUT_WATCH_H
#define PC_FANOUT_WATCH_H

#include "fanout/subscription.h"

/* Counts one more connection that is signed in as the user. Watchers are told "online" if it is the first. 0 or
 * PUSHERC_ENOMEM. *user is held until pc_user_left(). */
PC_CHECKED int pc_user_came(struct pc_worker *worker, struct pc_app *app, pusherc_slice user_id,
                            struct pc_channel **user);
/* Counts one connection less. Watchers are told "offline" when the user has had no connection for the app's
 * offline_delay_ms. */
void pc_user_left(struct pc_worker *worker, struct pc_app *app, struct pc_channel *user);

/* Begins to watch a user. *online is the user's state now; the watcher gets an event for each later change. 0 or
 * PUSHERC_ENOMEM. The caller owns *out until pc_unwatch(). */
PC_CHECKED int pc_watch(struct pc_worker *worker, struct pc_app *app, struct pc_outq *q,
                        pusherc_slice user_id, struct pc_subscription **out, bool *online);
void pc_unwatch(struct pc_worker *worker, struct pc_subscription *watch); /* frees */

/* The id of the watched user; valid until pc_unwatch(). */
pusherc_slice pc_watched_id(const struct pc_subscription *watch);

#endif
