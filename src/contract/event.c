/* contract/event.c - the journal's events: written, read back strictly, and taken together. Pure; the journal keeps them.
 *
 * An event is a canonical object {at, attempt, document, kind, payload, previous, schema, seq}. `previous` is the hash of the
 * event before, so the hash of the last one stands for all. Specified by docs/format-journal.md and CONTRACT.md 11. */
#include "contract/event.h"

#include "base/check.h"
#include "base/error.h"
#include "contract/shape.h"
#include "contract/tree.h"

#include <string.h>

static const char *const kind_words[] = { "started", "report", "disposition", "recovery", "retention" };
_Static_assert(BV_COUNT(kind_words) == BV_EVENT_KIND_COUNT, "one word a kind");

const char *bv_event_kind_name(enum bv_event_kind kind)
{
    return kind_words[kind];
}

void bv_event_emit(struct bv_buf *buf, const struct event_facts *facts)
{
    struct bv_emit emit;
    bv_emit_init(&emit, buf);
    bv_emit_object(&emit, NULL);
    bv_emit_text(&emit, "at", facts->at);
    bv_emit_text(&emit, "attempt", facts->attempt);
    if (facts->document) {
        bv_emit_text(&emit, "document", facts->document);
    } else {
        bv_emit_null(&emit, "document");
    }
    bv_emit_text(&emit, "kind", bv_event_kind_name(facts->kind));
    bv_emit_canonical(&emit, "payload", facts->payload, strlen(facts->payload));
    bv_emit_text(&emit, "previous", facts->previous);
    bv_emit_text(&emit, "schema", BV_EVENT_SCHEMA);
    bv_emit_number(&emit, "seq", facts->seq);
    bv_emit_end(&emit);
}

/* ---- payloads ---- */

void bv_event_payload_report(struct bv_buf *buf, const char *body_hash, int exit_status, const char *outcome)
{
    struct bv_emit emit;
    bv_emit_init(&emit, buf);
    bv_emit_object(&emit, NULL);
    bv_emit_text(&emit, "body_hash", body_hash);
    bv_emit_number(&emit, "exit_status", (uint64_t)exit_status);
    bv_emit_text(&emit, "outcome", outcome);
    bv_emit_end(&emit);
}

void bv_event_payload_disposition(struct bv_buf *buf, const char *decided, const char *state, const char *detail)
{
    struct bv_emit emit;
    bv_emit_init(&emit, buf);
    bv_emit_object(&emit, NULL);
    bv_emit_text(&emit, "decided", decided);
    bv_emit_text(&emit, "detail", detail);
    bv_emit_text(&emit, "state", state);
    bv_emit_end(&emit);
}

void bv_event_payload_recovery(struct bv_buf *buf, const char *settled, const char *swept)
{
    struct bv_emit emit;
    bv_emit_init(&emit, buf);
    bv_emit_object(&emit, NULL);
    bv_emit_text(&emit, "settled", settled);
    bv_emit_canonical(&emit, "swept", swept, strlen(swept));
    bv_emit_end(&emit);
}

void bv_event_payload_retention(struct bv_buf *buf, uint64_t through_seq, const char *through_hash, uint64_t dropped)
{
    struct bv_emit emit;
    bv_emit_init(&emit, buf);
    bv_emit_object(&emit, NULL);
    bv_emit_number(&emit, "dropped", dropped);
    bv_emit_text(&emit, "through_hash", through_hash);
    bv_emit_number(&emit, "through_seq", through_seq);
    bv_emit_end(&emit);
}

/* The members of each kind's payload; every one must be there, and no other. Only tests and hosts of their own add no more. */
static const struct {
    const char *texts[5], *numbers[3], *lists[2], *objects[2];
} payload_shapes[BV_EVENT_KIND_COUNT] = {
    [BV_EVENT_STARTED] = { { "backend", "exe", "plan_id" }, { NULL }, { NULL }, { "supervisor" } },
    [BV_EVENT_REPORT] = { { "body_hash", "outcome" }, { "exit_status" }, { NULL }, { NULL } },
    [BV_EVENT_DISPOSITION] = { { "decided", "detail", "state" }, { NULL }, { NULL }, { NULL } },
    [BV_EVENT_RECOVERY] = { { "settled" }, { NULL }, { "swept" }, { NULL } },
    [BV_EVENT_RETENTION] = { { "through_hash" }, { "dropped", "through_seq" }, { NULL }, { NULL } },
};

