/* test_reconcile.c - every combination of what the events say, whether the supervisor lives, and what is staged has its one action. */
#include "contract/event.h"

#include <string.h>

#include "support/tap.h"

static const char *const names[] = { "nothing", "wait", "settle staged", "drop staged", "keep staged", "say applied", "say failed", "roll back", "refuse" };

/* Actions by what is staged: none, live, loose, listed, kept. */
struct row {
    const char *name;
    struct trail trail;
    enum reconcile_action by_staged[5];
};

static const struct row rows[] = {
    { "nothing is known",
      { 0 },
      { RECONCILE_NOTHING, RECONCILE_WAIT, RECONCILE_SETTLE_STAGED, RECONCILE_DROP_STAGED, RECONCILE_NOTHING } },
    { "started",
      { .started = true },
      { RECONCILE_ROLL_BACK, RECONCILE_WAIT, RECONCILE_SETTLE_STAGED, RECONCILE_DROP_STAGED, RECONCILE_REFUSE } },
    { "reported",
      { .started = true, .reported = true },
      { RECONCILE_NOTHING, RECONCILE_WAIT, RECONCILE_SETTLE_STAGED, RECONCILE_KEEP_STAGED, RECONCILE_NOTHING } },
    { "commit decided",
      { .started = true, .reported = true, .disposition = TRAIL_DECIDED },
      { RECONCILE_REFUSE, RECONCILE_WAIT, RECONCILE_SETTLE_STAGED, RECONCILE_SAY_FAILED, RECONCILE_SAY_FAILED } },
    { "discard decided",
      { .started = true, .reported = true, .disposition = TRAIL_DECIDED, .discard = true },
      { RECONCILE_SAY_APPLIED, RECONCILE_WAIT, RECONCILE_SETTLE_STAGED, RECONCILE_SAY_FAILED, RECONCILE_SAY_FAILED } },
    { "applied",
      { .started = true, .reported = true, .disposition = TRAIL_APPLIED },
      { RECONCILE_NOTHING, RECONCILE_WAIT, RECONCILE_SETTLE_STAGED, RECONCILE_KEEP_STAGED, RECONCILE_NOTHING } },
    { "rolled back",
      { .started = true, .recovered = true, .settled = "rolled_back" },
      { RECONCILE_NOTHING, RECONCILE_WAIT, RECONCILE_SETTLE_STAGED, RECONCILE_DROP_STAGED, RECONCILE_NOTHING } },
    { "contradictory",
      { .started = true, .contradictory = true },
      { RECONCILE_REFUSE, RECONCILE_WAIT, RECONCILE_REFUSE, RECONCILE_REFUSE, RECONCILE_REFUSE } },
    { "contradictory, said",
      { .contradictory = true, .recovered = true, .settled = "canonical_refusal" },
      { RECONCILE_NOTHING, RECONCILE_WAIT, RECONCILE_NOTHING, RECONCILE_NOTHING, RECONCILE_NOTHING } },
};

int main(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int staged = 0; staged < 5; staged++) {
            const enum reconcile_action action = bv_reconcile(&rows[i].trail, false, (enum reconcile_staged)staged);
            tap_ok(action == rows[i].by_staged[staged], "%s, staged %d: %s", rows[i].name, staged, names[action]);
            tap_ok(bv_reconcile(&rows[i].trail, true, (enum reconcile_staged)staged) == RECONCILE_WAIT, "alive: wait");
        }
    }
    const struct trail refused = { .started = true, .reported = true, .disposition = TRAIL_DECIDED, .recovered = true, .settled = "canonical_refusal" };
    tap_ok(!bv_trail_is_open(&refused), "what nobody can tell is not asked again");
    return tap_done();
}
