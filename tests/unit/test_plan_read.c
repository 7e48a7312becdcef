/* tests/unit/test_plan_read.c - a saved plan gives its spec back, and no other document does. */
#include "contract/contract.h"

#include "base/check.h"
#include "contract/plan.h"
#include "support/fake.h"
#include "support/scenes.h"
#include "support/tap.h"

static struct fake fake;
static struct request request;

static char *saved_text(void)
{
    char *text = NULL;
    struct bv_plan *plan = fake_plan(&fake, &request);
    if (plan && bv_plan_json(plan, &text, NULL) != BV_OK) {
        text = NULL;
    }
    bv_plan_free(plan);
    return text;
}

static void test_round_trip(const char *name)
{
    char *text = saved_text(), *again = NULL, *want = NULL;
    struct bv_saved_plan saved = { 0 };
    struct bv_error error = { 0 };
    tap_ok(text && bv_plan_read(text, strlen(text), &saved, &error) == BV_OK, "%s: read (%s: %s)",
           name, error.place, error.text);
    tap_ok(bv_spec_json(saved.spec, &again, NULL) == BV_OK &&
               bv_spec_json(&request.spec, &want, NULL) == BV_OK,
           "%s: two specs", name);
    tap_text(again, want, "%s: the spec is the one that was planned", name);
    tap_text(saved.backend, "fake", "%s: backend", name);
    tap_text(saved.digest, request.identity.known ? request.identity.digest : "", "%s: digest",
             name);
    struct bv_plan *plan = fake_plan(&fake, &request);
    tap_text(saved.plan_id, bv_plan_id(plan), "%s: plan_id", name);
    tap_text(saved.profile_hash, bv_plan_profile_hash(plan), "%s: profile hash", name);
    bv_plan_free(plan);
    bv_spec_free(saved.spec);
    bv_free(again);
    bv_free(want);
    bv_free(text);
}

static enum bv_status read_text(const char *text, size_t size)
{
    struct bv_saved_plan saved = { 0 };
    enum bv_status status = bv_plan_read(text, size, &saved, NULL);
    if (status == BV_OK) {
        bv_spec_free(saved.spec);
    }
    return status;
}

static void test_flips(void)
{
    char *text = saved_text();
    size_t size = strlen(text), survivors = 0;
    for (size_t i = 0; i < size; i++) {
        text[i] ^= 1;
        survivors += read_text(text, size) == BV_OK;
        text[i] ^= 1;
    }
    tap_ok(survivors == 0, "no byte of %zu can be flipped (%zu could)", size, survivors);
    tap_ok(read_text(text, size) == BV_OK, "and unflipped it reads");
    size_t cut = 0;
    for (size_t i = 0; i < size; i += 7) {
        cut += read_text(text, i) == BV_OK;
    }
    tap_ok(cut == 0, "nor cut");
    bv_free(text);
}

/* Changes a document, gives it the id that then fits, and reads it. path "": member of the document itself. */
static enum bv_status forged(const char *path, const char *key, json_t *value)
{
    char *text = saved_text(), *changed = NULL, digest[BV_DIGEST_TEXT_SIZE];
    json_t *root = NULL;
    enum bv_status status = bv_json_read(text, strlen(text), BV_PLAN_MAX_BYTES, &root, NULL);
    json_t *at = status == BV_OK ? (json_t *)(uintptr_t)tree_at(root, path) : NULL;
    if (value) {
        (void)json_object_set_new(at, key, value);
    } else {
        (void)json_object_del(at, key);
    }
    (void)json_object_del(root, "plan_id");
    if (bv_json_digest(root, digest) &&
        json_object_set_new(root, "plan_id", json_string(digest)) == 0) {
        changed = bv_json_text(root, BV_PLAN_MAX_BYTES);
    }
    status = changed ? read_text(changed, strlen(changed)) : BV_E_NOMEM;
    json_decref(root);
    bv_free(changed);
    bv_free(text);
    return status;
}

static void test_forged(void)
{
    tap_ok(forged("", "schema", json_string("bvisor.plan/1")) == BV_OK,
           "a forger who changes nothing");
    tap_ok(forged("", "schema", json_string("bvisor.plan/2")) == BV_E_INVALID, "another version");
    tap_ok(forged("", "extra", json_true()) == BV_E_INVALID, "an unknown member");
    tap_ok(forged("", "findings", NULL) == BV_E_INVALID, "a missing member");
    tap_ok(forged("", "backend", json_string("a_name_of_more_than_twenty_three")) == BV_E_INVALID,
           "a backend's name that is too long");
    tap_ok(forged("", "spec_hash", json_string("none")) == BV_E_INVALID, "no digest");
    tap_ok(forged("profile", "hash", NULL) == BV_E_INVALID, "no profile hash");
    tap_ok(forged("workload", "digest", json_integer(1)) == BV_E_INVALID,
           "a digest that is a number");
    tap_ok(forged("workload", "wasm", json_object()) == BV_E_INVALID, "two workloads");
    tap_ok(forged("", "admitted", json_object()) == BV_E_INVALID, "a list that is none");
    tap_ok(forged("admitted/0", "implied", json_string("no")) == BV_E_INVALID,
           "a flag that is none");
    tap_ok(forged("admitted/0", "implied", json_true()) == BV_E_CORRUPT,
           "a requirement taken away");
    tap_ok(forged("admitted/0", "requirement", json_pack("{s:{s:i}}", "network", "policy", 1)) ==
               BV_E_INVALID,
           "a requirement that is malformed");
    tap_ok(forged("budget/wall_micros", "limit", json_string("unlimited")) == BV_E_CORRUPT,
           "a limit lifted");
    tap_ok(forged("budget", "cpu_micros", NULL) == BV_E_INVALID, "a budget left out");
    tap_ok(forged("evidence", "required", json_array()) == BV_E_CORRUPT, "evidence waived");
    tap_ok(forged("evidence", "required", NULL) == BV_E_INVALID, "evidence left out");
    tap_ok(forged("", "evidence", json_null()) == BV_E_INVALID, "no evidence at all");
    struct bv_saved_plan saved;
    tap_ok(bv_plan_read(NULL, 0, &saved, NULL) == BV_E_INVALID &&
               bv_plan_read("{}", 2, &saved, NULL) == BV_E_INVALID &&
               bv_plan_read("[]", 2, &saved, NULL) == BV_E_INVALID &&
               bv_plan_read("", 0, &saved, NULL) == BV_E_INVALID,
           "no plan at all");
}

int main(void)
{
    fake_init(&fake);
    request_init(&request);
    test_round_trip("bare");
    request_drop(&request, BV_CTL_LAUNCH_WORKLOAD);
    request.spec.require_evidence = 0;
    request.identity.known = false;
    test_round_trip("launching nothing");
    scene_full(&fake, &request);
    test_round_trip("full");
    fake_init(&fake);
    request_init(&request);
    test_flips();
    test_forged();
    return tap_done();
}
