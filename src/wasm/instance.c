/* wasm/instance.c - instantiation: imports are held against their types, the instance's parts made, active segments applied. */
#include "wasm/store.h"

#include "wasm/limits.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

struct linking {
    struct bv_wasm_store *store;
    struct bv_wasm_module *module;
    struct bv_wasm_instance *instance;
    struct bv_wasm_error *error;
};

static enum bv_wasm_status fail(struct linking *linking, enum bv_wasm_status status,
                                const char *text)
{
    if (linking->error) {
        linking->error->offset = UINT64_MAX;
        (void)snprintf(linking->error->text, sizeof(linking->error->text), "%s", text);
    }
    return status;
}

static enum bv_wasm_status nomem(struct linking *linking)
{
    return fail(linking, BV_WASM_NOMEM, "out of memory");
}

/* ---- imports ---- */

static bool limits_match(uint64_t size, const struct bv_wasm_limits *offered,
                         const struct bv_wasm_limits *wanted)
{
    return size >= wanted->min &&
           (!wanted->has_max || (offered->has_max && offered->max <= wanted->max));
}

static bool import_matches(const struct linking *linking, const struct bv_wasm_import_def *import,
                           struct bv_wasm_extern *offered)
{
    if (offered->store != linking->store || offered->kind != import->kind) {
        return false;
    }
    switch ((enum bv_wasm_kind)import->kind) {
    case BV_WASM_FUNC:
        return ((struct bv_wasm_func *)(void *)offered)->type_id ==
               linking->instance->type_ids[import->type];
    case BV_WASM_TABLE: {
        const struct bv_wasm_table *table = (const struct bv_wasm_table *)(const void *)offered;
        return table->type == import->table.type &&
               limits_match(table->count, &table->limits, &import->table.limits);
    }
    case BV_WASM_MEMORY: {
        const struct bv_wasm_memory *memory = (const struct bv_wasm_memory *)(const void *)offered;
        return limits_match(memory->size / 65536, &memory->limits, &import->memory);
    }
    case BV_WASM_GLOBAL: {
        const struct bv_wasm_global *global = (const struct bv_wasm_global *)(const void *)offered;
        return global->type.type == import->global.type &&
               global->type.is_mutable == import->global.is_mutable;
    }
    }
    BV_UNREACHABLE();
}

static enum bv_wasm_status import_fails(struct linking *linking,
                                        const struct bv_wasm_import_def *import, const char *what)
{
    char text[sizeof(linking->error->text)];
    (void)snprintf(text, sizeof(text), "%s: %.*s.%.*s", what,
                   (int)(import->module.size > 60 ? 60 : import->module.size), import->module.bytes,
                   (int)(import->name.size > 60 ? 60 : import->name.size), import->name.bytes);
    return fail(linking, BV_WASM_UNLINKABLE, text);
}

static enum bv_wasm_status link_imports(struct linking *linking,
                                        struct bv_wasm_extern *const *imports)
{
    struct bv_wasm_instance *instance = linking->instance;
    uint32_t functions = 0, tables = 0, memories = 0, globals = 0;
    for (uint32_t i = 0; i < linking->module->import_count; i++) {
        const struct bv_wasm_import_def *import = &linking->module->imports[i];
        if (!imports || !imports[i]) {
            return import_fails(linking, import, "unknown import");
        }
        if (!import_matches(linking, import, imports[i])) {
            return import_fails(linking, import, "incompatible import type");
        }
        void *offered = imports[i];
        switch ((enum bv_wasm_kind)import->kind) {
        case BV_WASM_FUNC: instance->funcs[functions++] = offered; break;
        case BV_WASM_TABLE: instance->tables[tables++] = offered; break;
        case BV_WASM_MEMORY: instance->memories[memories++] = offered; break;
        case BV_WASM_GLOBAL: instance->globals[globals++] = offered; break;
        }
    }
    return BV_WASM_OK;
}

/* ---- the instance's own parts ---- */

