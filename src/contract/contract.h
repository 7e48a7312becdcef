/* contract/contract.h - what the pure contract offers to the runner. No system call is made behind any of these.
 *
 * Order of use: bv_snapshot_new -> (backend probes) -> bv_plan_admit -> (backend runs into an observation) -> bv_report_seal. */
#pragma once

#include <bvisor/artifacts.h>
#include <bvisor/backend.h>

#include "canon/emit.h"

/* spec_write.c: struct -> document, shared by spec, plan and report. */
void bv_spec_emit(struct bv_buf *buf, const struct bv_spec *spec);
void bv_capability_emit(struct bv_emit *emit, const char *key, const struct bv_capability *capability); /* {"filesystem": {...}} */
void bv_control_emit(struct bv_emit *emit, const char *key, const struct bv_control *control);          /* {"temp_root": {...}} */
void bv_workload_emit(struct bv_emit *emit, const struct bv_workload *workload); /* the member "process": {...} or "wasm": {...} */
void bv_limit_emit(struct bv_emit *emit, uint64_t limit);                        /* the member "limit": a number or "unlimited" */
/* The same as trees, for refusals. NULL: out of memory. */
json_t *bv_capability_to_json(const struct bv_capability *capability);
json_t *bv_control_to_json(const struct bv_control *control);
/* Reads a spec from a parsed tree; places are JSON pointers below prefix ("" for a document). */
BV_MUST_CHECK enum bv_status bv_spec_from_json(const json_t *root, const char *prefix, struct bv_spec **ret_spec, struct bv_error *error);

/* snapshot.c */
struct bv_snapshot *bv_snapshot_new(void); /* NULL: out of memory */
void bv_snapshot_free(struct bv_snapshot *snapshot);
json_t *bv_snapshot_to_json(const struct bv_snapshot *snapshot); /* object of strings */
void bv_snapshot_emit(struct bv_emit *emit, const char *key, const struct bv_snapshot *snapshot);
void bv_profile_emit(struct bv_buf *buf, const char *backend_id, const struct bv_snapshot *facts); /* {backend, probed} */

/* plan.c: the only maker of struct bv_plan. Copies all it needs; facts may be freed afterwards. identity->known false without a launch.
 * BV_OK: *ret_plan. BV_E_REFUSED: *ret_refusal. Else neither. */
BV_MUST_CHECK enum bv_status bv_plan_admit(const struct bv_backend_ops *ops, void *context, const struct bv_spec *spec,
                                           const struct bv_workload_identity *identity, const struct bv_snapshot *facts,
                                           struct bv_plan **ret_plan, struct bv_refusal **ret_refusal, struct bv_error *error);
/* Admission without the document: everything is decided, and only the digest of the workload may still be missing ("" in the identity). Such a
 * plan has no id and no document until it is bound. */
BV_MUST_CHECK enum bv_status bv_plan_decide(const struct bv_backend_ops *ops, void *context, const struct bv_spec *spec,
                                            const struct bv_workload_identity *identity, const struct bv_snapshot *facts,
                                            struct bv_plan **ret_plan, struct bv_refusal **ret_refusal, struct bv_error *error);
/* Takes the digest over and writes the document. Once per plan. BV_E_NOMEM, BV_E_LIMIT. */
BV_MUST_CHECK enum bv_status bv_plan_bind(struct bv_plan *plan, const char *digest, struct bv_error *error);
/* What a plan holds, for runner and tests; all live as long as the plan. */
const struct bv_spec *bv_plan_spec(const struct bv_plan *plan);
const struct bv_intent *bv_plan_intent(const struct bv_plan *plan);
const struct bv_profile *bv_plan_profile(const struct bv_plan *plan);
const char *bv_plan_profile_hash(const struct bv_plan *plan);
const struct bv_offer *bv_plan_offers(const struct bv_plan *plan); /* BV_DIMENSION_COUNT */
const struct bv_workload_identity *bv_plan_identity(const struct bv_plan *plan);
/* Reads a saved plan: checks schema and that plan_id is the hash of the rest (BV_E_CORRUPT), rebuilds the spec it was made from. */
struct bv_saved_plan { struct bv_spec *spec; char backend[24]; char plan_id[72], profile_hash[72], digest[72]; };
BV_MUST_CHECK enum bv_status bv_plan_read(const char *text, size_t size, struct bv_saved_plan *ret_saved, struct bv_error *error);
/* "sha256:..." of {backend, probed}: what profile drift compares. */
bool bv_profile_digest(const char *backend_id, const struct bv_snapshot *facts, char text[BV_DIGEST_TEXT_SIZE]);
/* The probe document of run.h for a snapshot. */
json_t *bv_probe_document(const struct bv_backend_ops *ops, void *context, const struct bv_snapshot *facts);

/* refusal.c */
struct bv_refusal *bv_refusal_new(enum bv_refusal_reason reason, const char *backend_id); /* NULL: out of memory */
/* Appends an item. what: requirement kind, dimension or place; requirement may be NULL (taken over otherwise). False: out of memory. */
bool bv_refusal_add(struct bv_refusal *refusal, const char *what, json_t *requirement, const char *why, const char *remedy);

/* observation.c / report.c */
struct bv_observation *bv_observation_new(void);
void bv_observation_free(struct bv_observation *observation);
bool bv_observation_has_outcome(const struct bv_observation *observation);

struct bv_seal_facts { /* what only the runner knows */
    const char *attempt;                    /* 32 hex digits */
    const char *started_at, *finished_at;   /* RFC 3339, UTC, microseconds */
    const char *kernel;                     /* uname release */
    uint32_t uid;
    const struct bv_artifact *artifacts;    /* of a staged run; sorted here */
    size_t artifact_count;
    const char *fault;                      /* NULL, or why the runner makes this a supervisor_fault whatever was observed */
};
/* Cross-checks the observation against the plan, builds the body, canonicalises and hashes it. The observation is not freed. A backend that observed
 * no outcome, two outcomes, a figure for what it cannot measure, or claims beyond its plan yields outcome supervisor_fault with a finding that says so. */
BV_MUST_CHECK enum bv_status bv_report_seal(const struct bv_plan *plan, const struct bv_observation *observation, const struct bv_seal_facts *facts,
                                            struct bv_report **ret_report, struct bv_error *error);
/* Says in the report's document what became of what was staged (outside the seal). decision: "commit" or "discard"; detail may be "". False: out of memory. */
bool bv_report_dispose(struct bv_report *report, const char *decided, bool applied, const char *detail);
