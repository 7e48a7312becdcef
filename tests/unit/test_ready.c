/* tests/unit/test_ready.c - a launcher that waits for its run: taken when it fits, ended when it does not, and nothing left of it.
 *
 * Ground truth is the process: a waiting launcher's init is a child of this one, hidden from ordinary waits. */
#include "backend/linux/run.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contract/contract.h"
#include "run/instance.h"
#include "support/tap.h"

static const char attempt[] = "00112233445566778899aabbccddeeff";

static struct linux_ready *made(struct linux_context *context, bool new_net)
{
    struct linux_ready *ready = NULL;
    if (linux_ready_make(context, new_net, attempt, &ready, NULL) == BV_OK) {
        linux_ready_hear(ready, false, LINUX_ANSWER_MILLIS);
    }
    return ready;
}

static bool childless(void)
{
    errno = 0;
    return waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD;
}

static void test_life(struct linux_context *context)
{
    struct linux_ready *ready = made(context, true);
    const uint32_t all = 1u << BV_MSG_INIT | 1u << BV_MSG_READY | 1u << BV_MSG_TRIED | 1u << BV_MSG_NET;
    tap_ok(ready && ready->seen == all && !ready->broken, "it says who init is and what it tried");
    tap_ok(ready->init_fd >= 0 && !childless(), "its init waits");
    tap_ok(ready->ready.values[BV_TRIAL_OPEN_TREE] == 0, "and open_tree works here");
    linux_ready_give(context, ready);
    tap_ok(linux_owns_fd(context, ready->control_fd) && linux_owns_fd(context, ready->init_fd) &&
               !linux_owns_fd(context, STDERR_FILENO),
           "its descriptors are known as the backend's own");
    tap_ok(linux_ready_take(context, "ffeeddccbbaa99887766554433221100", true) == NULL,
           "another attempt does not get it");
    tap_ok(linux_ready_take(context, attempt, true) == ready, "its own does");
    tap_ok(linux_ready_take(context, attempt, true) == NULL, "once");
    linux_ready_drop(ready);
    tap_ok(childless(), "dropped, it is gone");
    linux_ready_drop(NULL);
}

/* A launcher that said why it gives up and died with a word of ours unread: the kernel puts ECONNRESET before what it said. */
static void test_last_word(void)
{
    const struct bv_status_message failed = { .type = BV_MSG_FAILED, .stage = BV_STAGE_PIVOT };
    struct bv_status_message heard = { .type = 0 };
    uint8_t bytes[BV_STATUS_BYTES];
    int ends[2], fd = -1;
    tap_ok(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "a control socket");
    bv_status_encode(&failed, bytes);
    tap_ok(send(ends[1], bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes &&
               send(ends[0], bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes,
           "words go both ways");
    (void)close(ends[1]);
    tap_ok(linux_control_read(ends[0], &heard, &fd) == 1 && heard.type == BV_MSG_FAILED &&
               heard.stage == BV_STAGE_PIVOT && fd == -1,
           "the last word of a launcher that read no more is heard");
    tap_ok(linux_control_read(ends[0], &heard, &fd) == 0, "and then its end");
    (void)close(ends[0]);
}

static void test_other_net(struct linux_context *context)
{
    linux_ready_give(context, made(context, true));
    tap_ok(linux_ready_take(context, attempt, false) == NULL && childless(),
           "a run in the host's network namespace does not get it");
    linux_ready_give(context, made(context, false));
    struct linux_ready *ready = linux_ready_take(context, attempt, false);
    tap_ok(ready != NULL, "but one without");
    linux_ready_drop(ready);
}

static void test_changed_limit(struct linux_context *context)
{
    struct rlimit before, changed;
    linux_ready_give(context, made(context, true));
    getrlimit(RLIMIT_NOFILE, &before);
    changed = before;
    changed.rlim_cur--;
    setrlimit(RLIMIT_NOFILE, &changed);
    tap_ok(linux_ready_take(context, attempt, true) == NULL && childless(),
           "a caller with another limit does not get it: it would pass the old one on");
    setrlimit(RLIMIT_NOFILE, &before);
}

/* In a mount namespace of its own, so that the host's table stays as it is. */
static int mount_meanwhile(void)
{
    const pid_t pid = fork();
    if (pid == 0) {
        struct bv_backend *backend;
        if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            bv_backend_linux(&backend, NULL) != BV_OK) {
            _exit(77);
        }
        struct linux_context *context = backend->context;
        linux_ready_give(context, made(context, true));
        struct linux_ready *ready = linux_ready_take(context, attempt, true);
        const bool before = ready != NULL;
        linux_ready_give(context, ready);
        const bool mounted = mount("bvt", "/mnt", "tmpfs", 0, NULL) == 0;
        const bool after = linux_ready_take(context, attempt, true) == NULL && childless();
        bv_backend_free(backend);
        _exit(!mounted ? 77 : before && after ? 0 : 1);
    }
    int status = 0;
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void test_killed(struct linux_context *context)
{
    struct linux_ready *ready = made(context, true);
    (void)syscall(SYS_pidfd_send_signal, ready->init_fd, SIGKILL, NULL, 0);
    linux_ready_drop(ready);
    tap_ok(childless(), "one whose init was killed is cleaned up all the same");
}

/* Dropped in every state between its start and its readiness. */
static void test_early_drops(struct linux_context *context)
{
    bool good = true;
    for (int i = 0; i < 20; i++) {
        struct linux_ready *ready = NULL;
        good = good && linux_ready_make(context, i % 2 == 0, attempt, &ready, NULL) == BV_OK;
        usleep((useconds_t)i * 100);
        linux_ready_drop(ready);
        good = good && childless();
    }
    tap_ok(good, "dropped while it starts, nothing of it is left");
}

int main(void)
{
    struct bv_backend *backend;
    if (bv_backend_linux(&backend, NULL) != BV_OK) {
        tap_skip_all("no Linux backend");
    }
    struct linux_context *context = backend->context;
    struct linux_ready *first = made(context, true);
    const bool works = first && (first->seen & 1u << BV_MSG_READY) != 0;
    linux_ready_drop(first);
    if (!works) {
        bv_backend_free(backend);
        tap_skip_all("no namespaces here");
    }
    test_last_word();
    test_life(context);
    test_other_net(context);
    test_changed_limit(context);
    test_killed(context);
    test_early_drops(context);
    linux_ready_give(context, made(context, true));
    bv_backend_free(backend);
    tap_ok(childless(), "what no run took ends with its backend");
    const int status = geteuid() == 0 ? mount_meanwhile() : 77;
    if (status == 77) {
        tap_skip("only root can mount in a namespace of its own here");
    } else {
        tap_ok(status == 0, "a mount made meanwhile makes it unfit");
    }
    return tap_done();
}
