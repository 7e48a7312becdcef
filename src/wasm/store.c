/* wasm/store.c - lifetime of a store, its canonical types, and values on their way in and out. */
#include "wasm/store.h"

#include "wasm/limits.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

struct bv_wasm_store *bv_wasm_store_new(struct bv_wasm_budget *budget,
                                        const struct bv_wasm_store_options *options)
{
    struct bv_wasm_store *store = bv_wasm_alloc(budget, sizeof(*store));
    if (!store) {
        return NULL;
    }
    store->budget = store->arena.budget = budget;
    store->frames_max = options && options->frames_max ? options->frames_max : BV_WASM_MAX_FRAMES;
    store->cells_max = options && options->cells_max ? options->cells_max : BV_WASM_MAX_CELLS;
    store->fuel_limit = UINT64_MAX;
    store->no_memory =
        (struct bv_wasm_memory){ .base = { .store = store, .kind = BV_WASM_MEMORY } };
    return store;
}

void bv_wasm_store_free(struct bv_wasm_store *store)
{
    if (!store) {
        return;
    }
    struct bv_wasm_budget *budget = store->budget;
    for (struct bv_wasm_instance *instance = store->instances; instance;
         instance = instance->next) {
        bv_wasm_module_free(instance->module);
    }
    for (uint32_t i = 0; i < store->memory_count; i++) {
        bv_wasm_unmap(budget, store->all_memories[i]->bytes, store->all_memories[i]->size);
    }
    for (uint32_t i = 0; i < store->table_count; i++) {
        bv_wasm_dealloc(budget, store->tables[i]->elements,
                        store->tables[i]->capacity * sizeof(*store->tables[i]->elements));
    }
    bv_wasm_dealloc(budget, store->all_memories,
                    store->memory_capacity * sizeof(struct bv_wasm_memory *));
    bv_wasm_dealloc(budget, store->tables, store->table_capacity * sizeof(struct bv_wasm_table *));
    bv_wasm_dealloc(budget, store->types, store->type_capacity * sizeof(*store->types));
    bv_wasm_dealloc(budget, store->cells, store->cell_capacity * sizeof(*store->cells));
    bv_wasm_dealloc(budget, store->frames, store->frame_capacity * sizeof(*store->frames));
    bv_wasm_dealloc(budget, store->results, store->results_capacity * sizeof(*store->results));
    bv_wasm_dealloc(budget, store->host_values,
                    store->host_values_capacity * sizeof(*store->host_values));
    bv_wasm_arena_free(&store->arena);
    bv_wasm_dealloc(budget, store, sizeof(*store));
}

/* ---- canonical types: equal types of all modules of a store have one number ---- */

bool bv_wasm_intern_type(struct bv_wasm_store *store, const struct bv_wasm_functype *type,
                         uint32_t *ret_id)
{
    uint32_t first = 0, last = store->type_count;
    while (first < last) {
        uint32_t middle = first + (last - first) / 2;
        int order = bv_wasm_type_compare(type, store->types[middle].type);
        if (order == 0) {
            *ret_id = store->types[middle].id;
            return true;
        }
        if (order < 0) {
            last = middle;
        } else {
            first = middle + 1;
        }
    }
    if (!bv_wasm_grow(store->budget, &store->types, &store->type_capacity,
                      (uint64_t)store->type_count + 1, sizeof(*store->types))) {
        return false;
    }
    memmove(&store->types[first + 1], &store->types[first],
            (store->type_count - first) * sizeof(*store->types));
    store->types[first] = (struct bv_wasm_canonical){ .type = type, .id = store->type_count };
    *ret_id = store->type_count++;
    return true;
}

/* How many of the module's types the store does not have; ids of all are set if there is room for them. */
static uint32_t merge(struct bv_wasm_store *store, const struct bv_wasm_module *module,
                      uint32_t *ids, struct bv_wasm_canonical *ret_merged)
{
    uint32_t at = 0, merged = 0, added = 0;
    const struct bv_wasm_functype *before = NULL;
    uint32_t before_id = 0;
    for (uint32_t i = 0; i < module->type_count; i++) {
        const struct bv_wasm_functype *type = &module->types[module->type_order[i]].type;
        if (!before || bv_wasm_type_compare(before, type) != 0) {
            int order = -1;
            while (at < store->type_count &&
                   (order = bv_wasm_type_compare(type, store->types[at].type)) > 0) {
                if (ret_merged) {
                    ret_merged[merged++] = store->types[at];
                }
                at++;
            }
            if (at < store->type_count && order == 0) {
                before_id = store->types[at].id;
            } else {
                before_id = store->type_count + added++;
                if (ret_merged) {
                    ret_merged[merged++] =
                        (struct bv_wasm_canonical){ .type = type, .id = before_id };
                }
            }
            before = type;
        }
        ids[module->type_order[i]] = before_id;
    }
    for (; ret_merged && at < store->type_count; at++) {
        ret_merged[merged++] = store->types[at];
    }
    return added;
}

