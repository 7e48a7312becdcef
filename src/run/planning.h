/* run/planning.h - what planning and running share: the state of the machine and of the
 * workload, taken at one moment. */
#pragma once

#include "contract/contract.h"
#include "run/workload_file.h"

struct bv_survey {
    struct bv_workload_identity identity; /* known false when the spec launches nothing */
    int workload_fd;                      /* -EBADF when the spec launches nothing; owned */
    struct bv_snapshot *facts;            /* owned */
    struct bv_path_facts paths;           /* as of the spec that was planned */
    struct bv_workload_problem problem;   /* set when the workload cannot be taken */
};

struct bv_survey *bv_survey_new(void); /* NULL: out of memory */
void bv_survey_free(struct bv_survey *survey);
/* Opens and identifies the workload; hash_later as of bv_workload_open(). BV_E_REFUSED: survey->problem says why. */
BV_MUST_CHECK enum bv_status bv_survey_workload(struct bv_survey *survey,
                                                struct bv_backend *backend,
                                                const struct bv_spec *spec, bool hash_later,
                                                struct bv_error *error);
/* Probes the machine, staging included where the spec asks for it; spec NULL: where the backend was told a place for it. */
BV_MUST_CHECK enum bv_status bv_survey_machine(struct bv_survey *survey, struct bv_backend *backend,
                                               const struct bv_spec *spec, struct bv_error *error);
enum bv_urgency { /* what a plan is for */
    BV_PLAN_TO_KEEP,  /* everything is looked at */
    BV_PLAN_TO_BEGIN, /* a run that begins at once: the workload may be hashed meanwhile */
    BV_PLAN_AHEAD,    /* and the machine probed by probe_ahead */
};
/* Both, and a plan that is decided but not bound yet (bv_plan_bind()). As bv_plan_create() otherwise. */
BV_MUST_CHECK enum bv_status bv_survey_plan(struct bv_survey *survey, struct bv_backend *backend,
                                            const struct bv_spec *spec, enum bv_urgency urgency,
                                            struct bv_plan **ret_plan,
                                            struct bv_refusal **ret_refusal,
                                            struct bv_error *error);
