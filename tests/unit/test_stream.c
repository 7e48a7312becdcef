/* tests/unit/test_stream.c - bytes between workload and caller: exact, bounded, never blocking, never a SIGPIPE, and the
 * caller's descriptors as they were. The observation is replaced by a counter, so stream.c is tested alone. */
#include "backend/linux/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "backend/linux/os.h"
#include "support/tap.h"

struct bv_observation { unsigned char *bytes; size_t size, room; bool refuse; };

bool bv_observe_stream(struct bv_observation *observation, int stream, const void *bytes, size_t size, uint64_t total_bytes,
                       bool truncated)
{
    (void)stream;
    (void)total_bytes;
    (void)truncated;
    if (observation->refuse || size > observation->room - observation->size) {
        return false;
    }
    memcpy(observation->bytes + observation->size, bytes, size);
    observation->size += size;
    return true;
}

#define ROOM (4u << 20)
static unsigned char room[ROOM];

static unsigned char pattern(uint64_t at)
{
    return (unsigned char)(at * 31 + (at >> 8) * 7);
}

static void fill(unsigned char *bytes, size_t size, uint64_t at)
{
    for (size_t i = 0; i < size; i++) {
        bytes[i] = pattern(at + i);
    }
}

static bool matches(const unsigned char *bytes, size_t size, uint64_t at)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != pattern(at + i)) {
            return false;
        }
    }
    return true;
}

struct writer { int fd; uint64_t size; pthread_t thread; };

static void *write_pattern(void *argument)
{
    struct writer *writer = argument;
    unsigned char bytes[65536];
    sigset_t set; /* a reader that goes away is an errno here */
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    for (uint64_t at = 0; at < writer->size;) {
        const uint64_t left = writer->size - at;
        const size_t n = left < sizeof bytes ? (size_t)left : sizeof bytes;
        fill(bytes, n, at);
        for (size_t done = 0; done < n;) {
            const ssize_t w = write(writer->fd, bytes + done, n - done);
            if (w < 0) {
                (void)close(writer->fd);
                return NULL;
            }
            done += (size_t)w;
        }
        at += n;
    }
    (void)close(writer->fd);
    return NULL;
}

static void start_writer(struct writer *writer, int fd, uint64_t size)
{
    *writer = (struct writer){ .fd = fd, .size = size };
    if (pthread_create(&writer->thread, NULL, write_pattern, writer) != 0) {
        abort();
    }
}

static struct linux_stream new_stream(uint64_t capture_max, int *ret_write)
{
    int fds[2];
    if (linux_pipe(fds, 0) != 0) {
        abort();
    }
    *ret_write = fds[1];
    return (struct linux_stream){
        .number = 1, .pipe_fd = fds[0], .target = { .fd = -EBADF }, .capture = true, .capture_max = capture_max,
    };
}

static void wait_for(int fd, short events)
{
    struct pollfd p = { .fd = fd, .events = events };
    (void)poll(&p, 1, 1000);
}

/* Pumps to the end as the event loop would. */
static void run_out(struct linux_stream *stream, int sink, struct bv_observation *observation)
{
    for (;;) {
        const enum linux_need need = linux_stream_pump(stream, sink, observation);
        if (need == LINUX_NEED_NOTHING) {
            return;
        }
        if (need == LINUX_NEED_SOURCE) {
            wait_for(stream->pipe_fd, POLLIN);
        } else if (need == LINUX_NEED_TARGET) {
            wait_for(stream->target.fd, POLLOUT);
        }
    }
}

static void test_capture(int sink)
{
    struct bv_observation seen = { .bytes = room, .room = ROOM };
    int fd;
    struct linux_stream stream = new_stream(1000, &fd);
    tap_ok(linux_stream_pump(&stream, sink, &seen) == LINUX_NEED_SOURCE, "an empty pipe waits for its source");
    tap_ok(write(fd, "hello", 5) == 5 && linux_stream_pump(&stream, sink, &seen) == LINUX_NEED_SOURCE, "some bytes");
    (void)close(fd);
    tap_ok(linux_stream_pump(&stream, sink, &seen) == LINUX_NEED_NOTHING && stream.ended, "the end is seen");
    tap_ok(seen.size == 5 && memcmp(room, "hello", 5) == 0 && stream.total == 5 && stream.captured == 5, "exact bytes");
    linux_stream_close(&stream);
    tap_ok(stream.pipe_fd < 0, "closed");

    struct writer writer;
    seen.size = 0;
    stream = new_stream(100000, &fd);
    start_writer(&writer, fd, 3000001);
    run_out(&stream, sink, &seen);
    (void)pthread_join(writer.thread, NULL);
    tap_ok(seen.size == 100000 && matches(room, 100000, 0), "the first 100000 bytes are captured");
    tap_ok(stream.total == 3000001 && stream.captured == 100000, "all 3000001 are counted (%llu)",
           (unsigned long long)stream.total);
    linux_stream_close(&stream);

    seen = (struct bv_observation){ .bytes = room, .room = ROOM, .refuse = true };
    stream = new_stream(10, &fd);
    tap_ok(write(fd, "x", 1) == 1 && linux_stream_pump(&stream, sink, &seen) == LINUX_NEED_SOURCE && stream.failed,
           "an observation that fails is told");
    (void)close(fd);
    linux_stream_close(&stream);
}

