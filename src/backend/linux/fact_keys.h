/* backend/linux/fact_keys.h - the keys of the probed facts: probe.c writes them, profile.c and
 * the texts read them, nobody else.
 *
 * A trial's value is "ok" or says what failed: "EPERM", "EPERM at uid_map". A number is decimal,
 * for landlock_abi followed by the errno when it is 0. A controller's value is "v1 ok", "v2 ok",
 * "absent", or "v1 EACCES" and so on. No value holds a path, a pid, a time or a version that
 * decides: equal machines give equal facts. */
#pragma once

#define FACT_KERNEL        "kernel" /* for people: nothing is decided by it */
#define FACT_UID           "uid"
#define FACT_GROUPS        "supplementary_groups"
#define FACT_LANDLOCK_ABI  "landlock_abi"
#define FACT_USERNS        "userns"
#define FACT_NETNS         "netns"
#define FACT_TMPFS         "tmpfs_mount"
#define FACT_PROC_MOUNT    "proc_mount"
#define FACT_MOUNT_SETATTR "mount_setattr"
#define FACT_REMOUNT       "bind_remount" /* tried only where mount_setattr is not there */
#define FACT_OPEN_TREE     "open_tree"
#define FACT_OPENAT2       "openat2"
#define FACT_PIDFD         "pidfd"
#define FACT_CLOSE_RANGE   "close_range"
#define FACT_CLONE3        "clone3"
#define FACT_SECCOMP       "seccomp"
#define FACT_NOTIFY        "seccomp_notify"
#define FACT_NPROC         "nproc_userns"
#define FACT_CPUS          "cpus"
#define FACT_CGROUP_CORE   "cgroup_core"
#define FACT_CGROUP_KILL   "cgroup_kill"
#define FACT_MEMORY        "cgroup_memory"
#define FACT_MEMORY_PEAK   "memory_peak"
#define FACT_MEMSW         "memory_swap_limit"
#define FACT_PIDS          "cgroup_pids"
#define FACT_PIDS_PEAK     "pids_peak"
#define FACT_CPUACCT       "cgroup_cpu"
#define FACT_PROC_FD_SIZE  "proc_fd_size"
#define FACT_STAGING       "overlay_userxattr" /* tried in the state directory, only where staging is asked for: "EINVAL at mount", "EINVAL over root 2" */
