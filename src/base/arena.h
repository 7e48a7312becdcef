/* base/arena.h - a bounded bump allocator: contract objects live in one arena and are freed with one call. */
#pragma once

#include <stddef.h>

struct bv_arena;

struct bv_arena *bv_arena_new(size_t max_bytes);                 /* NULL: out of memory */
void *bv_arena_alloc(struct bv_arena *arena, size_t size);       /* zeroed, aligned for any type; NULL: out of memory or over the bound */
void *bv_arena_room(struct bv_arena *arena, size_t size);        /* the same, not zeroed: for what is written at once */
void *bv_arena_array(struct bv_arena *arena, size_t count, size_t size); /* overflow-checked count*size */
void *bv_arena_copy(struct bv_arena *arena, const void *bytes, size_t size);
char *bv_arena_text(struct bv_arena *arena, const char *text);   /* NULL in, NULL out */
char *bv_arena_format(struct bv_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
void bv_arena_free(struct bv_arena *arena);                      /* NULL is a no-op */
