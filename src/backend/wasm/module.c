/* backend/wasm/module.c - from the open file to a compiled module that WASI can serve.
 *
 * The planner learns here what only reading can tell: whether the module validates, imports nothing but WASI preview 1, is a
 * command, and how much memory it must be given. A module is compiled once and kept by its digest. The digest is made anew of
 * the very bytes that are compiled: a file that was changed after the runner hashed it must never be kept under the old name. */
#include "backend/wasm/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "contract/text.h"

#define MODULE_BYTES_MAX (UINT64_C(64) << 20) /* the engine's own cap: more is not even read */

static const struct bv_wasm_options compile_options = { .canonical_nans = true };

static enum bv_status object(struct bv_workload_problem *problem, const char *subject,
                             const char *remedy, const char *format, ...) BV_PRINTF(4, 5);

static enum bv_status object(struct bv_workload_problem *problem, const char *subject,
                             const char *remedy, const char *format, ...)
{
    char why[320];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(why, sizeof(why), format, arguments);
    va_end(arguments);
    problem->subject = subject;
    problem->remedy = remedy;
    bv_text_clean(problem->why, sizeof(problem->why), why); /* a module chooses its names */
    return BV_E_REFUSED;
}

static const char *subject_of(const struct bv_workload_identity *identity)
{
    return identity->path[0] ? identity->path : "the module";
}

/* The inverse of bv_digest_text(). */
static void digest_bytes(const char *text, uint8_t digest[BV_SHA256_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    text += strlen("sha256:");
    for (size_t i = 0; i < BV_SHA256_BYTES; i++) {
        const char *high = strchr(digits, text[2 * i]), *low = strchr(digits, text[2 * i + 1]);
        BV_ASSERT(high && *high && low && *low);
        digest[i] = (uint8_t)((high - digits) << 4 | (low - digits));
    }
}

/* The whole file; *ret_size is what was there. NULL with errno. */
static uint8_t *read_file(int fd, uint64_t size, size_t *ret_size)
{
    uint8_t *bytes = malloc((size_t)size + 1);
    size_t at = 0;
    while (bytes && at <= size) {
        const ssize_t n = pread(fd, bytes + at, (size_t)size + 1 - at, (off_t)at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            const int error = errno;
            free(bytes);
            errno = error;
            return NULL;
        }
        if (n == 0) {
            break;
        }
        at += (size_t)n;
    }
    *ret_size = at;
    return bytes;
}

static enum bv_status compile(struct guest_context *context,
                              const struct bv_workload_identity *identity,
                              const uint8_t digest[BV_SHA256_BYTES], const uint8_t *bytes,
                              size_t size, uint64_t max_bytes, struct bv_wasm_module **ret_module,
                              struct bv_workload_problem *problem, struct bv_error *error)
{
    struct bv_wasm_error fault = { .offset = UINT64_MAX };
    struct bv_sha256 sha;
    uint8_t found[BV_SHA256_BYTES];
    const char *subject = subject_of(identity);
    bv_sha256_init(&sha);
    bv_sha256_update(&sha, bytes, size);
    bv_sha256_final(&sha, found);
    if (memcmp(found, digest, sizeof(found)) != 0) {
        return object(problem, subject, "run it again once nobody writes to it",
                      "changed while it was hashed");
    }
    switch (bv_wasm_cache_compile(context->cache, digest, bytes, size, &compile_options, max_bytes,
                                  ret_module, &fault)) {
    case BV_WASM_OK: return BV_OK;
    case BV_WASM_NOMEM:
        return max_bytes == UINT64_MAX
                   ? bv_fail_nomem(error)
                   : object(problem, subject, "a larger resident_bytes (--mem)",
                            "takes more than the %llu bytes of resident_bytes to be translated",
                            (unsigned long long)max_bytes);
    case BV_WASM_MALFORMED:
    case BV_WASM_INVALID:
    case BV_WASM_LIMIT:
        return object(
            problem, subject,
            "build it for wasm32-wasi: WebAssembly 2.0 with tail calls and multiple memories",
            "cannot be run: %.150s, at byte %llu", fault.text,
            (unsigned long long)(fault.offset == UINT64_MAX ? 0 : fault.offset));
    case BV_WASM_UNLINKABLE:
    case BV_WASM_TRAPPED: break; /* never of a compile */
    }
    BV_UNREACHABLE();
}

enum bv_status guest_module(struct guest_context *context,
                            const struct bv_workload_identity *identity, int fd, uint64_t max_bytes,
                            struct bv_wasm_module **ret_module, struct bv_workload_problem *problem,
                            struct bv_error *error)
{
    uint8_t digest[BV_SHA256_BYTES];
    digest_bytes(identity->digest, digest);
    *ret_module = bv_wasm_cache_find(context->cache, digest, &compile_options, max_bytes);
    if (*ret_module) {
        return BV_OK;
    }
    if (identity->size > MODULE_BYTES_MAX) {
        return object(problem, subject_of(identity), "a smaller module",
                      "is larger than the %llu bytes that a module may have",
                      (unsigned long long)MODULE_BYTES_MAX);
    }
    size_t size = 0;
    uint8_t *bytes = read_file(fd, identity->size, &size);
    if (!bytes) {
        return errno == ENOMEM
                   ? bv_fail_nomem(error)
                   : bv_fail_sys(error, subject_of(identity), -errno, "reading the module");
    }
    const enum bv_status status =
        compile(context, identity, digest, bytes, size, max_bytes, ret_module, problem, error);
    free(bytes);
    return status;
}

/* ---- what the module asks for ---- */

static enum bv_status check_imports(const struct bv_wasm_module *module, const char *subject,
                                    struct bv_workload_problem *problem)
{
    const char *first_why = NULL;
    struct bv_wasm_import first = { 0 };
    uint32_t unknown = 0;
    for (uint32_t i = 0; i < bv_wasm_import_count(module); i++) {
        struct bv_wasm_import import;
        const char *why = NULL;
        bv_wasm_import_at(module, i, &import);
        if (bv_wasi_knows(&import, &why)) {
            continue;
        }
        if (unknown++ == 0) {
            first = import;
            first_why = why;
        }
    }
    if (unknown == 0) {
        return BV_OK;
    }
    char more[32] = "";
    if (unknown > 1) {
        (void)snprintf(more, sizeof(more), ", and %u more", unknown - 1);
    }
    return object(problem, subject,
                  "build it for wasm32-wasi (WASI preview 1): nothing else can be imported",
                  "imports %.*s.%.*s, %s%s", (int)(first.module.size < 60 ? first.module.size : 60),
                  first.module.bytes, (int)(first.name.size < 60 ? first.name.size : 60),
                  first.name.bytes, first_why, more);
}

static enum bv_status check_start(const struct bv_wasm_module *module, const char *subject,
                                  struct bv_workload_problem *problem)
{
    static const char remedy[] = "link it as a command: a reactor or a library has nothing to run";
    for (uint32_t i = 0; i < bv_wasm_export_count(module); i++) {
        struct bv_wasm_export export;
        bv_wasm_export_at(module, i, &export);
        if (export.name.size != strlen("_start") ||
            memcmp(export.name.bytes, "_start", export.name.size) != 0) {
            continue;
        }
        return export.kind == BV_WASM_FUNC && export.function.param_count == 0 &&
                       export.function.result_count == 0
                   ? BV_OK
                   : object(problem, subject, remedy,
                            "exports a _start that is no function without parameters and results");
    }
    return object(problem, subject, remedy, "exports no _start");
}

/* ---- what the spec asks for ---- */

static enum bv_status check_directory(const char *path, struct bv_workload_problem *problem)
{
    struct stat st;
    /* That it is there is the runner's to say; here only what it is. */
    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
        return object(problem, path, "name the directory that holds it",
                      "is no directory, and a guest can be given nothing else");
    }
    return BV_OK;
}

