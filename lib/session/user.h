/*
 * The connections of each user on one worker: user id -> sessions. A connection belongs to a user
 * by the host's answer to `identify`, by pusher:signin, or by both; if they differ, to two users.
 * And the grants that have a user of their own, who asked an auth endpoint: user id -> grants.
 * One worker's thread.
 */
#ifndef PC_SESSION_USER_H
#define PC_SESSION_USER_H

#include "fanout/watch.h"

struct pc_grant;
struct pc_identity;
struct pc_session;
struct pc_user;

/* One session as a connection of one user. */
struct pc_user_conn {
    struct pc_list of_user;
    struct pc_session *session;
    struct pc_user *user;
    bool signed_in;            /* by pusher:signin, not by the host */
    struct pc_count *counted;  /* the user's count of connections; NULL = not counted */
    struct pc_channel *online; /* the channel of its watchers; NULL = the app has no watchlists */
    struct pc_person *person;  /* as the host sees it: fanout/people.h; NULL = not counted there */
    struct pc_list watches;    /* struct pc_subscription: the users that it watches itself */
    struct pc_watching
        *watching; /* owned; those that it is about to watch; NULL = there are none */
};

/* The session's app and identity are set. 0; PUSHERC_ELIMIT: the user has too many connections;
 * PUSHERC_ENOMEM. */
PC_CHECKED int pc_user_conn_new(struct pc_user_conn **out, struct pc_session *session,
                                pusherc_slice user_id, bool signed_in);
void pc_user_conn_free(struct pc_user_conn *conn);    /* NULL is harmless */
void pc_user_conn_unwatch(struct pc_user_conn *conn); /* stops watching all users */

/* Visits the user's connections on this worker. A session that belongs to the user by identity
 * and by sign-in is visited twice. The visitor may close sessions; they end later. */
typedef void (*pc_user_visit_fn)(struct pc_user_conn *conn, void *ctx);
void pc_user_each(struct pc_worker *worker, uint64_t app_uid, pusherc_slice user_id,
                  pc_user_visit_fn visit, void *ctx);
/* The same, each session once. */
typedef void (*pc_user_session_fn)(struct pc_session *session, void *ctx);
void pc_user_each_session(struct pc_worker *worker, uint64_t app_uid, pusherc_slice user_id,
                          pc_user_session_fn visit, void *ctx);

/* The identity that a grant has for itself. */
struct pc_grant_owner {
    struct pc_list of_user;
    struct pc_user *user; /* NULL = the identity has no user id */
    struct pc_grant *grant;
    struct pc_identity *identity; /* counted */
};
/* 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_grant_owner_new(struct pc_grant_owner **out, struct pc_worker *worker,
                                  uint64_t app_uid, struct pc_grant *grant,
                                  struct pc_identity *identity);
/* NULL is harmless. */
void pc_grant_owner_free(struct pc_worker *worker, struct pc_grant_owner *owner);

/* Visits the grants that are the user's by themselves. The visitor may free the grant that it gets. */
typedef void (*pc_user_grant_fn)(struct pc_grant *grant, void *ctx);
void pc_user_each_grant(struct pc_worker *worker, uint64_t app_uid, pusherc_slice user_id,
                        pc_user_grant_fn visit, void *ctx);

#endif
