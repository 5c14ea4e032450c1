#include "server/server.h"

#include <signal.h>

#include "cluster/node.h"
#include "fanout/shaping.h"
#include "net/listener.h"
#include "server/cluster.h"
#include "server/inbox.h"
#include "server/inspector.h"
#include "server/metrics.h"
#include "server/options.h"

static void loop_ended(struct pc_loop *loop, void *ctx);
static int make_stop_order(pusherc_server *server);

static int make_loops(pusherc_server *server, uv_loop_t *host_loop, pusherc_errinfo *info)
{
    struct pc_engine *engine = &server->engine;
    for (uint32_t i = 0; i < engine->worker_count; i++) {
        int sys = 0;
        int err = pc_loop_init(&server->loops[i], &engine->workers[i], host_loop, &sys);
        if (err)
            return pc_errinfo(info, err, sys, "event loop: %s",
                              sys ? uv_err_name(sys) : "out of memory");
        server->loops[i].on_ended = loop_ended;
        server->loops[i].on_ended_ctx = server;
    }
    return 0;
}

int pusherc_server_new(pusherc_server **out, const pusherc_server_options *options,
                       pusherc_errinfo *info)
{
    const pusherc_server_options defaults = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_server_options taken, *const o = &taken;
    pusherc_hooks hooks;
    enum pc_server_mode mode;
    if (!out)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "out: NULL");
    *out = NULL;
    int err = pc_server_options_take(o, &hooks, options ? options : &defaults, info);
    if (err)
        return err;
    uint32_t workers = pc_server_workers(o, &mode);
    if (workers == 0)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "worker_count: 1..%d, and none beside a loop",
                          PUSHERC_WORKERS_MAX);

    struct pc_mem mem = pc_mem_make(o->allocator);
    pusherc_server *server = pc_alloc_zero(&mem, sizeof *server);
    if (!server)
        return pc_errinfo(info, PUSHERC_ENOMEM, 0, "out of memory");
    server->mode = mode;
    pc_list_init(&server->feeds);
    pthread_mutex_init(&server->mutex, NULL);
    pc_latch_init(&server->over);
    err = pc_engine_init(&server->engine, &mem, o, workers, 0);
    if (err) {
        pc_errinfo(info, err, 0, "%s",
                   err == PUSHERC_ENOSYS ? "deflate_min_bytes: zlib was not compiled in"
                                         : pusherc_strerror(err));
        goto fail;
    }
    err = pc_messages_new(&server->messages, server, o);
    server->engine.clock_ns = uv_hrtime;
    server->engine.mark = pc_fork_mark_new();
    server->engine.metrics = (struct pc_metrics_page){pc_server_write_metrics, server};
    server->engine.inspector = (struct pc_inspector_page){pc_server_write_state, server};
    pc_log_init(&server->engine.log, o->log_fn, o->log_user_data, o->log_level);
    server->loops = pc_alloc_array(&mem, workers, sizeof *server->loops);
    server->threads = pc_alloc_array(&mem, workers, sizeof *server->threads);
    if (err || !server->engine.mark || !server->loops || !server->threads ||
        make_stop_order(server))
        err = pc_errinfo(info, PUSHERC_ENOMEM, 0, "out of memory");
    else
        err = make_loops(server, o->loop, info);
    if (err == 0 && (err = pc_sender_new(&server->sender, &server->loops[0], o->webhook_ca_file)))
        pc_errinfo(info, err, 0, "webhooks: %s", pusherc_strerror(err));
    if (err) {
        pusherc_server_free(server);
        return err;
    }
    *out = server;
    return 0;

fail:
    pc_latch_free(&server->over);
    pthread_mutex_destroy(&server->mutex);
    pc_free(&mem, server);
    return err;
}

/* Accounts for `count` loops that have ended or did not start. True: no loop is left. */
static bool loops_over(pusherc_server *server, uint32_t count)
{
    pthread_mutex_lock(&server->mutex);
    server->running -= count;
    bool last = server->running == 0, one_is_left = server->running == 1;
    if (last)
        atomic_store(&server->state, PC_SERVER_STOPPED);
    pthread_mutex_unlock(&server->mutex);
    if (one_is_left)
        pc_sender_last(server->sender);
    return last;
}

