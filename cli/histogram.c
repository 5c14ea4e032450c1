#include "histogram.h"

#include <stddef.h>

#define STEPS 32

/* Values below 64 have a slot each; above that a power of two has 32. */
static size_t slot_of(uint64_t value)
{
    unsigned shift = 0;

    while (value >> shift >= (uint64_t)2 * STEPS)
        shift++;
    return shift * STEPS + (size_t)(value >> shift);
}

static uint64_t largest_of(size_t slot)
{
    if (slot < (size_t)2 * STEPS)
        return slot;
    size_t shift = slot / STEPS - 1;
    return ((uint64_t)(slot - shift * STEPS + 1) << shift) - 1;
}

void cli_histogram_add(struct cli_histogram *h, uint64_t value)
{
    size_t slot = slot_of(value);

    h->counts[slot < CLI_HISTOGRAM_SLOTS ? slot : CLI_HISTOGRAM_SLOTS - 1]++;
    h->count++;
    if (value > h->largest)
        h->largest = value;
}

uint64_t cli_histogram_at(const struct cli_histogram *h, unsigned percent)
{
    uint64_t wanted = (h->count * percent + 99) / 100, seen = 0;

    for (size_t i = 0; i < CLI_HISTOGRAM_SLOTS && h->count > 0; i++) {
        seen += h->counts[i];
        if (seen >= wanted)
            return largest_of(i) < h->largest ? largest_of(i) : h->largest;
    }
    return 0;
}
