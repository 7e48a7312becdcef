/* wasm/alloc.c - budgeted allocation: malloc for engine state, anonymous mappings for linear memories.
 *
 * A linear memory is a mapping of its own: untouched pages cost nothing, growing moves page tables instead of bytes, and the new
 * pages are zero by the kernel's word. mmap is libc's here; no other system call is made by the engine. */
#include "wasm/alloc.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ARENA_ALIGNMENT   16
#define ARENA_FIRST_BYTES 1024
#define ARENA_BLOCK_BYTES 16384 /* the largest of what is not larger than a block; each is twice the one before */

struct bv_wasm_arena_block {
    struct bv_wasm_arena_block *next;
    size_t size, used; /* of bytes */
    _Alignas(ARENA_ALIGNMENT) unsigned char bytes[];
};

static uint8_t nothing[1]; /* where an empty memory points */

bool bv_wasm_charge(struct bv_wasm_budget *budget, uint64_t bytes)
{
    BV_ASSERT(budget->used_bytes <= budget->limit_bytes);
    if (bytes > budget->limit_bytes - budget->used_bytes) {
        budget->refused++;
        return false;
    }
    budget->used_bytes += bytes;
    if (budget->used_bytes > budget->peak_bytes) {
        budget->peak_bytes = budget->used_bytes;
    }
    return true;
}

void bv_wasm_discharge(struct bv_wasm_budget *budget, uint64_t bytes)
{
    BV_ASSERT(bytes <= budget->used_bytes);
    budget->used_bytes -= bytes;
}

void *bv_wasm_alloc(struct bv_wasm_budget *budget, size_t size)
{
    if (!bv_wasm_charge(budget, size)) {
        return NULL;
    }
    void *memory = calloc(1, size ? size : 1);
    if (!memory) {
        bv_wasm_discharge(budget, size);
    }
    return memory;
}

void bv_wasm_dealloc(struct bv_wasm_budget *budget, void *memory, size_t size)
{
    if (memory) {
        free(memory);
        bv_wasm_discharge(budget, size);
    }
}

/* To exactly this many elements; what is new holds anything. */
static bool resize(struct bv_wasm_budget *budget, void *array, uint32_t *capacity, uint64_t wanted,
                   size_t element_bytes)
{
    uint64_t bytes, old_bytes = (uint64_t)*capacity * element_bytes;
    if (wanted > UINT32_MAX || bv_ckd_mul(&bytes, wanted, element_bytes) ||
        !bv_wasm_charge(budget, bytes - old_bytes)) {
        return false;
    }
    void *old, *grown;
    memcpy(&old, array, sizeof(old));
    grown = realloc(old, bytes);
    if (!grown) {
        bv_wasm_discharge(budget, bytes - old_bytes);
        return false;
    }
    memcpy(array, &grown, sizeof(grown));
    *capacity = (uint32_t)wanted;
    return true;
}

static uint64_t doubled(uint32_t capacity, uint64_t need)
{
    uint64_t wanted = capacity < 32 ? 64 : (uint64_t)capacity * 2;
    return wanted < need ? need : wanted;
}

bool bv_wasm_grow(struct bv_wasm_budget *budget, void *array, uint32_t *capacity, uint64_t need,
                  size_t element_bytes)
{
    if (need <= *capacity) {
        return true;
    }
    uint64_t old_bytes = (uint64_t)*capacity * element_bytes;
    if (!resize(budget, array, capacity, doubled(*capacity, need), element_bytes)) {
        return false;
    }
    unsigned char *grown;
    memcpy(&grown, array, sizeof(grown));
    memset(grown + old_bytes, 0, (uint64_t)*capacity * element_bytes - old_bytes);
    return true;
}

bool bv_wasm_grow_raw(struct bv_wasm_budget *budget, void *array, uint32_t *capacity, uint64_t need,
                      size_t element_bytes)
{
    return need <= *capacity ||
           resize(budget, array, capacity, doubled(*capacity, need), element_bytes);
}

