/* What a host does to connections from outside: hands one over, closes one, or all of an app. */
#include <sys/socket.h>
#include <unistd.h>

#include "net/conn.h"
#include "server/server.h"

/* -- adopting -- */

struct adopt_order {
    struct pc_mail mail;
    struct pc_mem mem;
    int fd;
    size_t head_len;
    char head[];
};

static void run_adopt(struct pc_mail *mail, struct pc_worker *worker)
{
    struct adopt_order *order = PC_CONTAINER(mail, struct adopt_order, mail);
    struct pc_mem mem = order->mem;
    if (!worker) {
        close(order->fd);
    } else {
        struct pc_conn *conn = pc_conn_new(pc_loop_of(worker), order->fd, NULL);
        if (conn && order->head_len)
            pc_conn_input(conn, pc_slice(order->head, order->head_len));
    }
    pc_free(&mem, order);
}

int pusherc_server_adopt(pusherc_server *server, intptr_t os_socket, pusherc_slice head)
{
    int type = 0;
    socklen_t len = sizeof type;
    if (!server || os_socket < 0 || os_socket > INT32_MAX ||
        getsockopt((int)os_socket, SOL_SOCKET, SO_TYPE, &type, &len) || type != SOCK_STREAM ||
        head.len > (size_t)server->engine.limits.max_http_head_bytes +
                       server->engine.limits.max_http_body_bytes)
        return PUSHERC_EINVAL;
    if (atomic_load(&server->state) != PC_SERVER_STARTED)
        return PUSHERC_ESTATE;
    const struct pc_mem *mem = &server->engine.mem;
    struct adopt_order *order = pc_alloc_zero(mem, sizeof *order + head.len);
    if (!order)
        return PUSHERC_ENOMEM;
    order->mail.run = run_adopt;
    order->mem = *mem;
    uint32_t turn = atomic_fetch_add_explicit(&server->next_loop, 1, memory_order_relaxed);
    order->fd = (int)os_socket;
    order->head_len = head.len;
    if (head.len)
        memcpy(order->head, head.ptr, head.len);
    struct pc_worker *worker = &server->engine.workers[turn % server->engine.worker_count];
    /* bounded like publishing: whoever adopts faster than we serve keeps the socket */
    int rc = pc_mailbox_send(worker->mailbox, &order->mail, PC_MAIL_EVENT);
    if (rc)
        pc_free(mem, order);
    return rc == PUSHERC_ECANCELED ? PUSHERC_ESTATE : rc;
}

/* -- closing -- */

struct close_order {
    struct pc_mail mail;
    struct pc_mem mem;
    uint64_t app_uid;
    pusherc_socket_id id;
    bool whole_app; /* every connection of the app */
    uint16_t code;
    size_t reason_len;
    char reason[];
};

static void run_disconnect(struct pc_mail *mail, struct pc_worker *worker)
{
    struct close_order *order = PC_CONTAINER(mail, struct close_order, mail);
    struct pc_mem mem = order->mem;
    pusherc_slice reason = pc_slice(order->reason, order->reason_len);
    if (worker && order->whole_app) {
        for (struct pc_list *l = worker->sessions.next, *next; l != &worker->sessions; l = next) {
            struct pc_session *s = PC_CONTAINER(l, struct pc_session, of_worker);
            next = l->next; /* closing leaves it in the list until the flush */
            if (s->app->live->uid == order->app_uid)
                pc_session_close(s, order->code, reason);
        }
    } else if (worker) {
        struct pc_session *s = pc_session_find(worker, order->id);
        if (s && s->app->live->uid == order->app_uid)
            pc_session_close(s, order->code, reason);
    }
    pc_free(&mem, order);
}

static int order_disconnect(pusherc_server *server, uint64_t app_uid, const pusherc_socket_id *id,
                            uint16_t code, const char *reason)
{
    const struct pc_mem *mem = &server->engine.mem;
    pusherc_slice text = pc_utf8_cut(pc_slice_of(reason), 123);
    for (uint32_t i = 0; i < server->engine.worker_count; i++) {
        struct close_order *order = pc_alloc_zero(mem, sizeof *order + text.len);
        if (!order)
            return PUSHERC_ENOMEM;
        order->mail.run = run_disconnect;
        order->mem = *mem;
        order->app_uid = app_uid;
        order->whole_app = id == NULL;
        if (id)
            order->id = *id;
        order->code = code;
        order->reason_len = text.len;
        if (text.len)
            memcpy(order->reason, text.ptr, text.len);
        if (pc_mailbox_send(server->engine.workers[i].mailbox, &order->mail, PC_MAIL_CONTROL))
            /* that loop has ended, and its connections with it */
            run_disconnect(&order->mail, NULL);
    }
    return 0;
}

int pusherc_server_disconnect(pusherc_server *server, const char *app_id,
                              pusherc_socket_id socket_id, uint16_t close_code, const char *reason)
{
    int rc;
    if (close_code != 1000 && (close_code < 4000 || close_code > 4999))
        return PUSHERC_EINVAL;
    if (reason && !pc_utf8_valid(pc_slice_of(reason)))
        return PUSHERC_EINVAL;
    struct pc_app *app = pc_server_app(server, app_id, &rc);
    if (!app)
        return rc;
    rc = pc_server_runs(server)
             ? order_disconnect(server, app->live->uid, &socket_id, close_code, reason)
             : PUSHERC_ESTATE;
    pc_app_unref(app);
    return rc;
}

int pusherc_server_remove_app(pusherc_server *server, const char *app_id)
{
    if (!server || !app_id)
        return PUSHERC_EINVAL;
    struct pc_app *app = pc_apps_remove(&server->engine.apps, pc_slice_of(app_id));
    if (!app)
        return PUSHERC_ENOENT;
    int rc = 0;
    if (pc_server_runs(server))
        rc = order_disconnect(server, app->live->uid, NULL, PC_CLOSE_UNKNOWN_APP,
                              "The app was removed");
    pc_app_unref(app);
    return rc;
}
