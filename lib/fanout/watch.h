/*
 * Tells watchers which users are online (protocol section 2.13).
 *
 * A user who is signed in or watched is a channel under a name that no client can ask for. The channel counts the
 * user's signed-in connections, and its lists of subscribers hold the watchers. Both keep the channel alive as holders
 * and not as subscriptions, so the channel is never occupied, and neither the API nor webhooks report it. Each change
 * is made and numbered under the shard's lock, so the state that a watcher is told first and the events that follow fit
 * together exactly.
 *
 * With a decider (decider.h) a user may be online by connections of other processes. The decider is told who is here, and
 * who is watched. That a user has come is told here at once, and that others have the user when the decider says so.
 * That the user is offline is the decider's word alone, because only it knows of the others.
 */
#ifndef PC_FANOUT_WATCH_H
#define PC_FANOUT_WATCH_H

#include "fanout/subscription.h"

/* The user's id in the name of such a channel; len 0: it is another name. */
pusherc_slice pc_watched_user(pusherc_slice channel);

/* Counts one more connection that is signed in as the user. Watchers are told "online" if it is the first. 0 or
 * PUSHERC_ENOMEM. *user is held until pc_user_left(). */
PC_CHECKED int pc_user_came(struct pc_worker *worker, struct pc_app *app, pusherc_slice user_id,
                            struct pc_channel **user);
/* Counts one connection less. Watchers are told "offline" when the user has had no connection for the app's
 * offline_delay_ms. */
void pc_user_left(struct pc_worker *worker, struct pc_app *app, struct pc_channel *user);
/* For the decider: the user is online by connections of other processes, or not any more, and here only if the decider
 * was told so. Watchers are told if that changes the user's state. The caller holds the channel, and no lock. 0;
 * PUSHERC_ENOMEM: the user is not online. */
PC_CHECKED int pc_user_elsewhere(struct pc_worker *worker, const struct pc_app *app,
                                 struct pc_channel *user, bool online);

/* Begins to watch a user. *online is the user's state now; the watcher gets an event for each later change. 0 or
 * PUSHERC_ENOMEM. The caller owns *out until pc_unwatch(). With a decider it has to let the watcher in first: see below. */
PC_CHECKED int pc_watch(struct pc_worker *worker, struct pc_app *app, struct pc_outq *q,
                        pusherc_slice user_id, struct pc_subscription **out, bool *online);
void pc_unwatch(struct pc_worker *worker, struct pc_app *app,
                struct pc_subscription *watch); /* frees */

/* The id of the watched user; valid until pc_unwatch(). */
pusherc_slice pc_watched_id(const struct pc_subscription *watch);

/* Users that one watcher is about to watch, for an engine with a decider. */
struct pc_watching {
    struct pc_list users;
    uint32_t count, undecided; /* of them; those that the decider has not decided about */
    struct pc_worker *worker;
    struct pc_app *app; /* of the watcher's session, as `q` */
    struct pc_outq *q;
    /* Called when the decider has decided about the last one, but not from inside pc_watching_add(). */
    void (*decided)(void *ctx);
    void *ctx;
};
void pc_watching_init(struct pc_watching *watching, struct pc_worker *worker, struct pc_app *app,
                      struct pc_outq *q, void (*decided)(void *ctx), void *ctx);
/* Asks the decider about one user more. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_watching_add(struct pc_watching *watching, pusherc_slice user_id);
bool pc_watching_has(const struct pc_watching *watching, pusherc_slice user_id);
/* None is undecided. Watches one of the users, in order, and takes it out: as pc_watch(). */
PC_CHECKED int pc_watching_begin(struct pc_watching *watching, struct pc_subscription **out,
                                 bool *online);
void pc_watching_abandon(struct pc_watching *watching); /* takes out all */

#endif
