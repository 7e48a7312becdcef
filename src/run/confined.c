/* run/confined.c - the whole loop in one call: plan, run, report. BV_OK sets only the report,
 * BV_E_REFUSED only the refusal. */
#include <bvisor/run.h>

#include "base/error.h"

/* One call plans and runs: between the two lie microseconds, and under load rarely more than this. */
#define PROBE_AGE_MICROS 100000u

enum bv_status bv_run_confined(const struct bv_spec *spec, struct bv_backend *backend,
                               const struct bv_run_options *options, struct bv_report **ret_report,
                               struct bv_refusal **ret_refusal, struct bv_error *error)
{
    if (!spec || !backend || !ret_report || !ret_refusal) {
        return bv_fail(error, BV_E_INVALID, "",
                       "a spec, a backend and places for the answers are needed");
    }
    struct bv_run_options chosen = BV_RUN_OPTIONS_INIT;
    if (options) {
        chosen = *options;
    }
    if (chosen.probe_max_age_micros == 0) {
        chosen.probe_max_age_micros = PROBE_AGE_MICROS;
    }
    struct bv_plan *plan = NULL;
    struct bv_run *run = NULL;
    enum bv_status status = bv_plan_create(backend, spec, &plan, ret_refusal, error);
    if (status == BV_OK) {
        status = bv_run_start(backend, plan, &chosen, &run, ret_refusal, error);
    }
    if (status == BV_OK) {
        status = bv_run_wait(run, ret_report, error);
    }
    bv_run_free(run);
    bv_plan_free(plan);
    return status;
}
