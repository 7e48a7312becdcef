/* wasm/reader.h - the cursor over a module's bytes: LEB128, names, vectors; the first error wins and names its offset.
 *
 * Every function returns false after an error; its output is then not to be used. */
#pragma once

#include "wasm/limits.h"
#include "wasm/wasm.h"

struct bv_wasm_reader {
    const uint8_t *start, *at, *end; /* end: of the section or body being read */
    const char *end_text;            /* what running over `end` is called */
    struct bv_wasm_error *error;
    enum bv_wasm_status status;      /* BV_WASM_OK until the first error */
};

bool bv_wasm_fail(struct bv_wasm_reader *reader, enum bv_wasm_status status, const uint8_t *at, const char *text);
bool bv_wasm_fail_index(struct bv_wasm_reader *reader, const uint8_t *at, const char *what, uint32_t index); /* "unknown local 7" */
bool bv_wasm_fail_limit(struct bv_wasm_reader *reader, const uint8_t *at, enum bv_wasm_limit limit);
bool bv_wasm_fail_nomem(struct bv_wasm_reader *reader);

bool bv_wasm_read_byte(struct bv_wasm_reader *reader, uint8_t *ret_value);
bool bv_wasm_read_bytes(struct bv_wasm_reader *reader, uint32_t size, const uint8_t **ret_bytes);
bool bv_wasm_read_u32_slow(struct bv_wasm_reader *reader, uint32_t *ret_value);
bool bv_wasm_read_s32(struct bv_wasm_reader *reader, int32_t *ret_value);
bool bv_wasm_read_s33(struct bv_wasm_reader *reader, int64_t *ret_value);
bool bv_wasm_read_s64(struct bv_wasm_reader *reader, int64_t *ret_value);
/* A count, held against its cap and against the bytes that are left (each element takes at least one). */
bool bv_wasm_read_count(struct bv_wasm_reader *reader, enum bv_wasm_limit limit, uint32_t *ret_value);
bool bv_wasm_read_name(struct bv_wasm_reader *reader, struct bv_wasm_name *ret_name); /* bytes stay the module's input */

static inline bool bv_wasm_read_u32(struct bv_wasm_reader *reader, uint32_t *ret_value)
{
    if (reader->at < reader->end && *reader->at < 0x80) { /* nearly every one */
        *ret_value = *reader->at++;
        return true;
    }
    return bv_wasm_read_u32_slow(reader, ret_value);
}
