/* pusher:subscribe and pusher:unsubscribe (protocol sections 2.2 to 2.6): whether a signature or a rule decides, and
 * the answers. */
#include <stdio.h>

#include "session/deferred.h"
#include "session/grant.h"
#include "session/handlers.h"
#include "session/joining.h"
#include "session/member.h"
#include "session/reply.h"
#include "session/signature.h"

/* One subscribe, until it joins, waits for a rule, or is refused. */
struct attempt {
    struct pc_session *s;
    const struct pc_message_in *in;
    const struct pc_grant *grant; /* what the channel had before the attempt, or NULL */
    struct pc_rule_match match;   /* the rule that covers the channel */
    struct pc_join join;
    struct pc_refusal why;
};

static void refuse_attempt(struct attempt *a)
{
    a->why.who = a->grant ? pc_grant_own_identity(a->grant) : NULL;
    pc_session_refuse(a->s, a->in->channel, a->why);
}

/* -- what can be checked before a decision -- */

static bool check_name(struct attempt *a)
{
    struct pc_session *s = a->s;
    pusherc_slice channel = a->in->channel;
    const pusherc_app_options *o = &s->app->options;
    size_t max = channel.len && channel.ptr[0] == '#' ? SIZE_MAX : o->max_channel_name_bytes;
    if (!pc_channel_name_valid(channel, max, &a->join.class)) {
        if (channel.len > max)
            pc_app_limited(s->app, PC_APP_max_channel_name_bytes);
        return pc_refusal_set(&a->why, PUSHERC_DENIED_BAD_NAME, 400, "Invalid channel name");
    }
    if (a->join.class.kind == PUSHERC_CHANNEL_USER &&
        (!s->user || !pc_slice_eq(s->user->user_id, pc_user_channel_id(channel))))
        return pc_refusal_set(&a->why, PUSHERC_DENIED_NO_USER, 403,
                              "Only that user may subscribe, after signing in");
    if (s->grant_count > o->max_channels_per_connection) {
        pc_grants_forget(s,
                         PC_S("")); /* anyone who knows the socket's id can have put them there */
        a->grant = pc_grant_find(s, channel);
    }
    uint32_t others =
        s->subscription_count + s->wanted_count - (a->grant && pc_grant_is_wanted(a->grant));
    if (others >= o->max_channels_per_connection ||
        s->grant_count > o->max_channels_per_connection) {
        pc_app_limited(s->app, PC_APP_max_channels_per_connection);
        return pc_refusal_set(&a->why, PUSHERC_DENIED_LIMIT, 403,
                              "Too many channels on one connection");
    }
    return true;
}

/* -- the decider: a signature, a rule, or neither -- */

enum decider {
    DECIDER_NONE, /* a public name without a rule: any client may join */
    DECIDER_SIGNATURE,
    DECIDER_RULE,
    DECIDER_OUTDATED, /* the rule: it has allowed this once, to the client that shows the signature */
    DECIDER_MISSING   /* the app allows rules only, and no rule covers the name */
};

/* Has an auth endpoint made this signature before the facts changed, perhaps? */
static bool is_outdated(const struct attempt *a)
{
    return a->match.rule && !a->grant && pc_grants_outdated(a->s) &&
           pc_session_is_signed(a->s, a->in);
}

static enum decider decider_of(const struct attempt *a)
{
    const struct pc_rule *rule = a->match.rule;
    if (!pc_kind_needs_auth(a->join.class.kind))
        return rule ? DECIDER_RULE : DECIDER_NONE;
    if (a->grant && a->grant->revoked)
        return DECIDER_RULE;
    switch (a->s->app->options.auth_mode) {
    case PUSHERC_AUTH_SIGNATURE:
        return is_outdated(a) ? DECIDER_OUTDATED : DECIDER_SIGNATURE;
    case PUSHERC_AUTH_EITHER:
        if (is_outdated(a))
            return DECIDER_OUTDATED;
        return a->in->auth.len || !rule ? DECIDER_SIGNATURE : DECIDER_RULE;
    case PUSHERC_AUTH_RULES:
        break;
    }
    return rule ? DECIDER_RULE : DECIDER_MISSING;
}

