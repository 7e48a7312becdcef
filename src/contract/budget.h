/* contract/budget.h - derived minimums of the seven budgets. */
#pragma once

#include <bvisor/backend.h>

/* The least that what is asked for needs of a dimension, and in reason (may be NULL) what for. 0 without a launch. */
uint64_t bv_budget_minimum(const struct bv_intent *intent, enum bv_dimension dimension,
                           char *reason, size_t reason_size);
