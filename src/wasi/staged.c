/* wasi/staged.c - names that are made, removed and moved in a staged root: everything happens in the upper layer.
 *
 * What overlayfs documents holds here too, so that a staged run means the same under both backends: renaming a directory that the lower layer
 * has a part in is EXDEV, and of a lower file with several names one alone is copied up, so that the others keep what they had.
 *
 * Names are counted as the upper layer's own: those that the lower layer has not. A name that stands in for a lower one, or hides it, costs none. */
#include "wasi/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

#define TEMPORARY     "new" /* a thing's name in the work directory until it has its own */
#define ANCESTORS_MAX 4096

static int from_host(int result)
{
    return result < 0 ? wasi_errno(-result) : WASI_SUCCESS;
}

/* The directory comes into the upper layer to be written to, which the lower one must allow: the copy is this process's own. */
static int raise_node(struct wasi_call *call, struct wasi_spot *spot)
{
    const int may = spot->node.lower >= 0 ? wasi_layer_may(spot->node.lower, W_OK | X_OK) : 0;
    return from_host(may < 0 ? may : wasi_layer_raise(call->wasi, &spot->node));
}

/* Whether a whiteout stands at the name. */
static bool is_hidden(const struct wasi_spot *spot)
{
    struct stat st;
    return spot->node.upper >= 0 && fstatat(spot->node.upper, spot->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && wasi_layer_is_whiteout(&st);
}

/* Is a new name of the guest's to be made there? Then everything above it is in the upper layer afterwards. */
static int prepare(struct wasi_call *call, struct wasi_spot *spot, bool directory)
{
    if (spot->found.fd >= 0) {
        return WASI_EEXIST;
    }
    if (spot->slash && !directory) {
        return WASI_ENOENT;
    }
    const int result = wasi_layer_below(&spot->node, spot->name) ? WASI_SUCCESS : wasi_names_room(call);
    return result == WASI_SUCCESS ? raise_node(call, spot) : result;
}

/* A name was made. */
static void count_name(struct wasi_call *call, const struct wasi_spot *spot)
{
    if (!wasi_layer_below(&spot->node, spot->name)) {
        wasi_names_change(call->wasi, 1);
    }
}

/* What was made in the work directory takes a whiteout's place. A directory cannot be renamed over it: they are exchanged. */
static int take_place(struct wasi_call *call, struct wasi_spot *spot, bool directory)
{
    const size_t root = spot->node.root;
    const int work = call->wasi->roots[root].work;
    if (!directory) {
        return from_host(wasi_layer_place(call->wasi, root, TEMPORARY, spot->node.upper, spot->name, false));
    }
    int result = wasi_result(renameat2(work, TEMPORARY, spot->node.upper, spot->name, RENAME_EXCHANGE));
    (void)unlinkat(work, TEMPORARY, result == WASI_SUCCESS ? 0 : AT_REMOVEDIR);
    call->wasi->epoch++;
    return result;
}

/* ---- making ---- */

int wasi_staged_create(struct wasi_call *call, struct wasi_spot *spot, uint64_t flags, int *ret_fd)
{
    int result = prepare(call, spot, false);
    if (result != WASI_SUCCESS) {
        return result;
    }
    const bool hidden = is_hidden(spot);
    const int dir = hidden ? call->wasi->roots[spot->node.root].work : spot->node.upper;
    const int fd = wasi_within(dir, hidden ? TEMPORARY : spot->name, flags | (uint64_t)(O_CREAT | O_EXCL | O_NOFOLLOW), 0666);
    if (fd < 0) {
        return wasi_errno(-fd);
    }
    result = hidden ? take_place(call, spot, false) : WASI_SUCCESS;
    if (result != WASI_SUCCESS) {
        (void)close(fd);
        return result;
    }
    count_name(call, spot);
    *ret_fd = fd;
    return WASI_SUCCESS;
}

int wasi_staged_mkdir(struct wasi_call *call, struct wasi_spot *spot)
{
    int result = prepare(call, spot, true);
    if (result != WASI_SUCCESS) {
        return result;
    }
    const int work = call->wasi->roots[spot->node.root].work;
    if (!is_hidden(spot)) {
        result = wasi_result(mkdirat(spot->node.upper, spot->name, 0777));
    } else { /* what the lower layer has there must not show in it */
        result = wasi_result(mkdirat(work, TEMPORARY, 0777));
        const int fd = result == WASI_SUCCESS ? wasi_within(work, TEMPORARY, O_PATH | O_DIRECTORY, 0) : -1;
        if (result == WASI_SUCCESS) {
            result = fd < 0 ? wasi_errno(-fd) : from_host(wasi_layer_opaque(fd));
        }
        if (result == WASI_SUCCESS) {
            result = take_place(call, spot, true);
        } else {
            (void)unlinkat(work, TEMPORARY, AT_REMOVEDIR);
        }
        if (fd >= 0) {
            (void)close(fd);
        }
    }
    if (result == WASI_SUCCESS) {
        count_name(call, spot);
    }
    return result;
}

int wasi_staged_symlink(struct wasi_call *call, const char *target, struct wasi_spot *spot)
{
    struct bv_wasi *wasi = call->wasi;
    struct stat made;
    const size_t size = strlen(target);
    int result = prepare(call, spot, false);
    if (result == WASI_SUCCESS && wasi_ledger_left(wasi, spot->node.root) < size) {
        wasi_deny_storage(call);
        result = WASI_ENOSPC;
    }
    if (result == WASI_SUCCESS) {
        result = wasi_ledger_reserve(wasi);
    }
    if (result != WASI_SUCCESS) {
        return result;
    }
    const bool hidden = is_hidden(spot);
    result = wasi_result(symlinkat(target, hidden ? wasi->roots[spot->node.root].work : spot->node.upper, hidden ? TEMPORARY : spot->name));
    if (result == WASI_SUCCESS && hidden) {
        result = take_place(call, spot, false);
    }
    if (result != WASI_SUCCESS) {
        return result;
    }
    count_name(call, spot);
    if (fstatat(spot->node.upper, spot->name, &made, AT_SYMLINK_NOFOLLOW) == 0) {
        wasi_ledger_begin(wasi, spot->node.root, &made, size);
    }
    return WASI_SUCCESS;
}

int wasi_staged_link(struct wasi_call *call, struct wasi_spot *from, struct wasi_spot *to)
{
    if (from->found.fd < 0) {
        return WASI_ENOENT;
    }
    if (from->slash && !S_ISDIR(from->found.stat.st_mode)) {
        return WASI_ENOTDIR;
    }
    if (to->found.fd >= 0) {
        return WASI_EEXIST;
    }
    if (S_ISDIR(from->found.stat.st_mode)) {
        return WASI_EPERM;
    }
    int result = prepare(call, to, false);
    if (result == WASI_SUCCESS) {
        result = wasi_copy_up(call, from, true);
    }
    if (result == WASI_SUCCESS) { /* both may lie in one directory, which has come into the upper layer since */
        const bool hidden = is_hidden(to);
        result = wasi_result(linkat(from->node.upper, from->name, hidden ? call->wasi->roots[to->node.root].work : to->node.upper,
                                    hidden ? TEMPORARY : to->name, 0));
        if (result == WASI_SUCCESS && hidden) {
            result = take_place(call, to, false);
        }
    }
    if (result == WASI_SUCCESS) {
        count_name(call, to);
    }
    return result;
}

/* ---- removing ---- */

/* What the upper layer had at a name is gone, or hidden. below: the lower layer has that name. */
static void settle(struct wasi_call *call, const struct wasi_spot *spot, bool below)
{
    if (spot->found.upper) {
        wasi_ledger_name_gone(call->wasi, &spot->found.stat);
    } else {
        wasi_layers_gone(call->wasi, &spot->node, spot->name);
    }
    if (!below) {
        wasi_names_change(call->wasi, -1);
    }
}

int wasi_staged_unlink(struct wasi_call *call, struct wasi_spot *spot)
{
    if (spot->found.fd < 0) {
        return WASI_ENOENT;
    }
    if (S_ISDIR(spot->found.stat.st_mode)) {
        return WASI_EISDIR;
    }
    if (spot->slash) {
        return WASI_ENOTDIR;
    }
    const bool below = wasi_layer_below(&spot->node, spot->name);
    int result = raise_node(call, spot);
    if (result == WASI_SUCCESS) {
        result = below ? from_host(wasi_layer_hide(call->wasi, spot->node.root, spot->node.upper, spot->name))
                       : wasi_result(unlinkat(spot->node.upper, spot->name, 0));
    }
    if (result == WASI_SUCCESS) {
        settle(call, spot, below);
    }
    return result;
}

/* An empty directory of the upper layer goes, and a whiteout comes if the lower layer has the name. */
static int remove_upper(struct wasi_call *call, struct wasi_spot *spot, bool below)
{
    const int work = call->wasi->roots[spot->node.root].work;
    const char *name = below ? TEMPORARY : spot->name;
    int result = from_host(wasi_layer_clear(spot->found.fd));
    if (result == WASI_SUCCESS && below) {
        result = from_host(wasi_layer_hide(call->wasi, spot->node.root, work, TEMPORARY));
    }
    if (result == WASI_SUCCESS && below) {
        result = wasi_result(renameat2(work, TEMPORARY, spot->node.upper, spot->name, RENAME_EXCHANGE));
        if (result != WASI_SUCCESS) {
            (void)unlinkat(work, TEMPORARY, 0);
        }
    }
    if (result == WASI_SUCCESS) {
        result = wasi_result(unlinkat(below ? work : spot->node.upper, name, AT_REMOVEDIR));
    }
    call->wasi->epoch++;
    return result;
}

static int refuse_full(const struct wasi_spot *spot)
{
    const int empty = wasi_layer_is_empty(&spot->found);
    return empty < 0 ? wasi_errno(-empty) : empty == 1 ? WASI_SUCCESS : WASI_ENOTEMPTY;
}

int wasi_staged_rmdir(struct wasi_call *call, struct wasi_spot *spot)
{
    if (spot->found.fd < 0) {
        return WASI_ENOENT;
    }
    if (!S_ISDIR(spot->found.stat.st_mode)) {
        return WASI_ENOTDIR;
    }
    if (wasi_path_is_root(call->wasi, &spot->found.stat)) {
        return WASI_EBUSY;
    }
    const bool below = wasi_layer_below(&spot->node, spot->name);
    int result = refuse_full(spot);
    if (result == WASI_SUCCESS) {
        result = raise_node(call, spot);
    }
    if (result == WASI_SUCCESS) {
        result = spot->found.upper ? remove_upper(call, spot, below)
                                   : from_host(wasi_layer_hide(call->wasi, spot->node.root, spot->node.upper, spot->name));
    }
    if (result == WASI_SUCCESS && !below) {
        wasi_names_change(call->wasi, -1);
    }
    return result;
}

/* ---- moving ---- */

static bool same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

/* Is the directory at `top` the node, or above it? Both in one root. If both are in the upper layer, which nobody else changes, by climbing; else by the
 * paths of their lower parts, which do not change. */
static bool holds(const struct wasi_call *call, const struct wasi_spot *top, const struct wasi_node *node)
{
    const struct bv_wasi *wasi = call->wasi;
    struct stat own, here, end;
    if (top->found.upper && node->upper >= 0) {
        int fd = wasi_fd_copy(node->upper);
        bool found = false, more = fstat(top->found.fd, &own) == 0 && fstat(wasi->roots[node->root].upper, &end) == 0;
        for (int level = 0; more && fd >= 0 && fstat(fd, &here) == 0; level++) {
            found = same(&here, &own);
            more = !found && !same(&here, &end) && level < ANCESTORS_MAX; /* deeper down the kernel finds it when it is to move */
            bv_wasm_caller_charge(call->caller, 1);
            const int up = more ? openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
            (void)close(fd);
            fd = up;
        }
        if (fd >= 0) {
            (void)close(fd);
        }
        return found;
    }
    if ((top->found.upper && top->found.below < 0) || top->node.lower < 0 || node->lower < 0) {
        return false;
    }
    const size_t before = strlen(top->node.where), size = strlen(top->name);
    const char *at = node->where + before;
    if (strncmp(node->where, top->node.where, before) != 0 || (before > 0 && *at++ != '/')) {
        return false;
    }
    return strncmp(at, top->name, size) == 0 && (at[size] == '/' || at[size] == '\0');
}

/* What rename(2) says before it asks the file system, and overlayfs after that. GO: it is to be done. */
enum { GO = -3 };
static int judge_rename(const struct wasi_call *call, const struct wasi_spot *from, const struct wasi_spot *to)
{
    const bool directory = from->found.fd >= 0 && S_ISDIR(from->found.stat.st_mode), there = to->found.fd >= 0;
    if (from->found.fd < 0) {
        return WASI_ENOENT;
    }
    if (!directory && (from->slash || to->slash)) {
        return WASI_ENOTDIR;
    }
    if (wasi_path_is_root(call->wasi, &from->found.stat) || (there && wasi_path_is_root(call->wasi, &to->found.stat))) {
        return WASI_EBUSY;
    }
    if (directory && holds(call, from, &to->node)) {
        return WASI_EINVAL;
    }
    if (there && S_ISDIR(to->found.stat.st_mode) && holds(call, to, &from->node)) {
        return WASI_ENOTEMPTY;
    }
    const bool one_name = there && strcmp(from->name, to->name) == 0 &&
                          (from->node.lower >= 0 && to->node.lower >= 0 ? strcmp(from->node.where, to->node.where) == 0 : false);
    if (there && same(&from->found.stat, &to->found.stat) && (directory || from->found.upper || one_name)) {
        return WASI_SUCCESS; /* two names of one file: nothing is to be done */
    }
    if (there && S_ISDIR(to->found.stat.st_mode) != directory) {
        return directory ? WASI_ENOTDIR : WASI_EISDIR;
    }
    if (directory && (!from->found.upper || from->found.below >= 0)) {
        return WASI_EXDEV;
    }
    return GO;
}

/* A directory of the upper layer alone takes its new name. */
static int move_directory(struct wasi_call *call, struct wasi_spot *from, struct wasi_spot *to)
{
    int result = to->found.fd >= 0 ? refuse_full(to) : WASI_SUCCESS;
    if (result == WASI_SUCCESS && to->found.fd >= 0 && to->found.upper) {
        result = from_host(wasi_layer_clear(to->found.fd));
    }
    if (result == WASI_SUCCESS && wasi_layer_below(&to->node, to->name)) {
        result = from_host(wasi_layer_opaque(from->found.fd));
    }
    if (result != WASI_SUCCESS) {
        return result;
    }
    call->wasi->epoch++;
    if (!is_hidden(to)) {
        return wasi_result(renameat(from->node.upper, from->name, to->node.upper, to->name));
    }
    result = wasi_result(renameat2(from->node.upper, from->name, to->node.upper, to->name, RENAME_EXCHANGE));
    if (result == WASI_SUCCESS) { /* the whiteout stands where the directory was */
        (void)unlinkat(from->node.upper, from->name, 0);
    }
    return result;
}

int wasi_staged_rename(struct wasi_call *call, struct wasi_spot *from, struct wasi_spot *to)
{
    struct bv_wasi *wasi = call->wasi;
    int result = judge_rename(call, from, to);
    if (result != GO) {
        return result;
    }
    const size_t root = from->node.root;
    const bool from_below = wasi_layer_below(&from->node, from->name), to_below = wasi_layer_below(&to->node, to->name);
    const bool directory = S_ISDIR(from->found.stat.st_mode);
    result = raise_node(call, to);
    if (result == WASI_SUCCESS) {
        result = raise_node(call, from);
    }
    if (result == WASI_SUCCESS) {
        result = wasi_copy_up(call, from, true);
    }
    if (result == WASI_SUCCESS) {
        result = directory ? move_directory(call, from, to)
                           : wasi_result(renameat(from->node.upper, from->name, to->node.upper, to->name));
    }
    if (result == WASI_SUCCESS && from_below) {
        result = from_host(wasi_layer_hide(wasi, root, from->node.upper, from->name));
        wasi_layers_gone(wasi, &from->node, from->name);
    }
    if (result != WASI_SUCCESS) {
        return result;
    }
    if (to->found.fd >= 0) {
        settle(call, to, to_below);
    }
    if (!from_below) {
        wasi_names_change(wasi, -1);
    }
    if (!to_below) {
        wasi_names_change(wasi, 1);
    }
    return WASI_SUCCESS;
}
