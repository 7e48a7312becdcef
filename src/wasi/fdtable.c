/* wasi/fdtable.c - the guest's descriptors: numbers, rights, preopens, and the limit on them.
 *
 * A descriptor is born with rights and loses them; nothing adds one. It remembers which root it lies in, so what the root
 * allows is asked at each effect, however long ago the descriptor was opened and whatever its number is now. Each counts
 * against the handle limit, 0 to 2 and preopens included. */
#include "wasi/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

uint8_t wasi_filetype(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG: return WASI_TYPE_REGULAR_FILE;
    case S_IFDIR: return WASI_TYPE_DIRECTORY;
    case S_IFLNK: return WASI_TYPE_SYMBOLIC_LINK;
    case S_IFCHR: return WASI_TYPE_CHARACTER_DEVICE;
    case S_IFBLK: return WASI_TYPE_BLOCK_DEVICE;
    case S_IFSOCK: return WASI_TYPE_SOCKET_STREAM;
    default: return WASI_TYPE_UNKNOWN; /* preview 1 has no name for a pipe */
    }
}

/* Libraries take a character device that cannot be positioned for a terminal, so one that is none keeps these rights. */
uint64_t wasi_stream_rights(int fd, const struct stat *stat)
{
    const bool device = S_ISCHR(stat->st_mode) && isatty(fd) == 0;
    return WASI_RIGHTS_STREAM | (device ? WASI_RIGHT_FD_SEEK | WASI_RIGHT_FD_TELL : 0);
}

/* ---- the table ---- */

static bool grow(struct bv_wasi *wasi, size_t need)
{
    size_t room = wasi->table_room != 0 ? wasi->table_room : 16;
    while (room < need) {
        room *= 2;
    }
    const size_t more = (room - wasi->table_room) * sizeof(*wasi->table);
    if (!wasi_charge_memory(wasi, more)) {
        return false;
    }
    struct wasi_descriptor *table = realloc(wasi->table, room * sizeof(*table));
    if (!table) {
        wasi_release_memory(wasi, more);
        return false;
    }
    memset(table + wasi->table_room, 0, more);
    wasi->table = table;
    wasi->table_room = room;
    return true;
}

bool wasi_table_full(const struct bv_wasi *wasi)
{
    return wasi->usage.handles_open >= wasi->options.handles_max;
}

int wasi_table_add(struct bv_wasi *wasi, const struct wasi_descriptor *descriptor, int number)
{
    if (wasi_table_full(wasi)) {
        wasi->usage.handles_refused++;
        return -EMFILE;
    }
    size_t slot = number >= 0 ? (size_t)number : wasi->lowest_free;
    if (number < 0) {
        while (slot < wasi->table_size && wasi->table[slot].kind != WASI_FREE) {
            slot++;
        }
        wasi->lowest_free = slot + 1;
    }
    if (slot >= BV_WASI_HANDLES_CAP) {
        return -EMFILE; /* a kept descriptor of a number that high */
    }
    if (slot < wasi->table_size && wasi->table[slot].kind != WASI_FREE) {
        return -EEXIST;
    }
    if (slot >= wasi->table_room && !grow(wasi, slot + 1)) {
        wasi->lowest_free = slot < wasi->lowest_free ? slot : wasi->lowest_free;
        return -ENOMEM;
    }
    wasi->table[slot] = *descriptor;
    if (slot >= wasi->table_size) {
        wasi->table_size = slot + 1;
    }
    wasi->usage.handles_open++;
    if (wasi->usage.handles_open > wasi->usage.handles_peak) {
        wasi->usage.handles_peak = wasi->usage.handles_open;
    }
    return (int)slot;
}

bool wasi_table_holds(const struct bv_wasi *wasi, dev_t dev, ino_t ino,
                      const struct wasi_descriptor *except)
{
    for (size_t i = 0; i < wasi->table_size; i++) {
        const struct wasi_descriptor *other = &wasi->table[i];
        if (other != except && other->kind == WASI_FILE && other->ino == ino && other->dev == dev) {
            return true;
        }
    }
    return false;
}

