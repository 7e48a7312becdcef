/* tests/support/leaf_child.h - a process inside a leaf, as the launcher's init makes one. */
#pragma once

#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backend/linux/linux.h"

/* fork() into the leaf: born in the v2 leaf, then into the v1 ones by itself. -1 on failure. */
static inline pid_t leaf_fork(const struct linux_leaf *leaf)
{
    struct clone_args args = { .exit_signal = SIGCHLD };
    if (leaf->core_fd >= 0) {
        args.flags = CLONE_INTO_CGROUP;
        args.cgroup = (__u64)(unsigned)leaf->core_fd;
    }
    const pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    if (pid == 0) {
        for (uint32_t i = 0; i < leaf->task_fd_count; i++) {
            if (write(leaf->task_fds[i], "0", 1) != 1) {
                _exit(99);
            }
        }
    }
    return pid;
}
