/* run/stamp.c - UTC without the C library's time zones: gmtime_r() reads and parses /etc/localtime first, at each start of a
 * command (some 30 us here). */
#include "run/stamp.h"

#include <errno.h>
#include <stdio.h>

#define DAY_SECONDS    86400
#define LAST_SECOND    253402300799 /* 9999-12-31T23:59:59Z */
#define ERA_DAYS       146097       /* 400 years of the Gregorian calendar */
#define EPOCH_TO_MARCH 719468       /* days from 0000-03-01 to 1970-01-01 */

/* Years that begin in March end with the leap day, so a month's days before it follow one formula. */
int bv_stamp_text(const struct timespec *when, char text[BV_STAMP_BYTES])
{
    if (when->tv_sec < 0 || when->tv_sec > LAST_SECOND) {
        return -EOVERFLOW;
    }
    const long days = when->tv_sec / DAY_SECONDS + EPOCH_TO_MARCH, era = days / ERA_DAYS;
    const int second = (int)(when->tv_sec % DAY_SECONDS), of_era = (int)(days % ERA_DAYS);
    const int year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / (ERA_DAYS - 1)) / 365;
    const int of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int march_month = (5 * of_year + 2) / 153; /* 0 is March */
    const int day = of_year - (153 * march_month + 2) / 5 + 1;
    const int month = march_month < 10 ? march_month + 3 : march_month - 9;
    const int year = year_of_era + (int)era * 400 + (month <= 2);
    (void)snprintf(text, BV_STAMP_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d.%06uZ", year, month, day,
                   second / 3600, second / 60 % 60, second % 60, (unsigned)(when->tv_nsec / 1000) % 1000000u);
    return 0;
}
