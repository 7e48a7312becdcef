/* wasi/names.c - calls that make, remove, move or read names: each acts on one component of a directory that path.c opened.
 *
 * With open.c these are the only functions that change the tree of a root by name. In a staged root what is right to do is
 * found out here and done by staged.c, in the upper layer. */
#include "wasi/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What a call that changes a name needs: the place, in a root that may be written to. dots_answer: what it says to `.` and
 * `..` as the last component. On success the caller leaves the place. */
static int find_place(struct wasi_call *call, const struct wasi_descriptor *dir, const char *path,
                      int dots_answer, struct wasi_place *place)
{
    int result = wasi_path_place(call, dir, path, place);
    if (result != WASI_SUCCESS) {
        return result;
    }
    if (place->dots) {
        return dots_answer;
    }
    result = wasi_path_may(call, dir, path, place->root, BV_WASI_WRITE);
    if (result != WASI_SUCCESS) {
        wasi_path_leave(place);
        return result;
    }
    return WASI_SUCCESS;
}

static int take_place(struct wasi_call *call, uint64_t right, unsigned first_arg, int dots_answer,
                      struct wasi_place *place)
{
    struct wasi_descriptor *dir;
    char path[PATH_MAX];
    int result = wasi_path_directory(call, call->args[0].i32, right, &dir);
    if (result == WASI_SUCCESS) {
        result =
            wasi_path_text(call, call->args[first_arg].i32, call->args[first_arg + 1].i32, path);
    }
    return result == WASI_SUCCESS ? find_place(call, dir, path, dots_answer, place) : result;
}

/* The component as the kernel gets it: with the slash that the guest wrote, so that it judges it. */
static const char *with_slash(struct wasi_place *place)
{
    const size_t size = strlen(place->name);
    if (place->slash && place->name[size - 1] != '/') {
        place->name[size] = '/';
        place->name[size + 1] = '\0';
    }
    return place->name;
}

static bool look_at(const struct wasi_place *place, struct stat *ret_stat)
{
    return fstatat(place->parent, place->name, ret_stat, AT_SYMLINK_NOFOLLOW) == 0;
}

static void name_gone(struct bv_wasi *wasi, const struct stat *before)
{
    wasi_names_change(wasi, -1);
    wasi_ledger_name_gone(wasi, before);
}

int wasi_path_create_directory(struct wasi_call *call)
{
    struct wasi_place place;
    int result = take_place(call, WASI_RIGHT_PATH_CREATE_DIRECTORY, 1, WASI_EEXIST, &place);
    if (result != WASI_SUCCESS) {
        return result;
    }
    if (place.staged) {
        result = wasi_staged_mkdir(call, &place.spot);
        wasi_path_leave(&place);
        return result;
    }
    result = wasi_names_room(call);
    if (result == WASI_SUCCESS) {
        result = wasi_result(mkdirat(place.parent, with_slash(&place), 0777));
    }
    if (result == WASI_SUCCESS) {
        wasi_names_change(call->wasi, 1);
    }
    wasi_path_leave(&place);
    return result;
}

int wasi_path_unlink_file(struct wasi_call *call)
{
    struct wasi_place place;
    struct stat before;
    int result = take_place(call, WASI_RIGHT_PATH_UNLINK_FILE, 1, WASI_EISDIR, &place);
    if (result != WASI_SUCCESS) {
        return result;
    }
    if (place.staged) {
        result = wasi_staged_unlink(call, &place.spot);
        wasi_path_leave(&place);
        return result;
    }
    const bool known = look_at(&place, &before);
    result = wasi_result(unlinkat(place.parent, with_slash(&place), 0));
    if (result == WASI_SUCCESS && known) {
        name_gone(call->wasi, &before);
    }
    wasi_path_leave(&place);
    return result;
}

int wasi_path_remove_directory(struct wasi_call *call)
{
    struct wasi_place place;
    struct stat before;
    int result = take_place(call, WASI_RIGHT_PATH_REMOVE_DIRECTORY, 1, WASI_EINVAL, &place);
    if (result != WASI_SUCCESS) {
        return result;
    }
    if (place.staged) {
        result = wasi_staged_rmdir(call, &place.spot);
        wasi_path_leave(&place);
        return result;
    }
    if (look_at(&place, &before) && wasi_path_is_root(call->wasi, &before)) {
        result = WASI_EBUSY;
    } else {
        result = wasi_result(unlinkat(place.parent, with_slash(&place), AT_REMOVEDIR));
    }
    if (result == WASI_SUCCESS) {
        wasi_names_change(call->wasi, -1);
    }
    wasi_path_leave(&place);
    return result;
}