void bv_wasm_expect(struct bv_wasm_budget *budget, void *array, uint32_t *capacity, uint64_t count,
                    size_t element_bytes)
{
    if (count > *capacity && count <= UINT32_MAX &&
        count <= (budget->limit_bytes - budget->used_bytes) / 2 / element_bytes) {
        (void)resize(budget, array, capacity, count, element_bytes);
    }
}

bool bv_wasm_shrink(struct bv_wasm_budget *budget, void *array, uint32_t *capacity, uint32_t count,
                    size_t element_bytes)
{
    BV_ASSERT(count <= *capacity);
    void *old, *kept = NULL;
    memcpy(&old, array, sizeof(old));
    if (count == 0) {
        free(old);
    } else {
        kept = realloc(old, count * element_bytes);
        if (!kept) {
            return false;
        }
    }
    memcpy(array, &kept, sizeof(kept));
    bv_wasm_discharge(budget, (uint64_t)(*capacity - count) * element_bytes);
    *capacity = count;
    return true;
}

uint8_t *bv_wasm_map(struct bv_wasm_budget *budget, uint64_t size)
{
    if (size == 0) {
        return nothing;
    }
    if (!bv_wasm_charge(budget, size)) {
        return NULL;
    }
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        bv_wasm_discharge(budget, size);
        return NULL;
    }
    return memory;
}

uint8_t *bv_wasm_remap(struct bv_wasm_budget *budget, uint8_t *memory, uint64_t old_size,
                       uint64_t new_size)
{
    BV_ASSERT(new_size >= old_size);
    if (old_size == 0) {
        return bv_wasm_map(budget, new_size);
    }
    if (!bv_wasm_charge(budget, new_size - old_size)) {
        return NULL;
    }
    void *moved = mremap(memory, old_size, new_size, MREMAP_MAYMOVE);
    if (moved == MAP_FAILED) {
        bv_wasm_discharge(budget, new_size - old_size);
        return NULL;
    }
    return moved;
}

void bv_wasm_unmap(struct bv_wasm_budget *budget, uint8_t *memory, uint64_t size)
{
    if (memory && size) {
        int result = munmap(memory, size);
        BV_ASSERT(result == 0);
        bv_wasm_discharge(budget, size);
    }
}

static struct bv_wasm_arena_block *add_block(struct bv_wasm_arena *arena, uint64_t size)
{
    uint64_t block_bytes = arena->blocks ? 2 * (uint64_t)arena->blocks->size : ARENA_FIRST_BYTES;
    block_bytes = block_bytes > ARENA_BLOCK_BYTES ? ARENA_BLOCK_BYTES : block_bytes;
    block_bytes = size > block_bytes ? size : block_bytes;
    struct bv_wasm_arena_block *block = bv_wasm_alloc(arena->budget, sizeof(*block) + block_bytes);
    if (block) {
        block->size = block_bytes;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    return block;
}

void *bv_wasm_arena_alloc(struct bv_wasm_arena *arena, uint64_t count, size_t element_bytes)
{
    uint64_t size;
    if (bv_ckd_mul(&size, count, element_bytes) || size > (UINT64_C(1) << 40)) {
        arena->budget->refused++; /* more than any budget */
        return NULL;
    }
    size = (size + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    struct bv_wasm_arena_block *block = arena->blocks;
    if (!block || size > block->size - block->used) {
        block = add_block(arena, size);
    }
    if (!block) {
        return NULL;
    }
    void *memory = block->bytes + block->used;
    block->used += size;
    return memory;
}

void bv_wasm_arena_free(struct bv_wasm_arena *arena)
{
    while (arena->blocks) {
        struct bv_wasm_arena_block *block = arena->blocks;
        arena->blocks = block->next;
        bv_wasm_dealloc(arena->budget, block, sizeof(*block) + block->size);
    }
}
