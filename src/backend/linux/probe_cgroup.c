/* backend/linux/probe_cgroup.c - tries each cgroup hierarchy: makes an empty leaf below the
 * caller's own cgroup, looks, removes it.
 *
 * Only mkdir tells the truth: permissions, read-only mounts, namespaces, delegation and limits
 * on descendants all meet there. A leaf that a crash leaves behind has the name of any other
 * leaf and is swept like one. LINUX.md 2. */
#include "backend/linux/cgroup.h"
#include "backend/linux/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"

static void set_text(char *text, size_t size, enum linux_controller version, const char *result)
{
    snprintf(text, size, "v%d %s", version == LINUX_CONTROLLER_V2 ? 2 : 1, result);
}

static const char *has_file(int dir_fd, const char *name)
{
    return faccessat(dir_fd, name, F_OK, 0) == 0 ? "ok" : "no";
}

/* Makes the leaf and opens it; -errno. */
static int make(const char *parent, const char *name)
{
    char path[700];
    snprintf(path, sizeof(path), "%s/%s", parent, name);
    if (mkdir(path, 0755) != 0) {
        return -errno;
    }
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int result = fd < 0 ? -errno : fd;
    if (fd < 0) {
        (void)rmdir(path);
    }
    return result;
}

static void drop(const char *parent, const char *name, int fd)
{
    close(fd);
    (void)linux_leaf_rmdir(parent, name, 50);
}

/* A controller in v2 is the core leaf's, if it is enabled for it or can be. What linux_cgroup_v2_controller() says. */
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

/* A leaf has a controller's files once it is enabled there; until then the own cgroup has the same
 * ones. The root cgroup has none of its own: there nobody can tell before the first run. */
static const char *feature(int leaf_fd, const char *own_dir, int controller, const char *name)
{
    char path[700];
    if (controller == LINUX_DIVIDE_ROOT) {
        return "not yet";
    }
    snprintf(path, sizeof(path), "%s/%s", own_dir, name);
    return has_file(controller == 0 ? leaf_fd : AT_FDCWD, controller == 0 ? name : path);
}

static void try_core(const struct linux_cgroups *cgroups, const char *name,
                     struct linux_cgroup_trial *trial)
{
    const struct linux_hierarchy *core = &cgroups->at[CGROUP_CORE];
    if (core->version == LINUX_CONTROLLER_NONE) {
        return;
    }
    const int fd = make(core->dir, name);
    const bool ok = fd >= 0;
    snprintf(trial->core, sizeof(trial->core), "%s", ok ? "ok" : linux_result_text(fd));
    if (ok) {
        snprintf(trial->kill, sizeof(trial->kill), "%s", has_file(fd, "cgroup.kill"));
        if (faccessat(fd, "cpu.stat", R_OK, 0) == 0) {
            set_text(trial->cpu, sizeof(trial->cpu), LINUX_CONTROLLER_V2, "ok");
        }
    }
    const struct linux_hierarchy *memory = &cgroups->at[CGROUP_MEMORY],
                                 *pids = &cgroups->at[CGROUP_PIDS];
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
                     feature(fd, memory->dir, has_memory, "memory.peak"));
            snprintf(trial->memsw, sizeof(trial->memsw), "%s",
                     feature(fd, memory->dir, has_memory, "memory.swap.max"));
        }
        if (has_pids >= 0) {
            snprintf(trial->pids_peak, sizeof(trial->pids_peak), "%s",
                     feature(fd, pids->dir, has_pids, "pids.peak"));
        }
        drop(core->dir, name, fd);
    }
}

/* Makes the leaf of a v1 controller; its descriptor for looking at, or -1. */
static int try_v1(const struct linux_hierarchy *own, const char *name, char *text, size_t size)
{
    if (own->version != LINUX_CONTROLLER_V1) {
        return -1;
    }
    int fd = make(own->dir, name);
    const int tasks = fd < 0 ? fd : openat(fd, "tasks", O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && tasks < 0) {
        const int error = -errno;
        drop(own->dir, name, fd);
        fd = error;
    }
    if (tasks >= 0) {
        close(tasks);
    }
    set_text(text, size, LINUX_CONTROLLER_V1, fd < 0 ? linux_result_text(fd) : "ok");
    return fd < 0 ? -1 : fd;
}

void linux_try_cgroups(struct linux_cgroup_trial *ret_trial)
{
    *ret_trial = (struct linux_cgroup_trial){ "absent", "no",     "absent", "no",
                                              "no",     "absent", "no",     "absent" };
    struct linux_cgroups cgroups;
    char tag[32], name[128];
    /* Two threads of one host may probe at once. */
    snprintf(tag, sizeof(tag), "probe%ld", syscall(SYS_gettid));
    if (linux_leaf_name(tag, name, sizeof(name)) < 0 || linux_cgroups_find(&cgroups) < 0) {
        return;
    }
    try_core(&cgroups, name, ret_trial);
    const struct linux_hierarchy *memory = &cgroups.at[CGROUP_MEMORY],
                                 *pids = &cgroups.at[CGROUP_PIDS];
    int fd = try_v1(memory, name, ret_trial->memory, sizeof(ret_trial->memory));
    if (fd >= 0) {
        snprintf(ret_trial->memory_peak, sizeof(ret_trial->memory_peak), "%s",
                 has_file(fd, "memory.max_usage_in_bytes"));
        snprintf(ret_trial->memsw, sizeof(ret_trial->memsw), "%s",
                 has_file(fd, "memory.memsw.limit_in_bytes"));
        drop(memory->dir, name, fd);
    }
    fd = try_v1(pids, name, ret_trial->pids, sizeof(ret_trial->pids));
    if (fd >= 0) {
        snprintf(ret_trial->pids_peak, sizeof(ret_trial->pids_peak), "%s",
                 has_file(fd, "pids.peak"));
        drop(pids->dir, name, fd);
    }
    if (strcmp(ret_trial->cpu, "v2 ok") != 0) {
        const struct linux_hierarchy *cpu = &cgroups.at[CGROUP_CPU];
        fd = try_v1(cpu, name, ret_trial->cpu, sizeof(ret_trial->cpu));
        if (fd >= 0) {
            drop(cpu->dir, name, fd);
        }
    }
}
