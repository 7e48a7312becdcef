/* launcher/main.c - the launcher: a small program between the supervisor and one workload.
 *
 * Theory of operation. Four processes take part.
 *
 *   S  the supervisor: any host process, perhaps fat and with many threads. It execs the launcher
 *      from a memory file; argv[1] is the number of a sealed memory file with the launch frame.
 *      Descriptors that the frame names have the same numbers here.
 *   L  the launcher proper (this file): still in the host's namespaces, with the caller's rights.
 *      It checks the frame, closes what the frame does not name, clones I as a child of S, maps
 *      I's ids, tells S about I, lets I go, and is gone.
 *   I  init, pid 1 of the boundary: builds the fresh root, makes W, and stays as keeper of clocks
 *      and samples (init.c). Not in the workload's cgroup leaf, whose figures leave it out.
 *   W  the workload's stub, pid 2: joins the leaf, takes everything away from itself, tries the
 *      canaries, execs. From then on W is the workload.
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

#define NAMED_MAX (BV_FRAME_KEEP_MAX + BV_FRAME_TASKS_MAX + 7)

/* Host descriptors that the frame does not name must not pass; whoever starts us may have left any
 * number of them open. */
static int scrub_descriptors(const struct bv_frame *f)
{
    int named[NAMED_MAX] = { f->control_fd, f->stdin_fd, f->stdout_fd, f->stderr_fd,
                             f->leaf_fd,    f->cpu_fd,   f->oom_fd };
    size_t count = 7;
    int result;

    for (uint32_t i = 0; i < f->task_fd_count; i++) {
        named[count++] = f->task_fds[i];
    }
    for (uint32_t i = 0; i < f->keep_count; i++) {
        named[count++] = f->keep[i];
    }
    BV_ASSERT(count <= NAMED_MAX);
    result = bv_close_all_but(named, count);
    return result < 0 ? result : bv_fill_standard_fds();
}

static int block_signals(void)
{
    const uint64_t all = ~UINT64_C(0);

    return (int)raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof(all));
}

static int share_progress(struct launch *launch)
{
    int error;
    void *page = raw_map(sizeof(*launch->at), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                         -1, &error);

    if (!page) {
        return error;
    }
    launch->at = page;
    launch->at->stage = BV_STAGE_FRAME;
    return 0;
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
    const long parent = raw_call(SYS_getppid);
    const int32_t named = launch->frame.supervisor_pid;

    launch->supervisor_fd = (int)raw_call(SYS_pidfd_open, parent, 0);
    if (launch->supervisor_fd < 0) {
        return launch->supervisor_fd;
    }
    /* A parent that died in between has been replaced, and the descriptor may be a stranger's. */
    return raw_call(SYS_getppid) == parent && (named <= 0 || named == parent) ? 0 : -ESRCH;
}

/* Everything up to a running init. */
static int launch_init(struct launch *launch, const char *frame_fd)
{
    int result = share_progress(launch);

    if (result == 0) {
        result = block_signals();
    }
    if (result == 0) {
        bv_default_signals();
        result = bv_open_frame(launch, frame_fd);
    }
    if (result == 0) {
        launch->at->stage = BV_STAGE_DESCRIPTORS;
        result = scrub_descriptors(&launch->frame);
    }
    if (result == 0) {
        result = read_limits(launch);
    }
    if (result == 0) {
        result = watch_supervisor(launch);
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
        launch.exec_fd = launch.ruleset_fd = -1;
    launch.frame.control_fd = -1;
    result = argc == 2 ? launch_init(&launch, argv[1]) : -EINVAL;
    if (result < 0 && launch.frame.control_fd >= 0 && launch.at) {
        bv_tell_failed(&launch, launch.at->stage, launch.at->index, result);
    }
    raw_exit(result < 0 ? 1 : 0);
}
