/* wasm/wasm.h - the whole outside of the engine: modules, stores, instances, resumable execution, host functions.
 *
 * A module is compiled once (decoded, validated whole, translated), immutable, counted, and shared between threads. A store belongs to
 * one thread at a time and holds everything of one guest: instances, memories, tables, the stack, fuel, the memory budget. Execution keeps
 * its own frame stack and never recurses in C, so a run can stop between any two instructions and go on later: when its slice of fuel is
 * used up, and when a host function has to wait. So deadlines, cancels and blocking reads need neither threads nor signals: whoever
 * drives the store looks at the clock between two slices. Nothing here knows bvisor, files or clocks. WebAssembly 2.0 + SIMD, tail calls,
 * multi-memory. Every function is safe on any input; only a NULL or a foreign object is the caller's fault. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- the memory budget: every byte that a guest makes us allocate is charged to it ---- */

/* One budget per store. limit UINT64_MAX: none. refused: how many allocations did not fit. */
struct bv_wasm_budget { uint64_t limit_bytes, used_bytes, peak_bytes, refused; };

/* ---- types and values ---- */

enum bv_wasm_type { /* the binary format's own codes */
    BV_WASM_I32 = 0x7f, BV_WASM_I64 = 0x7e, BV_WASM_F32 = 0x7d, BV_WASM_F64 = 0x7c, BV_WASM_V128 = 0x7b,
    BV_WASM_FUNCREF = 0x70, BV_WASM_EXTERNREF = 0x6f,
};
#define BV_WASM_REF_NULL UINT64_MAX
/* Floats as bits: no NaN changes on the way. ref: externref any number of the host's but REF_NULL; funcref an opaque number of its store. */
union bv_wasm_value { uint32_t i32; uint64_t i64; uint32_t f32; uint64_t f64; uint64_t ref; uint8_t v128[16]; };
struct bv_wasm_functype { const uint8_t *params, *results; uint32_t param_count, result_count; }; /* bytes are enum bv_wasm_type */
struct bv_wasm_limits { uint64_t min, max; bool has_max; };                                      /* pages or elements */

/* ---- results ---- */

enum bv_wasm_status {
    BV_WASM_OK = 0,
    BV_WASM_MALFORMED,   /* not a module: the decoder's error, with its offset */
    BV_WASM_INVALID,     /* a module that does not validate */
    BV_WASM_LIMIT,       /* beyond a cap of this engine (limits.def); text names the cap */
    BV_WASM_UNLINKABLE,  /* an import is missing or of another type */
    BV_WASM_TRAPPED,     /* the start function or an active segment trapped; see bv_wasm_trap */
    BV_WASM_NOMEM,       /* the budget or the machine has no memory left */
};
struct bv_wasm_error { uint64_t offset; char text[160]; }; /* offset: byte in the module, UINT64_MAX if none */

enum bv_wasm_trap { /* text by bv_wasm_trap_text(): the specification's words */
    BV_WASM_TRAP_NONE = 0, BV_WASM_TRAP_UNREACHABLE, BV_WASM_TRAP_DIVIDE_BY_ZERO, BV_WASM_TRAP_OVERFLOW, BV_WASM_TRAP_CONVERSION,
    BV_WASM_TRAP_MEMORY, BV_WASM_TRAP_TABLE, BV_WASM_TRAP_UNDEFINED_ELEMENT, BV_WASM_TRAP_UNINITIALIZED_ELEMENT, BV_WASM_TRAP_CALL_TYPE,
    BV_WASM_TRAP_STACK, BV_WASM_TRAP_FUEL, BV_WASM_TRAP_NOMEM,
    BV_WASM_TRAP_HOST, /* a host function ended the guest: its code is the store's exit value (proc_exit, a killed run) */
};
const char *bv_wasm_trap_text(enum bv_wasm_trap trap);

/* ---- modules ---- */

struct bv_wasm_module; /* immutable after compile; counted */
struct bv_wasm_options {
    bool canonical_nans;  /* every NaN result is the canonical one (deterministic mode, the default of bvisor) */
    bool count_each;      /* the oracle: fuel is charged instruction by instruction, and no instructions are fused; slow */
    bool only_2_0;        /* refuse what WebAssembly 2.0 does not have: tail calls and more than one memory */
};
/* bytes are copied as far as needed. On failure *error is filled and nothing is kept. Memory is the module's own, returned by
 * bv_wasm_module_bytes(); at most max_bytes of it are allocated, else BV_WASM_NOMEM. */
