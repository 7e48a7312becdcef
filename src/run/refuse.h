/* run/refuse.h - collecting the items of a refusal that the runner itself finds. */
#pragma once

#include "contract/contract.h"
#include "run/workload_file.h"

/* Adds an item to *refusal, which is made when it is NULL. BV_OK or BV_E_NOMEM. */
BV_MUST_CHECK enum bv_status bv_refuse_item(struct bv_refusal **refusal,
                                            enum bv_refusal_reason reason, const char *backend_id,
                                            const char *what, json_t *requirement, const char *why,
                                            const char *remedy, struct bv_error *error);
/* A refusal of one item for a workload that cannot be taken. BV_E_REFUSED with *ret_refusal, or
 * BV_E_NOMEM. */
BV_MUST_CHECK enum bv_status
bv_refuse_workload(const struct bv_backend *backend, const struct bv_spec *spec,
                   enum bv_refusal_reason reason, const struct bv_workload_problem *problem,
                   struct bv_refusal **ret_refusal, struct bv_error *error);
