/* tools/wasm_spec.c - runs packs of the official WebAssembly core test suite against the engine.
 *
 *     wasm-spec [--words] PACK...
 *
 * A pack is lines of fields separated by one space, names percent-encoded, `-` for none: F begins a file, M instantiates, R registers,
 * X must be rejected, I must return, G reads a global, T must trap, E must exhaust the stack, A is called for its effect. Every line but
 * F is one command. Packs whose name begins with wasm2- are held to WebAssembly 2.0: what came later must be rejected there. A rejection
 * must be of the right kind, and a trap in the right words; --words also holds rejections to the suite's words and lists the others.
 * Prints every failure and, last, `N passed, N failed`. */
#include "wasm/wasm.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX  4096
#define VALUES_MAX 64
#define SLICE      100000 /* small on purpose: runs are cut into many parts */

struct named {
    char *name;
    struct bv_wasm_instance *instance;
};

static struct {
    struct bv_wasm_budget budget;
    struct bv_wasm_store *store;
    struct bv_wasm_instance *current;
    struct named modules[NAMES_MAX], registered[NAMES_MAX];
    size_t module_count, registered_count;
    struct bv_wasm_extern *spectest[16];
    const char *pack;
    char file[256];
    unsigned line;
    unsigned passed, failed, other_words;
    bool only_2_0, words;
} run;

static _Noreturn void give_up(const char *what)
{
    (void)fprintf(stderr, "wasm-spec: %s:%u: %s\n", run.pack ? run.pack : "", run.line, what);
    exit(2);
}

static void fails(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void fails(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("%s:%u (%s): ", run.pack, run.line, run.file);
    (void)vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    run.failed++;
}

/* ---- text ---- */

static unsigned hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? (unsigned)(c - '0')
           : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
           : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                  : 16;
}

/* In place; returns the length, for a name may hold NUL. */
static size_t decode_name(char *text)
{
    char *to = text;
    for (const char *from = text; *from; to++) {
        if (*from == '%' && !from[1]) { /* the empty name */
            break;
        }
        if (*from == '%') {
            *to = (char)(hex_digit(from[1]) << 4 | hex_digit(from[2]));
            from += 3;
        } else {
            *to = *from++;
        }
    }
    *to = 0;
    return (size_t)(to - text);
}

static uint8_t *decode_hex(const char *text, size_t *ret_size)
{
    size_t size = strcmp(text, "-") == 0 ? 0 : strlen(text) / 2;
    uint8_t *bytes =
        malloc(size ? size : 1); /* exactly, so that a sanitizer sees a read past the end */
    for (size_t i = 0; bytes && i < size; i++) {
        bytes[i] = (uint8_t)(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
    }
    *ret_size = size;
    return bytes;
}

/* ---- values ---- */

enum nan { EXACT, CANONICAL, ARITHMETIC };
struct expected {
    union bv_wasm_value value;
    uint8_t type, lane_bytes;
    enum nan nans[16];
};

static bool parse_number(const char *text, uint64_t *ret_bits, enum nan *ret_nan)
{
    if (strncmp(text, "nan:", 4) == 0) {
        *ret_nan = strncmp(text + 4, "canonical", 9) == 0 ? CANONICAL : ARITHMETIC;
        return true;
    }
    char *end;
    *ret_nan = EXACT;
    *ret_bits = *text == '-' ? (uint64_t)strtoll(text, &end, 10) : strtoull(text, &end, 10);
    return end != text && (*end == 0 || *end == ',');
}

static bool parse_vector(char *text, struct expected *value)
{
    static const struct {
        const char *name;
        uint8_t bytes;
    } shapes[] = {
        { "i8:", 1 }, { "i16:", 2 }, { "i32:", 4 }, { "i64:", 8 }, { "f32:", 4 }, { "f64:", 8 },
    };
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        size_t length = strlen(shapes[i].name);
        if (strncmp(text, shapes[i].name, length) == 0) {
            value->lane_bytes = shapes[i].bytes;
            text += length;
        }
    }
    for (unsigned lane = 0; value->lane_bytes && lane < 16u / value->lane_bytes; lane++) {
        uint64_t bits = 0;
        if (!text || !parse_number(text, &bits, &value->nans[lane])) {
            return false;
        }
        memcpy(value->value.v128 + lane * value->lane_bytes, &bits, value->lane_bytes);
        text = strchr(text, ',');
        text = text ? text + 1 : NULL;
    }
    return value->lane_bytes != 0;
}

