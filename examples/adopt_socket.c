/*
 * The host's own HTTP server owns the port. It accepts connections, reads the head of each request,
 * and answers "/hello" itself. It hands every other connection, with the bytes that it has read, to
 * the library.
 *
 *   adopt_socket [PORT]        0, the default: the system picks one
 */
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <pusherc/pusherc.h>

static volatile sig_atomic_t ended;

static void end(int number)
{
    (void)number;
    ended = 1;
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t len = sizeof address;
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) || listen(fd, 128) ||
        getsockname(fd, (struct sockaddr *)&address, &len)) {
        perror("listen");
        return -1;
    }
    printf("listening on http://127.0.0.1:%d\n", ntohs(address.sin_port));
    return fflush(stdout) == 0 ? fd : -1;
}

/* Read up to the empty line that ends the head. It blocks, to keep the example short: in a host with
 * more than a few clients, one slow client must not delay the others. */
static size_t read_head(int fd, char *head, size_t cap)
{
    size_t len = 0;

    head[0] = '\0';
    while (!strstr(head, "\r\n\r\n") && len + 1 < cap) {
        ssize_t got = recv(fd, head + len, cap - len - 1, 0);
        if (got <= 0)
            return 0;
        len += (size_t)got;
        head[len] = '\0';
    }
    return len;
}

static void serve_one(pusherc_server *server, int fd)
{
    static const char hello[] = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\n"
                                "Hello, host!\n";
    const struct timeval patience = {.tv_sec = 2};
    char head[8192];

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    size_t len = read_head(fd, head, sizeof head);
    if (len > 0 && strncmp(head, "GET /hello ", 11) == 0)
        (void)send(fd, hello, sizeof hello - 1, MSG_NOSIGNAL);
    else if (len > 0 && pusherc_server_adopt(server, fd, (pusherc_slice){head, len}) == 0)
        return; /* the library owns the socket now */
    close(fd);
}

static int start_server(pusherc_server **server)
{
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    pusherc_errinfo info = {0};

    app.id = "app-id";
    app.key = "app-key";
    app.secret = "app-secret";
    /* No pusherc_server_listen(): the host owns the port. NULL options: the library runs one thread. */
    if (pusherc_server_new(server, NULL, &info) || pusherc_server_put_app(*server, &app, &info) ||
        pusherc_server_start(*server, &info)) {
        (void)fprintf(stderr, "%s\n", info.text);
        return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    pusherc_server *server;
    struct pollfd listener = {.fd = -1, .events = POLLIN};

    (void)signal(SIGTERM, end);
    (void)signal(SIGINT, end);
    if (start_server(&server) == 0)
        listener.fd = listen_on((uint16_t)(argc > 1 ? atoi(argv[1]) : 0));
    int status = listener.fd < 0 ? 1 : 0;
    while (status == 0 && !ended) {
        if (poll(&listener, 1, 100) > 0) {
            int fd = accept(listener.fd, NULL, NULL);
            if (fd >= 0)
                serve_one(server, fd);
        }
    }
    close(listener.fd);
    pusherc_server_free(server);
    return status;
}
