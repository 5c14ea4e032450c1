/*
 * The grant of one connection for one channel: the host's answer, or the open question. One exists for every channel
 * that a rule covers and the client wants, and for an auth endpoint's answer that the client has not used yet. grant.c
 * explains the states.
 */
#ifndef PC_SESSION_GRANT_H
#define PC_SESSION_GRANT_H

#include "session/session.h"

enum pc_grant_state {
    PC_GRANT_ASKED = 0,  /* the client has subscribed and waits for the answer */
    PC_GRANT_JOINING,    /* the client may subscribe, and waits until it has joined: joining.h */
    PC_GRANT_REMEMBERED, /* an auth endpoint has allowed it; the client is expected to subscribe */
    PC_GRANT_STANDING,   /* the client is subscribed */
    PC_GRANT_LOST,   /* it was subscribed and the rule denied it; rejoins when the rule allows it */
    PC_GRANT_REFUSED /* revoked and no longer wanted; kept so that signatures stay refused */
};

struct pc_grant {
    struct pc_list of_session;
    struct pc_session *session;
    struct pc_subscription *subscription; /* STANDING */
    /* owned: the identity that asked the auth endpoint; NULL = the session's */
    struct pc_grant_owner *owner;
    struct pc_waiter waiter;
    struct pc_timer expiry;
    struct pc_list rechecks; /* struct recheck: callbacks for the next answer */
    /* sequence number of the auth endpoint's answer on this worker; 0: it came from elsewhere */
    uint64_t endpoint_answer;
    struct pc_channel_class class;
    uint8_t state; /* enum pc_grant_state; pc_grant_set_state() changes it */
    /* the client has presented the endpoint's answer, so decisions may use `identity` */
    bool proven;
    /* the rule denied what it allowed before: signatures are refused until it allows again */
    bool revoked;
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

/* The client wants the channel and is not subscribed to it. */
static inline bool pc_grant_is_wanted(const struct pc_grant *grant)
{
    return grant->state == PC_GRANT_ASKED || grant->state == PC_GRANT_LOST;
}

/* Every change of a grant's state. */
static inline void pc_grant_set_state(struct pc_grant *grant, enum pc_grant_state state)
{
    struct pc_session *s = grant->session;
    s->wanted_count -= pc_grant_is_wanted(grant);
    grant->state = (uint8_t)state;
    s->wanted_count += pc_grant_is_wanted(grant);
    if (state == PC_GRANT_REMEMBERED)
        s->may_remember = true;
}

static inline pusherc_slice pc_grant_view(const struct pc_grant *grant)
{
    return pc_slice(grant->view, grant->view_len);
}

/* NULL: the session has no grant for the channel. */
struct pc_grant *pc_grant_find(struct pc_session *session, pusherc_slice channel);
/* Cancels its question, its rechecks and a join that waits. Its subscription stays. */
void pc_grant_free(struct pc_grant *grant);

/* The identity that the grant has for itself, or NULL. */
static inline struct pc_identity *pc_grant_own_identity(const struct pc_grant *grant)
{
    return grant->owner ? grant->owner->identity : NULL;
}
/* Gives it one, which may be NULL, in place of what it had. 0; PUSHERC_ENOMEM: it has none. */
PC_CHECKED int pc_grant_set_identity(struct pc_grant *grant, struct pc_identity *identity);
/* The identity that the host is asked about; NULL = anonymous. */
struct pc_identity *pc_grant_identity(const struct pc_grant *grant);

/* Is the grant this user's? A connection may have two users, and another one may have asked an auth endpoint
 * for it: all of them count. */
bool pc_grant_is_of(const struct pc_grant *grant, pusherc_slice user_id);

/* Call it when the client subscribes without the auth endpoint's signature. Gives up a grant
 * whose identity is not proven, because any client that knows the socket id can ask an endpoint about it. */
void pc_grant_drop_unproven(struct pc_session *session, pusherc_slice channel);
/* Call it when the client subscribes and a rule decides: asks the host, and joins or refuses when the answer arrives.
 * The values of `match` point into `channel`. */
void pc_grant_ask(struct pc_session *session, pusherc_slice channel, struct pc_channel_class class,
                  const struct pc_rule_match *match);
/* The grant for a subscription by signature on a channel that a rule covers: the remembered one,
 * or a new one. NULL = out of memory. The join begins next, then pc_grant_stand(), or pc_grant_give_up() if
 * joining failed. */
struct pc_grant *pc_grant_prepare(struct pc_session *session, pusherc_slice channel,
                                  struct pc_channel_class class);
void pc_grant_stand(struct pc_grant *grant, struct pc_subscription *subscription);
/* Call it when the client no longer wants the channel: frees the grant, or keeps it as REFUSED if it was revoked. */
void pc_grant_give_up(struct pc_grant *grant);
/* Stores that an auth endpoint has allowed the channel to this session. `identity` asked the endpoint (NULL =
 * anonymous). */
void pc_grant_remember(struct pc_session *session, pusherc_slice channel,
                       struct pc_channel_class class, struct pc_identity *identity,
                       const struct pc_verdict *verdict);

/* Facts have changed since an auth endpoint signed a channel for which there is no grant any more. A signature for a
 * channel without a grant may be that one. */
bool pc_grants_outdated(const struct pc_session *session);
/* Makes a grant for such a channel, with the identity for which the endpoint was asked. The client has shown the
 * signature; pc_grant_ask() comes next. Out of memory: there is none. */
void pc_grant_recall(struct pc_session *session, pusherc_slice channel,
                     struct pc_channel_class class);
/* Gives up what auth endpoints have allowed and the client has not used yet, all but what they have allowed to the user
 * `but` (len 0 = no exception). */
void pc_grants_forget(struct pc_session *session, pusherc_slice but);

enum pc_recheck_result {
    PC_RECHECK_KEPT,
    PC_RECHECK_REVOKED,
    PC_RECHECK_DROPPED /* the grant was freed or given up before the answer */
};
typedef void (*pc_recheck_fn)(void *ctx, enum pc_recheck_result result);
/* How a grant is asked again. */
#define PC_RECHECK_OUTDATES 0x1u /* an answer on its way does not count */
#define PC_RECHECK_HOLDS    0x2u /* what arrives for the client waits for the answer */
/* Asks the host again. Calls `done` exactly once, perhaps before this returns; the grant may be freed by then. */
void pc_grant_recheck(struct pc_grant *grant, uint32_t how, pc_recheck_fn done, void *ctx);
/* The host takes the channel away. False: the session has neither a subscription nor a grant. */
bool pc_grant_revoke(struct pc_session *session, pusherc_slice channel, pusherc_slice reason);

#endif
