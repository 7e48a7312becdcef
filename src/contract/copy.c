/* contract/copy.c - copies a checked spec, every array and text of it, into a plan's arena.
 *
 * The struct assignment comes first, so that a scalar added to a spec is copied without a change here; every pointer is
 * then replaced. Owns no rule about what a spec may say. Specified by spec.h: "a call that takes a spec copies what it
 * keeps". */
#include "contract/copy.h"

/* NULL stays NULL; on failure *ok becomes false. */
static const char *text(struct bv_arena *arena, const char *source, bool *ok)
{
    char *copy = bv_arena_text(arena, source);
    *ok = *ok && (copy || !source);
    return copy;
}

static void *array(struct bv_arena *arena, const void *source, size_t count, size_t size, bool *ok)
{
    if (count == 0) {
        return NULL;
    }
    void *copy = bv_arena_copy(arena, source, count * size); /* count is bounded by limits.h */
    *ok = *ok && copy;
    return copy;
}

static const char *const *texts(struct bv_arena *arena, const char *const *source, size_t count,
                                bool *ok)
{
    if (count == 0) {
        return NULL;
    }
    const char **copy = bv_arena_array(arena, count, sizeof(*copy));
    for (size_t i = 0; copy && i < count; i++) {
        copy[i] = text(arena, source[i], ok);
    }
    *ok = *ok && copy;
    return copy;
}

static void copy_workload(struct bv_arena *arena, struct bv_workload *workload, bool *ok)
{
    workload->path = text(arena, workload->path, ok);
    workload->cwd = text(arena, workload->cwd, ok);
    workload->args = texts(arena, workload->args, workload->arg_count, ok);
    if (workload->module_bytes) {
        workload->module_bytes =
            bv_arena_copy(arena, workload->module_bytes, workload->module_size);
        *ok = *ok && workload->module_bytes;
    }
}

static void copy_network(struct bv_arena *arena, struct bv_network *network, bool *ok)
{
    struct bv_destination *destinations =
        array(arena, network->destinations, network->destination_count, sizeof(*destinations), ok);
    for (size_t i = 0; destinations && i < network->destination_count; i++) {
        destinations[i].host = text(arena, destinations[i].host, ok);
    }
    network->destinations = destinations;
}

static void copy_environment(struct bv_arena *arena, struct bv_environment *environment, bool *ok)
{
    struct bv_env_entry *entries =
        array(arena, environment->entries, environment->entry_count, sizeof(*entries), ok);
    for (size_t i = 0; entries && i < environment->entry_count; i++) {
        entries[i].name = text(arena, entries[i].name, ok);
        entries[i].literal = text(arena, entries[i].literal, ok);
        entries[i].secret = text(arena, entries[i].secret, ok);
    }
    environment->entries = entries;
}

static void copy_capability(struct bv_arena *arena, struct bv_capability *capability, bool *ok)
{
    switch (capability->kind) {
    case BV_CAP_FILESYSTEM:
        capability->u.filesystem.roots =
            texts(arena, capability->u.filesystem.roots, capability->u.filesystem.root_count, ok);
        break;
    case BV_CAP_NETWORK: copy_network(arena, &capability->u.network, ok); break;
    case BV_CAP_ENVIRONMENT: copy_environment(arena, &capability->u.environment, ok); break;
    case BV_CAP_INHERITED_FDS:
        capability->u.inherited_fds.fds =
            array(arena, capability->u.inherited_fds.fds, capability->u.inherited_fds.fd_count,
                  sizeof(int32_t), ok);
        break;
    case BV_CAP_CHILD_SPAWN: break;
    }
}

bool bv_spec_copy(struct bv_arena *arena, const struct bv_spec *spec, struct bv_spec *ret_copy)
{
    bool ok = true;
    *ret_copy = *spec;
    copy_workload(arena, &ret_copy->workload, &ok);
    struct bv_capability *capabilities =
        array(arena, spec->capabilities, spec->capability_count, sizeof(*capabilities), &ok);
    for (size_t i = 0; capabilities && i < spec->capability_count; i++) {
        copy_capability(arena, &capabilities[i], &ok);
    }
    struct bv_control *controls =
        array(arena, spec->controls, spec->control_count, sizeof(*controls), &ok);
    for (size_t i = 0; controls && i < spec->control_count; i++) {
        if (controls[i].kind == BV_CTL_EXPOSE_PATH) {
            controls[i].u.expose.source = text(arena, controls[i].u.expose.source, &ok);
            controls[i].u.expose.dest = text(arena, controls[i].u.expose.dest, &ok);
        }
    }
    ret_copy->capabilities = capabilities;
    ret_copy->controls = controls;
    return ok;
}
