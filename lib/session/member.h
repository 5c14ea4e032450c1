/*
 * A session as a member of channels: joins and leaves, and tells the client, the log and the host the result.
 * subscribe.c and grant.c decide whether it may join, and call this.
 */
#ifndef PC_SESSION_MEMBER_H
#define PC_SESSION_MEMBER_H

#include "session/session.h"

/* Bytes of a channel name in messages: a name that breaks the grammar may be long. */
#define PC_MAX_SHOWN_NAME 300

/* The reason of a refusal. */
struct pc_refusal {
    pusherc_denial_reason reason;
    int status;
    pusherc_slice text;         /* for the client */
    const struct pc_rule *rule; /* that was asked, or NULL */
    /* for the host: the identity that the question was about; NULL = pc_session_identity() */
    const struct pc_identity *who;
    pusherc_slice detail; /* for the host; len 0 = the text */
};
/* Fills *why with these and nothing else. Returns false, so that a check can end with it. */
bool pc_refusal_set(struct pc_refusal *why, pusherc_denial_reason reason, int status,
                    const char *text);

/* Refuses a subscribe for good: pusher:error, pusher:subscription_error, the log, on_denied. */
void pc_session_refuse(struct pc_session *session, pusherc_slice channel, struct pc_refusal why);
/* The two messages only. */
void pc_session_say_refused(struct pc_session *session, pusherc_slice channel,
                            const struct pc_refusal *why);
/* Tells the client that it no longer has the channel; also the log and on_denied. */
void pc_session_revoked(struct pc_session *session, pusherc_slice channel, struct pc_refusal why);
/* The log and on_denied only. */
void pc_session_tell_host(struct pc_session *session, pusherc_slice channel,
                          const struct pc_refusal *why);

/* NULL: the session is not subscribed to the channel. */
struct pc_subscription *pc_session_subscription(struct pc_session *session, pusherc_slice channel);
/* True if the member's id and info are within the limits, or the channel is no presence channel. False: *why says why.
 * */
bool pc_session_check_member(struct pc_session *session, const struct pc_join *join,
                             struct pc_refusal *why);
/* What to refuse with when the channel has no room for another view: PUSHERC_ELIMIT; or PUSHERC_ENOMEM. */
struct pc_refusal pc_session_view_refusal(int err);
/* What to refuse with when joining failed, except for the view. */
struct pc_refusal pc_session_join_refusal(struct pc_session *session, int err);
/* Second part of joining (joining.h): joins and answers the client. NULL: *why says what to refuse with. */
struct pc_subscription *pc_session_join(struct pc_session *session, const struct pc_join *join,
                                        struct pc_refusal *why);
/* The client leaves; as a member it may be absent for a while (fanout/absence.h). */
void pc_session_leave(struct pc_session *session, struct pc_subscription *subscription);
/* The host or an operator ends the subscription: the member leaves at once. */
void pc_session_expel(struct pc_session *session, struct pc_subscription *subscription);

#endif
