/* contract/spec_write.c - struct bv_spec to its document, every default written out.
 *
 * Takes specs that passed bv_spec_check(), so that nothing but memory can fail; a spec and what bv_spec_parse() makes of
 * its document are equal. Sets are written sorted by name. Shape: INTERFACE.md 2. */
#include "contract/contract.h"

#include "base/check.h"
#include "contract/names.h"
#include "contract/spec_parts.h"
#include "contract/tree.h"

#include <string.h>

/* The two claims that documents write as flags of their own. */
#define FLAG_CLAIMS ((uint32_t)BV_CLAIM_TERMINAL_OUTCOME | (uint32_t)BV_CLAIM_CAPTURED_STREAMS)

static json_t *finish(json_t *value, bool ok)
{
    if (!ok) {
        json_decref(value);
        return NULL;
    }
    return value;
}

/* {"key": body}; takes the body over. */
static json_t *tagged(const char *key, json_t *body)
{
    json_t *object = json_object();
    return finish(object, tree_put(object, key, body));
}

static bool put_word(json_t *object, const char *key, const struct bv_names *names, size_t value)
{
    return tree_put_text(object, key, bv_name_of(names, value));
}

static json_t *text_list(const char *const *texts, size_t count)
{
    json_t *list = json_array();
    bool ok = list != NULL;
    for (size_t i = 0; i < count && ok; i++) {
        ok = tree_append(list, json_string(texts[i]));
    }
    return finish(list, ok);
}

/* Selection by name over a handful of bits: the next greater name each time. */
static json_t *claim_list(uint32_t claims)
{
    json_t *list = json_array();
    bool ok = list != NULL;
    BV_ASSERT((claims & ~BV_CLAIMS_ALL) == 0);
    while (claims && ok) {
        size_t least = BV_CLAIM_COUNT;
        for (size_t bit = 0; bit < BV_CLAIM_COUNT; bit++) {
            const char *const *names = bv_names_claim.names;
            if ((claims >> bit & 1u) &&
                (least == BV_CLAIM_COUNT || strcmp(names[bit], names[least]) < 0)) {
                least = bit;
            }
        }
        claims &= ~(1u << least);
        ok = tree_append(list, json_string(bv_names_claim.names[least]));
    }
    return finish(list, ok);
}

json_t *bv_workload_to_json(const struct bv_workload *workload)
{
    json_t *body = json_object();
    bool ok = tree_put(body, "args", text_list(workload->args, workload->arg_count)) &&
              tree_put_text(body, "cwd", workload->cwd ? workload->cwd : "/");
    if (ok && workload->kind == BV_WORKLOAD_PROCESS) {
        ok = tree_put_text(body, "exe", workload->path);
    } else if (ok && workload->module_bytes) {
        char digest[BV_DIGEST_TEXT_SIZE];
        bv_digest_bytes(workload->module_bytes, workload->module_size, digest);
        ok = tree_put_text(body, "module_digest", digest);
    } else if (ok) {
        ok = tree_put_text(body, "module", workload->path);
    }
    return tagged(bv_name_of(&bv_names_workload, (size_t)workload->kind), finish(body, ok));
}

static bool put_filesystem(json_t *body, const struct bv_filesystem *filesystem)
{
    return put_word(body, "access", &bv_names_access, (size_t)filesystem->access) &&
           tree_put_bool(body, "execute", filesystem->execute) &&
           tree_put_bool(body, "recursive", filesystem->recursive) &&
           tree_put_text(body, "confinement", "declared_roots_only") &&
           tree_put(body, "roots", text_list(filesystem->roots, filesystem->root_count));
}

static bool put_network(json_t *body, const struct bv_network *network)
{
    if (!put_word(body, "policy", &bv_names_network, (size_t)network->policy)) {
        return false;
    }
    if (network->policy != BV_NETWORK_ALLOW_LIST) {
        return true;
    }
    json_t *list = json_array();
    if (!tree_put(body, "destinations", list)) {
        return false;
    }
    for (size_t i = 0; i < network->destination_count; i++) {
        json_t *item = json_object();
        if (!tree_append(list, item) ||
            !tree_put_text(item, "host", network->destinations[i].host) ||
            !tree_put_u64(item, "port", network->destinations[i].port)) {
            return false;
        }
    }
    return true;
}

static bool put_environment(json_t *body, const struct bv_environment *environment)
{
    json_t *list = json_array();
    if (!tree_put(body, "exact", list)) {
        return false;
    }
    for (size_t i = 0; i < environment->entry_count; i++) {
        const struct bv_env_entry *entry = &environment->entries[i];
        json_t *item = json_object();
        if (!tree_append(list, item) || !tree_put_text(item, "name", entry->name) ||
            !tree_put_text(item, entry->literal ? "literal" : "secret",
                           entry->literal ? entry->literal : entry->secret)) {
            return false;
        }
    }
    return true;
}

static bool put_inherited_fds(json_t *body, const struct bv_inherited_fds *inherited)
{
    bool is_only = inherited->fd_count > 0;
    if (!put_word(body, "policy", &bv_names_fds, is_only)) {
        return false;
    }
    json_t *list = is_only ? json_array() : NULL;
    if (is_only && !tree_put(body, "fds", list)) {
        return false;
    }
    for (size_t i = 0; i < inherited->fd_count; i++) {
        if (!tree_append(list, json_integer(inherited->fds[i]))) {
            return false;
        }
    }
    return true;
}

