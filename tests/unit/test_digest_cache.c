/* tests/unit/test_digest_cache.c - what is remembered, what is not, who makes room, and many
 * threads at once. */
#include "run/digest_cache.h"

#include <stdio.h>
#include <string.h>

#include "support/tap.h"

#define NOW 1000000

static struct bv_file_key key_of(uint64_t ino)
{
    return (struct bv_file_key){ .dev = 1,
                                 .ino = ino,
                                 .size = 10,
                                 .mtime_sec = 5,
                                 .mtime_nsec = 6,
                                 .ctime_sec = 7,
                                 .ctime_nsec = 8 };
}

static bool has(struct bv_digest_cache *cache, struct bv_file_key key, const char *wanted)
{
    char digest[BV_DIGEST_TEXT_SIZE];
    return bv_digest_cache_get(cache, &key, digest) && strcmp(digest, wanted) == 0;
}

static void test_key(struct bv_digest_cache *cache)
{
    struct bv_file_key key = key_of(1);
    tap_ok(!has(cache, key, "sha256:a"), "nothing is known at first");
    bv_digest_cache_put(cache, &key, NOW, "sha256:a");
    tap_ok(has(cache, key, "sha256:a"), "what was put is found");
    struct bv_file_key other[7] = { key, key, key, key, key, key, key };
    other[0].dev++;
    other[1].ino++;
    other[2].size++;
    other[3].mtime_sec++;
    other[4].mtime_nsec++;
    other[5].ctime_sec++;
    other[6].ctime_nsec++;
    for (int i = 0; i < 7; i++) {
        tap_ok(!has(cache, other[i], "sha256:a"), "field %d tells files apart", i);
    }
    bv_digest_cache_put(cache, &key, NOW, "sha256:b");
    tap_ok(has(cache, key, "sha256:b") && cache->count == 1,
           "a second put replaces, and takes no second entry");
}

static void test_settling(struct bv_digest_cache *cache)
{
    static const struct {
        int64_t mtime, ctime;
        bool kept;
    } rows[] = {
        { NOW - 3, NOW - 3, true }, { NOW - 2, NOW - 3, false }, { NOW - 3, NOW - 2, false },
        { NOW, NOW, false },        { NOW + 1, 0, false },       { 0, NOW + 100000, false },
        { INT64_MIN, 0, false },    { INT64_MAX, 0, false },     { -5, -5, true },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bv_file_key key = key_of(100 + i);
        key.mtime_sec = rows[i].mtime;
        key.ctime_sec = rows[i].ctime;
        bv_digest_cache_put(cache, &key, NOW, "sha256:s");
        tap_ok(has(cache, key, "sha256:s") == rows[i].kept, "row %zu: %s", i,
               rows[i].kept ? "settled, kept" : "may still change, not kept");
    }
}

static void test_room(struct bv_digest_cache *cache)
{
    for (uint64_t i = 0; i < BV_DIGEST_CACHE_ENTRIES; i++) {
        struct bv_file_key key = key_of(1000 + i);
        bv_digest_cache_put(cache, &key, NOW, "sha256:r");
    }
    tap_ok(cache->count == BV_DIGEST_CACHE_ENTRIES && has(cache, key_of(1000), "sha256:r"),
           "it fills up");
    struct bv_file_key key = key_of(5000);
    bv_digest_cache_put(cache, &key, NOW, "sha256:new");
    tap_ok(cache->count == BV_DIGEST_CACHE_ENTRIES, "and stays at its bound");
    tap_ok(has(cache, key, "sha256:new") && has(cache, key_of(1000), "sha256:r"),
           "the newest and the one just used are there");
    tap_ok(!has(cache, key_of(1001), "sha256:r"), "the one not used for longest made room");
}

static void *hammer(void *context)
{
    struct bv_digest_cache *cache = context;
    for (uint64_t i = 0; i < 2000; i++) {
        char digest[BV_DIGEST_TEXT_SIZE], wanted[BV_DIGEST_TEXT_SIZE];
        struct bv_file_key key = key_of(i % 100);
        (void)snprintf(wanted, sizeof(wanted), "sha256:%d", (int)(i % 100));
        if (bv_digest_cache_get(cache, &key, digest) && strcmp(digest, wanted) != 0) {
            return cache; /* somebody else's digest */
        }
        bv_digest_cache_put(cache, &key, NOW, wanted);
    }
    return NULL;
}

int main(void)
{
    static struct bv_digest_cache cache;
    tap_ok(bv_digest_cache_init(&cache), "init");
    test_key(&cache);
    test_settling(&cache);
    test_room(&cache);
    bv_digest_cache_done(&cache);

    tap_ok(bv_digest_cache_init(&cache), "init again");
    pthread_t threads[8];
    bool good = true;
    for (int i = 0; i < 8; i++) {
        good = pthread_create(&threads[i], NULL, hammer, &cache) == 0 && good;
    }
    for (int i = 0; i < 8; i++) {
        void *wrong = NULL;
        good = pthread_join(threads[i], &wrong) == 0 && !wrong && good;
    }
    tap_ok(good, "eight threads never see another file's digest");
    bv_digest_cache_done(&cache);
    return tap_done();
}
