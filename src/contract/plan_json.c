/* contract/plan_json.c - the plan as a document, and its identity.
 *
 * The document holds all that decided the plan: backend, profile, every requirement with its mechanism, the workload
 * with its digest, budgets asked and supplied, evidence. plan_id is the hash of its canonical form without plan_id. It
 * also holds the whole spec, spread over these members, so that plan_read.c can rebuild it; of a secret only the
 * reference. Specified by CONTRACT.md 10 and INTERFACE.md 3. */
#include "contract/plan.h"

#include "base/check.h"
#include "base/error.h"
#include "contract/contract.h"
#include "contract/intent.h"
#include "contract/names.h"
#include "contract/support.h"
#include "contract/text.h"
#include "contract/tree.h"

#include <stdio.h>
#include <string.h>

json_t *bv_limit_to_json(uint64_t limit)
{
    BV_ASSERT(limit == BV_UNLIMITED || limit <= BV_JSON_MAX_INTEGER);
    return limit == BV_UNLIMITED ? json_string("unlimited") : json_integer((json_int_t)limit);
}

static json_t *finish(json_t *object, bool ok)
{
    if (!ok) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static const char *guarantee_name(enum bv_guarantee guarantee)
{
    return bv_name_of(&bv_names_guarantee, (size_t)guarantee);
}

json_t *bv_supplied_to_json(const struct bv_offer *offer, uint64_t limit)
{
    json_t *object = json_object();
    bool unlimited = limit == BV_UNLIMITED && !offer->structural;
    bool enforced = !unlimited && offer->guarantee == BV_GUARANTEE_ENFORCED;
    bool ok =
        tree_put_text(object, "guarantee",
                      guarantee_name(enforced ? BV_GUARANTEE_ENFORCED : BV_GUARANTEE_MEDIATED));
    if (!enforced) { /* null where there is no such figure: nothing samples, nothing can be overshot */
        json_t *interval = unlimited && offer->sample_interval_micros == 0
                               ? json_null()
                               : json_integer((json_int_t)offer->sample_interval_micros);
        json_t *overshoot =
            unlimited ? json_null() : json_integer((json_int_t)offer->max_overshoot);
        ok = tree_put(object, "sample_interval_micros", interval) && ok;
        ok = tree_put(object, "max_overshoot", overshoot) && ok;
    }
    return finish(object, ok);
}

static json_t *offer_to_json(const struct bv_offer *offer)
{
    json_t *object = json_object();
    bool ok = tree_put_bool(object, "can_bound", offer->can_bound);
    ok = tree_put_bool(object, "structural", offer->structural) && ok;
    ok = tree_put_text(object, "guarantee", guarantee_name(offer->guarantee)) && ok;
    ok = tree_put_u64(object, "available", offer->available) && ok;
    ok = tree_put_u64(object, "floor", offer->floor) && ok;
    ok = tree_put_u64(object, "sample_interval_micros", offer->sample_interval_micros) && ok;
    ok = tree_put_u64(object, "max_overshoot", offer->max_overshoot) && ok;
    ok = tree_put_text(object, "mechanism", offer->mechanism) && ok;
    ok = tree_put_text(object, "why", offer->why) && ok;
    ok = tree_put_text(object, "remedy", offer->remedy) && ok;
    ok = tree_put(object, "evidence", bv_claims_to_json(offer->evidence)) && ok;
    return finish(object, ok);
}

json_t *bv_offers_to_json(const struct bv_offer offers[BV_DIMENSION_COUNT])
{
    json_t *object = json_object();
    bool ok = object != NULL;
    for (unsigned d = 0; ok && d < BV_DIMENSION_COUNT; d++) {
        ok = tree_put(object, bv_dimension_name((enum bv_dimension)d), offer_to_json(&offers[d]));
    }
    return finish(object, ok);
}

static json_t *workload_to_json(const struct bv_plan *plan)
{
    const struct bv_workload_identity *identity = &plan->identity;
    json_t *object = bv_workload_to_json(&plan->spec.workload);
    bool ok = object != NULL;
    if (identity->known) {
        ok = tree_put_text(object, "digest", identity->digest) && ok;
    }
    if (identity->known && identity->interpreter_path[0]) {
        json_t *interpreter = json_object();
        ok = interpreter && bv_json_set_name(interpreter, "path", identity->interpreter_path) && ok;
        if (identity->interpreter_digest[0]) {
            ok = tree_put_text(interpreter, "digest", identity->interpreter_digest) && ok;
        }
        ok = tree_put(object, "interpreter", interpreter) && ok;
    }
    return finish(object, ok);
}

static json_t *profile_to_json(const struct bv_plan *plan)
{
    json_t *object = json_object();
    bool ok = tree_put_text(object, "backend", plan->backend);
    ok = tree_put(object, "probed", bv_snapshot_to_json(plan->profile.facts)) && ok;
    ok = tree_put_text(object, "hash", plan->profile_hash) && ok;
    ok = tree_put(object, "budget", bv_offers_to_json(plan->offers)) && ok;
    return finish(object, ok);
}

static json_t *admitted_to_json(const struct bv_plan *plan)
{
    json_t *array = json_array();
    bool ok = array != NULL;
    for (size_t i = 0; ok && i < plan->admitted_count; i++) {
        const struct admitted *admitted = &plan->admitted[i];
        BV_ASSERT(admitted->verdict.enforcement != BV_UNSUPPORTED);
        json_t *item = json_object();
        ok = tree_put(item, "requirement", bv_requirement_to_json(&admitted->requirement));
        ok = tree_put_text(item, "kind", bv_requirement_name(admitted->requirement.kind)) && ok;
        ok = tree_put_bool(item, "implied", admitted->requirement.implied) && ok;
        ok = tree_put_text(item, "enforcement",
                           bv_enforcement_name(admitted->verdict.enforcement)) &&
             ok;
        ok = tree_put_text(item, "mechanism", admitted->verdict.mechanism) && ok;
        ok = tree_put(item, "evidence", bv_claims_to_json(admitted->verdict.evidence)) && ok;
        ok = tree_append(array, item) && ok;
    }
    return finish(array, ok);
}

static json_t *budget_to_json(const struct bv_plan *plan)
{
    json_t *object = json_object();
    bool ok = object != NULL;
    for (unsigned d = 0; ok && d < BV_DIMENSION_COUNT; d++) {
        const struct bv_budget_request *request = &plan->spec.budgets[d];
        json_t *item = json_object();
        ok = tree_put(item, "limit", bv_limit_to_json(request->limit));
        ok = tree_put_text(item, "required", guarantee_name(request->guarantee)) && ok;
        ok =
            tree_put(item, "supplied", bv_supplied_to_json(&plan->offers[d], request->limit)) && ok;
        ok = tree_put_text(item, "mechanism", plan->offers[d].mechanism) && ok;
        ok = tree_put(item, "evidence", bv_claims_to_json(request->evidence)) && ok;
        ok = tree_put(object, bv_dimension_name((enum bv_dimension)d), item) && ok;
    }
    return finish(object, ok);
}

bool bv_finding_add(json_t *findings, const char *kind, const char *detail)
{
    char clean[512];
    bv_text_clean(clean, sizeof(clean), detail);
    for (size_t i = 0; i < json_array_size(findings); i++) {
        const json_t *other = json_array_get(findings, i);
        if (strcmp(tree_text(other, "kind"), kind) == 0 &&
            strcmp(tree_text(other, "detail"), clean) == 0) {
            return true;
        }
    }
    json_t *finding = json_object();
    bool ok = tree_put_text(finding, "kind", kind);
    ok = tree_put_text(finding, "detail", clean) && ok;
    return tree_append(findings, finding) && ok;
}

/* A note may hold several limitations, with "; " between them. Each is a finding of its own, so that two grants which
 * share one of them do not state it twice. */
static bool add_note(json_t *findings, const char *subject, const char *note)
{
    bool ok = true;
    while (ok && note[0]) {
        const char *end = strstr(note, "; ");
        size_t size = end ? (size_t)(end - note) : strlen(note);
        char detail[512];
        (void)snprintf(detail, sizeof(detail), "%s: %.*s", subject, (int)size, note);
        ok = bv_finding_add(findings, "limitation", detail);
        note += end ? size + 2 : size;
    }
    return ok;
}

static bool add_requirement_findings(json_t *findings, const struct bv_plan *plan,
                                     const struct admitted *admitted)
{
    const char *name = bv_requirement_name(admitted->requirement.kind);
    bool ok = add_note(findings, name, admitted->verdict.note) &&
              add_note(findings, name, plan->profile.ceiling[admitted->requirement.kind].note);
    if (ok && admitted->verdict.enforcement == BV_MEDIATED && admitted->verdict.why[0]) {
        char detail[512];
        (void)snprintf(detail, sizeof(detail), "%s is mediated: %s%s%s", name,
                       admitted->verdict.why, admitted->verdict.remedy[0] ? "; remedy: " : "",
                       admitted->verdict.remedy);
        ok = bv_finding_add(findings, "reduced", detail);
    }
    return ok;
}

static bool add_temp_finding(json_t *findings, const struct bv_plan *plan)
{
    for (size_t i = 0; i < plan->spec.control_count; i++) {
        const struct bv_control *control = &plan->spec.controls[i];
        if (control->kind == BV_CTL_TEMP_ROOT && control->u.temp_root.sized &&
            control->u.temp_root.size_bytes > plan->intent.temp_bytes) {
            char detail[200];
            (void)snprintf(
                detail, sizeof(detail),
                "the temp root has the %llu bytes of the storage limit, not the %llu asked for",
                (unsigned long long)plan->intent.temp_bytes,
                (unsigned long long)control->u.temp_root.size_bytes);
            return bv_finding_add(findings, "temp_root_bounded", detail);
        }
    }
    return true;
}

/* What a reader must know before trusting the plan: limitations, and what holds less than its family could. */
static json_t *findings_to_json(const struct bv_plan *plan)
{
    json_t *findings = json_array();
    bool ok = findings && add_temp_finding(findings, plan);
    for (size_t i = 0; ok && i < plan->admitted_count; i++) {
        ok = add_requirement_findings(findings, plan, &plan->admitted[i]);
    }
    for (unsigned d = 0; ok && d < BV_DIMENSION_COUNT; d++) {
        ok = add_note(findings, bv_dimension_name((enum bv_dimension)d), plan->offers[d].note);
    }
    return finish(findings, ok);
}

static json_t *evidence_to_json(const struct bv_plan *plan)
{
    json_t *object = json_object();
    bool ok = tree_put(object, "required", bv_claims_to_json(plan->spec.require_evidence));
    ok = tree_put(object, "available", bv_claims_to_json(plan->available)) && ok;
    return finish(object, ok);
}

static json_t *document_without_id(const struct bv_plan *plan)
{
    json_t *document = json_object();
    bool ok = tree_put_text(document, "schema", "bvisor.plan/1");
    ok = tree_put_text(document, "backend", plan->backend) && ok;
    ok = tree_put_text(document, "spec_hash", plan->spec_hash) && ok;
    ok = tree_put(document, "workload", workload_to_json(plan)) && ok;
    ok = tree_put(document, "profile", profile_to_json(plan)) && ok;
    ok = tree_put(document, "admitted", admitted_to_json(plan)) && ok;
    ok = tree_put(document, "budget", budget_to_json(plan)) && ok;
    ok = tree_put(document, "evidence", evidence_to_json(plan)) && ok;
    ok = tree_put(document, "findings", findings_to_json(plan)) && ok;
    return finish(document, ok);
}

enum bv_status bv_plan_document(struct bv_plan *plan, struct bv_error *error)
{
    BV_AUTO(tree_drop) json_t *spec = bv_spec_to_json(&plan->spec);
    if (!spec || !bv_json_digest(spec, plan->spec_hash) ||
        !bv_profile_digest(plan->backend, plan->profile.facts, plan->profile_hash)) {
        return bv_fail_nomem(error);
    }
    BV_AUTO(tree_drop) json_t *document = document_without_id(plan);
    struct bv_buf text;
    bv_buf_init(
        &text,
        4u * BV_PLAN_MAX_BYTES); /* so that a plan over its cap is told from a failed allocation */
    bool written = document && bv_json_write(&text, document);
    size_t size = text.size + 256; /* with plan_id */
    if (written) {
        bv_digest_bytes(text.data, text.size, plan->plan_id);
    }
    bv_buf_done(&text);
    if (written && size > BV_PLAN_MAX_BYTES) {
        return bv_fail(error, BV_E_LIMIT, "", "written out, the plan has more than %u bytes",
                       BV_PLAN_MAX_BYTES);
    }
    if (!written || !tree_put_text(document, "plan_id", plan->plan_id)) {
        return bv_fail_nomem(error);
    }
    plan->tree = BV_TAKE(document);
    return BV_OK;
}

enum bv_status bv_plan_json(const struct bv_plan *plan, char **ret_text, struct bv_error *error)
{
    if (!plan || !ret_text) {
        return bv_fail(error, BV_E_INVALID, "", "bv_plan_json: NULL argument");
    }
    char *text = bv_json_text(plan->tree, BV_PLAN_MAX_BYTES);
    if (!text) {
        return bv_fail_nomem(error);
    }
    *ret_text = text;
    return BV_OK;
}
