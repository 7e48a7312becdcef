/* backend/linux/ready.c - a launcher that is started before its run is known, and what it tells of the machine.
 *
 * Making namespaces takes longer than everything that a supervisor has to think about, so a launcher is started first, tries
 * what there is to try, and its init waits for a launch frame (launcher/main.c). A probe reads the answers; the run that
 * follows takes the launcher over. One that nobody takes ends with its backend.
 *
 * The command's is older still: launcher/early.c started it before the C library, and the first that is wanted here is that one.
 *
 * A waiting init is a copy of its caller's circumstances. Whatever of them can have changed since is compared when it is taken: ids,
 * capabilities, limits, processors, filters, root and mounts. On any difference it is ended and another one made. LINUX.md 3. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/linux/os.h"
#include "backend/linux/run.h"
#include "base/check.h"
#include "base/error.h"

#define LOOK_NS (20u * 1000000u)

struct bv_early bv_early;

static void take_stamp(struct linux_stamp *stamp)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct stat st;
    memset(stamp, 0, sizeof *stamp);
    stamp->pid = getpid();
    (void)getresuid(&stamp->uids[0], &stamp->uids[1], &stamp->uids[2]);
    (void)getresgid(&stamp->gids[0], &stamp->gids[1], &stamp->gids[2]);
    (void)syscall(SYS_capget, &header, stamp->capabilities);
    for (int i = 0; i < LINUX_STAMP_LIMITS; i++) {
        (void)syscall(SYS_prlimit64, 0, i, NULL, stamp->limits[i]);
    }
    (void)syscall(SYS_sched_getaffinity, 0, sizeof stamp->cpus, stamp->cpus);
    stamp->no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    stamp->seccomp = prctl(PR_GET_SECCOMP, 0, 0, 0, 0);
    if (stat("/", &st) == 0) {
        stamp->root_dev = st.st_dev;
        stamp->root_ino = st.st_ino;
    }
    if (stat("/proc/thread-self/ns/mnt", &st) == 0) {
        stamp->mount_ns = st.st_ino;
    }
}

/* The table tells by POLLPRI that it is another one than when the descriptor was opened (proc(5), mountinfo). */
static bool mounts_changed(const struct linux_ready *ready)
{
    struct pollfd p = { .fd = ready->mounts_fd, .events = POLLPRI };
    return poll(&p, 1, 0) != 0;
}

static struct linux_ready *ready_new(bool new_net, const char *attempt)
{
    struct linux_ready *ready = calloc(1, sizeof *ready);
    if (ready != NULL) {
        ready->new_net = new_net;
        bv_copy_text(ready->attempt, sizeof ready->attempt, attempt);
        ready->control_fd = ready->launcher_fd = ready->init_fd = ready->mounts_fd = -EBADF;
    }
    return ready;
}

/* The launcher that the program started before its C library, if it did and nobody has had it. */
static bool take_early(struct linux_ready *ready)
{
    const struct bv_early early = bv_early;
    bv_early = (struct bv_early){ 0 };
    if (early.pid == 0) {
        return false;
    }
    ready->launcher_pid = early.pid;
    ready->launcher_fd = early.launcher_fd;
    ready->control_fd = early.control_fd;
    ready->mounts_fd = early.mounts_fd;
    take_stamp(&ready->stamp);
    return true;
}

void linux_early_drop(void)
{
    struct linux_ready *ready = bv_early.pid != 0 ? ready_new(true, "") : NULL;
    if (ready != NULL) {
        (void)take_early(ready);
        linux_ready_drop(ready);
    }
}

/* A command that needs no launcher after all leaves nothing running when it exits. */
__attribute__((destructor)) static void drop_at_exit(void)
{
    linux_early_drop();
}

enum bv_status linux_ready_make(struct linux_context *context, bool new_net, const char *attempt,
                                struct linux_ready **ret_ready, struct bv_error *error)
{
    int pair[2], image_fd;
    linux_context_divide(context);
    struct linux_ready *ready = ready_new(new_net, attempt);
    if (ready == NULL) {
        return bv_fail_nomem(error);
    }
    if (new_net && take_early(ready)) {
        *ret_ready = ready;
        return BV_OK;
    }
    linux_early_drop();
    enum bv_status status = linux_context_launcher(context, &image_fd, error);
    if (status != BV_OK) {
        free(ready);
        return status;
    }
    int result = linux_socket_pair(pair);
    ready->control_fd = pair[0];
    if (result == 0) {
        ready->mounts_fd = bv_fd_above_stdio(open("/proc/thread-self/mountinfo", O_RDONLY | O_CLOEXEC));
        result = ready->mounts_fd < 0 ? ready->mounts_fd : 0;
    }
    if (result == 0) {
        take_stamp(&ready->stamp);
        result = ready->launcher_fd = linux_spawn(image_fd, pair[1], new_net, &ready->spawn, &ready->launcher_pid);
    }
    linux_fd_close(&pair[1]); /* the child has a descriptor table of its own */
    if (result < 0) {
        linux_ready_drop(ready);
        return bv_fail_sys(error, "launcher", result, "starting the launcher");
    }
    *ret_ready = ready;
    return BV_OK;
}

