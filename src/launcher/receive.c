/* launcher/receive.c - init waits for the orders to go on: the stub, then the launch frame, each with its descriptors.
 *
 * The supervisor may take its time, or never come back: then init goes, and its namespaces with it.
 * What is received is checked by verify.c. The records: launchwire/status.h. */
#include "launcher/launcher.h"

#include "launcher/raw.h"

#include "base/check.h"

#include <poll.h>
#include <sys/socket.h>

/* -ECANCELED: there will be no order. */
static int wait_for_order(const struct launch *launch)
{
    struct pollfd fds[] = {
        { .fd = launch->control_fd, .events = POLLIN },
        { .fd = launch->supervisor_fd, .events = POLLIN },
    };
    long ready;

    do {
        ready = raw_call(SYS_ppoll, fds, BV_COUNT(fds), NULL, NULL, 0);
    } while (ready == -EINTR);
    return ready < 0 ? (int)ready : fds[1].revents ? -ECANCELED : 0;
}

static int take_descriptors(struct launch *launch, struct msghdr *header)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        const size_t bytes = c->cmsg_len - CMSG_LEN(0);
        const size_t count = bytes / sizeof(int);

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
            count > BV_FRAME_DESCRIPTORS_MAX - launch->received_count) {
            return -EBADMSG;
        }
        memcpy(launch->received + launch->received_count, CMSG_DATA(c), count * sizeof(int));
        launch->received_count += (uint32_t)count;
    }
    return 0;
}

/* Answers what the supervisor wants to know before it plans; then there is another order to wait for. */
static int answer(struct launch *launch)
{
    struct bv_status_message message;

    if (launch->received_count != 1) {
        return -EBADMSG;
    }
    bv_try_stage(launch, launch->received[0], &message);
    raw_close(launch->received[0]);
    launch->received_count = 0;
    return bv_tell(launch, &message, -1);
}

/* 1: an order was carried out, and another one will come. */
static int receive_order(struct launch *launch, enum bv_status_type type)
{
    uint8_t bytes[BV_STATUS_BYTES];
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(BV_FRAME_DESCRIPTORS_MAX * sizeof(int))];
    } control;
    struct iovec iov = { .iov_base = bytes, .iov_len = sizeof(bytes) };
    struct msghdr header = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.room,
        .msg_controllen = sizeof(control.room),
    };
    struct bv_status_message message;
    int result = wait_for_order(launch);
    long got;

    if (result < 0) {
        return result;
    }
    got = raw_call(SYS_recvmsg, launch->control_fd, &header,
                   (unsigned)(MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
    if (got <= 0) {
        return got == 0 || got == -ECONNRESET ? -ECANCELED : (int)got;
    }
    if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
        !bv_status_decode(bytes, (size_t)got, &message)) {
        return -EBADMSG;
    }
    if (message.type == BV_MSG_KILL) {
        return -ECANCELED;
    }
    launch->received_count = 0;
    if (message.type != type && (type != BV_MSG_STUB || message.type != BV_MSG_TRY_STAGE)) {
        return -EBADMSG;
    }
    result = take_descriptors(launch, &header);
    if (result == 0 && message.type == BV_MSG_TRY_STAGE) {
        result = answer(launch);
        return result < 0 ? result : 1;
    }
    return result;
}

int bv_receive(struct launch *launch, enum bv_status_type type)
{
    int result;

    do {
        result = receive_order(launch, type);
    } while (result > 0);
    return result;
}
