/* backend/linux/launch.c - from an admitted execution to a running launcher.
 *
 * Order: take over a launcher (ready.c), which makes namespaces meanwhile; make the cgroup leaf and order the stub, which is born
 * in it; look at the granted paths, lower the intent to a frame, make the pipes, seal the frame into a memory file, send it with all
 * descriptors. Everything after that is driven by observe.c; what can wait (the caller's streams) is done
 * while the launcher works. On failure nothing
 * is left. Secrets stand in locked memory only, and in the frame's memory file until the launcher has read it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "backend/linux/os.h"
#include "backend/linux/run.h"
#include "base/check.h"
#include "base/error.h"
#include "sys/secret.h"

struct parcel { /* what only init keeps; closed here once it was sent */
    struct bv_frame *frame;
    struct bv_secret_store store; /* the environment's text when a secret is in it */
    char *plain;                  /* the same when none is */
    int frame_fd, streams[3];
};

static void parcel_done(struct parcel *parcel)
{
    bv_secret_store_done(&parcel->store);
    free(parcel->plain);
    if (parcel->frame != NULL) {
        (void)munmap(parcel->frame, sizeof *parcel->frame);
    }
    linux_fd_close(&parcel->frame_fd);
    for (size_t i = 0; i < BV_COUNT(parcel->streams); i++) {
        linux_fd_close(&parcel->streams[i]);
    }
    free(parcel);
}

static struct parcel *parcel_new(void)
{
    struct parcel *parcel = calloc(1, sizeof *parcel);
    if (parcel == NULL) {
        return NULL;
    }
    parcel->store = (struct bv_secret_store)BV_SECRET_STORE_INIT;
    parcel->frame_fd = -EBADF;
    parcel->streams[0] = parcel->streams[1] = parcel->streams[2] = -EBADF;
    /* Mapped, not allocated: most of it is never touched, and a page that is not touched costs nothing. */
    void *frame = mmap(NULL, sizeof *parcel->frame, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (frame == MAP_FAILED) {
        parcel_done(parcel);
        return NULL;
    }
    parcel->frame = frame;
    return parcel;
}

static struct linux_run *run_new(struct linux_context *context,
                                 const struct bv_execution *execution)
{
    struct linux_run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        return NULL;
    }
    run->context = context;
    run->execution = execution;
    run->epoll_fd = run->timer_fd = run->null_fd = -EBADF;
    run->control_fd = run->launcher_fd = run->init_fd = run->notify.fd = -EBADF;
    run->out[0].pipe_fd = run->out[1].pipe_fd = run->in.pipe_fd = -EBADF;
    run->out[0].target.fd = run->out[1].target.fd = run->in.source.fd = -EBADF;
    for (size_t i = 0; i < BV_COUNT(run->deadline); i++) {
        run->deadline[i] = UINT64_MAX;
    }
    run->armed_ns = UINT64_MAX;
    for (size_t i = 0; i < BV_COUNT(run->watched); i++) {
        run->watched[i].fd = -EBADF;
    }
    return run;
}

void linux_run_free(struct linux_run *run)
{
    if (run->leaf_made) {
        run->leaf_error = linux_leaf_remove(&run->leaf);
    }
    linux_stream_close(&run->out[0]);
    linux_stream_close(&run->out[1]);
    linux_input_close(&run->in);
    linux_fd_close(&run->control_fd);
    linux_fd_close(&run->init_fd);
    linux_fd_close(&run->launcher_fd);
    linux_fd_close(&run->notify.fd);
    linux_fd_close(&run->null_fd);
    linux_fd_close(&run->timer_fd);
    linux_fd_close(&run->epoll_fd);
    if (run->launcher != NULL) {
        linux_spawn_done(run->launcher->spawn);
        free(run->launcher);
    }
    free(run);
}

