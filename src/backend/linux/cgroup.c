/* backend/linux/cgroup.c - one leaf per hierarchy below the caller's own cgroup: make, limit,
 * read, kill, remove.
 *
 * The workload is born in the v2 leaf (CLONE_INTO_CGROUP) and writes itself into the v1 `tasks`
 * files; nothing here ever writes to a cgroup.procs file, which would cost a grace period
 * (LINUX.md 3, traps). Only the workload's tasks enter: init stays outside, so limits and peaks
 * are the workload's own. A leaf is named after its owner (cgroup_find.c) and removed by it;
 * what a dead owner left is swept (cgroup_sweep.c). */
#include "backend/linux/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "backend/linux/os.h"
#include "backend/linux/probe.h"
#include "base/check.h"

/* PID_MAX_LIMIT of 64-bit kernels: pids.max takes no more, and no more tasks can exist. */
#define PIDS_MAX           4194304u
#define REMOVE_WAIT_MILLIS 2000u

void linux_leaf_init(struct linux_leaf *leaf)
{
    memset(leaf, 0, sizeof(*leaf));
    leaf->core_fd = leaf->cpu_fd = leaf->oom_fd = leaf->home_fd = -EBADF;
    leaf->memory_dir = leaf->pids_dir = leaf->cpu_dir = -EBADF;
    for (size_t i = 0; i < BV_FRAME_TASKS_MAX; i++) {
        leaf->task_fds[i] = -EBADF;
    }
    leaf->memory_max = leaf->pids_max = UINT64_MAX;
}

static int open_at(int dir_fd, const char *name, int flags)
{
    return bv_fd_above_stdio(openat(dir_fd, name, flags | O_CLOEXEC));
}

int linux_leaf_below(struct linux_leaf *leaf, const char *parent)
{
    BV_ASSERT(leaf->parent_count < BV_COUNT(leaf->parents));
    char path[sizeof(leaf->parents[0]) + sizeof(leaf->name)];
    snprintf(path, sizeof(path), "%s/%s", parent, leaf->name);
    if (mkdir(path, 0755) != 0) {
        return -errno;
    }
    snprintf(leaf->parents[leaf->parent_count++], sizeof(leaf->parents[0]), "%s", parent);
    return open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
}

static int duplicate(int from, int *ret_dir)
{
    *ret_dir = bv_fd_above_stdio(fcntl(from, F_DUPFD_CLOEXEC, 3));
    return *ret_dir < 0 ? *ret_dir : 0;
}

/* The workload writes itself into the tasks file. One hierarchy may carry several controllers (cpu,cpuacct; or all in one mount). */
static int open_tasks(struct linux_leaf *leaf, int dir)
{
    struct stat wanted, open;
    for (uint32_t i = 0; i < leaf->task_fd_count; i++) {
        if (fstatat(dir, "tasks", &wanted, 0) == 0 && fstat(leaf->task_fds[i], &open) == 0 &&
            wanted.st_dev == open.st_dev && wanted.st_ino == open.st_ino) {
            return 0;
        }
    }
    BV_ASSERT(leaf->task_fd_count < BV_FRAME_TASKS_MAX);
    const int tasks = open_at(dir, "tasks", O_WRONLY);
    if (tasks >= 0) {
        leaf->task_fds[leaf->task_fd_count++] = tasks;
    }
    return tasks < 0 ? tasks : 0;
}

/* A v2 controller: enabled for the children of the own cgroup, if it is not yet; the leaf is the
 * core one. */
static int make_v2(struct linux_leaf *leaf, const char *parent, const char *controller,
                   int *ret_dir)
{
    int result = leaf->core_fd < 0 ? -ENODEV : linux_cgroup_v2_controller(parent, controller);
    if (result == 1) {
        char path[600], text[32];
        snprintf(path, sizeof(path), "%s/cgroup.subtree_control", parent);
        snprintf(text, sizeof(text), "+%s", controller);
        result = linux_write_at(AT_FDCWD, path, text);
    }
    /* Held before the limits are set: without a controller they would be gone. */
    if (result >= 0 && leaf->own.moved && leaf->home_fd < 0) {
        leaf->home_fd = linux_cgroup_hold_home();
        result = leaf->home_fd < 0 ? leaf->home_fd : result;
    }
    return result < 0 ? result : duplicate(leaf->core_fd, ret_dir);
}

static int write_number(int dir_fd, const char *name, uint64_t value)
{
    char text[32];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    return linux_write_at(dir_fd, name, text);
}

