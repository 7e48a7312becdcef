/* contract/signed.c - what is signed, and how it stands in documents: reports, journal heads, attestations. Pure.
 *
 * A signature over a report covers "bvisor.report/1\n" and its body_hash, one over a head "bvisor.head/1\n", its number and its hash: a
 * prefix of its own each, so that none can stand for another. The attestation is an in-toto Statement v1 in a DSSE envelope; what is
 * signed there is DSSE's pre-authentication encoding of the very payload bytes. INTERFACE.md 3, in-toto attestation and DSSE v1. */
#include "contract/report.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "canon/sign.h"
#include "contract/shape.h"
#include "contract/tree.h"

#define HEAD_SCHEMA     "bvisor.head/1"
#define STATEMENT_TYPE  "https://in-toto.io/Statement/v1"
#define PREDICATE_TYPE  "urn:bvisor:report:1"
#define PAYLOAD_TYPE    "application/vnd.in-toto+json"
#define SUBJECTS_MAX    100000u

static void put_signature(struct bv_emit *emit, const char *key, const char *key_id, const char *sig)
{
    bv_emit_object(emit, key);
    bv_emit_text(emit, "alg", "ed25519");
    bv_emit_text(emit, "key_id", key_id);
    bv_emit_text(emit, "sig", sig);
    bv_emit_end(emit);
}

/* ---- reports ---- */

static void report_message(char message[120], const char *body_hash)
{
    (void)snprintf(message, 120, BV_REPORT_SCHEMA "\n%s", body_hash);
}

enum bv_status bv_report_sign(struct bv_report *report, const struct bv_key *key, struct bv_error *error)
{
    char message[120], sig[BV_SIGNATURE_TEXT_SIZE];
    if (!report || !key) {
        return bv_fail(error, BV_E_INVALID, "", "a report and a key are needed");
    }
    report_message(message, report->body_hash);
    enum bv_status status = bv_sign(key, message, strlen(message), sig, error);
    if (status != BV_OK) {
        return status;
    }
    struct bv_buf text;
    struct bv_emit emit;
    bv_buf_init(&text, sizeof(report->signature) - 1);
    bv_emit_init(&emit, &text);
    put_signature(&emit, NULL, bv_key_id(key), sig);
    if (!text.failed) {
        bv_copy_text(report->signature, sizeof(report->signature), text.data);
    }
    status = text.failed ? bv_fail_nomem(error) : BV_OK;
    bv_buf_done(&text);
    return status;
}

/* The member `signature` of a document, checked over a message. */
static enum bv_status check_signature(const json_t *root, const struct bv_key *key, const char *message, struct bv_error *error)
{
    const json_t *signature = json_object_get(root, "signature");
    const char *alg = tree_text(signature, "alg"), *id = tree_text(signature, "key_id"), *sig = tree_text(signature, "sig");
    if (!signature || !alg || !id || !sig) {
        return bv_fail(error, BV_E_CORRUPT, "/signature", "is not signed");
    }
    if (strcmp(alg, "ed25519") != 0) {
        return bv_fail(error, BV_E_CORRUPT, "/signature/alg", "is not ed25519");
    }
    if (strcmp(id, bv_key_id(key)) != 0) {
        return bv_fail(error, BV_E_CORRUPT, "/signature/key_id", "is signed by another key, %.80s", id);
    }
    return bv_sign_holds(key, message, strlen(message), sig) ? BV_OK
                                                             : bv_fail(error, BV_E_CORRUPT, "/signature/sig", "the signature does not hold");
}

enum bv_status bv_report_verify_signed(const char *text, size_t size, const struct bv_key *key, struct bv_error *error)
{
    if (!key) {
        return bv_fail(error, BV_E_INVALID, "", "a key is needed");
    }
    BV_AUTO(tree_drop) json_t *root = NULL;
    char message[120];
    enum bv_status status = bv_report_verify(text, size, error);
    if (status == BV_OK) {
        status = bv_json_read(text, size, BV_REPORT_MAX_BYTES, &root, error);
    }
    if (status != BV_OK) {
        return status;
    }
    report_message(message, tree_text(root, "body_hash"));
    return check_signature(root, key, message, error);
}

