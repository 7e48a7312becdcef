/* backend/linux/observe.c - drives a run from the launcher's start to the death of the whole tree.
 *
 * Theory of operation. One epoll descriptor waits for everything; linux_dispatch() does what is ready and returns. The tree is
 * the pid namespace of init: it is empty exactly when init's pidfd is readable, since the kernel lets an init end only after
 * every process of its namespace. This side ends a run for four causes (cancel, its own wall timer, a fault, the close of
 * the run); init ends it for the limits. Ending is: tell init, kill the cgroup leaf, and after 500 ms SIGKILL to init, which
 * is the end of its namespace. Launcher and init are reaped by their pidfds and nothing else is ever waited for. When the
 * tree is dead the figures are read, the leaf is removed, the pipes are drained, and witness.c says what was seen. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/linux/os.h"
#include "backend/linux/run.h"
#include "base/check.h"

#define MILLI_NS    1000000ull
#define ESCALATE_NS (500 * MILLI_NS) /* from the order to end until SIGKILL */
#define RETRY_NS    (10 * MILLI_NS)
#define FLUSH_NS    (5000 * MILLI_NS) /* for a target that does not take the rest of the output */

void linux_kill(struct linux_run *run, enum linux_cause cause, const char *format, ...)
{
    const bool over = linux_seen(run, BV_MSG_EXITED) || linux_seen(run, BV_MSG_LIMIT) ||
                      linux_seen(run, BV_MSG_FAILED);
    if (run->cause != CAUSE_NONE || (over && cause != CAUSE_FAULT)) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(run->fault, sizeof run->fault, format, arguments);
    va_end(arguments);
    run->cause = cause;
    if (run->tree_dead) {
        return;
    }
    run->killing = true;
    run->deadline[DEADLINE_WALL] = UINT64_MAX;
    run->deadline[DEADLINE_END] = linux_now_ns() + ESCALATE_NS;
    linux_send_kill(run);
    if (run->leaf_made) {
        (void)linux_leaf_kill(&run->leaf); /* a hierarchy without cgroup.kill leaves it to init */
    }
}

/* Init did not end in time. Without init's pidfd the launcher is killed and the lifeline cut: init ends on both. */
static void escalate(struct linux_run *run)
{
    run->deadline[DEADLINE_END] = linux_now_ns() + RETRY_NS;
    if (run->init_fd >= 0) {
        (void)linux_pidfd_signal(run->init_fd, SIGKILL);
        return;
    }
    (void)linux_pidfd_signal(run->launcher_fd, SIGKILL);
    if (run->control_fd >= 0) {
        (void)linux_watch(run, WATCH_CONTROL, run->control_fd, 0);
        linux_fd_close(&run->control_fd);
    }
}

/* ---- streams ---- */

static void watch_or_fault(struct linux_run *run, enum linux_watch which, int fd, uint32_t events)
{
    const int result = linux_watch(run, which, fd, events);
    if (result < 0) {
        linux_kill(run, CAUSE_FAULT, "watching a stream: %s", strerror(-result));
    }
}

static void pump_output(struct linux_run *run, int index)
{
    struct linux_stream *stream = &run->out[index];
    const enum linux_watch pipe_watch = index == 0 ? WATCH_PIPE_OUT : WATCH_PIPE_ERR;
    const enum linux_watch target_watch = index == 0 ? WATCH_TARGET_OUT : WATCH_TARGET_ERR;
    if (stream->pipe_fd < 0) {
        return;
    }
    const enum linux_need need =
        linux_stream_pump(stream, run->null_fd, run->execution->observation);
    if (stream->failed) {
        linux_kill(run, CAUSE_FAULT, "%s could not be captured", index == 0 ? "stdout" : "stderr");
    }
    watch_or_fault(run, pipe_watch, stream->pipe_fd,
                   need == LINUX_NEED_SOURCE || need == LINUX_NEED_TURN ? EPOLLIN : 0);
    watch_or_fault(run, target_watch, stream->target.fd, need == LINUX_NEED_TARGET ? EPOLLOUT : 0);
    if (need == LINUX_NEED_NOTHING) {
        linux_stream_close(stream);
    }
}

