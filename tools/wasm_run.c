/* tools/wasm_run.c - calls every exported function of a module and prints what came of it, for comparison with another engine.
 *
 *     wasm-run --run-all-exports --dummy-imports [--skip-v128] [--check-fuel] [--fuel UNITS] MODULE...
 *
 * One line per exported function in the module's order, `NAME: RESULTS` or `NAME: trap CLASS`; arguments are zero. Imported functions
 * print their arguments and answer zeros; imported globals are 0, tables and memories as small as they may be. The last lines are the
 * exported numeric globals and two checksums of each exported memory, the first blind to signs of NaNs. --skip-v128 leaves out functions
 * that JavaScript cannot call. --check-fuel runs everything again with the counting build of the code, compares the fuel after each call
 * and says the sum on stderr. Classes are coarser than traps: what another engine tells apart differs. Values are types and bits, so the
 * output says the same on every machine. */
#include "wasm/wasm.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODULE_MAX (64L << 20)

struct guest {
    struct bv_wasm_budget budget;
    struct bv_wasm_module *module;
    struct bv_wasm_store *store;
    struct bv_wasm_instance *instance;
    struct import_context *contexts; /* one for each import, referred to by the store's functions */
    FILE *out;
    uint64_t *fuel; /* after each call */
    uint32_t calls;
};
struct import_context {
    struct guest *guest;
    struct bv_wasm_import import;
};

static struct {
    bool skip_v128, check_fuel, run_all, dummy;
    uint64_t fuel;
} options = { .fuel = UINT64_C(1) << 30 };

static void print_name(FILE *out, const struct bv_wasm_name *name)
{
    for (uint32_t i = 0; i < name->size; i++) {
        unsigned char byte = (unsigned char)name->bytes[i];
        if (byte > 0x20 && byte < 0x7f && byte != '%') {
            (void)fputc(byte, out);
        } else {
            (void)fprintf(out, "%%%02x", byte);
        }
    }
}

static void print_value(FILE *out, uint8_t type, const union bv_wasm_value *value)
{
    switch ((enum bv_wasm_type)type) {
    case BV_WASM_I32: (void)fprintf(out, " i32:%08" PRIx32, value->i32); return;
    case BV_WASM_I64: (void)fprintf(out, " i64:%016" PRIx64, value->i64); return;
    case BV_WASM_F32:
        (void)fprintf(out, (value->f32 & 0x7fffffff) > 0x7f800000 ? " f32:nan" : " f32:%08" PRIx32,
                      value->f32);
        return;
    case BV_WASM_F64:
        (void)fprintf(
            out, (value->f64 & INT64_MAX) > UINT64_C(0x7ff) << 52 ? " f64:nan" : " f64:%016" PRIx64,
            value->f64);
        return;
    case BV_WASM_V128:
        (void)fprintf(out, " v128:");
        for (int i = 0; i < 16; i++) {
            (void)fprintf(out, "%02x", value->v128[i]);
        }
        return;
    case BV_WASM_FUNCREF:
        (void)fprintf(out, value->ref == BV_WASM_REF_NULL ? " funcref:null" : " funcref");
        return;
    case BV_WASM_EXTERNREF:
        (void)fprintf(out, value->ref == BV_WASM_REF_NULL ? " externref:null" : " externref");
        return;
    }
}

static const char *trap_class(enum bv_wasm_trap trap)
{
    switch (trap) {
    case BV_WASM_TRAP_UNREACHABLE: return "unreachable";
    case BV_WASM_TRAP_DIVIDE_BY_ZERO: return "divide";
    case BV_WASM_TRAP_OVERFLOW:
    case BV_WASM_TRAP_CONVERSION: return "number";
    case BV_WASM_TRAP_MEMORY: return "memory";
    case BV_WASM_TRAP_TABLE:
    case BV_WASM_TRAP_UNDEFINED_ELEMENT: return "table";
    case BV_WASM_TRAP_UNINITIALIZED_ELEMENT:
    case BV_WASM_TRAP_CALL_TYPE: return "indirect";
    case BV_WASM_TRAP_STACK: return "stack";
    case BV_WASM_TRAP_FUEL: return "fuel";
    case BV_WASM_TRAP_NOMEM: return "nomem";
    case BV_WASM_TRAP_HOST: return "host";
    case BV_WASM_TRAP_NONE: break;
    }
    return "none";
}