/* ---- attestations ---- */

static bool add_subject(json_t *subjects, json_t *name, const char *digest)
{
    json_t *subject = json_object(), *digests = json_object();
    bool ok = tree_put_text(digests, "sha256", digest + strlen("sha256:"));
    ok = tree_put(subject, "digest", digests) && ok;
    ok = tree_put(subject, "name", name) && ok;
    return tree_append(subjects, subject) && ok;
}

static json_t *artifact_name(const json_t *artifact)
{
    char name[2 * BV_PATH_MAX_BYTES + 2];
    const char *path = tree_text(artifact, "path"), *root = tree_text(artifact, "root");
    path = path ? path : tree_text(artifact, "path_base64"); /* bytes that are no text stand as the report has them */
    (void)snprintf(name, sizeof(name), "%s/%s", root ? root : "", path ? path : "");
    return json_string(name);
}

/* The report first, then each file that came out of the run. */
static json_t *subjects_of(const json_t *root)
{
    const json_t *body = json_object_get(root, "body"), *artifacts = json_object_get(body, "artifacts");
    char name[80];
    (void)snprintf(name, sizeof(name), "bvisor-report-%s", tree_text(body, "attempt"));
    json_t *subjects = json_array();
    bool ok = subjects && add_subject(subjects, json_string(name), tree_text(root, "body_hash"));
    for (size_t i = 0; ok && i < json_array_size(artifacts) && i < SUBJECTS_MAX; i++) {
        const json_t *artifact = json_array_get(artifacts, i);
        const char *hash = tree_text(artifact, "content_hash");
        ok = !bv_shape_digest(hash) || add_subject(subjects, artifact_name(artifact), hash);
    }
    if (!ok) {
        json_decref(subjects);
        return NULL;
    }
    return subjects;
}

static char *statement_of(json_t *root)
{
    json_t *statement = json_object();
    bool ok = tree_put_text(statement, "_type", STATEMENT_TYPE);
    ok = tree_put_text(statement, "predicateType", PREDICATE_TYPE) && ok;
    ok = tree_put(statement, "subject", subjects_of(root)) && ok;
    ok = tree_put_shared(statement, "predicate", root) && ok;
    char *text = ok ? bv_json_text(statement, BV_REPORT_MAX_BYTES) : NULL;
    json_decref(statement);
    return text;
}

static enum bv_status sign_envelope(const char *payload, const struct bv_key *key, char **ret_text, struct bv_error *error)
{
    char sig[BV_SIGNATURE_TEXT_SIZE];
    struct bv_buf pae, text;
    struct bv_emit emit;
    bv_buf_init(&pae, BV_REPORT_MAX_BYTES);
    bv_buf_init(&text, 2 * (size_t)BV_REPORT_MAX_BYTES);
    (void)bv_buf_format(&pae, "DSSEv1 %zu %s %zu ", strlen(PAYLOAD_TYPE), PAYLOAD_TYPE, strlen(payload));
    (void)bv_buf_text(&pae, payload);
    char *base64 = pae.failed ? NULL : bv_base64(payload, strlen(payload));
    enum bv_status status = base64 ? bv_sign(key, pae.data, pae.size, sig, error) : bv_fail_nomem(error);
    if (status == BV_OK) {
        bv_emit_init(&emit, &text);
        bv_emit_object(&emit, NULL);
        bv_emit_text(&emit, "payload", base64);
        bv_emit_text(&emit, "payloadType", PAYLOAD_TYPE);
        bv_emit_array(&emit, "signatures");
        bv_emit_object(&emit, NULL);
        bv_emit_text(&emit, "keyid", bv_key_id(key));
        bv_emit_text(&emit, "sig", sig);
        bv_emit_end(&emit);
        bv_emit_end(&emit);
        bv_emit_end(&emit);
        char *envelope = bv_buf_take(&text);
        *ret_text = envelope ? envelope : *ret_text;
        status = envelope ? BV_OK : bv_fail_nomem(error);
    }
    bv_buf_done(&pae);
    bv_buf_done(&text);
    bv_free(base64);
    return status;
}

