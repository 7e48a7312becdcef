/* tests/wasm/test_engine.c - traps in the specification's words, exact fuel, slices, host functions, depth; on hand-made modules.
 *
 * Every guest is run by the fast code and by the counting one under every fuel limit up to what it needs, whole and in slices: trap,
 * result and fuel must be the same. So a wrong charge anywhere in a segment shows at the limit where it matters. */
#include "guest.h"
#include "support/tap.h"

#define EXPORT(m, f) module_export(&(m), "f", 0, (f))

/* Memory of one page, a table of four with function 0 in it. */
static void equip(struct module *m)
{
    const uint32_t first = 0;
    module_memory(m, 1, 2);
    module_table(m, 4, 8);
    module_global(m, 'i', 1, 7);
    module_elem(m, 0, &first, 1);
    module_passive_data(m, "0123456789", 10);
}

struct sample {
    const char *name, *params, *results, *locals;
    const uint8_t *code;
    size_t size;
    uint32_t args[2];
    enum bv_wasm_trap trap;
};
#define SAMPLE(name, params, results, locals, a, b, trap, ...)                                     \
    {                                                                                              \
        name, params, results, locals, CODE(__VA_ARGS__), { a, b }, BV_WASM_TRAP_##trap            \
    }

static const struct sample samples[] = {
    SAMPLE("nothing", "", "", "", 0, 0, NONE, 0x0b),
    SAMPLE("add", "ii", "i", "", 3, 4, NONE, 0x20, 0, 0x20, 1, 0x6a, 0x0b),
    SAMPLE("unreachable", "", "", "", 0, 0, UNREACHABLE, 0x41, 1, 0x1a, 0x00, 0x41, 1, 0x1a, 0x0b),
    SAMPLE("divide by zero in mid-segment", "ii", "i", "", 1, 0, DIVIDE_BY_ZERO, 0x20, 0, 0x20, 1,
           0x6d, 0x41, 5, 0x6a, 0x0b),
    SAMPLE("least / -1", "ii", "i", "", 0x80000000, 0xffffffff, OVERFLOW, 0x20, 0, 0x20, 1, 0x6d,
           0x0b),
    SAMPLE("least rem -1", "ii", "i", "", 0x80000000, 0xffffffff, NONE, 0x20, 0, 0x20, 1, 0x6f,
           0x0b),
    SAMPLE("NaN to integer", "", "i", "", 0, 0, CONVERSION, 0x43, 0, 0, 0xc0, 0x7f, 0xa8, 0x0b),
    SAMPLE("2^31 to integer", "", "i", "", 0, 0, OVERFLOW, 0x43, 0, 0, 0, 0x4f, 0xa8, 0x0b),
    SAMPLE("load out of bounds", "ii", "i", "", 65533, 0, MEMORY, 0x20, 0, 0x28, 2, 0, 0x0b),
    SAMPLE("load at the very end", "ii", "i", "", 65532, 0, NONE, 0x20, 0, 0x28, 2, 0, 0x0b),
    SAMPLE("load of a wrapping sum", "ii", "i", "", 0xffffffff, 1, NONE, 0x20, 0, 0x20, 1, 0x6a,
           0x28, 2, 0, 0x0b),
    SAMPLE("load of a sum whose offset does not wrap", "ii", "i", "", 0xfffffffe, 1, MEMORY, 0x20,
           0, 0x20, 1, 0x6a, 0x28, 2, 1, 0x0b),
    SAMPLE("load of a local and a constant that wrap", "i", "i", "", 0xfffffff0, 0, NONE, 0x20, 0,
           0x41, 16, 0x6a, 0x28, 2, 4, 0x0b),
    SAMPLE("load of a constant address", "", "i", "", 0, 0, MEMORY, 0x41, 0x7f, 0x28, 2, 4, 0x0b),
    SAMPLE("store out of bounds after a store", "ii", "", "", 65535, 9, MEMORY, 0x41, 0, 0x20, 1,
           0x36, 2, 0, 0x20, 0, 0x20, 1, 0x36, 2, 0, 0x0b),
    SAMPLE("call of an element beyond the table", "", "", "", 0, 0, UNDEFINED_ELEMENT, 0x41, 4,
           0x11, 0, 0, 0x0b),
    SAMPLE("call of an empty element", "", "", "", 0, 0, UNINITIALIZED_ELEMENT, 0x41, 1, 0x11, 0, 0,
           0x0b),
    SAMPLE("call with another type", "i", "i", "", 0, 0, CALL_TYPE, 0x20, 0, 0x41, 0, 0x11, 1, 0,
           0x0b),
    SAMPLE("table.get beyond the table", "", "i", "", 0, 0, TABLE, 0x41, 9, 0x25, 0, 0xd1, 0x0b),
    SAMPLE("memory.fill", "", "", "", 0, 0, NONE, 0x41, 0, 0x41, 1, 0x41, 0x80, 0x80, 4, 0xfc, 11,
           0, 0x0b),
    SAMPLE("memory.fill beyond", "", "", "", 0, 0, MEMORY, 0x41, 1, 0x41, 1, 0x41, 0x80, 0x80, 4,
           0xfc, 11, 0, 0x0b),
    SAMPLE("memory.copy upwards over itself", "", "i", "", 0, 0, NONE, 0x41, 1, 0x41, 0, 0x41, 0xff,
           0xff, 3, 0xfc, 10, 0, 0, 0x41, 0, 0x28, 0, 0, 0x0b),
    SAMPLE("memory.init then drop then init", "", "", "", 0, 0, MEMORY, 0x41, 0, 0x41, 0, 0x41, 5,
           0xfc, 8, 0, 0, 0xfc, 9, 0, 0x41, 0, 0x41, 0, 0x41, 1, 0xfc, 8, 0, 0, 0x0b),
    SAMPLE("memory.grow twice, once too far", "", "i", "", 0, 0, NONE, 0x41, 1, 0x40, 0, 0x41, 1,
           0x40, 0, 0x6a, 0x0b),
    SAMPLE("table.grow and fill", "", "i", "", 0, 0, NONE, 0xd0, 0x70, 0x41, 4, 0xfc, 15, 0, 0x41,
           0, 0xd0, 0x70, 0x41, 8, 0xfc, 17, 0, 0x0b),
    SAMPLE("table.grow too far", "", "i", "", 0, 0, NONE, 0xd0, 0x70, 0x41, 5, 0xfc, 15, 0, 0x0b),
    /* sum of 0..n-1 with a loop that falls in with something pending */
    SAMPLE("loop", "i", "i", "2i", 9, 0, NONE, 0x41, 0, 0x21, 1, 0x03, 0x40, 0x20, 1, 0x20, 2, 0x6a,
           0x21, 1, 0x20, 2, 0x41, 1, 0x6a, 0x22, 2, 0x20, 0, 0x49, 0x0d, 0, 0x0b, 0x20, 1, 0x0b),
    SAMPLE("loop counted down", "i", "i", "i", 9, 0, NONE, 0x03, 0x40, 0x20, 1, 0x20, 0, 0x6a, 0x21,
           1, 0x20, 0, 0x41, 0x7f, 0x6a, 0x22, 0, 0x0d, 0, 0x0b, 0x20, 1, 0x0b),
    SAMPLE("two steps and a trap", "ii", "i", "i", 65500, 0, MEMORY, 0x03, 0x40, 0x20, 0, 0x28, 2,
           0, 0x20, 2, 0x6a, 0x21, 2, 0x20, 0, 0x41, 4, 0x6a, 0x21, 0, 0x20, 1, 0x41, 1, 0x6a, 0x21,
           1, 0x0c, 0, 0x0b, 0x20, 2, 0x0b),
    SAMPLE("mask and branch", "i", "i", "", 9, 0, NONE, 0x02, 0x40, 0x20, 0, 0x41, 1, 0x71, 0x45,
           0x0d, 0, 0x41, 5, 0x0f, 0x0b, 0x41, 6, 0x0b),
    SAMPLE("if and else, taken", "i", "i", "", 1, 0, NONE, 0x20, 0, 0x04, 0x7f, 0x41, 1, 0x41, 2,
           0x6a, 0x05, 0x41, 3, 0x0b, 0x41, 1, 0x6a, 0x0b),
    SAMPLE("if and else, not taken", "i", "i", "", 0, 0, NONE, 0x20, 0, 0x04, 0x7f, 0x41, 1, 0x41,
           2, 0x6a, 0x05, 0x41, 3, 0x0b, 0x41, 1, 0x6a, 0x0b),
    SAMPLE("if without else", "i", "i", "", 0, 0, NONE, 0x20, 0, 0x04, 0x40, 0x20, 0, 0x41, 1, 0x6a,
           0x21, 0, 0x0b, 0x20, 0, 0x0b),
    SAMPLE("a trap in an arm", "i", "i", "", 1, 0, UNREACHABLE, 0x20, 0, 0x04, 0x7f, 0x41, 1, 0x1a,
           0x00, 0x05, 0x41, 3, 0x0b, 0x0b),
    SAMPLE("br_table 0", "i", "i", "", 0, 0, NONE, 0x02, 0x40, 0x02, 0x40, 0x02, 0x40, 0x20, 0,
           0x0e, 2, 0, 1, 2, 0x0b, 0x41, 10, 0x0f, 0x0b, 0x41, 11, 0x0f, 0x0b, 0x41, 12, 0x0b),
    SAMPLE("br_table beyond", "i", "i", "", 99, 0, NONE, 0x02, 0x40, 0x02, 0x40, 0x02, 0x40, 0x20,
           0, 0x0e, 2, 0, 1, 2, 0x0b, 0x41, 10, 0x0f, 0x0b, 0x41, 11, 0x0f, 0x0b, 0x41, 12, 0x0b),
    /* a value carried to labels of different heights, through stubs */
    SAMPLE("br_table with a value", "i", "i", "", 1, 0, NONE, 0x02, 0x7f, 0x41, 1, 0x41, 2, 0x02,
           0x7f, 0x41, 3, 0x41, 42, 0x20, 0, 0x0e, 1, 0, 1, 0x0b, 0x6a, 0x6a, 0x0b, 0x0b),
    SAMPLE("br_if that moves its value", "i", "i", "", 1, 0, NONE, 0x02, 0x7f, 0x41, 1, 0x41, 2,
           0x20, 0, 0x0d, 0, 0x6a, 0x0b, 0x0b),
    SAMPLE("old value of a local under its change", "i", "i", "", 5, 0, NONE, 0x20, 0, 0x41, 3,
           0x6a, 0x20, 0, 0x20, 0, 0x41, 2, 0x6c, 0x22, 0, 0x6a, 0x6c, 0x0b),
    SAMPLE("recursion", "i", "i", "", 7, 0, NONE, 0x20, 0, 0x45, 0x04, 0x40, 0x41, 1, 0x0f, 0x0b,
           0x20, 0, 0x20, 0, 0x41, 1, 0x6b, 0x10, 1, 0x6c, 0x0b),
    SAMPLE("tail recursion", "ii", "i", "", 30, 0, NONE, 0x20, 0, 0x45, 0x04, 0x40, 0x20, 1, 0x0f,
           0x0b, 0x20, 0, 0x41, 1, 0x6b, 0x20, 1, 0x41, 2, 0x6a, 0x12, 1, 0x0b),
    SAMPLE("endless recursion", "", "", "", 0, 0, STACK, 0x10, 1, 0x0b),
    SAMPLE("code after a branch is free", "", "i", "", 0, 0, NONE, 0x02, 0x7f, 0x41, 1, 0x0c, 0,
           0x41, 2, 0x41, 3, 0x6a, 0x0b, 0x0b),
    SAMPLE("globals", "", "i", "", 0, 0, NONE, 0x23, 0, 0x41, 1, 0x6a, 0x24, 0, 0x23, 0, 0x0b),
    SAMPLE("vector constant and lane", "", "i", "", 0, 0, NONE, 0xfd, 12, 1, 0, 0, 0, 2, 0, 0, 0, 3,
           0, 0, 0, 4, 0, 0, 0, 0xfd, 27, 2, 0x0b),
    SAMPLE("vector load beyond", "", "i", "", 0, 0, MEMORY, 0x41, 0xf1, 0xff, 3, 0xfd, 0, 0, 0,
           0xfd, 27, 0, 0x0b),
    /* runs of operations: a trap at the first, at the second, at the last; none across a label */
    SAMPLE("bytes compared, the first runs out", "ii", "i", "", 65530, 0, MEMORY, 0x02, 0x40, 0x03,
           0x40, 0x20, 0, 0x2d, 0, 0, 0x20, 1, 0x2d, 0, 0, 0x47, 0x0d, 1, 0x20, 0, 0x41, 1, 0x6a,
           0x21, 0, 0x20, 1, 0x41, 1, 0x6a, 0x21, 1, 0x0c, 0, 0x0b, 0x0b, 0x20, 0, 0x0b),
    SAMPLE("bytes compared, the second runs out", "ii", "i", "", 0, 65530, MEMORY, 0x02, 0x40, 0x03,
           0x40, 0x20, 0, 0x2d, 0, 0, 0x20, 1, 0x2d, 0, 0, 0x47, 0x0d, 1, 0x20, 0, 0x41, 1, 0x6a,
           0x21, 0, 0x20, 1, 0x41, 1, 0x6a, 0x21, 1, 0x0c, 0, 0x0b, 0x0b, 0x20, 0, 0x0b),
    SAMPLE("bytes compared, the first differ", "ii", "i", "", 0, 65529, NONE, 0x41, 0xff, 0xff, 3,
           0x41, 1, 0x3a, 0, 0, 0x02, 0x40, 0x03, 0x40, 0x20, 0, 0x2d, 0, 0, 0x20, 1, 0x2d, 0, 0,
           0x47, 0x0d, 1, 0x20, 0, 0x41, 1, 0x6a, 0x21, 0, 0x20, 1, 0x41, 1, 0x6a, 0x21, 1, 0x0c, 0,
           0x0b, 0x0b, 0x20, 0, 0x0b),
    SAMPLE("sum stored, the load is beyond", "ii", "", "F", 65530, 0, MEMORY, 0x20, 1, 0x20, 2,
           0x20, 0, 0x2b, 3, 0, 0xa0, 0x39, 3, 0, 0x0b),
    SAMPLE("sum stored, the store is beyond", "ii", "", "F", 0, 65530, MEMORY, 0x20, 1, 0x20, 2,
           0x20, 0, 0x2b, 3, 0, 0xa0, 0x39, 3, 0, 0x0b),
    SAMPLE("sum stored", "ii", "", "F", 0, 8, NONE, 0x20, 1, 0x20, 2, 0x20, 0, 0x2b, 3, 0, 0xa0,
           0x39, 3, 0, 0x0b),
    SAMPLE("an accumulator does not cross a label, jumped", "ii", "i", "i", 5, 1, NONE, 0x20, 0,
           0x20, 1, 0x6a, 0x21, 2, 0x02, 0x40, 0x20, 1, 0x41, 3, 0x6c, 0x0d, 0, 0x20, 1, 0x21, 2,
           0x0b, 0x20, 2, 0x20, 0, 0x6a, 0x0b),
    SAMPLE("an accumulator does not cross a label, fallen", "ii", "i", "i", 5, 0, NONE, 0x20, 0,
           0x20, 1, 0x6a, 0x21, 2, 0x02, 0x40, 0x20, 1, 0x41, 3, 0x6c, 0x0d, 0, 0x20, 1, 0x21, 2,
           0x0b, 0x20, 2, 0x20, 0, 0x6a, 0x0b),
    SAMPLE("add, xor, rotate, add", "ii", "i", "", 77, 0x12345678, NONE, 0x20, 0, 0x20, 1, 0x6a,
           0x22, 0, 0x20, 1, 0x73, 0x41, 7, 0x77, 0x22, 1, 0x20, 0, 0x6a, 0x20, 1, 0x73, 0x41, 9,
           0x77, 0x20, 0, 0x6a, 0x0b),
    SAMPLE("br_table of a loaded value", "i", "i", "", 4, 0, NONE, 0x02, 0x40, 0x02, 0x40, 0x20, 0,
           0x28, 2, 0, 0x0e, 1, 0, 1, 0x0b, 0x41, 10, 0x0f, 0x0b, 0x41, 11, 0x0b),
    SAMPLE("br_table of a value beyond memory", "i", "i", "", 65533, 0, MEMORY, 0x02, 0x40, 0x02,
           0x40, 0x20, 0, 0x28, 2, 0, 0x0e, 1, 0, 1, 0x0b, 0x41, 10, 0x0f, 0x0b, 0x41, 11, 0x0b),
    SAMPLE("select by a comparison just made", "ii", "i", "", 4, 9, NONE, 0x20, 0, 0x20, 1, 0x20, 0,
           0x20, 1, 0x48, 0x1b, 0x0b),
};

