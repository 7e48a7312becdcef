/* contract/spec_write.c - struct bv_spec to its document, every default written out.
 *
 * Takes specs that passed bv_spec_check(), so that nothing but memory can fail; a spec and what bv_spec_parse() makes of
 * its document are equal. Members and sets are written in the order of their names. Shape: INTERFACE.md 2. */
#include "contract/contract.h"

#include "base/check.h"
#include "contract/names.h"
#include "contract/spec_parts.h"
#include "contract/support.h"

#include <string.h>

/* The two claims that documents write as flags of their own. */
#define FLAG_CLAIMS ((uint32_t)BV_CLAIM_TERMINAL_OUTCOME | (uint32_t)BV_CLAIM_CAPTURED_STREAMS)

static void put_word(struct bv_emit *emit, const char *key, const struct bv_names *names,
                     size_t value)
{
    bv_emit_text(emit, key, bv_name_of(names, value));
}

static void put_texts(struct bv_emit *emit, const char *key, const char *const *texts, size_t count)
{
    bv_emit_array(emit, key);
    for (size_t i = 0; i < count; i++) {
        bv_emit_text(emit, NULL, texts[i]);
    }
    bv_emit_end(emit);
}

void bv_workload_emit(struct bv_emit *emit, const struct bv_workload *workload)
{
    bv_emit_object(emit, bv_name_of(&bv_names_workload, (size_t)workload->kind));
    put_texts(emit, "args", workload->args, workload->arg_count);
    bv_emit_text(emit, "cwd", workload->cwd ? workload->cwd : "/");
    if (workload->kind == BV_WORKLOAD_PROCESS) {
        bv_emit_text(emit, "exe", workload->path);
    } else if (workload->module_bytes) {
        char digest[BV_DIGEST_TEXT_SIZE];
        bv_digest_bytes(workload->module_bytes, workload->module_size, digest);
        bv_emit_text(emit, "module_digest", digest);
    } else {
        bv_emit_text(emit, "module", workload->path);
    }
    bv_emit_end(emit);
}

static void put_filesystem(struct bv_emit *emit, const struct bv_filesystem *filesystem)
{
    put_word(emit, "access", &bv_names_access, (size_t)filesystem->access);
    bv_emit_text(emit, "confinement", "declared_roots_only");
    bv_emit_bool(emit, "execute", filesystem->execute);
    bv_emit_bool(emit, "recursive", filesystem->recursive);
    put_texts(emit, "roots", filesystem->roots, filesystem->root_count);
}

static void put_network(struct bv_emit *emit, const struct bv_network *network)
{
    if (network->policy == BV_NETWORK_ALLOW_LIST) {
        bv_emit_array(emit, "destinations");
        for (size_t i = 0; i < network->destination_count; i++) {
            bv_emit_object(emit, NULL);
            bv_emit_text(emit, "host", network->destinations[i].host);
            bv_emit_number(emit, "port", network->destinations[i].port);
            bv_emit_end(emit);
        }
        bv_emit_end(emit);
    }
    put_word(emit, "policy", &bv_names_network, (size_t)network->policy);
}

static void put_environment(struct bv_emit *emit, const struct bv_environment *environment)
{
    bv_emit_array(emit, "exact");
    for (size_t i = 0; i < environment->entry_count; i++) {
        const struct bv_env_entry *entry = &environment->entries[i];
        bv_emit_object(emit, NULL);
        if (entry->literal) {
            bv_emit_text(emit, "literal", entry->literal);
        }
        bv_emit_text(emit, "name", entry->name);
        if (!entry->literal) {
            bv_emit_text(emit, "secret", entry->secret);
        }
        bv_emit_end(emit);
    }
    bv_emit_end(emit);
}

static void put_inherited_fds(struct bv_emit *emit, const struct bv_inherited_fds *inherited)
{
    const bool is_only = inherited->fd_count > 0;
    if (is_only) {
        bv_emit_array(emit, "fds");
        for (size_t i = 0; i < inherited->fd_count; i++) {
            bv_emit_number(emit, NULL, (uint64_t)inherited->fds[i]);
        }
        bv_emit_end(emit);
    }
    put_word(emit, "policy", &bv_names_fds, is_only);
}

static void put_capability(struct bv_emit *emit, const struct bv_capability *capability)
{
    switch (capability->kind) {
    case BV_CAP_FILESYSTEM: put_filesystem(emit, &capability->u.filesystem); return;
    case BV_CAP_NETWORK: put_network(emit, &capability->u.network); return;
    case BV_CAP_CHILD_SPAWN:
        put_word(emit, "policy", &bv_names_spawn, (size_t)capability->u.child_spawn);
        return;
    case BV_CAP_ENVIRONMENT: put_environment(emit, &capability->u.environment); return;
    case BV_CAP_INHERITED_FDS: put_inherited_fds(emit, &capability->u.inherited_fds); return;
    }
    BV_UNREACHABLE();
}

void bv_capability_emit(struct bv_emit *emit, const char *key,
                        const struct bv_capability *capability)
{
    bv_emit_object(emit, key);
    bv_emit_object(emit, bv_name_of(&bv_names_capability, (size_t)capability->kind));
    put_capability(emit, capability);
    bv_emit_end(emit);
    bv_emit_end(emit);
}

