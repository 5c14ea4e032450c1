/* The plainest loop of a host: one epoll_wait(). */
#include "loops/foreign.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct loop {
    int epoll, job_fd;
    void (*job)(struct foreign *f); /* published by writing to job_fd */
};

static void watch(struct loop *loop, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event))
        abort();
}

void foreign_open(struct foreign *f)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        abort();
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->job_fd = eventfd(0, EFD_CLOEXEC);
    watch(loop, f->fd);
    watch(loop, loop->job_fd);
    f->loop = loop;
}

void foreign_run(struct foreign *f)
{
    struct loop *loop = f->loop;
    bool running = true;
    while (running) {
        struct epoll_event events[2];
        uint32_t ms = f->wait_ms(f);
        int n = epoll_wait(loop->epoll, events, 2, ms == UINT32_MAX ? -1 : (int)ms);
        bool due = n == 0;
        for (int i = 0; i < n; i++) {
            uint64_t count;
            if (events[i].data.fd != loop->job_fd)
                due = true;
            else if (read(loop->job_fd, &count, sizeof count) == sizeof count)
                loop->job(f);
        }
        if (due)
            running = f->turn(f);
    }
}

void foreign_post(struct foreign *f, void (*job)(struct foreign *f))
{
    struct loop *loop = f->loop;
    uint64_t one = 1;
    loop->job = job;
    if (write(loop->job_fd, &one, sizeof one) != sizeof one)
        abort();
}

void foreign_close(struct foreign *f)
{
    struct loop *loop = f->loop;
    close(loop->epoll);
    close(loop->job_fd);
    free(loop);
}
