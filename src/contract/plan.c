/* contract/plan.c - admit or refuse; the only maker of struct bv_plan.
 *
 * Admission is a row of steps, and the first that finds a fault ends it with a refusal that names every fault of that
 * step: invalid_policy (the request contradicts itself), budget_refused for limits below the derived minimums (before
 * any machine is asked), workload_incompatible, unsupported, evidence_unsatisfiable, budget_refused against the offers.
 * Fail closed: what no step judged is not in a plan. Pure and deterministic: equal inputs give equal plans, byte for
 * byte. Specified by CONTRACT.md 1, 5, 6 and 8. */
#include "contract/plan.h"

#include "base/check.h"
#include "base/error.h"
#include "contract/admission.h"
#include "contract/copy.h"
#include "contract/snapshot.h"
#include "contract/support.h"
#include "contract/text.h"
#include "contract/tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A copied spec has at most these bytes: texts by their caps, arrays by their counts, and a second copy of the lists in the intent. */
#define PLAN_ARENA_BYTES (BV_PLAN_MAX_BYTES + (4u << 20))

struct bv_refusal *bv_admission_refusal(struct admission *admission)
{
    if (!admission->refusal) {
        admission->refusal = bv_refusal_new(admission->reason, admission->plan->backend);
    }
    return admission->refusal;
}

bool bv_admission_refuse(struct admission *admission, const char *what,
                         const struct bv_requirement *requirement, const char *remedy,
                         const char *why_format, ...)
{
    char why[512];
    va_list arguments;
    va_start(arguments, why_format);
    int length = vsnprintf(why, sizeof(why), why_format, arguments);
    va_end(arguments);
    struct bv_refusal *refusal = bv_admission_refusal(admission);
    json_t *document = refusal && requirement ? bv_requirement_to_json(requirement) : NULL;
    if (length < 0 || !refusal || (requirement && !document)) {
        json_decref(document);
        return false;
    }
    const char *name = what ? what : bv_requirement_name(requirement->kind);
    return bv_refusal_add(refusal, name, document, why, remedy);
}

/* ---- steps that ask the backend ---- */

/* A text that lives as long as the plan; most are "". On failure *ok becomes false. */
static const char *keep_text(struct bv_plan *plan, const char *text, bool *ok)
{
    const char *copy = text[0] ? bv_arena_text(plan->arena, text) : "";
    *ok = *ok && copy;
    return copy;
}

static bool keep_verdict(struct bv_plan *plan, struct admitted *admitted,
                         const struct bv_verdict *verdict)
{
    bool ok = true;
    admitted->verdict.enforcement = verdict->enforcement;
    admitted->verdict.evidence = verdict->evidence;
    admitted->verdict.mechanism = keep_text(plan, verdict->mechanism, &ok);
    admitted->verdict.why = keep_text(plan, verdict->why, &ok);
    admitted->verdict.remedy = keep_text(plan, verdict->remedy, &ok);
    admitted->verdict.note = keep_text(plan, verdict->note, &ok);
    return ok;
}

/* Every unsupported requirement is named, not only the first. */
static bool support_step(struct admission *admission)
{
    struct bv_plan *plan = admission->plan;
    bool ok = true;
    bv_support_profile(admission->ops, admission->context, plan->profile.facts, &plan->profile);
    for (size_t i = 0; ok && i < admission->requirements.count; i++) {
        struct admitted *admitted = &plan->admitted[i];
        struct bv_verdict verdict;
        admitted->requirement = admission->requirements.item[i];
        bv_support_judge(admission->ops, admission->context, &plan->profile, &plan->intent,
                         &admitted->requirement, &verdict);
        ok = keep_verdict(plan, admitted, &verdict);
        if (ok && verdict.enforcement == BV_UNSUPPORTED) {
            ok = bv_admission_refuse(admission, NULL, &admitted->requirement, verdict.remedy, "%s",
                                     verdict.why);
        }
    }
    plan->admitted_count = admission->requirements.count;
    return ok;
}

/* The claims that the report of such a run carries. The launch stands for the run: its verdict says what is known of any run. Three
 * claims belong to single requirements and count wherever one carries them; three need a control to have a place in the report. */