static bool open_sample(struct guest *guest, struct module *m, const struct sample *sample,
                        bool count_each)
{
    size_t size;
    (void)module_function(m, "", "", "", CODE(0x0b));
    EXPORT(*m, module_function(m, sample->params, sample->results, sample->locals, sample->code,
                               sample->size));
    equip(m);
    const uint8_t *bytes = module_finish(m, &size);
    return guest_open(guest, bytes, size, count_each, NULL, NULL);
}

/* A fresh instance each time: runs change memories, tables and globals. */
static struct outcome run_sample(const struct sample *sample, bool count_each, uint64_t fuel,
                                 uint64_t slice)
{
    struct guest guest = { .status = BV_WASM_OK };
    struct module m = { 0 };
    struct outcome outcome = { .fuel = UINT64_MAX };
    union bv_wasm_value args[2] = { { .i32 = sample->args[0] }, { .i32 = sample->args[1] } };
    if (open_sample(&guest, &m, sample, count_each)) {
        outcome = guest_run(&guest, "f", args, (uint32_t)strlen(sample->params), fuel, slice);
    } else {
        tap_note("%s: %s", sample->name, guest.error.text);
    }
    guest_close(&guest);
    module_free(&m);
    return outcome;
}

static void test_samples(void)
{
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        const struct sample *sample = &samples[i];
        struct outcome fast = run_sample(sample, false, UINT64_MAX, UINT64_MAX),
                       counted = run_sample(sample, true, UINT64_MAX, UINT64_MAX);
        tap_ok(fast.trap == sample->trap && outcome_equal(&fast, &counted),
               "%s: %s, fuel %llu, counted %llu", sample->name, bv_wasm_trap_text(fast.trap),
               (unsigned long long)fast.fuel, (unsigned long long)counted.fuel);
        bool same = true;
        uint64_t step = fast.fuel > 3000 ? fast.fuel / 50 : 1;
        for (uint64_t fuel = 0; fuel <= fast.fuel; fuel += step) {
            struct outcome a = run_sample(sample, false, fuel, UINT64_MAX),
                           b = run_sample(sample, true, fuel, UINT64_MAX);
            same = same && outcome_equal(&a, &b) &&
                   (fuel == fast.fuel ? outcome_equal(&a, &fast)
                                      : a.trap == BV_WASM_TRAP_FUEL && a.fuel == fuel);
        }
        tap_ok(same, "%s: the same under every limit of fuel", sample->name);
        same = true;
        for (uint64_t slice = 0; slice < 12; slice++) {
            struct outcome a = run_sample(sample, slice % 2, UINT64_MAX, slice);
            same = same && outcome_equal(&a, &fast);
        }
        tap_ok(same, "%s: the same in slices", sample->name);
    }
}

