/* wasi/open.c - path_open, and the calls that ask or change what a path leads to.
 *
 * An open looks first (O_PATH: no effect, no waiting) and opens then, without following anything that it did not see: the
 * second resolution must arrive at the same inode. So a device is refused before its driver hears of it, a pipe without a
 * peer makes nobody wait, and the guest's limits are asked before there is a file. */
#include "wasi/state.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SWAP_TRIES 8 /* how often somebody may exchange the file between the look and the open */

struct opening {
    struct wasi_call *call;
    const struct wasi_descriptor *dir;
    const char *path;
    bool follow;
    uint32_t oflags, fdflags;
    uint64_t base, inheriting;
    size_t root;
};

/* The memory devices that every program may expect: null, zero, full, random, urandom. */
static bool is_harmless_device(const struct stat *st)
{
    const unsigned minor = minor(st->st_rdev);
    return S_ISCHR(st->st_mode) && major(st->st_rdev) == 1 &&
           (minor == 3 || minor == 5 || (minor >= 7 && minor <= 9));
}

static bool wants_write(const struct opening *o)
{
    return (o->base & WASI_RIGHTS_WRITING) != 0 || (o->oflags & WASI_OFLAG_TRUNC) != 0;
}

static uint64_t file_flags(const struct opening *o)
{
    const bool reading = (o->base & WASI_RIGHT_FD_READ) != 0, writing = wants_write(o);
    int flags = writing ? (reading ? O_RDWR : O_WRONLY) : O_RDONLY;
    flags |= O_NONBLOCK | O_NOCTTY;
    flags |= (o->fdflags & WASI_FDFLAG_APPEND) != 0 ? O_APPEND : 0;
    flags |= (o->fdflags & WASI_FDFLAG_DSYNC) != 0 ? O_DSYNC : 0;
    flags |= (o->fdflags & (WASI_FDFLAG_SYNC | WASI_FDFLAG_RSYNC)) != 0 ? O_SYNC : 0;
    return (uint64_t)flags;
}

/* May what was found be opened as asked? */
static int judge(const struct opening *o, const struct stat *st)
{
    if ((o->oflags & WASI_OFLAG_EXCL) != 0 && (o->oflags & WASI_OFLAG_CREAT) != 0) {
        return WASI_EEXIST;
    }
    if (S_ISLNK(st->st_mode)) {
        return WASI_ELOOP;
    }
    if (S_ISDIR(st->st_mode)) {
        if ((o->base & WASI_RIGHT_FD_WRITE) != 0 ||
            (o->oflags & (WASI_OFLAG_CREAT | WASI_OFLAG_TRUNC)) != 0) {
            return WASI_EISDIR;
        }
        return (o->base & WASI_RIGHT_FD_READDIR) != 0
                   ? wasi_path_may(o->call, o->dir, o->path, o->root, BV_WASI_READ)
                   : WASI_SUCCESS;
    }
    if ((o->oflags & WASI_OFLAG_DIRECTORY) != 0) {
        return WASI_ENOTDIR;
    }
    if (!S_ISREG(st->st_mode) && !S_ISFIFO(st->st_mode) && !is_harmless_device(st)) {
        wasi_deny_path(o->call, BV_WASI_DENIED_DEVICE, o->dir, o->path);
        return S_ISSOCK(st->st_mode) ? WASI_ENXIO : WASI_EACCES;
    }
    int result = wants_write(o) ? wasi_path_may(o->call, o->dir, o->path, o->root, BV_WASI_WRITE)
                                : WASI_SUCCESS;
    if (result == WASI_SUCCESS && (o->base & WASI_RIGHT_FD_READ) != 0) {
        result = wasi_path_may(o->call, o->dir, o->path, o->root, BV_WASI_READ);
    }
    return result;
}

static int create(const struct opening *o, int *ret_fd, struct stat *ret_stat)
{
    struct bv_wasi *wasi = o->call->wasi;
    int result = wasi_path_may(o->call, o->dir, o->path, o->root, BV_WASI_WRITE);
    if (result == WASI_SUCCESS && (o->base & WASI_RIGHT_FD_READ) != 0) {
        result = wasi_path_may(o->call, o->dir, o->path, o->root, BV_WASI_READ);
    }
    if (result == WASI_SUCCESS) {
        result = wasi_names_room(o->call);
    }
    if (result == WASI_SUCCESS) {
        const int exclusive = (o->oflags & WASI_OFLAG_EXCL) != 0 ? O_EXCL : 0,
                  stay = o->follow ? 0 : O_NOFOLLOW;
        const uint64_t flags = file_flags(o) | (uint64_t)(O_CREAT | exclusive | stay);
        result = wasi_path_open_beneath(o->call, o->dir, o->path, flags, 0666, ret_fd);
    }
    if (result != WASI_SUCCESS) {
        return result;
    }
    if (fstat(*ret_fd, ret_stat) != 0 || !S_ISREG(ret_stat->st_mode)) {
        (void)close(
            *ret_fd); /* something else was put there meanwhile: it was opened without waiting, and is let go */
        return WASI_EAGAIN;
    }
    wasi_names_change(wasi, 1);
    if (ret_stat->st_size == 0 && ret_stat->st_nlink == 1) {
        wasi_ledger_forget(wasi, ret_stat->st_dev,
                           ret_stat->st_ino); /* of another file that had this inode */
    }
    return WASI_SUCCESS;
}

