/* backend/linux/stream.c - the bytes between the workload and the caller; stream.h says what is promised.
 *
 * An output stream is read into one bounded buffer while its bytes are captured; past the capture's cap they are moved by
 * splice() from the workload's pipe to the target, or to /dev/null when there is none, so that ten gigabytes of output cost
 * no memory and hardly a copy. A target that does not take bytes stops the reading of that stream only.
 * SIGPIPE is blocked in the calling thread for the length of a pump and one that we caused is taken back: the host never
 * sees it (the rule of a library that may not install handlers). */
#include "backend/linux/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/major.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "backend/linux/os.h"
#include "base/check.h"

#define BUFFER_BYTES                                                                               \
    (128u << 10) /* one read; twice the default pipe, so that a full one takes one call */
#define TURN_BYTES     (8u << 20) /* moved before other streams and timers get their turn */
#define SPLICE_BYTES   (1u << 20)
#define PIPE_BYTES     (1 << 20) /* what a busy pipe is grown to; an ordinary user's default maximum */
#define TERMINAL_BYTES 256u      /* n_tty says writable while fewer than 256 bytes wait */

struct pipe_guard {
    sigset_t old;
    bool was_pending, broke;
};

static void guard_enter(struct pipe_guard *guard)
{
    sigset_t set, pending;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    guard->broke = false;
    (void)pthread_sigmask(SIG_BLOCK, &set, &guard->old);
    guard->was_pending = sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

static void guard_leave(struct pipe_guard *guard)
{
    if (guard->broke && !guard->was_pending) {
        static const struct timespec now = { 0, 0 };
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGPIPE);
        while (sigtimedwait(&set, NULL, &now) < 0 && errno == EINTR) {
        }
    }
    (void)pthread_sigmask(SIG_SETMASK, &guard->old, NULL);
}

/* True for the slave of a pseudo terminal. Opening other character devices anew can have effects (a pty master would give
 * a new terminal), so only these and pipes are. */
static bool is_pty_slave(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && major(st->st_rdev) >= UNIX98_PTY_SLAVE_MAJOR &&
           major(st->st_rdev) < UNIX98_PTY_SLAVE_MAJOR + UNIX98_PTY_MAJOR_COUNT;
}

static bool is_null(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == makedev(MEM_MAJOR, 3);
}

