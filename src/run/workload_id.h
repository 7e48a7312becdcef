/* run/workload_id.h - what a file is, from its bytes: an ELF program of this machine, a script,
 * a Wasm module. Pure. */
#pragma once

#include <bvisor/limits.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bv_format {
    BV_FORMAT_UNKNOWN = 0,
    BV_FORMAT_ELF = 1,
    BV_FORMAT_SCRIPT = 2,
    BV_FORMAT_WASM = 3
};

#define BV_INTERPRETER_BYTES (BV_PATH_MAX_BYTES + 1)

struct bv_format_facts {
    enum bv_format format;
    const char *why; /* UNKNOWN: what is wrong with it, static storage; else NULL */
};

/* Reads exactly `size` bytes at an offset; false if the file does not hold them or they cannot
 * be read. */
typedef bool bv_read_at_fn(void *context, uint64_t offset_bytes, void *buffer, size_t size);

/* Looks only at what read_at gives, at most 70 KiB of it; any bytes are safe. interpreter is the
 * PT_INTERP or #! path as written, "" if there is none: an absolute path of plain UTF-8 without
 * control characters. */
void bv_workload_format(bv_read_at_fn *read_at, void *context, uint64_t file_bytes,
                        struct bv_format_facts *ret_facts, char interpreter[BV_INTERPRETER_BYTES]);
