/* contract/reconcile.c - what recovery does about an attempt: events and a probe of reality in, one action out. Pure.
 *
 * `report` present: the run is complete, at most its disposition is not. `started` alone: what is left of it is swept. What
 * contradicts itself is not repaired: its evidence stays as it is, and that is recorded once. CONTRACT.md 11. */
#include "contract/event.h"

#include "base/check.h"

#include <string.h>

/* Decided, and the quarantine is in no state that says how far it came: it was not begun, or is told of too late. */
static enum reconcile_action of_decided(const struct trail *trail, enum reconcile_staged staged)
{
    if (staged != RECONCILE_STAGED_NONE) {
        return RECONCILE_SAY_FAILED; /* whole again */
    }
    /* A discard ends with its quarantine. A commit's goes only after its end was recorded: somebody else took it away, and nobody can say what it did. */
    return trail->discard ? RECONCILE_SAY_APPLIED : RECONCILE_REFUSE;
}

static enum reconcile_action of_staged(const struct trail *trail, enum reconcile_staged staged)
{
    switch (staged) {
    case RECONCILE_STAGED_LOOSE: return RECONCILE_SETTLE_STAGED;
    case RECONCILE_STAGED_LISTED: return trail->reported ? RECONCILE_KEEP_STAGED : RECONCILE_DROP_STAGED;
    case RECONCILE_STAGED_NONE:
    case RECONCILE_STAGED_LIVE:
    case RECONCILE_STAGED_KEPT: return RECONCILE_NOTHING;
    }
    BV_UNREACHABLE();
}

enum reconcile_action bv_reconcile(const struct trail *trail, bool alive, enum reconcile_staged staged)
{
    if (alive || staged == RECONCILE_STAGED_LIVE) {
        return RECONCILE_WAIT;
    }
    if (trail->contradictory) {
        return strcmp(trail->settled, "canonical_refusal") == 0 ? RECONCILE_NOTHING : RECONCILE_REFUSE;
    }
    const bool open = bv_trail_is_open(trail);
    const enum reconcile_action action = of_staged(trail, staged);
    if (!open || staged == RECONCILE_STAGED_LOOSE) {
        return action;
    }
    if (trail->disposition == TRAIL_DECIDED) {
        return of_decided(trail, staged);
    }
    if (staged == RECONCILE_STAGED_KEPT) { /* kept only after its report was recorded: the record is not the one of this run */
        return RECONCILE_REFUSE;
    }
    return action == RECONCILE_NOTHING ? RECONCILE_ROLL_BACK : action;
}
