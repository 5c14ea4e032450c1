/*
 * Publishes many events within one turn of the event loop to many subscribers, between two marks on standard
 * error, for tests/checks/writes to count the system calls in between. Server, publisher and subscribers are one
 * thread: in poll mode the server works only while it is asked to.
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pusherc/pusherc.h>

#define SUBSCRIBERS 100
#define EVENTS      50
#define MAX_INPUT   16384

struct subscriber {
    int fd;
    size_t len;
    char input[MAX_INPUT]; /* NUL-terminated; bytes that are NUL do not occur */
};

static pusherc_server *server;
static struct subscriber subscribers[SUBSCRIBERS];

static void must(bool condition, const char *what)
{
    if (condition)
        return;
    printf("failed: %s\n", what);
    exit(1);
}

static void send_all(int fd, const void *bytes, size_t len)
{
    must(write(fd, bytes, len) == (ssize_t)len, "write to the server");
}

/* Turns, until the subscriber has read this text. */
static void wait_for(struct subscriber *s, const char *text)
{
    for (int turn = 0; !strstr(s->input, text); turn++) {
        must(turn < 1000, text);
        pusherc_server_poll(server, 1);
        ssize_t n = recv(s->fd, s->input + s->len, MAX_INPUT - 1 - s->len, MSG_DONTWAIT);
        if (n > 0)
            s->input[s->len += (size_t)n] = '\0';
    }
}

static void subscribe(struct subscriber *s, uint16_t port)
{
    static const char handshake[] = "GET /app/app-key?protocol=7 HTTP/1.1\r\nHost: localhost\r\n"
                                    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                    "Sec-WebSocket-Version: 13\r\n\r\n";
    static const char message[] =
        "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"news\"}}";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    char frame[6 + sizeof message] = {(char)0x81,
                                      (char)(0x80 | (sizeof message - 1))}; /* masked with zeros */
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    must(connect(s->fd, (struct sockaddr *)&address, sizeof address) == 0, "connect");
    send_all(s->fd, handshake, sizeof handshake - 1);
    wait_for(s, "connection_established");
    memcpy(frame + 6, message, sizeof message - 1);
    send_all(s->fd, frame, sizeof frame - 1);
    wait_for(s, "subscription_succeeded");
}

static void publish(int number)
{
    static const pusherc_slice channels[] = {PUSHERC_LIT("news")};
    char data[32];
    pusherc_event event = {.struct_size = sizeof event,
                           .name = PUSHERC_LIT("e"),
                           .channels = channels,
                           .channel_count = 1};
    event.data = (pusherc_slice){data, (size_t)snprintf(data, sizeof data, "number %d.", number)};
    must(pusherc_publish(server, "app-id", &event) == 0, "publish");
}

static void has_read_everything(struct subscriber *s)
{
    const char *at = s->input;
    wait_for(s, "number 49.");
    for (int i = 0; i < EVENTS; i++) {
        char text[32];
        snprintf(text, sizeof text, "number %d.", i);
        at = strstr(at, text);
        must(at != NULL, text);
    }
}

static uint64_t write_calls(void)
{
    pusherc_stats stats = PUSHERC_STATS_INIT;
    must(pusherc_server_stats(server, &stats) == 0, "stats");
    return stats.write_calls_total;
}

int main(void)
{
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_listen_options listen = PUSHERC_LISTEN_OPTIONS_INIT;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    options.worker_count = PUSHERC_WORKERS_NONE;
    app.id = "app-id";
    app.key = "app-key";
    app.secret = "app-secret";
    must(pusherc_server_new(&server, &options, NULL) == 0, "new");
    must(pusherc_server_put_app(server, &app, NULL) == 0, "put app");
    must(pusherc_server_listen(server, &listen, NULL) == 0, "listen");
    must(pusherc_server_start(server, NULL) == 0, "start");
    for (int i = 0; i < SUBSCRIBERS; i++)
        subscribe(&subscribers[i], pusherc_server_port(server, 0));

    uint64_t before = write_calls();
    must(write(STDERR_FILENO, "begin\n", 6) == 6, "mark");
    for (int i = 0; i < EVENTS; i++)
        publish(i);
    do { /* a turn that takes too long, as when each call is traced, goes on in the next */
        pusherc_server_poll(server, 0);
    } while (pusherc_server_wait_ms(server) == 0);
    must(write(STDERR_FILENO, "end\n", 4) == 4, "mark");
    uint64_t after = write_calls();

    for (int i = 0; i < SUBSCRIBERS; i++) {
        has_read_everything(&subscribers[i]);
        close(subscribers[i].fd);
    }
    pusherc_server_stop(server, 0, NULL, NULL);
    while (pusherc_server_poll(server, 1) > 0)
        ;
    pusherc_server_free(server);
    printf("%llu\n", (unsigned long long)(after - before));
    return 0;
}
