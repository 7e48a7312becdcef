/* contract/report.c - the body of a report: what was asked, what held it, what happened, what it used.
 *
 * A pure function of plan, observation and the runner's facts; the order of lists is that in which things were planned
 * or seen, everything else is ordered by the canonical form. Holds no judgement: the outcome and the faults come from
 * audit.c, budget findings from evidence.c. Specified by INTERFACE.md 3. */
#include "contract/report.h"

#include "base/check.h"
#include "contract/evidence.h"
#include "contract/support.h"
#include "contract/text.h"
#include "contract/tree.h"

#include <stdio.h>
#include <string.h>

/* Two streams whose escapes stay below this fit a report with 64 MiB to spare; base64 of a full stream takes 86 MiB. */
#define ESCAPED_MAX_BYTES ((size_t)96 << 20)
_Static_assert(2 * ESCAPED_MAX_BYTES + (64u << 20) <= BV_REPORT_MAX_BYTES,
               "two captured streams fit in a report");
_Static_assert((BV_CAPTURE_MAX_BYTES + 2) / 3 * 4 <= ESCAPED_MAX_BYTES,
               "base64 of a full stream fits");

static json_t *finish(json_t *value, bool ok)
{
    if (!ok) {
        json_decref(value);
        return NULL;
    }
    return value;
}

static json_t *exit_to_json(const struct bv_exit *exit)
{
    json_t *object;
    switch (exit->kind) {
    case BV_EXIT_NONE: return json_null();
    case BV_EXIT_CODE:
        object = json_object();
        return finish(object, tree_put(object, "code", json_integer(exit->value)));
    case BV_EXIT_SIGNAL:
        object = json_object();
        return finish(object, tree_put(object, "signal", json_integer(exit->value)));
    case BV_EXIT_TRAP:
        object = json_object();
        return finish(object, tree_put_text(object, "trap", exit->trap));
    }
    BV_UNREACHABLE();
}

static json_t *observed_to_json(const struct bv_observation *observation)
{
    json_t *array = json_array();
    bool ok = array != NULL;
    for (const struct observed_item *item = observation->facts.first; ok && item;
         item = item->next) {
        json_t *object = json_object();
        ok = tree_put_text(object, "kind", item->kind);
        ok = tree_put_text(object, "detail", item->detail) && ok;
        ok = tree_append(array, object) && ok;
    }
    return finish(array, ok);
}

/* The plan's requirement of a kind as its document has it, written ones before implied ones; NULL if the plan holds none. */
static json_t *planned_requirement(const struct bv_plan *plan, enum bv_requirement_kind kind)
{
    const json_t *admitted = json_object_get(plan->tree, "admitted");
    for (size_t i = 0; i < plan->admitted_count; i++) { /* the implied ones come last */
        if (plan->admitted[i].requirement.kind == kind) {
            return json_object_get(json_array_get(admitted, i), "requirement");
        }
    }
    return NULL;
}

static json_t *denied_to_json(const struct bv_plan *plan, const struct bv_observation *observation)
{
    json_t *array = json_array();
    bool ok = array != NULL;
    for (const struct observed_denial *denial = observation->denials; ok && denial;
         denial = denial->next) {
        json_t *object = json_object(), *requirement = planned_requirement(plan, denial->kind);
        ok = tree_put_text(object, "kind", bv_requirement_name(denial->kind));
        ok = tree_put_text(object, "detail", denial->detail) && ok;
        ok = tree_put_u64(object, "count", denial->count) && ok;
        if (requirement) {
            ok = tree_put_shared(object, "requirement", requirement) && ok;
        }
        ok = tree_append(array, object) && ok;
    }
    return finish(array, ok);
}

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

static json_t *content_to_json(const char *bytes, size_t size, const char **ret_encoding)
{
    if (bv_text_is_plain(bytes, size) && escaped_size(bytes, size) <= ESCAPED_MAX_BYTES) {
        *ret_encoding = "utf-8";
        return json_stringn_nocheck(bytes, size);
    }
    *ret_encoding = "base64";
    char *encoded = bv_base64(bytes, size);
    json_t *content = encoded ? json_string_nocheck(encoded) : NULL;
    bv_free(encoded);
    return content;
}

