/* tests/wasm/test_limits.c - caps, functions beyond 16-bit slots, budgets, and where an error is said to be. */
#include "guest.h"
#include "support/tap.h"

#include "wasm/limits.h"

#include <stdlib.h>

static enum bv_wasm_status compile(struct module *m, uint64_t max_bytes,
                                   struct bv_wasm_error *ret_error)
{
    struct bv_wasm_module *module = NULL;
    size_t size;
    const uint8_t *bytes = module_finish(m, &size);
    enum bv_wasm_status status = bv_wasm_compile(bytes, size, NULL, max_bytes, &module, ret_error);
    bv_wasm_module_free(module);
    module_free(m);
    return status;
}

/* ---- caps: one below is taken, one above is refused by name ---- */

static void expect(const char *what, enum bv_wasm_status wanted, const char *words,
                   struct module *m)
{
    struct bv_wasm_error error = { .text = "" };
    enum bv_wasm_status status = compile(m, UINT64_C(1) << 30, &error);
    tap_ok(status == wanted && (wanted == BV_WASM_OK || strstr(error.text, words)), "%s: %d %s",
           what, (int)status, error.text);
}

static void nested(struct module *m, uint32_t depth)
{
    struct bytes code = { 0 };
    for (uint32_t i = 0; i < depth; i++) {
        bytes_add(&code, "\x02\x40", 2);
    }
    for (uint32_t i = 0; i <= depth; i++) {
        bytes_add(&code, "\x0b", 1);
    }
    (void)module_function(m, "", "", "", code.data, code.size);
    free(code.data);
}

static void table_of(struct module *m, uint32_t targets)
{
    struct bytes code = { 0 };
    bytes_add(&code, "\x41\x00\x0e", 3);
    bytes_leb(&code, targets);
    for (uint32_t i = 0; i <= targets; i++) {
        bytes_add(&code, "\x00", 1);
    }
    bytes_add(&code, "\x0b", 1);
    (void)module_function(m, "", "", "", code.data, code.size);
    free(code.data);
}

static void test_caps(void)
{
    struct module m = { 0 };
    (void)module_function(&m, "", "", "50000i", CODE(0x0b));
    expect("50,000 locals", BV_WASM_OK, "", &m);
    (void)module_function(&m, "", "", "50001i", CODE(0x0b));
    expect("50,001 locals", BV_WASM_LIMIT, "locals", &m);
    (void)module_function(&m, "i", "", "50000i", CODE(0x0b));
    expect("a parameter is a local", BV_WASM_LIMIT, "locals", &m);
    (void)module_function(&m, "", "", "4294967295i1i", CODE(0x0b));
    expect("2^32 locals", BV_WASM_MALFORMED, "too many locals", &m);
    nested(&m, 99999);
    expect("99,999 nested blocks and the body", BV_WASM_OK, "", &m);
    nested(&m, 100000);
    expect("100,000 nested blocks", BV_WASM_LIMIT, "nested", &m);
    table_of(&m, 65520);
    expect("65,520 targets", BV_WASM_OK, "", &m);
    table_of(&m, 65521);
    expect("65,521 targets", BV_WASM_LIMIT, "br_table", &m);
    char params[1002];
    memset(params, 'i', sizeof(params));
    params[1000] = 0;
    (void)module_type(&m, params, "");
    expect("1,000 parameters", BV_WASM_OK, "", &m);
    params[1000] = 'i';
    params[1001] = 0;
    (void)module_type(&m, params, "");
    expect("1,001 parameters", BV_WASM_LIMIT, "parameters", &m);
    module_memory(&m, 65537, -1);
    expect("65,537 pages", BV_WASM_INVALID, "memory size", &m);
    module_table(&m, 10000001, -1);
    expect("10,000,001 elements", BV_WASM_LIMIT, "table elements", &m);
}

