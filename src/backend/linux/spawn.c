/* backend/linux/spawn.c - starts the launcher from a host of any size and any number of threads.
 *
 * clone(CLONE_VM | CLONE_VFORK) copies no page table, so a 1 GiB host launches as fast as a small one; the child runs on a
 * stack of its own with every signal blocked, touches nothing of the host but one struct, and is gone from the host's memory
 * at its execveat(). (Without CLONE_VFORK the host would go on at once, but the exec then takes a millisecond longer: measured.) It has
 * a copy of the descriptor table, not the table: what it marks as inheritable is so for it alone and cannot leak into a program that
 * another thread starts at the same moment. CLONE_PIDFD names the child without a race even where the host ignores SIGCHLD.
 * posix_spawn() offers neither the pidfd nor an exec by descriptor. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backend/linux/os.h"
#include "backend/linux/run.h"
#include "base/check.h"

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#define STACK_BYTES (64u << 10)
#define SIGSET_BYTES                                                                               \
    8u /* the kernel's own size: glibc's calls would leave its two private signals unblocked */

struct linux_spawn { /* at the low end of the child's stack: all that it reads, and the one thing that it writes */
    int image_fd, control_fd;
    char name[16], number[12], net[2];
    char *argv[4];
    int error;
};

static char *const launcher_environment[] = { NULL };

/* Runs in the host's memory while the host's thread waits: system calls only, no state of the C library but errno. */
__attribute__((no_sanitize("address", "undefined"))) static int child_main(void *argument)
{
    struct linux_spawn *child = argument;

    /* A process group of its own: signals of the caller's terminal pass by, and a launcher that died before it could name
     * init leaves a way to find init (observe.c). */
    if (syscall(SYS_setpgid, 0, 0) != 0) {
        child->error = errno;
        syscall(SYS_exit, 127);
    }
    if (syscall(SYS_fcntl, child->control_fd, F_SETFD, 0) != 0) {
        child->error = errno;
        syscall(SYS_exit, 127);
    }
    syscall(SYS_execveat, child->image_fd, "", child->argv, launcher_environment, AT_EMPTY_PATH);
    child->error = errno;
    syscall(SYS_exit, 127);
    return 127;
}

int linux_spawn(int image_fd, int control_fd, bool new_net, struct linux_spawn **ret_spawn, int *ret_pid)
{
    const uint64_t all = UINT64_MAX;
    uint64_t old = 0;
    int pidfd = -EBADF;
    char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) {
        return -errno;
    }
    struct linux_spawn *child = (struct linux_spawn *)(void *)stack;
    *child = (struct linux_spawn){
        .image_fd = image_fd,
        .control_fd = control_fd,
        .name = "bvisor-launcher",
        .net = { new_net ? '1' : '0' },
        .argv = { child->name, child->number, child->net, NULL },
    };
    (void)snprintf(child->number, sizeof child->number, "%d", control_fd);
    if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, SIGSET_BYTES) != 0) {
        const int error = errno;
        (void)munmap(stack, STACK_BYTES);
        return -error;
    }
    const int pid = clone(child_main, stack + STACK_BYTES, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, child, &pidfd);
    const int error = errno;
    const long restored = syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, SIGSET_BYTES);
    BV_ASSERT(restored == 0);
    if (pid < 0) {
        (void)munmap(stack, STACK_BYTES);
        return -error;
    }
    const int high = pidfd > STDERR_FILENO ? pidfd : fcntl(pidfd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (high < 0) { /* the host has no descriptor left to supervise the launcher by */
        const int reason = errno;
        while (linux_reap(pidfd) == -EAGAIN) {
            (void)linux_pidfd_signal(pidfd, SIGKILL);
        }
        (void)close(pidfd);
        (void)munmap(stack, STACK_BYTES);
        return -reason;
    }
    if (high != pidfd) {
        (void)close(pidfd);
    }
    *ret_spawn = child;
    *ret_pid = pid;
    return high;
}

struct bv_status_message linux_spawn_failure(const struct linux_spawn *spawn)
{
    return (struct bv_status_message){
        .type = spawn != NULL && spawn->error != 0 ? BV_MSG_FAILED : 0,
        .stage = BV_STAGE_LAUNCHER,
        .error = spawn != NULL ? spawn->error : 0,
    };
}

void linux_spawn_done(struct linux_spawn *spawn)
{
    if (spawn != NULL) {
        (void)munmap(spawn, STACK_BYTES);
    }
}