static void joined(struct pc_session *s, pusherc_slice channel, struct pc_grant *grant,
                   struct pc_subscription *sub, struct pc_refusal *why)
{
    if (sub && grant)
        pc_grant_stand(grant, sub);
    if (sub)
        return;
    why->who = grant ? pc_grant_own_identity(grant) : NULL;
    pc_session_refuse(s, channel, *why);
    if (grant)
        pc_grant_give_up(grant);
}

/* The member whom the application has signed, elsewhere than at the built-in endpoint, is who the rule is asked about
 * later; the connection's own user counts as well. False: out of memory. */
static bool note_signed_member(struct attempt *a, struct pc_grant *grant)
{
    struct pc_session *s = a->s;
    pusherc_slice user_id = a->join.user_id;
    if (user_id.len == 0 || grant->owner || user_id.len > PC_IDENTITY_MAX_ID ||
        pc_slice_eq(user_id, pc_identity_user_id(pc_session_identity(s))))
        return true;
    struct pc_identity *member = pc_identity_new(s->worker->mem, user_id, a->join.user_info);
    if (!member)
        return false;
    member->base = s->identity;
    member->data = s->identity ? s->identity->data : NULL;
    pc_identity_ref(s->identity);
    int err = pc_grant_set_identity(grant, member);
    pc_identity_unref(member);
    return err == 0;
}

/* Joins without asking the host. If a rule covers the channel, the subscription gets a grant, so
 * that the rule can be asked again later; a grant that an auth endpoint has left names the view. */
static void join_now(struct attempt *a)
{
    struct pc_session *s = a->s;
    const struct pc_rule *rule = a->match.rule;
    struct pc_grant *grant = rule ? pc_grant_prepare(s, a->join.channel, a->join.class) : NULL;
    if (grant && !note_signed_member(a, grant)) {
        pc_grant_give_up(grant);
        grant = NULL;
    }
    if (grant || !rule) {
        pc_session_begin_join(s, &a->join, grant, joined);
        return;
    }
    a->why = pc_session_join_refusal(s, PUSHERC_ENOMEM);
    refuse_attempt(a);
}

/* Finds the member of a presence channel joined by signature: from channel_data, or else from the sign-in. */
static bool find_member(struct attempt *a, struct pc_buf *scratch)
{
    struct pc_session *s = a->s;
    if (a->in->channel_data.len == 0) {
        if (!s->user)
            return pc_refusal_set(&a->why, PUSHERC_DENIED_NO_USER, 401,
                                  "channel_data is required for presence channels");
        a->join.user_id = s->user->user_id;
        a->join.user_info = s->user->user_info;
    } else {
        struct pc_user_data data;
        const char *text = NULL;
        if (pc_user_data_parse(a->in->channel_data, PC_S("user_id"), true,
                               s->app->options.strict_user_info, scratch, &data, &text))
            return pc_refusal_set(&a->why, PUSHERC_DENIED_BAD_MEMBER, 400,
                                  text ? text : "channel_data could not be read");
        a->join.user_id = data.id;
        a->join.user_info = data.info;
    }
    return pc_session_check_member(s, &a->join, &a->why);
}

static void join_by_signature(struct attempt *a)
{
    char stack[PC_SESSION_STACK];
    struct pc_buf scratch;
    pc_buf_init_in(&scratch, a->s->worker->mem, SIZE_MAX, stack, sizeof stack);
    bool ok = a->in->auth.len ? pc_session_check_signature(a->s, a->in, 401, &scratch, &a->why)
                              : pc_refusal_set(&a->why, PUSHERC_DENIED_NO_SIGNATURE, 401,
                                               "Auth info required to subscribe");
    if (ok && a->join.class.kind == PUSHERC_CHANNEL_PRESENCE)
        ok = find_member(a, &scratch);
    if (ok)
        join_now(a);
    else
        refuse_attempt(a);
    pc_buf_free(&scratch);
}

