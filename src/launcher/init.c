/* launcher/init.c - pid 1 of the boundary: makes the workload, holds the clocks, samples, reaps,
 * tells, and is the last to go.
 *
 * Init's exit is the kernel's SIGKILL to everything in the pid namespace, so every way out of this
 * file ends the tree: a limit, the supervisor's order or its death (end of file on the control
 * socket), a failure of init's own. It never waits for the supervisor. Only one thing keeps the
 * tree alive: the loop below. Its own process holds no secret, no capability but two, and cannot be
 * dumped or traced. Specified by LINUX.md 3 and 5. */
#include "launcher/launcher.h"

#include "launcher/place.h"
#include "launcher/raw.h"
#include "launcher/sample.h"

#include "base/check.h"

#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <linux/wait.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

/* The order of enum bv_dimension in bvisor/spec.h: the launcher knows no contract, only these
 * numbers of it. */
enum dimension {
    WALL_MICROS = 0,
    CPU_MICROS = 1,
    RESIDENT_BYTES = 2,
    PROCESS_COUNT = 3,
    HANDLE_COUNT = 4
};

#define NEVER              UINT64_MAX
#define FIRST_SAMPLE_NANOS UINT64_C(2000000)
#define SHORTEST_CPU_NANOS UINT64_C(1000000)
#define OOM_LOOK_NANOS     UINT64_C(50000000) /* a v1 account cannot be polled */
#define APART_NANOS        10000000           /* between two looks whether the stub lives */
#define KEPT_CAPABILITIES  (UINT64_C(1) << CAP_KILL | UINT64_C(1) << CAP_SYS_PTRACE)

struct init {
    struct launch *launch;
    struct sampler sampler;
    int signal_fd, timer_fd;
    int exec_fd; /* -1 once it has ended */
    bool execed, ended_by_us;
    uint64_t wall_due, cpu_due, tree_due, oom_due, interval_nanos;
};

/* ---- the end ---- */

static _Noreturn void give_up(const struct init *init, enum bv_stage stage, int result)
{
    bv_tell_failed(init->launch, stage, 0, result);
    raw_exit(1);
}

/* Everything in the namespace but init. ESRCH: there is nobody. */
static void kill_tree(struct init *init)
{
    long result = raw_call(SYS_kill, -1, SIGKILL);

    init->ended_by_us = true;
    if (result < 0 && result != -ESRCH) {
        give_up(init, BV_STAGE_INIT_LOOP, (int)result);
    }
}

static void end_at_limit(struct init *init, enum dimension dimension, uint64_t figure)
{
    const struct bv_status_message message = { .type = BV_MSG_LIMIT,
                                               .values = { dimension, figure } };

    if (!init->ended_by_us) { /* the first cause stands */
        (void)bv_tell(init->launch, &message, -1);
    }
    kill_tree(init);
}

static void look_for_oom(struct init *init)
{
    int result = bv_sample_oom(&init->sampler);

    if (result < 0) {
        give_up(init, BV_STAGE_INIT_LOOP, result);
    }
    if (init->sampler.oom_kills > 0) {
        end_at_limit(init, RESIDENT_BYTES, init->sampler.oom_kills);
    }
}

/* After the kill nothing can be born, so this ends when the last one is gone; each that died of the
 * kill survived the workload. */
static uint64_t reap_survivors(struct init *init)
{
    uint64_t survivors = 0;

    for (;;) {
        int status = 0;
        long pid = raw_call(SYS_wait4, -1, &status, (int)__WALL, NULL);

        if (pid == -ECHILD) {
            return survivors;
        }
        if (pid < 0 && pid != -EINTR) {
            give_up(init, BV_STAGE_INIT_LOOP, (int)pid);
        }
        survivors += pid > 0 && (status & 0x7f) == SIGKILL; /* WTERMSIG */
    }
}

/* The stub is gone without an exec and without a word: killed from outside, out of memory. The
 * shared page says how far it had come. */
