/* backend/linux/offer.c - what this machine gives for each of the seven budgets under one
 * intent.
 *
 * Pure. `enforced` rests on the kernel refusing or a kernel timer; `mediated` states its
 * sampling interval and the most that can pass before the tree is dead; what can be neither is
 * not bounded at all, and says why. resource_usage is offered only where the report will carry a
 * figure whose source is stated. LINUX.md 2 and 5; CONTRACT.md 5. */
#include "backend/linux/linux.h"

#include "backend/linux/fact_keys.h"
#include "base/check.h"
#include "base/error.h"

#include <stdio.h>
#include <string.h>

/* The most that a running task's clock can be ahead of its account: one scheduler tick at
 * CONFIG_HZ=100. */
#define ACCOUNT_LAG_MICROS 10000u
/* From a sample that is over the limit to the last task's end: init runs, exits, and the kernel
 * kills the namespace. */
#define KILL_LATENCY_MICROS 20000u
/* A descriptor limit below this leaves a child no room for 0, 1, 2, a loader's file and a few of
 * its own. */
#define NOFILE_USEFUL 16u

static const char *fact(const struct bv_profile *profile, const char *key)
{
    const char *value = bv_snapshot_get(profile->facts, key);
    return value ? value : "not probed";
}

static void enforced(struct bv_offer *offer, uint32_t evidence, const char *mechanism)
{
    offer->can_bound = true;
    offer->guarantee = BV_GUARANTEE_ENFORCED;
    offer->evidence = evidence;
    bv_copy_text(offer->mechanism, sizeof(offer->mechanism), mechanism);
}

static void mediated(struct bv_offer *offer, uint64_t max_overshoot, const char *mechanism)
{
    offer->can_bound = true;
    offer->guarantee = BV_GUARANTEE_MEDIATED;
    offer->evidence = BV_CLAIM_RESOURCE_USAGE;
    offer->sample_interval_micros = LINUX_SAMPLE_MICROS;
    offer->max_overshoot = max_overshoot;
    bv_copy_text(offer->mechanism, sizeof(offer->mechanism), mechanism);
}

/* Only "unlimited" is admitted, and nothing is measured. */
static void unbounded(struct bv_offer *offer, const char *why, const char *remedy)
{
    offer->can_bound = false;
    offer->guarantee = BV_GUARANTEE_MEDIATED;
    bv_copy_text(offer->mechanism, sizeof(offer->mechanism), "linux:none");
    bv_copy_text(offer->why, sizeof(offer->why), why);
    bv_copy_text(offer->remedy, sizeof(offer->remedy), remedy);
}

/* What would give a controller, by why it is not to be had. */
static const char *controller_remedy(const struct bv_profile *profile, const char *key)
{
    const char *value = fact(profile, key);
    if (strcmp(value, "absent") == 0) {
        return "a mounted cgroup hierarchy that has it, in which the caller may make a cgroup";
    }
    if (strncmp(value, "v1", 2) == 0) {
        return "run as root, or in a v1 cgroup that belongs to the caller";
    }
    /* A process alone in a cgroup of its own may divide it (cgroup_home.c). */
    return profile->word[LW_UID] == 0
               ? "start bvisor alone in a cgroup: systemd-run --scope -p Delegate=yes bvisor ..."
               : "start bvisor alone in a cgroup of the caller's: systemd-run --user --scope -p "
                 "Delegate=yes bvisor ...";
}

