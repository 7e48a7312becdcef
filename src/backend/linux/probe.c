/* backend/linux/probe.c - the facts of this machine, found by trying; nothing is judged and
 * nothing is left behind.
 *
 * No version number decides: kernels are patched, containers forbid what kernels have, and only
 * a try tells. The kernel's release is recorded for people. A fact is text that stays the same
 * on an unchanged machine, since a plan is bound to the facts' hash and refuses to run on others
 * (CONTRACT.md 1, 8). Keys and values: fact_keys.h. */
#include "backend/linux/linux.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "backend/linux/cgroup.h"
#include "backend/linux/fact_keys.h"
#include "backend/linux/os.h"
#include "backend/linux/probe.h"
#include "backend/linux/run.h"
#include "base/check.h"
#include "base/error.h"
#include "sys/uapi_landlock.h"

const char *linux_result_text(int result)
{
    if (result == BV_NOT_TRIED) {
        return "not tried";
    }
    const char *name = result < 0 ? strerrorname_np(-result) : "ok";
    return name ? name : "unknown errno";
}

struct facts {
    struct bv_snapshot *snapshot;
    enum bv_status status;
    struct bv_error *error;
};

/* The first failure ends the probe; later facts are then not added. */
static void set(struct facts *facts, const char *key, const char *value)
{
    if (facts->status == BV_OK) {
        facts->status = bv_snapshot_set(facts->snapshot, key, value, facts->error);
    }
}

static void set_number(struct facts *facts, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    set(facts, key, text);
}

static void set_result(struct facts *facts, const char *key, int result)
{
    set(facts, key, linux_result_text(result));
}

static int call_result(long result)
{
    return result < 0 ? -errno : 0;
}

static int opened(long result)
{
    if (result < 0) {
        return -errno;
    }
    close((int)result);
    return 0;
}

static void probe_identity(struct facts *facts)
{
    struct utsname name;
    if (uname(&name) != 0) {
        facts->status = bv_fail_sys(facts->error, "probe", -errno, "uname");
        return;
    }
    /* The release is free text of whoever built the kernel; a fact is printable ASCII. */
    for (char *at = name.release; *at; at++) {
        if (*at < ' ' || *at > '~') {
            *at = '?';
        }
    }
    set(facts, FACT_KERNEL, name.release);
    set_number(facts, FACT_UID, geteuid());
    const int groups = getgroups(0, NULL);
    set_number(facts, FACT_GROUPS, groups > 0 ? (uint64_t)groups : 0);
}

/* CPUs that this thread may use: what a tree that inherits its affinity can burn at once. */
static void probe_cpus(struct facts *facts)
{
    unsigned long mask[8192 / (8 * sizeof(unsigned long))];
    memset(mask, 0, sizeof(mask));
    uint64_t count = 0;
    if (syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask) < 0) {
        facts->status = bv_fail_sys(facts->error, "probe", -errno, "sched_getaffinity");
        return;
    }
    for (size_t i = 0; i < BV_COUNT(mask); i++) {
        count += (uint64_t)__builtin_popcountl(mask[i]);
    }
    set_number(facts, FACT_CPUS, count);
}

static void probe_landlock(struct facts *facts)
{
    const long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi > 0) {
        set_number(facts, FACT_LANDLOCK_ABI, (uint64_t)abi);
        return;
    }
    char text[40];
    /* ENOSYS: not built in; EOPNOTSUPP: built in and not in lsm=. */
    snprintf(text, sizeof(text), "0 %s", abi < 0 ? linux_result_text(-errno) : "");
    set(facts, FACT_LANDLOCK_ABI, text);
}

static void probe_calls(struct facts *facts)
{
    struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                            .resolve = RESOLVE_NO_SYMLINKS };
    set_result(facts, FACT_OPENAT2, opened(syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how))));
    set_result(facts, FACT_PIDFD, opened(syscall(SYS_pidfd_open, getpid(), 0)));
    /* Beyond the last possible descriptor: closes nothing. */
    set_result(facts, FACT_CLOSE_RANGE, call_result(syscall(SYS_close_range, ~0u, ~0u, 0)));
    /* Arguments that are too short: every kernel that has the call says EINVAL before it looks
     * at them. */
    const int clone3 = call_result(syscall(SYS_clone3, NULL, 0));
    set_result(facts, FACT_CLONE3, clone3 == -EINVAL ? 0 : clone3);
    const uint32_t action = SECCOMP_RET_ERRNO;
    set_result(facts, FACT_SECCOMP,
               call_result(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action)));
}

