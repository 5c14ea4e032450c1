#include "server/server.h"

#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pusherc/metrics.h>

#include "net/conn.h"
#include "net/listener.h"
#include "net/tls.h"

/* -- options -- */

void pusherc_server_options_init(pusherc_server_options *options)
{
    *options = (pusherc_server_options)PUSHERC_SERVER_OPTIONS_INIT;
}

void pusherc_listen_options_init(pusherc_listen_options *options)
{
    *options = (pusherc_listen_options)PUSHERC_LISTEN_OPTIONS_INIT;
}

void pusherc_tls_options_init(pusherc_tls_options *options)
{
    *options = (pusherc_tls_options)PUSHERC_TLS_OPTIONS_INIT;
}

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value ? value : fallback;
}

static struct pc_limits limits_of(const pusherc_server_options *o)
{
    return (struct pc_limits){
        .max_connections = or_default(o->max_connections, PUSHERC_NO_LIMIT),
        .max_frame_bytes = or_default(o->max_frame_bytes, 65536),
        .max_http_body_bytes = or_default(o->max_http_body_bytes, 1048576),
        .max_http_head_bytes = or_default(o->max_http_head_bytes, 16384),
        .handshake_timeout_ms = or_default(o->handshake_timeout_ms, 10000),
        .request_timeout_ms = or_default(o->request_timeout_ms, 30000),
        .keep_alive_ms = or_default(o->keep_alive_ms, 75000),
        .identify_timeout_ms = or_default(o->identify_timeout_ms, 10000),
        .auth_timeout_ms = or_default(o->auth_timeout_ms, 10000),
        .pong_timeout_ms = or_default(o->pong_timeout_ms, 30000),
        .close_timeout_ms = or_default(o->close_timeout_ms, 3000),
        .out_soft_bytes = or_default(o->out_soft_bytes, 262144),
        .out_soft_ms = or_default(o->out_soft_ms, 10000),
        .out_hard_bytes = or_default(o->out_hard_bytes, 1048576),
        .mailbox_max_messages = or_default(o->mailbox_max_messages, 65536),
        .max_auth_skew_s = or_default(o->max_auth_skew_s, 600),
    };
}

static uint32_t cpu_count(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n < 1 ? 1 : n > PUSHERC_WORKERS_MAX ? PUSHERC_WORKERS_MAX : (uint32_t)n;
}

/* Mode and number of workers; 0 workers = the combination makes no sense. */
static uint32_t workers_of(const pusherc_server_options *o, enum pc_server_mode *mode)
{
    if (o->loop) {
        *mode = PC_SERVER_ATTACHED;
        return o->worker_count <= 1 || o->worker_count == PUSHERC_WORKERS_NONE;
    }
    if (o->worker_count == PUSHERC_WORKERS_NONE) {
        *mode = PC_SERVER_POLLED;
        return 1;
    }
    *mode = PC_SERVER_THREADS;
    if (o->worker_count == PUSHERC_WORKERS_PER_CPU)
        return cpu_count();
    return o->worker_count == 0 ? 1 : o->worker_count <= PUSHERC_WORKERS_MAX ? o->worker_count : 0;
}

static int check_options(const pusherc_server_options *o, pusherc_errinfo *info)
{
    pusherc_slice prefix = pc_slice_of(o->path_prefix);
    if (o->struct_size != sizeof *o)
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "struct_size: use PUSHERC_SERVER_OPTIONS_INIT, and headers and library of one version");
    if (prefix.len && (prefix.ptr[0] != '/' || prefix.ptr[prefix.len - 1] == '/'))
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "path_prefix: starts with '/' and does not end with one");
    if (o->allocator &&
        (!o->allocator->malloc_fn || !o->allocator->realloc_fn || !o->allocator->free_fn))
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "allocator: a function is missing");
    if (o->out_soft_bytes && o->out_hard_bytes && o->out_soft_bytes > o->out_hard_bytes)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "out_soft_bytes is above out_hard_bytes");
    if (o->max_http_head_bytes > (64u << 20) || o->max_frame_bytes > (1u << 30) ||
        o->max_http_body_bytes > (1u << 30))
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "max_http_head_bytes: at most 64 MiB; max_frame_bytes and max_http_body_bytes: 1 GiB");
    return 0;
}