static void tell_early_death(struct init *init, int status)
{
    struct launch *launch = init->launch;
    const struct bv_status_message message = {
        .type = BV_MSG_FAILED,
        .stage = launch->shared->stub.stage,
        .error = ECHILD,
        .values = { launch->shared->stub.index, (uint64_t)(unsigned)status },
    };

    if (__atomic_load_n(&launch->shared->stub.state, __ATOMIC_ACQUIRE) != PROGRESS_REPORTED) {
        (void)bv_tell(launch, &message, -1);
    }
    raw_exit(1);
}

static void tell_execed(struct init *init);

static _Noreturn void end_of_workload(struct init *init, int status)
{
    struct bv_status_message message;
    const uint64_t end_nanos = raw_now_nanos();
    uint64_t survivors;
    int result;

    tell_execed(init);
    /* What was written, before survivors die and their unlinked files with them. */
    result = bv_sample_storage(&init->sampler);
    look_for_oom(init);
    if (!init->execed && !init->ended_by_us) {
        tell_early_death(init, status);
    }
    kill_tree(init);
    survivors = reap_survivors(init);
    if (result == 0) {
        result = bv_sample_storage(&init->sampler);
    }
    if (result == 0) {
        result = bv_sample_finish(&init->sampler);
    }
    if (result < 0) {
        give_up(init, BV_STAGE_INIT_LOOP, result);
    }
    bv_sample_message(&init->sampler, &message);
    (void)bv_tell(init->launch, &message, -1);
    message = (struct bv_status_message){
        .type = BV_MSG_EXITED,
        .values = { (uint64_t)(unsigned)status, end_nanos, survivors, init->launch->birth_nanos },
    };
    (void)bv_tell(init->launch, &message, -1);
    raw_exit(0);
}

/* ---- what wakes init ---- */

