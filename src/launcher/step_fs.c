/* launcher/step_fs.c - the fresh root: made, furnished with places to mount on, entered; the host's
 * root gone.
 *
 * Runs in init with the capabilities of its own user namespace. Everything is addressed by
 * descriptor; a host path is looked up once, when its source is opened (step_mount.c). Nothing is
 * ever created outside a file system that was made here: a mount point inside a granted host tree
 * must exist already. Specified by LINUX.md 1 and 3. */
#include "launcher/launcher.h"

#include "launcher/raw.h"
#include "launcher/text.h"

#define MNT_DETACH 2 /* <linux/mount.h> lacks the flags of umount2 */
#define NAME_BYTES 256
#define PATH_BYTES 4096

int bv_own_device(struct launch *launch, int fd)
{
    struct stat st;
    int result = raw_fstat(fd, &st);

    if (result == 0) {
        BV_ASSERT(launch->own_device_count < BV_COUNT(launch->own_devices));
        launch->own_devices[launch->own_device_count++] = st.st_dev;
    }
    return result;
}

static bool is_own(const struct launch *launch, int fd)
{
    struct stat st;

    if (raw_fstat(fd, &st) < 0) {
        return false;
    }
    for (uint32_t i = 0; i < launch->own_device_count; i++) {
        if (launch->own_devices[i] == st.st_dev) {
            return true;
        }
    }
    return false;
}

/* A place in a file system of our own is made, unless it is there; in any other it must be. */
static int open_or_make(int dir, bool dir_is_own, const char *name, uint32_t mode, bool is_file)
{
    int result = 0;

    if (dir_is_own) {
        result = is_file ? (int)raw_call(SYS_mknodat, dir, name, S_IFREG | 0444u, 0u)
                         : (int)raw_call(SYS_mkdirat, dir, name, mode);
    }
    return result < 0 && result != -EEXIST ? result
                                           : raw_open_path(dir, name, is_file ? 0 : O_DIRECTORY);
}

static int make_directories(struct launch *launch, const char *path, const char *end)
{
    int dir = raw_open_path(launch->root_fd, ".", O_DIRECTORY);

    for (const char *at = path + 1, *slash; dir >= 0 && at < end; at = slash + 1) {
        char name[NAME_BYTES];
        size_t length;
        int next;

        slash = strchr(at, '/');
        length = (size_t)(slash - at);
        BV_ASSERT(length > 0 && length < sizeof(name));
        memcpy(name, at, length);
        name[length] = '\0';
        next = open_or_make(dir, is_own(launch, dir), name, 0755, false);
        raw_close(dir);
        dir = next;
    }
    return dir;
}

void bv_forget_parent(struct launch *launch)
{
    if (launch->parent_fd >= 0) {
        raw_close(launch->parent_fd);
        launch->parent_fd = -1;
    }
}

int bv_make_parent(struct launch *launch, const char *path, const char **ret_name)
{
    const char *name = strrchr(path, '/') + 1;
    const size_t length = (size_t)(name - path);

    BV_ASSERT(path[0] == '/');
    *ret_name = name;
    if (launch->parent_fd >= 0 && launch->parent_length == length &&
        memcmp(launch->parent, path, length) == 0) {
        return launch->parent_fd;
    }
    bv_forget_parent(launch);
    launch->parent_fd = make_directories(launch, path, name);
    launch->parent = path;
    launch->parent_length = length;
    launch->parent_is_own = launch->parent_fd >= 0 && is_own(launch, launch->parent_fd);
    return launch->parent_fd;
}

int bv_make_place(struct launch *launch, const char *path, uint32_t mode, bool is_file)
{
    const char *name;
    int dir = bv_make_parent(launch, path, &name);

    BV_ASSERT(*name != '\0');
    return dir < 0 ? dir : open_or_make(dir, launch->parent_is_own, name, mode, is_file);
}

