/* contract/audit.h - the cross-check of an observation against its plan. */
#pragma once

#include "contract/contract.h"
#include "contract/observation.h"
#include "contract/plan.h"

struct ending {
    enum bv_outcome outcome;
    struct bv_exit exit;
    uint32_t claims; /* carried by the report */
};

/* Appends a {"supervisor_fault", ...} finding for each lie or gap that it finds. *ret_ending is what the report says: the observed outcome,
 * or supervisor_fault without an exit if anything was found. False: out of memory. */
bool bv_audit(const struct bv_plan *plan, const struct bv_observation *observation,
              const struct bv_seal_facts *facts, struct finding_list *findings,
              struct ending *ret_ending);
