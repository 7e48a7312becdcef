/* wasm/extern.c - functions, memories, tables and globals: made by the host, grown by the guest, read by whoever drives it. */
#include "wasm/store.h"

#include "wasm/limits.h"

#include "base/check.h"

#include <string.h>

static bool note_memory(struct bv_wasm_store *store, struct bv_wasm_memory *memory)
{
    if (!bv_wasm_grow(store->budget, &store->all_memories, &store->memory_capacity,
                      (uint64_t)store->memory_count + 1, sizeof(memory))) {
        return false;
    }
    store->all_memories[store->memory_count++] = memory;
    return true;
}

bool bv_wasm_init_memory(struct bv_wasm_store *store, struct bv_wasm_memory *memory,
                         const struct bv_wasm_limits *limits)
{
    uint64_t size = limits->min * 65536;
    memory->base = (struct bv_wasm_extern){ .store = store, .kind = BV_WASM_MEMORY };
    memory->limits = *limits;
    if (limits->min > BV_WASM_MAX_MEMORY_PAGES || !note_memory(store, memory)) {
        return false;
    }
    memory->bytes = bv_wasm_map(store->budget, size);
    if (!memory->bytes) {
        return false;
    }
    memory->size = size;
    return true;
}

uint32_t bv_wasm_grow_memory(struct bv_wasm_memory *memory, uint32_t pages)
{
    uint64_t before = memory->size / 65536,
             max = memory->limits.has_max ? memory->limits.max : BV_WASM_MAX_MEMORY_PAGES;
    max = max > BV_WASM_MAX_MEMORY_PAGES ? BV_WASM_MAX_MEMORY_PAGES : max;
    if (before + pages > max) {
        return BV_WASM_GROW_FAILED;
    }
    if (pages == 0) {
        return (uint32_t)before;
    }
    uint64_t size = (before + pages) * 65536;
    uint8_t *bytes = bv_wasm_remap(memory->base.store->budget, memory->bytes, memory->size, size);
    if (!bytes) {
        return BV_WASM_GROW_FAILED;
    }
    memory->bytes = bytes;
    memory->size = size;
    return (uint32_t)before;
}

static bool note_table(struct bv_wasm_store *store, struct bv_wasm_table *table)
{
    if (!bv_wasm_grow(store->budget, &store->tables, &store->table_capacity,
                      (uint64_t)store->table_count + 1, sizeof(table))) {
        return false;
    }
    store->tables[store->table_count++] = table;
    return true;
}

bool bv_wasm_init_table(struct bv_wasm_store *store, struct bv_wasm_table *table, uint8_t type,
                        const struct bv_wasm_limits *limits)
{
    table->base = (struct bv_wasm_extern){ .store = store, .kind = BV_WASM_TABLE };
    table->limits = *limits;
    table->type = type;
    if (limits->min > BV_WASM_MAX_TABLE_ELEMENTS || !note_table(store, table)) {
        return false;
    }
    table->elements = bv_wasm_alloc(store->budget, (size_t)limits->min * sizeof(*table->elements));
    if (!table->elements) {
        return false;
    }
    table->count = table->capacity = (uint32_t)limits->min;
    return true;
}

uint32_t bv_wasm_grow_table(struct bv_wasm_table *table, uint32_t count, uint64_t element)
{
    uint64_t before = table->count, max = table->limits.has_max ? table->limits.max : UINT32_MAX;
    max = max > BV_WASM_MAX_TABLE_ELEMENTS ? BV_WASM_MAX_TABLE_ELEMENTS : max;
    if (before + count > max ||
        !bv_wasm_grow(table->base.store->budget, &table->elements, &table->capacity, before + count,
                      sizeof(*table->elements))) {
        return BV_WASM_GROW_FAILED;
    }
    for (uint32_t i = 0; i < count; i++) {
        table->elements[before + i] = element;
    }
    table->count = (uint32_t)before + count;
    return (uint32_t)before;
}

/* ---- made by the host ---- */

static const uint8_t *copy_types(struct bv_wasm_store *store, const uint8_t *types, uint32_t count,
                                 uint32_t *ret_cells)
{
    uint8_t *copy = bv_wasm_arena_alloc(&store->arena, count, 1);
    *ret_cells = 0;
    for (uint32_t i = 0; copy && i < count; i++) {
        copy[i] = types[i];
        *ret_cells += bv_wasm_cells_of(types[i]);
    }
    return copy;
}

