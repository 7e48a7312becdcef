/* backend/linux/witness.c - says what a run showed: facts, captured totals, seven figures, one outcome.
 *
 * Called once, when the tree is dead, the leaf is gone and the streams have ended. A figure that was not measured is null with
 * the reason, never 0; a fact is stated only when it was seen. The terminal decision (LINUX.md 3): this side's recorded cause,
 * then a limit that init enforced, then a rise of oom_kill, then the relayed status, else supervisor_fault. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "backend/linux/run.h"
#include "base/buf.h"
#include "base/check.h"

static bool executed(const struct linux_run *run)
{
    return linux_seen(run, BV_MSG_EXECED);
}

/* A task of the leaf was killed for its memory budget; without one, OOM kills come from the machine. */
static bool oom_killed(const struct linux_run *run)
{
    return run->account.has_oom && run->account.oom_kills > 0 &&
           run->execution->intent->budgets[BV_RESIDENT_BYTES].limit != BV_UNLIMITED;
}

static bool limit_ended(const struct linux_run *run, enum bv_dimension dimension)
{
    return (linux_seen(run, BV_MSG_LIMIT) && run->limit.values[0] == (uint64_t)dimension) ||
           (dimension == BV_WALL_MICROS && run->cause == CAUSE_WALL);
}

/* What init measured; false when it did not, or did not live to tell. */
static bool figure(const struct linux_run *run, enum bv_figure which, uint64_t *ret_value)
{
    if (!linux_seen(run, BV_MSG_FIGURES) || (run->figures.values[0] & (1u << which)) == 0) {
        return false;
    }
    *ret_value = run->figures.values[which + 1];
    return true;
}

/* ---- the seven figures ---- */

struct usage {
    bool known, limit_reached;
    uint64_t value;
    char source[256];
};

static void measured(struct usage *usage, uint64_t value, const char *source)
{
    usage->known = true;
    usage->value = value;
    (void)snprintf(usage->source, sizeof usage->source, "%s", source);
}

static void sampled(const struct linux_run *run, struct usage *usage, uint64_t value,
                    const char *what)
{
    usage->known = true;
    usage->value = value;
    (void)snprintf(usage->source, sizeof usage->source,
                   "%s, sampled every %u us, longest gap %llu us", what, LINUX_SAMPLE_MICROS,
                   (unsigned long long)run->figures.values[7]);
}

static void unknown(struct usage *usage, const char *reason)
{
    usage->known = false;
    (void)snprintf(usage->source, sizeof usage->source, "%s", reason);
}

static void use_wall(const struct linux_run *run, struct usage *usage)
{
    if (linux_seen(run, BV_MSG_EXITED) && run->exited.values[1] >= run->exited.values[3]) {
        measured(usage, (run->exited.values[1] - run->exited.values[3] + 999) / 1000,
                 "init's CLOCK_MONOTONIC, exact");
    } else if (run->end_ns >= run->execed.values[0]) {
        measured(usage, (run->end_ns - run->execed.values[0] + 999) / 1000,
                 "supervisor's CLOCK_MONOTONIC, birth of the workload to death of the tree");
    } else {
        unknown(usage, "the clock gave no interval");
    }
}

static void use_cpu(const struct linux_run *run, struct usage *usage)
{
    uint64_t value;
    if (run->account.has_cpu) {
        measured(usage, run->account.cpu_micros,
                 run->leaf.cpu_v2 ? "cgroup v2 cpu.stat usage_usec, exact"
                                  : "cgroup v1 cpuacct.usage, exact");
    } else if (figure(run, BV_FIGURE_CPU_MICROS, &value)) {
        sampled(run, usage, value, "process clocks summed by init");
    } else {
        unknown(usage, "no CPU account, and init did not live to tell its own");
    }
}