/* The last holder of a file without a name gives back what the guest had added to it. */
static void settle(struct bv_wasi *wasi, const struct wasi_descriptor *descriptor)
{
    struct stat st;
    if (descriptor->kind == WASI_FILE && wasi_ledger_has(wasi, descriptor->dev, descriptor->ino) &&
        fstat(descriptor->fd, &st) == 0 && st.st_nlink == 0 &&
        !wasi_table_holds(wasi, descriptor->dev, descriptor->ino, descriptor)) {
        wasi_ledger_forget(wasi, descriptor->dev, descriptor->ino);
    }
}

void wasi_table_remove(struct bv_wasi *wasi, size_t number)
{
    struct wasi_descriptor *descriptor = &wasi->table[number];
    BV_ASSERT(number < wasi->table_size && descriptor->kind != WASI_FREE);
    settle(wasi, descriptor);
    if (descriptor->layers) {
        wasi_layers_free(wasi, descriptor->layers);
    } else if (!descriptor->borrowed) {
        (void)close(descriptor->fd);
    }
    wasi_listing_free(wasi, descriptor->listing);
    *descriptor = (struct wasi_descriptor){ .kind = WASI_FREE };
    wasi->usage.handles_open--;
    if (number < wasi->lowest_free) {
        wasi->lowest_free = number;
    }
}

void wasi_table_free(struct bv_wasi *wasi)
{
    for (size_t i = 0; i < wasi->table_size; i++) {
        if (wasi->table[i].kind != WASI_FREE) {
            wasi_table_remove(wasi, i);
        }
    }
    wasi_release_memory(wasi, wasi->table_room * sizeof(*wasi->table));
    free(wasi->table);
}

/* ---- kept descriptors ---- */

int bv_wasi_keep(struct bv_wasi *wasi, int host_fd, int number)
{
    struct stat st;
    const int mode = fcntl(host_fd, F_GETFL);
    if (mode < 0 || fstat(host_fd, &st) != 0) {
        return -errno;
    }
    if (S_ISDIR(st.st_mode)) {
        return -EISDIR;
    }
    if (S_ISSOCK(st.st_mode) && number != 0) {
        return -ENOTSUP;
    }
    const bool regular = S_ISREG(st.st_mode) && number != 0; /* wasi.h: stdin is a stream */
    struct wasi_descriptor made = { .kind = regular ? WASI_FILE : WASI_STREAM,
                                    .type = wasi_filetype(st.st_mode),
                                    .fd = host_fd,
                                    .borrowed = true,
                                    .base = regular ? WASI_RIGHTS_FILE
                                                    : wasi_stream_rights(host_fd, &st),
                                    .root = WASI_NO_ROOT,
                                    .dev = st.st_dev,
                                    .ino = st.st_ino,
                                    .flags = (mode & O_APPEND) != 0 ? WASI_FDFLAG_APPEND : 0 };
    if ((mode & O_ACCMODE) == O_RDONLY || (mode & O_PATH) != 0) {
        made.base &= ~(WASI_RIGHTS_WRITING | WASI_RIGHT_FD_FILESTAT_SET_TIMES);
    }
    if ((mode & O_ACCMODE) == O_WRONLY || (mode & O_PATH) != 0) {
        made.base &= ~WASI_RIGHT_FD_READ;
    }
    return wasi_table_add(wasi, &made, number);
}

/* ---- looking up ---- */

int wasi_look(struct wasi_call *call, uint32_t fd, struct wasi_descriptor **ret_descriptor)
{
    struct bv_wasi *wasi = call->wasi;
    if (fd >= wasi->table_size || wasi->table[fd].kind == WASI_FREE) {
        return WASI_EBADF;
    }
    *ret_descriptor = &wasi->table[fd];
    return WASI_SUCCESS;
}

