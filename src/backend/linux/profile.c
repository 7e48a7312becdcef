/* backend/linux/profile.c - facts of a machine -> typed words and the ceiling of every row of
 * the matrix.
 *
 * Pure and deterministic. What is missing is named as the kernel feature, the privilege or the
 * limit that it is, with what would satisfy it. Without its base (namespaces, seccomp with a
 * listener, the mount calls) the boundary is not built at all: then every row is unsupported and
 * says so; nothing is held by the layers that are left alone. LINUX.md 1, 2 and 4; CONTRACT.md 6
 * and 7. */
#include "backend/linux/linux.h"

#include "backend/linux/fact_keys.h"
#include "base/check.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *fact(const struct bv_snapshot *facts, const char *key)
{
    const char *value = bv_snapshot_get(facts, key);
    return value ? value : "not probed";
}

static bool is_ok(const struct bv_snapshot *facts, const char *key)
{
    return strcmp(fact(facts, key), "ok") == 0;
}

/* The leading decimal number of a fact; 0 if there is none. */
static uint64_t number(const struct bv_snapshot *facts, const char *key)
{
    return strtoull(fact(facts, key), NULL, 10);
}

static uint64_t controller(const struct bv_snapshot *facts, const char *key)
{
    const char *value = fact(facts, key);
    if (strcmp(value, "v1 ok") == 0) {
        return LINUX_CONTROLLER_V1;
    }
    return strcmp(value, "v2 ok") == 0 ? LINUX_CONTROLLER_V2 : LINUX_CONTROLLER_NONE;
}

static void fill_words(const struct bv_snapshot *facts, uint64_t word[64])
{
    memset(word, 0, 64 * sizeof(word[0]));
    word[LW_UID] = number(facts, FACT_UID);
    word[LW_USERNS] =
        is_ok(facts, FACT_USERNS) && is_ok(facts, FACT_NETNS) && is_ok(facts, FACT_TMPFS);
    word[LW_LANDLOCK_ABI] = number(facts, FACT_LANDLOCK_ABI);
    word[LW_SECCOMP] = is_ok(facts, FACT_SECCOMP);
    word[LW_NOTIFY] = is_ok(facts, FACT_NOTIFY);
    word[LW_MOUNT_SETATTR] =
        (is_ok(facts, FACT_MOUNT_SETATTR) || is_ok(facts, FACT_REMOUNT)) &&
        is_ok(facts, FACT_OPEN_TREE);
    word[LW_OPENAT2] = is_ok(facts, FACT_OPENAT2);
    word[LW_PIDFD] = is_ok(facts, FACT_PIDFD);
    word[LW_CLOSE_RANGE] = is_ok(facts, FACT_CLOSE_RANGE);
    word[LW_PROC_MOUNT] = is_ok(facts, FACT_PROC_MOUNT);
    word[LW_NPROC_USERNS] = is_ok(facts, FACT_NPROC);
    word[LW_CPUS] = number(facts, FACT_CPUS) ? number(facts, FACT_CPUS) : 1;
    word[LW_CGROUP_CORE] = is_ok(facts, FACT_CGROUP_CORE);
    word[LW_CGROUP_KILL] = word[LW_CGROUP_CORE] && is_ok(facts, FACT_CGROUP_KILL);
    word[LW_MEMORY] = controller(facts, FACT_MEMORY);
    word[LW_PIDS] = controller(facts, FACT_PIDS);
    word[LW_CPUACCT] = controller(facts, FACT_CPUACCT);
    word[LW_PIDS_PEAK] = word[LW_PIDS] && is_ok(facts, FACT_PIDS_PEAK);
    word[LW_MEMORY_PEAK] = word[LW_MEMORY] && is_ok(facts, FACT_MEMORY_PEAK);
    word[LW_MEMSW] = word[LW_MEMORY] && is_ok(facts, FACT_MEMSW);
    word[LW_PROC_FD_SIZE] = is_ok(facts, FACT_PROC_FD_SIZE);
    word[LW_STAGING] = is_ok(facts, FACT_STAGING);
}

/* What every boundary is built on. The reason is shown with the value of its fact after it. */
struct base_need {
    const char *key, *why, *remedy;
};

