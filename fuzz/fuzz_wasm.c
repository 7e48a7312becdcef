/* fuzz/fuzz_wasm.c - any bytes as a module: decoded, validated, translated and run, by the fast code and by the counting one.
 *
 * The two must say the same: the same refusal or none, and for every exported function the same trap or result and the same fuel,
 * under a limit that both reach. The fast one runs in slices, the other in one piece. Everything happens within a small budget, which
 * must hold and must be whole again at the end. Imports are dummies that answer zeros. */
#include "wasm/wasm.h"

#include "check.h"

#include <string.h>

#define FUEL         2000
#define SLICE        77
#define MODULE_BYTES ((uint64_t)8 << 20)
#define BUDGET_BYTES ((uint64_t)4 << 20)
#define IMPORTS_MAX  64
#define EXPORTS_MAX  8
#define ARGS_MAX     16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    enum bv_wasm_step step;
    enum bv_wasm_trap trap;
    uint64_t fuel;
    union bv_wasm_value result;
};
struct guest {
    struct bv_wasm_budget budget;
    struct bv_wasm_module *module;
    struct bv_wasm_error error;
    enum bv_wasm_status compiled, linked;
    uint32_t count;
    struct outcome outcomes[EXPORTS_MAX + 1]; /* the start function's first */
};

struct dummy {
    struct bv_wasm_import import;
    bool waited;
};

/* Waits every other time, so that a resumed host call is part of what is fuzzed. */
static enum bv_wasm_answer dummy(void *context, struct bv_wasm_caller *caller,
                                 const union bv_wasm_value *args, union bv_wasm_value *results)
{
    struct dummy *self = context;
    const struct bv_wasm_functype *type = &self->import.function;
    (void)args;
    self->waited = !self->waited;
    if (self->waited) {
        return BV_WASM_AGAIN;
    }
    bv_wasm_caller_charge(caller, 3);
    for (uint32_t i = 0; i < type->result_count; i++) {
        if (type->results[i] == BV_WASM_FUNCREF || type->results[i] == BV_WASM_EXTERNREF) {
            results[i].ref = BV_WASM_REF_NULL;
        }
    }
    return BV_WASM_DONE;
}

static struct bv_wasm_extern *make_import(struct bv_wasm_store *store, struct dummy *self)
{
    static const union bv_wasm_value zero = { .v128 = { 0 } };
    switch (self->import.kind) {
    case BV_WASM_FUNC: return bv_wasm_host_function(store, &self->import.function, dummy, self);
    case BV_WASM_TABLE:
        return bv_wasm_host_table(store, BV_WASM_FUNCREF, &(struct bv_wasm_limits){ .min = 10 });
    case BV_WASM_MEMORY: return bv_wasm_host_memory(store, &(struct bv_wasm_limits){ .min = 1 });
    case BV_WASM_GLOBAL: return bv_wasm_host_global(store, BV_WASM_I32, false, &zero);
    }
    return NULL;
}

static struct outcome run(struct bv_wasm_store *store, struct bv_wasm_extern *function,
                          uint64_t slice)
{
    struct outcome outcome = { .step = BV_WASM_STEP_TRAPPED };
    struct bv_wasm_functype type;
    union bv_wasm_value args[ARGS_MAX];
    uint64_t before = bv_wasm_fuel_used(store);
    memset(args, 0, sizeof(args));
    if (!bv_wasm_extern_functype(function, &type) || type.param_count > ARGS_MAX) {
        return outcome;
    }
    for (uint32_t i = 0; i < type.param_count; i++) {
        if (type.params[i] == BV_WASM_FUNCREF || type.params[i] == BV_WASM_EXTERNREF) {
            args[i].ref = BV_WASM_REF_NULL;
        }
    }
    bv_wasm_fuel_limit(store, before + FUEL);
    FUZZ_CHECK(bv_wasm_call(store, function, args, type.param_count));
    do {
        outcome.step = bv_wasm_resume(store, slice);
        FUZZ_CHECK(bv_wasm_fuel_used(store) <= before + FUEL);
    } while (outcome.step == BV_WASM_STEP_SLICE || outcome.step == BV_WASM_STEP_WAIT);
    outcome.trap = bv_wasm_trapped(store);
    outcome.fuel = bv_wasm_fuel_used(store) - before;
    if (outcome.step == BV_WASM_STEP_DONE && type.result_count &&
        type.results[0] != BV_WASM_FUNCREF) {
        outcome.result = bv_wasm_results(store)[0];
    }
    return outcome;
}