/* Room for every "NAME=VALUE" and for two paths that the lowering may have to make. Locked and wiped
 * in the one case where it matters: RLIMIT_MEMLOCK may be as small as 0. */
static enum bv_status open_text(struct parcel *parcel, const struct bv_execution *execution,
                                char **ret_text, size_t *ret_size, struct bv_error *error)
{
    const struct bv_intent *intent = execution->intent;
    size_t size = (size_t)2 * (BV_PATH_MAX_BYTES + 1);
    bool secret = false;
    for (size_t i = 0; i < intent->env_count; i++) {
        const char *value = intent->env[i].literal;
        if (value == NULL) {
            secret = true;
            value = execution->secret_values[i];
        }
        size += strlen(intent->env[i].name) + strlen(value) + 2;
    }
    if (secret) {
        const int result = bv_secret_store_open(&parcel->store, size);
        if (result < 0) {
            return bv_fail_sys(error, "/capabilities/environment", result,
                               "locking memory for secrets");
        }
        *ret_text = bv_secret_store_tail(&parcel->store, ret_size);
        return BV_OK;
    }
    parcel->plain = malloc(size);
    if (parcel->plain == NULL) {
        return bv_fail_nomem(error);
    }
    *ret_text = parcel->plain;
    *ret_size = size;
    return BV_OK;
}

static enum bv_status lower(struct linux_run *run, struct parcel *parcel, struct bv_error *error)
{
    const struct bv_execution *execution = run->execution;
    struct rlimit nofile, nproc;
    char *text;
    size_t text_size;
    enum bv_status status =
        linux_facts_gather(execution, &run->facts, error);
    if (status == BV_OK) {
        status = open_text(parcel, execution, &text, &text_size, error);
    }
    if (status != BV_OK) {
        return status;
    }
    if (getrlimit(RLIMIT_NOFILE, &nofile) != 0 || getrlimit(RLIMIT_NPROC, &nproc) != 0) {
        return bv_fail_sys(error, "", -errno, "reading resource limits");
    }
    linux_context_canaries(run->context, execution->attempt);
    const struct linux_lowering lowering = {
        .execution = execution,
        .roots = run->facts.roots,
        .exposes = run->facts.exposes,
        .interpreter = &run->facts.interpreter,
        .loader = &run->facts.loader,
        .links = (const char(*)[2][256])run->facts.links,
        .link_count = run->facts.link_count,
        .uid = geteuid(),
        .gid = getegid(),
        .nofile_hard = nofile.rlim_max,
        .nproc_hard = nproc.rlim_max,
        .canary_path = run->facts.canary_path,
        .canary_socket = run->context->canary_socket,
        .canary_port = run->context->canary_port,
        .supervisor_pid = getpid(),
    };
    status = linux_lower(&lowering, parcel->frame, text, text_size, error);
    run->canary_set = parcel->frame->canaries;
    for (run->mount_count = 0; run->mount_count < parcel->frame->mount_count; run->mount_count++) {
        const struct bv_frame_mount *mount = &parcel->frame->mounts[run->mount_count];
        run->mount_dest[run->mount_count] = mount->dest;
        run->temp_bytes = mount->kind == BV_MOUNT_TMPFS ? mount->size_bytes : run->temp_bytes;
    }
    return status;
}

static enum bv_status make_leaf(struct linux_run *run, struct parcel *parcel,
                                struct bv_error *error)
{
    (void)parcel;
    const struct bv_execution *execution = run->execution;
    const struct bv_budget_request *budgets = execution->intent->budgets;
    const uint64_t sockets = linux_socket_share(execution->profile, execution->intent);
    const uint64_t memory = budgets[BV_RESIDENT_BYTES].limit - sockets,
                   processes = budgets[BV_PROCESS_COUNT].limit;
    int result = run->leaf_made ? linux_leaf_set(&run->leaf, execution->profile, memory, processes)
                       : linux_leaf_make(&run->leaf, execution->profile, execution->attempt, memory,
                                         processes);
    run->leaf_made = result == 0;
    if (result == 0 && sockets > 0) {
        result = linux_leaf_limit_sockets(&run->leaf, sockets);
    }
    return result < 0 ? bv_fail_sys(error, "cgroup", result, "making the cgroup leaf") : BV_OK;
}

