/* tests/unit/test_wasi_streams.c - what waits and what does not: streams, sinks, kept descriptors, poll_oneoff, clocks; and
 * that long transfers are made in pieces. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "support/tap.h"
#include "support/wasi_guest.h"
#include "wasi/abi.h"

enum { OUT = 1u << 20, SUBS = 2u << 20, EVENTS = 3u << 20, COUNT = 4u << 20 };

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool waits_for(const struct guest *g, int fd, short events)
{
    struct bv_wasi_wait wait;
    bv_wasi_wait(g->wasi, &wait);
    return wait.count == 1 && wait.items[0].fd == fd && wait.items[0].events == events &&
           wait.deadline_ns == UINT64_MAX;
}

static void test_stdin(void)
{
    struct guest g;
    struct bv_wasi_options options;
    char bytes[64];
    uint32_t size = 9;
    int fds[2];
    guest_defaults(&g, &options);
    guest_start(&g, &options);
    tap_ok(guest_read(&g, 0, bytes, 10, &size) == 0 && size == 0, "no stdin is one at its end");
    tap_ok(guest_write(&g, 0, "x", 1, NULL) == WASI_ENOTCAPABLE, "and not for writing");
    guest_stop(&g);
    if (pipe(fds) != 0) {
        printf("Bail out! pipe\n");
        return;
    }
    options.stdin_fd = fds[0];
    guest_start(&g, &options);
    g.impatient = true;
    tap_ok(guest_read(&g, 0, bytes, 10, &size) == GUEST_WAITING && waits_for(&g, fds[0], POLLIN),
           "an empty pipe: AGAIN, and what to wait for");
    tap_ok(guest_read(&g, 0, bytes, 0, &size) == 0 && size == 0, "nothing is read at once");
    tap_ok(write(fds[1], "hello", 5) == 5 && guest_read(&g, 0, bytes, 3, &size) == 0 && size == 3 &&
               memcmp(bytes, "hel", 3) == 0,
           "what is there is read");
    tap_ok(guest_call(&g, "fd_seek", 0u, UINT64_C(0), 1u, OUT) == WASI_ESPIPE,
           "a pipe has no position");
    tap_ok(guest_read(&g, 0, bytes, 64, &size) == 0 && size == 2, "a short read is not waited out");
    tap_ok(guest_call(&g, "fd_fdstat_set_flags", 0u, WASI_FDFLAG_NONBLOCK) == 0 &&
               guest_read(&g, 0, bytes, 3, &size) == WASI_EAGAIN,
           "NONBLOCK is the guest's own");
    tap_ok((fcntl(fds[0], F_GETFL) & O_NONBLOCK) == 0, "the host's descriptor is as it was");
    (void)close(fds[1]);
    tap_ok(guest_read(&g, 0, bytes, 3, &size) == 0 && size == 0, "the end is the end");
    tap_ok(guest_call(&g, "fd_close", 0u) == 0 && fcntl(fds[0], F_GETFD) >= 0,
           "closing it leaves the host's open");
    guest_stop(&g);
    (void)close(fds[0]);
}

static void test_sink(void)
{
    struct guest g;
    struct bv_wasi_options options;
    uint32_t size = 0;
    int fds[2];
    guest_defaults(&g, &options);
    guest_start(&g, &options);
    if (pipe(fds) != 0) {
        printf("Bail out! pipe\n");
        return;
    }
    g.impatient = true;
    g.sink_room = 3;
    g.sink_wait_fd = fds[1];
    tap_ok(guest_write(&g, 1, "abcdef", 6, &size) == GUEST_WAITING &&
               waits_for(&g, fds[1], POLLOUT) && g.output_size[0] == 3,
           "a full sink: AGAIN");
    g.sink_room = 100;
    tap_ok(guest_write(&g, 1, "abcdef", 6, &size) == 0 && size == 6 && g.output_size[0] == 6 &&
               memcmp(g.output[0], "abcdef", 6) == 0,
           "the same call goes on where it was: no byte twice");
    g.sink_room = 0;
    tap_ok(guest_call(&g, "fd_fdstat_set_flags", 2u, WASI_FDFLAG_NONBLOCK) == 0 &&
               guest_write(&g, 2, "x", 1, &size) == WASI_EAGAIN,
           "NONBLOCK is told at once");
    g.sink_room = 2;
    tap_ok(guest_write(&g, 2, "xyz", 3, &size) == 0 && size == 2, "or how much there was room for");
    g.sink_room = 3;
    (void)guest_write(&g, 1, "abcdef", 6, &size);
    g.sink_room = 100;
    (void)guest_call(&g, "sched_yield");
    g.output_size[0] = 0;
    tap_ok(guest_write(&g, 1, "abcdef", 6, &size) == 0 && g.output_size[0] == 6,
           "a call that was dropped leaves nothing behind");
    g.sink_error = EPIPE;
    tap_ok(guest_write(&g, 1, "x", 1, &size) == WASI_EPIPE, "a broken sink is an errno");
    guest_stop(&g);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void test_kept(void)
{
    struct guest g;
    struct bv_wasi_options options;
    char dir[64], path[128], bytes[16], big[20000];
    uint32_t size = 0;
    int fds[2], sockets[2];
    guest_scratch_dir(dir);
    (void)snprintf(path, sizeof(path), "%s/kept", dir);
    guest_defaults(&g, &options);
    guest_start(&g, &options);
    const int file = open(path, O_RDWR | O_CREAT, 0600), reader = open(path, O_RDONLY),
              top = open(dir, O_RDONLY);
    if (pipe(fds) != 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0) {
        printf("Bail out! pipe\n");
        return;
    }
    tap_ok(bv_wasi_keep(g.wasi, file, 9) == 9 && bv_wasi_keep(g.wasi, reader, -1) == 3,
           "kept descriptors have their number, or the next");
    tap_ok(bv_wasi_keep(g.wasi, file, 9) == -EEXIST && bv_wasi_keep(g.wasi, -1, 5) == -EBADF &&
               bv_wasi_keep(g.wasi, top, 5) == -EISDIR &&
               bv_wasi_keep(g.wasi, sockets[0], 5) == -ENOTSUP,
           "one each; no directory, no socket");
    tap_ok(guest_write(&g, 9, "kept", 4, &size) == 0 && guest_read(&g, 3, bytes, 16, &size) == 0 &&
               size == 4 && memcmp(bytes, "kept", 4) == 0,
           "they are the files that they are");
    tap_ok(guest_write(&g, 3, "x", 1, &size) == WASI_ENOTCAPABLE &&
               guest_call(&g, "fd_filestat_set_size", 3u, UINT64_C(0)) == WASI_ENOTCAPABLE,
           "with the rights that they were opened with");
    tap_ok(guest_call(&g, "fd_fdstat_set_flags", 9u, WASI_FDFLAG_APPEND) == WASI_ENOTSUP &&
               (fcntl(file, F_GETFL) & O_APPEND) == 0,
           "the host's flags stay");
    tap_ok(guest_call(&g, "fd_prestat_get", 9u, OUT) == WASI_EBADF &&
               guest_call(&g, "sock_recv", 9u, OUT, 1u, 0u, OUT, OUT) == WASI_ENOTSOCK,
           "no preopen, no socket");
    (void)bv_wasi_keep(g.wasi, fds[1], 20);
    memset(big, 'b', sizeof(big));
    memcpy(g.memory + OUT, big, sizeof(big));
    g.impatient = true;
    (void)fcntl(fds[1], F_SETPIPE_SZ, 4096);
    tap_ok(guest_call(&g, "fd_write", 20u, guest_iovec(&g, OUT, 20000), 1u, (uint32_t)COUNT) ==
                   GUEST_WAITING &&
               waits_for(&g, fds[1], POLLOUT),
           "a pipe that is full: the guest waits");
    (void)close(fds[0]);
    tap_ok(guest_call(&g, "fd_write", 20u, guest_iovec(&g, OUT, 20000), 1u, (uint32_t)COUNT) == 0 &&
               guest_get(&g, COUNT, 4) == 4096,
           "without a reader: what was written");
    struct sigaction before = { 0 };
    tap_ok(guest_write(&g, 20, "x", 1, &size) == WASI_EPIPE &&
               sigaction(SIGPIPE, NULL, &before) == 0 && before.sa_handler == SIG_DFL,
           "then EPIPE, and no SIGPIPE");
    guest_stop(&g);
    tap_ok(fcntl(file, F_GETFD) >= 0 && fcntl(fds[1], F_GETFD) >= 0, "they stay the host's");
    (void)close(file);
    (void)close(reader);
    (void)close(top);
    (void)close(fds[1]);
    (void)close(sockets[0]);
    (void)close(sockets[1]);
    guest_remove_tree(dir);
}

/* ---- poll_oneoff ---- */

