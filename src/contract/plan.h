/* contract/plan.h - the inside of a plan; plan.c is its only maker, plan_json.c and report.c read it. */
#pragma once

#include <bvisor/backend.h>

#include "base/arena.h"
#include "canon/canon.h"

struct admitted {
    struct bv_requirement requirement;
    struct bv_verdict verdict;
};

struct bv_plan {
    struct bv_arena *arena; /* the plan itself and all it points to, except tree */
    json_t *tree;           /* the canonical document, plan_id included */
    char plan_id[BV_DIGEST_TEXT_SIZE], profile_hash[BV_DIGEST_TEXT_SIZE],
        spec_hash[BV_DIGEST_TEXT_SIZE];
    char backend[24];
    struct bv_spec spec;
    struct bv_intent intent;
    struct bv_workload_identity identity;
    struct bv_profile profile;
    struct bv_offer offers[BV_DIMENSION_COUNT];
    struct admitted *admitted;
    size_t admitted_count;
    uint32_t available; /* claims that the report of such a run will carry */
};

/* Fills plan->tree, spec_hash, profile_hash and plan_id. BV_E_NOMEM, BV_E_LIMIT. */
enum bv_status bv_plan_document(struct bv_plan *plan, struct bv_error *error);
/* {"dimension": {...}} of the seven offers, as the profile's budget and the probe document show them. NULL: out of memory. */
json_t *bv_offers_to_json(const struct bv_offer offers[BV_DIMENSION_COUNT]);
/* {"guarantee": ...} as supplied for a request; NULL: out of memory. */
json_t *bv_supplied_to_json(const struct bv_offer *offer, uint64_t limit);
/* The limit as documents write it: a number or "unlimited". NULL: out of memory. */
json_t *bv_limit_to_json(uint64_t limit);
/* {"kind", "detail"} appended unless an equal finding is there. detail is cleaned. False: out of memory. */
bool bv_finding_add(json_t *findings, const char *kind, const char *detail);