static uint32_t available_claims(const struct bv_plan *plan)
{
    const uint32_t per_requirement =
        BV_CLAIM_DENIED_ATTEMPTS | BV_CLAIM_NETWORK_ACTIVITY | BV_CLAIM_FILESYSTEM_DELTA | BV_CLAIM_ARTIFACT_LINEAGE;
    uint32_t available = 0;
    for (size_t i = 0; i < plan->admitted_count; i++) {
        bool is_launch = plan->admitted[i].requirement.kind == BV_REQ_LAUNCH_WORKLOAD;
        available |=
            plan->admitted[i].verdict.evidence & (is_launch ? BV_CLAIMS_ALL : per_requirement);
    }
    if (!plan->intent.launch) {
        return 0;
    }
    if (!plan->intent.capture.out && !plan->intent.capture.err) {
        available &= ~(uint32_t)BV_CLAIM_CAPTURED_STREAMS;
    }
    if (!plan->intent.staged) {
        available &= ~(uint32_t)(BV_CLAIM_FILESYSTEM_DELTA | BV_CLAIM_ARTIFACT_LINEAGE);
    }
    return available;
}

static const char *evidence_remedy(const struct bv_plan *plan, uint32_t missing)
{
    if (!plan->intent.launch) {
        return "add launch_workload";
    }
    if ((missing & BV_CLAIM_CAPTURED_STREAMS) && !plan->intent.capture.out &&
        !plan->intent.capture.err) {
        return "add capture_streams for stdout or stderr";
    }
    if ((missing & (BV_CLAIM_FILESYSTEM_DELTA | BV_CLAIM_ARTIFACT_LINEAGE)) &&
        !plan->intent.staged) {
        return "stage a writable root (list_outputs, commit_artifact or discard_artifact)";
    }
    return "leave these claims out, or run where a mechanism records them (bvisor probe)";
}

static bool evidence_step(struct admission *admission)
{
    struct bv_plan *plan = admission->plan;
    plan->available = available_claims(plan);
    uint32_t missing = plan->spec.require_evidence & ~plan->available;
    if (missing == 0) {
        return true;
    }
    char claims[256], why[320];
    bv_claims_text(missing, claims, sizeof(claims));
    (void)snprintf(why, sizeof(why), "the report of this run on this machine would not carry %s",
                   claims);
    struct bv_refusal *refusal = bv_admission_refusal(admission);
    return refusal && bv_refusal_add_claims(refusal, missing, why, evidence_remedy(plan, missing));
}

static const struct {
    enum bv_refusal_reason reason;
    bv_step_fn *step;
} steps[] = {
    { BV_REFUSED_INVALID_POLICY, bv_policy_step },
    { BV_REFUSED_BUDGET_REFUSED, bv_budget_minimum_step },
    { BV_REFUSED_WORKLOAD_INCOMPATIBLE, bv_workload_step },
    { BV_REFUSED_UNSUPPORTED, support_step },
    { BV_REFUSED_EVIDENCE_UNSATISFIABLE, evidence_step },
    { BV_REFUSED_BUDGET_REFUSED, bv_budget_step },
};

/* ---- the row of steps ---- */

static enum bv_status run_steps(struct admission *admission, struct bv_refusal **ret_refusal,
                                struct bv_error *error)
{
    for (size_t i = 0; i < BV_COUNT(steps); i++) {
        admission->reason = steps[i].reason;
        if (!steps[i].step(admission)) {
            bv_refusal_free(admission->refusal);
            return bv_fail_nomem(error);
        }
        if (admission->refusal) {
            BV_ASSERT(bv_refusal_count(admission->refusal) > 0);
            *ret_refusal = admission->refusal;
            return BV_E_REFUSED;
        }
    }
    return BV_OK;
}

/* All that outlives the call is copied first; the steps then read only the plan. */
static bool copy_inputs(struct admission *admission, const struct bv_spec *spec,
                        const struct bv_workload_identity *identity,
                        const struct bv_snapshot *facts)
{
    struct bv_plan *plan = admission->plan;
    bv_copy_text(plan->backend, sizeof(plan->backend), admission->ops->id);
    if (identity) {
        plan->identity = *identity;
    }
    if (!bv_spec_copy(plan->arena, spec, &plan->spec) ||
        !bv_intent_build(plan->arena, &plan->spec, &plan->intent)) {
        return false;
    }
    plan->profile.facts = bv_snapshot_copy(plan->arena, facts);
    if (!plan->profile.facts || !bv_requirements_list(plan->arena, &plan->spec, plan->identity.path,
                                                      &admission->requirements)) {
        return false;
    }
    plan->admitted =
        bv_arena_array(plan->arena, admission->requirements.count + 1, sizeof(*plan->admitted));
    return plan->admitted != NULL;
}

