/* tests/support/sim_backend.c - the simulated backend: honest, or a liar in one way; see
 * sim_backend.h.
 *
 * It goes through the script one step a dispatch. For each attempt it asks its own policy, which
 * is right, then its lie, which may turn the answer round or keep quiet about it. The world does
 * what it is let do and keeps its own log. Must not be asked by the oracle. */
#include "sim_backend.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "sys/sys.h"

#define SIM_CLAIMS                                                                                 \
    (BV_CLAIM_TERMINAL_OUTCOME | BV_CLAIM_CAPTURED_STREAMS | BV_CLAIM_RESOURCE_USAGE |             \
     BV_CLAIM_DENIED_ATTEMPTS | BV_CLAIM_PROCESS_TREE)

struct sim_run {
    const struct sim_setup *setup;
    const struct bv_execution *execution;
    struct sim_world world;
    size_t at;
    uint64_t printed;
    int epoll_fd, event_fd;
    bool over;
};

const char *sim_lie_name(enum sim_lie lie)
{
    static const char *const names[] = {
        "honest",
        "allows a read outside",
        "allows a network reach",
        "allows a write outside",
        "allows a spawn",
        "leaks a descriptor",
        "hides an orphan",
        "commits unasked",
        "gives no terminal outcome",
        "drops a denial",
        "over-claims enforcement",
        "crashes in mid-run",
        "invents a usage figure",
    };
    _Static_assert(BV_COUNT(names) == SIM_LIE_COUNT, "every lie has a name");
    return names[lie];
}

/* ---- what it says of itself ---- */

static enum bv_status sim_probe(void *context, struct bv_snapshot *facts, struct bv_error *error)
{
    const struct sim_setup *setup = context;
    if (setup->fails_to_probe) {
        return bv_fail_sys(error, "probe", -EIO, "looking at the simulated machine");
    }
    enum bv_status status =
        bv_snapshot_set(facts, "machine", setup->machine ? setup->machine : "sim", error);
    return status == BV_OK ? bv_snapshot_set(facts, "streams", "mediated", error) : status;
}

/* The simulated machine can enforce everything but the capture of streams, which it mediates. */
static void judge(const struct sim_setup *setup, enum bv_requirement_kind kind,
                  struct bv_verdict *verdict)
{
    memset(verdict, 0, sizeof(*verdict));
    bool mediates = kind == BV_REQ_CAPTURE_STREAMS && setup->lie != SIM_OVERCLAIMS;
    verdict->enforcement = mediates ? BV_MEDIATED : BV_ENFORCED;
    verdict->evidence = SIM_CLAIMS;
    (void)snprintf(verdict->mechanism, sizeof(verdict->mechanism), "sim:%s",
                   bv_requirement_name(kind));
    if (mediates) {
        (void)snprintf(verdict->why, sizeof(verdict->why), "the simulated machine copies streams");
    }
}

static void sim_profile(void *context, const struct bv_snapshot *facts, struct bv_profile *profile)
{
    profile->facts = facts;
    for (unsigned kind = 0; kind < BV_REQUIREMENT_KIND_COUNT; kind++) {
        judge(context, (enum bv_requirement_kind)kind, &profile->ceiling[kind]);
    }
}

static void sim_classify(void *context, const struct bv_profile *profile,
                         const struct bv_intent *intent, const struct bv_requirement *requirement,
                         struct bv_verdict *ret_verdict)
{
    (void)profile;
    (void)intent;
    judge(context, requirement->kind, ret_verdict);
}

static bool is_measured(enum bv_dimension dimension)
{
    return dimension != BV_RESIDENT_BYTES && dimension != BV_HANDLE_COUNT &&
           dimension != BV_WALL_MICROS;
}

static void sim_offer(void *context, const struct bv_profile *profile,
                      const struct bv_intent *intent, enum bv_dimension dimension,
                      struct bv_offer *ret_offer)
{
    (void)context;
    (void)profile;
    (void)intent;
    memset(ret_offer, 0, sizeof(*ret_offer));
    ret_offer->can_bound = true;
    ret_offer->guarantee = BV_GUARANTEE_ENFORCED;
    ret_offer->available = BV_JSON_MAX_INTEGER;
    ret_offer->evidence = is_measured(dimension) ? BV_CLAIM_RESOURCE_USAGE : 0;
    (void)snprintf(ret_offer->mechanism, sizeof(ret_offer->mechanism), "sim:count");
}

