/*
 * A session as a member of channels: joining, leaving, and telling the client, the log and the host
 * what came of it. Who decides whether it may join is in subscribe.c and grant.c, which call this.
 */
#ifndef PC_SESSION_MEMBER_H
#define PC_SESSION_MEMBER_H

#include "session/session.h"

/* Bytes of a channel name in messages: a name that breaks the grammar may be long. */
#define PC_MAX_SHOWN_NAME 300

/* Why something is refused. */
struct pc_refusal {
    pusherc_denial_reason reason;
    int status;
    pusherc_slice text;         /* for the client */
    const struct pc_rule *rule; /* that was asked, or NULL */
    /* as whom the host was asked, for the host; NULL = as pc_session_identity() */
    const struct pc_identity *who;
    pusherc_slice detail; /* for the host; len 0 = the text */
};
/* Fills *why with these and nothing else. Returns false, so that a check can end with it. */
bool pc_refusal_set(struct pc_refusal *why, pusherc_denial_reason reason, int status,
                    const char *text);

/* Refuses a subscribe: pusher:error, pusher:subscription_error, the log, on_denied. */
void pc_session_refuse(struct pc_session *session, pusherc_slice channel, struct pc_refusal why);
/* Tells the client that it no longer has the channel; also the log and on_denied. */
void pc_session_revoked(struct pc_session *session, pusherc_slice channel, struct pc_refusal why);
/* The log and on_denied only. */
void pc_session_tell_host(struct pc_session *session, pusherc_slice channel,
                          const struct pc_refusal *why);

/* NULL: the session is not subscribed to the channel. */
struct pc_subscription *pc_session_subscription(struct pc_session *session, pusherc_slice channel);
/* Presence: do the member's id and info keep the limits? True for other kinds. False: *why says
 * why. */
bool pc_session_check_member(struct pc_session *session, const struct pc_join *join,
                             struct pc_refusal *why);
/* What to refuse with when the channel has no room for another view: PUSHERC_ELIMIT; or PUSHERC_ENOMEM. */
struct pc_refusal pc_session_view_refusal(int err);
/* What to refuse with when joining failed, except for the view. */
struct pc_refusal pc_session_join_refusal(struct pc_session *session, int err);
/* The second half of joining, see joining.h: joins and answers the client. NULL: *why says what to
 * refuse with. */
struct pc_subscription *pc_session_join(struct pc_session *session, const struct pc_join *join,
                                        struct pc_refusal *why);
void pc_session_leave(struct pc_session *session, struct pc_subscription *subscription);

#endif
