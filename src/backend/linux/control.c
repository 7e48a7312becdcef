/* backend/linux/control.c - the supervisor's end of the control socket: launcher and init speak, the run remembers.
 *
 * A record is believed only if it is whole, known, comes once and comes when it may (the table below); anything else is a fault
 * of the run and ends it. The socket never reaches the workload: it is closed by its exec. What the messages mean is
 * launchwire/status.h. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <linux/seccomp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "backend/linux/os.h"
#include "backend/linux/run.h"
#include "base/check.h"
#include "base/error.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS /* Linux 6.6 */
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS      SECCOMP_IOW(4, uint64_t)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP 1ul
#endif
#define MILLI_NS      1000000ull
#define WALL_GRACE_NS (100 * MILLI_NS)  /* init's own timer comes first */
#define END_GRACE_NS  (2000 * MILLI_NS) /* from the end that init reports to its own */

/* Protocol order: a message is allowed once, after all of `after` came. */
struct rule {
    bool known;
    uint32_t after;
    size_t slot;
};
#define AFTER(type)  (1u << (type))
#define SLOT(member) offsetof(struct linux_run, member)
static const struct rule rules[] = {
    [BV_MSG_FAILED] = { true, 0, SLOT(failed) },
    [BV_MSG_INIT] = { true, 0, 0 },
    [BV_MSG_LISTENER] = { true, AFTER(BV_MSG_INIT), 0 },
    [BV_MSG_CANARIES] = { true, AFTER(BV_MSG_INIT), SLOT(canaries) },
    [BV_MSG_EXECED] = { true, AFTER(BV_MSG_READY) | AFTER(BV_MSG_CANARIES), SLOT(execed) },
    [BV_MSG_EXITED] = { true, AFTER(BV_MSG_INIT), SLOT(exited) },
    [BV_MSG_LIMIT] = { true, AFTER(BV_MSG_INIT), SLOT(limit) },
    [BV_MSG_FIGURES] = { true, AFTER(BV_MSG_INIT), SLOT(figures) },
    [BV_MSG_READY] = { true, AFTER(BV_MSG_INIT), SLOT(ready) },
    [BV_MSG_TRIED] = { true, AFTER(BV_MSG_INIT), SLOT(tried) },
    [BV_MSG_NET] = { true, AFTER(BV_MSG_READY), 0 },
};

/* Takes the descriptors of a record; all but the first, and all that are not wanted, are closed. */
static int take_descriptor(struct msghdr *header)
{
    int taken = -EBADF;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (taken < 0) {
                taken = bv_fd_above_stdio(fd);
            } else {
                linux_fd_close(&fd);
            }
        }
    }
    return taken;
}

static void arm_wall(struct linux_run *run)
{
    const uint64_t limit = run->execution->intent->budgets[BV_WALL_MICROS].limit;
    uint64_t nanos, end;
    run->deadline[DEADLINE_HANDSHAKE] = UINT64_MAX;
    if (limit != BV_UNLIMITED && !run->killing && !bv_ckd_mul(&nanos, limit, (uint64_t)1000) &&
        !bv_ckd_add(&end, run->execed.values[0] + WALL_GRACE_NS, nanos)) {
        run->deadline[DEADLINE_WALL] = end;
    }
}

static void ending(struct linux_run *run)
{
    const uint64_t end = linux_now_ns() + END_GRACE_NS;
    run->deadline[DEADLINE_HANDSHAKE] = UINT64_MAX;
    run->deadline[DEADLINE_WALL] = UINT64_MAX;
    if (run->deadline[DEADLINE_END] > end) {
        run->deadline[DEADLINE_END] = end;
    }
}

