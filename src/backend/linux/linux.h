/* backend/linux/linux.h - what the files of the Linux backend share: typed facts, masks, filters, cgroup leaves.
 *
 * Pure: profile.c classify.c landlock.c seccomp.c lower.c. Acting: probe.c cgroup.c launch.c notify.c observe.c. LINUX.md is the specification. */
#pragma once

#include <bvisor/backend.h>

#include "launchwire/canary.h"
#include "launchwire/frame.h"

/* Index into struct bv_profile.word: typed facts of this machine. */
enum linux_word {
    LW_UID,                /* effective uid of the supervisor */
    LW_USERNS,             /* 1: all seven namespaces can be made */
    LW_LANDLOCK_ABI,       /* 0: none */
    LW_SECCOMP,            /* 1: filters install */
    LW_NOTIFY,             /* 1: SECCOMP_RET_USER_NOTIF works */
    LW_MOUNT_SETATTR,      /* 1: the attributes of a bound tree can be set, one way or the other */
    LW_OPENAT2, LW_PIDFD, LW_CLOSE_RANGE,
    LW_PROC_MOUNT,         /* 1: a fresh procfs with subset=pid mounts in the new namespaces */
    LW_NPROC_USERNS,       /* 1: RLIMIT_NPROC counts per user namespace and binds the workload's uid */
    LW_CPUS,
    LW_CGROUP_CORE,        /* 1: a v2 leaf can be made (clone into it, cgroup.kill) */
    LW_CGROUP_KILL,        /* 1: cgroup.kill exists */
    LW_MEMORY, LW_PIDS, LW_CPUACCT, /* enum linux_controller: where each controller is usable */
    LW_PIDS_PEAK, LW_MEMORY_PEAK,   /* 1: the leaf has an exact peak */
    LW_MEMSW,              /* 1: v1 memory.memsw.limit_in_bytes / v2 memory.swap.max exists */
    LW_PROC_FD_SIZE,       /* 1: st_size of /proc/PID/fd is the number of descriptors (6.2) */
    LW_STAGING,            /* 1: overlayfs mounts and copies up in the state directory, over every root of the spec */
    LW_COUNT,
};
_Static_assert(LW_COUNT <= 64, "typed facts fit in bv_profile.word");

enum linux_controller { LINUX_CONTROLLER_NONE = 0, LINUX_CONTROLLER_V1 = 1, LINUX_CONTROLLER_V2 = 2 };

/* The backend's context: what may be made once and used by many runs; thread-safe behind its lock. */
struct linux_context;

/* ---- probe.c, profile.c, classify.c ---- */
enum bv_status linux_probe(void *context, struct bv_snapshot *facts, struct bv_error *error);
enum bv_status linux_try_staging(void *context, const char *dir, const char *const *roots, size_t root_count, struct bv_snapshot *facts,
                                 struct bv_error *error);
enum bv_status linux_probe_ahead(void *context, struct bv_snapshot *facts, struct bv_error *error);
void linux_profile(void *context, const struct bv_snapshot *facts, struct bv_profile *profile);
void linux_classify(void *context, const struct bv_profile *profile, const struct bv_intent *intent,
                    const struct bv_requirement *requirement, struct bv_verdict *ret_verdict);
void linux_offer(void *context, const struct bv_profile *profile, const struct bv_intent *intent,
                 enum bv_dimension dimension, struct bv_offer *ret_offer);
/* Where a dimension is bounded by sampling, how often; also the interval at which init looks at anything. */
#define LINUX_SAMPLE_MICROS 10000u
#define LINUX_RESIDENT_FLOOR (4u << 20) /* LINUX.md: smallest resident budget */

/* The RLIMIT_NOFILE that offer.c counts on: every descriptor table's share under enforced handle budgets, else the limit itself. UINT64_MAX:
 * none is set. The caller takes the smaller of it and its own hard limit, which it could not raise. */
uint64_t linux_nofile(const struct bv_intent *intent);

