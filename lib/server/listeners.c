/* Listeners: the host binds them before the start, and may replace their certificates after it. */
#include "base/options.h"
#include "fanout/order.h"
#include "net/listener.h"
#include "net/tls.h"
#include "server/server.h"

int pusherc_server_listen(pusherc_server *server, const pusherc_listen_options *options,
                          pusherc_errinfo *info)
{
    const pusherc_listen_options defaults = PUSHERC_LISTEN_OPTIONS_INIT;
    pusherc_listen_options taken, *const o = &taken;
    int fds[PUSHERC_WORKERS_MAX];
    uint16_t port;
    struct pc_tls_config *tls = NULL;
    if (!server)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "server: NULL");
    int err = PC_TAKE(listen_options, o, options ? options : &defaults, info);
    if (err)
        return err;
    const bool metrics = o->purpose == PUSHERC_LISTEN_METRICS;
    if (!metrics && o->purpose != PUSHERC_LISTEN_CLIENTS)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "purpose is not one of PUSHERC_LISTEN_*");
    if (atomic_load(&server->state) != PC_SERVER_NEW)
        return pc_errinfo(info, PUSHERC_ESTATE, 0, "listeners are added before start");
    if (server->listener_count == PC_MAX_LISTENERS)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "at most %d listeners", PC_MAX_LISTENERS);
    if (o->tls)
        err = pc_tls_config_new(&tls, &server->engine.mem, &server->engine.log, o->tls, info);
    if (err)
        return err;
    /* a listener for metrics has few clients: one worker is enough */
    const uint32_t sockets = metrics ? 1 : server->engine.worker_count;
    err = pc_listener_bind(o, sockets, fds, &port, info);
    if (err) {
        pc_tls_config_unref(tls);
        return err;
    }
    for (uint32_t i = 0; i < sockets; i++) {
        int added = pc_listener_add(&server->loops[i], fds[i], o->backlog ? o->backlog : 1024,
                                    (uint32_t)server->listener_count, tls, o->purpose);
        err = err ? err : added; /* go on after a failure: each call takes its socket in any case */
    }
    server->speaks_tls[server->listener_count] = tls != NULL;
    pc_tls_config_unref(tls);
    if (err)
        return pc_errinfo(info, err, 0, "out of memory");
    server->ports[server->listener_count++] = port;
    if (!metrics && server->port == 0)
        server->port = port;
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
