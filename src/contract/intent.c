/* contract/intent.c - a spec says what it says; the intent says what holds, with nothing left open.
 *
 * "No authority unless granted": a family that the spec does not mention is decided as its strictest denial and
 * becomes an implied requirement, which must be enforceable like a written one. Equal roots unite here and nowhere
 * else. Pure; judges nothing: contradictions are policy.c's. Specified by CONTRACT.md 1 to 5 and backend.h. */
#include "contract/intent.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

/* The strictest denial of each family, as if written. */
static const struct bv_capability denied[] = {
    { .kind = BV_CAP_FILESYSTEM, .u.filesystem = { .access = BV_ACCESS_READ, .recursive = true } },
    { .kind = BV_CAP_NETWORK, .u.network = { .policy = BV_NETWORK_DENY_ALL } },
    { .kind = BV_CAP_CHILD_SPAWN, .u.child_spawn = BV_SPAWN_DENY_NEW_TASKS },
    { .kind = BV_CAP_ENVIRONMENT, .u.environment = { .entry_count = 0 } },
    { .kind = BV_CAP_INHERITED_FDS, .u.inherited_fds = { .fd_count = 0 } },
};

bool bv_path_is_inside(const char *path, const char *prefix)
{
    size_t size = strlen(prefix);
    if (size == 1) { /* "/" */
        return true;
    }
    return strlen(path) >= size && memcmp(path, prefix, size) == 0 &&
           (path[size] == '\0' || path[size] == '/');
}

const struct bv_root *bv_intent_root_of(const struct bv_intent *intent, const char *path)
{
    const struct bv_root *best = NULL;
    for (size_t i = 0; i < intent->root_count; i++) {
        const struct bv_root *root = &intent->roots[i];
        if (bv_path_is_inside(path, root->path) &&
            (!best || strlen(root->path) > strlen(best->path))) {
            best = root;
        }
    }
    return best;
}

bool bv_intent_writes_roots(const struct bv_intent *intent)
{
    for (size_t i = 0; i < intent->root_count; i++) {
        if (intent->roots[i].access != BV_ACCESS_READ) {
            return true;
        }
    }
    return false;
}

bool bv_intent_writes_exposed(const struct bv_intent *intent)
{
    for (size_t i = 0; i < intent->expose_count; i++) {
        if (intent->exposes[i].access != BV_ACCESS_READ) {
            return true;
        }
    }
    return false;
}

static int root_order(const void *a, const void *b)
{
    const struct bv_root *left = a, *right = b;
    return strcmp(left->path, right->path);
}

static int expose_order(const void *a, const void *b)
{
    const struct bv_expose *left = a, *right = b;
    int order = strcmp(left->dest, right->dest);
    return order ? order : strcmp(left->source, right->source);
}

static int fd_order(const void *a, const void *b)
{
    int32_t left, right;
    memcpy(&left, a, sizeof(left));
    memcpy(&right, b, sizeof(right));
    return (left > right) - (left < right);
}

static enum bv_access unite_access(enum bv_access a, enum bv_access b)
{
    return a == b ? a : BV_ACCESS_READ_WRITE;
}

/* Sorts and unites equal paths. Uniting is an OR in every field, so the order of the grants does not matter. */
static size_t unite_roots(struct bv_root *roots, size_t count)
{
    size_t used = 0;
    qsort(roots, count, sizeof(*roots), root_order);
    for (size_t i = 0; i < count; i++) {
        struct bv_root *last = used ? &roots[used - 1] : NULL;
        if (last && strcmp(last->path, roots[i].path) == 0) {
            last->access = unite_access(last->access, roots[i].access);
            last->execute = last->execute || roots[i].execute;
            last->recursive = last->recursive || roots[i].recursive;
        } else {
            roots[used++] = roots[i];
        }
    }
    return used;
}