static void *run_thread(void *arg)
{
    struct pc_loop *loop = arg;
    pc_loop_own(loop);
    pc_loop_run(loop);
    return NULL;
}

/* Blocks all signals in the server's threads, so that the host's threads handle them. */
static int start_threads(pusherc_server *server, pusherc_errinfo *info)
{
    sigset_t all, before;
    int err = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (uint32_t i = 0; i < server->engine.worker_count && err == 0; i++) {
        err = pthread_create(&server->threads[i], NULL, run_thread, &server->loops[i]);
        server->thread_count += err == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err)
        loops_over(server, server->engine.worker_count - server->thread_count);
    return err ? pc_errinfo(info, PUSHERC_EIO, -err, "cannot start a thread") : 0;
}

/* A rule on public names shows that they carry private data. Without allowed_origins a page of another site could
 * subscribe with the cookies of the user. */
static void warn_of_open_origins(struct pc_engine *engine)
{
    const struct pc_rule_table *rules = pc_rules_now(&engine->rules);
    if (rules && rules->any_public && engine->hooks.identify && pc_apps_any_origin(&engine->apps))
        PC_LOG(&engine->log, WARN, ((struct pc_log_about){.subject = "auth"}),
               "a rule guards public channel names and an app has no allowed_origins: if identify "
               "decides by cookies, set them");
}

/* Descriptors that the server and the host need besides the clients, estimated generously. */
#define SPARE_DESCRIPTORS 64
/* Below this limit a warning is logged: the operator has probably not set it on purpose. */
#define FEW_DESCRIPTORS 1024

static void warn_of_few_descriptors(struct pc_engine *engine)
{
    uint32_t limit = pc_descriptor_limit(), clients = engine->options.max_connections;
    struct pc_log_about about = {.subject = "net"};
    if (clients != PUSHERC_NO_LIMIT && (uint64_t)clients + SPARE_DESCRIPTORS > limit)
        PC_LOG(&engine->log, WARN, about,
               "max_connections is %u, but this process may only have %u descriptors open: raise "
               "that to %llu (ulimit -n, LimitNOFILE= of systemd), or lower max_connections",
               clients, limit, (unsigned long long)clients + SPARE_DESCRIPTORS);
    else if (clients == PUSHERC_NO_LIMIT && limit < FEW_DESCRIPTORS)
        PC_LOG(&engine->log, WARN, about,
               "this process may only have %u descriptors open, one for each client: raise that "
               "to %u or more (ulimit -n, LimitNOFILE= of systemd)",
               limit, FEW_DESCRIPTORS);
}

int pusherc_server_start(pusherc_server *server, pusherc_errinfo *info)
{
    if (!server)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "server: NULL");
    if (pc_server_is_copy(server))
        return pc_errinfo(info, PUSHERC_ESTATE, 0, PC_IS_COPY);
    int state = PC_SERVER_NEW;
    if (!atomic_compare_exchange_strong(&server->state, &state, PC_SERVER_STARTING))
        return pc_errinfo(info, PUSHERC_ESTATE, 0, "the server was started before");
    warn_of_open_origins(&server->engine);
    warn_of_few_descriptors(&server->engine);
    server->running = server->engine.worker_count;
    int sys = 0;
    for (uint32_t i = 0; i < server->engine.worker_count; i++) {
        int err = pc_loop_start(&server->loops[i], &sys);
        if (err)
            return pc_errinfo(info, err, sys, "cannot listen: %s", uv_err_name(sys));
    }
    if (pc_sender_start(server->sender, server->engine.worker_count == 1, &sys))
        return pc_errinfo(info, PUSHERC_EIO, sys, "webhooks: %s", uv_err_name(sys));
    if ((sys = pc_server_cluster_start(server)))
        return pc_errinfo(info, sys, 0, "the link did not start: %s", pusherc_strerror(sys));
    PC_LIST_EACH(l, &server->feeds) {
        struct pc_server_feed *feed = PC_CONTAINER(l, struct pc_server_feed, of_server);
        int err = feed->start(feed);
        if (err)
            return pc_errinfo(info, err, 0, "%s", pusherc_strerror(err));
    }
    atomic_store(&server->state, PC_SERVER_STARTED);
    if (server->mode == PC_SERVER_THREADS)
        return start_threads(server, info);
    pc_loop_own(&server->loops[0]);
    return 0;
}

