/* contract/matrix.c - what this machine can hold, as one document: the matrix and the seven budgets.
 *
 * Each row is judged as the planner would judge it, on a representative requirement of its kind under the intent of an
 * ordinary workload of the kind that the backend runs (one read-only root, no network, no new tasks, a temp root, finite limits) changed only as far as
 * that kind demands. So the document says what plans will say, with the same reasons and remedies. INTERFACE.md 1. */
#include "contract/contract.h"

#include "base/check.h"
#include "base/arena.h"
#include "contract/plan.h"
#include "contract/support.h"

#include <string.h>

static const char *const example_roots[] = { "/usr" };
static const char *const writable_roots[] = { "/srv" };
static const int32_t example_fds[] = { 9 };
static const struct bv_destination example_destinations[] = { { "example.org", 443 } };
static const struct bv_env_entry example_env[] = { { "LANG", "C.UTF-8", NULL } };

static const struct bv_capability capabilities[] = {
    [BV_REQ_FILESYSTEM] = { .kind = BV_CAP_FILESYSTEM,
                            .u.filesystem = { BV_ACCESS_READ, false, true, example_roots,
                                              BV_COUNT(example_roots) } },
    [BV_REQ_NETWORK_DENY_ALL] = { .kind = BV_CAP_NETWORK,
                                  .u.network = { .policy = BV_NETWORK_DENY_ALL } },
    [BV_REQ_NETWORK_ALLOW_LIST] = { .kind = BV_CAP_NETWORK,
                                    .u.network = { BV_NETWORK_ALLOW_LIST, example_destinations,
                                                   BV_COUNT(example_destinations) } },
    [BV_REQ_NETWORK_ALLOW_ALL] = { .kind = BV_CAP_NETWORK,
                                   .u.network = { .policy = BV_NETWORK_ALLOW_ALL } },
    [BV_REQ_SPAWN_DENY_NEW_TASKS] = { .kind = BV_CAP_CHILD_SPAWN,
                                      .u.child_spawn = BV_SPAWN_DENY_NEW_TASKS },
    [BV_REQ_SPAWN_ALLOW_THREADS] = { .kind = BV_CAP_CHILD_SPAWN,
                                     .u.child_spawn = BV_SPAWN_ALLOW_THREADS },
    [BV_REQ_SPAWN_ALLOW_DESCENDANTS] = { .kind = BV_CAP_CHILD_SPAWN,
                                         .u.child_spawn = BV_SPAWN_ALLOW_DESCENDANTS },
    [BV_REQ_ENVIRONMENT] = { .kind = BV_CAP_ENVIRONMENT,
                             .u.environment = { example_env, BV_COUNT(example_env) } },
    [BV_REQ_INHERITED_FDS_NONE] = { .kind = BV_CAP_INHERITED_FDS, .u.inherited_fds = { NULL, 0 } },
    [BV_REQ_INHERITED_FDS_ONLY] = { .kind = BV_CAP_INHERITED_FDS,
                                    .u.inherited_fds = { example_fds, BV_COUNT(example_fds) } },
};

static const struct bv_control controls[] = {
    { .kind = BV_CTL_LAUNCH_WORKLOAD },
    { .kind = BV_CTL_CAPTURE_STREAMS, .u.capture = { true, true, false } },
    { .kind = BV_CTL_TEMP_ROOT, .u.temp_root = { true, 16u << 20 } },
    { .kind = BV_CTL_EXPOSE_PATH, .u.expose = { "/etc", "/in", BV_ACCESS_READ } },
    { .kind = BV_CTL_COMMIT_ARTIFACT, .u.commit = BV_DURABILITY_ATOMIC },
    { .kind = BV_CTL_DISCARD_ARTIFACT },
    { .kind = BV_CTL_KILL, .u.kill = { true } },
    { .kind = BV_CTL_LIST_OUTPUTS },
};

_Static_assert(BV_COUNT(capabilities) + BV_COUNT(controls) == BV_REQUIREMENT_KIND_COUNT,
               "one example a row of the matrix");
_Static_assert((int)BV_REQ_LAUNCH_WORKLOAD == (int)BV_COUNT(capabilities),
               "the controls' rows follow the capabilities'");

