/* tests/support/oracle.h - grades a run: the contract, what truly happened, and what the sealed
 * report says of it.
 *
 * It knows no backend: its inputs are the spec, the world's own log and the report as text. */
#pragma once

#include <bvisor/spec.h>

#include "sim_world.h"

enum oracle_violation {
    ORACLE_READ_OUTSIDE = 1 << 0,
    ORACLE_NETWORK_REACHED = 1 << 1,
    ORACLE_WROTE_OUTSIDE = 1 << 2,
    ORACLE_SPAWNED = 1 << 3,
    ORACLE_FD_LEAKED = 1 << 4,
    ORACLE_ORPHAN_HIDDEN = 1 << 5,
    ORACLE_COMMITTED = 1 << 6,
    ORACLE_OUTCOME_UNTRUE = 1 << 7, /* the report does not say how the workload ended */
    ORACLE_DENIAL_DROPPED = 1 << 8,
    ORACLE_OVERCLAIMED = 1 << 9,
    ORACLE_USAGE_UNTRUE = 1 << 10,
    ORACLE_FAULT_REPORTED = 1 << 11, /* no lie: the report itself says supervisor_fault */
    ORACLE_SEAL_BROKEN = 1 << 12,
    ORACLE_REPORT_UNREADABLE = 1 << 13,
};

/* The set of violations; 0: contract, truth and report agree. */
uint32_t oracle_judge(const struct bv_spec *spec, const struct sim_world *world, const char *report,
                      size_t report_size);
/* "read outside, denial dropped"; "none" for the empty set. */
void oracle_text(uint32_t violations, char *text, size_t size);