static void arm_timer(struct init *init)
{
    uint64_t due = init->wall_due;
    struct itimerspec when = { .it_value = { 0, 0 } };
    long result;

    due = init->cpu_due < due ? init->cpu_due : due;
    due = init->tree_due < due ? init->tree_due : due;
    due = init->oom_due < due ? init->oom_due : due;
    if (due != NEVER) {
        when.it_value.tv_sec = (time_t)(due / 1000000000u);
        when.it_value.tv_nsec = (long)(due % 1000000000u);
    }
    result = raw_call(SYS_timerfd_settime, init->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
    if (result < 0) {
        give_up(init, BV_STAGE_TIMER, (int)result);
    }
}

static uint64_t after(uint64_t from_nanos, uint64_t micros)
{
    uint64_t nanos, due;

    if (bv_ckd_mul(&nanos, micros, UINT64_C(1000)) || bv_ckd_add(&due, from_nanos, nanos)) {
        return NEVER;
    }
    return due;
}

/* The tree cannot use more than cpu_count seconds a second, so until then the limit cannot be
 * reached; the lower bound keeps the cost of the last stretch finite and is the overshoot that a
 * report states. */
static uint64_t next_cpu_due(const struct init *init, uint64_t now)
{
    const struct bv_frame *frame = &init->launch->frame;
    const uint64_t left = frame->cpu_micros - init->sampler.cpu_micros;
    uint64_t wait = left / frame->cpu_count;

    if (frame->sample_interval_micros > 0 && wait > frame->sample_interval_micros) {
        wait = frame->sample_interval_micros;
    }
    return after(now, wait < SHORTEST_CPU_NANOS / 1000u ? SHORTEST_CPU_NANOS / 1000u : wait);
}

static void sample_cpu(struct init *init, uint64_t now)
{
    const uint64_t limit = init->launch->frame.cpu_micros;
    int result =
        bv_sample_cpu(&init->sampler, init->launch->frame.cpu_account == BV_CPU_ACCOUNT_NONE);

    if (result < 0) {
        give_up(init, BV_STAGE_INIT_LOOP, result);
    }
    if (init->sampler.cpu_micros >= limit) {
        init->cpu_due = NEVER;
        end_at_limit(init, CPU_MICROS, init->sampler.cpu_micros);
    } else {
        init->cpu_due = next_cpu_due(init, now);
    }
}

static void sample_tree(struct init *init, uint64_t now)
{
    const struct bv_frame *frame = &init->launch->frame;
    int result = bv_sample_tree(&init->sampler, now);

    if (result < 0) {
        give_up(init, BV_STAGE_INIT_LOOP, result);
    }
    if (init->sampler.tasks_now > frame->process_limit) {
        end_at_limit(init, PROCESS_COUNT, init->sampler.tasks_now);
    }
    if (init->sampler.handles_now > frame->handle_limit) {
        end_at_limit(init, HANDLE_COUNT, init->sampler.handles_now);
    }
}

static bool wants_tree(const struct bv_frame *frame)
{
    return frame->sample_interval_micros > 0 &&
           (frame->flags &
            (BV_FRAME_SAMPLE_TASKS | BV_FRAME_SAMPLE_HANDLES | BV_FRAME_SAMPLE_STORAGE)) != 0;
}

/* The exec is the first moment at which a look at the tree sees the workload and not its stub. */
static void tell_execed(struct init *init)
{
    struct launch *launch = init->launch;
    const struct bv_status_message message = { .type = BV_MSG_EXECED,
                                               .values = { launch->birth_nanos } };

    if (init->exec_fd < 0) {
        return;
    }
    raw_close(init->exec_fd);
    init->exec_fd = -1;
    if (__atomic_load_n(&launch->shared->stub.state, __ATOMIC_ACQUIRE) != PROGRESS_EXECING) {
        return;
    }
    init->execed = true;
    (void)bv_tell(launch, &message, -1);
    if (wants_tree(&launch->frame)) {
        uint64_t now = raw_now_nanos();

        init->interval_nanos = FIRST_SAMPLE_NANOS;
        init->tree_due = now + init->interval_nanos;
        sample_tree(init, now);
    }
}

static void on_timer(struct init *init)
{
    const uint64_t longest = init->launch->frame.sample_interval_micros * 1000u;
    uint64_t now, fired;
    long got = raw_call(SYS_read, init->timer_fd, &fired, sizeof(fired));

    if (got < 0 && got != -EAGAIN) {
        give_up(init, BV_STAGE_TIMER, (int)got);
    }
    now = raw_now_nanos();
    if (now >= init->wall_due) {
        init->wall_due = NEVER;
        end_at_limit(init, WALL_MICROS, (now - init->launch->birth_nanos) / 1000u);
    }
    if (now >= init->cpu_due) {
        sample_cpu(init, now);
    }
    if (now >= init->tree_due) {
        init->interval_nanos =
            init->interval_nanos * 2 < longest ? init->interval_nanos * 2 : longest;
        init->tree_due = now + init->interval_nanos;
        sample_tree(init, now);
    }
    if (now >= init->oom_due) {
        init->oom_due = now + OOM_LOOK_NANOS;
        look_for_oom(init);
    }
}

/* The workload's life begins: its limits count from here. */
static void let_go(struct init *init)
{
    struct launch *launch = init->launch;
    const struct bv_frame *frame = &launch->frame;

    launch->birth_nanos = init->sampler.last_nanos = raw_now_nanos();
    init->wall_due = after(launch->birth_nanos, frame->wall_micros);
    init->cpu_due = frame->cpu_micros == UINT64_MAX ? NEVER : launch->birth_nanos;
    init->oom_due = frame->oom_account == BV_OOM_ACCOUNT_V1_CONTROL
                        ? launch->birth_nanos + OOM_LOOK_NANOS
                        : NEVER;
    bv_open_gate(&launch->shared->may_exec);
}

/* End of file is the supervisor's death or its wish to be rid of the run; an unknown message is a
 * broken supervisor. All end the tree. */
static void on_control(struct init *init)
{
    uint8_t bytes[BV_STATUS_BYTES];
    struct bv_status_message message;
    long got = raw_call(SYS_recvfrom, init->launch->control_fd, bytes, sizeof(bytes),
                        (unsigned)(MSG_DONTWAIT | MSG_TRUNC), NULL, NULL);

    if (got == -EAGAIN || got == -EINTR) {
        return;
    }
    if (got <= 0 || !bv_status_decode(bytes, (size_t)got, &message)) {
        raw_exit(1);
    }
    if (message.type == BV_MSG_GO && init->launch->birth_nanos == 0) {
        let_go(init);
    } else if (message.type == BV_MSG_KILL) {
        kill_tree(init);
    } else {
        raw_exit(1);
    }
}

/* Reaps whoever has ended; the workload's own end is the end of the run. */
static void on_child(struct init *init)
{
    struct signalfd_siginfo info;
    long got = raw_call(SYS_read, init->signal_fd, &info, sizeof(info));

    if (got < 0 && got != -EAGAIN) {
        give_up(init, BV_STAGE_INIT_LOOP, (int)got);
    }
    for (;;) {
        int status = 0;
        long pid = raw_call(SYS_wait4, -1, &status, (int)(WNOHANG | __WALL), NULL);

        if (pid == init->launch->workload) {
            end_of_workload(init, status);
        }
        if (pid < 0 && pid != -EINTR) {
            /* ECHILD too: the workload is still to be waited for. */
            give_up(init, BV_STAGE_INIT_LOOP, (int)pid);
        }
        if (pid == 0) {
            return;
        }
    }
}

static _Noreturn void loop(struct init *init)
{
    const struct bv_frame *frame = &init->launch->frame;
    /* memory.events of v2 wakes with POLLPRI; a v1 file never does and is looked at by time. */
    const bool polls_oom = frame->oom_account == BV_OOM_ACCOUNT_V2_EVENTS;

    for (;;) {
        struct pollfd fds[] = {
            { .fd = init->timer_fd, .events = POLLIN },
            { .fd = init->launch->control_fd, .events = POLLIN },
            { .fd = init->exec_fd, .events = POLLIN },
            { .fd = init->signal_fd, .events = POLLIN },
            { .fd = polls_oom ? frame->oom_fd : -1, .events = POLLPRI },
            { .fd = init->launch->supervisor_fd, .events = POLLIN },
        };

        long ready;

        arm_timer(init);
        ready = raw_call(SYS_ppoll, fds, BV_COUNT(fds), NULL, NULL, 0);
        if (ready == -EINTR) {
            continue;
        }
        if (ready < 0) {
            give_up(init, BV_STAGE_INIT_LOOP, (int)ready);
        }
        if (fds[5].revents) {
            raw_exit(1); /* as the end of the lifeline */
        }
        if (fds[0].revents) {
            on_timer(init);
        }
        if (fds[1].revents) {
            on_control(init);
        }
        if (fds[2].revents) {
            tell_execed(init);
        }
        if (fds[4].revents) {
            look_for_oom(init);
        }
        if (fds[3].revents) {
            on_child(init);
        }
    }
}

/* ---- the beginning ---- */

/* What init needs no more: every descriptor of the workload's, the frame with its secrets,
 * privileges. Its own procfs needs CAP_SYS_PTRACE to count the descriptors of a process that made
 * itself undumpable. */
static int settle(struct init *init)
{
    struct launch *launch = init->launch;
    const struct bv_frame *frame = &launch->frame;
    int keep[] = { 0,
                   1,
                   2,
                   launch->control_fd,
                   frame->cpu_fd,
                   frame->oom_fd,
                   launch->proc_fd,
                   launch->supervisor_fd,
                   init->sampler.list_fd,
                   init->sampler.storage_fd,
                   init->exec_fd,
                   init->signal_fd,
                   init->timer_fd };
    int result = bv_close_all_but(keep, BV_COUNT(keep));

    if (result == 0) {
        result = (int)raw_call(SYS_munmap, launch->bytes, launch->size);
    }
    if (result == 0) {
        result = bv_drop_capabilities(KEPT_CAPABILITIES);
    }
    if (result == 0) {
        result = bv_step_no_new_privs(launch);
    }
    return result;
}

static int open_clocks(struct init *init)
{
    const uint64_t child = UINT64_C(1) << (SIGCHLD - 1);

    init->timer_fd = (int)raw_call(SYS_timerfd_create, CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (init->timer_fd < 0) {
        return init->timer_fd;
    }
    init->signal_fd =
        (int)raw_call(SYS_signalfd4, -1, &child, sizeof(child), SFD_CLOEXEC | SFD_NONBLOCK);
    return init->signal_fd < 0 ? init->signal_fd : 0;
}

/* fork without the page tables of a fat process: this one has a few dozen pages. Pid 2, also when
 * trial.c used numbers up (clone3(2), set_tid). */
static int make_workload(struct init *init)
{
    struct launch *launch = init->launch;
    const int32_t pid = 2;
    struct clone_args args = {
        .flags = CLONE_FILES, /* until what comes with the frame is in it */
        .exit_signal = SIGCHLD,
        .set_tid = (uint64_t)(uintptr_t)&pid,
        .set_tid_size = 1,
    };
    int ends[2];
    long result = raw_call(SYS_pipe2, ends, O_CLOEXEC | O_NONBLOCK);

    if (result < 0) {
        return (int)result;
    }
    if (launch->received_count > 1) {
        return -EBADMSG;
    }
    if (launch->received_count == 1) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint32_t)launch->received[0];
    }
    launch->exec_fd = ends[1]; /* init's own goes when it settles */
    launch->workload = raw_clone3(&args);
    if (launch->workload == 0) {
        bv_workload_main(launch);
    }
    init->exec_fd = ends[0];
    return launch->workload < 0 ? launch->workload : 0;
}