static bool read_number(int dir_fd, const char *name, uint64_t *ret_value)
{
    char text[64], *end = text;
    if (dir_fd < 0 || linux_read_at(dir_fd, name, text, sizeof(text)) <= 0) {
        return false;
    }
    errno = 0;
    const uint64_t value = strtoull(text, &end, 10);
    if (end == text || errno != 0 || (*end != '\n' && *end != '\0')) {
        return false; /* "max", for one */
    }
    *ret_value = value;
    return true;
}

/* The number after "KEY " at the start of a line. */
static bool find_number(const char *text, const char *key, uint64_t *ret_value)
{
    const size_t size = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, size) == 0 && line[size] == ' ') {
            *ret_value = strtoull(line + size + 1, NULL, 10);
            return true;
        }
    }
    return false;
}

static bool read_keyed(int dir_fd, const char *name, const char *key, uint64_t *ret_value)
{
    char text[4096];
    return dir_fd >= 0 && linux_read_at(dir_fd, name, text, sizeof(text)) > 0 &&
           find_number(text, key, ret_value);
}

/* Memory first and swap after it: v1 refuses a memory+swap limit below the memory limit. */
static int limit_memory(struct linux_leaf *leaf, bool has_swap_limit, uint64_t bytes)
{
    int result = 0;
    if (leaf->memory_v2) {
        result = linux_write_at(leaf->memory_dir, "memory.oom.group", "1");
    }
    if (result == 0 && bytes != UINT64_MAX) {
        result = write_number(leaf->memory_dir,
                              leaf->memory_v2 ? "memory.max" : "memory.limit_in_bytes", bytes);
        /* Also where the probe could not tell, because no cgroup had the controller yet. */
        if (result == 0 && (has_swap_limit || (leaf->memory_v2 && faccessat(leaf->memory_dir, "memory.swap.max", F_OK, 0) == 0))) {
            result = leaf->memory_v2
                         ? linux_write_at(leaf->memory_dir, "memory.swap.max", "0")
                         : write_number(leaf->memory_dir, "memory.memsw.limit_in_bytes", bytes);
        }
        if (result == 0 && (!read_number(leaf->memory_dir,
                                         leaf->memory_v2 ? "memory.max" : "memory.limit_in_bytes",
                                         &leaf->memory_max) ||
                            leaf->memory_max > bytes)) {
            result = -EIO; /* the kernel did not take the limit */
        }
    }
    return result;
}

/* The leaf's part of a v1 hierarchy stands since it was tried; that it does not is another machine than the one that was probed. */
static int join_v1(struct linux_leaf *leaf, int dir)
{
    return dir < 0 ? -ENODEV : open_tasks(leaf, dir);
}

static int add_memory(struct linux_leaf *leaf, const struct bv_profile *profile, uint64_t bytes)
{
    const uint64_t version = profile->word[LW_MEMORY];
    if (version == LINUX_CONTROLLER_NONE) {
        return 0;
    }
    const struct linux_hierarchy *own = &leaf->own.at[CGROUP_MEMORY];
    if (own->version != version) {
        return -ENODEV;
    }
    leaf->memory_v2 = version == LINUX_CONTROLLER_V2;
    int result = leaf->memory_v2 ? make_v2(leaf, own->dir, "memory", &leaf->memory_dir)
                                 : join_v1(leaf, leaf->memory_dir);
    if (result < 0) {
        return result;
    }
    leaf->oom_account = leaf->memory_v2 ? BV_OOM_ACCOUNT_V2_EVENTS : BV_OOM_ACCOUNT_V1_CONTROL;
    leaf->oom_fd = open_at(leaf->memory_dir,
                           leaf->memory_v2 ? "memory.events" : "memory.oom_control", O_RDONLY);
    return leaf->oom_fd < 0 ? leaf->oom_fd
                            : limit_memory(leaf, profile->word[LW_MEMSW] != 0, bytes);
}

uint64_t linux_socket_share(const struct bv_profile *profile, const struct bv_intent *intent)
{
    const uint64_t bytes = intent->budgets[BV_RESIDENT_BYTES].limit;
    const bool apart = profile->word[LW_MEMORY] == LINUX_CONTROLLER_V1 &&
                       intent->network == BV_NETWORK_ALLOW_ALL && bytes != BV_UNLIMITED;
    return apart ? bytes / 16 : 0;
}

/* The kernel's name says TCP; what it counts is the buffers of every socket whose protocol accounts
 * them, UDP too (mem_cgroup_charge_skmem()). At the limit senders wait. */
int linux_leaf_limit_sockets(struct linux_leaf *leaf, uint64_t bytes)
{
    const int result = write_number(leaf->memory_dir, "memory.kmem.tcp.limit_in_bytes", bytes);
    leaf->sockets_v1 = result == 0;
    return result;
}

