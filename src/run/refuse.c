/* run/refuse.c - refusals of the runner: the workload's file, drift, leases, descriptors; see
 * refuse.h.
 *
 * The planner makes its own. These are about what only an acting half can see. Owns nothing
 * after it returns. */
#include "run/refuse.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"

enum bv_status bv_refuse_item(struct bv_refusal **refusal, enum bv_refusal_reason reason,
                              const char *backend_id, const char *what, json_t *requirement,
                              const char *why, const char *remedy, struct bv_error *error)
{
    if (!*refusal) {
        *refusal = bv_refusal_new(reason, backend_id);
    }
    if (!*refusal) {
        json_decref(requirement);
        return bv_fail_nomem(error);
    }
    return bv_refusal_add(*refusal, what, requirement, why, remedy) ? BV_OK : bv_fail_nomem(error);
}

/* The control that asked for the launch, as a document says it; NULL when out of memory. */
static json_t *launch_requirement(const struct bv_spec *spec)
{
    for (size_t i = 0; i < spec->control_count; i++) {
        if (spec->controls[i].kind == BV_CTL_LAUNCH_WORKLOAD) {
            return bv_control_to_json(&spec->controls[i]);
        }
    }
    BV_UNREACHABLE(); /* without a launch no workload is opened */
}

enum bv_status bv_refuse_workload(const struct bv_backend *backend, const struct bv_spec *spec,
                                  enum bv_refusal_reason reason,
                                  const struct bv_workload_problem *problem,
                                  struct bv_refusal **ret_refusal, struct bv_error *error)
{
    BV_ASSERT(problem->subject && problem->remedy);
    struct bv_buf why;
    bv_buf_init(&why, BV_PATH_MAX_BYTES + sizeof(problem->why) + 3);
    (void)bv_buf_format(&why, "%s: %s", problem->subject, problem->why);
    BV_AUTO(bv_cleanup_free) char *text = bv_buf_take(&why);
    json_t *requirement = launch_requirement(spec);
    if (!text || !requirement) {
        bv_buf_done(&why);
        json_decref(requirement);
        return bv_fail_nomem(error);
    }
    struct bv_refusal *refusal = NULL;
    enum bv_status status = bv_refuse_item(&refusal, reason, backend->ops->id,
                                           bv_requirement_name(BV_REQ_LAUNCH_WORKLOAD), requirement,
                                           text, problem->remedy, error);
    if (status != BV_OK) {
        bv_refusal_free(refusal);
        return status;
    }
    *ret_refusal = refusal;
    return BV_E_REFUSED;
}
