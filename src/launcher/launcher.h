/* launcher/launcher.h - what the files of the launcher share: one struct launch, the steps, the
 * messages.
 *
 * The theory of operation stands in main.c. Nothing here allocates: struct launch is static storage
 * of main(), and everything a launch needs lies in it or in the sealed frame. A function that can
 * fail answers 0 or -errno; the stage at fault is launch->at->stage. */
#pragma once

#include "launchwire/frame.h"
#include "launchwire/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define BV_LAUNCH_DEVICES 5

/* Where a process of the launch is. The stub's is shared with init, so that init can say where a
 * stub died that had no time to say it itself. */
enum progress_state { PROGRESS_SETUP = 0, PROGRESS_EXECING = 1, PROGRESS_REPORTED = 2 };
struct progress {
    uint32_t state; /* enum progress_state */
    uint32_t stage; /* enum bv_stage of the step at work */
    uint64_t index; /* of the item at work: mount, rule, ... */
};
struct shared { /* one page of init and what it forks */
    struct progress stub;
    uint32_t framed;     /* futex: 1 once what follows is there for the stub */
    int received[BV_FRAME_DESCRIPTORS_MAX]; /* as of struct launch */
    uint32_t received_count;
    int ruleset_fd;
    uint32_t apart;      /* futex: 1 once the stub has a descriptor table of its own, or has failed */
    uint32_t root_ready; /* futex: 1 once the fresh root is entered */
    uint32_t may_exec;   /* futex: 1 once the supervisor has said so, or if it need not */
    int64_t nproc[2];    /* trial.c */
};

struct launch {
    struct bv_frame frame;
    const uint8_t *bytes; /* the mapped frame; its strings lie here */
    size_t size;
    struct progress *at;  /* of this process */
    struct progress own;  /* the launcher's and init's */
    struct shared *shared;
    bool new_net;         /* a network namespace of its own: the supervisor's order */
    bool full_map;        /* the caller is root: all ids are mapped */
    uint32_t uid, gid;
    int control_fd;       /* SEQPACKET; end of file on it is the lifeline */
    int received[BV_FRAME_DESCRIPTORS_MAX]; /* what came with the frame, in its order */
    uint32_t received_count;
    uint64_t nofile_soft, nofile_hard; /* as inherited */
    uint64_t page_bytes;
    /* Descriptors of init's set-up; -1 = none. */
    int tree_fds
        [BV_FRAME_MOUNTS_MAX]; /* detached clones of bind sources, by index of their mount */
    int device_fds[BV_LAUNCH_DEVICES];
    int32_t supervisor;  /* pid in the host */
    int supervisor_fd;   /* pidfd: readable once the supervisor is dead */
    int root_fd;         /* the fresh root */
    int proc_fd;         /* init's own procfs: detached, never reachable by path */
    int temp_fd, shm_fd; /* the temp root's tmpfs; a clone of the part that is /dev/shm */
    int parent_fd;       /* of bv_make_parent(): the directory at `parent`, whose last byte is a slash; -1 = none */
    const char *parent;
    size_t parent_length;
    bool parent_is_own;
    uint64_t own_devices
        [4]; /* st_dev of the file systems made here: the only ones where anything is created */
    uint32_t own_device_count;
    bool restrict_late;   /* no mount_setattr(): step_remount.c */
    int exec_fd;          /* CLOEXEC pipe: EOF at init's end = exec or death of the stub */
    int ruleset_fd;       /* Landlock, built before privileges go, applied after */
    int32_t workload;     /* pid inside the boundary */
    uint64_t birth_nanos; /* CLOCK_MONOTONIC */
};

struct step {
    enum bv_stage stage;
    int (*run)(struct launch *launch);
};

/* Runs steps in order; the first that fails is reported to the supervisor and ends the row. */
int bv_run_steps(struct launch *launch, const struct step *steps, size_t count);
/* steps.c: init's before it has a frame and after; the stub's before it has a root and after. */
int bv_prepare_steps(struct launch *launch);
int bv_root_steps(struct launch *launch);
int bv_workload_steps(struct launch *launch);

/* receive.c: waits for an order of the supervisor's of this type; its descriptors replace launch->received. -ECANCELED: the supervisor is
 * gone, or wants no run. */
int bv_receive(struct launch *launch, enum bv_status_type type);
/* verify.c: maps the frame, checks seals, digest and every value, puts received descriptors in the places of the frame. */
int bv_open_frame(struct launch *launch);

/* tell.c: one message to the supervisor. Never blocks and never raises SIGPIPE; fd -1 = no
 * descriptor with it. */
