/* tests/wasm/commands.c - hand-made WASI commands; commands.h says which. */
#include "commands.h"

#include <stdio.h>
#include <string.h>

#define WASI "wasi_snapshot_preview1"
enum { IOVEC = 0, COUNT = 16, SUBSCRIPTION = 32, EVENT = 96, TEXT = 256, TEXT_ROOM = 4096 };

static const uint8_t *finish(struct module *m, uint32_t start, size_t *ret_size)
{
    module_memory(m, 1, -1);
    module_export(m, "_start", 0, start);
    module_export(m, "memory", 2, 0);
    return module_finish(m, ret_size);
}

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

static void put_iovec(struct module *m, size_t size)
{
    uint8_t iovec[8];
    put(iovec, TEXT, 4);
    put(iovec + 4, size, 4);
    module_data(m, IOVEC, iovec, sizeof iovec);
}

const uint8_t *command_print(struct module *m, const char *text, size_t *ret_size)
{
    *m = (struct module){ 0 };
    (void)module_import(m, WASI, "fd_write", "iiii", "i");
    put_iovec(m, strlen(text));
    module_data(m, TEXT, text, (uint32_t)strlen(text));
    /* fd_write(1, IOVEC, 1, COUNT) */
    return finish(
        m,
        module_function(m, "", "", "",
                        CODE(0x41, 1, 0x41, IOVEC, 0x41, 1, 0x41, COUNT, 0x10, 0, 0x1a, 0x0b)),
        ret_size);
}

const uint8_t *command_spin(struct module *m, size_t *ret_size)
{
    *m = (struct module){ 0 };
    return finish(m, module_function(m, "", "", "", CODE(0x03, 0x40, 0x0c, 0, 0x0b, 0x0b)),
                  ret_size);
}

const uint8_t *command_sleep(struct module *m, uint64_t nanos, size_t *ret_size)
{
    uint8_t subscription[48] = { 0 };
    *m = (struct module){ 0 };
    (void)module_import(m, WASI, "poll_oneoff", "iiii", "i");
    put(subscription + 16, 1, 4); /* the monotonic clock */
    put(subscription + 24, nanos, 8);
    module_data(m, SUBSCRIPTION, subscription, sizeof subscription);
    return finish(m,
                  module_function(m, "", "", "",
                                  CODE(0x41, SUBSCRIPTION, 0x41, 0xe0, 0, 0x41, 1, 0x41, COUNT,
                                       0x10, 0, 0x1a, 0x0b)),
                  ret_size);
}

const uint8_t *command_exit(struct module *m, uint32_t code, size_t *ret_size)
{
    *m = (struct module){ 0 };
    (void)module_import(m, WASI, "proc_exit", "i", "");
    return finish(m, module_function(m, "", "", "", CODE(0x41, (uint8_t)code, 0x10, 0, 0x0b)),
                  ret_size); /* code < 64 */
}

const uint8_t *command_echo(struct module *m, size_t *ret_size)
{
    *m = (struct module){ 0 };
    (void)module_import(m, WASI, "fd_read", "iiii", "i");
    (void)module_import(m, WASI, "fd_write", "iiii", "i");
    put_iovec(m, TEXT_ROOM);
    /* fd_read(0, IOVEC, 1, COUNT); iovec.length = *COUNT; fd_write(1, IOVEC, 1, COUNT) */
    return finish(m,
                  module_function(m, "", "", "",
                                  CODE(0x41, 0, 0x41, IOVEC, 0x41, 1, 0x41, COUNT, 0x10, 0, 0x1a,
                                       0x41, 4, 0x41, COUNT, 0x28, 2, 0, 0x36, 2, 0, 0x41, 1, 0x41,
                                       IOVEC, 0x41, 1, 0x41, COUNT, 0x10, 1, 0x1a, 0x0b)),
                  ret_size);
}

const uint8_t *command_random(struct module *m, size_t *ret_size)
{
    *m = (struct module){ 0 };
    (void)module_import(m, WASI, "random_get", "ii", "i");
    (void)module_import(m, WASI, "clock_time_get", "iIi", "i");
    (void)module_import(m, WASI, "fd_write", "iiii", "i");
    put_iovec(m, 16);
    /* TEXT is 0x80 2 in LEB128. random_get(TEXT, 8); clock_time_get(0, 0, TEXT + 8); fd_write(1, IOVEC, 1, COUNT) */
    return finish(m,
                  module_function(m, "", "", "",
                                  CODE(0x41, 0x80, 2, 0x41, 8, 0x10, 0, 0x1a, 0x41, 0, 0x42, 0,
                                       0x41, 0x80, 2, 0x41, 8, 0x6a, 0x10, 1, 0x1a, 0x41, 1, 0x41,
                                       IOVEC, 0x41, 1, 0x41, COUNT, 0x10, 2, 0x1a, 0x0b)),
                  ret_size);
}

const uint8_t *command_trap(struct module *m, size_t *ret_size)
{
    *m = (struct module){ 0 };
    return finish(m, module_function(m, "", "", "", CODE(0x00, 0x0b)), ret_size);
}

void command_spec_init(struct command_spec *command, const uint8_t *bytes, size_t size)
{
    *command = (struct command_spec){
        .controls = { { .kind = BV_CTL_LAUNCH_WORKLOAD },
                      { .kind = BV_CTL_CAPTURE_STREAMS, .u.capture = { true, true, false } } },
    };
    command->spec = (struct bv_spec){
        .workload = { .kind = BV_WORKLOAD_WASM, .module_bytes = bytes, .module_size = size },
        .capabilities = command->capabilities,
        .controls = command->controls,
        .control_count = 2,
    };
    for (int i = 0; i < BV_DIMENSION_COUNT; i++) {
        command->spec.budgets[i].limit = BV_UNLIMITED;
    }
}

struct bv_report *command_run(struct bv_backend *backend, const struct bv_spec *spec,
                              const struct bv_run_options *options)
{
    struct bv_report *report = NULL;
    struct bv_refusal *refusal = NULL;
    struct bv_error error = { 0 };
    const enum bv_status status =
        bv_run_confined(spec, backend, options, &report, &refusal, &error);
    if (status != BV_OK) {
        (void)fprintf(stderr, "# %s: %s %s\n", bv_status_name(status), error.text,
                      refusal ? bv_refusal_why(refusal, 0) : "");
    }
    bv_refusal_free(refusal);
    return report;
}

int command_report_has(const struct bv_report *report, const char *text)
{
    char *document = NULL;
    const int found = report && bv_report_json(report, &document, NULL) == BV_OK &&
                      strstr(document, text) != NULL;
    bv_free(document);
    return found;
}
