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
     BV_FRAME_SAMPLE_STORAGE | BV_FRAME_SCRIPT | BV_FRAME_HOLD)
#define ALL_MOUNT_FLAGS                                                                            \
    (BV_MOUNT_RDONLY | BV_MOUNT_NOEXEC | BV_MOUNT_IS_FILE | BV_MOUNT_SHM | BV_MOUNT_PIN)

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

/* Puts the number of a received descriptor in the place that the frame names; each is named once. */
static bool take(const struct launch *launch, bool taken[BV_FRAME_DESCRIPTORS_MAX], int32_t *place)
{
    if (*place < 1 || (uint32_t)*place >= launch->received_count || taken[*place]) {
        return false;
    }
    taken[*place] = true;
    *place = launch->received[*place];
    return true;
}

static bool take_optional(const struct launch *launch, bool taken[BV_FRAME_DESCRIPTORS_MAX],
                          int32_t *place)
{
    return *place == -1 || take(launch, taken, place);
}

static bool take_kept(struct launch *launch, bool taken[BV_FRAME_DESCRIPTORS_MAX])
{
    struct bv_frame *f = &launch->frame;

    for (uint32_t i = 0; i < f->keep_count; i++) {
        if (f->keep[i].number < LOWEST_FD || !take(launch, taken, &f->keep[i].fd)) {
            return false;
        }
        for (uint32_t j = 0; j < i; j++) {
            if (f->keep[i].number == f->keep[j].number) {
                return false;
            }
        }
    }
    return true;
}

/* Every descriptor that came is one that the frame names, and the other way round. */
static bool take_descriptors(struct launch *launch)
{
    struct bv_frame *f = &launch->frame;
    bool taken[BV_FRAME_DESCRIPTORS_MAX] = { true };

    if (!take(launch, taken, &f->stdin_fd) || !take(launch, taken, &f->stdout_fd) ||
        !take(launch, taken, &f->stderr_fd) ||
        !take_optional(launch, taken, &f->cpu_fd) || !take_optional(launch, taken, &f->oom_fd) ||
        !take_kept(launch, taken)) {
        return false;
    }
    for (uint32_t i = 0; i < f->task_fd_count; i++) {
        if (!take(launch, taken, &f->task_fds[i])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < launch->received_count; i++) {
        if (!taken[i]) {
            return false;
        }
    }
    return (f->cpu_fd >= 0) == (f->cpu_account != BV_CPU_ACCOUNT_NONE) &&
           (f->oom_fd >= 0) == (f->oom_account != BV_OOM_ACCOUNT_NONE) &&
           f->cpu_account <= BV_CPU_ACCOUNT_V2_STAT && f->oom_account <= BV_OOM_ACCOUNT_V2_EVENTS;
}

static bool mount_is_valid(const struct bv_frame_mount *mount, bool has_temp)
{
    if (!path_is_normal(mount->dest) || mount->dest[1] == '\0' ||
        (mount->flags & ~ALL_MOUNT_FLAGS) != 0 ||
        ((mount->flags & BV_MOUNT_PIN) && mount->kind != BV_MOUNT_BIND &&
         mount->kind != BV_MOUNT_OVERLAY) ||
        ((mount->flags & BV_MOUNT_SHM) && (mount->kind != BV_MOUNT_DEV || !has_temp))) {
        return false;
    }
    switch (mount->kind) {
    case BV_MOUNT_BIND: return path_is_normal(mount->source);
    case BV_MOUNT_OVERLAY:
        return path_is_normal(mount->source) && path_is_normal(mount->stage) &&
               (mount->flags & (BV_MOUNT_IS_FILE | BV_MOUNT_RDONLY)) == 0;
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

/* The namespaces were made before there was a frame: they must be those that it asks for. */
static bool fits_init(const struct launch *launch)
{
    const struct bv_frame *f = &launch->frame;

    return launch->new_net == ((f->flags & BV_FRAME_NEW_NET) != 0) &&
           launch->full_map == ((f->flags & BV_FRAME_FULL_ID_MAP) != 0) && f->uid == launch->uid &&
           f->gid == launch->gid && f->supervisor_pid == launch->supervisor;
}

static bool frame_is_valid(const struct bv_frame *f)
{
    for (uint32_t i = 0; i < f->rule_count; i++) {
        if (!path_is_normal(f->rules[i].path)) {
            return false;
        }
    }
    return (f->flags & ~ALL_FLAGS) == 0 && f->cpu_count > 0 && f->hostname[0] != '\0' && strlen(f->hostname) <= HOSTNAME_MAX &&
           path_is_normal(f->exec_path) && path_is_normal(f->cwd) && f->arg_count > 0 &&
           f->canaries >> (BV_CANARY_COUNT - 1) <= 1 &&
           (f->rule_count == 0 || (f->flags & BV_FRAME_LANDLOCK)) &&
           (f->bpf_count > 0 || !(f->flags & BV_FRAME_LISTENER)) && mounts_are_valid(f);
}

/* Its descriptor goes with all others: init and stub have one table for a while, and both open the frame. */
int bv_open_frame(struct launch *launch)
{
    const int fd = launch->received[0];
    struct stat st;
    int error;
    long seals = raw_call(SYS_fcntl, fd, F_GET_SEALS, 0L);

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
    launch->size = (size_t)st.st_size;
    if (!bv_frame_decode(launch->bytes, launch->size, &launch->frame)) {
        return -EBADMSG;
    }
    return fits_init(launch) && frame_is_valid(&launch->frame) && take_descriptors(launch)
               ? 0
               : -EINVAL;
}