static void end_input(struct linux_run *run)
{
    (void)linux_watch(run, WATCH_SOURCE_IN, run->in.source.fd, 0);
    (void)linux_watch(run, WATCH_PIPE_IN, run->in.pipe_fd, 0);
    linux_input_close(&run->in);
}

static void pump_input(struct linux_run *run)
{
    if (run->in.pipe_fd < 0) {
        return;
    }
    const enum linux_need need = linux_input_pump(&run->in);
    if (need == LINUX_NEED_NOTHING) {
        end_input(run);
        return;
    }
    /* EPOLLERR comes unasked when the workload closes its end: the caller's bytes are then left alone. */
    watch_or_fault(run, WATCH_PIPE_IN, run->in.pipe_fd,
                   need == LINUX_NEED_SOURCE ? (uint32_t)EPOLLERR : (uint32_t)EPOLLOUT);
    watch_or_fault(run, WATCH_SOURCE_IN, run->in.source.fd,
                   need == LINUX_NEED_SOURCE ? EPOLLIN : 0);
}

/* ---- events ---- */

static void on_control(struct linux_run *run, uint32_t events)
{
    (void)run; /* read before every other event */
    (void)events;
}

static void on_init(struct linux_run *run, uint32_t events)
{
    (void)events;
    if (!run->init_dead && linux_reap(run->init_fd) != -EAGAIN) {
        run->init_dead = true;
        (void)linux_watch(run, WATCH_INIT, run->init_fd, 0);
    }
}

static void on_launcher(struct linux_run *run, uint32_t events)
{
    (void)events;
    if (!run->launcher_dead && linux_reap(run->launcher_fd) != -EAGAIN) {
        run->launcher_dead = true;
        (void)linux_watch(run, WATCH_LAUNCHER, run->launcher_fd, 0);
    }
}

static void on_cancel(struct linux_run *run, uint32_t events)
{
    (void)events;
    (void)linux_watch(run, WATCH_CANCEL, run->execution->cancel_fd, 0);
    linux_kill(run, CAUSE_CANCEL, "cancelled by the caller");
    if (run->tree_dead) {
        run->deadline[DEADLINE_FLUSH] =
            0; /* only a target holds the run up; the caller does not want to wait for it */
    }
}

static void on_timer(struct linux_run *run, uint32_t events)
{
    uint64_t fired;
    (void)events;
    if (read(run->timer_fd, &fired, sizeof fired) == (ssize_t)sizeof fired) {
        run->armed_ns = UINT64_MAX;
    }
}

static void on_listener(struct linux_run *run, uint32_t events)
{
    (void)events;
    if (run->notify.fd >= 0 && !run->notify.paused) {
        linux_notify_serve(run);
    }
}

static void on_out(struct linux_run *run, uint32_t events)
{
    (void)events;
    pump_output(run, 0);
}

static void on_err(struct linux_run *run, uint32_t events)
{
    (void)events;
    pump_output(run, 1);
}

static void on_source_in(struct linux_run *run, uint32_t events)
{
    (void)events;
    pump_input(run);
}

static void on_pipe_in(struct linux_run *run, uint32_t events)
{
    if ((events & EPOLLERR) != 0) {
        end_input(run);
    } else {
        pump_input(run);
    }
}

static void (*const handlers[WATCH_COUNT])(struct linux_run *, uint32_t) = {
    [WATCH_CONTROL] = on_control, [WATCH_INIT] = on_init,           [WATCH_LAUNCHER] = on_launcher,
    [WATCH_CANCEL] = on_cancel,   [WATCH_TIMER] = on_timer,         [WATCH_LISTENER] = on_listener,
    [WATCH_PIPE_OUT] = on_out,    [WATCH_PIPE_ERR] = on_err,        [WATCH_TARGET_OUT] = on_out,
    [WATCH_TARGET_ERR] = on_err,  [WATCH_SOURCE_IN] = on_source_in, [WATCH_PIPE_IN] = on_pipe_in,
};

