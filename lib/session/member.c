#include "session/member.h"

#include <stdio.h>

#include "auth/denial.h"
#include "channel/cached.h"
#include "fanout/occupancy.h"
#include "fanout/view.h"
#include "protocol/message_out.h"
#include "session/doing.h"
#include "session/index.h"
#include "session/reply.h"
#include "session/resume.h"
#include "session/shown.h"

bool pc_refusal_set(struct pc_refusal *why, pusherc_denial_reason reason, int status,
                    const char *text)
{
    *why = (struct pc_refusal){.reason = reason, .status = status, .text = pc_slice_of(text)};
    return false;
}

/* -- telling -- */

#define MAX_TEXT 512

/* "text: channel". */
static pusherc_slice text_of(const struct pc_refusal *why, pusherc_slice channel,
                             char out[MAX_TEXT])
{
    int n = snprintf(out, MAX_TEXT, "%.*s: %.*s", (int)why->text.len, why->text.ptr,
                     (int)channel.len, channel.ptr);
    return pc_utf8_cut(pc_slice(out, n > 0 ? (size_t)n : 0), MAX_TEXT - 1);
}

static void say_subscription_error(struct pc_session *s, pusherc_slice channel,
                                   pusherc_slice message, const struct pc_refusal *why)
{
    char stack[PC_SESSION_STACK];
    struct pc_buf out;
    pc_buf_init_in(&out, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    pc_out_subscription_error(&out, channel, pc_denial_type(why->reason), message, why->status);
    pc_session_say(s, &out);
}

/* For the inspector: what the client was told, and what only the operator may know. */
static void note(const struct pc_session *s, const pusherc_denial *denial,
                 const struct pc_refusal *why)
{
    char text[MAX_TEXT];
    pusherc_slice more = why->detail.len ? why->detail : PC_S("");
    int n = snprintf(text, sizeof text, "%.*s%s%.*s", (int)why->text.len,
                     why->text.len ? why->text.ptr : "", more.len ? ": " : "", (int)more.len,
                     more.len ? more.ptr : "");
    size_t len = n > 0 ? (size_t)n : 0;
    pc_engine_note(s->worker->engine, s->worker,
                   &(struct pc_happening){
                       .kind = PC_HAPPENED_DENIAL,
                       .app_id = denial->app_id,
                       .channel = denial->channel,
                       .socket_id = denial->socket_id,
                       .status = denial->status,
                       .name = pc_slice_of(pusherc_denial_name(denial->reason)),
                       .detail = pc_slice(text, len < sizeof text ? len : sizeof text - 1)});
}

/* Writes the line for the operator's log, and calls on_denied, which gets every detail. */
void pc_session_tell_host(struct pc_session *s, pusherc_slice channel, const struct pc_refusal *why)
{
    struct pc_engine *engine = s->worker->engine;
    pc_stat_add_shared(&s->app->state->refusals.denials[why->reason], 1);
    const struct pc_identity *who = why->who ? why->who : pc_session_identity(s);
    pusherc_denial denial = {.struct_size = sizeof denial,
                             .reason = why->reason,
                             .app_id = s->app->id,
                             .channel = channel,
                             .pattern = why->rule ? why->rule->pattern : PC_S(""),
                             .user_id = who ? who->user_id : PC_S(""),
                             .socket_id = s->q->owner,
                             .status = why->status,
                             .detail = why->detail.len ? why->detail : why->text};
    PC_LOG(
        &engine->log, DEBUG,
        ((struct pc_log_about){.subject = "auth", .app_id = s->app->id, .socket_id = s->q->owner}),
        "%s: channel %.*s, rule %.*s, %d: %.*s", pusherc_denial_name(why->reason), (int)channel.len,
        channel.ptr, (int)denial.pattern.len, denial.pattern.ptr, why->status,
        (int)denial.detail.len, denial.detail.ptr);
    if (engine->happened)
        note(s, &denial, why);
    const pusherc_hooks *hooks = s->worker->hooks;
    if (hooks->on_denied)
        hooks->on_denied(&denial, hooks->user_data);
}

/* Two messages: the documented one, and the one that makes the client library's error callback
 * run (2.4). */
void pc_session_say_refused(struct pc_session *s, pusherc_slice channel,
                            const struct pc_refusal *why)
{
    pusherc_slice shown = pc_utf8_cut(channel, PC_MAX_SHOWN_NAME);
    char text[MAX_TEXT];
    pusherc_slice message = text_of(why, shown, text);
    char stack[PC_SESSION_STACK];
    struct pc_buf out;
    pc_buf_init_in(&out, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    pc_out_error(&out, PC_ERROR_PLAIN, message);
    pc_session_say(s, &out);
    say_subscription_error(s, shown, message, why);
}

void pc_session_refuse(struct pc_session *s, pusherc_slice channel, struct pc_refusal why)
{
    pc_session_say_refused(s, channel, &why);
    pc_session_tell_host(s, pc_utf8_cut(channel, PC_MAX_SHOWN_NAME), &why);
}

void pc_session_revoked(struct pc_session *s, pusherc_slice channel, struct pc_refusal why)
{
    struct pc_refusal told = why;
    char text[MAX_TEXT];
    told.status = 403;
    say_subscription_error(s, channel, text_of(&why, channel, text), &told);
    pc_session_tell_host(s, channel, &told);
}

/* -- subscriptions -- */

struct pc_subscription *pc_session_subscription(struct pc_session *s, pusherc_slice channel)
{
    struct pc_list *link = pc_index_find(s, PC_INDEXED_SUBSCRIPTION, channel);
    return link ? PC_CONTAINER(link, struct pc_subscription, of_session) : NULL;
}

/* `number`: the client has seen everything up to it; 0 = the answer does not say. */
static void say_subscribed(struct pc_session *s, const struct pc_join *join,
                           const struct pc_buf *roster, uint64_t number)
{
    char stack[PC_SESSION_STACK];
    struct pc_buf message;
    pc_buf_init_in(&message, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    if (join->class.kind == PUSHERC_CHANNEL_PRESENCE)
        pc_out_subscribed_presence(&message, join->channel, pc_buf_slice(roster));
    else
        pc_out_subscribed(&message, join->channel);
    if (number) {
        char id[PC_POSITION_LEN];
        pc_position_put(id, &s->worker->engine->directory, number);
        pc_out_add_id(&message, pc_slice(id, sizeof id));
    }
    pc_session_say(s, &message);
}

/* Sends the cached event to a new subscriber of a cache channel, or says that the cache is empty. */
static void say_cached(struct pc_session *s, const struct pc_join *join,
                       const struct pc_cached *cached)
{
    struct pc_engine *engine = s->worker->engine;
    char stack[PC_SESSION_STACK];
    struct pc_buf message;
    pc_buf_init_in(&message, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    if (!cached)
        pc_out_cache_miss(&message, join->channel);
    else
        pc_render_past(engine, join, cached->event, cached->data, PC_S(""), &message);
    if (message.len == 0 && pc_buf_status(&message) == 0)
        pc_buf_free(&message);
    else if (cached)
        pc_shown_say_past(s, join, cached->event, cached->data, &message);
    else
        pc_session_say(s, &message);
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
    struct pc_refusal why;
    if (err == PUSHERC_ELIMIT) {
        pc_app_limited(s->app, PC_APP_max_presence_members);
        pc_refusal_set(&why, PUSHERC_DENIED_LIMIT, 403, "The channel has its maximum of members");
    } else {
        pc_refusal_set(&why, PUSHERC_DENIED_INTERNAL, 500, "Out of memory");
    }
    return why;
}

struct pc_refusal pc_session_view_refusal(int err)
{
    struct pc_refusal why;
    _Static_assert(PUSHERC_RULE_MAX_VIEWS == 32, "the text says so");
    if (err == PUSHERC_ELIMIT)
        pc_refusal_set(&why, PUSHERC_DENIED_LIMIT, 403,
                       "The channel has its maximum of 32 views (PUSHERC_RULE_MAX_VIEWS)");
    else
        pc_refusal_set(&why, PUSHERC_DENIED_INTERNAL, 500, "Out of memory");
    return why;
}

struct pc_subscription *pc_session_join(struct pc_session *s, const struct pc_join *join,
                                        struct pc_refusal *why)
{
    struct pc_subscription *sub;
    struct pc_channel_change change;
    char stack[PC_SESSION_STACK];
    struct pc_buf roster;
    pc_buf_init_in(&roster, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    int err = pc_join_finish(s->worker, join, &roster, &sub, &change);
    if (err) {
        *why = change.views_full ? pc_session_view_refusal(err) : pc_session_join_refusal(s, err);
    } else {
        pc_list_push_back(&s->subscriptions, &sub->of_session);
        pc_index_add(s, PC_INDEXED_SUBSCRIPTION, &sub->of_session);
        s->subscription_count++;
        if (pc_kind_needs_auth(join->class.kind) || join->match->rule)
            pc_session_authorized(s);
        const struct pc_resume_point point = pc_resume_take(s, join->channel);
        /* A client that resumes keeps its own position until it has been sent what it missed. */
        say_subscribed(s, join, &roster, change.past.kept && !point.given ? change.sequence : 0);
        bool replayed = point.given && pc_resume_replay(s, join, &change, point);
        if (join->class.cache && !replayed)
            say_cached(s, join, change.cached);
        pc_doing_say_all(s, join, &change.ephemeral);
        pc_cached_unref(change.cached);
        pc_past_events_free(&change.past);
        pc_said_list_free(&change.ephemeral);
        pc_occupancy_tell_host(s->worker, s->app, pc_subscription_channel(sub), join->user_id,
                               &change);
    }
    pc_buf_free(&roster);
    return sub;
}

static void leave(struct pc_session *s, struct pc_subscription *sub, bool at_once)
{
    char name_stack[256], id_stack[256];
    struct pc_buf name, user_id;
    struct pc_channel_change change;
    /* hooks get a copy of the name, because the channel may be freed with its last subscription */
    pc_buf_init_in(&name, s->worker->mem, SIZE_MAX, name_stack, sizeof name_stack);
    pc_buf_init_in(&user_id, s->worker->mem, SIZE_MAX, id_stack, sizeof id_stack);
    pc_buf_put(&name, pc_subscription_channel(sub));
    pc_index_remove(s, PC_INDEXED_SUBSCRIPTION, &sub->of_session);
    pc_list_remove(&sub->of_session);
    s->subscription_count--;
    pc_leave(s->worker, s->app, sub, at_once, &user_id, &change);
    pc_occupancy_tell_host(s->worker, s->app, pc_buf_slice(&name), pc_buf_slice(&user_id), &change);
    pc_buf_free(&name);
    pc_buf_free(&user_id);
}

void pc_session_leave(struct pc_session *s, struct pc_subscription *sub)
{
    leave(s, sub, s->expelled);
}

void pc_session_expel(struct pc_session *s, struct pc_subscription *sub)
{
    leave(s, sub, true);
}

bool pc_session_check_member(struct pc_session *s, const struct pc_join *join,
                             struct pc_refusal *why)
{
    if (join->class.kind != PUSHERC_CHANNEL_PRESENCE)
        return true;
    if (join->user_id.len == 0)
        return pc_refusal_set(why, PUSHERC_DENIED_NO_USER, 403,
                              "A presence channel needs a user id");
    if (pc_utf8_length(join->user_id) > PC_MEMBER_ID_MAX)
        return pc_refusal_set(why, PUSHERC_DENIED_LIMIT, 413,
                              "The user_id is longer than 128 characters");
    if (join->user_info.len > s->app->options.max_user_info_bytes) {
        pc_app_limited(s->app, PC_APP_max_user_info_bytes);
        return pc_refusal_set(why, PUSHERC_DENIED_LIMIT, 413, "The user_info is too large");
    }
    return true;
}
