/* contract/policy.c - contradictions in the request itself: reason invalid_policy.
 *
 * What is malformed never comes here (spec_check.c, an error); what the machine cannot hold is judged later. Every
 * contradiction is named, because a caller who mends one at a time learns of each by another refused run. Two rules
 * are about places: one path inside the boundary must not be claimed by two mounts whose order would then decide.
 * Specified by CONTRACT.md 3 to 5 and 8. */
#include "contract/admission.h"

#include "base/check.h"
#include "contract/support.h"
#include "contract/tree.h"

#include <string.h>

static struct bv_requirement as_written(const struct bv_capability *capability,
                                        const struct bv_control *control,
                                        const struct requirement_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->item[i].capability == capability && list->item[i].control == control) {
            return list->item[i];
        }
    }
    BV_UNREACHABLE();
}

/* Only filesystem may be granted more than once; the second and later ones of the others are named. */
static bool repeated_capabilities(struct admission *admission)
{
    const struct bv_spec *spec = &admission->plan->spec;
    bool ok = true;
    for (size_t i = 0; ok && i < spec->capability_count; i++) {
        const struct bv_capability *capability = &spec->capabilities[i];
        for (size_t other = 0; other < i && capability->kind != BV_CAP_FILESYSTEM; other++) {
            if (spec->capabilities[other].kind == capability->kind) {
                struct bv_requirement requirement =
                    as_written(capability, NULL, &admission->requirements);
                ok = bv_admission_refuse(admission, NULL, &requirement, "keep one of them",
                                         "capability %zu repeats the family of capability %zu", i,
                                         other);
                break;
            }
        }
    }
    return ok;
}

static bool repeated_controls(struct admission *admission)
{
    const struct bv_spec *spec = &admission->plan->spec;
    bool ok = true;
    for (size_t i = 0; ok && i < spec->control_count; i++) {
        const struct bv_control *control = &spec->controls[i];
        for (size_t other = 0; other < i && control->kind != BV_CTL_EXPOSE_PATH; other++) {
            if (spec->controls[other].kind == control->kind) {
                struct bv_requirement requirement =
                    as_written(NULL, control, &admission->requirements);
                ok = bv_admission_refuse(admission, NULL, &requirement, "keep one of them",
                                         "control %zu repeats control %zu", i, other);
                break;
            }
        }
    }
    return ok;
}

static bool commit_and_discard(struct admission *admission)
{
    const struct bv_intent *intent = &admission->plan->intent;
    if (!intent->commit || !intent->discard) {
        return true;
    }
    return bv_admission_refuse(admission, bv_requirement_name(BV_REQ_DISCARD_ARTIFACT), NULL,
                               "ask for commit_artifact or discard_artifact, not both",
                               "the same outputs cannot be both committed and discarded");
}

static bool enforced_without_limit(struct admission *admission)
{
    bool ok = true;
    for (unsigned d = 0; ok && d < BV_DIMENSION_COUNT; d++) {
        const struct bv_budget_request *request = &admission->plan->spec.budgets[d];
        if (request->limit == BV_UNLIMITED && request->guarantee == BV_GUARANTEE_ENFORCED) {
            ok = bv_admission_refuse(admission, bv_dimension_name((enum bv_dimension)d), NULL,
                                     "state a finite limit, or ask for the mediated guarantee",
                                     "\"unlimited\" leaves nothing that could be enforced");
        }
    }
    return ok;
}

static bool refuse_expose(struct admission *admission, const struct bv_expose *expose,
                          const char *relation, const char *other)
{
    struct bv_control control = { .kind = BV_CTL_EXPOSE_PATH, .u.expose = *expose };
    struct bv_requirement requirement = { .kind = BV_REQ_EXPOSE_PATH, .control = &control };
    return bv_admission_refuse(admission, NULL, &requirement, "choose a destination of its own",
                               "the destination %.160s %s %.160s", expose->dest, relation, other);
}

/* A destination is a mount of its own: it must neither lie in a granted tree, where it would hide the host's files, nor hold one.
 * The first conflict of each is named: they may number thousands. */
static bool exposed_over_roots(struct admission *admission, const struct bv_expose *expose)
{
    const struct bv_intent *intent = &admission->plan->intent;
    if (intent->temp_root && strcmp(expose->dest, "/tmp") == 0) {
        return refuse_expose(admission, expose, "is the place of", "the temp root");
    }
    for (size_t i = 0; i < intent->root_count; i++) {
        if (bv_path_is_inside(expose->dest, intent->roots[i].path)) {
            return refuse_expose(admission, expose, "lies in the filesystem root",
                                 intent->roots[i].path);
        }
        if (bv_path_is_inside(intent->roots[i].path, expose->dest)) {
            return refuse_expose(admission, expose, "would hold the filesystem root",
                                 intent->roots[i].path);
        }
    }
    return true;
}

static bool exposed_paths(struct admission *admission)
{
    const struct bv_intent *intent = &admission->plan->intent;
    bool ok = true;
    for (size_t i = 0; ok && i < intent->expose_count; i++) {
        ok = exposed_over_roots(admission, &intent->exposes[i]);
        for (size_t other = 0; ok && other < i;
             other++) { /* sorted by dest: a container comes before what it holds */
            if (bv_path_is_inside(intent->exposes[i].dest, intent->exposes[other].dest)) {
                ok = refuse_expose(admission, &intent->exposes[i], "lies in the exposed path",
                                   intent->exposes[other].dest);
                break;
            }
        }
    }
    return ok;
}

static bool root_at_temp(struct admission *admission)
{
    const struct bv_intent *intent = &admission->plan->intent;
    bool ok = true;
    for (size_t i = 0; ok && intent->temp_root && i < intent->root_count; i++) {
        if (strcmp(intent->roots[i].path, "/tmp") == 0) {
            ok = bv_admission_refuse(
                admission, bv_requirement_name(BV_REQ_TEMP_ROOT), NULL,
                "grant directories below /tmp, or leave out temp_root",
                "the private temp root and the filesystem root /tmp claim the same place");
        }
    }
    return ok;
}

bool bv_policy_step(struct admission *admission)
{
    return repeated_capabilities(admission) && repeated_controls(admission) &&
           commit_and_discard(admission) && enforced_without_limit(admission) &&
           exposed_paths(admission) && root_at_temp(admission);
}
