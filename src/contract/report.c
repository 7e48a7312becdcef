/* contract/report.c - the body of a report: what was asked, what held it, what happened, what it used.
 *
 * A pure function of plan, observation and the runner's facts; the order of lists is that in which things were planned
 * or seen, everything else is ordered by the canonical form. Holds no judgement: the outcome and the faults come from
 * audit.c, budget findings from evidence.c. Specified by INTERFACE.md 3. */
#include "contract/report.h"

#include "base/check.h"
#include "contract/evidence.h"
#include "contract/names.h"
#include "contract/support.h"
#include "contract/text.h"

#include <string.h>

/* Two streams whose escapes stay below this fit a report with 64 MiB to spare; base64 of a full stream takes 86 MiB. */
#define ESCAPED_MAX_BYTES ((size_t)96 << 20)
_Static_assert(2 * ESCAPED_MAX_BYTES + (64u << 20) <= BV_REPORT_MAX_BYTES,
               "two captured streams fit in a report");
_Static_assert((BV_CAPTURE_MAX_BYTES + 2) / 3 * 4 <= ESCAPED_MAX_BYTES,
               "base64 of a full stream fits");

static void put_exit(struct bv_emit *emit, const struct bv_exit *exit)
{
    if (exit->kind == BV_EXIT_NONE) {
        bv_emit_null(emit, "exit");
        return;
    }
    bv_emit_object(emit, "exit");
    switch (exit->kind) {
    case BV_EXIT_NONE: BV_UNREACHABLE();
    case BV_EXIT_CODE: /* the audit saw to it that neither is negative */
        bv_emit_number(emit, "code", (uint64_t)exit->value);
        break;
    case BV_EXIT_SIGNAL: bv_emit_number(emit, "signal", (uint64_t)exit->value); break;
    case BV_EXIT_TRAP: bv_emit_text(emit, "trap", exit->trap); break;
    }
    bv_emit_end(emit);
}

static void put_observed(struct bv_emit *emit, const struct bv_observation *observation)
{
    bv_emit_array(emit, "observed");
    for (const struct observed_item *item = observation->facts.first; item; item = item->next) {
        bv_emit_object(emit, NULL);
        bv_emit_text(emit, "detail", item->detail);
        bv_emit_text(emit, "kind", item->kind);
        bv_emit_end(emit);
    }
    bv_emit_end(emit);
}

/* The plan's requirement of a kind, written ones before implied ones; NULL if the plan holds none. */
static const struct bv_requirement *planned_requirement(const struct bv_plan *plan,
                                                        enum bv_requirement_kind kind)
{
    for (size_t i = 0; i < plan->admitted_count; i++) { /* the implied ones come last */
        if (plan->admitted[i].requirement.kind == kind) {
            return &plan->admitted[i].requirement;
        }
    }
    return NULL;
}

static void put_denied(struct bv_emit *emit, const struct bv_plan *plan,
                       const struct bv_observation *observation)
{
    bv_emit_array(emit, "denied");
    for (const struct observed_denial *denial = observation->denials; denial;
         denial = denial->next) {
        const struct bv_requirement *requirement = planned_requirement(plan, denial->kind);
        bv_emit_object(emit, NULL);
        bv_emit_number(emit, "count", denial->count);
        bv_emit_text(emit, "detail", denial->detail);
        bv_emit_text(emit, "kind", bv_requirement_name(denial->kind));
        if (requirement) {
            bv_requirement_emit(emit, "requirement", requirement);
        }
        bv_emit_end(emit);
    }
    bv_emit_end(emit);
}

#define USUAL_BODY_BYTES 16384u /* without streams */

/* ---- captured streams ---- */

/* Bytes of text as a JSON string's inside (RFC 8785 3.2.2.2). */
static size_t escaped_size(const char *text, size_t size)
{
    size_t escaped = size;
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte == '"' || byte == '\\' || byte == '\n' || byte == '\t' || byte == '\r' ||
            byte == '\b' || byte == '\f') {
            escaped += 1;
        } else if (byte < 0x20) {
            escaped += 5;
        }
    }
    return escaped;
}

/* The member "content"; returns its encoding. */
static const char *put_content(struct bv_emit *emit, const char *bytes, size_t size)
{
    if (bv_text_is_plain(bytes, size) && escaped_size(bytes, size) <= ESCAPED_MAX_BYTES) {
        bv_emit_bytes(emit, "content", bytes, size);
        return "utf-8";
    }
    BV_AUTO(bv_cleanup_free) char *encoded = bv_base64(bytes, size);
    if (encoded) {
        bv_emit_text(emit, "content", encoded);
    } else {
        emit->buf->failed = true;
    }
    return "base64";
}

static void put_stream(struct bv_emit *emit, const char *key, const struct observed_stream *stream)
{
    const char *bytes = stream->kept.data ? stream->kept.data : "";
    char digest[BV_DIGEST_TEXT_SIZE];
    bv_digest_bytes(bytes, stream->kept.size, digest);
    bv_emit_object(emit, key);
    bv_emit_number(emit, "bytes", stream->total_bytes);
    const char *encoding = put_content(emit, bytes, stream->kept.size);
    bv_emit_text(emit, "encoding", encoding);
    bv_emit_text(emit, "sha256", digest);
    bv_emit_bool(emit, "truncated", stream->truncated);
    bv_emit_end(emit);
}