/* ---- an exact figure, so that both ways of counting cannot be wrong together ---- */

static void test_units(void)
{
    /* local.get local.get i32.add = 3; fill of 65536 bytes: 3 constants, the fill, 1024 for the bytes */
    struct outcome add = run_sample(&samples[1], false, UINT64_MAX, UINT64_MAX);
    tap_ok(add.fuel == 3 && add.result.i32 == 7,
           "block, else and end cost nothing, an instruction one");
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        if (strcmp(samples[i].name, "memory.fill") == 0) {
            struct outcome fill = run_sample(&samples[i], false, UINT64_MAX, UINT64_MAX),
                           sliced = run_sample(&samples[i], false, UINT64_MAX, 100);
            tap_ok(fill.fuel == 4 + 1024 && sliced.fuel == fill.fuel,
                   "a bulk operation costs a unit per 64 bytes");
        } else if (strcmp(samples[i].name, "memory.grow twice, once too far") == 0) {
            struct outcome grow = run_sample(&samples[i], false, UINT64_MAX, UINT64_MAX);
            tap_ok(grow.fuel == 5 + 1 && grow.result.i32 == 0,
                   "growing costs a unit per page, failing none");
        }
    }
}

/* ---- host functions ---- */

struct host {
    unsigned calls, again;
    uint64_t charge;
    bool halt;
};