/* ---- two places ---- */

struct two {
    struct wasi_place from, to;
};

/* What a link is to be made to must be there before anything is said of where. */
static int see_source(const struct wasi_place *from)
{
    struct stat unused;
    return from->staged ? (from->spot.found.fd < 0 ? WASI_ENOENT : WASI_SUCCESS)
                        : wasi_result(fstatat(from->parent, from->name, &unused, AT_SYMLINK_NOFOLLOW));
}

/* Both places of a rename or link (whose arguments begin one later), in one root that may be written to: another is another file system, EXDEV. */
static int take_two(struct wasi_call *call, uint32_t first, uint64_t from_right, uint64_t to_right,
                    int from_dots, int to_dots, struct two *two)
{
    struct wasi_descriptor *from_dir, *to_dir;
    char from[PATH_MAX], to[PATH_MAX];
    const union bv_wasm_value *args = call->args;
    int result = wasi_path_directory(call, args[0].i32, from_right, &from_dir);
    if (result == WASI_SUCCESS) {
        result = wasi_path_directory(call, args[first + 2].i32, to_right, &to_dir);
    }
    if (result == WASI_SUCCESS) {
        result = wasi_path_text(call, args[first].i32, args[first + 1].i32, from);
    }
    if (result == WASI_SUCCESS) {
        result = wasi_path_text(call, args[first + 3].i32, args[first + 4].i32, to);
    }
    if (result == WASI_SUCCESS) {
        result = find_place(call, from_dir, from, from_dots, &two->from);
    }
    if (result != WASI_SUCCESS) {
        return result;
    }
    result = first == 2 ? see_source(&two->from) : WASI_SUCCESS;
    if (result == WASI_SUCCESS) {
        result = find_place(call, to_dir, to, to_dots, &two->to);
    }
    if (result == WASI_SUCCESS && two->from.root != two->to.root) {
        wasi_path_leave(&two->to);
        result = WASI_EXDEV;
    }
    if (result != WASI_SUCCESS) {
        wasi_path_leave(&two->from);
    }
    return result;
}

static void leave_two(struct two *two)
{
    wasi_path_leave(&two->from);
    wasi_path_leave(&two->to);
}

int wasi_path_rename(struct wasi_call *call)
{
    struct two two;
    struct stat from, to;
    int result = take_two(call, 1, WASI_RIGHT_PATH_RENAME_SOURCE, WASI_RIGHT_PATH_RENAME_TARGET,
                          WASI_EBUSY, WASI_EBUSY, &two);
    if (result != WASI_SUCCESS) {
        return result;
    }
    if (two.from.staged) {
        result = wasi_staged_rename(call, &two.from.spot, &two.to.spot);
        leave_two(&two);
        return result;
    }
    const bool from_known = look_at(&two.from, &from), to_known = look_at(&two.to, &to);
    if ((from_known && wasi_path_is_root(call->wasi, &from)) ||
        (to_known && wasi_path_is_root(call->wasi, &to))) {
        result = WASI_EBUSY;
    } else {
        result = wasi_result(
            renameat(two.from.parent, with_slash(&two.from), two.to.parent, with_slash(&two.to)));
    }
    /* Two names of one file: rename(2) then does nothing. */
    const bool same =
        from_known && to_known && from.st_ino == to.st_ino && from.st_dev == to.st_dev;
    if (result == WASI_SUCCESS && to_known && !same) {
        name_gone(call->wasi, &to);
    }
    leave_two(&two);
    return result;
}

int wasi_path_link(struct wasi_call *call)
{
    struct two two;
    if ((call->args[1].i32 & WASI_LOOKUP_FOLLOW) != 0) {
        return WASI_EINVAL; /* a link to what a link leads to cannot be made without a second resolution */
    }
    int result = take_two(call, 2, WASI_RIGHT_PATH_LINK_SOURCE, WASI_RIGHT_PATH_LINK_TARGET,
                          WASI_EPERM, WASI_EEXIST, &two);
    if (result != WASI_SUCCESS) {
        return result;
    }
    if (two.from.staged) {
        result = wasi_staged_link(call, &two.from.spot, &two.to.spot);
        leave_two(&two);
        return result;
    }
    struct stat from;
    if (!look_at(&two.from, &from)) {
        result = wasi_errno(errno);
    } else if (two.from.slash) { /* linkat would follow a link behind a slash */
        result = S_ISDIR(from.st_mode) ? WASI_EPERM : WASI_ENOTDIR;
    } else {
        result = wasi_names_room(call);
    }
    if (result == WASI_SUCCESS) {
        result = wasi_result(
            linkat(two.from.parent, two.from.name, two.to.parent, with_slash(&two.to), 0));
    }
    if (result == WASI_SUCCESS) {
        wasi_names_change(call->wasi, 1);
    }
    leave_two(&two);
    return result;
}