static const struct base_need base_needs[] = {
    { FACT_USERNS, "user, mount and pid namespaces cannot be made",
      "allow unprivileged user namespaces (user.max_user_namespaces, "
      "kernel.unprivileged_userns_clone, "
      "kernel.apparmor_restrict_unprivileged_userns; in a container, its seccomp profile)" },
    { FACT_NETNS, "network namespaces cannot be made",
      "a kernel with CONFIG_NET_NS, and user.max_net_namespaces above 0" },
    { FACT_TMPFS, "tmpfs cannot be mounted in a new namespace", "a kernel with CONFIG_TMPFS" },
    { FACT_PROC_MOUNT, "a fresh procfs with subset=pid cannot be mounted",
      "Linux 5.8, and a /proc without mounts over parts of it (in a container: an unmasked "
      "/proc)" },
    { FACT_SECCOMP, "seccomp filters", "a kernel with CONFIG_SECCOMP_FILTER" },
    { FACT_NOTIFY, "seccomp listeners",
      "Linux 5.0 or later, and a caller that is not itself below a seccomp listener (EBUSY)" },
    { FACT_CLONE3, "clone3",
      "Linux 5.3 or later; in a container, a seccomp profile that allows it" },
    { FACT_OPEN_TREE, "open_tree and move_mount", "Linux 5.2 or later" },
    { FACT_MOUNT_SETATTR, "mount_setattr, or remounting a bind mount", "Linux 5.12 or later" },
    { FACT_OPENAT2, "openat2", "Linux 5.6 or later" },
    { FACT_PIDFD, "pid descriptors", "Linux 5.4 or later" },
    { FACT_CLOSE_RANGE, "close_range", "Linux 5.9 or later" },
};

/* A means of equal strength where the kernel lacks the usual one (step_remount.c). */
static bool replaced(const struct bv_snapshot *facts, const char *key)
{
    return strcmp(key, FACT_MOUNT_SETATTR) == 0 && is_ok(facts, FACT_REMOUNT);
}

/* Names every missing part of the base, as far as the text goes; false when nothing is missing. */
static bool base_missing(const struct bv_snapshot *facts, struct bv_verdict *verdict)
{
    size_t used = 0;
    for (size_t i = 0; i < BV_COUNT(base_needs); i++) {
        /* What could not be tried for want of an earlier one is no finding of its own. */
        if (is_ok(facts, base_needs[i].key) || replaced(facts, base_needs[i].key) ||
            (used > 0 && strcmp(fact(facts, base_needs[i].key), "not tried") == 0)) {
            continue;
        }
        if (used == 0) {
            bv_copy_text(verdict->remedy, sizeof(verdict->remedy), base_needs[i].remedy);
        }
        int n = snprintf(verdict->why + used, sizeof(verdict->why) - used, "%s%s: %s",
                         used ? "; " : "", base_needs[i].why, fact(facts, base_needs[i].key));
        if (n < 0 || (size_t)n >= sizeof(verdict->why) - used) {
            bv_copy_text(verdict->why + sizeof(verdict->why) - 4, 4, "...");
            return true;
        }
        used += (size_t)n;
    }
    return used > 0;
}

static void enforce(struct bv_verdict *verdict, uint32_t evidence, const char *mechanism)
{
    verdict->enforcement = BV_ENFORCED;
    verdict->evidence = evidence;
    bv_copy_text(verdict->mechanism, sizeof(verdict->mechanism), mechanism);
}

static void refuse(struct bv_verdict *verdict, const char *why, const char *remedy)
{
    verdict->enforcement = BV_UNSUPPORTED;
    bv_copy_text(verdict->why, sizeof(verdict->why), why);
    bv_copy_text(verdict->remedy, sizeof(verdict->remedy), remedy);
}

static void ceiling_filesystem(const struct bv_profile *profile, struct bv_verdict *verdict)
{
    char mechanism[64] = "linux:mount_ns";
    if (profile->word[LW_LANDLOCK_ABI] > 0) {
        snprintf(mechanism, sizeof(mechanism), "linux:mount_ns+landlock_abi%u",
                 (unsigned)profile->word[LW_LANDLOCK_ABI]);
    } else {
        snprintf(
            verdict->note, sizeof(verdict->note),
            "landlock_abi %s: the mount namespace alone holds the roots, and write-only grants are "
            "refused; "
            "a kernel with CONFIG_SECURITY_LANDLOCK and landlock in lsm= adds the second layer",
            fact(profile->facts, FACT_LANDLOCK_ABI));
    }
    /* No denied_attempts: mounts and Landlock refuse without telling anybody. */
    enforce(verdict, BV_CLAIM_MECHANISM_ATTESTATION, mechanism);
}

static void ceiling_network(const struct bv_profile *profile, enum bv_requirement_kind kind,
                            struct bv_verdict *verdict)
{
    const uint64_t abi = profile->word[LW_LANDLOCK_ABI];
    const uint32_t evidence = BV_CLAIM_MECHANISM_ATTESTATION | BV_CLAIM_DENIED_ATTEMPTS;
    char mechanism[96];
    if (kind == BV_REQ_NETWORK_DENY_ALL) {
        snprintf(mechanism, sizeof(mechanism), "linux:net_ns+seccomp%s%s%s",
                 abi >= 10  ? "+landlock_tcp_udp"
                 : abi >= 4 ? "+landlock_tcp"
                            : "",
                 abi >= 6 ? "+landlock_scope" : "", abi >= 9 ? "+landlock_unix" : "");
    } else {
        /* Abstract sockets are scoped by the network namespace, which is the host's here. */
        snprintf(mechanism, sizeof(mechanism), "linux:host_net_ns+seccomp_families%s",
                 abi >= 6 ? "+landlock_scope" : "");
    }
    enforce(verdict, evidence, mechanism);
}