/* ---- landlock.c (pure): rights by ABI ---- */
uint64_t linux_landlock_handled_fs(uint64_t abi);
uint64_t linux_landlock_handled_net(uint64_t abi, enum bv_network_policy network);
uint64_t linux_landlock_scoped(uint64_t abi, enum bv_network_policy network);
/* Whether the workload may make AF_UNIX sockets: where Landlock keeps them from every socket that is not the workload's own. */
bool linux_unix_sockets(uint64_t abi, const struct bv_intent *intent);
/* The right to make a socket by binding it. Only in the private temp root: in a granted tree a host program could connect to it
 * and hand descriptors in. 0 where AF_UNIX sockets cannot be made and the right guards nothing but an inert inode. */
uint64_t linux_landlock_private_sockets(uint64_t abi);
/* Flags of landlock_restrict_self: nothing of a run is for the host's audit log. */
uint32_t linux_landlock_restrict_flags(uint64_t abi);
/* Rights of one grant, reduced to what the ABI handles and to what a file can have when is_dir is false. */
uint64_t linux_landlock_access(uint64_t abi, enum bv_access access, bool execute, bool is_dir);

/* ---- seccomp.c: programs made from one policy table with libseccomp; pure and deterministic ---- */
struct linux_filter { const struct bv_frame_insn *insns; uint32_t count; };
/* The program for a policy; static or cached storage that lives as long as the process. count 0: no such policy. unix_sockets: as
 * linux_unix_sockets() says; without meaning under allow_all. */
struct linux_filter linux_seccomp_filter(enum bv_spawn_policy spawn, enum bv_network_policy network, bool unix_sockets);
/* What a notified call means: requirement kind and text ("socket AF_INET", "clone", "mount"), from its numbers only. False: not one of ours. */
bool linux_seccomp_describe(uint32_t arch, int nr, const uint64_t args[6], const struct bv_intent *intent,
                            enum bv_requirement_kind *ret_kind, char text[96]);
/* The errno that a denied call gets. */
int linux_seccomp_errno(int nr);

/* Where this process may make leaves: the caller's own cgroup in the hierarchy that serves each use. */
enum linux_cgroup { CGROUP_CORE, CGROUP_MEMORY, CGROUP_PIDS, CGROUP_CPU, CGROUP_COUNT };
struct linux_hierarchy {
    enum linux_controller version; /* NONE: not mounted, or the caller's own cgroup is not visible in the mount */
    char dir[512];                 /* the caller's own cgroup; absolute */
};
struct linux_cgroups {
    struct linux_hierarchy at[CGROUP_COUNT];
    bool moved;                    /* the process is in a child of its v2 cgroup that it made (cgroup_home.c) */
};

/* ---- cgroup.c (acting): one leaf per hierarchy below the caller's own cgroup ---- */
struct linux_leaf {
    int core_fd;                     /* v2 leaf directory (clone into it), -EBADF if none */
    int home_fd;                     /* locked while the leaf needs the caller out of the way (cgroup_home.c); -EBADF: it did not move */
    int task_fds[BV_FRAME_TASKS_MAX]; /* v1 tasks files, open for writing */
    uint32_t task_fd_count;
    int cpu_fd, oom_fd;              /* readable accounts for init; -EBADF if none */
    enum bv_cpu_account cpu_account;
    enum bv_oom_account oom_account;
    int memory_dir, pids_dir, cpu_dir; /* leaf directories of the controllers; -EBADF if none; may equal core_fd's leaf */
    bool memory_v2, pids_v2, cpu_v2;
    bool sockets_v1;                 /* socket buffers have a limit and an account of their own */
    uint64_t memory_max, pids_max;   /* as read back after setting; UINT64_MAX = none */
    char name[128];                  /* bvisor-<attempt>.<pidns>.<pid>.<start> */
    char parents[4][512];            /* absolute directories under which a leaf of that name was made */
    uint32_t parent_count;
    struct linux_cgroups own;        /* as found when it was made */
};
void linux_leaf_init(struct linux_leaf *leaf);
/* Opens and limits (UINT64_MAX: none) what the profile gives of a leaf that was tried (probe.h). Leaves nothing on failure. -errno. */
int linux_leaf_set(struct linux_leaf *leaf, const struct bv_profile *profile, uint64_t memory_bytes, uint64_t processes);
/* Tries and sets one. */
int linux_leaf_make(struct linux_leaf *leaf, const struct bv_profile *profile, const char *attempt, uint64_t memory_bytes, uint64_t processes);
/* v1 keeps the buffers of network sockets out of the memory account. What of a memory limit is theirs, under an intent that allows such
 * sockets; 0: they are in the account, or nothing is limited. */