/* Hands the stub what came with the frame, and moves it to another processor: both go on working. */
static int inform_stub(struct launch *launch)
{
    struct shared *shared = launch->shared;

    memcpy(shared->received, launch->received, sizeof(shared->received));
    shared->received_count = launch->received_count;
    shared->ruleset_fd = launch->ruleset_fd;
    bv_open_gate(&shared->framed);
    return place_elsewhere(launch->workload);
}

/* From here on the stub has its own table and its own view of the frame. */
static int part(struct launch *launch)
{
    struct shared *shared = launch->shared;
    long result;

    bv_await_gate(&shared->framed);
    result = raw_call(SYS_unshare, (unsigned long)CLONE_FILES);
    memcpy(launch->received, shared->received, sizeof(shared->received));
    launch->received_count = shared->received_count;
    launch->ruleset_fd = shared->ruleset_fd;
    bv_open_gate(&shared->apart);
    return result < 0 ? (int)result : bv_open_frame(launch);
}

/* A stub that was killed opens no gate; then its end is what init learns next. */
static int await_apart(const struct launch *launch)
{
    uint32_t *gate = &launch->shared->apart;
    const struct timespec patience = { .tv_nsec = APART_NANOS };
    siginfo_t info = { .si_pid = 0 };
    long result = 0;

    while (result >= 0 && info.si_pid == 0 && __atomic_load_n(gate, __ATOMIC_ACQUIRE) == 0) {
        (void)raw_call(SYS_futex, gate, FUTEX_WAIT, 0, &patience);
        result = raw_call(SYS_waitid, P_PID, launch->workload, &info, WEXITED | WNOHANG | WNOWAIT, NULL);
    }
    return result < 0 ? (int)result : 0;
}