static bool put_capability(json_t *body, const struct bv_capability *capability)
{
    switch (capability->kind) {
    case BV_CAP_FILESYSTEM: return put_filesystem(body, &capability->u.filesystem);
    case BV_CAP_NETWORK: return put_network(body, &capability->u.network);
    case BV_CAP_CHILD_SPAWN:
        return put_word(body, "policy", &bv_names_spawn, (size_t)capability->u.child_spawn);
    case BV_CAP_ENVIRONMENT: return put_environment(body, &capability->u.environment);
    case BV_CAP_INHERITED_FDS: return put_inherited_fds(body, &capability->u.inherited_fds);
    }
    BV_UNREACHABLE();
}

json_t *bv_capability_to_json(const struct bv_capability *capability)
{
    json_t *body = json_object();
    bool ok = body && put_capability(body, capability);
    return tagged(bv_name_of(&bv_names_capability, (size_t)capability->kind), finish(body, ok));
}

static bool put_control(json_t *body, const struct bv_control *control)
{
    switch (control->kind) {
    case BV_CTL_LAUNCH_WORKLOAD:
    case BV_CTL_DISCARD_ARTIFACT:
    case BV_CTL_LIST_OUTPUTS: return true;
    case BV_CTL_CAPTURE_STREAMS:
        return tree_put_bool(body, "stdout", control->u.capture.out) &&
               tree_put_bool(body, "stderr", control->u.capture.err) &&
               tree_put_bool(body, "stdin", control->u.capture.in);
    case BV_CTL_TEMP_ROOT:
        return tree_put_text(body, "visibility", "private_to_boundary") &&
               (!control->u.temp_root.sized ||
                tree_put_u64(body, "size_bytes", control->u.temp_root.size_bytes));
    case BV_CTL_EXPOSE_PATH:
        return tree_put_text(body, "source", control->u.expose.source) &&
               tree_put_text(body, "dest", control->u.expose.dest) &&
               put_word(body, "access", &bv_names_access, (size_t)control->u.expose.access) &&
               tree_put_text(body, "view", "private_to_boundary");
    case BV_CTL_COMMIT_ARTIFACT:
        return put_word(body, "durability", &bv_names_durability, (size_t)control->u.commit);
    case BV_CTL_KILL:
        return tree_put_text(body, "target", "run_tree") &&
               put_word(body, "guarantee", &bv_names_kill, control->u.kill.atomic);
    }
    BV_UNREACHABLE();
}

json_t *bv_control_to_json(const struct bv_control *control)
{
    json_t *body = json_object();
    bool ok = body && put_control(body, control);
    return tagged(bv_name_of(&bv_names_control, (size_t)control->kind), finish(body, ok));
}

static json_t *budgets_to_json(const struct bv_spec *spec)
{
    json_t *budgets = json_object();
    bool ok = budgets != NULL;
    for (size_t i = 0; i < BV_DIMENSION_COUNT && ok; i++) {
        const struct bv_budget_request *request = &spec->budgets[i];
        json_t *item = json_object();
        ok = tree_put(budgets, bv_name_of(&bv_names_dimension, i), item) &&
             put_word(item, "guarantee", &bv_names_guarantee, (size_t)request->guarantee) &&
             tree_put(item, "evidence", claim_list(request->evidence));
        if (ok && request->limit == BV_UNLIMITED) {
            ok = tree_put_text(item, "limit", "unlimited");
        } else if (ok) {
            ok = tree_put_u64(item, "limit", request->limit);
        }
    }
    return finish(budgets, ok);
}

static json_t *evidence_to_json(uint32_t claims)
{
    json_t *evidence = json_object();
    return finish(evidence, tree_put_bool(evidence, "require_captured_streams",
                                          claims & (uint32_t)BV_CLAIM_CAPTURED_STREAMS) &&
                                tree_put_bool(evidence, "require_exit_status",
                                              claims & (uint32_t)BV_CLAIM_TERMINAL_OUTCOME) &&
                                tree_put(evidence, "require", claim_list(claims & ~FLAG_CLAIMS)));
}

json_t *bv_spec_to_json(const struct bv_spec *spec)
{
    json_t *root = json_object();
    json_t *capabilities = json_array();
    json_t *controls = json_array();
    bool ok = tree_put(root, "capabilities", capabilities);
    ok = tree_put(root, "controls", controls) && ok; /* each is taken over, also after a failure */
    for (size_t i = 0; i < spec->capability_count && ok; i++) {
        ok = tree_append(capabilities, bv_capability_to_json(&spec->capabilities[i]));
    }
    for (size_t i = 0; i < spec->control_count && ok; i++) {
        ok = tree_append(controls, bv_control_to_json(&spec->controls[i]));
    }
    ok = ok && tree_put_text(root, "schema", BV_SPEC_SCHEMA_NAME) &&
         tree_put(root, "workload", bv_workload_to_json(&spec->workload)) &&
         tree_put(root, "budgets", budgets_to_json(spec)) &&
         tree_put(root, "evidence", evidence_to_json(spec->require_evidence));
    return finish(root, ok);
}
