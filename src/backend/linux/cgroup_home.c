/* backend/linux/cgroup_home.c - subdividing the caller's own v2 cgroup while the caller is in it.
 *
 * A v2 cgroup that holds processes may not have memory or pids controllers enabled for its children
 * (cgroup-v2.rst, "No Internal Process Constraint"); only the root of the hierarchy may. Leaves are
 * made below the caller's own cgroup and nowhere else, so the caller itself must move down first,
 * into a child of its own: the way that systemd prescribes for what it delegates
 * (CGROUP_DELEGATION.md). That is done only where the caller is the only process of its cgroup:
 * nobody else is ever moved, and before its first launcher is started. The child's name tells its owner, so every later look at the own
 * cgroup finds the one above it, and no state is kept. When the backend is closed the caller moves
 * back and the child goes, unless a leaf still lives beside it. LINUX.md 2. */
#include "backend/linux/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/linux/os.h"
#include "backend/linux/run.h"
#include "base/check.h"

#define HOME_TAG "host"

bool linux_only_process(const char *procs, long pid)
{
    char *end;
    if (*procs == '\0') {
        return true;
    }
    return strtol(procs, &end, 10) == pid && strcmp(end, "\n") == 0;
}

/* Enabling controllers writes the one, moving the other: it is the ancestor that both places
 * have in common (cgroup-v2.rst, "Delegation Containment"). */
static int may_write(int dir)
{
    return faccessat(dir, "cgroup.subtree_control", W_OK, AT_EACCESS) == 0 &&
                   faccessat(dir, "cgroup.procs", W_OK, AT_EACCESS) == 0
               ? 0
               : -errno;
}

int linux_cgroup_may_divide(int dir)
{
    char text[64];
    int result = linux_read_at(dir, "cgroup.type", text, sizeof(text));
    if (result < 0 || strcmp(text, "domain\n") != 0) {
        return result < 0 ? result : -EOPNOTSUPP;
    }
    /* A longer list than fits holds somebody else too. */
    result = linux_read_at(dir, "cgroup.procs", text, sizeof(text));
    if (result < 0 || !linux_only_process(text, (long)getpid())) {
        return result < 0 ? result : -EBUSY;
    }
    return may_write(dir);
}

/* Where in `dir` the name of the child begins, if its last component is one that this process
 * made; NULL otherwise. */
static char *own_child(char *dir)
{
    char name[128];
    char *last = strrchr(dir, '/');
    const bool could_be = last && strncmp(last, "/bvisor-" HOME_TAG ".", 8 + sizeof(HOME_TAG)) == 0;
    return could_be && linux_leaf_name(HOME_TAG, name, sizeof(name)) == 0 &&
                   strcmp(last + 1, name) == 0
               ? last
               : NULL;
}

bool linux_cgroup_home_of(char *dir)
{
    char *child = own_child(dir);
    if (child) {
        *child = '\0';
    }
    return child != NULL;
}

bool linux_leaf_is_home(const char *name)
{
    return strncmp(name, "bvisor-" HOME_TAG ".", 7 + sizeof(HOME_TAG)) == 0;
}

int linux_cgroup_move_down(const char *dir)
{
    char name[128], path[700];
    int result = linux_leaf_name(HOME_TAG, name, sizeof(name));
    if (result < 0) {
        return result;
    }
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    if (mkdir(path, 0755) != 0 && errno != EEXIST) {
        return -errno;
    }
    const int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    result = fd < 0 ? -errno : linux_write_at(fd, "cgroup.procs", "0");
    if (fd >= 0) {
        close(fd);
    }
    if (result < 0) {
        (void)rmdir(path);
    }
    return result;
}

void linux_cgroup_divide(void)
{
    static const struct {
        enum linux_cgroup use;
        const char *name, *enable;
    } controllers[] = { { CGROUP_MEMORY, "memory", "+memory" }, { CGROUP_PIDS, "pids", "+pids" } };
    struct linux_cgroups cgroups;
    bool wanted[BV_COUNT(controllers)] = { false }, any = false;
    if (linux_cgroups_find(&cgroups) != 0 || cgroups.moved ||
        cgroups.at[CGROUP_CORE].version != LINUX_CONTROLLER_V2) {
        return;
    }
    const char *own = cgroups.at[CGROUP_CORE].dir;
    for (size_t i = 0; i < BV_COUNT(controllers); i++) {
        wanted[i] = cgroups.at[controllers[i].use].version == LINUX_CONTROLLER_V2 &&
                    linux_cgroup_v2_controller(own, controllers[i].name) == -EBUSY;
        any = any || wanted[i];
    }
    const int dir = any ? open(own, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    if (dir < 0) {
        return;
    }
    if (may_write(dir) == 0) {
        linux_early_drop(); /* it would be somebody else in the cgroup */
    }
    if (linux_cgroup_may_divide(dir) == 0 && linux_cgroup_move_down(own) == 0) {
        for (size_t i = 0; i < BV_COUNT(controllers); i++) {
            if (wanted[i]) {
                (void)linux_write_at(dir, "cgroup.subtree_control", controllers[i].enable);
            }
        }
    }
    close(dir);
}

/* The v2 cgroup that this process is in, as a directory; false if it is not one that it made. */
static bool find_child(char *dir, size_t size, char **ret_name)
{
    struct linux_cgroups cgroups;
    if (linux_cgroups_find_raw(&cgroups) != 0 ||
        cgroups.at[CGROUP_CORE].version != LINUX_CONTROLLER_V2) {
        return false;
    }
    snprintf(dir, size, "%s", cgroups.at[CGROUP_CORE].dir);
    *ret_name = own_child(dir);
    return *ret_name != NULL;
}

int linux_cgroup_hold_home(void)
{
    char dir[512], *name;
    if (!find_child(dir, sizeof(dir), &name)) {
        return -EBADF;
    }
    int fd = bv_fd_above_stdio(open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd >= 0 && flock(fd, LOCK_SH) != 0) {
        linux_fd_close(&fd);
    }
    return fd < 0 ? -EBADF : fd;
}

void linux_cgroup_move_back(void)
{
    static const char *const controllers[] = { "-memory", "-pids" };
    char dir[512], child[512], *name;
    if (!find_child(dir, sizeof(dir), &name)) {
        return;
    }
    memcpy(child, dir, sizeof(child));
    *name = '\0';
    /* Whoever holds the lock has a leaf whose limits would go with the controllers. */
    const int lock = open(child, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int home = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (lock >= 0 && home >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0) {
        /* Nobody but this process was here, so nobody but it can have enabled them. */
        int result = 0;
        for (size_t i = 0; result == 0 && i < BV_COUNT(controllers); i++) {
            result = linux_write_at(home, "cgroup.subtree_control", controllers[i]);
        }
        if (result == 0 && linux_write_at(home, "cgroup.procs", "0") == 0) {
            (void)rmdir(child);
        }
    }
    if (lock >= 0) {
        close(lock);
    }
    if (home >= 0) {
        close(home);
    }
}