/* A description of our own on the same pipe or terminal; -EBADF when that is not to be had. */
static int reopen(int fd, const struct stat *st, bool writing)
{
    char path[40];
    struct stat now;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const int own = linux_fd_high(
        open(path, (writing ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (own < 0) {
        return -EBADF;
    }
    if (fstat(own, &now) != 0 || now.st_dev != st->st_dev || now.st_ino != st->st_ino) {
        (void)close(own);
        return -EBADF;
    }
    return own;
}

int linux_end_open(struct linux_end *end, int caller_fd, bool writing)
{
    struct stat st;
    *end = (struct linux_end){ .fd = -EBADF, .kind = LINUX_END_NONE };
    if (caller_fd < 0) {
        return 0;
    }
    if (fstat(caller_fd, &st) != 0) {
        return -errno;
    }
    const int flags = fcntl(caller_fd, F_GETFL);
    if (flags < 0) {
        return -errno;
    }
    const bool fifo = S_ISFIFO(st.st_mode);
    if (fifo || is_pty_slave(&st)) {
        end->fd = reopen(caller_fd, &st, writing);
        end->kind = LINUX_END_NONBLOCK;
    }
    if (end->fd < 0) {
        end->fd = fcntl(caller_fd, F_DUPFD_CLOEXEC, 3);
        end->kind = S_ISSOCK(st.st_mode)                  ? LINUX_END_SOCKET
                    : S_ISREG(st.st_mode) || is_null(&st) ? LINUX_END_ALWAYS
                                                          : LINUX_END_POLLED;
    }
    if (end->fd < 0) {
        const int error = errno;
        *end = (struct linux_end){ .fd = -EBADF, .kind = LINUX_END_NONE };
        return -error;
    }
    end->may_splice = fifo || is_null(&st) || (S_ISREG(st.st_mode) && (flags & O_APPEND) == 0);
    return 0;
}

void linux_end_close(struct linux_end *end)
{
    linux_fd_close(&end->fd);
    end->kind = LINUX_END_NONE;
}

static bool ready(int fd, short events)
{
    struct pollfd p = { .fd = fd, .events = events };
    return poll(&p, 1, 0) == 1;
}

/* Bytes written, -EAGAIN when there is no room now, or another -errno. */
static ssize_t end_write(const struct linux_end *end, const uint8_t *bytes, size_t size)
{
    ssize_t n;
    if (end->kind == LINUX_END_POLLED) {
        if (!ready(end->fd, POLLOUT)) {
            return -EAGAIN;
        }
        const size_t most = end->may_splice ? PIPE_BUF : TERMINAL_BYTES;
        size = size < most ? size : most;
    }
    do {
        n = end->kind == LINUX_END_SOCKET ? send(end->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL)
                                          : write(end->fd, bytes, size);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static ssize_t end_read(const struct linux_end *end, uint8_t *bytes, size_t size)
{
    ssize_t n;
    if (end->kind == LINUX_END_POLLED && !ready(end->fd, POLLIN)) {
        return -EAGAIN;
    }
    do {
        n = end->kind == LINUX_END_SOCKET ? recv(end->fd, bytes, size, MSG_DONTWAIT)
                                          : read(end->fd, bytes, size);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int linux_open_null(void)
{
    struct stat st;
    int fd = linux_fd_high(open("/dev/null", O_WRONLY | O_CLOEXEC | O_NOCTTY));
    if (fd >= 0 && (fstat(fd, &st) != 0 || !is_null(&st))) {
        linux_fd_close(&fd);
    }
    return fd < 0 ? -EBADF : fd;
}

static size_t bounded(const struct linux_stream *stream, size_t size)
{
    return stream->last && stream->last_bytes < size ? (size_t)stream->last_bytes : size;
}

static void account(struct linux_stream *stream, size_t size)
{
    stream->total += size;
    if (stream->last) {
        stream->last_bytes -= size;
    }
    if (!stream->grown && size >= (64u << 10)) {
        /* It was full: a larger pipe halves the wakeups. A refusal (the user's pipe quota) costs speed only. */
        (void)fcntl(stream->pipe_fd, F_SETPIPE_SZ, PIPE_BYTES);
        stream->grown = true;
    }
}

static void capture(struct linux_stream *stream, const uint8_t *bytes, size_t size,
                    struct bv_observation *observation)
{
    const uint64_t room = stream->capture_max - stream->captured;
    const size_t kept = size < room ? size : (size_t)room;
    if (stream->capture && kept > 0) {
        if (!bv_observe_stream(observation, stream->number, bytes, kept, 0, false)) {
            stream->failed = true;
        }
        stream->captured += kept;
    }
}

/* 1: moved something, 0: end of the stream, -EAGAIN: nothing there now. */
static int read_step(struct linux_stream *stream, struct bv_observation *observation)
{
    if (stream->buffer == NULL) {
        stream->buffer = malloc(BUFFER_BYTES);
        if (stream->buffer == NULL) {
            stream->failed = true;
            return 0;
        }
    }
    ssize_t n;
    do {
        n = read(stream->pipe_fd, stream->buffer, bounded(stream, BUFFER_BYTES));
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) {
        return -EAGAIN;
    }
    if (n <= 0) {
        stream->failed = stream->failed || n < 0;
        return 0;
    }
    account(stream, (size_t)n);
    capture(stream, stream->buffer, (size_t)n, observation);
    stream->at = 0;
    stream->size = stream->target.kind == LINUX_END_NONE ? 0 : (size_t)n;
    return 1;
}

/* As read_step, without a copy. -EPIPE and the like: the target failed. -EINVAL: this target does not splice. */
static int splice_step(struct linux_stream *stream, int to)
{
    ssize_t n;
    do {
        n = splice(stream->pipe_fd, NULL, to, NULL, bounded(stream, SPLICE_BYTES),
                   SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return -errno;
    }
    if (n > 0) {
        account(stream, (size_t)n);
    }
    return n > 0;
}

void linux_stream_give_up(struct linux_stream *stream, int error)
{
    if (stream->target.kind != LINUX_END_NONE) {
        stream->target_lost = true;
        stream->target_errno = error;
        stream->target.kind = LINUX_END_NONE;
    }
    stream->at = stream->size = 0;
}

static void end_stream(struct linux_stream *stream)
{
    stream->ended = true;
    free(stream->buffer);
    stream->buffer = NULL;
    stream->at = stream->size = 0;
}

/* Writes what is pending. True: nothing is pending any more. */
static bool flush(struct linux_stream *stream, struct pipe_guard *guard)
{
    while (stream->at < stream->size) {
        const ssize_t n =
            end_write(&stream->target, stream->buffer + stream->at, stream->size - stream->at);
        if (n == -EAGAIN) {
            return false;
        }
        if (n < 0) {
            guard->broke = guard->broke || n == -EPIPE;
            linux_stream_give_up(stream, (int)-n);
            return true;
        }
        stream->at += (size_t)n;
    }
    return true;
}

/* The reader of the caller's pipe went away and the capture has all it may hold: to go on would only spin a workload that
 * writes for ever, as `yes` does for `head`. Its pipe is closed, and SIGPIPE is its own affair as it is outside. */
static bool nobody_reads(const struct linux_stream *stream)
{
    return stream->target_lost && stream->target_errno == EPIPE && stream->total > stream->captured &&
           !(stream->capture && stream->captured < stream->capture_max);
}

/* One move of bytes; LINUX_NEED_TURN when there may be more to do at once. */
static enum linux_need step(struct linux_stream *stream, int sink,
                            struct bv_observation *observation, struct pipe_guard *guard)
{
    const bool wanted = stream->capture && stream->captured < stream->capture_max;
    const bool has_target = stream->target.kind != LINUX_END_NONE;
    const int to = wanted       ? -EBADF
                   : has_target ? (stream->target.may_splice ? stream->target.fd : -EBADF)
                                : sink;
    int moved = to >= 0 ? splice_step(stream, to) : read_step(stream, observation);
    if (moved == -EINVAL && !has_target) {
        moved = read_step(stream, observation); /* a kernel whose /dev/null takes no splice */
    }
    if (moved == -EAGAIN) {
        int waiting = 0;
        /* splice() says EAGAIN for an empty source and for a full target alike. A target that always takes bytes (and that
         * epoll refuses to watch) is never full: there the bytes came after the splice. */
        if (to >= 0 && has_target && ioctl(stream->pipe_fd, FIONREAD, &waiting) == 0 &&
            waiting > 0) {
            return stream->target.kind == LINUX_END_ALWAYS ? LINUX_NEED_TURN : LINUX_NEED_TARGET;
        }
        if (!stream->last) {
            return LINUX_NEED_SOURCE;
        }
        moved = 0;
    }
    if (moved < 0 && to >= 0 && has_target) {
        guard->broke = guard->broke || moved == -EPIPE;
        if (moved == -EINVAL) {
            stream->target.may_splice = false;
        } else {
            linux_stream_give_up(stream, -moved);
        }
        return LINUX_NEED_TURN;
    }
    if (moved < 0) {
        stream->failed = true;
    }
    if (moved <= 0) {
        end_stream(stream);
        return LINUX_NEED_NOTHING;
    }
    return LINUX_NEED_TURN;
}

static enum linux_need pump(struct linux_stream *stream, int sink,
                            struct bv_observation *observation, struct pipe_guard *guard)
{
    const uint64_t stop = stream->total + TURN_BYTES;
    while (!stream->ended && stream->total < stop) {
        if (!flush(stream, guard)) {
            return LINUX_NEED_TARGET;
        }
        if ((stream->last && stream->last_bytes == 0) || nobody_reads(stream)) {
            end_stream(stream);
            break;
        }
        const enum linux_need need = step(stream, sink, observation, guard);
        if (need != LINUX_NEED_TURN) {
            return need;
        }
    }
    return stream->ended ? LINUX_NEED_NOTHING : LINUX_NEED_TURN;
}

enum linux_need linux_stream_pump(struct linux_stream *stream, int sink,
                                  struct bv_observation *observation)
{
    struct pipe_guard guard;
    if (stream->ended || stream->pipe_fd < 0) {
        return LINUX_NEED_NOTHING;
    }
    guard_enter(&guard);
    const enum linux_need need = pump(stream, sink, observation, &guard);
    guard_leave(&guard);
    return need;
}

void linux_stream_last(struct linux_stream *stream)
{
    int waiting = 0;
    if (stream->ended || stream->pipe_fd < 0 || stream->last) {
        return;
    }
    if (ioctl(stream->pipe_fd, FIONREAD, &waiting) != 0) {
        stream->failed = true;
        waiting = 0;
    }
    stream->last = true;
    stream->last_bytes = (uint64_t)waiting;
}

void linux_stream_close(struct linux_stream *stream)
{
    end_stream(stream);
    linux_fd_close(&stream->pipe_fd);
    linux_end_close(&stream->target);
}

static void end_input(struct linux_input *input)
{
    input->ended = true;
    free(input->buffer);
    input->buffer = NULL;
    input->at = input->size = 0;
}

/* Fills the empty buffer. False with *ret_need set when the pump must stop. */
static bool refill(struct linux_input *input, enum linux_need *ret_need)
{
    const ssize_t n = end_read(&input->source, input->buffer, BUFFER_BYTES);
    if (n == -EAGAIN) {
        *ret_need = LINUX_NEED_SOURCE;
        return false;
    }
    if (n <= 0) {
        input->source_errno = n < 0 ? (int)-n : 0;
        end_input(input); /* a source that fails ends the stream, as one that is at its end */
        *ret_need = LINUX_NEED_NOTHING;
        return false;
    }
    input->at = 0;
    input->size = (size_t)n;
    return true;
}

static enum linux_need input_pump(struct linux_input *input, struct pipe_guard *guard)
{
    enum linux_need need = LINUX_NEED_NOTHING;
    const uint64_t stop = input->total + TURN_BYTES;
    while (input->total < stop) {
        if (input->at >= input->size && !refill(input, &need)) {
            return need;
        }
        const ssize_t n = write(input->pipe_fd, input->buffer + input->at, input->size - input->at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            return LINUX_NEED_TARGET;
        }
        if (n < 0) {
            guard->broke = errno == EPIPE;
            end_input(input); /* the workload closed its stdin */
            return LINUX_NEED_NOTHING;
        }
        input->at += (size_t)n;
        input->total += (uint64_t)n;
    }
    return LINUX_NEED_TURN;
}

enum linux_need linux_input_pump(struct linux_input *input)
{
    struct pipe_guard guard;
    if (input->ended || input->pipe_fd < 0) {
        return LINUX_NEED_NOTHING;
    }
    if (input->buffer == NULL) {
        input->buffer = malloc(BUFFER_BYTES);
        if (input->buffer == NULL) {
            input->failed = input->ended = true;
            return LINUX_NEED_NOTHING;
        }
    }
    guard_enter(&guard);
    const enum linux_need need = input_pump(input, &guard);
    guard_leave(&guard);
    return need;
}

void linux_input_close(struct linux_input *input)
{
    end_input(input);
    linux_fd_close(&input->pipe_fd);
    linux_end_close(&input->source);
}