static void put_captured(struct bv_emit *emit, const struct bv_plan *plan,
                         const struct bv_observation *observation)
{
    bv_emit_object(emit, "captured");
    if (plan->intent.capture.err) {
        put_stream(emit, "stderr", &observation->stream[1]);
    }
    if (plan->intent.capture.out) {
        put_stream(emit, "stdout", &observation->stream[0]);
    }
    bv_emit_end(emit);
}

/* ---- artifacts ---- */

/* Paths are bytes. Which of "path" and "path_base64" it is decides where in the order of keys it stands, but nothing lies between. */
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

static void put_artifacts(struct bv_emit *emit, const struct bv_seal_facts *facts)
{
    bv_emit_array(emit, "artifacts");
    for (size_t i = 0; i < facts->artifact_count; i++) {
        const struct bv_artifact *artifact = &facts->artifacts[i];
        bv_emit_object(emit, NULL);
        bv_emit_text(emit, "artifact_id", artifact->artifact_id);
        bv_emit_text(emit, "change", bv_name_of(&bv_names_change, (size_t)artifact->change));
        if (artifact->content_hash) {
            bv_emit_text(emit, "content_hash", artifact->content_hash);
        }
        bv_emit_text(emit, "kind", bv_name_of(&bv_names_artifact_kind, (size_t)artifact->kind));
        bv_emit_number(emit, "mode", artifact->mode);
        put_path(emit, artifact->path);
        bv_emit_text(emit, "root", artifact->root);
        bv_emit_number(emit, "size", artifact->size);
        bv_emit_end(emit);
    }
    bv_emit_end(emit);
}

/* ---- the whole ---- */

static void put_budget(struct bv_emit *emit, const struct bv_plan *plan,
                       const struct bv_observation *observation)
{
    bv_emit_object(emit, "budget");
    for (size_t i = 0; i < BV_DIMENSION_COUNT; i++) {
        bv_witness_emit(emit, plan, observation, (enum bv_dimension)bv_dimensions_by_name[i]);
    }
    bv_emit_end(emit);
}

static void put_evidence(struct bv_emit *emit, const struct bv_plan *plan,
                         const struct ending *ending)
{
    bv_emit_object(emit, "evidence");
    bv_claims_emit(emit, "required", plan->spec.require_evidence);
    bv_claims_emit(emit, "supplied", ending->claims);
    bv_emit_end(emit);
}

static void put_supervisor(struct bv_emit *emit, const struct bv_observation *observation,
                           const struct bv_seal_facts *facts)
{
    char kernel[128];
    bv_text_clean(kernel, sizeof(kernel), facts->kernel);
    bv_emit_object(emit, "supervisor");
    bv_emit_text(emit, "kernel", kernel);
    if (observation->launcher[0]) {
        bv_emit_text(emit, "launcher_digest", observation->launcher);
    } else {
        bv_emit_null(emit, "launcher_digest");
    }
    bv_emit_number(emit, "uid", facts->uid);
    bv_emit_text(emit, "version", BV_VERSION_STRING);
    bv_emit_end(emit);
}

/* What the plan's document holds already, as it holds it. */
static void put_planned(struct bv_emit *emit, const char *key, const struct bv_plan *plan,
                        const struct plan_part *part)
{
    bv_emit_canonical(emit, key, plan->document.data + part->at, part->size);
}

void bv_report_body(struct bv_buf *buf, const struct bv_plan *plan,
                    const struct bv_observation *observation, const struct bv_seal_facts *facts,
                    const struct ending *ending, const struct finding_list *findings)
{
    struct bv_emit emit;
    /* Not grown step by step: each step would have a second copy of the streams for a moment. */
    (void)bv_buf_reserve(buf, observation->stream[0].kept.size + observation->stream[1].kept.size + USUAL_BODY_BYTES);
    bv_emit_init(&emit, buf);
    bv_emit_object(&emit, NULL);
    put_planned(&emit, "admitted", plan, &plan->admitted_part);
    put_artifacts(&emit, facts);
    bv_emit_text(&emit, "attempt", facts->attempt);
    bv_emit_text(&emit, "backend", plan->backend);
    put_budget(&emit, plan, observation);
    put_captured(&emit, plan, observation);
    put_denied(&emit, plan, observation);
    put_evidence(&emit, plan, ending);
    put_exit(&emit, &ending->exit);
    bv_findings_emit(&emit, "findings", findings);
    bv_emit_text(&emit, "finished_at", facts->finished_at);
    put_observed(&emit, observation);
    bv_emit_text(&emit, "outcome", bv_outcome_name(ending->outcome));
    bv_emit_text(&emit, "plan_id", plan->plan_id);
    put_planned(&emit, "profile", plan, &plan->profile_part);
    bv_emit_number(&emit, "schema_version", BV_REPORT_SCHEMA_VERSION);
    bv_emit_text(&emit, "spec_hash", plan->spec_hash);
    bv_emit_text(&emit, "started_at", facts->started_at);
    put_supervisor(&emit, observation, facts);
    put_planned(&emit, "workload", plan, &plan->workload_part);
    bv_emit_end(&emit);
}
