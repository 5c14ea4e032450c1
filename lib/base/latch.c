#include "base/latch.h"

#include <time.h>

void pc_latch_init(struct pc_latch *latch)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&latch->mutex, NULL);
    pthread_cond_init(&latch->cond, &attr);
    pthread_condattr_destroy(&attr);
    latch->open = false;
}

void pc_latch_free(struct pc_latch *latch)
{
    pthread_cond_destroy(&latch->cond);
    pthread_mutex_destroy(&latch->mutex);
}

void pc_latch_open(struct pc_latch *latch)
{
    pthread_mutex_lock(&latch->mutex);
    latch->open = true;
    pthread_cond_broadcast(&latch->cond);
    pthread_mutex_unlock(&latch->mutex);
}

static struct timespec from_now(uint32_t ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

bool pc_latch_wait(struct pc_latch *latch, uint32_t timeout_ms)
{
    struct timespec until = from_now(timeout_ms);
    int err = 0;
    pthread_mutex_lock(&latch->mutex);
    while (!latch->open && err == 0)
        err = timeout_ms == UINT32_MAX
                  ? pthread_cond_wait(&latch->cond, &latch->mutex)
                  : pthread_cond_timedwait(&latch->cond, &latch->mutex, &until);
    bool open = latch->open;
    pthread_mutex_unlock(&latch->mutex);
    return open;
}
