/* wasi/dir.c - fd_readdir: a directory's entries, from a cookie on.
 *
 * A cookie is the number of entries that this descriptor has handed out before it; behind each stands the kernel's own
 * position (d_off), which holds while others add and remove names. The kernel's number itself will not do: ext4's is a hash
 * of 63 bits, and telldir() of a 32-bit guest has 32. The kernel's entries are kept until the guest has taken them: a guest
 * that reads on where it stopped, as all libraries do, causes no seek, and a change of the directory between two calls
 * neither repeats nor loses what was not touched, also on file systems whose positions only count. An entry that does not
 * fit fills the guest's buffer and is not taken. */
#include "wasi/state.h"

#include <dirent.h>
#include <errno.h>
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
    return WASI_SUCCESS;
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
    const uint64_t position = cookie > 0 ? listing->positions[cookie - 1] : 0;
    if (lseek(dir->fd, (off_t)position, SEEK_SET) < 0) {
        return wasi_errno(errno);
    }
    listing->cookie = cookie;
    listing->at = listing->size = 0;
    return WASI_SUCCESS;
}

/* The entry at the cookie; NULL at the end. */
static int peek(struct bv_wasi *wasi, const struct wasi_descriptor *dir,
                const struct dirent64 **ret_entry)
{
    struct wasi_listing *listing = dir->listing;
    if (listing->at == listing->size) {
        const ssize_t size = getdents64(dir->fd, listing->bytes, sizeof(listing->bytes));
        if (size < 0) {
            return wasi_errno(errno);
        }
        listing->at = 0;
        listing->size = (size_t)size;
    }
    if (listing->at == listing->size) {
        return WASI_SUCCESS;
    }
    if (!make_room(wasi, listing)) {
        return WASI_ENOMEM;
    }
    *ret_entry = (const void *)(listing->bytes + listing->at);
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
        const int result = peek(wasi, dir, &entry);
        if (result != WASI_SUCCESS) {
            return result;
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