/* Takes over the launcher that waits, or starts one: it is at work while the rest is made. */
static enum bv_status take_launcher(struct linux_run *run, struct parcel *parcel,
                                    struct bv_error *error)
{
    const bool new_net = run->execution->intent->network != BV_NETWORK_ALLOW_ALL;
    const char *attempt = run->execution->attempt;
    struct linux_ready *ready = linux_ready_take(run->context, attempt, new_net);
    (void)parcel;
    if (ready == NULL) {
        const enum bv_status status = linux_ready_make(run->context, new_net, attempt, &ready, error);
        if (status != BV_OK) {
            return status;
        }
    }
    run->control_fd = ready->control_fd;
    run->launcher_fd = ready->launcher_fd;
    run->launcher_pid = ready->launcher_pid;
    run->launcher = ready;
    run->init_fd = ready->init_fd;
    run->seen = ready->seen;
    run->ready = ready->ready;
    run->tried = ready->tried;
    if (ready->leaf_made) {
        run->leaf = ready->leaf;
    }
    run->leaf_made = ready->leaf_made;
    ready->leaf_made = false;
    linux_fd_close(&ready->mounts_fd);
    ready->control_fd = ready->launcher_fd = ready->init_fd = -EBADF;
    return BV_OK;
}

/* The stub is born in the leaf while the frame is made. */
static enum bv_status order_stub(struct linux_run *run, struct parcel *parcel,
                                 struct bv_error *error)
{
    (void)parcel;
    const int leaf = run->leaf_made ? run->leaf.core_fd : -EBADF;
    const int result = linux_send_order(run->control_fd, BV_MSG_STUB, &leaf, leaf >= 0);
    return result < 0 ? bv_fail_sys(error, "launcher", result, "ordering the workload's process") : BV_OK;
}

void linux_run_sweep(const struct linux_run *run)
{
    if (run->leaf_made && run->leaf.parent_count > 0) { /* else nobody like us could have made a leaf here */
        linux_leaf_sweep(&run->leaf.own);
    }
}

/* The start failed: the launcher is ended before anything that it may still use is closed. */
static void end_launcher(struct linux_run *run)
{
    struct linux_ready *ready = run->launcher;
    if (ready != NULL) {
        ready->control_fd = BV_TAKE_FD(run->control_fd);
        ready->launcher_fd = BV_TAKE_FD(run->launcher_fd);
        ready->init_fd = BV_TAKE_FD(run->init_fd);
        run->launcher = NULL;
        linux_ready_drop(ready);
    }
}