static void use_resident(const struct linux_run *run, struct usage *usage)
{
    uint64_t value;
    if (run->account.has_memory) {
        measured(usage, run->account.memory_peak,
                 run->leaf.memory_v2
                     ? "cgroup v2 memory.peak, exact; page cache and tmpfs included"
                 : run->leaf.sockets_v1
                     ? "cgroup v1 memory.max_usage_in_bytes and kmem.tcp.max_usage_in_bytes, peaks "
                       "added; page cache and tmpfs included"
                 : run->execution->intent->network == BV_NETWORK_ALLOW_ALL
                     ? "cgroup v1 memory.max_usage_in_bytes, exact; page cache and tmpfs included, "
                       "socket buffers not"
                     : "cgroup v1 memory.max_usage_in_bytes, exact; page cache and tmpfs included");
    } else if (figure(run, BV_FIGURE_RSS_PEAK, &value)) {
        sampled(run, usage, value, "resident sets summed by init");
    } else {
        unknown(usage, "no memory controller for this caller");
    }
    usage->limit_reached = usage->limit_reached || oom_killed(run) ||
                           (run->account.has_refused_memory && run->account.memory_refused > 0);
}

static void use_processes(const struct linux_run *run, struct usage *usage)
{
    uint64_t value;
    if (run->account.has_pids) {
        measured(usage, run->account.pids_peak, "pids.peak, exact");
    } else if (run->execution->intent->spawn == BV_SPAWN_DENY_NEW_TASKS) {
        measured(usage, 1, "structural: no task can be created");
    } else if (figure(run, BV_FIGURE_TASKS_PEAK, &value)) {
        sampled(run, usage, value, "tasks counted by init");
    } else {
        unknown(usage, "no pids.peak, and init took no sample");
    }
    if (run->account.has_refused_pids) {
        usage->limit_reached = usage->limit_reached || run->account.pids_refused > 0;
    } else if (run->execution->intent->spawn != BV_SPAWN_DENY_NEW_TASKS) {
        /* RLIMIT_NPROC counts no refusals: a tree that stood at the limit is said to have reached it. */
        usage->limit_reached =
            usage->limit_reached ||
            (usage->known &&
             usage->value >= run->execution->intent->budgets[BV_PROCESS_COUNT].limit);
    }
}

static void use_handles(const struct linux_run *run, struct usage *usage)
{
    /* At its exec the workload had 0, 1, 2 and what it was to keep: the least that the peak can be. */
    uint64_t value = 0;
    const uint64_t at_exec = 3 + run->execution->intent->fd_count;
    if (linux_seen(run, BV_MSG_FIGURES) &&
        run->figures.values[1 + BV_FIGURE_HANDLES_PEAK] == UINT64_MAX) {
        unknown(usage, "a descriptor table of the tree may not be read: before Linux 6.2 that of an "
                       "executable without read permission");
        return;
    }
    if (!figure(run, BV_FIGURE_HANDLES_PEAK, &value) || value < at_exec) {
        value = at_exec;
    }
    sampled(run, usage, value, "descriptors of the tree, those at exec included");
    usage->limit_reached =
        usage->limit_reached || value >= run->execution->intent->budgets[BV_HANDLE_COUNT].limit;
}

static void use_storage(const struct linux_run *run, struct usage *usage)
{
    const struct bv_intent *intent = run->execution->intent;
    uint64_t value;
    for (size_t i = 0; i < intent->root_count; i++) {
        if (intent->roots[i].access != BV_ACCESS_READ &&
            strcmp(intent->roots[i].path, "/dev") != 0 &&
            strcmp(intent->roots[i].path, "/proc") != 0) {
            unknown(usage, intent->staged ? "staged writable roots have no quota and are not measured"
                                          : "live writable roots have no quota and are not measured");
            return;
        }
    }
    for (size_t i = 0; i < intent->expose_count; i++) {
        if (intent->exposes[i].access != BV_ACCESS_READ) {
            unknown(usage, "live writable exposed paths have no quota and are not measured");
            return;
        }
    }
    if (!intent->temp_root) {
        measured(usage, 0, "structural: nothing is writable");
    } else if (figure(run, BV_FIGURE_STORAGE_PEAK, &value)) {
        sampled(run, usage, value, "statfs of the temp root, and at the end");
        usage->limit_reached = value + 4096 > run->temp_bytes;
    } else {
        unknown(usage, "init did not live to tell the use of the temp root");
    }
}

