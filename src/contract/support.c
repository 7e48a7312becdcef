/* contract/support.c - profile x requirement -> verdict.
 *
 * A verdict is the family's best case met with this machine's ceiling. Both come from a backend, which is foreign code
 * to the contract: answers are copied out, terminated, cleaned and checked, and whatever is missing or malformed counts
 * as unsupported. Pure. Specified by CONTRACT.md 6 and 7; the laws of the lattice are tested exhaustively. */
#include "contract/support.h"

#include "base/check.h"
#include "base/utf8.h"
#include "contract/contract.h"
#include "contract/names.h"
#include "contract/text.h"

#include <stdio.h>
#include <string.h>

/* ---- sets of claims ---- */

void bv_claims_emit(struct bv_emit *emit, const char *key, uint32_t claims)
{
    BV_ASSERT((claims & ~BV_CLAIMS_ALL) == 0);
    bv_emit_array(emit, key);
    for (size_t i = 0; i < BV_CLAIM_COUNT; i++) {
        const unsigned bit = bv_claims_by_name[i];
        if (claims >> bit & 1u) {
            bv_emit_text(emit, NULL, bv_names_claim.names[bit]);
        }
    }
    bv_emit_end(emit);
}

json_t *bv_claims_to_json(uint32_t claims)
{
    struct bv_buf buf;
    struct bv_emit emit;
    bv_buf_init(&buf, BV_PLAN_MAX_BYTES);
    bv_emit_init(&emit, &buf);
    bv_claims_emit(&emit, NULL, claims);
    return bv_emit_tree(&buf);
}

void bv_claims_text(uint32_t claims, char *text, size_t size)
{
    size_t used = 0;
    BV_ASSERT(size > 4);
    memcpy(text, "none", 5);
    for (size_t i = 0; i < BV_CLAIM_COUNT && used < size; i++) {
        const unsigned bit = bv_claims_by_name[i];
        if (claims >> bit & 1u) {
            const int wrote = snprintf(text + used, size - used, "%s%s", used ? ", " : "",
                                       bv_names_claim.names[bit]);
            used += wrote > 0 ? (size_t)wrote : 0;
        }
    }
}

void bv_requirement_emit(struct bv_emit *emit, const char *key,
                         const struct bv_requirement *requirement)
{
    BV_ASSERT(!requirement->capability != !requirement->control);
    if (requirement->capability) {
        bv_capability_emit(emit, key, requirement->capability);
    } else {
        bv_control_emit(emit, key, requirement->control);
    }
}

json_t *bv_requirement_to_json(const struct bv_requirement *requirement)
{
    BV_ASSERT(!requirement->capability != !requirement->control);
    return requirement->capability ? bv_capability_to_json(requirement->capability)
                                   : bv_control_to_json(requirement->control);
}

/* ---- verdicts ---- */

void bv_verdict_meet(const struct bv_verdict *best, const struct bv_verdict *ceiling,
                     struct bv_verdict *ret_met)
{
    struct grade grade = grade_meet((struct grade){ best->enforcement, best->evidence },
                                    (struct grade){ ceiling->enforcement, ceiling->evidence });
    const bool reduced = ceiling->enforcement < best->enforcement;
    if (ret_met != best) {
        *ret_met = *best;
    }
    ret_met->enforcement = grade.enforcement;
    ret_met->evidence = grade.evidence;
    if (reduced || !ret_met->why[0]) {
        memcpy(ret_met->why, ceiling->why, sizeof(ret_met->why));
        memcpy(ret_met->remedy, ceiling->remedy, sizeof(ret_met->remedy));
    }
    if (!ret_met->note[0]) {
        memcpy(ret_met->note, ceiling->note, sizeof(ret_met->note));
    }
}

/* A fixed buffer that a backend filled: terminated whatever it did, then cleaned. */
static void settle_text(char *text, size_t size)
{
    text[size - 1] = '\0';
    bv_utf8_clean(text);
}

static void make_unsupported(struct bv_verdict *verdict, const char *why)
{
    memset(verdict, 0, sizeof(*verdict));
    verdict->enforcement = BV_UNSUPPORTED;
    bv_text_clean(verdict->why, sizeof(verdict->why), why);
}

