/* pusher:subscribe, pusher:unsubscribe and pusher:signin (protocol sections 2.2 to 2.6 and 2.11). */
#include <stdio.h>

#include "auth/sign.h"
#include "protocol/message_out.h"
#include "session/session.h"

#define MAX_MEMBER_ID_CHARACTERS 128 /* Pusher's limit for presence user ids */

/* Why a subscription is refused, in the terms of "pusher:subscription_error". */
struct refusal {
    const char *type;
    int status;
    uint16_t code; /* of the pusher:error before it */
    const char *text;
};

static struct refusal unauthorized(const char *text)
{
    return (struct refusal){"AuthError", 401, PC_ERROR_UNAUTHORIZED, text};
}

static struct refusal invalid(const char *text)
{
    return (struct refusal){"SubscriptionError", 400, PC_ERROR_PLAIN, text};
}

static struct refusal over_limit(int status, const char *text)
{
    return (struct refusal){"LimitReached", status, PC_ERROR_PLAIN, text};
}

/* Two messages: the documented one, and the one that makes the client library's error callback run (2.4). */
static void refuse(struct pc_session *s, pusherc_slice channel, struct refusal r)
{
    /* A name that broke the grammar may be long or odd; it goes back cut, escaped, so the client can tell. */
    pusherc_slice shown = pc_utf8_cut(channel, 300);
    char text[512];
    int n = snprintf(text, sizeof text, "%s: %.*s", r.text, (int)shown.len, shown.ptr);
    pusherc_slice message = pc_utf8_cut(pc_slice(text, n > 0 ? (size_t)n : 0), sizeof text - 1);
    char stack[PC_SESSION_STACK];
    struct pc_buf out;
    pc_buf_init_in(&out, s->worker->mem, 8 * PC_SESSION_STACK, stack, sizeof stack);
    pc_out_error(&out, r.code, message);
    pc_session_say(s, &out);
    pc_buf_init_in(&out, s->worker->mem, 8 * PC_SESSION_STACK, stack, sizeof stack);
    pc_out_subscription_error(&out, shown, r.type, message, r.status);
    pc_session_say(s, &out);
    PC_LOG(&s->worker->engine->log, DEBUG,
           ((struct pc_log_about){"auth", s->app->id, s->q->owner}), "subscription refused, %d %s",
           r.status, text);
}

struct pc_subscription *pc_session_subscription(struct pc_session *s, pusherc_slice channel)
{
    for (struct pc_list *l = s->subscriptions.next; l != &s->subscriptions; l = l->next) {
        struct pc_subscription *sub = PC_CONTAINER(l, struct pc_subscription, of_session);
        if (pc_slice_eq(pc_subscription_channel(sub), channel))
            return sub;
    }
    return NULL;
}

static void report(struct pc_session *s, pusherc_channel_event_type type, pusherc_slice channel,
                   pusherc_slice user_id, const struct pc_channel_change *change)
{
    struct pc_engine *engine = s->worker->engine;
    pusherc_channel_event event = {
        .struct_size = sizeof event, .type = type, .app_id = s->app->id, .channel = channel,
        .user_id = user_id, .subscription_count = change->subscriptions, .sequence = change->sequence};
    engine->hooks.on_channel(&event, engine->hooks.user_data);
}

/* Order as a webhook consumer expects it: a channel is occupied before it has members, and the reverse. */
static void report_change(struct pc_session *s, bool joined, pusherc_slice channel,
                          pusherc_channel_kind kind, pusherc_slice user_id,
                          const struct pc_channel_change *change)
{
    if (!s->worker->engine->hooks.on_channel || kind == PUSHERC_CHANNEL_USER)
        return;
    if (joined && change->edge)
        report(s, PUSHERC_CHANNEL_OCCUPIED, channel, PC_S(""), change);
    if (change->member_edge)
        report(s, joined ? PUSHERC_MEMBER_ADDED : PUSHERC_MEMBER_REMOVED, channel, user_id, change);
    report(s, PUSHERC_SUBSCRIPTION_COUNT, channel, PC_S(""), change);
    if (!joined && change->edge)
        report(s, PUSHERC_CHANNEL_VACATED, channel, PC_S(""), change);
}

/* -- what a subscription must show -- */