static void put_control(struct bv_emit *emit, const struct bv_control *control)
{
    switch (control->kind) {
    case BV_CTL_LAUNCH_WORKLOAD:
    case BV_CTL_DISCARD_ARTIFACT:
    case BV_CTL_LIST_OUTPUTS: return;
    case BV_CTL_CAPTURE_STREAMS:
        bv_emit_bool(emit, "stderr", control->u.capture.err);
        bv_emit_bool(emit, "stdin", control->u.capture.in);
        bv_emit_bool(emit, "stdout", control->u.capture.out);
        return;
    case BV_CTL_TEMP_ROOT:
        if (control->u.temp_root.sized) {
            bv_emit_number(emit, "size_bytes", control->u.temp_root.size_bytes);
        }
        bv_emit_text(emit, "visibility", "private_to_boundary");
        return;
    case BV_CTL_EXPOSE_PATH:
        put_word(emit, "access", &bv_names_access, (size_t)control->u.expose.access);
        bv_emit_text(emit, "dest", control->u.expose.dest);
        bv_emit_text(emit, "source", control->u.expose.source);
        bv_emit_text(emit, "view", "private_to_boundary");
        return;
    case BV_CTL_COMMIT_ARTIFACT:
        put_word(emit, "durability", &bv_names_durability, (size_t)control->u.commit);
        return;
    case BV_CTL_KILL:
        put_word(emit, "guarantee", &bv_names_kill, control->u.kill.atomic);
        bv_emit_text(emit, "target", "run_tree");
        return;
    }
    BV_UNREACHABLE();
}

void bv_control_emit(struct bv_emit *emit, const char *key, const struct bv_control *control)
{
    bv_emit_object(emit, key);
    bv_emit_object(emit, bv_name_of(&bv_names_control, (size_t)control->kind));
    put_control(emit, control);
    bv_emit_end(emit);
    bv_emit_end(emit);
}

void bv_limit_emit(struct bv_emit *emit, uint64_t limit)
{
    BV_ASSERT(limit == BV_UNLIMITED || limit <= BV_JSON_MAX_INTEGER);
    if (limit == BV_UNLIMITED) {
        bv_emit_text(emit, "limit", "unlimited");
    } else {
        bv_emit_number(emit, "limit", limit);
    }
}

static void put_budgets(struct bv_emit *emit, const struct bv_spec *spec)
{
    bv_emit_object(emit, "budgets");
    for (size_t i = 0; i < BV_DIMENSION_COUNT; i++) {
        const enum bv_dimension dimension = (enum bv_dimension)bv_dimensions_by_name[i];
        const struct bv_budget_request *request = &spec->budgets[dimension];
        bv_emit_object(emit, bv_dimension_name(dimension));
        bv_claims_emit(emit, "evidence", request->evidence);
        put_word(emit, "guarantee", &bv_names_guarantee, (size_t)request->guarantee);
        bv_limit_emit(emit, request->limit);
        bv_emit_end(emit);
    }
    bv_emit_end(emit);
}

static void put_evidence(struct bv_emit *emit, uint32_t claims)
{
    bv_emit_object(emit, "evidence");
    bv_claims_emit(emit, "require", claims & ~FLAG_CLAIMS);
    bv_emit_bool(emit, "require_captured_streams", claims & (uint32_t)BV_CLAIM_CAPTURED_STREAMS);
    bv_emit_bool(emit, "require_exit_status", claims & (uint32_t)BV_CLAIM_TERMINAL_OUTCOME);
    bv_emit_end(emit);
}

void bv_spec_emit(struct bv_buf *buf, const struct bv_spec *spec)
{
    struct bv_emit emit;
    bv_emit_init(&emit, buf);
    bv_emit_object(&emit, NULL);
    put_budgets(&emit, spec);
    bv_emit_array(&emit, "capabilities");
    for (size_t i = 0; i < spec->capability_count; i++) {
        bv_capability_emit(&emit, NULL, &spec->capabilities[i]);
    }
    bv_emit_end(&emit);
    bv_emit_array(&emit, "controls");
    for (size_t i = 0; i < spec->control_count; i++) {
        bv_control_emit(&emit, NULL, &spec->controls[i]);
    }
    bv_emit_end(&emit);
    put_evidence(&emit, spec->require_evidence);
    bv_emit_text(&emit, "schema", BV_SPEC_SCHEMA_NAME);
    bv_emit_object(&emit, "workload");
    bv_workload_emit(&emit, &spec->workload);
    bv_emit_end(&emit);
    bv_emit_end(&emit);
}

/* ---- trees, for refusals ---- */

json_t *bv_capability_to_json(const struct bv_capability *capability)
{
    struct bv_buf buf;
    struct bv_emit emit;
    bv_buf_init(&buf, BV_PLAN_MAX_BYTES);
    bv_emit_init(&emit, &buf);
    bv_capability_emit(&emit, NULL, capability);
    return bv_emit_tree(&buf);
}

json_t *bv_control_to_json(const struct bv_control *control)
{
    struct bv_buf buf;
    struct bv_emit emit;
    bv_buf_init(&buf, BV_PLAN_MAX_BYTES);
    bv_emit_init(&emit, &buf);
    bv_control_emit(&emit, NULL, control);
    return bv_emit_tree(&buf);
}
