/* wasi/dir.c - fd_readdir: a directory's entries, from a cookie on.
 *
 * A cookie is the number of entries that this descriptor has handed out before it; behind each stands the kernel's own
 * position (d_off), which holds while others add and remove names. The kernel's number itself will not do: ext4's is a hash
 * of 63 bits, and telldir() of a 32-bit guest has 32. The kernel's entries are kept until the guest has taken them: a guest
 * that reads on where it stopped, as all libraries do, causes no seek, and a change of the directory between two calls
 * neither repeats nor loses what was not touched, also on file systems whose positions only count. An entry that does not
 * fit fills the guest's buffer and is not taken.
 *
 * A directory of two layers is read one after the other: first the lower, without the names that the upper layer hides, then of
 * the upper what the lower has not. In that order a name is handed out once, also when its file is copied up between two calls. */
#include "wasi/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

#define LISTING_BYTES 8192u
#define POSITIONS_MIN 64u
#define ENTRIES_PIECE 1024u /* of one entry into the host function */

struct wasi_listing {
    uint64_t cookie;     /* entries before the one at `at` */
    uint64_t *positions; /* positions[n]: where the kernel goes on behind entry n + 1 */
    size_t known, room;  /* of positions */
    size_t at, size;     /* of bytes */
    bool upper;          /* which layer `bytes` are of, and the kernel stands in */
    size_t split;        /* entries of the lower layer, once all are known; else SIZE_MAX */
    _Alignas(struct dirent64) char bytes[LISTING_BYTES];
};

void wasi_listing_free(struct bv_wasi *wasi, struct wasi_listing *listing)
{
    if (listing) {
        wasi_release_memory(wasi, sizeof(*listing) + listing->room * sizeof(*listing->positions));
        free(listing->positions);
        free(listing);
    }
}

static int open_listing(struct bv_wasi *wasi, struct wasi_descriptor *dir)
{
    if (dir->listing) {
        return WASI_SUCCESS;
    }
    if (!wasi_charge_memory(wasi, sizeof(*dir->listing))) {
        return WASI_ENOMEM;
    }
    dir->listing = calloc(1, sizeof(*dir->listing));
    if (!dir->listing) {
        wasi_release_memory(wasi, sizeof(*dir->listing));
        return WASI_ENOMEM;
    }
    dir->listing->split = SIZE_MAX;
    return WASI_SUCCESS;
}

/* What is read now: of one layer its only directory. */
static int fd_of(const struct wasi_descriptor *dir)
{
    return !dir->layers ? dir->fd : dir->listing->upper ? dir->layers->upper : dir->layers->lower;
}

/* Room to remember one more position. */
static bool make_room(struct bv_wasi *wasi, struct wasi_listing *listing)
{
    if (listing->cookie < listing->room) {
        return true;
    }
    const size_t room = listing->room != 0 ? listing->room * 2 : POSITIONS_MIN;
    const size_t more = (room - listing->room) * sizeof(*listing->positions);
    if (!wasi_charge_memory(wasi, more)) {
        return false;
    }
    uint64_t *positions = realloc(listing->positions, room * sizeof(*positions));
    if (!positions) {
        wasi_release_memory(wasi, more);
        return false;
    }
    listing->positions = positions;
    listing->room = room;
    return true;
}

static int move_to(const struct wasi_descriptor *dir, uint64_t cookie)
{
    struct wasi_listing *listing = dir->listing;
    if (cookie > listing->known) {
        return WASI_EINVAL;
    }
    if (cookie == 0) { /* from the start is from the start */
        listing->split = SIZE_MAX;
    }
    listing->upper = cookie > listing->split;
    const uint64_t position = cookie > 0 ? listing->positions[cookie - 1] : 0;
    if (lseek(fd_of(dir), (off_t)position, SEEK_SET) < 0) {
        return wasi_errno(errno);
    }
    listing->cookie = cookie;
    listing->at = listing->size = 0;
    return WASI_SUCCESS;
}

/* The lower layer is at its end: the upper one goes on, if there is one. */
static bool change_layer(const struct wasi_descriptor *dir)
{
    struct wasi_listing *listing = dir->listing;
    if (!dir->layers || listing->upper || dir->layers->upper < 0) {
        return false;
    }
    listing->upper = true;
    listing->split = (size_t)listing->cookie;
    return lseek(dir->layers->upper, 0, SEEK_SET) == 0;
}

static int fill(const struct wasi_descriptor *dir)
{
    struct wasi_listing *listing = dir->listing;
    if (listing->at < listing->size) {
        return WASI_SUCCESS;
    }
    do {
        const ssize_t size = getdents64(fd_of(dir), listing->bytes, sizeof(listing->bytes));
        if (size < 0) {
            return wasi_errno(errno);
        }
        listing->at = 0;
        listing->size = (size_t)size;
    } while (listing->size == 0 && change_layer(dir));
    return WASI_SUCCESS;
}

