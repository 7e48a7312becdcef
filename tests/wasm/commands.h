/* tests/wasm/commands.h - hand-made WASI commands and a spec around each, for tests of the backend as a library. */
#pragma once

#include <bvisor/run.h>

#include "builder.h"

/* Each is a module of its own; bytes stay the module's until module_free(). */
const uint8_t *command_print(struct module *m, const char *text, size_t *ret_size); /* writes it to stdout once */
const uint8_t *command_spin(struct module *m, size_t *ret_size);
const uint8_t *command_sleep(struct module *m, uint64_t nanos, size_t *ret_size);
const uint8_t *command_exit(struct module *m, uint32_t code, size_t *ret_size);
const uint8_t *command_echo(struct module *m, size_t *ret_size); /* one read of stdin, written to stdout */
const uint8_t *command_random(struct module *m, size_t *ret_size); /* eight random bytes, then the realtime clock, to stdout */
const uint8_t *command_trap(struct module *m, size_t *ret_size);

struct command_spec {
    struct bv_control controls[4];
    struct bv_capability capabilities[4];
    struct bv_spec spec; /* launches the bytes, captures stdout and stderr, everything unlimited */
};
void command_spec_init(struct command_spec *command, const uint8_t *bytes, size_t size);
/* Runs it to the end; NULL with the reason printed when there is no report. */
struct bv_report *command_run(struct bv_backend *backend, const struct bv_spec *spec, const struct bv_run_options *options);
/* Does the report's document hold this text? */
int command_report_has(const struct bv_report *report, const char *text);
