/* tests/unit/test_stamp.c - the stamp of every day of four centuries against the C library's. */
#include "run/stamp.h"

#include <errno.h>
#include <stdio.h>

#include "support/tap.h"

static unsigned differing(time_t first, time_t last, time_t step)
{
    unsigned wrong = 0;
    for (time_t at = first; at <= last; at += step) {
        const struct timespec when = { .tv_sec = at, .tv_nsec = 1234567 };
        char text[BV_STAMP_BYTES], wanted[BV_STAMP_BYTES];
        struct tm tm;
        size_t n = strftime(wanted, sizeof(wanted), "%Y-%m-%dT%H:%M:%S", gmtime_r(&at, &tm));
        (void)snprintf(wanted + n, sizeof(wanted) - n, ".001234Z");
        wrong += bv_stamp_text(&when, text) != 0 || strcmp(text, wanted) != 0;
    }
    return wrong;
}

int main(void)
{
    char text[BV_STAMP_BYTES];
    const time_t last = 253402300799; /* the end of 9999 */
    tap_ok(bv_stamp_text(&(struct timespec){ 0, 0 }, text) == 0, "the epoch has a stamp");
    tap_text(text, "1970-01-01T00:00:00.000000Z", "and it is the epoch's");
    tap_ok(differing(0, (time_t)86400 * 366 * 400, 86399) == 0, "every day of four centuries is right");
    tap_ok(differing(0, last, 86400 * 97 + 12345) == 0 && differing(last, last, 1) == 0, "up to the last second of 9999");
    tap_ok(bv_stamp_text(&(struct timespec){ last + 1, 0 }, text) == -EOVERFLOW &&
               bv_stamp_text(&(struct timespec){ -1, 0 }, text) == -EOVERFLOW,
           "what has no four digits of a year is none");
    return tap_done();
}
