/* Pauses between attempts: doubled each time up to a maximum, then varied by up to a quarter, so that many that failed
 * together do not come back together. */
#ifndef PC_BASE_BACKOFF_H
#define PC_BASE_BACKOFF_H

#include <stdint.h>

/* xorshift64 is good enough: it only spreads attempts over time. *state is not 0. */
static inline uint64_t pc_backoff_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* The pause after so many attempts, 1 or more. */
static inline uint64_t pc_backoff(uint64_t *state, uint64_t first, uint64_t last, uint32_t attempts)
{
    uint64_t delay = first;
    for (uint32_t i = 1; i < attempts && delay < last; i++)
        delay *= 2;
    if (delay > last)
        delay = last;
    return delay - delay / 4 + pc_backoff_random(state) % (delay / 2 + 1);
}

#endif
