#include "net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/peer.h"
#include "net/reclaim.h"
#include "net/serve.h"
#include "net/socket_file.h"
#include "net/tls.h"

#define ACCEPTS_PER_TURN 128   /* then connected clients are served */
#define ACCEPT_PAUSE_MS  100   /* when descriptors or memory run out; clients wait in the kernel */
#define COMPLAINT_MS     10000 /* at the limit one pause follows the other: log only so often */

struct pc_listener {
    uv_poll_t poll;
    struct pc_loop *loop;
    struct pc_listener *next;
    struct pc_timer pause;
    uint64_t quiet_until_ms;   /* a pause was logged */
    struct pc_tls_config *tls; /* counted; NULL = plain */
    /* Owned; NULL = no unix socket, or another worker's listener has it. */
    struct pc_socket_file *file;
    uint32_t number;
    int fd;
    ino_t inode; /* of the socket, which a descriptor's number may not name any more in a child */
    int backlog;
    pusherc_listen_purpose purpose;
    bool polled; /* libuv knows the handle */
};

/* -- binding -- */

static int parse_address(const char *host, uint16_t port, union pc_sockaddr *out, socklen_t *len)
{
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, host, &out->in.sin_addr) == 1) {
        out->in.sin_family = AF_INET;
        out->in.sin_port = htons(port);
        *len = sizeof out->in;
        return 0;
    }
    if (inet_pton(AF_INET6, host, &out->in6.sin6_addr) == 1) {
        out->in6.sin6_family = AF_INET6;
        out->in6.sin6_port = htons(port);
        *len = sizeof out->in6;
        return 0;
    }
    return PUSHERC_EINVAL;
}

static uint16_t bound_port(int fd)
{
    union pc_sockaddr address;
    socklen_t len = sizeof address;
    if (getsockname(fd, &address.any, &len))
        return 0;
    return ntohs(address.any.sa_family == AF_INET ? address.in.sin_port : address.in6.sin6_port);
}

/* The socket, or -errno. */
static int bind_one(const union pc_sockaddr *address, socklen_t len, bool shared)
{
    int one = 1, zero = 0;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (shared)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (address->any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    if (bind(fd, &address->any, len) == 0)
        return fd;
    int error = -errno;
    close(fd);
    return error;
}

static int bind_failed(const pusherc_listen_options *options, const char *host, int error,
                       pusherc_errinfo *info)
{
    const char *what = error == UV_EADDRINUSE      ? "address in use"
                       : error == UV_EADDRNOTAVAIL ? "no such address on this machine"
                       : error == UV_EACCES        ? "no permission for this port"
                                                   : uv_err_name(error);
    bool v6 = strchr(host, ':') != NULL;
    return pc_errinfo(info, PUSHERC_EIO, error, "%s: %s%s%s:%u", what, v6 ? "[" : "", host,
                      v6 ? "]" : "", options->port);
}

int pc_listener_bind(const pusherc_listen_options *options, uint32_t count, int *fds,
                     uint16_t *port, pusherc_errinfo *info)
{
    const char *host = options->host ? options->host : "127.0.0.1";
    union pc_sockaddr address;
    socklen_t len;
    *port = options->port;
    if (parse_address(host, *port, &address, &len))
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "\"%.100s\": write a numeric address such as 127.0.0.1 or ::", host);
    if (count > 1) {
        /* With SO_REUSEPORT bind() succeeds on a port that another process serves: try once without. */
        int probe = bind_one(&address, len, false);
        if (probe < 0)
            return bind_failed(options, host, probe, info);
        close(probe);
    }
    for (uint32_t i = 0; i < count; i++) {
        fds[i] = bind_one(&address, len, count > 1);
        if (fds[i] < 0) {
            int error = fds[i];
            while (i-- > 0)
                close(fds[i]);
            return bind_failed(options, host, error, info);
        }
        if (i == 0) {
            *port = bound_port(fds[0]);
            parse_address(host, *port, &address, &len);
        }
    }
    return 0;
}

/* -- accepting -- */

static void on_readable(uv_poll_t *poll, int status, int events);

static void resume_accepting(struct pc_timer *timer, uint64_t now_ms)
{
    struct pc_listener *listener = PC_CONTAINER(timer, struct pc_listener, pause);
    (void)now_ms;
    uv_poll_start(&listener->poll, UV_READABLE, on_readable);
}

/* Stops accepting for a while. The next accept4() would fail as well, and descriptors return only when connections
 * close. */
static void pause_accepting(struct pc_listener *listener, const char *why)
{
    struct pc_worker *worker = listener->loop->worker;
    if (worker->now_ms >= listener->quiet_until_ms) {
        listener->quiet_until_ms = worker->now_ms + COMPLAINT_MS;
        PC_LOG(&listener->loop->engine->log, WARN, ((struct pc_log_about){.subject = "net"}),
               "new clients wait until others leave: %s", why);
    }
    uv_poll_stop(&listener->poll);
    pc_timer_arm(&worker->timers, &listener->pause, worker->now_ms + ACCEPT_PAUSE_MS);
}

