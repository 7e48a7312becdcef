/* wasm/alloc.h - the only allocation of the engine: sized, zeroed and charged to a budget.
 *
 * Everything that a module or a guest makes us keep goes through here, so that used_bytes is the truth. A refusal by the budget sets
 * its refused count; a refusal by the machine does not. */
#pragma once

#include "wasm/wasm.h"

bool bv_wasm_charge(struct bv_wasm_budget *budget, uint64_t bytes);
void bv_wasm_discharge(struct bv_wasm_budget *budget, uint64_t bytes);

void *bv_wasm_alloc(struct bv_wasm_budget *budget, size_t size);                 /* zeroed; NULL: refused. Size 0 is 1. */
void bv_wasm_dealloc(struct bv_wasm_budget *budget, void *memory, size_t size); /* size as at bv_wasm_alloc(); NULL is a no-op */
/* Grows *array so that it holds need elements, by doubling; new elements are zeroed. False: nothing changed. */
bool bv_wasm_grow(struct bv_wasm_budget *budget, void *array, uint32_t *capacity, uint64_t need, size_t element_bytes);
/* The same, but new elements hold anything: for who writes each before it is read. */
bool bv_wasm_grow_raw(struct bv_wasm_budget *budget, void *array, uint32_t *capacity, uint64_t need, size_t element_bytes);
/* Makes room for as many elements as are expected, which saves growing; new elements hold anything. Does nothing where the budget is tight. */
void bv_wasm_expect(struct bv_wasm_budget *budget, void *array, uint32_t *capacity, uint64_t count, size_t element_bytes);
/* Gives back what is beyond count elements; count 0 frees. False: nothing changed. */
bool bv_wasm_shrink(struct bv_wasm_budget *budget, void *array, uint32_t *capacity, uint32_t count, size_t element_bytes);

/* Memory that is zero and costs nothing until it is touched; size 0 is no memory and a pointer that must not be followed. */
uint8_t *bv_wasm_map(struct bv_wasm_budget *budget, uint64_t size);
uint8_t *bv_wasm_remap(struct bv_wasm_budget *budget, uint8_t *memory, uint64_t old_size, uint64_t new_size); /* only grows */
void bv_wasm_unmap(struct bv_wasm_budget *budget, uint8_t *memory, uint64_t size);

/* A bump allocator over blocks, for what lives as long as its module or store. */
struct bv_wasm_arena { struct bv_wasm_budget *budget; struct bv_wasm_arena_block *blocks; };
void *bv_wasm_arena_alloc(struct bv_wasm_arena *arena, uint64_t count, size_t element_bytes); /* zeroed; NULL: refused */
void bv_wasm_arena_free(struct bv_wasm_arena *arena);
