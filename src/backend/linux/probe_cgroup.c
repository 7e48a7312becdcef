/* backend/linux/probe_cgroup.c - tries each cgroup hierarchy: makes an empty leaf below the
 * caller's own cgroup and looks.
 *
 * Only mkdir tells the truth: permissions, read-only mounts, namespaces, delegation and limits
 * on descendants all meet there. The run that follows takes the leaf over. One that a crash leaves
 * behind is swept like any other. LINUX.md 2. */
#include "backend/linux/cgroup.h"
#include "backend/linux/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/linux/os.h"
#include "base/check.h"

static void set_text(char *text, size_t size, enum linux_controller version, const char *result)
{
    snprintf(text, size, "v%d %s", version == LINUX_CONTROLLER_V2 ? 2 : 1, result);
}

static const char *has_file(int dir_fd, const char *name)
{
    return faccessat(dir_fd, name, F_OK, 0) == 0 ? "ok" : "no";
}

/* A controller in v2 is the core leaf's, if it is enabled for it or can be. What
 * linux_cgroup_v2_controller() says. */
static int try_v2_controller(const char *dir, const char *controller, bool core_ok, char *text,
                             size_t size)
{
    const int result = core_ok ? linux_cgroup_v2_controller(dir, controller) : -EACCES;
    if (result >= 0) {
        set_text(text, size, LINUX_CONTROLLER_V2, "ok");
    } else if (result == -EBUSY) {
        set_text(text, size, LINUX_CONTROLLER_V2, "EBUSY: other processes");
    } else {
        set_text(text, size, LINUX_CONTROLLER_V2,
                 result == -ENOENT ? "not available" : linux_result_text(result));
    }
    return result;
}

/* A leaf has a controller's files once it is enabled there. Below the root cgroup that is done by the
 * first run that needs it: before, nobody can tell. */
static const char *feature(int leaf_fd, int controller, const char *name)
{
    return controller > 0 ? "not yet" : has_file(leaf_fd, name);
}

static void try_core(struct linux_leaf *leaf, struct linux_cgroup_trial *trial)
{
    const struct linux_hierarchy *core = &leaf->own.at[CGROUP_CORE];
    if (core->version == LINUX_CONTROLLER_NONE) {
        return;
    }
    const int fd = leaf->core_fd = linux_leaf_below(leaf, core->dir);
    const bool ok = fd >= 0;
    snprintf(trial->core, sizeof(trial->core), "%s", ok ? "ok" : linux_result_text(fd));
    if (ok) {
        linux_leaf_note_parents(leaf);
        snprintf(trial->kill, sizeof(trial->kill), "%s", has_file(fd, "cgroup.kill"));
        if (faccessat(fd, "cpu.stat", R_OK, 0) == 0) {
            set_text(trial->cpu, sizeof(trial->cpu), LINUX_CONTROLLER_V2, "ok");
        }
    }
    const struct linux_hierarchy *memory = &leaf->own.at[CGROUP_MEMORY],
                                 *pids = &leaf->own.at[CGROUP_PIDS];
    int has_memory = -ENOENT, has_pids = -ENOENT;
    if (memory->version == LINUX_CONTROLLER_V2) {
        has_memory =
            try_v2_controller(memory->dir, "memory", ok, trial->memory, sizeof(trial->memory));
    }
    if (pids->version == LINUX_CONTROLLER_V2) {
        has_pids = try_v2_controller(pids->dir, "pids", ok, trial->pids, sizeof(trial->pids));
    }
    if (ok) {
        if (has_memory >= 0) {
            snprintf(trial->memory_peak, sizeof(trial->memory_peak), "%s",
                     feature(fd, has_memory, "memory.peak"));
            snprintf(trial->memsw, sizeof(trial->memsw), "%s",
                     feature(fd, has_memory, "memory.swap.max"));
        }
        if (has_pids >= 0) {
            snprintf(trial->pids_peak, sizeof(trial->pids_peak), "%s",
                     feature(fd, has_pids, "pids.peak"));
        }
    }
}

/* One hierarchy may carry several controllers; their leaf is then the same. */
static int find_or_make(struct linux_leaf *leaf, enum linux_cgroup use)
{
    const char *dir = leaf->own.at[use].dir;
    const struct { enum linux_cgroup use; int fd; } made[] = {
        { CGROUP_MEMORY, leaf->memory_dir }, { CGROUP_PIDS, leaf->pids_dir }
    };
    for (size_t i = 0; i < BV_COUNT(made); i++) {
        if (made[i].fd >= 0 && strcmp(leaf->own.at[made[i].use].dir, dir) == 0) {
            return bv_fd_above_stdio(fcntl(made[i].fd, F_DUPFD_CLOEXEC, 3));
        }
    }
    return linux_leaf_below(leaf, dir);
}

/* Makes the leaf of a v1 controller; its directory, or -EBADF. */
static int try_v1(struct linux_leaf *leaf, enum linux_cgroup use, char *text, size_t size)
{
    if (leaf->own.at[use].version != LINUX_CONTROLLER_V1) {
        return -EBADF;
    }
    int fd = find_or_make(leaf, use);
    const int result = fd < 0 ? fd : faccessat(fd, "tasks", W_OK, AT_EACCESS) != 0 ? -errno : 0;
    set_text(text, size, LINUX_CONTROLLER_V1, linux_result_text(result));
    if (result < 0) {
        linux_fd_close(&fd);
    }
    return fd;
}

void linux_leaf_try(struct linux_leaf *leaf, const char *tag, struct linux_cgroup_trial *ret_trial)
{
    *ret_trial = (struct linux_cgroup_trial){ "absent", "no",     "absent", "no",
                                              "no",     "absent", "no",     "absent" };
    linux_leaf_init(leaf);
    if (linux_leaf_name(tag, leaf->name, sizeof(leaf->name)) < 0 ||
        linux_cgroups_find(&leaf->own) < 0) {
        return;
    }
    try_core(leaf, ret_trial);
    leaf->memory_dir =
        try_v1(leaf, CGROUP_MEMORY, ret_trial->memory, sizeof(ret_trial->memory));
    if (leaf->memory_dir >= 0) {
        snprintf(ret_trial->memory_peak, sizeof(ret_trial->memory_peak), "%s",
                 has_file(leaf->memory_dir, "memory.max_usage_in_bytes"));
        snprintf(ret_trial->memsw, sizeof(ret_trial->memsw), "%s",
                 has_file(leaf->memory_dir, "memory.memsw.limit_in_bytes"));
    }
    leaf->pids_dir = try_v1(leaf, CGROUP_PIDS, ret_trial->pids, sizeof(ret_trial->pids));
    if (leaf->pids_dir >= 0) {
        snprintf(ret_trial->pids_peak, sizeof(ret_trial->pids_peak), "%s",
                 has_file(leaf->pids_dir, "pids.peak"));
    }
    if (strcmp(ret_trial->cpu, "v2 ok") != 0) {
        leaf->cpu_dir = try_v1(leaf, CGROUP_CPU, ret_trial->cpu, sizeof(ret_trial->cpu));
    }
}