static const struct bv_workload example_workloads[] = {
    [BV_WORKLOAD_PROCESS] = { .kind = BV_WORKLOAD_PROCESS, .path = "/usr/bin/true" },
    [BV_WORKLOAD_WASM] = { .kind = BV_WORKLOAD_WASM, .path = "/usr/lib/true.wasm" },
};

/* What is judged, and for which kind of workload. */
struct matrix {
    const struct bv_backend_ops *ops;
    void *context;
    const struct bv_profile *profile;
    const struct bv_workload *workload;
};

/* An ordinary workload: launched, one root, captured output, a temp root, limits that a small program would have. */
static void ordinary_intent(const struct matrix *matrix, struct bv_intent *intent,
                            const struct bv_root *root)
{
    *intent = (struct bv_intent){ .workload = matrix->workload,
                                  .launch = true,
                                  .roots = root,
                                  .root_count = 1,
                                  .network = BV_NETWORK_DENY_ALL,
                                  .spawn = BV_SPAWN_DENY_NEW_TASKS,
                                  .capture = { true, true, false },
                                  .temp_root = true,
                                  .temp_bytes = 16u << 20 };
    static const uint64_t limits[BV_DIMENSION_COUNT] = {
        [BV_WALL_MICROS] = 10000000, [BV_CPU_MICROS] = 10000000, [BV_RESIDENT_BYTES] = 256u << 20,
        [BV_PROCESS_COUNT] = 1,      [BV_HANDLE_COUNT] = 64,     [BV_STORAGE_BYTES] = 16u << 20,
        [BV_NETWORK_BYTES] = 0,
    };
    for (unsigned d = 0; d < BV_DIMENSION_COUNT; d++) {
        intent->budgets[d] = (struct bv_budget_request){ limits[d], BV_GUARANTEE_MEDIATED, 0 };
    }
}

/* The least change to the ordinary intent that makes a requirement of this kind part of it. */
static void adapt_intent(struct bv_intent *intent, enum bv_requirement_kind kind,
                         struct bv_root *root)
{
    if (kind < BV_REQ_LAUNCH_WORKLOAD) {
        const struct bv_capability *capability = &capabilities[kind];
        if (capability->kind == BV_CAP_NETWORK) {
            intent->network = capability->u.network.policy;
            intent->destinations = capability->u.network.destinations;
            intent->destination_count = capability->u.network.destination_count;
            intent->budgets[BV_NETWORK_BYTES].limit =
                intent->network == BV_NETWORK_DENY_ALL ? 0 : BV_UNLIMITED;
        } else if (capability->kind == BV_CAP_CHILD_SPAWN) {
            intent->spawn = capability->u.child_spawn;
            intent->kill_atomic = intent->spawn == BV_SPAWN_ALLOW_DESCENDANTS;
            intent->budgets[BV_PROCESS_COUNT].limit =
                intent->spawn == BV_SPAWN_DENY_NEW_TASKS ? 1 : 64;
        } else if (capability->kind == BV_CAP_ENVIRONMENT) {
            intent->env = capability->u.environment.entries;
            intent->env_count = capability->u.environment.entry_count;
        } else if (capability->kind == BV_CAP_INHERITED_FDS) {
            intent->fds = capability->u.inherited_fds.fds;
            intent->fd_count = capability->u.inherited_fds.fd_count;
        }
        return;
    }
    const struct bv_control *control = &controls[kind - BV_REQ_LAUNCH_WORKLOAD];
    if (control->kind == BV_CTL_EXPOSE_PATH) {
        intent->exposes = &control->u.expose;
        intent->expose_count = 1;
    }
    intent->kill_atomic = control->kind == BV_CTL_KILL;
    intent->commit = control->kind == BV_CTL_COMMIT_ARTIFACT;
    intent->discard = control->kind == BV_CTL_DISCARD_ARTIFACT;
    intent->list_outputs = control->kind == BV_CTL_LIST_OUTPUTS;
    if (intent->commit || intent->discard || intent->list_outputs) {
        root->path = writable_roots[0];
        root->access = BV_ACCESS_READ_WRITE;
        intent->staged = true;
    }
}