enum bv_wasm_status bv_wasm_compile(const void *bytes, size_t size, const struct bv_wasm_options *options, uint64_t max_bytes,
                                    struct bv_wasm_module **ret_module, struct bv_wasm_error *error);
struct bv_wasm_module *bv_wasm_module_ref(struct bv_wasm_module *module); /* thread-safe */
void bv_wasm_module_free(struct bv_wasm_module *module);                  /* drops one reference; NULL is a no-op; thread-safe */
uint64_t bv_wasm_module_bytes(const struct bv_wasm_module *module);
/* Bytes of the memories and tables that an instance of it begins with. */
uint64_t bv_wasm_module_minimum(const struct bv_wasm_module *module);

enum bv_wasm_kind { BV_WASM_FUNC = 0, BV_WASM_TABLE = 1, BV_WASM_MEMORY = 2, BV_WASM_GLOBAL = 3 };
struct bv_wasm_name { const char *bytes; uint32_t size; }; /* UTF-8, may hold NUL; lives as long as the module */
struct bv_wasm_import { struct bv_wasm_name module, name; enum bv_wasm_kind kind; struct bv_wasm_functype function; /* kind FUNC */ };
struct bv_wasm_export { struct bv_wasm_name name; enum bv_wasm_kind kind; struct bv_wasm_functype function; /* kind FUNC */ };
uint32_t bv_wasm_import_count(const struct bv_wasm_module *module);
void bv_wasm_import_at(const struct bv_wasm_module *module, uint32_t index, struct bv_wasm_import *ret_import);
uint32_t bv_wasm_export_count(const struct bv_wasm_module *module);
void bv_wasm_export_at(const struct bv_wasm_module *module, uint32_t index, struct bv_wasm_export *ret_export);

/* ---- the warm cache: compiled modules by the SHA-256 that the caller computed; bounded, thread-safe; a miss only costs time ---- */

struct bv_wasm_cache;
struct bv_wasm_cache *bv_wasm_cache_new(uint64_t max_bytes, uint32_t max_modules); /* NULL: out of memory */
void bv_wasm_cache_free(struct bv_wasm_cache *cache);
/* As bv_wasm_compile(); the answer is a reference of the caller's either way. */
enum bv_wasm_status bv_wasm_cache_compile(struct bv_wasm_cache *cache, const uint8_t digest[32], const void *bytes, size_t size,
                                          const struct bv_wasm_options *options, uint64_t max_bytes, struct bv_wasm_module **ret_module,
                                          struct bv_wasm_error *error);
/* The module of that digest and those options, if it is there and its compile would have kept to max_bytes; a reference of the caller's. */
struct bv_wasm_module *bv_wasm_cache_find(struct bv_wasm_cache *cache, const uint8_t digest[32], const struct bv_wasm_options *options,
                                          uint64_t max_bytes);

/* ---- stores and instances ---- */

struct bv_wasm_store;
struct bv_wasm_instance; /* lives as long as its store */
struct bv_wasm_store_options { uint64_t frames_max, cells_max; /* call depth; 0 = the defaults of limits.def */ };
/* budget is the caller's and outlives the store; also what the host charges for its own tables may be added to it. NULL: no memory. */
struct bv_wasm_store *bv_wasm_store_new(struct bv_wasm_budget *budget, const struct bv_wasm_store_options *options);
void bv_wasm_store_free(struct bv_wasm_store *store);

/* What a host function answers. AGAIN: it has to wait; the run suspends and the same call is made again, with the same arguments,
 * when it is resumed; it must not have had an effect that must not be repeated. HALT: ends the guest as BV_WASM_TRAP_HOST. */
enum bv_wasm_answer { BV_WASM_DONE = 0, BV_WASM_AGAIN, BV_WASM_HALT };
struct bv_wasm_caller; /* what a host function may use during its call */
typedef enum bv_wasm_answer bv_wasm_host_fn(void *context, struct bv_wasm_caller *caller, const union bv_wasm_value *args,
                                            union bv_wasm_value *results);