static void offer_cpu(const struct bv_profile *profile, const struct bv_intent *intent,
                      struct bv_offer *offer)
{
    const uint64_t cpus = profile->word[LW_CPUS];
    const uint64_t sampled =
        cpus * (LINUX_SAMPLE_MICROS + ACCOUNT_LAG_MICROS + KILL_LATENCY_MICROS);
    if (profile->word[LW_CPUACCT] != LINUX_CONTROLLER_NONE) {
        mediated(offer, sampled,
                 profile->word[LW_CPUACCT] == LINUX_CONTROLLER_V2
                     ? "linux:cgroup_v2 cpu.stat sampled by init"
                     : "linux:cgroup_v1 cpuacct.usage sampled by init");
        return;
    }
    if (intent->spawn != BV_SPAWN_ALLOW_DESCENDANTS) {
        mediated(offer, sampled, "linux:process CPU clock sampled by init");
        return;
    }
    char why[200];
    snprintf(why, sizeof(why),
             "CPU time of descendants whose parent ignores SIGCHLD is in no account without a "
             "cgroup (%s: %s; %s: %s)",
             FACT_CGROUP_CORE, fact(profile, FACT_CGROUP_CORE), FACT_CPUACCT,
             fact(profile, FACT_CPUACCT));
    char remedy[200];
    snprintf(remedy, sizeof(remedy), "%s, --spawn none or threads, or --cpu unlimited",
             controller_remedy(profile, FACT_CPUACCT));
    unbounded(offer, why, remedy);
}

static void offer_resident(const struct bv_profile *profile, const struct bv_intent *intent,
                           struct bv_offer *offer)
{
    if (profile->word[LW_MEMORY] == LINUX_CONTROLLER_NONE) {
        char why[160], remedy[200];
        snprintf(why, sizeof(why), "no memory controller that the caller may use (%s: %s)",
                 FACT_MEMORY, fact(profile, FACT_MEMORY));
        snprintf(remedy, sizeof(remedy), "%s, or --mem unlimited",
                 controller_remedy(profile, FACT_MEMORY));
        unbounded(offer, why, remedy);
        return;
    }
    const bool v2 = profile->word[LW_MEMORY] == LINUX_CONTROLLER_V2,
               swap = profile->word[LW_MEMSW] != 0;
    char mechanism[96];
    snprintf(mechanism, sizeof(mechanism), "linux:%s%s%s",
             v2 ? "cgroup_v2 memory.max+memory.oom.group" : "cgroup_v1 memory.limit_in_bytes",
             !swap ? ""
             : v2  ? "+memory.swap.max=0"
                   : "+memsw.limit_in_bytes",
             linux_socket_share(profile, intent) > 0 ? "+kmem.tcp.limit_in_bytes" : "");
    enforced(offer, profile->word[LW_MEMORY_PEAK] ? BV_CLAIM_RESOURCE_USAGE : 0, mechanism);
    offer->floor = LINUX_RESIDENT_FLOOR;
    const bool unknown = strcmp(fact(profile, FACT_MEMORY_PEAK), "not yet") == 0;
    if (!swap) {
        bv_copy_text(
            offer->note, sizeof(offer->note),
            unknown
                ? "whether swap is limited too shows only once the controller has been enabled"
                : "this kernel does not account swap: what is swapped out counts no more as resident");
    }
    if (!profile->word[LW_MEMORY_PEAK]) {
        bv_copy_text(offer->why, sizeof(offer->why),
                     unknown ? "no cgroup has the memory controller enabled yet, so whether there is "
                               "a memory.peak is not known"
                             : "no memory.peak before Linux 5.19: the peak is not measured");
    }
}

static void offer_processes(const struct bv_profile *profile, const struct bv_intent *intent,
                            struct bv_offer *offer)
{
    if (intent->spawn == BV_SPAWN_DENY_NEW_TASKS) {
        enforced(offer, BV_CLAIM_RESOURCE_USAGE, "linux:seccomp (no task can be created)");
        offer->structural = true;
        return;
    }
    if (profile->word[LW_PIDS] != LINUX_CONTROLLER_NONE) {
        enforced(offer, BV_CLAIM_RESOURCE_USAGE,
                 profile->word[LW_PIDS] == LINUX_CONTROLLER_V2 ? "linux:cgroup_v2 pids.max"
                                                               : "linux:cgroup_v1 pids.max");
        if (!profile->word[LW_PIDS_PEAK]) {
            bv_copy_text(offer->note, sizeof(offer->note),
                         "no pids.peak (Linux 6.6): the figure is sampled by init");
        }
        return;
    }
    if (profile->word[LW_NPROC_USERNS]) {
        /* The kernel refuses the task beyond the limit, but the limit stands with the workload's
         * own uid in a namespace of its own, not with an object that only the host can touch: a
         * backstop in LINUX.md 1, so not `enforced`. */
        mediated(offer, 0, "linux:RLIMIT_NPROC in the user namespace, sampled by init");
        return;
    }
    char why[200];
    snprintf(why, sizeof(why),
             "no pids controller that the caller may use (%s: %s), and RLIMIT_NPROC does not bind "
             "here (%s: %s)",
             FACT_PIDS, fact(profile, FACT_PIDS), FACT_NPROC, fact(profile, FACT_NPROC));
    char remedy[200];
    snprintf(remedy, sizeof(remedy), "%s, --spawn none, or --procs unlimited",
             controller_remedy(profile, FACT_PIDS));
    unbounded(offer, why, remedy);
}

