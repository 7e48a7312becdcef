/* tests/support/machine.h - made-up machines: the facts of the layouts of LINUX.md 2, for tests
 * of the pure half. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "backend/linux/linux.h"
#include "contract/contract.h"

enum machine {
    MACHINE_ROOT_HYBRID,
    MACHINE_ROOT_V2,
    MACHINE_USER_NONE,
    MACHINE_NO_LANDLOCK,
    MACHINE_NO_USERNS,
    MACHINE_OLD,
    MACHINE_MIXED,
    MACHINE_ROOT_NONE,
    MACHINE_USER_V2,
    MACHINE_USER_SHARED,
    MACHINE_NEW,
    MACHINE_BARE,
    MACHINE_COUNT
};

struct machine_fact {
    const char *key, *value;
};

static const struct machine_fact machine_base[] = {
    { "kernel", "6.18.0" },
    { "uid", "0" },
    { "supplementary_groups", "0" },
    { "landlock_abi", "7" },
    { "userns", "ok" },
    { "netns", "ok" },
    { "tmpfs_mount", "ok" },
    { "proc_mount", "ok" },
    { "mount_setattr", "ok" },
    { "bind_remount", "not tried" },
    { "open_tree", "ok" },
    { "openat2", "ok" },
    { "pidfd", "ok" },
    { "close_range", "ok" },
    { "clone3", "ok" },
    { "seccomp", "ok" },
    { "seccomp_notify", "ok" },
    { "nproc_userns", "no: uid 0 is exempt" },
    { "cpus", "2" },
    { "cgroup_core", "ok" },
    { "cgroup_kill", "ok" },
    { "cgroup_memory", "v1 ok" },
    { "memory_peak", "ok" },
    { "memory_swap_limit", "ok" },
    { "cgroup_pids", "v1 ok" },
    { "pids_peak", "ok" },
    { "cgroup_cpu", "v2 ok" },
    { "proc_fd_size", "ok" },
};

static const struct machine_fact machine_v2[] = {
    { "cgroup_memory", "v2 ok" },
    { "cgroup_pids", "v2 ok" },
    { NULL, NULL },
};
static const struct machine_fact machine_user[] = {
    { "uid", "1000" },           { "supplementary_groups", "3" }, { "nproc_userns", "ok" },
    { "cgroup_core", "EACCES" }, { "cgroup_kill", "no" },         { "cgroup_memory", "v1 EACCES" },
    { "memory_peak", "no" },     { "memory_swap_limit", "no" },   { "cgroup_pids", "v1 EACCES" },
    { "pids_peak", "no" },       { "cgroup_cpu", "v1 EACCES" },   { NULL, NULL },
};
static const struct machine_fact machine_no_landlock[] = { { "landlock_abi", "0 EOPNOTSUPP" },
                                                           { NULL, NULL } };
static const struct machine_fact machine_no_userns[] = {
    { "uid", "1000" },
    { "userns", "EPERM at clone" },
    { "tmpfs_mount", "not tried" },
    { "proc_mount", "not tried" },
    { "open_tree", "not tried" },
    { "mount_setattr", "not tried" },
    { "seccomp_notify", "not tried" },
    { "nproc_userns", "not tried" },
    { NULL, NULL },
};
/* 5.10: no Landlock, no mount_setattr, no cgroup.kill, no peaks. */
static const struct machine_fact machine_old[] = {
    { "landlock_abi", "0 ENOSYS" }, { "mount_setattr", "ENOSYS" }, { "bind_remount", "ok" }, { "cgroup_kill", "no" },
    { "cgroup_memory", "v2 ok" },   { "memory_peak", "no" },       { "memory_swap_limit", "no" },
    { "cgroup_pids", "v2 ok" },     { "pids_peak", "no" },         { NULL, NULL },
};