static enum bv_wasm_answer double_it(void *context, struct bv_wasm_caller *caller,
                                     const union bv_wasm_value *args, union bv_wasm_value *results)
{
    struct host *host = context;
    host->calls++;
    if (host->again) {
        host->again--;
        return BV_WASM_AGAIN;
    }
    bv_wasm_caller_charge(caller, host->charge);
    uint8_t *memory = bv_wasm_caller_memory(caller, 65536, 0);
    results[0].i32 =
        2 * args[0].i32 + (memory ? 0 : 1) + (bv_wasm_caller_memory(caller, 65536, 1) ? 1 : 0);
    return host->halt ? BV_WASM_HALT : BV_WASM_DONE;
}

static struct outcome run_host(struct host *host, bool tail, uint64_t fuel, uint64_t slice,
                               bool count_each)
{
    struct guest guest = { .status = BV_WASM_OK };
    struct module m = { 0 };
    size_t size;
    uint32_t import = module_import(&m, "env", "double", "i", "i");
    if (tail) {
        EXPORT(m, module_function(&m, "i", "i", "", CODE(0x20, 0, 0x12, (uint8_t)import, 0x0b)));
    } else {
        EXPORT(m, module_function(&m, "i", "i", "",
                                  CODE(0x20, 0, 0x10, (uint8_t)import, 0x41, 1, 0x6a, 0x0b)));
    }
    module_export(&m, "host", 0, import);
    module_memory(&m, 1, -1);
    const uint8_t *bytes = module_finish(&m, &size);
    struct outcome outcome = { .fuel = 0 };
    union bv_wasm_value arg = { .i32 = 20 };
    if (guest_open(&guest, bytes, size, count_each, double_it, host)) {
        outcome = guest_run(&guest, "f", &arg, 1, fuel, slice);
    }
    guest_close(&guest);
    module_free(&m);
    return outcome;
}

