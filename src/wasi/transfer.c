/* wasi/transfer.c - bytes between guest memory and descriptors: read, pread, write, pwrite.
 *
 * A regular file is read and written to the end of what was asked, a piece each time that the host function is entered, so
 * that no call holds the driver up. A stream is asked first whether it is ready, and then for no more than it can do at
 * once; the guest waits, not the process. What a write adds to a file is held against the storage limit before it is
 * written: the bytes that still fit are, and the next call is told ENOSPC, as on a full disk. */
#include "wasi/state.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/check.h"
#include "sys/end.h"

#define VECTORS 64 /* of one piece */

struct transfer {
    struct wasi_call *call;
    struct wasi_descriptor *descriptor;
    bool writing, positional;
    uint64_t offset;               /* positional: where the whole transfer begins */
    uint64_t total;                /* bytes that the guest asked for */
    uint32_t ret_offset;           /* where the count goes */
    struct iovec vectors[VECTORS]; /* this piece, in guest memory */
    int vector_count;
    size_t size; /* of this piece */
};

/* Checks the guest's whole list and takes the piece that begins behind what was done. */
static int gather(struct transfer *t, uint32_t list, uint32_t count, size_t piece_max)
{
    if (count > WASI_IOVECS_MAX) {
        return WASI_EINVAL;
    }
    const uint8_t *entries = wasi_memory(t->call, list, (uint64_t)count * WASI_IOVEC_BYTES);
    if (!entries) {
        return WASI_EFAULT;
    }
    uint64_t skip = t->call->wasi->pending_done;
    t->total = 0;
    t->vector_count = 0;
    t->size = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t length = (uint32_t)wasi_get(entries + i * WASI_IOVEC_BYTES + 4, 4);
        uint8_t *bytes = wasi_memory(t->call, wasi_get(entries + i * WASI_IOVEC_BYTES, 4), length);
        if (!bytes) {
            return WASI_EFAULT;
        }
        t->total += length;
        const uint64_t passed = skip < length ? skip : length;
        size_t part = (size_t)(length - passed);
        skip -= passed;
        part = part < piece_max - t->size ? part : piece_max - t->size;
        if (part > 0 && t->vector_count < VECTORS) {
            t->vectors[t->vector_count++] = (struct iovec){ bytes + passed, part };
            t->size += part;
        }
    }
    return t->total <= UINT32_MAX ? WASI_SUCCESS : WASI_EINVAL;
}

/* Shortens the piece. */
static void cut(struct transfer *t, size_t size)
{
    size_t seen = 0;
    int kept = 0;
    while (kept < t->vector_count && seen < size) {
        struct iovec *vector = &t->vectors[kept++];
        vector->iov_len = vector->iov_len < size - seen ? vector->iov_len : size - seen;
        seen += vector->iov_len;
    }
    t->vector_count = kept;
    t->size = seen;
}

/* ---- the host's side; each answers the bytes moved or -errno ---- */

/* Once, and without waiting where the kernel can be told so; a terminal cannot, and was asked by poll(). */
static ssize_t stream_move(const struct transfer *t)
{
    const int fd = t->descriptor->fd;
    const bool file = t->descriptor->type == WASI_TYPE_REGULAR_FILE; /* only what is in memory could be read without waiting */
    const int nowait = file ? 0 : RWF_NOWAIT;
    struct bv_pipe_guard guard;
    ssize_t n;
    bv_pipe_guard_enter(&guard);
    do {
        n = t->writing ? pwritev2(fd, t->vectors, t->vector_count, -1, nowait)
                       : preadv2(fd, t->vectors, t->vector_count, -1, nowait);
        if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) {
            n = t->writing ? writev(fd, t->vectors, t->vector_count)
                           : readv(fd, t->vectors, t->vector_count);
        }
    } while (n < 0 && errno == EINTR);
    n = n < 0 ? -errno : n;
    bv_pipe_guard_leave(&guard, n == -EPIPE);
    return n;
}

