/* wasi/copy.c - from the lower layer into the upper one, before the guest's first change of it.
 *
 * A file is copied by reference where the file system can, else in pieces, each time that the call is resumed, so that a large one holds the
 * driver up no longer than a large read. It is made in the work directory and gets its name when it is whole. Whoever calls looks the
 * path up anew each time; a copy goes on if it is of what is found, and is dropped with the next call of another kind.
 *
 * The copy may be made by who may write to the original: the guest must not gain by staging what it has not without. It counts whole
 * against the storage limit. Descriptors that are open on the original by that path are moved to the copy, so that they see what is written to it. */
#include "wasi/state.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/check.h"
#include "sys/end.h"

#define TEMPORARY       "copy"
#define ORIGIN          "user.overlay.origin"
#define ATTRIBUTE_BYTES 4096u
#define BUFFER_BYTES    16384u

void wasi_copy_drop(struct bv_wasi *wasi)
{
    struct wasi_copy *copy = &wasi->copy;
    if (copy->active) {
        (void)close(copy->from);
        (void)close(copy->to);
        (void)unlinkat(wasi->roots[copy->root].work, TEMPORARY, 0);
        copy->active = false;
    }
}

/* ---- bytes ---- */

/* One piece, at most; what was moved or -errno. */
static ssize_t move_piece(struct wasi_copy *copy, size_t most)
{
    char buffer[BUFFER_BYTES];
    off_t in = (off_t)copy->at_bytes, out = in;
    ssize_t n;
    do {
        n = copy_file_range(copy->from, &in, copy->to, &out, most, 0);
    } while (n < 0 && errno == EINTR);
    if (n >= 0 || errno == ENOSPC || errno == EDQUOT || errno == EIO) {
        return n < 0 ? -errno : n;
    }
    do { /* two file systems that do not know each other */
        n = pread(copy->from, buffer, most < sizeof(buffer) ? most : sizeof(buffer), (off_t)copy->at_bytes);
    } while (n < 0 && errno == EINTR);
    for (ssize_t done = 0; n > 0 && done < n;) {
        const ssize_t more = pwrite(copy->to, buffer + done, (size_t)(n - done), (off_t)copy->at_bytes + done);
        if (more < 0 && errno != EINTR) {
            return -errno;
        }
        done += more > 0 ? more : 0;
    }
    return n < 0 ? -errno : n;
}

/* The next bytes; holes stay holes. WASI_WAIT: there are more. */
static int go_on(struct wasi_call *call)
{
    struct wasi_copy *copy = &call->wasi->copy;
    for (size_t moved = 0; copy->at_bytes < copy->size_bytes;) {
        const off_t data = lseek(copy->from, (off_t)copy->at_bytes, SEEK_DATA);
        if (data < 0 && errno == ENXIO) {
            break;
        }
        if (data > (off_t)copy->at_bytes) {
            copy->at_bytes = (uint64_t)data;
            continue;
        }
        if (moved >= WASI_PIECE_BYTES) {
            return wasi_go_on(call);
        }
        const uint64_t left = copy->size_bytes - copy->at_bytes;
        const ssize_t n = move_piece(copy, left < WASI_PIECE_BYTES ? (size_t)left : WASI_PIECE_BYTES);
        if (n < 0) {
            return wasi_errno((int)-n);
        }
        if (n == 0) {
            copy->size_bytes = copy->at_bytes; /* the host made it shorter meanwhile */
        }
        copy->at_bytes += (uint64_t)n;
        moved += (size_t)n;
        wasi_charge_bytes(call, (uint64_t)n);
    }
    return wasi_result(ftruncate(copy->to, (off_t)copy->size_bytes));
}

/* ---- a file ---- */