static void test_host(void)
{
    struct host host = { .again = 0 };
    struct outcome outcome = run_host(&host, false, UINT64_MAX, UINT64_MAX, false);
    tap_ok(outcome.result.i32 == 41 && outcome.fuel == 4 && host.calls == 1,
           "a host function gets its arguments and gives its result");
    host = (struct host){ .again = 3 };
    outcome = run_host(&host, false, UINT64_MAX, UINT64_MAX, false);
    tap_ok(outcome.result.i32 == 41 && outcome.fuel == 4 && host.calls == 4 && outcome.stops == 4,
           "AGAIN is asked again and charged once");
    host = (struct host){ .again = 2 };
    outcome = run_host(&host, true, UINT64_MAX, 0, false);
    tap_ok(outcome.result.i32 == 40 && outcome.fuel == 2 && host.calls == 3,
           "a tail call to a host function returns its result");
    host = (struct host){ .halt = true, .charge = 10 };
    outcome = run_host(&host, false, UINT64_MAX, UINT64_MAX, false);
    tap_ok(outcome.trap == BV_WASM_TRAP_HOST && outcome.fuel == 12,
           "HALT ends the guest, with what it cost so far");
    host = (struct host){ .charge = 100 };
    outcome = run_host(&host, false, 50, UINT64_MAX, false);
    tap_ok(outcome.trap == BV_WASM_TRAP_FUEL && outcome.fuel == 50,
           "fuel that a host function charges can exhaust the limit");
    host = (struct host){ .charge = 0 };
    outcome = run_host(&host, false, 1, UINT64_MAX, false);
    tap_ok(outcome.trap == BV_WASM_TRAP_FUEL && outcome.fuel == 1 && host.calls == 0,
           "no host function runs past the limit");
    outcome = run_host(&host, false, 1, UINT64_MAX, true);
    tap_ok(outcome.trap == BV_WASM_TRAP_FUEL && outcome.fuel == 1 && host.calls == 0,
           "nor in the counting build");
}