/* ---- its policy, which is right ---- */

static bool lies_in(const char *path, const char *root)
{
    size_t n = strlen(root);
    return strncmp(path, root, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static bool path_is_granted(const struct bv_intent *intent, const char *path, bool write)
{
    const struct bv_root *best = NULL;
    for (size_t i = 0; i < intent->root_count; i++) {
        if (lies_in(path, intent->roots[i].path) &&
            (!best || strlen(intent->roots[i].path) > strlen(best->path))) {
            best = &intent->roots[i];
        }
    }
    return best && best->access != (write ? BV_ACCESS_READ : BV_ACCESS_WRITE);
}

static bool fd_is_granted(const struct bv_intent *intent, uint64_t fd)
{
    bool granted = fd <= 2;
    for (size_t i = 0; i < intent->fd_count; i++) {
        granted = granted || (uint64_t)intent->fds[i] == fd;
    }
    return granted;
}

/* Whether the policy grants an attempt; the lie that would let it happen all the same; the kind
 * under which a denial counts. */
static bool policy(const struct bv_intent *intent, const struct sim_op *op, enum sim_lie *ret_lie,
                   enum bv_requirement_kind *ret_kind)
{
    *ret_lie = SIM_HONEST;
    *ret_kind = BV_REQ_FILESYSTEM;
    switch (op->kind) {
    case SIM_READ:
    case SIM_WRITE:
        *ret_lie = op->kind == SIM_READ ? SIM_ALLOWS_READ : SIM_ALLOWS_WRITE;
        return path_is_granted(intent, op->subject, op->kind == SIM_WRITE);
    case SIM_CONNECT:
        *ret_lie = SIM_ALLOWS_NETWORK;
        *ret_kind = BV_REQ_NETWORK_DENY_ALL;
        return intent->network == BV_NETWORK_ALLOW_ALL;
    case SIM_SPAWN:
        *ret_lie = SIM_ALLOWS_SPAWN;
        *ret_kind = BV_REQ_SPAWN_DENY_NEW_TASKS;
        return intent->spawn == BV_SPAWN_ALLOW_DESCENDANTS;
    case SIM_USE_FD:
        *ret_lie = SIM_LEAKS_FD;
        *ret_kind = BV_REQ_INHERITED_FDS_NONE;
        return fd_is_granted(intent, op->amount);
    case SIM_BURN:
    case SIM_PRINT:
    case SIM_WAIT:
    case SIM_EXIT: return true;
    }
    BV_UNREACHABLE();
}

/* ---- a run ---- */

static void sim_close_run(void *run)
{
    struct sim_run *sim = run;
    if (!sim) {
        return;
    }
    if (sim->setup->lie != SIM_HIDES_ORPHAN) {
        sim_world_kill_tree(&sim->world);
    }
    if (sim->setup->lie == SIM_COMMITS_ANYWAY) {
        sim_world_promote(&sim->world);
    }
    if (sim->setup->world) {
        sim->world.can_enforce = sim->setup->world->can_enforce;
        *sim->setup->world = sim->world;
    }
    bv_cleanup_fd(&sim->epoll_fd);
    bv_cleanup_fd(&sim->event_fd);
    free(sim);
}

static bool watch(int epoll_fd, int fd)
{
    struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
    return fd >= 0 && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void see_secrets(const struct bv_execution *execution, struct sim_secrets *seen)
{
    size_t room = sizeof(seen->text) / sizeof(seen->text[0]);
    seen->count = execution->intent->env_count < room ? execution->intent->env_count : room;
    for (size_t i = 0; i < seen->count; i++) {
        const char *value = execution->secret_values ? execution->secret_values[i] : NULL;
        seen->literal[i] = !value;
        (void)snprintf(seen->text[i], sizeof(seen->text[i]), "%s", value ? value : "");
    }
}

static enum bv_status sim_start(void *context, const struct bv_execution *execution, void **ret_run,
                                struct bv_error *error)
{
    const struct sim_setup *setup = context;
    if (setup->fails_to_start) {
        return bv_fail_sys(error, "start", -EAGAIN, "starting the simulated workload");
    }
    struct sim_run *sim = calloc(1, sizeof(*sim));
    if (!sim) {
        return bv_fail_nomem(error);
    }
    sim->setup = setup;
    sim->execution = execution;
    sim->event_fd = bv_sys_host.event_new();
    sim->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (sim->epoll_fd < 0 || !watch(sim->epoll_fd, sim->event_fd) ||
        !watch(sim->epoll_fd, execution->cancel_fd)) {
        enum bv_status status =
            bv_fail_sys(error, "start", -errno, "making the simulated run's descriptors");
        sim_close_run(sim);
        return status;
    }
    bv_sys_host.event_raise(sim->event_fd);
    if (execution->intent->launch) {
        if (!bv_observe_fact(execution->observation, "workload_launched", "simulated") ||
            (execution->staged_count > 0 &&
             !bv_observe_fact(execution->observation, "artifact_staged", "simulated"))) {
            sim_close_run(sim);
            return bv_fail_nomem(error);
        }
        sim_world_begin(&sim->world);
    }
    if (setup->started) {
        *setup->started = true;
    }
    if (setup->secrets_seen) {
        see_secrets(execution, setup->secrets_seen);
    }
    *ret_run = sim;
    return BV_OK;
}

static int sim_poll_fd(void *run)
{
    const struct sim_run *sim = run;
    return sim->epoll_fd;
}

static bool was_cancelled(const struct sim_run *sim)
{
    return bv_sys_host.wait_readable(sim->execution->cancel_fd, 0) > 0;
}

static bool observe_usage(struct sim_run *sim)
{
    struct bv_observation *o = sim->execution->observation;
    const struct sim_world *world = &sim->world;
    const struct {
        enum bv_dimension dimension;
        uint64_t value;
    } rows[] = {
        { BV_CPU_MICROS, world->cpu_micros },
        { BV_PROCESS_COUNT, world->tasks_peak },
        { BV_STORAGE_BYTES, world->storage_bytes },
        { BV_NETWORK_BYTES, world->network_bytes },
    };
    bool ok = true;
    for (size_t i = 0; i < BV_COUNT(rows); i++) {
        ok = bv_observe_usage(o, rows[i].dimension, &rows[i].value, false, "sim, exact") && ok;
    }
    const uint64_t invented = 4711;
    ok = bv_observe_usage(o, BV_RESIDENT_BYTES,
                          sim->setup->lie == SIM_INVENTS_USAGE ? &invented : NULL, false,
                          "sim: not measured") &&
         ok;
    ok = bv_observe_usage(o, BV_HANDLE_COUNT, NULL, false, "sim: not measured") && ok;
    return bv_observe_usage(o, BV_WALL_MICROS, NULL, false, "sim: not measured") && ok;
}

/* The run is over: all that is left to say. */
static enum bv_status conclude(struct sim_run *sim, enum bv_outcome outcome, struct bv_exit end,
                               bool *ret_done, struct bv_error *error)
{
    struct bv_observation *o = sim->execution->observation;
    const struct bv_capture *capture = &sim->execution->intent->capture;
    bool ok = observe_usage(sim);
    sim->over = true;
    if (capture->out && sim->printed == 0) {
        ok = bv_observe_stream(o, 1, "", 0, 0, false) && ok;
    }
    if (capture->err) {
        ok = bv_observe_stream(o, 2, "", 0, 0, false) && ok;
    }
    if (end.kind != BV_EXIT_NONE) {
        ok = bv_observe_fact(o, "workload_exited", "%s %d",
                             end.kind == BV_EXIT_CODE ? "code" : "signal", end.value) &&
             ok;
    }
    ok = bv_observe_fact(o, "tree_empty", "0 tasks") && ok;
    if (sim->setup->lie != SIM_NO_OUTCOME) {
        ok = bv_observe_outcome(o, outcome, end, -1, "simulated") && ok;
    }
    *ret_done = true;
    return ok ? BV_OK : bv_fail_nomem(error);
}

static enum bv_status print(struct sim_run *sim, const char *text, struct bv_error *error)
{
    size_t size = strlen(text);
    sim->printed += size;
    bool ok = !sim->execution->intent->capture.out ||
              bv_observe_stream(sim->execution->observation, 1, text, size, sim->printed, false);
    return ok ? BV_OK : bv_fail_nomem(error);
}

/* One attempt of the workload: decided, done by the world, and told, unless that is the lie. */
static enum bv_status step(struct sim_run *sim, const struct sim_op *op, struct bv_error *error)
{
    enum sim_lie lie;
    enum bv_requirement_kind kind;
    bool granted = policy(sim->execution->intent, op, &lie, &kind);
    bool let = granted || sim->setup->lie == lie;
    sim_world_attempt(&sim->world, op, let);
    if (op->kind == SIM_PRINT) {
        return print(sim, op->subject, error);
    }
    if (!let && sim->setup->lie != SIM_DROPS_DENIAL) {
        const char *subject = op->subject ? op->subject : "descriptor or task";
        return bv_observe_denied(sim->execution->observation, kind, subject, 1)
                   ? BV_OK
                   : bv_fail_nomem(error);
    }
    return BV_OK;
}

static enum bv_status sim_dispatch(void *run, bool *ret_done, struct bv_error *error)
{
    struct sim_run *sim = run;
    const struct bv_exit nothing = { .kind = BV_EXIT_NONE };
    if (sim->over) {
        *ret_done = true;
        return BV_OK;
    }
    if (was_cancelled(sim)) {
        sim_world_kill_tree(&sim->world);
        return conclude(sim, BV_OUTCOME_KILLED,
                        (struct bv_exit){ .kind = BV_EXIT_SIGNAL, .value = 9 }, ret_done, error);
    }
    if (!sim->execution->intent->launch || sim->at == sim->setup->script_length) {
        return conclude(sim,
                        sim->execution->intent->launch ? BV_OUTCOME_SUPERVISOR_FAULT
                                                       : BV_OUTCOME_COMPLETED,
                        nothing, ret_done, error);
    }
    const struct sim_op *op = &sim->setup->script[sim->at++];
    if (sim->setup->lie == SIM_CRASHES && sim->at > sim->setup->script_length / 2) {
        return bv_fail(error, BV_E_FAULT, "dispatch", "the simulated backend crashed");
    }
    if (op->kind == SIM_WAIT) { /* nothing more to do until somebody cancels */
        uint64_t count;
        sim->at--;
        return read(sim->event_fd, &count, sizeof(count)) < 0 && errno != EAGAIN
                   ? bv_fail_sys(error, "dispatch", -errno, "waiting")
                   : BV_OK;
    }
    enum bv_status status = step(sim, op, error);
    if (status != BV_OK || op->kind != SIM_EXIT) {
        return status;
    }
    const struct bv_exit end = { .kind = BV_EXIT_CODE, .value = (int)op->amount };
    return conclude(sim, op->amount == 0 ? BV_OUTCOME_COMPLETED : BV_OUTCOME_FAILED, end, ret_done,
                    error);
}

static void sim_close(void *context)
{
    (void)context; /* the setup is the test's */
}

static const struct bv_backend_ops sim_ops = {
    .abi_version = BV_BACKEND_ABI,
    .id = "sim",
    .probe = sim_probe,
    .profile = sim_profile,
    .classify = sim_classify,
    .offer = sim_offer,
    .start = sim_start,
    .poll_fd = sim_poll_fd,
    .dispatch = sim_dispatch,
    .close_run = sim_close_run,
    .close = sim_close,
};

enum bv_status sim_backend_new(const struct sim_setup *setup, struct bv_backend **ret_backend,
                               struct bv_error *error)
{
    /* The vtable's context is not const; this backend never writes through it. */
    union {
        const struct sim_setup *given;
        void *kept;
    } context = { .given = setup };
    return bv_backend_new(&sim_ops, context.kept, ret_backend, error);
}