static void sub_clock(struct guest *g, uint32_t index, uint64_t userdata, uint32_t clock,
                      uint64_t timeout, uint32_t flags)
{
    const uint32_t at = SUBS + index * 48;
    memset(g->memory + at, 0, 48);
    guest_put(g, at, userdata, 8);
    guest_put(g, at + 16, clock, 4);
    guest_put(g, at + 24, timeout, 8);
    guest_put(g, at + 40, flags, 2);
}

static void sub_fd(struct guest *g, uint32_t index, uint64_t userdata, uint8_t type, uint32_t fd)
{
    const uint32_t at = SUBS + index * 48;
    memset(g->memory + at, 0, 48);
    guest_put(g, at, userdata, 8);
    guest_put(g, at + 8, type, 1);
    guest_put(g, at + 16, fd, 4);
}

static int poll_all(struct guest *g, uint32_t count)
{
    memset(g->memory + EVENTS, 0xee, 4096);
    return guest_call(g, "poll_oneoff", (uint32_t)SUBS, (uint32_t)EVENTS, count, (uint32_t)COUNT);
}

static bool event_is(struct guest *g, uint32_t index, uint64_t userdata, uint16_t error,
                     uint8_t type, uint64_t bytes, uint16_t flags)
{
    const uint32_t at = EVENTS + index * 32;
    return guest_get(g, at, 8) == userdata && guest_get(g, at + 8, 2) == error &&
           guest_get(g, at + 10, 1) == type && guest_get(g, at + 16, 8) == bytes &&
           guest_get(g, at + 24, 2) == flags;
}

