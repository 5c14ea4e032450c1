/* pusher:signin (protocol section 2.11). */
#include "auth/sign.h"
#include "protocol/message_out.h"
#include "session/explain.h"
#include "session/session.h"

static bool refuse(struct pc_refusal *why, pusherc_denial_reason reason, const char *text)
{
    *why = (struct pc_refusal){
        .reason = reason, .status = PC_ERROR_UNAUTHORIZED, .text = pc_slice_of(text)};
    return false;
}

/* `detail` receives the string that had to be signed, for the host. */
static bool check_signature(struct pc_session *s, const struct pc_message_in *in,
                            struct pc_buf *detail, struct pc_refusal *why)
{
    char id[PUSHERC_SOCKET_ID_STRLEN];
    pusherc_slice id_slice = pc_slice(id, pusherc_socket_id_format(s->q->owner, id));
    const char *text = NULL;
    if (in->auth.len == 0 || in->user_data.len == 0)
        return refuse(why, PUSHERC_DENIED_NO_SIGNATURE,
                      "auth and user_data are required to sign in");
    if (pc_verify_user_auth(s->app->key, s->app->secret, id_slice, in->user_data, in->auth,
                            &text) == 0)
        return true;
    refuse(why, PUSHERC_DENIED_BAD_SIGNATURE, text ? text : "The signature could not be checked");
    pc_buf_put(detail, id_slice);
    pc_buf_put(detail, PC_S("::user::"));
    pc_buf_put(detail, in->user_data);
    why->detail = pc_buf_slice(detail);
    pc_session_explain(s, in, why->detail);
    return false;
}

/* False: *why tells what to refuse with. `scratch` must live until then. */
static bool check_user(struct pc_session *s, const struct pc_message_in *in, struct pc_buf *scratch,
                       struct pc_user_data *data, struct pc_refusal *why)
{
    const char *text = NULL;
    if (!check_signature(s, in, scratch, why))
        return false;
    if (pc_user_data_parse(in->user_data, PC_S("id"), false, false, scratch, data, &text))
        return refuse(why, PUSHERC_DENIED_BAD_MEMBER, text ? text : "user_data could not be read");
    if (!pc_user_id_valid(data->id))
        return refuse(why, PUSHERC_DENIED_BAD_MEMBER, "Invalid user id");
    if (data->info.len > s->app->options.max_user_info_bytes) {
        pc_app_limited(s->app, PC_LIMIT_USER_INFO);
        return refuse(why, PUSHERC_DENIED_LIMIT, "The user_info is too large");
    }
    if (s->user && !pc_slice_eq(s->user->user_id, data->id))
        return refuse(why, PUSHERC_DENIED_BAD_MEMBER, "Already signed in as another user");
    return true;
}

/* The user has as many connections as the app allows: this one stays, and is nobody's. */
static bool over_quota(struct pc_refusal *why)
{
    refuse(why, PUSHERC_DENIED_LIMIT, PC_USER_OVER_QUOTA);
    why->status = PC_ERROR_OVER_QUOTA;
    return false;
}

/* From here on it is that user, or nothing has changed. */
static bool become(struct pc_session *s, const struct pc_user_data *data, struct pc_refusal *why)
{
    struct pc_identity *user = pc_identity_new(s->worker->mem, data->id, data->info);
    int rc = user ? 0 : PUSHERC_ENOMEM;
    if (user && !s->as_signed_in)
        rc = pc_user_conn_new(&s->as_signed_in, s, user->user_id, true);
    if (rc) {
        pc_identity_unref(user);
        return rc == PUSHERC_ELIMIT ? over_quota(why)
                                    : refuse(why, PUSHERC_DENIED_INTERNAL, "Out of memory");
    }
    /* rules get to see the host's own data, whoever it signed in as */
    if (s->identity) {
        user->base = s->identity;
        user->data = s->identity->data;
        pc_identity_ref(user->base);
    }
    pc_identity_unref(s->user);
    s->user = user;
    pc_session_authorized(s);
    return true;
}

static void say_signed_in(struct pc_session *s, pusherc_slice user_data)
{
    char stack[PC_SESSION_STACK];
    struct pc_buf message;
    pc_buf_init_in(&message, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    pc_out_signin_success(&message, user_data);
    pc_session_say(s, &message);
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
    } else {
        pc_session_say_error(s, (uint16_t)why.status, why.text.ptr);
        pc_session_tell_host(s, PC_S(""), &why);
    }
    pc_buf_free(&scratch);
}
