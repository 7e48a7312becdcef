/* launcher/step_mount.c - the mounts of a frame: bind sources opened and compared, then each kind
 * attached in the frame's order.
 *
 * A source is a detached clone of what its descriptor names, so that what was compared is what gets
 * mounted, whatever happens to the path. Every mount is nosuid and nodev but the five device nodes.
 * Part of step_fs.c's work; it stands apart because it is a table of kinds. */
#include "launcher/launcher.h"

#include "launcher/raw.h"
#include "launcher/text.h"

#include <sys/resource.h>

#define ALWAYS_SET (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)
/* Writing to a device is not writing to its file system, so read-only costs nothing. */
#define DEVICE_SET (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)
#define SPARE_FDS  64 /* what a launch holds besides its sources */

struct device {
    const char *name;
    unsigned minor;
};

static const struct device DEVICES[BV_LAUNCH_DEVICES] = {
    { "null", 3 },   { "zero", 5 },    { "full", 7 },
    { "random", 8 }, { "urandom", 9 }, /* major 1, Documentation/admin-guide/devices.txt */
};

static uint64_t attributes_of(const struct bv_frame_mount *mount)
{
    return ALWAYS_SET | (mount->flags & BV_MOUNT_RDONLY ? MOUNT_ATTR_RDONLY : 0u) |
           (mount->flags & BV_MOUNT_NOEXEC ? MOUNT_ATTR_NOEXEC : 0u);
}

/* All sources are open at once. The soft limit is put back with the workload's other limits. */
static int make_room(const struct launch *launch)
{
    const uint64_t need =
        (uint64_t)launch->frame.mount_count + launch->frame.keep_count + SPARE_FDS;
    struct rlimit64 limit = { .rlim_cur = launch->nofile_soft, .rlim_max = launch->nofile_hard };

    if (need <= limit.rlim_cur) {
        return 0;
    }
    limit.rlim_cur = need < limit.rlim_max ? need : limit.rlim_max;
    return (int)raw_call(SYS_prlimit64, 0, (unsigned)RLIMIT_NOFILE, &limit, NULL);
}

static int clone_source(struct launch *launch, int fd, uint64_t attributes)
{
    int tree = raw_clone_tree(fd, "");
    int result = tree < 0 ? tree : raw_mount_set(tree, attributes, true);

    if (tree >= 0 && result == -ENOSYS) {
        launch->restrict_late = true; /* attach() does it */
        result = 0;
    }
    if (result < 0 && tree >= 0) {
        raw_close(tree);
    }
    return result < 0 ? result : tree;
}

static int open_source(struct launch *launch, const struct bv_frame_mount *mount)
{
    struct stat st;
    int result, fd;

    launch->at->stage = BV_STAGE_MOUNT_SOURCE;
    fd = raw_open_path(AT_FDCWD, mount->source, 0);
    if (fd < 0) {
        return fd;
    }
    result = raw_fstat(fd, &st);
    if (result == 0) {
        bool is_file = (mount->flags & BV_MOUNT_IS_FILE) != 0;

        launch->at->stage = BV_STAGE_MOUNT_IDENTITY;
        result =
            st.st_dev == mount->dev && st.st_ino == mount->ino && S_ISDIR(st.st_mode) == !is_file
                ? 0
                : -ESTALE;
    }
    if (result == 0 && mount->kind == BV_MOUNT_OVERLAY) {
        return fd; /* a layer, not a mount of its own */
    }
    if (result == 0) {
        launch->at->stage = BV_STAGE_MOUNT_SOURCE;
        result = clone_source(launch, fd, attributes_of(mount));
    }
    raw_close(fd);
    return result;
}

static int open_device(struct launch *launch, const struct device *device)
{
    struct text path = { .length = 0 };
    struct stat st;
    int fd, result;

    text_add(&path, "/dev/");
    text_add(&path, device->name);
    fd = raw_open_path(AT_FDCWD, path.chars, 0);
    if (fd < 0) {
        return fd;
    }
    result = raw_fstat(fd, &st);
    if (result == 0 && (!S_ISCHR(st.st_mode) || st.st_rdev != raw_memory_device(device->minor))) {
        result = -ENXIO;
    }
    if (result == 0) {
        result = clone_source(launch, fd, DEVICE_SET);
    }
    raw_close(fd);
    return result;
}

int bv_step_open_sources(struct launch *launch)
{
    int result = make_room(launch);

    for (uint32_t i = 0; result >= 0 && i < launch->frame.mount_count; i++) {
        const struct bv_frame_mount *mount = &launch->frame.mounts[i];

        launch->at->index = i;
        launch->tree_fds[i] = -1;
        if (mount->kind == BV_MOUNT_BIND || mount->kind == BV_MOUNT_OVERLAY) {
            result = launch->tree_fds[i] = open_source(launch, mount);
        }
        for (size_t d = 0; result >= 0 && mount->kind == BV_MOUNT_DEV && d < BV_LAUNCH_DEVICES;
             d++) {
            result = launch->device_fds[d] = open_device(launch, &DEVICES[d]);
        }
    }
    return result < 0 ? result : 0;
}