static void test_poll(void)
{
    struct guest g;
    struct bv_wasi_options options;
    int fds[2];
    guest_defaults(&g, &options);
    if (pipe(fds) != 0) {
        printf("Bail out! pipe\n");
        return;
    }
    options.stdin_fd = fds[0];
    guest_start(&g, &options);
    const uint64_t begin = now_ns();
    sub_clock(&g, 0, 1, WASI_CLOCK_MONOTONIC, 30000000, 0);
    sub_clock(&g, 1, 2, WASI_CLOCK_MONOTONIC, UINT64_C(3600) * 1000000000u, 0);
    sub_fd(&g, 2, 3, WASI_EVENT_FD_READ, 0);
    tap_ok(poll_all(&g, 3) == 0 && guest_get(&g, COUNT, 4) == 1 &&
               event_is(&g, 0, 1, 0, WASI_EVENT_CLOCK, 0, 0) && now_ns() - begin >= 30000000 &&
               g.again >= 1,
           "the first clock ends the wait, in its time");
    (void)(write(fds[1], "12345", 5) == 5);
    tap_ok(poll_all(&g, 3) == 0 && guest_get(&g, COUNT, 4) == 1 &&
               event_is(&g, 0, 3, 0, WASI_EVENT_FD_READ, 5, 0) && g.again == 0,
           "what is ready ends it at once, with the bytes there are");
    guest_call(&g, "clock_time_get", 1u, UINT64_C(0), (uint32_t)OUT);
    sub_clock(&g, 0, 4, WASI_CLOCK_MONOTONIC, guest_get(&g, OUT, 8) + 10000000,
              WASI_SUBCLOCK_ABSTIME);
    guest_call(&g, "clock_time_get", 0u, UINT64_C(0), (uint32_t)OUT);
    sub_clock(&g, 1, 5, WASI_CLOCK_REALTIME, guest_get(&g, OUT, 8) + 20000000,
              WASI_SUBCLOCK_ABSTIME);
    tap_ok(poll_all(&g, 2) == 0 && event_is(&g, 0, 4, 0, WASI_EVENT_CLOCK, 0, 0) &&
               poll_all(&g, 2) == 0 && poll_all(&g, 2) == 0,
           "absolute times of both clocks");
    sub_fd(&g, 0, 6, WASI_EVENT_FD_READ, 77);
    sub_fd(&g, 1, 7, WASI_EVENT_FD_WRITE, 0);
    sub_clock(&g, 2, 8, 9, 1, 0);
    sub_clock(&g, 3, 9, WASI_CLOCK_THREAD_CPU, 1, 0);
    sub_fd(&g, 4, 10, WASI_EVENT_FD_WRITE, 1);
    tap_ok(poll_all(&g, 5) == 0 && guest_get(&g, COUNT, 4) == 5 &&
               event_is(&g, 0, 6, WASI_EBADF, WASI_EVENT_FD_READ, 0, 0) &&
               event_is(&g, 1, 7, WASI_ENOTCAPABLE, WASI_EVENT_FD_WRITE, 0, 0) &&
               event_is(&g, 2, 8, WASI_EINVAL, 0, 0, 0) &&
               event_is(&g, 3, 9, WASI_ENOTSUP, 0, 0, 0) &&
               event_is(&g, 4, 10, 0, WASI_EVENT_FD_WRITE, 0, 0),
           "errors are events of their subscriptions");
    guest_stop(&g);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void test_poll_waiting(void)
{
    struct guest g;
    struct bv_wasi_options options;
    int fds[2];
    guest_defaults(&g, &options);
    if (pipe(fds) != 0) {
        printf("Bail out! pipe\n");
        return;
    }
    options.stdin_fd = fds[0];
    guest_start(&g, &options);
    guest_put(&g, SUBS + 8, 3, 1);
    tap_ok(poll_all(&g, 1) == WASI_EINVAL, "a type that is none is the call's error");
    tap_ok(guest_call(&g, "poll_oneoff", GUEST_MEMORY - 47u, (uint32_t)EVENTS, 1u,
                      (uint32_t)COUNT) == WASI_EFAULT &&
               guest_call(&g, "poll_oneoff", (uint32_t)SUBS, GUEST_MEMORY - 31u, 1u,
                          (uint32_t)COUNT) == WASI_EFAULT,
           "both lists lie in memory");
    g.impatient = true;
    g.sink_room = 0;
    g.sink_wait_fd = fds[1];
    sub_fd(&g, 0, 1, WASI_EVENT_FD_READ, 0);
    sub_fd(&g, 1, 2, WASI_EVENT_FD_WRITE, 2);
    struct bv_wasi_wait wait;
    tap_ok(poll_all(&g, 2) == GUEST_WAITING && (bv_wasi_wait(g.wasi, &wait), wait.count == 2) &&
               wait.items[0].fd == fds[0] && wait.items[0].events == POLLIN &&
               wait.items[1].fd == fds[1] && wait.items[1].events == POLLOUT &&
               wait.deadline_ns == UINT64_MAX,
           "without a clock it waits for all of them, without end");
    (void)close(fds[1]);
    tap_ok(poll_all(&g, 2) == 0 && guest_get(&g, COUNT, 4) == 1 &&
               event_is(&g, 0, 1, 0, WASI_EVENT_FD_READ, 0, WASI_EVENT_HANGUP),
           "the other side's end is an event");
    guest_stop(&g);
    (void)close(fds[0]);
}

static void test_frozen(void)
{
    struct guest g;
    struct bv_wasi_options options;
    guest_defaults(&g, &options);
    options.frozen = true;
    options.frozen_ns = UINT64_C(1700000000000000000);
    options.seeded = true;
    options.seed = 42;
    guest_start(&g, &options);
    tap_ok(guest_call(&g, "clock_time_get", 0u, UINT64_C(0), (uint32_t)OUT) == 0 &&
               guest_get(&g, OUT, 8) == options.frozen_ns &&
               guest_call(&g, "clock_time_get", 1u, UINT64_C(0), (uint32_t)OUT) == 0 &&
               guest_get(&g, OUT, 8) == 0,
           "frozen clocks begin where they are told");
    sub_clock(&g, 0, 1, WASI_CLOCK_MONOTONIC, UINT64_C(3600) * 1000000000u, 0);
    sub_clock(&g, 1, 2, WASI_CLOCK_REALTIME, options.frozen_ns + UINT64_C(7200) * 1000000000u,
              WASI_SUBCLOCK_ABSTIME);
    tap_ok(poll_all(&g, 2) == 0 && g.again == 0 && guest_get(&g, COUNT, 4) == 1 &&
               event_is(&g, 0, 1, 0, 0, 0, 0),
           "an hour's sleep takes no time");
    tap_ok(guest_call(&g, "clock_time_get", 0u, UINT64_C(0), (uint32_t)OUT) == 0 &&
               guest_get(&g, OUT, 8) == options.frozen_ns + UINT64_C(3600) * 1000000000u,
           "and is an hour");
    uint8_t first[64];
    (void)guest_call(&g, "random_get", (uint32_t)OUT, 13u);
    (void)guest_call(&g, "random_get", OUT + 13u, 51u);
    memcpy(first, g.memory + OUT, 64);
    guest_stop(&g);
    guest_start(&g, &options);
    (void)guest_call(&g, "random_get", (uint32_t)OUT, 64u);
    tap_ok(memcmp(first, g.memory + OUT, 64) == 0,
           "seeded bytes are the same however they are asked for");
    guest_stop(&g);
    options.seed = 43;
    guest_start(&g, &options);
    (void)guest_call(&g, "random_get", (uint32_t)OUT, 64u);
    tap_ok(memcmp(first, g.memory + OUT, 64) != 0, "and others with another seed");
    guest_stop(&g);
}

/* ---- bounded work ---- */

static void test_pieces(void)
{
    struct guest g;
    char dir[64];
    uint32_t fd = 0;
    guest_scratch_dir(dir);
    guest_start_at(&g, dir, BV_WASI_READ_WRITE);
    (void)guest_open(&g, 3, "f", WASI_OFLAG_CREAT, WASI_RIGHTS_FILE, &fd);
    for (uint32_t i = 0; i < 3u << 20; i++) {
        g.memory[SUBS + i] = (uint8_t)(i * 2654435761u >> 24);
    }
    /* Vectors of odd lengths, empty ones between them, more than one piece takes. */
    uint32_t total = 0;
    for (uint32_t i = 0; i < 1024; i++) {
        const uint32_t length = i % 5 == 0 ? 0 : (i * 37) % 3000;
        guest_put(&g, OUT + i * 8, SUBS + total, 4);
        guest_put(&g, OUT + i * 8 + 4, length, 4);
        total += length;
    }
    const uint64_t charged = g.charged;
    tap_ok(guest_call(&g, "fd_write", fd, (uint32_t)OUT, 1024u, (uint32_t)OUT - 8) == 0 &&
               guest_get(&g, OUT - 8, 4) == total && g.again > 4,
           "1,024 vectors in %u pieces", g.again + 1);
    tap_ok(g.charged - charged >= total / 64 - 100 && g.charged - charged < total / 64 + 1000,
           "charged once, by the byte");
    memset(g.memory + (6u << 20), 0, 2u << 20);
    (void)guest_call(&g, "fd_seek", fd, UINT64_C(0), 0u, (uint32_t)OUT - 8);
    tap_ok(guest_call(&g, "fd_read", fd, guest_iovec(&g, 6u << 20, 2u << 20), 1u,
                      (uint32_t)OUT - 8) == 0 &&
               guest_get(&g, OUT - 8, 4) == total &&
               memcmp(g.memory + SUBS, g.memory + (6u << 20), total) == 0,
           "and all of it comes back in order");
    tap_ok(guest_call(&g, "fd_write", fd, (uint32_t)OUT, 1025u, (uint32_t)OUT - 8) == WASI_EINVAL,
           "1,025 vectors are too many");
    for (uint32_t i = 0; i < 1024; i++) {
        guest_put(&g, OUT + i * 8, 0, 4);
        guest_put(&g, OUT + i * 8 + 4, GUEST_MEMORY, 4);
    }
    tap_ok(guest_call(&g, "fd_write", fd, (uint32_t)OUT, 1024u, (uint32_t)OUT - 8) == WASI_EINVAL,
           "8 GiB are more than a count can say");
    tap_ok(guest_call(&g, "random_get", 1u << 20, 7u << 20) == 0 && g.again == 27,
           "random bytes, too, come in pieces");
    guest_stop(&g);
    guest_remove_tree(dir);
}

int main(void)
{
    test_stdin();
    test_sink();
    test_kept();
    test_poll();
    test_poll_waiting();
    test_frozen();
    test_pieces();
    return tap_done();
}
