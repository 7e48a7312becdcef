/* contract/plan_json.c - the plan as a document, and its identity.
 *
 * The document holds all that decided the plan: backend, profile, every requirement with its mechanism, the workload
 * with its digest, budgets asked and supplied, evidence. plan_id is the hash of its canonical form without plan_id. It
 * also holds the whole spec, spread over these members, so that plan_read.c can rebuild it; of a secret only the
 * reference. Specified by CONTRACT.md 10 and INTERFACE.md 3. */
#include "contract/plan.h"

#include "base/check.h"
#include "base/error.h"
#include "contract/intent.h"
#include "contract/names.h"
#include "contract/support.h"

#include <stdio.h>
#include <string.h>

static const char *guarantee_name(enum bv_guarantee guarantee)
{
    return bv_name_of(&bv_names_guarantee, (size_t)guarantee);
}

void bv_supplied_emit(struct bv_emit *emit, const char *key, const struct bv_offer *offer,
                      uint64_t limit)
{
    const bool unlimited = limit == BV_UNLIMITED && !offer->structural;
    const bool enforced = !unlimited && offer->guarantee == BV_GUARANTEE_ENFORCED;
    bv_emit_object(emit, key);
    bv_emit_text(emit, "guarantee",
                 guarantee_name(enforced ? BV_GUARANTEE_ENFORCED : BV_GUARANTEE_MEDIATED));
    if (!enforced) { /* null where there is no such figure: nothing samples, nothing can be overshot */
        if (unlimited) {
            bv_emit_null(emit, "max_overshoot");
        } else {
            bv_emit_number(emit, "max_overshoot", offer->max_overshoot);
        }
        if (unlimited && offer->sample_interval_micros == 0) {
            bv_emit_null(emit, "sample_interval_micros");
        } else {
            bv_emit_number(emit, "sample_interval_micros", offer->sample_interval_micros);
        }
    }
    bv_emit_end(emit);
}

static void put_offer(struct bv_emit *emit, const char *key, const struct bv_offer *offer)
{
    bv_emit_object(emit, key);
    bv_emit_number(emit, "available", offer->available);
    bv_emit_bool(emit, "can_bound", offer->can_bound);
    bv_claims_emit(emit, "evidence", offer->evidence);
    bv_emit_number(emit, "floor", offer->floor);
    bv_emit_text(emit, "guarantee", guarantee_name(offer->guarantee));
    bv_emit_number(emit, "max_overshoot", offer->max_overshoot);
    bv_emit_text(emit, "mechanism", offer->mechanism);
    bv_emit_text(emit, "remedy", offer->remedy);
    bv_emit_number(emit, "sample_interval_micros", offer->sample_interval_micros);
    bv_emit_bool(emit, "structural", offer->structural);
    bv_emit_text(emit, "why", offer->why);
    bv_emit_end(emit);
}

void bv_offers_emit(struct bv_emit *emit, const char *key,
                    const struct bv_offer offers[BV_DIMENSION_COUNT])
{
    bv_emit_object(emit, key);
    for (size_t i = 0; i < BV_DIMENSION_COUNT; i++) {
        const enum bv_dimension dimension = (enum bv_dimension)bv_dimensions_by_name[i];
        put_offer(emit, bv_dimension_name(dimension), &offers[dimension]);
    }
    bv_emit_end(emit);
}

/* The member "path": as it is when plain, else "path_base64". */
static void put_path(struct bv_emit *emit, const char *path)
{
    const size_t size = strlen(path);
    if (bv_text_is_plain(path, size)) {
        bv_emit_bytes(emit, "path", path, size);
        return;
    }
    BV_AUTO(bv_cleanup_free) char *encoded = bv_base64(path, size);
    if (encoded) {
        bv_emit_text(emit, "path_base64", encoded);
    } else {
        emit->buf->failed = true;
    }
}

