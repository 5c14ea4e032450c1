/*
 * Which users are online, told to those who watch them (protocol section 2.13).
 *
 * A user who is signed in or watched is a channel under a name that no client can ask for. It counts signed-in
 * connections, its subscriber lists hold the watchers, and both hold it without subscribing: as it is never
 * occupied, nothing lists it or tells of it. Every change happens and is numbered under the shard's lock, so that
 * what a watcher is told first and the events that follow fit together exactly.
 */
#ifndef PC_FANOUT_WATCH_H
#define PC_FANOUT_WATCH_H

#include "fanout/subscription.h"

/* One more connection signed in as the user: watchers hear "online" if it is the first. 0 or PUSHERC_ENOMEM.
 * *user is held until pc_user_left(). */
PC_CHECKED int pc_user_came(struct pc_worker *worker, struct pc_app *app, pusherc_slice user_id,
                            struct pc_channel **user);
/* One less. Once the user has had no connection for the app's offline_delay_ms, watchers hear "offline". */
void pc_user_left(struct pc_worker *worker, struct pc_app *app, struct pc_channel *user);

/* *online is how the user is before every event that follows. 0 or PUSHERC_ENOMEM. *out is the caller's until
 * pc_unwatch(). */
PC_CHECKED int pc_watch(struct pc_worker *worker, struct pc_app *app, struct pc_outq *q,
                        pusherc_slice user_id, struct pc_subscription **out, bool *online);
void pc_unwatch(struct pc_worker *worker, struct pc_subscription *watch); /* frees */

/* The user it watches; valid until pc_unwatch(). */
pusherc_slice pc_watched_id(const struct pc_subscription *watch);

#endif