/* Ends what is behind a pidfd and waits for its end. */
static void end_process(int *pidfd)
{
    struct pollfd p = { .fd = *pidfd, .events = POLLIN };
    if (*pidfd < 0) {
        return;
    }
    (void)linux_pidfd_signal(*pidfd, SIGKILL);
    while (linux_reap(*pidfd) == -EAGAIN) {
        (void)poll(&p, 1, 100);
    }
    linux_fd_close(pidfd);
}

static void reap_all(idtype_t type, int id)
{
    while (waitid(type, (id_t)id, &(siginfo_t){ 0 }, WEXITED | __WALL) == 0 || errno == EINTR) {
    }
}

void linux_ready_drop(struct linux_ready *ready)
{
    if (ready == NULL) {
        return;
    }
    if (ready->stamp.pid != getpid()) {
        /* This host is a fork of the one whose child it is. */
        linux_fd_close(&ready->launcher_fd);
        linux_fd_close(&ready->init_fd);
        ready->launcher_pid = ready->lost_init = 0;
        ready->leaf_made = false;
    }
    /* The launcher ends by itself, and has then named its init: one that is killed on its way leaves an init that nobody knows. */
    struct pollfd p = { .fd = ready->launcher_fd, .events = POLLIN };
    if (ready->launcher_fd >= 0) {
        (void)poll(&p, 1, LINUX_ANSWER_MILLIS);
        end_process(&ready->launcher_fd);
        linux_ready_hear(ready, false, 0);
    }
    linux_fd_close(&ready->control_fd);
    if (ready->lost_init > 0) { /* it goes with the socket */
        reap_all(P_PID, ready->lost_init);
    } else if (ready->init_fd < 0 && ready->launcher_pid > 0) {
        /* Its gate is at its end, so it goes; the two were a process group of this host's children. */
        reap_all(P_PGID, ready->launcher_pid);
    }
    end_process(&ready->init_fd);
    if (ready->leaf_made) {
        (void)linux_leaf_remove(&ready->leaf);
    }
    linux_fd_close(&ready->mounts_fd);
    linux_spawn_done(ready->spawn);
    free(ready);
}

static void keep(struct linux_ready *ready, const struct bv_status_message *message, int fd)
{
    ready->seen |= 1u << message->type;
    switch (message->type) {
    case BV_MSG_INIT: ready->init_fd = fd; return;
    case BV_MSG_FAILED: ready->failed = *message; return;
    case BV_MSG_READY: ready->ready = *message; return;
    case BV_MSG_TRIED: ready->tried = *message; return;
    case BV_MSG_NET: return;
    default: ready->broken = true; linux_fd_close(&fd); return;
    }
}

void linux_ready_hear(struct linux_ready *ready, bool ahead, int timeout_millis)
{
    const uint32_t net = ready->new_net && !ahead ? 1u << BV_MSG_NET : 0;
    const uint32_t all = 1u << BV_MSG_READY | 1u << BV_MSG_TRIED | net;
    struct pollfd p = { .fd = ready->control_fd, .events = POLLIN };
    while (!ready->broken && (ready->seen & all) != all) {
        struct bv_status_message message;
        int fd = -EBADF;
        int result = linux_control_read(ready->control_fd, &message, &fd);
        if (result == 1 && message.type < 32 && (ready->seen & 1u << message.type) == 0 &&
            (message.type == BV_MSG_INIT) == (fd >= 0)) {
            keep(ready, &message, fd);
            continue;
        }
        linux_fd_close(&fd);
        if (result == -EAGAIN) {
            result = poll(&p, 1, timeout_millis);
            if (result > 0 || (result < 0 && errno == EINTR)) {
                continue;
            }
        }
        ready->broken = true; /* it ended, speaks nonsense, or is silent */
        if (result == -EMFILE && message.type == BV_MSG_INIT) {
            ready->lost_init = (int)message.values[0];
        }
        if (ready->seen == 0) {
            ready->failed = linux_spawn_failure(ready->spawn);
        }
    }
}