static enum bv_status check_places(const struct bv_spec *spec, struct bv_workload_problem *problem)
{
    enum bv_status status = BV_OK;
    for (size_t i = 0; status == BV_OK && i < spec->capability_count; i++) {
        const struct bv_capability *capability = &spec->capabilities[i];
        for (size_t k = 0; status == BV_OK && capability->kind == BV_CAP_FILESYSTEM &&
                           k < capability->u.filesystem.root_count;
             k++) {
            status =
                guest_is_kernels(capability->u.filesystem.roots[k]) /* the planner's to refuse */
                    ? BV_OK
                    : check_directory(capability->u.filesystem.roots[k], problem);
        }
    }
    for (size_t i = 0; status == BV_OK && i < spec->control_count; i++) {
        if (spec->controls[i].kind == BV_CTL_EXPOSE_PATH) {
            status = check_directory(spec->controls[i].u.expose.source, problem);
        }
    }
    return status;
}

enum bv_status guest_examine(void *context, const struct bv_spec *spec, int workload_fd,
                             struct bv_workload_identity *identity,
                             struct bv_workload_problem *problem, struct bv_error *error)
{
    struct bv_wasm_module *module = NULL;
    if (spec->workload.kind != BV_WORKLOAD_WASM || !identity->is_wasm) {
        return BV_OK; /* the planner says what is wrong */
    }
    const char *subject = subject_of(identity);
    enum bv_status status =
        guest_module(context, identity, workload_fd, spec->budgets[BV_RESIDENT_BYTES].limit,
                     &module, problem, error);
    if (status != BV_OK) {
        return status;
    }
    status = check_imports(module, subject, problem);
    status = status == BV_OK ? check_start(module, subject, problem) : status;
    status = status == BV_OK ? check_places(spec, problem) : status;
    identity->resident_minimum_bytes =
        bv_wasm_module_bytes(module) + bv_wasm_module_minimum(module);
    bv_wasm_module_free(module);
    return status;
}
