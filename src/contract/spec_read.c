/* contract/spec_read.c - a parsed document to struct bv_spec: shape and types.
 *
 * Refused here, at the exact place: a missing or unknown key, a wrong type, a word outside its table, a number that the
 * struct cannot hold. What the values mean is spec_check.c's, which runs at the end. The spec and all it points to live
 * in one arena that bv_spec_free() frees. Shape: INTERFACE.md 2. */
#include "contract/contract.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "contract/node.h"
#include "contract/spec_parts.h"

#include <string.h>

/* Bounds a reader of hostile documents; the structs of the largest plan need less (about eight bytes a document byte). */
#define ARENA_MAX_BYTES ((size_t)16 * BV_PLAN_MAX_BYTES)

struct owned_spec { /* what bv_spec_free() gets is the address of spec */
    struct bv_spec spec;
    struct bv_arena *arena;
};

/* Adds the claims of an optional list to the set. */
static bool read_claims(struct bv_reading *r, const struct bv_node *object, const char *key,
                        uint32_t *claims)
{
    struct bv_node list;
    size_t count;
    if (!bv_node_read_array(r, object, key, BV_OPTIONAL, &list, &count)) {
        return false;
    }
    uint32_t listed = 0;
    for (size_t i = 0; i < count; i++) {
        struct bv_node item = bv_node_item(&list, i);
        enum bv_claim claim;
        if (!json_is_string(item.json) ||
            !bv_claim_from_name(json_string_value(item.json), &claim)) {
            return bv_node_fail_words(r, &item.place, "must be one of", &bv_names_claim);
        }
        if (listed & (uint32_t)claim) {
            return bv_node_fail(r, &item.place, "named twice");
        }
        listed |= (uint32_t)claim;
    }
    *claims |= listed;
    return true;
}

/* ---- workload ---- */

static bool read_process(struct bv_reading *r, const struct bv_node *body,
                         struct bv_workload *workload)
{
    static const char *const keys[] = { "exe", "args", "cwd" };
    return bv_node_expect_object(r, body, keys, BV_COUNT(keys)) &&
           bv_node_read_text(r, body, "exe", BV_REQUIRED, &workload->path);
}

static bool read_wasm(struct bv_reading *r, const struct bv_node *body,
                      struct bv_workload *workload)
{
    static const char *const keys[] = { "module", "module_digest", "args", "cwd" };
    struct bv_node digest;
    if (!bv_node_expect_object(r, body, keys, BV_COUNT(keys)) ||
        !bv_node_member(r, body, "module_digest", BV_OPTIONAL, &digest)) {
        return false;
    }
    if (digest.json) {
        return bv_node_fail(r, &digest.place,
                            "stands for module bytes, which only the program that made this spec "
                            "holds; name a file with module");
    }
    return bv_node_read_text(r, body, "module", BV_REQUIRED, &workload->path);
}

static bool read_workload(struct bv_reading *r, const struct bv_node *root,
                          struct bv_workload *workload)
{
    struct bv_node node, body;
    size_t kind;
    if (!bv_node_member(r, root, "workload", BV_REQUIRED, &node) ||
        !bv_node_tagged(r, &node, &bv_names_workload, &kind, &body)) {
        return false;
    }
    workload->kind = (enum bv_workload_kind)kind;
    workload->cwd = "/";
    bool is_wasm = workload->kind == BV_WORKLOAD_WASM;
    return (is_wasm ? read_wasm(r, &body, workload) : read_process(r, &body, workload)) &&
           bv_node_read_texts(r, &body, "args", BV_OPTIONAL, &workload->args,
                              &workload->arg_count) &&
           bv_node_read_text(r, &body, "cwd", BV_OPTIONAL, &workload->cwd);
}

/* ---- capabilities ---- */

static bool read_filesystem(struct bv_reading *r, const struct bv_node *body,
                            struct bv_capability *capability)
{
    static const char *const keys[] = { "access", "execute", "roots", "recursive", "confinement" };
    struct bv_filesystem *filesystem = &capability->u.filesystem;
    size_t access;
    filesystem->recursive = true;
    if (!bv_node_expect_object(r, body, keys, BV_COUNT(keys)) ||
        !bv_node_read_word(r, body, "access", &bv_names_access, &access) ||
        !bv_node_read_bool(r, body, "execute", &filesystem->execute) ||
        !bv_node_read_bool(r, body, "recursive", &filesystem->recursive) ||
        !bv_node_read_fixed(r, body, "confinement", "declared_roots_only")) {
        return false;
    }
    filesystem->access = (enum bv_access)access;
    return bv_node_read_texts(r, body, "roots", BV_REQUIRED, &filesystem->roots,
                              &filesystem->root_count);
}

