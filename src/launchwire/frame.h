/* launchwire/frame.h - the launch frame: one sealed memfd of lowered facts that the host hands to the launcher.
 *
 * Layout: magic "BVFRAME1" | u32 version | u32 total bytes | SHA-256 of the payload | payload. All integers little-endian; a list is a u32 count
 * and its items; a string is a u32 length (without NUL), its bytes, one NUL. Valid if and only if magic, version and length match, the
 * digest matches, every count is within its cap, every string holds no NUL before its end, and no byte is left over.
 * The launcher decodes into static storage whose strings point into the frame: it allocates nothing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BV_FRAME_VERSION 3u
#define BV_FRAME_MAX_BYTES (4u << 20)
#define BV_FRAME_MOUNTS_MAX 512
#define BV_FRAME_RULES_MAX 512
#define BV_FRAME_ARGS_MAX 4200
#define BV_FRAME_ENV_MAX 1024
#define BV_FRAME_KEEP_MAX 64
#define BV_FRAME_RLIMITS_MAX 16
#define BV_FRAME_TASKS_MAX 8
#define BV_FRAME_BPF_MAX_INSNS 4096

enum bv_frame_mount_kind {
    BV_MOUNT_BIND = 1,    /* source tree or file at dest; verified against dev/ino */
    BV_MOUNT_TMPFS = 2,   /* size_bytes, inodes, mode; owner = the workload */
    BV_MOUNT_PROC = 3,    /* procfs of the new pid namespace, subset=pid, read-only */
    BV_MOUNT_DEV = 4,     /* tmpfs with null zero full random urandom bound read-only and fd stdin stdout stderr links; shm if flag */
    BV_MOUNT_SYMLINK = 5, /* dest -> source (text) */
    BV_MOUNT_DIR = 6,     /* an empty directory of the fresh root, so that cwd or a parent exists */
    BV_MOUNT_OVERLAY = 7, /* source as for a bind, below; stage/upper takes what is written, stage/work is overlayfs's own */
};
#define BV_MOUNT_RDONLY (1u << 0)
#define BV_MOUNT_NOEXEC (1u << 1)
#define BV_MOUNT_IS_FILE (1u << 2)
#define BV_MOUNT_SHM (1u << 3) /* BV_MOUNT_DEV only */
#define BV_MOUNT_PIN (1u << 4) /* BV_MOUNT_BIND and _OVERLAY only: no directory on the way to it may be renamed */

struct bv_frame_mount {
    uint32_t kind, flags, mode;
    uint64_t dev, ino, size_bytes, inodes;
    const char *source, *dest, *stage;
};
struct bv_frame_rule { uint64_t access; const char *path; };             /* Landlock path_beneath, path inside the new root */
struct bv_frame_keep { int32_t number, fd; };                            /* number that the workload finds; fd as those of the frame */
struct bv_frame_rlimit { uint32_t resource; uint64_t soft, hard; };
struct bv_frame_insn { uint16_t code; uint8_t jt, jf; uint32_t k; };     /* as struct sock_filter */

#define BV_FRAME_NEW_NET (1u << 0)       /* a fresh network namespace, lo left down */
#define BV_FRAME_FULL_ID_MAP (1u << 1)   /* root: identity map of all ids; else the one uid and gid */
#define BV_FRAME_LANDLOCK (1u << 2)
#define BV_FRAME_LISTENER (1u << 3)      /* the filter uses SECCOMP_RET_USER_NOTIF */
#define BV_FRAME_CANARIES (1u << 4)
#define BV_FRAME_SAMPLE_CPU (1u << 5)    /* no controller account: init sums process clocks */
#define BV_FRAME_SAMPLE_TASKS (1u << 6)  /* no peak counter: init counts tasks */
#define BV_FRAME_SAMPLE_HANDLES (1u << 7)
#define BV_FRAME_SAMPLE_STORAGE (1u << 8) /* statfs of the temp root at /tmp */
#define BV_FRAME_SCRIPT (1u << 9)
#define BV_FRAME_HOLD (1u << 10)         /* everything is built, but the exec waits for BV_MSG_GO */

