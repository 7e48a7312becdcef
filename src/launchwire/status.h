/* launchwire/status.h - what launcher, init and workload stub tell the supervisor over the control socket, and what it tells init.
 *
 * One SEQPACKET record a message, BV_STATUS_BYTES each: u32 magic | u32 type | u32 stage | i32 error | u64 values[8]. An unknown
 * type, a wrong length or a wrong magic is fatal for the run. Descriptors travel as SCM_RIGHTS. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "launchwire/frame.h"

#define BV_STATUS_MAGIC 0x31535642u /* "BVS1" */
#define BV_STATUS_BYTES 80u

enum bv_status_type { /* numbers are never reused */
    BV_MSG_FAILED = 1,   /* stage, error (errno), values[0] = index of the item (mount, rule, ...); ECHILD: the stub died there, [1] = its raw status */
    BV_MSG_INIT = 2,     /* values[0] = init's pid in the host; one descriptor: its pidfd */
    BV_MSG_LISTENER = 3, /* one descriptor: the seccomp listener */
    BV_MSG_CANARIES = 4, /* values[0] = set tried, values[1] = set that was NOT denied (0 = all held) */
    BV_MSG_EXECED = 5,   /* the exec happened; values[0] = CLOCK_MONOTONIC ns of the workload's birth */
    BV_MSG_EXITED = 6,   /* values[0] = raw wait status, [1] = monotonic ns of its end, [2] = survivors killed, [3] = monotonic ns of birth */
    BV_MSG_LIMIT = 7,    /* init ended the tree: values[0] = enum bv_dimension, [1] = figure seen */
    BV_MSG_FIGURES = 8,  /* values: [0] valid set (enum bv_figure bits), [1..6] the figures in bit order, [7] longest gap between samples in us */
    BV_MSG_KILL = 9,     /* supervisor -> init: end the tree */
    BV_MSG_READY = 10,   /* init waits for its frame; values by enum bv_trial, each a result of a try: 0, -errno or BV_NOT_TRIED */
    BV_MSG_TRIED = 11,   /* the launcher's last word: values[0] = result of installing a seccomp listener */
    BV_MSG_FRAME = 12,   /* supervisor -> init: the descriptors of the launch come along, the sealed frame first */
    BV_MSG_GO = 13,      /* supervisor -> init, under BV_FRAME_HOLD: the workload may be executed */
    BV_MSG_NET = 14,     /* init's network namespace is there; after READY, where one was ordered */
    BV_MSG_STUB = 15,    /* supervisor -> init, before FRAME: make the workload's stub; in the v2 leaf whose directory comes along, if one does */
    BV_MSG_TRY_STAGE = 16,   /* supervisor -> init before STUB: try overlayfs; one descriptor: a file of NUL-terminated paths, bv_try_stage() */
    BV_MSG_STAGE_TRIED = 17, /* its answer: values[0] = 0 or -errno, [1] = enum bv_stage_trial, and from ROOT on the place of a root behind it */
};

enum bv_figure { /* bit n of values[0] says that values[n + 1] was measured */
    BV_FIGURE_CPU_MICROS = 0, BV_FIGURE_TASKS_PEAK = 1, BV_FIGURE_HANDLES_PEAK = 2, BV_FIGURE_STORAGE_PEAK = 3, BV_FIGURE_SAMPLES = 4,
    BV_FIGURE_RSS_PEAK = 5, /* bytes: the largest sum of RSS seen (with SAMPLE_TASKS), at least the largest process that was reaped */
};

enum bv_trial { BV_TRIAL_OPEN_TREE = 0, BV_TRIAL_MOUNT_SETATTR = 1, BV_TRIAL_NPROC_USERNS = 2, BV_TRIAL_NPROC_BINDS = 3, BV_TRIAL_REMOUNT = 4 };
enum bv_stage_trial { /* where trying overlayfs failed */
    BV_STAGE_TRIAL_MOUNT = 0, BV_STAGE_TRIAL_COPY_UP = 1, BV_STAGE_TRIAL_WHITEOUT = 2, BV_STAGE_TRIAL_MKDIR = 3, BV_STAGE_TRIAL_ROOT = 4,
};
#define BV_NOT_TRIED (-1000) /* as a result; no errno is as large */

/* Descriptors that come with a frame: the frame itself, streams, accounts, tasks files, kept ones. */
#define BV_FRAME_DESCRIPTORS_MAX (1 + 3 + 2 + BV_FRAME_TASKS_MAX + BV_FRAME_KEEP_MAX)

#define BV_STAGE_TABLE(X) /* number, name: where a launch failed; numbers are never reused */ \
    X(1, FRAME, "reading the launch frame") X(2, CLONE_INIT, "creating the namespaces") X(3, ID_MAP, "mapping user and group ids") \
    X(4, HANDSHAKE, "handshake with init") X(5, HOSTNAME, "setting the host name") X(6, MOUNT_PRIVATE, "making mounts private") \
    X(7, MOUNT_SOURCE, "opening a granted path") X(8, MOUNT_IDENTITY, "a granted path changed since it was planned") \
    X(9, MOUNT_ROOT, "making the fresh root") X(10, MOUNT_DEST, "making a mount point") X(11, MOUNT_ATTACH, "attaching a mount") \
    X(12, MOUNT_PROC, "mounting proc") X(13, PIVOT, "entering the fresh root") X(14, CLONE_WORKLOAD, "creating the workload process") \
    X(15, CGROUP_JOIN, "joining a cgroup") X(16, CGROUP_NS, "making the cgroup namespace") X(17, RLIMIT, "setting a resource limit") \
    X(18, DESCRIPTORS, "arranging descriptors") X(19, CREDENTIALS, "dropping privileges") X(20, NO_NEW_PRIVS, "setting no_new_privs") \
    X(21, LANDLOCK, "applying Landlock") X(22, SECCOMP, "installing the seccomp filter") X(23, CANARY, "running the canaries") \
    X(24, CWD, "entering the working directory") X(25, EXEC, "executing the workload") X(26, INIT_LOOP, "supervising in init") \
    X(27, TIMER, "arming a timer") X(28, LAUNCHER, "executing the launcher") \
    X(29, NET_NS, "creating the network namespace") X(30, MOUNT_OVERLAY, "mounting overlayfs over a staged root")

enum bv_stage {
#define BV_STAGE_ENUM(number, name, text) BV_STAGE_##name = number,
    BV_STAGE_TABLE(BV_STAGE_ENUM)
#undef BV_STAGE_ENUM
};

struct bv_status_message { uint32_t type, stage; int32_t error; uint64_t values[8]; };

const char *bv_stage_name(uint32_t stage); /* "unknown stage" if it is none */
void bv_status_encode(const struct bv_status_message *message, uint8_t bytes[BV_STATUS_BYTES]);
bool bv_status_decode(const uint8_t *bytes, size_t size, struct bv_status_message *ret_message);
