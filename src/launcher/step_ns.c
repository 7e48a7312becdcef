/* launcher/step_ns.c - namespaces: the clone that makes init, id maps, the handshake; host name,
 * cgroups, session.
 *
 * Runs partly in the launcher (host side, no privilege but the caller's), partly in init and the
 * stub. The launcher and not init writes the id maps: only a process of the parent user namespace
 * may map more than one id (user_namespaces(7)). Specified by LINUX.md 3. */
#include "launcher/launcher.h"

#include "launcher/raw.h"
#include "launcher/text.h"

#include <linux/futex.h>

static int write_all(int fd, const char *text, size_t length)
{
    long written = raw_call(SYS_write, fd, text, length);

    return written < 0 ? (int)written : (size_t)written == length ? 0 : -EIO;
}

static int write_proc(int pid, const char *name, const char *text)
{
    struct text path = { .length = 0 };
    int fd, result;

    text_add(&path, "/proc/");
    text_add_number(&path, (uint64_t)pid, 10);
    text_add(&path, "/");
    text_add(&path, name);
    fd = (int)raw_call(SYS_openat, AT_FDCWD, path.chars, O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0);
    if (fd < 0) {
        return fd;
    }
    result = write_all(fd, text, strlen(text));
    raw_close(fd);
    return result;
}

static struct text identity_map(uint64_t first, uint64_t count)
{
    struct text map = { .length = 0 };

    text_add_number(&map, first, 10);
    text_add(&map, " ");
    text_add_number(&map, first, 10);
    text_add(&map, " ");
    text_add_number(&map, count, 10);
    text_add(&map, "\n");
    return map;
}

/* The kernel takes a one-id gid map of an unprivileged writer only after setgroups is denied for
 * good. */
static int write_id_maps(const struct launch *launch, int pid)
{
    bool full = launch->full_map;
    struct text uids = full ? identity_map(0, UINT32_MAX) : identity_map(launch->uid, 1);
    struct text gids = full ? identity_map(0, UINT32_MAX) : identity_map(launch->gid, 1);
    int result = full ? 0 : write_proc(pid, "setgroups", "deny");

    if (result == 0) {
        result = write_proc(pid, "uid_map", uids.chars);
    }
    return result < 0 ? result : write_proc(pid, "gid_map", gids.chars);
}

/* Nothing of init runs before its ids are mapped and the supervisor can know it. A launcher that
 * fails leaves end of file here. */
static _Noreturn void enter_init(struct launch *launch, int gate)
{
    char go;
    long got;

    do {
        got = raw_call(SYS_read, gate, &go, sizeof(go));
    } while (got == -EINTR);
    if (got != 1) {
        raw_exit(1);
    }
    raw_close(gate);
    bv_init_main(launch);
}

static int admit_init(struct launch *launch, int pid, int pidfd, int gate)
{
    const struct bv_status_message message = { .type = BV_MSG_INIT, .values = { (uint64_t)pid } };
    int result;

    launch->at->stage = BV_STAGE_ID_MAP;
    result = write_id_maps(launch, pid);
    if (result < 0) {
        return result;
    }
    launch->at->stage = BV_STAGE_HANDSHAKE;
    result = bv_tell(launch, &message, pidfd);
    return result < 0 ? result : write_all(gate, "g", 1);
}

int bv_make_init(struct launch *launch)
{
    int gate[2], pidfd = -1, pid;
    /* CLONE_PARENT: init becomes the supervisor's child, to be waited for there; exit_signal must
     * then be 0 and is the launcher's. */
    struct clone_args args = {
        .flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
                 CLONE_PARENT | CLONE_PIDFD,
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
    };

    launch->at->stage = BV_STAGE_CLONE_INIT;
    pid = (int)raw_call(SYS_pipe2, gate, O_CLOEXEC);
    if (pid < 0) {
        return pid;
    }
    pid = raw_clone3(&args);
    if (pid == 0) {
        raw_close(gate[1]);
        enter_init(launch, gate[0]);
    }
    raw_close(gate[0]);
    return pid < 0 ? pid : admit_init(launch, pid, pidfd, gate[1]);
}

/* The dearest of the namespaces (0.3 to 0.4 ms), and nothing that is tried needs it: made when init has said
 * what it found, while the supervisor plans. */
int bv_make_net(struct launch *launch)
{
    const struct bv_status_message message = { .type = BV_MSG_NET };
    long result;

    if (!launch->new_net) {
        return 0;
    }
    launch->at->stage = BV_STAGE_NET_NS;
    result = raw_call(SYS_unshare, (unsigned long)CLONE_NEWNET);
    return result < 0 ? (int)result : bv_tell(launch, &message, -1);
}

int bv_step_hostname(struct launch *launch)
{
    const char *name = launch->frame.hostname;

    return (int)raw_call(SYS_sethostname, name, strlen(name));
}

/* v1 controllers: the stub is single-threaded, so "0" in `tasks` moves all of it, at a hundredth of
 * the cost of cgroup.procs. */
int bv_step_cgroup_join(struct launch *launch)
{
    for (uint32_t i = 0; i < launch->frame.task_fd_count; i++) {
        int result;

        launch->at->index = i;
        result = write_all(launch->frame.task_fds[i], "0", 1);
        if (result < 0) {
            return result;
        }
    }
    return 0;
}

int bv_step_cgroup_ns(struct launch *launch)
{
    (void)launch;
    return (int)raw_call(SYS_unshare, (unsigned long)CLONE_NEWCGROUP);
}

void bv_await_gate(uint32_t *gate)
{
    while (__atomic_load_n(gate, __ATOMIC_ACQUIRE) == 0) {
        (void)raw_call(SYS_futex, gate, FUTEX_WAIT, 0, NULL);
    }
}

void bv_open_gate(uint32_t *gate)
{
    __atomic_store_n(gate, 1, __ATOMIC_RELEASE);
    (void)raw_call(SYS_futex, gate, FUTEX_WAKE, 1);
}

/* The stub waits here for init's mounts; a failed init ends it with the namespace. */
int bv_step_await_root(struct launch *launch)
{
    bv_await_gate(&launch->shared->root_ready);
    return 0;
}

int bv_step_await_go(struct launch *launch)
{
    bv_await_gate(&launch->shared->may_exec);
    return 0;
}

/* No controlling terminal: TIOCSTI and /dev/tty have nothing to act on. */
int bv_step_session(struct launch *launch)
{
    long result = raw_call(SYS_setsid);

    (void)launch;
    (void)raw_call(SYS_umask, 022); /* always succeeds */
    return result < 0 ? (int)result : 0;
}
