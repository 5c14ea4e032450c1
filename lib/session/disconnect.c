#include "session/disconnect.h"

#include <pusherc/error.h>

#include "session/reply.h"
#include "session/user.h"

#define MAX_REASON 123 /* bytes of a Close frame's */

struct close_order {
    struct pc_mail mail;
    struct pc_mem mem;
    struct pc_disconnect which; /* its slices point into text */
    char text[];
};

static void close_session(struct pc_session *s, const struct pc_disconnect *which)
{
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
    for (const struct pc_list *l = s->subscriptions.next; l != &s->subscriptions; l = l->next) {
        const struct pc_roster_member *member =
            PC_CONTAINER(l, struct pc_subscription, of_session)->member;
        if (member && pc_slice_eq(member->node.key, user_id))
            return true;
    }
    return false;
}

/* Every session of the app, or those that are the user in some channel: walks all there are. */
static void close_each(struct pc_worker *worker, const struct pc_disconnect *which)
{
    for (struct pc_list *l = worker->sessions.next, *next; l != &worker->sessions; l = next) {
        struct pc_session *s = PC_CONTAINER(l, struct pc_session, of_worker);
        next = l->next; /* closing leaves it in the list until the flush */
        if (s->app->live->uid == which->app_uid &&
            (which->user_id.len == 0 || is_member(s, which->user_id)))
            close_session(s, which);
    }
}

static void run(struct pc_mail *mail, struct pc_worker *worker)
{
    struct close_order *order = PC_CONTAINER(mail, struct close_order, mail);
    const struct pc_disconnect *which = &order->which;
    struct pc_mem mem = order->mem;
    if (worker && (which->socket_id.a | which->socket_id.b)) {
        struct pc_session *s = pc_session_find(worker, which->socket_id);
        if (s && s->app->live->uid == which->app_uid)
            close_session(s, which);
    } else if (worker) {
        if (which->user_id.len)
            pc_user_each(worker, which->app_uid, which->user_id, close_users, &order->which);
        if (which->user_id.len == 0 || which->members)
            close_each(worker, which);
    }
    pc_free(&mem, order);
}

int pc_disconnect(struct pc_engine *engine, const struct pc_disconnect *which)
{
    pusherc_slice reason = pc_utf8_cut(which->reason, MAX_REASON);
    for (uint32_t i = 0; i < engine->worker_count; i++) {
        struct close_order *order =
            pc_alloc_zero(&engine->mem, sizeof *order + which->user_id.len + reason.len);
        if (!order)
            return PUSHERC_ENOMEM;
        order->mail.run = run;
        order->mem = engine->mem;
        order->which = *which;
        order->which.user_id = pc_slice(order->text, which->user_id.len);
        order->which.reason = pc_slice(order->text + which->user_id.len, reason.len);
        if (which->user_id.len)
            memcpy(order->text, which->user_id.ptr, which->user_id.len);
        if (reason.len)
            memcpy(order->text + which->user_id.len, reason.ptr, reason.len);
        if (pc_mailbox_send(engine->workers[i].mailbox, &order->mail, PC_MAIL_CONTROL))
            run(&order->mail, NULL); /* that loop has ended, and its connections with it */
    }
    return 0;
}
