/* run/confined.c - the whole loop in one call: plan, run, report, disposition. BV_OK sets only the report,
 * BV_E_REFUSED only the refusal. */
#include <bvisor/run.h>

#include "base/error.h"

enum bv_status bv_run_confined(const struct bv_spec *spec, struct bv_backend *backend,
                               const struct bv_run_options *options, struct bv_report **ret_report,
                               struct bv_refusal **ret_refusal, struct bv_error *error)
{
    if (!spec || !backend || !ret_report || !ret_refusal) {
        return bv_fail(error, BV_E_INVALID, "",
                       "a spec, a backend and places for the answers are needed");
    }
    struct bv_run *run = NULL;
    enum bv_status status = bv_run_begin(backend, spec, options, &run, ret_refusal, error);
    if (status == BV_OK) {
        status = bv_run_wait(run, ret_report, error);
        if (status == BV_OK) {
            status = bv_run_record(run, *ret_report, error);
        }
        if (status == BV_OK) {
            status = bv_run_settle(run, *ret_report, true, error);
        }
    }
    bv_run_free(run);
    return status;
}
