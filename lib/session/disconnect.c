#include "session/disconnect.h"

#include <pusherc/error.h>

#include "fanout/absence.h"
#include "fanout/order.h"
#include "session/reply.h"
#include "session/user.h"

#define MAX_REASON 123 /* bytes of the reason in a Close frame */

struct pc_close_order {
    struct pc_order order;
    struct pc_disconnect which; /* its slices point into text */
    char text[];
};

static void close_session(struct pc_session *s, const struct pc_disconnect *which)
{
    s->expelled = true;
    pc_session_close(s, which->code, which->reason);
}

static void close_users(struct pc_user_conn *conn, void *ctx)
{
    const struct pc_disconnect *which = ctx;
    if (conn->signed_in || !which->signed_in)
        close_session(conn->session, which);
}

static bool is_member(const struct pc_session *s, pusherc_slice user_id)
{
    PC_LIST_EACH(l, &s->subscriptions) {
        const struct pc_roster_member *member =
            PC_CONTAINER(l, struct pc_subscription, of_session)->member;
        if (member && pc_slice_eq(member->node.key, user_id))
            return true;
    }
    return false;
}

static bool is_of_app(const struct pc_session *s, const struct pc_disconnect *which)
{
    const struct pc_app_state *app = s->app->state;
    if (which->any_app)
        return true;
    return which->app_uid ? app->uid == which->app_uid
                          : atomic_load_explicit(&app->disabled, memory_order_acquire);
}

/* Every session of the app, or those that are the user in some channel: walks all there are. */
static void close_each(struct pc_worker *worker, const struct pc_disconnect *which)
{
    PC_LIST_EACH_SAFE(l, next, &worker->sessions) {
        struct pc_session *s = PC_CONTAINER(l, struct pc_session, of_worker);
        if (is_of_app(s, which) && (which->user_id.len == 0 || is_member(s, which->user_id)))
            close_session(s, which);
    }
}

static void run(struct pc_order *order, struct pc_worker *worker)
{
    const struct pc_disconnect *which = &PC_CONTAINER(order, struct pc_close_order, order)->which;
    if (which->socket_id.a | which->socket_id.b) {
        struct pc_session *s = pc_session_find(worker, which->socket_id);
        if (s && s->app->state->uid == which->app_uid)
            close_session(s, which);
        return;
    }
    if (which->user_id.len)
        pc_user_each(worker, which->app_uid, which->user_id, close_users, (void *)which);
    if (which->user_id.len == 0 || which->members)
        close_each(worker, which);
    if (which->user_id.len)
        pc_absence_expel(worker, which->app_uid, which->user_id);
}

void pc_disconnect_drop(struct pc_close_order *close)
{
    if (!close)
        return;
    struct pc_engine *engine = close->order.engine;
    pc_order_free(&close->order);
    pc_free(&engine->mem, close);
}

static void done(struct pc_order *order)
{
    pc_disconnect_drop(PC_CONTAINER(order, struct pc_close_order, order));
}

int pc_disconnect_prepare(struct pc_engine *engine, const struct pc_disconnect *which,
                          struct pc_close_order **out)
{
    pusherc_slice reason = pc_utf8_cut(which->reason, MAX_REASON);
    struct pc_close_order *close =
        pc_alloc_zero(&engine->mem, sizeof *close + which->user_id.len + reason.len);
    *out = close;
    if (!close)
        return PUSHERC_ENOMEM;
    close->which = *which;
    close->which.user_id = pc_slice(close->text, which->user_id.len);
    close->which.reason = pc_slice(close->text + which->user_id.len, reason.len);
    if (which->user_id.len)
        memcpy(close->text, which->user_id.ptr, which->user_id.len);
    if (reason.len)
        memcpy(close->text + which->user_id.len, reason.ptr, reason.len);
    close->order.run = run;
    close->order.done = done;
    int err = pc_order_init(&close->order, engine);
    if (err) {
        pc_disconnect_drop(close);
        *out = NULL;
    }
    return err;
}

void pc_disconnect_send(struct pc_close_order *close, uint64_t app_uid)
{
    close->which.app_uid = app_uid;
    pc_order_send(&close->order);
}

int pc_disconnect(struct pc_engine *engine, const struct pc_disconnect *which)
{
    struct pc_close_order *close;
    int err = pc_disconnect_prepare(engine, which, &close);
    if (err == 0)
        pc_disconnect_send(close, which->app_uid);
    return err;
}