/* -- life -- */

static void loop_ended(struct pc_loop *loop, void *ctx);

static int make_loops(pusherc_server *server, uv_loop_t *host_loop, pusherc_errinfo *info)
{
    struct pc_engine *engine = &server->engine;
    for (uint32_t i = 0; i < engine->worker_count; i++) {
        int sys = 0;
        int rc = pc_loop_init(&server->loops[i], &engine->workers[i], host_loop, &sys);
        if (rc)
            return pc_errinfo(info, rc, sys, "event loop: %s", sys ? uv_err_name(sys) : "out of memory");
        server->loops[i].on_ended = loop_ended;
        server->loops[i].on_ended_ctx = server;
    }
    return 0;
}

static int set_auth_path(struct pc_engine *engine, const char *path, const char *fallback, char **out)
{
    pusherc_slice text = pc_slice_of(path ? path : fallback);
    if (text.len == 0)
        return 0;
    *out = pc_dup(&engine->mem, text);
    return *out ? 0 : PUSHERC_ENOMEM;
}

static int set_auth_paths(struct pc_engine *engine, const pusherc_server_options *o)
{
    int rc = set_auth_path(engine, o->auth_path, "/broadcasting/auth", &engine->auth_path);
    return rc ? rc
              : set_auth_path(engine, o->user_auth_path, "/broadcasting/user-auth", &engine->user_auth_path);
}

int pusherc_server_new(pusherc_server **out, const pusherc_server_options *options, pusherc_errinfo *info)
{
    const pusherc_server_options defaults = PUSHERC_SERVER_OPTIONS_INIT;
    const pusherc_server_options *o = options ? options : &defaults;
    enum pc_server_mode mode;
    if (!out)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "out: NULL");
    *out = NULL;
    int rc = check_options(o, info);
    if (rc)
        return rc;
    uint32_t workers = workers_of(o, &mode);
    if (workers == 0)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "worker_count: 1..%d, and none beside a loop",
                          PUSHERC_WORKERS_MAX);

    struct pc_mem mem = pc_mem_make(o->allocator);
    struct pc_limits limits = limits_of(o);
    pusherc_server *server = pc_alloc_zero(&mem, sizeof *server);
    if (!server)
        return pc_errinfo(info, PUSHERC_ENOMEM, 0, "out of memory");
    server->mode = mode;
    pthread_mutex_init(&server->mutex, NULL);
    rc = pc_engine_init(&server->engine, &mem, &limits, o->hooks, pc_slice_of(o->path_prefix), workers, 0);
    if (rc) {
        pc_errinfo(info, rc, 0, "%s", pusherc_strerror(rc));
        goto fail;
    }
    server->engine.server = server;
    pc_log_init(&server->engine.log, o->log_fn, o->log_user_data,
                o->log_level ? o->log_level : PUSHERC_LOG_INFO);
    server->loops = pc_alloc_array(&mem, workers, sizeof *server->loops);
    server->threads = pc_alloc_array(&mem, workers, sizeof *server->threads);
    if (!server->loops || !server->threads || set_auth_paths(&server->engine, o))
        rc = pc_errinfo(info, PUSHERC_ENOMEM, 0, "out of memory");
    else
        rc = make_loops(server, o->loop, info);
    if (rc) {
        pusherc_server_free(server);
        return rc;
    }
    *out = server;
    return 0;

fail:
    pthread_mutex_destroy(&server->mutex);
    pc_free(&mem, server);
    return rc;
}

