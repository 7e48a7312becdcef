/* run/digest_cache.c - a small table under one lock; see digest_cache.h.
 *
 * What is sound about it: a file's change time cannot be set by anybody, so equal (dev, ino,
 * size, mtime, ctime) of a file whose last change was already older than the clock's grain when
 * it was read means equal bytes. Must not touch a file itself. */
#include "run/digest_cache.h"

#include "base/check.h"
#include "base/error.h"

static bool keys_equal(const struct bv_file_key *a, const struct bv_file_key *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           a->mtime_sec == b->mtime_sec && a->mtime_nsec == b->mtime_nsec &&
           a->ctime_sec == b->ctime_sec && a->ctime_nsec == b->ctime_nsec;
}

/* A time in the future is never settled, whatever its distance. */
static bool is_settled(int64_t stamp_sec, int64_t now_sec)
{
    int64_t age;
    return !bv_ckd_sub(&age, now_sec, stamp_sec) && age > BV_DIGEST_SETTLE_SECONDS;
}

bool bv_digest_cache_init(struct bv_digest_cache *cache)
{
    cache->uses = 0;
    cache->count = 0;
    return pthread_mutex_init(&cache->lock, NULL) == 0;
}

void bv_digest_cache_done(struct bv_digest_cache *cache)
{
    BV_ASSERT(cache->count <= BV_DIGEST_CACHE_ENTRIES);
    (void)pthread_mutex_destroy(&cache->lock);
}

static void lock(struct bv_digest_cache *cache)
{
    int r = pthread_mutex_lock(&cache->lock); /* fails only for a mutex that is none */
    BV_ASSERT(r == 0);
}

static void unlock(struct bv_digest_cache *cache)
{
    int r = pthread_mutex_unlock(&cache->lock);
    BV_ASSERT(r == 0);
}

bool bv_digest_cache_get(struct bv_digest_cache *cache, const struct bv_file_key *key,
                         char digest[BV_DIGEST_TEXT_SIZE])
{
    bool found = false;
    lock(cache);
    for (unsigned i = 0; i < cache->count && !found; i++) {
        if (keys_equal(&cache->entries[i].key, key)) {
            cache->entries[i].last_use = ++cache->uses;
            bv_copy_text(digest, BV_DIGEST_TEXT_SIZE, cache->entries[i].digest);
            found = true;
        }
    }
    unlock(cache);
    return found;
}

void bv_digest_cache_put(struct bv_digest_cache *cache, const struct bv_file_key *key,
                         int64_t now_sec, const char *digest)
{
    if (!is_settled(key->mtime_sec, now_sec) || !is_settled(key->ctime_sec, now_sec)) {
        return;
    }
    lock(cache);
    unsigned slot = 0;
    bool reuse = false;
    for (unsigned i = 0; i < cache->count && !reuse; i++) {
        /* Two threads may have hashed the same file at once: one entry is enough. */
        reuse = keys_equal(&cache->entries[i].key, key);
        if (reuse || cache->entries[i].last_use < cache->entries[slot].last_use) {
            slot = i;
        }
    }
    if (!reuse && cache->count < BV_DIGEST_CACHE_ENTRIES) {
        slot = cache->count++;
    }
    cache->entries[slot].key = *key;
    cache->entries[slot].last_use = ++cache->uses;
    bv_copy_text(cache->entries[slot].digest, BV_DIGEST_TEXT_SIZE, digest);
    unlock(cache);
}