static enum bv_status make_channels(struct linux_run *run, struct parcel *parcel,
                                    struct bv_error *error)
{
    int pair[2];
    int result;
    result = linux_pipe(pair, 1);
    for (int i = 0; result == 0 && i < 3; i++) {
        if (i == 0) {
            parcel->streams[0] = pair[0];
            run->in.pipe_fd = pair[1];
        } else {
            run->out[i - 1].pipe_fd = pair[0];
            parcel->streams[i] = pair[1];
        }
        result = i < 2 ? linux_pipe(pair, 0) : 0;
    }
    if (result < 0) {
        return bv_fail_sys(error, "", result, "making the workload's pipes");
    }
    run->epoll_fd = bv_fd_above_stdio(epoll_create1(EPOLL_CLOEXEC));
    run->timer_fd = bv_fd_above_stdio(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (run->epoll_fd < 0 || run->timer_fd < 0) {
        return bv_fail_sys(error, "", run->epoll_fd < 0 ? run->epoll_fd : run->timer_fd,
                           "making the event loop");
    }
    return BV_OK;
}

/* Encoded straight into the memory file, so that no second copy of a secret exists. */
static enum bv_status seal_frame(struct parcel *parcel, struct bv_error *error)
{
    const size_t size = bv_frame_size(parcel->frame);
    if (size == 0) {
        return bv_fail(error, BV_E_LIMIT, "frame", "the launch frame breaks a cap");
    }
    parcel->frame_fd = linux_memory_file("bvisor-frame", false);
    if (parcel->frame_fd < 0) {
        return bv_fail_sys(error, "frame", parcel->frame_fd, "making the launch frame");
    }
    if (ftruncate(parcel->frame_fd, (off_t)size) != 0) {
        return bv_fail_sys(error, "frame", -errno, "sizing the launch frame");
    }
    void *bytes =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, parcel->frame_fd, 0);
    if (bytes == MAP_FAILED) {
        return bv_fail_sys(error, "frame", -errno, "mapping the launch frame");
    }
    const bool encoded = bv_frame_encode(parcel->frame, bytes, size);
    (void)munmap(bytes, size);
    if (!encoded) {
        return bv_fail(error, BV_E_FAULT, "frame", "the launch frame does not encode");
    }
    const int result = linux_seal(parcel->frame_fd);
    return result < 0 ? bv_fail_sys(error, "frame", result, "sealing the launch frame") : BV_OK;
}

struct bundle { /* the descriptors of a launch in the order of their message */
    int fds[BV_FRAME_DESCRIPTORS_MAX];
    size_t count;
};

/* The place at which init will find it; -1: there is none. */
static int32_t add(struct bundle *bundle, int fd)
{
    if (fd < 0) {
        return -1;
    }
    BV_ASSERT(bundle->count < BV_COUNT(bundle->fds));
    bundle->fds[bundle->count] = fd;
    return (int32_t)bundle->count++;
}

/* Writes the places of descriptors into the frame; place 0 is the frame's own. */
static void place_descriptors(const struct linux_run *run, struct parcel *parcel,
                              struct bundle *bundle)
{
    struct bv_frame *frame = parcel->frame;
    const struct linux_leaf *leaf = &run->leaf;
    bundle->count = 1;
    frame->stdin_fd = add(bundle, parcel->streams[0]);
    frame->stdout_fd = add(bundle, parcel->streams[1]);
    frame->stderr_fd = add(bundle, parcel->streams[2]);
    if (run->leaf_made) {
        frame->cpu_fd = add(bundle, leaf->cpu_fd);
        /* Without a limit of its own an OOM kill in the leaf is the machine's doing, and no reason to end the tree. */
        const bool limited =
            run->execution->intent->budgets[BV_RESIDENT_BYTES].limit != BV_UNLIMITED;
        frame->oom_fd = limited ? add(bundle, leaf->oom_fd) : -1;
        frame->cpu_account = leaf->cpu_account;
        frame->oom_account = frame->oom_fd >= 0 ? leaf->oom_account : BV_OOM_ACCOUNT_NONE;
        frame->task_fd_count = leaf->task_fd_count;
        for (uint32_t i = 0; i < leaf->task_fd_count; i++) {
            frame->task_fds[i] = add(bundle, leaf->task_fds[i]);
        }
    }
    for (uint32_t i = 0; i < frame->keep_count; i++) {
        frame->keep[i].fd = add(bundle, frame->keep[i].number);
    }
}

static enum bv_status send_frame(struct linux_run *run, struct parcel *parcel,
                                 struct bv_error *error)
{
    struct bundle bundle;
    place_descriptors(run, parcel, &bundle);
    const enum bv_status status = seal_frame(parcel, error);
    if (status != BV_OK) {
        return status;
    }
    bundle.fds[0] = parcel->frame_fd;
    run->deadline[DEADLINE_HANDSHAKE] = linux_now_ns() + LINUX_HANDSHAKE_NS;
    const int result = linux_send_order(run->control_fd, BV_MSG_FRAME, bundle.fds, bundle.count);
    return result < 0 ? bv_fail_sys(error, "launcher", result, "sending the launch frame") : BV_OK;
}

