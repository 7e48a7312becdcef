/* bvisor/plan.h - what was admitted, or why not. Plans and refusals are opaque: holding one proves that its stage
 * happened. Both are inert data; nothing here touches the operating system. Terms: CONTRACT.md 5 to 8. */
#ifndef BVISOR_PLAN_H
#define BVISOR_PLAN_H

#include <bvisor/spec.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The rows of the requirement matrix, CONTRACT.md 7. JSON names are these in lower case without the prefix. */
enum bv_requirement_kind {
    BV_REQ_FILESYSTEM = 0, BV_REQ_NETWORK_DENY_ALL = 1, BV_REQ_NETWORK_ALLOW_LIST = 2, BV_REQ_NETWORK_ALLOW_ALL = 3,
    BV_REQ_SPAWN_DENY_NEW_TASKS = 4, BV_REQ_SPAWN_ALLOW_THREADS = 5, BV_REQ_SPAWN_ALLOW_DESCENDANTS = 6,
    BV_REQ_ENVIRONMENT = 7, BV_REQ_INHERITED_FDS_NONE = 8, BV_REQ_INHERITED_FDS_ONLY = 9, BV_REQ_LAUNCH_WORKLOAD = 10,
    BV_REQ_CAPTURE_STREAMS = 11, BV_REQ_TEMP_ROOT = 12, BV_REQ_EXPOSE_PATH = 13, BV_REQ_COMMIT_ARTIFACT = 14,
    BV_REQ_DISCARD_ARTIFACT = 15, BV_REQ_KILL = 16, BV_REQ_LIST_OUTPUTS = 17,
};
#define BV_REQUIREMENT_KIND_COUNT 18

/* How strongly a requirement is held; the weaker of two is their meet. CONTRACT.md 6. */
enum bv_enforcement { BV_UNSUPPORTED = 0, BV_MEDIATED = 1, BV_ENFORCED = 2 };

/* Why a plan was refused, in the order in which reasons are found. CONTRACT.md 8. */
enum bv_refusal_reason {
    BV_REFUSED_UNKNOWN_BACKEND = 0, BV_REFUSED_INVALID_POLICY = 1, BV_REFUSED_WORKLOAD_INCOMPATIBLE = 2,
    BV_REFUSED_UNSUPPORTED = 3, BV_REFUSED_EVIDENCE_UNSATISFIABLE = 4, BV_REFUSED_BUDGET_REFUSED = 5,
    BV_REFUSED_PROFILE_DRIFT = 6,
};

struct bv_plan;
struct bv_refusal;

BV_API const char *bv_requirement_name(enum bv_requirement_kind kind);
BV_API const char *bv_enforcement_name(enum bv_enforcement enforcement);
BV_API const char *bv_refusal_reason_name(enum bv_refusal_reason reason);

BV_API const char *bv_plan_id(const struct bv_plan *plan);      /* "sha256:..."; lives as long as the plan */
BV_API const char *bv_plan_backend(const struct bv_plan *plan); /* "linux" */
/* The plan as a canonical "bvisor.plan/1" document, freed with bv_free(). BV_E_NOMEM. */
BV_API BV_MUST_CHECK enum bv_status bv_plan_json(const struct bv_plan *plan, char **ret_text, struct bv_error *error);
BV_API void bv_plan_free(struct bv_plan *plan);

BV_API enum bv_refusal_reason bv_refusal_reason(const struct bv_refusal *refusal);
BV_API size_t bv_refusal_count(const struct bv_refusal *refusal);                           /* items, >= 1 */
BV_API const char *bv_refusal_what(const struct bv_refusal *refusal, size_t index);         /* requirement, dimension or place */
BV_API const char *bv_refusal_why(const struct bv_refusal *refusal, size_t index);
BV_API const char *bv_refusal_remedy(const struct bv_refusal *refusal, size_t index);       /* "" if none is known */
/* The refusal as a canonical "bvisor.refusal/1" document, freed with bv_free(). BV_E_NOMEM. */
BV_API BV_MUST_CHECK enum bv_status bv_refusal_json(const struct bv_refusal *refusal, char **ret_text, struct bv_error *error);
BV_API void bv_refusal_free(struct bv_refusal *refusal);

#ifdef __cplusplus
}
#endif
#endif