static void instantiate(struct guest *guest, uint64_t slice)
{
    struct dummy dummies[IMPORTS_MAX];
    struct bv_wasm_extern *externs[IMPORTS_MAX], *start = NULL;
    struct bv_wasm_instance *instance = NULL;
    struct bv_wasm_store *store = bv_wasm_store_new(
        &guest->budget, &(struct bv_wasm_store_options){ .frames_max = 200, .cells_max = 20000 });
    FUZZ_CHECK(store != NULL);
    for (uint32_t i = 0; i < bv_wasm_import_count(guest->module) && i < IMPORTS_MAX; i++) {
        dummies[i].waited = false;
        bv_wasm_import_at(guest->module, i, &dummies[i].import);
        externs[i] = make_import(store, &dummies[i]);
    }
    guest->linked =
        bv_wasm_instantiate(store, guest->module, externs, &instance, &start, &guest->error);
    if (guest->linked == BV_WASM_OK && start) {
        guest->outcomes[guest->count++] = run(store, start, slice);
    }
    for (uint32_t i = 0; guest->linked == BV_WASM_OK && i < bv_wasm_export_count(guest->module) &&
                         guest->count < EXPORTS_MAX;
         i++) {
        struct bv_wasm_export export;
        bv_wasm_export_at(guest->module, i, &export);
        struct bv_wasm_extern *item =
            bv_wasm_instance_export(instance, export.name.bytes, export.name.size, NULL);
        FUZZ_CHECK(item != NULL);
        if (export.kind == BV_WASM_FUNC) {
            guest->outcomes[guest->count++] = run(store, item, slice);
        }
    }
    bv_wasm_store_free(store);
    FUZZ_CHECK(guest->budget.used_bytes == 0 &&
               guest->budget.peak_bytes <= guest->budget.limit_bytes);
}

static void open_guest(struct guest *guest, const uint8_t *data, size_t size, bool count_each)
{
    const struct bv_wasm_options options = { .canonical_nans = true, .count_each = count_each };
    *guest = (struct guest){ .budget = { .limit_bytes = BUDGET_BYTES } };
    guest->compiled =
        bv_wasm_compile(data, size, &options, MODULE_BYTES, &guest->module, &guest->error);
    FUZZ_CHECK((guest->compiled == BV_WASM_OK) == (guest->module != NULL));
    FUZZ_CHECK(guest->compiled == BV_WASM_OK || guest->error.offset == UINT64_MAX ||
               guest->error.offset <= size);
    FUZZ_CHECK(guest->compiled != BV_WASM_OK ||
               bv_wasm_module_bytes(guest->module) <= MODULE_BYTES);
    if (guest->compiled == BV_WASM_OK && bv_wasm_import_count(guest->module) <= IMPORTS_MAX) {
        instantiate(guest, count_each ? UINT64_MAX : SLICE);
    }
    bv_wasm_module_free(guest->module);
}

/* Where memory ran out depends on how large the code is, and the counting code is larger. */
static bool ran_out(const struct guest *guest)
{
    bool out = guest->compiled == BV_WASM_NOMEM || guest->compiled == BV_WASM_LIMIT ||
               guest->linked == BV_WASM_NOMEM || guest->budget.refused;
    for (uint32_t i = 0; i < guest->count; i++) {
        out = out || guest->outcomes[i].trap == BV_WASM_TRAP_NOMEM;
    }
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct guest fast, counting;
    open_guest(&fast, data, size, false);
    if (fast.compiled != BV_WASM_OK && size % 8 != 0) {
        return 0; /* what refused it does not depend on the code that is written: asked again now and then */
    }
    open_guest(&counting, data, size, true);
    if (ran_out(&fast) || ran_out(&counting)) {
        return 0;
    }
    FUZZ_CHECK(fast.compiled == counting.compiled && fast.linked == counting.linked &&
               fast.count == counting.count);
    for (uint32_t i = 0; i < fast.count; i++) {
        FUZZ_CHECK(fast.outcomes[i].step == counting.outcomes[i].step);
        FUZZ_CHECK(fast.outcomes[i].trap == counting.outcomes[i].trap);
        FUZZ_CHECK(fast.outcomes[i].fuel == counting.outcomes[i].fuel);
        FUZZ_CHECK(memcmp(&fast.outcomes[i].result, &counting.outcomes[i].result,
                          sizeof(fast.outcomes[i].result)) == 0);
    }
    return 0;
}