static bool check_signature(struct pc_session *s, const struct pc_message_in *in, struct refusal *why)
{
    char id[PUSHERC_SOCKET_ID_STRLEN];
    size_t id_len = pusherc_socket_id_format(s->q->owner, id);
    const char *text = NULL;
    if (in->auth.len == 0) {
        *why = unauthorized("Auth info required to subscribe");
        return false;
    }
    int rc = pc_verify_channel_auth(s->app->key, s->app->secret, pc_slice(id, id_len), in->channel,
                                    in->channel_data, in->auth, &text);
    if (rc)
        *why = unauthorized(text ? text : "The signature could not be checked");
    return rc == 0;
}

static size_t characters(pusherc_slice utf8)
{
    size_t n = 0;
    for (size_t i = 0; i < utf8.len; i++)
        n += ((unsigned char)utf8.ptr[i] & 0xc0) != 0x80;
    return n;
}

/* Who joins a presence channel: channel_data says, or else the sign-in. */
static bool find_member(struct pc_session *s, const struct pc_message_in *in, struct pc_buf *scratch,
                        struct pc_join *join, struct refusal *why)
{
    const pusherc_app_options *o = &s->app->options;
    if (in->channel_data.len == 0) {
        if (!s->user) {
            *why = unauthorized("channel_data is required for presence channels");
            return false;
        }
        join->user_id = s->user->user_id;
        join->user_info = s->user->user_info;
    } else {
        struct pc_user_data data;
        const char *text = NULL;
        int rc = pc_user_data_parse(in->channel_data, PC_S("user_id"), true, o->strict_user_info, scratch,
                                    &data, &text);
        if (rc) {
            *why = invalid(text ? text : "channel_data could not be read");
            return false;
        }
        join->user_id = data.id;
        join->user_info = data.info;
    }
    if (characters(join->user_id) > MAX_MEMBER_ID_CHARACTERS) {
        *why = over_limit(413, "The user_id is longer than 128 characters");
        return false;
    }
    if (join->user_info.len > o->max_user_info_bytes) {
        *why = over_limit(413, "The user_info is too large");
        return false;
    }
    return true;
}

/* Everything that can be said before the directory is asked. */
static bool permitted(struct pc_session *s, const struct pc_message_in *in, struct pc_buf *scratch,
                      struct pc_join *join, struct refusal *why)
{
    const pusherc_app_options *o = &s->app->options;
    bool reserved = in->channel.len > 0 && in->channel.ptr[0] == '#';
    if (!pc_channel_name_valid(in->channel, reserved ? SIZE_MAX : o->max_channel_name_bytes,
                               &join->class)) {
        *why = invalid("Invalid channel name");
        return false;
    }
    if (join->class.kind == PUSHERC_CHANNEL_USER &&
        (!s->user || !pc_slice_eq(s->user->user_id, pc_user_channel_id(in->channel)))) {
        *why = (struct refusal){"AuthError", 403, PC_ERROR_UNAUTHORIZED,
                                "Only that user may subscribe, after signing in"};
        return false;
    }
    if (s->subscription_count >= o->max_channels_per_connection) {
        *why = over_limit(403, "Too many channels on one connection");
        return false;
    }
    if (pc_kind_needs_auth(join->class.kind) && !check_signature(s, in, why))
        return false;
    return join->class.kind != PUSHERC_CHANNEL_PRESENCE || find_member(s, in, scratch, join, why);
}

static void say_subscribed(struct pc_session *s, const struct pc_join *join, const struct pc_buf *roster)
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

