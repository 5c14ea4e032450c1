/*
 * How long a turn of a loop takes while many clients do the same thing at once: turns CLIENTS [LIMIT_MS]
 *
 * A server in a loop of this program, so that a turn is a call, and that many clients in another process. They connect, subscribe, join
 * one presence channel, vanish (half of them with a reset), come back, and the server closes them. Prints for each what the
 * longest turn took of the thread's processor time, which a busy machine does not change much, and the median. Fails if a
 * turn took longer than LIMIT_MS; without it nothing is compared.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <uv.h>

#include <pusherc/pusherc.h>

#define AT_ONCE  100 /* handshakes: one address has a share of those that are not established */
#define QUIET_MS 500
#define CHANNEL  "presence-all"

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

struct client {
    int fd;
    bool heard;
    char tail[24]; /* what it got last, which may be the beginning of what it waits for */
    pusherc_socket_id id;
};

static uint16_t port;
static int events;
static char input[1 << 20];

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "turns: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void say(const struct client *c, const char *text)
{
    size_t len = strlen(text);
    unsigned char head[8] = {0x81, (unsigned char)(0x80 | (len < 126 ? len : 126))};
    size_t head_len = 6;
    if (len >= 126) {
        head[2] = (unsigned char)(len >> 8), head[3] = (unsigned char)len;
        head_len = 8;
    }
    check(send(c->fd, head, head_len, MSG_NOSIGNAL | MSG_MORE) > 0 &&
              send(c->fd, text, len, MSG_NOSIGNAL) > 0,
          "send");
}

/* Reads what comes at any of them until `wanted` of them have heard `text`, or none has come for a while. */
static void hear(struct client *clients, size_t count, size_t wanted, const char *text)
{
    struct epoll_event ready[256];
    size_t heard = 0;
    for (size_t i = 0; i < count; i++)
        clients[i].heard = false, memset(clients[i].tail, 0, sizeof clients[i].tail);
    while (heard < wanted) {
        int n = epoll_wait(events, ready, 256, 20000);
        check(n > 0, text);
        for (int i = 0; i < n; i++) {
            struct client *c = ready[i].data.ptr;
            memcpy(input, c->tail, sizeof c->tail);
            ssize_t len = recv(c->fd, input + sizeof c->tail, sizeof input - sizeof c->tail - 1,
                               MSG_DONTWAIT);
            check(len > 0, "a client was closed");
            len += (ssize_t)sizeof c->tail;
            input[len] = '\0';
            memcpy(c->tail, input + len - sizeof c->tail, sizeof c->tail);
            const char *id = memmem(input, (size_t)len, "socket_id\\\":\\\"", 14);
            if (id)
                (void)pusherc_socket_id_parse((pusherc_slice){id + 14, strcspn(id + 14, "\\")},
                                              &c->id);
            bool first = !c->heard && memmem(input, (size_t)len, text, strlen(text));
            c->heard |= first;
            heard += first;
        }
    }
}

static void drain(void)
{
    struct epoll_event ready[256];
    int n;
    while ((n = epoll_wait(events, ready, 256, QUIET_MS)) > 0)
        for (int i = 0; i < n; i++)
            (void)!recv(((struct client *)ready[i].data.ptr)->fd, input, sizeof input,
                        MSG_DONTWAIT);
}