int pusherc_server_poll(pusherc_server *server, uint32_t timeout_ms)
{
    if (!server || pc_server_is_copy(server) || server->mode != PC_SERVER_POLLED || server->polling)
        return PUSHERC_ESTATE;
    int state = atomic_load(&server->state);
    if (state == PC_SERVER_NEW || state == PC_SERVER_STARTING)
        return PUSHERC_ESTATE;
    if (state != PC_SERVER_STOPPED) {
        if (!server->polled) /* it may have been started on another thread */
            pc_loop_own(&server->loops[0]);
        server->polling = server->polled = true;
        pc_loop_poll(&server->loops[0], timeout_ms);
        server->polling = false;
    }
    return atomic_load(&server->state) != PC_SERVER_STOPPED;
}

int pusherc_server_fd(const pusherc_server *server)
{
    if (!server || pc_server_is_copy(server) || server->mode != PC_SERVER_POLLED)
        return PUSHERC_ESTATE;
    return pc_loop_fd(&server->loops[0]);
}

uint32_t pusherc_server_wait_ms(pusherc_server *server)
{
    if (!server || pc_server_is_copy(server) || server->mode != PC_SERVER_POLLED)
        return UINT32_MAX;
    int state = atomic_load(&server->state);
    if (state == PC_SERVER_NEW || state == PC_SERVER_STARTING)
        return UINT32_MAX;
    return state == PC_SERVER_STOPPED ? 0 : pc_loop_wait_ms(&server->loops[0]);
}

/* -- stopping -- */

static void loop_ended(struct pc_loop *loop, void *ctx)
{
    pusherc_server *server = ctx;
    (void)loop;
    bool attached = server->mode == PC_SERVER_ATTACHED;
    if (!loops_over(server, 1))
        return;
    pc_messages_stopped(server->messages);
    if (server->stopped)
        server->stopped(server, server->stopped_user_data); /* attached: it may free the server */
    if (!attached)
        pc_latch_open(&server->over);
}

static void run_stop(struct pc_order *order, struct pc_worker *worker)
{
    pusherc_server *server = PC_CONTAINER(order, pusherc_server, stop_order);
    uint64_t grace_ms = atomic_load_explicit(&server->stop_grace_ms, memory_order_relaxed);
    if (server->flushed)
        pc_loop_stop(pc_loop_of(worker), grace_ms);
    else
        pc_shaping_flush(worker);
}

static void stop_ordered(struct pc_order *order)
{
    pusherc_server *server = PC_CONTAINER(order, pusherc_server, stop_order);
    pthread_mutex_lock(&server->mutex);
    bool again = (server->stop_again || !server->flushed) &&
                 atomic_load(&server->state) != PC_SERVER_STOPPED;
    server->flushed = true;
    server->stop_again = false;
    server->stop_under_way = again;
    pthread_mutex_unlock(&server->mutex);
    if (again)
        pc_order_send(order);
}

/* Sends the stop order to all workers, twice: in the first round they send what shaping holds back, so that no worker
 * closes its clients before they have it. The server has one such order, made in pusherc_server_new(), so stopping needs
 * no memory. If the order is still under way, it is sent once more after it has come back. */
static void order_stop(pusherc_server *server, uint64_t grace_ms)
{
    pthread_mutex_lock(&server->mutex);
    bool shorter = grace_ms < atomic_load(&server->stop_grace_ms);
    bool send = shorter && !server->stop_under_way;
    if (shorter) {
        atomic_store(&server->stop_grace_ms, grace_ms);
        server->stop_again = !send;
        server->stop_under_way = true;
    }
    pthread_mutex_unlock(&server->mutex);
    if (send)
        pc_order_send(&server->stop_order);
}

static int make_stop_order(pusherc_server *server)
{
    atomic_init(&server->stop_grace_ms, UINT64_MAX);
    server->stop_order.run = run_stop;
    server->stop_order.done = stop_ordered;
    return pc_order_init(&server->stop_order, &server->engine);
}

