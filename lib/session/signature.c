#include "session/signature.h"

#include "auth/sign.h"
#include "protocol/names.h"
#include "session/explain.h"

struct socket_text {
    char bytes[PUSHERC_SOCKET_ID_STRLEN];
};

static pusherc_slice socket_text(const struct pc_session *s, struct socket_text *out)
{
    return pc_slice(out->bytes, pusherc_socket_id_format(s->q->owner, out->bytes));
}

/* The app as it is now, counted: its secret may have changed since the connection was opened. */
static struct pc_app *app_now(const struct pc_session *s)
{
    struct pc_app *app = pc_apps_by_id(&s->worker->engine->apps, s->app->id);
    if (app && app->state == s->app->state)
        return app;
    pc_app_unref(app);
    pc_app_ref(s->app); /* it has been removed, and the connection is being closed */
    return s->app;
}

static bool fits(const struct pc_session *s, const struct pc_message_in *in, pusherc_slice key,
                 const struct pc_hmac_key *secret, const char **text)
{
    struct socket_text room;
    pusherc_slice socket = socket_text(s, &room);
    int err = in->type == PC_IN_SIGNIN
                  ? pc_verify_user_auth(key, secret, socket, in->user_data, in->auth, text)
                  : pc_verify_channel_auth(key, secret, socket, in->channel, in->channel_data,
                                           in->auth, text);
    return err == 0;
}

static bool verify(const struct pc_session *s, const struct pc_app *app,
                   const struct pc_message_in *in, const char **text)
{
    const char *unused;
    return fits(s, in, app->key, app->secret, text) ||
           (pc_app_has_old_credentials(app, s->worker->now_ms) &&
            fits(s, in, app->old_key, app->old_secret, &unused));
}

bool pc_session_is_signed(const struct pc_session *s, const struct pc_message_in *in)
{
    const char *text = NULL;
    if (in->auth.len == 0)
        return false;
    struct pc_app *app = app_now(s);
    bool ok = verify(s, app, in, &text);
    pc_app_unref(app);
    return ok;
}

static void put_string_to_sign(const struct pc_session *s, const struct pc_message_in *in,
                               struct pc_buf *out)
{
    struct socket_text room;
    pc_buf_put(out, socket_text(s, &room));
    if (in->type == PC_IN_SIGNIN) {
        pc_buf_put(out, PC_S("::user::"));
        pc_buf_put(out, in->user_data);
        return;
    }
    pc_buf_put_char(out, ':');
    pc_buf_put(out, in->channel);
    if (in->channel_data.len) {
        pc_buf_put_char(out, ':');
        pc_buf_put(out, in->channel_data);
    }
}

/* A client that sends `auth` and leaves out what came beside it. */
static bool lacks_member(const struct pc_message_in *in)
{
    return in->type == PC_IN_SUBSCRIBE && in->channel_data.len == 0 &&
           pc_channel_prefix_of(in->channel)->is.kind == PUSHERC_CHANNEL_PRESENCE;
}

static void refuse_signature(struct pc_session *s, const struct pc_app *app,
                             const struct pc_message_in *in, int status, const char *text,
                             struct pc_buf *scratch, struct pc_refusal *why)
{
    if (lacks_member(in) && text && pc_slice_eq(pc_slice_of(text), PC_S("Invalid signature")))
        text = "Invalid signature, and channel_data is missing, which is signed for a presence "
               "channel";
    pc_refusal_set(why, PUSHERC_DENIED_BAD_SIGNATURE, status,
                   text ? text : "The signature could not be checked");
    put_string_to_sign(s, in, scratch);
    why->detail = pc_buf_slice(scratch);
    pc_session_explain(s, app, in, why->detail);
}

bool pc_session_check_signature(struct pc_session *s, const struct pc_message_in *in, int status,
                                struct pc_buf *scratch, struct pc_refusal *why)
{
    const char *text = NULL;
    struct pc_app *app = app_now(s);
    bool ok = verify(s, app, in, &text);
    if (!ok)
        refuse_signature(s, app, in, status, text, scratch, why);
    pc_app_unref(app);
    return ok;
}