int pusherc_server_listen(pusherc_server *server, const pusherc_listen_options *options,
                          pusherc_errinfo *info)
{
    const pusherc_listen_options defaults = PUSHERC_LISTEN_OPTIONS_INIT;
    const pusherc_listen_options *o = options ? options : &defaults;
    int fds[PUSHERC_WORKERS_MAX];
    uint16_t port;
    struct pc_tls_config *tls = NULL;
    if (!server || o->struct_size != sizeof *o)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "use PUSHERC_LISTEN_OPTIONS_INIT");
    if (atomic_load(&server->state) != PC_SERVER_NEW)
        return pc_errinfo(info, PUSHERC_ESTATE, 0, "listeners are added before start");
    if (server->listener_count == PC_MAX_LISTENERS || server->tls_count == PC_MAX_LISTENERS)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "at most %d listeners", PC_MAX_LISTENERS);
    int rc = o->tls ? pc_tls_config_new(&tls, &server->engine.mem, &server->engine.log, o->tls, info) : 0;
    if (rc)
        return rc;
    rc = pc_listener_bind(o, server->engine.worker_count, fds, &port, info);
    if (rc) {
        pc_tls_config_free(tls);
        return rc;
    }
    if (tls)
        server->tls[server->tls_count++] = tls;
    for (uint32_t i = 0; i < server->engine.worker_count; i++) {
        int added = pc_listener_add(&server->loops[i], fds[i], or_default(o->backlog, 1024), tls);
        rc = rc ? rc : added; /* every socket is taken, so go on */
    }
    if (rc)
        return pc_errinfo(info, rc, 0, "out of memory");
    server->ports[server->listener_count++] = port;
    return 0;
}

uint16_t pusherc_server_port(const pusherc_server *server, size_t listener)
{
    return server && listener < server->listener_count ? server->ports[listener] : 0;
}

static void *run_thread(void *arg)
{
    struct pc_loop *loop = arg;
    pc_loop_own(loop);
    pc_loop_run(loop);
    return NULL;
}

/* Our threads take no signals: they are the host's to handle, on its own threads. */
static int start_threads(pusherc_server *server, pusherc_errinfo *info)
{
    sigset_t all, before;
    int rc = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (uint32_t i = 0; i < server->engine.worker_count && rc == 0; i++) {
        rc = pthread_create(&server->threads[i], NULL, run_thread, &server->loops[i]);
        server->thread_count += rc == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc ? pc_errinfo(info, PUSHERC_EIO, -rc, "cannot start a thread") : 0;
}

int pusherc_server_start(pusherc_server *server, pusherc_errinfo *info)
{
    if (!server)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "server: NULL");
    int state = PC_SERVER_NEW;
    if (!atomic_compare_exchange_strong(&server->state, &state, PC_SERVER_STARTING))
        return pc_errinfo(info, PUSHERC_ESTATE, 0, "the server was started before");
    server->running = server->engine.worker_count;
    for (uint32_t i = 0; i < server->engine.worker_count; i++) {
        int sys = 0;
        int rc = pc_loop_start(&server->loops[i], &sys);
        if (rc)
            return pc_errinfo(info, rc, sys, "cannot listen: %s", uv_err_name(sys));
    }
    atomic_store(&server->state, PC_SERVER_STARTED);
    if (server->mode == PC_SERVER_THREADS)
        return start_threads(server, info);
    pc_loop_own(&server->loops[0]);
    return 0;
}

int pusherc_server_poll(pusherc_server *server, uint32_t timeout_ms)
{
    if (!server || server->mode != PC_SERVER_POLLED || server->polling)
        return PUSHERC_ESTATE;
    int state = atomic_load(&server->state);
    if (state == PC_SERVER_NEW || state == PC_SERVER_STARTING)
        return PUSHERC_ESTATE;
    if (state != PC_SERVER_STOPPED) {
        server->polling = true;
        pc_loop_poll(&server->loops[0], timeout_ms);
        server->polling = false;
    }
    return atomic_load(&server->state) != PC_SERVER_STOPPED;
}

/* -- orders to a worker -- */

