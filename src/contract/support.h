/* contract/support.h - the two-axis verdict lattice, sets of claims, and the judgement of one requirement. */
#pragma once

#include <bvisor/backend.h>

#include "canon/emit.h"

/* What a verdict is worth, without its texts. Ordered componentwise: by strength of enforcement and by inclusion of evidence. */
struct grade {
    enum bv_enforcement enforcement;
    uint32_t evidence;
};

/* The greatest lower bound: the weaker enforcement, the claims that both carry. CONTRACT.md 6. */
static inline struct grade grade_meet(struct grade a, struct grade b)
{
    return (struct grade){ a.enforcement < b.enforcement ? a.enforcement : b.enforcement,
                           a.evidence & b.evidence };
}

static inline bool grade_at_most(struct grade a, struct grade b)
{
    return a.enforcement <= b.enforcement && (a.evidence & ~b.evidence) == 0;
}

/* best ∧ ceiling; best may be *ret_met. The mechanism stays that of best; why and remedy come from the side that reduced the other. */
void bv_verdict_meet(const struct bv_verdict *best, const struct bv_verdict *ceiling,
                     struct bv_verdict *ret_met);

/* One requirement on this machine: the backend's answer, checked for being an answer at all, met with the ceiling. A missing or
 * malformed answer is unsupported and says so. */
void bv_support_judge(const struct bv_backend_ops *ops, void *context,
                      const struct bv_profile *profile, const struct bv_intent *intent,
                      const struct bv_requirement *requirement, struct bv_verdict *ret_verdict);
/* The profile that the backend derives from facts, every text terminated. */
void bv_support_profile(const struct bv_backend_ops *ops, void *context,
                        const struct bv_snapshot *facts, struct bv_profile *profile);
/* The backend's offer for a dimension, every text terminated and every figure within a document's range. */
void bv_support_offer(const struct bv_backend_ops *ops, void *context,
                      const struct bv_profile *profile, const struct bv_intent *intent,
                      enum bv_dimension dimension, struct bv_offer *ret_offer);

/* Sets of claims, sorted by name. */
void bv_claims_emit(struct bv_emit *emit, const char *key, uint32_t claims);
json_t *bv_claims_to_json(uint32_t claims); /* NULL: out of memory */
void bv_claims_text(uint32_t claims, char *text,
                    size_t size); /* "a, b"; "none" for the empty set */

/* As in the spec. */
void bv_requirement_emit(struct bv_emit *emit, const char *key,
                         const struct bv_requirement *requirement);
json_t *bv_requirement_to_json(
    const struct bv_requirement *requirement); /* as in the spec; NULL: out of memory */