static bool allocate(struct linking *linking)
{
    struct bv_wasm_module *module = linking->module;
    struct bv_wasm_arena *arena = &linking->store->arena;
    struct bv_wasm_instance *instance = bv_wasm_arena_alloc(arena, 1, sizeof(*instance));
    if (!instance) {
        return false;
    }
    linking->instance = instance;
    instance->store = linking->store;
    instance->functions = module->functions;
    instance->memory0 = &linking->store->no_memory;
    instance->funcs =
        bv_wasm_arena_alloc(arena, module->function_count, sizeof(struct bv_wasm_func *));
    instance->tables =
        bv_wasm_arena_alloc(arena, module->table_count, sizeof(struct bv_wasm_table *));
    instance->memories =
        bv_wasm_arena_alloc(arena, module->memory_count, sizeof(struct bv_wasm_memory *));
    instance->globals =
        bv_wasm_arena_alloc(arena, module->global_count, sizeof(struct bv_wasm_global *));
    instance->own_functions = bv_wasm_arena_alloc(
        arena, module->function_count - module->imported_functions, sizeof(struct bv_wasm_func));
    instance->type_ids = bv_wasm_arena_alloc(arena, module->type_count, sizeof(uint32_t));
    instance->elem_dropped = bv_wasm_arena_alloc(arena, module->elem_count, sizeof(bool));
    instance->data_dropped = bv_wasm_arena_alloc(arena, module->data_count, sizeof(bool));
    if (!instance->funcs || !instance->tables || !instance->memories || !instance->globals ||
        !instance->own_functions || !instance->type_ids || !instance->elem_dropped ||
        !instance->data_dropped) {
        return false;
    }
    return bv_wasm_intern_module(linking->store, module, instance->type_ids);
}

static void make_functions(struct linking *linking)
{
    struct bv_wasm_module *module = linking->module;
    struct bv_wasm_instance *instance = linking->instance;
    for (uint32_t i = 0; i < module->function_count - module->imported_functions; i++) {
        struct bv_wasm_func *function = &instance->own_functions[i];
        uint32_t type = module->functions[i].type;
        function->base = (struct bv_wasm_extern){ .store = linking->store, .kind = BV_WASM_FUNC };
        function->type = &module->types[type];
        function->type_id = instance->type_ids[type];
        function->index = i;
        function->instance = instance;
        function->code = &module->functions[i];
        instance->funcs[module->imported_functions + i] = function;
    }
}

static bool make_tables(struct linking *linking)
{
    struct bv_wasm_module *module = linking->module;
    for (uint32_t i = module->imported_tables; i < module->table_count; i++) {
        struct bv_wasm_table *table =
            bv_wasm_arena_alloc(&linking->store->arena, 1, sizeof(*table));
        if (!table || !bv_wasm_init_table(linking->store, table, module->tables[i].type,
                                          &module->tables[i].limits)) {
            return false;
        }
        linking->instance->tables[i] = table;
    }
    return true;
}

static bool make_memories(struct linking *linking)
{
    struct bv_wasm_module *module = linking->module;
    for (uint32_t i = module->imported_memories; i < module->memory_count; i++) {
        struct bv_wasm_memory *memory =
            bv_wasm_arena_alloc(&linking->store->arena, 1, sizeof(*memory));
        if (!memory || !bv_wasm_init_memory(linking->store, memory, &module->memories[i])) {
            return false;
        }
        linking->instance->memories[i] = memory;
    }
    if (module->memory_count) {
        linking->instance->memory0 = linking->instance->memories[0];
    }
    return true;
}

void bv_wasm_evaluate(const struct bv_wasm_instance *instance, const struct bv_wasm_init *init,
                      union bv_wasm_cell ret_cells[2])
{
    switch ((enum bv_wasm_init_kind)init->kind) {
    case BV_WASM_INIT_CONST:
        ret_cells[0].u64 = init->bits[0];
        ret_cells[1].u64 = init->bits[1];
        return;
    case BV_WASM_INIT_GLOBAL:
        memcpy(ret_cells, instance->globals[init->index]->cells, 2 * sizeof(*ret_cells));
        return;
    case BV_WASM_INIT_FUNC:
        ret_cells[0].u64 = (uint64_t)(uintptr_t)instance->funcs[init->index];
        return;
    }
    BV_UNREACHABLE();
}

static bool make_globals(struct linking *linking)
{
    struct bv_wasm_module *module = linking->module;
    uint32_t own = module->global_count - module->imported_globals;
    struct bv_wasm_global *globals =
        bv_wasm_arena_alloc(&linking->store->arena, own, sizeof(*globals));
    if (!globals) {
        return false;
    }
    for (uint32_t i = 0; i < own; i++) {
        const struct bv_wasm_global_def *def = &module->globals[module->imported_globals + i];
        globals[i].base =
            (struct bv_wasm_extern){ .store = linking->store, .kind = BV_WASM_GLOBAL };
        globals[i].type = def->type;
        bv_wasm_evaluate(linking->instance, &def->init, globals[i].cells);
        linking->instance->globals[module->imported_globals + i] = &globals[i];
    }
    return true;
}