static bool parse_value(char *text, struct expected *ret_value)
{
    static const struct {
        const char *name;
        uint8_t type;
    } types[] = {
        { "i32:", BV_WASM_I32 },         { "i64:", BV_WASM_I64 },
        { "f32:", BV_WASM_F32 },         { "f64:", BV_WASM_F64 },
        { "v128:", BV_WASM_V128 },       { "externref:", BV_WASM_EXTERNREF },
        { "funcref:", BV_WASM_FUNCREF },
    };
    *ret_value = (struct expected){ .type = 0 };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        size_t length = strlen(types[i].name);
        if (strncmp(text, types[i].name, length) != 0) {
            continue;
        }
        text += length;
        ret_value->type = types[i].type;
        uint64_t bits = 0;
        if (types[i].type == BV_WASM_V128) {
            return parse_vector(text, ret_value);
        }
        if (strcmp(text, "null") == 0) {
            ret_value->value.ref = BV_WASM_REF_NULL;
            return true;
        }
        bool good = parse_number(text, &bits, &ret_value->nans[0]);
        if (types[i].type == BV_WASM_I32 || types[i].type == BV_WASM_F32) {
            ret_value->value.i32 = (uint32_t)bits;
        } else {
            ret_value->value.i64 = bits;
        }
        return good;
    }
    return false;
}

static bool lane_matches(uint64_t got, uint64_t wanted, enum nan nan, unsigned bytes)
{
    uint64_t canonical = bytes == 4 ? 0x7fc00000 : UINT64_C(0x7ff8000000000000),
             sign = bytes == 4 ? 0x80000000u : UINT64_C(1) << 63;
    switch (nan) {
    case EXACT: return got == wanted;
    case CANONICAL: return (got & ~sign) == canonical;
    case ARITHMETIC: return (got & canonical) == canonical;
    }
    return false;
}

static bool value_matches(const union bv_wasm_value *got, const struct expected *wanted)
{
    unsigned bytes = wanted->type == BV_WASM_V128 ? wanted->lane_bytes
                     : wanted->type == BV_WASM_I32 || wanted->type == BV_WASM_F32 ? 4
                                                                                  : 8;
    unsigned lanes = wanted->type == BV_WASM_V128 ? 16 / bytes : 1;
    for (unsigned lane = 0; lane < lanes; lane++) {
        uint64_t a = 0, b = 0;
        memcpy(&a, got->v128 + lane * bytes, bytes);
        memcpy(&b, wanted->value.v128 + lane * bytes, bytes);
        if (!lane_matches(a, b, wanted->nans[lane], bytes)) {
            return false;
        }
    }
    return true;
}

/* ---- spectest and imports ---- */

static enum bv_wasm_answer print_nothing(void *context, struct bv_wasm_caller *caller,
                                         const union bv_wasm_value *args,
                                         union bv_wasm_value *results)
{
    (void)context, (void)caller, (void)args, (void)results;
    return BV_WASM_DONE;
}

static const struct {
    const char *name;
    uint8_t params[2];
    uint32_t count;
} prints[] = {
    { "print", { 0 }, 0 },
    { "print_i32", { BV_WASM_I32 }, 1 },
    { "print_i64", { BV_WASM_I64 }, 1 },
    { "print_f32", { BV_WASM_F32 }, 1 },
    { "print_f64", { BV_WASM_F64 }, 1 },
    { "print_i32_f32", { BV_WASM_I32, BV_WASM_F32 }, 2 },
    { "print_f64_f64", { BV_WASM_F64, BV_WASM_F64 }, 2 },
};
#define PRINTS (sizeof(prints) / sizeof(prints[0]))
static const char *const others[] = { "memory",     "table",      "global_i32",
                                      "global_i64", "global_f32", "global_f64" };
#define OTHERS (sizeof(others) / sizeof(others[0]))

