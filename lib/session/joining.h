/*
 * The joins that a session has begun. A join finishes at once, except in two cases. A decider (fanout/decider.h) may answer
 * later. A long join waits in the worker's list `joins` for its turn, which comes after all input, so that ten thousand of
 * them hold up no other client: that of a newcomer of a presence channel with more than PC_CROWD members, who gets the
 * roster and of whom all hear, and that of a client that is sent what it has missed. Meanwhile the session holds the join.
 * The client gets its answers in the order in which it subscribed, so a join that is decided waits behind one that is not.
 */
#ifndef PC_SESSION_JOINING_H
#define PC_SESSION_JOINING_H

#include "session/session.h"

struct pc_grant;
struct pc_refusal;

/* The result of a join. `subscription` not NULL: the client has been told. NULL: the client has not been told, and *why
 * says what to refuse with. `channel` is valid during the call. */
typedef void (*pc_joined_fn)(struct pc_session *session, pusherc_slice channel,
                             struct pc_grant *grant, struct pc_subscription *subscription,
                             struct pc_refusal *why);

/* Joins and calls `then`, now or later, but not if the join is abandoned. Copies what `join` points to if the join has
 * to wait. `grant` (NULL = none) must stay valid as long; the subscription gets its view. */
void pc_session_begin_join(struct pc_session *session, struct pc_join *join, struct pc_grant *grant,
                           pc_joined_fn then);
/* True while a join of this channel waits. */
bool pc_session_join_waits(const struct pc_session *session, pusherc_slice channel);
/* Cancels the join of this channel. False: none waits. Joins that waited behind it are answered in the next turn. */
bool pc_session_abandon_join(struct pc_session *session, pusherc_slice channel);
void pc_session_abandon_joins(struct pc_session *session); /* all of them */

/*
 * Finishes long joins, those that came first, for so many nanoseconds, and one in any case. False: none waited. While the
 * worker's queues hold PC_JOINS_BYTES, no more of them than bring PC_JOINS_LEAST, and one longer: ten thousand rosters, and
 * what the members hear of each other, are not in memory at once, but made as fast as the clients read them.
 */
#define PC_JOINS_BYTES (32u << 20)
#define PC_JOINS_LEAST (64u << 10)
#define PC_JOINS_MS    1 /* the next ones are finished after that, however much waits to be read */
bool pc_session_serve_joins(struct pc_worker *worker, uint64_t (*clock_ns)(void), uint64_t ns);
/* Some wait, and need not wait for clients. */
static inline bool pc_session_has_joins(const struct pc_worker *worker)
{
    return !pc_list_empty(&worker->joins) && worker->queued_bytes < PC_JOINS_BYTES;
}

#endif
