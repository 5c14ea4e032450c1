/*
 * How long a turn of a loop takes while many clients do the same thing at once: turns CLIENTS [LIMIT_MS]
 *
 * A server in a loop of this program, so that a turn is a call, and that many clients in another process. They connect, subscribe, join
 * one presence channel, vanish (half of them with a reset), come back, and the server closes them. Prints for each what the
 * longest turn took of the thread's processor time, which a busy machine does not change much, and the median. Fails if a
 * turn took longer than LIMIT_MS; without it nothing is compared.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <uv.h>

#include <pusherc/pusherc.h>

#include "hostile/clients.h"

static const char *const phases[] = {
    "connect", "subscribe",     "join one presence channel", "the roster for one more",
    "vanish",  "connect again", "are closed by the server"};
enum {
    CONNECT,
    SUBSCRIBE,
    JOIN,
    ONE_MORE,
    VANISH,
    AGAIN,
    STOP,
    PHASES
};

/* -- the clients, a process of their own -- */

/* Does each phase when it is told to, and says when it is done. */
static int be_clients(size_t count, uint16_t port, int control)
{
    struct client *clients = calloc(count + 1, sizeof *clients);
    char phase;
    must(clients, "memory");
    clients_begin(port, 0);
    while (read(control, &phase, 1) == 1) {
        switch (phase) {
        case CONNECT:
        case AGAIN:
            clients_enter(clients, count + 1);
            break;
        case SUBSCRIBE:
            for (size_t i = 0; i < count; i++)
                client_say(&clients[i],
                           "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"news\"}}");
            clients_hear(clients, count, count, "subscription_succeeded");
            break;
        case JOIN:
            clients_join(clients, count, 0);
            clients_hear(clients, count, count, "subscription_succeeded");
            clients_drain();
            break;
        case ONE_MORE:
            clients_join(clients + count, 1, count);
            clients_hear(clients, count + 1, 1, "subscription_succeeded");
            clients_drain();
            break;
        case VANISH:
            clients_vanish(clients, count + 1);
            break;
        case STOP:
            clients_drain();
            break;
        }
        if (write(control, &phase, 1) != 1)
            break;
    }
    free(clients);
    return 0;
}

/* -- the server -- */

static double cpu_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double turns[1 << 20];
static size_t turn_count;

static uv_loop_t loop;

static void turn(void)
{
    struct pollfd work = {.fd = uv_backend_fd(&loop), .events = POLLIN};
    int timeout_ms = uv_backend_timeout(&loop);
    (void)poll(&work, 1, timeout_ms < 0 || timeout_ms > 5 ? 5 : timeout_ms);
    double before = cpu_ms();
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    if (turn_count < sizeof turns / sizeof turns[0])
        turns[turn_count++] = cpu_ms() - before;
}

static void on_stopped(pusherc_server *server, void *user_data)
{
    (void)server;
    *(bool *)user_data = true;
}

static pusherc_server *serve(size_t count)
{
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    pusherc_server *server;
    must(uv_loop_init(&loop) == 0, "loop");
    options.loop = &loop;
    options.out_hard_bytes = 256u << 20;
    options.out_soft_bytes = 256u << 20;
    app.id = "app-id", app.key = CLIENTS_KEY, app.secret = CLIENTS_SECRET;
    app.activity_timeout_ms = 1000000; /* they do not answer */
    app.max_presence_members = (uint32_t)count + 1;
    must(pusherc_server_new(&server, &options, NULL) == 0 &&
             pusherc_server_put_app(server, &app, NULL) == 0 &&
             pusherc_server_listen(server, NULL, NULL) == 0 &&
             pusherc_server_start(server, NULL) == 0,
         "server");
    return server;
}

static uint64_t connections(pusherc_server *server)
{
    pusherc_stats stats = PUSHERC_STATS_INIT;
    (void)pusherc_server_stats(server, &stats);
    return stats.connections;
}

int main(int argc, char **argv)
{
    size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
    double limit_ms = argc > 2 ? strtod(argv[2], NULL) : 0;
    uint16_t port;
    int control[2], told[2], wrong = 0;
    bool stopped = false;
    must_have_descriptors(count + 100);
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, control) == 0 && pipe(told) == 0, "socketpair");
    pid_t clients = fork();
    must(clients >= 0, "fork");
    if (clients == 0) {
        close(control[0]);
        must(read(told[0], &port, sizeof port) == sizeof port, "port");
        return be_clients(count, port, control[1]);
    }
    close(control[1]);
    pusherc_server *server = serve(count);
    port = pusherc_server_port(server, 0);
    must(write(told[1], &port, sizeof port) == sizeof port, "pipe");
    fcntl(control[0], F_SETFL, O_NONBLOCK);
    for (char phase = 0; phase < PHASES; phase++) {
        char done;
        turn_count = 0;
        if (phase == STOP)
            (void)pusherc_server_stop(server, 0, on_stopped, &stopped);
        must(write(control[0], &phase, 1) == 1, "control");
        for (bool over = false; !over;) {
            turn();
            ssize_t n = read(control[0], &done, 1);
            must(n != 0, "the clients have ended");
            over = n == 1;
        }
        while (phase == VANISH ? connections(server) > 0 : phase == STOP && !stopped)
            turn();
        qsort(turns, turn_count, sizeof turns[0], by_size);
        double longest = turns[turn_count - 1];
        bool too_long = limit_ms > 0 && longest > limit_ms;
        wrong += too_long;
        printf("%zu clients %s: longest turn %.1f ms, median %.2f ms of %zu%s\n", count,
               phases[(int)phase], longest, turns[turn_count / 2], turn_count,
               too_long ? ": TOO LONG" : "");
        fflush(stdout);
    }
    pusherc_server_free(server);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    close(control[0]);
    waitpid(clients, NULL, 0);
    return wrong > 0;
}
