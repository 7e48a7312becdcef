/* contract/evidence.c - from figures and facts to findings and claims.
 *
 * Never a made-up figure: what was not measured is null with its reason, and a figure where the plan promised none is an
 * enforcement fault. A claim counts as carried only when the thing itself is in the report; a promise alone carries
 * nothing. A backend withdraws a claim that it could not keep by a finding of kind evidence_lost whose detail begins with
 * the claim's name. Specified by CONTRACT.md 5 and 6. */
#include "contract/evidence.h"

#include "base/check.h"
#include "contract/names.h"
#include "contract/support.h"

#include <string.h>

bool bv_witness_is_invented(const struct bv_plan *plan, const struct bv_observation *observation,
                            enum bv_dimension dimension)
{
    const struct bv_offer *offer = &plan->offers[dimension];
    return observation->usage[dimension].measured && !offer->structural &&
           !(offer->evidence & BV_CLAIM_RESOURCE_USAGE);
}

/* A finite limit with a measured figure above it, and no word of the mechanism that it ended anything. */
static const char *over_limit(const struct bv_offer *offer, uint64_t limit, uint64_t value)
{
    uint64_t most;
    if (offer->guarantee == BV_GUARANTEE_MEDIATED &&
        !bv_ckd_add(&most, limit, offer->max_overshoot) && value <= most) {
        return "exceeded_within_mediated_overshoot";
    }
    return "enforcement_fault";
}

const char *bv_witness_finding(const struct bv_plan *plan, const struct bv_observation *observation,
                               enum bv_dimension dimension)
{
    const struct bv_offer *offer = &plan->offers[dimension];
    const struct observed_usage *usage = &observation->usage[dimension];
    uint64_t limit = plan->spec.budgets[dimension].limit;
    bool reached = usage->limit_reached ||
                   (observation->outcome_count == 1 && observation->cause == (int)dimension);
    if (bv_witness_is_invented(plan, observation, dimension)) {
        return "enforcement_fault";
    }
    if (limit == BV_UNLIMITED) {
        return usage->measured ? "within_limit" : "observation_unavailable";
    }
    if (reached && offer->guarantee == BV_GUARANTEE_ENFORCED) {
        return "limit_reached_enforced";
    }
    if (!usage->measured) {
        return "observation_unavailable";
    }
    if (usage->value > limit) {
        return over_limit(offer, limit, usage->value);
    }
    return reached ? "limit_reached_enforced" : "within_limit";
}

uint32_t bv_witness_dimension_claims(const struct bv_plan *plan,
                                     const struct bv_observation *observation, uint32_t claims,
                                     enum bv_dimension dimension)
{
    const uint32_t usage = BV_CLAIM_RESOURCE_USAGE;
    bool measured = observation->usage[dimension].measured &&
                    !bv_witness_is_invented(plan, observation, dimension);
    return (claims & ~usage) | (measured ? usage : 0);
}

void bv_witness_emit(struct bv_emit *emit, const struct bv_plan *plan,
                     const struct bv_observation *observation, enum bv_dimension dimension)
{
    const struct bv_budget_request *request = &plan->spec.budgets[dimension];
    const struct bv_offer *offer = &plan->offers[dimension];
    const struct observed_usage *usage = &observation->usage[dimension];
    bv_emit_object(emit, bv_dimension_name(dimension));
    bv_claims_emit(emit, "evidence", bv_witness_dimension_claims(plan, observation, 0, dimension));
    bv_emit_text(emit, "finding", bv_witness_finding(plan, observation, dimension));
    bv_limit_emit(emit, request->limit);
    bv_emit_text(emit, "mechanism", offer->mechanism);
    if (usage->measured) {
        bv_emit_number(emit, "observed", usage->value);
    } else {
        bv_emit_null(emit, "observed");
    }
    bv_emit_text(emit, "required", bv_name_of(&bv_names_guarantee, (size_t)request->guarantee));
    bv_emit_text(emit, "source",
                 usage->told ? usage->source : "the backend said nothing of this dimension");
    bv_supplied_emit(emit, "supplied", offer, request->limit);
    bv_emit_end(emit);
}

static bool stream_is_captured(const struct bv_observation *observation, size_t index)
{
    return observation->stream[index].seen && !observation->stream[index].kept.failed;
}

static bool any_measured(const struct bv_plan *plan, const struct bv_observation *observation)
{
    bool any = false;
    for (unsigned d = 0; d < BV_DIMENSION_COUNT; d++) {
        any = any || bv_witness_dimension_claims(plan, observation, 0, (enum bv_dimension)d) != 0;
    }
    return any;
}

static uint32_t withdrawn(const struct bv_observation *observation)
{
    uint32_t lost = 0;
    for (const struct observed_item *item = observation->findings.first; item; item = item->next) {
        for (unsigned bit = 0; bit < BV_CLAIM_COUNT && strcmp(item->kind, "evidence_lost") == 0;
             bit++) {
            const char *name = bv_claim_name((enum bv_claim)(1u << bit));
            size_t size = strlen(name);
            char next = strlen(item->detail) >= size ? item->detail[size] : '\0';
            if (strlen(item->detail) >= size && memcmp(item->detail, name, size) == 0 &&
                next != '_') {
                lost |= 1u << bit;
            }
        }
    }
    return lost;
}

uint32_t bv_witness_claims(const struct bv_plan *plan, const struct bv_observation *observation,
                           bool has_outcome)
{
    const struct bv_capture *capture = &plan->intent.capture;
    bool launched = bv_observation_fact(observation, "workload_launched") != NULL;
    bool streams = (!capture->out || stream_is_captured(observation, 0)) &&
                   (!capture->err || stream_is_captured(observation, 1));
    uint32_t carried = 0;
    if (has_outcome) {
        carried |= BV_CLAIM_TERMINAL_OUTCOME;
    }
    if (!launched) {
        return carried &
               plan->available; /* of a workload that never ran there is nothing else to tell */
    }
    carried |= streams ? BV_CLAIM_CAPTURED_STREAMS : 0;
    carried |= any_measured(plan, observation) ? BV_CLAIM_RESOURCE_USAGE : 0;
    carried |= bv_observation_fact(observation, "tree_empty") ? BV_CLAIM_PROCESS_TREE : 0;
    carried |= bv_observation_fact(observation, "canaries") ? BV_CLAIM_MECHANISM_ATTESTATION : 0;
    /* Lists that are in every report, and are complete when the plan says that a mechanism fills them: empty then means none. */
    carried |= BV_CLAIM_ALLOWED_ACTIONS | BV_CLAIM_DENIED_ATTEMPTS | BV_CLAIM_NETWORK_ACTIVITY;
    carried |= plan->intent.staged ? BV_CLAIM_FILESYSTEM_DELTA | BV_CLAIM_ARTIFACT_LINEAGE : 0;
    return carried & plan->available & ~withdrawn(observation);
}
