/*
 * A server that echoes WebSocket messages instead of speaking Pusher's protocol: everything below the
 * session is the library's. For Autobahn. Prints its port on the first line; ends on SIGTERM.
 */
#include <signal.h>
#include <stdio.h>

#include <pusherc/pusherc.h>

#include "net/ws_conn.h"
#include "server/server.h"

#define MAX_BYTES (32u << 20) /* Autobahn's messages have up to 16 MiB */

static void echo(void *user, enum pc_ws_opcode opcode, pusherc_slice payload)
{
    pc_conn_send(user, (int)opcode, payload);
}

/* Takes back the session's greeting, which is the last thing queued: Autobahn knows nothing of it. */
static void on_open(const pusherc_conn *conn, void *user_data)
{
    struct pc_outq *q = ((const struct pc_session *)(const void *)conn)->q;
    struct pc_slot *greeting = q->last->items[--q->last->tail];
    (void)user_data;
    q->count--;
    q->held -= greeting->len + PC_FRAME_COST;
    q->worker->queued_bytes -= greeting->len;
    pc_slot_unref(greeting);
}

/* The loop's own pool would be made for its first WebSocket. */
static int replace_messages(struct pc_loop *loop)
{
    static struct pc_ws_events events;
    events = pc_ws_conn_events;
    events.message = echo;
    return pc_ws_pool_new(&loop->ws_pool, loop->worker->mem, 4, &events);
}

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

int main(void)
{
    pusherc_hooks hooks = PUSHERC_HOOKS_INIT;
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    pusherc_errinfo info = {.text = "out of memory"};
    pusherc_server *server;
    hooks.on_open = on_open;
    options.hooks = &hooks;
    options.worker_count = PUSHERC_WORKERS_NONE;
    options.max_frame_bytes = MAX_BYTES;
    options.deflate_min_bytes = 1;
    options.out_soft_bytes = options.out_hard_bytes = 2 * MAX_BYTES;
    app.id = app.key = app.secret = "echo";
    if (pusherc_server_new(&server, &options, &info) ||
        pusherc_server_put_app(server, &app, &info) || pusherc_server_listen(server, NULL, &info) ||
        replace_messages(&server->loops[0]) || pusherc_server_start(server, &info)) {
        fprintf(stderr, "echo server: %s\n", info.text);
        return 1;
    }
    printf("%u\n", pusherc_server_port(server, 0));
    fflush(stdout);

    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    while (!stop && pusherc_server_poll(server, 100) == 1)
        continue;
    pusherc_server_free(server);
    return 0;
}