/* A few bytes that make the validator check a thousand types each, over and over. */
static void test_steps(void)
{
    struct module m = { 0 };
    struct bytes code = { 0 };
    char types[1001];
    memset(types, 'i', 1000);
    types[1000] = 0;
    for (int i = 0; i < 1000; i++) {
        bytes_add(&code, "\x41\x00", 2);
    }
    for (int i = 0; i < 100000; i++) {
        bytes_add(&code, "\x10\x00", 2);
    }
    bytes_add(&code, "\x00\x0b", 2);
    (void)module_function(&m, types, types, "", CODE(0x00, 0x0b));
    (void)module_function(&m, "", "", "", code.data, code.size);
    free(code.data);
    expect("100,000 calls of 1,000 values", BV_WASM_LIMIT, "checks of types", &m);
}

/* ---- wide functions ---- */

static void test_wide_locals(void)
{
    /* 40,000 vectors are 80,000 cells; the last one is set, read and summed through a loop. */
    struct module m = { 0 };
    size_t size;
    static const uint8_t code[] = { 0x20, 0,    0xfd, 17,   0x21, 0xc0, 0xb8, 2,    0x03, 0x40,
                                    0x20, 0xc0, 0xb8, 2,    0x20, 0xbf, 0xb8, 2,    0xfd, 0xae,
                                    1,    0x21, 0xbf, 0xb8, 2,    0x20, 0xc1, 0xb8, 2,    0x41,
                                    1,    0x6a, 0x22, 0xc1, 0xb8, 2,    0x41, 3,    0x49, 0x0d,
                                    0,    0x0b, 0x20, 0xbf, 0xb8, 2,    0xfd, 27,   1,    0x20,
                                    0xc1, 0xb8, 2,    0x6c, 0x0b };
    module_export(&m, "f", 0, module_function(&m, "i", "i", "40000v1i", code, sizeof(code)));
    const uint8_t *bytes = module_finish(&m, &size);
    union bv_wasm_value arg = { .i32 = 14 };
    struct outcome outcomes[2] = { { .fuel = 0 } };
    for (int counting = 0; counting < 2; counting++) {
        struct guest guest = { .status = BV_WASM_OK };
        if (tap_ok(guest_open(&guest, bytes, size, counting, NULL, NULL),
                   "80,000 cells of locals are taken %s", guest.error.text)) {
            outcomes[counting] = guest_run(&guest, "f", &arg, 1, UINT64_MAX, 10);
        }
        guest_close(&guest);
    }
    tap_ok(outcomes[0].result.i32 == 14 * 3 * 3 && outcome_equal(&outcomes[0], &outcomes[1]),
           "and hold their values, fuel as counted: %u, %llu, %llu", outcomes[0].result.i32,
           (unsigned long long)outcomes[0].fuel, (unsigned long long)outcomes[1].fuel);
    module_free(&m);
}

static void test_wide_stack(void)
{
    /* 70,000 constants, then 69,999 sums; in between a trap that must know its fuel. */
    struct module m = { 0 };
    struct bytes code = { 0 };
    for (int i = 0; i < 70000; i++) {
        bytes_add(&code, "\x41\x02\x20\x00\x6a", 5);
    }
    bytes_add(&code, "\x20\x00\x28\x02\x00\x6a", 6);
    for (int i = 0; i < 69999; i++) {
        bytes_add(&code, "\x6a", 1);
    }
    bytes_add(&code, "\x0b", 1);
    size_t size;
    module_memory(&m, 1, -1);
    module_export(&m, "f", 0, module_function(&m, "i", "i", "", code.data, code.size));
    const uint8_t *bytes = module_finish(&m, &size);
    for (uint32_t address = 0; address <= 65536; address += 65536) {
        struct outcome outcomes[2] = { { .fuel = 0 } };
        union bv_wasm_value arg = { .i32 = address };
        for (int counting = 0; counting < 2; counting++) {
            struct guest guest = { .status = BV_WASM_OK };
            if (guest_open(&guest, bytes, size, counting, NULL, NULL)) {
                outcomes[counting] = guest_run(&guest, "f", &arg, 1, UINT64_MAX, UINT64_MAX);
            }
            guest_close(&guest);
        }
        tap_ok(outcome_equal(&outcomes[0], &outcomes[1]) && outcomes[0].fuel > 210000 &&
                   (address ? outcomes[0].trap == BV_WASM_TRAP_MEMORY
                            : outcomes[0].result.i32 == 140000),
               "a stack of 70,000 values: %s, %u, fuel %llu and %llu",
               bv_wasm_trap_text(outcomes[0].trap), outcomes[0].result.i32,
               (unsigned long long)outcomes[0].fuel, (unsigned long long)outcomes[1].fuel);
    }
    free(code.data);
    module_free(&m);
}

