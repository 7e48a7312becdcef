/* contract/budget.c - are the seven limits coherent with the request, and can this machine hold them?
 *
 * Two steps of admission. The minimums come from the request alone and are checked in all dimensions before any
 * machine is asked; the rest needs the backend's offers. Within a dimension the first failure is named, in the order
 * minimum, bound at all, floor, available, guarantee, evidence; every failing dimension gets its item, in canonical
 * order. A structural figure holds any limit. Specified by CONTRACT.md 5. */
#include "contract/budget.h"

#include "base/check.h"
#include "base/error.h"
#include "contract/admission.h"
#include "contract/names.h"
#include "contract/support.h"

#include <stdio.h>

static void say(char *reason, size_t size, const char *text)
{
    if (reason) {
        bv_copy_text(reason, size, text);
    }
}

static uint64_t handle_minimum(const struct bv_intent *intent, char *reason, size_t size)
{
    uint64_t captured = (uint64_t)intent->capture.out + (uint64_t)intent->capture.err +
                        (uint64_t)intent->capture.in;
    if (reason) {
        (void)snprintf(reason, size,
                       "3 standard streams, %llu captured streams and %zu kept descriptors",
                       (unsigned long long)captured, intent->fd_count);
    }
    return 3 + captured + intent->fd_count;
}

static uint64_t process_minimum(const struct bv_intent *intent, char *reason, size_t size)
{
    bool more = intent->spawn != BV_SPAWN_DENY_NEW_TASKS;
    say(reason, size, more ? "the workload and one new task" : "the workload");
    return more ? 2 : 1;
}

static uint64_t storage_minimum(const struct bv_intent *intent, char *reason, size_t size)
{
    const char *what = intent->temp_root                  ? "a temp root"
                       : intent->staged                   ? "staging"
                       : bv_intent_writes_roots(intent)   ? "a writable root"
                       : bv_intent_writes_exposed(intent) ? "a writable exposed path"
                                                          : "";
    say(reason, size, what);
    return what[0] ? 1 : 0;
}

uint64_t bv_budget_minimum(const struct bv_intent *intent, enum bv_dimension dimension,
                           char *reason, size_t reason_size)
{
    say(reason, reason_size, "");
    if (!intent->launch) {
        return 0;
    }
    switch (dimension) {
    case BV_WALL_MICROS:
    case BV_CPU_MICROS:
    case BV_RESIDENT_BYTES: say(reason, reason_size, "launching the workload"); return 1;
    case BV_PROCESS_COUNT: return process_minimum(intent, reason, reason_size);
    case BV_HANDLE_COUNT: return handle_minimum(intent, reason, reason_size);
    case BV_STORAGE_BYTES: return storage_minimum(intent, reason, reason_size);
    case BV_NETWORK_BYTES:
        say(reason, reason_size, "a network that is allowed");
        return intent->network == BV_NETWORK_DENY_ALL ? 0 : 1;
    }
    BV_UNREACHABLE();
}

bool bv_budget_minimum_step(struct admission *admission)
{
    const struct bv_intent *intent = &admission->plan->intent;
    bool ok = true;
    for (unsigned d = 0; ok && d < BV_DIMENSION_COUNT; d++) {
        uint64_t minimum = bv_budget_minimum(intent, (enum bv_dimension)d, NULL, 0);
        uint64_t limit = intent->budgets[d].limit; /* BV_UNLIMITED is above any minimum */
        const bool by_file = d == BV_RESIDENT_BYTES && intent->launch &&
                             admission->plan->identity.resident_minimum_bytes > minimum;
        minimum = by_file ? admission->plan->identity.resident_minimum_bytes : minimum;
        if (limit < minimum) {
            char reason[160], remedy[96];
            (void)bv_budget_minimum(intent, (enum bv_dimension)d, reason, sizeof(reason));
            if (by_file) {
                say(reason, sizeof(reason), "the workload, as its file says,");
            }
            (void)snprintf(remedy, sizeof(remedy), "ask for at least %llu",
                           (unsigned long long)minimum);
            ok =
                bv_admission_refuse(admission, bv_dimension_name((enum bv_dimension)d), NULL,
                                    remedy, "the limit %llu is below the %llu that %s needs",
                                    (unsigned long long)limit, (unsigned long long)minimum, reason);
        }
    }
    return ok;
}

