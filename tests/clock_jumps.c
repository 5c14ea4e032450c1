/*
 * Preloaded, this makes the monotonic clock of a program jump: every JUMP_EVERY-th look at it is JUMP_MS later, as if the
 * thread had been held up for so long. `meson test --setup jumps --suite unit` runs the unit tests under it.
 */
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define JUMP_EVERY 16
#define JUMP_MS    40

int clock_gettime(clockid_t id, struct timespec *out)
{
    static _Atomic uint64_t looks;
    long err = syscall(SYS_clock_gettime, id, out);
    if (err == 0 && (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE)) {
        uint64_t ahead_ms = (atomic_fetch_add(&looks, 1) + 1) / JUMP_EVERY * JUMP_MS;
        uint64_t ns = (uint64_t)out->tv_nsec + ahead_ms % 1000 * 1000000;
        out->tv_sec += (time_t)(ahead_ms / 1000 + ns / 1000000000);
        out->tv_nsec = (long)(ns % 1000000000);
    }
    return (int)err;
}