static void open_file(void)
{
    bv_wasm_store_free(run.store);
    for (size_t i = 0; i < run.module_count; i++) {
        free(run.modules[i].name);
    }
    for (size_t i = 0; i < run.registered_count; i++) {
        free(run.registered[i].name);
    }
    run.module_count = run.registered_count = 0;
    run.current = NULL;
    run.budget = (struct bv_wasm_budget){ .limit_bytes = UINT64_C(8) << 30 };
    run.store = bv_wasm_store_new(&run.budget, NULL);
    if (!run.store) {
        give_up("no store");
    }
    for (size_t i = 0; i < PRINTS; i++) {
        struct bv_wasm_functype type = { .params = prints[i].params,
                                         .param_count = prints[i].count };
        run.spectest[i] = bv_wasm_host_function(run.store, &type, print_nothing, NULL);
    }
    float f32 = 666.6f;
    double f64 = 666.6;
    union bv_wasm_value i32_value = { .i32 = 666 }, i64_value = { .i64 = 666 }, f32_value = { 0 },
                        f64_value = { 0 };
    memcpy(&f32_value.f32, &f32, sizeof(f32));
    memcpy(&f64_value.f64, &f64, sizeof(f64));
    struct bv_wasm_extern **other = run.spectest + PRINTS;
    other[0] = bv_wasm_host_memory(run.store,
                                   &(struct bv_wasm_limits){ .min = 1, .max = 2, .has_max = true });
    other[1] =
        bv_wasm_host_table(run.store, BV_WASM_FUNCREF,
                           &(struct bv_wasm_limits){ .min = 10, .max = 20, .has_max = true });
    other[2] = bv_wasm_host_global(run.store, BV_WASM_I32, false, &i32_value);
    other[3] = bv_wasm_host_global(run.store, BV_WASM_I64, false, &i64_value);
    other[4] = bv_wasm_host_global(run.store, BV_WASM_F32, false, &f32_value);
    other[5] = bv_wasm_host_global(run.store, BV_WASM_F64, false, &f64_value);
}

static bool is_name(const struct bv_wasm_name *name, const char *text)
{
    return name->size == strlen(text) && memcmp(name->bytes, text, name->size) == 0;
}

static struct bv_wasm_extern *resolve(const struct bv_wasm_import *import)
{
    for (size_t i = run.registered_count; i-- > 0;) {
        if (is_name(&import->module, run.registered[i].name)) {
            return bv_wasm_instance_export(run.registered[i].instance, import->name.bytes,
                                           import->name.size, NULL);
        }
    }
    for (size_t i = 0; is_name(&import->module, "spectest") && i < PRINTS + OTHERS; i++) {
        if (is_name(&import->name, i < PRINTS ? prints[i].name : others[i - PRINTS])) {
            return run.spectest[i];
        }
    }
    return NULL;
}

static enum bv_wasm_step finish(void)
{
    enum bv_wasm_step step;
    do {
        step = bv_wasm_resume(run.store, SLICE);
    } while (step == BV_WASM_STEP_SLICE);
    return step;
}

static enum bv_wasm_status instantiate(const char *hex, struct bv_wasm_instance **ret_instance,
                                       struct bv_wasm_error *error)
{
    size_t size;
    uint8_t *bytes = decode_hex(hex, &size);
    struct bv_wasm_options options = { .canonical_nans = true, .only_2_0 = run.only_2_0 };
    struct bv_wasm_module *module = NULL;
    struct bv_wasm_extern *start = NULL;
    enum bv_wasm_status status =
        bv_wasm_compile(bytes, size, &options, UINT64_C(1) << 30, &module, error);
    free(bytes);
    if (status != BV_WASM_OK) {
        return status;
    }
    uint32_t count = bv_wasm_import_count(module);
    struct bv_wasm_extern **imports = calloc(count ? count : 1, sizeof(struct bv_wasm_extern *));
    for (uint32_t i = 0; imports && i < count; i++) {
        struct bv_wasm_import import;
        bv_wasm_import_at(module, i, &import);
        imports[i] = resolve(&import);
    }
    status = bv_wasm_instantiate(run.store, module, imports, ret_instance, &start, error);
    free(imports);
    bv_wasm_module_free(module);
    if (status == BV_WASM_OK && start) {
        if (!bv_wasm_call(run.store, start, NULL, 0) || finish() != BV_WASM_STEP_DONE) {
            (void)snprintf(error->text, sizeof(error->text), "%s",
                           bv_wasm_trap_text(bv_wasm_trapped(run.store)));
            return BV_WASM_TRAPPED;
        }
    }
    return status;
}

/* ---- commands ---- */