int bv_tell(const struct launch *launch, const struct bv_status_message *message, int fd);
void bv_tell_failed(const struct launch *launch, uint32_t stage, uint64_t index, int result);

/* trial.c: tries what only some kernels and containers have. */
void bv_try_in_init(struct launch *launch, struct bv_status_message *ret_message);
/* Mounts overlayfs as a staged run would and writes through it. paths: a file that holds, each ended by a NUL, the absolute path of a directory with
 * lower/{changed,removed}, upper, work, upper1 and work1 in it, then the roots that are to be staged. Nothing stays mounted. */
void bv_try_stage(struct launch *launch, int paths, struct bv_status_message *ret_message);
int bv_try_listener(void);

/* step_ns.c */
/* In the launcher: everything up to init's first step; returns in the launcher only. */
int bv_make_init(struct launch *launch);
int bv_make_net(struct launch *launch); /* in init */
int bv_step_await_root(struct launch *launch);
int bv_step_await_go(struct launch *launch);
void bv_await_gate(uint32_t *gate); /* of struct shared */
void bv_open_gate(uint32_t *gate);
int bv_step_hostname(struct launch *launch);
int bv_step_cgroup_join(struct launch *launch);
int bv_step_cgroup_ns(struct launch *launch);
int bv_step_session(struct launch *launch);

/* step_fs.c, step_mount.c */
int bv_step_mount_private(struct launch *launch);
int bv_step_open_sources(struct launch *launch);
int bv_step_open_proc(struct launch *launch);
int bv_step_make_root(struct launch *launch);
int bv_step_attach_mounts(struct launch *launch);
int bv_step_pivot(struct launch *launch);
int bv_step_cwd(struct launch *launch);
/* overlay.c: overlayfs over the directory lower, writing to the directories upper and work in `stage`, mounted and not attached. */
int bv_make_overlay(struct launch *launch, int lower, int stage, const char *upper, const char *work, bool lasting, uint64_t attributes);
/* The place `path` in the fresh root as an O_PATH descriptor; made if it is missing, but never
 * outside a file system of our own. */
int bv_make_place(struct launch *launch, const char *path, uint32_t mode, bool is_file);
/* The directory that holds the last component of path, made as above, and that component. The descriptor stays the launch's: the next path is
 * likely to lie in the same directory. It is the directory's for as long as nothing is mounted there or above; a place that was asked for last
 * lies below. path must stay. */
int bv_make_parent(struct launch *launch, const char *path, const char **ret_name);
void bv_forget_parent(struct launch *launch);
/* Makes each directory of a host tree on the way to path a mount point, which nobody can rename or
 * remove in here. */
int bv_pin_parents(struct launch *launch, const char *path);
/* A mounted but unattached file system; options are pairs of key and value, ended by NULL; a value of NULL: the key is a flag. */
int bv_make_fs(const char *type, const char *const *options, uint64_t attributes);
int bv_own_device(struct launch *launch,
                  int fd); /* things may be created in the file system of fd */

/* step_remount.c: gives an attached clone, and with its place all mounts below it, their attributes. tree: the clone's descriptor.
 * dest NULL: the mount alone. */
int bv_restrict_attached(struct launch *launch, int tree, const char *dest, uint64_t attributes);

/* step_limits.c */
int bv_step_signals(struct launch *launch);
int bv_step_priorities(struct launch *launch);
int bv_step_rlimits(struct launch *launch);
int bv_step_nofile(struct launch *launch);
int bv_step_user_limits(struct launch *launch);
int bv_step_descriptors(struct launch *launch);
void bv_default_signals(void);
int bv_close_all_but(int *fds, size_t count); /* sorts fds; negative ones are ignored */
int bv_fill_standard_fds(void);

/* step_lock.c */
int bv_step_credentials(struct launch *launch);
int bv_step_no_new_privs(struct launch *launch);
/* The empty ruleset is made before the stub, which shares it; its rules are added when the root is there. */
int bv_step_landlock_make(struct launch *launch);
int bv_step_landlock_rules(struct launch *launch);
int bv_step_landlock(struct launch *launch);
int bv_step_seccomp(struct launch *launch);
/* Leaves the calling task only these capabilities (bits of the first 64). */
int bv_drop_capabilities(uint64_t keep);
/* For good, and for everything that the calling task makes: no exec ever gives a capability. */
int bv_empty_bounding_set(void);

/* canaries.c */
int bv_step_canaries(struct launch *launch);

/* init.c: pid 1 of the boundary. */
_Noreturn void bv_init_main(struct launch *launch);
_Noreturn void bv_workload_main(struct launch *launch);