/* 6.12 and later with v1 hierarchies: the memory controller is in v2 alone. */
static const struct machine_fact machine_mixed[] = {
    { "kernel", "6.12.0" },
    { "landlock_abi", "6" },
    { "cgroup_memory", "v2 ok" },
    { NULL, NULL },
};
static const struct machine_fact machine_root_none[] = {
    { "cgroup_core", "absent" },   { "cgroup_kill", "no" },     { "cgroup_memory", "absent" },
    { "memory_peak", "no" },       { "cgroup_pids", "absent" }, { "pids_peak", "no" },
    { "memory_swap_limit", "no" }, { "cgroup_cpu", "absent" },  { NULL, NULL },
};
/* Alone in a cgroup of its own, and beside others in one. */
static const struct machine_fact machine_user_v2[] = {
    { "uid", "1000" },           { "nproc_userns", "ok" }, { "cgroup_memory", "v2 ok" },
    { "cgroup_pids", "v2 ok" },  { NULL, NULL },
};
static const struct machine_fact machine_user_shared[] = {
    { "uid", "1000" },
    { "nproc_userns", "ok" },
    { "cgroup_memory", "v2 EBUSY: other processes" },
    { "memory_peak", "no" },
    { "memory_swap_limit", "no" },
    { "cgroup_pids", "v2 EBUSY: other processes" },
    { "pids_peak", "no" },
    { NULL, NULL },
};
/* Linux 7.3. */
static const struct machine_fact machine_new[] = { { "landlock_abi", "11" }, { NULL, NULL } };

static const char *const machine_names[MACHINE_COUNT] = {
    "root, hybrid",
    "root, v2",
    "user, no delegation",
    "no Landlock",
    "no user namespaces",
    "Linux 5.10",
    "root, memory in v2 and pids in v1",
    "root, no cgroups",
    "user, delegated v2",
    "user, v2 shared with others",
    "Landlock ABI 11",
    "no facts at all",
};

/* The facts of a machine; freed with bv_snapshot_free(). */
static inline struct bv_snapshot *machine_facts(enum machine machine)
{
    static const struct machine_fact *const changes[MACHINE_COUNT] = {
        [MACHINE_ROOT_V2] = machine_v2,
        [MACHINE_USER_NONE] = machine_user,
        [MACHINE_NO_LANDLOCK] = machine_no_landlock,
        [MACHINE_NO_USERNS] = machine_no_userns,
        [MACHINE_OLD] = machine_old,
        [MACHINE_MIXED] = machine_mixed,
        [MACHINE_ROOT_NONE] = machine_root_none,
        [MACHINE_USER_V2] = machine_user_v2,
        [MACHINE_USER_SHARED] = machine_user_shared,
        [MACHINE_NEW] = machine_new,
    };
    struct bv_snapshot *snapshot = bv_snapshot_new();
    if (!snapshot) {
        abort();
    }
    for (size_t i = 0;
         machine != MACHINE_BARE && i < sizeof(machine_base) / sizeof(machine_base[0]); i++) {
        if (bv_snapshot_set(snapshot, machine_base[i].key, machine_base[i].value, NULL) != BV_OK) {
            abort();
        }
    }
    for (const struct machine_fact *change = changes[machine]; change && change->key; change++) {
        if (bv_snapshot_set(snapshot, change->key, change->value, NULL) != BV_OK) {
            abort();
        }
    }
    return snapshot;
}

/* A machine's profile; made once, never freed. */
static inline const struct bv_profile *machine_profile(enum machine machine)
{
    static struct bv_profile *profiles[MACHINE_COUNT];
    if (!profiles[machine]) {
        profiles[machine] = calloc(1, sizeof(*profiles[machine]));
        if (!profiles[machine]) {
            abort();
        }
        linux_profile(NULL, machine_facts(machine), profiles[machine]);
    }
    return profiles[machine];
}

/* What `bvisor run -- /bin/true` asks: nothing but the launch, defaults of INTERFACE.md 1. */
static const struct bv_workload machine_workload = { .kind = BV_WORKLOAD_PROCESS,
                                                     .path = "/bin/true",
                                                     .cwd = "/" };

static inline struct bv_intent machine_intent(void)
{
    struct bv_intent intent = { .workload = &machine_workload, .launch = true };
    for (int dimension = 0; dimension < BV_DIMENSION_COUNT; dimension++) {
        intent.budgets[dimension].limit = BV_UNLIMITED;
    }
    intent.budgets[BV_WALL_MICROS].limit = 600000000;
    intent.budgets[BV_PROCESS_COUNT].limit = 1;
    return intent;
}