static const char *or_else(const char *text, const char *fallback)
{
    return text[0] ? text : fallback;
}

/* A finite limit against a mechanism that counts. *ret_refused tells whether an item was added. */
static bool check_bound(struct admission *admission, const char *name, const struct bv_offer *offer,
                        const struct bv_budget_request *request, bool *ret_refused)
{
    char remedy[320];
    *ret_refused = true;
    if (!offer->can_bound) {
        return bv_admission_refuse(
            admission, name, NULL, or_else(offer->remedy, "ask for \"unlimited\""), "%s",
            or_else(offer->why, "nothing on this machine can hold this limit"));
    }
    if (request->limit < offer->floor) {
        (void)snprintf(remedy, sizeof(remedy), "ask for at least %llu",
                       (unsigned long long)offer->floor);
        return bv_admission_refuse(
            admission, name, NULL, remedy, "the limit %llu is below the floor of %llu of %s",
            (unsigned long long)request->limit, (unsigned long long)offer->floor, offer->mechanism);
    }
    if (request->limit > offer->available) {
        (void)snprintf(remedy, sizeof(remedy), "ask for at most %llu, or for \"unlimited\"",
                       (unsigned long long)offer->available);
        return bv_admission_refuse(admission, name, NULL, remedy,
                                   "the limit %llu is above the %llu that %s can count to",
                                   (unsigned long long)request->limit,
                                   (unsigned long long)offer->available, offer->mechanism);
    }
    if (request->guarantee > offer->guarantee) {
        (void)snprintf(remedy, sizeof(remedy), "%s%sask for the mediated guarantee", offer->remedy,
                       offer->remedy[0] ? ", or " : "");
        return bv_admission_refuse(admission, name, NULL, remedy,
                                   "enforced is required, %s gives mediated%s%s", offer->mechanism,
                                   offer->why[0] ? ": " : "", offer->why);
    }
    *ret_refused = false;
    return true;
}

static bool check_dimension(struct admission *admission, enum bv_dimension dimension)
{
    const struct bv_offer *offer = &admission->plan->offers[dimension];
    const struct bv_budget_request *request = &admission->plan->spec.budgets[dimension];
    const char *name = bv_dimension_name(dimension);
    bool refused = false;
    if (request->limit != BV_UNLIMITED && !offer->structural &&
        !check_bound(admission, name, offer, request, &refused)) {
        return false;
    }
    /* Use is witnessed dimension by dimension; the other claims are the whole report's. */
    uint32_t available =
        offer->evidence | (admission->plan->available & ~(uint32_t)BV_CLAIM_RESOURCE_USAGE);
    uint32_t missing = request->evidence & ~available;
    if (refused || missing == 0) {
        return true;
    }
    char claims[256];
    bv_claims_text(missing, claims, sizeof(claims));
    return bv_admission_refuse(
        admission, name, NULL,
        or_else(offer->remedy, "leave these claims out of the budget's evidence"),
        "the report would not carry %s for this dimension%s%s", claims, offer->why[0] ? ": " : "",
        offer->why);
}

bool bv_budget_step(struct admission *admission)
{
    struct bv_plan *plan = admission->plan;
    bool ok = true;
    for (unsigned d = 0; ok && d < BV_DIMENSION_COUNT; d++) {
        bv_support_offer(admission->ops, admission->context, &plan->profile, &plan->intent,
                         (enum bv_dimension)d, &plan->offers[d]);
        ok = check_dimension(admission, (enum bv_dimension)d);
    }
    return ok;
}
