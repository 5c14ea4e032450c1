/* Counts durations by their size, each to 1/32 of itself: 8 KB, whatever is counted. */
#ifndef CLI_HISTOGRAM_H
#define CLI_HISTOGRAM_H

#include <stdint.h>

#define CLI_HISTOGRAM_SLOTS (60 * 32)

struct cli_histogram {
    uint64_t counts[CLI_HISTOGRAM_SLOTS];
    uint64_t count, largest;
};

void cli_histogram_add(struct cli_histogram *histogram, uint64_t value);
/* The value that so many percent are not above; 0 = nothing was counted. */
uint64_t cli_histogram_at(const struct cli_histogram *histogram, unsigned percent);

#endif