static bool collect_roots(struct bv_arena *arena, const struct bv_spec *spec,
                          struct bv_intent *intent)
{
    size_t count = 0;
    for (size_t i = 0; i < spec->capability_count; i++) {
        if (spec->capabilities[i].kind == BV_CAP_FILESYSTEM) {
            count += spec->capabilities[i].u.filesystem.root_count;
        }
    }
    if (count == 0) {
        return true;
    }
    struct bv_root *roots = bv_arena_array(arena, count, sizeof(*roots));
    size_t used = 0;
    for (size_t i = 0; roots && i < spec->capability_count; i++) {
        const struct bv_filesystem *grant = &spec->capabilities[i].u.filesystem;
        for (size_t r = 0; spec->capabilities[i].kind == BV_CAP_FILESYSTEM && r < grant->root_count;
             r++) {
            roots[used++] = (struct bv_root){ .path = grant->roots[r],
                                              .access = grant->access,
                                              .execute = grant->execute,
                                              .recursive = grant->recursive };
        }
    }
    if (!roots) {
        return false;
    }
    BV_ASSERT(used == count);
    const char *first = roots[0].path;
    intent->roots = roots;
    intent->root_count = unite_roots(roots, count);
    while (strcmp(roots[intent->first_root].path, first) != 0) {
        intent->first_root++;
    }
    return true;
}

static bool decide_capability(struct bv_arena *arena, const struct bv_capability *capability,
                              struct bv_intent *intent)
{
    switch (capability->kind) {
    case BV_CAP_FILESYSTEM: return true; /* collect_roots() */
    case BV_CAP_NETWORK:
        intent->network = capability->u.network.policy;
        intent->destinations = capability->u.network.destinations;
        intent->destination_count = capability->u.network.destination_count;
        if (intent->network == BV_NETWORK_ALLOW_LIST && intent->destination_count == 0) {
            intent->network = BV_NETWORK_DENY_ALL; /* an empty list never means "all" */
        }
        return true;
    case BV_CAP_CHILD_SPAWN: intent->spawn = capability->u.child_spawn; return true;
    case BV_CAP_ENVIRONMENT:
        intent->env = capability->u.environment.entries;
        intent->env_count = capability->u.environment.entry_count;
        return true;
    case BV_CAP_INHERITED_FDS:
        if (capability->u.inherited_fds.fd_count > 0) {
            size_t bytes = capability->u.inherited_fds.fd_count * sizeof(int32_t);
            int32_t *fds = bv_arena_copy(arena, capability->u.inherited_fds.fds, bytes);
            if (!fds) {
                return false;
            }
            qsort(fds, capability->u.inherited_fds.fd_count, sizeof(*fds), fd_order);
            intent->fds = fds;
            intent->fd_count = capability->u.inherited_fds.fd_count;
        }
        return true;
    }
    BV_UNREACHABLE();
}

static uint64_t temp_size(const struct bv_temp_root *temp_root, uint64_t storage_limit)
{
    uint64_t size = temp_root->sized ? temp_root->size_bytes : BV_TEMP_DEFAULT_BYTES;
    /* BV_UNLIMITED is the largest number, so it bounds nothing. A temp root is counted by storage_bytes, hence bounded by it. */
    return size < storage_limit ? size : storage_limit;
}

static void decide_control(const struct bv_spec *spec, const struct bv_control *control,
                           struct bv_intent *intent)
{
    switch (control->kind) {
    case BV_CTL_LAUNCH_WORKLOAD: intent->launch = true; break;
    case BV_CTL_CAPTURE_STREAMS: intent->capture = control->u.capture; break;
    case BV_CTL_TEMP_ROOT:
        intent->temp_root = true;
        intent->temp_bytes =
            temp_size(&control->u.temp_root, spec->budgets[BV_STORAGE_BYTES].limit);
        break;
    case BV_CTL_EXPOSE_PATH: break; /* collect_exposes() */
    case BV_CTL_COMMIT_ARTIFACT:
        intent->commit = true;
        intent->durability = control->u.commit;
        break;
    case BV_CTL_DISCARD_ARTIFACT: intent->discard = true; break;
    case BV_CTL_KILL: intent->kill_atomic = intent->kill_atomic || control->u.kill.atomic; break;
    case BV_CTL_LIST_OUTPUTS: intent->list_outputs = true; break;
    }
}

