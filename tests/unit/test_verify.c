/* tests/unit/test_verify.c - a report verifies exactly as it was written; any flipped, added or missing byte fails. */
#include "contract/report.h"

#include "base/check.h"
#include "support/fake.h"
#include "support/scenes.h"
#include "support/tap.h"

static char *sealed_text(bool full)
{
    static struct fake fake;
    static struct request request;
    char *text = NULL;
    fake_init(&fake);
    request_init(&request);
    if (full) {
        scene_full(&fake, &request);
    }
    struct bv_plan *plan = fake_plan(&fake, &request);
    struct bv_observation *o = full ? scene_full_run() : fake_observe();
    bv_report_free(fake_seal(plan, o, &text));
    bv_observation_free(o);
    bv_plan_free(plan);
    return text;
}

static enum bv_status verify(const char *text)
{
    return bv_report_verify(text, strlen(text), NULL);
}

static void test_flips(const char *source)
{
    size_t size = strlen(source), survivors = 0;
    char *text = malloc(size + 2);
    memcpy(text, source, size + 2 - 1);
    for (size_t i = 0; i < size; i++) {
        for (unsigned bit = 0; bit < 8;
             bit += i % 64 == 0 ? 1 : 8) { /* the lowest of each byte, all of some */
            text[i] = (char)(text[i] ^ (1 << bit));
            survivors += bv_report_verify(text, size, NULL) == BV_OK;
            text[i] = (char)(text[i] ^ (1 << bit));
        }
    }
    tap_ok(survivors == 0, "no byte of %zu can be flipped (%zu could)", size, survivors);
    size_t cuts = 0;
    for (size_t i = 0; i < size; i += 13) {
        cuts += bv_report_verify(text, i, NULL) == BV_OK;
    }
    tap_ok(cuts == 0, "nor cut");
    char *letter = strstr(text, "fake");
    *letter =
        '\177'; /* well-formed JSON that has no canonical form: still corrupt, and not out of memory */
    tap_ok(bv_report_verify(text, size, NULL) == BV_E_CORRUPT,
           "U+007F is a corruption like any other");
    *letter = 'f';
    memcpy(text + size, "\n", 2);
    tap_ok(bv_report_verify(text, size + 1, NULL) == BV_OK, "one newline may follow");
    text[size] = ' ';
    tap_ok(bv_report_verify(text, size + 1, NULL) != BV_OK, "a space may not");
    free(text);
}

/* The document with one member set, canonical again. */
static enum bv_status with_member(const char *source, const char *key, json_t *value)
{
    json_t *root = NULL;
    enum bv_status status = bv_json_read(source, strlen(source), BV_REPORT_MAX_BYTES, &root, NULL);
    (void)json_object_set_new(root, key, value);
    char *text = bv_json_text(root, BV_REPORT_MAX_BYTES);
    status = status == BV_OK && text ? verify(text) : BV_E_NOMEM;
    bv_free(text);
    json_decref(root);
    return status;
}