enum bv_cpu_account { BV_CPU_ACCOUNT_NONE = 0, BV_CPU_ACCOUNT_V1_USAGE = 1 /* ns */, BV_CPU_ACCOUNT_V2_STAT = 2 /* usage_usec */ };
enum bv_oom_account { BV_OOM_ACCOUNT_NONE = 0, BV_OOM_ACCOUNT_V1_CONTROL = 1 /* oom_kill N */, BV_OOM_ACCOUNT_V2_EVENTS = 2 /* oom_kill N */ };

struct bv_frame {
    uint32_t flags;
    uint32_t uid, gid;               /* the caller's, in the caller's user namespace */
    uint64_t wall_micros;            /* UINT64_MAX: none */
    uint64_t cpu_micros;             /* UINT64_MAX: none */
    uint64_t sample_interval_micros; /* upper bound between two samples while any is needed; 0 = never */
    uint64_t process_limit, handle_limit; /* limits that init must enforce by sampling; UINT64_MAX: none */
    uint32_t cpu_count;
    /* Descriptors travel with BV_MSG_FRAME. Here are their places in that message, 0 being the frame itself; -1 = none. Init puts the
     * numbers that it received in their stead. */
    int32_t stdin_fd, stdout_fd, stderr_fd;
    int32_t task_fds[BV_FRAME_TASKS_MAX]; /* v1 `tasks` files: the workload writes 0 */
    uint32_t task_fd_count;
    int32_t cpu_fd, oom_fd;
    uint32_t cpu_account, oom_account;
    uint64_t landlock_fs, landlock_net, landlock_scoped; /* handled */
    uint32_t landlock_flags;         /* flags of landlock_restrict_self */
    uint64_t canaries;               /* set of enum bv_canary, canary.h */
    uint32_t landlock_abi;
    uint16_t canary_port;            /* TCP port on 127.0.0.1 of the supervisor's canary listener; 0 = none */
    int32_t supervisor_pid;          /* as the host numbers it */
    const char *canary_path;         /* a host path outside every grant that exists there; "" = none */
    const char *canary_socket;       /* abstract unix name (without the NUL) of the supervisor's canary listener; "" = none */
    const char *hostname, *exec_path, *cwd;
    const char *args[BV_FRAME_ARGS_MAX + 1];  uint32_t arg_count;  /* argv[0] included; NULL-terminated when decoded */
    const char *env[BV_FRAME_ENV_MAX + 1];    uint32_t env_count;  /* "NAME=VALUE" */
    struct bv_frame_keep keep[BV_FRAME_KEEP_MAX]; uint32_t keep_count;
    struct bv_frame_mount mounts[BV_FRAME_MOUNTS_MAX]; uint32_t mount_count; /* applied in this order */
    struct bv_frame_rule rules[BV_FRAME_RULES_MAX];    uint32_t rule_count;
    struct bv_frame_rlimit rlimits[BV_FRAME_RLIMITS_MAX]; uint32_t rlimit_count;
    struct bv_frame_insn bpf[BV_FRAME_BPF_MAX_INSNS];  uint32_t bpf_count;
};

/* Bytes that bv_frame_encode() will write, 0 if the frame breaks a cap. */
size_t bv_frame_size(const struct bv_frame *frame);
/* Writes exactly bv_frame_size() bytes. False: does not fit or breaks a cap. */
bool bv_frame_encode(const struct bv_frame *frame, uint8_t *bytes, size_t size);
/* Reads and checks everything; strings point into bytes. False: not a valid frame (ret_frame is then undefined). */
bool bv_frame_decode(const uint8_t *bytes, size_t size, struct bv_frame *ret_frame);