static void add_name(struct named *names, size_t *count, char *name,
                     struct bv_wasm_instance *instance)
{
    if (*count == NAMES_MAX) {
        give_up("too many names");
    }
    (void)decode_name(name);
    names[(*count)++] = (struct named){ .name = strdup(name), .instance = instance };
}

static struct bv_wasm_instance *find_module(char *name)
{
    if (strcmp(name, "-") == 0) {
        return run.current;
    }
    (void)decode_name(name);
    for (size_t i = run.module_count; i-- > 0;) {
        if (strcmp(run.modules[i].name, name) == 0) {
            return run.modules[i].instance;
        }
    }
    return NULL;
}

static void module_command(char **fields)
{
    struct bv_wasm_error error = { .text = "" };
    struct bv_wasm_instance *instance = NULL;
    enum bv_wasm_status status = instantiate(fields[3], &instance, &error);
    run.current = status == BV_WASM_OK ? instance : NULL;
    if (status != BV_WASM_OK) {
        fails("module refused: %d at %llu: %s", (int)status, (unsigned long long)error.offset,
              error.text);
        return;
    }
    if (strcmp(fields[2], "-") != 0) {
        add_name(run.modules, &run.module_count, fields[2], instance);
    }
    run.passed++;
}

static void register_command(char **fields, size_t count)
{
    struct bv_wasm_instance *instance = find_module(count > 3 ? fields[3] : fields[2]);
    if (!instance) {
        fails("nothing to register");
        return;
    }
    add_name(run.registered, &run.registered_count, fields[2], instance);
    run.passed++;
}

/* The words from a field on. */
static void join(char **fields, size_t at, size_t count, char *ret_text, size_t size)
{
    *ret_text = 0;
    for (size_t i = at, used = 0; i < count && used < size; i++) {
        used +=
            (size_t)snprintf(ret_text + used, size - used, "%s%s", i > at ? " " : "", fields[i]);
    }
    (void)decode_name(ret_text);
}

static void reject_command(char **fields, size_t count)
{
    static const struct {
        const char *name;
        enum bv_wasm_status status;
    } kinds[] = {
        { "malformed", BV_WASM_MALFORMED },
        { "invalid", BV_WASM_INVALID },
        { "unlinkable", BV_WASM_UNLINKABLE },
        { "uninstantiable", BV_WASM_TRAPPED },
    };
    struct bv_wasm_error error = { .text = "" };
    struct bv_wasm_instance *instance;
    enum bv_wasm_status wanted = BV_WASM_OK, status = instantiate(fields[3], &instance, &error);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        wanted = strcmp(fields[2], kinds[i].name) == 0 ? kinds[i].status : wanted;
    }
    char text[256];
    join(fields, 4, count, text, sizeof(text));
    bool same_words = strncmp(error.text, text, strlen(text)) == 0 ||
                      strncmp(error.text, text, strlen(error.text)) == 0;
    if (status != wanted) {
        fails("wanted %s (%s), got %d: %s", fields[2], text, (int)status, error.text);
    } else if (run.words && !same_words) {
        run.other_words++;
        fails("wanted `%s`, got `%s`", text, error.text);
    } else {
        run.passed++;
    }
}

static bool call(char **fields, size_t count, size_t *ret_at, enum bv_wasm_step *ret_step,
                 struct bv_wasm_functype *ret_type)
{
    struct bv_wasm_instance *instance = find_module(fields[2]);
    size_t length = decode_name(fields[3]), at = 4;
    enum bv_wasm_kind kind;
    struct bv_wasm_extern *function =
        instance ? bv_wasm_instance_export(instance, fields[3], length, &kind) : NULL;
    union bv_wasm_value args[VALUES_MAX];
    uint32_t arg_count = 0;
    if (!function || !bv_wasm_extern_functype(function, ret_type)) {
        fails("no function %s", fields[3]);
        return false;
    }
    for (; at < count && strcmp(fields[at], ">") != 0; at++) {
        struct expected value;
        if (arg_count == VALUES_MAX || !parse_value(fields[at], &value)) {
            give_up("unreadable argument");
        }
        args[arg_count++] = value.value;
    }
    if (!bv_wasm_call(run.store, function, args, arg_count)) {
        fails("call refused");
        return false;
    }
    *ret_step = finish();
    *ret_at = at + 1;
    return true;
}

