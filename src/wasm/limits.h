/* wasm/limits.h - the caps of limits.def as constants, and the error that names one. */
#pragma once

#include <stdint.h>

#define BV_LIMIT(name, value, what) static const uint64_t BV_WASM_MAX_##name __attribute__((unused)) = (value);
#include "wasm/limits.def"
#undef BV_LIMIT

enum bv_wasm_limit {
#define BV_LIMIT(name, value, what) BV_WASM_LIMIT_##name,
#include "wasm/limits.def"
#undef BV_LIMIT
    BV_WASM_LIMIT_COUNT
};

uint64_t bv_wasm_limit_value(enum bv_wasm_limit limit);
const char *bv_wasm_limit_name(enum bv_wasm_limit limit); /* in the words of an error: "locals" */
