/* tests/wasm/guest.c - see guest.h. */
#include "guest.h"

#include <string.h>

#define IMPORTS_MAX 8

bool guest_open(struct guest *guest, const uint8_t *bytes, size_t size, bool count_each,
                bv_wasm_host_fn *host, void *context)
{
    struct bv_wasm_options options = { .canonical_nans = true, .count_each = count_each };
    struct bv_wasm_extern *imports[IMPORTS_MAX] = { NULL }, *start = NULL;
    uint64_t limit = guest->budget.limit_bytes ? guest->budget.limit_bytes : UINT64_C(1) << 30;
    *guest = (struct guest){ .budget = { .limit_bytes = limit } };
    guest->status =
        bv_wasm_compile(bytes, size, &options, UINT64_C(1) << 30, &guest->module, &guest->error);
    if (guest->status != BV_WASM_OK) {
        return false;
    }
    guest->store = bv_wasm_store_new(&guest->budget, NULL);
    for (uint32_t i = 0; guest->store && i < bv_wasm_import_count(guest->module) && i < IMPORTS_MAX;
         i++) {
        struct bv_wasm_import import;
        bv_wasm_import_at(guest->module, i, &import);
        imports[i] = bv_wasm_host_function(guest->store, &import.function, host, context);
    }
    guest->status = guest->store ? bv_wasm_instantiate(guest->store, guest->module, imports,
                                                       &guest->instance, &start, &guest->error)
                                 : BV_WASM_NOMEM;
    return guest->status == BV_WASM_OK;
}

void guest_close(struct guest *guest)
{
    bv_wasm_store_free(guest->store);
    bv_wasm_module_free(guest->module);
    *guest = (struct guest){ .status = BV_WASM_OK };
}

struct outcome guest_run(struct guest *guest, const char *name, const union bv_wasm_value *args,
                         uint32_t count, uint64_t fuel, uint64_t slice)
{
    struct outcome outcome = { .step = BV_WASM_STEP_TRAPPED };
    struct bv_wasm_extern *function =
        bv_wasm_instance_export(guest->instance, name, strlen(name), NULL);
    struct bv_wasm_functype type;
    uint64_t before = bv_wasm_fuel_used(guest->store);
    bv_wasm_fuel_limit(guest->store, fuel == UINT64_MAX ? fuel : before + fuel);
    if (!function || !bv_wasm_extern_functype(function, &type) ||
        !bv_wasm_call(guest->store, function, args, count)) {
        return outcome;
    }
    do {
        outcome.step = bv_wasm_resume(guest->store, slice);
        outcome.stops++;
    } while (outcome.step == BV_WASM_STEP_SLICE || outcome.step == BV_WASM_STEP_WAIT);
    outcome.trap = bv_wasm_trapped(guest->store);
    outcome.fuel = bv_wasm_fuel_used(guest->store) - before;
    if (outcome.step == BV_WASM_STEP_DONE && type.result_count) {
        outcome.result = bv_wasm_results(guest->store)[0];
    }
    return outcome;
}

bool outcome_equal(const struct outcome *a, const struct outcome *b)
{
    return a->step == b->step && a->trap == b->trap && a->fuel == b->fuel &&
           memcmp(&a->result, &b->result, sizeof(a->result)) == 0;
}
