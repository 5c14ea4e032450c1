/*
 * The server without any thread and without a libuv loop: it works only while the host is in
 * pusherc_server_poll(). This is for interpreters and for programs with another kind of main loop.
 * Here the main loop answers each "client-ping" on a channel.
 *
 *   poll_mode [PORT]           0, the default: the system picks one
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pusherc/pusherc.h>

static volatile sig_atomic_t ended;

static void end(int number)
{
    (void)number;
    ended = 1;
}

/* What the hook hands to the main loop. It needs no lock: hooks run in pusherc_server_poll(). */
struct work {
    char channel[201];
    size_t channel_len;
};

static int on_client_event(const pusherc_conn *conn, const pusherc_client_event *event,
                           void *user_data)
{
    struct work *work = user_data;

    (void)conn;
    if (pusherc_slice_equal(event->event, pusherc_slice_of("client-ping")) &&
        event->channel.len < sizeof work->channel) {
        /* The slices are valid until the callback returns: copy what is needed later. */
        memcpy(work->channel, event->channel.ptr, event->channel.len);
        work->channel_len = event->channel.len;
    }
    return 0; /* relay it to the other members */
}

static void answer(pusherc_server *server, struct work *work)
{
    pusherc_slice channel = {work->channel, work->channel_len};
    pusherc_event event = PUSHERC_EVENT_INIT;

    event.name = pusherc_slice_of("pong");
    event.channels = &channel;
    event.channel_count = 1;
    event.data = pusherc_slice_of("{}");
    int status = pusherc_publish(server, "app-id", &event);
    if (status)
        (void)fprintf(stderr, "publish: %s\n", pusherc_strerror(status));
    work->channel_len = 0;
}

static int start_server(pusherc_server **server, struct work *work, uint16_t port)
{
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_hooks hooks = PUSHERC_HOOKS_INIT;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    pusherc_listen_options listen = PUSHERC_LISTEN_OPTIONS_INIT;
    pusherc_errinfo info = {0};

    hooks.on_client_event = on_client_event;
    hooks.user_data = work;
    options.hooks = &hooks;
    options.log_fn = pusherc_log_to_stderr;
    options.worker_count = PUSHERC_WORKERS_NONE; /* poll mode */
    app.id = "app-id";
    app.key = "app-key";
    app.secret = "app-secret";
    app.client_events = true;
    listen.port = port;
    if (pusherc_server_new(server, &options, &info) ||
        pusherc_server_put_app(*server, &app, &info) ||
        pusherc_server_listen(*server, &listen, &info) || pusherc_server_start(*server, &info)) {
        (void)fprintf(stderr, "%s\n", info.text);
        return -1;
    }
    printf("listening on http://127.0.0.1:%d\n", pusherc_server_port(*server, 0));
    return fflush(stdout);
}

int main(int argc, char **argv)
{
    struct work work = {.channel_len = 0};
    pusherc_server *server;

    (void)signal(SIGTERM, end);
    (void)signal(SIGINT, end);
    int status = start_server(&server, &work, (uint16_t)(argc > 1 ? atoi(argv[1]) : 0));
    while (status == 0 && !ended) {
        (void)pusherc_server_poll(server, 50); /* returns after 50 ms, or earlier with work */
        if (work.channel_len > 0)
            answer(server, &work);
    }

    /* The server also needs pusherc_server_poll() to stop: call it until all work is done. */
    if (status == 0 && pusherc_server_stop(server, 200, NULL, NULL) == 0) {
        while (pusherc_server_poll(server, 50) == 1)
            ;
    }
    pusherc_server_free(server);
    return status ? 1 : 0;
}
