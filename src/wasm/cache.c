/* wasm/cache.c - compiled modules by digest: bounded by bytes and count, the least recently used goes first.
 *
 * A compile is done outside the lock; two threads that miss at once both compile, and the second finds the first's module. What an
 * answer says never depends on what the cache holds: a hit is held against the caller's max_bytes as the compile would have been. */
#include "wasm/module.h"

#include "base/check.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    struct entry *newer, *older;
    struct bv_wasm_module *module;
    uint8_t digest[32];
};

struct bv_wasm_cache {
    pthread_mutex_t lock;
    struct entry *newest, *oldest;
    uint64_t max_bytes, bytes;
    uint32_t max_modules, modules;
};

struct bv_wasm_cache *bv_wasm_cache_new(uint64_t max_bytes, uint32_t max_modules)
{
    struct bv_wasm_cache *cache = calloc(1, sizeof(*cache));
    if (!cache || pthread_mutex_init(&cache->lock, NULL) != 0) {
        free(cache);
        return NULL;
    }
    cache->max_bytes = max_bytes;
    cache->max_modules = max_modules;
    return cache;
}

static void detach(struct bv_wasm_cache *cache, struct entry *entry)
{
    *(entry->newer ? &entry->newer->older : &cache->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &cache->oldest) = entry->newer;
    entry->newer = entry->older = NULL;
}

static void attach(struct bv_wasm_cache *cache, struct entry *entry)
{
    entry->older = cache->newest;
    *(cache->newest ? &cache->newest->newer : &cache->oldest) = entry;
    cache->newest = entry;
}

static void evict(struct bv_wasm_cache *cache, struct entry *entry)
{
    detach(cache, entry);
    cache->modules--;
    cache->bytes -= bv_wasm_module_bytes(entry->module);
    bv_wasm_module_free(entry->module);
    free(entry);
}

void bv_wasm_cache_free(struct bv_wasm_cache *cache)
{
    if (!cache) {
        return;
    }
    while (cache->oldest) {
        evict(cache, cache->oldest);
    }
    BV_ASSERT(cache->modules == 0 && cache->bytes == 0);
    (void)pthread_mutex_destroy(&cache->lock);
    free(cache);
}

static bool same_options(const struct bv_wasm_options *a, const struct bv_wasm_options *b)
{
    return a->canonical_nans == b->canonical_nans && a->count_each == b->count_each &&
           a->only_2_0 == b->only_2_0;
}

static struct bv_wasm_module *find(struct bv_wasm_cache *cache, const uint8_t digest[32],
                                   const struct bv_wasm_options *options)
{
    for (struct entry *entry = cache->newest; entry; entry = entry->older) {
        if (memcmp(entry->digest, digest, sizeof(entry->digest)) == 0 &&
            same_options(&entry->module->options, options)) {
            detach(cache, entry);
            attach(cache, entry);
            return bv_wasm_module_ref(entry->module);
        }
    }
    return NULL;
}

static void keep(struct bv_wasm_cache *cache, const uint8_t digest[32],
                 struct bv_wasm_module *module)
{
    uint64_t bytes = bv_wasm_module_bytes(module);
    struct bv_wasm_module *present = find(cache, digest, &module->options);
    if (present || bytes > cache->max_bytes || cache->max_modules == 0) {
        bv_wasm_module_free(present);
        return;
    }
    struct entry *entry = calloc(1, sizeof(*entry));
    if (!entry) {
        return; /* a miss the next time */
    }
    while (cache->oldest &&
           (cache->modules >= cache->max_modules || cache->bytes + bytes > cache->max_bytes)) {
        evict(cache, cache->oldest);
    }
    entry->module = bv_wasm_module_ref(module);
    memcpy(entry->digest, digest, sizeof(entry->digest));
    attach(cache, entry);
    cache->modules++;
    cache->bytes += bytes;
}

static struct bv_wasm_options wanted_options(const struct bv_wasm_options *options)
{
    return options ? *options : (struct bv_wasm_options){ .canonical_nans = true };
}

struct bv_wasm_module *bv_wasm_cache_find(struct bv_wasm_cache *cache, const uint8_t digest[32],
                                          const struct bv_wasm_options *options, uint64_t max_bytes)
{
    const struct bv_wasm_options wanted = wanted_options(options);
    (void)pthread_mutex_lock(&cache->lock);
    struct bv_wasm_module *module = find(cache, digest, &wanted);
    (void)pthread_mutex_unlock(&cache->lock);
    if (module && module->budget.peak_bytes + sizeof(*module) > max_bytes) {
        bv_wasm_module_free(module); /* the compile says so in its own words */
        return NULL;
    }
    return module;
}

enum bv_wasm_status bv_wasm_cache_compile(struct bv_wasm_cache *cache, const uint8_t digest[32],
                                          const void *bytes, size_t size,
                                          const struct bv_wasm_options *options, uint64_t max_bytes,
                                          struct bv_wasm_module **ret_module,
                                          struct bv_wasm_error *error)
{
    const struct bv_wasm_options wanted = wanted_options(options);
    struct bv_wasm_module *module = bv_wasm_cache_find(cache, digest, &wanted, max_bytes);
    if (module) {
        *ret_module = module;
        return BV_WASM_OK;
    }
    enum bv_wasm_status status =
        bv_wasm_compile(bytes, size, &wanted, max_bytes, ret_module, error);
    if (status == BV_WASM_OK) {
        (void)pthread_mutex_lock(&cache->lock);
        keep(cache, digest, *ret_module);
        (void)pthread_mutex_unlock(&cache->lock);
    }
    return status;
}