static void use_network(const struct linux_run *run, struct usage *usage)
{
    if (run->execution->intent->network == BV_NETWORK_DENY_ALL) {
        measured(usage, 0,
                 "structural: an empty network namespace and no socket of a network family");
    } else {
        unknown(usage, "the host's network is shared and has no counter for this run");
    }
}

/* How many figures were measured. */
static unsigned observe_usage(struct linux_run *run)
{
    static void (*const uses[BV_DIMENSION_COUNT])(const struct linux_run *, struct usage *) = {
        [BV_WALL_MICROS] = use_wall,        [BV_CPU_MICROS] = use_cpu,
        [BV_RESIDENT_BYTES] = use_resident, [BV_PROCESS_COUNT] = use_processes,
        [BV_HANDLE_COUNT] = use_handles,    [BV_STORAGE_BYTES] = use_storage,
        [BV_NETWORK_BYTES] = use_network,
    };
    unsigned count = 0;
    for (int i = 0; i < BV_DIMENSION_COUNT; i++) {
        const enum bv_dimension dimension = (enum bv_dimension)i;
        struct usage usage = { .limit_reached = limit_ended(run, dimension) };
        const struct bv_offer *offer = &run->execution->offers[i];
        if (!executed(run)) {
            unknown(&usage, "the workload never ran");
        } else if (offer->structural || (offer->evidence & BV_CLAIM_RESOURCE_USAGE) != 0) {
            uses[i](run, &usage);
        } else { /* the plan says that this layout measures none: a figure now would be made up */
            unknown(&usage, offer->why[0] ? offer->why : "this layout has no measure of it");
        }
        count += usage.known;
        (void)bv_observe_usage(run->execution->observation, dimension,
                               usage.known ? &usage.value : NULL, usage.limit_reached, "%s",
                               usage.source);
    }
    return count;
}

/* ---- facts: what held the workload; stated only of a workload that was executed under it ---- */

static void observe_filesystem(struct linux_run *run)
{
    const struct bv_intent *intent = run->execution->intent;
    struct bv_observation *observation = run->execution->observation;
    const unsigned abi = (unsigned)run->execution->profile->word[LW_LANDLOCK_ABI];
    if (abi > 0) {
        (void)bv_observe_fact(observation, "filesystem_confined",
                              "%zu roots, mount namespace and Landlock ABI %u", intent->root_count,
                              abi);
    } else {
        (void)bv_observe_fact(observation, "filesystem_confined", "%zu roots, mount namespace",
                              intent->root_count);
    }
    if (intent->staged) {
        (void)bv_observe_fact(observation, "artifact_staged", "%zu writable trees, overlayfs", run->execution->staged_count);
    }
    if (intent->temp_root) {
        (void)bv_observe_fact(observation, "temp_root_created", "/tmp size=%llu",
                              (unsigned long long)run->temp_bytes);
        (void)bv_observe_fact(observation, "temp_root_removed", "/tmp with its mount namespace");
    }
    for (size_t i = 0; i < intent->expose_count; i++) {
        const struct bv_expose *expose = &intent->exposes[i];
        (void)bv_observe_fact(observation, "path_exposed", "%.180s at %.180s %s", expose->source,
                              expose->dest,
                              expose->access == BV_ACCESS_READ ? "read" : "read_write");
    }
}

