/* wasi/path.c - the one path resolver: from a guest's text to an open place beneath a directory.
 *
 * Every path call goes through wasi_beneath(), which is openat2 with RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS: the kernel
 * refuses `..` above the directory, absolute paths, and links that do either, at each component and without a race. What
 * changes names (make, remove, rename, link) resolves the parent that way and then acts on one component of an open
 * directory; none of those calls follows a link there, a slash behind the component included. Reading a link and finding
 * the source of a hard link would follow one behind a slash, so they are resolved whole.
 *
 * Once a root is staged, the layers of a path are two, and walk.c takes it a component at a time: each is opened alone by
 * wasi_within(), beneath a directory that is held and without following a link; texts of links are walked like the guest's.
 *
 * The directory is the descriptor that the path is relative to, not its root: that descriptor is all that the guest has in
 * hand. When roots lie beneath each other the innermost decides what may be done: the place is asked for its ancestors
 * until one is a root, by identity and not by name. */
#include "wasi/state.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/utf8.h"
#include "sys/end.h"

#define LINKS_MAX     40   /* as many as the kernel follows */
#define ANCESTORS_MAX 4096 /* more levels than a path can have components */

static int resolve(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t more)
{
    const struct open_how how = { .flags = flags | O_CLOEXEC,
                                  .mode = mode,
                                  .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | more };
    for (int tries = 0; tries < WASI_RESOLVE_TRIES; tries++) {
        const long fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) {
            return bv_fd_above_stdio((int)fd);
        }
    }
    return -EAGAIN;
}

int wasi_beneath(int dir, const char *path, uint64_t flags, uint64_t mode)
{
    return resolve(dir, path, flags, mode, 0);
}

int wasi_within(int dir, const char *path, uint64_t flags, uint64_t mode)
{
    return resolve(dir, path, flags, mode, RESOLVE_NO_SYMLINKS);
}

int wasi_path_open_beneath(struct wasi_call *call, const struct wasi_descriptor *dir,
                           const char *path, uint64_t flags, uint64_t mode, int *ret_fd)
{
    const int fd = wasi_beneath(dir->fd, path, flags, mode);
    if (fd == -EXDEV) { /* RESOLVE_BENEATH's answer, and nobody else's here */
        wasi_deny_path(call, BV_WASI_DENIED_PATH, dir, path);
        return WASI_ENOTCAPABLE;
    }
    if (fd < 0) {
        return wasi_errno(-fd);
    }
    *ret_fd = fd;
    return WASI_SUCCESS;
}

/* ---- texts ---- */

static bool is_utf8(const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        const size_t length = bv_utf8_length(text + at, size - at);
        if (length == 0) {
            return false;
        }
        at += length;
    }
    return true;
}

int wasi_path_text(struct wasi_call *call, uint32_t offset, uint32_t size, char path[PATH_MAX])
{
    const uint8_t *bytes = wasi_memory(call, offset, size);
    if (!bytes) {
        return WASI_EFAULT;
    }
    if (size >= PATH_MAX) {
        return WASI_ENAMETOOLONG;
    }
    memcpy(path, bytes, size);
    path[size] = '\0';
    wasi_charge_bytes(call, size);
    if (memchr(path, '\0', size)) {
        return WASI_EINVAL;
    }
    return is_utf8(path, size) ? WASI_SUCCESS : WASI_EILSEQ;
}

int wasi_path_directory(struct wasi_call *call, uint32_t fd, uint64_t rights,
                        struct wasi_descriptor **ret_dir)
{
    const int result = wasi_look(call, fd, ret_dir);
    if (result != WASI_SUCCESS) {
        return result;
    }
    if ((*ret_dir)->kind != WASI_DIRECTORY) {
        return WASI_ENOTDIR;
    }
    const int refreshed = wasi_layers_refresh(call->wasi, *ret_dir);
    return refreshed < 0 ? wasi_errno(-refreshed) : wasi_hold(call, *ret_dir, rights);
}

