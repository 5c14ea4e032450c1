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

static bool verify(const struct pc_session *s, const struct pc_message_in *in, const char **text)
{
    const struct pc_app *app = s->app;
    struct socket_text room;
    pusherc_slice socket = socket_text(s, &room);
    int err =
        in->type == PC_IN_SIGNIN
            ? pc_verify_user_auth(app->key, app->secret, socket, in->user_data, in->auth, text)
            : pc_verify_channel_auth(app->key, app->secret, socket, in->channel, in->channel_data,
                                     in->auth, text);
    return err == 0;
}

bool pc_session_is_signed(const struct pc_session *s, const struct pc_message_in *in)
{
    const char *text = NULL;
    return in->auth.len && verify(s, in, &text);
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

bool pc_session_check_signature(struct pc_session *s, const struct pc_message_in *in, int status,
                                struct pc_buf *scratch, struct pc_refusal *why)
{
    const char *text = NULL;
    if (verify(s, in, &text))
        return true;
    if (lacks_member(in) && text && pc_slice_eq(pc_slice_of(text), PC_S("Invalid signature")))
        text = "Invalid signature, and channel_data is missing, which is signed for a presence "
               "channel";
    pc_refusal_set(why, PUSHERC_DENIED_BAD_SIGNATURE, status,
                   text ? text : "The signature could not be checked");
    put_string_to_sign(s, in, scratch);
    why->detail = pc_buf_slice(scratch);
    pc_session_explain(s, in, why->detail);
    return false;
}
