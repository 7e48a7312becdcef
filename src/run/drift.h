/* run/drift.h - is the machine, and the workload, still what a plan was made for? CONTRACT.md 8,
 * profile_drift. */
#pragma once

#include "contract/contract.h"
#include "run/instance.h"

/* Names every fact that differs between the two "probed" objects: *refusal is made or added to.
 * BV_OK or BV_E_NOMEM. */
BV_MUST_CHECK enum bv_status bv_drift_facts(const char *backend_id, const json_t *planned,
                                            const json_t *probed, struct bv_refusal **refusal,
                                            struct bv_error *error);
/* The same for what is known of the workload. */
BV_MUST_CHECK enum bv_status bv_drift_workload(const char *backend_id,
                                               const struct bv_workload_identity *planned,
                                               const struct bv_workload_identity *found,
                                               struct bv_refusal **refusal, struct bv_error *error);
/* One item: what was planned and what is now. */
BV_MUST_CHECK enum bv_status bv_drift_item(const char *backend_id, const char *what,
                                           const char *planned, const char *found,
                                           struct bv_refusal **refusal, struct bv_error *error);
