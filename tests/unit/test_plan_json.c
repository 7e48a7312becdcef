/* tests/unit/test_plan_json.c - the plan's document: byte for byte as it was, its identity, its findings, no secret in it. */
#include "contract/plan.h"

#include "base/check.h"
#include "support/fake.h"
#include "support/scenes.h"
#include "support/tap.h"

static struct fake fake;
static struct request request;

static void golden(const char *directory, const char *name)
{
    char *text = NULL;
    struct bv_plan *plan = fake_plan(&fake, &request);
    tap_ok(plan && bv_plan_json(plan, &text, NULL) == BV_OK, "%s: a document", name);
    tap_ok(text && golden_check(directory, name, text), "%s: byte for byte as it was", name);
    bv_free(text);
    bv_plan_free(plan);
}

/* The plan's document as a tree. */
static json_t *tree_of(const struct bv_plan *plan)
{
    json_t *tree = NULL;
    char *text = NULL;
    tap_ok(plan && bv_plan_json(plan, &text, NULL) == BV_OK &&
               bv_json_read(text, strlen(text), BV_PLAN_MAX_BYTES, &tree, NULL) == BV_OK,
           "the document can be read");
    bv_free(text);
    return tree;
}

static void test_identity(void)
{
    char digest[BV_DIGEST_TEXT_SIZE];
    struct bv_plan *plan = fake_plan(&fake, &request);
    json_t *tree = tree_of(plan);
    tap_text(text_at(tree, "plan_id"), bv_plan_id(plan), "the document holds its id");
    (void)json_object_del(tree, "plan_id");
    tap_ok(bv_json_digest(tree, digest), "a digest of all but plan_id");
    tap_text(bv_plan_id(plan), digest, "is the plan's id");
    char *spec = NULL, *text = NULL;
    tap_ok(bv_spec_json(&request.spec, &spec, NULL) == BV_OK, "the spec");
    bv_digest_bytes(spec, strlen(spec), digest);
    tap_text(text_at(tree, "spec_hash"), digest, "has the spec_hash");
    tap_text(text_at(tree, "profile/hash"), bv_plan_profile_hash(plan),
             "the profile's hash is in the profile");
    tap_ok(bv_plan_json(plan, &text, NULL) == BV_OK, "the document again");
    (void)json_object_set_new(tree, "plan_id", json_string(bv_plan_id(plan)));
    char *canonical = bv_json_text(tree, BV_PLAN_MAX_BYTES);
    tap_text(text, canonical, "the document is what the writer of trees makes of it");
    bv_free(canonical);
    bv_free(text);
    bv_free(spec);
    json_decref(tree);
    bv_plan_free(plan);
}

static bool has_finding(const json_t *tree, const char *kind, const char *detail)
{
    const json_t *findings = json_object_get(tree, "findings");
    for (size_t i = 0; i < json_array_size(findings); i++) {
        const json_t *finding = json_array_get(findings, i);
        if (strcmp(text_at(finding, "kind"), kind) == 0 &&
            strstr(text_at(finding, "detail"), detail)) {
            return true;
        }
    }
    return false;
}

static void test_content(void)
{
    struct bv_plan *plan = fake_plan(&fake, &request);
    json_t *tree = tree_of(plan);
    tap_ok(has_finding(tree, "temp_root_bounded", "1048576"),
           "a temp root that is smaller than asked for is a finding");
    tap_ok(has_finding(
               tree, "reduced",
               "network_allow_list is mediated: a relay copies every byte; remedy: an address"),
           "so is a reduced verdict");
    tap_ok(has_finding(tree, "limitation", "filesystem: locks on read-only roots"), "so is a note");
    tap_ok(has_finding(tree, "limitation", "storage_bytes: charged to memory"), "of a budget, too");
    tap_ok(json_array_size(json_object_get(tree, "findings")) == 4,
           "each of them once, however many grants have it");
    tap_text(text_at(tree, "budget/network_bytes/limit"), "unlimited", "unlimited is written down");
    tap_text(text_at(tree, "budget/network_bytes/supplied/guarantee"), "mediated", "as mediated");
    tap_text(text_at(tree, "budget/process_count/supplied/guarantee"), "enforced",
             "a supplied guarantee");
    tap_ok(tree_at(tree, "budget/wall_micros/supplied/max_overshoot") != NULL,
           "an overshoot where it is mediated");
    tap_text(text_at(tree, "workload/digest"), request.identity.digest, "the workload's digest");
    json_decref(tree);
    bv_plan_free(plan);
}

static void test_interpreter(void)
{
    static const char path[] = "/usr/lib/\377"; /* no document can hold this as it is */
    memcpy(request.identity.interpreter, "/lib64/ld", 10);
    memcpy(request.identity.interpreter_path, path, sizeof(path));
    memcpy(request.identity.interpreter_digest, request.identity.digest,
           sizeof(request.identity.digest));
    struct bv_plan *plan = fake_plan(&fake, &request);
    json_t *tree = tree_of(plan);
    tap_text(text_at(tree, "workload/interpreter/path_base64"),
             "L3Vzci9saWIv/w==", "an interpreter's path as base64");
    tap_text(text_at(tree, "workload/interpreter/digest"), request.identity.digest,
             "and its digest");
    json_decref(tree);
    bv_plan_free(plan);
}

int main(int argc, char **argv)
{
    const char *directory = argc > 1 ? argv[1] : ".";
    fake_init(&fake);
    request_init(&request);
    golden(directory, "plan_bare.json");
    scene_full(&fake, &request);
    golden(directory, "plan_full.json");
    test_identity();
    test_content();
    test_interpreter();
    return tap_done();
}
