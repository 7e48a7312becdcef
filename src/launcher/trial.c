/* launcher/trial.c - tries what only some kernels, containers and users have, while there is nothing else to do.
 *
 * The supervisor plans with the answers: what the launch itself shows (namespaces, tmpfs, procfs) is
 * said by its going on, and what it would show too late is tried here. Everything ends with the
 * descriptor or the process that it was tried with. LINUX.md 2. */
#include "launcher/launcher.h"

#include "launcher/raw.h"

#include "base/check.h"

#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <linux/wait.h>
#include <sys/resource.h>

/* The calling process is lost for anything else: only one listener fits in a chain of filters, and
 * the host may already be below one. */
int bv_try_listener(void)
{
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const struct sock_fprog program = { 1, &allow };
    long result = raw_call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L);

    if (result == 0) {
        result = raw_call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                          &program);
    }
    return result < 0 ? (int)result : 0;
}

/* Whether one more task can be made under this limit. */
static int clone_under(uint64_t limit)
{
    const struct rlimit64 most = { limit, limit };
    const struct clone_args args = { 0 };
    long result = raw_call(SYS_prlimit64, 0, (unsigned)RLIMIT_NPROC, &most, NULL);

    if (result == 0) {
        result = raw_clone3(&args);
        if (result == 0) {
            raw_exit(0);
        }
    }
    if (result > 0) {
        (void)raw_call(SYS_wait4, result, NULL, (int)__WALL, NULL);
    }
    return result < 0 ? (int)result : 0;
}

/* In the namespace are init, a child that limits itself, and perhaps a third. Three fit in a limit
 * of 3 only where tasks are counted per user namespace (5.14): the host is a task of the same user.
 * Then a limit of 2 must refuse. */
static void try_nproc(struct launch *launch)
{
    const struct clone_args args = { 0 };
    int64_t *results = launch->shared->nproc;
    long pid = raw_clone3(&args);

    if (pid == 0) {
        int beyond;

        results[0] = clone_under(3);
        beyond = clone_under(2);
        results[1] = beyond == -EAGAIN ? 0 : beyond == 0 ? -EOPNOTSUPP : beyond;
        raw_exit(0);
    }
    if (pid < 0) {
        results[0] = pid;
        return;
    }
    (void)raw_call(SYS_wait4, pid, NULL, (int)__WALL, NULL);
}

/* A file: its clone never covers locked mounts, whatever the host has mounted. */
static void try_mounts(struct launch *launch, uint64_t values[8])
{
    int tree = (int)raw_call(SYS_open_tree, AT_FDCWD, "/dev/null",
                             (unsigned)(OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    int64_t set = BV_NOT_TRIED;

    if (tree >= 0) {
        set = raw_mount_set(tree,
                            MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                                MOUNT_ATTR_NOEXEC,
                            false);
        /* Not closed here: the last descriptor of a detached mount waits for an RCU grace period. It goes with
         * those that init does not keep, when nobody waits for init. */
    }
    values[BV_TRIAL_OPEN_TREE] = (uint64_t)(int64_t)(tree < 0 ? tree : 0);
    values[BV_TRIAL_MOUNT_SETATTR] = (uint64_t)set;
    /* The fresh root has this attribute already: whether it can be set is all that is asked. */
    values[BV_TRIAL_REMOUNT] = (uint64_t)(int64_t)(set == -ENOSYS ? bv_restrict_attached(launch, launch->root_fd, NULL, MOUNT_ATTR_NOSUID)
                                                                  : BV_NOT_TRIED);
}

void bv_try_in_init(struct launch *launch, struct bv_status_message *ret_message)
{
    *ret_message = (struct bv_status_message){ .type = BV_MSG_READY };
    launch->shared->nproc[0] = launch->shared->nproc[1] = BV_NOT_TRIED;
    try_mounts(launch, ret_message->values);
    if (!launch->full_map) { /* uid 0 is exempt from the limit */
        try_nproc(launch);
    }
    ret_message->values[BV_TRIAL_NPROC_USERNS] = (uint64_t)launch->shared->nproc[0];
    ret_message->values[BV_TRIAL_NPROC_BINDS] = (uint64_t)launch->shared->nproc[1];
}
