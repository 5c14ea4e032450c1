/*
 * The established connections of one worker, as queries of the host see them, on any thread. The worker changes what
 * they read under a lock of its own: its table of users (user.h), a session's sign-in, and the list of sessions in this
 * file. The lock is a leaf: no other lock and no function of the host is called under it.
 */
#ifndef PC_SESSION_LISTING_H
#define PC_SESSION_LISTING_H

#include "session/session.h"

/* The worker's thread. Between the two a session's app, identities, socket id and address stay, except that the user of
 * a sign-in may appear or change under the lock. */
void pc_listing_add(struct pc_session *session);
void pc_listing_remove(struct pc_session *session);

/* Both visit with the lock held. Any thread. */
typedef void (*pc_listing_visit_fn)(const struct pc_session *session, void *ctx);
/* Every connection of the app. Takes the lock anew for every few of them, so that the worker does not wait long. */
void pc_listing_each(struct pc_worker *worker, uint64_t app_uid, pc_listing_visit_fn visit,
                     void *ctx);
/* The connections of one user, each once. */
void pc_listing_of_user(struct pc_worker *worker, uint64_t app_uid, pusherc_slice user_id,
                        pc_listing_visit_fn visit, void *ctx);

#endif
