/* backend/linux/probe_child.c - tries what a boundary is made of in a short-lived child with
 * namespaces of its own.
 *
 * The child shares the host's memory (CLONE_VM) and the calling thread sleeps until it is gone
 * (CLONE_VFORK), so that a host of any size is probed at the same cost; it makes system calls
 * only and writes only to its own stack and to the result. All signals are blocked around it,
 * since a handler of the host must not run in it. Its exit signal is 0: the host hears no
 * SIGCHLD, its own waits do not see the child, and it is reaped here also where SIGCHLD is
 * ignored (clone(2), wait(2)). Everything that it makes is detached or belongs to its
 * namespaces, and ends with it. */
#include "backend/linux/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"

#define STACK_BYTES (32u << 10)
#define GUARD_BYTES (4u << 10)

/* The network namespace is not among them: it alone costs as much as all the others, and tearing
 * it down keeps the kernel busy for a millisecond more. Its presence and its limit are read
 * instead (probe.c). */
#define TRIAL_NAMESPACES                                                                           \
    (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

struct trial_input {
    struct linux_namespace_trial *result;
    char uid_map[48], gid_map[48];
    bool try_map, try_nproc;
    char *inner_stack;
};

static int call_result(long result)
{
    return result < 0 ? -errno : (int)result;
}

static int write_file(const char *path, const char *text)
{
    const int fd = call_result(syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0));
    if (fd < 0) {
        return fd;
    }
    const int result = call_result(syscall(SYS_write, fd, text, strlen(text)));
    syscall(SYS_close, fd);
    return result < 0 ? result : 0;
}

/* A detached mount of a fresh file system; its descriptor or -errno. */
static int mount_detached(const char *type, const char *key, const char *value)
{
    const int context = call_result(syscall(SYS_fsopen, type, FSOPEN_CLOEXEC));
    if (context < 0) {
        return context;
    }
    int result =
        key ? call_result(syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, key, value, 0)) : 0;
    if (result >= 0) {
        result = call_result(syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
    }
    if (result >= 0) {
        result = call_result(syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0));
    }
    syscall(SYS_close, context);
    return result;
}

static void close_result(int *result)
{
    if (*result >= 0) {
        syscall(SYS_close, *result);
        *result = 0;
    }
}

/* What the launcher does instead where mount_setattr() is missing (step_remount.c). In this
 * namespace everything is a slave or private, so the host sees nothing of the mount. */
static int try_remount(void)
{
    const int fs = mount_detached("tmpfs", NULL, NULL);
    if (fs < 0) {
        return fs;
    }
    int result =
        call_result(syscall(SYS_move_mount, fs, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH));
    if (result == 0) {
        result = call_result(syscall(SYS_fchdir, fs));
    }
    if (result == 0) {
        result = call_result(syscall(SYS_mount, NULL, ".", NULL,
                                     MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID, NULL));
    }
    syscall(SYS_close, fs);
    return result;
}

static void try_mounts(struct linux_namespace_trial *result)
{
    result->tmpfs = mount_detached("tmpfs", NULL, NULL);
    close_result(&result->tmpfs);
    result->proc_mount = mount_detached("proc", "subset", "pid");
    close_result(&result->proc_mount);
    /* A file: its clone never covers locked mounts, whatever the host has mounted. */
    int tree = call_result(
        syscall(SYS_open_tree, AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    result->open_tree = tree < 0 ? tree : 0;
    if (tree >= 0) {
        struct mount_attr attr = {
            .attr_set =
                MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
        };
        result->mount_setattr =
            call_result(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)));
        close_result(&tree);
        if (result->mount_setattr == -ENOSYS) {
            result->remount = try_remount();
        }
    }
}

static int do_nothing(void *argument)
{
    (void)argument;
    return 0;
}

/* Whether one more task can be made under this limit, counting this one. */
static int clone_under(rlim_t limit, char *stack)
{
    /* The child has a signal structure of its own, so the limit is not the host's. */
    const struct rlimit most = { limit, limit };
    int result = call_result(syscall(SYS_prlimit64, 0, RLIMIT_NPROC, &most, NULL));
    if (result < 0) {
        return result;
    }
    result = call_result(clone(do_nothing, stack, CLONE_VM | CLONE_VFORK, NULL));
    if (result > 0) {
        syscall(SYS_wait4, result, NULL, __WALL, NULL);
    }
    return result < 0 ? result : 0;
}

