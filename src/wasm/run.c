/* wasm/run.c - a call from outside: begun, resumed, abandoned; the stack's growth, host calls, and what a stop says. */
#include "wasm/store.h"

#include "base/check.h"

#include <string.h>

#define FIRST_CELLS  256
#define FIRST_FRAMES 32

/* Code of the engine's own: below the first frame, around a host function that is called from outside, after a tail call to one. */
const union bv_wasm_unit bv_wasm_exit_unit[] = { { .op = BV_WASM_CODE_EXIT } };
const union bv_wasm_unit bv_wasm_host_entry_unit[] = { { .op = BV_WASM_CODE_HOST_ENTRY },
                                                       { .op = BV_WASM_CODE_EXIT } };
const union bv_wasm_unit bv_wasm_return_unit[] = { { .op = BV_WASM_CODE_RETURN0 }, { .imm = 0 } };

const char *bv_wasm_trap_text(enum bv_wasm_trap trap)
{
    switch (trap) {
    case BV_WASM_TRAP_NONE: return "none";
    case BV_WASM_TRAP_UNREACHABLE: return "unreachable";
    case BV_WASM_TRAP_DIVIDE_BY_ZERO: return "integer divide by zero";
    case BV_WASM_TRAP_OVERFLOW: return "integer overflow";
    case BV_WASM_TRAP_CONVERSION: return "invalid conversion to integer";
    case BV_WASM_TRAP_MEMORY: return "out of bounds memory access";
    case BV_WASM_TRAP_TABLE: return "out of bounds table access";
    case BV_WASM_TRAP_UNDEFINED_ELEMENT: return "undefined element";
    case BV_WASM_TRAP_UNINITIALIZED_ELEMENT: return "uninitialized element";
    case BV_WASM_TRAP_CALL_TYPE: return "indirect call type mismatch";
    case BV_WASM_TRAP_STACK: return "call stack exhausted";
    case BV_WASM_TRAP_FUEL: return "fuel exhausted";
    case BV_WASM_TRAP_NOMEM: return "out of memory";
    case BV_WASM_TRAP_HOST: return "ended by the host";
    }
    BV_UNREACHABLE();
}

/* ---- the stack ---- */

enum bv_wasm_trap bv_wasm_grow_cells(struct bv_wasm_store *store, uint64_t need)
{
    if (need > store->cells_max) { /* asked first: an array that grew by doubling may be larger than what may be used of it */
        return BV_WASM_TRAP_STACK;
    }
    if (need <= store->cell_capacity && store->cells) { /* a frame of no cells still needs an address */
        return BV_WASM_TRAP_NONE;
    }
    uint64_t wanted = store->cell_capacity ? need : need > FIRST_CELLS ? need : FIRST_CELLS;
    wanted = wanted > store->cells_max ? store->cells_max : wanted;
    if (!bv_wasm_grow(store->budget, &store->cells, &store->cell_capacity, wanted,
                      sizeof(*store->cells))) {
        return BV_WASM_TRAP_NOMEM;
    }
    store->cells_end = store->cells + (store->cell_capacity < store->cells_max
                                           ? store->cell_capacity
                                           : store->cells_max);
    return BV_WASM_TRAP_NONE;
}

/* Makes room for one more frame. */
enum bv_wasm_trap bv_wasm_grow_frames(struct bv_wasm_store *store)
{
    if (store->frame_count >= store->frames_max) {
        return BV_WASM_TRAP_STACK;
    }
    uint64_t need = (uint64_t)store->frame_count + 1;
    need = need < FIRST_FRAMES && FIRST_FRAMES <= store->frames_max ? FIRST_FRAMES : need;
    if (!bv_wasm_grow(store->budget, &store->frames, &store->frame_capacity, need,
                      sizeof(*store->frames))) {
        return BV_WASM_TRAP_NOMEM;
    }
    store->frames_end = store->frames + (store->frame_capacity < store->frames_max
                                             ? store->frame_capacity
                                             : store->frames_max);
    return BV_WASM_TRAP_NONE;
}

/* ---- host calls ---- */

enum bv_wasm_answer bv_wasm_call_host(struct bv_wasm_store *store, struct bv_wasm_func *function,
                                      struct bv_wasm_instance *caller, uint64_t base)
{
    const struct bv_wasm_functype *type = &function->type->type;
    union bv_wasm_value *args = store->host_values,
                        *results = store->host_values + type->param_count;
    struct bv_wasm_caller self = { .store = store, .instance = caller };
    bv_wasm_values_out(store->cells + base, type->params, type->param_count, args);
    if (type->result_count) {
        memset(results, 0, type->result_count * sizeof(*results));
    }
    enum bv_wasm_answer answer = function->host(function->context, &self, args, results);
    if (answer == BV_WASM_DONE) {
        bool known = bv_wasm_values_in(store, results, type->results, type->result_count,
                                       store->cells + base);
        BV_ASSERT(known); /* the host made a reference up */
    }
    return answer;
}

/* ---- from outside ---- */