/* Attributes that a program may have given it; those of overlayfs are ours. */
static int copy_attributes(int from, int to)
{
    char names[ATTRIBUTE_BYTES], value[ATTRIBUTE_BYTES];
    const ssize_t size = flistxattr(from, names, sizeof(names));
    if (size < 0) {
        return errno == ENOTSUP ? 0 : -errno;
    }
    for (ssize_t at = 0; at < size; at += (ssize_t)strlen(names + at) + 1) {
        const char *name = names + at;
        if (strncmp(name, "user.", 5) != 0 || strncmp(name, "user.overlay.", 13) == 0) {
            continue;
        }
        const ssize_t length = fgetxattr(from, name, value, sizeof(value));
        if (length < 0 || fsetxattr(to, name, value, (size_t)length, 0) != 0) {
            return -errno;
        }
    }
    return 0;
}

/* begin() at a file: both descriptors, and all of it at once if the file system shares the bytes. */
static int begin_file(struct wasi_call *call, const struct wasi_spot *spot, bool data)
{
    struct bv_wasi *wasi = call->wasi;
    struct stat st;
    const int from = wasi_within(spot->node.lower, spot->name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW, 0);
    if (from < 0) {
        return wasi_errno(-from);
    }
    int result = wasi_result(fstat(from, &st));
    if (result == WASI_SUCCESS && (st.st_ino != spot->found.stat.st_ino || st.st_dev != spot->found.stat.st_dev)) {
        result = WASI_EAGAIN;
    }
    const uint64_t size = data && st.st_size > 0 ? (uint64_t)st.st_size : 0;
    if (result == WASI_SUCCESS && size > wasi_ledger_left(wasi, spot->node.root)) {
        wasi_deny_storage(call);
        result = WASI_ENOSPC;
    }
    int to = -1;
    if (result == WASI_SUCCESS) {
        to = bv_fd_above_stdio(openat(wasi->roots[spot->node.root].work, TEMPORARY,
                                      O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        result = to < 0 ? wasi_errno(-to) : WASI_SUCCESS;
    }
    if (result != WASI_SUCCESS) {
        (void)close(from);
        return result;
    }
    wasi->copy = (struct wasi_copy){ .active = true, .root = spot->node.root, .from = from, .to = to,
                                     .dev = st.st_dev, .ino = st.st_ino, .size_bytes = size };
    if (size > 0 && ioctl(to, FICLONE, from) == 0) {
        wasi->copy.at_bytes = size;
    }
    return WASI_SUCCESS;
}

/* What it is besides its bytes: mode, attributes, and last the times. */
static int finish_file(const struct wasi_copy *copy)
{
    struct stat st;
    if (fstat(copy->from, &st) != 0) {
        return -errno;
    }
    int result = copy_attributes(copy->from, copy->to);
    /* overlayfs's note that a lower file is behind this one; without a handle it says no more. */
    if (result == 0 && fsetxattr(copy->to, ORIGIN, "", 0, 0) != 0) {
        result = -errno;
    }
    const struct timespec times[2] = { st.st_atim, st.st_mtim };
    if (result == 0 && (fchmod(copy->to, st.st_mode & 07777) != 0 || futimens(copy->to, times) != 0)) {
        result = -errno;
    }
    return result;
}

static int copy_file(struct wasi_call *call, struct wasi_spot *spot, bool data)
{
    struct bv_wasi *wasi = call->wasi;
    struct wasi_copy *copy = &wasi->copy;
    struct stat st;
    if (copy->active && (copy->ino != spot->found.stat.st_ino || copy->dev != spot->found.stat.st_dev || copy->root != spot->node.root)) {
        wasi_copy_drop(wasi);
    }
    int result = copy->active ? WASI_SUCCESS : begin_file(call, spot, data);
    if (result == WASI_SUCCESS) {
        result = go_on(call);
    }
    if (result == WASI_WAIT) {
        return result;
    }
    if (result == WASI_SUCCESS) {
        const int finished = finish_file(copy);
        result = finished < 0 ? wasi_errno(-finished) : wasi_result(fstat(copy->to, &st));
    }
    if (result == WASI_SUCCESS) {
        result = wasi_ledger_reserve(wasi);
    }
    if (result == WASI_SUCCESS) {
        const int placed = wasi_layer_place(wasi, copy->root, TEMPORARY, spot->node.upper, spot->name, true);
        result = placed < 0 ? wasi_errno(-placed) : WASI_SUCCESS;
    }
    if (result == WASI_SUCCESS) {
        wasi_ledger_begin(wasi, copy->root, &st, (uint64_t)st.st_size);
        (void)close(copy->from);
        (void)close(copy->to);
        copy->active = false;
    } else if (copy->active) {
        wasi_copy_drop(wasi);
    }
    return result;
}

/* ---- links, pipes ---- */

static int copy_link(struct wasi_call *call, struct wasi_spot *spot)
{
    struct bv_wasi *wasi = call->wasi;
    const size_t root = spot->node.root;
    char text[PATH_MAX];
    struct stat st;
    const ssize_t size = readlinkat(spot->found.fd, "", text, sizeof(text) - 1);
    const struct timespec times[2] = { spot->found.stat.st_atim, spot->found.stat.st_mtim };
    if (size < 0) {
        return wasi_errno(errno);
    }
    text[size] = '\0';
    if ((uint64_t)size > wasi_ledger_left(wasi, root)) {
        wasi_deny_storage(call);
        return WASI_ENOSPC;
    }
    int result = wasi_ledger_reserve(wasi);
    if (result == WASI_SUCCESS) {
        result = wasi_result(symlinkat(text, wasi->roots[root].work, TEMPORARY));
    }
    if (result == WASI_SUCCESS &&
        (utimensat(wasi->roots[root].work, TEMPORARY, times, AT_SYMLINK_NOFOLLOW) != 0 ||
         fstatat(wasi->roots[root].work, TEMPORARY, &st, AT_SYMLINK_NOFOLLOW) != 0)) {
        result = wasi_errno(errno);
        (void)unlinkat(wasi->roots[root].work, TEMPORARY, 0);
    }
    if (result == WASI_SUCCESS) {
        const int placed = wasi_layer_place(wasi, root, TEMPORARY, spot->node.upper, spot->name, true);
        result = placed < 0 ? wasi_errno(-placed) : WASI_SUCCESS;
    }
    if (result == WASI_SUCCESS) {
        wasi_ledger_begin(wasi, root, &st, (uint64_t)size);
    }
    return result;
}

/* ---- descriptors ---- */

static bool is_open_on(const struct wasi_descriptor *open, const struct wasi_node *node, const char *name)
{
    const size_t size = strlen(node->where);
    if (open->kind != WASI_FILE || !open->layers || open->layers->gone || open->root != node->root ||
        strncmp(open->layers->where, node->where, size) != 0) {
        return false;
    }
    const char *rest = open->layers->where + size;
    return (size == 0 || *rest++ == '/') && strcmp(rest, name) == 0;
}

/* The same position in another file. */
static void move_descriptor(struct bv_wasi *wasi, struct wasi_descriptor *open, int fd, const struct stat *st)
{
    const off_t at = lseek(open->fd, 0, SEEK_CUR);
    if (at >= 0) {
        (void)lseek(fd, at, SEEK_SET);
    }
    wasi_layers_free(wasi, open->layers);
    open->layers = NULL;
    open->fd = fd;
    open->dev = st->st_dev;
    open->ino = st->st_ino;
}

static void move_descriptors(struct bv_wasi *wasi, const struct wasi_spot *spot)
{
    for (size_t i = 0; i < wasi->table_size; i++) {
        struct wasi_descriptor *open = &wasi->table[i];
        if (!is_open_on(open, &spot->node, spot->name)) {
            continue;
        }
        const int status = fcntl(open->fd, F_GETFL);
        const int fd = wasi_within(spot->node.upper, spot->name,
                                   (uint64_t)(O_RDONLY | O_NONBLOCK | O_NOFOLLOW | (status >= 0 ? status & O_APPEND : 0)), 0);
        if (fd >= 0) { /* else it keeps what it is open on, as it would on overlayfs */
            move_descriptor(wasi, open, fd, &spot->found.stat);
        }
    }
}

/* ---- calls ---- */

/* A directory: without what is in it. */
static int raise_directory(struct wasi_call *call, const struct wasi_spot *spot)
{
    const int fd = wasi_layer_make_like(call->wasi, spot->node.upper, spot->name, spot->found.fd);
    if (fd < 0) {
        return wasi_errno(-fd);
    }
    (void)close(fd);
    return WASI_SUCCESS;
}

int wasi_copy_up(struct wasi_call *call, struct wasi_spot *spot, bool data)
{
    BV_ASSERT(call->wasi->roots[spot->node.root].staged);
    const mode_t mode = spot->found.stat.st_mode;
    if (spot->found.upper) {
        return WASI_SUCCESS;
    }
    if (!S_ISREG(mode) && !S_ISDIR(mode) && !S_ISLNK(mode)) {
        return WASI_EPERM; /* a pipe or socket is what it is by who else has it open */
    }
    int raised = wasi_layer_raise(call->wasi, &spot->node);
    if (raised < 0) {
        return wasi_errno(-raised);
    }
    if (spot->dots) { /* the node is the directory */
        wasi_entry_done(&spot->found);
        spot->found.fd = wasi_fd_copy(spot->node.upper);
        spot->found.below = wasi_fd_copy(spot->node.lower);
        spot->found.upper = true;
        return spot->found.fd < 0 ? wasi_errno(-spot->found.fd) : WASI_SUCCESS;
    }
    const int result = S_ISREG(mode)   ? copy_file(call, spot, data)
                       : S_ISLNK(mode) ? copy_link(call, spot)
                                       : raise_directory(call, spot);
    if (result != WASI_SUCCESS) {
        return result;
    }
    wasi_entry_done(&spot->found);
    raised = wasi_layer_look(&spot->node, spot->name, &spot->found);
    if (raised < 0) {
        return wasi_errno(-raised);
    }
    if (S_ISREG(mode)) {
        move_descriptors(call->wasi, spot);
    }
    return WASI_SUCCESS;
}

/* Takes the spot of a descriptor's path, in its root. */
static int find_spot(struct wasi_call *call, const struct wasi_descriptor *descriptor, struct wasi_spot *spot)
{
    const struct wasi_root *root = &call->wasi->roots[descriptor->root];
    struct wasi_layers top = { .upper = root->upper, .lower = root->fd, .where = "" };
    const struct wasi_descriptor dir = { .kind = WASI_DIRECTORY, .fd = root->upper, .root = descriptor->root, .layers = &top };
    const char *where = descriptor->layers->where;
    return wasi_walk(call, &dir, where[0] != '\0' ? where : ".", WASI_LINKS_NAMES, spot);
}

int wasi_copy_up_descriptor(struct wasi_call *call, struct wasi_descriptor *descriptor)
{
    struct wasi_layers *layers = descriptor->layers;
    struct wasi_spot spot;
    const int refreshed = wasi_layers_refresh(call->wasi, descriptor);
    if (refreshed < 0) {
        return wasi_errno(-refreshed);
    }
    if (!layers || (descriptor->kind == WASI_DIRECTORY && layers->upper >= 0)) {
        return WASI_SUCCESS;
    }
    if (layers->gone) {
        return WASI_ENOENT; /* nothing can be changed that has no name and is the host's */
    }
    int result = find_spot(call, descriptor, &spot);
    if (result != WASI_SUCCESS) {
        return result;
    }
    if (spot.found.fd < 0 || spot.root != descriptor->root) {
        result = WASI_ENOENT;
    } else {
        result = wasi_copy_up(call, &spot, true);
    }
    wasi_spot_done(&spot);
    if (result == WASI_SUCCESS && descriptor->kind == WASI_DIRECTORY) {
        layers->epoch = call->wasi->epoch - 1;
        (void)wasi_layers_refresh(call->wasi, descriptor);
        result = layers->upper >= 0 ? WASI_SUCCESS : WASI_ENOENT;
    } else if (result == WASI_SUCCESS && descriptor->layers) {
        result = WASI_EBADF; /* it was not to be opened again */
    }
    return result;
}
