/* pusher:signin (protocol section 2.11). */
#include <stdio.h>

#include "protocol/message_out.h"
#include "session/deferred.h"
#include "session/grant.h"
#include "session/handlers.h"
#include "session/member.h"
#include "session/reply.h"
#include "session/seats.h"
#include "session/signature.h"

/* False: *why says what to refuse with, and may point into `scratch`. */
static bool check_user(struct pc_session *s, const struct pc_message_in *in, struct pc_buf *scratch,
                       struct pc_user_data *data, struct pc_refusal *why)
{
    const char *text = NULL;
    if (in->auth.len == 0 || in->user_data.len == 0)
        return pc_refusal_set(why, PUSHERC_DENIED_NO_SIGNATURE, 401,
                              "auth and user_data are required to sign in");
    if (!pc_session_check_signature(s, in, 401, scratch, why))
        return false;
    if (pc_user_data_parse(in->user_data, PC_S("id"), false, false, scratch, data, &text))
        return pc_refusal_set(why, PUSHERC_DENIED_BAD_MEMBER, 400,
                              text ? text : "user_data could not be read");
    if (!pc_user_id_valid(data->id))
        return pc_refusal_set(why, PUSHERC_DENIED_BAD_MEMBER, 400, "Invalid user id");
    if (data->info.len > s->app->options.max_user_info_bytes) {
        pc_app_limited(s->app, PC_APP_max_user_info_bytes);
        return pc_refusal_set(why, PUSHERC_DENIED_LIMIT, 413, "The user_info is too large");
    }
    if (s->user && !pc_slice_eq(s->user->user_id, data->id))
        return pc_refusal_set(why, PUSHERC_DENIED_BAD_MEMBER, 403,
                              "Already signed in as another user");
    return true;
}

/* Refuses a sign-in because the user has as many connections as the app allows. The connection stays open without a
 * user. */
static bool over_quota(struct pc_refusal *why)
{
    return pc_refusal_set(why, PUSHERC_DENIED_LIMIT, 403, PC_USER_OVER_QUOTA);
}

/* Signs the session in as the user. False: nothing has changed. */
static bool become(struct pc_session *s, const struct pc_user_data *data, struct pc_refusal *why)
{
    struct pc_identity *user = pc_identity_new(s->worker->mem, data->id, data->info);
    int err = user ? 0 : PUSHERC_ENOMEM;
    if (user && !s->as_signed_in)
        err = pc_user_conn_new(&s->as_signed_in, s, user->user_id, true);
    if (err) {
        pc_identity_unref(user);
        return err == PUSHERC_ELIMIT
                   ? over_quota(why)
                   : pc_refusal_set(why, PUSHERC_DENIED_INTERNAL, 500, "Out of memory");
    }
    /* rules still read the data that the host gave to the connection, through `base` */
    if (s->identity) {
        user->base = s->identity;
        user->data = s->identity->data;
        pc_identity_ref(user->base);
    }
    struct pc_identity *before = s->user;
    pthread_mutex_lock(&s->worker->listing);
    s->user = user;
    s->q->user_id = user->user_id;
    pthread_mutex_unlock(&s->worker->listing);
    pc_identity_unref(before);
    pc_grants_forget(s, user->user_id); /* of the others who have asked for this socket */
    pc_session_authorized(s);
    return true;
}

static void tell_signed_in(struct pc_session *s)
{
    const pusherc_hooks *hooks = s->worker->hooks;
    if (hooks->on_signin)
        hooks->on_signin((const pusherc_conn *)s, hooks->user_data);
}

static void say_signed_in(struct pc_session *s, pusherc_slice user_data)
{
    char stack[PC_SESSION_STACK];
    struct pc_buf message;
    pc_buf_init_in(&message, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    pc_out_signin_success(&message, user_data);
    pc_session_say(s, &message);
}

/* The id that the client asked for, if it can be read from what it sent; else "". */
static pusherc_slice asked_id(const struct pc_message_in *in, struct pc_buf *scratch)
{
    pusherc_slice id;
    struct pc_json data = pc_json_parse(in->user_data);
    bool found = data.type == PC_JSON_OBJECT &&
                 pc_json_string(pc_json_get(data, PC_S("id")), scratch, &id) == 0;
    return found ? pc_utf8_cut(id, PC_MAX_SHOWN_NAME) : PC_S("");
}

/* The connection stays open, and as it was. */
static void refuse_signin(struct pc_session *s, const struct pc_message_in *in,
                          const struct pc_refusal *why)
{
    char stack[256], text[512];
    struct pc_buf scratch;
    pc_buf_init_in(&scratch, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    pusherc_slice id = asked_id(in, &scratch);
    snprintf(text, sizeof text, "%s%s%.*s", why->text.ptr, id.len ? ": " : "", (int)id.len, id.ptr);
    pc_buf_free(&scratch);
    pc_session_say_error(s, PC_ERROR_PLAIN, text);
    pc_session_tell_host(s, PC_S(""), why);
}

void pc_session_signin(struct pc_session *s, const struct pc_message_in *in)
{
    char stack[PC_SESSION_STACK];
    struct pc_buf scratch;
    struct pc_user_data data;
    struct pc_refusal why;
    pc_buf_init_in(&scratch, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    if (check_user(s, in, &scratch, &data, &why) && become(s, &data, &why)) {
        say_signed_in(s, in->user_data);
        if (s->app->options.watchlist_events)
            pc_session_watch(s, pc_json_get(data.object, PC_S("watchlist")));
        tell_signed_in(s);
        pc_deferred_repeat(s, pc_session_subscribe);
    } else {
        refuse_signin(s, in, &why);
    }
    pc_buf_free(&scratch);
}
