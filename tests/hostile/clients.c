#include "hostile/clients.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pusherc/sign.h>

#define AT_ONCE  100 /* handshakes: one address has a share of those that are not established */
#define QUIET_MS 500

static struct sockaddr_in server;
static unsigned addresses, next_address;
static int events, receive_buffer; /* 0 = the system's */
static char input[1 << 20];

void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(2);
}

void must_have_descriptors(size_t count)
{
    struct rlimit limit;
    must(getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    must(setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > count,
         "this system allows a process too few descriptors for so many clients");
}

void clients_begin(uint16_t port, unsigned address_count)
{
    server = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    addresses = address_count;
    events = epoll_create1(EPOLL_CLOEXEC);
    must(events >= 0, "epoll_create1");
}

void clients_take_little(void)
{
    receive_buffer = 4096;
}

void client_dial(struct client *c)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    must(c->fd >= 0, "socket");
    if (receive_buffer)
        must(setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer) == 0,
             "SO_RCVBUF");
    if (addresses) {
        const uint32_t first = 0x7f010001;
        const int late = 1; /* the port is chosen with the connection */
        struct sockaddr_in from = {.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(first + next_address++ % addresses)};
        must(setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &late, sizeof late) == 0 &&
                 bind(c->fd, (struct sockaddr *)&from, sizeof from) == 0,
             "bind");
    }
    must(connect(c->fd, (struct sockaddr *)&server, sizeof server) == 0, "connect");
    must(epoll_ctl(events, EPOLL_CTL_ADD, c->fd, &event) == 0, "epoll_ctl");
}

bool client_says(const struct client *c, const char *text)
{
    size_t len = strlen(text);
    unsigned char head[8] = {0x81, (unsigned char)(0x80 | (len < 126 ? len : 126))};
    size_t head_len = 6;
    if (len >= 126) {
        head[2] = (unsigned char)(len >> 8), head[3] = (unsigned char)len;
        head_len = 8;
    }
    return send(c->fd, head, head_len, MSG_NOSIGNAL | MSG_MORE) > 0 &&
           send(c->fd, text, len, MSG_NOSIGNAL) > 0;
}

void client_say(const struct client *c, const char *text)
{
    must(client_says(c, text), "a client sends");
}

void client_send_upgrade(const struct client *c, size_t len)
{
    const size_t all = sizeof CLIENTS_UPGRADE - 1;
    (void)!send(c->fd, CLIENTS_UPGRADE, len < all ? len : all, MSG_NOSIGNAL);
}

bool client_waits(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK;
}

bool client_drains(const struct client *c)
{
    return recv(c->fd, input, sizeof input, MSG_DONTWAIT) > 0 || client_waits();
}

void client_leave(struct client *c, bool with_reset)
{
    const struct linger reset = {.l_onoff = 1};
    if (with_reset)
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(c->fd);
    c->fd = -1;
}

int clients_wait(struct client *out[256], int ms)
{
    struct epoll_event ready[256];
    int n = epoll_wait(events, ready, 256, ms);
    for (int i = 0; i < n; i++)
        out[i] = ready[i].data.ptr;
    return n;
}

/* Reads what has come. True: `text` was in it, for the first time. */
static bool hear(struct client *c, const char *text)
{
    memcpy(input, c->tail, sizeof c->tail);
    ssize_t len =
        recv(c->fd, input + sizeof c->tail, sizeof input - sizeof c->tail - 1, MSG_DONTWAIT);
    must(len > 0, "a client was closed");
    len += (ssize_t)sizeof c->tail;
    input[len] = '\0';
    memcpy(c->tail, input + len - sizeof c->tail, sizeof c->tail);
    const char *id = memmem(input, (size_t)len, "socket_id\\\":\\\"", 14);
    if (id)
        (void)pusherc_socket_id_parse((pusherc_slice){id + 14, strcspn(id + 14, "\\")}, &c->id);
    bool first = !c->heard && memmem(input, (size_t)len, text, strlen(text));
    c->heard |= first;
    return first;
}

void clients_hear(struct client *clients, size_t count, size_t wanted, const char *text)
{
    struct client *ready[256];
    size_t heard = 0;
    for (size_t i = 0; i < count; i++)
        clients[i].heard = false, memset(clients[i].tail, 0, sizeof clients[i].tail);
    while (heard < wanted) {
        int n = clients_wait(ready, 20000);
        must(n > 0, text);
        for (int i = 0; i < n; i++)
            heard += hear(ready[i], text);
    }
}

void clients_hear_value(const struct client *c, const char *before, char *out, size_t size)
{
    size_t len = 0;
    for (;;) {
        ssize_t n = recv(c->fd, input + len, sizeof input - len - 1, 0);
        must(n > 0, "a client was closed");
        input[len += (size_t)n] = '\0';
        const char *at = strstr(input, before), *end = at ? strchr(at + strlen(before), '"') : NULL;
        if (!end)
            continue;
        at += strlen(before);
        must((size_t)(end - at) < size, "a value");
        memcpy(out, at, (size_t)(end - at));
        out[end - at] = '\0';
        return;
    }
}

void clients_drain(void)
{
    struct client *ready[256];
    int n;
    while ((n = clients_wait(ready, QUIET_MS)) > 0)
        for (int i = 0; i < n; i++)
            if (!client_drains(ready[i]))
                client_leave(ready[i], false);
}

void clients_enter(struct client *clients, size_t count)
{
    for (size_t i = 0; i < count; i += AT_ONCE) {
        size_t n = count - i < AT_ONCE ? count - i : AT_ONCE;
        for (struct client *c = clients + i; c < clients + i + n; c++) {
            client_dial(c);
            must(send(c->fd, CLIENTS_UPGRADE, sizeof CLIENTS_UPGRADE - 1, MSG_NOSIGNAL) > 0,
                 "send");
        }
        clients_hear(clients + i, n, n, "connection_established");
    }
}

void clients_join(struct client *clients, size_t count, size_t first)
{
    pusherc_credentials app = PUSHERC_CREDENTIALS_INIT;
    app.key = pusherc_slice_of(CLIENTS_KEY), app.secret = pusherc_slice_of(CLIENTS_SECRET);
    for (size_t i = 0; i < count; i++) {
        char data[64], auth[256], text[512];
        size_t len;
        snprintf(data, sizeof data, "{\"user_id\":\"%zu\"}", first + i);
        must(pusherc_sign_channel(&app, clients[i].id, pusherc_slice_of(CLIENTS_CHANNEL),
                                  pusherc_slice_of(data), auth, sizeof auth, &len) == 0,
             "sign");
        snprintf(text, sizeof text,
                 "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"" CLIENTS_CHANNEL
                 "\",\"auth\":\"%s\",\"channel_data\":\"{\\\"user_id\\\":\\\"%zu\\\"}\"}}",
                 auth, first + i);
        client_say(&clients[i], text);
    }
}

void clients_vanish(struct client *clients, size_t count)
{
    for (size_t i = 0; i < count; i++)
        client_leave(&clients[i], i % 2);
}
