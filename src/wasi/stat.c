/* wasi/stat.c - what a descriptor is and what it is open on: fdstat and filestat, asked and set. */
#include "wasi/state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

#define NANOS 1000000000u

/* ---- fdstat ---- */

int wasi_fd_fdstat_get(struct wasi_call *call)
{
    struct wasi_descriptor *descriptor;
    const int result = wasi_look(call, call->args[0].i32, &descriptor);
    if (result != WASI_SUCCESS) {
        return result;
    }
    uint8_t *at = wasi_memory(call, call->args[1].i32, WASI_FDSTAT_BYTES);
    if (!at) {
        return WASI_EFAULT;
    }
    memset(at, 0, WASI_FDSTAT_BYTES);
    wasi_put(at, descriptor->type, 1);
    wasi_put(at + 2, descriptor->flags, 2);
    wasi_put(at + 8, descriptor->base, 8);
    wasi_put(at + 16, descriptor->inheriting, 8);
    return WASI_SUCCESS;
}

/* NONBLOCK is ours alone: no host descriptor is ever waited on. APPEND is the kernel's, on a description of our own; that of
 * a borrowed descriptor is shared with the host and stays as it is, as do the sync flags of every open file on Linux. */
int wasi_fd_fdstat_set_flags(struct wasi_call *call)
{
    struct wasi_descriptor *descriptor;
    const uint32_t flags = call->args[1].i32;
    int result = wasi_take(call, call->args[0].i32, WASI_RIGHT_FD_FDSTAT_SET_FLAGS, &descriptor);
    if (result != WASI_SUCCESS) {
        return result;
    }
    if ((flags & ~WASI_FDFLAGS_ALL) != 0) {
        return WASI_EINVAL;
    }
    const uint32_t changed = flags ^ descriptor->flags;
    if ((changed & ~(WASI_FDFLAG_APPEND | WASI_FDFLAG_NONBLOCK)) != 0) {
        return WASI_ENOTSUP;
    }
    if ((changed & WASI_FDFLAG_APPEND) != 0) {
        if (descriptor->kind != WASI_FILE || descriptor->borrowed) {
            return WASI_ENOTSUP;
        }
        const int host = (flags & WASI_FDFLAG_APPEND) != 0 ? O_APPEND | O_NONBLOCK : O_NONBLOCK;
        result = wasi_result(fcntl(descriptor->fd, F_SETFL, host));
    }
    if (result == WASI_SUCCESS) {
        descriptor->flags = (uint16_t)flags;
    }
    return result;
}

int wasi_fd_fdstat_set_rights(struct wasi_call *call)
{
    struct wasi_descriptor *descriptor;
    const uint64_t base = call->args[1].i64, inheriting = call->args[2].i64;
    const int result = wasi_look(call, call->args[0].i32, &descriptor);
    if (result != WASI_SUCCESS) {
        return result;
    }
    const uint64_t more = (base & ~descriptor->base) | (inheriting & ~descriptor->inheriting);
    if (more != 0) {
        wasi_deny(call, BV_WASI_DENIED_RIGHT,
                  "descriptor %u asks for rights %#llx that it does not hold", call->args[0].i32,
                  (unsigned long long)more);
        return WASI_ENOTCAPABLE;
    }
    descriptor->base = base;
    descriptor->inheriting = inheriting;
    return WASI_SUCCESS;
}

/* ---- filestat ---- */

static uint64_t nanos_of(const struct timespec *time)
{
    return time->tv_sec < 0 ? 0
                            : (uint64_t)time->tv_sec * NANOS +
                                  (uint64_t)time->tv_nsec; /* WASI has no time before 1970 */
}

void wasi_put_filestat(uint8_t *at, const struct stat *stat)
{
    memset(at, 0, WASI_FILESTAT_BYTES);
    wasi_put(at, stat->st_dev, 8);
    wasi_put(at + 8, stat->st_ino, 8);
    wasi_put(at + 16, wasi_filetype(stat->st_mode), 1);
    wasi_put(at + 24, stat->st_nlink, 8);
    wasi_put(at + 32, (uint64_t)stat->st_size, 8);
    wasi_put(at + 40, nanos_of(&stat->st_atim), 8);
    wasi_put(at + 48, nanos_of(&stat->st_mtim), 8);
    wasi_put(at + 56, nanos_of(&stat->st_ctim), 8);
}

int wasi_fd_filestat_get(struct wasi_call *call)
{
    struct wasi_descriptor *descriptor;
    struct stat st = { 0 };
    int result = wasi_take(call, call->args[0].i32, WASI_RIGHT_FD_FILESTAT_GET, &descriptor);
    if (result != WASI_SUCCESS) {
        return result;
    }
    uint8_t *at = wasi_memory(call, call->args[1].i32, WASI_FILESTAT_BYTES);
    if (!at) {
        return WASI_EFAULT;
    }
    const int refreshed = wasi_layers_refresh(call->wasi, descriptor);
    if (refreshed < 0) {
        return wasi_errno(-refreshed);
    }
    if (descriptor->kind != WASI_SINK && descriptor->kind != WASI_EMPTY) {
        result = wasi_result(fstat(descriptor->fd, &st));
    }
    if (result == WASI_SUCCESS && descriptor->layers) { /* the number that it had before it came into the upper layer */
        st.st_dev = descriptor->dev;
        st.st_ino = descriptor->ino;
    }
    if (result == WASI_SUCCESS) {
        wasi_put_filestat(at, &st);
    }
    return result;
}

