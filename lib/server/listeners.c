/* Listeners: the host binds them before the start, and may replace their certificates after it. */
#include "base/options.h"
#include "fanout/order.h"
#include "net/listener.h"
#include "net/socket_file.h"
#include "net/tls.h"
#include "server/server.h"

#define DEFAULT_BACKLOG   1024
#define DEFAULT_UNIX_MODE 0660

/* The sockets of one listener, one for each worker that serves it. */
struct bound {
    int fds[PUSHERC_WORKERS_MAX];
    uint32_t count;
    uint16_t port;               /* 0 = a unix socket */
    struct pc_socket_file *file; /* of a unix socket */
};

static int check(const pusherc_server *server, const pusherc_listen_options *o,
                 pusherc_errinfo *info)
{
    bool unix_socket = pc_socket_path(o->host) != NULL;
    if (o->purpose != PUSHERC_LISTEN_METRICS && o->purpose != PUSHERC_LISTEN_CLIENTS)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "purpose is not one of PUSHERC_LISTEN_*");
    if (unix_socket && o->port)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "port: a unix socket has none");
    if (o->unix_mode > 0777 || (o->unix_mode && !unix_socket))
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "unix_mode: 0..0777, and 0 without unix:");
    if (pc_server_is_copy(server))
        return pc_errinfo(info, PUSHERC_ESTATE, 0, PC_IS_COPY);
    if (atomic_load(&server->state) != PC_SERVER_NEW)
        return pc_errinfo(info, PUSHERC_ESTATE, 0, "listeners are added before start");
    if (server->listener_count == PC_MAX_LISTENERS)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "at most %d listeners", PC_MAX_LISTENERS);
    return 0;
}

static int bind_all(const pusherc_server *server, const pusherc_listen_options *o, struct bound *b,
                    pusherc_errinfo *info)
{
    const char *path = pc_socket_path(o->host);
    if (!path)
        return pc_listener_bind(o, b->count, b->fds, &b->port, info);
    return pc_socket_file_new(&b->file, &server->engine.mem, path, o, b->count, b->fds, info);
}

/* Each loop takes its socket in any case, so this goes on after a failure. 0 or PUSHERC_ENOMEM. */
static int add_all(pusherc_server *server, const pusherc_listen_options *o, const struct bound *b,
                   struct pc_tls_config *tls)
{
    int err = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        int added = pc_listener_add(&server->loops[i], b->fds[i], o->backlog,
                                    (uint32_t)server->listener_count, tls, o->purpose);
        if (i == 0 && added == 0)
            pc_listener_take_file(&server->loops[0], b->file);
        else if (i == 0)
            pc_socket_file_remove(b->file);
        err = err ? err : added;
    }
    return err;
}

int pusherc_server_listen(pusherc_server *server, const pusherc_listen_options *options,
                          pusherc_errinfo *info)
{
    const pusherc_listen_options defaults = PUSHERC_LISTEN_OPTIONS_INIT;
    pusherc_listen_options taken, *const o = &taken;
    struct pc_tls_config *tls = NULL;
    if (!server)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "server: NULL");
    int err = PC_TAKE(listen_options, o, options ? options : &defaults, info);
    err = err ? err : check(server, o, info);
    if (err)
        return err;
    if (o->backlog == 0)
        o->backlog = DEFAULT_BACKLOG;
    if (o->unix_mode == 0)
        o->unix_mode = DEFAULT_UNIX_MODE;
    if (o->tls)
        err = pc_tls_config_new(&tls, &server->engine.mem, &server->engine.log, o->tls, info);
    if (err)
        return err;
    /* a listener for metrics has few clients: one worker is enough */
    const bool metrics = o->purpose == PUSHERC_LISTEN_METRICS;
    struct bound bound = {.count = metrics ? 1 : server->engine.worker_count};
    err = bind_all(server, o, &bound, info);
    if (err == 0 && (err = add_all(server, o, &bound, tls)))
        pc_errinfo(info, err, 0, "out of memory");
    server->speaks_tls[server->listener_count] = tls != NULL;
    pc_tls_config_unref(tls);
    if (err)
        return err;
    server->ports[server->listener_count++] = bound.port;
    if (!metrics && server->port == 0)
        server->port = bound.port;
    return 0;
}

uint16_t pusherc_server_port(const pusherc_server *server, size_t listener)
{
    return server && listener < server->listener_count ? server->ports[listener] : 0;
}

/* -- replacing a certificate -- */

struct certificate_order {
    struct pc_order order;
    struct pc_tls_config *tls; /* counted */
    uint32_t listener;
};

static void run_certificate(struct pc_order *order, struct pc_worker *worker)
{
    const struct certificate_order *certificate =
        PC_CONTAINER(order, struct certificate_order, order);
    pc_listener_set_tls(pc_loop_of(worker), certificate->listener, certificate->tls);
}

static void certificate_done(struct pc_order *order)
{
    struct certificate_order *certificate = PC_CONTAINER(order, struct certificate_order, order);
    struct pc_engine *engine = order->engine;
    pc_tls_config_unref(certificate->tls);
    pc_order_free(order);
    pc_free(&engine->mem, certificate);
}

static int order_certificate(pusherc_server *server, uint32_t listener, struct pc_tls_config *tls)
{
    struct pc_engine *engine = &server->engine;
    struct certificate_order *certificate = pc_alloc_zero(&engine->mem, sizeof *certificate);
    if (!certificate)
        return PUSHERC_ENOMEM;
    if (pc_order_init(&certificate->order, engine)) {
        pc_free(&engine->mem, certificate);
        return PUSHERC_ENOMEM;
    }
    certificate->order.run = run_certificate;
    certificate->order.done = certificate_done;
    certificate->tls = tls;
    certificate->listener = listener;
    pc_tls_config_ref(tls);
    pc_order_send(&certificate->order);
    return 0;
}

int pusherc_server_reload_tls(pusherc_server *server, size_t listener,
                              const pusherc_tls_options *tls, pusherc_errinfo *info)
{
    struct pc_tls_config *config;
    if (!server || !tls)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "NULL argument");
    if (pc_server_is_copy(server))
        return pc_errinfo(info, PUSHERC_ESTATE, 0, PC_IS_COPY);
    if (atomic_load(&server->state) != PC_SERVER_STARTED)
        return pc_errinfo(info, PUSHERC_ESTATE, 0, "the server is not running");
    if (listener >= server->listener_count || !server->speaks_tls[listener])
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "no such listener, or it is one without TLS");
    int err = pc_tls_config_new(&config, &server->engine.mem, &server->engine.log, tls, info);
    if (err)
        return err;
    err = order_certificate(server, (uint32_t)listener, config);
    pc_tls_config_unref(config);
    return err ? pc_errinfo(info, err, 0, "out of memory") : 0;
}
