/* launcher/tell.c - messages to the supervisor: one SEQPACKET record each, at most one descriptor
 * with it.
 *
 * Nothing here may block: init's limits must hold while the supervisor is stopped, so a full socket
 * loses the message and not the limit. Nor may it raise SIGPIPE: the stub would die of it before it
 * could be told apart from a workload. The records are specified in launchwire/status.h. */
#include "launcher/launcher.h"

#include "launcher/raw.h"

#include <sys/socket.h>

int bv_tell(const struct launch *launch, const struct bv_status_message *message, int fd)
{
    uint8_t bytes[BV_STATUS_BYTES];
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = { .iov_base = bytes, .iov_len = sizeof(bytes) };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    long sent;

    bv_status_encode(message, bytes);
    if (fd >= 0) {
        memset(&control, 0, sizeof(control));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
        msg.msg_control = &control;
        msg.msg_controllen = sizeof(control.space);
    }
    do {
        sent = raw_call(SYS_sendmsg, launch->control_fd, &msg,
                        (unsigned)(MSG_NOSIGNAL | MSG_DONTWAIT));
    } while (sent == -EINTR);
    return sent < 0 ? (int)sent : sent == BV_STATUS_BYTES ? 0 : -EMSGSIZE;
}

/* That this fails too leaves the supervisor with an end of file, which it takes for a failure as
 * well. */
void bv_tell_failed(const struct launch *launch, uint32_t stage, uint64_t index, int result)
{
    const struct bv_status_message message = {
        .type = BV_MSG_FAILED,
        .stage = stage,
        .error = -result,
        .values = { index },
    };

    (void)bv_tell(launch, &message, -1);
}