static bool read_destination(struct bv_reading *r, const struct bv_node *item,
                             struct bv_destination *destination)
{
    static const char *const keys[] = { "host", "port" };
    struct bv_node port;
    uint64_t number;
    if (!bv_node_expect_object(r, item, keys, BV_COUNT(keys)) ||
        !bv_node_read_text(r, item, "host", BV_REQUIRED, &destination->host) ||
        !bv_node_member(r, item, "port", BV_REQUIRED, &port) ||
        !bv_node_take_integer(r, &port, UINT16_MAX, &number)) {
        return false;
    }
    destination->port = (uint16_t)number;
    return true;
}

static bool read_network(struct bv_reading *r, const struct bv_node *body,
                         struct bv_capability *capability)
{
    static const char *const keys[] = { "policy", "destinations" };
    struct bv_network *network = &capability->u.network;
    struct bv_node list;
    size_t policy, count;
    if (!bv_node_expect_object(r, body, keys, BV_COUNT(keys)) ||
        !bv_node_read_word(r, body, "policy", &bv_names_network, &policy)) {
        return false;
    }
    network->policy = (enum bv_network_policy)policy;
    bool is_list = network->policy == BV_NETWORK_ALLOW_LIST;
    if (!bv_node_read_array(r, body, "destinations", is_list ? BV_REQUIRED : BV_OPTIONAL, &list,
                            &count)) {
        return false;
    }
    if (list.json && !is_list) { /* an empty list here, too, says something else than it seems to */
        return bv_node_fail(r, &list.place, "belongs to the policy allow_list");
    }
    struct bv_destination *destinations = bv_arena_array(r->arena, count, sizeof(*destinations));
    if (!destinations) {
        return bv_node_nomem(r);
    }
    for (size_t i = 0; i < count; i++) {
        struct bv_node item = bv_node_item(&list, i);
        if (!read_destination(r, &item, &destinations[i])) {
            return false;
        }
    }
    network->destinations = destinations;
    network->destination_count = count;
    return true;
}

static bool read_child_spawn(struct bv_reading *r, const struct bv_node *body,
                             struct bv_capability *capability)
{
    static const char *const keys[] = { "policy" };
    size_t policy;
    if (!bv_node_expect_object(r, body, keys, BV_COUNT(keys)) ||
        !bv_node_read_word(r, body, "policy", &bv_names_spawn, &policy)) {
        return false;
    }
    capability->u.child_spawn = (enum bv_spawn_policy)policy;
    return true;
}

static bool read_environment(struct bv_reading *r, const struct bv_node *body,
                             struct bv_capability *capability)
{
    static const char *const keys[] = { "exact" };
    static const char *const entry_keys[] = { "name", "literal", "secret" };
    struct bv_node list;
    size_t count;
    if (!bv_node_expect_object(r, body, keys, BV_COUNT(keys)) ||
        !bv_node_read_array(r, body, "exact", BV_REQUIRED, &list, &count)) {
        return false;
    }
    struct bv_env_entry *entries = bv_arena_array(r->arena, count, sizeof(*entries));
    if (!entries) {
        return bv_node_nomem(r);
    }
    for (size_t i = 0; i < count; i++) {
        struct bv_node item = bv_node_item(&list, i);
        if (!bv_node_expect_object(r, &item, entry_keys, BV_COUNT(entry_keys)) ||
            !bv_node_read_text(r, &item, "name", BV_REQUIRED, &entries[i].name) ||
            !bv_node_read_text(r, &item, "literal", BV_OPTIONAL, &entries[i].literal) ||
            !bv_node_read_text(r, &item, "secret", BV_OPTIONAL, &entries[i].secret)) {
            return false;
        }
    }
    capability->u.environment = (struct bv_environment){ entries, count };
    return true;
}