struct blaster { int fd; uint64_t size; pthread_t thread; };

static void *blast(void *argument)
{
    struct blaster *blaster = argument;
    static unsigned char bytes[1 << 20];
    for (uint64_t left = blaster->size; left > 0;) {
        const ssize_t n = write(blaster->fd, bytes, left < sizeof bytes ? (size_t)left : sizeof bytes);
        if (n <= 0) {
            break;
        }
        left -= (uint64_t)n;
    }
    (void)close(blaster->fd);
    return NULL;
}

static void test_speed(int sink)
{
    struct bv_observation seen = { .bytes = room, .room = ROOM };
    struct blaster blaster = { .size = 1ull << 30 };
    struct timespec a, b;
    struct linux_stream stream = new_stream(1 << 20, &blaster.fd);
    (void)clock_gettime(CLOCK_MONOTONIC, &a);
    if (pthread_create(&blaster.thread, NULL, blast, &blaster) != 0) {
        abort();
    }
    run_out(&stream, sink, &seen);
    (void)pthread_join(blaster.thread, NULL);
    (void)clock_gettime(CLOCK_MONOTONIC, &b);
    const double seconds = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
    tap_ok(stream.total == 1ull << 30 && seen.size == 1 << 20, "1 GiB is counted, 1 MiB of it captured");
    tap_note("1 GiB captured and truncated in %.2f s", seconds);
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    tap_ok(usage.ru_maxrss < 64 * 1024, "memory stays small (%ld KiB)", usage.ru_maxrss);
    linux_stream_close(&stream);
}

/* Pumps into a slow pipe reader and compares what arrives. */
static void test_pipe_target(int sink, uint64_t capture_max, const char *what)
{
    struct bv_observation seen = { .bytes = room, .room = ROOM };
    int out[2], fd;
    struct writer writer;
    if (pipe(out) != 0) {
        abort();
    }
    const int flags = fcntl(out[1], F_GETFL);
    struct linux_stream stream = new_stream(capture_max, &fd);
    tap_ok(bv_end_open(&stream.target, out[1], true) == 0 && stream.target.kind == BV_END_NONBLOCK,
           "%s: a pipe is opened anew", what);
    start_writer(&writer, fd, 1000003);
    uint64_t got = 0;
    bool good = true, blocked = false;
    for (enum linux_need need = LINUX_NEED_TURN; need != LINUX_NEED_NOTHING;) {
        need = linux_stream_pump(&stream, sink, &seen);
        if (need == LINUX_NEED_SOURCE) {
            wait_for(stream.pipe_fd, POLLIN);
        }
        while (need == LINUX_NEED_TARGET || need == LINUX_NEED_NOTHING) {
            unsigned char bytes[3000];
            struct pollfd p = { .fd = out[0], .events = POLLIN };
            blocked = blocked || need == LINUX_NEED_TARGET;
            if (poll(&p, 1, 0) != 1 || (p.revents & POLLIN) == 0) {
                break;
            }
            const ssize_t n = read(out[0], bytes, sizeof bytes);
            good = good && n > 0 && matches(bytes, (size_t)n, got);
            got += n > 0 ? (uint64_t)n : 0;
        }
    }
    (void)pthread_join(writer.thread, NULL);
    tap_ok(good && got == 1000003, "%s: every byte arrives once and in order (%llu)", what, (unsigned long long)got);
    tap_ok(blocked, "%s: a full target was waited for, not written to", what);
    tap_ok(fcntl(out[1], F_GETFL) == flags, "%s: the caller's descriptor keeps its flags", what);
    tap_ok(seen.size == (capture_max < 1000003 ? capture_max : 1000003), "%s: and the capture has its bytes", what);
    linux_stream_close(&stream);
    (void)close(out[0]);
    (void)close(out[1]);
}

