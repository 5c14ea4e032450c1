#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int64_t cli_wire_now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* -- names -- */

int cli_wire_look_up(struct cli_wire_addresses *out, const char *host, uint16_t port,
                     struct cli_error *error)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char service[8];

    (void)snprintf(service, sizeof service, "%u", (unsigned)port);
    int err = getaddrinfo(host, service, &hints, &found);
    if (err)
        return cli_fail(error, "%.200s: %s", host,
                        err == EAI_SYSTEM ? strerror(errno) : gai_strerror(err));
    out->count = 0;
    for (struct addrinfo *one = found; one && out->count < CLI_WIRE_MAX_ADDRESSES;
         one = one->ai_next) {
        if (one->ai_addrlen > sizeof out->items[0])
            continue;
        memcpy(&out->items[out->count], one->ai_addr, one->ai_addrlen);
        out->lens[out->count++] = one->ai_addrlen;
    }
    freeaddrinfo(found);
    return out->count ? 0 : cli_fail(error, "%.200s: no address", host);
}

void cli_wire_address_text(const struct cli_wire_addresses *addresses, size_t index, char out[64])
{
    char host[INET6_ADDRSTRLEN] = "?", port[8] = "?";
    const struct sockaddr *address = (const struct sockaddr *)&addresses->items[index];

    (void)getnameinfo(address, addresses->lens[index], host, sizeof host, port, sizeof port,
                      NI_NUMERICHOST | NI_NUMERICSERV);
    (void)snprintf(out, 64, address->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

/* -- connecting -- */

static void fail(struct cli_wire *wire, const char *what)
{
    wire->state = CLI_WIRE_FAILED;
    wire->refused = errno == ECONNREFUSED;
    (void)cli_fail(&wire->error, "%s: %s", what, strerror(errno));
}

void cli_wire_connect(struct cli_wire *wire, const struct cli_wire_addresses *to, size_t index,
                      struct cli_wire_tls *tls, const char *name)
{
    const int on = 1;
    const struct sockaddr *address = (const struct sockaddr *)&to->items[index];

    *wire = (struct cli_wire){
        .fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (wire->fd < 0) {
        fail(wire, "socket");
        return;
    }
    (void)setsockopt(wire->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (tls) {
        wire->session = cli_wire_tls_begin(tls, &wire->fd, name, &wire->error);
        if (!wire->session) {
            wire->state = CLI_WIRE_FAILED;
            return;
        }
    }
    wire->wants = POLLOUT;
    if (connect(wire->fd, address, to->lens[index]) && errno != EINPROGRESS)
        fail(wire, "connect");
}

void cli_wire_step(struct cli_wire *wire)
{
    if (wire->state == CLI_WIRE_CONNECTING) {
        struct pollfd ready = {.fd = wire->fd, .events = POLLOUT};
        socklen_t len = sizeof errno;
        if (poll(&ready, 1, 0) == 0)
            return;
        if (getsockopt(wire->fd, SOL_SOCKET, SO_ERROR, &errno, &len) || errno) {
            fail(wire, "connect");
            return;
        }
        wire->state = wire->session ? CLI_WIRE_SHAKING : CLI_WIRE_OPEN;
    }
    if (wire->state == CLI_WIRE_SHAKING) {
        int status = cli_wire_tls_shake(wire);
        if (status)
            wire->state = status > 0 ? CLI_WIRE_OPEN : CLI_WIRE_FAILED;
    }
}

ssize_t cli_wire_read(struct cli_wire *wire, void *out, size_t cap)
{
    if (wire->session)
        return cli_wire_tls_read(wire, out, cap);
    wire->wants = POLLIN;
    ssize_t count = read(wire->fd, out, cap);
    if (count < 0 && errno == EINTR)
        errno = EAGAIN;
    if (count < 0 && errno != EAGAIN)
        (void)cli_fail(&wire->error, "read: %s", strerror(errno));
    return count;
}

ssize_t cli_wire_write(struct cli_wire *wire, const void *bytes, size_t len)
{
    if (wire->session)
        return cli_wire_tls_write(wire, bytes, len);
    wire->wants = POLLOUT;
    ssize_t count = send(wire->fd, bytes, len, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR)
        errno = EAGAIN;
    if (count < 0 && errno != EAGAIN)
        (void)cli_fail(&wire->error, "write: %s", strerror(errno));
    return count;
}

void cli_wire_close(struct cli_wire *wire)
{
    cli_wire_tls_end(wire->session);
    wire->session = NULL;
    if (wire->fd >= 0)
        (void)close(wire->fd);
    wire->fd = -1;
}

/* -- waiting -- */

bool cli_wire_wait(const struct cli_wire *wire, int64_t deadline_us)
{
    for (;;) {
        struct pollfd ready = {.fd = wire->fd, .events = wire->wants};
        int64_t left_ms = (deadline_us - cli_wire_now_us() + 999) / 1000;
        if (left_ms <= 0)
            return false;
        int count = poll(&ready, 1, left_ms > 60000 ? 60000 : (int)left_ms);
        if (count > 0)
            return true;
        if (count < 0 && errno != EINTR)
            return false;
    }
}

static int too_late(struct cli_wire *wire, const char *what)
{
    wire->refused = false;
    return cli_fail(&wire->error, "%s within the time", what);
}

int cli_wire_open(struct cli_wire *wire, int64_t deadline_us)
{
    while (wire->state != CLI_WIRE_OPEN && wire->state != CLI_WIRE_FAILED) {
        if (!cli_wire_wait(wire, deadline_us))
            return too_late(wire, wire->state == CLI_WIRE_CONNECTING
                                      ? "no connection"
                                      : "no end of the TLS handshake");
        cli_wire_step(wire);
    }
    return wire->state == CLI_WIRE_OPEN ? 0 : -1;
}

int cli_wire_write_all(struct cli_wire *wire, const void *bytes, size_t len, int64_t deadline_us)
{
    const char *at = bytes;

    while (len > 0) {
        ssize_t count = cli_wire_write(wire, at, len);
        if (count < 0 && errno != EAGAIN)
            return -1;
        if (count < 0 && !cli_wire_wait(wire, deadline_us))
            return too_late(wire, "the peer takes nothing");
        at += count > 0 ? count : 0;
        len -= count > 0 ? (size_t)count : 0;
    }
    return 0;
}

ssize_t cli_wire_read_some(struct cli_wire *wire, void *out, size_t cap, int64_t deadline_us)
{
    for (;;) {
        ssize_t count = cli_wire_read(wire, out, cap);
        if (count >= 0 || errno != EAGAIN)
            return count;
        if (!cli_wire_wait(wire, deadline_us))
            return too_late(wire, "no answer");
    }
}
