/* backend/linux/notify.c - the seccomp listener: denied calls are evidence.
 *
 * Each notified call is described from its numbers alone (no pointer of the workload is ever followed), counted, and answered
 * with an errno; never with CONTINUE, so a listener that is slow, stopped or dead denies. What is heard before the canaries
 * are done is the launcher's own attestation. Answers are rate-limited: a workload that does nothing but denied calls gets
 * about 20,000 answers a second and cannot starve streams and timers. See seccomp_unotify(2), LINUX.md 4. */
#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "backend/linux/os.h"
#include "backend/linux/run.h"
#include "base/check.h"

#define ANSWERS_PER_TURN  64u
#define ANSWERS_PER_MILLI 20u
#define ANSWERS_BURST     512u
#define PAUSE_NS          3000000u
/* Newer kernels may write a longer request than this header's; SECCOMP_GET_NOTIF_SIZES exists for that, room enough too. */
#define REQUEST_BYTES 512u

static void add_tokens(struct linux_notify *notify)
{
    const uint64_t now = linux_now_ns();
    const uint64_t millis = (now - notify->filled_ns) / 1000000u;
    if (notify->filled_ns == 0 || millis >= ANSWERS_BURST / ANSWERS_PER_MILLI) {
        notify->tokens = ANSWERS_BURST;
        notify->filled_ns = now;
    } else if (millis > 0) {
        notify->tokens += millis * ANSWERS_PER_MILLI;
        notify->tokens = notify->tokens < ANSWERS_BURST ? notify->tokens : ANSWERS_BURST;
        notify->filled_ns += millis * 1000000u;
    }
}

/* Called only when poll says that a request waits, and this thread is the only reader: so the call does not block. */
static int receive(int fd, struct seccomp_notif *ret_request)
{
    union {
        struct seccomp_notif request;
        unsigned char room[REQUEST_BYTES];
    } buffer;
    _Static_assert(sizeof(struct seccomp_notif) <= REQUEST_BYTES, "the request fits");
    int result;
    do {
        memset(&buffer, 0,
               sizeof buffer); /* the kernel refuses a request that is not zero (EINVAL) */
        result = ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &buffer);
    } while (result != 0 && errno == EINTR);
    if (result != 0) {
        return -errno; /* ENOENT: the caller was killed meanwhile */
    }
    *ret_request = buffer.request;
    return 0;
}

static void record(struct linux_run *run, const struct seccomp_notif *request)
{
    enum bv_requirement_kind kind;
    char text[96];
    uint64_t args[6];
    for (size_t i = 0; i < BV_COUNT(args); i++) {
        args[i] = request->data.args[i];
    }
    if (!linux_seccomp_describe(request->data.arch, request->data.nr, args, run->execution->intent,
                                &kind, text) ||
        !bv_observe_denied(run->execution->observation, kind, text, 1)) {
        run->notify.unrecorded++;
    }
}

/* False: the listener gives no more. */
static bool serve_one(struct linux_run *run)
{
    struct seccomp_notif request = { 0 };
    const int result = receive(run->notify.fd, &request);
    if (result < 0) {
        return result == -ENOENT;
    }
    if (!linux_seen(run, BV_MSG_CANARIES)) {
        /* The message that ends the canaries was sent before the workload could make a call, so it is here by now. */
        linux_read_control(run);
    }
    if (linux_seen(run, BV_MSG_CANARIES)) {
        record(run, &request);
    } else {
        run->notify.attested++;
    }
    const struct seccomp_notif_resp response = {
        .id = request.id,
        .error = -linux_seccomp_errno(request.data.nr),
    };
    BV_ASSERT(response.error < 0);
    /* A failure means that the caller is gone; there is nobody left to deny. */
    (void)ioctl(run->notify.fd, SECCOMP_IOCTL_NOTIF_SEND, &response);
    return true;
}

static void pause_listener(struct linux_run *run)
{
    run->notify.paused = true;
    run->deadline[DEADLINE_NOTIFY] = linux_now_ns() + PAUSE_NS;
    (void)linux_watch(run, WATCH_LISTENER, run->notify.fd, 0);
}

void linux_notify_serve(struct linux_run *run)
{
    struct linux_notify *notify = &run->notify;
    add_tokens(notify);
    for (unsigned i = 0; i < ANSWERS_PER_TURN && notify->fd >= 0; i++) {
        struct pollfd p = { .fd = notify->fd, .events = POLLIN };
        if (poll(&p, 1, 0) != 1) {
            return;
        }
        if (notify->tokens == 0 && (p.revents & POLLIN) != 0) {
            pause_listener(run);
            return;
        }
        if ((p.revents & POLLIN) == 0 || !serve_one(run)) {
            (void)linux_watch(run, WATCH_LISTENER, notify->fd, 0); /* its last task is dead */
            linux_fd_close(&notify->fd);
            return;
        }
        notify->tokens--;
    }
}