static bool due(struct linux_run *run, enum linux_deadline which, uint64_t now)
{
    if (run->deadline[which] > now) {
        return false;
    }
    run->deadline[which] = UINT64_MAX;
    return true;
}

static void check_deadlines(struct linux_run *run)
{
    const uint64_t now = linux_now_ns();
    if (due(run, DEADLINE_WALL, now)) {
        linux_kill(run, CAUSE_WALL, "wall limit, by the supervisor's own timer");
    }
    if (due(run, DEADLINE_HANDSHAKE, now)) {
        linux_kill(run, CAUSE_FAULT, "the launcher did not execute the workload in time");
    }
    if (!run->tree_dead && due(run, DEADLINE_END, now)) {
        escalate(run);
    }
    if (due(run, DEADLINE_NOTIFY, now) && run->notify.fd >= 0) {
        run->notify.paused = false;
        watch_or_fault(run, WATCH_LISTENER, run->notify.fd, EPOLLIN);
    }
    if (due(run, DEADLINE_FLUSH, now)) {
        for (int i = 0; i < 2; i++) {
            linux_stream_give_up(&run->out[i], ETIMEDOUT);
            pump_output(run, i);
        }
    }
}

/* ---- the end of the tree ---- */

/* The launcher died before it could say who init is. Both were children of this process in a group of their own, so what is
 * left of the group is found without a pid that could have been reused. True: nothing is left. */
static bool group_empty(struct linux_run *run)
{
    const bool lost = run->lost_init > 0; /* it has left the group, and ends with the socket */
    if (lost && run->control_fd >= 0) {
        (void)linux_watch(run, WATCH_CONTROL, run->control_fd, 0);
        linux_fd_close(&run->control_fd);
    }
    for (;;) {
        siginfo_t info = { 0 };
        if (waitid(lost ? P_PID : P_PGID, (id_t)(lost ? run->lost_init : run->launcher_pid), &info,
                   WEXITED | WNOHANG | __WALL) != 0) {
            if (errno == EINTR) {
                continue;
            }
            return errno == ECHILD;
        }
        if (info.si_pid == 0) {
            (void)kill(lost ? run->lost_init : -run->launcher_pid,
                       SIGKILL); /* a living child of ours pins the number */
            run->deadline[DEADLINE_END] = linux_now_ns() + RETRY_NS;
            return false;
        }
    }
}

static bool tree_is_dead(struct linux_run *run)
{
    if (!run->launcher_dead || (linux_seen(run, BV_MSG_INIT) && !run->init_dead)) {
        return false;
    }
    /* What the dead said last is still in the socket. */
    linux_read_control(run);
    if (linux_seen(run, BV_MSG_INIT)) {
        return run->init_dead;
    }
    if (run->seen == 0 && linux_spawn_failure(run->launcher->spawn).type != 0) {
        run->failed = linux_spawn_failure(run->launcher->spawn);
        run->seen |= 1u << BV_MSG_FAILED;
    }
    return group_empty(run);
}

static void read_account(struct linux_run *run)
{
    const struct linux_leaf *leaf = &run->leaf;
    run->account.has_cpu = linux_leaf_cpu_micros(leaf, &run->account.cpu_micros);
    run->account.has_memory = linux_leaf_memory_peak(leaf, &run->account.memory_peak);
    run->account.has_oom = linux_leaf_oom_kills(leaf, &run->account.oom_kills);
    run->account.has_pids = linux_leaf_pids_peak(leaf, &run->account.pids_peak);
    run->account.has_refused_pids = linux_leaf_pids_refused(leaf, &run->account.pids_refused);
    run->account.has_refused_memory = linux_leaf_memory_refused(leaf, &run->account.memory_refused);
}

