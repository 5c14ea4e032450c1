/* pusher:subscribe and pusher:unsubscribe (protocol sections 2.2 to 2.6): who decides, and what is answered. */
#include <stdio.h>

#include "auth/sign.h"
#include "session/blame.h"
#include "session/grant.h"
#include "session/handlers.h"
#include "session/member.h"
#include "session/reply.h"

/* -- what a subscription must show -- */

/* `detail` receives the string that had to be signed, for the host. */
static bool check_signature(struct pc_session *s, const struct pc_message_in *in,
                            struct pc_buf *detail, struct pc_refusal *why)
{
    char id[PUSHERC_SOCKET_ID_STRLEN];
    pusherc_slice id_slice = pc_slice(id, pusherc_socket_id_format(s->q->owner, id));
    const char *text = NULL;
    if (in->auth.len == 0)
        return pc_refusal_set(why, PUSHERC_DENIED_NO_SIGNATURE, 401,
                              "Auth info required to subscribe");
    if (pc_verify_channel_auth(s->app->key, s->app->secret, id_slice, in->channel, in->channel_data,
                               in->auth, &text) == 0)
        return true;
    pc_refusal_set(why, PUSHERC_DENIED_BAD_SIGNATURE, 401,
                   text ? text : "The signature could not be checked");
    pc_buf_put(detail, id_slice);
    pc_buf_put_char(detail, ':');
    pc_buf_put(detail, in->channel);
    if (in->channel_data.len) {
        pc_buf_put_char(detail, ':');
        pc_buf_put(detail, in->channel_data);
    }
    why->detail = pc_buf_slice(detail);
    pc_blame_message(s, in, why->detail);
    return false;
}

/* Who joins a presence channel with a signature: channel_data says, or else the sign-in. */
static bool find_member(struct pc_session *s, const struct pc_message_in *in,
                        struct pc_buf *scratch, struct pc_join *join, struct pc_refusal *why)
{
    if (in->channel_data.len == 0) {
        if (!s->user)
            return pc_refusal_set(why, PUSHERC_DENIED_NO_USER, 401,
                                  "channel_data is required for presence channels");
        join->user_id = s->user->user_id;
        join->user_info = s->user->user_info;
    } else {
        struct pc_user_data data;
        const char *text = NULL;
        if (pc_user_data_parse(in->channel_data, PC_S("user_id"), true,
                               s->app->options.strict_user_info, scratch, &data, &text))
            return pc_refusal_set(why, PUSHERC_DENIED_BAD_MEMBER, 400,
                                  text ? text : "channel_data could not be read");
        join->user_id = data.id;
        join->user_info = data.info;
    }
    return pc_session_check_member(s, join, why);
}

/* What can be said before anybody is asked. */
static bool check_name(struct pc_session *s, pusherc_slice channel, struct pc_channel_class *class,
                       struct pc_refusal *why)
{
    const pusherc_app_options *o = &s->app->options;
    size_t max = channel.len && channel.ptr[0] == '#' ? SIZE_MAX : o->max_channel_name_bytes;
    if (!pc_channel_name_valid(channel, max, class)) {
        if (channel.len > max)
            pc_app_limited(s->app, PC_LIMIT_CHANNEL_NAME);
        return pc_refusal_set(why, PUSHERC_DENIED_BAD_NAME, 400, "Invalid channel name");
    }
    if (class->kind == PUSHERC_CHANNEL_USER &&
        (!s->user || !pc_slice_eq(s->user->user_id, pc_user_channel_id(channel)))) {
        pc_refusal_set(why, PUSHERC_DENIED_NO_USER, 403,
                       "Only that user may subscribe, after signing in");
        return false;
    }
    if (pc_grants_wanted(s, channel) + s->subscription_count >= o->max_channels_per_connection ||
        s->grant_count > o->max_channels_per_connection) {
        pc_app_limited(s->app, PC_LIMIT_CHANNELS_PER_CONNECTION);
        return pc_refusal_set(why, PUSHERC_DENIED_LIMIT, 403,
                              "Too many channels on one connection");
    }
    return true;
}

/* -- who decides -- */

enum decider {
    BY_NOBODY, /* a public name without a rule */
    BY_SIGNATURE,
    BY_RULE,
    BY_REFUSAL
};

