/* tests/wasm/guest.h - runs a function of a hand-made module the ways that the tests compare: fast or counting, whole or in slices. */
#pragma once

#include "wasm/wasm.h"

#include "builder.h"

struct guest {
    struct bv_wasm_budget budget;
    struct bv_wasm_module *module;
    struct bv_wasm_store *store;
    struct bv_wasm_instance *instance;
    struct bv_wasm_error error;
    enum bv_wasm_status status;
};
struct outcome { enum bv_wasm_step step; enum bv_wasm_trap trap; uint64_t fuel, stops; union bv_wasm_value result; };

/* host: for every imported function; may be NULL when there is none. False: see status and error. */
bool guest_open(struct guest *guest, const uint8_t *bytes, size_t size, bool count_each, bv_wasm_host_fn *host, void *context);
void guest_close(struct guest *guest);
/* Runs to the end under the fuel limit, in slices of that size; a WAIT is resumed at once. */
struct outcome guest_run(struct guest *guest, const char *name, const union bv_wasm_value *args, uint32_t count, uint64_t fuel, uint64_t slice);
bool outcome_equal(const struct outcome *a, const struct outcome *b); /* but for the number of stops */
