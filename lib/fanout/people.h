/*
 * Tells the host which users are online (pusherc_hooks.on_user), for apps with `user_events`. A user is online while one
 * of its connections is there, by the host's identity or by a sign-in, or while it is a member of a presence channel,
 * absent ones included (absence.h). One who has left for good is told after the app's offline_delay_ms; one who is back
 * before that has not been away.
 */
#ifndef PC_FANOUT_PEOPLE_H
#define PC_FANOUT_PEOPLE_H

#include "channel/people.h"
#include "fanout/engine.h"

/* By what the user is there. */
enum pc_people_by {
    PC_PEOPLE_CONNECTION,
    PC_PEOPLE_CHANNEL
};

/* What the host is to be told; `number` 0 = nothing. */
struct pc_user_change {
    bool online;
    uint64_t number, away_ms;
};

/* The part that can fail. 0: *out is for pc_people_came() or pc_people_cancel(); PUSHERC_ENOMEM. Any lock may be held
 * here and below. */
PC_CHECKED int pc_people_reserve(struct pc_app *app, pusherc_slice user_id, struct pc_person **out);
void pc_people_cancel(struct pc_app *app, struct pc_person *person); /* NULL is harmless */
/* Counts one connection, or one channel, more, until pc_people_left(). */
void pc_people_came(struct pc_worker *worker, struct pc_app *app, struct pc_person *person,
                    enum pc_people_by by, struct pc_user_change *change);
/* Counts one less. `at_once`: the host or an operator has closed it, so the user is told as offline without the delay.
 * NULL is harmless. */
void pc_people_left(struct pc_worker *worker, struct pc_app *app, struct pc_person *person,
                    enum pc_people_by by, bool at_once, struct pc_user_change *change);
/* Calls the hook if there is something to tell. The caller holds no lock. */
void pc_people_tell(struct pc_worker *worker, const struct pc_app *app, pusherc_slice user_id,
                    const struct pc_user_change *change);

/* The server stops: who is away is offline. The caller holds no lock. */
void pc_people_hurry(struct pc_worker *worker);
/* Stops and frees the worker's timers, before the worker is freed. */
void pc_people_forget(struct pc_worker *worker);

#endif