struct order {
    struct pc_mail mail;
    struct pc_mem mem;
    union {
        struct {
            uint64_t grace_ms;
        } stop;
        struct {
            int fd;
            size_t head_len;
        } adopt;
        struct {
            pusherc_socket_id id;
            uint64_t app_uid;
            uint16_t code;
            bool whole_app; /* every connection of the app */
            size_t reason_len;
        } disconnect;
    } u;
    char text[]; /* adopt: head; disconnect: reason */
};

static struct order *order_new(pusherc_server *server, size_t text_len,
                               void (*run)(struct pc_mail *, struct pc_worker *))
{
    struct order *order = pc_alloc_zero(&server->engine.mem, sizeof *order + text_len);
    if (order) {
        order->mail.run = run;
        order->mem = server->engine.mem;
    }
    return order;
}

static void order_free(struct order *order)
{
    struct pc_mem mem = order->mem;
    pc_free(&mem, order);
}

static int send_order(struct pc_worker *worker, struct order *order)
{
    int rc = pc_mailbox_send(worker->mailbox, &order->mail, PC_MAIL_CONTROL);
    if (rc)
        order_free(order);
    return rc;
}

/* -- stopping -- */

static void loop_ended(struct pc_loop *loop, void *ctx)
{
    pusherc_server *server = ctx;
    (void)loop;
    pthread_mutex_lock(&server->mutex);
    bool last = --server->running == 0;
    pusherc_stopped_fn stopped = server->stopped;
    void *user_data = server->stopped_user_data;
    if (last)
        atomic_store(&server->state, PC_SERVER_STOPPED);
    pthread_mutex_unlock(&server->mutex);
    if (last && stopped)
        stopped(server, user_data); /* attached: it may free the server */
}

static void run_stop(struct pc_mail *mail, struct pc_worker *worker)
{
    struct order *order = PC_CONTAINER(mail, struct order, mail);
    if (worker)
        pc_loop_stop(pc_loop_of(worker), order->u.stop.grace_ms);
    order_free(order);
}

static int order_stop(pusherc_server *server, uint64_t grace_ms)
{
    int rc = 0;
    for (uint32_t i = 0; i < server->engine.worker_count; i++) {
        struct order *order = order_new(server, 0, run_stop);
        if (!order)
            return PUSHERC_ENOMEM;
        order->u.stop.grace_ms = grace_ms;
        int sent = send_order(&server->engine.workers[i], order);
        rc = rc ? rc : sent;
    }
    return rc == PUSHERC_ECANCELED ? 0 : rc; /* that loop has ended already */
}

int pusherc_server_stop(pusherc_server *server, uint32_t grace_ms, pusherc_stopped_fn stopped,
                        void *user_data)
{
    if (!server)
        return PUSHERC_EINVAL;
    pthread_mutex_lock(&server->mutex);
    int state = atomic_load(&server->state);
    bool idle = state == PC_SERVER_NEW || state == PC_SERVER_STARTING; /* no loop runs */
    bool first = idle || state == PC_SERVER_STARTED;
    if (first) {
        server->stopped = stopped;
        server->stopped_user_data = user_data;
        atomic_store(&server->state, idle ? PC_SERVER_STOPPED : PC_SERVER_STOPPING);
        atomic_store_explicit(&server->engine.draining, true, memory_order_relaxed);
    }
    pthread_mutex_unlock(&server->mutex);
    if (idle) {
        if (stopped)
            stopped(server, user_data);
        return 0;
    }
    if (state != PC_SERVER_STOPPED) {
        int rc = order_stop(server, grace_ms);
        if (rc)
            return rc;
    }
    return first ? 0 : PUSHERC_ESTATE;
}

static void join_threads(pusherc_server *server)
{
    for (uint32_t i = 0; i < server->thread_count; i++)
        pthread_join(server->threads[i], NULL);
}