static void test_broken_target(int sink)
{
    struct bv_observation seen = { .bytes = room, .room = ROOM };
    for (int round = 0; round < 2; round++) {
        int out[2], fd;
        sigset_t pending;
        if (pipe(out) != 0) {
            abort();
        }
        seen.size = 0;
        struct linux_stream stream = new_stream(round == 0 ? 1 << 20 : 0, &fd);
        (void)bv_end_open(&stream.target, out[1], true);
        (void)close(out[0]);
        struct writer writer;
        start_writer(&writer, fd, 500000);
        run_out(&stream, sink, &seen);
        tap_ok(stream.target_lost && stream.target_errno == EPIPE, "a reader that went away is noted, %s",
               round == 0 ? "by write" : "by splice");
        if (round == 0) {
            tap_ok(stream.total == 500000 && seen.size == 500000 && !stream.failed, "the capture goes on without it");
        } else {
            tap_ok(stream.total < 500000 && stream.ended && !stream.failed, "without a capture the writer's pipe breaks, too");
        }
        linux_stream_close(&stream);
        (void)pthread_join(writer.thread, NULL);
        tap_ok(sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 0, "no SIGPIPE is left");
        (void)close(out[1]);
    }
    /* A SIGPIPE that was pending before is the host's own and stays. */
    sigset_t set, pending;
    int out[2], fd;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    (void)raise(SIGPIPE);
    if (pipe(out) != 0) {
        abort();
    }
    struct linux_stream stream = new_stream(100, &fd);
    (void)bv_end_open(&stream.target, out[1], true);
    (void)close(out[0]);
    (void)!write(fd, "abc", 3);
    (void)close(fd);
    run_out(&stream, sink, &seen);
    tap_ok(sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1, "the host's own pending SIGPIPE stays");
    linux_stream_close(&stream);
    (void)close(out[1]);
    const struct timespec now = { 0, 0 };
    (void)sigtimedwait(&set, NULL, &now);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static bool file_matches(int fd, uint64_t size)
{
    unsigned char bytes[65536];
    uint64_t at = 0;
    for (ssize_t n; (n = pread(fd, bytes, sizeof bytes, (off_t)at)) > 0; at += (uint64_t)n) {
        if (!matches(bytes, (size_t)n, at)) {
            return false;
        }
    }
    return at == size;
}

static void test_file_targets(int sink)
{
    static const struct { int flags; uint64_t capture; const char *what; } cases[] = {
        { O_RDWR, 0, "a file" }, { O_RDWR | O_APPEND, 0, "a file opened for appending" }, { O_RDWR, 70000, "a file after a capture" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bv_observation seen = { .bytes = room, .room = ROOM };
        char path[] = "/tmp/bvisor-test-stream-XXXXXX";
        const int made = mkstemp(path);
        const int file = open(path, cases[i].flags | O_CLOEXEC);
        int fd;
        struct writer writer;
        (void)unlink(path);
        struct linux_stream stream = new_stream(cases[i].capture, &fd);
        tap_ok(bv_end_open(&stream.target, file, true) == 0 && stream.target.kind == BV_END_ALWAYS,
               "%s is always ready", cases[i].what);
        start_writer(&writer, fd, 2000001);
        run_out(&stream, sink, &seen);
        (void)pthread_join(writer.thread, NULL);
        tap_ok(!stream.target_lost && file_matches(file, 2000001), "%s holds every byte", cases[i].what);
        linux_stream_close(&stream);
        (void)close(file);
        (void)close(made);
    }
    struct bv_observation seen = { .bytes = room, .room = ROOM };
    const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    int fd;
    struct linux_stream stream = new_stream(0, &fd);
    (void)bv_end_open(&stream.target, full, true);
    (void)!write(fd, "abc", 3);
    (void)close(fd);
    run_out(&stream, sink, &seen);
    tap_ok(stream.target_lost && stream.target_errno == ENOSPC && stream.total == 3, "a full disk is noted, not fatal");
    linux_stream_close(&stream);
    (void)close(full);
}

static void test_other_targets(int sink)
{
    struct bv_observation seen = { .bytes = room, .room = ROOM };
    int pair[2], fd;
    struct writer writer;
    unsigned char bytes[4096];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        abort();
    }
    struct linux_stream stream = new_stream(0, &fd);
    tap_ok(bv_end_open(&stream.target, pair[1], true) == 0 && stream.target.kind == BV_END_SOCKET, "a socket");
    start_writer(&writer, fd, 700001);
    uint64_t got = 0;
    bool good = true;
    for (enum linux_need need = LINUX_NEED_TURN; need != LINUX_NEED_NOTHING || got < 700001;) {
        need = linux_stream_pump(&stream, sink, &seen);
        const ssize_t n = recv(pair[0], bytes, sizeof bytes, MSG_DONTWAIT);
        good = good && (n < 0 ? errno == EAGAIN : matches(bytes, (size_t)n, got));
        got += n > 0 ? (uint64_t)n : 0;
    }
    (void)pthread_join(writer.thread, NULL);
    tap_ok(good && got == 700001, "a socket gets every byte");
    linux_stream_close(&stream);
    (void)close(pair[0]);
    (void)close(pair[1]);

    const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    const int slave = master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0
                          ? open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC)
                          : -1;
    if (slave < 0) {
        tap_skip("no pseudo terminals here");
        return;
    }
    struct bv_end end;
    tap_ok(bv_end_open(&end, slave, true) == 0 && end.kind == BV_END_NONBLOCK, "a terminal is opened anew");
    bv_end_close(&end);
    tap_ok(bv_end_open(&end, master, true) == 0 && end.kind == BV_END_POLLED, "a pty master is not");
    bv_end_close(&end);
    (void)close(slave);
    (void)close(master);
}