int pusherc_server_stop(pusherc_server *server, uint32_t grace_ms, pusherc_stopped_fn stopped,
                        void *user_data)
{
    if (!server)
        return PUSHERC_EINVAL;
    if (pc_server_is_copy(server))
        return PUSHERC_ESTATE;
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
        pc_messages_stopped(server->messages);
        if (stopped)
            stopped(server, user_data);
        pc_latch_open(&server->over);
        return 0;
    }
    if (state != PC_SERVER_STOPPED)
        order_stop(server, grace_ms);
    return first ? 0 : PUSHERC_ESTATE;
}

bool pc_server_is_own_thread(const pusherc_server *server)
{
    for (uint32_t i = 0; i < server->engine.worker_count; i++)
        if (pc_mailbox_is_own(server->engine.workers[i].mailbox))
            return true;
    return false;
}

int pusherc_server_wait(pusherc_server *server, uint32_t timeout_ms)
{
    if (!server)
        return PUSHERC_EINVAL;
    if (pc_server_is_copy(server))
        return PUSHERC_ESTATE;
    int state = atomic_load(&server->state);
    if (server->mode != PC_SERVER_THREADS || state == PC_SERVER_NEW ||
        state == PC_SERVER_STARTING || pc_server_is_own_thread(server))
        return PUSHERC_ESTATE;
    return pc_latch_wait(&server->over, timeout_ms) ? 0 : PUSHERC_ETIMEDOUT;
}

static void join_threads(pusherc_server *server)
{
    for (uint32_t i = 0; i < server->thread_count; i++)
        pthread_join(server->threads[i], NULL);
}

/*
 * What a forked child has of a server is a picture of memory that other threads were changing, handles in an event loop
 * that the kernel shares with the parent, and locks that no thread will release. So the child walks no list and frees no
 * memory; that would only make the kernel copy the pages. It closes its copies of the listening sockets: while it has
 * them, no process can listen at the address when the parent has gone. Once a stop has begun, the parent's threads close them.
 */
static void free_copy(pusherc_server *server)
{
    int state = atomic_load(&server->state);
    bool listens =
        state == PC_SERVER_NEW || state == PC_SERVER_STARTING || state == PC_SERVER_STARTED;
    for (uint32_t i = 0; listens && i < server->engine.worker_count; i++)
        pc_listeners_leave(&server->loops[i]);
}

static void free_feeds(pusherc_server *server)
{
    while (!pc_list_empty(&server->feeds)) {
        struct pc_server_feed *feed =
            PC_CONTAINER(server->feeds.next, struct pc_server_feed, of_server);
        pc_list_remove(&feed->of_server);
        feed->free(feed);
    }
}

void pusherc_server_free(pusherc_server *server)
{
    if (!server)
        return;
    if (pc_server_is_copy(server)) {
        free_copy(server);
        return;
    }
    struct pc_engine *engine = &server->engine;
    int state = atomic_load(&server->state);
    if ((state == PC_SERVER_STARTED || state == PC_SERVER_STOPPING) &&
        server->mode != PC_SERVER_ATTACHED) {
        pusherc_server_stop(server, 0, NULL, NULL);
        while (server->mode == PC_SERVER_POLLED && pusherc_server_poll(server, 10) == 1)
            continue;
    }
    join_threads(server);
    pc_server_cluster_stop(server);
    free_feeds(server);
    pc_sender_free(server->sender);
    for (uint32_t i = 0; server->loops && i < engine->worker_count; i++)
        pc_loop_free(&server->loops[i]);
    struct pc_mem mem = engine->mem;
    pc_free(&mem, server->loops);
    pc_free(&mem, server->threads);
    pc_order_free(&server->stop_order);
    pc_node_free(server->node);
    pc_engine_free(engine);
    pc_log_free(&engine->log);
    pc_messages_free(server->messages);
    pc_fork_mark_unref(engine->mark);
    pc_latch_free(&server->over);
    pthread_mutex_destroy(&server->mutex);
    pc_free(&mem, server);
}