/* ---- budgets ---- */

static void test_budget(void)
{
    struct module m = { 0 };
    size_t size;
    module_memory(&m, 1, 100);
    module_export(&m, "f", 0, module_function(&m, "i", "i", "", CODE(0x20, 0, 0x40, 0, 0x0b)));
    const uint8_t *bytes = module_finish(&m, &size);
    struct guest guest = { .budget = { .limit_bytes = 1000000 } };
    tap_ok(guest_open(&guest, bytes, size, false, NULL, NULL), "a page fits into 1,000,000 bytes");
    union bv_wasm_value pages = { .i32 = 5 };
    struct outcome outcome = guest_run(&guest, "f", &pages, 1, UINT64_MAX, UINT64_MAX);
    tap_ok(outcome.result.i32 == 1 && !guest.budget.refused && guest.budget.used_bytes > 6 * 65536,
           "growing is charged");
    pages.i32 = 20;
    outcome = guest_run(&guest, "f", &pages, 1, UINT64_MAX, UINT64_MAX);
    tap_ok(outcome.result.i32 == UINT32_MAX && guest.budget.refused,
           "growing past the budget answers -1 and is recorded");
    tap_ok(guest.budget.used_bytes <= guest.budget.limit_bytes &&
               guest.budget.peak_bytes <= guest.budget.limit_bytes,
           "the budget holds");
    guest_close(&guest);
    guest.budget.limit_bytes = 60000;
    tap_ok(!guest_open(&guest, bytes, size, false, NULL, NULL) && guest.status == BV_WASM_NOMEM &&
               guest.budget.refused,
           "too small for the declared minimum: %s", guest.error.text);
    guest_close(&guest);
    struct bv_wasm_module *module = NULL;
    struct bv_wasm_error error;
    bool least_found = false;
    for (uint64_t max = 0; max < 20000 && !least_found; max += 16) {
        enum bv_wasm_status status = bv_wasm_compile(bytes, size, NULL, max, &module, &error);
        least_found = status == BV_WASM_OK;
        if (!least_found && status != BV_WASM_NOMEM) {
            break;
        }
    }
    tap_ok(least_found && bv_wasm_module_bytes(module) <= 20000,
           "a compile is held to its own bound");
    bv_wasm_module_free(module);
    module_free(&m);
}

/* ---- places ---- */

