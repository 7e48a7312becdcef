/* backend/linux/cgroup_sweep.c - removes the leaves that dead supervisors left below the
 * caller's own cgroups, and with them the leaves of the same owners in other hierarchies.
 *
 * A leaf is touched only when its name is of our form, its owner lived in our pid namespace, and
 * that very process (pid and start time) is gone; whatever cannot be told for certain counts as
 * alive. What is left inside is killed first. Failures are left for the next sweep: a sweep
 * never fails a run. LINUX.md 3. */
#include "backend/linux/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"

#define SWEEP_WAIT_MILLIS 10u
#define SWEEP_ROUNDS      10

/* Reads a decimal number that ends at `end`; false for anything else. */
static bool take_number(const char **at, char end, unsigned long long *ret_value)
{
    if (**at < '0' || **at > '9') {
        return false;
    }
    char *after;
    errno = 0;
    *ret_value = strtoull(*at, &after, 10);
    if (errno != 0 || *after != end) {
        return false;
    }
    *at = after + (end != '\0');
    return true;
}

/* "bvisor-<tag>.<pid namespace>.<pid>.<start>", tag of [0-9a-z]. */
static bool parse_name(const char *name, unsigned long long *ret_ns, unsigned long long *ret_pid,
                       unsigned long long *ret_start)
{
    if (strncmp(name, "bvisor-", 7) != 0) {
        return false;
    }
    const char *at = name + 7;
    const size_t tag = strspn(at, "0123456789abcdefghijklmnopqrstuvwxyz");
    if (tag == 0 || tag > 40 || at[tag] != '.') {
        return false;
    }
    at += tag + 1;
    return take_number(&at, '.', ret_ns) && take_number(&at, '.', ret_pid) &&
           take_number(&at, '\0', ret_start);
}

static bool owner_is_dead(unsigned long long pid, unsigned long long start)
{
    if (pid == 0 || pid > INT_MAX) {
        return false;
    }
    /* /proc may hide other users' processes (hidepid), kill() does not. */
    if (kill((pid_t)pid, 0) != 0 && errno == ESRCH) {
        return true;
    }
    unsigned long long now_start;
    return linux_process_start((pid_t)pid, &now_start) == 0 && now_start != start;
}

/* Without cgroup.kill: SIGKILL to each member through a descriptor, and only while it is still
 * listed, so that no later owner of its number is hit. */
static void kill_members(int dir_fd)
{
    char before[1024], after[4096]; /* what does not fit waits for the next round */
    if (linux_read_at(dir_fd, "cgroup.procs", before, sizeof(before)) <= 0) {
        return;
    }
    char *save = NULL;
    for (char *item = strtok_r(before, "\n", &save); item; item = strtok_r(NULL, "\n", &save)) {
        const long pid = strtol(item, NULL, 10);
        char line[24];
        const int pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, (pid_t)pid, 0) : -1;
        if (pidfd < 0) {
            continue;
        }
        snprintf(line, sizeof(line), "\n%ld\n", pid);
        after[0] = '\n'; /* so that every item is between two line ends */
        if (linux_read_at(dir_fd, "cgroup.procs", after + 1, sizeof(after) - 1) > 0 &&
            strstr(after, line)) {
            (void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
        }
        close(pidfd);
    }
}

/* Kills what is in the leaf and removes it. */
static void remove_leaf(const char *parent, int dir, const char *name)
{
    const bool killed = linux_write_at(dir, "cgroup.kill", "1") == 0;
    for (int round = 0; round < SWEEP_ROUNDS; round++) {
        if (!killed) {
            kill_members(dir);
        }
        if (linux_leaf_rmdir(parent, name, SWEEP_WAIT_MILLIS) != -EBUSY) {
            break;
        }
    }
}

