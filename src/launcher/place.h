/* launcher/place.h - a new child on another processor than its parent's.
 *
 * Where parent and child both go on working, a scheduler that packs tasks on few processors leaves the child queued behind
 * the parent until that sleeps: measured on the build machine, 2 ms for a fork, 60 us with this. Static inline, since early.c
 * is linked without the rest of the launcher. */
#pragma once

#include "launcher/raw.h"

#define PLACE_PROCESSORS_MAX 8192u /* what kernels are built for at most (CONFIG_NR_CPUS) */
#define PLACE_WORD_BITS      (8u * sizeof(unsigned long))

/* A hint: whatever keeps it from being followed is no failure. But the child's mask is the parent's again when this returns 0, so
 * the child must not execute or make anything before. -errno: its mask is not restored. */
static inline int place_elsewhere(int pid)
{
    unsigned long all[PLACE_PROCESSORS_MAX / PLACE_WORD_BITS], others[PLACE_PROCESSORS_MAX / PLACE_WORD_BITS], any = 0;
    const long size = raw_call(SYS_sched_getaffinity, 0, sizeof(all), all);
    unsigned here = 0;

    if (size <= 0 || raw_call(SYS_getcpu, &here, NULL, NULL) != 0) {
        return 0;
    }
    for (unsigned i = 0; i < (unsigned long)size / sizeof(all[0]); i++) {
        const unsigned long own = here / PLACE_WORD_BITS == i ? 1ul << here % PLACE_WORD_BITS : 0ul;

        others[i] = all[i] & ~own;
        any |= others[i];
    }
    if (any == 0 || raw_call(SYS_sched_setaffinity, pid, size, others) != 0) {
        return 0;
    }
    return (int)raw_call(SYS_sched_setaffinity, pid, size, all);
}
