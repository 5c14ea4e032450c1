/*
 * A descriptor that is readable from a ring until it is hushed: an eventfd on Linux, a pipe elsewhere. The caller keeps
 * rings and hushes in turn, one ring at most is not hushed.
 */
#ifndef PC_BASE_DOORBELL_H
#define PC_BASE_DOORBELL_H

#include <stdbool.h>

struct pc_doorbell {
    int fd;    /* readable after a ring */
    int write; /* the same with an eventfd */
};

/* False: the system gave no descriptor. */
bool pc_doorbell_open(struct pc_doorbell *bell);
void pc_doorbell_close(struct pc_doorbell *bell);
void pc_doorbell_ring(const struct pc_doorbell *bell);
void pc_doorbell_hush(const struct pc_doorbell *bell);

#endif