static bool payload_is_shaped(enum bv_event_kind kind, const json_t *payload)
{
    size_t known = 0, good = 0;
    for (const char *const *key = payload_shapes[kind].texts; *key; key++, known++) {
        good += json_is_string(json_object_get(payload, *key));
    }
    for (const char *const *key = payload_shapes[kind].numbers; *key; key++, known++) {
        good += json_is_integer(json_object_get(payload, *key)) && json_integer_value(json_object_get(payload, *key)) >= 0;
    }
    for (const char *const *key = payload_shapes[kind].lists; *key; key++, known++) {
        good += json_is_array(json_object_get(payload, *key));
    }
    for (const char *const *key = payload_shapes[kind].objects; *key; key++, known++) {
        good += json_is_object(json_object_get(payload, *key));
    }
    return json_is_object(payload) && good == known && json_object_size(payload) == known;
}

/* ---- reading ---- */

static bool kind_of(const char *word, enum bv_event_kind *ret_kind)
{
    for (size_t i = 0; word && i < BV_COUNT(kind_words); i++) {
        if (strcmp(word, kind_words[i]) == 0) {
            *ret_kind = (enum bv_event_kind)i;
            return true;
        }
    }
    return false;
}

static bool take(const json_t *root, struct event *event)
{
    static const char *const keys[] = { "at", "attempt", "document", "kind", "payload", "previous", "schema", "seq" };
    const json_t *seq = json_object_get(root, "seq"), *document = json_object_get(root, "document");
    const char *schema = tree_text(root, "schema");
    event->at = tree_text(root, "at");
    event->attempt = tree_text(root, "attempt");
    event->previous = tree_text(root, "previous");
    event->document = json_string_value(document);
    event->payload = json_object_get(root, "payload");
    if (!bv_shape_keys(root, keys, BV_COUNT(keys)) || json_object_size(root) != BV_COUNT(keys) || !schema ||
        strcmp(schema, BV_EVENT_SCHEMA) != 0 || !json_is_integer(seq) || json_integer_value(seq) < 1 || !event->at ||
        !event->at[0] || !kind_of(tree_text(root, "kind"), &event->kind) || !bv_shape_digest(event->previous) ||
        !(json_is_null(document) || bv_shape_digest(event->document))) {
        return false;
    }
    event->seq = (uint64_t)json_integer_value(seq);
    const bool of_none = event->kind == BV_EVENT_RETENTION;
    return event->attempt && (of_none ? event->attempt[0] == '\0' : bv_shape_hex(event->attempt, 32)) &&
           payload_is_shaped(event->kind, event->payload);
}

enum bv_status bv_event_read(const char *text, size_t size, struct event *ret_event, struct bv_error *error)
{
    struct bv_error inner = { 0 };
    struct event event = { 0 };
    enum bv_status status = bv_json_read(text, size, BV_EVENT_MAX_BYTES, &event.root, &inner);
    if (status == BV_E_NOMEM) {
        return bv_fail_nomem(error);
    }
    if (status != BV_OK) {
        return bv_fail(error, BV_E_CORRUPT, "", "not an event: %s", inner.text);
    }
    if (!bv_shape_canonical(event.root) || !take(event.root, &event)) {
        bv_event_done(&event);
        return bv_fail(error, BV_E_CORRUPT, "", "not an event of " BV_EVENT_SCHEMA);
    }
    char *canonical = bv_json_text(event.root, BV_EVENT_MAX_BYTES);
    const bool same = canonical && strlen(canonical) == size && memcmp(canonical, text, size) == 0;
    status = !canonical ? bv_fail_nomem(error)
             : same     ? BV_OK
                        : bv_fail(error, BV_E_CORRUPT, "", "the event is not in canonical form, so not as it was written");
    bv_free(canonical);
    if (status != BV_OK) {
        bv_event_done(&event);
        return status;
    }
    *ret_event = event;
    return BV_OK;
}

