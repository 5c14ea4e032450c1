/*
 * Counters and histograms that one thread writes and any thread reads: relaxed, a load and a store, no locked
 * instruction. Values read one after the other may be of different times.
 */
#ifndef PC_BASE_STAT_H
#define PC_BASE_STAT_H

#include <stdatomic.h>
#include <stdint.h>

static inline void pc_stat_add(_Atomic uint64_t *counter, uint64_t n)
{
    uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, now + n, memory_order_relaxed);
}

static inline void pc_stat_sub(_Atomic uint64_t *counter, uint64_t n)
{
    pc_stat_add(counter, (uint64_t)0 - n);
}

/* For a counter that several threads write. */
static inline void pc_stat_add_shared(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static inline uint64_t pc_stat_get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* Durations. Bucket i counts those of at most pc_histogram_bounds_us[i] and above the bound before; the last bucket
 * counts the longer ones. */
#define PC_HISTOGRAM_BOUNDS 15
extern const uint32_t pc_histogram_bounds_us[PC_HISTOGRAM_BOUNDS];

struct pc_histogram {
    _Atomic uint64_t buckets[PC_HISTOGRAM_BOUNDS + 1];
    _Atomic uint64_t sum_us;
};

void pc_histogram_observe(struct pc_histogram *histogram, uint64_t us);

#endif
