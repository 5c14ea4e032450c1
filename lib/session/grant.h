/*
 * What the host said about one connection and one channel, and what becomes of it: asked for, standing with
 * its subscription, remembered from an auth endpoint until the client subscribes, or lost and asked again
 * when the host's facts change.
 */
#ifndef PC_SESSION_GRANT_H
#define PC_SESSION_GRANT_H

#include "fanout/subscription.h"
#include "session/decision.h"

struct pc_change;
struct pc_session;

enum pc_grant_state {
    PC_GRANT_ASKED = 0,  /* the client waits for its first answer */
    PC_GRANT_JOINING,    /* the client may have the channel, and waits for it: joining.h */
    PC_GRANT_REMEMBERED, /* the client has a signed answer and is expected to subscribe with it */
    PC_GRANT_STANDING,   /* it has a subscription */
    PC_GRANT_LOST,       /* it had one; the client still wants it */
    /* taken away, and not wanted now: kept because of signatures the client still has */
    PC_GRANT_REFUSED
};

struct pc_grant {
    struct pc_list of_session;
    struct pc_session *session;
    struct pc_subscription *subscription; /* STANDING */
    /* counted: who asked the auth endpoint; NULL = the session's own */
    struct pc_identity *identity;
    struct pc_waiter waiter;
    struct pc_timer expiry;
    struct pc_list rechecks; /* changes that wait for its answer */
    uint64_t
        remembered; /* its number among what this worker was told by auth endpoints; 0 = was not */
    struct pc_channel_class class;
    uint8_t state; /* enum pc_grant_state */
    bool
        shown; /* the client has shown the endpoint's answer, or stands by it: `identity` may speak for it */
    bool taken; /* allowed once, then denied: until the rule says yes, a signature will not do */
    uint8_t view_len;
    char view[PC_MAX_VIEW_NAME]; /* REMEMBERED, JOINING */
    uint64_t until_ms;           /* REMEMBERED, JOINING; 0 = does not end */
    size_t channel_len;
    char channel[];
};

static inline pusherc_slice pc_grant_channel(const struct pc_grant *grant)
{
    return pc_slice(grant->channel, grant->channel_len);
}

static inline pusherc_slice pc_grant_view(const struct pc_grant *grant)
{
    return pc_slice(grant->view, grant->view_len);
}

/* NULL: this session has none for the channel. */
struct pc_grant *pc_grant_find(struct pc_session *session, pusherc_slice channel);
/* Takes it out of everything; the subscription, if there is one, stays and has no grant. A join that waits is
 * abandoned. */
void pc_grant_free(struct pc_grant *grant);

/* As whom the host is asked about it; NULL = anonymous. */
struct pc_identity *pc_grant_identity(const struct pc_grant *grant);

/* Subscriptions that the client waits for, but for this channel. */
size_t pc_grants_wanted(const struct pc_session *session, pusherc_slice but_for);
/* The client subscribes without the auth endpoint's answer: if it never showed that, who asked there may be anybody
 * who knows the socket's id, and is forgotten. */
void pc_grant_disown(struct pc_session *session, pusherc_slice channel);
/* The client subscribes and a rule decides: asks, and answers the client when the host has. */
void pc_grant_ask(struct pc_session *session, pusherc_slice channel, struct pc_channel_class class,
                  const struct pc_rule_match *match);
/* For a subscription by signature on a channel that a rule covers: what was remembered, or a new one. NULL = out
 * of memory. The join begins, then pc_grant_stand(), or if there is no subscription pc_grant_give_up(). */
struct pc_grant *pc_grant_prepare(struct pc_session *session, pusherc_slice channel,
                                  struct pc_channel_class class);
void pc_grant_stand(struct pc_grant *grant, struct pc_subscription *subscription);
/* The client does not want it any more. */
void pc_grant_give_up(struct pc_grant *grant);
/* An auth endpoint has allowed this to the session, asked by `identity`, which may be NULL. */
void pc_grant_remember(struct pc_session *session, pusherc_slice channel,
                       struct pc_channel_class class, struct pc_identity *identity,
                       const struct pc_verdict *verdict);

/* Every grant of the session that fits the change is asked again and reports to it; but for PC_ALL_GRANTS only those
 * that an auth endpoint has left here after number `after`. */
#define PC_ALL_GRANTS UINT64_MAX
void pc_grants_recheck(struct pc_session *session, struct pc_change *change, uint64_t after);
/* The same for all of them, on nobody's behalf. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_grants_recheck_all(struct pc_session *session);
/* The host takes the channel away; false: the session has neither subscription nor grant. */
bool pc_grant_revoke(struct pc_session *session, pusherc_slice channel, pusherc_slice reason);

#endif
