/* contract/plan_read.c - a saved plan back to the spec that it was made from.
 *
 * A saved plan is a request to do the same again, not an authority: the runner re-admits the spec on the machine as it
 * is and compares ids. Here only the document is judged. It is valid if and only if plan_id is the hash of the canonical
 * form of all the rest, and the spec that its members rebuild hashes to spec_hash. Specified by INTERFACE.md 3. */
#include "contract/contract.h"

#include "base/check.h"
#include "base/error.h"
#include "contract/shape.h"
#include "contract/tree.h"

#include <string.h>

static const char *const plan_keys[] = {
    "schema",  "plan_id",  "backend", "spec_hash", "workload",
    "profile", "admitted", "budget",  "evidence",  "findings"
};
static const char *const capability_keys[] = { "filesystem", "network", "child_spawn",
                                               "environment", "inherited_fds" };

static enum bv_status check_frame(json_t *root, struct bv_saved_plan *saved, struct bv_error *error)
{
    const char *schema = tree_text(root, "schema"), *backend = tree_text(root, "backend");
    const char *plan_id = tree_text(root, "plan_id"), *spec_hash = tree_text(root, "spec_hash");
    const char *profile_hash = tree_text(json_object_get(root, "profile"), "hash");
    if (!schema || strcmp(schema, "bvisor.plan/1") != 0) {
        return bv_fail(error, BV_E_INVALID, "/schema", "not a bvisor.plan/1 document");
    }
    if (!bv_shape_canonical(root)) {
        return bv_fail(error, BV_E_INVALID, "",
                       "the plan holds what none of ours can: U+007F, or a key that is not ASCII");
    }
    if (!bv_shape_keys(root, plan_keys, BV_COUNT(plan_keys)) ||
        json_object_size(root) != BV_COUNT(plan_keys)) {
        return bv_fail(error, BV_E_INVALID, "", "a member of the plan is missing or unknown");
    }
    if (!backend || strlen(backend) == 0 || strlen(backend) >= sizeof(saved->backend)) {
        return bv_fail(error, BV_E_INVALID, "/backend", "not the id of a backend");
    }
    if (!bv_shape_digest(plan_id)) {
        return bv_fail(error, BV_E_INVALID, "/plan_id", "not a digest");
    }
    if (!bv_shape_digest(spec_hash)) {
        return bv_fail(error, BV_E_INVALID, "/spec_hash", "not a digest");
    }
    if (!bv_shape_digest(profile_hash)) {
        return bv_fail(error, BV_E_INVALID, "/profile/hash", "not a digest");
    }
    bv_copy_text(saved->backend, sizeof(saved->backend), backend);
    bv_copy_text(saved->plan_id, sizeof(saved->plan_id), plan_id);
    bv_copy_text(saved->profile_hash, sizeof(saved->profile_hash), profile_hash);
    return BV_OK;
}

/* Consumes the document's plan_id: afterwards root is what was hashed. */
static enum bv_status check_id(json_t *root, const char *plan_id, struct bv_error *error)
{
    char computed[BV_DIGEST_TEXT_SIZE];
    (void)json_object_del(root, "plan_id");
    if (!bv_json_digest(root, computed)) {
        return bv_fail_nomem(error); /* check_frame() saw that there is a canonical form */
    }
    if (strcmp(computed, plan_id) != 0) {
        return bv_fail(error, BV_E_CORRUPT, "/plan_id", "the plan was changed: its hash is %s",
                       computed);
    }
    return BV_OK;
}

static bool is_capability(const json_t *requirement)
{
    for (size_t i = 0; i < BV_COUNT(capability_keys); i++) {
        if (json_object_get(requirement, capability_keys[i])) {
            return true;
        }
    }
    return false;
}

/* The items that were written in the spec, in its order: capabilities and controls. */
static enum bv_status rebuild_requirements(const json_t *root, json_t *spec, struct bv_error *error)
{
    const json_t *admitted = json_object_get(root, "admitted");
    json_t *capabilities = json_array(), *controls = json_array();
    bool ok = tree_put(spec, "capabilities", capabilities);
    ok = tree_put(spec, "controls", controls) && ok;
    if (!ok) {
        return bv_fail_nomem(error);
    }
    if (!json_is_array(admitted)) {
        return bv_fail(error, BV_E_INVALID, "/admitted", "must be an array");
    }
    for (size_t i = 0; i < json_array_size(admitted); i++) {
        const json_t *item = json_array_get(admitted, i),
                     *implied = json_object_get(item, "implied");
        json_t *requirement = json_object_get(item, "requirement");
        if (!json_is_boolean(implied) || !json_is_object(requirement)) {
            return bv_fail(error, BV_E_INVALID, "/admitted",
                           "item %zu must hold a requirement and the flag implied", i);
        }
        json_t *list = is_capability(requirement) ? capabilities : controls;
        if (json_is_false(implied) && json_array_append(list, requirement) != 0) {
            return bv_fail_nomem(error);
        }
    }
    return BV_OK;
}