/* accept4() has failed with this errno. False: no more in this turn. */
static bool accept_failed(struct pc_listener *listener, int error)
{
    bool descriptors = error == EMFILE || error == ENFILE;
    if (error == EAGAIN || error == EWOULDBLOCK)
        return false;
    /* other errors, such as ECONNABORTED, concern one client only */
    if (!descriptors && error != ENOMEM && error != ENOBUFS)
        return true;
    if (descriptors && pc_free_descriptor(listener->loop))
        return true;
    pause_accepting(listener, error == EMFILE   ? "this process has as many descriptors as it may"
                              : error == ENFILE ? "the system has as many open files as it may"
                                                : uv_strerror(-error));
    return false;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct pc_listener *listener = PC_CONTAINER(poll, struct pc_listener, poll);
    (void)status;
    (void)events;
    pc_loop_enter(listener->loop);
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int one = 1;
        if (!pc_has_room(listener->loop, &listener->loop->places[listener->purpose])) {
            pause_accepting(listener, "max_unestablished are not established yet");
            return;
        }
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            (void)pc_serve_conn_new(listener->loop, fd, listener->tls, listener->purpose);
        } else if (!accept_failed(listener, errno)) {
            return;
        }
    }
}

/* -- life -- */

uint32_t pc_descriptor_limit(void)
{
    struct rlimit limit;
    bool known = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
    return known && limit.rlim_cur < UINT32_MAX ? (uint32_t)limit.rlim_cur : UINT32_MAX;
}

/* 0 = no socket. */
static ino_t inode_of(int fd)
{
    struct stat is;
    return fstat(fd, &is) == 0 && S_ISSOCK(is.st_mode) ? is.st_ino : 0;
}

int pc_listener_add(struct pc_loop *loop, int fd, uint32_t backlog, uint32_t number,
                    struct pc_tls_config *tls, pusherc_listen_purpose purpose)
{
    struct pc_listener *listener = pc_alloc_zero(loop->worker->mem, sizeof *listener);
    if (!listener) {
        close(fd);
        return PUSHERC_ENOMEM;
    }
    listener->loop = loop;
    listener->fd = fd;
    listener->inode = inode_of(fd);
    listener->backlog = backlog > INT32_MAX ? INT32_MAX : (int)backlog;
    listener->number = number;
    listener->tls = tls;
    listener->purpose = purpose;
    if (tls)
        pc_tls_config_ref(tls);
    listener->next = loop->listeners;
    pc_timer_init(&listener->pause, resume_accepting);
    loop->listeners = listener;
    return 0;
}

void pc_listener_take_file(struct pc_loop *loop, struct pc_socket_file *file)
{
    loop->listeners->file = file;
}

void pc_listener_set_tls(struct pc_loop *loop, uint32_t number, struct pc_tls_config *tls)
{
    for (struct pc_listener *l = loop->listeners; l; l = l->next) {
        if (l->number != number)
            continue;
        pc_tls_config_ref(tls);
        pc_tls_config_unref(l->tls);
        l->tls = tls;
    }
}

int pc_listeners_start(struct pc_loop *loop)
{
    for (struct pc_listener *l = loop->listeners; l; l = l->next) {
        int err = listen(l->fd, l->backlog) ? -errno : uv_poll_init(loop->uv, &l->poll, l->fd);
        if (err)
            return err;
        l->polled = true;
        uv_poll_start(&l->poll, UV_READABLE, on_readable);
    }
    return 0;
}

void pc_listeners_leave(struct pc_loop *loop)
{
    for (struct pc_listener *l = loop->listeners; l; l = l->next)
        if (l->inode && inode_of(l->fd) == l->inode)
            close(l->fd);
}

static void listener_free(struct pc_listener *listener)
{
    pc_tls_config_unref(listener->tls);
    pc_free(listener->loop->worker->mem, listener);
}

static void on_closed(uv_handle_t *handle)
{
    struct pc_listener *listener = PC_CONTAINER(handle, struct pc_listener, poll);
    pc_loop_enter(listener->loop);
    listener->loop->conn_count--;
    listener_free(listener);
}

void pc_listeners_close(struct pc_loop *loop)
{
    while (loop->listeners) {
        struct pc_listener *listener = loop->listeners;
        loop->listeners = listener->next;
        pc_timer_stop(&loop->worker->timers, &listener->pause);
        pc_socket_file_remove(listener->file);
        if (listener->polled) {
            loop->conn_count++; /* the loop does not end before libuv has closed the handle */
            uv_close(pc_handle(&listener->poll), on_closed);
        }
        close(listener->fd);
        if (!listener->polled)
            listener_free(listener);
    }
}