static enum bv_wasm_trap enter(struct bv_wasm_store *store, struct bv_wasm_func *function)
{
    uint64_t cells = function->type->param_cells > function->type->result_cells
                         ? function->type->param_cells
                         : function->type->result_cells;
    if (function->code && function->code->frame_cells > cells) {
        cells = function->code->frame_cells;
    }
    enum bv_wasm_trap trap = bv_wasm_grow_cells(store, cells);
    if (trap == BV_WASM_TRAP_NONE) {
        trap = bv_wasm_grow_frames(store);
    }
    if (trap != BV_WASM_TRAP_NONE) {
        return trap;
    }
    store->instance = function->instance;
    if (function->code) {
        store->frames[store->frame_count++] =
            (struct bv_wasm_frame){ .pc = bv_wasm_exit_unit, .instance = function->instance };
        memset(store->cells + function->code->param_cells, 0,
               function->code->zero_cells * sizeof(*store->cells));
        store->pc = function->code->start;
    } else {
        store->pc = bv_wasm_host_entry_unit;
    }
    return BV_WASM_TRAP_NONE;
}

bool bv_wasm_call(struct bv_wasm_store *store, struct bv_wasm_extern *extern_function,
                  const union bv_wasm_value *args, uint32_t arg_count)
{
    if (store->run == BV_WASM_RUN_READY || store->run == BV_WASM_RUN_WAITING ||
        extern_function->store != store || extern_function->kind != BV_WASM_FUNC) {
        return false;
    }
    struct bv_wasm_func *function = (struct bv_wasm_func *)(void *)extern_function;
    const struct bv_wasm_functype *type = &function->type->type;
    if (arg_count != type->param_count) {
        return false;
    }
    store->frame_count = 0;
    store->base = 0;
    store->waiting = NULL;
    store->function = function;
    store->trap = enter(store, function);
    store->run = BV_WASM_RUN_READY; /* a trap on entry is told by the first resume */
    if (store->trap == BV_WASM_TRAP_NONE &&
        !bv_wasm_values_in(store, args, type->params, arg_count, store->cells)) {
        store->run = BV_WASM_RUN_NONE;
        return false;
    }
    return true;
}

static bool keep_results(struct bv_wasm_store *store)
{
    const struct bv_wasm_functype *type = &store->function->type->type;
    if (!bv_wasm_grow(store->budget, &store->results, &store->results_capacity, type->result_count,
                      sizeof(*store->results))) {
        return false;
    }
    bv_wasm_values_out(store->cells, type->results, type->result_count, store->results);
    return true;
}

static enum bv_wasm_step trapped(struct bv_wasm_store *store, enum bv_wasm_trap trap)
{
    store->trap = trap;
    store->run = BV_WASM_RUN_TRAPPED;
    return BV_WASM_STEP_TRAPPED;
}

enum bv_wasm_step bv_wasm_resume(struct bv_wasm_store *store, uint64_t slice_units)
{
    if (store->run != BV_WASM_RUN_READY && store->run != BV_WASM_RUN_WAITING) {
        return store->run == BV_WASM_RUN_TRAPPED ? BV_WASM_STEP_TRAPPED : BV_WASM_STEP_DONE;
    }
    if (store->trap != BV_WASM_TRAP_NONE) {
        return trapped(store, store->trap);
    }
    uint64_t room = store->fuel_limit > store->charged ? store->fuel_limit - store->charged : 0;
    uint64_t grant = slice_units < room ? slice_units : room;
    store->grant = grant > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)grant;
    store->left = store->grant;
    enum bv_wasm_step step = bv_wasm_execute(store);
    switch (step) {
    case BV_WASM_STEP_DONE:
        if (!keep_results(store)) {
            return trapped(store, BV_WASM_TRAP_NOMEM);
        }
        store->run = BV_WASM_RUN_DONE;
        return step;
    case BV_WASM_STEP_TRAPPED: return trapped(store, store->trap);
    case BV_WASM_STEP_SLICE: store->run = BV_WASM_RUN_READY; return step;
    case BV_WASM_STEP_WAIT: store->run = BV_WASM_RUN_WAITING; return step;
    }
    BV_UNREACHABLE();
}

void bv_wasm_abandon(struct bv_wasm_store *store)
{
    store->run = BV_WASM_RUN_NONE;
    store->waiting = NULL;
    store->charged = store->used; /* what was pending at the stop was done */
}

enum bv_wasm_trap bv_wasm_trapped(const struct bv_wasm_store *store)
{
    return store->run == BV_WASM_RUN_TRAPPED ? store->trap : BV_WASM_TRAP_NONE;
}

const union bv_wasm_value *bv_wasm_results(const struct bv_wasm_store *store)
{
    return store->results;
}

void bv_wasm_fuel_limit(struct bv_wasm_store *store, uint64_t units)
{
    store->fuel_limit = units;
}

uint64_t bv_wasm_fuel_used(const struct bv_wasm_store *store)
{
    return store->used;
}
