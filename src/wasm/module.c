/* wasm/module.c - lifetime and description of compiled modules. */
#include "wasm/module.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

struct bv_wasm_module *bv_wasm_module_ref(struct bv_wasm_module *module)
{
    unsigned before = atomic_fetch_add_explicit(&module->references, 1, memory_order_relaxed);
    BV_ASSERT(before > 0 && before < UINT32_MAX / 2);
    return module;
}

void bv_wasm_module_free(struct bv_wasm_module *module)
{
    if (!module || atomic_fetch_sub_explicit(&module->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    bv_wasm_dealloc(&module->budget, module->code, module->code_capacity * sizeof(*module->code));
    bv_wasm_dealloc(&module->budget, module->marks, module->mark_capacity * sizeof(*module->marks));
    bv_wasm_arena_free(&module->arena);
    free(module);
}

uint64_t bv_wasm_module_bytes(const struct bv_wasm_module *module)
{
    return sizeof(*module) + module->budget.used_bytes;
}

uint64_t bv_wasm_module_minimum(const struct bv_wasm_module *module)
{
    uint64_t bytes = 0; /* at most 1,000 memories of 4 GiB: no sum overflows */
    for (uint32_t i = module->imported_memories; i < module->memory_count; i++) {
        bytes += module->memories[i].min * 65536;
    }
    for (uint32_t i = module->imported_tables; i < module->table_count; i++) {
        bytes += module->tables[i].limits.min * sizeof(uint64_t);
    }
    return bytes;
}

uint32_t bv_wasm_import_count(const struct bv_wasm_module *module)
{
    return module->import_count;
}

void bv_wasm_import_at(const struct bv_wasm_module *module, uint32_t index,
                       struct bv_wasm_import *ret_import)
{
    BV_ASSERT(index < module->import_count);
    const struct bv_wasm_import_def *def = &module->imports[index];
    *ret_import = (struct bv_wasm_import){ .module = def->module,
                                           .name = def->name,
                                           .kind = (enum bv_wasm_kind)def->kind };
    if (def->kind == BV_WASM_FUNC) {
        ret_import->function = module->types[def->type].type;
    }
}

uint32_t bv_wasm_export_count(const struct bv_wasm_module *module)
{
    return module->export_count;
}

void bv_wasm_export_at(const struct bv_wasm_module *module, uint32_t index,
                       struct bv_wasm_export *ret_export)
{
    BV_ASSERT(index < module->export_count);
    const struct bv_wasm_export_def *def = &module->exports[index];
    *ret_export =
        (struct bv_wasm_export){ .name = def->name, .kind = (enum bv_wasm_kind)def->kind };
    if (def->kind == BV_WASM_FUNC) {
        ret_export->function = module->types[module->function_types[def->index]].type;
    }
}

int bv_wasm_name_compare(const struct bv_wasm_name *a, const struct bv_wasm_name *b)
{
    size_t common = a->size < b->size ? a->size : b->size;
    int order = common ? memcmp(a->bytes, b->bytes, common) : 0;
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

uint32_t bv_wasm_find_export(const struct bv_wasm_module *module, const char *name, size_t size)
{
    if (size > UINT32_MAX) {
        return UINT32_MAX;
    }
    struct bv_wasm_name wanted = { .bytes = name, .size = (uint32_t)size };
    uint32_t first = 0, last = module->export_count;
    while (first < last) {
        uint32_t middle = first + (last - first) / 2, index = module->export_order[middle];
        int order = bv_wasm_name_compare(&wanted, &module->exports[index].name);
        if (order == 0) {
            return index;
        }
        if (order < 0) {
            last = middle;
        } else {
            first = middle + 1;
        }
    }
    return UINT32_MAX;
}

int bv_wasm_type_compare(const struct bv_wasm_functype *a, const struct bv_wasm_functype *b)
{
    if (a->param_count != b->param_count) {
        return a->param_count < b->param_count ? -1 : 1;
    }
    if (a->result_count != b->result_count) {
        return a->result_count < b->result_count ? -1 : 1;
    }
    int order = a->param_count ? memcmp(a->params, b->params, a->param_count) : 0;
    return order != 0 || a->result_count == 0 ? order
                                              : memcmp(a->results, b->results, a->result_count);
}

/* ---- a heap sort of indices: libc's qsort() may allocate behind the budget's back, and a quicksort can be made slow by the module ---- */

typedef int compare_fn(const struct bv_wasm_module *module, uint32_t i, uint32_t j);

static int compare_exports(const struct bv_wasm_module *module, uint32_t i, uint32_t j)
{
    return bv_wasm_name_compare(&module->exports[i].name, &module->exports[j].name);
}

static int compare_types(const struct bv_wasm_module *module, uint32_t i, uint32_t j)
{
    return bv_wasm_type_compare(&module->types[i].type, &module->types[j].type);
}

static void swap(uint32_t *order, uint32_t i, uint32_t j)
{
    uint32_t kept = order[i];
    order[i] = order[j];
    order[j] = kept;
}

static void sift_down(const struct bv_wasm_module *module, uint32_t *order, uint32_t root,
                      uint32_t count, compare_fn *compare)
{
    for (uint32_t child = 2 * root + 1; child < count; child = 2 * root + 1) {
        if (child + 1 < count && compare(module, order[child], order[child + 1]) < 0) {
            child++;
        }
        if (compare(module, order[root], order[child]) >= 0) {
            return;
        }
        swap(order, root, child);
        root = child;
    }
}

static void sort(const struct bv_wasm_module *module, uint32_t *order, uint32_t count,
                 compare_fn *compare)
{
    for (uint32_t i = 0; i < count; i++) {
        order[i] = i;
    }
    for (uint32_t i = count / 2; i-- > 0;) {
        sift_down(module, order, i, count, compare);
    }
    for (uint32_t i = count; i-- > 1;) {
        swap(order, 0, i);
        sift_down(module, order, 0, i, compare);
    }
}

bool bv_wasm_order_exports(struct bv_wasm_module *module)
{
    sort(module, module->export_order, module->export_count, compare_exports);
    for (uint32_t i = 1; i < module->export_count; i++) {
        if (compare_exports(module, module->export_order[i - 1], module->export_order[i]) == 0) {
            return false;
        }
    }
    return true;
}

void bv_wasm_order_types(struct bv_wasm_module *module)
{
    sort(module, module->type_order, module->type_count, compare_types);
}

uint32_t bv_wasm_pending_at(const struct bv_wasm_module *module, const union bv_wasm_unit *at,
                            bool trap)
{
    if (at < module->code || at >= module->code + module->code_units) {
        return 0; /* code of the engine itself */
    }
    uint32_t key = 2 * (uint32_t)(at - module->code) + trap, first = 0, last = module->mark_count;
    while (first < last) {
        uint32_t middle = first + (last - first) / 2;
        if (module->marks[middle].key == key) {
            return module->marks[middle].pending;
        }
        if (key < module->marks[middle].key) {
            last = middle;
        } else {
            first = middle + 1;
        }
    }
    return 0;
}
