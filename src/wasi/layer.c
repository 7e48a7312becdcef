/* wasi/layer.c - the two layers of a staged root, one name of one directory at a time.
 *
 * The lower layer is the host's tree and is only read. The upper one is in a quarantine that nobody else writes to, and has the
 * format of overlayfs with `userxattr` (overlayfs.rst): what stands in it hides what the lower has at that name, but directories,
 * which are merged unless the upper one is opaque; a character device 0:0 is a name that was removed. What is put where something is hidden
 * already is made in the work directory and moved there, so that the lower's never shows in between. */
#include "wasi/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/check.h"
#include "sys/end.h"

#define OPAQUE      "user.overlay.opaque"
#define WHITEOUT    "whiteout" /* its name in the work directory */
#define LINK_BYTES  40
#define ENTRY_FLAGS ((uint64_t)(O_PATH | O_NOFOLLOW))

/* An O_PATH descriptor takes no fchmod() and no attributes; this names the same inode whatever becomes of its name. */
static void name_fd(int fd, char link[LINK_BYTES])
{
    (void)snprintf(link, LINK_BYTES, "/proc/self/fd/%d", fd);
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

int wasi_fd_copy(int fd)
{
    return fd < 0 ? -1 : bv_fd_above_stdio(fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
}

void wasi_node_done(struct wasi_node *node)
{
    close_fd(&node->upper);
    close_fd(&node->lower);
}

void wasi_entry_done(struct wasi_entry *entry)
{
    close_fd(&entry->fd);
    close_fd(&entry->below);
}

bool wasi_layer_is_whiteout(const struct stat *stat)
{
    return S_ISCHR(stat->st_mode) && stat->st_rdev == makedev(0, 0);
}

int wasi_layer_may(int fd, int mode)
{
    return faccessat(fd, "", mode, AT_EMPTY_PATH | AT_EACCESS) == 0 ? 0 : -errno;
}

bool wasi_layer_below(const struct wasi_node *node, const char *name)
{
    struct stat st;
    return node->lower >= 0 && fstatat(node->lower, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- looking ---- */

/* 1: it hides what the lower layer has, 0: it is merged with that. */
static int is_opaque(int fd)
{
    char link[LINK_BYTES], value[4];
    name_fd(fd, link);
    const ssize_t size = getxattr(link, OPAQUE, value, sizeof(value));
    if (size < 0) {
        return errno == ENODATA || errno == ENOTSUP ? 0 : -errno;
    }
    return size > 0 && value[0] == 'y';
}

/* The lower part of a directory of the upper layer, if it has one. */
static int look_below(const struct wasi_node *node, const char *name, struct wasi_entry *entry)
{
    struct stat st;
    const int opaque = node->lower >= 0 ? is_opaque(entry->fd) : 1;
    if (opaque != 0) {
        return opaque < 0 ? opaque : 0;
    }
    const int below = wasi_within(node->lower, name, ENTRY_FLAGS | O_DIRECTORY, 0);
    if (below < 0) {
        return below == -ENOENT || below == -ENOTDIR || below == -ELOOP ? 0 : below;
    }
    entry->below = below;
    if (fstat(below, &st) != 0) {
        return -errno;
    }
    entry->stat.st_dev = st.st_dev;
    entry->stat.st_ino = st.st_ino;
    return 0;
}

int wasi_layer_look(const struct wasi_node *node, const char *name, struct wasi_entry *ret_entry)
{
    *ret_entry = (struct wasi_entry){ .fd = -1, .below = -1 };
    int fd = node->upper >= 0 ? wasi_within(node->upper, name, ENTRY_FLAGS, 0) : -ENOENT;
    ret_entry->upper = fd >= 0;
    if (fd == -ENOENT && node->lower >= 0) {
        fd = wasi_within(node->lower, name, ENTRY_FLAGS, 0);
    }
    if (fd < 0) {
        return fd;
    }
    ret_entry->fd = fd;
    int result = fstat(fd, &ret_entry->stat) == 0 ? 0 : -errno;
    if (result == 0 && ret_entry->upper && wasi_layer_is_whiteout(&ret_entry->stat)) {
        result = -ENOENT;
    }
    if (result == 0 && ret_entry->upper && S_ISDIR(ret_entry->stat.st_mode)) {
        result = look_below(node, name, ret_entry);
    }
    if (result < 0) {
        wasi_entry_done(ret_entry);
    }
    return result;
}

/* ---- making ---- */

/* Opens a directory of the upper layer up to its owner, who is this process. The mode that it had, or -errno. */
static int open_up(int dir)
{
    struct stat st;
    char link[LINK_BYTES];
    name_fd(dir, link);
    if (fstat(dir, &st) != 0 || fchmodat(AT_FDCWD, link, (st.st_mode & 07777) | 0700, 0) != 0) {
        return -errno;
    }
    return (int)(st.st_mode & 07777);
}

/* Gives it its mode again; result is what happened in between, and comes first. */
static int shut(int dir, int mode, int result)
{
    char link[LINK_BYTES];
    name_fd(dir, link);
    const int closed = fchmodat(AT_FDCWD, link, (mode_t)mode, 0) == 0 ? 0 : -errno;
    return result < 0 ? result : closed;
}

static int make_directory(int upper, const char *name)
{
    if (mkdirat(upper, name, 0700) == 0) {
        return 0;
    }
    const int mode = errno == EACCES ? open_up(upper) : -errno;
    if (mode < 0) {
        return mode;
    }
    return shut(upper, mode, mkdirat(upper, name, 0700) == 0 ? 0 : -errno);
}

int wasi_layer_make_like(struct bv_wasi *wasi, int upper, const char *name, int lower)
{
    struct stat st;
    char link[LINK_BYTES];
    int result = fstat(lower, &st) == 0 ? make_directory(upper, name) : -errno;
    const int fd = result < 0 ? result : wasi_within(upper, name, ENTRY_FLAGS | O_DIRECTORY, 0);
    if (fd < 0) {
        return fd;
    }
    wasi->epoch++;
    name_fd(fd, link);
    if (fchmodat(AT_FDCWD, link, st.st_mode & 07777, 0) != 0) {
        result = -errno;
        (void)close(fd);
        return result;
    }
    return fd;
}

/* One level down in both layers; the descriptors are exchanged. */
static int raise_step(struct bv_wasi *wasi, int *upper, int *lower, const char *name)
{
    const int below = wasi_within(*lower, name, ENTRY_FLAGS | O_DIRECTORY, 0);
    if (below < 0) {
        return below == -ENOTDIR || below == -ELOOP ? -ENOENT : below;
    }
    (void)close(*lower);
    *lower = below;
    int above = wasi_within(*upper, name, ENTRY_FLAGS, 0);
    if (above == -ENOENT) {
        above = wasi_layer_make_like(wasi, *upper, name, below);
    } else if (above >= 0) {
        struct stat st;
        const int opaque = fstat(above, &st) != 0 ? -errno : S_ISDIR(st.st_mode) ? is_opaque(above) : 1;
        if (opaque != 0) { /* what stands there now is not what was opened */
            (void)close(above);
            return opaque < 0 ? opaque : -ENOENT;
        }
    }
    if (above < 0) {
        return above;
    }
    (void)close(*upper);
    *upper = above;
    return 0;
}

int wasi_layer_raise(struct bv_wasi *wasi, struct wasi_node *node)
{
    char name[NAME_MAX + 1];
    if (node->upper >= 0) {
        return 0;
    }
    int upper = wasi_fd_copy(wasi->roots[node->root].upper),
        lower = wasi_fd_copy(wasi->roots[node->root].fd);
    int result = upper < 0 ? upper : lower < 0 ? lower : 0;
    for (const char *at = node->where; result == 0 && *at != '\0';) {
        const size_t size = strcspn(at, "/");
        BV_ASSERT(size > 0 && size < sizeof(name));
        memcpy(name, at, size);
        name[size] = '\0';
        result = raise_step(wasi, &upper, &lower, name);
        at += size + (at[size] == '/');
    }
    close_fd(&lower);
    if (result < 0) {
        close_fd(&upper);
        return result;
    }
    node->upper = upper;
    return 0;
}

int wasi_layer_place(const struct bv_wasi *wasi, size_t root, const char *temporary, int upper,
                     const char *name, bool forced)
{
    const int work = wasi->roots[root].work;
    if (renameat(work, temporary, upper, name) == 0) {
        return 0;
    }
    int result = -errno;
    const int mode = result == -EACCES && forced ? open_up(upper) : -EACCES;
    if (mode >= 0) {
        result = shut(upper, mode, renameat(work, temporary, upper, name) == 0 ? 0 : -errno);
    }
    if (result < 0) {
        (void)unlinkat(work, temporary, 0);
    }
    return result;
}

int wasi_layer_hide(struct bv_wasi *wasi, size_t root, int upper, const char *name)
{
    if (mknodat(wasi->roots[root].work, WHITEOUT, S_IFCHR, makedev(0, 0)) != 0) {
        return -errno;
    }
    wasi->epoch++;
    return wasi_layer_place(wasi, root, WHITEOUT, upper, name, false);
}

int wasi_layer_opaque(int upper_dir)
{
    char link[LINK_BYTES];
    name_fd(upper_dir, link);
    return setxattr(link, OPAQUE, "y", 1, 0) == 0 ? 0 : -errno;
}

/* ---- emptiness ---- */

typedef int name_fn(void *context, int dir, const char *name);

/* Every name of a directory but the two dots; ends at the first answer that is not 0. */
static int each_name(int dir, name_fn *visit, void *context)
{
    _Alignas(struct dirent64) char bytes[4096];
    int result = 0;
    const int fd = wasi_within(dir, ".", O_RDONLY | O_DIRECTORY, 0);
    ssize_t size = fd < 0 ? 0 : 1;
    while (result == 0 && size > 0) {
        size = getdents64(fd, bytes, sizeof(bytes));
        result = size < 0 ? -errno : 0;
        for (ssize_t at = 0; result == 0 && at < size;) {
            const struct dirent64 *entry = (const void *)(bytes + at);
            at += entry->d_reclen;
            if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
                result = visit(context, dir, entry->d_name);
            }
        }
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return fd < 0 ? fd : result;
}

static int is_visible(void *context, int dir, const char *name)
{
    struct stat st;
    (void)context;
    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && wasi_layer_is_whiteout(&st) ? 0 : 1;
}

/* context: the upper directory, or -1 */
static int is_unhidden(void *context, int dir, const char *name)
{
    const int *upper = context;
    (void)dir;
    return *upper >= 0 ? is_visible(NULL, *upper, name) : 1;
}

int wasi_layer_is_empty(const struct wasi_entry *directory)
{
    int upper = directory->upper ? directory->fd : -1;
    const int lower = directory->upper ? directory->below : directory->fd;
    int result = upper >= 0 ? each_name(upper, is_visible, NULL) : 0;
    if (result == 0 && lower >= 0) {
        result = each_name(lower, is_unhidden, &upper);
    }
    return result < 0 ? result : result == 0;
}

static int remove_name(void *context, int dir, const char *name)
{
    (void)context;
    return unlinkat(dir, name, 0) == 0 ? 0 : -errno;
}

int wasi_layer_clear(int upper_dir)
{
    const int mode = open_up(upper_dir); /* a guest may have to remove a directory that it could not write to */
    if (mode < 0) {
        return mode;
    }
    int result = 0, left = 1;
    for (int rounds = 0; result == 0 && left == 1 && rounds < WASI_RESOLVE_TRIES; rounds++) { /* names move while some are removed */
        result = each_name(upper_dir, remove_name, NULL);
        left = result == 0 ? each_name(upper_dir, is_unhidden, &(int){ -1 }) : 0;
    }
    return shut(upper_dir, mode, result);
}