static struct bv_plan *plan_new(size_t module_bytes)
{
    struct bv_arena *arena = bv_arena_new(PLAN_ARENA_BYTES + module_bytes);
    struct bv_plan *plan = arena ? bv_arena_alloc(arena, sizeof(*plan)) : NULL;
    if (!plan) {
        bv_arena_free(arena);
        return NULL;
    }
    plan->arena = arena;
    return plan;
}

static enum bv_status check_arguments(const struct bv_backend_ops *ops, const struct bv_spec *spec,
                                      const struct bv_workload_identity *identity,
                                      struct bv_error *error)
{
    enum bv_status status = bv_spec_check(spec, error);
    if (status != BV_OK) {
        return status;
    }
    if (!ops->id || !ops->profile || !ops->classify || !ops->offer) {
        return bv_fail(error, BV_E_INVALID, "backend",
                       "the backend lacks an id or one of profile, classify and offer");
    }
    if (bv_spec_launches(spec) && (!identity || !identity->known)) {
        return bv_fail(error, BV_E_INVALID, "workload",
                       "a spec that launches needs the identity of its workload");
    }
    return BV_OK;
}

enum bv_status bv_plan_decide(const struct bv_backend_ops *ops, void *context,
                              const struct bv_spec *spec,
                              const struct bv_workload_identity *identity,
                              const struct bv_snapshot *facts, struct bv_plan **ret_plan,
                              struct bv_refusal **ret_refusal, struct bv_error *error)
{
    if (!ops || !spec || !facts || !ret_plan || !ret_refusal) {
        return bv_fail(error, BV_E_INVALID, "", "bv_plan_decide: NULL argument");
    }
    enum bv_status status = check_arguments(ops, spec, identity, error);
    if (status != BV_OK) {
        return status;
    }
    struct admission admission = { .ops = ops, .context = context };
    admission.plan = plan_new(spec->workload.module_size);
    if (!admission.plan || !copy_inputs(&admission, spec, identity, facts)) {
        bv_plan_free(admission.plan);
        return bv_fail_nomem(error);
    }
    struct bv_refusal *refusal = NULL;
    status = run_steps(&admission, &refusal, error);
    if (status != BV_OK) {
        bv_plan_free(admission.plan);
        if (refusal) {
            *ret_refusal = refusal;
        }
        return status;
    }
    *ret_plan = admission.plan;
    return BV_OK;
}

enum bv_status bv_plan_bind(struct bv_plan *plan, const char *digest, struct bv_error *error)
{
    BV_ASSERT(plan->plan_id[0] == '\0');
    bv_copy_text(plan->identity.digest, sizeof(plan->identity.digest), digest);
    return bv_plan_document(plan, error);
}

enum bv_status bv_plan_admit(const struct bv_backend_ops *ops, void *context,
                             const struct bv_spec *spec,
                             const struct bv_workload_identity *identity,
                             const struct bv_snapshot *facts, struct bv_plan **ret_plan,
                             struct bv_refusal **ret_refusal, struct bv_error *error)
{
    struct bv_plan *plan = NULL;
    enum bv_status status =
        bv_plan_decide(ops, context, spec, identity, facts, ret_plan ? &plan : NULL, ret_refusal, error);
    if (status == BV_OK) {
        status = bv_plan_bind(plan, identity ? identity->digest : "", error);
    }
    if (status == BV_OK) {
        *ret_plan = plan;
    } else {
        bv_plan_free(plan);
    }
    return status;
}

void bv_plan_free(struct bv_plan *plan)
{
    if (plan) {
        bv_buf_done(&plan->document);
        bv_arena_free(plan->arena);
    }
}

/* ---- what a plan holds ---- */

const char *bv_plan_id(const struct bv_plan *plan)
{
    return plan->plan_id;
}

const char *bv_plan_backend(const struct bv_plan *plan)
{
    return plan->backend;
}

const struct bv_spec *bv_plan_spec(const struct bv_plan *plan)
{
    return &plan->spec;
}

const struct bv_intent *bv_plan_intent(const struct bv_plan *plan)
{
    return &plan->intent;
}

const struct bv_profile *bv_plan_profile(const struct bv_plan *plan)
{
    return &plan->profile;
}

const char *bv_plan_profile_hash(const struct bv_plan *plan)
{
    return plan->profile_hash;
}

const struct bv_offer *bv_plan_offers(const struct bv_plan *plan)
{
    return plan->offers;
}

const struct bv_workload_identity *bv_plan_identity(const struct bv_plan *plan)
{
    return &plan->identity;
}