/* Reads the leaf's figures and removes it. Init is not in it, so it is empty as soon as init has told the end: the work is
 * done then, while the kernel still takes the namespaces apart. */
static void settle_leaf(struct linux_run *run)
{
    if (!run->leaf_made || (!run->tree_dead && (!linux_seen(run, BV_MSG_EXITED) ||
                                                linux_leaf_populated(&run->leaf)))) {
        return;
    }
    if (run->tree_dead) {
        run->leaf_populated = linux_leaf_populated(&run->leaf);
    }
    if (run->leaf_populated) { /* cannot be: the pid namespace is gone. It is killed and told. */
        (void)linux_leaf_kill(&run->leaf);
    }
    read_account(run);
    run->leaf_error = linux_leaf_remove(&run->leaf);
    run->leaf_made = false;
}

static void after_death(struct linux_run *run)
{
    run->tree_dead = true;
    run->end_ns = linux_now_ns();
    for (size_t i = 0; i < DEADLINE_FLUSH; i++) {
        run->deadline[i] = UINT64_MAX;
    }
    if (run->notify.fd >= 0) {
        (void)linux_watch(run, WATCH_LISTENER, run->notify.fd, 0);
        linux_fd_close(&run->notify.fd);
    }
    if (run->control_fd >= 0) {
        (void)linux_watch(run, WATCH_CONTROL, run->control_fd, 0);
        linux_fd_close(&run->control_fd);
    }
    end_input(run);
    settle_leaf(run);
    run->deadline[DEADLINE_FLUSH] = run->end_ns + FLUSH_NS;
    for (int i = 0; i < 2; i++) {
        linux_stream_last(&run->out[i]);
        pump_output(run, i);
    }
}

static void dispatch_events(struct linux_run *run)
{
    struct epoll_event events[WATCH_COUNT];
    uint32_t fired[WATCH_COUNT] = { 0 };
    const int count = epoll_wait(run->epoll_fd, events, WATCH_COUNT, 0);
    for (int i = 0; i < count; i++) {
        BV_ASSERT(events[i].data.u32 < WATCH_COUNT);
        fired[events[i].data.u32] = events[i].events;
    }
    linux_read_control(run);
    for (size_t i = 0; i < BV_COUNT(fired); i++) {
        if (fired[i] != 0) {
            handlers[i](run, fired[i]);
        }
    }
    check_deadlines(run);
    settle_leaf(run);
    if (!run->tree_dead && tree_is_dead(run)) {
        after_death(run);
    }
    const int result = linux_arm(run);
    if (result < 0) {
        linux_kill(run, CAUSE_FAULT, "arming the timer: %s", strerror(-result));
    }
}

/* ---- the vtable's functions ---- */

int linux_poll_fd(void *pointer)
{
    const struct linux_run *run = pointer;
    return run->epoll_fd;
}

enum bv_status linux_dispatch(void *pointer, bool *ret_done, struct bv_error *error)
{
    struct linux_run *run = pointer;
    (void)error; /* what goes wrong from here on is part of the run: it ends as supervisor_fault */
    if (!run->observed) {
        dispatch_events(run);
    }
    if (!run->observed && run->tree_dead && run->out[0].pipe_fd < 0 && run->out[1].pipe_fd < 0) {
        linux_witness(run);
        run->observed = true;
    }
    *ret_done = run->observed;
    return BV_OK;
}

void linux_close_run(void *pointer)
{
    struct linux_run *run = pointer;
    if (run == NULL) {
        return;
    }
    if (!run->tree_dead) {
        linux_kill(run, CAUSE_FAULT, "the run was closed before its end");
    }
    while (!run->tree_dead) {
        struct pollfd p = { .fd = run->epoll_fd, .events = POLLIN };
        (void)poll(&p, 1, 100);
        dispatch_events(run);
    }
    linux_run_free(run);
}
