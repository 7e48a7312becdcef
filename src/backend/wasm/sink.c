/* backend/wasm/sink.c - where a guest's output goes: to the caller's descriptor as it is taken there, and into the capture.
 *
 * Nothing is buffered: what the target does not take now the guest still holds, and waits with. A target that breaks is given
 * up and told of; the guest hears of it only when nobody is left who wants the bytes, as `yes` does from `head`. */
#include "backend/wasm/guest.h"

#include <errno.h>

static void capture(struct guest_streams *streams, int index, const void *bytes, size_t size)
{
    struct guest_stream *stream = &streams->out[index];
    const uint64_t room = stream->capture_max - stream->captured;
    const size_t kept = size < room ? size : (size_t)room;
    if (stream->capture && kept > 0) {
        stream->failed =
            !bv_observe_stream(streams->observation, index + 1, bytes, kept, 0, false) ||
            stream->failed;
        stream->captured += kept;
    }
    stream->total += size;
}

static ssize_t pass_on(const struct guest_stream *stream, const void *bytes, size_t size)
{
    struct bv_pipe_guard guard;
    if (stream->target.kind == BV_END_ALWAYS) {
        return bv_end_write(&stream->target, bytes, size); /* no pipe: nothing to guard against */
    }
    bv_pipe_guard_enter(&guard);
    const ssize_t n = bv_end_write(&stream->target, bytes, size);
    bv_pipe_guard_leave(&guard, n == -EPIPE);
    return n;
}

static int64_t sink_write(void *context, int number, const void *bytes, size_t size,
                          int *ret_wait_fd)
{
    struct guest_streams *streams = context;
    struct guest_stream *stream = &streams->out[number - 1];
    size_t taken = size;
    if (stream->target.kind != BV_END_NONE) {
        const ssize_t n = pass_on(stream, bytes, size);
        if (n == -EAGAIN) {
            *ret_wait_fd = stream->target.fd;
            return 0;
        }
        if (n < 0) {
            stream->target_lost = true;
            stream->target_errno = (int)-n;
            bv_end_close(&stream->target);
        } else {
            taken = (size_t)n;
            *ret_wait_fd = stream->target.fd; /* if it was not all */
        }
    }
    if (stream->target_lost && stream->target_errno == EPIPE &&
        !(stream->capture && stream->captured < stream->capture_max)) {
        return -EPIPE;
    }
    capture(streams, number - 1, bytes, taken);
    return (int64_t)taken;
}

static bool sink_ready(void *context, int number, int *ret_wait_fd)
{
    const struct guest_streams *streams = context;
    const struct guest_stream *stream = &streams->out[number - 1];
    *ret_wait_fd = stream->target.fd;
    return stream->target.kind == BV_END_NONE || bv_end_writable(&stream->target);
}

struct bv_wasi_sink guest_sink(struct guest_streams *streams)
{
    return (struct bv_wasi_sink){ .context = streams, .write = sink_write, .ready = sink_ready };
}
