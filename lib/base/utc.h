/* Date and time of day in UTC, without the C library's calendar functions, which keep static state. */
#ifndef PC_BASE_UTC_H
#define PC_BASE_UTC_H

#include <stdint.h>

struct pc_utc {
    uint32_t year;      /* 1970..9999 */
    uint8_t month, day; /* from 1 */
    uint8_t weekday;    /* 0 = Sunday */
    uint8_t hour, minute, second;
};

/* A time after the year 9999 gives the last second of 9999. */
struct pc_utc pc_utc_of(uint64_t unix_time_s);

#endif