/* Why overlayfs cannot be had, by where trying it failed. */
static void ceiling_staging(const struct bv_profile *profile, struct bv_verdict *verdict)
{
    const char *value = fact(profile->facts, FACT_STAGING);
    if (profile->word[LW_STAGING]) {
        enforce(verdict,
                BV_CLAIM_FILESYSTEM_DELTA | BV_CLAIM_ARTIFACT_LINEAGE |
                    BV_CLAIM_MECHANISM_ATTESTATION,
                "linux:overlayfs userxattr");
        return;
    }
    char why[200];
    const bool tried = strcmp(value, "not probed") != 0, root = strstr(value, "over root") != NULL;
    snprintf(why, sizeof(why), "%s (%s: %s)",
             !tried ? "no state directory was given in which to stage"
             : root ? "overlayfs cannot be mounted over a root that is to be staged"
                    : "overlayfs cannot stage in the state directory",
             FACT_STAGING, value);
    refuse(verdict, why,
           !tried ? "set HOME or XDG_STATE_HOME, or --journal DIR"
           : root ? "grant a directory on another file system, or leave out --stage, --commit and "
                    "--discard: writes are then live"
                  : "Linux 5.11 with CONFIG_OVERLAY_FS, and a state directory on a file system that "
                    "can be its upper layer (ext4, xfs, btrfs; tmpfs since 6.6): XDG_STATE_HOME or --journal DIR");
}

static void ceiling_row(const struct bv_profile *profile, enum bv_requirement_kind kind,
                        struct bv_verdict *verdict)
{
    const uint32_t attested = BV_CLAIM_MECHANISM_ATTESTATION,
                   denials = attested | BV_CLAIM_DENIED_ATTEMPTS;
    switch (kind) {
    case BV_REQ_FILESYSTEM: ceiling_filesystem(profile, verdict); return;
    case BV_REQ_NETWORK_DENY_ALL:
    case BV_REQ_NETWORK_ALLOW_ALL: ceiling_network(profile, kind, verdict); return;
    case BV_REQ_NETWORK_ALLOW_LIST:
        refuse(verdict, "the relay that an allow-list needs is not part of this version",
               "--net none or --net all");
        return;
    case BV_REQ_SPAWN_DENY_NEW_TASKS:
    case BV_REQ_SPAWN_ALLOW_THREADS: enforce(verdict, denials, "linux:seccomp"); return;
    case BV_REQ_SPAWN_ALLOW_DESCENDANTS:
        enforce(verdict, denials,
                profile->word[LW_CGROUP_CORE] ? "linux:pid_ns+seccomp+cgroup"
                                              : "linux:pid_ns+seccomp");
        return;
    case BV_REQ_ENVIRONMENT: enforce(verdict, attested, "linux:execve"); return;
    case BV_REQ_INHERITED_FDS_NONE:
    case BV_REQ_INHERITED_FDS_ONLY: enforce(verdict, attested, "linux:close_range"); return;
    case BV_REQ_LAUNCH_WORKLOAD:
        enforce(verdict,
                BV_CLAIM_TERMINAL_OUTCOME | BV_CLAIM_CAPTURED_STREAMS | BV_CLAIM_RESOURCE_USAGE |
                    attested,
                "linux:launcher+pid_ns_init");
        return;
    case BV_REQ_CAPTURE_STREAMS: enforce(verdict, BV_CLAIM_CAPTURED_STREAMS, "linux:pipes"); return;
    case BV_REQ_TEMP_ROOT: enforce(verdict, attested, "linux:tmpfs size+nr_inodes"); return;
    case BV_REQ_EXPOSE_PATH: enforce(verdict, attested, "linux:bind_mount"); return;
    case BV_REQ_KILL:
        enforce(verdict, BV_CLAIM_TERMINAL_OUTCOME,
                profile->word[LW_CGROUP_KILL] ? "linux:cgroup.kill+pid_ns_init"
                                              : "linux:pid_ns_init");
        return;
    case BV_REQ_COMMIT_ARTIFACT:
    case BV_REQ_DISCARD_ARTIFACT:
    case BV_REQ_LIST_OUTPUTS: ceiling_staging(profile, verdict); return;
    }
    BV_UNREACHABLE();
}

void linux_profile(void *context, const struct bv_snapshot *facts, struct bv_profile *profile)
{
    (void)context;
    struct bv_verdict missing = { .enforcement = BV_UNSUPPORTED };
    profile->facts = facts;
    fill_words(facts, profile->word);
    const bool no_base = base_missing(facts, &missing);
    for (int kind = 0; kind < BV_REQUIREMENT_KIND_COUNT; kind++) {
        struct bv_verdict *verdict = &profile->ceiling[kind];
        memset(verdict, 0, sizeof(*verdict));
        ceiling_row(profile, (enum bv_requirement_kind)kind, verdict);
        if (no_base && verdict->enforcement != BV_UNSUPPORTED) {
            *verdict = missing;
        }
        BV_ASSERT(verdict->enforcement == BV_UNSUPPORTED ? verdict->why[0] : verdict->mechanism[0]);
    }
}
