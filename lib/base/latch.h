/* Something that happens once, and threads that wait for it. Any thread. */
#ifndef PC_BASE_LATCH_H
#define PC_BASE_LATCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct pc_latch {
    pthread_mutex_t mutex; /* leaf */
    pthread_cond_t cond;
    bool open;
};

void pc_latch_init(struct pc_latch *latch);
void pc_latch_free(struct pc_latch *latch);
void pc_latch_open(struct pc_latch *latch);
/* True: it is open. False: it was not within timeout_ms; UINT32_MAX = waits as long as it takes. */
bool pc_latch_wait(struct pc_latch *latch, uint32_t timeout_ms);

#endif
