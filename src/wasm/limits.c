/* wasm/limits.c - the table behind limits.h. */
#include "wasm/limits.h"

#include "base/check.h"

static const struct {
    uint64_t value;
    const char *name;
} limits[BV_WASM_LIMIT_COUNT] = {
#define BV_LIMIT(name, value, what) [BV_WASM_LIMIT_##name] = { (value), (what) },
#include "wasm/limits.def"
#undef BV_LIMIT
};

uint64_t bv_wasm_limit_value(enum bv_wasm_limit limit)
{
    BV_ASSERT(limit < BV_WASM_LIMIT_COUNT);
    return limits[limit].value;
}

const char *bv_wasm_limit_name(enum bv_wasm_limit limit)
{
    BV_ASSERT(limit < BV_WASM_LIMIT_COUNT);
    return limits[limit].name;
}
