/* test_probe_memo.c - run/probe_memo.c: what counts as a probe of just now. */
#include "run/probe_memo.h"

#include <string.h>

#include "support/tap.h"

int main(void)
{
    struct bv_probe_memo memo;
    tap_ok(bv_probe_memo_init(&memo), "a memo");
    tap_ok(!bv_probe_memo_holds(&memo, "", 0, UINT64_MAX), "nothing was probed yet");
    bv_probe_memo_store(&memo, "sha256:a", 1000);
    tap_ok(bv_probe_memo_holds(&memo, "sha256:a", 1000, 1), "the same moment");
    tap_ok(bv_probe_memo_holds(&memo, "sha256:a", 1100, 100), "as old as allowed");
    tap_ok(!bv_probe_memo_holds(&memo, "sha256:a", 1101, 100), "one microsecond too old");
    tap_ok(!bv_probe_memo_holds(&memo, "sha256:a", 999, 100), "a clock that went back");
    tap_ok(!bv_probe_memo_holds(&memo, "sha256:b", 1000, 100), "another profile");
    bv_probe_memo_store(&memo, "sha256:b", 2000);
    tap_ok(!bv_probe_memo_holds(&memo, "sha256:a", 2000, 5000), "the machine was seen different since");
    bv_probe_memo_done(&memo);
    return tap_done();
}