_Noreturn void bv_workload_main(struct launch *launch)
{
    const struct bv_frame *frame = &launch->frame;
    long result;

    launch->at = &launch->shared->stub;
    launch->at->stage = BV_STAGE_FRAME;
    result = part(launch);
    if (result < 0) {
        bv_tell_failed(launch, BV_STAGE_FRAME, 0, (int)result);
    } else if (bv_workload_steps(launch) == 0) {
        launch->at->stage = BV_STAGE_EXEC;
        launch->at->index = 0;
        __atomic_store_n(&launch->at->state, PROGRESS_EXECING, __ATOMIC_RELEASE);
        result = raw_call(SYS_execve, frame->exec_path, frame->args, frame->env);
        __atomic_store_n(&launch->at->state, PROGRESS_SETUP, __ATOMIC_RELEASE);
        bv_tell_failed(launch, BV_STAGE_EXEC, 0, (int)result);
    }
    __atomic_store_n(&launch->at->state, PROGRESS_REPORTED, __ATOMIC_RELEASE);
    raw_exit(1);
}

/* Undumpable before the workload exists, so that no look at /proc/1 can come too early; the stub
 * sets it for itself. */
static int prepare(struct init *init)
{
    long result = raw_call(SYS_prctl, PR_SET_DUMPABLE, 0);

    if (result == 0) {
        result = raw_call(SYS_prctl, PR_SET_NAME, "bvisor-init");
    }
    if (result == 0) {
        result = raw_call(SYS_setsid);
    }
    return result < 0 ? (int)result : open_clocks(init);
}