static int make_proc(const char *const *options, uint64_t attributes)
{
    return bv_make_fs("proc", options, ALWAYS_SET | MOUNT_ATTR_NOEXEC | attributes);
}

/* Init's own, never attached: paths cannot reach it, and it is gone with its descriptor. Writable
 * for oom_score_adj, and whole for sys/user. */
int bv_step_open_proc(struct launch *launch)
{
    static const char *const options[] = { NULL };

    launch->proc_fd = make_proc(options, 0);
    return launch->proc_fd < 0 ? launch->proc_fd : 0;
}

/* Moves the mount to its place and closes both descriptors. attributes: those of a clone of a host
 * tree, which has them already where the kernel can; 0: the mount was made with its own. */
static int attach(struct launch *launch, int tree, int place, const char *dest, uint64_t attributes)
{
    int result = place;

    if (tree < 0) {
        result = tree;
    } else if (place >= 0) {
        launch->at->stage = BV_STAGE_MOUNT_ATTACH;
        result = raw_move_mount(tree, place);
    }
    if (result == 0 && launch->restrict_late && attributes != 0) {
        result = bv_restrict_attached(launch, tree, dest, attributes);
    }
    if (tree >= 0) {
        raw_close(tree);
    }
    if (place >= 0) {
        raw_close(place);
    }
    return result;
}

static int place_of(struct launch *launch, const struct bv_frame_mount *mount)
{
    launch->at->stage = BV_STAGE_MOUNT_DEST;
    return bv_make_place(launch, mount->dest, 0755,
                         mount->kind == BV_MOUNT_BIND && (mount->flags & BV_MOUNT_IS_FILE));
}

/* A directory of the temp root's tmpfs as a mount of its own, with the workload as owner. */
static int temp_part(struct launch *launch, int temp, const char *name, uint32_t mode)
{
    const struct bv_frame *frame = &launch->frame;
    long result = raw_call(SYS_mkdirat, temp, name, mode);

    if (result == 0) {
        result = raw_call(SYS_fchownat, temp, name, frame->uid, frame->gid, 0);
    }
    return result < 0 ? (int)result : raw_clone_tree(temp, name);
}

/* /tmp and /dev/shm are to share one size limit: then both are directories of one tmpfs, which
 * itself is covered by the first of them. A clone of a part can be made only of a mount that is
 * attached (before Linux 6.15). */
static int split_temp(struct launch *launch, int temp, uint32_t mode)
{
    int part = temp_part(launch, temp, "tmp", mode);
    int result;

    if (part < 0) {
        return part;
    }
    launch->shm_fd = temp_part(launch, temp, "shm", mode);
    result = launch->shm_fd < 0 ? launch->shm_fd : raw_move_mount(part, temp);
    raw_close(part);
    return result;
}

static bool wants_shm(const struct bv_frame *frame)
{
    for (uint32_t i = 0; i < frame->mount_count; i++) {
        if (frame->mounts[i].flags & BV_MOUNT_SHM) {
            return true;
        }
    }
    return false;
}

static int attach_tmpfs(struct launch *launch, const struct bv_frame_mount *mount)
{
    const struct bv_frame *frame = &launch->frame;
    bool split = wants_shm(frame);
    struct text size = text_of_number(mount->size_bytes, 10),
                mode = text_of_number(split ? 0755 : mount->mode, 8);
    struct text inodes = text_of_number(mount->inodes, 10), uid = text_of_number(frame->uid, 10);
    struct text gid = text_of_number(frame->gid, 10);
    const char *const options[] = { "size", size.chars, "nr_inodes", inodes.chars,
                                    "mode", mode.chars, "uid",       uid.chars,
                                    "gid",  gid.chars,  NULL };
    int place = place_of(launch, mount), result;

    if (place < 0) {
        return place;
    }
    launch->at->stage = BV_STAGE_MOUNT_ATTACH;
    launch->temp_fd = bv_make_fs("tmpfs", options, attributes_of(mount));
    result = launch->temp_fd < 0 ? launch->temp_fd : raw_move_mount(launch->temp_fd, place);
    raw_close(place);
    if (result == 0) {
        result = bv_own_device(launch, launch->temp_fd);
    }
    return result < 0 || !split ? result : split_temp(launch, launch->temp_fd, mount->mode);
}

static int furnish_dev(struct launch *launch, int dev, bool shm)
{
    static const char *const links[][2] = {
        { "fd", "/proc/self/fd" },
        { "stdin", "/proc/self/fd/0" },
        { "stdout", "/proc/self/fd/1" },
        { "stderr", "/proc/self/fd/2" },
    };
    long result = 0;

    for (size_t i = 0; result == 0 && i < BV_COUNT(links); i++) {
        result = raw_call(SYS_symlinkat, links[i][1], dev, links[i][0]);
    }
    for (size_t i = 0; result == 0 && i < BV_LAUNCH_DEVICES; i++) {
        int place;

        result = raw_call(SYS_mknodat, dev, DEVICES[i].name, S_IFREG | 0444u, 0);
        place = result < 0 ? (int)result : raw_open_path(dev, DEVICES[i].name, 0);
        result = attach(launch, launch->device_fds[i], place, NULL, DEVICE_SET);
        launch->device_fds[i] = -1;
    }
    if (result == 0 && shm) {
        result = raw_call(SYS_mkdirat, dev, "shm", 0755);
    }
    return (int)result;
}

