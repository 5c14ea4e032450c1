#include "session/blame.h"

#define SHOWN_BYTES 200 /* of the string to sign */

struct pc_blame pc_blame_begin(struct pc_engine *engine, const struct pc_app *app,
                               pusherc_slice signature, pusherc_slice app_key,
                               struct pc_blame_apps *apps)
{
    size_t count = pc_apps_some(&engine->apps, apps->apps, PC_BLAME_MAX_OTHERS);
    apps->count = count;
    apps->key_owner =
        pc_slice_eq(app_key, app->key) ? NULL : pc_apps_by_key(&engine->apps, app_key);
    struct pc_blame blame = {
        .mem = &engine->mem,
        .signature = signature,
        .app_id = app->id,
        .app_key = app->key,
        .secret_text = app->secret_text,
        .secret = app->secret,
        .key_owner = apps->key_owner ? apps->key_owner->id : PC_S(""),
        .others = apps->secrets,
    };
    for (size_t i = 0; i < count; i++)
        if (apps->apps[i]->live != app->live)
            apps->secrets[blame.other_count++] =
                (struct pc_blame_secret){apps->apps[i]->id, apps->apps[i]->secret};
    return blame;
}

void pc_blame_end(struct pc_blame_apps *apps)
{
    for (size_t i = 0; i < apps->count; i++)
        pc_app_unref(apps->apps[i]);
    pc_app_unref(apps->key_owner);
}

/* Ids of other connections of the same app on this worker: a client that reconnected may have
 * signed for its old id. */
static size_t other_sockets(const struct pc_session *s, char texts[][PUSHERC_SOCKET_ID_STRLEN],
                            pusherc_slice ids[PC_BLAME_MAX_OTHERS])
{
    size_t count = 0, looked_at = 0;
    const struct pc_list *all = &s->worker->sessions;
    /* the latest first */
    for (struct pc_list *l = all->prev; l != all && looked_at < 4 * PC_BLAME_MAX_OTHERS;
         l = l->prev, looked_at++) {
        const struct pc_session *other = PC_CONTAINER(l, struct pc_session, of_worker);
        if (other == s || other->app->live != s->app->live || count == PC_BLAME_MAX_OTHERS)
            continue;
        ids[count] =
            pc_slice(texts[count], pusherc_socket_id_format(other->q->owner, texts[count]));
        count++;
    }
    return count;
}

static void find_cause(struct pc_session *s, const struct pc_message_in *in, struct pc_buf *cause)
{
    char texts[PC_BLAME_MAX_OTHERS][PUSHERC_SOCKET_ID_STRLEN];
    char id[PUSHERC_SOCKET_ID_STRLEN];
    pusherc_slice ids[PC_BLAME_MAX_OTHERS];
    pusherc_slice own = pc_slice(id, pusherc_socket_id_format(s->q->owner, id));
    struct pc_blame_apps apps;
    size_t count = other_sockets(s, texts, ids);
    pusherc_slice key = pc_slice_first(in->auth, pc_slice_find(in->auth, ':'));
    struct pc_blame blame = pc_blame_begin(s->worker->engine, s->app, in->auth, key, &apps);
    if (in->type == PC_IN_SIGNIN)
        pc_blame_user(&blame, own, in->user_data, ids, count, cause);
    else
        pc_blame_channel(&blame, own, in->channel, in->channel_data, ids, count, cause);
    pc_blame_end(&apps);
}

void pc_blame_message(struct pc_session *s, const struct pc_message_in *in, pusherc_slice to_sign)
{
    char text[PC_BLAME_MAX_BYTES];
    struct pc_buf cause;
    struct pc_log *log = &s->worker->engine->log;
    if (!PC_LOG_AFFORDS(log, DEBUG, PC_BLAME_PER_S))
        return;
    pc_buf_init_in(&cause, s->worker->mem, sizeof text, text, sizeof text);
    find_cause(s, in, &cause);
    pusherc_slice shown = pc_utf8_cut(to_sign, SHOWN_BYTES);
    PC_LOG(log, DEBUG, ((struct pc_log_about){"auth", s->app->id, s->q->owner}),
           "wrong signature: \"%.*s%s\" had to be signed; %.*s", (int)shown.len, shown.ptr,
           shown.len < to_sign.len ? "..." : "", (int)cause.len, cause.ptr);
}
