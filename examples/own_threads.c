/*
 * The server runs on its own threads, for hosts whose main thread has other work. Here the main
 * thread waits for a signal and publishes the time on the channel "clock" once a second.
 *
 *   own_threads [PORT]         0, the default: the system picks one
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <pusherc/pusherc.h>

/* A hook runs on the connection's worker thread, so two calls may run at the same time. */
static void on_channel(const pusherc_channel_event *event, void *user_data)
{
    (void)user_data;
    if (event->type == PUSHERC_CHANNEL_OCCUPIED || event->type == PUSHERC_CHANNEL_VACATED)
        (void)fprintf(stderr, "%.*s is %s\n", (int)event->channel.len, event->channel.ptr,
                      event->type == PUSHERC_CHANNEL_OCCUPIED ? "occupied" : "vacated");
}

static int start_server(pusherc_server **server, uint16_t port)
{
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_hooks hooks = PUSHERC_HOOKS_INIT;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    pusherc_listen_options listen = PUSHERC_LISTEN_OPTIONS_INIT;
    pusherc_errinfo info = {0};

    hooks.on_channel = on_channel;
    options.hooks = &hooks;
    options.log_fn = pusherc_log_to_stderr;
    options.worker_count = 2; /* or PUSHERC_WORKERS_PER_CPU */
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

static void publish_time(pusherc_server *server)
{
    pusherc_slice channel = PUSHERC_LIT("clock");
    pusherc_event event = PUSHERC_EVENT_INIT;
    char data[64];

    int len = snprintf(data, sizeof data, "{\"now\":%lld}", (long long)time(NULL));
    event.name = pusherc_slice_of("tick");
    event.channels = &channel;
    event.channel_count = 1;
    event.data = (pusherc_slice){data, (size_t)len};
    /* Any thread may publish. The call encodes the event, hands it to the workers, and never waits. */
    int status = pusherc_publish(server, "app-id", &event);
    if (status)
        (void)fprintf(stderr, "publish: %s\n", pusherc_strerror(status));
}

int main(int argc, char **argv)
{
    pusherc_server *server;
    const struct timespec second = {.tv_sec = 1};
    sigset_t signals;

    /* Block the signals for sigtimedwait() below. The library's threads block all signals. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);

    int status = start_server(&server, (uint16_t)(argc > 1 ? atoi(argv[1]) : 0));
    while (status == 0 && sigtimedwait(&signals, NULL, &second) < 0)
        publish_time(server);

    /* This closes all clients at once and waits for the threads. To close clients spread over some
     * time, call pusherc_server_stop() first and wait until it calls `stopped`. */
    pusherc_server_free(server);
    return status ? 1 : 0;
}