static void test_from_outside(void)
{
    struct host host = { .again = 1 };
    struct guest guest = { .status = BV_WASM_OK };
    struct module m = { 0 };
    size_t size;
    module_export(&m, "host", 0, module_import(&m, "env", "double", "i", "i"));
    const uint8_t *bytes = module_finish(&m, &size);
    tap_ok(guest_open(&guest, bytes, size, false, double_it, &host),
           "a module may export what it imports");
    struct bv_wasm_extern *function = bv_wasm_instance_export(guest.instance, "host", 4, NULL);
    union bv_wasm_value arg = { .i32 = 4 };
    tap_ok(!bv_wasm_call(guest.store, function, &arg, 0),
           "the wrong number of arguments is refused");
    tap_ok(bv_wasm_call(guest.store, function, &arg, 1) &&
               !bv_wasm_call(guest.store, function, &arg, 1),
           "one call at a time");
    tap_ok(bv_wasm_resume(guest.store, 10) == BV_WASM_STEP_WAIT &&
               bv_wasm_resume(guest.store, 10) == BV_WASM_STEP_DONE &&
               bv_wasm_results(guest.store)[0].i32 == 9,
           "a host function called from outside may wait, too");
    host.again = 1;
    tap_ok(bv_wasm_call(guest.store, function, &arg, 1) &&
               bv_wasm_resume(guest.store, 10) == BV_WASM_STEP_WAIT,
           "waiting once more");
    bv_wasm_abandon(guest.store);
    tap_ok(bv_wasm_call(guest.store, function, &arg, 1), "an abandoned call makes way");
    guest_close(&guest);
    module_free(&m);
}

