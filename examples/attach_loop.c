/*
 * The server runs in the host's own loop: the library makes no thread and does all its work inside
 * uv_run(). A timer of the host publishes the time on the channel "clock" once a second.
 *
 *   attach_loop [PORT]         0, the default: the system picks one
 *   then, in a browser:        new Pusher('app-key', {wsHost: '127.0.0.1', wsPort: PORT, ...})
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <uv.h>

#include <pusherc/pusherc.h>

struct host {
    uv_loop_t loop;
    uv_timer_t every_second;
    uv_signal_t terminate, interrupt;
    pusherc_server *server;
    bool stopping;
};

static void publish_time(uv_timer_t *timer)
{
    struct host *host = timer->data;
    pusherc_slice channel = PUSHERC_LIT("clock");
    pusherc_event event = PUSHERC_EVENT_INIT;
    char data[64];

    int len = snprintf(data, sizeof data, "{\"now\":%lld}", (long long)time(NULL));
    event.name = pusherc_slice_of("tick");
    event.channels = &channel;
    event.channel_count = 1;
    event.data = (pusherc_slice){data, (size_t)len};
    int status = pusherc_publish(host->server, "app-id", &event);
    if (status)
        (void)fprintf(stderr, "publish: %s\n", pusherc_strerror(status));
}

/* A handle of any type. */
static void close_handle(void *handle)
{
    uv_close(handle, NULL);
}

/* The library has closed its handles. uv_run() returns when the host has closed its own, too. */
static void stopped(pusherc_server *server, void *user_data)
{
    struct host *host = user_data;

    pusherc_server_free(server);
    host->server = NULL;
    close_handle(&host->terminate);
    close_handle(&host->interrupt);
}

static void stop(uv_signal_t *handle, int number)
{
    struct host *host = handle->data;

    (void)number;
    if (host->stopping)
        return;
    host->stopping = true;
    close_handle(&host->every_second);
    /* The server closes its clients within 200 ms. A real host with many clients allows seconds. */
    (void)pusherc_server_stop(host->server, 200, stopped, host);
}

static int start_server(struct host *host, uint16_t port)
{
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    pusherc_listen_options listen = PUSHERC_LISTEN_OPTIONS_INIT;
    pusherc_errinfo info = {0};

    options.loop = &host->loop; /* attach mode: the server uses this loop */
    options.log_fn = pusherc_log_to_stderr;
    app.id = "app-id";
    app.key = "app-key";
    app.secret = "app-secret";
    listen.port = port;
    if (pusherc_server_new(&host->server, &options, &info) ||
        pusherc_server_put_app(host->server, &app, &info) ||
        pusherc_server_listen(host->server, &listen, &info) ||
        pusherc_server_start(host->server, &info)) {
        (void)fprintf(stderr, "%s\n", info.text);
        return -1;
    }
    printf("listening on http://127.0.0.1:%d\n", pusherc_server_port(host->server, 0));
    return fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct host host; /* static: zeroed, and it outlives every handle in it */

    uv_loop_init(&host.loop);
    if (start_server(&host, (uint16_t)(argc > 1 ? atoi(argv[1]) : 0)))
        return 1;

    host.every_second.data = host.terminate.data = host.interrupt.data = &host;
    uv_timer_init(&host.loop, &host.every_second);
    uv_timer_start(&host.every_second, publish_time, 1000, 1000);
    uv_signal_init(&host.loop, &host.terminate);
    uv_signal_start(&host.terminate, stop, SIGTERM);
    uv_signal_init(&host.loop, &host.interrupt);
    uv_signal_start(&host.interrupt, stop, SIGINT);

    uv_run(&host.loop, UV_RUN_DEFAULT);
    return uv_loop_close(&host.loop) == 0 ? 0 : 1;
}
