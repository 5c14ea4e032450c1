/*
 * Preloaded, this makes system calls on sockets fail or do a part of the work while the file $FAILING_CALLS exists; its
 * text says how: "soft N" for what costs only another try (EINTR, EAGAIN, fewer bytes than asked for, a client that left
 * before it was accepted), "hard N" for what ends a connection or keeps a new one out (ECONNRESET, EPIPE, ENOBUFS, ENOMEM,
 * EMFILE, ENFILE). Every N-th call is struck, each error in turn.
 *
 * epoll_ctl() is spared: libuv aborts the process if it fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SHORT (-1) /* no error: fewer bytes */

static const int soft_moving[] = {EINTR, SHORT, EAGAIN, SHORT},
                 soft_accepting[] = {EINTR, EAGAIN, ECONNABORTED};
static const int hard_sending[] = {ECONNRESET, EPIPE, ENOBUFS, ENOMEM},
                 hard_receiving[] = {ECONNRESET, ENOMEM, ENOBUFS},
                 hard_opening[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};

struct errors {
    const int *of;
    unsigned count;
};
#define ERRORS(array) ((struct errors){(array), sizeof(array) / sizeof((array)[0])})

static _Atomic unsigned calls;

/* 0, an errno, or SHORT. */
static int strike(struct errors soft, struct errors hard)
{
    const char *path = getenv("FAILING_CALLS");
    char text[32] = "", kind[8];
    unsigned every;
    int before = errno, fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    errno = before;
    if (n <= 0 || sscanf(text, "%7s %u", kind, &every) != 2 || every == 0)
        return 0;
    unsigned call = atomic_fetch_add(&calls, 1);
    struct errors errors = strcmp(kind, "soft") == 0 ? soft : hard;
    return call % every || errors.count == 0 ? 0 : errors.of[call / every % errors.count];
}

/* Sets errno to an error. */
static bool fails(int error)
{
    if (error > 0)
        errno = error;
    return error > 0;
}

static size_t part(size_t len, int error)
{
    return error == SHORT && len > 1 ? len / 2 : len;
}

ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
    int error = strike(ERRORS(soft_moving), ERRORS(hard_sending));
    return fails(error) ? -1 : syscall(SYS_sendto, fd, bytes, part(len, error), flags, NULL, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    int error = strike(ERRORS(soft_moving), ERRORS(hard_sending));
    struct msghdr less = *message;
    if (error == SHORT)
        less.msg_iovlen = part(less.msg_iovlen, error);
    return fails(error) ? -1 : syscall(SYS_sendmsg, fd, &less, flags);
}

ssize_t recv(int fd, void *out, size_t len, int flags)
{
    int error = strike(ERRORS(soft_moving), ERRORS(hard_receiving));
    return fails(error) ? -1 : syscall(SYS_recvfrom, fd, out, part(len, error), flags, NULL, NULL);
}

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
    int error = strike(ERRORS(soft_accepting), ERRORS(hard_opening));
    return fails(error) ? -1 : (int)syscall(SYS_accept4, fd, address, len, flags);
}

int socket(int domain, int type, int protocol)
{
    int error = strike((struct errors){NULL, 0}, ERRORS(hard_opening));
    return fails(error) ? -1 : (int)syscall(SYS_socket, domain, type, protocol);
}
