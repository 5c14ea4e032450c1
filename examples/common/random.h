/*
 * Random numbers of what is simulated: the same for the same seed. Not for secrets.
 */
#ifndef COMMON_RANDOM_H
#define COMMON_RANDOM_H

#include <stdint.h>
#include <stdlib.h>

/* `seed` NULL: always the same. */
static inline uint64_t random_begin(const char *seed)
{
    return (seed ? strtoull(seed, NULL, 10) : 1) * 2 + 1; /* never 0 */
}

/* 0 or more and below 1: xorshift64*. */
static inline double random_part(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return (double)((x * UINT64_C(2685821657736338717)) >> 11) / (double)(UINT64_C(1) << 53);
}

static inline int64_t random_between(uint64_t *state, int64_t low, int64_t high)
{
    return low + (int64_t)(random_part(state) * (double)(high - low + 1));
}

#endif
