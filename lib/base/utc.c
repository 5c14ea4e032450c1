#include "base/utc.h"

#define DAY_S          86400
#define LAST_SECOND    253402300799U /* 9999-12-31T23:59:59Z */
#define DAYS_400_YEARS 146097        /* then the calendar repeats */
#define DAYS_100_YEARS 36524
#define DAYS_4_YEARS   1461

/* The calculation lets years begin in March. A leap day is then the last day of its year, and the lengths of the months
 * (31 30 31 30 31 twice, then 31 and 28) follow a straight line: 153 days for five months. */
#define FIRST_MARCH_DAYS 719468 /* from 0000-03-01 to 1970-01-01 */

struct pc_utc pc_utc_of(uint64_t unix_time_s)
{
    if (unix_time_s > LAST_SECOND)
        unix_time_s = LAST_SECOND;
    uint32_t day_number = (uint32_t)(unix_time_s / DAY_S);
    uint32_t second = (uint32_t)(unix_time_s % DAY_S);

    uint32_t days = day_number + FIRST_MARCH_DAYS;
    uint32_t day = days % DAYS_400_YEARS;
    /* Without the leap days before `day` every year has 365 days. */
    uint32_t year =
        (day - day / (DAYS_4_YEARS - 1) + day / DAYS_100_YEARS - day / (DAYS_400_YEARS - 1)) / 365;
    day -= 365 * year + year / 4 - year / 100;
    uint32_t month = (5 * day + 2) / 153; /* 0 = March */
    day -= (153 * month + 2) / 5;
    year += days / DAYS_400_YEARS * 400 + (month >= 10);

    return (struct pc_utc){
        .year = year,
        .month = (uint8_t)(month < 10 ? month + 3 : month - 9),
        .day = (uint8_t)(day + 1),
        .weekday = (uint8_t)((day_number + 4) % 7), /* 1970-01-01 was a Thursday */
        .hour = (uint8_t)(second / 3600),
        .minute = (uint8_t)(second / 60 % 60),
        .second = (uint8_t)(second % 60),
    };
}