/* ---- active segments, in order; what was written before one that does not fit stays written ---- */

static enum bv_wasm_status apply_elems(struct linking *linking)
{
    struct bv_wasm_instance *instance = linking->instance;
    for (uint32_t i = 0; i < linking->module->elem_count; i++) {
        const struct bv_wasm_elem *elem = &linking->module->elems[i];
        union bv_wasm_cell cells[2];
        if (elem->mode == BV_WASM_PASSIVE) {
            continue;
        }
        instance->elem_dropped[i] = true;
        if (elem->mode == BV_WASM_DECLARATIVE) {
            continue;
        }
        bv_wasm_evaluate(instance, &elem->offset, cells);
        struct bv_wasm_table *table = instance->tables[elem->table];
        uint32_t offset = cells[0].u32;
        if (offset > table->count || elem->count > table->count - offset) {
            return fail(linking, BV_WASM_TRAPPED, bv_wasm_trap_text(BV_WASM_TRAP_TABLE));
        }
        for (uint32_t j = 0; j < elem->count; j++) {
            bv_wasm_evaluate(instance, &elem->inits[j], cells);
            table->elements[offset + j] = cells[0].u64;
        }
    }
    return BV_WASM_OK;
}

static enum bv_wasm_status apply_datas(struct linking *linking)
{
    struct bv_wasm_instance *instance = linking->instance;
    for (uint32_t i = 0; i < linking->module->data_count; i++) {
        const struct bv_wasm_data *data = &linking->module->datas[i];
        union bv_wasm_cell cells[2];
        if (data->mode != BV_WASM_ACTIVE) {
            continue;
        }
        instance->data_dropped[i] = true;
        bv_wasm_evaluate(instance, &data->offset, cells);
        struct bv_wasm_memory *memory = instance->memories[data->memory];
        uint64_t offset = cells[0].u32;
        if (offset > memory->size || data->size > memory->size - offset) {
            return fail(linking, BV_WASM_TRAPPED, bv_wasm_trap_text(BV_WASM_TRAP_MEMORY));
        }
        if (data->size) {
            memcpy(memory->bytes + offset, data->bytes, data->size);
        }
    }
    return BV_WASM_OK;
}

/* An instance that failed half way stays in its store: others may hold references to its functions through a shared table. */
enum bv_wasm_status bv_wasm_instantiate(struct bv_wasm_store *store, struct bv_wasm_module *module,
                                        struct bv_wasm_extern *const *imports,
                                        struct bv_wasm_instance **ret_instance,
                                        struct bv_wasm_extern **ret_start,
                                        struct bv_wasm_error *error)
{
    struct linking linking = { .store = store, .module = module, .error = error };
    if (!allocate(&linking)) {
        return nomem(&linking);
    }
    struct bv_wasm_instance *instance = linking.instance;
    instance->module = bv_wasm_module_ref(module);
    instance->number = ++store->instance_count;
    instance->next = store->instances;
    store->instances = instance;
    enum bv_wasm_status status = link_imports(&linking, imports);
    if (status != BV_WASM_OK) {
        return status;
    }
    make_functions(&linking);
    if (!make_tables(&linking) || !make_memories(&linking) || !make_globals(&linking)) {
        return nomem(&linking);
    }
    instance->ready = true;
    status = apply_elems(&linking);
    if (status == BV_WASM_OK) {
        status = apply_datas(&linking);
    }
    if (status == BV_WASM_OK) {
        *ret_instance = instance;
        *ret_start = module->start == UINT32_MAX ? NULL : &instance->funcs[module->start]->base;
    }
    return status;
}

struct bv_wasm_extern *bv_wasm_instance_export(struct bv_wasm_instance *instance, const char *name,
                                               size_t size, enum bv_wasm_kind *ret_kind)
{
    uint32_t index = bv_wasm_find_export(instance->module, name, size);
    if (index == UINT32_MAX) {
        return NULL;
    }
    const struct bv_wasm_export_def *def = &instance->module->exports[index];
    if (ret_kind) {
        *ret_kind = (enum bv_wasm_kind)def->kind;
    }
    switch ((enum bv_wasm_kind)def->kind) {
    case BV_WASM_FUNC: return &instance->funcs[def->index]->base;
    case BV_WASM_TABLE: return &instance->tables[def->index]->base;
    case BV_WASM_MEMORY: return &instance->memories[def->index]->base;
    case BV_WASM_GLOBAL: return &instance->globals[def->index]->base;
    }
    BV_UNREACHABLE();
}