static enum bv_status rebuild_budgets(const json_t *root, json_t *spec, struct bv_error *error)
{
    const json_t *budget = json_object_get(root, "budget");
    json_t *budgets = json_object();
    bool ok = tree_put(spec, "budgets", budgets);
    for (unsigned d = 0; ok && d < BV_DIMENSION_COUNT; d++) {
        const char *name = bv_dimension_name((enum bv_dimension)d);
        const json_t *witness = json_object_get(budget, name);
        json_t *limit = json_object_get(witness, "limit"),
               *required = json_object_get(witness, "required");
        json_t *evidence = json_object_get(witness, "evidence");
        if (!limit || !required || !evidence) {
            return bv_fail(error, BV_E_INVALID, "/budget",
                           "%s must hold limit, required and evidence", name);
        }
        json_t *request = json_object();
        ok = tree_put_shared(request, "limit", limit);
        ok = tree_put_shared(request, "guarantee", required) && ok;
        ok = tree_put_shared(request, "evidence", evidence) && ok;
        ok = tree_put(budgets, name, request) && ok;
    }
    return ok ? BV_OK : bv_fail_nomem(error);
}

static enum bv_status rebuild_evidence(const json_t *root, json_t *spec, struct bv_error *error)
{
    json_t *required = json_object_get(json_object_get(root, "evidence"), "required");
    if (!required) {
        return bv_fail(error, BV_E_INVALID, "/evidence", "must hold the claims required");
    }
    json_t *evidence = json_object();
    bool ok =
        tree_put_bool(evidence, "require_captured_streams", false); /* the list names every claim */
    ok = tree_put_bool(evidence, "require_exit_status", false) && ok;
    ok = tree_put_shared(evidence, "require", required) && ok;
    ok = tree_put(spec, "evidence", evidence) && ok;
    return ok ? BV_OK : bv_fail_nomem(error);
}

static enum bv_status rebuild_workload(const json_t *root, json_t *spec,
                                       struct bv_saved_plan *saved, struct bv_error *error)
{
    const json_t *workload = json_object_get(root, "workload");
    json_t *process = json_object_get(workload, "process"),
           *wasm = json_object_get(workload, "wasm");
    const char *digest = tree_text(workload, "digest");
    if (!process == !wasm) {
        return bv_fail(error, BV_E_INVALID, "/workload", "must hold either process or wasm");
    }
    if (json_object_get(workload, "digest") && !bv_shape_digest(digest)) {
        return bv_fail(error, BV_E_INVALID, "/workload/digest", "not a digest");
    }
    bv_copy_text(saved->digest, sizeof(saved->digest), digest ? digest : "");
    json_t *asked = json_object();
    bool ok = tree_put_shared(asked, process ? "process" : "wasm", process ? process : wasm);
    ok = tree_put(spec, "workload", asked) && ok;
    return ok ? BV_OK : bv_fail_nomem(error);
}

static enum bv_status rebuild_spec(const json_t *root, struct bv_saved_plan *saved,
                                   struct bv_error *error)
{
    BV_AUTO(tree_drop) json_t *tree = json_object();
    if (!tree_put_text(tree, "schema", "bvisor.spec/1")) {
        return bv_fail_nomem(error);
    }
    enum bv_status status = rebuild_workload(root, tree, saved, error);
    if (status == BV_OK) {
        status = rebuild_requirements(root, tree, error);
    }
    if (status == BV_OK) {
        status = rebuild_budgets(root, tree, error);
    }
    if (status == BV_OK) {
        status = rebuild_evidence(root, tree, error);
    }
    return status == BV_OK ? bv_spec_from_json(tree, "/spec", &saved->spec, error) : status;
}

static enum bv_status check_spec_hash(const json_t *root, const struct bv_spec *spec,
                                      struct bv_error *error)
{
    char computed[BV_DIGEST_TEXT_SIZE];
    struct bv_buf buf;
    bv_buf_init(&buf, BV_PLAN_MAX_BYTES);
    bv_spec_emit(&buf, spec);
    const bool written = bv_emit_digest(&buf, computed);
    bv_buf_done(&buf);
    if (!written) {
        return bv_fail_nomem(error);
    }
    if (strcmp(computed, tree_text(root, "spec_hash")) != 0) {
        return bv_fail(error, BV_E_CORRUPT, "/spec_hash",
                       "the plan does not hold the spec that it names");
    }
    return BV_OK;
}

enum bv_status bv_plan_read(const char *text, size_t size, struct bv_saved_plan *ret_saved,
                            struct bv_error *error)
{
    if (!text || !ret_saved) {
        return bv_fail(error, BV_E_INVALID, "", "bv_plan_read: NULL argument");
    }
    BV_AUTO(tree_drop) json_t *root = NULL;
    struct bv_saved_plan saved = { .spec = NULL };
    enum bv_status status = bv_json_read(text, size, BV_PLAN_MAX_BYTES, &root, error);
    if (status == BV_OK) {
        status = check_frame(root, &saved, error);
    }
    if (status == BV_OK) {
        status = check_id(root, saved.plan_id, error);
    }
    if (status == BV_OK) {
        status = rebuild_spec(root, &saved, error);
    }
    if (status == BV_OK) {
        status = check_spec_hash(root, saved.spec, error);
    }
    if (status != BV_OK) {
        bv_spec_free(saved.spec);
        return status;
    }
    *ret_saved = saved;
    return BV_OK;
}