static void settle_verdict(struct bv_verdict *verdict, bool needs_mechanism)
{
    settle_text(verdict->mechanism, sizeof(verdict->mechanism));
    settle_text(verdict->why, sizeof(verdict->why));
    settle_text(verdict->remedy, sizeof(verdict->remedy));
    settle_text(verdict->note, sizeof(verdict->note));
    if ((unsigned)verdict->enforcement > BV_ENFORCED || (verdict->evidence & ~BV_CLAIMS_ALL)) {
        make_unsupported(verdict, "the backend's answer is outside the contract's range");
    } else if (verdict->enforcement != BV_UNSUPPORTED && needs_mechanism &&
               !verdict->mechanism[0]) {
        make_unsupported(verdict, "the backend names no mechanism that would hold this");
    } else if (verdict->enforcement == BV_UNSUPPORTED) {
        verdict->evidence = 0;
        if (!verdict->why[0]) {
            make_unsupported(verdict, "the backend has no answer for this requirement");
        }
    }
}

void bv_support_profile(const struct bv_backend_ops *ops, void *context,
                        const struct bv_snapshot *facts, struct bv_profile *profile)
{
    memset(profile, 0, sizeof(*profile));
    profile->facts = facts;
    ops->profile(context, facts, profile);
    profile->facts = facts; /* the contract's, whatever the backend wrote */
    for (unsigned kind = 0; kind < BV_REQUIREMENT_KIND_COUNT; kind++) {
        settle_verdict(&profile->ceiling[kind], false);
    }
}

void bv_support_judge(const struct bv_backend_ops *ops, void *context,
                      const struct bv_profile *profile, const struct bv_intent *intent,
                      const struct bv_requirement *requirement, struct bv_verdict *ret_verdict)
{
    BV_ASSERT((unsigned)requirement->kind < BV_REQUIREMENT_KIND_COUNT);
    *ret_verdict = (struct bv_verdict){ .enforcement = BV_UNSUPPORTED };
    ops->classify(context, profile, intent, requirement, ret_verdict);
    settle_verdict(ret_verdict, true);
    const enum bv_enforcement best = ret_verdict->enforcement;
    bv_verdict_meet(ret_verdict, &profile->ceiling[requirement->kind], ret_verdict);
    BV_ASSERT(ret_verdict->enforcement <= best);
    BV_ASSERT(ret_verdict->enforcement == BV_UNSUPPORTED || ret_verdict->mechanism[0]);
}

static uint64_t settle_figure(uint64_t value)
{
    return value <= BV_JSON_MAX_INTEGER ? value : BV_JSON_MAX_INTEGER;
}

void bv_support_offer(const struct bv_backend_ops *ops, void *context,
                      const struct bv_profile *profile, const struct bv_intent *intent,
                      enum bv_dimension dimension, struct bv_offer *ret_offer)
{
    struct bv_offer offer = { .can_bound = false };
    ops->offer(context, profile, intent, dimension, &offer);
    settle_text(offer.mechanism, sizeof(offer.mechanism));
    settle_text(offer.why, sizeof(offer.why));
    settle_text(offer.remedy, sizeof(offer.remedy));
    settle_text(offer.note, sizeof(offer.note));
    offer.available = settle_figure(offer.available);
    offer.floor = settle_figure(offer.floor);
    offer.sample_interval_micros = settle_figure(offer.sample_interval_micros);
    offer.max_overshoot = settle_figure(offer.max_overshoot);
    offer.evidence &= BV_CLAIMS_ALL;
    bool holds = offer.can_bound || offer.structural;
    if ((unsigned)offer.guarantee > BV_GUARANTEE_ENFORCED || (holds && !offer.mechanism[0])) {
        offer = (struct bv_offer){ .guarantee = BV_GUARANTEE_MEDIATED };
        bv_text_clean(offer.why, sizeof(offer.why),
                      "the backend names no mechanism that would hold this limit");
    }
    if (offer.structural) {
        offer.guarantee = BV_GUARANTEE_ENFORCED;
    }
    if (offer.guarantee == BV_GUARANTEE_ENFORCED) {
        offer.sample_interval_micros = 0;
        offer.max_overshoot = 0;
    }
    *ret_offer = offer;
}
