/* launcher/verify.c - opens the launch frame and checks it before anything acts on it.
 *
 * The codec has checked form and digest; here are the meanings: numbers of descriptors, kinds,
 * flags, paths. The supervisor made the frame, so a fault here is a bug of ours, but the launcher
 * is the last place that can still refuse. A frame is taken only from a memory file whose contents
 * nobody can change any more (F_SEAL_WRITE, SHRINK, GROW). */
#include "launcher/launcher.h"

#include "launcher/raw.h"
#include "launchwire/canary.h"

#include <sys/mman.h>

#define LOWEST_FD    3
#define HOSTNAME_MAX 64 /* __NEW_UTS_LEN */
#define SEALS        (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW)
#define ALL_FLAGS                                                                                  \
    (BV_FRAME_NEW_NET | BV_FRAME_FULL_ID_MAP | BV_FRAME_LANDLOCK | BV_FRAME_LISTENER |             \
     BV_FRAME_CANARIES | BV_FRAME_SAMPLE_CPU | BV_FRAME_SAMPLE_TASKS | BV_FRAME_SAMPLE_HANDLES |   \
     BV_FRAME_SAMPLE_STORAGE | BV_FRAME_SCRIPT)
#define ALL_MOUNT_FLAGS                                                                            \
    (BV_MOUNT_RDONLY | BV_MOUNT_NOEXEC | BV_MOUNT_IS_FILE | BV_MOUNT_SHM | BV_MOUNT_PIN)

static bool parse_fd(const char *text, int *ret_fd)
{
    int fd = 0;

    if (text[0] == '\0' || strlen(text) > 9) {
        return false;
    }
    for (const char *c = text; *c; c++) {
        if (*c < '0' || *c > '9') {
            return false;
        }
        fd = fd * 10 + (*c - '0');
    }
    *ret_fd = fd;
    return fd >= LOWEST_FD;
}

/* Absolute, no empty, "." or ".." component, no slash at the end unless it is the root itself. */
static bool path_is_normal(const char *path)
{
    const char *at = path;

    if (path[0] != '/') {
        return false;
    }
    if (path[1] == '\0') {
        return true;
    }
    while (*at == '/') {
        size_t length = strcspn(++at, "/");

        if (length == 0 || length > 255 ||
            (at[0] == '.' && (length == 1 || (length == 2 && at[1] == '.')))) {
            return false;
        }
        at += length;
    }
    return true;
}

static bool fd_is_named(int32_t fd)
{
    return fd >= LOWEST_FD;
}

static bool fd_is_optional(int32_t fd)
{
    return fd == -1 || fd_is_named(fd);
}

/* A kept descriptor goes to the workload: it must not be one of the supervisor's own. */
static bool keep_is_valid(const struct bv_frame *f)
{
    for (uint32_t i = 0; i < f->keep_count; i++) {
        int32_t fd = f->keep[i];

        if (!fd_is_named(fd) || fd == f->control_fd || fd == f->leaf_fd || fd == f->cpu_fd ||
            fd == f->oom_fd) {
            return false;
        }
        for (uint32_t j = 0; j < f->task_fd_count; j++) {
            if (fd == f->task_fds[j]) {
                return false;
            }
        }
        for (uint32_t j = 0; j < i; j++) {
            if (fd == f->keep[j]) {
                return false;
            }
        }
    }
    return true;
}

static bool descriptors_are_valid(const struct bv_frame *f)
{
    for (uint32_t i = 0; i < f->task_fd_count; i++) {
        if (!fd_is_named(f->task_fds[i])) {
            return false;
        }
    }
    return fd_is_named(f->control_fd) && fd_is_named(f->stdin_fd) && fd_is_named(f->stdout_fd) &&
           fd_is_named(f->stderr_fd) && f->control_fd != f->stdin_fd &&
           f->control_fd != f->stdout_fd && f->control_fd != f->stderr_fd &&
           fd_is_optional(f->leaf_fd) && fd_is_optional(f->cpu_fd) && fd_is_optional(f->oom_fd) &&
           (f->cpu_fd >= 0) == (f->cpu_account != BV_CPU_ACCOUNT_NONE) &&
           (f->oom_fd >= 0) == (f->oom_account != BV_OOM_ACCOUNT_NONE) &&
           f->cpu_account <= BV_CPU_ACCOUNT_V2_STAT && f->oom_account <= BV_OOM_ACCOUNT_V2_EVENTS &&
           keep_is_valid(f);
}

