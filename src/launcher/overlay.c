/* launcher/overlay.c - overlayfs for a root that is staged: the host's tree below, the quarantine above.
 *
 * Mounted by init in its own user namespace, so with `userxattr` (overlayfs.rst, "User xattr"; since 5.11), and with init's rights, which copy files up
 * whatever their mode. The layers are named through init's own procfs by descriptor: a path with a comma or a colon in it is no
 * other path, and what was compared is what is mounted. overlayfs takes no mounts of another namespace and none with a
 * locked one below it, so the descriptors must be of paths that init opened. LINUX.md 4. */
#include "launcher/launcher.h"

#include "launcher/raw.h"
#include "launcher/text.h"

#include "base/check.h"

#include <sys/mman.h>

#define PATHS_MAX (4u << 20)

static void name_fd(struct text *text, int fd)
{
    struct text number = text_of_number((uint64_t)(unsigned)fd, 10);

    text_add(text, "self/fd/");
    text_add(text, number.chars);
}

int bv_make_overlay(struct launch *launch, int lower, int stage, const char *upper, const char *work, bool lasting, uint64_t attributes)
{
    struct text lower_path = { .length = 0 }, upper_path = { .length = 0 }, work_path = { .length = 0 };
    int upper_fd = raw_open_path(stage, upper, O_DIRECTORY), result = upper_fd, work_fd = -1;

    if (upper_fd >= 0) {
        result = work_fd = raw_open_path(stage, work, O_DIRECTORY);
    }
    if (result >= 0) { /* so that the options' paths begin in it */
        result = (int)raw_call(SYS_fchdir, launch->proc_fd);
    }
    if (result >= 0) {
        /* Nothing of a quarantine has to outlive the machine: copying a file up must not wait for the disk. */
        const char *const options[] = { "lowerdir", lower_path.chars, "upperdir", upper_path.chars, "workdir", work_path.chars,
                                        "userxattr", NULL, lasting ? NULL : "volatile", NULL, NULL };

        name_fd(&lower_path, lower);
        name_fd(&upper_path, upper_fd);
        name_fd(&work_path, work_fd);
        result = bv_make_fs("overlay", options, attributes);
        (void)raw_call(SYS_chdir, "/");
    }
    if (upper_fd >= 0) {
        raw_close(upper_fd);
    }
    if (work_fd >= 0) {
        raw_close(work_fd);
    }
    return result;
}

/* ---- the trial ---- */

/* Writes through the mount: a file of the lower tree is copied up and changed, one is removed, a directory is made. */
static int write_through(int mount, uint64_t *step)
{
    long fd, result;

    *step = BV_STAGE_TRIAL_COPY_UP;
    fd = raw_call(SYS_openat, mount, "changed", O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0);
    result = fd < 0 ? fd : raw_call(SYS_write, fd, "x", 1);
    if (fd >= 0) {
        raw_close((int)fd);
    }
    if (result >= 0) {
        *step = BV_STAGE_TRIAL_WHITEOUT;
        result = raw_call(SYS_unlinkat, mount, "removed", 0);
    }
    if (result >= 0) {
        *step = BV_STAGE_TRIAL_MKDIR;
        result = raw_call(SYS_mkdirat, mount, "made", 0700);
    }
    return result < 0 ? (int)result : 0;
}

static int try_here(struct launch *launch, int stage, uint64_t *step)
{
    int lower = raw_open_path(stage, "lower", O_DIRECTORY), mount = lower, result;

    *step = BV_STAGE_TRIAL_MOUNT;
    if (lower >= 0) {
        mount = bv_make_overlay(launch, lower, stage, "upper", "work", false, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
        raw_close(lower);
    }
    result = mount < 0 ? mount : write_through(mount, step);
    if (mount >= 0) {
        raw_close(mount);
    }
    return result;
}

static int try_root(struct launch *launch, int stage, const char *path)
{
    int lower = raw_open_path(AT_FDCWD, path, O_DIRECTORY), mount = lower;

    if (lower >= 0) {
        mount = bv_make_overlay(launch, lower, stage, "upper1", "work1", true, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
        raw_close(lower);
    }
    if (mount >= 0) {
        raw_close(mount);
    }
    return mount < 0 ? mount : 0;
}

static int try_all(struct launch *launch, const char *paths, size_t size, uint64_t *step)
{
    const char *at = paths;
    int stage, result;

    *step = BV_STAGE_TRIAL_MOUNT;
    stage = raw_open_path(AT_FDCWD, at, O_DIRECTORY);
    if (stage < 0) {
        return stage;
    }
    result = try_here(launch, stage, step);
    at += strlen(at) + 1;
    for (uint64_t i = 0; result == 0 && at < paths + size; i++) {
        *step = BV_STAGE_TRIAL_ROOT + i;
        result = try_root(launch, stage, at);
        at += strlen(at) + 1;
    }
    raw_close(stage);
    return result;
}

void bv_try_stage(struct launch *launch, int paths, struct bv_status_message *ret_message)
{
    struct stat st;
    uint64_t step = BV_STAGE_TRIAL_MOUNT;
    int result = raw_fstat(paths, &st), error = 0;
    const char *text = NULL;

    if (result == 0 && (st.st_size <= 0 || st.st_size > (off_t)PATHS_MAX)) {
        result = -EFBIG;
    }
    if (result == 0) {
        text = raw_map((size_t)st.st_size, PROT_READ, MAP_PRIVATE, paths, &error);
        result = text ? 0 : error;
    }
    if (text) {
        result = text[st.st_size - 1] == '\0' ? try_all(launch, text, (size_t)st.st_size, &step) : -EBADMSG;
        (void)raw_call(SYS_munmap, text, st.st_size);
    }
    *ret_message = (struct bv_status_message){
        .type = BV_MSG_STAGE_TRIED,
        .values = { (uint64_t)(int64_t)result, step },
    };
}
