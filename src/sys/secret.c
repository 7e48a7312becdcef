/* sys/secret.c - locked memory for secret leases; see secret.h.
 *
 * Owns one private anonymous mapping a store. A value is written there by the resolver itself,
 * so that no copy of it is left in memory that could be swapped or dumped. Specified by
 * CONTRACT.md 3: kept in locked memory and wiped after; so memory that cannot be locked is a
 * failure, never a fallback. */
#include "sys/secret.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"

#define PAGE_BYTES 4096u /* x86-64; mlock rounds to pages itself */

/* The kernel's own call: sanitizers replace mlock() by one that locks nothing and says that it
 * did. */
static long lock_memory(const void *base, size_t size)
{
    return syscall(SYS_mlock, base, size);
}

/* One attempt at a size. Both advices exist since Linux 4.14 and are part of the promise: they
 * are not optional. */
static int try_map(struct bv_secret_store *store, size_t size)
{
    int saved = errno;
    int r = 0;
    char *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) {
        r = -errno;
        errno = saved;
        return r;
    }
    if (madvise(base, size, MADV_DONTDUMP) < 0 || madvise(base, size, MADV_WIPEONFORK) < 0 ||
        lock_memory(base, size) < 0) {
        r = -errno;
        (void)munmap(base, size);
        errno = saved;
        return r;
    }
    *store = (struct bv_secret_store){ base, size, 0 };
    return 0;
}

int bv_secret_store_open(struct bv_secret_store *store, size_t max_bytes)
{
    BV_ASSERT(store->base == NULL);
    size_t size;
    if (bv_ckd_add(&size, max_bytes, (size_t)PAGE_BYTES - 1)) {
        return -EOVERFLOW;
    }
    size -= size % PAGE_BYTES;
    size = size > 0 ? size : PAGE_BYTES;
    /* mlock answers ENOMEM over the limit and EPERM when the limit is zero; a quarter may still
     * fit. */
    for (;;) {
        int r = try_map(store, size);
        if (r == 0 || size == PAGE_BYTES || (r != -ENOMEM && r != -EAGAIN)) {
            return r;
        }
        size /= 4;
        size = size < PAGE_BYTES ? PAGE_BYTES : size - size % PAGE_BYTES;
    }
}

char *bv_secret_store_tail(struct bv_secret_store *store, size_t *ret_capacity)
{
    BV_ASSERT(store->used <= store->size);
    size_t left = store->size - store->used;
    *ret_capacity = left > 0 ? left - 1 : 0; /* the NUL of the value */
    return left > 0 ? store->base + store->used : NULL;
}

const char *bv_secret_store_keep(struct bv_secret_store *store, size_t size)
{
    BV_ASSERT(store->used <= store->size);
    if (size >= store->size - store->used) {
        return NULL;
    }
    char *value = store->base + store->used;
    value[size] = '\0';
    store->used += size + 1;
    return value;
}

void bv_secret_store_done(struct bv_secret_store *store)
{
    if (store->base) {
        int saved = errno;
        explicit_bzero(
            store->base,
            store->size); /* the whole of it: a resolver may have written and then refused */
        (void)munmap(store->base, store->size); /* unmapping unlocks */
        errno = saved;
    }
    *store = (struct bv_secret_store)BV_SECRET_STORE_INIT;
}