static void test_last(int sink)
{
    struct bv_observation seen = { .bytes = room, .room = ROOM };
    int fd;
    struct linux_stream stream = new_stream(100, &fd);
    (void)!write(fd, "before", 6);
    linux_stream_last(&stream);
    (void)!write(fd, "after", 5); /* a writer that outlived the tree */
    tap_ok(linux_stream_pump(&stream, sink, &seen) == LINUX_NEED_NOTHING && stream.total == 6,
           "after the tree's death only what was there is read");
    linux_stream_close(&stream);
    (void)close(fd);

    int out[2];
    if (pipe(out) != 0 || fcntl(out[1], F_SETPIPE_SZ, 4096) < 0) {
        abort();
    }
    stream = new_stream(0, &fd);
    (void)bv_end_open(&stream.target, out[1], true);
    fill(room, 60000, 0);
    (void)!write(fd, room, 60000);
    linux_stream_last(&stream);
    tap_ok(linux_stream_pump(&stream, sink, &seen) == LINUX_NEED_TARGET, "the rest waits for its target");
    linux_stream_give_up(&stream, ETIMEDOUT);
    tap_ok(linux_stream_pump(&stream, sink, &seen) == LINUX_NEED_NOTHING && stream.total == 60000 && stream.target_lost,
           "until it is given up");
    linux_stream_close(&stream);
    (void)close(fd);
    (void)close(out[0]);
    (void)close(out[1]);
}

static struct linux_input new_input(int *ret_read)
{
    int fds[2];
    if (linux_pipe(fds, 1) != 0) {
        abort();
    }
    *ret_read = fds[0];
    return (struct linux_input){ .pipe_fd = fds[1], .source = { .fd = -EBADF } };
}

static void test_input(void)
{
    int fd, from[2];
    unsigned char bytes[8192];
    if (pipe(from) != 0) {
        abort();
    }
    struct linux_input input = new_input(&fd);
    struct writer writer;
    (void)bv_end_open(&input.source, from[0], false);
    tap_ok(linux_input_pump(&input) == LINUX_NEED_SOURCE, "an empty source is waited for");
    start_writer(&writer, from[1], 600001);
    uint64_t got = 0;
    bool good = true;
    for (;;) {
        const enum linux_need need = linux_input_pump(&input);
        if (need == LINUX_NEED_SOURCE) {
            wait_for(input.source.fd, POLLIN);
        } else if (need == LINUX_NEED_NOTHING) {
            linux_input_close(&input);
        }
        const ssize_t n = need == LINUX_NEED_SOURCE ? 0 : read(fd, bytes, sizeof bytes);
        good = good && n >= 0 && matches(bytes, (size_t)n, got);
        got += (uint64_t)n;
        if (need == LINUX_NEED_NOTHING && n == 0) {
            break;
        }
    }
    (void)pthread_join(writer.thread, NULL);
    tap_ok(good && got == 600001 && input.total == 600001, "every byte of stdin arrives, then its end");
    (void)close(fd);

    input = new_input(&fd);
    (void)bv_end_open(&input.source, STDIN_FILENO < 0 ? 0 : open("/dev/zero", O_RDONLY | O_CLOEXEC), false);
    tap_ok(linux_input_pump(&input) == LINUX_NEED_TARGET, "a workload that does not read stops the copying");
    (void)close(fd);
    tap_ok(linux_input_pump(&input) == LINUX_NEED_NOTHING, "one that closed its stdin ends it, without SIGPIPE");
    linux_input_close(&input);
    (void)close(from[0]);
}

int main(void)
{
    const int sink = linux_open_null();
    tap_ok(sink > 2, "the sink is the real /dev/null");
    test_capture(sink);
    test_capture(-EBADF);
    test_pipe_target(sink, 1 << 20, "capturing all");
    test_pipe_target(sink, 0, "capturing nothing");
    test_pipe_target(sink, 1000, "capturing a part");
    test_broken_target(sink);
    test_file_targets(sink);
    test_other_targets(sink);
    test_last(sink);
    test_input();
    test_speed(sink);
    return tap_done();
}