static int add_pids(struct linux_leaf *leaf, const struct bv_profile *profile, uint64_t processes)
{
    const uint64_t version = profile->word[LW_PIDS];
    if (version == LINUX_CONTROLLER_NONE) {
        return 0;
    }
    const struct linux_hierarchy *own = &leaf->own.at[CGROUP_PIDS];
    if (own->version != version) {
        return -ENODEV;
    }
    leaf->pids_v2 = version == LINUX_CONTROLLER_V2;
    int result = leaf->pids_v2 ? make_v2(leaf, own->dir, "pids", &leaf->pids_dir)
                               : join_v1(leaf, leaf->pids_dir);
    if (result < 0 || processes == UINT64_MAX) {
        return result;
    }
    const uint64_t most = processes < PIDS_MAX ? processes : PIDS_MAX;
    result = write_number(leaf->pids_dir, "pids.max", most);
    if (result == 0 &&
        (!read_number(leaf->pids_dir, "pids.max", &leaf->pids_max) || leaf->pids_max > most)) {
        result = -EIO;
    }
    return result;
}

static int add_cpu(struct linux_leaf *leaf, const struct bv_profile *profile)
{
    const uint64_t version = profile->word[LW_CPUACCT];
    int result;
    if (version == LINUX_CONTROLLER_NONE) {
        return 0;
    }
    leaf->cpu_v2 = version == LINUX_CONTROLLER_V2;
    if (leaf->cpu_v2) {
        result = leaf->core_fd < 0 ? -ENODEV : duplicate(leaf->core_fd, &leaf->cpu_dir);
    } else {
        result = join_v1(leaf, leaf->cpu_dir);
    }
    if (result < 0) {
        return result;
    }
    leaf->cpu_account = leaf->cpu_v2 ? BV_CPU_ACCOUNT_V2_STAT : BV_CPU_ACCOUNT_V1_USAGE;
    leaf->cpu_fd = open_at(leaf->cpu_dir, leaf->cpu_v2 ? "cpu.stat" : "cpuacct.usage", O_RDONLY);
    return leaf->cpu_fd < 0 ? leaf->cpu_fd : 0;
}

void linux_leaf_note_parents(const struct linux_leaf *leaf)
{
    char text[LINUX_LEAF_PARENTS_BYTES];
    size_t size = 0;
    for (int use = CGROUP_CORE + 1; use < CGROUP_COUNT; use++) {
        const struct linux_hierarchy *own = &leaf->own.at[use];
        const size_t length = strlen(own->dir);
        if (own->version == LINUX_CONTROLLER_V1 && size + length + 1 <= sizeof(text)) {
            memcpy(text + size, own->dir, length);
            text[size + length] = '\n';
            size += length + 1;
        }
    }
    if (size > 0) {
        (void)fsetxattr(leaf->core_fd, LINUX_LEAF_PARENTS_XATTR, text, size, 0);
    }
}

int linux_leaf_set(struct linux_leaf *leaf, const struct bv_profile *profile, uint64_t memory_bytes,
                   uint64_t processes)
{
    int result = profile->word[LW_CGROUP_CORE] && leaf->core_fd < 0 ? leaf->core_fd : 0;
    if (result == 0) {
        result = add_memory(leaf, profile, memory_bytes);
    }
    if (result == 0) {
        result = add_pids(leaf, profile, processes);
    }
    if (result == 0) {
        result = add_cpu(leaf, profile);
    }
    if (result < 0) {
        (void)linux_leaf_remove(
            leaf); /* empty, so it goes at once; the first failure is the one to tell */
    }
    return result;
}

int linux_leaf_make(struct linux_leaf *leaf, const struct bv_profile *profile, const char *attempt,
                    uint64_t memory_bytes, uint64_t processes)
{
    struct linux_cgroup_trial trial;
    const uint64_t *word = profile->word;
    linux_leaf_init(leaf);
    if (!word[LW_CGROUP_CORE] && !word[LW_MEMORY] && !word[LW_PIDS] && !word[LW_CPUACCT]) {
        return 0;
    }
    linux_leaf_try(leaf, attempt, &trial);
    return linux_leaf_set(leaf, profile, memory_bytes, processes);
}

int linux_leaf_kill(const struct linux_leaf *leaf)
{
    if (leaf->core_fd < 0) {
        return -ENOTSUP;
    }
    const int result = linux_write_at(leaf->core_fd, "cgroup.kill", "1");
    return result == -ENOENT ? -ENOTSUP : result;
}

