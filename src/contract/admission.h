/* contract/admission.h - what the planner's steps share: one admission, from spec to plan or refusal. */
#pragma once

#include "contract/intent.h"
#include "contract/plan.h"
#include "contract/refusal.h"
#include "contract/contract.h"

struct admission {
    struct bv_plan *plan; /* filled step by step; not the caller's until every step passed */
    const struct bv_backend_ops *ops;
    void *context;
    struct requirement_list requirements;
    enum bv_refusal_reason reason; /* of the step that runs */
    struct bv_refusal *refusal;    /* NULL until that step finds a fault */
};

/* A step judges everything it is about and adds one item to the refusal for each fault. False: out of memory. */
typedef bool bv_step_fn(struct admission *admission);

bool bv_policy_step(
    struct admission *admission); /* policy.c: contradictions in the request itself */
bool bv_budget_minimum_step(
    struct admission
        *admission); /* budget.c: limits below what the request needs, machine not asked */
bool bv_workload_step(
    struct admission *admission); /* workload.c: the file, its interpreter and the roots */
bool bv_budget_step(
    struct admission *admission); /* budget.c: limits, guarantees and evidence against the offers */

struct bv_refusal *bv_admission_refusal(
    struct admission *admission); /* made when first asked for; NULL: out of memory */
/* Adds an item; the formats are for people, cut at 511 bytes. requirement (may be NULL) gives kind and document. */
bool bv_admission_refuse(struct admission *admission, const char *what,
                         const struct bv_requirement *requirement, const char *remedy,
                         const char *why_format, ...) __attribute__((format(printf, 5, 6)));