static void observe_descriptors(struct linux_run *run)
{
    const struct bv_intent *intent = run->execution->intent;
    struct bv_buf list;
    if (intent->fd_count == 0) {
        (void)bv_observe_fact(run->execution->observation, "inherited_fds_none",
                              "0, 1 and 2 are pipes of the supervisor");
        return;
    }
    bv_buf_init(&list, 1024);
    for (size_t i = 0; i < intent->fd_count; i++) {
        (void)bv_buf_format(&list, "%s%d", i == 0 ? "" : ",", intent->fds[i]);
    }
    (void)bv_observe_fact(run->execution->observation, "inherited_fds_only", "%s",
                          list.data ? list.data : "");
    bv_buf_done(&list);
}

static void observe_boundary(struct linux_run *run)
{
    static const char *const networks[] = {
        [BV_NETWORK_DENY_ALL] = "network_deny_all",
        [BV_NETWORK_ALLOW_LIST] = "network_allow_list",
        [BV_NETWORK_ALLOW_ALL] = "network_allow_all",
    };
    static const char *const spawns[] = {
        [BV_SPAWN_DENY_NEW_TASKS] = "no thread, no process",
        [BV_SPAWN_ALLOW_THREADS] = "threads, no process",
        [BV_SPAWN_ALLOW_DESCENDANTS] = "descendants, in one pid namespace",
    };
    const struct bv_execution *execution = run->execution;
    const struct bv_intent *intent = execution->intent;
    (void)bv_observe_fact(execution->observation, "workload_launched", "%.300s",
                          execution->identity->path);
    observe_filesystem(run);
    (void)bv_observe_fact(execution->observation, networks[intent->network], "%s",
                          intent->network == BV_NETWORK_ALLOW_ALL
                              ? "the host's network namespace"
                              : "a network namespace of its own, seccomp");
    (void)bv_observe_fact(execution->observation, "spawn_confined", "%s", spawns[intent->spawn]);
    (void)bv_observe_fact(execution->observation, "environment_lowered", "entries=%zu",
                          intent->env_count);
    observe_descriptors(run);
}

static void observe_canaries(struct linux_run *run)
{
    if (!linux_seen(run, BV_MSG_CANARIES)) {
        return;
    }
    const int tried = __builtin_popcountll(run->canaries.values[0]);
    const int alive = __builtin_popcountll(run->canaries.values[1]);
    (void)bv_observe_fact(run->execution->observation, "canaries", "%d of %d denied", tried - alive,
                          tried);
    for (unsigned i = 0; i < BV_CANARY_COUNT; i++) {
        if ((run->canaries.values[1] & (1ull << i)) != 0) {
            (void)bv_observe_finding(run->execution->observation, "canary_not_denied", "%s",
                                     bv_canary_text((enum bv_canary)i));
        }
    }
}

static void observe_streams(struct linux_run *run)
{
    static const char *const names[2] = { "stdout", "stderr" };
    struct bv_observation *observation = run->execution->observation;
    for (int i = 0; i < 2; i++) {
        const struct linux_stream *stream = &run->out[i];
        if (stream->capture) {
            (void)bv_observe_stream(observation, stream->number, NULL, 0, stream->total,
                                    stream->total > stream->captured);
            (void)bv_observe_fact(observation, "stream_captured", "%llu %s",
                                  (unsigned long long)stream->captured, names[i]);
        }
        if (stream->target_lost) {
            (void)bv_observe_finding(observation, "stream_target_lost",
                                     "%s: the caller's descriptor took no more bytes: %s", names[i],
                                     strerror(stream->target_errno));
        }
    }
    if (run->in.source_errno != 0) {
        (void)bv_observe_finding(observation, "stdin_lost",
                                 "the caller's stdin could not be read: %s",
                                 strerror(run->in.source_errno));
    }
    if (run->execution->intent->capture.in) {
        (void)bv_observe_fact(observation, "stream_captured", "%llu stdin",
                              (unsigned long long)run->in.total);
    }
}

