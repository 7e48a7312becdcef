/* wasi/file.c - what is done to an open file besides moving bytes: position, advice, allocation, durability. */
#include "wasi/state.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define ALLOCATE_PIECE_BYTES (16u << 20) /* a file system in memory clears each page of it */

/* A regular file of this number that holds these rights; other_kind is the answer for what cannot be one at all. */
static int take_file(struct wasi_call *call, uint64_t rights, int other_kind,
                     struct wasi_descriptor **ret_file)
{
    const int result = wasi_look(call, call->args[0].i32, ret_file);
    if (result != WASI_SUCCESS) {
        return result;
    }
    if ((*ret_file)->kind != WASI_FILE) {
        return (*ret_file)->kind == WASI_DIRECTORY && other_kind != WASI_EBADF ? WASI_EISDIR
                                                                               : other_kind;
    }
    return wasi_hold(call, *ret_file, rights);
}

int wasi_fd_advise(struct wasi_call *call)
{
    static const int host[] = { POSIX_FADV_NORMAL,   POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM,
                                POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED,   POSIX_FADV_NOREUSE };
    struct wasi_descriptor *file;
    const uint64_t offset = call->args[1].i64, length = call->args[2].i64;
    const uint32_t advice = call->args[3].i32;
    const int result = take_file(call, WASI_RIGHT_FD_ADVISE, WASI_EBADF, &file);
    if (result != WASI_SUCCESS) {
        return result;
    }
    if (advice >= sizeof(host) / sizeof(host[0]) || offset > INT64_MAX || length > INT64_MAX) {
        return WASI_EINVAL;
    }
    const int error = posix_fadvise(file->fd, (off_t)offset, (off_t)length, host[advice]);
    return error != 0 ? wasi_errno(error) : WASI_SUCCESS;
}

/* One piece; the size that the file has then is accounted for. */
static int allocate(struct wasi_call *call, const struct wasi_descriptor *file, uint64_t offset,
                    uint64_t length)
{
    struct stat before, after;
    uint64_t room;
    int result = wasi_result(fstat(file->fd, &before));
    if (result == WASI_SUCCESS) {
        result = wasi_ledger_room(call->wasi, file->root, file->dev, file->ino, &room);
    }
    if (result != WASI_SUCCESS) {
        return result;
    }
    const uint64_t size = (uint64_t)before.st_size, end = offset + length;
    if (end > size && end - size > room) {
        wasi_deny_storage(call);
        result = WASI_ENOSPC;
    } else {
        do {
            result = wasi_result(fallocate(file->fd, 0, (off_t)offset, (off_t)length));
        } while (result == WASI_EINTR);
    }
    const bool known = fstat(file->fd, &after) == 0;
    wasi_ledger_change(call->wasi, file->dev, file->ino,
                       known ? after.st_size - before.st_size : 0);
    return result;
}

int wasi_fd_allocate(struct wasi_call *call)
{
    struct bv_wasi *wasi = call->wasi;
    struct wasi_descriptor *file;
    const uint64_t offset = call->args[1].i64, length = call->args[2].i64;
    int result = take_file(call, WASI_RIGHT_FD_ALLOCATE, WASI_ESPIPE, &file);
    if (result == WASI_SUCCESS) {
        result = wasi_may_change(call, file);
    }
    if (result != WASI_SUCCESS) {
        return result;
    }
    if (length == 0) {
        return WASI_EINVAL;
    }
    if (offset > INT64_MAX || length > INT64_MAX - offset) {
        return WASI_EFBIG;
    }
    const uint64_t left = length - wasi->pending_done;
    const uint64_t piece = left < ALLOCATE_PIECE_BYTES ? left : ALLOCATE_PIECE_BYTES;
    if (wasi->pending_done == 0) { /* all of it must have room before any of it is made */
        struct stat st;
        uint64_t room;
        result = wasi_result(fstat(file->fd, &st));
        if (result == WASI_SUCCESS) {
            result = wasi_ledger_room(wasi, file->root, file->dev, file->ino, &room);
        }
        if (result != WASI_SUCCESS) {
            return result;
        }
        wasi_ledger_change(wasi, file->dev, file->ino, 0);
        if (offset + length > (uint64_t)st.st_size &&
            offset + length - (uint64_t)st.st_size > room) {
            wasi_deny_storage(call);
            return WASI_ENOSPC;
        }
    }
    result = allocate(call, file, offset + wasi->pending_done, piece);
    wasi_charge_bytes(call, piece);
    wasi->pending_done += piece;
    return result == WASI_SUCCESS && wasi->pending_done < length ? wasi_go_on(call) : result;
}

static int flush(struct wasi_call *call, uint64_t right, int (*flush_fd)(int fd))
{
    struct wasi_descriptor *descriptor;
    int result = wasi_look(call, call->args[0].i32, &descriptor);
    if (result != WASI_SUCCESS) {
        return result;
    }
    if (descriptor->kind != WASI_FILE && descriptor->kind != WASI_DIRECTORY) {
        return WASI_EINVAL; /* as fsync(2) has it for a pipe */
    }
    result = wasi_hold(call, descriptor, right);
    return result == WASI_SUCCESS ? wasi_result(flush_fd(descriptor->fd)) : result;
}

int wasi_fd_datasync(struct wasi_call *call)
{
    return flush(call, WASI_RIGHT_FD_DATASYNC, fdatasync);
}

int wasi_fd_sync(struct wasi_call *call)
{
    return flush(call, WASI_RIGHT_FD_SYNC, fsync);
}

static int seek(struct wasi_call *call, uint64_t right, int64_t offset, int whence,
                uint32_t ret_offset)
{
    struct wasi_descriptor *file;
    const int result = take_file(call, right, WASI_ESPIPE, &file);
    if (result != WASI_SUCCESS) {
        return result;
    }
    if (!wasi_memory(call, ret_offset, 8)) {
        return WASI_EFAULT;
    }
    const off_t at = lseek(file->fd, (off_t)offset, whence);
    return at < 0 ? wasi_errno(errno) : wasi_store_u64(call, ret_offset, (uint64_t)at);
}

int wasi_fd_seek(struct wasi_call *call)
{
    static const int host[] = { SEEK_SET, SEEK_CUR, SEEK_END };
    const int64_t offset = (int64_t)call->args[1].i64;
    const uint32_t whence = call->args[2].i32;
    if (whence > WASI_WHENCE_END) {
        return WASI_EINVAL;
    }
    /* Where it stands may be asked with the right to tell alone. */
    const uint64_t right =
        offset == 0 && whence == WASI_WHENCE_CUR ? WASI_RIGHT_FD_TELL : WASI_RIGHT_FD_SEEK;
    return seek(call, right, offset, host[whence], call->args[3].i32);
}

int wasi_fd_tell(struct wasi_call *call)
{
    return seek(call, WASI_RIGHT_FD_TELL, 0, SEEK_CUR, call->args[1].i32);
}