static bool read_inherited_fds(struct bv_reading *r, const struct bv_node *body,
                               struct bv_capability *capability)
{
    static const char *const keys[] = { "policy", "fds" };
    struct bv_node list;
    size_t is_only, count;
    if (!bv_node_expect_object(r, body, keys, BV_COUNT(keys)) ||
        !bv_node_read_word(r, body, "policy", &bv_names_fds, &is_only) ||
        !bv_node_read_array(r, body, "fds", is_only ? BV_REQUIRED : BV_OPTIONAL, &list, &count)) {
        return false;
    }
    if (list.json && !is_only) {
        return bv_node_fail(r, &list.place, "belongs to the policy only");
    }
    if (is_only && count == 0) { /* in the struct an empty list is the policy none */
        return bv_node_fail(r, &list.place, "must name at least one descriptor");
    }
    int32_t *fds = bv_arena_array(r->arena, count, sizeof(*fds));
    if (!fds) {
        return bv_node_nomem(r);
    }
    for (size_t i = 0; i < count; i++) {
        struct bv_node item = bv_node_item(&list, i);
        uint64_t number;
        if (!bv_node_take_integer(r, &item, INT32_MAX, &number)) {
            return false;
        }
        fds[i] = (int32_t)number;
    }
    capability->u.inherited_fds = (struct bv_inherited_fds){ fds, count };
    return true;
}

static bool read_capability(struct bv_reading *r, const struct bv_node *item,
                            struct bv_capability *capability)
{
    struct bv_node body;
    size_t kind;
    if (!bv_node_tagged(r, item, &bv_names_capability, &kind, &body)) {
        return false;
    }
    capability->kind = (enum bv_capability_kind)kind;
    switch (capability->kind) {
    case BV_CAP_FILESYSTEM: return read_filesystem(r, &body, capability);
    case BV_CAP_NETWORK: return read_network(r, &body, capability);
    case BV_CAP_CHILD_SPAWN: return read_child_spawn(r, &body, capability);
    case BV_CAP_ENVIRONMENT: return read_environment(r, &body, capability);
    case BV_CAP_INHERITED_FDS: return read_inherited_fds(r, &body, capability);
    }
    BV_UNREACHABLE();
}

static bool read_capabilities(struct bv_reading *r, const struct bv_node *root,
                              struct bv_spec *spec)
{
    struct bv_node list;
    size_t count;
    if (!bv_node_read_array(r, root, "capabilities", BV_OPTIONAL, &list, &count)) {
        return false;
    }
    struct bv_capability *capabilities = bv_arena_array(r->arena, count, sizeof(*capabilities));
    if (!capabilities) {
        return bv_node_nomem(r);
    }
    for (size_t i = 0; i < count; i++) {
        struct bv_node item = bv_node_item(&list, i);
        if (!read_capability(r, &item, &capabilities[i])) {
            return false;
        }
    }
    spec->capabilities = capabilities;
    spec->capability_count = count;
    return true;
}

/* ---- controls ---- */

static bool read_capture(struct bv_reading *r, const struct bv_node *body,
                         struct bv_capture *capture)
{
    static const char *const keys[] = { "stdout", "stderr", "stdin" };
    return bv_node_expect_object(r, body, keys, BV_COUNT(keys)) &&
           bv_node_read_bool(r, body, "stdout", &capture->out) &&
           bv_node_read_bool(r, body, "stderr", &capture->err) &&
           bv_node_read_bool(r, body, "stdin", &capture->in);
}

static bool read_temp_root(struct bv_reading *r, const struct bv_node *body,
                           struct bv_temp_root *temp_root)
{
    static const char *const keys[] = { "visibility", "size_bytes" };
    struct bv_node size;
    if (!bv_node_expect_object(r, body, keys, BV_COUNT(keys)) ||
        !bv_node_read_fixed(r, body, "visibility", "private_to_boundary") ||
        !bv_node_member(r, body, "size_bytes", BV_OPTIONAL, &size)) {
        return false;
    }
    temp_root->sized = size.json != NULL;
    return !size.json ||
           bv_node_take_integer(r, &size, BV_JSON_MAX_INTEGER, &temp_root->size_bytes);
}

static bool read_expose(struct bv_reading *r, const struct bv_node *body, struct bv_expose *expose)
{
    static const char *const keys[] = { "source", "dest", "access", "view" };
    size_t access;
    if (!bv_node_expect_object(r, body, keys, BV_COUNT(keys)) ||
        !bv_node_read_text(r, body, "source", BV_REQUIRED, &expose->source) ||
        !bv_node_read_text(r, body, "dest", BV_REQUIRED, &expose->dest) ||
        !bv_node_read_word(r, body, "access", &bv_names_access, &access) ||
        !bv_node_read_fixed(r, body, "view", "private_to_boundary")) {
        return false;
    }
    expose->access = (enum bv_access)access;
    return true;
}