static void join_channel(struct pc_session *s, const struct pc_join *join)
{
    struct pc_subscription *sub;
    struct pc_channel_change change;
    char stack[PC_SESSION_STACK];
    struct pc_buf roster;
    pc_buf_init_in(&roster, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    int rc = pc_join(s->worker, join, &roster, &sub, &change);
    if (rc == 0) {
        pc_list_push_back(&s->subscriptions, &sub->of_session);
        s->subscription_count++;
        say_subscribed(s, join, &roster);
        report_change(s, true, pc_subscription_channel(sub), join->class.kind, join->user_id, &change);
    } else if (rc == PUSHERC_ELIMIT) {
        refuse(s, join->channel, over_limit(403, "The channel has its maximum of members"));
    } else {
        refuse(s, join->channel, (struct refusal){"SubscriptionError", 500, PC_ERROR_PLAIN, "Out of memory"});
    }
    pc_buf_free(&roster);
}

void pc_session_subscribe(struct pc_session *s, const struct pc_message_in *in)
{
    char text[sizeof "Existing subscription to channel " + 256];
    if (pc_session_subscription(s, in->channel)) {
        /* only the error: the client's channel object is healthy (2.4) */
        snprintf(text, sizeof text, "Existing subscription to channel %.*s", (int)in->channel.len,
                 in->channel.ptr);
        pc_session_say_error(s, PC_ERROR_PLAIN, text);
        return;
    }
    char stack[PC_SESSION_STACK];
    struct pc_buf scratch;
    struct refusal why;
    struct pc_join join = {.app = s->app, .q = s->q, .channel = in->channel};
    pc_buf_init_in(&scratch, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    if (permitted(s, in, &scratch, &join, &why))
        join_channel(s, &join);
    else
        refuse(s, in->channel, why);
    pc_buf_free(&scratch);
}

void pc_session_leave(struct pc_session *s, struct pc_subscription *sub)
{
    char name_stack[256], id_stack[256];
    struct pc_buf name, user_id;
    struct pc_channel_change change;
    pusherc_channel_kind kind = sub->local->channel->class.kind;
    /* the channel may go with its last subscription: hooks get a copy of its name */
    pc_buf_init_in(&name, s->worker->mem, SIZE_MAX, name_stack, sizeof name_stack);
    pc_buf_init_in(&user_id, s->worker->mem, SIZE_MAX, id_stack, sizeof id_stack);
    pc_buf_put(&name, pc_subscription_channel(sub));
    pc_list_remove(&sub->of_session);
    s->subscription_count--;
    pc_leave(s->worker, s->app, sub, &user_id, &change);
    report_change(s, false, pc_buf_slice(&name), kind, pc_buf_slice(&user_id), &change);
    pc_buf_free(&name);
    pc_buf_free(&user_id);
}

void pc_session_unsubscribe(struct pc_session *s, const struct pc_message_in *in)
{
    struct pc_subscription *sub = pc_session_subscription(s, in->channel);
    if (sub) {
        pc_session_leave(s, sub);
        return;
    }
    char text[512];
    pusherc_slice shown = pc_utf8_cut(in->channel, 300);
    snprintf(text, sizeof text, "No current subscription to channel %.*s, or subscription in progress",
             (int)shown.len, shown.ptr);
    pc_session_say_error(s, PC_ERROR_PLAIN, text);
}

/* -- sign-in -- */

/* NULL: accepted, and *user is the new identity. */
static const char *check_user(struct pc_session *s, const struct pc_message_in *in,
                              struct pc_buf *scratch, struct pc_identity **user)
{
    char id[PUSHERC_SOCKET_ID_STRLEN];
    size_t id_len = pusherc_socket_id_format(s->q->owner, id);
    const char *why = NULL;
    struct pc_user_data data;
    if (in->auth.len == 0 || in->user_data.len == 0)
        return "auth and user_data are required to sign in";
    if (pc_verify_user_auth(s->app->key, s->app->secret, pc_slice(id, id_len), in->user_data, in->auth,
                            &why))
        return why ? why : "The signature could not be checked";
    if (pc_user_data_parse(in->user_data, PC_S("id"), false, false, scratch, &data, &why))
        return why ? why : "user_data could not be read";
    if (!pc_user_id_valid(data.id))
        return "Invalid user id";
    if (data.info.len > s->app->options.max_user_info_bytes)
        return "The user_info is too large";
    if (s->user && !pc_slice_eq(s->user->user_id, data.id))
        return "Already signed in as another user";
    *user = pc_identity_new(s->worker->mem, data.id, data.info);
    return *user ? NULL : "Out of memory";
}

void pc_session_signin(struct pc_session *s, const struct pc_message_in *in)
{
    char stack[PC_SESSION_STACK];
    struct pc_buf scratch;
    struct pc_identity *user = NULL;
    pc_buf_init_in(&scratch, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    const char *why = check_user(s, in, &scratch, &user);
    pc_buf_free(&scratch);
    if (why) {
        pc_session_say_error(s, PC_ERROR_UNAUTHORIZED, why);
        return;
    }
    pc_identity_free(s->worker->mem, s->user);
    s->user = user;
    struct pc_buf message;
    pc_buf_init_in(&message, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    pc_out_signin_success(&message, in->user_data);
    pc_session_say(s, &message);
}