static void judge(const struct matrix *matrix, enum bv_requirement_kind kind,
                  struct bv_verdict *ret_verdict)
{
    struct bv_root root = { .path = example_roots[0], .access = BV_ACCESS_READ, .recursive = true };
    struct bv_intent intent;
    ordinary_intent(matrix, &intent, &root);
    adapt_intent(&intent, kind, &root);
    bool is_control = kind >= BV_REQ_LAUNCH_WORKLOAD;
    struct bv_requirement requirement = { .kind = kind,
                                          .capability = is_control ? NULL : &capabilities[kind],
                                          .control = is_control
                                                         ? &controls[kind - BV_REQ_LAUNCH_WORKLOAD]
                                                         : NULL };
    bv_support_judge(matrix->ops, matrix->context, matrix->profile, &intent, &requirement,
                     ret_verdict);
}

/* A backend that does not launch processes may launch guests. */
static void pick_workload(struct matrix *matrix)
{
    struct bv_verdict verdict;
    matrix->workload = &example_workloads[BV_WORKLOAD_WASM];
    judge(matrix, BV_REQ_LAUNCH_WORKLOAD, &verdict);
    const bool guests = verdict.enforcement != BV_UNSUPPORTED;
    matrix->workload = &example_workloads[BV_WORKLOAD_PROCESS];
    judge(matrix, BV_REQ_LAUNCH_WORKLOAD, &verdict);
    if (guests && verdict.enforcement == BV_UNSUPPORTED) {
        matrix->workload = &example_workloads[BV_WORKLOAD_WASM];
    }
}

static void put_row(struct bv_emit *emit, const struct matrix *matrix,
                    enum bv_requirement_kind kind)
{
    struct bv_verdict verdict;
    judge(matrix, kind, &verdict);
    bv_emit_object(emit, NULL);
    bv_emit_text(emit, "enforcement", bv_enforcement_name(verdict.enforcement));
    bv_claims_emit(emit, "evidence", verdict.evidence);
    bv_emit_text(emit, "kind", bv_requirement_name(kind));
    bv_emit_text(emit, "mechanism", verdict.mechanism);
    bv_emit_text(emit, "note", verdict.note);
    bv_emit_text(emit, "remedy", verdict.remedy);
    bv_emit_text(emit, "why", verdict.why);
    bv_emit_end(emit);
}

static void put_budget(struct bv_emit *emit, const struct matrix *matrix)
{
    struct bv_root root = { .path = example_roots[0], .access = BV_ACCESS_READ, .recursive = true };
    struct bv_offer offers[BV_DIMENSION_COUNT];
    struct bv_intent intent;
    ordinary_intent(matrix, &intent, &root);
    for (unsigned d = 0; d < BV_DIMENSION_COUNT; d++) {
        bv_support_offer(matrix->ops, matrix->context, matrix->profile, &intent,
                         (enum bv_dimension)d, &offers[d]);
    }
    bv_offers_emit(emit, "budget", offers);
}

static void put_document(struct bv_buf *buf, const struct matrix *matrix, const char *hash)
{
    struct bv_emit emit;
    bv_emit_init(&emit, buf);
    bv_emit_object(&emit, NULL);
    bv_emit_text(&emit, "backend", matrix->ops->id);
    put_budget(&emit, matrix);
    bv_emit_array(&emit, "matrix");
    for (unsigned kind = 0; kind < BV_REQUIREMENT_KIND_COUNT; kind++) {
        put_row(&emit, matrix, (enum bv_requirement_kind)kind);
    }
    bv_emit_end(&emit);
    bv_snapshot_emit(&emit, "probed", matrix->profile->facts);
    bv_emit_text(&emit, "profile_hash", hash);
    bv_emit_text(&emit, "schema", "bvisor.probe/1");
    bv_emit_end(&emit);
}

json_t *bv_probe_document(const struct bv_backend_ops *ops, void *context,
                          const struct bv_snapshot *facts)
{
    struct bv_arena *arena =
        bv_arena_new(sizeof(struct bv_profile) + 256); /* too large for a stack frame */
    struct bv_profile *profile = arena ? bv_arena_alloc(arena, sizeof(*profile)) : NULL;
    char hash[BV_DIGEST_TEXT_SIZE];
    json_t *document = NULL;
    if (profile && bv_profile_digest(ops->id, facts, hash)) {
        struct bv_buf buf;
        bv_buf_init(&buf, BV_PLAN_MAX_BYTES);
        bv_support_profile(ops, context, facts, profile);
        struct matrix matrix = { .ops = ops, .context = context, .profile = profile };
        pick_workload(&matrix);
        put_document(&buf, &matrix, hash);
        document = bv_emit_tree(&buf);
    }
    bv_arena_free(arena);
    return document;
}
