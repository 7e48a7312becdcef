/* wasm/module.h - a compiled module from the inside: what decode.c fills and instance.c and exec.c read. Immutable after compile. */
#pragma once

#include "wasm/alloc.h"
#include "wasm/code.h"
#include "wasm/wasm.h"

#include <stdatomic.h>

struct bv_wasm_type_info { struct bv_wasm_functype type; uint32_t param_cells, result_cells; };
struct bv_wasm_table_type { struct bv_wasm_limits limits; uint8_t type; };
struct bv_wasm_global_type { uint8_t type; bool is_mutable; };

/* A constant expression of WebAssembly 2.0: one instruction. */
enum bv_wasm_init_kind { BV_WASM_INIT_CONST, BV_WASM_INIT_GLOBAL, BV_WASM_INIT_FUNC };
struct bv_wasm_init { uint8_t kind; uint32_t index; uint64_t bits[2]; }; /* bits: as cells, a null reference is 0 */

struct bv_wasm_function {      /* a function that the module defines */
    const union bv_wasm_unit *start; /* set once the code has its final address */
    uint32_t entry, units;     /* of module->code */
    uint32_t type;             /* index of module->types */
    uint32_t frame_cells;      /* parameters, locals, deepest stack */
    uint32_t param_cells, zero_cells, result_cells;
};
struct bv_wasm_global_def { struct bv_wasm_global_type type; struct bv_wasm_init init; };
struct bv_wasm_import_def {
    struct bv_wasm_name module, name;
    uint8_t kind;
    uint32_t type; /* FUNC: index of types */
    union { struct bv_wasm_table_type table; struct bv_wasm_limits memory; struct bv_wasm_global_type global; };
};
struct bv_wasm_export_def { struct bv_wasm_name name; uint8_t kind; uint32_t index; };
enum bv_wasm_segment_mode { BV_WASM_ACTIVE, BV_WASM_PASSIVE, BV_WASM_DECLARATIVE };
struct bv_wasm_elem { uint8_t mode, type; uint32_t table, count; struct bv_wasm_init offset; struct bv_wasm_init *inits; };
struct bv_wasm_data { uint8_t mode; uint32_t memory, size; struct bv_wasm_init offset; const uint8_t *bytes; };

/* Index spaces: imports first. counts are of the whole space. */
struct bv_wasm_module {
    atomic_uint references;
    struct bv_wasm_budget budget; /* everything below is charged to it */
    struct bv_wasm_arena arena;
    struct bv_wasm_options options;
    struct bv_wasm_type_info *types;
    struct bv_wasm_import_def *imports;
    uint32_t *function_types;
    struct bv_wasm_table_type *tables;
    struct bv_wasm_limits *memories;
    struct bv_wasm_global_def *globals; /* of imported ones only the type */
    struct bv_wasm_export_def *exports;
    uint32_t *export_order; /* indices sorted by name */
    uint32_t *type_order;   /* indices of types, sorted by bv_wasm_type_compare() */
    struct bv_wasm_elem *elems;
    struct bv_wasm_data *datas;
    struct bv_wasm_function *functions; /* defined ones */
    union bv_wasm_unit *code;
    struct bv_wasm_mark *marks;
    uint32_t type_count, import_count, function_count, table_count, memory_count, global_count, export_count, elem_count, data_count;
    uint32_t imported_functions, imported_tables, imported_memories, imported_globals;
    uint32_t code_capacity, code_units, mark_capacity, mark_count;
    uint32_t start; /* UINT32_MAX: none */
};

/* Negative, zero or positive, as memcmp() and then by length. */
int bv_wasm_name_compare(const struct bv_wasm_name *a, const struct bv_wasm_name *b);
/* Index of the export, UINT32_MAX: none. */
uint32_t bv_wasm_find_export(const struct bv_wasm_module *module, const char *name, size_t size);
int bv_wasm_type_compare(const struct bv_wasm_functype *a, const struct bv_wasm_functype *b);
void bv_wasm_order_types(struct bv_wasm_module *module);
/* Sorts export_order; false if two exports have one name. */
bool bv_wasm_order_exports(struct bv_wasm_module *module);
/* Pending fuel at a stop: at is the unit, trap says that the operation there is under way. */
uint32_t bv_wasm_pending_at(const struct bv_wasm_module *module, const union bv_wasm_unit *at, bool trap);
static inline uint32_t bv_wasm_cells_of(uint8_t type) { return type == BV_WASM_V128 ? 2 : 1; }