void pusherc_server_free(pusherc_server *server)
{
    if (!server)
        return;
    struct pc_engine *engine = &server->engine;
    int state = atomic_load(&server->state);
    if ((state == PC_SERVER_STARTED || state == PC_SERVER_STOPPING) && server->mode != PC_SERVER_ATTACHED) {
        /* Stop without grace. Without memory for the order there is no safe way on but to wait for some. */
        while (pusherc_server_stop(server, 0, NULL, NULL) == PUSHERC_ENOMEM)
            sched_yield();
        while (server->mode == PC_SERVER_POLLED && pusherc_server_poll(server, 10) == 1)
            continue;
    }
    join_threads(server);
    for (uint32_t i = 0; server->loops && i < engine->worker_count; i++)
        pc_loop_free(&server->loops[i]);
    for (size_t i = 0; i < server->tls_count; i++)
        pc_tls_config_free(server->tls[i]);
    struct pc_mem mem = engine->mem;
    pc_free(&mem, server->loops);
    pc_free(&mem, server->threads);
    pc_engine_free(engine);
    pc_log_free(&engine->log);
    pthread_mutex_destroy(&server->mutex);
    pc_free(&mem, server);
}

/* -- adopting -- */

static void run_adopt(struct pc_mail *mail, struct pc_worker *worker)
{
    struct order *order = PC_CONTAINER(mail, struct order, mail);
    if (!worker) {
        close(order->u.adopt.fd);
    } else {
        struct pc_conn *conn = pc_conn_new(pc_loop_of(worker), order->u.adopt.fd, NULL);
        if (conn && order->u.adopt.head_len)
            pc_conn_input(conn, pc_slice(order->text, order->u.adopt.head_len));
    }
    order_free(order);
}

int pusherc_server_adopt(pusherc_server *server, intptr_t os_socket, pusherc_slice head)
{
    int type = 0;
    socklen_t len = sizeof type;
    if (!server || os_socket < 0 || os_socket > INT32_MAX ||
        getsockopt((int)os_socket, SOL_SOCKET, SO_TYPE, &type, &len) || type != SOCK_STREAM ||
        head.len > (size_t)server->engine.limits.max_http_head_bytes + server->engine.limits.max_http_body_bytes)
        return PUSHERC_EINVAL;
    if (atomic_load(&server->state) != PC_SERVER_STARTED)
        return PUSHERC_ESTATE;
    struct order *order = order_new(server, head.len, run_adopt);
    if (!order)
        return PUSHERC_ENOMEM;
    uint32_t turn = atomic_fetch_add_explicit(&server->next_loop, 1, memory_order_relaxed);
    order->u.adopt.fd = (int)os_socket;
    order->u.adopt.head_len = head.len;
    if (head.len)
        memcpy(order->text, head.ptr, head.len);
    struct pc_worker *worker = &server->engine.workers[turn % server->engine.worker_count];
    /* bounded like publishing: whoever adopts faster than we serve keeps the socket */
    int rc = pc_mailbox_send(worker->mailbox, &order->mail, PC_MAIL_EVENT);
    if (rc)
        order_free(order);
    return rc == PUSHERC_ECANCELED ? PUSHERC_ESTATE : rc;
}

/* -- disconnecting -- */

static void run_disconnect(struct pc_mail *mail, struct pc_worker *worker)
{
    struct order *order = PC_CONTAINER(mail, struct order, mail);
    pusherc_slice reason = pc_slice(order->text, order->u.disconnect.reason_len);
    if (worker && order->u.disconnect.whole_app) {
        for (struct pc_list *l = worker->sessions.next, *next; l != &worker->sessions; l = next) {
            struct pc_session *s = PC_CONTAINER(l, struct pc_session, of_worker);
            next = l->next; /* closing leaves it in the list until the flush */
            if (s->app->live->uid == order->u.disconnect.app_uid)
                pc_session_close(s, order->u.disconnect.code, reason);
        }
    } else if (worker) {
        struct pc_session *s = pc_session_find(worker, order->u.disconnect.id);
        if (s && s->app->live->uid == order->u.disconnect.app_uid)
            pc_session_close(s, order->u.disconnect.code, reason);
    }
    order_free(order);
}