bool linux_leaf_populated(const struct linux_leaf *leaf)
{
    uint64_t populated = 0;
    const int dirs[] = { leaf->memory_dir, leaf->pids_dir, leaf->cpu_dir };
    if (read_keyed(leaf->core_fd, "cgroup.events", "populated", &populated) && populated != 0) {
        return true;
    }
    for (size_t i = 0; i < BV_COUNT(dirs); i++) {
        char text[32];
        if (dirs[i] >= 0 && linux_read_at(dirs[i], "cgroup.procs", text, sizeof(text)) > 0) {
            return true;
        }
    }
    return false;
}

bool linux_leaf_cpu_micros(const struct linux_leaf *leaf, uint64_t *ret_micros)
{
    if (leaf->cpu_v2) {
        return read_keyed(leaf->cpu_dir, "cpu.stat", "usage_usec", ret_micros);
    }
    uint64_t nanos;
    if (!read_number(leaf->cpu_dir, "cpuacct.usage", &nanos)) {
        return false;
    }
    *ret_micros = nanos / 1000;
    return true;
}

/* The two peaks need not have been at once, so their sum errs upwards. */
bool linux_leaf_memory_peak(const struct linux_leaf *leaf, uint64_t *ret_bytes)
{
    uint64_t sockets = 0;
    if (!read_number(leaf->memory_dir,
                     leaf->memory_v2 ? "memory.peak" : "memory.max_usage_in_bytes", ret_bytes) ||
        (leaf->sockets_v1 &&
         !read_number(leaf->memory_dir, "memory.kmem.tcp.max_usage_in_bytes", &sockets))) {
        return false;
    }
    *ret_bytes += sockets;
    return true;
}

bool linux_leaf_oom_kills(const struct linux_leaf *leaf, uint64_t *ret_count)
{
    return read_keyed(leaf->memory_dir, leaf->memory_v2 ? "memory.events" : "memory.oom_control",
                      "oom_kill", ret_count);
}

bool linux_leaf_pids_peak(const struct linux_leaf *leaf, uint64_t *ret_count)
{
    return read_number(leaf->pids_dir, "pids.peak", ret_count);
}

bool linux_leaf_pids_refused(const struct linux_leaf *leaf, uint64_t *ret_count)
{
    return read_keyed(leaf->pids_dir, "pids.events", "max", ret_count);
}

bool linux_leaf_memory_refused(const struct linux_leaf *leaf, uint64_t *ret_count)
{
    /* Not failcnt, nor "max": they also count page cache that was reclaimed at the limit, which
     * harmed nobody, and failcnt stands still where memory and memory+swap have the same limit.
     * v1 has no counter of its own for this; its answer to an allocation that cannot be met is
     * the OOM killer. */
    return leaf->memory_v2 ? read_keyed(leaf->memory_dir, "memory.events", "oom", ret_count)
                           : linux_leaf_oom_kills(leaf, ret_count);
}

/* A leaf stays busy for a moment after its last task was reaped. Doubles its naps from 50 us to
 * 10 ms. */
int linux_leaf_rmdir(const char *parent, const char *name, unsigned wait_millis)
{
    char path[sizeof(((struct linux_leaf *)0)->parents[0]) + NAME_MAX + 2];
    snprintf(path, sizeof(path), "%s/%s", parent, name);
    const uint64_t until = linux_now_ns() + wait_millis * UINT64_C(1000000);
    for (long nap_nanos = 50000;; nap_nanos = nap_nanos < 10000000 ? nap_nanos * 2 : nap_nanos) {
        if (rmdir(path) == 0 || errno == ENOENT) {
            return 0;
        }
        if (errno != EBUSY || linux_now_ns() >= until) {
            return -errno;
        }
        nanosleep(&(struct timespec){ .tv_nsec = nap_nanos }, NULL);
    }
}

int linux_leaf_remove(struct linux_leaf *leaf)
{
    int *fds[] = { &leaf->core_fd,    &leaf->cpu_fd,   &leaf->oom_fd,
                   &leaf->memory_dir, &leaf->pids_dir, &leaf->cpu_dir };
    for (size_t i = 0; i < BV_COUNT(fds); i++) {
        linux_fd_close(fds[i]);
    }
    for (uint32_t i = 0; i < leaf->task_fd_count; i++) {
        linux_fd_close(&leaf->task_fds[i]);
    }
    int result = 0;
    for (uint32_t i = 0; i < leaf->parent_count; i++) {
        const int removed = linux_leaf_rmdir(leaf->parents[i], leaf->name, REMOVE_WAIT_MILLIS);
        result = result == 0 ? removed : result;
    }
    /* What the accounts were is still asked when the report is made. */
    leaf->task_fd_count = leaf->parent_count = 0;
    linux_fd_close(&leaf->home_fd); /* the leaf is gone: now the controllers may go */
    return result;
}
