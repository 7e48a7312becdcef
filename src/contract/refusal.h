/* contract/refusal.h - what the planner's steps add to a refusal, beside bv_refusal_add() of contract.h. */
#pragma once

#include <bvisor/plan.h>

#include <jansson.h>

/* Appends an item about a set of claims; bv_refusal_what() gives their names, comma-separated. False: out of memory. */
bool bv_refusal_add_claims(struct bv_refusal *refusal, uint32_t claims, const char *why,
                           const char *remedy);