static bool read_commit(struct bv_reading *r, const struct bv_node *body,
                        enum bv_durability *ret_durability)
{
    static const char *const keys[] = { "durability" };
    size_t durability;
    if (!bv_node_expect_object(r, body, keys, BV_COUNT(keys)) ||
        !bv_node_read_word(r, body, "durability", &bv_names_durability, &durability)) {
        return false;
    }
    *ret_durability = (enum bv_durability)durability;
    return true;
}

static bool read_kill(struct bv_reading *r, const struct bv_node *body, struct bv_kill *ret_kill)
{
    static const char *const keys[] = { "target", "guarantee" };
    size_t is_atomic;
    if (!bv_node_expect_object(r, body, keys, BV_COUNT(keys)) ||
        !bv_node_read_fixed(r, body, "target", "run_tree") ||
        !bv_node_read_word(r, body, "guarantee", &bv_names_kill, &is_atomic)) {
        return false;
    }
    ret_kill->atomic = is_atomic;
    return true;
}

static bool read_control(struct bv_reading *r, const struct bv_node *item,
                         struct bv_control *control)
{
    struct bv_node body;
    size_t kind;
    if (!bv_node_tagged(r, item, &bv_names_control, &kind, &body)) {
        return false;
    }
    control->kind = (enum bv_control_kind)kind;
    switch (control->kind) {
    case BV_CTL_LAUNCH_WORKLOAD:
    case BV_CTL_DISCARD_ARTIFACT:
    case BV_CTL_LIST_OUTPUTS: return bv_node_expect_object(r, &body, NULL, 0);
    case BV_CTL_CAPTURE_STREAMS: return read_capture(r, &body, &control->u.capture);
    case BV_CTL_TEMP_ROOT: return read_temp_root(r, &body, &control->u.temp_root);
    case BV_CTL_EXPOSE_PATH: return read_expose(r, &body, &control->u.expose);
    case BV_CTL_COMMIT_ARTIFACT: return read_commit(r, &body, &control->u.commit);
    case BV_CTL_KILL: return read_kill(r, &body, &control->u.kill);
    }
    BV_UNREACHABLE();
}

static bool read_controls(struct bv_reading *r, const struct bv_node *root, struct bv_spec *spec)
{
    struct bv_node list;
    size_t count;
    if (!bv_node_read_array(r, root, "controls", BV_OPTIONAL, &list, &count)) {
        return false;
    }
    struct bv_control *controls = bv_arena_array(r->arena, count, sizeof(*controls));
    if (!controls) {
        return bv_node_nomem(r);
    }
    for (size_t i = 0; i < count; i++) {
        struct bv_node item = bv_node_item(&list, i);
        if (!read_control(r, &item, &controls[i])) {
            return false;
        }
    }
    spec->controls = controls;
    spec->control_count = count;
    return true;
}

/* ---- budgets and evidence ---- */

static bool read_request(struct bv_reading *r, const struct bv_node *budgets, const char *key,
                         struct bv_budget_request *ret_request)
{
    static const char *const keys[] = { "limit", "guarantee", "evidence" };
    struct bv_budget_request request = { 0 };
    struct bv_node node, limit;
    size_t guarantee;
    if (!bv_node_member(r, budgets, key, BV_REQUIRED, &node) ||
        !bv_node_expect_object(r, &node, keys, BV_COUNT(keys)) ||
        !bv_node_member(r, &node, "limit", BV_REQUIRED, &limit)) {
        return false;
    }
    if (json_is_string(limit.json)) {
        if (strcmp(json_string_value(limit.json), "unlimited") != 0) {
            return bv_node_fail(r, &limit.place, "must be an integer or \"unlimited\"");
        }
        request.limit = BV_UNLIMITED;
    } else if (!json_is_integer(limit.json)) {
        return bv_node_fail(r, &limit.place, "must be an integer or \"unlimited\"");
    } else if (!bv_node_take_integer(r, &limit, BV_JSON_MAX_INTEGER, &request.limit)) {
        return false;
    }
    if (!bv_node_read_word(r, &node, "guarantee", &bv_names_guarantee, &guarantee) ||
        !read_claims(r, &node, "evidence", &request.evidence)) {
        return false;
    }
    request.guarantee = (enum bv_guarantee)guarantee;
    *ret_request = request;
    return true;
}