int wasi_hold(struct wasi_call *call, const struct wasi_descriptor *descriptor, uint64_t rights)
{
    const uint64_t missing = rights & ~descriptor->base;
    if (missing == 0) {
        return WASI_SUCCESS;
    }
    wasi_deny(call, BV_WASI_DENIED_RIGHT, "descriptor %u lacks right %#llx",
              (unsigned)(descriptor - call->wasi->table), (unsigned long long)missing);
    return WASI_ENOTCAPABLE;
}

int wasi_take(struct wasi_call *call, uint32_t fd, uint64_t rights,
              struct wasi_descriptor **ret_descriptor)
{
    const int result = wasi_look(call, fd, ret_descriptor);
    return result == WASI_SUCCESS ? wasi_hold(call, *ret_descriptor, rights) : result;
}

int wasi_may_change(struct wasi_call *call, const struct wasi_descriptor *descriptor)
{
    if (descriptor->root == WASI_NO_ROOT ||
        (call->wasi->roots[descriptor->root].access & BV_WASI_WRITE) != 0) {
        return WASI_SUCCESS;
    }
    wasi_deny(call, BV_WASI_DENIED_WRITE, "descriptor %u lies in read-only %s",
              (unsigned)(descriptor - call->wasi->table), call->wasi->roots[descriptor->root].name);
    return WASI_EROFS;
}

/* ---- calls ---- */

int wasi_fd_close(struct wasi_call *call)
{
    struct wasi_descriptor *descriptor;
    const int result = wasi_look(call, call->args[0].i32, &descriptor);
    if (result == WASI_SUCCESS) {
        wasi_table_remove(call->wasi, call->args[0].i32);
    }
    return result;
}

int wasi_fd_renumber(struct wasi_call *call)
{
    const uint32_t from = call->args[0].i32, to = call->args[1].i32;
    struct wasi_descriptor *source, *target;
    int result = wasi_look(call, from, &source);
    if (result == WASI_SUCCESS) {
        result = wasi_look(call, to, &target);
    }
    if (result != WASI_SUCCESS || from == to) {
        return result;
    }
    wasi_table_remove(call->wasi, to);
    *target = *source;
    *source = (struct wasi_descriptor){ .kind = WASI_FREE };
    if (to == call->wasi->lowest_free) {
        call->wasi->lowest_free++;
    }
    if (from < call->wasi->lowest_free) {
        call->wasi->lowest_free = from;
    }
    return WASI_SUCCESS;
}

/* EBADF for what is open and no preopen: libraries count up from 3 and stop there. */
static int take_preopen(struct wasi_call *call, const char **ret_name)
{
    struct wasi_descriptor *descriptor;
    const int result = wasi_look(call, call->args[0].i32, &descriptor);
    if (result != WASI_SUCCESS || !descriptor->preopen) {
        return WASI_EBADF;
    }
    *ret_name = descriptor->preopen;
    return WASI_SUCCESS;
}

int wasi_fd_prestat_get(struct wasi_call *call)
{
    const char *name;
    const int result = take_preopen(call, &name);
    if (result != WASI_SUCCESS) {
        return result;
    }
    uint8_t *at = wasi_memory(call, call->args[1].i32, WASI_PRESTAT_BYTES);
    if (!at) {
        return WASI_EFAULT;
    }
    wasi_put(at, 0, 4); /* a directory, and padding */
    wasi_put(at + 4, strlen(name), 4);
    return WASI_SUCCESS;
}

int wasi_fd_prestat_dir_name(struct wasi_call *call)
{
    const char *name;
    const int result = take_preopen(call, &name);
    if (result != WASI_SUCCESS) {
        return result;
    }
    const size_t size = strlen(name);
    if (call->args[2].i32 < size) {
        return WASI_ENAMETOOLONG;
    }
    uint8_t *at = wasi_memory(call, call->args[1].i32, size);
    if (!at) {
        return WASI_EFAULT;
    }
    memcpy(at, name, size);
    return WASI_SUCCESS;
}