static void zero_values(const uint8_t *types, uint32_t count, union bv_wasm_value *ret_values)
{
    for (uint32_t i = 0; i < count; i++) {
        ret_values[i] = (union bv_wasm_value){ .v128 = { 0 } };
        if (types[i] == BV_WASM_FUNCREF || types[i] == BV_WASM_EXTERNREF) {
            ret_values[i].ref = BV_WASM_REF_NULL;
        }
    }
}

static bool has_v128(const uint8_t *types, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (types[i] == BV_WASM_V128) {
            return true;
        }
    }
    return false;
}

static enum bv_wasm_answer dummy(void *context, struct bv_wasm_caller *caller,
                                 const union bv_wasm_value *args, union bv_wasm_value *results)
{
    (void)caller;
    struct import_context *self = context;
    const struct bv_wasm_functype *type = &self->import.function;
    if (options.skip_v128 && (has_v128(type->params, type->param_count) ||
                              has_v128(type->results, type->result_count))) {
        return BV_WASM_HALT; /* JavaScript throws there */
    }
    (void)fprintf(self->guest->out, "call ");
    print_name(self->guest->out, &self->import.name);
    for (uint32_t i = 0; i < self->import.function.param_count; i++) {
        print_value(self->guest->out, self->import.function.params[i], &args[i]);
    }
    (void)fprintf(self->guest->out, "\n");
    zero_values(self->import.function.results, self->import.function.result_count, results);
    return BV_WASM_DONE;
}

/* The label comes after what imports print meanwhile, as it does where a call is one expression. */
static bool finish(struct guest *guest, const struct bv_wasm_name *label,
                   const struct bv_wasm_functype *type)
{
    enum bv_wasm_step step = bv_wasm_resume(guest->store, UINT64_MAX);
    print_name(guest->out, label);
    (void)fprintf(guest->out, ":");
    if (step != BV_WASM_STEP_DONE) {
        (void)fprintf(guest->out, " trap %s\n", trap_class(bv_wasm_trapped(guest->store)));
        return false;
    }
    for (uint32_t i = 0; i < type->result_count; i++) {
        print_value(guest->out, type->results[i], &bv_wasm_results(guest->store)[i]);
    }
    (void)fprintf(guest->out, "\n");
    return true;
}

static void call_export(struct guest *guest, const struct bv_wasm_export *export)
{
    const struct bv_wasm_functype *type = &export->function;
    if (options.skip_v128 && (has_v128(type->params, type->param_count) ||
                              has_v128(type->results, type->result_count))) {
        return;
    }
    union bv_wasm_value args[1000];
    zero_values(type->params, type->param_count, args);
    struct bv_wasm_extern *function =
        bv_wasm_instance_export(guest->instance, export->name.bytes, export->name.size, NULL);
    bv_wasm_fuel_limit(guest->store, bv_wasm_fuel_used(guest->store) + options.fuel);
    if (!bv_wasm_call(guest->store, function, args, type->param_count)) {
        (void)fprintf(stderr, "wasm-run: call refused\n");
        exit(2);
    }
    (void)finish(guest, &export->name, type);
    guest->fuel[guest->calls++] = bv_wasm_fuel_used(guest->store);
}

/* The byte may hold the sign of a NaN, of 32 bits or the upper half of one of 64. */
static bool ends_nan(const uint8_t *bytes, uint64_t i)
{
    return i >= 3 && (bytes[i] & 0x7f) == 0x7f && bytes[i - 1] >= 0x80 &&
           ((bytes[i - 1] & 0x7f) | bytes[i - 2] | bytes[i - 3]) != 0;
}