/* Kept descriptors whose number is not below RLIMIT_NOFILE stay open and are not counted by it. */
static uint64_t kept_at_or_above(const struct bv_intent *intent, uint64_t number)
{
    uint64_t count = 0;
    for (size_t i = 0; i < intent->fd_count; i++) {
        count += (uint64_t)intent->fds[i] >= number;
    }
    return count;
}

/* The largest RLIMIT_NOFILE under which one table holds at most `handles` descriptors; 0 if
 * there is none. */
static uint64_t table_limit(const struct bv_intent *intent, uint64_t handles)
{
    uint64_t nofile = handles;
    while (nofile > 0 && nofile + kept_at_or_above(intent, nofile) > handles) {
        nofile--; /* at most BV_KEPT_FDS_MAX times */
    }
    return nofile;
}

/* One process's share when processes x nofile must stay within the limit; 0 if the shares would
 * be too small. */
static uint64_t share(const struct bv_intent *intent)
{
    const uint64_t processes = intent->budgets[BV_PROCESS_COUNT].limit;
    if (processes == BV_UNLIMITED || processes == 0) {
        return 0;
    }
    const uint64_t nofile = table_limit(intent, intent->budgets[BV_HANDLE_COUNT].limit / processes);
    return nofile >= NOFILE_USEFUL ? nofile : 0;
}

uint64_t linux_nofile(const struct bv_intent *intent)
{
    const uint64_t handles = intent->budgets[BV_HANDLE_COUNT].limit;
    if (handles == BV_UNLIMITED) {
        return UINT64_MAX;
    }
    const uint64_t each = intent->spawn == BV_SPAWN_ALLOW_DESCENDANTS ? share(intent) : 0;
    return each > 0 ? each : table_limit(intent, handles);
}

static void offer_handles(const struct bv_intent *intent, struct bv_offer *offer)
{
    static const char in_flight[] =
        "descriptors in flight in sockets are in no table and are not counted";
    const uint64_t handles = intent->budgets[BV_HANDLE_COUNT].limit,
                   processes = intent->budgets[BV_PROCESS_COUNT].limit;
    bv_copy_text(offer->note, sizeof(offer->note), in_flight);
    if (intent->spawn != BV_SPAWN_ALLOW_DESCENDANTS) {
        /* Threads share one table: the filter demands CLONE_FILES and refuses to unshare it. */
        enforced(offer, BV_CLAIM_RESOURCE_USAGE,
                 "linux:RLIMIT_NOFILE of the only descriptor table");
        return;
    }
    if (handles != BV_UNLIMITED && share(intent) > 0) {
        enforced(offer, BV_CLAIM_RESOURCE_USAGE, "linux:process_count x RLIMIT_NOFILE");
        return;
    }
    if (processes == BV_UNLIMITED && handles != BV_UNLIMITED) {
        unbounded(offer, "without a process limit the tree's descriptor tables have no bound",
                  "a process limit (--procs), or --handles unlimited");
        /* Measured all the same while the tree runs. */
        offer->evidence = BV_CLAIM_RESOURCE_USAGE;
        return;
    }
    uint64_t total = 0, overshoot = 0;
    if (handles != BV_UNLIMITED &&
        (bv_ckd_mul(&total, processes, handles) || bv_ckd_sub(&overshoot, total, handles) ||
         overshoot > BV_JSON_MAX_INTEGER)) {
        overshoot = BV_JSON_MAX_INTEGER;
    }
    mediated(offer, overshoot,
             "linux:descriptor tables sampled by init, each bounded by RLIMIT_NOFILE");
}