static void put_workload(struct bv_emit *emit, struct bv_plan *plan)
{
    const struct bv_workload_identity *identity = &plan->identity;
    plan->workload_part.at = bv_emit_object(emit, "workload");
    if (identity->known) {
        bv_emit_text(emit, "digest", identity->digest);
    }
    if (identity->known && identity->interpreter_path[0]) {
        bv_emit_object(emit, "interpreter");
        if (identity->interpreter_digest[0]) {
            bv_emit_text(emit, "digest", identity->interpreter_digest);
        }
        put_path(emit, identity->interpreter_path);
        bv_emit_end(emit);
    }
    bv_workload_emit(emit, &plan->spec.workload);
    bv_emit_end(emit);
    plan->workload_part.size = emit->buf->size - plan->workload_part.at;
}

static void put_profile(struct bv_emit *emit, struct bv_plan *plan)
{
    plan->profile_part.at = bv_emit_object(emit, "profile");
    bv_emit_text(emit, "backend", plan->backend);
    bv_offers_emit(emit, "budget", plan->offers);
    bv_emit_text(emit, "hash", plan->profile_hash);
    bv_snapshot_emit(emit, "probed", plan->profile.facts);
    bv_emit_end(emit);
    plan->profile_part.size = emit->buf->size - plan->profile_part.at;
}

static void put_admitted(struct bv_emit *emit, struct bv_plan *plan)
{
    plan->admitted_part.at = bv_emit_array(emit, "admitted");
    for (size_t i = 0; i < plan->admitted_count; i++) {
        const struct admitted *admitted = &plan->admitted[i];
        BV_ASSERT(admitted->verdict.enforcement != BV_UNSUPPORTED);
        bv_emit_object(emit, NULL);
        bv_emit_text(emit, "enforcement", bv_enforcement_name(admitted->verdict.enforcement));
        bv_claims_emit(emit, "evidence", admitted->verdict.evidence);
        bv_emit_bool(emit, "implied", admitted->requirement.implied);
        bv_emit_text(emit, "kind", bv_requirement_name(admitted->requirement.kind));
        bv_emit_text(emit, "mechanism", admitted->verdict.mechanism);
        bv_requirement_emit(emit, "requirement", &admitted->requirement);
        bv_emit_end(emit);
    }
    bv_emit_end(emit);
    plan->admitted_part.size = emit->buf->size - plan->admitted_part.at;
}

static void put_budget(struct bv_emit *emit, const struct bv_plan *plan)
{
    bv_emit_object(emit, "budget");
    for (size_t i = 0; i < BV_DIMENSION_COUNT; i++) {
        const enum bv_dimension dimension = (enum bv_dimension)bv_dimensions_by_name[i];
        const struct bv_budget_request *request = &plan->spec.budgets[dimension];
        bv_emit_object(emit, bv_dimension_name(dimension));
        bv_claims_emit(emit, "evidence", request->evidence);
        bv_limit_emit(emit, request->limit);
        bv_emit_text(emit, "mechanism", plan->offers[dimension].mechanism);
        bv_emit_text(emit, "required", guarantee_name(request->guarantee));
        bv_supplied_emit(emit, "supplied", &plan->offers[dimension], request->limit);
        bv_emit_end(emit);
    }
    bv_emit_end(emit);
}

/* A note may hold several limitations, with "; " between them. Each is a finding of its own, so that two grants which
 * share one of them do not state it twice. */
static bool add_note(struct finding_list *findings, const char *subject, const char *note)
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

