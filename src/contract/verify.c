/* contract/verify.c - is this document a report whose body is what was sealed?
 *
 * Valid if and only if: the text is the canonical form of what it says, with at most one newline after it (so that no
 * byte is outside the check); its members are schema, body, body_hash and, optionally, signature and disposition;
 * body_hash is the SHA-256 of the canonical body; the body is of a version that is known here. signature and disposition
 * lie outside the seal: their shape is checked strictly, their truth is not (a signature is checked with its key, a
 * disposition against the journal). Specified by CONTRACT.md 10 and INTERFACE.md 3. */
#include "contract/report.h"

#include "base/check.h"
#include "base/error.h"
#include "contract/shape.h"
#include "contract/tree.h"

#include <string.h>

static const char *const document_keys[] = { "schema", "body", "body_hash", "signature",
                                             "disposition" };
static const char *const body_keys[] = {
    "schema_version", "attempt",  "plan_id",    "spec_hash",   "backend",
    "workload",       "profile",  "admitted",   "outcome",     "exit",
    "observed",       "denied",   "captured",   "artifacts",   "budget",
    "findings",       "evidence", "started_at", "finished_at", "supervisor",
};
static const char *const signature_keys[] = { "alg", "key_id", "sig" };
static const char *const disposition_keys[] = { "decided", "state", "artifact_id", "detail" };

static bool is_one_of(const char *word, const char *const *words, size_t count)
{
    for (size_t i = 0; word && i < count; i++) {
        if (strcmp(word, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool all_texts(const json_t *object, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_object_get(object, keys[i]);
        if (value && !json_is_string(value)) {
            return false;
        }
    }
    return true;
}

static bool signature_is_shaped(const json_t *signature)
{
    return bv_shape_keys(signature, signature_keys, BV_COUNT(signature_keys)) &&
           json_object_size(signature) == BV_COUNT(signature_keys) &&
           all_texts(signature, signature_keys, BV_COUNT(signature_keys));
}

static bool disposition_is_shaped(const json_t *disposition)
{
    static const char *const decisions[] = { "commit", "discard" }, *const states[] = { "decided",
                                                                                        "applied",
                                                                                        "failed" };
    for (size_t i = 0; i < json_array_size(disposition); i++) {
        const json_t *item = json_array_get(disposition, i);
        if (!bv_shape_keys(item, disposition_keys, BV_COUNT(disposition_keys)) ||
            !all_texts(item, disposition_keys, BV_COUNT(disposition_keys)) ||
            !is_one_of(tree_text(item, "decided"), decisions, BV_COUNT(decisions)) ||
            !is_one_of(tree_text(item, "state"), states, BV_COUNT(states))) {
            return false;
        }
    }
    return json_is_array(disposition);
}

static bool body_is_known(const json_t *body)
{
    bool outcome_is_known = false;
    for (unsigned outcome = BV_OUTCOME_COMPLETED; outcome <= BV_OUTCOME_SUPERVISOR_FAULT;
         outcome++) {
        const char *word = tree_text(body, "outcome");
        outcome_is_known = outcome_is_known ||
                           (word && strcmp(word, bv_outcome_name((enum bv_outcome)outcome)) == 0);
    }
    return bv_shape_keys(body, body_keys, BV_COUNT(body_keys)) &&
           json_object_size(body) == BV_COUNT(body_keys) &&
           json_is_integer(json_object_get(body, "schema_version")) &&
           json_integer_value(json_object_get(body, "schema_version")) ==
               BV_REPORT_SCHEMA_VERSION &&
           outcome_is_known && bv_shape_hex(tree_text(body, "attempt"), 32) &&
           bv_shape_digest(tree_text(body, "plan_id"));
}

static enum bv_status check_shape(const json_t *root, struct bv_error *error)
{
    const json_t *signature = json_object_get(root, "signature"),
                 *disposition = json_object_get(root, "disposition");
    const char *schema = tree_text(root, "schema");
    if (!schema || strcmp(schema, BV_REPORT_SCHEMA) != 0) {
        return bv_fail(error, BV_E_INVALID, "/schema", "not a " BV_REPORT_SCHEMA " document");
    }
    if (!json_is_object(json_object_get(root, "body"))) {
        return bv_fail(error, BV_E_INVALID, "/body", "must be an object");
    }
    if (!bv_shape_canonical(root)) {
        return bv_fail(
            error, BV_E_CORRUPT, "",
            "the document holds what none of ours can: U+007F, or a key that is not ASCII");
    }
    if (!bv_shape_keys(root, document_keys, BV_COUNT(document_keys))) {
        return bv_fail(error, BV_E_CORRUPT, "",
                       "the document holds a member that neither the seal nor the format knows");
    }
    if (!bv_shape_digest(tree_text(root, "body_hash"))) {
        return bv_fail(error, BV_E_CORRUPT, "/body_hash", "not a digest");
    }
    if (signature && !signature_is_shaped(signature)) {
        return bv_fail(error, BV_E_CORRUPT, "/signature",
                       "must hold the texts alg, key_id and sig");
    }
    if (disposition && !disposition_is_shaped(disposition)) {
        return bv_fail(error, BV_E_CORRUPT, "/disposition", "must be a list of {decided, state}");
    }
    return BV_OK;
}

static enum bv_status check_body(const json_t *root, struct bv_error *error)
{
    char computed[BV_DIGEST_TEXT_SIZE];
    const json_t *body = json_object_get(root, "body");
    if (!bv_json_digest(body, computed)) {
        return bv_fail_nomem(error); /* check_shape() saw that there is a canonical form */
    }
    if (strcmp(computed, tree_text(root, "body_hash")) != 0) {
        return bv_fail(error, BV_E_CORRUPT, "/body_hash", "the body was changed: its hash is %s",
                       computed);
    }
    if (!body_is_known(body)) {
        return bv_fail(error, BV_E_CORRUPT, "/body", "the body is not of schema version %d",
                       BV_REPORT_SCHEMA_VERSION);
    }
    return BV_OK;
}

/* Every byte of the text must be accounted for: two texts never verify as the same report. */
static enum bv_status check_text(const json_t *root, const char *text, size_t size,
                                 struct bv_error *error)
{
    struct bv_buf canonical;
    bv_buf_init(&canonical, BV_REPORT_MAX_BYTES);
    if (!bv_json_write(&canonical, root)) {
        bv_buf_done(&canonical);
        return bv_fail_nomem(error);
    }
    if (size == canonical.size + 1 && text[size - 1] == '\n') {
        size--;
    }
    bool equal = size == canonical.size && memcmp(text, canonical.data, size) == 0;
    bv_buf_done(&canonical);
    return equal ? BV_OK
                 : bv_fail(error, BV_E_CORRUPT, "",
                           "the text is not in canonical form, so not as it was written");
}

enum bv_status bv_report_verify(const char *text, size_t size, struct bv_error *error)
{
    if (!text) {
        return bv_fail(error, BV_E_INVALID, "", "bv_report_verify: no text");
    }
    BV_AUTO(tree_drop) json_t *root = NULL;
    enum bv_status status = bv_json_read(text, size, BV_REPORT_MAX_BYTES, &root, error);
    if (status == BV_OK) {
        status = check_shape(root, error);
    }
    if (status == BV_OK) {
        status = check_body(root, error);
    }
    return status == BV_OK ? check_text(root, text, size, error) : status;
}
