/* sys/secret.h - memory for secret leases: locked, left out of core dumps, empty in forked
 * children, wiped when it is given back. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct bv_secret_store {
    char *base;
    size_t size, used;
};
#define BV_SECRET_STORE_INIT                                                                       \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }

/* Makes room for at most max_bytes. Locks less where RLIMIT_MEMLOCK gives less, one page at the
 * least. 0 or -errno; nothing is held on failure. */
int bv_secret_store_open(struct bv_secret_store *store, size_t max_bytes);
/* The room that is left: what a resolver may write to. */
char *bv_secret_store_tail(struct bv_secret_store *store, size_t *ret_capacity);
/* Keeps the first `size` bytes of the tail and a NUL after them as one value. The text lives
 * until done. NULL if it does not fit. */
const char *bv_secret_store_keep(struct bv_secret_store *store, size_t size);
/* Wipes and gives back; the store is as after BV_SECRET_STORE_INIT. */
void bv_secret_store_done(struct bv_secret_store *store);
