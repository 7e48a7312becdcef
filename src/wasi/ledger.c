/* wasi/ledger.c - storage: for each inode, by how much this guest changed its size; and how many names it added.
 *
 * An open-addressed table by inode. An entry exists while its figure is not zero (or a write is about to make it so), so the
 * table is as large as the number of files that the guest made larger or smaller. Used is the sum of what is positive. */
#include "wasi/state.h"

#include <stdlib.h>

#include "base/check.h"

static size_t home_of(const struct wasi_ledger *ledger, dev_t dev, ino_t ino)
{
    uint64_t mixed = ((uint64_t)ino ^ ((uint64_t)dev << 40)) * UINT64_C(0x9e3779b97f4a7c15);
    mixed ^= mixed >> 32;
    return (size_t)mixed & (ledger->capacity - 1);
}

/* A free slot has inode 0, which no file system uses. */
static struct wasi_ledger_entry *find(const struct wasi_ledger *ledger, dev_t dev, ino_t ino)
{
    if (ledger->capacity == 0) {
        return NULL;
    }
    for (size_t at = home_of(ledger, dev, ino);; at = (at + 1) & (ledger->capacity - 1)) {
        struct wasi_ledger_entry *entry = &ledger->slots[at];
        if (entry->ino == 0 || (entry->ino == ino && entry->dev == dev)) {
            return entry;
        }
    }
}

static bool grow(struct bv_wasi *wasi)
{
    struct wasi_ledger *old = &wasi->ledger,
                       larger = { .capacity = old->capacity != 0 ? old->capacity * 2 : 16 };
    const size_t bytes = larger.capacity * sizeof(*larger.slots);
    if (!wasi_charge_memory(wasi, bytes)) {
        return false;
    }
    larger.slots = calloc(larger.capacity, sizeof(*larger.slots));
    if (!larger.slots) {
        wasi_release_memory(wasi, bytes);
        return false;
    }
    for (size_t i = 0; i < old->capacity; i++) {
        if (old->slots[i].ino != 0) {
            *find(&larger, old->slots[i].dev, old->slots[i].ino) = old->slots[i];
        }
    }
    larger.count = old->count;
    wasi_ledger_free(wasi);
    *old = larger;
    return true;
}

void wasi_ledger_free(struct bv_wasi *wasi)
{
    wasi_release_memory(wasi, wasi->ledger.capacity * sizeof(*wasi->ledger.slots));
    free(wasi->ledger.slots);
    wasi->ledger = (struct wasi_ledger){ 0 };
}

/* Takes an entry out and closes the gap, so that every other is still reached from its home. */
static void take_out(struct wasi_ledger *ledger, struct wasi_ledger_entry *entry)
{
    const size_t mask = ledger->capacity - 1;
    size_t gap = (size_t)(entry - ledger->slots);
    for (size_t at = (gap + 1) & mask; ledger->slots[at].ino != 0; at = (at + 1) & mask) {
        const size_t home = home_of(ledger, ledger->slots[at].dev, ledger->slots[at].ino);
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            ledger->slots[gap] = ledger->slots[at];
            gap = at;
        }
    }
    ledger->slots[gap] = (struct wasi_ledger_entry){ 0 };
    ledger->count--;
}

int wasi_ledger_reserve(struct bv_wasi *wasi)
{
    const struct wasi_ledger *ledger = &wasi->ledger;
    return (ledger->count + 1) * 4 <= ledger->capacity * 3 || grow(wasi) ? WASI_SUCCESS
                                                                         : WASI_ENOMEM;
}

uint64_t wasi_ledger_left(const struct bv_wasi *wasi, size_t root)
{
    BV_ASSERT(wasi->usage.storage_bytes <= wasi->options.storage_max_bytes);
    const uint64_t all = wasi->options.storage_max_bytes - wasi->usage.storage_bytes;
    if (root == WASI_NO_ROOT) {
        return all;
    }
    const uint64_t here = wasi->roots[root].limit_bytes - wasi->roots[root].used_bytes;
    return here < all ? here : all;
}