/* Splits a path: parent gets what is before the last component (`.` if nothing), place its name, slash and dots. */
static int split(const char *path, char parent[PATH_MAX], struct wasi_place *place)
{
    size_t end = strlen(path);
    while (end > 0 && path[end - 1] == '/') {
        end--;
    }
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/') {
        begin--;
    }
    const size_t size = end - begin;
    if (path[0] == '\0') {
        return WASI_ENOENT;
    }
    if (size > NAME_MAX) {
        return WASI_ENAMETOOLONG;
    }
    place->slash = path[end] == '/';
    memcpy(place->name, path + begin, size);
    place->name[size] = '\0';
    place->dots = size == 0 || strcmp(place->name, ".") == 0 || strcmp(place->name, "..") == 0;
    if (begin == 0) {
        memcpy(parent, ".", 2);
    } else {
        memcpy(parent, path, begin);
        parent[begin] = '\0';
    }
    return WASI_SUCCESS;
}

/* ---- which root ----
 *
 * What is exposed under another name, or temporary, is what it is only by that name: reached from elsewhere, its directory is
 * part of where it lies, as a bind mount's source is. */

static size_t root_of(const struct bv_wasi *wasi, const struct stat *stat, size_t preferred)
{
    size_t found = WASI_NO_ROOT;
    for (size_t i = 0; i < wasi->root_count; i++) {
        const struct wasi_root *root = &wasi->roots[i];
        if (root->ino == stat->st_ino && root->dev == stat->st_dev &&
            (i == preferred || (root->kind == BV_WASI_ROOT_DECLARED && found == WASI_NO_ROOT))) {
            found = i;
        }
    }
    return found;
}

bool wasi_path_is_root(const struct bv_wasi *wasi, const struct stat *stat)
{
    return root_of(wasi, stat, WASI_NO_ROOT) != WASI_NO_ROOT;
}

