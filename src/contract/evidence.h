/* contract/evidence.h - what the observation of a run proves: budget findings and the claims that the report carries. */
#pragma once

#include "contract/observation.h"
#include "contract/plan.h"

/* "within_limit" and the like for one dimension; static text. CONTRACT.md 5. */
const char *bv_witness_finding(const struct bv_plan *plan, const struct bv_observation *observation,
                               enum bv_dimension dimension);
/* A figure was given for a dimension that the plan says cannot be measured: a made-up one. */
bool bv_witness_is_invented(const struct bv_plan *plan, const struct bv_observation *observation,
                            enum bv_dimension dimension);
/* The member "dimension": {"limit", ..., "finding"}. */
void bv_witness_emit(struct bv_emit *emit, const struct bv_plan *plan,
                     const struct bv_observation *observation, enum bv_dimension dimension);
/* The claims that the report of this observation really carries, within those that the plan said it would. has_outcome: exactly one
 * terminal outcome stands. */
uint32_t bv_witness_claims(const struct bv_plan *plan, const struct bv_observation *observation,
                           bool has_outcome);
/* The claims that hold for one dimension, as its budget request names them. */
uint32_t bv_witness_dimension_claims(const struct bv_plan *plan,
                                     const struct bv_observation *observation, uint32_t claims,
                                     enum bv_dimension dimension);