int linux_ready_try_stage(struct linux_ready *ready, int paths, struct bv_status_message *ret_message)
{
    struct pollfd p = { .fd = ready->control_fd, .events = POLLIN };
    if (ready->broken || ready->failed.type != 0) {
        return -ECHILD;
    }
    int result = linux_send_order(ready->control_fd, BV_MSG_TRY_STAGE, &paths, 1);
    while (result == 0) {
        int fd = -EBADF;
        result = linux_control_read(ready->control_fd, ret_message, &fd);
        linux_fd_close(&fd);
        if (result == 1 && ret_message->type == BV_MSG_STAGE_TRIED) {
            return 0;
        }
        if (result == 1 && ret_message->type == BV_MSG_NET && (ready->seen & 1u << BV_MSG_NET) == 0) {
            keep(ready, ret_message, -EBADF); /* of a probe ahead, which did not wait for it */
            result = 0;
            continue;
        }
        if (result != -EAGAIN) {
            result = result == 1 || result == 0 ? -EBADMSG : result;
            break;
        }
        result = poll(&p, 1, LINUX_ANSWER_MILLIS);
        result = result > 0 || (result < 0 && errno == EINTR) ? 0 : -ETIMEDOUT;
    }
    ready->broken = true;
    return result;
}

static bool is_fresh(const struct linux_ready *ready, bool new_net)
{
    struct linux_stamp now;
    take_stamp(&now);
    return ready->new_net == new_net && !ready->broken && ready->failed.type == 0 &&
           memcmp(&now, &ready->stamp, sizeof now) == 0 && !mounts_changed(ready);
}

/* The link to the launcher that waits for this attempt, or to any if attempt is NULL, once no probe listens to it. NULL: there is none. The
 * context is locked. */
static struct linux_ready **find(struct linux_context *context, const char *attempt)
{
    for (;;) {
        bool busy = false;
        for (struct linux_ready **link = &context->waiting; *link != NULL; link = &(*link)->next) {
            if (attempt != NULL && strcmp((*link)->attempt, attempt) != 0) {
                continue;
            }
            if (!(*link)->busy) {
                return link;
            }
            busy = true;
        }
        if (!busy) {
            return NULL;
        }
        (void)pthread_cond_wait(&context->idle, &context->lock);
    }
}

struct linux_ready *linux_ready_take(struct linux_context *context, const char *attempt, bool new_net)
{
    (void)pthread_mutex_lock(&context->lock);
    struct linux_ready **link = find(context, attempt), *ready = NULL;
    if (link != NULL) {
        ready = *link;
        *link = ready->next;
    }
    (void)pthread_mutex_unlock(&context->lock);
    /* A look that was taken a moment ago, on the way to this very run, is not repeated. */
    const bool looked = ready != NULL && linux_now_ns() - ready->looked_ns < LOOK_NS && ready->new_net == new_net &&
                        ready->stamp.pid == getpid() && !ready->broken && ready->failed.type == 0;
    if (ready != NULL && !looked && !is_fresh(ready, new_net)) {
        linux_ready_drop(ready);
        ready = NULL;
    }
    return ready;
}

void linux_ready_give(struct linux_context *context, struct linux_ready *ready)
{
    (void)pthread_mutex_lock(&context->lock);
    ready->next = context->waiting;
    context->waiting = ready;
    (void)pthread_mutex_unlock(&context->lock);
}

struct linux_ready *linux_ready_borrow(struct linux_context *context)
{
    (void)pthread_mutex_lock(&context->lock);
    struct linux_ready **link = find(context, NULL), *ready = NULL;
    if (link != NULL) {
        ready = *link;
        ready->busy = true;
    }
    (void)pthread_mutex_unlock(&context->lock);
    return ready;
}

void linux_ready_return(struct linux_context *context, struct linux_ready *ready)
{
    (void)pthread_mutex_lock(&context->lock);
    ready->busy = false;
    (void)pthread_cond_broadcast(&context->idle);
    (void)pthread_mutex_unlock(&context->lock);
}

static bool is_its_own(const struct linux_ready *ready, int fd)
{
    const struct linux_leaf *leaf = &ready->leaf;
    return fd == ready->control_fd || fd == ready->launcher_fd || fd == ready->init_fd ||
           fd == ready->mounts_fd ||
           (ready->leaf_made && (fd == leaf->core_fd || fd == leaf->memory_dir ||
                                 fd == leaf->pids_dir || fd == leaf->cpu_dir));
}

bool linux_owns_fd(void *pointer, int fd)
{
    struct linux_context *context = pointer;
    (void)pthread_mutex_lock(&context->lock);
    bool owns = fd == context->launcher_fd || fd == context->canary_tcp || fd == context->canary_unix;
    for (const struct linux_ready *ready = context->waiting; ready != NULL; ready = ready->next) {
        owns = owns || is_its_own(ready, fd);
    }
    (void)pthread_mutex_unlock(&context->lock);
    return owns;
}

void linux_prepare(void *pointer, enum bv_network_policy network, const char *attempt)
{
    const bool new_net = network != BV_NETWORK_ALLOW_ALL;
    struct linux_ready *ready = linux_ready_take(pointer, attempt, new_net);
    if (ready != NULL || linux_ready_make(pointer, new_net, attempt, &ready, NULL) == BV_OK) {
        ready->looked_ns = linux_now_ns();
        linux_ready_give(pointer, ready); /* what went wrong here goes wrong again where it is told */
    }
    linux_context_canaries(pointer, attempt);
}
