#include "base/doorbell.h"

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#if defined(__linux__) && !defined(PC_DOORBELL_PIPE)
#    include <sys/eventfd.h>

static bool open_both(struct pc_doorbell *bell)
{
    bell->fd = bell->write = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return bell->fd >= 0;
}
#else
#    include <fcntl.h>

static bool open_both(struct pc_doorbell *bell)
{
    int fds[2];
    if (pipe(fds))
        return false;
    for (int i = 0; i < 2; i++) {
        (void)fcntl(fds[i], F_SETFD, FD_CLOEXEC);
        (void)fcntl(fds[i], F_SETFL, O_NONBLOCK);
    }
    bell->fd = fds[0];
    bell->write = fds[1];
    return true;
}
#endif

bool pc_doorbell_open(struct pc_doorbell *bell)
{
    *bell = (struct pc_doorbell){-1, -1};
    return open_both(bell);
}

void pc_doorbell_close(struct pc_doorbell *bell)
{
    if (bell->write != bell->fd)
        (void)close(bell->write);
    if (bell->fd >= 0)
        (void)close(bell->fd);
    *bell = (struct pc_doorbell){-1, -1};
}

/* As many bytes as an eventfd wants; a pipe takes them, too. There is room: the ring before was hushed. */
void pc_doorbell_ring(const struct pc_doorbell *bell)
{
    const uint64_t one = 1;
    while (write(bell->write, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

void pc_doorbell_hush(const struct pc_doorbell *bell)
{
    uint64_t rung;
    while (read(bell->fd, &rung, sizeof rung) < 0 && errno == EINTR)
        continue;
}