/* ---- depth ---- */

static void test_depth(void)
{
    struct module m = { 0 };
    size_t size;
    /* f(n) = n ? 1 + f(n - 1) : 0 */
    EXPORT(m, module_function(&m, "i", "i", "",
                              CODE(0x20, 0, 0x45, 0x04, 0x40, 0x41, 0, 0x0f, 0x0b, 0x20, 0, 0x41, 1,
                                   0x6b, 0x10, 0, 0x41, 1, 0x6a, 0x0b)));
    const uint8_t *bytes = module_finish(&m, &size);
    struct bv_wasm_module *module = NULL;
    struct bv_wasm_budget budget = { .limit_bytes = 1 << 26 };
    const struct bv_wasm_store_options options = { .frames_max = 1000, .cells_max = 100000 };
    struct bv_wasm_store *store = bv_wasm_store_new(&budget, &options);
    struct bv_wasm_instance *instance;
    struct bv_wasm_extern *start;
    struct bv_wasm_error error;
    bool good = bv_wasm_compile(bytes, size, NULL, 1 << 20, &module, &error) == BV_WASM_OK &&
                bv_wasm_instantiate(store, module, NULL, &instance, &start, &error) == BV_WASM_OK;
    if (tap_ok(good, "a recursive function")) {
        struct bv_wasm_extern *function = bv_wasm_instance_export(instance, "f", 1, NULL);
        union bv_wasm_value arg = { .i32 = 999 };
        tap_ok(bv_wasm_call(store, function, &arg, 1) &&
                   bv_wasm_resume(store, UINT64_MAX) == BV_WASM_STEP_DONE &&
                   bv_wasm_results(store)[0].i32 == 999,
               "1000 frames are 1000 calls");
        arg.i32 = 1000;
        tap_ok(bv_wasm_call(store, function, &arg, 1) &&
                   bv_wasm_resume(store, UINT64_MAX) == BV_WASM_STEP_TRAPPED &&
                   bv_wasm_trapped(store) == BV_WASM_TRAP_STACK,
               "the next one exhausts the stack");
        arg.i32 = 10;
        tap_ok(bv_wasm_call(store, function, &arg, 1) &&
                   bv_wasm_resume(store, UINT64_MAX) == BV_WASM_STEP_DONE &&
                   bv_wasm_results(store)[0].i32 == 10,
               "and the store goes on afterwards");
    }
    bv_wasm_store_free(store);
    bv_wasm_module_free(module);
    tap_ok(budget.used_bytes == 0 && budget.peak_bytes > 0, "everything charged was given back");
    module_free(&m);
}