/* Both lists are sorted, so this is linear; a module cannot make it slow. */
bool bv_wasm_intern_module(struct bv_wasm_store *store, const struct bv_wasm_module *module,
                           uint32_t *ids)
{
    uint32_t added = merge(store, module, ids, NULL), capacity = 0;
    if (added == 0) {
        return true;
    }
    struct bv_wasm_canonical *merged = NULL;
    if (!bv_wasm_grow(store->budget, &merged, &capacity, (uint64_t)store->type_count + added,
                      sizeof(*merged))) {
        return false;
    }
    (void)merge(store, module, ids, merged);
    bv_wasm_dealloc(store->budget, store->types, store->type_capacity * sizeof(*store->types));
    store->types = merged;
    store->type_capacity = capacity;
    store->type_count += added;
    return true;
}

/* ---- values ---- */

uint64_t bv_wasm_ref_out(uint8_t type, uint64_t inside)
{
    if (type == BV_WASM_EXTERNREF || inside == 0) {
        return inside - 1; /* null becomes BV_WASM_REF_NULL */
    }
    const struct bv_wasm_func *function = (const struct bv_wasm_func *)(uintptr_t)inside;
    return (uint64_t)(function->instance ? function->instance->number : 0) << 32 | function->index;
}

bool bv_wasm_ref_in(const struct bv_wasm_store *store, uint8_t type, uint64_t outside,
                    uint64_t *ret_inside)
{
    if (type == BV_WASM_EXTERNREF || outside == BV_WASM_REF_NULL) {
        *ret_inside = outside + 1;
        return true;
    }
    uint32_t number = (uint32_t)(outside >> 32), index = (uint32_t)outside;
    if (number == 0) {
        for (struct bv_wasm_func *function = store->host_functions; function;
             function = function->next_host) {
            if (function->index == index) {
                *ret_inside = (uint64_t)(uintptr_t)function;
                return true;
            }
        }
        return false;
    }
    for (struct bv_wasm_instance *instance = store->instances; instance;
         instance = instance->next) {
        if (instance->number == number && instance->ready) {
            *ret_inside = (uint64_t)(uintptr_t)&instance->own_functions[index];
            return index < instance->module->function_count - instance->module->imported_functions;
        }
    }
    return false;
}

void bv_wasm_values_out(const union bv_wasm_cell *cells, const uint8_t *types, uint32_t count,
                        union bv_wasm_value *ret_values)
{
    for (uint32_t i = 0; i < count; i++) {
        ret_values[i] = (union bv_wasm_value){ .v128 = { 0 } };
        switch ((enum bv_wasm_type)types[i]) {
        case BV_WASM_I32:
        case BV_WASM_F32: ret_values[i].i32 = cells->u32; break;
        case BV_WASM_I64:
        case BV_WASM_F64: ret_values[i].i64 = cells->u64; break;
        case BV_WASM_V128: memcpy(ret_values[i].v128, cells, 16); break;
        case BV_WASM_FUNCREF:
        case BV_WASM_EXTERNREF: ret_values[i].ref = bv_wasm_ref_out(types[i], cells->u64); break;
        }
        cells += bv_wasm_cells_of(types[i]);
    }
}

bool bv_wasm_values_in(const struct bv_wasm_store *store, const union bv_wasm_value *values,
                       const uint8_t *types, uint32_t count, union bv_wasm_cell *ret_cells)
{
    for (uint32_t i = 0; i < count; i++) {
        switch ((enum bv_wasm_type)types[i]) {
        case BV_WASM_I32:
        case BV_WASM_F32: ret_cells->u64 = values[i].i32; break;
        case BV_WASM_I64:
        case BV_WASM_F64: ret_cells->u64 = values[i].i64; break;
        case BV_WASM_V128: memcpy(ret_cells, values[i].v128, 16); break;
        case BV_WASM_FUNCREF:
        case BV_WASM_EXTERNREF:
            if (!bv_wasm_ref_in(store, types[i], values[i].ref, &ret_cells->u64)) {
                return false;
            }
            break;
        }
        ret_cells += bv_wasm_cells_of(types[i]);
    }
    return true;
}
