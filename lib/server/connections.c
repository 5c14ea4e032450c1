/* Calls of the host about connections: adopts a socket; closes one connection, a user's, or all of an app. */
#include <sys/socket.h>
#include <unistd.h>

#include "channel/history.h"
#include "channel/keep.h"
#include "net/serve.h"
#include "protocol/close.h"
#include "server/server.h"
#include "session/everywhere.h"
#include "session/identity.h"

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
        struct pc_conn *conn =
            pc_serve_conn_new(pc_loop_of(worker), order->fd, NULL, PUSHERC_LISTEN_CLIENTS);
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
        head.len > (size_t)server->engine.options.max_http_head_bytes +
                       pc_engine_max_body_bytes(&server->engine))
        return PUSHERC_EINVAL;
    if (pc_server_is_copy(server) || atomic_load(&server->state) != PC_SERVER_STARTED)
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
    /* bounded like publishing: when the mailbox is full, the call fails and the host keeps the socket */
    int err = pc_mailbox_send(worker->mailbox, &order->mail, PC_MAIL_EVENT);
    if (err)
        pc_free(mem, order);
    return err == PUSHERC_ECANCELED ? PUSHERC_ESTATE : err;
}

/* -- closing -- */

static int disconnect(pusherc_server *server, const char *app_id, struct pc_disconnect *which,
                      uint16_t close_code, const char *reason)
{
    int err;
    if (close_code != 1000 && (close_code < 4000 || close_code > 4999))
        return PUSHERC_EINVAL;
    if (!pc_utf8_valid(pc_slice_of(reason)))
        return PUSHERC_EINVAL;
    struct pc_app *app = pc_server_app(server, app_id, &err);
    if (!app)
        return err;
    which->app_uid = app->state->uid;
    which->code = close_code;
    which->reason = pc_slice_of(reason);
    err = pc_server_runs(server) ? pc_disconnect_everywhere(&server->engine, app, which)
                                 : PUSHERC_ESTATE;
    pc_app_unref(app);
    return err;
}

int pusherc_server_disconnect(pusherc_server *server, const char *app_id,
                              pusherc_socket_id socket_id, uint16_t close_code, const char *reason)
{
    struct pc_disconnect which = {.socket_id = socket_id};
    if (socket_id.a == 0 && socket_id.b == 0)
        return PUSHERC_EINVAL;
    return disconnect(server, app_id, &which, close_code, reason);
}

int pusherc_server_disconnect_user(pusherc_server *server, const char *app_id,
                                   pusherc_slice user_id, uint16_t close_code, const char *reason)
{
    struct pc_disconnect which = {.user_id = user_id};
    if (!user_id.ptr || user_id.len == 0 || user_id.len > PC_IDENTITY_MAX_ID)
        return PUSHERC_EINVAL;
    return disconnect(server, app_id, &which, close_code, reason);
}

int pusherc_server_remove_app(pusherc_server *server, const char *app_id)
{
    static const struct pc_disconnect all = {.code = PC_CLOSE_UNKNOWN_APP,
                                             .reason = PUSHERC_LIT("The app was removed")};
    struct pc_close_order *close = NULL;
    if (!server || !app_id)
        return PUSHERC_EINVAL;
    if (pc_server_is_copy(server))
        return PUSHERC_ESTATE;
    if (pc_server_runs(server) && pc_disconnect_prepare(&server->engine, &all, &close))
        return PUSHERC_ENOMEM;
    struct pc_app *app = pc_apps_remove(&server->engine.apps, pc_slice_of(app_id));
    if (app && close)
        pc_disconnect_send(close, app->state->uid);
    else
        pc_disconnect_drop(close);
    if (!app)
        return PUSHERC_ENOENT;
    pc_kept_forget(&server->engine.directory, app->state);
    pc_history_forget(&server->engine.directory, app->state);
    pc_app_unref(app);
    return 0;
}