int wasi_set_size(struct wasi_call *call, const struct wasi_descriptor *descriptor, uint64_t size)
{
    struct bv_wasi *wasi = call->wasi;
    struct stat st;
    uint64_t room;
    if (size > INT64_MAX) {
        return WASI_EFBIG;
    }
    int result = wasi_result(fstat(descriptor->fd, &st));
    if (result == WASI_SUCCESS) {
        result = wasi_ledger_room(wasi, descriptor->root, descriptor->dev, descriptor->ino, &room);
    }
    if (result != WASI_SUCCESS) {
        return result;
    }
    const int64_t change = (int64_t)size - st.st_size;
    if (change > 0 && (uint64_t)change > room) {
        wasi_deny_storage(call);
        result = WASI_ENOSPC;
    } else {
        result = wasi_result(ftruncate(descriptor->fd, (off_t)size));
    }
    wasi_ledger_change(wasi, descriptor->dev, descriptor->ino, result == WASI_SUCCESS ? change : 0);
    return result;
}

int wasi_fd_filestat_set_size(struct wasi_call *call)
{
    struct wasi_descriptor *descriptor;
    int result = wasi_look(call, call->args[0].i32, &descriptor);
    if (result == WASI_SUCCESS && descriptor->kind != WASI_FILE) {
        result = descriptor->kind == WASI_DIRECTORY ? WASI_EISDIR : WASI_EINVAL;
    }
    if (result == WASI_SUCCESS) {
        result = wasi_hold(call, descriptor, WASI_RIGHT_FD_FILESTAT_SET_SIZE);
    }
    if (result == WASI_SUCCESS) {
        result = wasi_may_change(call, descriptor);
    }
    return result == WASI_SUCCESS ? wasi_set_size(call, descriptor, call->args[1].i64) : result;
}

/* ---- times ---- */

static struct timespec time_to_set(const struct bv_wasi *wasi, uint64_t nanos, bool set, bool now)
{
    if (now && !wasi->options.frozen) {
        return (struct timespec){ 0, UTIME_NOW };
    }
    if (!set && !now) {
        return (struct timespec){ 0, UTIME_OMIT };
    }
    const uint64_t time = now ? wasi_now_ns(wasi, WASI_CLOCK_REALTIME) : nanos;
    return (struct timespec){ (time_t)(time / NANOS), (long)(time % NANOS) };
}

int wasi_set_times(struct wasi_call *call, int fd, uint64_t atim, uint64_t mtim, uint32_t flags)
{
    const bool set_a = (flags & WASI_FST_ATIM) != 0, now_a = (flags & WASI_FST_ATIM_NOW) != 0;
    const bool set_m = (flags & WASI_FST_MTIM) != 0, now_m = (flags & WASI_FST_MTIM_NOW) != 0;
    if ((flags & ~WASI_FST_ALL) != 0 || (set_a && now_a) || (set_m && now_m)) {
        return WASI_EINVAL;
    }
    const struct timespec times[2] = { time_to_set(call->wasi, atim, set_a, now_a),
                                       time_to_set(call->wasi, mtim, set_m, now_m) };
    return wasi_result(utimensat(fd, "", times, AT_EMPTY_PATH));
}

/* Of what is still the lower layer's: its owner's alone, as a copy of it would be anybody's. */
int wasi_may_set_times(int fd)
{
    struct stat st;
    const int result = wasi_result(fstat(fd, &st));
    return result == WASI_SUCCESS && st.st_uid != geteuid() ? WASI_EPERM : result;
}

int wasi_fd_filestat_set_times(struct wasi_call *call)
{
    struct wasi_descriptor *descriptor;
    int result = wasi_take(call, call->args[0].i32, WASI_RIGHT_FD_FILESTAT_SET_TIMES, &descriptor);
    if (result == WASI_SUCCESS) {
        result = wasi_may_change(call, descriptor);
    }
    if (result == WASI_SUCCESS && descriptor->layers) {
        result = wasi_may_set_times(descriptor->fd);
        result = result == WASI_SUCCESS ? wasi_copy_up_descriptor(call, descriptor) : result;
    }
    if (result != WASI_SUCCESS) {
        return result;
    }
    BV_ASSERT(descriptor->kind == WASI_FILE || descriptor->kind == WASI_DIRECTORY);
    return wasi_set_times(call, descriptor->fd, call->args[1].i64, call->args[2].i64,
                          call->args[3].i32);
}