static bool read_budgets(struct bv_reading *r, const struct bv_node *root, struct bv_spec *spec)
{
    struct bv_node budgets;
    if (!bv_node_member(r, root, "budgets", BV_REQUIRED, &budgets)) {
        return false;
    }
    if (json_object_get(budgets.json, "uniform")) {
        if (json_object_size(budgets.json) != 1) {
            return bv_node_fail(
                r, &budgets.place,
                "uniform stands for all seven dimensions and allows no key beside it");
        }
        if (!read_request(r, &budgets, "uniform", &spec->budgets[0])) {
            return false;
        }
        for (size_t i = 1; i < BV_DIMENSION_COUNT; i++) {
            spec->budgets[i] = spec->budgets[0];
        }
        return true;
    }
    if (!bv_node_expect_object(r, &budgets, bv_names_dimension.names, BV_DIMENSION_COUNT)) {
        return false;
    }
    for (size_t i = 0; i < BV_DIMENSION_COUNT; i++) {
        if (!read_request(r, &budgets, bv_names_dimension.names[i], &spec->budgets[i])) {
            return false;
        }
    }
    return true;
}

static bool read_evidence(struct bv_reading *r, const struct bv_node *root, struct bv_spec *spec)
{
    static const char *const keys[] = { "require_captured_streams", "require_exit_status",
                                        "require" };
    struct bv_node evidence;
    bool streams = false, exit_status = false;
    if (!bv_node_member(r, root, "evidence", BV_OPTIONAL, &evidence)) {
        return false;
    }
    if (!evidence.json) {
        return true;
    }
    if (!bv_node_expect_object(r, &evidence, keys, BV_COUNT(keys)) ||
        !bv_node_read_bool(r, &evidence, keys[0], &streams) ||
        !bv_node_read_bool(r, &evidence, keys[1], &exit_status) ||
        !read_claims(r, &evidence, "require", &spec->require_evidence)) {
        return false;
    }
    spec->require_evidence |= (streams ? (uint32_t)BV_CLAIM_CAPTURED_STREAMS : 0) |
                              (exit_status ? (uint32_t)BV_CLAIM_TERMINAL_OUTCOME : 0);
    return true;
}

static bool read_spec(struct bv_reading *r, const struct bv_node *root, struct bv_spec *spec)
{
    static const char *const keys[] = { "schema",   "workload", "capabilities",
                                        "controls", "budgets",  "evidence" };
    struct bv_node schema;
    return bv_node_expect_object(r, root, keys, BV_COUNT(keys)) &&
           bv_node_member(r, root, "schema", BV_REQUIRED, &schema) &&
           bv_node_read_fixed(r, root, "schema", BV_SPEC_SCHEMA_NAME) &&
           read_workload(r, root, &spec->workload) && read_capabilities(r, root, spec) &&
           read_controls(r, root, spec) && read_budgets(r, root, spec) &&
           read_evidence(r, root, spec);
}

enum bv_status bv_spec_from_json(const json_t *root, const char *prefix, struct bv_spec **ret_spec,
                                 struct bv_error *error)
{
    struct bv_reading r = { .arena = bv_arena_new(ARENA_MAX_BYTES),
                            .error = error,
                            .status = BV_OK };
    struct owned_spec *owned = r.arena ? bv_arena_alloc(r.arena, sizeof(*owned)) : NULL;
    if (!owned) {
        bv_arena_free(r.arena);
        return bv_fail_nomem(error);
    }
    owned->arena = r.arena;
    struct bv_node node = { root, BV_PLACE_ROOT(prefix) };
    if (read_spec(&r, &node, &owned->spec)) {
        r.status = bv_spec_check_below(&owned->spec, prefix, error);
    }
    if (r.status != BV_OK) {
        bv_arena_free(r.arena);
        return r.status;
    }
    *ret_spec = &owned->spec;
    return BV_OK;
}

void bv_spec_free(struct bv_spec *spec)
{
    if (spec) {
        _Static_assert(offsetof(struct owned_spec, spec) == 0, "a spec's address is its owner's");
        bv_arena_free(((struct owned_spec *)spec)->arena);
    }
}
