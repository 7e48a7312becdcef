/* launcher/step_limits.c - limits and descriptors: what the workload may use up, and what it finds
 * open.
 *
 * Every limit here only tightens: a hard limit above the inherited one is cut down to it, because
 * raising takes a privilege that even root may lack (CAP_SYS_RESOURCE). The descriptor table is
 * made exact by closing ranges, not by trusting CLOEXEC. Specified by LINUX.md 3 and 5. */
#include "launcher/launcher.h"

#include "launcher/raw.h"

#include "base/check.h"

#include <linux/prctl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#define SIGNALS 64 /* _NSIG of the kernel on x86-64 and arm64 */

/* An ignored signal survives exec, and a host that ignores SIGCHLD would make init's children
 * vanish unwaited. libc's sigaction would refuse the two signals that it keeps for itself. */
void bv_default_signals(void)
{
    static const uint64_t kernel_sigaction[4]; /* SIG_DFL, no flags, no restorer, empty mask */

    for (int signal = 1; signal <= SIGNALS; signal++) {
        if (signal != SIGKILL && signal != SIGSTOP) {
            (void)raw_call(SYS_rt_sigaction, signal, kernel_sigaction, NULL, sizeof(uint64_t));
        }
    }
}

/* Descriptors 0-2 that the supervisor closed would be the next ones to be handed out; an event
 * nobody raises holds their places. */
int bv_fill_standard_fds(void)
{
    long fd = 0;

    while (fd >= 0 && fd <= 2) {
        fd = raw_call(SYS_eventfd2, 0u, EFD_CLOEXEC);
    }
    if (fd > 2) {
        raw_close((int)fd);
    }
    return fd < 0 ? (int)fd : 0;
}

int bv_close_all_but(int *fds, size_t count)
{
    unsigned first = 0;

    for (size_t i = 1; i < count; i++) {
        int fd = fds[i];
        size_t at = i;

        for (; at > 0 && fds[at - 1] > fd; at--) {
            fds[at] = fds[at - 1];
        }
        fds[at] = fd;
    }
    for (size_t i = 0; i < count; i++) {
        if (fds[i] < 0 || (unsigned)fds[i] < first) {
            continue; /* none, or the same once more */
        }
        if ((unsigned)fds[i] > first) {
            int result = raw_close_range(first, (unsigned)fds[i] - 1);

            if (result < 0) {
                return result;
            }
        }
        first = (unsigned)fds[i] + 1;
    }
    return raw_close_range(first, ~0u);
}

int bv_step_signals(struct launch *launch)
{
    static const uint64_t none;

    (void)launch;
    return (int)raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none));
}

/* Sets a limit, or the inherited one where that is tighter. */
static int set_limit(unsigned resource, uint64_t soft, uint64_t hard)
{
    struct rlimit64 old, new;
    int result = (int)raw_call(SYS_prlimit64, 0, resource, NULL, &old);

    if (result < 0) {
        return result;
    }
    new.rlim_max = hard < old.rlim_max ? hard : old.rlim_max;
    new.rlim_cur = soft < new.rlim_max ? soft : new.rlim_max;
    return (int)raw_call(SYS_prlimit64, 0, resource, &new, NULL);
}

/* Writing oom_score_adj takes the ownership of the file, which only a dumpable process has of its
 * own; raising it takes no privilege. Until the exec makes a fresh memory of the workload's, this
 * one holds its secrets and must not be dumped. */
static int prefer_for_oom(const struct launch *launch)
{
    long fd, result = raw_call(SYS_prctl, PR_SET_DUMPABLE, 1);

    if (result < 0) {
        return (int)result;
    }
    fd = raw_call(SYS_openat, launch->proc_fd, "self/oom_score_adj", O_WRONLY | O_CLOEXEC, 0);
    if (fd < 0) {
        return (int)fd;
    }
    result = raw_call(SYS_write, (int)fd, "1000", (size_t)4);
    raw_close((int)fd);
    if (result < 0) {
        return (int)result;
    }
    return (int)raw_call(SYS_prctl, PR_SET_DUMPABLE, 0);
}

/* A host user may have been given real-time or nice allowances (limits.conf); they do not pass into
 * a boundary. */
int bv_step_priorities(struct launch *launch)
{
    int result = prefer_for_oom(launch);

    if (result == 0) {
        result = set_limit(RLIMIT_RTPRIO, 0, 0);
    }
    return result < 0 ? result : set_limit(RLIMIT_NICE, 0, 0);
}

