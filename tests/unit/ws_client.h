/* A client on a blocking socket: requests as text, WebSocket messages of up to 125 bytes. C and C++. */
#ifndef TESTS_WS_CLIENT_H
#define TESTS_WS_CLIENT_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define WS_CLIENT_PATIENCE_S 10

static const char ws_client_upgrade[] =
    "GET /app/app-key?protocol=7 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

static inline int ws_client_dial(uint16_t port)
{
    struct sockaddr_in to;
    struct timeval patience = {WS_CLIENT_PATIENCE_S, 0};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(&to, 0, sizeof to);
    to.sin_family = AF_INET, to.sin_port = htons(port), to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static inline void ws_client_send(int fd, const char *text)
{
    size_t len = strlen(text);
    assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* One message, masked with zeros. */
static inline void ws_client_say(int fd, const char *text)
{
    size_t len = strlen(text);
    char frame[6 + 125] = {(char)0x81, (char)(0x80 | len)};
    assert_true(len <= 125);
    memcpy(frame + 6, text, len);
    assert_int_equal(send(fd, frame, 6 + len, MSG_NOSIGNAL), (ssize_t)(6 + len));
}

/* Reads until `text` has come; what follows it may be lost. False: it did not come, or the connection has ended. */
static inline bool ws_client_hears(int fd, const char *text)
{
    char got[4096];
    size_t len = 0;
    for (;;) {
        ssize_t n = recv(fd, got + len, sizeof got - len, 0);
        if (n < 0 &&
            errno ==
                EINTR) /* the kernel interrupts a thread that has an io_uring, as libuv makes one */
            continue;
        if (n <= 0)
            return false;
        len += (size_t)n;
        if (memmem(got, len, text, strlen(text)))
            return true;
        if (len == sizeof got) { /* keep what may be the beginning of it */
            len /= 2;
            memmove(got, got + len, len);
        }
    }
}

#endif
