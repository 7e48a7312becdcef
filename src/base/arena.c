/* base/arena.c - a bounded bump allocator over a list of blocks.
 *
 * A contract object is built in one arena and freed with one call; nothing in it is freed alone. The bound counts the
 * bytes asked for, rounded up to the alignment. Blocks grow with the arena, so that a small spec costs one malloc and a
 * large one few; only what is asked for is zeroed, so that memory nobody uses is never touched.
 * Under AddressSanitizer every allocation gets a block of its own, so that an overrun is seen. */
#include "base/arena.h"

#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT       _Alignof(max_align_t)
#define BLOCK_MAX_BYTES ((size_t)64 << 10)
#if defined(__SANITIZE_ADDRESS__)
#define BLOCK_MIN_BYTES ((size_t)0)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BLOCK_MIN_BYTES ((size_t)0)
#endif
#endif
#ifndef BLOCK_MIN_BYTES
#define BLOCK_MIN_BYTES ((size_t)4 << 10)
#endif

struct block {
    struct block *next;
    size_t size, used;
    _Alignas(ALIGNMENT) unsigned char bytes[];
};

struct bv_arena {
    struct block *blocks; /* newest first; only the newest is filled */
    size_t used, max, block_bytes;
};

struct bv_arena *bv_arena_new(size_t max_bytes)
{
    struct bv_arena *arena = calloc(1, sizeof(*arena));
    if (arena) {
        arena->max = max_bytes;
        arena->block_bytes = BLOCK_MIN_BYTES;
    }
    return arena;
}

static struct block *add_block(struct bv_arena *arena, size_t size)
{
    size_t block_bytes = size > arena->block_bytes ? size : arena->block_bytes;
    size_t total;
    if (bv_ckd_add(&total, block_bytes, sizeof(struct block))) {
        return NULL;
    }
    struct block *block = malloc(total);
    if (!block) {
        return NULL;
    }
    block->size = block_bytes;
    block->used = 0;
    block->next = arena->blocks;
    arena->blocks = block;
    if (arena->block_bytes < BLOCK_MAX_BYTES) {
        arena->block_bytes *= 2;
    }
    return block;
}

void *bv_arena_room(struct bv_arena *arena, size_t size)
{
    size_t rounded;
    if (bv_ckd_add(&rounded, size ? size : 1, ALIGNMENT - 1)) {
        return NULL;
    }
    rounded &= ~(ALIGNMENT - 1);
    BV_ASSERT(arena->used <= arena->max);
    if (rounded > arena->max - arena->used) {
        return NULL;
    }
    struct block *block = arena->blocks;
    if (!block || rounded > block->size - block->used) {
        block = add_block(arena, rounded);
        if (!block) {
            return NULL;
        }
    }
    void *memory = block->bytes + block->used;
    block->used += rounded;
    arena->used += rounded;
    return memory;
}

void *bv_arena_alloc(struct bv_arena *arena, size_t size)
{
    void *memory = bv_arena_room(arena, size);
    if (memory) {
        memset(memory, 0, size);
    }
    return memory;
}

void *bv_arena_array(struct bv_arena *arena, size_t count, size_t size)
{
    size_t total;
    if (bv_ckd_mul(&total, count, size)) {
        return NULL;
    }
    return bv_arena_alloc(arena, total);
}

void *bv_arena_copy(struct bv_arena *arena, const void *bytes, size_t size)
{
    void *copy = bv_arena_room(arena, size);
    if (copy && size > 0) {
        memcpy(copy, bytes, size);
    }
    return copy;
}

char *bv_arena_text(struct bv_arena *arena, const char *text)
{
    return text ? bv_arena_copy(arena, text, strlen(text) + 1) : NULL;
}

char *bv_arena_format(struct bv_arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) {
        return NULL;
    }
    size_t size = (size_t)length + 1;
    char *text = bv_arena_room(arena, size);
    if (text) {
        va_start(arguments, format);
        int written = vsnprintf(text, size, format, arguments);
        va_end(arguments);
        BV_ASSERT(written == length);
    }
    return text;
}

void bv_arena_free(struct bv_arena *arena)
{
    if (!arena) {
        return;
    }
    for (struct block *block = arena->blocks; block;) {
        struct block *next = block->next;
        free(block);
        block = next;
    }
    free(arena);
}
