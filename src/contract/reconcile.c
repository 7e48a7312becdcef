/* contract/reconcile.c - what recovery does about an attempt: events and a probe of reality in, one action out. Pure.
 *
 * `report` present: the run is complete, at most its disposition is not. `started` alone: what is left of it is swept. What
 * contradicts itself is not repaired: its evidence stays as it is, and that is recorded once. CONTRACT.md 11. */
#include "contract/event.h"

#include "base/check.h"

#include <string.h>

enum reconcile_action bv_reconcile(const struct trail *trail, bool alive)
{
    if (alive) {
        return RECONCILE_WAIT;
    }
    if (trail->contradictory) {
        return strcmp(trail->settled, "canonical_refusal") == 0 ? RECONCILE_NOTHING : RECONCILE_REFUSE;
    }
    if (!bv_trail_is_open(trail)) {
        return RECONCILE_NOTHING;
    }
    return trail->reported ? RECONCILE_COMPLETE : RECONCILE_ROLL_BACK;
}

const char *bv_reconcile_word(enum reconcile_action action)
{
    switch (action) {
    case RECONCILE_NOTHING:
    case RECONCILE_WAIT: return NULL;
    case RECONCILE_ROLL_BACK: return "rolled_back";
    case RECONCILE_COMPLETE: return "completed";
    case RECONCILE_REFUSE: return "canonical_refusal";
    }
    BV_UNREACHABLE();
}
