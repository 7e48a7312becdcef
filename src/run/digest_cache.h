/* run/digest_cache.h - SHA-256 of files that did not change, remembered by what the kernel says
 * of them. CONTRACT.md 2. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "canon/canon.h"

#define BV_DIGEST_CACHE_ENTRIES                                                                    \
    64 /* a host that runs more programs than this in turn hashes some again */
#define BV_DIGEST_SETTLE_SECONDS 2 /* coarsest time stamp of a file system in use (FAT) */

struct bv_file_key {
    uint64_t dev, ino, size;
    int64_t mtime_sec, mtime_nsec, ctime_sec, ctime_nsec;
};

struct bv_digest_cache {
    pthread_mutex_t lock;
    uint64_t uses;
    unsigned count;
    struct {
        struct bv_file_key key;
        uint64_t last_use;
        char digest[BV_DIGEST_TEXT_SIZE];
    } entries[BV_DIGEST_CACHE_ENTRIES];
};

bool bv_digest_cache_init(struct bv_digest_cache *cache);
void bv_digest_cache_done(struct bv_digest_cache *cache);
/* True: digest holds the text of an earlier put with an equal key. Thread-safe, as put is. */
bool bv_digest_cache_get(struct bv_digest_cache *cache, const struct bv_file_key *key,
                         char digest[BV_DIGEST_TEXT_SIZE]);
/* now_sec is real time taken before the file was read. A file that was touched so recently that
 * it could change again without a new time stamp is not kept. The entry that was not used for
 * longest makes room. */
void bv_digest_cache_put(struct bv_digest_cache *cache, const struct bv_file_key *key,
                         int64_t now_sec, const char *digest);
