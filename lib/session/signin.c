/* pusher:signin (protocol section 2.11). */
#include "auth/sign.h"
#include "protocol/message_out.h"
#include "session/session.h"

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
    /* rules get to see the host's own data, whoever it signed in as */
    if (s->identity) {
        user->base = s->identity;
        user->data = s->identity->data;
        pc_identity_ref(user->base);
    }
    pc_identity_unref(s->user);
    s->user = user;
    struct pc_buf message;
    pc_buf_init_in(&message, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    pc_out_signin_success(&message, in->user_data);
    pc_session_say(s, &message);
}
