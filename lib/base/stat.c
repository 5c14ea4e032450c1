#include "base/stat.h"

/* From a fast turn of the loop to a delay that a client would call an outage. */
const uint32_t pc_histogram_bounds_us[PC_HISTOGRAM_BOUNDS] = {
    100,   250,    500,    1000,   2500,    5000,    10000,  25000,
    50000, 100000, 250000, 500000, 1000000, 2500000, 5000000};

void pc_histogram_observe(struct pc_histogram *histogram, uint64_t us)
{
    uint32_t i = 0;
    while (i < PC_HISTOGRAM_BOUNDS && us > pc_histogram_bounds_us[i])
        i++;
    pc_stat_add(&histogram->buckets[i], 1);
    pc_stat_add(&histogram->sum_us, us);
}