static int open_leaf(const char *parent, const char *name)
{
    char path[LINUX_LEAF_PARENTS_BYTES + NAME_MAX + 2];
    snprintf(path, sizeof(path), "%s/%s", parent, name);
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

/* The leaves of the same dead owner in other hierarchies. Only a directory of the leaf's own name is
 * ever touched, and the v2 leaf, which tells of them, goes last. */
static void remove_elsewhere(int dir, const char *name)
{
    char text[LINUX_LEAF_PARENTS_BYTES + 1];
    const ssize_t size = fgetxattr(dir, LINUX_LEAF_PARENTS_XATTR, text, sizeof(text) - 1);
    if (size <= 0) {
        return;
    }
    text[size] = '\0';
    char *save = NULL;
    for (char *parent = strtok_r(text, "\n", &save); parent; parent = strtok_r(NULL, "\n", &save)) {
        const int other = open_leaf(parent, name);
        if (other >= 0) {
            remove_leaf(parent, other, name);
            close(other);
        }
    }
}

static void remove_owner(const char *parent, const char *name)
{
    if (linux_leaf_is_home(name)) {
        /* Whatever the owner started beside its runs lives in it and is none of ours. */
        (void)linux_leaf_rmdir(parent, name, 0);
        return;
    }
    const int dir = open_leaf(parent, name);
    if (dir < 0) {
        return;
    }
    (void)linux_write_at(dir, "cgroup.kill", "1"); /* all members at once, where it exists */
    remove_elsewhere(dir, name);
    remove_leaf(parent, dir, name);
    close(dir);
}

/* Which leaves, what about them, and who is told. */
struct sweep {
    const char *attempt; /* NULL: those of every dead owner */
    bool dry_run;
    bv_swept_fn *fn;
    void *context;
};

static bool is_of(const char *name, const char *attempt)
{
    const size_t size = attempt ? strlen(attempt) : 0;
    return !attempt || (strncmp(name + 7, attempt, size) == 0 && name[7 + size] == '.');
}

static void sweep_leaf(const struct sweep *sweep, const char *parent, const char *name)
{
    char what[LINUX_LEAF_PARENTS_BYTES + NAME_MAX + 16];
    (void)snprintf(what, sizeof(what), "cgroup %s/%s", parent, name);
    if (!sweep->dry_run) {
        remove_owner(parent, name);
    }
    if (sweep->fn) {
        sweep->fn(sweep->context, what);
    }
}

static void sweep_below(const struct sweep *sweep, const char *parent, unsigned long long own_ns)
{
    DIR *dir = opendir(parent);
    if (!dir) {
        return;
    }
    for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        unsigned long long ns, pid, start;
        if (entry->d_type == DT_DIR && parse_name(entry->d_name, &ns, &pid, &start) &&
            ns == own_ns && is_of(entry->d_name, sweep->attempt) && owner_is_dead(pid, start)) {
            sweep_leaf(sweep, parent, entry->d_name);
        }
    }
    closedir(dir);
}

static void sweep_all(const struct sweep *sweep, const struct linux_cgroups *own)
{
    struct stat ns;
    if (stat("/proc/self/ns/pid", &ns) != 0) {
        return;
    }
    for (int use = 0; use < CGROUP_COUNT; use++) {
        bool seen = own->at[use].version == LINUX_CONTROLLER_NONE;
        for (int other = 0; other < use; other++) {
            seen = seen || strcmp(own->at[use].dir, own->at[other].dir) == 0;
        }
        if (!seen) {
            sweep_below(sweep, own->at[use].dir, (unsigned long long)ns.st_ino);
        }
    }
}

void linux_leaf_sweep(const struct linux_cgroups *own)
{
    const struct sweep sweep = { 0 };
    sweep_all(&sweep, own);
}

enum bv_status linux_sweep(void *context, const char *attempt, bool dry_run, bv_swept_fn *fn, void *fn_context, struct bv_error *error)
{
    (void)context;
    struct linux_cgroups own;
    const int r = linux_cgroups_find(&own);
    if (r < 0 && r != -ENOENT) {
        return bv_fail_sys(error, "cgroups", r, "finding what an attempt left");
    }
    const struct sweep sweep = { attempt, dry_run, fn, fn_context };
    if (r == 0) {
        sweep_all(&sweep, &own);
    }
    return BV_OK;
}
