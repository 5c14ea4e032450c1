/* "At most N per second": a window of one second that starts with its first event. One thread or
 * under a lock. */
#ifndef PC_BASE_RATE_H
#define PC_BASE_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct pc_rate {
    uint32_t window_start_ms; /* the time's low half: each connection has rates */
    uint32_t used;
};

/* Takes `amount` of `per_s` if so much is left; UINT32_MAX = no limit. */
static inline bool pc_rate_take(struct pc_rate *rate, uint32_t per_s, uint32_t amount,
                                uint64_t now_ms)
{
    if (per_s == UINT32_MAX)
        return true;
    if ((uint32_t)now_ms - rate->window_start_ms >= 1000) {
        rate->window_start_ms = (uint32_t)now_ms;
        rate->used = 0;
    }
    if (amount > per_s || rate->used > per_s - amount)
        return false;
    rate->used += amount;
    return true;
}

#endif
