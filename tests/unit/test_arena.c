/* tests/unit/test_arena.c - zeroed, aligned, bounded, overflow-checked. */
#include "base/arena.h"

#include "support/tap.h"

#include <stdint.h>

/* A size that no machine has is asked for below: AddressSanitizer is to answer it as malloc does. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static bool is_zero(const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i]) {
            return false;
        }
    }
    return true;
}

static void test_many(void)
{
    struct bv_arena *arena = bv_arena_new((size_t)8 << 20);
    bool good = arena != NULL;
    for (size_t i = 0; i < 5000 && good; i++) {
        size_t size = i * 7 % 300;
        unsigned char *memory = bv_arena_alloc(arena, size);
        good = memory && (uintptr_t)memory % _Alignof(max_align_t) == 0 && is_zero(memory, size);
        if (good) {
            memset(memory, 0xff, size);
        }
    }
    tap_ok(good, "5000 allocations are zeroed and aligned");
    unsigned char *room = bv_arena_room(arena, 100);
    tap_ok(room && (uintptr_t)room % _Alignof(max_align_t) == 0,
           "room that nobody zeroes is aligned");
    memset(room, 0xff, room ? 100 : 0);
    tap_ok(is_zero(bv_arena_alloc(arena, 100), 100) && is_zero(room, 100) == false,
           "and takes nothing from the next");
    unsigned char *large = bv_arena_alloc(arena, (size_t)1 << 20);
    tap_ok(large && is_zero(large, (size_t)1 << 20), "an allocation larger than a block");
    bv_arena_free(arena);
}

static void test_bound(void)
{
    struct bv_arena *arena = bv_arena_new(1024);
    tap_ok(bv_arena_alloc(arena, 1025) == NULL, "over the bound at once");
    tap_ok(bv_arena_alloc(arena, 1000) != NULL, "below the bound");
    tap_ok(bv_arena_alloc(arena, 32) == NULL, "over the bound in sum");
    tap_ok(bv_arena_alloc(arena, 16) != NULL, "the rest is still there");
    tap_ok(bv_arena_alloc(arena, 0) == NULL, "even nothing takes a place");
    tap_ok(bv_arena_alloc(arena, SIZE_MAX) == NULL, "a size that wraps");
    tap_ok(bv_arena_array(arena, SIZE_MAX / 2, 3) == NULL, "an array whose size wraps");
    bv_arena_free(arena);
    arena = bv_arena_new(SIZE_MAX);
    tap_ok(bv_arena_alloc(arena, SIZE_MAX - 64) == NULL, "more than the machine has");
    bv_arena_free(arena);
    bv_arena_free(NULL);
}

static void test_texts(void)
{
    struct bv_arena *arena = bv_arena_new(4096);
    tap_text(bv_arena_text(arena, "one"), "one", "bv_arena_text");
    tap_ok(bv_arena_text(arena, NULL) == NULL, "NULL in, NULL out");
    tap_text(bv_arena_format(arena, "%s-%d", "two", 2), "two-2", "bv_arena_format");
    tap_text(bv_arena_format(arena, "%s", ""), "", "an empty format");
    const char *copy = bv_arena_copy(arena, "\0a\0", 3);
    tap_ok(copy && memcmp(copy, "\0a\0", 3) == 0, "bv_arena_copy takes bytes");
    tap_ok(bv_arena_copy(arena, NULL, 0) != NULL, "a copy of nothing is no failure");
    tap_ok(bv_arena_format(arena, "%5000d", 1) == NULL, "a format over the bound");
    bv_arena_free(arena);
}

int main(void)
{
    test_many();
    test_bound();
    test_texts();
    return tap_done();
}
