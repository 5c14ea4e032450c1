/*
 * A loop of another kind that runs a server by its descriptor and timeout alone. scenario.c gives it one; epoll.c,
 * glib.c and asio.cpp are such loops, each in a program of its own.
 */
#ifndef TESTS_FOREIGN_H
#define TESTS_FOREIGN_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is run. Only the loop's thread calls it. */
struct foreign {
    int fd; /* readable when there is something to do */
    /* How long the loop may wait for it; 0 = not at all, UINT32_MAX = for ever. */
    uint32_t (*wait_ms)(struct foreign *f);
    /* Does it. False: it is over. */
    bool (*turn)(struct foreign *f);
    void *loop; /* the loop's own */
};

void foreign_open(struct foreign *f);
/* Calls turn() when `fd` is readable or the time is over, and at no other time, until it is over. */
void foreign_run(struct foreign *f);
/* Has the loop call job() on its thread, between turns. Thread: any. */
void foreign_post(struct foreign *f, void (*job)(struct foreign *f));
void foreign_close(struct foreign *f);

#ifdef __cplusplus
}
#endif

#endif