/* A directory of the fresh root, which becomes read-only as a whole; a place in any other file
 * system is not for it. */
static int attach_dev(struct launch *launch, const struct bv_frame_mount *mount)
{
    int dev = place_of(launch, mount), result;
    struct stat st;

    if (dev < 0) {
        return dev;
    }
    result = raw_fstat(dev, &st);
    if (result == 0) {
        result = st.st_dev == launch->own_devices[0]
                     ? furnish_dev(launch, dev, (mount->flags & BV_MOUNT_SHM) != 0)
                     : -EROFS;
    }
    raw_close(dev);
    return result;
}

static int make_link(struct launch *launch, const struct bv_frame_mount *mount)
{
    const char *name;
    int dir = bv_make_parent(launch, mount->dest, &name);
    int result = dir;

    if (dir >= 0) {
        result = (int)raw_call(SYS_symlinkat, mount->source, dir, name);
    }
    return result;
}

static int make_directory(struct launch *launch, const struct bv_frame_mount *mount)
{
    int fd = bv_make_place(launch, mount->dest, mount->mode, false);

    if (fd >= 0) {
        raw_close(fd);
    }
    return fd < 0 ? fd : 0;
}

/* The layers are opened in the host's root, which paths of this process still begin in. */
static int attach_overlay(struct launch *launch, const struct bv_frame_mount *mount, int lower)
{
    int stage, tree, place;

    launch->at->stage = BV_STAGE_MOUNT_OVERLAY;
    stage = raw_open_path(AT_FDCWD, mount->stage, O_DIRECTORY);
    tree = stage < 0 ? stage
                     : bv_make_overlay(launch, lower, stage, "upper", "work", false, attributes_of(mount));
    if (stage >= 0) {
        raw_close(stage);
    }
    raw_close(lower);
    if (tree < 0) {
        return tree;
    }
    launch->at->stage = BV_STAGE_MOUNT_DEST;
    place = mount->flags & BV_MOUNT_PIN ? bv_pin_parents(launch, mount->dest) : 0;
    place = place < 0 ? place : place_of(launch, mount);
    return attach(launch, tree, place, NULL, 0);
}

static int attach_mount(struct launch *launch, uint32_t index)
{
    const struct bv_frame_mount *mount = &launch->frame.mounts[index];
    static const char *const pids_only[] = { "subset", "pid", NULL };
    int place, tree = launch->tree_fds[index];

    launch->at->stage = BV_STAGE_MOUNT_DEST;
    switch ((enum bv_frame_mount_kind)mount->kind) {
    case BV_MOUNT_BIND:
        launch->tree_fds[index] = -1;
        place = mount->flags & BV_MOUNT_PIN ? bv_pin_parents(launch, mount->dest) : 0;
        place = place < 0 ? place : place_of(launch, mount);
        return attach(launch, tree, place, mount->dest, attributes_of(mount));
    case BV_MOUNT_OVERLAY:
        launch->tree_fds[index] = -1;
        return attach_overlay(launch, mount, tree);
    case BV_MOUNT_TMPFS: return attach_tmpfs(launch, mount);
    case BV_MOUNT_PROC:
        place = place_of(launch, mount);
        launch->at->stage = BV_STAGE_MOUNT_PROC;
        return place < 0 ? place : attach(launch, make_proc(pids_only, MOUNT_ATTR_RDONLY), place, NULL, 0);
    case BV_MOUNT_DEV: return attach_dev(launch, mount);
    case BV_MOUNT_SYMLINK: return make_link(launch, mount);
    case BV_MOUNT_DIR: return make_directory(launch, mount);
    }
    BV_UNREACHABLE(); /* verify.c */
}

/* /dev/shm comes last: the temp root may follow /dev in the frame. It is found below /dev by its
 * place in the fresh root. */
static int attach_shm(struct launch *launch)
{
    for (uint32_t i = 0; i < launch->frame.mount_count; i++) {
        const struct bv_frame_mount *mount = &launch->frame.mounts[i];
        int dev, place, tree = launch->shm_fd;

        if (!(mount->flags & BV_MOUNT_SHM)) {
            continue;
        }
        launch->at->index = i;
        launch->at->stage = BV_STAGE_MOUNT_DEST;
        dev = bv_make_place(launch, mount->dest, 0755, false);
        place = dev < 0 ? dev : raw_open_path(dev, "shm", O_DIRECTORY);
        if (dev >= 0) {
            raw_close(dev);
        }
        launch->shm_fd = -1;
        return attach(launch, tree, place, NULL, 0);
    }
    return 0;
}

int bv_step_attach_mounts(struct launch *launch)
{
    int result = 0;

    for (uint32_t i = 0; result == 0 && i < launch->frame.mount_count; i++) {
        launch->at->index = i;
        result = attach_mount(launch, i);
    }
    return result < 0 ? result : attach_shm(launch);
}
