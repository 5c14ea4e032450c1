/*
 * Echoes WebSocket messages through codec/http and codec/ws on a port that the system picks, printed
 * on the first line. For Autobahn: nothing but the loop below is not the library's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "codec/crypto.h"
#include "codec/ws.h"

#define MAX_CONNECTIONS 64
#define MAX_MESSAGE     (32u << 20) /* Autobahn sends up to 16 MiB */
#define SCRATCH_BYTES   65536

struct connection {
    int fd;                        /* -1 = free */
    struct pc_http_parser *parser; /* until the handshake is done */
    struct pc_ws ws;
    struct pc_buf out;
    bool closing; /* close when `out` has been sent */
};

static struct pc_mem mem;
static struct pc_ws_pool *pool;
static struct connection connections[MAX_CONNECTIONS];

static void on_message(void *user, enum pc_ws_opcode opcode, pusherc_slice payload)
{
    struct connection *c = user;
    uint8_t header[PC_WS_MAX_HEADER];
    size_t len = pc_ws_header(header, opcode, payload.len);
    pc_buf_put(&c->out, pc_slice((const char *)header, len));
    pc_buf_put(&c->out, payload);
}

static void on_ping_or_pong(void *user)
{
    (void)user;
}

static void on_close(void *user, uint16_t code, pusherc_slice reason)
{
    struct connection *c = user;
    (void)code;
    (void)reason;
    c->closing = true;
}

static void on_send(void *user, pusherc_slice frame)
{
    struct connection *c = user;
    pc_buf_put(&c->out, frame);
}

static const struct pc_ws_events events = {
    .message = on_message,
    .ping = on_ping_or_pong,
    .pong = on_ping_or_pong,
    .close = on_close,
    .send = on_send,
};

static void drop(struct connection *c)
{
    close(c->fd);
    c->fd = -1;
    pc_http_parser_free(c->parser);
    pc_ws_free(&c->ws, pool);
    pc_buf_free(&c->out);
}

static void refuse(struct connection *c, int status, const char *text)
{
    struct pc_http_reply reply = {
        .status = status,
        .content_type = "text/plain; charset=utf-8",
        .body = pc_slice_of(text),
    };
    reply.fields = pc_ws_refusal_fields(status, &reply.field_count);
    pc_http_put_reply(&c->out, &reply);
    c->closing = true;
}

/* Takes the request off `bytes`; what is left are frames. */
static void shake_hands(struct connection *c, pusherc_slice *bytes)
{
    size_t consumed;
    enum pc_http_result result = pc_http_parser_feed(c->parser, *bytes, &consumed);
    *bytes = pc_slice_skip(*bytes, consumed);
    if (result == PC_HTTP_ERROR) {
        struct pc_http_error error = pc_http_parser_error(c->parser);
        refuse(c, error.status, error.text);
    }
    if (result != PC_HTTP_REQUEST)
        return;
    int status;
    const char *text;
    if (pc_ws_handshake(pc_http_parser_message(c->parser), &c->out, &status, &text))
        refuse(c, status, text);
    pc_http_parser_free(c->parser);
    c->parser = NULL;
}

static void take(struct connection *c, pusherc_slice bytes)
{
    if (c->parser)
        shake_hands(c, &bytes);
    uint16_t code;
    if (!c->parser && !c->closing && bytes.len && pc_ws_feed(&c->ws, pool, c, bytes, &code))
        c->closing = true;
}

static void on_readable(struct connection *c)
{
    static char scratch[SCRATCH_BYTES];
    ssize_t n = recv(c->fd, scratch, sizeof scratch, 0);
    if (n > 0)
        take(c, pc_slice(scratch, (size_t)n));
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        drop(c);
}

static void on_writable(struct connection *c)
{
    ssize_t n = send(c->fd, c->out.ptr, c->out.len, MSG_NOSIGNAL);
    if (n > 0)
        pc_buf_consume(&c->out, (size_t)n);
    else if (errno != EAGAIN && errno != EINTR)
        drop(c);
}

static void on_connection(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct connection *c = connections;
    while (c < connections + MAX_CONNECTIONS && c->fd >= 0)
        c++;
    if (fd < 0 || c == connections + MAX_CONNECTIONS) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    *c = (struct connection){.fd = fd};
    pc_ws_init(&c->ws, MAX_MESSAGE);
    pc_buf_init(&c->out, &mem, 16 * (size_t)MAX_MESSAGE);
    if (pc_http_parser_new(&c->parser, &mem, (struct pc_http_limits){8192, 0}))
        drop(c);
}

static int listen_anywhere(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) || listen(fd, 64) ||
        getsockname(fd, (struct sockaddr *)&address, &len)) {
        perror("listen");
        exit(1);
    }
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

int main(void)
{
    struct pollfd polled[1 + MAX_CONNECTIONS];
    struct sigaction action = {.sa_handler = on_signal}; /* no restart: poll() returns */
    sigaction(SIGTERM, &action, NULL);
    mem = pc_mem_make(NULL);
    if (pc_crypto_init() || pc_ws_pool_new(&pool, &mem, 4, &events))
        return 1;
    for (size_t i = 0; i < MAX_CONNECTIONS; i++)
        connections[i].fd = -1;
    polled[0] = (struct pollfd){.fd = listen_anywhere(), .events = POLLIN};

    while (!stop) {
        for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
            struct connection *c = &connections[i];
            if (c->fd >= 0 && c->closing && c->out.len == 0)
                drop(c);
            /* One message at a time: what is not taken off us is not read either. */
            polled[1 + i] = (struct pollfd){.fd = c->fd, .events = c->out.len ? POLLOUT : POLLIN};
        }
        if (poll(polled, 1 + MAX_CONNECTIONS, -1) < 0)
            continue;
        for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
            if (polled[1 + i].revents & POLLOUT)
                on_writable(&connections[i]);
            else if (polled[1 + i].revents)
                on_readable(&connections[i]);
        }
        if (polled[0].revents)
            on_connection(polled[0].fd);
    }

    for (size_t i = 0; i < MAX_CONNECTIONS; i++)
        if (connections[i].fd >= 0)
            drop(&connections[i]);
    close(polled[0].fd);
    pc_ws_pool_free(pool);
    return 0;
}