static int open_found(const struct opening *o, const struct stat *seen, int *ret_fd)
{
    const uint64_t how =
        S_ISDIR(seen->st_mode) ? (uint64_t)(O_RDONLY | O_DIRECTORY) : file_flags(o);
    struct stat got;
    const int result = wasi_path_open_beneath(
        o->call, o->dir, o->path, how | (o->follow ? 0 : (uint64_t)O_NOFOLLOW), 0, ret_fd);
    if (result != WASI_SUCCESS) {
        return result;
    }
    if (fstat(*ret_fd, &got) != 0 || got.st_ino != seen->st_ino || got.st_dev != seen->st_dev) {
        (void)close(*ret_fd);
        return WASI_EAGAIN;
    }
    return WASI_SUCCESS;
}

/* One look and one open. EAGAIN: the file was exchanged between them. */
static int look_and_open(struct opening *o, int *ret_fd, struct stat *ret_stat)
{
    int look;
    int result = wasi_path_find(o->call, o->dir, o->path, o->follow, &look, ret_stat, &o->root);
    if (result == WASI_ENOENT && (o->oflags & WASI_OFLAG_CREAT) != 0) {
        result = wasi_path_root(o->call, o->dir, o->path, o->follow, -1, NULL, &o->root);
        return result == WASI_SUCCESS ? create(o, ret_fd, ret_stat) : result;
    }
    if (result != WASI_SUCCESS) {
        return result;
    }
    result = judge(o, ret_stat);
    if (result == WASI_SUCCESS) {
        result = open_found(o, ret_stat, ret_fd);
    }
    (void)close(
        look); /* held until here, so that the inode's number could not go to another file */
    return result;
}

static struct wasi_descriptor describe(const struct opening *o, int fd, const struct stat *st)
{
    struct wasi_descriptor made = { .type = wasi_filetype(st->st_mode),
                                    .fd = fd,
                                    .root = o->root,
                                    .dev = st->st_dev,
                                    .ino = st->st_ino,
                                    .flags = (uint16_t)o->fdflags };
    if (S_ISDIR(st->st_mode)) {
        made.kind = WASI_DIRECTORY;
        made.base = o->base & WASI_RIGHTS_DIRECTORY;
        made.inheriting = o->inheriting;
        made.flags = 0;
    } else if (S_ISREG(st->st_mode)) {
        made.kind = WASI_FILE;
        made.base = o->base & WASI_RIGHTS_FILE;
    } else {
        made.kind = WASI_STREAM;
        made.base = o->base & wasi_stream_rights(fd, st);
    }
    return made;
}

static int finish(const struct opening *o, int fd, const struct stat *st, uint32_t ret_offset)
{
    const struct wasi_descriptor made = describe(o, fd, st);
    int result = WASI_SUCCESS;
    if ((o->oflags & WASI_OFLAG_TRUNC) != 0 && made.kind == WASI_FILE && st->st_size > 0) {
        result = wasi_set_size(o->call, &made, 0);
    }
    if (result == WASI_SUCCESS) {
        const int number = wasi_table_add(o->call->wasi, &made, -1);
        result = number < 0 ? wasi_errno(-number)
                            : wasi_store_u32(o->call, ret_offset, (uint32_t)number);
    }
    if (result != WASI_SUCCESS) {
        (void)close(fd);
    }
    return result;
}

static int check_flags(const struct opening *o, uint32_t lookup)
{
    const bool odd = (o->oflags & ~WASI_OFLAGS_ALL) != 0 || (o->fdflags & ~WASI_FDFLAGS_ALL) != 0 ||
                     (lookup & ~WASI_LOOKUP_FOLLOW) != 0;
    const bool contrary =
        (o->oflags & WASI_OFLAG_DIRECTORY) != 0 && (o->oflags & WASI_OFLAG_CREAT) != 0;
    return odd || contrary ? WASI_EINVAL : WASI_SUCCESS;
}