static void test_members(const char *source)
{
    static const struct {
        const char *key, *value;
        bool good;
    } rows[] = {
        { "extra", "true", false },
        { "schema", "\"bvisor.report/2\"", false },
        { "body_hash", "\"sha256:0\"", false },
        { "body", "[]", false },
        { "signature", "{\"alg\":\"ed25519\",\"key_id\":\"k\",\"sig\":\"s\"}", true },
        { "signature", "{\"alg\":\"ed25519\",\"key_id\":\"k\"}", false },
        { "signature", "{\"alg\":\"ed25519\",\"key_id\":\"k\",\"sig\":1}", false },
        { "signature", "{\"alg\":\"ed25519\",\"key_id\":\"k\",\"sig\":\"s\",\"x\":\"\"}", false },
        { "signature", "null", false },
        { "disposition", "[]", true },
        { "disposition", "[{\"decided\":\"commit\",\"state\":\"applied\"}]", true },
        { "disposition",
          "[{\"decided\":\"discard\",\"state\":\"failed\",\"artifact_id\":\"a\",\"detail\":\"d\"}]",
          true },
        { "disposition", "[{\"decided\":\"keep\",\"state\":\"applied\"}]", false },
        { "disposition", "[{\"decided\":\"commit\"}]", false },
        { "disposition", "[{\"decided\":\"commit\",\"state\":\"applied\",\"x\":\"\"}]", false },
        { "disposition", "[{\"decided\":\"commit\",\"state\":\"applied\",\"detail\":1}]", false },
        { "disposition", "[1]", false },
        { "disposition", "{}", false },
    };
    for (size_t i = 0; i < BV_COUNT(rows); i++) {
        json_t *value = json_loads(rows[i].value, JSON_DECODE_ANY, NULL);
        tap_ok((with_member(source, rows[i].key, value) == BV_OK) == rows[i].good, "%s: %s %s",
               rows[i].key, rows[i].value, rows[i].good ? "verifies" : "does not");
    }
}

/* A body that was changed and given the hash that then fits: sealed by somebody, but not a body of ours. */
static enum bv_status resealed(const char *source, const char *key, json_t *value)
{
    json_t *root = NULL;
    char digest[BV_DIGEST_TEXT_SIZE];
    if (bv_json_read(source, strlen(source), BV_REPORT_MAX_BYTES, &root, NULL) != BV_OK) {
        return BV_E_NOMEM;
    }
    json_t *body = json_object_get(root, "body");
    if (value) {
        (void)json_object_set_new(body, key, value);
    } else {
        (void)json_object_del(body, key);
    }
    bool ok = bv_json_digest(body, digest) &&
              json_object_set_new(root, "body_hash", json_string(digest)) == 0;
    char *text = ok ? bv_json_text(root, BV_REPORT_MAX_BYTES) : NULL;
    enum bv_status status = text ? verify(text) : BV_E_NOMEM;
    bv_free(text);
    json_decref(root);
    return status;
}

static void test_bodies(const char *source)
{
    tap_ok(resealed(source, "backend", json_string("other")) == BV_OK,
           "a seal proves that nothing changed since, not who wrote it");
    tap_ok(resealed(source, "schema_version", json_integer(2)) == BV_E_CORRUPT, "another version");
    tap_ok(resealed(source, "schema_version", json_string("1")) == BV_E_CORRUPT,
           "a version that is no number");
    tap_ok(resealed(source, "outcome", json_string("fine")) == BV_E_CORRUPT, "an unknown outcome");
    tap_ok(resealed(source, "outcome", NULL) == BV_E_CORRUPT, "no outcome");
    tap_ok(resealed(source, "attempt", json_string("1")) == BV_E_CORRUPT, "no attempt");
    tap_ok(resealed(source, "backend", json_string("other\303\251")) == BV_OK,
           "any UTF-8 has a canonical form");
    tap_ok(resealed(source, "more", json_true()) == BV_E_CORRUPT,
           "a member that the format does not know");
}

static void test_no_report(void)
{
    tap_ok(bv_report_verify(NULL, 0, NULL) == BV_E_INVALID && verify("") == BV_E_INVALID &&
               verify("{}") == BV_E_INVALID && verify("[]") == BV_E_INVALID &&
               verify("{\"schema\":\"bvisor.plan/1\"}") == BV_E_INVALID &&
               verify("{\"schema\":\"bvisor.report/1\"}") == BV_E_INVALID,
           "what is no report is invalid");
}

int main(void)
{
    char *small = sealed_text(false), *full = sealed_text(true);
    tap_ok(small && verify(small) == BV_OK && full && verify(full) == BV_OK, "reports verify");
    test_flips(small);
    test_members(full);
    test_bodies(full);
    test_no_report();
    bv_free(small);
    bv_free(full);
    return tap_done();
}