/* ---- symbolic links ---- */

/* Its text counts as bytes of the root, like a file's. */
static int make_symlink(struct wasi_call *call, const char *target, struct wasi_place *place)
{
    struct bv_wasi *wasi = call->wasi;
    const size_t size = strlen(target);
    struct stat made;
    int result = wasi_names_room(call);
    if (result == WASI_SUCCESS && wasi_ledger_left(wasi, place->root) < size) {
        wasi_deny_storage(call);
        result = WASI_ENOSPC;
    }
    if (result == WASI_SUCCESS) {
        result = wasi_ledger_reserve(wasi);
    }
    if (result == WASI_SUCCESS) {
        result = wasi_result(symlinkat(target, place->parent, with_slash(place)));
    }
    if (result != WASI_SUCCESS) {
        return result;
    }
    wasi_names_change(wasi, 1);
    if (look_at(place, &made) && S_ISLNK(made.st_mode)) {
        wasi_ledger_begin(wasi, place->root, &made, size);
    }
    return WASI_SUCCESS;
}

int wasi_path_symlink(struct wasi_call *call)
{
    struct wasi_descriptor *dir;
    struct wasi_place place;
    char target[PATH_MAX], path[PATH_MAX];
    const union bv_wasm_value *args = call->args;
    int result = wasi_path_directory(call, args[2].i32, WASI_RIGHT_PATH_SYMLINK, &dir);
    if (result == WASI_SUCCESS) {
        result = wasi_path_text(call, args[0].i32, args[1].i32, target);
    }
    if (result == WASI_SUCCESS) {
        result = wasi_path_text(call, args[3].i32, args[4].i32, path);
    }
    if (result != WASI_SUCCESS) {
        return result;
    }
    if (target[0] == '/') { /* of no use to a guest, and a trap for whoever reads the root later */
        wasi_deny_path(call, BV_WASI_DENIED_PATH, dir, target);
        return WASI_ENOTCAPABLE;
    }
    result = find_place(call, dir, path, WASI_EEXIST, &place);
    if (result == WASI_SUCCESS) {
        result = place.staged ? wasi_staged_symlink(call, target, &place.spot) : make_symlink(call, target, &place);
        wasi_path_leave(&place);
    }
    return result;
}

int wasi_path_readlink(struct wasi_call *call)
{
    struct wasi_descriptor *dir;
    char path[PATH_MAX];
    const uint32_t capacity = call->args[4].i32 < PATH_MAX ? call->args[4].i32 : PATH_MAX;
    struct stat st;
    size_t root;
    int fd;
    int result = wasi_path_directory(call, call->args[0].i32, WASI_RIGHT_PATH_READLINK, &dir);
    if (result == WASI_SUCCESS) {
        result = wasi_path_text(call, call->args[1].i32, call->args[2].i32, path);
    }
    char *buffer = (char *)wasi_memory(call, call->args[3].i32, call->args[4].i32);
    if (result == WASI_SUCCESS && (!buffer || !wasi_memory(call, call->args[5].i32, 4))) {
        result = WASI_EFAULT;
    }
    if (result == WASI_SUCCESS) {
        result = wasi_path_find(call, dir, path, false, &fd, &st, &root);
    }
    if (result != WASI_SUCCESS) {
        return result;
    }
    result = wasi_path_may(call, dir, path, root, BV_WASI_READ);
    if (result == WASI_SUCCESS && (!S_ISLNK(st.st_mode) || capacity == 0)) {
        result = WASI_EINVAL;
    }
    if (result == WASI_SUCCESS) {
        const ssize_t size = readlinkat(fd, "", buffer, capacity);
        result =
            size < 0 ? wasi_errno(errno) : wasi_store_u32(call, call->args[5].i32, (uint32_t)size);
    }
    (void)close(fd);
    return result;
}