/* However the array of cells has grown until then: the trap comes with the first frame that does not fit. */
static void test_wide_frames(uint32_t width)
{
    struct module m = { 0 };
    size_t size;
    char locals[16];
    (void)snprintf(locals, sizeof(locals), "%uI", width);
    EXPORT(m, module_function(&m, "", "", locals, CODE(0x10, 0, 0x0b)));
    const uint8_t *bytes = module_finish(&m, &size);
    struct bv_wasm_module *module = NULL;
    struct bv_wasm_budget budget = { .limit_bytes = 1 << 26 };
    const struct bv_wasm_store_options options = { .frames_max = 200000, .cells_max = 100000 };
    struct bv_wasm_store *store = bv_wasm_store_new(&budget, &options);
    struct bv_wasm_instance *instance;
    struct bv_wasm_extern *start;
    struct bv_wasm_error error;
    bool good = bv_wasm_compile(bytes, size, NULL, 1 << 20, &module, &error) == BV_WASM_OK &&
                bv_wasm_instantiate(store, module, NULL, &instance, &start, &error) == BV_WASM_OK;
    tap_ok(good && bv_wasm_call(store, bv_wasm_instance_export(instance, "f", 1, NULL), NULL, 0) &&
               bv_wasm_resume(store, UINT64_MAX) == BV_WASM_STEP_TRAPPED &&
               bv_wasm_trapped(store) == BV_WASM_TRAP_STACK &&
               bv_wasm_fuel_used(store) == options.cells_max / width,
           "endless recursion in frames of %u cells ends where the cells do", width);
    bv_wasm_store_free(store);
    bv_wasm_module_free(module);
    module_free(&m);
}

int main(void)
{
    static const uint32_t widths[] = { 1, 3, 255, 256, 257, 300, 1023, 1025, 1500, 40000, 50000 };
    test_samples();
    test_units();
    test_host();
    test_from_outside();
    test_depth();
    for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
        test_wide_frames(widths[i]);
    }
    return tap_done();
}
