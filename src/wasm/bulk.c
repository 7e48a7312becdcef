/* wasm/bulk.c - bulk memory and table operations, in parts of bounded work.
 *
 * The operands stand in three cells: where to, where from (or with what), how many. A part advances them, so the same operation, run
 * again, goes on. Bounds are checked for all that is left before each part: nothing shrinks, so the first check decides. Fuel is one
 * unit per 64 bytes of the whole: a part that is not the last is a multiple of that. */
#include "wasm/store.h"

#include "base/check.h"

#include <string.h>

#define PART_BYTES    65536
#define PART_ELEMENTS (PART_BYTES / 8)

static bool inside(uint64_t offset, uint64_t count, uint64_t size)
{
    return offset <= size && count <= size - offset;
}

/* Takes a part of at most max off *count; its units of fuel are charged. */
static uint32_t take(union bv_wasm_cell *count, uint32_t max, uint32_t element_bytes, int64_t *left)
{
    uint32_t part = count->u32 > max ? max : count->u32;
    count->u32 -= part;
    *left -= (int64_t)part * element_bytes / 64;
    return part;
}

static enum bv_wasm_bulk more(const union bv_wasm_cell *count)
{
    return count->u32 ? BV_WASM_BULK_MORE : BV_WASM_BULK_DONE;
}

static enum bv_wasm_bulk memory_copy(struct bv_wasm_memory *to, struct bv_wasm_memory *from,
                                     union bv_wasm_cell *x, int64_t *left)
{
    if (!inside(x[0].u32, x[2].u32, to->size) || !inside(x[1].u32, x[2].u32, from->size)) {
        return BV_WASM_BULK_MEMORY;
    }
    /* Upwards inside one memory the end goes first, so that no part overwrites what is still to be read. */
    bool from_end = to == from && x[0].u32 > x[1].u32;
    uint32_t part = take(&x[2], PART_BYTES, 1, left), skipped = from_end ? x[2].u32 : 0;
    if (part) {
        memmove(to->bytes + x[0].u32 + skipped, from->bytes + x[1].u32 + skipped, part);
    }
    if (!from_end) {
        x[0].u32 += part;
        x[1].u32 += part;
    }
    return more(&x[2]);
}

static enum bv_wasm_bulk memory_fill(struct bv_wasm_memory *memory, union bv_wasm_cell *x,
                                     int64_t *left)
{
    if (!inside(x[0].u32, x[2].u32, memory->size)) {
        return BV_WASM_BULK_MEMORY;
    }
    uint32_t part = take(&x[2], PART_BYTES, 1, left);
    if (part) {
        memset(memory->bytes + x[0].u32, (int)(x[1].u32 & 0xff), part);
    }
    x[0].u32 += part;
    return more(&x[2]);
}

static enum bv_wasm_bulk memory_init(struct bv_wasm_instance *instance, uint32_t memory_index,
                                     uint32_t segment, union bv_wasm_cell *x, int64_t *left)
{
    struct bv_wasm_memory *memory = instance->memories[memory_index];
    const struct bv_wasm_data *data = &instance->module->datas[segment];
    if (!inside(x[0].u32, x[2].u32, memory->size) ||
        !inside(x[1].u32, x[2].u32, instance->data_dropped[segment] ? 0 : data->size)) {
        return BV_WASM_BULK_MEMORY;
    }
    uint32_t part = take(&x[2], PART_BYTES, 1, left);
    if (part) {
        memcpy(memory->bytes + x[0].u32, data->bytes + x[1].u32, part);
    }
    x[0].u32 += part;
    x[1].u32 += part;
    return more(&x[2]);
}

static enum bv_wasm_bulk table_copy(struct bv_wasm_table *to, struct bv_wasm_table *from,
                                    union bv_wasm_cell *x, int64_t *left)
{
    if (!inside(x[0].u32, x[2].u32, to->count) || !inside(x[1].u32, x[2].u32, from->count)) {
        return BV_WASM_BULK_TABLE;
    }
    bool from_end = to == from && x[0].u32 > x[1].u32;
    uint32_t part = take(&x[2], PART_ELEMENTS, 8, left), skipped = from_end ? x[2].u32 : 0;
    if (part) {
        memmove(to->elements + x[0].u32 + skipped, from->elements + x[1].u32 + skipped,
                part * sizeof(*to->elements));
    }
    if (!from_end) {
        x[0].u32 += part;
        x[1].u32 += part;
    }
    return more(&x[2]);
}

static enum bv_wasm_bulk table_fill(struct bv_wasm_table *table, union bv_wasm_cell *x,
                                    int64_t *left)
{
    if (!inside(x[0].u32, x[2].u32, table->count)) {
        return BV_WASM_BULK_TABLE;
    }
    uint32_t part = take(&x[2], PART_ELEMENTS, 8, left);
    for (uint32_t i = 0; i < part; i++) {
        table->elements[x[0].u32 + i] = x[1].u64;
    }
    x[0].u32 += part;
    return more(&x[2]);
}

static enum bv_wasm_bulk table_init(struct bv_wasm_instance *instance, uint32_t table_index,
                                    uint32_t segment, union bv_wasm_cell *x, int64_t *left)
{
    struct bv_wasm_table *table = instance->tables[table_index];
    const struct bv_wasm_elem *elem = &instance->module->elems[segment];
    if (!inside(x[0].u32, x[2].u32, table->count) ||
        !inside(x[1].u32, x[2].u32, instance->elem_dropped[segment] ? 0 : elem->count)) {
        return BV_WASM_BULK_TABLE;
    }
    uint32_t part = take(&x[2], PART_ELEMENTS, 8, left);
    for (uint32_t i = 0; i < part; i++) {
        union bv_wasm_cell cells[2];
        bv_wasm_evaluate(instance, &elem->inits[x[1].u32 + i], cells);
        table->elements[x[0].u32 + i] = cells[0].u64;
    }
    x[0].u32 += part;
    x[1].u32 += part;
    return more(&x[2]);
}

enum bv_wasm_bulk bv_wasm_bulk_step(struct bv_wasm_instance *instance, const union bv_wasm_unit *pc,
                                    union bv_wasm_cell *operands, int64_t *left)
{
    uint32_t low = pc[1].low, high = pc[1].high;
    switch (pc->op) {
    case BV_WASM_CODE_MEMORY_COPY:
        return memory_copy(instance->memories[low], instance->memories[high], operands, left);
    case BV_WASM_CODE_MEMORY_FILL: return memory_fill(instance->memories[low], operands, left);
    case BV_WASM_CODE_MEMORY_INIT: return memory_init(instance, low, high, operands, left);
    case BV_WASM_CODE_TABLE_COPY:
        return table_copy(instance->tables[low], instance->tables[high], operands, left);
    case BV_WASM_CODE_TABLE_FILL: return table_fill(instance->tables[low], operands, left);
    case BV_WASM_CODE_TABLE_INIT: return table_init(instance, low, high, operands, left);
    default: BV_UNREACHABLE();
    }
}