static int order_disconnect(pusherc_server *server, uint64_t app_uid, const pusherc_socket_id *id,
                            uint16_t code, const char *reason)
{
    pusherc_slice text = pc_utf8_cut(pc_slice_of(reason), 123);
    for (uint32_t i = 0; i < server->engine.worker_count; i++) {
        struct order *order = order_new(server, text.len, run_disconnect);
        if (!order)
            return PUSHERC_ENOMEM;
        order->u.disconnect.app_uid = app_uid;
        order->u.disconnect.whole_app = id == NULL;
        if (id)
            order->u.disconnect.id = *id;
        order->u.disconnect.code = code;
        order->u.disconnect.reason_len = text.len;
        if (text.len)
            memcpy(order->text, text.ptr, text.len);
        int rc = send_order(&server->engine.workers[i], order);
        if (rc && rc != PUSHERC_ECANCELED)
            return rc;
    }
    return 0;
}

bool pc_server_runs(const pusherc_server *server)
{
    int state = atomic_load(&server->state);
    return state == PC_SERVER_STARTED || state == PC_SERVER_STOPPING;
}

struct pc_app *pc_server_app(pusherc_server *server, const char *app_id, int *rc)
{
    struct pc_app *app = NULL;
    *rc = PUSHERC_EINVAL;
    if (server && app_id) {
        app = pc_apps_by_id(&server->engine.apps, pc_slice_of(app_id));
        *rc = app ? 0 : PUSHERC_ENOENT;
    }
    return app;
}

int pusherc_server_disconnect(pusherc_server *server, const char *app_id, pusherc_socket_id socket_id,
                              uint16_t close_code, const char *reason)
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

/* -- apps -- */

void pusherc_app_options_init(pusherc_app_options *options)
{
    *options = (pusherc_app_options)PUSHERC_APP_OPTIONS_INIT;
}

int pusherc_server_put_app(pusherc_server *server, const pusherc_app_options *options,
                           pusherc_errinfo *info)
{
    if (!server || !options || options->struct_size != sizeof *options)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "use PUSHERC_APP_OPTIONS_INIT");
    return pc_apps_put(&server->engine.apps, options, info);
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
        rc = order_disconnect(server, app->live->uid, NULL, PC_CLOSE_UNKNOWN_APP, "The app was removed");
    pc_app_unref(app);
    return rc;
}

/* -- counters -- */

static uint64_t get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

int pusherc_server_stats(pusherc_server *server, pusherc_stats *out)
{
    if (!server || !out || out->struct_size != sizeof *out)
        return PUSHERC_EINVAL;
    struct pc_engine *engine = &server->engine;
    *out = (pusherc_stats)PUSHERC_STATS_INIT;
    for (uint32_t i = 0; i < engine->worker_count; i++) {
        const struct pc_worker_stats *s = &engine->workers[i].stats;
        out->connections += get(&s->connections);
        out->connections_total += get(&s->connections_total);
        out->sockets += get(&s->sockets);
        out->subscriptions += get(&s->subscriptions);
        out->messages_in_total += get(&s->messages_in);
        out->messages_out_total += get(&s->messages_out);
        out->bytes_in_total += get(&s->bytes_in);
        out->bytes_out_total += get(&s->bytes_out);
        out->write_calls_total += get(&s->write_calls);
        out->http_requests_total += get(&s->http_requests);
        out->slow_closed_total += get(&s->slow_closed);
        out->slow_dropped_total += get(&s->slow_dropped);
        out->out_queued_bytes += get(&s->out_queued_bytes);
    }
    out->channels = pc_directory_occupied(&engine->directory);
    out->publishes_total = get(&engine->publishes);
    out->publishes_unmatched_total = get(&engine->unmatched);
    out->mailbox_refused_total = get(&engine->mailbox_refused);
    return 0;
}