/* One level up; the descriptor is exchanged. False at the top, or where nobody gets further. */
static bool ascend(int *fd)
{
    struct stat here, above;
    const int up = bv_fd_above_stdio(openat(*fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (up < 0) {
        return false;
    }
    const bool top = fstat(*fd, &here) != 0 || fstat(up, &above) != 0 ||
                     (here.st_ino == above.st_ino && here.st_dev == above.st_dev);
    (void)close(*fd);
    *fd = up;
    return !top;
}

/* Takes the descriptor. */
static int climb(struct wasi_call *call, const struct bv_wasi *wasi, int fd, size_t preferred,
                 size_t *ret_root)
{
    size_t root = WASI_NO_ROOT;
    for (int level = 0; level < ANCESTORS_MAX; level++) {
        struct stat st;
        root = fstat(fd, &st) == 0 ? root_of(wasi, &st, preferred) : WASI_NO_ROOT;
        if (root != WASI_NO_ROOT || !ascend(&fd)) {
            break;
        }
        if (call) {
            bv_wasm_caller_charge(call->caller, 1);
        }
    }
    (void)close(fd);
    *ret_root = root;
    /* In no root: somebody moved it out of all of them, and nothing may be done there. */
    return root != WASI_NO_ROOT ? WASI_SUCCESS : WASI_ENOTCAPABLE;
}

int wasi_path_innermost(struct wasi_call *call, const struct bv_wasi *wasi, int fd,
                        size_t preferred, size_t *ret_root)
{
    const int copy = bv_fd_above_stdio(fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    return copy >= 0 ? climb(call, wasi, copy, preferred, ret_root) : wasi_errno(-copy);
}

/* Is a declared root beneath a root? */
bool wasi_path_nested(const struct bv_wasi *wasi)
{
    for (size_t i = 0; i < wasi->root_count; i++) {
        for (size_t outer = 0;
             outer < wasi->root_count && wasi->roots[i].kind == BV_WASI_ROOT_DECLARED; outer++) {
            size_t found;
            int fd = bv_fd_above_stdio(
                openat(wasi->roots[i].fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
            if (fd < 0 || climb(NULL, wasi, fd, outer, &found) == WASI_SUCCESS) {
                return true; /* also when it cannot be told: each path is then asked */
            }
        }
    }
    return false;
}

static int open_parent(struct wasi_call *call, const struct wasi_descriptor *dir, const char *path,
                       struct wasi_place *place)
{
    char parent[PATH_MAX];
    const int result = split(path, parent, place);
    return result == WASI_SUCCESS
               ? wasi_path_open_beneath(call, dir, parent, O_PATH | O_DIRECTORY, 0, &place->parent)
               : result;
}

/* One link further: path becomes the link's target seen from where the link lies. */
static int follow_link(const struct wasi_place *place, char path[PATH_MAX])
{
    char target[PATH_MAX], parent[PATH_MAX];
    struct wasi_place unused;
    const ssize_t size = readlinkat(place->parent, place->name, target, sizeof(target) - 1);
    if (size < 0) {
        return wasi_errno(errno);
    }
    target[size] = '\0';
    (void)split(path, parent, &unused);
    const size_t before = strlen(parent);
    if (before + 1 + (size_t)size >= PATH_MAX) {
        return WASI_ENAMETOOLONG;
    }
    if (target[0] == '/') {
        memcpy(path, target, (size_t)size + 1); /* refused when it is opened */
        return WASI_SUCCESS;
    }
    memcpy(path, parent, before);
    path[before] = '/';
    memcpy(path + before + 1, target, (size_t)size + 1);
    return WASI_SUCCESS;
}

/* The root of what is no directory, or does not exist yet: that of the directory which holds it or will. */
static int root_of_holder(struct wasi_call *call, const struct wasi_descriptor *dir,
                          const char *given, bool follow, size_t *ret_root)
{
    char path[PATH_MAX];
    memcpy(path, given, strlen(given) + 1);
    for (int links = 0; links <= LINKS_MAX; links++) {
        struct wasi_place place = { .parent = -1 };
        struct stat st;
        int result = open_parent(call, dir, path, &place);
        if (result != WASI_SUCCESS) {
            return result;
        }
        const bool link =
            fstatat(place.parent, place.name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
        if (!link || !(follow || place.slash)) {
            return climb(call, call->wasi, place.parent, dir->root, ret_root);
        }
        result = follow_link(&place, path);
        (void)close(place.parent);
        if (result != WASI_SUCCESS) {
            return result;
        }
    }
    return WASI_ELOOP;
}

int wasi_path_root(struct wasi_call *call, const struct wasi_descriptor *dir, const char *path,
                   bool follow, int fd, const struct stat *stat, size_t *ret_root)
{
    *ret_root = dir->root;
    if (!call->wasi->nested) {
        return WASI_SUCCESS;
    }
    return fd >= 0 && S_ISDIR(stat->st_mode)
               ? wasi_path_innermost(call, call->wasi, fd, dir->root, ret_root)
               : root_of_holder(call, dir, path, follow, ret_root);
}

/* ---- places ---- */

/* In layers: the same place, found by walking. A directory of a root that is not staged is acted in as ever. */
static int walk_to_place(struct wasi_call *call, const struct wasi_descriptor *dir,
                         const char *path, struct wasi_place *place)
{
    struct wasi_spot *spot = &place->spot;
    const int result = wasi_walk(call, dir, path, WASI_LINKS_NAMES, spot);
    if (result != WASI_SUCCESS) {
        return result;
    }
    place->slash = spot->slash;
    place->dots = spot->dots;
    place->root = spot->node.root;
    memcpy(place->name, spot->name, strlen(spot->name) + 1);
    place->staged = call->wasi->roots[place->root].staged && !place->dots;
    if (!place->staged) {
        place->parent = place->dots ? -1 : spot->node.lower;
        spot->node.lower = place->dots ? spot->node.lower : -1;
        wasi_spot_done(spot);
    }
    return WASI_SUCCESS;
}

int wasi_path_place(struct wasi_call *call, const struct wasi_descriptor *dir, const char *path,
                    struct wasi_place *ret_place)
{
    ret_place->parent = -1;
    ret_place->root = dir->root;
    ret_place->staged = false;
    if (call->wasi->layered) {
        return walk_to_place(call, dir, path, ret_place);
    }
    int result = open_parent(call, dir, path, ret_place);
    if (result == WASI_SUCCESS &&
        ret_place->dots) { /* the last step, too, may lead above the directory */
        int whole;
        wasi_path_leave(ret_place);
        result = wasi_path_open_beneath(call, dir, path, O_PATH | O_DIRECTORY, 0, &whole);
        if (result == WASI_SUCCESS) {
            (void)close(whole);
        }
    } else if (result == WASI_SUCCESS && call->wasi->nested) {
        result =
            wasi_path_innermost(call, call->wasi, ret_place->parent, dir->root, &ret_place->root);
        if (result != WASI_SUCCESS) {
            wasi_path_leave(ret_place);
        }
    }
    return result;
}

void wasi_path_leave(struct wasi_place *place)
{
    if (place->parent >= 0) {
        (void)close(place->parent);
        place->parent = -1;
    }
    if (place->staged) {
        wasi_spot_done(&place->spot);
        place->staged = false;
    }
}

static int walk_to_find(struct wasi_call *call, const struct wasi_descriptor *dir, const char *path,
                        bool follow, int *ret_fd, struct stat *ret_stat, size_t *ret_root)
{
    struct wasi_spot spot;
    int result = wasi_walk(call, dir, path, follow ? WASI_LINKS_FOLLOW : WASI_LINKS_STAY, &spot);
    if (result != WASI_SUCCESS) {
        return result;
    }
    if (spot.found.fd < 0) {
        result = WASI_ENOENT;
    } else if (spot.slash && !S_ISDIR(spot.found.stat.st_mode)) {
        result = WASI_ENOTDIR;
    } else {
        *ret_fd = spot.found.fd;
        *ret_stat = spot.found.stat;
        *ret_root = spot.root;
        spot.found.fd = -1;
    }
    wasi_spot_done(&spot);
    return result;
}

int wasi_path_find(struct wasi_call *call, const struct wasi_descriptor *dir, const char *path,
                   bool follow, int *ret_fd, struct stat *ret_stat, size_t *ret_root)
{
    if (call->wasi->layered) {
        return walk_to_find(call, dir, path, follow, ret_fd, ret_stat, ret_root);
    }
    int result = wasi_path_open_beneath(call, dir, path,
                                        O_PATH | (follow ? 0u : (unsigned)O_NOFOLLOW), 0, ret_fd);
    if (result != WASI_SUCCESS) {
        return result;
    }
    result = wasi_result(fstat(*ret_fd, ret_stat));
    if (result == WASI_SUCCESS) {
        result = wasi_path_root(call, dir, path, follow, *ret_fd, ret_stat, ret_root);
    }
    if (result != WASI_SUCCESS) {
        (void)close(*ret_fd);
    }
    return result;
}

int wasi_path_may(struct wasi_call *call, const struct wasi_descriptor *dir, const char *path,
                  size_t root, enum bv_wasi_access access)
{
    if ((call->wasi->roots[root].access & access) == access) {
        return WASI_SUCCESS;
    }
    const bool writing = (access & BV_WASI_WRITE) != 0;
    wasi_deny_path(call, writing ? BV_WASI_DENIED_WRITE : BV_WASI_DENIED_READ, dir, path);
    return writing ? WASI_EROFS : WASI_EACCES;
}
