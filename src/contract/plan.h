/* contract/plan.h - the inside of a plan; plan.c is its only maker, plan_json.c and report.c read it. */
#pragma once

#include <bvisor/backend.h>

#include "contract/contract.h"
#include "contract/finding.h"

struct admitted {
    struct bv_requirement requirement;
    struct { /* as struct bv_verdict, but its texts take only what they need */
        enum bv_enforcement enforcement;
        uint32_t evidence;
        const char *mechanism, *why, *remedy, *note;
    } verdict;
};

/* A part of the plan's document, which the report repeats. */
struct plan_part {
    size_t at, size;
};

struct bv_plan {
    struct bv_arena *arena; /* the plan itself and all it points to, except document */
    struct bv_buf document; /* the canonical text, plan_id included */
    struct plan_part admitted_part, profile_part, workload_part;
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
    struct finding_list findings;
};

/* Fills plan->document, findings, spec_hash, profile_hash and plan_id. BV_E_NOMEM, BV_E_LIMIT. */
enum bv_status bv_plan_document(struct bv_plan *plan, struct bv_error *error);
/* {"dimension": {...}} of the seven offers, as the profile's budget and the probe document show them. */
void bv_offers_emit(struct bv_emit *emit, const char *key,
                    const struct bv_offer offers[BV_DIMENSION_COUNT]);
/* {"guarantee": ...} as supplied for a request. */
void bv_supplied_emit(struct bv_emit *emit, const char *key, const struct bv_offer *offer,
                      uint64_t limit);
