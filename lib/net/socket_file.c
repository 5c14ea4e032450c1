#include "net/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <uv.h>

#include "base/log.h"

struct pc_socket_file {
    struct pc_mem mem;
    dev_t device;
    ino_t inode;
    struct timespec made; /* a file that comes later may get the number of the inode */
    struct sockaddr_un address;
};

const char *pc_socket_path(const char *host)
{
    static const char scheme[] = "unix:";
    return host && strncmp(host, scheme, sizeof scheme - 1) == 0 ? host + sizeof scheme - 1 : NULL;
}

static int open_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

/* Removes the file of a socket on which no process listens. 0, or -errno: it has to stay. */
static int remove_stale(const struct sockaddr_un *address)
{
    struct stat was, is;
    if (lstat(address->sun_path, &was))
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(was.st_mode))
        return -EEXIST;
    int fd = open_socket();
    if (fd < 0)
        return fd;
    /* only a refusal says that no process listens: the queue may be full, or this process may not connect */
    bool stale =
        connect(fd, (const struct sockaddr *)address, sizeof *address) && errno == ECONNREFUSED;
    close(fd);
    if (!stale)
        return -EADDRINUSE;
    if (lstat(address->sun_path, &is) || is.st_dev != was.st_dev || is.st_ino != was.st_ino)
        return -EADDRINUSE; /* another server has just begun */
    return unlink(address->sun_path) ? -errno : 0;
}

/* 0, or -errno; then no file is left. */
static int listen_at(struct pc_socket_file *file, int fd, const pusherc_listen_options *options)
{
    const char *path = file->address.sun_path;
    int backlog = options->backlog > INT32_MAX ? INT32_MAX : (int)options->backlog;
    struct stat is;
    if (bind(fd, (const struct sockaddr *)&file->address, sizeof file->address))
        return -errno;
    if (chmod(path, options->unix_mode) || lstat(path, &is) || listen(fd, backlog)) {
        int error = -errno;
        unlink(path);
        return error;
    }
    file->device = is.st_dev;
    file->inode = is.st_ino;
    file->made = is.st_mtim;
    return 0;
}

/* The first descriptor is there. 0, or -errno; then none is left. */
static int share(int *fds, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        fds[i] = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
        if (fds[i] >= 0)
            continue;
        int error = -errno;
        while (i-- > 0)
            close(fds[i]);
        return error;
    }
    return 0;
}

/* 0, or -errno; then there is neither a file nor a socket. */
static int make(struct pc_socket_file *file, const pusherc_listen_options *options, uint32_t count,
                int *fds)
{
    fds[0] = open_socket();
    if (fds[0] < 0)
        return fds[0];
    int error = remove_stale(&file->address);
    if (error == 0)
        error = listen_at(file, fds[0], options);
    if (error) {
        close(fds[0]);
        return error;
    }
    error = share(fds, count);
    if (error)
        unlink(file->address.sun_path);
    return error;
}

static int failed(const char *path, int error, pusherc_errinfo *info)
{
    const char *what = error == -EADDRINUSE ? "address in use"
                       : error == -EEXIST   ? "there is a file that is no socket"
                       : error == -ENOENT   ? "no such directory"
                       : error == -EACCES   ? "no permission for this path"
                                            : uv_strerror(error);
    return pc_errinfo(info, PUSHERC_EIO, error, "%s: unix:%s", what, path);
}

int pc_socket_file_new(struct pc_socket_file **out, const struct pc_mem *mem, const char *path,
                       const pusherc_listen_options *options, uint32_t count, int *fds,
                       pusherc_errinfo *info)
{
    const size_t room = sizeof(*out)->address.sun_path;
    *out = NULL;
    if (path[0] != '/' || strlen(path) >= room)
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "unix:%.100s: write the path from / on, with at most %zu bytes", path,
                          room - 1);
    struct pc_socket_file *file = pc_alloc_zero(mem, sizeof *file);
    if (!file)
        return pc_errinfo(info, PUSHERC_ENOMEM, 0, "out of memory");
    file->mem = *mem;
    file->address.sun_family = AF_UNIX;
    memcpy(file->address.sun_path, path, strlen(path) + 1);
    int error = make(file, options, count, fds);
    if (error) {
        pc_free(mem, file);
        return failed(path, error, info);
    }
    *out = file;
    return 0;
}

void pc_socket_file_remove(struct pc_socket_file *file)
{
    struct stat is;
    if (!file)
        return;
    if (lstat(file->address.sun_path, &is) == 0 && is.st_dev == file->device &&
        is.st_ino == file->inode && is.st_mtim.tv_sec == file->made.tv_sec &&
        is.st_mtim.tv_nsec == file->made.tv_nsec)
        unlink(file->address.sun_path);
    struct pc_mem mem = file->mem;
    pc_free(&mem, file);
}
