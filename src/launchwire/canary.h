/* launchwire/canary.h - the canaries: forbidden things that the confined launcher tries before it
 * execs. One table for both sides.
 *
 * Each row: enum name, text for a report, when it applies, and whether a seccomp listener answers
 * it. A canary holds when the attempt fails for the right reason. At most five that a listener
 * answers may be tried in one launch (LINUX.md 3). The table is in canary.def. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum bv_canary {
#define BV_CANARY(name, text, when, notified) BV_CANARY_##name,
#include "launchwire/canary.def"
#undef BV_CANARY
    BV_CANARY_COUNT,
};
#define BV_CANARY_NOTIFIED_MAX 5 /* LINUX.md 3: each costs a round trip to the supervisor */
_Static_assert(BV_CANARY_COUNT <= 64, "the set of canaries is one 64-bit word");

struct bv_canary_policy {
    bool deny_network;   /* network_deny_all */
    bool deny_tasks;     /* spawn_deny_new_tasks */
    bool deny_processes; /* deny_tasks, or threads only */
    bool outside_path;   /* the frame names one */
    bool listener_port;  /* without one a socket that can be made at all is the finding */
    bool listener_socket;
    bool signal_scope; /* Landlock ABI >= 6 */
};
/* The canaries that apply, as a set of 1 << enum bv_canary. */
uint64_t bv_canary_set(const struct bv_canary_policy *policy);
/* Those that a seccomp listener answers: what it hears of them before the exec is attestation, not
 * a denial of the workload's. */
uint64_t bv_canary_notified(void);
const char *bv_canary_text(enum bv_canary canary);