static void invoke_command(char **fields, size_t count)
{
    size_t at;
    enum bv_wasm_step step;
    struct bv_wasm_functype type;
    if (!call(fields, count, &at, &step, &type)) {
        return;
    }
    if (step != BV_WASM_STEP_DONE) {
        fails("%s trapped: %s", fields[3], bv_wasm_trap_text(bv_wasm_trapped(run.store)));
        return;
    }
    for (uint32_t i = 0; fields[0][0] == 'I' && i < type.result_count; i++) {
        struct expected wanted;
        const union bv_wasm_value *got = &bv_wasm_results(run.store)[i];
        if (at + i >= count || !parse_value(fields[at + i], &wanted) ||
            wanted.type != type.results[i]) {
            fails("result %u is of another type", i);
            return;
        }
        if (!value_matches(got, &wanted)) {
            fails("%s: result %u is %llx, wanted %s", fields[3], i, (unsigned long long)got->i64,
                  fields[at + i]);
            return;
        }
    }
    run.passed++;
}

static void trap_command(char **fields, size_t count)
{
    size_t at;
    enum bv_wasm_step step;
    struct bv_wasm_functype type;
    if (!call(fields, count, &at, &step, &type)) {
        return;
    }
    const char *text =
        step == BV_WASM_STEP_TRAPPED ? bv_wasm_trap_text(bv_wasm_trapped(run.store)) : "no trap";
    char wanted[256];
    join(fields, at, count, wanted, sizeof(wanted));
    if (strncmp(wanted, text, strlen(text)) != 0) {
        fails("%s: wanted trap `%s`, got `%s`", fields[3], wanted, text);
        return;
    }
    run.passed++;
}

static void global_command(char **fields, size_t count)
{
    struct bv_wasm_instance *instance = find_module(fields[2]);
    size_t length = decode_name(fields[3]);
    struct bv_wasm_extern *global =
        instance ? bv_wasm_instance_export(instance, fields[3], length, NULL) : NULL;
    struct expected wanted;
    enum bv_wasm_type type;
    union bv_wasm_value got;
    if (!global || !bv_wasm_global_get(global, &type, &got) || count < 6 ||
        !parse_value(fields[5], &wanted) || wanted.type != type || !value_matches(&got, &wanted)) {
        fails("global %s is wrong", fields[3]);
        return;
    }
    run.passed++;
}

static void command(char **fields, size_t count)
{
    switch (fields[0][0]) {
    case 'F':
        (void)snprintf(run.file, sizeof(run.file), "%s", fields[1]);
        open_file();
        return;
    case 'M': module_command(fields); return;
    case 'R': register_command(fields, count); return;
    case 'X': reject_command(fields, count); return;
    case 'I':
    case 'A': invoke_command(fields, count); return;
    case 'T':
    case 'E': trap_command(fields, count); return;
    case 'G': global_command(fields, count); return;
    default: give_up("unknown command");
    }
}

static void run_pack(const char *path)
{
    const char *slash = strrchr(path, '/');
    FILE *pack = fopen(path, "r");
    char *line = NULL;
    size_t capacity = 0;
    run.pack = slash ? slash + 1 : path;
    run.line = 0;
    run.only_2_0 = strncmp(run.pack, "wasm2-", 6) == 0;
    if (!pack) {
        give_up("cannot open");
    }
    for (ssize_t length; (length = getline(&line, &capacity, pack)) > 0;) {
        char *fields[VALUES_MAX * 2];
        size_t count = 0;
        run.line++;
        line[strcspn(line, "\n")] = 0;
        for (char *field = line; field && count < sizeof(fields) / sizeof(fields[0]);) {
            fields[count++] = field;
            field = strchr(field, ' ');
            if (field) {
                *field++ = 0;
            }
        }
        command(fields, count);
    }
    free(line);
    (void)fclose(pack);
}

int main(int count, char **arguments)
{
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--words") == 0) {
            run.words = true;
        } else {
            run_pack(arguments[i]);
        }
    }
    bv_wasm_store_free(run.store);
    for (size_t i = 0; i < run.module_count; i++) {
        free(run.modules[i].name);
    }
    for (size_t i = 0; i < run.registered_count; i++) {
        free(run.registered[i].name);
    }
    printf("%u passed, %u failed\n", run.passed, run.failed);
    return run.failed || !run.passed;
}
