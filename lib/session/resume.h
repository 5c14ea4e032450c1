/*
 * What a client says about its past: pusher:resume names channels and the id of the last event that it has seen of
 * each. A session remembers them until it subscribes to the channel, and is then sent what it has missed
 * (channel/history.h), before any event that follows.
 *
 * pusher-js can neither add a member to its subscribe messages nor a parameter to its URL, but it sends what a page
 * gives it. So the positions come in a message of their own, before the subscribe messages.
 */
#ifndef PC_SESSION_RESUME_H
#define PC_SESSION_RESUME_H

#include "session/session.h"

struct pc_resume;

/* The last event of a channel that a client has seen. */
struct pc_resume_point {
    bool given;      /* the client has named the channel */
    bool known;      /* this server has given the id */
    uint64_t number; /* of the event */
};

/* The client has named the channel, and has not subscribed to it since. */
bool pc_resume_awaits_join(const struct pc_session *session, pusherc_slice channel);
/* Takes what the client has said about the channel: it counts for one subscribe. */
struct pc_resume_point pc_resume_take_point(struct pc_session *session, pusherc_slice channel);
static inline struct pc_resume_point pc_resume_take(struct pc_session *session,
                                                    pusherc_slice channel)
{
    return session->resume ? pc_resume_take_point(session, channel)
                           : (struct pc_resume_point){.given = false};
}
/* Sends what the new subscriber has missed, or says that events may be missing. True: it has all events up to the join,
 * or the last ones. */
bool pc_resume_replay(struct pc_session *session, const struct pc_join *join,
                      const struct pc_channel_change *change, struct pc_resume_point point);
void pc_resume_free(struct pc_session *session); /* harmless if the client has said nothing */

#endif