static json_t *stream_to_json(const struct observed_stream *stream)
{
    const char *bytes = stream->kept.data ? stream->kept.data : "";
    const char *encoding = "";
    char digest[BV_DIGEST_TEXT_SIZE];
    bv_digest_bytes(bytes, stream->kept.size, digest);
    json_t *object = json_object();
    bool ok = tree_put(object, "content", content_to_json(bytes, stream->kept.size, &encoding));
    ok = tree_put_text(object, "encoding", encoding) && ok;
    ok = tree_put_u64(object, "bytes", stream->total_bytes) && ok;
    ok = tree_put_text(object, "sha256", digest) && ok;
    ok = tree_put_bool(object, "truncated", stream->truncated) && ok;
    return finish(object, ok);
}

static json_t *captured_to_json(const struct bv_plan *plan,
                                const struct bv_observation *observation)
{
    json_t *object = json_object();
    bool ok = object != NULL;
    if (plan->intent.capture.out) {
        ok = tree_put(object, "stdout", stream_to_json(&observation->stream[0])) && ok;
    }
    if (plan->intent.capture.err) {
        ok = tree_put(object, "stderr", stream_to_json(&observation->stream[1])) && ok;
    }
    return finish(object, ok);
}

/* ---- the whole ---- */

static json_t *budget_to_json(const struct bv_plan *plan, const struct bv_observation *observation)
{
    json_t *object = json_object();
    bool ok = object != NULL;
    for (unsigned d = 0; ok && d < BV_DIMENSION_COUNT; d++) {
        enum bv_dimension dimension = (enum bv_dimension)d;
        ok = tree_put(object, bv_dimension_name(dimension),
                      bv_witness_to_json(plan, observation, dimension));
    }
    return finish(object, ok);
}

static json_t *evidence_to_json(const struct bv_plan *plan, const struct ending *ending)
{
    json_t *object = json_object();
    bool ok = tree_put(object, "required", bv_claims_to_json(plan->spec.require_evidence));
    ok = tree_put(object, "supplied", bv_claims_to_json(ending->claims)) && ok;
    return finish(object, ok);
}

static json_t *supervisor_to_json(const struct bv_observation *observation,
                                  const struct bv_seal_facts *facts)
{
    char kernel[128];
    bv_text_clean(kernel, sizeof(kernel), facts->kernel);
    const char *launcher = observation->launcher;
    json_t *object = json_object();
    bool ok = tree_put_text(object, "version", BV_VERSION_STRING);
    ok = tree_put(object, "launcher_digest", launcher[0] ? json_string(launcher) : json_null()) &&
         ok;
    ok = tree_put_u64(object, "uid", facts->uid) && ok;
    ok = tree_put_text(object, "kernel", kernel) && ok;
    return finish(object, ok);
}

json_t *bv_report_body(const struct bv_plan *plan, const struct bv_observation *observation,
                       const struct bv_seal_facts *facts, const struct ending *ending,
                       json_t *findings)
{
    json_t *body = json_object();
    bool ok = tree_put_u64(body, "schema_version", BV_REPORT_SCHEMA_VERSION);
    ok = tree_put_text(body, "attempt", facts->attempt) && ok;
    ok = tree_put_text(body, "plan_id", plan->plan_id) && ok;
    ok = tree_put_text(body, "spec_hash", plan->spec_hash) && ok;
    ok = tree_put_text(body, "backend", plan->backend) && ok;
    ok = tree_put_shared(body, "workload", json_object_get(plan->tree, "workload")) && ok;
    ok = tree_put_shared(body, "profile", json_object_get(plan->tree, "profile")) && ok;
    ok = tree_put_shared(body, "admitted", json_object_get(plan->tree, "admitted")) && ok;
    ok = tree_put_text(body, "outcome", bv_outcome_name(ending->outcome)) && ok;
    ok = tree_put(body, "exit", exit_to_json(&ending->exit)) && ok;
    ok = tree_put(body, "observed", observed_to_json(observation)) && ok;
    ok = tree_put(body, "denied", denied_to_json(plan, observation)) && ok;
    ok = tree_put(body, "captured", captured_to_json(plan, observation)) && ok;
    ok = tree_put(body, "artifacts", json_array()) && ok;
    ok = tree_put(body, "budget", budget_to_json(plan, observation)) && ok;
    ok = tree_put_shared(body, "findings", findings) && ok;
    ok = tree_put(body, "evidence", evidence_to_json(plan, ending)) && ok;
    ok = tree_put_text(body, "started_at", facts->started_at) && ok;
    ok = tree_put_text(body, "finished_at", facts->finished_at) && ok;
    ok = tree_put(body, "supervisor", supervisor_to_json(observation, facts)) && ok;
    return finish(body, ok);
}
