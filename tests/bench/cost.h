/* What a run has cost this process, for the programs that tests/bench/broadcast compares. */
#ifndef TESTS_BENCH_COST_H
#define TESTS_BENCH_COST_H

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

struct cost {
    double seconds, cpu_us; /* on the clock; processor time of all threads */
};

static inline struct cost cost_now(void)
{
    struct timespec now;
    struct rusage usage;
    clock_gettime(CLOCK_MONOTONIC, &now);
    getrusage(RUSAGE_SELF, &usage);
    return (struct cost){(double)now.tv_sec + (double)now.tv_nsec / 1e9,
                         (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
                             (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)};
}

/* Prints {"events":n,"seconds":s,"cpu_us":c}: what so many events have cost since then. */
static inline void cost_print(long events, struct cost since)
{
    const struct cost now = cost_now();
    printf("{\"events\":%ld,\"seconds\":%.6f,\"cpu_us\":%.0f}\n", events,
           now.seconds - since.seconds, now.cpu_us - since.cpu_us);
}

#endif