static void keep_descriptor(struct linux_run *run, enum bv_status_type type, int fd)
{
    int *slot = type == BV_MSG_INIT ? &run->init_fd : &run->notify.fd;
    *slot = fd;
    const int result =
        linux_watch(run, type == BV_MSG_INIT ? WATCH_INIT : WATCH_LISTENER, fd, EPOLLIN);
    if (result < 0) {
        linux_kill(run, CAUSE_FAULT, "watching what the launcher sent: %s", strerror(-result));
    }
    if (type == BV_MSG_LISTENER) {
        /* Whoever waits for an answer and whoever gives it take turns: on one processor that is faster. Where
         * the kernel has no such flag (before 6.6) nothing else changes. */
        (void)ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
    }
    if (type == BV_MSG_INIT && run->killing) {
        linux_send_kill(run); /* the run was ended before there was an init to tell */
    }
}

static void canaries_done(struct linux_run *run)
{
    const uint64_t alive = run->canaries.values[1];
    if (run->canaries.values[0] != run->canary_set) {
        linux_kill(run, CAUSE_FAULT, "the launcher tried other canaries than the plan asks for");
    } else if (alive != 0) {
        const enum bv_canary first = (enum bv_canary)__builtin_ctzll(alive);
        linux_kill(run, CAUSE_FAULT, "%d canaries were not denied, the first: %s",
                   __builtin_popcountll(alive),
                   first < BV_CANARY_COUNT ? bv_canary_text(first) : "unknown");
    }
}

static bool wants_net(const struct linux_run *run)
{
    return run->execution->intent->network != BV_NETWORK_ALLOW_ALL;
}

static void heard(struct linux_run *run, const struct bv_status_message *message, int fd)
{
    const struct rule *rule = message->type < BV_COUNT(rules) ? &rules[message->type] : NULL;
    const bool carries = message->type == BV_MSG_INIT || message->type == BV_MSG_LISTENER;
    const bool too_early = message->type == BV_MSG_EXECED && wants_net(run) && !linux_seen(run, BV_MSG_NET);
    if (message->type == BV_MSG_FAILED && linux_seen(run, BV_MSG_FAILED) && fd < 0) {
        return; /* stub and init may both fail; the first failure is the cause of the second */
    }
    if (rule == NULL || !rule->known || too_early || (run->seen & AFTER(message->type)) != 0 ||
        (run->seen & rule->after) != rule->after || carries != (fd >= 0)) {
        linux_fd_close(&fd);
        linux_kill(run, CAUSE_FAULT, "message %u of the launcher is out of order", message->type);
        return;
    }
    run->seen |= AFTER(message->type);
    if (rule->slot != 0) {
        memcpy((unsigned char *)run + rule->slot, message, sizeof *message);
    }
    if (carries) {
        keep_descriptor(run, (enum bv_status_type)message->type, fd);
    } else if (message->type == BV_MSG_CANARIES) {
        canaries_done(run);
    } else if (message->type == BV_MSG_EXECED) {
        arm_wall(run);
    } else if (message->type == BV_MSG_FAILED || message->type == BV_MSG_EXITED ||
               message->type == BV_MSG_LIMIT) {
        ending(run);
    }
}

