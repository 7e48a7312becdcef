/* bench/wasm_bench.c - the engine without bvisor around it: runs a program for bench/wasm.py, or measures its own parts.
 *
 *     wasm_bench run MODULE [ARGUMENT...]     runs _start with the few WASI functions that the bench programs call; CPU time on stderr
 *     wasm_bench startup MODULE               microseconds, cold (compile, instantiate, run, free) and warm (cache, instantiate, run, free)
 *     wasm_bench translate MODULE             megabytes of module a second
 *
 * The least and the median of many.
 *
 * Fuel is on, with a limit, as bvisor runs guests; NaNs are canonical. The WASI functions here are for measuring only: output is really
 * written, everything else is what a program without files sees. */
#include "wasm/wasm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MODULE_MAX ((size_t)64 << 20)
#define ROUNDS_MAX 4000
#define SLICE      1000000 /* about a millisecond: how often bvisor looks at its deadlines */

static struct {
    char **args;
    uint32_t arg_count;
    bool quiet;
} guest;

static _Noreturn void give_up(const char *what)
{
    (void)fprintf(stderr, "wasm_bench: %s\n", what);
    exit(1);
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void put32(struct bv_wasm_caller *caller, uint32_t at, uint32_t value)
{
    uint8_t *to = bv_wasm_caller_memory(caller, at, 4);
    if (!to) {
        give_up("bad pointer");
    }
    memcpy(to, &value, 4);
}

static enum bv_wasm_answer fd_write(void *context, struct bv_wasm_caller *caller,
                                    const union bv_wasm_value *args, union bv_wasm_value *results)
{
    (void)context;
    uint32_t total = 0;
    for (uint32_t i = 0; i < args[2].i32; i++) {
        uint32_t pair[2];
        const uint8_t *vector = bv_wasm_caller_memory(caller, args[1].i32 + 8 * (uint64_t)i, 8);
        if (!vector) {
            give_up("bad pointer");
        }
        memcpy(pair, vector, 8);
        const uint8_t *bytes = bv_wasm_caller_memory(caller, pair[0], pair[1]);
        if (!bytes) {
            give_up("bad pointer");
        }
        if (!guest.quiet && write((int)args[0].i32, bytes, pair[1]) != (ssize_t)pair[1]) {
            give_up("write failed");
        }
        total += pair[1];
    }
    put32(caller, args[3].i32, total);
    results[0].i32 = 0;
    return BV_WASM_DONE;
}

static enum bv_wasm_answer args_sizes_get(void *context, struct bv_wasm_caller *caller,
                                          const union bv_wasm_value *args,
                                          union bv_wasm_value *results)
{
    (void)context;
    uint32_t size = 0;
    for (uint32_t i = 0; i < guest.arg_count; i++) {
        size += (uint32_t)strlen(guest.args[i]) + 1;
    }
    put32(caller, args[0].i32, guest.arg_count);
    put32(caller, args[1].i32, size);
    results[0].i32 = 0;
    return BV_WASM_DONE;
}

static enum bv_wasm_answer args_get(void *context, struct bv_wasm_caller *caller,
                                    const union bv_wasm_value *args, union bv_wasm_value *results)
{
    (void)context;
    uint32_t at = args[1].i32;
    for (uint32_t i = 0; i < guest.arg_count; i++) {
        uint32_t size = (uint32_t)strlen(guest.args[i]) + 1;
        uint8_t *to = bv_wasm_caller_memory(caller, at, size);
        if (!to) {
            give_up("bad pointer");
        }
        memcpy(to, guest.args[i], size);
        put32(caller, args[0].i32 + 4 * i, at);
        at += size;
    }
    results[0].i32 = 0;
    return BV_WASM_DONE;
}

/* stdout is a character device without rights to seek, so that the C library buffers by line. */
static enum bv_wasm_answer fd_fdstat_get(void *context, struct bv_wasm_caller *caller,
                                         const union bv_wasm_value *args,
                                         union bv_wasm_value *results)
{
    (void)context;
    uint8_t *to = bv_wasm_caller_memory(caller, args[1].i32, 24);
    if (!to) {
        give_up("bad pointer");
    }
    memset(to, 0, 24);
    to[0] = 2;
    to[8] = 0x40; /* fd_write */
    results[0].i32 = args[0].i32 <= 2 ? 0 : 8;
    return BV_WASM_DONE;
}

static enum bv_wasm_answer bad_descriptor(void *context, struct bv_wasm_caller *caller,
                                          const union bv_wasm_value *args,
                                          union bv_wasm_value *results)
{
    (void)context, (void)caller, (void)args;
    results[0].i32 = 8;
    return BV_WASM_DONE;
}

static enum bv_wasm_answer proc_exit(void *context, struct bv_wasm_caller *caller,
                                     const union bv_wasm_value *args, union bv_wasm_value *results)
{
    (void)context, (void)caller, (void)results;
    if (args[0].i32 != 0) {
        give_up("the program failed");
    }
    return BV_WASM_HALT;
}

static bv_wasm_host_fn *find_function(const struct bv_wasm_name *name)
{
    static const struct {
        const char *name;
        bv_wasm_host_fn *function;
    } functions[] = {
        { "fd_write", fd_write },      { "args_sizes_get", args_sizes_get },
        { "args_get", args_get },      { "fd_fdstat_get", fd_fdstat_get },
        { "proc_exit", proc_exit },    { "fd_close", bad_descriptor },
        { "fd_seek", bad_descriptor }, { "fd_prestat_get", bad_descriptor },
    };
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        if (strlen(functions[i].name) == name->size &&
            memcmp(functions[i].name, name->bytes, name->size) == 0) {
            return functions[i].function;
        }
    }
    (void)fprintf(stderr, "wasm_bench: no function %.*s\n", (int)name->size, name->bytes);
    exit(1);
}

