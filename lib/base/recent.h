/*
 * A value that costs too much to compute for each request that asks for it. It is computed at most once in
 * PC_RECENT_MS, and its bytes are kept for the requests in between. Any thread; time is a parameter.
 */
#ifndef PC_BASE_RECENT_H
#define PC_BASE_RECENT_H

#include <pthread.h>
#include <stdbool.h>

#include "base/buf.h"

#define PC_RECENT_MS 1000

struct pc_recent {
    pthread_mutex_t mutex; /* a leaf; not held while the value is computed */
    uint64_t next_ms;      /* from then on it is computed again */
    struct pc_buf bytes;   /* len 0 = none is kept */
};

void pc_recent_init(struct pc_recent *recent, const struct pc_mem *mem);
void pc_recent_free(struct pc_recent *recent);

/* True: appended the kept bytes to `out`. False: the caller computes them and calls pc_recent_keep(). Until it does,
 * other threads get the older bytes, or compute them as well if there are none. */
bool pc_recent_get(struct pc_recent *recent, uint64_t now_ms, struct pc_buf *out);
/* Keeps a copy; none if memory runs out. */
void pc_recent_keep(struct pc_recent *recent, pusherc_slice bytes);

#endif