static bool mount_is_valid(const struct bv_frame_mount *mount, bool has_temp)
{
    if (!path_is_normal(mount->dest) || mount->dest[1] == '\0' ||
        (mount->flags & ~ALL_MOUNT_FLAGS) != 0 ||
        ((mount->flags & BV_MOUNT_PIN) && mount->kind != BV_MOUNT_BIND) ||
        ((mount->flags & BV_MOUNT_SHM) && (mount->kind != BV_MOUNT_DEV || !has_temp))) {
        return false;
    }
    switch (mount->kind) {
    case BV_MOUNT_BIND: return path_is_normal(mount->source);
    case BV_MOUNT_TMPFS: /* 0 would mean "no limit" to tmpfs */
        return mount->size_bytes > 0 && mount->inodes > 0 && mount->mode <= 07777;
    case BV_MOUNT_SYMLINK: return mount->source[0] != '\0';
    case BV_MOUNT_DIR: return mount->mode <= 07777;
    case BV_MOUNT_PROC:
    case BV_MOUNT_DEV: return true;
    }
    return false;
}

static bool mounts_are_valid(const struct bv_frame *f)
{
    uint32_t temps = 0, devs = 0, shms = 0;

    for (uint32_t i = 0; i < f->mount_count; i++) {
        temps += f->mounts[i].kind == BV_MOUNT_TMPFS;
        devs += f->mounts[i].kind == BV_MOUNT_DEV;
    }
    for (uint32_t i = 0; i < f->mount_count; i++) {
        shms += (f->mounts[i].flags & BV_MOUNT_SHM) != 0;
        if (!mount_is_valid(&f->mounts[i], temps == 1)) {
            return false;
        }
    }
    return temps <= 1 && devs <= 1 && shms <= 1 &&
           (temps == 1 || !(f->flags & BV_FRAME_SAMPLE_STORAGE));
}

static bool frame_is_valid(const struct bv_frame *f)
{
    for (uint32_t i = 0; i < f->rule_count; i++) {
        if (!path_is_normal(f->rules[i].path)) {
            return false;
        }
    }
    return (f->flags & ~ALL_FLAGS) == 0 && f->uid != UINT32_MAX && f->gid != UINT32_MAX &&
           f->cpu_count > 0 && f->hostname[0] != '\0' && strlen(f->hostname) <= HOSTNAME_MAX &&
           path_is_normal(f->exec_path) && path_is_normal(f->cwd) && f->arg_count > 0 &&
           f->canaries >> (BV_CANARY_COUNT - 1) <= 1 &&
           (f->rule_count == 0 || (f->flags & BV_FRAME_LANDLOCK)) &&
           (f->bpf_count > 0 || !(f->flags & BV_FRAME_LISTENER)) && mounts_are_valid(f);
}

int bv_open_frame(struct launch *launch, const char *fd_text)
{
    struct stat st;
    long seals;
    int fd, error;

    if (!parse_fd(fd_text, &fd)) {
        return -EINVAL;
    }
    seals = raw_call(SYS_fcntl, fd, F_GET_SEALS, 0L);
    if (seals < 0) {
        return (int)seals;
    }
    if ((seals & SEALS) != SEALS) {
        return -EPERM;
    }
    if (raw_fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > BV_FRAME_MAX_BYTES) {
        return -EFBIG;
    }
    launch->bytes = raw_map((size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, &error);
    if (!launch->bytes) {
        return error;
    }
    raw_close(fd);
    launch->size = (size_t)st.st_size;
    if (!bv_frame_decode(launch->bytes, launch->size, &launch->frame)) {
        launch->frame.control_fd = -1; /* perhaps half written: nobody can be told */
        return -EBADMSG;
    }
    if (!descriptors_are_valid(&launch->frame) || !frame_is_valid(&launch->frame)) {
        return -EINVAL;
    }
    return 0;
}