static uint8_t kind_of(mode_t mode)
{
    return S_ISREG(mode)   ? DT_REG
           : S_ISDIR(mode) ? DT_DIR
           : S_ISLNK(mode) ? DT_LNK
           : S_ISCHR(mode) ? DT_CHR
           : S_ISBLK(mode) ? DT_BLK
                           : DT_UNKNOWN;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* In a directory of two layers: whether this entry is one of the merged directory, and what it is there. */
static bool is_shown(const struct wasi_descriptor *dir, struct dirent64 *entry)
{
    const struct wasi_layers *layers = dir->layers;
    struct stat st;
    if (is_dots(entry->d_name) || !layers) {
        return !layers || !dir->listing->upper || layers->lower < 0;
    }
    if (dir->listing->upper) {
        return fstatat(layers->lower, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 &&
               !(entry->d_type == DT_CHR && fstatat(layers->upper, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && wasi_layer_is_whiteout(&st));
    }
    if (layers->upper < 0 || fstatat(layers->upper, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return true;
    }
    if (!S_ISDIR(st.st_mode) || entry->d_type != DT_DIR) { /* a merged directory keeps the lower's number */
        entry->d_ino = st.st_ino;
    }
    entry->d_type = kind_of(st.st_mode);
    return !wasi_layer_is_whiteout(&st);
}

/* The entry at the cookie; NULL at the end, or, when *ret_more, where the next is to be looked at. */
static int peek(struct bv_wasi *wasi, const struct wasi_descriptor *dir,
                const struct dirent64 **ret_entry, bool *ret_more)
{
    struct wasi_listing *listing = dir->listing;
    const int result = fill(dir);
    *ret_more = false;
    if (result != WASI_SUCCESS || listing->at == listing->size) {
        return result;
    }
    struct dirent64 *entry = (void *)(listing->bytes + listing->at);
    if (!is_shown(dir, entry)) {
        listing->at += entry->d_reclen;
        *ret_more = true;
        return WASI_SUCCESS;
    }
    if (!make_room(wasi, listing)) {
        return WASI_ENOMEM;
    }
    *ret_entry = entry;
    return WASI_SUCCESS;
}

static void take(struct wasi_listing *listing, const struct dirent64 *entry)
{
    listing->positions[listing->cookie++] = (uint64_t)entry->d_off;
    listing->known = listing->cookie > listing->known ? (size_t)listing->cookie : listing->known;
    listing->at += entry->d_reclen;
}

static uint8_t type_of(const struct dirent64 *entry)
{
    switch (entry->d_type) {
    case DT_REG: return WASI_TYPE_REGULAR_FILE;
    case DT_DIR: return WASI_TYPE_DIRECTORY;
    case DT_LNK: return WASI_TYPE_SYMBOLIC_LINK;
    case DT_CHR: return WASI_TYPE_CHARACTER_DEVICE;
    case DT_BLK: return WASI_TYPE_BLOCK_DEVICE;
    case DT_SOCK: return WASI_TYPE_SOCKET_STREAM;
    default: return WASI_TYPE_UNKNOWN; /* a pipe, or a file system that does not say */
    }
}

/* Writes as much of an entry as fits; how much that was. */
static size_t put(uint8_t *at, size_t room, uint64_t next, const struct dirent64 *entry)
{
    uint8_t head[WASI_DIRENT_BYTES] = { 0 };
    const size_t name = strlen(entry->d_name), first = room < sizeof(head) ? room : sizeof(head);
    wasi_put(head, next, 8);
    wasi_put(head + 8, entry->d_ino, 8);
    wasi_put(head + 16, name, 4);
    wasi_put(head + 20, type_of(entry), 1);
    memcpy(at, head, first);
    const size_t rest = name < room - first ? name : room - first;
    memcpy(at + first, entry->d_name, rest);
    return first + rest;
}

static int list(struct wasi_call *call, struct wasi_descriptor *dir, uint8_t *buffer, size_t size)
{
    struct bv_wasi *wasi = call->wasi;
    for (unsigned entries = 0; wasi->pending_done < size; entries++) {
        const struct dirent64 *entry = NULL;
        if (entries == ENTRIES_PIECE) {
            wasi->pending_cookie = dir->listing->cookie;
            return wasi_go_on(call);
        }
        bool more;
        const int result = peek(wasi, dir, &entry, &more);
        if (result != WASI_SUCCESS) {
            return result;
        }
        if (more) {
            bv_wasm_caller_charge(call->caller, 1);
            continue;
        }
        if (!entry) {
            break;
        }
        const size_t whole = WASI_DIRENT_BYTES + strlen(entry->d_name),
                     room = size - (size_t)wasi->pending_done;
        const size_t used = put(buffer + wasi->pending_done, room, dir->listing->cookie + 1, entry);
        wasi->pending_done += used;
        bv_wasm_caller_charge(call->caller, 1 + used / 64);
        if (used == whole) {
            take(dir->listing, entry);
        }
    }
    return wasi_store_u32(call, call->args[4].i32, (uint32_t)wasi->pending_done);
}

int wasi_fd_readdir(struct wasi_call *call)
{
    struct bv_wasi *wasi = call->wasi;
    struct wasi_descriptor *dir;
    const uint32_t size = call->args[2].i32;
    const uint64_t cookie = wasi_resumed(call) ? wasi->pending_cookie : call->args[3].i64;
    int result = wasi_path_directory(call, call->args[0].i32, WASI_RIGHT_FD_READDIR, &dir);
    uint8_t *buffer = wasi_memory(call, call->args[1].i32, size);
    if (result == WASI_SUCCESS && (!buffer || !wasi_memory(call, call->args[4].i32, 4))) {
        result = WASI_EFAULT;
    }
    if (result == WASI_SUCCESS && (wasi->roots[dir->root].access & BV_WASI_READ) == 0) {
        wasi_deny_path(call, BV_WASI_DENIED_READ, dir, ".");
        result = WASI_EACCES;
    }
    if (result == WASI_SUCCESS && dir->layers && dir->layers->gone) { /* as a directory that was removed is: empty */
        return wasi_store_u32(call, call->args[4].i32, 0);
    }
    if (result == WASI_SUCCESS) {
        result = open_listing(wasi, dir);
    }
    /* From the start is from the start: what was there before is read anew. */
    if (result == WASI_SUCCESS &&
        (cookie != dir->listing->cookie || (cookie == 0 && !wasi_resumed(call)))) {
        result = move_to(dir, cookie);
    }
    return result == WASI_SUCCESS ? list(call, dir, buffer, size) : result;
}
