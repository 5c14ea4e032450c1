/* Writes the log lines about wrong signatures. */
#include "why/why.h"

#include "why/signature.h"

#define SHOWN_BYTES 200 /* of the string to sign */

/* What the table of apps holds that one explanation needs. */
struct known {
    struct pc_app *apps[PC_WHY_MAX_OTHERS]; /* counted */
    size_t count;
    struct pc_why_secret secrets[PC_WHY_MAX_OTHERS];
    struct pc_app *key_owner; /* counted; NULL = the key is the app's own, or of no app */
};

/* Fills `known`, which the caller gives to let_go() afterwards. `key` is what the client sent as the app's key. */
static struct pc_wrong_signature look_up(struct known *known, const struct pc_why *why,
                                         const struct pc_app *app, pusherc_slice signature,
                                         pusherc_slice key)
{
    known->count = pc_apps_some(why->apps, known->apps, PC_WHY_MAX_OTHERS);
    known->key_owner = pc_slice_eq(key, app->key) ? NULL : pc_apps_by_key(why->apps, key);
    struct pc_wrong_signature wrong = {
        .mem = why->mem,
        .text = signature,
        .app_id = app->id,
        .app_key = app->key,
        .secret_text = app->secret_text,
        .secret = app->secret,
        .key_owner = known->key_owner ? known->key_owner->id : PC_S(""),
        .others = known->secrets,
    };
    for (size_t i = 0; i < known->count; i++)
        if (known->apps[i]->state != app->state)
            known->secrets[wrong.other_count++] =
                (struct pc_why_secret){known->apps[i]->id, known->apps[i]->secret};
    return wrong;
}

static void let_go(struct known *known)
{
    for (size_t i = 0; i < known->count; i++)
        pc_app_unref(known->apps[i]);
    pc_app_unref(known->key_owner);
}

static void explain_message(const struct pc_why *why, const struct pc_why_message *m,
                            struct pc_buf *cause)
{
    const struct pc_message_in *in = m->in;
    char texts[PC_WHY_MAX_OTHERS + PC_WHY_MAX_ENDED][PUSHERC_SOCKET_ID_STRLEN];
    char own_text[PUSHERC_SOCKET_ID_STRLEN];
    pusherc_slice ids[PC_WHY_MAX_OTHERS + PC_WHY_MAX_ENDED];
    pusherc_slice own = pc_slice(own_text, pusherc_socket_id_format(m->socket_id, own_text));
    pusherc_slice key = pc_slice_first(in->auth, pc_slice_find(in->auth, ':'));
    size_t open = m->other_count < PC_WHY_MAX_OTHERS ? m->other_count : PC_WHY_MAX_OTHERS;
    size_t ended = m->ended_count < PC_WHY_MAX_ENDED ? m->ended_count : PC_WHY_MAX_ENDED;
    const struct pc_why_sockets others = {ids, open, ended};
    struct known known;
    for (size_t i = 0; i < open + ended; i++) {
        pusherc_socket_id id = i < open ? m->others[i] : m->ended[i - open];
        ids[i] = pc_slice(texts[i], pusherc_socket_id_format(id, texts[i]));
    }
    struct pc_wrong_signature wrong = look_up(&known, why, m->app, in->auth, key);
    if (in->type == PC_IN_SIGNIN)
        pc_why_user_auth(&wrong, own, in->user_data, &others, cause);
    else
        pc_why_channel_auth(&wrong, own, in->channel, in->channel_data, &others, cause);
    let_go(&known);
}

void pc_why_message(const struct pc_why *why, const struct pc_why_message *m)
{
    char text[PC_WHY_MAX_BYTES];
    struct pc_buf cause;
    pc_buf_init_in(&cause, why->mem, sizeof text, text, sizeof text);
    explain_message(why, m, &cause);
    pusherc_slice shown = pc_utf8_cut(m->to_sign, SHOWN_BYTES);
    PC_LOG(
        why->log, DEBUG,
        ((struct pc_log_about){.subject = "auth", .app_id = m->app->id, .socket_id = m->socket_id}),
        "wrong signature: \"%.*s%s\" had to be signed; %.*s", (int)shown.len, shown.ptr,
        shown.len < m->to_sign.len ? "..." : "", (int)cause.len, cause.ptr);
}

void pc_why_request(const struct pc_why *why, const struct pc_why_request *r)
{
    char text[PC_WHY_MAX_BYTES];
    struct pc_buf cause;
    struct known known;
    pc_buf_init_in(&cause, why->mem, sizeof text, text, sizeof text);
    struct pc_wrong_signature wrong = look_up(&known, why, r->app, r->signature, r->key);
    bool found = pc_why_request_signature(&wrong, r->request, r->raw_query, r->forwarded_prefix,
                                          r->unix_time_s, r->max_skew_s, &cause);
    let_go(&known);
    pusherc_slice method = r->request->method, path = pc_slice_first(r->request->path, 80);
    if (found)
        PC_LOG(why->log, DEBUG, ((struct pc_log_about){.subject = "auth", .app_id = r->app->id}),
               "wrong signature of %.*s %.*s: %.*s", (int)method.len, method.ptr, (int)path.len,
               path.ptr, (int)cause.len, cause.ptr);
}
