/* tests/wasm/test_cache.c - the warm cache: one module per digest and options, bounded, and shared by threads that all run guests. */
#include "guest.h"
#include "support/tap.h"

#include <pthread.h>

#define THREADS 8
#define ROUNDS  200
#define MODULES 5

static struct module modules[MODULES];
static const uint8_t *bytes[MODULES];
static size_t sizes[MODULES];
static struct bv_wasm_cache *cache;

static enum bv_wasm_status get(unsigned which, const struct bv_wasm_options *options,
                               uint64_t max_bytes, struct bv_wasm_module **ret_module)
{
    struct bv_wasm_error error;
    uint8_t digest[32] = { (uint8_t)which };
    return bv_wasm_cache_compile(cache, digest, bytes[which], sizes[which], options, max_bytes,
                                 ret_module, &error);
}

/* One guest of its own store from a shared module; true if it computed what it should. */
static bool run_one(unsigned which)
{
    struct bv_wasm_module *module = NULL;
    struct bv_wasm_budget budget = { .limit_bytes = 1 << 20 };
    struct bv_wasm_store *store = bv_wasm_store_new(&budget, NULL);
    struct bv_wasm_instance *instance;
    struct bv_wasm_extern *start;
    struct bv_wasm_error error;
    union bv_wasm_value arg = { .i32 = 100 };
    bool good = store && get(which, NULL, UINT64_MAX, &module) == BV_WASM_OK &&
                bv_wasm_instantiate(store, module, NULL, &instance, &start, &error) == BV_WASM_OK;
    bv_wasm_module_free(module); /* the instance keeps it */
    good = good && bv_wasm_call(store, bv_wasm_instance_export(instance, "f", 1, NULL), &arg, 1) &&
           bv_wasm_resume(store, UINT64_MAX) == BV_WASM_STEP_DONE &&
           bv_wasm_results(store)[0].i32 == 100 + which;
    bv_wasm_store_free(store);
    return good && budget.used_bytes == 0;
}

static void *worker(void *context)
{
    uintptr_t failures = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        failures += !run_one((unsigned)((uintptr_t)context + i) % MODULES);
    }
    return (void *)failures;
}

int main(void)
{
    for (uint8_t i = 0; i < MODULES; i++) {
        module_export(
            &modules[i], "f", 0,
            module_function(&modules[i], "i", "i", "", CODE(0x20, 0, 0x41, i, 0x6a, 0x0b)));
        module_memory(&modules[i], 1, -1);
        bytes[i] = module_finish(&modules[i], &sizes[i]);
    }
    struct bv_wasm_module *a = NULL, *b = NULL, *c = NULL;
    const struct bv_wasm_options counting = { .canonical_nans = true, .count_each = true };
    cache = bv_wasm_cache_new(1 << 20, 2);
    tap_ok(cache && get(0, NULL, UINT64_MAX, &a) == BV_WASM_OK &&
               get(0, NULL, UINT64_MAX, &b) == BV_WASM_OK && a == b,
           "the second time it is the same module");
    tap_ok(get(0, &counting, UINT64_MAX, &c) == BV_WASM_OK && c != a,
           "other options, another module");
    bv_wasm_module_free(b);
    b = NULL;
    tap_ok(get(0, NULL, 10, &b) == BV_WASM_NOMEM && b == NULL,
           "a hit is held to the caller's bound as a miss is");
    bv_wasm_module_free(c);
    tap_ok(get(1, NULL, UINT64_MAX, &b) == BV_WASM_OK && get(2, NULL, UINT64_MAX, &c) == BV_WASM_OK,
           "more modules than the cache keeps");
    bv_wasm_module_free(b);
    bv_wasm_module_free(c);
    tap_ok(get(0, NULL, UINT64_MAX, &b) == BV_WASM_OK && a != b,
           "the oldest was forgotten, and is still alive for whoever holds it");
    tap_ok(bv_wasm_export_count(a) == 1, "it can still be read");
    bv_wasm_module_free(a);
    bv_wasm_module_free(b);
    bv_wasm_cache_free(cache);
    cache = bv_wasm_cache_new(100, 9);
    tap_ok(get(0, NULL, UINT64_MAX, &a) == BV_WASM_OK &&
               get(0, NULL, UINT64_MAX, &b) == BV_WASM_OK && a != b,
           "a module beyond the cache's bytes is not kept");
    bv_wasm_module_free(a);
    bv_wasm_module_free(b);
    bv_wasm_cache_free(cache);
    cache = bv_wasm_cache_new(1 << 20, 3);
    pthread_t threads[THREADS];
    uintptr_t failures = 0;
    for (uintptr_t i = 0; i < THREADS; i++) {
        failures += pthread_create(&threads[i], NULL, worker, (void *)i) != 0;
    }
    for (unsigned i = 0; i < THREADS; i++) {
        void *result = NULL;
        failures += pthread_join(threads[i], &result) != 0;
        failures += (uintptr_t)result;
    }
    tap_ok(failures == 0, "%d threads ran %d guests each from a cache that kept evicting", THREADS,
           ROUNDS);
    bv_wasm_cache_free(cache);
    bv_wasm_cache_free(NULL);
    for (unsigned i = 0; i < MODULES; i++) {
        module_free(&modules[i]);
    }
    return tap_done();
}