/* Any client can name this socket to an auth endpoint, but only the client that asked gets the signature. So a
 * subscribe with that signature proves that the grant which the endpoint has left belongs to this client. */
static void ask_rule(struct attempt *a)
{
    if (!pc_session_is_signed(a->s, a->in))
        pc_grant_drop_unproven(a->s, a->in->channel);
    pc_grant_ask(a->s, a->in->channel, a->join.class, &a->match);
}

static void subscribe(struct attempt *a)
{
    struct pc_session *s = a->s;
    pc_deferred_forget(s, a->in->channel);
    if (!check_name(a)) {
        refuse_attempt(a);
        return;
    }
    a->match =
        pc_rules_find(&s->worker->engine->rules, s->app->id, a->in->channel, a->join.class.kind);
    if (a->grant && !a->match.rule) { /* of a rule that was removed */
        pc_grant_free((struct pc_grant *)a->grant);
        a->grant = NULL;
    }
    switch (decider_of(a)) {
    case DECIDER_NONE:
        join_now(a);
        break;
    case DECIDER_SIGNATURE:
        join_by_signature(a);
        break;
    case DECIDER_OUTDATED:
        pc_grant_recall(s, a->join.channel, a->join.class);
        pc_grant_ask(s, a->in->channel, a->join.class, &a->match);
        break;
    case DECIDER_RULE:
        ask_rule(a);
        break;
    case DECIDER_MISSING:
        pc_refusal_set(&a->why, PUSHERC_DENIED_NO_RULE, 403, "No rule covers this channel");
        refuse_attempt(a);
        break;
    }
}

/* -- messages -- */

/* Sends a plain error for a message that does not fit the channel's state. No subscription changes, so there is no
 * subscription_error. */
static void say_confused(struct pc_session *s, const char *before, pusherc_slice channel,
                         const char *after)
{
    char text[512];
    pusherc_slice shown = pc_utf8_cut(channel, PC_MAX_SHOWN_NAME);
    snprintf(text, sizeof text, "%s%.*s%s", before, (int)shown.len, shown.ptr, after);
    pc_session_say_error(s, PC_ERROR_PLAIN, text);
}

void pc_session_subscribe(struct pc_session *s, const struct pc_message_in *in)
{
    struct attempt a; /* `match` and `why` are set before they are read */
    a.s = s;
    a.in = in;
    a.grant = pc_grant_find(s, in->channel);
    a.join = (struct pc_join){.app = s->app, .q = s->q, .channel = in->channel, .match = &a.match};
    if (pc_session_subscription(s, in->channel))
        say_confused(s, "Existing subscription to channel ", in->channel, "");
    else if ((a.grant && a.grant->state == PC_GRANT_ASKED) || pc_session_join_waits(s, in->channel))
        say_confused(s, "Subscription in progress to channel ", in->channel, "");
    else
        subscribe(&a);
}

void pc_session_unsubscribe(struct pc_session *s, const struct pc_message_in *in)
{
    struct pc_subscription *sub = pc_session_subscription(s, in->channel);
    struct pc_grant *grant = pc_grant_find(s, in->channel);
    if (sub) {
        if (grant)
            pc_grant_free(grant);
        pc_session_leave(s, sub);
    } else if (grant && (grant->state == PC_GRANT_ASKED || grant->state == PC_GRANT_LOST ||
                         grant->state == PC_GRANT_JOINING)) {
        pc_grant_give_up(grant);
    } else if (!pc_session_abandon_join(s, in->channel) && !pc_deferred_forget(s, in->channel)) {
        say_confused(s, "No current subscription to channel ", in->channel,
                     ", or subscription in progress");
    }
}