static bool collect_exposes(struct bv_arena *arena, const struct bv_spec *spec,
                            struct bv_intent *intent)
{
    struct bv_expose *exposes = NULL;
    size_t count = 0;
    for (size_t i = 0; i < spec->control_count; i++) {
        if (spec->controls[i].kind != BV_CTL_EXPOSE_PATH) {
            continue;
        }
        if (!exposes && !(exposes = bv_arena_array(arena, spec->control_count, sizeof(*exposes)))) {
            return false;
        }
        exposes[count++] = spec->controls[i].u.expose;
    }
    if (count > 0) {
        qsort(exposes, count, sizeof(*exposes), expose_order);
    }
    intent->exposes = exposes;
    intent->expose_count = count;
    return true;
}

bool bv_intent_build(struct bv_arena *arena, const struct bv_spec *spec,
                     struct bv_intent *ret_intent)
{
    struct bv_intent intent = { .workload = &spec->workload,
                                .network = BV_NETWORK_DENY_ALL,
                                .spawn = BV_SPAWN_DENY_NEW_TASKS };
    memcpy(intent.budgets, spec->budgets, sizeof(intent.budgets));
    if (!collect_roots(arena, spec, &intent) || !collect_exposes(arena, spec, &intent)) {
        return false;
    }
    for (size_t i = 0; i < spec->capability_count; i++) {
        if (!decide_capability(arena, &spec->capabilities[i], &intent)) {
            return false;
        }
    }
    for (size_t i = 0; i < spec->control_count; i++) {
        decide_control(spec, &spec->controls[i], &intent);
    }
    /* Descendants could outlive a kill that walks the tree; only an atomic one can promise an empty tree. */
    intent.kill_atomic = intent.kill_atomic || intent.spawn == BV_SPAWN_ALLOW_DESCENDANTS;
    intent.staged =
        (intent.commit || intent.discard || intent.list_outputs) && bv_intent_writes_roots(&intent);
    *ret_intent = intent;
    return true;
}

static enum bv_requirement_kind kind_of_capability(const struct bv_capability *capability)
{
    switch (capability->kind) {
    case BV_CAP_FILESYSTEM: return BV_REQ_FILESYSTEM;
    case BV_CAP_NETWORK:
        if (capability->u.network.policy == BV_NETWORK_ALLOW_ALL) {
            return BV_REQ_NETWORK_ALLOW_ALL;
        }
        return capability->u.network.policy == BV_NETWORK_ALLOW_LIST &&
                       capability->u.network.destination_count > 0
                   ? BV_REQ_NETWORK_ALLOW_LIST
                   : BV_REQ_NETWORK_DENY_ALL;
    case BV_CAP_CHILD_SPAWN:
        switch (capability->u.child_spawn) {
        case BV_SPAWN_DENY_NEW_TASKS: return BV_REQ_SPAWN_DENY_NEW_TASKS;
        case BV_SPAWN_ALLOW_THREADS: return BV_REQ_SPAWN_ALLOW_THREADS;
        case BV_SPAWN_ALLOW_DESCENDANTS: return BV_REQ_SPAWN_ALLOW_DESCENDANTS;
        }
        BV_UNREACHABLE();
    case BV_CAP_ENVIRONMENT: return BV_REQ_ENVIRONMENT;
    case BV_CAP_INHERITED_FDS:
        return capability->u.inherited_fds.fd_count > 0 ? BV_REQ_INHERITED_FDS_ONLY
                                                        : BV_REQ_INHERITED_FDS_NONE;
    }
    BV_UNREACHABLE();
}

