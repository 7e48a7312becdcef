/* test_reconcile.c - every combination of what the events say and whether the supervisor lives has its one action. */
#include "contract/event.h"

#include <string.h>

#include "support/tap.h"

int main(void)
{
    static const struct {
        const char *name;
        struct trail trail;
        bool alive;
        enum reconcile_action action;
        const char *word;
    } rows[] = {
        { "nothing is known", { 0 }, false, RECONCILE_NOTHING, NULL },
        { "started, dead", { .started = true }, false, RECONCILE_ROLL_BACK, "rolled_back" },
        { "started, alive", { .started = true }, true, RECONCILE_WAIT, NULL },
        { "reported", { .started = true, .reported = true }, false, RECONCILE_NOTHING, NULL },
        { "decided", { .started = true, .reported = true, .disposition = TRAIL_DECIDED }, false, RECONCILE_COMPLETE, "completed" },
        { "decided, alive", { .started = true, .reported = true, .disposition = TRAIL_DECIDED }, true, RECONCILE_WAIT, NULL },
        { "applied", { .started = true, .reported = true, .disposition = TRAIL_APPLIED }, false, RECONCILE_NOTHING, NULL },
        { "rolled back", { .started = true, .recovered = true, .settled = "rolled_back" }, false, RECONCILE_NOTHING, NULL },
        { "contradictory", { .started = true, .contradictory = true }, false, RECONCILE_REFUSE, "canonical_refusal" },
        { "contradictory, said", { .contradictory = true, .recovered = true, .settled = "canonical_refusal" }, false, RECONCILE_NOTHING, NULL },
        { "contradictory, alive", { .contradictory = true }, true, RECONCILE_WAIT, NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const enum reconcile_action action = bv_reconcile(&rows[i].trail, rows[i].alive);
        tap_ok(action == rows[i].action, "%s", rows[i].name);
        tap_text(bv_reconcile_word(action), rows[i].word, "its word");
    }
    return tap_done();
}
