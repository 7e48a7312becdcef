/* wasm/store.h - a store from the inside: what a guest owns while it lives, and the state of its run.
 *
 * References inside cells and tables: 0 is null, a funcref is the address of its struct bv_wasm_func, an externref the host's number
 * plus one. Outside, a funcref is a number that names an instance and an index, so that a wrong one cannot be followed. */
#pragma once

#include "wasm/module.h"

struct bv_wasm_extern { struct bv_wasm_store *store; uint8_t kind; };
struct bv_wasm_func {
    struct bv_wasm_extern base;
    uint32_t type_id, index;           /* index: of instance->own_functions, or of the store's host functions */
    const struct bv_wasm_type_info *type;
    struct bv_wasm_instance *instance; /* NULL: a host function */
    const struct bv_wasm_function *code;
    bv_wasm_host_fn *host;
    void *context;
    struct bv_wasm_func *next_host;
};
struct bv_wasm_memory { struct bv_wasm_extern base; uint8_t *bytes; uint64_t size; struct bv_wasm_limits limits; };
struct bv_wasm_table { struct bv_wasm_extern base; uint64_t *elements; uint32_t count, capacity; struct bv_wasm_limits limits; uint8_t type; };
struct bv_wasm_global { struct bv_wasm_extern base; struct bv_wasm_global_type type; union bv_wasm_cell cells[2]; };

struct bv_wasm_instance {
    struct bv_wasm_store *store;
    struct bv_wasm_module *module;
    const struct bv_wasm_function *functions; /* the module's */
    struct bv_wasm_memory *memory0;           /* memories[0], or one that is empty */
    struct bv_wasm_func **funcs;              /* index spaces */
    struct bv_wasm_table **tables;
    struct bv_wasm_memory **memories;
    struct bv_wasm_global **globals;
    struct bv_wasm_func *own_functions;
    uint32_t *type_ids;
    bool *elem_dropped, *data_dropped;
    struct bv_wasm_instance *next;
    uint32_t number;                          /* from 1 */
    bool ready;                               /* its parts exist: references to it may be followed */
};

struct bv_wasm_frame { const union bv_wasm_unit *pc; struct bv_wasm_instance *instance; uint32_t delta; }; /* where to return to */
struct bv_wasm_canonical { const struct bv_wasm_functype *type; uint32_t id; };

enum bv_wasm_run { BV_WASM_RUN_NONE, BV_WASM_RUN_READY, BV_WASM_RUN_WAITING, BV_WASM_RUN_DONE, BV_WASM_RUN_TRAPPED };
struct bv_wasm_store {
    struct bv_wasm_budget *budget;
    struct bv_wasm_arena arena;              /* instances and their parts */
    struct bv_wasm_instance *instances;      /* newest first */
    struct bv_wasm_func *host_functions;
    struct bv_wasm_canonical *types;         /* sorted by type */
    struct bv_wasm_table **tables;           /* all, for the end; memories likewise */
    struct bv_wasm_memory **all_memories;
    uint32_t type_count, type_capacity, table_count, table_capacity, memory_count, memory_capacity, instance_count, host_count;
    struct bv_wasm_memory no_memory;
    uint64_t frames_max, cells_max;

    /* The run. fp is cells + base. */
    union bv_wasm_cell *cells;
    struct bv_wasm_frame *frames;
    const union bv_wasm_cell *cells_end;     /* of what there is and may be used; frames likewise */
    const struct bv_wasm_frame *frames_end;
    uint32_t cell_capacity, frame_capacity, frame_count;
    uint64_t base;
    const union bv_wasm_unit *pc;
    struct bv_wasm_instance *instance;       /* NULL: a host function was called from outside */
    struct bv_wasm_func *function;           /* what was called */
    struct bv_wasm_func *waiting;            /* the host function that answered AGAIN; its arguments are at waiting_base */
    uint64_t waiting_base;
    enum bv_wasm_run run;
    enum bv_wasm_trap trap;
    union bv_wasm_value *results, *host_values;
    uint32_t results_capacity, host_values_capacity;

    /* Fuel. charged: before this slice; left: of this slice, below 0 when it is used up; used: exact, at the last stop. */
    uint64_t fuel_limit, charged, used;
    int64_t grant, left;
};

struct bv_wasm_caller { struct bv_wasm_store *store; struct bv_wasm_instance *instance; };

/* ---- store.c, extern.c, instance.c ---- */

bool bv_wasm_intern_type(struct bv_wasm_store *store, const struct bv_wasm_functype *type, uint32_t *ret_id);
bool bv_wasm_intern_module(struct bv_wasm_store *store, const struct bv_wasm_module *module, uint32_t *ids);
uint64_t bv_wasm_ref_out(uint8_t type, uint64_t inside);
bool bv_wasm_ref_in(const struct bv_wasm_store *store, uint8_t type, uint64_t outside, uint64_t *ret_inside);
void bv_wasm_values_out(const union bv_wasm_cell *cells, const uint8_t *types, uint32_t count, union bv_wasm_value *ret_values);
bool bv_wasm_values_in(const struct bv_wasm_store *store, const union bv_wasm_value *values, const uint8_t *types, uint32_t count,
                       union bv_wasm_cell *ret_cells);
bool bv_wasm_init_table(struct bv_wasm_store *store, struct bv_wasm_table *table, uint8_t type, const struct bv_wasm_limits *limits);
bool bv_wasm_init_memory(struct bv_wasm_store *store, struct bv_wasm_memory *memory, const struct bv_wasm_limits *limits);
#define BV_WASM_GROW_FAILED UINT32_MAX
uint32_t bv_wasm_grow_memory(struct bv_wasm_memory *memory, uint32_t pages);                 /* pages before */
uint32_t bv_wasm_grow_table(struct bv_wasm_table *table, uint32_t count, uint64_t element); /* elements before */

/* The value of a constant expression: one cell, or two of a v128. */
void bv_wasm_evaluate(const struct bv_wasm_instance *instance, const struct bv_wasm_init *init, union bv_wasm_cell ret_cells[2]);

/* ---- bulk.c ---- */

enum bv_wasm_bulk { BV_WASM_BULK_DONE, BV_WASM_BULK_MORE, BV_WASM_BULK_MEMORY, BV_WASM_BULK_TABLE }; /* the last two: traps */
/* One bounded part of the bulk operation at pc; takes its fuel from *left. */
enum bv_wasm_bulk bv_wasm_bulk_step(struct bv_wasm_instance *instance, const union bv_wasm_unit *pc, union bv_wasm_cell *operands, int64_t *left);

/* ---- exec.c, run.c ---- */

enum bv_wasm_step bv_wasm_execute(struct bv_wasm_store *store); /* from the store's run state until the next stop */
enum bv_wasm_answer bv_wasm_call_host(struct bv_wasm_store *store, struct bv_wasm_func *function, struct bv_wasm_instance *caller, uint64_t base);
enum bv_wasm_trap bv_wasm_grow_cells(struct bv_wasm_store *store, uint64_t need);
enum bv_wasm_trap bv_wasm_grow_frames(struct bv_wasm_store *store);
extern const union bv_wasm_unit bv_wasm_exit_unit[], bv_wasm_host_entry_unit[], bv_wasm_return_unit[];