struct bv_wasm_extern *bv_wasm_host_function(struct bv_wasm_store *store,
                                             const struct bv_wasm_functype *type,
                                             bv_wasm_host_fn *host, void *context)
{
    struct bv_wasm_func *function = bv_wasm_arena_alloc(&store->arena, 1, sizeof(*function));
    struct bv_wasm_type_info *info = bv_wasm_arena_alloc(&store->arena, 1, sizeof(*info));
    if (!function || !info || type->param_count > BV_WASM_MAX_PARAMS ||
        type->result_count > BV_WASM_MAX_RESULTS) {
        return NULL;
    }
    info->type = *type;
    info->type.params = copy_types(store, type->params, type->param_count, &info->param_cells);
    info->type.results = copy_types(store, type->results, type->result_count, &info->result_cells);
    uint64_t values = (uint64_t)type->param_count + type->result_count;
    if (!info->type.params || !info->type.results ||
        !bv_wasm_intern_type(store, &info->type, &function->type_id) ||
        !bv_wasm_grow(store->budget, &store->host_values, &store->host_values_capacity, values,
                      sizeof(*store->host_values))) {
        return NULL;
    }
    function->base = (struct bv_wasm_extern){ .store = store, .kind = BV_WASM_FUNC };
    function->type = info;
    function->index = store->host_count++;
    function->host = host;
    function->context = context;
    function->next_host = store->host_functions;
    store->host_functions = function;
    return &function->base;
}

struct bv_wasm_extern *bv_wasm_host_memory(struct bv_wasm_store *store,
                                           const struct bv_wasm_limits *pages)
{
    struct bv_wasm_memory *memory = bv_wasm_arena_alloc(&store->arena, 1, sizeof(*memory));
    return memory && bv_wasm_init_memory(store, memory, pages) ? &memory->base : NULL;
}

struct bv_wasm_extern *bv_wasm_host_table(struct bv_wasm_store *store, enum bv_wasm_type type,
                                          const struct bv_wasm_limits *elements)
{
    struct bv_wasm_table *table = bv_wasm_arena_alloc(&store->arena, 1, sizeof(*table));
    return table && bv_wasm_init_table(store, table, (uint8_t)type, elements) ? &table->base : NULL;
}

struct bv_wasm_extern *bv_wasm_host_global(struct bv_wasm_store *store, enum bv_wasm_type type,
                                           bool is_mutable, const union bv_wasm_value *value)
{
    struct bv_wasm_global *global = bv_wasm_arena_alloc(&store->arena, 1, sizeof(*global));
    uint8_t byte = (uint8_t)type;
    if (!global || !bv_wasm_values_in(store, value, &byte, 1, global->cells)) {
        return NULL;
    }
    global->base = (struct bv_wasm_extern){ .store = store, .kind = BV_WASM_GLOBAL };
    global->type = (struct bv_wasm_global_type){ .type = byte, .is_mutable = is_mutable };
    return &global->base;
}

/* ---- read by the host ---- */

bool bv_wasm_extern_functype(const struct bv_wasm_extern *function,
                             struct bv_wasm_functype *ret_type)
{
    if (function->kind != BV_WASM_FUNC) {
        return false;
    }
    *ret_type = ((const struct bv_wasm_func *)(const void *)function)->type->type;
    return true;
}

bool bv_wasm_global_get(const struct bv_wasm_extern *global, enum bv_wasm_type *ret_type,
                        union bv_wasm_value *ret_value)
{
    if (global->kind != BV_WASM_GLOBAL) {
        return false;
    }
    const struct bv_wasm_global *self = (const struct bv_wasm_global *)(const void *)global;
    *ret_type = (enum bv_wasm_type)self->type.type;
    bv_wasm_values_out(self->cells, &self->type.type, 1, ret_value);
    return true;
}

static uint8_t *inside(const struct bv_wasm_memory *memory, uint64_t offset, uint64_t length)
{
    return offset <= memory->size && length <= memory->size - offset ? memory->bytes + offset
                                                                     : NULL;
}

uint8_t *bv_wasm_instance_memory(struct bv_wasm_instance *instance, uint64_t offset,
                                 uint64_t length)
{
    return instance->module->memory_count ? inside(instance->memory0, offset, length) : NULL;
}

uint8_t *bv_wasm_caller_memory(struct bv_wasm_caller *caller, uint64_t offset, uint64_t length)
{
    return caller->instance ? bv_wasm_instance_memory(caller->instance, offset, length) : NULL;
}

void bv_wasm_caller_charge(struct bv_wasm_caller *caller, uint64_t fuel_units)
{
    int64_t *left = &caller->store->left;
    int64_t units = fuel_units > INT64_MAX / 4 ? INT64_MAX / 4 : (int64_t)fuel_units;
    *left = *left < INT64_MIN / 2 + units ? INT64_MIN / 2 : *left - units;
}

struct bv_wasm_store *bv_wasm_caller_store(struct bv_wasm_caller *caller)
{
    return caller->store;
}