/* Read besides being tried: a limit of its own may deny it, and a run that shares the host's network does not try it. */
static void set_netns(struct facts *facts, const struct linux_ready *ready)
{
    char text[32];
    struct stat ns;
    if (ready->failed.type != 0 && ready->failed.stage == BV_STAGE_NET_NS) {
        set_result(facts, FACT_NETNS, -ready->failed.error);
        return;
    }
    if (stat("/proc/self/ns/net", &ns) != 0) {
        set_result(facts, FACT_NETNS, -errno);
        return;
    }
    const int size =
        linux_read_at(AT_FDCWD, "/proc/sys/user/max_net_namespaces", text, sizeof(text));
    const bool none = size > 0 && strtol(text, NULL, 10) == 0;
    set(facts, FACT_NETNS, none ? "user.max_net_namespaces is 0" : "ok");
}

/* How far a launcher came is what this machine lets it do: the result of the step at `stage` and of
 * nothing before it. */
static int step_result(const struct linux_ready *ready, enum bv_stage stage)
{
    if (ready->failed.type != 0 && ready->failed.stage == stage) {
        return -ready->failed.error;
    }
    return (ready->seen & 1u << BV_MSG_READY) != 0 ? 0 : BV_NOT_TRIED;
}

/* A message that never came is all zeros. */
static int answer(const struct bv_status_message *message, unsigned value)
{
    return message->type != 0 ? (int)(int64_t)message->values[value] : BV_NOT_TRIED;
}

static void set_userns(struct facts *facts, const struct linux_ready *ready)
{
    char text[64] = "ok";
    const enum bv_stage stage = (enum bv_stage)ready->failed.stage;
    if (ready->failed.type != 0 && stage != BV_STAGE_MOUNT_PROC && stage != BV_STAGE_MOUNT_ROOT &&
        stage != BV_STAGE_NET_NS) {
        snprintf(text, sizeof(text), "%s at %s", linux_result_text(-ready->failed.error),
                 stage == BV_STAGE_CLONE_INIT ? "clone"
                 : stage == BV_STAGE_ID_MAP   ? "uid_map"
                                              : bv_stage_name(ready->failed.stage));
    } else if ((ready->seen & 1u << BV_MSG_INIT) == 0) {
        snprintf(text, sizeof(text), "the launcher did not answer");
    }
    set(facts, FACT_USERNS, text);
}

static void set_nproc(struct facts *facts, const struct linux_ready *ready)
{
    const int fits = answer(&ready->ready, BV_TRIAL_NPROC_USERNS),
              binds = answer(&ready->ready, BV_TRIAL_NPROC_BINDS);
    if (geteuid() == 0) {
        set(facts, FACT_NPROC, "no: uid 0 is exempt");
    } else if (fits == -EAGAIN) {
        set(facts, FACT_NPROC, "no: counts all processes of the user");
    } else {
        set_result(facts, FACT_NPROC, fits != 0 ? fits : binds);
    }
}

static void set_namespaces(struct facts *facts, const struct linux_ready *ready)
{
    set_userns(facts, ready);
    set_netns(facts, ready);
    set_result(facts, FACT_PROC_MOUNT, step_result(ready, BV_STAGE_MOUNT_PROC));
    set_result(facts, FACT_TMPFS, step_result(ready, BV_STAGE_MOUNT_ROOT));
    set_result(facts, FACT_OPEN_TREE, answer(&ready->ready, BV_TRIAL_OPEN_TREE));
    set_result(facts, FACT_MOUNT_SETATTR, answer(&ready->ready, BV_TRIAL_MOUNT_SETATTR));
    set_result(facts, FACT_REMOUNT, answer(&ready->ready, BV_TRIAL_REMOUNT));
    set_result(facts, FACT_NOTIFY, answer(&ready->tried, 0));
    set_nproc(facts, ready);
}

/* A leaf that stands since an earlier look is not looked at again: it goes, and another one is made. */
static void set_cgroups(struct facts *facts, struct linux_ready *ready)
{
    struct linux_cgroup_trial trial;
    if (ready->leaf_made) {
        (void)linux_leaf_remove(&ready->leaf);
    }
    linux_leaf_try(&ready->leaf, ready->attempt, &trial);
    ready->leaf_made = true;
    set(facts, FACT_CGROUP_CORE, trial.core);
    set(facts, FACT_CGROUP_KILL, trial.kill);
    set(facts, FACT_MEMORY, trial.memory);
    set(facts, FACT_MEMORY_PEAK, trial.memory_peak);
    set(facts, FACT_MEMSW, trial.memsw);
    set(facts, FACT_PIDS, trial.pids);
    set(facts, FACT_PIDS_PEAK, trial.pids_peak);
    set(facts, FACT_CPUACCT, trial.cpu);
}

static void look(struct facts *facts, struct linux_ready *ready, bool ahead)
{
    set_cgroups(facts, ready); /* the launcher is at work meanwhile */
    linux_ready_hear(ready, ahead, LINUX_ANSWER_MILLIS);
    set_namespaces(facts, ready);
}