/* length bytes of the calling instance's memory 0 from offset on; NULL if they do not lie inside (length 0 at the very end is inside).
 * Valid until the host function returns. */
uint8_t *bv_wasm_caller_memory(struct bv_wasm_caller *caller, uint64_t offset, uint64_t length);
/* More fuel for work that the host does for the guest (bytes copied / 64, entries walked): charged, exhaustion traps after the call. */
void bv_wasm_caller_charge(struct bv_wasm_caller *caller, uint64_t fuel_units);
struct bv_wasm_store *bv_wasm_caller_store(struct bv_wasm_caller *caller);

struct bv_wasm_extern; /* opaque reference to a function, table, memory or global of a store; owned by the store */
/* type's bytes are copied. */
struct bv_wasm_extern *bv_wasm_host_function(struct bv_wasm_store *store, const struct bv_wasm_functype *type, bv_wasm_host_fn *function, void *context);
struct bv_wasm_extern *bv_wasm_host_memory(struct bv_wasm_store *store, const struct bv_wasm_limits *pages);
struct bv_wasm_extern *bv_wasm_host_table(struct bv_wasm_store *store, enum bv_wasm_type type, const struct bv_wasm_limits *elements);
struct bv_wasm_extern *bv_wasm_host_global(struct bv_wasm_store *store, enum bv_wasm_type type, bool is_mutable, const union bv_wasm_value *value);

/* imports: one per import of the module, in its order. Active segments are applied; the start function is NOT run: if there is one,
 * *ret_start is its function, to be run by the caller like any other (so that it, too, can suspend); else NULL. */
enum bv_wasm_status bv_wasm_instantiate(struct bv_wasm_store *store, struct bv_wasm_module *module, struct bv_wasm_extern *const *imports,
                                        struct bv_wasm_instance **ret_instance, struct bv_wasm_extern **ret_start, struct bv_wasm_error *error);
/* NULL: no export of that name. ret_kind may be NULL. */
struct bv_wasm_extern *bv_wasm_instance_export(struct bv_wasm_instance *instance, const char *name, size_t size, enum bv_wasm_kind *ret_kind);
bool bv_wasm_extern_functype(const struct bv_wasm_extern *function, struct bv_wasm_functype *ret_type);
bool bv_wasm_global_get(const struct bv_wasm_extern *global, enum bv_wasm_type *ret_type, union bv_wasm_value *ret_value);
/* Memory 0 of an instance, for whoever drives it between two slices; NULL if none or outside. */
uint8_t *bv_wasm_instance_memory(struct bv_wasm_instance *instance, uint64_t offset, uint64_t length);

/* ---- execution ---- */

enum bv_wasm_step {
    BV_WASM_STEP_DONE,    /* returned: results by bv_wasm_results() */
    BV_WASM_STEP_TRAPPED, /* bv_wasm_trapped() says why */
    BV_WASM_STEP_SLICE,   /* the slice is used up: resume when you like */
    BV_WASM_STEP_WAIT,    /* a host function answered AGAIN: resume when what it waits for is there */
};
/* Begins a call; the store has at most one under way. False: another is under way, not a function of this store, or argument count is wrong. */
bool bv_wasm_call(struct bv_wasm_store *store, struct bv_wasm_extern *function, const union bv_wasm_value *args, uint32_t arg_count);
/* Goes on for about slice_units of fuel (exactly counted all the same). Work inside one instruction is bounded too: bulk operations
 * go on in the next slice. */
enum bv_wasm_step bv_wasm_resume(struct bv_wasm_store *store, uint64_t slice_units);
/* Drops a call that is under way. */
void bv_wasm_abandon(struct bv_wasm_store *store);
enum bv_wasm_trap bv_wasm_trapped(const struct bv_wasm_store *store);
const union bv_wasm_value *bv_wasm_results(const struct bv_wasm_store *store);
/* Fuel: limit UINT64_MAX = none. used is exact at every stop, and the same in every build and tier. */
void bv_wasm_fuel_limit(struct bv_wasm_store *store, uint64_t units);
uint64_t bv_wasm_fuel_used(const struct bv_wasm_store *store);
