/*
 * The joins that a session has begun. Without a decider (fanout/decider.h) each is finished at once. With one it may
 * take its time: then the session holds the join, and answers the client in the order in which it asked, so a join
 * that is decided waits behind one that is not.
 */
#ifndef PC_SESSION_JOINING_H
#define PC_SESSION_JOINING_H

#include "session/session.h"

struct pc_grant;
struct pc_refusal;

/* What came of a join: the client was told that it has `subscription`; NULL: it is not told yet, *why says what to
 * refuse with. `channel` is valid during the call. */
typedef void (*pc_joined_fn)(struct pc_session *session, pusherc_slice channel,
                             struct pc_grant *grant, struct pc_subscription *subscription,
                             struct pc_refusal *why);

/* Joins and calls `then`, now or later; never if the join is abandoned. What `join` points to is copied if it has to
 * wait. `grant` (NULL = none) must stay as long; its view is the subscription's. */
void pc_session_begin_join(struct pc_session *session, struct pc_join *join, struct pc_grant *grant,
                           pc_joined_fn then);
/* A join of this channel waits. */
bool pc_session_join_waits(const struct pc_session *session, pusherc_slice channel);
/* Takes it back. False: none waits. What waited behind it is answered in the next turn. */
bool pc_session_abandon_join(struct pc_session *session, pusherc_slice channel);
void pc_session_abandon_joins(struct pc_session *session); /* all of them */

#endif