/* A launcher that waits for its run is asked; where none does, one of no run is started and ended again. */
static void probe_boundary(struct facts *facts, struct linux_context *context, bool ahead)
{
    struct linux_ready *ready = linux_ready_borrow(context);
    if (ready != NULL) {
        look(facts, ready, ahead);
        linux_ready_return(context, ready);
        return;
    }
    char tag[sizeof(ready->attempt)];
    snprintf(tag, sizeof(tag), "probe%ld", syscall(SYS_gettid));
    facts->status = linux_ready_make(context, true, tag, &ready, facts->error);
    if (facts->status == BV_OK) {
        look(facts, ready, false);
        linux_ready_drop(ready);
    }
}

/* Asks the init that waits for its run; it mounts in the namespaces in which the run would. */
static void ask_staging(struct facts *facts, struct linux_ready *ready, int paths)
{
    static const char *const steps[] = { "mount", "copy-up", "whiteout", "mkdir" };
    struct bv_status_message message = { 0 };
    char text[64];
    linux_ready_hear(ready, true, LINUX_ANSWER_MILLIS);
    const int result = linux_ready_try_stage(ready, paths, &message);
    const int64_t found = (int64_t)message.values[0];
    const uint64_t step = message.values[1];
    if (result < 0) {
        snprintf(text, sizeof(text), "%s: the launcher did not answer", linux_result_text(result));
    } else if (found == 0) {
        snprintf(text, sizeof(text), "ok");
    } else if (step < BV_STAGE_TRIAL_ROOT) {
        snprintf(text, sizeof(text), "%s at %s", linux_result_text((int)found), steps[step]);
    } else {
        snprintf(text, sizeof(text), "%s over root %" PRIu64, linux_result_text((int)found),
                 step - BV_STAGE_TRIAL_ROOT + 1);
    }
    set(facts, FACT_STAGING, text);
}

/* The paths in a memory file, each with its NUL. */
static int write_paths(const char *dir, const char *const *roots, size_t root_count)
{
    int fd = linux_memory_file("bvisor-stage", false);
    int result = fd < 0 ? fd : 0;
    for (size_t i = 0; result == 0 && i <= root_count; i++) {
        const char *path = i == 0 ? dir : roots[i - 1];
        const size_t size = strlen(path) + 1;
        const ssize_t n = write(fd, path, size);
        result = n == (ssize_t)size ? 0 : n < 0 ? -errno : -EIO;
    }
    if (result < 0) {
        linux_fd_close(&fd);
        return result;
    }
    return fd;
}

enum bv_status linux_try_staging(void *context, const char *dir, const char *const *roots,
                                 size_t root_count, struct bv_snapshot *snapshot,
                                 struct bv_error *error)
{
    struct facts facts = { snapshot, BV_OK, error };
    int paths = write_paths(dir, roots, root_count);
    if (paths < 0) {
        return bv_fail_sys(error, "probe", paths, "making the list of roots to try");
    }
    struct linux_ready *ready = linux_ready_borrow(context);
    if (ready != NULL) {
        ask_staging(&facts, ready, paths);
        linux_ready_return(context, ready);
    } else {
        char tag[sizeof(ready->attempt)];
        snprintf(tag, sizeof(tag), "probe%ld", syscall(SYS_gettid));
        facts.status = linux_ready_make(context, true, tag, &ready, error);
        if (facts.status == BV_OK) {
            ask_staging(&facts, ready, paths);
            linux_ready_drop(ready);
        }
    }
    linux_fd_close(&paths);
    return facts.status;
}

/* st_size of /proc/PID/fd is the number of open descriptors since 6.2; before, 0. */
static void probe_fd_size(struct facts *facts)
{
    struct stat status;
    const int fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool counts = fd >= 0 && fstat(fd, &status) == 0 && status.st_size > 0;
    if (fd >= 0) {
        close(fd);
    }
    set(facts, FACT_PROC_FD_SIZE, counts ? "ok" : "no");
}

static enum bv_status probe(void *context, bool ahead, struct bv_snapshot *snapshot,
                            struct bv_error *error)
{
    const int saved_errno = errno;
    struct facts facts = { snapshot, BV_OK, error };
    probe_identity(&facts);
    probe_cpus(&facts);
    probe_landlock(&facts);
    probe_calls(&facts);
    probe_boundary(&facts, context, ahead);
    probe_fd_size(&facts);
    errno = saved_errno;
    return facts.status;
}

enum bv_status linux_probe(void *context, struct bv_snapshot *snapshot, struct bv_error *error)
{
    return probe(context, false, snapshot, error);
}

/* The network namespace is made while the run is planned: linux_release() says whether it was. */
enum bv_status linux_probe_ahead(void *context, struct bv_snapshot *snapshot,
                                 struct bv_error *error)
{
    return probe(context, true, snapshot, error);
}