/* In a namespace of its own this child is the user's only task. Two tasks fit in a limit of 2
 * only where tasks are counted per user namespace (5.14): the host is a task of the same user.
 * Then a limit of 1 must refuse. */
static void try_nproc(const struct trial_input *input)
{
    struct linux_namespace_trial *result = input->result;
    result->nproc_userns = clone_under(2, input->inner_stack);
    const int beyond = clone_under(1, input->inner_stack);
    result->nproc_binds = beyond == -EAGAIN ? 0 : beyond == 0 ? -EOPNOTSUPP : beyond;
}

/* The listener is the last: only one fits in a chain of filters, and the host may already be
 * below one. */
static int try_listener(void)
{
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const struct sock_fprog program = { 1, &allow };
    int result = call_result(syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    if (result == 0) {
        result = call_result(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                                     SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
        close_result(&result);
    }
    return result;
}

/* No instrumentation: its stack is not one that a sanitizer knows. */
__attribute__((no_sanitize("address"))) static int child(void *argument)
{
    const struct trial_input *input = argument;
    struct linux_namespace_trial *result = input->result;
    result->clone = 0;
    result->id_map = input->try_map ? write_file("/proc/self/setgroups", "deny") : 0;
    if (result->id_map == 0 && input->try_map) {
        result->id_map = write_file("/proc/self/gid_map", input->gid_map);
    }
    if (result->id_map == 0 && input->try_map) {
        result->id_map = write_file("/proc/self/uid_map", input->uid_map);
    }
    if (result->id_map == 0) {
        try_mounts(result);
        if (input->try_nproc) {
            try_nproc(input);
        }
    }
    result->listener = try_listener();
    return 0;
}

void linux_try_namespaces(struct linux_namespace_trial *ret_trial)
{
    const int saved_errno = errno;
    *ret_trial = (struct linux_namespace_trial){
        TRIAL_NOT_RUN, TRIAL_NOT_RUN, TRIAL_NOT_RUN, TRIAL_NOT_RUN, TRIAL_NOT_RUN,
        TRIAL_NOT_RUN, TRIAL_NOT_RUN, TRIAL_NOT_RUN, TRIAL_NOT_RUN, TRIAL_NOT_RUN,
    };
    const size_t size = 2 * (STACK_BYTES + GUARD_BYTES);
    char *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED) {
        ret_trial->clone = -errno;
        errno = saved_errno;
        return;
    }
    /* [guard][stack][guard][inner stack]; stacks grow down. */
    char *stack = memory + GUARD_BYTES + STACK_BYTES;
    (void)mprotect(memory, GUARD_BYTES, PROT_NONE);
    (void)mprotect(stack, GUARD_BYTES, PROT_NONE);
    /* A host that is not dumpable (it changed its uid) may not write its own maps, nor may what
     * shares its memory; the launcher may, since exec makes it dumpable again. What then needs
     * no map is tried without. */
    struct trial_input input = {
        .result = ret_trial,
        .try_map = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1,
        .try_nproc = geteuid() != 0,
        .inner_stack = memory + size,
    };
    snprintf(input.uid_map, sizeof(input.uid_map), "%u %u 1", geteuid(), geteuid());
    snprintf(input.gid_map, sizeof(input.gid_map), "%u %u 1", getegid(), getegid());

    sigset_t all, before;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t pid = clone(child, stack, TRIAL_NAMESPACES | CLONE_VM | CLONE_VFORK, &input);
    if (pid < 0) {
        ret_trial->clone = -errno;
    } else {
        int status = 0;
        pid_t reaped;
        do {
            reaped = waitpid(pid, &status, __WALL);
        } while (reaped < 0 && errno == EINTR);
        if (reaped == pid && !(WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
            ret_trial->clone = -EFAULT; /* it was killed: what it wrote is not to be trusted */
        }
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)munmap(memory, size);
    errno = saved_errno;
}