static void enter(struct client *clients, size_t count)
{
    static const char upgrade[] = "GET /app/app-key?protocol=7 HTTP/1.1\r\nHost: x\r\n"
                                  "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                                  "Sec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (size_t i = 0; i < count; i += AT_ONCE) {
        size_t n = count - i < AT_ONCE ? count - i : AT_ONCE;
        for (struct client *c = clients + i; c < clients + i + n; c++) {
            struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
            c->fd = socket(AF_INET, SOCK_STREAM, 0);
            check(c->fd >= 0 && connect(c->fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
            check(epoll_ctl(events, EPOLL_CTL_ADD, c->fd, &event) == 0, "epoll_ctl");
            check(send(c->fd, upgrade, sizeof upgrade - 1, MSG_NOSIGNAL) > 0, "send");
        }
        hear(clients + i, n, n, "connection_established");
    }
}

static void join(struct client *clients, size_t count, size_t first)
{
    pusherc_credentials app = PUSHERC_CREDENTIALS_INIT;
    app.key = pusherc_slice_of("app-key"), app.secret = pusherc_slice_of("app-secret");
    for (size_t i = 0; i < count; i++) {
        char data[64], auth[256], text[512];
        size_t len;
        snprintf(data, sizeof data, "{\"user_id\":\"%zu\"}", first + i);
        check(pusherc_sign_channel(&app, clients[i].id, pusherc_slice_of(CHANNEL),
                                   pusherc_slice_of(data), auth, sizeof auth, &len) == 0,
              "sign");
        snprintf(text, sizeof text,
                 "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"" CHANNEL
                 "\",\"auth\":\"%s\",\"channel_data\":\"{\\\"user_id\\\":\\\"%zu\\\"}\"}}",
                 auth, first + i);
        say(&clients[i], text);
    }
}

static void vanish(const struct client *clients, size_t count)
{
    struct linger reset = {.l_onoff = 1};
    for (size_t i = 0; i < count; i++) {
        if (i % 2)
            setsockopt(clients[i].fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(clients[i].fd);
    }
}

/* Does each phase when it is told to, and says when it is done. */
static int be_clients(size_t count, int control)
{
    struct client *clients = calloc(count + 1, sizeof *clients);
    char phase;
    events = epoll_create1(EPOLL_CLOEXEC);
    check(clients && events >= 0, "memory");
    while (read(control, &phase, 1) == 1) {
        switch (phase) {
        case CONNECT:
        case AGAIN:
            enter(clients, count + 1);
            break;
        case SUBSCRIBE:
            for (size_t i = 0; i < count; i++)
                say(&clients[i],
                    "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"news\"}}");
            hear(clients, count, count, "subscription_succeeded");
            break;
        case JOIN:
            join(clients, count, 0);
            hear(clients, count, count, "subscription_succeeded");
            drain();
            break;
        case ONE_MORE:
            join(clients + count, 1, count);
            hear(clients, count + 1, 1, "subscription_succeeded");
            drain();
            break;
        case VANISH:
            vanish(clients, count + 1);
            break;
        case STOP:
            drain();
            break;
        }
        if (write(control, &phase, 1) != 1)
            break;
    }
    free(clients);
    close(events);
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
    check(uv_loop_init(&loop) == 0, "loop");
    options.loop = &loop;
    options.out_hard_bytes = 256u << 20;
    options.out_soft_bytes = 256u << 20;
    app.id = "app-id", app.key = "app-key", app.secret = "app-secret";
    app.activity_timeout_ms = 1000000; /* they do not answer */
    app.max_presence_members = (uint32_t)count + 1;
    check(pusherc_server_new(&server, &options, NULL) == 0 &&
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
    struct rlimit limit;
    int control[2], told[2], wrong = 0;
    bool stopped = false;
    check(getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    check(setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > count + 100,
          "too few descriptors");
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, control) == 0 && pipe(told) == 0, "socketpair");
    pid_t clients = fork();
    check(clients >= 0, "fork");
    if (clients == 0) {
        close(control[0]);
        check(read(told[0], &port, sizeof port) == sizeof port, "port");
        return be_clients(count, control[1]);
    }
    close(control[1]);
    pusherc_server *server = serve(count);
    port = pusherc_server_port(server, 0);
    check(write(told[1], &port, sizeof port) == sizeof port, "pipe");
    fcntl(control[0], F_SETFL, O_NONBLOCK);
    for (char phase = 0; phase < PHASES; phase++) {
        char done;
        turn_count = 0;
        if (phase == STOP)
            (void)pusherc_server_stop(server, 0, on_stopped, &stopped);
        check(write(control[0], &phase, 1) == 1, "control");
        for (bool over = false; !over;) {
            turn();
            ssize_t n = read(control[0], &done, 1);
            check(n != 0, "the clients have ended");
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