int wasi_ledger_room(struct bv_wasi *wasi, size_t root, dev_t dev, ino_t ino, uint64_t *ret_bytes)
{
    const int result = wasi_ledger_reserve(wasi);
    if (result != WASI_SUCCESS) {
        return result;
    }
    struct wasi_ledger_entry *entry = find(&wasi->ledger, dev, ino);
    if (entry->ino == 0) {
        *entry = (struct wasi_ledger_entry){ .dev = dev, .ino = ino, .root = root };
        wasi->ledger.count++;
    }
    uint64_t room = wasi_ledger_left(wasi, root);
    if (entry->delta < 0 && bv_ckd_add(&room, room, (uint64_t)-entry->delta)) {
        room = UINT64_MAX;
    }
    *ret_bytes = room;
    return WASI_SUCCESS;
}

static void count(struct bv_wasi *wasi, const struct wasi_ledger_entry *entry, int64_t before,
                  int64_t after)
{
    const uint64_t less = before > 0 ? (uint64_t)before : 0, more = after > 0 ? (uint64_t)after : 0;
    wasi->usage.storage_bytes = wasi->usage.storage_bytes - less + more;
    if (wasi->usage.storage_bytes > wasi->usage.storage_peak_bytes) {
        wasi->usage.storage_peak_bytes = wasi->usage.storage_bytes;
    }
    if (entry->root != WASI_NO_ROOT) {
        struct wasi_root *root = &wasi->roots[entry->root];
        root->used_bytes = root->used_bytes - less + more;
        BV_ASSERT(root->used_bytes <= root->limit_bytes);
    }
}

void wasi_ledger_change(struct bv_wasi *wasi, dev_t dev, ino_t ino, int64_t bytes)
{
    struct wasi_ledger_entry *entry = find(&wasi->ledger, dev, ino);
    BV_ASSERT(entry && entry->ino == ino);
    const int64_t before = entry->delta;
    entry->delta += bytes;
    count(wasi, entry, before, entry->delta);
    if (entry->delta == 0) {
        take_out(&wasi->ledger, entry);
    }
}

void wasi_ledger_forget(struct bv_wasi *wasi, dev_t dev, ino_t ino)
{
    struct wasi_ledger_entry *entry = find(&wasi->ledger, dev, ino);
    if (entry && entry->ino == ino) {
        count(wasi, entry, entry->delta, 0);
        take_out(&wasi->ledger, entry);
    }
}

bool wasi_ledger_has(const struct bv_wasi *wasi, dev_t dev, ino_t ino)
{
    const struct wasi_ledger_entry *entry = find(&wasi->ledger, dev, ino);
    return entry && entry->ino == ino;
}

void wasi_ledger_begin(struct bv_wasi *wasi, size_t root, const struct stat *stat, uint64_t bytes)
{
    uint64_t room;
    wasi_ledger_forget(wasi, stat->st_dev, stat->st_ino); /* of another file that had this inode */
    (void)wasi_ledger_room(wasi, root, stat->st_dev, stat->st_ino, &room); /* reserved: does not fail */
    wasi_ledger_change(wasi, stat->st_dev, stat->st_ino, (int64_t)bytes);
}

void wasi_ledger_name_gone(struct bv_wasi *wasi, const struct stat *before)
{
    if (!S_ISDIR(before->st_mode) && before->st_nlink == 1 &&
        !wasi_table_holds(wasi, before->st_dev, before->st_ino, NULL)) {
        wasi_ledger_forget(wasi, before->st_dev, before->st_ino);
    }
}

int wasi_names_room(struct wasi_call *call)
{
    struct bv_wasi *wasi = call->wasi;
    if (wasi->names_added < wasi->names_max) {
        return WASI_SUCCESS;
    }
    wasi_deny_storage(call);
    return WASI_ENOSPC;
}

void wasi_names_change(struct bv_wasi *wasi, int by)
{
    if (by > 0) {
        wasi->names_added++;
    } else if (wasi->names_added > 0) {
        wasi->names_added--;
    }
}