static int is_mount_root(int fd)
{
    struct statx stx;
    long result = raw_call(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_TYPE, &stx);

    if (result < 0) {
        return (int)result;
    }
    if (!(stx.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT)) {
        return -ENOSYS;
    }
    return (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

/* Puts the directory on itself, unless it is a mount already or of our own making. */
static int pin(const struct launch *launch, int dir)
{
    int tree, result = is_own(launch, dir) ? 1 : is_mount_root(dir);

    if (result != 0) {
        return result < 0 ? result : 0;
    }
    tree = raw_clone_tree(dir, "");
    result = tree < 0 ? tree : raw_move_mount(tree, dir);
    if (tree >= 0) {
        raw_close(tree);
    }
    return result;
}

int bv_pin_parents(struct launch *launch, const char *path)
{
    char prefix[PATH_BYTES];
    const char *slash = path;
    int result = 0;

    BV_ASSERT(path[0] == '/');
    if (strlen(path) >= sizeof(prefix)) {
        return -ENAMETOOLONG;
    }
    bv_forget_parent(launch); /* which may be covered now */
    while (result == 0 && (slash = strchr(slash + 1, '/')) != NULL) {
        size_t length = (size_t)(slash - path) - 1;
        int dir;

        memcpy(prefix, path + 1, length);
        prefix[length] = '\0';
        dir = raw_open_path(launch->root_fd, prefix, O_DIRECTORY);
        if (dir < 0) {
            return dir;
        }
        result = pin(launch, dir);
        raw_close(dir);
    }
    return result;
}

int bv_make_fs(const char *type, const char *const *options, uint64_t attributes)
{
    int context = (int)raw_call(SYS_fsopen, type, (unsigned)FSOPEN_CLOEXEC);
    long result = context;

    for (size_t i = 0; result >= 0 && options[i]; i += 2) {
        result = raw_call(SYS_fsconfig, context,
                          (unsigned)(options[i + 1] ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG),
                          options[i], options[i + 1], 0);
    }
    if (result >= 0) {
        result = raw_call(SYS_fsconfig, context, (unsigned)FSCONFIG_CMD_CREATE, NULL, NULL, 0);
    }
    if (result >= 0) {
        result = raw_call(SYS_fsmount, context, (unsigned)FSMOUNT_CLOEXEC, (unsigned)attributes);
    }
    if (context >= 0) {
        raw_close(context);
    }
    return (int)result;
}

int bv_step_mount_private(struct launch *launch)
{
    (void)launch;
    return (int)raw_call(SYS_mount, NULL, "/", NULL, (unsigned long)(MS_REC | MS_PRIVATE), NULL);
}

/* Directories and mount points only, bounded by the frame's own size; read-only before anything of
 * the workload runs. It covers "/", which exists everywhere; paths of this process still start at
 * the host's root below it until the pivot. */
int bv_step_make_root(struct launch *launch)
{
    static const char *const options[] = {
        "size", "1m", "nr_inodes", "262144", "mode", "755", NULL
    };
    int result;

    (void)raw_call(SYS_umask, 0);
    launch->root_fd =
        bv_make_fs("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    if (launch->root_fd < 0) {
        return launch->root_fd;
    }
    result = (int)raw_call(SYS_move_mount, launch->root_fd, "", AT_FDCWD, "/",
                           (unsigned)MOVE_MOUNT_F_EMPTY_PATH);
    return result < 0 ? result : bv_own_device(launch, launch->root_fd);
}

static int same_place(int fd, const char *path)
{
    struct stat root, st;
    int result = raw_fstat(fd, &root);

    if (result == 0) {
        result = raw_stat(AT_FDCWD, path, &st);
    }
    if (result == 0 && (st.st_dev != root.st_dev || st.st_ino != root.st_ino)) {
        result = -EXDEV;
    }
    return result;
}

/* pivot_root(".", ".") puts the old root on top of the new one, where the detach finds it
 * (pivot_root(2), NOTES). "/.." follows whatever is mounted on the root, so a host root that stayed
 * would show there. */
int bv_step_pivot(struct launch *launch)
{
    long result = raw_mount_set(launch->root_fd, MOUNT_ATTR_RDONLY, false);

    if (result == -ENOSYS) {
        result = bv_restrict_attached(launch, launch->root_fd, NULL, MOUNT_ATTR_RDONLY);
    }
    if (result == 0) {
        result = raw_call(SYS_fchdir, launch->root_fd);
    }
    if (result == 0) {
        result = raw_call(SYS_pivot_root, ".", ".");
    }
    if (result == 0) {
        result = raw_call(SYS_umount2, ".", MNT_DETACH);
    }
    if (result == 0) {
        result = raw_call(SYS_chdir, "/");
    }
    if (result == 0) {
        result = same_place(launch->root_fd, "/");
    }
    if (result == 0) {
        result = same_place(launch->root_fd, "/..");
    }
    raw_close(launch->root_fd);
    launch->root_fd = -1;
    return (int)result;
}

int bv_step_cwd(struct launch *launch)
{
    return (int)raw_call(SYS_chdir, launch->frame.cwd);
}
