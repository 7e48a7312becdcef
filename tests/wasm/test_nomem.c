/* tests/wasm/test_nomem.c - every allocation fails once: compile, instantiate, call and grow say so, give everything back, and work
 * the next time.
 *
 * The linker sends the allocation functions of this program through the wrappers below (--wrap); linear memories are mappings, so
 * mmap and mremap are among them. Under the leak sanitizer a forgotten block ends the test. */
#include "guest.h"
#include "support/tap.h"

#include <sys/mman.h>

void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
void *__real_mremap(void *address, size_t old_size, size_t new_size, int flags, ...);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mremap(void *address, size_t old_size, size_t new_size, int flags, ...);

static size_t allocations, failing; /* failing 0: none fails */

static bool fails(void)
{
    allocations++;
    return failing > 0 && allocations == failing;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    return fails() ? MAP_FAILED : __real_mmap(address, size, protection, flags, fd, offset);
}

void *__wrap_mremap(void *address, size_t old_size, size_t new_size, int flags, ...)
{
    return fails() ? MAP_FAILED : __real_mremap(address, old_size, new_size, flags);
}

static void build(struct module *m)
{
    const uint32_t functions[2] = { 0, 1 };
    /* deep(n): recursion that outgrows the first stack; grow(): memory and table. */
    (void)module_function(m, "i", "i", "40I",
                          CODE(0x20, 0, 0x45, 0x04, 0x40, 0x41, 0, 0x0f, 0x0b, 0x20, 0, 0x41, 1,
                               0x6b, 0x10, 0, 0x41, 1, 0x6a, 0x0b));
    (void)module_function(m, "", "i", "",
                          CODE(0x41, 3, 0x40, 0, 0xd0, 0x70, 0x41, 50, 0xfc, 15, 0, 0x6a, 0x0b));
    module_export(m, "deep", 0, 0);
    module_export(m, "grow", 0, 1);
    module_memory(m, 2, -1);
    module_table(m, 4, -1);
    module_global(m, 'I', 1, 5);
    module_elem(m, 1, functions, 2);
    module_data(m, 100, "data", 4);
}

enum result { ALL_DONE, NOMEM, GREW_LESS, WRONG };

static enum result cycle(const uint8_t *bytes, size_t size, struct bv_wasm_budget *ret_budget)
{
    struct guest guest = { .status = BV_WASM_OK };
    enum result result = WRONG;
    if (!guest_open(&guest, bytes, size, false, NULL, NULL)) {
        result = guest.status == BV_WASM_NOMEM ? NOMEM : WRONG;
    } else {
        union bv_wasm_value depth = { .i32 = 500 };
        struct outcome deep = guest_run(&guest, "deep", &depth, 1, UINT64_MAX, UINT64_MAX),
                       grow = guest_run(&guest, "grow", NULL, 0, UINT64_MAX, UINT64_MAX);
        if (deep.trap == BV_WASM_TRAP_NOMEM || grow.trap == BV_WASM_TRAP_NOMEM) {
            result = NOMEM;
        } else if (deep.step == BV_WASM_STEP_DONE && deep.result.i32 == 500 &&
                   grow.step == BV_WASM_STEP_DONE) {
            result = grow.result.i32 == 2 + 4 ? ALL_DONE : GREW_LESS;
        }
    }
    bv_wasm_store_free(guest.store);
    bv_wasm_module_free(guest.module);
    *ret_budget = guest.budget;
    return result;
}

int main(void)
{
    struct module m = { 0 };
    struct bv_wasm_budget budget;
    size_t size, count[4] = { 0 };
    build(&m);
    const uint8_t *bytes = module_finish(&m, &size);
    allocations = 0;
    tap_ok(cycle(bytes, size, &budget) == ALL_DONE, "the whole cycle without a failure");
    size_t total = allocations;
    bool clean = true;
    for (size_t nth = 1; nth <= total; nth++) {
        allocations = 0;
        failing = nth;
        count[cycle(bytes, size, &budget)]++;
        failing = 0;
        clean = clean && budget.used_bytes == 0 && !budget.refused;
    }
    tap_ok(count[WRONG] == 0 && count[NOMEM] > 5 && count[GREW_LESS] >= 2,
           "each of %zu allocations failed once: %zu NOMEM, %zu grew less, %zu unharmed", total,
           count[NOMEM], count[GREW_LESS], count[ALL_DONE]);
    tap_ok(clean, "each time everything charged was given back, and no budget was blamed");
    tap_ok(cycle(bytes, size, &budget) == ALL_DONE, "and the cycle works again");
    struct bv_wasm_cache *cache = bv_wasm_cache_new(1 << 20, 4);
    struct bv_wasm_module *module = NULL;
    struct bv_wasm_error error;
    static const uint8_t digest[32] = { 1 };
    bool good = cache != NULL;
    for (size_t nth = 1; good && nth < 40; nth++) {
        allocations = 0;
        failing = nth;
        enum bv_wasm_status status =
            bv_wasm_cache_compile(cache, digest, bytes, size, NULL, 1 << 20, &module, &error);
        failing = 0;
        good = status == BV_WASM_OK || status == BV_WASM_NOMEM;
        if (status == BV_WASM_OK) {
            bv_wasm_module_free(module);
        }
    }
    tap_ok(good, "the cache's own allocations may fail: a miss only costs time");
    bv_wasm_cache_free(cache);
    module_free(&m);
    return tap_done();
}
