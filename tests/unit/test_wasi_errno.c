/* tests/unit/test_wasi_errno.c - the errno table: every errno of WASI has its host's, each host errno one answer. */
#include <errno.h>

#include "support/tap.h"
#include "wasi/state.h"

int main(void)
{
    int from[WASI_ENOTCAPABLE + 1] = { 0 };
    for (int host = 1; host < 134; host++) { /* EHWPOISON is Linux's last */
        const int wasi = wasi_errno(host);
        if (wasi != WASI_EIO || host == EIO) {
            from[wasi]++;
        }
    }
    for (int wasi = 1; wasi < WASI_ENOTCAPABLE; wasi++) {
        tap_ok(from[wasi] == 1, "WASI's errno %d is one of the host's", wasi);
    }
    tap_ok(from[WASI_ENOTCAPABLE] == 0 && from[WASI_SUCCESS] == 0,
           "ENOTCAPABLE is WASI's own, and no errno is success");
    tap_ok(wasi_errno(EUCLEAN) == WASI_EIO && wasi_errno(-1) == WASI_EIO,
           "what WASI has no name for is EIO");
    errno = ENOENT;
    tap_ok(wasi_result(-1) == WASI_ENOENT && wasi_result(0) == WASI_SUCCESS &&
               wasi_result(7) == WASI_SUCCESS,
           "a result is its errno, or success");
    return tap_done();
}