/* Bits that preview 1 does not define are dropped: there are libraries that ask for all of them. */
static int check_rights(struct opening *o)
{
    o->base &= WASI_RIGHTS_ALL;
    o->inheriting &= WASI_RIGHTS_ALL;
    const uint64_t excess = (o->base | o->inheriting) & ~o->dir->inheriting;
    if (excess != 0) {
        wasi_deny(o->call, BV_WASI_DENIED_RIGHT,
                  "asks for rights %#llx that its directory cannot hand on",
                  (unsigned long long)excess);
        return WASI_ENOTCAPABLE;
    }
    if (wasi_table_full(o->call->wasi)) {
        o->call->wasi->usage.handles_refused++;
        wasi_deny(o->call, BV_WASI_DENIED_HANDLES, "a descriptor beyond %llu",
                  (unsigned long long)o->call->wasi->options.handles_max);
        return WASI_EMFILE;
    }
    return WASI_SUCCESS;
}

int wasi_path_open(struct wasi_call *call)
{
    const union bv_wasm_value *args = call->args;
    struct opening o = { .call = call,
                         .oflags = args[4].i32,
                         .base = args[5].i64,
                         .inheriting = args[6].i64,
                         .fdflags = args[7].i32 };
    const bool exclusive = (o.oflags & WASI_OFLAG_CREAT) != 0 && (o.oflags & WASI_OFLAG_EXCL) != 0;
    o.follow = (args[1].i32 & WASI_LOOKUP_FOLLOW) != 0 && !exclusive;
    uint64_t right = WASI_RIGHT_PATH_OPEN;
    right |= (o.oflags & WASI_OFLAG_CREAT) != 0 ? WASI_RIGHT_PATH_CREATE_FILE : 0;
    right |= (o.oflags & WASI_OFLAG_TRUNC) != 0 ? WASI_RIGHT_PATH_FILESTAT_SET_SIZE : 0;
    struct wasi_descriptor *dir;
    char path[PATH_MAX];
    int result = wasi_path_directory(call, args[0].i32, right, &dir);
    if (result == WASI_SUCCESS) {
        result = wasi_path_text(call, args[2].i32, args[3].i32, path);
    }
    if (result == WASI_SUCCESS) {
        result = wasi_memory(call, args[8].i32, 4) ? check_flags(&o, args[1].i32) : WASI_EFAULT;
    }
    if (result != WASI_SUCCESS) {
        return result;
    }
    o.dir = dir;
    o.path = path;
    result = check_rights(&o);
    if (result != WASI_SUCCESS) {
        return result;
    }
    struct stat st;
    int fd = -1;
    result = WASI_EAGAIN;
    for (int tries = 0; tries < SWAP_TRIES && result == WASI_EAGAIN; tries++) {
        result = look_and_open(&o, &fd, &st);
    }
    return result == WASI_SUCCESS ? finish(&o, fd, &st, args[8].i32) : result;
}

/* ---- what a path leads to ---- */

static int take_path(struct wasi_call *call, uint64_t right, struct wasi_descriptor **ret_dir,
                     char path[PATH_MAX])
{
    const union bv_wasm_value *args = call->args;
    if ((args[1].i32 & ~WASI_LOOKUP_FOLLOW) != 0) {
        return WASI_EINVAL;
    }
    const int result = wasi_path_directory(call, args[0].i32, right, ret_dir);
    return result == WASI_SUCCESS ? wasi_path_text(call, args[2].i32, args[3].i32, path) : result;
}

int wasi_path_filestat_get(struct wasi_call *call)
{
    struct wasi_descriptor *dir;
    char path[PATH_MAX];
    struct stat st;
    size_t root;
    int fd;
    int result = take_path(call, WASI_RIGHT_PATH_FILESTAT_GET, &dir, path);
    uint8_t *at = wasi_memory(call, call->args[4].i32, WASI_FILESTAT_BYTES);
    if (result == WASI_SUCCESS && !at) {
        result = WASI_EFAULT;
    }
    if (result == WASI_SUCCESS) {
        result = wasi_path_find(call, dir, path, (call->args[1].i32 & WASI_LOOKUP_FOLLOW) != 0, &fd,
                                &st, &root);
    }
    if (result == WASI_SUCCESS) {
        wasi_put_filestat(at, &st);
        (void)close(fd);
    }
    return result;
}

int wasi_path_filestat_set_times(struct wasi_call *call)
{
    struct wasi_descriptor *dir;
    char path[PATH_MAX];
    struct stat st;
    size_t root;
    int fd;
    int result = take_path(call, WASI_RIGHT_PATH_FILESTAT_SET_TIMES, &dir, path);
    if (result == WASI_SUCCESS) {
        result = wasi_path_find(call, dir, path, (call->args[1].i32 & WASI_LOOKUP_FOLLOW) != 0, &fd,
                                &st, &root);
    }
    if (result != WASI_SUCCESS) {
        return result;
    }
    result = wasi_path_may(call, dir, path, root, BV_WASI_WRITE);
    if (result == WASI_SUCCESS) {
        result = wasi_set_times(call, fd, call->args[4].i64, call->args[5].i64, call->args[6].i32);
    }
    (void)close(fd);
    return result;
}