/* The caller's ends and everything that the event loop waits for; the launcher is at work meanwhile. */
static enum bv_status attach(struct linux_run *run, struct bv_error *error)
{
    const struct bv_execution *execution = run->execution;
    const int targets[2] = { execution->stdout_fd, execution->stderr_fd };
    const bool wanted[2] = { execution->intent->capture.out, execution->intent->capture.err };
    int result = bv_end_open(&run->in.source, execution->stdin_fd, false);
    if (result == 0 && run->in.source.kind == BV_END_NONE) {
        linux_input_close(&run->in); /* end of file at once */
    }
    for (int i = 0; result == 0 && i < 2; i++) {
        run->out[i].number = i + 1;
        run->out[i].capture = wanted[i];
        run->out[i].capture_max = execution->capture_bytes;
        result = bv_end_open(&run->out[i].target, targets[i], true);
    }
    if (result < 0) {
        return bv_fail_sys(error, "", result, "attaching the caller's streams");
    }
    run->null_fd = linux_open_null();
    const struct {
        enum linux_watch which;
        int fd;
        uint32_t events;
    } watches[] = {
        { WATCH_CONTROL, run->control_fd, EPOLLIN },
        { WATCH_LAUNCHER, run->launcher_fd, EPOLLIN },
        { WATCH_INIT, run->init_fd, EPOLLIN },
        { WATCH_CANCEL, execution->cancel_fd, EPOLLIN },
        { WATCH_TIMER, run->timer_fd, EPOLLIN },
        { WATCH_PIPE_OUT, run->out[0].pipe_fd, EPOLLIN },
        { WATCH_PIPE_ERR, run->out[1].pipe_fd, EPOLLIN },
        { WATCH_PIPE_IN, run->in.pipe_fd, EPOLLOUT },
    };
    for (size_t i = 0; result == 0 && i < BV_COUNT(watches); i++) {
        if (watches[i].fd >= 0) {
            result = linux_watch(run, watches[i].which, watches[i].fd, watches[i].events);
        }
    }
    return result < 0 ? bv_fail_sys(error, "", result, "watching the run") : BV_OK;
}

static enum bv_status start(struct linux_run *run, struct parcel *parcel, struct bv_error *error)
{
    static enum bv_status (*const steps[])(struct linux_run *, struct parcel *,
                                           struct bv_error *) = {
        take_launcher, make_leaf, order_stub, lower, make_channels, send_frame,
    };
    for (size_t i = 0; i < BV_COUNT(steps); i++) {
        const enum bv_status status = steps[i](run, parcel, error);
        if (status != BV_OK) {
            return status;
        }
    }
    return BV_OK;
}

enum bv_status linux_start(void *context, const struct bv_execution *execution, void **ret_run,
                           struct bv_error *error)
{
    if (!execution->intent->launch || !execution->identity->known) {
        return bv_fail(error, BV_E_INVALID, "/controls", "there is no workload to launch");
    }
    struct parcel *parcel = parcel_new();
    if (parcel == NULL) {
        return bv_fail_nomem(error);
    }
    struct linux_run *run = run_new(context, execution);
    if (run == NULL) {
        parcel_done(parcel);
        return bv_fail_nomem(error);
    }
    enum bv_status status = start(run, parcel, error);
    parcel_done(parcel);
    if (status == BV_OK) {
        status = attach(run, error);
    }
    if (status == BV_OK && !execution->hold) {
        linux_run_sweep(run);
    }
    if (status != BV_OK) {
        end_launcher(run);
        linux_run_free(run);
        return status;
    }
    *ret_run = run;
    return BV_OK;
}