enum bv_status bv_report_dsse(const char *text, size_t size, const struct bv_key *key, char **ret_text, struct bv_error *error)
{
    if (!key || !ret_text) {
        return bv_fail(error, BV_E_INVALID, "", "a key and a place for the envelope are needed");
    }
    BV_AUTO(tree_drop) json_t *root = NULL;
    enum bv_status status = bv_report_verify(text, size, error);
    if (status == BV_OK) {
        status = bv_json_read(text, size, BV_REPORT_MAX_BYTES, &root, error);
    }
    if (status != BV_OK) {
        return status;
    }
    char *statement = statement_of(root);
    status = statement ? sign_envelope(statement, key, ret_text, error) : bv_fail_nomem(error);
    bv_free(statement);
    return status;
}

/* ---- journal heads ---- */

static void head_message(char message[160], uint64_t seq, const char *hash)
{
    (void)snprintf(message, 160, HEAD_SCHEMA "\n%llu\n%s", (unsigned long long)seq, hash);
}

enum bv_status bv_head_json(const struct bv_journal_head *head, const struct bv_key *key, char **ret_text, struct bv_error *error)
{
    char message[160], sig[BV_SIGNATURE_TEXT_SIZE];
    if (!head || !ret_text) {
        return bv_fail(error, BV_E_INVALID, "", "a head and a place for its text are needed");
    }
    head_message(message, head->seq, head->hash);
    enum bv_status status = key ? bv_sign(key, message, strlen(message), sig, error) : BV_OK;
    if (status != BV_OK) {
        return status;
    }
    struct bv_buf text;
    struct bv_emit emit;
    bv_buf_init(&text, 4096);
    bv_emit_init(&emit, &text);
    bv_emit_object(&emit, NULL);
    bv_emit_text(&emit, "hash", head->hash);
    bv_emit_text(&emit, "schema", HEAD_SCHEMA);
    bv_emit_number(&emit, "seq", head->seq);
    if (key) {
        put_signature(&emit, "signature", bv_key_id(key), sig);
    }
    bv_emit_end(&emit);
    char *document = bv_buf_take(&text);
    bv_buf_done(&text);
    *ret_text = document ? document : *ret_text;
    return document ? BV_OK : bv_fail_nomem(error);
}

enum bv_status bv_head_read(const char *text, size_t size, const struct bv_key *key, struct bv_journal_head *ret_head, struct bv_error *error)
{
    static const char *const keys[] = { "hash", "schema", "seq", "signature" };
    if (!text || !ret_head) {
        return bv_fail(error, BV_E_INVALID, "", "a document and a place for the head are needed");
    }
    BV_AUTO(tree_drop) json_t *root = NULL;
    enum bv_status status = bv_json_read(text, size, 4096, &root, error);
    if (status != BV_OK) {
        return status;
    }
    const char *schema = tree_text(root, "schema"), *hash = tree_text(root, "hash");
    const json_int_t seq = json_integer_value(json_object_get(root, "seq"));
    if (!schema || strcmp(schema, HEAD_SCHEMA) != 0 || !bv_shape_digest(hash) || seq < 1 || !bv_shape_keys(root, keys, BV_COUNT(keys))) {
        return bv_fail(error, BV_E_INVALID, "", "not a " HEAD_SCHEMA " document");
    }
    char message[160];
    head_message(message, (uint64_t)seq, hash);
    status = key ? check_signature(root, key, message, error) : BV_OK;
    if (status == BV_OK) {
        *ret_head = (struct bv_journal_head){ .seq = (uint64_t)seq };
        bv_copy_text(ret_head->hash, sizeof(ret_head->hash), hash);
    }
    return status;
}