static void test_places(void)
{
    static const struct {
        const char *words;
        uint64_t offset;
        enum bv_wasm_status status;
        uint8_t bytes[24];
        size_t size;
    } cases[] = {
        { "unexpected end", 0, BV_WASM_MALFORMED, { 0 }, 0 },
        { "magic header not detected", 0, BV_WASM_MALFORMED, { 0, 'a', 's', 'n', 1, 0, 0, 0 }, 8 },
        { "unknown binary version", 4, BV_WASM_MALFORMED, { 0, 'a', 's', 'm', 2, 0, 0, 0 }, 8 },
        { "malformed section id",
          8,
          BV_WASM_MALFORMED,
          { 0, 'a', 's', 'm', 1, 0, 0, 0, 99, 0 },
          10 },
        { "unexpected content after last section",
          11,
          BV_WASM_MALFORMED,
          { 0, 'a', 's', 'm', 1, 0, 0, 0, 3, 1, 0, 1, 1, 0 },
          14 },
        { "integer representation too long",
          10,
          BV_WASM_MALFORMED,
          { 0, 'a', 's', 'm', 1, 0, 0, 0, 1, 6, 0x80, 0x80, 0x80, 0x80, 0x80, 0 },
          16 },
        { "malformed value type",
          13,
          BV_WASM_MALFORMED,
          { 0, 'a', 's', 'm', 1, 0, 0, 0, 1, 5, 1, 0x60, 1, 0x11, 0 },
          15 },
        { "unknown type 3", 11, BV_WASM_INVALID, { 0, 'a', 's', 'm', 1, 0, 0, 0, 3, 2, 1, 3 }, 12 },
        { "section size mismatch",
          11,
          BV_WASM_MALFORMED,
          { 0, 'a', 's', 'm', 1, 0, 0, 0, 1, 2, 0, 0 },
          12 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bv_wasm_module *module = NULL;
        struct bv_wasm_error error = { .text = "" };
        enum bv_wasm_status status =
            bv_wasm_compile(cases[i].bytes, cases[i].size, NULL, UINT64_MAX, &module, &error);
        tap_ok(status == cases[i].status && strcmp(error.text, cases[i].words) == 0 &&
                   error.offset == cases[i].offset,
               "%s at %llu (%s at %llu)", cases[i].words, (unsigned long long)cases[i].offset,
               error.text, (unsigned long long)error.offset);
        tap_ok(module == NULL, "and nothing is kept");
    }
    struct module m = { 0 };
    (void)module_function(&m, "", "i", "", CODE(0x41, 1, 0x42, 2, 0x6a, 0x0b));
    struct bv_wasm_error error = { .text = "" };
    enum bv_wasm_status status = compile(&m, UINT64_MAX, &error);
    tap_ok(status == BV_WASM_INVALID && strcmp(error.text, "type mismatch") == 0 &&
               error.offset == 28,
           "type mismatch at the instruction (%llu)", (unsigned long long)error.offset);
}

static void test_linking(void)
{
    struct module m = { 0 };
    size_t size;
    (void)module_import(&m, "env", "gone", "", "");
    const uint8_t *bytes = module_finish(&m, &size);
    struct bv_wasm_budget budget = { .limit_bytes = 1 << 20 };
    struct bv_wasm_store *store = bv_wasm_store_new(&budget, NULL);
    struct bv_wasm_module *module = NULL;
    struct bv_wasm_instance *instance;
    struct bv_wasm_extern *start, *imports[1] = { NULL };
    struct bv_wasm_error error;
    tap_ok(bv_wasm_compile(bytes, size, NULL, 1 << 20, &module, &error) == BV_WASM_OK,
           "a module with an import");
    tap_ok(bv_wasm_instantiate(store, module, imports, &instance, &start, &error) ==
                   BV_WASM_UNLINKABLE &&
               strcmp(error.text, "unknown import: env.gone") == 0,
           "a missing import is named: %s", error.text);
    imports[0] = bv_wasm_host_memory(store, &(struct bv_wasm_limits){ .min = 1 });
    tap_ok(bv_wasm_instantiate(store, module, imports, &instance, &start, &error) ==
                   BV_WASM_UNLINKABLE &&
               strstr(error.text, "incompatible import type"),
           "and one of another kind: %s", error.text);
    bv_wasm_store_free(store);
    bv_wasm_module_free(module);
    module_free(&m);
    tap_ok(budget.used_bytes == 0, "everything was given back");
}

int main(void)
{
    for (unsigned i = 0; i < BV_WASM_LIMIT_COUNT; i++) {
        if (bv_wasm_limit_value((enum bv_wasm_limit)i) == 0 ||
            !bv_wasm_limit_name((enum bv_wasm_limit)i)) {
            tap_ok(false, "limit %u is empty", i);
        }
    }
    test_caps();
    test_steps();
    test_wide_locals();
    test_wide_stack();
    test_budget();
    test_places();
    test_linking();
    return tap_done();
}