static void run_module(struct bv_wasm_module *module)
{
    struct bv_wasm_budget budget = { .limit_bytes = UINT64_C(4) << 30 };
    struct bv_wasm_store *store = bv_wasm_store_new(&budget, NULL);
    struct bv_wasm_extern *imports[64], *start;
    struct bv_wasm_instance *instance;
    struct bv_wasm_error error;
    if (!store || bv_wasm_import_count(module) > 64) {
        give_up("no store");
    }
    for (uint32_t i = 0; i < bv_wasm_import_count(module); i++) {
        struct bv_wasm_import import;
        bv_wasm_import_at(module, i, &import);
        imports[i] =
            bv_wasm_host_function(store, &import.function, find_function(&import.name), NULL);
    }
    if (bv_wasm_instantiate(store, module, imports, &instance, &start, &error) != BV_WASM_OK) {
        give_up(error.text);
    }
    bv_wasm_fuel_limit(store, UINT64_C(1) << 60);
    struct bv_wasm_extern *main_function = bv_wasm_instance_export(instance, "_start", 6, NULL);
    if (!main_function || !bv_wasm_call(store, main_function, NULL, 0)) {
        give_up("no _start");
    }
    enum bv_wasm_step step;
    do {
        step = bv_wasm_resume(store, SLICE);
    } while (step == BV_WASM_STEP_SLICE);
    if (step != BV_WASM_STEP_DONE && bv_wasm_trapped(store) != BV_WASM_TRAP_HOST) {
        give_up(bv_wasm_trap_text(bv_wasm_trapped(store)));
    }
    bv_wasm_store_free(store);
}

static struct bv_wasm_module *compile(const uint8_t *bytes, size_t size,
                                      struct bv_wasm_cache *cache)
{
    static const uint8_t digest[32] = { 1 };
    struct bv_wasm_module *module;
    struct bv_wasm_error error;
    enum bv_wasm_status status =
        cache ? bv_wasm_cache_compile(cache, digest, bytes, size, NULL, UINT64_C(1) << 32, &module,
                                      &error)
              : bv_wasm_compile(bytes, size, NULL, UINT64_C(1) << 32, &module, &error);
    if (status != BV_WASM_OK) {
        give_up(error.text);
    }
    return module;
}

static double once(const uint8_t *bytes, size_t size, struct bv_wasm_cache *cache, bool run)
{
    double begin =
        seconds(CLOCK_PROCESS_CPUTIME_ID); /* nothing here waits, and others may be running */
    struct bv_wasm_module *module = compile(bytes, size, cache);
    if (run) {
        run_module(module);
    }
    bv_wasm_module_free(module);
    return seconds(CLOCK_PROCESS_CPUTIME_ID) - begin;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Least and median: what disturbs only ever adds. */
static struct took {
    double least, median;
} measure(const uint8_t *bytes, size_t size, struct bv_wasm_cache *cache, bool run, size_t rounds)
{
    static double all[ROUNDS_MAX];
    for (size_t i = 0; i < rounds; i++) {
        all[i] = once(bytes, size, cache, run);
    }
    qsort(all, rounds, sizeof(*all), by_size);
    return (struct took){ all[0], all[rounds / 2] };
}

/* The most memory that was resident, in KiB, as the kernel has it for this program alone. */
static unsigned long resident_kib(void)
{
    char line[256];
    unsigned long most = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof(line), status)) {
        if (strncmp(line, "VmHWM:", 6) == 0) {
            most = strtoul(line + 6, NULL, 10);
        }
    }
    if (status) {
        (void)fclose(status);
    }
    return most;
}

int main(int count, char **arguments)
{
    if (count < 3) {
        give_up("usage: wasm_bench run|startup|translate MODULE [ARGUMENT...]");
    }
    FILE *file = fopen(arguments[2], "rb");
    uint8_t *bytes = malloc(MODULE_MAX);
    if (!file || !bytes) {
        give_up("cannot read the module");
    }
    size_t size = fread(bytes, 1, MODULE_MAX, file);
    (void)fclose(file);
    guest.args = arguments + 2;
    guest.arg_count = (uint32_t)count - 2;
    if (strcmp(arguments[1], "run") == 0) {
        double begin = seconds(CLOCK_PROCESS_CPUTIME_ID);
        struct bv_wasm_module *module = compile(bytes, size, NULL);
        run_module(module);
        bv_wasm_module_free(module);
        (void)fprintf(stderr, "%.6f s %lu KiB\n", seconds(CLOCK_PROCESS_CPUTIME_ID) - begin,
                      resident_kib());
    } else if (strcmp(arguments[1], "startup") == 0) {
        struct bv_wasm_cache *cache = bv_wasm_cache_new(UINT64_C(1) << 30, 16);
        guest.quiet = true;
        struct took cold = measure(bytes, size, NULL, true, ROUNDS_MAX),
                    warm = measure(bytes, size, cache, true, ROUNDS_MAX),
                    alone = measure(bytes, size, NULL, false, ROUNDS_MAX);
        printf("cold %.2f %.2f warm %.2f %.2f compile %.2f %.2f\n", cold.least * 1e6,
               cold.median * 1e6, warm.least * 1e6, warm.median * 1e6, alone.least * 1e6,
               alone.median * 1e6);
        bv_wasm_cache_free(cache);
    } else {
        struct took took = measure(bytes, size, NULL, false, size > 100000 ? 60 : 1000);
        printf("translate %.1f %.1f\n", (double)size / took.least / 1e6,
               (double)size / took.median / 1e6);
    }
    free(bytes);
    return 0;
}
