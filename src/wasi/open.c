/* wasi/open.c - path_open, and the calls that ask or change what a path leads to.
 *
 * An open looks first (O_PATH: no effect, no waiting) and opens then, without following anything that it did not see: the
 * second resolution must arrive at the same inode. So a device is refused before its driver hears of it, a pipe without a
 * peer makes nobody wait, and the guest's limits are asked before there is a file. */
#include "wasi/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
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
    bool entered; /* the thing is a root by itself, and found in another */
    struct wasi_layers *layers; /* of what was opened */
    char where[PATH_MAX];
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

/* ---- in layers ---- */

/* A name that nobody has is made: in a staged root in the upper layer. */
static int create_at(struct opening *o, struct wasi_spot *spot, int *ret_fd)
{
    if (spot->slash) {
        return WASI_EISDIR;
    }
    int result = wasi_path_may(o->call, o->dir, o->path, o->root, BV_WASI_WRITE);
    if (result == WASI_SUCCESS && (o->base & WASI_RIGHT_FD_READ) != 0) {
        result = wasi_path_may(o->call, o->dir, o->path, o->root, BV_WASI_READ);
    }
    if (result != WASI_SUCCESS) {
        return result;
    }
    struct bv_wasi *wasi = o->call->wasi;
    if (wasi->roots[o->root].staged) {
        return wasi_staged_create(o->call, spot, file_flags(o), ret_fd);
    }
    result = wasi_names_room(o->call);
    if (result != WASI_SUCCESS) {
        return result;
    }
    const int fd = wasi_within(spot->node.lower, spot->name,
                               file_flags(o) | (uint64_t)(O_CREAT | O_EXCL | O_NOFOLLOW), 0666);
    if (fd < 0) { /* somebody was faster: it is there then */
        return fd == -EEXIST && (o->oflags & WASI_OFLAG_EXCL) == 0 ? WASI_EAGAIN : wasi_errno(-fd);
    }
    wasi_names_change(wasi, 1);
    *ret_fd = fd;
    return WASI_SUCCESS;
}

/* A directory for reading, in each layer that has it. */
static int open_directory_at(struct opening *o, const struct wasi_entry *found, int *ret_fd)
{
    struct bv_wasi *wasi = o->call->wasi;
    const uint64_t flags = O_RDONLY | O_DIRECTORY;
    const struct wasi_root *root = &wasi->roots[o->root];
    const bool entered = o->entered && root->staged; /* the spot is of the root around it, which has the lower part alone */
    const int upper_path = entered ? root->upper : found->upper ? found->fd : -1;
    const int lower_path = entered ? root->fd : found->upper ? found->below : found->fd;
    const int upper = upper_path >= 0 ? wasi_within(upper_path, ".", flags, 0) : -1;
    const int lower = lower_path >= 0 ? wasi_within(lower_path, ".", flags, 0) : -1;
    int result = upper < 0 && upper_path >= 0   ? wasi_errno(-upper)
                 : lower < 0 && lower_path >= 0 ? wasi_errno(-lower)
                                                : WASI_SUCCESS;
    if (result == WASI_SUCCESS && root->staged && lower >= 0) {
        o->layers = wasi_layers_new(wasi, upper, lower, o->where);
        result = o->layers ? WASI_SUCCESS : WASI_ENOMEM;
    }
    if (result != WASI_SUCCESS) {
        if (upper >= 0) {
            (void)close(upper);
        }
        if (lower >= 0) {
            (void)close(lower);
        }
        return result;
    }
    *ret_fd = upper >= 0 ? upper : lower;
    return WASI_SUCCESS;
}

/* The copy that is written to in the place of a lower file. */
static int copy_for_writing(struct opening *o, struct wasi_spot *spot)
{
    if (!S_ISREG(spot->found.stat.st_mode)) {
        wasi_deny_path(o->call, BV_WASI_DENIED_DEVICE, o->dir, o->path);
        return WASI_EACCES; /* what is written to it would reach the host */
    }
    const int may = wasi_layer_may(spot->found.fd, W_OK);
    return may < 0 ? wasi_errno(-may) : wasi_copy_up(o->call, spot, (o->oflags & WASI_OFLAG_TRUNC) == 0);
}

static int open_file_at(struct opening *o, struct wasi_spot *spot, int *ret_fd, struct stat *ret_stat)
{
    struct bv_wasi *wasi = o->call->wasi;
    const bool staged = wasi->roots[o->root].staged;
    int result = WASI_SUCCESS;
    if (staged && !spot->found.upper && wants_write(o)) {
        result = copy_for_writing(o, spot);
    }
    if (result != WASI_SUCCESS) {
        return result;
    }
    const int fd = wasi_within(spot->found.upper ? spot->node.upper : spot->node.lower, spot->name,
                               file_flags(o) | (uint64_t)O_NOFOLLOW, 0);
    if (fd < 0) {
        return wasi_errno(-fd);
    }
    if (fstat(fd, ret_stat) != 0 || ret_stat->st_ino != spot->found.stat.st_ino ||
        ret_stat->st_dev != spot->found.stat.st_dev) {
        (void)close(fd);
        return WASI_EAGAIN;
    }
    if (staged && !spot->found.upper && S_ISREG(ret_stat->st_mode)) {
        o->layers = wasi_layers_new(wasi, -1, fd, o->where);
        if (!o->layers) {
            (void)close(fd);
            return WASI_ENOMEM;
        }
    }
    *ret_fd = fd;
    return WASI_SUCCESS;
}