static void take_order(struct init *init, enum bv_status_type type)
{
    int result;

    init->launch->at->stage = BV_STAGE_FRAME;
    result = bv_receive(init->launch, type);
    if (result == -ECANCELED) {
        raw_exit(0);
    }
    if (result < 0) {
        give_up(init, BV_STAGE_FRAME, result);
    }
}

/* Everything that needs no frame, then the wait for one. */
static void get_ready(struct init *init)
{
    struct launch *launch = init->launch;
    struct bv_status_message message;
    int result;

    if (bv_prepare_steps(launch) < 0) {
        raw_exit(1);
    }
    result = prepare(init);
    if (result < 0) {
        give_up(init, BV_STAGE_TIMER, result);
    }
    bv_try_in_init(launch, &message);
    result = bv_tell(launch, &message, -1);
    if (result == 0) {
        result = bv_make_net(launch);
    }
    if (result < 0) {
        give_up(init, launch->at->stage, result);
    }
    /* The workload inherits it. Some forty calls: made while there is nothing else to do. */
    result = bv_empty_bounding_set();
    if (result < 0) {
        give_up(init, BV_STAGE_CREDENTIALS, result);
    }
    take_order(init, BV_MSG_STUB);
    result = make_workload(init);
    if (result < 0) {
        give_up(init, BV_STAGE_CLONE_WORKLOAD, result);
    }
    take_order(init, BV_MSG_FRAME);
    result = bv_open_frame(launch);
    if (result < 0) {
        give_up(init, BV_STAGE_FRAME, result);
    }
}

/* The stub takes its privileges away while this process mounts; both are needed for a root. */
static void build(struct init *init)
{
    struct launch *launch = init->launch;
    int result = bv_step_landlock_make(launch);

    if (result < 0) {
        give_up(init, BV_STAGE_LANDLOCK, result);
    }
    result = inform_stub(launch);
    if (result < 0) {
        give_up(init, BV_STAGE_CLONE_WORKLOAD, result);
    }
    if (bv_root_steps(launch) < 0) {
        raw_exit(1);
    }
    bv_open_gate(&launch->shared->root_ready); /* the stub waits at the next one: may_exec */
    result = bv_sample_init(&init->sampler, launch);
    if (result == 0) {
        result = await_apart(launch);
    }
    if (result == 0) {
        result = settle(init);
    }
    if (result < 0) {
        give_up(init, BV_STAGE_INIT_LOOP, result);
    }
    if (!(launch->frame.flags & BV_FRAME_HOLD)) {
        let_go(init);
    }
}

_Noreturn void bv_init_main(struct launch *launch)
{
    struct init init = {
        .launch = launch,
        .exec_fd = -1,
        .wall_due = NEVER,
        .cpu_due = NEVER,
        .tree_due = NEVER,
        .oom_due = NEVER,
    };

    get_ready(&init);
    build(&init);
    loop(&init);
}