static void observe_tree(struct linux_run *run)
{
    struct bv_observation *observation = run->execution->observation;
    if (run->leaf_populated) {
        (void)bv_observe_finding(observation, "leaf_populated",
                                 "the cgroup leaf still had tasks after the pid namespace ended");
    } else {
        (void)bv_observe_fact(observation, "tree_empty", "the pid namespace ended");
    }
    if (run->leaf_error != 0) {
        (void)bv_observe_finding(observation, "leaf_not_removed", "the cgroup leaf %.100s: %s",
                                 run->leaf.name, strerror(-run->leaf_error));
    }
    if (linux_seen(run, BV_MSG_EXITED) && run->exited.values[2] > 0) {
        (void)bv_observe_finding(observation, "survivors_killed",
                                 "%llu processes outlived the workload and were killed",
                                 (unsigned long long)run->exited.values[2]);
    }
    if (run->account.has_oom && run->account.oom_kills > 0 && !oom_killed(run)) {
        (void)bv_observe_finding(
            observation, "machine_out_of_memory",
            "%llu tasks were killed for want of memory outside this run's budget",
            (unsigned long long)run->account.oom_kills);
    }
    if (run->notify.unrecorded > 0) {
        (void)bv_observe_finding(observation, "denials_unrecorded",
                                 "%llu denied calls had no description",
                                 (unsigned long long)run->notify.unrecorded);
    }
}

/* ---- the outcome ---- */

struct verdict {
    enum bv_outcome outcome;
    struct bv_exit exit;
    int cause;
    char detail[320];
};

static struct bv_exit relayed_exit(const struct linux_run *run)
{
    struct bv_exit result = { .kind = BV_EXIT_NONE };
    if (!executed(run) || !linux_seen(run, BV_MSG_EXITED)) {
        return result;
    }
    const int status = (int)run->exited.values[0];
    if (WIFEXITED(status)) {
        result.kind = BV_EXIT_CODE;
        result.value = WEXITSTATUS(status);
    } else if (WIFSIGNALED(status)) {
        result.kind = BV_EXIT_SIGNAL;
        result.value = WTERMSIG(status);
    }
    return result;
}

/* The launcher could not finish the boundary, so the workload never ran. What depends on the caller's files is the plan's to
 * honour and could not be; everything else is a fault of ours or of the machine. */
static void launch_failed(const struct linux_run *run, struct verdict *verdict)
{
    const struct bv_status_message *failed = &run->failed;
    const char *item = "";
    bool caller = false;
    switch (failed->stage) {
    case BV_STAGE_MOUNT_SOURCE:
    case BV_STAGE_MOUNT_IDENTITY:
    case BV_STAGE_MOUNT_DEST:
        item = failed->values[0] < run->mount_count ? run->mount_dest[failed->values[0]] : "";
        caller = true;
        break;
    case BV_STAGE_MOUNT_ATTACH:
    case BV_STAGE_MOUNT_OVERLAY:
        item = failed->values[0] < run->mount_count ? run->mount_dest[failed->values[0]] : "";
        break;
    case BV_STAGE_CWD:
        item = run->execution->intent->workload->cwd;
        caller = true;
        break;
    case BV_STAGE_EXEC:
        item = run->execution->identity->path;
        caller = true;
        break;
    default: /* a number from the wire: bv_stage_name() says so when it is none */ break;
    }
    verdict->outcome = caller ? BV_OUTCOME_UNSUPPORTED : BV_OUTCOME_SUPERVISOR_FAULT;
    (void)snprintf(verdict->detail, sizeof verdict->detail, "%s%s%.160s: %s",
                   bv_stage_name(failed->stage), item && item[0] ? " " : "", item ? item : "",
                   strerror(failed->error));
}