static void print_state(struct guest *guest, const struct bv_wasm_export *export)
{
    struct bv_wasm_extern *item =
        bv_wasm_instance_export(guest->instance, export->name.bytes, export->name.size, NULL);
    enum bv_wasm_type type;
    union bv_wasm_value value;
    if (export->kind == BV_WASM_GLOBAL && bv_wasm_global_get(item, &type, &value) &&
        !(type == BV_WASM_V128 && options.skip_v128)) {
        (void)fprintf(guest->out, "global ");
        print_name(guest->out, &export->name);
        (void)fprintf(guest->out, ":");
        print_value(guest->out, (uint8_t)type, &value);
        (void)fprintf(guest->out, "\n");
    }
    if (export->kind == BV_WASM_MEMORY) { /* ours: an import of memory 0 would be it, too */
        uint64_t size = 0;
        uint32_t sum = 2166136261u, unsigned_sum = sum;
        while (bv_wasm_instance_memory(guest->instance, size, 65536)) {
            size += 65536;
        }
        const uint8_t *bytes = bv_wasm_instance_memory(guest->instance, 0, size);
        for (uint64_t i = 0; i < size; i++) {
            sum = (sum ^ bytes[i]) * 16777619u;
            unsigned_sum =
                (unsigned_sum ^ (ends_nan(bytes, i) ? bytes[i] & 127u : bytes[i])) * 16777619u;
        }
        (void)fprintf(guest->out, "memory ");
        print_name(guest->out, &export->name);
        (void)fprintf(guest->out, ": %" PRIu64 " %08" PRIx32 " %08" PRIx32 "\n", size, unsigned_sum,
                      sum);
    }
}

static struct bv_wasm_extern *make_import(struct guest *guest, struct import_context *context)
{
    static const union bv_wasm_value zero = { .v128 = { 0 } };
    const struct bv_wasm_import *import = &context->import;
    switch (import->kind) {
    case BV_WASM_FUNC:
        return bv_wasm_host_function(guest->store, &import->function, dummy, context);
    case BV_WASM_TABLE:
        return bv_wasm_host_table(guest->store, BV_WASM_FUNCREF,
                                  &(struct bv_wasm_limits){ .min = 16 });
    case BV_WASM_MEMORY:
        return bv_wasm_host_memory(guest->store, &(struct bv_wasm_limits){ .min = 1 });
    case BV_WASM_GLOBAL: return bv_wasm_host_global(guest->store, BV_WASM_I32, false, &zero);
    }
    return NULL;
}

static bool open_guest(struct guest *guest, const uint8_t *bytes, size_t size, bool count_each)
{
    struct bv_wasm_error error = { .text = "" };
    struct bv_wasm_options compile = { .canonical_nans = true, .count_each = count_each };
    guest->budget.limit_bytes = UINT64_C(1) << 30;
    enum bv_wasm_status status =
        bv_wasm_compile(bytes, size, &compile, UINT64_C(1) << 30, &guest->module, &error);
    if (status == BV_WASM_OK) {
        guest->store = bv_wasm_store_new(&guest->budget, NULL);
        guest->fuel = calloc((size_t)bv_wasm_export_count(guest->module) + 1, sizeof(*guest->fuel));
        uint32_t count = bv_wasm_import_count(guest->module);
        guest->contexts = calloc(count ? count : 1, sizeof(*guest->contexts));
        struct bv_wasm_extern **imports =
                                  calloc(count ? count : 1, sizeof(struct bv_wasm_extern *)),
                              *start = NULL;
        if (!guest->store || !guest->fuel || !guest->contexts || !imports) {
            exit(2);
        }
        for (uint32_t i = 0; i < count; i++) {
            struct import_context *context = &guest->contexts[i];
            context->guest = guest;
            bv_wasm_import_at(guest->module, i, &context->import);
            imports[i] = make_import(guest, context);
        }
        status = bv_wasm_instantiate(guest->store, guest->module, imports, &guest->instance, &start,
                                     &error);
        free(imports);
        if (status == BV_WASM_OK && start) {
            const struct bv_wasm_name label = { .bytes = "start", .size = 5 };
            bv_wasm_fuel_limit(guest->store, options.fuel);
            const struct bv_wasm_functype none = { .param_count = 0 };
            if (!bv_wasm_call(guest->store, start, NULL, 0) || !finish(guest, &label, &none)) {
                return false;
            }
        }
    }
    if (status != BV_WASM_OK) {
        static const char *const words[] = { "ok",         "malformed", "invalid", "limit",
                                             "unlinkable", "trapped",   "nomem" };
        (void)fprintf(guest->out, "%s\n", words[status]);
        (void)fprintf(stderr, "wasm-run: %s at %" PRIu64 ": %s\n", words[status], error.offset,
                      error.text);
    }
    return status == BV_WASM_OK;
}

