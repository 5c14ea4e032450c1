/*
 * Whose connections a worker has: user id -> sessions. A connection is a user's by the host's answer to
 * `identify`, by pusher:signin, or by both, and then of two users if they differ. One worker's thread.
 */
#ifndef PC_SESSION_USER_H
#define PC_SESSION_USER_H

#include "fanout/watch.h"

struct pc_session;
struct pc_user;

#define PC_USER_OVER_QUOTA "The user has too many connections"

/* One session as one user's. */
struct pc_user_conn {
    struct pc_list of_user;
    struct pc_session *session;
    struct pc_user *user;
    bool signed_in;           /* by pusher:signin, not by the host */
    struct pc_count *counted; /* it is one of the user's connections; NULL = they are not limited */
    struct pc_channel *online; /* it counts for watchers of the user; NULL = nobody may watch */
    struct pc_list watches;    /* struct pc_subscription: the users that it watches itself */
};

/* The session's app and identity are set. 0; PUSHERC_ELIMIT: the user has too many connections; PUSHERC_ENOMEM. */
PC_CHECKED int pc_user_conn_new(struct pc_user_conn **out, struct pc_session *session,
                                pusherc_slice user_id, bool signed_in);
void pc_user_conn_free(struct pc_user_conn *conn);    /* NULL is harmless */
void pc_user_conn_unwatch(struct pc_user_conn *conn); /* all */

/* Visits this worker's connections of a user; a session that is the user's both ways comes twice. The visitor
 * may close sessions, which end later. */
typedef void (*pc_user_visit_fn)(struct pc_user_conn *conn, void *ctx);
void pc_user_each(struct pc_worker *worker, uint64_t app_uid, pusherc_slice user_id,
                  pc_user_visit_fn visit, void *ctx);

#endif