static ssize_t file_move(const struct transfer *t)
{
    const int fd = t->descriptor->fd;
    const off_t at = (off_t)(t->offset + t->call->wasi->pending_done);
    ssize_t n;
    do {
        if (t->positional) {
            n = t->writing ? pwritev(fd, t->vectors, t->vector_count, at)
                           : preadv(fd, t->vectors, t->vector_count, at);
        } else {
            n = t->writing ? writev(fd, t->vectors, t->vector_count)
                           : readv(fd, t->vectors, t->vector_count);
        }
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* ---- endings ---- */

static int done(const struct transfer *t)
{
    return wasi_store_u32(t->call, t->ret_offset, (uint32_t)t->call->wasi->pending_done);
}

/* An error after bytes have moved is the next call's. */
static int failed(const struct transfer *t, int error)
{
    return t->call->wasi->pending_done > 0 ? done(t) : error;
}

static void moved(const struct transfer *t, size_t bytes)
{
    t->call->wasi->pending_done += bytes;
    wasi_charge_bytes(t->call, bytes);
}

/* It has to wait for a descriptor, unless the guest said that it will not. */
static int blocked(const struct transfer *t, int fd)
{
    if ((t->descriptor->flags & WASI_FDFLAG_NONBLOCK) != 0) {
        return failed(t, WASI_EAGAIN);
    }
    const int answer = wasi_wait_for(t->call, fd, t->writing ? POLLOUT : POLLIN);
    return answer == WASI_WAIT ? WASI_WAIT : failed(t, answer);
}

/* ---- regular files ---- */

/* How much of the piece may be written, and where the file ends before it. */
static int clip(struct transfer *t, uint64_t *ret_begin, uint64_t *ret_size)
{
    const struct wasi_descriptor *file = t->descriptor;
    struct stat st;
    uint64_t room, end;
    if (fstat(file->fd, &st) != 0) {
        return wasi_errno(errno);
    }
    *ret_size = (uint64_t)st.st_size;
    *ret_begin = t->offset + t->call->wasi->pending_done;
    if ((file->flags & WASI_FDFLAG_APPEND) != 0) {
        *ret_begin = *ret_size;
    } else if (!t->positional) {
        const off_t at = lseek(file->fd, 0, SEEK_CUR);
        if (at < 0) {
            return wasi_errno(errno);
        }
        *ret_begin = (uint64_t)at;
    }
    if (*ret_begin > INT64_MAX - t->size) {
        return WASI_EFBIG;
    }
    const int result = wasi_ledger_room(t->call->wasi, file->root, file->dev, file->ino, &room);
    if (result != WASI_SUCCESS) {
        return result;
    }
    if (bv_ckd_add(&end, *ret_size, room) || end >= *ret_begin + t->size) {
        return WASI_SUCCESS;
    }
    wasi_deny_storage(t->call);
    if (end <= *ret_begin) {
        wasi_ledger_change(t->call->wasi, file->dev, file->ino, 0);
        return WASI_ENOSPC;
    }
    cut(t, (size_t)(end - *ret_begin));
    return WASI_SUCCESS;
}

static int write_file(struct transfer *t)
{
    const struct wasi_descriptor *file = t->descriptor;
    uint64_t begin = 0, size = 0;
    if (t->total == 0) {
        return done(t);
    }
    int result = wasi_may_change(t->call, file);
    if (result == WASI_SUCCESS) {
        result = clip(t, &begin, &size);
    }
    if (result != WASI_SUCCESS) {
        return failed(t, result);
    }
    const ssize_t n = file_move(t);
    const uint64_t end = begin + (n > 0 ? (uint64_t)n : 0);
    wasi_ledger_change(t->call->wasi, file->dev, file->ino,
                       n > 0 && end > size ? (int64_t)(end - size) : 0);
    if (n < 0) {
        return failed(t, wasi_errno((int)-n));
    }
    const bool whole = (size_t)n == t->size;
    moved(t, (size_t)n);
    return whole && t->call->wasi->pending_done < t->total ? wasi_go_on(t->call) : done(t);
}

static int read_file(struct transfer *t)
{
    if (t->total == 0) {
        return done(t);
    }
    const ssize_t n = file_move(t);
    if (n < 0) {
        return failed(t, wasi_errno((int)-n));
    }
    const bool whole = (size_t)n == t->size;
    moved(t, (size_t)n);
    return whole && t->call->wasi->pending_done < t->total ? wasi_go_on(t->call) : done(t);
}

/* ---- streams ---- */

static int move_stream(struct transfer *t)
{
    if (t->total == 0) {
        return done(t);
    }
    struct pollfd ready = { .fd = t->descriptor->fd, .events = t->writing ? POLLOUT : POLLIN };
    if (poll(&ready, 1, 0) == 0) {
        return blocked(t, t->descriptor->fd);
    }
    if (t->writing) {
        cut(t, WASI_STREAM_WRITE_BYTES);
    }
    const ssize_t n = stream_move(t);
    if (n == -EAGAIN) {
        return blocked(t, t->descriptor->fd);
    }
    if (n < 0) {
        return failed(t, wasi_errno((int)-n));
    }
    moved(t, (size_t)n);
    if (t->descriptor->fd == t->call->wasi->options.stdin_fd && !t->writing) {
        t->call->wasi->usage.stdin_bytes += (uint64_t)n;
    }
    return t->writing && t->call->wasi->pending_done < t->total ? wasi_go_on(t->call) : done(t);
}

static int write_sink(struct transfer *t)
{
    const struct bv_wasi_sink *sink = &t->call->wasi->options.sink;
    for (int i = 0; i < t->vector_count; i++) {
        int wait_fd = -1;
        const struct iovec *vector = &t->vectors[i];
        const int64_t n = sink->write(sink->context, t->descriptor->fd, vector->iov_base,
                                      vector->iov_len, &wait_fd);
        if (n < 0) {
            return failed(t, wasi_errno((int)-n));
        }
        BV_ASSERT((size_t)n <= vector->iov_len);
        moved(t, (size_t)n);
        if ((size_t)n < vector->iov_len) {
            return blocked(t, wait_fd);
        }
    }
    return t->call->wasi->pending_done < t->total ? wasi_go_on(t->call) : done(t);
}

/* ---- calls ---- */

static int transfer(struct wasi_call *call, bool writing, bool positional)
{
    const union bv_wasm_value *args = call->args;
    struct transfer t = { .call = call, .writing = writing, .positional = positional };
    t.offset = positional ? args[3].i64 : 0;
    t.ret_offset = args[positional ? 4 : 3].i32;
    int result = wasi_look(call, args[0].i32, &t.descriptor);
    if (result != WASI_SUCCESS) {
        return result;
    }
    const enum wasi_kind kind = t.descriptor->kind;
    if (kind == WASI_DIRECTORY) {
        return WASI_EISDIR;
    }
    if (positional && kind != WASI_FILE) {
        return WASI_ESPIPE;
    }
    const uint64_t right = writing ? WASI_RIGHT_FD_WRITE : WASI_RIGHT_FD_READ;
    result = wasi_hold(call, t.descriptor, right | (positional ? WASI_RIGHT_FD_SEEK : 0));
    if (result == WASI_SUCCESS && !wasi_memory(call, t.ret_offset, 4)) {
        result = WASI_EFAULT;
    }
    if (result == WASI_SUCCESS) {
        result = gather(&t, args[1].i32, args[2].i32, WASI_PIECE_BYTES);
    }
    if (result == WASI_SUCCESS && t.offset > INT64_MAX - t.total) {
        result = WASI_EINVAL;
    }
    if (result != WASI_SUCCESS) {
        return result;
    }
    switch (kind) {
    case WASI_FILE: return writing ? write_file(&t) : read_file(&t);
    case WASI_STREAM: return move_stream(&t);
    case WASI_SINK: return write_sink(&t);
    case WASI_EMPTY: return done(&t);
    case WASI_FREE:
    case WASI_DIRECTORY: break;
    }
    BV_UNREACHABLE();
}

int wasi_fd_read(struct wasi_call *call)
{
    return transfer(call, false, false);
}

int wasi_fd_pread(struct wasi_call *call)
{
    return transfer(call, false, true);
}

int wasi_fd_write(struct wasi_call *call)
{
    return transfer(call, true, false);
}

int wasi_fd_pwrite(struct wasi_call *call)
{
    return transfer(call, true, true);
}