/* True when the workload can write to a place whose growth has no quota. */
static bool has_writable(const struct bv_intent *intent)
{
    for (size_t i = 0; i < intent->root_count; i++) {
        if (intent->roots[i].access != BV_ACCESS_READ) {
            return true;
        }
    }
    for (size_t i = 0; i < intent->expose_count; i++) {
        if (intent->exposes[i].access != BV_ACCESS_READ) {
            return true;
        }
    }
    return false;
}

static void offer_storage(const struct bv_intent *intent, struct bv_offer *offer)
{
    if (has_writable(intent)) {
        /* overlayfs has no limit of its own, and a project quota of the file system is the administrator's: what could not be stopped in time is
         * refused before it starts. */
        unbounded(offer,
                  intent->staged ? "staged writes go to the file system of the state directory, which has no quota here"
                                 : "live writable roots and writable exposed paths have no quota here",
                  "a --tmp instead of a writable root, or --storage unlimited");
        return;
    }
    if (intent->temp_root) {
        enforced(offer, BV_CLAIM_RESOURCE_USAGE, "linux:tmpfs size+nr_inodes");
        return;
    }
    enforced(offer, BV_CLAIM_RESOURCE_USAGE, "linux:no writable place");
    offer->structural = true;
}

static void offer_network(const struct bv_intent *intent, struct bv_offer *offer)
{
    switch (intent->network) {
    case BV_NETWORK_DENY_ALL:
        enforced(offer, BV_CLAIM_RESOURCE_USAGE, "linux:net_ns+seccomp (no packet leaves)");
        offer->structural = true;
        return;
    case BV_NETWORK_ALLOW_LIST:
        unbounded(offer,
                  "the relay that would count an allow-list's bytes is not part of this version",
                  "--net none or --net all");
        return;
    case BV_NETWORK_ALLOW_ALL:
        unbounded(offer, "bytes of sockets in the host's network namespace are not counted",
                  "--net-bytes unlimited, or --net none");
        return;
    }
    BV_UNREACHABLE();
}

void linux_offer(void *context, const struct bv_profile *profile, const struct bv_intent *intent,
                 enum bv_dimension dimension, struct bv_offer *ret_offer)
{
    (void)context;
    memset(ret_offer, 0, sizeof(*ret_offer));
    ret_offer->available = BV_JSON_MAX_INTEGER;
    /* Where no boundary can be built nothing is bounded either. */
    const struct bv_verdict *launch = &profile->ceiling[BV_REQ_LAUNCH_WORKLOAD];
    if (launch->enforcement == BV_UNSUPPORTED) {
        unbounded(ret_offer, launch->why, launch->remedy);
        return;
    }
    switch (dimension) {
    case BV_WALL_MICROS:
        enforced(ret_offer, BV_CLAIM_RESOURCE_USAGE, "linux:timerfd in init+pid_ns kill");
        break;
    case BV_CPU_MICROS: offer_cpu(profile, intent, ret_offer); break;
    case BV_RESIDENT_BYTES: offer_resident(profile, intent, ret_offer); break;
    case BV_PROCESS_COUNT: offer_processes(profile, intent, ret_offer); break;
    case BV_HANDLE_COUNT: offer_handles(intent, ret_offer); break;
    case BV_STORAGE_BYTES: offer_storage(intent, ret_offer); break;
    case BV_NETWORK_BYTES: offer_network(intent, ret_offer); break;
    }
    if (ret_offer->can_bound) {
        ret_offer->evidence |= BV_CLAIM_TERMINAL_OUTCOME | BV_CLAIM_MECHANISM_ATTESTATION;
    }
    BV_ASSERT(ret_offer->mechanism[0] != '\0');
    BV_ASSERT(ret_offer->can_bound || ret_offer->why[0] != '\0');
}