int linux_control_read(int control_fd, struct bv_status_message *ret_message, int *ret_fd)
{
    uint8_t bytes[BV_STATUS_BYTES + 1];
    union {
        struct cmsghdr align;
        unsigned char room[CMSG_SPACE(4 * sizeof(int))];
    } control;
    struct iovec vector = { .iov_base = bytes, .iov_len = sizeof bytes };
    struct msghdr header = {
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = control.room,
        .msg_controllen = sizeof control.room,
    };
    ssize_t n;
    /* A peer that died with a word of ours unread leaves ECONNRESET in front of what it said last; the kernel tells that once
     * (unix_release_sock(), sock_error()). */
    do {
        n = recvmsg(control_fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && (errno == EINTR || errno == ECONNRESET));
    if (n <= 0) {
        return n < 0 && errno == EAGAIN ? -EAGAIN : 0;
    }
    int fd = take_descriptor(&header);
    if ((header.msg_flags & MSG_TRUNC) != 0 || !bv_status_decode(bytes, (size_t)n, ret_message)) {
        linux_fd_close(&fd);
        return -EBADMSG;
    }
    if ((header.msg_flags & MSG_CTRUNC) != 0) {
        linux_fd_close(&fd);
        return -EMFILE;
    }
    if (fd >= 0) {
        *ret_fd = fd;
    }
    return 1;
}

void linux_read_control(struct linux_run *run)
{
    int result = 1;
    while (run->control_fd >= 0 && result != 0 && result != -EAGAIN) {
        struct bv_status_message message;
        int fd = -EBADF;
        result = linux_control_read(run->control_fd, &message, &fd);
        if (result == 1) {
            heard(run, &message, fd);
        } else if (result == -EBADMSG) {
            linux_kill(run, CAUSE_FAULT, "the launcher sent a malformed message");
        } else if (result == -EMFILE) {
            if (message.type == BV_MSG_INIT) {
                run->lost_init = (int)message.values[0];
            }
            linux_kill(run, CAUSE_FAULT, "no descriptor is left for what the launcher sent");
        }
    }
    if (run->control_fd >= 0 && result == 0) {
        (void)linux_watch(run, WATCH_CONTROL, run->control_fd, 0);
        linux_fd_close(&run->control_fd);
        ending(run);
    }
}

int linux_send_order(int control_fd, enum bv_status_type type, const int *fds, size_t count)
{
    uint8_t bytes[BV_STATUS_BYTES];
    union {
        struct cmsghdr header;
        unsigned char room[CMSG_SPACE(BV_FRAME_DESCRIPTORS_MAX * sizeof(int))];
    } control = { 0 };
    const struct bv_status_message message = { .type = type };
    struct iovec vector = { .iov_base = bytes, .iov_len = sizeof bytes };
    struct msghdr header = {
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = count > 0 ? control.room : NULL,
        .msg_controllen = count > 0 ? CMSG_SPACE(count * sizeof(int)) : 0,
    };
    BV_ASSERT(count <= BV_FRAME_DESCRIPTORS_MAX);
    bv_status_encode(&message, bytes);
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
    ssize_t n;
    do {
        n = sendmsg(control_fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) {
        return 0; /* init is dead, and why will be read where every word of its is */
    }
    return n < 0 ? -errno : n == BV_STATUS_BYTES ? 0 : -EIO;
}

static int send_word(const struct linux_run *run, enum bv_status_type type)
{
    uint8_t bytes[BV_STATUS_BYTES];
    const struct bv_status_message message = { .type = type };
    if (run->control_fd < 0) {
        return -EPIPE;
    }
    bv_status_encode(&message, bytes);
    return send(run->control_fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

void linux_send_kill(struct linux_run *run)
{
    /* When this fails init is gone already; DEADLINE_END is behind it in any case. */
    (void)send_word(run, BV_MSG_KILL);
}

/* What the probe took for granted (linux_probe_ahead): by now it has long been made, or could not be. */
static void await_net(struct linux_run *run)
{
    while (wants_net(run) && !linux_seen(run, BV_MSG_NET) && !linux_seen(run, BV_MSG_FAILED) &&
           run->control_fd >= 0 && linux_now_ns() < run->deadline[DEADLINE_HANDSHAKE]) {
        struct pollfd p = { .fd = run->control_fd, .events = POLLIN };
        (void)poll(&p, 1, LINUX_ANSWER_MILLIS);
        linux_read_control(run);
    }
}

enum bv_status linux_release(void *pointer, struct bv_error *error)
{
    struct linux_run *run = pointer;
    await_net(run);
    if (linux_seen(run, BV_MSG_FAILED) && run->failed.stage == BV_STAGE_NET_NS) {
        return bv_fail(error, BV_E_STATE, "launcher", "%s: %s", bv_stage_name(BV_STAGE_NET_NS), strerror(run->failed.error));
    }
    run->deadline[DEADLINE_HANDSHAKE] = linux_now_ns() + LINUX_HANDSHAKE_NS;
    (void)send_word(run, BV_MSG_GO);
    linux_run_sweep(run);
    return BV_OK;
}