/* Where in its root the found thing lies, for as long as the lower layer has a part in it. */
static int name_place(struct opening *o, const struct wasi_spot *spot)
{
    const char *where = o->entered ? "" : spot->node.where, *name = o->entered ? "" : spot->name;
    const int size = snprintf(o->where, sizeof(o->where), "%s%s%s", where, where[0] != '\0' && name[0] != '\0' ? "/" : "", name);
    return size < (int)sizeof(o->where) ? WASI_SUCCESS : WASI_ENAMETOOLONG;
}

/* look_and_open() where roots have layers. WASI_WAIT: a file is being copied. */
static int walk_and_open(struct opening *o, int *ret_fd, struct stat *ret_stat)
{
    struct wasi_spot spot;
    int result = wasi_walk(o->call, o->dir, o->path, o->follow ? WASI_LINKS_FOLLOW : WASI_LINKS_STAY, &spot);
    if (result != WASI_SUCCESS) {
        return result;
    }
    o->root = spot.root;
    o->entered = spot.root != spot.node.root;
    if (spot.found.fd < 0) {
        result = (o->oflags & WASI_OFLAG_CREAT) != 0 ? create_at(o, &spot, ret_fd) : WASI_ENOENT;
        if (result == WASI_SUCCESS) {
            result = wasi_result(fstat(*ret_fd, ret_stat));
            wasi_ledger_forget(o->call->wasi, ret_stat->st_dev, ret_stat->st_ino); /* of another file that had this inode */
        }
    } else if (spot.slash && !S_ISDIR(spot.found.stat.st_mode)) {
        result = WASI_ENOTDIR;
    } else {
        *ret_stat = spot.found.stat;
        result = judge(o, ret_stat);
        result = result == WASI_SUCCESS ? name_place(o, &spot) : result;
        if (result == WASI_SUCCESS) {
            result = S_ISDIR(ret_stat->st_mode) ? open_directory_at(o, &spot.found, ret_fd)
                                                : open_file_at(o, &spot, ret_fd, ret_stat);
        }
    }
    wasi_spot_done(&spot);
    return result;
}

/* ---- the descriptor ---- */

static struct wasi_descriptor describe(const struct opening *o, int fd, const struct stat *st)
{
    struct wasi_descriptor made = { .type = wasi_filetype(st->st_mode),
                                    .fd = fd,
                                    .root = o->root,
                                    .dev = st->st_dev,
                                    .ino = st->st_ino,
                                    .layers = o->layers,
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
    if (result != WASI_SUCCESS && o->layers) {
        wasi_layers_free(o->call->wasi, o->layers);
    } else if (result != WASI_SUCCESS) {
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
        result = call->wasi->layered ? walk_and_open(&o, &fd, &st) : look_and_open(&o, &fd, &st);
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

/* Of the copy in the upper layer. */
static int set_staged_times(struct wasi_call *call, const struct wasi_descriptor *dir, const char *path)
{
    struct wasi_spot spot;
    int result = wasi_walk(call, dir, path, (call->args[1].i32 & WASI_LOOKUP_FOLLOW) != 0 ? WASI_LINKS_FOLLOW : WASI_LINKS_STAY, &spot);
    if (result != WASI_SUCCESS) {
        return result;
    }
    if (spot.found.fd < 0 || spot.root != spot.node.root) {
        result = spot.found.fd < 0 ? WASI_ENOENT : WASI_EBUSY; /* a root by itself, seen from around it */
    }
    if (result == WASI_SUCCESS && !spot.found.upper) {
        result = wasi_may_set_times(spot.found.fd);
        result = result == WASI_SUCCESS ? wasi_copy_up(call, &spot, true) : result;
    }
    if (result == WASI_SUCCESS) {
        result = wasi_set_times(call, spot.found.fd, call->args[4].i64, call->args[5].i64, call->args[6].i32);
    }
    wasi_spot_done(&spot);
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
    if (result == WASI_SUCCESS && call->wasi->roots[root].staged) {
        (void)close(fd);
        return set_staged_times(call, dir, path);
    }
    if (result == WASI_SUCCESS) {
        result = wasi_set_times(call, fd, call->args[4].i64, call->args[5].i64, call->args[6].i32);
    }
    (void)close(fd);
    return result;
}
