/* launcher/main.c - the launcher: a small program between the supervisor and one workload.
 *
 * Theory of operation. Four processes take part.
 *
 *   S  the supervisor: any host process, perhaps fat and with many threads. It execs the launcher
 *      from a memory file before it knows what will run, since namespaces take longest to make; the
 *      bvisor command instead forks at its first instruction and runs the same image in place
 *      (early.c);
 *      argv[1] is the number of the control socket, argv[2] says whether a network namespace is
 *      wanted.
 *   L  the launcher proper (this file): still in the host's namespaces, with the caller's rights.
 *      It closes everything but the socket, clones I as a child of S, maps I's ids, tells S about
 *      I, lets I go, tries whether a seccomp listener can be installed, and is gone.
 *   I  init, pid 1 of the boundary: makes the fresh root and waits for the launch frame, a sealed
 *      memory file that comes through the socket together with the descriptors of the run. Then it
 *      makes W, mounts what the frame grants, enters the root, and stays as keeper of clocks and
 *      samples (init.c). Not in the workload's cgroup leaf, whose figures leave it out.
 *   W  the workload's stub, pid 2: born in the leaf, takes everything away from itself while I
 *      mounts, enters Landlock when the root is there, tries the canaries, execs. From then on W
 *      is the workload.
 *
 * One SEQPACKET socket ties all of them to S. Every failure is one message {stage, errno, index}
 * and an exit; S sees end of file besides. The other way round, end of file is the lifeline: when S
 * is gone, I exits and the kernel kills the namespace. An exec is silent: the CLOEXEC pipe between
 * W and I ends, and I says so. What ends the tree: W's end, a limit, a KILL message, S's end, I's.
 *
 * Fixed storage only: no malloc, no stdio, no libc (start.c), no contract code. Signals are blocked
 * in L and I, so that no terminal key reaches them, and reset in W. Processes and the order of
 * steps are specified by LINUX.md 3; messages and frame by src/launchwire. */
#include "launcher/launcher.h"

#include "launcher/raw.h"

#include "base/check.h"

#include <linux/auxvec.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define LOWEST_FD 3

/* Host descriptors must not pass; whoever starts us may have left any number of them open. */
static int scrub_descriptors(const struct launch *launch)
{
    int named[] = { launch->control_fd };
    int result = bv_close_all_but(named, BV_COUNT(named));

    return result < 0 ? result : bv_fill_standard_fds();
}

static int block_signals(void)
{
    const uint64_t all = ~UINT64_C(0);

    return (int)raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof(all));
}

static int share_page(struct launch *launch)
{
    int error;

    launch->shared = raw_map(sizeof(*launch->shared), PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, &error);
    return error;
}

static int read_limits(struct launch *launch)
{
    struct rlimit64 limit;
    int result = (int)raw_call(SYS_prlimit64, 0, (unsigned)RLIMIT_NOFILE, NULL, &limit);

    if (result == 0) {
        launch->nofile_soft = limit.rlim_cur;
        launch->nofile_hard = limit.rlim_max;
    }
    return result;
}

/* The lifeline alone does not tell of the supervisor's death while a child that it forked, without an exec, holds
 * a copy of its end. */
static int watch_supervisor(struct launch *launch)
{
    launch->supervisor = (int32_t)raw_call(SYS_getppid);
    launch->supervisor_fd = (int)raw_call(SYS_pidfd_open, launch->supervisor, 0);
    if (launch->supervisor_fd < 0) {
        return launch->supervisor_fd;
    }
    /* A parent that died in between has been replaced, and the descriptor may be a stranger's. */
    return raw_call(SYS_getppid) == launch->supervisor ? 0 : -ESRCH;
}

/* The control socket's number, then 1 or 0: with or without a network namespace. */
static int read_arguments(struct launch *launch, char **argv)
{
    int fd = 0;

    if (argv[1][0] == '\0' || strlen(argv[1]) > 9) {
        return -EINVAL;
    }
    for (const char *c = argv[1]; *c; c++) {
        if (*c < '0' || *c > '9') {
            return -EINVAL;
        }
        fd = fd * 10 + (*c - '0');
    }
    launch->new_net = argv[2][0] == '1';
    if (fd < LOWEST_FD || (!launch->new_net && argv[2][0] != '0')) {
        return -EINVAL;
    }
    launch->control_fd = fd;
    launch->uid = (uint32_t)raw_call(SYS_geteuid);
    launch->gid = (uint32_t)raw_call(SYS_getegid);
    launch->full_map = launch->uid == 0;
    return 0;
}

/* Everything up to a running init. */
static int launch_init(struct launch *launch, char **argv)
{
    int result = read_arguments(launch, argv);

    if (result == 0) {
        result = share_page(launch);
    }
    if (result == 0) {
        result = block_signals();
    }
    if (result == 0) {
        bv_default_signals();
        launch->at->stage = BV_STAGE_DESCRIPTORS;
        result = scrub_descriptors(launch);
    }
    if (result == 0) {
        result = read_limits(launch);
    }
    if (result == 0) {
        result = watch_supervisor(launch);
    }
    if (result == 0) { /* the caller's directory is no place of the boundary's */
        result = (int)raw_call(SYS_chdir, "/");
    }
    return result < 0 ? result : bv_make_init(launch);
}

/* The auxiliary vector lies behind the environment (the psABI's initial stack). */
static uint64_t page_size(char **envp)
{
    const unsigned long *auxv;

    while (*envp) {
        envp++;
    }
    auxv = (const unsigned long *)(const void *)(envp + 1);
    while (auxv[0] != AT_NULL && auxv[0] != AT_PAGESZ) {
        auxv += 2;
    }
    BV_ASSERT(auxv[0] == AT_PAGESZ);
    return auxv[1];
}

int main(int argc, char **argv, char **envp)
{
    static struct launch launch;
    int result;

    launch.page_bytes = page_size(envp);

    /* Not by an initialiser, which would put all of the struct's zeros into the file. */
    launch.supervisor_fd = launch.root_fd = launch.proc_fd = launch.temp_fd = launch.shm_fd =
        launch.parent_fd = launch.exec_fd = launch.ruleset_fd = launch.control_fd = -1;
    launch.at = &launch.own;
    result = argc == 3 ? launch_init(&launch, argv) : -EINVAL;
    if (result == 0) {
        const struct bv_status_message tried = {
            .type = BV_MSG_TRIED,
            .values = { (uint64_t)(int64_t)bv_try_listener() },
        };

        result = bv_tell(&launch, &tried, -1);
    } else if (launch.control_fd >= 0) {
        bv_tell_failed(&launch, launch.at->stage, launch.at->index, result);
    }
    raw_exit(result < 0 ? 1 : 0);
}