static enum decider who_decides(struct pc_session *s, const struct pc_message_in *in,
                                pusherc_channel_kind kind, const struct pc_rule *rule,
                                struct pc_refusal *why)
{
    const struct pc_grant *grant = pc_grant_find(s, in->channel);
    if (!pc_kind_needs_auth(kind))
        return rule ? BY_RULE : BY_NOBODY;
    if (grant && grant->taken)
        return BY_RULE;
    switch (s->app->options.auth_mode) {
    case PUSHERC_AUTH_SIGNATURE:
        return BY_SIGNATURE;
    case PUSHERC_AUTH_EITHER:
        if (in->auth.len || !rule)
            return BY_SIGNATURE;
        return BY_RULE;
    case PUSHERC_AUTH_RULES:
        if (rule)
            return BY_RULE;
        break;
    }
    pc_refusal_set(why, PUSHERC_DENIED_NO_RULE, 403, "No rule covers this channel");
    return BY_REFUSAL;
}

/* Without a question. A grant that an auth endpoint remembered says which audience the client belongs to. */
static void join_now(struct pc_session *s, struct pc_join *join)
{
    struct pc_refusal why = {PUSHERC_DENIED_INTERNAL, 500, PC_S("Out of memory"), NULL, PC_S("")};
    const struct pc_rule *rule = join->match->rule;
    struct pc_grant *grant = rule ? pc_grant_prepare(s, join->channel, join->class) : NULL;
    struct pc_subscription *sub = NULL;
    if (grant)
        join->view = pc_slice(grant->view, grant->view_len);
    if (grant || !rule) /* what cannot be asked again later is not let in */
        sub = pc_session_join(s, join, &why);
    if (sub && grant)
        pc_grant_stand(grant, sub);
    else if (!sub && grant)
        pc_grant_give_up(grant);
    if (!sub)
        pc_session_refuse(s, join->channel, why);
}

static void by_signature(struct pc_session *s, const struct pc_message_in *in, struct pc_join *join)
{
    char stack[PC_SESSION_STACK];
    struct pc_buf scratch;
    struct pc_refusal why;
    pc_buf_init_in(&scratch, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    bool ok = check_signature(s, in, &scratch, &why);
    if (ok && join->class.kind == PUSHERC_CHANNEL_PRESENCE)
        ok = find_member(s, in, &scratch, join, &why);
    if (ok)
        join_now(s, join);
    else
        pc_session_refuse(s, in->channel, why);
    pc_buf_free(&scratch);
}

/* Whoever named this socket to an auth endpoint need not be its client: the signature of the answer shows it. */
static bool is_the_endpoints(struct pc_session *s, const struct pc_message_in *in)
{
    char id[PUSHERC_SOCKET_ID_STRLEN];
    pusherc_slice id_slice = pc_slice(id, pusherc_socket_id_format(s->q->owner, id));
    const char *text = NULL;
    return in->auth.len &&
           pc_verify_channel_auth(s->app->key, s->app->secret, id_slice, in->channel,
                                  in->channel_data, in->auth, &text) == 0;
}

static void subscribe(struct pc_session *s, const struct pc_message_in *in)
{
    struct pc_refusal why;
    struct pc_join join = {.app = s->app, .q = s->q, .channel = in->channel};
    if (!check_name(s, in->channel, &join.class, &why)) {
        pc_session_refuse(s, in->channel, why);
        return;
    }
    struct pc_rule_match match =
        pc_rules_find(&s->worker->engine->rules, s->app->id, in->channel, join.class.kind);
    join.match = &match;
    switch (who_decides(s, in, join.class.kind, match.rule, &why)) {
    case BY_NOBODY:
        join_now(s, &join);
        break;
    case BY_SIGNATURE:
        by_signature(s, in, &join);
        break;
    case BY_RULE:
        if (!is_the_endpoints(s, in))
            pc_grant_disown(s, in->channel);
        pc_grant_ask(s, in->channel, join.class, &match);
        break;
    case BY_REFUSAL:
        pc_session_refuse(s, in->channel, why);
        break;
    }
}

/* Errors about a channel that the client handles wrongly: no subscription changes, so no subscription_error. */
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
    struct pc_grant *grant = pc_grant_find(s, in->channel);
    if (pc_session_subscription(s, in->channel)) {
        say_confused(s, "Existing subscription to channel ", in->channel, "");
        return;
    }
    if (grant && grant->state == PC_GRANT_ASKED) {
        say_confused(s, "Subscription in progress to channel ", in->channel, "");
        return;
    }
    subscribe(s, in);
}

void pc_session_unsubscribe(struct pc_session *s, const struct pc_message_in *in)
{
    struct pc_subscription *sub = pc_session_subscription(s, in->channel);
    struct pc_grant *grant = pc_grant_find(s, in->channel);
    if (sub)
        pc_session_leave(s, sub);
    else if (grant && (grant->state == PC_GRANT_ASKED || grant->state == PC_GRANT_LOST))
        pc_grant_give_up(grant); /* takes the question back, or stops waiting for better times */
    else
        say_confused(s, "No current subscription to channel ", in->channel,
                     ", or subscription in progress");
}
