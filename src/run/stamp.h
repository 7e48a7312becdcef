/* run/stamp.h - points of time as a report writes them. */
#pragma once

#include <time.h>

#define BV_STAMP_BYTES 40

/* RFC 3339 in UTC with microseconds, "1970-01-01T00:00:00.000000Z". -EOVERFLOW: before 1970 or after 9999. */
int bv_stamp_text(const struct timespec *when, char text[BV_STAMP_BYTES]);