static bool add_requirement_findings(struct finding_list *findings, const struct bv_plan *plan,
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

static bool add_temp_finding(struct finding_list *findings, const struct bv_plan *plan)
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
static bool find_findings(struct bv_plan *plan)
{
    struct finding_list *findings = &plan->findings;
    findings->arena = plan->arena;
    bool ok = add_temp_finding(findings, plan);
    for (size_t i = 0; ok && i < plan->admitted_count; i++) {
        ok = add_requirement_findings(findings, plan, &plan->admitted[i]);
    }
    for (unsigned d = 0; ok && d < BV_DIMENSION_COUNT; d++) {
        ok = add_note(findings, bv_dimension_name((enum bv_dimension)d), plan->offers[d].note);
    }
    return ok;
}

static void put_evidence(struct bv_emit *emit, const struct bv_plan *plan)
{
    bv_emit_object(emit, "evidence");
    bv_claims_emit(emit, "available", plan->available);
    bv_claims_emit(emit, "required", plan->spec.require_evidence);
    bv_emit_end(emit);
}

#define ID_MEMBER_HEAD ",\"plan_id\":\""
#define ID_MEMBER_SIZE (sizeof(ID_MEMBER_HEAD) - 1 + BV_DIGEST_TEXT_SIZE - 1 + 1)

/* The document, with a hole of spaces where the id will stand. */
static void put_document(struct bv_plan *plan, size_t *ret_id_at)
{
    char hole[BV_DIGEST_TEXT_SIZE];
    memset(hole, ' ', sizeof(hole) - 1);
    hole[sizeof(hole) - 1] = '\0';
    struct bv_emit emit;
    bv_emit_init(&emit, &plan->document);
    bv_emit_object(&emit, NULL);
    put_admitted(&emit, plan);
    bv_emit_text(&emit, "backend", plan->backend);
    put_budget(&emit, plan);
    put_evidence(&emit, plan);
    bv_findings_emit(&emit, "findings", &plan->findings);
    *ret_id_at = plan->document.size;
    bv_emit_text(&emit, "plan_id", hole);
    put_profile(&emit, plan);
    bv_emit_text(&emit, "schema", "bvisor.plan/1");
    bv_emit_text(&emit, "spec_hash", plan->spec_hash);
    put_workload(&emit, plan);
    bv_emit_end(&emit);
}

/* The id is the hash of the document without its plan_id member, which is id_at to id_at + ID_MEMBER_SIZE. */
static void fill_id(struct bv_plan *plan, size_t id_at)
{
    char *text = plan->document.data;
    const size_t rest_at = id_at + ID_MEMBER_SIZE;
    struct bv_sha256 hash;
    uint8_t digest[BV_SHA256_BYTES];
    bv_sha256_init(&hash);
    bv_sha256_update(&hash, text, id_at);
    bv_sha256_update(&hash, text + rest_at, plan->document.size - rest_at);
    bv_sha256_final(&hash, digest);
    bv_digest_text(digest, plan->plan_id);
    BV_ASSERT(memcmp(text + id_at, ID_MEMBER_HEAD, sizeof(ID_MEMBER_HEAD) - 1) == 0);
    memcpy(text + id_at + sizeof(ID_MEMBER_HEAD) - 1, plan->plan_id, BV_DIGEST_TEXT_SIZE - 1);
}

enum bv_status bv_plan_document(struct bv_plan *plan, struct bv_error *error)
{
    struct bv_buf *text = &plan->document;
    size_t id_at = 0;
    /* so that a plan over its cap is told from a failed allocation */
    bv_buf_init(text, 4u * BV_PLAN_MAX_BYTES);
    bv_spec_emit(text, &plan->spec);
    bool ok = bv_emit_digest(text, plan->spec_hash);
    bv_buf_clear(text);
    bv_profile_emit(text, plan->backend, plan->profile.facts);
    ok = ok && bv_emit_digest(text, plan->profile_hash) && find_findings(plan);
    bv_buf_clear(text);
    if (!ok) {
        return bv_fail_nomem(error);
    }
    put_document(plan, &id_at);
    if (text->failed) {
        return bv_fail_nomem(error);
    }
    if (text->size - ID_MEMBER_SIZE + 256 > BV_PLAN_MAX_BYTES) {
        return bv_fail(error, BV_E_LIMIT, "", "written out, the plan has more than %u bytes",
                       BV_PLAN_MAX_BYTES);
    }
    fill_id(plan, id_at);
    return BV_OK;
}

enum bv_status bv_plan_json(const struct bv_plan *plan, char **ret_text, struct bv_error *error)
{
    if (!plan || !ret_text) {
        return bv_fail(error, BV_E_INVALID, "", "bv_plan_json: NULL argument");
    }
    struct bv_buf copy;
    bv_buf_init(&copy, BV_PLAN_MAX_BYTES);
    (void)bv_buf_add(&copy, plan->document.data, plan->document.size);
    char *text = bv_buf_take(&copy);
    if (!text) {
        return bv_fail_nomem(error);
    }
    *ret_text = text;
    return BV_OK;
}