void bv_event_done(struct event *event)
{
    json_decref(event->root);
    event->root = NULL;
}

/* ---- trails ---- */

static bool is(const json_t *payload, const char *key, const char *word)
{
    const char *text = tree_text(payload, key);
    return text && strcmp(text, word) == 0;
}

static bool step_disposition(struct trail *trail, const json_t *payload)
{
    const bool discard = is(payload, "decided", "discard");
    if (!discard && !is(payload, "decided", "commit")) {
        return false;
    }
    if (is(payload, "state", "decided")) {
        /* One at a time. A failed one may be tried again; an applied one may have been about some of the paths. */
        if (!trail->reported || trail->disposition == TRAIL_DECIDED) {
            return false;
        }
        trail->disposition = TRAIL_DECIDED;
        trail->discard = discard;
        return true;
    }
    const bool applied = is(payload, "state", "applied");
    if (trail->disposition != TRAIL_DECIDED || trail->discard != discard || (!applied && !is(payload, "state", "failed"))) {
        return false;
    }
    trail->disposition = applied ? TRAIL_APPLIED : TRAIL_FAILED;
    return true;
}

static bool step_recovery(struct trail *trail, const json_t *payload)
{
    if (is(payload, "settled", "rolled_back") && (trail->reported || trail->recovered)) {
        return false;
    }
    if (is(payload, "settled", "completed") && !trail->reported) {
        return false;
    }
    bv_copy_text(trail->settled, sizeof(trail->settled), tree_text(payload, "settled"));
    trail->recovered = true;
    return strcmp(trail->settled, "rolled_back") == 0 || strcmp(trail->settled, "completed") == 0 ||
           strcmp(trail->settled, "canonical_refusal") == 0;
}

static bool step(struct trail *trail, const struct event *event)
{
    if (event->kind != BV_EVENT_STARTED && !trail->started) {
        if (!trail->cut) {
            return false;
        }
        /* Retention dropped its events, and nothing that is open is ever dropped: it had ended. */
        trail->started = true;
        if (event->kind == BV_EVENT_DISPOSITION) {
            trail->reported = true;
            trail->discard = is(event->payload, "decided", "discard");
            trail->disposition = is(event->payload, "state", "decided") ? TRAIL_UNDECIDED : TRAIL_DECIDED;
        }
    }
    switch (event->kind) {
    case BV_EVENT_STARTED:
        if (trail->started) {
            return false;
        }
        trail->started = true;
        bv_copy_text(trail->started_at, sizeof(trail->started_at), event->at);
        bv_copy_text(trail->exe, sizeof(trail->exe), tree_text(event->payload, "exe"));
        return true;
    case BV_EVENT_REPORT:
        if (trail->reported || trail->recovered) {
            return false;
        }
        trail->reported = true;
        bv_copy_text(trail->outcome, sizeof(trail->outcome), tree_text(event->payload, "outcome"));
        return true;
    case BV_EVENT_DISPOSITION: return step_disposition(trail, event->payload);
    case BV_EVENT_RECOVERY: return step_recovery(trail, event->payload);
    case BV_EVENT_RETENTION: return false; /* of no attempt */
    }
    BV_UNREACHABLE();
}

bool bv_trail_step(struct trail *trail, const struct event *event)
{
    if (!step(trail, event)) {
        trail->contradictory = true;
    }
    return !trail->contradictory;
}

bool bv_trail_is_open(const struct trail *trail)
{
    if (trail->disposition == TRAIL_DECIDED) {
        return strcmp(trail->settled, "canonical_refusal") != 0;
    }
    return trail->started && !trail->reported && !trail->recovered;
}
