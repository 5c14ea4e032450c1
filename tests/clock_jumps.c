/*
 * Preloaded, this makes the monotonic clock of a program jump: every JUMP_EVERY-th look at it is JUMP_MS later, as if the
 * thread had been held up for so long. `meson test --setup jumps --suite unit` runs the unit tests under it. Deadlines of
 * condition variables, which are this clock's, are moved back to the system's, which does not jump.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define JUMP_EVERY 16
#define JUMP_MS    40

static _Atomic uint64_t looks;

static uint64_t ahead_ms_after(uint64_t n)
{
    return n / JUMP_EVERY * JUMP_MS;
}

int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                           const struct timespec *deadline)
{
    int (*wait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    void *found = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    int64_t ahead_ns = (int64_t)ahead_ms_after(atomic_load(&looks)) * 1000000;
    int64_t ns = (int64_t)deadline->tv_sec * 1000000000 + deadline->tv_nsec - ahead_ns;
    const struct timespec at = {.tv_sec = (time_t)(ns / 1000000000),
                                .tv_nsec = (long)(ns % 1000000000)};
    memcpy(&wait, &found, sizeof wait);
    return wait(cond, mutex, &at);
}

int clock_gettime(clockid_t id, struct timespec *out)
{
    long err = syscall(SYS_clock_gettime, id, out);
    if (err == 0 && (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE)) {
        uint64_t ahead_ms = ahead_ms_after(atomic_fetch_add(&looks, 1) + 1);
        uint64_t ns = (uint64_t)out->tv_nsec + ahead_ms % 1000 * 1000000;
        out->tv_sec += (time_t)(ahead_ms / 1000 + ns / 1000000000);
        out->tv_nsec = (long)(ns % 1000000000);
    }
    return (int)err;
}