static void run_guest(struct guest *guest, const uint8_t *bytes, size_t size, bool count_each)
{
    struct bv_wasm_export export;
    if (!open_guest(guest, bytes, size, count_each)) {
        return;
    }
    for (uint32_t i = 0; i < bv_wasm_export_count(guest->module); i++) {
        bv_wasm_export_at(guest->module, i, &export);
        if (export.kind == BV_WASM_FUNC) {
            call_export(guest, &export);
        }
    }
    for (uint32_t i = 0; i < bv_wasm_export_count(guest->module); i++) {
        bv_wasm_export_at(guest->module, i, &export);
        print_state(guest, &export);
    }
}

static void close_guest(struct guest *guest)
{
    bv_wasm_store_free(guest->store);
    bv_wasm_module_free(guest->module);
    free(guest->fuel);
    free(guest->contexts);
}

/* As large as the file and no larger: a test environment that fills what malloc() gives would touch every page. */
static uint8_t *read_module(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    long size = file && fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    uint8_t *bytes = size >= 0 && size <= MODULE_MAX ? malloc((size_t)size + 1) : NULL;
    if (!bytes || fseek(file, 0, SEEK_SET) != 0 || fread(bytes, 1, (size_t)size, file) != (size_t)size) {
        (void)fprintf(stderr, "wasm-run: cannot read %s\n", path);
        exit(2);
    }
    (void)fclose(file);
    *ret_size = (size_t)size;
    return bytes;
}

static bool run_file(const char *path)
{
    size_t size;
    uint8_t *bytes = read_module(path, &size);
    struct guest fast = { .out = stdout };
    run_guest(&fast, bytes, size, false);
    bool good = true;
    if (options.check_fuel) {
        char *text = NULL;
        size_t length = 0;
        struct guest counting = { .out = open_memstream(&text, &length) };
        if (!counting.out) {
            exit(2);
        }
        run_guest(&counting, bytes, size, true);
        for (uint32_t i = 0; i < fast.calls; i++) {
            if (counting.calls != fast.calls || fast.fuel[i] != counting.fuel[i]) {
                printf("FUEL of call %u: %" PRIu64 ", counted %" PRIu64 "\n", i, fast.fuel[i],
                       counting.fuel[i]);
                good = false;
            }
        }
        (void)fprintf(stderr, "fuel %" PRIu64 "\n", fast.calls ? fast.fuel[fast.calls - 1] : 0);
        (void)fclose(counting.out);
        free(text);
        close_guest(&counting);
    }
    close_guest(&fast);
    free(bytes);
    return good;
}

int main(int count, char **arguments)
{
    bool good = true, ran = false;
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--run-all-exports") == 0) {
            options.run_all = true;
        } else if (strcmp(arguments[i], "--dummy-imports") == 0) {
            options.dummy = true;
        } else if (strcmp(arguments[i], "--skip-v128") == 0) {
            options.skip_v128 = true;
        } else if (strcmp(arguments[i], "--check-fuel") == 0) {
            options.check_fuel = true;
        } else if (strcmp(arguments[i], "--fuel") == 0 && i + 1 < count) {
            options.fuel = strtoull(arguments[++i], NULL, 10);
        } else if (arguments[i][0] == '-') {
            break;
        } else {
            good = run_file(arguments[i]) && good;
            ran = true;
        }
    }
    if (!ran || !options.run_all || !options.dummy) {
        (void)fprintf(stderr, "usage: wasm-run --run-all-exports --dummy-imports [--skip-v128] "
                              "[--check-fuel] [--fuel UNITS] MODULE...\n");
        return 2;
    }
    return good ? 0 : 1;
}