static enum bv_requirement_kind kind_of_control(const struct bv_control *control)
{
    switch (control->kind) {
    case BV_CTL_LAUNCH_WORKLOAD: return BV_REQ_LAUNCH_WORKLOAD;
    case BV_CTL_CAPTURE_STREAMS: return BV_REQ_CAPTURE_STREAMS;
    case BV_CTL_TEMP_ROOT: return BV_REQ_TEMP_ROOT;
    case BV_CTL_EXPOSE_PATH: return BV_REQ_EXPOSE_PATH;
    case BV_CTL_COMMIT_ARTIFACT: return BV_REQ_COMMIT_ARTIFACT;
    case BV_CTL_DISCARD_ARTIFACT: return BV_REQ_DISCARD_ARTIFACT;
    case BV_CTL_KILL: return BV_REQ_KILL;
    case BV_CTL_LIST_OUTPUTS: return BV_REQ_LIST_OUTPUTS;
    }
    BV_UNREACHABLE();
}

bool bv_spec_launches(const struct bv_spec *spec)
{
    for (size_t i = 0; i < spec->control_count; i++) {
        if (spec->controls[i].kind == BV_CTL_LAUNCH_WORKLOAD) {
            return true;
        }
    }
    return false;
}

static bool mentions(const struct bv_spec *spec, enum bv_capability_kind kind)
{
    for (size_t i = 0; i < spec->capability_count; i++) {
        if (spec->capabilities[i].kind == kind) {
            return true;
        }
    }
    return false;
}

/* The one file that a process is started from, bound at its own path: CONTRACT.md 2. */
static const struct bv_capability *exe_grant(struct bv_arena *arena, const char *exe_path)
{
    struct bv_capability *grant = bv_arena_alloc(arena, sizeof(*grant));
    const char **roots = bv_arena_array(arena, 1, sizeof(*roots));
    char *path = bv_arena_text(arena, exe_path);
    if (!grant || !roots || !path) {
        return NULL;
    }
    roots[0] = path;
    grant->kind = BV_CAP_FILESYSTEM;
    grant->u.filesystem = (struct bv_filesystem){ .access = BV_ACCESS_READ,
                                                  .execute = true,
                                                  .recursive = false,
                                                  .roots = roots,
                                                  .root_count = 1 };
    return grant;
}

bool bv_requirements_list(struct bv_arena *arena, const struct bv_spec *spec, const char *exe_path,
                          struct requirement_list *ret_list)
{
    size_t most = spec->capability_count + spec->control_count + BV_COUNT(denied) + 1;
    struct bv_requirement *item = bv_arena_array(arena, most, sizeof(*item));
    size_t count = 0;
    if (!item) {
        return false;
    }
    for (size_t i = 0; i < spec->capability_count; i++) {
        const struct bv_capability *capability = &spec->capabilities[i];
        item[count++] = (struct bv_requirement){ .kind = kind_of_capability(capability),
                                                 .capability = capability };
    }
    for (size_t i = 0; i < spec->control_count; i++) {
        const struct bv_control *control = &spec->controls[i];
        item[count++] =
            (struct bv_requirement){ .kind = kind_of_control(control), .control = control };
    }
    bool launch = bv_spec_launches(spec);
    for (size_t i = 0; launch && i < BV_COUNT(denied); i++) {
        if (!mentions(spec, denied[i].kind)) {
            item[count++] = (struct bv_requirement){ .kind = kind_of_capability(&denied[i]),
                                                     .implied = true,
                                                     .capability = &denied[i] };
        }
    }
    if (launch && spec->workload.kind == BV_WORKLOAD_PROCESS && exe_path && exe_path[0]) {
        const struct bv_capability *grant = exe_grant(arena, exe_path);
        if (!grant) {
            return false;
        }
        item[count++] = (struct bv_requirement){ .kind = BV_REQ_FILESYSTEM,
                                                 .implied = true,
                                                 .capability = grant };
    }
    BV_ASSERT(count <= most);
    ret_list->item = item;
    ret_list->count = count;
    return true;
}