static void by_status(const struct linux_run *run, struct verdict *verdict)
{
    const struct bv_exit exit = relayed_exit(run);
    verdict->exit = exit;
    if (exit.kind == BV_EXIT_NONE) {
        verdict->outcome = BV_OUTCOME_SUPERVISOR_FAULT;
        (void)snprintf(verdict->detail, sizeof verdict->detail,
                       "init ended without the workload's status");
    } else if (exit.kind == BV_EXIT_CODE) {
        verdict->outcome = exit.value == 0 ? BV_OUTCOME_COMPLETED : BV_OUTCOME_FAILED;
        (void)snprintf(verdict->detail, sizeof verdict->detail, "exit code %d", exit.value);
    } else {
        /* SIGSYS too: no row of the filter kills, so it is the workload's own. */
        verdict->outcome = BV_OUTCOME_FAILED;
        (void)snprintf(verdict->detail, sizeof verdict->detail, "signal %d", exit.value);
    }
}

static void by_limit(struct verdict *verdict, enum bv_dimension dimension, const char *who)
{
    verdict->outcome = dimension == BV_WALL_MICROS || dimension == BV_CPU_MICROS
                           ? BV_OUTCOME_TIMEOUT
                           : BV_OUTCOME_KILLED;
    verdict->cause = (int)dimension;
    (void)snprintf(verdict->detail, sizeof verdict->detail, "%s limit, ended by %s",
                   bv_dimension_name(dimension), who);
}

static void decide(const struct linux_run *run, struct verdict *verdict)
{
    if (run->cause == CAUSE_FAULT || run->notify.unrecorded > 0) {
        verdict->outcome = BV_OUTCOME_SUPERVISOR_FAULT;
        (void)snprintf(verdict->detail, sizeof verdict->detail, "%s",
                       run->cause == CAUSE_FAULT ? run->fault
                                                 : "a denied call could not be recorded");
    } else if (run->cause == CAUSE_CANCEL) {
        verdict->outcome = BV_OUTCOME_KILLED;
        (void)snprintf(verdict->detail, sizeof verdict->detail, "%s", run->fault);
    } else if (run->cause == CAUSE_WALL) {
        by_limit(verdict, BV_WALL_MICROS, "the supervisor");
    } else if (linux_seen(run, BV_MSG_LIMIT) && run->limit.values[0] < BV_DIMENSION_COUNT) {
        by_limit(verdict, (enum bv_dimension)run->limit.values[0], "init");
    } else if (oom_killed(run)) {
        by_limit(verdict, BV_RESIDENT_BYTES, "the kernel's memory controller");
    } else if (linux_seen(run, BV_MSG_FAILED)) {
        launch_failed(run, verdict);
    } else {
        by_status(run, verdict);
    }
    if (verdict->outcome != BV_OUTCOME_SUPERVISOR_FAULT &&
        verdict->outcome != BV_OUTCOME_UNSUPPORTED) {
        verdict->exit = relayed_exit(run);
    }
}

void linux_witness(struct linux_run *run)
{
    struct bv_observation *observation = run->execution->observation;
    struct verdict verdict = { .outcome = BV_OUTCOME_SUPERVISOR_FAULT,
                               .exit.kind = BV_EXIT_NONE,
                               .cause = -1 };
    (void)bv_observe_launcher(observation, linux_launcher_digest);
    (void)bv_observe_fact(observation, "launcher_identity", "%s", linux_launcher_digest);
    observe_canaries(run);
    if (executed(run)) {
        observe_boundary(run);
    }
    observe_streams(run);
    const unsigned count = observe_usage(run);
    (void)bv_observe_fact(observation, "budget_witnessed", "%u of %d measured", count,
                          BV_DIMENSION_COUNT);
    observe_tree(run);
    decide(run, &verdict);
    if (verdict.exit.kind != BV_EXIT_NONE) {
        (void)bv_observe_fact(observation, "workload_exited", "%s %d",
                              verdict.exit.kind == BV_EXIT_CODE ? "code" : "signal",
                              verdict.exit.value);
    }
    (void)bv_observe_outcome(observation, verdict.outcome, verdict.exit, verdict.cause,
                             verdict.detail);
}