uint64_t linux_socket_share(const struct bv_profile *profile, const struct bv_intent *intent);
int linux_leaf_limit_sockets(struct linux_leaf *leaf, uint64_t bytes); /* 0 or -errno */
int linux_leaf_kill(const struct linux_leaf *leaf);           /* cgroup.kill; -ENOTSUP without */
bool linux_leaf_populated(const struct linux_leaf *leaf);
/* Figures; false: not available. */
bool linux_leaf_cpu_micros(const struct linux_leaf *leaf, uint64_t *ret_micros);
bool linux_leaf_memory_peak(const struct linux_leaf *leaf, uint64_t *ret_bytes);
bool linux_leaf_oom_kills(const struct linux_leaf *leaf, uint64_t *ret_count);
bool linux_leaf_pids_peak(const struct linux_leaf *leaf, uint64_t *ret_count);
bool linux_leaf_pids_refused(const struct linux_leaf *leaf, uint64_t *ret_count); /* pids.events max */
bool linux_leaf_memory_refused(const struct linux_leaf *leaf, uint64_t *ret_count); /* allocations that did not fit in the limit */
/* Removes the leaves; waits at most 2 s for them to empty. 0 or -errno. Closes every descriptor. */
int linux_leaf_remove(struct linux_leaf *leaf);
/* Kills and removes leaves of dead owners below the caller's own cgroups; live ones are never touched. */
void linux_leaf_sweep(const struct linux_cgroups *own);
/* The backend's sweep: the leaves of one attempt whose owner is dead. Its processes died with its init, its mounts with their namespace. */
enum bv_status linux_sweep(void *context, const char *attempt, bool dry_run, bv_swept_fn *fn, void *fn_context, struct bv_error *error);

/* ---- lower.c (pure): intent -> frame. Path facts are gathered by launch.c first. ---- */
struct linux_path_fact { uint64_t dev, ino; uint32_t mode; }; /* of each root, then of each expose source, then of the exe */
struct linux_lowering {
    const struct bv_execution *execution;
    const struct linux_path_fact *roots, *exposes;
    const struct linux_path_fact *interpreter, *loader; /* of the identity's resolved paths; NULL or ino 0: none */
    const char (*links)[2][256]; /* top-level links of the host whose target lies in a grant: {"/bin", "usr/bin"} */
    size_t link_count;
    uint32_t uid, gid;
    uint64_t nofile_hard, nproc_hard; /* the caller's hard limits: none is ever raised */
    const char *canary_path, *canary_socket; uint16_t canary_port;
    int32_t supervisor_pid;
};
/* Fills everything but descriptor numbers; *ret_frame comes zeroed. Strings point into the inputs or into text storage,
 * which holds the environment and at most two paths. BV_E_LIMIT when a cap is hit. */
enum bv_status linux_lower(const struct linux_lowering *in, struct bv_frame *ret_frame, char *text, size_t text_size, struct bv_error *error);

/* ---- launch.c, notify.c, observe.c, backend.c ---- */
enum bv_status linux_start(void *context, const struct bv_execution *execution, void **ret_run, struct bv_error *error);
int linux_poll_fd(void *run);
enum bv_status linux_dispatch(void *run, bool *ret_done, struct bv_error *error);
void linux_close_run(void *run);
enum bv_status linux_release(void *run, struct bv_error *error);
