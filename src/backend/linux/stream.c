/* backend/linux/stream.c - the bytes between the workload and the caller; stream.h says what is promised.
 *
 * An output stream is read into one bounded buffer while its bytes are captured; past the capture's cap they are moved by
 * splice() from the workload's pipe to the target, or to /dev/null when there is none, so that ten gigabytes of output cost
 * no memory and hardly a copy. A target that does not take bytes stops the reading of that stream only.
 * SIGPIPE is kept from the host for the length of a pump. */
#include "backend/linux/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/linux/os.h"
#include "base/check.h"

#define BUFFER_BYTES                                                                               \
    (128u << 10) /* one read; twice the default pipe, so that a full one takes one call */
#define TURN_BYTES     (8u << 20) /* moved before other streams and timers get their turn */
#define SPLICE_BYTES   (1u << 20)
#define PIPE_BYTES     (1 << 20) /* what a busy pipe is grown to; an ordinary user's default maximum */

int linux_open_null(void)
{
    struct stat st;
    int fd = bv_fd_above_stdio(open("/dev/null", O_WRONLY | O_CLOEXEC | O_NOCTTY));
    if (fd >= 0 && (fstat(fd, &st) != 0 || !bv_stat_is_null(&st))) {
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
    stream->size = stream->target.kind == BV_END_NONE ? 0 : (size_t)n;
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
    if (stream->target.kind != BV_END_NONE) {
        stream->target_lost = true;
        stream->target_errno = error;
        stream->target.kind = BV_END_NONE;
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
static bool flush(struct linux_stream *stream, bool *broke)
{
    while (stream->at < stream->size) {
        const ssize_t n =
            bv_end_write(&stream->target, stream->buffer + stream->at, stream->size - stream->at);
        if (n == -EAGAIN) {
            return false;
        }
        if (n < 0) {
            *broke = *broke || n == -EPIPE;
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
                            struct bv_observation *observation, bool *broke)
{
    const bool wanted = stream->capture && stream->captured < stream->capture_max;
    const bool has_target = stream->target.kind != BV_END_NONE;
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
            return stream->target.kind == BV_END_ALWAYS ? LINUX_NEED_TURN : LINUX_NEED_TARGET;
        }
        if (!stream->last) {
            return LINUX_NEED_SOURCE;
        }
        moved = 0;
    }
    if (moved < 0 && to >= 0 && has_target) {
        *broke = *broke || moved == -EPIPE;
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
                            struct bv_observation *observation, bool *broke)
{
    const uint64_t stop = stream->total + TURN_BYTES;
    while (!stream->ended && stream->total < stop) {
        if (!flush(stream, broke)) {
            return LINUX_NEED_TARGET;
        }
        if ((stream->last && stream->last_bytes == 0) || nobody_reads(stream)) {
            end_stream(stream);
            break;
        }
        const enum linux_need need = step(stream, sink, observation, broke);
        if (need != LINUX_NEED_TURN) {
            return need;
        }
    }
    return stream->ended ? LINUX_NEED_NOTHING : LINUX_NEED_TURN;
}

enum linux_need linux_stream_pump(struct linux_stream *stream, int sink,
                                  struct bv_observation *observation)
{
    struct bv_pipe_guard guard;
    bool broke = false;
    if (stream->ended || stream->pipe_fd < 0) {
        return LINUX_NEED_NOTHING;
    }
    bv_pipe_guard_enter(&guard);
    const enum linux_need need = pump(stream, sink, observation, &broke);
    bv_pipe_guard_leave(&guard, broke);
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
    bv_end_close(&stream->target);
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
    const ssize_t n = bv_end_read(&input->source, input->buffer, BUFFER_BYTES);
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

static enum linux_need input_pump(struct linux_input *input, bool *broke)
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
            *broke = errno == EPIPE;
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
    struct bv_pipe_guard guard;
    bool broke = false;
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
    bv_pipe_guard_enter(&guard);
    const enum linux_need need = input_pump(input, &broke);
    bv_pipe_guard_leave(&guard, broke);
    return need;
}

void linux_input_close(struct linux_input *input)
{
    end_input(input);
    linux_fd_close(&input->pipe_fd);
    bv_end_close(&input->source);
}
