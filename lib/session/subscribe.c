/* pusher:subscribe and pusher:unsubscribe (protocol sections 2.2 to 2.6): who decides, and what is answered. */
#include <stdio.h>

#include "auth/sign.h"
#include "channel/cached.h"
#include "fanout/occupancy.h"
#include "protocol/message_out.h"
#include "session/blame.h"
#include "session/grant.h"
#include "session/joining.h"
#include "session/session.h"

#define MAX_MEMBER_ID_CHARACTERS 128 /* Pusher's limit for presence user ids */
/* a name that broke the grammar may be long: it goes back cut */
#define MAX_SHOWN_NAME 300

/* -- refusing -- */

static const char *type_of(pusherc_denial_reason reason)
{
    switch (reason) {
    case PUSHERC_DENIED_BY_RULE:
    case PUSHERC_DENIED_NO_RULE:
    case PUSHERC_DENIED_TIMEOUT:
    case PUSHERC_DENIED_BAD_SIGNATURE:
    case PUSHERC_DENIED_NO_SIGNATURE:
    case PUSHERC_DENIED_NO_USER:
    case PUSHERC_DENIED_REVOKED:
    case PUSHERC_DENIED_COOKIE_IDENTITY:
        return "AuthError";
    case PUSHERC_DENIED_LIMIT:
        return "LimitReached";
    case PUSHERC_DENIED_BAD_NAME:
    case PUSHERC_DENIED_BAD_MEMBER:
    case PUSHERC_DENIED_INTERNAL:
        break;
    }
    return "SubscriptionError";
}