/* What the kernel counts per user and in every namespace above, the host's too, where the user has
 * 128 instances in all by default: here it ends sooner (user_namespaces(7), /proc/sys/user). */
int bv_step_user_limits(struct launch *launch)
{
    static const struct {
        const char *path, *limit;
    } limits[] = {
        { "sys/user/max_inotify_instances", "64" },
        { "sys/user/max_inotify_watches", "4096" },
    };

    for (size_t i = 0; i < BV_COUNT(limits); i++) {
        long fd = raw_call(SYS_openat, launch->proc_fd, limits[i].path, O_WRONLY | O_CLOEXEC, 0);
        long result = fd;

        launch->at->index = (uint32_t)i;
        if (fd >= 0) {
            result = raw_call(SYS_write, (int)fd, limits[i].limit, strlen(limits[i].limit));
            raw_close((int)fd);
        }
        if (result < 0 && result != -ENOENT) { /* a kernel without inotify */
            return (int)result;
        }
    }
    return 0;
}

static int set_limits(struct launch *launch, bool nofile)
{
    int result = 0;

    for (uint32_t i = 0; result == 0 && i < launch->frame.rlimit_count; i++) {
        const struct bv_frame_rlimit *limit = &launch->frame.rlimits[i];

        launch->at->index = i;
        if ((limit->resource == RLIMIT_NOFILE) == nofile) {
            result = set_limit(limit->resource, limit->soft, limit->hard);
        }
    }
    return result;
}

int bv_step_rlimits(struct launch *launch)
{
    return set_limits(launch, false);
}

int bv_step_nofile(struct launch *launch)
{
    int result = set_limit(RLIMIT_NOFILE, launch->nofile_soft, launch->nofile_hard);

    return result < 0 ? result : set_limits(launch, true);
}

static bool is_kept_number(const struct bv_frame *frame, long fd)
{
    for (uint32_t i = 0; i < frame->keep_count; i++) {
        if (frame->keep[i].number == fd) {
            return true;
        }
    }
    return false;
}

/* Moves a descriptor off the numbers at which the workload is to find its own. What the kernel
 * hands out on the way is one of those numbers, and is overwritten with the rest of them. */
static int move_off(const struct bv_frame *frame, int *fd)
{
    long at = *fd;

    while (at >= 0 && is_kept_number(frame, at)) {
        at = raw_call(SYS_fcntl, *fd, F_DUPFD_CLOEXEC, at + 1);
    }
    if (at >= 0) {
        *fd = (int)at;
    }
    return at >= 0 || *fd < 0 ? 0 : (int)at;
}

static int clear_numbers(struct launch *launch)
{
    struct bv_frame *frame = &launch->frame;
    int *ours[] = { &launch->control_fd, &launch->exec_fd,   &launch->ruleset_fd,
                    &frame->stdin_fd,    &frame->stdout_fd, &frame->stderr_fd };
    int result = 0;

    for (size_t i = 0; result == 0 && i < BV_COUNT(ours); i++) {
        result = move_off(frame, ours[i]);
    }
    for (uint32_t i = 0; result == 0 && i < frame->keep_count; i++) {
        launch->at->index = i;
        result = move_off(frame, &frame->keep[i].fd);
    }
    return result;
}

/* Descriptors came under whatever numbers were free. What stays besides the standard three and the
 * kept ones closes itself at the exec. */
int bv_step_descriptors(struct launch *launch)
{
    const struct bv_frame *frame = &launch->frame;
    int stay[BV_FRAME_KEEP_MAX + 6] = { 0, 1, 2 };
    size_t count = 3;
    long result = clear_numbers(launch);
    const int sources[3] = { frame->stdin_fd, frame->stdout_fd, frame->stderr_fd };

    for (int fd = 0; result >= 0 && fd < 3; fd++) {
        result = raw_call(SYS_dup3, sources[fd], fd, 0);
    }
    for (uint32_t i = 0; result >= 0 && i < frame->keep_count; i++) {
        launch->at->index = i;
        result = raw_call(SYS_dup3, frame->keep[i].fd, frame->keep[i].number, 0);
        stay[count++] = frame->keep[i].number;
    }
    if (result < 0) {
        return (int)result;
    }
    stay[count++] = launch->control_fd;
    stay[count++] = launch->exec_fd;
    stay[count++] = launch->ruleset_fd;
    BV_ASSERT(count <= BV_COUNT(stay));
    launch->proc_fd = -1;
    result = raw_call(SYS_fcntl, launch->control_fd, F_SETFD, (long)FD_CLOEXEC);
    return result < 0 ? (int)result : bv_close_all_but(stay, count);
}