static void say_subscription_error(struct pc_session *s, pusherc_slice channel,
                                   pusherc_slice message, const struct pc_refusal *why)
{
    char stack[PC_SESSION_STACK];
    struct pc_buf out;
    pc_buf_init_in(&out, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    pc_out_subscription_error(&out, channel, type_of(why->reason), message, why->status);
    pc_session_say(s, &out);
}

/* For those who run the server; the host's own hook gets every detail. */
void pc_session_tell_host(struct pc_session *s, pusherc_slice channel, const struct pc_refusal *why)
{
    struct pc_engine *engine = s->worker->engine;
    const struct pc_grant *grant = pc_grant_find(s, channel);
    pc_stat_add_shared(&s->app->live->refusals.denials[why->reason], 1);
    const struct pc_identity *who = grant ? pc_grant_identity(grant) : pc_session_identity(s);
    pusherc_denial denial = {.struct_size = sizeof denial,
                             .reason = why->reason,
                             .app_id = s->app->id,
                             .channel = channel,
                             .pattern = why->rule ? why->rule->pattern : PC_S(""),
                             .user_id = who ? who->user_id : PC_S(""),
                             .socket_id = s->q->owner,
                             .status = why->status,
                             .detail = why->detail.len ? why->detail : why->text};
    PC_LOG(&engine->log, DEBUG, ((struct pc_log_about){"auth", s->app->id, s->q->owner}),
           "%s: channel %.*s, rule %.*s, %d: %.*s", pusherc_denial_name(why->reason),
           (int)channel.len, channel.ptr, (int)denial.pattern.len, denial.pattern.ptr, why->status,
           (int)denial.detail.len, denial.detail.ptr);
    if (engine->hooks.on_denied)
        engine->hooks.on_denied(&denial, engine->hooks.user_data);
}

/* Two messages: the documented one, and the one that makes the client library's error callback run (2.4). */
void pc_session_refuse(struct pc_session *s, pusherc_slice channel, struct pc_refusal why)
{
    pusherc_slice shown = pc_utf8_cut(channel, MAX_SHOWN_NAME);
    char text[512];
    int n = snprintf(text, sizeof text, "%.*s: %.*s", (int)why.text.len, why.text.ptr,
                     (int)shown.len, shown.ptr);
    pusherc_slice message = pc_utf8_cut(pc_slice(text, n > 0 ? (size_t)n : 0), sizeof text - 1);
    bool auth = strcmp(type_of(why.reason), "AuthError") == 0;
    char stack[PC_SESSION_STACK];
    struct pc_buf out;
    pc_buf_init_in(&out, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    pc_out_error(&out, auth ? PC_ERROR_UNAUTHORIZED : PC_ERROR_PLAIN, message);
    pc_session_say(s, &out);
    say_subscription_error(s, shown, message, &why);
    pc_session_tell_host(s, shown, &why);
}

void pc_session_revoked(struct pc_session *s, pusherc_slice channel, struct pc_refusal why)
{
    struct pc_refusal told = why;
    told.status = 403;
    say_subscription_error(s, channel, why.text, &told);
    pc_session_tell_host(s, channel, &told);
}

/* -- subscriptions -- */

struct pc_subscription *pc_session_subscription(struct pc_session *s, pusherc_slice channel)
{
    for (struct pc_list *l = s->subscriptions.next; l != &s->subscriptions; l = l->next) {
        struct pc_subscription *sub = PC_CONTAINER(l, struct pc_subscription, of_session);
        if (pc_slice_eq(pc_subscription_channel(sub), channel))
            return sub;
    }
    return NULL;
}

static void say_subscribed(struct pc_session *s, const struct pc_join *join,
                           const struct pc_buf *roster)
{
    char stack[PC_SESSION_STACK];
    struct pc_buf message;
    pc_buf_init_in(&message, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    if (join->class.kind == PUSHERC_CHANNEL_PRESENCE)
        pc_out_subscribed_presence(&message, join->channel, pc_buf_slice(roster));
    else
        pc_out_subscribed(&message, join->channel);
    pc_session_say(s, &message);
}

/* A cache channel's newcomer hears its last event, or that there is none. */
static void say_cached(struct pc_session *s, const struct pc_join *join,
                       const struct pc_cached *cached)
{
    struct pc_engine *engine = s->worker->engine;
    char stack[PC_SESSION_STACK];
    struct pc_buf message;
    pc_buf_init_in(&message, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    if (!cached)
        pc_out_cache_miss(&message, join->channel);
    else if (pc_join_rendered(join))
        pc_render_cached(engine, join, cached, &message);
    else
        pc_out_event(&message, cached->event, join->channel, cached->data, PC_S(""));
    if (message.len > 0 || pc_buf_status(&message))
        pc_session_say(s, &message);
    else
        pc_buf_free(&message);
    if (!cached) {
        struct pc_posting posting = {0};
        struct pc_notice notice = {
            .kind = PUSHERC_WEBHOOK_CACHE_MISS, .app = s->app, .channel = join->channel};
        pc_posting_note(engine, &notice, &posting);
        pc_posting_finish(engine, &posting);
    }
}

struct pc_refusal pc_session_join_refusal(struct pc_session *s, int err)
{
    if (err != PUSHERC_ELIMIT)
        return (struct pc_refusal){PUSHERC_DENIED_INTERNAL, 500, PC_S("Out of memory"), NULL,
                                   PC_S("")};
    pc_app_limited(s->app, PC_LIMIT_PRESENCE_MEMBERS);
    return (struct pc_refusal){PUSHERC_DENIED_LIMIT, 403,
                               PC_S("The channel has its maximum of members"), NULL, PC_S("")};
}

struct pc_subscription *pc_session_join(struct pc_session *s, const struct pc_join *join,
                                        struct pc_refusal *why)
{
    struct pc_subscription *sub;
    struct pc_channel_change change;
    char stack[PC_SESSION_STACK];
    struct pc_buf roster;
    pc_buf_init_in(&roster, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    int rc = pc_join_finish(s->worker, join, &roster, &sub, &change);
    if (rc == 0) {
        pc_list_push_back(&s->subscriptions, &sub->of_session);
        s->subscription_count++;
        if (pc_kind_needs_auth(join->class.kind) || join->match->rule)
            pc_session_authorized(s);
        say_subscribed(s, join, &roster);
        if (join->class.cache)
            say_cached(s, join, change.cached);
        pc_cached_unref(change.cached);
        pc_occupancy_tell_host(s->worker->engine, s->app, pc_subscription_channel(sub),
                               join->user_id, &change);
    } else {
        *why = pc_session_join_refusal(s, rc);
    }
    pc_buf_free(&roster);
    return sub;
}

void pc_session_leave(struct pc_session *s, struct pc_subscription *sub)
{
    char name_stack[256], id_stack[256];
    struct pc_buf name, user_id;
    struct pc_channel_change change;
    if (sub->grant) {
        sub->grant->subscription = NULL;
        pc_grant_free(sub->grant);
    }
    /* the channel may go with its last subscription: hooks get a copy of its name */
    pc_buf_init_in(&name, s->worker->mem, SIZE_MAX, name_stack, sizeof name_stack);
    pc_buf_init_in(&user_id, s->worker->mem, SIZE_MAX, id_stack, sizeof id_stack);
    pc_buf_put(&name, pc_subscription_channel(sub));
    pc_list_remove(&sub->of_session);
    s->subscription_count--;
    pc_leave(s->worker, s->app, sub, &user_id, &change);
    pc_occupancy_tell_host(s->worker->engine, s->app, pc_buf_slice(&name), pc_buf_slice(&user_id),
                           &change);
    pc_buf_free(&name);
    pc_buf_free(&user_id);
}

/* -- what a subscription must show -- */

static bool refuse(struct pc_refusal *why, pusherc_denial_reason reason, int status,
                   const char *text)
{
    *why = (struct pc_refusal){reason, status, pc_slice_of(text), NULL, PC_S("")};
    return false;
}

bool pc_session_check_member(struct pc_session *s, const struct pc_join *join,
                             struct pc_refusal *why)
{
    if (join->class.kind != PUSHERC_CHANNEL_PRESENCE)
        return true;
    if (join->user_id.len == 0)
        return refuse(why, PUSHERC_DENIED_NO_USER, 403, "A presence channel needs a user id");
    if (pc_utf8_length(join->user_id) > MAX_MEMBER_ID_CHARACTERS)
        return refuse(why, PUSHERC_DENIED_LIMIT, 413, "The user_id is longer than 128 characters");
    if (join->user_info.len > s->app->options.max_user_info_bytes) {
        pc_app_limited(s->app, PC_LIMIT_USER_INFO);
        return refuse(why, PUSHERC_DENIED_LIMIT, 413, "The user_info is too large");
    }
    return true;
}

/* `detail` receives the string that had to be signed, for the host. */
static bool check_signature(struct pc_session *s, const struct pc_message_in *in,
                            struct pc_buf *detail, struct pc_refusal *why)
{
    char id[PUSHERC_SOCKET_ID_STRLEN];
    pusherc_slice id_slice = pc_slice(id, pusherc_socket_id_format(s->q->owner, id));
    const char *text = NULL;
    if (in->auth.len == 0)
        return refuse(why, PUSHERC_DENIED_NO_SIGNATURE, 401, "Auth info required to subscribe");
    if (pc_verify_channel_auth(s->app->key, s->app->secret, id_slice, in->channel, in->channel_data,
                               in->auth, &text) == 0)
        return true;
    refuse(why, PUSHERC_DENIED_BAD_SIGNATURE, 401,
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
            return refuse(why, PUSHERC_DENIED_NO_USER, 401,
                          "channel_data is required for presence channels");
        join->user_id = s->user->user_id;
        join->user_info = s->user->user_info;
    } else {
        struct pc_user_data data;
        const char *text = NULL;
        if (pc_user_data_parse(in->channel_data, PC_S("user_id"), true,
                               s->app->options.strict_user_info, scratch, &data, &text))
            return refuse(why, PUSHERC_DENIED_BAD_MEMBER, 400,
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
        return refuse(why, PUSHERC_DENIED_BAD_NAME, 400, "Invalid channel name");
    }
    if (class->kind == PUSHERC_CHANNEL_USER &&
        (!s->user || !pc_slice_eq(s->user->user_id, pc_user_channel_id(channel)))) {
        refuse(why, PUSHERC_DENIED_NO_USER, 403, "Only that user may subscribe, after signing in");
        return false;
    }
    if (pc_grants_wanted(s, channel) + s->subscription_count >= o->max_channels_per_connection ||
        s->grant_count > o->max_channels_per_connection) {
        pc_app_limited(s->app, PC_LIMIT_CHANNELS_PER_CONNECTION);
        return refuse(why, PUSHERC_DENIED_LIMIT, 403, "Too many channels on one connection");
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
    refuse(why, PUSHERC_DENIED_NO_RULE, 403, "No rule covers this channel");
    return BY_REFUSAL;
}

static void joined(struct pc_session *s, pusherc_slice channel, struct pc_grant *grant,
                   struct pc_subscription *sub, struct pc_refusal *why)
{
    if (sub && grant)
        pc_grant_stand(grant, sub);
    else if (!sub && grant)
        pc_grant_give_up(grant);
    if (!sub)
        pc_session_refuse(s, channel, *why);
}

/* Without a question. A grant that an auth endpoint remembered says which audience the client belongs to. */
static void join_now(struct pc_session *s, struct pc_join *join)
{
    const struct pc_rule *rule = join->match->rule;
    struct pc_grant *grant = rule ? pc_grant_prepare(s, join->channel, join->class) : NULL;
    if (grant || !rule) /* what cannot be asked again later is not let in */
        pc_session_begin_join(s, join, grant, joined);
    else
        pc_session_refuse(s, join->channel, pc_session_join_refusal(s, PUSHERC_ENOMEM));
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
    pusherc_slice shown = pc_utf8_cut(channel, MAX_SHOWN_NAME);
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
    if ((grant && grant->state == PC_GRANT_ASKED) || pc_session_join_waits(s, in->channel)) {
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
    else if (grant && (grant->state == PC_GRANT_ASKED || grant->state == PC_GRANT_LOST ||
                       grant->state == PC_GRANT_JOINING))
        pc_grant_give_up(grant); /* takes the question back, or stops waiting for better times */
    else if (!pc_session_abandon_join(s, in->channel))
        say_confused(s, "No current subscription to channel ", in->channel,
                     ", or subscription in progress");
}
